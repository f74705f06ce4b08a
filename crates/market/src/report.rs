//! Bars of a whole recording, and their table.

use std::collections::BTreeMap;
use std::io::Write;

use domain::{Bar, Decimal, Every, Symbol};

use crate::Market;

/// Collects the closed bars of a market while a recording runs through it.
pub struct BarReport {
    every: Every,
    /// By start, then symbol.
    bars: BTreeMap<(i64, Symbol), Bar>,
}

impl BarReport {
    /// Nothing yet.
    pub fn new(every: Every) -> Self {
        Self { every, bars: BTreeMap::new() }
    }

    /// Takes what has closed since the last call. The market keeps only the last hour of seconds: call it often.
    pub fn collect(&mut self, market: &Market) {
        for (symbol, tape) in market.desk.all_tapes() {
            for bar in tape.lock().series_mut(self.every).take_closed_unstored() {
                self.bars.insert((bar.start_at.as_millisecond(), symbol.clone()), bar);
            }
        }
    }

    /// The recording has ended: takes what is still open too.
    pub fn finish(mut self, market: &Market) -> Vec<(Symbol, Bar)> {
        for (_, tape) in market.desk.all_tapes() {
            tape.lock().finish();
        }
        self.collect(market);
        self.bars.into_iter().map(|((_, symbol), bar)| (symbol, bar)).collect()
    }
}

const COLUMNS: [&str; 18] = [
    "window_start_ms",
    "window_end_ms",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trades",
    "avg_size",
    "buy_volume",
    "sell_volume",
    "buy_trades",
    "sell_trades",
    "delta",
    "imbalance",
    "cvd",
    "symbol",
];

/// Digits after the point of what is divided.
const DIGITS: u32 = 10;

/// Writes bars as a table, in their order.
///
/// `delta` is the volume bought less the volume sold, `imbalance` its share of the volume, `cvd` its running sum by
/// symbol; `avg_size` is the volume over the number of trades.
///
/// # Errors
/// `out` cannot be written to.
pub fn write_csv(bars: &[(Symbol, Bar)], every: Every, out: impl Write) -> std::io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS)?;
    let mut sums: BTreeMap<&Symbol, Decimal> = BTreeMap::new();
    for (symbol, bar) in bars {
        let delta = bar.buy_volume.0 - bar.sell_volume.0;
        let cvd = sums.entry(symbol).or_default();
        *cvd += delta;
        let start_ms = bar.start_at.as_millisecond();
        let share = |of: Decimal, whole: Decimal| {
            of.checked_div(whole).unwrap_or_default().round_dp(DIGITS).normalize().to_string()
        };
        table.write_record([
            start_ms.to_string(),
            (start_ms + every.millis()).to_string(),
            bar.open.to_string(),
            bar.high.to_string(),
            bar.low.to_string(),
            bar.close.to_string(),
            bar.volume.to_string(),
            share(bar.notional.0, bar.volume.0),
            bar.trades.to_string(),
            share(bar.volume.0, Decimal::from(bar.trades)),
            bar.buy_volume.to_string(),
            bar.sell_volume.to_string(),
            bar.buy_trades.to_string(),
            bar.sell_trades.to_string(),
            delta.normalize().to_string(),
            share(delta, bar.volume.0),
            cvd.normalize().to_string(),
            symbol.to_string(),
        ])?;
    }
    table.flush()
}
