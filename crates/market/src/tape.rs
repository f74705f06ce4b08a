//! All that is known of one symbol: its bars, its recent trades, its quote, and what it has seen already.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{Every, Instrument, Quote, Timestamp, Trade};
use rustc_hash::FxHashSet;

use crate::Kind;
use crate::series::Series;

/// Recent trades kept for the page.
pub(crate) const RECENT_TRADES: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Tape {
    pub(crate) instrument: Instrument,
    lateness_ms: i64,
    /// The market's own time on this symbol: that of its newest trade or quote.
    newest_ms: i64,
    seen: Seen,
    /// With its arrival by our clock.
    quote: Option<(Quote, Timestamp)>,
    recent: VecDeque<Arc<Trade>>,
    seconds: Series,
    minutes: Series,
}

impl Tape {
    pub(crate) fn new(instrument: Instrument, lateness_ms: i64) -> Self {
        Self {
            instrument,
            lateness_ms,
            newest_ms: i64::MIN,
            seen: Seen::default(),
            quote: None,
            recent: VecDeque::new(),
            seconds: Series::new(Every::Second),
            minutes: Series::new(Every::Minute),
        }
    }

    /// Takes a trade in. `true` when it amended a bar after a newer one had begun.
    pub(crate) fn trade(&mut self, at_ms: i64, trade: &Arc<Trade>) -> Result<bool, Kind> {
        // The shortest window decides for all, so that a minute is always the sum of its seconds.
        let length = Every::Second.millis();
        let window_end = at_ms.div_euclid(length).saturating_add(1) * length;
        if window_end.saturating_add(self.lateness_ms) <= self.newest_ms {
            // Known from before, it was told twice; else it is news that comes too late.
            let seen = trade.id.as_deref().is_some_and(|id| self.seen.contains(trade.exchange, id));
            return Err(if seen { Kind::Duplicate } else { Kind::TooLate });
        }
        if let Some(id) = trade.id.as_deref()
            && !self.seen.insert(trade.exchange, id, self.newest_ms, self.lateness_ms)
        {
            return Err(Kind::Duplicate);
        }
        let amendment = self.seconds.add(at_ms, trade);
        self.minutes.add(at_ms, trade);
        self.advance(at_ms);
        if self.recent.len() == RECENT_TRADES {
            self.recent.pop_front();
        }
        self.recent.push_back(trade.clone());
        Ok(amendment)
    }

    /// Takes a quote in.
    pub(crate) fn quote(&mut self, at_ms: i64, quote: Quote, arrived_at: Timestamp) -> Result<(), Kind> {
        if let Some((known, _)) = &self.quote
            && known.exchange == quote.exchange
            && known.at > quote.at
        {
            return Err(Kind::QuoteOutOfOrder);
        }
        self.quote = Some((quote, arrived_at));
        self.advance(at_ms);
        Ok(())
    }

    fn advance(&mut self, at_ms: i64) {
        if at_ms <= self.newest_ms {
            return;
        }
        let length = Every::Second.millis();
        let crossed = |ms: i64| ms.saturating_sub(self.lateness_ms).div_euclid(length);
        let closes = self.newest_ms == i64::MIN || crossed(at_ms) > crossed(self.newest_ms);
        self.newest_ms = at_ms;
        // Windows end on full seconds: nothing closes in between.
        if closes {
            self.seconds.close(at_ms - self.lateness_ms);
            self.minutes.close(at_ms - self.lateness_ms);
        }
    }

    /// Closes every window: the end of a recording.
    pub(crate) fn finish(&mut self) {
        self.seconds.close(i64::MAX);
        self.minutes.close(i64::MAX);
    }

    pub(crate) fn last_quote(&self) -> Option<&(Quote, Timestamp)> {
        self.quote.as_ref()
    }

    pub(crate) fn last_trade(&self) -> Option<&Arc<Trade>> {
        self.recent.back()
    }

    /// Newest first.
    pub(crate) fn recent_trades(&self, limit: usize) -> Vec<Arc<Trade>> {
        self.recent.iter().rev().take(limit).cloned().collect()
    }

    pub(crate) fn series(&self, every: Every) -> &Series {
        match every {
            Every::Second => &self.seconds,
            Every::Minute => &self.minutes,
        }
    }

    pub(crate) fn series_mut(&mut self, every: Every) -> &mut Series {
        match every {
            Every::Second => &mut self.seconds,
            Every::Minute => &mut self.minutes,
        }
    }
}

/// The ids of recent trades.
///
/// Two generations: when the younger is full and spans the lateness, it becomes the older, and the older is
/// forgotten. What a forgotten trade would have amended is closed by then, so a resend of it is refused as too late.
#[derive(Debug, Default)]
struct Seen {
    younger: FxHashSet<(u32, Id)>,
    older: FxHashSet<(u32, Id)>,
    begun_ms: i64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Id {
    /// Ids that are the canonical text of a number.
    Number(u64),
    Text(Box<str>),
}

impl Seen {
    const GENERATION: usize = 4_096;
    /// Reached only when a symbol trades more than this within the lateness; then the oldest are forgotten all the same.
    const MOST: usize = 65_536;

    fn contains(&self, exchange: u32, id: &str) -> bool {
        let key = (exchange, Id::from(id));
        self.younger.contains(&key) || self.older.contains(&key)
    }

    /// `false` when it was there.
    fn insert(&mut self, exchange: u32, id: &str, newest_ms: i64, lateness_ms: i64) -> bool {
        let full = self.younger.len() >= Self::GENERATION;
        let spans = newest_ms.saturating_sub(self.begun_ms) > lateness_ms.saturating_mul(2);
        if (full && spans) || self.younger.len() >= Self::MOST {
            self.older = std::mem::take(&mut self.younger);
            self.begun_ms = newest_ms;
        }
        let key = (exchange, Id::from(id));
        !self.older.contains(&key) && self.younger.insert(key)
    }
}

impl From<&str> for Id {
    fn from(id: &str) -> Self {
        let digits = id.bytes().all(|b| b.is_ascii_digit()) && (id == "0" || !id.starts_with('0'));
        match id.parse() {
            Ok(number) if digits => Self::Number(number),
            _ => Self::Text(id.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::BarView;
    use domain::{Bar, Decimal, Price, Quantity, TakerSide};
    use proptest::prelude::*;

    const LATENESS_MS: i64 = 5_000;

    fn tape() -> Tape {
        let symbol = "BTC-USD".parse().unwrap();
        let increment = Decimal::new(1, 8);
        let instrument = Instrument {
            symbol,
            base: "BTC".into(),
            quote: "USD".into(),
            price_increment: Price(increment),
            quantity_increment: Quantity(increment),
        };
        Tape::new(instrument, LATENESS_MS)
    }

    fn trade(at_ms: i64, id: &str, price: i64, quantity: i64, side: TakerSide) -> Arc<Trade> {
        Arc::new(Trade {
            symbol: "BTC-USD".parse().unwrap(),
            price: Price(Decimal::new(price, 2)),
            quantity: Quantity(Decimal::new(quantity, 5)),
            side,
            exchange: 1,
            id: Some(id.into()),
            at: Timestamp::from_millisecond(at_ms).unwrap(),
            received_at: None,
        })
    }

    fn put(tape: &mut Tape, trade: &Arc<Trade>) -> Result<bool, Kind> {
        tape.trade(trade.at.as_millisecond(), trade)
    }

    /// All bars of a length, at the end of the tape.
    fn bars(tape: &mut Tape, every: Every) -> Vec<Bar> {
        tape.finish();
        tape.series(every).bars(None, usize::MAX).into_iter().map(|BarView { bar, .. }| bar).collect()
    }

    prop_compose! {
        /// Trades over some minutes, and by how much each is late.
        fn trades()(drawn in prop::collection::vec(
            (0_i64..200_000, 1_i64..10_000, 1_i64..100_000, 0_usize..3, 0_i64..LATENESS_MS), 1..200
        )) -> Vec<(Arc<Trade>, i64)> {
            let sides = [TakerSide::Buy, TakerSide::Sell, TakerSide::Unknown];
            let trades = drawn.into_iter().enumerate().map(|(id, (at_ms, price, quantity, side, late_ms))| {
                // Few different times, so that ids have to decide.
                let at_ms = 1_700_000_000_000 + at_ms / 50 * 50;
                (trade(at_ms, &id.to_string(), price, quantity, sides[side]), late_ms)
            });
            trades.collect()
        }
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_within_the_lateness_gives_the_same_bars(mut trades in trades()) {
            let (mut in_order, mut as_arrived) = (tape(), tape());
            trades.sort_by_key(|(trade, _)| (trade.at, trade.id.as_deref().and_then(|id| id.parse::<u64>().ok())));
            for (trade, _) in &trades {
                prop_assert!(put(&mut in_order, trade).is_ok());
            }
            trades.sort_by_key(|(trade, late_ms)| trade.at.as_millisecond() + late_ms);
            for (trade, _) in &trades {
                prop_assert!(put(&mut as_arrived, trade).is_ok());
            }
            for every in Every::ALL {
                let expected = by_definition(&trades, every);
                prop_assert_eq!(&bars(&mut in_order, every), &expected);
                prop_assert_eq!(&bars(&mut as_arrived, every), &expected);
            }
        }
    }

    /// Bars as their definition says, from all trades at once.
    fn by_definition(trades: &[(Arc<Trade>, i64)], every: Every) -> Vec<Bar> {
        let mut windows = std::collections::BTreeMap::<i64, Vec<&Trade>>::new();
        for (trade, _) in trades {
            windows
                .entry(trade.at.as_millisecond() / every.millis() * every.millis())
                .or_default()
                .push(trade);
        }
        let bar = |(start_ms, mut trades): (i64, Vec<&Trade>)| {
            trades.sort_by_key(|trade| (trade.at, trade.id.as_deref().and_then(|id| id.parse::<u64>().ok())));
            let of = |side| trades.iter().filter(move |trade| trade.side == side);
            Bar {
                start_at: Timestamp::from_millisecond(start_ms).unwrap(),
                open: trades[0].price,
                high: trades.iter().map(|t| t.price).max().unwrap(),
                low: trades.iter().map(|t| t.price).min().unwrap(),
                close: trades[trades.len() - 1].price,
                volume: trades.iter().map(|t| t.quantity).sum(),
                notional: trades.iter().map(|t| t.price * t.quantity).sum(),
                trades: trades.len() as u64,
                buy_volume: of(TakerSide::Buy).map(|t| t.quantity).sum(),
                sell_volume: of(TakerSide::Sell).map(|t| t.quantity).sum(),
                buy_trades: of(TakerSide::Buy).count() as u64,
                sell_trades: of(TakerSide::Sell).count() as u64,
            }
        };
        windows.into_iter().map(bar).collect()
    }

    #[test]
    fn ids_of_one_millisecond_are_ordered_as_numbers() {
        let mut tape = tape();
        for (id, price) in [("10", 300), ("9", 200), ("100", 400), ("2", 100)] {
            put(&mut tape, &trade(1_700_000_000_000, id, price, 1, TakerSide::Buy)).unwrap();
        }
        let bar = bars(&mut tape, Every::Second).remove(0);
        assert_eq!((bar.open.to_string(), bar.close.to_string()), ("1".into(), "4".into()));
    }

    #[test]
    fn a_window_closes_when_the_market_is_past_it_by_the_lateness() {
        let mut tape = tape();
        let at = 1_700_000_000_000;
        let buy = |at_ms, id| trade(at_ms, id, 100, 1, TakerSide::Buy);
        put(&mut tape, &buy(at, "a")).unwrap();
        put(&mut tape, &buy(at + 5_999, "b")).unwrap();
        assert_eq!(put(&mut tape, &buy(at + 999, "c")), Ok(true), "an amendment");
        put(&mut tape, &buy(at + 6_000, "d")).unwrap();
        assert_eq!(put(&mut tape, &buy(at + 999, "e")), Err(Kind::TooLate));
        assert_eq!(put(&mut tape, &buy(at + 999, "c")), Err(Kind::Duplicate));
        let first = bars(&mut tape, Every::Second).remove(0);
        assert_eq!(first.trades, 2);
    }

    #[test]
    fn memory_of_ids_is_bounded_and_long_enough() {
        let mut seen = Seen::default();
        let ids: Vec<String> = (0..200_000).map(|id| id.to_string()).collect();
        for (index, id) in ids.iter().enumerate() {
            assert!(seen.insert(1, id, i64::try_from(index).unwrap(), LATENESS_MS));
            // What came within the last five seconds is known.
            assert!(seen.contains(1, &ids[index.saturating_sub(5_000)]));
        }
        assert!(seen.younger.len() + seen.older.len() <= 2 * Seen::MOST);
        assert!(seen.younger.len() + seen.older.len() < 40_000);
    }
}
