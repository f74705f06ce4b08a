//! Putting an order in the place of another.
//!
//! Only one of the two can be executed, so together they hold back what the larger one needs: the old order covers the
//! new one until the broker says which of them works. The broker's first answer is not that word: only the event is.

use domain::{AuditEntry, OrderEvent, OrderId, Reason, Status};

use super::{Core, Effect, Reply, Step};
use crate::book::Live;
use crate::broker::SubmitFailure;
use crate::store::NewOrder;

impl Core {
    /// Holds the head-room of an order that is to take the place of another.
    pub(super) fn cover(&mut self, old: OrderId, by: &Live) {
        if let Some(mut live) = self.book.get(old).cloned() {
            live.cover = by.needs();
            self.book.put(live);
        }
    }

    /// Gives it back.
    pub(super) fn uncover(&mut self, old: OrderId) {
        if let Some(mut live) = self.book.get(old).cloned() {
            live.cover = Default::default();
            self.book.put(live);
        }
    }

    /// Journals the new order and what is asked for the old one, and asks the broker.
    pub(super) fn begin_replacement(
        &mut self,
        step: &mut Step,
        old: OrderId,
        by: NewOrder,
        entry: AuditEntry,
    ) -> Reply {
        let Some(live) = self.current(step, old) else { return Reply::NotFound };
        if !matches!(live.order.status, Status::Working | Status::PartiallyFilled) {
            self.uncover(old);
            return Reply::NotReplaceable(live.order.status);
        }
        step.entries.push(entry);
        let id = by.order.id;
        step.draft.insert(Live::new(by.order, by.reserve_price));
        self.fold_event(step, old, OrderEvent::ReplaceRequested { by: id });
        self.fold_event(step, id, OrderEvent::Submitting { attempt: 1 });
        let (Some(order), Some(by)) = (self.current(step, old), self.current(step, id)) else {
            return Reply::NotFound;
        };
        self.sending.insert(id);
        step.effects.push(Effect::Replace { order: order.order, by: by.order.clone() });
        Reply::Replacing(by.order)
    }

    /// Folds the broker's answer to a replacement.
    pub(super) fn fold_replace_answer(
        &mut self,
        step: &mut Step,
        old: OrderId,
        by: OrderId,
        answer: Result<String, SubmitFailure>,
    ) {
        let (reason, code) = match answer {
            Ok(broker_order_id) => {
                self.fold_event(step, by, OrderEvent::Acknowledged { broker_order_id });
                return;
            }
            Err(SubmitFailure::Lost(detail)) => {
                self.fold_event(step, by, OrderEvent::Lost { detail });
                self.doubted.insert(old);
                return;
            }
            Err(SubmitFailure::Exists) => {
                let detail = "the broker has an order with this id already".to_owned();
                self.fold_event(step, by, OrderEvent::Lost { detail });
                return;
            }
            Err(SubmitFailure::NotReached(detail)) => (detail, Reason::Unavailable),
            Err(SubmitFailure::Refused(refusal)) => (refusal.text, refusal.reason),
        };
        // How the old one stands, when that is why, is asked.
        self.doubted.insert(old);
        self.fold_event(step, old, OrderEvent::ReplaceRefused { reason: reason.clone() });
        self.fold_event(step, by, OrderEvent::Refused { reason, code });
    }

    /// After a change of one of the two: who holds the head-room, and what follows for the other.
    pub(super) fn settle_replacement(&mut self, step: &mut Step, id: OrderId, before: Status) {
        let Some(live) = self.current(step, id) else { return };
        let pair = match (live.order.provenance.replaces, live.order.replaced_by) {
            (_, Some(by)) => Some((id, by)),
            (Some(old), None) => Some((old, id)),
            (None, None) => None,
        };
        let Some((old, by)) = pair else { return };
        let (Some(mut first), Some(mut second)) = (self.current(step, old), self.current(step, by)) else {
            return;
        };
        let is_pair = first.order.replaced_by == Some(by);
        let undecided = is_pair && !first.order.status.is_terminal() && !second.order.status.is_terminal();
        if is_pair || first.order.replaced_by.is_none() {
            first.cover = if undecided { second.needs() } else { Default::default() };
        }
        second.is_shadow = undecided;
        let replaced_while_canceling = id == old
            && before == Status::CancelPending
            && first.order.status == Status::Replaced
            && !second.order.status.is_terminal();
        let never_came = id == by
            && second.order.status.is_terminal()
            && second.order.broker_order_id.is_none()
            && first.order.status == Status::ReplacePending;
        step.draft.adjust(first);
        step.draft.adjust(second);
        if replaced_while_canceling {
            // Whoever wanted the old one gone wants no other in its place.
            let _ = self.request_cancel(step, by);
        }
        if never_came {
            let reason = "the broker did not replace it".to_owned();
            self.fold_event(step, old, OrderEvent::ReplaceRefused { reason });
        }
    }

    /// After a start: which orders wait to take the place of another.
    pub(super) fn pair_replacements(&mut self) {
        let pairs: Vec<(OrderId, OrderId)> = self
            .book
            .open()
            .filter_map(|live| Some((live.order.provenance.replaces?, live.order.id)))
            .collect();
        for (old, by) in pairs {
            let first = self.book.get(old).cloned();
            let undecided = first
                .as_ref()
                .is_some_and(|live| !live.order.status.is_terminal() && live.order.replaced_by == Some(by));
            let Some(mut second) = self.book.get(by).cloned() else { continue };
            second.is_shadow = undecided;
            let needs = second.needs();
            self.book.put(second);
            if let Some(mut first) = first.filter(|_| undecided) {
                first.cover = needs;
                self.book.put(first);
            }
        }
    }
}
