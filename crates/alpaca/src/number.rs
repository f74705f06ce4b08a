//! Decimals, which Alpaca writes as strings where they are money and as numbers where they are market data.
//!
//! Both are read from either. The text of a number is what counts, so that `190.1` never becomes the binary fraction next
//! to it.

use std::fmt;
use std::str::FromStr;

use domain::{Decimal, Money, Price, Quantity};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// Text that is no decimal of a size that can be reckoned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a decimal number")]
pub struct InvalidNumber {
    /// What was given, cut to 40 characters.
    pub text: String,
}

/// Longer numbers are refused, whatever their value.
const LONGEST: usize = 64;

/// Reads a plain decimal or one with an exponent, as programs write very small numbers. No `NaN`, no infinity.
fn parse(text: &str) -> Result<Decimal, InvalidNumber> {
    let refuse = || InvalidNumber { text: text.chars().take(40).collect() };
    let is_plain = |b: u8| b.is_ascii_digit() || b == b'.';
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || text.len() > LONGEST || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return Err(refuse());
    }
    if digits.bytes().all(is_plain) {
        return Decimal::from_str_exact(text).map_err(|_| refuse());
    }
    let is_scientific = |b: u8| is_plain(b) || matches!(b, b'e' | b'E' | b'+' | b'-');
    if !digits.bytes().all(is_scientific) {
        return Err(refuse());
    }
    Decimal::from_scientific(text).map_err(|_| refuse())
}

/// Reads a string or a number, by its text.
fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = raw.get();
    let decimal = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => parse(inside),
        None => parse(text),
    };
    decimal.map_err(D::Error::custom)
}

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Decimal);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// As a price.
            pub fn price(self) -> Price {
                Price(self.0)
            }

            /// As a quantity.
            pub fn quantity(self) -> Quantity {
                Quantity(self.0)
            }

            /// As an amount of money.
            pub fn money(self) -> Money {
                Money(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.normalize().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidNumber;

            fn from_str(text: &str) -> Result<Self, InvalidNumber> {
                parse(text).map(Self)
            }
        }

        impl From<Decimal> for $name {
            fn from(decimal: Decimal) -> Self {
                Self(decimal)
            }
        }

        impl From<Price> for $name {
            fn from(price: Price) -> Self {
                Self(price.0)
            }
        }

        impl From<Quantity> for $name {
            fn from(quantity: Quantity) -> Self {
                Self(quantity.0)
            }
        }

        impl From<Money> for $name {
            fn from(money: Money) -> Self {
                Self(money.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer).map(Self)
            }
        }
    };
}

decimal!(
    /// A decimal that is written as a string: money, prices and quantities of the trading API.
    Amount
);
decimal!(
    /// A decimal that is written as a number: market data.
    Number
);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A binary fraction in between would lose digits.
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(json: &str) -> Result<String, String> {
        serde_json::from_str::<Amount>(json).map(|amount| amount.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_text_of_a_number_counts() {
        for (json, digits) in [
            ("190.1", "190.1"),
            ("\"190.10\"", "190.1"),
            ("2.0", "2"),
            ("0.1234567890123456789", "0.1234567890123456789"),
            ("-3", "-3"),
            ("1e-07", "0.0000001"),
            ("1.5E+2", "150"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(amount(json).as_deref(), Ok(digits), "{json}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for json in [
            "\"NaN\"",
            "\"\"",
            "\"-\"",
            "\".\"",
            "\"1,5\"",
            "\"Infinity\"",
            "\"0x1\"",
            "\"١\"",
            "true",
            "[1]",
            "{}",
            "\" 1\"",
            "1e999",
            "\"1\\u0030\"",
        ] {
            assert!(amount(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<Option<Amount>>("null").unwrap(), None);
    }

    #[test]
    fn money_is_written_as_a_string_and_market_data_as_a_number() {
        let decimal: Decimal = "29003.10".parse().unwrap();
        assert_eq!(serde_json::to_string(&Amount(decimal)).unwrap(), "\"29003.1\"");
        assert_eq!(serde_json::to_string(&Number(decimal)).unwrap(), "29003.1");
        assert_eq!(serde_json::to_value(Number(decimal)).unwrap(), serde_json::json!(29003.1));
    }
}
