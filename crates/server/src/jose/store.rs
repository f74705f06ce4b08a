//! The SQL of `encryption_keys`.

use domain::{KeyId, Timestamp, UserId, from_micros, micros};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query};
use vault::Recipient;

use super::Registered;

/// The key of an API key, or else of its owner.
pub(super) async fn of_caller(
    connection: &mut Connection,
    user: UserId,
    key: Option<KeyId>,
) -> Result<Option<Recipient>, StorageError> {
    let sql = "SELECT jwk FROM encryption_keys WHERE user_id = $1 AND (key_id = $2 OR key_id = '') \
               ORDER BY key_id DESC LIMIT 1";
    let row = query(sql).bind(user.to_string()).bind(text(key)).fetch_optional(connection).await?;
    row.as_ref().map(recipient).transpose()
}

pub(super) async fn of_user(
    connection: &mut Connection,
    user: UserId,
) -> Result<Vec<Registered>, StorageError> {
    let sql = "SELECT key_id, jwk, registered_at FROM encryption_keys WHERE user_id = $1 ORDER BY key_id";
    let rows = query(sql).bind(user.to_string()).fetch_all(connection).await?;
    let read = |row: &Row| {
        let key: String = row.try_get("key_id")?;
        let key =
            (!key.is_empty()).then(|| StorageError::parse("encryption_keys.key_id", &key)).transpose()?;
        Ok(Registered { key, recipient: recipient(row)?, at: from_micros(row.try_get("registered_at")?) })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn set(
    tx: &mut Tx,
    user: UserId,
    key: Option<KeyId>,
    recipient: &Recipient,
    at: Timestamp,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO encryption_keys (user_id, key_id, jwk, registered_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (user_id, key_id) DO UPDATE SET jwk = excluded.jwk, registered_at = excluded.registered_at";
    query(sql)
        .bind(user.to_string())
        .bind(text(key))
        .bind(recipient.jwk().to_string())
        .bind(micros(at))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx, user: UserId, key: Option<KeyId>) -> Result<bool, StorageError> {
    let sql = "DELETE FROM encryption_keys WHERE user_id = $1 AND key_id = $2";
    let done = query(sql).bind(user.to_string()).bind(text(key)).execute(tx.sql()).await?;
    Ok(done.rows_affected() > 0)
}

fn text(key: Option<KeyId>) -> String {
    key.map(|key| key.to_string()).unwrap_or_default()
}

fn recipient(row: &Row) -> Result<Recipient, StorageError> {
    const WHAT: &str = "encryption_keys.jwk";
    let jwk = StorageError::parse(WHAT, &row.try_get::<String, _>("jwk")?)?;
    Recipient::read(&jwk).map_err(|why| StorageError::Unreadable { what: WHAT, why: why.to_string() })
}
