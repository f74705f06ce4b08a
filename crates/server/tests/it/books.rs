//! Virtual books, lots and the portfolio over HTTP.

use axum::http::StatusCode;
use domain::{Access, Role};
use serde_json::{Value, json};

use crate::desk::{Answer, Desk};

impl Desk {
    async fn books(&self, cookie: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/api/v1/accounts/{}/books{path}", self.paper);
        self.ask(method, &path, Some(cookie), body.map(Value::to_string).as_deref()).await
    }
}

#[tokio::test]
async fn a_book_is_opened_trades_and_the_books_add_up() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, Some(Access::Trade)).await;
    let tina = desk.sign_in("tina").await;
    let new = json!({ "name": "Momentum", "kind": "strategy", "owner": "momentum", "opening_cash": "1000" });
    assert_eq!(desk.books(&tina, "POST", "", Some(&new)).await.code(), "forbidden");
    let opened = desk.books(&owner, "POST", "", Some(&new)).await;
    assert_eq!(
        (opened.status, &opened.body["cash"]),
        (StatusCode::CREATED, &json!("1000")),
        "{}",
        opened.text
    );
    assert_eq!(desk.books(&owner, "POST", "", Some(&new)).await.code(), "book_name_taken");
    let id = opened.body["id"].as_str().unwrap();

    let order = json!({
        "symbol": "BTC-USD", "side": "buy", "type": "market", "time_in_force": "gtc", "quantity": "2", "book_id": id,
    });
    let placed = desk.order(&owner, &order).await;
    assert_eq!(
        (placed.status, &placed.body["book_id"]),
        (StatusCode::CREATED, &json!(id)),
        "{}",
        placed.text
    );
    let order = placed.body["id"].as_str().unwrap();
    desk.until(&owner, &format!("/api/v1/orders/{order}"), |order| order["status"] == "filled").await;
    let lots = format!("/api/v1/accounts/{}/positions/BTC-USD/lots", desk.paper);
    let lots = desk.ask("GET", &format!("{lots}?book_id={id}"), Some(&tina), None).await.body;
    assert_eq!(lots["items"][0]["quantity"], "2", "{lots}");

    let short = json!({ "from": id, "amount": "5000", "note": "too much" });
    assert_eq!(desk.books(&owner, "POST", "/transfers", Some(&short)).await.code(), "book_buying_power");
    let neither = json!({ "from": id, "note": "nothing" });
    assert_eq!(desk.books(&owner, "POST", "/transfers", Some(&neither)).await.code(), "field_invalid");
    let units =
        json!({ "from": id, "symbol": "BTC-USD", "quantity": "2", "price": "101", "note": "to the desk" });
    let moved = desk.books(&owner, "POST", "/transfers", Some(&units)).await;
    assert_eq!((moved.status, &moved.body["quantity"]), (StatusCode::OK, &json!("2")), "{}", moved.text);

    let books = desk.books(&tina, "GET", "", None).await.body;
    let held = |at: usize| {
        books["items"][at]["positions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["quantity"] != "0")
            .map(|one| one["quantity"].clone())
    };
    assert_eq!(
        (&books["items"][0]["kind"], held(0), held(1)),
        (&json!("own"), Some(json!("2")), None),
        "{books}"
    );
    let closed = desk.books(&owner, "DELETE", &format!("/{id}"), None).await;
    assert_eq!(closed.status, StatusCode::NO_CONTENT, "{}", closed.text);
    assert_eq!(desk.order(&owner, &json!({
        "symbol": "BTC-USD", "side": "buy", "type": "market", "time_in_force": "gtc", "quantity": "1", "book_id": id,
    })).await.code(), "book_closed");
}

#[tokio::test]
async fn a_portfolio_comes_with_its_formulas_and_its_history() {
    let (desk, owner) = Desk::with_owner().await;
    desk.bought(&owner, "2").await;
    let path = format!("/api/v1/accounts/{}", desk.paper);
    let portfolio = desk.ask("GET", &format!("{path}/portfolio"), Some(&owner), None).await.body;
    assert_eq!(portfolio["by_symbol"][0]["quantity"], "2", "{portfolio}");
    assert!(portfolio["formulas"].as_array().unwrap().iter().any(|one| one["id"] == "time_weighted"));
    let history = desk.ask("GET", &format!("{path}/history?every=1m"), Some(&owner), None).await;
    assert_eq!(history.status, StatusCode::OK, "{}", history.text);
    assert_eq!(
        desk.ask("GET", &format!("{path}/history?every=5m"), Some(&owner), None).await.body["field"],
        "every"
    );
    let ranged = format!("{path}/history?every=1d&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z");
    assert_eq!(desk.ask("GET", &ranged, Some(&owner), None).await.body["items"], json!([]));
}
