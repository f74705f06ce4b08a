//! The bot of `docs/examples`, as its reader runs it: it trades, a limit on its key refuses it, the kill switch stops it, and
//! the audit log has all of it under its own name. And the same through a second desk, as if that were Alpaca.

use std::process::Stdio;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::alpaca::desk_through;
use crate::running::{PATIENCE, Session};
use crate::sdk::{Desk, environments, python};
use crate::secret::Forms;

/// How many minutes the averages are taken over, at the choice of who starts it.
const MINUTES: [usize; 6] = [1, 2, 5, 20, 60, 120];

/// The process.
struct Bot {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Bot {
    /// Starts it with two averages of which its first is the higher one now, so that it wants to hold.
    async fn start(desk: &Desk) -> Option<Self> {
        let mut command = python(&environments()?, "alpaca_py", "../../docs/examples/moving_average.py");
        desk.tell(&mut command);
        let [short, long] = rising(&desk.session).await.map(|minutes| minutes.to_string());
        command.env("SHORT", short).env("LONG", long).env("EVERY_S", "0.5");
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { process, output })
    }

    /// Waits until it says something with these words in it.
    async fn says(&mut self, words: &str) -> String {
        let listening = async {
            loop {
                let line = self.output.next_line().await.unwrap().expect("the bot goes on");
                if line.contains(words) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.unwrap_or_else(|_| panic!("it never says {words:?}"))
    }
}

/// Two lengths of averages; that over the first is the higher one by more than for any other two.
async fn rising(session: &Session) -> [usize; 2] {
    let many = |answer: &Value| answer["items"].as_array().unwrap().len() > MINUTES[0];
    let bars = session.until("/market/bars?symbol=BTC-USD&every=1m&limit=1000", many).await;
    let number = |bar: &Value| bar["close"].as_str().unwrap().parse::<f64>().unwrap();
    // The bot asks for those of this day.
    let today =
        bars["items"].as_array().unwrap().last().unwrap()["start_at"].as_str().unwrap()[..10].to_owned();
    let is_today = |bar: &&Value| bar["start_at"].as_str().unwrap().starts_with(&today);
    let closes: Vec<f64> = bars["items"].as_array().unwrap().iter().filter(is_today).map(number).collect();
    let average = |minutes: usize| closes[closes.len() - minutes..].iter().sum::<f64>() / minutes as f64;
    let lengths = MINUTES.into_iter().filter(|minutes| *minutes <= closes.len());
    let pairs = lengths.clone().flat_map(|short| lengths.clone().map(move |long| [short, long]));
    let rise = |[short, long]: &[usize; 2]| average(*short) - average(*long);
    pairs.max_by(|a, b| rise(a).total_cmp(&rise(b))).unwrap()
}

impl Desk {
    /// A market order of the owner against what the bot holds.
    async fn sells(&self, quantity: &str) {
        let order = json!({
            "client_order_id": format!("against {quantity}"), "symbol": "BTC-USD", "side": "sell", "type": "market",
            "time_in_force": "gtc", "quantity": quantity,
        });
        let path = format!("/accounts/{}/orders", self.account);
        let (status, placed) = self.session.call(Method::POST, &path, Some(order)).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{placed}");
        let id = placed["id"].as_str().unwrap();
        self.session.until(&format!("/orders/{id}"), |order| order["status"] == "filled").await;
    }
}

#[tokio::test]
async fn the_bot_of_the_guide_trades_is_refused_and_is_stopped_and_its_story_is_in_the_audit_log() {
    let desk = Desk::start().await;
    let Some(mut bot) = Bot::start(&desk).await else { return };
    bot.says("buy 0.01 BTC/USD").await;
    let positions = format!("/accounts/{}/positions", desk.account);
    desk.session.until(&positions, |held| held["items"][0]["quantity"] == "0.01").await;

    let scope = format!("key/{}", desk.key);
    let limit = json!({ "scope": scope, "kind": "order_notional", "value": "100" });
    let (status, set) = desk.session.call(Method::PUT, "/limits", Some(limit)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{set}");
    desk.sells("0.01").await;
    let refused = bot.says("buy refused").await;
    assert!(refused.contains("100"), "the limit is named: {refused}");

    let kill = json!({ "scope": scope, "reason": "enough of it" });
    let (status, pulled) = desk.session.call(Method::POST, "/kill-switches", Some(kill)).await.unwrap();
    assert!(status.is_success(), "{status} {pulled}");
    let stopped = bot.says("kill").await;
    assert!(stopped.starts_with("buy refused"), "{stopped}");
    bot.process.kill().await.unwrap();

    let rows = desk.session.all("/audit").await;
    let of_the_bot = |act: &str, outcome: &str| {
        let is_its = |row: &&Value| row["detail"]["key"] == json!(desk.key);
        rows.iter().filter(is_its).filter(|row| row["act"] == act && row["outcome"] == outcome).count()
    };
    assert_eq!(of_the_bot("order.accepted", "done"), 1, "{rows:#?}");
    assert!(of_the_bot("order.refused", "refused") >= 2, "{rows:#?}");
    assert!(desk.running.stop().await);
    let (good, report) = desk.home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}

#[tokio::test]
async fn the_same_bot_trades_through_a_second_desk_and_never_learns_what_opens_that() {
    let other = Desk::start().await;
    let desk = desk_through(&other).await;
    let broker = Forms::of(&other.secret);
    let Some(mut bot) = Bot::start(&desk).await else { return };
    bot.says("buy 0.01 BTC/USD").await;
    let positions = format!("/accounts/{}/positions", desk.account);
    desk.session.until(&positions, |held| held["items"][0]["quantity"] == "0.01").await;

    let ours = desk.session.all(&format!("/orders?account_id={}&status=all", desk.account)).await;
    let theirs = other.session.all(&format!("/orders?account_id={}&status=all", other.account)).await;
    let [[ours], [theirs]] = [&ours[..], &theirs[..]] else { panic!("one order: {ours:?} {theirs:?}") };
    assert_eq!((&ours["key_id"], &theirs["key_id"]), (&json!(desk.key), &json!(other.key)));
    assert_eq!((&ours["id"], &ours["average_price"]), (&theirs["client_order_id"], &theirs["average_price"]));

    let limits = format!("/proc/{}/limits", desk.running.pid().as_raw_pid());
    let limits = std::fs::read_to_string(limits).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "no core dumps: {core}");

    // It has its own key in mind, and nothing of the one that the desk uses.
    let pid = bot.process.id().unwrap();
    assert!(Forms::of(&desk.secret).in_memory(pid).is_some(), "what is there is found");
    assert_eq!(broker.in_memory(pid), None);
    for path in ANSWERS {
        let (status, answer) = desk.session.read_with_key(&desk.key, &desk.secret, path).await;
        assert!(status.is_success(), "{path}: {status}");
        assert_eq!(broker.found(&answer), None, "{path}");
    }
    bot.process.kill().await.unwrap();
    assert!(desk.running.stop().await);
    // Its database, and its log of everything.
    assert_eq!(broker.in_folder(desk.home.path()), None);
    assert_eq!(Forms::of(&desk.secret).in_folder(desk.home.path()), None);
    assert!(other.running.stop().await);
}

/// What a bot can read.
const ANSWERS: [&str; 12] = [
    "/alpaca/v2/account",
    "/alpaca/v2/account/configurations",
    "/alpaca/v2/account/activities",
    "/alpaca/v2/account/portfolio/history",
    "/alpaca/v2/orders?status=all&nested=true",
    "/alpaca/v2/positions",
    "/alpaca/v2/assets",
    "/alpaca/v2/watchlists",
    "/api/v1/accounts",
    "/api/v1/orders?status=all",
    "/api/v1/fills",
    "/api/v1/market/symbols",
];
