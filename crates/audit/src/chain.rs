//! Appending: entries become rows, each bound to the one before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::AuditEntry;
use storage::{AuditChain, BoxFuture, Connection, StorageError};
use vault::{SigningKey, crypto};

use crate::row::{Hash, Head, Row, head_message};
use crate::store;

/// The one appender of the log. Give it to [`storage::Database::open`].
#[derive(Clone, Debug)]
pub struct Chain {
    key: SigningKey,
    ends: Arc<Mutex<Ends>>,
}

/// Where the log ended, by number and hash of its last row; `None` before this process appended anything.
#[derive(Debug, Default)]
struct Ends {
    appended: Option<(i64, Hash)>,
    committed: Option<(i64, Hash)>,
}

impl Chain {
    /// A chain whose heads are signed with `key`.
    pub fn new(key: SigningKey) -> Self {
        Self { key, ends: Arc::default() }
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
        store::insert(connection, &rows, &Head { seq, hash: crypto::hex(&hash), signature }).await?;
        self.ends().appended = Some((seq, hash));
        Ok(())
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn committed(&self) {
        let mut ends = self.ends();
        ends.committed = ends.appended.take().or(ends.committed);
    }

    fn is_there<'t>(&'t self, connection: &'t mut Connection) -> BoxFuture<'t, Result<bool, StorageError>> {
        Box::pin(async move {
            let Some((seq, hash)) = self.ends().committed else { return Ok(true) };
            Ok(store::hash_of(connection, seq).await?.as_deref() == Some(&crypto::hex(&hash)))
        })
    }
}
