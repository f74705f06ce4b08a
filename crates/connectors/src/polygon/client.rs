//! What is said to Polygon, and what it says of the connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Clock, Timestamp};
use market::{Feed, FeedState};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_util::sync::CancellationToken;

use super::translate::{Status, translate};
use crate::connection::{End, Patience, Protocol, Socket, keep, next_frame, say};

/// Where to connect, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `wss://socket.massive.com/crypto`, or `ws://` on this machine.
    pub url: String,
    /// The vendor's key.
    pub key: SecretString,
    /// Pairs to listen to, as `BTC-USD`. Empty: all that the key may see.
    pub pairs: Vec<String>,
    /// How long a connection may be silent. Crypto never sleeps.
    pub stall_after: Duration,
    /// The first wait after a lost connection; each further one doubles.
    pub first_retry: Duration,
    /// No wait is longer.
    pub longest_retry: Duration,
}

impl Settings {
    /// All pairs, with the patience that suits a vendor on the internet.
    pub fn new(url: impl Into<String>, key: SecretString) -> Self {
        Self {
            url: url.into(),
            key,
            pairs: Vec::new(),
            stall_after: Duration::from_secs(30),
            first_retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(60),
        }
    }

    /// `XT.BTC-USD,XQ.BTC-USD,XA.BTC-USD`
    fn topics(&self) -> String {
        let all = ["*".to_owned()];
        let pairs = if self.pairs.is_empty() { &all[..] } else { &self.pairs };
        let topics =
            pairs.iter().flat_map(|pair| ["XT", "XQ", "XA"].map(|channel| format!("{channel}.{pair}")));
        topics.collect::<Vec<_>>().join(",")
    }

    /// The key crosses a network only under TLS.
    fn check(&self) -> Result<(), String> {
        if self.url.starts_with("wss://") {
            return Ok(());
        }
        let host = self.url.strip_prefix("ws://").map(|rest| rest.split(['/', '?']).next().unwrap_or(rest));
        let host = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
        match host {
            Some("127.0.0.1" | "localhost" | "[::1]") => Ok(()),
            _ => Err("a feed's address is wss://..., or ws:// on this machine".to_owned()),
        }
    }
}

/// Keeps `feed` supplied until `stop`, or until the vendor refuses the key.
pub fn start(
    settings: Settings,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter_seed: u64,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let patience = Patience {
        stall_after: settings.stall_after,
        // Crypto never sleeps.
        ping_every: None,
        first_retry: settings.first_retry,
        longest_retry: settings.longest_retry,
        conflict_pause: settings.longest_retry,
    };
    keep(Polygon { settings }, patience, feed, clock, jitter_seed, stop)
}

struct Polygon {
    settings: Settings,
}

#[async_trait]
impl Protocol for Polygon {
    fn request(&self) -> Result<Request<()>, String> {
        self.settings.check()?;
        self.settings.url.as_str().into_client_request().map_err(|error| error.to_string())
    }

    async fn greet(&mut self, socket: &mut Socket, feed: &mut Feed, clock: &dyn Clock) -> Result<(), End> {
        expect(socket, "connected", feed, clock).await?;
        send(socket, "auth", self.settings.key.expose_secret()).await?;
        expect(socket, "auth_success", feed, clock).await?;
        send(socket, "subscribe", &self.settings.topics()).await
    }

    fn take(&mut self, frame: &Message, arrived_at: Timestamp, feed: &mut Feed) -> Option<End> {
        // Binary frames are not part of the protocol.
        let Message::Text(frame) = frame else { return None };
        translate(frame, arrived_at, feed).iter().find_map(|status| note(status, feed))
    }
}

/// Waits for the status `word`.
async fn expect(socket: &mut Socket, word: &str, feed: &mut Feed, clock: &dyn Clock) -> Result<(), End> {
    loop {
        let Message::Text(frame) = next_frame(socket, word).await? else { continue };
        for status in translate(&frame, clock.now(), feed) {
            if status.word == word {
                return Ok(());
            }
            if let Some(end) = ends(&status) {
                return Err(end);
            }
        }
    }
}

fn note(status: &Status, feed: &mut Feed) -> Option<End> {
    match status.word.as_str() {
        "success" => feed.state(FeedState::Live, None),
        // A topic that does not exist or is not paid for; the others go on.
        "error" => {
            tracing::warn!(message = status.message, "the vendor refused a topic");
            feed.state(FeedState::Live, Some(status.message.clone()));
        }
        _ => return ends(status),
    }
    None
}

/// Whether a status ends the connection.
fn ends(status: &Status) -> Option<End> {
    let why = || format!("{}: {}", status.word, status.message);
    match status.word.as_str() {
        "connected" | "auth_success" | "success" | "error" => None,
        "auth_failed" => Some(End::Refused(status.message.clone())),
        "max_connections" | "slow_consumer" | "force_disconnect" | "auth_timeout" | "auth_required" => {
            Some(End::Lost(why()))
        }
        _ => {
            tracing::warn!(word = status.word, message = status.message, "a status that we do not know");
            None
        }
    }
}

async fn send(socket: &mut Socket, action: &str, params: &str) -> Result<(), End> {
    let frame = sonic_rs::to_string(&sonic_rs::json!({ "action": action, "params": params }))
        .map_err(|e| End::Lost(e.to_string()))?;
    say(socket, Message::text(frame)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_crosses_a_network_in_the_clear() {
        let allowed = |url: &str| Settings::new(url, "k".to_owned().into()).check().is_ok();
        for url in ["wss://socket.massive.com/crypto", "ws://127.0.0.1:9000/crypto", "ws://localhost/crypto"]
        {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "ws://socket.massive.com/crypto",
            "ws://127.0.0.1.example.com/crypto",
            "http://localhost",
            "",
            "ws://",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        let settings = Settings::new("wss://example.com", "very-secret".to_owned().into());
        assert!(!format!("{settings:?}").contains("very-secret"));
    }
}
