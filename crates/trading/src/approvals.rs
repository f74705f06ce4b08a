//! Four eyes: what one person asks for and another has to agree to.
//!
//! An order above the limit "approval needed above" waits here instead of being placed; so does a raised limit, where
//! the desk is set so. Whoever agrees must be somebody else, with the permission on that account. Agreeing is not
//! placing: at that moment the order goes through every check again, by the rights and limits of whoever asked for it,
//! as they are then.
//!
//! 1. It is asked for once: a repeated request is told the same id.
//! 2. The first decision counts. It is durable before anything is done about it.
//! 3. What was agreed to is done, under the client order id of the request: so a crash between 2 and 3 is made good after
//!    the restart, and doing it twice is one order.
//! 4. What waits too long is over.

mod store;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, AuditEntry, Context, Denied, KeyId, OrderId, OrderRequest, Permission, Resource, StepUpNeeded,
    Timestamp, UnknownName, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{StorageError, Tx};
use tokio_util::sync::CancellationToken;

use crate::core::{author, describe};
use crate::gateway::{Desk, Gateway, SubmitError, Submitted, TradingEvent, repeated};
use crate::limits::Change;
use crate::outbox::Event;
use crate::risk::{Limit, LimitKind, LimitValue};
use crate::scope::Scope;
use crate::store as orders;

/// Who somebody is at a moment: needed where an order is placed later than its author asked for it.
#[async_trait]
pub trait People: Send + Sync {
    /// What a person may do at the moment, or a program with the key that they gave it; `None` when they may not sign in
    /// (any more), or the key is good no more.
    async fn person(
        &self,
        user: UserId,
        key: Option<KeyId>,
        at: Timestamp,
    ) -> Result<Option<Context>, StorageError>;
}

/// What two people have to agree to, and for how long one of them is waited for.
#[derive(Clone)]
pub struct FourEyes {
    /// Whether a limit is raised or removed only with a second person.
    pub raises: bool,
    /// How long an approval waits.
    pub lasts: Duration,
    /// Who people are; without it no order can be approved.
    pub people: Option<Arc<dyn People>>,
}

impl Default for FourEyes {
    fn default() -> Self {
        Self { raises: false, lasts: Duration::from_secs(15 * 60), people: None }
    }
}

/// Letters of a note.
const NOTE: usize = 500;

/// An approval's id: sorts by when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(uuid::Uuid);

impl ApprovalId {
    /// The bare id.
    pub fn uuid(self) -> uuid::Uuid {
        self.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ApprovalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        uuid::Uuid::parse_str(text).map(Self)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To place an order.
    Order {
        /// On which account.
        account: AccountId,
        /// The order.
        request: Box<OrderRequest>,
    },
    /// To change a limit.
    Limit {
        /// Of what.
        scope: Scope,
        /// Which.
        kind: LimitKind,
        /// What it says now; `None`: there is none.
        before: Option<String>,
        /// What it is to say; `None`: it is to be removed.
        after: Option<String>,
    },
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// Somebody has to decide.
    Waiting,
    /// A second person agreed.
    Approved,
    /// A second person did not.
    Refused,
    /// Nobody decided in time.
    Expired,
    /// Whoever asked does not want it any more.
    Withdrawn,
}

impl ApprovalStatus {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Waiting, Self::Approved, Self::Refused, Self::Expired, Self::Withdrawn];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What the audit log calls it when an approval comes to stand there.
    fn act(self) -> &'static str {
        match self {
            Self::Waiting => "approval.asked",
            Self::Approved => "approval.approved",
            Self::Refused => "approval.refused",
            Self::Expired => "approval.expired",
            Self::Withdrawn => "approval.withdrawn",
        }
    }
}

impl fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ApprovalStatus {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.iter().copied().find(|status| status.as_str() == text).ok_or_else(|| UnknownName {
            what: "approval status",
            given: text.chars().take(40).collect(),
            allowed: "waiting, approved, refused, expired, withdrawn".into(),
        })
    }
}

/// Something that one person asked for and another has to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What is asked for.
    pub what: Asked,
    /// Who asked: a user's id.
    pub asked_by: String,
    /// The API key with which a program asked on their behalf.
    pub key: Option<KeyId>,
    /// When.
    pub asked_at: Timestamp,
    /// When it is over if nobody has decided.
    pub expires_at: Timestamp,
    /// Why it needs a second person.
    pub why: String,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who decided: a user's id.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// What they said to it.
    pub note: Option<String>,
    /// What came of it once it was approved: `order` with the order's id, `changed`, or `refused: ` with the reason.
    /// `None` on one that is approved: it is being tried.
    pub result: Option<String>,
}

impl Approval {
    /// The order that came of it.
    pub fn order(&self) -> Option<OrderId> {
        self.result.as_ref()?.strip_prefix("order ")?.parse().ok()
    }

    fn resource(&self) -> Resource {
        match &self.what {
            Asked::Order { account, .. } | Asked::Limit { scope: Scope::Account(account), .. } => {
                Resource::Account(*account)
            }
            Asked::Limit { .. } => Resource::Desk,
        }
    }

    /// As it stands after a decision.
    fn decided(self, ctx: &Context, status: ApprovalStatus, note: &str) -> Self {
        let note = note.trim();
        Self {
            status,
            decided_by: Some(author(ctx)),
            decided_at: Some(ctx.at),
            note: (!note.is_empty()).then(|| note.chars().take(NOTE).collect()),
            ..self
        }
    }
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first, because a limit is raised.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// There is none, or none that may be seen.
    #[error("there is no such approval")]
    NotFound,
    /// One's own wish, or not a person's decision.
    #[error("another person has to decide this")]
    AnotherPerson,
    /// It is decided, or over.
    #[error("it is {status} already")]
    NotWaiting {
        /// Where it stands.
        status: ApprovalStatus,
    },
    /// It could not be journaled. Nothing was decided.
    #[error("nothing was decided, because that could not be journaled: {0}")]
    Journal(#[source] StorageError),
}

impl From<StorageError> for ApprovalError {
    fn from(error: StorageError) -> Self {
        Self::Journal(error)
    }
}

/// Ends what waits too long and finishes what was agreed to, until `stop`.
pub(crate) fn start(gateway: &Gateway, stop: &CancellationToken) {
    let (gateway, stop) = (gateway.clone(), stop.clone());
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut every = tokio::time::interval(gateway.shared.tick * 20);
        loop {
            every.tick().await;
            if let Err(error) = gateway.look_after_approvals().await {
                tracing::warn!(%error, "approvals could not be looked after");
            }
        }
    }));
}

impl Gateway {
    /// At most `limit` approvals from before one of them, newest first: one's own, and those one may decide or whose account
    /// one may see.
    ///
    /// # Errors
    /// The database failed.
    pub async fn approvals(
        &self,
        ctx: &Context,
        status: Option<ApprovalStatus>,
        mut before: Option<(Timestamp, ApprovalId)>,
        limit: usize,
    ) -> Result<Vec<Approval>, StorageError> {
        let now = ctx.at;
        let mut shown = Vec::new();
        loop {
            let some = store::list(&mut *self.shared.db.read().await?, status, before, limit).await?;
            let was_last = some.len() < limit;
            before = some.last().map(|one| (one.asked_at, one.id));
            let seen = some.into_iter().filter(|approval| self.sees_approval(ctx, approval));
            // One that is over and was not written so yet.
            shown.extend(seen.filter(|one| {
                status.is_none() || one.status != ApprovalStatus::Waiting || now < one.expires_at
            }));
            if was_last || shown.len() >= limit {
                shown.truncate(limit);
                return Ok(shown);
            }
        }
    }

    /// One of them; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn approval(&self, ctx: &Context, id: ApprovalId) -> Result<Option<Approval>, StorageError> {
        let found = store::load(&mut *self.shared.db.read().await?, id).await?;
        Ok(found.filter(|approval| self.sees_approval(ctx, approval)))
    }

    /// Agrees, as a second person, and has it done. What came of it is in the answer: the order may be refused after
    /// all, because matters stand otherwise by now.
    ///
    /// # Errors
    /// Says why nothing was decided.
    pub async fn approve(
        &self,
        ctx: &Context,
        id: ApprovalId,
        note: &str,
    ) -> Result<Approval, ApprovalError> {
        let approval = self.for_second_person(ctx, id).await?;
        if let Asked::Limit { .. } = approval.what {
            ctx.require(Permission::LimitsManage, Resource::Desk)?;
            ctx.require_recent_factor()?;
        }
        let approval = self.decide(ctx, approval.decided(ctx, ApprovalStatus::Approved, note)).await?;
        let result = self.carry_out(&approval, ctx.user_id()).await;
        Ok(Approval { result, ..approval })
    }

    /// Does not agree, as a second person.
    ///
    /// # Errors
    /// Says why nothing was decided.
    pub async fn refuse_approval(
        &self,
        ctx: &Context,
        id: ApprovalId,
        note: &str,
    ) -> Result<Approval, ApprovalError> {
        let approval = self.for_second_person(ctx, id).await?;
        self.decide(ctx, approval.decided(ctx, ApprovalStatus::Refused, note)).await
    }

    /// Takes back what one asked for.
    ///
    /// # Errors
    /// Says why not.
    pub async fn withdraw_approval(&self, ctx: &Context, id: ApprovalId) -> Result<Approval, ApprovalError> {
        let approval = self.approval(ctx, id).await?.ok_or(ApprovalError::NotFound)?;
        if approval.asked_by != author(ctx) {
            return Err(ApprovalError::AnotherPerson);
        }
        self.decide(ctx, approval.decided(ctx, ApprovalStatus::Withdrawn, "")).await
    }

    /// An order needs a second person: it is asked for one, once.
    pub(crate) async fn ask_second_person(
        &self,
        ctx: &Context,
        desk: &Desk,
        request: OrderRequest,
        limit: Arc<Limit>,
    ) -> Result<Submitted, SubmitError> {
        let account = desk.account_id();
        let mut connection = self.shared.db.read().await.map_err(SubmitError::Journal)?;
        let used = orders::used(&mut connection, account, &request.client_order_id).await;
        drop(connection);
        if let Some(existing) = used.map_err(SubmitError::Journal)? {
            return repeated(existing, &request);
        }
        let approval = Approval {
            why: format!(
                "the order is worth more than {}, a limit of {}",
                limit.value,
                limit.scope.in_words()
            ),
            ..self.asked(ctx, Asked::Order { account, request: Box::new(request.clone()) })
        };
        let entry = self.entry(ctx, &approval);
        let (outbox, mode) = (self.shared.outbox.clone(), desk.account().mode);
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                if let Some(before) = store::of_order(tx, account, &request.client_order_id).await? {
                    let same = before.what == approval.what && before.asked_by == approval.asked_by;
                    return Ok(same.then_some(before.id));
                }
                store::insert(tx, &approval).await?;
                tx.record(entry);
                outbox.post(tx, || vec![Event::waiting(&approval, Some(mode))]).await?;
                Ok::<_, StorageError>(Some(approval.id))
            })
        });
        match written.await.map_err(SubmitError::Journal)? {
            Some(id) => {
                let _ = self.shared.events.send(TradingEvent::Approvals);
                Err(SubmitError::AwaitsApproval { id, limit })
            }
            None => Err(SubmitError::Unsupported {
                field: "client_order_id",
                reason: "a different order of this name waits for a second person".into(),
            }),
        }
    }

    /// A limit is to let more through: a second person is asked.
    pub(crate) async fn ask_for_limit(
        &self,
        ctx: &Context,
        change: &Change,
    ) -> Result<ApprovalId, StorageError> {
        let what = Asked::Limit {
            scope: change.scope.clone(),
            kind: change.kind,
            before: change.before.as_ref().map(|limit| limit.value.to_string()),
            after: change.after.as_ref().map(LimitValue::to_string),
        };
        let approval = Approval { why: "it lets more through than before".into(), ..self.asked(ctx, what) };
        let (id, entry, outbox) = (approval.id, self.entry(ctx, &approval), self.shared.outbox.clone());
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                store::insert(tx, &approval).await?;
                tx.record(entry);
                outbox.post(tx, || vec![Event::waiting(&approval, None)]).await
            })
        });
        written.await?;
        let _ = self.shared.events.send(TradingEvent::Approvals);
        Ok(id)
    }

    fn asked(&self, ctx: &Context, what: Asked) -> Approval {
        Approval {
            // Ids of orders sort by time too.
            id: ApprovalId(OrderId::new(ctx.at).0),
            what,
            asked_by: author(ctx),
            key: ctx.key_id(),
            asked_at: ctx.at,
            expires_at: ctx.at + self.shared.four_eyes.lasts,
            why: String::new(),
            status: ApprovalStatus::Waiting,
            decided_by: None,
            decided_at: None,
            note: None,
            result: None,
        }
    }

    /// One that somebody else may decide.
    async fn for_second_person(&self, ctx: &Context, id: ApprovalId) -> Result<Approval, ApprovalError> {
        let approval = self.approval(ctx, id).await?.ok_or(ApprovalError::NotFound)?;
        ctx.require(Permission::OrdersApprove, approval.resource())?;
        // A person, so that there are two of them: not the operator, who is nobody in particular.
        match ctx.user_id() {
            Some(user) if user.to_string() != approval.asked_by => Ok(approval),
            _ => Err(ApprovalError::AnotherPerson),
        }
    }

    /// Makes a decision durable, if none was taken before.
    async fn decide(&self, ctx: &Context, approval: Approval) -> Result<Approval, ApprovalError> {
        if approval.expires_at <= ctx.at {
            return Err(ApprovalError::NotWaiting { status: ApprovalStatus::Expired });
        }
        let entry = self.entry(ctx, &approval);
        if self.write_decision(approval.clone(), entry).await? {
            return Ok(approval);
        }
        let now = store::load(&mut *self.shared.db.read().await?, approval.id).await?;
        Err(now.map_or(ApprovalError::NotFound, |now| ApprovalError::NotWaiting { status: now.status }))
    }

    async fn write_decision(&self, approval: Approval, entry: AuditEntry) -> Result<bool, StorageError> {
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                let first = store::decide(tx, &approval).await?;
                if first {
                    tx.record(entry);
                }
                Ok::<_, StorageError>(first)
            })
        });
        let first = written.await?;
        let _ = self.shared.events.send(TradingEvent::Approvals);
        Ok(first)
    }

    /// Does what was agreed to, and keeps what came of it; `None` when that is not known yet and is tried again.
    async fn carry_out(&self, approval: &Approval, approver: Option<UserId>) -> Option<String> {
        let result = match &approval.what {
            Asked::Order { account, request } => self.place(approval, *account, request, approver).await,
            Asked::Limit { .. } => self.raise(approval).await,
        };
        let (id, text) = (approval.id, result?);
        let kept = text.clone();
        let written = self
            .shared
            .db
            .write(move |tx: &mut Tx| Box::pin(async move { store::finish(tx, id, &kept).await }));
        if let Err(error) = written.await {
            tracing::error!(%error, approval = %id, "what came of an approval could not be kept; it is tried again");
        }
        let _ = self.shared.events.send(TradingEvent::Approvals);
        Some(text)
    }

    async fn place(
        &self,
        approval: &Approval,
        account: AccountId,
        request: &OrderRequest,
        approver: Option<UserId>,
    ) -> Option<String> {
        let now = self.shared.clock.now();
        let user: Option<UserId> = approval.asked_by.parse().ok();
        let people = self.shared.four_eyes.people.as_ref();
        let (Some(user), Some(people)) = (user, people) else {
            return Some("refused: whoever asked is no person of this desk".into());
        };
        let author = match people.person(user, approval.key, now).await {
            Ok(Some(author)) => author,
            Ok(None) => return Some("refused: whoever asked may not trade any more".into()),
            Err(error) => {
                tracing::warn!(%error, approval = %approval.id, "whoever asked could not be looked up");
                return None;
            }
        };
        match self.submit_approved(&author, account, request.clone(), approver).await {
            Ok(submitted) => Some(format!("order {}", submitted.order.id)),
            // About the desk and not about the order: it is tried again.
            Err(SubmitError::Journal(_) | SubmitError::Blind(_)) => None,
            Err(error) => Some(format!("refused: {error}")),
        }
    }

    async fn raise(&self, approval: &Approval) -> Option<String> {
        let Asked::Limit { scope, kind, before, after } = &approval.what else { return None };
        let value =
            |text: &Option<String>| text.as_ref().map(|text| LimitValue::parse(*kind, text)).transpose();
        let (Ok(before), Ok(after)) = (value(before), value(after)) else {
            return Some("refused: it is no value of this limit".into());
        };
        let limit = |value| {
            Arc::new(Limit {
                scope: scope.clone(),
                kind: *kind,
                value,
                set_by: approval.asked_by.as_str().into(),
                set_at: approval.asked_at,
            })
        };
        let change = Change { scope: scope.clone(), kind: *kind, before: before.map(limit), after };
        // Whoever agreed is named: with their decision it takes effect.
        let at = self.shared.clock.now();
        match self.change_limit_approved(approval, &change, at).await {
            Ok(Some(())) => Some("changed".into()),
            Ok(None) => Some("refused: the limit was changed since it was asked for".into()),
            Err(error) => {
                tracing::error!(%error, approval = %approval.id, "an approved limit could not be set; it is tried again");
                None
            }
        }
    }

    /// Ends what waits too long, and finishes what a restart or a fault interrupted.
    async fn look_after_approvals(&self) -> Result<(), StorageError> {
        let now = self.shared.clock.now();
        let mut connection = self.shared.db.read().await?;
        let overdue = store::overdue(&mut connection, now).await?;
        let unfinished = store::unfinished(&mut connection).await?;
        drop(connection);
        for approval in overdue {
            let status = ApprovalStatus::Expired;
            let approval = Approval { status, decided_at: Some(now), ..approval };
            let entry = AuditEntry::by_system(now, status.act())
                .on("approval", approval.id)
                .with(self.describe_approval(&approval));
            self.write_decision(approval, entry).await?;
        }
        for approval in unfinished {
            let age = approval.decided_at.map(|at| now.duration_since(at).unsigned_abs());
            if age.is_some_and(|age| age > self.shared.four_eyes.lasts) {
                // Prices are of another time by now. Whoever wants it still asks again.
                let id = approval.id;
                let result = "refused: it could not be done in time";
                let written = self
                    .shared
                    .db
                    .write(move |tx: &mut Tx| Box::pin(async move { store::finish(tx, id, result).await }));
                written.await?;
                continue;
            }
            let approver = approval.decided_by.as_ref().and_then(|by| by.parse().ok());
            self.carry_out(&approval, approver).await;
        }
        Ok(())
    }

    fn sees_approval(&self, ctx: &Context, approval: &Approval) -> bool {
        // A key knows of nothing beside its account, not even of what its owner asked for.
        (approval.asked_by == author(ctx) && (ctx.key_id().is_none() || ctx.key_id() == approval.key))
            || match &approval.what {
                Asked::Order { account, .. } => {
                    ctx.require(Permission::OrdersView, Resource::Account(*account)).is_ok()
                }
                Asked::Limit { .. } => ctx.require(Permission::LimitsManage, Resource::Desk).is_ok(),
            }
    }

    fn entry(&self, ctx: &Context, approval: &Approval) -> AuditEntry {
        AuditEntry::by(ctx, approval.status.act())
            .on("approval", approval.id)
            .with(self.describe_approval(approval))
    }

    /// An approval as the audit log keeps it.
    fn describe_approval(&self, approval: &Approval) -> Value {
        let mut detail = match &approval.what {
            Asked::Order { account, request } => {
                let mut detail = describe(request);
                detail["account"] = json!(account);
                if let Some(desk) = self.desks.get(account) {
                    detail["mode"] = json!(desk.account().mode.as_str());
                }
                detail
            }
            Asked::Limit { scope, kind, before, after } => {
                json!({ "scope": scope, "limit": kind, "before": before, "after": after })
            }
        };
        detail["asked_by"] = json!(approval.asked_by);
        detail["why"] = json!(approval.why);
        if let Some(note) = &approval.note {
            detail["note"] = json!(note);
        }
        detail
    }
}
