//! `kill -9` at the n-th durable write and at the n-th word on a socket, from the start of a desk to its end: strace counts
//! the system calls and sends the signal in place of one of them.
//!
//! It counts for each thread by itself. SQLite's writes are all of one thread, so that each of them is met.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokio::process::Command;

use crate::running::{Home, Running};
use crate::trial::{End, Ground, kills, spread};

/// What makes a write durable, what writes files, what writes to sockets and reads from them.
const CALLS: [&str; 7] = ["fdatasync", "fsync", "pwrite64", "write", "sendto", "writev", "recvfrom"];
/// What makes files of a first start: of the schema, keys, the certificate.
const FILES: [&str; 5] = ["fsync", "pwrite64", "write", "rename", "linkat"];
/// One round of the scenario.
const ORDERS: usize = 7;
/// `STOCKADE_KILLS` asks for another number.
const KILLS: usize = 28;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_system_call_is_the_desks_last_no_order_is_lost_and_none_is_sent_twice() {
    if !strace_works().await {
        return;
    }
    let mut ground = Ground::new().await;
    let made = record(&mut ground).await;
    let mut missed = 0;
    for (call, times) in made.iter().filter(|(call, _)| CALLS.contains(call)) {
        for nth in spread(kills(KILLS) / CALLS.len(), *times) {
            let doomed = killed_at(&ground.desks, call, nth);
            // No two lives are the same: this one may have come to its end with fewer.
            missed +=
                usize::from(ground.live_through(&format!("{call}-{nth}"), ORDERS, doomed).await != End::Died);
        }
    }
    println!("{}; {missed} were never hit", ground.summary());
    assert!(missed < ground.kills, "most were never hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_disk_refuses_and_when_no_order_is_lost_and_none_is_sent_twice() {
    if !strace_works().await {
        return;
    }
    let mut ground = Ground::new().await;
    let made = record(&mut ground).await;
    // A sync that fails once, a write that fails once, and a disk that is full for a while.
    for (call, error, times) in [("fsync", "EIO", 1), ("pwrite64", "EIO", 1), ("pwrite64", "ENOSPC", 40)] {
        for nth in spread(kills(KILLS) / CALLS.len(), made[call]) {
            let inject = format!("inject={call}:error={error}:when={nth}..{}", nth + times - 1);
            let doomed = injected(&ground.desks, call, &inject);
            let name = format!("{call}-{error}-{nth}");
            println!("{name}: {:?}", ground.live_through(&name, ORDERS, doomed).await);
        }
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_that_died_anywhere_in_its_first_start_starts_the_second_time() {
    if !strace_works().await {
        return;
    }
    let home = Home::new();
    let log = home.file("calls");
    let first = Running::spawn(recorded(&home, &log)).await;
    assert!(first.stop().await, "SIGTERM is a good end");
    let made = count(&log);
    let mut died = 0;
    for (call, times) in made.iter().filter(|(call, _)| FILES.contains(call)) {
        for nth in spread(kills(KILLS) / FILES.len(), *times) {
            let home = Home::new();
            let doomed = Running::try_spawn(killed_at(&home, call, nth)).await;
            // Listening already, it may still be on its way to the end of what a first start does.
            died += match doomed {
                Some(desk) => usize::from(!desk.stop().await),
                None => 1,
            };
            let heir = Running::try_spawn(home.command(&["run"])).await;
            let heir =
                heir.unwrap_or_else(|| panic!("killed at {call} {nth}, the desk does not start again"));
            heir.set_up().await;
            assert!(heir.stop().await, "killed at {call} {nth}: SIGTERM is a good end");
            let (good, report) = home.run(&["audit", "verify"]).await;
            assert!(good, "killed at {call} {nth}: {report}");
        }
    }
    println!("{died} desks died; each started the second time");
    assert!(died > 0, "no desk died");
}

/// A desk under strace, which stands beside it: the desk is still our child.
pub(crate) fn traced(home: &Home, options: &[&str]) -> Command {
    let mut words = vec!["strace", "-D", "-f", "-qq"];
    words.extend(options);
    home.wrapped(&words, &["run"])
}

/// A desk whose system calls are written down.
fn recorded(home: &Home, log: &Path) -> Command {
    let calls: BTreeSet<&str> = CALLS.into_iter().chain(FILES).collect();
    let calls: Vec<&str> = calls.into_iter().collect();
    traced(home, &["-o", log.to_str().unwrap(), "-e", &format!("trace={}", calls.join(","))])
}

/// A desk that is killed in place of a system call.
fn killed_at(home: &Home, call: &str, nth: usize) -> Command {
    injected(home, call, &format!("inject={call}:signal=SIGKILL:when={nth}"))
}

fn injected(home: &Home, call: &str, inject: &str) -> Command {
    traced(home, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", inject])
}

/// How often a desk makes each call in one life.
async fn record(ground: &mut Ground) -> BTreeMap<&'static str, usize> {
    let log = ground.desks.file("calls");
    let doomed = recorded(&ground.desks, &log);
    assert_eq!(ground.live_through("recorded", ORDERS, doomed).await, End::Lived);
    count(&log)
}

/// How often each call was made by the thread that made it most.
fn count(log: &Path) -> BTreeMap<&'static str, usize> {
    let log = std::fs::read_to_string(log).unwrap();
    let mut of_threads: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        // `4711  fdatasync(12) = 0`
        let words = line
            .split_once(' ')
            .and_then(|(thread, rest)| Some((thread, rest.trim_start().split_once('(')?.0)));
        if let Some(thread_and_call) = words {
            *of_threads.entry(thread_and_call).or_default() += 1;
        }
    }
    let mut counts = BTreeMap::new();
    for ((_, call), times) in of_threads {
        if let Some(known) = CALLS.into_iter().chain(FILES).find(|known| *known == call) {
            let most: &mut usize = counts.entry(known).or_default();
            *most = times.max(*most);
        }
    }
    counts
}

/// Whether there is strace and it may trace. On a machine of the project's own it must.
pub(crate) async fn strace_works() -> bool {
    let tried = Command::new("strace").args(["-D", "-f", "-qq", "-o", "/dev/null", "true"]).output().await;
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("CI").is_none(), "strace does not work here: {why}");
    println!("SKIPPED: strace does not work here: {why}");
    false
}
