//! The books of an account, seen and managed.

use domain::{AccountId, AuditEntry, BookId, Context, CostMethod, Denied, OrderId, Permission, Quantity};
use serde_json::json;
use storage::StorageError;

use super::Gateway;
use crate::book::{BookKey, Holdings};
use crate::books::{
    BookError, BookHolding, BookState, CashTransfer, NewBook, OWN_BOOK, Transferred, UnitTransfer,
    VirtualBook,
};
use crate::core::{BookAct, BookDone, Command, Core, Reply};

impl Gateway {
    /// The books of an account now: its own first, then the others, oldest first; closed ones at the end.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn books(&self, ctx: &Context, id: AccountId) -> Result<Vec<BookState>, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        let core = desk.core();
        let mut books: Vec<&VirtualBook> = core.book.virtual_books().collect();
        books.sort_by_key(|book| (book.closed_at.is_some(), book.opened_at, book.id));
        let own = self.book_state(&core, None, core.book.holdings(None));
        let others = books
            .into_iter()
            .map(|book| self.book_state(&core, Some(book), core.book.holdings(Some(book.id))));
        Ok(std::iter::once(own).chain(others).collect())
    }

    fn book_state(&self, core: &Core, book: Option<&VirtualBook>, holdings: &Holdings) -> BookState {
        let key = book.map(|book| book.id);
        let valued = holdings.valued(|symbol| self.shared.market.last_price(symbol));
        let positions = holdings.positions.iter().map(|(symbol, position)| BookHolding {
            symbol: symbol.clone(),
            position: position.clone(),
            selling: holdings.selling.get(symbol).copied().unwrap_or(Quantity::ZERO),
            market_price: self.shared.market.last_price(symbol),
        });
        BookState {
            account: core.account.id,
            book: book.cloned(),
            cost_method: holdings.method,
            cash: holdings.cash,
            reserved: holdings.reserved,
            buying_power: holdings.buying_power(),
            equity: valued.equity,
            realised_pnl: valued.realised,
            unrealised_pnl: valued.unrealised,
            fees: holdings.fees,
            funded: holdings.funded,
            positions: positions.collect(),
            open_orders: core.book.open().filter(|live| core.book.key_of(&live.order) == key).count(),
            at: self.shared.clock.now(),
        }
    }

    /// Opens a book on an account.
    ///
    /// # Errors
    /// Says why not.
    pub async fn open_book(
        &self,
        ctx: &Context,
        account: AccountId,
        new: NewBook,
    ) -> Result<VirtualBook, BookError> {
        let desk = self.desk(ctx, Permission::BooksManage, account)?;
        let book = VirtualBook {
            id: BookId::new(ctx.at),
            account,
            name: new.name,
            kind: new.kind,
            owner: new.owner,
            cost_method: new.cost_method.unwrap_or_else(|| desk.account().cost_method),
            opened_at: ctx.at,
            closed_at: None,
        };
        let entry = AuditEntry::by(ctx, "book.opened").on("book", book.id).with(json!({
            "account": account,
            "kind": book.kind.as_str(),
            "owner": book.owner,
            "cost_method": book.cost_method,
            "opening_cash": new.opening_cash,
        }));
        match self.act_on_books(ctx, account, BookAct::Open { book, cash: new.opening_cash }, entry).await? {
            BookDone::Opened(book) => Ok(book),
            _ => Err(BookError::Stopping),
        }
    }

    /// Closes a book that holds nothing and has no open order. Its cash goes back to the account's own book.
    ///
    /// # Errors
    /// Says why not.
    pub async fn close_book(&self, ctx: &Context, account: AccountId, book: BookId) -> Result<(), BookError> {
        let entry = AuditEntry::by(ctx, "book.closed").on("book", book).with(json!({ "account": account }));
        self.act_on_books(ctx, account, BookAct::Close(book), entry).await.map(drop)
    }

    /// Moves money from one book of an account to another.
    ///
    /// # Errors
    /// Says why not; also when it is not there, or open orders hold it back.
    pub async fn transfer_cash(
        &self,
        ctx: &Context,
        account: AccountId,
        transfer: CashTransfer,
    ) -> Result<(), BookError> {
        let transfer = CashTransfer { from: key(transfer.from), to: key(transfer.to), ..transfer };
        let entry = AuditEntry::by(ctx, "book.cash_transferred").on("account", account).with(json!({
            "from": transfer.from,
            "to": transfer.to,
            "amount": transfer.amount,
            "note": transfer.note,
        }));
        self.act_on_books(ctx, account, BookAct::MoveCash(transfer), entry).await.map(drop)
    }

    /// Moves units from one book of an account to another, at a price or the latest one.
    ///
    /// # Errors
    /// Says why not; also when they are not there or being sold, or the other one cannot pay for them.
    pub async fn transfer_units(
        &self,
        ctx: &Context,
        account: AccountId,
        transfer: UnitTransfer,
    ) -> Result<Transferred, BookError> {
        let transfer = UnitTransfer { from: key(transfer.from), to: key(transfer.to), ..transfer };
        let entry = AuditEntry::by(ctx, "book.units_transferred").on("account", account).with(json!({
            "from": transfer.from,
            "to": transfer.to,
            "symbol": transfer.symbol,
            "quantity": transfer.quantity,
            "note": transfer.note,
        }));
        let id = format!("transfer {}", OrderId::new(ctx.at));
        match self.act_on_books(ctx, account, BookAct::MoveUnits { id, transfer }, entry).await? {
            BookDone::MovedUnits(moved) => Ok(moved),
            _ => Err(BookError::Stopping),
        }
    }

    /// Changes how cost is reckoned in a book; on the account and in its own book where none is named. The past is
    /// reckoned again: realised and unrealised profit change, their sum does not.
    ///
    /// # Errors
    /// Says why not.
    pub async fn set_cost_method(
        &self,
        ctx: &Context,
        account: AccountId,
        book: Option<BookId>,
        method: CostMethod,
    ) -> Result<(), BookError> {
        let book = key(book);
        let entry = AuditEntry::by(ctx, "book.cost_method_set")
            .on("account", account)
            .with(json!({ "book": book, "cost_method": method }));
        self.act_on_books(ctx, account, BookAct::Reckon { book, method }, entry).await.map(drop)
    }

    /// Has the account's router do it, so that one writes fills and flows.
    async fn act_on_books(
        &self,
        ctx: &Context,
        account: AccountId,
        act: BookAct,
        entry: AuditEntry,
    ) -> Result<BookDone, BookError> {
        let desk = self.desk(ctx, Permission::BooksManage, account)?;
        let command = |ticket| Command::Books { act: Box::new(act), entry: Box::new(entry), ticket };
        match desk.ask(command).await {
            Some(Reply::Books(done)) => Ok(done?),
            Some(Reply::NotJournaled(why)) => Err(BookError::Journal(StorageError::NotCommitted(why))),
            Some(_) | None => Err(BookError::Stopping),
        }
    }
}

/// The book that is named, whichever way the account's own is.
fn key(book: Option<BookId>) -> BookKey {
    book.filter(|id| *id != OWN_BOOK)
}

#[cfg(test)]
mod tests;
