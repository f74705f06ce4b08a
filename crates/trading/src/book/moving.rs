//! What happens to the books themselves: opened, closed, reckoned in another way; money and units moved between them.

use domain::{BookId, CostMethod, Fill, Money, Order, Quantity, Symbol, Timestamp, Transfer};

use super::{Book, BookKey, Draft, History, Holdings, Live, PastFill, fold, key_of};
use crate::books::VirtualBook;
use crate::store::{BookedFill, BookingKind};

/// A change of a book that is no fill and no flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BookChange {
    /// It is new.
    Opened(VirtualBook),
    /// It takes no orders any more.
    Closed { book: BookId, at: Timestamp },
    /// Cost is reckoned in another way; of the account and its own book where it names none.
    Reckoned { book: BookKey, method: CostMethod },
}

/// What is added to the money of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) cash: Money,
    /// What of it came without a trade.
    pub(crate) funded: Money,
    /// What of it was paid in fees, as an amount above zero.
    pub(crate) fees: Money,
}

impl Moved {
    pub(super) fn add(&mut self, other: Self) {
        self.cash += other.cash;
        self.funded += other.funded;
        self.fees += other.fees;
    }
}

/// What a book may not use, because it is about to be moved.
#[derive(Clone, Debug)]
pub(crate) struct Withheld {
    pub(crate) book: BookKey,
    pub(crate) money: Money,
    pub(crate) units: Option<(Symbol, Quantity)>,
}

impl Book {
    /// Puts a book in, or what is new about it.
    pub(crate) fn keep(&mut self, change: BookChange) {
        match change {
            BookChange::Opened(book) => {
                self.books
                    .entry(Some(book.id))
                    .or_insert_with(|| Holdings::new(book.cost_method, Money::ZERO));
                if let (Some(owner), None) = (&book.owner, book.closed_at) {
                    self.owned.insert(owner.clone(), book.id);
                }
                self.virtual_books.insert(book.id, book);
            }
            BookChange::Closed { book, at } => self.mark_closed(book, Some(at)),
            BookChange::Reckoned { book, method } => {
                if let Some(holdings) = self.books.get_mut(&book) {
                    holdings.method = method;
                }
                match book.and_then(|book| self.virtual_books.get_mut(&book)) {
                    Some(book) => book.cost_method = method,
                    None => self.whole.method = method,
                }
            }
        }
    }

    /// Says that a book takes no orders any more, or that it does after all.
    pub(crate) fn mark_closed(&mut self, id: BookId, at: Option<Timestamp>) {
        let Some(book) = self.virtual_books.get_mut(&id) else { return };
        book.closed_at = at;
        if let Some(owner) = &book.owner {
            match at {
                Some(_) => self.owned.remove(owner),
                None => self.owned.insert(owner.clone(), id),
            };
        }
    }

    /// The books other than the account's own, closed ones too, oldest first.
    pub(crate) fn virtual_books(&self) -> impl Iterator<Item = &VirtualBook> {
        self.virtual_books.values()
    }

    /// A book by its id.
    pub(crate) fn virtual_book(&self, id: BookId) -> Option<&VirtualBook> {
        self.virtual_books.get(&id)
    }

    /// The open book of an owner.
    pub(crate) fn owned_by(&self, owner: &str) -> Option<BookId> {
        self.owned.get(owner).copied()
    }

    /// The book that an order's fills go to.
    pub(crate) fn key_of(&self, order: &Order) -> BookKey {
        key_of(self, order)
    }

    /// Whether the account's own book has less than the account.
    pub(crate) fn is_divided(&self) -> bool {
        let own = self.holdings(None);
        self.books.len() > 1 || own.reserved != self.whole.reserved
    }

    /// Holds back what is about to be moved.
    pub(crate) fn withhold(&mut self, withheld: &Withheld) {
        self.hold_in_book(withheld, 1);
    }

    /// What was held back is moved, or stays.
    pub(crate) fn give_back(&mut self, withheld: &[Withheld]) {
        for one in withheld {
            self.hold_in_book(one, -1);
        }
    }

    fn hold_in_book(&mut self, withheld: &Withheld, sign: i64) {
        let Some(holdings) = self.books.get_mut(&withheld.book) else { return };
        let sign = domain::Decimal::from(sign);
        holdings.reserved += Money(withheld.money.0 * sign);
        if let Some((symbol, units)) = &withheld.units {
            *holdings.selling.entry(symbol.clone()).or_default() += Quantity(units.0 * sign);
        }
    }
}

impl Draft {
    /// How cost is reckoned in a book after the draft.
    pub(super) fn method(&self, book: &Book, key: BookKey) -> CostMethod {
        let changed = self.books.iter().rev().find_map(|change| match change {
            BookChange::Reckoned { book, method } if *book == key => Some(*method),
            BookChange::Opened(opened) if Some(opened.id) == key => Some(opened.cost_method),
            _ => None,
        });
        changed.unwrap_or_else(|| book.holdings(key).method)
    }

    /// How it is reckoned on the account.
    pub(super) fn whole_method(&self, book: &Book) -> CostMethod {
        self.method(book, None)
    }

    /// Changes how cost is reckoned in a book, or on the account and in its own book. Has to come before all fills of the
    /// draft, with the whole `history` of what the book holds.
    pub(crate) fn reckon(&mut self, history: &History, key: BookKey, method: CostMethod) {
        self.books.push(BookChange::Reckoned { book: key, method });
        for (symbol, fills) in history {
            self.book_positions.insert((key, symbol.clone()), fold(method, fills, Some(key)));
            if key.is_none() {
                self.positions.insert(symbol.clone(), fold(method, fills, None));
            }
        }
    }

    /// Books units that change their book: the giver's row, then the receiver's. Returns what the giver realised.
    pub(crate) fn move_units(
        &mut self,
        book: &Book,
        history: &mut History,
        (from, to): (BookKey, BookKey),
        (account, symbol): (domain::AccountId, &Symbol),
        moved: &Transfer,
    ) -> Money {
        let (mut given, mut received) = moved.fills();
        given.execution_id = format!("{}/from", moved.id);
        received.execution_id = format!("{}/to", moved.id);
        let mut realised = Money::ZERO;
        for (key, fill) in [(from, given), (to, received)] {
            let cash = Moved { cash: fill.cash(), ..Moved::default() };
            self.moved.entry(key).or_default().add(cash);
            self.fills += 1;
            let own = self.book_position(book, key, symbol);
            let profit =
                own.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
            if key == from {
                realised = profit;
            }
            self.transfers.push(BookedFill {
                account,
                seq: self.fills,
                kind: BookingKind::Transfer,
                order: None,
                book: key,
                symbol: symbol.clone(),
                side: fill.side,
                fill: Fill {
                    execution_id: fill.execution_id.clone(),
                    price: fill.price,
                    quantity: fill.quantity,
                    fee: fill.fee,
                    at: fill.at,
                },
                corrects: None,
                realised_pnl: profit,
            });
            if let Some(fills) = history.get_mut(symbol) {
                fills.push(PastFill { book: key, fill, is_transfer: true });
            }
        }
        realised
    }

    /// Cash of a book that nothing holds back, after the draft.
    pub(crate) fn free_cash(&self, book: &Book, key: BookKey) -> Money {
        let Some(holdings) = book.books.get(&key) else { return self.moved_to(key).cash };
        let withheld = self.withheld.iter().filter(|one| one.book == key).map(|one| one.money).sum();
        let (mut held, _) = self.reserved_after(book, key, None);
        held += holdings.reserved - withheld;
        holdings.cash + self.moved_to(key).cash - held
    }

    /// Units of a book that no order sells, after the draft; below zero when short.
    pub(crate) fn free_units(&self, book: &Book, key: BookKey, symbol: &Symbol) -> Quantity {
        let selling = book.books.get(&key).and_then(|holdings| holdings.selling.get(symbol).copied());
        let withheld =
            self.withheld.iter().filter(|one| one.book == key).filter_map(|one| one.units.as_ref());
        let withheld = withheld.filter(|(of, _)| of == symbol).map(|(_, units)| *units).sum();
        let (_, changed) = self.reserved_after(book, key, Some(symbol));
        self.units(book, key, symbol) - (selling.unwrap_or_default() + changed - withheld)
    }

    /// Units of a book after the draft.
    pub(crate) fn units(&self, book: &Book, key: BookKey, symbol: &Symbol) -> Quantity {
        let drafted = self.book_positions.get(&(key, symbol.clone())).map(|position| position.quantity);
        drafted.unwrap_or_else(|| {
            book.books.get(&key).map_or(Quantity::ZERO, |holdings| holdings.quantity(symbol))
        })
    }

    /// An instrument of which a book holds something after the draft.
    pub(crate) fn held_in<'a>(&'a self, book: &'a Book, key: BookKey) -> Option<&'a Symbol> {
        let drafted = self.book_positions.keys().filter(|(of, _)| *of == key).map(|(_, symbol)| symbol);
        let known = book.books.get(&key).into_iter().flat_map(|holdings| holdings.positions.keys());
        drafted.chain(known).find(|symbol| !self.units(book, key, symbol).is_zero())
    }

    /// Cash of a book after the draft.
    pub(crate) fn cash_in(&self, book: &Book, key: BookKey) -> Money {
        let before = book.books.get(&key).map_or(Money::ZERO, |holdings| holdings.cash);
        before + self.moved_to(key).cash
    }

    fn moved_to(&self, key: BookKey) -> Moved {
        self.moved.get(&key).copied().unwrap_or_default()
    }

    /// How much more than before the orders that the draft touches hold back in a book; units of one instrument.
    fn reserved_after(&self, book: &Book, key: BookKey, symbol: Option<&Symbol>) -> (Money, Quantity) {
        let of_interest = |live: &Live| {
            key_of(book, &live.order) == key
                && symbol.is_none_or(|symbol| live.order.request.symbol == *symbol)
        };
        let mut more = (Money::ZERO, Quantity::ZERO);
        for live in self.lives.values().filter(|live| of_interest(live)) {
            let after = live.reserves();
            let before = book.get(live.order.id).map(Live::reserves).unwrap_or_default();
            more = (more.0 + after.0 - before.0, more.1 + after.1 - before.1);
        }
        more
    }
}
