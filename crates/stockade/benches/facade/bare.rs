//! The reference: a program that answers fixed bytes, over the same TLS and the same HTTP, and does nothing else.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The argument that makes this program the reference.
pub(crate) const MODE: &str = "bare";

/// The process.
pub(crate) struct Bare {
    process: Child,
    pub(crate) url: String,
}

impl Bare {
    /// Starts it with these answers: the first is at `/0`.
    pub(crate) async fn start(answers: &[Vec<u8>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (nth, answer) in answers.iter().enumerate() {
            std::fs::write(folder.path().join(nth.to_string()), answer).unwrap();
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(MODE).arg(folder.path()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().expect("it says where it listens");
        Self { process, url }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap()
    }
}

/// Is it, until it is killed.
pub(crate) async fn serve(answers: &Path) {
    let mut app = Router::new();
    for file in std::fs::read_dir(answers).unwrap() {
        let file = file.unwrap();
        let answer: &'static [u8] = std::fs::read(file.path()).unwrap().leak();
        let handler = move || async move { ([(CONTENT_TYPE, "application/json")], answer) };
        app = app.route(&format!("/{}", file.file_name().display()), get(handler));
    }
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
    let tls = RustlsConfig::from_pem(chain, key).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("https://{}", listener.local_addr().unwrap());
    axum_server::from_tcp_rustls(listener, tls).unwrap().serve(app.into_make_service()).await.unwrap();
}
