//! The quotes and trades of one second.

use domain::{Bar, Decimal, Money, Price, Quantity, Timestamp};

use super::noise::{Noise, Stream};
use super::{EXCHANGE, Path};

/// What kind of instrument it is.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) symbol: &'static str,
    /// Where the price comes back to in the long run.
    pub(crate) price: f64,
    /// Standard deviation of a day's change, as a fraction.
    pub(crate) daily: f64,
    /// The price increment: a whole number and its digits after the point.
    pub(crate) tick: (i64, u32),
    /// Median size of a trade.
    pub(crate) size: f64,
    /// Trades a second, in a middling mood.
    pub(crate) trades: f64,
    /// Mean spread in ticks, in a middling mood.
    pub(crate) spread: f64,
}

impl Profile {
    pub(crate) fn tick_size(&self) -> Decimal {
        Decimal::new(self.tick.0, self.tick.1)
    }
}

/// Digits after the point of a size.
pub(crate) const SIZE_DIGITS: u32 = 8;

/// Something printed on the tape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Print {
    Trade(Deal),
    Quote(Spread),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deal {
    pub(crate) at_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) price: Price,
    pub(crate) size: Quantity,
    pub(crate) is_buy: bool,
    pub(crate) id: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) at_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) bid: (Price, Quantity),
    pub(crate) ask: (Price, Quantity),
}

impl Print {
    pub(crate) fn at_ms(&self) -> i64 {
        match self {
            Self::Trade(deal) => deal.at_ms,
            Self::Quote(spread) => spread.at_ms,
        }
    }

    pub(crate) fn received_ms(&self) -> i64 {
        match self {
            Self::Trade(deal) => deal.received_ms,
            Self::Quote(spread) => spread.received_ms,
        }
    }

    /// As the vendor writes it: numbers as numbers, 1 for the sell side and 2 for the buy side.
    pub(crate) fn to_json(&self, pair: &str) -> String {
        match self {
            Self::Trade(Deal { at_ms, received_ms, price, size, is_buy, id }) => {
                let condition = if *is_buy { 2 } else { 1 };
                format!(
                    r#"{{"ev":"XT","pair":"{pair}","p":{price},"t":{at_ms},"s":{size},"c":[{condition}],"i":"{id}","x":{EXCHANGE},"r":{received_ms}}}"#
                )
            }
            Self::Quote(Spread { at_ms, received_ms, bid, ask }) => {
                let ((bid, bid_size), (ask, ask_size)) = (bid, ask);
                format!(
                    r#"{{"ev":"XQ","pair":"{pair}","bp":{bid},"bs":{bid_size},"ap":{ask},"as":{ask_size},"t":{at_ms},"x":{EXCHANGE},"r":{received_ms}}}"#
                )
            }
        }
    }
}

const SECOND: u64 = 30;
const ROUGH: u64 = 31;
const SPREAD: u64 = 32;

/// The tape of one symbol.
#[derive(Debug)]
pub(crate) struct Tape {
    noise: Noise,
    path: Path,
    profile: &'static Profile,
}

/// The book around a moment, in ticks.
#[derive(Clone, Copy, PartialEq)]
struct Top {
    bid: i64,
    ask: i64,
}

impl Tape {
    pub(crate) fn new(seed: u64, index: usize, profile: &'static Profile) -> Self {
        let noise = Noise::new(seed, index as u64);
        Self { noise, path: Path::new(noise, profile.price, profile.daily), profile }
    }

    /// What is printed in a second, in order of its time.
    pub(crate) fn second(&mut self, second: i64) -> Vec<Print> {
        let (from, to) = (self.path.at(second), self.path.at(second + 1));
        let second_ms = second * 1_000;
        let mood = self.path.mood(seconds(second));
        let flow = self.path.flow(seconds(second));
        // How unusual this second's move is; busy seconds draw trades, and the side that moves the price trades more.
        let move_size = (to - from) / self.path.second_deviation(second);
        let trades_mean = self.profile.trades * (mood * 1.2).exp() * (0.6 + 0.5 * move_size.abs().min(4.0));
        let buy_share = 1.0 / (1.0 + (-(1.1 * flow + 0.5 * move_size)).exp());

        let mut stream = self.noise.stream(SECOND, second);
        let trades = stream.events(trades_mean);
        let quotes = stream.events(2.0 + 2.0 * trades_mean);
        let mut moments: Vec<(i64, bool)> =
            (0..trades + quotes).map(|index| (millis(stream.unit()), index < trades)).collect();
        moments.sort_unstable();

        // One delay a second, so that what happened first is received first.
        let delay_ms = 3 + millis(stream.unit()) % 9;
        let mut prints = Vec::with_capacity(trades + quotes);
        let mut id = second_ms;
        let mut shown: Option<Top> = None;
        for (offset_ms, is_trade) in moments {
            let at_ms = second_ms + offset_ms;
            let share = offset_ms as f64 / 1_000.0;
            let mut top = self.top(from + (to - from) * share, at_ms, mood);
            if shown != Some(top) || !is_trade {
                prints.push(self.quote(top, (at_ms, at_ms + delay_ms), &mut stream));
                shown = Some(top);
            }
            if !is_trade {
                continue;
            }
            let is_buy = stream.chance(buy_share);
            // A large order takes more than one level.
            loop {
                prints.push(self.deal(top, is_buy, (at_ms, at_ms + delay_ms), id, &mut stream));
                id += 1;
                if !stream.chance(0.12) || id - second_ms > 900 {
                    break;
                }
                let step = 1 + millis(stream.unit()) % 3;
                top = if is_buy {
                    Top { ask: top.ask + step, ..top }
                } else {
                    Top { bid: (top.bid - step).max(1), ..top }
                };
                prints.push(self.quote(top, (at_ms, at_ms + delay_ms), &mut stream));
                shown = Some(top);
            }
        }
        prints
    }

    /// A minute of the past without making its trades: its prices are on the path, its volume is about right.
    pub(crate) fn rough_minute(&mut self, minute: i64) -> Option<Bar> {
        let points = self.path.seconds_of(minute);
        let tick = |log: f64| self.ticks(log);
        let (open, close) = (tick(*points.first()?), tick(*points.last()?));
        let high = points.iter().map(|point| tick(*point)).max()?;
        let low = points.iter().map(|point| tick(*point)).min()?;
        let mood = self.path.mood(seconds(minute * 60 + 30));
        let flow: f64 =
            (0..6).map(|part| self.path.flow(seconds(minute * 60 + part * 10))).sum::<f64>() / 6.0;
        let mut stream = self.noise.stream(ROUGH, minute);

        let trades = (self.profile.trades * 60.0 * (mood * 1.2).exp() * 1.15).max(1.0).round();
        let volume = trades * self.profile.size * 2.1 * (0.25 * stream.normal()).exp();
        let buy_share = (1.0 / (1.0 + (-1.1 * flow).exp()) + 0.04 * stream.normal()).clamp(0.02, 0.98);
        let (trades, buy_trades) = (whole(trades), whole((trades * buy_share).round()));
        let (volume, buy_volume) = (size(volume), size(volume * buy_share));
        let vwap = Decimal::new((open + high + low + close) / 4, self.profile.tick.1);
        Some(Bar {
            start_at: Timestamp::from_second(minute * 60).ok()?,
            open: self.price(open),
            high: self.price(high),
            low: self.price(low),
            close: self.price(close),
            volume,
            notional: Money(vwap * volume.0),
            trades,
            buy_volume,
            sell_volume: volume - buy_volume,
            buy_trades,
            sell_trades: trades - buy_trades,
        })
    }

    /// Best bid and ask where the logarithm of the price is `log`.
    fn top(&self, log: f64, at_ms: i64, mood: f64) -> Top {
        let middle = self.ticks(log);
        let width = self.noise.wave(SPREAD, at_ms as f64 / 1_000.0, 0.7).abs();
        let spread = 1 + whole_i64((self.profile.spread - 1.0) * width * (mood * 0.8).exp() * 1.25);
        let bid = (middle - spread / 2).max(1);
        Top { bid, ask: bid + spread }
    }

    fn quote(&self, top: Top, (at_ms, received_ms): (i64, i64), stream: &mut Stream) -> Print {
        let typical = self.profile.size * 12.0;
        let mut shown = || size(typical * stream.normal().exp());
        let (bid, ask) = ((self.price(top.bid), shown()), (self.price(top.ask), shown()));
        Print::Quote(Spread { at_ms, received_ms, bid, ask })
    }

    fn deal(
        &self,
        top: Top,
        is_buy: bool,
        (at_ms, received_ms): (i64, i64),
        id: i64,
        stream: &mut Stream,
    ) -> Print {
        // Lognormal, and one in eighty from a Pareto tail with exponent 1.5.
        let body = self.profile.size * (1.2 * stream.normal()).exp();
        let tail = if stream.chance(1.0 / 80.0) { stream.unit().powf(-1.0 / 1.5).min(400.0) } else { 1.0 };
        Print::Trade(Deal {
            at_ms,
            received_ms,
            price: self.price(if is_buy { top.ask } else { top.bid }),
            size: size(body * tail),
            is_buy,
            id,
        })
    }

    fn price(&self, ticks: i64) -> Price {
        Price(Decimal::new(ticks * self.profile.tick.0, self.profile.tick.1))
    }

    fn ticks(&self, log: f64) -> i64 {
        let (whole, digits) = self.profile.tick;
        let per_unit = 10_i64.pow(digits) / whole;
        whole_i64(log.exp() * per_unit as f64).max(2)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below a thousand")]
fn millis(unit: f64) -> i64 {
    (unit * 1_000.0) as i64
}

#[expect(clippy::cast_possible_truncation, reason = "prices in ticks and sizes of trades fit")]
fn whole_i64(value: f64) -> i64 {
    value.round() as i64
}

fn whole(value: f64) -> u64 {
    whole_i64(value).unsigned_abs()
}

/// At least the smallest size there is.
fn size(units: f64) -> Quantity {
    Quantity(Decimal::new(whole_i64(units * 10_f64.powi(SIZE_DIGITS as i32)).max(1), SIZE_DIGITS))
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
fn seconds(second: i64) -> f64 {
    second as f64
}
