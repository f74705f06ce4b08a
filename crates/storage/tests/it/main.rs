//! The writer, on both engines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{AuditEntry, Timestamp};
use storage::testing::{TestDatabase, databases};
use storage::{
    AuditChain, BoxFuture, Connection, Database, RowExt as _, StorageError, Tx, query, query_scalar,
};

/// Counts what it is given, per commit group.
#[derive(Default)]
struct Counting {
    rows: AtomicUsize,
}

impl AuditChain for Counting {
    fn append<'t>(
        &'t self,
        _: &'t mut Connection,
        entries: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        self.rows.fetch_add(entries.len(), Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

async fn insert(db: &Database, id: &'static str) -> Result<(), StorageError> {
    db.write(move |tx: &mut Tx| Box::pin(async move { insert_in(tx, id).await })).await
}

async fn insert_in(tx: &mut Tx, id: &str) -> Result<(), StorageError> {
    let sql = "INSERT INTO accounts (id, name, broker, mode, currency, router_epoch, created_at) \
               VALUES ($1, $1, 'paper', 'paper', 'USD', 0, 0)";
    query(sql).bind(id).execute(tx.sql()).await?;
    tx.record(AuditEntry::by_system(Timestamp::UNIX_EPOCH, "account.opened"));
    Ok(())
}

async fn accounts(db: &Database) -> Vec<String> {
    let mut connection = db.read().await.unwrap();
    let rows = query("SELECT id FROM accounts ORDER BY id").fetch_all(&mut *connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    for database in databases().await {
        let chain = Arc::new(Counting::default());
        let db = database.open(Some(chain.clone())).await;
        insert(&db, "a").await.unwrap();
        assert_eq!(accounts(&db).await, ["a"]);
        db.close().await;
        assert!(matches!(insert(&db, "b").await, Err(StorageError::Abandoned)));
        let again = database.open(Some(chain)).await;
        assert_eq!(accounts(&again).await, ["a"]);
    }
}

#[tokio::test]
async fn a_job_that_fails_is_undone_alone_and_its_acts_are_not_recorded() {
    for database in databases().await {
        let chain = Arc::new(Counting::default());
        let db = database.open(Some(chain.clone())).await;
        insert(&db, "taken").await.unwrap();
        let jobs = ["a", "taken", "b", "panics", "c", "gives up"].map(|id| {
            db.write(move |tx: &mut Tx| {
                Box::pin(async move {
                    insert_in(tx, if id == "gives up" { "d" } else { id }).await?;
                    assert_ne!(id, "panics", "a bug in a job");
                    if id == "gives up" { Err(StorageError::Busy) } else { Ok(()) }
                })
            })
        });
        let results = futures_util::future::join_all(jobs).await;
        assert!(results[1].as_ref().is_err_and(StorageError::is_unique_violation), "{:?}", results[1]);
        assert!(matches!(results[3], Err(StorageError::Abandoned)), "{:?}", results[3]);
        assert!(matches!(results[5], Err(StorageError::Busy)));
        for done in [0, 2, 4] {
            results[done].as_ref().unwrap();
        }
        assert_eq!(accounts(&db).await, ["a", "b", "c", "taken"]);
        assert_eq!(chain.rows.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    for database in databases().await {
        let db = database.open(None).await;
        let mut connection = db.read().await.unwrap();
        let done = query("DELETE FROM accounts").execute(&mut *connection).await;
        assert!(done.is_err());
    }
}

#[tokio::test]
async fn an_act_is_not_recorded_where_there_is_no_audit_log() {
    for database in databases().await {
        let db = database.open(None).await;
        assert!(matches!(insert(&db, "a").await, Err(StorageError::NotCommitted(_))));
        assert!(accounts(&db).await.is_empty());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_reads_go_on() {
    let databases = databases().await;
    let db = databases[0].open(Some(Arc::new(Counting::default()))).await;
    insert(&db, "before").await.unwrap();
    // SQLite answers as on a full disk when the file may not grow.
    let limit = |pages: i64| {
        db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
                let _: i64 = query_scalar(sql).fetch_one(tx.sql()).await?;
                Ok::<_, StorageError>(())
            })
        })
    };
    limit(1).await.unwrap();
    let big = "x".repeat(1 << 20);
    let filled = db
        .write(move |tx: &mut Tx| {
            Box::pin(async move {
                insert_in(tx, "half").await?;
                let sql =
                    "INSERT INTO secrets (name, key_version, sealed, updated_at) VALUES ('big', 1, $1, 0)";
                query(sql).bind(big).execute(tx.sql()).await?;
                Ok::<_, StorageError>(())
            })
        })
        .await;
    assert!(filled.is_err());
    assert_eq!(accounts(&db).await, ["before"], "reads go on, and nothing is half written");
    limit(1 << 30).await.unwrap();
    insert(&db, "after").await.unwrap();
    assert_eq!(accounts(&db).await, ["after", "before"]);
}

/// A database on a server, with something between it and the desk that loses what it is told to.
async fn relayed() -> Option<(TestDatabase, relay::Relay, Database)> {
    let server = databases().await.into_iter().find(|database| database.folder().is_none())?;
    let relay = relay::Relay::start(&server.url).await;
    let db = Database::open(&relay.url, Some(Arc::new(Counting::default()))).await.unwrap();
    insert(&db, "before").await.unwrap();
    Some((server, relay, db))
}

#[tokio::test]
async fn a_commit_that_a_server_made_counts_even_if_its_answer_is_lost() {
    let Some((_server, relay, db)) = relayed().await else { return };
    relay.lose(relay::Lost::Answer);
    insert(&db, "committed").await.unwrap();
    insert(&db, "after").await.unwrap();
    assert_eq!(accounts(&db).await, ["after", "before", "committed"]);
}

#[tokio::test]
async fn a_commit_that_a_server_never_got_did_not_take_place() {
    let Some((_server, relay, db)) = relayed().await else { return };
    relay.lose(relay::Lost::Commit);
    assert!(matches!(insert(&db, "lost").await, Err(StorageError::NotCommitted(_))));
    insert(&db, "after").await.unwrap();
    assert_eq!(accounts(&db).await, ["after", "before"]);
}

#[tokio::test]
async fn nobody_is_told_a_guess_while_the_server_is_away_and_what_comes_in_meanwhile_is_refused() {
    let Some((_server, relay, db)) = relayed().await else { return };
    relay.lose(relay::Lost::AnswerAndServer);
    let mut undecided = Box::pin(insert(&db, "committed"));
    let refused = async {
        relay.until_lost().await;
        insert(&db, "meanwhile").await
    };
    tokio::select! {
        told = &mut undecided => panic!("told {told:?} while nobody could know"),
        refused = refused => assert!(matches!(refused, Err(StorageError::NotCommitted(_))), "{refused:?}"),
    }
    relay.mend();
    undecided.await.unwrap();
    insert(&db, "after").await.unwrap();
    assert_eq!(accounts(&db).await, ["after", "before", "committed"]);
}

#[tokio::test]
async fn a_desk_can_end_while_nobody_knows_what_became_of_a_commit() {
    let Some((server, relay, db)) = relayed().await else { return };
    relay.lose(relay::Lost::AnswerAndServer);
    let (undecided, ()) = futures_util::join!(insert(&db, "committed"), async {
        relay.until_lost().await;
        db.close().await;
    });
    assert!(matches!(undecided, Err(StorageError::Distrusted)), "{undecided:?}");
    let again = server.open(None).await;
    assert_eq!(accounts(&again).await, ["before", "committed"]);
}

#[tokio::test]
async fn an_address_of_neither_kind_is_refused_without_its_password() {
    let error = Database::open("mysql://me:secret@host/db", None).await.err().unwrap().to_string();
    assert!(error.contains("postgres://") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_new_database_can_be_opened_by_several_at_once() {
    for database in databases().await {
        let open = || async { Database::open(&database.url, None).await.map(drop) };
        let (one, two, three) = futures_util::join!(open(), open(), open());
        for opened in [one, two, three] {
            opened.unwrap();
        }
    }
}

#[tokio::test]
async fn a_moment_is_another_one_after_each_commit_whoever_made_it() {
    for database in databases().await {
        let chain = Arc::new(Counting::default());
        let db = database.open(Some(chain.clone())).await;
        let Some(first) = db.moment().await.unwrap() else {
            assert_eq!(db.engine(), storage::Engine::Postgres, "a file tells");
            continue;
        };
        assert_eq!(db.moment().await.unwrap(), Some(first), "nothing was committed");
        accounts(&db).await;
        assert_eq!(db.moment().await.unwrap(), Some(first), "who reads commits nothing");
        insert(&db, "ours").await.unwrap();
        let second = db.moment().await.unwrap().unwrap();
        assert_ne!(second, first);
        let other = database.open(Some(chain)).await;
        insert(&other, "another's").await.unwrap();
        let third = db.moment().await.unwrap().unwrap();
        assert_ne!(third, second);
        // However many ask, each is told of what was there before it asked.
        for nth in 0..50 {
            let id: &'static str = format!("account {nth}").leak();
            let before = db.moment().await.unwrap();
            let asked = tokio::join!(db.moment(), db.moment(), insert(&other, id), db.moment());
            asked.2.unwrap();
            let after = tokio::join!(db.moment(), db.moment());
            assert_ne!(after.0.unwrap(), before);
            assert_ne!(after.1.unwrap(), before);
        }
        other.close().await;
        db.close().await;
    }
}
