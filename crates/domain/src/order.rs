//! An order and the events that change it: the pure state machine of the order path.
//!
//! The journal is the list of an order's events; the order is the fold over it ([`Order::apply`]). Events may
//! arrive in any order and more than once. What the broker executed always counts, whatever the desk believed.
//!
//! What is asked for is in [`request`], which status follows which event in [`transitions`], why brokers say no in
//! [`refusal`].

mod refusal;
mod request;
mod transitions;

use serde::{Deserialize, Serialize};

pub use refusal::Reason;
pub use request::{Leg, OrderClass, OrderKind, OrderRequest, Side, Size, StopLoss, TimeInForce, Trail};
pub use transitions::{EventKind, table as transition_table};
use transitions::{Facts, Next};

use crate::words::words;
use crate::{AccountId, BookId, KeyId, Money, OrderId, Price, Quantity, Timestamp};

words! {
    /// Where an order stands.
    Status, "order status";
    /// In the journal; the desk keeps it until its condition is met.
    Held = "held";
    /// In the journal; not sent yet.
    Accepted = "accepted";
    /// Being sent; the broker's answer is not known yet.
    Submitting = "submitting";
    /// Sent, and the answer was lost. Ends only by what the broker says, or by a named person.
    Unknown = "unknown";
    /// The broker has it.
    Working = "working";
    /// Part of it is executed, the rest is working.
    PartiallyFilled = "partially_filled";
    /// The broker was asked to replace it by another order.
    ReplacePending = "replace_pending";
    /// The broker was asked to cancel it.
    CancelPending = "cancel_pending";
    /// All of it is executed.
    Filled = "filled";
    /// Another order took its place; what was filled before stays filled.
    Replaced = "replaced";
    /// Canceled; what was filled before stays filled.
    Canceled = "canceled";
    /// Its time in force ended, or it was never sent in time.
    Expired = "expired";
    /// The broker refused it.
    Rejected = "rejected";
}

impl Status {
    /// Whether nothing more is expected to happen. A late fill or a correction still may.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Replaced | Self::Canceled | Self::Expired | Self::Rejected)
    }
}

words! {
    /// Who made an order.
    Origin, "origin";
    /// The desk, for somebody.
    Desk = "desk";
    /// Somebody outside the desk, at the broker. The desk found it there and watches over it.
    External = "external";
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
    /// The price was reached at which an order that the desk holds is to be sent, once nothing stands in its way.
    Triggered {
        /// Which price.
        reason: String,
    },
    /// The desk let go of an order that it held.
    Released {
        /// Which condition was met.
        reason: String,
        /// How much of it is to be sent, where that is not all.
        quantity: Option<Quantity>,
    },
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
    /// After a lost answer: the broker does not have it, as far as can be told. It may be sent again under the same id
    /// to a broker that refuses an id it has seen.
    Absent {
        /// How that is known.
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
        /// Which of the known reasons that is.
        #[serde(default = "other")]
        code: Reason,
    },
    /// Some of it was executed.
    Filled(Fill),
    /// The broker corrected an execution.
    Corrected {
        /// Which one.
        execution_id: String,
        /// What it says now. Has an execution id of its own, or the same.
        by: Fill,
    },
    /// The broker took an execution back.
    Busted {
        /// Which one.
        execution_id: String,
    },
    /// Somebody asked to cancel it.
    CancelRequested,
    /// The broker did not cancel it.
    CancelRefused {
        /// In the broker's words.
        reason: String,
    },
    /// It is canceled.
    Canceled,
    /// It ended by time: at the broker, or before it was ever sent. Or a named person ended an unknown outcome.
    Expired {
        /// Why.
        reason: String,
    },
    /// Somebody asked to replace it by another order.
    ReplaceRequested {
        /// The order that is to take its place.
        by: OrderId,
    },
    /// The broker did not replace it.
    ReplaceRefused {
        /// In the broker's words.
        reason: String,
    },
    /// Another order took its place.
    Replaced {
        /// Which one; `None` when the desk does not know it yet.
        by: Option<OrderId>,
    },
    /// The broker changed its terms by itself.
    Restated {
        /// How much is ordered now, in all.
        quantity: Quantity,
        /// The limit price now.
        limit_price: Option<Price>,
        /// The stop price now.
        stop_price: Option<Price>,
    },
}

/// The reason of refusals that were journaled before reasons were told apart.
fn other() -> Reason {
    Reason::Other
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
#[error("order {order} is {status}; it cannot become {event}")]
pub struct InvalidTransition {
    /// Which order.
    pub order: OrderId,
    /// Where it stands.
    pub status: Status,
    /// What came.
    pub event: EventKind,
}

/// How an order came to be: what does not change while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Who asked: a user's id, or `external`.
    pub submitted_by: String,
    /// The API key with which a program asked for it on their behalf.
    pub key: Option<KeyId>,
    /// Inside or outside the desk.
    pub origin: Origin,
    /// The book it belongs to; `None` is the account's own.
    pub book: Option<BookId>,
    /// The order that brought it with it.
    pub parent: Option<OrderId>,
    /// What it is for in its group; `None` for entries and simple orders.
    pub leg: Option<Leg>,
    /// The order whose place it is to take.
    pub replaces: Option<OrderId>,
    /// What the desk does for it because the broker cannot: named by what the broker lacks, as `bracket`.
    pub done_by_desk: Vec<String>,
}

impl Provenance {
    /// An order of somebody on the desk, alone.
    pub fn of(submitted_by: impl Into<String>) -> Self {
        Self {
            submitted_by: submitted_by.into(),
            key: None,
            origin: Origin::Desk,
            book: None,
            parent: None,
            leg: None,
            replaces: None,
            done_by_desk: Vec::new(),
        }
    }
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
    /// How it came to be.
    pub provenance: Provenance,
    /// How much is ordered. A size in money is turned into units when the order is accepted.
    pub quantity: Quantity,
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
    /// Executed so far. Above `quantity` only if the broker executed more than was ordered.
    pub filled: Quantity,
    /// Sum of price times quantity over its fills.
    pub filled_notional: Money,
    /// Sum of the fees of its fills.
    pub fees: Money,
    /// Why it was rejected, expired, or why its outcome is unknown.
    pub reason: Option<String>,
    /// Which of the known reasons that is, where a broker gave it.
    pub reason_code: Option<Reason>,
    /// The order that took its place, or is to.
    pub replaced_by: Option<OrderId>,
    /// While it is held: its price was reached, and it waits for what stands in its way to be canceled.
    pub is_triggered: bool,
    /// The broker changed its terms.
    pub is_restated: bool,
    /// Events folded so far: 0 when just accepted. The next event has this number plus one.
    pub version: u64,
}

impl Order {
    /// A new order, accepted and not yet sent.
    pub fn accepted(
        id: OrderId,
        account: AccountId,
        request: OrderRequest,
        quantity: Quantity,
        provenance: Provenance,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            account,
            request,
            provenance,
            quantity,
            created_at: at,
            updated_at: at,
            status: Status::Accepted,
            broker_order_id: None,
            attempts: 0,
            filled: Quantity::ZERO,
            filled_notional: Money::ZERO,
            fees: Money::ZERO,
            reason: None,
            reason_code: None,
            replaced_by: None,
            is_triggered: false,
            is_restated: false,
            version: 0,
        }
    }

    /// A new order that the desk keeps until its condition is met.
    pub fn held(self) -> Self {
        Self { status: Status::Held, ..self }
    }

    /// What is neither executed nor given up.
    pub fn leaves(&self) -> Quantity {
        if self.status.is_terminal() { Quantity::ZERO } else { self.unfilled() }
    }

    /// What is not executed, at the end too.
    pub fn unfilled(&self) -> Quantity {
        (self.quantity - self.filled).max(Quantity::ZERO)
    }

    /// Average price of its fills; `None` before the first.
    pub fn average_fill_price(&self) -> Option<Price> {
        self.filled_notional.0.checked_div(self.filled.0).map(Price)
    }

    /// Folds an event into the order.
    ///
    /// The caller drops executions it has seen (by execution id) before. A correction needs the execution as it was:
    /// see [`Order::amend`].
    ///
    /// # Errors
    /// The event cannot happen in this state; the order is as before.
    pub fn apply(&mut self, event: &OrderEvent, at: Timestamp) -> Result<Applied, InvalidTransition> {
        self.amend(event, None, at)
    }

    /// Folds an event into the order; `was` is the execution that a correction or a bust is about.
    ///
    /// # Errors
    /// The event cannot happen in this state; the order is as before.
    pub fn amend(
        &mut self,
        event: &OrderEvent,
        was: Option<&Fill>,
        at: Timestamp,
    ) -> Result<Applied, InvalidTransition> {
        let mut after = self.clone();
        after.take(event, was);
        let facts = Facts {
            any_filled: after.filled.is_positive(),
            complete: after.filled >= after.quantity,
            has_broker_id: self.broker_order_id.is_some(),
        };
        let status = match transitions::next(self.status, event.kind(), facts) {
            Next::Nothing => return Ok(Applied::Nothing),
            Next::Impossible => {
                return Err(InvalidTransition { order: self.id, status: self.status, event: event.kind() });
            }
            Next::To(status) => status,
        };
        after.status = status;
        after.version += 1;
        after.updated_at = self.updated_at.max(at);
        *self = after;
        Ok(Applied::Changed)
    }

    /// Everything that an event changes but for the status.
    fn take(&mut self, event: &OrderEvent, was: Option<&Fill>) {
        match event {
            OrderEvent::Triggered { reason } => {
                self.is_triggered = true;
                self.reason = Some(reason.clone());
            }
            OrderEvent::Released { reason, quantity } => {
                self.quantity = quantity.unwrap_or(self.quantity);
                self.reason = Some(reason.clone());
            }
            OrderEvent::Submitting { attempt } => self.attempts = *attempt,
            OrderEvent::Acknowledged { broker_order_id } => {
                self.broker_order_id = Some(broker_order_id.clone());
                if !self.status.is_terminal() {
                    self.reason = None;
                }
            }
            OrderEvent::Filled(fill) => self.count(fill, true),
            OrderEvent::Corrected { by, .. } => {
                if let Some(was) = was {
                    self.count(was, false);
                    self.count(by, true);
                }
                self.reason = Some("an execution was corrected".into());
            }
            OrderEvent::Busted { .. } => {
                if let Some(was) = was {
                    self.count(was, false);
                }
                self.reason = Some("an execution was taken back".into());
            }
            OrderEvent::Lost { detail }
            | OrderEvent::NotReached { detail }
            | OrderEvent::Absent { detail } => {
                self.reason = Some(detail.clone());
            }
            OrderEvent::Refused { reason, code } => {
                self.reason = Some(reason.clone());
                self.reason_code = Some(*code);
            }
            OrderEvent::CancelRefused { reason }
            | OrderEvent::Expired { reason }
            | OrderEvent::ReplaceRefused { reason } => self.reason = Some(reason.clone()),
            OrderEvent::ReplaceRequested { by } => self.replaced_by = Some(*by),
            OrderEvent::Replaced { by } => self.replaced_by = by.or(self.replaced_by),
            OrderEvent::Restated { quantity, limit_price, stop_price } => {
                self.is_restated = true;
                self.quantity = *quantity;
                self.request.limit_price = limit_price.or(self.request.limit_price);
                self.request.stop_price = stop_price.or(self.request.stop_price);
            }
            OrderEvent::CancelRequested | OrderEvent::Canceled => {}
        }
        if matches!(event, OrderEvent::ReplaceRefused { .. }) {
            self.replaced_by = None;
        }
    }

    fn count(&mut self, fill: &Fill, add: bool) {
        let notional = fill.price * fill.quantity;
        if add {
            self.filled += fill.quantity;
            self.filled_notional += notional;
            self.fees += fill.fee;
        } else {
            self.filled -= fill.quantity;
            self.filled_notional -= notional;
            self.fees -= fill.fee;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(quantity: &str) -> Order {
        let at = Timestamp::UNIX_EPOCH;
        let quantity: Quantity = quantity.parse().unwrap();
        let (symbol, limit) = ("BTC-USD".parse().unwrap(), Some("100".parse().unwrap()));
        let request = OrderRequest::simple("c-1", symbol, Side::Buy, quantity, limit, TimeInForce::Gtc);
        let provenance = Provenance::of("somebody");
        Order::accepted(OrderId::new(at), AccountId::new(at), request, quantity, provenance, at)
    }

    fn event(word: &str, nth: usize) -> OrderEvent {
        let (word, quantity) = word.split_once(' ').unwrap_or((word, ""));
        match word {
            "submit" => OrderEvent::Submitting { attempt: 1 },
            "not-reached" => OrderEvent::NotReached { detail: "connection refused".into() },
            "lost" => OrderEvent::Lost { detail: "timed out".into() },
            "ack" => OrderEvent::Acknowledged { broker_order_id: "b-1".into() },
            "refuse" => OrderEvent::Refused { reason: "no".into(), code: Reason::Other },
            "fill" => OrderEvent::Filled(Fill {
                execution_id: format!("e-{nth}"),
                price: "100".parse().unwrap(),
                quantity: quantity.parse().unwrap(),
                fee: Money::ZERO,
                at: Timestamp::UNIX_EPOCH,
            }),
            "cancel" => OrderEvent::CancelRequested,
            "absent" => OrderEvent::Absent { detail: "not there".into() },
            "replace" => OrderEvent::ReplaceRequested { by: OrderId::new(Timestamp::UNIX_EPOCH) },
            "replace-refused" => OrderEvent::ReplaceRefused { reason: "no".into() },
            "replaced" => OrderEvent::Replaced { by: None },
            "restate" => OrderEvent::Restated {
                quantity: quantity.parse().unwrap(),
                limit_price: None,
                stop_price: None,
            },
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
    fn what_the_broker_executed_counts_even_beyond_what_was_ordered() {
        check("submit; ack; fill 60; fill 60", "filled, 120 filled, 0 leaves");
    }

    #[test]
    fn a_lost_order_that_is_not_there_can_be_sent_again() {
        check("submit; lost; absent; submit; ack", "working, 0 filled, 100 leaves");
        check("submit; lost; ack; absent", "working, 0 filled, 100 leaves");
    }

    #[test]
    fn a_replacement_is_final_only_when_the_broker_says_so() {
        check("submit; ack; replace", "replace_pending, 0 filled, 100 leaves");
        check("submit; ack; replace; fill 10; replaced", "replaced, 10 filled, 0 leaves");
        check("submit; ack; replace; replace-refused", "working, 0 filled, 100 leaves");
        check("submit; ack; replace; fill 100; replaced", "filled, 100 filled, 0 leaves");
        check("submit; ack; replace; replaced; fill 10", "replaced, 10 filled, 0 leaves");
        check("submit; replace", "submitting, 0 filled, 100 leaves, 1 impossible");
    }

    #[test]
    fn a_restated_order_has_the_quantity_the_broker_says() {
        check("submit; ack; restate 40", "working, 0 filled, 40 leaves");
        check("submit; ack; fill 40; restate 40", "filled, 40 filled, 0 leaves");
    }

    /// Folds events of a corrected execution of 40.
    fn corrected(events: &str, change: OrderEvent, expected: &str) {
        let mut order = order("100");
        for (nth, word) in events.split("; ").enumerate() {
            order.apply(&event(word, nth), Timestamp::UNIX_EPOCH).unwrap();
        }
        let OrderEvent::Filled(was) = event("fill 40", 0) else { unreachable!() };
        order.amend(&change, Some(&was), Timestamp::UNIX_EPOCH).unwrap();
        let cost = order.filled_notional;
        assert_eq!(format!("{}, {} filled for {cost}", order.status, order.filled), expected);
    }

    #[test]
    fn a_correction_changes_what_was_executed() {
        let OrderEvent::Filled(by) = event("fill 30", 9) else { unreachable!() };
        let bust = || OrderEvent::Busted { execution_id: "e".into() };
        let correct = OrderEvent::Corrected { execution_id: "e".into(), by };
        corrected("submit; ack; fill 40", bust(), "working, 0 filled for 0");
        corrected("submit; ack; fill 40; canceled", bust(), "canceled, 0 filled for 0");
        corrected("submit; ack; fill 100", bust(), "partially_filled, 60 filled for 6000");
        corrected("submit; ack; fill 40; fill 60", bust(), "partially_filled, 60 filled for 6000");
        corrected("submit; ack; fill 40", correct, "partially_filled, 30 filled for 3000");
    }

    /// `UPDATE_DOCS=1` writes it instead.
    #[test]
    fn the_documentation_has_the_table_of_transitions() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/order-states.md");
        let text = format!("{}{}", include_str!("order/states.md"), transition_table());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let documented = std::fs::read_to_string(&file).unwrap();
        assert!(documented == text, "docs/order-states.md is behind: UPDATE_DOCS=1 cargo test -p domain");
    }

    #[test]
    fn every_status_knows_what_to_do_with_every_event() {
        let table = transition_table();
        assert_eq!(table.lines().count(), EventKind::ALL.len() + 2);
        assert!(table.contains("| **submitting** | ✕ | submitting | ✕ |"), "{table}");
    }
}
