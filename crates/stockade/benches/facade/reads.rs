//! Requests a second of what a program with a key reads.
//!
//! The reference is a bare handler in a process of its own that answers the same bytes over the same TLS. Both are asked in
//! turn, by as many connections, and each connection asks again when it has its answer. The aim is 60 % of the reference.
//! Whoever asks works on the same processors; so what each server works for a request is told, too.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Pid;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::process::processor_time;
use crate::sdk::Desk;
use crate::socket::secure;

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(2);
const AIM: f64 = 0.6;
const PATHS: [&str; 7] = [
    "/alpaca/v2/account",
    "/alpaca/v2/positions",
    "/alpaca/v2/orders?status=all",
    "/alpaca/v2/clock",
    "/api/v1/accounts",
    "/api/v1/market/symbols",
    "/api/v1/orders?status=all",
];

/// Requests that were answered, in how long, and what the server worked for them.
#[derive(Default)]
struct Answered {
    count: u64,
    took: Duration,
    worked: Duration,
}

impl Answered {
    fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    fn work_us(&self) -> f64 {
        self.worked.as_secs_f64() * 1e6 / self.count as f64
    }
}

pub(crate) async fn measure() {
    let desk = Desk::start().await;
    trade(&desk).await;
    let mut answers = Vec::new();
    for path in PATHS {
        let (status, answer) = desk.session.read_with_key(&desk.key, &desk.secret, path).await;
        assert!(status.is_success(), "{path}: {status}");
        answers.push(answer);
    }
    let bare = Bare::start(&answers).await;
    let key = format!("APCA-API-KEY-ID: {}\r\nAPCA-API-SECRET-KEY: {}\r\n", desk.key, desk.secret);
    for (nth, (path, answer)) in PATHS.iter().zip(&answers).enumerate() {
        let (mut ours, mut reference) = (Answered::default(), Answered::default());
        for _ in 0..ROUNDS {
            ask(&mut ours, &desk.running.url, desk.running.pid(), &request(path, &key)).await;
            ask(&mut reference, &bare.url, bare.pid(), &request(&format!("/{nth}"), &key)).await;
        }
        println!(
            "GET {path:<30} {:>7.0} /s, {:>3.0} % of {:>6.0} /s of a bare handler, aim {:.0} %; {:>4.0} µs of work each, bare {:.0}; {} bytes",
            ours.rate(),
            100.0 * ours.rate() / reference.rate(),
            reference.rate(),
            100.0 * AIM,
            ours.work_us(),
            reference.work_us(),
            answer.len(),
        );
    }
    assert!(desk.running.stop().await);
}

/// Something to read: a position and twenty orders.
async fn trade(desk: &Desk) {
    let path = format!("/accounts/{}/orders", desk.account);
    for nth in 0..20 {
        let order = json!({
            "client_order_id": format!("order {nth}"), "symbol": "BTC-USD", "side": "buy", "type": "market",
            "time_in_force": "gtc", "quantity": "0.001",
        });
        let (status, answer) = desk.session.call(Method::POST, &path, Some(order)).await.unwrap();
        assert!(status.is_success(), "{answer}");
    }
    let none = |open: &serde_json::Value| open["items"].as_array().unwrap().is_empty();
    desk.session.until("/orders?status=open", none).await;
}

fn request(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{key}\r\n").into_bytes()
}

/// Asks a server the same for a while.
async fn ask(answered: &mut Answered, url: &str, pid: Pid, request: &[u8]) {
    let (begun, worked) = (Instant::now(), processor_time(pid));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(connection(url.to_owned(), request.to_vec(), begun + ROUND));
    }
    answered.count += connections.join_all().await.iter().sum::<u64>();
    answered.took += begun.elapsed();
    answered.worked += processor_time(pid) - worked;
}

/// One connection; returns how many answers it got.
async fn connection(url: String, request: Vec<u8>, until: Instant) -> u64 {
    let mut socket = secure(&url, IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
    let mut answered = 0;
    let mut bytes = Vec::with_capacity(64 << 10);
    while Instant::now() < until {
        socket.write_all(&request).await.unwrap();
        bytes.clear();
        let mut end = None;
        while end.is_none_or(|end| bytes.len() < end) {
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the server hung up");
            end = end.or_else(|| whole(&bytes));
        }
        answered += 1;
    }
    answered
}

/// How long an answer is, once its head is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).expect("it says how long it is");
    Some(head + length.trim().parse::<usize>().unwrap())
}
