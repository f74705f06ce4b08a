//! A database server that crashes while orders flow, and a database file that somebody else holds.

use std::path::Path;
use std::process::Stdio;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::books::Books;
use crate::pair::pair;
use crate::running::{PATIENCE, Running};
use crate::trader::Trader;
use crate::trial::{End, Ground, kills};

const ORDERS: usize = 50;
/// If `STOCKADE_KILLS` does not ask for another number.
const CRASHES: usize = 6;
const IN_ONE_LIFE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_database_server_crashes_the_desk_goes_on_with_it_and_no_order_is_lost_or_sent_twice() {
    let Some(server) = Server::start().await else { return };
    let mut ground = Ground::on(Some(server.url.clone())).await;
    ground.is_patient = true;
    for life in 1..=(kills(CRASHES) / IN_ONE_LIFE).max(1) {
        let crash = |_: &Running| {
            tokio::spawn(crash(server.url.clone(), IN_ONE_LIFE));
        };
        let desk = ground.desks.command(&["run"]);
        let end = ground.live_with(&format!("crashes-{life}"), ORDERS, desk, crash).await;
        assert_eq!(end, End::Lived, "the desk has to go on by itself");
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_somebody_holds_the_database_nothing_new_is_sent_reads_go_on_and_afterwards_all_goes_on() {
    let (venues, _venue, desks) = pair().await;
    let desk = desks.start().await;
    let trader = Trader::new(desk.set_up().await).await;
    let before = trader.place("before").await;
    trader.until(&before, "working").await;

    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&desks.database()).await.unwrap();
    while other.execute("BEGIN EXCLUSIVE").await.is_err() {}
    let (status, answer) = trader.try_place(trader.wish("held")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("journal_unavailable")));
    assert_eq!(trader.session.get(&format!("/orders/{before}")).await["status"], "working");
    let quotes = trader.session.get("/market/symbols").await;
    assert!(!quotes["items"].as_array().unwrap().is_empty(), "reads go on");
    other.execute("ROLLBACK").await.unwrap();

    let again = async {
        while trader.try_place(trader.wish("after")).await.0 == StatusCode::SERVICE_UNAVAILABLE {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it goes on without a restart");
    trader.cancel(&before).await;
    assert!(desk.stop().await, "SIGTERM is a good end");
    let books = Books::read(&desks.database(), &venues.file("paper.db")).await;
    books.check();
    assert_eq!(books.orders.keys().collect::<Vec<_>>(), ["after", "before"], "what was refused is nowhere");
}

/// A PostgreSQL of its own, which ends with it.
struct Server {
    url: String,
    // Its end of the pipe is what keeps the server.
    _script: Child,
}

impl Server {
    /// Starts one. Where there is no PostgreSQL this is said; on a machine of the project's own there must be.
    async fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/with-postgres");
        let mut command = Command::new(script);
        command.args(["sh", "-c", "echo \"$STOCKADE_TEST_POSTGRES\"; cat"]);
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(script.stdout.take().unwrap()).lines();
        let Some(url) = said.next_line().await.unwrap() else {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL does not start here");
            println!("SKIPPED: PostgreSQL does not start here");
            return None;
        };
        Some(Self { url, _script: script })
    }
}

/// Kills so many times, one after the other, the process of the server that the desk writes with, in the middle of a
/// transaction. Whatever else the server does ends with it, and it recovers from its log.
async fn crash(url: String, times: usize) {
    let writing = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                   AND backend_xid IS NOT NULL LIMIT 1";
    let mut left = times;
    while left > 0 {
        let Ok(mut connection) = PgConnection::connect(&url).await else { continue };
        while let Ok(pid) = sqlx::query_scalar::<_, i32>(writing).fetch_optional(&mut connection).await {
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                // It may have come to its end by itself.
                left -= usize::from(kill_process(pid, Signal::KILL).is_ok());
                break;
            }
        }
    }
}
