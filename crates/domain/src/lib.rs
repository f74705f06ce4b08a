//! The words of the desk and its pure rules.
//!
//! Everything here is data and functions of data: no clock, no randomness, no disk, no network.
//! An order is asked for ([`OrderRequest`]), becomes an [`Order`], and from then on changes only by
//! folding [`OrderEvent`]s into it; fills fold into a [`Position`]. What an account earned is reckoned
//! in [`returns`]. Who may do what is answered by [`Context::require`]. What happened is told in an
//! [`AuditEntry`]. When shares are traded is reckoned in [`new_york`].
//!
//! A type moves here when a second crate needs it, not before.

mod words;

mod decimal;
mod ids;
mod time;

mod instrument;
pub mod new_york;
mod tape;

mod order;
mod position;
pub mod returns;

mod access;
mod act;

pub use access::{
    Access, Context, Credential, Denied, FACTOR_LIFE, Permission, PermissionSet, Principal, PrincipalKind,
    Resource, Role, StepUpNeeded, UnknownName,
};
pub use act::{AuditEntry, Outcome};
pub use decimal::{InvalidDecimal, Money, Price, Quantity};
pub use ids::{AccountId, BookId, InvalidKeyId, KeyId, OrderId, RequestId, SessionId, UserId, WatchlistId};
pub use instrument::{Instrument, InvalidSymbol, Symbol};
pub use order::{
    Applied, EventKind, Fill, InvalidTransition, Leg, Order, OrderClass, OrderEvent, OrderKind, OrderRequest,
    Origin, Provenance, Reason, Side, Size, Status, StopLoss, TimeInForce, Trail, transition_table,
};
pub use position::{
    Correction, CostMethod, InvalidCorrection, Lot, Position, PositionFill, Transfer, corrected, transfer,
};
pub use tape::{Bar, Every, Quote, TakerSide, Trade};
pub use time::{Clock, ManualClock, SystemClock, from_micros, micros};

pub use jiff::Timestamp;
pub use rust_decimal::Decimal;
