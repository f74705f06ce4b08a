//! Why the desk said no to an order or about a book, as problems.

use storage::StorageError;
use trading::books::{BookError, BookRefusal};
use trading::{AmendError, CancelError, CommandError, Rule, SubmitError};

use crate::problem::{Code, Problem, sentence};

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            SubmitError::Denied(denied) => Self::from(denied).on_record(),
            SubmitError::Refused(check) => Self {
                field: check.field.map(Into::into),
                rule: Some(check.rule.as_str().into()),
                limit: check.limit().map(Into::into),
                value: check.value().map(Into::into),
                ..Self::with(Code::Order(check.rule), text)
            },
            SubmitError::ClientOrderIdConflict { existing } => Self {
                value: Some(existing.to_string().into()),
                ..Self::field(
                    Code::ClientOrderIdConflict,
                    "client_order_id",
                    format!("The client order id was used before, for order {existing}. Nothing was done."),
                )
            },
            SubmitError::NeedsApproval(limit) => {
                Self { limit: Some(limit.value.to_string().into()), ..Self::with(Code::ApprovalNeeded, text) }
            }
            SubmitError::AwaitsApproval { id, limit } => Self {
                limit: Some(limit.value.to_string().into()),
                value: Some(id.to_string().into()),
                ..Self::with(Code::ApprovalNeeded, text)
            },
            SubmitError::Unsupported { field, .. } => Self::field(Code::UnsupportedByBroker, field, text),
            SubmitError::NoPosition { held, .. } => Self {
                limit: Some(held.to_string().into()),
                ..Self::field(Code::NoPosition, "quantity", text)
            },
            SubmitError::Book(refusal) => refusal.into(),
            SubmitError::Killed(_) => Self::with(Code::KillSwitch, text),
            SubmitError::Blind(_) => Self::with(Code::AccountBlind, text),
            SubmitError::Paused { .. } => Self::with(Code::AccountPaused, text),
            SubmitError::NotLive => Self::with(Code::AccountNotLive, text),
            SubmitError::PreviewExpired => Self::new(Code::PreviewExpired),
            SubmitError::Journal(error) => journal(&error),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            CancelError::NotFound => Self::new(Code::NotFound),
            CancelError::Denied(denied) => denied.into(),
            CancelError::NotOpen { .. } => Self::with(Code::OrderNotOpen, text),
            CancelError::Stopping => Self::new(Code::Busy),
            CancelError::Journal(error) => journal(&error),
        }
    }
}

impl From<AmendError> for Problem {
    fn from(error: AmendError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            AmendError::NotFound => Self::new(Code::NotFound),
            AmendError::NotReplaceable { .. } => Self::with(Code::OrderNotReplaceable, text),
            AmendError::Submit(SubmitError::Denied(denied)) => denied.into(),
            AmendError::Submit(error) => error.into(),
            AmendError::Stopping => Self::new(Code::Busy),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            CommandError::NotFound => Self::new(Code::NotFound),
            CommandError::Denied(denied) => denied.into(),
            CommandError::NotUnknown { .. } => Self::with(Code::OrderNotUnknown, text),
            CommandError::Stopping => Self::new(Code::Busy),
            CommandError::Journal(error) => journal(&error),
        }
    }
}

impl From<BookRefusal> for Problem {
    fn from(refusal: BookRefusal) -> Self {
        let code = match refusal {
            BookRefusal::Unknown { .. } => Code::BookUnknown,
            BookRefusal::Closed { .. } => Code::BookClosed,
            BookRefusal::NotYours => Code::BookForbidden,
            BookRefusal::NameTaken { .. } => Code::BookNameTaken,
            BookRefusal::OwnerHasBook { .. } => Code::BookOwnerHasOne,
            BookRefusal::InvalidName => Code::BookNameInvalid,
            BookRefusal::InvalidOwner { .. } => Code::BookOwnerInvalid,
            BookRefusal::NotPositive { .. } => Code::BookAmountInvalid,
            BookRefusal::SameBook => Code::BookSame,
            BookRefusal::NotEnoughCash { .. } => Code::Order(Rule::BookBuyingPower),
            BookRefusal::NotEnoughUnits { .. } => Code::Order(Rule::BookPosition),
            BookRefusal::NoPrice { .. } => Code::NoPrice,
            BookRefusal::NotFlat { .. } => Code::BookNotFlat,
            BookRefusal::OpenOrders { .. } => Code::BookOpenOrders,
            BookRefusal::NotCompared => Code::AccountBlind,
        };
        Self { field: refusal.field().map(Into::into), ..Self::with(code, sentence(&refusal.to_string())) }
    }
}

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Denied(denied) => denied.into(),
            BookError::Refused(refusal) => refusal.into(),
            BookError::Stopping => Self::new(Code::Busy),
            BookError::Journal(error) => journal(&error),
        }
    }
}

fn journal(error: &StorageError) -> Problem {
    tracing::error!(%error, "the order journal does not take writes");
    Problem::new(Code::JournalUnavailable)
}
