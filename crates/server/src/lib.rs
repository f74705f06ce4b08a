//! The desk over HTTP: REST, the live stream, and pages.
//!
//! A request passes the [`guard`] (id, headers, foreign origins) and the [`gate`] (budgets, endpoints that are switched off,
//! writes that were done before), becomes a [`session::SignedIn`] (by cookie or API key, [`credentials`]) or is refused, is
//! read strictly ([`json`]), and ends in one call of a lower crate with the caller's `Context`, where permission is
//! asked. The answer is a type of [`api`], or a [`problem::Problem`]. What changes on the desk goes out live
//! through [`stream`]. Programs written for Alpaca find the same desk in their own words under [`alpaca`].
//!
//! What this crate never does: decide who may do what, hold a rule of trading, or let a field out that is not
//! written in a response type. It knows no connector and no vendor.

mod cors;
mod guard;
pub mod problem;
mod settings;

mod chores;
mod endpoints;
mod gate;
mod rates;
mod usage;

mod credentials;
mod jose;
mod json;
mod session;

pub mod access;
mod api;
mod deprecation;
mod idempotency;
mod names;

mod stream;

mod alpaca;

mod docs;
mod pages;
mod single_page;

use std::ops::Deref;
use std::sync::Arc;

use audit::Anchors;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use domain::{AccountId, AuditEntry, Clock};
use governor::clock::DefaultClock;
use identity::Identity;
use market::Market;
use storage::{Database, StorageError};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use trading::Gateway;
use vault::PublicKey;
use webhooks::Webhooks;

pub use settings::{Budgets, InvalidOrigin, PerMinute, Settings};

/// What the server serves.
pub struct Parts {
    /// The one door for orders.
    pub gateway: Gateway,
    /// Prices.
    pub market: Market,
    /// People and sessions.
    pub identity: Identity,
    /// Addresses that are told what happens.
    pub webhooks: Webhooks,
    /// Where refusals are recorded and the audit log is read.
    pub db: Database,
    /// What the audit log's signatures are checked with.
    pub audit_key: PublicKey,
    /// The audit log's anchors outside of the database.
    pub anchors: Anchors,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the desk is found, as `https://localhost:8443`: links are made with it, never with what a request says.
    pub public_url: String,
    /// What was set about the API.
    pub settings: Settings,
    /// Ends the streams.
    pub stop: CancellationToken,
}

/// The desk as handlers see it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

pub(crate) struct Inner {
    gateway: Gateway,
    market: Market,
    identity: Identity,
    webhooks: Webhooks,
    db: Database,
    audit_key: PublicKey,
    anchors: Anchors,
    clock: Arc<dyn Clock>,
    public_url: Arc<str>,
    settings: Settings,
    stop: CancellationToken,
    names: names::Names,
    hub: stream::Hub,
    connections: stream::connection::Connections,
    rates: rates::Rates,
    endpoints: endpoints::Endpoints,
    usage: usage::Usage,
}

impl Deref for Desk {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Desk {
    fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            gateway: parts.gateway,
            market: parts.market,
            identity: parts.identity,
            webhooks: parts.webhooks,
            db: parts.db,
            audit_key: parts.audit_key,
            anchors: parts.anchors,
            clock: parts.clock,
            public_url: parts.public_url.into(),
            rates: rates::Rates::new(&parts.settings.per_minute, &DefaultClock::default()),
            endpoints: endpoints::Endpoints::default(),
            usage: usage::Usage::default(),
            settings: parts.settings,
            stop: parts.stop,
            names: names::Names::default(),
            hub: stream::Hub::new(),
            connections: stream::connection::Connections::default(),
        }))
    }

    /// Whether an account's money is real. Of an account that is not there: better to say yes.
    fn mode_of(&self, account: AccountId) -> &'static str {
        self.gateway.mode_of(account).map_or("live", |mode| mode.as_str())
    }

    /// Writes an act to the audit log that has no transaction of its own.
    async fn record(&self, entry: AuditEntry) -> Result<(), StorageError> {
        self.db
            .write(|tx| {
                tx.record(entry);
                Box::pin(async { Ok(()) })
            })
            .await
    }
}

/// Everything that is served. Also starts what feeds the stream, which ends with `parts.stop`.
///
/// The connection's address is expected as `ConnectInfo<SocketAddr>`.
pub fn app(parts: Parts) -> Router {
    let desk = Desk::new(parts);
    stream::start(&desk);
    chores::start(&desk);

    let (api, _) = api::routes().split_for_parts();
    let (open, _) = api::open_routes().split_for_parts();
    let owned = api
        .route("/api/v1/stream", get(stream::connection::open))
        .merge(docs::routes())
        .route_layer(from_fn_with_state(desk.clone(), session::require_owner));
    let gate = from_fn_with_state(desk.clone(), gate::pass);
    let listed = owned.merge(open).route_layer(gate.clone()).route_layer(from_fn(access::refuse_unlisted));
    let alpaca = alpaca::routes().route_layer(from_fn_with_state(desk.clone(), session::require_owner));
    let alpaca = alpaca.route_layer(gate);
    // Pages with forms are not compressed: their length would tell of the token beside what a stranger typed.
    let compressed = listed.merge(alpaca).fallback(single_page::serve).layer(CompressionLayer::new());
    compressed
        .merge(pages::routes())
        .layer(from_fn_with_state(desk.clone(), session::note_denied))
        .layer(from_fn_with_state(desk.clone(), guard::refuse_foreign))
        .layer(from_fn_with_state(desk.clone(), guard::finish))
        .with_state(desk)
}

/// The OpenAPI 3.1 document, as made from the handlers: JSON in lines, ending in one.
pub fn openapi() -> String {
    let mut text = document().to_pretty_json().expect("the document is JSON");
    text.push('\n');
    text
}

fn document() -> utoipa::openapi::OpenApi {
    let mut document = api::routes().merge(api::open_routes()).into_openapi();
    deprecation::mark(&mut document, deprecation::DEPRECATED);
    document
}
