//! An order as Alpaca has it.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Amount, AssetClass, GroupRole, OrderClass, OrderStatus, OrderType, PositionIntent, Side, TimeInForce,
};

/// An order: the answer to a request, an item of a list, part of a [`crate::TradeUpdate`].
///
/// What is absent is written as `null`, but for the last fields, which are newer than many clients. The SDK fails when
/// one of the first three times is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Alpaca's id.
    pub id: Uuid,
    /// The client's id, unique on the account for ever.
    pub client_order_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was sent to the market.
    pub submitted_at: Timestamp,
    /// When the last of it was executed.
    pub filled_at: Option<Timestamp>,
    /// When its time was over.
    pub expired_at: Option<Timestamp>,
    /// When it was canceled.
    pub canceled_at: Option<Timestamp>,
    /// When it was refused.
    pub failed_at: Option<Timestamp>,
    /// When another took its place.
    pub replaced_at: Option<Timestamp>,
    /// The order that took its place.
    pub replaced_by: Option<Uuid>,
    /// The order whose place it took.
    pub replaces: Option<Uuid>,
    /// What is traded, as an id.
    #[serde(default)]
    pub asset_id: Option<Uuid>,
    /// What is traded, as `AAPL` or `BTC/USD`.
    #[serde(default)]
    pub symbol: Option<String>,
    /// What kind of thing that is.
    #[serde(default)]
    pub asset_class: Option<AssetClass>,
    /// How much money is to be traded; then there is no quantity.
    #[serde(default)]
    pub notional: Option<Amount>,
    /// How much is ordered, in all.
    #[serde(default)]
    pub qty: Option<Amount>,
    /// How much of it is executed.
    #[serde(default)]
    pub filled_qty: Option<Amount>,
    /// At which price, on average.
    #[serde(default)]
    pub filled_avg_price: Option<Amount>,
    /// Whether it stands alone.
    #[serde(default = "unset")]
    pub order_class: OrderClass,
    /// How it is priced; the same as `kind`.
    pub order_type: OrderType,
    /// How it is priced.
    #[serde(rename = "type")]
    pub kind: OrderType,
    /// Buy or sell.
    pub side: Side,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// The worst price allowed.
    #[serde(default)]
    pub limit_price: Option<Amount>,
    /// Where it becomes active; of trailing stops where that is now.
    #[serde(default)]
    pub stop_price: Option<Amount>,
    /// Where it stands.
    pub status: OrderStatus,
    /// Whether it may be filled outside of the regular session.
    #[serde(default)]
    pub extended_hours: bool,
    /// The orders it brought with it. Only in nested answers, and never in the stream.
    #[serde(default)]
    pub legs: Option<Vec<Order>>,
    /// Of trailing stops: the distance in per cent,
    #[serde(default)]
    pub trail_percent: Option<Amount>,
    /// or in price,
    #[serde(default)]
    pub trail_price: Option<Amount>,
    /// and the best price there has been.
    #[serde(default)]
    pub hwm: Option<Amount>,
    /// What it does to the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_intent: Option<PositionIntent>,
    /// Of legs of several options: how many of this for each of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_qty: Option<Amount>,
    /// A mark of the broker's partner.
    #[serde(default)]
    pub subtag: Option<String>,
    /// Where it came from.
    #[serde(default)]
    pub source: Option<String>,
    /// When its time will be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What all orders of a bracket, OTO or OCO have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
    /// What it is for in that group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_role: Option<GroupRole>,
}

fn unset() -> OrderClass {
    OrderClass::Unset
}
