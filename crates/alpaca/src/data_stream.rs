//! The stream of market data: what its frames hold.
//!
//! Every frame of the server is an array of messages ([`DataMessage::parse`], [`DataMessage::frame`]); a client says one
//! thing at a time ([`DataRequest`]).

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Bar, News, Number, Orderbook, Quote, Trade};

/// What a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum DataRequest {
    /// Who it is.
    Auth {
        /// The key's id.
        key: String,
        /// The secret.
        #[serde(serialize_with = "expose")]
        secret: SecretString,
    },
    /// What it wants to hear as well.
    Subscribe(Subscriptions),
    /// What it no longer wants to hear.
    Unsubscribe(Subscriptions),
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// What is listened to: symbols by channel, `*` for all. A channel that is not mentioned is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subscriptions {
    /// Trades; brings corrections and cancellations with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trades: Option<Vec<String>>,
    /// Quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotes: Option<Vec<String>>,
    /// Minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bars: Option<Vec<String>>,
    /// Minutes that late trades changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_bars: Option<Vec<String>>,
    /// Days, every minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_bars: Option<Vec<String>>,
    /// Halts and their ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<String>>,
    /// Limits up and down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lulds: Option<Vec<String>>,
    /// Books of coins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orderbooks: Option<Vec<String>>,
    /// Articles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news: Option<Vec<String>>,
    /// In answers: comes with trades.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrections: Option<Vec<String>>,
    /// In answers: comes with trades.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_errors: Option<Vec<String>>,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub enum DataMessage {
    /// `connected` or `authenticated`.
    Success(String),
    /// No.
    Error(DataError),
    /// Everything that is listened to now.
    Subscription(Subscriptions),
    /// A print of a symbol.
    Trade(String, Trade),
    /// A quote of a symbol.
    Quote(String, Quote),
    /// A minute of a symbol.
    Bar(String, Bar),
    /// A minute that late trades changed.
    UpdatedBar(String, Bar),
    /// The day so far.
    DailyBar(String, Bar),
    /// A halt or its end.
    Status(String, TradingStatus),
    /// Limits up and down.
    Luld(String, Luld),
    /// A print was corrected.
    Correction(String, Correction),
    /// A print was taken back.
    Cancellation(String, Cancellation),
    /// A book, or what changed in it.
    Orderbook(String, Orderbook),
    /// An article.
    News(Box<News>),
    /// A kind that was not known when this was written. For reading only.
    Other(String),
}

/// Why the server does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataError {
    /// See the constants.
    pub code: u16,
    /// For people.
    #[serde(rename = "msg", default)]
    pub message: String,
}

impl DataError {
    /// What was said is not of the protocol.
    pub const SYNTAX: u16 = 400;
    /// It has to say who it is first.
    pub const NOT_AUTHENTICATED: u16 = 401;
    /// It is not who it says.
    pub const AUTH_FAILED: u16 = 402;
    /// It has said so before.
    pub const ALREADY_AUTHENTICATED: u16 = 403;
    /// It did not say so in time.
    pub const AUTH_TIMEOUT: u16 = 404;
    /// So many symbols are not paid for.
    pub const SYMBOL_LIMIT: u16 = 405;
    /// There is another connection already.
    pub const CONNECTION_LIMIT: u16 = 406;
    /// It does not read fast enough.
    pub const SLOW_CLIENT: u16 = 407;
    /// This version is not for it.
    pub const NOT_ENABLED: u16 = 408;
    /// This feed is not paid for.
    pub const INSUFFICIENT_SUBSCRIPTION: u16 = 409;
    /// The server is out of order.
    pub const INTERNAL: u16 = 500;

    /// An error with Alpaca's own words.
    pub fn new(code: u16) -> Self {
        let message = match code {
            Self::SYNTAX => "invalid syntax",
            Self::NOT_AUTHENTICATED => "not authenticated",
            Self::AUTH_FAILED => "auth failed",
            Self::ALREADY_AUTHENTICATED => "already authenticated",
            Self::AUTH_TIMEOUT => "auth timeout",
            Self::SYMBOL_LIMIT => "symbol limit exceeded",
            Self::CONNECTION_LIMIT => "connection limit exceeded",
            Self::SLOW_CLIENT => "slow client",
            Self::NOT_ENABLED => "v2 not enabled",
            Self::INSUFFICIENT_SUBSCRIPTION => "insufficient subscription",
            _ => "internal error",
        };
        Self { code, message: message.to_owned() }
    }
}

/// A halt or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingStatus {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// As `H` for halted.
    #[serde(rename = "sc")]
    pub status_code: String,
    /// In words.
    #[serde(rename = "sm", default)]
    pub status_message: String,
    /// Why, as `T12`.
    #[serde(rename = "rc", default)]
    pub reason_code: String,
    /// In words.
    #[serde(rename = "rm", default)]
    pub reason_message: String,
    /// Tape.
    #[serde(rename = "z", default)]
    pub tape: String,
}

/// Prices between which may be traded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Luld {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The highest.
    #[serde(rename = "u")]
    pub up: Number,
    /// The lowest.
    #[serde(rename = "d")]
    pub down: Number,
    /// What is to be thought of them.
    #[serde(rename = "i", default)]
    pub indicator: String,
    /// Tape.
    #[serde(rename = "z", default)]
    pub tape: String,
}

/// A print was corrected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Where.
    #[serde(rename = "x", default)]
    pub exchange: String,
    /// Its id before,
    #[serde(rename = "oi")]
    pub original_id: u64,
    /// its price,
    #[serde(rename = "op")]
    pub original_price: Number,
    /// its size,
    #[serde(rename = "os")]
    pub original_size: Number,
    /// its conditions.
    #[serde(rename = "oc", default)]
    pub original_conditions: Vec<String>,
    /// Its id now,
    #[serde(rename = "ci")]
    pub corrected_id: u64,
    /// its price,
    #[serde(rename = "cp")]
    pub corrected_price: Number,
    /// its size,
    #[serde(rename = "cs")]
    pub corrected_size: Number,
    /// its conditions.
    #[serde(rename = "cc", default)]
    pub corrected_conditions: Vec<String>,
    /// Tape.
    #[serde(rename = "z", default)]
    pub tape: String,
}

/// A print was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Where.
    #[serde(rename = "x", default)]
    pub exchange: String,
    /// Its id.
    #[serde(rename = "i")]
    pub id: u64,
    /// Its price.
    #[serde(rename = "p")]
    pub price: Number,
    /// Its size.
    #[serde(rename = "s")]
    pub size: Number,
    /// `C` canceled, `E` in error.
    #[serde(rename = "a", default)]
    pub action: String,
    /// Tape.
    #[serde(rename = "z", default)]
    pub tape: String,
}

impl DataMessage {
    /// Reads a frame: its messages in their order. One that is not of the protocol does not spoil the others.
    ///
    /// # Errors
    /// The frame is no array of messages at all.
    pub fn parse(frame: &str) -> Result<Vec<Result<Self, serde_json::Error>>, serde_json::Error> {
        let messages: Vec<&RawValue> = serde_json::from_str(frame)?;
        Ok(messages.into_iter().map(|message| Self::parse_one(message.get())).collect())
    }

    fn parse_one(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "T")]
            kind: String,
            #[serde(rename = "S", default)]
            symbol: String,
        }
        #[derive(Deserialize)]
        struct Success {
            msg: String,
        }
        let Head { kind, symbol } = serde_json::from_str(text)?;
        Ok(match kind.as_str() {
            "t" => Self::Trade(symbol, serde_json::from_str(text)?),
            "q" => Self::Quote(symbol, serde_json::from_str(text)?),
            "b" => Self::Bar(symbol, serde_json::from_str(text)?),
            "u" => Self::UpdatedBar(symbol, serde_json::from_str(text)?),
            "d" => Self::DailyBar(symbol, serde_json::from_str(text)?),
            "s" => Self::Status(symbol, serde_json::from_str(text)?),
            "l" => Self::Luld(symbol, serde_json::from_str(text)?),
            "c" => Self::Correction(symbol, serde_json::from_str(text)?),
            "x" => Self::Cancellation(symbol, serde_json::from_str(text)?),
            "o" => Self::Orderbook(symbol, serde_json::from_str(text)?),
            "n" => Self::News(serde_json::from_str(text)?),
            "success" => Self::Success(serde_json::from_str::<Success>(text)?.msg),
            "error" => Self::Error(serde_json::from_str(text)?),
            "subscription" => Self::Subscription(serde_json::from_str(text)?),
            _ => Self::Other(kind),
        })
    }

    /// A frame with these messages, as JSON.
    ///
    /// # Errors
    /// None that can happen: the shapes here are all of JSON.
    pub fn frame(messages: &[Self]) -> Result<String, serde_json::Error> {
        serde_json::to_string(messages)
    }
}

impl Serialize for DataMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Of<'a, T> {
            #[serde(rename = "T")]
            kind: &'a str,
            #[serde(rename = "S", skip_serializing_if = "Option::is_none")]
            symbol: Option<&'a str>,
            #[serde(flatten)]
            body: T,
        }
        #[derive(Serialize)]
        struct Success<'a> {
            msg: &'a str,
        }
        #[derive(Serialize)]
        struct Nothing {}
        macro_rules! of {
            ($kind:expr, $symbol:expr, $body:expr) => {
                Of { kind: $kind, symbol: $symbol, body: $body }.serialize(serializer)
            };
        }
        match self {
            Self::Success(msg) => of!("success", None, Success { msg }),
            Self::Error(error) => of!("error", None, error),
            Self::Subscription(to) => of!("subscription", None, to),
            Self::Trade(symbol, body) => of!("t", Some(symbol), body),
            Self::Quote(symbol, body) => of!("q", Some(symbol), body),
            Self::Bar(symbol, body) => of!("b", Some(symbol), body),
            Self::UpdatedBar(symbol, body) => of!("u", Some(symbol), body),
            Self::DailyBar(symbol, body) => of!("d", Some(symbol), body),
            Self::Status(symbol, body) => of!("s", Some(symbol), body),
            Self::Luld(symbol, body) => of!("l", Some(symbol), body),
            Self::Correction(symbol, body) => of!("c", Some(symbol), body),
            Self::Cancellation(symbol, body) => of!("x", Some(symbol), body),
            Self::Orderbook(symbol, body) => of!("o", Some(symbol), body),
            Self::News(news) => of!("n", None, news),
            Self::Other(kind) => of!(kind, None, Nothing {}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_message_does_not_spoil_its_frame() {
        let frame = r#"[{"T":"q","S":"A","bp":1,"bs":1,"ap":"NaN","as":1,"t":"2026-02-03T14:30:00Z"},
            {"T":"moon","S":"A"},{"T":"success","msg":"connected"}]"#;
        let messages = DataMessage::parse(frame).unwrap();
        assert!(messages[0].is_err(), "a price that is none");
        assert!(matches!(&messages[1], Ok(DataMessage::Other(kind)) if kind == "moon"));
        assert!(matches!(&messages[2], Ok(DataMessage::Success(word)) if word == "connected"));
        assert!(DataMessage::parse(r#"{"T":"success"}"#).is_err());
    }

    #[test]
    fn a_client_says_one_thing_at_a_time() {
        let text = r#"{"action":"subscribe","trades":["AAPL"],"updatedBars":["*"]}"#;
        let request: DataRequest = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        let auth: DataRequest =
            serde_json::from_str(r#"{"action":"auth","key":"k","secret":"hush"}"#).unwrap();
        assert!(!format!("{auth:?}").contains("hush"));
    }
}
