//! A market made from a seed.
//!
//! Prices are a function of seed, symbol and time (`path`), so that the market goes on where it would have been after
//! the server was stopped for a day, and a past can be made for any moment. Trades and quotes of a second are made from
//! that path and a stream of numbers of that second alone (`tape`).
//!
//! What it imitates: volatility that comes in clusters, heavy-tailed sizes, a spread that widens when it is busy, and
//! a flow of buyers or sellers that lasts for a while and moves the price.

mod noise;
mod path;
mod tape;

use std::collections::BTreeMap;

use domain::{Bar, Every, Instrument, ManualClock, Price, Quantity, Symbol, TakerSide, Timestamp, Trade};
use market::{BarReport, ConditionTable, Market, Settings};
use tokio::sync::mpsc;

use crate::recording::{Event, Frame};
use path::Path;
use tape::{Print, Profile, Tape};

/// What the generated market lists.
const PROFILES: [Profile; 5] = [
    Profile {
        symbol: "BTC-USD",
        price: 62_000.0,
        daily: 0.028,
        tick: (1, 2),
        size: 0.012,
        trades: 3.0,
        spread: 2.2,
    },
    Profile {
        symbol: "ETH-USD",
        price: 2_600.0,
        daily: 0.034,
        tick: (1, 2),
        size: 0.21,
        trades: 2.4,
        spread: 1.8,
    },
    Profile {
        symbol: "SOL-USD",
        price: 148.0,
        daily: 0.045,
        tick: (1, 2),
        size: 2.4,
        trades: 1.8,
        spread: 1.4,
    },
    Profile {
        symbol: "XRP-USD",
        price: 0.58,
        daily: 0.038,
        tick: (1, 4),
        size: 410.0,
        trades: 1.4,
        spread: 1.3,
    },
    Profile {
        symbol: "DOGE-USD",
        price: 0.124,
        daily: 0.048,
        tick: (1, 5),
        size: 1_900.0,
        trades: 1.1,
        spread: 1.5,
    },
];

/// The vendor's number of the exchange that all of it happens on.
const EXCHANGE: u32 = 1;

/// The instruments of the generated market.
pub fn instruments() -> Vec<Instrument> {
    let instrument = |profile: &Profile| {
        let (base, quote) = profile.symbol.split_once('-')?;
        Some(Instrument {
            symbol: profile.symbol.parse().ok()?,
            base: base.to_owned(),
            quote: quote.to_owned(),
            price_increment: Price(profile.tick_size()),
            quantity_increment: Quantity(domain::Decimal::new(1, tape::SIZE_DIGITS)),
        })
    };
    PROFILES.iter().filter_map(instrument).collect()
}

/// Minutes before the end of a history whose trades are really made; before them only the path is looked at.
const EXACT_MINUTES: i64 = 20;

/// The past of a symbol of the generated market: the minutes before `until`, and the seconds of the last of them.
///
/// It ends where a server with the same seed begins. Empty for a symbol that the market does not list.
pub fn history(seed: u64, symbol: &Symbol, until: Timestamp, minutes: u32) -> Vec<(Every, Bar)> {
    let Some(index) = PROFILES.iter().position(|profile| profile.symbol == symbol.as_str()) else {
        return Vec::new();
    };
    let until_second = until.as_second();
    let this_minute = until_second.div_euclid(60);
    let first = this_minute - i64::from(minutes);
    let exact = (this_minute - EXACT_MINUTES).max(first);

    let mut tape = Tape::new(seed, index, &PROFILES[index]);
    let rough = (first..exact).filter_map(|minute| Some((Every::Minute, tape.rough_minute(minute)?)));
    let mut bars: Vec<_> = rough.collect();

    let market = Market::new(
        Settings::learning(ConditionTable::default()),
        std::sync::Arc::new(ManualClock::new(until)),
    );
    let mut feed = market.feed("history");
    let mut reports = Every::ALL.map(|every| (every, BarReport::new(every)));
    for second in exact * 60..until_second {
        for print in tape.second(second) {
            if let Print::Trade(trade) = print {
                // Made of believable numbers: nothing is refused.
                let _ = feed.put_trade(trade.to_trade(symbol));
            }
        }
        reports.iter_mut().for_each(|(_, report)| report.collect(&market));
    }
    for (every, report) in reports {
        bars.extend(report.finish(&market).into_iter().map(|(_, bar)| (every, bar)));
    }
    bars
}

/// Makes the market, second by second.
pub(crate) struct Generator {
    tapes: Vec<Tape>,
    second: i64,
    from_ms: i64,
    bars: BTreeMap<(usize, i64), VendorBar>,
}

impl Generator {
    pub(crate) fn new(seed: u64, from: Timestamp) -> Self {
        let tapes = PROFILES.iter().enumerate().map(|(index, profile)| Tape::new(seed, index, profile));
        Self {
            tapes: tapes.collect(),
            second: from.as_second(),
            from_ms: from.as_millisecond(),
            bars: BTreeMap::new(),
        }
    }

    /// Prepares frames with their times until nobody listens.
    pub(crate) fn run(mut self, frames: &mpsc::Sender<(i64, Frame)>) {
        loop {
            for frame in self.next_second() {
                if frames.blocking_send(frame).is_err() {
                    return;
                }
            }
        }
    }

    /// The frames of the next second, by the time at which they are sent.
    fn next_second(&mut self) -> Vec<(i64, Frame)> {
        // Events that are received within this many milliseconds share a frame, as on the vendor's wire.
        const FRAME_MS: i64 = 20;
        let second = self.second;
        self.second += 1;
        let mut events: BTreeMap<i64, Vec<Event>> = BTreeMap::new();
        for (index, tape) in self.tapes.iter_mut().enumerate() {
            let pair = PROFILES[index].symbol;
            for print in tape.second(second) {
                if print.at_ms() < self.from_ms {
                    continue;
                }
                if let Print::Trade(trade) = &print {
                    for length in [1_000, 60_000] {
                        let start_ms = trade.at_ms.div_euclid(length) * length;
                        self.bars
                            .entry((index, length))
                            .or_insert_with(|| VendorBar::new(start_ms))
                            .add(start_ms, trade);
                    }
                }
                let due = print.received_ms().div_euclid(FRAME_MS) * FRAME_MS + FRAME_MS;
                let channel = if matches!(print, Print::Trade(_)) { "XT" } else { "XQ" };
                let text = print.to_json(pair);
                events.entry(due).or_default().push(Event {
                    channel: channel.into(),
                    pair: pair.into(),
                    text,
                });
            }
        }
        let end_ms = (second + 1) * 1_000;
        let ended: Vec<_> = self
            .bars
            .iter()
            .filter(|((_, length), bar)| bar.start_ms + length <= end_ms)
            .map(|(key, _)| *key)
            .collect();
        for key in ended {
            let ((index, length), Some(bar)) = (key, self.bars.remove(&key)) else { continue };
            let (channel, pair) = (if length == 1_000 { "XAS" } else { "XA" }, PROFILES[index].symbol);
            let text = bar.to_json(channel, pair, length);
            events.entry(end_ms + 150).or_default().push(Event {
                channel: channel.into(),
                pair: pair.into(),
                text,
            });
        }
        events.into_iter().map(|(due, events)| (due, Frame::of(events))).collect()
    }
}

/// A second or a minute as the vendor tells it.
struct VendorBar {
    start_ms: i64,
    prices: Option<[domain::Decimal; 4]>,
    volume: domain::Decimal,
    notional: domain::Decimal,
    trades: u32,
}

impl VendorBar {
    fn new(start_ms: i64) -> Self {
        let zero = domain::Decimal::ZERO;
        Self { start_ms, prices: None, volume: zero, notional: zero, trades: 0 }
    }

    fn add(&mut self, start_ms: i64, trade: &tape::Deal) {
        if start_ms != self.start_ms {
            *self = Self::new(start_ms);
        }
        let (price, size) = (trade.price.0, trade.size.0);
        let [open, high, low, _] = self.prices.unwrap_or([price; 4]);
        self.prices = Some([open, high.max(price), low.min(price), price]);
        self.volume += size;
        self.notional += price * size;
        self.trades += 1;
    }

    fn to_json(&self, channel: &str, pair: &str, length: i64) -> String {
        let [open, high, low, close] = self.prices.unwrap_or_default();
        let (start, end) = (self.start_ms, self.start_ms + length);
        let vwap = self.notional.checked_div(self.volume).unwrap_or_default().round_dp(6);
        let average = self.volume.checked_div(self.trades.into()).unwrap_or_default().round_dp(8);
        let volume = self.volume;
        format!(
            r#"{{"ev":"{channel}","pair":"{pair}","o":{open},"c":{close},"h":{high},"l":{low},"v":{volume},"vw":{vwap},"z":{average},"s":{start},"e":{end}}}"#
        )
    }
}

impl tape::Deal {
    fn to_trade(&self, symbol: &Symbol) -> Trade {
        Trade {
            symbol: symbol.clone(),
            price: self.price,
            quantity: self.size,
            side: if self.is_buy { TakerSide::Buy } else { TakerSide::Sell },
            exchange: EXCHANGE,
            id: Some(self.id.to_string().into()),
            at: Timestamp::from_millisecond(self.at_ms).unwrap_or_default(),
            received_at: Timestamp::from_millisecond(self.received_ms).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use noise::Noise;
    use tape::{Deal, Spread};

    /// 2026-03-02 00:00 UTC.
    const BEGIN: i64 = 1_772_409_600;

    fn tape(index: usize) -> Tape {
        Tape::new(42, index, &PROFILES[index])
    }

    fn deals(tape: &mut Tape, seconds: i64) -> Vec<Deal> {
        let prints = (BEGIN..BEGIN + seconds).flat_map(|second| tape.second(second));
        prints.filter_map(|print| if let Print::Trade(deal) = print { Some(deal) } else { None }).collect()
    }

    fn correlation(pairs: &[(f64, f64)]) -> f64 {
        let n = pairs.len() as f64;
        let (mean_a, mean_b) =
            (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
        let sum =
            |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - mean_a, b - mean_b)).sum::<f64>();
        sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
    }

    fn lagged(values: &[f64], lag: usize) -> f64 {
        let pairs: Vec<_> = values.iter().copied().zip(values.iter().skip(lag).copied()).collect();
        correlation(&pairs)
    }

    #[test]
    fn the_same_seed_and_time_give_the_same_market_and_another_seed_does_not() {
        let (mut one, mut again, mut other) = (tape(0), tape(0), Tape::new(43, 0, &PROFILES[0]));
        // Asked in another order, as after a restart.
        let later = again.second(BEGIN + 86_400);
        assert_eq!(one.second(BEGIN), again.second(BEGIN));
        assert_eq!(one.second(BEGIN + 86_400), later);
        assert_ne!(other.second(BEGIN + 86_400), later);
    }

    #[test]
    fn every_trade_is_at_the_quote_of_its_moment() {
        for (index, profile) in PROFILES.iter().enumerate() {
            let mut tape = tape(index);
            for second in BEGIN..BEGIN + 600 {
                let mut quote: Option<Spread> = None;
                let mut last_ms = second * 1_000;
                for print in tape.second(second) {
                    assert!(print.at_ms() >= last_ms && print.at_ms() < (second + 1) * 1_000);
                    assert!(print.received_ms() > print.at_ms());
                    last_ms = print.at_ms();
                    match print {
                        Print::Quote(spread) => {
                            assert!(spread.bid.0.is_positive() && spread.bid.0 < spread.ask.0, "{spread:?}");
                            assert!(spread.bid.1.is_positive() && spread.ask.1.is_positive());
                            let width = (spread.ask.0 - spread.bid.0).0;
                            assert!(
                                width / spread.bid.0.0 < domain::Decimal::new(1, 2),
                                "{}",
                                profile.symbol
                            );
                            quote = Some(spread);
                        }
                        Print::Trade(deal) => {
                            let quote = quote.as_ref().expect("a quote comes before the first trade");
                            assert_eq!(deal.price, if deal.is_buy { quote.ask.0 } else { quote.bid.0 });
                            assert!(deal.size.is_positive());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rates_sizes_and_prices_are_those_of_a_market() {
        for (index, profile) in PROFILES.iter().enumerate() {
            let deals = deals(&mut tape(index), 3_600);
            let rate = deals.len() as f64 / 3_600.0;
            assert!((0.3..20.0).contains(&rate), "{}: {rate} trades a second", profile.symbol);
            let mut sizes: Vec<f64> = deals.iter().map(|d| d.size.0.try_into().unwrap()).collect();
            sizes.sort_by(f64::total_cmp);
            let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
            assert!(largest > 20.0 * median, "{}: {largest} against {median}", profile.symbol);
            let price: f64 = deals[0].price.0.try_into().unwrap();
            assert!(
                (profile.price / 3.0..profile.price * 3.0).contains(&price),
                "{}: {price}",
                profile.symbol
            );
        }
    }

    #[test]
    fn buyers_and_sellers_come_in_runs_and_move_the_price() {
        let mut tape = tape(0);
        let signs: Vec<f64> =
            deals(&mut tape, 3_600).iter().map(|deal| if deal.is_buy { 1.0 } else { -1.0 }).collect();
        assert!(lagged(&signs, 1) > 0.1, "{}", lagged(&signs, 1));
        assert!(lagged(&signs, 5) > 0.05, "{}", lagged(&signs, 5));

        let mut path = Path::new(Noise::new(42, 0), PROFILES[0].price, PROFILES[0].daily);
        let moves: Vec<(f64, f64)> = (BEGIN..BEGIN + 3_600)
            .map(|second| {
                let flow: f64 = tape
                    .second(second)
                    .iter()
                    .map(|print| match print {
                        Print::Trade(deal) => {
                            if deal.is_buy {
                                1.0
                            } else {
                                -1.0
                            }
                        }
                        Print::Quote(_) => 0.0,
                    })
                    .sum();
                (flow, path.at(second + 1) - path.at(second))
            })
            .collect();
        assert!(correlation(&moves) > 0.15, "{}", correlation(&moves));
    }

    #[test]
    fn volatility_comes_in_clusters_and_direction_does_not() {
        let mut path = Path::new(Noise::new(42, 0), PROFILES[0].price, PROFILES[0].daily);
        let minutes: Vec<f64> = (0..10 * 1_440).map(|minute| path.at(BEGIN + minute * 60)).collect();
        let returns: Vec<f64> = minutes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let sizes: Vec<f64> = returns.iter().map(|r| r.abs()).collect();
        assert!(lagged(&sizes, 1) > 0.15, "{}", lagged(&sizes, 1));
        assert!(lagged(&sizes, 30) > 0.05, "{}", lagged(&sizes, 30));
        assert!(lagged(&returns, 1).abs() < 0.05, "{}", lagged(&returns, 1));
        let days: Vec<f64> = minutes.chunks(1_440).map(|day| day[1_439] - day[0]).collect();
        assert!(days.iter().all(|day| day.abs() < 0.2), "{days:?}");
    }

    #[test]
    fn history_ends_where_the_live_market_begins() {
        let symbol: Symbol = PROFILES[0].symbol.parse().unwrap();
        let until = Timestamp::from_second(BEGIN + 90).unwrap();
        let history = history(42, &symbol, until, 1_440);
        let bars =
            |every| history.iter().filter(move |(e, _)| *e == every).map(|(_, bar)| bar).collect::<Vec<_>>();
        let (minutes, seconds) = (bars(Every::Minute), bars(Every::Second));
        assert_eq!(minutes.len(), 1_441);
        assert!(minutes.windows(2).all(|pair| pair[0].start_at < pair[1].start_at));
        for bar in history.iter().map(|(_, bar)| bar) {
            assert!(bar.low <= bar.open.min(bar.close) && bar.open.max(bar.close) <= bar.high, "{bar:?}");
            assert!(bar.low <= bar.vwap() && bar.vwap() <= bar.high, "{bar:?}");
            assert!(bar.buy_volume + bar.sell_volume == bar.volume && bar.trades >= 1);
        }
        assert_eq!(seconds.last().map(|bar| bar.close), minutes.last().map(|bar| bar.close));
        let gap = |a: Price, b: Price| ((a - b).0 / a.0).abs();
        for pair in minutes.windows(2) {
            assert!(gap(pair[0].close, pair[1].open) < domain::Decimal::new(5, 3), "{pair:?}");
        }
        let live = deals(&mut tape(0), 120).into_iter().find(|deal| deal.at_ms >= (BEGIN + 90) * 1_000);
        let (last, live) = (minutes[1_440].close, live.expect("there is a trade within 30 s").price);
        assert!(gap(last, live) < domain::Decimal::new(2, 3), "{last} {live}");
    }
}
