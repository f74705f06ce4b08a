//! A person's second factor: an authenticator app, and recovery codes for the day when it is lost.
//!
//! [`Identity::begin_enrolment`] asks for the password again and gives the secret out, once;
//! [`Identity::confirm_enrolment`] makes it count when the app has shown one right code. From then on signing in takes a
//! code, and [`Identity::step_up`] gives a session a recent factor. Renewing the recovery codes and removing the factor
//! take a recent factor themselves. Who has lost everything asks the operator ([`Identity::reset_factor`]).

use std::time::Duration;

use domain::{
    AuditEntry, Context, Credential, Outcome, Permission, SessionId, StepUpNeeded, Timestamp, UserId,
};
use serde_json::json;
use storage::{StorageError, Tx};
use vault::{ExposeSecret as _, SecretString, crypto};

use crate::code::{self, Kind, Proof};
use crate::error::{CodeError, EnrolError, FactorError, PeopleError};
use crate::session::{SignedIn, authenticated, hash_of, later};
use crate::store::{self, SessionKey, StoredSession, factors};
use crate::throttle::{self, Guess};
use crate::totp::{Enrolment, Secret};
use crate::user::User;
use crate::{Identity, covers, recovery};

/// An enrolment that is not confirmed for this long is over.
pub const ENROLMENT_LIFE: Duration = Duration::from_secs(15 * 60);

/// What a person has as second factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    /// Since when an authenticator app counts; `None`: there is none.
    pub totp_since: Option<Timestamp>,
    /// How many recovery codes were not used yet.
    pub recovery_codes_left: u32,
}

/// An enrolment that came to its end.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Ten codes, stored nowhere.
    pub recovery_codes: Vec<SecretString>,
    /// The caller's session, under another token. All others have ended.
    pub signed_in: SignedIn,
}

impl Identity {
    /// What the caller has.
    ///
    /// # Errors
    /// The caller is nobody in a session, or the database failed.
    pub async fn factors(&self, ctx: &Context) -> Result<Factors, FactorError> {
        let (user, _) = person(ctx).ok_or(FactorError::NotSignedIn)?;
        let mut connection = self.db.read().await?;
        let totp = factors::totp(&mut connection, user).await?;
        let left = factors::recovery_codes_left(&mut connection, user).await?;
        Ok(Factors {
            totp_since: totp.and_then(|totp| totp.active_at),
            recovery_codes_left: u32::try_from(left).unwrap_or(u32::MAX),
        })
    }

    /// Gives the caller the secret for an authenticator app. It counts for nothing until it is confirmed.
    ///
    /// # Errors
    /// See [`EnrolError`].
    pub async fn begin_enrolment(
        &self,
        ctx: &Context,
        password: &SecretString,
    ) -> Result<Enrolment, EnrolError> {
        const ACT: &str = "factor.enrolment_begun";
        let (user, _) = person(ctx).ok_or(EnrolError::NotSignedIn)?;
        self.check_password(ctx, user, password, ACT).await?;
        let secret = Secret::new(crypto::random());
        let (vault, ctx, sealed) = (self.vault.clone(), ctx.clone(), secret.text());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if !factors::begin_totp(tx.sql(), user, ctx.at).await? {
                    return Err(EnrolError::HasFactor);
                }
                vault.seal_into(tx, &code::secret_name(user), &sealed, ctx.at).await?;
                tx.record(AuditEntry::by(&ctx, ACT).on("user", user));
                store::user(tx.sql(), user).await?.ok_or(EnrolError::NotSignedIn)
            })
        });
        let user = done.await?;
        Ok(secret.enrolment(&user.username))
    }

    /// Makes the app count that was begun with, once it shows a right code. Ends the caller's other sessions.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub async fn confirm_enrolment(&self, ctx: &Context, code: &SecretString) -> Result<Enrolled, CodeError> {
        const ACT: &str = "factor.enrolled";
        let (user, session) = person(ctx).ok_or(CodeError::NotSignedIn)?;
        let begun = factors::totp(&mut *self.db.read().await?, user).await?;
        let begun =
            begun.filter(|totp| totp.active_at.is_none() && ctx.at < later(totp.begun_at, ENROLMENT_LIFE));
        begun.ok_or(CodeError::Over)?;
        self.count_code(ctx, user, Kind::Totp, ACT).await?;
        let proof = match Kind::of(code) {
            Kind::Totp => self.proof(user, code, ctx.at).await?,
            Kind::Recovery => None,
        };

        let recovery_codes = recovery::new_codes(crypto::random);
        let hashes = hashes(user, &recovery_codes);
        let token = crypto::new_token();
        let (asked, ctx, token_hash) = (ctx, ctx.clone(), hash_of(token.expose_secret()));
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let Some(Proof::Step { begun_at, step }) = proof else {
                    tx.record(failed(&ctx, ACT, user, "wrong code"));
                    return Ok(None);
                };
                if !factors::activate_totp(tx.sql(), user, begun_at, step, ctx.at).await? {
                    return Err(CodeError::Over);
                }
                factors::set_recovery_codes(tx.sql(), user, &hashes).await?;
                let counted = Kind::Totp.counted_as(user);
                throttle::forget(tx.sql(), &counted, &throttle::source(ctx.address)).await?;
                let ended = store::end_sessions(tx.sql(), user, Some(session), ctx.at).await?;
                let entry = AuditEntry::by(&ctx, ACT).on("user", user);
                tx.record(entry.with(json!({ "factor": "totp", "sessions_ended": ended })));
                renew(tx, &ctx, session, &token_hash).await.map(Some)
            })
        });
        let session = done.await?.ok_or(CodeError::Wrong)?;
        Ok(Enrolled { recovery_codes, signed_in: signed_in(token, session, asked) })
    }

    /// Takes a code for a recent factor of the caller's session, which gets another token: the one before is dead.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub async fn step_up(&self, ctx: &Context, code: &SecretString) -> Result<SignedIn, CodeError> {
        const ACT: &str = "session.stepped_up";
        let (user, session) = person(ctx).ok_or(CodeError::NotSignedIn)?;
        if !factors::has_factor(&mut *self.db.read().await?, user).await? {
            return Err(CodeError::NoFactor);
        }
        self.count_code(ctx, user, Kind::of(code), ACT).await?;
        let proof = self.proof(user, code, ctx.at).await?;
        let token = crypto::new_token();
        let (asked, ctx, token_hash) = (ctx, ctx.clone(), hash_of(token.expose_secret()));
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                match code::spend(tx, &ctx, user, proof.as_ref()).await? {
                    Ok(kind) => {
                        let entry = AuditEntry::by(&ctx, ACT).on("session", session);
                        tx.record(entry.with(json!({ "factor": kind.as_str() })));
                        renew(tx, &ctx, session, &token_hash).await.map(Some)
                    }
                    Err(reason) => {
                        tx.record(failed(&ctx, ACT, user, reason));
                        Ok(None)
                    }
                }
            })
        });
        let session = done.await?.ok_or(CodeError::Wrong)?;
        Ok(signed_in(token, session, asked))
    }

    /// Ten new recovery codes, in place of all before. Needs a recent factor.
    ///
    /// # Errors
    /// See [`FactorError`].
    pub async fn renew_recovery_codes(&self, ctx: &Context) -> Result<Vec<SecretString>, FactorError> {
        const ACT: &str = "recovery_codes.renewed";
        let (user, _) = person(ctx).ok_or(FactorError::NotSignedIn)?;
        self.require_factor(ctx, ACT).await?;
        let codes = recovery::new_codes(crypto::random);
        let (ctx, hashes) = (ctx.clone(), hashes(user, &codes));
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                // The factor may have been taken away since the session was looked at.
                if !factors::has_factor(tx.sql(), user).await? {
                    return Err(FactorError::StepUp(StepUpNeeded::Enrol));
                }
                factors::set_recovery_codes(tx.sql(), user, &hashes).await?;
                tx.record(AuditEntry::by(&ctx, ACT).on("user", user));
                Ok(())
            })
        });
        done.await?;
        Ok(codes)
    }

    /// Removes the caller's app and recovery codes; ends their other sessions. Needs a recent factor.
    ///
    /// # Errors
    /// See [`FactorError`].
    pub async fn remove_factor(&self, ctx: &Context) -> Result<(), FactorError> {
        const ACT: &str = "factor.removed";
        let (user, session) = person(ctx).ok_or(FactorError::NotSignedIn)?;
        self.require_factor(ctx, ACT).await?;
        let (vault, ctx) = (self.vault.clone(), ctx.clone());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if !factors::delete_factors(tx.sql(), user).await? {
                    return Err(FactorError::StepUp(StepUpNeeded::Enrol));
                }
                vault.forget_in(tx, &code::secret_name(user)).await?;
                store::forget_factor(tx.sql(), session).await?;
                let ended = store::end_sessions(tx.sql(), user, Some(session), ctx.at).await?;
                let entry = AuditEntry::by(&ctx, ACT).on("user", user);
                tx.record(entry.with(json!({ "sessions_ended": ended })));
                Ok(())
            })
        });
        done.await
    }

    /// Removes the factor of somebody who has lost it, and ends all their sessions. They sign in with the password alone
    /// until they enrol again. `false`: there was none.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn reset_factor(&self, ctx: &Context, id: UserId) -> Result<bool, PeopleError> {
        const ACT: &str = "factor.reset";
        self.require(ctx, Permission::UsersManage, ACT).await?;
        let (vault, asked, ctx) = (self.vault.clone(), ctx, ctx.clone());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let user: User = store::user(tx.sql(), id).await?.ok_or(PeopleError::NotFound)?;
                if !user.roles.iter().all(|role| covers(&ctx, *role)) {
                    return Err(PeopleError::Outranked);
                }
                if !factors::delete_factors(tx.sql(), id).await? {
                    return Ok(false);
                }
                vault.forget_in(tx, &code::secret_name(id)).await?;
                let ended = store::end_sessions(tx.sql(), id, None, ctx.at).await?;
                let entry = AuditEntry::by(&ctx, ACT).on("user", id);
                tx.record(entry.with(json!({ "sessions_ended": ended })));
                Ok(true)
            })
        });
        self.recorded(asked, ACT, done.await).await
    }

    /// Asks for a recent factor, and records it when the answer is no.
    async fn require_factor(&self, ctx: &Context, act: &'static str) -> Result<(), FactorError> {
        let Err(needed) = ctx.require_recent_factor() else { return Ok(()) };
        let entry =
            AuditEntry::by(ctx, act).ended(Outcome::Refused).with(json!({ "reason": needed.to_string() }));
        self.record(entry).await;
        Err(needed.into())
    }

    /// Asks somebody who is signed in for the password again. Guesses count like those of signing in.
    async fn check_password(
        &self,
        ctx: &Context,
        user: UserId,
        password: &SecretString,
        act: &'static str,
    ) -> Result<(), EnrolError> {
        let place = self.hasher.queue().map_err(|_| EnrolError::Busy)?;
        let login = store::login_of(&mut *self.db.read().await?, user).await?;
        let (key, login) = login.ok_or(EnrolError::NotSignedIn)?;
        let (name, source) = (throttle::name(&key), throttle::source(ctx.address));
        if let Guess::Refused { retry_after, .. } = self.count_guess(ctx, &name, &source, act).await? {
            return Err(EnrolError::TooMany { retry_after });
        }
        let right = place.verify(password, login.password_hash).await.matches;
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if right {
                    throttle::forget(tx.sql(), &name, &source).await?;
                } else {
                    tx.record(failed(&ctx, act, user, "wrong password"));
                }
                Ok::<_, StorageError>(())
            })
        });
        done.await?;
        if right { Ok(()) } else { Err(EnrolError::PasswordWrong) }
    }
}

/// The person of a context, and the session they are in.
pub(crate) fn person(ctx: &Context) -> Option<(UserId, SessionId)> {
    match ctx.credential {
        Credential::Session(session) => Some((ctx.user_id()?, session)),
        Credential::Key(_) | Credential::Local | Credential::None => None,
    }
}

fn hashes(user: UserId, codes: &[SecretString]) -> Vec<String> {
    codes.iter().filter_map(|code| recovery::hash(user, code.expose_secret())).collect()
}

pub(crate) fn failed(ctx: &Context, act: &'static str, user: UserId, reason: &str) -> AuditEntry {
    let entry = AuditEntry::by(ctx, act).on("user", user).ended(Outcome::Failed);
    entry.with(json!({ "reason": reason }))
}

/// A session that saw a factor goes on under another token, so that one that was stolen before gains nothing.
async fn renew(
    tx: &mut Tx,
    ctx: &Context,
    session: SessionId,
    token_hash: &str,
) -> Result<StoredSession, CodeError> {
    if !store::renew_session(tx.sql(), session, token_hash, ctx.at).await? {
        return Err(CodeError::NotSignedIn);
    }
    store::session(tx.sql(), &SessionKey::Id(session)).await?.ok_or(CodeError::NotSignedIn)
}

fn signed_in(token: SecretString, session: StoredSession, ctx: &Context) -> SignedIn {
    SignedIn { token, authenticated: authenticated(session, ctx.address, ctx.request_id, ctx.at) }
}
