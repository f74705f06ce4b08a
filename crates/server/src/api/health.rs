//! Whether the desk runs, for whoever watches over it. Says nothing that is worth knowing to a stranger.

use axum::extract::State;
use axum::http::StatusCode;
use domain::{Permission, Resource};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Desk;
use crate::problem::Problem;
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// The desk runs.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
}

/// Does it run?
#[utoipa::path(get, path = "/api/health", tag = "Health", security(()), responses((status = 200, body = Health)))]
async fn health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// Whether the desk can do its work.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ok` or `degraded`.
    status: &'static str,
    checks: Vec<ReadyCheck>,
}

/// One thing the desk needs.
#[derive(Serialize, ToSchema)]
struct ReadyCheck {
    name: &'static str,
    ok: bool,
    /// What is wrong; only for those who may see the health of the desk in detail.
    #[schema(required)]
    detail: Option<String>,
}

/// Can it work?
///
/// 503 when something that it needs is missing. Details are for those who may see them.
#[utoipa::path(get, path = "/api/ready", tag = "Health", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready, description = "Something is missing")))]
async fn ready(State(desk): State<Desk>, who: Result<SignedIn, Problem>) -> (StatusCode, axum::Json<Ready>) {
    let database = match desk.db.read().await {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    let feeds: Vec<_> = desk.market.feeds();
    let silent: Vec<_> = feeds
        .iter()
        .filter(|feed| feed.state != market::FeedState::Live)
        .map(|feed| format!("{} is {}", feed.name, feed.state.as_str()))
        .collect();
    let blind: Vec<_> =
        desk.gateway.blind().into_iter().map(|(name, blind)| format!("{name}: {}", blind.reason)).collect();
    let listed = |faults: Vec<String>| (!faults.is_empty()).then(|| faults.join("; "));
    let details = who.is_ok_and(|who| who.context().require(Permission::SystemView, Resource::Desk).is_ok());
    let checks: Vec<_> = [("database", database), ("feeds", listed(silent)), ("accounts", listed(blind))]
        .into_iter()
        .map(|(name, fault)| ReadyCheck { name, ok: fault.is_none(), detail: fault.filter(|_| details) })
        .collect();
    let ok = checks.iter().all(|check| check.ok);
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Ready { status: if ok { "ok" } else { "degraded" }, checks }))
}
