//! API keys: what programs show instead of signing in.
//!
//! A key has a public half, its id, and a secret of 256 random bits that is shown once and stored as a hash. It belongs to
//! a person and to one of the accounts granted to them, and acts in their name. What it may do is worked out on every
//! request: what the owner may, and what the key was made for, and how far the account is granted to the owner, all as of
//! now. So whoever takes a role, a grant or the person away takes the key with it.
//!
//! Guesses cannot succeed, so wrong secrets are counted only to keep a flood of them cheap, after the comparison: whoever
//! has the right one is never locked out by others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Context, KeyId, Outcome, Permission, PermissionSet, RequestId, Resource,
    SessionId, Timestamp, UserId,
};
use serde_json::json;
use storage::{Moment, StorageError};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use vault::{ExposeSecret as _, SecretString, crypto};

use crate::Identity;
use crate::error::{KeyError, KeyRefused};
use crate::factor::person;
use crate::network::Network;
use crate::once::{self, Once, Recall};
use crate::session::{context, hash_of, later};
use crate::store::keys::{self, StoredKey};
use crate::throttle::{self, Guess};
use crate::user::{User, UserStatus, display_name};

/// For how long a key is good, where nothing else is asked for.
pub const KEY_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// For how long the former secret of a rotated key stays good at most.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Keys of one person that are good at the same time.
const MOST: u32 = 50;
/// Networks of a key.
const MOST_NETWORKS: usize = 20;
/// A use is noted at most this often: it is a durable write.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// Keys that are kept as they were read.
const MOST_KEPT: usize = 1_000;
/// What a secret begins with, so that those who search for leaked ones know it when they see it.
const PREFIX: &str = "stk_";
/// What a key that was not accepted is called in the audit log.
const REFUSED: &str = "key.refused";

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The public half.
    pub id: KeyId,
    /// In whose name it acts.
    pub owner: UserId,
    /// The one account that it is for.
    pub account: AccountId,
    /// What the owner calls it.
    pub name: String,
    /// The most that it may do.
    pub scopes: PermissionSet,
    /// From where it may be used; empty: from anywhere.
    pub networks: Vec<Network>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; `None`: never.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Until when the secret before the last rotation is good too.
    pub former_secret_until: Option<Timestamp>,
}

/// A key to be made, for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The account that it is for.
    pub account: AccountId,
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// What it may do: some of [`Permission::OF_KEYS`], none that the maker lacks.
    pub scopes: Vec<Permission>,
    /// From where it may be used; empty: from anywhere.
    pub networks: Vec<String>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A key with its secret, which is stored nowhere and cannot be shown again.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: ApiKey,
    /// 47 characters that are safe in a header.
    pub secret: SecretString,
}

/// A request with a key that was accepted.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// The owner, as of now.
    pub owner: User,
    /// The key.
    pub key: ApiKey,
    /// What the key may do, as of now.
    pub ctx: Context,
}

/// What is noted of a key, each at most once a minute: a program asks often, and one that was forgotten asks for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Noted {
    Use,
    Refusal,
}

/// What this process remembers of keys.
pub(crate) struct Keys {
    /// When a use, or a refusal, of each was last noted.
    noted: Mutex<HashMap<(KeyId, Noted), Timestamp>>,
    /// Counts revocations, so that connections that stay open need not wait until they look by themselves.
    revocations: watch::Sender<u64>,
    /// Keys as they were read, each with a moment before that: at any other moment they are read again.
    read: Mutex<HashMap<KeyId, (Moment, StoredKey)>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { noted: Mutex::default(), revocations: watch::Sender::new(0), read: Mutex::default() }
    }
}

impl Keys {
    fn read(&self) -> MutexGuard<'_, HashMap<KeyId, (Moment, StoredKey)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// Makes a key for the caller, on an account granted to them. Needs a recent factor.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn create_key(
        &self,
        ctx: &Context,
        new: NewKey,
        once: Option<Once>,
    ) -> Result<IssuedKey, KeyError> {
        const ACT: &str = "key.created";
        let (owner, _) = person(ctx).ok_or(KeyError::NotSignedIn)?;
        ctx.require(Permission::AccountsView, Resource::Account(new.account))?;
        let name = display_name(&new.name).ok_or(KeyError::NameInvalid)?;
        let scopes = self.scopes(ctx, &new.scopes)?;
        if new.networks.len() > MOST_NETWORKS {
            return Err(KeyError::TooManyNetworks { most: MOST_NETWORKS });
        }
        let networks = new.networks.iter().map(|text| text.parse()).collect::<Result<Vec<Network>, _>>()?;
        if new.expires_at.is_some_and(|at| at <= ctx.at) {
            return Err(KeyError::ExpiryPast);
        }
        self.require_factor_for_keys(ctx, ACT).await?;
        let key = ApiKey {
            id: KeyId::new(crypto::random()),
            owner,
            account: new.account,
            name,
            scopes,
            networks,
            created_at: ctx.at,
            expires_at: new.expires_at,
            last_used_at: None,
            last_used_from: None,
            revoked_at: None,
            former_secret_until: None,
        };
        let (secret, ctx, stored) = (new_secret(), ctx.clone(), key.clone());
        let secret_hash = hash_of(secret.expose_secret());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if let Some(once) = &once {
                    match once::recall(tx, &ctx, once).await? {
                        Recall::New => {}
                        Recall::Different => return Err(KeyError::OnceConflict),
                        Recall::Same(answer) => {
                            let key = answer["key_id"].as_str().unwrap_or_default().to_owned();
                            return Err(KeyError::MadeBefore { key });
                        }
                    }
                    once::remember(tx, &ctx, once, &json!({ "key_id": stored.id })).await?;
                }
                if keys::good(tx.sql(), owner, ctx.at).await? >= i64::from(MOST) {
                    return Err(KeyError::TooMany { most: MOST });
                }
                keys::insert(tx.sql(), &stored, &secret_hash).await?;
                tx.record(AuditEntry::by(&ctx, ACT).on("key", stored.id).with(json!({
                    "account": stored.account,
                    "scopes": stored.scopes.iter().collect::<Vec<_>>(),
                    "networks": stored.networks.iter().map(Network::to_string).collect::<Vec<_>>(),
                    "expires_at": stored.expires_at,
                })));
                Ok(())
            })
        });
        done.await?;
        Ok(IssuedKey { key, secret })
    }

    fn scopes(&self, ctx: &Context, wanted: &[Permission]) -> Result<PermissionSet, KeyError> {
        if wanted.is_empty() {
            return Err(KeyError::NoScope);
        }
        for permission in wanted {
            if !Permission::OF_KEYS.contains(permission) {
                return Err(KeyError::NotForKeys { permission: *permission });
            }
            ctx.require(*permission, Resource::Desk)?;
        }
        Ok(wanted.iter().copied().collect())
    }

    /// At most `limit` of the caller's keys from before one of them, newest first, with those that are good no more; of another person, or of everybody, with the
    /// permission to manage keys.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn keys(
        &self,
        ctx: &Context,
        owner: Option<UserId>,
        before: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, KeyError> {
        let (caller, _) = person(ctx).ok_or(KeyError::NotSignedIn)?;
        if owner != Some(caller) {
            ctx.require(Permission::KeysManage, Resource::Desk)?;
        }
        Ok(keys::list_of(&mut *self.db.read().await?, owner, before, limit).await?)
    }

    /// Gives a key of the caller another secret. The former one stays good for `overlap`, at most
    /// [`LONGEST_OVERLAP`]. Needs a recent factor.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn rotate_key(
        &self,
        ctx: &Context,
        id: KeyId,
        overlap: Duration,
    ) -> Result<IssuedKey, KeyError> {
        const ACT: &str = "key.rotated";
        let (caller, _) = person(ctx).ok_or(KeyError::NotSignedIn)?;
        let found = keys::find(&mut *self.db.read().await?, id).await?;
        // Whoever has the secret acts as the owner: so nobody gets that of another's key.
        found.filter(|found| found.key.owner == caller).ok_or(KeyError::NotYours)?;
        if overlap > LONGEST_OVERLAP {
            return Err(KeyError::OverlapTooLong { most: LONGEST_OVERLAP });
        }
        self.require_factor_for_keys(ctx, ACT).await?;
        let until = later(ctx.at, overlap);
        let secret = new_secret();
        let (ctx, secret_hash) = (ctx.clone(), hash_of(secret.expose_secret()));
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let stored = keys::find(tx.sql(), id).await?.ok_or(KeyError::NotFound)?;
                if ended(&stored.key, ctx.at).is_some() {
                    return Err(KeyError::Over);
                }
                keys::rotate(tx.sql(), id, &secret_hash, until).await?;
                let entry = AuditEntry::by(&ctx, ACT).on("key", id);
                tx.record(entry.with(json!({ "former_secret_until": until })));
                Ok(ApiKey { former_secret_until: Some(until), ..stored.key })
            })
        });
        Ok(IssuedKey { key: done.await?, secret })
    }

    /// Makes a key worthless, at once and for ever: one's own, or anybody's with the permission to manage keys.
    /// Connections that it opened end. Repeating it changes nothing more.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn revoke_key(&self, ctx: &Context, id: KeyId) -> Result<(), KeyError> {
        let stored = self.managed(ctx, id).await?;
        let ctx = ctx.clone();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                if keys::revoke(tx.sql(), id, ctx.at).await? {
                    let entry = AuditEntry::by(&ctx, "key.revoked").on("key", id);
                    tx.record(entry.with(json!({ "owner": stored.key.owner })));
                }
                Ok::<_, StorageError>(())
            })
        });
        done.await?;
        self.keys.revocations.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Changes whenever a key was revoked in this process.
    pub fn key_revocations(&self) -> watch::Receiver<u64> {
        self.keys.revocations.subscribe()
    }

    /// A key that the caller manages. To somebody without the permission to manage keys, those of others and those that
    /// never were look the same.
    async fn managed(&self, ctx: &Context, id: KeyId) -> Result<StoredKey, KeyError> {
        let (caller, _) = person(ctx).ok_or(KeyError::NotSignedIn)?;
        let found = keys::find(&mut *self.db.read().await?, id).await?;
        if found.as_ref().is_none_or(|found| found.key.owner != caller) {
            ctx.require(Permission::KeysManage, Resource::Desk)?;
        }
        found.ok_or(KeyError::NotFound)
    }

    async fn require_factor_for_keys(&self, ctx: &Context, act: &'static str) -> Result<(), KeyError> {
        let Err(needed) = ctx.require_recent_factor() else { return Ok(()) };
        let entry =
            AuditEntry::by(ctx, act).ended(Outcome::Refused).with(json!({ "reason": needed.to_string() }));
        self.record(entry).await;
        Err(needed.into())
    }

    /// Who asks, by the two halves of a key.
    ///
    /// # Errors
    /// See [`KeyRefused`].
    pub async fn authenticate_key(
        &self,
        id: &str,
        secret: &SecretString,
        address: Option<IpAddr>,
        request_id: RequestId,
    ) -> Result<KeyHolder, KeyRefused> {
        let now = self.clock.now();
        let stored = match id.parse::<KeyId>() {
            Ok(id) => self.stored(id).await?,
            Err(_) => None,
        };
        let Some(stored) = stored.filter(|stored| opens(stored, secret, now)) else {
            return Err(self.count_wrong(id, address, request_id, now).await?);
        };
        let (id, owner) = (stored.key.id, stored.key.owner);
        let holder = match holder(stored, address, request_id, now) {
            Ok(holder) => holder,
            Err(why) => {
                self.note_unusable((id, owner), why, address, request_id, now).await;
                return Err(KeyRefused::Unusable { why });
            }
        };
        self.note_use(holder.key.id, address, now);
        Ok(holder)
    }

    /// What a key may do now, of which the secret was shown before: for connections that stay open, and for what was asked
    /// for earlier. `None`: the key is good no more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn recheck_key(
        &self,
        id: KeyId,
        address: Option<IpAddr>,
        request_id: RequestId,
    ) -> Result<Option<KeyHolder>, StorageError> {
        let stored = self.stored(id).await?;
        Ok(stored.and_then(|stored| holder(stored, address, request_id, self.clock.now()).ok()))
    }

    /// A key with its owner, as stored now. What was read before is as good, as long as nobody committed anything since.
    async fn stored(&self, id: KeyId) -> Result<Option<StoredKey>, StorageError> {
        let moment = self.db.moment().await?;
        if let Some((of, stored)) = self.keys.read().get(&id)
            && Some(*of) == moment
        {
            return Ok(Some(stored.clone()));
        }
        let stored = keys::find(&mut *self.db.read().await?, id).await?;
        if let (Some(moment), Some(stored)) = (moment, &stored) {
            let mut read = self.keys.read();
            if read.len() >= MOST_KEPT {
                read.clear();
            }
            read.insert(id, (moment, stored.clone()));
        }
        Ok(stored)
    }

    /// Counts a wrong secret, and says what is to be answered.
    async fn count_wrong(
        &self,
        id: &str,
        address: Option<IpAddr>,
        request_id: RequestId,
        now: Timestamp,
    ) -> Result<KeyRefused, StorageError> {
        // Counted apart from passwords: a program with an old key must not keep people on the same machine out.
        let name = throttle::name(&format!("key {id}"));
        let source = format!("keys from {}", throttle::source(address));
        let ctx = Context::anonymous(address, request_id, now);
        let known = id.parse::<KeyId>().ok();
        let counted = self.db.write(move |tx| {
            Box::pin(async move {
                let guess = throttle::count(tx.sql(), &name, &source, now).await?;
                let reason = match guess {
                    Guess::Counted => Some("wrong key or secret"),
                    Guess::Refused { first: true, .. } => Some("too many failed attempts"),
                    Guess::Refused { first: false, .. } => None,
                };
                if let Some(reason) = reason {
                    let mut entry = AuditEntry::by(&ctx, REFUSED).ended(Outcome::Failed);
                    // Never what was given where it has not the form of an id: it may be a secret.
                    if let Some(id) = known {
                        entry = entry.on("key", id);
                    }
                    tx.record(entry.with(json!({ "reason": reason })));
                }
                Ok::<_, StorageError>(guess)
            })
        });
        Ok(match counted.await? {
            Guess::Counted => KeyRefused::Wrong,
            Guess::Refused { retry_after, .. } => KeyRefused::TooMany { retry_after },
        })
    }

    /// Records that the right secret of a key came that is good no more.
    async fn note_unusable(
        &self,
        (id, owner): (KeyId, UserId),
        why: &'static str,
        address: Option<IpAddr>,
        request_id: RequestId,
        now: Timestamp,
    ) {
        if self.is_due(id, Noted::Refusal, now) {
            let ctx = Context::anonymous(address, request_id, now);
            let entry = AuditEntry::by(&ctx, REFUSED).on("key", id).ended(Outcome::Refused);
            self.record(entry.with(json!({ "reason": why, "owner": owner }))).await;
        }
    }

    /// Notes a use, behind the request's back: it does not wait for the disk.
    fn note_use(&self, id: KeyId, address: Option<IpAddr>, now: Timestamp) {
        if !self.is_due(id, Noted::Use, now) {
            return;
        }
        let (db, from) = (self.db.clone(), address.map(|address| address.to_string()));
        tokio::spawn(async move {
            let noted = db.write(move |tx| {
                Box::pin(async move { keys::touch(tx.sql(), id, now, from.as_deref()).await })
            });
            if let Err(error) = noted.await {
                tracing::warn!(%error, key = %id, "the use of a key could not be noted");
            }
        });
    }

    fn is_due(&self, id: KeyId, what: Noted, now: Timestamp) -> bool {
        let mut noted = self.keys.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let due =
            noted.get(&(id, what)).is_none_or(|at| now.duration_since(*at).unsigned_abs() >= NOTED_EVERY);
        if due {
            noted.insert((id, what), now);
        }
        due
    }
}

fn new_secret() -> SecretString {
    format!("{PREFIX}{}", crypto::new_token().expose_secret()).into()
}

/// Whether a secret is that of the key, or the former one while that is good. Takes as long for a wrong one as for a right
/// one.
fn opens(stored: &StoredKey, secret: &SecretString, now: Timestamp) -> bool {
    let given = hash_of(secret.expose_secret());
    let is = |hash: &str| given.as_bytes().ct_eq(hash.as_bytes());
    let former_is_good = stored.key.former_secret_until.is_some_and(|until| now < until);
    let former = stored.previous_hash.as_deref().filter(|_| former_is_good).unwrap_or_default();
    (is(&stored.secret_hash) | is(former)).into()
}

/// Why a key is good no more, by itself.
fn ended(key: &ApiKey, now: Timestamp) -> Option<&'static str> {
    match key {
        ApiKey { revoked_at: Some(_), .. } => Some("the key was revoked"),
        ApiKey { expires_at: Some(at), .. } if *at <= now => Some("the key has expired"),
        _ => None,
    }
}

/// What a key may do now, or why nothing.
fn holder(
    stored: StoredKey,
    address: Option<IpAddr>,
    request_id: RequestId,
    now: Timestamp,
) -> Result<KeyHolder, &'static str> {
    let StoredKey { key, owner, .. } = stored;
    if let Some(why) = ended(&key, now) {
        return Err(why);
    }
    if owner.status != UserStatus::Active {
        return Err("the owner of the key is not active");
    }
    let outside = |address: IpAddr| !key.networks.iter().any(|network| network.contains(address));
    if !key.networks.is_empty() && address.is_some_and(outside) {
        return Err("the key may not be used from this address");
    }
    // What the owner may do if they were here themselves; of which the key gets what it was made for.
    let whole = context(&owner, SessionId::new(now), address, request_id, now);
    let Some(access) = whole.access(key.account) else {
        return Err("the account of the key is not granted to its owner any more");
    };
    let permissions = whole.permissions().intersection(key.scopes);
    let ctx = Context::key(owner.id, key.id, permissions, (key.account, access), address, request_id, now);
    let live = whole.require_live(key.account).is_ok().then_some(key.account);
    Ok(KeyHolder { ctx: ctx.with_live(live), owner, key })
}
