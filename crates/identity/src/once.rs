//! A write that is repeated with the same `Idempotency-Key` is done once.
//!
//! Used inside the write job itself, so that of two requests at once one is the first. Answers are kept in the
//! database in plain: put ids in them, never a secret.

use std::time::Duration;

use domain::{Context, Timestamp, micros};
use serde_json::Value;
use storage::{RowExt as _, StorageError, Tx, query};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A request that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// What the client sent as `Idempotency-Key`.
    pub key: String,
    /// SHA-256, in hexadecimal, of method, path and body: another request must not use the same key.
    pub fingerprint: String,
}

/// Whether the request was there before.
#[derive(Clone, Debug, PartialEq)]
pub enum Recall {
    /// No: do it, then [`remember`].
    New,
    /// Yes, and this was the answer.
    Same(Value),
    /// The key was used for another request.
    Different,
}

/// Looks a request of the caller's up.
///
/// # Errors
/// The database failed.
pub async fn recall(tx: &mut Tx, ctx: &Context, once: &Once) -> Result<Recall, StorageError> {
    let sql = "SELECT fingerprint, answer FROM idempotency_keys WHERE principal = $1 AND key = $2 AND created_at > $3";
    let row = query(sql)
        .bind(principal(ctx))
        .bind(&once.key)
        .bind(micros(forgotten_at(ctx.at)))
        .fetch_optional(tx.sql())
        .await?;
    let Some(row) = row else { return Ok(Recall::New) };
    let (fingerprint, answer): (String, String) = (row.try_get("fingerprint")?, row.try_get("answer")?);
    if fingerprint != once.fingerprint {
        return Ok(Recall::Different);
    }
    Ok(Recall::Same(StorageError::parse("idempotency_keys.answer", &answer)?))
}

/// Keeps the answer to a request for a day.
///
/// # Errors
/// The database failed.
pub async fn remember(tx: &mut Tx, ctx: &Context, once: &Once, answer: &Value) -> Result<(), StorageError> {
    let sql = "INSERT INTO idempotency_keys (principal, key, fingerprint, answer, created_at) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (principal, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
               answer = excluded.answer, created_at = excluded.created_at";
    query(sql)
        .bind(principal(ctx))
        .bind(&once.key)
        .bind(&once.fingerprint)
        .bind(answer.to_string())
        .bind(micros(ctx.at))
        .execute(tx.sql())
        .await?;
    // Whoever writes tidies up after themselves.
    query("DELETE FROM idempotency_keys WHERE principal = $1 AND created_at <= $2")
        .bind(principal(ctx))
        .bind(micros(forgotten_at(ctx.at)))
        .execute(tx.sql())
        .await?;
    Ok(())
}

fn forgotten_at(now: Timestamp) -> Timestamp {
    now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)
}

fn principal(ctx: &Context) -> String {
    format!("{}/{}", ctx.principal.kind, ctx.principal.id.as_deref().unwrap_or(""))
}
