//! Bars in the database: one row per symbol, length and window.

use std::time::Duration;

use domain::{Bar, Every, Symbol, Timestamp, from_micros, micros};
use storage::{Database, Row, RowExt as _, StorageError, query};

/// How long bars are kept. A second is of interest for the day, a minute for the year.
const KEPT: [(Every, Duration); 2] = [
    (Every::Second, Duration::from_secs(2 * 24 * 3_600)),
    (Every::Minute, Duration::from_secs(400 * 24 * 3_600)),
];

/// Writes bars in one transaction; a bar that is there is replaced.
pub(crate) async fn upsert(database: &Database, bars: Vec<(Symbol, Every, Bar)>) -> Result<(), StorageError> {
    database
        .write(move |tx| {
            Box::pin(async move {
                for (symbol, every, bar) in &bars {
                    query(
                        "INSERT INTO bars (symbol, every, start_at, open, high, low, close, volume, notional, trades, \
                         buy_volume, sell_volume, buy_trades, sell_trades) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                         ON CONFLICT (symbol, every, start_at) DO UPDATE SET open = excluded.open, \
                         high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume, \
                         notional = excluded.notional, trades = excluded.trades, \
                         buy_volume = excluded.buy_volume, sell_volume = excluded.sell_volume, \
                         buy_trades = excluded.buy_trades, sell_trades = excluded.sell_trades",
                    )
                    .bind(symbol.as_str())
                    .bind(every.as_str())
                    .bind(micros(bar.start_at))
                    .bind(bar.open.to_string())
                    .bind(bar.high.to_string())
                    .bind(bar.low.to_string())
                    .bind(bar.close.to_string())
                    .bind(bar.volume.to_string())
                    .bind(bar.notional.to_string())
                    .bind(count(bar.trades))
                    .bind(bar.buy_volume.to_string())
                    .bind(bar.sell_volume.to_string())
                    .bind(count(bar.buy_trades))
                    .bind(count(bar.sell_trades))
                    .execute(tx.sql())
                    .await?;
                }
                Ok(())
            })
        })
        .await
}

/// The last `limit` bars that start before `before`, oldest first.
pub(crate) async fn load(
    database: &Database,
    symbol: &Symbol,
    every: Every,
    before: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<Bar>, StorageError> {
    let mut connection = database.read().await?;
    let rows = query(
        "SELECT start_at, open, high, low, close, volume, notional, trades, buy_volume, sell_volume, buy_trades, \
         sell_trades FROM bars WHERE symbol = $1 AND every = $2 AND start_at < $3 ORDER BY start_at DESC LIMIT $4",
    )
    .bind(symbol.as_str())
    .bind(every.as_str())
    .bind(before.map_or(i64::MAX, micros))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().rev().map(bar).collect()
}

/// Removes bars that are older than they are kept.
pub(crate) async fn prune(database: &Database, now: Timestamp) -> Result<(), StorageError> {
    database
        .write(move |tx| {
            Box::pin(async move {
                for (every, kept) in KEPT {
                    query("DELETE FROM bars WHERE every = $1 AND start_at < $2")
                        .bind(every.as_str())
                        .bind(micros(now - kept))
                        .execute(tx.sql())
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

fn bar(row: &Row) -> Result<Bar, StorageError> {
    Ok(Bar {
        start_at: from_micros(row.try_get("start_at")?),
        open: decimal(row, "open")?,
        high: decimal(row, "high")?,
        low: decimal(row, "low")?,
        close: decimal(row, "close")?,
        volume: decimal(row, "volume")?,
        notional: decimal(row, "notional")?,
        trades: row.try_get::<i64, _>("trades")?.unsigned_abs(),
        buy_volume: decimal(row, "buy_volume")?,
        sell_volume: decimal(row, "sell_volume")?,
        buy_trades: row.try_get::<i64, _>("buy_trades")?.unsigned_abs(),
        sell_trades: row.try_get::<i64, _>("sell_trades")?.unsigned_abs(),
    })
}

fn decimal<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: &'static str,
) -> Result<T, StorageError> {
    StorageError::parse(column, row.try_get::<String, _>(column)?.as_str())
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
