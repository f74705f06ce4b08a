//! Watchlists: of whoever owns the key.

use alpaca::{Uuid, Watchlist as Shown, WatchlistRequest, WatchlistSymbol};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use domain::{Permission, Resource, Symbol};
use market::watchlists::{self, Watchlist, WatchlistError};

use super::bot::Bot;
use super::query::{Body, Query};
use super::{Refusal, assets, symbols};
use crate::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/watchlists", get(list).post(create))
        .route(
            "/v2/watchlists:by_name",
            get(one_named).put(change_named).post(add_named).delete(remove_named),
        )
        .route("/v2/watchlists/{id}", get(one).put(change).post(add).delete(remove))
        .route("/v2/watchlists/{id}/{symbol}", delete(take_off))
        // A pair whose slash was not encoded.
        .route("/v2/watchlists/{id}/{base}/{quote}", delete(take_pair_off))
}

async fn list(State(desk): State<Desk>, bot: Bot) -> Result<Json<Vec<Shown>>, Refusal> {
    let lists = of(&desk, &bot).await?;
    Ok(Json(lists.iter().map(|list| Shown { assets: None, ..shown(&desk, &bot, list) }).collect()))
}

async fn create(
    State(desk): State<Desk>,
    bot: Bot,
    Body(body): Body<WatchlistRequest>,
) -> Result<Json<Shown>, Refusal> {
    may(&bot)?;
    let name = body.name.ok_or_else(|| Refusal::parameter("name is required"))?;
    let symbols = known(&desk, &body.symbols.unwrap_or_default())?;
    let list = Watchlist::new(bot.owner, &name, symbols, desk.clock.now());
    watchlists::create(&desk.db, list.clone()).await?;
    Ok(Json(shown(&desk, &bot, &list)))
}

/// Which list is meant.
enum By {
    Id(String),
    Name(String),
}

impl By {
    fn name(query: &Query) -> Result<Self, Refusal> {
        query.needed("name").map(|name| Self::Name(name.to_owned()))
    }

    async fn find(&self, desk: &Desk, bot: &Bot) -> Result<Watchlist, Refusal> {
        let means = |list: &Watchlist| match self {
            Self::Id(id) => id.parse::<Uuid>().is_ok_and(|id| list.id.0 == id),
            Self::Name(name) => list.name == *name,
        };
        let found = of(desk, bot).await?.into_iter().find(means);
        found.ok_or_else(|| Refusal::not_found("watchlist not found"))
    }

    async fn change(&self, desk: &Desk, bot: &Bot, wish: WatchlistRequest) -> Result<Json<Shown>, Refusal> {
        let before = self.find(desk, bot).await?;
        let symbols = wish.symbols.as_deref().map(|names| known(desk, names)).transpose()?;
        let name = wish.name.unwrap_or_else(|| before.name.clone());
        let new = Watchlist::new(bot.owner, &name, symbols.unwrap_or(before.symbols), desk.clock.now());
        keep(desk, bot, Watchlist { id: before.id, created_at: before.created_at, ..new }).await
    }

    async fn add(&self, desk: &Desk, bot: &Bot, wish: WatchlistSymbol) -> Result<Json<Shown>, Refusal> {
        let mut list = self.find(desk, bot).await?;
        let name = wish.symbol.ok_or_else(|| Refusal::parameter("symbol is required"))?;
        for symbol in known(desk, &[name])? {
            list.add(symbol);
        }
        keep(desk, bot, list).await
    }

    async fn take_off(&self, desk: &Desk, bot: &Bot, name: &str) -> Result<Json<Shown>, Refusal> {
        let mut list = self.find(desk, bot).await?;
        let symbol = symbols::find(&desk.market, name).map(|found| found.symbol);
        let before = list.symbols.len();
        list.symbols.retain(|one| Some(one) != symbol.as_ref());
        if list.symbols.len() == before {
            return Err(Refusal::not_found("the symbol is not on the watchlist"));
        }
        keep(desk, bot, list).await
    }

    async fn remove(&self, desk: &Desk, bot: &Bot) -> Result<StatusCode, Refusal> {
        let list = self.find(desk, bot).await?;
        watchlists::delete(&desk.db, bot.owner, list.id).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

async fn keep(desk: &Desk, bot: &Bot, list: Watchlist) -> Result<Json<Shown>, Refusal> {
    let list = Watchlist { updated_at: desk.clock.now(), ..list };
    watchlists::update(&desk.db, list.clone()).await?;
    Ok(Json(shown(desk, bot, &list)))
}

async fn one(State(desk): State<Desk>, bot: Bot, Path(id): Path<String>) -> Result<Json<Shown>, Refusal> {
    let list = By::Id(id).find(&desk, &bot).await?;
    Ok(Json(shown(&desk, &bot, &list)))
}

async fn change(
    State(desk): State<Desk>,
    bot: Bot,
    Path(id): Path<String>,
    Body(body): Body<WatchlistRequest>,
) -> Result<Json<Shown>, Refusal> {
    By::Id(id).change(&desk, &bot, body).await
}

async fn add(
    State(desk): State<Desk>,
    bot: Bot,
    Path(id): Path<String>,
    Body(body): Body<WatchlistSymbol>,
) -> Result<Json<Shown>, Refusal> {
    By::Id(id).add(&desk, &bot, body).await
}

async fn remove(State(desk): State<Desk>, bot: Bot, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    By::Id(id).remove(&desk, &bot).await
}

async fn take_off(
    State(desk): State<Desk>,
    bot: Bot,
    Path((id, symbol)): Path<(String, String)>,
) -> Result<Json<Shown>, Refusal> {
    By::Id(id).take_off(&desk, &bot, &symbol).await
}

async fn take_pair_off(
    State(desk): State<Desk>,
    bot: Bot,
    Path((id, base, quote)): Path<(String, String, String)>,
) -> Result<Json<Shown>, Refusal> {
    By::Id(id).take_off(&desk, &bot, &format!("{base}/{quote}")).await
}

async fn one_named(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<Shown>, Refusal> {
    let list = By::name(&query)?.find(&desk, &bot).await?;
    Ok(Json(shown(&desk, &bot, &list)))
}

async fn change_named(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
    Body(body): Body<WatchlistRequest>,
) -> Result<Json<Shown>, Refusal> {
    By::name(&query)?.change(&desk, &bot, body).await
}

async fn add_named(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
    Body(body): Body<WatchlistSymbol>,
) -> Result<Json<Shown>, Refusal> {
    By::name(&query)?.add(&desk, &bot, body).await
}

async fn remove_named(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<StatusCode, Refusal> {
    By::name(&query)?.remove(&desk, &bot).await
}

async fn of(desk: &Desk, bot: &Bot) -> Result<Vec<Watchlist>, Refusal> {
    may(bot)?;
    Ok(watchlists::of(&desk.db, bot.owner).await?)
}

fn may(bot: &Bot) -> Result<(), Refusal> {
    Ok(bot.ctx.require(Permission::MarketView, Resource::Desk)?)
}

fn known(desk: &Desk, names: &[String]) -> Result<Vec<Symbol>, Refusal> {
    let find = |name: &String| {
        let found = symbols::find_or_follow(&desk.market, name);
        found
            .map(|found| found.symbol)
            .ok_or_else(|| Refusal::impossible(format!("asset \"{name}\" not found")))
    };
    names.iter().map(find).collect()
}

fn shown(desk: &Desk, bot: &Bot, list: &Watchlist) -> Shown {
    let instruments = list.symbols.iter().filter_map(|symbol| desk.market.instrument(symbol));
    Shown {
        id: list.id.0,
        account_id: bot.account.0,
        name: list.name.clone(),
        created_at: list.created_at,
        updated_at: list.updated_at,
        assets: Some(instruments.map(|instrument| assets::shown(desk, bot, &instrument)).collect()),
    }
}

impl From<WatchlistError> for Refusal {
    fn from(error: WatchlistError) -> Self {
        match error {
            WatchlistError::Storage(error) => error.into(),
            other => Self::impossible(other.to_string()),
        }
    }
}
