//! Appending: entries become rows, each bound to the one before.

use domain::AuditEntry;
use storage::{AuditChain, BoxFuture, Connection, StorageError};
use vault::{SigningKey, crypto};

use crate::row::{Head, Row, head_message};
use crate::store;

/// The one appender of the log. Give it to [`storage::Database::open`].
#[derive(Clone, Debug)]
pub struct Chain {
    key: SigningKey,
}

impl Chain {
    /// A chain whose heads are signed with `key`.
    pub fn new(key: SigningKey) -> Self {
        Self { key }
    }

    async fn append_to(
        &self,
        connection: &mut Connection,
        entries: &[AuditEntry],
    ) -> Result<(), StorageError> {
        // Read each time rather than remembered: the command line beside the running desk appends too.
        let (mut seq, mut hash) = store::end(connection).await?;
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            seq += 1;
            let row = Row::new(seq, entry);
            hash = row.hash(&hash);
            rows.push((row, hash));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let signature = crypto::base64(&self.key.sign(&head_message(seq, &hash)));
        store::insert(connection, &rows, &Head { seq, hash: crypto::hex(&hash), signature }).await
    }
}

impl AuditChain for Chain {
    fn append<'t>(
        &'t self,
        connection: &'t mut Connection,
        entries: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        Box::pin(self.append_to(connection, entries))
    }
}
