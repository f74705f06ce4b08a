//! An order as a client asks for it, in the desk's words. Whether it is accepted is the gateway's business.

use alpaca::{Amount, OrderRequest as Asked, Uuid};
use domain::{OrderClass, OrderKind, OrderRequest, Size, StopLoss, TimeInForce, Trail};
use market::Market;

use crate::alpaca::{Refusal, symbols};

/// Most letters of a client's own id.
const LONGEST_NAME: usize = 128;

/// The order that a body asks for.
pub(super) fn read(market: &Market, asked: &Asked) -> Result<OrderRequest, Refusal> {
    if asked.legs.is_some() || asked.order_class == Some(alpaca::OrderClass::Mleg) {
        return Err(Refusal::impossible("orders for several options are not traded on this desk"));
    }
    let name = asked.symbol.as_deref().ok_or_else(|| missing("symbol"))?;
    let unknown = || {
        let name: String = name.chars().take(40).collect();
        Refusal::impossible(format!("asset \"{name}\" not found"))
    };
    let symbol = symbols::find(market, name).ok_or_else(unknown)?.symbol;
    let side = asked.side.as_ref().ok_or_else(|| missing("side"))?;
    let class = asked.order_class.as_ref().map_or(Some(OrderClass::Simple), alpaca::OrderClass::known);
    let class = class.ok_or_else(|| invalid("order_class"))?;
    let kind = match &asked.kind {
        Some(kind) => kind.known().ok_or_else(|| invalid("type"))?,
        None if class == OrderClass::Oco => OrderKind::Limit,
        None => return Err(missing("type")),
    };
    let time = asked.time_in_force.as_ref().map_or(Some(TimeInForce::Day), alpaca::TimeInForce::known);
    let take_profit = asked.take_profit.as_ref().and_then(|leg| leg.limit_price);
    let limit_price = match class {
        // Its limit price is the one at which the profit is taken, in whichever of the two places it stands.
        OrderClass::Oco => asked.limit_price.or(take_profit),
        _ => asked.limit_price,
    };
    Ok(OrderRequest {
        client_order_id: client_order_id(asked.client_order_id.as_deref())?,
        symbol,
        side: side.known().ok_or_else(|| invalid("side"))?,
        kind,
        time_in_force: time.ok_or_else(|| invalid("time_in_force"))?,
        size: size(asked.qty, asked.notional)?,
        limit_price: limit_price.map(Amount::price),
        stop_price: asked.stop_price.map(Amount::price),
        trail: trail(asked.trail_price, asked.trail_percent)?,
        extended_hours: asked.extended_hours.unwrap_or(false),
        class,
        take_profit: take_profit.filter(|_| class != OrderClass::Oco).map(Amount::price),
        stop_loss: stop_loss(asked)?,
        book: None,
        strategy: None,
    })
}

/// The client's own id; a new one where it has none.
fn client_order_id(given: Option<&str>) -> Result<String, Refusal> {
    match given {
        None | Some("") => Ok(Uuid::now_v7().to_string()),
        Some(name) if name.chars().count() > LONGEST_NAME => Err(Refusal::impossible(format!(
            "client_order_id must be no more than {LONGEST_NAME} characters"
        ))),
        Some(name) => Ok(name.to_owned()),
    }
}

fn size(qty: Option<Amount>, notional: Option<Amount>) -> Result<Size, Refusal> {
    match (qty, notional) {
        (Some(qty), None) => Ok(Size::Quantity(qty.quantity())),
        (None, Some(notional)) => Ok(Size::Notional(notional.money())),
        (None, None) => Err(Refusal::impossible("qty or notional is required")),
        (Some(_), Some(_)) => Err(Refusal::impossible("only one of qty or notional is accepted")),
    }
}

fn trail(price: Option<Amount>, percent: Option<Amount>) -> Result<Option<Trail>, Refusal> {
    match (price, percent) {
        (Some(_), Some(_)) => {
            Err(Refusal::impossible("only one of trail_price or trail_percent is accepted"))
        }
        (price, percent) => {
            let percent = percent.map(|percent| Trail::Percent(percent.0));
            Ok(price.map(|price| Trail::Price(price.price())).or(percent))
        }
    }
}

fn stop_loss(asked: &Asked) -> Result<Option<StopLoss>, Refusal> {
    let Some(leg) = &asked.stop_loss else { return Ok(None) };
    let stop_price = leg.stop_price.ok_or_else(|| missing("stop_loss.stop_price"))?.price();
    Ok(Some(StopLoss { stop_price, limit_price: leg.limit_price.map(Amount::price) }))
}

fn missing(field: &str) -> Refusal {
    Refusal::parameter(format!("{field} is required"))
}

fn invalid(field: &str) -> Refusal {
    Refusal::parameter(format!("invalid {field}"))
}
