//! What an account was worth, and what happened on it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use alpaca::{Activity, ActivityType, FillType, Number, OrderStatus, PortfolioHistory, Uuid};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use domain::{Decimal, Money, OrderId, Quantity, Timestamp};
use trading::portfolio::{EquityPoint, Every};
use trading::{BookedFill, BookingKind, FillFilter, Flow, FlowKind};

use super::bot::Bot;
use super::query::Query;
use super::{Refusal, hours, symbols};
use crate::Desk;

/// Names the ids of executions apart from all other UUIDs made from names.
const NAMESPACE: Uuid = Uuid::from_u128(0x2a6f_8be4_91c0_4d57_8e13_b1d7_4c90_55fe);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Executions that are read at once.
const PAGE: usize = 1000;
/// Most pages of them for one answer: what lies further back is asked for with a time.
const MOST_PAGES: usize = 20;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/account/portfolio/history", get(portfolio))
        .route("/v2/account/activities", get(activities))
        .route("/v2/account/activities/{type}", get(activities_of))
}

async fn portfolio(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<PortfolioHistory>, Refusal> {
    let now = desk.clock.now();
    let end = query.moment("end")?.or(query.moment("date_end")?.map(|day| day + DAY)).unwrap_or(now).min(now);
    let period = length(query.text("period").unwrap_or("1M")).ok_or_else(|| wrong("period"))?;
    let start =
        query.moment("start")?.unwrap_or_else(|| end.checked_sub(period).unwrap_or(Timestamp::UNIX_EPOCH));
    let span = Duration::try_from(end.duration_since(start)).map_err(|_| wrong("start"))?;
    let asked = query.text("timeframe").unwrap_or(match span {
        span if span <= DAY => "5Min",
        span if span <= 7 * DAY => "15Min",
        span if span <= 30 * DAY => "1H",
        _ => "1D",
    });
    let (every, step) = match asked {
        "1Min" => (Every::Minute, MINUTE),
        "5Min" => (Every::Minute, 5 * MINUTE),
        "15Min" => (Every::Minute, 15 * MINUTE),
        "1H" => (Every::Hour, 60 * MINUTE),
        "1D" => (Every::Day, DAY),
        _ => return Err(wrong("timeframe")),
    };
    // Gains of a day are those since it began, unless they are wanted since the beginning of all.
    let daily = match query.text("pnl_reset") {
        None | Some("per_day") => every != Every::Day,
        Some("no_reset") => false,
        Some(_) => return Err(wrong("pnl_reset")),
    };
    let points = desk.gateway.portfolio_history(&bot.ctx, bot.account, None, every, start, end).await?;
    let mut history = PortfolioHistory { timeframe: asked.to_owned(), ..PortfolioHistory::default() };
    let mut taken: Vec<(i64, &EquityPoint)> = Vec::new();
    let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
    for point in &points {
        // The last point of each step stands for it.
        let at = point.at.as_second().div_euclid(step) * step;
        match taken.last_mut() {
            Some(last) if last.0 == at => last.1 = point,
            _ => taken.push((at, point)),
        }
    }
    let Some((_, first)) = taken.first() else {
        let state = desk.gateway.account(&bot.ctx, bot.account)?;
        return Ok(Json(PortfolioHistory { base_value: state.deposits.into(), ..history }));
    };
    let earned = |point: &EquityPoint| point.equity - point.flows;
    history.base_value = first.equity.into();
    history.base_value_asof = Some(hours::date_of(first.at));
    let (mut base, mut base_earned, mut before) = (first.equity, earned(first), *first);
    for (at, point) in &taken {
        if daily && hours::day_of(point.at) != hours::day_of(before.at) {
            (base, base_earned) = (before.equity, earned(before));
        }
        before = point;
        let gained: Money = earned(point) - base_earned;
        history.timestamp.push(*at);
        history.equity.push(rounded(point.equity.0));
        history.profit_loss.push(rounded(gained.0));
        history.profit_loss_pct.push(Number(gained.0.checked_div(base.0).unwrap_or_default().round_dp(8)));
    }
    let types = query.list("cashflow_types");
    if !types.is_empty() && types != ["NONE"] {
        let flows = desk.gateway.flows(&bot.ctx, bot.account).await?;
        history.cashflow = Some(cashflow(&flows, &history.timestamp, step, &types));
    }
    Ok(Json(history))
}

/// Money that came and went in each step, by the type that it has among the activities.
fn cashflow(flows: &[Flow], steps: &[i64], length: i64, types: &[&str]) -> BTreeMap<String, Vec<Number>> {
    let mut by_type: BTreeMap<String, Vec<Number>> = BTreeMap::new();
    for flow in flows.iter().filter(|flow| flow.kind.is_external()) {
        let kind = type_of(flow.kind);
        let at = flow.at.as_second().div_euclid(length) * length;
        let Ok(nth) = steps.binary_search(&at) else { continue };
        if types == ["ALL"] || types.contains(&kind.as_str()) {
            let list =
                by_type.entry(kind.to_string()).or_insert_with(|| vec![Number::default(); steps.len()]);
            list[nth] = rounded(list[nth].0 + flow.amount.0);
        }
    }
    by_type
}

fn rounded(amount: Decimal) -> Number {
    Number(amount.round_dp(4))
}

fn wrong(name: &str) -> Refusal {
    Refusal::parameter(format!("invalid value for {name}"))
}

/// `1D`, `2W`, `3M`, `1A`.
fn length(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let days: u32 = match unit {
        "D" => 1,
        "W" => 7,
        "M" => 30,
        "A" | "Y" => 365,
        _ => return None,
    };
    let number: u32 = number.parse().ok().filter(|number| (1..=1000).contains(number))?;
    Some(DAY * days * number)
}

/// The id of an execution as the clients see it: a UUID, the same in the stream and in the activities.
pub(super) fn execution_id(fill: &BookedFill) -> Uuid {
    let name = &fill.fill.execution_id;
    // A broker that gives UUIDs is quoted.
    name.parse().unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, format!("{}/{name}", fill.account).as_bytes()))
}

async fn activities(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<Vec<Activity>>, Refusal> {
    let types = query.list("activity_types").into_iter().map(str::to_owned).collect();
    listed(&desk, &bot, &query, types).await
}

async fn activities_of(
    State(desk): State<Desk>,
    bot: Bot,
    Path(kind): Path<String>,
    query: Query,
) -> Result<Json<Vec<Activity>>, Refusal> {
    listed(&desk, &bot, &query, vec![kind]).await
}

async fn listed(
    desk: &Desk,
    bot: &Bot,
    query: &Query,
    types: Vec<String>,
) -> Result<Json<Vec<Activity>>, Refusal> {
    let day = query.moment("date")?.map(|at| (hours::day_of(at), hours::day_of(at) + DAY));
    let after = query.moment("after")?.max(day.map(|day| day.0));
    let until = [query.moment("until")?, day.map(|day| day.1)].into_iter().flatten().min();
    let within =
        |at: Timestamp| after.is_none_or(|after| at >= after) && until.is_none_or(|until| at < until);
    let category = query.text("category");
    let wanted = |kind: &ActivityType| {
        let named = types.is_empty() || types.iter().any(|one| one == kind.as_str());
        let trade = *kind == ActivityType::Fill;
        named && category.is_none_or(|category| (category == "trade_activity") == trade)
    };

    let mut all = Vec::new();
    if wanted(&ActivityType::Fill) {
        all.extend(executions(desk, bot, after).await?.into_iter().filter(|(at, _)| within(*at)));
    }
    for flow in desk.gateway.flows(&bot.ctx, bot.account).await? {
        let activity = of_flow(&flow, bot);
        if flow.kind.is_external() && within(flow.at) && wanted(&activity.activity_type) {
            all.push((flow.at, activity));
        }
    }
    all.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
    if query.text("direction") != Some("asc") {
        all.reverse();
    }
    let mut list: Vec<Activity> = all.into_iter().map(|(_, activity)| activity).collect();
    if let Some(token) = query.text("page_token") {
        match list.iter().position(|activity| activity.id == token) {
            Some(at) => drop(list.drain(..=at)),
            None => return Err(wrong("page_token")),
        }
    }
    let size = query.get::<usize>("page_size")?.unwrap_or(100);
    if !(1..=100).contains(&size) {
        return Err(Refusal::parameter("page_size is from 1 to 100"));
    }
    list.truncate(size);
    Ok(Json(list))
}

/// Executions since a time, oldest first, each with what its order had done by then.
async fn executions(
    desk: &Desk,
    bot: &Bot,
    after: Option<Timestamp>,
) -> Result<Vec<(Timestamp, Activity)>, Refusal> {
    let filter = FillFilter { account: Some(bot.account), ..FillFilter::default() };
    let mut fills: Vec<BookedFill> = Vec::new();
    for _ in 0..MOST_PAGES {
        let before = fills.last().map(|booked| (booked.fill.at, booked.seq));
        let page = desk.gateway.fills(&bot.ctx, &filter, before, PAGE).await?;
        let is_last = page.len() < PAGE;
        fills.extend(page);
        let reached = fills.last().zip(after).is_some_and(|(oldest, after)| oldest.fill.at < after);
        if is_last || reached {
            break;
        }
    }
    fills.reverse();
    let mut done: HashMap<OrderId, (Quantity, Quantity)> = HashMap::new();
    let mut list = Vec::with_capacity(fills.len());
    for booked in &fills {
        let Some(order) = booked.order else { continue };
        if let std::collections::hash_map::Entry::Vacant(entry) = done.entry(order) {
            let Some(order) = desk.gateway.order(&bot.ctx, order).await? else { continue };
            // What it had done before the first execution that was read.
            let read: Quantity =
                fills.iter().filter(|one| one.order == Some(order.id)).map(|one| one.fill.quantity).sum();
            entry.insert((order.filled - read, order.quantity));
        }
        let Some((cumulated, ordered)) = done.get_mut(&order) else { continue };
        *cumulated += booked.fill.quantity;
        list.push((booked.fill.at, of_fill(booked, order, *cumulated, *ordered)));
    }
    Ok(list)
}

fn of_fill(booked: &BookedFill, order: OrderId, cumulated: Quantity, ordered: Quantity) -> Activity {
    let is_whole = cumulated >= ordered;
    let id = execution_id(booked);
    Activity {
        transaction_time: Some(booked.fill.at),
        kind: Some(match booked.kind {
            BookingKind::Bust => FillType::TradeBust,
            BookingKind::Correction => FillType::TradeCorrect,
            BookingKind::Fill | BookingKind::Transfer if is_whole => FillType::Fill,
            BookingKind::Fill | BookingKind::Transfer => FillType::PartialFill,
        }),
        price: Some(booked.fill.price.into()),
        qty: Some(booked.fill.quantity.into()),
        side: Some(booked.side.into()),
        symbol: Some(symbols::shown(&booked.symbol)),
        leaves_qty: Some((ordered - cumulated).max(Quantity::ZERO).into()),
        order_id: Some(order.0),
        cum_qty: Some(cumulated.into()),
        order_status: Some(if is_whole { OrderStatus::Filled } else { OrderStatus::PartiallyFilled }),
        ..empty(Activity::id_of(booked.fill.at, id), ActivityType::Fill)
    }
}

fn type_of(kind: FlowKind) -> ActivityType {
    match kind {
        FlowKind::Deposit => ActivityType::CashDeposit,
        FlowKind::Withdrawal => ActivityType::CashWithdrawal,
        FlowKind::Adjustment | FlowKind::Securities | FlowKind::Transfer => ActivityType::Journal,
    }
}

fn of_flow(flow: &Flow, bot: &Bot) -> Activity {
    let kind = type_of(flow.kind);
    let id = Uuid::new_v5(&NAMESPACE, format!("{}/flow/{}", bot.account, flow.seq).as_bytes());
    Activity {
        date: Some(hours::date_of(flow.at)),
        net_amount: Some(flow.amount.into()),
        description: Some(flow.detail.clone()),
        status: Some("executed".into()),
        ..empty(Activity::id_of(flow.at, id), kind)
    }
}

fn empty(id: String, activity_type: ActivityType) -> Activity {
    Activity {
        id,
        activity_type,
        transaction_time: None,
        kind: None,
        price: None,
        qty: None,
        side: None,
        symbol: None,
        leaves_qty: None,
        order_id: None,
        cum_qty: None,
        order_status: None,
        previous_id: None,
        date: None,
        net_amount: None,
        per_share_amount: None,
        description: None,
        status: None,
        swap_rate: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cash_flows_stand_in_the_step_in_which_they_happened() {
        let flow = |second: i64, kind: FlowKind, amount: i64| Flow {
            seq: 1,
            at: Timestamp::from_second(second).unwrap(),
            kind,
            book: None,
            amount: Money(amount.into()),
            detail: String::new(),
        };
        let flows = [
            flow(70, FlowKind::Deposit, 5),
            flow(119, FlowKind::Deposit, 6),
            flow(130, FlowKind::Withdrawal, -2),
            flow(130, FlowKind::Transfer, 9),
            flow(999, FlowKind::Deposit, 7),
        ];
        let of = |types: &[&str]| serde_json::to_string(&cashflow(&flows, &[0, 60, 120], 60, types)).unwrap();
        assert_eq!(of(&["ALL"]), r#"{"CSD":[0,11,0],"CSW":[0,0,-2]}"#);
        assert_eq!(of(&["CSW"]), r#"{"CSW":[0,0,-2]}"#);
        assert_eq!(of(&["DIV"]), "{}");
    }
}
