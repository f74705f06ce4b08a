//! The desk and its paper venue as two processes: the venue is killed, paused and woken, the desk is paused and replaced.

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use sqlx::Connection as _;

use crate::books::Books;
use crate::pair::{Venue, pair};
use crate::running::{Home, Running};
use crate::trader::Trader;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_unknown_while_the_venue_hangs_and_both_ledgers_agree_after_it_woke_and_was_killed() {
    let (venues, venue, desks) = pair().await;
    let desk = desks.start().await;
    let trader = Trader::new(desk.set_up().await).await;
    let first = trader.place("first").await;
    trader.until(&first, "working").await;

    venue.signal(Signal::STOP);
    let hanging = trader.place("hanging").await;
    trader.until(&hanging, "unknown").await;
    venue.signal(Signal::CONT);
    trader.until(&hanging, "working").await;
    trader.until_ready().await;

    let address = venue.address();
    venue.kill().await;
    let orders = format!("/accounts/{}/orders", trader.account);
    let (during, _) =
        trader.session.call(Method::POST, &orders, Some(trader.wish("while-it-is-dead"))).await.unwrap();
    let venue = Venue::start(&venues, &address).await;
    trader.until_ready().await;
    let settled = |answer: &Value| {
        let items = answer["items"].as_array().unwrap();
        !items.iter().any(|order| order["status"] != "working")
    };
    trader.session.until("/orders?status=open&limit=1000", settled).await;
    // Accepted while the venue was gone, it waits for it; refused because the desk had seen that, it is nowhere.
    assert!([StatusCode::CREATED, StatusCode::SERVICE_UNAVAILABLE].contains(&during), "{during}");
    let last = trader.place("last").await;
    trader.until(&last, "working").await;

    assert!(desk.stop().await, "SIGTERM is a good end");
    drop(venue);
    let books = Books::read(&desks.database(), &venues.file("paper.db")).await;
    books.check();
    assert_eq!(books.orders.contains_key("while-it-is-dead"), during == StatusCode::CREATED);
    assert!(books.orders.len() >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_that_was_paused_and_replaced_sends_nothing_when_it_wakes() {
    for database in storage::testing::databases().await {
        let (venues, _venue, mut first_home) = pair().await;
        // Both on one database; each with a home of its own, and the same keys.
        first_home.database_url = Some(database.url.clone());
        paused_and_replaced(&venues, &first_home).await;
    }
}

async fn paused_and_replaced(venues: &Home, first_home: &Home) {
    let first = first_home.start().await;
    let trader = Trader::new(first.set_up().await).await;
    let working = trader.place("before").await;
    trader.until(&working, "working").await;

    let mut second_home = Home::new();
    second_home.database_url = first_home.database_url.clone();
    for entry in std::fs::read_dir(first_home.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("stockade.db") && name != "lock" {
            std::fs::copy(first_home.file(&name), second_home.file(&name)).unwrap();
        }
    }

    // Some of these are accepted, some are on their way to the venue, when the first desk stops in mid-stride.
    let burst: Vec<_> = (0..20)
        .map(|nth| {
            let (session, account) = (trader.session.clone(), trader.account.clone());
            let wish = trader.wish(&format!("burst-{nth}"));
            tokio::spawn(async move {
                session.call(Method::POST, &format!("/accounts/{account}/orders"), Some(wish)).await
            })
        })
        .collect();
    let accepted = |answer: &Value| answer["items"].as_array().unwrap().len() > 3;
    trader.session.until("/orders?status=open&limit=1000", accepted).await;
    stop_between_writes(&first, &first_home.database()).await;

    let second = second_home.start().await;
    let heir = trader.at(&second);
    heir.until_ready().await;
    let settled = |answer: &Value| {
        let items = answer["items"].as_array().unwrap();
        !items.iter().any(|order| order["status"] != "working")
    };
    heir.session.until("/orders?status=open&limit=1000", settled).await;
    let before = sent(venues).await;

    first.signal(Signal::CONT);
    for call in burst {
        // Answered, refused or not answered at all: it was for the first desk to say.
        let _ = call.await.unwrap();
    }
    // It finds out with its first write.
    let path = format!("/accounts/{}/orders", trader.account);
    let refused = trader.session.call(Method::POST, &path, Some(trader.wish("after"))).await;
    assert!(refused.is_err() || refused.is_ok_and(|(status, _)| status != StatusCode::CREATED));
    let after = sent(venues).await;
    assert_eq!(before, after, "the paused desk sent an order after it woke");

    let last = heir.place("heir").await;
    heir.until(&last, "working").await;
    first.kill().await;
    assert!(second.stop().await, "SIGTERM is a good end");
    let books = Books::read(&first_home.database(), &venues.file("paper.db")).await;
    books.check();
}

/// Stops a desk where it does not hold the lock of an SQLite file: who is stopped with that keeps everybody out, which is
/// safe and nothing to take over from.
async fn stop_between_writes(desk: &Running, database: &str) {
    use sqlx::{Connection as _, Executor as _};
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(database).await.unwrap();
    loop {
        desk.signal(Signal::STOP);
        if !database.starts_with("sqlite:") {
            return;
        }
        // The signal takes a moment to reach every thread, and one that runs on may take the lock after it was looked at.
        while !desk.is_stopped() {
            tokio::task::yield_now().await;
        }
        other.execute("PRAGMA busy_timeout = 0").await.unwrap();
        if other.execute("BEGIN IMMEDIATE").await.is_ok() {
            other.execute("ROLLBACK").await.unwrap();
            return;
        }
        desk.signal(Signal::CONT);
        tokio::task::yield_now().await;
    }
}

/// The client order ids that the venue has.
async fn sent(venues: &Home) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", venues.file("paper.db").display());
    let mut venue = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT client_order_id FROM venue_orders ORDER BY client_order_id")
        .fetch_all(&mut venue)
        .await
        .unwrap()
}
