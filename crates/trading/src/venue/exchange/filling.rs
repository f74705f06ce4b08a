//! How orders meet the market.

use domain::{Fill, OrderEvent, OrderKind, Price, Quantity, Side, TakerSide, TimeInForce, Trade};

use super::Exchange;
use crate::venue::auction::{Interest, uncross};
use crate::venue::calendar::Session;
use crate::venue::order::{VenueOrder, VenueStatus};

/// Who pays which fee: who waited in the book, or who took what was displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Maker,
    Taker,
}

impl Exchange {
    /// Whether the market may fill an order now.
    fn may_fill(&self, order: &VenueOrder, book: usize) -> bool {
        !self.books[book].halted
            && match self.session(book) {
                Session::Regular => true,
                Session::Extended => order.terms.extended_hours && order.terms.kind == OrderKind::Limit,
                Session::Closed => false,
            }
    }

    /// Whether trades reach stop prices now.
    pub(super) fn triggers_now(&self, book: usize) -> bool {
        !self.books[book].halted && self.session(book) == Session::Regular
    }

    /// Puts an order into line, where it takes what is displayed.
    pub(super) fn activate(&mut self, seq: i64) {
        let Some(order) = self.orders.get_mut(&seq) else { return };
        let Some(book) = self.symbols.get(&order.terms.symbol).copied() else { return };
        self.books[book].unwatch(order);
        order.status = VenueStatus::Open;
        order.queue_ahead = self.books[book].displayed_at(order.terms.side, order.limit());
        self.books[book].join(order);
        self.changes.orders.insert(seq);
        match self.orders.get(&seq).map(|order| order.terms.time_in_force) {
            Some(TimeInForce::Fok) => {
                if self.can_fill_whole(seq, book) {
                    self.meet(seq, book);
                }
                self.end(seq, VenueStatus::Canceled, OrderEvent::Canceled);
            }
            Some(TimeInForce::Ioc) => {
                self.meet(seq, book);
                self.end(seq, VenueStatus::Canceled, OrderEvent::Canceled);
            }
            _ => self.meet(seq, book),
        }
    }

    fn can_fill_whole(&mut self, seq: i64, book: usize) -> bool {
        let Some(order) = self.orders.get(&seq) else { return false };
        let facing = *self.books[book].view.facing(order.terms.side);
        facing.is_some_and(|(price, size)| order.takes(price) && size >= order.leaves())
    }

    /// Lets an order take what is displayed, at the displayed price.
    fn meet(&mut self, seq: i64, book: usize) {
        let Some(order) = self.orders.get(&seq).filter(|order| self.may_fill(order, book)) else { return };
        let side = order.terms.side;
        let Some((price, size)) = *self.books[book].view.facing(side) else { return };
        let quantity = if order.takes(price) { order.leaves().min(size) } else { Quantity::ZERO };
        let slipped = self.rules(book).slippage.price(price, quantity, side, self.books[book].tick());
        let slipped = order.limit().map_or(slipped, |limit| match side {
            Side::Buy => slipped.min(limit),
            Side::Sell => slipped.max(limit),
        });
        self.has_met(seq, book);
        self.take_displayed(book, side, quantity);
        self.fill(seq, slipped, quantity, Role::Taker);
    }

    /// An order has stood against a quote: from now on it is filled at its own price.
    fn has_met(&mut self, seq: i64, book: usize) {
        self.books[book].unmet.remove(&seq);
        if let Some(order) = self.orders.get_mut(&seq) {
            order.met = true;
        }
        self.changes.orders.insert(seq);
    }

    fn take_displayed(&mut self, book: usize, side: Side, quantity: Quantity) {
        if let Some((_, size)) = self.books[book].view.facing(side) {
            *size -= quantity;
        }
    }

    /// Fills who can trade with the quote.
    pub(super) fn serve(&mut self, book: usize) {
        for side in [Side::Buy, Side::Sell] {
            let Some((price, _)) = *self.books[book].view.facing(side) else { continue };
            for seq in self.books[book].takers(side, price) {
                let left = self.books[book].view.facing(side).map_or(Quantity::ZERO, |(_, size)| size);
                if !left.is_positive() {
                    break;
                }
                let Some(order) = self.orders.get(&seq).filter(|order| self.may_fill(order, book)) else {
                    continue;
                };
                match order.limit() {
                    Some(limit) if order.met => {
                        let quantity = order.leaves().min(left);
                        self.take_displayed(book, side, quantity);
                        self.fill(seq, limit, quantity, Role::Maker);
                    }
                    _ => self.meet(seq, book),
                }
            }
            self.all_have_met(book, side);
        }
    }

    fn all_have_met(&mut self, book: usize, side: Side) {
        let met: Vec<i64> = self.books[book].unmet.iter().copied().collect();
        for seq in met {
            let meets = |order: &&VenueOrder| order.terms.side == side && self.may_fill(order, book);
            if self.orders.get(&seq).filter(meets).is_some() {
                self.has_met(seq, book);
            }
        }
    }

    /// Fills who would have been part of a print.
    pub(super) fn serve_print(&mut self, book: usize, trade: &Trade) {
        let mut left = trade.quantity;
        for (side, own_taker) in [(Side::Buy, TakerSide::Buy), (Side::Sell, TakerSide::Sell)] {
            // Strangers' size at this price that the print took: it stood before all of ours that it stood before.
            let mut strangers = Quantity::ZERO;
            for seq in self.books[book].takers(side, trade.price) {
                let Some(order) = self.orders.get(&seq).filter(|order| self.may_fill(order, book)) else {
                    continue;
                };
                // A market order waits for a quote: a print is somebody else's liquidity, gone already.
                let Some(limit) = order.limit() else { continue };
                // At our limit only takers of the other side trade with us.
                if trade.price == limit && trade.side == own_taker {
                    continue;
                }
                let price = if order.met { limit } else { trade.price };
                let leaves = order.leaves();
                if trade.price == limit {
                    let traded = self.move_up(seq, strangers, left);
                    strangers += traded;
                    left -= traded;
                }
                let quantity = leaves.min(left);
                left -= quantity;
                self.fill(seq, price, quantity, Role::Maker);
            }
        }
    }

    /// Moves an order up in the queue at its price: by what strangers have traded already, and by what more of a print
    /// goes to those before it. How much that is.
    fn move_up(&mut self, seq: i64, traded: Quantity, left: Quantity) -> Quantity {
        let Some(order) = self.orders.get_mut(&seq) else { return Quantity::ZERO };
        if order.queue_ahead.is_zero() {
            return Quantity::ZERO;
        }
        order.queue_ahead -= order.queue_ahead.min(traded);
        let before_us = order.queue_ahead.min(left);
        order.queue_ahead -= before_us;
        self.changes.orders.insert(seq);
        before_us
    }

    /// Lets trailing stops follow a trade, and makes those stops active that it reaches.
    pub(super) fn trigger(&mut self, book: usize, price: Price) {
        if !self.triggers_now(book) {
            return;
        }
        let trailing: Vec<i64> = self.books[book].trailing.iter().copied().collect();
        for seq in trailing {
            let Some(order) = self.orders.get_mut(&seq) else { continue };
            self.books[book].unwatch(order);
            if order.follow(price) {
                self.changes.orders.insert(seq);
            }
            self.books[book].watch(order);
        }
        for seq in self.books[book].triggered(price) {
            self.activate(seq);
        }
    }

    /// Trading begins, or goes on: everybody in line takes the price there is, like new.
    pub(super) fn resume(&mut self, book: usize) {
        for side in [Side::Buy, Side::Sell] {
            for seq in self.books[book].line(side).all() {
                let Some(order) = self.orders.get_mut(&seq) else { continue };
                if std::mem::replace(&mut order.met, false) {
                    self.books[book].unmet.insert(seq);
                    self.changes.orders.insert(seq);
                }
            }
        }
        self.serve(book);
    }

    /// The call auction: all that take part trade at one price. What is left of them expires.
    pub(super) fn auction(&mut self, book: usize, which: TimeInForce) {
        if self.books[book].halted {
            return;
        }
        let waiting = self.books[book].auction.iter().filter_map(|seq| self.orders.get(seq));
        let (buys, sells): (Vec<&VenueOrder>, Vec<&VenueOrder>) = waiting
            .filter(|order| order.terms.time_in_force == which)
            .partition(|order| order.terms.side == Side::Buy);
        let view = &self.books[book].view;
        let bids = participants(&buys, view.bid, Side::Buy);
        let asks = participants(&sells, view.ask, Side::Sell);
        let interests = |side: &[Participant]| side.iter().map(|one| one.interest).collect::<Vec<_>>();
        let Some((price, volume)) = uncross(&interests(&bids), &interests(&asks), view.reference()) else {
            return;
        };
        for (side, participants) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let mut left = volume;
            for Participant { seq, interest: (_, quantity) } in participants {
                let quantity = quantity.min(left);
                left -= quantity;
                match seq {
                    Some(seq) => self.fill(seq, price, quantity, Role::Taker),
                    // The displayed quote of a side is what the other side faces.
                    None => self.take_displayed(book, side.opposite(), quantity),
                }
            }
        }
    }

    /// Books an execution.
    fn fill(&mut self, seq: i64, price: Price, quantity: Quantity, role: Role) {
        if !quantity.is_positive() || !self.orders.contains_key(&seq) {
            return;
        }
        self.let_go(seq);
        let Some(order) = self.orders.get(&seq) else { return };
        let fees = &self.rules(self.book_index(order)).fees;
        let raw = order.raw_fees + fees.raw(price, quantity, role == Role::Maker);
        let paid = if order.reports == 0 { domain::Money::ZERO } else { fees.owed(order.raw_fees) };
        let fill = Fill {
            execution_id: order.next_execution_id(),
            price,
            quantity,
            fee: fees.owed(raw) - paid,
            at: self.now,
        };
        if let Some(account) = self.accounts.get_mut(&order.account) {
            account.book(&order.terms.symbol, order.terms.side, &fill, false);
        }
        if let Some(order) = self.orders.get_mut(&seq) {
            order.filled += quantity;
            order.raw_fees = raw;
        }
        self.hold(seq);
        self.report(seq, OrderEvent::Filled(fill));
        self.settle_status(seq);
    }
}

/// Who takes part in an auction; the displayed quote is nobody's order.
struct Participant {
    seq: Option<i64>,
    interest: Interest,
}

/// One side of an auction in the order in which it is served: any price first, then the better price; at the same price
/// the displayed quote, then who came first.
fn participants(orders: &[&VenueOrder], quote: Option<(Price, Quantity)>, side: Side) -> Vec<Participant> {
    let quote = quote.map(|(price, size)| Participant { seq: None, interest: (Some(price), size) });
    let orders = orders.iter().map(|order| {
        let interest = (order.limit(), order.leaves());
        Participant { seq: Some(order.seq), interest }
    });
    let mut all: Vec<Participant> = quote.into_iter().chain(orders).collect();
    all.sort_by_key(|one| {
        let price = one.interest.0.map(|price| match side {
            Side::Buy => -price.0,
            Side::Sell => price.0,
        });
        (price, one.seq)
    });
    all
}
