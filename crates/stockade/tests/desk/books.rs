//! The books of the desk and of the paper venue, read from their files, and what must be true of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr as _;

use domain::Decimal;
use sqlx::{AnyConnection, Connection as _, Row as _};

/// One order, as both sides have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeskOrder {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) filled: String,
    pub(crate) attempts: i64,
    pub(crate) created_at: i64,
    /// The order that brought it with it, or in whose place it is: the audit log has it under that one.
    under: Option<String>,
}

/// Everything there is.
pub(crate) struct Books {
    /// By client order id.
    pub(crate) orders: BTreeMap<String, DeskOrder>,
    fills: BTreeSet<String>,
    accepted_in_audit: BTreeSet<String>,
    positions: BTreeMap<String, Decimal>,
    /// The venue's orders by the client order id that the desk gave: how many, status, filled, when placed.
    venue_orders: BTreeMap<String, Vec<(String, String, i64)>>,
    venue_fills: BTreeSet<String>,
    venue_positions: BTreeMap<String, Decimal>,
    venue_cash: Decimal,
    cash: Decimal,
}

impl Books {
    pub(crate) async fn read(desk: &str, venue: &Path) -> Self {
        sqlx::any::install_default_drivers();
        let mut desk = AnyConnection::connect(desk).await.unwrap();
        let sql = "SELECT client_order_id, id, status, filled, attempts, created_at, \
                   COALESCE(parent_id, replaces) FROM orders";
        let rows = sqlx::query(sql).fetch_all(&mut desk).await.unwrap();
        let orders = rows
            .iter()
            .map(|row| {
                let order = DeskOrder {
                    id: row.get(1),
                    status: row.get(2),
                    filled: row.get(3),
                    attempts: row.get(4),
                    created_at: row.get(5),
                    under: row.get(6),
                };
                (row.get(0), order)
            })
            .collect();
        let sql = "SELECT execution_id, symbol, side, price, quantity, fee FROM fills";
        let rows = sqlx::query(sql).fetch_all(&mut desk).await.unwrap();
        let opening: String =
            sqlx::query_scalar("SELECT opening_cash FROM accounts").fetch_one(&mut desk).await.unwrap();
        let mut cash = decimal(&opening);
        let mut positions: BTreeMap<String, Decimal> = BTreeMap::new();
        let mut fills = BTreeSet::new();
        for row in &rows {
            let number = |at: usize| decimal(&row.get::<String, _>(at));
            let signed = if row.get::<String, _>(2) == "buy" { number(4) } else { -number(4) };
            *positions.entry(row.get(1)).or_default() += signed;
            cash -= signed * number(3) + number(5);
            assert!(fills.insert(row.get(0)), "an execution is booked twice");
        }
        let sql = "SELECT resource FROM audit_log WHERE act IN ('order.accepted', 'order.replace_requested')";
        let accepted: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut desk).await.unwrap();

        let venue = format!("sqlite:{}", venue.display());
        let mut venue = AnyConnection::connect(&venue).await.unwrap();
        let sql = "SELECT client_order_id, status, filled, placed_at FROM venue_orders";
        let rows = sqlx::query(sql).fetch_all(&mut venue).await.unwrap();
        let mut venue_orders: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in &rows {
            venue_orders.entry(row.get(0)).or_default().push((row.get(1), row.get(2), row.get(3)));
        }
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM venue_executions").fetch_all(&mut venue).await.unwrap();
        let rows =
            sqlx::query("SELECT symbol, quantity FROM venue_positions").fetch_all(&mut venue).await.unwrap();
        let held = rows.iter().map(|row| (row.get(0), decimal(&row.get::<String, _>(1)))).collect();
        let venue_cash: String =
            sqlx::query_scalar("SELECT cash FROM venue_accounts").fetch_one(&mut venue).await.unwrap();
        Self {
            orders,
            fills,
            accepted_in_audit: accepted.into_iter().collect(),
            positions,
            venue_orders,
            venue_fills: ids.into_iter().collect(),
            venue_positions: held,
            venue_cash: decimal(&venue_cash),
            cash,
        }
    }

    /// Executions that were booked.
    pub(crate) fn fills(&self) -> usize {
        self.fills.len()
    }

    /// Nothing is lost, nothing is there twice, both sides say the same, and no order was sent before it was journaled.
    pub(crate) fn check(&self) {
        self.agree();
        for (client_order_id, order) in &self.orders {
            for (_, _, placed_at) in self.venue_orders.get(&order.id).into_iter().flatten() {
                assert!(
                    order.created_at <= *placed_at,
                    "{client_order_id} was at the venue before it was journaled"
                );
            }
        }
    }

    /// The same as far as it can be told when the clocks of the two differ.
    pub(crate) fn agree(&self) {
        for (client_order_id, order) in &self.orders {
            let at_venue = self.venue_orders.get(&order.id);
            let entry = format!("order/{}", order.under.as_ref().unwrap_or(&order.id));
            let audited = self.accepted_in_audit.contains(&entry);
            assert!(audited, "{client_order_id} was accepted without an audit row");
            match (at_venue.map(Vec::as_slice), order.status.as_str()) {
                // Never sent: too old by the time it could be, refused as a replacement, or not wanted any more. An exit
                // of a bracket stays with the desk.
                (None, "expired" | "canceled" | "rejected" | "held") => {}
                (Some([(status, filled, _)]), ours) => {
                    // To the venue a stop that waits for its price is another thing than an open order.
                    let open = ["open", "waiting"].contains(&status.as_str());
                    let theirs = if open && decimal(filled).is_zero() {
                        "working"
                    } else if open {
                        "partially_filled"
                    } else {
                        status
                    };
                    assert_eq!(ours, theirs, "{client_order_id}");
                    assert_eq!(decimal(&order.filled), decimal(filled), "{client_order_id}");
                    assert!(order.attempts > 0, "{client_order_id} was sent without a row in the journal");
                }
                (at_venue, ours) => panic!("{client_order_id} is {ours} here, at the venue {at_venue:?}"),
            }
        }
        let known: BTreeSet<&String> = self.orders.values().map(|order| &order.id).collect();
        for id in self.venue_orders.keys() {
            assert!(known.contains(id), "the venue has an order that was never journaled: {id}");
        }
        assert_eq!(self.fills, self.venue_fills, "executions");
        assert_eq!(self.positions, self.venue_positions, "positions");
        assert_eq!(self.cash, self.venue_cash, "cash");
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str(text).unwrap()
}
