//! Refusals, by what was asked for.

use std::time::Duration;

use domain::{Denied, Permission, Role, StepUpNeeded};
use storage::StorageError;
use vault::VaultError;

use crate::network::InvalidNetwork;
use crate::{PasswordRule, UsernameRule};

/// Why somebody could not sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such name, another password, an invitation not taken up, or a disabled person: it is not said which.
    #[error("user name and password do not go together")]
    Failed,
    /// Too many wrong guesses from this place, for this name or for many. The password was not even looked at.
    #[error("too many failed attempts; try again in {} seconds", retry_after.as_secs().max(1))]
    TooMany {
        /// When the next one counts.
        retry_after: Duration,
    },
    /// More sign-ins are waiting than can be worked through.
    #[error("too many people are signing in at this moment; try again in a few seconds")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why the code of a second factor was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Wrong, of another time, or used before: it is not said which.
    #[error("the code is wrong or was used already; wait for the next one")]
    Wrong,
    /// Too many wrong codes of this person, or from this place. The code was not even looked at.
    #[error("too many wrong codes; try again in {} seconds", retry_after.as_secs().max(1))]
    TooMany {
        /// When the next one counts.
        retry_after: Duration,
    },
    /// What the code is for was not begun, took too long, saw too many wrong codes, or was begun anew.
    #[error("this took too long, or too many codes were wrong; begin again")]
    Over,
    /// The person has no second factor.
    #[error("there is no second factor to show")]
    NoFactor,
    /// Whoever asks is nobody in a session.
    #[error("this is for people who are signed in")]
    NotSignedIn,
    /// The secret does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an enrolment could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Field `password`.
    #[error("this is not your password")]
    PasswordWrong,
    /// Too many wrong passwords. This one was not even looked at.
    #[error("too many failed attempts; try again in {} seconds", retry_after.as_secs().max(1))]
    TooMany {
        /// When the next one counts.
        retry_after: Duration,
    },
    /// More passwords wait to be checked than can be worked through.
    #[error("too many people are signing in at this moment; try again in a few seconds")]
    Busy,
    /// The person has an authenticator app already.
    #[error("you have a second factor already; remove it before you set up another")]
    HasFactor,
    /// Whoever asks is nobody in a session.
    #[error("this is for people who are signed in")]
    NotSignedIn,
    /// The secret cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a factor could not be looked up, renewed or removed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// It takes a recent factor.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// Whoever asks is nobody in a session.
    #[error("this is for people who are signed in")]
    NotSignedIn,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a key could not be made, looked up, rotated or revoked. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It takes a recent factor.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// Whoever asks is nobody in a session: a key makes no keys.
    #[error("this is for people who are signed in")]
    NotSignedIn,
    /// The caller lacks a permission, or access to the account.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// It is somebody else's, or there is none.
    #[error("only its owner gets the secret of a key")]
    NotYours,
    /// The same Idempotency-Key came with another request before.
    #[error("the same Idempotency-Key was used for another request")]
    OnceConflict,
    /// The same request made a key before, whose secret cannot be shown again.
    #[error("this made the key {key} before, and its secret is not shown again; revoke it and make another")]
    MadeBefore {
        /// Which.
        key: String,
    },
    /// Field `name`.
    #[error("a key's name has 1 to 100 characters on one line")]
    NameInvalid,
    /// Field `scopes`: no key can be made for this.
    #[error("a key cannot be made for {permission}")]
    NotForKeys {
        /// Which.
        permission: Permission,
    },
    /// Field `scopes`: there is none.
    #[error("a key needs a scope at least")]
    NoScope,
    /// Field `networks`.
    #[error(transparent)]
    NetworkInvalid(#[from] InvalidNetwork),
    /// Field `networks`: too many.
    #[error("a key has at most {most} networks")]
    TooManyNetworks {
        /// How many.
        most: usize,
    },
    /// Field `expires_at`: not in the future.
    #[error("a key expires in the future")]
    ExpiryPast,
    /// Field `overlap_hours`: too long.
    #[error("the former secret stays good for at most {} hours", .most.as_secs() / 3600)]
    OverlapTooLong {
        /// How long.
        most: Duration,
    },
    /// The key was revoked or has expired.
    #[error("the key is good no more; make another")]
    Over,
    /// The person has as many keys as anybody may have.
    #[error("you have {most} keys, and may have no more; revoke one")]
    TooMany {
        /// How many.
        most: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a key was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefused {
    /// No such key, or another secret: it is not said which.
    #[error("the key and the secret do not go together")]
    Wrong,
    /// The secret is right, and the key is good no more, or not from here. Said only to whoever has the secret.
    #[error("{why}")]
    Unusable {
        /// Why, as `the key was revoked`.
        why: &'static str,
    },
    /// Too many wrong secrets for this key from this place. A right one is let in all the same.
    #[error("too many failed attempts; try again in {} seconds", retry_after.as_secs().max(1))]
    TooMany {
        /// When the next one counts.
        retry_after: Duration,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an invitation, or the first owner's set-up, could not be taken up. The code is used up by success only.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The code was never given out, was used, was replaced by a newer one, or has expired.
    #[error("the link is not valid: it was used already, was replaced by a newer one, or has expired")]
    CodeInvalid,
    /// Field `username`.
    #[error(transparent)]
    UsernameInvalid(#[from] UsernameRule),
    /// Field `username`: somebody has it, in this or another spelling.
    #[error("somebody has this user name already")]
    UsernameTaken,
    /// Field `display_name`: 1 to 100 characters, none of them a control character.
    #[error("a name has 1 to 100 characters on one line")]
    DisplayNameInvalid,
    /// Field `password`.
    #[error(transparent)]
    Password(#[from] PasswordRule),
    /// More password hashes are waiting than can be worked through.
    #[error("too many people are signing in at this moment; try again in a few seconds")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why something could not be done to a person, their roles or their grants. Nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The caller lacks a permission, or access to the account.
    #[error(transparent)]
    Denied(Denied),
    /// There is no such person.
    #[error("there is no such person")]
    NotFound,
    /// There is no such account.
    #[error("there is no such account")]
    AccountNotFound,
    /// Field `username`.
    #[error(transparent)]
    UsernameInvalid(#[from] UsernameRule),
    /// Field `username`: somebody has it, in this or another spelling.
    #[error("somebody has this user name already")]
    UsernameTaken,
    /// Field `display_name`: 1 to 100 characters, none of them a control character.
    #[error("a name has 1 to 100 characters on one line")]
    DisplayNameInvalid,
    /// Field `status`: only `active` and `disabled` can be asked for.
    #[error("a person can be made active or disabled")]
    StatusInvalid,
    /// Field `roles`: the role allows something that the caller may not do, so the caller can neither give nor take it.
    #[error("the role {role} allows more than you may do yourself")]
    MoreThanOwn {
        /// Which.
        role: Role,
    },
    /// The person may do something that the caller may not.
    #[error("this person may do more than you; somebody who may as much has to do it")]
    Outranked,
    /// The desk would be left without an active owner.
    #[error("this is the last active owner; make somebody else an owner first")]
    LastOwner,
    /// A disabled person cannot be invited.
    #[error("this person is disabled; make them active first")]
    Disabled,
    /// The same Idempotency-Key came with another request before.
    #[error("the same Idempotency-Key was used for another request")]
    OnceConflict,
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
