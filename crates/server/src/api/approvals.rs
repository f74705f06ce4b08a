//! What one person asks for and another has to agree to.

use axum::extract::State;
use domain::{OrderClass, OrderKind, Side, Size, TimeInForce, Timestamp};
use serde::{Deserialize, Serialize};
use trading::{Approval, ApprovalError, ApprovalId, ApprovalStatus, Asked};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::names::{NamedScope, Who};
use super::orders::{StopLoss, TakeProfit, trail_of};
use super::page;
use super::words::{self, At, Decimal};
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(approvals))
        .routes(routes!(approval))
        .routes(routes!(approve))
        .routes(routes!(refuse))
        .routes(routes!(withdraw))
}

/// Something that one person asks for and another has to agree to: an order, or a change of a limit.
#[derive(Serialize, ToSchema)]
#[schema(as = Approval)]
struct ApprovalRequest {
    id: String,
    #[schema(value_type = words::ApprovalStatus)]
    status: &'static str,
    /// To place this order.
    #[schema(required)]
    order: Option<AskedOrder>,
    /// To change this limit.
    #[schema(required)]
    limit: Option<AskedLimit>,
    /// Why it needs a second person.
    why: String,
    asked_by: Who,
    asked_at: At,
    /// When it is over if nobody has decided.
    expires_at: At,
    #[schema(required)]
    decided_by: Option<Who>,
    #[schema(required)]
    decided_at: Option<At>,
    /// What they said to it.
    #[schema(required)]
    note: Option<String>,
    /// What came of it once it was approved.
    #[schema(required)]
    result: Option<String>,
    /// The order that came of it.
    #[schema(required)]
    order_id: Option<String>,
}

/// An order that somebody wants to place.
#[derive(Serialize, ToSchema)]
struct AskedOrder {
    account_id: String,
    #[schema(value_type = words::Mode)]
    mode: &'static str,
    request: WishedOrder,
}

/// What is wished for: as in the request for an order.
#[derive(Serialize, ToSchema)]
struct WishedOrder {
    client_order_id: String,
    symbol: String,
    #[schema(value_type = words::Side)]
    side: Side,
    #[schema(value_type = words::OrderType)]
    r#type: OrderKind,
    #[schema(value_type = words::TimeInForce)]
    time_in_force: TimeInForce,
    #[schema(required)]
    quantity: Option<Decimal>,
    #[schema(required)]
    notional: Option<Decimal>,
    #[schema(required)]
    limit_price: Option<Decimal>,
    #[schema(required)]
    stop_price: Option<Decimal>,
    #[schema(required)]
    trail_price: Option<Decimal>,
    #[schema(required)]
    trail_percent: Option<Decimal>,
    extended_hours: bool,
    #[schema(value_type = words::OrderClass)]
    class: OrderClass,
    #[schema(required)]
    take_profit: Option<TakeProfit>,
    #[schema(required)]
    stop_loss: Option<StopLoss>,
    #[schema(required)]
    book_id: Option<String>,
    #[schema(required)]
    strategy: Option<String>,
}

impl From<domain::OrderRequest> for WishedOrder {
    fn from(request: domain::OrderRequest) -> Self {
        let (quantity, notional) = match request.size {
            Size::Quantity(quantity) => (Some(quantity.into()), None),
            Size::Notional(notional) => (None, Some(notional.into())),
        };
        let (trail_price, trail_percent) = trail_of(&request);
        Self {
            client_order_id: request.client_order_id,
            symbol: request.symbol.to_string(),
            side: request.side,
            r#type: request.kind,
            time_in_force: request.time_in_force,
            quantity,
            notional,
            limit_price: request.limit_price.map(Decimal::from),
            stop_price: request.stop_price.map(Decimal::from),
            trail_price,
            trail_percent,
            extended_hours: request.extended_hours,
            class: request.class,
            take_profit: request.take_profit.map(TakeProfit::from),
            stop_loss: request.stop_loss.map(StopLoss::from),
            book_id: request.book.map(|book| book.to_string()),
            strategy: request.strategy,
        }
    }
}

/// A limit that somebody wants to change.
#[derive(Serialize, ToSchema)]
struct AskedLimit {
    scope: NamedScope,
    kind: &'static str,
    title: &'static str,
    /// What it says; none: there is none.
    #[schema(required)]
    before: Option<String>,
    /// What it is to say; none: it is to be taken away.
    #[schema(required)]
    after: Option<String>,
}

impl ApprovalRequest {
    async fn new(desk: &Desk, approval: Approval) -> Self {
        let order_id = approval.order().map(|id| id.to_string());
        let (order, limit) = match approval.what {
            Asked::Order { account, request } => {
                let (account_id, mode) = (account.to_string(), desk.mode_of(account));
                (Some(AskedOrder { account_id, mode, request: (*request).into() }), None)
            }
            Asked::Limit { scope, kind, before, after } => {
                let scope = NamedScope::of(desk, &scope).await;
                (None, Some(AskedLimit { scope, kind: kind.as_str(), title: kind.title(), before, after }))
            }
        };
        Self {
            id: approval.id.to_string(),
            status: approval.status.as_str(),
            order,
            limit,
            why: sentence(&approval.why),
            asked_by: Who::of(desk, &approval.asked_by).await,
            asked_at: At(approval.asked_at),
            expires_at: At(approval.expires_at),
            decided_by: match &approval.decided_by {
                Some(id) => Some(Who::of(desk, id).await),
                None => None,
            },
            decided_at: approval.decided_at.map(At),
            note: approval.note,
            result: approval.result,
            order_id,
        }
    }
}

/// Approvals, newest first.
#[derive(Serialize, ToSchema)]
struct ApprovalList {
    items: Vec<ApprovalRequest>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ApprovalsQuery {
    /// Only those that stand there.
    #[param(value_type = Option<words::ApprovalStatus>)]
    status: Option<String>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Approvals
///
/// Newest first: what one asked for, and what concerns accounts that one may see.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "Risk", params(ApprovalsQuery),
    responses((status = 200, body = ApprovalList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn approvals(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<ApprovalsQuery>,
) -> Result<axum::Json<ApprovalList>, Problem> {
    let limit = page::limit(query.limit)?;
    let status = super::orders::maybe::<ApprovalStatus>(query.status.as_deref(), "status")?;
    let before: Option<(Timestamp, ApprovalId)> = page::start("approvals", query.cursor.as_deref())?;
    let mut found = desk.gateway.approvals(who.context(), status, before, limit as usize + 1).await?;
    let next_cursor = page::cut(&mut found, limit, "approvals", |one| (one.asked_at, one.id));
    let mut items = Vec::with_capacity(found.len());
    for approval in found {
        items.push(ApprovalRequest::new(&desk, approval).await);
    }
    Ok(axum::Json(ApprovalList { items, next_cursor }))
}

/// An approval
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "Risk", params(("id" = String, Path, description = "The approval.")),
    responses((status = 200, body = ApprovalRequest), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn approval(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<ApprovalId>,
) -> Result<axum::Json<ApprovalRequest>, Problem> {
    let found = desk.gateway.approval(who.context(), id).await?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(axum::Json(ApprovalRequest::new(&desk, found).await))
}

/// What is said to a decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApprovalNote {
    /// At most 500 characters.
    #[serde(default)]
    note: String,
}

/// Approve, as a second person
///
/// What was asked for is done at once; what came of it is in `result`. An order may be refused after all, because
/// matters stand otherwise by now. For a limit it needs a second factor of the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "Risk", request_body = ApprovalNote,
    params(("id" = String, Path, description = "The approval."), Key),
    responses((status = 200, body = ApprovalRequest), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn approve(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<ApprovalId>,
    Json(body): Json<ApprovalNote, LARGEST_ORDER>,
) -> Result<axum::Json<ApprovalRequest>, Problem> {
    let decided = desk.gateway.approve(who.context(), id, &body.note).await?;
    Ok(axum::Json(ApprovalRequest::new(&desk, decided).await))
}

/// Refuse, as a second person
#[utoipa::path(post, path = "/api/v1/approvals/{id}/refuse", tag = "Risk", request_body = ApprovalNote,
    params(("id" = String, Path, description = "The approval."), Key),
    responses((status = 200, body = ApprovalRequest), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn refuse(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<ApprovalId>,
    Json(body): Json<ApprovalNote, LARGEST_ORDER>,
) -> Result<axum::Json<ApprovalRequest>, Problem> {
    let decided = desk.gateway.refuse_approval(who.context(), id, &body.note).await?;
    Ok(axum::Json(ApprovalRequest::new(&desk, decided).await))
}

/// Withdraw what one asked for
#[utoipa::path(post, path = "/api/v1/approvals/{id}/withdraw", tag = "Risk",
    params(("id" = String, Path, description = "The approval."), Key),
    responses((status = 200, body = ApprovalRequest), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn withdraw(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<ApprovalId>,
) -> Result<axum::Json<ApprovalRequest>, Problem> {
    let decided = desk.gateway.withdraw_approval(who.context(), id).await?;
    Ok(axum::Json(ApprovalRequest::new(&desk, decided).await))
}

impl From<ApprovalError> for Problem {
    fn from(error: ApprovalError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            ApprovalError::Denied(denied) => denied.into(),
            ApprovalError::StepUp(needed) => needed.into(),
            ApprovalError::NotFound => Self::new(Code::NotFound),
            ApprovalError::AnotherPerson => Self::new(Code::AnotherPerson),
            ApprovalError::NotWaiting { .. } => Self::with(Code::ApprovalNotWaiting, text),
            ApprovalError::Journal(error) => error.into(),
        }
    }
}
