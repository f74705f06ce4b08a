//! The endpoints of the API as an admin sees them: each can be switched off, or be given a budget of its own.
//!
//! An endpoint is a line of the table of who may call what ([`access`]), or a half of the desk in Alpaca's words. Those
//! without which nobody could stop the desk, sign in, or switch an endpoint on again, always answer.

mod store;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::Method;
use domain::{AuditEntry, Context, Denied, Permission, Resource, StepUpNeeded, Timestamp};
use governor::clock::DefaultClock;
use storage::{Database, StorageError};

use crate::access::{self, Needs, Rule};
use crate::alpaca;
use crate::rates::{Class, Shared};

/// The orders, positions and account of programs written for Alpaca.
const ALPACA_TRADING: &str = "alpaca/trading";
/// The prices of such programs.
const ALPACA_PRICES: &str = "alpaca/prices";

/// What a request calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// Of the table; none of Alpaca's words.
    pub rule: Option<&'static Rule>,
    /// A half of the desk in Alpaca's words.
    half: &'static str,
    pub class: Class,
}

impl Endpoint {
    /// What is called with `method` on a route; `None` where there is nothing of the kind.
    pub(crate) fn of(method: &Method, route: &str) -> Option<Self> {
        if route.starts_with(alpaca::PREFIX) {
            let half = if alpaca::is_about_prices(route) { ALPACA_PRICES } else { ALPACA_TRADING };
            return Some(Self { rule: None, half, class: alpaca::class(method, route) });
        }
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let rule = access::TABLE.iter().find(|rule| rule.method == method && rule.path == route)?;
        Some(Self { rule: Some(rule), half: "", class: access::class(rule) })
    }

    /// Its name: `GET /api/v1/orders`, `alpaca/trading`.
    pub(crate) fn id(&self) -> String {
        self.rule.map_or_else(|| self.half.to_owned(), id_of)
    }

    /// Whether it answers whatever an admin says.
    pub(crate) fn is_essential(&self) -> bool {
        self.class == Class::Free || self.rule.is_some_and(access::is_essential)
    }

    /// Whether whoever calls it shows who they are.
    pub(crate) fn asks_who(&self) -> bool {
        self.rule.is_none_or(|rule| rule.needs != Needs::Nothing)
    }
}

fn id_of(rule: &Rule) -> String {
    format!("{} {}", rule.method, rule.path)
}

/// What an admin said of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub is_on: bool,
    /// Most requests a minute of everybody together.
    pub per_minute: Option<NonZeroU32>,
    pub reason: String,
    pub changed_by: String,
    pub changed_at: Timestamp,
}

/// Why an endpoint was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    #[error("there is no such endpoint")]
    NotFound,
    #[error(
        "this endpoint always answers: without it nobody could stop the desk, sign in, or switch it on again"
    )]
    Essential,
    #[error("the reason has 1 to 500 characters")]
    Reason,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// An endpoint that is not as the program would have it.
struct Changed {
    setting: Setting,
    budget: Option<Shared>,
}

impl Changed {
    fn new(setting: Setting) -> Self {
        let budget = setting.per_minute.map(|quota| Shared::new(quota, &DefaultClock::default()));
        Self { setting, budget }
    }
}

/// All endpoints that were changed, by their names. Read when first asked for, and again every minute.
#[derive(Default)]
pub(crate) struct Endpoints {
    all: RwLock<Option<HashMap<String, Arc<Changed>>>>,
    /// One at a time reads or changes them in the database, so that nothing old takes the place of something new.
    turn: tokio::sync::Mutex<()>,
}

/// Whether an endpoint answers.
pub(crate) enum Answers {
    /// It does; with a budget of its own where it has one.
    Yes(Option<crate::rates::Standing>),
    /// It was switched off.
    No,
}

impl Endpoints {
    /// Whether an endpoint answers now, counting the request where it has a budget.
    ///
    /// # Errors
    /// The database cannot say, and never could since the start: what was switched off must not answer for that.
    pub(crate) async fn answers(&self, db: &Database, endpoint: &Endpoint) -> Result<Answers, StorageError> {
        if endpoint.is_essential() {
            return Ok(Answers::Yes(None));
        }
        if self.read(Option::is_none) {
            self.load(db).await?;
        }
        let changed = self.read(|all| {
            let all = all.as_ref().filter(|all| !all.is_empty())?;
            all.get(&endpoint.id()).cloned()
        });
        Ok(match changed {
            Some(changed) if !changed.setting.is_on => Answers::No,
            changed => Answers::Yes(changed.and_then(|one| one.budget.as_ref().map(Shared::spend))),
        })
    }

    /// Reads what other desks on the same database have changed. Budgets that stay as they are keep their state.
    pub(crate) async fn load(&self, db: &Database) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        let stored = store::all(&mut *db.read().await?).await?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = all.take().unwrap_or_default();
        let changed = stored.into_iter().map(|(id, setting)| match known.remove(&id) {
            Some(same) if same.setting == setting => (id, same),
            _ => (id, Arc::new(Changed::new(setting))),
        });
        *all = Some(changed.collect());
        Ok(())
    }

    /// All endpoints by name, with what was said of each.
    pub(crate) async fn list(
        &self,
        db: &Database,
        ctx: &Context,
    ) -> Result<Vec<(Endpoint, String, Option<Setting>)>, EndpointError> {
        ctx.require(Permission::SystemView, Resource::Desk)?;
        self.load(db).await?;
        let halves = [ALPACA_TRADING, ALPACA_PRICES];
        let halves = halves.map(|half| Endpoint { rule: None, half, class: Class::Read });
        let rules = access::TABLE.iter().map(|rule| Endpoint {
            rule: Some(rule),
            half: "",
            class: access::class(rule),
        });
        let all = rules.chain(halves).map(|endpoint| {
            let id = endpoint.id();
            let setting = self.read(|all| all.as_ref()?.get(&id).map(|one| one.setting.clone()));
            (endpoint, id, setting)
        });
        Ok(all.collect())
    }

    /// Switches an endpoint on or off, and gives it a budget or takes it away. Durable, with its audit row, before it counts.
    pub(crate) async fn change(
        &self,
        db: &Database,
        ctx: &Context,
        id: &str,
        change: (bool, Option<NonZeroU32>, String),
    ) -> Result<(), EndpointError> {
        ctx.require(Permission::ApiManage, Resource::Desk)?;
        let (is_on, per_minute, reason) = change;
        let reason = reason.trim().to_owned();
        let found = self.list(db, ctx).await?.into_iter().find(|(_, one, _)| one == id);
        let (endpoint, id, before) = found.ok_or(EndpointError::NotFound)?;
        if endpoint.is_essential() {
            return Err(EndpointError::Essential);
        }
        if reason.is_empty() || 500 < reason.chars().count() || reason.contains(char::is_control) {
            return Err(EndpointError::Reason);
        }
        ctx.require_recent_factor()?;
        let changed_by = ctx.principal.id.clone().unwrap_or_default();
        let setting = Setting { is_on, per_minute, reason, changed_by, changed_at: ctx.at };
        let shown = |setting: Option<&Setting>| {
            serde_json::json!({
                "on": setting.is_none_or(|one| one.is_on),
                "per_minute": setting.and_then(|one| one.per_minute),
            })
        };
        let detail = serde_json::json!({
            "before": shown(before.as_ref()), "after": shown(Some(&setting)), "reason": setting.reason,
        });
        let entry = AuditEntry::by(ctx, "endpoint.changed").on("endpoint", &id).with(detail);
        let (key, stored) = (id.clone(), setting.clone());
        let _turn = self.turn.lock().await;
        db.write(move |tx| {
            tx.record(entry);
            Box::pin(async move { store::set(tx, &key, &stored).await })
        })
        .await?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.get_or_insert_default().insert(id, Arc::new(Changed::new(setting)));
        Ok(())
    }

    fn read<T>(&self, look: impl FnOnce(&Option<HashMap<String, Arc<Changed>>>) -> T) -> T {
        look(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }
}
