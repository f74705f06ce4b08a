//! An order as the API shows it.

use domain::{Leg, OrderClass, OrderKind, OrderRequest, Origin, Price, Side, Size, TimeInForce, Trail};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Desk;
use crate::api::names::Who;
use crate::api::words::{self, At, Decimal};

/// An order of the desk.
#[derive(Serialize, ToSchema)]
pub(crate) struct Order {
    id: String,
    account_id: String,
    /// Whether its money is real.
    #[schema(value_type = words::Mode)]
    mode: &'static str,
    client_order_id: String,
    /// The broker's id of it, once known.
    #[schema(required)]
    broker_order_id: Option<String>,
    symbol: String,
    #[schema(value_type = words::Side)]
    side: Side,
    #[schema(value_type = words::OrderType)]
    r#type: OrderKind,
    #[schema(value_type = words::TimeInForce)]
    time_in_force: TimeInForce,
    /// Units that are ordered in all.
    quantity: Decimal,
    /// What was asked for, where that was an amount of money.
    #[schema(required)]
    notional: Option<Decimal>,
    #[schema(required)]
    limit_price: Option<Decimal>,
    #[schema(required)]
    stop_price: Option<Decimal>,
    #[schema(required)]
    trail_price: Option<Decimal>,
    #[schema(required)]
    trail_percent: Option<Decimal>,
    extended_hours: bool,
    #[schema(value_type = words::OrderClass)]
    class: OrderClass,
    #[schema(required)]
    take_profit: Option<TakeProfit>,
    #[schema(required)]
    stop_loss: Option<StopLoss>,
    #[schema(required)]
    book_id: Option<String>,
    #[schema(required)]
    strategy: Option<String>,
    #[schema(value_type = words::OrderStatus)]
    status: domain::Status,
    /// While it is held: its price was reached, and it waits for what stands in its way to be canceled.
    triggered: bool,
    filled_quantity: Decimal,
    /// What may still be executed.
    leaves_quantity: Decimal,
    #[schema(required)]
    average_fill_price: Option<Decimal>,
    /// What the broker took so far.
    fees: Decimal,
    /// Why it was rejected, expired, or is not known.
    #[schema(required)]
    reason: Option<String>,
    /// Which of the known reasons of brokers that is, where a broker gave it.
    #[schema(required)]
    broker_reason: Option<BrokerReason>,
    /// Whether it was placed on the desk, or was found at the broker.
    #[schema(value_type = words::Origin)]
    origin: Origin,
    /// What the desk does for it because the broker cannot, as `bracket`: only while the desk runs.
    done_by_desk: Vec<String>,
    /// The order that brought it with it.
    #[schema(required)]
    parent_id: Option<String>,
    /// What it is for in its group.
    #[schema(required, value_type = Option<words::Leg>)]
    leg: Option<Leg>,
    /// The order whose place it takes.
    #[schema(required)]
    replaces: Option<String>,
    /// The order that takes its place.
    #[schema(required)]
    replaced_by: Option<String>,
    submitted_by: Who,
    /// The API key with which a program placed it in their name.
    #[schema(required)]
    key_id: Option<String>,
    created_at: At,
    updated_at: At,
    /// Number of the last entry of its journal; grows with each change.
    version: u64,
}

/// The leg of an order that takes the profit.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct TakeProfit {
    limit_price: Decimal,
}

impl From<Price> for TakeProfit {
    fn from(limit_price: Price) -> Self {
        Self { limit_price: limit_price.into() }
    }
}

/// The leg of an order that ends the loss.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct StopLoss {
    stop_price: Decimal,
    /// The worst price allowed; without one any.
    #[schema(required)]
    limit_price: Option<Decimal>,
}

impl From<domain::StopLoss> for StopLoss {
    fn from(leg: domain::StopLoss) -> Self {
        Self { stop_price: leg.stop_price.into(), limit_price: leg.limit_price.map(Decimal::from) }
    }
}

/// How far a trailing stop stays behind: in price, or in per cent.
pub(in crate::api) fn trail_of(request: &OrderRequest) -> (Option<Decimal>, Option<Decimal>) {
    match request.trail {
        Some(Trail::Price(distance)) => (Some(distance.into()), None),
        Some(Trail::Percent(percent)) => (None, Some(percent.into())),
        None => (None, None),
    }
}

/// Why a broker said no, from a fixed list.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct BrokerReason {
    #[schema(value_type = words::BrokerReasonCode)]
    code: domain::Reason,
    /// What happened.
    explanation: &'static str,
    /// What can be done about it.
    way_out: &'static str,
}

impl From<domain::Reason> for BrokerReason {
    fn from(code: domain::Reason) -> Self {
        Self { code, explanation: code.explanation(), way_out: code.way_out() }
    }
}

impl Order {
    pub(crate) async fn new(desk: &Desk, order: &domain::Order) -> Self {
        let (request, provenance) = (&order.request, &order.provenance);
        let (trail_price, trail_percent) = trail_of(request);
        Self {
            id: order.id.to_string(),
            account_id: order.account.to_string(),
            mode: desk.mode_of(order.account),
            client_order_id: request.client_order_id.clone(),
            broker_order_id: order.broker_order_id.clone(),
            symbol: request.symbol.to_string(),
            side: request.side,
            r#type: request.kind,
            time_in_force: request.time_in_force,
            quantity: order.quantity.into(),
            notional: match request.size {
                Size::Notional(notional) => Some(notional.into()),
                Size::Quantity(_) => None,
            },
            limit_price: request.limit_price.map(Decimal::from),
            stop_price: request.stop_price.map(Decimal::from),
            trail_price,
            trail_percent,
            extended_hours: request.extended_hours,
            class: request.class,
            take_profit: request.take_profit.map(TakeProfit::from),
            stop_loss: request.stop_loss.map(StopLoss::from),
            book_id: provenance.book.map(|book| book.to_string()),
            strategy: request.strategy.clone(),
            status: order.status,
            triggered: order.is_triggered,
            filled_quantity: order.filled.into(),
            leaves_quantity: order.leaves().into(),
            average_fill_price: order.average_fill_price().map(Decimal::average),
            fees: order.fees.into(),
            reason: order.reason.clone(),
            broker_reason: order.reason_code.map(BrokerReason::from),
            origin: provenance.origin,
            done_by_desk: provenance.done_by_desk.clone(),
            parent_id: provenance.parent.map(|id| id.to_string()),
            leg: provenance.leg,
            replaces: provenance.replaces.map(|id| id.to_string()),
            replaced_by: order.replaced_by.map(|id| id.to_string()),
            submitted_by: Who::of(desk, &provenance.submitted_by).await,
            key_id: provenance.key.map(|key| key.to_string()),
            created_at: At(order.created_at),
            updated_at: At(order.updated_at),
            version: order.version,
        }
    }
}
