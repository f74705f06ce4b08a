//! What holds for every request, whatever it asks: budgets, endpoints that are off, writes that are done once, other sites.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE};
use axum::http::{Request, StatusCode};
use domain::{Access, Permission, Role};
use serde_json::{Value, json};
use server::{Budgets, PerMinute, Settings};

use crate::desk::{Answer, Desk};

/// As many reads, orders and writes for everybody.
fn settings(reads: u32, orders: u32, writes: u32) -> Settings {
    let user = Budgets { reads, orders, writes };
    let key = Budgets { reads: 0, orders: 0, writes: 0 };
    Settings { per_minute: PerMinute { address: 0, user, key }, ..Settings::default() }
}

impl Desk {
    /// A write under a key.
    async fn once(&self, cookie: &str, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
        let request = request.header(CONTENT_TYPE, "application/json").header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn with_headers(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_budget_of_requests_is_told_and_refuses_what_is_too_much() {
    let (desk, owner) = Desk::with_owner_and(settings(3, 0, 0)).await;
    let mut left = Vec::new();
    for _ in 0..3 {
        let answer = desk.ask("GET", "/api/v1/accounts", Some(&owner), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers["ratelimit-policy"], "\"user-reads\";q=3;w=60");
        left.push(answer.headers["ratelimit"].to_str().unwrap().split(';').nth(1).unwrap().to_owned());
    }
    assert_eq!(left, ["r=2", "r=1", "r=0"]);
    let refused = desk.ask("GET", "/api/v1/accounts", Some(&owner), None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    let elsewhere = desk.ask("GET", "/api/health", None, None).await;
    assert_eq!(elsewhere.status, StatusCode::OK, "that the desk lives is said to everybody");
}

#[tokio::test]
async fn whoever_has_used_up_every_budget_still_cancels_and_stops() {
    let (desk, owner) = Desk::with_owner_and(settings(1, 1, 1)).await;
    let order = desk.resting_order(&owner, desk.paper).await;
    let place = format!("/api/v1/accounts/{}/orders", desk.paper);
    let another = desk.ask("POST", &place, Some(&owner), Some("{}")).await;
    assert_eq!(another.code(), "rate_limited", "{}", another.text);
    let orders = desk.ask("GET", "/api/v1/orders", Some(&owner), None).await;
    assert_eq!(orders.body["items"].as_array().unwrap().len(), 1, "nothing was journaled");
    assert_eq!(desk.ask("GET", "/api/v1/orders", Some(&owner), None).await.code(), "rate_limited");
    for _ in 0..5 {
        let path = format!("/api/v1/orders/{order}/cancel");
        let canceled = desk.ask("POST", &path, Some(&owner), None).await;
        assert_ne!(canceled.status, StatusCode::TOO_MANY_REQUESTS, "{}", canceled.text);
        let all = format!("/api/v1/accounts/{}/orders/cancel-all", desk.paper);
        assert_eq!(desk.ask("POST", &all, Some(&owner), None).await.status, StatusCode::ACCEPTED);
    }
    let stop = r#"{"scope":"desk","reason":"enough"}"#;
    let stopped = desk.ask("POST", "/api/v1/kill-switches", Some(&owner), Some(stop)).await;
    assert_eq!(stopped.status, StatusCode::CREATED, "{}", stopped.text);
}

#[tokio::test]
async fn a_bot_of_alpacas_is_refused_before_its_order_is_journaled_and_cancels_all_the_same() {
    let (desk, owner) = Desk::with_owner_and(settings(0, 1, 0)).await;
    let key =
        desk.key(&owner, &[Permission::OrdersView, Permission::OrdersPlace, Permission::OrdersCancel]).await;
    let order = r#"{"symbol":"BTC/USD","side":"buy","type":"limit","time_in_force":"gtc","qty":"1","limit_price":"90"}"#;
    let placed = desk.ask_with(&key, "POST", "/alpaca/v2/orders", Some(order)).await;
    assert_eq!(placed.status, StatusCode::OK, "{}", placed.text);
    let refused = desk.ask_with(&key, "POST", "/alpaca/v2/orders", Some(order)).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!(42_910_000)));
    assert!(refused.headers.contains_key("retry-after"));
    let orders = desk.ask_with(&key, "GET", "/alpaca/v2/orders", None).await;
    assert_eq!(orders.body.as_array().unwrap().len(), 1);
    let canceled = desk.ask_with(&key, "DELETE", "/alpaca/v2/orders", None).await;
    assert_eq!(canceled.status, StatusCode::MULTI_STATUS, "{}", canceled.text);
}

#[tokio::test]
async fn one_address_does_not_use_up_the_budget_of_another_and_a_proxy_is_believed_when_it_is_trusted() {
    let mut one = settings(0, 0, 0);
    one.per_minute.address = 1;
    one.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let desk = Desk::set_up(one.into()).await;
    let ask = async |claimed: &str| {
        desk.with_headers("GET", "/api/v1/accounts", &[("x-forwarded-for", claimed)]).await
    };
    assert_ne!(ask("198.51.100.1").await.code(), "rate_limited");
    assert_eq!(ask("198.51.100.1").await.code(), "rate_limited");
    assert_ne!(ask("198.51.100.2").await.code(), "rate_limited");
    assert_eq!(
        ask("198.51.100.99, 198.51.100.2").await.code(),
        "rate_limited",
        "what the client wrote is not read"
    );
}

#[tokio::test]
async fn nobody_is_let_in_from_a_network_that_is_denied_or_not_allowed() {
    let networks = |text: &str| vec![text.parse().unwrap()];
    let only =
        Settings { allow: networks("192.0.2.0/24"), deny: networks("192.0.2.66"), ..Settings::default() };
    let desk = Desk::set_up(only.into()).await;
    for (address, let_in) in [([192, 0, 2, 1], true), ([192, 0, 2, 66], false), ([127, 0, 0, 1], false)] {
        for path in ["/api/health", "/alpaca/v2/account", "/sign-in"] {
            let mut request =
                Request::get(path).header("x-forwarded-for", "192.0.2.1").body(Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 5000))));
            let answer = tower::ServiceExt::oneshot(desk.app.clone(), request).await.unwrap();
            assert_eq!(answer.status() != StatusCode::FORBIDDEN, let_in, "{path} from {address:?}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_an_admin_switched_off_answers_nobody_until_it_is_on_again() {
    let (desk, owner) = Desk::with_owner().await;
    let change = |id: &str, on: bool, per_minute: Value| {
        json!({ "id": id, "on": on, "per_minute": per_minute, "reason": "too expensive" }).to_string()
    };
    let off = change("GET /api/v1/fills", false, Value::Null);
    let without = desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(&off)).await;
    assert_eq!(without.code(), "factor_needed");
    let (_, _, owner) = desk.enrol(&owner).await;
    let done = desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(&off)).await;
    assert_eq!((done.status, &done.body["on"]), (StatusCode::OK, &json!(false)), "{}", done.text);
    let refused = desk.ask("GET", "/api/v1/fills", Some(&owner), None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "endpoint_off"));
    let log = desk.ask("GET", "/api/v1/audit?act=endpoint.changed", Some(&owner), None).await;
    assert_eq!(log.body["items"][0]["detail"]["reason"], "too expensive");

    let on = change("GET /api/v1/fills", true, json!(1));
    assert_eq!(desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(&on)).await.status, StatusCode::OK);
    let first = desk.ask("GET", "/api/v1/fills", Some(&owner), None).await;
    assert!(first.headers["ratelimit"].to_str().unwrap().contains("\"endpoint\";r=0"), "{:?}", first.headers);
    assert_eq!(desk.ask("GET", "/api/v1/fills", Some(&owner), None).await.code(), "rate_limited");

    let listed = desk.ask("GET", "/api/v1/endpoints", Some(&owner), None).await;
    let items = listed.body["items"].as_array().unwrap();
    assert!(items.len() > 50);
    let essential: Vec<_> = items.iter().filter(|one| one["essential"] == true).collect();
    assert!(essential.len() > 10 && essential.len() < 20, "{essential:?}");
    for one in essential {
        let off = change(one["id"].as_str().unwrap(), false, Value::Null);
        let refused = desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(&off)).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "endpoint_essential"), "{one}");
    }
    let none = change("GET /api/v1/nothing", false, Value::Null);
    assert_eq!(desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(&none)).await.code(), "not_found");
}

#[tokio::test]
async fn the_desk_in_alpacas_words_can_be_switched_off_by_halves_and_still_cancels() {
    let (desk, owner) = Desk::with_owner().await;
    let key =
        desk.key(&owner, &[Permission::OrdersView, Permission::OrdersCancel, Permission::MarketView]).await;
    let (_, _, owner) = desk.enrol(&owner).await;
    let off = r#"{"id":"alpaca/trading","on":false,"reason":"no bots today"}"#;
    assert_eq!(desk.ask("PUT", "/api/v1/endpoints", Some(&owner), Some(off)).await.status, StatusCode::OK);
    let refused = desk.ask_with(&key, "GET", "/alpaca/v2/orders", None).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::FORBIDDEN, &json!(40_310_000)));
    let path = "/alpaca/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD";
    assert_eq!(desk.ask_with(&key, "GET", path, None).await.status, StatusCode::OK);
    let canceled = desk.ask_with(&key, "DELETE", "/alpaca/v2/orders", None).await;
    assert_eq!(canceled.status, StatusCode::MULTI_STATUS, "{}", canceled.text);
}

#[tokio::test]
async fn usage_is_counted_by_endpoint_and_caller_and_shown_to_whom_it_concerns() {
    let (desk, owner) = Desk::with_owner().await;
    let tina = desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let session = desk.sign_in("tina").await;
    let key = desk.key(&session, &[Permission::OrdersView]).await;
    for _ in 0..3 {
        desk.ask_with(&key, "GET", "/api/v1/orders", None).await;
    }
    desk.ask("GET", "/api/v1/orders?limit=0", Some(&session), None).await;
    desk.ask("GET", "/api/v1/audit", Some(&session), None).await;

    let own = desk.ask("GET", "/api/v1/usage", Some(&session), None).await;
    let items = own.body["items"].as_array().unwrap();
    let row = items.iter().find(|row| row["endpoint"] == "GET /api/v1/orders").unwrap();
    assert_eq!(
        (&row["requests"], &row["client_errors"], &row["server_errors"]),
        (&json!(4), &json!(1), &json!(0))
    );
    assert!(row["p50_ms"].as_f64().unwrap() > 0.0 && row["p99_ms"].as_f64() >= row["p50_ms"].as_f64());
    assert!(row["last_at"].is_string());
    assert_eq!(desk.ask("GET", "/api/v1/usage?user=all", Some(&session), None).await.code(), "forbidden");
    let with_key = desk.ask_with(&key, "GET", "/api/v1/usage", None).await;
    assert_eq!(
        with_key.body["items"][0]["requests"], 3,
        "a program sees what it did itself: {}",
        with_key.text
    );

    let path = format!("/api/v1/usage?user=all&by=caller&period=hour&key={}", key.id);
    let by_caller = desk.ask("GET", &path, Some(&owner), None).await;
    let rows = by_caller.body["items"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["user"]["id"]), (1, &json!(tina.id.to_string())));
    let (mut seen, mut next) = (0, String::new());
    loop {
        let page =
            desk.ask("GET", &format!("/api/v1/usage?user=all&limit=2{next}"), Some(&owner), None).await;
        seen += page.body["items"].as_array().unwrap().len();
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert!(seen >= 4, "{seen}");
}

#[tokio::test]
async fn a_transfer_between_books_is_done_once_under_its_key() {
    let (desk, owner) = Desk::with_owner().await;
    let books = format!("/api/v1/accounts/{}/books", desk.paper);
    let opening = r#"{"name":"Momentum","kind":"strategy","owner":"momentum"}"#;
    let opened = desk.once(&owner, "open", "POST", &books, opening).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    let again = desk.once(&owner, "open", "POST", &books, opening).await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &opened.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");

    let id = opened.body["id"].as_str().unwrap();
    let transfers = format!("{books}/transfers");
    let body = format!(r#"{{"to":"{id}","amount":"100","note":"start"}}"#);
    let same = format!(r#"{{ "note":"start", "amount":"100", "to":"{id}" }}"#);
    for body in [&body, &same, &body] {
        let moved = desk.once(&owner, "move", "POST", &transfers, body).await;
        assert_eq!((moved.status, &moved.body["amount"]), (StatusCode::OK, &json!("100")), "{}", moved.text);
    }
    let other = desk.once(&owner, "move", "POST", &transfers, &body.replace("100", "200")).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "idempotency_conflict"));
    let elsewhere = desk.once(&owner, "move", "POST", &books, opening).await;
    assert_eq!(elsewhere.code(), "idempotency_conflict");
    let listed = desk.ask("GET", &books, Some(&owner), None).await;
    let items = listed.body["items"].as_array().unwrap();
    assert_eq!(items.iter().find(|book| book["id"] == id).unwrap()["cash"], "100");

    let refused = desk.once(&owner, "poor", "POST", &transfers, &body.replace("100", "0")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    let corrected = desk.once(&owner, "poor", "POST", &transfers, &body.replace("100", "5")).await;
    assert_eq!(corrected.status, StatusCode::OK, "a refusal did nothing and gives the key back");
}

#[tokio::test]
async fn of_many_who_send_the_same_write_at_once_it_is_done_once() {
    let (desk, owner) = Desk::with_owner().await;
    let books = format!("/api/v1/accounts/{}/books", desk.paper);
    let opened =
        desk.once(&owner, "open", "POST", &books, r#"{"name":"A","kind":"strategy","owner":"a"}"#).await;
    let id = opened.body["id"].as_str().unwrap();
    let (transfers, body) =
        (format!("{books}/transfers"), format!(r#"{{"to":"{id}","amount":"10","note":"x"}}"#));
    let asking = (0..8).map(|_| desk.once(&owner, "burst", "POST", &transfers, &body));
    for answer in futures_util::future::join_all(asking).await {
        assert!(answer.status == StatusCode::OK || answer.code() == "idempotency_running", "{}", answer.text);
    }
    let listed = desk.ask("GET", &books, Some(&owner), None).await;
    let items = listed.body["items"].as_array().unwrap();
    assert_eq!(items.iter().find(|book| book["id"] == id).unwrap()["cash"], "10");
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_not_kept_for_a_repeated_request() {
    let (desk, owner) = Desk::with_owner().await;
    let (_, _, owner) = desk.enrol(&owner).await;
    let key = desk.key(&owner, &[Permission::OrdersView]).await;
    let path = format!("/api/v1/keys/{}/rotate", key.id);
    let rotated = desk.once(&owner, "turn", "POST", &path, "{}").await;
    let secret = rotated.body["secret"].as_str().unwrap().to_owned();
    let again = desk.once(&owner, "turn", "POST", &path, "{}").await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "answer_not_kept"), "{}", again.text);
    let mut connection = desk.db.read().await.unwrap();
    let rows =
        storage::query("SELECT answer FROM idempotency_keys").fetch_all(&mut *connection).await.unwrap();
    let kept: Vec<String> = rows.iter().map(|row| storage::RowExt::get(row, "answer")).collect();
    assert!(!kept.is_empty() && kept.iter().all(|answer| !answer.contains(&secret)), "{kept:?}");
    let with_new =
        desk.ask_with(&crate::desk::Key { id: key.id, secret }, "GET", "/api/v1/orders", None).await;
    assert_eq!(with_new.status, StatusCode::OK, "the secret was replaced once");
}

#[tokio::test]
async fn a_write_in_whose_middle_the_desk_ended_is_not_done_again_without_asking() {
    let (desk, owner) = Desk::with_owner().await;
    let books = format!("/api/v1/accounts/{}/books", desk.paper);
    let body = r#"{"name":"A","kind":"strategy","owner":"a"}"#;
    assert_eq!(desk.once(&owner, "open", "POST", &books, body).await.status, StatusCode::CREATED);
    let sql = "UPDATE idempotency_keys SET status = NULL, answer = '', run = 'of another desk'";
    let changed = desk.db.write(move |tx| {
        Box::pin(
            async move { storage::query(sql).execute(tx.sql()).await.map_err(storage::StorageError::from) },
        )
    });
    changed.await.unwrap();
    let again = desk.once(&owner, "open", "POST", &books, body).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "idempotency_in_doubt"));
}

#[test]
fn every_write_takes_an_idempotency_key() {
    let document: Value = serde_json::from_str(&server::openapi()).unwrap();
    let mut without = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Where a session begins, ends or shows a factor, another answer is due each time. A preview makes nothing.
        let besides = ["/api/v1/session", "/api/v1/factors", "/api/v1/audit/verify"];
        if besides.iter().any(|one| path.starts_with(one)) || path.ends_with("/preview") {
            continue;
        }
        for (method, of) in methods.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let parameters = of["parameters"].as_array().into_iter().flatten();
            if !parameters.into_iter().any(|one| one["name"] == "Idempotency-Key") {
                without.push(format!("{method} {path}"));
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn every_list_that_grows_is_read_in_pages() {
    // As many as the program, the desk's set-up or one position has, the latest ones, or those of a time.
    let bounded = [
        "/api/v1/accounts",
        "/api/v1/accounts/{id}/history",
        "/api/v1/accounts/{id}/positions/{symbol}/lots",
        "/api/v1/encryption-keys",
        "/api/v1/endpoints",
        "/api/v1/kill-switches",
        "/api/v1/market/bars",
        "/api/v1/market/trades",
        "/api/v1/orders/unknown",
        "/api/v1/roles",
        "/api/v1/webhooks",
    ];
    let document: Value = serde_json::from_str(&server::openapi()).unwrap();
    let mut wrong = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let answer = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let Some(name) = answer["$ref"].as_str().and_then(|path| path.strip_prefix('#')) else { continue };
        let Some(fields) = document.pointer(name).unwrap()["properties"].as_object() else { continue };
        let is_list = fields.get("items").is_some_and(|items| items["type"] == "array");
        if is_list && fields.contains_key("next_cursor") == bounded.contains(&path.as_str()) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn no_other_site_reads_an_answer_unless_it_is_listed_letter_by_letter() {
    let tools = "https://tools.example";
    let listed = Settings { origins: vec![tools.to_owned()], ..Settings::default() };
    let (desk, owner) = Desk::with_owner_and(listed).await;
    let key = desk.key(&owner, &[Permission::OrdersView]).await;
    let bearer = format!("Bearer {}.{}", key.id, key.secret);
    let allowed =
        desk.with_headers("GET", "/api/v1/orders", &[("origin", tools), ("authorization", &bearer)]).await;
    assert_eq!(
        (allowed.status, &allowed.headers["access-control-allow-origin"]),
        (StatusCode::OK, &tools.parse().unwrap())
    );
    assert!(!allowed.headers.contains_key("access-control-allow-credentials"));
    let asks = [("origin", tools), ("access-control-request-method", "POST")];
    let preflight = desk.with_headers("OPTIONS", "/api/v1/orders", &asks).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert!(preflight.headers["access-control-allow-headers"].to_str().unwrap().contains("Idempotency-Key"));

    for hostile in [
        "https://tools.example.evil.example",
        "https://eviltools.example",
        "https://sub.tools.example",
        "https://tools.example:8443",
        "https://TOOLS.example",
        "http://tools.example",
        "https://tools.example/",
        "null",
        "*",
    ] {
        let answer = desk
            .with_headers("GET", "/api/v1/orders", &[("origin", hostile), ("authorization", &bearer)])
            .await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{hostile}");
        assert!(answer.headers.get_all("vary").iter().any(|one| one == "Origin"), "{hostile}");
        let asks = [("origin", hostile), ("access-control-request-method", "POST")];
        let preflight = desk.with_headers("OPTIONS", "/api/v1/orders", &asks).await;
        assert_eq!(preflight.code(), "method_not_allowed", "{hostile}");
        let write = desk
            .with_headers("DELETE", "/api/v1/session", &[("origin", hostile), ("authorization", &bearer)])
            .await;
        assert_eq!(write.code(), "foreign_origin", "{hostile}");
    }
    let twice = desk
        .with_headers("GET", "/api/v1/orders", &[("origin", tools), ("origin", "https://evil.example")])
        .await;
    assert!(!twice.headers.contains_key("access-control-allow-origin"));
    let with_cookie = desk
        .with_headers(
            "DELETE",
            "/api/v1/session",
            &[("origin", tools), ("sec-fetch-site", "cross-site"), ("cookie", &owner)],
        )
        .await;
    assert_eq!(with_cookie.code(), "foreign_origin", "a session is of no use to another site");
    let page = desk.with_headers("GET", "/sign-in", &[("origin", tools)]).await;
    assert!(!page.headers.contains_key("access-control-allow-origin"), "only the API");
}

#[tokio::test]
async fn without_a_list_no_other_site_is_answered_and_nothing_is_said_of_it() {
    let (desk, owner) = Desk::with_owner().await;
    let asks = [("origin", "https://tools.example"), ("access-control-request-method", "GET")];
    assert_eq!(desk.with_headers("OPTIONS", "/api/v1/orders", &asks).await.code(), "method_not_allowed");
    let answer = desk
        .with_headers("GET", "/api/v1/orders", &[("origin", "https://tools.example"), ("cookie", &owner)])
        .await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn heads_of_requests_have_a_size() {
    let desk = Desk::new().await;
    let long = format!("/api/health?x={}", "y".repeat(9 << 10));
    assert_eq!(desk.ask("GET", &long, None, None).await.code(), "uri_too_long");
    let large = "z".repeat(33 << 10);
    let answer = desk.with_headers("GET", "/api/health", &[("x-large", &large)]).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
    );
    let many: Vec<_> = (0..101).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(desk.with_headers("GET", "/api/health", &many).await.code(), "headers_too_large");
}
