//! What is held.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{Amount, AssetClass, Exchange, Order, PositionSide, Problem};

/// An item of `GET /v2/positions`. Of a short position quantity, worth and cost are below zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// What is held, as an id.
    pub asset_id: Uuid,
    /// What is held; pairs without their slash, as `BTCUSD`.
    pub symbol: String,
    /// Where it is listed.
    pub exchange: Exchange,
    /// What kind of thing it is.
    pub asset_class: AssetClass,
    /// Whether it may be bought on credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_marginable: Option<bool>,
    /// What a unit cost, on average.
    pub avg_entry_price: Amount,
    /// How much.
    pub qty: Amount,
    /// The same less what open orders sell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty_available: Option<Amount>,
    /// Which way it points.
    pub side: PositionSide,
    /// Its worth; `null` where there is no price.
    pub market_value: Option<Amount>,
    /// What it cost.
    pub cost_basis: Amount,
    /// What it gained, in money,
    pub unrealized_pl: Option<Amount>,
    /// and as a fraction.
    pub unrealized_plpc: Option<Amount>,
    /// The same today.
    pub unrealized_intraday_pl: Option<Amount>,
    /// The same today, as a fraction.
    pub unrealized_intraday_plpc: Option<Amount>,
    /// What a unit is worth now,
    pub current_price: Option<Amount>,
    /// was worth at the end of the last trading day,
    pub lastday_price: Option<Amount>,
    /// and the change as a fraction.
    pub change_today: Option<Amount>,
    /// Of positions in another currency: the rate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_rate: Option<Amount>,
    /// the rate at which it was bought,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg_entry_swap_rate: Option<Amount>,
    /// and the amounts in dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<PositionMoney>,
}

/// The amounts of a position in dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PositionMoney {
    /// As in [`Position`].
    pub avg_entry_price: Option<Amount>,
    /// As in [`Position`].
    pub market_value: Option<Amount>,
    /// As in [`Position`].
    pub cost_basis: Option<Amount>,
    /// As in [`Position`].
    pub unrealized_pl: Option<Amount>,
    /// As in [`Position`].
    pub unrealized_plpc: Option<Amount>,
    /// As in [`Position`].
    pub unrealized_intraday_pl: Option<Amount>,
    /// As in [`Position`].
    pub unrealized_intraday_plpc: Option<Amount>,
    /// As in [`Position`].
    pub current_price: Option<Amount>,
    /// As in [`Position`].
    pub lastday_price: Option<Amount>,
    /// As in [`Position`].
    pub change_today: Option<Amount>,
}

/// An item of the answer to `DELETE /v2/positions`, which comes with 207.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedPosition {
    /// What was held.
    pub symbol: String,
    /// The HTTP status this would have had alone.
    pub status: u16,
    /// The order that closes it, or why there is none.
    pub body: Result<Box<Order>, Problem>,
}

impl Serialize for ClosedPosition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Item<'a, T> {
            symbol: &'a str,
            status: u16,
            body: &'a T,
        }
        let (symbol, status) = (&*self.symbol, self.status);
        match &self.body {
            Ok(body) => Item { symbol, status, body }.serialize(serializer),
            Err(body) => Item { symbol, status, body }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClosedPosition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Item {
            symbol: String,
            status: u16,
            body: Box<RawValue>,
        }
        let Item { symbol, status, body } = Item::deserialize(deserializer)?;
        let read = || {
            let body = body.get();
            Ok(if status < 300 { Ok(serde_json::from_str(body)?) } else { Err(serde_json::from_str(body)?) })
        };
        let body = read().map_err(|error: serde_json::Error| serde::de::Error::custom(error))?;
        Ok(Self { symbol, status, body })
    }
}
