//! Orders that were made outside the desk, at the broker: found there, adopted, and watched over from then on.

use domain::{
    AuditEntry, Fill, Money, Order, OrderClass, OrderEvent, OrderId, OrderKind, OrderRequest, Origin, Price,
    Provenance, Quantity, Side, Size, Symbol, TimeInForce, Timestamp,
};
use serde_json::json;

use super::{Core, Step};
use crate::book::Live;
use crate::broker::{BrokerOrder, Execution, Terms};
use crate::store::{Flow, FlowKind};

/// The client order id that the desk gives to an order from outside. One's own may not hold a space.
pub(crate) fn name(broker_order_id: &str) -> String {
    format!("external {broker_order_id}")
}

/// An id that is the same whenever it is made of the same: a time, so that it sorts, and a hash (FNV-1a, 128 bits).
pub(super) fn id_of(at: Timestamp, name: &str) -> OrderId {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in name.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    let mut random = [0; 10];
    random.copy_from_slice(&hash.to_be_bytes()[..10]);
    OrderId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

impl Core {
    /// Takes an order from outside over, as new; what happened to it is folded afterwards.
    pub(super) fn adopt(&mut self, step: &mut Step, order: &BrokerOrder) -> OrderId {
        self.adopt_terms(step, &order.broker_order_id, &order.terms, order.placed_at)
    }

    /// Takes an order from outside over of which only an execution is known.
    pub(super) fn adopt_executed(&mut self, step: &mut Step, execution: &Execution) -> Option<OrderId> {
        // A correction of what was never heard of says nothing about units.
        let OrderEvent::Filled(fill) = &execution.event else { return None };
        let terms = Terms {
            symbol: execution.symbol.clone(),
            side: execution.side,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            quantity: fill.quantity,
            limit_price: None,
            stop_price: None,
            trail: None,
            extended_hours: false,
        };
        let id = self.adopt_terms(step, &execution.broker_order_id, &terms, fill.at);
        let broker_order_id = execution.broker_order_id.clone();
        self.fold_event(step, id, OrderEvent::Acknowledged { broker_order_id });
        Some(id)
    }

    fn adopt_terms(
        &mut self,
        step: &mut Step,
        broker_order_id: &str,
        terms: &Terms,
        at: Timestamp,
    ) -> OrderId {
        let name = name(broker_order_id);
        let id = id_of(at, &format!("{}/{name}", self.account.id));
        let request = OrderRequest {
            client_order_id: name,
            symbol: terms.symbol.clone(),
            side: terms.side,
            kind: terms.kind,
            time_in_force: terms.time_in_force,
            size: Size::Quantity(terms.quantity),
            limit_price: terms.limit_price,
            stop_price: terms.stop_price,
            trail: terms.trail,
            extended_hours: terms.extended_hours,
            class: OrderClass::Simple,
            take_profit: None,
            stop_loss: None,
            book: None,
            strategy: None,
        };
        let provenance = Provenance { origin: Origin::External, ..Provenance::of("external") };
        let order = Order::accepted(id, self.account.id, request, terms.quantity, provenance, at);
        tracing::warn!(order = %id, broker_order_id, "an order from outside the desk is adopted");
        let entry = AuditEntry::by_system(step.now, "order.adopted").on("order", id).with(json!({
            "broker_order_id": broker_order_id,
            "symbol": terms.symbol,
            "side": terms.side,
            "quantity": terms.quantity,
        }));
        step.entries.push(entry);
        let reserve_price = terms.limit_price.or(terms.stop_price).unwrap_or_default();
        step.draft.insert(Live::new(order, reserve_price));
        step.adopted.insert(broker_order_id.to_owned(), id);
        id
    }

    /// Takes units over that the broker has without a trade, at a price. Their value comes in with them, so that they are
    /// neither profit nor loss.
    pub(super) fn adopt_units(
        &mut self,
        step: &mut Step,
        symbol: &Symbol,
        quantity: Quantity,
        price: Price,
        reason: String,
    ) {
        let side = if quantity.is_positive() { Side::Buy } else { Side::Sell };
        let size = if quantity.is_positive() { quantity } else { -quantity };
        let name = format!("difference {symbol} {quantity} {}", step.now.as_microsecond());
        let terms = Terms {
            symbol: symbol.clone(),
            side,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            quantity: size,
            limit_price: None,
            stop_price: None,
            trail: None,
            extended_hours: false,
        };
        let id = self.adopt_terms(step, &name, &terms, step.now);
        self.fold_event(step, id, OrderEvent::Acknowledged { broker_order_id: name.clone() });
        let fill = Fill { execution_id: name.clone(), price, quantity: size, fee: Money::ZERO, at: step.now };
        self.fold_event(step, id, OrderEvent::Filled(fill));
        if price == Price::ZERO {
            return;
        }
        step.draft.flow(Flow {
            seq: 0,
            at: step.now,
            kind: FlowKind::Securities,
            book: None,
            amount: price * quantity,
            detail: reason,
        });
    }
}
