//! Risk before the trade: checks before an order is accepted. Pure: everything they need is passed in.
//!
//! [`assess`] asks whether a request makes sense ([`form`]), prices it on the latest quote ([`price`]), asks whether it
//! can be paid and delivered, and compares it with every [limit](LimitBook) on each of its [scopes](Scopes), given what
//! those hold in the [`Ledger`]. Who calls it and then [`Ledger::hold`] under one lock cannot accept two orders on the
//! same head-room.
//!
//! An order that only closes a position always passes the limits on state: a risk limit never keeps anybody in a risk.

mod check;
mod form;
mod hours;
mod ledger;
mod limits;
mod named;
mod price;
mod rules;
mod state;

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Decimal, Instrument, Money, OrderId, OrderRequest, Price, Quantity, Quote, Side, Size, Timestamp,
};

pub use check::Check;
pub use hours::TradingHours;
pub use ledger::{Figures, Hold, Ledger, Reach, Remembered, Rests, Usage};
pub use limits::{InvalidLimit, Limit, LimitBook, LimitKind, LimitValue, is_raise, limit_table};
pub use rules::{Rule, rule_table};

use self::limits::InForce;
use self::price::Pricing;
use crate::scope::Scopes;

/// What an order may be, whoever places it: the terms of the configuration.
#[derive(Clone, Debug)]
pub struct OrderLimits {
    /// Most that one order may be worth.
    pub max_notional: Money,
    /// How far a limit price may be from the market, as a fraction of it (0.2 is 20 %).
    pub price_collar: Decimal,
    /// What is reserved for a market order above the price it would be filled at now, as a fraction.
    pub market_margin: Decimal,
    /// Quotes older than this do not price an order.
    pub max_quote_age: Duration,
    /// The broker's fee, in basis points of the notional.
    pub fee_bps: Decimal,
    /// How long an order may lie unsent (the desk was down, the broker unreachable) before it expires.
    pub max_unsent_age: Duration,
}

impl Default for OrderLimits {
    fn default() -> Self {
        Self {
            max_notional: Money(Decimal::from(1_000_000)),
            price_collar: Decimal::new(5, 1),
            market_margin: Decimal::new(2, 2),
            max_quote_age: Duration::from_secs(10),
            fee_bps: Decimal::from(10),
            max_unsent_age: Duration::from_secs(30),
        }
    }
}

/// What is asked for, and whose head-room it would use.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The order.
    pub request: &'a OrderRequest,
    /// Everybody that it counts for.
    pub scopes: &'a Scopes,
    /// The open order whose place it is to take.
    pub replaces: Option<OrderId>,
}

/// Where the trading day of the instrument stands. Crypto is always open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The regular session.
    Open,
    /// Before or after it.
    Extended,
    /// Nothing is traded.
    Closed,
}

/// What a book has, where the order belongs to one.
#[derive(Clone, Copy, Debug)]
pub struct BookFacts {
    /// Its cash that is not reserved.
    pub cash: Money,
    /// Units it holds that no open order sells; below zero when short.
    pub sellable: Quantity,
}

/// What is known when an order is checked. For a replacement: as if the order that it replaces were released.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The instrument, if the desk knows it.
    pub instrument: Option<&'a Instrument>,
    /// The latest quote.
    pub quote: Option<&'a Quote>,
    /// When that quote came in.
    pub quoted_at: Option<Timestamp>,
    /// What the account can pay with that is not reserved.
    pub buying_power: Money,
    /// Units the account holds that no open order sells; below zero when short.
    pub sellable: Quantity,
    /// The order's book.
    pub book: Option<BookFacts>,
    /// Whether the venue lends what is sold short.
    pub short_allowed: bool,
    /// Where the trading day stands.
    pub session: Session,
    /// Now.
    pub now: Timestamp,
}

/// What an order would cost, and whether it may be placed.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// Every check that could be made, in order. Those after one that makes them meaningless are not there.
    pub checks: Vec<Check>,
    /// Units; for a size in money what it buys or sells at the quote, rounded down to the increment. Zero when that
    /// cannot be told.
    pub quantity: Quantity,
    /// The price it is likely to be filled at.
    pub price: Option<Price>,
    /// The worst price to expect, without fee: the highest to buy, the lowest to sell. For stops from the stop price.
    pub worst_price: Price,
    /// Money that is reserved per unit bought, or per unit of [`Self::short`] sold: the worst price, with the fee. Zero
    /// for a sale of what is held, which reserves units.
    pub reserve_price: Price,
    /// Units of a sale that are not held.
    pub short: Quantity,
    /// Price times quantity.
    pub notional: Money,
    /// The broker's fee on that.
    pub fee: Money,
    /// Whether it only reduces a position, and would not cross through zero whatever else is open.
    pub closing: bool,
    /// The limit above which a second person has to approve, where the order is. Closing orders never wait.
    pub needs_approval: Option<Arc<Limit>>,
}

impl Assessment {
    /// The first check that was not passed.
    pub fn refusal(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.passed)
    }

    /// Whether every check was passed.
    pub fn passed(&self) -> bool {
        self.refusal().is_none()
    }
}

/// Checks an order against the market, the account and all limits on it.
pub fn assess(
    ask: &Ask<'_>,
    facts: &Facts<'_>,
    terms: &OrderLimits,
    limits: &LimitBook,
    ledger: &Ledger,
) -> Assessment {
    let mut assessment = Assessment {
        checks: Vec::with_capacity(24),
        quantity: Quantity::ZERO,
        price: None,
        worst_price: Price::ZERO,
        reserve_price: Price::ZERO,
        short: Quantity::ZERO,
        notional: Money::ZERO,
        fee: Money::ZERO,
        closing: false,
        needs_approval: None,
    };
    let request = ask.request;
    let mut checks = std::mem::take(&mut assessment.checks);
    let known =
        Check::new(Rule::Symbol, "symbol", facts.instrument.is_some()).with_value(request.symbol.as_str());
    checks.push(known);
    let limits = limits.in_force(ask.scopes);
    if let Some(instrument) = facts.instrument
        && passes(form::check(request, instrument, &mut checks), &mut checks)
        && let Some(pricing) = price::price(request, facts, terms, &limits, &mut checks)
        && let Some(quantity) = units(request, pricing, instrument, &mut checks)
    {
        weigh(&mut assessment, ask, quantity, pricing, facts, terms);
        let standing = ledger.standing(ask.scopes, &request.symbol, request.side, quantity, ask.replaces);
        assessment.closing = standing.closing;
        means(&assessment, request, facts, &mut checks);
        state::check(ask, facts, &limits, ledger, &standing, &assessment, &mut checks);
        assessment.needs_approval = approval(&assessment, &limits);
    }
    debug_assert!(
        assessment.price.is_some() || checks.iter().any(|check| !check.passed),
        "an order that cannot be weighed has a check that says why"
    );
    assessment.checks = checks;
    assessment
}

/// Notes what was found wrong, and returns whether nothing was.
fn passes(found: Result<(), Check>, checks: &mut Vec<Check>) -> bool {
    found.map_err(|check| checks.push(check)).is_ok()
}

/// How many units are asked for.
fn units(
    request: &OrderRequest,
    pricing: Pricing,
    instrument: &Instrument,
    checks: &mut Vec<Check>,
) -> Option<Quantity> {
    let notional = match request.size {
        Size::Quantity(quantity) => return Some(quantity),
        Size::Notional(notional) => notional,
    };
    let step = instrument.quantity_increment.0;
    let steps = notional.0.checked_div(pricing.likely.0).and_then(|units| units.checked_div(step));
    let quantity = Quantity(steps.unwrap_or(Decimal::MAX).trunc().checked_mul(step).unwrap_or(Decimal::MAX));
    if quantity.is_zero() {
        let said = format!("{notional} is not enough for {step} {}.", request.symbol);
        checks.push(Check::refused(Rule::QuantityTooSmall, "notional", said).with_value(notional));
        return None;
    }
    match form::quantity(quantity, instrument) {
        Ok(check) => checks.push(check),
        Err(check) => {
            checks.push(check);
            return None;
        }
    }
    Some(quantity)
}

/// What the order is worth and what it would reserve.
fn weigh(
    assessment: &mut Assessment,
    ask: &Ask<'_>,
    quantity: Quantity,
    pricing: Pricing,
    facts: &Facts<'_>,
    terms: &OrderLimits,
) {
    let fee_rate = terms.fee_bps / Decimal::from(10_000);
    let least = facts.book.map_or(facts.sellable, |book| book.sellable.min(facts.sellable));
    assessment.quantity = quantity;
    assessment.price = Some(pricing.likely);
    assessment.worst_price = pricing.worst;
    assessment.notional = pricing.likely * quantity;
    assessment.fee = Money(assessment.notional.0 * fee_rate);
    assessment.reserve_price = match ask.request.side {
        Side::Buy => Price(pricing.worst.0 * (Decimal::ONE + fee_rate)),
        Side::Sell if least < quantity => {
            assessment.short = quantity - least.max(Quantity::ZERO);
            // What is sold short has to be bought back, at a higher price in the worst case.
            Price(pricing.likely.0 * (Decimal::ONE + terms.market_margin) * (Decimal::ONE + fee_rate))
        }
        Side::Sell => Price::ZERO,
    };
}

/// Whether the order can be paid and delivered. What buys a short position back is not asked for money.
fn means(assessment: &Assessment, request: &OrderRequest, facts: &Facts<'_>, checks: &mut Vec<Check>) {
    if request.side == Side::Sell && !facts.short_allowed {
        let held = |rule, sellable: Quantity| {
            let passed = assessment.quantity <= sellable;
            Check::new(rule, "quantity", passed).with_limit(sellable).with_value(assessment.quantity)
        };
        checks.push(held(Rule::Position, facts.sellable));
        checks.extend(facts.book.map(|book| held(Rule::BookPosition, book.sellable)));
        return;
    }
    let units = match request.side {
        Side::Buy => assessment.quantity,
        Side::Sell => assessment.short,
    };
    if units.is_zero() {
        return;
    }
    let needed = assessment.reserve_price * units;
    let paid = |rule, free: Money| {
        let passed = assessment.closing || needed <= free;
        Check::new(rule, "quantity", passed).with_limit(free).with_value(needed)
    };
    checks.push(paid(Rule::BuyingPower, facts.buying_power));
    checks.extend(facts.book.map(|book| paid(Rule::BookBuyingPower, book.cash)));
}

fn approval(assessment: &Assessment, limits: &InForce<'_>) -> Option<Arc<Limit>> {
    let limit = limits.strictest(LimitKind::ApprovalAbove)?;
    let above = limit.value.number().is_some_and(|most| assessment.notional.0 > most);
    (above && !assessment.closing).then(|| limit.clone())
}

/// Whether a client order id can be used.
pub fn check_client_order_id(id: &str) -> Option<Check> {
    let refused = || {
        let value: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
        Check::refused(Rule::ClientOrderId, "client_order_id", Rule::ClientOrderId.explanation())
            .with_limit("128 characters")
            .with_value(value.as_str())
    };
    // Brokers never see it: to them an order has the desk's own id. So it may be whatever people and programs call it.
    let good = (1..=128).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    (!good).then(refused)
}

#[cfg(test)]
mod tests;
