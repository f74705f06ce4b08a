//! The desk in Alpaca's words: a program written for Alpaca changes its address and its key, and trades here.
//!
//! A request shows a desk API key ([`bot`]), which says in whose name and on which account; from there on everything is
//! asked of the same [`trading::Gateway`] and [`market::Market`] as by everybody else, with the same permissions, limits,
//! kill switches and audit rows. What comes back is put into Alpaca's shapes, which are in the crate `alpaca`: orders
//! ([`orders`]), what happens to them ([`updates`]), positions, the account, prices ([`prices`], [`price_stream`]).
//! Everything that is refused, for whatever reason, is refused in Alpaca's form ([`refusal`]).
//!
//! Nothing is decided here. Where the desk does not have something that Alpaca has, the answer says so; it is never one
//! that looks as if it had been done. And nothing here answers 429 or 504 after an order was journaled: the clients
//! repeat an order on those.

mod bot;
mod query;
mod refusal;
mod symbols;

mod account;
mod assets;
mod history;
mod hours;
mod orders;
mod positions;
mod watchlists;

mod updates;

mod price_stream;
mod prices;

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use crate::Desk;
use crate::rates::Class;

pub(crate) use refusal::{DeniedToBot, Refusal, form_of};

/// Where all of it is.
pub(crate) const PREFIX: &str = "/alpaca";

/// The clients wait for ever, and people do not: every answer comes within 5 seconds.
const LATEST: Duration = Duration::from_millis(4_800);
/// After so long an order's answer is that it is not known, and where to look: before all answers are.
const PATIENCE: Duration = Duration::from_millis(4_500);

/// Everything under [`PREFIX`].
pub(crate) fn routes() -> Router<Desk> {
    let inside = Router::new()
        .merge(account::routes())
        .merge(assets::routes())
        .merge(history::routes())
        .merge(hours::routes())
        .merge(orders::routes())
        .merge(positions::routes())
        .merge(watchlists::routes())
        .merge(updates::routes())
        .merge(prices::routes())
        .merge(price_stream::routes())
        .route("/{*rest}", any(missing))
        .method_not_allowed_fallback(missing)
        .layer(from_fn(in_time));
    Router::new().nest(PREFIX, inside)
}

/// Whether a route is one for prices; the others are for trading.
pub(crate) fn is_about_prices(route: &str) -> bool {
    let inside = route.strip_prefix(PREFIX).unwrap_or(route);
    // `/v2/iex` and its like are streams of prices.
    inside.starts_with("/v2/stocks") || inside.starts_with("/v1beta") || price_stream::is_feed(inside)
}

/// Which budget a request on a route is taken from. Here it is refused before an order is journaled, never after.
pub(crate) fn class(method: &Method, route: &str) -> Class {
    let inside = route.strip_prefix(PREFIX).unwrap_or(route);
    let (orders, positions) = (inside.starts_with("/v2/orders"), inside.starts_with("/v2/positions"));
    match *method {
        Method::DELETE if orders => Class::Free,
        Method::GET | Method::HEAD => Class::Read,
        _ if orders || positions => Class::Order,
        _ => Class::Write,
    }
}

/// Answers when whoever should does not. What was begun goes on, as when a client hangs up.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LATEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let words = "the desk did not answer in time: it is not known yet whether this was done";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words).into_response()
        }
    }
}

/// What Alpaca has and the desk does not, and what neither has.
async fn missing(_: bot::Bot, request: Request) -> Refusal {
    let path = request.uri().path();
    let has = |part: &str| path.contains(part);
    let what = if has("/options") || has("/exercise") {
        "options are not traded on this desk"
    } else if has("/corporate_actions") || has("/corporate-actions") {
        "this desk has no corporate actions"
    } else if has("/locates") {
        "this desk locates no shares"
    } else if has("/news") {
        "this desk has no news"
    } else if has("/screener") {
        "this desk has no screener"
    } else if has("/wallets") || has("/tokenization") {
        "this desk moves no coins"
    } else {
        "endpoint not found"
    };
    Refusal::new(StatusCode::NOT_FOUND, what)
}
