//! What goes wrong in a run, and how often: drawn from the seed, so that every seed is another kind of bad day.

use std::time::Duration;

use crate::venue::random::Dice;

/// What is on the disk after a crash, beside what was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// What was being written is there or not: the program was killed.
    Unsure,
    /// Nothing of what was being written: the power was cut.
    OnlyWhatWasSynced,
    /// Not even what was confirmed last. Nothing can be promised on such a disk; it shows that the checker looks.
    Lies,
}

/// How bad the day is. Shares are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long the trouble lasts.
    pub trouble: Duration,
    /// Clients that trade.
    pub clients: usize,
    /// Of requests: the connection is refused.
    pub not_reached: f64,
    /// Of requests: lost on the way.
    pub lose_request: f64,
    /// Of answers: lost on the way back.
    pub lose_answer: f64,
    /// Of requests: delivered twice.
    pub double_request: f64,
    /// Of requests: delivered much later, after the desk has stopped waiting for an answer.
    pub slow: f64,
    /// Of events: dropped from a stream that looks healthy.
    pub drop_event: f64,
    /// Of events: told twice.
    pub double_event: f64,
    /// Of events: told late, after those that follow.
    pub late_event: f64,
    /// How often a minute the stream is cut.
    pub cuts: f64,
    /// How often a minute the desk is killed.
    pub crashes: f64,
    /// What is then on the disk.
    pub disk: Disk,
    /// How often a minute the venue goes away.
    pub outages: f64,
    /// How often a minute the disk is full for a while.
    pub full_disks: f64,
    /// How often a minute somebody trades outside the desk.
    pub outsiders: f64,
    /// How often a minute an execution is corrected or taken back.
    pub amendments: f64,
    /// How often a minute the kill switch is pulled.
    pub kills: f64,
    /// How often a minute the market is silent for a while.
    pub silences: f64,
    /// Orders just taken are not listed for so long.
    pub listing_lag: Duration,
    /// Whether the broker refuses an id that it has seen.
    pub refuses_duplicates: bool,
    /// How long "not there" proves nothing.
    pub settle_window: Duration,
    /// Requests that the broker takes in a minute.
    pub requests_per_minute: u32,
}

impl Plan {
    /// The day of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5EED);
        // Most faults are absent on most days, so that each is also seen alone.
        let mut share = |most: f64| {
            let hit = dice.says(0.5);
            let size = dice.below(100) as f64 / 100.0;
            if hit { most * size } else { 0.0 }
        };
        let faults = [
            share(0.2),
            share(0.2),
            share(0.2),
            share(0.1),
            share(0.1),
            share(0.5),
            share(0.3),
            share(0.3),
            share(4.0),
            share(4.0),
            share(2.0),
            share(1.0),
            share(3.0),
            share(4.0),
            share(1.0),
            share(1.0),
        ];
        let [
            not_reached,
            lose_request,
            lose_answer,
            double_request,
            slow,
            drop_event,
            double_event,
            late_event,
            cuts,
            crashes,
            outages,
            full_disks,
            outsiders,
            amendments,
            kills,
            silences,
        ] = faults;
        let settle = [2, 10, 30][dice.below(3)];
        Self {
            trouble: Duration::from_secs(60 + dice.below(120) as u64),
            clients: 1 + dice.below(4),
            not_reached,
            lose_request,
            lose_answer,
            double_request,
            slow,
            drop_event,
            double_event,
            late_event,
            cuts,
            crashes,
            disk: Disk::Unsure,
            outages,
            full_disks,
            outsiders,
            amendments,
            kills,
            silences,
            listing_lag: Duration::from_millis([0, 0, 200, 1_500][dice.below(4)]),
            refuses_duplicates: dice.says(0.7),
            settle_window: Duration::from_secs(settle),
            requests_per_minute: [600, 6_000, 1_200_000][dice.below(3)],
        }
    }
}
