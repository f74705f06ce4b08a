//! Alpaca: a broker for shares and coins, and their market data.
//!
//! [`Client`] is one account: its [`Client::broker`] takes orders over REST and tells what becomes of them from the
//! `trade_updates` stream. [`start`] keeps a stream of market data and feeds the market; [`MarketData`] asks for what has
//! been, and [`keep_past`] fills the gaps of the chart with it. What Alpaca lacks for coins is in `lacks`. The words of the protocol are in the crate `alpaca`, because the desk's own API speaks them too; what they mean to
//! the desk is in `translate`, what the broker's refusals mean in `refusal`, requests and their failures in `http`.
//!
//! Brackets, OCOs and OTOs are done by the desk: Alpaca names the legs itself, and an order that the desk has not named
//! cannot be found again when an answer is lost.

mod broker;
mod client;
mod data;
mod feed;
mod http;
mod lacks;
mod names;
mod past;
mod refusal;
mod settings;
mod stream;
mod symbol;
mod translate;

pub use client::Client;
pub use data::{MarketData, Newest, Range, Rows};
pub use feed::{Encoding, FeedSettings, start};
pub use http::Failure;
pub use past::{PastSettings, keep_past};
pub use settings::{Credentials, DATA, DATA_STREAM, LIVE, PAPER, Settings, UnusableSettings, is_real_money};
pub use symbol::{Class, could_be};
