//! A disk with no room left.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::running::{Home, Running};

/// The desk runs on a folder of its own file system, of a few megabytes, in a mount namespace that ends with it.
const SMALL_DISK: &str = "mount -t tmpfs -o size=6m,mode=700 none \"$STOCKADE_HOME\" && cp -a \"$1\"/. \"$STOCKADE_HOME\" && \
     shift && exec \"$@\"";

#[tokio::test]
async fn orders_are_refused_clearly_and_reads_go_on() {
    let home = Home::new();
    let desk = home.start().await;
    let session = desk.set_up().await;
    let account = session.account().await;
    assert!(desk.stop().await);

    // What the desk has so far goes to the small disk.
    let copy = tempfile::tempdir().unwrap();
    let everything = format!("{}/.", home.path().display());
    let mut copying = tokio::process::Command::new("cp");
    copying.args(["-a", &everything, copy.path().to_str().unwrap()]);
    assert!(copying.status().await.unwrap().success());
    let wrapper = ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", copy.path().to_str().unwrap()];
    let desk = Running::spawn(home.wrapped(&wrapper, &["run"])).await;
    let session = session.at(&desk);
    session.until_quoted("BTC-USD").await;
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;

    let mut accepted = 0;
    let refusal = loop {
        let order = json!({
            "client_order_id": format!("o-{accepted}"),
            "symbol": "BTC-USD",
            "side": "buy",
            "type": "market",
            "time_in_force": "gtc",
            "quantity": "0.0001",
        });
        let answer =
            session.call(Method::POST, &format!("/accounts/{account}/orders"), Some(order)).await.unwrap();
        match answer {
            (StatusCode::CREATED, _) => accepted += 1,
            (status, problem) => break (status, problem),
        }
        assert!(accepted < 100_000, "the disk does not fill");
    };
    assert_eq!(refusal.0, StatusCode::SERVICE_UNAVAILABLE, "{}", refusal.1);
    assert!(
        ["journal_unavailable", "account_blind"].contains(&refusal.1["code"].as_str().unwrap()),
        "{}",
        refusal.1
    );
    let orders = session.all("/orders").await;
    assert_eq!(orders.len(), accepted, "reads go on, and what was refused is not there");
    assert!(accepted > 0);
    desk.kill().await;
}
