//! What a desk asks for.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use connectors::paper::wire;
use domain::{
    AccountId, Order, OrderEvent, OrderId, OrderRequest, Provenance, Quantity, Reason, Side, Size, Symbol,
    TimeInForce, Timestamp, Trail,
};
use serde::Deserialize;
use trading::{BrokerOrder, BrokerStatus, CancelFailure, Refusal, SubmitFailure};

use super::{INVALID, No, Shared, read};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/accounts/{account}/orders", post(submit).get(open_orders))
        .route("/v1/accounts/{account}/orders/{order}", get(find))
        .route("/v1/accounts/{account}/orders/{order}/cancel", post(cancel))
        .route("/v1/accounts/{account}/orders/{order}/replace", post(replace))
        .route("/v1/accounts/{account}/executions", get(executions))
        .route("/v1/accounts/{account}/balances", get(balances))
}

type Answer<T> = Result<Json<T>, No>;

async fn submit(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<wire::Placed>), No> {
    let account = parse_account(&account)?;
    let order = order(account, read(body).await?, shared.clock.now())?;
    let placed = shared.broker(account).await?.submit(&order).await;
    placed_as(&order, placed)
}

async fn replace(
    State(shared): State<Arc<Shared>>,
    Path((account, old)): Path<(String, String)>,
    body: Body,
) -> Result<(StatusCode, Json<wire::Placed>), No> {
    let account = parse_account(&account)?;
    let wire::Replacement { filled, by } = read(body).await?;
    let by = order(account, by, shared.clock.now())?;
    let old = Order { filled, ..known_by(account, parse_order(&old)?) };
    let placed = shared.broker(account).await?.replace(&old, &by).await;
    placed_as(&by, placed)
}

fn placed_as(
    order: &Order,
    answer: Result<String, SubmitFailure>,
) -> Result<(StatusCode, Json<wire::Placed>), No> {
    match answer {
        Ok(broker_order_id) => {
            let client_order_id = order.id.to_string();
            Ok((StatusCode::CREATED, Json(wire::Placed { client_order_id, broker_order_id })))
        }
        Err(SubmitFailure::Refused(refusal)) => Err(refused(&refusal)),
        Err(SubmitFailure::Exists) => {
            Err(refused(&Refusal::new(Reason::Duplicate, "client_order_id must be unique")))
        }
        Err(SubmitFailure::NotReached(_) | SubmitFailure::Lost(_)) => Err(No::HangUp),
    }
}

async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path((account, order)): Path<(String, String)>,
) -> Answer<wire::Canceling> {
    let (account, id) = (parse_account(&account)?, parse_order(&order)?);
    match shared.broker(account).await?.cancel(&known_by(account, id)).await {
        Ok(()) => Ok(Json(wire::Canceling { client_order_id: id.to_string() })),
        Err(CancelFailure::Refused(refusal)) => Err(refused(&refusal)),
        Err(CancelFailure::Unreachable(_)) => Err(No::HangUp),
    }
}

async fn find(
    State(shared): State<Arc<Shared>>,
    Path((account, order)): Path<(String, String)>,
) -> Answer<wire::Found> {
    let (account, id) = (parse_account(&account)?, parse_order(&order)?);
    let found = shared.broker(account).await?.find(&known_by(account, id)).await;
    let found = found.map_err(|_| No::HangUp)?;
    Ok(Json(wire::Found { order: found.map(told) }))
}

async fn open_orders(State(shared): State<Arc<Shared>>, Path(account): Path<String>) -> Answer<wire::Orders> {
    let open = shared.broker(parse_account(&account)?).await?.open_orders().await;
    let open = open.map_err(|_| No::HangUp)?;
    Ok(Json(wire::Orders { orders: open.into_iter().map(told).collect() }))
}

#[derive(Deserialize)]
struct Since {
    since: String,
}

async fn executions(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
    Query(Since { since }): Query<Since>,
) -> Answer<wire::Executions> {
    let since: Timestamp = since.parse().map_err(|_| invalid("since is a time as 2026-11-20T12:00:00Z"))?;
    let executions = shared.broker(parse_account(&account)?).await?.executions(since).await;
    let executions = executions.map_err(|_| No::HangUp)?.into_iter().map(|execution| wire::Execution {
        client_order_id: execution.client_order_id,
        broker_order_id: execution.broker_order_id,
        symbol: execution.symbol,
        side: execution.side,
        event: event(execution.event),
    });
    Ok(Json(wire::Executions { executions: executions.collect() }))
}

async fn balances(State(shared): State<Arc<Shared>>, Path(account): Path<String>) -> Answer<wire::Balances> {
    let balances = shared.broker(parse_account(&account)?).await?.balances().await;
    let balances = balances.map_err(|_| No::HangUp)?;
    let held = balances.positions.into_iter().map(|(symbol, quantity)| wire::Position { symbol, quantity });
    Ok(Json(wire::Balances { cash: balances.cash, positions: held.collect() }))
}

fn invalid(text: &str) -> No {
    No::problem(StatusCode::BAD_REQUEST, INVALID, text)
}

fn refused(refusal: &Refusal) -> No {
    let status = match refusal.reason {
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    No::problem(status, refusal.reason.as_str(), &refusal.text)
}

pub(super) fn parse_account(text: &str) -> Result<AccountId, No> {
    text.parse().map_err(|_| invalid("an account's id is a UUID"))
}

fn parse_order(text: &str) -> Result<OrderId, No> {
    text.parse().map_err(|_| invalid("a client order id is a UUID"))
}

/// An order of the desk, as it is accepted there.
fn order(account: AccountId, terms: wire::Terms, at: Timestamp) -> Result<Order, No> {
    let id = parse_order(&terms.client_order_id)?;
    let trail = match (terms.trail_price, terms.trail_percent) {
        (Some(_), Some(_)) => return Err(invalid("an order trails by a price or by per cent, not both")),
        (Some(distance), None) => Some(Trail::Price(distance)),
        (None, Some(percent)) => Some(Trail::Percent(percent)),
        (None, None) => None,
    };
    let request = OrderRequest {
        kind: terms.kind,
        size: Size::Quantity(terms.quantity),
        stop_price: terms.stop_price,
        trail,
        extended_hours: terms.extended_hours,
        ..OrderRequest::simple(
            terms.client_order_id,
            terms.symbol,
            terms.side,
            terms.quantity,
            terms.limit_price,
            terms.time_in_force,
        )
    };
    Ok(Order::accepted(id, account, request, terms.quantity, Provenance::of("desk"), at))
}

/// An order of which only the id is known: the venue has the rest of it.
fn known_by(account: AccountId, id: OrderId) -> Order {
    let nothing = Quantity::ZERO;
    let any: Symbol = "ANY".parse().expect("it has the form of a symbol");
    let request = OrderRequest::simple("", any, Side::Buy, nothing, None, TimeInForce::Gtc);
    Order::accepted(id, account, request, nothing, Provenance::of("desk"), Timestamp::UNIX_EPOCH)
}

/// An order as the desk is told of it.
fn told(order: BrokerOrder) -> wire::Order {
    let (trail_price, trail_percent) = match order.terms.trail {
        Some(Trail::Price(distance)) => (Some(distance), None),
        Some(Trail::Percent(percent)) => (None, Some(percent)),
        None => (None, None),
    };
    let (status, refusal) = match order.status {
        BrokerStatus::Open => (wire::Standing::Open, None),
        BrokerStatus::Filled => (wire::Standing::Filled, None),
        BrokerStatus::Replaced => (wire::Standing::Replaced, None),
        BrokerStatus::Canceled => (wire::Standing::Canceled, None),
        BrokerStatus::Expired => (wire::Standing::Expired, None),
        BrokerStatus::Rejected(refusal) => {
            (wire::Standing::Rejected, Some(problem(refusal.reason, refusal.text)))
        }
    };
    wire::Order {
        broker_order_id: order.broker_order_id,
        terms: wire::Terms {
            client_order_id: order.client_order_id,
            symbol: order.terms.symbol,
            side: order.terms.side,
            kind: order.terms.kind,
            time_in_force: order.terms.time_in_force,
            quantity: order.terms.quantity,
            limit_price: order.terms.limit_price,
            stop_price: order.terms.stop_price,
            trail_price,
            trail_percent,
            extended_hours: order.terms.extended_hours,
        },
        status,
        refusal,
        fills: order.fills.into_iter().map(fill).collect(),
        replaced_by: order.replaced_by,
        placed_at: order.placed_at,
    }
}

fn problem(reason: Reason, message: String) -> wire::Problem {
    wire::Problem { code: reason.as_str().to_owned(), message }
}

fn fill(fill: domain::Fill) -> wire::Fill {
    let domain::Fill { execution_id, price, quantity, fee, at } = fill;
    wire::Fill { execution_id, price, quantity, fee, at }
}

/// What happened, as the desk is told of it. What only a desk can know is not the venue's to tell.
pub(super) fn event(event: OrderEvent) -> wire::Event {
    match event {
        OrderEvent::Acknowledged { .. } => wire::Event::Acknowledged,
        OrderEvent::Refused { reason, code } => wire::Event::Refused(problem(code, reason)),
        OrderEvent::Filled(filled) => wire::Event::Filled(fill(filled)),
        OrderEvent::Corrected { execution_id, by } => wire::Event::Corrected { execution_id, by: fill(by) },
        OrderEvent::Busted { execution_id } => wire::Event::Busted { execution_id },
        OrderEvent::CancelRefused { reason } => wire::Event::CancelRefused { message: reason },
        OrderEvent::Canceled => wire::Event::Canceled,
        OrderEvent::Expired { reason } => wire::Event::Expired { message: reason },
        OrderEvent::ReplaceRefused { reason } => wire::Event::ReplaceRefused { message: reason },
        OrderEvent::Replaced { by } => wire::Event::Replaced { by: by.map(|by| by.to_string()) },
        OrderEvent::Restated { quantity, limit_price, stop_price } => {
            wire::Event::Restated { quantity, limit_price, stop_price }
        }
        OrderEvent::Triggered { .. }
        | OrderEvent::Released { .. }
        | OrderEvent::Submitting { .. }
        | OrderEvent::NotReached { .. }
        | OrderEvent::Lost { .. }
        | OrderEvent::Absent { .. }
        | OrderEvent::CancelRequested
        | OrderEvent::ReplaceRequested { .. } => wire::Event::Unknown,
    }
}
