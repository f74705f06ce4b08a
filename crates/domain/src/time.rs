//! Time is UTC and passed in. Only the edge of the program owns a [`SystemClock`].

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present moment, UTC. Somebody may set the clock, and then it jumps, backwards too.
    fn now(&self) -> Timestamp;

    /// Time since some moment, which nobody sets: two readings tell how long it was in between.
    fn steady(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.now().as_microsecond()).unwrap_or(0))
    }
}

/// The machine's clock. The one place in the program that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn steady(&self) -> Duration {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGUN.elapsed()
    }
}

/// A clock that stands still until it is told to move. For tests and replays.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Mutex::new((at, Duration::ZERO)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let (now, steady) = &mut *self.lock();
        *now += by;
        *steady += by;
    }

    /// Sets the clock, backwards too: no time passes.
    pub fn set(&self, at: Timestamp) {
        self.lock().0 = at;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn steady(&self) -> Duration {
        self.lock().1
    }
}

/// Microseconds since 1970-01-01 UTC: the form in which times are stored.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The reverse of [`micros`]. A stored number outside of the calendar becomes its nearest end.
pub fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
