//! Risk limits as people set them: who may, what it takes, and that they outlive a restart.
//!
//! Whoever manages limits may lower one at once. One that lets more through than before needs a second factor, and a
//! second person too where the desk is set so. A change is in the journal, with its audit row, before the first order is
//! measured by it.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    AuditEntry, Context, Decimal, Denied, Permission, Resource, StepUpNeeded, Symbol, Timestamp, from_micros,
    micros,
};
use serde_json::json;
use storage::{Database, StorageError, Tx};
use tokio_util::sync::CancellationToken;

use crate::approvals::{Approval, ApprovalId};
use crate::core::author;
use crate::gateway::{Gateway, Shared, TradingEvent};
use crate::kill::{is_user, key_owner};
use crate::risk::{InvalidLimit, Limit, LimitBook, LimitKind, LimitValue, Remembered, is_raise};
use crate::scope::Scope;

/// How often positions are valued at market prices.
const VALUED: Duration = Duration::from_secs(1);
/// After so many of these it is written down what limits on profit and loss remember.
const WRITTEN: u32 = 30;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitChange {
    /// It is in force.
    Done {
        /// What was in force before.
        before: Option<Arc<Limit>>,
        /// What is in force now.
        after: Option<Arc<Limit>>,
    },
    /// A second person has to agree.
    AwaitsApproval {
        /// To this.
        id: ApprovalId,
    },
}

/// A limit, and how much of it is used.
#[derive(Clone, Debug)]
pub struct LimitInForce {
    /// The limit.
    pub limit: Arc<Limit>,
    /// The symbol of which most is used, where the limit is for each symbol.
    pub symbol: Option<Symbol>,
    /// What is used of it now; `None` where the limit is on single orders.
    pub used: Option<Decimal>,
    /// The same as a share of the limit, for a bar; above 1 when it is exceeded.
    pub fraction: Option<f64>,
}

/// Why a limit is not changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// The text is no value of this kind of limit.
    #[error(transparent)]
    Invalid(#[from] InvalidLimit),
    /// There is no such thing to limit.
    #[error("there is no {0} on this desk")]
    NoSuchScope(Scope),
    /// There is no such limit.
    #[error("no limit {kind} is set for {scope}")]
    NotSet {
        /// Of what.
        scope: Scope,
        /// Which.
        kind: LimitKind,
    },
    /// It is not one that people set.
    #[error("the limit {kind} of the desk is of its configuration; a stricter one can be set beside it")]
    Configured {
        /// Which.
        kind: LimitKind,
    },
    /// It could not be journaled. Nothing has changed.
    #[error("the limit was not changed, because that could not be journaled: {0}")]
    Journal(#[source] StorageError),
}

/// A change of one limit: `None` is no limit.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) scope: Scope,
    pub(crate) kind: LimitKind,
    pub(crate) before: Option<Arc<Limit>>,
    pub(crate) after: Option<LimitValue>,
}

/// The limits in force: those of the configuration with those that people set.
pub(crate) async fn load(db: &Database, configured: LimitBook) -> Result<LimitBook, StorageError> {
    let mut book = configured;
    for limit in store::limits(&mut *db.read().await?).await? {
        book.set(limit);
    }
    Ok(book)
}

/// Takes up what limits knew before the restart, and keeps the market's prices and the highest profits from now on.
pub(crate) async fn start(shared: &Arc<Shared>, stop: &CancellationToken) -> Result<(), StorageError> {
    let now = shared.clock.now();
    let mut connection = shared.db.read().await?;
    let marks = store::marks(&mut connection).await?;
    let midnight = from_micros(micros(now) - micros(now).rem_euclid(DAY));
    let ended = store::ended_since(&mut connection, midnight).await?;
    drop(connection);
    {
        let mut ledger = shared.ledger();
        for (scopes, at) in &ended {
            ledger.count(scopes, *at);
        }
    }
    value(shared);
    {
        let mut ledger = shared.ledger();
        for (scope, was) in &marks {
            ledger.resume(scope, *was, now);
        }
    }
    let known: BTreeMap<Scope, Remembered> = marks.into_iter().collect();
    tokio::spawn(stop.clone().run_until_cancelled_owned(keep(shared.clone(), known)));
    Ok(())
}

/// Values positions at market prices, and writes down from time to time what has to be known after a restart.
async fn keep(shared: Arc<Shared>, known: BTreeMap<Scope, Remembered>) {
    let mut known = known;
    let mut every = tokio::time::interval(VALUED);
    for nth in 1_u32.. {
        every.tick().await;
        value(&shared);
        if nth % WRITTEN != 0 {
            continue;
        }
        let changed = changed(&shared, &known);
        if changed.is_empty() {
            continue;
        }
        match write(&shared.db, changed.clone()).await {
            Ok(()) => known.extend(changed),
            Err(error) => tracing::warn!(%error, "the highest profits could not be written down"),
        }
    }
}

/// Tells the ledger what everything is worth.
fn value(shared: &Shared) {
    let now = shared.clock.now();
    let prices: Vec<_> = {
        let symbols = shared.market.symbols().into_iter();
        symbols.filter_map(|symbol| shared.market.last_price(&symbol).map(|price| (symbol, price))).collect()
    };
    let mut ledger = shared.ledger();
    for (symbol, price) in prices {
        ledger.mark(&symbol, price, now);
    }
}

/// What is remembered of scopes with a limit on profit or loss, where it is not written down so.
fn changed(shared: &Shared, known: &BTreeMap<Scope, Remembered>) -> Vec<(Scope, Remembered)> {
    let scopes: Vec<Scope> = {
        let limits = shared.limits();
        let of_profit = limits.iter().filter(|limit| remembers(limit.kind));
        of_profit.map(|limit| limit.scope.clone()).chain([Scope::Desk]).collect()
    };
    let ledger = shared.ledger();
    let remembered = scopes.into_iter().map(|scope| {
        let remembered = ledger.remembered(&scope);
        (scope, remembered)
    });
    let mut changed: Vec<_> =
        remembered.filter(|(scope, remembered)| known.get(scope) != Some(remembered)).collect();
    changed.dedup();
    changed
}

fn remembers(kind: LimitKind) -> bool {
    matches!(kind, LimitKind::DailyLoss | LimitKind::Drawdown)
}

async fn write(db: &Database, marks: Vec<(Scope, Remembered)>) -> Result<(), StorageError> {
    db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            for (scope, was) in marks {
                store::mark(tx, &scope, was).await?;
            }
            Ok::<_, StorageError>(())
        })
    })
    .await
}

impl Gateway {
    /// Sets a limit, from its text form.
    ///
    /// # Errors
    /// Says why nothing has changed.
    pub async fn set_limit(
        &self,
        ctx: &Context,
        scope: Scope,
        kind: LimitKind,
        text: &str,
    ) -> Result<LimitChange, LimitError> {
        ctx.require(Permission::LimitsManage, Resource::Desk)?;
        let value = LimitValue::parse(kind, text.trim())?;
        if !self.exists(&scope).await.map_err(LimitError::Journal)? {
            return Err(LimitError::NoSuchScope(scope));
        }
        self.change_limit(ctx, scope, kind, Some(value)).await
    }

    /// Takes a limit away.
    ///
    /// # Errors
    /// Says why nothing has changed.
    pub async fn remove_limit(
        &self,
        ctx: &Context,
        scope: &Scope,
        kind: LimitKind,
    ) -> Result<LimitChange, LimitError> {
        ctx.require(Permission::LimitsManage, Resource::Desk)?;
        self.change_limit(ctx, scope.clone(), kind, None).await
    }

    async fn change_limit(
        &self,
        ctx: &Context,
        scope: Scope,
        kind: LimitKind,
        after: Option<LimitValue>,
    ) -> Result<LimitChange, LimitError> {
        let _one_at_a_time = self.shared.changing.lock().await;
        let before = self.shared.limits().get(&scope, kind).cloned();
        if after.is_none() {
            self.check_removable(&scope, kind, before.as_deref())?;
        }
        let change = Change { scope, kind, before, after };
        if is_raise(kind, change.before.as_ref().map(|limit| &limit.value), change.after.as_ref()) {
            ctx.require_recent_factor()?;
            if self.shared.four_eyes.raises {
                let id = self.ask_for_limit(ctx, &change).await.map_err(LimitError::Journal)?;
                return Ok(LimitChange::AwaitsApproval { id });
            }
        }
        let after = self.apply(change.clone(), author(ctx), ctx.at, AuditEntry::by(ctx, act(&change))).await;
        Ok(LimitChange::Done { before: change.before, after: after.map_err(LimitError::Journal)? })
    }

    /// The same, once a second person has agreed; `None` when the limit is not what it was when that was asked for.
    pub(crate) async fn change_limit_approved(
        &self,
        approval: &Approval,
        asked: &Change,
        at: Timestamp,
    ) -> Result<Option<()>, StorageError> {
        let _one_at_a_time = self.shared.changing.lock().await;
        let before = self.shared.limits().get(&asked.scope, asked.kind).cloned();
        let value = |limit: &Option<Arc<Limit>>| limit.as_ref().map(|limit| limit.value.clone());
        if value(&before) == asked.after && value(&asked.before) != asked.after {
            // It was done, and the desk stopped before it could say so.
            return Ok(Some(()));
        }
        if value(&before) != value(&asked.before) {
            return Ok(None);
        }
        let change = Change { before, ..asked.clone() };
        let entry = AuditEntry::by_system(at, act(&change)).with(json!({
            "approval": approval.id,
            "asked_by": approval.asked_by,
            "approved_by": approval.decided_by,
        }));
        self.apply(change, approval.asked_by.clone(), at, entry).await.map(|_| Some(()))
    }

    /// Makes a change durable, and then lets it count.
    async fn apply(
        &self,
        change: Change,
        set_by: String,
        at: Timestamp,
        entry: AuditEntry,
    ) -> Result<Option<Arc<Limit>>, StorageError> {
        let Change { scope, kind, before, after } = change;
        let limit =
            after.map(|value| Limit { scope: scope.clone(), kind, value, set_by: set_by.into(), set_at: at });
        let mut detail = entry.detail.clone();
        detail["kind"] = json!(kind);
        detail["before"] = json!(before.as_ref().map(|limit| &limit.value));
        detail["after"] = json!(limit.as_ref().map(|limit| &limit.value));
        let entry = entry.on("limit", &scope).with(detail);
        let (row, of) = (limit.clone(), scope.clone());
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                match &row {
                    Some(limit) => store::set(tx, limit).await?,
                    None => store::remove(tx, &of, kind).await?,
                }
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        written.await?;
        let after = {
            let mut limits = self.shared.limits_mut();
            match limit {
                Some(limit) => limits.set(limit),
                None => limits.remove(&scope, kind),
            };
            limits.get(&scope, kind).cloned()
        };
        let _ = self.shared.events.send(TradingEvent::Limits);
        Ok(after)
    }

    /// Lets the drawdown of a scope begin again from the profit of now: lifts a drawdown stop.
    ///
    /// # Errors
    /// Says why not.
    pub async fn reset_drawdown(&self, ctx: &Context, scope: &Scope) -> Result<(), LimitError> {
        ctx.require(Permission::LimitsManage, Resource::Desk)?;
        ctx.require_recent_factor()?;
        if !self.exists(scope).await.map_err(LimitError::Journal)? {
            return Err(LimitError::NoSuchScope(scope.clone()));
        }
        let _one_at_a_time = self.shared.changing.lock().await;
        let (before, profit) = {
            let ledger = self.shared.ledger();
            (ledger.remembered(scope), ledger.figures(scope, ctx.at).profit)
        };
        let after = Remembered { peak_profit: profit, ..before };
        let entry = AuditEntry::by(ctx, "limit.drawdown_reset")
            .on("limit", scope)
            .with(json!({ "before": before.peak_profit, "after": after.peak_profit }));
        let of = scope.clone();
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                store::mark(tx, &of, after).await?;
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        written.await.map_err(LimitError::Journal)?;
        self.shared.ledger().reset_peak(scope);
        let _ = self.shared.events.send(TradingEvent::Limits);
        Ok(())
    }

    /// The limits in force, with how much of each is used: all of them for those who manage limits, else those of the
    /// desk, of oneself, and of what may be seen.
    pub fn limits(&self, ctx: &Context) -> Vec<LimitInForce> {
        let now = self.shared.clock.now();
        // Who sees a book is known by its account, which is locked before limits and ledger and never after.
        let all: Vec<Arc<Limit>> = self.shared.limits().iter().cloned().collect();
        let visible: Vec<Arc<Limit>> =
            all.into_iter().filter(|limit| self.sees_limits(ctx, &limit.scope)).collect();
        let limits = self.shared.limits();
        let ledger = self.shared.ledger();
        let mut used: BTreeMap<Scope, Vec<_>> = BTreeMap::new();
        visible
            .iter()
            .map(|limit| {
                let of_scope = used
                    .entry(limit.scope.clone())
                    .or_insert_with(|| ledger.usage(&limits, &limit.scope, now));
                let usage = of_scope.iter().find(|usage| Arc::ptr_eq(&usage.limit, limit));
                LimitInForce {
                    limit: limit.clone(),
                    symbol: usage.and_then(|usage| usage.symbol.clone()),
                    used: usage.map(|usage| usage.used),
                    fraction: usage.and_then(|usage| usage.fraction),
                }
            })
            .collect()
    }

    fn sees_limits(&self, ctx: &Context, scope: &Scope) -> bool {
        if ctx.require(Permission::LimitsManage, Resource::Desk).is_ok() {
            return true;
        }
        let sees = |account| ctx.require(Permission::AccountsView, Resource::Account(account)).is_ok();
        match scope {
            Scope::Desk => ctx.require(Permission::OrdersView, Resource::Desk).is_ok(),
            Scope::User(user) => ctx.user_id() == Some(*user),
            Scope::Account(account) => sees(*account),
            Scope::Book(book) => self.virtual_book(*book).is_some_and(|book| sees(book.account)),
            // A key's own limits are seen with it, and by whoever sets limits.
            Scope::Key(key) => ctx.key_id().is_some_and(|own| own.as_str() == key),
            Scope::Group(_) | Scope::Bot(_) | Scope::Strategy(_) => false,
        }
    }

    /// Whether there is what a limit is for. A strategy is whatever orders say they are of.
    async fn exists(&self, scope: &Scope) -> Result<bool, StorageError> {
        Ok(match scope {
            Scope::Desk | Scope::Strategy(_) => true,
            Scope::Account(account) => self.desks.get(account).is_some(),
            Scope::Book(book) => self.virtual_book(*book).is_some(),
            Scope::User(user) => is_user(&mut *self.shared.db.read().await?, *user).await?,
            Scope::Key(key) => key_owner(&mut *self.shared.db.read().await?, key).await?.is_some(),
            // The desk has none of these.
            Scope::Group(_) | Scope::Bot(_) => false,
        })
    }

    fn check_removable(
        &self,
        scope: &Scope,
        kind: LimitKind,
        before: Option<&Limit>,
    ) -> Result<(), LimitError> {
        match before {
            // A desk where orders may trade with each other says so; it does not just say nothing.
            _ if *scope == Scope::Desk && kind == LimitKind::SelfCross => {
                Err(LimitError::Configured { kind })
            }
            Some(_) => Ok(()),
            None => {
                let limits = self.shared.limits();
                let configured = limits.of(scope).any(|limit| limit.kind == kind);
                match configured {
                    true => Err(LimitError::Configured { kind }),
                    false => Err(LimitError::NotSet { scope: scope.clone(), kind }),
                }
            }
        }
    }
}

fn act(change: &Change) -> &'static str {
    match change.after {
        Some(_) => "limit.set",
        None => "limit.removed",
    }
}
