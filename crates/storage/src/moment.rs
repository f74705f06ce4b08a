//! Whether anything was committed since: for whoever keeps what was read, and may believe it only as long as it is true.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _, query_scalar};
use tokio::sync::Mutex;

use crate::StorageError;

/// A moment of a database. Between two that are equal nothing was committed, by this process or by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Numbers mean nothing beyond the connection that they were read on.
    connection: u64,
    number: i64,
}

/// Asks SQLite for the moment, on a connection that never writes.
pub(crate) struct Moments {
    options: AnyConnectOptions,
    /// Looks that were begun.
    begun: AtomicU64,
    last: Mutex<Last>,
}

/// The last look.
#[derive(Default)]
struct Last {
    /// Which one it was, counted from one.
    look: u64,
    moment: Option<Moment>,
    connection: Option<AnyConnection>,
    /// Connections that were opened.
    opened: u64,
}

impl Moments {
    pub(crate) fn new(options: AnyConnectOptions) -> Self {
        Self { options, begun: AtomicU64::new(0), last: Mutex::default() }
    }

    /// The moment, not older than the call.
    pub(crate) async fn now(&self) -> Result<Moment, StorageError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        // Somebody looked while this call waited: one look is enough for all who came before it.
        if let Some(moment) = last.moment.filter(|_| last.look > before) {
            return Ok(moment);
        }
        last.moment = None;
        last.look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // Taken out, so that a call that is given up leaves no connection in the middle of an answer.
        let mut connection = match last.connection.take() {
            Some(connection) => connection,
            None => {
                last.opened += 1;
                AnyConnection::connect_with(&self.options).await?
            }
        };
        let number = query_scalar("PRAGMA data_version").fetch_one(&mut connection).await?;
        let moment = Moment { connection: last.opened, number };
        last.connection = Some(connection);
        last.moment = Some(moment);
        Ok(moment)
    }

    pub(crate) async fn close(&self) {
        if let Some(connection) = self.last.lock().await.connection.take() {
            // What is not closed in order is closed with the process.
            let _ = connection.close().await;
        }
    }
}
