//! The desk in Alpaca's words, where Alpaca's own clients do not look: refusals, other people's things, what waits, and
//! what ends a stream. What the clients do see is tested with the clients themselves.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use domain::{Access, Permission, Role};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::desk::{Answer, Desk, Key};

/// Longer than anything here takes, so that a test fails and does not hang.
const PATIENCE: Duration = Duration::from_secs(20);

impl Desk {
    /// Sends what Alpaca's clients send.
    async fn bot(&self, key: &Key, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(format!("/alpaca{path}"));
        let request = request.header("apca-api-key-id", &key.id).header("apca-api-secret-key", &key.secret);
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.header("content-type", "application/json").body(body).unwrap()).await
    }

    /// A key of the owner for everything that a key can.
    async fn bots_key(&self, cookie: &str) -> Key {
        self.key(cookie, Permission::OF_KEYS).await
    }
}

fn limit(price: f64) -> Value {
    json!({ "symbol": "BTC/USD", "qty": 1.0, "side": "buy", "type": "limit", "time_in_force": "gtc", "limit_price": price })
}

/// Status, number and words of a refusal.
fn refusal(answer: &Answer) -> (u16, u64, &str) {
    let words = answer.body["message"].as_str().unwrap_or_else(|| panic!("no message: {}", answer.text));
    (answer.status.as_u16(), answer.body["code"].as_u64().unwrap_or_default(), words)
}

#[tokio::test]
async fn whoever_shows_no_key_or_half_of_one_is_refused_in_alpacas_form_everywhere() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    for path in [
        "/v2/account",
        "/v2/orders",
        "/v2/positions",
        "/v2/assets",
        "/v2/clock",
        "/v2/watchlists",
        "/v2/nothing",
        "/v2/account/activities/FILL",
        "/v2/stocks/AAPL/bars",
        "/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD",
    ] {
        for headers in [&[][..], &[("apca-api-key-id", key.id.as_str())], &[("cookie", owner.as_str())]] {
            let mut request = Request::get(format!("/alpaca{path}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = desk.send(request.body(Body::empty()).unwrap()).await;
            let (status, code, words) = refusal(&answer);
            assert_eq!((status, code), (401, 40_110_000), "{path} {words}");
        }
    }
    let posted = desk.bot(&key, "PUT", "/v2/clock", None).await;
    assert_eq!((posted.status, posted.body["code"].as_u64()), (StatusCode::NOT_FOUND, Some(40_410_000)));
    let options = desk.bot(&key, "GET", "/v2/options/contracts", None).await;
    assert_eq!(refusal(&options), (404, 40_410_000, "options are not traded on this desk"));
}

#[tokio::test]
async fn the_orders_of_another_account_do_not_exist() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let foreign = desk.resting_order(&owner, desk.other).await;
    for (method, body) in [("GET", None), ("DELETE", None), ("PATCH", Some(json!({ "limit_price": "80" })))] {
        let answer = desk.bot(&key, method, &format!("/v2/orders/{foreign}"), body).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_u64()),
            (StatusCode::NOT_FOUND, Some(40_410_000)),
            "{method}"
        );
    }
    assert_eq!(desk.bot(&key, "GET", "/v2/orders?status=all", None).await.body, json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_an_order_is_told_with_alpacas_numbers() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let place = async |body: Value| desk.bot(&key, "POST", "/v2/orders", Some(body)).await;
    let with = |field: &str, value: Value| {
        let mut body = limit(90.0);
        body[field] = value;
        body
    };
    let placed = place(with("client_order_id", json!("mine"))).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.text);
    assert_eq!(
        (&placed.body["symbol"], &placed.body["qty"], &placed.body["limit_price"]),
        (&json!("BTC/USD"), &json!("1"), &json!("90"))
    );
    for (body, status, code) in [
        (with("client_order_id", json!("mine")), 422, 40_010_001),
        (with("limit_price", json!(90.005)), 422, 42_210_000),
        (with("symbol", json!("NOPE")), 422, 42_210_000),
        (with("qty", json!(2_000)), 403, 40_310_000),
        (with("side", json!("sell")), 403, 40_310_000),
        (with("notional", json!(5)), 422, 42_210_000),
        (with("order_class", json!("mleg")), 422, 42_210_000),
        (with("side", json!("hold")), 422, 42_210_001),
        (with("client_order_id", json!("x".repeat(129))), 422, 42_210_000),
    ] {
        let answer = place(body.clone()).await;
        let (got, number, words) = refusal(&answer);
        assert_eq!((got, number), (status, code), "{body}: {words}");
    }
    let poor = place(with("qty", json!(2_000))).await;
    assert!(poor.body["buying_power"].is_string() && poor.body["cost_basis"].is_string(), "{}", poor.text);
    let short = place(with("side", json!("sell"))).await;
    assert_eq!(
        (&short.body["available"], &short.body["symbol"]),
        (&json!("0"), &json!("BTC/USD")),
        "{}",
        short.text
    );
    let torn = Request::post("/alpaca/v2/orders").header("apca-api-key-id", &key.id);
    let torn = torn.header("apca-api-secret-key", &key.secret).body(Body::from("{\"symbol\":")).unwrap();
    assert_eq!(refusal(&desk.send(torn).await), (400, 40_010_000, "failed to decode request body"));
}

#[tokio::test]
async fn a_share_is_followed_once_it_is_asked_for_and_is_priced_in_cents() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let order = |price: Value| json!({ "symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day", "limit_price": price });
    let early = desk.bot(&key, "POST", "/v2/orders", Some(order(json!(290.12)))).await;
    assert_eq!(refusal(&early), (422, 42_210_000, "asset \"AAPL\" not found"));
    let share = desk.bot(&key, "GET", "/v2/assets/AAPL", None).await;
    assert_eq!(
        (&share.body["class"], &share.body["exchange"], &share.body["fractionable"]),
        (&json!("us_equity"), &json!(""), &json!(true)),
        "{}",
        share.text
    );
    let missing = desk.bot(&key, "GET", "/v2/assets/MSFT", None).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "{}", missing.text);
    for (price, words) in [
        (
            json!(290.123),
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        (
            json!("0.12345"),
            "invalid limit_price 0.12345. sub-penny increment does not fulfill minimum pricing criteria",
        ),
    ] {
        let answer = desk.bot(&key, "POST", "/v2/orders", Some(order(price))).await;
        assert_eq!(refusal(&answer), (422, 42_210_000, words));
    }
    let unpriced = desk.bot(&key, "POST", "/v2/orders", Some(order(json!(0.1234)))).await;
    assert_eq!(refusal(&unpriced).0, 403, "the price is good, and there is no quote yet: {}", unpriced.text);
}

#[tokio::test]
async fn a_kill_switch_refuses_with_its_reason_and_lets_cancels_through() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let order = desk.bot(&key, "POST", "/v2/orders", Some(limit(90.0))).await.body["id"].clone();
    let pull = json!({ "scope": format!("key/{}", key.id), "reason": "it runs wild" }).to_string();
    desk.ask("POST", "/api/v1/kill-switches", Some(&owner), Some(&pull)).await;
    let refused = desk.bot(&key, "POST", "/v2/orders", Some(limit(90.0))).await;
    let (status, code, words) = refusal(&refused);
    assert_eq!((status, code), (403, 40_310_000));
    assert!(words.contains("it runs wild"), "{words}");
    let account = desk.bot(&key, "GET", "/v2/account", None).await;
    assert_eq!(account.body["trade_suspended_by_user"], true);
    let path = format!("/v2/orders/{}", order.as_str().unwrap());
    let ended = async {
        while desk.bot(&key, "GET", &path, None).await.body["status"] != "canceled" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the switch cancels what works");
}

#[tokio::test]
async fn an_order_that_waits_for_a_second_person_is_under_review_and_can_be_withdrawn() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let rule = json!({ "scope": "desk", "kind": "approval_above", "value": "10" }).to_string();
    let set = desk.ask("PUT", "/api/v1/limits", Some(&owner), Some(&rule)).await;
    assert!(set.status.is_success(), "{}", set.text);
    let placed = desk.bot(&key, "POST", "/v2/orders", Some(limit(90.0))).await;
    assert_eq!(
        (placed.status, &placed.body["status"]),
        (StatusCode::OK, &json!("pending_review")),
        "{}",
        placed.text
    );
    let path = format!("/v2/orders/{}", placed.body["id"].as_str().unwrap());
    assert_eq!(desk.bot(&key, "GET", &path, None).await.body["status"], "pending_review");
    assert_eq!(desk.bot(&key, "GET", "/v2/orders", None).await.body[0]["id"], placed.body["id"]);
    assert_eq!(desk.bot(&key, "DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(desk.bot(&key, "GET", &path, None).await.body["status"], "canceled");

    desk.person("mia", Role::Manager, Some(Access::Trade)).await;
    let mia = desk.sign_in("mia").await;
    let placed = desk.bot(&key, "POST", "/v2/orders", Some(limit(91.0))).await;
    let id = placed.body["id"].as_str().unwrap();
    let agreed = desk.ask("POST", &format!("/api/v1/approvals/{id}/approve"), Some(&mia), Some("{}")).await;
    assert_eq!(agreed.status, StatusCode::OK, "{}", agreed.text);
    let order = desk.bot(&key, "GET", &format!("/v2/orders/{id}"), None).await;
    assert_eq!(order.body["client_order_id"], placed.body["client_order_id"]);
    let native = desk
        .ask("GET", &format!("/api/v1/orders/{}", order.body["id"].as_str().unwrap()), Some(&owner), None)
        .await;
    assert_eq!(native.body["key_id"], json!(key.id), "the order carries the key that asked for it");
}

struct Listener(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Listener {
    async fn open(desk: &Desk, path: &str) -> Self {
        let at = desk.listen().await;
        Self(connect_async(format!("ws://{at}/alpaca{path}")).await.unwrap().0)
    }

    async fn say(&mut self, what: &Value) {
        self.0.send(Message::text(what.to_string())).await.unwrap();
    }

    /// The next message; `None` when the stream was closed.
    async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                    Ok(Message::Binary(bytes)) => return serde_json::from_slice(&bytes).ok(),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("something is said in time")
    }
}

#[tokio::test]
async fn a_stream_says_nothing_to_a_stranger_everything_to_its_key_and_ends_with_it() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let who = |secret: &str| json!({ "action": "authenticate", "data": { "key_id": key.id, "secret_key": secret } });
    let listen = json!({ "action": "listen", "data": { "streams": ["trade_updates"] } });

    let mut stranger = Listener::open(&desk, "/stream/").await;
    stranger.say(&listen).await;
    let early = stranger.next().await.unwrap();
    assert_eq!(early["data"], json!({ "status": "unauthorized", "action": "listen" }));
    stranger.say(&who("stk_wrong")).await;
    assert_eq!(stranger.next().await.unwrap()["data"]["status"], "unauthorized");
    assert_eq!(stranger.next().await, None);

    let mut bot = Listener::open(&desk, "/stream").await;
    bot.say(&who(&key.secret)).await;
    let answer =
        json!({ "stream": "authorization", "data": { "status": "authorized", "action": "authenticate" } });
    assert_eq!(bot.next().await, Some(answer));
    bot.say(&listen).await;
    assert_eq!(
        bot.next().await,
        Some(json!({ "stream": "listening", "data": { "streams": ["trade_updates"] } }))
    );
    // What happens on another account is nobody's business here.
    desk.resting_order(&owner, desk.other).await;
    let placed = desk.bot(&key, "POST", "/v2/orders", Some(limit(90.0))).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|event| *event != "new") {
        let update = bot.next().await.unwrap();
        assert_eq!(update["data"]["order"]["id"], placed.body["id"], "{update}");
        events.push(update["data"]["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(events, ["accepted", "pending_new", "new"]);
    let revoke = desk.ask("DELETE", &format!("/api/v1/keys/{}", key.id), Some(&owner), None).await;
    assert_eq!(revoke.status, StatusCode::NO_CONTENT);
    assert_eq!(bot.next().await, None, "the stream ends with its key");
}

#[tokio::test]
async fn the_stream_of_prices_speaks_alpacas_protocol_and_its_error_numbers() {
    let (mut desk, owner) = Desk::with_owner().await;
    let key = desk.bots_key(&owner).await;
    let mut bot = Listener::open(&desk, "/v1beta3/crypto/us").await;
    assert_eq!(bot.next().await, Some(json!([{ "T": "success", "msg": "connected" }])));
    let subscribe = json!({ "action": "subscribe", "quotes": ["BTC/USD"] });
    let number = |message: Option<Value>| message.unwrap()[0]["code"].as_u64();
    bot.say(&subscribe).await;
    assert_eq!(number(bot.next().await), Some(401));
    bot.say(&json!({ "action": "auth", "key": key.id, "secret": "stk_wrong" })).await;
    assert_eq!(number(bot.next().await), Some(402));
    let auth = json!({ "action": "auth", "key": key.id, "secret": key.secret });
    bot.say(&auth).await;
    assert_eq!(bot.next().await, Some(json!([{ "T": "success", "msg": "authenticated" }])));
    bot.say(&auth).await;
    assert_eq!(number(bot.next().await), Some(403));
    bot.say(&json!({ "action": "dance" })).await;
    assert_eq!(number(bot.next().await), Some(400));
    bot.say(&subscribe).await;
    let now = bot.next().await.unwrap();
    assert_eq!(
        (&now[0]["T"], &now[0]["quotes"], &now[0]["bars"]),
        (&json!("subscription"), &json!(["BTC/USD"]), &json!([]))
    );
    desk.quote("100.5", "101.5");
    let quote = bot.next().await.unwrap();
    assert_eq!(
        (&quote[0]["T"], &quote[0]["S"], &quote[0]["bp"], &quote[0]["ap"]),
        (&json!("q"), &json!("BTC/USD"), &json!(100.5), &json!(101.5))
    );
}
