//! Virtual books of an account: whose they are, what they hold, and what moves between them.

use axum::extract::State;
use axum::http::StatusCode;
use domain::{AccountId, BookId, CostMethod, Permission, Resource, Symbol};
use serde::{Deserialize, Serialize};
use trading::books::{BookHolding, BookKind, BookState, CashTransfer, NewBook, UnitTransfer};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::names::Who;
use super::orders::{maybe, number};
use super::page::{self, PageQuery};
use super::words::{self, At, Decimal};
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(books))
        .routes(routes!(open_book))
        .routes(routes!(close_book))
        .routes(routes!(transfer))
        .routes(routes!(set_cost_method))
        .routes(routes!(lots))
}

/// A book on an account.
#[derive(Serialize, ToSchema)]
struct Book {
    /// The account's own book has none.
    #[schema(required)]
    id: Option<String>,
    name: String,
    /// What sort of owner it has; `own` is the account's own.
    #[schema(value_type = words::BookKind)]
    kind: &'static str,
    /// A user, or a strategy by its name.
    #[schema(required)]
    owner: Option<Who>,
    /// How the cost of what it sells is reckoned.
    #[schema(value_type = words::CostMethod)]
    cost_method: CostMethod,
    /// Money not invested.
    cash: Decimal,
    /// What its open buy orders may still cost.
    reserved: Decimal,
    buying_power: Decimal,
    /// Cash and holdings at market prices (at cost where there is no price).
    equity: Decimal,
    /// Profit of what was closed, less fees.
    realised_pnl: Decimal,
    /// Profit of what is held, at market prices.
    unrealised_pnl: Decimal,
    fees: Decimal,
    /// Money that came in without a trade, less what went out. Not profit.
    funded: Decimal,
    open_orders: usize,
    positions: Vec<BookPosition>,
    #[schema(required)]
    opened_at: Option<At>,
    #[schema(required)]
    closed_at: Option<At>,
}

/// What a book holds of an instrument.
#[derive(Serialize, ToSchema)]
struct BookPosition {
    symbol: String,
    /// Below zero when short.
    quantity: Decimal,
    /// Units that its open orders may still sell.
    selling: Decimal,
    average_price: Decimal,
    /// Last price on the tape.
    #[schema(required)]
    market_price: Option<Decimal>,
    #[schema(required)]
    market_value: Option<Decimal>,
    realised_pnl: Decimal,
    #[schema(required)]
    unrealised_pnl: Option<Decimal>,
}

impl From<&BookHolding> for BookPosition {
    fn from(holding: &BookHolding) -> Self {
        let (position, price) = (&holding.position, holding.market_price);
        Self {
            symbol: holding.symbol.to_string(),
            quantity: position.quantity.into(),
            selling: holding.selling.into(),
            average_price: Decimal::average(position.average_price().unwrap_or_default()),
            market_price: price.map(Decimal::from),
            market_value: price.map(|price| position.value(price).into()),
            realised_pnl: position.realised_pnl.into(),
            unrealised_pnl: price.map(|price| position.unrealised_pnl(price).into()),
        }
    }
}

impl Book {
    async fn new(desk: &Desk, state: &BookState) -> Self {
        let book = state.book.as_ref();
        let owner = match book.and_then(|book| book.owner.as_deref()) {
            Some(owner) => Some(Who::of(desk, owner).await),
            None => None,
        };
        Self {
            id: book.map(|book| book.id.to_string()),
            name: book.map_or_else(|| "The account's own".to_owned(), |book| book.name.clone()),
            kind: book.map_or("own", |book| book.kind.as_str()),
            owner,
            cost_method: state.cost_method,
            cash: state.cash.into(),
            reserved: state.reserved.into(),
            buying_power: state.buying_power.into(),
            equity: state.equity.into(),
            realised_pnl: state.realised_pnl.into(),
            unrealised_pnl: state.unrealised_pnl.into(),
            fees: state.fees.into(),
            funded: state.funded.into(),
            open_orders: state.open_orders,
            positions: state.positions.iter().map(BookPosition::from).collect(),
            opened_at: book.map(|book| At(book.opened_at)),
            closed_at: book.and_then(|book| book.closed_at).map(At),
        }
    }
}

/// The books of an account.
#[derive(Serialize, ToSchema)]
struct BookList {
    items: Vec<Book>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The books of an account
///
/// The account's own first. Together they are the account: in units and cash exactly, in profit at any price.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/books", tag = "Books", params(("id" = String, Path, description = "The account."), PageQuery),
    responses((status = 200, body = BookList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn books(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<BookList>, Problem> {
    let books = desk.gateway.books(who.context(), account)?;
    let id = |state: &BookState| state.book.as_ref().map(|book| book.id);
    let (books, next_cursor) = page::part(books, page.limit, page.cursor.as_deref(), "books", id)?;
    let mut items = Vec::with_capacity(books.len());
    for state in &books {
        items.push(Book::new(&desk, state).await);
    }
    Ok(axum::Json(BookList { items, next_cursor }))
}

/// A book to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BookRequest {
    /// 1 to 64 characters, unique on the account.
    name: String,
    #[schema(value_type = words::BookOwnerKind)]
    kind: String,
    /// The id of a user, or the name of a strategy. Orders of theirs that name no book go to it.
    #[schema(nullable = false)]
    owner: Option<String>,
    /// How the cost of what it sells is reckoned; as on the account if it is not said.
    #[schema(value_type = Option<words::CostMethod>, nullable = false)]
    cost_method: Option<CostMethod>,
    /// What it gets from the account's own book.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    opening_cash: Option<String>,
}

/// Open a book
#[utoipa::path(post, path = "/api/v1/accounts/{id}/books", tag = "Books", request_body = BookRequest,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 201, body = Book), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn open_book(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Json(body): Json<BookRequest, LARGEST_ORDER>,
) -> Result<(StatusCode, axum::Json<Book>), Problem> {
    let ctx = who.context();
    ctx.require(Permission::BooksManage, Resource::Account(account))?;
    let new = NewBook {
        name: body.name,
        kind: number::<BookKind>(&body.kind, "kind")?,
        owner: body.owner,
        cost_method: body.cost_method,
        opening_cash: maybe(body.opening_cash.as_deref(), "opening_cash")?,
    };
    let opened = desk.gateway.open_book(ctx, account, new).await?;
    let books = desk.gateway.books(ctx, account)?;
    let opened = books.iter().find(|state| state.book.as_ref().is_some_and(|book| book.id == opened.id));
    let opened = opened.ok_or_else(|| Problem::internal("a book that was opened is not there", &account))?;
    Ok((StatusCode::CREATED, axum::Json(Book::new(&desk, opened).await)))
}

/// Close a book
///
/// Once it holds nothing and none of its orders is open. Its cash goes to the account's own book; its profit stays in
/// the records.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}/books/{book_id}", tag = "Books",
    params(("id" = String, Path, description = "The account."), ("book_id" = String, Path, description = "The book."), Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn close_book(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((account, book)): Path<(AccountId, BookId)>,
) -> Result<StatusCode, Problem> {
    desk.gateway.close_book(who.context(), account, book).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Money or units to move between two books of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BookTransfer {
    /// The book that gives; without one the account's own.
    #[schema(nullable = false)]
    from: Option<String>,
    /// The book that gets it; without one the account's own.
    #[schema(nullable = false)]
    to: Option<String>,
    /// Money, above zero. Either this or `symbol` and `quantity`.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    amount: Option<String>,
    #[schema(nullable = false)]
    symbol: Option<String>,
    /// Units; below zero moves a short position.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    quantity: Option<String>,
    /// What one unit is reckoned at; without it the latest price.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    price: Option<String>,
    /// Why: it goes to the audit log with your name.
    note: String,
}

/// What was moved.
#[derive(Serialize, ToSchema)]
struct BookTransferred {
    #[schema(required)]
    amount: Option<Decimal>,
    #[schema(required)]
    quantity: Option<Decimal>,
    #[schema(required)]
    price: Option<Decimal>,
    /// What the giver earned by it.
    #[schema(required)]
    realised_pnl: Option<Decimal>,
}

/// Move money or units between two books
///
/// Nothing goes to the broker: to it the account stays as it is. To the two books units are a sale and a purchase.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/books/transfers", tag = "Books", request_body = BookTransfer,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = BookTransferred), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn transfer(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Json(body): Json<BookTransfer, LARGEST_ORDER>,
) -> Result<axum::Json<BookTransferred>, Problem> {
    let ctx = who.context();
    ctx.require(Permission::BooksManage, Resource::Account(account))?;
    let (from, to) = (book(body.from.as_deref(), "from")?, book(body.to.as_deref(), "to")?);
    let note = body.note;
    match (body.amount, body.symbol, body.quantity) {
        (Some(amount), None, None) => {
            let amount = number(&amount, "amount")?;
            desk.gateway.transfer_cash(ctx, account, CashTransfer { from, to, amount, note }).await?;
            Ok(axum::Json(BookTransferred {
                amount: Some(amount.into()),
                quantity: None,
                price: None,
                realised_pnl: None,
            }))
        }
        (None, Some(symbol), Some(quantity)) => {
            let symbol: Symbol = number(&symbol, "symbol")?;
            let quantity = number(&quantity, "quantity")?;
            let price = maybe(body.price.as_deref(), "price")?;
            let moved = UnitTransfer { from, to, symbol, quantity, price, note };
            let moved = desk.gateway.transfer_units(ctx, account, moved).await?;
            Ok(axum::Json(BookTransferred {
                amount: None,
                quantity: Some(moved.quantity.into()),
                price: Some(moved.price.into()),
                realised_pnl: Some(moved.realised_pnl.into()),
            }))
        }
        _ => Err(Problem::field(
            Code::FieldInvalid,
            "amount",
            "Give an `amount`, or a `symbol` with a `quantity`.",
        )),
    }
}

/// How the cost of what is sold is to be reckoned.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CostMethodRequest {
    #[schema(value_type = words::CostMethod)]
    cost_method: CostMethod,
    /// In which book; without one on the account as a whole and in its own book.
    #[schema(nullable = false)]
    book_id: Option<String>,
}

/// Say how the cost of what is sold is reckoned
///
/// Everything is reckoned again from the first fill: the profit moves between realised and unrealised, and stays the
/// same together.
#[utoipa::path(put, path = "/api/v1/accounts/{id}/cost-method", tag = "Books", request_body = CostMethodRequest,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn set_cost_method(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Json(body): Json<CostMethodRequest, LARGEST_ORDER>,
) -> Result<StatusCode, Problem> {
    let book = book(body.book_id.as_deref(), "book_id")?;
    desk.gateway.set_cost_method(who.context(), account, book, body.cost_method).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct LotsQuery {
    /// Only those of this book; the nil UUID is the account's own.
    book_id: Option<String>,
}

/// A part of a position that was opened at one price.
#[derive(Serialize, ToSchema)]
struct Lot {
    /// Below zero when short.
    quantity: Decimal,
    price: Decimal,
    opened_at: At,
    execution_id: String,
}

/// What a position is made of.
#[derive(Serialize, ToSchema)]
struct LotList {
    items: Vec<Lot>,
}

/// The lots of a position
///
/// Oldest first: first in, first out closes them in this order.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/positions/{symbol}/lots", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), ("symbol" = String, Path, description = "The instrument."), LotsQuery),
    responses((status = 200, body = LotList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn lots(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((account, symbol)): Path<(AccountId, Symbol)>,
    Query(query): Query<LotsQuery>,
) -> Result<axum::Json<LotList>, Problem> {
    let ctx = who.context();
    let position = match book(query.book_id.as_deref(), "book_id")? {
        None => {
            let holdings = desk.gateway.positions(ctx, account)?;
            holdings.into_iter().find(|one| one.symbol == symbol).map(|one| one.position)
        }
        Some(id) => {
            let books = desk.gateway.books(ctx, account)?;
            let of = |state: &BookState| state.book.as_ref().map_or(trading::books::OWN_BOOK, |book| book.id);
            let found = books.into_iter().find(|state| of(state) == id);
            let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
            found.positions.into_iter().find(|one| one.symbol == symbol).map(|one| one.position)
        }
    };
    let lot = |lot: &domain::Lot| Lot {
        quantity: lot.quantity.into(),
        price: lot.price.into(),
        opened_at: At(lot.opened_at),
        execution_id: lot.execution_id.to_string(),
    };
    Ok(axum::Json(LotList { items: position.iter().flat_map(|position| position.lots()).map(lot).collect() }))
}

/// A book by its id, in a field.
fn book(id: Option<&str>, field: &str) -> Result<Option<BookId>, Problem> {
    let book = id.map(str::parse::<BookId>).transpose();
    book.map_err(|_| Problem::field(Code::BookUnknown, field, "There is no such book."))
}
