//! Why something is not done to an account.

use domain::{Denied, StepUpNeeded};
use storage::StorageError;

use crate::custody::CustodyError;

/// Why something was not done to an account. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The principal may not, or there is no such account.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// There is no such account (any more).
    #[error("there is no such account")]
    NotFound,
    /// It cannot be called so.
    #[error("the name of an account has 1 to 64 characters, none of them invisible")]
    InvalidName,
    /// Another account is called so.
    #[error("there is an account of this name already")]
    NameTaken,
    /// What opens it was tried, and does not.
    #[error("the credentials were tried and not kept: {0}")]
    Custody(#[from] CustodyError),
    /// Two accounts of the desk would be one at the broker.
    #[error("this account of the broker is on the desk already, as {name:?}")]
    OnTheDesk {
        /// What it is called.
        name: String,
    },
    /// They open something, but not this account.
    #[error("these credentials open another account at the broker than this one")]
    AnotherAccount,
    /// It has orders that are not at their end.
    #[error(
        "{open} of its orders are not at their end: cancel them, and wait for those whose outcome is unknown"
    )]
    OpenOrders {
        /// How many.
        open: i64,
    },
    /// It holds something, and its name was not repeated.
    #[error("the account holds {}: to remove it all the same, repeat its name", .0.join(", "))]
    Holds(Vec<String>),
    /// The name that was repeated is not its own.
    #[error("that is not the account's name: it is repeated so that nobody removes the wrong one")]
    WrongName,
    /// It could not be made durable.
    #[error("that could not be journaled: {0}")]
    Journal(#[from] StorageError),
}
