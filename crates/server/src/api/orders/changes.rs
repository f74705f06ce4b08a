//! Orders that change others: replaced, canceled together, and positions closed.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{AccountId, OrderId, Permission, Quantity, Resource, Symbol, TimeInForce};
use serde::{Deserialize, Serialize};
use trading::Amendment;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Order;
use super::request::{in_words_of_orders, maybe, symbol, trail};
use crate::Desk;
use crate::api::words;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(replace_order))
        .routes(routes!(cancel_all))
        .routes(routes!(close_position))
        .routes(routes!(liquidate))
}

/// What is to be changed of an order; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderAmendment {
    /// How much in all, with what is filled already.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    quantity: Option<String>,
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    limit_price: Option<String>,
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    stop_price: Option<String>,
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    trail_price: Option<String>,
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    trail_percent: Option<String>,
    #[schema(value_type = Option<words::TimeInForce>, nullable = false)]
    time_in_force: Option<TimeInForce>,
    /// One's own name for the order that takes the place. Without one the `Idempotency-Key` is used, and without that a
    /// new one is made.
    #[schema(nullable = false)]
    client_order_id: Option<String>,
}

impl OrderAmendment {
    fn read(self, key: Option<String>) -> Result<Amendment, Problem> {
        let amendment = Amendment {
            quantity: maybe(self.quantity.as_deref(), "quantity")?,
            limit_price: maybe(self.limit_price.as_deref(), "limit_price")?,
            stop_price: maybe(self.stop_price.as_deref(), "stop_price")?,
            trail: trail(self.trail_price.as_deref(), self.trail_percent.as_deref())?,
            time_in_force: self.time_in_force,
            client_order_id: None,
        };
        if amendment == Amendment::default() {
            return Err(Problem::field(Code::FieldMissing, "quantity", "Nothing is to be changed."));
        }
        Ok(Amendment { client_order_id: self.client_order_id.or(key), ..amendment })
    }
}

/// Replace an order
///
/// Puts an order with other terms in the place of one that works, and answers with the new one once the wish is
/// durable. The old one ends as `replaced`, or stays as it is when the broker refuses.
#[utoipa::path(patch, path = "/api/v1/orders/{id}", tag = "Orders", request_body = OrderAmendment,
    params(("id" = String, Path, description = "The order."), Key),
    responses((status = 202, body = Order), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn replace_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
    headers: HeaderMap,
    body: Result<Json<OrderAmendment, LARGEST_ORDER>, Problem>,
) -> Result<(StatusCode, axum::Json<Order>), Problem> {
    let ctx = who.context();
    let account = desk.gateway.order(ctx, id).await?.ok_or_else(|| Problem::new(Code::NotFound))?.account;
    ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
    let Json(body) = body.map_err(in_words_of_orders)?;
    let amendment = body.read(Key::read(&headers)?)?;
    let order = desk.gateway.amend(ctx, id, &amendment).await?;
    fail::fail_point!("K8", |_| Err(Problem::new(Code::Internal)));
    Ok((StatusCode::ACCEPTED, axum::Json(Order::new(&desk, &order).await)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct CancelQuery {
    /// Only those of this instrument.
    symbol: Option<String>,
}

/// Orders that are being canceled.
#[derive(Serialize, ToSchema)]
struct CanceledOrders {
    items: Vec<Order>,
}

/// Cancel all open orders of an account
///
/// The answer lists them, once the wish is durable. What is executed before the broker cancels stays executed.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/orders/cancel-all", tag = "Orders",
    params(("id" = String, Path, description = "The account."), CancelQuery, Key),
    responses((status = 202, body = CanceledOrders), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn cancel_all(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Query(query): Query<CancelQuery>,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<CanceledOrders>), Problem> {
    let ctx = who.context();
    ctx.require(Permission::OrdersCancel, Resource::Account(account))?;
    Key::read(&headers)?;
    let symbol = symbol(query.symbol.as_deref())?;
    let canceled = desk.gateway.cancel_all(ctx, account, symbol.as_ref()).await?;
    let mut items = Vec::with_capacity(canceled.len());
    for order in &canceled {
        items.push(Order::new(&desk, order).await);
    }
    Ok((StatusCode::ACCEPTED, axum::Json(CanceledOrders { items })))
}

/// How much of a position is to be closed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PositionClosing {
    /// Units, above zero; without it all of them.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    quantity: Option<String>,
    /// One's own name for the order. Without one the `Idempotency-Key` is used, and without that a new one is made.
    #[schema(nullable = false)]
    client_order_id: Option<String>,
}

/// Close a position
///
/// All of it or a part, with a market order. Repeated with the same key it is one order.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/positions/{symbol}/close", tag = "Orders", request_body = PositionClosing,
    params(("id" = String, Path, description = "The account."), ("symbol" = String, Path, description = "The instrument."), Key),
    responses((status = 201, body = Order), (status = 200, body = Order, description = "Closed before"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn close_position(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((account, symbol)): Path<(AccountId, Symbol)>,
    headers: HeaderMap,
    body: Result<Json<PositionClosing, LARGEST_ORDER>, Problem>,
) -> Result<(StatusCode, axum::Json<Order>), Problem> {
    let ctx = who.context();
    ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
    let Json(body) = body.map_err(in_words_of_orders)?;
    let part: Option<Quantity> = maybe(body.quantity.as_deref(), "quantity")?;
    let name = body.client_order_id.or(Key::read(&headers)?);
    let name = name.unwrap_or_else(|| Uuid::now_v7().to_string());
    let closing = desk.gateway.close_position(ctx, account, &symbol, part, name).await?;
    let status = if closing.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(Order::new(&desk, &closing.order).await)))
}

/// What became of each position that was to be closed.
#[derive(Serialize, ToSchema)]
struct Liquidation {
    items: Vec<ClosedPosition>,
}

/// A position that is being closed, or why it is not.
#[derive(Serialize, ToSchema)]
struct ClosedPosition {
    symbol: String,
    /// The order that closes it.
    #[schema(required)]
    order: Option<Order>,
    /// Why there is none.
    #[schema(required)]
    problem: Option<SmallProblem>,
}

/// Why one of several things was refused.
#[derive(Serialize, ToSchema)]
struct SmallProblem {
    /// As in the list of problems.
    code: String,
    detail: String,
}

/// Liquidate an account
///
/// Cancels every open order, then closes every position with a market order. Units that an order still sells when the
/// broker does not cancel it in time are named among the answers.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/liquidate", tag = "Orders",
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 202, body = Liquidation), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn liquidate(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<Liquidation>), Problem> {
    let ctx = who.context();
    ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
    Key::read(&headers)?;
    let mut items = Vec::new();
    for (symbol, closing) in desk.gateway.liquidate(ctx, account).await? {
        let (order, problem) = match closing {
            Ok(submitted) => (Some(Order::new(&desk, &submitted.order).await), None),
            Err(error) => {
                let problem = Problem::from(error);
                let code = problem.code.as_str().to_owned();
                (None, Some(SmallProblem { code, detail: problem.detail.into() }))
            }
        };
        items.push(ClosedPosition { symbol: symbol.to_string(), order, problem });
    }
    Ok((StatusCode::ACCEPTED, axum::Json(Liquidation { items })))
}
