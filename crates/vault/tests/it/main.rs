//! The vault, on both engines: what must not open, first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use domain::{AuditEntry, Context, Permission, RequestId, Timestamp};
use storage::testing::{TestDatabase, databases};
use storage::{AuditChain, BoxFuture, Connection, Database, RowExt as _, StorageError, query};
use vault::{ExposeSecret as _, MasterKey, Vault, VaultError};

const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// An audit log is another crate's; here only that rows were handed over matters.
struct Discard;

impl AuditChain for Discard {
    fn append<'t>(
        &'t self,
        _: &'t mut Connection,
        _: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
}

fn master(name: &str) -> MasterKey {
    MasterKey::from_text(&vault::crypto::base64(&vault::crypto::sha256(name.as_bytes()))).unwrap()
}

async fn open(database: &TestDatabase) -> (Database, Vault) {
    let db = database.open(Some(Arc::new(Discard))).await;
    let vault = Vault::open(db.clone(), master("ours"), AT).await.unwrap();
    (db, vault)
}

async fn set(vault: &Vault, name: &str, secret: &str) {
    let ctx = Context::operator(None, AT);
    vault.set(&ctx, Permission::FeedsManage, name, secret.into()).await.unwrap();
}

async fn sql(db: &Database, statement: String) {
    let done = db.write(move |tx| {
        Box::pin(async move {
            query(sqlx::AssertSqlSafe(statement)).execute(tx.sql()).await?;
            Ok::<_, StorageError>(())
        })
    });
    done.await.unwrap();
}

async fn stored(db: &Database, name: &str) -> String {
    let row = query("SELECT sealed FROM secrets WHERE name = $1").bind(name);
    row.fetch_one(&mut *db.read().await.unwrap()).await.unwrap().get(0)
}

async fn put(db: &Database, name: &str, sealed: &str) {
    sql(db, format!("UPDATE secrets SET sealed = '{sealed}' WHERE name = '{name}'")).await;
}

#[track_caller]
fn assert_damaged(revealed: Result<Option<vault::SecretString>, VaultError>, what: &str) {
    assert!(matches!(&revealed, Err(VaultError::Damaged { name }) if name == "a"), "{what}");
}

#[tokio::test]
async fn whoever_may_not_set_a_secret_sets_none() {
    for database in databases().await {
        let (_, vault) = open(&database).await;
        let ctx = Context::anonymous(None, RequestId::new(AT), AT);
        let done = vault.set(&ctx, Permission::FeedsManage, "a", "secret".into()).await;
        assert!(matches!(done, Err(VaultError::Denied(_))));
        assert!(vault.reveal("a").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_sealed_value_that_was_swapped_cut_or_changed_does_not_open() {
    for database in databases().await {
        let (db, vault) = open(&database).await;
        set(&vault, "a", "secret of a").await;
        set(&vault, "b", "secret of b").await;
        let (a, b) = (stored(&db, "a").await, stored(&db, "b").await);
        put(&db, "a", &b).await;
        assert_damaged(vault.reveal("a").await, "moved from another record");
        let mut bytes = vault::crypto::from_base64(&a).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            put(&db, "a", &vault::crypto::base64(&bytes)).await;
            assert_damaged(vault.reveal("a").await, &format!("byte {at} changed"));
            bytes[at] ^= 0x10;
        }
        for length in [0, 1, 60, 61, 62, bytes.len() - 1] {
            put(&db, "a", &vault::crypto::base64(&bytes[..length])).await;
            assert_damaged(vault.reveal("a").await, &format!("cut to {length}"));
        }
        put(&db, "a", "not base64!").await;
        assert_damaged(vault.reveal("a").await, "no base64");
        put(&db, "a", &a).await;
        assert_eq!(vault.reveal("a").await.unwrap().unwrap().expose_secret(), "secret of a");
    }
}

#[tokio::test]
async fn a_secret_does_not_open_under_another_key_version() {
    for database in databases().await {
        let (db, vault) = open(&database).await;
        set(&vault, "a", "secret").await;
        let copy = "INSERT INTO key_versions SELECT 2, wrapped, created_at, retired_at FROM key_versions";
        sql(&db, copy.to_owned()).await;
        sql(&db, "UPDATE secrets SET key_version = 2".to_owned()).await;
        let error = vault.reveal("a").await.unwrap_err();
        assert!(matches!(error, VaultError::KeyVersionMissing { version: 2, .. }));
        // Nor is the copied key taken for version 2 at the next start.
        let again = Vault::open(db, master("ours"), AT).await;
        assert!(matches!(again, Err(VaultError::WrongMasterKey { version: 2 })));
    }
}

#[tokio::test]
async fn another_desks_master_key_opens_nothing_and_says_so() {
    for database in databases().await {
        let (db, _) = open(&database).await;
        let error = Vault::open(db, master("theirs"), AT).await.err().unwrap();
        assert!(error.to_string().contains("another desk"), "{error}");
    }
}

#[tokio::test]
async fn a_secret_survives_a_restart_and_is_nowhere_in_plain() {
    for database in databases().await {
        let (db, vault) = open(&database).await;
        set(&vault, "feed/sandbox/key", "canary-in-the-vault").await;
        set(&vault, "feed/sandbox/key", "canary-in-the-vault-2").await;
        db.close().await;
        let (db, vault) = open(&database).await;
        let secret = vault.reveal("feed/sandbox/key").await.unwrap().unwrap();
        assert_eq!(secret.expose_secret(), "canary-in-the-vault-2");
        assert!(!format!("{secret:?}").contains("canary"));
        assert!(vault.reveal("feed/other/key").await.unwrap().is_none());
        db.close().await;
        let Some(folder) = database.folder() else { continue };
        for file in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            // In plain, in hexadecimal, and the middle of base64 at each of its three offsets.
            for trace in ["canary-in", "63616e6172792d69", "Y2FuYXJ5LWlu", "FuYXJ5LWluLX", "hbmFyeS1pbi"] {
                assert!(!bytes.windows(trace.len()).any(|part| part == trace.as_bytes()), "{trace}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_forgotten_is_gone_and_nothing_else_is() {
    for database in databases().await {
        let (db, vault) = open(&database).await;
        set(&vault, "user/a/totp", "one").await;
        set(&vault, "user/b/totp", "other").await;
        for _ in 0..2 {
            let vault = vault.clone();
            let done = db.write(move |tx| Box::pin(async move { vault.forget_in(tx, "user/a/totp").await }));
            done.await.unwrap();
        }
        assert!(vault.reveal("user/a/totp").await.unwrap().is_none());
        assert_eq!(vault.reveal("user/b/totp").await.unwrap().unwrap().expose_secret(), "other");
    }
}

#[tokio::test]
async fn two_that_open_a_new_database_at_once_agree_on_its_first_key() {
    for database in databases().await {
        let chain = || Some(Arc::new(Discard) as Arc<dyn AuditChain>);
        let (one, two) = (database.open(chain()).await, database.open(chain()).await);
        let vaults = tokio::join!(Vault::open(one, master("ours"), AT), Vault::open(two, master("ours"), AT));
        let (one, two) = (vaults.0.unwrap(), vaults.1.unwrap());
        set(&one, "a", "secret").await;
        assert_eq!(two.reveal("a").await.unwrap().unwrap().expose_secret(), "secret");
    }
}

#[tokio::test]
async fn names_and_sizes_have_limits() {
    for database in databases().await {
        let (_, vault) = open(&database).await;
        let ctx = Context::operator(None, AT);
        let set = |name: String, secret: String| {
            let (vault, ctx) = (&vault, &ctx);
            async move { vault.set(ctx, Permission::FeedsManage, &name, secret.into()).await }
        };
        for name in ["", "A", "a b", "a\n", "ä", &"a".repeat(201)] {
            assert!(matches!(set(name.to_owned(), "x".to_owned()).await, Err(VaultError::Name)), "{name}");
        }
        for secret in [String::new(), "x".repeat(65_537)] {
            assert!(matches!(set("a".to_owned(), secret).await, Err(VaultError::Size)));
        }
    }
}
