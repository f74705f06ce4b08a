//! What happened to an order, from how it was and how it is.

use std::collections::HashMap;
use std::sync::Arc;

use alpaca::{TradeEvent, Uuid};
use domain::{Order, OrderId, Price, Quantity, Status, Timestamp};
use trading::{BookedFill, BookingKind};

use crate::alpaca::history::execution_id;

/// Names the ids of events apart from all other UUIDs made from names.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0d_17ac_6f52_49c1_a0f7_92d8_3e64_1b90);
/// Orders at their end are remembered for a while, as something may come late; then they are forgotten.
const MOST: usize = 4_096;

/// Something that is to be told.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub event: TradeEvent,
    /// Unique, and the same however often it is told.
    pub execution_id: Uuid,
    /// The order after it.
    pub order: Arc<Order>,
    pub at: Timestamp,
    /// Of executions: price and units.
    pub execution: Option<(Price, Quantity)>,
    /// Of corrections and busts: the execution they are about.
    pub corrects: Option<Uuid>,
}

/// The orders as they were last told: the same in memory for all connections that were told of them.
#[derive(Default)]
pub(super) struct Known(HashMap<OrderId, Arc<Order>>);

impl Known {
    /// Takes an order as it is, without a word.
    pub(super) fn note(&mut self, order: Arc<Order>) {
        self.0.insert(order.id, order);
        if self.0.len() > MOST {
            self.0.retain(|_, order| !order.status.is_terminal());
        }
    }

    /// Orders that were not at their end.
    pub(super) fn working(&self) -> impl Iterator<Item = OrderId> {
        self.0.values().filter(|order| !order.status.is_terminal()).map(|order| order.id)
    }

    /// An order changed. Executions are told by [`Self::executed`], right after.
    pub(super) fn changed(&mut self, order: Arc<Order>) -> Option<Change> {
        let before = self.0.get(&order.id);
        if before.is_some_and(|before| before.version >= order.version) && order.version > 0 {
            return None;
        }
        let event = event(before.map(Arc::as_ref), &order);
        self.note(order.clone());
        event.map(|event| change(event, order))
    }

    /// An execution was booked.
    pub(super) fn executed(&self, booked: &BookedFill) -> Option<Change> {
        let order = self.0.get(&booked.order?)?.clone();
        let event = match booked.kind {
            BookingKind::Fill if order.filled >= order.quantity => TradeEvent::Fill,
            BookingKind::Fill => TradeEvent::PartialFill,
            BookingKind::Correction => TradeEvent::TradeCorrect,
            BookingKind::Bust => TradeEvent::TradeBust,
            BookingKind::Transfer => return None,
        };
        let corrects = booked.corrects.as_ref().map(|id| {
            let mut of = booked.clone();
            of.fill.execution_id = id.clone();
            execution_id(&of)
        });
        Some(Change {
            execution_id: execution_id(booked),
            at: booked.fill.at,
            execution: Some((booked.fill.price, booked.fill.quantity)),
            corrects,
            ..change(event, order)
        })
    }

    /// An order as it is after changes of which some were not heard: what was executed is told as one.
    pub(super) fn compared(&mut self, order: Arc<Order>) -> Vec<Change> {
        let before = self.0.get(&order.id).cloned();
        if before.as_ref().is_some_and(|before| before.version >= order.version) {
            return Vec::new();
        }
        let (filled, notional) =
            before.as_ref().map_or_else(Default::default, |before| (before.filled, before.filled_notional));
        let units = order.filled - filled;
        let mut changes = Vec::new();
        if units.is_positive() {
            let price = (order.filled_notional - notional).0.checked_div(units.0).map(Price);
            let event =
                if order.filled >= order.quantity { TradeEvent::Fill } else { TradeEvent::PartialFill };
            let execution = price.map(|price| (price, units));
            changes.push(Change { execution, ..change(event, order.clone()) });
        }
        changes.extend(event(before.as_deref(), &order).map(|event| change(event, order.clone())));
        self.note(order);
        changes
    }
}

fn change(event: TradeEvent, order: Arc<Order>) -> Change {
    let name = format!("{}/{}/{event}", order.id, order.version);
    Change {
        execution_id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        at: order.updated_at,
        execution: None,
        corrects: None,
        event,
        order,
    }
}

/// What a change of status, or of terms, is called; executions aside.
fn event(before: Option<&Order>, order: &Order) -> Option<TradeEvent> {
    let was = before.map(|before| before.status);
    if was == Some(order.status) {
        let restated = before.is_some_and(|before| before.quantity != order.quantity && order.is_restated);
        return restated.then_some(TradeEvent::Restated);
    }
    match (was, order.status) {
        (_, Status::Held | Status::Accepted) => Some(TradeEvent::Accepted),
        (_, Status::Submitting) => Some(TradeEvent::PendingNew),
        (Some(Status::CancelPending), Status::Working | Status::PartiallyFilled) => {
            Some(TradeEvent::OrderCancelRejected)
        }
        (Some(Status::ReplacePending), Status::Working | Status::PartiallyFilled) => {
            Some(TradeEvent::OrderReplaceRejected)
        }
        // An execution that was taken back opens an order again; that is told by itself.
        (Some(Status::PartiallyFilled | Status::Filled), Status::Working) => None,
        (_, Status::Working) => Some(TradeEvent::New),
        (_, Status::CancelPending) => Some(TradeEvent::PendingCancel),
        (_, Status::ReplacePending) => Some(TradeEvent::PendingReplace),
        (_, Status::Canceled) => Some(TradeEvent::Canceled),
        (_, Status::Expired) => Some(TradeEvent::Expired),
        (_, Status::Rejected) => Some(TradeEvent::Rejected),
        (_, Status::Replaced) => Some(TradeEvent::Replaced),
        // Nobody knows yet; or an execution says it.
        (_, Status::Unknown | Status::PartiallyFilled | Status::Filled) => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, Money, OrderEvent, OrderRequest, Provenance, Side, TimeInForce};

    use super::*;

    fn order() -> Order {
        let at = Timestamp::UNIX_EPOCH;
        let symbol = "BTC-USD".parse().unwrap();
        let units: Quantity = "2".parse().unwrap();
        let request = OrderRequest::simple("a", symbol, Side::Buy, units, None, TimeInForce::Gtc);
        Order::accepted(OrderId::new(at), AccountId::new(at), request, units, Provenance::of("u"), at)
    }

    fn fill(order: &Order, nth: u32) -> (OrderEvent, BookedFill) {
        let fill = domain::Fill {
            execution_id: format!("e{nth}"),
            price: "10".parse().unwrap(),
            quantity: "1".parse().unwrap(),
            fee: Money::ZERO,
            at: Timestamp::UNIX_EPOCH,
        };
        let booked = BookedFill {
            account: order.account,
            seq: i64::from(nth),
            kind: BookingKind::Fill,
            order: Some(order.id),
            book: None,
            symbol: order.request.symbol.clone(),
            side: Side::Buy,
            fill: fill.clone(),
            corrects: None,
            realised_pnl: Money::ZERO,
        };
        (OrderEvent::Filled(fill), booked)
    }

    /// What is told while an order lives; the executions come right after the change they make.
    fn told(events: &[OrderEvent]) -> Vec<String> {
        let (mut order, mut known, mut told) = (order(), Known::default(), Vec::new());
        let mut say = |change: Option<Change>| told.extend(change.map(|change| change.event.to_string()));
        say(known.changed(order.clone().into()));
        for event in events {
            order.apply(event, Timestamp::UNIX_EPOCH).unwrap();
            say(known.changed(order.clone().into()));
            if let OrderEvent::Filled(fill) = event {
                let (_, booked) = self::fill(&order, 0);
                say(known.executed(&BookedFill { fill: fill.clone(), ..booked }));
            }
        }
        told
    }

    #[test]
    fn every_step_of_an_order_is_told_once_in_alpacas_words() {
        let submitting = OrderEvent::Submitting { attempt: 1 };
        let acknowledged = OrderEvent::Acknowledged { broker_order_id: "b".into() };
        let (first, second) = (fill(&order(), 1).0, fill(&order(), 2).0);
        let life = [submitting.clone(), acknowledged.clone(), first.clone(), second];
        assert_eq!(told(&life), ["accepted", "pending_new", "new", "partial_fill", "fill"]);
        let canceled = [submitting, acknowledged, OrderEvent::CancelRequested, first, OrderEvent::Canceled];
        let words = ["accepted", "pending_new", "new", "pending_cancel", "partial_fill", "canceled"];
        assert_eq!(told(&canceled), words);
    }

    #[test]
    fn what_was_not_heard_is_told_by_comparison() {
        let mut order = order();
        let mut known = Known::default();
        known.note(order.clone().into());
        for event in [
            OrderEvent::Submitting { attempt: 1 },
            OrderEvent::Acknowledged { broker_order_id: "b".into() },
            fill(&order, 1).0,
            fill(&order, 2).0,
        ] {
            order.apply(&event, Timestamp::UNIX_EPOCH).unwrap();
        }
        let changes = known.compared(order.clone().into());
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (&changes[0].event, changes[0].execution),
            (&TradeEvent::Fill, Some(("10".parse().unwrap(), "2".parse().unwrap())))
        );
        assert!(known.compared(order.into()).is_empty(), "and only once");
    }
}
