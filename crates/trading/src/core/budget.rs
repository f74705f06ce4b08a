//! How many requests the broker still takes: one budget for each account, with priorities.
//!
//! A token bucket: so many requests a minute, so many at once. Each priority leaves a share of the bucket to those above
//! it, so that a burst of questions never keeps a cancel waiting.

use domain::Timestamp;
use jiff::SignedDuration;

/// What a request is for; each before those that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Taking risk away.
    Cancel,
    /// Closing a position.
    Exit,
    /// Opening one.
    Entry,
    /// Asking where an order is.
    Query,
    /// Asking what happened.
    History,
}

impl Priority {
    /// Of the bucket, in tenths, what is left to those above.
    fn leaves_tenths(self) -> u64 {
        match self {
            Self::Cancel => 0,
            Self::Exit => 1,
            Self::Entry => 2,
            Self::Query => 4,
            Self::History => 5,
        }
    }
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRoom {
    /// Requests that could be made at once.
    pub free: u32,
    /// Requests that could be made at once if none had been made.
    pub burst: u32,
    /// Requests that come free in a minute.
    pub per_minute: u32,
}

/// A millionth of a request: the bucket is counted in these, so that no part of one is lost.
const PART: u64 = 1_000_000;

/// The budget of one account.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    per_minute: u64,
    burst: u64,
    parts: u64,
    at: Timestamp,
}

impl Budget {
    /// A full one.
    pub(super) fn new(per_minute: u32, burst: u32, now: Timestamp) -> Self {
        let burst = u64::from(burst.max(1));
        Self { per_minute: u64::from(per_minute.max(1)), burst, parts: burst * PART, at: now }
    }

    /// Fills up as fast as before.
    pub(super) fn clock_was_set(&mut self, by: SignedDuration) {
        self.at += by;
    }

    /// Takes one request out, if this priority may.
    pub(super) fn take(&mut self, priority: Priority, now: Timestamp) -> bool {
        self.parts = self.parts_at(now);
        self.at = self.at.max(now);
        let reserved = self.burst * PART * priority.leaves_tenths() / 10;
        let may = self.parts >= PART && self.parts - PART >= reserved.min((self.burst - 1) * PART);
        if may {
            self.parts -= PART;
        }
        may
    }

    /// The broker says that there were too many: nothing is left for now.
    pub(super) fn exhaust(&mut self, now: Timestamp) {
        self.parts = 0;
        self.at = self.at.max(now);
    }

    pub(super) fn head_room(&self, now: Timestamp) -> HeadRoom {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        HeadRoom {
            free: number(self.parts_at(now) / PART),
            burst: number(self.burst),
            per_minute: number(self.per_minute),
        }
    }

    fn parts_at(&self, now: Timestamp) -> u64 {
        let micros = u64::try_from(now.duration_since(self.at).as_micros()).unwrap_or(0);
        // Parts are millionths of a request and time is in millionths of a second.
        let new = u128::from(micros) * u128::from(self.per_minute) / 60;
        let all = u128::from(self.parts) + new;
        u64::try_from(all.min(u128::from(self.burst * PART))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn take_all(budget: &mut Budget, priority: Priority, now: Timestamp) -> usize {
        std::iter::from_fn(|| budget.take(priority, now).then_some(())).count()
    }

    #[test]
    fn those_above_always_find_something_left() {
        let now = Timestamp::UNIX_EPOCH;
        let mut budget = Budget::new(600, 100, now);
        assert_eq!(take_all(&mut budget, Priority::History, now), 50);
        assert_eq!(take_all(&mut budget, Priority::Query, now), 10);
        assert_eq!(take_all(&mut budget, Priority::Entry, now), 20);
        assert_eq!(take_all(&mut budget, Priority::Exit, now), 10);
        assert_eq!(take_all(&mut budget, Priority::Cancel, now), 10);
        assert_eq!(budget.head_room(now).free, 0);
    }

    #[test]
    fn it_fills_up_again_and_never_over() {
        let now = Timestamp::UNIX_EPOCH;
        let mut budget = Budget::new(60, 10, now);
        assert_eq!(take_all(&mut budget, Priority::Cancel, now), 10);
        let later = now + Duration::from_millis(2_500);
        assert_eq!(take_all(&mut budget, Priority::Cancel, later), 2, "one a second");
        assert_eq!(
            take_all(&mut budget, Priority::Cancel, later + Duration::from_millis(500)),
            1,
            "nothing is lost"
        );
        assert_eq!(budget.head_room(later + Duration::from_secs(3_600)).free, 10);
    }

    #[test]
    fn the_smallest_budget_lets_everything_pass_one_by_one() {
        let now = Timestamp::UNIX_EPOCH;
        let mut budget = Budget::new(60, 1, now);
        assert!(budget.take(Priority::History, now));
        assert!(!budget.take(Priority::Cancel, now));
        assert!(budget.take(Priority::Query, now + Duration::from_secs(1)));
    }
}
