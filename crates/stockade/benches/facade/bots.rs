//! Fifty bots with open streams and an order a second each, two of them Alpaca's own client. No order is refused, no fill goes
//! unheard, and the desk's memory stays what it is. They share an account, so all of them buy: an order that could meet one of
//! another bot is refused.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::process::memory_mb;
use crate::sdk::{Desk, environments, python};
use crate::socket::secure;

const BOTS: usize = 50;
const OF_ALPACA: usize = 2;
/// A key opens twenty streams at most.
const BOTS_OF_A_KEY: usize = 17;
/// How often the memory is read.
const SAMPLE: Duration = Duration::from_secs(5);
/// What is not heard so long after the last order is not heard at all.
const LATE: Duration = Duration::from_secs(10);

/// What came of one or all of them.
#[derive(Default)]
struct Story {
    placed: usize,
    unheard: usize,
    errors: Vec<String>,
    answers_ms: Vec<f64>,
    fills_ms: Vec<f64>,
}

pub(crate) async fn measure() {
    let seconds =
        std::env::var("BENCH_BOTS_SECONDS").map_or(60, |text| text.parse().expect("a number of seconds"));
    let desk = Desk::start().await;
    let mut keys = vec![(desk.key.clone(), desk.secret.clone())];
    while keys.len() < BOTS.div_ceil(BOTS_OF_A_KEY) {
        keys.push(desk.session.new_key(&desk.account).await);
    }
    let mut bots = JoinSet::new();
    let mut place = 0..BOTS;
    if let Some(environments) = environments() {
        for nth in place.by_ref().take(OF_ALPACA) {
            let mut command = python(&environments, "alpaca_py", "benches/facade/each_second.py");
            desk.tell(&mut command);
            command.env("NAME", format!("alpaca-py-{nth}")).env("SECONDS", seconds.to_string());
            bots.spawn(async move { told(&command.output().await.unwrap().stdout) });
        }
    }
    for nth in place {
        let (key, secret) = keys[nth / BOTS_OF_A_KEY].clone();
        let bot = Bot { name: format!("bot-{nth}"), url: desk.running.url.clone(), key, secret };
        // They begin one after the other within a second.
        let after = Duration::from_secs(2) + Duration::from_secs(1) * u32::try_from(nth).unwrap() / 50;
        bots.spawn(bot.trade(after, Duration::from_secs(seconds)));
    }
    let pid = desk.running.pid();
    let mut memory = Vec::new();
    let mut whole = Story::default();
    let mut sample = interval(SAMPLE);
    loop {
        tokio::select! {
            _ = sample.tick() => memory.push(memory_mb(pid)),
            story = bots.join_next() => match story {
                Some(story) => whole.add(story.unwrap()),
                None => break,
            },
        }
    }
    whole.tell(seconds);
    let at = |share: usize| memory[(memory.len() - 1) * share / 4];
    println!(
        "memory of the desk: {:.1} MB at first, {:.1}, {:.1}, {:.1} MB after a quarter, half, three quarters, {:.1} MB in the end",
        at(0),
        at(1),
        at(2),
        at(3),
        at(4)
    );
    assert!(desk.running.stop().await);
    let (good, report) = desk.home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}

/// What Alpaca's client says in the end.
fn told(output: &[u8]) -> Story {
    let told: Value = serde_json::from_slice(output).expect("the bot says how it was");
    let number = |name: &str| usize::try_from(told[name].as_u64().unwrap()).unwrap();
    let errors = serde_json::from_value(told["errors"].clone()).unwrap();
    Story { placed: number("placed"), unheard: number("unheard"), errors, ..Story::default() }
}

impl Story {
    fn add(&mut self, other: Self) {
        self.placed += other.placed;
        self.unheard += other.unheard;
        self.errors.extend(other.errors);
        self.answers_ms.extend(other.answers_ms);
        self.fills_ms.extend(other.fills_ms);
    }

    fn tell(&mut self, seconds: u64) {
        let (answers, fills) = (quantiles(&mut self.answers_ms), quantiles(&mut self.fills_ms));
        println!(
            "{BOTS} bots for {seconds} s: {} orders, {} errors, {} fills unheard; answered in {:.1} ms (p50), {:.1} ms (p99), \
             filled and told in {:.1} ms (p50), {:.1} ms (p99)",
            self.placed,
            self.errors.len(),
            self.unheard,
            answers[0],
            answers[1],
            fills[0],
            fills[1],
        );
        for error in self.errors.iter().take(5) {
            println!("  {error}");
        }
    }
}

/// That of half of them, and that of 99 of 100.
fn quantiles(values: &mut [f64]) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [50, 99].map(|share| values.get(values.len() * share / 100).copied().unwrap_or_default())
}

/// A program that speaks as Alpaca's clients do.
struct Bot {
    name: String,
    url: String,
    key: String,
    secret: String,
}

/// When an order was placed, and when its fill was told.
type Heard = Arc<Mutex<Vec<(Instant, Option<Instant>)>>>;

impl Bot {
    async fn trade(self, after: Duration, during: Duration) -> Story {
        let heard = Heard::default();
        let listening = tokio::spawn(self.listen(heard.clone()).await);
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        let mut story = Story::default();
        sleep(after).await;
        let (mut each, end) = (interval(Duration::from_secs(1)), Instant::now() + during);
        each.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Instant::now() < end {
            each.tick().await;
            let nth = heard.lock().unwrap().len();
            let order = json!({
                "symbol": "BTC/USD", "qty": "0.00002", "side": "buy", "type": "market", "time_in_force": "gtc",
                "client_order_id": format!("{}-{nth}", self.name),
            });
            let begun = Instant::now();
            heard.lock().unwrap().push((begun, None));
            let request = client.post(format!("{}/alpaca/v2/orders", self.url)).json(&order);
            let request =
                request.header("APCA-API-KEY-ID", &self.key).header("APCA-API-SECRET-KEY", &self.secret);
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::OK => {
                    let _ = answer.bytes().await;
                    story.placed += 1;
                    story.answers_ms.push(begun.elapsed().as_secs_f64() * 1e3);
                }
                Ok(answer) => story.errors.push(answer.text().await.unwrap_or_default()),
                Err(error) => story.errors.push(error.to_string()),
            }
        }
        let all = || heard.lock().unwrap().iter().filter(|(_, at)| at.is_some()).count() >= story.placed;
        let _ = timeout(LATE, async {
            while !all() {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        // A stream that ended says why.
        if listening.is_finished() {
            story.errors.push(format!("the stream of {} ended", self.name));
        }
        listening.abort();
        let heard = heard.lock().unwrap();
        let took = heard
            .iter()
            .filter_map(|(placed, at)| Some((at.as_ref()?.duration_since(*placed)).as_secs_f64() * 1e3));
        story.fills_ms = took.collect();
        story.unheard = story.placed.saturating_sub(story.fills_ms.len());
        story
    }

    /// Opens the stream; what comes back notes the fills of its own orders for as long as it is polled.
    async fn listen(&self, heard: Heard) -> impl Future<Output = ()> + use<> {
        let socket = secure(&self.url, IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
        let address = format!("{}/alpaca/stream", self.url.replace("https", "wss"));
        let (mut stream, _) = tokio_tungstenite::client_async(address, socket).await.unwrap();
        let says = [
            json!({ "action": "authenticate", "data": { "key_id": self.key, "secret_key": self.secret } }),
            json!({ "action": "listen", "data": { "streams": ["trade_updates"] } }),
        ];
        for message in says {
            stream.send(Message::text(message.to_string())).await.unwrap();
            let answer = stream.next().await.unwrap().unwrap().into_text().unwrap();
            assert!(answer.contains("authorized") || answer.contains("trade_updates"), "{answer}");
        }
        let own = format!("\"client_order_id\":\"{}-", self.name);
        async move {
            let mut told = BTreeSet::new();
            while let Some(Ok(message)) = stream.next().await {
                let Ok(text) = message.into_text() else { continue };
                // Every bot hears of the orders of all.
                let Some((_, rest)) = text.split_once(&own) else { continue };
                if !text.contains("\"event\":\"fill\"") {
                    continue;
                }
                let nth: usize = rest.split('"').next().unwrap().parse().unwrap();
                assert!(told.insert(nth), "a fill is told once");
                heard.lock().unwrap()[nth].1 = Some(Instant::now());
            }
        }
    }
}
