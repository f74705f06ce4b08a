//! From what came in to a draft: which events happened to which orders.

use domain::{Applied, AuditEntry, OrderEvent, OrderId, Outcome, Quantity, Reason, Status, Timestamp};
use serde_json::json;

use super::{Choice, Command, Core, Effect, Input, LONGEST_WAIT, Reply, Step, View};
use crate::broker::{BrokerEvent, BrokerOrder, BrokerStatus, CancelFailure, SubmitFailure};

impl Core {
    /// Folds one input, and keeps it where it can be folded again, should the commit fail.
    pub(super) fn fold(&mut self, step: &mut Step, input: Input, view: &dyn View) {
        match &input {
            // Told to the caller as failed; not tried again behind their back.
            Input::Command(command) => return self.fold_command(step, command.clone(), view),
            Input::Event(event) => {
                self.events_seen += 1;
                self.heard_at = Some(step.now);
                self.fold_told(step, event);
            }
            Input::Sent { order, answer, took } => {
                self.sending.remove(order);
                self.book.latency = Some(*took);
                self.note_health(step.now, answer.as_ref().err());
                self.fold_sent(step, *order, answer.clone());
            }
            Input::Withheld { order, replaces } => self.fold_withheld(step, *order, *replaces),
            Input::SentBeside(order) => self.fold_sent_beside(step, order, view),
            Input::CancelAnswered { order, answer } => self.fold_cancel_answer(step, *order, answer),
            Input::ReplaceAnswered { order, by, answer } => {
                self.sending.remove(by);
                self.note_health(step.now, answer.as_ref().err());
                self.fold_replace_answer(step, *order, *by, answer.clone());
            }
            // The search goes on by itself.
            Input::Found { order, answer } => return self.fold_found(step, *order, answer.clone()),
            // A comparison whose findings could not be kept is made again.
            Input::Compared(answer) => return self.fold_comparison(step, answer.as_ref(), view),
            Input::Listening => {
                self.listening = true;
                self.listening_since = Some(step.now);
                self.heard_at = Some(step.now);
                self.listen_wait = Default::default();
                // Whatever was told while nobody listened is asked for.
                self.compare_at = Some(step.now);
                self.comparing = false;
                return;
            }
            Input::Deaf(reason) => {
                self.listening = false;
                self.listening_since = None;
                let unit = self.config.tick;
                self.listen_wait.later(step.now, unit, LONGEST_WAIT, &mut self.jitter);
                self.listen_at = Some(step.now);
                self.go_blind(step.now, reason);
                return;
            }
        }
        step.kept.push(input);
    }

    /// Whether the broker answers at all.
    fn note_health(&mut self, now: Timestamp, failure: Option<&SubmitFailure>) {
        let is_ill = match failure {
            None | Some(SubmitFailure::Exists) => false,
            Some(SubmitFailure::Refused(refusal)) => {
                if refusal.reason == Reason::RateLimited {
                    self.budget.exhaust(now);
                }
                matches!(refusal.reason, Reason::RateLimited | Reason::Unavailable)
            }
            Some(SubmitFailure::NotReached(_) | SubmitFailure::Lost(_)) => true,
        };
        self.note_answer(now, !is_ill);
    }

    /// Counts for or against the broker's health.
    pub(super) fn note_answer(&mut self, now: Timestamp, good: bool) {
        if good {
            self.heard_at = Some(now);
            self.breaker.answered();
        } else if self.breaker.failed(now, &mut self.jitter) {
            self.go_blind(now, "the broker does not answer: it is spared for a while");
            // The comparison that ends this is also the probe.
            self.compare_at = Some(now);
        }
    }

    /// Folds what the broker's stream told.
    fn fold_told(&mut self, step: &mut Step, told: &BrokerEvent) {
        let Some(id) = self.find_told(step, &told.client_order_id, &told.broker_order_id) else {
            tracing::warn!(order = %told.client_order_id, "the broker tells of an order from outside the desk");
            self.compare_at = Some(step.now);
            return;
        };
        match &told.event {
            Some(event) => self.fold_event(step, id, event.clone()),
            None => {
                tracing::warn!(order = %id, "the broker tells of a kind of event that the desk does not know");
                self.doubted.insert(id);
            }
        }
    }

    /// The order that the broker tells of, adopted ones of this step among them.
    pub(super) fn find_told(
        &self,
        step: &Step,
        client_order_id: &str,
        broker_order_id: &str,
    ) -> Option<OrderId> {
        self.known(client_order_id, broker_order_id).or_else(|| step.adopted.get(broker_order_id).copied())
    }

    /// Folds the broker's answer to an order.
    fn fold_sent(&mut self, step: &mut Step, id: OrderId, answer: Result<String, SubmitFailure>) {
        let not_reached = matches!(answer, Err(SubmitFailure::NotReached(_)));
        let busy =
            matches!(&answer, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::RateLimited);
        let event = match answer {
            Ok(broker_order_id) => OrderEvent::Acknowledged { broker_order_id },
            // Too many requests: it was not looked at, and waits for its turn.
            Err(SubmitFailure::Refused(refusal)) if busy => OrderEvent::NotReached { detail: refusal.text },
            Err(SubmitFailure::Refused(refusal)) => {
                OrderEvent::Refused { reason: refusal.text, code: refusal.reason }
            }
            Err(SubmitFailure::Exists) => {
                OrderEvent::Lost { detail: "the broker has an order with this id already".into() }
            }
            Err(SubmitFailure::NotReached(detail)) => OrderEvent::NotReached { detail },
            Err(SubmitFailure::Lost(detail)) => OrderEvent::Lost { detail },
        };
        self.fold_event(step, id, event);
        let Some(live) = self.current(step, id) else { return };
        match live.order.status {
            // Somebody asked to cancel it while it was on its way.
            Status::CancelPending if not_reached || busy => self.fold_event(step, id, OrderEvent::Canceled),
            Status::Accepted => {
                let unit = self.config.tick;
                let retry = self.retries.entry(id).or_default();
                retry.later(step.now, unit, LONGEST_WAIT, &mut self.jitter);
            }
            _ => {}
        }
    }

    fn fold_cancel_answer(&mut self, step: &mut Step, id: OrderId, answer: &Result<(), CancelFailure>) {
        self.canceling.remove(&id);
        let unit = self.config.tick;
        match answer {
            Ok(()) => {
                self.note_answer(step.now, true);
                // Taken, not done. If it is not done soon, it is asked for again.
                let wait = self.cancel_waits.entry(id).or_default();
                wait.later(step.now, LONGEST_WAIT / 3, LONGEST_WAIT, &mut self.jitter);
            }
            Err(CancelFailure::Refused(refusal)) => {
                self.note_answer(step.now, true);
                // Who asks again, and again, waits longer each time: the broker has other things to do.
                let wait = self.cancel_waits.entry(id).or_default();
                wait.later(step.now, unit, LONGEST_WAIT, &mut self.jitter);
                if matches!(refusal.reason, Reason::RateLimited | Reason::Unavailable) {
                    return;
                }
                // Most often because it ended just before: how, is asked.
                self.doubted.insert(id);
                self.fold_event(step, id, OrderEvent::CancelRefused { reason: refusal.text.clone() });
            }
            Err(CancelFailure::Unreachable(_)) => {
                self.note_answer(step.now, false);
                let wait = self.cancel_waits.entry(id).or_default();
                wait.later(step.now, unit, LONGEST_WAIT, &mut self.jitter);
            }
        }
    }

    fn fold_command(&mut self, step: &mut Step, command: Command, view: &dyn View) {
        match command {
            Command::Cancel { orders, entry, ticket } => {
                let results: Vec<_> =
                    orders.into_iter().map(|id| (id, self.request_cancel(step, id))).collect();
                if results.is_empty() || results.iter().any(|(_, result)| result.is_ok()) {
                    step.entries.push(*entry);
                }
                // What the caller is told is the order as it is after the step.
                let told = |(id, result): (OrderId, Result<(), Option<Status>>)| {
                    let order = self.current(step, id).map(|live| live.order);
                    match (order, result) {
                        (Some(order), Ok(())) => Some((id, Ok(order))),
                        (Some(_), Err(Some(status))) => Some((id, Err(status))),
                        _ => None,
                    }
                };
                let told = results.into_iter().filter_map(told).collect();
                step.effects.push(Effect::Reply(ticket, Reply::Canceled(told)));
            }
            Command::Replace { order, by, entry, ticket } => {
                let reply = self.begin_replacement(step, order, *by, *entry);
                step.effects.push(Effect::Reply(ticket, reply));
            }
            Command::Resolve { order, choice, entry, ticket } => {
                let reply = self.resolve(step, order, choice, *entry);
                step.effects.push(Effect::Reply(ticket, reply));
            }
            Command::Reconcile { entry, ticket } => {
                step.entries.push(*entry);
                self.compare_at = Some(step.now);
                step.effects.push(Effect::Reply(ticket, Reply::Reconciling));
            }
            Command::Books { act, entry, ticket } => {
                let reply = Reply::Books(self.act_on_books(step, *act, *entry, view));
                step.effects.push(Effect::Reply(ticket, reply));
            }
        }
    }

    /// Asks to cancel an order; `Err` tells where it stands if it is at its end, or that there is none.
    pub(super) fn request_cancel(&mut self, step: &mut Step, id: OrderId) -> Result<(), Option<Status>> {
        let live = self.current(step, id).filter(|_| !self.arriving.contains(&id)).ok_or(None)?;
        if live.order.status.is_terminal() {
            return Err(Some(live.order.status));
        }
        self.fold_event(step, id, OrderEvent::CancelRequested);
        let is_here = live.order.attempts == 0 || live.order.status == Status::Accepted;
        if is_here && live.order.broker_order_id.is_none() {
            // It never left the desk, or is known not to have arrived; and now it never will.
            self.fold_event(step, id, OrderEvent::Canceled);
        }
        Ok(())
    }

    fn resolve(&mut self, step: &mut Step, id: OrderId, choice: Choice, entry: AuditEntry) -> Reply {
        let Some(live) = self.current(step, id) else { return Reply::NotFound };
        if !live.is_unresolved() || self.sending.contains(&id) {
            return Reply::NotUnknown(live.order.status);
        }
        step.entries.push(entry);
        match choice {
            Choice::AskAgain => {
                self.doubted.insert(id);
            }
            Choice::NotThere { evidence } => {
                let reason = format!("a person found that the broker does not have it: {evidence}");
                self.fold_event(step, id, OrderEvent::Expired { reason });
            }
        }
        self.current(step, id).map_or(Reply::NotFound, |live| Reply::Resolved(live.order))
    }

    /// Folds an event into an order and records it.
    pub(super) fn fold_event(&mut self, step: &mut Step, id: OrderId, event: OrderEvent) {
        let Some(live) = self.current(step, id) else {
            tracing::warn!(order = %id, event = %event.kind(), "the broker tells of an order that the desk does not have");
            return;
        };
        let before = live.order.status;
        match step.draft.fold(&self.book, &mut step.history, live, event.clone(), step.now) {
            Ok(Applied::Nothing) => {}
            Ok(Applied::Changed) => self.note_change(step, id, event, before),
            Err(error) => {
                tracing::error!(%error, "the broker reports what cannot be");
                let entry = AuditEntry::by_system(step.now, "order.contradicted")
                    .on("order", id)
                    .ended(Outcome::Failed)
                    .with(json!({ "event": event, "error": error.to_string() }));
                step.entries.push(entry);
                self.doubted.insert(id);
            }
        }
    }

    /// Records a change, and sees to what it asks for at once.
    fn note_change(&mut self, step: &mut Step, id: OrderId, event: OrderEvent, before: Status) {
        let Some(live) = step.draft.get(id).cloned() else { return };
        let (order, after) = (&live.order, live.order.status);
        if matches!(event, OrderEvent::Acknowledged { .. })
            && matches!(after, Status::Expired | Status::Canceled | Status::Rejected)
        {
            // It was given up, and arrived all the same: nobody would watch over it.
            step.effects.push(Effect::Cancel(order.clone()));
        }
        if before.is_terminal() && !after.is_terminal() {
            // It looked done, and an execution of it does not count: the broker may work it still.
            self.doubted.insert(id);
        }
        if matches!(event, OrderEvent::Filled(_)) && order.filled > order.quantity {
            tracing::error!(order = %id, "the broker executed more than was ordered");
            let entry = AuditEntry::by_system(step.now, "order.overfilled")
                .on("order", id)
                .ended(Outcome::Failed)
                .with(json!({ "ordered": order.quantity, "filled": order.filled }));
            step.entries.push(entry);
            self.compare_at = Some(step.now);
        }
        let entry = self.entry(step.now, id, &event, before, after);
        step.entries.extend(entry);
        self.settle_replacement(step, id, before);
    }

    /// The audit row of an event. A request has a row of its own, with whoever asked.
    fn entry(
        &self,
        at: Timestamp,
        id: OrderId,
        event: &OrderEvent,
        before: Status,
        after: Status,
    ) -> Option<AuditEntry> {
        let act = match event {
            OrderEvent::Triggered { .. } => "order.triggered",
            OrderEvent::Released { .. } => "order.released",
            OrderEvent::Submitting { .. } => "order.submitting",
            OrderEvent::NotReached { .. } => "order.not_reached",
            OrderEvent::Lost { .. } => "order.answer_lost",
            OrderEvent::Absent { .. } => "order.absent",
            OrderEvent::Acknowledged { .. } => "order.acknowledged",
            OrderEvent::Refused { .. } => "order.rejected",
            OrderEvent::Filled(_) => "order.filled",
            OrderEvent::Corrected { .. } => "order.fill_corrected",
            OrderEvent::Busted { .. } => "order.fill_busted",
            OrderEvent::CancelRequested | OrderEvent::ReplaceRequested { .. } => return None,
            OrderEvent::CancelRefused { .. } => "order.cancel_refused",
            OrderEvent::Canceled => "order.canceled",
            OrderEvent::Expired { .. } => "order.expired",
            OrderEvent::ReplaceRefused { .. } => "order.replace_refused",
            OrderEvent::Replaced { .. } => "order.replaced",
            OrderEvent::Restated { .. } => "order.restated",
        };
        let detail = json!({ "before": before, "after": after, "event": event });
        Some(AuditEntry::by_system(at, act).on("order", id).with(detail))
    }

    /// Folds an order as the broker has it.
    pub(super) fn fold_broker_order(&mut self, step: &mut Step, id: OrderId, found: &BrokerOrder) {
        let broker_order_id = found.broker_order_id.clone();
        self.fold_event(step, id, OrderEvent::Acknowledged { broker_order_id });
        for fill in &found.fills {
            let booked =
                self.current(step, id).and_then(|live| live.executions.get(&fill.execution_id).cloned());
            let event = match booked {
                None => OrderEvent::Filled(fill.clone()),
                Some(booked) if booked == *fill => continue,
                Some(_) => {
                    OrderEvent::Corrected { execution_id: fill.execution_id.clone(), by: fill.clone() }
                }
            };
            self.fold_event(step, id, event);
        }
        let theirs = found.fills.iter().fold(Quantity::ZERO, |all, fill| all + fill.quantity);
        if self.current(step, id).is_some_and(|live| live.order.filled > theirs) {
            // Something was corrected or taken back: the list of executions says what.
            self.compare_at = Some(step.now);
        }
        match &found.status {
            BrokerStatus::Open => self.fold_open(step, id, found),
            BrokerStatus::Filled => {}
            BrokerStatus::Replaced => {
                let by = found.replaced_by.as_ref().and_then(|by| by.parse().ok());
                self.fold_event(step, id, OrderEvent::Replaced { by });
            }
            BrokerStatus::Canceled => self.fold_event(step, id, OrderEvent::Canceled),
            BrokerStatus::Expired => {
                self.fold_event(step, id, OrderEvent::Expired { reason: "its time in force ended".into() });
            }
            BrokerStatus::Rejected(refusal) => {
                let (reason, code) = (refusal.text.clone(), refusal.reason);
                self.fold_event(step, id, OrderEvent::Refused { reason, code });
            }
        }
    }

    /// An order that works at the broker: with other terms than the desk believes, or without the replacement that the
    /// desk asked for.
    fn fold_open(&mut self, step: &mut Step, id: OrderId, found: &BrokerOrder) {
        let Some(live) = self.current(step, id) else { return };
        let order = &live.order;
        if order.status == Status::ReplacePending {
            let by = order.replaced_by.and_then(|by| self.current(step, by));
            if by.is_none_or(|by| by.order.status.is_terminal()) {
                let reason = "the broker did not replace it".to_owned();
                self.fold_event(step, id, OrderEvent::ReplaceRefused { reason });
            }
            return;
        }
        let terms = &found.terms;
        let is_restated = terms.quantity != order.quantity
            || (order.request.kind.has_limit() && terms.limit_price != order.request.limit_price)
            || (order.request.kind.has_stop() && terms.stop_price != order.request.stop_price);
        if is_restated && matches!(order.status, Status::Working | Status::PartiallyFilled) {
            let event = OrderEvent::Restated {
                quantity: terms.quantity,
                limit_price: terms.limit_price.filter(|_| order.request.kind.has_limit()),
                stop_price: terms.stop_price.filter(|_| order.request.kind.has_stop()),
            };
            self.fold_event(step, id, event);
        }
    }
}
