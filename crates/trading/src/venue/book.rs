//! The book of one symbol: the market as the venue sees it, and who waits in which line.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Decimal, Instrument, Price, Quantity, Quote, Side, Symbol};

use super::order::VenueOrder;

/// The market of a symbol as the venue sees it. Not stored: after a restart it is what the market says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// Of what.
    pub(crate) symbol: Symbol,
    /// What is displayed, less what orders of the venue took of it since the last quote.
    pub(crate) bid: Option<(Price, Quantity)>,
    /// The same.
    pub(crate) ask: Option<(Price, Quantity)>,
    /// The price of the last trade.
    pub(crate) last: Option<Price>,
}

impl View {
    /// Nothing is known of it.
    pub(crate) fn blank(symbol: Symbol) -> Self {
        Self { symbol, bid: None, ask: None, last: None }
    }

    /// Takes a new quote. A crossed one shows nothing: it is an artefact of several exchanges.
    pub(crate) fn show(&mut self, quote: &Quote) {
        (self.bid, self.ask) = if quote.is_crossed() { (None, None) } else { (quote.bid, quote.ask) };
    }

    /// What an order of a side would take.
    pub(super) fn facing(&mut self, side: Side) -> &mut Option<(Price, Quantity)> {
        match side {
            Side::Buy => &mut self.ask,
            Side::Sell => &mut self.bid,
        }
    }

    /// The middle of the quote, or else the price of the last trade.
    pub(super) fn reference(&self) -> Option<Price> {
        match (self.bid, self.ask) {
            (Some((bid, _)), Some((ask, _))) => Some(Price((bid.0 + ask.0) / Decimal::TWO)),
            _ => self.last,
        }
    }

    /// What a unit is worth at the market, from the side of somebody who has to buy it.
    pub(super) fn mark(&self) -> Option<Price> {
        self.ask.map(|(ask, _)| ask).or(self.last).or(self.bid.map(|(bid, _)| bid))
    }
}

/// A place in a line: the better price first, then who came first. Prices of buyers count negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    price: Decimal,
    priority: i64,
}

/// Orders of one side by price and time.
#[derive(Debug, Default)]
pub(super) struct Line(BTreeMap<Place, i64>);

impl Line {
    /// Everybody in line, first one first.
    pub(super) fn all(&self) -> Vec<i64> {
        self.0.values().copied().collect()
    }

    fn until(&self, price: Decimal) -> Vec<i64> {
        self.0.range(..=Place { price, priority: i64::MAX }).map(|(_, seq)| *seq).collect()
    }
}

/// The book of one symbol.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) view: View,
    /// `None` when the symbol is not traded here (any more).
    pub(super) instrument: Option<Instrument>,
    /// Which class of symbols it belongs to.
    pub(super) class: usize,
    pub(super) halted: bool,
    buyers: Line,
    sellers: Line,
    buy_stops: Line,
    sell_stops: Line,
    /// Those of the stops that follow the market.
    pub(super) trailing: BTreeSet<i64>,
    /// Orders in line that have not stood against a quote yet.
    pub(super) unmet: BTreeSet<i64>,
    /// Orders that wait for an auction.
    pub(super) auction: BTreeSet<i64>,
}

/// The key of a price in the line of a side: what is served first is smallest.
fn key(side: Side, price: Price) -> Decimal {
    match side {
        Side::Buy => -price.0,
        Side::Sell => price.0,
    }
}

impl Book {
    pub(super) fn new(symbol: Symbol, class: usize) -> Self {
        Self {
            view: View::blank(symbol),
            instrument: None,
            class,
            halted: false,
            buyers: Line::default(),
            sellers: Line::default(),
            buy_stops: Line::default(),
            sell_stops: Line::default(),
            trailing: BTreeSet::new(),
            unmet: BTreeSet::new(),
            auction: BTreeSet::new(),
        }
    }

    pub(super) fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Buy => &mut self.buyers,
            Side::Sell => &mut self.sellers,
        }
    }

    /// The tick of its prices.
    pub(super) fn tick(&self) -> Price {
        self.instrument.as_ref().map_or(Price::ZERO, |instrument| instrument.price_increment)
    }

    /// Size in front of an order that joins the queue at its limit.
    pub(super) fn displayed_at(&self, side: Side, limit: Option<Price>) -> Quantity {
        let own_side = match side {
            Side::Buy => self.view.bid,
            Side::Sell => self.view.ask,
        };
        match (own_side, limit) {
            (Some((price, size)), Some(limit)) if price == limit => size,
            _ => Quantity::ZERO,
        }
    }

    /// Puts an order into the line of those that can be filled.
    pub(super) fn join(&mut self, order: &VenueOrder) {
        let place = Self::place(order);
        self.line(order.terms.side).0.insert(place, order.seq);
        if !order.met {
            self.unmet.insert(order.seq);
        }
    }

    /// Lets an order wait for its stop price, or for its auction.
    pub(super) fn wait(&mut self, order: &VenueOrder) {
        if order.has_trigger() {
            self.watch(order);
        } else {
            self.auction.insert(order.seq);
        }
    }

    /// Puts an order among those that wait for their stop price.
    pub(super) fn watch(&mut self, order: &VenueOrder) {
        if let Some(place) = Self::stop_place(order) {
            self.stops(order.terms.side).0.insert(place, order.seq);
        }
        if order.terms.trail.is_some() {
            self.trailing.insert(order.seq);
        }
    }

    /// Takes an order out of whatever line it is in.
    pub(super) fn remove(&mut self, order: &VenueOrder) {
        self.line(order.terms.side).0.remove(&Self::place(order));
        self.unmet.remove(&order.seq);
        self.auction.remove(&order.seq);
        self.unwatch(order);
    }

    /// Takes an order out of those that wait for their stop price.
    pub(super) fn unwatch(&mut self, order: &VenueOrder) {
        if let Some(place) = Self::stop_place(order) {
            self.stops(order.terms.side).0.remove(&place);
        }
        self.trailing.remove(&order.seq);
    }

    /// Orders of a side that would trade at a price, first one first.
    pub(super) fn takers(&mut self, side: Side, price: Price) -> Vec<i64> {
        self.line(side).until(key(side, price))
    }

    /// Orders in line that an order of a side could trade with, if it did not trade with the market.
    pub(super) fn would_meet(&self, side: Side, limit: Option<Price>) -> Vec<i64> {
        let line = match side {
            Side::Buy => &self.sellers,
            Side::Sell => &self.buyers,
        };
        limit.map_or_else(|| line.all(), |limit| line.until(key(side.opposite(), limit)))
    }

    /// Orders whose stop price a trade has reached: sellers, then buyers, those reached first in front.
    pub(super) fn triggered(&mut self, price: Price) -> Vec<i64> {
        // A selling stop waits below the market, the highest is reached first: as a buyer's limit.
        let mut reached = self.sell_stops.until(key(Side::Buy, price));
        reached.extend(self.buy_stops.until(key(Side::Sell, price)));
        reached
    }

    fn stops(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Buy => &mut self.buy_stops,
            Side::Sell => &mut self.sell_stops,
        }
    }

    fn place(order: &VenueOrder) -> Place {
        let price = order.limit().map_or(Decimal::MIN, |limit| key(order.terms.side, limit));
        Place { price, priority: order.priority }
    }

    fn stop_place(order: &VenueOrder) -> Option<Place> {
        let stop = order.terms.stop_price.filter(|_| order.has_trigger())?;
        Some(Place { price: key(order.terms.side.opposite(), stop), priority: order.seq })
    }
}
