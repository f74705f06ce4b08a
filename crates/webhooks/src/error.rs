//! Why something was not done to a webhook.

use std::time::Duration;

use domain::{Denied, StepUpNeeded};
use storage::StorageError;
use vault::VaultError;

use crate::target::Refused;

/// Why something was not done to a webhook. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Only people who are signed in have webhooks.
    #[error("webhooks are made by people who are signed in, not with a key")]
    NotSignedIn,
    /// The caller may not see the account.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// There is no such webhook, or it is somebody else's.
    #[error("there is no such webhook")]
    NotFound,
    /// Field `name`.
    #[error("a webhook's name has 1 to 100 characters on one line")]
    NameInvalid,
    /// Field `url`.
    #[error(transparent)]
    Url(#[from] Refused),
    /// Field `kinds`.
    #[error("{given:?} is no kind of event")]
    KindUnknown {
        /// What was given.
        given: String,
    },
    /// Field `overlap_hours`: too long.
    #[error("the former secret signs for at most {} hours more", .most.as_secs() / 3600)]
    OverlapTooLong {
        /// How long at most.
        most: Duration,
    },
    /// The same Idempotency-Key came with another request before.
    #[error("the same Idempotency-Key was used for another request")]
    OnceConflict,
    /// The same request made a webhook before. Its secret is sealed, and cannot be shown again.
    #[error(
        "this request made the webhook {id} before; give it another secret, or delete it and make another"
    )]
    MadeBefore {
        /// Which.
        id: String,
    },
    /// The person has as many webhooks as anybody may have.
    #[error("you have {most} webhooks, and may have no more; delete one")]
    TooMany {
        /// How many.
        most: u32,
    },
    /// It was tested just now.
    #[error("the webhook was tested a moment ago; try again in a few seconds")]
    TooSoon {
        /// When it can be tested again.
        retry_after: Duration,
    },
    /// The delivery is on its way.
    #[error("the event is still being told, so there is nothing to repeat")]
    StillWaiting,
    /// It is off.
    #[error("the webhook is switched off; switch it on first")]
    Off,
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
