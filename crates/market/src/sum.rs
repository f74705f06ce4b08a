//! Exact sums of decimals, fast enough for every trade of the market.

use domain::Decimal;

/// A sum that keeps every digit, as a whole number of `10^-scale`.
///
/// Adding numbers of one scale, which is what a market sends, is one addition of integers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    mantissa: i128,
    scale: u32,
}

impl Sum {
    pub(crate) fn add(&mut self, value: Decimal) {
        self.add_scaled(value.mantissa(), value.scale());
    }

    pub(crate) fn add_product(&mut self, a: Decimal, b: Decimal) {
        match a.mantissa().checked_mul(b.mantissa()) {
            Some(mantissa) => self.add_scaled(mantissa, a.scale() + b.scale()),
            // Beyond 38 digits only the leading 28 are kept.
            None => self.add(a.saturating_mul(b)),
        }
    }

    fn add_scaled(&mut self, mantissa: i128, scale: u32) {
        if scale == self.scale
            && let Some(sum) = self.mantissa.checked_add(mantissa)
        {
            self.mantissa = sum;
            return;
        }
        let wide = scale.max(self.scale);
        let (own, other) = (rescaled(self.mantissa, wide - self.scale), rescaled(mantissa, wide - scale));
        match own.zip(other).and_then(|(own, other)| own.checked_add(other)) {
            Some(sum) => *self = Self { mantissa: sum, scale: wide },
            None => *self = Self::from(self.value().saturating_add(Self { mantissa, scale }.value())),
        }
    }

    /// The sum, with the 28 digits that a decimal holds.
    pub(crate) fn value(self) -> Decimal {
        let Self { mut mantissa, mut scale } = self;
        loop {
            match Decimal::try_from_i128_with_scale(mantissa, scale) {
                Ok(value) => return value,
                Err(_) if scale == 0 => return if mantissa < 0 { Decimal::MIN } else { Decimal::MAX },
                Err(_) => {
                    mantissa /= 10;
                    scale -= 1;
                }
            }
        }
    }
}

impl From<Decimal> for Sum {
    fn from(value: Decimal) -> Self {
        Self { mantissa: value.mantissa(), scale: value.scale() }
    }
}

fn rescaled(mantissa: i128, digits: u32) -> Option<i128> {
    mantissa.checked_mul(10_i128.checked_pow(digits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], sum: &str) {
        let mut total = Sum::default();
        for value in values {
            total.add(value.parse().unwrap());
        }
        assert_eq!(total.value(), sum.parse().unwrap());
    }

    #[test]
    fn every_digit_is_kept() {
        check(&["0.1", "0.2"], "0.3");
        check(&["61837.63", "0.00004522", "1000000"], "1061837.63004522");
        check(&["1", "-1", "0.000000000000000001"], "0.000000000000000001");
        check(&[], "0");
    }

    #[test]
    fn sums_beyond_any_market_do_not_overflow() {
        let most = Decimal::MAX.to_string();
        check(&[&most, &most], &most);
        let mut total = Sum::default();
        total.add_product(Decimal::MAX, "0.0000000000000000000000000001".parse().unwrap());
        assert_eq!(total.value().round(), Decimal::from(8));
    }
}
