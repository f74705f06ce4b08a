//! What holds for any sequence of orders, prices, halts, busts and times.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    Decimal, Fill, Money, OrderEvent, OrderKind, OrderRequest, Price, Quantity, Quote, Side, Symbol,
    TakerSide, TimeInForce, Timestamp, Trade, Trail,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::stories::{Stage, account, generous, order};
use crate::broker::{BrokerEvent, BrokerStatus};
use crate::venue::settings::{Fees, Latency, PaperSettings, Rules, Slippage};

/// Something that happens at the venue.
#[derive(Clone, Debug)]
enum Happening {
    Order { owner: u64, side: Side, kind: OrderKind, time: TimeInForce, quantity: u32, limit: u32, stop: u32 },
    Cancel { which: usize },
    Replace { which: usize, quantity: u32, limit: u32 },
    Quote { bid: u32, spread: u32, size: u32 },
    Print { price: u32, size: u32, side: TakerSide },
    Halt { halted: bool },
    Time { ms: u64 },
    Bust { which: usize },
    Correct { which: usize, price: u32, quantity: u32 },
}

/// Orders, prices, halts and times.
fn trading() -> impl Strategy<Value = Happening> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let taker = prop_oneof![Just(TakerSide::Buy), Just(TakerSide::Sell), Just(TakerSide::Unknown)];
    let price = 90..110_u32;
    prop_oneof![
        6 => (1..4_u64, side, 0..5_usize, 0..4_usize, 1..20_u32, price.clone(), price.clone()).prop_map(
            |(owner, side, kind, time, quantity, limit, stop)| Happening::Order {
                owner,
                side,
                kind: OrderKind::ALL[kind],
                time: if kind > 1 { TimeInForce::Gtc } else { TimeInForce::ALL[time] },
                quantity,
                limit,
                stop,
            }
        ),
        2 => (0..50_usize).prop_map(|which| Happening::Cancel { which }),
        2 => (0..50_usize, 1..20_u32, price.clone())
            .prop_map(|(which, quantity, limit)| Happening::Replace { which, quantity, limit }),
        6 => (price.clone(), 0..5_u32, 0..15_u32)
            .prop_map(|(bid, spread, size)| Happening::Quote { bid, spread, size }),
        6 => (price.clone(), 1..15_u32, taker)
            .prop_map(|(price, size, side)| Happening::Print { price, size, side }),
        1 => any::<bool>().prop_map(|halted| Happening::Halt { halted }),
        3 => (1..40_000_u64).prop_map(|ms| Happening::Time { ms }),
    ]
}

/// The same, with corrections and busts of what was executed.
fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        26 => trading(),
        1 => (0..50_usize).prop_map(|which| Happening::Bust { which }),
        1 => (0..50_usize, 90..110_u32, 1..20_u32)
            .prop_map(|(which, price, quantity)| Happening::Correct { which, price, quantity }),
    ]
}

fn settings() -> PaperSettings {
    let fees = Fees {
        per_unit: "0.01".parse().unwrap(),
        maker_bps: Decimal::from(-1),
        taker_bps: Decimal::from(3),
        minimum: Some("0.5".parse().unwrap()),
        maximum: Some("3".parse().unwrap()),
    };
    let slippage = Slippage::SquareRoot { coefficient: 1.0, daily_volatility: 0.02, daily_volume: 1_000.0 };
    let latency = Latency::Uniform { least_ms: 0, most_ms: 30_000 };
    PaperSettings { rules: Rules { fees, slippage, latency, ..Rules::default() }, ..generous() }
}

/// A run of the venue, and all that was told in it.
struct Run {
    stage: Stage,
    told: Vec<BrokerEvent>,
    fills: Vec<(u64, Fill)>,
    next: u64,
}

impl Run {
    fn new(settings: PaperSettings) -> Self {
        let start: Timestamp = "2026-11-20T23:58:00Z".parse().unwrap();
        Self { stage: Stage::new(settings, start), told: Vec::new(), fills: Vec::new(), next: 1 }
    }

    fn happen(&mut self, what: &Happening) {
        let symbol: Symbol = "BTC-USD".parse().unwrap();
        let whole = |number: u32| Decimal::from(number);
        let Stage { exchange, now, orders, .. } = &mut self.stage;
        match *what {
            Happening::Order { owner, side, kind, time, quantity, limit, stop } => {
                let quantity = Quantity(whole(quantity));
                let mut request = OrderRequest::simple("", symbol, side, quantity, None, time);
                request.kind = kind;
                request.limit_price = kind.has_limit().then(|| Price(whole(limit)));
                request.stop_price = kind.has_stop().then(|| Price(whole(stop)));
                request.trail =
                    (kind == OrderKind::TrailingStop).then(|| Trail::Price(Price(whole(stop - 85))));
                let order = order(self.next, account(owner), request, quantity);
                if exchange.submit(&order, *now).is_ok() {
                    orders.insert(self.next, order);
                }
                self.next += 1;
            }
            Happening::Cancel { which } => {
                if let Some(order) = nth(orders, which) {
                    let _ = exchange.cancel(order.account, &order.id.to_string(), *now);
                }
            }
            Happening::Replace { which, quantity, limit } => {
                if let Some(old) = nth(orders, which).cloned() {
                    let mut request = old.request.clone();
                    request.limit_price = request.limit_price.map(|_| Price(whole(limit)));
                    let by = order(self.next, old.account, request, Quantity(whole(quantity)));
                    if exchange.replace(&old, &by, *now).is_ok() {
                        orders.insert(self.next, by);
                    }
                }
                self.next += 1;
            }
            Happening::Quote { bid, spread, size } => {
                let size = Quantity(whole(size));
                let (bid, ask) = (Some((Price(whole(bid)), size)), Some((Price(whole(bid + spread)), size)));
                let quote = Quote { symbol, bid, ask, exchange: 1, at: *now, received_at: None };
                exchange.quote(&quote, *now);
            }
            Happening::Print { price, size, side } => {
                let (price, quantity) = (Price(whole(price)), Quantity(whole(size)));
                let trade = Trade {
                    symbol,
                    price,
                    quantity,
                    side,
                    exchange: 1,
                    id: None,
                    at: *now,
                    received_at: None,
                };
                exchange.trade(&trade, *now);
            }
            Happening::Halt { halted } => exchange.halt(&symbol, halted, *now),
            Happening::Time { ms } => {
                *now += Duration::from_millis(ms);
                exchange.clock(*now);
            }
            Happening::Bust { which } => {
                if let Some((number, fill)) = self.fills.get(which) {
                    let _ = exchange.bust(orders[number].account, &fill.execution_id, *now);
                }
            }
            Happening::Correct { which, price, quantity } => {
                if let Some((number, fill)) = self.fills.get(which) {
                    let (price, quantity) = (Price(whole(price)), Quantity(whole(quantity)));
                    let owner = orders[number].account;
                    let _ = exchange.correct(owner, &fill.execution_id, price, quantity, *now);
                }
            }
        }
        self.listen();
    }

    fn listen(&mut self) {
        let batch = self.stage.exchange.drain();
        self.stage.stored.apply(batch.rows);
        for (_, event) in batch.told {
            let number: u64 = event.client_order_id.rsplit('-').next().unwrap().parse().unwrap();
            if let Some(OrderEvent::Filled(fill)) = &event.event {
                self.fills.push((number, fill.clone()));
                self.stage.orders.get_mut(&number).unwrap().filled += fill.quantity;
            }
            self.told.push(event);
        }
    }

    fn through(settings: PaperSettings, story: &[Happening]) -> Self {
        let mut run = Self::new(settings);
        story.iter().for_each(|what| run.happen(what));
        run
    }
}

fn nth(orders: &BTreeMap<u64, domain::Order>, which: usize) -> Option<&domain::Order> {
    orders.values().nth(which % orders.len().max(1))
}

proptest! {
    #[test]
    fn no_order_is_filled_beyond_its_quantity_or_its_limit(story in vec(trading(), 1..120)) {
        let run = Run::through(settings(), &story);
        for (number, fill) in &run.fills {
            let order = &run.stage.orders[number];
            if let Some(limit) = order.request.limit_price {
                let worse = if order.request.side == Side::Buy { fill.price > limit } else { fill.price < limit };
                prop_assert!(!worse, "{fill:?} is worse than {limit}");
            }
            prop_assert!(fill.price.is_positive() && fill.quantity.is_positive());
            prop_assert!(order.filled <= order.quantity);
        }
    }

    #[test]
    fn cash_and_units_are_conserved(story in vec(happening(), 1..120)) {
        let run = Run::through(settings(), &story);
        for owner in 1..=3 {
            let (mut cash, mut units) = (Money("1000000".parse().unwrap()), Quantity::ZERO);
            for order in run.stage.orders.values().filter(|order| order.account == account(owner)) {
                let known = run.stage.exchange.find(account(owner), &order.id.to_string()).unwrap();
                for fill in known.fills {
                    let buys = order.request.side == Side::Buy;
                    let notional = fill.price * fill.quantity;
                    cash -= fill.fee + if buys { notional } else { -notional };
                    units += if buys { fill.quantity } else { -fill.quantity };
                }
            }
            let balances = run.stage.exchange.balances(account(owner));
            prop_assert_eq!(balances.cash, cash);
            let held = balances.positions.first().map_or(Quantity::ZERO, |(_, held)| *held);
            prop_assert_eq!(held, units);
        }
    }

    #[test]
    fn what_is_told_and_what_is_found_agree(story in vec(trading(), 1..120)) {
        let run = Run::through(settings(), &story);
        for owner in 1..=3 {
            let open = run.stage.exchange.open_orders(account(owner));
            for order in run.stage.orders.values().filter(|order| order.account == account(owner)) {
                let id = order.id.to_string();
                let known = run.stage.exchange.find(account(owner), &id).unwrap();
                let is_open = known.status == BrokerStatus::Open;
                prop_assert_eq!(is_open, open.iter().any(|other| other.client_order_id == id));
                let ended = run.told.iter().filter(|told| told.client_order_id == id).any(|told| matches!(
                    told.event,
                    Some(OrderEvent::Canceled | OrderEvent::Expired { .. } | OrderEvent::Refused { .. }
                        | OrderEvent::Replaced { .. })
                ));
                let filled: Quantity = known.fills.iter().map(|fill| fill.quantity).sum();
                let complete = filled >= order.quantity;
                prop_assert_eq!(is_open, !ended && !complete, "{:?} {:?}", order, known);
            }
        }
    }

    #[test]
    fn who_is_in_front_is_filled_first(story in vec(happening(), 1..120)) {
        // At one moment, a resting buyer is filled only if no better one that could be filled too is left out. Orders
        // that wait for their latency are not in line, so there is none here.
        let mut run = Run::new(generous());
        for what in &story {
            let before = run.fills.len();
            let is_market = matches!(what, Happening::Quote { .. } | Happening::Print { .. });
            let resting: Vec<_> = (1..=3).flat_map(|owner| run.stage.exchange.open_orders(account(owner))).collect();
            run.happen(what);
            for (number, _) in run.fills[before..].iter().filter(|_| is_market) {
                let filled = &run.stage.orders[number];
                let Some(limit) = filled.request.limit_price else { continue };
                let better = resting.iter().filter(|other| {
                    let price = other.terms.limit_price;
                    other.terms.kind == OrderKind::Limit
                        && filled.request.kind == OrderKind::Limit
                        && other.terms.side == filled.request.side
                        && price.is_some_and(|price| (price > limit) == (other.terms.side == Side::Buy) && price != limit)
                });
                for other in better {
                    let after = run.stage.exchange.find(run.stage.orders[&own_number(other)].account, &other.client_order_id);
                    let after = after.unwrap();
                    prop_assert!(after.status != BrokerStatus::Open || after.fills.len() > other.fills.len(),
                        "{number} was filled before {}", other.client_order_id);
                }
            }
        }
    }

    #[test]
    fn a_seed_repeats_itself(story in vec(happening(), 1..120)) {
        prop_assert_eq!(Run::through(settings(), &story).told, Run::through(settings(), &story).told);
    }

    #[test]
    fn a_restart_at_any_moment_changes_nothing_later(story in vec(happening(), 1..120), at in 0..120_usize) {
        let expected = Run::through(settings(), &story);
        let mut run = Run::new(settings());
        for (nth, what) in story.iter().enumerate() {
            if nth == at {
                run.stage.restart();
            }
            run.happen(what);
        }
        prop_assert_eq!(run.told, expected.told);
        prop_assert_eq!(run.stage.stored, expected.stage.stored);
    }
}

fn own_number(order: &crate::broker::BrokerOrder) -> u64 {
    order.client_order_id.rsplit('-').next().unwrap().parse().unwrap()
}
