//! Lists of symbols that somebody watches.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Asset;

/// `GET /v2/watchlists/{id}`, and without its assets an item of `GET /v2/watchlists`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchlist {
    /// Alpaca's id.
    pub id: Uuid,
    /// Whose it is.
    pub account_id: Uuid,
    /// At most 64 characters.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is on it, in the order in which it was put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<Vec<Asset>>,
}

/// `POST /v2/watchlists` and `PUT /v2/watchlists/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchlistRequest {
    /// At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is to be on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Vec<String>>,
}

/// `POST /v2/watchlists/{id}`: one more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchlistSymbol {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
}
