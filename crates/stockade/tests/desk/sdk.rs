//! Alpaca's own clients against the real binary: bots that know nothing of the desk but its address and a key.
//!
//! `scripts/sdks` makes the environments that they run in; `STOCKADE_SDKS` names the folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use domain::{Clock as _, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::{Home, PASSWORD, Running, Session};
use crate::secret::Forms;

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
        Self::on(Home::new()).await
    }

    /// The same in a home of one's own.
    pub(crate) async fn on(home: Home) -> Self {
        let running = home.start().await;
        let session = running.set_up().await;
        let account = session.account().await;
        Self::with_key(home, running, session, account).await
    }

    /// One that runs, with a key for an account of its owner.
    pub(crate) async fn with_key(home: Home, running: Running, session: Session, account: String) -> Self {
        session.until_quoted("BTC-USD").await;
        session.until_quoted("ETH-USD").await;
        session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
        enrol(&session).await;
        let (key, secret) = session.new_key(&account).await;
        Self { home, running, session, account, key, secret }
    }

    /// A program that knows of the desk what a bot knows: where it is, its key, and its certificate.
    pub(crate) fn tell(&self, program: &mut Command) {
        let address = self.running.url.replace("127.0.0.1", "localhost");
        program.env("DESK", &address);
        program.env("APCA_API_KEY_ID", &self.key).env("APCA_API_SECRET_KEY", &self.secret);
        for url in ["APCA_API_BASE_URL", "APCA_API_DATA_URL"] {
            program.env(url, format!("{address}/alpaca"));
        }
        for trusted in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
            program.env(trusted, self.home.file("certificate.pem"));
        }
    }

    /// Runs a bot of `tests/sdk` to its end, and checks what it leaves behind.
    async fn run(self, mut bot: Command) {
        self.tell(&mut bot);
        let output = bot.output().await.unwrap();
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
        assert_eq!(Forms::of(&self.secret).in_folder(self.home.path()), None, "the secret of a key");
        assert!(self.running.stop().await);
        let (good, report) = self.home.run(&["audit", "verify"]).await;
        assert!(good, "{report}");
    }
}

impl Session {
    /// Makes a key for an account, and gives both its halves. The second factor was shown just now.
    pub(crate) async fn new_key(&self, account: &str) -> (String, String) {
        let scopes =
            ["market.view", "accounts.view", "orders.view", "orders.place", "orders.cancel"].map(Value::from);
        let body = json!({ "name": "the SDK", "account_id": account, "scopes": scopes });
        let (status, made) = self.call(Method::POST, "/keys", Some(body)).await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["secret"]))
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
pub(crate) fn environments() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("STOCKADE_SDKS") {
        return Some(folder.into());
    }
    assert!(std::env::var_os("CI").is_none(), "STOCKADE_SDKS names no folder: scripts/sdks makes it");
    eprintln!("SKIPPED: Alpaca's clients are not installed: STOCKADE_SDKS=$(scripts/sdks)");
    None
}

/// A file of this crate's tests, or of the checkout.
fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A script in one of the environments for Python.
pub(crate) fn python(environments: &Path, name: &str, path: &str) -> Command {
    let mut command = Command::new(environments.join(name).join("bin/python"));
    command.arg("-B").arg(script(path)).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A script in the environment for Node.
fn node(environments: &Path, name: &str, path: &str) -> Command {
    let packages = environments.join(name).join("node_modules");
    let mut command = Command::new(packages.join(".bin/node"));
    command.arg(script(path)).env("NODE_PATH", packages).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn alpaca_py_trades_on_the_desk_as_if_it_were_alpaca() {
    let Some(environments) = environments() else { return };
    Desk::start().await.run(python(&environments, "alpaca_py", "tests/sdk/alpaca_py_bot.py")).await;
}

#[tokio::test]
async fn the_older_client_trades_on_the_desk_with_nothing_but_its_environment_changed() {
    let Some(environments) = environments() else { return };
    let bot = python(&environments, "alpaca_trade_api", "tests/sdk/alpaca_trade_api_bot.py");
    Desk::start().await.run(bot).await;
}

#[tokio::test]
async fn the_client_for_node_trades_on_the_desk_with_another_fetch() {
    let Some(environments) = environments() else { return };
    let bot = node(&environments, "alpaca_trade_api_js", "tests/sdk/alpaca_trade_api_js_bot.cjs");
    Desk::start().await.run(bot).await;
}

#[tokio::test]
async fn what_another_process_takes_away_from_a_key_it_does_not_have_with_the_next_request() {
    use sqlx::{Connection as _, Executor as _};
    let desk = Desk::start().await;
    let account = async || desk.session.read_with_key(&desk.key, &desk.secret, "/alpaca/v2/account").await.0;
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&desk.home.database()).await.unwrap();
    for _ in 0..10 {
        assert_eq!(account().await, StatusCode::OK);
        other.execute("UPDATE api_keys SET revoked_at = 1").await.unwrap();
        assert_eq!(account().await, StatusCode::UNAUTHORIZED);
        other.execute("UPDATE api_keys SET revoked_at = NULL").await.unwrap();
    }
    assert_eq!(account().await, StatusCode::OK);
    let (status, _) = desk.session.call(Method::DELETE, &format!("/keys/{}", desk.key), None).await.unwrap();
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(account().await, StatusCode::UNAUTHORIZED);
    assert!(desk.running.stop().await);
}
