//! Where the price is at any second: days, and bridges between them, down to seconds.

use super::noise::Noise;

const DAY: u64 = 1;
const MINUTE: u64 = 2;
const SECOND: u64 = 3;
const VOLATILITY: u64 = 10;
const FLOW: u64 = 20;

const MINUTES_PER_DAY: i64 = 1_440;

/// The logarithm of the price, and what drives it.
#[derive(Debug)]
pub(crate) struct Path {
    noise: Noise,
    log_price: f64,
    /// Standard deviation of the daily change of the logarithm.
    daily: f64,
    day: (i64, Vec<f64>),
    minute: (i64, Vec<f64>),
}

impl Path {
    pub(crate) fn new(noise: Noise, price: f64, daily: f64) -> Self {
        let none = || (i64::MIN, Vec::new());
        Self { noise, log_price: price.ln(), daily, day: none(), minute: none() }
    }

    /// Busy above 0, calm below: a sum of waves from six hours down to a minute and a half.
    pub(crate) fn mood(&self, second: f64) -> f64 {
        let waves = [(6.0 * 3_600.0, 0.40), (3_600.0, 0.40), (600.0, 0.40), (90.0, 0.25)];
        let sum = waves
            .iter()
            .zip(VOLATILITY..)
            .map(|((period, share), level)| share * self.noise.wave(level, second, *period));
        sum.sum()
    }

    /// Volatility as a multiple of its mean.
    fn volatility(&self, second: f64) -> f64 {
        (self.mood(second) - 0.25).exp()
    }

    /// Who presses: buyers above 0, sellers below; standard normal, and lasting for some seconds.
    pub(crate) fn flow(&self, second: f64) -> f64 {
        0.75 * self.noise.wave(FLOW, second, 25.0) + 0.66 * self.noise.wave(FLOW + 1, second, 4.0)
    }

    /// Standard deviation of the change of the logarithm over a second, in this minute.
    pub(crate) fn second_deviation(&self, second: i64) -> f64 {
        let minute = second.div_euclid(60);
        self.daily / (86_400.0_f64).sqrt() * self.volatility(seconds(minute * 60))
    }

    /// The logarithm of the price at the start of a second.
    pub(crate) fn at(&mut self, second: i64) -> f64 {
        let minute = second.div_euclid(60);
        if self.minute.0 != minute {
            self.minute = (minute, self.seconds_of(minute));
        }
        usize::try_from(second.rem_euclid(60))
            .ok()
            .and_then(|index| self.minute.1.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// The sixty seconds of a minute and the first of the next.
    pub(crate) fn seconds_of(&mut self, minute: i64) -> Vec<f64> {
        let (from, to) = (self.minute_start(minute), self.minute_start(minute + 1));
        let deviation = self.second_deviation(minute * 60);
        let noise = self.noise;
        // Half of the way that a second goes is what the flow has pushed.
        let steps = (minute * 60..minute * 60 + 60).map(|second| {
            deviation * (0.8 * noise.normal(SECOND, second) + 0.6 * self.flow(seconds(second)))
        });
        bridge(from, to, steps.collect())
    }

    fn minute_start(&mut self, minute: i64) -> f64 {
        let day = minute.div_euclid(MINUTES_PER_DAY);
        if self.day.0 != day {
            let first = day * MINUTES_PER_DAY;
            let deviation = self.daily / 1_440.0_f64.sqrt();
            let steps = (first..first + MINUTES_PER_DAY).map(|minute| {
                deviation * self.volatility(seconds(minute * 60)) * self.noise.normal(MINUTE, minute)
            });
            self.day = (day, bridge(self.day_start(day), self.day_start(day + 1), steps.collect()));
        }
        let index = usize::try_from(minute.rem_euclid(MINUTES_PER_DAY)).ok();
        index.and_then(|index| self.day.1.get(index)).copied().unwrap_or_default()
    }

    /// A walk that forgets a little every day, so that a year later the price is still one that people would know.
    fn day_start(&self, day: i64) -> f64 {
        let steps = (0..150).map(|back| 0.97_f64.powi(back) * self.noise.normal(DAY, day - i64::from(back)));
        self.log_price + self.daily * steps.sum::<f64>()
    }
}

/// The sums of `steps` from `from`, tilted so that they end at `to`: one point more than steps.
#[expect(clippy::cast_precision_loss, reason = "a few thousand steps")]
fn bridge(from: f64, to: f64, steps: Vec<f64>) -> Vec<f64> {
    let tilt = (to - from - steps.iter().sum::<f64>()) / steps.len() as f64;
    let mut points = Vec::with_capacity(steps.len() + 1);
    let mut point = from;
    points.push(point);
    for step in steps {
        point += step + tilt;
        points.push(point);
    }
    points
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
fn seconds(second: i64) -> f64 {
    second as f64
}
