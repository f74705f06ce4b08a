//! The SQL of `idempotency_keys` for writes that are done by a handler; acts that keep their answer themselves are in
//! `identity::once`.

use std::time::Duration;

use domain::{Timestamp, micros};
use storage::{RowExt as _, StorageError, Tx, query};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Most keys of one caller within that time.
pub(super) const MOST: i64 = 10_000;

/// One caller's name for a write.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub principal: String,
    pub key: String,
}

/// What became of a write under this name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet: it is ours to do, and noted as being done.
    New,
    /// It was done. The answer, where it is kept.
    Done { status: u16, answer: String },
    /// It is being done now.
    Running,
    /// A run of the desk ended in the middle of it.
    InDoubt,
    /// The name was used for something else.
    Different,
    /// The caller has used too many names.
    Full,
}

/// Looks a write up, and claims it where it is new.
pub(super) async fn claim(
    tx: &mut Tx,
    name: &Name,
    fingerprint: &str,
    run: &str,
    now: Timestamp,
) -> Result<Found, StorageError> {
    let forgotten_at = micros(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN));
    query("DELETE FROM idempotency_keys WHERE created_at <= $1").bind(forgotten_at).execute(tx.sql()).await?;
    let sql =
        "SELECT fingerprint, answer, status, run FROM idempotency_keys WHERE principal = $1 AND key = $2";
    let row = query(sql).bind(&name.principal).bind(&name.key).fetch_optional(tx.sql()).await?;
    if let Some(row) = row {
        if row.try_get::<String, _>("fingerprint")? != fingerprint {
            return Ok(Found::Different);
        }
        let (status, of): (Option<i64>, Option<String>) = (row.try_get("status")?, row.try_get("run")?);
        return Ok(match status.and_then(|status| u16::try_from(status).ok()) {
            Some(status) => Found::Done { status, answer: row.try_get("answer")? },
            None if of.as_deref() == Some(run) => Found::Running,
            None => Found::InDoubt,
        });
    }
    let sql = "SELECT COUNT(*) AS n FROM idempotency_keys WHERE principal = $1";
    let row = query(sql).bind(&name.principal).fetch_one(tx.sql()).await?;
    if row.try_get::<i64, _>("n")? >= MOST {
        return Ok(Found::Full);
    }
    let sql = "INSERT INTO idempotency_keys (principal, key, fingerprint, answer, created_at, run) \
               VALUES ($1, $2, $3, '', $4, $5)";
    query(sql)
        .bind(&name.principal)
        .bind(&name.key)
        .bind(fingerprint)
        .bind(micros(now))
        .bind(run)
        .execute(tx.sql())
        .await?;
    Ok(Found::New)
}

/// Keeps the answer to a write that was done.
pub(super) async fn keep(tx: &mut Tx, name: &Name, status: u16, answer: &str) -> Result<(), StorageError> {
    let sql = "UPDATE idempotency_keys SET status = $3, answer = $4 WHERE principal = $1 AND key = $2";
    query(sql)
        .bind(&name.principal)
        .bind(&name.key)
        .bind(i64::from(status))
        .bind(answer)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Gives the name back: nothing was done under it.
pub(super) async fn release(tx: &mut Tx, name: &Name) -> Result<(), StorageError> {
    let sql = "DELETE FROM idempotency_keys WHERE principal = $1 AND key = $2";
    query(sql).bind(&name.principal).bind(&name.key).execute(tx.sql()).await?;
    Ok(())
}

/// Notes that nobody knows what became of a write.
pub(super) async fn doubt(tx: &mut Tx, name: &Name) -> Result<(), StorageError> {
    let sql = "UPDATE idempotency_keys SET run = '' WHERE principal = $1 AND key = $2";
    query(sql).bind(&name.principal).bind(&name.key).execute(tx.sql()).await?;
    Ok(())
}
