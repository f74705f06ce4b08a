//! Who carries events to webhooks: one task that looks what there is to do, and one for each webhook while there is.
//!
//! Nothing here is on the way of an order. What happened is committed before it is read here, and a receiver that hangs
//! holds up nobody but itself.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{AccountId, AuditEntry, Context, Timestamp};
use serde_json::json;
use storage::StorageError;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trading::outbox::{self, Event, EventKind, Posted};
use trading::{Blind, TradingEvent};
use uuid::Uuid;

use crate::error::WebhookError;
use crate::log::{Delivery, DeliveryStatus};
use crate::send::{Message, Outcome};
use crate::signature::Secret;
use crate::store;
use crate::webhook::{State, Webhook, Webhooks, describe};

/// How often it is looked what is due, when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks, so that many events are one.
const PAUSE: Duration = Duration::from_millis(50);
/// Events that are lined up together.
const TOGETHER: u32 = 200;
/// Deliveries of one webhook that may wait; more events are read when some are told.
const WAITING: i64 = 1_000;
/// Lanes of one webhook that are told at the same time.
const LANES: i64 = 4;
/// How far it is read on in memory alone while nothing is for a webhook.
const AHEAD: i64 = 1_000;
/// The pause after the first failed attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 60 * 60);
/// For how long an event is tried.
const TRIED: Duration = Duration::from_secs(24 * 60 * 60);
/// After so long without one success a webhook is switched off.
const FAILING: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// How long events are kept that not everybody was told.
const OUTBOX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long it is kept what was told.
const LOG: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Deliveries that are kept of each webhook.
const LOGGED: i64 = 10_000;
/// How often what is old is removed.
const CLEANED: Duration = Duration::from_secs(60);
/// A kind of its own: events were removed before this webhook was told of them.
const MISSED: &str = "events.missed";

/// What the courier remembers.
#[derive(Default)]
struct Memory {
    /// Webhooks that a task is at.
    busy: Mutex<HashSet<Uuid>>,
    /// How far each has read.
    read: Mutex<HashMap<Uuid, i64>>,
}

impl Memory {
    /// The last event that was looked at for a webhook.
    fn read_up_to(&self, webhook: &Webhook) -> i64 {
        locked(&self.read).get(&webhook.id).copied().unwrap_or(0).max(webhook.cursor)
    }
}

impl Webhooks {
    /// Tells webhooks what happens, until `stop`. An attempt that is under way then is made again after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let memory = Arc::new(Memory::default());
        let mut trading = self.0.gateway.subscribe();
        let mut seen = HashMap::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cleaned_at = self.0.clock.steady();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
                () = self.0.wake.notified() => {}
                event = trading.recv() => match event {
                    // What it tells is in the outbox; a lag loses nothing.
                    Ok(_) | Err(RecvError::Lagged(_)) => while drain(&mut trading) {},
                    Err(RecvError::Closed) => break,
                },
            }
            // A full disk is left to orders and cancels.
            if !self.0.db.is_short_of_space() {
                let looked = self.look(&memory, &tasks, &mut seen, &stop).await;
                if let Err(error) = looked {
                    tracing::warn!(%error, "webhooks cannot be looked after; it is tried again");
                }
                if self.0.clock.steady().saturating_sub(cleaned_at) >= CLEANED {
                    cleaned_at = self.0.clock.steady();
                    if let Err(error) = self.clean().await {
                        tracing::warn!(%error, "old events and deliveries cannot be removed; it is tried again");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Looks once what there is to do, and starts a task for each webhook that has none.
    async fn look(
        &self,
        memory: &Arc<Memory>,
        tasks: &TaskTracker,
        seen: &mut HashMap<AccountId, Option<Blind>>,
        stop: &CancellationToken,
    ) -> Result<(), StorageError> {
        let webhooks = {
            let _switching = self.0.switching.lock().await;
            let webhooks = store::on(&mut *self.0.db.read().await?).await?;
            self.0.gateway.outbox().want(!webhooks.is_empty());
            webhooks
        };
        if webhooks.is_empty() {
            return Ok(());
        }
        self.watch_accounts(seen).await?;
        let (newest, due) = {
            let mut connection = self.0.db.read().await?;
            let due = store::any_due(&mut connection, self.0.clock.now()).await?;
            (outbox::bounds(&mut connection).await?.1, due)
        };
        for webhook in webhooks {
            let id = webhook.id;
            let has_news = memory.read_up_to(&webhook) < newest;
            if !(has_news || due.contains(&id)) || !locked(&memory.busy).insert(id) {
                continue;
            }
            let (this, memory) = (self.clone(), memory.clone());
            let stop = stop.clone();
            tasks.spawn(async move {
                let work = stop.run_until_cancelled(this.work(id, &memory)).await;
                if let Some(Err(error)) = work {
                    tracing::warn!(%error, webhook = %id, "a webhook cannot be told; it is tried again");
                }
                locked(&memory.busy).remove(&id);
            });
        }
        Ok(())
    }

    /// Writes down which accounts became blind or see again. Whether an account is seen is no row of the journal, but a
    /// state of the process; after a start the first state is told.
    async fn watch_accounts(&self, seen: &mut HashMap<AccountId, Option<Blind>>) -> Result<(), StorageError> {
        let now = self.0.clock.now();
        let ctx = Context::operator(Some("webhooks".to_owned()), now);
        let mut events = Vec::new();
        let mut changed = Vec::new();
        for account in self.0.gateway.accounts(&ctx) {
            let Ok(state) = self.0.gateway.account(&ctx, account.id) else { continue };
            let before = seen.get(&account.id);
            if before.is_none_or(|before| before.is_some() != state.blind.is_some()) {
                events.push(Event::of_account(account.id, account.mode, state.blind.as_ref(), now));
                changed.push((account.id, state.blind));
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        self.0.db.write(move |tx| Box::pin(async move { outbox::insert(tx, &events).await })).await?;
        seen.extend(changed);
        Ok(())
    }

    /// Does for a webhook what there is to do now.
    async fn work(&self, id: Uuid, memory: &Memory) -> Result<(), WebhookError> {
        loop {
            // However many webhooks there are, most of the database's readers are left to others.
            let turn = self.0.reading.acquire().await;
            let webhook = store::find(&mut *self.0.db.read().await?, id).await?;
            let Some(webhook) = webhook.filter(|webhook| webhook.state == State::On) else { return Ok(()) };
            let more = self.line_up(&webhook, memory).await?;
            let now = self.0.clock.now();
            let due = store::due(&mut *self.0.db.read().await?, id, now, LANES).await?;
            drop(turn);
            if due.is_empty() && !more {
                return Ok(());
            }
            let told = due.into_iter().map(|delivery| self.tell(&webhook, delivery));
            for told in futures_util::future::join_all(told).await {
                told?;
            }
        }
    }

    /// Lines up what is new for a webhook; `true` when there may be more.
    async fn line_up(&self, webhook: &Webhook, memory: &Memory) -> Result<bool, WebhookError> {
        let (posted, oldest, from) = {
            let mut connection = self.0.db.read().await?;
            if store::waiting(&mut connection, webhook.id).await? >= WAITING {
                return Ok(false);
            }
            let from = memory.read_up_to(webhook);
            let posted = outbox::read(&mut connection, from, TOGETHER).await?;
            (posted, outbox::bounds(&mut connection).await?.0, from)
        };
        let Some(last) = posted.last().map(|posted| posted.seq) else { return Ok(false) };
        let now = self.0.clock.now();
        let owner = self.0.identity.person(webhook.owner, None, now).await?;
        let mut lined: Vec<Delivery> = Vec::new();
        let missed = oldest - 1 - from;
        if missed > 0 {
            let event = domain::OrderId::new(now).0.to_string();
            lined.push(Delivery::new(event, MISSED, now, &json!({ "at_most": missed })));
        }
        let for_it = posted.iter().filter(|Posted { event, .. }| {
            let sees =
                |owner| self.0.gateway.sees_event(owner, event.kind, event.account, event.scope.as_ref());
            webhook.wants(event) && owner.as_ref().is_some_and(sees)
        });
        lined.extend(for_it.map(|Posted { event, .. }| Delivery {
            account: event.account,
            scope: event.scope.clone(),
            first_at: now,
            next_at: Some(now),
            ..Delivery::new(event.id.to_string(), event.kind.as_str(), event.at, &event.data)
        }));
        let more = posted.len() == TOGETHER as usize;
        let (id, from) = (webhook.id, webhook.cursor);
        if lined.is_empty() && last - from < AHEAD {
            locked(&memory.read).insert(id, last);
            return Ok(more);
        }
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                // Only from where it was read: another process of this database may have been faster.
                if store::advance(tx, id, from, last).await? {
                    for delivery in &lined {
                        store::line_up(tx, id, delivery).await?;
                    }
                }
                Ok::<_, StorageError>(())
            })
        });
        written.await?;
        locked(&memory.read).insert(id, last);
        Ok(more)
    }

    /// Makes one attempt to tell, and writes down what came of it.
    async fn tell(&self, webhook: &Webhook, mut delivery: Delivery) -> Result<(), WebhookError> {
        let now = self.0.clock.now();
        // Once more, at the moment of telling: since it was lined up a grant may be gone, or the owner.
        if !self.may_be_told(webhook, &delivery, now).await? {
            delivery.end(DeliveryStatus::Withheld, now);
            return Ok(self.settle(webhook.id, delivery, None).await?);
        }
        let mut outcome = {
            let _permit = self.0.attempts.acquire().await;
            self.attempt(webhook, &delivery).await?
        };
        let now = self.0.clock.now();
        delivery.tried += 1;
        outcome.attempt.nth = delivery.tried;
        let tried_for = Duration::try_from(now.duration_since(delivery.first_at)).unwrap_or_default();
        let random = f64::from(u16::from_le_bytes(vault::crypto::random())) / f64::from(u16::MAX);
        let pause = pause(tried_for, random);
        match outcome.attempt.error {
            None => delivery.end(DeliveryStatus::Delivered, now),
            Some(_) if tried_for + pause > TRIED => delivery.end(DeliveryStatus::Failed, now),
            Some(_) => delivery.next_at = now.checked_add(pause).ok(),
        }
        Ok(self.settle(webhook.id, delivery, Some(outcome)).await?)
    }

    async fn may_be_told(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let Some(owner) = self.0.identity.person(webhook.owner, None, now).await? else { return Ok(false) };
        let Some(kind) = EventKind::read(&delivery.kind) else { return Ok(true) };
        Ok(self.0.gateway.sees_event(&owner, kind, delivery.account, delivery.scope.as_ref()))
    }

    /// Sends a delivery, signed with the secrets that are good now.
    pub(crate) async fn attempt(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
    ) -> Result<Outcome, WebhookError> {
        let mut secrets = Vec::new();
        secrets.extend(self.0.vault.reveal(&webhook.secret_name()).await?);
        if webhook.former_until.is_some_and(|until| self.0.clock.now() < until) {
            secrets.extend(self.0.vault.reveal(&webhook.former_name()).await?);
        }
        let secrets: Vec<Secret> = secrets.into_iter().map(Secret::stored).collect();
        let message = Message { id: &delivery.event, body: &delivery.body, secrets: &secrets };
        Ok(self.0.sender.send(&webhook.url, &message).await)
    }

    /// Writes down where a delivery stands, after an attempt if there was one; and switches the webhook off when nothing is
    /// taken any more.
    async fn settle(
        &self,
        id: Uuid,
        mut delivery: Delivery,
        outcome: Option<Outcome>,
    ) -> Result<(), StorageError> {
        let now = self.0.clock.now();
        let written = self.0.db.write(move |tx| {
            Box::pin(async move {
                // It may have been deleted, or switched off, in the meantime.
                let Some(webhook) = store::find(tx.sql(), id).await? else { return Ok(()) };
                let is_on = webhook.state == State::On;
                if !is_on && delivery.status == DeliveryStatus::Waiting {
                    delivery.end(DeliveryStatus::Failed, now);
                }
                store::settle(tx, id, &delivery).await?;
                let Some(Outcome { attempt, gone }) = outcome else { return Ok(()) };
                store::insert_attempt(tx, id, delivery.seq, &attempt).await?;
                if attempt.error.is_none() {
                    if webhook.failing_since.is_some() {
                        store::update(tx, &Webhook { failing_since: None, ..webhook }).await?;
                    }
                    return Ok(());
                }
                if !is_on {
                    return Ok(());
                }
                let failing_since = webhook.failing_since.unwrap_or(now);
                let failing_for = Duration::try_from(now.duration_since(failing_since)).unwrap_or_default();
                let reason = match () {
                    () if gone => Some("The receiver says that it is gone (410).".to_owned()),
                    () if failing_for > FAILING => Some("Nothing was taken for 5 days.".to_owned()),
                    () => None,
                };
                let state = if reason.is_some() { State::Failed } else { State::On };
                let after = Webhook { failing_since: Some(failing_since), state, reason, ..webhook };
                store::update(tx, &after).await?;
                if state == State::Failed {
                    store::give_up_all(tx, id, now).await?;
                    let mut detail = describe(&after);
                    detail["reason"] = json!(after.reason);
                    detail["owner"] = json!(after.owner);
                    tx.record(AuditEntry::by_system(now, "webhook.disabled").on("webhook", id).with(detail));
                }
                Ok::<_, StorageError>(())
            })
        });
        written.await
    }

    /// Removes events that everybody was told, and what is too old.
    async fn clean(&self) -> Result<(), StorageError> {
        let now = self.0.clock.now();
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let (events, logged) = (before(OUTBOX), before(LOG));
        self.0
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let told = store::on(tx.sql()).await?.iter().map(|webhook| webhook.cursor).min();
                    outbox::forget(tx, told.unwrap_or(i64::MAX), events).await?;
                    store::forget(tx, logged, LOGGED).await
                })
            })
            .await
    }
}

/// Takes what else has come; `false` when there is nothing more.
fn drain(events: &mut tokio::sync::broadcast::Receiver<TradingEvent>) -> bool {
    use tokio::sync::broadcast::error::TryRecvError;
    matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_)))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait after a failed attempt: as long as it has been tried already, so that pauses double. `random` is from 0
/// to 1: receivers that fell together do not rise to everything at once.
fn pause(tried_for: Duration, random: f64) -> Duration {
    tried_for.clamp(FIRST_PAUSE, LONGEST_PAUSE).mul_f64(0.75 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_four_hours_and_differ_by_a_quarter() {
        let pauses =
            |seconds: [u64; 4], random| seconds.map(|s| pause(Duration::from_secs(s), random).as_secs_f64());
        assert_eq!(pauses([0, 5, 10, 90_000], 0.5), [5.0, 5.0, 10.0, 14_400.0]);
        assert_eq!(pauses([0, 5, 10, 20], 0.0), [3.75, 3.75, 7.5, 15.0]);
        assert_eq!(pauses([0, 5, 10, 20], 1.0), [6.25, 6.25, 12.5, 25.0]);
        let times = std::iter::successors(Some(Duration::ZERO), |at| Some(*at + pause(*at, 0.5)));
        assert_eq!(times.take_while(|at| *at <= TRIED).count(), 18, "attempts in a day");
    }
}
