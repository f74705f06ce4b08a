//! The SQL of `key_versions` and `secrets`.

use domain::{Timestamp, micros};
use storage::{Connection, RowExt as _, StorageError, Tx, query};

/// A key-encryption key as it is stored.
pub(crate) struct StoredKey {
    pub version: i64,
    pub wrapped: String,
}

/// A secret as it is stored.
pub(crate) struct StoredSecret {
    pub key_version: i64,
    pub sealed: String,
}

pub(crate) async fn keys(connection: &mut Connection) -> Result<Vec<StoredKey>, StorageError> {
    let rows =
        query("SELECT version, wrapped FROM key_versions ORDER BY version").fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(StoredKey { version: row.try_get("version")?, wrapped: row.try_get("wrapped")? }))
        .collect()
}

pub(crate) async fn add_key(tx: &mut Tx, key: &StoredKey, at: Timestamp) -> Result<(), StorageError> {
    query("INSERT INTO key_versions (version, wrapped, created_at) VALUES ($1, $2, $3)")
        .bind(key.version)
        .bind(&key.wrapped)
        .bind(micros(at))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(crate) async fn put(
    tx: &mut Tx,
    name: &str,
    secret: &StoredSecret,
    at: Timestamp,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO secrets (name, key_version, sealed, updated_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO UPDATE SET key_version = excluded.key_version, sealed = excluded.sealed, \
               updated_at = excluded.updated_at";
    query(sql)
        .bind(name)
        .bind(secret.key_version)
        .bind(&secret.sealed)
        .bind(micros(at))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, name: &str) -> Result<(), StorageError> {
    query("DELETE FROM secrets WHERE name = $1").bind(name).execute(tx.sql()).await?;
    Ok(())
}

pub(crate) async fn get(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<StoredSecret>, StorageError> {
    let sql = "SELECT key_version, sealed FROM secrets WHERE name = $1";
    let row = query(sql).bind(name).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(StoredSecret { key_version: row.try_get("key_version")?, sealed: row.try_get("sealed")? })
    })
    .transpose()
}
