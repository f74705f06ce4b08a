//! Clients that send what is no HTTP, no JSON and no WebSocket, over many connections, beside one that places orders.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::books::Books;
use crate::pair::pair;
use crate::running::PATIENCE;
use crate::socket;
use crate::trader::Trader;

/// Connections at the same time. `STOCKADE_SOCKETS` asks for another number.
const SOCKETS: usize = 200;
/// What each of them does, one after the other.
const ROUNDS: usize = 4;
/// Orders that are placed meanwhile, at least.
const ORDERS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_nonsense_others_send_orders_are_answered_and_both_ledgers_agree() {
    let (venues, _venue, desks) = pair().await;
    let desk = desks.start().await;
    let trader = Trader::new(desk.set_up().await).await;
    let account = &trader.account;
    let poisons = Arc::new(poisons(&desk.url, &trader.session.cookie().await, account));
    let sockets = std::env::var("STOCKADE_SOCKETS").map_or(SOCKETS, |text| text.parse().unwrap());

    let mut crowd = JoinSet::new();
    for nth in 0..sockets {
        let (poisons, url) = (poisons.clone(), desk.url.clone());
        // An address may have so many connections and no more.
        let from = IpAddr::from([
            127,
            0,
            1 + u8::try_from(nth / 10_000).unwrap(),
            1 + u8::try_from(nth / 100).unwrap(),
        ]);
        crowd.spawn(async move {
            for round in 0..ROUNDS {
                let poison = &poisons[(nth + round * sockets) % poisons.len()];
                if nth % 8 == 0 {
                    swallow(socket::plain(&url, from).await, poison).await;
                } else {
                    swallow(socket::secure(&url, from).await, poison).await;
                }
            }
        });
    }
    let mut placed = 0;
    while !crowd.is_empty() || placed < ORDERS {
        let order = trader.place(&format!("beside-{placed}")).await;
        trader.until(&order, "working").await;
        trader.cancel(&order).await;
        placed += 1;
        while let Some(done) = crowd.try_join_next() {
            done.unwrap();
        }
    }
    println!("{placed} orders beside {sockets} connections with {ROUNDS} kinds of nonsense each");

    assert!(desk.stop().await, "SIGTERM is a good end");
    let books = Books::read(&desks.database(), &venues.file("paper.db")).await;
    books.check();
    assert_eq!(books.orders.len(), placed, "nonsense was taken for an order");
    let (good, report) = desks.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}

/// Sends something, and waits until the desk has enough of it. That it hangs up in the middle is its right.
async fn swallow(socket: std::io::Result<impl AsyncRead + AsyncWrite + Unpin>, poison: &[u8]) {
    let Ok(mut socket) = socket else { return };
    let conversation = async {
        let _ = socket.write_all(poison).await;
        let _ = socket.shutdown().await;
        let mut answer = vec![0; 16 << 10];
        while socket.read(&mut answer).await.is_ok_and(|length| length > 0) {}
    };
    tokio::time::timeout(PATIENCE, conversation).await.expect("the desk ends a conversation without sense");
}

/// Requests that are none, with a right cookie where one is asked for.
fn poisons(url: &str, cookie: &str, account: &str) -> Vec<Vec<u8>> {
    let host = url.trim_start_matches("https://");
    let head = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: {url}\r\ncookie: {cookie}\r\n{more}\r\n")
            .into_bytes()
    };
    let post = |path: &str, body: &[u8]| {
        let length = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        [head("POST", path, &length), body.to_vec()].concat()
    };
    let orders = format!("/api/v1/accounts/{account}/orders");
    let order = |price: &str| {
        post(
            &orders,
            format!(
                r#"{{"client_order_id":"poison","symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"gtc","quantity":"0.0001","limit_price":{price}}}"#
            )
            .as_bytes(),
        )
    };
    let frames = |frames: &[u8]| {
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        [head("GET", "/api/v1/stream", upgrade), frames.to_vec()].concat()
    };
    let noise: Vec<u8> = (0..4_096_u32).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        // No HTTP.
        noise.clone(),
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        head("GET", "/", &format!("x: {}\r\n", "y".repeat(100_000))),
        head("GET", "/", &"x: y\r\n".repeat(5_000)),
        head("GET", &format!("/{}", "%00".repeat(10_000)), ""),
        head("GET", "/api/v1/orders?limit=-1&cursor=%ff%fe&limit=nan", ""),
        head("POST", &orders, "content-length: -1\r\n"),
        head("POST", &orders, "content-length: 1\r\ncontent-length: 2\r\n"),
        head("POST", &orders, "content-length: 99999999999999999999\r\n"),
        [head("POST", &orders, "transfer-encoding: chunked\r\n"), b"fffffffffffffffff\r\nx".to_vec()]
            .concat(),
        [head("POST", &orders, "transfer-encoding: chunked\r\n"), b"zz\r\n\r\n0\r\n\r\n".to_vec()].concat(),
        [head("POST", &orders, "content-type: application/json\r\ncontent-length: 500\r\n"), b"{".to_vec()]
            .concat(),
        // No JSON, or none that is an order.
        post(&orders, b""),
        post(&orders, b"{"),
        post(&orders, b"\xff\xfe\xfd"),
        post(&orders, b"null"),
        post(&orders, "[".repeat(15_000).as_bytes()),
        post(&orders, br#"{"client_order_id":"a","client_order_id":"b"}"#),
        post(&orders, format!(r#"{{"client_order_id":"{}"}}"#, "x".repeat(2 << 20)).as_bytes()),
        order("1e999"),
        order("\"NaN\""),
        order("\"-1\""),
        order("\"0.00000000000000000000000000000000000001\""),
        order("{\"$gt\":0}"),
        // No WebSocket, or no words of the stream.
        head("GET", "/api/v1/stream", "connection: upgrade\r\nupgrade: websocket\r\n"),
        frames(&noise),
        frames(b"\xff\xff\xff\xff"),
        frames(b"\x81\x05hello"),
        frames(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
        frames(b"\x09\x80\0\0\0\0"),
        frames(b"\x81\x82\0\0\0\0\xff\xff"),
        frames(b"\x81\x82\0\0\0\0{]"),
        frames(b"\x82\x84\0\0\0\0\x01\x02\x03\x04"),
    ]
}
