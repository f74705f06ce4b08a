//! What somebody who rehearses a bad day asks for, with a key of its own. A venue that plays dead still obeys.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use connectors::paper::wire;
use trading::AmendFailure;

use super::{INVALID, No, Shared, read};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/drills/misbehave", post(misbehave))
        .route("/v1/drills/halt", post(halt))
        .route("/v1/drills/bust", post(bust))
        .route("/v1/drills/correct", post(correct))
        .route("/v1/drills/deposit", post(deposit))
}

async fn misbehave(State(shared): State<Arc<Shared>>, body: Body) -> Result<StatusCode, No> {
    let drill: wire::MisbehaveDrill = read(body).await?;
    let how = drill.behaviour().map_err(|error| invalid(&error.to_string()))?;
    shared.venue.misbehave(how).await.map(done).map_err(broken)
}

async fn halt(State(shared): State<Arc<Shared>>, body: Body) -> Result<StatusCode, No> {
    let wire::HaltDrill { symbol, halted } = read(body).await?;
    shared.venue.halt(symbol, halted).await.map(done).map_err(broken)
}

async fn bust(State(shared): State<Arc<Shared>>, body: Body) -> Result<StatusCode, No> {
    let wire::BustDrill { account, execution_id } = read(body).await?;
    shared.venue.bust(account, &execution_id).await.map(done).map_err(amend)
}

async fn correct(State(shared): State<Arc<Shared>>, body: Body) -> Result<StatusCode, No> {
    let wire::CorrectDrill { account, execution_id, price, quantity } = read(body).await?;
    if !price.is_positive() || !quantity.is_positive() {
        return Err(invalid("price and quantity of an execution are above zero"));
    }
    shared.venue.correct(account, &execution_id, price, quantity).await.map(done).map_err(amend)
}

async fn deposit(State(shared): State<Arc<Shared>>, body: Body) -> Result<StatusCode, No> {
    let wire::DepositDrill { account, amount } = read(body).await?;
    shared.broker(account).await?;
    shared.venue.deposit(account, amount).await.map(done).map_err(broken)
}

fn done((): ()) -> StatusCode {
    StatusCode::NO_CONTENT
}

fn invalid(text: &str) -> No {
    No::problem(StatusCode::BAD_REQUEST, INVALID, text)
}

fn broken(error: impl std::fmt::Display) -> No {
    No::problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string())
}

fn amend(error: AmendFailure) -> No {
    match error {
        AmendFailure::NoSuchExecution(error) => {
            No::problem(StatusCode::UNPROCESSABLE_ENTITY, INVALID, &error.to_string())
        }
        AmendFailure::Storage(error) => broken(error),
    }
}
