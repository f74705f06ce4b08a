//! What an account has and may do.

use domain::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AccountStatus, Amount, Number};

/// `GET /v2/account`. Amounts are strings: the SDK fails on numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Alpaca's id.
    pub id: Uuid,
    /// The number that people see.
    pub account_number: String,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// The same for coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_status: Option<AccountStatus>,
    /// As `USD`.
    pub currency: String,
    /// Money not invested; below zero when borrowed.
    pub cash: Amount,
    /// Cash and the worth of all positions.
    pub equity: Amount,
    /// The same at the end of the last trading day.
    pub last_equity: Amount,
    /// The same as `equity`, of old.
    pub portfolio_value: Amount,
    /// What can be bought for.
    pub buying_power: Amount,
    /// The same over night.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regt_buying_power: Option<Amount>,
    /// The same within a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daytrading_buying_power: Option<Amount>,
    /// The same for what cannot be bought on credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_marginable_buying_power: Option<Amount>,
    /// The same for options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_buying_power: Option<Amount>,
    /// The same, as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_buying_power: Option<Amount>,
    /// Which options the account was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_approved_level: Option<Number>,
    /// Which options the account trades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_trading_level: Option<Number>,
    /// Which coins the account trades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_tier: Option<Number>,
    /// Worth of what is held.
    pub long_market_value: Amount,
    /// Worth of what is owed, below zero.
    pub short_market_value: Amount,
    /// Both together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_market_value: Option<Amount>,
    /// What had to be there to open the positions.
    pub initial_margin: Amount,
    /// What has to be there to keep them.
    pub maintenance_margin: Amount,
    /// The same at the end of the last trading day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_maintenance_margin: Option<Amount>,
    /// The special memorandum account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sma: Option<Amount>,
    /// How much more than its own the account may invest, as `"1"` to `"4"`.
    pub multiplier: Amount,
    /// Fees not yet collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accrued_fees: Option<Amount>,
    /// Money on its way here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_transfer_in: Option<Amount>,
    /// Money on its way from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_transfer_out: Option<Amount>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The day of the amounts of the last trading day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_asof: Option<Date>,
    /// Whether it counts as a day trader's. Gone from the newest documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern_day_trader: Option<bool>,
    /// Whether it may not trade.
    #[serde(default)]
    pub trading_blocked: bool,
    /// Whether no money may be moved.
    #[serde(default)]
    pub transfers_blocked: bool,
    /// Whether nothing may be done.
    #[serde(default)]
    pub account_blocked: bool,
    /// Whether its owner has stopped trading.
    #[serde(default)]
    pub trade_suspended_by_user: bool,
    /// Whether it may sell what it does not have.
    #[serde(default)]
    pub shorting_enabled: bool,
    /// Day trades of the last five days. Gone from the newest documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daytrade_count: Option<u32>,
}

/// `GET` and `PATCH /v2/account/configurations`. A `null` in a `PATCH` changes nothing: the SDK sends the whole object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configurations {
    /// `both`, `entry` or `exit`. Gone from the newest documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtbp_check: Option<String>,
    /// `both`, `entry` or `exit`. Gone from the newest documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdt_check: Option<String>,
    /// `all` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_confirm_email: Option<String>,
    /// Whether new orders are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_trade: Option<bool>,
    /// Whether nothing may be sold that is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_shorting: Option<bool>,
    /// Whether parts of a share are traded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fractional_trading: Option<bool>,
    /// `"1"` to `"4"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_margin_multiplier: Option<Amount>,
    /// Which options the account wishes to trade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_options_trading_level: Option<Number>,
    /// Whether publicly traded partnerships may be bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ptp_no_exception_entry: Option<bool>,
    /// Whether nothing is traded over night.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_overnight_trading: Option<bool>,
}
