//! What networks and venues do to orders (F-03, F-04, F-05, F-08, F-09, F-10 of the reliability matrix), with the real
//! gateway, the real client, and the real venue behind a proxy that does it: in the venue's own words and in Alpaca's.
//!
//! `STOCKADE_TEST_ROUNDS` says how often each fault is tried, `STOCKADE_TEST_SEED` which dice the proxy has.

use std::time::{Duration, Instant};

use domain::{OrderEvent, Status};
use sandbox::{Reach, StreamTrouble, Trouble};
use storage::testing::databases;
use trading::{Amendment, BrokerStatus, Misbehave, SubmitError};

use crate::desk::{Desk, Wire, buy, is_over, is_settled};

/// How often each fault is tried.
fn rounds() -> usize {
    std::env::var("STOCKADE_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn seed() -> u64 {
    let seed = std::env::var("STOCKADE_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("STOCKADE_TEST_SEED={seed}");
    seed
}

/// Every story in both words.
macro_rules! stories {
    ($($story:ident)+) => {
        mod paper {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::desk::Wire::Paper).await;
            })+
        }

        mod alpaca {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::desk::Wire::Alpaca).await;
            })+
        }
    };
}

stories! {
    f03_an_order_whose_answer_is_lost_on_the_way_is_found_and_never_placed_twice
    f04_an_order_that_never_arrives_is_sent_again_under_its_own_name
    f04_an_order_whose_connection_is_refused_goes_out_when_somebody_listens_again
    f05_an_order_that_a_middle_box_doubles_is_one_order
    f10_answers_that_are_slow_broken_foreign_or_endless_do_no_harm
    f03_a_cancel_whose_answer_is_lost_is_carried_out
    f03_a_replacement_whose_answer_is_lost_leaves_exactly_one_order
    an_order_is_unknown_while_the_venue_hangs_and_resolves_when_it_wakes
    f08_fills_that_a_healthy_stream_does_not_tell_are_found_by_asking
    f09_fills_while_the_stream_is_cut_silent_or_broken_are_all_booked
    f07_events_that_are_doubled_and_reordered_count_once
    f10_a_venue_that_refuses_too_many_requests_gets_the_orders_later_or_refuses_them_clearly
}

/// Nobody waits longer for the desk's answer, whatever the venue does.
const ANSWER: Duration = Duration::from_secs(5);

async fn desk(wire: Wire) -> Desk {
    // The order path over every engine is tested beside it; here it is about the network.
    Desk::open(databases().await.swap_remove(0), seed(), wire).await
}

/// Submits orders, each into one trouble, and lets the desk find out what became of them.
async fn submissions_in(wire: Wire, troubles: &[Trouble]) {
    let desk = desk(wire).await;
    for trouble in troubles {
        for round in 0..rounds() {
            let hits = desk.proxy.hits();
            desk.proxy.trouble_once(*trouble, Reach::Changes);
            let begun = Instant::now();
            // Parentheses are not for names.
            let name = format!("{trouble:?}-{round}").replace(['(', ')'], ".");
            let order = desk.place(buy(&name, "0.01", None)).await;
            assert!(begun.elapsed() < ANSWER, "{trouble:?}: the client waited {:?}", begun.elapsed());
            desk.proxy.until_hits(hits + 1).await;
            // What refuses connections does so until it is over.
            desk.proxy.heal();
            let order = desk.until(order.id, &format!("{trouble:?} ends"), is_over).await;
            assert_eq!(order.status, Status::Filled, "{trouble:?}: {:?}", desk.journal(order.id).await);
            assert_eq!(order.filled, order.quantity, "{trouble:?}");
        }
        desk.until_ready().await;
        desk.agrees().await;
    }
}

async fn f03_an_order_whose_answer_is_lost_on_the_way_is_found_and_never_placed_twice(wire: Wire) {
    submissions_in(wire, &Trouble::AFTER).await;
}

async fn f04_an_order_that_never_arrives_is_sent_again_under_its_own_name(wire: Wire) {
    submissions_in(wire, &[Trouble::DropRequest, Trouble::Blackhole]).await;
}

async fn f04_an_order_whose_connection_is_refused_goes_out_when_somebody_listens_again(wire: Wire) {
    let desk = desk(wire).await;
    for round in 0..rounds() {
        desk.until_ready().await;
        desk.proxy.trouble(Trouble::Refuse, Reach::Changes);
        let order = desk.place(buy(&format!("refused-{round}"), "0.01", None)).await;
        let not_reached = |order: &domain::Order| order.attempts > 1 || order.reason.is_some();
        desk.until(order.id, "it is not reached", not_reached).await;
        desk.proxy.heal();
        let order = desk.until(order.id, "it goes out", is_over).await;
        assert_eq!(order.status, Status::Filled, "{:?}", desk.journal(order.id).await);
        let journal = desk.journal(order.id).await;
        assert!(journal.iter().any(|event| matches!(event, OrderEvent::NotReached { .. })), "{journal:?}");
    }
    desk.until_ready().await;
    desk.agrees().await;
}

async fn f05_an_order_that_a_middle_box_doubles_is_one_order(wire: Wire) {
    submissions_in(wire, &[Trouble::DupRequest]).await;
}

async fn f10_answers_that_are_slow_broken_foreign_or_endless_do_no_harm(wire: Wire) {
    submissions_in(wire, &Trouble::SPOILT).await;
    submissions_in(wire, &[Trouble::Slow(20), Trouble::Lag(20), Trouble::Lag(200)]).await;
}

async fn f03_a_cancel_whose_answer_is_lost_is_carried_out(wire: Wire) {
    let desk = desk(wire).await;
    for trouble in Trouble::AFTER.into_iter().chain(Trouble::BEFORE).chain([Trouble::DupRequest]) {
        for round in 0..rounds() {
            let order = desk.place(buy(&format!("{trouble:?}-{round}"), "0.01", Some("90"))).await;
            desk.until(order.id, "it works", |order| order.status == Status::Working).await;
            let hits = desk.proxy.hits();
            desk.proxy.trouble_once(trouble, Reach::Changes);
            let begun = Instant::now();
            desk.gateway.cancel(&desk.context(), order.id).await.unwrap();
            assert!(begun.elapsed() < ANSWER, "{trouble:?}");
            if trouble != Trouble::Refuse {
                desk.proxy.until_hits(hits + 1).await;
            }
            desk.proxy.heal();
            let canceled = |order: &domain::Order| order.status == Status::Canceled;
            desk.until(order.id, &format!("{trouble:?}: it is canceled"), canceled).await;
        }
        desk.until_ready().await;
        desk.agrees().await;
    }
}

async fn f03_a_replacement_whose_answer_is_lost_leaves_exactly_one_order(wire: Wire) {
    let desk = desk(wire).await;
    for trouble in
        Trouble::AFTER.into_iter().chain([Trouble::DropRequest, Trouble::Blackhole, Trouble::DupRequest])
    {
        for round in 0..rounds() {
            let old = desk.place(buy(&format!("{trouble:?}-{round}"), "0.01", Some("90"))).await;
            desk.until(old.id, "it works", |order| order.status == Status::Working).await;
            let hits = desk.proxy.hits();
            desk.proxy.trouble_once(trouble, Reach::Changes);
            let change = Amendment { limit_price: "91".parse().ok(), ..Amendment::default() };
            let begun = Instant::now();
            let by = desk.gateway.amend(&desk.context(), old.id, &change).await.unwrap();
            assert!(begun.elapsed() < ANSWER, "{trouble:?}");
            desk.proxy.until_hits(hits + 1).await;
            desk.proxy.heal();
            let old = desk.until(old.id, &format!("{trouble:?}: the old order is settled"), is_settled).await;
            let by = desk.until(by.id, &format!("{trouble:?}: the new order is settled"), is_settled).await;
            let working = [&old, &by].into_iter().filter(|order| order.status == Status::Working).count();
            assert_eq!(working, 1, "{trouble:?}: {} and {}", old.status, by.status);
            for id in [old.id, by.id] {
                // What is at its end cannot be canceled, and that is fine.
                let _ = desk.gateway.cancel(&desk.context(), id).await;
            }
            desk.until(by.id, "it is at its end", |order| order.status.is_terminal()).await;
            desk.until(old.id, "it is at its end", |order| order.status.is_terminal()).await;
        }
        desk.until_ready().await;
        desk.agrees().await;
    }
}

async fn an_order_is_unknown_while_the_venue_hangs_and_resolves_when_it_wakes(wire: Wire) {
    let desk = desk(wire).await;
    let hangs = [
        Misbehave { hang_before: 1.0, ..Misbehave::default() },
        Misbehave { hang_after: 1.0, ..Misbehave::default() },
        Misbehave { lose_answer: 1.0, ..Misbehave::default() },
        Misbehave { unavailable: 1.0, ..Misbehave::default() },
    ];
    for (nth, hang) in hangs.into_iter().enumerate() {
        desk.until_ready().await;
        desk.misbehave(hang.clone()).await;
        let order = desk.place(buy(&format!("hang-{nth}"), "0.01", Some("90"))).await;
        // What the venue has done without an answer, its stream tells at once: then there is no doubt to see.
        if hang.hang_before > 0.0 || hang.unavailable > 0.0 {
            desk.until(order.id, "it is unknown", |order| order.status == Status::Unknown).await;
        }
        desk.misbehave(Misbehave::default()).await;
        let order = desk.until(order.id, "it is found", is_settled).await;
        assert_eq!(order.status, Status::Working, "{hang:?}: {:?}", desk.journal(order.id).await);
        desk.gateway.cancel(&desk.context(), order.id).await.unwrap();
        desk.until(order.id, "it is canceled", |order| order.status == Status::Canceled).await;
    }
    desk.until_ready().await;
    desk.agrees().await;
}

async fn f08_fills_that_a_healthy_stream_does_not_tell_are_found_by_asking(wire: Wire) {
    let desk = desk(wire).await;
    // Heartbeats go on, and four of five events are missing.
    desk.misbehave(Misbehave { drop_events: 0.8, ..Misbehave::default() }).await;
    let mut orders = Vec::new();
    for nth in 0..rounds() * 10 {
        orders.push(desk.place(buy(&format!("o{nth}"), "0.001", None)).await.id);
    }
    let truth = desk.truth();
    for id in &orders {
        let answered = |order: &domain::Order| order.broker_order_id.is_some();
        let order = desk.until(*id, "it is acknowledged", answered).await;
        let found = truth.find(&order).await.unwrap().map(|found| found.status);
        assert_eq!(found, Some(BrokerStatus::Filled), "at the venue all are filled");
    }
    // The sweep that is due while orders are open.
    desk.venue.clock.advance(Duration::from_secs(31));
    for id in orders {
        desk.until(id, "it is filled", |order| order.status == Status::Filled).await;
    }
    desk.agrees().await;
}

async fn f09_fills_while_the_stream_is_cut_silent_or_broken_are_all_booked(wire: Wire) {
    let desk = desk(wire).await;
    let breaks: [fn(&Desk); 4] = [
        |desk| desk.proxy.cut_streams(),
        |desk| desk.proxy.trouble_streams(StreamTrouble::Mute),
        |desk| desk.proxy.trouble_streams(StreamTrouble::Garbage),
        |desk| desk.proxy.trouble_streams(StreamTrouble::Oversized),
    ];
    for round in 0..rounds() {
        for (nth, breaks) in breaks.iter().enumerate() {
            desk.until_ready().await;
            let mut orders = Vec::new();
            for order in 0..4 {
                // In the middle of a burst.
                if order == 2 {
                    breaks(&desk);
                }
                let wish = buy(&format!("{round}-{nth}-{order}"), "0.001", None);
                let order = match desk.submit(wish.clone()).await {
                    Ok(submitted) => submitted.order,
                    // It has found out, and takes nothing until it hears again.
                    Err(SubmitError::Blind(_)) => {
                        desk.proxy.heal();
                        desk.place(wish).await
                    }
                    Err(error) => panic!("{error}"),
                };
                orders.push(order.id);
            }
            desk.proxy.heal();
            for id in &orders {
                desk.until(*id, "it is acknowledged", |order| order.broker_order_id.is_some()).await;
            }
            // A silence too short to be noticed is made up for by the sweep that is due while orders are open.
            desk.venue.clock.advance(Duration::from_secs(31));
            for id in orders {
                desk.until(id, "it is filled", |order| order.status == Status::Filled).await;
            }
            desk.until_ready().await;
            desk.agrees().await;
        }
    }
}

async fn f07_events_that_are_doubled_and_reordered_count_once(wire: Wire) {
    let desk = desk(wire).await;
    desk.proxy.trouble_streams(StreamTrouble::Twice);
    let wild = Misbehave { duplicate_events: 0.5, reorder_within: 4, ..Misbehave::default() };
    desk.misbehave(wild).await;
    let mut orders = Vec::new();
    for nth in 0..rounds() * 5 {
        orders.push(desk.place(buy(&format!("o{nth}"), "0.001", None)).await.id);
    }
    for id in orders {
        desk.until(id, "it is filled", |order| order.status == Status::Filled).await;
    }
    desk.agrees().await;
}

async fn f10_a_venue_that_refuses_too_many_requests_gets_the_orders_later_or_refuses_them_clearly(
    wire: Wire,
) {
    let desk = desk(wire).await;
    // It takes more questions to see an account of Alpaca's, and each may be one too many.
    let rate_limited = if wire == Wire::Paper { 0.3 } else { 0.1 };
    desk.misbehave(Misbehave { rate_limited, ..Misbehave::default() }).await;
    let mut orders = Vec::new();
    for nth in 0..rounds() * 2 {
        orders.push(desk.place(buy(&format!("o{nth}"), "0.001", None)).await.id);
    }
    desk.misbehave(Misbehave::default()).await;
    for id in orders {
        let order = desk.until(id, "it ends", is_over).await;
        assert!(matches!(order.status, Status::Filled | Status::Rejected), "{order:?}");
    }
    desk.until_ready().await;
    desk.agrees().await;
}
