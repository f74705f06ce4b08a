//! The section `[feeds]`: where prices come from.

use domain::Symbol;
use serde::Deserialize;

/// Where prices come from. Without any of it: the generated market, or a recording.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Feeds {
    /// Whether there is the generated market; else it is there when nothing else is.
    pub sandbox: Option<bool>,
    /// Alpaca's market data.
    pub alpaca: Option<AlpacaFeed>,
}

impl Feeds {
    /// Whether the generated market, or a recording, is played.
    pub(crate) fn has_sandbox(&self) -> bool {
        self.sandbox.unwrap_or(self.alpaca.is_none())
    }
}

/// What of Alpaca's market data the desk follows. What opens it is sealed: `stockade feed add alpaca`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlpacaFeed {
    /// Which shares, from which exchanges.
    pub stocks: Stocks,
    /// Whether there are coins.
    pub crypto: bool,
    /// How messages are packed.
    pub encoding: Encoding,
    /// What is followed from the start, as `AAPL` and `BTC-USD`.
    pub symbols: Vec<Symbol>,
    /// Most that is followed besides, because it is on a watchlist or asked for.
    pub most_more: usize,
    /// How many days of minutes are asked for.
    pub past_days: u32,
}

impl Default for AlpacaFeed {
    fn default() -> Self {
        Self {
            stocks: Stocks::Iex,
            crypto: true,
            encoding: Encoding::Json,
            symbols: Vec::new(),
            // What is free is for 30 symbols.
            most_more: 30,
            past_days: 5,
        }
    }
}

/// Where prices of shares come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stocks {
    /// One exchange, for free.
    Iex,
    /// All exchanges, for those who pay.
    Sip,
    /// Nowhere.
    Off,
}

impl Stocks {
    /// What Alpaca calls it; `None` for nowhere.
    pub(crate) fn source(self) -> Option<&'static str> {
        match self {
            Self::Iex => Some("iex"),
            Self::Sip => Some("sip"),
            Self::Off => None,
        }
    }
}

/// How messages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// As text.
    Json,
    /// As MessagePack.
    Msgpack,
}
