//! Alpaca's trading API on a port, with the paper venue behind it: one account, opened by one key.
//!
//! It answers in Alpaca's words and keeps Alpaca's rules where they differ from the venue's: ids are UUIDs, a client order
//! id is taken once for ever, a replacement is a new order. What it does wrong is the venue's misbehaviour, a
//! [`crate::Proxy`] before it, and the drills of [`AlpacaServer`].

mod api;
mod book;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alpaca::{Problem, code};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use domain::{AccountId, Clock, Instrument, Money};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trading::{Broker, PaperVenue};

use self::book::Book;
use crate::venue::connection::{self, HangUp};

/// How the server listens, and for whom.
#[derive(Clone)]
pub struct AlpacaSettings {
    /// Where. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The account at the venue.
    pub account: AccountId,
    /// What it begins with.
    pub opening_cash: Money,
    /// The key's id.
    pub key_id: String,
    /// The secret.
    pub secret: String,
    /// What can be traded.
    pub instruments: Vec<Instrument>,
    /// Whether the stream speaks in binary frames, as Alpaca's paper accounts do.
    pub binary_frames: bool,
    /// Streams at a time; who comes later is told so.
    pub max_streams: usize,
    /// Connections at a time.
    pub max_connections: usize,
}

impl AlpacaSettings {
    /// A free port of this machine.
    pub fn loopback(account: AccountId, key_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            account,
            opening_cash: Money(100_000.into()),
            key_id: key_id.into(),
            secret: secret.into(),
            instruments: Vec::new(),
            binary_frames: true,
            max_streams: usize::MAX,
            max_connections: 256,
        }
    }
}

/// A server that listens.
pub struct AlpacaServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl AlpacaServer {
    /// Listens, and serves an account of `venue` until `stop`.
    ///
    /// # Errors
    /// The address is taken or not ours, or the account could not be opened.
    pub async fn start(
        venue: PaperVenue,
        settings: AlpacaSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let opened = venue.open_account(settings.account, settings.opening_cash).await;
        opened.map_err(io::Error::other)?;
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let most = settings.max_connections;
        let shared = Arc::new(Shared {
            broker: venue.broker(settings.account),
            settings,
            clock,
            book: Book::default(),
            key_is_good: AtomicBool::new(true),
            streams: AtomicUsize::new(0),
            says: watch::Sender::new(None),
            stop: stop.clone(),
        });
        let serving = tokio::spawn(connection::accept(listener, app(shared.clone()), most, stop));
        Ok(Self { address, shared, serving })
    }

    /// What a client has as Alpaca's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same, for a proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the key opens nothing, or does again. Streams that are open stay open.
    pub fn accept_key(&self, accept: bool) {
        self.shared.key_is_good.store(accept, Ordering::SeqCst);
    }

    /// Says something on every stream that is open.
    pub fn say(&self, frame: impl Into<String>) {
        self.shared.says.send_replace(Some(frame.into()));
    }

    /// Waits for the end, after the token that it was started with.
    pub async fn closed(self) {
        let _ = self.serving.await;
    }
}

/// What all requests see.
struct Shared {
    broker: Arc<dyn Broker>,
    settings: AlpacaSettings,
    clock: Arc<dyn Clock>,
    book: Book,
    key_is_good: AtomicBool,
    streams: AtomicUsize,
    says: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

impl Shared {
    fn opens(&self, key_id: &str, secret: &str) -> bool {
        let is_right = key_id.as_bytes().ct_eq(self.settings.key_id.as_bytes())
            & secret.as_bytes().ct_eq(self.settings.secret.as_bytes());
        is_right.into() && self.key_is_good.load(Ordering::SeqCst)
    }
}

fn app(shared: Arc<Shared>) -> Router {
    let rest = api::routes().layer(from_fn_with_state(shared.clone(), with_key));
    let nowhere = || async { No::new(code::NOT_FOUND, "endpoint not found") };
    Router::new().merge(rest).merge(stream::routes()).fallback(nowhere).with_state(shared)
}

async fn with_key(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if shared.opens(header("APCA-API-KEY-ID"), header("APCA-API-SECRET-KEY")) {
        next.run(request).await
    } else {
        No::new(code::UNAUTHORIZED, "unauthorized").into_response()
    }
}

/// Why a request is not answered as its sender wished.
#[derive(Debug)]
enum No {
    /// There is no answer.
    HangUp,
    /// There is this one.
    Problem(Box<Problem>),
}

impl No {
    fn new(code: u32, message: impl Into<String>) -> Self {
        Self::Problem(Box::new(Problem::new(code, message)))
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::HangUp => {
                let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
                response.extensions_mut().insert(HangUp);
                response
            }
            Self::Problem(problem) => {
                let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
                (status, Json(problem)).into_response()
            }
        }
    }
}
