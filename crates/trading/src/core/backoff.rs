//! Waiting longer each time, and never all at the same moment.

use std::time::Duration;

use domain::Timestamp;
use jiff::SignedDuration;

/// A small source of numbers that look random, for jitter only: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between three quarters of `wait` and all of it.
    pub(crate) fn shorten(&mut self, wait: Duration) -> Duration {
        wait - wait.mul_f64((self.next() >> 11) as f64 / (1_u64 << 53) as f64 / 4.0)
    }
}

/// When to try again: doubles with every failure.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    wait: Duration,
    at: Option<Timestamp>,
}

impl Backoff {
    /// Puts the next try off.
    pub(crate) fn later(&mut self, now: Timestamp, unit: Duration, longest: Duration, jitter: &mut Jitter) {
        self.wait = (self.wait * 2).clamp(unit, longest);
        self.at = Some(now + jitter.shorten(self.wait));
    }

    /// Waits as long as before.
    pub(crate) fn clock_was_set(&mut self, by: SignedDuration) {
        if let Some(at) = &mut self.at {
            *at += by;
        }
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.at.is_none_or(|at| at <= now)
    }
}
