//! How long answers took, in so few numbers that they can be added up in a database.

use std::time::Duration;

/// Upper bounds in milliseconds; what took longer is counted after the last.
const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/// How many numbers there are.
pub(crate) const STEPS: usize = BOUNDS_MS.len() + 1;

/// How many answers took at most so long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latencies(pub [u64; STEPS]);

impl Latencies {
    pub(crate) fn add(&mut self, took: Duration) {
        let step = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        self.0[step.unwrap_or(STEPS - 1)] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (one, more) in self.0.iter_mut().zip(other.0) {
            *one += more;
        }
    }

    /// The time in milliseconds within which a share (0 to 1) of the answers came, as if they were spread evenly within
    /// their step; for what took longer than the last bound, that bound. `None` of nothing.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = share * all as f64;
        let mut before = 0.0;
        let mut from = 0.0;
        for (bound, count) in BOUNDS_MS.iter().map(|bound| *bound as f64).zip(self.0) {
            let count = count as f64;
            if count > 0.0 && before + count >= wanted {
                return Some(from + (bound - from) * ((wanted - before) / count).clamp(0.0, 1.0));
            }
            before += count;
            from = bound;
        }
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_from_the_steps() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(0.5), None);
        for _ in 0..98 {
            latencies.add(Duration::from_micros(700));
        }
        latencies.add(Duration::from_millis(80));
        latencies.add(Duration::from_secs(60));
        assert_eq!(latencies.0.iter().sum::<u64>(), 100);
        assert!(latencies.quantile_ms(0.5).unwrap() < 1.0);
        assert_eq!(latencies.quantile_ms(0.99), Some(100.0));
        assert_eq!(latencies.quantile_ms(1.0), Some(5_000.0));
    }
}
