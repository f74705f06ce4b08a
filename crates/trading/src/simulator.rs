//! The whole order path in one thread, with everything around it that can fail: a simulator that a seed repeats.
//!
//! The core of an account and the exchange of the paper venue are the real ones. The disk, the network, the clock, the
//! market and the clients are simulated, and chance decides what they do wrong: requests and answers are lost, delayed
//! and doubled, the stream drops, doubles and reorders, the venue dies and hangs, the disk is full, the desk is killed
//! between any two of its steps and comes back with what was on the disk, orders are made outside the desk, executions
//! are corrected and taken back, the kill switch is pulled.
//!
//! [`run`] lives through one seed: a time of trouble, then peace, and then the checks of [`checker`]. What it finds is a
//! [`Violation`] with the seed that repeats it, to the last event.

pub(crate) mod checker;
mod clients;
pub(crate) mod journal;
mod network;
mod plan;
mod process;
mod world;

use std::fmt;
use std::time::Duration;

use domain::Timestamp;

pub use self::plan::{Disk, Plan};

/// What one seed lived through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Orders that lived: accepted by the desk, or made outside.
    pub orders: usize,
    /// Executions at the venue.
    pub executions: usize,
    /// Times the desk was killed.
    pub crashes: usize,
    /// Times the venue went away.
    pub outages: usize,
    /// Requests, answers and events that were lost, doubled or came late.
    pub faults: usize,
    /// Orders whose outcome was unknown at some time.
    pub unknowns: usize,
    /// Time that passed in the simulation.
    pub lasted: Duration,
    /// A hash over everything that happened, in order: the same for the same seed.
    pub trace: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The seed that repeats it.
    pub seed: u64,
    /// When, in the simulation.
    pub at: Timestamp,
    /// Which promise.
    pub promise: &'static str,
    /// How.
    pub detail: String,
    /// The last things that happened before.
    pub before: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} at {}: {}", self.seed, self.promise, self.at, self.detail)?;
        self.before.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Violation {}

/// Lives through one seed.
///
/// # Errors
/// A promise was broken.
pub fn run(seed: u64) -> Result<Report, Box<Violation>> {
    world::World::new(seed, Plan::of(seed)).run()
}

/// Lives through one seed and keeps everything that happened, for people.
///
/// # Errors
/// A promise was broken.
pub fn tell(seed: u64, line: fn(&str)) -> Result<Report, Box<Violation>> {
    let mut world = world::World::new(seed, Plan::of(seed));
    world.tell = Some(line);
    world.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that the tests live through; `STOCKADE_SEEDS=from..to` chooses others.
    fn seeds() -> std::ops::Range<u64> {
        let wanted = std::env::var("STOCKADE_SEEDS").ok();
        let parsed = wanted.as_deref().and_then(|text| {
            let (from, to) = text.split_once("..")?;
            Some(from.parse().ok()?..to.parse().ok()?)
        });
        parsed.unwrap_or(0..500)
    }

    #[test]
    fn no_seed_breaks_a_promise() {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let next = std::sync::atomic::AtomicU64::new(seeds().start);
        let live = || {
            let mut reports = Vec::new();
            loop {
                let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if !seeds().contains(&seed) {
                    return reports;
                }
                reports.push(run(seed).unwrap_or_else(|violation| panic!("{violation}")));
            }
        };
        let reports: Vec<Report> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(live)).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("a promise was broken, see above"))
                .collect()
        });
        let sum = |figure: fn(&Report) -> usize| reports.iter().map(figure).sum::<usize>();
        let (orders, crashes) = (sum(|report| report.orders), sum(|report| report.crashes));
        let (unknowns, faults) = (sum(|report| report.unknowns), sum(|report| report.faults));
        println!("{orders} orders, {crashes} crashes, {unknowns} unknown outcomes, {faults} faults");
        assert!(orders > 0 && crashes > 0 && unknowns > 0, "the seeds are too tame to show anything");
    }

    /// A day on which the desk is killed every few seconds.
    fn deadly(seed: u64, disk: Disk) -> Result<Report, Box<Violation>> {
        world::World::new(seed, Plan { crashes: 15.0, disk, ..Plan::of(seed) }).run()
    }

    #[test]
    fn a_power_cut_takes_what_was_not_committed_and_nothing_else() {
        let mut crashes = 0;
        for seed in 0..40 {
            let report =
                deadly(seed, Disk::OnlyWhatWasSynced).unwrap_or_else(|violation| panic!("{violation}"));
            crashes += report.crashes;
        }
        assert!(crashes > 400, "{crashes} power cuts show little");
    }

    #[test]
    fn a_disk_that_confirms_what_it_does_not_keep_is_found_out() {
        let broken: Vec<&str> = (0..10)
            .filter_map(|seed| deadly(seed, Disk::Lies).err())
            .map(|violation| violation.promise)
            .collect();
        assert!(broken.contains(&"P1 no lost order"), "{broken:?}");
    }

    /// `STOCKADE_TELL=seed` tells everything that happens in one seed.
    #[test]
    fn a_seed_can_be_told() {
        let seed = std::env::var("STOCKADE_TELL").ok().and_then(|text| text.parse().ok());
        let line: fn(&str) = if seed.is_some() { |line| println!("{line}") } else { |_| () };
        let told = tell(seed.unwrap_or(3), line);
        assert!(told.is_ok(), "{}", told.unwrap_err());
    }

    #[test]
    fn a_seed_repeats_itself_to_the_last_event() {
        for seed in [1, 7, 42] {
            assert_eq!(run(seed).unwrap(), run(seed).unwrap(), "seed {seed}");
        }
    }
}
