//! What the desk needs of a broker. A connector provides it.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Fill, Money, Order, OrderEvent, Quantity, Symbol, Timestamp};
use tokio::sync::mpsc;

/// One account at a broker.
///
/// The broker is given the desk's own order id as client order id, so that an order is found again whatever was lost.
/// Implementations bound every call by a time-out, and never repeat a submission by themselves.
#[async_trait]
pub trait Broker: Send + Sync {
    /// How long after a lost answer "no such order" proves nothing, because the order may still be on its way.
    fn settle_window(&self) -> Duration;

    /// Sends an order. `Ok` is the broker's id of it.
    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure>;

    /// Asks to cancel an order. `Ok` says that the broker will try: the end is told as an event.
    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure>;

    /// Looks an order up by the desk's id. `None`: the broker has no such order, as far as it knows now.
    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable>;

    /// Executions on the account since `since`, oldest first.
    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable>;

    /// Cash and holdings.
    async fn balances(&self) -> Result<Balances, BrokerUnreachable>;

    /// Opens the stream of what happens to orders. It ends when the connection is lost; what happened meanwhile is
    /// not repeated, and the caller reconciles.
    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable>;
}

/// Why an order was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitFailure {
    /// The broker said no.
    #[error("the broker refused the order: {0}")]
    Refused(String),
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
    Refused(String),
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
    /// Where it stands.
    pub status: BrokerStatus,
    /// Every execution of it so far.
    pub fills: Vec<Fill>,
}

/// Where an order stands at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerStatus {
    /// It works, wholly or in part.
    Open,
    /// All of it is executed.
    Filled,
    /// It is canceled.
    Canceled,
    /// Its time is over.
    Expired,
    /// It was refused after all.
    Rejected(String),
}

/// An execution, with the desk's id of its order as the broker repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The client order id given at submission.
    pub client_order_id: String,
    /// What was executed.
    pub fill: Fill,
}

/// What the broker says the account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Money not invested.
    pub cash: Money,
    /// Units held by symbol; what is not listed is zero.
    pub positions: Vec<(Symbol, Quantity)>,
}

/// Something that happened to an order at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEvent {
    /// The client order id given at submission.
    pub client_order_id: String,
    /// What happened.
    pub event: OrderEvent,
}
