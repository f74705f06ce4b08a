//! Chance that repeats: numbers that follow from a seed and from what they are for.
//!
//! The venue draws without a state of its own: what is drawn for an order is the same after a restart.

/// A number that follows from `seed`, `of` and `purpose`, evenly spread over all of `u64`.
///
/// The mixing function is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(super) fn draw(seed: u64, of: u64, purpose: u64) -> u64 {
    mix(mix(mix(seed).wrapping_add(of)).wrapping_add(purpose))
}

fn mix(from: u64) -> u64 {
    let mut z = from.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Draws one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// Whether something with this probability (0 to 1) happens now.
    pub(crate) fn says(&mut self, share: f64) -> bool {
        if share <= 0.0 {
            return false;
        }
        self.thrown += 1;
        // 53 bits are what a fraction between 0 and 1 holds.
        let fraction = (draw(self.seed, self.thrown, 0) >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < share
    }

    /// One of `0..below`; 0 when there is no other.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.thrown += 1;
        let drawn = draw(self.seed, self.thrown, 1) % (below.max(1) as u64);
        usize::try_from(drawn).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_out_as_asked_and_a_seed_repeats_itself() {
        let count = |seed| {
            let mut dice = Dice::new(seed);
            (0..10_000).filter(|_| dice.says(0.25)).count()
        };
        assert!((2_300..2_700).contains(&count(1)), "{} of 10000 for a quarter", count(1));
        assert_eq!(count(7), count(7));
        assert!(!Dice::new(1).says(0.0));
        assert!(Dice::new(1).says(1.0));
    }
}
