//! A running desk: the binary on a home folder, and a signed-in client.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) const PASSWORD: &str = "seven lanterns on a quiet pier";
/// Nothing that a desk does on this machine takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home folder, with what is set for every desk on it.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    /// `None`: SQLite.
    pub(crate) database_url: Option<String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        // A folder that others can read is refused: it holds keys.
        let private = std::fs::Permissions::from_mode(0o700);
        Self { folder: tempfile::Builder::new().permissions(private).tempdir().unwrap(), database_url: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The address of the desk's database.
    pub(crate) fn database(&self) -> String {
        let file = || format!("sqlite:{}", self.file("stockade.db").display());
        self.database_url.clone().unwrap_or_else(file)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.wrapped(&[], arguments)
    }

    /// The same inside another program, as `prlimit`.
    pub(crate) fn wrapped(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_stockade");
        let mut words = wrapper.iter().copied().chain([binary]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(arguments);
        command.env("STOCKADE_HOME", self.path()).env("STOCKADE_LISTEN", "127.0.0.1:0");
        command.env_remove("FEED").env_remove("DATABASE_URL").env_remove("STOCKADE_DATABASE_URL");
        // Tests ask again and again, as fast as they can.
        command
            .env("STOCKADE_API__PER_MINUTE__ADDRESS", "0")
            .env("STOCKADE_API__PER_MINUTE__USER__READS", "0");
        if let Some(url) = &self.database_url {
            command.env("DATABASE_URL", url);
        }
        command.kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().await.unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    /// Starts a desk and waits until it listens.
    pub(crate) async fn start(&self) -> Running {
        Running::spawn(self.command(&["run"])).await
    }
}

/// The process.
pub(crate) struct Running {
    child: Child,
    // Kept, so that the desk does not write into a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
    pub(crate) setup_link: Option<String>,
}

impl Running {
    pub(crate) async fn spawn(command: Command) -> Self {
        Self::try_spawn(command).await.expect("the desk ended before it listened")
    }

    /// The same for a desk that may end during its start.
    pub(crate) async fn try_spawn(mut command: Command) -> Option<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut url, mut setup_link) = (None, None);
        let greeting = async {
            while let Some(line) = output.next_line().await.unwrap() {
                let mut words = line.split_whitespace().filter(|word| word.starts_with("https://"));
                match words.next() {
                    Some(link) if link.contains("/set-up?code=") => setup_link = Some(link.to_owned()),
                    Some(link) => url = url.take().or(Some(link.to_owned())),
                    None => {}
                }
                if line.starts_with("Ctrl-C") {
                    return true;
                }
            }
            false
        };
        let listens = tokio::time::timeout(PATIENCE, greeting).await.expect("the desk listens in time");
        let url = url.filter(|_| listens)?;
        Some(Self { child, _output: output, url, setup_link })
    }

    /// Waits for its end, which somebody else brings about; returns the signal that ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.wait().await.unwrap().signal()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it sees as `/`: it may have file systems of its own.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.child.id().unwrap()))
    }

    /// Sends it a signal, as SIGSTOP.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Whether none of its threads runs, after SIGSTOP.
    pub(crate) fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id().unwrap())).unwrap();
        threads.filter_map(Result::ok).all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state comes after the name, which is in parentheses and may hold anything.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    }

    /// SIGTERM; returns whether it ended well.
    pub(crate) async fn stop(mut self) -> bool {
        self.signal(rustix::process::Signal::TERM);
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("the desk stops in time")
            .unwrap()
            .success()
    }

    /// A new session of the owner.
    pub(crate) async fn sign_in(&self) -> Session {
        let session = Session::new(&self.url);
        session.sign_in("owner", PASSWORD).await;
        session
    }

    /// Makes the first owner, and signs in.
    pub(crate) async fn set_up(&self) -> Session {
        let link = self.setup_link.as_deref().expect("a desk without an owner prints the link");
        let (path, code) = link.split_once("?code=").unwrap();
        let session = Session::new(&self.url);
        let page = session.client.get(link).send().await.unwrap().text().await.unwrap();
        let form = [
            ("csrf", hidden(&page, "csrf")),
            ("code", code.to_owned()),
            ("username", "owner".to_owned()),
            ("display_name", "The Owner".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("password_again", PASSWORD.to_owned()),
        ];
        let answer = session.client.post(path).header("origin", &self.url).form(&form).send().await.unwrap();
        assert!(
            answer.status().is_redirection(),
            "set-up: {} {}",
            answer.status(),
            answer.text().await.unwrap()
        );
        session.sign_in("owner", PASSWORD).await;
        session
    }
}

/// The value of a hidden field of a form.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name} in {page}"));
    let rest = &page[at..];
    let value = &rest[rest.find("value=\"").unwrap() + 7..];
    value[..value.find('"').unwrap()].to_owned()
}

/// A client with its cookie. The cookie outlives the desk's process.
#[derive(Clone)]
pub(crate) struct Session {
    client: Client,
    url: String,
}

/// A request that got no answer: the desk may have done it or not.
#[derive(Debug)]
pub(crate) struct NoAnswer;

impl Session {
    pub(crate) fn new(url: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            // The desk's certificate is its own.
            .tls_danger_accept_invalid_certs(true)
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { client, url: url.to_owned() }
    }

    /// The same client at the desk's new address.
    pub(crate) fn at(&self, desk: &Running) -> Self {
        Self { client: self.client.clone(), url: desk.url.clone() }
    }

    async fn sign_in(&self, username: &str, password: &str) {
        let body = json!({ "username": username, "password": password });
        let (status, answer) = self.call(Method::POST, "/session", Some(body)).await.unwrap();
        assert_eq!(status, StatusCode::OK, "sign-in: {answer}");
    }

    /// Signs in once more, and says what a program of its own has to send along to be the owner.
    pub(crate) async fn cookie(&self) -> String {
        let body = json!({ "username": "owner", "password": PASSWORD });
        let request = self.client.post(format!("{}/api/v1/session", self.url)).json(&body);
        let answer = request.send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Calls the API; `path` is below `/api/v1`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), NoAnswer> {
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|_| NoAnswer)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| NoAnswer)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// What a program with a key reads, as it comes; `path` is that of the address.
    pub(crate) async fn read_with_key(&self, key: &str, secret: &str, path: &str) -> (StatusCode, Vec<u8>) {
        let request = Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
        let request = request.get(format!("{}{path}", self.url)).bearer_auth(format!("{key}.{secret}"));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await.unwrap();
        assert_eq!(status, StatusCode::OK, "GET {path}: {answer}");
        answer
    }

    /// The one account there is.
    pub(crate) async fn account(&self) -> String {
        self.get("/accounts").await["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The items of a list, all pages of it.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{mark}limit=1000{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asking = async {
            loop {
                last = self.get(path).await;
                if wanted(&last) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asking).await;
        assert!(in_time.is_ok(), "{path} did not become as wanted: {last}");
        last
    }

    /// Waits for a quote, without which nothing can be priced.
    pub(crate) async fn until_quoted(&self, symbol: &str) -> Value {
        let of = |answer: &Value| {
            answer["items"].as_array().unwrap().iter().find(|i| i["symbol"] == symbol).cloned()
        };
        let answer = self.until("/market/symbols", |a| of(a).is_some_and(|i| !i["ask"].is_null())).await;
        of(&answer).unwrap()
    }
}
