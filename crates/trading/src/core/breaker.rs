//! A broker that does not answer is spared for a while: a circuit breaker, one for each account.
//!
//! Closed, everything passes. After [`FAILURES`] failures in a row it opens: no orders are sent, and only one question at
//! a time is let through as a probe. The first answer closes it. Cancels always pass: they can only reduce risk.

use std::time::Duration;

use domain::Timestamp;
use jiff::SignedDuration;

use super::backoff::{Backoff, Jitter};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// Between the first two probes.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Between two probes at most.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Whether the broker is spared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    opened_at: Option<Timestamp>,
    probe: Backoff,
}

impl Breaker {
    /// The broker answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The broker did not answer, or said that it cannot. True when that opened it.
    pub(crate) fn failed(&mut self, now: Timestamp, jitter: &mut Jitter) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return false;
        }
        self.probe.later(now, FIRST_WAIT, LONGEST_WAIT, jitter);
        let news = self.opened_at.is_none();
        self.opened_at.get_or_insert(now);
        news
    }

    /// Stays open as long as it would have.
    pub(super) fn clock_was_set(&mut self, by: SignedDuration) {
        if let Some(at) = &mut self.opened_at {
            *at += by;
        }
        self.probe.clock_was_set(by);
    }

    /// Since when it is open.
    pub(crate) fn opened_at(&self) -> Option<Timestamp> {
        self.opened_at
    }

    /// Whether orders may be sent.
    pub(crate) fn lets_orders_pass(&self) -> bool {
        self.opened_at.is_none()
    }

    /// Whether a question may be asked.
    pub(crate) fn lets_question_pass(&self, now: Timestamp) -> bool {
        self.opened_at.is_none() || self.probe.is_due(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_the_first_answer() {
        let (mut breaker, mut jitter, now) = (Breaker::default(), Jitter::new(1), Timestamp::UNIX_EPOCH);
        for _ in 1..FAILURES {
            assert!(!breaker.failed(now, &mut jitter));
        }
        breaker.answered();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(now, &mut jitter));
        }
        assert!(breaker.failed(now, &mut jitter), "the fifth in a row opens it");
        assert!(!breaker.failed(now, &mut jitter), "it is open already");
        assert!(!breaker.lets_orders_pass() && !breaker.lets_question_pass(now));
        assert!(breaker.lets_question_pass(now + LONGEST_WAIT));
        assert_eq!(breaker.opened_at(), Some(now));
        breaker.answered();
        assert!(breaker.lets_orders_pass() && breaker.lets_question_pass(now));
    }
}
