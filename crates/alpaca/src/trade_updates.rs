//! The stream of what happens to an account's orders.
//!
//! The client says who it is and what it wants to hear ([`TradingRequest`]); the server answers and tells
//! ([`TradingMessage`]). Paper sends binary frames, live sends text frames; both hold JSON.

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Amount, Order, TradeEvent};

/// The one stream there is.
pub const TRADE_UPDATES: &str = "trade_updates";

/// What a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum TradingRequest {
    /// Who it is, as all SDKs say it.
    Authenticate {
        /// The credentials.
        data: Keys,
    },
    /// Who it is, as newer documents say it.
    Auth {
        /// The key's id.
        key: String,
        /// The secret.
        #[serde(serialize_with = "expose")]
        secret: SecretString,
    },
    /// What it wants to hear. Replaces what it wanted before; nothing ends it.
    Listen {
        /// Which streams.
        data: Streams,
    },
}

/// Credentials. The secret is in no debug output, and is written only where somebody serialises a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {
    /// The key's id.
    pub key_id: String,
    /// The secret.
    #[serde(serialize_with = "expose")]
    pub secret_key: SecretString,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Names of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// As [`TRADE_UPDATES`].
    #[serde(default)]
    pub streams: Vec<String>,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "stream", content = "data", rename_all = "snake_case")]
pub enum TradingMessage {
    /// Whether the client is who it says.
    Authorization(Authorization),
    /// What is listened to from now on.
    Listening(Streams),
    /// Something happened to an order.
    TradeUpdates(Box<TradeUpdate>),
    /// A stream that was not known when this was written. For reading only.
    #[serde(skip)]
    Other(String),
}

impl TradingMessage {
    /// Reads a frame.
    ///
    /// # Errors
    /// It is not of the protocol.
    pub fn parse(frame: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            stream: String,
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let Envelope { stream, data } = serde_json::from_slice(frame)?;
        Ok(match stream.as_str() {
            "authorization" => Self::Authorization(serde_json::from_str(data.get())?),
            "listening" => Self::Listening(serde_json::from_str(data.get())?),
            TRADE_UPDATES => Self::TradeUpdates(serde_json::from_str(data.get())?),
            _ => Self::Other(stream),
        })
    }
}

/// Whether the client is who it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Yes or no.
    pub status: AuthorizationStatus,
    /// What it had asked for: `authenticate`, or `listen` where that came too early.
    pub action: String,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationStatus {
    /// Yes.
    Authorized,
    /// No, or not yet.
    #[serde(other)]
    Unauthorized,
}

/// Something happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeUpdate {
    /// What.
    pub event: TradeEvent,
    /// Unique for each event; of executions it is also part of the activity's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
    /// The order as it is after that, without its legs.
    pub order: Order,
    /// When. The SDK needs it.
    pub timestamp: Timestamp,
    /// Of executions: at which price,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Amount>,
    /// how much in this one,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<Amount>,
    /// and how much is held after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_qty: Option<Amount>,
    /// Of corrections and busts: the execution they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_execution_id: Option<String>,
    /// Of cancels, refused changes and busts: why, as `CORPORATE_ACTION` or `TOO_LATE_TO_CANCEL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_understood_however_it_says_who_it_is() {
        for text in [
            r#"{"action":"authenticate","data":{"key_id":"k","secret_key":"hush"}}"#,
            r#"{"action":"auth","key":"k","secret":"hush"}"#,
        ] {
            let request: TradingRequest = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert!(!format!("{request:?}").contains("hush"), "{request:?}");
        }
    }

    #[test]
    fn what_a_server_says_is_read_in_any_order_of_its_members() {
        let message =
            TradingMessage::parse(br#"{"data":{"action":"listen","status":"no"},"stream":"authorization"}"#);
        let Ok(TradingMessage::Authorization(answer)) = message else { panic!("{message:?}") };
        assert_eq!(answer.status, AuthorizationStatus::Unauthorized);
        let message = TradingMessage::parse(br#"{"stream":"weather","data":1}"#);
        assert!(matches!(message, Ok(TradingMessage::Other(stream)) if stream == "weather"));
        assert!(TradingMessage::parse(br#"{"stream":"trade_updates","data":{}}"#).is_err());
        let listening = TradingMessage::Listening(Streams { streams: vec![TRADE_UPDATES.into()] });
        let text = r#"{"stream":"listening","data":{"streams":["trade_updates"]}}"#;
        assert_eq!(serde_json::to_string(&listening).unwrap(), text);
    }
}
