//! Getting in, staying in, getting out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use domain::{
    AuditEntry, Context, Credential, Outcome, PermissionSet, RequestId, SessionId, Timestamp, UserId,
};
use serde_json::json;
use storage::{StorageError, Tx};
use vault::{ExposeSecret as _, SecretString, crypto};

use crate::Identity;
use crate::challenge::{CHALLENGE_LIFE, Challenge};
use crate::code::Kind;
use crate::error::SignInError;
use crate::password::Verified;
use crate::store::{self, Login, NewSession, SessionKey, StoredSession, factors};
use crate::throttle::{self, Guess};
use crate::user::{User, UserStatus};
use crate::username::Username;

/// A session ends when it was not used for this long.
pub const IDLE: Duration = Duration::from_secs(60 * 60);
/// A session ends this long after it began, used or not.
pub const ABSOLUTE: Duration = Duration::from_secs(12 * 60 * 60);
/// A use is noted at most this often: it is a durable write.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// A session from further in the future than this has ended: the clock was set back, and nobody can say how old it is. Less is
/// what clocks are corrected by, and lengthens a session by no more.
const SET_BACK: Duration = Duration::from_secs(10 * 60);
/// Sessions older than this are forgotten at the next sign-in of the same person.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a sign-in is called in the audit log.
pub(crate) const STARTED: &str = "session.started";

/// A signed-in browser or program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id; not the secret in its cookie.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// When it ends if it is not used any more.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
}

/// A request of a signed-in person.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The person, as of now.
    pub user: User,
    /// The session.
    pub session: Session,
    /// What they may do, as of now.
    pub ctx: Context,
}

/// Where a sign-in stands after the password.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// Done.
    Complete(Box<SignedIn>),
    /// The password was right, and the person has a second factor: see [`Identity::finish_sign_in`].
    CodeNeeded(Challenge),
}

/// A sign-in that succeeded, or a session that goes on under another token.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// What goes into the cookie. It is stored nowhere and cannot be had again.
    pub token: SecretString,
    /// The session.
    pub authenticated: Authenticated,
}

impl Identity {
    /// Signs a person in; a new session each time. Whoever has a second factor owes a code after this.
    ///
    /// For an unknown name, a person who may not sign in and a wrong password, the same is done and the same is
    /// answered.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(
        &self,
        ctx: &Context,
        username: &str,
        password: &SecretString,
        user_agent: Option<&str>,
    ) -> Result<SignIn, SignInError> {
        let place = self.hasher.queue().map_err(|_| SignInError::Busy)?;
        // What cannot be a name is looked up all the same; no stored name has a question mark in it.
        let key = Username::new(username).map_or_else(|_| "?".to_owned(), |name| name.key);
        let source = throttle::source(ctx.address);
        let guessed = throttle::name(&key);
        let guess = self.count_guess(ctx, &guessed, &source, STARTED).await?;
        if let Guess::Refused { retry_after, .. } = guess {
            return Err(SignInError::TooMany { retry_after });
        }

        let login = store::login(&mut *self.db.read().await?, &key).await?;
        let stored = login.as_ref().and_then(|login| login.password_hash.clone());
        let verified = place.verify(password, stored).await;

        let attempt = Attempt { key, guessed, source, login, verified, user_agent: user_agent.map(cut) };
        let token = crypto::new_token();
        let token_hash = hash_of(token.expose_secret());
        Ok(match self.conclude(ctx, attempt, token_hash).await?.ok_or(SignInError::Failed)? {
            Concluded::Session(session) => SignIn::Complete(Box::new(SignedIn {
                token,
                authenticated: authenticated(*session, ctx.address, ctx.request_id, ctx.at),
            })),
            Concluded::CodeNeeded { expires_at } => SignIn::CodeNeeded(Challenge { token, expires_at }),
        })
    }

    /// Counts a guess at a password in a commit of its own, before anything is compared.
    pub(crate) async fn count_guess(
        &self,
        ctx: &Context,
        name: &str,
        source: &str,
        act: &'static str,
    ) -> Result<Guess, StorageError> {
        let (ctx, name, source) = (ctx.clone(), name.to_owned(), source.to_owned());
        let guess = self.db.write(move |tx| {
            Box::pin(async move {
                let guess = throttle::count(tx.sql(), &name, &source, ctx.at).await?;
                if let Guess::Refused { first: true, .. } = guess {
                    let entry = AuditEntry::by(&ctx, act).ended(Outcome::Refused);
                    tx.record(entry.with(json!({ "reason": "too many failed attempts" })));
                }
                Ok(guess)
            })
        });
        guess.await
    }

    async fn conclude(
        &self,
        ctx: &Context,
        attempt: Attempt,
        token_hash: String,
    ) -> Result<Option<Concluded>, StorageError> {
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                match attempt.outcome(tx).await? {
                    Ok(user) => attempt.let_in(tx, &ctx, user, token_hash).await.map(Some),
                    Err(reason) => {
                        let mut entry = AuditEntry::by(&ctx, STARTED).ended(Outcome::Failed);
                        // Never what was typed as the name: people type passwords there.
                        if let Some(login) = &attempt.login {
                            entry = entry.on("user", login.id);
                        }
                        tx.record(entry.with(json!({ "reason": reason })));
                        Ok(None)
                    }
                }
            })
        });
        done.await
    }

    /// Who asks, by the value of the cookie; `None` when it is no session, or one that has ended.
    ///
    /// # Errors
    /// The database failed.
    pub async fn authenticate(
        &self,
        token: &str,
        address: Option<IpAddr>,
        request_id: RequestId,
    ) -> Result<Option<Authenticated>, StorageError> {
        let now = self.clock.now();
        let Some(session) = self.live(&SessionKey::TokenHash(hash_of(token)), now).await? else {
            return Ok(None);
        };
        let noted_at = session.last_used_at;
        if let Some(due) = now.checked_sub(NOTED_EVERY).ok().filter(|due| noted_at <= *due) {
            let id = session.id;
            let noted =
                self.db.write(move |tx| Box::pin(async move { store::touch(tx.sql(), id, now, due).await }));
            // A full disk must not sign people out: the session then ends a little early, and reads go on.
            if let Err(e) = noted.await {
                tracing::warn!(error = %e, "the use of a session could not be noted");
            }
        }
        Ok(Some(authenticated(session, address, request_id, now)))
    }

    /// Whether a session still stands, and what its person may do now; for connections that stay open. Does not
    /// count as use.
    ///
    /// # Errors
    /// The database failed.
    pub async fn recheck(
        &self,
        session: SessionId,
        address: Option<IpAddr>,
        request_id: RequestId,
    ) -> Result<Option<Authenticated>, StorageError> {
        let now = self.clock.now();
        let session = self.live(&SessionKey::Id(session), now).await?;
        Ok(session.map(|session| authenticated(session, address, request_id, now)))
    }

    async fn live(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredSession>, StorageError> {
        let session = store::session(&mut *self.db.read().await?, key).await?;
        let Some(session) = session.filter(|session| {
            now < later(session.created_at, ABSOLUTE) && now < later(session.last_used_at, IDLE)
        }) else {
            return Ok(None);
        };
        if later(now, SET_BACK) < session.created_at.max(session.last_used_at) {
            self.end_for_good(session.id, now).await;
            return Ok(None);
        }
        Ok(Some(session))
    }

    /// Ends a session of the future, so that it does not come to life again when the clock is right.
    async fn end_for_good(&self, id: SessionId, now: Timestamp) {
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                if store::end_session(tx.sql(), id, now).await? {
                    let entry = AuditEntry::by_system(now, "session.ended").on("session", id);
                    tx.record(entry.with(json!({ "reason": "the clock was set back" })));
                }
                Ok::<_, StorageError>(())
            })
        });
        if let Err(e) = ended.await {
            tracing::warn!(error = %e, "a session of the future could not be ended for good");
        }
    }

    /// Ends the caller's session. Without one, nothing is done.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, ctx: &Context) -> Result<(), StorageError> {
        let Credential::Session(id) = ctx.credential else { return Ok(()) };
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if store::end_session(tx.sql(), id, ctx.at).await? {
                    tx.record(AuditEntry::by(&ctx, "session.ended").on("session", id));
                }
                Ok(())
            })
        });
        done.await
    }
}

/// What is known when the hash is done.
struct Attempt {
    key: String,
    guessed: String,
    source: String,
    login: Option<Login>,
    verified: Verified,
    user_agent: Option<String>,
}

impl Attempt {
    /// Who it is, or why not. Asked inside the transaction: the person may have changed while the hash was computed.
    async fn outcome(&self, tx: &mut Tx) -> Result<Result<UserId, &'static str>, StorageError> {
        let Some(login) = &self.login else { return Ok(Err("unknown name")) };
        let now = store::login(tx.sql(), &self.key).await?;
        let unchanged = now.as_ref().is_some_and(|now| {
            now.id == login.id && now.status == UserStatus::Active && now.password_hash == login.password_hash
        });
        Ok(match login.status {
            UserStatus::Disabled => Err("disabled"),
            UserStatus::Invited => Err("invitation not taken up"),
            UserStatus::Active if !self.verified.matches => Err("wrong password"),
            UserStatus::Active if !unchanged => Err("changed meanwhile"),
            UserStatus::Active => Ok(login.id),
        })
    }

    /// A session for whoever showed the right password, or a challenge where that is not enough.
    async fn let_in(
        &self,
        tx: &mut Tx,
        ctx: &Context,
        user: UserId,
        token_hash: String,
    ) -> Result<Concluded, StorageError> {
        throttle::forget(tx.sql(), &self.guessed, &self.source).await?;
        if let Some(hash) = &self.verified.rehashed {
            store::set_password(tx.sql(), user, hash).await?;
        }
        if factors::has_factor(tx.sql(), user).await? {
            let expires_at = later(ctx.at, CHALLENGE_LIFE);
            factors::insert_challenge(tx.sql(), &token_hash, user, ctx.at, expires_at).await?;
            let entry = AuditEntry::by(ctx, "session.code_asked").on("user", user);
            tx.record(entry.with(json!({ "password_rehashed": self.verified.rehashed.is_some() })));
            return Ok(Concluded::CodeNeeded { expires_at });
        }
        let opening = Opening {
            user,
            token_hash,
            user_agent: self.user_agent.clone(),
            factor: None,
            password_rehashed: self.verified.rehashed.is_some(),
        };
        Ok(Concluded::Session(Box::new(open(tx, ctx, &opening).await?)))
    }
}

/// What a right password led to.
enum Concluded {
    Session(Box<StoredSession>),
    CodeNeeded { expires_at: Timestamp },
}

/// A session to be opened.
pub(crate) struct Opening {
    pub user: UserId,
    pub token_hash: String,
    pub user_agent: Option<String>,
    /// The second factor that was shown.
    pub factor: Option<Kind>,
    pub password_rehashed: bool,
}

/// Opens a session, for somebody who may have one, and records it.
pub(crate) async fn open(
    tx: &mut Tx,
    ctx: &Context,
    opening: &Opening,
) -> Result<StoredSession, StorageError> {
    let Opening { user, token_hash, user_agent, factor, password_rehashed } = opening;
    let id = SessionId::new(ctx.at);
    let forgotten = ctx.at.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
    store::delete_old_sessions(tx.sql(), *user, forgotten).await?;
    let new = NewSession {
        id,
        user: *user,
        token_hash,
        at: ctx.at,
        factor_at: factor.map(|_| ctx.at),
        address: ctx.address.map(|address| address.to_string()),
        user_agent: user_agent.as_deref(),
    };
    store::insert_session(tx.sql(), new).await?;
    let mut entry = AuditEntry::by(ctx, STARTED).on("session", id);
    entry.actor_kind = domain::PrincipalKind::User;
    entry.actor_id = Some(user.to_string());
    let factor = factor.map(Kind::as_str);
    tx.record(entry.with(json!({ "password_rehashed": password_rehashed, "factor": factor })));
    let session = store::session(tx.sql(), &SessionKey::Id(id)).await?;
    session
        .ok_or_else(|| StorageError::Unreadable { what: "sessions", why: "a new session is gone".to_owned() })
}

pub(crate) fn authenticated(
    stored: StoredSession,
    address: Option<IpAddr>,
    request_id: RequestId,
    at: Timestamp,
) -> Authenticated {
    let StoredSession { id, created_at, last_used_at, factor_at, user, .. } = stored;
    let ctx = context(&user, id, address, request_id, at).with_factor(factor_at);
    let expires_at = later(created_at, ABSOLUTE);
    let idle_expires_at = later(last_used_at, IDLE).min(expires_at);
    Authenticated {
        ctx,
        session: Session { id, created_at, last_used_at, idle_expires_at, expires_at },
        user,
    }
}

/// What a person may do.
pub(crate) fn context(
    user: &User,
    session: SessionId,
    address: Option<IpAddr>,
    request_id: RequestId,
    at: Timestamp,
) -> Context {
    let permissions = user.roles.iter().fold(PermissionSet::EMPTY, |all, role| all.union(role.permissions()));
    let grants: BTreeMap<_, _> = user.grants.iter().map(|grant| (grant.account_id, grant.access)).collect();
    let live = user.grants.iter().filter(|grant| grant.live).map(|grant| grant.account_id);
    Context::user(user.id, session, permissions, grants, address, request_id, at).with_live(live)
}

pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What is stored of a random secret. A fast hash is enough: 256 random bits cannot be guessed.
pub(crate) fn hash_of(secret: &str) -> String {
    crypto::hex(&crypto::sha256(secret.as_bytes()))
}

/// What a browser calls itself, as far as it helps to tell sessions apart.
pub(crate) fn cut(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(200).collect()
}
