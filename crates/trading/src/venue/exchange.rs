//! The paper venue without its disk, its task and its clock: requests, market and time go in, rows to store and things
//! to tell come out. The same input gives the same output.
//!
//! The way of an order: [`taking`] checks it and puts it on its way; when its latency is over it arrives in the book;
//! [`filling`] lets it meet the market until it is filled, canceled, replaced or out of time. [`asking`] answers
//! questions; [`restoring`] builds the exchange again from what was stored.
//!
//! How it fills:
//!
//! - An order that can trade at once takes what the quote displays, at the quote's price and the slippage. Displayed size
//!   that was taken is gone until the next quote. A market order waits for the next quote with what is left; a limit
//!   order rests.
//! - A resting limit order is filled at its limit, never better: when the quote reaches it, up to the size displayed,
//!   and by trades: by any that goes through its limit, and by trades at its limit once the size that was displayed
//!   there before it has traded.
//! - Better prices come first, then who came first. Orders of the venue meet the market, not each other, but for the
//!   auctions (see [`super::auction`]).
//! - Stop prices are reached by trades of the regular session, not by quotes. A stop that arrives behind the last trade
//!   is active at once.
//! - Outside its hours and while its symbol is halted, an order rests. When trading begins again it takes the price
//!   there is, like a new one.

mod asking;
mod filling;
mod restoring;
mod taking;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod stories;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AccountId, Instrument, Money, Order, OrderEvent, Price, Quantity, Quote, Symbol, TimeInForce, Timestamp,
    Trade,
};
use rustc_hash::FxHashMap;

use super::account::{Account, Held};
use super::book::Book;
use super::calendar::Session;
use super::order::{Report, VenueOrder, VenueStatus, order_id, order_of};
use super::settings::{PaperSettings, Rules};
use crate::broker::{BrokerEvent, CancelFailure, Refusal, SubmitFailure};
pub(crate) use restoring::{Rows, Stored};

/// The paper venue without I/O. Time is passed in and does not go back: an earlier one counts as the latest known.
#[derive(Debug)]
pub(crate) struct Exchange {
    settings: PaperSettings,
    seed: u64,
    now: Timestamp,
    next_seq: i64,
    orders: FxHashMap<i64, VenueOrder>,
    accounts: BTreeMap<AccountId, Account>,
    books: Vec<Book>,
    symbols: BTreeMap<Symbol, usize>,
    /// The session of each class of symbols, and when it changes. Empty until the time is first told.
    sessions: Vec<(Session, Option<Timestamp>)>,
    due: BTreeSet<(Timestamp, i64, Due)>,
    ended: Vec<i64>,
    changes: Changes,
}

/// What time brings to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Arrive,
    Cancel,
    Expire,
}

/// What changed since it was last asked for.
#[derive(Debug, Default)]
struct Changes {
    orders: BTreeSet<i64>,
    accounts: BTreeSet<AccountId>,
    positions: BTreeSet<(AccountId, Symbol)>,
    halts: BTreeSet<Symbol>,
    reports: Vec<Report>,
    told: Vec<(AccountId, BrokerEvent)>,
}

/// What happened since the last time: rows to store, and what to tell once they are.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rows: Rows,
    pub(crate) told: Vec<(AccountId, BrokerEvent)>,
}

/// There is no such execution on the account, or it was taken back before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the venue has no such execution")]
pub struct NoSuchExecution;

impl Exchange {
    /// An exchange without accounts or symbols.
    pub(crate) fn new(settings: PaperSettings, seed: u64) -> Self {
        Self {
            settings,
            seed,
            now: Timestamp::MIN,
            next_seq: 1,
            orders: FxHashMap::default(),
            accounts: BTreeMap::new(),
            books: Vec::new(),
            symbols: BTreeMap::new(),
            sessions: Vec::new(),
            due: BTreeSet::new(),
            ended: Vec::new(),
            changes: Changes::default(),
        }
    }

    /// How it behaves.
    #[cfg(any(test, feature = "simulator"))]
    pub(crate) fn settings(&self) -> &PaperSettings {
        &self.settings
    }

    /// Admits an instrument to trading.
    pub(crate) fn list(&mut self, instrument: Instrument) {
        let book = self.book_of(&instrument.symbol);
        self.books[book].instrument = Some(instrument);
    }

    /// The same, if there is such an instrument.
    pub(crate) fn extend_listing(&mut self, instrument: Option<Instrument>) {
        instrument.into_iter().for_each(|instrument| self.list(instrument));
    }

    /// Whether an instrument is traded.
    pub(crate) fn is_listed(&self, symbol: &Symbol) -> bool {
        self.symbols.get(symbol).is_some_and(|book| self.books[*book].instrument.is_some())
    }

    /// Opens an account with cash. One that exists is left as it is.
    pub(crate) fn open_account(&mut self, account: AccountId, cash: Money) {
        if let std::collections::btree_map::Entry::Vacant(place) = self.accounts.entry(account) {
            place.insert(Account::new(cash));
            self.changes.accounts.insert(account);
        }
    }

    /// Adds to the cash of an account; below zero it is taken.
    pub(crate) fn deposit(&mut self, account: AccountId, amount: Money) {
        if let Some(open) = self.accounts.get_mut(&account) {
            open.cash += amount;
            self.changes.accounts.insert(account);
        }
    }

    /// Takes an order and answers at once: with the venue's id of it, or why not. With latency it reaches the book later.
    pub(crate) fn submit(&mut self, order: &Order, now: Timestamp) -> Result<String, SubmitFailure> {
        let seq = self.take(order, now)?;
        self.set_off(seq);
        Ok(order_id(seq))
    }

    /// Lies: acknowledges an order as [`Self::submit`] does, and then rejects it.
    pub(crate) fn pretend(&mut self, order: &Order, now: Timestamp) -> Result<String, SubmitFailure> {
        let seq = self.take(order, now)?;
        self.reject(seq, Refusal::new(domain::Reason::Other, "the venue changed its mind"));
        Ok(order_id(seq))
    }

    /// Asks to cancel an order. `Ok`: the end is told, at once or when the cancel has reached the book.
    pub(crate) fn cancel(
        &mut self,
        account: AccountId,
        client_order_id: &str,
        now: Timestamp,
    ) -> Result<(), CancelFailure> {
        self.clock(now);
        self.take_cancel(account, client_order_id).map_err(CancelFailure::Refused)
    }

    /// Asks to put `by` in the place of `old`. With latency it may be refused on arrival: then the old order is told so,
    /// and the new one is rejected.
    pub(crate) fn replace(
        &mut self,
        old: &Order,
        by: &Order,
        now: Timestamp,
    ) -> Result<String, SubmitFailure> {
        let seq = self.take_replacement(old, by, now)?;
        self.set_off(seq);
        Ok(order_id(seq))
    }

    /// A new quote.
    pub(crate) fn quote(&mut self, quote: &Quote, now: Timestamp) {
        self.clock(now);
        let book = self.book_of(&quote.symbol);
        self.books[book].view.show(quote);
        self.serve(book);
    }

    /// A print on the tape.
    pub(crate) fn trade(&mut self, trade: &Trade, now: Timestamp) {
        self.clock(now);
        let book = self.book_of(&trade.symbol);
        self.books[book].view.last = Some(trade.price);
        self.serve_print(book, trade);
        self.trigger(book, trade.price);
    }

    /// Halts trading in a symbol, or lets it go on.
    pub(crate) fn halt(&mut self, symbol: &Symbol, halted: bool, now: Timestamp) {
        self.clock(now);
        let book = self.book_of(symbol);
        if std::mem::replace(&mut self.books[book].halted, halted) != halted {
            self.changes.halts.insert(symbol.clone());
        }
        if !halted {
            self.resume(book);
        }
    }

    /// Tells the time: what was on its way arrives, sessions begin and end, orders expire; each in its own moment.
    pub(crate) fn clock(&mut self, now: Timestamp) {
        let now = self.now.max(now);
        if self.sessions.is_empty() {
            self.begin(now);
        }
        while let Some(next) = self.next_at().filter(|next| *next <= now) {
            self.now = next;
            match (0..self.sessions.len()).find(|class| self.sessions[*class].1 == Some(next)) {
                Some(class) => self.turn(class),
                None => self.act_on_time(),
            }
        }
        self.now = now;
    }

    /// When [`Self::clock`] next has something to do.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(at, ..)| *at);
        self.sessions.iter().filter_map(|(_, next)| *next).chain(due).min()
    }

    /// Takes an execution back. An open order works on for it, one that is done does not.
    pub(crate) fn bust(
        &mut self,
        account: AccountId,
        execution_id: &str,
        now: Timestamp,
    ) -> Result<(), NoSuchExecution> {
        self.amend(account, execution_id, None, now)
    }

    /// Corrects price and quantity of an execution. Its fee stays.
    pub(crate) fn correct(
        &mut self,
        account: AccountId,
        execution_id: &str,
        price: Price,
        quantity: Quantity,
        now: Timestamp,
    ) -> Result<(), NoSuchExecution> {
        self.amend(account, execution_id, Some((price, quantity)), now)
    }

    /// What happened since the last time this was called.
    pub(crate) fn drain(&mut self) -> Batch {
        let changes = std::mem::take(&mut self.changes);
        let orders = changes.orders.iter().filter_map(|seq| self.orders.get(seq)).cloned().collect();
        let accounts = changes.accounts.into_iter();
        let accounts =
            accounts.map(|id| (id, self.accounts.get(&id).map_or(Money::ZERO, |account| account.cash)));
        let accounts = accounts.collect();
        let positions = changes.positions.into_iter().map(|(id, symbol)| {
            let held = self.accounts.get(&id).map_or(Quantity::ZERO, |account| account.position(&symbol));
            (id, symbol, held)
        });
        let positions = positions.collect();
        let halts = changes.halts.into_iter().map(|symbol| {
            let halted = self.symbols.get(&symbol).is_some_and(|book| self.books[*book].halted);
            (symbol, halted)
        });
        let halts = halts.collect();
        let rows = Rows { accounts, positions, orders, reports: changes.reports, halts };
        Batch { rows, told: changes.told }
    }

    /// Drops from memory what is at its end and stored: who asks for it then has to look there. Whether an id was used
    /// before is then known there only.
    pub(crate) fn forget_ended(&mut self) {
        for seq in std::mem::take(&mut self.ended) {
            let Some(order) = self.orders.remove(&seq) else { continue };
            if let Some(account) = self.accounts.get_mut(&order.account) {
                account.ids.remove(&order.client_order_id);
            }
        }
        for account in self.accounts.values_mut() {
            account.reports.clear();
        }
    }

    /// Takes an order back into memory that was forgotten.
    pub(crate) fn recall(&mut self, order: VenueOrder) {
        if self.orders.contains_key(&order.seq) {
            return;
        }
        let account = self.accounts.entry(order.account).or_default();
        account.ids.insert(order.client_order_id.clone(), order.seq);
        self.ended.push(order.seq);
        self.orders.insert(order.seq, order);
    }

    /// Whether an order with this id is in memory.
    pub(crate) fn remembers(&self, account: AccountId, client_order_id: &str) -> bool {
        self.lookup(account, client_order_id).is_some()
    }

    fn lookup(&self, account: AccountId, client_order_id: &str) -> Option<&VenueOrder> {
        self.orders.get(self.accounts.get(&account)?.ids.get(client_order_id)?)
    }

    /// The book of a symbol, a new one if need be.
    fn book_of(&mut self, symbol: &Symbol) -> usize {
        if let Some(book) = self.symbols.get(symbol) {
            return *book;
        }
        let class = self.settings.classes.iter().position(|class| class.symbols.contains(symbol));
        self.books.push(Book::new(symbol.clone(), class.map_or(0, |class| class + 1)));
        self.symbols.insert(symbol.clone(), self.books.len() - 1);
        self.books.len() - 1
    }

    /// The book that an order is in. Every order has one from the moment it is taken.
    fn book_index(&self, order: &VenueOrder) -> usize {
        self.symbols.get(&order.terms.symbol).copied().unwrap_or_default()
    }

    fn class_rules(&self, class: usize) -> &Rules {
        let own = class.checked_sub(1).and_then(|class| self.settings.classes.get(class));
        own.map_or(&self.settings.rules, |class| &class.rules)
    }

    fn rules(&self, book: usize) -> &Rules {
        self.class_rules(self.books[book].class)
    }

    fn session(&self, book: usize) -> Session {
        self.sessions.get(self.books[book].class).map_or(Session::Closed, |(session, _)| *session)
    }

    fn begin(&mut self, now: Timestamp) {
        self.sessions = (0..=self.settings.classes.len())
            .map(|class| {
                let calendar = &self.class_rules(class).calendar;
                (calendar.session(now), calendar.next_change(now))
            })
            .collect();
        self.now = now;
    }

    /// A session begins or ends.
    fn turn(&mut self, class: usize) {
        let calendar = &self.class_rules(class).calendar;
        let after = calendar.session(self.now);
        let next = calendar.next_change(self.now);
        let (before, _) = std::mem::replace(&mut self.sessions[class], (after, next));
        let books: Vec<usize> =
            self.symbols.values().copied().filter(|book| self.books[*book].class == class).collect();
        for book in books {
            match (before, after) {
                (Session::Regular, Session::Regular) => {}
                (_, Session::Regular) => self.auction(book, TimeInForce::Opg),
                (Session::Regular, _) => self.auction(book, TimeInForce::Cls),
                _ => {}
            }
            self.resume(book);
        }
    }

    /// Does the first thing that is due.
    fn act_on_time(&mut self) {
        let Some((_, seq, due)) = self.due.pop_first() else { return };
        match due {
            Due::Arrive => self.arrive(seq),
            Due::Cancel => self.end(seq, VenueStatus::Canceled, OrderEvent::Canceled),
            Due::Expire => {
                let auction = self.orders.get(&seq).is_some_and(|order| {
                    matches!(order.terms.time_in_force, TimeInForce::Opg | TimeInForce::Cls)
                });
                let reason = if auction { "the auction is over" } else { "the day ended" };
                self.end(seq, VenueStatus::Expired, OrderEvent::Expired { reason: reason.to_owned() });
            }
        }
    }

    /// Ends an open order, and tells why.
    fn end(&mut self, seq: i64, status: VenueStatus, event: OrderEvent) {
        if !self.orders.get(&seq).is_some_and(|order| order.status.is_open()) {
            return;
        }
        self.finish(seq, status);
        self.tell(seq, event);
    }

    fn reject(&mut self, seq: i64, refusal: Refusal) {
        let event = OrderEvent::Refused { reason: refusal.text.clone(), code: refusal.reason };
        if let Some(order) = self.orders.get_mut(&seq) {
            order.refusal = Some(refusal);
        }
        self.end(seq, VenueStatus::Rejected, event);
    }

    /// Takes an order out of everything that open orders are in.
    fn finish(&mut self, seq: i64, status: VenueStatus) {
        self.let_go(seq);
        let Some(order) = self.orders.get(&seq) else { return };
        let book = self.book_index(order);
        self.books[book].remove(order);
        for (at, due) in due_of(order) {
            self.due.remove(&(at, seq, due));
        }
        if let Some(account) = self.accounts.get_mut(&order.account) {
            account.open.remove(&seq);
        }
        if let Some(order) = self.orders.get_mut(&seq) {
            order.status = status;
        }
        self.ended.push(seq);
        self.changes.orders.insert(seq);
    }

    /// Holds back what the rest of an open order needs.
    fn hold(&mut self, seq: i64) {
        if let Some((account, held)) = self.held(seq)
            && let Some(account) = self.accounts.get_mut(&account)
        {
            account.hold(&held);
        }
    }

    /// Gives that back.
    fn let_go(&mut self, seq: i64) {
        if let Some((account, held)) = self.held(seq)
            && let Some(account) = self.accounts.get_mut(&account)
        {
            account.release(&held);
        }
    }

    /// What an order holds back on its account. A replacement on its way holds nothing: the order that it is to replace
    /// still does.
    fn held(&self, seq: i64) -> Option<(AccountId, Held)> {
        let order = self.orders.get(&seq).filter(|order| order.holds())?;
        let (price, quantity) = (order.reserve_price, order.leaves());
        let fee = self.rules(self.book_index(order)).fees.reckoned(price, quantity);
        let symbol = order.terms.symbol.clone();
        Some((order.account, Held { symbol, side: order.terms.side, quantity, cost: price * quantity + fee }))
    }

    fn tell(&mut self, seq: i64, event: OrderEvent) {
        let Some(order) = self.orders.get(&seq) else { return };
        let event = BrokerEvent {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: order_id(seq),
            event: Some(event),
        };
        self.changes.told.push((order.account, event));
    }

    /// Writes an execution, a correction or a bust into the account's list, and tells it.
    fn report(&mut self, seq: i64, event: OrderEvent) {
        let Some(order) = self.orders.get_mut(&seq) else { return };
        order.count(&event);
        let report = Report {
            account: order.account,
            seq,
            client_order_id: order.client_order_id.clone(),
            symbol: order.terms.symbol.clone(),
            side: order.terms.side,
            event: event.clone(),
            at: self.now,
        };
        self.changes.orders.insert(seq);
        self.changes.accounts.insert(order.account);
        self.changes.positions.insert((order.account, order.terms.symbol.clone()));
        self.changes.reports.push(report.clone());
        if let Some(account) = self.accounts.get_mut(&order.account) {
            account.reports.push(report);
        }
        self.tell(seq, event);
    }

    fn amend(
        &mut self,
        account: AccountId,
        execution_id: &str,
        by: Option<(Price, Quantity)>,
        now: Timestamp,
    ) -> Result<(), NoSuchExecution> {
        self.clock(now);
        let seq = order_of(execution_id).ok_or(NoSuchExecution)?;
        let order = self.orders.get(&seq).filter(|order| order.account == account).ok_or(NoSuchExecution)?;
        let was = order.fills.iter().find(|fill| fill.execution_id == execution_id);
        let was = was.cloned().ok_or(NoSuchExecution)?;
        let (symbol, side) = (order.terms.symbol.clone(), order.terms.side);
        let by = by.map(|(price, quantity)| domain::Fill {
            execution_id: order.next_execution_id(),
            price,
            quantity,
            ..was.clone()
        });

        self.let_go(seq);
        if let Some(account) = self.accounts.get_mut(&account) {
            account.book(&symbol, side, &was, true);
            if let Some(by) = &by {
                account.book(&symbol, side, by, false);
            }
        }
        if let Some(order) = self.orders.get_mut(&seq) {
            order.filled -= was.quantity;
            order.filled += by.as_ref().map_or(Quantity::ZERO, |by| by.quantity);
        }
        self.hold(seq);
        let execution_id = execution_id.to_owned();
        self.report(
            seq,
            match by {
                Some(by) => OrderEvent::Corrected { execution_id, by },
                None => OrderEvent::Busted { execution_id },
            },
        );
        self.settle_status(seq);
        Ok(())
    }

    /// Where an order stands after an execution of it changed. What is done is not worked again.
    fn settle_status(&mut self, seq: i64) {
        let Some(order) = self.orders.get_mut(&seq) else { return };
        let complete = !order.leaves().is_positive();
        match order.status {
            status if status.is_open() && complete => self.finish(seq, VenueStatus::Filled),
            VenueStatus::Filled if !complete => order.status = VenueStatus::Canceled,
            VenueStatus::Canceled | VenueStatus::Expired | VenueStatus::Replaced if complete => {
                order.status = VenueStatus::Filled;
            }
            _ => {}
        }
    }
}

/// What time is to bring to an order.
fn due_of(order: &VenueOrder) -> impl Iterator<Item = (Timestamp, Due)> + use<> {
    let arrives = (order.status == VenueStatus::Arriving).then_some((order.arrives_at, Due::Arrive));
    let cancel = order.cancel_at.map(|at| (at, Due::Cancel));
    let expires = order.expires_at.map(|at| (at, Due::Expire));
    [arrives, cancel, expires].into_iter().flatten()
}
