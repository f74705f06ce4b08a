//! What an account is worth, was worth, and earned; with the formula of every number.

use axum::extract::State;
use domain::{AccountId, BookId, Timestamp};
use serde::{Deserialize, Serialize};
use trading::portfolio::{self, Every, PortfolioError, formulas};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::words::{self, At, Decimal};
use crate::Desk;
use crate::json::{Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(portfolio)).routes(routes!(history))
}

/// What an account is worth, and where its profit comes from.
#[derive(Serialize, ToSchema)]
struct Portfolio {
    at: At,
    /// Cash and holdings at market prices.
    value: Decimal,
    cash: Decimal,
    /// What came in from outside since the account was opened, less what went out.
    deposits: Decimal,
    realised: Decimal,
    unrealised: Decimal,
    fees: Decimal,
    allocation: Vec<Allocation>,
    by_book: Vec<BookProfit>,
    by_symbol: Vec<SymbolProfit>,
    /// Newest first.
    by_day: Vec<DayProfit>,
    periods: Vec<PeriodReturn>,
    /// How each of these numbers is reckoned.
    formulas: Vec<Formula>,
}

/// A part of what an account is worth.
#[derive(Serialize, ToSchema)]
struct Allocation {
    /// None is cash.
    #[schema(required)]
    symbol: Option<String>,
    value: Decimal,
    /// Of the whole; none where that is nothing or less.
    #[schema(required)]
    fraction: Option<f64>,
}

/// A book by its name.
#[derive(Serialize, ToSchema)]
struct BookName {
    /// The account's own book has none.
    #[schema(required)]
    id: Option<String>,
    name: String,
}

/// What a book is worth and earned.
#[derive(Serialize, ToSchema)]
struct BookProfit {
    book: BookName,
    value: Decimal,
    realised: Decimal,
    unrealised: Decimal,
    fees: Decimal,
}

/// What was earned with an instrument.
#[derive(Serialize, ToSchema)]
struct SymbolProfit {
    symbol: String,
    quantity: Decimal,
    value: Decimal,
    realised: Decimal,
    unrealised: Decimal,
}

/// What was earned on a day, UTC.
#[derive(Serialize, ToSchema)]
struct DayProfit {
    /// Its beginning.
    day: At,
    profit: Decimal,
    realised: Decimal,
    unrealised: Decimal,
    /// What came in from outside, less what went out.
    flows: Decimal,
}

/// What was earned over a period that ends now.
#[derive(Serialize, ToSchema)]
struct PeriodReturn {
    #[schema(value_type = words::Period)]
    period: &'static str,
    /// None where nothing is known of its beginning.
    #[schema(required)]
    since: Option<At>,
    profit: Decimal,
    /// As if nothing had come in or gone out.
    #[schema(required)]
    time_weighted: Option<Return>,
    /// With what came in and went out, when it did.
    #[schema(required)]
    money_weighted: Option<Return>,
    #[schema(required)]
    drawdown: Option<Drawdown>,
}

/// A return: 0.01 is 1 %.
#[derive(Serialize, ToSchema)]
struct Return {
    fraction: f64,
    /// None under a year.
    #[schema(required)]
    per_year: Option<f64>,
}

impl From<domain::returns::Return> for Return {
    fn from(earned: domain::returns::Return) -> Self {
        Self { fraction: earned.fraction, per_year: earned.per_year }
    }
}

/// How far below its highest an account is, or was at most, as a fraction of that.
#[derive(Serialize, ToSchema)]
struct Drawdown {
    now: f64,
    maximum: f64,
}

/// How a number is reckoned.
#[derive(Serialize, ToSchema)]
struct Formula {
    /// The field that it is about.
    id: &'static str,
    title: &'static str,
    formula: &'static str,
    /// What goes into it, and where that comes from.
    inputs: &'static str,
}

impl Portfolio {
    fn new(portfolio: portfolio::Portfolio) -> Self {
        let of_book = |one: portfolio::BookProfit| BookProfit {
            book: BookName {
                id: one.book.as_ref().map(|book| book.id.to_string()),
                name: one.book.map_or_else(|| "The account's own".to_owned(), |book| book.name),
            },
            value: one.value.into(),
            realised: one.realised.into(),
            unrealised: one.unrealised.into(),
            fees: one.fees.into(),
        };
        let of_symbol = |one: portfolio::SymbolProfit| SymbolProfit {
            symbol: one.symbol.to_string(),
            quantity: one.quantity.into(),
            value: one.value.into(),
            realised: one.realised.into(),
            unrealised: one.unrealised.into(),
        };
        let of_day = |one: portfolio::DayProfit| DayProfit {
            day: At(one.day),
            profit: one.profit.into(),
            realised: one.realised.into(),
            unrealised: one.unrealised.into(),
            flows: one.flows.into(),
        };
        let of_period = |one: portfolio::PeriodReturn| PeriodReturn {
            period: one.period.as_str(),
            since: one.since.map(At),
            profit: one.profit.into(),
            time_weighted: one.time_weighted.map(Return::from),
            money_weighted: one.money_weighted.map(Return::from),
            drawdown: one.drawdown.map(|fall| Drawdown { now: fall.now, maximum: fall.maximum }),
        };
        let part = |one: portfolio::Allocation| Allocation {
            symbol: one.symbol.map(|symbol| symbol.to_string()),
            value: one.value.into(),
            fraction: one.fraction,
        };
        let formula = |one: &portfolio::Formula| Formula {
            id: one.id,
            title: one.title,
            formula: one.formula,
            inputs: one.inputs,
        };
        Self {
            at: At(portfolio.at),
            value: portfolio.value.into(),
            cash: portfolio.cash.into(),
            deposits: portfolio.deposits.into(),
            realised: portfolio.realised.into(),
            unrealised: portfolio.unrealised.into(),
            fees: portfolio.fees.into(),
            allocation: portfolio.allocation.into_iter().map(part).collect(),
            by_book: portfolio.by_book.into_iter().map(of_book).collect(),
            by_symbol: portfolio.by_symbol.into_iter().map(of_symbol).collect(),
            by_day: portfolio.by_day.into_iter().map(of_day).collect(),
            periods: portfolio.periods.into_iter().map(of_period).collect(),
            formulas: formulas().iter().map(formula).collect(),
        }
    }
}

/// What an account is worth and earned
///
/// Deposits and withdrawals are not profit. Each number comes with its formula.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/portfolio", tag = "Accounts", params(("id" = String, Path, description = "The account.")),
    responses((status = 200, body = Portfolio), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn portfolio(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
) -> Result<axum::Json<Portfolio>, Problem> {
    Ok(axum::Json(Portfolio::new(desk.gateway.portfolio(who.context(), account).await?)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// The time between two points: minutes are kept for 7 days, hours for a year, days for ever.
    #[param(value_type = words::HistoryStep, inline)]
    every: String,
    /// Only of this book; the nil UUID is the account's own.
    book_id: Option<String>,
    /// Not before, RFC 3339; else all that is kept.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Not after; else until now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// What an account or a book was worth at a moment.
#[derive(Serialize, ToSchema)]
struct EquityPoint {
    at: At,
    equity: Decimal,
    cash: Decimal,
    realised: Decimal,
    unrealised: Decimal,
    /// What came in from outside until then since the account was opened, less what went out.
    flows: Decimal,
}

/// What an account or a book was worth, oldest first.
#[derive(Serialize, ToSchema)]
struct EquityHistory {
    items: Vec<EquityPoint>,
}

/// What an account was worth
#[utoipa::path(get, path = "/api/v1/accounts/{id}/history", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), HistoryQuery),
    responses((status = 200, body = EquityHistory), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn history(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Query(query): Query<HistoryQuery>,
) -> Result<axum::Json<EquityHistory>, Problem> {
    let every: Every = query.every.parse().map_err(|why: domain::UnknownName| {
        Problem::field(Code::FieldInvalid, "every", sentence(&why.to_string()))
    })?;
    let book = query.book_id.as_deref().map(str::parse::<BookId>).transpose();
    let book = book.map_err(|_| Problem::new(Code::NotFound))?;
    let from = query.from.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = query.to.unwrap_or(desk.clock.now());
    let points = desk.gateway.portfolio_history(who.context(), account, book, every, from, to).await?;
    let point = |one: portfolio::EquityPoint| EquityPoint {
        at: At(one.at),
        equity: one.equity.into(),
        cash: one.cash.into(),
        realised: one.realised.into(),
        unrealised: one.unrealised.into(),
        flows: one.flows.into(),
    };
    Ok(axum::Json(EquityHistory { items: points.into_iter().map(point).collect() }))
}

impl From<PortfolioError> for Problem {
    fn from(error: PortfolioError) -> Self {
        match error {
            PortfolioError::Denied(denied) => denied.into(),
            PortfolioError::Storage(error) => error.into(),
        }
    }
}
