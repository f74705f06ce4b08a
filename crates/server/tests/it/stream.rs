//! The stream over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use domain::{Access, Role};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use trading::Misbehave;

use crate::desk::Desk;
use crate::orders::limit;

/// Longer than anything here takes, so that a test fails and does not hang.
const PATIENCE: Duration = Duration::from_secs(20);

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

async fn serve(desk: &Desk) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = desk.app.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

impl Client {
    async fn open(at: SocketAddr, cookie: &str, origin: &str) -> Result<Self, Error> {
        let mut request = format!("ws://{at}/api/v1/stream").into_client_request()?;
        request.headers_mut().insert("cookie", cookie.parse().expect("a header"));
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
        Ok(Self(connect_async(request).await?.0))
    }

    async fn say(&mut self, what: &Value) {
        self.0.send(Message::text(what.to_string())).await.expect("the socket is open");
    }

    /// The next message of a type. What comes in between is passed over.
    async fn next(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                match self.0.next().await.expect("the socket is open").expect("the socket works") {
                    Message::Text(text) => {
                        let message: Value = serde_json::from_str(&text).expect("JSON");
                        if message["type"] == kind {
                            return message;
                        }
                    }
                    Message::Close(_) => panic!("closed before {kind}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{kind} never came"))
    }

    async fn subscribe(&mut self, topic: &str) -> Value {
        self.say(&json!({ "action": "subscribe", "topics": [topic] })).await;
        self.next("subscribed").await
    }
}

const ORIGIN: &str = "https://desk.test";

#[tokio::test]
async fn orders_come_live_in_order_and_are_resumed_after_a_break() {
    let (desk, owner) = Desk::with_owner().await;
    let at = serve(&desk).await;
    let topic = format!("orders:{}", desk.paper);
    let mut client = Client::open(at, &owner, ORIGIN).await.unwrap();
    let epoch = client.next("hello").await["epoch"].clone();
    let subscribed = client.subscribe(&topic).await;
    assert_eq!((&subscribed["topic"], &subscribed["seq"]), (&json!(topic), &json!(0)));

    let id = desk.resting_order(&owner, desk.paper).await;
    let first = client.next("event").await;
    assert_eq!((&first["seq"], &first["data"]["id"]), (&json!(1), &json!(id)));
    drop(client);

    let missed = desk.resting_order(&owner, desk.paper).await;
    let mut client = Client::open(at, &owner, ORIGIN).await.unwrap();
    client.next("hello").await;
    let resume = json!({ "epoch": epoch, "after": { &topic: 1 } });
    client.say(&json!({ "action": "subscribe", "topics": [topic], "resume": resume })).await;
    assert_eq!(client.next("subscribed").await["resumed"], true);
    let (mut seq, mut seen) = (1, Vec::new());
    while !seen.contains(&json!(missed)) {
        let event = client.next("event").await;
        seq += 1;
        assert_eq!(event["seq"], seq);
        seen.push(event["data"]["id"].clone());
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_another_connection_misses_nothing() {
    const PRINTS: u64 = 400;
    let (mut desk, owner) = Desk::with_owner().await;
    let at = serve(&desk).await;
    let mut slow = Client::open(at, &owner, ORIGIN).await.unwrap();
    let epoch = slow.next("hello").await["epoch"].clone();
    slow.subscribe("trades:BTC-USD").await;
    let mut others = Vec::new();
    while let Ok(another) = Client::open(at, &owner, ORIGIN).await {
        others.push(another);
    }
    assert_eq!(others.len(), 19, "one session has so many connections and no more");
    // More than the buffers between the two ends hold.
    let large = "x".repeat(60_000);
    for n in 0..PRINTS {
        desk.print(format!("{large}{n}"));
        tokio::task::yield_now().await;
    }
    let place = async {
        loop {
            if let Ok(another) = Client::open(at, &owner, ORIGIN).await {
                return another;
            }
        }
    };
    let mut another = tokio::time::timeout(PATIENCE, place).await.expect("whoever takes nothing is cut");
    let mut seen = 0;
    while let Some(Ok(Message::Text(text))) = slow.0.next().await {
        let message: Value = serde_json::from_str(&text).expect("JSON");
        if message["type"] == "event" {
            seen += 1;
            assert_eq!(message["seq"], seen);
        }
    }
    assert!(0 < seen && seen < PRINTS, "{seen}");
    let resume = json!({ "epoch": epoch, "after": { "trades:BTC-USD": seen } });
    another.say(&json!({ "action": "subscribe", "topics": ["trades:BTC-USD"], "resume": resume })).await;
    assert_eq!(another.next("subscribed").await["resumed"], true);
    for seq in seen + 1..=PRINTS {
        assert_eq!(another.next("event").await["seq"], seq);
    }
    let stale = json!({ "epoch": uuid::Uuid::nil(), "after": { "feed": 0 } });
    another.say(&json!({ "action": "subscribe", "topics": ["feed"], "resume": stale })).await;
    assert_eq!(another.next("subscribed").await["resumed"], false, "a restarted desk has another epoch");
}

#[tokio::test]
async fn fills_and_lost_orders_come_live_and_a_kill_switch_asks_for_a_snapshot() {
    let (desk, owner) = Desk::with_owner().await;
    let at = serve(&desk).await;
    let mut client = Client::open(at, &owner, ORIGIN).await.unwrap();
    client.next("hello").await;
    client.subscribe(&format!("fills:{}", desk.paper)).await;
    let bought = desk.bought(&owner, "2").await;
    let fill = client.next("event").await;
    assert_eq!((&fill["data"]["order_id"], &fill["data"]["quantity"]), (&json!(bought), &json!("2")));

    client.subscribe(&format!("unknown:{}", desk.paper)).await;
    desk.venue.misbehave(Misbehave { hang_before: 1.0, ..Misbehave::default() }).await.unwrap();
    let lost = desk.order(&owner, &limit("95")).await.body;
    let listed = client.next("event").await;
    assert_eq!(listed["data"]["items"][0]["order"]["id"], lost["id"], "{listed}");

    client.subscribe("kill-switches").await;
    let stop = r#"{"scope":"desk","reason":"something is wrong"}"#;
    desk.ask("POST", "/api/v1/kill-switches", Some(&owner), Some(stop)).await;
    assert_eq!(client.next("gap").await["topic"], "kill-switches");
}

#[tokio::test]
async fn a_topic_that_may_not_be_seen_is_refused() {
    let (desk, _) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::View)).await;
    let session = desk.sign_in("tina").await;
    let mut client = Client::open(serve(&desk).await, &session, ORIGIN).await.unwrap();
    for (topic, code) in [
        (format!("orders:{}", desk.other), "not_found"),
        (format!("account:{}", desk.other), "not_found"),
        ("trades:NO-SUCH".to_owned(), "symbol_unknown"),
        ("secrets".to_owned(), "topic_unknown"),
    ] {
        client.say(&json!({ "action": "subscribe", "topics": [topic] })).await;
        let error = client.next("error").await;
        assert_eq!((&error["code"], &error["topic"]), (&json!(code), &json!(topic)));
    }
    client.say(&json!({ "action": "shout" })).await;
    assert_eq!(client.next("error").await["code"], "message_invalid");
    assert_eq!(client.subscribe(&format!("orders:{}", desk.paper)).await["seq"], 0);
}

#[tokio::test]
async fn nobody_opens_a_stream_without_a_session_or_from_another_site() {
    let (desk, owner) = Desk::with_owner().await;
    let at = serve(&desk).await;
    for (cookie, origin, status) in [
        ("", ORIGIN, StatusCode::UNAUTHORIZED),
        ("__Host-session=guessed", ORIGIN, StatusCode::UNAUTHORIZED),
        (owner.as_str(), "https://evil.example", StatusCode::FORBIDDEN),
    ] {
        match Client::open(at, cookie, origin).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            _ => panic!("{cookie} from {origin} was let in"),
        }
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_session_and_with_the_desk() {
    let (desk, owner) = Desk::with_owner().await;
    let tina = desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let session = desk.sign_in("tina").await;
    let at = serve(&desk).await;
    let mut tinas = Client::open(at, &session, ORIGIN).await.unwrap();
    let mut owners = Client::open(at, &owner, ORIGIN).await.unwrap();
    tinas.next("hello").await;
    owners.next("hello").await;
    let user = format!("/api/v1/users/{}", tina.id);
    desk.ask("PATCH", &user, Some(&owner), Some(r#"{"status":"disabled"}"#)).await;
    assert_eq!(tinas.next("closing").await["code"], "session_ended");
    desk.stop.cancel();
    assert_eq!(owners.next("closing").await["code"], "shutting_down");
}
