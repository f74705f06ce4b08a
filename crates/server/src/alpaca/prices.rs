//! Market data over REST: bars, trades, quotes, snapshots, and the newest of each, over the desk's own feeds.
//!
//! The desk keeps bars for as long as it has run, the last thousand trades of each instrument, and the newest quote. Bars of
//! every length are put together from minutes.

mod bars;
mod shapes;

use std::collections::BTreeMap;

use alpaca::{
    BookLevel, LatestBars, LatestOrderbooks, LatestQuotes, LatestTrades, Orderbook, QuotesPage, Snapshot,
    Snapshots, SymbolSnapshot, TradesPage,
};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use domain::{Every, Permission, Resource, Symbol, Timestamp};

use super::bot::Bot;
use super::query::Query;
use super::{Refusal, hours, symbols};
use crate::Desk;

pub(super) use bars::day;
pub(super) use shapes::{bar, quote, trade};

/// Trades that are kept of an instrument.
const TRADES: usize = 1_000;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/stocks/bars", get(bars::of_many))
        .route("/v2/stocks/trades", get(trades))
        .route("/v2/stocks/quotes", get(quotes))
        .route("/v2/stocks/bars/latest", get(latest_bars))
        .route("/v2/stocks/trades/latest", get(latest_trades))
        .route("/v2/stocks/quotes/latest", get(latest_quotes))
        .route("/v2/stocks/snapshots", get(stock_snapshots))
        .route("/v2/stocks/{symbol}/bars", get(bars::of_one))
        .route("/v2/stocks/{symbol}/trades", get(trades_of))
        .route("/v2/stocks/{symbol}/quotes", get(quotes_of))
        .route("/v2/stocks/{symbol}/bars/latest", get(latest_bar))
        .route("/v2/stocks/{symbol}/trades/latest", get(latest_trade))
        .route("/v2/stocks/{symbol}/quotes/latest", get(latest_quote))
        .route("/v2/stocks/{symbol}/snapshot", get(stock_snapshot))
        .route("/v1beta3/crypto/{place}/bars", get(bars::of_many))
        .route("/v1beta3/crypto/{place}/trades", get(trades))
        .route("/v1beta3/crypto/{place}/quotes", get(quotes))
        .route("/v1beta3/crypto/{place}/snapshots", get(snapshots))
        .route("/v1beta3/crypto/{place}/latest/bars", get(latest_bars))
        .route("/v1beta3/crypto/{place}/latest/trades", get(latest_trades))
        .route("/v1beta3/crypto/{place}/latest/quotes", get(latest_quotes))
        .route("/v1beta3/crypto/{place}/latest/orderbooks", get(latest_orderbooks))
}

/// Instruments that are asked for, in the order of their names.
fn wanted(desk: &Desk, bot: &Bot, query: &Query) -> Result<Vec<Symbol>, Refusal> {
    bot.ctx.require(Permission::MarketView, Resource::Desk)?;
    query.needed("symbols")?;
    let mut list =
        query.list("symbols").iter().map(|name| named(desk, name)).collect::<Result<Vec<_>, _>>()?;
    list.sort();
    list.dedup();
    Ok(list)
}

/// The instrument in an address.
fn one(desk: &Desk, bot: &Bot, name: &str) -> Result<Symbol, Refusal> {
    bot.ctx.require(Permission::MarketView, Resource::Desk)?;
    named(desk, name)
}

fn named(desk: &Desk, name: &str) -> Result<Symbol, Refusal> {
    let found = symbols::find_or_follow(&desk.market, name).map(|found| found.symbol);
    let name: String = name.chars().take(40).collect();
    found.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, format!("invalid symbol: {name}")))
}

/// From when to when, both with; from midnight to now where nothing is said.
struct Range {
    start: Timestamp,
    end: Timestamp,
    newest_first: bool,
    limit: usize,
}

impl Range {
    fn read(desk: &Desk, query: &Query) -> Result<Self, Refusal> {
        let now = desk.clock.now();
        let newest_first = match query.text("sort").unwrap_or("asc") {
            "asc" => false,
            "desc" => true,
            other => return Err(Refusal::parameter(format!("invalid value for sort: {other:?}"))),
        };
        let limit = query.get::<usize>("limit")?.unwrap_or(1_000);
        if !(1..=10_000).contains(&limit) {
            return Err(Refusal::parameter("limit is from 1 to 10000"));
        }
        let start = query.moment("start")?.unwrap_or_else(|| hours::day_of(now));
        let end = query.moment("end")?.unwrap_or(now).min(now);
        Ok(Self { start, end, newest_first, limit })
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.start..=self.end).contains(&at)
    }
}

/// Rows by the name of their instrument, and the token of the next page.
type Page<T> = (BTreeMap<String, Vec<T>>, Option<String>);

/// Rows of several instruments in one page: what does not fit is asked for with the token. A token is the number of rows
/// that were there before: of data that does not change in the past, that is enough.
fn paged<T>(query: &Query, range: &Range, rows: Vec<(Symbol, Vec<T>)>) -> Result<Page<T>, Refusal> {
    let skip = query.get::<usize>("page_token")?.unwrap_or(0);
    let total: usize = rows.iter().map(|(_, rows)| rows.len()).sum();
    let mut page: BTreeMap<String, Vec<T>> = BTreeMap::new();
    let all =
        rows.into_iter().flat_map(|(symbol, rows)| rows.into_iter().map(move |row| (symbol.clone(), row)));
    for (symbol, row) in all.skip(skip).take(range.limit) {
        page.entry(symbols::shown(&symbol)).or_default().push(row);
    }
    let next = skip.saturating_add(range.limit);
    Ok((page, (next < total).then(|| next.to_string())))
}

async fn trades(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<TradesPage>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let (trades, next_page_token) = trades_in(&desk, &query, list)?;
    Ok(Json(TradesPage { trades, next_page_token }))
}

async fn trades_of(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
    query: Query,
) -> Result<Json<alpaca::TradesOf>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let (mut page, next_page_token) = trades_in(&desk, &query, vec![symbol.clone()])?;
    let trades = page.remove(&symbols::shown(&symbol));
    Ok(Json(alpaca::TradesOf { trades, symbol: symbols::shown(&symbol), next_page_token }))
}

fn trades_in(desk: &Desk, query: &Query, list: Vec<Symbol>) -> Result<Page<alpaca::Trade>, Refusal> {
    let range = Range::read(desk, query)?;
    let rows = list.into_iter().map(|symbol| {
        let recent = desk.market.recent_trades(&symbol, TRADES);
        let mut trades: Vec<_> =
            recent.iter().filter(|trade| range.has(trade.at)).map(|one| trade(one)).collect();
        trades.sort_by_key(|trade| trade.at);
        if range.newest_first {
            trades.reverse();
        }
        (symbol, trades)
    });
    paged(query, &range, rows.collect())
}

async fn quotes(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<QuotesPage>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let (quotes, next_page_token) = quotes_in(&desk, &query, list)?;
    Ok(Json(QuotesPage { quotes, next_page_token }))
}

async fn quotes_of(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
    query: Query,
) -> Result<Json<alpaca::QuotesOf>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let (mut page, next_page_token) = quotes_in(&desk, &query, vec![symbol.clone()])?;
    let quotes = page.remove(&symbols::shown(&symbol));
    Ok(Json(alpaca::QuotesOf { quotes, symbol: symbols::shown(&symbol), next_page_token }))
}

/// Past quotes are not kept: the newest is all there is.
fn quotes_in(desk: &Desk, query: &Query, list: Vec<Symbol>) -> Result<Page<alpaca::Quote>, Refusal> {
    let range = Range::read(desk, query)?;
    let rows = list.into_iter().map(|symbol| {
        let newest = desk.market.quote(&symbol).filter(|quote| range.has(quote.at));
        (symbol, newest.iter().map(quote).collect())
    });
    paged(query, &range, rows.collect())
}

/// What each instrument has; those that have nothing are left out.
fn each<T>(list: &[Symbol], of: impl Fn(&Symbol) -> Option<T>) -> BTreeMap<String, T> {
    list.iter().filter_map(|symbol| Some((symbols::shown(symbol), of(symbol)?))).collect()
}

async fn latest_trades(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<LatestTrades>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let trades = each(&list, |symbol| desk.market.last_trade(symbol).map(|one| trade(&one)));
    Ok(Json(LatestTrades { trades }))
}

async fn latest_quotes(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<LatestQuotes>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let quotes = each(&list, |symbol| desk.market.quote(symbol).as_ref().map(quote));
    Ok(Json(LatestQuotes { quotes }))
}

async fn latest_bars(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<LatestBars>, Refusal> {
    let mut bars = BTreeMap::new();
    for symbol in wanted(&desk, &bot, &query)? {
        if let Some(bar) = minute(&desk, &symbol).await? {
            bars.insert(symbols::shown(&symbol), bar);
        }
    }
    Ok(Json(LatestBars { bars }))
}

/// The best price on each side is all that the desk's feeds tell of the book.
async fn latest_orderbooks(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<LatestOrderbooks>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let orderbooks = each(&list, |symbol| desk.market.quote(symbol).map(|quote| orderbook(&quote)));
    Ok(Json(LatestOrderbooks { orderbooks }))
}

pub(super) fn orderbook(quote: &domain::Quote) -> Orderbook {
    let level = |side: Option<(domain::Price, domain::Quantity)>| {
        side.map(|(price, size)| BookLevel { price: price.into(), size: size.into() }).into_iter().collect()
    };
    Orderbook { at: quote.at, bids: level(quote.bid), asks: level(quote.ask), reset: None }
}

fn nothing(symbol: &Symbol) -> Refusal {
    Refusal::not_found(format!("no data found for {}", symbols::shown(symbol)))
}

async fn latest_trade(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
) -> Result<Json<alpaca::LatestTrade>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let newest = desk.market.last_trade(&symbol).ok_or_else(|| nothing(&symbol))?;
    Ok(Json(alpaca::LatestTrade { symbol: symbols::shown(&symbol), trade: trade(&newest) }))
}

async fn latest_quote(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
) -> Result<Json<alpaca::LatestQuote>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let newest = desk.market.quote(&symbol).ok_or_else(|| nothing(&symbol))?;
    Ok(Json(alpaca::LatestQuote { symbol: symbols::shown(&symbol), quote: quote(&newest) }))
}

async fn latest_bar(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
) -> Result<Json<alpaca::LatestBar>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let bar = minute(&desk, &symbol).await?.ok_or_else(|| nothing(&symbol))?;
    Ok(Json(alpaca::LatestBar { symbol: symbols::shown(&symbol), bar }))
}

/// The newest minute.
async fn minute(desk: &Desk, symbol: &Symbol) -> Result<Option<alpaca::Bar>, Refusal> {
    let bars = desk.market.bars(symbol, Every::Minute, None, 1).await?;
    Ok(bars.last().map(|view| bar(&view.bar)))
}

async fn snapshot(desk: &Desk, symbol: &Symbol) -> Result<Snapshot, Refusal> {
    let today = hours::day_at(symbol, desk.clock.now());
    let before = hours::day_before(symbol, &today);
    Ok(Snapshot {
        latest_trade: desk.market.last_trade(symbol).map(|one| trade(&one)),
        latest_quote: desk.market.quote(symbol).as_ref().map(quote),
        minute_bar: minute(desk, symbol).await?,
        daily_bar: day(desk, symbol, &today).await?,
        prev_daily_bar: day(desk, symbol, &before).await?,
    })
}

async fn snapshots_of(desk: &Desk, bot: &Bot, query: &Query) -> Result<BTreeMap<String, Snapshot>, Refusal> {
    let mut all = BTreeMap::new();
    for symbol in wanted(desk, bot, query)? {
        all.insert(symbols::shown(&symbol), snapshot(desk, &symbol).await?);
    }
    Ok(all)
}

async fn snapshots(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<Snapshots>, Refusal> {
    Ok(Json(Snapshots { snapshots: snapshots_of(&desk, &bot, &query).await? }))
}

/// Those of shares come without an envelope.
async fn stock_snapshots(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<BTreeMap<String, Snapshot>>, Refusal> {
    Ok(Json(snapshots_of(&desk, &bot, &query).await?))
}

async fn stock_snapshot(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
) -> Result<Json<SymbolSnapshot>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let of = snapshot(&desk, &symbol).await?;
    Ok(Json(SymbolSnapshot::new(symbols::shown(&symbol), of)))
}
