//! When somebody sets the machine's clock.
//!
//! The core knows no other time than the one it is told. What it waits for is moved along with the clock, so that a wait
//! stays as long as it was: neither is an order searched for days, nor is it taken for lost before its time.

use jiff::SignedDuration;

use super::Core;

impl Core {
    /// The clock was set by so much, backwards if negative.
    pub(crate) fn clock_was_set(&mut self, by: SignedDuration) {
        self.budget.clock_was_set(by);
        self.breaker.clock_was_set(by);
        let waits = self.cancel_waits.values_mut().chain(self.retries.values_mut());
        for wait in waits.chain([&mut self.listen_wait, &mut self.compare_wait]) {
            wait.clock_was_set(by);
        }
        for search in self.searches.values_mut() {
            search.clock_was_set(by);
        }
        for at in self.flattened.values_mut().chain(&mut self.compare_at).chain(&mut self.compare_timer) {
            *at += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Timestamp;

    use super::super::backoff::{Backoff, Jitter};
    use super::super::breaker::Breaker;
    use super::super::budget::{Budget, Priority};
    use super::*;

    #[test]
    fn what_waits_waits_as_long_as_it_would_have_whenever_the_clock_is_set() {
        for hours in [-72, -1, 1, 72] {
            let (by, mut jitter) = (SignedDuration::from_hours(hours), Jitter::new(1));
            let was = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000);
            let (now, second) = (was + by, Duration::from_secs(1));

            let mut wait = Backoff::default();
            wait.later(was, second, second, &mut jitter);
            wait.clock_was_set(by);
            assert!(!wait.is_due(now) && wait.is_due(now + second), "{hours}");

            let mut budget = Budget::new(60, 1, was);
            assert!(budget.take(Priority::Cancel, was));
            budget.clock_was_set(by);
            assert!(
                !budget.take(Priority::Cancel, now) && budget.take(Priority::Cancel, now + second),
                "{hours}"
            );

            let mut breaker = Breaker::default();
            while !breaker.failed(was, &mut jitter) {}
            breaker.clock_was_set(by);
            assert!(!breaker.lets_question_pass(now) && breaker.lets_question_pass(now + second), "{hours}");
            assert_eq!(breaker.opened_at(), Some(now));
        }
    }
}
