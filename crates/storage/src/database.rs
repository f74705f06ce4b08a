//! Opening a database, and reading from it.

use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _};

use crate::StorageError;
use crate::moment::{Moment, Moments};
use crate::reserve::Reserve;
use crate::writer::{self, AuditChain, BoxFuture, Tx, WriterHandle};

/// A connection, whatever the engine.
pub type Connection = AnyConnection;
/// A row, whatever the engine.
pub type Row = sqlx::any::AnyRow;

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file of our own.
    Sqlite,
    /// A server.
    Postgres,
}

/// The desk's database. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    readers: AnyPool,
    writer: Arc<WriterHandle>,
    is_short: Arc<AtomicBool>,
    /// Only SQLite tells.
    moments: Option<Arc<Moments>>,
}

/// How long to wait for another process that writes (the command line beside the running desk).
const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 6;

impl Database {
    /// Opens `sqlite:PATH` or `postgres://…`, creating the file if needed, and brings the desk's schema up to date.
    ///
    /// Audit rows recorded by jobs are appended by `chain`; without one, a job that records any fails.
    ///
    /// # Errors
    /// The address is wrong, the database cannot be opened, or a migration failed.
    pub async fn open(url: &str, chain: Option<Arc<dyn AuditChain>>) -> Result<Self, StorageError> {
        Self::open_with(url, chain, &sqlx::migrate!(), true).await
    }

    /// The same for a SQLite file with a schema of its own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_file(path: &Path, schema: &sqlx::migrate::Migrator) -> Result<Self, StorageError> {
        Self::open_with(&format!("sqlite:{}", path.display()), None, schema, false).await
    }

    async fn open_with(
        url: &str,
        chain: Option<Arc<dyn AuditChain>>,
        schema: &sqlx::migrate::Migrator,
        holds_space: bool,
    ) -> Result<Self, StorageError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);

        let (engine, url) = match url {
            _ if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                (Engine::Postgres, url.to_owned())
            }
            _ => match url.strip_prefix("sqlite:") {
                Some(path) => (Engine::Sqlite, format!("sqlite:{path}?mode=rwc")),
                None => {
                    return Err(StorageError::Address(url.split('@').next_back().unwrap_or("").to_owned()));
                }
            },
        };
        let options = AnyConnectOptions::from_str(&url)?;
        let mut connection = connect(engine, &options).await?;
        // Another process may be at the same migration in the same moment. If so, it has done that one by now: so each can
        // fail once for a good reason.
        let mut good_reasons = schema.iter().count();
        while let Err(error) = schema.run(&mut connection).await {
            if good_reasons == 0 {
                return Err(error.into());
            }
            good_reasons -= 1;
        }

        let readers = AnyPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            // A file does not go away as a server does.
            .test_before_acquire(engine == Engine::Postgres)
            .after_connect(move |connection, _| {
                Box::pin(async move { make_reader(engine, connection).await })
            })
            .connect_lazy_with(options.clone());
        let is_short = Arc::new(AtomicBool::new(false));
        let file =
            url.strip_prefix("sqlite:").and_then(|rest| rest.split('?').next()).filter(|_| holds_space);
        let reserve = file.map(|file| Reserve::beside(Path::new(file), is_short.clone()));
        let moments = (engine == Engine::Sqlite).then(|| Arc::new(Moments::new(options.clone())));
        let writer = writer::spawn(engine, options, connection, chain, reserve);
        Ok(Self { engine, readers, writer: Arc::new(writer), is_short, moments })
    }

    /// Whether the disk is so full that only what takes risk away should still be written.
    pub fn is_short_of_space(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// A connection to read from. What was committed before is seen.
    ///
    /// # Errors
    /// No connection came free in time, or the database is unreachable.
    pub async fn read(&self) -> Result<PoolConnection<Any>, StorageError> {
        Ok(self.readers.acquire().await?)
    }

    /// The moment of the database: whoever keeps what was read after it may believe that until there is another one. `None`
    /// where that cannot be told, which is on a server.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn moment(&self) -> Result<Option<Moment>, StorageError> {
        match &self.moments {
            Some(moments) => moments.now().await.map(Some),
            None => Ok(None),
        }
    }

    /// Runs `job` in the next transaction and returns its result once that is durable.
    ///
    /// When the job returns an error, what it wrote and recorded is undone; other jobs are not concerned.
    ///
    /// # Errors
    /// The job's own, or that of the commit.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.writer.write(job).await
    }

    /// Ends the writer after the jobs that are waiting, and closes all connections.
    pub async fn close(&self) {
        self.writer.close().await;
        if let Some(moments) = &self.moments {
            moments.close().await;
        }
        self.readers.close().await;
    }
}

/// Opens a connection that may write, with the settings that make a commit durable.
pub(crate) async fn connect(
    engine: Engine,
    options: &AnyConnectOptions,
) -> Result<AnyConnection, StorageError> {
    let mut connection = AnyConnection::connect_with(options).await?;
    match engine {
        Engine::Sqlite => {
            let settings = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                            PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 2000;";
            connection.execute(settings).await?;
        }
        Engine::Postgres => {
            // A process that is paused in the middle of a transaction holds its locks: it loses them before others, who
            // wait for them, give up.
            let settings = "SET synchronous_commit = on; SET statement_timeout = '10s'; \
                            SET idle_in_transaction_session_timeout = '5s';";
            connection.execute(settings).await?;
        }
    }
    Ok(connection)
}

async fn make_reader(engine: Engine, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let settings = match engine {
        Engine::Sqlite => "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;",
        Engine::Postgres => "SET default_transaction_read_only = on; SET statement_timeout = '10s';",
    };
    connection.execute(settings).await?;
    Ok(())
}
