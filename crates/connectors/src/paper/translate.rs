//! From the venue's words to the desk's, and back. What cannot be true is not believed: the caller asks again.

use domain::{Order, OrderEvent, OrderId, Price, Quantity};
use serde_json::Value;
use trading::{BrokerEvent, BrokerOrder, BrokerStatus, Execution, Refusal, Terms};

use super::wire;

/// An answer that is well formed and cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the venue's answer makes no sense: {0}")]
pub(super) struct Nonsense(pub(super) &'static str);

/// The longest id that is believed. Ids go into the journal, the audit log and every page.
const LONGEST_ID: usize = 64;
/// The longest text for people that is kept.
const LONGEST_TEXT: usize = 500;

/// An order as the venue wants it.
pub(super) fn terms(order: &Order) -> wire::Terms {
    let request = &order.request;
    let (trail_price, trail_percent) = match request.trail {
        Some(domain::Trail::Price(distance)) => (Some(distance), None),
        Some(domain::Trail::Percent(percent)) => (None, Some(percent)),
        None => (None, None),
    };
    wire::Terms {
        client_order_id: order.id.to_string(),
        symbol: request.symbol.clone(),
        side: request.side,
        kind: request.kind,
        time_in_force: request.time_in_force,
        quantity: order.quantity,
        limit_price: request.limit_price,
        stop_price: request.stop_price,
        trail_price,
        trail_percent,
        extended_hours: request.extended_hours,
    }
}

/// An id of the venue: short, visible, and of one word.
pub(super) fn id(text: String) -> Result<String, Nonsense> {
    let is_good = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good { Ok(text) } else { Err(Nonsense("an id is empty, too long or not one word")) }
}

/// Words for people, as many as can be kept.
pub(super) fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

pub(super) fn refusal(problem: &wire::Problem) -> Refusal {
    Refusal::new(wire::reason(&problem.code), words(&problem.message))
}

pub(super) fn order(order: wire::Order) -> Result<BrokerOrder, Nonsense> {
    let terms = order.terms;
    let positive = |price: Option<Price>| price.is_none_or(Price::is_positive);
    if !terms.quantity.is_positive() || !positive(terms.limit_price) || !positive(terms.stop_price) {
        return Err(Nonsense("a price or a quantity of an order is not above zero"));
    }
    let status = match (order.status, order.refusal) {
        (wire::Standing::Open, _) => BrokerStatus::Open,
        (wire::Standing::Filled, _) => BrokerStatus::Filled,
        (wire::Standing::Replaced, _) => BrokerStatus::Replaced,
        (wire::Standing::Canceled, _) => BrokerStatus::Canceled,
        (wire::Standing::Expired, _) => BrokerStatus::Expired,
        (wire::Standing::Rejected, Some(problem)) => BrokerStatus::Rejected(refusal(&problem)),
        (wire::Standing::Rejected, None) => return Err(Nonsense("a rejected order has no reason")),
    };
    let trail = terms.trail();
    Ok(BrokerOrder {
        broker_order_id: id(order.broker_order_id)?,
        client_order_id: id(terms.client_order_id)?,
        terms: Terms {
            symbol: terms.symbol,
            side: terms.side,
            kind: terms.kind,
            time_in_force: terms.time_in_force,
            quantity: terms.quantity,
            limit_price: terms.limit_price,
            stop_price: terms.stop_price,
            trail,
            extended_hours: terms.extended_hours,
        },
        status,
        fills: order.fills.into_iter().map(fill).collect::<Result<_, _>>()?,
        replaced_by: order.replaced_by.map(id).transpose()?,
        placed_at: order.placed_at,
    })
}

fn fill(fill: wire::Fill) -> Result<domain::Fill, Nonsense> {
    if !fill.price.is_positive() || !fill.quantity.is_positive() {
        return Err(Nonsense("the price or the quantity of a fill is not above zero"));
    }
    let wire::Fill { execution_id, price, quantity, fee, at } = fill;
    Ok(domain::Fill { execution_id: id(execution_id)?, price, quantity, fee, at })
}

/// An execution; anything else among executions makes no sense.
pub(super) fn execution(execution: wire::Execution) -> Result<Execution, Nonsense> {
    let event = event(&execution.broker_order_id, execution.event)?;
    let is_execution = |event: &OrderEvent| {
        matches!(event, OrderEvent::Filled(_) | OrderEvent::Corrected { .. } | OrderEvent::Busted { .. })
    };
    Ok(Execution {
        client_order_id: id(execution.client_order_id)?,
        broker_order_id: id(execution.broker_order_id)?,
        symbol: execution.symbol,
        side: execution.side,
        event: event.filter(is_execution).ok_or(Nonsense("an execution is of no known kind"))?,
    })
}

/// `None`: a kind of event that the desk does not know.
fn event(broker_order_id: &str, event: wire::Event) -> Result<Option<OrderEvent>, Nonsense> {
    Ok(Some(match event {
        wire::Event::Acknowledged => {
            OrderEvent::Acknowledged { broker_order_id: id(broker_order_id.to_owned())? }
        }
        wire::Event::Refused(problem) => {
            let Refusal { reason, text } = refusal(&problem);
            OrderEvent::Refused { reason: text, code: reason }
        }
        wire::Event::Filled(filled) => OrderEvent::Filled(fill(filled)?),
        wire::Event::Corrected { execution_id, by } => {
            OrderEvent::Corrected { execution_id: id(execution_id)?, by: fill(by)? }
        }
        wire::Event::Busted { execution_id } => OrderEvent::Busted { execution_id: id(execution_id)? },
        wire::Event::CancelRefused { message } => OrderEvent::CancelRefused { reason: words(&message) },
        wire::Event::Canceled => OrderEvent::Canceled,
        wire::Event::Expired { message } => OrderEvent::Expired { reason: words(&message) },
        wire::Event::ReplaceRefused { message } => OrderEvent::ReplaceRefused { reason: words(&message) },
        wire::Event::Replaced { by } => {
            // An order of somebody else's making may have another kind of id.
            OrderEvent::Replaced { by: by.and_then(|by| by.parse::<OrderId>().ok()) }
        }
        wire::Event::Restated { quantity, limit_price, stop_price } => {
            let positive = |price: Option<Price>| price.is_none_or(Price::is_positive);
            if !Quantity::is_positive(quantity) || !positive(limit_price) || !positive(stop_price) {
                return Err(Nonsense("a price or a quantity of an order is not above zero"));
            }
            OrderEvent::Restated { quantity, limit_price, stop_price }
        }
        wire::Event::Unknown => return Ok(None),
    }))
}

/// What a frame of the stream says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// From here on everything is told, and there is no silence longer than this.
    Hello(std::time::Duration),
    /// It lives.
    Nothing,
    /// Something happened.
    Event(BrokerEvent),
}

/// Reads a frame. An event that is not understood is one all the same: its order is asked for.
pub(super) fn frame(text: &str) -> Result<Said, Nonsense> {
    let frame = serde_json::from_str(text).map_err(|_| Nonsense("a frame is not of the protocol"))?;
    let (client_order_id, broker_order_id, said) = match frame {
        wire::Frame::<Value>::Hello { heartbeat_ms } => {
            return Ok(Said::Hello(std::time::Duration::from_millis(heartbeat_ms)));
        }
        wire::Frame::Heartbeat | wire::Frame::Unknown => return Ok(Said::Nothing),
        wire::Frame::Order { client_order_id, broker_order_id, event } => {
            (id(client_order_id)?, id(broker_order_id)?, event)
        }
    };
    let understood = serde_json::from_value(said).map_err(|_| Nonsense("an event is not of the protocol"));
    let event = match understood.and_then(|said| event(&broker_order_id, said)) {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(%error, client_order_id, "the venue told something that is not understood");
            None
        }
    };
    Ok(Said::Event(BrokerEvent { client_order_id, broker_order_id, event }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_frame(event: &str) -> Option<OrderEvent> {
        let text =
            format!(r#"{{"frame":"order","client_order_id":"a","broker_order_id":"P-1","event":{event}}}"#);
        match frame(&text) {
            Ok(Said::Event(told)) => {
                assert_eq!((told.client_order_id.as_str(), told.broker_order_id.as_str()), ("a", "P-1"));
                told.event
            }
            other => panic!("{other:?}"),
        }
    }

    fn filled(price: &str, quantity: &str) -> String {
        format!(
            r#"{{"kind":"filled","execution_id":"x","price":{price},"quantity":{quantity},"fee":"0.1","at":"2026-11-20T12:00:00Z"}}"#
        )
    }

    #[test]
    fn events_are_read_and_new_kinds_and_fields_do_no_harm() {
        assert!(matches!(order_frame(&filled("\"101\"", "\"2\"")), Some(OrderEvent::Filled(_))));
        assert_eq!(order_frame(r#"{"kind":"canceled","why":"new"}"#), Some(OrderEvent::Canceled));
        assert_eq!(order_frame(r#"{"kind":"suspended","until":7}"#), None);
        assert_eq!(frame(r#"{"frame":"maintenance","at":1}"#), Ok(Said::Nothing));
    }

    #[test]
    fn a_fill_without_a_believable_price_is_never_booked_but_asked_for() {
        for price in ["\"NaN\"", "NaN", "101", "\"0\"", "\"-1\"", "\"1e3\"", "null", "\"Infinity\""] {
            let text = format!(
                r#"{{"frame":"order","client_order_id":"a","broker_order_id":"P-1","event":{}}}"#,
                filled(price, "\"1\"")
            );
            match frame(&text) {
                Ok(Said::Event(told)) => assert_eq!(told.event, None, "{price}"),
                Err(_) => assert_eq!(price, "NaN", "only what is no JSON ends the stream"),
                other => panic!("{price}: {other:?}"),
            }
        }
        assert_eq!(order_frame(&filled("\"101\"", "\"0\"")), None);
    }

    #[test]
    fn ids_are_short_words() {
        for bad in ["", " ", "a b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(id(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(id("P-123-x4".to_owned()).is_ok());
    }

    #[test]
    fn a_code_that_is_new_is_a_refusal_for_another_reason() {
        let problem = wire::Problem { code: "moon_phase".into(), message: "not\u{7} today".into() };
        assert_eq!(refusal(&problem), Refusal::new(domain::Reason::Other, "not today"));
    }
}
