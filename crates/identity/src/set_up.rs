//! One-time links: the first owner's, and everybody else's invitation.

use std::time::Duration;

use domain::{Access, AuditEntry, Context, Role, Timestamp, UserId};
use serde_json::json;
use storage::{StorageError, Tx};
use vault::{ExposeSecret as _, SecretString, crypto};

use crate::error::SetUpError;
use crate::session::hash_of;
use crate::user::{self, Invitation, User, UserStatus};
use crate::username::Username;
use crate::{Identity, policy, store};

/// How long the first owner's code is good.
pub const SET_UP_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whom an invitation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Their name for the log-in.
    pub username: String,
    /// Their name for people.
    pub display_name: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Whether the desk still waits for its first owner; it then serves nothing but the set-up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn setup_required(&self) -> Result<bool, StorageError> {
        use std::sync::atomic::Ordering::Relaxed;
        if self.has_owner.load(Relaxed) {
            return Ok(false);
        }
        let owners = store::other_owners(&mut *self.db.read().await?, None).await?;
        self.has_owner.store(owners > 0, Relaxed);
        Ok(owners == 0)
    }

    /// A code for the first owner, good for 15 minutes; the one before it is good no more. `None`: there is an owner.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issue_setup_code(&self) -> Result<Option<Invitation>, StorageError> {
        let at = self.clock.now();
        let (invitation, hash) = new_invitation(at, SET_UP_LIFE);
        let expires_at = invitation.expires_at;
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if store::other_owners(tx.sql(), None).await? > 0 {
                    return Ok(false);
                }
                store::replace_invitation(tx.sql(), None, &hash, at, expires_at).await?;
                tx.record(AuditEntry::by_system(at, "setup.code_issued"));
                Ok::<_, StorageError>(true)
            })
        });
        Ok(done.await?.then_some(invitation))
    }

    /// Makes the first owner: role `super_admin`, access `manage` to every account that exists. Signs nobody in.
    ///
    /// # Errors
    /// See [`SetUpError`]; the code stays good unless it succeeds.
    pub async fn claim_owner(
        &self,
        ctx: &Context,
        code: &str,
        username: &str,
        display_name: &str,
        password: &SecretString,
    ) -> Result<User, SetUpError> {
        let code_hash = hash_of(code);
        let now = self.clock.now();
        // Before anything is spent on somebody who has no code.
        match store::invitation(&mut *self.db.read().await?, &code_hash, now).await? {
            Some((None, _)) => {}
            _ => return Err(SetUpError::CodeInvalid),
        }
        let username = Username::new(username)?;
        let display_name = user::display_name(display_name).ok_or(SetUpError::DisplayNameInvalid)?;
        policy::check(password.expose_secret(), &[&username.shown, &username.key, &display_name])?;
        let hash = self.hasher.queue().map_err(|_| SetUpError::Busy)?.hash(password).await;

        let owner = User {
            id: UserId::new(now),
            username: username.shown,
            display_name,
            status: UserStatus::Active,
            roles: vec![Role::SuperAdmin],
            grants: Vec::new(),
            created_at: now,
            last_sign_in_at: None,
        };
        let ctx = ctx.clone();
        let key = username.key;
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if store::other_owners(tx.sql(), None).await? > 0
                    || !store::use_invitation(tx.sql(), &code_hash, now).await?
                {
                    return Err(SetUpError::CodeInvalid);
                }
                store::insert_user(tx.sql(), &owner, &key, Some(&hash)).await.map_err(taken)?;
                tx.record(AuditEntry::by(&ctx, "owner.claimed").on("user", owner.id));
                for account in store::accounts(tx.sql()).await? {
                    store::set_grant(tx.sql(), owner.id, account, Access::Manage).await?;
                    let entry = AuditEntry::by(&ctx, "grant.given").on("user", owner.id);
                    tx.record(entry.with(json!({ "account": account, "access": Access::Manage })));
                }
                there(store::user(tx.sql(), owner.id).await?)
            })
        });
        done.await
    }

    /// Whom a code invites; `None` when it is not valid.
    ///
    /// # Errors
    /// The database failed.
    pub async fn invited(&self, code: &str) -> Result<Option<Invited>, StorageError> {
        let mut connection = self.db.read().await?;
        let invitation = store::invitation(&mut connection, &hash_of(code), self.clock.now()).await?;
        let Some((Some(id), expires_at)) = invitation else { return Ok(None) };
        let user = store::user(&mut connection, id).await?;
        let user = user.filter(|user| user.status != UserStatus::Disabled);
        Ok(user.map(|user| Invited { username: user.username, display_name: user.display_name, expires_at }))
    }

    /// Sets the password of whoever was invited, and makes them active. Ends all their sessions; signs nobody in.
    ///
    /// # Errors
    /// See [`SetUpError`]; the code stays good unless it succeeds.
    pub async fn accept_invitation(
        &self,
        ctx: &Context,
        code: &str,
        password: &SecretString,
    ) -> Result<User, SetUpError> {
        let invited = self.invited(code).await?.ok_or(SetUpError::CodeInvalid)?;
        policy::check(password.expose_secret(), &[&invited.username, &invited.display_name])?;
        let hash = self.hasher.queue().map_err(|_| SetUpError::Busy)?.hash(password).await;

        let (ctx, code_hash, now) = (ctx.clone(), hash_of(code), self.clock.now());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let Some((Some(id), _)) = store::invitation(tx.sql(), &code_hash, now).await? else {
                    return Err(SetUpError::CodeInvalid);
                };
                let user = store::user(tx.sql(), id).await?.ok_or(SetUpError::CodeInvalid)?;
                if user.status == UserStatus::Disabled
                    || !store::use_invitation(tx.sql(), &code_hash, now).await?
                {
                    return Err(SetUpError::CodeInvalid);
                }
                store::set_password(tx.sql(), id, &hash).await?;
                store::set_status(tx.sql(), id, UserStatus::Active).await?;
                let ended = store::end_sessions(tx.sql(), id, None, now).await?;
                let entry = AuditEntry::by(&ctx, "invitation.accepted").on("user", id);
                tx.record(entry.with(json!({ "sessions_ended": ended })));
                there(store::user(tx.sql(), id).await?)
            })
        });
        done.await
    }
}

/// A new code and the form in which it is stored.
pub(crate) fn new_invitation(at: Timestamp, life: Duration) -> (Invitation, String) {
    let code = crypto::new_token();
    let hash = hash_of(code.expose_secret());
    (Invitation { code, expires_at: at.checked_add(life).unwrap_or(Timestamp::MAX) }, hash)
}

/// Gives a person whom nobody else is to have an invitation, in place of those before it.
pub(crate) async fn invite(
    tx: &mut Tx,
    ctx: &Context,
    id: UserId,
    at: Timestamp,
) -> Result<Invitation, StorageError> {
    let (invitation, hash) = new_invitation(at, INVITATION_LIFE);
    store::replace_invitation(tx.sql(), Some(id), &hash, at, invitation.expires_at).await?;
    tx.record(AuditEntry::by(ctx, "invitation.issued").on("user", id));
    Ok(invitation)
}

fn taken(error: StorageError) -> SetUpError {
    if error.is_unique_violation() { SetUpError::UsernameTaken } else { error.into() }
}

fn there(user: Option<User>) -> Result<User, SetUpError> {
    let gone =
        || StorageError::Unreadable { what: "users", why: "a person is gone while being set up".to_owned() };
    Ok(user.ok_or_else(gone)?)
}
