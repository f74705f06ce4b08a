//! Webhooks and what their owners do with them.
//!
//! A webhook belongs to one person, and nobody else sees it, or that it is there. It has no rights of its own: what it is
//! told is what its owner may see at the moment of telling. Whoever names the address decides where the desk's data goes,
//! so naming one needs a second factor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Clock, Context, Credential, Outcome, Permission, Resource, Timestamp, UserId,
};
use identity::once::{self, Once, Recall};
use identity::{Identity, display_name};
use serde_json::json;
use storage::{Database, StorageError};
use tokio::sync::{Notify, Semaphore};
use trading::Gateway;
use trading::outbox::{self, EventKind};
use uuid::Uuid;
use vault::Vault;

use crate::error::WebhookError;
use crate::log::{Delivery, DeliveryStatus};
use crate::lookup::Resolve;
use crate::send::{Sender, Trust};
use crate::signature::Secret;
use crate::store;
use crate::target::{Rules, Target};

/// For how long the former secret of a webhook signs too at most.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Webhooks of one person.
const MOST: u32 = 20;
/// Between two tests of a webhook.
const TESTED_EVERY: Duration = Duration::from_secs(3);
/// Attempts that are under way at the same time, of all webhooks.
const AT_ONCE: usize = 16;
/// Webhooks for which it is read at the same time what there is to do.
const READING: usize = 2;

/// Whether a webhook is told anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    On,
    /// Its owner switched it off.
    Off,
    /// The desk switched it off, because the receiver did not take anything for days, or said that it is gone.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::On, Self::Off, Self::Failed];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == text)
    }
}

/// An address that is told what happens, without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: UserId,
    /// What the owner calls it.
    pub name: String,
    /// Where it goes.
    pub url: String,
    /// The one account that it is about; `None`: every one that the owner may see at the moment.
    pub account: Option<AccountId>,
    /// What it is told; empty: everything.
    pub kinds: Vec<EventKind>,
    /// Whether it is told anything.
    pub state: State,
    /// Why the desk switched it off.
    pub reason: Option<String>,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// Until when messages are signed with the secret before the last rotation too.
    pub former_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The last event that was looked at.
    pub(crate) cursor: i64,
}

impl Webhook {
    /// Whether it asks for such an event. What stops the whole desk concerns every account.
    pub(crate) fn wants(&self, event: &outbox::Event) -> bool {
        let about = match (&event.account, &event.scope) {
            (Some(account), _) | (None, Some(trading::Scope::Account(account))) => Some(*account),
            _ => None,
        };
        let everywhere = event.scope == Some(trading::Scope::Desk);
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.account.is_none_or(|own| about == Some(own) || everywhere)
    }

    pub(crate) fn secret_name(&self) -> String {
        format!("webhook/{}/secret", self.id)
    }

    pub(crate) fn former_name(&self) -> String {
        format!("webhook/{}/former", self.id)
    }
}

/// A webhook to be made, for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// Where it goes.
    pub url: String,
    /// The account that it is about; `None`: every one that the owner may see at the moment.
    pub account: Option<AccountId>,
    /// What it is told; empty: everything.
    pub kinds: Vec<String>,
}

/// What is to be other about a webhook; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// Where it goes.
    pub url: Option<String>,
    /// The account that it is about.
    pub account: Option<Option<AccountId>>,
    /// What it is told.
    pub kinds: Option<Vec<String>>,
    /// Whether it is told anything. What happened while it was off is not told.
    pub on: Option<bool>,
}

/// A webhook with its secret, which is sealed and cannot be shown again.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The webhook.
    pub webhook: Webhook,
    /// What its messages are signed with.
    pub secret: Secret,
}

/// What webhooks are made of.
pub struct Parts {
    /// Where they are kept.
    pub db: Database,
    /// Where their secrets are sealed.
    pub vault: Vault,
    /// Whose they are.
    pub identity: Identity,
    /// What happens.
    pub gateway: Gateway,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where they may go.
    pub rules: Rules,
    /// Who knows the addresses of names.
    pub resolver: Arc<dyn Resolve>,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// The desk's webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) vault: Vault,
    pub(crate) identity: Identity,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sender: Sender,
    /// There is something to be looked at.
    pub(crate) wake: Notify,
    /// Held while it changes whether any webhook is on: so that nothing is missed in between.
    pub(crate) switching: tokio::sync::Mutex<()>,
    pub(crate) attempts: Semaphore,
    pub(crate) reading: Semaphore,
    /// When each was last tested.
    tested: Mutex<HashMap<Uuid, Timestamp>>,
}

impl Webhooks {
    /// Webhooks that are told nothing until [`Webhooks::run`].
    pub fn new(parts: Parts) -> Self {
        let Parts { db, vault, identity, gateway, clock, rules, resolver, trust } = parts;
        let sender = Sender { rules, resolver, trust, clock: clock.clone() };
        Self(Arc::new(Inner {
            db,
            vault,
            identity,
            gateway,
            clock,
            sender,
            wake: Notify::new(),
            switching: tokio::sync::Mutex::default(),
            attempts: Semaphore::new(AT_ONCE),
            reading: Semaphore::new(READING),
            tested: Mutex::default(),
        }))
    }

    /// The caller's webhooks, newest first.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn list(&self, ctx: &Context) -> Result<Vec<Webhook>, WebhookError> {
        let owner = person(ctx)?;
        Ok(store::of_owner(&mut *self.0.db.read().await?, owner).await?)
    }

    /// One of the caller's webhooks. Those of others and those that never were look the same.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn get(&self, ctx: &Context, id: Uuid) -> Result<Webhook, WebhookError> {
        let owner = person(ctx)?;
        let found = store::find(&mut *self.0.db.read().await?, id).await?;
        found.filter(|webhook| webhook.owner == owner).ok_or(WebhookError::NotFound)
    }

    /// Makes a webhook for the caller, which is told what happens from now on. Needs a recent factor.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn create(
        &self,
        ctx: &Context,
        new: NewWebhook,
        once: Option<Once>,
    ) -> Result<Issued, WebhookError> {
        const ACT: &str = "webhook.created";
        let owner = person(ctx)?;
        let target = Target::read(&new.url, &self.0.sender.rules)?;
        if let Some(account) = new.account {
            ctx.require(Permission::AccountsView, Resource::Account(account))?;
        }
        let name = display_name(&new.name).ok_or(WebhookError::NameInvalid)?;
        let kinds = kinds(&new.kinds)?;
        self.require_factor(ctx, ACT).await?;
        let webhook = Webhook {
            // Ids of orders sort by time too.
            id: domain::OrderId::new(ctx.at).0,
            owner,
            name,
            url: target.url().to_string(),
            account: new.account,
            kinds,
            state: State::On,
            reason: None,
            failing_since: None,
            former_until: None,
            created_at: ctx.at,
            cursor: 0,
        };
        let secret = Secret::new();
        let entry = AuditEntry::by(ctx, ACT).on("webhook", webhook.id).with(describe(&webhook));
        let _switching = self.0.switching.lock().await;
        self.0.gateway.outbox().want(true);
        let (vault, text, ctx) = (self.0.vault.clone(), secret.text().clone(), ctx.clone());
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                if let Some(once) = &once {
                    match once::recall(tx, &ctx, once).await? {
                        Recall::New => {}
                        Recall::Different => return Err(WebhookError::OnceConflict),
                        Recall::Same(answer) => {
                            let id = answer["webhook_id"].as_str().unwrap_or_default().to_owned();
                            return Err(WebhookError::MadeBefore { id });
                        }
                    }
                    once::remember(tx, &ctx, once, &json!({ "webhook_id": webhook.id })).await?;
                }
                if store::count(tx.sql(), owner).await? >= i64::from(MOST) {
                    return Err(WebhookError::TooMany { most: MOST });
                }
                let (_, newest) = outbox::bounds(tx.sql()).await?;
                let webhook = Webhook { cursor: newest, ..webhook };
                store::insert(tx, &webhook).await?;
                vault.seal_into(tx, &webhook.secret_name(), &text, ctx.at).await?;
                tx.record(entry);
                Ok(webhook)
            })
        });
        let webhook = written.await?;
        self.0.wake.notify_one();
        Ok(Issued { webhook, secret })
    }

    /// Changes a webhook of the caller. Where it goes and what it is told are changed only with a recent factor.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn change(&self, ctx: &Context, id: Uuid, change: Change) -> Result<Webhook, WebhookError> {
        const ACT: &str = "webhook.changed";
        let before = self.get(ctx, id).await?;
        let mut after = before.clone();
        if let Some(name) = &change.name {
            after.name = display_name(name).ok_or(WebhookError::NameInvalid)?;
        }
        if let Some(account) = change.account {
            after.account = account;
        }
        if let Some(wanted) = &change.kinds {
            after.kinds = kinds(wanted)?;
        }
        if let Some(url) = &change.url {
            after.url = Target::read(url, &self.0.sender.rules)?.url().to_string();
        }
        if let Some(account) = after.account.filter(|account| before.account != Some(*account)) {
            ctx.require(Permission::AccountsView, Resource::Account(account))?;
        }
        let leads_elsewhere =
            (&after.url, after.account, &after.kinds) != (&before.url, before.account, &before.kinds);
        if leads_elsewhere {
            self.require_factor(ctx, ACT).await?;
        }
        let on = change.on.filter(|on| *on != (before.state == State::On));
        if let Some(on) = on {
            after.state = if on { State::On } else { State::Off };
            after.reason = None;
            after.failing_since = None;
        }
        if after == before {
            return Ok(after);
        }
        let entry = AuditEntry::by(ctx, ACT)
            .on("webhook", id)
            .with(json!({ "before": describe(&before), "after": describe(&after) }));
        let _switching = self.0.switching.lock().await;
        if on == Some(true) {
            self.0.gateway.outbox().want(true);
        }
        let (at, owner, done) = (ctx.at, before.owner, after.clone());
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                let there = store::find(tx.sql(), id).await?.filter(|there| there.owner == owner);
                let there = there.ok_or(WebhookError::NotFound)?;
                // What was written meanwhile, by the courier or with a new secret, is not undone by a change of the name.
                let after = Webhook { former_until: there.former_until, ..after };
                let after = match on {
                    Some(_) => after,
                    None => Webhook {
                        state: there.state,
                        reason: there.reason,
                        failing_since: there.failing_since,
                        ..after
                    },
                };
                store::update(tx, &after).await?;
                match on {
                    Some(true) => {
                        let (_, newest) = outbox::bounds(tx.sql()).await?;
                        store::skip_to(tx, id, newest).await?;
                    }
                    Some(false) => store::give_up_all(tx, id, at).await?,
                    None => {}
                }
                tx.record(entry);
                Ok::<_, WebhookError>(())
            })
        });
        written.await?;
        self.0.wake.notify_one();
        Ok(done)
    }

    /// Deletes a webhook of the caller, with its secret and with what was told to it.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn delete(&self, ctx: &Context, id: Uuid) -> Result<(), WebhookError> {
        let webhook = self.get(ctx, id).await?;
        let entry = AuditEntry::by(ctx, "webhook.deleted").on("webhook", id).with(describe(&webhook));
        let vault = self.0.vault.clone();
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                store::delete(tx, id).await?;
                vault.forget_in(tx, &webhook.secret_name()).await?;
                vault.forget_in(tx, &webhook.former_name()).await?;
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        written.await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// Gives a webhook of the caller another secret. For `overlap`, at most [`LONGEST_OVERLAP`], messages are signed with
    /// the former one too. Needs a recent factor.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn rotate(&self, ctx: &Context, id: Uuid, overlap: Duration) -> Result<Issued, WebhookError> {
        const ACT: &str = "webhook.rotated";
        let webhook = self.get(ctx, id).await?;
        if overlap > LONGEST_OVERLAP {
            return Err(WebhookError::OverlapTooLong { most: LONGEST_OVERLAP });
        }
        self.require_factor(ctx, ACT).await?;
        let until = ctx.at.checked_add(overlap).unwrap_or(Timestamp::MAX);
        let secret = Secret::new();
        let former = self.0.vault.reveal(&webhook.secret_name()).await?;
        let (vault, text, at) = (self.0.vault.clone(), secret.text().clone(), ctx.at);
        let entry = AuditEntry::by(ctx, ACT).on("webhook", id).with(json!({ "former_secret_until": until }));
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                let there = store::find(tx.sql(), id).await?.ok_or(WebhookError::NotFound)?;
                let webhook = Webhook { former_until: Some(until), ..there };
                match former.filter(|_| !overlap.is_zero()) {
                    Some(former) => vault.seal_into(tx, &webhook.former_name(), &former, at).await?,
                    None => vault.forget_in(tx, &webhook.former_name()).await?,
                }
                vault.seal_into(tx, &webhook.secret_name(), &text, at).await?;
                store::update(tx, &webhook).await?;
                tx.record(entry);
                Ok::<_, WebhookError>(webhook)
            })
        });
        Ok(Issued { webhook: written.await?, secret })
    }

    /// Sends a `ping` to a webhook of the caller, once, and says what came back.
    ///
    /// # Errors
    /// See [`WebhookError`]. That the receiver does not take it is none.
    pub async fn test(&self, ctx: &Context, id: Uuid) -> Result<Delivery, WebhookError> {
        let webhook = self.get(ctx, id).await?;
        self.count_test(id, ctx.at)?;
        let event = domain::OrderId::new(ctx.at).0.to_string();
        let mut delivery = Delivery {
            next_at: None,
            ..Delivery::new(event, "ping", ctx.at, &json!({ "webhook_id": id, "name": webhook.name }))
        };
        let outcome = self.attempt(&webhook, &delivery).await?;
        delivery.end(
            match outcome.attempt.error {
                None => DeliveryStatus::Delivered,
                Some(_) => DeliveryStatus::Failed,
            },
            self.0.clock.now(),
        );
        delivery.tried = 1;
        let attempt = crate::log::Attempt { nth: 1, ..outcome.attempt };
        let entry = AuditEntry::by(ctx, "webhook.tested")
            .on("webhook", id)
            .with(json!({ "http_status": attempt.http_status, "delivered": attempt.error.is_none() }));
        let (line, one) = (delivery.clone(), attempt.clone());
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                store::find(tx.sql(), id).await?.ok_or(WebhookError::NotFound)?;
                let seq = store::line_up(tx, id, &line).await?;
                store::settle(tx, id, &Delivery { seq, ..line }).await?;
                store::insert_attempt(tx, id, seq, &one).await?;
                tx.record(entry);
                Ok::<_, WebhookError>(seq)
            })
        });
        Ok(Delivery { seq: written.await?, attempts: vec![attempt], ..delivery })
    }

    /// What was told to a webhook of the caller, newest first, before number `before`.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn deliveries(
        &self,
        ctx: &Context,
        id: Uuid,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, WebhookError> {
        self.get(ctx, id).await?;
        Ok(store::deliveries(&mut *self.0.db.read().await?, id, before, i64::from(limit)).await?)
    }

    /// Tells an event again, which came to its end in whatever way. It goes under the same id.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn redeliver(&self, ctx: &Context, id: Uuid, seq: i64) -> Result<Delivery, WebhookError> {
        let webhook = self.get(ctx, id).await?;
        if webhook.state != State::On {
            return Err(WebhookError::Off);
        }
        let entry = AuditEntry::by(ctx, "webhook.redelivered").on("webhook", id);
        let at = ctx.at;
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                let found = store::deliveries(tx.sql(), id, seq.checked_add(1), 1).await?;
                let found = found.into_iter().find(|one| one.seq == seq).ok_or(WebhookError::NotFound)?;
                if found.status == DeliveryStatus::Waiting {
                    return Err(WebhookError::StillWaiting);
                }
                let again = Delivery {
                    status: DeliveryStatus::Waiting,
                    first_at: at,
                    next_at: Some(at),
                    finished_at: None,
                    ..found
                };
                store::settle(tx, id, &again).await?;
                tx.record(entry.with(json!({ "event": again.event, "kind": again.kind })));
                Ok(again)
            })
        });
        let delivery = written.await?;
        self.0.wake.notify_one();
        Ok(delivery)
    }

    fn count_test(&self, id: Uuid, now: Timestamp) -> Result<(), WebhookError> {
        let mut tested = self.0.tested.lock().unwrap_or_else(PoisonError::into_inner);
        tested.retain(|_, at| now.duration_since(*at).unsigned_abs() < TESTED_EVERY);
        if tested.contains_key(&id) {
            return Err(WebhookError::TooSoon { retry_after: TESTED_EVERY });
        }
        tested.insert(id, now);
        Ok(())
    }

    async fn require_factor(&self, ctx: &Context, act: &'static str) -> Result<(), WebhookError> {
        let Err(needed) = ctx.require_recent_factor() else { return Ok(()) };
        let entry =
            AuditEntry::by(ctx, act).ended(Outcome::Refused).with(json!({ "reason": needed.to_string() }));
        let recorded = self.0.db.write(move |tx| {
            Box::pin(async move {
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, "a refusal could not be recorded");
        }
        Err(needed.into())
    }
}

/// The person who asks, signed in. An API key has no webhooks: a stolen one must not make a copy of everything for later.
fn person(ctx: &Context) -> Result<UserId, WebhookError> {
    match ctx.credential {
        Credential::Session(_) => ctx.user_id().ok_or(WebhookError::NotSignedIn),
        Credential::Key(_) | Credential::Local | Credential::None => Err(WebhookError::NotSignedIn),
    }
}

/// Kinds by their names, each once.
fn kinds(names: &[String]) -> Result<Vec<EventKind>, WebhookError> {
    let unknown = |name: &String| WebhookError::KindUnknown { given: name.chars().take(40).collect() };
    let read = names.iter().map(|name| EventKind::read(name).ok_or_else(|| unknown(name)));
    let mut kinds = read.collect::<Result<Vec<_>, _>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// A webhook as the audit log keeps it: of its URL the host alone, as the path may be a secret.
pub(crate) fn describe(webhook: &Webhook) -> serde_json::Value {
    let host = reqwest::Url::parse(&webhook.url).ok().and_then(|url| url.host_str().map(str::to_owned));
    json!({
        "name": webhook.name,
        "host": host,
        "url_sha256": vault::crypto::hex(&vault::crypto::sha256(webhook.url.as_bytes())),
        "account": webhook.account,
        "kinds": webhook.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "state": webhook.state.as_str(),
    })
}
