//! What the market prints, as the desk sees it: live prices, bars, and what was refused on the way.
//!
//! A connector hands what its vendor said to a [`Feed`] as [`RawTrade`]s and [`RawQuote`]s. The feed checks each one
//! (`normaliser`), puts it on the symbol's tape (`tape`), where trades are folded into windows (`window`) and windows
//! into a series of bars (`series`), and tells whoever has subscribed to the [`Market`]. The `keeper` publishes bars
//! that changed and stores them (`store`), so that a restart keeps the chart.
//!
//! Time here is the exchanges' own (`at`), never that of arrival: a window is open until the newest event of its
//! symbol is [`Settings::lateness`] past its end, and whatever arrives before that amends it, in whatever order.
//!
//! This crate knows no vendor and opens no socket. It never invents a trade, never drops one that it accepted, and a
//! database that fails does not stop it. What is refused is counted by kind ([`Counters`]) and logged once per kind.

mod settings;

mod conditions;
mod counters;
mod normaliser;

mod sum;
mod window;

mod series;
mod tape;

mod events;
mod feed;
mod live;

mod keeper;
mod store;

pub mod watchlists;

mod report;

pub use conditions::{Codes, ConditionTable, ExchangeCodes};
pub use counters::{Counters, Kind};
pub use events::{BarUpdate, BarView, Day, FeedState, FeedStatus, MarketEvent};
pub use feed::Feed;
pub use live::Market;
pub use normaliser::{RawQuote, RawTrade, VendorBar};
pub use report::{BarReport, write_csv};
pub use settings::{Chosen, Settings};
