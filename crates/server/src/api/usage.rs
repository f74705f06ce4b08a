//! What was asked of the API how often and how fast, by whom; and which endpoints there are.

use axum::extract::State;
use axum::http::HeaderMap;
use domain::{KeyId, Permission, Resource, UserId};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::names::Who;
use super::page;
use super::words::{self, At};
use crate::Desk;
use crate::deprecation::{self, DEPRECATED};
use crate::endpoints::{Endpoint as Called, EndpointError, Setting};
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;
use crate::usage::{Caller, Counts, Period, Whose};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(usage)).routes(routes!(endpoints, change_endpoint))
}

/// What was asked of an endpoint, or by a caller.
#[derive(Serialize, ToSchema)]
struct UsageRow {
    /// As `GET /api/v1/orders`; `alpaca/trading` and `alpaca/prices` for programs written for Alpaca. `null` by caller.
    #[schema(required)]
    endpoint: Option<String>,
    /// Whose requests; `null` by endpoint, and of nobody who was signed in.
    #[schema(required)]
    user: Option<Who>,
    /// With which API key; `null` by endpoint, and in a session.
    #[schema(required)]
    key_id: Option<String>,
    requests: u64,
    /// Refused as the request was: 4xx without 429.
    client_errors: u64,
    /// Refused because there were too many: 429.
    limited: u64,
    /// Failed: 5xx.
    server_errors: u64,
    /// Time within which half of the answers came, in milliseconds, estimated from a histogram. A WebSocket counts until it
    /// is open.
    #[schema(required)]
    p50_ms: Option<f64>,
    /// The same of 99 in a hundred.
    #[schema(required)]
    p99_ms: Option<f64>,
    #[schema(required)]
    last_at: Option<At>,
}

impl UsageRow {
    fn new(endpoint: Option<String>, user: Option<Who>, key: String, counts: &Counts) -> Self {
        let rounded = |share| counts.latencies.quantile_ms(share).map(|ms| (ms * 10.0).round() / 10.0);
        Self {
            endpoint,
            user,
            key_id: Some(key).filter(|key| !key.is_empty()),
            requests: counts.requests,
            client_errors: counts.client_errors,
            limited: counts.limited,
            server_errors: counts.server_errors,
            p50_ms: rounded(0.5),
            p99_ms: rounded(0.99),
            last_at: counts.last().map(At),
        }
    }
}

/// A page of usage.
#[derive(Serialize, ToSchema)]
struct UsageList {
    items: Vec<UsageRow>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// How far to look back; a day without.
    #[param(value_type = Option<words::UsagePeriod>)]
    period: Option<Period>,
    /// What a row is of: an endpoint, or a caller.
    #[param(value_type = Option<words::UsageBy>)]
    by: Option<By>,
    /// Only requests of this person, `all`: of everybody. Of others it needs system.view; without it one's own.
    user: Option<String>,
    /// Only requests with this API key.
    key: Option<String>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    Endpoint,
    Caller,
}

/// Usage of the API
///
/// By name. Of one's own sessions and keys; of everybody's for those who may see the system.
#[utoipa::path(get, path = "/api/v1/usage", tag = "Interface", params(UsageQuery),
    responses((status = 200, body = UsageList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn usage(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<UsageQuery>,
) -> Result<axum::Json<UsageList>, Problem> {
    let limit = page::limit(query.limit)?;
    let whose = whose(&who, query.user.as_deref(), query.key.as_deref())?;
    let (now, period) = (who.context().at, query.period.unwrap_or(Period::Day));
    let mut items = Vec::new();
    let next_cursor = match query.by.unwrap_or_default() {
        By::Endpoint => {
            let after: Option<String> = page::start("usage", query.cursor.as_deref())?;
            let mut rows = desk.usage.by_endpoint(&desk.db, now, period, &whose).await?;
            rows.retain(|(endpoint, _)| after.as_ref().is_none_or(|after| after < endpoint));
            let next = page::cut(&mut rows, limit, "usage", |(endpoint, _)| endpoint.clone());
            let row = |(endpoint, counts): (String, Counts)| {
                UsageRow::new(Some(endpoint), None, String::new(), &counts)
            };
            items.extend(rows.into_iter().map(row));
            next
        }
        By::Caller => {
            let after: Option<(String, String)> = page::start("callers", query.cursor.as_deref())?;
            let mut rows = desk.usage.by_caller(&desk.db, now, period, &whose).await?;
            let place = |caller: &Caller| (caller.user.clone(), caller.key.clone());
            rows.retain(|(caller, _)| after.as_ref().is_none_or(|after| *after < place(caller)));
            let next = page::cut(&mut rows, limit, "callers", |(caller, _)| place(caller));
            for (caller, counts) in rows {
                let user = match caller.user.as_str() {
                    "" => None,
                    id => Some(Who::of(&desk, id).await),
                };
                items.push(UsageRow::new(None, user, caller.key, &counts));
            }
            next
        }
    };
    Ok(axum::Json(UsageList { items, next_cursor }))
}

/// Whose requests somebody gets to see.
fn whose(who: &SignedIn, user: Option<&str>, key: Option<&str>) -> Result<Whose, Problem> {
    let ctx = who.context();
    let invalid = |field, said: &'static str| move || Problem::field(Code::FieldInvalid, field, said);
    let key = key.map(|key| key.parse::<KeyId>().map_err(|_| invalid("key", "It is an API key's id.")()));
    let key = key.transpose()?.map(|key| key.to_string());
    let own = ctx.user_id();
    let user = match user {
        None => own,
        Some("all") => None,
        Some(id) => {
            let id = id.parse::<UserId>();
            Some(id.map_err(|_| invalid("user", "It is a person's id, or `all`.")())?)
        }
    };
    if user.is_none() || user != own {
        ctx.require(Permission::SystemView, Resource::Desk)?;
    }
    // A program sees what it did itself.
    let key = key.or_else(|| ctx.key_id().map(|key| key.to_string()));
    Ok(Whose { user: user.map(|user| user.to_string()), key })
}

/// A part of the API that can be called.
#[derive(Serialize, ToSchema)]
struct Endpoint {
    /// As `GET /api/v1/orders`; `alpaca/trading` and `alpaca/prices` are the halves of the desk in Alpaca's words.
    id: String,
    /// Who may call it, in words.
    needs: String,
    /// It always answers: it cannot be switched off or limited.
    essential: bool,
    on: bool,
    /// Most requests a minute of everybody together; `null`: no budget of its own.
    #[schema(required)]
    per_minute: Option<u32>,
    /// Why it was changed.
    #[schema(required)]
    reason: Option<String>,
    #[schema(required)]
    changed_by: Option<Who>,
    #[schema(required)]
    changed_at: Option<At>,
    /// It will not be there for ever: what to use in its place.
    #[schema(required)]
    deprecation: Option<String>,
}

impl Endpoint {
    async fn new(desk: &Desk, called: Called, id: String, setting: Option<Setting>) -> Self {
        let changed_by = match setting.as_ref() {
            Some(setting) => Some(Who::of(desk, &setting.changed_by).await),
            None => None,
        };
        let needs = called.rule.map_or_else(|| "an API key".to_owned(), |rule| rule.needs.words());
        let old = called.rule.and_then(|rule| deprecation::of(DEPRECATED, rule.method, rule.path));
        Self {
            id,
            needs,
            essential: called.is_essential(),
            on: setting.as_ref().is_none_or(|setting| setting.is_on),
            per_minute: setting.as_ref().and_then(|setting| setting.per_minute).map(NonZeroU32::get),
            changed_at: setting.as_ref().map(|setting| At(setting.changed_at)),
            reason: setting.map(|setting| setting.reason),
            changed_by,
            deprecation: old.map(|old| old.link.to_owned()),
        }
    }
}

/// All endpoints: as many as the program has.
#[derive(Serialize, ToSchema)]
struct EndpointList {
    items: Vec<Endpoint>,
}

/// The endpoints of the API
///
/// Whether each is switched on, and with which budget.
#[utoipa::path(get, path = "/api/v1/endpoints", tag = "Interface",
    responses((status = 200, body = EndpointList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn endpoints(State(desk): State<Desk>, who: SignedIn) -> Result<axum::Json<EndpointList>, Problem> {
    let mut items = Vec::new();
    for (called, id, setting) in desk.endpoints.list(&desk.db, who.context()).await? {
        items.push(Endpoint::new(&desk, called, id, setting).await);
    }
    Ok(axum::Json(EndpointList { items }))
}

/// How an endpoint is to be from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointChange {
    /// As it is listed.
    #[schema(example = "GET /api/v1/market/bars")]
    id: String,
    on: bool,
    /// Most requests a minute of everybody together; `null`: no budget of its own.
    #[schema(value_type = Option<u32>, minimum = 1)]
    per_minute: Option<NonZeroU32>,
    /// Why, 1 to 500 characters: it goes to the audit log with your name.
    reason: String,
}

/// Switch an endpoint off or on, or limit it
///
/// For everybody, at once, until it is changed again. Refused are those without which nobody could stop the desk, sign in,
/// or switch it on again. Needs a second factor shown within the last 5 minutes. Repeating it changes nothing more.
#[utoipa::path(put, path = "/api/v1/endpoints", tag = "Interface", request_body = EndpointChange, params(Key),
    responses((status = 200, body = Endpoint), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn change_endpoint(
    State(desk): State<Desk>,
    who: SignedIn,
    headers: HeaderMap,
    Json(body): Json<EndpointChange, LARGEST_ORDER>,
) -> Result<axum::Json<Endpoint>, Problem> {
    Key::read(&headers)?;
    let ctx = who.context();
    let change = (body.on, body.per_minute, body.reason);
    desk.endpoints.change(&desk.db, ctx, &body.id, change).await?;
    let found = desk.endpoints.list(&desk.db, ctx).await?.into_iter().find(|(_, id, _)| *id == body.id);
    let (called, id, setting) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(axum::Json(Endpoint::new(&desk, called, id, setting).await))
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            EndpointError::Denied(denied) => denied.into(),
            EndpointError::StepUp(needed) => needed.into(),
            EndpointError::NotFound => Self::field(Code::NotFound, "id", text),
            EndpointError::Essential => Self::field(Code::EndpointEssential, "id", text),
            EndpointError::Reason => Self::field(Code::FieldInvalid, "reason", text),
            EndpointError::Storage(error) => error.into(),
        }
    }
}
