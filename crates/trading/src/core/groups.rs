//! Brackets, OCOs and OTOs that the desk does itself, because the broker has none.
//!
//! An entry's exits are held until the entry is at its end, and then sized by what it filled. Of two exits only the
//! stop-loss goes to the broker: should the desk stop, the position stays protected. The take-profit stays here and is
//! watched against the quotes; when its price is reached the stop-loss is canceled first, and only what is then certainly
//! left is sent. So the two can never both be executed, and no more is traded than the position has.

use std::collections::BTreeSet;

use domain::{AuditEntry, Leg, Order, OrderClass, OrderEvent, OrderId, Outcome, Quantity, Side, Status};
use serde_json::json;

use super::{Core, Step, View, left_of};

/// The orders of a group as they are now.
struct Group {
    main: Order,
    take_profit: Option<Order>,
    stop_loss: Option<Order>,
}

impl Core {
    /// Sees to the groups of the orders that the step touched.
    pub(super) fn follow_up(&mut self, step: &mut Step) {
        let mains: BTreeSet<OrderId> = step
            .draft
            .touched()
            .filter_map(|live| match live.order.provenance.parent {
                Some(parent) => Some(parent),
                None => (live.order.request.class != OrderClass::Simple).then_some(live.order.id),
            })
            .collect();
        for main in mains {
            // One change may ask for another: as many rounds as there are orders in a group.
            for _ in 0..3 {
                self.arm(step, main);
                self.pair(step, main);
            }
        }
    }

    fn group(&self, step: &Step, main: OrderId) -> Option<Group> {
        let main = self.current(step, main)?.order;
        if !main.provenance.done_by_desk.iter().any(|done| done == main.request.class.as_str()) {
            return None;
        }
        let legs: Vec<Order> = self
            .book
            .legs_of(main.id)
            .iter()
            .filter_map(|leg| self.current(step, *leg))
            .map(|live| live.order)
            .collect();
        let leg = |wanted| legs.iter().find(|order| order.provenance.leg == Some(wanted)).cloned();
        let take_profit = match main.request.class {
            OrderClass::Oco => Some(main.clone()),
            _ => leg(Leg::TakeProfit),
        };
        Some(Group { take_profit, stop_loss: leg(Leg::StopLoss), main })
    }

    /// When an entry is at its end, its exits get what it filled.
    fn arm(&mut self, step: &mut Step, main: OrderId) {
        let Some(Group { main, take_profit, stop_loss }) = self.group(step, main) else { return };
        if main.request.class == OrderClass::Oco || !main.status.is_terminal() {
            return;
        }
        let exits: Vec<&Order> = take_profit.iter().chain(&stop_loss).collect();
        if main.filled.is_zero() {
            for exit in exits.into_iter().filter(|exit| exit.status == Status::Held) {
                let _ = self.request_cancel(step, exit.id);
            }
            return;
        }
        match (&take_profit, &stop_loss) {
            (Some(kept), Some(sent)) => {
                self.let_go(step, sent, main.filled, "its entry is done");
                if kept.status == Status::Held && !kept.is_triggered && kept.quantity != main.filled {
                    let event =
                        OrderEvent::Restated { quantity: main.filled, limit_price: None, stop_price: None };
                    self.fold_event(step, kept.id, event);
                }
                self.warn_if_unprotected(step, &main, sent);
            }
            (Some(only), None) | (None, Some(only)) => {
                self.let_go(step, only, main.filled, "its entry is done");
                self.warn_if_unprotected(step, &main, only);
            }
            (None, None) => {}
        }
    }

    /// Of two exits only one is executed.
    fn pair(&mut self, step: &mut Step, main: OrderId) {
        let Some(Group { take_profit: Some(kept), stop_loss: Some(sent), .. }) = self.group(step, main)
        else {
            return;
        };
        if sent.status.is_terminal() && kept.status == Status::Held {
            let left = left_of(&sent, kept.quantity);
            if left.is_zero() {
                let _ = self.request_cancel(step, kept.id);
            } else if kept.is_triggered || sent.status == Status::Rejected {
                // Nothing at the broker stands in its way any more.
                self.let_go(step, &kept, left, "the stop-loss is out of the way");
            } else {
                let _ = self.request_cancel(step, kept.id);
            }
        }
        if kept.status.is_terminal() && !sent.status.is_terminal() && sent.status != Status::CancelPending {
            let _ = self.request_cancel(step, sent.id);
        }
    }

    fn let_go(&mut self, step: &mut Step, held: &Order, quantity: Quantity, reason: &str) {
        if held.status == Status::Held {
            let event = OrderEvent::Released { reason: reason.to_owned(), quantity: Some(quantity) };
            self.fold_event(step, held.id, event);
        }
    }

    /// A fill that came after the exits were sized leaves a part of the position without them.
    fn warn_if_unprotected(&self, step: &mut Step, main: &Order, exit: &Order) {
        let grew = step
            .draft
            .changes
            .iter()
            .any(|change| change.order.id == main.id && matches!(change.event, OrderEvent::Filled(_)));
        if grew && exit.status != Status::Held && exit.quantity < main.filled {
            tracing::error!(order = %main.id, "a late fill is not covered by the exits of its group");
            let entry = AuditEntry::by_system(step.now, "order.exits_too_small")
                .on("order", main.id)
                .ended(Outcome::Failed)
                .with(json!({ "account": self.account.id, "filled": main.filled, "covered": exit.quantity }));
            step.entries.push(entry);
        }
    }

    /// Looks whether the price of a take-profit that the desk keeps is reached. A stale quote decides nothing.
    pub(super) fn watch_prices(&mut self, step: &mut Step, view: &dyn View) {
        let kept: Vec<Order> = self
            .book
            .held()
            .map(|live| live.order.id)
            .filter(|id| !self.arriving.contains(id))
            .filter_map(|id| self.peek(step, id))
            .map(|live| &live.order)
            .filter(|order| order.status == Status::Held && !order.is_triggered)
            .cloned()
            .collect();
        for order in kept {
            let main = order.provenance.parent.unwrap_or(order.id);
            let Some(Group { main, take_profit: Some(kept), stop_loss: Some(sent) }) = self.group(step, main)
            else {
                continue;
            };
            let armed = main.request.class == OrderClass::Oco || main.status.is_terminal();
            if kept.id != order.id || !armed || sent.status == Status::Held {
                continue;
            }
            let Some(reached) = self.reached(step, &order, view) else { continue };
            self.fold_event(step, order.id, OrderEvent::Triggered { reason: reached });
            let _ = self.request_cancel(step, sent.id);
        }
    }

    /// How the market has reached the limit price of an order, in words.
    fn reached(&self, step: &Step, order: &Order, view: &dyn View) -> Option<String> {
        let limit = order.request.limit_price?;
        let (quote, at) = view.quote(&order.request.symbol)?;
        let age = step.now.duration_since(at).unsigned_abs();
        if age > self.config.limits.max_quote_age || quote.is_crossed() {
            return None;
        }
        match order.request.side {
            Side::Sell => {
                quote.bid.filter(|(bid, _)| *bid >= limit).map(|(bid, _)| format!("the bid reached {bid}"))
            }
            Side::Buy => {
                quote.ask.filter(|(ask, _)| *ask <= limit).map(|(ask, _)| format!("the ask reached {ask}"))
            }
        }
    }
}
