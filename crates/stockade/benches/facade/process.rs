//! What the system knows of a process.

use std::time::Duration;

use rustix::process::Pid;

/// Ticks of the processor's time in a second, on every Linux.
const TICKS: u64 = 100;

fn read(pid: Pid, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid())).expect("the process is running")
}

/// Time that processors worked for it, in the program and in the system.
pub(crate) fn processor_time(pid: Pid) -> Duration {
    let stat = read(pid, "stat");
    // The name is in parentheses and may hold anything; the times are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')').expect("it has a name");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// What is in memory, all of it: program, heap and stacks, in millions of bytes.
pub(crate) fn memory_mb(pid: Pid) -> f64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024.0 / 1e6
}
