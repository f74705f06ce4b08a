//! Trading: the path of an order, from a wish to a position.
//!
//! 1. [`Gateway::submit`], the one door, asks for permission, checks [`risk`] and reserves head-room in the account's
//!    [`book`] under its lock. The lock is not held over the disk write.
//! 2. The order and its audit row are committed in one transaction. Only then is anybody told "accepted".
//! 3. The account's router journals "submitting", then calls the [`Broker`]. The answer is acknowledged, refused, not
//!    reached, or lost; only "not reached" is ever sent again.
//! 4. A lost answer makes the order `unknown`. That ends by asking the broker for it, never by giving up.
//! 5. What the broker reports, by stream or when asked, becomes rows of the order journal and is folded into the
//!    order, the position and the cash.
//! 6. At start, after a lost stream, and on a timer while orders are open, the router compares the account with the
//!    broker. Until that is done the account is blind, and takes no new risk.
//!
//! The paper [`venue`] is a broker of its own, with its own durable book, behind the same trait as a real one.
//!
//! What this crate never does: send an order that is not in the journal, send one twice, or call an order dead because
//! nobody answered.

pub mod accounts;
mod broker;
mod custody;

pub mod risk;
pub mod scope;

mod book;
pub mod books;
mod store;

pub mod outbox;

mod core;

mod gateway;
pub mod portfolio;
mod router;

mod approvals;
mod kill;
mod limits;
mod live;

mod venue;

#[cfg(any(test, feature = "simulator"))]
pub mod simulator;

pub use accounts::{Account, AccountError, AccountState, Blind, Holding, Mode};
pub use approvals::{Approval, ApprovalError, ApprovalId, ApprovalStatus, Asked, FourEyes, People};
#[cfg(feature = "testing")]
pub use broker::conformance;
pub use broker::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerStatus, BrokerUnreachable, CancelFailure,
    CorporateAction, CorporateActionKind, Execution, Profile, Refusal, SubmitFailure, Terms, Way,
};
pub use core::{Amendment, Choice, HeadRoom, Kill, Priority, Unknown};
pub use custody::{Credentials, Custody, CustodyError, Opening, Tried};
pub use gateway::{
    AmendError, CancelError, CommandError, Gateway, Parts, Preview, StartError, SubmitError, Submitted,
    TradingEvent,
};
pub use kill::{Drill, Engaged, KillError, KillFile, KillRequest, Pull, Recorded, Switch};
pub use limits::{LimitChange, LimitError, LimitInForce};
pub use live::LiveError;
pub use risk::{Check, OrderLimits, Rule};
pub use scope::{Scope, Scopes};
pub use store::{BookedFill, BookingKind, FillFilter, Flow, FlowKind, JournalRow, OrderFilter, OrderScope};
pub use venue::{
    AmendFailure, Calendar, Class, Fees, Hours, Latency, Misbehave, NoSuchExecution, PaperSettings,
    PaperVenue, Rules, Short, Slippage,
};
