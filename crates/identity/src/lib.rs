//! People: who they are, how they get in, and what they may do.
//!
//! A person begins as an invitation: [`Identity::create_user`] makes a [`User`] without a password and a one-time link,
//! [`Identity::accept_invitation`] sets the password through it. [`Identity::sign_in`] turns name and password into a
//! session, and [`Identity::authenticate`] turns the session's token into the [`domain::Context`] of one request. Roles,
//! grants and status are read on every request, so what is taken away is gone with the next one.
//!
//! Who has enrolled a second factor ([`Identity::begin_enrolment`]) owes a code after the password
//! ([`Identity::finish_sign_in`]) and shows one again before a dangerous act ([`Identity::step_up`]); the context knows
//! when that was. Who has not signed in whole has no session, but a [`Challenge`], which opens nothing.
//!
//! Programs do not sign in. They show an API key ([`Identity::create_key`]), which acts for its owner on one account, and
//! never does more than the owner may at that moment ([`Identity::authenticate_key`]).
//!
//! The first owner comes in through [`Identity::claim_owner`] with a code that the desk prints once. There is no
//! account, password or code that exists from the beginning.
//!
//! Every act is one transaction with its audit row, refusals included. Passwords, codes and tokens are stored as
//! hashes only, the secrets of authenticator apps sealed in the vault, and no error, log line or audit row contains one.

mod username;

mod password;
mod policy;

mod error;
mod user;

mod people;
mod set_up;

mod session;
mod throttle;

mod challenge;
mod code;
mod factor;
mod key;
mod network;
mod recovery;
mod totp;

pub mod once;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use domain::{AuditEntry, Clock, Context, Denied, Outcome, Permission, Resource};
use serde_json::json;
use storage::{Database, StorageError};
use vault::Vault;

pub use challenge::{CHALLENGE_LIFE, Challenge};
pub use error::{
    CodeError, EnrolError, FactorError, KeyError, KeyRefused, PeopleError, SetUpError, SignInError,
};
pub use factor::{ENROLMENT_LIFE, Enrolled, Factors};
pub use key::{ApiKey, IssuedKey, KEY_LIFE, KeyHolder, LONGEST_OVERLAP, NewKey};
pub use network::{InvalidNetwork, Network};
pub use password::Hashing;
pub use people::{Change, Created, NewUser, entrust};
pub use policy::PasswordRule;
pub use session::{ABSOLUTE, Authenticated, IDLE, Session, SignIn, SignedIn};
pub use set_up::{INVITATION_LIFE, Invited, SET_UP_LIFE};
pub use totp::Enrolment;
pub use user::{Grant, Invitation, User, UserStatus, display_name};
pub use username::UsernameRule;

/// The people of a desk. Cheap to clone; all clones share one pool for password hashes.
#[derive(Clone)]
pub struct Identity {
    db: Database,
    /// Where the secrets of second factors are sealed.
    vault: Vault,
    clock: Arc<dyn Clock>,
    hasher: password::Hasher,
    /// Once there is an owner there always is one: the last cannot be removed.
    has_owner: Arc<AtomicBool>,
    keys: Arc<key::Keys>,
}

impl Identity {
    /// The people in `db`, whose secrets `vault` keeps. New passwords are hashed at the cost `hashing`.
    ///
    /// # Panics
    /// `hashing` is outside of what Argon2 allows.
    pub fn new(db: Database, vault: Vault, clock: Arc<dyn Clock>, hashing: Hashing) -> Self {
        let hasher = password::Hasher::new(hashing);
        Self { db, vault, clock, hasher, has_owner: Arc::default(), keys: Arc::default() }
    }

    /// Asks for a permission, and records it when the answer is no.
    async fn require(
        &self,
        ctx: &Context,
        permission: Permission,
        act: &'static str,
    ) -> Result<(), PeopleError> {
        match ctx.require(permission, Resource::Desk) {
            Ok(()) => Ok(()),
            Err(denied) => Err(self.refuse(ctx, act, denied.into()).await),
        }
    }

    /// Records that an act was refused, and gives the refusal back.
    ///
    /// When that cannot be recorded the refusal stands all the same.
    async fn refuse(&self, ctx: &Context, act: &'static str, refusal: PeopleError) -> PeopleError {
        let entry =
            AuditEntry::by(ctx, act).ended(Outcome::Refused).with(json!({ "reason": refusal.to_string() }));
        self.record(entry).await;
        refusal
    }

    /// Records a refusal, as far as that can be done.
    async fn record(&self, entry: AuditEntry) {
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        if let Err(e) = done.await {
            tracing::error!(error = %e, "a refusal could not be recorded");
        }
    }
}

/// Whether a context belongs to an owner or to whoever runs the server: nothing is above them.
fn is_owner(ctx: &Context) -> bool {
    ctx.permissions().covers(domain::Role::SuperAdmin.permissions())
}

/// Whether the context may do everything that `role` allows.
fn covers(ctx: &Context, role: domain::Role) -> bool {
    ctx.permissions().covers(role.permissions())
}

impl From<Denied> for PeopleError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}
