//! What can go wrong with reading or checking the log. A log that was altered is no error but a finding.

use std::io;
use std::path::PathBuf;

use domain::Denied;
use storage::StorageError;

/// The log could not be read or checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Whoever asked may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file of anchors could not be read or written.
    #[error("the file of anchors {} failed: {source}", path.display())]
    Anchors {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The export could not be read or written.
    #[error("the export failed: {0}")]
    Export(#[from] io::Error),
    /// A line of the export is not one that we write.
    #[error("line {line} of the export is unreadable")]
    Malformed {
        /// Counted from 1.
        line: u64,
    },
    /// The check was abandoned: the desk is shutting down.
    #[error("the check was abandoned")]
    Abandoned,
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}
