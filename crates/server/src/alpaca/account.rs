//! The account and how it is set up.

use alpaca::{Account, AccountStatus, Amount, Configurations};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use domain::{Decimal, Money, Permission, Resource};
use trading::portfolio::{Every, PortfolioError};
use trading::{AccountState, Scope, Way};

use super::bot::Bot;
use super::query::Body;
use super::{Refusal, hours};
use crate::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v2/account", get(account))
        .route("/v2/account/configurations", get(configurations).patch(change_configurations))
}

async fn account(State(desk): State<Desk>, bot: Bot) -> Result<Json<Account>, Refusal> {
    let state = desk.gateway.account(&bot.ctx, bot.account)?;
    let positions = desk.gateway.positions(&bot.ctx, bot.account)?;
    let (mut long, mut short, mut margin) = (Money::ZERO, Money::ZERO, Money::ZERO);
    for holding in &positions {
        let value = holding.market_price.map_or(holding.position.cost, |price| holding.position.value(price));
        match value.is_negative() {
            true => short += value,
            false => long += value,
        }
        margin +=
            if holding.position.cost.is_negative() { -holding.position.cost } else { holding.position.cost };
    }
    let yesterday = last_equity(&desk, &bot, &state).await?;
    let stopped = stopped(&desk, &bot);
    let worth = long + if short.is_negative() { -short } else { short };
    let opened_at = hours::made_at(state.account.id.0).unwrap_or(state.at);
    let free: Amount = state.buying_power.into();
    Ok(Json(Account {
        id: state.account.id.0,
        account_number: number(&state),
        status: AccountStatus::Active,
        crypto_status: Some(AccountStatus::Active),
        currency: state.account.currency.clone(),
        cash: state.cash.into(),
        equity: state.equity.into(),
        last_equity: yesterday.into(),
        portfolio_value: state.equity.into(),
        buying_power: free,
        regt_buying_power: Some(free),
        daytrading_buying_power: Some(free),
        non_marginable_buying_power: Some(free),
        options_buying_power: Some(Amount::ZERO),
        effective_buying_power: Some(free),
        options_approved_level: None,
        options_trading_level: None,
        crypto_tier: None,
        long_market_value: long.into(),
        short_market_value: short.into(),
        position_market_value: Some((long + short).into()),
        initial_margin: margin.into(),
        maintenance_margin: worth.into(),
        last_maintenance_margin: Some(Amount::ZERO),
        sma: Some(Amount::ZERO),
        multiplier: Amount(Decimal::ONE),
        accrued_fees: Some(Amount::ZERO),
        pending_transfer_in: None,
        pending_transfer_out: None,
        created_at: opened_at,
        balance_asof: Some(hours::date_of(state.at).yesterday().unwrap_or(hours::date_of(state.at))),
        pattern_day_trader: Some(false),
        trading_blocked: stopped.by_others || state.blind.is_some() || state.account.paused_since.is_some(),
        transfers_blocked: true,
        account_blocked: false,
        trade_suspended_by_user: stopped.by_owner,
        shorting_enabled: shorting(&desk, &bot),
        daytrade_count: Some(0),
    }))
}

/// A number that people can tell accounts apart by.
fn number(state: &AccountState) -> String {
    let id = state.account.id.0.simple().to_string();
    format!("PA{}", id[id.len() - 10..].to_ascii_uppercase())
}

/// What the account was worth when the day began; as long as nobody noted that, what was paid in.
async fn last_equity(desk: &Desk, bot: &Bot, state: &AccountState) -> Result<Money, Refusal> {
    let midnight = hours::day_of(state.at);
    let from = midnight - std::time::Duration::from_secs(7 * 86_400);
    let points =
        desk.gateway.portfolio_history(&bot.ctx, bot.account, None, Every::Hour, from, midnight).await?;
    Ok(points.last().map_or(state.deposits, |point| point.equity))
}

/// Which kill switches keep the key from trading.
struct Stopped {
    /// That of its owner, or its own.
    by_owner: bool,
    /// That of the desk or of the account.
    by_others: bool,
}

fn stopped(desk: &Desk, bot: &Bot) -> Stopped {
    let key = bot.ctx.key_id().map(|key| Scope::Key(key.to_string()));
    let engaged: Vec<Scope> =
        desk.gateway.kills(&bot.ctx).into_iter().map(|switch| switch.kill.scope).collect();
    let is_engaged = |scope: Scope| engaged.contains(&scope);
    Stopped {
        by_owner: is_engaged(Scope::User(bot.owner)) || key.is_some_and(is_engaged),
        by_others: is_engaged(Scope::Desk) || is_engaged(Scope::Account(bot.account)),
    }
}

fn shorting(desk: &Desk, bot: &Bot) -> bool {
    desk.gateway.profile(&bot.ctx, bot.account).is_ok_and(|profile| profile.short == Way::Broker)
}

fn configured(desk: &Desk, bot: &Bot) -> Configurations {
    Configurations {
        dtbp_check: Some("entry".into()),
        pdt_check: Some("entry".into()),
        trade_confirm_email: Some("none".into()),
        suspend_trade: Some(stopped(desk, bot).by_owner),
        no_shorting: Some(!shorting(desk, bot)),
        fractional_trading: Some(true),
        max_margin_multiplier: Some(Amount(Decimal::ONE)),
        max_options_trading_level: None,
        ptp_no_exception_entry: Some(false),
        disable_overnight_trading: Some(false),
    }
}

async fn configurations(State(desk): State<Desk>, bot: Bot) -> Result<Json<Configurations>, Refusal> {
    bot.ctx.require(Permission::AccountsView, Resource::Account(bot.account))?;
    Ok(Json(configured(&desk, &bot)))
}

/// The clients send the whole object back with one field changed. What they leave as it is is fine; what they change is set
/// on the desk, by people.
async fn change_configurations(
    State(desk): State<Desk>,
    bot: Bot,
    Body(wish): Body<Configurations>,
) -> Result<Json<Configurations>, Refusal> {
    bot.ctx.require(Permission::AccountsView, Resource::Account(bot.account))?;
    let is = configured(&desk, &bot);
    let changed = [
        ("dtbp_check", differs(&wish.dtbp_check, &is.dtbp_check)),
        ("pdt_check", differs(&wish.pdt_check, &is.pdt_check)),
        ("trade_confirm_email", differs(&wish.trade_confirm_email, &is.trade_confirm_email)),
        ("suspend_trade", differs(&wish.suspend_trade, &is.suspend_trade)),
        ("no_shorting", differs(&wish.no_shorting, &is.no_shorting)),
        ("fractional_trading", differs(&wish.fractional_trading, &is.fractional_trading)),
        ("max_margin_multiplier", differs(&wish.max_margin_multiplier, &is.max_margin_multiplier)),
        ("max_options_trading_level", wish.max_options_trading_level.is_some()),
        ("ptp_no_exception_entry", differs(&wish.ptp_no_exception_entry, &is.ptp_no_exception_entry)),
        (
            "disable_overnight_trading",
            differs(&wish.disable_overnight_trading, &is.disable_overnight_trading),
        ),
    ];
    match changed.into_iter().find(|(_, changed)| *changed) {
        Some((field, _)) => Err(Refusal::forbidden(format!(
            "{field} is set on the desk and cannot be changed through this API"
        ))),
        None => Ok(Json(is)),
    }
}

/// Whether something is asked for that is otherwise.
fn differs<T: PartialEq>(wish: &Option<T>, is: &Option<T>) -> bool {
    wish.is_some() && wish != is
}

impl From<PortfolioError> for Refusal {
    fn from(error: PortfolioError) -> Self {
        match error {
            PortfolioError::Denied(denied) => denied.into(),
            PortfolioError::Storage(error) => error.into(),
        }
    }
}
