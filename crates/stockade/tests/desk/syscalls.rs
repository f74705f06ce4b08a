//! `kill -9` at the n-th durable write and at the n-th word on a socket, from the start of a desk to its end: strace counts
//! the system calls and sends the signal in place of one of them.
//!
//! It counts for each thread by itself. SQLite's writes are all of one thread, so that each of them is met.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;

use crate::running::Home;
use crate::trial::{Ground, spread};

/// What makes a write durable, what writes files, what writes to sockets and reads from them.
const CALLS: [&str; 7] = ["fdatasync", "fsync", "pwrite64", "write", "sendto", "writev", "recvfrom"];
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
    let log = ground.desks.file("calls");
    let record =
        traced(&ground.desks, &["-o", log.to_str().unwrap(), "-e", &format!("trace={}", CALLS.join(","))]);
    assert!(!ground.live_through("recorded", ORDERS, record).await);
    let made = count(&log);
    println!("{made:?}");

    let kills = std::env::var("STOCKADE_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    for (call, times) in &made {
        for nth in spread(kills / made.len(), *times) {
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let doomed =
                traced(&ground.desks, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            let name = format!("{call}-{nth}");
            if !ground.live_through(&name, ORDERS, doomed).await {
                println!("{name}: there were fewer this time");
            }
        }
    }
    println!("{}", ground.summary());
}

/// A desk under strace, which stands beside it: the desk is still our child.
fn traced(home: &Home, options: &[&str]) -> Command {
    let mut words = vec!["strace", "-D", "-f", "-qq"];
    words.extend(options);
    home.wrapped(&words, &["run"])
}

/// How often each call was made by the thread that made it most.
fn count(log: &Path) -> BTreeMap<&'static str, usize> {
    let log = std::fs::read_to_string(log).unwrap();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines() {
        // `4711  fdatasync(12) = 0`
        let Some((thread, call)) = line.split_once(' ') else { continue };
        if let Some(known) = CALLS.iter().find(|known| call.trim_start().starts_with(&format!("{known}("))) {
            *counts.entry((thread, known)).or_default() += 1;
        }
    }
    CALLS
        .into_iter()
        .filter_map(|call| {
            Some((call, counts.iter().filter(|((_, one), _)| *one == call).map(|(_, n)| *n).max()?))
        })
        .collect()
}

/// Whether there is strace and it may trace. On a machine of the project's own it must.
async fn strace_works() -> bool {
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
