//! The REST API under `/api/v1`: one file per resource, each with its types, handlers and `routes()`.
//!
//! Nothing leaves the desk unless a response type here has a field for it, and nothing is read from a request that
//! a request type does not name. The OpenAPI document is made from these very handlers.

mod accounts;
mod approvals;
mod audit;
mod books;
mod custody;
mod encryption;
mod factors;
mod fills;
mod health;
mod keys;
mod kill_switches;
mod limits;
mod live;
mod market;
mod names;
mod orders;
mod page;
mod portfolio;
mod roles;
mod session;
mod usage;
mod users;
mod venue;
mod webhooks;
pub(crate) mod words;

use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::Desk;

pub(crate) use accounts::{AccountDetail, Position};
pub(crate) use fills::Fill;
pub(crate) use market::{Bar, Feed, QuoteEvent, Trade};
pub(crate) use orders::{Order, UnknownOrderList};

/// What the document says about itself.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Stockade",
        description = "The API of a trading desk. Everything its page does, it does through this.\n\n\
            Prices, quantities and amounts are strings, so that no digit is lost. Times are RFC 3339, UTC, with \
            microseconds. Fields that do not exist are refused. Lists are read in pages: pass `next_cursor` as \
            `cursor`. A write may carry an `Idempotency-Key`: repeated with the same key and body it is done once."
    ),
    // Only in a parameter, where schemas are not collected by themselves: the scope.
    components(schemas(crate::problem::ProblemBody, crate::problem::FieldError, words::OrderScope, words::UsagePeriod, words::UsageBy)),
    modifiers(&Credentials),
    security(("session" = []), ("key" = []))
)]
struct Document;

struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "__Host-session",
            "Given by POST /api/v1/session.",
        )));
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An API key of POST /api/v1/keys, as `ID.SECRET`. The headers APCA-API-KEY-ID and \
                 APCA-API-SECRET-KEY do as well.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", cookie);
        components.add_security_scheme("key", SecurityScheme::Http(key));
    }
}

/// All resources, with their documentation.
pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(session::routes())
        .merge(factors::routes())
        .merge(keys::routes())
        .merge(webhooks::routes())
        .merge(encryption::routes())
        .merge(roles::routes())
        .merge(users::routes())
        .merge(market::routes())
        .merge(accounts::routes())
        .merge(custody::routes())
        .merge(orders::routes())
        .merge(fills::routes())
        .merge(venue::routes())
        .merge(books::routes())
        .merge(portfolio::routes())
        .merge(live::routes())
        .merge(kill_switches::routes())
        .merge(limits::routes())
        .merge(approvals::routes())
        .merge(usage::routes())
        .merge(audit::routes())
}

/// Routes that answer before anybody has signed in, or owns the desk.
pub(crate) fn open_routes() -> OpenApiRouter<Desk> {
    health::routes()
}

/// A length of time as the API shows it.
fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
