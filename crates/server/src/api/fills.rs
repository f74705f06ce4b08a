//! Executions of our orders.

use axum::extract::State;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use trading::{BookedFill, FillFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::words::{self, At, Decimal};
use super::{orders, page};
use crate::Desk;
use crate::json::Query;
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(fills))
}

/// An execution.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fill {
    /// Unique on the desk: the account's id and the number of the fill on it.
    id: String,
    /// What sort of booking it is.
    #[schema(value_type = words::BookingKind)]
    kind: &'static str,
    /// The broker's id.
    execution_id: String,
    /// The execution that this one corrects or takes back.
    #[schema(required)]
    corrects: Option<String>,
    /// None where units only moved between two books.
    #[schema(required)]
    order_id: Option<String>,
    account_id: String,
    /// None is the account's own.
    #[schema(required)]
    book_id: Option<String>,
    symbol: String,
    #[schema(value_type = words::Side)]
    side: domain::Side,
    price: Decimal,
    /// Below zero where an execution is taken back.
    quantity: Decimal,
    /// What the broker took; below zero is a rebate.
    fee: Decimal,
    at: At,
    /// Profit that it realised, less its fee.
    realised_pnl: Decimal,
}

impl From<BookedFill> for Fill {
    fn from(booked: BookedFill) -> Self {
        Self {
            id: format!("{}-{}", booked.account, booked.seq),
            kind: booked.kind.as_str(),
            execution_id: booked.fill.execution_id,
            corrects: booked.corrects,
            order_id: booked.order.map(|id| id.to_string()),
            account_id: booked.account.to_string(),
            book_id: booked.book.map(|id| id.to_string()),
            symbol: booked.symbol.to_string(),
            side: booked.side,
            price: booked.fill.price.into(),
            quantity: booked.fill.quantity.into(),
            fee: booked.fill.fee.into(),
            at: At(booked.fill.at),
            realised_pnl: booked.realised_pnl.into(),
        }
    }
}

/// A page of executions.
#[derive(Serialize, ToSchema)]
struct FillList {
    items: Vec<Fill>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct FillsQuery {
    /// Only of this account.
    account_id: Option<String>,
    /// Only of this instrument.
    symbol: Option<String>,
    /// Only of this order.
    order_id: Option<String>,
    /// Only in this book.
    book_id: Option<String>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Executions
///
/// Newest first, of all accounts that may be seen.
#[utoipa::path(get, path = "/api/v1/fills", tag = "Orders", params(FillsQuery),
    responses((status = 200, body = FillList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn fills(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<FillsQuery>,
) -> Result<axum::Json<FillList>, Problem> {
    let ctx = who.context();
    let limit = page::limit(query.limit)?;
    let before: Option<(Timestamp, i64)> = page::start("fills", query.cursor.as_deref())?;
    let account = orders::visible_account(ctx, query.account_id.as_deref())?;
    let filter = FillFilter {
        account,
        symbol: orders::symbol(query.symbol.as_deref())?,
        order: named(query.order_id.as_deref())?,
        book: named(query.book_id.as_deref())?,
    };
    let mut found = desk.gateway.fills(ctx, &filter, before, limit as usize + 1).await?;
    let next_cursor = page::cut(&mut found, limit, "fills", |booked| (booked.fill.at, booked.seq));
    Ok(axum::Json(FillList { items: found.into_iter().map(Fill::from).collect(), next_cursor }))
}

/// An id in a query; one that is malformed names nothing.
fn named<T: std::str::FromStr>(id: Option<&str>) -> Result<Option<T>, Problem> {
    id.map(str::parse).transpose().map_err(|_| Problem::new(Code::NotFound))
}
