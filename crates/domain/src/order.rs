//! An order and the events that change it: the pure state machine of the order path.
//!
//! The journal is the list of an order's events; the order is the fold over it ([`Order::apply`]). Events may
//! arrive in any order and more than once. What the broker executed always counts, whatever the desk believed.

use serde::{Deserialize, Serialize};

use crate::access::UnknownName;
use crate::{AccountId, Money, OrderId, Price, Quantity, Symbol, Timestamp};

macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident, $what:literal;
        $($(#[$vdoc:meta])* $variant:ident = $text:literal;)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in storage and interfaces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| UnknownName {
                    what: $what,
                    given: text.chars().take(40).collect(),
                    allowed: Self::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

words! {
    /// Buy or sell.
    Side, "side";
    /// More of the instrument, less money.
    Buy = "buy";
    /// Less of the instrument, more money.
    Sell = "sell";
}

impl Side {
    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

words! {
    /// How an order is priced.
    OrderKind, "order type";
    /// At the best prices there are, now.
    Market = "market";
    /// At the limit price or better.
    Limit = "limit";
}

words! {
    /// How long an order works.
    TimeInForce, "time in force";
    /// Until the end of the trading day (for crypto: of the UTC day).
    Day = "day";
    /// Until it is filled or canceled.
    Gtc = "gtc";
}

words! {
    /// Where an order stands.
    Status, "order status";
    /// In the journal; not sent yet.
    Accepted = "accepted";
    /// Being sent; the broker's answer is not known yet.
    Submitting = "submitting";
    /// Sent, and the answer was lost. Ends only by asking the broker.
    Unknown = "unknown";
    /// The broker has it.
    Working = "working";
    /// Part of it is executed, the rest is working.
    PartiallyFilled = "partially_filled";
    /// All of it is executed.
    Filled = "filled";
    /// The broker was asked to cancel it.
    CancelPending = "cancel_pending";
    /// Canceled; what was filled before stays filled.
    Canceled = "canceled";
    /// Its time in force ended, or it was never sent in time.
    Expired = "expired";
    /// The broker refused it.
    Rejected = "rejected";
}

impl Status {
    /// Whether nothing more is expected to happen. A late fill may still.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired | Self::Rejected)
    }
}

/// What somebody wishes to trade, checked for form but not yet accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    /// The client's name for it, unique on the account for ever.
    pub client_order_id: String,
    /// What to trade.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Market or limit.
    pub kind: OrderKind,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// How much.
    pub quantity: Quantity,
    /// The worst price allowed. Present on limit orders only.
    pub limit_price: Option<Price>,
}

/// An execution of ours, as the broker reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The broker's id of the execution: unique on the account.
    pub execution_id: String,
    /// Above zero.
    pub price: Price,
    /// Above zero.
    pub quantity: Quantity,
    /// What the broker takes for it. Below zero is a rebate.
    pub fee: Money,
    /// When the broker executed it.
    pub at: Timestamp,
}

/// Something that happened to an order: one row of the order journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OrderEvent {
    /// The router is about to send it. Journaled before the first byte goes out.
    Submitting {
        /// Counts from 1.
        attempt: u32,
    },
    /// Definitely not delivered, as when the connection was refused. May be sent again.
    NotReached {
        /// What happened.
        detail: String,
    },
    /// The answer was lost; the broker may have it or not.
    Lost {
        /// What happened.
        detail: String,
    },
    /// The broker has it.
    Acknowledged {
        /// The broker's id of it.
        broker_order_id: String,
    },
    /// The broker refused it.
    Refused {
        /// In the broker's words.
        reason: String,
    },
    /// Some of it was executed.
    Filled(Fill),
    /// Somebody asked to cancel it.
    CancelRequested,
    /// The broker did not cancel it.
    CancelRefused {
        /// In the broker's words.
        reason: String,
    },
    /// It is canceled.
    Canceled,
    /// It ended by time: at the broker, or before it was ever sent.
    Expired {
        /// Why.
        reason: String,
    },
}

impl OrderEvent {
    /// The name of the kind, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Submitting { .. } => "submitting",
            Self::NotReached { .. } => "not_reached",
            Self::Lost { .. } => "lost",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Refused { .. } => "refused",
            Self::Filled(_) => "filled",
            Self::CancelRequested => "cancel_requested",
            Self::CancelRefused { .. } => "cancel_refused",
            Self::Canceled => "canceled",
            Self::Expired { .. } => "expired",
        }
    }
}

/// What folding an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The order changed.
    Changed,
    /// The event says what was known already, or comes too late to matter. Nothing to journal.
    Nothing,
}

/// An event that cannot happen to an order in this state. Either side has a bug; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTransition {
    /// The status does not allow the event.
    #[error("order {order} is {status}; it cannot become {event}")]
    Status {
        /// Which order.
        order: OrderId,
        /// Where it stands.
        status: Status,
        /// What came.
        event: &'static str,
    },
    /// More was executed than was ordered.
    #[error("order {order} is for {ordered}; with this fill {filled} would be executed")]
    Overfill {
        /// Which order.
        order: OrderId,
        /// How much was ordered.
        ordered: Quantity,
        /// How much would be filled.
        filled: Quantity,
    },
}

/// An order the desk has accepted, and how much of it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The desk's id.
    pub id: OrderId,
    /// On which account.
    pub account: AccountId,
    /// What was asked for.
    pub request: OrderRequest,
    /// Who asked: a user's id.
    pub submitted_by: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// The broker's id, once known.
    pub broker_order_id: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// Executed so far. Invariant: never above `request.quantity`.
    pub filled: Quantity,
    /// Sum of price times quantity over its fills.
    pub filled_notional: Money,
    /// Sum of the fees of its fills.
    pub fees: Money,
    /// Why it was rejected, expired, or why its outcome is unknown.
    pub reason: Option<String>,
    /// Events folded so far: 0 when just accepted. The next event has this number plus one.
    pub version: u64,
}

impl Order {
    /// A new order, accepted and not yet sent.
    pub fn accepted(
        id: OrderId,
        account: AccountId,
        request: OrderRequest,
        submitted_by: String,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            request,
            submitted_by,
            created_at: at,
            updated_at: at,
            status: Status::Accepted,
            broker_order_id: None,
            attempts: 0,
            filled: Quantity::ZERO,
            filled_notional: Money::ZERO,
            fees: Money::ZERO,
            reason: None,
            version: 0,
        }
    }

    /// What is neither executed nor given up.
    pub fn leaves(&self) -> Quantity {
        if self.status.is_terminal() { Quantity::ZERO } else { self.request.quantity - self.filled }
    }

    /// Average price of its fills; `None` before the first.
    pub fn average_fill_price(&self) -> Option<Price> {
        self.filled_notional.0.checked_div(self.filled.0).map(Price)
    }

    /// Folds an event into the order.
    ///
    /// The caller drops executions it has seen (by execution id) before; this only guards the sum.
    ///
    /// # Errors
    /// The event cannot happen in this state; the order is as before.
    pub fn apply(&mut self, event: &OrderEvent, at: Timestamp) -> Result<Applied, InvalidTransition> {
        let Some(status) = self.next(event)? else { return Ok(Applied::Nothing) };
        match event {
            OrderEvent::Submitting { attempt } => self.attempts = *attempt,
            OrderEvent::Acknowledged { broker_order_id } => {
                self.broker_order_id = Some(broker_order_id.clone());
                self.reason = None;
            }
            OrderEvent::Filled(fill) => {
                self.filled += fill.quantity;
                self.filled_notional += fill.price * fill.quantity;
                self.fees += fill.fee;
            }
            OrderEvent::Lost { detail } | OrderEvent::NotReached { detail } => {
                self.reason = Some(detail.clone())
            }
            OrderEvent::Refused { reason }
            | OrderEvent::CancelRefused { reason }
            | OrderEvent::Expired { reason } => self.reason = Some(reason.clone()),
            OrderEvent::CancelRequested | OrderEvent::Canceled => {}
        }
        self.status = status;
        self.version += 1;
        self.updated_at = self.updated_at.max(at);
        Ok(Applied::Changed)
    }

    /// The status after an event; `None` when the event changes nothing.
    ///
    /// | event | from | to |
    /// |---|---|---|
    /// | submitting | accepted | submitting |
    /// | not_reached | submitting | accepted |
    /// | lost | submitting | unknown |
    /// | acknowledged | accepted, submitting, unknown | working |
    /// | refused | any that is not terminal | rejected |
    /// | filled | any | filled when complete; else partially_filled, or as it was if a cancel is pending or it has ended |
    /// | cancel_requested | any that is not terminal | cancel_pending |
    /// | cancel_refused | cancel_pending | working or partially_filled |
    /// | canceled, expired | any that is not terminal | canceled, expired |
    fn next(&self, event: &OrderEvent) -> Result<Option<Status>, InvalidTransition> {
        use Status::*;
        let invalid =
            || InvalidTransition::Status { order: self.id, status: self.status, event: event.kind() };
        let open = if self.filled.is_zero() { Working } else { PartiallyFilled };
        let status = match event {
            OrderEvent::Submitting { .. } => match self.status {
                Accepted => Submitting,
                _ => return Err(invalid()),
            },
            OrderEvent::NotReached { .. } => match self.status {
                Submitting => Accepted,
                // The broker or a cancel was faster than the report that nobody was reached.
                _ => return Ok(None),
            },
            OrderEvent::Lost { .. } => match self.status {
                Submitting => Unknown,
                // The stream told the outcome before the answer was lost.
                _ => return Ok(None),
            },
            OrderEvent::Acknowledged { .. } => match self.status {
                Accepted | Submitting | Unknown => open,
                _ if self.broker_order_id.is_none() => self.status,
                _ => return Ok(None),
            },
            OrderEvent::Filled(fill) => {
                let filled = self.filled + fill.quantity;
                if filled > self.request.quantity {
                    return Err(InvalidTransition::Overfill {
                        order: self.id,
                        ordered: self.request.quantity,
                        filled,
                    });
                }
                match self.status {
                    _ if filled == self.request.quantity => Filled,
                    // It crossed a cancel or came after the end: it happened, so it counts.
                    CancelPending | Canceled | Expired | Rejected => self.status,
                    _ => PartiallyFilled,
                }
            }
            OrderEvent::CancelRequested if self.status == CancelPending => return Ok(None),
            OrderEvent::CancelRequested if self.status.is_terminal() => return Err(invalid()),
            OrderEvent::CancelRequested => CancelPending,
            OrderEvent::CancelRefused { .. } => match self.status {
                CancelPending => open,
                _ => return Ok(None),
            },
            OrderEvent::Refused { .. } | OrderEvent::Canceled | OrderEvent::Expired { .. }
                if self.status.is_terminal() =>
            {
                return Ok(None);
            }
            OrderEvent::Refused { .. } => Rejected,
            OrderEvent::Canceled => Canceled,
            OrderEvent::Expired { .. } => Expired,
        };
        Ok(Some(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(quantity: &str) -> Order {
        let at = Timestamp::UNIX_EPOCH;
        let request = OrderRequest {
            client_order_id: "c-1".into(),
            symbol: "BTC-USD".parse().unwrap(),
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            quantity: quantity.parse().unwrap(),
            limit_price: Some("100".parse().unwrap()),
        };
        Order::accepted(OrderId::new(at), AccountId::new(at), request, "somebody".into(), at)
    }

    fn event(word: &str, nth: usize) -> OrderEvent {
        let (word, quantity) = word.split_once(' ').unwrap_or((word, ""));
        match word {
            "submit" => OrderEvent::Submitting { attempt: 1 },
            "not-reached" => OrderEvent::NotReached { detail: "connection refused".into() },
            "lost" => OrderEvent::Lost { detail: "timed out".into() },
            "ack" => OrderEvent::Acknowledged { broker_order_id: "b-1".into() },
            "refuse" => OrderEvent::Refused { reason: "no".into() },
            "fill" => OrderEvent::Filled(Fill {
                execution_id: format!("e-{nth}"),
                price: "100".parse().unwrap(),
                quantity: quantity.parse().unwrap(),
                fee: Money::ZERO,
                at: Timestamp::UNIX_EPOCH,
            }),
            "cancel" => OrderEvent::CancelRequested,
            "cancel-refused" => OrderEvent::CancelRefused { reason: "no".into() },
            "canceled" => OrderEvent::Canceled,
            "expire" => OrderEvent::Expired { reason: "day ended".into() },
            other => panic!("no event {other}"),
        }
    }

    /// Folds `events` ("submit; ack; fill 40") into an order for 100; errors are part of the story.
    fn check(events: &str, expected: &str) {
        let mut order = order("100");
        let mut errors = 0;
        for (nth, word) in events.split("; ").enumerate() {
            let before = order.clone();
            if order.apply(&event(word, nth), Timestamp::UNIX_EPOCH).is_err() {
                assert_eq!(order, before, "an impossible event changed the order");
                errors += 1;
            }
        }
        let mut story = format!("{}, {} filled, {} leaves", order.status, order.filled, order.leaves());
        if errors > 0 {
            story += &format!(", {errors} impossible");
        }
        assert_eq!(story, expected, "after {events}");
    }

    #[test]
    fn an_order_is_sent_worked_and_filled() {
        check("submit; ack", "working, 0 filled, 100 leaves");
        check("submit; ack; fill 40", "partially_filled, 40 filled, 60 leaves");
        check("submit; ack; fill 40; fill 60", "filled, 100 filled, 0 leaves");
    }

    #[test]
    fn events_may_overtake_each_other() {
        check("submit; fill 100; ack", "filled, 100 filled, 0 leaves");
        check("submit; fill 40; ack", "partially_filled, 40 filled, 60 leaves");
        check("submit; canceled; ack; fill 10", "canceled, 10 filled, 0 leaves");
        check("submit; ack; lost", "working, 0 filled, 100 leaves");
        check("submit; fill 40; lost; not-reached", "partially_filled, 40 filled, 60 leaves");
    }

    #[test]
    fn a_fill_that_crosses_the_cancel_still_counts() {
        check("submit; ack; cancel; fill 10; canceled", "canceled, 10 filled, 0 leaves");
        check("submit; ack; fill 40; cancel; canceled; fill 10", "canceled, 50 filled, 0 leaves");
        check("submit; ack; cancel; fill 100; canceled", "filled, 100 filled, 0 leaves");
        check("submit; ack; cancel; canceled; fill 100", "filled, 100 filled, 0 leaves");
    }

    #[test]
    fn a_refused_cancel_leaves_the_order_working() {
        check("submit; ack; cancel; cancel-refused", "working, 0 filled, 100 leaves");
        check("submit; ack; fill 1; cancel; cancel-refused", "partially_filled, 1 filled, 99 leaves");
    }

    #[test]
    fn unknown_ends_only_by_what_the_broker_says() {
        check("submit; lost", "unknown, 0 filled, 100 leaves");
        check("submit; lost; lost; not-reached", "unknown, 0 filled, 100 leaves");
        check("submit; lost; submit", "unknown, 0 filled, 100 leaves, 1 impossible");
        check("submit; lost; ack", "working, 0 filled, 100 leaves");
        check("submit; lost; fill 100", "filled, 100 filled, 0 leaves");
        check("submit; lost; expire", "expired, 0 filled, 0 leaves");
    }

    #[test]
    fn only_what_was_not_reached_is_sent_again() {
        check("submit; not-reached; submit; ack", "working, 0 filled, 100 leaves");
        check("submit; submit", "submitting, 0 filled, 100 leaves, 1 impossible");
        check("submit; ack; submit", "working, 0 filled, 100 leaves, 1 impossible");
    }

    #[test]
    fn the_end_is_the_end_but_for_fills() {
        check("submit; refuse; canceled; expire; ack; cancel", "rejected, 0 filled, 0 leaves, 1 impossible");
        check("submit; ack; fill 100; canceled; refuse; expire", "filled, 100 filled, 0 leaves");
    }

    #[test]
    fn more_than_was_ordered_is_never_booked() {
        check("submit; ack; fill 60; fill 60", "partially_filled, 60 filled, 40 leaves, 1 impossible");
    }
}
