//! Positions: seen, and closed.

use alpaca::{ClosedPosition, Position, PositionSide, Uuid};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use domain::{Decimal, Every, Instrument, Order, Price, Quantity, Timestamp};
use trading::{Holding, OrderFilter, OrderScope, SubmitError};

use super::bot::Bot;
use super::orders::{closing, holdings, shown_one};
use super::query::Query;
use super::refusal::Holdings;
use super::{Refusal, hours, symbols};
use crate::Desk;

/// Digits of fractions.
const DIGITS: u32 = 10;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/positions", get(list).delete(close_all))
        .route("/v2/positions/{symbol}", get(one).delete(close))
        // A pair whose slash was not encoded.
        .route("/v2/positions/{base}/{quote}", get(one_pair).delete(close_pair))
}

async fn list(State(desk): State<Desk>, bot: Bot) -> Result<Json<Vec<Position>>, Refusal> {
    let open = open_orders(&desk, &bot).await?;
    let mut positions = Vec::new();
    for holding in held(&desk, &bot)? {
        positions.push(shown(&desk, &holding, &open).await?);
    }
    Ok(Json(positions))
}

async fn one(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
) -> Result<Json<Position>, Refusal> {
    let (_, holding) = find(&desk, &bot, &symbol)?;
    let open = open_orders(&desk, &bot).await?;
    Ok(Json(shown(&desk, &holding, &open).await?))
}

async fn one_pair(
    state: State<Desk>,
    bot: Bot,
    Path((base, quote)): Path<(String, String)>,
) -> Result<Json<Position>, Refusal> {
    one(state, bot, Path(format!("{base}/{quote}"))).await
}

async fn close(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
    query: Query,
) -> Result<Json<alpaca::Order>, Refusal> {
    let (instrument, holding) = find(&desk, &bot, &symbol)?;
    let part = part(&query, &holding, &instrument)?;
    Ok(Json(close_one(&desk, &bot, &holding, part).await?))
}

async fn close_pair(
    state: State<Desk>,
    bot: Bot,
    Path((base, quote)): Path<(String, String)>,
    query: Query,
) -> Result<Json<alpaca::Order>, Refusal> {
    close(state, bot, Path(format!("{base}/{quote}")), query).await
}

/// How much of a position is to be closed; `None` is all of it.
fn part(query: &Query, holding: &Holding, instrument: &Instrument) -> Result<Option<Quantity>, Refusal> {
    let (qty, percentage) = (query.get::<alpaca::Amount>("qty")?, query.get::<alpaca::Amount>("percentage")?);
    match (qty, percentage) {
        (Some(_), Some(_)) => Err(Refusal::parameter("only one of qty or percentage is accepted")),
        (Some(qty), None) => Ok(Some(qty.quantity())),
        (None, Some(percentage)) if Decimal::ZERO < percentage.0 && percentage.0 <= Decimal::ONE_HUNDRED => {
            let step = instrument.quantity_increment.0;
            let units = holding.position.quantity.0.abs() * percentage.0 / Decimal::ONE_HUNDRED;
            Ok(Some(Quantity(units - units % step)))
        }
        (None, Some(_)) => Err(Refusal::parameter("percentage is above 0 and at most 100")),
        (None, None) => Ok(None),
    }
}

async fn close_one(
    desk: &Desk,
    bot: &Bot,
    holding: &Holding,
    part: Option<Quantity>,
) -> Result<alpaca::Order, Refusal> {
    let (name, symbol) = (Uuid::now_v7().to_string(), &holding.symbol);
    match desk.gateway.close_position(&bot.ctx, bot.account, symbol, part, name).await {
        Ok(submitted) => shown_one(desk, bot, submitted.order, false).await,
        Err(SubmitError::NoPosition { held, .. }) => {
            // There is a position; it, or the book of whoever asks, holds less than was named.
            let Holdings { existing, held: of_orders } = holdings(&desk.gateway, bot, symbol).await?;
            Err(Refusal::too_little(
                symbol,
                part.unwrap_or(held),
                held,
                Holdings { existing, held: of_orders },
            ))
        }
        Err(SubmitError::Refused(check)) => {
            let held = holdings(&desk.gateway, bot, symbol).await?;
            Err(Refusal::of_check(&check, symbol, held))
        }
        Err(other) => Err(other.into()),
    }
}

async fn close_all(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<(StatusCode, Json<Vec<ClosedPosition>>), Refusal> {
    let mut closed = Vec::new();
    if query.flag("cancel_orders")? {
        for (symbol, result) in desk.gateway.liquidate(&bot.ctx, bot.account).await? {
            let result = match result {
                Ok(submitted) => shown_one(&desk, &bot, submitted.order, false).await,
                Err(refused) => Err(refused.into()),
            };
            closed.push(item(symbols::in_positions(&symbol), result));
        }
    } else {
        for holding in held(&desk, &bot)? {
            let result = close_one(&desk, &bot, &holding, None).await;
            closed.push(item(symbols::in_positions(&holding.symbol), result));
        }
    }
    Ok((StatusCode::MULTI_STATUS, Json(closed)))
}

fn item(symbol: String, result: Result<alpaca::Order, Refusal>) -> ClosedPosition {
    match result {
        Ok(order) => ClosedPosition { symbol, status: 200, body: Ok(Box::new(order)) },
        Err(refusal) => {
            let (status, form) = refusal.into_item();
            ClosedPosition { symbol, status, body: Err(form) }
        }
    }
}

/// Positions that are not flat.
fn held(desk: &Desk, bot: &Bot) -> Result<Vec<Holding>, Refusal> {
    let mut holdings = desk.gateway.positions(&bot.ctx, bot.account)?;
    holdings.retain(|holding| !holding.position.quantity.is_zero());
    Ok(holdings)
}

fn find(desk: &Desk, bot: &Bot, text: &str) -> Result<(Instrument, Holding), Refusal> {
    let held = held(desk, bot)?;
    let missing = || Refusal::not_found("position does not exist");
    let instrument = symbols::find(&desk.market, text).ok_or_else(missing)?;
    let holding = held.into_iter().find(|one| one.symbol == instrument.symbol).ok_or_else(missing)?;
    Ok((instrument, holding))
}

async fn open_orders(desk: &Desk, bot: &Bot) -> Result<Vec<Order>, Refusal> {
    let filter =
        OrderFilter { account: Some(bot.account), scope: OrderScope::Open, ..OrderFilter::default() };
    Ok(desk.gateway.orders(&bot.ctx, &filter, None, 10_000).await?)
}

async fn shown(desk: &Desk, holding: &Holding, open: &[Order]) -> Result<Position, Refusal> {
    let (symbol, position) = (&holding.symbol, &holding.position);
    let quantity = position.quantity;
    let of_symbol: Vec<Order> =
        open.iter().filter(|order| order.request.symbol == *symbol).cloned().collect();
    let spoken_for = closing(&of_symbol, quantity);
    let free = match quantity.is_negative() {
        true => quantity + spoken_for,
        false => quantity - spoken_for,
    };
    let price = holding.market_price;
    let before = yesterday(desk, symbol, holding.at).await?;
    let gained = price.map(|price| position.unrealised_pnl(price));
    let today = price.zip(before).map(|(price, before)| quantity.0 * (price.0 - before.0));
    let fraction = |part: Decimal, of: Decimal| part.checked_div(of.abs()).map(|f| f.round_dp(DIGITS).into());
    Ok(Position {
        asset_id: symbols::id(symbol),
        symbol: symbols::in_positions(symbol),
        exchange: symbols::exchange(symbol),
        asset_class: symbols::class(symbol),
        asset_marginable: Some(false),
        avg_entry_price: position.average_price().unwrap_or_default().0.round_dp(9).into(),
        qty: quantity.into(),
        qty_available: Some(free.into()),
        side: if quantity.is_negative() { PositionSide::Short } else { PositionSide::Long },
        market_value: price.map(|price| position.value(price).into()),
        cost_basis: position.cost.into(),
        unrealized_pl: gained.map(Into::into),
        unrealized_plpc: gained.and_then(|gained| fraction(gained.0, position.cost.0)),
        unrealized_intraday_pl: today.map(Into::into),
        unrealized_intraday_plpc: today
            .zip(before)
            .and_then(|(today, before)| fraction(today, quantity.0 * before.0)),
        current_price: price.map(Into::into),
        lastday_price: before.map(Into::into),
        change_today: price.zip(before).and_then(|(price, before)| fraction(price.0 - before.0, before.0)),
        swap_rate: None,
        avg_entry_swap_rate: None,
        usd: None,
    })
}

/// The last price of the day before.
async fn yesterday(desk: &Desk, symbol: &domain::Symbol, now: Timestamp) -> Result<Option<Price>, Refusal> {
    let today = hours::day_at(symbol, now);
    let bars = desk.market.bars(symbol, Every::Minute, Some(today.start), 1).await?;
    Ok(bars.last().map(|view| view.bar.close))
}
