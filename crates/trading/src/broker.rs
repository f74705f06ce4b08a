//! What the desk needs of a broker. A connector provides it.

#[cfg(feature = "testing")]
pub mod conformance;

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Fill, Money, Order, OrderClass, OrderEvent, OrderKind, OrderRequest, Price, Quantity, Reason, Side,
    Symbol, TimeInForce, Timestamp, Trail,
};
use tokio::sync::mpsc;

use crate::custody::Credentials;

/// One account at a broker.
///
/// The broker is given the desk's own order id as client order id, so that an order is found again whatever was lost.
/// An order from outside the desk ([`domain::Origin::External`]) is known by the broker's id of it.
/// Implementations bound every call by a time-out, and never repeat a submission by themselves.
#[async_trait]
pub trait Broker: Send + Sync {
    /// What the broker can do and how it is to be treated. Does not change while the desk runs.
    fn profile(&self) -> &Profile;

    /// Sends an order. `Ok` is the broker's id of it.
    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure>;

    /// Asks to cancel an order. `Ok` says that the broker will try: the end is told as an event.
    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure>;

    /// Asks to put `by` in the place of `order`. `Ok` is the broker's id of the new order; that it took the old one's
    /// place is told as an event. The quantity of `by` is what it may still execute, and `order.filled` is what the desk
    /// knows of: a broker that can tell refuses when more of it was filled meanwhile.
    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure>;

    /// Looks an order up by the desk's id. `None`: the broker has no such order, as far as it knows now.
    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable>;

    /// Every order that works at the broker, whoever placed it.
    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable>;

    /// What was executed on the account since `since`, oldest first, corrections and busts among it.
    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable>;

    /// Cash and holdings.
    async fn balances(&self) -> Result<Balances, BrokerUnreachable>;

    /// What lately changed holdings without a trade, newest first. Most brokers tell nothing of it.
    async fn corporate_actions(&self) -> Result<Vec<CorporateAction>, BrokerUnreachable> {
        Ok(Vec::new())
    }

    /// Opens the stream of what happens to orders. It ends when the connection is lost; what happened meanwhile is
    /// not repeated, and the caller reconciles.
    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable>;

    /// Uses other credentials from the next request on, and moves the stream over to them. A broker without any does
    /// nothing.
    ///
    /// # Errors
    /// They cannot be sent; those from before stay.
    fn renew(&self, credentials: &Credentials) -> Result<(), BrokerUnreachable> {
        let _ = credentials;
        Ok(())
    }

    /// Whether the broker has said that it does not accept the credentials (any more).
    fn is_locked_out(&self) -> bool {
        false
    }
}

/// Who does something for an order that the desk offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The broker does it.
    Broker,
    /// The broker cannot; the desk does it, as long as it runs and sees the market.
    Desk,
    /// Nobody does; with the reason, for people.
    No(&'static str),
}

/// What a broker can do and how it is to be treated.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What the broker is called, as `paper`.
    pub name: &'static str,
    /// Who does each type of order.
    pub kinds: fn(OrderKind) -> Way,
    /// Who does each time in force.
    pub times: fn(TimeInForce) -> Way,
    /// Who does each class of order.
    pub classes: fn(OrderClass) -> Way,
    /// What it does not do for some instruments although it does it for others: the field, and the reason for people.
    pub lacks: fn(&OrderRequest) -> Option<(&'static str, &'static str)>,
    /// Who turns an amount of money into units.
    pub notional: Way,
    /// Whether orders may be filled outside the regular session.
    pub extended_hours: Way,
    /// Who replaces an order.
    pub replace: Way,
    /// Who lends units, so that more can be sold than is held.
    pub short: Way,
    /// Whether the broker refuses an order whose id it has seen. If so, an order that was lost on the way to it can be
    /// sent again under the same id.
    pub refuses_duplicates: bool,
    /// How long after a lost answer "no such order" proves nothing, because the order may still be on its way.
    pub settle_window: Duration,
    /// Requests allowed in a minute, over all there are.
    pub requests_per_minute: u32,
    /// Requests that may be made at once, out of that.
    pub burst: u32,
}

/// A broker's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which of the known reasons it is.
    pub reason: Reason,
    /// The broker's words.
    pub text: String,
}

impl Refusal {
    /// A refusal with the broker's words.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// Why an order was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitFailure {
    /// The broker said no.
    #[error("the broker refused the order: {0}")]
    Refused(Refusal),
    /// The broker has an order with this id already: it is looked up.
    #[error("the broker has an order with this id already")]
    Exists,
    /// Definitely not delivered, as when the connection was refused before a byte was written.
    #[error("the broker was not reached: {0}")]
    NotReached(String),
    /// Anything else: timed out, connection reset, 5xx, an answer that makes no sense. The broker may have the order.
    #[error("the broker's answer was lost: {0}")]
    Lost(String),
}

/// Why an order is not being canceled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelFailure {
    /// The broker said no.
    #[error("the broker refused the cancel: {0}")]
    Refused(Refusal),
    /// Not delivered, or the answer was lost. Asking again does no harm.
    #[error("the broker was not reached: {0}")]
    Unreachable(String),
}

/// The broker did not answer a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker did not answer: {0}")]
pub struct BrokerUnreachable(pub String);

/// An order as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerOrder {
    /// The broker's id.
    pub broker_order_id: String,
    /// The id given at submission: the desk's order id, unless somebody else placed it.
    pub client_order_id: String,
    /// What is ordered.
    pub terms: Terms,
    /// Where it stands.
    pub status: BrokerStatus,
    /// Every execution of it so far, as it stands after corrections; busted ones are not among them.
    pub fills: Vec<Fill>,
    /// The client order id of the order that took its place.
    pub replaced_by: Option<String>,
    /// When the broker took it.
    pub placed_at: Timestamp,
}

/// What is ordered, in the broker's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Of what.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub kind: OrderKind,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// How much, in all.
    pub quantity: Quantity,
    /// On limit and stop-limit orders.
    pub limit_price: Option<Price>,
    /// On stop and stop-limit orders; on trailing stops where it is now.
    pub stop_price: Option<Price>,
    /// On trailing stops.
    pub trail: Option<Trail>,
    /// Whether it may be filled outside the regular session.
    pub extended_hours: bool,
}

/// Where an order stands at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerStatus {
    /// It works, wholly or in part.
    Open,
    /// All of it is executed.
    Filled,
    /// Another order took its place.
    Replaced,
    /// It is canceled.
    Canceled,
    /// Its time is over.
    Expired,
    /// It was refused after all.
    Rejected(Refusal),
}

/// What the broker reports of an execution, with the id of its order as the broker repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The client order id given at submission.
    pub client_order_id: String,
    /// The broker's id of the order.
    pub broker_order_id: String,
    /// Of what.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// What happened: filled, corrected or busted.
    pub event: OrderEvent,
}

/// What the broker says the account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Money not invested.
    pub cash: Money,
    /// Units held by symbol, below zero when short; what is not listed is zero.
    pub positions: Vec<(Symbol, Quantity)>,
}

/// What changes holdings without anybody trading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorporateAction {
    /// What it is.
    pub kind: CorporateActionKind,
    /// When it was booked there, to the day.
    pub at: Timestamp,
    /// Of what: with a new name the old one or the new one.
    pub symbol: Symbol,
    /// Units, where the broker says how many: those that came or went, or all that there are now.
    pub quantity: Option<Quantity>,
    /// What happened, for people.
    pub reason: String,
}

/// What kind of corporate action it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorporateActionKind {
    /// More or fewer units, worth the same together.
    Split,
    /// The same units under another name.
    Rename,
}

/// Something that happened to an order at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEvent {
    /// The client order id given at submission.
    pub client_order_id: String,
    /// The broker's id of the order.
    pub broker_order_id: String,
    /// What happened; `None` is a kind of event that the desk does not know: it asks instead.
    pub event: Option<OrderEvent>,
}
