//! The SQL of `audit_log` and `audit_heads`.

use sqlx::AssertSqlSafe;
use storage::{Connection, Places, RowExt as _, StorageError, padded, query};
use vault::crypto;

use crate::row::{BEFORE_ALL, Hash, Head, Row};

/// Most rows in one INSERT.
const AT_ONCE: usize = 256;

/// Where the log ends: number and hash of its last row, 0 and zeros when it is empty.
pub(crate) async fn end(connection: &mut Connection) -> Result<(i64, Hash), StorageError> {
    let sql = "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1";
    let Some(row) = query(sql).fetch_optional(connection).await? else { return Ok((0, BEFORE_ALL)) };
    let text: String = row.try_get("hash")?;
    let hash = crypto::hash_from_hex(&text).ok_or_else(|| StorageError::Unreadable {
        what: "audit_log.hash",
        why: "the last row of the audit log has no hash; run `stockade audit verify`".to_owned(),
    })?;
    Ok((row.try_get("seq")?, hash))
}

/// The hash of a row, as stored; `None`: there is no such row.
pub(crate) async fn hash_of(connection: &mut Connection, seq: i64) -> Result<Option<String>, StorageError> {
    let sql = "SELECT hash FROM audit_log WHERE seq = $1";
    let row = query(sql).bind(seq).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get("hash")).transpose()?)
}

/// Inserts rows and the head after them.
pub(crate) async fn insert(
    connection: &mut Connection,
    rows: &[(Row, Hash)],
    head: &Head,
) -> Result<(), StorageError> {
    // SQLite takes several statements at once, which saves ways to its thread and back.
    let together = connection.backend_name() == "SQLite";
    let last = rows.len().div_ceil(AT_ONCE);
    for (nth, rows) in (1..).zip(rows.chunks(AT_ONCE)) {
        let with_head = together && nth == last;
        let rows = padded(rows);
        let mut places = Places::on(connection);
        let mut sql = format!(
            "{ROWS} SELECT v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, \
             v.column10, v.column11, v.column12 FROM (VALUES {}) AS v WHERE v.column1 = 1",
            places.rows(rows.len(), 12)
        );
        if with_head {
            sql += &format!("; {HEAD} VALUES {}", places.rows(1, 3));
        }
        let mut insert = query(AssertSqlSafe(sql));
        for (taken, (row, hash)) in rows {
            insert = insert
                .bind(taken)
                .bind(row.seq)
                .bind(row.at)
                .bind(&row.actor_kind)
                .bind(&row.actor_id)
                .bind(&row.act)
                .bind(&row.resource)
                .bind(&row.outcome)
                .bind(&row.address)
                .bind(&row.request_id)
                .bind(&row.detail)
                .bind(crypto::hex(hash));
        }
        if with_head {
            insert = insert.bind(head.seq).bind(&head.hash).bind(&head.signature);
        }
        insert.execute(&mut *connection).await?;
    }
    if !together {
        let sql = format!("{HEAD} VALUES ($1, $2, $3)");
        query(AssertSqlSafe(sql))
            .bind(head.seq)
            .bind(&head.hash)
            .bind(&head.signature)
            .execute(connection)
            .await?;
    }
    Ok(())
}

const HEAD: &str = "INSERT INTO audit_heads (seq, hash, signature)";
const ROWS: &str = "INSERT INTO audit_log (seq, at, actor_kind, actor_id, act, resource, outcome, address, request_id, \
                    detail, hash)";

/// Numbers of the last row and of the last signed head, as of one moment; 0 when there is none.
pub(crate) async fn bounds(connection: &mut Connection) -> Result<(i64, i64), StorageError> {
    // SQLite takes a text for a number if somebody insists; texts are greater than all numbers, and do not count.
    let sql = "SELECT (SELECT COALESCE(MAX(seq), 0) FROM audit_log WHERE seq < 9223372036854775807) AS last_row, \
               (SELECT COALESCE(MAX(seq), 0) FROM audit_heads WHERE seq < 9223372036854775807) AS last_head";
    let row = query(sql).fetch_one(connection).await?;
    Ok((row.try_get("last_row")?, row.try_get("last_head")?))
}

/// The next `limit` rows after `after`, up to `last`, each with its hash as stored.
pub(crate) async fn rows(
    connection: &mut Connection,
    after: i64,
    last: i64,
    limit: i64,
) -> Result<Vec<(Row, String)>, sqlx::Error> {
    let sql = "SELECT seq, at, actor_kind, actor_id, act, resource, outcome, address, request_id, detail, hash \
               FROM audit_log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
    let rows = query(sql).bind(after).bind(last).bind(limit).fetch_all(connection).await?;
    rows.iter().map(row).collect()
}

pub(crate) fn row(row: &storage::Row) -> Result<(Row, String), sqlx::Error> {
    let read = Row {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        actor_kind: row.try_get("actor_kind")?,
        actor_id: row.try_get("actor_id")?,
        act: row.try_get("act")?,
        resource: row.try_get("resource")?,
        outcome: row.try_get("outcome")?,
        address: row.try_get("address")?,
        request_id: row.try_get("request_id")?,
        detail: row.try_get("detail")?,
    };
    Ok((read, row.try_get("hash")?))
}

/// Number of the next row after `after`, read without the rest of it.
pub(crate) async fn next_seq(connection: &mut Connection, after: i64) -> Result<Option<i64>, sqlx::Error> {
    let sql = "SELECT seq FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT 1";
    query(sql).bind(after).fetch_optional(connection).await?.map(|row| row.try_get("seq")).transpose()
}

/// The signed heads of the rows after `after` up to `last`.
pub(crate) async fn heads(
    connection: &mut Connection,
    after: i64,
    last: i64,
) -> Result<Vec<Head>, sqlx::Error> {
    let sql = "SELECT seq, hash, signature FROM audit_heads WHERE seq > $1 AND seq <= $2 ORDER BY seq";
    let rows = query(sql).bind(after).bind(last).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Head {
                seq: row.try_get("seq")?,
                hash: row.try_get("hash")?,
                signature: row.try_get("signature")?,
            })
        })
        .collect()
}
