//! What became of a COMMIT whose answer was lost on the way from a server.
//!
//! Each transaction numbers itself in a row of its writer. Whoever was not answered asks for that row on another connection,
//! once the transaction has come to its end in any case: it held the writers' lock.

use sqlx::{AnyConnection, Executor as _};
use uuid::Uuid;

use crate::StorageError;

/// Begins a transaction, and keeps every other process from writing until its end: the audit log has one appender.
pub(crate) const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7301893)";

/// The number of a writer's latest transaction.
pub(crate) struct Mark {
    writer: String,
    nth: i64,
}

impl Mark {
    pub(crate) fn new() -> Self {
        Self { writer: Uuid::new_v4().to_string(), nth: 0 }
    }

    /// Numbers the transaction that is to be committed next.
    pub(crate) async fn leave(&mut self, connection: &mut AnyConnection) -> Result<(), StorageError> {
        self.nth += 1;
        let sql = "INSERT INTO commit_marks (writer, nth) VALUES ($1, $2) \
                   ON CONFLICT (writer) DO UPDATE SET nth = excluded.nth";
        sqlx::query(sql).bind(&self.writer).bind(self.nth).execute(connection).await?;
        Ok(())
    }

    /// Whether the latest transaction took place, asked on a connection of its own.
    pub(crate) async fn is_there(&self, connection: &mut AnyConnection) -> Result<bool, StorageError> {
        connection.execute(BEGIN).await?;
        let nth: Option<i64> = sqlx::query_scalar("SELECT nth FROM commit_marks WHERE writer = $1")
            .bind(&self.writer)
            .fetch_optional(&mut *connection)
            .await?;
        connection.execute("COMMIT").await?;
        Ok(nth == Some(self.nth))
    }

    /// Takes the row away: nobody will ask for it any more.
    pub(crate) async fn forget(&self, connection: &mut AnyConnection) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM commit_marks WHERE writer = $1")
            .bind(&self.writer)
            .execute(connection)
            .await?;
        Ok(())
    }
}
