//! How Alpaca says no.

use serde::{Deserialize, Serialize};

use crate::Amount;

/// The body of every answer that is not a good one. The SDK fails on an error that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status times 100,000 and a detail: see [`code`]. Zero where Alpaca leaves it out.
    #[serde(default)]
    pub code: u32,
    /// For people: every SDK shows it as it is.
    #[serde(default)]
    pub message: String,
    /// What is free to sell, when it was too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Amount>,
    /// What is held, when it was too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_qty: Option<Amount>,
    /// What other orders sell already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_for_orders: Option<Amount>,
    /// What the order would have cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_basis: Option<Amount>,
    /// What there is to pay with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buying_power: Option<Amount>,
    /// Of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
}

impl Problem {
    /// A no with nothing but a code and words.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            available: None,
            existing_qty: None,
            held_for_orders: None,
            cost_basis: None,
            buying_power: None,
            symbol: None,
        }
    }

    /// The HTTP status that goes with the code, but for [`code::DUPLICATE`], which comes with 422.
    pub fn status(&self) -> u16 {
        match self.code {
            code::DUPLICATE => 422,
            code => u16::try_from(code / 100_000).unwrap_or(500),
        }
    }
}

/// The codes, with the HTTP status they come with.
pub mod code {
    /// 400: the body cannot be decoded.
    pub const MALFORMED: u32 = 40_010_000;
    /// 422: an order with this client order id is there. ("client_order_id must be unique")
    pub const DUPLICATE: u32 = 40_010_001;
    /// 401: no credentials, or not these.
    pub const UNAUTHORIZED: u32 = 40_110_000;
    /// 403: buying power, quantity, or what the account may do.
    pub const FORBIDDEN: u32 = 40_310_000;
    /// 404: no such order, position or asset.
    pub const NOT_FOUND: u32 = 40_410_000;
    /// 422: well formed and impossible: a price off its step, an unknown symbol, an order at its end.
    pub const UNPROCESSABLE: u32 = 42_210_000;
    /// 422: a parameter is missing or cannot be read.
    pub const INVALID: u32 = 42_210_001;
    /// 429: too many requests.
    pub const RATE_LIMITED: u32 = 42_910_000;
    /// 500: out of order.
    pub const INTERNAL: u32 = 50_010_000;
}
