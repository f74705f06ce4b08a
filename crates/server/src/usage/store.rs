//! The SQL of `api_usage`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::Timestamp;
use sqlx::AssertSqlSafe;
use storage::{Connection, Places, RowExt as _, StorageError, Tx, query};

use super::latency::{Latencies, STEPS};
use super::{Caller, Counts, Every, Row, Whose};

/// The columns that are added up.
static SUMMED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let counts = ["requests", "client_errors", "limited", "server_errors"].map(str::to_owned);
    counts.into_iter().chain((0..STEPS).map(|step| format!("t{step}"))).collect()
});

/// Adds rows to their minutes and hours.
pub(super) async fn add(tx: &mut Tx, rows: &[(Row, Counts)]) -> Result<(), StorageError> {
    let sums = SUMMED.iter().map(|one| format!("{one} = api_usage.{one} + excluded.{one}"));
    let sums = sums.collect::<Vec<_>>().join(", ");
    for every in [Every::Minute, Every::Hour] {
        for (row, counts) in rows {
            let places = Places::on(tx.sql()).rows(1, 6 + SUMMED.len());
            let sql = format!(
                "INSERT INTO api_usage (every, at, endpoint, user_id, key_id, last_at, {}) VALUES {places} \
                 ON CONFLICT (every, at, endpoint, user_id, key_id) DO UPDATE SET {sums}, \
                 last_at = CASE WHEN api_usage.last_at < excluded.last_at THEN excluded.last_at ELSE api_usage.last_at END",
                SUMMED.join(", "),
            );
            let mut insert = query(AssertSqlSafe(sql))
                .bind(every.as_str())
                .bind(every.start_of(row.minute))
                .bind(&row.endpoint)
                .bind(&row.caller.user)
                .bind(&row.caller.key)
                .bind(counts.last_at);
            let numbers = [counts.requests, counts.client_errors, counts.limited, counts.server_errors];
            for number in numbers.into_iter().chain(counts.latencies.0) {
                insert = insert.bind(i64::try_from(number).unwrap_or(i64::MAX));
            }
            insert.execute(tx.sql()).await?;
        }
    }
    Ok(())
}

/// Forgets what is too old.
pub(super) async fn forget(tx: &mut Tx, now: Timestamp) -> Result<(), StorageError> {
    for every in [Every::Minute, Every::Hour] {
        query("DELETE FROM api_usage WHERE every = $1 AND at < $2")
            .bind(every.as_str())
            .bind(every.kept_since(now))
            .execute(tx.sql())
            .await?;
    }
    Ok(())
}

pub(super) async fn by_endpoint(
    connection: &mut Connection,
    every: Every,
    since: i64,
    whose: &Whose,
) -> Result<BTreeMap<String, Counts>, StorageError> {
    let rows = summed(connection, "endpoint", every, since, whose).await?;
    rows.iter().map(|row| Ok((row.try_get("endpoint")?, counts(row)?))).collect()
}

pub(super) async fn by_caller(
    connection: &mut Connection,
    every: Every,
    since: i64,
    whose: &Whose,
) -> Result<BTreeMap<Caller, Counts>, StorageError> {
    let rows = summed(connection, "user_id, key_id", every, since, whose).await?;
    let caller = |row: &storage::Row| -> Result<Caller, StorageError> {
        Ok(Caller { user: row.try_get("user_id")?, key: row.try_get("key_id")? })
    };
    rows.iter().map(|row| Ok((caller(row)?, counts(row)?))).collect()
}

async fn summed(
    connection: &mut Connection,
    by: &str,
    every: Every,
    since: i64,
    whose: &Whose,
) -> Result<Vec<storage::Row>, StorageError> {
    // PostgreSQL adds up integers to a decimal.
    let sums = SUMMED.iter().map(|one| format!("CAST(SUM({one}) AS BIGINT) AS {one}"));
    let sums = sums.collect::<Vec<_>>().join(", ");
    let mut sql =
        format!("SELECT {by}, MAX(last_at) AS last_at, {sums} FROM api_usage WHERE every = $1 AND at >= $2");
    let mut wanted = vec![];
    for (column, id) in [("user_id", &whose.user), ("key_id", &whose.key)] {
        if let Some(id) = id {
            wanted.push(id);
            sql += &format!(" AND {column} = ${}", 2 + wanted.len());
        }
    }
    sql += &format!(" GROUP BY {by}");
    let mut select = query(AssertSqlSafe(sql)).bind(every.as_str()).bind(since);
    for id in wanted {
        select = select.bind(id);
    }
    Ok(select.fetch_all(connection).await?)
}

fn counts(row: &storage::Row) -> Result<Counts, StorageError> {
    let number = |column: &str| -> Result<u64, StorageError> {
        Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or_default())
    };
    let mut latencies = Latencies::default();
    for (step, count) in latencies.0.iter_mut().enumerate() {
        *count = number(&format!("t{step}"))?;
    }
    Ok(Counts {
        requests: number("requests")?,
        client_errors: number("client_errors")?,
        limited: number("limited")?,
        server_errors: number("server_errors")?,
        last_at: row.try_get("last_at")?,
        latencies,
    })
}
