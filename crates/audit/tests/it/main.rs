//! The log, on both engines: what must be seen, first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::{ANCHORS_FILE, Anchors, AuditError, Chain, Filter, Problem, ProblemKind, Report};
use domain::{AuditEntry, Clock as _, Context, ManualClock, Outcome, RequestId, Timestamp};
use serde_json::json;
use sqlx::Connection as _;
use storage::testing::{TestDatabase, databases};
use storage::{Database, Engine, RowExt as _, StorageError, query};
use tempfile::TempDir;
use vault::SigningKey;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// A desk's database, key and anchors.
struct Desk {
    db: Database,
    key: SigningKey,
    anchors: Anchors,
    clock: ManualClock,
    home: TempDir,
}

impl Desk {
    async fn open(database: &TestDatabase) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::open_or_create(home.path()).unwrap();
        let db = database.open(Some(Arc::new(Chain::new(key.clone())))).await;
        let anchors = Anchors::new(home.path().join(ANCHORS_FILE));
        Self { db, key, anchors, clock: ManualClock::new(AT), home }
    }

    /// Commits one group of acts.
    async fn record(&self, acts: usize) {
        let ctx =
            Context::anonymous(Some("192.0.2.7".parse().unwrap()), RequestId::new(AT), self.clock.now());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                for n in 0..acts {
                    let entry = AuditEntry::by(&ctx, "order.accepted").on("order", n).ended(Outcome::Refused);
                    tx.record(entry.with(json!({ "n": n })));
                }
                Ok::<_, StorageError>(())
            })
        });
        done.await.unwrap();
        self.clock.advance(Duration::from_secs(1));
    }

    async fn anchor(&self) {
        assert!(self.anchors.append(&self.db, &self.key, self.clock.now()).await.unwrap());
    }

    async fn verify(&self) -> Report {
        audit::verify(&self.db, &self.key.public_key(), &self.anchors).await.unwrap()
    }

    async fn problem(&self) -> Option<(i64, ProblemKind)> {
        self.verify().await.problem.map(|problem| (problem.seq, problem.kind))
    }

    /// What somebody does who can write the database and nothing else.
    async fn tamper(&self, sql: impl Into<String>) {
        let sql = sql.into();
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                query(sqlx::AssertSqlSafe(sql)).execute(tx.sql()).await?;
                Ok::<_, StorageError>(())
            })
        });
        done.await.unwrap();
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test]
async fn a_log_as_it_was_written_is_whole() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let empty = desk.verify().await;
        assert_eq!((empty.rows, empty.head_seq, empty.problem), (0, 0, None));
        for acts in [1, 3, 2, 2100] {
            desk.record(acts).await;
        }
        desk.anchor().await;
        desk.record(1).await;
        let report = desk.verify().await;
        assert_eq!((report.rows, report.head_seq, report.signed_heads), (2107, 2107, 5));
        assert_eq!(report.problem, None);
    }
}

#[tokio::test]
async fn an_edit_of_any_column_of_any_row_names_that_row() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        for acts in [1, 3, 1] {
            desk.record(acts).await;
        }
        let last_digit = "CASE WHEN hash LIKE '%0' THEN '1' ELSE '0' END";
        let edits = [
            ("at", "at + 1", "at - 1"),
            ("actor_kind", "'usez'", "'anonymous'"),
            ("actor_id", "''", "NULL"),
            ("act", "'order.accepteD'", "'order.accepted'"),
            ("resource", "NULL", "'order/' || CASE WHEN seq = 1 OR seq = 5 THEN 0 ELSE seq - 2 END"),
            ("outcome", "'done'", "'refused'"),
            ("address", "'192.0.2.8'", "'192.0.2.7'"),
            ("detail", "detail || ' '", "TRIM(detail)"),
        ];
        for seq in 1..=5 {
            for (column, edit, undo) in edits {
                desk.tamper(format!("UPDATE audit_log SET {column} = {edit} WHERE seq = {seq}")).await;
                assert_eq!(desk.problem().await, Some((seq, ProblemKind::Altered)), "{column} of {seq}");
                desk.tamper(format!("UPDATE audit_log SET {column} = {undo} WHERE seq = {seq}")).await;
                assert_eq!(desk.problem().await, None, "{column} of {seq} put back");
            }
            desk.tamper(format!(
                "CREATE TABLE kept AS SELECT request_id, hash FROM audit_log WHERE seq = {seq}"
            ))
            .await;
            for (column, edit) in
                [("request_id", "'x'".to_owned()), ("hash", format!("SUBSTR(hash, 1, 63) || {last_digit}"))]
            {
                desk.tamper(format!("UPDATE audit_log SET {column} = {edit} WHERE seq = {seq}")).await;
                assert_eq!(desk.problem().await, Some((seq, ProblemKind::Altered)), "{column} of {seq}");
                let undo =
                    format!("UPDATE audit_log SET {column} = (SELECT {column} FROM kept) WHERE seq = {seq}");
                desk.tamper(undo).await;
            }
            desk.tamper("DROP TABLE kept").await;
            // Its number: the row is missing where it was.
            desk.tamper(format!("UPDATE audit_log SET seq = 77 WHERE seq = {seq}")).await;
            assert_eq!(desk.problem().await, Some((seq, ProblemKind::Removed)));
            desk.tamper(format!("UPDATE audit_log SET seq = {seq} WHERE seq = 77")).await;
        }
        assert_eq!(desk.problem().await, None);
    }
}

#[tokio::test]
async fn a_row_whose_bytes_are_no_text_any_more_is_named() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        if desk.db.engine() == Engine::Postgres {
            // PostgreSQL does not take such bytes.
            continue;
        }
        for acts in [1, 3, 1500] {
            desk.record(acts).await;
        }
        for (seq, value) in
            [(1204, "CAST(X'7BFF7D' AS TEXT)"), (1203, "X'7B7D'"), (3, "7"), (2, "CAST(X'FF' AS TEXT)")]
        {
            desk.tamper(format!("UPDATE audit_log SET detail = {value} WHERE seq = {seq}")).await;
            let report = desk.verify().await;
            let problem = report.problem.unwrap();
            assert_eq!((problem.seq, problem.kind), (seq, ProblemKind::Altered), "{value}");
            assert_eq!(report.rows as i64, seq - 1);
        }
        desk.tamper("UPDATE audit_log SET seq = 'x' WHERE seq = 1").await;
        assert_eq!(desk.problem().await, Some((1, ProblemKind::Removed)));
    }
}

#[tokio::test]
async fn removed_swapped_and_added_rows_are_named() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(6).await;
        desk.tamper("CREATE TABLE kept AS SELECT * FROM audit_log").await;
        let checks = [
            ("DELETE FROM audit_log WHERE seq = 3", 3, ProblemKind::Removed),
            ("DELETE FROM audit_log WHERE seq <= 2", 1, ProblemKind::Removed),
            ("DELETE FROM audit_log WHERE seq = 6", 6, ProblemKind::CutOff),
            ("DELETE FROM audit_log", 1, ProblemKind::CutOff),
            (
                "UPDATE audit_log SET seq = CASE seq WHEN 2 THEN -4 ELSE -2 END WHERE seq IN (2, 4)",
                -4,
                ProblemKind::Added,
            ),
            (
                "INSERT INTO audit_log SELECT 0, at, actor_kind, actor_id, act, resource, outcome, address, request_id, \
              detail, hash FROM audit_log WHERE seq = 1",
                0,
                ProblemKind::Added,
            ),
            (
                "INSERT INTO audit_log SELECT 7, at, actor_kind, actor_id, act, resource, outcome, address, request_id, \
              detail, hash FROM audit_log WHERE seq = 6",
                7,
                ProblemKind::Altered,
            ),
        ];
        for (sql, seq, kind) in checks {
            desk.tamper(sql).await;
            assert_eq!(desk.problem().await, Some((seq, kind)), "{sql}");
            desk.tamper("DELETE FROM audit_log").await;
            desk.tamper("INSERT INTO audit_log SELECT * FROM kept").await;
            assert_eq!(desk.problem().await, None, "put back after {sql}");
        }
        // Two rows in each other's place.
        desk.tamper("UPDATE audit_log SET seq = CASE seq WHEN 2 THEN -4 ELSE -2 END WHERE seq IN (2, 4)")
            .await;
        desk.tamper("UPDATE audit_log SET seq = -seq WHERE seq < 0").await;
        assert_eq!(desk.problem().await, Some((2, ProblemKind::Altered)));
    }
}

#[tokio::test]
async fn whoever_can_only_write_the_database_cannot_sign() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(2).await;
        desk.record(2).await;
        let whole = desk.verify().await;
        // Rows written on by somebody else, with right hashes and another key.
        let forger =
            Desk { key: SigningKey::open_or_create(tempfile::tempdir().unwrap().path()).unwrap(), ..desk };
        forger.db.close().await;
        let db = database.open(Some(Arc::new(Chain::new(forger.key.clone())))).await;
        let forger = Desk { db, ..forger };
        forger.record(2).await;
        let key = SigningKey::open_or_create(forger.home.path()).unwrap();
        let desk = Desk { key, ..forger };
        assert_eq!(desk.problem().await, Some((6, ProblemKind::Signature)));
        // The same without any signature.
        desk.tamper("DELETE FROM audit_heads WHERE seq = 6").await;
        assert_eq!(desk.problem().await, Some((5, ProblemKind::Unsigned)));
        desk.tamper("DELETE FROM audit_log WHERE seq > 4").await;
        assert_eq!(desk.verify().await, whole);
        // A signature moved to another row.
        desk.tamper(
            "UPDATE audit_heads SET hash = (SELECT hash FROM audit_log WHERE seq = 3), seq = 3 WHERE seq = 2",
        )
        .await;
        assert_eq!(desk.problem().await, Some((3, ProblemKind::Signature)));
    }
}

#[tokio::test]
async fn a_cut_tail_is_seen_by_the_anchors() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(2).await;
        desk.record(3).await;
        desk.anchor().await;
        desk.tamper("DELETE FROM audit_log WHERE seq > 2").await;
        desk.tamper("DELETE FROM audit_heads WHERE seq > 2").await;
        assert_eq!(desk.problem().await, Some((3, ProblemKind::CutOff)));
        let without = Anchors::new(desk.home.path().join("none"));
        let report = audit::verify(&desk.db, &desk.key.public_key(), &without).await.unwrap();
        assert_eq!(report.problem, None, "in itself the rest is flawless");
        // Emptied altogether.
        desk.tamper("DELETE FROM audit_log").await;
        desk.tamper("DELETE FROM audit_heads").await;
        assert_eq!(desk.problem().await, Some((1, ProblemKind::CutOff)));
    }
}

#[tokio::test]
async fn an_old_copy_put_back_is_seen_by_the_anchors_even_when_written_on() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(2).await;
        desk.anchor().await;
        desk.record(3).await;
        desk.anchor().await;
        let going_back = ["DELETE FROM audit_log WHERE seq > 2", "DELETE FROM audit_heads WHERE seq > 2"];
        for sql in going_back {
            desk.tamper(sql).await;
        }
        assert_eq!(desk.problem().await, Some((3, ProblemKind::CutOff)));
        desk.record(1).await;
        desk.anchor().await;
        assert_eq!(desk.problem().await, Some((4, ProblemKind::CutOff)));
        desk.record(5).await;
        assert_eq!(desk.problem().await, Some((5, ProblemKind::RolledBack)));
        let detail = desk.verify().await.problem.unwrap().detail;
        assert!(detail.contains("1970-01-01T00:00:02Z"), "{detail}");
    }
}

#[tokio::test]
async fn anchors_are_written_when_something_changed_and_survive_a_crash_in_between() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let append = || desk.anchors.append(&desk.db, &desk.key, AT);
        assert!(!append().await.unwrap(), "an empty log needs none");
        desk.record(1).await;
        assert!(append().await.unwrap());
        assert!(!append().await.unwrap());
        desk.record(1).await;
        // A crash left half a line.
        let half = std::fs::read_to_string(desk.anchors.path()).unwrap()[..40].to_owned();
        let mut text = std::fs::read_to_string(desk.anchors.path()).unwrap();
        text.push_str(&half);
        std::fs::write(desk.anchors.path(), text).unwrap();
        assert_eq!(desk.problem().await, None);
        assert!(append().await.unwrap());
        assert_eq!(lines(desk.anchors.path()), 2);
        assert_eq!(desk.problem().await, None);
    }
}

#[tokio::test]
async fn an_anchor_that_was_edited_is_seen() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(3).await;
        desk.anchor().await;
        let text = std::fs::read_to_string(desk.anchors.path()).unwrap();
        let edits = [
            text.replace("\"rows\":3", "\"rows\":2"),
            text.replace("1970", "1971"),
            "{}\n".to_owned(),
            "x".repeat(1023) + "\n",
        ];
        for edited in edits {
            std::fs::write(desk.anchors.path(), &edited).unwrap();
            assert_eq!(desk.problem().await.map(|(_, kind)| kind), Some(ProblemKind::Anchor), "{edited:.80}");
        }
    }
}

#[tokio::test]
async fn the_anchor_task_writes_at_the_start_and_at_the_end() {
    let database = databases().await.remove(0);
    let desk = Desk::open(&database).await;
    desk.record(1).await;
    let stop = tokio::sync::Notify::new();
    let task = desk.anchors.keep(&desk.db, &desk.key, &desk.clock, stop.notified());
    let acts = async {
        while !desk.anchors.path().exists() || lines(desk.anchors.path()) < 1 {
            tokio::task::yield_now().await;
        }
        desk.record(1).await;
        stop.notify_one();
    };
    tokio::join!(task, acts);
    assert_eq!(lines(desk.anchors.path()), 2);
    assert_eq!(desk.problem().await, None);
}

#[tokio::test]
async fn the_log_is_checked_while_it_is_written() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(1500).await;
        let writing = async {
            for _ in 0..30 {
                desk.record(2).await;
                desk.anchor().await;
            }
        };
        let checking = async {
            for _ in 0..8 {
                assert_eq!(desk.problem().await, None);
            }
        };
        tokio::join!(writing, checking);
        assert_eq!(desk.verify().await.rows, 1560);
    }
}

#[tokio::test]
async fn a_second_process_goes_on_where_the_first_stopped() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let other = database.open(Some(Arc::new(Chain::new(desk.key.clone())))).await;
        desk.record(2).await;
        let Desk { home, anchors, clock, key, db } = desk;
        let second = Desk { db: other, home, anchors, clock, key };
        second.record(2).await;
        let first = Desk { db, ..second };
        first.record(2).await;
        let report = first.verify().await;
        assert_eq!((report.rows, report.problem), (6, None));
    }
}

#[tokio::test]
async fn an_export_is_checked_with_nothing_but_the_public_key() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        for acts in [1, 3, 1100] {
            desk.record(acts).await;
        }
        let mut export = Vec::new();
        assert_eq!(audit::export(&desk.db, &mut export).await.unwrap(), 1104);
        let (key, none) = (desk.key.public_key(), Anchors::new(desk.home.path().join("none")));
        let check = |export: &str| audit::verify_export(export.as_bytes(), &key, &none);
        let text = String::from_utf8(export).unwrap();
        assert_eq!(check(&text).unwrap(), desk.verify().await);

        let altered = text.replacen("\\\"n\\\":1}", "\\\"n\\\":2}", 1);
        assert_ne!(altered, text);
        assert_eq!(check(&altered).unwrap().problem.unwrap().seq, 3);
        let lines: Vec<&str> = text.lines().collect();
        let cut = lines[..lines.len() - 1].join("\n");
        assert_eq!(check(&cut).unwrap().problem.map(|p| (p.seq, p.kind)), Some((5, ProblemKind::Unsigned)));
        assert!(matches!(check("{\"row\": 1}\n"), Err(AuditError::Malformed { line: 1 })));
        // With the anchors, the missing end is seen too.
        desk.anchor().await;
        let whole_groups = lines[..6].join("\n");
        assert_eq!(check(&whole_groups).unwrap().problem, None);
        let anchored = audit::verify_export(whole_groups.as_bytes(), &key, &desk.anchors).unwrap();
        assert_eq!(anchored.problem.map(|p| (p.seq, p.kind)), Some((5, ProblemKind::CutOff)));
    }
}

#[tokio::test]
async fn whoever_may_not_read_the_log_reads_none_of_it() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(1).await;
        let nobody = Context::anonymous(None, RequestId::new(AT), AT);
        let read = audit::list(&nobody, &desk.db, &Filter::default(), None, 10).await;
        assert!(matches!(read, Err(AuditError::Denied(_))));
    }
}

#[tokio::test]
async fn the_log_is_read_newest_first_in_pages_and_searched_for_what_is_typed() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let acts = [
            ("user.created", json!({ "note": "100% sure" })),
            ("user.disabled", json!({ "note": "100x sure" })),
            ("order.accepted", json!({ "note": "a_b!c" })),
            ("order.accepted", json!({ "note": "axbyc" })),
            ("orderly.retreat", json!({ "note": "O'Hara; DROP TABLE users" })),
        ];
        let done = desk.db.write(move |tx| {
            Box::pin(async move {
                for (n, (act, detail)) in acts.into_iter().enumerate() {
                    let at = AT + Duration::from_secs(n as u64);
                    tx.record(AuditEntry::by_system(at, act).on("thing", n).with(detail));
                }
                Ok::<_, StorageError>(())
            })
        });
        done.await.unwrap();
        let ctx = Context::operator(None, AT);
        let list = |filter: Filter, before, limit| {
            let (ctx, db) = (&ctx, &desk.db);
            async move {
                let rows = audit::list(ctx, db, &filter, before, limit).await.unwrap();
                rows.iter().map(|row| row.seq).collect::<Vec<i64>>()
            }
        };
        let search = |text: &str| Filter { search: Some(text.to_owned()), ..Filter::default() };
        let act = |text: &str| Filter { act: Some(text.to_owned()), ..Filter::default() };
        assert_eq!(list(Filter::default(), None, 2).await, [5, 4]);
        assert_eq!(list(Filter::default(), Some(4), 2).await, [3, 2]);
        for (text, found) in [
            ("100%", vec![1]),
            ("_b!", vec![3]),
            ("%", vec![1]),
            ("ORDER", vec![5, 4, 3]),
            ("o'hara;", vec![5]),
            ("thing/3", vec![4]),
            ("nothing", vec![]),
        ] {
            assert_eq!(list(search(text), None, 10).await, found, "{text}");
        }
        for (text, found) in
            [("order", vec![4, 3]), ("order.accepted", vec![4, 3]), ("user", vec![2, 1]), ("use_", vec![])]
        {
            assert_eq!(list(act(text), None, 10).await, found, "{text}");
        }
        let actor = |text: &str| Filter { actor: Some(text.to_owned()), ..Filter::default() };
        assert_eq!(list(actor("system"), None, 10).await.len(), 5);
        assert!(list(actor("%"), None, 10).await.is_empty());
        let (from, to) = (Some(AT + Duration::from_secs(1)), Some(AT + Duration::from_secs(3)));
        assert_eq!(list(Filter { from, to, ..Filter::default() }, None, 10).await, [3, 2]);
        let row = audit::list(&ctx, &desk.db, &act("user.created"), None, 1).await.unwrap().remove(0);
        assert_eq!((row.at, row.outcome.as_str(), &row.detail["note"]), (AT, "done", &json!("100% sure")));
    }
}

/// Says what a problem says, so that a reader of a failing test sees it.
#[tokio::test]
async fn a_finding_says_what_was_found() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.record(4).await;
        desk.tamper("DELETE FROM audit_log WHERE seq IN (2, 3)").await;
        let problem = desk.verify().await.problem;
        let detail = "missing: rows 2 to 3; the next one there is has number 4".to_owned();
        assert_eq!(problem, Some(Problem { seq: 2, kind: ProblemKind::Removed, detail }));
        let count =
            query("SELECT COUNT(*) FROM audit_log").fetch_one(&mut *desk.db.read().await.unwrap()).await;
        assert_eq!(count.unwrap().get::<i64, _>(0), 2, "looking changes nothing");
    }
}

/// As a standby that was behind when it took over: the connections end, and what answers then lacks the newest rows.
#[tokio::test]
async fn a_server_that_lacks_what_was_committed_is_written_to_no_more() {
    for database in databases().await {
        if database.folder().is_some() {
            continue;
        }
        let desk = Desk::open(&database).await;
        for _ in 0..3 {
            desk.record(1).await;
        }
        let mut behind = sqlx::AnyConnection::connect(&database.url).await.unwrap();
        let lost = "DELETE FROM audit_log WHERE seq = 3; DELETE FROM audit_heads WHERE seq = 3; \
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::Executor::execute(&mut behind, lost).await.unwrap();
        let write = async || {
            let entry = AuditEntry::by_system(AT, "order.accepted").on("order", 1);
            let done = desk.db.write(move |tx| {
                tx.record(entry);
                Box::pin(async { Ok::<_, StorageError>(()) })
            });
            done.await
        };
        // The first one finds its connection gone.
        assert!(matches!(write().await, Err(StorageError::NotCommitted(_))));
        assert!(matches!(write().await, Err(StorageError::WentBack)));
        assert!(matches!(write().await, Err(StorageError::Distrusted)));
        let rows = query("SELECT MAX(seq) FROM audit_log").fetch_one(&mut behind).await.unwrap();
        assert_eq!(rows.get::<i64, _>(0), 2);
        // Whoever starts it again has seen to it.
        let again = database.open(Some(Arc::new(Chain::new(desk.key.clone())))).await;
        let desk = Desk { db: again, ..desk };
        desk.record(1).await;
    }
}

/// The server ended the connection and has everything: the next write makes another.
#[tokio::test]
async fn a_server_that_was_away_is_written_to_again() {
    for database in databases().await {
        if database.folder().is_some() {
            continue;
        }
        let desk = Desk::open(&database).await;
        desk.record(2).await;
        let mut other = sqlx::AnyConnection::connect(&database.url).await.unwrap();
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::Executor::execute(&mut other, ended).await.unwrap();
        let nothing = desk.db.write(|_| Box::pin(async { Ok::<_, StorageError>(()) })).await;
        assert!(matches!(nothing, Err(StorageError::NotCommitted(_))), "{nothing:?}");
        desk.record(1).await;
        assert_eq!(desk.verify().await.rows, 3);
    }
}
