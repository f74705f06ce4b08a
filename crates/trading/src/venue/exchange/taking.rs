//! How requests are checked and taken, and what becomes of them when they reach the book.

use domain::{
    AccountId, Instrument, Order, OrderEvent, OrderId, OrderKind, Price, Quantity, Reason, Side, TimeInForce,
    Timestamp, Trail,
};

use super::{Due, Exchange};
use crate::broker::{Refusal, SubmitFailure, Terms};
use crate::venue::account::Ask;
use crate::venue::calendar::{Calendar, Session};
use crate::venue::order::{VenueOrder, VenueStatus, order_id};
use crate::venue::settings::{on_step, on_tick};

/// What latencies are drawn for.
const ORDER: u64 = 1;
const CANCEL: u64 = 2;

fn refuse<T>(reason: Reason, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(reason, text))
}

impl Exchange {
    /// Checks a new order, and takes it: from here on it is known.
    pub(super) fn take(&mut self, order: &Order, now: Timestamp) -> Result<i64, SubmitFailure> {
        self.clock(now);
        self.is_new(order)?;
        let draft = self.draft(order).map_err(SubmitFailure::Refused)?;
        self.may_trade(&draft).map_err(SubmitFailure::Refused)?;
        Ok(self.admit(draft))
    }

    /// Checks a replacement, and takes it.
    pub(super) fn take_replacement(
        &mut self,
        old: &Order,
        by: &Order,
        now: Timestamp,
    ) -> Result<i64, SubmitFailure> {
        self.clock(now);
        self.is_new(by)?;
        let draft = self.draft_replacement(old, by).map_err(SubmitFailure::Refused)?;
        Ok(self.admit(draft))
    }

    fn is_new(&self, order: &Order) -> Result<(), SubmitFailure> {
        match self.lookup(order.account, &order.id.to_string()) {
            Some(_) => Err(SubmitFailure::Exists),
            None => Ok(()),
        }
    }

    pub(super) fn take_cancel(&mut self, account: AccountId, client_order_id: &str) -> Result<(), Refusal> {
        let Some(order) = self.lookup(account, client_order_id).filter(|order| order.status.is_open()) else {
            return refuse(Reason::TooLate, "the venue has no such open order");
        };
        let (seq, is_asked) = (order.seq, order.cancel_at.is_some());
        let latency =
            self.rules(self.book_index(order)).latency.sample(self.seed, seq.unsigned_abs(), CANCEL);
        if latency.is_zero() {
            self.end(seq, VenueStatus::Canceled, OrderEvent::Canceled);
        } else if !is_asked {
            let at = self.now + latency;
            self.due.insert((at, seq, Due::Cancel));
            if let Some(order) = self.orders.get_mut(&seq) {
                order.cancel_at = Some(at);
            }
            self.changes.orders.insert(seq);
        }
        Ok(())
    }

    /// Enters an order that was checked into the books, and acknowledges it.
    fn admit(&mut self, draft: VenueOrder) -> i64 {
        let seq = draft.seq;
        self.next_seq = seq + 1;
        let account = self.accounts.entry(draft.account).or_default();
        account.ids.insert(draft.client_order_id.clone(), seq);
        account.open.insert(seq);
        self.due.extend(super::due_of(&draft).map(|(at, due)| (at, seq, due)));
        self.orders.insert(seq, draft);
        self.changes.orders.insert(seq);
        self.hold(seq);
        self.tell(seq, OrderEvent::Acknowledged { broker_order_id: order_id(seq) });
        seq
    }

    /// Lets an order arrive whose way takes no time.
    pub(super) fn set_off(&mut self, seq: i64) {
        let arrives_at = self.orders.get(&seq).map(|order| order.arrives_at);
        if let Some(at) = arrives_at.filter(|at| *at <= self.now) {
            self.due.remove(&(at, seq, Due::Arrive));
            self.arrive(seq);
        }
    }

    /// An order as it enters the venue, if its form is right.
    fn draft(&mut self, order: &Order) -> Result<VenueOrder, Refusal> {
        let request = &order.request;
        if !self.accounts.contains_key(&order.account) {
            return refuse(Reason::Restricted, "the venue has no such account");
        }
        let book = self.book_of(&request.symbol);
        let Some(instrument) = &self.books[book].instrument else {
            return refuse(Reason::NotTradable, format!("{} is not traded here", request.symbol));
        };
        let terms = Terms {
            symbol: request.symbol.clone(),
            side: request.side,
            kind: request.kind,
            time_in_force: request.time_in_force,
            quantity: order.quantity,
            limit_price: request.limit_price,
            stop_price: request.stop_price,
            trail: request.trail,
            extended_hours: request.extended_hours,
        };
        check_form(&terms, instrument)?;
        let expires_at = self.last_moment(&terms, book)?;
        let seq = self.next_seq;
        let latency = self.rules(book).latency.sample(self.seed, seq.unsigned_abs(), ORDER);
        let mut draft = VenueOrder {
            seq,
            account: order.account,
            client_order_id: order.id.to_string(),
            terms,
            status: VenueStatus::Arriving,
            filled: Quantity::ZERO,
            priority: seq,
            queue_ahead: Quantity::ZERO,
            met: false,
            best: None,
            reserve_price: Price::ZERO,
            raw_fees: domain::Money::ZERO,
            arrives_at: self.now + latency,
            cancel_at: None,
            expires_at,
            replaces: None,
            replaced_by: None,
            refusal: None,
            placed_at: self.now,
            fills: Vec::new(),
            reports: 0,
        };
        if let Some(last) = self.books[book].view.last {
            draft.follow(last);
        }
        draft.reserve_price = self.reserve_price(&draft.terms, book);
        Ok(draft)
    }

    fn draft_replacement(&mut self, old: &Order, by: &Order) -> Result<VenueOrder, Refusal> {
        let Some(known) = self.lookup(old.account, &old.id.to_string()) else {
            return refuse(Reason::TooLate, "the venue has no such order");
        };
        let (seq, symbol, side) = (known.seq, known.terms.symbol.clone(), known.terms.side);
        if (&by.request.symbol, by.request.side, by.account) != (&symbol, side, old.account) {
            return refuse(Reason::Unsupported, "a replacement keeps account, symbol and side");
        }
        let mut draft = self.draft(by)?;
        draft.replaces = Some((seq, old.filled));
        self.may_replace(&draft)?;
        Ok(draft)
    }

    /// When the time of an order is over; `None` is never. Refuses what the hours do not allow.
    fn last_moment(&self, terms: &Terms, book: usize) -> Result<Option<Timestamp>, Refusal> {
        let calendar = &self.rules(book).calendar;
        let end = match terms.time_in_force {
            TimeInForce::Gtc => return Ok(None),
            TimeInForce::Ioc | TimeInForce::Fok => {
                return match (self.session(book), self.books[book].halted) {
                    (_, true) => refuse(Reason::Halted, format!("{} is halted", terms.symbol)),
                    (Session::Regular, _) => Ok(None),
                    _ => refuse(Reason::MarketClosed, "the market is closed"),
                };
            }
            TimeInForce::Opg | TimeInForce::Cls if *calendar == Calendar::AlwaysOpen => {
                return refuse(Reason::Unsupported, "a market that never closes has no auctions");
            }
            TimeInForce::Opg => calendar.next_open(self.now),
            TimeInForce::Cls => calendar.next_close(self.now),
            TimeInForce::Day => calendar.day_end(self.now, terms.extended_hours),
        };
        match end {
            Some(end) => Ok(Some(end)),
            None => refuse(Reason::MarketClosed, "the market does not open again"),
        }
    }

    /// What one unit of an order is reckoned at until it trades.
    fn reserve_price(&self, terms: &Terms, book: usize) -> Price {
        let view = &self.books[book].view;
        if let Some(limit) = terms.limit_price {
            return limit;
        }
        let market = match (terms.side, view.bid) {
            (Side::Sell, Some((bid, _))) => Some(bid),
            _ => view.mark(),
        };
        let market = market.unwrap_or_default();
        let slipped =
            self.rules(book).slippage.price(market, terms.quantity, terms.side, self.books[book].tick());
        slipped.max(terms.stop_price.unwrap_or_default())
    }

    /// Whether the account may place an order: the venue trusts nobody's checks but its own.
    fn may_trade(&self, draft: &VenueOrder) -> Result<(), Refusal> {
        let book = self.book_index(draft);
        self.crosses_nothing_of_its_own(draft, book)?;
        let Some(account) = self.accounts.get(&draft.account) else {
            return refuse(Reason::Restricted, "the venue has no such account");
        };
        let fees = &self.rules(book).fees;
        let ask = Ask {
            symbol: &draft.terms.symbol,
            side: draft.terms.side,
            quantity: draft.terms.quantity,
            price: draft.reserve_price,
            fee: fees.owed(fees.reckoned(draft.reserve_price, draft.terms.quantity)),
        };
        account.check(&ask, &self.settings.short, |symbol| self.books[*self.symbols.get(symbol)?].view.mark())
    }

    fn crosses_nothing_of_its_own(&self, draft: &VenueOrder, book: usize) -> Result<(), Refusal> {
        if !self.settings.refuse_self_cross || draft.has_trigger() {
            return Ok(());
        }
        let replaced = draft.replaces.map(|(seq, _)| seq);
        let meets = self.books[book].would_meet(draft.terms.side, draft.limit());
        let own = meets.into_iter().filter(|seq| Some(*seq) != replaced);
        let mut own =
            own.filter_map(|seq| self.orders.get(&seq)).filter(|order| order.account == draft.account);
        match own.next() {
            None => Ok(()),
            Some(order) => refuse(
                Reason::SelfCross,
                format!("it could trade with the order {} of the same account", order_id(order.seq)),
            ),
        }
    }

    /// Whether a replacement may take its place now. What the replaced order holds back counts as free.
    fn may_replace(&mut self, draft: &VenueOrder) -> Result<(), Refusal> {
        let Some((seq, filled)) = draft.replaces else { return Ok(()) };
        match self.orders.get(&seq) {
            Some(old) if !old.status.is_open() => {
                return refuse(Reason::TooLate, "the order to be replaced is at its end");
            }
            Some(old) if old.filled != filled => {
                let text = format!("{} of the order to be replaced is filled", old.filled);
                return refuse(Reason::TooLate, text);
            }
            Some(_) => {}
            None => return refuse(Reason::TooLate, "the venue has no such order"),
        }
        self.let_go(seq);
        let answer = self.may_trade(draft);
        self.hold(seq);
        answer
    }

    /// An order reaches the book.
    pub(super) fn arrive(&mut self, seq: i64) {
        let Some(order) = self.orders.get(&seq).filter(|order| order.status == VenueStatus::Arriving) else {
            return;
        };
        let place = match order.replaces {
            None => None,
            Some((old, _)) => match self.may_replace(&order.clone()) {
                Ok(()) => self.take_place_of(old, seq),
                Err(refusal) => {
                    self.tell(old, OrderEvent::ReplaceRefused { reason: refusal.text.clone() });
                    self.reject(seq, refusal);
                    return;
                }
            },
        };
        self.changes.orders.insert(seq);
        if place == Some(VenueStatus::Open) {
            let book = self.orders.get(&seq).map(|order| self.book_index(order)).unwrap_or_default();
            if let Some(order) = self.orders.get_mut(&seq) {
                order.status = VenueStatus::Open;
                self.books[book].join(order);
            }
            return;
        }
        self.stand(seq);
    }

    /// Ends the old order in favour of the new one. `Some` is where the old one stood, when the new one keeps its place
    /// in line: when nothing but the quantity is less.
    fn take_place_of(&mut self, old: i64, seq: i64) -> Option<VenueStatus> {
        let by = self.orders.get(&seq)?.clone();
        let was = self.orders.get(&old)?.clone();
        self.finish(old, VenueStatus::Replaced);
        if let Some(order) = self.orders.get_mut(&old) {
            order.replaced_by = Some(by.client_order_id.clone());
        }
        self.tell(old, OrderEvent::Replaced { by: by.client_order_id.parse::<OrderId>().ok() });

        let quantity = by.terms.quantity;
        let same = Terms { quantity, stop_price: by.terms.stop_price, ..was.terms.clone() } == by.terms;
        let same_stop = by.terms.trail.is_some() || by.terms.stop_price == was.terms.stop_price;
        let keeps = same && same_stop && quantity <= was.leaves();
        let order = self.orders.get_mut(&seq)?;
        if keeps {
            order.priority = was.priority;
            order.queue_ahead = was.queue_ahead;
            order.met = was.met;
            order.best = was.best;
            order.terms.stop_price = was.terms.stop_price;
        }
        order.replaces = None;
        self.hold(seq);
        keeps.then_some(was.status)
    }

    /// Puts an order that has arrived where it belongs: to wait, or into line.
    fn stand(&mut self, seq: i64) {
        let Some(order) = self.orders.get_mut(&seq) else { return };
        let Some(book) = self.symbols.get(&order.terms.symbol).copied() else { return };
        let waits = matches!(order.terms.time_in_force, TimeInForce::Opg | TimeInForce::Cls);
        if !waits && !order.has_trigger() {
            self.activate(seq);
            return;
        }
        let last = self.books[book].view.last;
        if let Some(last) = last {
            order.follow(last);
        }
        order.status = VenueStatus::Waiting;
        let is_reached = order.has_trigger() && last.is_some_and(|last| order.is_triggered_by(last));
        self.books[book].wait(order);
        if is_reached && self.triggers_now(book) {
            self.activate(seq);
        }
    }
}

/// The highest price, and the most units of an order: what they come to is still an exact decimal.
const MOST: i64 = 1_000_000_000_000;

/// Checks what needs no knowledge of the market.
fn check_form(terms: &Terms, instrument: &Instrument) -> Result<(), Refusal> {
    let most = domain::Decimal::from(MOST);
    if terms.quantity.0 > most {
        return refuse(Reason::Quantity, format!("the quantity must not be above {MOST}"));
    }
    let distance = terms.trail.map(|trail| match trail {
        Trail::Price(distance) => distance,
        Trail::Percent(percent) => Price(percent),
    });
    if [terms.limit_price, terms.stop_price, distance].into_iter().flatten().any(|price| price.0 > most) {
        return refuse(Reason::Price, format!("prices must not be above {MOST}"));
    }
    if !terms.quantity.is_positive() || !on_step(terms.quantity.0, instrument.quantity_increment.0) {
        let step = instrument.quantity_increment;
        return refuse(Reason::Quantity, format!("the quantity must be a positive multiple of {step}"));
    }
    for (price, is_due) in
        [(terms.limit_price, terms.kind.has_limit()), (terms.stop_price, terms.kind.has_stop())]
    {
        match price {
            Some(_) if !is_due => return refuse(Reason::Unsupported, "this type of order has no such price"),
            None if is_due => return refuse(Reason::Price, "this type of order needs a price"),
            Some(price) if !on_tick(instrument, price) => {
                let tick = instrument.price_increment;
                return refuse(Reason::Price, format!("prices must be positive multiples of {tick}"));
            }
            _ => {}
        }
    }
    let is_trail_right = match (terms.kind == OrderKind::TrailingStop, terms.trail) {
        (false, trail) => trail.is_none(),
        (true, None) => false,
        (true, Some(Trail::Price(distance))) => distance.is_positive(),
        (true, Some(Trail::Percent(percent))) => {
            percent > domain::Decimal::ZERO && percent < domain::Decimal::ONE_HUNDRED
        }
    };
    if !is_trail_right {
        return refuse(
            Reason::Price,
            "a trailing stop, and no other, needs a distance: above 0, and below 100 %",
        );
    }
    let plain = matches!(terms.kind, OrderKind::Market | OrderKind::Limit);
    let waits = matches!(terms.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
    if !plain && !waits {
        return refuse(Reason::Unsupported, "a stop order is for the day or until it is canceled");
    }
    if terms.extended_hours && !(terms.kind == OrderKind::Limit && waits) {
        let text = "outside the regular session there are only limit orders for the day or until canceled";
        return refuse(Reason::Unsupported, text);
    }
    Ok(())
}
