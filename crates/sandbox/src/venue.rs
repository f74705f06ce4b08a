//! The paper venue on a port: its REST and its stream, for a desk in another process.
//!
//! The protocol is described in `docs/paper-venue.md`; its shapes are [`connectors::paper::wire`]. A request that the
//! venue leaves without an answer, because it plays dead or loses it, ends with the connection closed and not a byte
//! said: as it would be if the venue had died.

mod api;
pub(crate) mod connection;
mod drills;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use connectors::paper::wire::Problem;
use domain::{AccountId, Clock, Money, Reason};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trading::{Broker, PaperVenue};

/// How the venue listens.
#[derive(Clone)]
pub struct VenueSettings {
    /// Where. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The desk's key. Whoever has it trades on every account of the venue.
    pub desk_key: String,
    /// The key for drills. Another one: a desk cannot make its own venue lie.
    pub drill_key: String,
    /// What an account begins with, when the desk first names it.
    pub opening_cash: Money,
    /// How long a stream is silent at most.
    pub heartbeat: Duration,
    /// Connections at a time.
    pub max_connections: usize,
}

impl VenueSettings {
    /// A free port of this machine.
    pub fn loopback(desk_key: impl Into<String>, drill_key: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            desk_key: desk_key.into(),
            drill_key: drill_key.into(),
            opening_cash: Money(100_000.into()),
            heartbeat: Duration::from_secs(1),
            max_connections: 256,
        }
    }
}

/// A venue that listens.
pub struct VenueServer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl VenueServer {
    /// Listens, and serves `venue` until `stop`.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start(
        venue: PaperVenue,
        settings: VenueSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let most = settings.max_connections;
        let shared =
            Arc::new(Shared { venue, settings, clock, stop: stop.clone(), accounts: Mutex::default() });
        let serving = tokio::spawn(connection::accept(listener, app(shared), most, stop));
        Ok(Self { address, serving })
    }

    /// Where desks connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same, for a proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end, after `stop`.
    pub async fn closed(self) {
        let _ = self.serving.await;
    }
}

/// What all requests see.
struct Shared {
    venue: PaperVenue,
    settings: VenueSettings,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    /// Accounts that are certainly open.
    accounts: Mutex<BTreeSet<AccountId>>,
}

impl Shared {
    /// An account, opened when it is new.
    async fn broker(&self, account: AccountId) -> Result<Arc<dyn Broker>, No> {
        let is_open = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).contains(&account);
        if !is_open {
            let opened = self.venue.open_account(account, self.settings.opening_cash).await;
            // Nothing happened, but why should a venue say so whose disk is broken?
            opened.map_err(|_| No::HangUp)?;
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        }
        Ok(self.venue.broker(account))
    }
}

fn app(shared: Arc<Shared>) -> Router {
    let desk = api::routes().merge(stream::routes()).layer(from_fn_with_state(shared.clone(), desks_only));
    let drills = drills::routes().layer(from_fn_with_state(shared.clone(), drills_only));
    let nowhere = || async { No::problem(StatusCode::NOT_FOUND, INVALID, "there is no such address here") };
    Router::new().merge(desk).merge(drills).fallback(nowhere).with_state(shared)
}

async fn desks_only(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    with_key(&shared.settings.desk_key, request, next).await
}

async fn drills_only(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    with_key(&shared.settings.drill_key, request, next).await
}

async fn with_key(key: &str, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_right: bool = given.as_bytes().ct_eq(key.as_bytes()).into();
    if !is_right || key.is_empty() {
        let text = "this key does not open this";
        return No::problem(StatusCode::UNAUTHORIZED, Reason::Unauthorized.as_str(), text).into_response();
    }
    next.run(request).await
}

/// The code of a request that makes no sense.
const INVALID: &str = "invalid";
/// Most bytes of a request's body.
const LARGEST_BODY: usize = 64 << 10;
/// A client has this long to send it.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Reads a request's body.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, No> {
    let invalid = |status, text: &str| No::problem(status, INVALID, text);
    let bytes = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, LARGEST_BODY)).await;
    let bytes = bytes
        .map_err(|_| invalid(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time"))?
        .map_err(|_| invalid(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large, or was cut off"))?;
    serde_json::from_slice(&bytes).map_err(|error| invalid(StatusCode::BAD_REQUEST, &error.to_string()))
}

/// Why a request is not answered as its sender wished.
#[derive(Debug)]
enum No {
    /// There is no answer.
    HangUp,
    /// There is this one.
    Problem(StatusCode, Problem),
}

impl No {
    fn problem(status: StatusCode, code: &str, message: &str) -> Self {
        Self::Problem(status, Problem { code: code.to_owned(), message: message.to_owned() })
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::HangUp => {
                let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
                response.extensions_mut().insert(connection::HangUp);
                response
            }
            Self::Problem(status, problem) => (status, Json(problem)).into_response(),
        }
    }
}
