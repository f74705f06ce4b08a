//! Checks before an order is accepted. Pure: everything they need is passed in.

use std::time::Duration;

use domain::{Decimal, Instrument, Money, OrderKind, OrderRequest, Price, Quantity, Quote, Side, Timestamp};

/// What an order may be, whoever places it.
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

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)+) => {
        /// A rule that an order can break. The names are part of the interface and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $variant,)+ }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in interfaces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

rules! {
    /// The client order id has a form of its own.
    ClientOrderId = "client_order_id_invalid";
    /// The desk must know the instrument.
    Symbol = "symbol_unknown";
    /// The quantity is above zero and a multiple of the instrument's increment.
    Quantity = "quantity_invalid";
    /// The quantity is at least one increment.
    QuantityTooSmall = "quantity_too_small";
    /// The quantity is not absurd.
    QuantityTooLarge = "quantity_too_large";
    /// A limit order has a price.
    PriceRequired = "price_required";
    /// A market order has none.
    PriceNotAllowed = "price_not_allowed";
    /// The price is above zero.
    Price = "price_invalid";
    /// The price is a multiple of the instrument's increment.
    PriceOffTick = "price_off_tick";
    /// There is a quote, and it is fresh.
    NoQuote = "no_quote";
    /// The price is not far from the market.
    PriceCollar = "price_collar";
    /// The order is not worth more than allowed.
    Notional = "notional_too_large";
    /// A buy order can be paid for.
    BuyingPower = "buying_power";
    /// A sell order can be delivered: there is no short selling.
    Position = "position_too_small";
}

/// One check of an order, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which rule.
    pub rule: Rule,
    /// Whether the order passed.
    pub passed: bool,
    /// The field of the request that the rule is about.
    pub field: Option<&'static str>,
    /// What was found, for people.
    pub detail: String,
    /// What is allowed.
    pub limit: Option<String>,
    /// What the order has.
    pub value: Option<String>,
}

/// What is known when an order is checked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The instrument, if the desk knows it.
    pub instrument: Option<&'a Instrument>,
    /// The latest quote.
    pub quote: Option<&'a Quote>,
    /// When that quote came in.
    pub quoted_at: Option<Timestamp>,
    /// Cash that is not reserved.
    pub buying_power: Money,
    /// Units held that no open order sells.
    pub sellable: Quantity,
    /// Now.
    pub now: Timestamp,
}

/// What an order would cost, and whether it may be placed.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// Every check that could be made, in order. Those after one that makes them meaningless are not there.
    pub checks: Vec<Check>,
    /// The price it is likely to be filled at.
    pub price: Option<Price>,
    /// Per unit bought, the money that is reserved: the worst price expected, with the fee. Zero for a sale, which
    /// reserves units.
    pub reserve_price: Price,
    /// Price times quantity.
    pub notional: Money,
    /// The broker's fee on that.
    pub fee: Money,
}

impl Assessment {
    /// The first check that was not passed.
    pub fn refusal(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.passed)
    }
}

/// Quantities have at most nine decimals and stay below this.
const MAX_QUANTITY: i64 = 1_000_000_000;

/// Checks an order against the market, the account and the limits.
pub fn assess(request: &OrderRequest, facts: Facts<'_>, limits: &OrderLimits) -> Assessment {
    let mut checks = Checks(Vec::with_capacity(12));
    let mut assessment = Assessment {
        checks: Vec::new(),
        price: None,
        reserve_price: Price::ZERO,
        notional: Money::ZERO,
        fee: Money::ZERO,
    };
    if form(&mut checks, request, facts.instrument)
        && let Some((price, worst)) = price(&mut checks, request, &facts, limits)
    {
        let fee_rate = limits.fee_bps / Decimal::from(10_000);
        assessment.price = Some(price);
        assessment.notional = price * request.quantity;
        assessment.fee = Money(assessment.notional.0 * fee_rate);
        if request.side == Side::Buy {
            assessment.reserve_price = Price(worst.0 * (Decimal::ONE + fee_rate));
        }
        size(&mut checks, request, &assessment, &facts, limits);
    }
    assessment.checks = checks.0;
    assessment
}

/// Whether a client order id can be used.
pub fn check_client_order_id(id: &str) -> Option<Check> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    let good = (1..=64).contains(&id.len()) && id.bytes().all(allowed);
    (!good).then(|| Check {
        rule: Rule::ClientOrderId,
        passed: false,
        field: Some("client_order_id"),
        detail: "A client order id is 1 to 64 characters of A-Z, a-z, 0-9, '_', '.', ':' and '-'.".into(),
        limit: Some("64 characters".into()),
        value: Some(id.chars().take(64).collect()),
    })
}

struct Checks(Vec<Check>);

impl Checks {
    /// Notes a check and returns whether it was passed.
    fn note(
        &mut self,
        rule: Rule,
        field: &'static str,
        passed: bool,
        detail: String,
        numbers: Numbers,
    ) -> bool {
        let (limit, value) = numbers;
        self.0.push(Check { rule, passed, field: Some(field), detail, limit, value });
        passed
    }
}

/// Limit and value of a check.
type Numbers = (Option<String>, Option<String>);

fn numbers(limit: impl ToString, value: impl ToString) -> Numbers {
    (Some(limit.to_string()), Some(value.to_string()))
}

/// Whether the request makes sense by itself.
fn form(checks: &mut Checks, request: &OrderRequest, instrument: Option<&Instrument>) -> bool {
    let known = instrument.is_some();
    let detail = match known {
        true => format!("{} is traded here.", request.symbol),
        false => format!("The desk does not know {}.", request.symbol),
    };
    checks.note(Rule::Symbol, "symbol", known, detail, (None, Some(request.symbol.to_string())));
    let Some(instrument) = instrument else { return false };
    quantity(checks, request.quantity, instrument) && limit_price(checks, request, instrument)
}

fn quantity(checks: &mut Checks, quantity: Quantity, instrument: &Instrument) -> bool {
    let step = instrument.quantity_increment;
    let most = Quantity(Decimal::from(MAX_QUANTITY));
    let refusal = if !quantity.is_positive() {
        Some((Rule::Quantity, "The quantity must be above zero.".to_owned(), "0".to_owned()))
    } else if quantity < step {
        Some((Rule::QuantityTooSmall, format!("The least quantity is {step}."), step.to_string()))
    } else if quantity > most {
        Some((Rule::QuantityTooLarge, format!("The most is {most}."), most.to_string()))
    } else if !(quantity.0 % step.0).is_zero() {
        Some((Rule::Quantity, format!("The quantity must be a multiple of {step}."), step.to_string()))
    } else {
        None
    };
    match refusal {
        Some((rule, detail, limit)) => checks.note(rule, "quantity", false, detail, numbers(limit, quantity)),
        None => {
            let detail = format!("A multiple of {step}.");
            checks.note(Rule::Quantity, "quantity", true, detail, numbers(step, quantity))
        }
    }
}

fn limit_price(checks: &mut Checks, request: &OrderRequest, instrument: &Instrument) -> bool {
    let field = "limit_price";
    match (request.kind, request.limit_price) {
        (OrderKind::Market, None) => true,
        (OrderKind::Market, Some(price)) => {
            let detail = "A market order has no limit price.".to_owned();
            checks.note(Rule::PriceNotAllowed, field, false, detail, (None, Some(price.to_string())))
        }
        (OrderKind::Limit, None) => {
            let detail = "A limit order needs a limit price.".to_owned();
            checks.note(Rule::PriceRequired, field, false, detail, (None, None))
        }
        (OrderKind::Limit, Some(price)) if !price.is_positive() => {
            let detail = "The limit price must be above zero.".to_owned();
            checks.note(Rule::Price, field, false, detail, numbers(0, price))
        }
        (OrderKind::Limit, Some(price)) => {
            let tick = instrument.price_increment;
            let on_tick = (price.0 % tick.0).is_zero();
            let detail = format!("The limit price must be a multiple of {tick}.");
            checks.note(Rule::PriceOffTick, field, on_tick, detail, numbers(tick, price))
        }
    }
}

/// The likely price and the worst price expected, if the market says enough to tell.
fn price(
    checks: &mut Checks,
    request: &OrderRequest,
    facts: &Facts<'_>,
    limits: &OrderLimits,
) -> Option<(Price, Price)> {
    let age = facts.quoted_at.map(|at| facts.now.duration_since(at).unsigned_abs());
    let fresh = age.filter(|age| *age <= limits.max_quote_age).and(facts.quote);
    let touch = fresh.and_then(|quote| match request.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    });
    let limit = format!("{} s", limits.max_quote_age.as_secs());
    let value = age.map_or("none".to_owned(), |age| format!("{:.1} s", age.as_secs_f64()));
    let (detail, passed) = match touch {
        Some(_) => ("There is a fresh quote.".to_owned(), true),
        None => (
            format!("There is no quote of {} from the last {limit} to price the order on.", request.symbol),
            false,
        ),
    };
    checks.note(Rule::NoQuote, "symbol", passed, detail, numbers(limit, value));
    let (market, _) = touch?;

    let Some(own) = request.limit_price else {
        let margin = Decimal::ONE + limits.market_margin;
        return Some((market, Price(market.0 * margin)));
    };
    let distance = ((own.0 - market.0) / market.0).abs();
    let detail = format!(
        "The limit price may be at most {} away from the market at {market}.",
        percent(limits.price_collar)
    );
    let near = numbers(percent(limits.price_collar), percent(distance));
    checks.note(Rule::PriceCollar, "limit_price", distance <= limits.price_collar, detail, near);
    // It would be filled at the market if that is better than the limit; what is reserved is the limit.
    let likely = match request.side {
        Side::Buy => own.min(market),
        Side::Sell => own.max(market),
    };
    Some((likely, own))
}

fn size(
    checks: &mut Checks,
    request: &OrderRequest,
    assessment: &Assessment,
    facts: &Facts<'_>,
    limits: &OrderLimits,
) {
    let notional = assessment.notional;
    let detail = format!("One order may be worth at most {}.", limits.max_notional);
    let small = notional <= limits.max_notional;
    checks.note(Rule::Notional, "quantity", small, detail, numbers(limits.max_notional, cents(notional)));
    match request.side {
        Side::Buy => {
            let needed = assessment.reserve_price * request.quantity;
            let detail = match request.kind {
                OrderKind::Market => format!(
                    "With the fee and {} for a moving price, up to {} is needed.",
                    percent(limits.market_margin),
                    cents(needed)
                ),
                OrderKind::Limit => format!("With the fee, up to {} is needed.", cents(needed)),
            };
            let affordable = needed <= facts.buying_power;
            let numbers = numbers(cents(facts.buying_power), cents(needed));
            checks.note(Rule::BuyingPower, "quantity", affordable, detail, numbers);
        }
        Side::Sell => {
            let held = request.quantity <= facts.sellable;
            let detail =
                format!("{} {} are held and not being sold already.", facts.sellable, request.symbol);
            let numbers = numbers(facts.sellable, request.quantity);
            checks.note(Rule::Position, "quantity", held, detail, numbers);
        }
    }
}

fn percent(fraction: Decimal) -> String {
    format!("{} %", (fraction * Decimal::ONE_HUNDRED).round_dp(2).normalize())
}

fn cents(money: Money) -> Money {
    Money(money.0.round_dp(2))
}

#[cfg(test)]
mod tests {
    use domain::TimeInForce;

    use super::*;

    /// Assesses "buy 1 BTC-USD market" or "sell 2 BTC-USD at 100" with 1,000 in cash and 3 coins free, bid 99, ask 101.
    fn check(order: &str, expected: &str) {
        let words: Vec<&str> = order.split(' ').collect();
        let request = OrderRequest {
            client_order_id: "c".into(),
            symbol: words[2].parse().unwrap(),
            side: words[0].parse().unwrap(),
            kind: if words[3] == "market" { OrderKind::Market } else { OrderKind::Limit },
            time_in_force: TimeInForce::Gtc,
            quantity: words[1].parse().unwrap(),
            limit_price: words.get(4).map(|price| price.parse().unwrap()),
        };
        let symbol: domain::Symbol = "BTC-USD".parse().unwrap();
        let instrument = Instrument {
            symbol: symbol.clone(),
            base: "BTC".into(),
            quote: "USD".into(),
            price_increment: "0.01".parse().unwrap(),
            quantity_increment: "0.001".parse().unwrap(),
        };
        let side = |price: &str| Some((price.parse().unwrap(), "5".parse().unwrap()));
        let quote = Quote {
            symbol,
            bid: side("99"),
            ask: side("101"),
            exchange: 1,
            at: Timestamp::UNIX_EPOCH,
            received_at: None,
        };
        let stale = words.contains(&"stale");
        let facts = Facts {
            instrument: (words[2] == "BTC-USD").then_some(&instrument),
            quote: Some(&quote),
            quoted_at: Some(Timestamp::UNIX_EPOCH),
            buying_power: "1000".parse().unwrap(),
            sellable: "3".parse().unwrap(),
            now: Timestamp::UNIX_EPOCH + Duration::from_secs(if stale { 11 } else { 1 }),
        };
        let limits = OrderLimits { max_notional: Money(Decimal::from(5_000)), ..OrderLimits::default() };
        let assessment = assess(&request, facts, &limits);
        let found = match assessment.refusal() {
            None => format!("reserves {}", assessment.reserve_price * request.quantity),
            Some(check) => format!("{} of {}", check.rule.as_str(), check.field.unwrap_or("-")),
        };
        assert_eq!(found, expected, "for {order}");
    }

    #[test]
    fn an_order_that_can_be_paid_reserves_its_worst_price_and_the_fee() {
        check("buy 1 BTC-USD market", "reserves 103.12302");
        check("buy 1 BTC-USD at 90", "reserves 90.09");
        check("sell 3 BTC-USD market", "reserves 0");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        check("buy 1 DOGE-USD market", "symbol_unknown of symbol");
        check("buy 0 BTC-USD market", "quantity_invalid of quantity");
        check("buy -1 BTC-USD market", "quantity_invalid of quantity");
        check("buy 0.0001 BTC-USD market", "quantity_too_small of quantity");
        check("buy 1.0005 BTC-USD market", "quantity_invalid of quantity");
        check("buy 99999999999 BTC-USD market", "quantity_too_large of quantity");
        check("buy 1 BTC-USD at", "price_required of limit_price");
        check("buy 1 BTC-USD market 100", "price_not_allowed of limit_price");
        check("buy 1 BTC-USD at 0", "price_invalid of limit_price");
        check("buy 1 BTC-USD at 99.999", "price_off_tick of limit_price");
    }

    #[test]
    fn what_cannot_be_priced_paid_or_delivered_is_refused() {
        check("buy 1 BTC-USD at 10", "price_collar of limit_price");
        check("buy 60 BTC-USD market", "notional_too_large of quantity");
        check("buy 10 BTC-USD market", "buying_power of quantity");
        check("sell 3.001 BTC-USD market", "position_too_small of quantity");
        check("sell 1 BTC-USD at 99 stale", "no_quote of symbol");
    }

    #[test]
    fn a_client_order_id_is_plain_text() {
        assert!(check_client_order_id("my-bot:2026.11_1").is_none());
        for bad in ["", "a b", "a\n", "ü", &"x".repeat(65)] {
            assert!(check_client_order_id(bad).is_some(), "{bad:?} was taken");
        }
    }
}
