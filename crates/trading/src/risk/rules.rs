//! The rules that an order can break: the standard codes of a refusal.

use super::limits::LimitKind;
use super::named::named;

named! {
    /// A rule that an order can break. The names are part of the interface and never change.
    Rule, "rule";
    /// A client order id is 1 to 128 characters, none of them a control character.
    ClientOrderId = "client_order_id_invalid", "Client order id";
    /// The desk must know the instrument.
    Symbol = "symbol_unknown", "Unknown symbol";
    /// The name of a strategy has the form of a client order id.
    Strategy = "strategy_invalid", "Name of the strategy";
    /// The quantity is above zero and a multiple of the instrument's increment.
    Quantity = "quantity_invalid", "Quantity";
    /// The quantity, or what the notional buys at the quote, is at least one increment.
    QuantityTooSmall = "quantity_too_small", "Quantity too small";
    /// The quantity is not absurd.
    QuantityTooLarge = "quantity_too_large", "Quantity too large";
    /// A size in money is above zero and has at most two decimals.
    NotionalInvalid = "notional_invalid", "Notional";
    /// A limit or stop-limit order has a limit price.
    PriceRequired = "price_required", "Limit price missing";
    /// No other order has one.
    PriceNotAllowed = "price_not_allowed", "Limit price out of place";
    /// Each price is above zero and not absurd.
    Price = "price_invalid", "Price";
    /// Each price is a multiple of the instrument's increment.
    PriceOffTick = "price_off_tick", "Price off the tick";
    /// A stop or stop-limit order has a stop price.
    StopRequired = "stop_price_required", "Stop price missing";
    /// No other order has one.
    StopNotAllowed = "stop_price_not_allowed", "Stop price out of place";
    /// A stop is where the market is not yet: above it to buy, below it to sell.
    StopSide = "stop_price_side", "Stop on the wrong side";
    /// A trailing stop has a trail.
    TrailRequired = "trail_required", "Trail missing";
    /// No other order has one.
    TrailNotAllowed = "trail_not_allowed", "Trail out of place";
    /// A trail in price is above zero and on the tick; one in per cent is above 0 and below 100. It leaves a stop price
    /// above zero.
    TrailInvalid = "trail_invalid", "Trail";
    /// A bracket has a take-profit and a stop-loss, an OCO a stop-loss, an OTO one of the two.
    LegRequired = "leg_required", "Leg missing";
    /// No other order has them; an OCO is its own take-profit.
    LegNotAllowed = "leg_not_allowed", "Leg out of place";
    /// A take-profit is on the side of the entry where a profit is made, a stop-loss on the other.
    LegSide = "leg_side", "Leg on the wrong side";
    /// The order class goes with this order type: brackets and OTOs begin with any but a trailing stop, an OCO is a limit
    /// order.
    Class = "class_not_allowed", "Order class";
    /// The time in force goes with the order type and class: stops, brackets, OCOs and OTOs are day or GTC.
    TimeInForce = "time_in_force_not_allowed", "Time in force";
    /// Outside of the regular session only simple limit orders work, day or GTC.
    ExtendedHours = "extended_hours_not_allowed", "Extended hours";
    /// What is to be filled at once needs an open session.
    SessionClosed = "session_closed", "Session closed";
    /// There is a quote, and it is fresh. While the session is closed the last one counts: there is no fresher.
    NoQuote = "no_quote", "No fresh quote";
    /// The limit price is not far from the market, or from the stop price of a stop-limit order.
    PriceCollar = "price_collar", "Price collar";
    /// The order is not worth more than allowed.
    Notional = "notional_too_large", "Order value";
    /// The order has not more units than allowed.
    OrderQuantity = "order_quantity_limit", "Order size";
    /// What is bought or sold short can be paid for by the account.
    BuyingPower = "buying_power", "Buying power";
    /// What is bought or sold short can be paid for by the book.
    BookBuyingPower = "book_buying_power", "Buying power of the book";
    /// What is sold is held by the account and not being sold already, where nothing can be sold short.
    Position = "position_too_small", "Position";
    /// What is sold is held by the book and not being sold already, where nothing can be sold short.
    BookPosition = "book_position_too_small", "Position of the book";
    /// Nothing is sold short where that is forbidden.
    ShortSelling = "short_selling_forbidden", "Short selling";
    /// The symbol is on every list of those allowed.
    SymbolNotAllowed = "symbol_not_allowed", "Symbol not allowed";
    /// The symbol is on no list of those denied.
    SymbolDenied = "symbol_denied", "Symbol denied";
    /// It is in the trading hours.
    TradingHours = "outside_trading_hours", "Trading hours";
    /// The position stays within its limit in units if every open order is filled.
    PositionLimit = "position_limit", "Position limit";
    /// The position stays within its limit in money if every open order is filled.
    PositionNotional = "position_notional_limit", "Position value";
    /// All positions together stay within their limit if the worse side of the open orders is filled.
    GrossExposure = "gross_exposure_limit", "Gross exposure";
    /// The positions do not lean too far to one side.
    NetExposure = "net_exposure_limit", "Net exposure";
    /// Not too large a share of the equity is in one symbol.
    Concentration = "concentration_limit", "Concentration";
    /// Exposure is not too large a multiple of the equity.
    Leverage = "leverage_limit", "Leverage";
    /// Not too much was lost today. Orders that only close still pass.
    DailyLoss = "daily_loss_limit", "Daily loss";
    /// The profit has not fallen too far below its highest. Orders that only close still pass.
    Drawdown = "drawdown_limit", "Drawdown stop";
    /// Not too many orders in 60 seconds.
    OrdersPerMinute = "orders_per_minute_limit", "Orders per minute";
    /// Not too many orders since 00:00 UTC.
    OrdersPerDay = "orders_per_day_limit", "Orders per day";
    /// Not too many orders are open.
    OpenOrders = "open_orders_limit", "Open orders";
    /// The order would not trade with a resting order of the same account, whoever placed that.
    SelfCross = "self_cross", "Self-crossing";
}

impl Rule {
    /// The kind of limit that it compares with, where it does.
    pub fn limit_kind(self) -> Option<LimitKind> {
        Some(match self {
            Self::NoQuote => LimitKind::QuoteAge,
            Self::PriceCollar => LimitKind::PriceCollar,
            Self::Notional => LimitKind::OrderNotional,
            Self::OrderQuantity => LimitKind::OrderQuantity,
            Self::ShortSelling => LimitKind::ShortSelling,
            Self::SymbolNotAllowed => LimitKind::SymbolsAllowed,
            Self::SymbolDenied => LimitKind::SymbolsDenied,
            Self::TradingHours => LimitKind::TradingHours,
            Self::PositionLimit => LimitKind::PositionQuantity,
            Self::PositionNotional => LimitKind::PositionNotional,
            Self::GrossExposure => LimitKind::GrossExposure,
            Self::NetExposure => LimitKind::NetExposure,
            Self::Concentration => LimitKind::Concentration,
            Self::Leverage => LimitKind::Leverage,
            Self::DailyLoss => LimitKind::DailyLoss,
            Self::Drawdown => LimitKind::Drawdown,
            Self::OrdersPerMinute => LimitKind::OrdersPerMinute,
            Self::OrdersPerDay => LimitKind::OrdersPerDay,
            Self::OpenOrders => LimitKind::OpenOrders,
            Self::SelfCross => LimitKind::SelfCross,
            _ => return None,
        })
    }

    /// What is said of a check that has no words of its own; `{limit}` and `{value}` are its numbers.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Symbol => "{value} is traded here.",
            Self::Quantity => "The quantity {value} is a multiple of {limit}.",
            Self::NoQuote => "The quote may be {limit} old; it is {value} old.",
            Self::PriceCollar => {
                "The limit price may be at most {limit} away from the market; it is {value} away."
            }
            Self::Notional => "One order may be worth at most {limit}; this one is worth {value}.",
            Self::OrderQuantity => "One order may have at most {limit} units; this one has {value}.",
            Self::BuyingPower => {
                "With the fee and a margin for a moving price, up to {value} is needed; {limit} is free."
            }
            Self::BookBuyingPower => {
                "With the fee and a margin for a moving price, up to {value} is needed; {limit} is free in the book."
            }
            Self::Position => "{limit} are held and not being sold already; this order sells {value}.",
            Self::BookPosition => {
                "{limit} are held in the book and not being sold already; this order sells {value}."
            }
            Self::ShortSelling => "Selling short is {limit}; this order sells {value} more than is held.",
            Self::SymbolNotAllowed => "{value} must be among the symbols allowed.",
            Self::SymbolDenied => "{value} must not be among the symbols denied.",
            Self::TradingHours => "Orders are taken at {limit} (UTC).",
            Self::PositionLimit => {
                "The position may reach at most {limit}; with this and all open orders it could reach {value}."
            }
            Self::PositionNotional => {
                "The position may be worth at most {limit}; with this and all open orders it could be worth {value}."
            }
            Self::GrossExposure => {
                "Gross exposure may be at most {limit}; with this and all open orders it could be {value}."
            }
            Self::NetExposure => {
                "Net exposure may be at most {limit}; with this and all open orders it could be {value}."
            }
            Self::Concentration => {
                "At most {limit} of the equity may be in one symbol; with this and all open orders it could be {value}."
            }
            Self::Leverage => {
                "Gross exposure may be at most {limit} the equity; with this and all open orders it could be {value}."
            }
            Self::DailyLoss => {
                "At {limit} lost since 00:00 UTC only closing orders pass; the loss is {value}."
            }
            Self::Drawdown => {
                "At {limit} below the highest profit only closing orders pass; it is {value} below."
            }
            Self::OrdersPerMinute => "At most {limit} orders in 60 seconds; this would be number {value}.",
            Self::OrdersPerDay => "At most {limit} orders since 00:00 UTC; this would be number {value}.",
            Self::OpenOrders => "At most {limit} orders may be open; with this one it would be {value}.",
            Self::SelfCross => "No order of the account may trade with another one of it.",
            Self::StopSide => "The stop price {value} must be beyond the market at {limit}.",
            Self::LegSide => "{value} must be on the right side of {limit}.",
            other => other.explanation(),
        }
    }
}

/// All rules in Markdown, for the documentation.
pub fn rule_table() -> String {
    let mut text = String::from("| code | rule | what it means | limit |\n|---|---|---|---|\n");
    for rule in Rule::ALL {
        let limit = rule.limit_kind().map_or(String::new(), |kind| format!("`{kind}`"));
        text.push_str(&format!("| `{rule}` | {} | {} | {limit} |\n", rule.title(), rule.explanation()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table_once_and_explained() {
        let table = rule_table();
        for rule in Rule::ALL {
            assert_eq!(table.matches(&format!("\n| `{rule}` |")).count(), 1, "{rule}");
            assert!(rule.explanation().ends_with('.'), "{rule}");
            assert_eq!(rule.as_str().parse(), Ok(*rule));
        }
    }
}
