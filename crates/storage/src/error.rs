//! What can go wrong with storage.

use sqlx::Row as _;

use crate::Row;

/// The database could not do what was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The database refused or failed: disk full, read-only, locked, connection lost.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The group that the job was in could not be committed.
    #[error("the write was not committed: {0}")]
    NotCommitted(String),
    /// The disk did not confirm a write, or the desk ended before a server said what became of one. What is there is not
    /// certain any more, so nothing is written until a restart.
    #[error("an earlier write was not confirmed; nothing is written until the desk is restarted")]
    Distrusted,
    /// The server that answers now does not have what was committed before, as a standby that was behind when it took over.
    /// What it is told would go on from an older state, so nothing is written until a restart.
    #[error(
        "the database lacks what was committed before, as a standby that was behind; nothing is written until the desk \
         is restarted"
    )]
    WentBack,
    /// More writes are waiting than are allowed to.
    #[error("too many writes are waiting")]
    Busy,
    /// The disk is full: what space was held back is for what takes risk away.
    #[error("the disk is full; until there is space again, only what takes risk away is written")]
    ShortOfSpace,
    /// The desk is shutting down, or the job crashed.
    #[error("the write was abandoned")]
    Abandoned,
    /// A stored value cannot be read: a bug, or somebody edited the database.
    #[error("stored {what} is unreadable: {why}")]
    Unreadable {
        /// Which column.
        what: &'static str,
        /// Why it cannot be read.
        why: String,
    },
    /// The address of the database is of neither kind.
    #[error("a database is sqlite:PATH or postgres://..., not {0:?}")]
    Address(String),
}

impl StorageError {
    /// Whether a row with the same key was there already.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(e)) if e.is_unique_violation())
    }

    /// Reads a stored text as what it stands for.
    ///
    /// # Errors
    /// The text is not of that form.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        what: &'static str,
        text: &str,
    ) -> Result<T, Self> {
        text.parse().map_err(|e: T::Err| Self::Unreadable { what, why: e.to_string() })
    }

    /// Reads a text column as what it stands for.
    ///
    /// # Errors
    /// The column is not text, or the text is not of that form.
    pub fn parse_column<T: std::str::FromStr<Err: std::fmt::Display>>(
        row: &Row,
        column: usize,
        what: &'static str,
    ) -> Result<T, Self> {
        let text: String = row.try_get(column)?;
        Self::parse(what, &text)
    }
}
