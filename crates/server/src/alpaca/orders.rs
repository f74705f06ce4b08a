//! Orders: placed, listed, replaced, canceled.

mod asking;
mod showing;
mod waiting;

use std::time::Duration;

use alpaca::{CanceledOrder, OrderRequest, ReplaceRequest, Uuid};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use domain::{Order, OrderId, Quantity, Side, Status, Symbol, Trail};
use storage::StorageError;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};
use trading::{AmendError, Amendment, Gateway, OrderFilter, OrderScope, SubmitError, TradingEvent};

pub(super) use showing::{plain, shown, shown_one};

use super::bot::Bot;
use super::query::{Body, Query};
use super::refusal::Holdings;
use super::{PATIENCE, Refusal, symbols};
use crate::Desk;

/// How long a replacement waits for the order to work at the broker. It is asked for right after the order, often.
const TO_THE_BROKER: Duration = Duration::from_secs(3);
/// Most orders of a list, and of one question to the database.
const MOST: usize = 500;
/// Questions to the database for one list: some filters are applied to what it answers.
const MOST_PAGES: usize = 20;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/orders", get(list).post(place).delete(cancel_all))
        .route("/v2/orders:by_client_order_id", get(by_client_order_id))
        .route("/v2/orders/{id}", get(one).patch(replace).delete(cancel))
}

async fn place(
    State(desk): State<Desk>,
    bot: Bot,
    Body(body): Body<OrderRequest>,
) -> Result<Json<alpaca::Order>, Refusal> {
    let request = asking::read(&desk.market, &body)?;
    let name = request.client_order_id.clone();
    let submitting = desk.gateway.submit(&bot.ctx, bot.account, request.clone());
    let Ok(submitted) = timeout(PATIENCE, submitting).await else {
        // It may be journaled yet, and then it is sent. What a client repeats by itself is not answered here.
        let words =
            format!("it is not known yet whether the order was taken: look for client_order_id {name}");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words));
    };
    match submitted {
        Ok(submitted) if submitted.repeated => {
            Err(SubmitError::ClientOrderIdConflict { existing: submitted.order.id }.into())
        }
        Ok(submitted) => Ok(Json(shown_one(&desk, &bot, submitted.order, true).await?)),
        Err(SubmitError::AwaitsApproval { id, .. }) => match waiting::found(&desk, &bot, id).await? {
            Some(approval) => Ok(Json(waiting::shown(&approval))),
            None => Err(Refusal::forbidden("a second person has to agree to this order")),
        },
        Err(refused) => {
            let held = holdings(&desk.gateway, &bot, &request.symbol).await?;
            Err(Refusal::of_order(refused, &request, held))
        }
    }
}

/// What the account holds of an instrument, and what its open orders sell of that.
pub(super) async fn holdings(
    gateway: &Gateway,
    bot: &Bot,
    symbol: &Symbol,
) -> Result<Holdings, StorageError> {
    let positions = gateway.positions(&bot.ctx, bot.account).unwrap_or_default();
    let existing = positions.iter().find(|one| one.symbol == *symbol).map(|one| one.position.quantity);
    let filter = OrderFilter {
        account: Some(bot.account),
        symbol: Some(symbol.clone()),
        scope: OrderScope::Open,
        ..OrderFilter::default()
    };
    let open = gateway.orders(&bot.ctx, &filter, None, MOST).await?;
    Ok(Holdings {
        existing: existing.unwrap_or_default(),
        held: closing(&open, existing.unwrap_or_default()),
    })
}

/// Units that open orders would take off a position.
pub(super) fn closing(open: &[Order], held: Quantity) -> Quantity {
    let against = if held.is_negative() { Side::Buy } else { Side::Sell };
    let wanted = |order: &&Order| order.request.side == against && order.status != Status::Held;
    open.iter().filter(wanted).map(Order::leaves).sum()
}

async fn list(State(desk): State<Desk>, bot: Bot, query: Query) -> Result<Json<Vec<alpaca::Order>>, Refusal> {
    let wish = Wish::read(&desk, &query)?;
    let mut orders = Vec::new();
    let mut start = if wish.oldest_first { wish.newer_than } else { wish.older_than };
    for _ in 0..MOST_PAGES {
        let page = desk.gateway.orders(&bot.ctx, &wish.filter(&bot), start, MOST).await?;
        start = page.last().map(|order| order.id);
        let is_last = page.len() < MOST;
        orders.extend(page.into_iter().filter(|order| wish.wants(order)));
        if is_last || orders.len() >= wish.limit {
            break;
        }
    }
    orders.truncate(wish.limit);
    let mut list = shown(&desk, &bot, orders, wish.nested).await?;
    if wish.scope != OrderScope::Closed {
        let waiting = waiting::all(&desk, &bot).await?;
        let wanted = waiting.iter().filter(|one| wish.wants(&waiting::as_order(one)));
        let waiting: Vec<_> = wanted.map(waiting::shown).collect();
        let at = if wish.oldest_first { list.len() } else { 0 };
        list.splice(at..at, waiting);
        list.truncate(wish.limit);
    }
    Ok(Json(list))
}

/// What a list is asked for.
struct Wish {
    scope: OrderScope,
    limit: usize,
    oldest_first: bool,
    nested: bool,
    after: Option<domain::Timestamp>,
    until: Option<domain::Timestamp>,
    older_than: Option<OrderId>,
    newer_than: Option<OrderId>,
    /// No others than these; empty is all.
    symbols: Vec<Option<Symbol>>,
    side: Option<Side>,
    class: Option<String>,
}

impl Wish {
    fn read(desk: &Desk, query: &Query) -> Result<Self, Refusal> {
        let scope = match query.text("status").unwrap_or("open") {
            "open" => OrderScope::Open,
            "closed" => OrderScope::Closed,
            "all" => OrderScope::All,
            other => return Err(Refusal::parameter(format!("invalid value for status: {other:?}"))),
        };
        let oldest_first = match query.text("direction").unwrap_or("desc") {
            "desc" => false,
            "asc" => true,
            other => return Err(Refusal::parameter(format!("invalid value for direction: {other:?}"))),
        };
        let limit = query.get::<usize>("limit")?.unwrap_or(50);
        if !(1..=MOST).contains(&limit) {
            return Err(Refusal::parameter(format!("limit is from 1 to {MOST}")));
        }
        let order = |name| Ok::<_, Refusal>(query.get::<Uuid>(name)?.map(OrderId));
        let (older_than, newer_than) = (order("before_order_id")?, order("after_order_id")?);
        let find = |text: &&str| symbols::find(&desk.market, text).map(|found| found.symbol);
        Ok(Self {
            scope,
            limit,
            oldest_first,
            nested: query.flag("nested")?,
            after: query.moment("after")?,
            until: query.moment("until")?,
            older_than,
            newer_than,
            symbols: query.list("symbols").iter().map(find).collect(),
            side: query.get("side")?,
            class: query.text("asset_class").map(str::to_owned),
        })
    }

    fn filter(&self, bot: &Bot) -> OrderFilter {
        OrderFilter {
            account: Some(bot.account),
            symbol: None,
            scope: self.scope,
            after: self.after,
            until: self.until,
            oldest_first: self.oldest_first,
        }
    }

    fn wants(&self, order: &Order) -> bool {
        let symbol = &order.request.symbol;
        let named = |one: &Option<Symbol>| one.as_ref() == Some(symbol);
        self.older_than.is_none_or(|id| order.id < id)
            && self.newer_than.is_none_or(|id| order.id > id)
            && self.after.is_none_or(|at| order.created_at > at)
            && self.until.is_none_or(|at| order.created_at < at)
            && (self.symbols.is_empty() || self.symbols.iter().any(named))
            && self.side.is_none_or(|side| side == order.request.side)
            && self.class.as_deref().is_none_or(|class| symbols::class(symbol).as_str() == class)
    }
}

async fn by_client_order_id(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<alpaca::Order>, Refusal> {
    let name = query.needed("client_order_id")?;
    if let Some(order) = desk.gateway.order_named(&bot.ctx, bot.account, name).await? {
        return Ok(Json(shown_one(&desk, &bot, order, query.flag("nested")?).await?));
    }
    let waiting = waiting::all(&desk, &bot).await?;
    let named = waiting.iter().find(|one| waiting::as_order(one).request.client_order_id == name);
    let order = named.map(waiting::shown);
    order.map(Json).ok_or_else(|| Refusal::not_found(format!("order not found for {name}")))
}

async fn one(
    State(desk): State<Desk>,
    bot: Bot,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<alpaca::Order>, Refusal> {
    let nested = query.flag("nested")?;
    match found(&desk, &bot, &id).await? {
        Found::Order(order) => Ok(Json(shown_one(&desk, &bot, *order, nested).await?)),
        Found::Waiting(approval) => Ok(Json(waiting::shown(&approval))),
    }
}

/// What an id names.
enum Found {
    Order(Box<Order>),
    /// It waits for a second person, or ended so.
    Waiting(Box<trading::Approval>),
}

async fn found(desk: &Desk, bot: &Bot, id: &str) -> Result<Found, Refusal> {
    let missing =
        || Refusal::not_found(format!("order not found for {}", id.chars().take(60).collect::<String>()));
    let uuid: Uuid = id.parse().map_err(|_| missing())?;
    if let Some(order) = desk.gateway.order(&bot.ctx, OrderId(uuid)).await? {
        return Ok(Found::Order(Box::new(order)));
    }
    let approval =
        waiting::found(desk, bot, id.parse().map_err(|_| missing())?).await?.ok_or_else(missing)?;
    if let Some(id) = approval.order()
        && let Some(order) = desk.gateway.order(&bot.ctx, id).await?
    {
        return Ok(Found::Order(Box::new(order)));
    }
    Ok(Found::Waiting(Box::new(approval)))
}

async fn replace(
    State(desk): State<Desk>,
    bot: Bot,
    Path(id): Path<String>,
    Body(body): Body<ReplaceRequest>,
) -> Result<Json<alpaca::Order>, Refusal> {
    let Found::Order(old) = found(&desk, &bot, &id).await? else {
        return Err(Refusal::impossible("an order that waits for a second person cannot be replaced"));
    };
    if body.notional.is_some() {
        return Err(Refusal::impossible("the notional of an order cannot be replaced"));
    }
    let trail = |distance: alpaca::Amount| match old.request.trail {
        Some(Trail::Price(_)) => Ok(Trail::Price(distance.price())),
        Some(Trail::Percent(_)) => Ok(Trail::Percent(distance.0)),
        None => Err(Refusal::impossible("only a trailing stop has a trail")),
    };
    let time_in_force = match &body.time_in_force {
        Some(time) => Some(time.known().ok_or_else(|| Refusal::parameter("invalid time_in_force"))?),
        None => None,
    };
    let amendment = Amendment {
        client_order_id: body.client_order_id,
        quantity: body.qty.map(alpaca::Amount::quantity),
        limit_price: body.limit_price.map(alpaca::Amount::price),
        stop_price: body.stop_price.map(alpaca::Amount::price),
        trail: body.trail.map(trail).transpose()?,
        time_in_force,
    };
    let at_the_broker = Instant::now() + TO_THE_BROKER;
    let replacing = async {
        let mut changes = desk.gateway.subscribe();
        loop {
            match desk.gateway.amend(&bot.ctx, old.id, &amendment).await {
                // On its way to the broker: in a moment it works, or has ended.
                Err(AmendError::NotReplaceable { status: Status::Accepted | Status::Submitting })
                    if Instant::now() < at_the_broker =>
                {
                    let _ = timeout_at(at_the_broker, until_changed(&mut changes, old.id)).await;
                }
                other => return other,
            }
        }
    };
    let Ok(new) = timeout(PATIENCE, replacing).await else {
        let words = "it is not known yet whether the order was replaced: look at it";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words));
    };
    match new {
        Ok(new) => Ok(Json(shown_one(&desk, &bot, new, false).await?)),
        Err(AmendError::Submit(refused)) => {
            let held = holdings(&desk.gateway, &bot, &old.request.symbol).await?;
            Err(Refusal::of_order(refused, &old.request, held))
        }
        Err(other) => Err(other.into()),
    }
}

/// Waits for the next change of an order; or a little, where it may have been missed.
async fn until_changed(changes: &mut tokio::sync::broadcast::Receiver<TradingEvent>, id: OrderId) {
    loop {
        match changes.recv().await {
            Ok(TradingEvent::Order(order)) if order.id == id => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        }
    }
}

async fn cancel(State(desk): State<Desk>, bot: Bot, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    match found(&desk, &bot, &id).await? {
        Found::Order(order) => desk.gateway.cancel(&bot.ctx, order.id).await.map(|_| ())?,
        Found::Waiting(approval) => waiting::withdraw(&desk, &bot, &approval).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn cancel_all(
    State(desk): State<Desk>,
    bot: Bot,
) -> Result<(StatusCode, Json<Vec<CanceledOrder>>), Refusal> {
    let mut canceled = Vec::new();
    for approval in waiting::all(&desk, &bot).await? {
        if waiting::withdraw(&desk, &bot, &approval).await.is_ok() {
            canceled.push(waiting::as_order(&approval).id);
        }
    }
    canceled.extend(desk.gateway.cancel_all(&bot.ctx, bot.account, None).await?.iter().map(|order| order.id));
    let item = |id: OrderId| CanceledOrder { id: id.0, status: 200, body: None };
    Ok((StatusCode::MULTI_STATUS, Json(canceled.into_iter().map(item).collect())))
}
