//! What can be traded, and when.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::{with_colon, without_colon};
use crate::{Amount, AssetClass, AssetStatus, Exchange, OffsetTime};

/// An item of `GET /v2/assets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Alpaca's id.
    pub id: Uuid,
    /// What kind of thing it is.
    #[serde(rename = "class")]
    pub asset_class: AssetClass,
    /// Where it is listed.
    pub exchange: Exchange,
    /// As `AAPL` or `BTC/USD`.
    pub symbol: String,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it is there.
    pub status: AssetStatus,
    /// Whether it can be traded.
    pub tradable: bool,
    /// Whether it can be bought on credit.
    pub marginable: bool,
    /// Whether it can be sold without being held.
    pub shortable: bool,
    /// Whether there is much of it to borrow. The SDK of 2026 needs it, the newest documents do not have it.
    #[serde(default)]
    pub easy_to_borrow: bool,
    /// Whether parts of it can be traded.
    #[serde(default)]
    pub fractionable: bool,
    /// What part of its worth has to be there, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_margin_requirement: Option<crate::Number>,
    /// The same for long positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin_requirement_long: Option<Amount>,
    /// The same for short positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin_requirement_short: Option<Amount>,
    /// Marks, as `ptp_no_exception`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<String>>,
    /// Of pairs: the smallest quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_order_size: Option<Amount>,
    /// its steps,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_trade_increment: Option<Amount>,
    /// and the steps of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_increment: Option<Amount>,
}

/// `GET /v2/clock`, in New York's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Now.
    pub timestamp: OffsetTime,
    /// Whether the regular session runs.
    pub is_open: bool,
    /// When it begins next.
    pub next_open: OffsetTime,
    /// When it ends next.
    pub next_close: OffsetTime,
}

/// An item of `GET /v2/calendar`: a day of trading, in New York's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarDay {
    /// Which day.
    pub date: Date,
    /// When the regular session begins.
    #[serde(with = "with_colon")]
    pub open: Time,
    /// When it ends.
    #[serde(with = "with_colon")]
    pub close: Time,
    /// When trading before it begins.
    #[serde(with = "without_colon")]
    pub session_open: Time,
    /// When trading after it ends.
    #[serde(with = "without_colon")]
    pub session_close: Time,
    /// When what was traded is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement_date: Option<Date>,
}
