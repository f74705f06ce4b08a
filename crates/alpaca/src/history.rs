//! What happened to an account.

use std::collections::BTreeMap;

use domain::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ActivityType, Amount, FillType, Number, OrderStatus, Side};

/// `GET /v2/account/portfolio/history`: lists of the same length, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortfolioHistory {
    /// When, in seconds since 1970.
    pub timestamp: Vec<i64>,
    /// What the account was worth. The SDK fails on a `null`.
    pub equity: Vec<Number>,
    /// What it gained,
    pub profit_loss: Vec<Number>,
    /// and as a fraction.
    pub profit_loss_pct: Vec<Number>,
    /// What gains are reckoned from.
    pub base_value: Number,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_value_asof: Option<Date>,
    /// The steps, as `1D`.
    pub timeframe: String,
    /// Money that came and went, by type of activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cashflow: Option<BTreeMap<String, Vec<Number>>>,
}

/// An item of `GET /v2/account/activities`: an execution, or money and units that moved otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// `YYYYMMDDhhmmssmmm::` and a UUID. It is also the token of the page that follows.
    pub id: String,
    /// What it is about.
    pub activity_type: ActivityType,
    /// Of executions: when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_time: Option<Timestamp>,
    /// Of executions: whether it was the last.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FillType>,
    /// Of executions, and of some others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Amount>,
    /// Of this execution, or of what moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<Amount>,
    /// Bought or sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// What the order has still to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_qty: Option<Amount>,
    /// Of which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// What the order has done up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cum_qty: Option<Amount>,
    /// Where the order stood then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_status: Option<OrderStatus>,
    /// Of corrections and busts: the activity they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
    /// Of everything but executions: the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// Of everything but executions: the money, below zero when it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_amount: Option<Amount>,
    /// For each unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_share_amount: Option<Amount>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `executed`, `correct` or `canceled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The rate, of what is traded in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_rate: Option<Amount>,
}

impl Activity {
    /// The id of an execution: the part that the stream tells as `execution_id`.
    pub fn execution_id(&self) -> &str {
        self.id.split_once("::").map_or(&self.id, |(_, id)| id)
    }

    /// The id of an activity that happened at `at`: it sorts by time.
    pub fn id_of(at: Timestamp, execution: Uuid) -> String {
        let at = at.to_zoned(jiff::tz::TimeZone::UTC);
        format!("{}{:03}::{execution}", at.strftime("%Y%m%d%H%M%S"), at.millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_is_named_after_its_time_and_its_execution() {
        let id = "2f63ea93-423d-4169-b3f6-3fdafc10c418".parse().unwrap();
        let at = "2026-02-03T14:30:01.009Z".parse().unwrap();
        assert_eq!(Activity::id_of(at, id), "20260203143001009::2f63ea93-423d-4169-b3f6-3fdafc10c418");
    }
}
