//! What an order is likely to be filled at, what is the worst to expect, and whether its prices fit the market.

use domain::{Decimal, OrderClass, OrderKind, OrderRequest, Price, Quote, Side, TimeInForce};

use super::check::{Check, Figure};
use super::limits::{InForce, LimitKind, LimitValue};
use super::rules::Rule;
use super::{Facts, OrderLimits, Session};

/// Prices of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pricing {
    /// At which it is likely to be filled, or its stop to be triggered.
    pub(super) likely: Price,
    /// The worst to expect, without fee: the highest to buy, the lowest to sell.
    pub(super) worst: Price,
}

/// Prices an order; `None` when the market does not say enough.
pub(super) fn price(
    request: &OrderRequest,
    facts: &Facts<'_>,
    terms: &OrderLimits,
    limits: &InForce<'_>,
    checks: &mut Vec<Check>,
) -> Option<Pricing> {
    session(request, facts, checks);
    let market = market(request, facts, limits, checks)?;
    let side = request.side;
    let away = |price: Price| {
        let margin = match side {
            Side::Buy => Decimal::ONE + terms.market_margin,
            Side::Sell => Decimal::ONE - terms.market_margin,
        };
        Price(price.0 * margin)
    };
    // It would be filled at the market if that is better than the limit; what is reserved is the limit.
    let better = |own: Price| match side {
        Side::Buy => own.min(market),
        Side::Sell => own.max(market),
    };
    let pricing = match (request.kind, request.limit_price, request.stop_price) {
        (OrderKind::Limit, Some(own), _) => Pricing { likely: better(own), worst: own },
        (OrderKind::StopLimit, Some(own), Some(_)) => Pricing { likely: own, worst: own },
        (OrderKind::Stop, _, Some(stop)) => Pricing { likely: stop, worst: away(stop) },
        (OrderKind::TrailingStop, ..) => {
            let stop = request.trail.map_or(market, |trail| trail.stop_price(market, side));
            if !stop.is_positive() {
                let said = format!("The trail leaves no stop price above zero: the market is at {market}.");
                checks.push(Check::refused(Rule::TrailInvalid, "trail", said));
                return None;
            }
            Pricing { likely: stop, worst: away(stop) }
        }
        _ => Pricing { likely: market, worst: away(market) },
    };
    stop_side(request, market, checks);
    collar(request, market, limits, checks);
    legs(request, market, checks);
    Some(pricing)
}

/// What is to be filled at once needs somebody to trade with.
fn session(request: &OrderRequest, facts: &Facts<'_>, checks: &mut Vec<Check>) {
    let at_once = matches!(request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
    if at_once && facts.session != Session::Open {
        let said =
            format!("The session is not open, and {} is filled at once or canceled.", request.time_in_force);
        checks.push(Check::refused(Rule::SessionClosed, "time_in_force", said));
    }
}

/// The price on the other side of a fresh quote.
fn market(
    request: &OrderRequest,
    facts: &Facts<'_>,
    limits: &InForce<'_>,
    checks: &mut Vec<Check>,
) -> Option<Price> {
    let touch = |quote: &Quote| match request.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    let limit = limits.strictest(LimitKind::QuoteAge);
    let age = facts.quoted_at.map(|at| facts.now.duration_since(at).unsigned_abs());
    let seconds = age.map(|age| Decimal::new(i64::try_from(age.as_millis()).unwrap_or(i64::MAX), 3));
    let most = limit.and_then(|limit| limit.value.number());
    let fresh = seconds
        .is_some_and(|seconds| facts.session == Session::Closed || most.is_none_or(|most| seconds <= most));
    let price =
        facts.quote.filter(|_| fresh).and_then(touch).map(|(price, _)| price).filter(|p| p.is_positive());
    let mut check = match (price, seconds) {
        (Some(_), _) => Check::new(Rule::NoQuote, "symbol", true),
        (None, Some(_)) if fresh => {
            let said = format!("Nobody quotes {} on the side that this order trades with.", request.symbol);
            Check::refused(Rule::NoQuote, "symbol", said)
        }
        (None, Some(_)) => Check::new(Rule::NoQuote, "symbol", false),
        (None, None) => {
            let said = format!("There is no quote of {} to price the order on.", request.symbol);
            Check::refused(Rule::NoQuote, "symbol", said)
        }
    };
    check = match seconds {
        Some(seconds) => check.with_value(Figure::Seconds(seconds)),
        None => check.with_value("none"),
    };
    checks.push(match limit {
        Some(limit) => check.under(limit),
        None => check,
    });
    price
}

/// A stop is where the market is not yet; otherwise it would be triggered at once.
fn stop_side(request: &OrderRequest, market: Price, checks: &mut Vec<Check>) {
    let Some(stop) = request.stop_price else { return };
    let beyond = match request.side {
        Side::Buy => stop > market,
        Side::Sell => stop < market,
    };
    checks.push(Check::new(Rule::StopSide, "stop_price", beyond).with_limit(market).with_value(stop));
}

/// The limit price is compared with the market; that of a stop-limit order with its stop price, which is where the
/// market will be then.
fn collar(request: &OrderRequest, market: Price, limits: &InForce<'_>, checks: &mut Vec<Check>) {
    let (Some(own), Some(limit)) = (request.limit_price, limits.strictest(LimitKind::PriceCollar)) else {
        return;
    };
    let LimitValue::Amount(most) = limit.value else { return };
    let reference = request.stop_price.unwrap_or(market);
    // Prices of requests are bounded and on the tick, those of the market are above zero: a quotient always exists.
    let distance = ((own.0 - reference.0) / reference.0).abs();
    let check = Check::new(Rule::PriceCollar, "limit_price", distance <= most);
    checks.push(check.with_value(Figure::Fraction(distance)).under(limit));
}

/// A take-profit is where the entry makes a profit, a stop-loss where it makes a loss.
fn legs(request: &OrderRequest, market: Price, checks: &mut Vec<Check>) {
    // An OCO is an exit, the take-profit: its stop-loss is beyond the market as every stop, and it behind the market.
    let (entry, long) = match request.class {
        OrderClass::Simple => return,
        OrderClass::Oco => (market, request.side == Side::Sell),
        OrderClass::Bracket | OrderClass::Oto => {
            (request.stop_price.or(request.limit_price).unwrap_or(market), request.side == Side::Buy)
        }
    };
    let mut leg = |field: &'static str, price: Price, above: bool| {
        let right = if above { price > entry } else { price < entry };
        let mut check = Check::new(Rule::LegSide, field, right).with_limit(entry).with_value(price);
        if !right {
            let (word, side) = (
                field.split('.').next().unwrap_or(field).replace('_', "-"),
                if above { "above" } else { "below" },
            );
            check = Check::refused(
                Rule::LegSide,
                field,
                format!("The {word} at {price} must be {side} {entry}."),
            )
            .with_limit(entry)
            .with_value(price);
        }
        checks.push(check);
    };
    let profit = if request.class == OrderClass::Oco { request.limit_price } else { request.take_profit };
    let field = if request.class == OrderClass::Oco { "limit_price" } else { "take_profit" };
    if let Some(price) = profit {
        leg(field, price, long);
    }
    if let Some(stop_loss) = request.stop_loss {
        leg("stop_loss.stop_price", stop_loss.stop_price, !long);
    }
}
