//! From what came in to a draft: which events happened to which orders, and what is to be done about it.

use std::time::Duration;

use domain::{Applied, AuditEntry, Order, OrderEvent, OrderId, Outcome, Status, Timestamp};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Command, Effect, Input, LONGEST_WAIT, Router, SENDING, Step};
use crate::book::Live;
use crate::broker::{BrokerOrder, BrokerStatus, CancelFailure, SubmitFailure};
use crate::gateway::CancelError;

impl Router {
    /// Folds one input; gives it back in a form that can be folded again, should the commit fail.
    pub(super) fn fold(&mut self, step: &mut Step, input: Input) -> Option<Input> {
        match input {
            Input::Command(Command::Cancel { order, entry, reply }) => {
                self.fold_cancel(step, order, *entry, reply);
                // Told to the caller as failed; not tried again behind their back.
                None
            }
            Input::Event(event) => {
                self.events_seen += 1;
                match event.client_order_id.parse() {
                    Ok(id) => self.fold_event(step, id, event.event.clone()),
                    Err(_) => {
                        tracing::warn!(order = %event.client_order_id, "the broker tells of a foreign order")
                    }
                }
                Some(Input::Event(event))
            }
            Input::Sent { order, answer, took } => {
                self.sending.remove(&order);
                self.desk.book().latency = Some(took);
                self.fold_sent(step, order, answer.clone());
                Some(Input::Sent { order, answer, took })
            }
            Input::CancelAnswered { order, answer } => {
                self.canceling.remove(&order);
                match &answer {
                    Ok(()) => {}
                    Err(CancelFailure::Refused(reason)) => {
                        self.fold_event(step, order, OrderEvent::CancelRefused { reason: reason.clone() });
                    }
                    // The next comparison finds the order still open and asks again.
                    Err(CancelFailure::Unreachable(_)) => self.compare_at = Some(step.now),
                }
                Some(Input::CancelAnswered { order, answer })
            }
            Input::Found { order, answer } => {
                self.fold_found(step, order, answer);
                // The search goes on by itself.
                None
            }
            Input::Compared(_) => None,
        }
    }

    /// Folds the broker's answer to an order.
    fn fold_sent(&mut self, step: &mut Step, id: OrderId, answer: Result<String, SubmitFailure>) {
        let not_reached = matches!(answer, Err(SubmitFailure::NotReached(_)));
        let event = match answer {
            Ok(broker_order_id) => OrderEvent::Acknowledged { broker_order_id },
            Err(SubmitFailure::Refused(reason)) => OrderEvent::Refused { reason },
            Err(SubmitFailure::NotReached(detail)) => OrderEvent::NotReached { detail },
            Err(SubmitFailure::Lost(detail)) => OrderEvent::Lost { detail },
        };
        self.fold_event(step, id, event);
        let Some(live) = self.current(step, id) else { return };
        match live.order.status {
            // Somebody asked to cancel it while it was on its way.
            Status::CancelPending if not_reached => self.fold_event(step, id, OrderEvent::Canceled),
            Status::CancelPending => self.cancel_at_broker(step, id),
            Status::Accepted => self.retry_later(step.now, id),
            _ => {}
        }
    }

    /// Asks the broker to cancel an order that it is known to have.
    pub(super) fn cancel_at_broker(&self, step: &mut Step, id: OrderId) {
        if let Some(live) = self.current(step, id)
            && live.order.broker_order_id.is_some()
            && live.order.status == Status::CancelPending
            && !self.canceling.contains(&id)
        {
            step.effects.push(Effect::Cancel(live.order));
        }
    }

    /// The broker was not reached: the order waits, longer each time.
    fn retry_later(&mut self, now: Timestamp, id: OrderId) {
        let unit = self.shared.tick;
        let (at, wait) = self.retries.entry(id).or_insert((now, Duration::ZERO));
        *wait = (*wait * 2).clamp(unit, LONGEST_WAIT);
        *at = now + *wait;
        self.desk.book().queue(id);
    }

    fn fold_cancel(
        &mut self,
        step: &mut Step,
        id: OrderId,
        entry: AuditEntry,
        reply: oneshot::Sender<Result<Order, CancelError>>,
    ) {
        let Some(live) = self.current(step, id) else {
            let _ = reply.send(Err(CancelError::NotFound));
            return;
        };
        if live.order.status.is_terminal() {
            let _ = reply.send(Err(CancelError::NotOpen { status: live.order.status }));
            return;
        }
        step.entries.push(entry);
        let sent = live.order.attempts > 0;
        self.fold_event(step, id, OrderEvent::CancelRequested);
        if !sent {
            // It never left the desk, and now it never will.
            self.fold_event(step, id, OrderEvent::Canceled);
        }
        // An order whose answer is not known yet is canceled once it is.
        self.cancel_at_broker(step, id);
        step.effects.push(Effect::Reply(reply, id));
    }

    /// Folds an event into an order and records it.
    pub(super) fn fold_event(&self, step: &mut Step, id: OrderId, event: OrderEvent) {
        let Some(live) = self.current(step, id) else {
            tracing::warn!(order = %id, event = event.kind(), "the broker tells of an order that the desk does not have");
            return;
        };
        let before = live.order.status;
        match step.draft.fold(&self.desk.book(), live, event.clone(), step.now) {
            Ok(Applied::Nothing) => {}
            Ok(Applied::Changed) => {
                let after = step.draft.get(id).map_or(before, |live| live.order.status);
                if matches!(event, OrderEvent::Acknowledged { .. })
                    && matches!(after, Status::Expired | Status::Canceled)
                    && let Some(live) = step.draft.get(id)
                {
                    // It was given up, and arrived all the same: nobody would watch over it.
                    step.effects.push(Effect::Cancel(live.order.clone()));
                }
                // A request to cancel has a row of its own, with the person who asked.
                if event != OrderEvent::CancelRequested {
                    step.entries.push(self.entry(step.now, id, &event, before, after));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the broker reports what cannot be");
                let entry = AuditEntry::by_system(step.now, "order.contradicted")
                    .on("order", id)
                    .ended(Outcome::Failed)
                    .with(json!({ "account": self.desk.account.id, "event": event, "error": error.to_string() }));
                step.entries.push(entry);
            }
        }
    }

    fn entry(
        &self,
        at: Timestamp,
        id: OrderId,
        event: &OrderEvent,
        before: Status,
        after: Status,
    ) -> AuditEntry {
        let act = match event {
            OrderEvent::Submitting { .. } => "order.submitting",
            OrderEvent::NotReached { .. } => "order.not_reached",
            OrderEvent::Lost { .. } => "order.answer_lost",
            OrderEvent::Acknowledged { .. } => "order.acknowledged",
            OrderEvent::Refused { .. } => "order.rejected",
            OrderEvent::Filled(_) => "order.filled",
            OrderEvent::CancelRequested => "order.cancel_requested",
            OrderEvent::CancelRefused { .. } => "order.cancel_refused",
            OrderEvent::Canceled => "order.canceled",
            OrderEvent::Expired { .. } => "order.expired",
        };
        let detail = json!({
            "account": self.desk.account.id,
            "mode": self.desk.account.mode.as_str(),
            "before": before,
            "after": after,
            "event": event,
        });
        AuditEntry::by_system(at, act).on("order", id).with(detail)
    }

    /// The order as it is after what is drafted so far.
    pub(super) fn current(&self, step: &Step, id: OrderId) -> Option<Live> {
        step.draft.get(id).cloned().or_else(|| self.desk.book().get(id).cloned())
    }

    /// Orders that were accepted and not sent: sent now, in the order in which they were accepted, or expired.
    pub(super) fn fold_unsent(&mut self, step: &mut Step) {
        let unsent: Vec<Order> = {
            let book = self.desk.book();
            let due = |id| self.retries.get(&id).is_none_or(|(at, _)| *at <= step.now);
            let untouched = |id| step.draft.get(id).is_none();
            let ready =
                book.unsent().map(|live| &live.order).filter(|order| due(order.id) && untouched(order.id));
            ready.take(SENDING.saturating_sub(self.sending.len())).cloned().collect()
        };
        for order in unsent {
            let age = step.now.duration_since(order.created_at).unsigned_abs();
            if age > self.shared.limits.max_unsent_age {
                let reason =
                    format!("it could not be sent within {} s", self.shared.limits.max_unsent_age.as_secs());
                self.fold_event(step, order.id, OrderEvent::Expired { reason });
            } else {
                self.fold_event(step, order.id, OrderEvent::Submitting { attempt: order.attempts + 1 });
                if let Some(live) = step.draft.get(order.id)
                    && live.order.status == Status::Submitting
                {
                    self.sending.insert(order.id);
                    step.effects.push(Effect::Send(live.order.clone()));
                }
            }
        }
    }

    /// Folds an order as the broker has it.
    pub(super) fn fold_broker_order(&mut self, step: &mut Step, id: OrderId, found: &BrokerOrder) {
        let broker_order_id = found.broker_order_id.clone();
        self.fold_event(step, id, OrderEvent::Acknowledged { broker_order_id });
        for fill in &found.fills {
            self.fold_event(step, id, OrderEvent::Filled(fill.clone()));
        }
        match &found.status {
            // Whoever asked to cancel it while nobody knew where it was still wants that.
            BrokerStatus::Open => self.cancel_at_broker(step, id),
            BrokerStatus::Filled => {}
            BrokerStatus::Canceled => self.fold_event(step, id, OrderEvent::Canceled),
            BrokerStatus::Expired => {
                self.fold_event(step, id, OrderEvent::Expired { reason: "its time in force ended".into() });
            }
            BrokerStatus::Rejected(reason) => {
                self.fold_event(step, id, OrderEvent::Refused { reason: reason.clone() });
            }
        }
    }
}
