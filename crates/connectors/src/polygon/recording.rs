//! A recording, one frame a line, straight to bars.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use domain::{Every, ManualClock, Timestamp};
use market::{BarReport, ConditionTable, Counters, Kind, Market, Settings, write_csv};

use super::translate::translate;

/// Why a recording could not be turned into bars.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording cannot be read.
    #[error("the recording cannot be read")]
    Read(#[source] io::Error),
    /// The table cannot be written.
    #[error("the bars cannot be written")]
    Write(#[source] io::Error),
}

/// A line longer than this is no frame.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// Lines between two collections of closed bars.
const COLLECT_EVERY: usize = 64;

/// Runs a recording through the parser and the market, as fast as it can, and writes its bars as a table.
///
/// All symbols are taken in. Returns what was counted on the way.
///
/// # Errors
/// The recording cannot be read or the table cannot be written. Bad lines are no errors: they are counted.
pub fn bars_csv(
    mut recording: impl BufRead,
    every: Every,
    conditions: &ConditionTable,
    out: impl Write,
) -> Result<Arc<Counters>, ReplayError> {
    // There is no arrival in a recording; events without a time of reception are never from the future.
    let arrived_at = Timestamp::MAX;
    let market = Market::new(Settings::learning(conditions.clone()), Arc::new(ManualClock::new(arrived_at)));
    let mut feed = market.feed("recording");
    let mut report = BarReport::new(every);
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        let read = io::Read::take(&mut recording, LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(ReplayError::Read)? == 0 {
            break;
        }
        match std::str::from_utf8(&line) {
            Ok(frame) => drop(translate(frame.trim_end(), arrived_at, &mut feed)),
            Err(_) => feed.refuse(Kind::MalformedFrame, || format!("line {number} is not UTF-8")),
        }
        if number % COLLECT_EVERY == 0 {
            report.collect(&market);
        }
    }
    write_csv(&report.finish(&market), every, out).map_err(ReplayError::Write)?;
    Ok(feed.counters())
}
