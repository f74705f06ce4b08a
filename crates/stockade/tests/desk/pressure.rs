//! A machine that gives a desk too little: of time, of processors, of open files; and clients that take without reading.

use std::fs::OpenOptions;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::SinkExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;

use crate::running::{Home, PATIENCE, Running};
use crate::socket;
use crate::trader::Trader;
use crate::trial::{End, Ground, kills};

const ORDERS: usize = 50;
/// Processes that do nothing but compute.
const BUSY: usize = 8;
/// Open files that a desk may have, and clients that want one each.
const FILES: usize = 192;
const CLIENTS: usize = 300;
/// Bytes that a pipe holds.
const PIPE: u64 = 64 << 10;
/// What a client that does not read may cost a desk at most.
const MEMORY_KIB: u64 = 128 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_that_stands_still_again_and_again_loses_nothing_and_sends_nothing_twice() {
    let mut ground = Ground::new().await;
    ground.is_patient = true;
    let pauses = 4 * kills(1);
    let stutter = |desk: &Running| {
        let desk = desk.pid();
        tokio::spawn(stutter(desk, pauses));
    };
    let desk = ground.desks.command(&["run"]);
    assert_eq!(ground.live_with("stutters", ORDERS, desk, stutter).await, End::Lived);
    println!("{}", ground.summary());
}

/// Stops and wakes a process so many times: longer and shorter than it takes standing still for harmless.
async fn stutter(desk: Pid, times: usize) {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..times {
        for signal in [Signal::STOP, Signal::CONT] {
            if kill_process(desk, signal).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(50..900))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_among_many_busy_processes_answers_all_the_same() {
    let mut ground = Ground::new().await;
    ground.is_patient = true;
    let busy: Vec<Child> = (0..BUSY)
        .map(|_| Command::new("sh").args(["-c", "while :; do :; done"]).kill_on_drop(true).spawn().unwrap())
        .collect();
    let desk = ground.desks.command(&["run"]);
    assert_eq!(ground.live_through("starved", ORDERS, desk).await, End::Lived);
    drop(busy);
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_take_the_open_files_that_an_order_needs() {
    let home = Home::new();
    let limit = format!("--nofile={FILES}");
    let desk = Running::spawn(home.wrapped(&["prlimit", &limit], &["run"])).await;
    let trader = Trader::new(desk.set_up().await).await;

    let elsewhere = IpAddr::from([127, 0, 0, 2]);
    let mut crowd = Vec::new();
    for _ in 0..CLIENTS {
        // Beyond its places the desk hangs up at once, and that is an answer too.
        crowd.extend(socket::plain(&desk.url, elsewhere).await);
    }
    for nth in 0..10 {
        let order = trader.place(&format!("crowded-{nth}")).await;
        trader.until(&order, "working").await;
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", desk.pid())).unwrap().count();
    assert!(open < FILES, "the desk has no open file left");
    drop(crowd);
    let comes_in = async {
        while socket::secure(&desk.url, elsewhere).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, comes_in).await.expect("there is room again");
    assert!(desk.stop().await, "SIGTERM is a good end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_neither_orders_nor_cancels_nor_the_kill_switch() {
    let home = Home::new();
    let pipe = home.file("log");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    // Opened to be read, and never is.
    let log = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let shell = ["sh", "-c", "exec \"$@\" 2>\"$STOCKADE_HOME/log\"", "sh"];
    let mut command = home.wrapped(&shell, &["run"]);
    command.env("STOCKADE_LOG", "trace");
    let desk = Running::spawn(command).await;
    let trader = Trader::new(desk.set_up().await).await;
    let full = async {
        let mut held = 0;
        loop {
            let holds = ioctl_fionread(&log).unwrap();
            // A line that does not fit into what is left waits for more room.
            if holds > 0 && holds == held {
                return holds;
            }
            held = holds;
            trader.session.get("/accounts").await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, full).await.expect("the pipe fills up");
    assert!(held > PIPE / 2, "{held} bytes are in the pipe");

    for nth in 0..10 {
        let order = trader.place(&format!("unread-{nth}")).await;
        trader.until(&order, "working").await;
        trader.cancel(&order).await;
    }
    let works = trader.place("works").await;
    trader.until(&works, "working").await;
    let kill = json!({ "scope": "desk", "reason": "the log is full" });
    let (status, engaged) = trader.session.call(Method::POST, "/kill-switches", Some(kill)).await.unwrap();
    assert!(status.is_success(), "{status} {engaged}");
    trader.until(&works, "canceled").await;
    let (_, refused) = trader.try_place(trader.wish("after")).await;
    assert_eq!(refused["code"], "kill_switch", "{refused}");
    assert!(desk.stop().await, "SIGTERM is a good end");
    assert_eq!(ioctl_fionread(&log).unwrap(), held, "nothing was read, so nothing more was written");
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_cut_and_costs_little() {
    let home = Home::new();
    let desk = home.start().await;
    let trader = Trader::new(desk.set_up().await).await;
    let memory = memory_kib(&desk);
    let cookie = trader.session.cookie().await;
    let mut stream = socket::stream(&desk.url, &cookie).await;
    // Each of these is answered with thousands of refusals, which nobody takes.
    let nonsense = json!({ "action": "subscribe", "topics": vec!["x"; 10_000] }).to_string();
    let cut = async { while stream.send(Message::text(nonsense.clone())).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, cut).await.expect("it is cut");
    for nth in 0..3 {
        let order = trader.place(&format!("beside-{nth}")).await;
        trader.until(&order, "working").await;
    }
    assert!(memory_kib(&desk) < memory + MEMORY_KIB, "it cost {} KiB", memory_kib(&desk) - memory);
    assert!(desk.stop().await, "SIGTERM is a good end");
}

/// What a process has in memory.
fn memory_kib(desk: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", desk.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
