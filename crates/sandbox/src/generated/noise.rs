//! Numbers that look random and are a function of where they are asked for.

/// Noise under one key. Each use has a `level` of its own, so that no two see the same numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream.wrapping_add(0x5EED))))
    }

    fn bits(self, level: u64, index: i64) -> u64 {
        mix(self.0 ^ mix(level.wrapping_mul(0xA076_1D64_78BD_642F) ^ index.cast_unsigned()))
    }

    /// Standard normal, independent at each `index`.
    pub(crate) fn normal(self, level: u64, index: i64) -> f64 {
        let bits = self.bits(level, index);
        normal(unit(bits), unit(mix(bits)))
    }

    /// Standard normal at each moment, smooth over about `period`.
    pub(crate) fn wave(self, level: u64, at: f64, period: f64) -> f64 {
        let position = at / period;
        let cell = position.floor();
        let x = position - cell;
        let weight = x * x * (3.0 - 2.0 * x);
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 over a period")]
        let index = cell as i64;
        let (a, b) = (self.normal(level, index), self.normal(level, index + 1));
        (a * (1.0 - weight) + b * weight) / ((1.0 - weight).powi(2) + weight.powi(2)).sqrt()
    }

    /// A stream of numbers that starts at `index`.
    pub(crate) fn stream(self, level: u64, index: i64) -> Stream {
        Stream(self.bits(level, index))
    }
}

/// One number after the other (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Above 0, below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub(crate) fn normal(&mut self) -> f64 {
        normal(self.unit(), self.unit())
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// How many events happen where `mean` are expected (Poisson; Knuth's method, cut at 60).
    pub(crate) fn events(&mut self, mean: f64) -> usize {
        let end = (-mean.min(40.0)).exp();
        let mut product = self.unit();
        let mut events = 0;
        while product > end && events < 60 {
            product *= self.unit();
            events += 1;
        }
        events
    }
}

fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Box and Muller 1958.
fn normal(a: f64, b: f64) -> f64 {
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}
