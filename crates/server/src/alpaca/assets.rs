//! What can be traded.

use alpaca::{Asset, AssetClass, AssetStatus};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use domain::{Instrument, Permission, Resource};
use trading::Way;

use super::bot::Bot;
use super::query::Query;
use super::{Refusal, symbols};
use crate::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/assets", get(list))
        .route("/v2/assets/{symbol}", get(one))
        // A pair whose slash was not encoded.
        .route("/v2/assets/{base}/{quote}", get(pair))
}

async fn list(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<Vec<Asset>>, Refusal> {
    bot.ctx.require(Permission::MarketView, Resource::Desk)?;
    let matches = |asset: &Asset| {
        let is = |name, word: &str| query.text(name).is_none_or(|wanted| wanted == word);
        is("status", asset.status.as_str())
            && is("asset_class", asset.asset_class.as_str())
            && is("exchange", asset.exchange.as_str())
    };
    let all = desk.market.symbols().into_iter().filter_map(|symbol| desk.market.instrument(&symbol));
    Ok(Json(all.map(|instrument| shown(&desk, &bot, &instrument)).filter(matches).collect()))
}

async fn one(State(desk): State<Desk>, bot: Bot, Path(symbol): Path<String>) -> Result<Json<Asset>, Refusal> {
    bot.ctx.require(Permission::MarketView, Resource::Desk)?;
    let name: String = symbol.chars().take(40).collect();
    let missing = || Refusal::not_found(format!("asset not found for {name}"));
    let instrument = symbols::find_or_follow(&desk.market, &symbol).ok_or_else(missing)?;
    Ok(Json(shown(&desk, &bot, &instrument)))
}

async fn pair(
    state: State<Desk>,
    bot: Bot,
    Path((base, quote)): Path<(String, String)>,
) -> Result<Json<Asset>, Refusal> {
    one(state, bot, Path(format!("{base}/{quote}"))).await
}

pub(super) fn shown(desk: &Desk, bot: &Bot, instrument: &Instrument) -> Asset {
    let symbol = &instrument.symbol;
    let class = symbols::class(symbol);
    let is_pair = class == AssetClass::Crypto;
    let lends = desk.gateway.profile(&bot.ctx, bot.account).is_ok_and(|profile| profile.short == Way::Broker);
    Asset {
        id: symbols::id(symbol),
        exchange: symbols::exchange(symbol),
        symbol: symbols::shown(symbol),
        name: Some(match is_pair {
            true => format!("{} / {}", instrument.base, instrument.quote),
            false => symbol.to_string(),
        }),
        status: AssetStatus::Active,
        tradable: true,
        marginable: false,
        shortable: lends,
        easy_to_borrow: lends,
        fractionable: instrument.quantity_increment.0 < domain::Decimal::ONE,
        maintenance_margin_requirement: None,
        margin_requirement_long: None,
        margin_requirement_short: None,
        attributes: Some(Vec::new()),
        min_order_size: is_pair.then(|| instrument.quantity_increment.into()),
        min_trade_increment: is_pair.then(|| instrument.quantity_increment.into()),
        price_increment: is_pair.then(|| instrument.price_increment.into()),
        asset_class: class,
    }
}
