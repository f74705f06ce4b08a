//! `kill -9` at any moment while orders flow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Decimal;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::books::Books;
use crate::running::{Home, Running, Session};
use crate::trial::{Ground, kills};

/// `STOCKADE_KILLS` asks for another number.
const LIVES: usize = 200;
const CLIENTS: usize = 4;
/// A life lasts up to this long after its client knows the address.
const LONGEST_LIFE_MS: u64 = 250;
/// Lives between two looks into the books.
const LIVES_A_CHECK: usize = 40;

/// What the clients were told.
#[derive(Default)]
struct Told {
    /// Client order ids that were accepted.
    accepted: BTreeSet<String>,
    /// Client order ids that were refused: nothing of them may be there.
    refused: BTreeSet<String>,
    unanswered: usize,
}

impl Told {
    /// What was acknowledged is there, what was refused is not.
    fn compare(&self, books: &Books) {
        for id in &self.accepted {
            assert!(books.orders.contains_key(id), "{id} was acknowledged and is lost");
        }
        for id in &self.refused {
            assert!(!books.orders.contains_key(id), "{id} was refused and is there");
        }
    }
}

/// The same where clients repeat what was not answered, and the venue lives on; an order of every kind among theirs.
const LIVES_WITH_REPEATS: usize = 10;
const ORDERS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_repeats_what_was_not_answered_has_each_order_once_whenever_the_desk_is_killed() {
    let mut random = StdRng::seed_from_u64(seed());
    let mut ground = Ground::new().await;
    for life in 1..=kills(LIVES_WITH_REPEATS) {
        let moment = Duration::from_millis(random.random_range(0..2 * LONGEST_LIFE_MS));
        let kill_in_time = |desk: &Running| {
            let desk = desk.pid();
            tokio::spawn(async move {
                tokio::time::sleep(moment).await;
                rustix::process::kill_process(desk, rustix::process::Signal::KILL)
            });
        };
        let doomed = ground.desks.command(&["run"]);
        ground.live_with(&format!("life-{life}"), ORDERS, doomed, kill_in_time).await;
    }
    println!("{}", ground.summary());
}

/// What repeats a test as far as chance is concerned.
fn seed() -> u64 {
    let seed =
        std::env::var("STOCKADE_TEST_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("STOCKADE_TEST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_when_no_order_is_lost_and_none_is_sent_twice() {
    let mut random = StdRng::seed_from_u64(seed());

    let home = Home::new();
    let desk = home.start().await;
    let session = desk.set_up().await;
    let account = session.account().await;
    let ask = session.until_quoted("BTC-USD").await["ask"].as_str().unwrap().parse::<Decimal>().unwrap();
    // Far enough below the market to rest, near enough to be allowed.
    let resting = (ask * Decimal::new(8, 1)).round_dp(0).to_string();
    desk.kill().await;

    let told = Arc::new(Mutex::new(Told::default()));
    for life in 1..=kills(LIVES) {
        let desk = home.start().await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (session, account) = (session.at(&desk), account.clone());
                let random = StdRng::seed_from_u64(random.random());
                tokio::spawn(trade(
                    session,
                    account,
                    resting.clone(),
                    format!("{life}-{client}"),
                    random,
                    told.clone(),
                ))
            })
            .collect();
        let length = Duration::from_millis(random.random_range(0..LONGEST_LIFE_MS));
        tokio::time::sleep(length).await;
        desk.kill().await;
        for client in clients {
            client.await.unwrap();
        }
        if life % LIVES_A_CHECK == 0 {
            check(&home, &session, &told).await;
        }
    }
    let told = told.lock().unwrap();
    println!(
        "{} accepted, {} refused, {} unanswered",
        told.accepted.len(),
        told.refused.len(),
        told.unanswered
    );
    assert!(told.accepted.len() > LIVES, "too few orders were accepted for the test to mean anything");
}

/// Places and cancels orders until the desk is gone.
async fn trade(
    session: Session,
    account: String,
    resting: String,
    name: String,
    mut random: StdRng,
    told: Arc<Mutex<Told>>,
) {
    let mut working: Option<String> = None;
    for nth in 0.. {
        if let Some(id) = working.take_if(|_| random.random_bool(0.9)) {
            if session.call(Method::POST, &format!("/orders/{id}/cancel"), Some(json!({}))).await.is_err() {
                return;
            }
            continue;
        }
        let client_order_id = format!("{name}-{nth}");
        let order = wish(&client_order_id, &resting, &mut random);
        let answer = session.call(Method::POST, &format!("/accounts/{account}/orders"), Some(order)).await;
        let mut told = told.lock().unwrap();
        match answer {
            Ok((StatusCode::CREATED, order)) => {
                told.accepted.insert(client_order_id);
                working = order["id"].as_str().map(str::to_owned);
            }
            Ok(_) => {
                told.refused.insert(client_order_id);
            }
            Err(_) => {
                told.unanswered += 1;
                return;
            }
        }
    }
}

/// A market order, or a limit order that rests until it is canceled.
fn wish(client_order_id: &str, resting: &str, random: &mut StdRng) -> Value {
    if random.random_bool(0.4) {
        return json!({
            "client_order_id": client_order_id,
            "symbol": "BTC-USD",
            "side": "buy",
            "type": "limit",
            "time_in_force": "gtc",
            "quantity": "0.0001",
            "limit_price": resting,
        });
    }
    let side = if random.random_bool(0.7) { "buy" } else { "sell" };
    json!({
        "client_order_id": client_order_id,
        "symbol": "BTC-USD",
        "side": side,
        "type": "market",
        "time_in_force": "gtc",
        "quantity": "0.0001",
    })
}

/// Lets the desk find out what became of everything, and compares.
async fn check(home: &Home, session: &Session, told: &Mutex<Told>) {
    let desk = home.start().await;
    let session = session.at(&desk);
    let doubtful = ["accepted", "submitting", "unknown", "cancel_pending"];
    let settled = |answer: &Value| {
        let items = answer["items"].as_array().unwrap();
        !items.iter().any(|order| doubtful.contains(&order["status"].as_str().unwrap()))
    };
    session.until("/orders?status=open&limit=1000", settled).await;
    let account = session.account().await;
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
    assert!(desk.stop().await, "SIGTERM is a good end");

    let books = Books::read(&home.database(), &home.file("paper.db")).await;
    books.check();
    told.lock().unwrap().compare(&books);
    println!("{} orders, {} fills, both sides agree", books.orders.len(), books.fills());
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}
