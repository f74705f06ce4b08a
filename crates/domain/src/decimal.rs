//! Prices, quantities and money: decimals of different types, so that they cannot be mixed up.
//!
//! In JSON and SQL they are text, in plain notation, with every digit.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Text that is not a plain decimal number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a decimal number such as \"12.50\": digits with at most one point, at most 28 digits, no exponent"
)]
pub struct InvalidDecimal {
    /// What was given, cut to 40 characters.
    pub text: String,
}

/// Reads `-12.5`; refuses exponents, `NaN`, `+`, blanks, digits of other scripts, and more digits than are kept.
fn parse(text: &str) -> Result<Decimal, InvalidDecimal> {
    let refuse = || InvalidDecimal { text: text.chars().take(40).collect() };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !fraction.is_none_or(plain) || digits.len() > 40 {
        return Err(refuse());
    }
    Decimal::from_str_exact(text).map_err(|_| refuse())
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number as a string, such as \"12.50\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        parse(text).map_err(E::custom)
    }
}

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Decimal);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// Whether it is above zero.
            pub fn is_positive(self) -> bool {
                self.0 > Decimal::ZERO
            }

            /// Whether it is below zero.
            pub fn is_negative(self) -> bool {
                self.0 < Decimal::ZERO
            }

            /// Whether it is exactly zero.
            pub fn is_zero(self) -> bool {
                self.0.is_zero()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.normalize().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidDecimal;

            fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
                parse(text).map(Self)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Add::add)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text).map(Self)
            }
        }
    };
}

decimal!(
    /// Money for one unit of an instrument.
    Price
);
decimal!(
    /// Units of an instrument (coins, shares), never money. Below zero only where a position is short.
    Quantity
);
decimal!(
    /// An amount of an account's currency.
    Money
);

impl Mul<Quantity> for Price {
    type Output = Money;

    fn mul(self, quantity: Quantity) -> Money {
        Money(self.0 * quantity.0)
    }
}

impl Quantity {
    /// The smaller of two quantities.
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_are_read() {
        for good in ["0", "1", "-1.5", "61837.63", "0.00004522", "1234567890123456789012345678"] {
            assert_eq!(good.parse::<Price>().map(|p| p.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "-",
            ".5",
            "5.",
            "1e5",
            "NaN",
            "inf",
            "+1",
            " 1",
            "1 ",
            "1,5",
            "1_000",
            "٣",
            "0x1",
            "0.00000000000000000000000000001",
            "99999999999999999999999999999",
        ] {
            assert!(bad.parse::<Price>().is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn json_is_text_without_trailing_zeros_and_numbers_are_refused() {
        let price: Price = serde_json::from_str("\"1.500\"").unwrap();
        assert_eq!(serde_json::to_string(&price).unwrap(), "\"1.5\"");
        assert!(serde_json::from_str::<Price>("1.5").is_err());
    }
}
