//! The desk's orders in Alpaca's shape.

use std::collections::HashMap;

use alpaca::{GroupRole, OrderStatus};
use domain::{Leg, Order, OrderClass, OrderId, Size, Status, Trail};

use crate::Desk;
use crate::alpaca::bot::Bot;
use crate::alpaca::{Refusal, symbols};

/// Orders of a list, in its order. Where it is `nested`, legs stand in the order that brought them, which is in the list
/// as soon as one of them is.
pub(in crate::alpaca) async fn shown(
    desk: &Desk,
    bot: &Bot,
    orders: Vec<Order>,
    nested: bool,
) -> Result<Vec<alpaca::Order>, Refusal> {
    let mut mains: HashMap<OrderId, Order> = HashMap::new();
    for parent in orders.iter().filter_map(|order| order.provenance.parent) {
        if !mains.contains_key(&parent)
            && let Some(main) = desk.gateway.order(&bot.ctx, parent).await?
        {
            mains.insert(parent, main);
        }
    }
    let class_of = |order: &Order| {
        order
            .provenance
            .parent
            .and_then(|parent| mains.get(&parent))
            .map_or(order.request.class, |main| main.request.class)
    };
    if !nested {
        return Ok(orders.iter().map(|order| plain(order, class_of(order))).collect());
    }
    let mut list: Vec<Order> = Vec::with_capacity(orders.len());
    for order in orders {
        let main = match order.provenance.parent.and_then(|parent| mains.get(&parent)) {
            Some(main) => main.clone(),
            None => order,
        };
        if !list.iter().any(|listed| listed.id == main.id) {
            list.push(main);
        }
    }
    let grouped: Vec<OrderId> =
        list.iter().filter(|order| order.request.class != OrderClass::Simple).map(|order| order.id).collect();
    let mut legs: HashMap<OrderId, Vec<alpaca::Order>> = HashMap::new();
    for leg in desk.gateway.legs(&bot.ctx, bot.account, &grouped).await? {
        let Some(main) = leg.provenance.parent else { continue };
        let class =
            list.iter().find(|order| order.id == main).map_or(leg.request.class, |order| order.request.class);
        legs.entry(main).or_default().push(plain(&leg, class));
    }
    let with_legs =
        |order: &Order| alpaca::Order { legs: legs.remove(&order.id), ..plain(order, order.request.class) };
    Ok(list.iter().map(with_legs).collect())
}

/// One order.
pub(in crate::alpaca) async fn shown_one(
    desk: &Desk,
    bot: &Bot,
    order: Order,
    nested: bool,
) -> Result<alpaca::Order, Refusal> {
    // A leg that was asked for by its own id is shown as itself.
    if order.provenance.parent.is_some() {
        let main = shown(desk, bot, vec![order], false).await?.pop();
        return main.ok_or_else(|| Refusal::not_found("order not found"));
    }
    let shown = shown(desk, bot, vec![order], nested).await?.pop();
    shown.ok_or_else(|| Refusal::not_found("order not found"))
}

/// An order without its legs; `class` is that of the group which it stands in.
pub(in crate::alpaca) fn plain(order: &Order, class: OrderClass) -> alpaca::Order {
    let (request, provenance) = (&order.request, &order.provenance);
    let at = |status: Status| (order.status == status).then_some(order.updated_at);
    let (trail_price, trail_percent) = match request.trail {
        Some(Trail::Price(distance)) => (Some(distance.into()), None),
        Some(Trail::Percent(percent)) => (None, Some(percent.into())),
        None => (None, None),
    };
    let notional = match request.size {
        Size::Notional(notional) => Some(notional.into()),
        Size::Quantity(_) => None,
    };
    alpaca::Order {
        id: order.id.0,
        client_order_id: request.client_order_id.clone(),
        created_at: order.created_at,
        updated_at: order.updated_at,
        submitted_at: order.created_at,
        filled_at: at(Status::Filled),
        expired_at: at(Status::Expired),
        canceled_at: at(Status::Canceled),
        failed_at: at(Status::Rejected),
        replaced_at: at(Status::Replaced),
        replaced_by: order.replaced_by.filter(|_| order.status == Status::Replaced).map(|id| id.0),
        replaces: provenance.replaces.map(|id| id.0),
        asset_id: Some(symbols::id(&request.symbol)),
        symbol: Some(symbols::shown(&request.symbol)),
        asset_class: Some(symbols::class(&request.symbol)),
        // Of an order for an amount of money Alpaca shows that, and no quantity.
        qty: notional.is_none().then(|| order.quantity.into()),
        notional,
        filled_qty: Some(order.filled.into()),
        filled_avg_price: order.average_fill_price().map(|price| price.0.round_dp(9).into()),
        order_class: class.into(),
        order_type: request.kind.into(),
        kind: request.kind.into(),
        side: request.side.into(),
        time_in_force: request.time_in_force.into(),
        limit_price: request.limit_price.map(Into::into),
        stop_price: request.stop_price.map(Into::into),
        status: status(order),
        extended_hours: request.extended_hours,
        legs: None,
        trail_percent,
        trail_price,
        hwm: None,
        position_intent: None,
        ratio_qty: None,
        subtag: None,
        source: None,
        expires_at: None,
        group_id: (class != OrderClass::Simple).then(|| provenance.parent.unwrap_or(order.id).0),
        group_role: role(order, class),
    }
}

fn role(order: &Order, class: OrderClass) -> Option<GroupRole> {
    match (order.provenance.leg, class) {
        (_, OrderClass::Simple) => None,
        (Some(Leg::TakeProfit), _) | (None, OrderClass::Oco) => Some(GroupRole::TakeProfit),
        (Some(Leg::StopLoss), _) => Some(GroupRole::StopLoss),
        (None, OrderClass::Bracket | OrderClass::Oto) => Some(GroupRole::Entry),
    }
}

/// Where it stands, in the words of a list that is closed: one more would break the clients.
fn status(order: &Order) -> OrderStatus {
    match order.status {
        Status::Held if order.provenance.parent.is_some() => OrderStatus::Held,
        // The exit of an OCO that the desk keeps, and every order that it has and the broker not yet.
        Status::Held | Status::Accepted => OrderStatus::Accepted,
        // Nobody can say yet whether the broker has it.
        Status::Submitting | Status::Unknown => OrderStatus::PendingNew,
        Status::Working => OrderStatus::New,
        Status::PartiallyFilled => OrderStatus::PartiallyFilled,
        Status::ReplacePending => OrderStatus::PendingReplace,
        Status::CancelPending => OrderStatus::PendingCancel,
        Status::Filled => OrderStatus::Filled,
        Status::Replaced => OrderStatus::Replaced,
        Status::Canceled => OrderStatus::Canceled,
        Status::Expired => OrderStatus::Expired,
        Status::Rejected => OrderStatus::Rejected,
    }
}
