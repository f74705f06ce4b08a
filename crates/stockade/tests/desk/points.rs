//! `kill -9` at each of the places in the code where an order stands between two certainties.

use crate::trial::{End, Ground, kills, spread};

/// The points in the code, each with how often a run of the scenario passes it at least.
const POINTS: &[(&str, usize)] = &[
    ("K0", 40),
    ("K1", 40),
    ("K2", 30),
    ("K3", 30),
    ("K4", 30),
    ("K7", 30),
    ("K8", 40),
    ("K9", 20),
    ("K10", 20),
    ("K11", 8),
    ("K12", 10),
];
const ORDERS: usize = 50;
/// For each point, if `STOCKADE_KILLS` does not ask for another number in all.
const KILLS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_dies_on_an_orders_way_both_ledgers_agree_afterwards() {
    let mut ground = Ground::new().await;
    for (point, passes) in POINTS {
        for nth in spread(kills(KILLS * POINTS.len()) / POINTS.len(), *passes) {
            let mut doomed = ground.desks.command(&["run"]);
            doomed.env("STOCKADE_KILL_AT", format!("{point}:{nth}"));
            let end = ground.live_through(&format!("{point}-{nth}"), ORDERS, doomed).await;
            assert_eq!(end, End::Died, "{point} was not passed {nth} times");
        }
    }
    println!("{}", ground.summary());
}
