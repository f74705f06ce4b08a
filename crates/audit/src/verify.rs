//! Checking the log in the database, while the desk goes on writing it.

use storage::Database;
use vault::PublicKey;

use crate::anchors::{Anchors, blocking};
use crate::check::{Check, Report};
use crate::{AuditError, store};

const PAGE: i64 = 1000;

/// Checks every row, signed head and anchor, and tells the first that is wrong.
///
/// The log is checked as it was when the check began. There is no long transaction: rows do not change, so those up
/// to a number are the same whenever they are read, and the desk's writes are not held up.
///
/// # Errors
/// The database or the file of anchors cannot be read. That the log was altered is not an error but in the report.
pub async fn verify(db: &Database, key: &PublicKey, anchors: &Anchors) -> Result<Report, AuditError> {
    let (key, anchors) = (*key, anchors.clone());
    let mut check = blocking(move || Check::new(key, &anchors)).await?;
    let mut connection = db.read().await?;
    let (last_row, last_head) = store::bounds(&mut connection).await?;
    // Below every number, so that a row with a number that no row can have is seen too.
    let mut after = i64::MIN;
    let mut limit = PAGE;
    loop {
        let rows = match store::rows(&mut connection, after, last_row, limit).await {
            Ok(rows) => rows,
            // Somebody put something into a column that is not even text: find out where.
            Err(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) if 1 < limit => {
                limit = (limit / 10).max(1);
                continue;
            }
            Err(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                let seq = store::next_seq(&mut connection, after).await.unwrap_or(None);
                check.unreadable(seq)?;
                break;
            }
            Err(e) => return Err(e.into()),
        };
        let Some(last) = rows.last().map(|(row, _)| row.seq) else { break };
        let heads = store::heads(&mut connection, after, last).await?;
        let good;
        // Signatures take their time; the desk's other tasks must not wait for them.
        (check, good) = blocking(move || check.take(&rows, &heads).map(|good| (check, good))).await?;
        if !good {
            break;
        }
        after = last;
    }
    blocking(move || check.finish(last_head)).await
}
