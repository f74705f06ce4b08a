//! Lives through seeds of the simulator for as long as asked, on every core, and prints what it saw.
//!
//! `soak --minutes 20 --from 1000000`: another first seed is another soak. A broken promise ends it with exit code 1 and
//! the seed that repeats it: `soak --tell SEED` tells everything that happens in it.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use trading::simulator::{self, Report, Violation};

/// What all seeds so far add up to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    orders: usize,
    executions: usize,
    crashes: usize,
    outages: usize,
    faults: usize,
    unknowns: usize,
    lasted: Duration,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.orders += report.orders;
        self.executions += report.executions;
        self.crashes += report.crashes;
        self.outages += report.outages;
        self.faults += report.faults;
        self.unknowns += report.unknowns;
        self.lasted += report.lasted;
    }

    fn print(&self, took: Duration, workers: usize) {
        let a_second = self.orders as f64 / took.as_secs_f64() / workers as f64;
        println!(
            "{} seeds, {:.1} simulated hours: {} orders ({a_second:.0} a second and core), {} executions, {} kills of the \
             desk, {} outages of the venue, {} faults on the wire, {} unknown outcomes resolved",
            self.seeds,
            self.lasted.as_secs_f64() / 3_600.0,
            self.orders,
            self.executions,
            self.crashes,
            self.outages,
            self.faults,
            self.unknowns,
        );
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    if let Some(seed) = number("--tell") {
        return match simulator::tell(seed, |line| println!("{line}")) {
            Ok(report) => {
                println!("{report:?}");
                ExitCode::SUCCESS
            }
            Err(violation) => broken(&violation),
        };
    }
    let lasts = Duration::from_secs(60 * number("--minutes").unwrap_or(20));
    soak(lasts, number("--from").unwrap_or(0))
}

fn soak(lasts: Duration, from: u64) -> ExitCode {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let (sum, found) = (Mutex::new(Sum::default()), Mutex::new(None::<Box<Violation>>));
    let begun = Instant::now();
    let work = || {
        while begun.elapsed() < lasts && !stop.load(Ordering::Relaxed) {
            match simulator::run(next.fetch_add(1, Ordering::Relaxed)) {
                Ok(report) => {
                    let mut sum = sum.lock().expect("nobody panics while adding");
                    sum.add(&report);
                    if sum.seeds % 500 == 0 {
                        sum.print(begun.elapsed(), workers);
                    }
                }
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    *found.lock().expect("nobody panics while noting") = Some(violation);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    sum.into_inner().expect("all workers are done").print(begun.elapsed(), workers);
    match found.into_inner().expect("all workers are done") {
        Some(violation) => broken(&violation),
        None => {
            println!("no promise was broken");
            ExitCode::SUCCESS
        }
    }
}

fn broken(violation: &Violation) -> ExitCode {
    println!("A PROMISE WAS BROKEN\n{violation}");
    ExitCode::FAILURE
}
