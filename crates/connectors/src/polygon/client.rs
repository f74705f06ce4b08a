//! Keeping a connection.
//!
//! The reader of the socket only queues; the frames are worked on behind the queue. When the work falls behind, quotes
//! are conflated first; when the queue is full all the same, the reader waits, and the vendor sees a slow consumer.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use futures_util::{SinkExt as _, StreamExt as _};
use market::{Feed, FeedState, Kind};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;

use super::translate::{Status, translate};

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

/// The vendor has this long for each step of the greeting.
const GREETING: Duration = Duration::from_secs(10);
/// Frames between the socket and the work.
const QUEUE: usize = 2_048;
/// Behind by this many frames, quotes are conflated; until the queue is nearly empty again.
const BEHIND: usize = QUEUE / 2;
const CAUGHT_UP: usize = QUEUE / 16;
/// Frames worked on before other tasks get their turn.
const BATCH: usize = 64;
/// A connection that lived this long was a good one: the next wait is the first again.
const GOOD: Duration = Duration::from_secs(60);
const LARGEST_FRAME: usize = 16 * 1024 * 1024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a connection ended.
enum End {
    /// The desk shuts down.
    Shutdown,
    /// The vendor refused the key: trying again would not help.
    Refused(String),
    /// It was connected, and silent.
    Stalled,
    /// Anything else.
    Lost(String),
}

/// Keeps `feed` supplied until `stop`, or until the vendor refuses the key.
pub fn start(
    settings: Settings,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter_seed: u64,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let jitter = StdRng::seed_from_u64(jitter_seed);
    tokio::spawn(Client { settings, feed, clock, jitter, stop }.run())
}

struct Client {
    settings: Settings,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter: StdRng,
    stop: CancellationToken,
}

impl Client {
    async fn run(mut self) {
        if let Err(why) = self.settings.check() {
            tracing::error!(why, "the feed is not started");
            self.feed.state(FeedState::Stopped, Some(why));
            return;
        }
        let mut failures = 0_u32;
        loop {
            self.feed.state(FeedState::Connecting, None);
            let begun = tokio::time::Instant::now();
            let (state, why) = match self.session().await {
                End::Shutdown => {
                    self.feed.state(FeedState::Stopped, None);
                    return;
                }
                End::Refused(why) => {
                    tracing::error!(why, "the vendor refused the feed's key; it is not tried again");
                    self.feed.state(FeedState::Stopped, Some(format!("the key was refused: {why}")));
                    return;
                }
                End::Stalled => {
                    self.feed
                        .refuse(Kind::Stalled, || format!("{:?} without a word", self.settings.stall_after));
                    (FeedState::Stalled, "connected, but silent".to_owned())
                }
                End::Lost(why) => {
                    self.feed.refuse(Kind::Disconnected, || why.clone());
                    (FeedState::Down, why)
                }
            };
            failures = if begun.elapsed() >= GOOD { 0 } else { failures };
            self.feed.state(state, Some(why));
            let wait = self.wait(failures);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = self.stop.cancelled() => {
                    self.feed.state(FeedState::Stopped, None);
                    return;
                }
                () = tokio::time::sleep(wait) => self.feed.reconnected(),
            }
        }
    }

    /// Doubles with every failure; between half of it and the whole, so that not all come back at once.
    fn wait(&mut self, failures: u32) -> Duration {
        let doubled = self.settings.first_retry.saturating_mul(2_u32.saturating_pow(failures.min(31)));
        doubled.min(self.settings.longest_retry).mul_f64(self.jitter.random_range(0.5..=1.0))
    }

    /// One connection, from its first byte to its end.
    async fn session(&mut self) -> End {
        let stop = self.stop.clone();
        let greeted = tokio::select! {
            () = stop.cancelled() => return End::Shutdown,
            greeted = self.connect_and_greet() => greeted,
        };
        let socket = match greeted {
            Ok(socket) => socket,
            Err(end) => return end,
        };
        let (queue, frames) = mpsc::channel(QUEUE);
        // The reader ends with the session: its token is dropped with the guard.
        let hang_up = self.stop.child_token();
        let guard = hang_up.clone().drop_guard();
        let reader = tokio::spawn(read(socket, queue, self.clock.clone(), hang_up));
        let end = self.work(frames).await;
        drop(guard);
        let _ = reader.await;
        self.feed.busy(false);
        end
    }

    async fn connect_and_greet(&mut self) -> Result<Socket, End> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_FRAME))
            .max_frame_size(Some(LARGEST_FRAME));
        let connecting = connect_async_with_config(&self.settings.url, Some(config), true);
        let (mut socket, _) = timeout(GREETING, connecting)
            .await
            .map_err(|_| End::Lost("no connection in time".into()))?
            .map_err(|e| End::Lost(format!("no connection: {e}")))?;
        self.expect(&mut socket, "connected").await?;
        send(&mut socket, "auth", self.settings.key.expose_secret()).await?;
        self.expect(&mut socket, "auth_success").await?;
        send(&mut socket, "subscribe", &self.settings.topics()).await?;
        Ok(socket)
    }

    /// Waits for the status `word`.
    async fn expect(&mut self, socket: &mut Socket, word: &str) -> Result<(), End> {
        let answer = async {
            loop {
                let frame = match socket.next().await {
                    Some(Ok(Message::Text(frame))) => frame,
                    Some(Ok(Message::Close(_))) | None => {
                        return Err(End::Lost(format!("closed before {word:?}")));
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(e)) => return Err(End::Lost(e.to_string())),
                };
                for status in translate(&frame, self.clock.now(), &mut self.feed) {
                    if status.word == word {
                        return Ok(());
                    }
                    if let Some(end) = ends(&status) {
                        return Err(end);
                    }
                }
            }
        };
        timeout(GREETING, answer).await.unwrap_or_else(|_| Err(End::Lost(format!("no {word:?} in time"))))
    }

    /// Works on frames until the connection ends.
    async fn work(&mut self, mut frames: mpsc::Receiver<Read>) -> End {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let received = timeout(self.settings.stall_after, frames.recv_many(&mut batch, BATCH)).await;
            match received {
                Err(_) => return End::Stalled,
                Ok(0) => return End::Lost("the reader ended".into()),
                Ok(_) => {}
            }
            match frames.len() {
                waiting if waiting > BEHIND => self.feed.busy(true),
                waiting if waiting < CAUGHT_UP => self.feed.busy(false),
                _ => {}
            }
            for read in batch.drain(..) {
                let (frame, arrived_at) = match read {
                    Read::Frame(frame, arrived_at) => (frame, arrived_at),
                    Read::End(end) => return end,
                };
                for status in translate(&frame, arrived_at, &mut self.feed) {
                    if let Some(end) = self.note(&status) {
                        return end;
                    }
                }
            }
            self.feed.catch_up();
            tokio::task::consume_budget().await;
        }
    }

    fn note(&mut self, status: &Status) -> Option<End> {
        match status.word.as_str() {
            "success" => self.feed.state(FeedState::Live, None),
            // A topic that does not exist or is not paid for; the others go on.
            "error" => {
                tracing::warn!(message = status.message, "the vendor refused a topic");
                self.feed.state(FeedState::Live, Some(status.message.clone()));
            }
            _ => return ends(status),
        }
        None
    }
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

/// What the reader hands over.
enum Read {
    Frame(Utf8Bytes, Timestamp),
    End(End),
}

/// Queues what the socket says. Waits when the queue is full: no frame is lost here.
async fn read(
    mut socket: Socket,
    queue: mpsc::Sender<Read>,
    clock: Arc<dyn Clock>,
    hang_up: CancellationToken,
) {
    let end = loop {
        let next = tokio::select! {
            () = hang_up.cancelled() => {
                // A courtesy: the vendor need not find out by itself.
                let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                break End::Shutdown;
            }
            next = socket.next() => next,
        };
        match next {
            Some(Ok(Message::Text(frame))) => {
                let frame = Read::Frame(frame, clock.now());
                tokio::select! {
                    () = hang_up.cancelled() => break End::Shutdown,
                    sent = queue.send(frame) => if sent.is_err() { return },
                }
            }
            Some(Ok(Message::Close(frame))) => {
                break End::Lost(
                    frame.map_or_else(|| "closed".into(), |f| format!("closed: {} {}", f.code, f.reason)),
                );
            }
            // Pings are answered by the library; binary frames are not part of the protocol.
            Some(Ok(_)) => {}
            Some(Err(e)) => break End::Lost(e.to_string()),
            None => break End::Lost("closed".into()),
        }
    };
    let _ = queue.send(Read::End(end)).await;
}

async fn send(socket: &mut Socket, action: &str, params: &str) -> Result<(), End> {
    let frame = sonic_rs::to_string(&sonic_rs::json!({ "action": action, "params": params }))
        .map_err(|e| End::Lost(e.to_string()))?;
    let sent = timeout(GREETING, socket.send(Message::text(frame))).await;
    sent.map_err(|_| End::Lost(format!("{action:?} could not be sent in time")))?
        .map_err(|e| End::Lost(e.to_string()))
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
