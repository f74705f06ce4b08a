//! Virtual books: what belongs to one person, bot or strategy on an account that they share.
//!
//! The broker knows one account. The desk divides it: every order is for one book, its fills are that book's, and what
//! was given to no book is the account's own. So the books always add up to the account, in units and cash exactly and in
//! profit at any price. Realised and unrealised profit by themselves need not add up: units that one book hands to another
//! are a sale and a purchase to these two, and nothing at all to the account.
//!
//! The fills and the flows of the account are the one source: a book is the fold over its own. This module has the words;
//! what may be done is decided in the account's core, so that money and units are moved by the one who writes the fills.

use std::fmt;
use std::str::FromStr;

use domain::{
    AccountId, BookId, CostMethod, Denied, Money, Position, Price, Quantity, Symbol, Timestamp, UnknownName,
};
use storage::StorageError;

use crate::book::BookKey;

/// Names the account's own book where an order has to name one: the nil UUID.
///
/// An order that names none goes to the book of whoever places it, and to the account's own only if they have none.
pub const OWN_BOOK: BookId = BookId(uuid::Uuid::nil());

/// What sort of owner a book has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookKind {
    /// A user.
    Person,
    /// A bot: its own id, or that of the user it acts for.
    Bot,
    /// A strategy, by its name.
    Strategy,
}

impl BookKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Person, Self::Bot, Self::Strategy];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bot => "bot",
            Self::Strategy => "strategy",
        }
    }
}

impl fmt::Display for BookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BookKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownName {
            what: "kind of book",
            given: text.chars().take(40).collect(),
            allowed: "person, bot, strategy".into(),
        })
    }
}

/// A book on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualBook {
    /// Its id.
    pub id: BookId,
    /// On which account.
    pub account: AccountId,
    /// Its name, unique on the account.
    pub name: String,
    /// What sort of owner it has.
    pub kind: BookKind,
    /// Whose it is: the id of a user or bot, or the name of a strategy. They have no other open book on the account.
    pub owner: Option<String>,
    /// How the cost of what it sells is reckoned.
    pub cost_method: CostMethod,
    /// Since when there is it.
    pub opened_at: Timestamp,
    /// Since when it takes no orders. It stays in the records, with the profit it made.
    pub closed_at: Option<Timestamp>,
}

/// A book to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBook {
    /// Its name, unique on the account: 1 to 64 characters.
    pub name: String,
    /// What sort of owner it has.
    pub kind: BookKind,
    /// Whose it is. Orders that name no book go to the book of whoever places them.
    pub owner: Option<String>,
    /// How the cost of what it sells is reckoned; `None`: as on the account.
    pub cost_method: Option<CostMethod>,
    /// What it gets from the account's own book.
    pub opening_cash: Option<Money>,
}

/// Money to move between two books of an account; `None` is the account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CashTransfer {
    /// Whose it is.
    pub from: BookKey,
    /// Whose it will be.
    pub to: BookKey,
    /// Above zero.
    pub amount: Money,
    /// Why, for people.
    pub note: String,
}

/// Units to move between two books of an account; `None` is the account's own. To the two they are a sale and a
/// purchase: the price goes the other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitTransfer {
    /// Whose they are.
    pub from: BookKey,
    /// Whose they will be.
    pub to: BookKey,
    /// Of what.
    pub symbol: Symbol,
    /// How many; below zero moves a short position.
    pub quantity: Quantity,
    /// For one unit; `None` is the latest price.
    pub price: Option<Price>,
    /// Why, for people.
    pub note: String,
}

/// Units that were moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// How many.
    pub quantity: Quantity,
    /// For how much each.
    pub price: Price,
    /// What the giver earned by it.
    pub realised_pnl: Money,
}

/// A book at a moment.
#[derive(Clone, Debug)]
pub struct BookState {
    /// On which account.
    pub account: AccountId,
    /// Which book; `None` is the account's own.
    pub book: Option<VirtualBook>,
    /// How the cost of what it sells is reckoned.
    pub cost_method: CostMethod,
    /// Money not invested.
    pub cash: Money,
    /// What its open buy orders may still cost.
    pub reserved: Money,
    /// Cash that nothing holds back.
    pub buying_power: Money,
    /// Cash and holdings at market prices (at cost where there is no price).
    pub equity: Money,
    /// Profit of what was closed, less fees.
    pub realised_pnl: Money,
    /// Profit of what is held, at market prices.
    pub unrealised_pnl: Money,
    /// Fees paid.
    pub fees: Money,
    /// Money that came in without a trade, from outside or from other books, less what went out. Not profit.
    pub funded: Money,
    /// What it holds; what is flat only where something was earned or lost.
    pub positions: Vec<BookHolding>,
    /// Its orders that are not at their end.
    pub open_orders: usize,
    /// When this was so.
    pub at: Timestamp,
}

/// What a book holds of an instrument.
#[derive(Clone, Debug)]
pub struct BookHolding {
    /// Of what.
    pub symbol: Symbol,
    /// How much, at what cost, with its lots.
    pub position: Position,
    /// Units that open orders of the book may still sell.
    pub selling: Quantity,
    /// The latest price; `None` before the first trade.
    pub market_price: Option<Price>,
}

/// Why a book does not take an order, or something is not done to it. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookRefusal {
    /// The account has no such book.
    #[error("there is no book {book} on the account")]
    Unknown {
        /// Which.
        book: BookId,
    },
    /// It was closed.
    #[error("the book {name:?} is closed")]
    Closed {
        /// Its name.
        name: String,
    },
    /// It is somebody else's.
    #[error("the book is not yours: to trade in it you need the permission books.manage")]
    NotYours,
    /// Another book has the name.
    #[error("there is a book {name:?} on the account already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The owner has an open book on the account.
    #[error("the owner has the book {name:?} on the account already")]
    OwnerHasBook {
        /// Its name.
        name: String,
    },
    /// The name is empty, too long, or has characters that cannot be seen.
    #[error("the name of a book has 1 to 64 characters, none of them invisible")]
    InvalidName,
    /// The owner is not one of this kind.
    #[error("the owner of this kind of book is {expected}")]
    InvalidOwner {
        /// What it has to be.
        expected: &'static str,
    },
    /// Nothing or less cannot be moved.
    #[error("the {field} has to be above zero")]
    NotPositive {
        /// What of it.
        field: &'static str,
    },
    /// What leaves a book has to go to another one.
    #[error("both are the same book")]
    SameBook,
    /// The book that pays does not have it.
    #[error("{needed} is needed, and {free} is free: the rest is not there, or held back by open orders")]
    NotEnoughCash {
        /// How much it is.
        needed: Money,
        /// How much could be moved.
        free: Money,
    },
    /// The book does not have the units.
    #[error("{free} {symbol} can be moved: the rest is not there, or being sold by open orders")]
    NotEnoughUnits {
        /// Of what.
        symbol: Symbol,
        /// How many could be moved.
        free: Quantity,
    },
    /// The market has no price of it.
    #[error("there is no price of {symbol}: name one")]
    NoPrice {
        /// Of what.
        symbol: Symbol,
    },
    /// It holds something.
    #[error("the book still holds {symbol}")]
    NotFlat {
        /// What, for example.
        symbol: Symbol,
    },
    /// Orders of it are not at their end.
    #[error("{count} orders of the book are open")]
    OpenOrders {
        /// How many.
        count: usize,
    },
    /// What the account had at first is not known: it was not compared with the broker yet.
    #[error("what the account has is not known yet: it was never compared with its broker")]
    NotCompared,
}

impl BookRefusal {
    /// The denial code: part of the interface, never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "book_unknown",
            Self::Closed { .. } => "book_closed",
            Self::NotYours => "book_forbidden",
            Self::NameTaken { .. } => "book_name_taken",
            Self::OwnerHasBook { .. } => "book_owner_has_one",
            Self::InvalidName => "book_name_invalid",
            Self::InvalidOwner { .. } => "book_owner_invalid",
            Self::NotPositive { .. } => "book_amount_invalid",
            Self::SameBook => "book_same",
            Self::NotEnoughCash { .. } => "book_buying_power",
            Self::NotEnoughUnits { .. } => "book_position_too_small",
            Self::NoPrice { .. } => "no_price",
            Self::NotFlat { .. } => "book_not_flat",
            Self::OpenOrders { .. } => "book_open_orders",
            Self::NotCompared => "account_blind",
        }
    }

    /// Which field of the request it is about, if one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::NameTaken { .. } | Self::InvalidName => Some("name"),
            Self::OwnerHasBook { .. } | Self::InvalidOwner { .. } => Some("owner"),
            Self::NotPositive { field } => Some(field),
            Self::SameBook => Some("to"),
            Self::NotEnoughUnits { .. } => Some("quantity"),
            Self::NoPrice { .. } => Some("price"),
            Self::Unknown { .. } | Self::Closed { .. } | Self::NotYours => Some("book"),
            Self::NotEnoughCash { .. }
            | Self::NotFlat { .. }
            | Self::OpenOrders { .. }
            | Self::NotCompared => None,
        }
    }
}

/// Why something was not done to a book.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] BookRefusal),
    /// It could not be journaled: nothing was changed.
    #[error("nothing was moved, because it could not be journaled: {0}")]
    Journal(#[source] StorageError),
    /// The desk is shutting down.
    #[error("the desk is shutting down")]
    Stopping,
}
