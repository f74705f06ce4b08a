//! What the desk knows of one account: cash, positions, orders, and the head-room that open orders hold.
//!
//! In memory, rebuilt at start from the database. Nothing changes here that is not committed, but for reservations,
//! which come first.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use domain::{
    Applied, Fill, InvalidTransition, Money, Order, OrderEvent, OrderId, Position, Price, Quantity, Side,
    Status, Symbol, Timestamp,
};
use rustc_hash::FxHashMap;

use crate::Blind;
use crate::store::{BookedFill, Change};

/// Orders at their end that are kept at hand, because late fills and repeated reports are about these.
const RECENT: usize = 2_048;

/// An order with what is not part of its state.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) order: Order,
    /// Per unit, what head-room is reserved at.
    pub(crate) reserve_price: Price,
    /// Execution ids that are booked already.
    pub(crate) executions: HashSet<String>,
}

impl Live {
    pub(crate) fn new(order: Order, reserve_price: Price) -> Self {
        Self { order, reserve_price, executions: HashSet::new() }
    }

    /// Money and units that the order still holds back.
    fn reserves(&self) -> (Money, Quantity) {
        match self.order.request.side {
            Side::Buy => (self.reserve_price * self.order.leaves(), Quantity::ZERO),
            Side::Sell => (Money::ZERO, self.order.leaves()),
        }
    }

    /// Sent at least once, and whether the broker has it is not known.
    pub(crate) fn is_unresolved(&self) -> bool {
        let order = &self.order;
        order.attempts > 0
            && order.broker_order_id.is_none()
            && matches!(order.status, Status::Submitting | Status::Unknown | Status::CancelPending)
    }
}

/// One account's book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) cash: Money,
    pub(crate) positions: BTreeMap<Symbol, Position>,
    /// Fills booked so far; the next one has this number plus one.
    pub(crate) fills: i64,
    pub(crate) blind: Option<Blind>,
    pub(crate) latency: Option<Duration>,
    orders: FxHashMap<OrderId, Live>,
    open: usize,
    ended: VecDeque<OrderId>,
    /// Accepted, durable, and not sent yet: sorted by when they were accepted.
    unsent: BTreeSet<OrderId>,
    reserved: Money,
    selling: FxHashMap<Symbol, Quantity>,
}

impl Book {
    /// A book as it was stored, without its orders.
    pub(crate) fn new(cash: Money, positions: BTreeMap<Symbol, Position>, fills: i64, blind: Blind) -> Self {
        Self { cash, positions, fills, blind: Some(blind), ..Self::default() }
    }

    pub(crate) fn buying_power(&self) -> Money {
        self.cash - self.reserved
    }

    pub(crate) fn reserved(&self) -> Money {
        self.reserved
    }

    /// Units held that no open order sells.
    pub(crate) fn sellable(&self, symbol: &Symbol) -> Quantity {
        let held = self.positions.get(symbol).map_or(Quantity::ZERO, |position| position.quantity);
        held - self.selling.get(symbol).copied().unwrap_or_default()
    }

    pub(crate) fn open_orders(&self) -> usize {
        self.open
    }

    pub(crate) fn get(&self, id: OrderId) -> Option<&Live> {
        self.orders.get(&id)
    }

    /// Orders that are not at their end.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Live> {
        self.orders.values().filter(|live| !live.order.status.is_terminal())
    }

    /// Orders to send, oldest first.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &Live> {
        self.unsent
            .iter()
            .filter_map(|id| self.orders.get(id))
            .filter(|live| live.order.status == Status::Accepted)
    }

    /// Lines an order up for sending. Only what is durable is lined up.
    pub(crate) fn queue(&mut self, id: OrderId) {
        self.unsent.insert(id);
    }

    /// Whether nothing is going on that the broker could know more about.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.open == 0 && self.blind.is_none()
    }

    /// Puts an order in, or a newer state of it, and adjusts what is reserved.
    pub(crate) fn put(&mut self, live: Live) {
        let id = live.order.id;
        let ended = live.order.status.is_terminal();
        self.count(&live, true);
        if live.order.status != Status::Accepted {
            self.unsent.remove(&id);
        }
        let before = self.orders.insert(id, live);
        let was_ended = before.as_ref().is_some_and(|before| before.order.status.is_terminal());
        if let Some(before) = before {
            self.count(&before, false);
        }
        if ended && !was_ended {
            self.ended.push_back(id);
            if self.ended.len() > RECENT
                && let Some(oldest) = self.ended.pop_front()
            {
                self.orders.remove(&oldest);
            }
        }
    }

    /// Takes an order out that was never committed.
    pub(crate) fn remove(&mut self, id: OrderId) {
        if let Some(live) = self.orders.remove(&id) {
            self.count(&live, false);
        }
    }

    fn count(&mut self, live: &Live, add: bool) {
        if live.order.status.is_terminal() {
            return;
        }
        let (money, units) = live.reserves();
        let selling = self.selling.entry(live.order.request.symbol.clone()).or_default();
        if add {
            self.open += 1;
            self.reserved += money;
            *selling += units;
        } else {
            self.open -= 1;
            self.reserved -= money;
            *selling -= units;
        }
    }

    /// Cash, positions, and orders as they are after a committed draft.
    pub(crate) fn commit(&mut self, draft: Draft) {
        self.cash += draft.cash;
        self.fills = draft.fills;
        self.positions.extend(draft.positions);
        for live in draft.lives.into_values() {
            self.put(live);
        }
    }
}

/// Events folded but not committed yet: what the book will be after them.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) changes: Vec<Change>,
    lives: FxHashMap<OrderId, Live>,
    positions: BTreeMap<Symbol, Position>,
    cash: Money,
    fills: i64,
}

impl Draft {
    /// An empty draft on a book.
    pub(crate) fn on(book: &Book) -> Self {
        Self { fills: book.fills, ..Self::default() }
    }

    /// An order as it is after the draft; `None` when the draft does not touch it.
    pub(crate) fn get(&self, id: OrderId) -> Option<&Live> {
        self.lives.get(&id)
    }

    /// Folds an event into an order. An execution that is booked already changes nothing.
    ///
    /// # Errors
    /// The event cannot happen to the order; the draft is as before.
    pub(crate) fn fold(
        &mut self,
        book: &Book,
        mut live: Live,
        event: OrderEvent,
        at: Timestamp,
    ) -> Result<Applied, InvalidTransition> {
        if let OrderEvent::Filled(fill) = &event
            && live.executions.contains(&fill.execution_id)
        {
            return Ok(Applied::Nothing);
        }
        if live.order.apply(&event, at)? == Applied::Nothing {
            return Ok(Applied::Nothing);
        }
        let booked = match &event {
            OrderEvent::Filled(fill) => {
                live.executions.insert(fill.execution_id.clone());
                Some(self.book_fill(book, &live.order, fill))
            }
            _ => None,
        };
        self.changes.push(Change { order: live.order.clone(), event, at, booked });
        self.lives.insert(live.order.id, live);
        Ok(Applied::Changed)
    }

    fn book_fill(&mut self, book: &Book, order: &Order, fill: &Fill) -> BookedFill {
        let (symbol, side) = (&order.request.symbol, order.request.side);
        let notional = fill.price * fill.quantity;
        self.cash += match side {
            Side::Buy => -notional,
            Side::Sell => notional,
        } - fill.fee;
        self.fills += 1;
        let position = self
            .positions
            .entry(symbol.clone())
            .or_insert_with(|| book.positions.get(symbol).cloned().unwrap_or_default());
        let realised_pnl =
            position.apply(side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
        BookedFill {
            account: order.account,
            seq: self.fills,
            order: order.id,
            symbol: symbol.clone(),
            side,
            fill: fill.clone(),
            realised_pnl,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, OrderKind, OrderRequest, TimeInForce};

    use super::*;

    fn live(side: Side, quantity: &str) -> Live {
        let at = Timestamp::UNIX_EPOCH;
        let request = OrderRequest {
            client_order_id: "c".into(),
            symbol: "BTC-USD".parse().unwrap(),
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            quantity: quantity.parse().unwrap(),
            limit_price: Some("100".parse().unwrap()),
        };
        let order = Order::accepted(OrderId::new(at), AccountId::new(at), request, "u".into(), at);
        Live::new(order, "100".parse().unwrap())
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
        let applied = draft.fold(book, live, event, Timestamp::UNIX_EPOCH).unwrap();
        book.commit(draft);
        applied
    }

    #[test]
    fn head_room_shrinks_as_the_order_fills_and_is_free_at_its_end() {
        let mut book = Book { cash: "1000".parse().unwrap(), ..Book::default() };
        let order = live(Side::Buy, "5");
        let id = order.order.id;
        book.put(order);
        assert_eq!(book.buying_power().to_string(), "500");
        happen(&mut book, id, fill("e1", "2"));
        assert_eq!(book.buying_power().to_string(), "520", "180 was paid, 300 is still reserved");
        happen(&mut book, id, OrderEvent::Canceled);
        assert_eq!(
            (book.buying_power().to_string().as_str(), book.reserved(), book.open_orders()),
            ("820", Money::ZERO, 0)
        );
    }

    #[test]
    fn an_execution_is_booked_once() {
        let mut book = Book { cash: "1000".parse().unwrap(), ..Book::default() };
        let order = live(Side::Buy, "5");
        let id = order.order.id;
        book.put(order);
        assert_eq!(happen(&mut book, id, fill("e1", "2")), Applied::Changed);
        assert_eq!(happen(&mut book, id, fill("e1", "2")), Applied::Nothing);
        assert_eq!((book.cash.to_string().as_str(), book.fills), ("820", 1));
    }

    #[test]
    fn units_being_sold_cannot_be_sold_again() {
        let mut book = Book::default();
        let symbol: Symbol = "BTC-USD".parse().unwrap();
        let bought = live(Side::Buy, "3");
        let id = bought.order.id;
        book.put(bought);
        happen(&mut book, id, fill("e1", "3"));
        let order = live(Side::Sell, "2");
        book.put(order.clone());
        assert_eq!(book.sellable(&symbol).to_string(), "1");
        book.remove(order.order.id);
        assert_eq!(book.sellable(&symbol).to_string(), "3");
    }

    #[test]
    fn ended_orders_are_forgotten_after_a_while() {
        let mut book = Book::default();
        let mut first = None;
        for _ in 0..=RECENT {
            let mut order = live(Side::Buy, "1");
            order.order.apply(&OrderEvent::Canceled, Timestamp::UNIX_EPOCH).unwrap();
            first.get_or_insert(order.order.id);
            book.put(order);
        }
        assert!(book.get(first.unwrap()).is_none());
        assert_eq!(book.orders.len(), RECENT);
    }
}
