//! What the desk knows of one account: cash, positions, orders, and the head-room that open orders hold.
//!
//! In memory, rebuilt at start from the database. Nothing changes here that is not committed, but for reservations,
//! which come first.
//!
//! An account is divided into books: its own, which holds whatever belongs to nobody in particular, and those of people,
//! bots and strategies. The account's numbers are the broker's; a book's are the fold over its own fills, and over all
//! books they add up to the account's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::{
    Applied, BookId, Correction, CostMethod, Fill, InvalidTransition, Money, Order, OrderEvent, OrderId,
    Position, PositionFill, Price, Quantity, Side, Status, Symbol, Timestamp, corrected,
};
use rustc_hash::FxHashMap;

use crate::Blind;
use crate::books::VirtualBook;
use crate::store::{BookedFill, BookingKind, Change, Flow, NewOrder};

mod moving;

pub(crate) use self::moving::{BookChange, Moved, Withheld};

/// Orders at their end that are kept at hand, because late fills and repeated reports are about these.
const RECENT: usize = 2_048;
/// More than come to their end in a step, as a rule.
const FORGOTTEN: usize = 256;

/// An order with what is not part of its state.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) order: Order,
    /// Per unit, what head-room is reserved at.
    pub(crate) reserve_price: Price,
    /// Executions that are booked, as they stand after corrections.
    pub(crate) executions: FxHashMap<String, Fill>,
    /// Executions that were taken back or replaced by a correction: nothing more is heard of them.
    pub(crate) voided: Vec<String>,
    /// What an order that is to take its place would hold back, while that is not decided.
    pub(crate) cover: (Money, Quantity),
    /// It waits to take another one's place, and holds nothing back by itself.
    pub(crate) is_shadow: bool,
}

impl Live {
    pub(crate) fn new(order: Order, reserve_price: Price) -> Self {
        let is_shadow = order.provenance.replaces.is_some() && order.broker_order_id.is_none();
        Self {
            order,
            reserve_price,
            executions: FxHashMap::default(),
            voided: Vec::new(),
            cover: Default::default(),
            is_shadow,
        }
    }

    /// Money and units that the order needs if all of what is left is executed.
    pub(crate) fn needs(&self) -> (Money, Quantity) {
        match self.order.request.side {
            Side::Buy => (self.reserve_price * self.order.leaves(), Quantity::ZERO),
            Side::Sell => (Money::ZERO, self.order.leaves()),
        }
    }

    /// Money and units that the order holds back.
    fn reserves(&self) -> (Money, Quantity) {
        if self.is_shadow || self.order.status == Status::Held || self.order.status.is_terminal() {
            return Default::default();
        }
        let (money, units) = self.needs();
        (money.max(self.cover.0), units.max(self.cover.1))
    }

    /// Sent at least once, and whether the broker has it is not known.
    pub(crate) fn is_unresolved(&self) -> bool {
        let order = &self.order;
        order.attempts > 0
            && order.broker_order_id.is_none()
            && matches!(order.status, Status::Submitting | Status::Unknown | Status::CancelPending)
    }
}

/// What belongs to one book.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    pub(crate) method: CostMethod,
    pub(crate) cash: Money,
    pub(crate) positions: BTreeMap<Symbol, Position>,
    /// What open buy orders may still cost.
    pub(crate) reserved: Money,
    /// Units that open sell orders may still deliver.
    pub(crate) selling: FxHashMap<Symbol, Quantity>,
    /// Money that came in without a trade, less what went out; without what the account had at first.
    pub(crate) funded: Money,
    /// Fees paid.
    pub(crate) fees: Money,
}

impl Holdings {
    pub(crate) fn new(method: CostMethod, cash: Money) -> Self {
        Self {
            method,
            cash,
            positions: BTreeMap::new(),
            reserved: Money::ZERO,
            selling: FxHashMap::default(),
            funded: Money::ZERO,
            fees: Money::ZERO,
        }
    }

    pub(crate) fn buying_power(&self) -> Money {
        self.cash - self.reserved
    }

    pub(crate) fn quantity(&self, symbol: &Symbol) -> Quantity {
        self.positions.get(symbol).map_or(Quantity::ZERO, |position| position.quantity)
    }

    /// Units held that no open order sells.
    pub(crate) fn sellable(&self, symbol: &Symbol) -> Quantity {
        self.quantity(symbol) - self.selling.get(symbol).copied().unwrap_or_default()
    }

    /// What they are worth at the latest prices, and at cost where there is none.
    pub(crate) fn valued(&self, price_of: impl Fn(&Symbol) -> Option<Price>) -> Valued {
        let mut valued = Valued { equity: self.cash, is_priced: true, ..Valued::default() };
        for (symbol, position) in &self.positions {
            valued.realised += position.realised_pnl;
            match price_of(symbol) {
                _ if position.quantity.is_zero() => {}
                Some(price) => {
                    valued.equity += position.value(price);
                    valued.unrealised += position.unrealised_pnl(price);
                }
                None => {
                    valued.equity += position.cost;
                    valued.is_priced = false;
                }
            }
        }
        valued
    }

    /// Adds what was moved.
    pub(crate) fn add(&mut self, moved: Moved) {
        self.cash += moved.cash;
        self.funded += moved.funded;
        self.fees += moved.fees;
    }

    fn hold(&mut self, symbol: &Symbol, money: Money, units: Quantity) {
        self.reserved += money;
        if !units.is_zero() {
            *self.selling.entry(symbol.clone()).or_default() += units;
        }
    }
}

/// What holdings are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Valued {
    /// Cash and what is held.
    pub(crate) equity: Money,
    pub(crate) realised: Money,
    pub(crate) unrealised: Money,
    /// Nothing is held of which there is no price.
    pub(crate) is_priced: bool,
}

/// Which of the books: `None` is the account's own.
pub(crate) type BookKey = Option<BookId>;

/// One account's book.
#[derive(Debug)]
pub(crate) struct Book {
    /// The whole account, as the broker sees it.
    pub(crate) whole: Holdings,
    /// The account divided: at least the account's own book.
    pub(crate) books: BTreeMap<BookKey, Holdings>,
    /// Who has the books other than the account's own, closed ones too.
    virtual_books: BTreeMap<BookId, VirtualBook>,
    /// Open books by their owner.
    owned: FxHashMap<String, BookId>,
    /// Fills booked so far; the next one has this number plus one.
    pub(crate) fills: i64,
    /// Flows booked so far.
    pub(crate) flows: i64,
    pub(crate) blind: Option<Blind>,
    pub(crate) latency: Option<Duration>,
    orders: FxHashMap<OrderId, Live>,
    /// By the broker's id, for what is told without ours.
    by_broker_id: FxHashMap<String, OrderId>,
    open: BTreeSet<OrderId>,
    ended: VecDeque<OrderId>,
    /// Accepted, durable, and not sent yet: sorted by when they were accepted.
    unsent: BTreeSet<OrderId>,
    /// Cancels that the broker has not ended yet.
    cancels: BTreeSet<OrderId>,
    /// Orders that the desk holds.
    held: BTreeSet<OrderId>,
    /// Sent, and whether the broker has them is not known.
    unresolved: BTreeSet<OrderId>,
    /// Orders that came with another, by that one.
    legs: FxHashMap<OrderId, Vec<OrderId>>,
}

impl Book {
    /// A book as it was stored, without its orders.
    pub(crate) fn new(whole: Holdings, books: BTreeMap<BookKey, Holdings>) -> Self {
        let mut books = books;
        books.entry(None).or_insert_with(|| Holdings::new(whole.method, whole.cash));
        Self {
            whole,
            books,
            virtual_books: BTreeMap::new(),
            owned: FxHashMap::default(),
            fills: 0,
            flows: 0,
            blind: None,
            latency: None,
            orders: FxHashMap::default(),
            by_broker_id: FxHashMap::default(),
            open: BTreeSet::new(),
            ended: VecDeque::new(),
            unsent: BTreeSet::new(),
            cancels: BTreeSet::new(),
            held: BTreeSet::new(),
            unresolved: BTreeSet::new(),
            legs: FxHashMap::default(),
        }
    }

    /// The book that an order belongs to; the account's own where there is no such book (any more).
    pub(crate) fn holdings(&self, key: BookKey) -> &Holdings {
        self.books.get(&key).or_else(|| self.books.get(&None)).unwrap_or(&self.whole)
    }

    pub(crate) fn open_orders(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn get(&self, id: OrderId) -> Option<&Live> {
        self.orders.get(&id)
    }

    /// The order that the broker calls so.
    pub(crate) fn called(&self, broker_order_id: &str) -> Option<OrderId> {
        self.by_broker_id.get(broker_order_id).copied()
    }

    /// Orders that are not at their end, oldest first.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Live> {
        self.open.iter().filter_map(|id| self.orders.get(id))
    }

    /// Orders to send, oldest first.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &Live> {
        self.unsent
            .iter()
            .filter_map(|id| self.orders.get(id))
            .filter(|live| live.order.status == Status::Accepted)
    }

    /// Orders that somebody wants canceled.
    pub(crate) fn cancels(&self) -> impl Iterator<Item = &Live> {
        self.cancels.iter().filter_map(|id| self.orders.get(id))
    }

    /// Orders that the desk holds.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Live> {
        self.held.iter().filter_map(|id| self.orders.get(id))
    }

    /// Orders that were sent, and of which it is not known whether the broker has them.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = &Live> {
        self.unresolved.iter().filter_map(|id| self.orders.get(id))
    }

    /// Orders that came with another one.
    pub(crate) fn legs_of(&self, parent: OrderId) -> &[OrderId] {
        self.legs.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// Lines an order up for sending. Only what is durable is lined up.
    pub(crate) fn queue(&mut self, id: OrderId) {
        self.unsent.insert(id);
    }

    /// Puts an order in, or a newer state of it, and adjusts what is reserved.
    pub(crate) fn put(&mut self, live: Live) {
        let id = live.order.id;
        let status = live.order.status;
        self.count(&live, true);
        if status != Status::Accepted {
            self.unsent.remove(&id);
        }
        let mark = |set: &mut BTreeSet<OrderId>, is_in: bool| {
            if is_in {
                set.insert(id);
            } else {
                set.remove(&id);
            }
        };
        mark(&mut self.open, !status.is_terminal());
        mark(&mut self.cancels, status == Status::CancelPending);
        mark(&mut self.held, status == Status::Held);
        mark(&mut self.unresolved, live.is_unresolved());
        if let Some(called) = &live.order.broker_order_id
            && !self.by_broker_id.contains_key(called)
        {
            self.by_broker_id.insert(called.clone(), id);
        }
        if let Some(parent) = live.order.provenance.parent {
            let legs = self.legs.entry(parent).or_default();
            if !legs.contains(&id) {
                legs.push(id);
            }
        }
        let before = self.orders.insert(id, live);
        let was_ended = before.as_ref().is_some_and(|before| before.order.status.is_terminal());
        if let Some(before) = before {
            self.count(&before, false);
        }
        if status.is_terminal() && !was_ended {
            self.ended.push_back(id);
        }
    }

    /// Forgets orders at their end beyond those that are kept at hand, oldest first, some of them at a time.
    ///
    /// Only between two steps: a comparison may need more of them at hand than are kept, and an order that is forgotten
    /// after it was read from the journal for a step would be one that nobody knows.
    pub(crate) fn forget_old(&mut self) {
        for _ in RECENT..self.ended.len().min(RECENT + FORGOTTEN) {
            let Some(oldest) = self.ended.pop_front() else { return };
            // Those of its group still need it.
            if self.is_in_open_group(oldest) { self.ended.push_back(oldest) } else { self.forget(oldest) }
        }
    }

    /// Takes an order out that was never committed.
    pub(crate) fn remove(&mut self, id: OrderId) {
        if let Some(live) = self.orders.get(&id).cloned() {
            self.count(&live, false);
            self.open.remove(&id);
            self.held.remove(&id);
            self.unsent.remove(&id);
            self.forget(id);
        }
    }

    /// Whether an order belongs with one that is not at its end.
    fn is_in_open_group(&self, id: OrderId) -> bool {
        let Some(live) = self.orders.get(&id) else { return false };
        let main = live.order.provenance.parent.unwrap_or(id);
        let replacement = live.order.replaced_by.is_some_and(|by| self.open.contains(&by));
        replacement
            || self.open.contains(&main)
            || self.legs_of(main).iter().any(|leg| self.open.contains(leg))
    }

    /// An ended order that is not needed at hand.
    fn forget(&mut self, id: OrderId) {
        let Some(live) = self.orders.remove(&id) else { return };
        if let Some(called) = &live.order.broker_order_id
            && self.by_broker_id.get(called) == Some(&id)
        {
            self.by_broker_id.remove(called);
        }
        self.legs.remove(&id);
        if let Some(parent) = live.order.provenance.parent
            && let Some(legs) = self.legs.get_mut(&parent)
        {
            legs.retain(|leg| *leg != id);
            if legs.is_empty() {
                self.legs.remove(&parent);
            }
        }
    }

    fn count(&mut self, live: &Live, add: bool) {
        let (mut money, mut units) = live.reserves();
        if !add {
            (money, units) = (-money, -units);
        }
        let symbol = &live.order.request.symbol;
        self.whole.hold(symbol, money, units);
        let key = key_of(self, &live.order);
        if let Some(holdings) = self.books.get_mut(&key) {
            holdings.hold(symbol, money, units);
        }
    }

    /// Cash, positions, and orders as they are after a committed draft.
    pub(crate) fn commit(&mut self, draft: Draft) {
        self.fills = draft.fills;
        self.flows = draft.flows_count;
        for change in draft.books {
            self.keep(change);
        }
        self.whole.add(draft.whole);
        self.whole.positions.extend(draft.positions);
        for (key, moved) in draft.moved {
            if let Some(holdings) = self.books.get_mut(&key) {
                holdings.add(moved);
            }
        }
        for ((key, symbol), position) in draft.book_positions {
            if let Some(holdings) = self.books.get_mut(&key) {
                holdings.positions.insert(symbol, position);
            }
        }
        for live in draft.lives.into_values() {
            self.put(live);
        }
        self.give_back(&draft.withheld);
    }
}

/// Events folded but not committed yet: what the book will be after them.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Orders that are new with this draft.
    pub(crate) inserts: Vec<NewOrder>,
    pub(crate) changes: Vec<Change>,
    pub(crate) flows: Vec<Flow>,
    /// What the account had in cash before its first fill, when that is learned now.
    pub(crate) opening_cash: Option<Money>,
    /// Units that changed their book: two rows for each transfer.
    pub(crate) transfers: Vec<BookedFill>,
    /// Books that are opened, closed, or reckoned in another way.
    pub(crate) books: Vec<BookChange>,
    /// What is held back until the draft is committed, so that no order can take it meanwhile.
    pub(crate) withheld: Vec<Withheld>,
    lives: BTreeMap<OrderId, Live>,
    positions: BTreeMap<Symbol, Position>,
    book_positions: BTreeMap<(BookKey, Symbol), Position>,
    /// What the draft adds to the account.
    whole: Moved,
    /// What it adds to each book.
    moved: BTreeMap<BookKey, Moved>,
    /// Number of the last row of bookings after it.
    pub(crate) fills: i64,
    flows_count: i64,
}

/// A fill as it stands after corrections.
#[derive(Clone, Debug)]
pub(crate) struct PastFill {
    pub(crate) book: BookKey,
    pub(crate) fill: PositionFill,
    /// It moved units between two books: to the account as a whole nothing happened.
    pub(crate) is_transfer: bool,
}

/// Every fill of a symbol on the account, oldest first: needed when one of them is corrected.
pub(crate) type History = FxHashMap<Symbol, Vec<PastFill>>;

impl Draft {
    /// An empty draft on a book.
    pub(crate) fn on(book: &Book) -> Self {
        Self { fills: book.fills, flows_count: book.flows, ..Self::default() }
    }

    /// An order as it is after the draft; `None` when the draft does not touch it.
    pub(crate) fn get(&self, id: OrderId) -> Option<&Live> {
        self.lives.get(&id)
    }

    /// Orders that the draft touches.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &Live> {
        self.lives.values()
    }

    /// Puts a new order in.
    pub(crate) fn insert(&mut self, live: Live) {
        self.inserts.push(NewOrder { order: live.order.clone(), reserve_price: live.reserve_price });
        self.lives.insert(live.order.id, live);
    }

    /// Puts in what changed of an order besides its state.
    pub(crate) fn adjust(&mut self, live: Live) {
        self.lives.insert(live.order.id, live);
    }

    /// Folds an event into an order. An execution that is booked already changes nothing.
    ///
    /// # Errors
    /// The event cannot happen to the order; the draft is as before.
    pub(crate) fn fold(
        &mut self,
        book: &Book,
        history: &mut History,
        mut live: Live,
        event: OrderEvent,
        at: Timestamp,
    ) -> Result<Applied, InvalidTransition> {
        let was = match &event {
            OrderEvent::Filled(fill) => {
                if live.executions.contains_key(&fill.execution_id)
                    || live.voided.contains(&fill.execution_id)
                {
                    return Ok(Applied::Nothing);
                }
                None
            }
            OrderEvent::Corrected { execution_id, by }
                if *execution_id != by.execution_id && live.executions.contains_key(&by.execution_id) =>
            {
                // What stands now is booked already: only what it corrected is to go.
                let execution_id = execution_id.clone();
                return self.fold(book, history, live, OrderEvent::Busted { execution_id }, at);
            }
            OrderEvent::Corrected { execution_id, by } => match live.executions.get(execution_id) {
                None if live.voided.contains(execution_id) => return Ok(Applied::Nothing),
                None => {
                    // What is corrected is not known: the correction is all there is to know, and what it corrects
                    // counts for nothing if it is told yet.
                    let (corrected, by) = (execution_id.clone(), by.clone());
                    if corrected == by.execution_id {
                        return self.fold(book, history, live, OrderEvent::Filled(by), at);
                    }
                    live.voided.push(corrected.clone());
                    let applied = self.fold(book, history, live, OrderEvent::Filled(by), at)?;
                    let booked = self.changes.last_mut().and_then(|change| change.booked.first_mut());
                    if let (Applied::Changed, Some(booked)) = (applied, booked) {
                        booked.corrects = Some(corrected);
                    }
                    return Ok(applied);
                }
                Some(was) if was == by => return Ok(Applied::Nothing),
                Some(was) => Some(was.clone()),
            },
            OrderEvent::Busted { execution_id } => match live.executions.get(execution_id) {
                Some(was) => Some(was.clone()),
                None => {
                    // It may still be told as a fill: then it counts for nothing.
                    if !live.voided.contains(execution_id) {
                        live.voided.push(execution_id.clone());
                        self.adjust(live);
                    }
                    return Ok(Applied::Nothing);
                }
            },
            _ => None,
        };
        if live.order.amend(&event, was.as_ref(), at)? == Applied::Nothing {
            return Ok(Applied::Nothing);
        }
        let booked = match (&event, &was) {
            (OrderEvent::Filled(fill), _) => {
                live.executions.insert(fill.execution_id.clone(), fill.clone());
                vec![self.book_fill(book, history, &live.order, fill)]
            }
            (OrderEvent::Corrected { execution_id, by }, Some(was)) => {
                live.executions.remove(execution_id);
                live.voided.push(execution_id.clone());
                live.voided.retain(|voided| *voided != by.execution_id);
                live.executions.insert(by.execution_id.clone(), by.clone());
                self.rebook(book, history, &live.order, was, Some(by))
            }
            (OrderEvent::Busted { execution_id }, Some(was)) => {
                live.executions.remove(execution_id);
                live.voided.push(execution_id.clone());
                self.rebook(book, history, &live.order, was, None)
            }
            _ => Vec::new(),
        };
        self.changes.push(Change { order: live.order.clone(), event, at, booked });
        self.lives.insert(live.order.id, live);
        Ok(Applied::Changed)
    }

    /// Books money that came or went without a trade.
    pub(crate) fn flow(&mut self, flow: Flow) {
        self.flows_count += 1;
        let flow = Flow { seq: self.flows_count, ..flow };
        let moved = Moved { cash: flow.amount, funded: flow.amount, fees: Money::ZERO };
        self.moved.entry(flow.book).or_default().add(moved);
        if flow.kind.is_external() {
            self.whole.add(moved);
        }
        self.flows.push(flow);
    }

    /// Learns what the account had in cash before its first fill.
    pub(crate) fn open_with(&mut self, cash: Money) {
        self.opening_cash = Some(cash);
        self.pay(None, cash, Money::ZERO);
    }

    /// Cash of the whole account after the draft.
    pub(crate) fn cash_after(&self, book: &Book) -> Money {
        book.whole.cash + self.whole.cash
    }

    /// Units of every symbol after the draft.
    pub(crate) fn quantities_after(&self, book: &Book) -> BTreeMap<Symbol, Quantity> {
        let held = book.whole.positions.iter().chain(&self.positions);
        held.map(|(symbol, position)| (symbol.clone(), position.quantity)).collect()
    }

    fn book_fill(&mut self, book: &Book, history: &mut History, order: &Order, fill: &Fill) -> BookedFill {
        let (symbol, side, key) = (&order.request.symbol, order.request.side, key_of(book, order));
        let of_position = PositionFill::of(side, fill);
        self.pay(key, of_position.cash(), fill.fee);
        self.fills += 1;
        let whole = self.position(book, symbol);
        whole.apply(side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
        let own = self.book_position(book, key, symbol);
        let realised_pnl = own.apply(side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
        if let Some(fills) = history.get_mut(symbol) {
            fills.push(PastFill { book: key, fill: of_position, is_transfer: false });
        }
        booked(order, key, self.fills, BookingKind::Fill, fill.clone(), None, realised_pnl)
    }

    /// Takes an execution out of the past and puts another in its place: everything since is reckoned again.
    fn rebook(
        &mut self,
        book: &Book,
        history: &mut History,
        order: &Order,
        was: &Fill,
        by: Option<&Fill>,
    ) -> Vec<BookedFill> {
        let (symbol, side, key) = (&order.request.symbol, order.request.side, key_of(book, order));
        let change = match by {
            None => Correction::Bust { execution_id: was.execution_id.clone() },
            Some(by) => {
                Correction::Correct { execution_id: was.execution_id.clone(), by: PositionFill::of(side, by) }
            }
        };
        let moved = by.map_or(Money::ZERO, |by| PositionFill::of(side, by).cash())
            - PositionFill::of(side, was).cash();
        self.pay(key, moved, by.map_or(Money::ZERO, |by| by.fee) - was.fee);

        let before = self.book_position(book, key, symbol).realised_pnl;
        let mut realised_pnl = Money::ZERO;
        if let Some(fills) = history.get_mut(symbol) {
            let plain: Vec<PositionFill> = fills.iter().map(|past| past.fill.clone()).collect();
            match corrected(&plain, &change) {
                Ok(after) => *fills = again(fills, after, was),
                Err(error) => {
                    tracing::error!(%error, order = %order.id, "a correction of what is not booked")
                }
            }
            let own = fold(self.method(book, key), fills, Some(key));
            realised_pnl = own.realised_pnl - before;
            let whole = fold(self.whole_method(book), fills, None);
            self.book_positions.insert((key, symbol.clone()), own);
            self.positions.insert(symbol.clone(), whole);
        }
        self.fills += 1;
        let reversal = Fill { quantity: -was.quantity, fee: -was.fee, ..was.clone() };
        let voids = Some(was.execution_id.clone());
        let Some(by) = by else {
            return vec![booked(order, key, self.fills, BookingKind::Bust, reversal, voids, realised_pnl)];
        };
        let reversal =
            booked(order, key, self.fills, BookingKind::Bust, reversal, voids.clone(), Money::ZERO);
        self.fills += 1;
        let correction =
            booked(order, key, self.fills, BookingKind::Correction, by.clone(), voids, realised_pnl);
        vec![reversal, correction]
    }

    /// Books cash that a fill brought (below zero: cost), its fee in it.
    fn pay(&mut self, key: BookKey, cash: Money, fee: Money) {
        let moved = Moved { cash, funded: Money::ZERO, fees: fee };
        self.whole.add(moved);
        self.moved.entry(key).or_default().add(moved);
    }

    fn position(&mut self, book: &Book, symbol: &Symbol) -> &mut Position {
        let method = self.whole_method(book);
        self.positions.entry(symbol.clone()).or_insert_with(|| {
            let known = book.whole.positions.get(symbol).cloned();
            known.unwrap_or_else(|| Position::new(method))
        })
    }

    fn book_position(&mut self, book: &Book, key: BookKey, symbol: &Symbol) -> &mut Position {
        let method = self.method(book, key);
        self.book_positions.entry((key, symbol.clone())).or_insert_with(|| {
            let known = book.books.get(&key).and_then(|holdings| holdings.positions.get(symbol)).cloned();
            known.unwrap_or_else(|| Position::new(method))
        })
    }
}

/// What the fills of one book come to; of all of them for the account, to which transfers are nothing.
fn fold(method: CostMethod, fills: &[PastFill], of: Option<BookKey>) -> Position {
    let counts = |past: &&PastFill| match of {
        Some(key) => past.book == key,
        None => !past.is_transfer,
    };
    Position::fold(method, fills.iter().filter(counts).map(|past| &past.fill))
}

/// The list of fills after a correction, with the books they belong to.
fn again(before: &[PastFill], after: Vec<PositionFill>, was: &Fill) -> Vec<PastFill> {
    let same_length = after.len() == before.len();
    let places = before.iter().filter(|past| same_length || past.fill.execution_id != was.execution_id);
    places.zip(after).map(|(past, fill)| PastFill { fill, ..past.clone() }).collect()
}

fn key_of(book: &Book, order: &Order) -> BookKey {
    let key = order.provenance.book;
    if book.books.contains_key(&key) { key } else { None }
}

fn booked(
    order: &Order,
    book: BookKey,
    seq: i64,
    kind: BookingKind,
    fill: Fill,
    corrects: Option<String>,
    realised_pnl: Money,
) -> BookedFill {
    BookedFill {
        account: order.account,
        seq,
        kind,
        order: Some(order.id),
        book,
        symbol: order.request.symbol.clone(),
        side: order.request.side,
        fill,
        corrects,
        realised_pnl,
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, OrderRequest, Provenance, TimeInForce};

    use super::*;

    fn live(side: Side, quantity: &str) -> Live {
        let at = Timestamp::UNIX_EPOCH;
        let (symbol, price) = ("BTC-USD".parse().unwrap(), "100".parse().unwrap());
        let quantity = quantity.parse().unwrap();
        let request = OrderRequest::simple("c", symbol, side, quantity, Some(price), TimeInForce::Gtc);
        let provenance = Provenance::of("u");
        let (id, account) = (OrderId::new(at), AccountId::new(at));
        Live::new(Order::accepted(id, account, request, quantity, provenance, at), price)
    }

    fn with_cash(cash: &str) -> Book {
        Book::new(Holdings::new(CostMethod::Average, cash.parse().unwrap()), BTreeMap::new())
    }

    fn fill(id: &str, quantity: &str) -> OrderEvent {
        OrderEvent::Filled(Fill {
            execution_id: id.into(),
            price: "90".parse().unwrap(),
            quantity: quantity.parse().unwrap(),
            fee: Money::ZERO,
            at: Timestamp::UNIX_EPOCH,
        })
    }

    fn happen(book: &mut Book, id: OrderId, event: OrderEvent) -> Applied {
        let mut draft = Draft::on(book);
        let live = book.get(id).cloned().unwrap();
        let applied = draft.fold(book, &mut History::default(), live, event, Timestamp::UNIX_EPOCH).unwrap();
        book.commit(draft);
        applied
    }

    #[test]
    fn head_room_shrinks_as_the_order_fills_and_is_free_at_its_end() {
        let mut book = with_cash("1000");
        let order = live(Side::Buy, "5");
        let id = order.order.id;
        book.put(order);
        assert_eq!(book.whole.buying_power().to_string(), "500");
        happen(&mut book, id, fill("e1", "2"));
        assert_eq!(book.whole.buying_power().to_string(), "520", "180 was paid, 300 is still reserved");
        happen(&mut book, id, OrderEvent::Canceled);
        assert_eq!(
            (book.whole.buying_power().to_string().as_str(), book.whole.reserved, book.open_orders()),
            ("820", Money::ZERO, 0)
        );
    }

    #[test]
    fn an_execution_is_booked_once() {
        let mut book = with_cash("1000");
        let order = live(Side::Buy, "5");
        let id = order.order.id;
        book.put(order);
        assert_eq!(happen(&mut book, id, fill("e1", "2")), Applied::Changed);
        assert_eq!(happen(&mut book, id, fill("e1", "2")), Applied::Nothing);
        assert_eq!((book.whole.cash.to_string().as_str(), book.fills), ("820", 1));
    }

    #[test]
    fn units_being_sold_cannot_be_sold_again() {
        let mut book = with_cash("0");
        let symbol: Symbol = "BTC-USD".parse().unwrap();
        let bought = live(Side::Buy, "3");
        let id = bought.order.id;
        book.put(bought);
        happen(&mut book, id, fill("e1", "3"));
        let order = live(Side::Sell, "2");
        book.put(order.clone());
        assert_eq!(book.whole.sellable(&symbol).to_string(), "1");
        book.remove(order.order.id);
        assert_eq!(book.whole.sellable(&symbol).to_string(), "3");
    }

    #[test]
    fn ended_orders_are_forgotten_after_a_while() {
        let mut book = with_cash("0");
        let mut first = None;
        for _ in 0..=RECENT {
            let mut order = live(Side::Buy, "1");
            order.order.apply(&OrderEvent::Canceled, Timestamp::UNIX_EPOCH).unwrap();
            first.get_or_insert(order.order.id);
            book.put(order);
        }
        assert!(book.get(first.unwrap()).is_some(), "a step may still need it");
        book.forget_old();
        assert!(book.get(first.unwrap()).is_none());
        assert_eq!(book.orders.len(), RECENT);
    }
}
