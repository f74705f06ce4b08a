//! How the paper venue behaves: hours, fees, slippage, latency, borrowing, and what it does wrong on request.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Decimal, Instrument, Money, OrderClass, OrderKind, Price, Quantity, Side, Symbol, TimeInForce};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::random::draw;
use crate::broker::{Profile, Way};

/// How the venue behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaperSettings {
    /// How symbols trade that belong to no class.
    pub rules: Rules,
    /// Symbols that trade otherwise. The first class that lists a symbol counts.
    pub classes: Vec<Class>,
    /// Whether more can be sold than is held.
    pub short: Short,
    /// Refuses an order that could trade with an open one of the same account.
    pub refuse_self_cross: bool,
    /// How long the desk waits before it believes that the venue does not have an order.
    pub settle_window: Duration,
    /// How long an answer may take before the caller is told that it was lost.
    pub answer_within: Duration,
    /// Requests that the desk may send in a minute.
    pub requests_per_minute: u32,
    /// Requests that the desk may send at once, out of that.
    pub burst: u32,
    /// Where chance begins: the same seed and the same input give the same fills.
    pub seed: u64,
    /// What it does wrong from the start.
    pub misbehave: Misbehave,
}

impl Default for PaperSettings {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            classes: Vec::new(),
            short: Short::default(),
            refuse_self_cross: false,
            settle_window: Duration::from_secs(2),
            answer_within: Duration::from_secs(5),
            requests_per_minute: 1_200_000,
            burst: 20_000,
            seed: 1,
            misbehave: Misbehave::default(),
        }
    }
}

impl PaperSettings {
    /// The usual settings, with a fee in basis points of the notional of every fill.
    pub fn with_fee_bps(fee_bps: Decimal) -> Self {
        let rules = Rules { fees: Fees::basis_points(fee_bps), ..Rules::default() };
        Self { rules, ..Self::default() }
    }

    /// What the venue can do. It does not know groups of orders nor sizes in money: these are the desk's.
    pub fn profile(&self) -> Profile {
        fn closes(settings: &PaperSettings) -> bool {
            let all =
                std::iter::once(&settings.rules).chain(settings.classes.iter().map(|class| &class.rules));
            all.into_iter().any(|rules| rules.calendar != Calendar::AlwaysOpen)
        }
        let always_open = "This venue never closes: there are no auctions.";
        Profile {
            name: "paper",
            kinds: |kind| match kind {
                OrderKind::Market
                | OrderKind::Limit
                | OrderKind::Stop
                | OrderKind::StopLimit
                | OrderKind::TrailingStop => Way::Broker,
            },
            times: if closes(self) { |_| Way::Broker } else { times_without_auctions },
            classes: |class| match class {
                OrderClass::Simple => Way::Broker,
                OrderClass::Bracket | OrderClass::Oco | OrderClass::Oto => Way::Desk,
            },
            lacks: |_| None,
            notional: Way::Desk,
            extended_hours: if closes(self) { Way::Broker } else { Way::No(always_open) },
            replace: Way::Broker,
            short: if self.short.allowed { Way::Broker } else { Way::No("This venue lends nothing.") },
            refuses_duplicates: true,
            settle_window: self.settle_window,
            requests_per_minute: self.requests_per_minute,
            burst: self.burst,
        }
    }
}

fn times_without_auctions(time: TimeInForce) -> Way {
    match time {
        TimeInForce::Day | TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => Way::Broker,
        TimeInForce::Opg | TimeInForce::Cls => Way::No("This venue never closes: there are no auctions."),
    }
}

/// Symbols that trade by rules of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// For people, as `us_equities`.
    pub name: String,
    /// Which symbols.
    pub symbols: Vec<Symbol>,
    /// How they trade.
    pub rules: Rules,
}

/// How a symbol trades.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// When.
    pub calendar: Calendar,
    /// What the venue takes for it.
    pub fees: Fees,
    /// How much worse than displayed an order is filled that takes liquidity.
    pub slippage: Slippage,
    /// How long orders, cancels and replacements are on their way to the book.
    pub latency: Latency,
}

/// What the venue takes of a fill: the sum of the parts, over all fills of an order not below `minimum` nor above
/// `maximum`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fees {
    /// For each unit.
    pub per_unit: Money,
    /// Basis points of the notional when the order waited in the book. Below zero is a rebate.
    pub maker_bps: Decimal,
    /// Basis points of the notional when it took what was displayed.
    pub taker_bps: Decimal,
    /// Least for an order that is filled at all.
    pub minimum: Option<Money>,
    /// Most for an order.
    pub maximum: Option<Money>,
}

impl Default for Fees {
    fn default() -> Self {
        Self::basis_points(Decimal::from(10))
    }
}

impl Fees {
    /// Nothing but a share of the notional, in basis points (1/100 %).
    pub fn basis_points(bps: Decimal) -> Self {
        Self { per_unit: Money::ZERO, maker_bps: bps, taker_bps: bps, minimum: None, maximum: None }
    }

    /// The fee of a fill by the table alone, before the least and the most of an order.
    pub(super) fn raw(&self, price: Price, quantity: Quantity, maker: bool) -> Money {
        let bps = if maker { self.maker_bps } else { self.taker_bps };
        let share = (price * quantity).0 * bps / Decimal::from(10_000);
        Money((share + self.per_unit.0 * quantity.0).round_dp(8))
    }

    /// The fee that an order is reckoned with until it is filled: that of a taker, whatever the least and the most are.
    pub(super) fn reckoned(&self, price: Price, quantity: Quantity) -> Money {
        self.raw(price, quantity, false).max(Money::ZERO)
    }

    /// What is owed for an order whose fills come to `raw` by the table.
    pub(super) fn owed(&self, raw: Money) -> Money {
        let owed = self.minimum.map_or(raw, |least| raw.max(least));
        self.maximum.map_or(owed, |most| owed.min(most))
    }
}

/// How much worse than displayed an order is filled that takes liquidity. A limit price still holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum Slippage {
    /// Not at all: what is displayed can be had.
    #[default]
    None,
    /// By a fixed share of the price.
    BasisPoints {
        /// In basis points (1/100 %).
        bps: Decimal,
    },
    /// By `coefficient x daily volatility x sqrt(quantity / daily volume)`, as a fraction of the price.
    ///
    /// The square-root law of market impact: Toth et al., "Anomalous price impact and the critical nature of liquidity
    /// in financial markets", Physical Review X 1 (2011) 021006, where the coefficient is of order one.
    SquareRoot {
        /// About 1.
        coefficient: f64,
        /// Standard deviation of a day's return, as a fraction: 0.02 is 2 %.
        daily_volatility: f64,
        /// Units traded in a day.
        daily_volume: f64,
    },
}

impl Slippage {
    /// The price at which `quantity` of an order is filled that takes a displayed `price`, on the instrument's tick and
    /// never better than displayed.
    pub(super) fn price(&self, price: Price, quantity: Quantity, side: Side, tick: Price) -> Price {
        let fraction = match self {
            Self::None => return price,
            Self::BasisPoints { bps } => bps / Decimal::from(10_000),
            Self::SquareRoot { coefficient, daily_volatility, daily_volume } => {
                let share = f64::try_from(quantity.0).unwrap_or(0.0) / daily_volume;
                let impact = coefficient * daily_volatility * share.sqrt();
                // Not a number when the settings are senseless: then there is no impact.
                Decimal::try_from(impact).unwrap_or_default().round_dp(8)
            }
        };
        let fraction = fraction.clamp(Decimal::ZERO, Decimal::ONE);
        let tick = if tick.is_positive() { tick.0 } else { Decimal::new(1, 8) };
        let worse = match side {
            Side::Buy => (price.0 * (Decimal::ONE + fraction) / tick).ceil() * tick,
            Side::Sell => {
                ((price.0 * (Decimal::ONE - fraction) / tick).floor() * tick).max(tick.min(price.0))
            }
        };
        Price(worse)
    }
}

/// How long a request is on its way to the book. Prices move meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum Latency {
    /// It is there at once.
    #[default]
    None,
    /// Always as long.
    Fixed {
        /// In milliseconds.
        latency_ms: u64,
    },
    /// Anything between two bounds, evenly.
    Uniform {
        /// In milliseconds.
        least_ms: u64,
        /// In milliseconds.
        most_ms: u64,
    },
    /// As long as one of these, each as likely: what was measured somewhere. None at all is no latency.
    Measured {
        /// In milliseconds.
        samples_ms: Vec<u64>,
    },
}

impl Latency {
    /// How long the request is on its way that is known by the two numbers.
    pub(super) fn sample(&self, seed: u64, of: u64, purpose: u64) -> Duration {
        let drawn = draw(seed, of, purpose);
        Duration::from_millis(match self {
            Self::None => 0,
            Self::Fixed { latency_ms } => *latency_ms,
            Self::Uniform { least_ms, most_ms } => least_ms + drawn % (most_ms.saturating_sub(*least_ms) + 1),
            Self::Measured { samples_ms } => {
                let at = drawn % (samples_ms.len().max(1) as u64);
                usize::try_from(at).ok().and_then(|at| samples_ms.get(at)).copied().unwrap_or(0)
            }
        })
    }
}

/// Selling what is not held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Short {
    /// Whether the venue lends at all.
    pub allowed: bool,
    /// Units that an account may be short, by symbol; what is not listed cannot be borrowed. `None` lends any amount of
    /// everything.
    pub borrow: Option<BTreeMap<Symbol, Quantity>>,
    /// Buying power held back for a short position besides the proceeds, in per cent of its value at the market. 50 is
    /// the initial requirement of Regulation T (12 CFR 220.12).
    pub margin_percent: Decimal,
}

impl Default for Short {
    fn default() -> Self {
        Self { allowed: false, borrow: None, margin_percent: Decimal::from(50) }
    }
}

impl Short {
    /// Units of a symbol that an account may be short; `None` is any amount.
    pub(super) fn most(&self, symbol: &Symbol) -> Option<Quantity> {
        match (&self.borrow, self.allowed) {
            (_, false) => Some(Quantity::ZERO),
            (None, true) => None,
            (Some(list), true) => Some(list.get(symbol).copied().unwrap_or_default()),
        }
    }
}

/// What the venue does wrong. Shares are probabilities from 0 to 1, drawn for each request or event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Misbehave {
    /// It is gone: connections are refused, streams are cut.
    pub dead: bool,
    /// Requests that are not looked at until this is zero again. Then they are, however late.
    pub hang_before: f64,
    /// Requests that are done, but whose answer waits until this is zero again.
    pub hang_after: f64,
    /// Requests that are done and never answered.
    pub lose_answer: f64,
    /// Requests refused because there were too many.
    pub rate_limited: f64,
    /// Requests refused because the venue is out of order.
    pub unavailable: f64,
    /// Orders that are acknowledged and then rejected.
    pub lie: f64,
    /// Events that are not told.
    pub drop_events: f64,
    /// Events that are told twice.
    pub duplicate_events: f64,
    /// Events that may overtake each other: each is told at most this many places from its own. 0 keeps the order.
    pub reorder_within: usize,
    /// How long events are on their way.
    pub delay_events: Duration,
    /// How old an order must be before it is found or listed.
    pub listing_lag: Duration,
}

/// Whether a value is a whole multiple of a step. A step of zero allows everything.
pub(super) fn on_step(value: Decimal, step: Decimal) -> bool {
    step.is_zero() || (value % step).is_zero()
}

/// Whether an instrument allows a price.
pub(super) fn on_tick(instrument: &Instrument, price: Price) -> bool {
    price.is_positive() && on_step(price.0, instrument.price_increment.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn the_least_and_the_most_are_of_the_whole_order() {
        let fees = Fees {
            per_unit: money("0.005"),
            maker_bps: Decimal::ZERO,
            taker_bps: Decimal::ZERO,
            minimum: Some(money("1")),
            maximum: Some(money("4")),
        };
        let raw = |quantity: u32| fees.raw(Price(Decimal::ONE), Quantity(quantity.into()), true);
        assert_eq!(fees.owed(raw(100)), money("1"));
        assert_eq!(fees.owed(raw(100) + raw(200)), money("1.5"));
        assert_eq!(fees.owed(raw(2_000)), money("4"));
    }

    #[test]
    fn makers_may_be_paid() {
        let fees = Fees { maker_bps: Decimal::from(-1), ..Fees::basis_points(Decimal::from(5)) };
        assert_eq!(fees.raw(Price(100.into()), Quantity(10.into()), true), money("-0.1"));
        assert_eq!(fees.raw(Price(100.into()), Quantity(10.into()), false), money("0.5"));
    }

    #[test]
    fn slippage_is_always_to_the_worse_and_on_the_tick() {
        let tick = Price(Decimal::new(1, 2));
        let of = |model: &Slippage, side| model.price(Price(100.into()), Quantity(100.into()), side, tick);
        let bps = Slippage::BasisPoints { bps: Decimal::new(15, 1) };
        assert_eq!(of(&bps, Side::Buy).to_string(), "100.02");
        assert_eq!(of(&bps, Side::Sell).to_string(), "99.98");
        // 1 x 2 % x sqrt(100 / 10000) = 0.2 %
        let root = Slippage::SquareRoot { coefficient: 1.0, daily_volatility: 0.02, daily_volume: 10_000.0 };
        assert_eq!(of(&root, Side::Buy).to_string(), "100.2");
        assert_eq!(of(&root, Side::Sell).to_string(), "99.8");
        let senseless = Slippage::SquareRoot { coefficient: 1.0, daily_volatility: 0.02, daily_volume: 0.0 };
        assert_eq!(of(&senseless, Side::Buy).to_string(), "100");
    }

    #[test]
    fn latencies_stay_in_their_bounds() {
        let uniform = Latency::Uniform { least_ms: 10, most_ms: 20 };
        let drawn: Vec<_> = (0..1_000).map(|of| uniform.sample(3, of, 0).as_millis()).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&10), Some(&20)));
        assert_eq!(Latency::Measured { samples_ms: vec![] }.sample(3, 1, 0), Duration::ZERO);
        assert_eq!(Latency::Measured { samples_ms: vec![7] }.sample(3, 1, 0), Duration::from_millis(7));
    }
}
