//! Reading the log: by people, filtered and searched, newest first.

use domain::{Context, Permission, Resource, Timestamp, from_micros, micros};
use storage::{Connection, Database, RowExt as _, StorageError, query};

use crate::{AuditError, store};

/// Which rows to list; all of the given conditions together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text that stands in the act, the resource, the actor, the request, the address or the detail; case does not
    /// matter.
    pub search: Option<String>,
    /// The actor's id, kind or user name, exactly.
    pub actor: Option<String>,
    /// An act (`order.accepted`), or the noun of several (`order`).
    pub act: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number: 1, 2, ... without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What sort of actor: `user`, `operator`, `system`, `anonymous`.
    pub actor_kind: String,
    /// Which one.
    pub actor_id: Option<String>,
    /// The user's name, as it is today.
    pub actor_name: Option<String>,
    /// What was done.
    pub act: String,
    /// To what, as `order/0192…`.
    pub resource: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// Where the request came from.
    pub address: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The rest, by act.
    pub detail: serde_json::Value,
    /// The row's hash, in hexadecimal.
    pub hash: String,
}

/// The most rows that one call returns.
const MOST: u32 = 1000;

/// Lists rows before the number `before` (all of them when `None`), newest first, at most `limit` and never over 1000.
///
/// # Errors
/// The caller may not read the log, or the database failed.
pub async fn list(
    ctx: &Context,
    db: &Database,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Record>, AuditError> {
    ctx.require(Permission::AuditView, Resource::Desk)?;
    Ok(select(&mut *db.read().await?, filter, before.unwrap_or(i64::MAX), limit.min(MOST)).await?)
}

async fn select(
    connection: &mut Connection,
    filter: &Filter,
    before: i64,
    limit: u32,
) -> Result<Vec<Record>, StorageError> {
    let sql = "SELECT a.seq, a.at, a.actor_kind, a.actor_id, a.act, a.resource, a.outcome, a.address, a.request_id, \
                      a.detail, a.hash, u.display_name AS actor_name \
               FROM audit_log a LEFT JOIN users u ON u.id = a.actor_id \
               WHERE a.seq < $1 AND a.at >= $2 AND a.at < $3 \
                 AND ($4 IS NULL OR a.act = $4 OR a.act LIKE $5 ESCAPE '!') \
                 AND ($6 IS NULL OR a.actor_id = $6 OR a.actor_kind = $6 OR u.username = $6) \
                 AND ($7 IS NULL OR LOWER(a.act) LIKE $7 ESCAPE '!' OR LOWER(a.resource) LIKE $7 ESCAPE '!' \
                      OR LOWER(a.actor_id) LIKE $7 ESCAPE '!' OR LOWER(u.display_name) LIKE $7 ESCAPE '!' \
                      OR LOWER(u.username) LIKE $7 ESCAPE '!' OR LOWER(a.request_id) LIKE $7 ESCAPE '!' \
                      OR a.address LIKE $7 ESCAPE '!' OR LOWER(a.detail) LIKE $7 ESCAPE '!' OR a.outcome LIKE $7 ESCAPE '!') \
               ORDER BY a.seq DESC LIMIT $8";
    let rows = query(sql)
        .bind(before)
        .bind(filter.from.map_or(i64::MIN, micros))
        .bind(filter.to.map_or(i64::MAX, micros))
        .bind(filter.act.as_deref())
        .bind(filter.act.as_deref().map(|act| format!("{}.%", literal(act))))
        .bind(filter.actor.as_deref())
        .bind(filter.search.as_deref().map(|text| format!("%{}%", literal(&text.trim().to_lowercase()))))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(record).collect()
}

/// A text as a LIKE pattern that matches it alone: `%` and `_` mean themselves.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn record(row: &storage::Row) -> Result<Record, StorageError> {
    let actor_name = row.try_get("actor_name")?;
    let (row, hash) = store::row(row)?;
    Ok(Record {
        seq: row.seq,
        at: from_micros(row.at),
        actor_kind: row.actor_kind,
        actor_id: row.actor_id,
        actor_name,
        act: row.act,
        resource: row.resource,
        outcome: row.outcome,
        address: row.address,
        request_id: row.request_id,
        // A detail that somebody broke is shown as the text that it is; `verify` tells that it was altered.
        detail: serde_json::from_str(&row.detail).unwrap_or(serde_json::Value::String(row.detail)),
        hash,
    })
}
