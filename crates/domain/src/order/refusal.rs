//! Why a broker says no: a fixed list, so that people and programs need not read each broker's words.

use crate::words::words;

words! {
    /// Why a broker refused an order, a cancel or a replacement.
    Reason, "reason";
    /// There is not enough money for it.
    InsufficientFunds = "insufficient_funds";
    /// There are not enough units to sell.
    InsufficientQuantity = "insufficient_quantity";
    /// The market is closed for it.
    MarketClosed = "market_closed";
    /// Trading in the instrument is halted.
    Halted = "halted";
    /// It would trade with another order of the account.
    SelfCross = "self_cross";
    /// The broker does not trade the instrument.
    NotTradable = "not_tradable";
    /// The instrument cannot be borrowed.
    NotShortable = "not_shortable";
    /// The price is not one the broker takes.
    Price = "price";
    /// The quantity is not one the broker takes.
    Quantity = "quantity";
    /// The broker does not have this type of order, or not in this combination.
    Unsupported = "unsupported";
    /// The broker has an order with this id already.
    Duplicate = "duplicate";
    /// The order is at its end, or changed meanwhile.
    TooLate = "too_late";
    /// It could be filled only in part, or not at once, and had to be whole.
    NotFillable = "not_fillable";
    /// The account may not trade, or not this.
    Restricted = "restricted";
    /// The broker does not accept the credentials.
    Unauthorized = "unauthorized";
    /// Too many requests.
    RateLimited = "rate_limited";
    /// The broker is out of order.
    Unavailable = "unavailable";
    /// Anything else; the broker's words say more.
    Other = "other";
}

impl Reason {
    /// What happened, for people.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "The account does not have enough buying power at the broker.",
            Self::InsufficientQuantity => {
                "The account does not have that many units free to sell at the broker."
            }
            Self::MarketClosed => "The market is closed for this kind of order.",
            Self::Halted => "Trading in this instrument is halted.",
            Self::SelfCross => {
                "The order would trade with another order of the same account, which exchanges forbid."
            }
            Self::NotTradable => "The broker does not trade this instrument.",
            Self::NotShortable => "The broker has no units to lend, so the instrument cannot be sold short.",
            Self::Price => "The broker does not take this price.",
            Self::Quantity => "The broker does not take this quantity.",
            Self::Unsupported => "The broker does not have this type of order, or not in this combination.",
            Self::Duplicate => "The broker has an order with this id already.",
            Self::TooLate => "The order had ended or changed before the request arrived.",
            Self::NotFillable => "The order could not be filled at once, as it had to be.",
            Self::Restricted => "The broker does not let this account make this trade.",
            Self::Unauthorized => "The broker does not accept the credentials of the account.",
            Self::RateLimited => "The broker received too many requests.",
            Self::Unavailable => "The broker is out of order.",
            Self::Other => "The broker said no.",
        }
    }

    /// What can be done about it.
    pub fn way_out(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "Reduce the quantity, or cancel open orders that hold money back.",
            Self::InsufficientQuantity => {
                "Reduce the quantity, or cancel open orders that sell the same units."
            }
            Self::MarketClosed => "Wait for the session, or allow extended hours on a limit order.",
            Self::Halted => "Wait until trading resumes.",
            Self::SelfCross => {
                "Cancel the opposite order first, or change the price so that they do not meet."
            }
            Self::NotTradable => "Choose another instrument.",
            Self::NotShortable => "Sell no more than is held.",
            Self::Price => "Use a price on the instrument's tick, nearer to the market.",
            Self::Quantity => "Use a quantity in the instrument's steps and above its least.",
            Self::Unsupported => {
                "Use another order type or time in force; the table of venues shows what there is."
            }
            Self::Duplicate => "Nothing: the desk looks the existing order up.",
            Self::TooLate => "Look at the order's state and act on that.",
            Self::NotFillable => "Use a smaller quantity, a better price, or a time in force that may wait.",
            Self::Restricted => "Ask the broker about the account's permissions.",
            Self::Unauthorized => "Ask whoever manages the account to renew its credentials.",
            Self::RateLimited => "Nothing: the desk slows down by itself.",
            Self::Unavailable => "Nothing: the desk tries again where that is safe.",
            Self::Other => "Read the broker's words; if they do not help, ask the broker.",
        }
    }
}
