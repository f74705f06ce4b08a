//! An account at Alpaca, as the operator adds it; Alpaca is another desk, which speaks the same.

use std::fs::File;
use std::process::Stdio;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::running::{Home, PATIENCE, Running};
use crate::sdk::Desk;
use crate::secret::Forms;

/// A desk that trusts another one's certificate.
pub(crate) struct Trusting<'a> {
    pub(crate) home: Home,
    pub(crate) other: &'a Desk,
}

/// Where its log goes, in its home.
const LOG: &str = "desk.log";

impl Trusting<'_> {
    /// Runs a command that reads a secret from standard input.
    pub(crate) async fn tell(&self, arguments: &[&str], secret: &str) -> (bool, String) {
        let mut command = self.home.command(arguments);
        command.env("SSL_CERT_FILE", self.other.home.file("certificate.pem"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(secret.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    pub(crate) async fn start(&self) -> Running {
        let mut command = self.home.command(&["run"]);
        command.env("SSL_CERT_FILE", self.other.home.file("certificate.pem"));
        command.env("STOCKADE_LOG", "debug").stderr(File::create(self.home.file(LOG)).unwrap());
        Running::spawn(command).await
    }

    fn address(&self) -> String {
        self.other.running.url.replace("127.0.0.1", "localhost") + "/alpaca"
    }
}

/// A desk that has an account at another one, as if that were Alpaca, with a key for it. Its log is in its home.
pub(crate) async fn desk_through(other: &Desk) -> Desk {
    let desk = Trusting { home: Home::new(), other };
    let running = desk.start().await;
    let session = running.set_up().await;
    assert!(running.stop().await);
    let url = desk.address();
    let add = ["account", "add", "alpaca", "--name", "Elsewhere", "--key-id", &other.key, "--url", &url];
    let (added, said) = desk.tell(&add, &other.secret).await;
    assert!(added, "{said}");
    let (granted, said) = desk.home.run(&["user", "grant", "owner", "Elsewhere", "trade"]).await;
    assert!(granted, "{said}");
    let running = desk.start().await;
    let session = session.at(&running);
    let accounts = session.all("/accounts").await;
    let account = accounts.iter().find(|account| account["name"] == "Elsewhere").unwrap();
    let account = account["id"].as_str().unwrap().to_owned();
    Desk::with_key(desk.home, running, session, account).await
}

#[tokio::test]
async fn an_account_is_added_with_credentials_that_work_and_trades_through_another_desk() {
    let other = Desk::start().await;
    let desk = Trusting { home: Home::new(), other: &other };
    let url = desk.address();
    let running = desk.start().await;
    let session = running.set_up().await;
    assert!(running.stop().await);

    let add =
        ["account", "add", "alpaca", "--name", "Elsewhere", "--key-id", &other.key, "--url", url.as_str()];
    let (added, said) = desk.tell(&add, "stk_wrong").await;
    assert!(!added && said.contains("tried and not kept"), "{said}");
    let (_, accounts) = desk.home.run(&["account", "list"]).await;
    assert!(!accounts.contains("Elsewhere"), "nothing is half done: {accounts}");
    let (added, said) = desk.tell(&add, &other.secret).await;
    assert!(added, "{said}");
    let (again, said) = desk.tell(&add, &other.secret).await;
    assert!(!again && said.contains("already"), "{said}");
    let (granted, said) = desk.home.run(&["user", "grant", "owner", "Elsewhere", "trade"]).await;
    assert!(granted, "{said}");

    let running = desk.start().await;
    let session = session.at(&running);
    session.until_quoted("BTC-USD").await;
    let accounts = session.all("/accounts").await;
    let account = accounts.iter().find(|account| account["name"] == "Elsewhere").unwrap();
    assert_eq!((&account["broker"], &account["mode"]), (&json!("alpaca"), &json!("paper")), "{account}");
    let account = account["id"].as_str().unwrap();
    session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
    let order = json!({
        "client_order_id": "through", "symbol": "BTC-USD", "side": "buy", "type": "market",
        "time_in_force": "gtc", "quantity": "0.01",
    });
    let (status, placed) =
        session.call(Method::POST, &format!("/accounts/{account}/orders"), Some(order)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{placed}");
    let id = placed["id"].as_str().unwrap();
    let filled = session.until(&format!("/orders/{id}"), |order| order["status"] == "filled").await;

    let theirs = other.session.all(&format!("/orders?account_id={}&status=all", other.account)).await;
    let [theirs] = theirs.as_slice() else { panic!("one order: {theirs:?}") };
    assert_eq!((&theirs["client_order_id"], &theirs["key_id"]), (&json!(id), &json!(other.key)));
    assert_eq!(theirs["average_price"], filled["average_price"], "{theirs}");
    let held = format!("/accounts/{account}/positions");
    let held = session.until(&held, |held| held["items"][0].is_object()).await;
    assert_eq!(held["items"][0]["quantity"], json!("0.01"));

    let renew = ["account", "credentials", "Elsewhere", "--key-id", &other.key];
    let (renewed, said) = desk.tell(&renew, "stk_wrong").await;
    assert!(!renewed && said.contains("tried and not kept"), "{said}");
    let (renewed, said) = desk.tell(&renew, &other.secret).await;
    assert!(renewed, "{said}");
    let acts: Vec<Value> = session.all("/audit").await;
    let acts: Vec<&str> = acts.iter().filter_map(|row| row["act"].as_str()).collect();
    assert!(acts.contains(&"account.opened") && acts.contains(&"account.credentials_replaced"), "{acts:?}");

    assert!(running.stop().await);
    assert_eq!(Forms::of(&other.secret).in_folder(desk.home.path()), None);
    let (good, report) = desk.home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
    assert!(other.running.stop().await);
}
