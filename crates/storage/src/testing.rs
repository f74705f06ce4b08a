//! Empty databases for tests, one of each engine.
//!
//! PostgreSQL is used where `STOCKADE_TEST_POSTGRES` names a throw-away server (`postgres://user@host:port/db`).
//! With `CI` set it must; otherwise its absence is said and the test runs on SQLite alone.

use std::sync::Arc;

use sqlx::Connection as _;
use tempfile::TempDir;

use crate::{AuditChain, Database};

/// An empty database that can be opened several times, as by a restart.
pub struct TestDatabase {
    /// What to give to [`Database::open`].
    pub url: String,
    folder: Option<TempDir>,
}

impl TestDatabase {
    /// Opens it.
    ///
    /// # Panics
    /// It cannot be opened.
    pub async fn open(&self, chain: Option<Arc<dyn AuditChain>>) -> Database {
        Database::open(&self.url, chain).await.expect("a new database opens")
    }

    /// The folder of a SQLite database; `None` for PostgreSQL.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_ref().map(TempDir::path)
    }
}

/// An empty database of each engine there is.
///
/// # Panics
/// There is no PostgreSQL and `CI` is set, or a database cannot be created.
pub async fn databases() -> Vec<TestDatabase> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let url = format!("sqlite:{}", folder.path().join("stockade.db").display());
    let mut databases = vec![TestDatabase { url, folder: Some(folder) }];
    match std::env::var("STOCKADE_TEST_POSTGRES") {
        Ok(server) => databases.push(TestDatabase { url: create_postgres(&server).await, folder: None }),
        Err(_) if std::env::var_os("CI").is_some() => {
            panic!(
                "STOCKADE_TEST_POSTGRES is not set, and with CI set the store must be tested on PostgreSQL too"
            )
        }
        Err(_) => eprintln!("skipped on PostgreSQL: STOCKADE_TEST_POSTGRES is not set"),
    }
    databases
}

async fn create_postgres(server: &str) -> String {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(server).await.expect("the test PostgreSQL answers");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("the test PostgreSQL lets us create a database");
    let (base, options) =
        server.split_once('?').map_or((server, None), |(base, options)| (base, Some(options)));
    let (host, _) = base.rsplit_once('/').expect("STOCKADE_TEST_POSTGRES ends in /DATABASE");
    options.map_or_else(|| format!("{host}/{name}"), |options| format!("{host}/{name}?{options}"))
}
