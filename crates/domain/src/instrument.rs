//! What can be traded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Decimal, Price, Quantity};

/// The desk's name of an instrument, as `BTC-USD`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

/// Text that cannot be a symbol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a symbol is 1 to 24 characters of A-Z, 0-9, '-' and '.', starting with a letter or digit, such as BTC-USD"
)]
pub struct InvalidSymbol;

impl Symbol {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a pair, as `BTC-USD`, and no share.
    pub fn is_pair(&self) -> bool {
        self.0.contains('-')
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Self, InvalidSymbol> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if text.len() > 24 || !first || !text.bytes().all(allowed) {
            return Err(InvalidSymbol);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An instrument and the steps in which it is priced and sized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The desk's name of it.
    pub symbol: Symbol,
    /// What is bought, as `BTC`.
    pub base: String,
    /// What it is paid with, as `USD`.
    pub quote: String,
    /// A price is a whole multiple of this.
    pub price_increment: Price,
    /// A quantity is a whole multiple of this.
    pub quantity_increment: Quantity,
}

/// Shares are priced in whole cents from this price on.
const CENTS_FROM: Price = Price(Decimal::ONE);
const CENT: Price = Price(Decimal::from_parts(1, 0, 0, false, 2));
/// Below it a share has no finer steps than these.
const SUB_PENNY: Price = Price(Decimal::from_parts(1, 0, 0, false, 4));

impl Instrument {
    /// The step of prices around a price: its own, or for shares the one that the law sets (SEC Rule 612), if that is larger.
    pub fn tick(&self, around: Price) -> Price {
        match (self.symbol.is_pair(), around < CENTS_FROM) {
            (true, _) => self.price_increment,
            (false, true) => self.price_increment.max(SUB_PENNY),
            (false, false) => self.price_increment.max(CENT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_cents_and_below_one_hundredths_of_them() {
        let of = |symbol: &str, increment: &str| Instrument {
            symbol: symbol.parse().unwrap(),
            base: String::new(),
            quote: String::new(),
            price_increment: increment.parse().unwrap(),
            quantity_increment: "1".parse().unwrap(),
        };
        for (symbol, increment, price, tick) in [
            ("AAPL", "0.00000001", "290.12", "0.01"),
            ("AAPL", "0.00000001", "1", "0.01"),
            ("AAPL", "0.00000001", "0.99", "0.0001"),
            ("INFY", "0.05", "0.5", "0.05"),
            ("BTC-USD", "0.00000001", "61000", "0.00000001"),
        ] {
            let instrument = of(symbol, increment);
            assert_eq!(instrument.tick(price.parse().unwrap()), tick.parse().unwrap(), "{symbol} {price}");
        }
    }
}
