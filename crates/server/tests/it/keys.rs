//! API keys over HTTP: made, used, limited, revoked.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use domain::{Access, Permission, Role};
use identity::{Change, UserStatus};
use serde_json::{Value, json};

use crate::desk::{Answer, Desk, Key, operator};

const TRADING: &[Permission] =
    &[Permission::AccountsView, Permission::OrdersView, Permission::OrdersPlace, Permission::OrdersCancel];

impl Desk {
    /// Sends what a program with a key sends.
    pub(crate) async fn ask_with(&self, key: &Key, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}.{}", key.id, key.secret));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |text| Body::from(text.to_owned()));
        self.send(request.body(body).unwrap()).await
    }

    /// A limit order far below the market, placed with a key.
    async fn place_with(&self, key: &Key) -> Answer {
        let body = r#"{"symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"gtc","quantity":"1","limit_price":"90"}"#;
        self.ask_with(key, "POST", &format!("/api/v1/accounts/{}/orders", self.paper), Some(body)).await
    }

    /// The newest audit rows of an act, as the owner reads them.
    async fn audit(&self, cookie: &str, act: &str) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/api/v1/audit?act={act}"), Some(cookie), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.body["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_key_is_made_with_a_second_factor_and_shown_once() {
    let (desk, owner) = Desk::with_owner().await;
    let body = json!({ "name": "grid", "account_id": desk.paper.to_string(), "scopes": ["orders.view"] })
        .to_string();
    let without = desk.ask("POST", "/api/v1/keys", Some(&owner), Some(&body)).await;
    assert_eq!((without.status, without.code()), (StatusCode::FORBIDDEN, "factor_needed"));

    let (_, _, cookie) = desk.enrol(&owner).await;
    let made = desk.ask("POST", "/api/v1/keys", Some(&cookie), Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let (id, secret) = (&made.body["key"]["id"], made.body["secret"].as_str().unwrap());
    assert!(id.as_str().unwrap().starts_with("PK") && secret.starts_with("stk_") && secret.len() == 47);
    assert!(made.body["key"]["expires_at"].is_string(), "a key ends, where nothing else is asked for");

    let listed = desk.ask("GET", "/api/v1/keys", Some(&cookie), None).await;
    assert_eq!(&listed.body["items"][0]["id"], id);
    assert!(!listed.text.contains(secret));
    let log = desk.audit(&cookie, "key.created").await;
    assert_eq!(log[0]["resource"], json!(format!("key/{}", id.as_str().unwrap())));
    assert!(!json!(log).to_string().contains(secret));
}

#[tokio::test]
async fn a_repeated_request_for_a_key_makes_no_second_one() {
    let (desk, owner) = Desk::with_owner().await;
    let (_, _, cookie) = desk.enrol(&owner).await;
    let body = json!({ "name": "grid", "account_id": desk.paper.to_string(), "scopes": ["orders.view"] })
        .to_string();
    let ask = || {
        Request::post("/api/v1/keys")
            .header("cookie", &cookie)
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", "one")
            .body(Body::from(body.clone()))
            .unwrap()
    };
    let (first, second) = (desk.send(ask()).await, desk.send(ask()).await);
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!((second.code(), &second.body["value"]), ("key_made_before", &first.body["key"]["id"]));
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_more_than_they() {
    let (desk, _) = Desk::with_owner().await;
    desk.person("vera", Role::Viewer, Some(Access::View)).await;
    let (_, _, cookie) = desk.enrol(&desk.sign_in("vera").await).await;
    let ask = async |scope: &str, account: &str| {
        let body = json!({ "name": "x", "account_id": account, "scopes": [scope] }).to_string();
        let answer = desk.ask("POST", "/api/v1/keys", Some(&cookie), Some(&body)).await;
        (answer.code().to_owned(), answer.body["field"].as_str().map(str::to_owned))
    };
    let (own, foreign) = (desk.paper.to_string(), desk.other.to_string());
    assert_eq!(ask("orders.place", &own).await, ("forbidden".into(), None));
    assert_eq!(ask("users.manage", &own).await, ("field_invalid".into(), Some("scopes".into())));
    assert_eq!(ask("orders.view", &foreign).await, ("not_found".into(), None));
}

#[tokio::test]
async fn an_order_carries_the_key_that_placed_it_and_so_does_its_audit_row() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.key(&owner, TRADING).await;
    let placed = desk.place_with(&key).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
    assert_eq!(
        (&placed.body["key_id"], &placed.body["submitted_by"]["name"]),
        (&json!(key.id), &json!("Olga"))
    );
    let log = desk.audit(&owner, "order.accepted").await;
    assert_eq!(
        (&log[0]["detail"]["key"], &log[0]["resource"]),
        (&json!(key.id), &json!(format!("order/{}", placed.body["id"].as_str().unwrap())))
    );
}

#[tokio::test]
async fn a_key_reaches_its_account_and_what_it_was_made_for_and_nothing_else() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.key(&owner, &[Permission::AccountsView, Permission::OrdersView]).await;
    let code = async |method: &str, path: String, body: Option<&str>| {
        desk.ask_with(&key, method, &path, body).await.code().to_owned()
    };
    let list = desk.ask_with(&key, "GET", "/api/v1/accounts", None).await;
    let ids: Vec<_> = list.body["items"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!(desk.paper.to_string())], "the owner sees every account, the key does not");
    assert_eq!(code("GET", format!("/api/v1/accounts/{}", desk.other), None).await, "not_found");
    assert_eq!(desk.place_with(&key).await.code(), "forbidden");
    assert_eq!(code("GET", "/api/v1/market/feed".into(), None).await, "forbidden");
    assert_eq!(code("GET", "/api/v1/users".into(), None).await, "forbidden");
    assert_eq!(code("GET", "/api/v1/session".into(), None).await, "session_needed");
    assert_eq!(code("GET", "/api/v1/keys".into(), None).await, "session_needed");
    assert_eq!(code("DELETE", format!("/api/v1/keys/{}", key.id), None).await, "session_needed");
    let body =
        json!({ "name": "x", "account_id": desk.paper.to_string(), "scopes": ["orders.view"] }).to_string();
    assert_eq!(code("POST", "/api/v1/keys".into(), Some(&body)).await, "session_needed");
}

#[tokio::test]
async fn what_the_owner_loses_the_key_has_lost_with_the_next_request() {
    let (desk, _) = Desk::with_owner().await;
    let trader = desk.person("tina", Role::Trader, Some(Access::Trade)).await.id;
    let key = desk.key(&desk.sign_in("tina").await, TRADING).await;
    assert_eq!(desk.place_with(&key).await.status, StatusCode::CREATED);

    desk.identity.grant(&operator(), trader, desk.paper, Access::View).await.unwrap();
    assert_eq!(desk.place_with(&key).await.code(), "forbidden");
    desk.identity.grant(&operator(), trader, desk.paper, Access::Trade).await.unwrap();
    let roles = |roles: Vec<Role>| Change { roles: Some(roles), ..Change::default() };
    desk.identity.change_user(&operator(), trader, roles(vec![Role::Viewer])).await.unwrap();
    assert_eq!(desk.place_with(&key).await.code(), "forbidden");
    desk.identity.change_user(&operator(), trader, roles(vec![Role::Trader])).await.unwrap();
    assert_eq!(desk.place_with(&key).await.status, StatusCode::CREATED, "and has it again");

    desk.identity.revoke(&operator(), trader, desk.paper).await.unwrap();
    assert_eq!(desk.place_with(&key).await.code(), "key_refused");
    desk.identity.grant(&operator(), trader, desk.paper, Access::Trade).await.unwrap();
    let disabled = Change { status: Some(UserStatus::Disabled), ..Change::default() };
    desk.identity.change_user(&operator(), trader, disabled).await.unwrap();
    assert_eq!(desk.place_with(&key).await.code(), "key_refused");
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_an_admin_can_revoke_anybodys() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let tina = desk.sign_in("tina").await;
    let (hers, his) = (desk.key(&tina, TRADING).await, desk.key(&owner, TRADING).await);
    let revoke = async |cookie: &str, key: &Key| {
        desk.ask("DELETE", &format!("/api/v1/keys/{}", key.id), Some(cookie), None).await
    };
    assert_eq!(revoke(&tina, &his).await.code(), "forbidden");
    for _ in 0..2 {
        assert_eq!(revoke(&owner, &hers).await.status, StatusCode::NO_CONTENT);
    }
    let refused = desk.place_with(&hers).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "key_refused"));
    assert_eq!(refused.body["detail"], "The key was revoked.", "whoever has the secret is told why");
    assert_eq!(desk.place_with(&his).await.status, StatusCode::CREATED);
    assert_eq!(desk.audit(&owner, "key.revoked").await.len(), 1);
}

#[tokio::test]
async fn a_rotated_key_keeps_its_id_and_its_former_secret_for_the_overlap() {
    let (desk, owner) = Desk::with_owner().await;
    let (_, _, cookie) = desk.enrol(&owner).await;
    let former = desk.key(&cookie, TRADING).await;
    let path = format!("/api/v1/keys/{}/rotate", former.id);
    let rotate = async |body: &str| desk.ask("POST", &path, Some(&cookie), Some(body)).await;
    assert_eq!(rotate(r#"{"overlap_hours":169}"#).await.body["field"], "overlap_hours");
    let first = rotate(r#"{"overlap_hours":1}"#).await;
    let new = Key { id: former.id.clone(), secret: first.body["secret"].as_str().unwrap().to_owned() };
    assert_eq!(first.body["key"]["id"], json!(former.id));
    for key in [&former, &new] {
        assert_eq!(desk.place_with(key).await.status, StatusCode::CREATED);
    }
    rotate("{}").await;
    for key in [&former, &new] {
        assert_eq!(desk.place_with(key).await.code(), "key_refused");
    }
}

#[tokio::test]
async fn wrong_secrets_are_slowed_down_and_the_right_one_is_let_in_all_the_same() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.key(&owner, TRADING).await;
    let wrong = Key { id: key.id.clone(), secret: "stk_wrong".into() };
    for _ in 0..10 {
        assert_eq!(desk.place_with(&wrong).await.code(), "key_refused");
    }
    let slowed = desk.place_with(&wrong).await;
    assert_eq!((slowed.code(), slowed.headers.contains_key("retry-after")), ("too_many_attempts", true));
    assert_eq!(desk.place_with(&key).await.status, StatusCode::CREATED);
    desk.sign_in("olga").await;
    assert_eq!(
        desk.audit(&owner, "key.refused").await.len(),
        11,
        "ten failures, and that there were too many"
    );
}

#[tokio::test]
async fn a_key_with_networks_is_refused_from_elsewhere_and_an_expired_one_everywhere() {
    let (desk, owner) = Desk::with_owner().await;
    let (_, _, cookie) = desk.enrol(&owner).await;
    let make = async |more: Value| {
        let mut body = json!({ "name": "x", "account_id": desk.paper.to_string(), "scopes": TRADING });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = desk.ask("POST", "/api/v1/keys", Some(&cookie), Some(&body.to_string())).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match (text(&made.body["key"]["id"]), text(&made.body["secret"])) {
            (Some(id), Some(secret)) => Ok(Key { id, secret }),
            _ => Err(made.body["field"].clone()),
        }
    };
    // Requests of these tests come from 127.0.0.1.
    let near = make(json!({ "networks": ["127.0.0.0/8", "::1"] })).await.unwrap();
    assert_eq!(desk.place_with(&near).await.status, StatusCode::CREATED);
    let far = make(json!({ "networks": ["192.0.2.0/24"] })).await.unwrap();
    let refused = desk.place_with(&far).await;
    assert_eq!(
        (refused.code(), &refused.body["detail"]),
        ("key_refused", &json!("The key may not be used from this address."))
    );
    assert_eq!(make(json!({ "networks": ["home"] })).await.err(), Some(json!("networks")));

    assert_eq!(make(json!({ "expires_at": "2020-01-01T00:00:00Z" })).await.err(), Some(json!("expires_at")));
    let lasting = make(json!({ "expires_at": null })).await.unwrap();
    assert_eq!(desk.place_with(&lasting).await.status, StatusCode::CREATED);
    let id = lasting.id.clone();
    let ended = desk.db.write(move |tx| {
        Box::pin(async move {
            let sql = "UPDATE api_keys SET expires_at = 1 WHERE id = $1";
            storage::query(sql).bind(id).execute(tx.sql()).await?;
            Ok::<_, storage::StorageError>(())
        })
    });
    ended.await.unwrap();
    assert_eq!(desk.place_with(&lasting).await.body["detail"], "The key has expired.");
}

#[tokio::test]
async fn two_credentials_in_one_request_are_none() {
    let (desk, owner) = Desk::with_owner().await;
    let key = desk.key(&owner, TRADING).await;
    let request = Request::get("/api/v1/accounts").header("cookie", &owner);
    let request = request.header("authorization", format!("Bearer {}.{}", key.id, key.secret));
    let answer = desk.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "two_credentials"));
}

#[tokio::test]
async fn the_kill_switch_of_a_key_stops_its_orders_and_nobody_elses() {
    let (desk, owner) = Desk::with_owner().await;
    let (one, other) = (desk.key(&owner, TRADING).await, desk.key(&owner, TRADING).await);
    let resting = desk.place_with(&one).await.body["id"].as_str().unwrap().to_owned();
    let body = json!({ "scope": format!("key/{}", one.id), "reason": "it runs wild" }).to_string();
    let pulled = desk.ask("POST", "/api/v1/kill-switches", Some(&owner), Some(&body)).await;
    assert!(pulled.status.is_success(), "{}", pulled.text);
    assert_eq!(desk.place_with(&one).await.code(), "kill_switch");
    assert_eq!(desk.place_with(&other).await.status, StatusCode::CREATED);
    desk.until(&owner, &format!("/api/v1/orders/{resting}"), |order| order["status"] == "canceled").await;
}

#[tokio::test]
async fn a_limit_on_a_key_counts_what_is_done_with_it() {
    let (desk, owner) = Desk::with_owner().await;
    let (one, other) = (desk.key(&owner, TRADING).await, desk.key(&owner, TRADING).await);
    let body = json!({ "scope": format!("key/{}", one.id), "kind": "open_orders", "value": "1" }).to_string();
    let set = desk.ask("PUT", "/api/v1/limits", Some(&owner), Some(&body)).await;
    assert!(set.status.is_success(), "{}", set.text);
    assert_eq!(desk.place_with(&one).await.status, StatusCode::CREATED);
    assert_eq!(desk.place_with(&one).await.code(), "open_orders_limit");
    assert_eq!(desk.place_with(&other).await.status, StatusCode::CREATED);
    let body =
        json!({ "scope": "key/PKAAAAAAAAAAAAAAAAAA", "kind": "open_orders", "value": "1" }).to_string();
    let set = desk.ask("PUT", "/api/v1/limits", Some(&owner), Some(&body)).await;
    assert_eq!(set.code(), "scope_unknown");
}
