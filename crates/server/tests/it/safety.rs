//! Kill switches, risk limits, approvals and real money over HTTP.

use axum::http::StatusCode;
use domain::{Access, Role};
use serde_json::{Value, json};

use crate::desk::{Answer, Desk};
use crate::orders::limit;

const KILL: &str = "/api/v1/kill-switches";
const LIMITS: &str = "/api/v1/limits";

impl Desk {
    async fn kill(&self, cookie: &str, scope: &str) -> Answer {
        let body = json!({ "scope": scope, "reason": "something is wrong" }).to_string();
        self.ask("POST", KILL, Some(cookie), Some(&body)).await
    }

    async fn set_limit(&self, cookie: &str, scope: &str, kind: &str, value: &str) -> Answer {
        let body = json!({ "scope": scope, "kind": kind, "value": value }).to_string();
        self.ask("PUT", LIMITS, Some(cookie), Some(&body)).await
    }

    /// An order on the account `Paper` that waits for a second person: the approval's id.
    pub(crate) async fn waiting_approval(&self, cookie: &str) -> String {
        let set = self.set_limit(cookie, &format!("account/{}", self.paper), "approval_above", "50").await;
        assert_eq!(set.status, StatusCode::OK, "{}", set.text);
        let asked = self.order(cookie, &limit("95")).await;
        assert_eq!((asked.status, asked.code()), (StatusCode::CONFLICT, "approval_needed"), "{}", asked.text);
        asked.body["value"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_trader_stops_only_himself_and_only_a_second_factor_lets_go() {
    let (desk, owner) = Desk::with_owner().await;
    let tina = desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    desk.person("vera", Role::Viewer, Some(Access::View)).await;
    let (tinas, veras) = (desk.sign_in("tina").await, desk.sign_in("vera").await);
    let herself = format!("user/{}", tina.id);
    assert_eq!(desk.kill(&tinas, "desk").await.code(), "forbidden");
    assert_eq!(desk.kill(&veras, &format!("account/{}", desk.paper)).await.code(), "forbidden");
    assert_eq!(desk.kill(&tinas, &format!("account/{}", desk.other)).await.code(), "not_found");
    assert_eq!(desk.kill(&tinas, "team/a").await.body["field"], "scope");
    let silent = json!({ "scope": herself, "reason": " " }).to_string();
    assert_eq!(desk.ask("POST", KILL, Some(&tinas), Some(&silent)).await.body["field"], "reason");

    let resting = desk.resting_order(&tinas, desk.paper).await;
    let pulled = desk.kill(&tinas, &herself).await;
    assert_eq!(
        (pulled.status, &pulled.body["scope"]["name"]),
        (StatusCode::CREATED, &json!("tina")),
        "{}",
        pulled.text
    );
    assert_eq!(desk.order(&tinas, &limit("95")).await.code(), "kill_switch");
    desk.until(&owner, &format!("/api/v1/orders/{resting}"), |order| order["status"] == "canceled").await;
    assert_eq!(desk.order(&owner, &limit("95")).await.status, StatusCode::CREATED, "others go on");

    let listed = |answer: &Answer| answer.body["items"].as_array().unwrap().len();
    assert_eq!(listed(&desk.ask("GET", KILL, Some(&tinas), None).await), 1);
    assert_eq!(listed(&desk.ask("GET", KILL, Some(&veras), None).await), 0, "it is no business of others");
    let release = format!("{KILL}?scope={herself}");
    assert_eq!(desk.ask("DELETE", &release, Some(&tinas), None).await.code(), "forbidden");
    assert_eq!(desk.ask("DELETE", &release, Some(&owner), None).await.code(), "factor_needed");
    let (_, _, owner) = desk.enrol(&owner).await;
    assert_eq!(desk.ask("DELETE", &release, Some(&owner), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask("DELETE", &release, Some(&owner), None).await.code(), "kill_switch_not_engaged");
    assert_eq!(desk.order(&tinas, &limit("95")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_desk_is_stopped_for_everybody_and_a_drill_says_so() {
    let (desk, owner) = Desk::with_owner().await;
    let drill = json!({ "scope": "desk", "reason": "the weekly drill", "drill": true }).to_string();
    let pulled = desk.ask("POST", KILL, Some(&owner), Some(&drill)).await;
    assert_eq!(
        (pulled.status, &pulled.body["drill"]),
        (StatusCode::CREATED, &json!(true)),
        "{}",
        pulled.text
    );
    assert_eq!(desk.order(&owner, &limit("95")).await.code(), "kill_switch");
    let shown = desk.until(&owner, KILL, |list| !list["items"][0]["drill_result"].is_null()).await;
    assert_eq!(shown["items"][0]["drill_result"]["cancels"], 0);
    let release = format!("{KILL}?scope=desk");
    assert_eq!(
        desk.ask("DELETE", &release, Some(&owner), None).await.status,
        StatusCode::NO_CONTENT,
        "a drill ends without a factor"
    );
    assert_eq!(desk.order(&owner, &limit("95")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_limit_is_tightened_at_once_and_raised_with_a_second_factor() {
    let (desk, owner) = Desk::with_owner().await;
    let tina = desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let tinas = desk.sign_in("tina").await;
    let hers = format!("user/{}", tina.id);
    assert_eq!(desk.set_limit(&tinas, &hers, "open_orders", "9").await.code(), "forbidden");
    for bad in ["NaN", "-1", "1e3", "1.5", "many", ""] {
        let refused = desk.set_limit(&owner, &hers, "open_orders", bad).await;
        assert_eq!((refused.code(), &refused.body["field"]), ("field_invalid", &json!("value")), "{bad}");
    }
    assert_eq!(desk.set_limit(&owner, "account/0192", "open_orders", "1").await.body["field"], "scope");
    assert_eq!(desk.set_limit(&owner, &hers, "luck", "1").await.body["field"], "kind");

    let set = desk.set_limit(&owner, &hers, "open_orders", "1").await;
    assert_eq!((set.status, &set.body["after"]), (StatusCode::OK, &json!("1")), "{}", set.text);
    desk.resting_order(&tinas, desk.paper).await;
    let refused = desk.order(&tinas, &limit("95")).await;
    assert_eq!(
        (refused.code(), &refused.body["limit"], &refused.body["value"]),
        ("open_orders_limit", &json!("1"), &json!("2"))
    );

    let shown = desk.ask("GET", &format!("{LIMITS}?scope={hers}"), Some(&tinas), None).await.body;
    let mine = &shown["items"][0];
    assert_eq!(
        (&mine["used"], &mine["fraction"], &mine["set_by"]["name"]),
        (&json!("1"), &json!(1.0), &json!("Olga")),
        "{shown}"
    );
    assert_eq!(shown["kinds"].as_array().unwrap().len(), trading::risk::LimitKind::ALL.len());

    assert_eq!(desk.set_limit(&owner, &hers, "open_orders", "5").await.code(), "factor_needed");
    let remove = format!("{LIMITS}?scope={hers}&kind=open_orders");
    assert_eq!(desk.ask("DELETE", &remove, Some(&owner), None).await.code(), "factor_needed");
    let fixed = format!("{LIMITS}?scope=desk&kind=order_notional");
    assert_eq!(desk.ask("DELETE", &fixed, Some(&owner), None).await.code(), "limit_fixed");
    let (_, _, owner) = desk.enrol(&owner).await;
    assert_eq!(desk.set_limit(&owner, &hers, "open_orders", "5").await.status, StatusCode::OK);
    assert_eq!(desk.order(&tinas, &limit("95")).await.status, StatusCode::CREATED);
    assert_eq!(desk.ask("DELETE", &remove, Some(&owner), None).await.body["after"], Value::Null);
}

#[tokio::test]
async fn a_large_order_waits_for_another_person() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    desk.person("mona", Role::Manager, Some(Access::Trade)).await;
    let (tina, mona) = (desk.sign_in("tina").await, desk.sign_in("mona").await);
    let own = desk.waiting_approval(&owner).await;
    let decide = |cookie: String, id: String, what: &'static str| {
        let desk = &desk;
        async move { desk.ask("POST", &format!("/api/v1/approvals/{id}/{what}"), Some(&cookie), Some("{}")).await }
    };
    assert_eq!(decide(owner.clone(), own.clone(), "approve").await.code(), "another_person");
    assert_eq!(decide(mona.clone(), own.clone(), "withdraw").await.code(), "another_person");

    let asked = desk.order(&tina, &limit("96")).await;
    assert_eq!(asked.code(), "approval_needed", "{}", asked.text);
    let id = asked.body["value"].as_str().unwrap().to_owned();
    assert_eq!(decide(tina.clone(), id.clone(), "approve").await.code(), "forbidden");
    let shown = desk.ask("GET", &format!("/api/v1/approvals/{id}"), Some(&mona), None).await.body;
    assert_eq!(
        (&shown["order"]["request"]["limit_price"], &shown["asked_by"]["name"]),
        (&json!("96"), &json!("tina")),
        "{shown}"
    );
    let approved = decide(mona.clone(), id.clone(), "approve").await;
    assert_eq!(
        (approved.status, &approved.body["status"], &approved.body["decided_by"]["name"]),
        (StatusCode::OK, &json!("approved"), &json!("mona")),
        "{}",
        approved.text
    );
    let order = approved.body["order_id"].as_str().unwrap();
    let placed = desk.ask("GET", &format!("/api/v1/orders/{order}"), Some(&tina), None).await.body;
    assert_eq!(placed["submitted_by"]["name"], "tina");
    assert_eq!(decide(mona, id, "refuse").await.code(), "approval_not_waiting");
    assert_eq!(decide(owner.clone(), own, "withdraw").await.body["status"], "withdrawn");
    let waiting = desk.ask("GET", "/api/v1/approvals?status=waiting", Some(&owner), None).await.body;
    assert_eq!(waiting["items"], json!([]));
}

#[tokio::test]
async fn there_is_no_real_money_on_a_paper_account() {
    let (desk, owner) = Desk::with_owner().await;
    let path = format!("/api/v1/accounts/{}/live", desk.paper);
    let on = desk.ask("POST", &path, Some(&owner), Some(r#"{"name":"Paper"}"#)).await;
    assert_eq!(on.code(), "account_on_paper", "{}", on.text);
}
