//! `kill -9` at each of the places in the code where an order stands between two certainties.

use crate::trial::Ground;

/// The points, each with how often a run of the scenario passes it at least.
const POINTS: &[(&str, usize)] = &[
    ("K0", 40),
    ("K1", 40),
    ("K2", 40),
    ("K3", 30),
    ("K4", 30),
    ("K7", 30),
    ("K8", 40),
    ("K9", 40),
    ("K10", 30),
    ("K11", 10),
    ("K12", 10),
];
const ORDERS: usize = 50;
/// `STOCKADE_KILLS` asks for another number.
const KILLS: usize = 33;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_dies_on_an_orders_way_both_ledgers_agree_afterwards() {
    let mut ground = Ground::new().await;
    let kills = std::env::var("STOCKADE_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    for (point, passes) in POINTS {
        for nth in spread(kills.div_ceil(POINTS.len()), *passes) {
            let mut doomed = ground.desks.command(&["run"]);
            doomed.env("STOCKADE_KILL_AT", format!("{point}:{nth}"));
            let died = ground.live_through(&format!("{point}-{nth}"), ORDERS, doomed).await;
            assert!(died, "{point} was not passed {nth} times");
        }
    }
    println!("{}", ground.summary());
}

/// So many numbers from 1 to `last`, evenly spread, the first and the last among them.
fn spread(count: usize, last: usize) -> impl Iterator<Item = usize> {
    let count = count.clamp(1, last);
    (0..count).map(move |nth| 1 + nth * (last - 1) / (count - 1).max(1))
}
