//! How many orders there were lately.

use std::collections::VecDeque;
use std::time::Duration;

use domain::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// Orders of the last minute, each by its time, and of the day.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Oldest first; older than a minute are dropped when one is added.
    recent: VecDeque<Timestamp>,
    pub(super) today: u32,
}

impl Counts {
    pub(super) fn add(&mut self, at: Timestamp, is_today: bool) {
        // The clock was set back: those orders are at most as old as this one.
        let ahead = self.recent.partition_point(|earlier| *earlier <= at);
        self.recent.range_mut(ahead..).for_each(|later| *later = at);
        while self.recent.front().is_some_and(|oldest| *oldest + MINUTE <= at) {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
        if is_today {
            self.today = self.today.saturating_add(1);
        }
    }

    pub(super) fn take_back(&mut self, at: Timestamp, is_today: bool) {
        if let Ok(nth) = self.recent.binary_search(&at) {
            self.recent.remove(nth);
        }
        if is_today {
            self.today = self.today.saturating_sub(1);
        }
    }

    /// Orders of the 60 seconds before `now`. Those that seem to come from the future count too.
    pub(super) fn last_minute(&self, now: Timestamp) -> u32 {
        let since = now - MINUTE;
        let old = self.recent.partition_point(|at| *at <= since);
        u32::try_from(self.recent.len() - old).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_slides_and_a_clock_set_back_neither_clears_nor_blocks_it() {
        let second = |second: i64| Timestamp::from_second(second).unwrap();
        let mut counts = Counts::default();
        for at in [1_000, 1_030, 1_059] {
            counts.add(second(at), true);
        }
        assert_eq!([1_059, 1_060, 1_090, 1_119].map(|now| counts.last_minute(second(now))), [3, 2, 1, 0]);
        counts.add(second(500), true);
        assert_eq!([500, 559, 560].map(|now| counts.last_minute(second(now))), [4, 4, 0]);
        counts.take_back(second(500), true);
        assert_eq!((counts.last_minute(second(500)), counts.today), (3, 3));
    }
}
