//! Harm when a request to the venue is out, and when its answer is on the way: `kill -9`, a connection that breaks, and one that
//! is slow.

use crate::pair::point;
use crate::relay::{Harm, Place, Relay};
use crate::running::Running;
use crate::trial::{End, Ground, kills, spread};

const ORDERS: usize = 50;
/// Requests to the venue that change something, in every run at least.
const REQUESTS: usize = 40;
/// If `STOCKADE_KILLS` does not ask for another number.
const KILLS: usize = 8;
const PLACES: [(&str, Place); 2] = [("K5", Place::Out), ("K6", Place::Answered)];

/// A desk with a relay between it and its venue.
async fn relayed() -> (Ground, Relay) {
    let ground = Ground::new().await;
    let relay = Relay::start(ground.venue.address().parse().unwrap()).await;
    point(&ground.desks, &ground.venues, &relay.url());
    (ground, relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_or_not_the_venue_has_it_when_the_desk_dies_an_order_is_there_once() {
    let (mut ground, relay) = relayed().await;
    for (name, place) in PLACES {
        for nth in spread(kills(KILLS) / 2, REQUESTS) {
            let doomed = ground.desks.command(&["run"]);
            let aim = |desk: &Running| relay.aim(Harm::Kill(desk.pid()), place, nth);
            let end = ground.live_with(&format!("{name}-{nth}"), ORDERS, doomed, aim).await;
            assert_eq!(end, End::Died, "{name}: there were not {nth} requests");
        }
    }
    println!("{}", ground.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_or_not_the_venue_has_it_when_the_connection_breaks_or_stalls_an_order_is_there_once() {
    let (mut ground, relay) = relayed().await;
    for (name, place) in PLACES {
        for harm in [Harm::HangUp, Harm::Delay] {
            for nth in spread(kills(KILLS) / 8, REQUESTS) {
                let desk = ground.desks.command(&["run"]);
                let name = format!("{name}-{harm:?}-{nth}");
                let end = ground.live_with(&name, ORDERS, desk, |_| relay.aim(harm, place, nth)).await;
                assert_eq!(end, End::Lived, "{name}: the desk has to go on by itself");
            }
        }
    }
    println!("{}", ground.summary());
}
