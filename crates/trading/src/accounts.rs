//! Accounts at brokers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Context, CostMethod, Money, Position, Price, Symbol, Timestamp, UnknownName,
    from_micros, micros,
};
use serde_json::json;

use crate::core::HeadRoom;
use storage::{Database, RowExt as _, StorageError, Tx, query};

/// Whether an account's orders move real money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Simulated money at the paper venue, or at a broker's own paper service.
    Paper,
    /// Real money.
    Live,
}

impl Mode {
    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "paper" => Ok(Self::Paper),
            "live" => Ok(Self::Live),
            _ => Err(UnknownName { what: "mode", given: text.into(), allowed: "paper, live".into() }),
        }
    }
}

/// An account at a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The desk's id of it.
    pub id: AccountId,
    /// Its name on the desk, unique.
    pub name: String,
    /// Which broker, as `paper`.
    pub broker: String,
    /// Paper or live.
    pub mode: Mode,
    /// What its money is, as `USD`.
    pub currency: String,
    /// How the cost of what is sold is reckoned.
    pub cost_method: CostMethod,
    /// Since when real money may be traded; `None`: it may not. Of no meaning on paper accounts.
    pub live_since: Option<Timestamp>,
}

impl Account {
    /// [`signed`] for this account.
    pub(crate) fn sign(&self, entry: AuditEntry) -> AuditEntry {
        signed(self.id, self.mode, entry)
    }
}

/// Writes into an audit row which account it is about, and whether its money is real. Every row about the orders of an
/// account passes here on its way to the journal, so that none can lack it.
pub(crate) fn signed(account: AccountId, mode: Mode, mut entry: AuditEntry) -> AuditEntry {
    entry.detail["account"] = json!(account);
    entry.detail["mode"] = json!(mode.as_str());
    entry
}

/// Why an account takes no new risk at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    /// Since when.
    pub since: Timestamp,
    /// What is missing.
    pub reason: String,
}

/// An account's money, at a moment.
#[derive(Clone, Debug)]
pub struct AccountState {
    /// Which account.
    pub account: Account,
    /// Money not invested.
    pub cash: Money,
    /// Cash and holdings at market prices (at cost where there is no price).
    pub equity: Money,
    /// What new orders may still cost: cash less what is reserved.
    pub buying_power: Money,
    /// What open buy orders may still cost.
    pub reserved: Money,
    /// Profit of what was closed, less fees.
    pub realised_pnl: Money,
    /// Profit of what is held, at market prices.
    pub unrealised_pnl: Money,
    /// Set while the account takes no new risk.
    pub blind: Option<Blind>,
    /// How long the broker's last answer took.
    pub broker_latency: Option<Duration>,
    /// Orders that are not at their end.
    pub open_orders: usize,
    /// What came in from outside since the account was opened, less what went out. Not profit.
    pub deposits: Money,
    /// Since when the broker is spared because it does not answer.
    pub sparing_since: Option<Timestamp>,
    /// What is left of the budget of requests at the broker.
    pub head_room: HeadRoom,
    /// When this was so.
    pub at: Timestamp,
}

/// A position with its price, at a moment.
#[derive(Clone, Debug)]
pub struct Holding {
    /// On which account.
    pub account: AccountId,
    /// Of what.
    pub symbol: Symbol,
    /// How much, at what cost.
    pub position: Position,
    /// Last price on the tape; `None` before the first trade.
    pub market_price: Option<Price>,
    /// When this was so.
    pub at: Timestamp,
}

/// An account to open.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name on the desk.
    pub name: String,
    /// Which broker.
    pub broker: String,
    /// Paper or live.
    pub mode: Mode,
    /// What its money is.
    pub currency: String,
}

/// Opens an account on the desk. Nobody may trade on it until it is granted.
///
/// # Errors
/// The name is taken, or the database failed.
pub async fn open(db: &Database, ctx: &Context, new: NewAccount) -> Result<Account, StorageError> {
    let ctx = ctx.clone();
    db.write(move |tx: &mut Tx| Box::pin(async move { open_in(tx, &ctx, new).await })).await
}

/// The same inside a write job.
///
/// # Errors
/// The name is taken, or the database failed.
pub async fn open_in(tx: &mut Tx, ctx: &Context, new: NewAccount) -> Result<Account, StorageError> {
    let account = Account {
        id: AccountId::new(ctx.at),
        name: new.name,
        broker: new.broker,
        mode: new.mode,
        currency: new.currency,
        cost_method: CostMethod::default(),
        live_since: None,
    };
    query(
        "INSERT INTO accounts (id, name, broker, mode, currency, router_epoch, created_at) \
         VALUES ($1, $2, $3, $4, $5, 0, $6)",
    )
    .bind(account.id.to_string())
    .bind(account.name.as_str())
    .bind(account.broker.as_str())
    .bind(account.mode.as_str())
    .bind(account.currency.as_str())
    .bind(micros(ctx.at))
    .execute(tx.sql())
    .await?;
    let detail = json!({ "name": account.name, "broker": account.broker, "mode": account.mode.as_str() });
    tx.record(AuditEntry::by(ctx, "account.opened").on("account", account.id).with(detail));
    Ok(account)
}

/// All accounts of the desk, oldest first.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Database) -> Result<Vec<Account>, StorageError> {
    let sql = "SELECT id, name, broker, mode, currency, cost_method, live_since FROM accounts ORDER BY created_at, id";
    let rows = query(sql).fetch_all(&mut *db.read().await?).await?;
    rows.iter()
        .map(|row| {
            Ok(Account {
                id: StorageError::parse("account id", row.try_get(0)?)?,
                name: row.try_get(1)?,
                broker: row.try_get(2)?,
                mode: StorageError::parse("account mode", row.try_get(3)?)?,
                currency: row.try_get(4)?,
                cost_method: StorageError::parse("cost method", row.try_get(5)?)?,
                live_since: row.try_get::<Option<i64>, _>(6)?.map(from_micros),
            })
        })
        .collect()
}
