//! What can be done where: the support table of an account's broker, and every reason for a no.

use axum::extract::State;
use domain::{AccountId, OrderClass, OrderKind, Reason, TimeInForce};
use serde::Serialize;
use trading::{Rule, Way};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::millis;
use super::orders::BrokerReason;
use super::words;
use crate::Desk;
use crate::json::Path;
use crate::problem::{Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(venue)).routes(routes!(refusals))
}

/// Who does something that an order may ask for.
#[derive(Serialize, ToSchema)]
struct Support {
    name: &'static str,
    /// `desk`: the broker cannot, the desk does it while it runs and sees the market.
    #[schema(value_type = words::SupportWay)]
    way: &'static str,
    /// Why nobody does.
    #[schema(required)]
    reason: Option<&'static str>,
}

impl Support {
    fn new(name: &'static str, way: Way) -> Self {
        let (way, reason) = match way {
            Way::Broker => ("broker", None),
            Way::Desk => ("desk", None),
            Way::No(reason) => ("no", Some(reason)),
        };
        Self { name, way, reason }
    }
}

/// What an account's broker can do, what the desk does in its place, and what is not to be had.
#[derive(Serialize, ToSchema)]
struct Venue {
    broker: &'static str,
    #[schema(value_type = words::Mode)]
    mode: &'static str,
    types: Vec<Support>,
    times_in_force: Vec<Support>,
    classes: Vec<Support>,
    /// `notional`, `extended_hours`, `replace` and `short`.
    features: Vec<Support>,
    /// Requests that the broker takes in a minute.
    requests_per_minute: u32,
    /// Requests that it takes at once, out of that.
    burst: u32,
    /// How long after a lost answer "no such order" proves nothing.
    settle_window_ms: u64,
}

/// What an account's broker can do
#[utoipa::path(get, path = "/api/v1/accounts/{id}/venue", tag = "Accounts", params(("id" = String, Path, description = "The account.")),
    responses((status = 200, body = Venue), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn venue(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
) -> Result<axum::Json<Venue>, Problem> {
    let profile = desk.gateway.profile(who.context(), account)?;
    let features = [
        ("notional", profile.notional),
        ("extended_hours", profile.extended_hours),
        ("replace", profile.replace),
        ("short", profile.short),
    ];
    Ok(axum::Json(Venue {
        broker: profile.name,
        mode: desk.mode_of(account),
        types: OrderKind::ALL.iter().map(|one| Support::new(one.as_str(), (profile.kinds)(*one))).collect(),
        times_in_force: TimeInForce::ALL
            .iter()
            .map(|one| Support::new(one.as_str(), (profile.times)(*one)))
            .collect(),
        classes: OrderClass::ALL
            .iter()
            .map(|one| Support::new(one.as_str(), (profile.classes)(*one)))
            .collect(),
        features: features.into_iter().map(|(name, way)| Support::new(name, way)).collect(),
        requests_per_minute: profile.requests_per_minute,
        burst: profile.burst,
        settle_window_ms: millis(profile.settle_window),
    }))
}

/// A rule that an order can break.
#[derive(Serialize, ToSchema)]
struct OrderRule {
    /// Also the code of the problem.
    code: &'static str,
    title: &'static str,
    explanation: &'static str,
    /// The kind of limit that it compares with, where it does.
    #[schema(required)]
    limit_kind: Option<&'static str>,
}

/// Every reason for which an order can be refused.
#[derive(Serialize, ToSchema)]
struct Refusals {
    /// By the broker.
    broker_reasons: Vec<BrokerReason>,
    /// By the desk, before it is sent.
    rules: Vec<OrderRule>,
}

/// Why orders are refused
///
/// The fixed lists of reasons: brokers' with a way out, and the desk's rules. The codes never change their meaning.
#[utoipa::path(get, path = "/api/v1/refusals", tag = "Orders",
    responses((status = 200, body = Refusals), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn refusals(_: SignedIn) -> axum::Json<Refusals> {
    let rule = |rule: &Rule| OrderRule {
        code: rule.as_str(),
        title: rule.title(),
        explanation: rule.explanation(),
        limit_kind: rule.limit_kind().map(trading::risk::LimitKind::as_str),
    };
    axum::Json(Refusals {
        broker_reasons: Reason::ALL.iter().copied().map(BrokerReason::from).collect(),
        rules: Rule::ALL.iter().map(rule).collect(),
    })
}
