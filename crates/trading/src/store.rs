//! The SQL of orders, the order journal, and fills.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AccountId, AuditEntry, BookId, CostMethod, Fill, Money, Order, OrderClass, OrderEvent, OrderId,
    OrderRequest, Position, PositionFill, Price, Provenance, Quantity, Side, Size, Symbol, Timestamp,
    from_micros, micros,
};
use rustc_hash::FxHashMap;
use storage::{Connection, Places, Row, RowExt as _, StorageError, Tx, padded, query, query_scalar};

use crate::book::{BookChange, BookKey, History, Live, Moved, PastFill};
use crate::core::Author;

mod books;
mod equity;

pub(crate) use self::books::books;
pub(crate) use self::equity::{
    Series, equity, equity_since, expire_equity, insert_equity, newest_equities, newest_equity,
};

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
    /// Accepted after this moment.
    pub after: Option<Timestamp>,
    /// Accepted before this moment.
    pub until: Option<Timestamp>,
    /// The oldest first, and with a start those after it.
    pub oldest_first: bool,
}

/// Which fills to list; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub struct FillFilter {
    /// On one account; otherwise on all that may be seen.
    pub account: Option<AccountId>,
    /// Of one instrument.
    pub symbol: Option<Symbol>,
    /// Of one order.
    pub order: Option<OrderId>,
    /// Of one book.
    pub book: Option<BookId>,
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

/// What sort of booking a row of the fills is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingKind {
    /// An execution.
    Fill,
    /// An execution as the broker corrected it, in the place of another one.
    Correction,
    /// An execution taken back: its quantity and fee are below zero.
    Bust,
    /// Units moved between two books of the account, without an order.
    Transfer,
}

impl BookingKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Fill, Self::Correction, Self::Bust, Self::Transfer];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Correction => "correction",
            Self::Bust => "bust",
            Self::Transfer => "transfer",
        }
    }

    fn read(text: &str) -> Result<Self, StorageError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| StorageError::Unreadable { what: "kind of booking", why: text.to_owned() })
    }
}

/// A fill as it was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedFill {
    /// On which account.
    pub account: AccountId,
    /// 1, 2, … within the account.
    pub seq: i64,
    /// What sort of booking it is.
    pub kind: BookingKind,
    /// Of which order; `None` on transfers.
    pub order: Option<OrderId>,
    /// In which book; `None` is the account's own.
    pub book: Option<BookId>,
    /// Of what.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// What was executed.
    pub fill: Fill,
    /// The execution that this one corrects or takes back.
    pub corrects: Option<String>,
    /// Profit it realised in its book, less its fee.
    pub realised_pnl: Money,
}

impl BookedFill {
    /// Units and cash that it added to its book, below zero where it took them.
    pub(crate) fn moved(&self) -> (Quantity, Money) {
        let quantity = match self.side {
            Side::Buy => self.fill.quantity,
            Side::Sell => -self.fill.quantity,
        };
        (quantity, PositionFill::of(self.side, &self.fill).cash())
    }
}

/// Why money came or went without a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// Paid in.
    Deposit,
    /// Taken out.
    Withdrawal,
    /// The broker's cash is other than what is explained.
    Adjustment,
    /// Units came or went without a trade: their value, so that they are neither profit nor loss.
    Securities,
    /// From one book of the account to another.
    Transfer,
}

impl FlowKind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Deposit, Self::Withdrawal, Self::Adjustment, Self::Securities, Self::Transfer];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Adjustment => "adjustment",
            Self::Securities => "securities",
            Self::Transfer => "transfer",
        }
    }

    /// Whether the account as a whole has more or less after it.
    pub fn is_external(self) -> bool {
        self != Self::Transfer
    }

    fn read(text: &str) -> Result<Self, StorageError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| StorageError::Unreadable { what: "kind of flow", why: text.to_owned() })
    }
}

/// Money that came or went without a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// 1, 2, … within the account.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub kind: FlowKind,
    /// In which book; `None` is the account's own.
    pub book: Option<BookId>,
    /// Above zero came in.
    pub amount: Money,
    /// For people.
    pub detail: String,
}

/// An order that is new in the journal.
#[derive(Clone, Debug)]
pub(crate) struct NewOrder {
    pub(crate) order: Order,
    pub(crate) reserve_price: Price,
}

/// One event to journal, with the order after it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) order: Order,
    pub(crate) event: OrderEvent,
    pub(crate) at: Timestamp,
    /// What it booked: more than one row only when an execution is corrected.
    pub(crate) booked: Vec<BookedFill>,
}

/// Everything that one step of a router writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) inserts: Vec<NewOrder>,
    pub(crate) changes: Vec<Change>,
    /// Units that changed their book.
    pub(crate) transfers: Vec<BookedFill>,
    pub(crate) flows: Vec<Flow>,
    /// Books that are opened, closed, or reckoned in another way.
    pub(crate) books: Vec<BookChange>,
    pub(crate) opening_cash: Option<Money>,
    pub(crate) entries: Vec<AuditEntry>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.inserts.is_empty()
            && self.changes.is_empty()
            && self.transfers.is_empty()
            && self.flows.is_empty()
            && self.books.is_empty()
            && self.opening_cash.is_none()
            && self.entries.is_empty()
    }

    /// Whether orders, money, units or books are other than before.
    pub(crate) fn changes_the_account(&self) -> bool {
        !(self.inserts.is_empty()
            && self.changes.is_empty()
            && self.transfers.is_empty()
            && self.flows.is_empty()
            && self.books.is_empty())
    }
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

/// Most rows in one statement.
const AT_ONCE: usize = 64;

const ORDER_COLUMNS: &str = "id, account_id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, \
     reserve_price, submitted_by, created_at, updated_at, status, broker_order_id, attempts, filled, filled_notional, \
     fees, reason, version, request, origin, book_id, parent_id, leg, replaces, replaced_by, reason_code, done_by_desk, \
     triggered, key_id";

/// Takes the account over: every router that took it before is fenced off from now on.
pub(crate) async fn next_epoch(tx: &mut Tx, account: AccountId) -> Result<i64, StorageError> {
    let sql = "UPDATE accounts SET router_epoch = router_epoch + 1 WHERE id = $1 RETURNING router_epoch";
    Ok(query_scalar(sql).bind(account.to_string()).fetch_one(tx.sql()).await?)
}

/// What became of an order that was to be inserted.
#[derive(Clone)]
pub(crate) enum Inserted {
    Yes,
    /// There is one with this client order id.
    Exists(Box<Order>),
}

/// An accepted order that is to be made durable, with those that come with it.
pub(crate) struct Intent {
    pub(crate) order: Order,
    pub(crate) reserve_price: Price,
    /// The orders it brings with it.
    pub(crate) legs: Vec<NewOrder>,
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
    let rows: Vec<(&Order, Price)> =
        intents.iter().map(|intent| (&intent.order, intent.reserve_price)).collect();
    let new = insert_orders(tx, account, &rows, epoch).await?;
    let mut outcomes = Vec::with_capacity(intents.len());
    let mut legs = Vec::new();
    for Intent { order, entry, legs: theirs, .. } in intents {
        // Asking which ones are new costs more than inserting them, and hardly ever is one not.
        if new == intents.len() || is_there(tx, order.id).await? {
            tx.record(entry.clone());
            legs.extend(theirs.iter().map(|leg| (&leg.order, leg.reserve_price)));
            outcomes.push(Inserted::Yes);
            continue;
        }
        match by_client_id(tx.sql(), account, &order.request.client_order_id).await? {
            Some(existing) => outcomes.push(Inserted::Exists(Box::new(existing))),
            None => return Err(JournalError::Fenced),
        }
    }
    if insert_orders(tx, account, &legs, epoch).await? != legs.len() {
        return Err(JournalError::Fenced);
    }
    Ok(outcomes)
}

/// Inserts orders and returns how many of them are new.
async fn insert_orders(
    tx: &mut Tx,
    account: AccountId,
    orders: &[(&Order, Price)],
    epoch: i64,
) -> Result<usize, JournalError> {
    let mut new = 0;
    for orders in orders.chunks(AT_ONCE) {
        new += insert_rows(tx, account, orders, epoch).await?;
    }
    Ok(new)
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
    orders: &[(&Order, Price)],
    epoch: i64,
) -> Result<usize, StorageError> {
    const COLUMNS: usize = 23;
    let orders = padded(orders);
    let mut places = Places::on(tx.sql());
    let (owner, rows) = (places.one(), places.rows(orders.len(), COLUMNS));
    let (leased, lease) = (places.one(), places.one());
    let sql = format!(
        "INSERT INTO orders (account_id, id, client_order_id, symbol, side, kind, time_in_force, quantity, limit_price, \
         reserve_price, submitted_by, created_at, updated_at, status, request, origin, book_id, parent_id, leg, replaces, \
         done_by_desk, broker_order_id, strategy, key_id, is_open, attempts, filled, filled_notional, fees, version) \
         SELECT {owner}, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10, \
         v.column11, v.column12, v.column12, v.column13, v.column14, v.column15, v.column16, v.column17, v.column18, \
         v.column19, v.column20, v.column21, v.column22, v.column23, 1, 0, '0', '0', '0', 0 FROM (VALUES {rows}) AS v \
         WHERE v.column1 = 1 AND EXISTS (SELECT 1 FROM accounts WHERE id = {leased} AND router_epoch = {lease}) \
         ON CONFLICT (account_id, client_order_id) DO NOTHING"
    );
    let mut insert = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string());
    for (taken, (order, reserve_price)) in orders {
        let (request, provenance) = (&order.request, &order.provenance);
        insert = insert
            .bind(taken)
            .bind(order.id.to_string())
            .bind(request.client_order_id.as_str())
            .bind(request.symbol.as_str())
            .bind(request.side.as_str())
            .bind(request.kind.as_str())
            .bind(request.time_in_force.as_str())
            .bind(order.quantity.to_string())
            .bind(request.limit_price.map(|price| price.to_string()))
            .bind(reserve_price.to_string())
            .bind(provenance.submitted_by.as_str())
            .bind(micros(order.created_at))
            .bind(order.status.as_str())
            .bind(to_json("order request", request)?)
            .bind(provenance.origin.as_str())
            .bind(provenance.book.map(|book| book.to_string()))
            .bind(provenance.parent.map(|parent| parent.to_string()))
            .bind(provenance.leg.map(domain::Leg::as_str))
            .bind(provenance.replaces.map(|replaces| replaces.to_string()))
            .bind(provenance.done_by_desk.join(","))
            .bind(order.broker_order_id.as_deref())
            .bind(request.strategy.as_deref())
            .bind(provenance.key.map(|key| key.to_string()));
    }
    insert = insert.bind(account.to_string()).bind(epoch);
    let done = insert.execute(tx.sql()).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|e| StorageError::Unreadable { what, why: e.to_string() })
}

/// Writes what one step of a router changes: new orders, events with the orders as they are after them, money that
/// moved, and the audit rows. All only if the router's lease still holds.
///
/// Events of one order follow each other in `changes`.
pub(crate) async fn journal(
    tx: &mut Tx,
    account: AccountId,
    epoch: i64,
    batch: &Batch,
) -> Result<(), JournalError> {
    let current: i64 = query_scalar("SELECT router_epoch FROM accounts WHERE id = $1")
        .bind(account.to_string())
        .fetch_one(tx.sql())
        .await?;
    if current != epoch {
        return Err(JournalError::Fenced);
    }
    let inserts: Vec<(&Order, Price)> =
        batch.inserts.iter().map(|new| (&new.order, new.reserve_price)).collect();
    insert_orders(tx, account, &inserts, epoch).await?;
    let changes = &batch.changes;
    for changes in changes.chunks(AT_ONCE) {
        insert_events(tx, changes, epoch).await?;
    }
    for booked in changes.iter().flat_map(|change| &change.booked).chain(&batch.transfers) {
        insert_fill(tx, booked).await?;
    }
    for change in &batch.books {
        books::write(tx, account, change).await?;
    }
    let mut last: FxHashMap<OrderId, &Order> = FxHashMap::default();
    let mut order_of_change = Vec::new();
    for change in changes {
        if last.insert(change.order.id, &change.order).is_none() {
            order_of_change.push(change.order.id);
        }
    }
    let orders: Vec<&Order> = order_of_change.iter().filter_map(|id| last.get(id).copied()).collect();
    for orders in orders.chunks(AT_ONCE) {
        update(tx, orders).await?;
    }
    for flow in &batch.flows {
        insert_flow(tx, account, flow).await?;
    }
    if let Some(cash) = batch.opening_cash {
        set_opening_cash(tx, account, cash).await?;
    }
    for entry in &batch.entries {
        tx.record(entry.clone());
    }
    Ok(())
}

async fn insert_events(tx: &mut Tx, changes: &[Change], epoch: i64) -> Result<(), StorageError> {
    let changes = padded(changes);
    let sql = format!(
        "INSERT INTO order_events (order_id, seq, at, kind, detail, epoch) \
         SELECT v.column2, v.column3, v.column4, v.column5, v.column6, v.column7 FROM (VALUES {}) AS v WHERE v.column1 = 1",
        Places::on(tx.sql()).rows(changes.len(), 7)
    );
    let mut insert = query(sqlx::AssertSqlSafe(sql));
    for (taken, change) in changes {
        let detail = serde_json::to_string(&change.event)
            .map_err(|e| StorageError::Unreadable { what: "order event", why: e.to_string() })?;
        insert = insert
            .bind(taken)
            .bind(change.order.id.to_string())
            .bind(change.order.version.cast_signed())
            .bind(micros(change.at))
            .bind(change.event.kind().as_str())
            .bind(detail)
            .bind(epoch);
    }
    insert.execute(tx.sql()).await?;
    Ok(())
}

pub(crate) async fn insert_fill(tx: &mut Tx, booked: &BookedFill) -> Result<(), StorageError> {
    // A correction may have the id of what it corrects: only fills and transfers are unique by it.
    let execution_id = match booked.kind {
        BookingKind::Fill | BookingKind::Transfer => booked.fill.execution_id.clone(),
        BookingKind::Correction | BookingKind::Bust => format!("{}#{}", booked.fill.execution_id, booked.seq),
    };
    query(
        "INSERT INTO fills (account_id, seq, kind, execution_id, corrects, order_id, book_id, symbol, side, price, \
         quantity, fee, realised_pnl, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(booked.account.to_string())
    .bind(booked.seq)
    .bind(booked.kind.as_str())
    .bind(execution_id)
    .bind(booked.corrects.as_deref())
    .bind(booked.order.map(|order| order.to_string()))
    .bind(booked.book.map(|book| book.to_string()))
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

pub(crate) async fn insert_flow(tx: &mut Tx, account: AccountId, flow: &Flow) -> Result<(), StorageError> {
    query(
        "INSERT INTO flows (account_id, seq, at, kind, book_id, amount, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(account.to_string())
    .bind(flow.seq)
    .bind(micros(flow.at))
    .bind(flow.kind.as_str())
    .bind(flow.book.map(|book| book.to_string()))
    .bind(flow.amount.to_string())
    .bind(flow.detail.as_str())
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn update(tx: &mut Tx, orders: &[&Order]) -> Result<(), StorageError> {
    let orders = padded(orders);
    let sql = format!(
        "UPDATE orders SET updated_at = v.column3, status = v.column4, is_open = v.column5, broker_order_id = v.column6, \
         attempts = v.column7, filled = v.column8, filled_notional = v.column9, fees = v.column10, reason = v.column11, \
         version = v.column12, quantity = v.column13, replaced_by = v.column14, reason_code = v.column15, \
         triggered = v.column16, request = COALESCE(v.column17, request) \
         FROM (VALUES {}) AS v WHERE v.column1 = 1 AND orders.id = v.column2",
        Places::on(tx.sql()).rows(orders.len(), 17)
    );
    let mut update = query(sqlx::AssertSqlSafe(sql));
    for (taken, order) in orders {
        // Only what the broker restated has other terms than it was accepted with.
        let request = match order.is_restated {
            true => Some(to_json("order request", &order.request)?),
            false => None,
        };
        update = update
            .bind(taken)
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
            .bind(order.version.cast_signed())
            .bind(order.quantity.to_string())
            .bind(order.replaced_by.map(|by| by.to_string()))
            .bind(order.reason_code.map(domain::Reason::as_str))
            .bind(i64::from(order.is_triggered))
            .bind(request);
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

/// The order of an account that has a client order id, with the executions that are booked on it.
pub(crate) async fn load_named(
    connection: &mut Connection,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<Live>, StorageError> {
    let order = by_client_id(&mut *connection, account, client_order_id).await?;
    match order {
        Some(order) => load(connection, order.id).await,
        None => Ok(None),
    }
}

/// An order and those that came with it.
pub(crate) async fn load_group(
    connection: &mut Connection,
    main: OrderId,
) -> Result<Vec<Live>, StorageError> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = $1 OR parent_id = $1 ORDER BY id");
    let rows = query(sqlx::AssertSqlSafe(sql)).bind(main.to_string()).fetch_all(&mut *connection).await?;
    let mut group = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut live = read_order(row)?;
        with_executions(connection, &mut live).await?;
        group.push(live);
    }
    Ok(group)
}

/// The orders of an account that are not at their end, oldest first.
pub(crate) async fn load_open(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Vec<Live>, StorageError> {
    let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = $1 AND is_open = 1 ORDER BY id");
    let rows = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string()).fetch_all(&mut *connection).await?;
    // Not those with something filled: all of it may have been taken back, and must not be booked once more.
    let executed = "SELECT DISTINCT f.order_id FROM fills f JOIN orders o ON o.id = f.order_id \
                    WHERE o.account_id = $1 AND o.is_open = 1";
    let executed: Vec<String> =
        query_scalar(executed).bind(account.to_string()).fetch_all(&mut *connection).await?;
    let executed: BTreeSet<String> = executed.into_iter().collect();
    let mut open = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut live = read_order(row)?;
        if executed.contains(&live.order.id.to_string()) {
            with_executions(connection, &mut live).await?;
        }
        open.push(live);
    }
    Ok(open)
}

async fn with_executions(connection: &mut Connection, live: &mut Live) -> Result<(), StorageError> {
    let sql = "SELECT kind, execution_id, corrects, price, quantity, fee, at FROM fills WHERE order_id = $1 ORDER BY seq";
    let rows = query(sql).bind(live.order.id.to_string()).fetch_all(connection).await?;
    for row in &rows {
        let kind = BookingKind::read(row.try_get(0)?)?;
        let corrects: Option<String> = row.try_get(2)?;
        if let Some(corrected) = corrects {
            live.executions.remove(&corrected);
            live.voided.push(corrected);
        }
        if matches!(kind, BookingKind::Fill | BookingKind::Correction) {
            let fill = Fill {
                execution_id: execution_id(kind, row.try_get(1)?),
                price: StorageError::parse_column(row, 3, "price")?,
                quantity: StorageError::parse_column(row, 4, "quantity")?,
                fee: StorageError::parse_column(row, 5, "fee")?,
                at: from_micros(row.try_get(6)?),
            };
            live.voided.retain(|voided| *voided != fill.execution_id);
            live.executions.insert(fill.execution_id.clone(), fill);
        }
    }
    Ok(())
}

/// The broker's id of an execution, from what is stored.
fn execution_id(kind: BookingKind, stored: String) -> String {
    match kind {
        BookingKind::Fill | BookingKind::Transfer => stored,
        BookingKind::Correction | BookingKind::Bust => {
            stored.rsplit_once('#').map_or(stored.clone(), |(id, _)| id.to_owned())
        }
    }
}

/// What the fills of an account fold to.
pub(crate) struct Folded {
    /// The positions of the whole account.
    pub(crate) positions: BTreeMap<Symbol, Position>,
    /// The positions of each book, and what its fills did to its money.
    pub(crate) books: BTreeMap<BookKey, (BTreeMap<Symbol, Position>, Moved)>,
    /// Number of the last row.
    pub(crate) last_seq: i64,
    /// Time of the newest execution.
    pub(crate) newest: Option<Timestamp>,
}

/// Whose doing a fill was, as far as limits ask.
#[derive(Clone, Debug)]
pub(crate) struct Doer {
    pub(crate) author: Author,
    pub(crate) strategy: Option<String>,
}

/// What is done with each fill as it is read; one without an author is one side of a transfer between books.
pub(crate) type EachFill<'a> = dyn FnMut(BookKey, Option<&Doer>, &Symbol, &PositionFill) + Send + 'a;

/// The fold over all fills of an account, each as it stands after corrections.
pub(crate) async fn fold_fills(
    connection: &mut Connection,
    account: AccountId,
    method: CostMethod,
    methods: &BTreeMap<BookKey, CostMethod>,
    each: &mut EachFill<'_>,
) -> Result<Folded, StorageError> {
    let mut amended = Amended::load(connection, account, None).await?;
    let mut folded = Folded { positions: BTreeMap::new(), books: BTreeMap::new(), last_seq: 0, newest: None };
    loop {
        let sql = "SELECT f.seq, f.kind, f.execution_id, f.corrects, f.book_id, f.symbol, f.side, f.price, f.quantity, \
                   f.fee, f.at, o.submitted_by, o.strategy, o.key_id FROM fills f LEFT JOIN orders o ON o.id = f.order_id \
                   WHERE f.account_id = $1 AND f.seq > $2 ORDER BY f.seq LIMIT 5000";
        let rows =
            query(sql).bind(account.to_string()).bind(folded.last_seq).fetch_all(&mut *connection).await?;
        for row in &rows {
            folded.last_seq = row.try_get(0)?;
            let read = Booking::read(row)?;
            if read.kind != BookingKind::Transfer {
                folded.newest = folded.newest.max(Some(read.fill.at));
            }
            let Some(PastFill { book, fill, is_transfer }) = amended.stands(read) else { continue };
            let symbol: Symbol = StorageError::parse_column(row, 5, "symbol")?;
            let doer = match row.try_get::<Option<String>, _>(11)? {
                Some(submitted_by) => {
                    let author = Author { submitted_by, key: parse_optional(row, 13, "key id")? };
                    Some(Doer { author, strategy: row.try_get(12)? })
                }
                None => None,
            };
            each(book, doer.as_ref(), &symbol, &fill);
            if !is_transfer {
                let whole = folded.positions.entry(symbol.clone()).or_insert_with(|| Position::new(method));
                whole.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
            }
            let (positions, moved) = folded.books.entry(book).or_default();
            moved.cash += fill.cash();
            moved.fees += fill.fee;
            let own = methods.get(&book).copied().unwrap_or(method);
            let own = positions.entry(symbol).or_insert_with(|| Position::new(own));
            own.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
        }
        if rows.is_empty() {
            return Ok(folded);
        }
    }
}

/// Every fill of a symbol on an account as it stands after corrections, oldest first.
pub(crate) async fn history(
    connection: &mut Connection,
    account: AccountId,
    symbol: &Symbol,
) -> Result<History, StorageError> {
    let mut amended = Amended::load(&mut *connection, account, Some(symbol)).await?;
    let sql = "SELECT seq, kind, execution_id, corrects, book_id, symbol, side, price, quantity, fee, at FROM fills \
               WHERE account_id = $1 AND symbol = $2 ORDER BY seq";
    let rows = query(sql).bind(account.to_string()).bind(symbol.as_str()).fetch_all(connection).await?;
    let mut fills = Vec::with_capacity(rows.len());
    for row in &rows {
        fills.extend(amended.stands(Booking::read(row)?));
    }
    Ok(History::from_iter([(symbol.clone(), fills)]))
}

/// A row of the fills.
struct Booking {
    kind: BookingKind,
    corrects: Option<String>,
    book: BookKey,
    symbol: Symbol,
    fill: PositionFill,
}

impl Booking {
    /// Reads seq, kind, execution_id, corrects, book_id, symbol, side, price, quantity, fee, at.
    fn read(row: &Row) -> Result<Self, StorageError> {
        let kind = BookingKind::read(row.try_get(1)?)?;
        let book: Option<String> = row.try_get(4)?;
        Ok(Self {
            kind,
            corrects: row.try_get(3)?,
            book: book.map(|text| StorageError::parse("book id", &text)).transpose()?,
            symbol: StorageError::parse_column(row, 5, "symbol")?,
            fill: PositionFill {
                execution_id: execution_id(kind, row.try_get(2)?),
                side: StorageError::parse_column(row, 6, "side")?,
                price: StorageError::parse_column(row, 7, "price")?,
                quantity: StorageError::parse_column(row, 8, "quantity")?,
                fee: StorageError::parse_column(row, 9, "fee")?,
                at: from_micros(row.try_get(10)?),
            },
        })
    }
}

/// Executions that were corrected, with what stands in their place: there are few.
#[derive(Default)]
struct Amended(FxHashMap<String, Vec<Option<PositionFill>>>);

impl Amended {
    async fn load(
        connection: &mut Connection,
        account: AccountId,
        symbol: Option<&Symbol>,
    ) -> Result<Self, StorageError> {
        let sql = "SELECT seq, kind, execution_id, corrects, book_id, symbol, side, price, quantity, fee, at FROM fills \
                   WHERE account_id = $1 AND corrects IS NOT NULL AND ($2 = '' OR symbol = $2) ORDER BY seq";
        let rows = query(sql)
            .bind(account.to_string())
            .bind(symbol.map_or("", Symbol::as_str))
            .fetch_all(connection)
            .await?;
        let mut amended = Self::default();
        for row in &rows {
            let read = Booking::read(row)?;
            let Some(corrects) = read.corrects else { continue };
            let changes = amended.0.entry(corrects).or_default();
            match read.kind {
                // A correction is a bust and a fill: the pair is one change.
                BookingKind::Correction => {
                    if let Some(last) = changes.last_mut() {
                        *last = Some(read.fill);
                    }
                }
                _ => changes.push(None),
            }
        }
        Ok(amended)
    }

    /// What of a row counts, in the place of the first execution of its line of corrections.
    fn stands(&mut self, booking: Booking) -> Option<PastFill> {
        if matches!(booking.kind, BookingKind::Correction | BookingKind::Bust) {
            return None;
        }
        let mut fill = booking.fill;
        while let Some(changes) = self.0.get_mut(&fill.execution_id)
            && !changes.is_empty()
        {
            fill = changes.remove(0)?;
        }
        Some(PastFill { book: booking.book, fill, is_transfer: booking.kind == BookingKind::Transfer })
    }
}

/// Orders of one account, newest first, after (older than) `before`.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &OrderFilter,
    start: Option<OrderId>,
    limit: usize,
) -> Result<Vec<Order>, StorageError> {
    let (beyond, direction) = if filter.oldest_first { ('>', "ASC") } else { ('<', "DESC") };
    // UUIDs of version 7 sort by the time they were made, as text too.
    let sql = format!(
        "SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = $1 AND ($2 = '' OR symbol = $2) \
         AND ($3 = -1 OR is_open = $3) AND ($4 = '' OR id {beyond} $4) AND created_at > $5 AND created_at < $6 \
         ORDER BY id {direction} LIMIT $7"
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
        .bind(start.map_or(String::new(), |id| id.to_string()))
        .bind(filter.after.map_or(i64::MIN, micros))
        .bind(filter.until.map_or(i64::MAX, micros))
        .bind(limit.cast_signed() as i64)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(read_order(row)?.order)).collect()
}

/// The orders that each of `mains` brought with it, oldest first.
pub(crate) async fn legs_of(
    connection: &mut Connection,
    account: AccountId,
    mains: &[OrderId],
) -> Result<Vec<Order>, StorageError> {
    let mut legs = Vec::new();
    for mains in mains.chunks(64) {
        let mains = padded(mains);
        let mut places = Places::on(connection);
        let owner = places.one();
        let named: Vec<String> = mains.iter().map(|_| places.one()).collect();
        let sql = format!(
            "SELECT {ORDER_COLUMNS} FROM orders WHERE account_id = {owner} AND parent_id IN ({}) ORDER BY id",
            named.join(", ")
        );
        let mut select = query(sqlx::AssertSqlSafe(sql)).bind(account.to_string());
        for (_, main) in &mains {
            select = select.bind(main.to_string());
        }
        for row in &select.fetch_all(&mut *connection).await? {
            legs.push(read_order(row)?.order);
        }
    }
    Ok(legs)
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
    let sql = "SELECT seq, kind, execution_id, corrects, book_id, symbol, side, price, quantity, fee, at, order_id, \
               realised_pnl FROM fills \
               WHERE account_id = $1 AND ($2 = '' OR symbol = $2) AND ($3 < 0 OR at < $3 OR (at = $3 AND seq < $4)) \
               AND ($6 = '' OR order_id = $6) AND ($7 = '' OR book_id = $7) \
               ORDER BY at DESC, seq DESC LIMIT $5";
    let (before_at, before_seq) = before.map_or((-1, 0), |(at, seq)| (micros(at), seq));
    let rows = query(sql)
        .bind(account.to_string())
        .bind(filter.symbol.as_ref().map_or("", Symbol::as_str))
        .bind(before_at)
        .bind(before_seq)
        .bind(limit.cast_signed() as i64)
        .bind(filter.order.map_or(String::new(), |order| order.to_string()))
        .bind(filter.book.map_or(String::new(), |book| book.to_string()))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let Booking { kind, corrects, book, symbol, fill } = Booking::read(row)?;
            let order: Option<String> = row.try_get(11)?;
            Ok(BookedFill {
                account,
                seq: row.try_get(0)?,
                kind,
                order: order.map(|text| StorageError::parse("order id", &text)).transpose()?,
                book,
                symbol,
                side: fill.side,
                fill: Fill {
                    execution_id: fill.execution_id,
                    price: fill.price,
                    quantity: fill.quantity,
                    fee: fill.fee,
                    at: fill.at,
                },
                corrects,
                realised_pnl: StorageError::parse_column(row, 12, "profit")?,
            })
        })
        .collect()
}

fn read_order(row: &Row) -> Result<Live, StorageError> {
    let quantity: Quantity = StorageError::parse_column(row, 7, "quantity")?;
    let request: Option<String> = row.try_get(21)?;
    let request = match request {
        Some(text) => serde_json::from_str(&text)
            .map_err(|e| StorageError::Unreadable { what: "order request", why: e.to_string() })?,
        None => read_plain_request(row, quantity)?,
    };
    let done_by_desk: String = row.try_get(29)?;
    let provenance = Provenance {
        submitted_by: row.try_get(10)?,
        key: parse_optional(row, 31, "key id")?,
        origin: StorageError::parse_column(row, 22, "origin")?,
        book: parse_optional(row, 23, "book id")?,
        parent: parse_optional(row, 24, "order id")?,
        leg: parse_optional(row, 25, "leg")?,
        replaces: parse_optional(row, 26, "order id")?,
        done_by_desk: done_by_desk.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect(),
    };
    let created_at = from_micros(row.try_get(11)?);
    let (id, account) =
        (StorageError::parse_column(row, 0, "order id")?, StorageError::parse_column(row, 1, "account id")?);
    let order = Order {
        updated_at: from_micros(row.try_get(12)?),
        status: StorageError::parse_column(row, 13, "order status")?,
        broker_order_id: row.try_get(14)?,
        attempts: u32::try_from(row.try_get::<i64, _>(15)?).unwrap_or(u32::MAX),
        filled: StorageError::parse_column::<Quantity>(row, 16, "filled quantity")?,
        filled_notional: StorageError::parse_column(row, 17, "filled notional")?,
        fees: StorageError::parse_column(row, 18, "fees")?,
        reason: row.try_get(19)?,
        reason_code: parse_optional(row, 28, "reason")?,
        replaced_by: parse_optional(row, 27, "order id")?,
        is_triggered: row.try_get::<i64, _>(30)? != 0,
        version: row.try_get::<i64, _>(20)?.cast_unsigned(),
        ..Order::accepted(id, account, request, quantity, provenance, created_at)
    };
    Ok(Live::new(order, StorageError::parse_column(row, 9, "reserve price")?))
}

/// The request of an order from before there were other columns for it.
fn read_plain_request(row: &Row, quantity: Quantity) -> Result<OrderRequest, StorageError> {
    let limit_price: Option<Price> = parse_optional(row, 8, "limit price")?;
    let request = OrderRequest::simple(
        row.try_get::<String, _>(2)?,
        StorageError::parse_column(row, 3, "symbol")?,
        StorageError::parse_column(row, 4, "side")?,
        quantity,
        limit_price,
        StorageError::parse_column(row, 6, "time in force")?,
    );
    Ok(OrderRequest { size: Size::Quantity(quantity), class: OrderClass::Simple, ..request })
}

fn parse_optional<T: std::str::FromStr>(
    row: &Row,
    column: usize,
    what: &'static str,
) -> Result<Option<T>, StorageError>
where
    T::Err: std::fmt::Display,
{
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| StorageError::parse(what, &text)).transpose()
}

/// The flows of an account, oldest first.
pub(crate) async fn flows(
    connection: &mut Connection,
    account: AccountId,
) -> Result<Vec<Flow>, StorageError> {
    let sql = "SELECT seq, at, kind, book_id, amount, detail FROM flows WHERE account_id = $1 ORDER BY seq";
    let rows = query(sql).bind(account.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Flow {
                seq: row.try_get(0)?,
                at: from_micros(row.try_get(1)?),
                kind: FlowKind::read(row.try_get(2)?)?,
                book: parse_optional(row, 3, "book id")?,
                amount: StorageError::parse_column(row, 4, "amount")?,
                detail: row.try_get(5)?,
            })
        })
        .collect()
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
