//! The SQL of the paper venue's book.

use domain::{AccountId, Fill, Money, Price, Quantity, Symbol, Timestamp, from_micros, micros};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query, query_scalar};

use super::matching::Resting;
use crate::broker::{Balances, BrokerOrder, BrokerStatus, Execution};

/// Where an order stands at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VenueStatus {
    Open,
    Filled,
    Canceled,
    Expired,
}

impl VenueStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

pub(super) type WriteError = StorageError;

/// What one batch changed: orders as they are after it, in the order of their first change, and executions.
#[derive(Default)]
pub(super) struct Rows {
    orders: Vec<(Resting, VenueStatus)>,
    executions: Vec<(Resting, Fill)>,
    holdings: Vec<(AccountId, Money, Symbol, Quantity)>,
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.executions.is_empty()
    }

    /// Whether the batch places an order with this client order id.
    pub(super) fn has(&self, account: AccountId, client_order_id: &str) -> bool {
        self.orders
            .iter()
            .any(|(order, _)| order.account == account && order.client_order_id == client_order_id)
    }

    pub(super) fn order(&mut self, order: &Resting, status: VenueStatus) {
        match self.orders.iter_mut().find(|(known, _)| known.id == order.id) {
            Some(known) => *known = (order.clone(), status),
            None => self.orders.push((order.clone(), status)),
        }
    }

    pub(super) fn execution(&mut self, order: &Resting, fill: &Fill) {
        self.executions.push((order.clone(), fill.clone()));
    }

    pub(super) fn holdings(&mut self, account: AccountId, cash: Money, symbol: &Symbol, quantity: Quantity) {
        self.holdings.retain(|(a, _, s, _)| !(*a == account && s == symbol));
        self.holdings.push((account, cash, symbol.clone(), quantity));
    }

    /// Writes everything.
    pub(super) async fn write(self, tx: &mut Tx) -> Result<(), WriteError> {
        for (order, status) in &self.orders {
            write_order(tx, order, *status).await?;
        }
        for (order, fill) in &self.executions {
            query(
                "INSERT INTO venue_executions (id, order_id, account_id, price, quantity, fee, at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(fill.execution_id.as_str())
            .bind(order.id.as_str())
            .bind(order.account.to_string())
            .bind(fill.price.to_string())
            .bind(fill.quantity.to_string())
            .bind(fill.fee.to_string())
            .bind(micros(fill.at))
            .execute(tx.sql())
            .await?;
        }
        for (account, cash, symbol, quantity) in &self.holdings {
            query("UPDATE venue_accounts SET cash = $2 WHERE id = $1")
                .bind(account.to_string())
                .bind(cash.to_string())
                .execute(tx.sql())
                .await?;
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
        Ok(())
    }
}

async fn write_order(tx: &mut Tx, order: &Resting, status: VenueStatus) -> Result<(), StorageError> {
    query(
        "INSERT INTO venue_orders (id, seq, account_id, client_order_id, symbol, side, kind, time_in_force, quantity, \
         limit_price, filled, queue_ahead, status, placed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (id) DO UPDATE SET filled = excluded.filled, queue_ahead = excluded.queue_ahead, \
         status = excluded.status",
    )
    .bind(order.id.as_str())
    .bind(order.seq)
    .bind(order.account.to_string())
    .bind(order.client_order_id.as_str())
    .bind(order.symbol.as_str())
    .bind(order.side.as_str())
    .bind(order.kind.as_str())
    .bind(order.time_in_force.as_str())
    .bind(order.quantity.to_string())
    .bind(order.limit_price.map(|price| price.to_string()))
    .bind(order.filled.to_string())
    .bind(order.queue_ahead.to_string())
    .bind(status.as_str())
    .bind(micros(order.placed_at))
    .execute(tx.sql())
    .await?;
    Ok(())
}

pub(super) async fn open_account(tx: &mut Tx, account: AccountId, cash: Money) -> Result<(), StorageError> {
    query("INSERT INTO venue_accounts (id, cash) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(account.to_string())
        .bind(cash.to_string())
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn accounts(connection: &mut Connection) -> Result<Vec<(AccountId, Money)>, StorageError> {
    let rows = query("SELECT id, cash FROM venue_accounts").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok((StorageError::parse_column(row, 0, "account")?, StorageError::parse_column(row, 1, "cash")?))
        })
        .collect()
}

pub(super) async fn positions(
    connection: &mut Connection,
) -> Result<Vec<(AccountId, Symbol, Quantity)>, StorageError> {
    let rows =
        query("SELECT account_id, symbol, quantity FROM venue_positions").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok((
                StorageError::parse_column(row, 0, "account")?,
                StorageError::parse_column(row, 1, "symbol")?,
                StorageError::parse_column(row, 2, "quantity")?,
            ))
        })
        .collect()
}

pub(super) async fn last_seq(connection: &mut Connection) -> Result<i64, StorageError> {
    let last: Option<i64> = query_scalar("SELECT MAX(seq) FROM venue_orders").fetch_one(connection).await?;
    Ok(last.unwrap_or(0))
}

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

/// Orders that work, in the order of their arrival.
pub(super) async fn open_orders(connection: &mut Connection) -> Result<Vec<Resting>, StorageError> {
    let sql = "SELECT id, seq, account_id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, \
               filled, queue_ahead, placed_at FROM venue_orders WHERE status = 'open' ORDER BY seq";
    let rows = query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let limit_price: Option<String> = row.try_get(9)?;
            let limit_price =
                limit_price.map(|text| StorageError::parse("limit price", &text)).transpose()?;
            Ok(Resting {
                id: row.try_get(0)?,
                seq: row.try_get(1)?,
                account: StorageError::parse_column(row, 2, "account")?,
                client_order_id: row.try_get(3)?,
                symbol: StorageError::parse_column(row, 4, "symbol")?,
                side: StorageError::parse_column(row, 5, "side")?,
                kind: StorageError::parse_column(row, 6, "order type")?,
                time_in_force: StorageError::parse_column(row, 7, "time in force")?,
                quantity: StorageError::parse_column(row, 8, "quantity")?,
                limit_price,
                reserve_price: limit_price.unwrap_or_default(),
                filled: StorageError::parse_column(row, 10, "filled quantity")?,
                queue_ahead: StorageError::parse_column(row, 11, "queue")?,
                placed_at: from_micros(row.try_get(12)?),
            })
        })
        .collect()
}

/// An order with its executions.
pub(super) async fn find(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<BrokerOrder>, StorageError> {
    let sql = "SELECT id, status FROM venue_orders WHERE account_id = $1 AND client_order_id = $2";
    let row =
        query(sql).bind(account.to_string()).bind(client_order_id).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let id: String = row.try_get(0)?;
    let status: String = row.try_get(1)?;
    let status = match status.as_str() {
        "open" => BrokerStatus::Open,
        "filled" => BrokerStatus::Filled,
        "canceled" => BrokerStatus::Canceled,
        "expired" => BrokerStatus::Expired,
        other => return Err(StorageError::Unreadable { what: "order status", why: other.to_owned() }),
    };
    let sql = "SELECT id, price, quantity, fee, at FROM venue_executions WHERE order_id = $1 ORDER BY at, id";
    let rows = query(sql).bind(id.as_str()).fetch_all(connection).await?;
    let fills = rows.iter().map(|row| read_fill(row, 0)).collect::<Result<_, _>>()?;
    Ok(Some(BrokerOrder { broker_order_id: id, status, fills }))
}

pub(super) async fn executions(
    connection: &mut Connection,
    account: AccountId,
    since: Timestamp,
) -> Result<Vec<Execution>, StorageError> {
    let sql = "SELECT o.client_order_id, e.id, e.price, e.quantity, e.fee, e.at FROM venue_executions e \
               JOIN venue_orders o ON o.id = e.order_id WHERE e.account_id = $1 AND e.at >= $2 ORDER BY e.at, e.id";
    let rows = query(sql).bind(account.to_string()).bind(micros(since)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(Execution { client_order_id: row.try_get(0)?, fill: read_fill(row, 1)? }))
        .collect()
}

pub(super) async fn balances(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Balances, StorageError> {
    let cash: Option<String> = query_scalar("SELECT cash FROM venue_accounts WHERE id = $1")
        .bind(account.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let cash = cash.map_or(Ok(Money::ZERO), |text| StorageError::parse("cash", &text))?;
    let sql = "SELECT symbol, quantity FROM venue_positions WHERE account_id = $1";
    let rows = query(sql).bind(account.to_string()).fetch_all(connection).await?;
    let positions = rows
        .iter()
        .map(|row| {
            Ok((
                StorageError::parse_column(row, 0, "symbol")?,
                StorageError::parse_column(row, 1, "quantity")?,
            ))
        })
        .collect::<Result<_, StorageError>>()?;
    Ok(Balances { cash, positions })
}

/// Reads id, price, quantity, fee and time, from column `first` on.
fn read_fill(row: &Row, first: usize) -> Result<Fill, StorageError> {
    Ok(Fill {
        execution_id: row.try_get(first)?,
        price: StorageError::parse_column::<Price>(row, first + 1, "price")?,
        quantity: StorageError::parse_column(row, first + 2, "quantity")?,
        fee: StorageError::parse_column(row, first + 3, "fee")?,
        at: from_micros(row.try_get(first + 4)?),
    })
}
