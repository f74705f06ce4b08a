//! The kill switch: pulled with one call, released with a second factor.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use trading::{Drill, Engaged, Kill, KillError, Pull, Recorded, Switch};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::millis;
use super::names::{NamedScope, Who, scope};
use super::words::At;
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(kill_switches))
        .routes(routes!(pull_kill_switch))
        .routes(routes!(release_kill_switch))
}

/// A kill switch that is engaged: nothing that it covers is accepted or sent.
#[derive(Serialize, ToSchema)]
struct KillSwitch {
    scope: NamedScope,
    reason: String,
    /// Whether positions are closed too.
    flatten: bool,
    /// It is for practice: only paper accounts stop.
    drill: bool,
    engaged_by: Who,
    engaged_at: At,
    /// Whether it is in the database, with its audit row. The desk keeps trying.
    in_database: bool,
    /// Whether it is in the file that needs no free space. The desk keeps trying.
    in_file: bool,
    /// What a drill showed, once it has.
    #[schema(required)]
    drill_result: Option<DrillResult>,
}

/// What a drill showed.
#[derive(Serialize, ToSchema)]
struct DrillResult {
    /// How long after the call an order was accepted last; 0: none was.
    last_accepted_ms: u64,
    /// How long after the call the broker had answered the last cancel.
    cancels_sent_ms: u64,
    /// Orders that were canceled.
    cancels: usize,
    /// Orders that were on their way to the broker at that moment.
    in_flight: usize,
}

impl KillSwitch {
    async fn new(desk: &Desk, kill: &Kill, recorded: Recorded, drill: Option<Drill>) -> Self {
        Self {
            scope: NamedScope::of(desk, &kill.scope).await,
            reason: kill.reason.clone(),
            flatten: kill.flatten,
            drill: kill.drill,
            engaged_by: Who::of(desk, &kill.by).await,
            engaged_at: At(kill.at),
            in_database: recorded.database,
            in_file: recorded.file,
            drill_result: drill.map(|drill| DrillResult {
                last_accepted_ms: millis(drill.last_accepted),
                cancels_sent_ms: millis(drill.cancels_sent),
                cancels: drill.cancels,
                in_flight: drill.in_flight,
            }),
        }
    }
}

/// The kill switches that are engaged.
#[derive(Serialize, ToSchema)]
struct KillSwitchList {
    items: Vec<KillSwitch>,
}

/// The kill switches that are engaged
///
/// Those that concern oneself and what one may see; the desk's first.
#[utoipa::path(get, path = "/api/v1/kill-switches", tag = "Risk",
    responses((status = 200, body = KillSwitchList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn kill_switches(State(desk): State<Desk>, who: SignedIn) -> axum::Json<KillSwitchList> {
    let mut items = Vec::new();
    for Switch { kill, recorded, drill } in desk.gateway.kills(who.context()) {
        items.push(KillSwitch::new(&desk, &kill, recorded, drill).await);
    }
    axum::Json(KillSwitchList { items })
}

/// What is to stop.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KillRequest {
    /// `desk`, `account/ID`, `user/ID`, `key/ID`, `book/ID`, `strategy/NAME`.
    #[schema(example = "desk")]
    scope: String,
    /// Why, 1 to 500 characters: it goes to the audit log with your name.
    reason: String,
    /// Also close positions, with market orders.
    #[serde(default)]
    flatten: bool,
    /// For practice: only paper accounts stop, and it is recorded how fast.
    #[serde(default)]
    drill: bool,
}

/// A kill switch that was pulled.
#[derive(Serialize, ToSchema)]
struct PulledKillSwitch {
    #[serde(flatten)]
    switch: KillSwitch,
    /// It was engaged before.
    was_engaged: bool,
    /// Orders that were on their way to the broker at that moment: they may still arrive, and are canceled when they do.
    in_flight: Vec<String>,
    /// Orders that were asked to be canceled at once.
    cancels: usize,
    /// Orders that are canceled later, because the broker takes no more requests now.
    cancels_later: usize,
    /// After how long the broker had answered all cancels; none: it has not yet.
    #[schema(required)]
    cancels_taken_ms: Option<u64>,
}

/// Pull a kill switch
///
/// From now on nothing that it covers is accepted or sent, and what works is canceled: also when the disk is full or
/// the broker hangs. The answer comes within half a second. For the whole desk and for other people it needs the
/// permission kill.desk; for oneself, one's book and an account granted for trading, kill.engage.
#[utoipa::path(post, path = "/api/v1/kill-switches", tag = "Risk", request_body = KillRequest, params(Key),
    responses((status = 201, body = PulledKillSwitch), (status = 200, body = PulledKillSwitch, description = "Engaged before"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn pull_kill_switch(
    State(desk): State<Desk>,
    who: SignedIn,
    headers: HeaderMap,
    Json(body): Json<KillRequest, LARGEST_ORDER>,
) -> Result<(StatusCode, axum::Json<PulledKillSwitch>), Problem> {
    Key::read(&headers)?;
    let pull = Pull { reason: body.reason, flatten: body.flatten, drill: body.drill };
    let engaged = desk.gateway.engage(who.context(), scope(&body.scope)?, pull).await?;
    let Engaged { kill, was_engaged, in_flight, cancels, cancels_later, cancels_taken, recorded } = engaged;
    let status = if was_engaged { StatusCode::OK } else { StatusCode::CREATED };
    let pulled = PulledKillSwitch {
        switch: KillSwitch::new(&desk, &kill, recorded, None).await,
        was_engaged,
        in_flight: in_flight.iter().map(ToString::to_string).collect(),
        cancels,
        cancels_later,
        cancels_taken_ms: cancels_taken.map(millis),
    };
    Ok((status, axum::Json(pulled)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ReleaseQuery {
    /// As it was pulled: `desk`, `user/ID`, …
    scope: String,
}

/// Release a kill switch
///
/// Needs a second factor of the last 5 minutes; a drill is ended by whoever may begin it.
#[utoipa::path(delete, path = "/api/v1/kill-switches", tag = "Risk", params(ReleaseQuery, Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn release_kill_switch(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<ReleaseQuery>,
) -> Result<StatusCode, Problem> {
    desk.gateway.rearm(who.context(), &scope(&query.scope)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<KillError> for Problem {
    fn from(error: KillError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            KillError::Denied(denied) => denied.into(),
            KillError::StepUp(needed) => needed.into(),
            KillError::NoSuchScope(_) => Self::field(Code::ScopeUnknown, "scope", text),
            KillError::NotEngaged(_) => Self::with(Code::KillSwitchNotEngaged, text),
            KillError::Reason => Self::field(Code::FieldInvalid, "reason", text),
            KillError::DrillOnLive(_) | KillError::DrillOnEngaged(_) => {
                Self::field(Code::DrillRefused, "drill", text)
            }
            KillError::Journal(_) | KillError::File => {
                tracing::error!(%error, "a kill switch cannot be released");
                Self::with(
                    Code::StorageUnavailable,
                    "The switch stays engaged, because its release could not be stored.",
                )
            }
        }
    }
}
