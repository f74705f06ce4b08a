//! What each scope of the desk holds and may come to hold: the numbers that limits are compared with.
//!
//! Every open order *holds* the units it has left, so that two orders never pass on the same head-room; they are given
//! back once. Positions come from fills. Both are kept per scope and symbol in a [cell](Reach), and each scope keeps
//! running sums of the worth of its cells, so that a check looks at a few numbers however many orders and symbols there
//! are. A new market price moves the sums of those scopes only that hold the symbol.
//!
//! **Profit** is what fills paid and brought, plus what is held at market prices. It needs no cost of anything, so the
//! choice between FIFO and average cost does not change a limit. What was lost today is the profit at 00:00 UTC less the
//! profit now; the drawdown is the highest profit less the profit now. Deposits and withdrawals are no profit.

mod counts;
mod resting;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{
    Decimal, Fill, Money, Order, OrderClass, OrderId, OrderKind, Price, Quantity, Side, Symbol, Timestamp,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use self::counts::Counts;
use self::resting::Resting;
pub use self::resting::Rests;
use super::limits::{Limit, LimitBook, LimitKind, LimitValue};
use crate::scope::{Scope, Scopes};

/// What an open order holds back.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which order.
    pub order: OrderId,
    /// Everybody whose head-room it uses.
    pub scopes: Scopes,
    /// What it trades.
    pub symbol: Symbol,
    /// In which direction.
    pub side: Side,
    /// Units that may still be executed.
    pub leaves: Quantity,
    /// What a unit is worth as long as the symbol has no market price.
    pub price: Price,
    /// Where other orders of the account could trade with it.
    pub rests: Rests,
    /// Whether it counts towards orders per minute and per day: legs, which the desk places by itself, do not.
    pub counts: bool,
    /// The order whose place it takes. Only one of the two is executed, so together they hold what the larger does.
    pub replaces: Option<OrderId>,
    /// When it was accepted.
    pub at: Timestamp,
}

impl Hold {
    /// What an order holds. `price` is the worst that is expected.
    pub fn of(order: &Order, scopes: &Scopes, price: Price) -> Self {
        let request = &order.request;
        Self {
            order: order.id,
            scopes: scopes.clone(),
            symbol: request.symbol.clone(),
            side: request.side,
            leaves: order.leaves(),
            price,
            rests: match (request.kind, request.limit_price) {
                (OrderKind::Market, _) => Rests::Anywhere,
                (OrderKind::Limit, Some(price)) => Rests::At(price),
                // A stop waits outside of the market until it is triggered: nothing can trade with it there.
                _ => Rests::No,
            },
            counts: order.provenance.leg.is_none() || request.class != OrderClass::Simple,
            replaces: order.provenance.replaces,
            at: order.created_at,
        }
    }
}

/// Position and open orders of one scope in one symbol, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Held; below zero when short.
    pub net: Quantity,
    /// What open orders may still buy.
    pub buys: Quantity,
    /// What open orders may still sell.
    pub sells: Quantity,
}

impl Reach {
    /// The position if everything that is being bought is, and nothing is sold.
    pub fn highest(self) -> Quantity {
        self.net + self.buys
    }

    /// The position if everything that is being sold is, and nothing is bought.
    pub fn lowest(self) -> Quantity {
        self.net - self.sells
    }

    /// The most units held, long or short, however the open orders end.
    pub fn worst(self) -> Quantity {
        self.highest().max(-self.lowest()).max(Quantity::ZERO)
    }

    /// With more on order.
    pub fn with(mut self, side: Side, units: Quantity) -> Self {
        match side {
            Side::Buy => self.buys += units,
            Side::Sell => self.sells += units,
        }
        self
    }

    /// Whether an order only reduces the position: it goes against it, and would not cross through zero even if
    /// everything else that goes against it were filled first.
    fn is_closed_by(self, side: Side, units: Quantity) -> bool {
        let after = self.with(side, units);
        match side {
            Side::Buy => after.highest() <= Quantity::ZERO,
            Side::Sell => after.lowest() >= Quantity::ZERO,
        }
    }

    fn is_flat(self) -> bool {
        self.net.is_zero() && self.buys.is_zero() && self.sells.is_zero()
    }
}

/// What a cell, or the sum of all cells of a scope, is worth at market prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Worth {
    net: Decimal,
    buys: Decimal,
    sells: Decimal,
    /// Of the worst case, long or short.
    gross: Decimal,
}

/// Decimals of a worth. Rounding each cell once lets the sums come back to exactly zero.
const WORTH_DECIMALS: u32 = 8;

impl Worth {
    fn of(reach: Reach, mark: Decimal) -> Self {
        Self {
            net: product(reach.net.0, mark),
            buys: product(reach.buys.0, mark),
            sells: product(reach.sells.0, mark),
            gross: product(reach.worst().0, mark),
        }
    }

    fn add(&mut self, other: Self) {
        self.net += other.net;
        self.buys += other.buys;
        self.sells += other.sells;
        self.gross += other.gross;
    }

    fn subtract(&mut self, other: Self) {
        self.net -= other.net;
        self.buys -= other.buys;
        self.sells -= other.sells;
        self.gross -= other.gross;
    }
}

/// Units times a price. What is beyond every amount of money there is becomes a number that is beyond every limit, for
/// a report of a broker must not end the desk.
fn product(units: Decimal, price: Decimal) -> Decimal {
    let most = Decimal::from(10_000_000_000_000_000_000_u64);
    match units.checked_mul(price) {
        Some(worth) => worth.clamp(-most, most).round_dp(WORTH_DECIMALS),
        None if units.is_sign_negative() == price.is_sign_negative() => most,
        None => -most,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    reach: Reach,
    worth: Worth,
}

/// What one scope holds.
#[derive(Debug)]
pub(super) struct Holdings {
    cells: FxHashMap<usize, Cell>,
    sums: Worth,
    /// What fills paid (below zero) and brought.
    cash: Decimal,
    /// Deposits less withdrawals.
    capital: Decimal,
    peak_profit: Decimal,
    /// Days since 1970-01-01 UTC. Never goes back: after a clock that was ahead, the longer day counts.
    day: i64,
    day_start_profit: Decimal,
    counts: Counts,
    open: u32,
}

impl Holdings {
    fn new(day: i64) -> Self {
        Self {
            cells: FxHashMap::default(),
            sums: Worth::default(),
            cash: Decimal::ZERO,
            capital: Decimal::ZERO,
            peak_profit: Decimal::ZERO,
            day,
            day_start_profit: Decimal::ZERO,
            counts: Counts::default(),
            open: 0,
        }
    }

    fn profit(&self) -> Decimal {
        self.cash + self.sums.net
    }

    pub(super) fn equity(&self) -> Decimal {
        self.capital + self.profit()
    }

    pub(super) fn lost_today(&self, now: Timestamp) -> Decimal {
        if day_of(now) > self.day { Decimal::ZERO } else { self.day_start_profit - self.profit() }
    }

    pub(super) fn drawdown(&self) -> Decimal {
        self.peak_profit - self.profit()
    }

    pub(super) fn gross(&self) -> Decimal {
        self.sums.gross
    }

    /// How far the positions and the orders on one side lean to that side.
    pub(super) fn lean(&self, side: Side) -> Decimal {
        match side {
            Side::Buy => self.sums.net + self.sums.buys,
            Side::Sell => self.sums.sells - self.sums.net,
        }
    }

    pub(super) fn open_orders(&self) -> u32 {
        self.open
    }

    pub(super) fn last_minute(&self, now: Timestamp) -> u32 {
        self.counts.last_minute(now)
    }

    pub(super) fn today(&self, now: Timestamp) -> u32 {
        if day_of(now) > self.day { 0 } else { self.counts.today }
    }

    /// Begins a new day where one has begun.
    fn turn(&mut self, at: Timestamp) {
        let day = day_of(at);
        if day > self.day {
            self.day = day;
            self.day_start_profit = self.profit();
            self.counts.today = 0;
        }
    }

    fn note_profit(&mut self) {
        self.peak_profit = self.peak_profit.max(self.profit());
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(86_400)
}

#[derive(Debug, Default)]
struct MarketOf {
    mark: Option<Decimal>,
    /// Scopes with a cell of the symbol.
    holders: BTreeSet<usize>,
}

/// An open order.
#[derive(Debug)]
struct Held {
    hold: Hold,
    symbol: usize,
    places: Box<[usize]>,
    account: usize,
    /// Units that are counted in the cells: all that are left, less those that the replaced order covers.
    counted: Quantity,
}

/// What every scope of the desk holds, over all accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    places: FxHashMap<Scope, usize>,
    holdings: Vec<Holdings>,
    symbols: FxHashMap<Symbol, usize>,
    markets: Vec<MarketOf>,
    orders: FxHashMap<OrderId, Held>,
    /// From a replaced order to the one that takes its place, while that is open.
    successors: FxHashMap<OrderId, OrderId>,
    resting: FxHashMap<(usize, usize), Resting>,
}

/// What has to be known again after a restart, beside fills and open orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The day that the profit at its start is of, in days since 1970-01-01 UTC.
    pub day: i64,
    /// Profit when that day began.
    pub day_start_profit: Money,
    /// The highest profit so far.
    pub peak_profit: Money,
}

/// A scope in numbers, for people. Exposures count open orders at their worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Worth of all positions, long and short.
    pub gross_exposure: Money,
    /// By how much long positions are worth more than short ones, or the reverse.
    pub net_exposure: Money,
    /// What it owns: capital and profit. `None` where it has no money of its own.
    pub equity: Option<Money>,
    /// Profit since the beginning.
    pub profit: Money,
    /// Profit since 00:00 UTC.
    pub profit_today: Money,
    /// How far the profit is below its highest.
    pub drawdown: Money,
    /// Orders in the last 60 seconds.
    pub orders_last_minute: u32,
    /// Orders since 00:00 UTC.
    pub orders_today: u32,
    /// Orders that are open.
    pub open_orders: u32,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Which limit.
    pub limit: Arc<Limit>,
    /// The symbol that uses most of it, where it is about each symbol.
    pub symbol: Option<Symbol>,
    /// How much is used, in the unit of the limit.
    pub used: Decimal,
    /// As a fraction of the limit, above 1 when it is exceeded; `None` for a limit of zero.
    pub fraction: Option<f64>,
}

impl Ledger {
    /// A ledger of a desk that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds what an order may still execute. An order that is held already is changed; it is not counted again.
    pub fn hold(&mut self, hold: Hold) {
        let id = hold.order;
        if self.orders.contains_key(&id) {
            let price = match hold.rests {
                Rests::At(price) => Some(price),
                _ => None,
            };
            return self.change(id, hold.leaves, price);
        }
        let symbol = self.symbol(&hold.symbol);
        self.markets[symbol].mark.get_or_insert(hold.price.0);
        let places: Box<[usize]> = hold.scopes.iter().map(|scope| self.place(scope, hold.at)).collect();
        let account = self.place(&Scope::Account(hold.scopes.account()), hold.at);
        for &place in &places {
            let holdings = &mut self.holdings[place];
            holdings.turn(hold.at);
            holdings.open += 1;
            if hold.counts {
                let is_today = day_of(hold.at) == holdings.day;
                holdings.counts.add(hold.at, is_today);
            }
        }
        if let Some(old) = hold.replaces {
            self.successors.insert(old, id);
        }
        self.resting.entry((account, symbol)).or_default().add(hold.side, hold.rests);
        self.orders.insert(id, Held { hold, symbol, places, account, counted: Quantity::ZERO });
        self.recount(id);
    }

    /// Changes what an order may still execute, and its price where it has a new one. Nothing happens to an order that
    /// is not held.
    pub fn change(&mut self, order: OrderId, leaves: Quantity, limit_price: Option<Price>) {
        let Some(held) = self.orders.get_mut(&order) else { return };
        held.hold.leaves = leaves.max(Quantity::ZERO);
        if let (Rests::At(_), Some(price)) = (held.hold.rests, limit_price) {
            let resting = self.resting.entry((held.account, held.symbol)).or_default();
            resting.remove(held.hold.side, held.hold.rests);
            held.hold.rests = Rests::At(price);
            resting.add(held.hold.side, held.hold.rests);
        }
        self.recount(order);
    }

    /// Gives back what an order held, at its end. Returns whether it held anything: a second call does nothing.
    pub fn release(&mut self, order: OrderId) -> bool {
        self.change(order, Quantity::ZERO, None);
        let Some(held) = self.orders.remove(&order) else { return false };
        for &place in &held.places {
            self.holdings[place].open -= 1;
        }
        if let Some(resting) = self.resting.get_mut(&(held.account, held.symbol)) {
            resting.remove(held.hold.side, held.hold.rests);
            if resting.is_empty() {
                self.resting.remove(&(held.account, held.symbol));
            }
        }
        if let Some(old) = held.hold.replaces
            && self.successors.get(&old) == Some(&order)
        {
            self.successors.remove(&old);
        }
        true
    }

    /// Gives back what an order held that was never committed, and does not count it as an order.
    pub fn forget(&mut self, order: OrderId) -> bool {
        if let Some(Held { hold, places, .. }) = self.orders.get(&order)
            && hold.counts
        {
            for &place in places {
                let holdings = &mut self.holdings[place];
                let is_today = day_of(hold.at) == holdings.day;
                holdings.counts.take_back(hold.at, is_today);
            }
        }
        self.release(order)
    }

    /// Books a fill. `order` is as it is after it. Each execution is given once; that is up to the caller.
    ///
    /// It counts whether the order is held or not: it happened.
    pub fn fill(&mut self, order: &Order, scopes: &Scopes, fill: &Fill) {
        self.execute(order, scopes, fill, true);
        self.settle(order);
    }

    /// Books that an execution was not what was reported: `by` is what is said of it now, `None` that it never was.
    /// `order` is as it is after that: one that looked done may be open again, and then holds what it has left.
    pub fn correct(&mut self, order: &Order, scopes: &Scopes, was: &Fill, by: Option<&Fill>) {
        if !order.status.is_terminal() {
            self.hold(Hold { counts: false, ..Hold::of(order, scopes, was.price) });
        }
        self.execute(order, scopes, was, false);
        if let Some(by) = by {
            self.execute(order, scopes, by, true);
        }
        self.settle(order);
    }

    /// Books units and money that came without an order: what is brought forward from before a restart, or moved
    /// between books. Both are signed; a purchase has units above and cash below zero.
    pub fn carry(
        &mut self,
        scopes: &[Scope],
        symbol: &Symbol,
        quantity: Quantity,
        cash: Money,
        at: Timestamp,
    ) {
        let symbol = self.symbol(symbol);
        for scope in scopes {
            let place = self.place(scope, at);
            self.holdings[place].turn(at);
            self.holdings[place].cash += cash.0;
            self.adjust(place, symbol, |reach| reach.net += quantity);
            self.holdings[place].note_profit();
        }
    }

    /// Books money paid in (above zero) or out: capital, no profit.
    pub fn flow(&mut self, scopes: &[Scope], amount: Money, at: Timestamp) {
        for scope in scopes {
            let place = self.place(scope, at);
            self.holdings[place].capital += amount.0;
        }
    }

    /// Values a symbol at a new market price.
    pub fn mark(&mut self, symbol: &Symbol, price: Price, at: Timestamp) {
        let symbol = self.symbol(symbol);
        let market = &mut self.markets[symbol];
        if market.mark == Some(price.0) {
            return;
        }
        market.mark = Some(price.0);
        for &place in &market.holders {
            let holdings = &mut self.holdings[place];
            holdings.turn(at);
            if let Some(cell) = holdings.cells.get_mut(&symbol) {
                holdings.sums.subtract(cell.worth);
                cell.worth = Worth::of(cell.reach, price.0);
                holdings.sums.add(cell.worth);
            }
            holdings.note_profit();
        }
    }

    /// Counts an order of today that has ended, after a restart.
    pub fn count(&mut self, scopes: &Scopes, at: Timestamp) {
        for scope in scopes {
            let place = self.place(scope, at);
            let holdings = &mut self.holdings[place];
            holdings.turn(at);
            let is_today = day_of(at) == holdings.day;
            holdings.counts.add(at, is_today);
        }
    }

    /// Begins the day for scopes in which nothing happens, so that it starts with the prices of its beginning.
    pub fn tick(&mut self, now: Timestamp) {
        for holdings in &mut self.holdings {
            holdings.turn(now);
        }
    }

    /// What has to be known again after a restart.
    pub fn remembered(&self, scope: &Scope) -> Remembered {
        self.of(scope).map_or_else(Remembered::default, |holdings| Remembered {
            day: holdings.day,
            day_start_profit: Money(holdings.day_start_profit),
            peak_profit: Money(holdings.peak_profit),
        })
    }

    /// Takes up what was known before a restart. Market prices are marked and fills of before carried forward first.
    /// Every scope is resumed: while fills are carried, parts of a sum look like peaks of the profit.
    pub fn resume(&mut self, scope: &Scope, was: Remembered, now: Timestamp) {
        let place = self.place(scope, now);
        let holdings = &mut self.holdings[place];
        holdings.turn(now);
        if was.day >= holdings.day {
            holdings.day = was.day;
            holdings.day_start_profit = was.day_start_profit.0;
        }
        holdings.peak_profit = was.peak_profit.0;
        holdings.note_profit();
    }

    /// Lets the drawdown begin again from the profit of now: a person lifts a drawdown stop.
    pub fn reset_peak(&mut self, scope: &Scope) {
        if let Some(&place) = self.places.get(scope) {
            let holdings = &mut self.holdings[place];
            holdings.peak_profit = holdings.profit();
        }
    }

    /// Position and open orders of a scope in a symbol.
    pub fn position(&self, scope: &Scope, symbol: &Symbol) -> Reach {
        let cell = self.of(scope).zip(self.symbols.get(symbol)).and_then(|(of, symbol)| of.cells.get(symbol));
        cell.map(|cell| cell.reach).unwrap_or_default()
    }

    /// A scope in numbers.
    pub fn figures(&self, scope: &Scope, now: Timestamp) -> Figures {
        let Some(holdings) = self.of(scope) else {
            return Figures { equity: scope.has_capital().then_some(Money::ZERO), ..Figures::default() };
        };
        let money = |amount: Decimal| Money(amount.normalize());
        Figures {
            gross_exposure: money(holdings.gross()),
            net_exposure: money(holdings.lean(Side::Buy).max(holdings.lean(Side::Sell)).max(Decimal::ZERO)),
            equity: scope.has_capital().then(|| money(holdings.equity())),
            profit: money(holdings.profit()),
            profit_today: money(-holdings.lost_today(now)),
            drawdown: money(holdings.drawdown()),
            orders_last_minute: holdings.last_minute(now),
            orders_today: holdings.today(now),
            open_orders: holdings.open_orders(),
        }
    }

    /// How much of each limit on a scope is used. Limits that say nothing about a state are not there.
    pub fn usage(&self, limits: &LimitBook, scope: &Scope, now: Timestamp) -> Vec<Usage> {
        limits.of(scope).filter_map(|limit| self.used(limit, scope, now)).collect()
    }

    fn used(&self, limit: &Arc<Limit>, scope: &Scope, now: Timestamp) -> Option<Usage> {
        let (LimitValue::Amount(_) | LimitValue::Count(_)) = limit.value else { return None };
        let figures = self.figures(scope, now);
        let equity = figures.equity.map(|equity| equity.0).filter(|equity| *equity > Decimal::ZERO);
        let (symbol, used) = match limit.kind {
            LimitKind::PositionQuantity => self.largest(scope, |cell| cell.reach.worst().0),
            LimitKind::PositionNotional => self.largest(scope, |cell| cell.worth.gross),
            LimitKind::Concentration => {
                let (symbol, worth) = self.largest(scope, |cell| cell.worth.gross);
                (symbol, worth / equity?)
            }
            LimitKind::GrossExposure => (None, figures.gross_exposure.0),
            LimitKind::Leverage => (None, figures.gross_exposure.0 / equity?),
            LimitKind::NetExposure => (None, figures.net_exposure.0),
            LimitKind::DailyLoss => (None, (-figures.profit_today.0).max(Decimal::ZERO)),
            LimitKind::Drawdown => (None, figures.drawdown.0),
            LimitKind::OrdersPerMinute => (None, figures.orders_last_minute.into()),
            LimitKind::OrdersPerDay => (None, figures.orders_today.into()),
            LimitKind::OpenOrders => (None, figures.open_orders.into()),
            _ => return None,
        };
        // A bar on a page: the one place where an amount becomes a float.
        let fraction = limit.value.number().and_then(|most| used.checked_div(most));
        let fraction = fraction.and_then(|fraction| f64::try_from(fraction).ok());
        Some(Usage { limit: limit.clone(), symbol, used, fraction })
    }

    /// The symbol of a scope with the most of something. Looks at all of them: for pages.
    fn largest(&self, scope: &Scope, what: impl Fn(&Cell) -> Decimal) -> (Option<Symbol>, Decimal) {
        let cells = self.of(scope).into_iter().flat_map(|holdings| &holdings.cells);
        let most = cells.map(|(symbol, cell)| (what(cell), std::cmp::Reverse(*symbol))).max();
        let Some((most, std::cmp::Reverse(place))) = most else { return (None, Decimal::ZERO) };
        let symbol = self.symbols.iter().find(|(_, at)| **at == place).map(|(symbol, _)| symbol.clone());
        (symbol, most)
    }

    fn of(&self, scope: &Scope) -> Option<&Holdings> {
        self.places.get(scope).map(|place| &self.holdings[*place])
    }

    fn place(&mut self, scope: &Scope, at: Timestamp) -> usize {
        if let Some(place) = self.places.get(scope) {
            return *place;
        }
        self.holdings.push(Holdings::new(day_of(at)));
        self.places.insert(scope.clone(), self.holdings.len() - 1);
        self.holdings.len() - 1
    }

    fn symbol(&mut self, symbol: &Symbol) -> usize {
        if let Some(place) = self.symbols.get(symbol) {
            return *place;
        }
        self.markets.push(MarketOf::default());
        self.symbols.insert(symbol.clone(), self.markets.len() - 1);
        self.markets.len() - 1
    }

    /// Counts what an order holds now, and what the one that is to take its place holds beyond it.
    fn recount(&mut self, order: OrderId) {
        for order in [Some(order), self.successors.get(&order).copied()].into_iter().flatten() {
            let Some(held) = self.orders.get(&order) else { continue };
            let covered = self.covered(&held.hold);
            let target = held.hold.leaves - covered.min(held.hold.leaves);
            let (change, side, symbol) = (target - held.counted, held.hold.side, held.symbol);
            if change.is_zero() {
                continue;
            }
            let places = held.places.clone();
            for &place in &places {
                self.adjust(place, symbol, |reach| *reach = reach.with(side, change));
            }
            if let Some(held) = self.orders.get_mut(&order) {
                held.counted = target;
            }
        }
    }

    /// Units that the order it replaces holds already.
    fn covered(&self, hold: &Hold) -> Quantity {
        let old = hold.replaces.and_then(|old| self.orders.get(&old));
        let same = old.filter(|old| old.hold.symbol == hold.symbol && old.hold.side == hold.side);
        same.filter(|old| old.hold.scopes == hold.scopes).map_or(Quantity::ZERO, |old| old.hold.leaves)
    }

    fn adjust(&mut self, place: usize, symbol: usize, change: impl FnOnce(&mut Reach)) {
        let market = &mut self.markets[symbol];
        let holdings = &mut self.holdings[place];
        let cell = holdings.cells.entry(symbol).or_default();
        holdings.sums.subtract(cell.worth);
        change(&mut cell.reach);
        cell.worth = Worth::of(cell.reach, market.mark.unwrap_or_default());
        holdings.sums.add(cell.worth);
        if cell.reach.is_flat() {
            holdings.cells.remove(&symbol);
            market.holders.remove(&place);
        } else {
            market.holders.insert(place);
        }
    }

    fn execute(&mut self, order: &Order, scopes: &Scopes, fill: &Fill, add: bool) {
        let (symbol, at) = (&order.request.symbol, order.updated_at);
        let bought = (order.request.side == Side::Buy) == add;
        let worth = Money(product(fill.quantity.0, fill.price.0));
        let fee = if add { fill.fee } else { -fill.fee };
        let place = self.symbol(symbol);
        self.markets[place].mark.get_or_insert(fill.price.0);
        match bought {
            true => self.carry(scopes.as_slice(), symbol, fill.quantity, -worth - fee, at),
            false => self.carry(scopes.as_slice(), symbol, -fill.quantity, worth - fee, at),
        }
    }

    /// What is left of an order after a fill or a correction.
    fn settle(&mut self, order: &Order) {
        if order.status.is_terminal() {
            self.release(order.id);
        } else {
            self.change(order.id, order.leaves(), None);
        }
    }
}

/// What the ledger says about one order that is being checked.
pub(super) struct Standing<'a> {
    /// Of each scope of the order, in their order, with what it holds of the symbol; `None` where nothing ever happened.
    scopes: Vec<(Option<&'a Holdings>, Reach)>,
    account: Option<&'a Holdings>,
    side: Side,
    /// Units that the order holds beyond the one that it replaces.
    units: Quantity,
    replaces: Option<&'a Held>,
    /// The market price of the symbol.
    pub(super) mark: Decimal,
    /// It only reduces the position of the account, and that of its book.
    pub(super) closing: bool,
}

impl Ledger {
    /// How matters stand for an order of `units`.
    pub(super) fn standing(
        &self,
        scopes: &Scopes,
        symbol: &Symbol,
        side: Side,
        units: Quantity,
        replaces: Option<OrderId>,
    ) -> Standing<'_> {
        let account = Scope::Account(scopes.account());
        let symbol_place = self.symbols.get(symbol).copied();
        let replaces = replaces.and_then(|old| self.orders.get(&old));
        let same = replaces.filter(|old| {
            Some(old.symbol) == symbol_place && old.hold.side == side && old.hold.scopes == *scopes
        });
        let covered = same.map_or(Quantity::ZERO, |old| old.hold.leaves).min(units);
        let units = units - covered;
        let reach = |holdings: Option<&Holdings>| {
            let cell = holdings.zip(symbol_place).and_then(|(of, symbol)| of.cells.get(&symbol));
            cell.map(|cell| cell.reach).unwrap_or_default()
        };
        let scoped: Vec<_> = scopes.iter().map(|scope| self.of(scope)).map(|of| (of, reach(of))).collect();
        let owners = scopes
            .iter()
            .zip(&scoped)
            .filter(|(scope, _)| matches!(scope, Scope::Account(_) | Scope::Book(_)));
        Standing {
            closing: owners.into_iter().all(|(_, (_, reach))| reach.is_closed_by(side, units)),
            account: self.of(&account),
            scopes: scoped,
            side,
            units,
            replaces,
            mark: symbol_place.and_then(|symbol| self.markets[symbol].mark).unwrap_or_default(),
        }
    }

    /// The best price at which a resting order of the same account would trade with an order that takes `worst`; zero
    /// for one that trades at any price.
    pub(super) fn crossed(
        &self,
        scopes: &Scopes,
        symbol: &Symbol,
        side: Side,
        worst: Price,
        except: Option<OrderId>,
    ) -> Option<Price> {
        let account = self.places.get(&Scope::Account(scopes.account()))?;
        let symbol = self.symbols.get(symbol)?;
        let mut resting = self.resting.get(&(*account, *symbol))?;
        // What is replaced is gone by then. Rare enough to look at a copy.
        let without;
        if let Some(old) = except.and_then(|old| self.orders.get(&old))
            && (old.account, old.symbol) == (*account, *symbol)
            && old.hold.side != side
        {
            let mut copy = resting.clone();
            copy.remove(old.hold.side, old.hold.rests);
            without = copy;
            resting = &without;
        }
        resting.crossed(side, worst)
    }
}

impl<'a> Standing<'a> {
    /// How many scopes there are.
    pub(super) fn len(&self) -> usize {
        self.scopes.len()
    }

    /// What a scope of the order holds.
    pub(super) fn of(&self, nth: usize) -> Option<&'a Holdings> {
        self.scopes.get(nth).and_then(|(holdings, _)| *holdings)
    }

    /// What the account of the order holds.
    pub(super) fn account(&self) -> Option<&'a Holdings> {
        self.account
    }

    /// Position and open orders of a scope in the order's symbol, without the order.
    pub(super) fn before(&self, nth: usize) -> Reach {
        self.scopes.get(nth).map(|(_, reach)| *reach).unwrap_or_default()
    }

    /// The same with the order.
    pub(super) fn after(&self, nth: usize) -> Reach {
        self.before(nth).with(self.side, self.units)
    }

    /// Units that the order adds.
    pub(super) fn units(&self) -> Quantity {
        self.units
    }

    /// Orders that would be open.
    pub(super) fn open_after(&self, nth: usize) -> u32 {
        let open = self.of(nth).map_or(0, Holdings::open_orders);
        if self.replaces.is_some() { open.max(1) } else { open.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests;
