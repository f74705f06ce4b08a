//! The limits on an order, compared with what each of its scopes holds.

use std::sync::Arc;

use domain::{Decimal, OrderKind, Price, Side};

use super::check::{Check, Figure};
use super::ledger::{Holdings, Ledger, Standing};
use super::limits::{InForce, Limit, LimitKind, LimitValue};
use super::rules::Rule;
use super::{Ask, Assessment, Facts};

/// What a comparison found: the value, and how much of the limit is left; below zero it refuses.
#[derive(Clone, Copy)]
struct Found {
    passed: bool,
    value: Decimal,
    /// What the value is a part of, for kinds that are about one.
    whole: Decimal,
    left: Decimal,
}

impl Found {
    /// Passes up to the limit.
    fn at_most(value: Decimal, most: Decimal) -> Self {
        let left = most - value;
        Self { passed: left >= Decimal::ZERO, value, whole: Decimal::ONE, left }
    }

    /// The value in the unit of its kind.
    fn figure(self, kind: LimitKind) -> Figure {
        match kind {
            LimitKind::Concentration | LimitKind::Leverage => match self.value.checked_div(self.whole) {
                None => Figure::from("more than there is"),
                Some(share) if kind == LimitKind::Concentration => Figure::Fraction(share),
                Some(share) => Figure::Times(share),
            },
            LimitKind::OrderQuantity | LimitKind::PositionQuantity => Figure::Plain(self.value),
            LimitKind::OrdersPerMinute | LimitKind::OrdersPerDay | LimitKind::OpenOrders => {
                Figure::Plain(self.value)
            }
            _ => Figure::Money(self.value),
        }
    }
}

/// One scope with the order in it. Made once, because several kinds of limits look at the same numbers.
struct View<'a> {
    holdings: Option<&'a Holdings>,
    /// The position on the order's side if everything on that side is filled, zero if it is on the other side still.
    units: Decimal,
    /// What that is worth.
    worth: Decimal,
    gross: Decimal,
    lean: Decimal,
    /// Whether the worst case gets worse.
    grows: bool,
}

impl<'a> View<'a> {
    fn of(nth: usize, side: Side, price: Decimal, standing: &Standing<'a>) -> Self {
        let holdings = standing.of(nth);
        let (before, after) = (standing.before(nth), standing.after(nth));
        let units = match side {
            Side::Buy => after.highest().0,
            Side::Sell => -after.lowest().0,
        };
        let units = units.max(Decimal::ZERO);
        let added = after.worst().0 - before.worst().0;
        let zero = Decimal::ZERO;
        Self {
            holdings,
            units,
            worth: units * price,
            gross: holdings.map_or(zero, Holdings::gross) + added * price,
            lean: holdings.map_or(zero, |of| of.lean(side)) + standing.units().0 * price,
            grows: added > zero,
        }
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
    let views: Vec<View<'_>> =
        (0..standing.len()).map(|nth| View::of(nth, ask.request.side, price, standing)).collect();
    for (rule, kind, field) in STATES {
        let found = limits
            .of(*kind)
            .filter_map(|(nth, limit)| Some((limit, compare(limit, &views[nth], standing, nth, facts)?)));
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
        let value = found.figure(limit.kind);
        checks.push(Check::new(rule, field, found.passed).with_value(value).under(limit));
    }
}

/// One limit of one scope. An order that only closes passes whatever is about state, as does one that adds nothing.
fn compare(
    limit: &Limit,
    view: &View<'_>,
    standing: &Standing<'_>,
    nth: usize,
    facts: &Facts<'_>,
) -> Option<Found> {
    let most = limit.value.number()?;
    let holdings = view.holdings;
    // Where a scope has no money of its own, the account's counts.
    let share = |worth: Decimal| {
        let own = if limit.scope.has_capital() { holdings } else { standing.account() };
        let equity = own.map_or(Decimal::ZERO, Holdings::equity).max(Decimal::ZERO);
        let left = most * equity - worth;
        Found { passed: left >= Decimal::ZERO, value: worth, whole: equity, left }
    };
    let lost = |lost: Option<Decimal>| {
        let lost = lost.unwrap_or_default().max(Decimal::ZERO);
        let left = most - lost;
        Found { passed: left > Decimal::ZERO || lost.is_zero(), value: lost, whole: Decimal::ONE, left }
    };
    let next = |count: u32| Found::at_most(Decimal::from(count) + Decimal::ONE, most);
    let mut found = match limit.kind {
        LimitKind::PositionQuantity => Found::at_most(view.units, most),
        LimitKind::PositionNotional => Found::at_most(view.worth, most),
        LimitKind::GrossExposure => Found::at_most(view.gross, most),
        LimitKind::NetExposure => Found::at_most(view.lean, most),
        LimitKind::Concentration => share(view.worth),
        LimitKind::Leverage => share(view.gross),
        LimitKind::DailyLoss => lost(holdings.map(|of| of.lost_today(facts.now))),
        LimitKind::Drawdown => lost(holdings.map(Holdings::drawdown)),
        LimitKind::OrdersPerMinute => return Some(next(holdings.map_or(0, |of| of.last_minute(facts.now)))),
        LimitKind::OrdersPerDay => return Some(next(holdings.map_or(0, |of| of.today(facts.now)))),
        LimitKind::OpenOrders => {
            return Some(Found::at_most(standing.open_after(nth).into(), most));
        }
        _ => return None,
    };
    found.passed |= standing.closing;
    found.passed |= matches!(limit.kind, LimitKind::GrossExposure | LimitKind::Leverage) && !view.grows;
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
        (Rule::Notional, LimitKind::OrderNotional, assessment.notional.0),
        (Rule::OrderQuantity, LimitKind::OrderQuantity, assessment.quantity.0),
    ];
    for (rule, kind, value) in kinds {
        let found = limits
            .of(kind)
            .filter_map(|(_, limit)| Some((limit, Found::at_most(value, limit.value.number()?))));
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
