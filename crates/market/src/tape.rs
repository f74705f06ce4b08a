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
