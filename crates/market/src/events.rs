//! What the market tells those who listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{Bar, Decimal, Every, Quantity, Quote, Symbol, Timestamp, Trade};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum MarketEvent {
    /// A trade was accepted.
    Trade(Arc<Trade>),
    /// A quote was accepted. May be crossed or one-sided.
    Quote(Arc<Quote>),
    /// A bar changed. Several changes within a quarter of a second are told as one.
    Bar(Arc<BarUpdate>),
    /// A feed changed its state.
    Feed(Arc<FeedStatus>),
}

/// A bar as it stands now; it replaces what was told of the same window before.
#[derive(Clone, Debug)]
pub struct BarUpdate {
    /// Of what.
    pub symbol: Symbol,
    /// Of which length.
    pub every: Every,
    /// The bar.
    pub bar: Bar,
    /// Whether its window is closed.
    pub is_final: bool,
    /// Whether a late trade changed it after a newer bar had begun.
    pub amendment: bool,
}

/// A bar of the past or the present.
#[derive(Clone, Debug, PartialEq)]
pub struct BarView {
    /// The bar.
    pub bar: Bar,
    /// Whether its window is closed.
    pub is_final: bool,
}

/// The last 24 hours of a symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// Change of the price as a fraction (0.01 is 1 %); `None` while less than 24 hours are known.
    pub change: Option<Decimal>,
    /// Units traded.
    pub volume: Quantity,
}

/// Where a feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// On the way to a connection.
    Connecting,
    /// Events are coming in.
    Live,
    /// Connected, but silent for longer than it may be.
    Stalled,
    /// No connection; tried again after a while.
    Down,
    /// Given up until somebody acts: shut down, or the key was refused.
    Stopped,
}

impl FeedState {
    /// The name in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Down => "down",
            Self::Stopped => "stopped",
        }
    }
}

/// How a feed is doing.
#[derive(Clone, Debug)]
pub struct FeedStatus {
    /// Which feed.
    pub name: String,
    /// Where it stands.
    pub state: FeedState,
    /// Since when.
    pub since_at: Timestamp,
    /// When it last said anything, by our clock.
    pub last_event_at: Option<Timestamp>,
    /// From the exchange's time to our arrival, of the latest frames on average.
    pub latency: Option<Duration>,
    /// How often it was connected again.
    pub reconnects: u64,
    /// What was counted, by kind.
    pub counters: BTreeMap<&'static str, u64>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}
