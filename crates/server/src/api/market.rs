//! Prices: instruments, bars, trades, and the feeds they come from.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::{Every, Permission, Resource, Symbol, TakerSide, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::PageQuery;
use super::words::{self, At, Decimal};
use super::{millis, page};
use crate::Desk;
use crate::json::Query;
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(symbols))
        .routes(routes!(bars))
        .routes(routes!(trades))
        .routes(routes!(feed))
}

/// An instrument and where it stands.
#[derive(Serialize, ToSchema)]
struct MarketSymbol {
    symbol: String,
    /// What is bought.
    base: String,
    /// What it is paid with.
    quote: String,
    /// Prices of orders are multiples of this.
    price_increment: Decimal,
    /// Quantities of orders are multiples of this.
    quantity_increment: Decimal,
    #[schema(required)]
    last_price: Option<Decimal>,
    #[schema(required)]
    last_at: Option<At>,
    #[schema(required)]
    bid: Option<Decimal>,
    #[schema(required)]
    ask: Option<Decimal>,
    #[schema(required)]
    bid_size: Option<Decimal>,
    #[schema(required)]
    ask_size: Option<Decimal>,
    #[schema(required)]
    quote_at: Option<At>,
    /// Change of the last price over 24 hours, as a fraction: "0.01" is 1 %.
    #[schema(required)]
    change_24h: Option<Decimal>,
    /// Units traded in 24 hours.
    volume_24h: Decimal,
}

/// All instruments.
#[derive(Serialize, ToSchema)]
struct SymbolList {
    items: Vec<MarketSymbol>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Instruments and where they stand
#[utoipa::path(get, path = "/api/v1/market/symbols", tag = "Market", params(PageQuery),
    responses((status = 200, body = SymbolList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn symbols(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<SymbolList>, Problem> {
    who.context().require(Permission::MarketView, Resource::Desk)?;
    let symbols = desk.market.symbols();
    let (symbols, next_cursor) =
        page::part(symbols, page.limit, page.cursor.as_deref(), "symbols", Symbol::to_string)?;
    let items = symbols.iter().filter_map(|symbol| stand(&desk, symbol)).collect();
    Ok(axum::Json(SymbolList { items, next_cursor }))
}

fn stand(desk: &Desk, symbol: &Symbol) -> Option<MarketSymbol> {
    let market = &desk.market;
    let instrument = market.instrument(symbol)?;
    let (last, quote, day) = (market.last_trade(symbol), market.quote(symbol), market.day(symbol));
    let (bid, ask) = quote.as_ref().map_or((None, None), |quote| (quote.bid, quote.ask));
    Some(MarketSymbol {
        symbol: instrument.symbol.to_string(),
        base: instrument.base,
        quote: instrument.quote,
        price_increment: instrument.price_increment.into(),
        quantity_increment: instrument.quantity_increment.into(),
        last_price: last.as_ref().map(|trade| trade.price.into()),
        last_at: last.map(|trade| At(trade.at)),
        bid: bid.map(|(price, _)| price.into()),
        ask: ask.map(|(price, _)| price.into()),
        bid_size: bid.map(|(_, size)| size.into()),
        ask_size: ask.map(|(_, size)| size.into()),
        quote_at: quote.map(|quote| At(quote.at)),
        change_24h: day.as_ref().and_then(|day| day.change).map(|change| change.round_dp(6).into()),
        volume_24h: day.map(|day| day.volume).unwrap_or_default().into(),
    })
}

/// What happened in a window of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bar {
    /// Start of the window.
    start_at: At,
    open: Decimal,
    high: Decimal,
    low: Decimal,
    close: Decimal,
    /// Units traded.
    volume: Decimal,
    /// Volume-weighted average price.
    vwap: Decimal,
    /// Number of trades.
    trades: u64,
    /// Units that lifted the ask.
    buy_volume: Decimal,
    /// Units that hit the bid.
    sell_volume: Decimal,
    buy_trades: u64,
    sell_trades: u64,
    /// Whether the window is over. A late trade may still amend it.
    r#final: bool,
}

impl Bar {
    pub(crate) fn new(bar: &domain::Bar, is_final: bool) -> Self {
        Self {
            start_at: At(bar.start_at),
            open: bar.open.into(),
            high: bar.high.into(),
            low: bar.low.into(),
            close: bar.close.into(),
            volume: bar.volume.into(),
            vwap: Decimal::average(bar.vwap()),
            trades: bar.trades,
            buy_volume: bar.buy_volume.into(),
            sell_volume: bar.sell_volume.into(),
            buy_trades: bar.buy_trades,
            sell_trades: bar.sell_trades,
            r#final: is_final,
        }
    }
}

/// Bars of an instrument.
#[derive(Serialize, ToSchema)]
struct BarList {
    symbol: String,
    #[schema(value_type = words::BarLength)]
    every: Every,
    /// Oldest first. A window without a trade has no bar.
    items: Vec<Bar>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct BarsQuery {
    #[param(example = "BTC-USD")]
    symbol: String,
    /// The length of a bar.
    #[param(value_type = words::BarLength)]
    every: Every,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// Only bars that start before this time: the `start_at` of the oldest one of the page before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
}

/// Bars
///
/// The latest ones, or the latest ones before a time.
#[utoipa::path(get, path = "/api/v1/market/bars", tag = "Market", params(BarsQuery),
    responses((status = 200, body = BarList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn bars(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<BarsQuery>,
) -> Result<axum::Json<BarList>, Problem> {
    who.context().require(Permission::MarketView, Resource::Desk)?;
    let symbol = known(&desk, &query.symbol)?;
    let limit = page::limit(query.limit)? as usize;
    let bars = desk.market.bars(&symbol, query.every, query.before, limit).await?;
    let items = bars.iter().map(|view| Bar::new(&view.bar, view.is_final)).collect();
    Ok(axum::Json(BarList { symbol: symbol.to_string(), every: query.every, items }))
}

fn known(desk: &Desk, symbol: &str) -> Result<Symbol, Problem> {
    let symbol: Symbol = symbol
        .parse()
        .map_err(|e| Problem::field(Code::SYMBOL_UNKNOWN, "symbol", sentence(&format!("{e}"))))?;
    // What is looked at is followed from then on, if a feed could have it.
    match desk.market.follow(&symbol) {
        true => Ok(symbol),
        false => Err(Problem {
            field: Some("symbol".into()),
            value: Some(symbol.to_string().into()),
            ..Problem::new(Code::SYMBOL_UNKNOWN)
        }),
    }
}

/// A print on the tape.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trade {
    /// The exchange's id of it.
    #[schema(required)]
    id: Option<String>,
    price: Decimal,
    quantity: Decimal,
    /// Who crossed the spread.
    #[schema(value_type = words::TradeSide)]
    side: TakerSide,
    /// The vendor's number of the exchange.
    exchange: u32,
    at: At,
}

impl From<&domain::Trade> for Trade {
    fn from(trade: &domain::Trade) -> Self {
        Self {
            id: trade.id.as_deref().map(str::to_owned),
            price: trade.price.into(),
            quantity: trade.quantity.into(),
            side: trade.side,
            exchange: trade.exchange,
            at: At(trade.at),
        }
    }
}

/// A quote as the stream sends it.
#[derive(Serialize)]
pub(crate) struct QuoteEvent {
    bid: Option<Decimal>,
    bid_size: Option<Decimal>,
    ask: Option<Decimal>,
    ask_size: Option<Decimal>,
    at: At,
}

impl From<&domain::Quote> for QuoteEvent {
    fn from(quote: &domain::Quote) -> Self {
        Self {
            bid: quote.bid.map(|(price, _)| price.into()),
            bid_size: quote.bid.map(|(_, size)| size.into()),
            ask: quote.ask.map(|(price, _)| price.into()),
            ask_size: quote.ask.map(|(_, size)| size.into()),
            at: At(quote.at),
        }
    }
}

/// Prints of an instrument.
#[derive(Serialize, ToSchema)]
struct TradeList {
    items: Vec<Trade>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct TradesQuery {
    #[param(example = "BTC-USD")]
    symbol: String,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
}

/// The latest trades
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/market/trades", tag = "Market", params(TradesQuery),
    responses((status = 200, body = TradeList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn trades(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<TradesQuery>,
) -> Result<axum::Json<TradeList>, Problem> {
    who.context().require(Permission::MarketView, Resource::Desk)?;
    let symbol = known(&desk, &query.symbol)?;
    let trades = desk.market.recent_trades(&symbol, page::limit(query.limit)? as usize);
    Ok(axum::Json(TradeList { items: trades.iter().map(|trade| Trade::from(trade.as_ref())).collect() }))
}

/// Where a feed stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Feed {
    name: String,
    #[schema(value_type = words::FeedState)]
    state: &'static str,
    since_at: At,
    #[schema(required)]
    last_event_at: Option<At>,
    /// How long ago the last event came.
    #[schema(required)]
    age_ms: Option<u64>,
    /// How long events take from the exchange to the desk, smoothed.
    #[schema(required)]
    latency_ms: Option<u64>,
    reconnects: u64,
    /// What was counted, and what was refused and why.
    counters: BTreeMap<String, u64>,
    #[schema(required)]
    last_error: Option<String>,
}

impl Feed {
    pub(crate) fn new(status: &market::FeedStatus, now: Timestamp) -> Self {
        let age = |at: Timestamp| millis(now.duration_since(at).try_into().unwrap_or_default());
        Self {
            name: status.name.clone(),
            state: status.state.as_str(),
            since_at: At(status.since_at),
            last_event_at: status.last_event_at.map(At),
            age_ms: status.last_event_at.map(age),
            latency_ms: status.latency.map(millis),
            reconnects: status.reconnects,
            counters: status.counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            last_error: status.last_error.clone(),
        }
    }
}

/// All feeds.
#[derive(Serialize, ToSchema)]
struct FeedList {
    feeds: Vec<Feed>,
}

/// The feeds and how they do
#[utoipa::path(get, path = "/api/v1/market/feed", tag = "Market",
    responses((status = 200, body = FeedList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn feed(State(desk): State<Desk>, who: SignedIn) -> Result<axum::Json<FeedList>, Problem> {
    who.context().require(Permission::MarketView, Resource::Desk)?;
    let now = desk.clock.now();
    Ok(axum::Json(FeedList {
        feeds: desk.market.feeds().iter().map(|status| Feed::new(status, now)).collect(),
    }))
}
