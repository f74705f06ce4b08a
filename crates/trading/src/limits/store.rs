//! The SQL of `risk_limits` and `risk_marks`, and what limits count that orders left behind.

use domain::{AccountId, Timestamp, from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, Tx, query};

use crate::core::Author;
use crate::risk::{Limit, LimitKind, LimitValue, Remembered};
use crate::scope::{Scope, Scopes};

/// The limits that people set.
pub(super) async fn limits(connection: &mut Connection) -> Result<Vec<Limit>, StorageError> {
    let sql = "SELECT scope, kind, value, set_by, set_at FROM risk_limits ORDER BY scope, kind";
    let rows = query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let kind: LimitKind = StorageError::parse_column(row, 1, "kind of limit")?;
            let value: String = row.try_get(2)?;
            let set_by: String = row.try_get(3)?;
            Ok(Limit {
                scope: StorageError::parse_column(row, 0, "scope")?,
                kind,
                value: LimitValue::parse(kind, &value)
                    .map_err(|e| StorageError::Unreadable { what: "limit", why: e.to_string() })?,
                set_by: set_by.into(),
                set_at: from_micros(row.try_get(4)?),
            })
        })
        .collect()
}

pub(super) async fn set(tx: &mut Tx, limit: &Limit) -> Result<(), StorageError> {
    query(
        "INSERT INTO risk_limits (scope, kind, value, set_by, set_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (scope, kind) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, \
         set_at = excluded.set_at",
    )
    .bind(limit.scope.to_string())
    .bind(limit.kind.as_str())
    .bind(limit.value.to_string())
    .bind(limit.set_by.to_string())
    .bind(micros(limit.set_at))
    .execute(tx.sql())
    .await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx, scope: &Scope, kind: LimitKind) -> Result<(), StorageError> {
    query("DELETE FROM risk_limits WHERE scope = $1 AND kind = $2")
        .bind(scope.to_string())
        .bind(kind.as_str())
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// What limits on profit and loss remember.
pub(super) async fn marks(connection: &mut Connection) -> Result<Vec<(Scope, Remembered)>, StorageError> {
    let sql = "SELECT scope, day, day_start_profit, peak_profit FROM risk_marks";
    let rows = query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let remembered = Remembered {
                day: row.try_get(1)?,
                day_start_profit: StorageError::parse_column(row, 2, "profit")?,
                peak_profit: StorageError::parse_column(row, 3, "profit")?,
            };
            Ok((StorageError::parse_column(row, 0, "scope")?, remembered))
        })
        .collect()
}

pub(super) async fn mark(tx: &mut Tx, scope: &Scope, was: Remembered) -> Result<(), StorageError> {
    query(
        "INSERT INTO risk_marks (scope, day, day_start_profit, peak_profit) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (scope) DO UPDATE SET day = excluded.day, day_start_profit = excluded.day_start_profit, \
         peak_profit = excluded.peak_profit",
    )
    .bind(scope.to_string())
    .bind(was.day)
    .bind(was.day_start_profit.to_string())
    .bind(was.peak_profit.to_string())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Orders accepted since `from` that have ended, with whom they count for. Legs are not counted: nobody placed them.
pub(super) async fn ended_since(
    connection: &mut Connection,
    from: Timestamp,
) -> Result<Vec<(Scopes, Timestamp)>, StorageError> {
    let sql = "SELECT account_id, submitted_by, book_id, strategy, created_at, key_id FROM orders \
               WHERE created_at >= $1 AND is_open = 0 AND leg IS NULL AND origin = 'desk' ORDER BY created_at";
    let rows = query(sql).bind(micros(from)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let account: AccountId = StorageError::parse_column(row, 0, "account id")?;
            let key: Option<String> = row.try_get(5)?;
            let key = key.map(|key| StorageError::parse("key id", &key)).transpose()?;
            let author = Author { submitted_by: row.try_get(1)?, key };
            let book: Option<String> = row.try_get(2)?;
            let strategy: Option<String> = row.try_get(3)?;
            let book = book.map(|book| StorageError::parse("book id", &book).map(Scope::Book)).transpose()?;
            let others = book.into_iter().chain(author.scopes()).chain(strategy.map(Scope::Strategy));
            Ok((Scopes::new(account, others), from_micros(row.try_get(4)?)))
        })
        .collect()
}
