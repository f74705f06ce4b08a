//! The SQL of `api_endpoints`.

use std::num::NonZeroU32;

use domain::{from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, Tx, query};

use super::Setting;

pub(super) async fn all(connection: &mut Connection) -> Result<Vec<(String, Setting)>, StorageError> {
    let sql = "SELECT id, is_on, per_minute, reason, changed_by, changed_at FROM api_endpoints";
    let rows = query(sql).fetch_all(connection).await?;
    let read = |row: &storage::Row| {
        let per_minute: Option<i64> = row.try_get("per_minute")?;
        let setting = Setting {
            is_on: row.try_get::<i64, _>("is_on")? != 0,
            per_minute: per_minute.and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new),
            reason: row.try_get("reason")?,
            changed_by: row.try_get("changed_by")?,
            changed_at: from_micros(row.try_get("changed_at")?),
        };
        Ok((row.try_get("id")?, setting))
    };
    rows.iter().map(read).collect()
}

pub(super) async fn set(tx: &mut Tx, id: &str, setting: &Setting) -> Result<(), StorageError> {
    let sql = "INSERT INTO api_endpoints (id, is_on, per_minute, reason, changed_by, changed_at) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (id) DO UPDATE SET is_on = excluded.is_on, per_minute = excluded.per_minute, \
               reason = excluded.reason, changed_by = excluded.changed_by, changed_at = excluded.changed_at";
    query(sql)
        .bind(id)
        .bind(i64::from(setting.is_on))
        .bind(setting.per_minute.map(|n| i64::from(n.get())))
        .bind(&setting.reason)
        .bind(&setting.changed_by)
        .bind(micros(setting.changed_at))
        .execute(tx.sql())
        .await?;
    Ok(())
}
