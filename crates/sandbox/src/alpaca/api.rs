//! What a client asks for over REST.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use alpaca::{
    Account, AccountStatus, Activity, ActivityType, Amount, Asset, AssetStatus, Clock, Exchange, FillType,
    OffsetTime, OrderStatus, Position, PositionSide, Problem, ReplaceRequest, Uuid, code,
};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use domain::{
    CostMethod, Order, OrderEvent, OrderId, OrderRequest, PositionFill, Provenance, Quantity, Reason, Side,
    Size, Symbol, TimeInForce, Timestamp, Trail,
};
use serde::de::DeserializeOwned;
use trading::{BrokerOrder, BrokerUnreachable, CancelFailure, Refusal, SubmitFailure};

use super::book::{class_of, id_of, name_of, order as in_alpacas_words};
use super::{No, Shared};

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v2/account", get(account))
        .route("/v2/account/activities", get(activities))
        .route("/v2/account/activities/{kind}", get(activities))
        .route("/v2/orders", get(orders).post(submit))
        .route("/v2/orders:by_client_order_id", get(by_client_order_id))
        .route("/v2/orders/{id}", get(by_id).patch(replace).delete(cancel))
        .route("/v2/positions", get(positions))
        .route("/v2/assets", get(assets))
        .route("/v2/clock", get(clock))
}

type Answer<T> = Result<Json<T>, No>;
type Parameters = Query<HashMap<String, String>>;

/// Most bytes of a request's body.
const LARGEST_BODY: usize = 64 << 10;
/// A client has this long to send it.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, No> {
    let malformed = || No::new(code::MALFORMED, "failed to decode request body");
    let bytes = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, LARGEST_BODY)).await;
    let bytes = bytes.map_err(|_| malformed())?.map_err(|_| malformed())?;
    serde_json::from_slice(&bytes).map_err(|_| malformed())
}

async fn submit(State(shared): State<Arc<Shared>>, body: Body) -> Answer<alpaca::Order> {
    let asked: alpaca::OrderRequest = read(body).await?;
    let now = shared.clock.now();
    let fresh = OrderId::new(now);
    let client_order_id = asked.client_order_id.clone().unwrap_or_else(|| fresh.to_string());
    let order = order(&shared, fresh, &asked, now)?;
    let order = Order { id: shared.book.name(&client_order_id, fresh, None), ..order };
    let placed = shared.broker.submit(&order).await;
    answer_placed(&shared, &client_order_id, order, placed).await
}

async fn replace(
    State(shared): State<Arc<Shared>>,
    Path(old): Path<Uuid>,
    body: Body,
) -> Answer<alpaca::Order> {
    let asked: ReplaceRequest = read(body).await?;
    let now = shared.clock.now();
    let fresh = OrderId::new(now);
    let client_order_id = asked.client_order_id.clone().unwrap_or_else(|| fresh.to_string());
    let found = find(&shared, old).await?;
    let filled: Quantity = found.fills.iter().map(|fill| fill.quantity).sum();
    let old_order = Order { filled, ..as_ordered(&shared, OrderId(old), &found, now) };
    let id = shared.book.name(&client_order_id, fresh, Some(old));
    let by = changed(&as_ordered(&shared, id, &found, now), &asked);
    let placed = shared.broker.replace(&old_order, &by).await;
    answer_placed(&shared, &client_order_id, by, placed).await
}

/// Answers what became of an order: with the order, or with why there is none.
async fn answer_placed(
    shared: &Shared,
    client_order_id: &str,
    order: Order,
    placed: Result<String, SubmitFailure>,
) -> Answer<alpaca::Order> {
    match placed {
        Ok(broker_order_id) => {
            let found = shared.broker.find(&order).await.ok().flatten();
            let found = found.unwrap_or_else(|| just_placed(&order, broker_order_id));
            Ok(Json(told(shared, &found, order.id.0)))
        }
        Err(SubmitFailure::Refused(refusal)) => {
            shared.book.forget(client_order_id);
            Err(refused(&refusal))
        }
        Err(SubmitFailure::Exists) => Err(No::new(code::DUPLICATE, "client_order_id must be unique")),
        // It may be at the venue: its name stays taken.
        Err(SubmitFailure::NotReached(_) | SubmitFailure::Lost(_)) => Err(No::HangUp),
    }
}

async fn cancel(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Result<StatusCode, No> {
    find(&shared, id).await?;
    match shared.broker.cancel(&known_by(&shared, OrderId(id))).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(CancelFailure::Refused(refusal)) => Err(refused(&refusal)),
        Err(CancelFailure::Unreachable(_)) => Err(No::HangUp),
    }
}

async fn by_id(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Answer<alpaca::Order> {
    let found = find(&shared, id).await?;
    Ok(Json(told(&shared, &found, id)))
}

async fn by_client_order_id(
    State(shared): State<Arc<Shared>>,
    Query(asked): Parameters,
) -> Answer<alpaca::Order> {
    let name = asked.get("client_order_id").map_or("", String::as_str);
    let id = shared.book.called(name);
    let id = id.ok_or_else(|| No::new(code::NOT_FOUND, format!("order not found for {name}")))?;
    by_id(State(shared), Path(id)).await
}

/// Those that work, or all, by the time they were placed.
async fn orders(State(shared): State<Arc<Shared>>, Query(asked): Parameters) -> Answer<Vec<alpaca::Order>> {
    let mut found = shared.broker.open_orders().await.map_err(unanswered)?;
    let status = asked.get("status").map_or("open", String::as_str);
    if status != "open" {
        let open: BTreeSet<String> = found.iter().map(|order| order.client_order_id.clone()).collect();
        let executions = shared.broker.executions(Timestamp::UNIX_EPOCH).await.map_err(unanswered)?;
        let executed = executions.into_iter().map(|execution| execution.client_order_id);
        let known = shared.book.ids().into_iter().map(|id| id.to_string());
        for id in executed.chain(known).collect::<BTreeSet<_>>().difference(&open) {
            let Ok(id) = id.parse() else { continue };
            found.extend(shared.broker.find(&known_by(&shared, id)).await.map_err(unanswered)?);
        }
    }
    let mut orders: Vec<alpaca::Order> = Vec::new();
    for order in &found {
        let id: OrderId = order.client_order_id.parse().map_err(|_| No::HangUp)?;
        orders.push(told(&shared, order, id.0));
    }
    orders.retain(|order| status != "closed" || order.status.is_terminal());
    let after: Option<Timestamp> = asked.get("after").and_then(|after| after.parse().ok());
    let until: Option<Timestamp> = asked.get("until").and_then(|until| until.parse().ok());
    orders.retain(|order| after.is_none_or(|after| order.submitted_at > after));
    orders.retain(|order| until.is_none_or(|until| order.submitted_at < until));
    orders.sort_by_key(|order| (order.submitted_at, order.id));
    if asked.get("direction").is_none_or(|direction| direction != "asc") {
        orders.reverse();
    }
    orders.truncate(asked.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(50).min(500));
    Ok(Json(orders))
}

async fn activities(State(shared): State<Arc<Shared>>, Query(asked): Parameters) -> Answer<Vec<Activity>> {
    let after: Option<Timestamp> = asked.get("after").and_then(|after| after.parse().ok());
    let executions = shared.broker.executions(Timestamp::UNIX_EPOCH).await.map_err(unanswered)?;
    let mut done: HashMap<Uuid, Quantity> = HashMap::new();
    let mut times: HashMap<String, (Timestamp, String, Quantity)> = HashMap::new();
    let mut activities = Vec::new();
    for execution in executions {
        let Ok(order) = execution.client_order_id.parse::<OrderId>() else { continue };
        let done = done.entry(order.0).or_default();
        let (kind, fill, previous, at) = match execution.event {
            OrderEvent::Filled(fill) => {
                *done += fill.quantity;
                let at = fill.at;
                let id = Activity::id_of(at, id_of(&fill.execution_id));
                times.insert(fill.execution_id.clone(), (at, id, fill.quantity));
                (FillType::PartialFill, Some(fill), None, at)
            }
            OrderEvent::Corrected { execution_id, by } => {
                let Some((at, id, was)) = times.get(&execution_id).cloned() else { continue };
                *done = *done - was + by.quantity;
                // It may be corrected again, or taken back.
                let named = Activity::id_of(at, id_of(&by.execution_id));
                times.insert(by.execution_id.clone(), (at, named, by.quantity));
                (FillType::TradeCorrect, Some(by), Some(id), at)
            }
            OrderEvent::Busted { execution_id } => {
                let Some((at, id, was)) = times.get(&execution_id).cloned() else { continue };
                *done -= was;
                (FillType::TradeBust, None, Some(id), at)
            }
            _ => continue,
        };
        // A bust has no execution of its own, and its name must differ from what it is about.
        let named = match &fill {
            Some(fill) => id_of(&fill.execution_id),
            None => id_of(&format!("bust {}", previous.as_deref().unwrap_or_default())),
        };
        activities.push(Activity {
            id: Activity::id_of(at, named),
            activity_type: ActivityType::Fill,
            transaction_time: Some(at),
            kind: Some(kind),
            price: fill.as_ref().map(|fill| fill.price.into()),
            qty: fill.as_ref().map(|fill| fill.quantity.into()),
            side: Some(execution.side.into()),
            symbol: Some(name_of(&execution.symbol)),
            leaves_qty: None,
            order_id: Some(order.0),
            cum_qty: Some((*done).into()),
            order_status: Some(OrderStatus::PartiallyFilled),
            previous_id: previous,
            date: None,
            net_amount: None,
            per_share_amount: None,
            description: None,
            status: None,
            swap_rate: None,
        });
    }
    activities.retain(|activity| after.is_none_or(|after| activity.transaction_time > Some(after)));
    if asked.get("direction").is_none_or(|direction| direction != "asc") {
        activities.reverse();
    }
    if let Some(token) = asked.get("page_token") {
        let read = activities.iter().rposition(|activity| activity.id == *token).map_or(0, |nth| nth + 1);
        activities.drain(..read);
    }
    activities.truncate(asked.get("page_size").and_then(|size| size.parse().ok()).unwrap_or(100).min(100));
    Ok(Json(activities))
}

/// What is held, by symbol, with what it cost.
async fn held(shared: &Shared) -> Result<Vec<(Symbol, Quantity, Amount)>, No> {
    let balances = shared.broker.balances().await.map_err(unanswered)?;
    let executions = shared.broker.executions(Timestamp::UNIX_EPOCH).await.map_err(unanswered)?;
    let cost = |symbol: &Symbol| {
        let of_symbol = executions.iter().filter(|execution| execution.symbol == *symbol);
        let fills: Vec<PositionFill> = of_symbol
            .filter_map(|execution| match &execution.event {
                OrderEvent::Filled(fill) => Some(PositionFill::of(execution.side, fill)),
                _ => None,
            })
            .collect();
        let position = domain::Position::fold(CostMethod::Average, &fills);
        position.average_price().map_or(Amount::ZERO, Into::into)
    };
    let held = balances.positions.into_iter().filter(|(_, quantity)| !quantity.is_zero());
    Ok(held.map(|(symbol, quantity)| (symbol.clone(), quantity, cost(&symbol))).collect())
}

async fn positions(State(shared): State<Arc<Shared>>) -> Answer<Vec<Position>> {
    let positions = held(&shared).await?.into_iter().map(|(symbol, quantity, price)| Position {
        asset_id: id_of(symbol.as_str()),
        symbol: name_of(&symbol).replace('/', ""),
        exchange: exchange_of(&symbol),
        asset_class: class_of(&symbol),
        asset_marginable: Some(false),
        avg_entry_price: price,
        qty: quantity.into(),
        qty_available: Some(quantity.into()),
        side: if quantity.is_negative() { PositionSide::Short } else { PositionSide::Long },
        // No prices are shown here.
        market_value: None,
        cost_basis: (price.price() * quantity).into(),
        unrealized_pl: None,
        unrealized_plpc: None,
        unrealized_intraday_pl: None,
        unrealized_intraday_plpc: None,
        current_price: None,
        lastday_price: None,
        change_today: None,
        swap_rate: None,
        avg_entry_swap_rate: None,
        usd: None,
    });
    Ok(Json(positions.collect()))
}

/// Worth is reckoned at cost: no prices are shown here.
async fn account(State(shared): State<Arc<Shared>>) -> Answer<Account> {
    let balances = shared.broker.balances().await.map_err(unanswered)?;
    let mut long = domain::Money::ZERO;
    let mut short = domain::Money::ZERO;
    for (_, quantity, price) in held(&shared).await? {
        *(if quantity.is_negative() { &mut short } else { &mut long }) += price.price() * quantity;
    }
    let cash: Amount = balances.cash.into();
    let equity: Amount = (balances.cash + long + short).into();
    Ok(Json(Account {
        id: shared.settings.account.0,
        account_number: "SANDBOX".to_owned(),
        status: AccountStatus::Active,
        crypto_status: Some(AccountStatus::Active),
        currency: "USD".to_owned(),
        cash,
        equity,
        last_equity: equity,
        portfolio_value: equity,
        buying_power: cash,
        regt_buying_power: None,
        daytrading_buying_power: None,
        non_marginable_buying_power: Some(cash),
        options_buying_power: None,
        effective_buying_power: None,
        options_approved_level: None,
        options_trading_level: None,
        crypto_tier: None,
        long_market_value: long.into(),
        short_market_value: short.into(),
        position_market_value: None,
        initial_margin: Amount::ZERO,
        maintenance_margin: Amount::ZERO,
        last_maintenance_margin: None,
        sma: None,
        multiplier: Amount(1.into()),
        accrued_fees: None,
        pending_transfer_in: None,
        pending_transfer_out: None,
        created_at: Timestamp::UNIX_EPOCH,
        balance_asof: None,
        pattern_day_trader: Some(false),
        trading_blocked: false,
        transfers_blocked: false,
        account_blocked: false,
        trade_suspended_by_user: false,
        shorting_enabled: false,
        daytrade_count: Some(0),
    }))
}

async fn assets(State(shared): State<Arc<Shared>>) -> Json<Vec<Asset>> {
    let assets = shared.settings.instruments.iter().map(|instrument| Asset {
        id: id_of(instrument.symbol.as_str()),
        asset_class: class_of(&instrument.symbol),
        exchange: exchange_of(&instrument.symbol),
        symbol: name_of(&instrument.symbol),
        name: Some(format!("{} for {}", instrument.base, instrument.quote)),
        status: AssetStatus::Active,
        tradable: true,
        marginable: false,
        shortable: false,
        easy_to_borrow: false,
        fractionable: true,
        maintenance_margin_requirement: None,
        margin_requirement_long: None,
        margin_requirement_short: None,
        attributes: None,
        min_order_size: Some(instrument.quantity_increment.into()),
        min_trade_increment: Some(instrument.quantity_increment.into()),
        price_increment: Some(instrument.price_increment.into()),
    });
    Json(assets.collect())
}

/// This venue never closes.
async fn clock(State(shared): State<Arc<Shared>>) -> Json<Clock> {
    let now = shared.clock.now();
    let tomorrow = OffsetTime::utc(now + Duration::from_secs(86_400));
    Json(Clock { timestamp: OffsetTime::utc(now), is_open: true, next_open: tomorrow, next_close: tomorrow })
}

fn exchange_of(symbol: &Symbol) -> Exchange {
    if symbol.as_str().contains('-') { Exchange::Crypto } else { Exchange::Unset }
}

async fn find(shared: &Shared, id: Uuid) -> Result<BrokerOrder, No> {
    let found = shared.broker.find(&known_by(shared, OrderId(id))).await.map_err(unanswered)?;
    found.ok_or_else(|| No::new(code::NOT_FOUND, format!("order not found for {id}")))
}

fn told(shared: &Shared, order: &BrokerOrder, id: Uuid) -> alpaca::Order {
    in_alpacas_words(order, id, shared.book.named(id), shared.clock.now())
}

/// An order that was taken, and is not in sight yet.
fn just_placed(order: &Order, broker_order_id: String) -> BrokerOrder {
    let request = &order.request;
    BrokerOrder {
        broker_order_id,
        client_order_id: order.id.to_string(),
        terms: trading::Terms {
            symbol: request.symbol.clone(),
            side: request.side,
            kind: request.kind,
            time_in_force: request.time_in_force,
            quantity: order.quantity,
            limit_price: request.limit_price,
            stop_price: request.stop_price,
            trail: request.trail,
            extended_hours: request.extended_hours,
        },
        status: trading::BrokerStatus::Open,
        fills: Vec::new(),
        replaced_by: None,
        placed_at: order.created_at,
    }
}

/// A request in the venue's words; what is missing or makes no sense is refused in Alpaca's.
fn order(shared: &Shared, id: OrderId, asked: &alpaca::OrderRequest, at: Timestamp) -> Result<Order, No> {
    let missing = |what: &str| No::new(code::INVALID, format!("{what} is required"));
    let unknown = |what: &str| No::new(code::UNPROCESSABLE, format!("invalid {what}"));
    let symbol = asked.symbol.as_deref().ok_or_else(|| missing("symbol"))?;
    let symbol: Symbol = symbol.replace('/', "-").parse().map_err(|_| unknown("symbol"))?;
    let quantity = asked.qty.ok_or_else(|| missing("qty"))?.quantity();
    let side = asked.side.as_ref().ok_or_else(|| missing("side"))?;
    let kind = asked.kind.as_ref().ok_or_else(|| missing("type"))?;
    let time = asked.time_in_force.as_ref().ok_or_else(|| missing("time_in_force"))?;
    if asked.order_class.as_ref().is_some_and(|class| class.known() != Some(domain::OrderClass::Simple)) {
        return Err(No::new(code::UNPROCESSABLE, "order_class is not supported here"));
    }
    let trail = match (asked.trail_price, asked.trail_percent) {
        (Some(price), None) => Some(Trail::Price(price.price())),
        (None, Some(percent)) => Some(Trail::Percent(percent.0)),
        (None, None) => None,
        _ => return Err(unknown("trail_price")),
    };
    let request = OrderRequest {
        kind: kind.known().ok_or_else(|| unknown("type"))?,
        size: Size::Quantity(quantity),
        stop_price: asked.stop_price.map(Amount::price),
        trail,
        extended_hours: asked.extended_hours.unwrap_or(false),
        ..OrderRequest::simple(
            id.to_string(),
            symbol,
            side.known().ok_or_else(|| unknown("side"))?,
            quantity,
            asked.limit_price.map(Amount::price),
            time.known().ok_or_else(|| unknown("time_in_force"))?,
        )
    };
    let account = shared.settings.account;
    Ok(Order::accepted(id, account, request, quantity, Provenance::of("client"), at))
}

/// An order with the terms of one that is there.
fn as_ordered(shared: &Shared, id: OrderId, found: &BrokerOrder, at: Timestamp) -> Order {
    let terms = found.terms.clone();
    let request = OrderRequest {
        kind: terms.kind,
        stop_price: terms.stop_price,
        trail: terms.trail,
        extended_hours: terms.extended_hours,
        ..OrderRequest::simple(
            id.to_string(),
            terms.symbol,
            terms.side,
            terms.quantity,
            terms.limit_price,
            terms.time_in_force,
        )
    };
    let account = shared.settings.account;
    Order::accepted(id, account, request, terms.quantity, Provenance::of("client"), at)
}

/// The order with what is to change; what is not mentioned stays.
fn changed(order: &Order, asked: &ReplaceRequest) -> Order {
    let mut order = order.clone();
    if let Some(quantity) = asked.qty {
        order.quantity = quantity.quantity();
        order.request.size = Size::Quantity(order.quantity);
    }
    let request = &mut order.request;
    request.limit_price = asked.limit_price.map(Amount::price).or(request.limit_price);
    request.stop_price = asked.stop_price.map(Amount::price).or(request.stop_price);
    request.trail = match (asked.trail, request.trail) {
        (Some(trail), Some(Trail::Price(_))) => Some(Trail::Price(trail.price())),
        (Some(trail), Some(Trail::Percent(_))) => Some(Trail::Percent(trail.0)),
        (_, trail) => trail,
    };
    let time = asked.time_in_force.as_ref().and_then(alpaca::TimeInForce::known);
    request.time_in_force = time.unwrap_or(request.time_in_force);
    order
}

/// An order of which only the id is known: the venue has the rest of it.
pub(super) fn known_by(shared: &Shared, id: OrderId) -> Order {
    let nothing = Quantity::ZERO;
    let any: Symbol = "ANY".parse().expect("it has the form of a symbol");
    let request = OrderRequest::simple("", any, Side::Buy, nothing, None, TimeInForce::Gtc);
    let account = shared.settings.account;
    Order::accepted(id, account, request, nothing, Provenance::of("client"), Timestamp::UNIX_EPOCH)
}

/// A question that the venue did not answer: too many were asked, or nobody is there.
fn unanswered(error: BrokerUnreachable) -> No {
    if error.0.starts_with("429") { No::new(code::RATE_LIMITED, "rate limit exceeded") } else { No::HangUp }
}

/// The venue's refusal as Alpaca words it.
fn refused(refusal: &Refusal) -> No {
    let (code, text) = match refusal.reason {
        Reason::InsufficientFunds => (code::FORBIDDEN, "insufficient buying power".to_owned()),
        Reason::InsufficientQuantity => {
            let mut problem = Problem::new(code::FORBIDDEN, "insufficient qty available for order");
            problem.available = Some(Amount::ZERO);
            return No::Problem(Box::new(problem));
        }
        Reason::NotShortable => (code::FORBIDDEN, "account is not allowed to short".to_owned()),
        Reason::SelfCross => {
            (code::FORBIDDEN, "potential wash trade detected. use complex orders".to_owned())
        }
        Reason::Price => (
            code::UNPROCESSABLE,
            "invalid limit_price. sub-penny increment does not fulfill minimum pricing criteria".to_owned(),
        ),
        Reason::TooLate => (code::UNPROCESSABLE, "order is already in a final state".to_owned()),
        Reason::NotTradable => (code::UNPROCESSABLE, "invalid symbol".to_owned()),
        Reason::MarketClosed => (code::UNPROCESSABLE, "market is closed".to_owned()),
        Reason::Halted => (code::UNPROCESSABLE, "trading is halted".to_owned()),
        Reason::Quantity => (code::UNPROCESSABLE, "qty is not one of its steps".to_owned()),
        Reason::Duplicate => (code::DUPLICATE, "client_order_id must be unique".to_owned()),
        Reason::RateLimited => (code::RATE_LIMITED, "rate limit exceeded".to_owned()),
        Reason::Restricted => (code::FORBIDDEN, "account is restricted".to_owned()),
        _ => (code::UNPROCESSABLE, refusal.text.clone()),
    };
    No::new(code, text)
}
