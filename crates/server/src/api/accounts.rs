//! Accounts: what they hold and what they may still spend.

use axum::extract::State;
use domain::{AccountId, Context};
use serde::Serialize;
use trading::{Account, AccountState, Holding};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, PageQuery};
use super::words::{self, At, Decimal};
use crate::Desk;
use crate::json::{Path, Query};
use crate::problem::{Problem, ProblemBody};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(accounts)).routes(routes!(account)).routes(routes!(positions))
}

/// An account at a broker.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct AccountSummary {
    id: String,
    name: String,
    broker: String,
    /// Whether its money is real.
    #[schema(value_type = words::Mode)]
    mode: &'static str,
    currency: String,
    /// One's own access to it.
    #[schema(value_type = words::Access)]
    access: domain::Access,
}

impl AccountSummary {
    /// `None` when there is no access.
    pub(super) fn new(ctx: &Context, account: Account) -> Option<Self> {
        Some(Self {
            access: ctx.access(account.id)?,
            id: account.id.to_string(),
            name: account.name,
            broker: account.broker,
            mode: account.mode.as_str(),
            currency: account.currency,
        })
    }
}

/// Accounts that may be seen.
#[derive(Serialize, ToSchema)]
struct AccountList {
    items: Vec<AccountSummary>,
}

/// An account and its money now.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountDetail {
    #[serde(flatten)]
    account: AccountSummary,
    /// Money not invested.
    cash: Decimal,
    /// Cash and holdings at market prices.
    equity: Decimal,
    /// What new orders may still cost.
    buying_power: Decimal,
    /// What open buy orders may still cost.
    reserved: Decimal,
    /// Profit of what was closed, less fees.
    realised_pnl: Decimal,
    /// Profit of what is held, at market prices.
    unrealised_pnl: Decimal,
    /// `blind`: the desk cannot see it at the broker, and takes on no new risk.
    #[schema(value_type = words::AccountVisibility)]
    state: &'static str,
    #[schema(required)]
    blind_since_at: Option<At>,
    #[schema(required)]
    blind_reason: Option<String>,
    /// How long the broker's last answer took.
    #[schema(required)]
    broker_latency_ms: Option<u64>,
    open_orders: usize,
    /// What came in from outside since the account was opened, less what went out. Not profit.
    deposits: Decimal,
    /// Since when the broker is spared because it does not answer: nothing is sent to it but cancels.
    #[schema(required)]
    sparing_since_at: Option<At>,
    /// What is left of the budget of requests at the broker.
    requests: RequestBudget,
    /// Since when real money may be traded; none on paper, and where it is not switched on.
    #[schema(required)]
    live_since_at: Option<At>,
    /// Since when it takes no new risk because somebody has paused it.
    #[schema(required)]
    paused_since_at: Option<At>,
    /// Since when the broker's stream is open; none while it is not.
    #[schema(required)]
    stream_since_at: Option<At>,
    /// When the broker last said anything.
    #[schema(required)]
    heard_at: Option<At>,
    /// When what opens it at the broker was last replaced; none where nothing is needed, and where it was kept before this
    /// was noted.
    #[schema(required)]
    credentials_since_at: Option<At>,
    /// The broker does not accept the account's credentials: they are to be renewed.
    locked_out: bool,
    /// How the cost of what is sold is reckoned.
    #[schema(value_type = words::CostMethod)]
    cost_method: domain::CostMethod,
    as_of_at: At,
}

/// A budget of requests at a broker.
#[derive(Serialize, ToSchema)]
struct RequestBudget {
    /// Requests that could be made at once now.
    free: u32,
    /// Requests that could be made at once if none had been made.
    burst: u32,
    /// Requests that come free in a minute.
    per_minute: u32,
}

impl AccountDetail {
    /// `None` when there is no access.
    pub(crate) fn new(ctx: &Context, state: AccountState) -> Option<Self> {
        let head_room = state.head_room;
        Some(Self {
            live_since_at: state.account.live_since.map(At),
            paused_since_at: state.account.paused_since.map(At),
            stream_since_at: state.listening_since.map(At),
            heard_at: state.heard_at.map(At),
            credentials_since_at: state.account.credentials_since.map(At),
            locked_out: state.is_locked_out,
            cost_method: state.account.cost_method,
            account: AccountSummary::new(ctx, state.account)?,
            deposits: state.deposits.into(),
            sparing_since_at: state.sparing_since.map(At),
            requests: RequestBudget {
                free: head_room.free,
                burst: head_room.burst,
                per_minute: head_room.per_minute,
            },
            cash: state.cash.into(),
            equity: state.equity.into(),
            buying_power: state.buying_power.into(),
            reserved: state.reserved.into(),
            realised_pnl: state.realised_pnl.into(),
            unrealised_pnl: state.unrealised_pnl.into(),
            state: if state.blind.is_some() { "blind" } else { "ready" },
            blind_since_at: state.blind.as_ref().map(|blind| At(blind.since)),
            blind_reason: state.blind.map(|blind| blind.reason),
            broker_latency_ms: state.broker_latency.map(super::millis),
            open_orders: state.open_orders,
            as_of_at: At(state.at),
        })
    }
}

/// What an account holds of one instrument.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Position {
    account_id: String,
    symbol: String,
    /// Below zero when short.
    quantity: Decimal,
    /// 0 when nothing is held.
    average_price: Decimal,
    /// Last price on the tape.
    #[schema(required)]
    market_price: Option<Decimal>,
    #[schema(required)]
    market_value: Option<Decimal>,
    /// What was paid for what is held, without fees.
    cost_basis: Decimal,
    /// Profit of what was closed, less fees.
    realised_pnl: Decimal,
    #[schema(required)]
    unrealised_pnl: Option<Decimal>,
    as_of_at: At,
}

impl From<Holding> for Position {
    fn from(holding: Holding) -> Self {
        let position = holding.position;
        Self {
            account_id: holding.account.to_string(),
            symbol: holding.symbol.to_string(),
            quantity: position.quantity.into(),
            average_price: Decimal::average(position.average_price().unwrap_or_default()),
            market_price: holding.market_price.map(Decimal::from),
            market_value: holding.market_price.map(|price| position.value(price).into()),
            cost_basis: position.cost.into(),
            realised_pnl: position.realised_pnl.into(),
            unrealised_pnl: holding.market_price.map(|price| position.unrealised_pnl(price).into()),
            as_of_at: At(holding.at),
        }
    }
}

/// What an account holds.
#[derive(Serialize, ToSchema)]
struct PositionList {
    items: Vec<Position>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Accounts that may be seen
#[utoipa::path(get, path = "/api/v1/accounts", tag = "Accounts",
    responses((status = 200, body = AccountList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn accounts(State(desk): State<Desk>, who: SignedIn) -> axum::Json<AccountList> {
    let ctx = who.context();
    let accounts = desk.gateway.accounts(ctx).into_iter();
    axum::Json(AccountList {
        items: accounts.filter_map(|account| AccountSummary::new(ctx, account)).collect(),
    })
}

/// An account and its money
#[utoipa::path(get, path = "/api/v1/accounts/{id}", tag = "Accounts", params(("id" = String, Path, description = "The account.")),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn account(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    let ctx = who.context();
    let detail = AccountDetail::new(ctx, desk.gateway.account(ctx, id)?);
    detail.map(axum::Json).ok_or_else(|| domain::Denied::NoGrant { account: id }.into())
}

/// What an account holds
///
/// What was closed stays in the list with its realised profit, at quantity 0.
#[utoipa::path(get, path = "/api/v1/accounts/{id}/positions", tag = "Accounts", params(("id" = String, Path, description = "The account."), PageQuery),
    responses((status = 200, body = PositionList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn positions(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<PositionList>, Problem> {
    let holdings = desk.gateway.positions(who.context(), id)?;
    let symbol = |holding: &trading::Holding| holding.symbol.to_string();
    let (holdings, next_cursor) =
        page::part(holdings, page.limit, page.cursor.as_deref(), "positions", symbol)?;
    Ok(axum::Json(PositionList { items: holdings.into_iter().map(Position::from).collect(), next_cursor }))
}
