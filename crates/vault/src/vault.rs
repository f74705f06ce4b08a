//! Sealing and revealing.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AuditEntry, Context, Denied, Permission, Resource, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use storage::{Database, StorageError, Tx};
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::{self, Key};
use crate::master::MasterKey;
use crate::store::{self, StoredKey, StoredSecret};

/// Why a secret could not be sealed or revealed. No variant holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The database's keys were wrapped by another master key, or were changed.
    #[error(
        "key version {version} of this database does not open with the given master key: \
         it is the key of another desk, or the database was altered"
    )]
    WrongMasterKey {
        /// The first that does not open.
        version: i64,
    },
    /// The stored secret was altered, moved from another place, or cut.
    #[error("the sealed secret {name} does not open: it was altered, moved here from another place, or cut")]
    Damaged {
        /// Which.
        name: String,
    },
    /// The secret was sealed under a key that is gone.
    #[error("the secret {name} is sealed under key version {version}, which this desk does not have")]
    KeyVersionMissing {
        /// Which.
        name: String,
        /// The version it names.
        version: i64,
    },
    /// Names are 1 to 200 characters of `a-z`, `0-9`, `-`, `_`, `.` and `/`.
    #[error("a secret's name is 1 to 200 characters of a-z, 0-9, - _ . and /")]
    Name,
    /// Secrets are 1 byte to 64 KiB.
    #[error("a secret has 1 to 65536 bytes")]
    Size,
    /// Whoever asked may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The desk's sealed secrets. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    db: Database,
    keys: Arc<Keys>,
}

/// Key-encryption keys by version. Never empty; secrets are sealed under the newest.
struct Keys(BTreeMap<i64, Key>);

impl Vault {
    /// Opens the database's key-encryption keys, making the first one where there is none yet.
    ///
    /// # Errors
    /// They do not belong to this master key, or the database failed.
    pub async fn open(db: Database, master: MasterKey, now: Timestamp) -> Result<Self, VaultError> {
        let stored = store::keys(&mut *db.read().await?).await?;
        let stored = if stored.is_empty() { first_key(&db, &master, now).await? } else { stored };
        let mut keys = BTreeMap::new();
        for StoredKey { version, wrapped } in stored {
            let blob = crypto::from_base64(&wrapped);
            let opened = blob.and_then(|blob| crypto::open(&master.0, &place_of_key(version), &blob).ok());
            let key =
                opened.and_then(|bytes| as_key(&bytes)).ok_or(VaultError::WrongMasterKey { version })?;
            keys.insert(version, key);
        }
        Ok(Self { db, keys: Arc::new(Keys(keys)) })
    }

    /// Seals a secret under `name`, replacing what was there, inside a write job. The caller records the act.
    ///
    /// # Errors
    /// The name or the size is not allowed, or the database failed.
    pub async fn seal_into(
        &self,
        tx: &mut Tx,
        name: &str,
        secret: &SecretString,
        at: Timestamp,
    ) -> Result<(), VaultError> {
        check_name(name)?;
        let plaintext = secret.expose_secret().as_bytes();
        if plaintext.is_empty() || 65_536 < plaintext.len() {
            return Err(VaultError::Size);
        }
        let (version, key) = self.keys.newest();
        let data_key = crypto::new_key();
        let mut blob = crypto::seal(key, &place_of_data_key(name, version), data_key.as_slice());
        blob.extend(crypto::seal(&data_key, &place_of_secret(name, version), plaintext));
        let stored = StoredSecret { key_version: version, sealed: crypto::base64(&blob) };
        Ok(store::put(tx, name, &stored, at).await?)
    }

    /// Forgets the secret under `name`, if there is one, inside a write job. The caller records the act.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_in(&self, tx: &mut Tx, name: &str) -> Result<(), StorageError> {
        store::delete(tx, name).await
    }

    /// Seals a secret under `name` on somebody's behalf, and records that.
    ///
    /// # Errors
    /// The caller lacks `permission`, otherwise as [`Self::seal_into`].
    pub async fn set(
        &self,
        ctx: &Context,
        permission: Permission,
        name: &str,
        secret: SecretString,
    ) -> Result<(), VaultError> {
        ctx.require(permission, Resource::Desk)?;
        check_name(name)?;
        let (vault, ctx, name) = (self.clone(), ctx.clone(), name.to_owned());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    vault.seal_into(tx, &name, &secret, ctx.at).await?;
                    let entry = AuditEntry::by(&ctx, "secret.set").on("secret", &name);
                    tx.record(entry.with(json!({ "key_version": vault.keys.newest().0 })));
                    Ok(())
                })
            })
            .await
    }

    /// The secret under `name`; `None` when there is none.
    ///
    /// For the code that uses the secret (a connector's log-in) alone: no interface returns one.
    ///
    /// # Errors
    /// It does not open, or the database failed.
    pub async fn reveal(&self, name: &str) -> Result<Option<SecretString>, VaultError> {
        let stored = store::get(&mut *self.db.read().await?, name).await?;
        stored.map(|stored| self.keys.open(name, &stored)).transpose()
    }
}

impl Keys {
    fn newest(&self) -> (i64, &Key) {
        let (version, key) = self.0.last_key_value().expect("a vault opens with at least one key");
        (*version, key)
    }

    fn open(&self, name: &str, stored: &StoredSecret) -> Result<SecretString, VaultError> {
        let damaged = || VaultError::Damaged { name: name.to_owned() };
        let version = stored.key_version;
        let key = self
            .0
            .get(&version)
            .ok_or_else(|| VaultError::KeyVersionMissing { name: name.to_owned(), version })?;
        let blob = crypto::from_base64(&stored.sealed).ok_or_else(damaged)?;
        let (wrapped, sealed) = blob.split_at_checked(32 + crypto::SEAL_OVERHEAD).ok_or_else(damaged)?;
        let data_key =
            crypto::open(key, &place_of_data_key(name, version), wrapped).map_err(|_| damaged())?;
        let data_key = as_key(&data_key).ok_or_else(damaged)?;
        let mut plaintext =
            crypto::open(&data_key, &place_of_secret(name, version), sealed).map_err(|_| damaged())?;
        String::from_utf8(std::mem::take(&mut *plaintext)).map(SecretString::from).map_err(|e| {
            e.into_bytes().zeroize();
            damaged()
        })
    }
}

async fn first_key(db: &Database, master: &MasterKey, now: Timestamp) -> Result<Vec<StoredKey>, VaultError> {
    let wrapped = crypto::seal(&master.0, &place_of_key(1), crypto::new_key().as_slice());
    let key = StoredKey { version: 1, wrapped: crypto::base64(&wrapped) };
    db.write(move |tx| {
        Box::pin(async move {
            // Another process may have been faster.
            let there = store::keys(tx.sql()).await?;
            if !there.is_empty() {
                return Ok(there);
            }
            store::add_key(tx, &key, now).await?;
            tx.record(AuditEntry::by_system(now, "key.created").on("key-version", key.version));
            Ok(vec![key])
        })
    })
    .await
}

fn as_key(bytes: &[u8]) -> Option<Key> {
    let mut key = Zeroizing::new([0; 32]);
    (bytes.len() == 32).then(|| key.copy_from_slice(bytes))?;
    Some(key)
}

fn check_name(name: &str) -> Result<(), VaultError> {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_./".contains(&c);
    if (1..=200).contains(&name.len()) && name.bytes().all(good) { Ok(()) } else { Err(VaultError::Name) }
}

// What a blob is bound to: table, column, record, key version.

fn place_of_key(version: i64) -> Vec<u8> {
    crypto::joined(&[b"key_versions", b"wrapped", &version.to_be_bytes()])
}

fn place_of_data_key(name: &str, version: i64) -> Vec<u8> {
    crypto::joined(&[b"secrets", b"sealed", b"data key", name.as_bytes(), &version.to_be_bytes()])
}

fn place_of_secret(name: &str, version: i64) -> Vec<u8> {
    crypto::joined(&[b"secrets", b"sealed", b"secret", name.as_bytes(), &version.to_be_bytes()])
}
