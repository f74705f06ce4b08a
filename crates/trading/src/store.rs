//! The SQL of orders, the order journal, and fills.

use std::collections::BTreeMap;

use domain::{
    AccountId, AuditEntry, Fill, Money, Order, OrderEvent, OrderId, OrderRequest, Position, Price, Quantity,
    Side, Symbol, Timestamp, from_micros, micros,
};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query, query_scalar};

use crate::book::Live;

/// Which orders to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderScope {
    /// Every one.
    #[default]
    All,
    /// Those that are not at their end.
    Open,
    /// Those at their end.
    Closed,
}

/// Which orders to list; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// On one account; otherwise on all that may be seen.
    pub account: Option<AccountId>,
    /// Of one instrument.
    pub symbol: Option<Symbol>,
    /// Open, closed or all.
    pub scope: OrderScope,
}

/// Which fills to list; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub struct FillFilter {
    /// On one account; otherwise on all that may be seen.
    pub account: Option<AccountId>,
    /// Of one instrument.
    pub symbol: Option<Symbol>,
}

/// A row of the order journal.
#[derive(Clone, Debug)]
pub struct JournalRow {
    /// 1, 2, … within the order.
    pub seq: u64,
    /// When it was journaled.
    pub at: Timestamp,
    /// What happened.
    pub event: OrderEvent,
}

/// A fill as it was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedFill {
    /// On which account.
    pub account: AccountId,
    /// 1, 2, … within the account.
    pub seq: i64,
    /// Of which order.
    pub order: OrderId,
    /// Of what.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// What was executed.
    pub fill: Fill,
    /// Profit it realised, less its fee.
    pub realised_pnl: Money,
}

/// One event to journal, with the order after it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) order: Order,
    pub(crate) event: OrderEvent,
    pub(crate) at: Timestamp,
    pub(crate) booked: Option<BookedFill>,
}

/// The router's lease was taken by a newer one: it may not write any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("another router has taken over the account")]
    Fenced,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

const ORDER_COLUMNS: &str = "id, account_id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, \
     reserve_price, submitted_by, created_at, updated_at, status, broker_order_id, attempts, filled, filled_notional, \
     fees, reason, version";

/// Takes the account over: every router that took it before is fenced off from now on.
pub(crate) async fn next_epoch(tx: &mut Tx, account: AccountId) -> Result<i64, StorageError> {
    let sql = "UPDATE accounts SET router_epoch = router_epoch + 1 WHERE id = $1 RETURNING router_epoch";
    Ok(query_scalar(sql).bind(account.to_string()).fetch_one(tx.sql()).await?)
}

/// What became of an order that was to be inserted.
pub(crate) enum Inserted {
    Yes,
    /// There is one with this client order id.
    Exists(Box<Order>),
}

/// An accepted order that is to be made durable.
pub(crate) struct Intent {
    pub(crate) order: Order,
    pub(crate) reserve_price: Price,
    /// Its audit row.
    pub(crate) entry: AuditEntry,
}

/// Inserts accepted orders of one account, each if its client order id is new, and records those that were. All only if
/// the router's lease still holds.
pub(crate) async fn insert(
    tx: &mut Tx,
    account: AccountId,
    intents: &[Intent],
    epoch: i64,
) -> Result<Vec<Inserted>, JournalError> {
    let mut new = 0;
    for intents in at_once(intents) {
        new += insert_rows(tx, account, intents, epoch).await?;
    }
    let mut outcomes = Vec::with_capacity(intents.len());
    for Intent { order, entry, .. } in intents {
        // Asking which ones are new costs more than inserting them, and hardly ever is one not.
        if new == intents.len() || is_there(tx, order.id).await? {
            tx.record(entry.clone());
            outcomes.push(Inserted::Yes);
            continue;
        }
        match by_client_id(tx.sql(), account, &order.request.client_order_id).await? {
            Some(existing) => outcomes.push(Inserted::Exists(Box::new(existing))),
            None => return Err(JournalError::Fenced),
        }
    }
    Ok(outcomes)
}

async fn is_there(tx: &mut Tx, id: OrderId) -> Result<bool, StorageError> {
    let found: Option<i64> = query_scalar("SELECT version FROM orders WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(tx.sql())
        .await?;
    Ok(found.is_some())
}

/// Inserts some orders with one statement and returns how many of them are new.
async fn insert_rows(
    tx: &mut Tx,
    account: AccountId,
    intents: &[Intent],
    epoch: i64,
) -> Result<usize, StorageError> {
    const COLUMNS: usize = 12;
    let sql = format!(
        "INSERT INTO orders (account_id, id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, \
         reserve_price, submitted_by, created_at, updated_at, status, is_open, attempts, filled, filled_notional, fees, \
         version) \
         SELECT $1, v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, \
         v.column10, v.column11, v.column11, v.column12, 1, 0, '0', '0', '0', 0 FROM (VALUES {}) AS v \
         WHERE EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND router_epoch = $2) \
         ON CONFLICT (account_id, client_order_id) DO NOTHING",
        placeholders(intents.len(), COLUMNS, 3)
    );
    let mut insert = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string()).bind(epoch);
    for Intent { order, reserve_price, .. } in intents {
        let request = &order.request;
        insert = insert
            .bind(order.id.to_string())
            .bind(request.client_order_id.as_str())
            .bind(request.symbol.as_str())
            .bind(request.side.as_str())
            .bind(request.kind.as_str())
            .bind(request.time_in_force.as_str())
            .bind(request.quantity.to_string())
            .bind(request.limit_price.map(|price| price.to_string()))
            .bind(reserve_price.to_string())
            .bind(order.submitted_by.as_str())
            .bind(micros(order.created_at))
            .bind(order.status.as_str());
    }
    let done = insert.execute(tx.sql()).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// Cuts rows into pieces whose lengths are powers of two, so that there are few different statements and each stays
/// prepared.
fn at_once<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1 << rows.len().checked_ilog2()?.min(6);
        let (piece, rest) = rows.split_at(length);
        rows = rest;
        Some(piece)
    })
}

/// `($3, $4), ($5, $6)`: rows of values, numbered from `first`.
fn placeholders(rows: usize, columns: usize, first: usize) -> String {
    let row = |row: usize| {
        let values: Vec<String> =
            (0..columns).map(|column| format!("${}", first + row * columns + column)).collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Writes events to the journal and the orders as they are after them.
///
/// Events of one order follow each other in `changes`.
pub(crate) async fn journal(
    tx: &mut Tx,
    account: AccountId,
    epoch: i64,
    changes: &[Change],
) -> Result<(), JournalError> {
    let current: i64 = query_scalar("SELECT router_epoch FROM accounts WHERE id = $1")
        .bind(account.to_string())
        .fetch_one(tx.sql())
        .await?;
    if current != epoch {
        return Err(JournalError::Fenced);
    }
    for changes in at_once(changes) {
        insert_events(tx, changes, epoch).await?;
    }
    for booked in changes.iter().filter_map(|change| change.booked.as_ref()) {
        insert_fill(tx, booked).await?;
    }
    let is_last =
        |nth: usize| !changes[nth + 1..].iter().any(|later| later.order.id == changes[nth].order.id);
    let orders: Vec<&Order> =
        (0..changes.len()).filter(|nth| is_last(*nth)).map(|nth| &changes[nth].order).collect();
    for orders in at_once(&orders) {
        update(tx, orders).await?;
    }
    Ok(())
}

async fn insert_events(tx: &mut Tx, changes: &[Change], epoch: i64) -> Result<(), StorageError> {
    let sql = format!(
        "INSERT INTO order_events (order_id, seq, at, kind, detail, epoch) VALUES {}",
        placeholders(changes.len(), 6, 1)
    );
    let mut insert = query(sqlx::AssertSqlSafe(sql));
    for change in changes {
        let detail = serde_json::to_string(&change.event)
            .map_err(|e| StorageError::Unreadable { what: "order event", why: e.to_string() })?;
        insert = insert
            .bind(change.order.id.to_string())
            .bind(change.order.version.cast_signed())
            .bind(micros(change.at))
            .bind(change.event.kind())
            .bind(detail)
            .bind(epoch);
    }
    insert.execute(tx.sql()).await?;
    Ok(())
}

async fn insert_fill(tx: &mut Tx, booked: &BookedFill) -> Result<(), StorageError> {
    query(
        "INSERT INTO fills (account_id, seq, execution_id, order_id, symbol, side, price, quantity, fee, \
         realised_pnl, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(booked.account.to_string())
    .bind(booked.seq)
    .bind(booked.fill.execution_id.as_str())
    .bind(booked.order.to_string())
    .bind(booked.symbol.as_str())
    .bind(booked.side.as_str())
    .bind(booked.fill.price.to_string())
    .bind(booked.fill.quantity.to_string())
    .bind(booked.fill.fee.to_string())
    .bind(booked.realised_pnl.to_string())
    .bind(micros(booked.fill.at))
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn update(tx: &mut Tx, orders: &[&Order]) -> Result<(), StorageError> {
    let sql = format!(
        "UPDATE orders SET updated_at = v.column2, status = v.column3, is_open = v.column4, broker_order_id = v.column5, \
         attempts = v.column6, filled = v.column7, filled_notional = v.column8, fees = v.column9, reason = v.column10, \
         version = v.column11 FROM (VALUES {}) AS v WHERE orders.id = v.column1",
        placeholders(orders.len(), 11, 1)
    );
    let mut update = query(sqlx::AssertSqlSafe(sql));
    for order in orders {
        update = update
            .bind(order.id.to_string())
            .bind(micros(order.updated_at))
            .bind(order.status.as_str())
            .bind(i64::from(!order.status.is_terminal()))
            .bind(order.broker_order_id.as_deref())
            .bind(i64::from(order.attempts))
            .bind(order.filled.to_string())
            .bind(order.filled_notional.to_string())
            .bind(order.fees.to_string())
            .bind(order.reason.as_deref())
            .bind(order.version.cast_signed());
    }
    update.execute(tx.sql()).await?;
    Ok(())
}

async fn by_client_id(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<Order>, StorageError> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = $1 AND client_order_id = $2");
    let row = query(sqlx::AssertSqlSafe(sql))
        .bind(account.to_string())
        .bind(client_order_id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(read_order(&row)?.order)).transpose()
}

/// The order that used a client order id on an account, if one did.
pub(crate) async fn used(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<Order>, StorageError> {
    by_client_id(connection, account, client_order_id).await
}

/// One order, with the execution ids that are booked on it.
pub(crate) async fn load(connection: &mut Connection, id: OrderId) -> Result<Option<Live>, StorageError> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = $1");
    let row = query(sqlx::AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let mut live = read_order(&row)?;
    with_executions(connection, &mut live).await?;
    Ok(Some(live))
}

/// The orders of an account that are not at their end, oldest first.
pub(crate) async fn load_open(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Vec<Live>, StorageError> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = $1 AND is_open = 1 ORDER BY id");
    let rows = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string()).fetch_all(&mut *connection).await?;
    let mut open = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut live = read_order(row)?;
        if live.order.filled.is_positive() {
            with_executions(connection, &mut live).await?;
        }
        open.push(live);
    }
    Ok(open)
}

async fn with_executions(connection: &mut Connection, live: &mut Live) -> Result<(), StorageError> {
    let sql = "SELECT execution_id FROM fills WHERE order_id = $1";
    let ids: Vec<String> = query_scalar(sql).bind(live.order.id.to_string()).fetch_all(connection).await?;
    live.executions.extend(ids);
    Ok(())
}

/// The positions of an account, the number of its fills and the time of the newest: the fold over all of them.
pub(crate) async fn fold_fills(
    connection: &mut Connection,
    account: AccountId,
) -> Result<(BTreeMap<Symbol, Position>, i64, Option<Timestamp>), StorageError> {
    let mut positions: BTreeMap<Symbol, Position> = BTreeMap::new();
    let (mut last_seq, mut newest) = (0, None);
    loop {
        let sql = "SELECT seq, symbol, side, price, quantity, fee, at, execution_id FROM fills \
                   WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT 5000";
        let rows = query(sql).bind(account.to_string()).bind(last_seq).fetch_all(&mut *connection).await?;
        for row in &rows {
            let symbol: Symbol = StorageError::parse_column(row, 1, "symbol")?;
            let (price, quantity) = (
                StorageError::parse_column(row, 3, "price")?,
                StorageError::parse_column(row, 4, "quantity")?,
            );
            let at = from_micros(row.try_get(6)?);
            positions.entry(symbol).or_default().apply(
                StorageError::parse_column(row, 2, "side")?,
                price,
                quantity,
                StorageError::parse_column(row, 5, "fee")?,
                at,
                row.try_get::<&str, _>(7)?,
            );
            last_seq = row.try_get(0)?;
            newest = newest.max(Some(at));
        }
        if rows.is_empty() {
            return Ok((positions, last_seq, newest));
        }
    }
}

/// Orders of one account, newest first, after (older than) `before`.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &OrderFilter,
    before: Option<OrderId>,
    limit: usize,
) -> Result<Vec<Order>, StorageError> {
    // UUIDs of version 7 sort by the time they were made, as text too.
    let sql = format!(
        "SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = $1 AND ($2 = '' OR symbol = $2) \
         AND ($3 = -1 OR is_open = $3) AND ($4 = '' OR id < $4) ORDER BY id DESC LIMIT $5"
    );
    let open: i64 = match filter.scope {
        OrderScope::All => -1,
        OrderScope::Open => 1,
        OrderScope::Closed => 0,
    };
    let rows = query(sqlx::AssertSqlSafe(sql))
        .bind(account.to_string())
        .bind(filter.symbol.as_ref().map_or("", Symbol::as_str))
        .bind(open)
        .bind(before.map_or(String::new(), |id| id.to_string()))
        .bind(limit.cast_signed() as i64)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(read_order(row)?.order)).collect()
}

/// The account of an order.
pub(crate) async fn account_of(
    connection: &mut Connection,
    id: OrderId,
) -> Result<Option<AccountId>, StorageError> {
    let account: Option<String> = query_scalar("SELECT account_id FROM orders WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    account.map(|text| StorageError::parse("account id", &text)).transpose()
}

/// The journal of an order, oldest first.
pub(crate) async fn events(
    connection: &mut Connection,
    id: OrderId,
) -> Result<Vec<JournalRow>, StorageError> {
    let sql = "SELECT seq, at, detail FROM order_events WHERE order_id = $1 ORDER BY seq";
    let rows = query(sql).bind(id.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let detail: String = row.try_get(2)?;
            let event = serde_json::from_str(&detail)
                .map_err(|e| StorageError::Unreadable { what: "order event", why: e.to_string() })?;
            Ok(JournalRow {
                seq: row.try_get::<i64, _>(0)?.cast_unsigned(),
                at: from_micros(row.try_get(1)?),
                event,
            })
        })
        .collect()
}

/// Fills of one account, newest first, after (older than) `before`, as time and number.
pub(crate) async fn fills(
    connection: &mut Connection,
    account: AccountId,
    filter: &FillFilter,
    before: Option<(Timestamp, i64)>,
    limit: usize,
) -> Result<Vec<BookedFill>, StorageError> {
    let sql = "SELECT seq, execution_id, order_id, symbol, side, price, quantity, fee, realised_pnl, at FROM fills \
               WHERE account_id = $1 AND ($2 = '' OR symbol = $2) AND ($3 < 0 OR at < $3 OR (at = $3 AND seq < $4)) \
               ORDER BY at DESC, seq DESC LIMIT $5";
    let (before_at, before_seq) = before.map_or((-1, 0), |(at, seq)| (micros(at), seq));
    let rows = query(sql)
        .bind(account.to_string())
        .bind(filter.symbol.as_ref().map_or("", Symbol::as_str))
        .bind(before_at)
        .bind(before_seq)
        .bind(limit.cast_signed() as i64)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(BookedFill {
                account,
                seq: row.try_get(0)?,
                order: StorageError::parse_column(row, 2, "order id")?,
                symbol: StorageError::parse_column(row, 3, "symbol")?,
                side: StorageError::parse_column(row, 4, "side")?,
                fill: Fill {
                    execution_id: row.try_get(1)?,
                    price: StorageError::parse_column(row, 5, "price")?,
                    quantity: StorageError::parse_column(row, 6, "quantity")?,
                    fee: StorageError::parse_column(row, 7, "fee")?,
                    at: from_micros(row.try_get(9)?),
                },
                realised_pnl: StorageError::parse_column(row, 8, "profit")?,
            })
        })
        .collect()
}

fn read_order(row: &Row) -> Result<Live, StorageError> {
    let limit_price: Option<String> = row.try_get(8)?;
    let order = Order {
        id: StorageError::parse_column(row, 0, "order id")?,
        account: StorageError::parse_column(row, 1, "account id")?,
        request: OrderRequest {
            client_order_id: row.try_get(2)?,
            symbol: StorageError::parse_column(row, 3, "symbol")?,
            side: StorageError::parse_column(row, 4, "side")?,
            kind: StorageError::parse_column(row, 5, "order type")?,
            time_in_force: StorageError::parse_column(row, 6, "time in force")?,
            quantity: StorageError::parse_column(row, 7, "quantity")?,
            limit_price: limit_price.map(|text| StorageError::parse("limit price", &text)).transpose()?,
        },
        submitted_by: row.try_get(10)?,
        created_at: from_micros(row.try_get(11)?),
        updated_at: from_micros(row.try_get(12)?),
        status: StorageError::parse_column(row, 13, "order status")?,
        broker_order_id: row.try_get(14)?,
        attempts: u32::try_from(row.try_get::<i64, _>(15)?).unwrap_or(u32::MAX),
        filled: StorageError::parse_column::<Quantity>(row, 16, "filled quantity")?,
        filled_notional: StorageError::parse_column(row, 17, "filled notional")?,
        fees: StorageError::parse_column(row, 18, "fees")?,
        reason: row.try_get(19)?,
        version: row.try_get::<i64, _>(20)?.cast_unsigned(),
    };
    Ok(Live::new(order, StorageError::parse_column(row, 9, "reserve price")?))
}

/// What the account had in cash before its first fill; `None` until the broker told it.
pub(crate) async fn opening_cash(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Option<Money>, StorageError> {
    let cash: Option<String> = query_scalar("SELECT opening_cash FROM accounts WHERE id = $1")
        .bind(account.to_string())
        .fetch_one(connection)
        .await?;
    cash.map(|text| StorageError::parse("opening cash", &text)).transpose()
}

/// Keeps what the account had in cash before its first fill.
pub(crate) async fn set_opening_cash(
    tx: &mut Tx,
    account: AccountId,
    cash: Money,
) -> Result<(), StorageError> {
    query("UPDATE accounts SET opening_cash = $2 WHERE id = $1")
        .bind(account.to_string())
        .bind(cash.to_string())
        .execute(tx.sql())
        .await?;
    Ok(())
}
