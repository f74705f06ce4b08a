//! The reference: the rows of an order in one SQLite connection with the desk's settings, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::desk::CLIENTS;

/// Letters of a simple order's request as JSON.
const REQUEST: usize = 180;

pub(crate) async fn connection(path: &Path) -> SqliteConnection {
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("a database");
    connection
        .execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;")
        .await
        .expect("settings");
    connection
        .execute(
            "CREATE TABLE orders (id TEXT PRIMARY KEY, account_id TEXT, client_order_id TEXT, symbol TEXT, side TEXT, \
             kind TEXT, time_in_force TEXT, quantity TEXT, limit_price TEXT, reserve_price TEXT, submitted_by TEXT, \
             created_at BIGINT, updated_at BIGINT, status TEXT, is_open BIGINT, attempts BIGINT, filled TEXT, \
             filled_notional TEXT, fees TEXT, version BIGINT, request TEXT, origin TEXT, book_id TEXT, parent_id TEXT, \
             leg TEXT, replaces TEXT, done_by_desk TEXT, strategy TEXT, UNIQUE (account_id, client_order_id)); \
             CREATE INDEX orders_open ON orders (account_id, is_open); \
             CREATE TABLE audit_log (seq BIGINT PRIMARY KEY, at BIGINT, actor_kind TEXT, actor_id TEXT, act TEXT, \
             resource TEXT, outcome TEXT, address TEXT, request_id TEXT, detail TEXT, hash TEXT); \
             CREATE INDEX audit_log_by_actor ON audit_log (actor_id, seq); \
             CREATE INDEX audit_log_by_act ON audit_log (act, seq);",
        )
        .await
        .expect("tables");
    connection
}

/// Inserts the rows of `count` orders, as many clients' worth in each transaction.
pub(crate) async fn groups(connection: &mut SqliteConnection, count: usize, next: &mut i64) -> Duration {
    let (detail, request) = ("x".repeat(430), "x".repeat(REQUEST));
    let uuid = "0199f3b2-7c1e-7d7a-9a55-3f0c5e1d2b4a";
    let begun = Instant::now();
    let mut left = count;
    while left > 0 {
        let group = left.min(CLIENTS);
        left -= group;
        connection.execute("BEGIN IMMEDIATE").await.expect("a transaction");
        for _ in 0..group {
            *next += 1;
            sqlx::query(
                "INSERT INTO orders VALUES ($1, $2, $3, 'BTC-USD', 'buy', 'limit', 'gtc', '0.001', '90', '90.09', $2, $4, \
                 $4, 'accepted', 1, 0, '0', '0', '0', 0, $5, 'desk', NULL, NULL, NULL, NULL, '', NULL)",
            )
            .bind(format!("{uuid}-{next}"))
            .bind(uuid)
            .bind(format!("bench-{next}"))
            .bind(1_763_726_400_000_000_i64)
            .bind(request.as_str())
            .execute(&mut *connection)
            .await
            .expect("a row");
            sqlx::query(
                "INSERT INTO audit_log VALUES ($1, $2, 'user', $3, 'order.accepted', $4, 'done', NULL, $3, $5, $6)",
            )
            .bind(*next)
            .bind(1_763_726_400_000_000_i64)
            .bind(uuid)
            .bind(format!("order/{uuid}"))
            .bind(detail.as_str())
            .bind("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00")
            .execute(&mut *connection)
            .await
            .expect("a row");
        }
        connection.execute("COMMIT").await.expect("a commit");
    }
    begun.elapsed()
}
