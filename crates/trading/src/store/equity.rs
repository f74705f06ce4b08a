//! The SQL of what accounts and books were worth.

use std::collections::BTreeMap;

use domain::{AccountId, BookId, Timestamp, from_micros, micros};
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query};

use crate::portfolio::{EquityPoint, Every};

/// An account, or one of its books.
pub(crate) type Series = (AccountId, Option<BookId>);

const COLUMNS: &str = "at, equity, cash, realised, unrealised, flows";

/// The whole account has no id of a book.
fn book_text(series: Series) -> String {
    series.1.map_or(String::new(), |book| book.to_string())
}

/// Writes points; those that are there stay as they are.
pub(crate) async fn insert_equity(
    tx: &mut Tx,
    rows: &[(Series, Every, EquityPoint)],
) -> Result<(), StorageError> {
    for (series, every, point) in rows {
        query(
            "INSERT INTO equity (account_id, book_id, every, at, equity, cash, realised, unrealised, flows) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(series.0.to_string())
        .bind(book_text(*series))
        .bind(every.as_str())
        .bind(micros(point.at))
        .bind(point.equity.to_string())
        .bind(point.cash.to_string())
        .bind(point.realised.to_string())
        .bind(point.unrealised.to_string())
        .bind(point.flows.to_string())
        .execute(tx.sql())
        .await?;
    }
    Ok(())
}

/// Deletes points that are older than they are kept.
pub(crate) async fn expire_equity(tx: &mut Tx, now: Timestamp) -> Result<(), StorageError> {
    for every in Every::ALL {
        let Some(kept) = every.kept() else { continue };
        query("DELETE FROM equity WHERE every = $1 AND at < $2")
            .bind(every.as_str())
            .bind(micros(now - kept))
            .execute(tx.sql())
            .await?;
    }
    Ok(())
}

/// Points from one moment to another, both with, oldest first.
pub(crate) async fn equity(
    connection: &mut Connection,
    series: Series,
    every: Every,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<EquityPoint>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM equity WHERE account_id = $1 AND book_id = $2 AND every = $3 AND at >= $4 AND at <= $5 \
         ORDER BY at"
    );
    let rows = query(sqlx::AssertSqlSafe(sql))
        .bind(series.0.to_string())
        .bind(book_text(series))
        .bind(every.as_str())
        .bind(micros(from))
        .bind(micros(to))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Points since a moment, oldest first: with the last one up to it, where there is one.
pub(crate) async fn equity_since(
    connection: &mut Connection,
    series: Series,
    every: Every,
    since: Timestamp,
) -> Result<Vec<EquityPoint>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM equity WHERE account_id = $1 AND book_id = $2 AND every = $3 AND at <= $4 \
         ORDER BY at DESC LIMIT 1"
    );
    let base = query(sqlx::AssertSqlSafe(sql))
        .bind(series.0.to_string())
        .bind(book_text(series))
        .bind(every.as_str())
        .bind(micros(since))
        .fetch_optional(&mut *connection)
        .await?;
    let base = base.as_ref().map(read).transpose()?;
    let from = base.map_or(since, |base| base.at);
    equity(connection, series, every, from, Timestamp::MAX).await
}

/// The newest point of an account or a book.
pub(crate) async fn newest_equity(
    connection: &mut Connection,
    series: Series,
) -> Result<Option<EquityPoint>, StorageError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM equity WHERE account_id = $1 AND book_id = $2 AND every = '1m' ORDER BY at DESC LIMIT 1"
    );
    let row = query(sqlx::AssertSqlSafe(sql))
        .bind(series.0.to_string())
        .bind(book_text(series))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// The newest point of an account and of each of its books.
pub(crate) async fn newest_equities(
    connection: &mut Connection,
    account: AccountId,
) -> Result<BTreeMap<Series, EquityPoint>, StorageError> {
    let sql = "SELECT e.at, e.equity, e.cash, e.realised, e.unrealised, e.flows, e.book_id FROM equity e \
               JOIN (SELECT book_id, MAX(at) AS at FROM equity WHERE account_id = $1 AND every = '1m' \
               GROUP BY book_id) AS newest ON newest.book_id = e.book_id AND newest.at = e.at \
               WHERE e.account_id = $1 AND e.every = '1m'";
    let rows = query(sql).bind(account.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let book: String = row.try_get(6)?;
            let book = (!book.is_empty()).then(|| StorageError::parse("book id", &book)).transpose()?;
            Ok(((account, book), read(row)?))
        })
        .collect()
}

fn read(row: &Row) -> Result<EquityPoint, StorageError> {
    Ok(EquityPoint {
        at: from_micros(row.try_get(0)?),
        equity: StorageError::parse_column(row, 1, "equity")?,
        cash: StorageError::parse_column(row, 2, "cash")?,
        realised: StorageError::parse_column(row, 3, "profit")?,
        unrealised: StorageError::parse_column(row, 4, "profit")?,
        flows: StorageError::parse_column(row, 5, "flows")?,
    })
}
