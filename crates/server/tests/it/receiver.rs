//! Somebody who is told by webhooks: a socket that takes one request at a time, and answers as the test wishes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use vault::{SecretString, crypto};

/// A request that came.
#[derive(Debug)]
pub(crate) struct Told {
    pub head: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Told {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body is JSON")
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// Which of its signatures are made with the secret, as the specification says it.
    pub(crate) fn signed_with(&self, secret: &str) -> Vec<bool> {
        let key = crypto::from_base64(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let signed = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let signature = format!("v1,{}", crypto::base64(&crypto::hmac_sha256(&key, signed.as_bytes())));
        self.headers["webhook-signature"].split(' ').map(|one| one == signature).collect()
    }
}

/// A receiver on loopback.
pub(crate) struct Receiver {
    pub port: u16,
    told: UnboundedReceiver<Told>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

pub(crate) const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

impl Receiver {
    /// One without TLS.
    pub(crate) async fn plain() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, told) = unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let given = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, given, tls) = (tell.clone(), given.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => take(stream, &tell, &given).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                take(stream, &tell, &given).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, told, answers }
    }

    /// What it answers next; after these it takes everything. An empty answer is none, for ever.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = String>) {
        self.answers.lock().expect("nobody panicked").extend(answers);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(Duration::from_secs(20), self.told.recv()).await;
        next.expect("it is told in time").expect("the receiver runs")
    }

    /// Whether nothing came that was not looked at.
    pub(crate) fn was_told_nothing_more(&mut self) -> bool {
        self.told.try_recv().is_err()
    }
}

async fn take(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    tell: &UnboundedSender<Told>,
    answers: &Mutex<VecDeque<String>>,
) {
    let mut read = Vec::new();
    let told = loop {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let headers: HashMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        if body.len() >= headers["content-length"].parse().expect("a length") {
            break Told { head: head.to_owned(), headers, body: body.to_owned() };
        }
    };
    let _ = tell.send(told);
    let answer = answers.lock().expect("nobody panicked").pop_front().unwrap_or_else(|| TAKEN.to_owned());
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    // Whoever has read enough hangs up.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// An answer without a body.
pub(crate) fn status(status: u16, header: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n")
}

/// The text of a secret, for whoever checks with it.
pub(crate) fn text(secret: &SecretString) -> String {
    vault::ExposeSecret::expose_secret(secret).to_owned()
}
