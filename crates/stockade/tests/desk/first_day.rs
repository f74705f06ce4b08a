//! The first day of a desk: set-up, an order by the API, its trail, a clean stop, a second start. On both engines.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::books::Books;
use crate::running::Home;

async fn first_day(home: Home) {
    let desk = home.start().await;
    let session = desk.set_up().await;
    let account = session.account().await;
    session.until_quoted("BTC-USD").await;
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;

    let order = json!({
        "client_order_id": "first",
        "symbol": "BTC-USD",
        "side": "buy",
        "type": "market",
        "time_in_force": "gtc",
        "quantity": "0.01",
    });
    let orders = format!("/accounts/{account}/orders");
    let (status, placed) = session.call(Method::POST, &orders, Some(order.clone())).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{placed}");
    assert_eq!(placed["mode"], "paper");
    let (status, again) = session.call(Method::POST, &orders, Some(order)).await.unwrap();
    assert_eq!((status, &again["id"]), (StatusCode::OK, &placed["id"]), "{again}");

    let id = placed["id"].as_str().unwrap();
    let filled = session.until(&format!("/orders/{id}"), |order| order["status"] == "filled").await;
    assert_eq!(filled["filled_quantity"], "0.01");
    let positions = session.get(&format!("/accounts/{account}/positions")).await;
    assert_eq!(positions["items"][0]["quantity"], "0.01");
    let trail = session.all(&format!("/audit?search={id}")).await;
    let acts: Vec<&str> = trail.iter().map(|row| row["act"].as_str().unwrap()).collect();
    assert!(acts.contains(&"order.accepted") && acts.contains(&"order.filled"), "{acts:?}");
    let report = session.call(Method::POST, "/audit/verify", Some(json!({}))).await.unwrap().1;
    assert_eq!(report["ok"], true, "{report}");
    assert!(desk.stop().await);

    let second = home.start().await;
    assert!(second.setup_link.is_none(), "there is an owner");
    let session = session.at(&second);
    let kept = session.get(&format!("/orders/{id}")).await;
    assert_eq!(kept["status"], "filled");
    let bars = session.get("/market/bars?symbol=BTC-USD&every=1s&limit=10").await;
    assert!(!bars["items"].as_array().unwrap().is_empty(), "the chart is kept");
    assert!(second.stop().await);

    Books::read(&home.database(), &home.file("paper.db")).await.check();
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}

#[tokio::test]
async fn a_desk_is_set_up_trades_stops_and_remembers() {
    first_day(Home::new()).await;
}

#[tokio::test]
async fn the_same_desk_runs_on_postgresql() {
    for database in storage::testing::databases().await.into_iter().skip(1) {
        let mut home = Home::new();
        home.database_url = Some(database.url);
        first_day(home).await;
    }
}
