//! What crosses the wire, as JSON. Numbers are text, times are RFC 3339 in UTC.
//!
//! Readers ignore fields that they do not know. Whoever reads a shape has checked its form and nothing else.

use std::time::Duration;

use domain::{
    Decimal, Money, OrderKind, Price, Quantity, Reason, Side, Symbol, TimeInForce, Timestamp, Trail,
};
use serde::{Deserialize, Serialize};
use trading::Misbehave;

/// The terms of an order: `POST /v1/accounts/{account}/orders`, and part of an [`Order`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The desk's id of it, a UUID. The venue takes each once.
    pub client_order_id: String,
    /// As `BTC-USD`.
    pub symbol: Symbol,
    /// `buy` or `sell`.
    pub side: Side,
    /// `market`, `limit`, `stop`, `stop_limit` or `trailing_stop`.
    #[serde(rename = "type")]
    pub kind: OrderKind,
    /// `day`, `gtc`, `ioc`, `fok`, `opg` or `cls`.
    pub time_in_force: TimeInForce,
    /// In all.
    pub quantity: Quantity,
    /// On limit and stop-limit orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_price: Option<Price>,
    /// On stop and stop-limit orders; of trailing stops where it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_price: Option<Price>,
    /// On trailing stops, this
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail_price: Option<Price>,
    /// or this: 5 is 5 %.
    #[serde(default, with = "percent", skip_serializing_if = "Option::is_none")]
    pub trail_percent: Option<Decimal>,
    /// Whether it may be filled outside the regular session.
    #[serde(default)]
    pub extended_hours: bool,
}

impl Terms {
    /// How far behind the market it stays; at most one of the two.
    pub fn trail(&self) -> Option<Trail> {
        self.trail_price.map(Trail::Price).or(self.trail_percent.map(Trail::Percent))
    }
}

/// `POST /v1/accounts/{account}/orders/{client_order_id}/replace`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replacement {
    /// How much of the old order the desk knows to be filled. The venue refuses when it is more.
    pub filled: Quantity,
    /// The order that takes its place.
    pub by: Terms,
}

/// The answer to an order that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// As in the request.
    pub client_order_id: String,
    /// The venue's.
    pub broker_order_id: String,
}

/// The answer to a cancel that will be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canceling {
    /// As in the request.
    pub client_order_id: String,
}

/// A no: the body of every answer with a status from 400 to 499.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// One of the desk's reasons, as `insufficient_funds`, or `invalid` for a request that makes no sense.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It works, wholly or in part.
    Open,
    /// All of it is executed.
    Filled,
    /// Another took its place.
    Replaced,
    /// It is canceled.
    Canceled,
    /// Its time is over.
    Expired,
    /// It was refused after all.
    Rejected,
}

/// An order as the venue has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The venue's id.
    pub broker_order_id: String,
    /// What is ordered.
    #[serde(flatten)]
    pub terms: Terms,
    /// Where it stands.
    pub status: Standing,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Problem>,
    /// Its executions as they stand after corrections.
    pub fills: Vec<Fill>,
    /// The client order id of the order that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// When the venue took it.
    pub placed_at: Timestamp,
}

/// The answer to `GET /v1/accounts/{account}/orders/{client_order_id}`. That there is none is an answer like any
/// other, so that nobody takes a stranger's 404 for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// `null`: there is none.
    pub order: Option<Order>,
}

/// The answer to `GET /v1/accounts/{account}/orders`: those that work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// All of them.
    pub orders: Vec<Order>,
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Unique at the venue.
    pub execution_id: String,
    /// Above zero.
    pub price: Price,
    /// Above zero.
    pub quantity: Quantity,
    /// Below zero is a rebate.
    pub fee: Money,
    /// When.
    pub at: Timestamp,
}

/// What was executed, corrected or taken back: an item of `GET /v1/accounts/{account}/executions?since=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The order's.
    pub client_order_id: String,
    /// The order's.
    pub broker_order_id: String,
    /// Of what.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// `filled`, `corrected` or `busted`.
    pub event: Event,
}

/// The answer to `GET /v1/accounts/{account}/executions?since=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Executions {
    /// Oldest first.
    pub executions: Vec<Execution>,
}

/// The answer to `GET /v1/accounts/{account}/balances`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// Money not invested.
    pub cash: Money,
    /// What is not listed is zero.
    pub positions: Vec<Position>,
}

/// Units held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Of what.
    pub symbol: Symbol,
    /// Below zero when short.
    pub quantity: Quantity,
}

/// What happens to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The venue has it.
    Acknowledged,
    /// The venue refused it after all.
    Refused(Problem),
    /// Some of it was executed.
    Filled(Fill),
    /// An execution was corrected.
    Corrected {
        /// Which one.
        execution_id: String,
        /// What it says now.
        by: Fill,
    },
    /// An execution was taken back.
    Busted {
        /// Which one.
        execution_id: String,
    },
    /// It goes on.
    CancelRefused {
        /// For people.
        message: String,
    },
    /// It is canceled.
    Canceled,
    /// Its time is over.
    Expired {
        /// For people.
        message: String,
    },
    /// It goes on.
    ReplaceRefused {
        /// For people.
        message: String,
    },
    /// Another took its place.
    Replaced {
        /// The client order id of that one.
        by: Option<String>,
    },
    /// The venue changed its terms.
    Restated {
        /// In all.
        quantity: Quantity,
        /// Now.
        limit_price: Option<Price>,
        /// Now.
        stop_price: Option<Price>,
    },
    /// A kind that the reader does not know.
    #[serde(other)]
    Unknown,
}

/// A frame of the stream, `GET /v1/accounts/{account}/stream`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame<E = Event> {
    /// The first: from here on everything is told.
    Hello {
        /// How long the venue is silent at most.
        heartbeat_ms: u64,
    },
    /// The venue lives and has nothing to say.
    Heartbeat,
    /// Something happened to an order.
    Order {
        /// The order's.
        client_order_id: String,
        /// The order's.
        broker_order_id: String,
        /// What.
        event: E,
    },
    /// A kind that the reader does not know.
    #[serde(other)]
    Unknown,
}

/// `POST /v1/drills/misbehave`: from now on the venue behaves like this. What is not named it does right.
///
/// Shares are probabilities from 0 to 1, drawn for each request or event. What each means says [`Misbehave`]. A name that
/// does not exist is refused: a person wrote it and meant something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MisbehaveDrill {
    /// Whether it is gone.
    pub dead: bool,
    /// Share.
    pub hang_before: f64,
    /// Share.
    pub hang_after: f64,
    /// Share.
    pub lose_answer: f64,
    /// Share.
    pub rate_limited: f64,
    /// Share.
    pub unavailable: f64,
    /// Share.
    pub lie: f64,
    /// Share.
    pub drop_events: f64,
    /// Share.
    pub duplicate_events: f64,
    /// Places that an event may move.
    pub reorder_within: usize,
    /// How long events are on their way.
    pub delay_events_ms: u64,
    /// How old an order must be to be found.
    pub listing_lag_ms: u64,
}

/// A drill that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDrill {
    /// The named share is not one.
    #[error("{0} is a share: a number from 0 to 1")]
    Share(&'static str),
    /// So many events would be kept back for ever.
    #[error("reorder_within is at most 1000")]
    Reorder,
    /// The named time is longer than a day.
    #[error("{0} is at most a day")]
    Time(&'static str),
}

impl MisbehaveDrill {
    /// The behaviour that it asks for.
    ///
    /// # Errors
    /// A number is out of its range.
    pub fn behaviour(&self) -> Result<Misbehave, InvalidDrill> {
        const DAY_MS: u64 = 86_400_000;
        for (name, share) in [
            ("hang_before", self.hang_before),
            ("hang_after", self.hang_after),
            ("lose_answer", self.lose_answer),
            ("rate_limited", self.rate_limited),
            ("unavailable", self.unavailable),
            ("lie", self.lie),
            ("drop_events", self.drop_events),
            ("duplicate_events", self.duplicate_events),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(InvalidDrill::Share(name));
            }
        }
        if self.reorder_within > 1_000 {
            return Err(InvalidDrill::Reorder);
        }
        for (name, ms) in [("delay_events_ms", self.delay_events_ms), ("listing_lag_ms", self.listing_lag_ms)]
        {
            if ms > DAY_MS {
                return Err(InvalidDrill::Time(name));
            }
        }
        Ok(Misbehave {
            dead: self.dead,
            hang_before: self.hang_before,
            hang_after: self.hang_after,
            lose_answer: self.lose_answer,
            rate_limited: self.rate_limited,
            unavailable: self.unavailable,
            lie: self.lie,
            drop_events: self.drop_events,
            duplicate_events: self.duplicate_events,
            reorder_within: self.reorder_within,
            delay_events: Duration::from_millis(self.delay_events_ms),
            listing_lag: Duration::from_millis(self.listing_lag_ms),
        })
    }
}

/// `POST /v1/drills/halt`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltDrill {
    /// Which.
    pub symbol: Symbol,
    /// Or whether it goes on.
    pub halted: bool,
}

/// `POST /v1/drills/bust`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BustDrill {
    /// Whose.
    pub account: domain::AccountId,
    /// Which execution.
    pub execution_id: String,
}

/// `POST /v1/drills/correct`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectDrill {
    /// Whose.
    pub account: domain::AccountId,
    /// Which execution.
    pub execution_id: String,
    /// What it says from now on.
    pub price: Price,
    /// What it says from now on.
    pub quantity: Quantity,
}

/// `POST /v1/drills/deposit`: money from nowhere; below zero is a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositDrill {
    /// Whose.
    pub account: domain::AccountId,
    /// How much.
    pub amount: Money,
}

/// The reason that a code stands for; what is not known is [`Reason::Other`].
pub fn reason(code: &str) -> Reason {
    code.parse().unwrap_or(Reason::Other)
}

/// A percentage as text, as strict as prices are.
mod percent {
    use domain::{Decimal, Price};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(percent: &Option<Decimal>, to: S) -> Result<S::Ok, S::Error> {
        percent.map(Price).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
        Ok(Option::<Price>::deserialize(from)?.map(|percent| percent.0))
    }
}
