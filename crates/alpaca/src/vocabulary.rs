//! The words that Alpaca has for things.

use crate::word::words;

words! {
    /// Buy or sell.
    Side;
    /// More of the instrument.
    Buy = "buy";
    /// Less of it.
    Sell = "sell";
}

words! {
    /// How an order is priced.
    OrderType;
    /// At the best prices there are.
    Market = "market";
    /// At the limit price or better.
    Limit = "limit";
    /// A market order once the stop price is reached.
    Stop = "stop";
    /// A limit order once the stop price is reached.
    StopLimit = "stop_limit";
    /// A stop that follows the market.
    TrailingStop = "trailing_stop";
}

words! {
    /// How long an order works.
    TimeInForce;
    /// Until the end of the session.
    Day = "day";
    /// Until canceled.
    Gtc = "gtc";
    /// In the opening auction.
    Opg = "opg";
    /// In the closing auction.
    Cls = "cls";
    /// At once, and the rest is canceled.
    Ioc = "ioc";
    /// At once and whole, or not at all.
    Fok = "fok";
}

words! {
    /// Whether an order stands alone.
    OrderClass;
    /// Alone; Alpaca itself writes it as an empty word.
    Unset = "";
    /// Alone.
    Simple = "simple";
    /// An entry with both exits.
    Bracket = "bracket";
    /// Two exits of which one cancels the other.
    Oco = "oco";
    /// An entry with one exit.
    Oto = "oto";
    /// Several options at once; the desk has no options.
    Mleg = "mleg";
}

words! {
    /// Where an order stands.
    OrderStatus;
    /// It works.
    New = "new";
    /// It works, and part of it is executed.
    PartiallyFilled = "partially_filled";
    /// All of it is executed.
    Filled = "filled";
    /// Nothing more happens to it today.
    DoneForDay = "done_for_day";
    /// Canceled.
    Canceled = "canceled";
    /// Its time is over.
    Expired = "expired";
    /// Another order took its place.
    Replaced = "replaced";
    /// Asked to be canceled.
    PendingCancel = "pending_cancel";
    /// Asked to be replaced.
    PendingReplace = "pending_replace";
    /// Somebody has to look at it first.
    PendingReview = "pending_review";
    /// Taken, but not yet at a market.
    Accepted = "accepted";
    /// Taken, and on its way to a market.
    PendingNew = "pending_new";
    /// Taken, and being priced.
    AcceptedForBidding = "accepted_for_bidding";
    /// A trade is guaranteed but has not occurred.
    Stopped = "stopped";
    /// Refused after all.
    Rejected = "rejected";
    /// Not eligible for trading at the moment.
    Suspended = "suspended";
    /// Completed for the day, settlement is being reckoned.
    Calculated = "calculated";
    /// A leg that waits for its entry.
    Held = "held";
}

impl OrderStatus {
    /// Whether nothing more happens: what list queries call closed. A word that is not known is not an end.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired | Self::Replaced | Self::Rejected)
    }
}

words! {
    /// What kind of thing is traded. The SDK of 2026 knows these and no other.
    AssetClass;
    /// Shares and funds of the United States.
    UsEquity = "us_equity";
    /// Their options.
    UsOption = "us_option";
    /// Coins.
    Crypto = "crypto";
    /// Perpetual futures on coins.
    CryptoPerp = "crypto_perp";
}

words! {
    /// Where it is listed. The SDK of 2026 knows these and no other.
    Exchange;
    /// None of them, or nobody says.
    Unset = "";
    /// NYSE American.
    Amex = "AMEX";
    /// NYSE Arca.
    Arca = "ARCA";
    /// Australia.
    Ascx = "ASCX";
    /// Cboe.
    Bats = "BATS";
    /// New York.
    Nyse = "NYSE";
    /// Nasdaq.
    Nasdaq = "NASDAQ";
    /// NYSE Arca, as written elsewhere.
    NyseArca = "NYSEARCA";
    /// FTX US, of old.
    Ftxu = "FTXU";
    /// Coinbase.
    Cbse = "CBSE";
    /// Genesis.
    Gnss = "GNSS";
    /// ErisX.
    Ersx = "ERSX";
    /// Over the counter.
    Otc = "OTC";
    /// Coins.
    Crypto = "CRYPTO";
}

words! {
    /// What an order does to a position.
    PositionIntent;
    /// Opens or grows a long one.
    BuyToOpen = "buy_to_open";
    /// Shrinks or closes a short one.
    BuyToClose = "buy_to_close";
    /// Opens or grows a short one.
    SellToOpen = "sell_to_open";
    /// Shrinks or closes a long one.
    SellToClose = "sell_to_close";
}

words! {
    /// What an order is for in its group.
    GroupRole;
    /// The order that comes first.
    Entry = "entry";
    /// The exit at a profit.
    TakeProfit = "take_profit";
    /// The exit that ends a loss.
    StopLoss = "stop_loss";
}

words! {
    /// Which way a position points.
    PositionSide;
    /// More than nothing is held.
    Long = "long";
    /// Less than nothing.
    Short = "short";
}

words! {
    /// What the `trade_updates` stream tells of.
    TradeEvent;
    /// It works at a market.
    New = "new";
    /// It is taken.
    Accepted = "accepted";
    /// It is on its way to a market.
    PendingNew = "pending_new";
    /// The last of it was executed.
    Fill = "fill";
    /// Some of it was executed.
    PartialFill = "partial_fill";
    /// It is canceled.
    Canceled = "canceled";
    /// Its time is over.
    Expired = "expired";
    /// Nothing more today.
    DoneForDay = "done_for_day";
    /// Another took its place.
    Replaced = "replaced";
    /// It was refused after all.
    Rejected = "rejected";
    /// A cancel was asked for.
    PendingCancel = "pending_cancel";
    /// A replacement was asked for.
    PendingReplace = "pending_replace";
    /// Its terms were changed by the broker.
    Restated = "restated";
    /// A trade is guaranteed.
    Stopped = "stopped";
    /// Settlement is being reckoned.
    Calculated = "calculated";
    /// Not eligible for trading at the moment.
    Suspended = "suspended";
    /// It was not replaced.
    OrderReplaceRejected = "order_replace_rejected";
    /// It was not canceled.
    OrderCancelRejected = "order_cancel_rejected";
    /// An execution was taken back.
    TradeBust = "trade_bust";
    /// An execution was corrected.
    TradeCorrect = "trade_correct";
}

words! {
    /// Whether an account may be used.
    AccountStatus;
    /// It may.
    Active = "ACTIVE";
    /// It may not any more.
    Inactive = "INACTIVE";
    /// Being opened.
    Onboarding = "ONBOARDING";
    /// Being looked at.
    Submitted = "SUBMITTED";
    /// Found wanting.
    Rejected = "REJECTED";
    /// Blocked.
    AccountClosed = "ACCOUNT_CLOSED";
}

words! {
    /// Whether an asset is there.
    AssetStatus;
    /// It is.
    Active = "active";
    /// It was.
    Inactive = "inactive";
}

words! {
    /// What an entry of the account's activities is about.
    ActivityType;
    /// An execution.
    Fill = "FILL";
    /// Regulatory and other fees.
    Fee = "FEE";
    /// Fees of coins.
    CryptoFee = "CFEE";
    /// A dividend.
    Dividend = "DIV";
    /// Money came.
    CashDeposit = "CSD";
    /// Money went.
    CashWithdrawal = "CSW";
    /// Anything moved by the broker.
    Journal = "JNLC";
    /// A split of shares.
    Split = "SPLIT";
    /// Units are called otherwise.
    SymbolChange = "SC";
    /// A company is called otherwise, and its units with it.
    NameChange = "NC";
}

words! {
    /// Whether an execution was the last of its order.
    FillType;
    /// It was.
    Fill = "fill";
    /// There is more to come.
    PartialFill = "partial_fill";
    /// It takes an earlier one back.
    TradeBust = "trade_bust";
    /// It corrects an earlier one.
    TradeCorrect = "trade_correct";
}

words! {
    /// Who crossed the spread, in trades of coins.
    TakerSide;
    /// The buyer.
    Buy = "B";
    /// The seller.
    Sell = "S";
}

impl From<domain::Side> for Side {
    fn from(side: domain::Side) -> Self {
        match side {
            domain::Side::Buy => Self::Buy,
            domain::Side::Sell => Self::Sell,
        }
    }
}

impl From<domain::OrderKind> for OrderType {
    fn from(kind: domain::OrderKind) -> Self {
        use domain::OrderKind;
        match kind {
            OrderKind::Market => Self::Market,
            OrderKind::Limit => Self::Limit,
            OrderKind::Stop => Self::Stop,
            OrderKind::StopLimit => Self::StopLimit,
            OrderKind::TrailingStop => Self::TrailingStop,
        }
    }
}

impl From<domain::TimeInForce> for TimeInForce {
    fn from(time: domain::TimeInForce) -> Self {
        use domain::TimeInForce as Time;
        match time {
            Time::Day => Self::Day,
            Time::Gtc => Self::Gtc,
            Time::Ioc => Self::Ioc,
            Time::Fok => Self::Fok,
            Time::Opg => Self::Opg,
            Time::Cls => Self::Cls,
        }
    }
}

impl From<domain::OrderClass> for OrderClass {
    fn from(class: domain::OrderClass) -> Self {
        match class {
            domain::OrderClass::Simple => Self::Simple,
            domain::OrderClass::Bracket => Self::Bracket,
            domain::OrderClass::Oco => Self::Oco,
            domain::OrderClass::Oto => Self::Oto,
        }
    }
}

impl Side {
    /// The desk's word for it; `None` for one that the desk does not have.
    pub fn known(&self) -> Option<domain::Side> {
        self.as_str().parse().ok()
    }
}

impl OrderType {
    /// The desk's word for it; `None` for one that the desk does not have.
    pub fn known(&self) -> Option<domain::OrderKind> {
        self.as_str().parse().ok()
    }
}

impl TimeInForce {
    /// The desk's word for it; `None` for one that the desk does not have.
    pub fn known(&self) -> Option<domain::TimeInForce> {
        self.as_str().parse().ok()
    }
}

impl OrderClass {
    /// The desk's word for it; `None` for one that the desk does not have.
    pub fn known(&self) -> Option<domain::OrderClass> {
        match self {
            Self::Unset => Some(domain::OrderClass::Simple),
            _ => self.as_str().parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_desk_has_one_of_alpaca_and_back() {
        for side in domain::Side::ALL {
            assert_eq!(Side::from(*side).known(), Some(*side));
        }
        for kind in domain::OrderKind::ALL {
            assert_eq!(OrderType::from(*kind).known(), Some(*kind));
        }
        for time in domain::TimeInForce::ALL {
            assert_eq!(TimeInForce::from(*time).known(), Some(*time));
        }
        for class in domain::OrderClass::ALL {
            assert_eq!(OrderClass::from(*class).known(), Some(*class));
        }
        assert_eq!(OrderClass::Unset.known(), Some(domain::OrderClass::Simple));
        assert_eq!(OrderClass::Mleg.known(), None);
    }

    #[test]
    fn a_new_word_is_read_and_kept() {
        let status: OrderStatus = serde_json::from_str("\"moon_phase\"").unwrap();
        assert_eq!(status, OrderStatus::Other("moon_phase".into()));
        assert!(!status.is_terminal());
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"moon_phase\"");
        for known in OrderStatus::ALL {
            assert_eq!(&OrderStatus::from(known.as_str()), known);
        }
    }
}
