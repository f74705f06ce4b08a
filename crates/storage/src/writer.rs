//! The one writer: queued jobs, one transaction for many of them, results only after the commit.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::AuditEntry;
use futures_util::FutureExt as _;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::database::connect;
use crate::reserve::Reserve;
use crate::{Engine, StorageError};

/// A boxed future, as jobs return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Appends the audit rows of a commit group to the log, inside its transaction.
pub trait AuditChain: Send + Sync {
    /// Appends `entries`, oldest first. No other process appends at the same time.
    fn append<'t>(
        &'t self,
        connection: &'t mut AnyConnection,
        entries: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>>;
}

/// What a job writes with: a transaction that is shared with other jobs.
pub struct Tx {
    connection: AnyConnection,
    recorded: Vec<AuditEntry>,
}

impl Tx {
    /// The connection to run SQL on.
    pub fn sql(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    /// Records an act. Its row is committed together with what the job writes, or not at all.
    pub fn record(&mut self, entry: AuditEntry) {
        self.recorded.push(entry);
    }
}

/// Jobs that may wait before callers are told [`StorageError::Busy`].
const WAITING: usize = 4096;
/// Jobs that share one commit at most.
const GROUP: usize = 256;
/// How often a full disk is looked at again while nothing is to be written.
const LOOK_FOR_SPACE: Duration = Duration::from_secs(1);

/// A job with the place where its result goes.
trait Job: Send {
    /// Runs it; `false` when it failed and must be undone.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool>;
    /// Tells the caller.
    fn finish(self: Box<Self>, commit: Result<(), StorageError>);
}

struct Waiting<F, T, E> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Waiting<F, T, E>
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let Some(job) = self.job.take() else { return false };
            // A job that panics is a bug of its author; the writer and the other jobs go on.
            let result = AssertUnwindSafe(job(tx)).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(StorageError::Abandoned.into()));
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        })
    }

    fn finish(self: Box<Self>, commit: Result<(), StorageError>) {
        let result = match (self.result, commit) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(e)) => Err(e.into()),
            (Some(ok), Ok(())) => ok,
            (None, Ok(())) => Err(StorageError::Abandoned.into()),
        };
        // Nobody waits any more: the caller gave up. The work is done all the same.
        let _ = self.caller.send(result);
    }
}

pub(crate) struct WriterHandle {
    queue: mpsc::Sender<Option<Box<dyn Job>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    pub(crate) async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (caller, result) = oneshot::channel();
        let waiting = Waiting { job: Some(job), result: None, caller };
        self.queue.try_send(Some(Box::new(waiting))).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => StorageError::Busy,
            mpsc::error::TrySendError::Closed(_) => StorageError::Abandoned,
        })?;
        result.await.unwrap_or_else(|_| Err(StorageError::Abandoned.into()))
    }

    pub(crate) async fn close(&self) {
        // The writer stops at the mark; what was queued before it is still written.
        let _ = self.queue.send(None).await;
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

pub(crate) fn spawn(
    engine: Engine,
    options: AnyConnectOptions,
    connection: AnyConnection,
    chain: Option<Arc<dyn AuditChain>>,
    reserve: Option<Reserve>,
) -> WriterHandle {
    let (queue, jobs) = mpsc::channel(WAITING);
    let tx = Tx { connection, recorded: Vec::new() };
    let writer = Writer { engine, options, tx, chain, reserve, connected: true, distrusted: false };
    WriterHandle { queue, task: Mutex::new(Some(tokio::spawn(writer.run(jobs)))) }
}

struct Writer {
    engine: Engine,
    options: AnyConnectOptions,
    tx: Tx,
    chain: Option<Arc<dyn AuditChain>>,
    reserve: Option<Reserve>,
    connected: bool,
    distrusted: bool,
}

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Option<Box<dyn Job>>>) {
        let mut stop = false;
        while !stop {
            let Some(Some(first)) = self.next(&mut jobs).await else { break };
            let mut group = vec![first];
            while group.len() < GROUP {
                match jobs.try_recv() {
                    Ok(Some(job)) => group.push(job),
                    Ok(None) => {
                        stop = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            let outcome = self.commit(&mut group).await;
            if let Err(e) = &outcome {
                tracing::error!(error = %e, jobs = group.len(), "a commit failed");
            }
            for job in group {
                job.finish(match &outcome {
                    Ok(()) => Ok(()),
                    Err(StorageError::Distrusted) => Err(StorageError::Distrusted),
                    Err(e) => Err(StorageError::NotCommitted(e.to_string())),
                });
            }
        }
        jobs.close();
        let _ = self.tx.connection.close().await;
    }

    /// Waits for a job. While the disk is full there may be none, as new orders are refused: so this looks for space.
    async fn next(
        &mut self,
        jobs: &mut mpsc::Receiver<Option<Box<dyn Job>>>,
    ) -> Option<Option<Box<dyn Job>>> {
        while let Some(reserve) = self.reserve.as_ref().filter(|reserve| reserve.is_short()) {
            match tokio::time::timeout(LOOK_FOR_SPACE, jobs.recv()).await {
                Ok(job) => return job,
                Err(_) => reserve.renew(),
            }
        }
        jobs.recv().await
    }

    /// Runs a group of jobs in one transaction.
    async fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        if self.distrusted {
            return Err(StorageError::Distrusted);
        }
        if !self.connected {
            self.tx.connection = connect(self.engine, &self.options).await?;
            self.connected = true;
        }
        if let Some(reserve) = &self.reserve {
            reserve.renew();
        }
        self.tx.recorded.clear();
        let done = self.try_commit(group).await;
        if let Err(e) = &done {
            if is_fsync_failure(e) {
                self.distrusted = true;
                return Err(StorageError::Distrusted);
            }
            if let (true, Some(reserve)) = (is_full(e), &self.reserve) {
                reserve.release();
            }
            // On an engine that rolled back by itself this fails, and need not succeed.
            if self.tx.connection.execute("ROLLBACK").await.is_err() && self.engine == Engine::Postgres {
                self.connected = false;
            }
        }
        done
    }

    async fn try_commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        self.begin().await?;
        let last = group.len() - 1;
        if last > 0 {
            self.tx.connection.execute("SAVEPOINT job").await?;
        }
        for (nth, job) in group.iter_mut().enumerate() {
            let recorded = self.tx.recorded.len();
            let keep = job.run(&mut self.tx).await;
            match keep {
                // Each statement is a way to the database's thread and back, so there are as few as can be.
                true if nth < last => {
                    self.tx.connection.execute("RELEASE SAVEPOINT job; SAVEPOINT job").await?;
                }
                true => {}
                false if last == 0 => {
                    self.tx.connection.execute("ROLLBACK").await?;
                    return Ok(());
                }
                false => {
                    self.tx.recorded.truncate(recorded);
                    self.tx.connection.execute("ROLLBACK TO SAVEPOINT job").await?;
                }
            }
        }
        if !self.tx.recorded.is_empty() {
            let chain = self.chain.as_ref().ok_or_else(|| {
                StorageError::NotCommitted("an act was recorded in a database without an audit log".into())
            })?;
            chain.append(&mut self.tx.connection, &self.tx.recorded).await?;
        }
        let transaction = self.transaction_id().await?;
        match self.tx.connection.execute("COMMIT").await {
            Ok(_) => Ok(()),
            Err(e) => self.was_committed(transaction, e).await,
        }
    }

    /// Begins, and keeps every other process from writing until the end: the audit log has one appender.
    async fn begin(&mut self) -> Result<(), StorageError> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; SELECT pg_advisory_xact_lock(7301893)",
        };
        self.tx.connection.execute(begin).await?;
        Ok(())
    }

    /// The server's number of this transaction, to ask for its fate if the answer to COMMIT is lost.
    async fn transaction_id(&mut self) -> Result<Option<i64>, StorageError> {
        match self.engine {
            Engine::Sqlite => Ok(None),
            Engine::Postgres => Ok(Some(
                sqlx::query_scalar("SELECT txid_current()").fetch_one(&mut self.tx.connection).await?,
            )),
        }
    }

    /// Finds out whether a COMMIT whose answer was an error or was lost took place.
    async fn was_committed(
        &mut self,
        transaction: Option<i64>,
        error: sqlx::Error,
    ) -> Result<(), StorageError> {
        let (Some(transaction), sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) = (transaction, &error) else {
            return Err(error.into());
        };
        self.connected = false;
        self.tx.connection = connect(self.engine, &self.options).await?;
        self.connected = true;
        let fate: Option<String> = sqlx::query_scalar("SELECT txid_status($1)")
            .bind(transaction)
            .fetch_one(&mut self.tx.connection)
            .await?;
        match fate.as_deref() {
            Some("committed") => Ok(()),
            _ => Err(error.into()),
        }
    }
}

/// SQLITE_FULL: the disk has no space left.
fn is_full(error: &StorageError) -> bool {
    let StorageError::Database(sqlx::Error::Database(e)) = error else { return false };
    e.code().as_deref() == Some("13")
}

/// SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC: after these the page cache may lie about what is on the disk.
fn is_fsync_failure(error: &StorageError) -> bool {
    let StorageError::Database(sqlx::Error::Database(e)) = error else { return false };
    matches!(e.code().as_deref(), Some("1034" | "1290"))
}
