//! `kill -9`, an error and a delay at each of the places in the code where an order stands between two certainties.

use crate::trial::{End, Ground, kills, spread};

/// A place in the code.
struct Point {
    name: &'static str,
    /// How often a run of the scenario passes it at least.
    passes: usize,
    /// Whether something can fail there, or is only done in memory.
    fails: bool,
}

const fn point(name: &'static str, passes: usize, fails: bool) -> Point {
    Point { name, passes, fails }
}

const POINTS: [Point; 11] = [
    point("K0", 40, true),
    point("K1", 40, false),
    point("K2", 30, true),
    point("K3", 30, false),
    point("K4", 30, true),
    point("K7", 30, false),
    point("K8", 40, true),
    point("K9", 20, false),
    // Events that come at the same time pass it together.
    point("K10", 2, true),
    point("K11", 8, false),
    point("K12", 10, false),
];
const ORDERS: usize = 50;
/// For each point, if `STOCKADE_KILLS` does not ask for another number in all.
const KILLS: usize = 2;
/// The same for all that is not `kill -9` with a file.
const OTHERS: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_dies_on_an_orders_way_both_ledgers_agree_afterwards() {
    let mut ground = Ground::new().await;
    for point in &POINTS {
        for nth in spread(kills(KILLS * POINTS.len()) / POINTS.len(), point.passes) {
            assert_eq!(live(&mut ground, point, nth, "kill").await, End::Died);
        }
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_dies_on_an_orders_way_its_journal_on_postgresql_says_what_became_of_it() {
    for server in storage::testing::databases().await.into_iter().filter(|one| one.folder().is_none()) {
        let mut ground = Ground::on(Some(server.url)).await;
        for point in &POINTS {
            for nth in late(point) {
                assert_eq!(live(&mut ground, point, nth, "kill").await, End::Died);
            }
        }
        println!("{}", ground.summary());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_something_fails_once_the_desk_goes_on_and_both_ledgers_agree() {
    let mut ground = Ground::new().await;
    for point in POINTS.iter().filter(|point| point.fails) {
        for nth in late(point) {
            assert_eq!(live(&mut ground, point, nth, "error").await, End::Lived);
        }
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_desk_is_held_up_it_goes_on_and_both_ledgers_agree() {
    let mut ground = Ground::new().await;
    for point in &POINTS {
        for nth in late(point) {
            assert_eq!(live(&mut ground, point, nth, "delay").await, End::Lived);
        }
    }
    println!("{}", ground.summary());
}

/// At which passes of a point something happens: not the first, where one has to do.
fn late(point: &Point) -> impl Iterator<Item = usize> {
    spread(kills(OTHERS * POINTS.len()) / POINTS.len() + 1, point.passes).skip(1)
}

/// Runs the scenario through a desk to which something happens when it passes a point for the `nth` time.
async fn live(ground: &mut Ground, point: &Point, nth: usize, what: &str) -> End {
    let mut desk = ground.desks.command(&["run"]);
    desk.env("STOCKADE_FAIL_AT", format!("{}:{nth}={what}", point.name));
    ground.live_through(&format!("{}-{nth}-{what}", point.name), ORDERS, desk).await
}
