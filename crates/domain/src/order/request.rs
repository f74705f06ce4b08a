//! What somebody wishes to trade.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{BookId, Decimal, Money, Price, Quantity, Symbol};

words! {
    /// Buy or sell.
    Side, "side";
    /// More of the instrument, less money.
    Buy = "buy";
    /// Less of the instrument, more money.
    Sell = "sell";
}

impl Side {
    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

words! {
    /// How an order is priced.
    OrderKind, "order type";
    /// At the best prices there are, now.
    Market = "market";
    /// At the limit price or better.
    Limit = "limit";
    /// A market order, once the market has traded at the stop price or beyond it.
    Stop = "stop";
    /// A limit order, once the market has traded at the stop price or beyond it.
    StopLimit = "stop_limit";
    /// A stop order whose stop price follows the market at a distance, and never moves back.
    TrailingStop = "trailing_stop";
}

impl OrderKind {
    /// Whether it has a limit price.
    pub fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }

    /// Whether it has a stop price of its own.
    pub fn has_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }
}

words! {
    /// How long an order works.
    TimeInForce, "time in force";
    /// Until the end of the trading day (for crypto: of the UTC day).
    Day = "day";
    /// Until it is filled or canceled.
    Gtc = "gtc";
    /// What can be filled at once is filled, the rest is canceled.
    Ioc = "ioc";
    /// Filled at once and whole, or canceled.
    Fok = "fok";
    /// Only in the opening auction.
    Opg = "opg";
    /// Only in the closing auction.
    Cls = "cls";
}

words! {
    /// Whether an order stands alone or brings others with it.
    OrderClass, "order class";
    /// Alone.
    Simple = "simple";
    /// An entry; once it is done, a take-profit and a stop-loss, of which only one is filled.
    Bracket = "bracket";
    /// A take-profit and a stop-loss, of which only one is filled (one cancels the other). The order is the take-profit.
    Oco = "oco";
    /// An entry; once it is done, a take-profit or a stop-loss (one triggers the other).
    Oto = "oto";
}

words! {
    /// What an order is for in a group of orders.
    Leg, "leg";
    /// It is filled at a profit.
    TakeProfit = "take_profit";
    /// It is filled to end a loss.
    StopLoss = "stop_loss";
}

/// How much is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Units of the instrument.
    Quantity(Quantity),
    /// As many units as this much money buys or sells at the quote of the moment.
    Notional(Money),
}

/// How far behind the market a trailing stop stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trail {
    /// A distance in price.
    Price(Price),
    /// A distance in per cent of the best price since: 5 is 5 %.
    Percent(Decimal),
}

impl Trail {
    /// The stop price at this distance from the best price the market has had: below it to sell, above it to buy.
    pub fn stop_price(self, best: Price, side: Side) -> Price {
        let distance = match self {
            Self::Price(distance) => distance.0,
            Self::Percent(percent) => best.0 * percent / Decimal::ONE_HUNDRED,
        };
        Price(match side {
            Side::Sell => best.0 - distance,
            Side::Buy => best.0 + distance,
        })
    }
}

/// The stop-loss of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopLoss {
    /// Where it becomes active.
    pub stop_price: Price,
    /// The worst price allowed then; `None` takes any.
    pub limit_price: Option<Price>,
}

/// What somebody wishes to trade, checked for form but not yet accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// The client's name for it, unique on the account for ever.
    pub client_order_id: String,
    /// What to trade.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub kind: OrderKind,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// How much.
    pub size: Size,
    /// The worst price allowed. On limit and stop-limit orders, and on no other.
    #[serde(default)]
    pub limit_price: Option<Price>,
    /// Where it becomes active. On stop and stop-limit orders, and on no other.
    #[serde(default)]
    pub stop_price: Option<Price>,
    /// On trailing stops, and on no other.
    #[serde(default)]
    pub trail: Option<Trail>,
    /// Whether it may also be filled before and after the regular session.
    #[serde(default)]
    pub extended_hours: bool,
    /// Alone or with others.
    #[serde(default = "simple")]
    pub class: OrderClass,
    /// Limit price of the leg that takes the profit. On brackets; on OTOs without a stop-loss. An OCO is its own.
    #[serde(default)]
    pub take_profit: Option<Price>,
    /// The leg that ends the loss. On brackets and OCOs; on OTOs without a take-profit.
    #[serde(default)]
    pub stop_loss: Option<StopLoss>,
    /// The book it belongs to; `None` leaves it to the desk: the own book of whoever asks, or else the account's.
    #[serde(default)]
    pub book: Option<BookId>,
    /// The strategy that asks for it, for limits and reports: 1 to 64 characters.
    #[serde(default)]
    pub strategy: Option<String>,
}

fn simple() -> OrderClass {
    OrderClass::Simple
}

impl TimeInForce {
    /// That of a market order which closes a position now. Shares have days; brokers of coins know none.
    pub fn to_close(symbol: &Symbol) -> Self {
        if symbol.is_pair() { Self::Gtc } else { Self::Day }
    }
}

impl OrderRequest {
    /// A simple order with nothing out of the ordinary.
    pub fn simple(
        client_order_id: impl Into<String>,
        symbol: Symbol,
        side: Side,
        quantity: Quantity,
        limit_price: Option<Price>,
        time_in_force: TimeInForce,
    ) -> Self {
        Self {
            client_order_id: client_order_id.into(),
            symbol,
            side,
            kind: if limit_price.is_some() { OrderKind::Limit } else { OrderKind::Market },
            time_in_force,
            size: Size::Quantity(quantity),
            limit_price,
            stop_price: None,
            trail: None,
            extended_hours: false,
            class: OrderClass::Simple,
            take_profit: None,
            stop_loss: None,
            book: None,
            strategy: None,
        }
    }
}
