//! What every request is held to, and what people can do.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{Request, StatusCode};
use domain::{Access, Role};

use crate::desk::{Desk, PASSWORD};

const ORDER: &str =
    r#"{"symbol":"BTC-USD","side":"buy","type":"market","time_in_force":"day","quantity":"1"}"#;

#[tokio::test]
async fn before_there_is_an_owner_only_set_up_answers() {
    let desk = Desk::new().await;
    assert_eq!(desk.ask("GET", "/api/health", None, None).await.status, StatusCode::OK);
    assert_eq!(desk.ask("GET", "/api/v1/accounts", None, None).await.code(), "set_up_required");
    let credentials = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
    assert_eq!(desk.ask("POST", "/api/v1/session", None, Some(&credentials)).await.code(), "set_up_required");
    for path in ["/", "/sign-in", "/orders"] {
        assert_eq!(desk.ask("GET", path, None, None).await.headers[LOCATION], "/set-up");
    }
}

#[tokio::test]
async fn the_first_owner_sets_up_with_the_code_and_signs_in_without_scripts() {
    let desk = Desk::new().await;
    let code = desk.identity.issue_setup_code().await.unwrap().unwrap().code;
    let code = secrecy::ExposeSecret::expose_secret(&code).to_owned();
    let form = |code: &str| {
        format!(
            "code={code}&username=olga&display_name=Olga&password={0}&password_again={0}",
            PASSWORD.replace(' ', "+")
        )
    };
    let page = desk.ask("GET", &format!("/set-up?code={code}"), None, None).await;
    let cookie = page.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = cookie.split_once('=').unwrap().1;
    assert!(page.text.contains(&format!("name=\"csrf\" value=\"{token}\"")));

    let post = |path: &str, cookie: &str, form: String| {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        desk.send(request.header(COOKIE, cookie).body(Body::from(form)).unwrap())
    };
    let forged = post("/set-up", "", format!("csrf={token}&{}", form(&code))).await;
    assert_eq!(forged.code(), "form_expired");
    let wrong = post("/set-up", &cookie, format!("csrf={token}&{}", form("x"))).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = post("/set-up", &cookie, format!("csrf={token}&{}", form(&code))).await;
    assert_eq!((done.status, &done.headers[LOCATION]), (StatusCode::SEE_OTHER, &"/sign-in".parse().unwrap()));
    assert_eq!(desk.ask("GET", "/set-up", None, None).await.headers[LOCATION], "/sign-in");

    let credentials =
        format!("csrf={token}&username=olga&password={}&next=//evil.example", PASSWORD.replace(' ', "+"));
    let in_ = post("/sign-in", &cookie, credentials).await;
    assert_eq!((in_.status, &in_.headers[LOCATION]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    let session = in_.headers[SET_COOKIE].to_str().unwrap();
    assert!(session.starts_with("__Host-session="), "{session}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(session.contains(attribute), "{session}");
    }
}

#[tokio::test]
async fn an_order_is_placed_once_under_its_key_and_another_one_under_it_is_refused() {
    let (desk, owner) = Desk::with_owner().await;
    let path = format!("/api/v1/accounts/{}/orders", desk.paper);
    let place = |body: &str| {
        let request = Request::post(&path)
            .header(COOKIE, &owner)
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", "my-order")
            .body(Body::from(body.to_owned()))
            .unwrap();
        desk.send(request)
    };
    let first = place(ORDER).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!(first.body["client_order_id"], "my-order");
    let again = place(ORDER).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::OK, &first.body["id"]));
    let other = place(&ORDER.replace("\"1\"", "\"2\"")).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "client_order_id_conflict"));
    let listed = desk.ask("GET", "/api/v1/orders", Some(&owner), None).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_order_is_refused_with_its_field_and_rule_and_that_is_on_record() {
    let (desk, owner) = Desk::with_owner().await;
    let path = format!("/api/v1/accounts/{}/orders", desk.paper);
    let cases = [
        (ORDER.replace("BTC-USD", "DOGE-XYZ"), "symbol_unknown", "symbol"),
        (ORDER.replace("\"1\"", "\"0\""), "quantity_invalid", "quantity"),
        (ORDER.replace("\"1\"", "\"-1\""), "quantity_invalid", "quantity"),
        (ORDER.replace("\"1\"", "\"NaN\""), "quantity_invalid", "quantity"),
        (ORDER.replace("\"1\"", "1"), "quantity_invalid", "quantity"),
        (ORDER.replace("\"1\"", "\"1e3\""), "quantity_invalid", "quantity"),
        (ORDER.replace("\"1\"", "\"0.0000000001\""), "quantity_too_small", "quantity"),
        (ORDER.replace("market", "limit"), "price_required", "limit_price"),
        (ORDER.replace("buy", "short"), "field_invalid", "side"),
        (ORDER.replace('{', "{\"status\":\"filled\","), "field_unknown", "status"),
    ];
    for (body, code, field) in &cases {
        let refused = desk.ask("POST", &path, Some(&owner), Some(body)).await;
        assert_eq!(
            (refused.code(), refused.body["field"].as_str()),
            (*code, Some(*field)),
            "{body}: {}",
            refused.text
        );
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.headers[CONTENT_TYPE], "application/problem+json");
    }
    let audit = desk.ask("GET", "/api/v1/audit?act=order.refused", Some(&owner), None).await;
    assert_eq!(audit.body["items"].as_array().unwrap().len(), cases.len());
    let orders = desk.ask("GET", "/api/v1/orders", Some(&owner), None).await;
    assert_eq!(orders.body["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let (desk, owner) = Desk::with_owner().await;
    let delete = |name: &'static str, value: &'static str| {
        let request =
            Request::delete("/api/v1/session").header(COOKIE, &owner).header(HOST, "127.0.0.1:8443");
        desk.send(request.header(name, value).body(Body::empty()).unwrap())
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:8443"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(delete(name, value).await.code(), "foreign_origin", "{name}: {value}");
    }
    assert_eq!(delete(ORIGIN.as_str(), "https://127.0.0.1:8443").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn every_answer_has_its_request_id_and_the_security_headers() {
    let (desk, owner) = Desk::with_owner().await;
    for (path, cookie) in
        [("/api/v1/accounts", Some(owner.as_str())), ("/api/v1/accounts", None), ("/sign-in", None)]
    {
        let answer = desk.ask("GET", path, cookie, None).await;
        for header in [
            "x-request-id",
            "content-security-policy",
            "strict-transport-security",
            "permissions-policy",
            "cross-origin-opener-policy",
            "referrer-policy",
        ] {
            assert!(answer.headers.contains_key(header), "{path} has no {header}");
        }
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let refused = desk.ask("GET", "/api/v1/accounts", None, None).await;
    assert_eq!(refused.body["request_id"].as_str(), refused.headers["x-request-id"].to_str().ok());
    assert_eq!(desk.ask("TRACE", "/", None, None).await.code(), "method_not_allowed");
    let put = desk.ask("PUT", "/api/v1/session", Some(&owner), None).await;
    assert_eq!(
        (put.code(), put.headers["allow"].to_str().ok()),
        ("method_not_allowed", Some("POST, GET, DELETE"))
    );
}

#[tokio::test]
async fn bodies_have_a_size_a_type_and_no_key_twice() {
    let (desk, owner) = Desk::with_owner().await;
    let path = format!("/api/v1/accounts/{}/orders", desk.paper);
    let large = format!(r#"{{"symbol":"{}"}}"#, "X".repeat(17 << 10));
    assert_eq!(desk.ask("POST", &path, Some(&owner), Some(&large)).await.code(), "body_too_large");
    let twice = ORDER.replace('{', "{\"quantity\":\"5\",");
    assert_eq!(desk.ask("POST", &path, Some(&owner), Some(&twice)).await.code(), "json_duplicate_key");
    let request = Request::post(&path).header(COOKIE, &owner).header(CONTENT_TYPE, "text/plain");
    assert_eq!(desk.send(request.body(Body::from(ORDER)).unwrap()).await.code(), "content_type");
}

#[tokio::test]
async fn what_is_taken_away_is_gone_with_the_next_request() {
    let (desk, owner) = Desk::with_owner().await;
    let tina = desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let session = desk.sign_in("tina").await;
    let account = format!("/api/v1/accounts/{}", desk.paper);
    assert_eq!(desk.ask("GET", &account, Some(&session), None).await.status, StatusCode::OK);
    let grant = format!("/api/v1/users/{}/grants/{}", tina.id, desk.paper);
    assert_eq!(desk.ask("DELETE", &grant, Some(&owner), None).await.status, StatusCode::OK);
    assert_eq!(desk.ask("GET", &account, Some(&session), None).await.code(), "not_found");
    let user = format!("/api/v1/users/{}", tina.id);
    let disabled = desk.ask("PATCH", &user, Some(&owner), Some(r#"{"status":"disabled"}"#)).await;
    assert_eq!(disabled.body["status"], "disabled");
    assert_eq!(desk.ask("GET", &account, Some(&session), None).await.code(), "not_signed_in");
}

#[tokio::test]
async fn lists_are_read_in_pages_to_the_end() {
    let (desk, owner) = Desk::with_owner().await;
    for _ in 0..5 {
        desk.resting_order(&owner, desk.paper).await;
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = desk.ask("GET", &format!("/api/v1/orders?limit=2{next}"), Some(&owner), None).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|order| order["id"].to_string()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|newer, older| newer > older));
}
