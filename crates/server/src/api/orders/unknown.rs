//! Orders whose outcome is not known: what was tried, and what a named person can do about it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{AccountId, OrderId, Permission, Resource};
use serde::{Deserialize, Serialize};
use trading::{Choice, Unknown};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Order;
use crate::Desk;
use crate::api::AccountDetail;
use crate::api::words::At;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path};
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::SignedIn;

/// Longest evidence that is kept.
const LONGEST_EVIDENCE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(unknown_orders))
        .routes(routes!(resolve_order))
        .routes(routes!(reconcile))
}

/// An order whose outcome is not known, and what was tried to know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnknownOrder {
    order: Order,
    /// Since when it has been looked for.
    since_at: At,
    /// How often the broker was asked for it.
    tries: u32,
    /// How often the broker said that it does not have it, late enough for that to count.
    misses: u32,
    /// What the broker answered last.
    #[schema(required)]
    last_answer: Option<String>,
}

impl UnknownOrder {
    async fn new(desk: &Desk, unknown: Unknown) -> Self {
        Self {
            order: Order::new(desk, &unknown.order).await,
            since_at: At(unknown.since),
            tries: unknown.tries,
            misses: unknown.misses,
            last_answer: unknown.last_answer,
        }
    }
}

/// Orders whose outcome is not known, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnknownOrderList {
    items: Vec<UnknownOrder>,
}

impl UnknownOrderList {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) async fn new(desk: &Desk, unknowns: impl IntoIterator<Item = Unknown>) -> Self {
        let mut items = Vec::new();
        for unknown in unknowns {
            items.push(UnknownOrder::new(desk, unknown).await);
        }
        Self { items }
    }
}

/// Orders whose outcome is not known
///
/// With what was tried. The desk goes on looking for them by itself.
#[utoipa::path(get, path = "/api/v1/orders/unknown", tag = "Orders",
    responses((status = 200, body = UnknownOrderList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn unknown_orders(
    State(desk): State<Desk>,
    who: SignedIn,
) -> Result<axum::Json<UnknownOrderList>, Problem> {
    let ctx = who.context();
    ctx.require(Permission::OrdersView, Resource::Desk)?;
    Ok(axum::Json(UnknownOrderList::new(&desk, desk.gateway.unknowns(ctx)).await))
}

/// What a person decides about an order whose outcome is not known.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "choice", rename_all = "snake_case", deny_unknown_fields)]
enum OrderResolution {
    /// The broker is asked again, now.
    AskAgain {},
    /// The broker does not have it: it ends as expired, and its head-room is free again.
    NotThere {
        /// How you know, 1 to 1000 characters: it goes to the audit log with your name.
        evidence: String,
    },
}

/// Decide about an order whose outcome is not known
///
/// Whatever the broker executes after all is still booked.
#[utoipa::path(post, path = "/api/v1/orders/{id}/resolve", tag = "Orders", request_body = OrderResolution,
    params(("id" = String, Path, description = "The order."), Key),
    responses((status = 200, body = Order), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn resolve_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
    headers: HeaderMap,
    Json(body): Json<OrderResolution, LARGEST_ORDER>,
) -> Result<axum::Json<Order>, Problem> {
    Key::read(&headers)?;
    let choice = match body {
        OrderResolution::AskAgain {} => Choice::AskAgain,
        OrderResolution::NotThere { evidence } => {
            let evidence = evidence.trim().to_owned();
            if evidence.is_empty() || evidence.chars().count() > LONGEST_EVIDENCE {
                let detail = format!("`evidence` has 1 to {LONGEST_EVIDENCE} characters.");
                return Err(Problem::field(Code::FieldInvalid, "evidence", detail));
            }
            Choice::NotThere { evidence }
        }
    };
    let order = desk.gateway.resolve(who.context(), id, choice).await?;
    Ok(axum::Json(Order::new(&desk, &order).await))
}

/// Compare an account with its broker
///
/// Begins now. What differs is adopted and on record; the account's state says when it is done.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/reconcile", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 202, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn reconcile(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<AccountDetail>), Problem> {
    Key::read(&headers)?;
    let ctx = who.context();
    desk.gateway.reconcile(ctx, account).await?;
    let detail = AccountDetail::new(ctx, desk.gateway.account(ctx, account)?);
    let detail = detail.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok((StatusCode::ACCEPTED, axum::Json(detail)))
}
