//! The limits on an order, compared with what each of its scopes holds.

use std::sync::Arc;

use domain::{Decimal, OrderKind, Price, Side};

use super::check::{Check, Figure};
use super::ledger::{Ledger, Standing};
use super::limits::{InForce, Limit, LimitKind, LimitValue};
use super::rules::Rule;
use super::{Ask, Assessment, Facts};

/// What a comparison found: whether it passes, the value, and how much of the limit is left.
struct Found {
    passed: bool,
    value: Figure,
    left: Decimal,
}

impl Found {
    /// Passes up to the limit.
    fn at_most(value: Decimal, most: Decimal, figure: impl FnOnce(Decimal) -> Figure) -> Self {
        Self { passed: value <= most, value: figure(value), left: most - value }
    }
}

/// Compares an order with every limit on it. Of each kind one check is noted: the limit that refuses, or else the one of
/// which least is left.
pub(super) fn check(
    ask: &Ask<'_>,
    facts: &Facts<'_>,
    limits: &InForce<'_>,
    ledger: &Ledger,
    standing: &Standing<'_>,
    assessment: &Assessment,
    checks: &mut Vec<Check>,
) {
    lists(ask, facts, limits, checks);
    order(limits, assessment, checks);
    let price = Price(standing.mark).max(assessment.price.unwrap_or_default()).0;
    for (rule, kind, field) in STATES {
        let found = limits.of(*kind).filter_map(|(nth, limit)| {
            let most = limit.value.number()?;
            let found = compare(*kind, nth, limit, most, ask.request.side, price, standing, facts)?;
            Some((limit, found))
        });
        note(*rule, field, found, checks);
    }
    self_cross(ask, limits, ledger, assessment, checks);
}

const STATES: &[(Rule, LimitKind, &str)] = &[
    (Rule::PositionLimit, LimitKind::PositionQuantity, "quantity"),
    (Rule::PositionNotional, LimitKind::PositionNotional, "quantity"),
    (Rule::GrossExposure, LimitKind::GrossExposure, "quantity"),
    (Rule::NetExposure, LimitKind::NetExposure, "quantity"),
    (Rule::Concentration, LimitKind::Concentration, "quantity"),
    (Rule::Leverage, LimitKind::Leverage, "quantity"),
    (Rule::DailyLoss, LimitKind::DailyLoss, "quantity"),
    (Rule::Drawdown, LimitKind::Drawdown, "quantity"),
    (Rule::OrdersPerMinute, LimitKind::OrdersPerMinute, "client_order_id"),
    (Rule::OrdersPerDay, LimitKind::OrdersPerDay, "client_order_id"),
    (Rule::OpenOrders, LimitKind::OpenOrders, "client_order_id"),
];

fn note<'a>(
    rule: Rule,
    field: &'static str,
    found: impl Iterator<Item = (&'a Arc<Limit>, Found)>,
    checks: &mut Vec<Check>,
) {
    let tightest = found.min_by(|(_, a), (_, b)| (a.passed, a.left).cmp(&(b.passed, b.left)));
    if let Some((limit, found)) = tightest {
        checks.push(Check::new(rule, field, found.passed).with_value(found.value).under(limit));
    }
}

/// One limit of one scope. An order that only closes passes whatever is about state, as does one that adds nothing.
#[expect(
    clippy::too_many_arguments,
    reason = "what all kinds are compared with; a struct would be used only here"
)]
fn compare(
    kind: LimitKind,
    nth: usize,
    limit: &Limit,
    most: Decimal,
    side: Side,
    price: Decimal,
    standing: &Standing<'_>,
    facts: &Facts<'_>,
) -> Option<Found> {
    let holdings = standing.of(nth);
    let (before, after) = (standing.before(nth), standing.after(nth));
    let gross_after = || {
        let added = after.worst() - before.worst();
        holdings.map_or(Decimal::ZERO, |of| of.gross()) + added.0 * price
    };
    // Where a scope has no money of its own, the account's counts.
    let equity = || {
        let own = if limit.scope.has_capital() { holdings } else { standing.account() };
        own.map_or(Decimal::ZERO, |of| of.equity()).max(Decimal::ZERO)
    };
    let share = |worth: Decimal| {
        let equity = equity();
        let share = worth.checked_div(equity).unwrap_or(Decimal::from(1_000_000));
        (worth <= most * equity, share)
    };
    let units_after = match side {
        Side::Buy => after.highest().0,
        Side::Sell => -after.lowest().0,
    };
    let grows = after.worst() > before.worst();
    let mut found = match kind {
        LimitKind::PositionQuantity => Found::at_most(units_after.max(Decimal::ZERO), most, Figure::Plain),
        LimitKind::PositionNotional => {
            Found::at_most(units_after.max(Decimal::ZERO) * price, most, Figure::Money)
        }
        LimitKind::GrossExposure => {
            let mut found = Found::at_most(gross_after(), most, Figure::Money);
            found.passed |= !grows;
            found
        }
        LimitKind::NetExposure => {
            let lean = holdings.map_or(Decimal::ZERO, |of| of.lean(side));
            Found::at_most(lean + standing.units().0 * price, most, Figure::Money)
        }
        LimitKind::Concentration => {
            let (passed, share) = share(units_after.max(Decimal::ZERO) * price);
            Found { passed, value: Figure::Fraction(share), left: most - share }
        }
        LimitKind::Leverage => {
            let (passed, share) = share(gross_after());
            Found { passed: passed || !grows, value: Figure::Times(share), left: most - share }
        }
        LimitKind::DailyLoss | LimitKind::Drawdown => {
            let lost = holdings.map_or(Decimal::ZERO, |of| match kind {
                LimitKind::DailyLoss => of.lost_today(facts.now),
                _ => of.drawdown(),
            });
            let lost = lost.max(Decimal::ZERO);
            Found { passed: lost < most || lost.is_zero(), value: Figure::Money(lost), left: most - lost }
        }
        LimitKind::OrdersPerMinute => {
            let count = holdings.map_or(0, |of| of.last_minute(facts.now));
            return Some(Found::at_most(Decimal::from(count) + Decimal::ONE, most, Figure::Plain));
        }
        LimitKind::OrdersPerDay => {
            let count = holdings.map_or(0, |of| of.today(facts.now));
            return Some(Found::at_most(Decimal::from(count) + Decimal::ONE, most, Figure::Plain));
        }
        LimitKind::OpenOrders => {
            return Some(Found::at_most(standing.open_after(nth).into(), most, Figure::Plain));
        }
        _ => return None,
    };
    found.passed |= standing.closing;
    Some(found)
}

/// What is allowed at all: symbols and hours, in every scope.
fn lists(ask: &Ask<'_>, facts: &Facts<'_>, limits: &InForce<'_>, checks: &mut Vec<Check>) {
    let symbol = &ask.request.symbol;
    let kinds = [
        (Rule::SymbolNotAllowed, LimitKind::SymbolsAllowed),
        (Rule::SymbolDenied, LimitKind::SymbolsDenied),
        (Rule::TradingHours, LimitKind::TradingHours),
    ];
    for (rule, kind) in kinds {
        let passes = |limit: &Limit| match &limit.value {
            LimitValue::Symbols(symbols) => symbols.contains(symbol) == (kind == LimitKind::SymbolsAllowed),
            LimitValue::Hours(hours) => hours.contains(facts.now),
            _ => true,
        };
        let limits = limits.of(kind).map(|(_, limit)| (passes(limit), limit));
        if let Some((passed, limit)) = limits.min_by_key(|(passed, _)| *passed) {
            checks.push(Check::new(rule, "symbol", passed).with_value(symbol.as_str()).under(limit));
        }
    }
}

/// The order by itself.
fn order(limits: &InForce<'_>, assessment: &Assessment, checks: &mut Vec<Check>) {
    let kinds = [
        (
            Rule::Notional,
            LimitKind::OrderNotional,
            assessment.notional.0,
            Figure::Money as fn(Decimal) -> Figure,
        ),
        (Rule::OrderQuantity, LimitKind::OrderQuantity, assessment.quantity.0, Figure::Plain),
    ];
    for (rule, kind, value, figure) in kinds {
        let found = limits
            .of(kind)
            .filter_map(|(_, limit)| Some((limit, Found::at_most(value, limit.value.number()?, figure))));
        note(rule, "quantity", found, checks);
    }
    if assessment.short.is_positive()
        && let Some(limit) = limits.strictest(LimitKind::ShortSelling)
    {
        let allowed = limit.value == LimitValue::Allowed(true);
        checks.push(
            Check::new(Rule::ShortSelling, "quantity", allowed).with_value(assessment.short).under(limit),
        );
    }
}

/// A stop waits outside of the market, so only what can be filled at once or rest can trade with another order.
fn self_cross(
    ask: &Ask<'_>,
    limits: &InForce<'_>,
    ledger: &Ledger,
    assessment: &Assessment,
    checks: &mut Vec<Check>,
) {
    let Some(limit) = limits.strictest(LimitKind::SelfCross) else { return };
    let request = ask.request;
    if limit.value == LimitValue::Allowed(true)
        || !matches!(request.kind, OrderKind::Market | OrderKind::Limit)
    {
        return;
    }
    let crossed =
        ledger.crossed(ask.scopes, &request.symbol, request.side, assessment.worst_price, ask.replaces);
    checks.push(match crossed {
        None => Check::new(Rule::SelfCross, "side", true).under(limit),
        Some(price) => {
            let said = match price.is_positive() {
                true => format!("It would trade with a resting order of the same account at {price}."),
                false => "It could trade with a market order of the same account that is on its way.".into(),
            };
            Check::refused(Rule::SelfCross, "side", said).with_value(assessment.worst_price).under(limit)
        }
    });
}
