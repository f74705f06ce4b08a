//! Risk limits: those in force with what is used of them, set, and taken away.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use trading::risk::LimitKind;
use trading::{LimitChange, LimitError, LimitInForce};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::names::{NamedScope, Who, scope};
use super::orders::number;
use super::page;
use super::words::{At, Decimal};
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

/// Who set what the configuration says.
const CONFIGURATION: &str = "configuration";

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(limits))
        .routes(routes!(set_limit))
        .routes(routes!(remove_limit))
        .routes(routes!(reset_drawdown))
}

/// A risk limit, and how much of it is used.
#[derive(Serialize, ToSchema)]
struct RiskLimit {
    scope: NamedScope,
    kind: &'static str,
    title: &'static str,
    explanation: &'static str,
    /// What it says, as it is written in a request.
    value: String,
    /// The symbol of which most is used, where the limit is for each symbol.
    #[schema(required)]
    symbol: Option<String>,
    /// What is used of it now; none where the limit is on single orders.
    #[schema(required)]
    used: Option<Decimal>,
    /// The same as a share of the limit; above 1 when it is exceeded.
    #[schema(required)]
    fraction: Option<f64>,
    set_by: Who,
    set_at: At,
    /// Set in the configuration: nobody can loosen it here, only set a stricter one beside it.
    fixed: bool,
}

impl RiskLimit {
    async fn new(desk: &Desk, one: LimitInForce) -> Self {
        let limit = &one.limit;
        Self {
            scope: NamedScope::of(desk, &limit.scope).await,
            kind: limit.kind.as_str(),
            title: limit.kind.title(),
            explanation: limit.kind.explanation(),
            value: limit.value.to_string(),
            symbol: one.symbol.map(|symbol| symbol.to_string()),
            used: one.used.map(Decimal::from),
            fraction: one.fraction,
            set_by: Who::of(desk, &limit.set_by).await,
            set_at: At(limit.set_at),
            fixed: &*limit.set_by == CONFIGURATION,
        }
    }
}

/// A kind of limit that can be set.
#[derive(Serialize, ToSchema)]
struct RiskLimitKind {
    kind: &'static str,
    title: &'static str,
    explanation: &'static str,
    /// What its value may look like.
    allowed: String,
}

/// The limits in force, and the kinds that there are.
#[derive(Serialize, ToSchema)]
struct RiskLimitList {
    items: Vec<RiskLimit>,
    kinds: Vec<RiskLimitKind>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct LimitsQuery {
    /// Only those set on this: `desk`, `account/ID`, `user/ID`, …
    scope: Option<String>,
    /// At most so many, 1 to 1000; 1000 without.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Risk limits
///
/// Of the desk, oneself, and what one may see; all of them for those who manage limits. Of all limits that an order
/// comes under the strictest counts.
#[utoipa::path(get, path = "/api/v1/limits", tag = "Risk", params(LimitsQuery),
    responses((status = 200, body = RiskLimitList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn limits(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<LimitsQuery>,
) -> Result<axum::Json<RiskLimitList>, Problem> {
    let wanted = query.scope.as_deref().map(scope).transpose()?;
    let mut limits = desk.gateway.limits(who.context());
    limits.retain(|one| wanted.as_ref().is_none_or(|wanted| *wanted == one.limit.scope));
    let place = |one: &LimitInForce| {
        (one.limit.scope.to_string(), one.limit.kind.as_str().to_owned(), one.limit.value.to_string())
    };
    let (limits, next_cursor) = page::part(limits, query.limit, query.cursor.as_deref(), "limits", place)?;
    let mut items = Vec::with_capacity(limits.len());
    for one in limits {
        items.push(RiskLimit::new(&desk, one).await);
    }
    let kind = |kind: &LimitKind| RiskLimitKind {
        kind: kind.as_str(),
        title: kind.title(),
        explanation: kind.explanation(),
        allowed: kind.allowed(),
    };
    Ok(axum::Json(RiskLimitList { items, kinds: LimitKind::ALL.iter().map(kind).collect(), next_cursor }))
}

/// What became of a change.
#[derive(Serialize, ToSchema)]
struct RiskLimitChange {
    /// Whether it is in force.
    done: bool,
    /// What it said before.
    #[schema(required)]
    before: Option<String>,
    /// What it says now.
    #[schema(required)]
    after: Option<String>,
    /// A second person has to agree to this first.
    #[schema(required)]
    approval_id: Option<String>,
}

impl RiskLimitChange {
    fn answer(change: LimitChange) -> (StatusCode, axum::Json<Self>) {
        match change {
            LimitChange::Done { before, after } => {
                let done = Self {
                    done: true,
                    before: before.map(|limit| limit.value.to_string()),
                    after: after.map(|limit| limit.value.to_string()),
                    approval_id: None,
                };
                (StatusCode::OK, axum::Json(done))
            }
            LimitChange::AwaitsApproval { id } => {
                let waits =
                    Self { done: false, before: None, after: None, approval_id: Some(id.to_string()) };
                (StatusCode::ACCEPTED, axum::Json(waits))
            }
        }
    }
}

/// A limit to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RiskLimitRequest {
    /// `desk`, `account/ID`, `user/ID`, `key/ID`, `book/ID`, `strategy/NAME`.
    scope: String,
    /// One of those that `GET /api/v1/limits` lists.
    kind: String,
    /// As the kind allows.
    value: String,
}

/// Set a risk limit
///
/// One that lets more through than before needs a second factor of the last 5 minutes, and where the desk is so
/// configured a second person: then the answer is 202.
#[utoipa::path(put, path = "/api/v1/limits", tag = "Risk", request_body = RiskLimitRequest,
    params(Key),
    responses((status = 200, body = RiskLimitChange), (status = 202, body = RiskLimitChange, description = "Waits for a second person"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn set_limit(
    State(desk): State<Desk>,
    who: SignedIn,
    Json(body): Json<RiskLimitRequest, LARGEST_ORDER>,
) -> Result<(StatusCode, axum::Json<RiskLimitChange>), Problem> {
    let (scope, kind) = (scope(&body.scope)?, number::<LimitKind>(&body.kind, "kind")?);
    let change = desk.gateway.set_limit(who.context(), scope, kind, &body.value).await?;
    Ok(RiskLimitChange::answer(change))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct RemoveQuery {
    /// What it is set on.
    scope: String,
    /// Its kind.
    kind: String,
}

/// Take a risk limit away
///
/// Needs a second factor of the last 5 minutes, and where the desk is so configured a second person.
#[utoipa::path(delete, path = "/api/v1/limits", tag = "Risk", params(RemoveQuery, Key),
    responses((status = 200, body = RiskLimitChange), (status = 202, body = RiskLimitChange, description = "Waits for a second person"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove_limit(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<RemoveQuery>,
) -> Result<(StatusCode, axum::Json<RiskLimitChange>), Problem> {
    let (scope, kind) = (scope(&query.scope)?, number::<LimitKind>(&query.kind, "kind")?);
    let change = desk.gateway.remove_limit(who.context(), &scope, kind).await?;
    Ok(RiskLimitChange::answer(change))
}

/// What a drawdown stop is lifted from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DrawdownReset {
    /// `desk`, `account/ID`, `user/ID`, `key/ID`, `book/ID`, `strategy/NAME`.
    scope: String,
}

/// Lift a drawdown stop
///
/// The drawdown begins again from the profit of now. Needs a second factor of the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/limits/drawdown-reset", tag = "Risk", request_body = DrawdownReset,
    params(Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn reset_drawdown(
    State(desk): State<Desk>,
    who: SignedIn,
    Json(body): Json<DrawdownReset, LARGEST_ORDER>,
) -> Result<StatusCode, Problem> {
    desk.gateway.reset_drawdown(who.context(), &scope(&body.scope)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<LimitError> for Problem {
    fn from(error: LimitError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            LimitError::Denied(denied) => denied.into(),
            LimitError::StepUp(needed) => needed.into(),
            LimitError::Invalid(_) => Self::field(Code::FieldInvalid, "value", text),
            LimitError::NoSuchScope(_) => Self::field(Code::ScopeUnknown, "scope", text),
            LimitError::NotSet { .. } => Self::with(Code::LimitNotSet, text),
            LimitError::Configured { .. } => Self::with(Code::LimitFixed, text),
            LimitError::Journal(error) => error.into(),
        }
    }
}
