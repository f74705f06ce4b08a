//! The SQL of `approvals`.

use domain::{AccountId, OrderRequest, Timestamp, from_micros, micros};
use serde::{Deserialize, Serialize};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query};

use super::{Approval, ApprovalId, ApprovalStatus, Asked};
use crate::risk::LimitKind;
use crate::scope::Scope;

const COLUMNS: &str = "id, account_id, asked_by, asked_at, expires_at, request, why, status, decided_by, \
                       decided_at, note, result, key_id";

/// What is asked for, as the column `request` has it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Request {
    Order { account: AccountId, request: Box<OrderRequest> },
    Limit { scope: Scope, limit: LimitKind, before: Option<String>, after: Option<String> },
}

pub(super) async fn insert(tx: &mut Tx, approval: &Approval) -> Result<(), StorageError> {
    let (kind, account, name, request) = match &approval.what {
        Asked::Order { account, request } => (
            "order",
            Some(account.to_string()),
            Some(request.client_order_id.clone()),
            Request::Order { account: *account, request: request.clone() },
        ),
        Asked::Limit { scope, kind, before, after } => (
            "limit",
            None,
            None,
            Request::Limit {
                scope: scope.clone(),
                limit: *kind,
                before: before.clone(),
                after: after.clone(),
            },
        ),
    };
    let request = serde_json::to_string(&request)
        .map_err(|e| StorageError::Unreadable { what: "approval", why: e.to_string() })?;
    query(
        "INSERT INTO approvals (id, kind, account_id, client_order_id, asked_by, asked_at, expires_at, request, why, \
         status, key_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(approval.id.to_string())
    .bind(kind)
    .bind(account)
    .bind(name)
    .bind(approval.asked_by.as_str())
    .bind(micros(approval.asked_at))
    .bind(micros(approval.expires_at))
    .bind(request)
    .bind(approval.why.as_str())
    .bind(approval.status.as_str())
    .bind(approval.key.map(|key| key.to_string()))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// An approval that was asked for an order of this name and is not over: it waits, or what came of it is not known yet.
pub(super) async fn of_order(
    tx: &mut Tx,
    account: AccountId,
    client_order_id: &str,
) -> Result<Option<Approval>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE account_id = $1 AND client_order_id = $2 \
         AND (status = 'waiting' OR (status = 'approved' AND result IS NULL))"
    );
    let row = query(sqlx::AssertSqlSafe(sql))
        .bind(account.to_string())
        .bind(client_order_id)
        .fetch_optional(tx.sql())
        .await?;
    row.as_ref().map(read).transpose()
}

/// Ends the waiting, if it waits; else nothing is changed and `false` returned. Of several at the same moment one is
/// first.
pub(super) async fn decide(tx: &mut Tx, approval: &Approval) -> Result<bool, StorageError> {
    let done = query(
        "UPDATE approvals SET status = $2, decided_by = $3, decided_at = $4, note = $5 \
         WHERE id = $1 AND status = 'waiting'",
    )
    .bind(approval.id.to_string())
    .bind(approval.status.as_str())
    .bind(approval.decided_by.as_deref())
    .bind(approval.decided_at.map(micros))
    .bind(approval.note.as_deref())
    .execute(tx.sql())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps what came of it.
pub(super) async fn finish(tx: &mut Tx, id: ApprovalId, result: &str) -> Result<(), StorageError> {
    query("UPDATE approvals SET result = $2 WHERE id = $1 AND result IS NULL")
        .bind(id.to_string())
        .bind(result)
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn load(
    connection: &mut Connection,
    id: ApprovalId,
) -> Result<Option<Approval>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = $1");
    let row = query(sqlx::AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The newest before one of them, newest first; all of one status where it is given.
pub(super) async fn list(
    connection: &mut Connection,
    status: Option<ApprovalStatus>,
    before: Option<(Timestamp, ApprovalId)>,
    limit: usize,
) -> Result<Vec<Approval>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals WHERE ($1 = '' OR status = $1) \
         AND (asked_at < $2 OR (asked_at = $2 AND id < $3)) ORDER BY asked_at DESC, id DESC LIMIT $4"
    );
    let (at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| (micros(at), id.to_string()));
    let rows = query(sqlx::AssertSqlSafe(sql))
        .bind(status.map_or("", ApprovalStatus::as_str))
        .bind(at)
        .bind(id)
        .bind(limit.cast_signed() as i64)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Those that waited too long.
pub(super) async fn overdue(
    connection: &mut Connection,
    now: Timestamp,
) -> Result<Vec<Approval>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE status = 'waiting' AND expires_at <= $1");
    let rows = query(sqlx::AssertSqlSafe(sql)).bind(micros(now)).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Those that were agreed to, and of which nothing came yet.
pub(super) async fn unfinished(connection: &mut Connection) -> Result<Vec<Approval>, StorageError> {
    let sql =
        format!("SELECT {COLUMNS} FROM approvals WHERE status = 'approved' AND result IS NULL ORDER BY id");
    let rows = query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Approval, StorageError> {
    let request: String = row.try_get(5)?;
    let request: Request = serde_json::from_str(&request)
        .map_err(|e| StorageError::Unreadable { what: "approval", why: e.to_string() })?;
    Ok(Approval {
        id: StorageError::parse_column(row, 0, "approval id")?,
        what: match request {
            Request::Order { account, request } => Asked::Order { account, request },
            Request::Limit { scope, limit, before, after } => {
                Asked::Limit { scope, kind: limit, before, after }
            }
        },
        asked_by: row.try_get(2)?,
        key: row
            .try_get::<Option<String>, _>(12)?
            .map(|key| StorageError::parse("key id", &key))
            .transpose()?,
        asked_at: from_micros(row.try_get(3)?),
        expires_at: from_micros(row.try_get(4)?),
        why: row.try_get(6)?,
        status: StorageError::parse_column(row, 7, "approval status")?,
        decided_by: row.try_get(8)?,
        decided_at: row.try_get::<Option<i64>, _>(9)?.map(from_micros),
        note: row.try_get(10)?,
        result: row.try_get(11)?,
    })
}
