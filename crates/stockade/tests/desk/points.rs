//! `kill -9` at each of the places where an order stands between two certainties: in the code, and between desk and venue.

use crate::pair::point;
use crate::relay::{Place, Relay};
use crate::running::Running;
use crate::trial::{Ground, spread};

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
/// Requests to the venue that change something, in every run at least.
const REQUESTS: usize = 40;
/// With the two between desk and venue.
const PLACES: usize = POINTS.len() + 2;
const ORDERS: usize = 50;
/// `STOCKADE_KILLS` asks for another number.
const KILLS: usize = 39;

/// Kills for each of so many places.
fn kills(places: usize) -> usize {
    std::env::var("STOCKADE_KILLS").map_or(KILLS, |text| text.parse().unwrap()).div_ceil(places)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_dies_on_an_orders_way_both_ledgers_agree_afterwards() {
    let mut ground = Ground::new().await;
    for (point, passes) in POINTS {
        for nth in spread(kills(PLACES), *passes) {
            let mut doomed = ground.desks.command(&["run"]);
            doomed.env("STOCKADE_KILL_AT", format!("{point}:{nth}"));
            let died = ground.live_through(&format!("{point}-{nth}"), ORDERS, doomed).await;
            assert!(died, "{point} was not passed {nth} times");
        }
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_or_not_the_venue_has_it_when_the_desk_dies_an_order_is_there_once() {
    let mut ground = Ground::new().await;
    let relay = Relay::start(ground.venue.address().parse().unwrap()).await;
    point(&ground.desks, &ground.venues, &relay.url());
    for (name, place) in [("K5", Place::Out), ("K6", Place::Answered)] {
        for nth in spread(kills(PLACES), REQUESTS) {
            let doomed = ground.desks.command(&["run"]);
            let aim = |desk: &Running| relay.aim(desk.pid(), place, nth);
            let died = ground.live_with(&format!("{name}-{nth}"), ORDERS, doomed, aim).await;
            assert!(died, "{name}: there were not {nth} requests");
        }
    }
    println!("{}", ground.summary());
}
