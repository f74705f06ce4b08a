//! Webhooks: what happens on the desk, told to an address that somebody named.
//!
//! 1. What happens is in the [`trading::outbox`], written in the transaction of the thing itself.
//! 2. The courier ([`Webhooks::run`]) reads it for each webhook from where it stopped, takes what the webhook asks for and its owner may
//!    see at that moment, and lines it up as deliveries: in one transaction with the number up to which it has read. So
//!    nothing is lost over a crash, and nothing is lined up twice.
//! 3. A delivery is signed ([`signature`]), and sent to a [`target`] that was resolved, checked and pinned just before. It
//!    is tried until the receiver takes it, with growing pauses, for a day; within one account in order.
//! 4. Every attempt is kept, with what came back, and shown to the owner.
//!
//! What this crate never does: hold up an order, follow a redirect, connect to an address that it has not checked, or tell
//! somebody what they may not see at the moment of telling.

mod error;
mod log;
mod webhook;

mod courier;
mod lookup;
mod send;
mod signature;
mod target;

mod store;

pub use error::WebhookError;
pub use log::{Attempt, Delivery, DeliveryStatus};
pub use lookup::{Resolve, SystemResolver};
pub use send::Trust;
pub use signature::{Secret, sign};
pub use target::{Allowed, InvalidAllowed, Refused, Rules, Target};
pub use webhook::{Change, Issued, LONGEST_OVERLAP, NewWebhook, Parts, State, Webhook, Webhooks};
