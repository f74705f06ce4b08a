//! Market data: bars, quotes, trades and what they come in over REST. Numbers are numbers here.
//!
//! Stocks say where something happened and under which conditions; coins do not, but say who crossed the spread.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Number, TakerSide};

/// What was traded in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// When it begins.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// First price.
    #[serde(rename = "o")]
    pub open: Number,
    /// Highest price.
    #[serde(rename = "h")]
    pub high: Number,
    /// Lowest price.
    #[serde(rename = "l")]
    pub low: Number,
    /// Last price.
    #[serde(rename = "c")]
    pub close: Number,
    /// Units traded.
    #[serde(rename = "v")]
    pub volume: Number,
    /// Number of trades.
    #[serde(rename = "n", default)]
    pub trades: u64,
    /// Volume-weighted average price.
    #[serde(rename = "vw", default)]
    pub vwap: Number,
}

/// The best bid and ask. A side that is not quoted has price and size zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Where the bid is.
    #[serde(rename = "bx", default, skip_serializing_if = "Option::is_none")]
    pub bid_exchange: Option<String>,
    /// The bid.
    #[serde(rename = "bp")]
    pub bid_price: Number,
    /// How much is bid for.
    #[serde(rename = "bs")]
    pub bid_size: Number,
    /// Where the ask is.
    #[serde(rename = "ax", default, skip_serializing_if = "Option::is_none")]
    pub ask_exchange: Option<String>,
    /// The ask.
    #[serde(rename = "ap")]
    pub ask_price: Number,
    /// How much is asked for.
    #[serde(rename = "as")]
    pub ask_size: Number,
    /// Conditions.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<String>>,
    /// Tape: `A` New York, `B` others, `C` Nasdaq.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<String>,
}

/// A print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Where.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// At which price.
    #[serde(rename = "p")]
    pub price: Number,
    /// How much.
    #[serde(rename = "s")]
    pub size: Number,
    /// Conditions.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<String>>,
    /// The exchange's id of it.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Tape, as in [`Quote`].
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<String>,
    /// Of coins: who crossed the spread.
    #[serde(rename = "tks", default, skip_serializing_if = "Option::is_none")]
    pub taker_side: Option<TakerSide>,
    /// Whether it was changed later: `canceled`, `corrected` or `incorrect`.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
}

/// Everything that is newest of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The newest trade.
    #[serde(default)]
    pub latest_trade: Option<Trade>,
    /// The newest quote.
    #[serde(default)]
    pub latest_quote: Option<Quote>,
    /// The bar of this minute.
    #[serde(default)]
    pub minute_bar: Option<Bar>,
    /// The bar of today.
    #[serde(default)]
    pub daily_bar: Option<Bar>,
    /// The bar of the trading day before.
    #[serde(default)]
    pub prev_daily_bar: Option<Bar>,
}

/// `GET /v2/stocks/{symbol}/snapshot`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolSnapshot {
    /// Of what.
    pub symbol: String,
    /// As in [`Snapshot`].
    #[serde(default)]
    pub latest_trade: Option<Trade>,
    /// As in [`Snapshot`].
    #[serde(default)]
    pub latest_quote: Option<Quote>,
    /// As in [`Snapshot`].
    #[serde(default)]
    pub minute_bar: Option<Bar>,
    /// As in [`Snapshot`].
    #[serde(default)]
    pub daily_bar: Option<Bar>,
    /// As in [`Snapshot`].
    #[serde(default)]
    pub prev_daily_bar: Option<Bar>,
}

impl SymbolSnapshot {
    /// A snapshot with the symbol inside.
    pub fn new(symbol: impl Into<String>, of: Snapshot) -> Self {
        let Snapshot { latest_trade, latest_quote, minute_bar, daily_bar, prev_daily_bar } = of;
        Self { symbol: symbol.into(), latest_trade, latest_quote, minute_bar, daily_bar, prev_daily_bar }
    }
}

/// `GET /v1beta3/crypto/us/snapshots`. Those of stocks come without this envelope, as a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// By pair.
    pub snapshots: BTreeMap<String, Snapshot>,
}

/// What is bid and asked for at many prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orderbook {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Bids, best first.
    #[serde(rename = "b")]
    pub bids: Vec<BookLevel>,
    /// Asks, best first.
    #[serde(rename = "a")]
    pub asks: Vec<BookLevel>,
    /// In the stream: whether everything known before is void.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
}

/// One price of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLevel {
    /// The price.
    #[serde(rename = "p")]
    pub price: Number,
    /// How much is there; zero takes the price out of the book.
    #[serde(rename = "s")]
    pub size: Number,
}

/// `GET /v1beta3/crypto/us/latest/orderbooks`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestOrderbooks {
    /// By pair.
    pub orderbooks: BTreeMap<String, Orderbook>,
}

/// An article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Its number.
    pub id: u64,
    /// What it is called.
    pub headline: String,
    /// What it says, in short.
    #[serde(default)]
    pub summary: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where it is.
    #[serde(default)]
    pub url: Option<String>,
    /// What it says.
    #[serde(default)]
    pub content: String,
    /// What it is about.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Who published it.
    #[serde(default)]
    pub source: String,
    /// Over REST: its pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<NewsImage>>,
}

/// A picture of an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsImage {
    /// `large`, `small` or `thumb`.
    pub size: String,
    /// Where it is.
    pub url: String,
}

/// `GET /v1beta1/news`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsPage {
    /// Newest first.
    pub news: Vec<News>,
    /// What to ask for next; `null` is the end.
    pub next_page_token: Option<String>,
}

/// What rows of one kind come in: a page over several symbols, a page of one, the newest of several, the newest of one.
macro_rules! envelopes {
    ($row:ident, $many:ident, $one:ident: $Page:ident, $Of:ident, $LatestMany:ident, $LatestOne:ident) => {
        /// A page of rows, by symbol and then by time.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $Page {
            /// By symbol.
            #[serde(default)]
            pub $many: BTreeMap<String, Vec<$row>>,
            /// What to ask for next; `null` is the end.
            pub next_page_token: Option<String>,
        }

        /// A page of rows of the one symbol in the address.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $Of {
            /// By time. Alpaca writes `null` for none.
            pub $many: Option<Vec<$row>>,
            /// Of what.
            pub symbol: String,
            /// What to ask for next; `null` is the end.
            pub next_page_token: Option<String>,
        }

        /// The newest of each symbol that has any.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $LatestMany {
            /// By symbol.
            #[serde(default)]
            pub $many: BTreeMap<String, $row>,
        }

        /// The newest of the one symbol in the address.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $LatestOne {
            /// Of what.
            pub symbol: String,
            /// The newest.
            pub $one: $row,
        }
    };
}

envelopes!(Bar, bars, bar: BarsPage, BarsOf, LatestBars, LatestBar);
envelopes!(Quote, quotes, quote: QuotesPage, QuotesOf, LatestQuotes, LatestQuote);
envelopes!(Trade, trades, trade: TradesPage, TradesOf, LatestTrades, LatestTrade);
