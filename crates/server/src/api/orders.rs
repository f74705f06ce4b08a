//! Orders: previewed, placed, followed, replaced, canceled.

mod answer;
mod changes;
mod preview;
mod refused;
mod request;
mod unknown;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{AccountId, AuditEntry, Context, OrderEvent, OrderId, Outcome, Permission, Resource};
use serde::{Deserialize, Serialize};
use trading::{OrderFilter, OrderScope};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(crate) use self::answer::Order;
pub(super) use self::answer::{BrokerReason, StopLoss, TakeProfit, trail_of};
use self::preview::OrderPreview;
use self::request::{OrderRequest, Placement, in_words_of_orders};
pub(super) use self::request::{maybe, number, symbol};
pub(crate) use self::unknown::UnknownOrderList;
use super::page::{self, PageQuery};
use super::words::{self, At};
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(preview_order))
        .routes(routes!(submit_order))
        .routes(routes!(orders))
        .routes(routes!(order))
        .routes(routes!(order_events))
        .routes(routes!(cancel_order))
        .merge(changes::routes())
        .merge(unknown::routes())
}

/// Preview an order
///
/// Every check with its numbers, and who set the limit. Nothing is reserved or written.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/orders/preview", tag = "Orders", request_body = OrderRequest,
    params(("id" = String, Path, description = "The account.")),
    responses((status = 200, body = OrderPreview), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn preview_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    body: Result<Json<OrderRequest, LARGEST_ORDER>, Problem>,
) -> Result<axum::Json<OrderPreview>, Problem> {
    let ctx = who.context();
    // Whoever may not place orders here learns nothing from how the form was read.
    ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
    let Json(body) = body.map_err(in_words_of_orders)?;
    // Without a name of its own it is placed under the preview's.
    let name = body.client_order_id().unwrap_or_default().to_owned();
    let preview = desk.gateway.preview(ctx, account, &body.read(name)?)?;
    Ok(axum::Json(OrderPreview::new(&desk, preview).await))
}

/// Place an order
///
/// The answer comes when the order is durable in the journal; it is sent to the broker from there, whatever happens
/// to the caller. Repeated with the same client order id and body, or with the same preview, it answers 200 with the
/// order that exists.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/orders", tag = "Orders", request_body = Placement,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 201, body = Order), (status = 200, body = Order, description = "Placed before"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn submit_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    headers: HeaderMap,
    body: Result<Placement, Problem>,
) -> Result<(StatusCode, axum::Json<Order>), Problem> {
    let ctx = who.context();
    let submitted = match read(&headers, body) {
        Ok(Wish::Order(request)) => desk.gateway.submit(ctx, account, *request).await?,
        Ok(Wish::Previewed(id)) => {
            ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
            desk.gateway.confirm(ctx, account, &id).await?
        }
        Err(problem) => return Err(refuse(&desk, ctx, account, problem).await),
    };
    fail::fail_point!("K8", |_| Err(Problem::new(Code::Internal)));
    let status = if submitted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(Order::new(&desk, &submitted.order).await)))
}

/// What is to be placed.
enum Wish {
    Order(Box<domain::OrderRequest>),
    Previewed(String),
}

fn read(headers: &HeaderMap, body: Result<Placement, Problem>) -> Result<Wish, Problem> {
    let key = Key::read(headers)?;
    match body? {
        Placement::Confirmation(confirmation) => Ok(Wish::Previewed(confirmation.preview_id)),
        Placement::Order(order) => {
            let name = order.client_order_id().map(str::to_owned).or(key);
            let name = name.unwrap_or_else(|| Uuid::now_v7().to_string());
            order.read(name).map(|request| Wish::Order(Box::new(request)))
        }
    }
}

/// Notes an order that was refused for its form; one that the caller may not place at all is refused as that.
async fn refuse(desk: &Desk, ctx: &Context, account: AccountId, problem: Problem) -> Problem {
    if let Err(denied) = ctx.require(Permission::OrdersPlace, Resource::Account(account)) {
        return denied.into();
    }
    let detail = serde_json::json!({ "code": problem.code.as_str(), "field": problem.field, "detail": problem.detail });
    let entry =
        AuditEntry::by(ctx, "order.refused").on("account", account).ended(Outcome::Refused).with(detail);
    match desk.record(entry).await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct OrdersQuery {
    /// Only of this account.
    account_id: Option<String>,
    /// `open`, `closed` or `all`.
    #[param(value_type = Option<words::OrderScope>)]
    status: Option<Scope>,
    /// Only of this instrument.
    symbol: Option<String>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Open,
    Closed,
    All,
}

/// A page of orders.
#[derive(Serialize, ToSchema)]
struct OrderList {
    items: Vec<Order>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The account of a list; one that was not granted is not found.
pub(super) fn visible_account(ctx: &Context, id: Option<&str>) -> Result<Option<AccountId>, Problem> {
    let Some(id) = id else {
        ctx.require(Permission::OrdersView, Resource::Desk)?;
        return Ok(None);
    };
    let id: AccountId = id.parse().map_err(|_| Problem::new(Code::NotFound))?;
    ctx.require(Permission::OrdersView, Resource::Account(id))?;
    Ok(Some(id))
}

/// Orders
///
/// Newest first, of all accounts that may be seen.
#[utoipa::path(get, path = "/api/v1/orders", tag = "Orders", params(OrdersQuery),
    responses((status = 200, body = OrderList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn orders(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<OrdersQuery>,
) -> Result<axum::Json<OrderList>, Problem> {
    let ctx = who.context();
    let limit = page::limit(query.limit)?;
    let before: Option<OrderId> = page::start("orders", query.cursor.as_deref())?;
    let scope = match query.status {
        Some(Scope::Open) => OrderScope::Open,
        Some(Scope::Closed) => OrderScope::Closed,
        Some(Scope::All) | None => OrderScope::All,
    };
    let account = visible_account(ctx, query.account_id.as_deref())?;
    let filter =
        OrderFilter { account, symbol: symbol(query.symbol.as_deref())?, scope, ..OrderFilter::default() };
    let mut found = desk.gateway.orders(ctx, &filter, before, limit as usize + 1).await?;
    let next_cursor = page::cut(&mut found, limit, "orders", |order| order.id);
    let mut items = Vec::with_capacity(found.len());
    for order in &found {
        items.push(Order::new(&desk, order).await);
    }
    Ok(axum::Json(OrderList { items, next_cursor }))
}

/// An order
#[utoipa::path(get, path = "/api/v1/orders/{id}", tag = "Orders", params(("id" = String, Path, description = "The order.")),
    responses((status = 200, body = Order), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
) -> Result<axum::Json<Order>, Problem> {
    match desk.gateway.order(who.context(), id).await? {
        Some(order) => Ok(axum::Json(Order::new(&desk, &order).await)),
        None => Err(Problem::new(Code::NotFound)),
    }
}

/// An entry of an order's journal.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderEvent)]
struct OrderEventEntry {
    /// 1, 2, … within the order.
    seq: u64,
    at: At,
    kind: String,
    /// By kind: the broker's id, the execution, the reason.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    detail: serde_json::Value,
}

/// An order's journal.
#[derive(Serialize, ToSchema)]
struct OrderEventList {
    items: Vec<OrderEventEntry>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// An order's journal
///
/// Everything that happened to it, oldest first.
#[utoipa::path(get, path = "/api/v1/orders/{id}/events", tag = "Orders", params(("id" = String, Path, description = "The order."), PageQuery),
    responses((status = 200, body = OrderEventList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn order_events(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<OrderEventList>, Problem> {
    let rows =
        desk.gateway.order_events(who.context(), id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let entry = |row: trading::JournalRow| OrderEventEntry {
        seq: row.seq,
        at: At(row.at),
        kind: row.event.kind().to_string(),
        detail: detail(row.event),
    };
    let (rows, next_cursor) =
        page::part(rows, page.limit, page.cursor.as_deref(), "order events", |row| row.seq)?;
    Ok(axum::Json(OrderEventList { items: rows.into_iter().map(entry).collect(), next_cursor }))
}

/// What an entry says beside its kind, field by field: nothing goes out because it happens to be stored.
fn detail(event: OrderEvent) -> serde_json::Value {
    use serde_json::json;
    let fill = |fill: domain::Fill| {
        json!({
            "execution_id": fill.execution_id,
            "price": fill.price,
            "quantity": fill.quantity,
            "fee": fill.fee,
            "at": At(fill.at),
        })
    };
    match event {
        OrderEvent::Submitting { attempt } => json!({ "attempt": attempt }),
        OrderEvent::NotReached { detail } | OrderEvent::Lost { detail } | OrderEvent::Absent { detail } => {
            json!({ "detail": detail })
        }
        OrderEvent::Acknowledged { broker_order_id } => json!({ "broker_order_id": broker_order_id }),
        OrderEvent::Refused { reason, code } => json!({ "reason": reason, "code": code }),
        OrderEvent::Triggered { reason }
        | OrderEvent::CancelRefused { reason }
        | OrderEvent::ReplaceRefused { reason }
        | OrderEvent::Expired { reason } => json!({ "reason": reason }),
        OrderEvent::Released { reason, quantity } => json!({ "reason": reason, "quantity": quantity }),
        OrderEvent::Filled(filled) => fill(filled),
        OrderEvent::Corrected { execution_id, by } => {
            json!({ "corrects": execution_id, "by": fill(by) })
        }
        OrderEvent::Busted { execution_id } => json!({ "execution_id": execution_id }),
        OrderEvent::ReplaceRequested { by } => json!({ "by": by }),
        OrderEvent::Replaced { by } => json!({ "by": by }),
        OrderEvent::Restated { quantity, limit_price, stop_price } => {
            json!({ "quantity": quantity, "limit_price": limit_price, "stop_price": stop_price })
        }
        OrderEvent::CancelRequested | OrderEvent::Canceled => json!({}),
    }
}

/// Cancel an order
///
/// The answer comes when the wish is durable. What is executed before the broker cancels stays executed. Repeating
/// it changes nothing more.
#[utoipa::path(post, path = "/api/v1/orders/{id}/cancel", tag = "Orders", params(("id" = String, Path, description = "The order."), Key),
    responses((status = 202, body = Order), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn cancel_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<Order>), Problem> {
    Key::read(&headers)?;
    let order = desk.gateway.cancel(who.context(), id).await?;
    fail::fail_point!("K8", |_| Err(Problem::new(Code::Internal)));
    Ok((StatusCode::ACCEPTED, axum::Json(Order::new(&desk, &order).await)))
}
