//! What can be traded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Price, Quantity};

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
