//! The past of what is followed: minutes from before there was a stream, and those of the times when it was away.
//!
//! Asked for whenever Alpaca confirms what is listened to, and once more a little later: the minute in which listening
//! began was heard in part only, and is known whole when it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{Bar, Clock, Every, Money, Price, Quantity, Symbol, Timestamp};
use market::Market;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::data::{MarketData, Range};
use super::http::Failure;
use super::symbol::Class;

/// What is to be known of the past.
pub struct PastSettings {
    /// Of which class.
    pub class: Class,
    /// What is followed; what is of another class is left out.
    pub symbols: watch::Receiver<Vec<Symbol>>,
    /// Changes when a stream has begun or is for more than before.
    pub confirmed: watch::Receiver<u64>,
    /// How far back.
    pub reach: Duration,
}

/// After so long the minute in which listening began is over, and Alpaca has the whole of it.
const SETTLED: Duration = Duration::from_secs(90);
/// Between two tries.
const RETRY: Duration = Duration::from_secs(30);
/// How far a gap is reckoned to have begun before the last time that was asked for.
const OVERLAP: Duration = Duration::from_secs(180);
/// A minute that ended less than this ago may not be whole yet.
const UNSETTLED: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
/// Rows of one question.
const MOST: usize = 500_000;
/// Bars that are put in at once: fewer than the market keeps in memory, so that none is pushed out before it is stored.
const PIECE: usize = 1_000;

/// Keeps the bars of `market` without gaps until `stop`.
pub fn keep_past(
    settings: PastSettings,
    data: MarketData,
    market: Market,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let began_at = clock.now();
    tokio::spawn(Past { settings, data, market, clock, began_at, known: BTreeMap::new() }.run(stop))
}

struct Past {
    settings: PastSettings,
    data: MarketData,
    market: Market,
    clock: Arc<dyn Clock>,
    began_at: Timestamp,
    /// Until when each symbol has no gaps.
    known: BTreeMap<Symbol, Timestamp>,
}

impl Past {
    async fn run(mut self, stop: CancellationToken) {
        let (mut rounds, mut due) = (0, Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                told = self.settings.confirmed.changed() => match told {
                    Ok(()) => (rounds, due) = (2, Instant::now()),
                    Err(_) => return,
                },
                () = sleep_until(due), if rounds > 0 => {
                    let Some(filled) = stop.run_until_cancelled(self.fill()).await else { return };
                    match filled {
                        Ok(()) => (rounds, due) = (rounds - 1, Instant::now() + SETTLED),
                        Err(error) => {
                            tracing::warn!(%error, "the past could not be asked for; tried again in a while");
                            due = Instant::now() + RETRY;
                        }
                    }
                }
            }
        }
    }

    /// Asks for every minute that may be missing.
    async fn fill(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        let oldest = now - self.settings.reach;
        let Ok(end) = now.checked_sub(UNSETTLED + MINUTE) else { return Ok(()) };
        let symbols = self.settings.symbols.borrow().clone();
        let mut by_start: BTreeMap<Timestamp, Vec<Symbol>> = BTreeMap::new();
        for symbol in symbols.into_iter().filter(|symbol| Class::of(symbol) == self.settings.class) {
            let known = self.known_until(&symbol).await;
            let start = known.map_or(oldest, |known| (known - OVERLAP).max(oldest));
            by_start.entry(start).or_default().push(symbol);
        }
        for (start, symbols) in by_start {
            let range = Range { start, end: Some(end), most: MOST };
            let found = self.data.bars(&symbols, "1Min", &range).await?;
            for (symbol, rows) in found {
                let bars: Vec<Bar> =
                    rows.iter().filter_map(minute).filter(|bar| bar.start_at <= end).collect();
                tracing::debug!(%symbol, bars = bars.len(), "minutes of the past");
                for piece in bars.chunks(PIECE) {
                    self.market.fill(&symbol, Every::Minute, piece.to_vec());
                    self.market.store_bars().await;
                }
            }
            self.known.extend(symbols.into_iter().map(|symbol| (symbol, end)));
        }
        Ok(())
    }

    /// Until when a symbol has no gaps: when it was last asked for, else the newest minute that an earlier run has left.
    async fn known_until(&self, symbol: &Symbol) -> Option<Timestamp> {
        if let Some(until) = self.known.get(symbol) {
            return Some(*until);
        }
        // A database that does not answer is no reason to know nothing: then all of it is asked for.
        let stored = self.market.bars(symbol, Every::Minute, Some(self.began_at), 1).await.ok()?;
        // The minute in which that run ended was heard in part only.
        stored.last().map(|view| view.bar.start_at)
    }
}

/// A minute in our words; `None` when its numbers cannot be. Whether they are believable is the market's to say.
fn minute(bar: &alpaca::Bar) -> Option<Bar> {
    // What Alpaca rounds may come to lie a little outside.
    let vwap = bar.vwap.0.clamp(bar.low.0.min(bar.high.0), bar.high.0);
    Some(Bar {
        start_at: bar.at,
        open: Price(bar.open.0),
        high: Price(bar.high.0),
        low: Price(bar.low.0),
        close: Price(bar.close.0),
        volume: Quantity(bar.volume.0),
        notional: Money(vwap.checked_mul(bar.volume.0)?),
        trades: bar.trades,
        // Nobody says who crossed the spread.
        buy_volume: Quantity::ZERO,
        sell_volume: Quantity::ZERO,
        buy_trades: 0,
        sell_trades: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_keeps_its_average_within_its_range() {
        let text = r#"{"t":"2026-02-03T14:30:00Z","o":10,"h":10,"l":10,"c":10,"v":3,"n":2,"vw":10.000001}"#;
        let bar = minute(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!((bar.notional.to_string(), bar.trades), ("30".to_owned(), 2));
        let odd = r#"{"t":"2026-02-03T14:30:00Z","o":1,"h":1,"l":2,"c":1,"v":3,"n":2,"vw":1}"#;
        assert!(
            minute(&serde_json::from_str(odd).unwrap()).is_some(),
            "the market refuses it, without a panic"
        );
    }
}
