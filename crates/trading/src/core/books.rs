//! What people do to the books of an account: open and close them, move money and units between them, change how cost is
//! reckoned.
//!
//! All of it is a step like any other: decided here, journaled in one transaction, and then so. What leaves a book is
//! held back from the decision to the commit, so that no order can be accepted on it in between.

use std::collections::BTreeSet;

use domain::{
    AccountId, AuditEntry, BookId, Context, CostMethod, Money, Order, OrderRequest, Outcome, Permission,
    Resource, Symbol, Transfer, UserId,
};
use serde_json::json;

use super::accept::author;
use super::{Command, Core, Input, Step, View};
use crate::book::{BookChange, BookKey, Draft, Withheld};
use crate::books::{BookKind, BookRefusal, CashTransfer, OWN_BOOK, Transferred, UnitTransfer, VirtualBook};
use crate::scope::{Scope, is_label};
use crate::store::{Flow, FlowKind};

/// What is done to books.
#[derive(Clone, Debug)]
pub(crate) enum BookAct {
    /// Open one, and give it cash of the account's own.
    Open { book: VirtualBook, cash: Option<Money> },
    /// Close one that holds nothing, and take its cash back.
    Close(BookId),
    /// Move money.
    MoveCash(CashTransfer),
    /// Move units; the id stands for an execution id.
    MoveUnits { id: String, transfer: UnitTransfer },
    /// Reckon cost in another way, in the past too.
    Reckon { book: BookKey, method: CostMethod },
}

/// What was done to books.
#[derive(Clone, Debug)]
pub(crate) enum BookDone {
    Done,
    Opened(VirtualBook),
    MovedUnits(Transferred),
}

impl Core {
    /// The book that an order of whoever asks is for.
    pub(super) fn book_for(&self, ctx: &Context, request: &OrderRequest) -> Result<BookKey, BookRefusal> {
        match request.book {
            None => Ok(self.own_book_of(ctx)),
            Some(named) => {
                let key = (named != OWN_BOOK).then_some(named);
                self.check_author(ctx, key).map(|()| key)
            }
        }
    }

    /// The book that orders of whoever asks go to where they name none.
    pub(crate) fn own_book_of(&self, ctx: &Context) -> BookKey {
        self.book.owned_by(&author(ctx))
    }

    /// Whether whoever asks may trade in a book: in their own, in the account's own while they have none, and in every
    /// one with the permission to manage them.
    pub(super) fn check_author(&self, ctx: &Context, key: BookKey) -> Result<(), BookRefusal> {
        if let Some(id) = key {
            let book = self.book.virtual_book(id).ok_or(BookRefusal::Unknown { book: id })?;
            if book.closed_at.is_some() {
                return Err(BookRefusal::Closed { name: book.name.clone() });
            }
        }
        let may = self.own_book_of(ctx) == key
            || ctx.require(Permission::BooksManage, Resource::Account(self.account.id)).is_ok();
        if may { Ok(()) } else { Err(BookRefusal::NotYours) }
    }

    /// Instruments whose whole history an act needs.
    pub(super) fn reckoned_again(&self, act: &BookAct) -> BTreeSet<Symbol> {
        match act {
            BookAct::Reckon { .. } => self.book.whole.positions.keys().cloned().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Does something to the books, or says why not. Either way it is on record.
    pub(super) fn act_on_books(
        &mut self,
        step: &mut Step,
        act: BookAct,
        entry: AuditEntry,
        view: &dyn View,
    ) -> Result<BookDone, BookRefusal> {
        let done = match act {
            BookAct::Open { book, cash } => self.open_book(step, book, cash),
            BookAct::Close(book) => self.close_book(step, book),
            BookAct::MoveCash(transfer) => self.move_cash(step, &transfer).map(|()| BookDone::Done),
            BookAct::MoveUnits { id, transfer } => {
                self.move_units(step, id, &transfer, view).map(BookDone::MovedUnits)
            }
            BookAct::Reckon { book, method } => self.reckon(step, book, method),
        };
        let mut entry = entry;
        match &done {
            Ok(BookDone::MovedUnits(moved)) => {
                entry.detail["price"] = json!(moved.price);
                entry.detail["realised_pnl"] = json!(moved.realised_pnl);
            }
            Ok(_) => {}
            Err(refusal) => {
                entry.detail["rule"] = json!(refusal.code());
                entry.detail["reason"] = json!(refusal.to_string());
                entry.outcome = Outcome::Refused;
            }
        }
        step.entries.push(entry);
        done
    }

    /// The step that was to change books was not journaled: they are as before.
    pub(super) fn keep_books_as_they_were(&mut self, draft: &Draft) {
        self.book.give_back(&draft.withheld);
        for change in &draft.books {
            if let BookChange::Closed { book, .. } = change {
                self.book.mark_closed(*book, None);
            }
        }
    }

    fn open_book(
        &mut self,
        step: &mut Step,
        book: VirtualBook,
        cash: Option<Money>,
    ) -> Result<BookDone, BookRefusal> {
        self.check_new(step, &book)?;
        if let Some(amount) = cash {
            self.check_cash(step, None, amount, "opening_cash")?;
        }
        step.draft.books.push(BookChange::Opened(book.clone()));
        if let Some(amount) = cash {
            let note = format!("for the book {}", book.name);
            self.hand_over(step, &CashTransfer { from: None, to: Some(book.id), amount, note });
        }
        Ok(BookDone::Opened(book))
    }

    fn check_new(&self, step: &Step, book: &VirtualBook) -> Result<(), BookRefusal> {
        let visible = book.name.chars().all(|c| !c.is_control()) && book.name.trim() == book.name;
        if !visible || !(1..=64).contains(&book.name.chars().count()) {
            return Err(BookRefusal::InvalidName);
        }
        check_owner(book)?;
        let drafted = step.draft.books.iter().filter_map(|change| match change {
            BookChange::Opened(book) => Some(book),
            _ => None,
        });
        for other in self.book.virtual_books().chain(drafted) {
            if other.name == book.name {
                return Err(BookRefusal::NameTaken { name: book.name.clone() });
            }
            if book.owner.is_some() && other.owner == book.owner && other.closed_at.is_none() {
                return Err(BookRefusal::OwnerHasBook { name: other.name.clone() });
            }
        }
        Ok(())
    }

    fn close_book(&mut self, step: &mut Step, id: BookId) -> Result<BookDone, BookRefusal> {
        let key = Some(id);
        self.check_open_book(step, key)?;
        let is_of_it = |order: &Order| self.book.key_of(order) == key && !order.status.is_terminal();
        let known = self.book.open().filter_map(|live| self.current(step, live.order.id));
        let drafted = step.draft.touched().filter(|live| self.book.get(live.order.id).is_none());
        let count = known.filter(|live| is_of_it(&live.order)).count()
            + drafted.filter(|live| is_of_it(&live.order)).count();
        if count > 0 {
            return Err(BookRefusal::OpenOrders { count });
        }
        if let Some(symbol) = step.draft.held_in(&self.book, key) {
            return Err(BookRefusal::NotFlat { symbol: symbol.clone() });
        }
        let amount = step.draft.cash_in(&self.book, key);
        if !amount.is_zero() {
            self.hand_over(
                step,
                &CashTransfer { from: key, to: None, amount, note: "the book is closed".into() },
            );
        }
        // From now on it takes no orders: one that came before the commit would be open in a closed book.
        self.book.mark_closed(id, Some(step.now));
        step.draft.books.push(BookChange::Closed { book: id, at: step.now });
        Ok(BookDone::Done)
    }

    fn move_cash(&mut self, step: &mut Step, transfer: &CashTransfer) -> Result<(), BookRefusal> {
        self.check_pair(step, transfer.from, transfer.to)?;
        self.check_cash(step, transfer.from, transfer.amount, "amount")?;
        self.hand_over(step, transfer);
        Ok(())
    }

    fn move_units(
        &mut self,
        step: &mut Step,
        id: String,
        transfer: &UnitTransfer,
        view: &dyn View,
    ) -> Result<Transferred, BookRefusal> {
        let UnitTransfer { from, to, symbol, quantity, .. } = transfer;
        let (from, to, quantity) = (*from, *to, *quantity);
        self.check_pair(step, from, to)?;
        if quantity.is_zero() {
            return Err(BookRefusal::NotPositive { field: "quantity" });
        }
        let price = match transfer.price {
            Some(price) if !price.is_positive() => return Err(BookRefusal::NotPositive { field: "price" }),
            Some(price) => price,
            None => view.price(symbol).ok_or_else(|| BookRefusal::NoPrice { symbol: symbol.clone() })?,
        };
        let free = step.draft.free_units(&self.book, from, symbol);
        let is_there = match quantity.is_positive() {
            true => quantity <= free,
            false => free <= quantity,
        };
        if !is_there {
            return Err(BookRefusal::NotEnoughUnits { symbol: symbol.clone(), free });
        }
        let cost = price * quantity;
        let (payer, amount) = if cost.is_negative() { (from, -cost) } else { (to, cost) };
        self.check_cash(step, payer, amount, "price")?;

        self.withhold(step, payer, amount, None);
        if quantity.is_positive() {
            self.withhold(step, from, Money::ZERO, Some((symbol.clone(), quantity)));
        }
        let moved = Transfer { id, quantity, price, at: step.now };
        let Step { draft, history, .. } = step;
        let realised_pnl =
            draft.move_units(&self.book, history, (from, to), (self.account.id, symbol), &moved);
        Ok(Transferred { quantity, price, realised_pnl })
    }

    fn reckon(
        &mut self,
        step: &mut Step,
        book: BookKey,
        method: CostMethod,
    ) -> Result<BookDone, BookRefusal> {
        if let Some(id) = book
            && self.book.virtual_book(id).is_none()
        {
            return Err(BookRefusal::Unknown { book: id });
        }
        let Step { draft, history, .. } = step;
        draft.reckon(history, book, method);
        Ok(BookDone::Done)
    }

    /// Books money that one book gives to another: two flows, which come to nothing for the account.
    fn hand_over(&mut self, step: &mut Step, transfer: &CashTransfer) {
        let CashTransfer { from, to, amount, note } = transfer;
        self.withhold(step, *from, *amount, None);
        for (book, amount) in [(*from, -*amount), (*to, *amount)] {
            let kind = FlowKind::Transfer;
            step.draft.flow(Flow { seq: 0, at: step.now, kind, book, amount, detail: note.clone() });
        }
    }

    fn withhold(
        &mut self,
        step: &mut Step,
        book: BookKey,
        money: Money,
        units: Option<(Symbol, domain::Quantity)>,
    ) {
        let withheld = Withheld { book, money, units };
        self.book.withhold(&withheld);
        step.draft.withheld.push(withheld);
    }

    fn check_pair(&self, step: &Step, from: BookKey, to: BookKey) -> Result<(), BookRefusal> {
        self.check_open_book(step, from)?;
        self.check_open_book(step, to)?;
        if from == to { Err(BookRefusal::SameBook) } else { Ok(()) }
    }

    /// There is the book, and it is not closed: by what is drafted, too.
    fn check_open_book(&self, step: &Step, key: BookKey) -> Result<(), BookRefusal> {
        let Some(id) = key else { return Ok(()) };
        let is_new =
            step.draft.books.iter().any(|change| matches!(change, BookChange::Opened(book) if book.id == id));
        match self.book.virtual_book(id) {
            Some(book) if book.closed_at.is_some() => Err(BookRefusal::Closed { name: book.name.clone() }),
            None if !is_new => Err(BookRefusal::Unknown { book: id }),
            _ => Ok(()),
        }
    }

    fn check_cash(
        &self,
        step: &Step,
        key: BookKey,
        needed: Money,
        field: &'static str,
    ) -> Result<(), BookRefusal> {
        if self.opening_cash.is_none() {
            return Err(BookRefusal::NotCompared);
        }
        if !needed.is_positive() {
            return Err(BookRefusal::NotPositive { field });
        }
        let free = step.draft.free_cash(&self.book, key);
        if free < needed { Err(BookRefusal::NotEnoughCash { needed, free }) } else { Ok(()) }
    }
}

/// Whether an input has everything reckoned again from the first fill on.
pub(super) fn is_reckoning(input: &Input) -> bool {
    matches!(input, Input::Command(Command::Books { act, .. }) if matches!(**act, BookAct::Reckon { .. }))
}

/// Whose capital a flow adds to.
pub(crate) fn funded(account: AccountId, flow: &Flow) -> Vec<Scope> {
    let whole = flow.kind.is_external().then_some([Scope::Desk, Scope::Account(account)]);
    whole.into_iter().flatten().chain(flow.book.map(Scope::Book)).collect()
}

fn check_owner(book: &VirtualBook) -> Result<(), BookRefusal> {
    let Some(owner) = &book.owner else { return Ok(()) };
    let (fits, expected) = match book.kind {
        BookKind::Person => (owner.parse::<UserId>().is_ok(), "a user, by id"),
        BookKind::Bot => (is_label(owner), "a bot, by id"),
        BookKind::Strategy => (is_label(owner), "a strategy, by name"),
    };
    if fits { Ok(()) } else { Err(BookRefusal::InvalidOwner { expected }) }
}
