//! A desk whose prices come from Alpaca's market data; Alpaca is another desk, which speaks the same.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::alpaca::Trusting;
use crate::running::Home;
use crate::sdk::Desk;

const SETTINGS: &str = r#"
[feeds.alpaca]
stocks = "off"
symbols = ["BTC-USD"]
encoding = "msgpack"
past_days = 1
"#;

#[tokio::test]
async fn a_desk_lives_on_alpacas_prices_and_its_paper_orders_fill_at_them() {
    let other = Desk::start().await;
    let url = other.running.url.replace("127.0.0.1", "localhost") + "/alpaca";
    let desk = Trusting { home: Home::new(), other: &other };
    // Without a market of its own, so that no bar is from there.
    std::fs::write(desk.home.file("stockade.toml"), "[feeds]\nsandbox = false\n").unwrap();
    assert!(desk.start().await.stop().await);
    std::fs::write(desk.home.file("stockade.toml"), SETTINGS).unwrap();

    let (runs, said) = desk.home.run(&["run"]).await;
    assert!(!runs && said.contains("stockade feed add alpaca"), "nobody said what opens it: {said}");
    let add = ["feed", "add", "alpaca", "--key-id", &other.key, "--url", url.as_str()];
    let (added, said) = desk.tell(&add, "stk_wrong").await;
    assert!(!added && said.contains("tried and not kept"), "{said}");
    let (added, said) = desk.tell(&add, &other.secret).await;
    assert!(added, "{said}");

    let running = desk.start().await;
    let session = running.set_up().await;
    let quoted = session.until_quoted("BTC-USD").await;
    let symbols = session.get("/market/symbols").await;
    assert_eq!(symbols["items"].as_array().unwrap().len(), 1, "no generated market: {symbols}");
    let feeds = session.until("/market/feed", |feeds| feeds["feeds"][0]["state"] == "live").await;
    assert_eq!(feeds["feeds"][0]["name"], "alpaca crypto", "{feeds}");

    // The past of the chart is there without a minute of waiting.
    let bars = "/market/bars?symbol=BTC-USD&every=1m&limit=1000";
    let bars = session.until(bars, |bars| bars["items"].as_array().unwrap().len() > 60).await;
    assert!(bars["items"][0]["start_at"].as_str() < quoted["quote_at"].as_str(), "{bars}");

    let account = session.account().await;
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
    let order = json!({
        "client_order_id": "here", "symbol": "BTC-USD", "side": "buy", "type": "market",
        "time_in_force": "gtc", "quantity": "0.01",
    });
    let (status, placed) =
        session.call(Method::POST, &format!("/accounts/{account}/orders"), Some(order)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{placed}");
    let id = placed["id"].as_str().unwrap();
    let filled = session.until(&format!("/orders/{id}"), |order| order["status"] == "filled").await;
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let (paid, asked) = (number(&filled["average_fill_price"]), number(&quoted["ask"]));
    assert!((paid / asked - 1.0).abs() < 0.05, "paid {paid}, asked {asked}");

    // What is looked at is followed from then on; what nobody has is not.
    let (status, _) = session.call(Method::GET, "/market/bars?symbol=ETH-EUR&every=1m", None).await.unwrap();
    assert!(status.is_client_error());
    session.get("/market/bars?symbol=ETH-USD&every=1m").await;
    session.until_quoted("ETH-USD").await;

    assert!(running.stop().await);
    for file in std::fs::read_dir(desk.home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        let found = bytes.windows(other.secret.len()).any(|window| window == other.secret.as_bytes());
        assert!(!found, "the secret is on the disk");
    }
    // Removed, it opens nothing any more.
    let (removed, said) = desk.home.run(&["feed", "remove", "alpaca"]).await;
    assert!(removed && said.contains("forgotten"), "{said}");
    let (runs, _) = desk.home.run(&["run"]).await;
    assert!(!runs);
    let (good, report) = desk.home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
    assert!(other.running.stop().await);
}
