//! The ledger under random histories.

use domain::{AccountId, BookId, OrderEvent, OrderRequest, Provenance, Status, TimeInForce, UserId};
use proptest::prelude::*;

use super::super::{Ask, Facts, OrderLimits, Session, assess};
use super::*;

/// The most units that the account may hold, long or short.
const MOST: i64 = 10;

fn start() -> Timestamp {
    "2026-11-20T15:00:00Z".parse().unwrap()
}

fn symbol() -> Symbol {
    "BTC-USD".parse().unwrap()
}

fn decimal(number: i64) -> Decimal {
    Decimal::from(number)
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Place { user: usize, side: Side, units: i64, replaces: Option<usize> },
    Fill { order: usize, units: i64, price: i64 },
    Cancel { order: usize },
    Correct { fill: usize, units: i64 },
    Mark { price: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let place = (0..2_usize, side, 1..8_i64, proptest::option::weighted(0.2, 0..50_usize));
    prop_oneof![
        4 => place.prop_map(|(user, side, units, replaces)| Step::Place { user, side, units, replaces }),
        4 => (0..50_usize, 1..5_i64, 95..105_i64).prop_map(|(order, units, price)| Step::Fill { order, units, price }),
        2 => (0..50_usize).prop_map(|order| Step::Cancel { order }),
        1 => (0..50_usize, 0..5_i64).prop_map(|(fill, units)| Step::Correct { fill, units }),
        1 => (90..110_i64).prop_map(|price| Step::Mark { price }),
    ]
}

/// A desk of one account and two users, each with a book.
struct World {
    ledger: Ledger,
    limits: LimitBook,
    scopes: [Scopes; 2],
    orders: Vec<(Order, Scopes)>,
    /// Each with the number of its order, as it stands now.
    fills: Vec<(usize, Fill)>,
    /// Units that corrections took from under orders that were accepted before.
    corrected: Decimal,
    mark: Price,
    instrument: domain::Instrument,
}

impl World {
    fn new() -> Self {
        let account = AccountId::new(start());
        let of = |_| [Scope::User(UserId::new(start())), Scope::Book(BookId::new(start()))];
        let scopes = [0, 1].map(|nth| Scopes::new(account, of(nth)));
        let mut limits = LimitBook::default();
        let value = LimitValue::Amount(decimal(MOST));
        let (scope, kind) = (Scope::Account(account), LimitKind::PositionQuantity);
        limits.set(Limit { scope, kind, value, set_by: "a".into(), set_at: start() });
        let mut ledger = Ledger::new();
        let mark = Price(decimal(100));
        ledger.mark(&symbol(), mark, start());
        let instrument = domain::Instrument {
            symbol: symbol(),
            base: "BTC".into(),
            quote: "USD".into(),
            price_increment: Price(decimal(1)),
            quantity_increment: Quantity(decimal(1)),
        };
        let (orders, fills) = (Vec::new(), Vec::new());
        Self { ledger, limits, scopes, orders, fills, corrected: Decimal::ZERO, mark, instrument }
    }

    fn account(&self) -> Scope {
        Scope::Account(self.scopes[0].account())
    }

    fn happen(&mut self, step: &Step) {
        match *step {
            Step::Place { user, side, units, replaces } => self.place(user, side, units, replaces),
            Step::Fill { order, units, price } => self.fill(order, units, price),
            Step::Cancel { order } => {
                let Some(nth) = self.open(order) else { return };
                self.orders[nth].0.apply(&OrderEvent::Canceled, start()).unwrap();
                assert!(self.ledger.release(self.orders[nth].0.id), "it held nothing");
                assert!(!self.ledger.release(self.orders[nth].0.id), "it was released twice");
            }
            Step::Correct { fill, units } => self.correct(fill, units),
            Step::Mark { price } => {
                self.mark = Price(decimal(price));
                self.ledger.mark(&symbol(), self.mark, start());
            }
        }
    }

    /// The number of an open order.
    fn open(&self, order: usize) -> Option<usize> {
        let nth = order.checked_rem(self.orders.len())?;
        (!self.orders[nth].0.status.is_terminal()).then_some(nth)
    }

    fn place(&mut self, user: usize, side: Side, units: i64, replaces: Option<usize>) {
        let scopes = &self.scopes[user];
        let old = replaces.and_then(|order| self.open(order)).filter(|old| {
            let (order, of) = &self.orders[*old];
            order.request.side == side && of == scopes && order.replaced_by.is_none()
        });
        let units = Quantity(decimal(units));
        let request = OrderRequest::simple("c", symbol(), side, units, None, TimeInForce::Gtc);
        let size = Some((self.mark, units));
        let quote = domain::Quote {
            symbol: symbol(),
            bid: size,
            ask: size,
            exchange: 1,
            at: start(),
            received_at: None,
        };
        let facts = Facts {
            instrument: Some(&self.instrument),
            quote: Some(&quote),
            quoted_at: Some(start()),
            buying_power: Money(decimal(1_000_000)),
            sellable: Quantity::ZERO,
            book: None,
            short_allowed: true,
            session: Session::Open,
            now: start(),
        };
        let replaces = old.map(|old| self.orders[old].0.id);
        let ask = Ask { request: &request, scopes, replaces };
        let assessment = assess(&ask, &facts, &OrderLimits::default(), &self.limits, &self.ledger);
        if !assessment.passed() {
            return;
        }
        let provenance = Provenance { replaces, ..Provenance::of("u") };
        let id = OrderId::new(start());
        let order = Order::accepted(id, scopes.account(), request, units, provenance, start());
        let hold = Hold::of(&order, scopes, assessment.worst_price);
        self.ledger.hold(hold.clone());
        self.ledger.hold(hold);
        if let Some(old) = old {
            // The venue swaps the two at once.
            self.orders[old].0.replaced_by = Some(id);
            self.orders[old].0.status = Status::Replaced;
            self.ledger.release(self.orders[old].0.id);
        }
        self.orders.push((order, scopes.clone()));
    }

    fn fill(&mut self, order: usize, units: i64, price: i64) {
        let Some(nth) = self.open(order) else { return };
        let (order, scopes) = &mut self.orders[nth];
        let quantity = order.leaves().min(Quantity(decimal(units)));
        let fill = Fill {
            execution_id: format!("e{}", self.fills.len()),
            price: Price(decimal(price)),
            quantity,
            fee: Money(decimal(1)),
            at: start(),
        };
        order.apply(&OrderEvent::Filled(fill.clone()), start()).unwrap();
        self.ledger.fill(order, scopes, &fill);
        self.fills.push((nth, fill));
    }

    /// The broker says that an execution had at most so many units, or was none.
    fn correct(&mut self, fill: usize, units: i64) {
        let Some(place) = fill.checked_rem(self.fills.len()) else { return };
        let (nth, was) = self.fills[place].clone();
        let quantity = was.quantity.min(Quantity(decimal(units)));
        self.corrected += (was.quantity - quantity).0;
        let (order, scopes) = &mut self.orders[nth];
        if quantity.is_positive() {
            let by = Fill { quantity, ..was.clone() };
            let event = OrderEvent::Corrected { execution_id: was.execution_id.clone(), by: by.clone() };
            order.amend(&event, Some(&was), start()).unwrap();
            self.ledger.correct(order, scopes, &was, Some(&by));
            self.fills[place].1 = by;
        } else {
            let event = OrderEvent::Busted { execution_id: was.execution_id.clone() };
            order.amend(&event, Some(&was), start()).unwrap();
            self.ledger.correct(order, scopes, &was, None);
            self.fills.remove(place);
        }
    }

    /// A ledger made of the orders and fills alone, as after a restart.
    fn restored(&self) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.mark(&symbol(), self.mark, start());
        for (nth, fill) in &self.fills {
            let (order, scopes) = &self.orders[*nth];
            let paid = fill.price * fill.quantity;
            let (units, cash) = match order.request.side {
                Side::Buy => (fill.quantity, -paid - fill.fee),
                Side::Sell => (-fill.quantity, paid - fill.fee),
            };
            ledger.carry(scopes.as_slice(), &symbol(), units, cash, start());
        }
        for (order, scopes) in &self.orders {
            match order.status.is_terminal() {
                true => ledger.count(scopes, order.created_at),
                false => ledger.hold(Hold::of(order, scopes, self.mark)),
            }
        }
        for scope in self.scopes.iter().flatten() {
            ledger.resume(scope, self.ledger.remembered(scope), start());
        }
        ledger
    }

    fn check(&self) {
        let reach = self.ledger.position(&self.account(), &symbol());
        let most = decimal(MOST) + self.corrected;
        assert!(reach.worst().0 <= most, "the account may reach {} of {most}", reach.worst());
        let restored = self.restored();
        for scope in self.scopes.iter().flatten() {
            let position = self.ledger.position(scope, &symbol());
            assert_eq!(position, restored.position(scope, &symbol()), "{scope}");
            assert_eq!(self.ledger.figures(scope, start()), restored.figures(scope, start()), "{scope}");
            let open = |side| {
                let orders =
                    self.orders.iter().filter(|(o, of)| o.request.side == side && of.contains(scope));
                orders.map(|(order, _)| order.leaves()).sum::<Quantity>()
            };
            assert_eq!((position.buys, position.sells), (open(Side::Buy), open(Side::Sell)), "{scope}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 5_000 }))]

    #[test]
    fn no_history_reaches_beyond_a_limit_and_a_restart_changes_nothing(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.happen(step);
            world.check();
        }
        // Everything ends, everything is closed: nothing is held, and no sum keeps a crumb.
        for nth in 0..world.orders.len() {
            world.happen(&Step::Cancel { order: nth });
        }
        for scopes in &world.scopes {
            let book = Scope::Book(scopes.book().unwrap());
            let net = world.ledger.position(&book, &symbol()).net;
            let cash = Money(net.0 * world.mark.0);
            world.ledger.carry(scopes.as_slice(), &symbol(), -net, cash, start());
        }
        for scope in world.scopes.iter().flatten() {
            let figures = world.ledger.figures(scope, start());
            prop_assert_eq!(figures.gross_exposure, Money::ZERO);
            prop_assert_eq!(figures.net_exposure, Money::ZERO);
            prop_assert_eq!(figures.open_orders, 0);
            prop_assert!(world.ledger.of(scope).is_none_or(|of| of.cells.is_empty() && of.sums == Worth::default()));
        }
        prop_assert!(world.ledger.orders.is_empty() && world.ledger.resting.is_empty());
        prop_assert!(world.ledger.markets.iter().all(|market| market.holders.is_empty()));
    }
}

#[test]
fn an_order_and_its_replacement_hold_what_the_larger_of_them_does() {
    let mut ledger = Ledger::new();
    let scopes = Scopes::new(AccountId::new(start()), []);
    let (old, new) = (OrderId::new(start()), OrderId::new(start()));
    let hold = |order, units, replaces| Hold {
        order,
        scopes: scopes.clone(),
        symbol: symbol(),
        side: Side::Buy,
        leaves: Quantity(decimal(units)),
        price: Price(decimal(100)),
        rests: Rests::No,
        counts: true,
        replaces,
        at: start(),
    };
    ledger.hold(hold(old, 5, None));
    ledger.hold(hold(new, 7, Some(old)));
    let buys = |ledger: &Ledger| ledger.position(&Scope::Desk, &symbol()).buys.to_string();
    assert_eq!(buys(&ledger), "7");
    ledger.change(new, Quantity(decimal(3)), None);
    assert_eq!(buys(&ledger), "5", "the old one may still be executed");
    ledger.release(old);
    assert_eq!(buys(&ledger), "3");
    ledger.forget(new);
    let figures = ledger.figures(&Scope::Desk, start());
    assert_eq!((buys(&ledger).as_str(), figures.orders_today, figures.open_orders), ("0", 1, 0));
}

#[test]
fn profit_follows_the_market_and_money_paid_in_is_none() {
    let mut ledger = Ledger::new();
    let money = |text: &str| text.parse::<Money>().unwrap();
    let price = |text: &str| text.parse::<Price>().unwrap();
    ledger.flow(&[Scope::Desk], money("1000"), start());
    ledger.mark(&symbol(), price("100"), start());
    ledger.carry(&[Scope::Desk], &symbol(), Quantity(decimal(2)), money("-201"), start());
    ledger.mark(&symbol(), price("130"), start());
    ledger.mark(&symbol(), price("110"), start());
    let figures = ledger.figures(&Scope::Desk, start());
    let found = [figures.profit, figures.profit_today, figures.drawdown, figures.equity.unwrap()];
    assert_eq!(found.map(|money| money.to_string()), ["19", "19", "40", "1019"]);
    let midnight = "2026-11-21T00:00:01Z".parse().unwrap();
    assert_eq!(ledger.figures(&Scope::Desk, midnight).profit_today, Money::ZERO);
    ledger.tick(midnight);
    ledger.mark(&symbol(), price("105"), midnight);
    assert_eq!(ledger.figures(&Scope::Desk, midnight).profit_today.to_string(), "-10");
    ledger.tick(start());
    assert_eq!(ledger.figures(&Scope::Desk, start()).profit_today.to_string(), "-10", "a clock set back");
}

#[test]
fn a_report_beyond_every_number_does_not_end_the_desk() {
    let mut ledger = Ledger::new();
    let huge = Decimal::MAX;
    ledger.mark(&symbol(), Price(huge), start());
    ledger.carry(&[Scope::Desk], &symbol(), Quantity(decimal(1_000_000)), Money::ZERO, start());
    ledger.mark(&symbol(), Price(decimal(1)), start());
    assert_eq!(ledger.figures(&Scope::Desk, start()).gross_exposure.to_string(), "1000000");
}
