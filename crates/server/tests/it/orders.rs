//! Orders of all types over HTTP: previewed and confirmed, replaced, closed, lost and found.

use axum::http::StatusCode;
use domain::{Access, Role};
use serde_json::{Value, json};
use trading::Misbehave;

use crate::desk::{Answer, Desk};

impl Desk {
    pub(crate) async fn order(&self, cookie: &str, order: &Value) -> Answer {
        let path = format!("/api/v1/accounts/{}/orders", self.paper);
        self.ask("POST", &path, Some(cookie), Some(&order.to_string())).await
    }

    /// Buys at the market, and waits until that is done.
    pub(crate) async fn bought(&self, cookie: &str, quantity: &str) -> String {
        let order = json!({
            "symbol": "BTC-USD", "side": "buy", "type": "market", "time_in_force": "gtc", "quantity": quantity,
        });
        let placed = self.order(cookie, &order).await;
        assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
        let id = placed.body["id"].as_str().unwrap().to_owned();
        self.until(cookie, &format!("/api/v1/orders/{id}"), |order| order["status"] == "filled").await;
        id
    }
}

pub(crate) fn limit(price: &str) -> Value {
    json!({
        "symbol": "BTC-USD", "side": "buy", "type": "limit", "time_in_force": "gtc", "quantity": "1", "limit_price": price,
    })
}

#[tokio::test]
async fn nobody_confirms_what_somebody_else_was_shown() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    desk.person("vera", Role::Viewer, Some(Access::View)).await;
    let (tina, vera) = (desk.sign_in("tina").await, desk.sign_in("vera").await);
    let path = format!("/api/v1/accounts/{}/orders/preview", desk.paper);
    let preview = desk.ask("POST", &path, Some(&owner), Some(&limit("95").to_string())).await;
    assert_eq!(preview.body["ok"], true, "{}", preview.text);
    let confirmation = json!({ "preview_id": preview.body["preview_id"] });
    assert_eq!(desk.order(&vera, &confirmation).await.code(), "forbidden");
    assert_eq!(desk.order(&tina, &confirmation).await.code(), "preview_expired");
    assert_eq!(desk.order(&owner, &json!({ "preview_id": "made-up" })).await.code(), "preview_expired");
    let both = json!({ "preview_id": preview.body["preview_id"], "quantity": "5" });
    assert_eq!(desk.order(&owner, &both).await.code(), "field_unknown");
}

#[tokio::test]
async fn a_preview_shows_each_check_and_confirming_it_twice_is_one_order() {
    let (desk, owner) = Desk::with_owner().await;
    let path = format!("/api/v1/accounts/{}/orders/preview", desk.paper);
    let preview = desk.ask("POST", &path, Some(&owner), Some(&limit("95").to_string())).await.body;
    let notional =
        preview["checks"].as_array().unwrap().iter().find(|one| one["rule"] == "notional_too_large");
    let notional = notional.unwrap();
    assert_eq!((&notional["ok"], &notional["value"]), (&json!(true), &json!("95")), "{notional}");
    assert_eq!(
        (&notional["scope"]["scope"], &notional["set_by"]["id"]),
        (&json!("desk"), &json!("configuration"))
    );
    let confirmation = json!({ "preview_id": preview["preview_id"] });
    let first = desk.order(&owner, &confirmation).await;
    let second = desk.order(&owner, &confirmation).await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::OK), "{}", second.text);
    assert_eq!(first.body["id"], second.body["id"]);
    assert_eq!(first.body["client_order_id"], preview["preview_id"]);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_before_and_when_it_is_placed() {
    let (desk, owner) = Desk::with_owner().await;
    let with = |changes: Value| {
        let mut order = limit("95");
        for (field, value) in changes.as_object().unwrap() {
            order[field] = value.clone();
        }
        order
    };
    for (changes, code, field) in [
        (json!({ "time_in_force": "opg" }), "unsupported_by_broker", "time_in_force"),
        (json!({ "extended_hours": true }), "unsupported_by_broker", "extended_hours"),
        (json!({ "notional": "100" }), "field_invalid", "notional"),
        (json!({ "stop_price": "90" }), "stop_price_not_allowed", "stop_price"),
        (json!({ "trail_price": "1", "trail_percent": "1" }), "field_invalid", "trail_percent"),
        (json!({ "stop_loss": { "stop_price": 90 } }), "price_invalid", "stop_loss.stop_price"),
        (json!({ "take_profit": { "price": "90" } }), "field_unknown", "price"),
        (json!({ "class": "pair" }), "field_invalid", "class"),
        (json!({ "book_id": "mine" }), "field_invalid", "book_id"),
    ] {
        let refused = desk.order(&owner, &with(changes.clone())).await;
        assert_eq!(
            (refused.code(), refused.body["field"].as_str()),
            (code, Some(field)),
            "{changes}: {}",
            refused.text
        );
    }
    let path = format!("/api/v1/accounts/{}/orders/preview", desk.paper);
    let body = with(json!({ "time_in_force": "opg" })).to_string();
    let preview = desk.ask("POST", &path, Some(&owner), Some(&body)).await.body;
    assert_eq!(
        (&preview["ok"], &preview["refused"]),
        (&json!(false), &json!("This venue never closes: there are no auctions."))
    );
}

#[tokio::test]
async fn a_bracket_is_done_by_the_desk_and_says_so() {
    let (desk, owner) = Desk::with_owner().await;
    let mut order = limit("95");
    order["class"] = json!("bracket");
    order["take_profit"] = json!({ "limit_price": "110" });
    order["stop_loss"] = json!({ "stop_price": "90", "limit_price": "89" });
    let placed = desk.order(&owner, &order).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
    assert_eq!((&placed.body["mode"], &placed.body["done_by_desk"]), (&json!("paper"), &json!(["bracket"])));
    let all = desk.ask("GET", "/api/v1/orders?status=open", Some(&owner), None).await.body;
    let mut legs: Vec<_> =
        all["items"].as_array().unwrap().iter().filter(|one| one["parent_id"] == placed.body["id"]).collect();
    legs.sort_by_key(|leg| leg["leg"].to_string());
    let shown: Vec<_> = legs
        .iter()
        .map(|leg| {
            (leg["leg"].as_str().unwrap(), leg["type"].as_str().unwrap(), leg["status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(shown, [("stop_loss", "stop_limit", "held"), ("take_profit", "limit", "held")]);
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_the_order() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("vera", Role::Viewer, Some(Access::View)).await;
    let vera = desk.sign_in("vera").await;
    let old = desk.resting_order(&owner, desk.paper).await;
    let path = format!("/api/v1/orders/{old}");
    desk.until(&owner, &path, |order| order["status"] == "working").await;
    let change = r#"{"limit_price":"91"}"#;
    assert_eq!(desk.ask("PATCH", &path, Some(&vera), Some(change)).await.code(), "forbidden");
    assert_eq!(desk.ask("PATCH", &path, Some(&owner), Some("{}")).await.code(), "field_missing");
    let new = desk.ask("PATCH", &path, Some(&owner), Some(change)).await;
    assert_eq!(
        (new.status, &new.body["replaces"], &new.body["limit_price"]),
        (StatusCode::ACCEPTED, &json!(old), &json!("91")),
        "{}",
        new.text
    );
    let ended = desk.until(&owner, &path, |order| order["status"] == "replaced").await;
    assert_eq!(ended["replaced_by"], new.body["id"]);
    assert_eq!(desk.ask("PATCH", &path, Some(&owner), Some(change)).await.code(), "order_not_replaceable");
}

#[tokio::test]
async fn all_orders_are_canceled_and_all_positions_closed() {
    let (desk, owner) = Desk::with_owner().await;
    let bought = desk.bought(&owner, "2").await;
    let fills = desk.ask("GET", &format!("/api/v1/fills?order_id={bought}"), Some(&owner), None).await.body;
    assert_eq!(
        (&fills["items"][0]["kind"], &fills["items"][0]["order_id"]),
        (&json!("fill"), &json!(bought))
    );
    let close = format!("/api/v1/accounts/{}/positions/BTC-USD/close", desk.paper);
    let too_much = desk.ask("POST", &close, Some(&owner), Some(r#"{"quantity":"3"}"#)).await;
    assert_eq!((too_much.code(), &too_much.body["limit"]), ("no_position", &json!("2")));
    let part = desk.ask("POST", &close, Some(&owner), Some(r#"{"quantity":"0.5"}"#)).await;
    assert_eq!((part.status, &part.body["side"]), (StatusCode::CREATED, &json!("sell")), "{}", part.text);
    let id = part.body["id"].as_str().unwrap();
    desk.until(&owner, &format!("/api/v1/orders/{id}"), |order| order["status"] == "filled").await;

    let resting = desk.resting_order(&owner, desk.paper).await;
    let all = format!("/api/v1/accounts/{}/orders/cancel-all", desk.paper);
    let canceled = desk.ask("POST", &all, Some(&owner), None).await;
    assert_eq!((canceled.status, &canceled.body["items"][0]["id"]), (StatusCode::ACCEPTED, &json!(resting)));
    desk.until(&owner, &format!("/api/v1/orders/{resting}"), |order| order["status"] == "canceled").await;

    let liquidate = format!("/api/v1/accounts/{}/liquidate", desk.paper);
    let done = desk.ask("POST", &liquidate, Some(&owner), None).await;
    assert_eq!(
        (done.status, &done.body["items"][0]["order"]["quantity"]),
        (StatusCode::ACCEPTED, &json!("1.5")),
        "{}",
        done.text
    );
    let positions = format!("/api/v1/accounts/{}/positions", desk.paper);
    desk.until(&owner, &positions, |list| list["items"][0]["quantity"] == "0").await;
}

#[tokio::test]
async fn a_lost_order_is_listed_and_only_a_manager_decides_with_evidence() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let tina = desk.sign_in("tina").await;
    desk.venue.misbehave(Misbehave { hang_before: 1.0, ..Misbehave::default() }).await.unwrap();
    let placed = desk.order(&tina, &limit("95")).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
    let id = placed.body["id"].as_str().unwrap();
    let is_lost = |list: &Value| {
        let first = &list["items"][0];
        first["tries"].as_u64() > Some(0) && first["order"]["status"] == "unknown"
    };
    let listed = desk.until(&tina, "/api/v1/orders/unknown", is_lost).await;
    assert_eq!(listed["items"][0]["order"]["id"], id);

    let resolve = format!("/api/v1/orders/{id}/resolve");
    let not_there = |evidence: &str| json!({ "choice": "not_there", "evidence": evidence }).to_string();
    assert_eq!(
        desk.ask("POST", &resolve, Some(&tina), Some(&not_there("I think so"))).await.code(),
        "forbidden"
    );
    assert_eq!(desk.ask("POST", &resolve, Some(&owner), Some(&not_there(" "))).await.code(), "field_invalid");
    let evidence = not_there("the broker's desk says so on the phone");
    let decided = desk.ask("POST", &resolve, Some(&owner), Some(&evidence)).await;
    assert_eq!(
        (decided.status, &decided.body["status"]),
        (StatusCode::OK, &json!("expired")),
        "{}",
        decided.text
    );
    assert_eq!(desk.ask("POST", &resolve, Some(&owner), Some(&evidence)).await.code(), "order_not_unknown");
    let record = desk.ask("GET", "/api/v1/audit?act=order.resolved", Some(&owner), None).await.body;
    assert_eq!(
        record["items"][0]["resource"]["id"]
            .as_str()
            .or(record["items"][0]["resource"].as_str())
            .map(|text| text.contains(id)),
        Some(true),
        "{record}"
    );
}

#[tokio::test]
async fn the_venue_says_what_it_can_and_the_lists_of_reasons_are_complete() {
    let (desk, owner) = Desk::with_owner().await;
    let venue =
        desk.ask("GET", &format!("/api/v1/accounts/{}/venue", desk.paper), Some(&owner), None).await.body;
    let way = |list: &str, name: &str| {
        let found = venue[list].as_array().unwrap().iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {list}"))["way"].as_str().unwrap().to_owned()
    };
    assert_eq!(way("types", "trailing_stop"), "broker");
    assert_eq!(way("times_in_force", "opg"), "no");
    assert_eq!(way("classes", "bracket"), "desk");
    assert_eq!(way("features", "notional"), "desk");
    let lists = desk.ask("GET", "/api/v1/refusals", Some(&owner), None).await.body;
    assert_eq!(lists["rules"].as_array().unwrap().len(), trading::Rule::ALL.len());
    assert_eq!(lists["broker_reasons"].as_array().unwrap().len(), domain::Reason::ALL.len());
    let account = desk.ask("GET", &format!("/api/v1/accounts/{}", desk.paper), Some(&owner), None).await.body;
    assert_eq!(
        (&account["deposits"], &account["cost_method"], &account["live_since_at"]),
        (&json!("0"), &json!("average"), &Value::Null)
    );
    assert!(account["requests"]["free"].as_u64() <= account["requests"]["burst"].as_u64());
}
