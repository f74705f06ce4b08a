//! How the paper venue fills orders. Pure: quotes, trades and orders go in, matches come out.
//!
//! - An order that can trade at once takes what the quote displays, at the quote's price. Displayed size that was taken
//!   is gone until the next quote. A market order waits for the next quote with what is left; a limit order rests.
//! - A resting limit order is filled at its limit, never better: when the quote reaches it, up to the size displayed,
//!   and by trades: by any that goes through its limit, and by trades at its limit once the size that was displayed
//!   there before it has traded.
//! - Better prices come first, then who came first.

use domain::{
    AccountId, OrderKind, Price, Quantity, Quote, Side, Symbol, TakerSide, TimeInForce, Timestamp, Trade,
};
use rustc_hash::FxHashMap;

use super::store::{Rows, VenueStatus};

/// An order that works at the venue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resting {
    pub(super) id: String,
    /// Arrival: the time in price-time priority.
    pub(super) seq: i64,
    pub(super) account: AccountId,
    pub(super) client_order_id: String,
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) kind: OrderKind,
    pub(super) time_in_force: TimeInForce,
    pub(super) quantity: Quantity,
    pub(super) limit_price: Option<Price>,
    /// What one unit is reckoned at until it trades: the limit, or the ask when a market order came in.
    pub(super) reserve_price: Price,
    pub(super) filled: Quantity,
    /// Size displayed at its limit before it, that must trade first.
    pub(super) queue_ahead: Quantity,
    pub(super) placed_at: Timestamp,
}

impl Resting {
    pub(super) fn leaves(&self) -> Quantity {
        self.quantity - self.filled
    }

    /// Whether it is served before another order of its side.
    fn is_before(&self, other: &Self) -> bool {
        match (self.limit_price, other.limit_price) {
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) if ours != theirs => (ours > theirs) == (self.side == Side::Buy),
            _ => self.seq < other.seq,
        }
    }

    /// Whether it would trade at a price.
    fn takes(&self, price: Price) -> bool {
        self.limit_price.is_none_or(|limit| match self.side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        })
    }
}

/// An execution: the order after it, at what price, how much, and the how-manieth of the order it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) order: Resting,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    /// What the order had filled before, as part of the execution's id: the same after a restart.
    pub(super) number: Quantity,
}

/// The market as the venue sees it, and the orders that wait in it.
#[derive(Default)]
pub(super) struct Matcher {
    symbols: FxHashMap<Symbol, Floor>,
}

/// One symbol.
#[derive(Default)]
struct Floor {
    bid: Option<(Price, Quantity)>,
    ask: Option<(Price, Quantity)>,
    buyers: Queue,
    sellers: Queue,
}

/// The orders of one side, in the order in which they are served: market orders, then the best limit, then who came
/// first. So whoever trades at a price stands at the front.
#[derive(Default)]
struct Queue(Vec<Resting>);

impl Matcher {
    /// Takes a new order, and stores it as it rests after it traded.
    pub(super) fn place(&mut self, order: Resting, rows: &mut Rows) -> Vec<Match> {
        let floor = self.symbols.entry(order.symbol.clone()).or_default();
        let mut order = order;
        order.queue_ahead = floor.displayed_at(&order);
        rows.order(&order, VenueStatus::Open);
        let mut matches = Vec::new();
        let touch = floor.facing(order.side);
        if let Some((price, size)) = touch
            && order.takes(*price)
        {
            fill(&mut order, *price, size, &mut matches);
        }
        if order.leaves().is_positive() {
            floor.queue(order.side).join(order);
        }
        matches
    }

    /// Puts an order back that was working before a restart.
    pub(super) fn restore(&mut self, order: Resting) {
        self.symbols.entry(order.symbol.clone()).or_default().queue(order.side).join(order);
    }

    /// A new quote. A crossed one fills nothing: it is an artefact of several exchanges.
    pub(super) fn quote(&mut self, quote: &Quote) -> Vec<Match> {
        let floor = self.symbols.entry(quote.symbol.clone()).or_default();
        (floor.bid, floor.ask) = if quote.is_crossed() { (None, None) } else { (quote.bid, quote.ask) };
        let mut matches = Vec::new();
        for (queue, touch) in [(&mut floor.buyers, &mut floor.ask), (&mut floor.sellers, &mut floor.bid)] {
            let Some((price, size)) = touch else { continue };
            queue.serve(*price, |order| {
                let at = order.limit_price.unwrap_or(*price);
                fill(order, at, size, &mut matches);
            });
        }
        matches
    }

    /// A print on the tape.
    pub(super) fn trade(&mut self, trade: &Trade) -> Vec<Match> {
        let Some(floor) = self.symbols.get_mut(&trade.symbol) else { return Vec::new() };
        let mut left = trade.quantity;
        let mut matches = Vec::new();
        for (queue, own_taker) in [(&mut floor.buyers, TakerSide::Buy), (&mut floor.sellers, TakerSide::Sell)]
        {
            queue.serve(trade.price, |order| {
                // A market order waits for a quote: a print is somebody else's liquidity, gone already.
                let Some(limit) = order.limit_price else { return };
                if trade.price == limit {
                    // At our limit only takers of the other side trade with us.
                    if trade.side == own_taker {
                        return;
                    }
                    let before_us = order.queue_ahead.min(left);
                    order.queue_ahead -= before_us;
                    left -= before_us;
                }
                fill(order, limit, &mut left, &mut matches);
            });
        }
        matches
    }

    /// Takes an order of an account out.
    pub(super) fn remove(&mut self, account: AccountId, client_order_id: &str) -> Option<Resting> {
        let ours = |order: &Resting| order.account == account && order.client_order_id == client_order_id;
        self.queues().find_map(|queue| {
            let at = queue.0.iter().position(ours)?;
            Some(queue.0.remove(at))
        })
    }

    /// Takes out all orders of a kind.
    pub(super) fn take(&mut self, which: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        self.queues().flat_map(|queue| queue.0.extract_if(.., |order| which(order))).collect()
    }

    /// All orders.
    pub(super) fn orders(&self) -> impl Iterator<Item = &Resting> {
        self.symbols.values().flat_map(|floor| floor.buyers.0.iter().chain(&floor.sellers.0))
    }

    fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.symbols.values_mut().flat_map(|floor| [&mut floor.buyers, &mut floor.sellers])
    }

    /// The best ask.
    pub(super) fn ask(&self, symbol: &Symbol) -> Option<Price> {
        self.symbols.get(symbol)?.ask.map(|(price, _)| price)
    }
}

impl Floor {
    /// Size in front of an order that joins the queue at its limit.
    fn displayed_at(&self, order: &Resting) -> Quantity {
        let own_side = match order.side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        };
        match (own_side, order.limit_price) {
            (Some((price, size)), Some(limit)) if price == limit => size,
            _ => Quantity::ZERO,
        }
    }

    /// The displayed size that an order of a side would take.
    fn facing(&mut self, side: Side) -> &mut Option<(Price, Quantity)> {
        match side {
            Side::Buy => &mut self.ask,
            Side::Sell => &mut self.bid,
        }
    }

    fn queue(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.buyers,
            Side::Sell => &mut self.sellers,
        }
    }
}

impl Queue {
    fn join(&mut self, order: Resting) {
        let at = self.0.partition_point(|other| other.is_before(&order));
        self.0.insert(at, order);
    }

    /// Shows `act` every order that would trade at a price, first in line first; those that are done leave.
    fn serve(&mut self, price: Price, mut act: impl FnMut(&mut Resting)) {
        let takers = self.0.partition_point(|order| order.takes(price));
        for order in &mut self.0[..takers] {
            act(order);
        }
        self.0.extract_if(..takers, |order| !order.leaves().is_positive()).for_each(drop);
    }
}

fn fill(order: &mut Resting, price: Price, available: &mut Quantity, matches: &mut Vec<Match>) {
    let quantity = order.leaves().min(*available);
    if !quantity.is_positive() {
        return;
    }
    let number = order.filled;
    order.filled += quantity;
    *available -= quantity;
    matches.push(Match { order: order.clone(), price, quantity, number });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(story: &str) -> String {
        let mut matcher = Matcher::default();
        let mut seen = Vec::new();
        let symbol: Symbol = "BTC-USD".parse().unwrap();
        let account = AccountId::new(Timestamp::UNIX_EPOCH);
        for (nth, line) in story.split("; ").enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<Price>().unwrap();
            let size = |at: usize| words[at].parse::<Quantity>().unwrap();
            let matches = match words[0] {
                // quote 99 x 5 101 x 5
                "quote" => matcher.quote(&Quote {
                    symbol: symbol.clone(),
                    bid: Some((number(1), size(3))),
                    ask: Some((number(4), size(6))),
                    exchange: 1,
                    at: Timestamp::UNIX_EPOCH,
                    received_at: None,
                }),
                // print 99 x 2 sell
                "print" => matcher.trade(&Trade {
                    symbol: symbol.clone(),
                    price: number(1),
                    quantity: size(3),
                    side: if words[4] == "buy" { TakerSide::Buy } else { TakerSide::Sell },
                    exchange: 1,
                    id: None,
                    at: Timestamp::UNIX_EPOCH,
                    received_at: None,
                }),
                // buy 3 [at 99]
                side => matcher.place(
                    Resting {
                        id: format!("o{nth}"),
                        seq: i64::try_from(nth).unwrap(),
                        account,
                        client_order_id: format!("c{nth}"),
                        symbol: symbol.clone(),
                        side: side.parse().unwrap(),
                        kind: if words.len() > 2 { OrderKind::Limit } else { OrderKind::Market },
                        time_in_force: TimeInForce::Gtc,
                        quantity: size(1),
                        limit_price: (words.len() > 2).then(|| number(3)),
                        reserve_price: Price::ZERO,
                        filled: Quantity::ZERO,
                        queue_ahead: Quantity::ZERO,
                        placed_at: Timestamp::UNIX_EPOCH,
                    },
                    &mut Rows::default(),
                ),
            };
            seen.extend(matches.iter().map(|m| format!("{} {} at {}", m.order.id, m.quantity, m.price)));
        }
        seen.join(", ")
    }

    fn check(story: &str, expected: &str) {
        assert_eq!(run(story), expected, "in {story}");
    }

    #[test]
    fn a_market_order_walks_from_quote_to_quote() {
        check("quote 99 x 5 101 x 5; buy 3", "o1 3 at 101");
        check("quote 99 x 5 101 x 5; buy 8; quote 99 x 5 102 x 5", "o1 5 at 101, o1 3 at 102");
        check("buy 1; quote 99 x 5 101 x 5", "o0 1 at 101");
    }

    #[test]
    fn displayed_size_is_taken_once() {
        check("quote 99 x 5 101 x 5; buy 3; buy 3", "o1 3 at 101, o2 2 at 101");
        check("quote 99 x 5 101 x 5; sell 5; sell 1; quote 98 x 1 101 x 1", "o1 5 at 99, o2 1 at 98");
    }

    #[test]
    fn a_limit_order_that_can_trade_gets_the_better_price_and_rests_with_the_remainder() {
        check("quote 99 x 5 101 x 2; buy 3 at 105; quote 99 x 5 104 x 9", "o1 2 at 101, o1 1 at 105");
    }

    #[test]
    fn a_resting_order_waits_for_the_size_before_it() {
        check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 4 sell", "");
        check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 4 sell; print 99 x 2 sell", "o1 1 at 99");
        check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 9 buy", "");
        check("quote 99 x 5 101 x 5; buy 1 at 99; print 98.5 x 0.4 sell", "o1 0.4 at 99");
    }

    #[test]
    fn better_prices_come_first_then_who_came_first() {
        let book = "quote 90 x 1 110 x 1; buy 1 at 98; buy 1 at 99; buy 1 at 98";
        check(&format!("{book}; print 97 x 2 sell"), "o2 1 at 99, o1 1 at 98");
        let book = "quote 90 x 1 110 x 1; sell 1 at 102; sell 1 at 101; sell 1 at 101";
        check(&format!("{book}; print 103 x 2 buy"), "o2 1 at 101, o3 1 at 101");
    }

    #[test]
    fn a_crossed_quote_fills_nothing() {
        check("buy 1; quote 102 x 5 101 x 5", "");
    }
}
