//! The server's side of the protocol, seen by a plain client.

use futures_util::{SinkExt as _, StreamExt as _};
use sandbox::{Server, ServerSettings, Source};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use crate::{KEY, PATIENCE, anywhere, clock, trade};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(server: &Server) -> Self {
        Self(connect_async(server.url()).await.unwrap().0)
    }

    /// The next frame: always an array.
    async fn next(&mut self) -> Option<Vec<Value>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => {
                    return Some(serde_json::from_str(&text).expect("a JSON array"));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// `status: message` of every event of the next frame.
    async fn statuses(&mut self) -> Vec<String> {
        let frame = self.next().await.unwrap_or_default();
        frame
            .iter()
            .map(|e| format!("{}: {}", e["status"].as_str().unwrap(), e["message"].as_str().unwrap()))
            .collect()
    }

    async fn ask(&mut self, action: &str, params: &str) {
        let ask = serde_json::json!({ "action": action, "params": params });
        self.0.send(Message::text(ask.to_string())).await.unwrap();
    }

    async fn sign_in(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        assert_eq!(client.statuses().await, ["connected: Connected Successfully"]);
        client.ask("auth", KEY).await;
        assert_eq!(client.statuses().await, ["auth_success: authenticated"]);
        client
    }
}

async fn quiet(max_connections: usize) -> (Server, CancellationToken) {
    let stop = CancellationToken::new();
    let settings = ServerSettings { listen: anywhere(), key: KEY.into(), max_connections };
    (Server::start(Source::Quiet, settings, clock(), stop.clone()).await.unwrap(), stop)
}

#[tokio::test]
async fn a_wrong_key_is_told_so_and_the_connection_closed() {
    let (server, _stop) = quiet(1).await;
    let mut client = Client::connect(&server).await;
    client.statuses().await;
    client.ask("subscribe", "XT.*").await;
    assert_eq!(client.statuses().await, ["auth_required: authenticate first"]);
    client.ask("auth", "guess").await;
    assert_eq!(client.statuses().await, ["auth_failed: authentication failed"]);
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn every_topic_is_acknowledged_and_unknown_ones_are_refused() {
    let (server, _stop) = quiet(1).await;
    let mut client = Client::sign_in(&server).await;
    client.ask("subscribe", "XT.BTC-USD, XQ.*,ZZ.BTC-USD,nonsense").await;
    let expected = [
        "success: subscribed to: XT.BTC-USD",
        "success: subscribed to: XQ.*",
        "error: unknown topic: ZZ.BTC-USD",
        "error: unknown topic: nonsense",
    ];
    assert_eq!(client.statuses().await, expected);
    client.ask("unsubscribe", "XQ.*").await;
    assert_eq!(client.statuses().await, ["success: unsubscribed to: XQ.*"]);
    client.ask("dance", "").await;
    assert_eq!(client.statuses().await, ["error: unknown action: dance"]);
}

#[tokio::test]
async fn a_client_gets_what_it_has_subscribed_to_and_nothing_after_it_unsubscribes() {
    let stop = CancellationToken::new();
    let settings = ServerSettings::loopback(KEY);
    let server = Server::start(Source::Generated { seed: 3 }, settings, clock(), stop).await.unwrap();
    let mut client = Client::sign_in(&server).await;
    client.ask("subscribe", "XQ.ETH-USD").await;
    client.statuses().await;
    for _ in 0..5 {
        for event in client.next().await.unwrap() {
            assert_eq!((&event["ev"], &event["pair"]), (&Value::from("XQ"), &Value::from("ETH-USD")));
        }
    }
    client.ask("unsubscribe", "XQ.ETH-USD").await;
    while client.next().await.unwrap()[0]["ev"] != "status" {}
    client.ask("subscribe", "XQ.BTC-USD").await;
    client.statuses().await;
    assert_eq!(client.next().await.unwrap()[0]["pair"], "BTC-USD");
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let (server, _stop) = quiet(1).await;
    let _first = Client::sign_in(&server).await;
    let mut second = Client::connect(&server).await;
    second.statuses().await;
    second.ask("auth", KEY).await;
    assert_eq!(second.statuses().await, ["max_connections: Maximum number of connections exceeded."]);
    assert_eq!(second.next().await, None);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_others_are_not_delayed() {
    let (server, _stop) = quiet(2).await;
    let mut lazy = Client::sign_in(&server).await;
    let mut eager = Client::sign_in(&server).await;
    let big = format!(r#"[{{"ev":"filler","text":"{}"}}]"#, "x".repeat(64 * 1024));
    let mut heard = 0;
    // More than the sockets and the queue of the lazy client can hold.
    for _ in 0..2_600 {
        server.say(&big);
        eager.next().await.expect("the eager client hears everything");
        heard += 1;
    }
    assert_eq!(heard, 2_600);
    let mut frames = 0;
    while let Some(frame) = lazy.next().await {
        frames += usize::from(frame[0]["ev"] == "filler");
    }
    assert!(frames < 2_600, "{frames}");
    // Its place is free again.
    let mut next = Client::sign_in(&server).await;
    server.say(&trade(1, 0, "1"));
    assert_eq!(next.next().await.unwrap()[0]["ev"], "XT");
}

#[tokio::test]
async fn only_the_crypto_market_is_served() {
    let (server, _stop) = quiet(1).await;
    let refused = connect_async(server.url().replace("/crypto", "/stocks")).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 404));
}
