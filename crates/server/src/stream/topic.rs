//! What can be subscribed to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::{AccountId, Context, Denied, Every, Permission, Resource, Symbol};

/// One stream of events, numbered from the start of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Orders of an account as they change.
    Orders(AccountId),
    /// Executions of an account as they are booked.
    Fills(AccountId),
    /// Orders of an account whose outcome is not known, all of them whenever that changes.
    Unknown(AccountId),
    /// What waits for a second person on an account: only that it changed.
    Approvals(AccountId),
    /// Kill switches: only that something changed.
    KillSwitches,
    /// Risk limits: only that something changed.
    Limits,
    /// Positions of an account as they change, in quantity or in worth.
    Positions(AccountId),
    /// Balances and state of an account.
    Account(AccountId),
    /// State of the market data feeds.
    Feed,
    /// Bars of one instrument, while they grow and when they are final.
    Bars(Symbol, Every),
    /// Prints on the tape.
    Trades(Symbol),
    /// Best bid and ask.
    Quotes(Symbol),
}

/// For how long somebody who was cut off finds everything that they missed.
pub(crate) const AWAY: Duration = Duration::from_secs(10 * 60);

/// How long events are kept for those who were cut off.
pub(crate) struct Keep {
    /// At most so many.
    pub events: usize,
    /// At most so many bytes of them.
    pub bytes: usize,
    /// At most so long, also after the last listener left.
    pub age: Duration,
}

impl Topic {
    /// Whether `ctx` may listen.
    pub(crate) fn require(&self, ctx: &Context) -> Result<(), Denied> {
        match self {
            Self::Orders(account)
            | Self::Fills(account)
            | Self::Unknown(account)
            | Self::Approvals(account) => ctx.require(Permission::OrdersView, Resource::Account(*account)),
            Self::Positions(account) | Self::Account(account) => {
                ctx.require(Permission::AccountsView, Resource::Account(*account))
            }
            Self::KillSwitches | Self::Limits => ctx.require(Permission::OrdersView, Resource::Desk),
            Self::Feed | Self::Bars(..) | Self::Trades(_) | Self::Quotes(_) => {
                ctx.require(Permission::MarketView, Resource::Desk)
            }
        }
    }

    /// The instrument, if the topic has one.
    pub(crate) fn symbol(&self) -> Option<&Symbol> {
        match self {
            Self::Bars(symbol, _) | Self::Trades(symbol) | Self::Quotes(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// Which topics are written first to a connection that cannot keep up: what concerns money before the market,
    /// quotes last.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::KillSwitches => 0,
            Self::Unknown(_) => 1,
            Self::Orders(_) => 2,
            Self::Fills(_) => 3,
            Self::Positions(_) => 4,
            Self::Account(_) => 5,
            Self::Approvals(_) | Self::Limits => 6,
            Self::Feed => 7,
            Self::Bars(..) => 8,
            Self::Trades(_) => 9,
            Self::Quotes(_) => 10,
        }
    }

    pub(crate) fn keep(&self) -> Keep {
        let (events, mebibytes) = match self {
            Self::Orders(_) | Self::Fills(_) | Self::Positions(_) | Self::Account(_) => (100_000, 64),
            Self::Trades(_) | Self::Bars(..) | Self::Quotes(_) => (100_000, 32),
            // A list of all of them each time.
            Self::Unknown(_) => (1_000, 16),
            Self::Feed => (2_000, 4),
            // Only gaps.
            Self::Approvals(_) | Self::KillSwitches | Self::Limits => (1, 1),
        };
        Keep { events, bytes: mebibytes << 20, age: AWAY }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orders(account) => write!(f, "orders:{account}"),
            Self::Fills(account) => write!(f, "fills:{account}"),
            Self::Unknown(account) => write!(f, "unknown:{account}"),
            Self::Approvals(account) => write!(f, "approvals:{account}"),
            Self::KillSwitches => f.write_str("kill-switches"),
            Self::Limits => f.write_str("limits"),
            Self::Positions(account) => write!(f, "positions:{account}"),
            Self::Account(account) => write!(f, "account:{account}"),
            Self::Feed => f.write_str("feed"),
            Self::Bars(symbol, every) => write!(f, "bars:{symbol}:{every}"),
            Self::Trades(symbol) => write!(f, "trades:{symbol}"),
            Self::Quotes(symbol) => write!(f, "quotes:{symbol}"),
        }
    }
}

/// The text is no topic.
#[derive(Debug)]
pub(crate) struct UnknownTopic;

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        fn parse<T: FromStr>(text: &str) -> Result<T, UnknownTopic> {
            text.parse().map_err(|_| UnknownTopic)
        }
        let (kind, of) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "orders" => Ok(Self::Orders(parse(of)?)),
            "fills" => Ok(Self::Fills(parse(of)?)),
            "unknown" => Ok(Self::Unknown(parse(of)?)),
            "approvals" => Ok(Self::Approvals(parse(of)?)),
            "kill-switches" if text == kind => Ok(Self::KillSwitches),
            "limits" if text == kind => Ok(Self::Limits),
            "positions" => Ok(Self::Positions(parse(of)?)),
            "account" => Ok(Self::Account(parse(of)?)),
            "feed" if of.is_empty() => Ok(Self::Feed),
            "trades" => Ok(Self::Trades(parse(of)?)),
            "quotes" => Ok(Self::Quotes(parse(of)?)),
            "bars" => {
                let (symbol, every) = of.split_once(':').ok_or(UnknownTopic)?;
                Ok(Self::Bars(parse(symbol)?, parse(every)?))
            }
            _ => Err(UnknownTopic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_written_as_it_is_read() {
        let id = "01938f1e-7a00-7000-8000-000000000001";
        let account = ["orders", "fills", "unknown", "approvals", "positions", "account"];
        let account = account.map(|kind| format!("{kind}:{id}"));
        let market = [
            "kill-switches",
            "limits",
            "feed",
            "trades:BTC-USD",
            "quotes:BTC-USD",
            "bars:BTC-USD:1s",
            "bars:BTC-USD:1m",
        ];
        for text in account.iter().map(String::as_str).chain(market) {
            assert_eq!(text.parse::<Topic>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "orders",
            "orders:",
            "orders:7",
            "bars:BTC-USD",
            "bars:BTC-USD:5m",
            "feed:x",
            "limits:",
            "trades:btc",
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
