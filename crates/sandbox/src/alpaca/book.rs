//! What Alpaca knows of orders beside the venue: their names, and which took the place of which.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alpaca::{
    Amount, AssetClass, GroupRole, OrderClass, OrderStatus, OrderType, TradeEvent, TradeUpdate, Uuid,
};
use domain::{OrderEvent, OrderId, Quantity, Symbol, Timestamp};
use trading::{BrokerOrder, BrokerStatus};

/// The names of orders. At the venue an order is called by the id that it has at Alpaca.
#[derive(Default)]
pub(super) struct Book(Mutex<Names>);

#[derive(Default)]
struct Names {
    by_client: HashMap<String, Uuid>,
    by_id: HashMap<Uuid, Named>,
}

/// What an order is called, and its neighbours.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) client_order_id: String,
    pub(super) replaces: Option<Uuid>,
    pub(super) replaced_by: Option<Uuid>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the order that is called so: `fresh`, unless the name was heard before. Whether it is taken is the venue's
    /// to say: of an order whose answer was lost only the venue knows.
    pub(super) fn name(&self, client_order_id: &str, fresh: OrderId, replaces: Option<Uuid>) -> OrderId {
        let mut names = self.lock();
        if let Some(id) = names.by_client.get(client_order_id) {
            return OrderId(*id);
        }
        names.by_client.insert(client_order_id.to_owned(), fresh.0);
        let named = Named { client_order_id: client_order_id.to_owned(), replaces, replaced_by: None };
        names.by_id.insert(fresh.0, named);
        if let Some(old) = replaces.and_then(|old| names.by_id.get_mut(&old)) {
            old.replaced_by = Some(fresh.0);
        }
        fresh
    }

    /// Forgets a name: nothing came of the order.
    pub(super) fn forget(&self, client_order_id: &str) {
        let mut names = self.lock();
        let Some(id) = names.by_client.remove(client_order_id) else { return };
        let replaces = names.by_id.remove(&id).and_then(|named| named.replaces);
        if let Some(old) = replaces.and_then(|old| names.by_id.get_mut(&old)) {
            old.replaced_by = None;
        }
    }

    pub(super) fn called(&self, client_order_id: &str) -> Option<Uuid> {
        self.lock().by_client.get(client_order_id).copied()
    }

    /// Every order that has a name.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.lock().by_id.keys().copied().collect()
    }

    /// What an order is called; one of which Alpaca has never heard is called by its id.
    pub(super) fn named(&self, id: Uuid) -> Named {
        let unheard_of = || Named { client_order_id: id.to_string(), replaces: None, replaced_by: None };
        self.lock().by_id.get(&id).cloned().unwrap_or_else(unheard_of)
    }
}

/// An id that is the same whenever it is made of the same text: a hash (FNV-1a, 128 bits).
pub(super) fn id_of(text: &str) -> Uuid {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    Uuid::from_u128(hash)
}

/// `BTC/USD` for `BTC-USD`
pub(super) fn name_of(symbol: &Symbol) -> String {
    symbol.as_str().replace('-', "/")
}

pub(super) fn class_of(symbol: &Symbol) -> AssetClass {
    if symbol.as_str().contains('-') { AssetClass::Crypto } else { AssetClass::UsEquity }
}

fn status_of(order: &BrokerOrder, filled: Quantity) -> OrderStatus {
    match order.status {
        BrokerStatus::Open if filled.is_positive() => OrderStatus::PartiallyFilled,
        BrokerStatus::Open => OrderStatus::New,
        BrokerStatus::Filled => OrderStatus::Filled,
        BrokerStatus::Replaced => OrderStatus::Replaced,
        BrokerStatus::Canceled => OrderStatus::Canceled,
        BrokerStatus::Expired => OrderStatus::Expired,
        BrokerStatus::Rejected(_) => OrderStatus::Rejected,
    }
}

/// An order of the venue in Alpaca's words.
pub(super) fn order(order: &BrokerOrder, id: Uuid, named: Named, now: Timestamp) -> alpaca::Order {
    let filled: Quantity = order.fills.iter().map(|fill| fill.quantity).sum();
    let notional: domain::Money = order.fills.iter().map(|fill| fill.price * fill.quantity).sum();
    let status = status_of(order, filled);
    let at = |is: OrderStatus| (status == is).then_some(now);
    let (trail_price, trail_percent) = match order.terms.trail {
        Some(domain::Trail::Price(distance)) => (Some(distance.into()), None),
        Some(domain::Trail::Percent(percent)) => (None, Some(Amount(percent))),
        None => (None, None),
    };
    let kind = OrderType::from(order.terms.kind);
    alpaca::Order {
        id,
        client_order_id: named.client_order_id,
        created_at: order.placed_at,
        updated_at: now,
        submitted_at: order.placed_at,
        filled_at: order.fills.last().map(|fill| fill.at).filter(|_| status == OrderStatus::Filled),
        expired_at: at(OrderStatus::Expired),
        canceled_at: at(OrderStatus::Canceled),
        failed_at: at(OrderStatus::Rejected),
        replaced_at: at(OrderStatus::Replaced),
        replaced_by: named.replaced_by.filter(|_| status == OrderStatus::Replaced),
        replaces: named.replaces,
        asset_id: Some(id_of(order.terms.symbol.as_str())),
        symbol: Some(name_of(&order.terms.symbol)),
        asset_class: Some(class_of(&order.terms.symbol)),
        notional: None,
        qty: Some(order.terms.quantity.into()),
        filled_qty: Some(filled.into()),
        filled_avg_price: notional.0.checked_div(filled.0).map(Amount),
        order_class: OrderClass::Unset,
        order_type: kind.clone(),
        kind,
        side: order.terms.side.into(),
        time_in_force: order.terms.time_in_force.into(),
        limit_price: order.terms.limit_price.map(Into::into),
        stop_price: order.terms.stop_price.map(Into::into),
        status,
        extended_hours: order.terms.extended_hours,
        legs: None,
        trail_percent,
        trail_price,
        hwm: None,
        position_intent: None,
        ratio_qty: None,
        subtag: None,
        source: None,
        expires_at: None,
        group_id: None,
        group_role: None::<GroupRole>,
    }
}

/// What happened to an order in Alpaca's words. The order is as it stood right after that, as far as it can be told.
pub(super) fn update(
    event: Option<OrderEvent>,
    mut found: BrokerOrder,
    id: Uuid,
    named: Named,
    now: Timestamp,
) -> TradeUpdate {
    if let Some(OrderEvent::Filled(fill)) = &event {
        let upto = found.fills.iter().position(|one| one.execution_id == fill.execution_id);
        found.fills.truncate(upto.map_or(found.fills.len(), |nth| nth + 1));
    }
    let order = order(&found, id, named, now);
    let is_whole = order.filled_qty == order.qty;
    let mut update = TradeUpdate {
        event: TradeEvent::New,
        execution_id: None,
        order,
        timestamp: now,
        price: None,
        qty: None,
        position_qty: None,
        previous_execution_id: None,
        reason: None,
    };
    let executed = |update: &mut TradeUpdate, fill: &domain::Fill| {
        update.execution_id = Some(id_of(&fill.execution_id).to_string());
        update.timestamp = fill.at;
        update.price = Some(fill.price.into());
        update.qty = Some(fill.quantity.into());
    };
    update.event = match event {
        Some(OrderEvent::Acknowledged { .. }) => TradeEvent::New,
        Some(OrderEvent::Refused { reason, .. }) => {
            update.reason = Some(reason);
            TradeEvent::Rejected
        }
        Some(OrderEvent::Filled(fill)) => {
            executed(&mut update, &fill);
            if is_whole { TradeEvent::Fill } else { TradeEvent::PartialFill }
        }
        Some(OrderEvent::Corrected { execution_id, by }) => {
            executed(&mut update, &by);
            update.previous_execution_id = Some(id_of(&execution_id).to_string());
            TradeEvent::TradeCorrect
        }
        Some(OrderEvent::Busted { execution_id }) => {
            update.previous_execution_id = Some(id_of(&execution_id).to_string());
            TradeEvent::TradeBust
        }
        Some(OrderEvent::CancelRefused { .. }) => TradeEvent::OrderCancelRejected,
        Some(OrderEvent::Canceled) => TradeEvent::Canceled,
        Some(OrderEvent::Expired { .. }) => TradeEvent::Expired,
        Some(OrderEvent::ReplaceRefused { .. }) => TradeEvent::OrderReplaceRejected,
        Some(OrderEvent::Replaced { .. }) => TradeEvent::Replaced,
        Some(OrderEvent::Restated { .. }) => TradeEvent::Restated,
        _ => TradeEvent::Other("moon_phase".into()),
    };
    update
}
