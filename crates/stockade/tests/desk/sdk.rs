//! Alpaca's own clients against the real binary: bots that know nothing of the desk but its address and a key.
//!
//! `scripts/sdks` makes the environments that they run in; `STOCKADE_SDKS` names the folder.

use std::path::PathBuf;
use std::process::Stdio;

use domain::{Clock as _, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::{Home, PASSWORD, Running, Session};

/// A desk with a key for its account.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) running: Running,
    pub(crate) session: Session,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

impl Desk {
    pub(crate) async fn start() -> Self {
        let home = Home::new();
        let running = home.start().await;
        let session = running.set_up().await;
        let account = session.account().await;
        session.until_quoted("BTC-USD").await;
        session.until_quoted("ETH-USD").await;
        session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
        enrol(&session).await;
        let scopes =
            ["market.view", "accounts.view", "orders.view", "orders.place", "orders.cancel"].map(Value::from);
        let body = json!({ "name": "the SDK", "account_id": account, "scopes": scopes });
        let (status, made) = session.call(Method::POST, "/keys", Some(body)).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (key, secret) = (text(&made["key"]["id"]), text(&made["secret"]));
        Self { home, running, session, account, key, secret }
    }

    /// Runs a script of `tests/sdk` to its end, and checks what it leaves behind.
    async fn run(self, environment: PathBuf, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
        let certificate = self.home.file("certificate.pem");
        let address = self.running.url.replace("127.0.0.1", "localhost");
        let mut python = Command::new(environment.join(name).join("bin/python"));
        python.arg("-B").arg(folder.join(format!("{name}_bot.py"))).env("DESK", &address);
        python.env("KEY_ID", &self.key).env("KEY_SECRET", &self.secret);
        python.env("APCA_API_KEY_ID", &self.key).env("APCA_API_SECRET_KEY", &self.secret);
        for url in ["APCA_API_BASE_URL", "APCA_API_DATA_URL"] {
            python.env(url, format!("{address}/alpaca"));
        }
        for trusted in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            python.env(trusted, &certificate);
        }
        let output = python.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let (said, wrong) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.ends_with("all is well\n"), "{said}\n{wrong}");

        let orders = self.session.all(&format!("/orders?account_id={}&status=all", self.account)).await;
        let placed_with_key = |order: &&Value| order["key_id"] == json!(self.key);
        assert_eq!(
            orders.iter().filter(placed_with_key).count(),
            orders.len(),
            "every order carries the key"
        );
        let accepted = self.session.all("/audit?act=order.accepted").await;
        assert!(!accepted.is_empty() && accepted.iter().all(|row| row["detail"]["key"] == json!(self.key)));
        for file in std::fs::read_dir(self.home.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            let found = bytes.windows(self.secret.len()).any(|window| window == self.secret.as_bytes());
            assert!(!found, "the secret of a key is on the disk");
        }
        assert!(self.running.stop().await);
        let (good, report) = self.home.run(&["audit", "verify"]).await;
        assert!(good, "{report}");
    }
}

/// A second factor, just shown: keys are made with one only.
pub(crate) async fn enrol(session: &Session) {
    let password = json!({ "password": PASSWORD });
    let (_, enrolment) = session.call(Method::POST, "/factors/totp", Some(password)).await.unwrap();
    let key = enrolment["key"].as_str().unwrap().replace(' ', "");
    let secret = totp_rs::Secret::try_from_base32(key).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = totp.generate(u64::try_from(SystemClock.now().as_second()).unwrap()).to_string();
    let (status, codes) =
        session.call(Method::POST, "/factors/totp/confirm", Some(json!({ "code": code }))).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{codes}");
}

/// Where the clients are; `None`, with a line that says so, where nobody has installed them.
fn environments() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("STOCKADE_SDKS") {
        return Some(folder.into());
    }
    assert!(std::env::var_os("CI").is_none(), "STOCKADE_SDKS names no folder: scripts/sdks makes it");
    eprintln!("SKIPPED: Alpaca's clients are not installed: STOCKADE_SDKS=$(scripts/sdks)");
    None
}

#[tokio::test]
async fn alpaca_py_trades_on_the_desk_as_if_it_were_alpaca() {
    let Some(environments) = environments() else { return };
    Desk::start().await.run(environments, "alpaca_py").await;
}

#[tokio::test]
async fn the_older_client_trades_on_the_desk_with_nothing_but_its_environment_changed() {
    let Some(environments) = environments() else { return };
    Desk::start().await.run(environments, "alpaca_trade_api").await;
}
