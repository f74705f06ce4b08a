//! Webhooks: what is told, to whom, how often, and where it cannot be sent.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use domain::{Access, Clock as _, Context, ManualClock, RequestId, Role, SystemClock};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use webhooks::{Change, Delivery, DeliveryStatus, NewWebhook, Resolve, Rules, Trust, WebhookError};

use crate::desk::{Desk, Telling, operator};
use crate::receiver::{Receiver, status, text};

/// A desk whose webhooks may go to a receiver, and its owner's cookie.
struct Ground {
    desk: Desk,
    owner: String,
    clock: Arc<ManualClock>,
    receiver: Receiver,
}

impl Ground {
    async fn new() -> Self {
        let receiver = Receiver::plain().await;
        let allowed = format!("http://127.0.0.1:{}", receiver.port);
        Self::with(receiver, &[&allowed], Telling::default()).await
    }

    async fn with(receiver: Receiver, allowed: &[&str], telling: Telling) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let rules = Rules::new(allowed.iter().map(|text| text.parse().expect("allowed")).collect());
        let telling = Telling { clock: clock.clone(), rules, ..telling };
        let (desk, owner) = Desk::with_owner_and(telling).await;
        tokio::spawn(desk.webhooks.clone().run(desk.stop.clone()));
        Self { desk, owner, clock, receiver }
    }

    /// Whoever holds the cookie, just after a second factor.
    async fn context(&self, cookie: &str) -> Context {
        let token = cookie.split_once('=').expect("a cookie").1;
        let now = SystemClock.now();
        let who = self.desk.identity.authenticate(token, None, RequestId::new(now)).await.unwrap();
        who.expect("a session").ctx.with_factor(Some(now))
    }

    /// A webhook to the receiver, of such kinds; gives its id and its secret.
    async fn webhook(&self, cookie: &str, kinds: &[&str]) -> (String, String) {
        self.webhook_to(cookie, &self.receiver.url(), kinds).await
    }

    async fn webhook_to(&self, cookie: &str, url: &str, kinds: &[&str]) -> (String, String) {
        let new = NewWebhook {
            name: "Hook".into(),
            url: url.to_owned(),
            account: None,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let made =
            self.desk.webhooks.create(&self.context(cookie).await, new, None).await.expect("a webhook");
        (made.webhook.id.to_string(), text(made.secret.text()))
    }

    async fn test(&self, id: &str) -> Value {
        let path = format!("/api/v1/webhooks/{id}/test");
        let answer = self.desk.ask("POST", &path, Some(&self.owner), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.body
    }

    /// The test number `nth` of a webhook, each long after the one before it.
    async fn ping(&self, id: &str, nth: i64) -> Delivery {
        let mut ctx = self.context(&self.owner).await;
        ctx.at += jiff::SignedDuration::from_secs(10 * nth);
        self.desk.webhooks.test(&ctx, id.parse().unwrap()).await.expect("a test")
    }

    /// Waits until the newest delivery stands as it should.
    async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/webhooks/{id}/deliveries");
        self.desk.until(&self.owner, &path, |list| list["items"].get(0).is_some_and(&wanted)).await
    }

    async fn audit(&self, act: &str) -> Vec<Value> {
        let path = format!("/api/v1/audit?search={act}");
        let answer = self.desk.ask("GET", &path, Some(&self.owner), None).await;
        answer.body["items"].as_array().expect("rows").clone()
    }
}

#[tokio::test]
async fn an_order_and_its_fill_are_told_signed_and_in_order() {
    let mut ground = Ground::new().await;
    let (id, secret) = ground.webhook(&ground.owner, &["order.changed", "fill.booked"]).await;
    let path = format!("/api/v1/accounts/{}/orders", ground.desk.paper);
    let body = r#"{"symbol":"BTC-USD","side":"buy","type":"market","time_in_force":"ioc","quantity":"1"}"#;
    let placed = ground.desk.ask("POST", &path, Some(&ground.owner), Some(body)).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);

    let mut versions = Vec::new();
    let mut told = Vec::new();
    loop {
        let one = ground.receiver.next().await;
        assert_eq!(one.signed_with(&secret), [true], "{one:?}");
        assert!(one.head.starts_with("POST /hook HTTP/1.1"), "{}", one.head);
        assert!(!one.head.to_lowercase().contains("authorization") && !one.head.contains("cookie"));
        let (kind, data) = (one.kind(), one.json()["data"].clone());
        assert_eq!((&data["account_id"], &data["mode"]), (&json!(ground.desk.paper), &json!("paper")));
        told.push(kind.clone());
        if kind == "order.changed" {
            assert_eq!(data["id"], placed.body["id"]);
            versions.push(data["version"].as_u64().expect("a number"));
            if data["status"] == "filled" {
                assert_eq!(data["filled_quantity"], "1");
                break;
            }
        }
    }
    assert_eq!(versions[0], 0, "that it was accepted comes first");
    assert!(versions.is_sorted() && told.contains(&"fill.booked".to_owned()), "{versions:?} {told:?}");
    let log = ground.until(&id, |newest| newest["status"] == "delivered").await;
    assert_eq!(log["items"].as_array().unwrap().len(), told.len());
    assert_eq!(log["items"][0]["attempts"][0]["http_status"], 200);
    assert_eq!(log["items"][0]["attempts"][0]["answer"], "ok");
}

#[tokio::test]
async fn what_is_not_taken_is_told_again_later_under_the_same_id() {
    let mut ground = Ground::new().await;
    let (id, _) = ground.webhook(&ground.owner, &["order.changed"]).await;
    ground.receiver.answers([status(500, ""), status(503, "")]);
    ground.desk.resting_order(&ground.owner, ground.desk.paper).await;
    let first = ground.receiver.next().await;
    let failed =
        |times| move |list: &Value| list["items"].as_array().unwrap().last().unwrap()["tried"] == times;
    let path = format!("/api/v1/webhooks/{id}/deliveries");
    ground.desk.until(&ground.owner, &path, failed(1)).await;
    assert!(ground.receiver.was_told_nothing_more(), "neither again nor what came after it on the account");
    let webhook = ground.desk.ask("GET", &format!("/api/v1/webhooks/{id}"), Some(&ground.owner), None).await;
    assert!(webhook.body["failing_since"].is_string(), "{}", webhook.text);

    ground.clock.advance(Duration::from_secs(7));
    let second = ground.receiver.next().await;
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    ground.desk.until(&ground.owner, &path, failed(2)).await;
    ground.clock.advance(Duration::from_secs(20));
    assert_eq!(ground.receiver.next().await.id(), first.id());
    let next = ground.receiver.next().await;
    assert_ne!(next.id(), first.id(), "the next of the account comes after it");
    let path = format!("/api/v1/webhooks/{id}");
    ground.desk.until(&ground.owner, &path, |webhook| webhook["failing_since"].is_null()).await;
}

#[tokio::test]
async fn a_day_of_failure_is_the_end_of_an_event_and_five_days_that_of_a_webhook() {
    let mut ground = Ground::new().await;
    let (id, _) = ground.webhook(&ground.owner, &["order.refused"]).await;
    ground.receiver.answers((0..3).map(|_| status(500, "")));
    let refuse = async |ground: &Ground| {
        let path = format!("/api/v1/accounts/{}/orders", ground.desk.paper);
        let body = r#"{"symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"day","quantity":"1","limit_price":"5000"}"#;
        let answer = ground.desk.ask("POST", &path, Some(&ground.owner), Some(body)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    };
    refuse(&ground).await;
    ground.receiver.next().await;
    ground.until(&id, |newest| newest["tried"] == 1).await;
    ground.clock.advance(Duration::from_secs(25 * 3600));
    ground.receiver.next().await;
    ground.until(&id, |newest| newest["status"] == "failed").await;
    ground.clock.advance(Duration::from_secs(5 * 24 * 3600));
    refuse(&ground).await;
    ground.receiver.next().await;
    let path = format!("/api/v1/webhooks/{id}");
    let over = ground.desk.until(&ground.owner, &path, |webhook| webhook["state"] == "failed").await;
    assert!(over["reason"].as_str().unwrap().contains("5 days"), "{over}");
    let rows = ground.audit("webhook.disabled").await;
    assert_eq!(rows.len(), 1, "{rows:?}");

    // By hand it is switched on again, and told again what was given up.
    let on = r#"{"on":true}"#;
    let path = format!("/api/v1/webhooks/{id}");
    let on = ground.desk.ask("PATCH", &path, Some(&ground.owner), Some(on)).await;
    assert_eq!(on.body["state"], "on", "{}", on.text);
    let again = format!("{path}/deliveries/1/redeliver");
    let again = ground.desk.ask("POST", &again, Some(&ground.owner), None).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    assert_eq!(ground.receiver.next().await.id(), again.body["event_id"].as_str().unwrap());
}

#[tokio::test]
async fn an_answer_of_any_kind_does_no_harm() {
    let mut ground = Ground::new().await;
    let (id, _) = ground.webhook(&ground.owner, &["approval.waiting"]).await;
    let elsewhere = Receiver::plain().await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", elsewhere.port);
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{}", "<script>".repeat(1 << 18));
    let hidden = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na\u{1b}[2J\u{202e}b".to_owned();
    ground.receiver.answers([
        status(302, &location),
        huge,
        hidden,
        "nonsense\r\n\r\n".to_owned(),
        String::new(),
    ]);
    let mut came = Vec::new();
    for nth in 0..5 {
        let ping = ground.ping(&id, nth).await;
        came.push((ping.status, ping.attempts[0].clone()));
        assert_eq!(ground.receiver.next().await.kind(), "ping");
    }
    let (failed, delivered) = (DeliveryStatus::Failed, DeliveryStatus::Delivered);
    assert_eq!(
        came.iter().map(|one| one.0).collect::<Vec<_>>(),
        [failed, delivered, delivered, failed, failed]
    );
    let statuses: Vec<_> = came.iter().map(|one| one.1.http_status).collect();
    assert_eq!(statuses, [Some(302), Some(200), Some(200), None, None]);
    let mut elsewhere = elsewhere;
    assert!(elsewhere.was_told_nothing_more(), "a redirect is not followed");
    assert_eq!(came[1].1.answer.as_ref().unwrap().len(), 1000, "only the beginning is kept");
    assert_eq!(came[2].1.answer.as_deref(), Some("a\\u{1b}[2J\\u{202e}b"));
    assert_eq!(came[4].1.error.as_deref(), Some("it did not answer within 10 seconds"));
    let again =
        ground.desk.ask("POST", &format!("/api/v1/webhooks/{id}/test"), Some(&ground.owner), None).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    let again =
        ground.desk.ask("POST", &format!("/api/v1/webhooks/{id}/test"), Some(&ground.owner), None).await;
    assert_eq!((again.code(), again.headers["retry-after"].to_str().unwrap()), ("tested_too_soon", "3"));
}

#[tokio::test]
async fn a_webhook_is_told_no_more_than_its_owner_may_see_at_that_moment() {
    let mut ground = Ground::new().await;
    let trader = ground.desk.person("tom", Role::Trader, Some(Access::Trade)).await;
    let cookie = ground.desk.sign_in("tom").await;
    let (id, _) = ground.webhook(&cookie, &["order.changed", "kill_switch.engaged"]).await;
    // Not granted: nothing of it is told.
    ground.desk.resting_order(&ground.owner, ground.desk.other).await;
    ground.desk.resting_order(&ground.owner, ground.desk.paper).await;
    let first = ground.receiver.next().await;
    assert_eq!(first.json()["data"]["account_id"], json!(ground.desk.paper));

    // One is under way when the grant goes, and one comes after it.
    let path = format!("/api/v1/webhooks/{id}/deliveries");
    let all_told =
        |list: &Value| list["items"].as_array().unwrap().iter().all(|one| one["status"] == "delivered");
    ground.desk.until(&cookie, &path, all_told).await;
    while !ground.receiver.was_told_nothing_more() {}
    ground.receiver.answers([status(500, "")]);
    ground.desk.resting_order(&ground.owner, ground.desk.paper).await;
    ground.receiver.next().await;
    ground
        .desk
        .until(&cookie, &path, |list| {
            list["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["tried"] == 1 && one["status"] == "waiting")
        })
        .await;
    ground.desk.identity.revoke(&operator(), trader.id, ground.desk.paper).await.unwrap();
    ground.clock.advance(Duration::from_secs(60));
    ground.desk.resting_order(&ground.owner, ground.desk.paper).await;
    let kill = format!(r#"{{"scope":"user/{}","reason":"practice","drill":true}}"#, trader.id);
    let pulled = ground.desk.ask("POST", "/api/v1/kill-switches", Some(&ground.owner), Some(&kill)).await;
    assert!(pulled.status.is_success(), "{}", pulled.text);
    assert_eq!(ground.receiver.next().await.kind(), "kill_switch.engaged", "it is about oneself");
    let log = ground
        .desk
        .until(&cookie, &path, |list| {
            list["items"].as_array().unwrap().iter().any(|one| one["status"] == "withheld")
        })
        .await;
    assert!(log["items"].as_array().unwrap().iter().all(|one| one["status"] != "failed"), "{log}");
    assert!(ground.receiver.was_told_nothing_more());

    // Of somebody who is disabled nothing is told at all, and nobody else has what was theirs.
    let foreign = ground.desk.ask("GET", &path, Some(&ground.owner), None).await;
    assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn a_secret_is_replaced_with_both_signing_for_a_while() {
    let mut ground = Ground::new().await;
    let (id, old) = ground.webhook(&ground.owner, &["approval.waiting"]).await;
    let ctx = ground.context(&ground.owner).await;
    let rotated =
        ground.desk.webhooks.rotate(&ctx, id.parse().unwrap(), Duration::from_secs(3600)).await.unwrap();
    let new = text(rotated.secret.text());
    ground.test(&id).await;
    let told = ground.receiver.next().await;
    assert_eq!((told.signed_with(&new), told.signed_with(&old)), (vec![true, false], vec![false, true]));
    ground.clock.advance(Duration::from_secs(3601));
    ground.ping(&id, 1).await;
    assert_eq!(ground.receiver.next().await.signed_with(&new), [true]);

    // Neither is anywhere in the database, nor in an answer.
    let list = ground.desk.ask("GET", "/api/v1/webhooks", Some(&ground.owner), None).await;
    assert!(!list.text.contains("whsec_") && list.text.contains(&id));
    for secret in [&old, &new] {
        let key = secret.strip_prefix("whsec_").unwrap();
        assert!(!ground.desk.holds(key.as_bytes()), "a secret stands in the database");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_told_again() {
    let mut ground = Ground::new().await;
    let (id, _) = ground.webhook(&ground.owner, &["order.changed"]).await;
    ground.receiver.answers([status(410, "")]);
    ground.desk.resting_order(&ground.owner, ground.desk.paper).await;
    ground.receiver.next().await;
    let path = format!("/api/v1/webhooks/{id}");
    ground.desk.until(&ground.owner, &path, |webhook| webhook["state"] == "failed").await;
    let log = ground.desk.ask("GET", &format!("{path}/deliveries"), Some(&ground.owner), None).await;
    assert!(
        log.body["items"].as_array().unwrap().iter().all(|one| one["status"] == "failed"),
        "{}",
        log.text
    );
    assert!(ground.receiver.was_told_nothing_more());
}

#[tokio::test]
async fn where_data_goes_is_said_only_with_a_second_factor_and_only_to_where_it_may() {
    let ground = Ground::new().await;
    let new = |url: &str| json!({ "name": "Hook", "url": url, "kinds": ["order.changed"] }).to_string();
    let ask =
        async |body: &str| ground.desk.ask("POST", "/api/v1/webhooks", Some(&ground.owner), Some(body)).await;
    for url in [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "http://hooks.example/",
        "https://me:pw@hooks.example/",
        "https://0x7f.1/",
    ] {
        let answer = ask(&new(url)).await;
        assert_eq!(
            (answer.code(), &answer.body["field"]),
            ("field_invalid", &json!("url")),
            "{url}: {}",
            answer.text
        );
    }
    let answer = ask(&new("https://hooks.example/")).await;
    assert_eq!(answer.code(), "factor_needed", "{}", answer.text);
    assert_eq!(ground.audit("webhook.created").await[0]["outcome"], "refused");

    let (id, _) = ground.webhook(&ground.owner, &[]).await;
    let change = async |body: &str| {
        ground.desk.ask("PATCH", &format!("/api/v1/webhooks/{id}"), Some(&ground.owner), Some(body)).await
    };
    for body in [r#"{"url":"https://hooks.example/"}"#, r#"{"kinds":["order.changed"]}"#] {
        assert_eq!(change(body).await.code(), "factor_needed", "{body}");
    }
    let renamed = change(r#"{"name":"Other","on":false}"#).await;
    assert_eq!((&renamed.body["name"], &renamed.body["state"]), (&json!("Other"), &json!("off")));
    let rotate = format!("/api/v1/webhooks/{id}/rotate");
    let rotated = ground.desk.ask("POST", &rotate, Some(&ground.owner), Some("{}")).await;
    assert_eq!(rotated.code(), "factor_needed");
    let deleted =
        ground.desk.ask("DELETE", &format!("/api/v1/webhooks/{id}"), Some(&ground.owner), None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let text = format!("{:?}", ground.audit("webhook.deleted").await);
    assert!(text.contains("127.0.0.1") && !text.contains("/hook\""), "the host, not the path: {text}");
}

#[tokio::test]
async fn nobody_has_more_webhooks_than_twenty() {
    let ground = Ground::new().await;
    for _ in 0..20 {
        ground.webhook(&ground.owner, &["order.changed"]).await;
    }
    let new =
        NewWebhook { name: "More".into(), url: ground.receiver.url(), account: None, kinds: Vec::new() };
    let ctx = ground.context(&ground.owner).await;
    assert!(matches!(
        ground.desk.webhooks.create(&ctx, new, None).await,
        Err(WebhookError::TooMany { most: 20 })
    ));
}

/// Answers with the next of its lists of addresses, and with the last for ever.
struct Names(Mutex<Vec<Vec<IpAddr>>>, AtomicUsize);

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect("an address")).collect();
        Arc::new(Self(Mutex::new(answers.iter().rev().map(parse).collect()), AtomicUsize::new(0)))
    }
}

#[async_trait]
impl Resolve for Names {
    async fn addresses(&self, _: &str, _: u16) -> std::io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.0.lock().expect("nobody panicked");
        Ok(if answers.len() > 1 { answers.pop().expect("one more") } else { answers[0].clone() })
    }
}

/// A receiver with a certificate for `hooks.test`, and whoever believes it.
async fn with_tls() -> (Receiver, Trust) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["hooks.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = signing_key.serialize_der().try_into().expect("a key");
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Receiver::start(Some(TlsAcceptor::from(Arc::new(server)))).await, Trust::new(client))
}

/// Makes a webhook to a name that leads to `answers`, one after the other, and pings it as often; gives what became of each.
async fn named(host: &str, answers: &[&[&str]], trusted: bool) -> (Vec<String>, usize, bool) {
    let (receiver, trust) = with_tls().await;
    let port = receiver.port;
    let names = Names::new(answers);
    let trust = if trusted { trust } else { Trust::of_system() };
    let telling = Telling { resolver: names.clone(), trust, ..Telling::default() };
    let mut ground = Ground::with(receiver, &[&format!("127.0.0.1:{port}")], telling).await;
    let url = format!("https://{host}:{port}/");
    let (id, _) = ground.webhook_to(&ground.owner, &url, &["approval.waiting"]).await;
    let mut outcomes = Vec::new();
    for nth in 0..answers.len() {
        let ping = ground.ping(&id, i64::try_from(nth).unwrap()).await;
        let attempt = ping.attempts.into_iter().next().expect("an attempt");
        outcomes.push(attempt.error.unwrap_or_else(|| "delivered".into()));
    }
    let reached = !ground.receiver.was_told_nothing_more();
    (outcomes, names.1.load(Ordering::Relaxed), reached)
}

const NOT_PUBLIC: &str = "the address is not public, and the operator does not allow it";

#[tokio::test]
async fn a_name_is_resolved_once_for_each_attempt_and_only_what_was_checked_is_connected_to() {
    let answers: &[&[&str]] =
        &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1", "10.0.0.1"], &["169.254.169.254"], &[]];
    let (outcomes, asked, reached) = named("hooks.test", answers, true).await;
    assert_eq!(
        outcomes,
        ["delivered", NOT_PUBLIC, NOT_PUBLIC, NOT_PUBLIC, "the name of the host cannot be resolved"]
    );
    assert_eq!((asked, reached), (answers.len(), true), "a second question could be answered otherwise");
}

#[tokio::test]
async fn a_receiver_that_cannot_prove_its_name_is_told_nothing() {
    for (host, trusted) in [("hooks.test", false), ("other.test", true)] {
        let (outcomes, _, reached) = named(host, &[&["127.0.0.1"]], trusted).await;
        assert!(outcomes[0].contains("certificate"), "{host}: {outcomes:?}");
        assert!(!reached, "{host} was told");
    }
}

#[tokio::test]
async fn an_address_that_the_operator_no_longer_allows_is_not_connected_to() {
    let mut ground = Ground::new().await;
    let (id, _) = ground.webhook(&ground.owner, &[]).await;
    let ctx = ground.context(&ground.owner).await;
    let elsewhere = Change { url: Some("https://10.0.0.1/".into()), ..Change::default() };
    let refused = ground.desk.webhooks.change(&ctx, id.parse().unwrap(), elsewhere).await;
    assert!(matches!(refused, Err(WebhookError::Url(_))), "{refused:?}");
    let sql = "UPDATE webhooks SET url = 'https://10.0.0.1/'";
    ground
        .desk
        .db
        .write(move |tx| {
            Box::pin(async move {
                storage::query(sql).execute(tx.sql()).await?;
                Ok::<_, storage::StorageError>(())
            })
        })
        .await
        .unwrap();
    let ping = ground.test(&id).await;
    assert_eq!(
        ping["attempts"][0]["error"],
        "The address is not public, and the operator does not allow it."
    );
    assert!(ground.receiver.was_told_nothing_more());
}
