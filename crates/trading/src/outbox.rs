//! What happened, kept for those who are told of it elsewhere and perhaps later.
//!
//! An event is written in the transaction of what it tells of: it is there if and only if that happened, whatever crashes
//! afterwards. Events are numbered in the order in which they were committed (all writers of a database take turns), so
//! that a reader remembers one number. While nobody wants to be told, nothing is written, and orders cost what they did
//! before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{AccountId, Context, Order, Permission, Resource, Timestamp, from_micros, micros};
use serde_json::{Value, json};
use storage::{Connection, Places, RowExt as _, StorageError, Tx, padded, query, query_scalar};
use uuid::Uuid;

use crate::accounts::{Blind, Mode};
use crate::approvals::{Approval, Asked};
use crate::core::Kill;
use crate::gateway::Gateway;
use crate::scope::Scope;
use crate::store::{Batch, BookedFill, Inserted, Intent};

/// Most events in one statement.
const AT_ONCE: usize = 64;

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// An order was accepted, or is in another state.
    OrderChanged,
    /// An order was refused by a rule: nothing was sent.
    OrderRefused,
    /// An execution was booked, corrected or taken back.
    FillBooked,
    /// The desk does not see an account at its broker: it takes on no new risk.
    AccountBlind,
    /// It sees the account.
    AccountReady,
    /// A kill switch was pulled.
    KillEngaged,
    /// A kill switch was released.
    KillReleased,
    /// Something waits for a second person.
    ApprovalWaiting,
}

impl EventKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::OrderChanged,
        Self::OrderRefused,
        Self::FillBooked,
        Self::AccountBlind,
        Self::AccountReady,
        Self::KillEngaged,
        Self::KillReleased,
        Self::ApprovalWaiting,
    ];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderChanged => "order.changed",
            Self::OrderRefused => "order.refused",
            Self::FillBooked => "fill.booked",
            Self::AccountBlind => "account.blind",
            Self::AccountReady => "account.ready",
            Self::KillEngaged => "kill_switch.engaged",
            Self::KillReleased => "kill_switch.released",
            Self::ApprovalWaiting => "approval.waiting",
        }
    }

    /// The kind of that name.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same wherever and however often it is told.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// What sort of thing.
    pub kind: EventKind,
    /// On which account; `None`: on none alone.
    pub account: Option<AccountId>,
    /// What a kill switch, or a limit that waits for a second person, is about.
    pub scope: Option<Scope>,
    /// The rest, by kind: a JSON object with the names that the API has.
    pub data: Value,
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    /// Greater than that of every event committed before it.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// Whether anybody wants to be told. Until somebody says otherwise: yes, so that nothing is missed while a desk starts.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<AtomicBool>);

impl Default for Outbox {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Outbox {
    /// Says whether events are to be written from now on.
    pub fn want(&self, wanted: bool) {
        self.0.store(wanted, Ordering::Relaxed);
    }

    /// Writes what `events` makes, if somebody wants it.
    pub(crate) async fn post(
        &self,
        tx: &mut Tx,
        events: impl FnOnce() -> Vec<Event>,
    ) -> Result<(), StorageError> {
        if !self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        insert(tx, &events()).await
    }
}

impl Event {
    fn new(at: Timestamp, kind: EventKind, account: Option<AccountId>, data: Value) -> Self {
        // Ids of orders sort by time too.
        Self { id: domain::OrderId::new(at).0, at, kind, account, scope: None, data }
    }

    /// Whether the desk sees an account.
    pub fn of_account(account: AccountId, mode: Mode, blind: Option<&Blind>, at: Timestamp) -> Self {
        let (kind, mut data) = match blind {
            Some(blind) => {
                let data = json!({ "blind_since": moment(blind.since), "reason": blind.reason });
                (EventKind::AccountBlind, data)
            }
            None => (EventKind::AccountReady, json!({})),
        };
        data["account_id"] = json!(account);
        data["mode"] = json!(mode.as_str());
        Self::new(at, kind, Some(account), data)
    }

    /// An order that was refused, with what the audit log says of it.
    pub(crate) fn refusal(account: AccountId, ctx: &Context, detail: &Value) -> Self {
        let mut data = detail.clone();
        if let Some(fields) = data.as_object_mut() {
            fields.remove("account");
        }
        data["account_id"] = json!(account);
        data["submitted_by"] = json!(ctx.principal.id);
        Self::new(ctx.at, EventKind::OrderRefused, Some(account), data)
    }

    pub(crate) fn engaged(kill: &Kill) -> Self {
        Self::of_kill(EventKind::KillEngaged, kill, kill.at)
    }

    pub(crate) fn released(kill: &Kill, at: Timestamp, by: &str) -> Self {
        let mut event = Self::of_kill(EventKind::KillReleased, kill, at);
        event.data["released_by"] = json!(by);
        event
    }

    fn of_kill(kind: EventKind, kill: &Kill, at: Timestamp) -> Self {
        let account = match &kill.scope {
            Scope::Account(account) => Some(*account),
            _ => None,
        };
        let data = json!({
            "scope": kill.scope.to_string(),
            "reason": kill.reason,
            "flatten": kill.flatten,
            "drill": kill.drill,
            "engaged_by": kill.by,
            "engaged_at": moment(kill.at),
        });
        Self { scope: Some(kill.scope.clone()), ..Self::new(at, kind, account, data) }
    }

    pub(crate) fn waiting(approval: &Approval, mode: Option<Mode>) -> Self {
        let mut data = json!({
            "id": approval.id,
            "asked_by": approval.asked_by,
            "expires_at": moment(approval.expires_at),
            "why": approval.why,
        });
        let (account, scope) = match &approval.what {
            Asked::Order { account, request } => {
                data["account_id"] = json!(account);
                data["mode"] = json!(mode.map(Mode::as_str));
                data["order"] = crate::core::describe(request);
                (Some(*account), None)
            }
            Asked::Limit { scope, kind, before, after } => {
                let (scope_text, kind) = (scope.to_string(), kind.as_str());
                data["limit"] =
                    json!({ "scope": scope_text, "kind": kind, "before": before, "after": after });
                (None, Some(scope.clone()))
            }
        };
        Self { scope, ..Self::new(approval.asked_at, EventKind::ApprovalWaiting, account, data) }
    }

    fn of_order(order: &Order, mode: Mode, at: Timestamp) -> Self {
        let request = &order.request;
        let data = json!({
            "id": order.id,
            "account_id": order.account,
            "mode": mode.as_str(),
            "client_order_id": request.client_order_id,
            "broker_order_id": order.broker_order_id,
            "symbol": request.symbol,
            "side": request.side.as_str(),
            "type": request.kind.as_str(),
            "time_in_force": request.time_in_force.as_str(),
            "quantity": text(order.quantity),
            "limit_price": request.limit_price.map(text),
            "stop_price": request.stop_price.map(text),
            "status": order.status.as_str(),
            "filled_quantity": text(order.filled),
            "average_fill_price": order.average_fill_price().map(|price| text(price.0.round_dp(10).normalize())),
            "fees": text(order.fees),
            "reason": order.reason,
            "reason_code": order.reason_code.map(domain::Reason::as_str),
            "origin": order.provenance.origin.as_str(),
            "book_id": order.provenance.book,
            "strategy": request.strategy,
            "parent_id": order.provenance.parent,
            "replaces": order.provenance.replaces,
            "replaced_by": order.replaced_by,
            "submitted_by": order.provenance.submitted_by,
            "key_id": order.provenance.key,
            "created_at": moment(order.created_at),
            "updated_at": moment(order.updated_at),
            "version": order.version,
        });
        Self::new(at, EventKind::OrderChanged, Some(order.account), data)
    }

    fn of_fill(booked: &BookedFill, mode: Mode, at: Timestamp) -> Self {
        let data = json!({
            "id": format!("{}-{}", booked.account, booked.seq),
            "kind": booked.kind.as_str(),
            "execution_id": booked.fill.execution_id,
            "corrects": booked.corrects,
            "order_id": booked.order,
            "account_id": booked.account,
            "mode": mode.as_str(),
            "book_id": booked.book,
            "symbol": booked.symbol,
            "side": booked.side.as_str(),
            "price": text(booked.fill.price),
            "quantity": text(booked.fill.quantity),
            "fee": text(booked.fill.fee),
            "realised_pnl": text(booked.realised_pnl),
            "at": moment(booked.fill.at),
        });
        Self::new(at, EventKind::FillBooked, Some(booked.account), data)
    }
}

impl Gateway {
    /// Whether the principal may be told of such an event.
    pub fn sees_event(
        &self,
        ctx: &Context,
        kind: EventKind,
        account: Option<AccountId>,
        scope: Option<&Scope>,
    ) -> bool {
        let resource = account.map_or(Resource::Desk, Resource::Account);
        let may = |permission| ctx.require(permission, resource).is_ok();
        match kind {
            EventKind::KillEngaged | EventKind::KillReleased => {
                scope.is_some_and(|scope| self.sees_kill(ctx, scope))
            }
            EventKind::AccountBlind | EventKind::AccountReady => {
                account.is_some() && may(Permission::AccountsView)
            }
            EventKind::ApprovalWaiting if account.is_none() => may(Permission::LimitsManage),
            EventKind::ApprovalWaiting
            | EventKind::OrderChanged
            | EventKind::OrderRefused
            | EventKind::FillBooked => account.is_some() && may(Permission::OrdersView),
        }
    }
}

/// What a step of a router tells, in the order in which it happened.
pub(crate) fn of_step(batch: &Batch, mode: Mode, at: Timestamp) -> Vec<Event> {
    let accepted = batch.inserts.iter().map(|new| Event::of_order(&new.order, mode, at));
    let changed = batch.changes.iter().flat_map(|change| {
        let fills = change.booked.iter().map(move |booked| Event::of_fill(booked, mode, at));
        fills.chain([Event::of_order(&change.order, mode, change.at)])
    });
    let moved = batch.transfers.iter().map(|booked| Event::of_fill(booked, mode, at));
    accepted.chain(changed).chain(moved).collect()
}

/// What it tells that orders were accepted.
pub(crate) fn of_accepted(intents: &[Intent], inserted: &[Inserted], mode: Mode) -> Vec<Event> {
    let new = intents.iter().zip(inserted).filter(|(_, inserted)| matches!(inserted, Inserted::Yes));
    let orders = new.flat_map(|(intent, _)| {
        std::iter::once(&intent.order).chain(intent.legs.iter().map(|leg| &leg.order))
    });
    orders.map(|order| Event::of_order(order, mode, order.created_at)).collect()
}

fn text(number: impl std::fmt::Display) -> String {
    number.to_string()
}

/// As the API writes moments: always with microseconds.
fn moment(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// Writes events after all that are there.
///
/// # Errors
/// The database failed.
pub async fn insert(tx: &mut Tx, events: &[Event]) -> Result<(), StorageError> {
    for events in events.chunks(AT_ONCE) {
        let rows = padded(events);
        let sql = format!(
            "INSERT INTO outbox (seq, id, at, kind, account_id, scope, data) \
             SELECT (SELECT COALESCE(MAX(seq), 0) FROM outbox) + v.column2, v.column3, v.column4, v.column5, v.column6, \
             v.column7, v.column8 FROM (VALUES {}) AS v WHERE v.column1 = 1",
            Places::on(tx.sql()).rows(rows.len(), 8)
        );
        let mut insert = query(sqlx::AssertSqlSafe(sql));
        for (nth, (taken, event)) in (1_i64..).zip(rows) {
            insert = insert
                .bind(taken)
                .bind(nth)
                .bind(event.id.to_string())
                .bind(micros(event.at))
                .bind(event.kind.as_str())
                .bind(event.account.map(|account| account.to_string()))
                .bind(event.scope.as_ref().map(Scope::to_string))
                .bind(event.data.to_string());
        }
        insert.execute(tx.sql()).await?;
    }
    Ok(())
}

/// The next `limit` events after number `after`, oldest first.
///
/// # Errors
/// The database failed, or holds what cannot be read.
pub async fn read(connection: &mut Connection, after: i64, limit: u32) -> Result<Vec<Posted>, StorageError> {
    let sql =
        "SELECT seq, id, at, kind, account_id, scope, data FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = query(sql).bind(after).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let (id, kind, data): (String, String, String) =
                (row.try_get(1)?, row.try_get(3)?, row.try_get(6)?);
            let (account, scope): (Option<String>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
            let unreadable = || StorageError::Unreadable { what: "kind of event", why: kind.clone() };
            let event = Event {
                id: StorageError::parse("event id", &id)?,
                at: from_micros(row.try_get(2)?),
                kind: EventKind::read(&kind).ok_or_else(unreadable)?,
                account: account.map(|text| StorageError::parse("account id", &text)).transpose()?,
                scope: scope.map(|text| StorageError::parse("scope", &text)).transpose()?,
                data: StorageError::parse("event", &data)?,
            };
            Ok(Posted { seq: row.try_get(0)?, event })
        })
        .collect()
}

/// The numbers of the oldest and the newest event that are there; 0 when there is none.
///
/// # Errors
/// The database failed.
pub async fn bounds(connection: &mut Connection) -> Result<(i64, i64), StorageError> {
    let sql = "SELECT COALESCE(MIN(seq), 0) AS oldest, COALESCE(MAX(seq), 0) AS newest FROM outbox";
    let row = query(sql).fetch_one(connection).await?;
    Ok((row.try_get("oldest")?, row.try_get("newest")?))
}

/// Removes events up to number `told`, and all from before a moment. The newest stays, so that numbers go on growing.
///
/// # Errors
/// The database failed.
pub async fn forget(tx: &mut Tx, told: i64, before: Timestamp) -> Result<(), StorageError> {
    let newest: i64 = query_scalar("SELECT COALESCE(MAX(seq), 0) FROM outbox").fetch_one(tx.sql()).await?;
    query("DELETE FROM outbox WHERE seq <= $1 AND seq < $2")
        .bind(told)
        .bind(newest)
        .execute(tx.sql())
        .await?;
    let sql = "DELETE FROM outbox WHERE at < $1 AND seq < $2";
    query(sql).bind(micros(before)).bind(newest).execute(tx.sql()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use storage::Database;
    use storage::testing::databases;

    use super::*;

    fn event(nth: i64) -> Event {
        let at = from_micros(nth);
        let data = json!({ "nth": nth, "text": "ü\u{0}'" });
        Event { scope: Some(Scope::Desk), ..Event::new(at, EventKind::KillEngaged, None, data) }
    }

    async fn post(db: &Database, outbox: &Outbox, events: Vec<Event>) {
        let outbox = outbox.clone();
        let written = db.write(move |tx: &mut Tx| Box::pin(async move { outbox.post(tx, || events).await }));
        written.await.expect("it is written");
    }

    async fn numbers(db: &Database, after: i64) -> Vec<i64> {
        let read = read(&mut db.read().await.unwrap(), after, 1000).await.unwrap();
        read.iter().map(|posted| posted.seq).collect()
    }

    #[tokio::test]
    async fn events_are_numbered_in_the_order_in_which_they_were_posted() {
        for database in databases().await {
            let db = database.open(None).await;
            let outbox = Outbox::default();
            let events: Vec<Event> = (1..=70).map(event).collect();
            post(&db, &outbox, events[..67].to_vec()).await;
            post(&db, &outbox, events[67..].to_vec()).await;
            outbox.want(false);
            post(&db, &outbox, vec![event(99)]).await;
            let posted = read(&mut db.read().await.unwrap(), 0, 1000).await.unwrap();
            let expected = (1..).zip(events).map(|(seq, event)| Posted { seq, event }).collect::<Vec<_>>();
            assert_eq!(posted, expected);
            assert_eq!(numbers(&db, 68).await, [69, 70]);

            // What was told goes, and what is old; numbers go on all the same.
            let forget_up_to = async |told, before| {
                let forgotten =
                    db.write(move |tx: &mut Tx| Box::pin(async move { forget(tx, told, before).await }));
                forgotten.await.unwrap();
            };
            forget_up_to(60, from_micros(65)).await;
            assert_eq!(numbers(&db, 0).await, [65, 66, 67, 68, 69, 70]);
            forget_up_to(i64::MAX, from_micros(i64::MAX)).await;
            assert_eq!(bounds(&mut db.read().await.unwrap()).await.unwrap(), (70, 70));
            outbox.want(true);
            post(&db, &outbox, vec![event(71)]).await;
            assert_eq!(numbers(&db, 70).await, [71]);
        }
    }
}
