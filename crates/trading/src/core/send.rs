//! What goes to the broker: orders that were accepted, and cancels before them.

use std::collections::BTreeSet;

use domain::{Order, OrderEvent, OrderId, Side, Status};

use super::budget::Priority;
use super::{Core, Effect, LONGEST_WAIT, SENDING, Step};

impl Core {
    /// Orders that were accepted and not sent: sent now, exits first and then in the order in which they were accepted,
    /// or expired.
    pub(super) fn send_unsent(&mut self, step: &mut Step) {
        let room = SENDING.saturating_sub(self.sending.len());
        let may_send = room > 0 && !self.fenced && self.breaker.lets_orders_pass();
        let is_ready = |order: &&Order| {
            order.status == Status::Accepted
                && order.provenance.replaces.is_none()
                && self.retries.get(&order.id).is_none_or(|retry| retry.is_due(step.now))
        };
        let ranked = |order: &Order| (self.priority(order), order.id);
        let drafted = step.draft.touched().map(|live| &live.order).filter(is_ready);
        let mut ready: Vec<(Priority, OrderId)> = drafted.map(ranked).collect();
        // Oldest first, as ids are. Only where something is held can a younger one be an exit and go before these.
        let in_turn = self.book.whole.positions.values().all(|position| position.quantity.is_zero());
        for live in self.book.unsent() {
            let enough = !may_send || (in_turn && ready.len() >= room);
            if enough && !self.is_old(step, &live.order) {
                break;
            }
            if step.draft.get(live.order.id).is_none() && is_ready(&&live.order) {
                ready.push(ranked(&live.order));
            }
        }
        ready.sort_unstable();
        for (priority, id) in ready {
            let Some(order) = self.peek(step, id).map(|live| &live.order) else { continue };
            let attempt = order.attempts + 1;
            if self.is_too_old(step, order) {
                let limit = self.config.limits.max_unsent_age.as_secs();
                let reason = format!("it could not be sent within {limit} s, and was not");
                self.fold_event(step, id, OrderEvent::Expired { reason });
                continue;
            }
            if !may_send || self.sending.len() >= SENDING || !self.budget.take(priority, step.now) {
                // Those that are too old are still to be found.
                continue;
            }
            self.fold_event(step, id, OrderEvent::Submitting { attempt });
            if let Some(live) = step.draft.get(id)
                && live.order.status == Status::Submitting
            {
                self.sending.insert(id);
                step.effects.push(Effect::Submit(live.order.clone()));
            }
        }
    }

    /// Whether an order closes a position or opens one.
    fn priority(&self, order: &Order) -> Priority {
        let held = self.book.whole.quantity(&order.request.symbol);
        let closes = match order.request.side {
            Side::Sell => held.is_positive(),
            Side::Buy => held.is_negative(),
        };
        if closes { Priority::Exit } else { Priority::Entry }
    }

    /// Whether its price may be of another time by now. An exit of a group protects a position: it never is.
    fn is_too_old(&self, step: &Step, order: &Order) -> bool {
        order.provenance.leg.is_none() && order.provenance.done_by_desk.is_empty() && self.is_old(step, order)
    }

    fn is_old(&self, step: &Step, order: &Order) -> bool {
        step.now.duration_since(order.created_at).unsigned_abs() > self.config.limits.max_unsent_age
    }

    /// Asks the broker to cancel what somebody wants canceled and the broker is known to have.
    pub(super) fn ask_for_cancels(&mut self, step: &mut Step) {
        let drafted = step.draft.touched().map(|live| live.order.id);
        let ids: BTreeSet<OrderId> = self.book.cancels().map(|live| live.order.id).chain(drafted).collect();
        for id in ids {
            let Some(order) = self.peek(step, id).map(|live| &live.order) else { continue };
            let is_due = self.cancel_waits.get(&id).is_none_or(|wait| wait.is_due(step.now));
            if order.status != Status::CancelPending
                || order.broker_order_id.is_none()
                || self.canceling.contains(&id)
                || !is_due
                || self.fenced
            {
                continue;
            }
            let order = order.clone();
            if !self.budget.take(Priority::Cancel, step.now) {
                continue;
            }
            self.canceling.insert(id);
            step.effects.push(Effect::Cancel(order));
        }
    }

    /// Opens the broker's stream when it is not open.
    pub(super) fn listen_if_due(&mut self, step: &mut Step) {
        if !self.listening
            && !self.fenced
            && self.listen_at.is_some()
            && self.listen_wait.is_due(step.now)
            && self.breaker.lets_question_pass(step.now)
        {
            // Set again when it fails or ends.
            self.listen_at = None;
            step.effects.push(Effect::Listen);
        }
    }

    /// The wait before anything is tried again, at most.
    pub(super) fn longest_wait() -> std::time::Duration {
        LONGEST_WAIT
    }
}
