//! The SQL of the paper venue's book.

use std::collections::BTreeMap;

use domain::{
    AccountId, Fill, Money, OrderEvent, Price, Quantity, Reason, Symbol, Timestamp, Trail, from_micros,
    micros,
};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query, query_scalar};

use super::exchange::{Rows, Stored};
use super::order::{Report, VenueOrder, VenueStatus, order_id};
use crate::broker::{Balances, BrokerOrder, Execution, Refusal, Terms};

/// Writes what a batch changed.
pub(super) async fn write(tx: &mut Tx, rows: &Rows) -> Result<(), StorageError> {
    for (account, cash) in &rows.accounts {
        query(
            "INSERT INTO venue_accounts (id, cash) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET cash = excluded.cash",
        )
        .bind(account.to_string())
        .bind(cash.to_string())
        .execute(tx.sql())
        .await?;
    }
    for (account, symbol, quantity) in &rows.positions {
        query(
            "INSERT INTO venue_positions (account_id, symbol, quantity) VALUES ($1, $2, $3) \
             ON CONFLICT (account_id, symbol) DO UPDATE SET quantity = excluded.quantity",
        )
        .bind(account.to_string())
        .bind(symbol.as_str())
        .bind(quantity.to_string())
        .execute(tx.sql())
        .await?;
    }
    for order in &rows.orders {
        write_order(tx, order).await?;
    }
    for report in &rows.reports {
        write_report(tx, report).await?;
    }
    for (symbol, halted) in &rows.halts {
        let sql = match halted {
            true => "INSERT INTO venue_halts (symbol) VALUES ($1) ON CONFLICT DO NOTHING",
            false => "DELETE FROM venue_halts WHERE symbol = $1",
        };
        query(sql).bind(symbol.as_str()).execute(tx.sql()).await?;
    }
    Ok(())
}

/// The columns of an order, in the order in which they are written and read.
macro_rules! order_columns {
    () => {
        "id, seq, account_id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, stop_price, \
         trail, extended_hours, status, filled, priority, queue_ahead, met, best, reserve_price, raw_fees, arrives_at, \
         cancel_at, expires_at, replaces, replaces_filled, replaced_by, refusal_reason, refusal_text, placed_at"
    };
}

async fn write_order(tx: &mut Tx, order: &VenueOrder) -> Result<(), StorageError> {
    let terms = &order.terms;
    let text = |price: Option<Price>| price.map(|price| price.to_string());
    let trail = terms.trail.map(|trail| serde_json::to_string(&trail)).transpose();
    let trail = trail.map_err(|error| StorageError::Unreadable { what: "trail", why: error.to_string() })?;
    query(concat!(
        "INSERT INTO venue_orders (",
        order_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
         $22, $23, $24, $25, $26, $27, $28, $29, $30) \
         ON CONFLICT (id) DO UPDATE SET stop_price = excluded.stop_price, status = excluded.status, \
         filled = excluded.filled, priority = excluded.priority, queue_ahead = excluded.queue_ahead, \
         met = excluded.met, best = excluded.best, raw_fees = excluded.raw_fees, cancel_at = excluded.cancel_at, \
         replaces = excluded.replaces, replaces_filled = excluded.replaces_filled, \
         replaced_by = excluded.replaced_by, refusal_reason = excluded.refusal_reason, \
         refusal_text = excluded.refusal_text",
    ))
    .bind(order_id(order.seq))
    .bind(order.seq)
    .bind(order.account.to_string())
    .bind(order.client_order_id.as_str())
    .bind(terms.symbol.as_str())
    .bind(terms.side.as_str())
    .bind(terms.kind.as_str())
    .bind(terms.time_in_force.as_str())
    .bind(terms.quantity.to_string())
    .bind(text(terms.limit_price))
    .bind(text(terms.stop_price))
    .bind(trail)
    .bind(i64::from(terms.extended_hours))
    .bind(order.status.as_str())
    .bind(order.filled.to_string())
    .bind(order.priority)
    .bind(order.queue_ahead.to_string())
    .bind(i64::from(order.met))
    .bind(text(order.best))
    .bind(order.reserve_price.to_string())
    .bind(order.raw_fees.to_string())
    .bind(micros(order.arrives_at))
    .bind(order.cancel_at.map(micros))
    .bind(order.expires_at.map(micros))
    .bind(order.replaces.map(|(seq, _)| seq))
    .bind(order.replaces.map(|(_, filled)| filled.to_string()))
    .bind(order.replaced_by.as_deref())
    .bind(order.refusal.as_ref().map(|refusal| refusal.reason.as_str()))
    .bind(order.refusal.as_ref().map(|refusal| refusal.text.as_str()))
    .bind(micros(order.placed_at))
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn write_report(tx: &mut Tx, report: &Report) -> Result<(), StorageError> {
    let (id, about, fill) = match &report.event {
        OrderEvent::Filled(fill) => (fill.execution_id.clone(), None, Some(fill)),
        OrderEvent::Corrected { execution_id, by } => (by.execution_id.clone(), Some(execution_id), Some(by)),
        // A bust has no id of its own; an execution is taken back once.
        OrderEvent::Busted { execution_id } => (format!("{execution_id}/busted"), Some(execution_id), None),
        _ => return Ok(()),
    };
    query(
        "INSERT INTO venue_executions \
         (id, order_id, account_id, kind, about, price, quantity, fee, at, reported_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id)
    .bind(order_id(report.seq))
    .bind(report.account.to_string())
    .bind(report.event.kind().as_str())
    .bind(about.map(String::as_str))
    .bind(fill.map_or(Price::ZERO, |fill| fill.price).to_string())
    .bind(fill.map_or(Quantity::ZERO, |fill| fill.quantity).to_string())
    .bind(fill.map_or(Money::ZERO, |fill| fill.fee).to_string())
    .bind(micros(fill.map_or(report.at, |fill| fill.at)))
    .bind(micros(report.at))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Everything that the exchange goes on from: open orders with their executions, accounts, positions, halts.
pub(super) async fn load(connection: &mut Connection) -> Result<Stored, StorageError> {
    let mut stored = Stored::default();
    for row in query("SELECT id, cash FROM venue_accounts").fetch_all(&mut *connection).await? {
        let account = StorageError::parse_column(&row, 0, "account")?;
        stored.accounts.insert(account, StorageError::parse_column(&row, 1, "cash")?);
    }
    let sql = "SELECT account_id, symbol, quantity FROM venue_positions";
    for row in query(sql).fetch_all(&mut *connection).await? {
        let key =
            (StorageError::parse_column(&row, 0, "account")?, StorageError::parse_column(&row, 1, "symbol")?);
        stored.positions.insert(key, StorageError::parse_column(&row, 2, "quantity")?);
    }
    for row in query("SELECT symbol FROM venue_halts").fetch_all(&mut *connection).await? {
        stored.halted.insert(StorageError::parse_column(&row, 0, "symbol")?);
    }
    let last: Option<i64> =
        query_scalar("SELECT MAX(seq) FROM venue_orders").fetch_one(&mut *connection).await?;
    stored.last_seq = last.unwrap_or(0);
    let open = Which { filter: "status IN ('arriving', 'waiting', 'open')", values: &[] };
    stored.orders = orders(connection, open).await?;
    Ok(stored)
}

/// An order by the id that it was placed with.
pub(super) async fn find(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<VenueOrder>, StorageError> {
    let values = [account.to_string(), client_order_id.to_owned()];
    let which = Which { filter: "account_id = $1 AND client_order_id = $2", values: &values };
    Ok(orders(connection, which).await?.pop_first().map(|(_, order)| order))
}

/// An order by its number.
pub(super) async fn find_by_seq(
    connection: &mut Connection,
    seq: i64,
) -> Result<Option<VenueOrder>, StorageError> {
    let which = Which { filter: "id = $1", values: &[order_id(seq)] };
    Ok(orders(connection, which).await?.pop_first().map(|(_, order)| order))
}

/// Whether an account has used a client order id.
pub(super) async fn exists(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<bool, StorageError> {
    let found: Option<i64> =
        query_scalar("SELECT seq FROM venue_orders WHERE account_id = $1 AND client_order_id = $2")
            .bind(account.to_string())
            .bind(client_order_id)
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// The open orders of an account, oldest first.
pub(super) async fn open_orders(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Vec<BrokerOrder>, StorageError> {
    let values = [account.to_string()];
    let which =
        Which { filter: "account_id = $1 AND status IN ('arriving', 'waiting', 'open')", values: &values };
    let orders = orders(connection, which).await?;
    Ok(orders.values().map(VenueOrder::as_broker_order).collect())
}

/// A condition on orders, and the values in it.
#[derive(Clone, Copy)]
struct Which<'a> {
    filter: &'static str,
    values: &'a [String],
}

/// Orders with their executions as they stand, by number.
async fn orders(
    connection: &mut Connection,
    which: Which<'_>,
) -> Result<BTreeMap<i64, VenueOrder>, StorageError> {
    let sql = format!(concat!("SELECT ", order_columns!(), " FROM venue_orders WHERE {}"), which.filter);
    let mut orders = BTreeMap::new();
    for row in fetch(connection, sql, which.values).await? {
        let order = read_order(&row)?;
        orders.insert(order.seq, order);
    }
    let sql = format!(
        "SELECT o.seq, {REPORT_COLUMNS} FROM venue_orders o JOIN venue_executions e ON e.order_id = o.id \
         WHERE o.id IN (SELECT id FROM venue_orders WHERE {}) ORDER BY e.rowid",
        which.filter
    );
    for row in fetch(connection, sql, which.values).await? {
        let seq: i64 = row.try_get(0)?;
        let event = read_event(&row, 1)?;
        if let Some(order) = orders.get_mut(&seq) {
            order.count(&event);
        }
    }
    Ok(orders)
}

async fn fetch(
    connection: &mut Connection,
    sql: String,
    values: &[String],
) -> Result<Vec<Row>, StorageError> {
    // Only fixed texts are put together; what varies is bound.
    let mut asked = query(sqlx::AssertSqlSafe(sql));
    for value in values {
        asked = asked.bind(value.as_str());
    }
    Ok(asked.fetch_all(connection).await?)
}

fn read_order(row: &Row) -> Result<VenueOrder, StorageError> {
    let price = |column: usize, what: &'static str| -> Result<Option<Price>, StorageError> {
        let text: Option<String> = row.try_get(column)?;
        text.map(|text| StorageError::parse(what, &text)).transpose()
    };
    let time = |column: usize| -> Result<Option<Timestamp>, StorageError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(from_micros))
    };
    let trail: Option<String> = row.try_get(11)?;
    let trail = trail.map(|text| serde_json::from_str::<Trail>(&text)).transpose();
    let trail = trail.map_err(|error| StorageError::Unreadable { what: "trail", why: error.to_string() })?;
    let status: String = row.try_get(13)?;
    let status = VenueStatus::ALL.into_iter().find(|one| one.as_str() == status);
    let status = status.ok_or_else(|| StorageError::Unreadable {
        what: "order status",
        why: "the venue has no such status".to_owned(),
    })?;
    let replaces: Option<i64> = row.try_get(24)?;
    let replaces = match replaces {
        Some(seq) => Some((seq, StorageError::parse_column(row, 25, "filled quantity")?)),
        None => None,
    };
    let refusal: Option<String> = row.try_get(27)?;
    let refusal = match refusal {
        Some(reason) => {
            let reason: Reason = StorageError::parse("reason", &reason)?;
            Some(Refusal::new(reason, row.try_get::<String, _>(28)?))
        }
        None => None,
    };
    Ok(VenueOrder {
        seq: row.try_get(1)?,
        account: StorageError::parse_column(row, 2, "account")?,
        client_order_id: row.try_get(3)?,
        terms: Terms {
            symbol: StorageError::parse_column(row, 4, "symbol")?,
            side: StorageError::parse_column(row, 5, "side")?,
            kind: StorageError::parse_column(row, 6, "order type")?,
            time_in_force: StorageError::parse_column(row, 7, "time in force")?,
            quantity: StorageError::parse_column(row, 8, "quantity")?,
            limit_price: price(9, "limit price")?,
            stop_price: price(10, "stop price")?,
            trail,
            extended_hours: row.try_get::<i64, _>(12)? != 0,
        },
        status,
        filled: StorageError::parse_column(row, 14, "filled quantity")?,
        priority: row.try_get(15)?,
        queue_ahead: StorageError::parse_column(row, 16, "queue")?,
        met: row.try_get::<i64, _>(17)? != 0,
        best: price(18, "best price")?,
        reserve_price: StorageError::parse_column(row, 19, "reserve price")?,
        raw_fees: StorageError::parse_column(row, 20, "fees")?,
        arrives_at: from_micros(row.try_get(21)?),
        cancel_at: time(22)?,
        expires_at: time(23)?,
        replaces,
        replaced_by: row.try_get(26)?,
        refusal,
        placed_at: from_micros(row.try_get(29)?),
        fills: Vec::new(),
        reports: 0,
    })
}

const REPORT_COLUMNS: &str = "e.kind, e.about, e.id, e.price, e.quantity, e.fee, e.at";

/// Executions, corrections and busts of an account since a moment, oldest first.
pub(super) async fn executions(
    connection: &mut Connection,
    account: AccountId,
    since: Timestamp,
) -> Result<Vec<Execution>, StorageError> {
    let sql = format!(
        "SELECT o.client_order_id, o.id, o.symbol, o.side, {REPORT_COLUMNS} FROM venue_executions e \
         JOIN venue_orders o ON o.id = e.order_id \
         WHERE e.account_id = $1 AND e.reported_at >= $2 ORDER BY e.rowid"
    );
    // Only fixed texts are put together; what varies is bound.
    let asked = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string()).bind(micros(since));
    let rows = asked.fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Execution {
                client_order_id: row.try_get(0)?,
                broker_order_id: row.try_get(1)?,
                symbol: StorageError::parse_column(row, 2, "symbol")?,
                side: StorageError::parse_column(row, 3, "side")?,
                event: read_event(row, 4)?,
            })
        })
        .collect()
}

/// Reads [`REPORT_COLUMNS`], from column `first` on.
fn read_event(row: &Row, first: usize) -> Result<OrderEvent, StorageError> {
    let kind: String = row.try_get(first)?;
    let about = |column| -> Result<String, StorageError> { Ok(row.try_get(column)?) };
    let fill = || -> Result<Fill, StorageError> {
        Ok(Fill {
            execution_id: row.try_get(first + 2)?,
            price: StorageError::parse_column(row, first + 3, "price")?,
            quantity: StorageError::parse_column(row, first + 4, "quantity")?,
            fee: StorageError::parse_column(row, first + 5, "fee")?,
            at: from_micros(row.try_get(first + 6)?),
        })
    };
    match kind.as_str() {
        "filled" => Ok(OrderEvent::Filled(fill()?)),
        "corrected" => Ok(OrderEvent::Corrected { execution_id: about(first + 1)?, by: fill()? }),
        "busted" => Ok(OrderEvent::Busted { execution_id: about(first + 1)? }),
        other => Err(StorageError::Unreadable { what: "kind of execution", why: other.to_owned() }),
    }
}

/// Cash and positions of an account.
pub(super) async fn balances(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Balances, StorageError> {
    let cash: Option<String> = query_scalar("SELECT cash FROM venue_accounts WHERE id = $1")
        .bind(account.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let cash = cash.map_or(Ok(Money::ZERO), |text| StorageError::parse("cash", &text))?;
    let sql = "SELECT symbol, quantity FROM venue_positions WHERE account_id = $1 ORDER BY symbol";
    let rows = query(sql).bind(account.to_string()).fetch_all(connection).await?;
    let read = |row: &Row| -> Result<(Symbol, Quantity), StorageError> {
        Ok((StorageError::parse_column(row, 0, "symbol")?, StorageError::parse_column(row, 1, "quantity")?))
    };
    let positions = rows.iter().map(read).collect::<Result<_, StorageError>>()?;
    Ok(Balances { cash, positions })
}
