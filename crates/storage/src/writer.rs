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
use crate::mark::{self, Mark};
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

    /// What was appended last is committed.
    fn committed(&self) {}

    /// Asked on each new connection to a server: whether it has what was committed.
    fn is_there<'t>(
        &'t self,
        _connection: &'t mut AnyConnection,
    ) -> BoxFuture<'t, Result<bool, StorageError>> {
        Box::pin(async { Ok(true) })
    }
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
/// A server that does not answer for so long is taken for dead. It gives a statement ten seconds itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions to a server what became of a COMMIT.
const ASK_AGAIN: Duration = Duration::from_millis(250);

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
    let mark = Mark::new();
    let writer = Writer { engine, options, tx, chain, reserve, mark, connected: true, distrusted: false };
    WriterHandle { queue, task: Mutex::new(Some(tokio::spawn(writer.run(jobs)))) }
}

struct Writer {
    engine: Engine,
    options: AnyConnectOptions,
    tx: Tx,
    chain: Option<Arc<dyn AuditChain>>,
    reserve: Option<Reserve>,
    mark: Mark,
    connected: bool,
    distrusted: bool,
}

/// Jobs that wait; `None` is the last.
type Jobs = mpsc::Receiver<Option<Box<dyn Job>>>;

impl Writer {
    async fn run(mut self, mut jobs: Jobs) {
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
            let outcome = self.commit(&mut group, &mut jobs).await;
            if let Err(e) = &outcome {
                tracing::error!(error = %e, jobs = group.len(), "a commit failed");
            }
            for job in group {
                job.finish(match &outcome {
                    Ok(()) => Ok(()),
                    Err(StorageError::Distrusted) => Err(StorageError::Distrusted),
                    Err(StorageError::WentBack) => Err(StorageError::WentBack),
                    Err(e) => Err(StorageError::NotCommitted(e.to_string())),
                });
            }
        }
        jobs.close();
        if self.engine == Engine::Postgres && self.connected {
            let _ = self.mark.forget(&mut self.tx.connection).await;
        }
        let _ = self.tx.connection.close().await;
    }

    /// Waits for a job. While the disk is full there may be none, as new orders are refused: so this looks for space.
    async fn next(&mut self, jobs: &mut Jobs) -> Option<Option<Box<dyn Job>>> {
        while let Some(reserve) = self.reserve.as_ref().filter(|reserve| reserve.is_short()) {
            match tokio::time::timeout(LOOK_FOR_SPACE, jobs.recv()).await {
                Ok(job) => return job,
                Err(_) => reserve.renew(),
            }
        }
        jobs.recv().await
    }

    /// Runs a group of jobs in one transaction.
    async fn commit(&mut self, group: &mut [Box<dyn Job>], jobs: &mut Jobs) -> Result<(), StorageError> {
        if self.distrusted {
            return Err(StorageError::Distrusted);
        }
        if !self.connected {
            match self.reconnect().await {
                Err(StorageError::WentBack) => {
                    self.distrusted = true;
                    return Err(StorageError::WentBack);
                }
                connection => self.tx.connection = connection?,
            }
            self.connected = true;
        }
        if let Some(reserve) = &self.reserve {
            reserve.renew();
        }
        self.tx.recorded.clear();
        let done = match self.engine {
            Engine::Sqlite => self.try_commit(group).await,
            Engine::Postgres => self.try_commit_on_server(group, jobs).await,
        };
        if let Err(e) = &done {
            if is_fsync_failure(e) {
                self.distrusted = true;
                return Err(StorageError::Distrusted);
            }
            if let (true, Some(reserve)) = (is_full(e), &self.reserve) {
                reserve.release();
            }
            // On an engine that rolled back by itself this fails, and need not succeed.
            if self.connected && answered(self.rollback()).await.is_err() && self.engine == Engine::Postgres {
                self.connected = false;
            }
        }
        done
    }

    /// A new connection, to a server that has what was committed before.
    async fn reconnect(&mut self) -> Result<AnyConnection, StorageError> {
        answered(async {
            let mut connection = connect(self.engine, &self.options).await?;
            if let Some(chain) = &self.chain
                && !chain.is_there(&mut connection).await?
            {
                return Err(StorageError::WentBack);
            }
            Ok(connection)
        })
        .await
    }

    async fn try_commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
        self.tx.connection.execute("BEGIN IMMEDIATE").await?;
        if self.perform(group).await? == Done::Something {
            self.tx.connection.execute("COMMIT").await?;
            self.remember();
        }
        Ok(())
    }

    /// The same where the connection may be lost, and the answer to COMMIT with it.
    async fn try_commit_on_server(
        &mut self,
        group: &mut [Box<dyn Job>],
        jobs: &mut Jobs,
    ) -> Result<(), StorageError> {
        let prepared = answered(async {
            self.tx.connection.execute(mark::BEGIN).await?;
            let done = self.perform(group).await?;
            if done == Done::Something {
                self.mark.leave(&mut self.tx.connection).await?;
            }
            Ok(done)
        });
        match prepared.await {
            Ok(Done::Nothing) => return Ok(()),
            Ok(Done::Something) => {}
            // It may still hang: what is left of the transaction ends with its connection.
            Err(error) => {
                self.connected = false;
                return Err(error);
            }
        }
        let committed = answered(async { Ok(self.tx.connection.execute("COMMIT").await?) }).await;
        if let Err(error) = committed {
            self.connected = false;
            match self.was_committed(jobs).await {
                Ok(true) => {}
                Ok(false) => return Err(error),
                Err(for_good) => {
                    self.distrusted = true;
                    return Err(for_good);
                }
            }
        }
        self.remember();
        Ok(())
    }

    /// Tells the audit log that what it appended is committed.
    fn remember(&self) {
        if let (Some(chain), false) = (&self.chain, self.tx.recorded.is_empty()) {
            chain.committed();
        }
    }

    /// Runs the jobs of a group in the transaction that was begun, and appends what they recorded.
    async fn perform(&mut self, group: &mut [Box<dyn Job>]) -> Result<Done, StorageError> {
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
                    self.rollback().await?;
                    return Ok(Done::Nothing);
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
        Ok(Done::Something)
    }

    async fn rollback(&mut self) -> Result<(), StorageError> {
        self.tx.connection.execute("ROLLBACK").await?;
        Ok(())
    }

    /// Finds out whether a COMMIT took place that was not answered, however long the server is away. What was in it can be
    /// told nothing meanwhile; what comes in after it is refused.
    ///
    /// # Errors
    /// Nobody will know: the desk is ending, or the server that came back lacks what was there before.
    async fn was_committed(&mut self, jobs: &mut Jobs) -> Result<bool, StorageError> {
        loop {
            let asked = answered(async {
                let mut connection = self.reconnect().await?;
                let is_there = self.mark.is_there(&mut connection).await?;
                Ok((connection, is_there))
            });
            match asked.await {
                Ok((connection, is_there)) => {
                    self.tx.connection = connection;
                    self.connected = true;
                    return Ok(is_there);
                }
                Err(StorageError::WentBack) => return Err(StorageError::WentBack),
                Err(error) => tracing::warn!(%error, "it is not known yet what became of a commit"),
            }
            let again = tokio::time::sleep(ASK_AGAIN);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    job = jobs.recv() => match job {
                        Some(Some(job)) => {
                            job.finish(Err(StorageError::NotCommitted("the database server is away".into())));
                        }
                        Some(None) | None => {
                            jobs.close();
                            return Err(StorageError::Distrusted);
                        }
                    },
                }
            }
        }
    }
}

/// Whether a transaction has anything to commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Something,
    /// The only job failed, and was undone.
    Nothing,
}

/// Waits for a server, which may be gone without a word, for [`PATIENCE`] only.
async fn answered<T>(question: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    let answer = tokio::time::timeout(PATIENCE, question).await;
    answer.unwrap_or_else(|_| Err(StorageError::NotCommitted("the database does not answer".into())))
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
