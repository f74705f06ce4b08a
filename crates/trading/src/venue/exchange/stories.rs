//! Stories of orders at the venue, and what they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    AccountId, Decimal, Instrument, Order, OrderEvent, OrderId, OrderKind, OrderRequest, Price, Provenance,
    Quantity, Quote, Side, Symbol, TakerSide, TimeInForce, Timestamp, Trade, Trail,
};

use super::{Exchange, Rows, Stored};
use crate::broker::{BrokerEvent, Refusal, SubmitFailure};
use crate::venue::calendar::{Calendar, Hours};
use crate::venue::settings::{Class, Fees, Latency, PaperSettings, Rules, Short, Slippage};

/// An exchange that tests talk to in words, with an account that has 1,000,000 and may sell short.
pub(crate) struct Stage {
    pub(crate) exchange: Exchange,
    pub(crate) stored: Stored,
    pub(crate) now: Timestamp,
    pub(crate) orders: BTreeMap<u64, Order>,
    pub(crate) seen: Vec<String>,
}

pub(crate) fn generous() -> PaperSettings {
    PaperSettings {
        rules: Rules { fees: Fees::basis_points(Decimal::ZERO), ..Rules::default() },
        short: Short { allowed: true, ..Short::default() },
        ..PaperSettings::default()
    }
}

pub(crate) fn account(number: u64) -> AccountId {
    format!("00000000-0000-0000-0001-{number:012}").parse().unwrap()
}

pub(crate) fn instrument(symbol: &str) -> Instrument {
    Instrument {
        symbol: symbol.parse().unwrap(),
        base: symbol.to_owned(),
        quote: "USD".to_owned(),
        price_increment: Price(Decimal::new(1, 2)),
        quantity_increment: Quantity(Decimal::new(1, 4)),
    }
}

/// A new simple order; its number makes its id.
pub(crate) fn order(number: u64, account: AccountId, request: OrderRequest, quantity: Quantity) -> Order {
    let id: OrderId = format!("00000000-0000-0000-0000-{number:012}").parse().unwrap();
    Order::accepted(id, account, request, quantity, Provenance::of("tester"), Timestamp::UNIX_EPOCH)
}

impl Stage {
    pub(crate) fn new(settings: PaperSettings, now: Timestamp) -> Self {
        let mut exchange = Exchange::new(settings, 1);
        exchange.list(instrument("BTC-USD"));
        for number in 1..=3 {
            exchange.open_account(account(number), "1000000".parse().unwrap());
        }
        exchange.clock(now);
        let mut stage =
            Self { exchange, stored: Stored::default(), now, orders: BTreeMap::new(), seen: Vec::new() };
        stage.store();
        stage
    }

    /// Stores and notes what happened.
    pub(crate) fn store(&mut self) {
        let batch = self.exchange.drain();
        self.stored.apply(Rows::clone(&batch.rows));
        for (_, event) in batch.told {
            self.note(&event);
        }
    }

    fn note(&mut self, told: &BrokerEvent) {
        let number = told.client_order_id.rsplit('-').next().unwrap().parse::<u64>().unwrap();
        if let (Some(order), Some(OrderEvent::Filled(fill))) = (self.orders.get_mut(&number), &told.event) {
            order.filled += fill.quantity;
        }
        let id = number;
        let text = match told.event.as_ref().unwrap() {
            OrderEvent::Acknowledged { .. } => return,
            OrderEvent::Filled(fill) if fill.fee.is_zero() => {
                format!("{id}: {} at {}", fill.quantity, fill.price)
            }
            OrderEvent::Filled(fill) => format!("{id}: {} at {} fee {}", fill.quantity, fill.price, fill.fee),
            OrderEvent::Corrected { by, .. } => format!("{id}: corrected to {} at {}", by.quantity, by.price),
            OrderEvent::Expired { reason } => format!("{id}: expired, {reason}"),
            OrderEvent::Refused { code, .. } => format!("{id}: rejected {code}"),
            other => format!("{id}: {}", other.kind()),
        };
        self.seen.push(text);
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let symbol: Symbol = "BTC-USD".parse().unwrap();
        let size = |at: usize| words[at].parse::<Quantity>().unwrap();
        let price = |at: usize| words[at].parse::<Price>().unwrap();
        let now = self.now;
        match words[0] {
            // quote 99 x 5 101 x 5
            "quote" => self.exchange.quote(
                &Quote {
                    symbol,
                    bid: Some((price(1), size(3))),
                    ask: Some((price(4), size(6))),
                    exchange: 1,
                    at: now,
                    received_at: None,
                },
                now,
            ),
            // print 99 x 2 [sell]
            "print" => self.exchange.trade(
                &Trade {
                    symbol,
                    price: price(1),
                    quantity: size(3),
                    side: match words.get(4) {
                        Some(&"buy") => TakerSide::Buy,
                        Some(_) => TakerSide::Sell,
                        None => TakerSide::Unknown,
                    },
                    exchange: 1,
                    id: None,
                    at: now,
                    received_at: None,
                },
                now,
            ),
            "halt" => self.exchange.halt(&symbol, true, now),
            "resume" => self.exchange.halt(&symbol, false, now),
            // at 20T14:30
            "at" => {
                self.now = format!("2026-11-{}:00Z", words[1]).parse().unwrap();
                self.exchange.clock(self.now);
            }
            "after" => {
                self.now += Duration::from_millis(words[1].trim_end_matches("ms").parse().unwrap());
                self.exchange.clock(self.now);
            }
            "cancel" => {
                let order = &self.orders[&words[1].parse().unwrap()];
                if let Err(failure) = self.exchange.cancel(order.account, &order.id.to_string(), now) {
                    self.seen.push(failure.to_string());
                }
            }
            // bust 1-1, correct 1-1 to 2 at 100
            "bust" => self.exchange.bust(account(1), &execution_id(words[1]), now).unwrap(),
            "correct" => {
                let id = execution_id(words[1]);
                self.exchange.correct(account(1), &id, price(5), size(3), now).unwrap();
            }
            "restart" => self.restart(),
            // replace 1 buy 3 at 99
            "replace" => {
                let old = self.orders[&words[1].parse().unwrap()].clone();
                let by = self.order(&words[2..]);
                let answer = self.exchange.replace(&old, &by, now);
                self.answered(answer);
            }
            // buy 3 at 99 ioc; sell 3 stop 95 at 94; sell 3 trail 5 %; buy 3 at 99 ext; buy 3 of 2
            _ => {
                let order = self.order(&words);
                let answer = self.exchange.submit(&order, now);
                self.answered(answer);
            }
        }
        self.store();
    }

    fn answered(&mut self, answer: Result<String, SubmitFailure>) {
        match answer {
            Ok(_) => {}
            Err(SubmitFailure::Refused(Refusal { reason, .. })) => self.seen.push(reason.to_string()),
            Err(failure) => self.seen.push(failure.to_string()),
        }
    }

    /// The exchange stops, and goes on from what was stored.
    pub(crate) fn restart(&mut self) {
        let (settings, views) = (self.exchange.settings.clone(), self.exchange.views());
        let mut again = Exchange::restore(settings, 1, &self.stored, self.now);
        views.into_iter().for_each(|view| again.see(view));
        again.list(instrument("BTC-USD"));
        self.exchange = again;
    }

    fn order(&mut self, words: &[&str]) -> Order {
        let word = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
        let has = |name: &str| words.contains(&name);
        let side: Side = words[0].parse().unwrap();
        let quantity: Quantity = words[1].parse().unwrap();
        let time =
            TimeInForce::ALL.iter().copied().find(|time| has(time.as_str())).unwrap_or(TimeInForce::Gtc);
        let symbol = "BTC-USD".parse().unwrap();
        let limit = word("at").map(|price| price.parse().unwrap());
        let mut request = OrderRequest::simple("", symbol, side, quantity, limit, time);
        request.stop_price = word("stop").map(|price| price.parse().unwrap());
        request.trail = word("trail").map(|distance| match has("%") {
            true => Trail::Percent(distance.parse().unwrap()),
            false => Trail::Price(distance.parse().unwrap()),
        });
        request.extended_hours = has("ext");
        request.kind = match (request.stop_price, request.limit_price, request.trail) {
            (_, _, Some(_)) => OrderKind::TrailingStop,
            (Some(_), Some(_), _) => OrderKind::StopLimit,
            (Some(_), None, _) => OrderKind::Stop,
            _ => request.kind,
        };
        let number = self.orders.len() as u64 + 1;
        let owner = account(word("of").map_or(1, |number| number.parse().unwrap()));
        let order = order(number, owner, request, quantity);
        self.orders.insert(number, order.clone());
        order
    }
}

fn execution_id(short: &str) -> String {
    format!("P-{}", short.replace('-', "-x"))
}

fn friday_noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn run(settings: &PaperSettings, story: &str) -> String {
    let mut stage = Stage::new(settings.clone(), friday_noon());
    story.split("; ").for_each(|line| stage.tell(line));
    stage.seen.join(", ")
}

/// Orders are numbered from 1 in the order of the story; what is expected is all that is told but acknowledgements.
#[track_caller]
fn check_with(settings: PaperSettings, story: &str, expected: &str) {
    assert_eq!(run(&settings, story), expected, "in {story}");
    // A restart after every line changes nothing.
    let restarting: Vec<String> = story.split("; ").map(|line| format!("{line}; restart")).collect();
    assert_eq!(run(&settings, &restarting.join("; ")), expected, "with restarts in {story}");
}

#[track_caller]
fn check(story: &str, expected: &str) {
    check_with(generous(), story, expected);
}

fn with_rules(rules: Rules) -> PaperSettings {
    let fees = Fees::basis_points(Decimal::ZERO);
    PaperSettings { rules: Rules { fees, ..rules }, ..generous() }
}

/// 9:00, 14:30 to 21:00, and 1:00 of the next day; it is Friday noon, before the open.
fn with_hours() -> PaperSettings {
    let day = |weekday| Hours { weekday, pre: 540, open: 870, close: 1_260, post: 1_500 };
    with_rules(Rules { calendar: Calendar::Weekly((0..5).map(day).collect()), ..Rules::default() })
}

fn with_latency(latency: Latency) -> PaperSettings {
    with_rules(Rules { latency, ..Rules::default() })
}

#[test]
fn a_market_order_walks_from_quote_to_quote() {
    check("quote 99 x 5 101 x 5; buy 3", "1: 3 at 101");
    check("quote 99 x 5 101 x 5; buy 8; quote 99 x 5 102 x 5", "1: 5 at 101, 1: 3 at 102");
    check("buy 1; quote 99 x 5 101 x 5", "1: 1 at 101");
}

#[test]
fn displayed_size_is_taken_once() {
    check("quote 99 x 5 101 x 5; buy 3; buy 3", "1: 3 at 101, 2: 2 at 101");
    check("quote 99 x 5 101 x 5; sell 5; sell 1; quote 98 x 1 101 x 1", "1: 5 at 99, 2: 1 at 98");
}

#[test]
fn a_limit_order_that_can_trade_gets_the_better_price_and_rests_with_the_remainder() {
    check("quote 99 x 5 101 x 2; buy 3 at 105; quote 99 x 5 104 x 9", "1: 2 at 101, 1: 1 at 105");
    check("buy 3 at 105; quote 99 x 5 101 x 9", "1: 3 at 101");
}

#[test]
fn a_resting_order_waits_for_the_size_before_it() {
    check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 4 sell", "");
    check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 4 sell; print 99 x 2 sell", "1: 1 at 99");
    check("quote 99 x 5 101 x 5; buy 1 at 99; print 99 x 9 buy", "");
    check("quote 99 x 5 101 x 5; buy 1 at 99; print 98.5 x 0.4 sell", "1: 0.4 at 99");
    let two = "quote 99 x 5 101 x 5; buy 1 at 99; buy 1 at 99";
    check(&format!("{two}; print 99 x 6 sell"), "1: 1 at 99");
    check(&format!("{two}; print 99 x 5 sell; print 99 x 2 sell"), "1: 1 at 99, 2: 1 at 99");
}

#[test]
fn better_prices_come_first_then_who_came_first() {
    let book = "quote 90 x 1 110 x 1; buy 1 at 98; buy 1 at 99; buy 1 at 98";
    check(&format!("{book}; print 97 x 2 sell"), "2: 1 at 99, 1: 1 at 98");
    let book = "quote 90 x 1 110 x 1; sell 1 at 102; sell 1 at 101; sell 1 at 101";
    check(&format!("{book}; print 103 x 2 buy"), "2: 1 at 101, 3: 1 at 101");
}

#[test]
fn a_crossed_quote_fills_nothing() {
    check("buy 1; quote 102 x 5 101 x 5", "");
}

#[test]
fn immediate_orders_never_rest() {
    check("quote 99 x 5 101 x 2; buy 3 at 101 ioc", "1: 2 at 101, 1: canceled");
    check("quote 99 x 5 101 x 2; buy 3 ioc; buy 3 at 100 ioc", "1: 2 at 101, 1: canceled, 2: canceled");
    check("quote 99 x 5 101 x 2; buy 3 fok; buy 2 fok", "1: canceled, 2: 2 at 101");
    check("buy 2 fok", "1: canceled");
}

#[test]
fn a_stop_waits_for_a_trade_and_then_takes_the_market() {
    check("quote 99 x 9 101 x 9; sell 1 stop 95; quote 90 x 9 91 x 9; print 96 x 1", "");
    check("quote 99 x 9 101 x 9; sell 1 stop 95; quote 94 x 9 96 x 9; print 95 x 1", "1: 1 at 94");
    check("quote 99 x 9 101 x 9; buy 1 stop 105; print 106 x 1", "1: 1 at 101");
    check("print 94 x 1; quote 93 x 9 95 x 9; sell 1 stop 95", "1: 1 at 93");
    let three = "sell 1 stop 95; sell 1 stop 97; sell 1 stop 96; quote 90 x 2 101 x 9";
    check(&format!("{three}; print 94 x 1"), "2: 1 at 90, 3: 1 at 90");
}

#[test]
fn a_stop_limit_becomes_a_limit_order() {
    let book = "quote 99 x 9 101 x 9; sell 1 stop 95 at 94; quote 93 x 9 96 x 9; print 95 x 1";
    check(book, "");
    check(&format!("{book}; quote 94.5 x 9 96 x 9"), "1: 1 at 94");
}

#[test]
fn a_trailing_stop_follows_the_market_and_never_goes_back() {
    let book = "quote 99 x 9 101 x 9; print 100 x 1; sell 1 trail 5; print 110 x 1; print 106 x 1";
    check(book, "");
    check(&format!("{book}; print 105 x 1"), "1: 1 at 99");
    check("quote 99 x 9 101 x 9; print 100 x 1; buy 1 trail 10 %; print 50 x 1; print 55 x 1", "1: 1 at 101");
    check("quote 99 x 9 101 x 9; sell 1 trail 5; print 100 x 1; print 95.01 x 1; print 95 x 1", "1: 1 at 99");
}

#[test]
fn a_replacement_keeps_its_place_only_if_nothing_but_the_quantity_shrinks() {
    let book = "quote 90 x 1 110 x 1; buy 3 at 99; buy 1 at 99";
    check(&format!("{book}; replace 1 buy 2 at 99; print 98 x 2 sell"), "1: replaced, 3: 2 at 99");
    check(
        &format!("{book}; replace 1 buy 4 at 99; print 98 x 2 sell"),
        "1: replaced, 2: 1 at 99, 3: 1 at 99",
    );
    check(
        &format!("{book}; replace 1 buy 3 at 99 day; print 98 x 2 sell"),
        "1: replaced, 2: 1 at 99, 3: 1 at 99",
    );
    check(&format!("{book}; replace 1 buy 1 at 115"), "1: replaced, 3: 1 at 110");
}

#[test]
fn a_replacement_that_comes_too_late_changes_nothing() {
    let book = "quote 99 x 5 101 x 5; buy 8 at 101";
    check(&format!("{book}; replace 1 buy 3 at 100"), "1: 5 at 101, 1: replaced");
    check("quote 99 x 5 101 x 5; buy 5 at 101; replace 1 buy 3 at 100", "1: 5 at 101, too_late");
    check("buy 5 at 101; replace 1 sell 3 at 102", "unsupported");
    check("buy 5 at 101; cancel 1; replace 1 buy 3 at 102", "1: canceled, too_late");

    let mut stage = Stage::new(generous(), friday_noon());
    stage.tell("quote 99 x 5 101 x 5");
    stage.tell("buy 8 at 101");
    stage.orders.get_mut(&1).unwrap().filled = Quantity::ZERO;
    stage.tell("replace 1 buy 8 at 100");
    assert_eq!(stage.seen.join(", "), "1: 5 at 101, too_late", "the desk did not know of the fill");
}

#[test]
fn a_replacement_holds_its_own_money_only() {
    // 9,000 at 100 is 900,000 of 1,000,000.
    check(
        "quote 90 x 1 200 x 1; buy 9000 at 100; replace 1 buy 9500 at 100; buy 600 at 100",
        "1: replaced, insufficient_funds",
    );
}

#[test]
fn an_order_can_be_canceled_once() {
    check(
        "buy 1 at 99; cancel 1; cancel 1",
        "1: canceled, the broker refused the cancel: the venue has no such open order",
    );
}

#[test]
fn an_id_is_taken_once_for_ever() {
    let mut stage = Stage::new(generous(), friday_noon());
    stage.tell("buy 1 at 99");
    let known = stage.orders[&1].clone();
    stage.tell("cancel 1");
    stage.restart();
    assert_eq!(stage.exchange.submit(&known, stage.now), Err(SubmitFailure::Exists));
}

#[test]
fn latency_lets_prices_move_before_the_order_arrives() {
    let fixed = || with_latency(Latency::Fixed { latency_ms: 50 });
    check_with(
        fixed(),
        "quote 99 x 5 101 x 5; buy 1; after 49ms; quote 99 x 5 103 x 5; after 1ms",
        "1: 1 at 103",
    );
    check_with(
        fixed(),
        "quote 99 x 5 101 x 5; buy 1 at 100; after 50ms; cancel 1; print 98 x 1; after 50ms",
        "1: 1 at 100",
    );
    check_with(
        fixed(),
        "quote 99 x 5 101 x 5; buy 1 at 100; after 50ms; cancel 1; after 50ms; print 98 x 1",
        "1: canceled",
    );
    check_with(
        fixed(),
        "buy 2 at 100; after 50ms; replace 1 buy 1 at 101; print 98 x 1; after 50ms",
        "1: 1 at 98, 1: replace_refused, 2: rejected too_late",
    );
    check_with(
        fixed(),
        "buy 2 at 100; after 50ms; replace 1 buy 1 at 101; after 50ms; print 98 x 1",
        "1: replaced, 2: 1 at 98",
    );
}

#[test]
fn fees_are_those_of_the_table() {
    let fees = Fees {
        per_unit: "0.01".parse().unwrap(),
        maker_bps: Decimal::from(-1),
        taker_bps: Decimal::from(2),
        minimum: None,
        maximum: None,
    };
    let settings = PaperSettings { rules: Rules { fees, ..Rules::default() }, ..generous() };
    check_with(settings.clone(), "quote 99 x 5 100 x 5; buy 1", "1: 1 at 100 fee 0.03");
    check_with(settings, "quote 99 x 5 102 x 5; buy 1 at 100; print 98 x 1", "1: 1 at 100");

    let fees = Fees { minimum: Some("1".parse().unwrap()), ..Fees::basis_points(Decimal::from(10)) };
    let rules = Rules { fees, ..Rules::default() };
    let classes = vec![Class { name: "coins".into(), symbols: vec!["BTC-USD".parse().unwrap()], rules }];
    check_with(
        PaperSettings { classes, ..generous() },
        "quote 99 x 5 100 x 5; buy 20; quote 99 x 9 100 x 9; quote 99 x 9 100 x 9",
        "1: 5 at 100 fee 1, 1: 9 at 100 fee 0.4, 1: 6 at 100 fee 0.6",
    );
}

#[test]
fn slippage_makes_takers_pay_more_but_never_beyond_the_limit() {
    let slippage = Slippage::BasisPoints { bps: Decimal::from(100) };
    let settings = with_rules(Rules { slippage, ..Rules::default() });
    check_with(settings.clone(), "quote 99 x 5 100 x 5; buy 1; sell 1", "1: 1 at 101, 2: 1 at 98.01");
    check_with(settings.clone(), "quote 99 x 5 100 x 5; buy 1 at 100.5", "1: 1 at 100.5");
    check_with(settings, "quote 99 x 5 102 x 5; buy 1 at 100; quote 99 x 5 100 x 5", "1: 1 at 100");
}

#[test]
fn nothing_is_filled_in_a_halt_and_trading_goes_on_at_the_price_there_is() {
    check("quote 99 x 5 101 x 5; buy 1 at 100; halt; print 95 x 9; quote 90 x 5 91 x 5", "");
    check("quote 99 x 5 101 x 5; buy 1 at 100; halt; quote 90 x 5 91 x 5; resume", "1: 1 at 91");
    check("halt; quote 99 x 5 101 x 5; buy 1; buy 1 ioc; resume", "halted, 1: 1 at 101");
    check("halt; sell 1 stop 95; print 90 x 1; resume; quote 89 x 5 91 x 5; print 95 x 1", "1: 1 at 89");
}

#[test]
fn orders_outside_the_hours_wait_for_the_open() {
    check_with(
        with_hours(),
        "quote 99 x 5 101 x 5; buy 1; buy 1 ioc; print 90 x 9; at 20T14:30",
        "market_closed, 1: 1 at 101",
    );
    check_with(
        with_hours(),
        "quote 99 x 5 101 x 5; buy 1 at 105; quote 99 x 5 103 x 5; at 20T14:30",
        "1: 1 at 103",
    );
    check_with(with_hours(), "quote 99 x 5 101 x 5; sell 1 stop 95; print 90 x 1; at 20T14:30", "");
}

#[test]
fn extended_hours_are_for_limit_orders() {
    check_with(with_hours(), "quote 99 x 5 101 x 5; buy 1 at 101 ext", "1: 1 at 101");
    check_with(
        with_hours(),
        "buy 1 ext; buy 1 at 101 ioc ext; sell 1 stop 95 at 94 ext",
        "unsupported, unsupported, unsupported",
    );
    check_with(
        with_hours(),
        "at 20T08:00; quote 99 x 5 101 x 5; buy 1 at 101 ext; at 20T09:00",
        "1: 1 at 101",
    );
}

#[test]
fn orders_for_the_day_expire_with_their_session() {
    check_with(
        with_hours(),
        "buy 1 at 99 day; buy 1 at 99 day ext; buy 1 at 99; at 20T21:00; at 21T01:00",
        "1: expired, the day ended, 2: expired, the day ended",
    );
    check_with(with_hours(), "at 20T22:00; buy 1 at 99 day; at 23T20:59; print 98 x 1", "1: 1 at 98");
    check("buy 1 at 99 day; at 20T23:59; at 21T00:00", "1: expired, the day ended");
}

#[test]
fn auctions_trade_at_one_price() {
    check_with(
        with_hours(),
        "quote 99 x 1 101 x 1; buy 5 opg; sell 4 at 98 opg of 2; buy 1 at 97 opg of 3; at 20T14:30",
        "1: 5 at 101, 2: 4 at 101, 3: expired, the auction is over",
    );
    check_with(
        with_hours(),
        "at 20T15:00; quote 99 x 1 101 x 9; buy 5 cls; sell 2 cls of 2; at 20T21:00",
        "1: 5 at 101, 2: 2 at 101",
    );
    check_with(
        with_hours(),
        "quote 99 x 9 101 x 9; buy 5 at 100 opg; at 20T14:30",
        "1: expired, the auction is over",
    );
    check("buy 5 opg; buy 5 cls", "unsupported, unsupported");
}

#[test]
fn an_execution_that_is_taken_back_gives_back_cash_and_units() {
    check(
        "quote 99 x 5 101 x 5; buy 8 at 101; bust 1-1; quote 99 x 9 101 x 9",
        "1: 5 at 101, 1: busted, 1: 8 at 101",
    );
    check(
        "quote 99 x 5 101 x 5; buy 5; correct 1-1 to 4 at 100; cancel 1",
        "1: 5 at 101, 1: corrected to 4 at 100, the broker refused the cancel: the venue has no such open order",
    );

    let mut stage = Stage::new(generous(), friday_noon());
    for line in ["quote 99 x 5 101 x 5", "buy 5", "correct 1-1 to 4 at 100", "bust 1-2"] {
        stage.tell(line);
        if line.starts_with("correct") {
            assert_eq!(stage.exchange.balances(account(1)).cash.to_string(), "999600");
        }
    }
    assert_eq!(stage.exchange.balances(account(1)).cash.to_string(), "1000000");
    let id = stage.orders[&1].id.to_string();
    assert_eq!(stage.exchange.find(account(1), &id).unwrap().fills, []);
    assert_eq!(stage.exchange.executions(account(1), Timestamp::UNIX_EPOCH).len(), 3);
    let now = stage.now;
    assert!(stage.exchange.bust(account(1), "P-1-x2", now).is_err(), "it was taken back before");
    assert!(stage.exchange.bust(account(2), "P-1-x1", now).is_err(), "it is somebody else's");
}

#[test]
fn the_account_cannot_spend_more_than_it_has() {
    check(
        "quote 99 x 5 100 x 5; buy 10001; buy 9000 at 100; buy 1001 at 100",
        "insufficient_funds, 2: 5 at 100, insufficient_funds",
    );
    let honest = || PaperSettings { short: Short::default(), ..generous() };
    check_with(
        honest(),
        "quote 99 x 5 100 x 5; sell 1; buy 2; sell 2 at 105; sell 1 at 105",
        "insufficient_quantity, 2: 2 at 100, insufficient_quantity",
    );
}

#[test]
fn short_sales_need_units_to_borrow_and_margin() {
    let btc: Symbol = "BTC-USD".parse().unwrap();
    let borrow = Some(BTreeMap::from([(btc, "10".parse().unwrap())]));
    let listed = PaperSettings { short: Short { allowed: true, borrow, ..Short::default() }, ..generous() };
    check_with(
        listed,
        "quote 100 x 90 101 x 90; sell 6; sell 5; sell 4; buy 10",
        "1: 6 at 100, not_shortable, 3: 4 at 100, 4: 10 at 101",
    );
    // 50 % of 2,500,000 is more than 1,000,000; of 1,500,000 it is not.
    check(
        "quote 100 x 90 101 x 90; sell 25000 at 100; sell 15000 at 100",
        "insufficient_funds, 2: 90 at 100",
    );
}

#[test]
fn an_order_does_not_trade_with_its_own_account() {
    let strict = || PaperSettings { refuse_self_cross: true, ..generous() };
    check_with(
        strict(),
        "buy 1 at 100; sell 1 at 101; sell 1 at 100; sell 1; sell 1 at 100 of 2",
        "self_cross, self_cross",
    );
    check("buy 1 at 100; sell 1 at 100", "");
}

#[test]
fn what_is_malformed_is_refused_with_its_reason() {
    check("buy 0", "quantity");
    check("buy 0.00001", "quantity");
    check("buy 1 at 99.001", "price");
    check("sell 1 trail 100 %", "price");
    check("sell 1 stop 95 ioc", "unsupported");
    check("buy 1 of 9", "restricted");
    check("sell 9999999999999999999999999999; buy 1 at 9999999999999999999999999999", "quantity, price");
    check("quote 99 x 5 101 x 5; buy 1000000000000 at 1000000000000", "insufficient_funds");
}

#[test]
fn a_lie_is_an_acknowledgement_and_then_a_rejection() {
    let mut stage = Stage::new(generous(), friday_noon());
    stage.tell("buy 1 at 99");
    let other = order(7, account(1), stage.orders[&1].request.clone(), stage.orders[&1].quantity);
    assert_eq!(stage.exchange.pretend(&other, stage.now), Ok("P-2".to_owned()));
    stage.store();
    assert_eq!(stage.seen.join(", "), "7: rejected other");
    assert_eq!(stage.exchange.open_orders(account(1)).len(), 1);
}
