//! The SQL of `api_keys`.

use domain::{KeyId, PermissionSet, Timestamp, UserId, from_micros, micros};
use storage::{Connection, Row, RowExt as _, StorageError, query};

use super::{fill, read_user};
use crate::key::ApiKey;
use crate::user::User;

/// A key with what its secret is compared with, and its owner.
#[derive(Clone)]
pub(crate) struct StoredKey {
    pub key: ApiKey,
    pub secret_hash: String,
    /// The former secret's, while it is good too.
    pub previous_hash: Option<String>,
    pub owner: User,
}

const COLUMNS: &str = "k.id AS key_id, k.user_id, k.account_id, k.name, k.scopes, k.networks, k.secret_hash, \
                       k.previous_hash, k.previous_until, k.created_at AS key_created_at, k.expires_at, \
                       k.last_used_at, k.last_used_from, k.revoked_at";

pub(crate) async fn insert(
    connection: &mut Connection,
    key: &ApiKey,
    secret_hash: &str,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO api_keys (id, user_id, account_id, name, scopes, networks, secret_hash, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    query(sql)
        .bind(key.id.to_string())
        .bind(key.owner.to_string())
        .bind(key.account.to_string())
        .bind(&key.name)
        .bind(list(key.scopes.iter()))
        .bind(list(key.networks.iter()))
        .bind(secret_hash)
        .bind(micros(key.created_at))
        .bind(key.expires_at.map(micros))
        .execute(connection)
        .await?;
    Ok(())
}

/// A key by its public half, whatever became of it.
pub(crate) async fn find(connection: &mut Connection, id: KeyId) -> Result<Option<StoredKey>, StorageError> {
    let sql = format!(
        "SELECT u.id, u.username, u.display_name, u.status, u.created_at, u.last_sign_in_at, {COLUMNS} \
         FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.id = $1"
    );
    let row = query(sqlx::AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let mut users = [read_user(&row)?];
    fill(connection, &mut users).await?;
    let [owner] = users;
    Ok(Some(StoredKey {
        key: read(&row)?,
        secret_hash: row.try_get("secret_hash")?,
        previous_hash: row.try_get("previous_hash")?,
        owner,
    }))
}

/// Keys, newest first: of one person or of everybody.
pub(crate) async fn list_of(
    connection: &mut Connection,
    owner: Option<UserId>,
    before: Option<(Timestamp, KeyId)>,
    limit: u32,
) -> Result<Vec<ApiKey>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM api_keys k WHERE ($1 = '' OR k.user_id = $1) \
         AND (k.created_at < $2 OR (k.created_at = $2 AND k.id > $3)) ORDER BY k.created_at DESC, k.id LIMIT $4"
    );
    let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
    let (at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| (micros(at), id.to_string()));
    let rows = query(sqlx::AssertSqlSafe(sql))
        .bind(owner)
        .bind(at)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// How many keys of a person are good at a moment.
pub(crate) async fn good(
    connection: &mut Connection,
    owner: UserId,
    now: Timestamp,
) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM api_keys \
               WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
    let row = query(sql).bind(owner.to_string()).bind(micros(now)).fetch_one(connection).await?;
    Ok(row.try_get("n")?)
}

/// Puts a new secret in the place of the former one, which stays good until `overlap_until`.
pub(crate) async fn rotate(
    connection: &mut Connection,
    id: KeyId,
    secret_hash: &str,
    overlap_until: Timestamp,
) -> Result<(), StorageError> {
    let sql = "UPDATE api_keys SET previous_hash = secret_hash, previous_until = $3, secret_hash = $2 WHERE id = $1";
    query(sql).bind(id.to_string()).bind(secret_hash).bind(micros(overlap_until)).execute(connection).await?;
    Ok(())
}

/// Makes a key worthless; `false` when it was.
pub(crate) async fn revoke(
    connection: &mut Connection,
    id: KeyId,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    let done = query(sql).bind(id.to_string()).bind(micros(at)).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a use.
pub(crate) async fn touch(
    connection: &mut Connection,
    id: KeyId,
    at: Timestamp,
    from: Option<&str>,
) -> Result<(), StorageError> {
    let sql = "UPDATE api_keys SET last_used_at = $2, last_used_from = $3 WHERE id = $1";
    query(sql).bind(id.to_string()).bind(micros(at)).bind(from).execute(connection).await?;
    Ok(())
}

fn read(row: &Row) -> Result<ApiKey, StorageError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let time = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(from_micros));
    let scopes = text("scopes")?;
    let scopes: Result<PermissionSet, StorageError> =
        parts(&scopes).map(|one| StorageError::parse("api_keys.scopes", one)).collect();
    let networks = text("networks")?;
    let networks: Result<_, StorageError> =
        parts(&networks).map(|one| StorageError::parse("api_keys.networks", one)).collect();
    Ok(ApiKey {
        id: StorageError::parse("api_keys.id", &text("key_id")?)?,
        owner: StorageError::parse("api_keys.user_id", &text("user_id")?)?,
        account: StorageError::parse("api_keys.account_id", &text("account_id")?)?,
        name: text("name")?,
        scopes: scopes?,
        networks: networks?,
        created_at: from_micros(row.try_get("key_created_at")?),
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
        last_used_from: row.try_get("last_used_from")?,
        revoked_at: time("revoked_at")?,
        former_secret_until: time("previous_until")?,
    })
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
