//! Accounts at brokers.

mod acts;
mod error;
mod store;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::{AccountId, AuditEntry, CostMethod, Money, Position, Price, Symbol, Timestamp, UnknownName};
use serde_json::json;

pub use self::acts::{add, open, pause, remove, rename, renew};
pub use self::error::AccountError;
pub use self::store::list;
use crate::core::HeadRoom;

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
    /// Since when it takes no new risk because somebody wants so; `None`: it does.
    pub paused_since: Option<Timestamp>,
    /// When what opens it at its broker was kept last; `None` where nothing is needed.
    pub credentials_since: Option<Timestamp>,
    /// What the broker itself calls it, where the broker says so: an account is on the desk once.
    pub broker_account: Option<String>,
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
    /// Since when the broker's stream is open; `None` while it is not.
    pub listening_since: Option<Timestamp>,
    /// When the broker last said anything.
    pub heard_at: Option<Timestamp>,
    /// The broker does not accept the account's credentials: they are to be renewed.
    pub is_locked_out: bool,
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
