//! From Alpaca's words to the desk's, and back. What cannot be true is not believed: the caller asks again.

use alpaca::{
    Activity, ActivityType, Amount, FillType, OrderClass, OrderRequest, OrderStatus, ReplaceRequest,
    TradeEvent, TradeUpdate,
};
use domain::{Fill, Money, Order, OrderEvent, OrderKind, Price, Quantity, Timestamp, Trail};
use jiff::tz::TimeZone;
use trading::{
    BrokerEvent, BrokerOrder, BrokerStatus, CorporateAction, CorporateActionKind, Execution, Refusal, Terms,
};

use super::names::Names;
use super::refusal::words;
use super::symbol;

/// An answer that is well formed and cannot be true, or is of something that the desk does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Alpaca's answer makes no sense: {0}")]
pub(super) struct Nonsense(pub(super) &'static str);

/// The longest id that is believed. Ids go into the journal, the audit log and every page.
const LONGEST_ID: usize = 128;

/// An order as Alpaca wants it.
pub(super) fn request(order: &Order) -> OrderRequest {
    let request = &order.request;
    let (trail_price, trail_percent) = match request.trail {
        Some(Trail::Price(distance)) => (Some(distance.into()), None),
        Some(Trail::Percent(percent)) => (None, Some(Amount(percent))),
        None => (None, None),
    };
    OrderRequest {
        symbol: Some(symbol::to_alpaca(&request.symbol)),
        qty: Some(order.quantity.into()),
        side: Some(request.side.into()),
        kind: Some(request.kind.into()),
        time_in_force: Some(request.time_in_force.into()),
        limit_price: request.limit_price.map(Into::into),
        stop_price: request.stop_price.map(Into::into),
        trail_price,
        trail_percent,
        extended_hours: request.extended_hours.then_some(true),
        client_order_id: Some(order.id.to_string()),
        order_class: Some(OrderClass::Simple),
        ..OrderRequest::default()
    }
}

/// What is to change, and nothing else: a quantity that is mentioned is refused for parts of a share, even the same.
pub(super) fn replacement(order: &Order, by: &Order) -> ReplaceRequest {
    let (was, now) = (&order.request, &by.request);
    let trail = match now.trail {
        Some(Trail::Price(distance)) => Some(distance.into()),
        Some(Trail::Percent(percent)) => Some(Amount(percent)),
        None => None,
    };
    ReplaceRequest {
        qty: (by.quantity != order.quantity).then(|| by.quantity.into()),
        time_in_force: (now.time_in_force != was.time_in_force).then(|| now.time_in_force.into()),
        limit_price: now.limit_price.filter(|_| now.limit_price != was.limit_price).map(Into::into),
        stop_price: now.stop_price.filter(|_| now.stop_price != was.stop_price).map(Into::into),
        trail: trail.filter(|_| now.trail != was.trail),
        client_order_id: Some(by.id.to_string()),
        notional: None,
    }
}

/// An id that was given by a client: short, visible, and of one word.
fn id(text: &str) -> Result<String, Nonsense> {
    let is_good = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good { Ok(text.to_owned()) } else { Err(Nonsense("an id is empty, too long or not one word")) }
}

/// The name that an order was given. Others than the desk may call theirs what they like; then it is Alpaca's id.
fn client_order_id(order: &alpaca::Order) -> String {
    id(&order.client_order_id).unwrap_or_else(|_| order.id.to_string())
}

fn above_zero(amount: Option<Amount>) -> Result<Option<Price>, Nonsense> {
    let price = amount.map(Amount::price);
    if price.is_none_or(Price::is_positive) { Ok(price) } else { Err(Nonsense("a price is not above zero")) }
}

fn quantity_of(order: &alpaca::Order) -> Result<Quantity, Nonsense> {
    let quantity = order.qty.map(Amount::quantity).filter(|quantity| quantity.is_positive());
    quantity.ok_or(Nonsense("an order has no quantity above zero"))
}

/// An order with its executions and, where another took its place, that one's name.
pub(super) fn order(
    order: &alpaca::Order,
    fills: Vec<Fill>,
    replaced_by: Option<String>,
) -> Result<BrokerOrder, Nonsense> {
    let name = order.symbol.as_deref().ok_or(Nonsense("an order has no symbol"))?;
    let kind = order.kind.known().ok_or(Nonsense("an order is of a type that the desk does not have"))?;
    let trail = match (order.trail_price, order.trail_percent) {
        _ if kind != OrderKind::TrailingStop => None,
        (price @ Some(_), _) => above_zero(price)?.map(Trail::Price),
        (None, percent) => percent.map(|percent| Trail::Percent(percent.0)),
    };
    Ok(BrokerOrder {
        broker_order_id: order.id.to_string(),
        client_order_id: client_order_id(order),
        terms: Terms {
            symbol: symbol::from_alpaca(name).map_err(|_| Nonsense("a symbol that the desk cannot have"))?,
            side: order.side.known().ok_or(Nonsense("an order is neither bought nor sold"))?,
            kind,
            time_in_force: order
                .time_in_force
                .known()
                .ok_or(Nonsense("an order has a time in force that the desk does not have"))?,
            quantity: quantity_of(order)?,
            limit_price: above_zero(order.limit_price)?,
            stop_price: above_zero(order.stop_price)?,
            trail,
            extended_hours: order.extended_hours,
        },
        status: status(order),
        fills,
        replaced_by,
        placed_at: order.submitted_at,
    })
}

fn status(order: &alpaca::Order) -> BrokerStatus {
    match &order.status {
        OrderStatus::Filled => BrokerStatus::Filled,
        OrderStatus::Replaced => BrokerStatus::Replaced,
        OrderStatus::Canceled => BrokerStatus::Canceled,
        OrderStatus::Expired => BrokerStatus::Expired,
        OrderStatus::Rejected => BrokerStatus::Rejected(rejected(None)),
        // A state that is not known is no end: it would be the worst guess.
        _ => BrokerStatus::Open,
    }
}

/// A refusal that came after the order had been taken. Alpaca seldom says why.
fn rejected(why: Option<&str>) -> Refusal {
    match why.filter(|why| !why.is_empty()) {
        Some(why) => super::refusal::refusal(422, &alpaca::Problem::new(alpaca::code::UNPROCESSABLE, why)),
        None => {
            Refusal::new(domain::Reason::Other, "rejected after it had been taken; Alpaca does not say why")
        }
    }
}

/// Times of executions are kept to the millisecond: the stream tells more digits than the list of activities.
fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn fill(
    execution_id: &str,
    price: Option<Amount>,
    quantity: Option<Amount>,
    at: Timestamp,
) -> Result<Fill, Nonsense> {
    let price = above_zero(price)?.ok_or(Nonsense("an execution has no price"))?;
    let quantity = quantity.map(Amount::quantity).filter(|quantity| quantity.is_positive());
    let quantity = quantity.ok_or(Nonsense("an execution has no quantity above zero"))?;
    // Alpaca takes no commission; what regulators and the venues of coins take comes later, as an activity of its own.
    let fee = Money::ZERO;
    Ok(Fill { execution_id: id(execution_id)?, price, quantity, fee, at: to_millis(at) })
}

/// What an activity says about an order, with the order's id at Alpaca; `None` for one that is no execution.
///
/// The part of its id after the time is the `execution_id` of the stream, so that what both tell counts once.
pub(super) fn activity(activity: &Activity) -> Result<Option<(alpaca::Uuid, OrderEvent)>, Nonsense> {
    if activity.activity_type != alpaca::ActivityType::Fill {
        return Ok(None);
    }
    let order = activity.order_id.ok_or(Nonsense("an execution has no order"))?;
    let at = activity.transaction_time.ok_or(Nonsense("an execution has no time"))?;
    let fill = || fill(activity.execution_id(), activity.price, activity.qty, at);
    let previous = || {
        let previous = activity.previous_id.as_deref().ok_or(Nonsense("a correction of nothing"))?;
        id(previous.split_once("::").map_or(previous, |(_, id)| id))
    };
    let event = match activity.kind {
        Some(FillType::TradeBust) => OrderEvent::Busted { execution_id: previous()? },
        Some(FillType::TradeCorrect) => OrderEvent::Corrected { execution_id: previous()?, by: fill()? },
        Some(FillType::Fill | FillType::PartialFill) | None => OrderEvent::Filled(fill()?),
        Some(FillType::Other(_)) => return Err(Nonsense("an execution of an unknown kind")),
    };
    Ok(Some((order, event)))
}

/// A split or a new name; `None` for everything else, and for what was taken back or does not say when and of what it is.
pub(super) fn corporate_action(activity: &Activity) -> Option<CorporateAction> {
    let kind = match activity.activity_type {
        ActivityType::Split => CorporateActionKind::Split,
        ActivityType::SymbolChange | ActivityType::NameChange => CorporateActionKind::Rename,
        _ => return None,
    };
    if activity.status.as_deref() == Some("canceled") {
        return None;
    }
    let day = activity.date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
    let told = activity.description.as_deref().unwrap_or_default();
    Some(CorporateAction {
        kind,
        at: activity.transaction_time.or(day)?,
        symbol: symbol::from_alpaca(activity.symbol.as_deref()?).ok()?,
        quantity: activity.qty.map(Amount::quantity),
        reason: words(&format!("Alpaca: {} {told}", activity.activity_type)).trim_end().to_owned(),
    })
}

/// An execution, for the order that is called so.
pub(super) fn execution(
    activity: &Activity,
    order: alpaca::Uuid,
    client_order_id: String,
    event: OrderEvent,
) -> Result<Execution, Nonsense> {
    let name = activity.symbol.as_deref().ok_or(Nonsense("an execution has no symbol"))?;
    Ok(Execution {
        client_order_id: id(&client_order_id).unwrap_or_else(|_| order.to_string()),
        broker_order_id: order.to_string(),
        symbol: symbol::from_alpaca(name).map_err(|_| Nonsense("a symbol that the desk cannot have"))?,
        side: activity
            .side
            .as_ref()
            .and_then(alpaca::Side::known)
            .ok_or(Nonsense("neither bought nor sold"))?,
        event,
    })
}

/// What the stream told; `None` when it is of no interest.
///
/// An update that is not understood is one all the same: its order is asked for.
pub(super) fn update(update: &TradeUpdate, names: &Names) -> Option<BrokerEvent> {
    let order = &update.order;
    let event = match event(update, names) {
        Ok(Told::Event(event)) => Some(event),
        Ok(Told::Nothing) => return None,
        Ok(Told::Unknown) => None,
        Err(error) => {
            let order = &order.client_order_id;
            tracing::warn!(%error, order, event = %update.event, "Alpaca told something that is not understood");
            None
        }
    };
    Some(BrokerEvent {
        client_order_id: client_order_id(order),
        broker_order_id: order.id.to_string(),
        event,
    })
}

enum Told {
    Event(OrderEvent),
    /// Nothing that changes what the desk knows.
    Nothing,
    /// The order is to be asked for.
    Unknown,
}

fn event(update: &TradeUpdate, names: &Names) -> Result<Told, Nonsense> {
    let order = &update.order;
    let execution_id = || update.execution_id.as_deref().ok_or(Nonsense("an execution has no id"));
    let executed = || fill(execution_id()?, update.price, update.qty, update.timestamp);
    let previous =
        || update.previous_execution_id.as_deref().ok_or(Nonsense("a correction of nothing")).and_then(id);
    let why = |otherwise: &str| match update.reason.as_deref() {
        Some(why) if !why.is_empty() => words(why),
        _ => otherwise.to_owned(),
    };
    Ok(Told::Event(match update.event {
        TradeEvent::New | TradeEvent::Accepted | TradeEvent::PendingNew => {
            OrderEvent::Acknowledged { broker_order_id: order.id.to_string() }
        }
        TradeEvent::Fill | TradeEvent::PartialFill => OrderEvent::Filled(executed()?),
        TradeEvent::Canceled => OrderEvent::Canceled,
        TradeEvent::Expired => OrderEvent::Expired { reason: why("its time in force ended") },
        TradeEvent::Replaced => {
            // Another's order may have a name of another kind.
            let by = order.replaced_by.and_then(|by| names.of(by)).and_then(|by| by.parse().ok());
            OrderEvent::Replaced { by }
        }
        TradeEvent::Rejected => {
            let Refusal { reason, text } = rejected(update.reason.as_deref());
            OrderEvent::Refused { reason: text, code: reason }
        }
        TradeEvent::OrderCancelRejected => {
            OrderEvent::CancelRefused { reason: why("it could not be canceled") }
        }
        TradeEvent::OrderReplaceRejected => {
            OrderEvent::ReplaceRefused { reason: why("it could not be replaced") }
        }
        TradeEvent::Restated => OrderEvent::Restated {
            quantity: quantity_of(order)?,
            limit_price: above_zero(order.limit_price)?,
            stop_price: above_zero(order.stop_price)?,
        },
        TradeEvent::TradeBust => OrderEvent::Busted { execution_id: previous()? },
        TradeEvent::TradeCorrect => OrderEvent::Corrected { execution_id: previous()?, by: executed()? },
        // It works as before, and may work again tomorrow.
        TradeEvent::PendingCancel
        | TradeEvent::PendingReplace
        | TradeEvent::DoneForDay
        | TradeEvent::Calculated
        | TradeEvent::Stopped
        | TradeEvent::Suspended => return Ok(Told::Nothing),
        TradeEvent::Other(_) => return Ok(Told::Unknown),
    }))
}

/// The executions of an order as they stand after corrections, oldest first, out of all that was told.
pub(super) fn standing(events: impl IntoIterator<Item = OrderEvent>) -> Vec<Fill> {
    let mut fills: Vec<Fill> = Vec::new();
    let nth = |fills: &[Fill], id: &str| fills.iter().position(|fill| fill.execution_id == id);
    for event in events {
        match event {
            OrderEvent::Filled(fill) => fills.push(fill),
            OrderEvent::Corrected { execution_id, by } => match nth(&fills, &execution_id) {
                Some(nth) => fills[nth] = by,
                None => fills.push(by),
            },
            OrderEvent::Busted { execution_id } => fills.retain(|fill| fill.execution_id != execution_id),
            _ => {}
        }
    }
    fills
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An update about an order, with these members instead of the usual ones.
    fn told(event: &str, of_update: &str, of_order: &str) -> Option<BrokerEvent> {
        let order = format!(
            r#"{{"id":"0e0f7c1e-5f0c-4b53-8d0a-4f3f2e6f0a01","client_order_id":"bot-7","created_at":"2026-03-02T15:00:00Z",
            "updated_at":"2026-03-02T15:00:00Z","submitted_at":"2026-03-02T15:00:00Z","qty":"3","filled_qty":"1",
            "order_type":"limit","type":"limit","side":"buy","time_in_force":"gtc","status":"new"{of_order}}}"#
        );
        let text = format!(
            r#"{{"event":"{event}","order":{order},"timestamp":"2026-03-02T15:00:00.123456789Z"{of_update}}}"#
        );
        update(&serde_json::from_str(&text).unwrap(), &Names::default())
    }

    const EXECUTION: &str = r#","execution_id":"e-1","price":"10.25","qty":"1""#;

    #[test]
    fn an_execution_is_known_by_its_id_and_its_millisecond() {
        let Some(OrderEvent::Filled(fill)) = told("partial_fill", EXECUTION, "").and_then(|told| told.event)
        else {
            panic!("a fill")
        };
        assert_eq!((fill.execution_id.as_str(), fill.price.to_string()), ("e-1", "10.25".to_owned()));
        assert_eq!(fill.at.to_string(), "2026-03-02T15:00:00.123Z");
    }

    #[test]
    fn splits_and_new_names_are_told_apart_from_everything_else() {
        let told = |members: &str| {
            let text = format!(r#"{{"id":"20261120000000000::1"{members}}}"#);
            corporate_action(&serde_json::from_str(&text).unwrap())
        };
        let split = told(
            r#","activity_type":"SPLIT","date":"2026-11-20","symbol":"AAPL","qty":"30","description":"4:1","status":"executed""#,
        );
        let split = split.unwrap();
        assert_eq!((split.kind, split.reason.as_str()), (CorporateActionKind::Split, "Alpaca: SPLIT 4:1"));
        assert_eq!(split.quantity.map(|quantity| quantity.to_string()).as_deref(), Some("30"));
        let named = told(r#","activity_type":"SC","date":"2026-11-20","symbol":"FB""#).unwrap();
        assert_eq!((named.kind, named.reason.as_str()), (CorporateActionKind::Rename, "Alpaca: SC"));
        for nothing in [
            r#","activity_type":"DIV","date":"2026-11-20","symbol":"AAPL""#,
            r#","activity_type":"SPLIT","date":"2026-11-20","symbol":"AAPL","status":"canceled""#,
            r#","activity_type":"SPLIT","date":"2026-11-20""#,
            r#","activity_type":"SPLIT","symbol":"AAPL""#,
        ] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_cannot_be_is_asked_for() {
        for (event, members) in [
            ("fill", r#","execution_id":"e-1","price":"0","qty":"1""#),
            ("fill", r#","execution_id":"e-1","price":"10","qty":"-1""#),
            ("fill", r#","execution_id":"e-1","price":"10""#),
            ("fill", r#","price":"10","qty":"1""#),
            ("trade_bust", r#","execution_id":"e-2""#),
            ("moon_phase", ""),
        ] {
            let told = told(event, members, "").unwrap();
            assert_eq!((told.client_order_id.as_str(), told.event), ("bot-7", None), "{event} {members}");
        }
    }

    #[test]
    fn what_changes_nothing_is_not_told() {
        for event in
            ["pending_cancel", "pending_replace", "done_for_day", "calculated", "stopped", "suspended"]
        {
            assert_eq!(told(event, "", ""), None, "{event}");
        }
    }

    #[test]
    fn a_state_that_is_not_known_is_no_end() {
        let text = |status: &str| {
            format!(
                r#"{{"id":"0e0f7c1e-5f0c-4b53-8d0a-4f3f2e6f0a01","client_order_id":"a b","created_at":"2026-03-02T15:00:00Z",
                "updated_at":"2026-03-02T15:00:00Z","submitted_at":"2026-03-02T15:00:00Z","symbol":"BTC/USD","qty":"3",
                "order_type":"limit","type":"limit","side":"buy","time_in_force":"gtc","status":"{status}"}}"#
            )
        };
        for (status, expected) in [
            ("held", BrokerStatus::Open),
            ("pending_cancel", BrokerStatus::Open),
            ("moon_phase", BrokerStatus::Open),
            ("expired", BrokerStatus::Expired),
            ("replaced", BrokerStatus::Replaced),
        ] {
            let found = order(&serde_json::from_str(&text(status)).unwrap(), Vec::new(), None).unwrap();
            assert_eq!(found.status, expected, "{status}");
            assert_eq!(found.terms.symbol.as_str(), "BTC-USD");
            assert_eq!(
                found.client_order_id, found.broker_order_id,
                "a name that is no word is not repeated"
            );
        }
    }
}
