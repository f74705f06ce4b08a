//! Why the gateway says no.

use std::sync::Arc;

use domain::{Denied, OrderId, Quantity, Status, Symbol, Timestamp};
use storage::StorageError;

use crate::accounts::Blind;
use crate::approvals::ApprovalId;
use crate::books::BookRefusal;
use crate::core::{Kill, Refused};
use crate::risk::{Check, Limit};

/// Why an order was not accepted. Nothing was journaled but the audit of the refusal.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A rule forbids it.
    #[error("{}", .0.detail())]
    Refused(Box<Check>),
    /// A kill switch is engaged.
    #[error("the kill switch of {} is engaged: {}", .0.scope.in_words(), .0.reason)]
    Killed(Kill),
    /// The desk does not see the account clearly at the moment.
    #[error("the account takes no new risk: {}", .0.reason)]
    Blind(Blind),
    /// Somebody has paused the account. Cancels pass, and so does what closes a position.
    #[error("the account is paused since {since}: it takes no new risk until it is activated again")]
    Paused {
        /// Since when.
        since: Timestamp,
    },
    /// The account is for real money, and that is not switched on.
    #[error("live trading is not switched on for this account")]
    NotLive,
    /// Neither the broker nor the desk can do it.
    #[error("{reason}")]
    Unsupported {
        /// Which field of the request asks for it.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// Somebody else has to agree first, and is asked. The same request again is told the same id.
    #[error("the order waits for the consent of a second person: it is worth more than {}", .limit.value)]
    AwaitsApproval {
        /// What the second person is asked.
        id: ApprovalId,
        /// Why.
        limit: Arc<Limit>,
    },
    /// Somebody else would have to agree, to something that is not asked for by itself: a replacement.
    #[error(
        "above {} a second person has to agree, who is asked about new orders only: cancel this one and place the other",
        .0.value
    )]
    NeedsApproval(Arc<Limit>),
    /// It is not for the book that it names.
    #[error(transparent)]
    Book(BookRefusal),
    /// There is no position to close, or less than that.
    #[error("there are {held} {symbol} to close")]
    NoPosition {
        /// Of what.
        symbol: Symbol,
        /// How much there is.
        held: Quantity,
    },
    /// The preview is not known (any more).
    #[error("the preview is too old; look at the order again")]
    PreviewExpired,
    /// Another order has this client order id.
    #[error("the client order id is taken by a different order, {existing}")]
    ClientOrderIdConflict {
        /// Which.
        existing: OrderId,
    },
    /// It could not be made durable.
    #[error("the order was refused because it could not be journaled: {0}")]
    Journal(#[source] StorageError),
}

impl SubmitError {
    /// The denial code: part of the interface, never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "forbidden",
            Self::Refused(check) => check.rule.as_str(),
            Self::Killed(_) => "kill_switch",
            Self::Blind(_) => "account_blind",
            Self::Paused { .. } => "account_paused",
            Self::NotLive => "account_not_live",
            Self::Unsupported { .. } => "unsupported_by_broker",
            Self::AwaitsApproval { .. } | Self::NeedsApproval(_) => "approval_needed",
            Self::Book(refusal) => refusal.code(),
            Self::NoPosition { .. } => "no_position",
            Self::PreviewExpired => "preview_expired",
            Self::ClientOrderIdConflict { .. } => "client_order_id_conflict",
            Self::Journal(_) => "journal_unavailable",
        }
    }
}

impl From<Refused> for SubmitError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Check(check) => Self::Refused(check),
            Refused::Killed(kill) => Self::Killed(kill),
            Refused::Blind(blind) => Self::Blind(blind),
            Refused::Paused { since } => Self::Paused { since },
            Refused::NotLive => Self::NotLive,
            Refused::Denied(denied) => Self::Denied(denied),
            Refused::Unsupported { field, reason } => Self::Unsupported { field, reason },
            Refused::NeedsApproval(limit) => Self::NeedsApproval(limit),
            Refused::Book(refusal) => Self::Book(refusal),
            Refused::NotReplaceable(status) => Self::Unsupported {
                field: "status",
                reason: format!("an order that is {status} cannot be replaced"),
            },
        }
    }
}

/// Why an order is not being canceled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such order, or none that may be seen.
    #[error("there is no such order")]
    NotFound,
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is at its end.
    #[error("the order is {status}: there is nothing to cancel")]
    NotOpen {
        /// Where it stands.
        status: Status,
    },
    /// The cancel could not be journaled. It was passed on to the broker all the same.
    #[error("the cancel was passed on to the broker, but could not be journaled: {0}")]
    Journal(#[source] StorageError),
    /// The desk is shutting down.
    #[error("the desk is shutting down")]
    Stopping,
}

/// Why an order is not being replaced.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// There is no such order, or none that may be seen.
    #[error("there is no such order")]
    NotFound,
    /// It does not work, or not any more.
    #[error("the order is {status}: only one that works at the broker can be replaced")]
    NotReplaceable {
        /// Where it stands.
        status: Status,
    },
    /// The order that was to take its place is not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The desk is shutting down.
    #[error("the desk is shutting down")]
    Stopping,
}

/// Why something else that was asked for is not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such thing, or none that may be seen.
    #[error("there is no such order")]
    NotFound,
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The order's outcome is known.
    #[error("the order is {status}: its outcome is not in doubt")]
    NotUnknown {
        /// Where it stands.
        status: Status,
    },
    /// It could not be journaled.
    #[error("it could not be journaled: {0}")]
    Journal(#[source] StorageError),
    /// The desk is shutting down.
    #[error("the desk is shutting down")]
    Stopping,
}
