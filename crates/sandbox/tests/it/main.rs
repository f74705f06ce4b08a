//! The vendor's protocol over a real socket: the sandbox at one end, the desk's own connector at the other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod alpaca;
mod alpaca_data;
mod conformance;
mod desk;
mod faults;
mod feed;
mod protocol;
mod recorded;
mod restart;
mod venue;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connectors::polygon;
use domain::{Clock, SystemClock};
use market::{FeedState, FeedStatus, Market, MarketEvent, Settings};
use sandbox::{Server, ServerSettings, Source};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const KEY: &str = "sandbox-key";

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A server, and a desk that listens to it.
struct Wire {
    server: Server,
    market: Market,
    events: Receiver<MarketEvent>,
    client: JoinHandle<()>,
    stop: CancellationToken,
}

impl Wire {
    async fn new(source: Source) -> Self {
        Self::with(source, ServerSettings::loopback(KEY), |_| {}).await
    }

    async fn with(
        source: Source,
        server: ServerSettings,
        change: impl FnOnce(&mut polygon::Settings),
    ) -> Self {
        let stop = CancellationToken::new();
        let server = Server::start(source, server, clock(), stop.clone()).await.unwrap();
        let market = Market::new(Settings::new(sandbox::instruments()), clock());
        let events = market.subscribe();
        let mut settings = polygon::Settings::new(server.url(), KEY.to_owned().into());
        settings.first_retry = Duration::from_millis(5);
        settings.longest_retry = Duration::from_millis(20);
        change(&mut settings);
        let client = polygon::start(settings, market.feed("sandbox"), clock(), 1, stop.clone());
        Self { server, market, events, client, stop }
    }

    fn status(&self) -> FeedStatus {
        self.market.feeds().remove(0)
    }

    fn count(&self, kind: &str) -> u64 {
        self.status().counters.get(kind).copied().unwrap_or_default()
    }

    /// Waits until `done` is true of the desk, looking again at whatever happens there.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !done(self) {
                match self.events.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => unreachable!("the market is held by the test"),
                }
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("never happened: {what}; {:?}", self.status());
        }
    }

    async fn until_state(&mut self, state: FeedState) {
        self.until(state.as_str(), |wire| wire.status().state == state).await;
    }

    /// Waits for the next event that `pick` picks.
    async fn next<T>(&mut self, what: &str, pick: impl Fn(MarketEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                match self.events.recv().await {
                    Ok(event) => {
                        if let Some(picked) = pick(event) {
                            return picked;
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => unreachable!("the market is held by the test"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never came: {what}"))
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, async {
            self.client.await.unwrap();
            self.server.closed().await;
        })
        .await
        .unwrap();
        assert_eq!(self.market.feeds()[0].state, FeedState::Stopped);
    }
}

/// A trade of Bitcoin as the vendor writes it.
fn trade(id: u64, at_ms: i64, price: &str) -> String {
    format!(
        r#"[{{"ev":"XT","pair":"BTC-USD","p":{price},"t":{at_ms},"s":0.5,"c":[2],"i":"{id}","x":1,"r":{}}}]"#,
        at_ms + 5
    )
}

fn loopback_with(max_connections: usize) -> ServerSettings {
    ServerSettings { max_connections, ..ServerSettings::loopback(KEY) }
}

/// A file of the shared specification beside the checkout; `None`, said aloud, where there is none.
///
/// With `CI` set its absence is a failure.
fn shared(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("STOCKADE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI is set", path.display());
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// A free address of this machine.
fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
