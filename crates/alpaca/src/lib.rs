//! The words of Alpaca's protocol, for both of its ends.
//!
//! The connector speaks to Alpaca and the desk's own API answers bots in the same words, so the shapes are here once:
//! what the one end writes, the other reads. An order is asked for with an [`OrderRequest`], lives as an [`Order`], and
//! what happens to it is told in a [`TradeUpdate`]. Prices come as [`Bar`], [`Quote`] and [`Trade`], over REST or in a
//! [`DataMessage`] of the stream, as JSON or, repacked by [`msgpack`], as MessagePack.
//!
//! What is read may hold anything: unknown fields are ignored, unknown words become `Other`, a decimal may be a string or
//! a number, and the digits of a number are taken as they stand. What is written is what Alpaca writes: money as strings,
//! market data as numbers, `null` where Alpaca has it.
//!
//! There is no I/O here, no address, and no opinion of what a message means to the desk.

mod word;

mod number;
mod time;

mod order;
mod problem;
mod request;
mod vocabulary;

mod account;
mod asset;
mod history;
mod position;
mod watchlist;

mod trade_updates;

mod data;
mod data_stream;
pub mod msgpack;

pub use account::{Account, Configurations};
pub use asset::{Asset, CalendarDay, Clock};
pub use data::{
    Bar, BarsOf, BarsPage, BookLevel, LatestBar, LatestBars, LatestOrderbooks, LatestQuote, LatestQuotes,
    LatestTrade, LatestTrades, News, NewsImage, NewsPage, Orderbook, Quote, QuotesOf, QuotesPage, Snapshot,
    Snapshots, SymbolSnapshot, Trade, TradesOf, TradesPage,
};
pub use data_stream::{
    Cancellation, Correction, DataError, DataMessage, DataRequest, Luld, Subscriptions, TradingStatus,
};
pub use history::{Activity, PortfolioHistory};
pub use number::{Amount, InvalidNumber, Number};
pub use order::Order;
pub use position::{ClosedPosition, Position, PositionMoney};
pub use problem::{Problem, code};
pub use request::{CanceledOrder, OrderLeg, OrderRequest, ReplaceRequest, StopLoss, TakeProfit};
pub use time::OffsetTime;
pub use trade_updates::{
    Authorization, AuthorizationStatus, Keys, Streams, TRADE_UPDATES, TradeUpdate, TradingMessage,
    TradingRequest,
};
pub use vocabulary::{
    AccountStatus, ActivityType, AssetClass, AssetStatus, Exchange, FillType, GroupRole, OrderClass,
    OrderStatus, OrderType, PositionIntent, PositionSide, Side, TakerSide, TimeInForce, TradeEvent,
};
pub use watchlist::{Watchlist, WatchlistRequest, WatchlistSymbol};

pub use uuid::Uuid;
