//! Accounts added, renewed, paused and removed while the desk runs; the broker is another desk, which speaks Alpaca's words.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::alpaca::Trusting;
use crate::running::{Home, Running, Session};
use crate::sdk::{Desk, enrol};

const ADDED: &str = "Elsewhere";

/// A key of the desk that is the broker.
struct Key {
    id: String,
    secret: String,
}

impl Key {
    async fn of(broker: &Desk, name: &str) -> Self {
        let scopes = ["market.view", "accounts.view", "orders.view", "orders.place", "orders.cancel"];
        let body = json!({ "name": name, "account_id": broker.account, "scopes": scopes });
        let (status, made) = broker.session.call(Method::POST, "/keys", Some(body)).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { id: text(&made["key"]["id"]), secret: text(&made["secret"]) }
    }

    async fn revoke(&self, broker: &Desk) {
        let path = format!("/keys/{}", self.id);
        let (status, answer) = broker.session.call(Method::DELETE, &path, None).await.unwrap();
        assert!(status.is_success(), "{answer}");
    }

    fn credentials(&self) -> Value {
        json!({ "key_id": self.id, "secret": self.secret })
    }
}

/// Somebody who manages an account of the desk under test.
struct Manager {
    session: Session,
    account: String,
}

impl Manager {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.session.call(method, &format!("/accounts/{}{path}", self.account), body).await.unwrap()
    }

    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.session.until(&format!("/accounts/{}", self.account), wanted).await
    }

    async fn try_order(&self, name: &str, order: Value) -> (StatusCode, Value) {
        let mut wish = json!({ "client_order_id": name, "symbol": "BTC-USD", "time_in_force": "gtc" });
        wish.as_object_mut().unwrap().extend(order.as_object().unwrap().clone());
        self.call(Method::POST, "/orders", Some(wish)).await
    }

    async fn trade(&self, name: &str, side: &str) {
        let order = json!({ "side": side, "type": "market", "quantity": "0.01" });
        let (status, placed) = self.try_order(name, order).await;
        assert_eq!(status, StatusCode::CREATED, "{placed}");
        self.ended(&placed, "filled").await;
    }

    /// An order far below the market, once it works at the broker.
    async fn resting(&self, name: &str) -> Value {
        let ask: f64 = self.session.until_quoted("BTC-USD").await["ask"].as_str().unwrap().parse().unwrap();
        let price = format!("{:.0}", ask * 0.8);
        let order = json!({ "side": "buy", "type": "limit", "quantity": "0.0001", "limit_price": price });
        let (status, placed) = self.try_order(name, order).await;
        assert_eq!(status, StatusCode::CREATED, "{placed}");
        self.ended(&placed, "working").await;
        placed
    }

    async fn ended(&self, order: &Value, status: &str) {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        self.session.until(&path, |order| order["status"] == status).await;
    }
}

fn code(answer: &(StatusCode, Value)) -> &str {
    answer.1["code"].as_str().unwrap_or_default()
}

/// Nothing on the desk's disk has the secret in it.
fn check_disk(home: &Home, secrets: &[&str]) {
    for file in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a broker's secret is on the disk");
        }
    }
}

struct Ground {
    broker: Desk,
    url: String,
    desk: Home,
    running: Running,
    session: Session,
}

impl Ground {
    async fn new() -> Self {
        let broker = Desk::start().await;
        let url = broker.running.url.replace("127.0.0.1", "localhost") + "/alpaca";
        let trusting = Trusting { home: Home::new(), other: &broker };
        let running = trusting.start().await;
        let desk = trusting.home;
        let session = running.set_up().await;
        enrol(&session).await;
        session.until_quoted("BTC-USD").await;
        Self { broker, url, desk, running, session }
    }

    fn wish(&self, name: &str, key: &Key) -> Value {
        json!({
            "name": name, "broker": "alpaca", "mode": "paper", "url": self.url,
            "key_id": key.id, "secret": key.secret,
        })
    }

    async fn add(&self, wish: Value) -> (StatusCode, Value) {
        self.session.call(Method::POST, "/accounts", Some(wish)).await.unwrap()
    }

    async fn manager(&self, key: &Key) -> Manager {
        let (status, added) = self.add(self.wish(ADDED, key)).await;
        assert_eq!(status, StatusCode::CREATED, "{added}");
        assert!(!added.to_string().contains(&key.secret), "an answer has the secret");
        let account = added["id"].as_str().unwrap().to_owned();
        let manager = Manager { session: self.session.at(&self.running), account };
        manager.until(|state| state["state"] == "ready").await;
        manager
    }
}

#[tokio::test]
async fn credentials_that_die_are_renewed_while_the_desk_runs() {
    let ground = Ground::new().await;
    let (first, second) = (Key::of(&ground.broker, "first").await, Key::of(&ground.broker, "second").await);

    let wrong = Key { id: first.id.clone(), secret: "stk_wrong".into() };
    assert_eq!(code(&ground.add(ground.wish(ADDED, &wrong)).await), "credentials_refused");
    let mut real = ground.wish(ADDED, &first);
    real["url"] = json!("https://api.alpaca.markets");
    let refused = ground.add(real).await;
    assert_eq!((code(&refused), &refused.1["field"]), ("field_invalid", &json!("url")), "paper is not live");
    assert_eq!(ground.session.all("/accounts").await.len(), 1, "nothing is half done");

    let manager = ground.manager(&first).await;
    let twice = ground.add(ground.wish("Once more", &second)).await;
    assert_eq!((code(&twice), &twice.1["value"]), ("account_on_desk", &json!(ADDED)));
    manager.trade("first", "buy").await;
    let resting = manager.resting("resting").await;

    let (status, renewed) = manager.call(Method::PUT, "/credentials", Some(second.credentials())).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    first.revoke(&ground.broker).await;
    manager.trade("second", "buy").await;
    manager.ended(&resting, "working").await;
    assert_eq!(
        code(&manager.call(Method::PUT, "/credentials", Some(first.credentials())).await),
        "credentials_refused"
    );

    second.revoke(&ground.broker).await;
    let blind = manager.until(|state| state["locked_out"] == true && state["state"] == "blind").await;
    assert!(blind["blind_reason"].as_str().unwrap().contains("renewed"), "{blind}");
    let order = json!({ "side": "buy", "type": "market", "quantity": "0.01" });
    let refused = manager.try_order("blind", order).await;
    assert_eq!((refused.0, code(&refused)), (StatusCode::SERVICE_UNAVAILABLE, "account_blind"));
    let audit =
        ground.session.until("/audit?act=account.locked_out", |rows| rows["items"][0].is_object()).await;
    assert_eq!(audit["items"][0]["detail"]["name"], json!(ADDED));

    let third = Key::of(&ground.broker, "third").await;
    let (status, renewed) = manager.call(Method::PUT, "/credentials", Some(third.credentials())).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    let ready = manager.until(|state| state["state"] == "ready").await;
    assert!(ready["locked_out"] == false && ready["stream_since_at"].is_string(), "{ready}");
    manager.trade("third", "buy").await;
    manager.ended(&resting, "working").await;

    let Ground { broker, desk, running, .. } = ground;
    assert!(running.stop().await);
    check_disk(&desk, &[&first.secret, &second.secret, &third.secret]);
    let (good, report) = desk.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
    assert!(broker.running.stop().await);
}

#[tokio::test]
async fn a_paused_account_takes_no_new_risk_and_one_that_is_removed_is_gone() {
    let ground = Ground::new().await;
    let key = Key::of(&ground.broker, "key").await;
    let mut manager = ground.manager(&key).await;
    manager.trade("held", "buy").await;
    manager.trade("more", "buy").await;
    let resting = manager.resting("resting").await;
    let resting_path = format!("/orders/{}/cancel", resting["id"].as_str().unwrap());

    let removed = manager.call(Method::DELETE, "?confirm_name=Elsewhere", None).await;
    assert_eq!(code(&removed), "account_open_orders");
    let (status, paused) = manager.call(Method::POST, "/pause", None).await;
    assert!(status == StatusCode::OK && paused["paused_since_at"].is_string(), "{paused}");
    let buy = json!({ "side": "buy", "type": "market", "quantity": "0.01" });
    assert_eq!(code(&manager.try_order("paused", buy.clone()).await), "account_paused");
    manager.trade("closing", "sell").await;
    let (status, _) = manager.session.call(Method::POST, &resting_path, Some(json!({}))).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED);
    manager.ended(&resting, "canceled").await;

    let Ground { broker, desk, running, url, .. } = ground;
    assert!(running.stop().await);
    let trusting = Trusting { home: desk, other: &broker };
    let running = trusting.start().await;
    manager.session = manager.session.at(&running);
    manager.session.until_quoted("BTC-USD").await;
    manager.until(|state| state["state"] == "ready" && state["paused_since_at"].is_string()).await;
    assert_eq!(code(&manager.try_order("restarted", buy.clone()).await), "account_paused");

    // By command, beside the desk that runs.
    let (done, said) = trusting.home.run(&["account", "activate", ADDED]).await;
    assert!(done, "{said}");
    manager.until(|state| state["paused_since_at"].is_null()).await;
    manager.trade("active", "buy").await;
    let (done, said) = trusting.home.run(&["account", "rename", ADDED, "Renamed"]).await;
    assert!(done, "{said}");
    manager.until(|state| state["name"] == "Renamed").await;

    assert_eq!(code(&manager.call(Method::DELETE, "", None).await), "account_holds");
    assert_eq!(code(&manager.call(Method::DELETE, "?confirm_name=Elsewhere", None).await), "field_invalid");
    let (status, answer) = manager.call(Method::DELETE, "?confirm_name=Renamed", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert_eq!(manager.call(Method::GET, "", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(code(&manager.try_order("gone", buy).await), "not_found");
    let rows = manager.session.all("/audit").await;
    let acts: Vec<&str> = rows.iter().filter_map(|row| row["act"].as_str()).collect();
    for act in ["account.opened", "account.paused", "account.activated", "account.renamed", "account.removed"]
    {
        assert!(acts.contains(&act), "{act} of {acts:?}");
    }

    // The name is free again, and so is the broker's account.
    let file = trusting.home.file("accounts.yaml");
    let listed = format!(
        "- name: Renamed\n  broker: alpaca\n  mode: paper\n  url: {url}\n  key_id: {0}\n  secret: {1}\n\
         - name: Wrong\n  broker: alpaca\n  mode: paper\n  url: {url}\n  key_id: {0}\n  secret: stk_wrong\n",
        key.id, key.secret
    );
    std::fs::write(&file, listed).unwrap();
    let (done, said) = trusting.tell(&["account", "import", file.to_str().unwrap()], "").await;
    assert!(
        !done && said.contains("1 of 2 accounts are added") && said.contains("\"Wrong\" is not added"),
        "{said}"
    );
    assert!(!said.contains(&key.secret) && !said.contains("stk_wrong"), "a secret is printed");
    std::fs::remove_file(&file).unwrap();
    let (done, said) = trusting.home.run(&["user", "grant", "owner", "Renamed", "manage"]).await;
    assert!(done, "{said}");
    let imported = manager
        .session
        .until("/accounts", |list| {
            list["items"].as_array().unwrap().iter().any(|one| one["name"] == "Renamed")
        })
        .await;
    let imported = imported["items"].as_array().unwrap().iter().find(|one| one["name"] == "Renamed").unwrap();
    manager.account = imported["id"].as_str().unwrap().to_owned();
    manager.until(|state| state["state"] == "ready").await;
    manager.trade("imported", "buy").await;

    assert!(running.stop().await);
    check_disk(&trusting.home, &[&key.secret]);
    let (good, report) = trusting.home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
    assert!(broker.running.stop().await);
}
