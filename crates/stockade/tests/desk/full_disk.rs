//! A disk with no room left.

use std::io::Write as _;
use std::path::Path;

use domain::Decimal;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::running::{Home, PATIENCE, Running};

/// The desk runs on a folder of its own file system, of a few megabytes, in a mount namespace that ends with it.
const SMALL_DISK: &str = "mount -t tmpfs -o size=24m,mode=700 none \"$STOCKADE_HOME\" && cp -a \"$1\"/. \"$STOCKADE_HOME\" && \
     shift && exec \"$@\"";

#[tokio::test]
async fn new_risk_is_refused_clearly_cancels_and_the_brake_work_and_with_room_it_goes_on() {
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
    let disk = desk.root().join(home.path().strip_prefix("/").unwrap());
    let session = session.at(&desk);
    let ask: Decimal = session.until_quoted("BTC-USD").await["ask"].as_str().unwrap().parse().unwrap();
    // Far enough below the market to rest, near enough to be allowed.
    let resting = (ask * Decimal::new(8, 1)).round_dp(0).to_string();
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
    let orders = format!("/accounts/{account}/orders");
    let wish = |nth: usize| {
        json!({
            "client_order_id": format!("o-{nth}"), "symbol": "BTC-USD", "side": "buy", "type": "limit",
            "time_in_force": "gtc", "quantity": "0.0001", "limit_price": resting,
        })
    };
    let (status, first) = session.call(Method::POST, &orders, Some(wish(0))).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{first}");

    // Something else takes the rest of the disk.
    let ballast = disk.join("ballast");
    fill(&ballast);
    let mut accepted = 1;
    let refusal = loop {
        match session.call(Method::POST, &orders, Some(wish(accepted))).await.unwrap() {
            (StatusCode::CREATED, _) => accepted += 1,
            (status, problem) => break (status, problem),
        }
        assert!(accepted < 100_000, "the disk does not fill");
    };
    assert_eq!(refusal.0, StatusCode::SERVICE_UNAVAILABLE, "{}", refusal.1);
    let code = refusal.1["code"].as_str().unwrap();
    assert!(["journal_unavailable", "account_blind"].contains(&code), "{}", refusal.1);
    assert_eq!(
        session.all("/orders").await.len(),
        accepted,
        "reads go on, and what was refused is not there"
    );

    // What takes risk away works, with its rows.
    let id = first["id"].as_str().unwrap();
    let (status, answer) =
        session.call(Method::POST, &format!("/orders/{id}/cancel"), Some(json!({}))).await.unwrap();
    assert!(status.is_success(), "{status} {answer}");
    session.until(&format!("/orders/{id}"), |order| order["status"] == "canceled").await;
    let trail = session.all(&format!("/audit?search={id}")).await;
    assert!(trail.iter().any(|row| row["act"] == "order.canceled"), "{trail:?}");
    let brake = json!({ "scope": format!("account/{account}"), "reason": "the disk is full" });
    let (status, answer) = session.call(Method::POST, "/kill-switches", Some(brake)).await.unwrap();
    assert!(status.is_success(), "{status} {answer}");
    session.until("/orders?status=open", |answer| answer["items"].as_array().unwrap().is_empty()).await;
    let (_, report) = session.call(Method::POST, "/audit/verify", Some(json!({}))).await.unwrap();
    assert_eq!(report["ok"], true, "{report}");

    // With room again it goes on, without a restart: only the brake is left, which takes a second factor to release.
    std::fs::remove_file(&ballast).unwrap();
    let nth = accepted;
    let answered = async {
        loop {
            let (status, problem) = session.call(Method::POST, &orders, Some(wish(nth))).await.unwrap();
            if status != StatusCode::SERVICE_UNAVAILABLE {
                return (status, problem);
            }
            tokio::task::yield_now().await;
        }
    };
    let (status, problem) = tokio::time::timeout(PATIENCE, answered).await.expect("the space is noticed");
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("kill_switch")), "{problem}");
    desk.kill().await;
}

/// Writes until nothing more fits.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    for chunk in [1 << 16, 1 << 12] {
        let bytes = vec![0; chunk];
        while file.write_all(&bytes).is_ok() {}
    }
}
