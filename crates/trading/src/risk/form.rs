//! Whether a request makes sense by itself: which fields each kind, class and time in force needs and forbids.

use domain::{
    Decimal, Instrument, Money, OrderClass, OrderKind, OrderRequest, Price, Quantity, Size, TimeInForce,
    Trail,
};

use super::check::Check;
use super::rules::Rule;
use crate::scope::is_label;

/// Quantities stay at or below this, prices too, so that their product is exact.
const MOST: u64 = 1_000_000_000;
/// Sizes in money stay at or below this.
const MOST_NOTIONAL: u64 = 1_000_000_000_000_000;

/// Everything but the market, until the first thing that is wrong.
pub(super) fn check(
    request: &OrderRequest,
    instrument: &Instrument,
    checks: &mut Vec<Check>,
) -> Result<(), Check> {
    if let Some(strategy) = &request.strategy
        && !is_label(strategy)
    {
        return Err(Check::refused(Rule::Strategy, "strategy", Rule::Strategy.explanation()));
    }
    checks.push(match request.size {
        Size::Quantity(units) => quantity(units, instrument)?,
        Size::Notional(notional) => self::notional(notional)?,
    });
    fields(request)?;
    prices(request, instrument)?;
    class(request)?;
    time(request)
}

/// A number of units.
pub(super) fn quantity(quantity: Quantity, instrument: &Instrument) -> Result<Check, Check> {
    let step = instrument.quantity_increment;
    let most = Quantity(Decimal::from(MOST));
    let refuse = |rule, said: String, limit: Quantity| {
        Err(Check::refused(rule, "quantity", said).with_limit(limit).with_value(quantity))
    };
    if !quantity.is_positive() {
        refuse(Rule::Quantity, "The quantity must be above zero.".into(), Quantity::ZERO)
    } else if quantity < step {
        refuse(Rule::QuantityTooSmall, format!("The least quantity is {step}."), step)
    } else if quantity > most {
        refuse(Rule::QuantityTooLarge, format!("The most is {most}."), most)
    } else if !(quantity.0 % step.0).is_zero() {
        refuse(Rule::Quantity, format!("The quantity must be a multiple of {step}."), step)
    } else {
        Ok(Check::new(Rule::Quantity, "quantity", true).with_limit(step).with_value(quantity))
    }
}

fn notional(notional: Money) -> Result<Check, Check> {
    let most = Money(Decimal::from(MOST_NOTIONAL));
    let said = if !notional.is_positive() {
        "The notional must be above zero.".to_owned()
    } else if notional.0.normalize().scale() > 2 {
        "The notional has at most two decimals.".to_owned()
    } else if notional > most {
        format!("The most is {most}.")
    } else {
        return Ok(Check::new(Rule::NotionalInvalid, "notional", true).with_value(notional));
    };
    Err(Check::refused(Rule::NotionalInvalid, "notional", said)
        .with_limit(most)
        .with_value(notional.to_string().as_str()))
}

/// Limit price, stop price and trail are there exactly where the order type has them.
fn fields(request: &OrderRequest) -> Result<(), Check> {
    let kind = request.kind;
    let trails = kind == OrderKind::TrailingStop;
    let wanted = [
        (
            "limit_price",
            request.limit_price.is_some(),
            kind.has_limit(),
            Rule::PriceRequired,
            Rule::PriceNotAllowed,
        ),
        (
            "stop_price",
            request.stop_price.is_some(),
            kind.has_stop(),
            Rule::StopRequired,
            Rule::StopNotAllowed,
        ),
        ("trail", request.trail.is_some(), trails, Rule::TrailRequired, Rule::TrailNotAllowed),
    ];
    for (field, given, needed, missing, out_of_place) in wanted {
        let word = field.replace('_', " ");
        if needed && !given {
            return Err(Check::refused(missing, field, format!("A {kind} order needs a {word}.")));
        }
        if given && !needed {
            return Err(Check::refused(out_of_place, field, format!("A {kind} order has no {word}.")));
        }
    }
    Ok(())
}

/// Every price that is given is above zero and on the tick.
fn prices(request: &OrderRequest, instrument: &Instrument) -> Result<(), Check> {
    let stop_loss = request.stop_loss;
    let given = [
        ("limit_price", request.limit_price),
        ("stop_price", request.stop_price),
        ("take_profit", request.take_profit),
        ("stop_loss.stop_price", stop_loss.map(|leg| leg.stop_price)),
        ("stop_loss.limit_price", stop_loss.and_then(|leg| leg.limit_price)),
    ];
    for (field, price) in given {
        if let Some(price) = price {
            self::price(field, price, instrument)?;
        }
    }
    match request.trail {
        None => Ok(()),
        Some(Trail::Price(distance)) => price("trail", distance, instrument).map_err(|check| {
            Check::refused(Rule::TrailInvalid, "trail", check.detail()).with_value(distance)
        }),
        Some(Trail::Percent(percent)) => {
            let good =
                percent > Decimal::ZERO && percent < Decimal::ONE_HUNDRED && percent.normalize().scale() <= 4;
            let refuse = || {
                let said = "A trail in per cent is above 0 and below 100, with at most four decimals.";
                Check::refused(Rule::TrailInvalid, "trail", said).with_value(Quantity(percent))
            };
            if good { Ok(()) } else { Err(refuse()) }
        }
    }
}

fn price(field: &'static str, price: Price, instrument: &Instrument) -> Result<(), Check> {
    let tick = instrument.tick(price);
    let most = Price(Decimal::from(MOST));
    let refuse = |rule, said: String, limit: Price| {
        Err(Check::refused(rule, field, said).with_limit(limit).with_value(price))
    };
    if !price.is_positive() {
        refuse(Rule::Price, "A price must be above zero.".into(), Price::ZERO)
    } else if price > most {
        refuse(Rule::Price, format!("The highest price is {most}."), most)
    } else if !(price.0 % tick.0).is_zero() {
        refuse(Rule::PriceOffTick, format!("A price must be a multiple of {tick}."), tick)
    } else {
        Ok(())
    }
}

/// Take-profit and stop-loss are there exactly where the order class has them.
fn class(request: &OrderRequest) -> Result<(), Check> {
    let class = request.class;
    let legs = (request.take_profit.is_some(), request.stop_loss.is_some());
    let refuse = |rule, field, said: &str| Err(Check::refused(rule, field, said));
    match (class, legs) {
        (OrderClass::Simple, (true, _)) => refuse(
            Rule::LegNotAllowed,
            "take_profit",
            "A simple order has no take-profit: it needs the class bracket or oto.",
        ),
        (OrderClass::Simple, (_, true)) => refuse(
            Rule::LegNotAllowed,
            "stop_loss",
            "A simple order has no stop-loss: it needs the class bracket, oco or oto.",
        ),
        (OrderClass::Bracket, (false, _)) => {
            refuse(Rule::LegRequired, "take_profit", "A bracket has a take-profit.")
        }
        (OrderClass::Bracket, (_, false)) => {
            refuse(Rule::LegRequired, "stop_loss", "A bracket has a stop-loss.")
        }
        (OrderClass::Oco, (true, _)) => {
            refuse(Rule::LegNotAllowed, "take_profit", "An OCO is its own take-profit: its limit price is.")
        }
        (OrderClass::Oco, (_, false)) => refuse(Rule::LegRequired, "stop_loss", "An OCO has a stop-loss."),
        (OrderClass::Oto, (true, true)) => {
            refuse(Rule::LegNotAllowed, "stop_loss", "An OTO has one leg; with two it is a bracket.")
        }
        (OrderClass::Oto, (false, false)) => {
            refuse(Rule::LegRequired, "take_profit", "An OTO has a take-profit or a stop-loss.")
        }
        (OrderClass::Oco, _) if request.kind != OrderKind::Limit => {
            refuse(Rule::Class, "class", "An OCO is a limit order, the take-profit.")
        }
        (OrderClass::Bracket | OrderClass::Oto, _) if request.kind == OrderKind::TrailingStop => refuse(
            Rule::Class,
            "class",
            "A trailing stop has no entry price that legs could be measured from.",
        ),
        _ => Ok(()),
    }
}

/// The time in force goes with everything else.
fn time(request: &OrderRequest) -> Result<(), Check> {
    let (kind, time) = (request.kind, request.time_in_force);
    let lasting = matches!(time, TimeInForce::Day | TimeInForce::Gtc);
    let plain = matches!(kind, OrderKind::Market | OrderKind::Limit);
    let refuse = |said: String| {
        Err(Check::refused(Rule::TimeInForce, "time_in_force", said).with_value(time.as_str()))
    };
    if request.class != OrderClass::Simple && !lasting {
        return refuse(format!("A {} is day or gtc.", request.class));
    }
    if !plain && !lasting {
        return refuse(format!("A {kind} order is day or gtc: it waits for its stop price."));
    }
    let simple = request.class == OrderClass::Simple;
    if request.extended_hours && !(kind == OrderKind::Limit && lasting && simple) {
        return Err(Check::refused(Rule::ExtendedHours, "extended_hours", Rule::ExtendedHours.explanation()));
    }
    Ok(())
}
