//! Webhooks of the real program: an event that happened before a crash is told after it.

use domain::{Clock as _, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::running::{Home, PASSWORD, PATIENCE, Session};
use crate::trader::Trader;

/// Somebody who is told, one request at a time.
struct Receiver(TcpListener);

impl Receiver {
    async fn on(home: &Home) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = format!("[webhooks]\nallow = [\"http://{}\"]\n", listener.local_addr().unwrap());
        std::fs::write(home.file("stockade.toml"), settings).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }

    /// The next request: its id, its body, and where the answer goes.
    async fn next(&self) -> (String, Value, TcpStream) {
        let next = async {
            loop {
                let (mut stream, _) = self.0.accept().await.unwrap();
                let mut read = Vec::new();
                while stream.read_buf(&mut read).await.unwrap_or(0) > 0 {
                    let text = String::from_utf8_lossy(&read).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    if let Ok(body) = serde_json::from_str::<Value>(body) {
                        let line = head.lines().find_map(|line| line.strip_prefix("webhook-id: "));
                        return (line.expect("an id").to_owned(), body, stream);
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("it is told in time")
    }
}

async fn take(mut stream: TcpStream) {
    stream.write_all(b"HTTP/1.1 204 OK\r\nconnection: close\r\n\r\n").await.unwrap();
}

/// Shows a second factor, as the owner has one from now on.
async fn enrol(session: &Session) {
    let password = json!({ "password": PASSWORD });
    let (_, enrolment) = session.call(Method::POST, "/factors/totp", Some(password)).await.unwrap();
    let key = enrolment["key"].as_str().unwrap().replace(' ', "");
    let secret = totp_rs::Secret::try_from_base32(key).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = totp.generate(u64::try_from(SystemClock.now().as_second()).unwrap()).to_string();
    let confirm = json!({ "code": code });
    let (status, codes) = session.call(Method::POST, "/factors/totp/confirm", Some(confirm)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{codes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_before_a_crash_is_told_after_it() {
    let home = Home::new();
    let receiver = Receiver::on(&home).await;
    let desk = home.start().await;
    let session = desk.set_up().await;
    enrol(&session).await;
    let trader = Trader::new(session).await;
    let webhook = json!({ "name": "Hook", "url": receiver.url(), "kinds": ["order.changed"] });
    let (status, made) = trader.session.call(Method::POST, "/webhooks", Some(webhook)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));

    let order = trader.place("told").await;
    // It is being told, and nobody has answered yet, when the desk dies; what comes after it waits.
    let (id, first, unanswered) = receiver.next().await;
    assert_eq!((&first["data"]["id"], &first["data"]["version"]), (&json!(order), &json!(0)));
    trader.until(&order, "working").await;
    desk.kill().await;
    drop(unanswered);

    let desk = home.start().await;
    let (again, body, stream) = receiver.next().await;
    assert_eq!((again, body), (id, first), "the same event, under the same id");
    take(stream).await;
    let mut versions = vec![0];
    loop {
        let (_, told, stream) = receiver.next().await;
        take(stream).await;
        versions.push(told["data"]["version"].as_u64().unwrap());
        if told["data"]["status"] == "working" {
            break;
        }
    }
    let journaled =
        trader.at(&desk).session.get(&format!("/orders/{order}")).await["version"].as_u64().unwrap();
    assert_eq!(
        versions,
        (0..=journaled).collect::<Vec<_>>(),
        "each state once, in order, and none is missing"
    );
    assert!(desk.stop().await);
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}
