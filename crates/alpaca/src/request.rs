//! What a client asks for.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Amount, OrderClass, OrderType, PositionIntent, Problem, Side, TimeInForce};

/// `POST /v2/orders`. What must be there is optional here all the same, so that its absence can be told in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// A symbol, a pair or an asset's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Either how much of it,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<Amount>,
    /// or for how much money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notional: Option<Amount>,
    /// Buy or sell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// How it is priced.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<OrderType>,
    /// How long it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_in_force: Option<TimeInForce>,
    /// On limit and stop-limit orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<Amount>,
    /// On stop and stop-limit orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Amount>,
    /// On trailing stops, this
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail_price: Option<Amount>,
    /// or this: 5 is 5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail_percent: Option<Amount>,
    /// Whether it may be filled outside of the regular session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_hours: Option<bool>,
    /// The client's id, at most 128 characters; made up where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<String>,
    /// Whether it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_class: Option<OrderClass>,
    /// The exit at a profit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_profit: Option<TakeProfit>,
    /// The exit that ends a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<StopLoss>,
    /// The parts of an order for several options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<Vec<OrderLeg>>,
    /// What it does to the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_intent: Option<PositionIntent>,
}

/// The exit at a profit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeProfit {
    /// Its limit price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<Amount>,
}

/// The exit that ends a loss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopLoss {
    /// Where it becomes active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Amount>,
    /// The worst price allowed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<Amount>,
}

/// A part of an order for several options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLeg {
    /// Which option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// How many of it for each of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_qty: Option<Amount>,
    /// Buy or sell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// What it does to the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_intent: Option<PositionIntent>,
}

/// `PATCH /v2/orders/{order_id}`: what is not mentioned stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceRequest {
    /// How much, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qty: Option<Amount>,
    /// For how much money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notional: Option<Amount>,
    /// How long it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_in_force: Option<TimeInForce>,
    /// The worst price allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<Amount>,
    /// Where it becomes active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Amount>,
    /// Of a trailing stop: its distance, in the unit it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Amount>,
    /// The new order's id with the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<String>,
}

/// An item of the answer to `DELETE /v2/orders`, which comes with 207.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanceledOrder {
    /// Which order.
    pub id: Uuid,
    /// 200, or why not.
    pub status: u16,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_sdks_send_are_read_by_their_text() {
        let body = r#"{"symbol":"AAPL","qty":2.0,"side":"buy","type":"limit","time_in_force":"gtc","limit_price":190.1,
            "order_class":"bracket","take_profit":{"limit_price":200.05},"stop_loss":{"stop_price":"180"},"new":[1]}"#;
        let request: OrderRequest = serde_json::from_str(body).unwrap();
        let text = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
        assert_eq!(text(request.qty).as_deref(), Some("2"));
        assert_eq!(text(request.limit_price).as_deref(), Some("190.1"));
        assert_eq!(text(request.take_profit.unwrap().limit_price).as_deref(), Some("200.05"));
        assert_eq!(text(request.stop_loss.unwrap().stop_price).as_deref(), Some("180"));
        assert_eq!(request.order_class, Some(OrderClass::Bracket));
    }

    #[test]
    fn a_request_mentions_only_what_it_asks_for() {
        let replace = ReplaceRequest { trail: Some("1.5".parse().unwrap()), ..ReplaceRequest::default() };
        assert_eq!(serde_json::to_string(&replace).unwrap(), r#"{"trail":"1.5"}"#);
    }
}
