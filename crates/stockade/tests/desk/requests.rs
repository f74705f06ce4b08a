//! `kill -9` when a request to the venue is out, and when its answer is on the way.

use crate::pair::point;
use crate::relay::{Place, Relay};
use crate::running::Running;
use crate::trial::{End, Ground, kills, spread};

const ORDERS: usize = 50;
/// Requests to the venue that change something, in every run at least.
const REQUESTS: usize = 40;
/// If `STOCKADE_KILLS` does not ask for another number.
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_or_not_the_venue_has_it_when_the_desk_dies_an_order_is_there_once() {
    let mut ground = Ground::new().await;
    let relay = Relay::start(ground.venue.address().parse().unwrap()).await;
    point(&ground.desks, &ground.venues, &relay.url());
    for (name, place) in [("K5", Place::Out), ("K6", Place::Answered)] {
        for nth in spread(kills(KILLS) / 2, REQUESTS) {
            let doomed = ground.desks.command(&["run"]);
            let aim = |desk: &Running| relay.aim(desk.pid(), place, nth);
            let end = ground.live_with(&format!("{name}-{nth}"), ORDERS, doomed, aim).await;
            assert_eq!(end, End::Died, "{name}: there were not {nth} requests");
        }
    }
    println!("{}", ground.summary());
}
