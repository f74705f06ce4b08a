//! What networks do to a bot's orders, on both of their ways: between Alpaca's own client and the desk, and between the desk
//! and its venue (F-03, F-04, F-05 of the reliability matrix).
//!
//! `STOCKADE_TEST_ROUNDS` says how often each trouble is tried, `STOCKADE_TEST_SEED` which dice there are.

use std::collections::BTreeMap;
use std::process::Stdio;

use domain::Decimal;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sandbox::{Proxy, Reach, Trouble};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::books::Books;
use crate::pair::{Venue, pair, point};
use crate::running::{Home, PATIENCE};
use crate::sdk::{Desk, environments, python};
use crate::socket;

/// What can happen between two programs. Refused connections are another story on the way to the venue, which `sandbox` tells.
const TROUBLES: [Trouble; 8] = [
    Trouble::DropResponse,
    Trouble::HangResponse,
    Trouble::Gateway504,
    Trouble::HalfOpen,
    Trouble::ResetMid,
    Trouble::DropRequest,
    Trouble::Blackhole,
    Trouble::DupRequest,
];
/// What becomes of an order that rests, when it is known.
const SETTLED: [&str; 5] = ["working", "replaced", "rejected", "expired", "canceled"];
/// Nobody waits longer for the desk's answer, whatever happens.
const ANSWER_S: f64 = 5.0;
/// What Alpaca's client repeats by itself. The desk says neither, once an order may be journaled.
const REPEATED: [u64; 2] = [429, 504];

/// How often each trouble is tried.
fn rounds() -> usize {
    std::env::var("STOCKADE_TEST_ROUNDS").map_or(1, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    let seed = std::env::var("STOCKADE_TEST_SEED").map_or(1, |text| text.parse().unwrap());
    println!("STOCKADE_TEST_SEED={seed}");
    seed
}

/// Trouble on the way to the desk, and on the way to the venue.
#[derive(Clone, Copy, Debug, Default)]
struct Bad {
    to_desk: Option<Trouble>,
    to_venue: Option<Trouble>,
}

/// A bot, a desk and a venue, with somebody on the line between each two.
struct Line {
    bot: Bot,
    to_desk: Proxy,
    desk: Desk,
    to_venue: Proxy,
    venues: Home,
    _venue: Venue,
    /// Below the market, and lower.
    resting: [String; 2],
    /// The orders that the bot was told of, by name.
    told: BTreeMap<String, String>,
    slowest_s: f64,
}

/// Alpaca's client, in a program of its own.
struct Bot {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What the bot says in the end.
struct Outcome {
    /// The order, or why there is none.
    id: Result<String, String>,
    /// Status and seconds of each answer that came.
    answers: Vec<(u64, f64)>,
}

impl Bot {
    fn start(address: &str, desk: &Desk) -> Option<Self> {
        let mut command = python(&environments()?, "alpaca_py", "tests/sdk/alpaca_py_faults_bot.py");
        desk.tell(&mut command);
        command.env("DESK", format!("{address}/alpaca"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { _process: process, input, output })
    }

    async fn tell(&mut self, words: &str) {
        self.input.write_all(format!("{words}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = self.output.next_line().await.unwrap().expect("the bot goes on");
        serde_json::from_str(&line).unwrap()
    }

    /// Listens until it says what came of it.
    async fn outcome(&mut self) -> Outcome {
        loop {
            let said = self.hear().await;
            if said["lost"].is_null() {
                let text = |name: &str| said[name].as_str().map(str::to_owned);
                let id = text("id").ok_or_else(|| text("refused").unwrap());
                return Outcome { id, answers: serde_json::from_value(said["answers"].clone()).unwrap() };
            }
        }
    }
}

impl Line {
    /// `None` where Alpaca's client is not installed.
    async fn new() -> Option<Self> {
        environments()?;
        let (venues, venue, desks) = pair().await;
        let to_venue = Proxy::start(venue.address().parse().unwrap(), seed()).unwrap();
        point(&desks, &venues, &to_venue.url());
        let desk = Desk::on(desks).await;
        let to_desk = Proxy::start(socket::without_tls(&desk.running.url).await, seed()).unwrap();
        let bot = Bot::start(&to_desk.url(), &desk)?;
        let quote = desk.session.until_quoted("BTC-USD").await;
        let ask: Decimal = quote["ask"].as_str().unwrap().parse().unwrap();
        let resting = [80, 79].map(|part| (ask * Decimal::new(part, 2)).round_dp(0).to_string());
        let (told, slowest_s) = (BTreeMap::new(), 0.0);
        Some(Self { bot, to_desk, desk, to_venue, venues, _venue: venue, resting, told, slowest_s })
    }

    /// An order that is filled, one that is replaced, and one that is canceled, each in trouble.
    async fn round(&mut self, name: &str, bad: Bad) {
        let [resting, lower] = self.resting.clone();
        let bought = self.act(&format!("buy {name}-buy"), &format!("{name}-buy"), bad).await;
        let old =
            self.act(&format!("rest {name}-old {resting}"), &format!("{name}-old"), Bad::default()).await;
        self.until(&old, "working").await;
        let new = format!("{name}-new");
        let by = self.act(&format!("replace {name}-old {new} {lower}"), &new, bad).await;
        // A replacement that never reached the venue leaves the old order as it was, and says so.
        let (left, its_name) = match (self.settled(&old).await.as_str(), self.settled(&by).await.as_str()) {
            ("replaced", "working") => (by, new),
            ("working", "rejected" | "expired" | "canceled") => (old, format!("{name}-old")),
            (old, by) => panic!("{name}: the old order is {old}, the new one {by}"),
        };
        let canceled = self.act(&format!("cancel {its_name}"), &its_name, bad).await;
        assert_eq!(canceled, left, "{name}");
        self.until(&left, "canceled").await;
        self.until(&bought, "filled").await;
    }

    /// Lets the bot do something in trouble, and gives the order of that name.
    async fn act(&mut self, words: &str, name: &str, bad: Bad) -> String {
        let acted = async {
            loop {
                self.until_ready().await;
                let id = self.try_act(words, bad).await;
                match id {
                    Ok(id) => return id,
                    // The desk does not see its account or has no quote at this moment: it says so, and took nothing.
                    Err(refused) => println!("{words}, {bad:?}: {refused}"),
                }
            }
        };
        let id = tokio::time::timeout(PATIENCE, acted).await;
        let id = id.unwrap_or_else(|_| panic!("{words} in {bad:?} never ended"));
        self.told.insert(name.to_owned(), id.clone());
        id
    }

    async fn try_act(&mut self, words: &str, bad: Bad) -> Result<String, String> {
        let hits = (self.to_desk.hits(), self.to_venue.hits());
        for (proxy, trouble) in [(&self.to_desk, bad.to_desk), (&self.to_venue, bad.to_venue)] {
            match trouble {
                Some(Trouble::Refuse) => proxy.trouble(Trouble::Refuse, Reach::Changes),
                Some(trouble) => proxy.trouble_once(trouble, Reach::Changes),
                None => {}
            }
        }
        self.bot.tell(words).await;
        match bad.to_desk {
            Some(Trouble::Refuse) => assert!(self.bot.hear().await["lost"].is_string(), "{words}"),
            Some(_) => self.to_desk.until_hits(hits.0 + 1).await,
            None => {}
        }
        self.to_desk.heal();
        // It has no time-out of its own.
        self.to_desk.let_go();
        let Outcome { id, answers } = self.bot.outcome().await;
        if bad.to_venue.is_some() && id.is_ok() {
            self.to_venue.until_hits(hits.1 + 1).await;
        }
        self.to_venue.heal();
        self.to_venue.let_go();
        for (status, seconds) in answers {
            let by_the_gateway = bad.to_desk == Some(Trouble::Gateway504) && status == 504;
            assert!(!REPEATED.contains(&status) || by_the_gateway, "{words} in {bad:?}: {status}");
            assert!(seconds < ANSWER_S, "{words} in {bad:?}: answered after {seconds} s");
            self.slowest_s = self.slowest_s.max(seconds);
        }
        id
    }

    /// Waits until it is known what became of an order that rests.
    async fn settled(&self, order: &str) -> String {
        let is_settled = |answer: &Value| SETTLED.contains(&answer["status"].as_str().unwrap());
        let order = self.desk.session.until(&format!("/orders/{order}"), is_settled).await;
        order["status"].as_str().unwrap().to_owned()
    }

    async fn until(&self, order: &str, status: &str) {
        self.desk.session.until(&format!("/orders/{order}"), |answer| answer["status"] == status).await;
    }

    async fn until_ready(&self) {
        let path = format!("/accounts/{}", self.desk.account);
        self.desk.session.until(&path, |state| state["state"] == "ready").await;
    }

    /// What the bot was told is what both ledgers have, and they have nothing else.
    async fn agrees(self) {
        let Desk { home, running, .. } = self.desk;
        assert!(running.stop().await, "SIGTERM is a good end");
        let books = Books::read(&home.database(), &self.venues.file("paper.db")).await;
        books.check();
        let ids: BTreeMap<_, _> =
            books.orders.iter().map(|(name, order)| (name.clone(), order.id.clone())).collect();
        assert_eq!(ids, self.told);
        let (good, report) = home.run(&["audit", "verify"]).await;
        assert!(good, "{report}");
        println!("{} orders, {} fills, slowest answer {:.3} s", ids.len(), books.fills(), self.slowest_s);
    }
}

/// Tries each trouble on one way.
async fn each(troubles: impl IntoIterator<Item = Trouble>, bad: fn(Trouble) -> Bad) {
    let Some(mut line) = Line::new().await else { return };
    for trouble in troubles {
        for round in 0..rounds() {
            line.round(&format!("{trouble:?}-{round}"), bad(trouble)).await;
        }
    }
    line.agrees().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_lost_between_a_bot_and_the_desk_each_of_its_orders_is_there_once() {
    let troubles = TROUBLES.into_iter().chain([Trouble::Refuse]);
    each(troubles, |trouble| Bad { to_desk: Some(trouble), to_venue: None }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_lost_between_the_desk_and_its_venue_a_bot_is_answered_in_time_and_each_order_is_there_once()
 {
    each(TROUBLES, |trouble| Bad { to_desk: None, to_venue: Some(trouble) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_lost_on_both_of_its_ways_an_order_of_a_bot_is_there_once() {
    let Some(mut line) = Line::new().await else { return };
    let mut dice = StdRng::seed_from_u64(seed());
    for round in 0..rounds() * 4 {
        let mut any = || TROUBLES.choose(&mut dice).copied();
        let bad = Bad { to_desk: any(), to_venue: any() };
        line.round(&format!("both-{round}"), bad).await;
    }
    line.agrees().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_whose_order_cannot_be_journaled_is_told_so_in_time_and_does_not_repeat_it_by_itself() {
    let Some(mut line) = Line::new().await else { return };
    let rests = format!("rest first {}", line.resting[0]);
    let first = line.act(&rests, "first", Bad::default()).await;
    line.until(&first, "working").await;
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&line.desk.home.database()).await.unwrap();
    while other.execute("BEGIN EXCLUSIVE").await.is_err() {}

    line.bot.tell("buy held").await;
    let held = line.bot.outcome().await;
    let [(503, buying), (404, _)] = held.answers[..] else { panic!("{:?}: {:?}", held.id, held.answers) };
    line.bot.tell("cancel first").await;
    let canceled = line.bot.outcome().await;
    let [_, (_, canceling), ..] = canceled.answers[..] else { panic!("{:?}", canceled.answers) };
    assert!(buying < ANSWER_S && canceling < ANSWER_S, "answered after {buying} s and {canceling} s");
    other.execute("ROLLBACK").await.unwrap();

    line.until(&first, "canceled").await;
    assert!(held.id.is_err(), "what cannot be journaled is refused");
    let id = line.act("buy held", "held", Bad::default()).await;
    line.until(&id, "filled").await;
    line.agrees().await;
}
