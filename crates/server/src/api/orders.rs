//! Orders: previewed, placed, followed, canceled.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{
    AccountId, AuditEntry, Context, OrderEvent, OrderId, OrderKind, Outcome, Permission, Price, Quantity,
    Resource, Side, Symbol, TimeInForce,
};
use serde::{Deserialize, Serialize};
use trading::{CancelError, OrderFilter, OrderScope, SubmitError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::page;
use super::words::{self, At, Decimal};
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(preview_order))
        .routes(routes!(submit_order))
        .routes(routes!(orders))
        .routes(routes!(order))
        .routes(routes!(order_events))
        .routes(routes!(cancel_order))
}

/// An order that is wished for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderRequest {
    #[schema(example = "BTC-USD")]
    symbol: String,
    #[schema(value_type = words::Side)]
    side: Side,
    #[schema(value_type = words::OrderType)]
    r#type: OrderKind,
    #[schema(value_type = words::TimeInForce)]
    time_in_force: TimeInForce,
    /// Above zero, in steps of the symbol's `quantity_increment`.
    #[schema(value_type = words::DecimalText)]
    quantity: String,
    /// The worst price allowed. For limit orders only.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    limit_price: Option<String>,
    /// One's own name for the order: 1 to 64 characters of A-Z, a-z, 0-9 and _.:-, unique on the account for ever.
    /// Without one the `Idempotency-Key` is used, and without that a new one is made.
    #[schema(nullable = false)]
    client_order_id: Option<String>,
}

impl OrderRequest {
    /// Checks the form. What the numbers may be is for the desk to say, not for the interface.
    fn read(self, client_order_id: String) -> Result<domain::OrderRequest, Problem> {
        let symbol =
            self.symbol.parse::<Symbol>().map_err(|e| malformed(Code::SymbolUnknown, "symbol", &e))?;
        let quantity = self
            .quantity
            .parse::<Quantity>()
            .map_err(|e| malformed(Code::QuantityInvalid, "quantity", &e))?;
        let limit_price = self.limit_price.map(|price| price.parse::<Price>()).transpose();
        let limit_price = limit_price.map_err(|e| malformed(Code::PriceInvalid, "limit_price", &e))?;
        Ok(domain::OrderRequest {
            client_order_id,
            symbol,
            side: self.side,
            kind: self.r#type,
            time_in_force: self.time_in_force,
            quantity,
            limit_price,
        })
    }
}

fn malformed(code: Code, field: &str, why: &dyn std::fmt::Display) -> Problem {
    Problem { rule: Some(code.as_str().into()), ..Problem::field(code, field, sentence(&why.to_string())) }
}

/// An order of the desk.
#[derive(Serialize, ToSchema)]
pub(crate) struct Order {
    id: String,
    account_id: String,
    #[schema(value_type = words::Mode)]
    mode: &'static str,
    client_order_id: String,
    /// The broker's id of it, once known.
    #[schema(required)]
    broker_order_id: Option<String>,
    symbol: String,
    #[schema(value_type = words::Side)]
    side: Side,
    #[schema(value_type = words::OrderType)]
    r#type: OrderKind,
    #[schema(value_type = words::TimeInForce)]
    time_in_force: TimeInForce,
    quantity: Decimal,
    #[schema(required)]
    limit_price: Option<Decimal>,
    #[schema(value_type = words::OrderStatus)]
    status: domain::Status,
    filled_quantity: Decimal,
    /// What may still be executed.
    leaves_quantity: Decimal,
    #[schema(required)]
    average_fill_price: Option<Decimal>,
    /// What the broker took so far.
    fees: Decimal,
    /// Why it was rejected, expired, or is not known.
    #[schema(required)]
    reason: Option<String>,
    submitted_by: Submitter,
    created_at: At,
    updated_at: At,
    /// Number of the last entry of its journal; grows with each change.
    version: u64,
}

/// Who placed an order.
#[derive(Serialize, ToSchema)]
struct Submitter {
    id: String,
    name: String,
}

impl Order {
    pub(crate) async fn new(desk: &Desk, order: &domain::Order) -> Self {
        let request = &order.request;
        Self {
            id: order.id.to_string(),
            account_id: order.account.to_string(),
            mode: desk.mode_of(order.account),
            client_order_id: request.client_order_id.clone(),
            broker_order_id: order.broker_order_id.clone(),
            symbol: request.symbol.to_string(),
            side: request.side,
            r#type: request.kind,
            time_in_force: request.time_in_force,
            quantity: request.quantity.into(),
            limit_price: request.limit_price.map(Decimal::from),
            status: order.status,
            filled_quantity: order.filled.into(),
            leaves_quantity: order.leaves().into(),
            average_fill_price: order.average_fill_price().map(Decimal::average),
            fees: order.fees.into(),
            reason: order.reason.clone(),
            submitted_by: Submitter {
                name: desk.names.of(desk, &order.submitted_by).await,
                id: order.submitted_by.clone(),
            },
            created_at: At(order.created_at),
            updated_at: At(order.updated_at),
            version: order.version,
        }
    }
}

/// One check of an order.
#[derive(Serialize, ToSchema)]
struct Check {
    /// Which rule, as in the list of problems.
    rule: String,
    ok: bool,
    detail: String,
    /// What is allowed.
    #[schema(required)]
    limit: Option<String>,
    /// What the order has.
    #[schema(required)]
    value: Option<String>,
}

/// The quote an order was priced on.
#[derive(Serialize, ToSchema)]
struct PreviewQuote {
    #[schema(required)]
    bid: Option<Decimal>,
    #[schema(required)]
    ask: Option<Decimal>,
    quote_at: At,
}

/// What an order would cost, and whether it would be taken.
#[derive(Serialize, ToSchema)]
struct OrderPreview {
    /// Pass it as `client_order_id` when placing, so that a second click is not a second order.
    preview_id: String,
    #[schema(required)]
    estimated_price: Option<Decimal>,
    estimated_notional: Decimal,
    estimated_fee: Decimal,
    /// What a purchase costs with the fee, or a sale brings after it.
    estimated_total: Decimal,
    buying_power_before: Decimal,
    buying_power_after: Decimal,
    checks: Vec<Check>,
    /// Whether all checks were passed.
    ok: bool,
    #[schema(required)]
    quote: Option<PreviewQuote>,
    #[schema(value_type = words::Mode)]
    mode: &'static str,
}

/// Preview an order
///
/// Every check with its numbers. Nothing is reserved or written.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/orders/preview", tag = "Orders", request_body = OrderRequest,
    params(("id" = String, Path, description = "The account.")),
    responses((status = 200, body = OrderPreview), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn preview_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Json(body): Json<OrderRequest, LARGEST_ORDER>,
) -> Result<axum::Json<OrderPreview>, Problem> {
    let ctx = who.context();
    // Whoever may not place orders here learns nothing from how the form was read.
    ctx.require(Permission::OrdersPlace, Resource::Account(account))?;
    let preview_id = Uuid::now_v7().to_string();
    let preview = desk.gateway.preview(ctx, account, &body.read(preview_id.clone())?)?;
    let check = |check: &trading::Check| Check {
        rule: check.rule.as_str().to_owned(),
        ok: check.passed,
        detail: check.detail.clone(),
        limit: check.limit.clone(),
        value: check.value.clone(),
    };
    Ok(axum::Json(OrderPreview {
        preview_id,
        ok: preview.passed(),
        checks: preview.checks.iter().map(check).collect(),
        estimated_price: preview.estimated_price.map(Decimal::from),
        estimated_notional: preview.notional.into(),
        estimated_fee: preview.fee.into(),
        estimated_total: preview.total.into(),
        buying_power_before: preview.buying_power_before.into(),
        buying_power_after: preview.buying_power_after.into(),
        quote: preview.quote.map(|quote| PreviewQuote {
            bid: quote.bid.map(|(price, _)| price.into()),
            ask: quote.ask.map(|(price, _)| price.into()),
            quote_at: At(quote.at),
        }),
        mode: preview.mode.as_str(),
    }))
}

/// Place an order
///
/// The answer comes when the order is durable in the journal; it is sent to the broker from there, whatever happens
/// to the caller. Repeated with the same client order id and body it answers 200 with the order that exists.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/orders", tag = "Orders", request_body = OrderRequest,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 201, body = Order), (status = 200, body = Order, description = "Placed before"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn submit_order(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    headers: HeaderMap,
    body: Result<Json<OrderRequest, LARGEST_ORDER>, Problem>,
) -> Result<(StatusCode, axum::Json<Order>), Problem> {
    let ctx = who.context();
    let request = match read(&headers, body) {
        Ok(request) => request,
        Err(problem) => return Err(refuse(&desk, ctx, account, problem).await),
    };
    let submitted = desk.gateway.submit(ctx, account, request).await?;
    let status = if submitted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(Order::new(&desk, &submitted.order).await)))
}

fn read(
    headers: &HeaderMap,
    body: Result<Json<OrderRequest, LARGEST_ORDER>, Problem>,
) -> Result<domain::OrderRequest, Problem> {
    let mut body = body.map_err(in_words_of_orders)?.0;
    let key = Key::read(headers)?;
    let client_order_id = body.client_order_id.take().or(key).unwrap_or_else(|| Uuid::now_v7().to_string());
    body.read(client_order_id)
}

/// A number where text is needed, or `null`, is still about the quantity or the price.
fn in_words_of_orders(problem: Problem) -> Problem {
    let code = match (problem.code, problem.field.as_deref()) {
        (Code::FieldInvalid, Some("quantity")) => Code::QuantityInvalid,
        (Code::FieldInvalid, Some("limit_price")) => Code::PriceInvalid,
        (Code::FieldInvalid, Some("client_order_id")) => Code::ClientOrderIdInvalid,
        _ => return problem,
    };
    Problem { rule: Some(code.as_str().into()), code, ..problem }
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

pub(super) fn symbol(given: Option<&str>) -> Result<Option<Symbol>, Problem> {
    let symbol = given.map(str::parse::<Symbol>).transpose();
    symbol.map_err(|e| Problem::field(Code::SymbolUnknown, "symbol", sentence(&e.to_string())))
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
    let filter = OrderFilter { account, symbol: symbol(query.symbol.as_deref())?, scope };
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
}

/// An order's journal
///
/// Everything that happened to it, oldest first.
#[utoipa::path(get, path = "/api/v1/orders/{id}/events", tag = "Orders", params(("id" = String, Path, description = "The order.")),
    responses((status = 200, body = OrderEventList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn order_events(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<OrderId>,
) -> Result<axum::Json<OrderEventList>, Problem> {
    let rows =
        desk.gateway.order_events(who.context(), id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let entry = |row: trading::JournalRow| OrderEventEntry {
        seq: row.seq,
        at: At(row.at),
        kind: row.event.kind().to_owned(),
        detail: detail(row.event),
    };
    Ok(axum::Json(OrderEventList { items: rows.into_iter().map(entry).collect() }))
}

/// What an entry says beside its kind, field by field: nothing goes out because it happens to be stored.
fn detail(event: OrderEvent) -> serde_json::Value {
    use serde_json::json;
    match event {
        OrderEvent::Submitting { attempt } => json!({ "attempt": attempt }),
        OrderEvent::NotReached { detail } | OrderEvent::Lost { detail } => json!({ "detail": detail }),
        OrderEvent::Acknowledged { broker_order_id } => json!({ "broker_order_id": broker_order_id }),
        OrderEvent::Refused { reason }
        | OrderEvent::CancelRefused { reason }
        | OrderEvent::Expired { reason } => json!({ "reason": reason }),
        OrderEvent::Filled(fill) => json!({
            "execution_id": fill.execution_id,
            "price": fill.price,
            "quantity": fill.quantity,
            "fee": fill.fee,
            "at": At(fill.at),
        }),
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
    Ok((StatusCode::ACCEPTED, axum::Json(Order::new(&desk, &order).await)))
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Denied(denied) => Self::from(denied).on_record(),
            SubmitError::Refused(check) => Self {
                code: Code::of_rule(check.rule),
                detail: sentence(&check.detail).into(),
                field: check.field.map(Into::into),
                rule: Some(check.rule.as_str().into()),
                limit: check.limit.map(Into::into),
                value: check.value.map(Into::into),
                ..Self::new(Code::Internal)
            },
            SubmitError::ClientOrderIdConflict { existing } => Self {
                value: Some(existing.to_string().into()),
                ..Self::field(
                    Code::ClientOrderIdConflict,
                    "client_order_id",
                    format!("The client order id was used before, for order {existing}. Nothing was done."),
                )
            },
            SubmitError::Blind(blind) => {
                Self::with(Code::AccountBlind, format!("The account takes no new risk: {}.", blind.reason))
            }
            SubmitError::Journal(error) => journal(&error),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            CancelError::NotFound => Self::new(Code::NotFound),
            CancelError::Denied(denied) => denied.into(),
            CancelError::NotOpen { .. } => Self::with(Code::OrderNotOpen, text),
            CancelError::Stopping => Self::new(Code::Busy),
            CancelError::Journal(error) => journal(&error),
        }
    }
}

fn journal(error: &storage::StorageError) -> Problem {
    tracing::error!(%error, "the order journal does not take writes");
    Problem::new(Code::JournalUnavailable)
}
