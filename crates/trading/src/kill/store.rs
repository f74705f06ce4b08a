//! The SQL of `kill_switches`.

use domain::{UserId, from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, Tx, query, query_scalar};

use crate::core::Kill;
use crate::scope::Scope;

/// The switches that are engaged.
pub(super) async fn engaged(connection: &mut Connection) -> Result<Vec<Kill>, StorageError> {
    let sql =
        "SELECT scope, engaged_at, engaged_by, reason, flatten, drill FROM kill_switches ORDER BY scope";
    let rows = query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Kill {
                scope: StorageError::parse_column(row, 0, "scope")?,
                at: from_micros(row.try_get(1)?),
                by: row.try_get(2)?,
                reason: row.try_get(3)?,
                flatten: row.try_get::<i64, _>(4)? != 0,
                drill: row.try_get::<i64, _>(5)? != 0,
            })
        })
        .collect()
}

pub(super) async fn engage(tx: &mut Tx, kill: &Kill) -> Result<(), StorageError> {
    query(
        "INSERT INTO kill_switches (scope, engaged_at, engaged_by, reason, flatten, drill) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (scope) DO UPDATE SET engaged_at = excluded.engaged_at, engaged_by = excluded.engaged_by, \
         reason = excluded.reason, flatten = excluded.flatten, drill = excluded.drill",
    )
    .bind(kill.scope.to_string())
    .bind(micros(kill.at))
    .bind(kill.by.as_str())
    .bind(kill.reason.as_str())
    .bind(i64::from(kill.flatten))
    .bind(i64::from(kill.drill))
    .execute(tx.sql())
    .await?;
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, scope: &Scope) -> Result<(), StorageError> {
    query("DELETE FROM kill_switches WHERE scope = $1").bind(scope.to_string()).execute(tx.sql()).await?;
    Ok(())
}

/// Whether there is such a person.
pub(crate) async fn is_user(connection: &mut Connection, user: UserId) -> Result<bool, StorageError> {
    let found: Option<i64> = query_scalar("SELECT 1 FROM users WHERE id = $1")
        .bind(user.to_string())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Whose API key it is; `None` when there is no such key.
pub(crate) async fn key_owner(
    connection: &mut Connection,
    key: &str,
) -> Result<Option<UserId>, StorageError> {
    let owner: Option<String> = query_scalar("SELECT user_id FROM api_keys WHERE id = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    owner.map(|owner| StorageError::parse("api_keys.user_id", &owner)).transpose()
}
