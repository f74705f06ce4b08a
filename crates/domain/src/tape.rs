//! What the market prints: trades, quotes, and the bars made of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Price, Quantity, Symbol, Timestamp};

/// Who crossed the spread to make a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakerSide {
    /// The buyer took the ask.
    Buy,
    /// The seller hit the bid.
    Sell,
    /// The venue did not say, or contradicted itself.
    Unknown,
}

/// A print on the tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    /// What was traded.
    pub symbol: Symbol,
    /// Above zero.
    pub price: Price,
    /// Above zero.
    pub quantity: Quantity,
    /// Who crossed the spread, after the venue's condition codes.
    pub side: TakerSide,
    /// The vendor's number of the exchange.
    pub exchange: u32,
    /// The exchange's id of the trade: unique per symbol and exchange, absent where the vendor omits it.
    pub id: Option<Box<str>>,
    /// When the exchange made it.
    pub at: Timestamp,
    /// When the vendor received it, where it says so.
    pub received_at: Option<Timestamp>,
}

/// The best bid and ask of one exchange. A side that is not quoted is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// What is quoted.
    pub symbol: Symbol,
    /// Best price to sell at and the size there.
    pub bid: Option<(Price, Quantity)>,
    /// Best price to buy at and the size there.
    pub ask: Option<(Price, Quantity)>,
    /// The vendor's number of the exchange.
    pub exchange: u32,
    /// When the exchange quoted it.
    pub at: Timestamp,
    /// When the vendor received it, where it says so.
    pub received_at: Option<Timestamp>,
}

impl Quote {
    /// Whether the bid is above the ask: it happens across exchanges, and says nothing about the spread.
    pub fn is_crossed(&self) -> bool {
        matches!((self.bid, self.ask), (Some((bid, _)), Some((ask, _))) if bid > ask)
    }
}

/// The length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Every {
    /// One second.
    #[serde(rename = "1s")]
    Second,
    /// One minute.
    #[serde(rename = "1m")]
    Minute,
}

impl Every {
    /// All lengths, shortest first.
    pub const ALL: [Self; 2] = [Self::Second, Self::Minute];

    /// The length in milliseconds.
    pub fn millis(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
        }
    }

    /// The length as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.millis().unsigned_abs())
    }

    /// The name in interfaces and storage: `1s`, `1m`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::Minute => "1m",
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|every| every.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a bar length: 1s or 1m"))
    }
}

/// What happened in one window of time, `[start_at, start_at + every)`, by the exchanges' own clocks.
///
/// Windows are aligned to 1970-01-01 UTC. A window without a trade has no bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Start of the window.
    pub start_at: Timestamp,
    /// First price, in event-time order.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price, in event-time order.
    pub close: Price,
    /// Units traded.
    pub volume: Quantity,
    /// Sum of price times quantity; over `volume` it is the volume-weighted average price.
    pub notional: crate::Money,
    /// Number of trades.
    pub trades: u64,
    /// Units that lifted the ask.
    pub buy_volume: Quantity,
    /// Units that hit the bid.
    pub sell_volume: Quantity,
    /// Trades that lifted the ask.
    pub buy_trades: u64,
    /// Trades that hit the bid.
    pub sell_trades: u64,
}

impl Bar {
    /// Volume-weighted average price; the close when nothing traded.
    pub fn vwap(&self) -> Price {
        match self.notional.0.checked_div(self.volume.0) {
            Some(vwap) => Price(vwap),
            None => self.close,
        }
    }
}
