//! Orders in words, and what is said of them.

use domain::{
    AccountId, Fill, Order, OrderClass, OrderKind, Provenance, StopLoss, TimeInForce, Trail, UserId,
};

use super::*;
use crate::scope::Scope;

const NOW: &str = "2026-11-20T15:00:00Z";

/// A desk with 1,000 in cash and 3 coins free, bid 99, ask 101, one user, one account.
struct Desk {
    limits: LimitBook,
    ledger: Ledger,
    scopes: Scopes,
    facts: Facts<'static>,
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn symbol() -> domain::Symbol {
    "BTC-USD".parse().unwrap()
}

impl Desk {
    fn new() -> Self {
        let terms = terms();
        let (account, user) = (AccountId::new(now()), UserId::new(now()));
        let scopes = Scopes::new(account, [Scope::User(user), Scope::Strategy("grid".into())]);
        let instrument = Box::leak(Box::new(Instrument {
            symbol: symbol(),
            base: "BTC".into(),
            quote: "USD".into(),
            price_increment: "0.01".parse().unwrap(),
            quantity_increment: "0.001".parse().unwrap(),
        }));
        let side = |price: &str| Some((price.parse().unwrap(), "5".parse().unwrap()));
        let quote = Box::leak(Box::new(Quote {
            symbol: symbol(),
            bid: side("99"),
            ask: side("101"),
            exchange: 1,
            at: now(),
            received_at: None,
        }));
        let facts = Facts {
            instrument: Some(instrument),
            quote: Some(quote),
            quoted_at: Some(now()),
            buying_power: "1000".parse().unwrap(),
            sellable: "3".parse().unwrap(),
            book: None,
            short_allowed: false,
            session: Session::Open,
            now: now() + Duration::from_secs(1),
        };
        let mut ledger = Ledger::new();
        ledger.mark(&symbol(), "100".parse().unwrap(), now());
        let capital = [Scope::Desk, Scope::Account(account)];
        ledger.flow(&capital, "1300".parse().unwrap(), now());
        let (three, cost) = ("3".parse().unwrap(), "-300".parse().unwrap());
        ledger.carry(scopes.as_slice(), &symbol(), three, cost, now());
        Self { limits: LimitBook::new(&terms, now()), ledger, scopes, facts }
    }

    /// Sets a limit on the user, as "position_quantity 5".
    fn limit(&mut self, limit: &str) {
        let (kind, value) = limit.split_once(' ').unwrap();
        let kind: LimitKind = kind.parse().unwrap();
        let scope = self.scopes.iter().find(|scope| scope.kind() == "user").unwrap().clone();
        let value = LimitValue::parse(kind, value).unwrap();
        self.limits.set(Limit { scope, kind, value, set_by: "anna".into(), set_at: now() });
    }

    fn assess(&self, order: &str) -> Assessment {
        let request = request(order);
        let ask = Ask { request: &request, scopes: &self.scopes, replaces: None };
        assess(&ask, &self.facts, &terms(), &self.limits, &self.ledger)
    }

    /// Accepts an order.
    fn place(&mut self, order: &str) -> OrderId {
        let assessment = self.assess(order);
        let id = OrderId::new(now());
        let (account, request) = (self.scopes.account(), request(order));
        let order = Order::accepted(id, account, request, assessment.quantity, Provenance::of("u"), now());
        self.ledger.hold(Hold::of(&order, &self.scopes, assessment.worst_price));
        id
    }

    /// Assesses an order and compares the first rule that it breaks, or "passes".
    fn check(&self, order: &str, expected: &str) {
        let assessment = self.assess(order);
        let found = match assessment.refusal() {
            None => "passes".to_owned(),
            Some(check) => format!("{} of {}", check.rule, check.field.unwrap_or("-")),
        };
        assert_eq!(found, expected, "for {order}: {:#?}", assessment.checks);
        for check in &assessment.checks {
            assert!(!check.detail().contains('{'), "{}", check.detail());
        }
    }
}

fn terms() -> OrderLimits {
    OrderLimits { max_notional: Money(Decimal::from(5_000)), ..OrderLimits::default() }
}

/// Reads "buy 1 limit 100 stop 90 tp 110 sl 80/79 trail 5% class=bracket gtc extended".
fn request(text: &str) -> OrderRequest {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap();
    let (side, size, kind) = (next().parse().unwrap(), next(), next().parse::<OrderKind>().unwrap());
    let mut request = OrderRequest::simple("c", symbol(), side, Quantity::ZERO, None, TimeInForce::Gtc);
    request.kind = kind;
    request.size = match size.strip_prefix('$') {
        Some(notional) => Size::Notional(notional.parse().unwrap()),
        None => Size::Quantity(size.parse().unwrap()),
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "at" => request.limit_price = Some(value.parse().unwrap()),
            "stop" => request.stop_price = Some(value.parse().unwrap()),
            "tp" => request.take_profit = Some(value.parse().unwrap()),
            "sl" => {
                let (stop, limit) = value.split_once('/').map_or((value, None), |(s, l)| (s, Some(l)));
                let limit_price = limit.map(|limit| limit.parse().unwrap());
                request.stop_loss = Some(StopLoss { stop_price: stop.parse().unwrap(), limit_price });
            }
            "trail" => {
                request.trail = Some(match value.strip_suffix('%') {
                    Some(percent) => Trail::Percent(percent.parse::<Money>().unwrap().0),
                    None => Trail::Price(value.parse().unwrap()),
                });
            }
            "class" => request.class = value.parse::<OrderClass>().unwrap(),
            "symbol" => request.symbol = value.parse().unwrap(),
            "strategy" => request.strategy = Some(value.to_owned()),
            "extended" => request.extended_hours = true,
            time => request.time_in_force = time.parse().unwrap(),
        }
    }
    request
}

#[test]
fn an_order_that_can_be_paid_reserves_its_worst_price_and_the_fee() {
    let desk = Desk::new();
    for (order, quantity, reserves) in [
        ("buy 1 market", "1", "103.12302"),
        ("buy 1 limit at=90", "1", "90.09"),
        ("buy 1 stop stop=110", "1", "112.3122"),
        ("buy 1 stop_limit stop=110 at=111", "1", "111.111"),
        ("buy 1 trailing_stop trail=10%", "1", "113.435322"),
        ("sell 3 market", "3", "0"),
        ("buy $500 market", "4.95", "510.458949"),
        ("buy $0.11 market", "0.001", "0.10312302"),
    ] {
        desk.check(order, "passes");
        let assessment = desk.assess(order);
        assert_eq!(assessment.quantity.to_string(), quantity, "{order}");
        assert_eq!((assessment.reserve_price * assessment.quantity).to_string(), reserves, "{order}");
    }
}

#[test]
fn every_order_type_has_the_fields_that_it_needs_and_no_other() {
    let desk = Desk::new();
    for (order, expected) in [
        ("buy 1 limit", "price_required of limit_price"),
        ("buy 1 market at=100", "price_not_allowed of limit_price"),
        ("buy 1 stop", "stop_price_required of stop_price"),
        ("buy 1 stop stop=110 at=111", "price_not_allowed of limit_price"),
        ("buy 1 stop_limit stop=110", "price_required of limit_price"),
        ("buy 1 stop_limit at=110", "stop_price_required of stop_price"),
        ("buy 1 limit at=100 stop=110", "stop_price_not_allowed of stop_price"),
        ("sell 1 trailing_stop", "trail_required of trail"),
        ("sell 1 trailing_stop trail=5 stop=90", "stop_price_not_allowed of stop_price"),
        ("sell 1 limit at=110 trail=5", "trail_not_allowed of trail"),
        ("sell 1 trailing_stop trail=0", "trail_invalid of trail"),
        ("sell 1 trailing_stop trail=0.001", "trail_invalid of trail"),
        ("sell 1 trailing_stop trail=99", "trail_invalid of trail"),
        ("sell 1 trailing_stop trail=100%", "trail_invalid of trail"),
        ("sell 1 trailing_stop trail=-1%", "trail_invalid of trail"),
        ("sell 1 trailing_stop trail=99.9%", "passes"),
        ("buy 1 limit at=0", "price_invalid of limit_price"),
        ("buy 1 limit at=99999999999999999999", "price_invalid of limit_price"),
        ("buy 1 limit at=99.999", "price_off_tick of limit_price"),
        ("buy 1 stop stop=110.001", "price_off_tick of stop_price"),
        ("buy 1 market strategy=a~b", "strategy_invalid of strategy"),
    ] {
        desk.check(order, expected);
    }
}

#[test]
fn sizes_are_whole_increments_and_cents() {
    let desk = Desk::new();
    for (order, expected) in [
        ("buy 0 market", "quantity_invalid of quantity"),
        ("buy -1 market", "quantity_invalid of quantity"),
        ("buy 0.0001 market", "quantity_too_small of quantity"),
        ("buy 1.0005 market", "quantity_invalid of quantity"),
        ("buy 99999999999 market", "quantity_too_large of quantity"),
        ("buy $0 market", "notional_invalid of notional"),
        ("buy $-5 market", "notional_invalid of notional"),
        ("buy $10.001 market", "notional_invalid of notional"),
        ("buy $9999999999999999 market", "notional_invalid of notional"),
        ("buy $0.05 market", "quantity_too_small of notional"),
    ] {
        desk.check(order, expected);
    }
    let unknown = Desk { facts: Facts { instrument: None, ..desk.facts }, ..desk };
    unknown.check("buy 1 market", "symbol_unknown of symbol");
}

#[test]
fn groups_have_their_legs_on_the_right_sides() {
    let desk = Desk::new();
    for (order, expected) in [
        ("buy 1 market class=bracket tp=110 sl=90", "passes"),
        ("buy 1 limit at=95 class=bracket tp=96 sl=94/93", "passes"),
        ("buy 1 limit at=95 class=bracket tp=94 sl=90", "leg_side of take_profit"),
        ("buy 1 limit at=95 class=bracket tp=99 sl=96", "leg_side of stop_loss.stop_price"),
        ("buy 1 market class=bracket tp=110", "leg_required of stop_loss"),
        ("buy 1 market class=bracket sl=90", "leg_required of take_profit"),
        ("buy 1 trailing_stop trail=5 class=bracket tp=110 sl=90", "class_not_allowed of class"),
        ("sell 1 limit at=110 class=oco sl=90", "passes"),
        ("sell 1 limit at=110 class=oco sl=99", "leg_side of stop_loss.stop_price"),
        ("sell 1 limit at=98 class=oco sl=90", "leg_side of limit_price"),
        ("sell 1 limit at=110 class=oco tp=120 sl=90", "leg_not_allowed of take_profit"),
        ("sell 1 market class=oco sl=90", "class_not_allowed of class"),
        ("buy 1 market class=oto tp=110", "passes"),
        ("buy 1 market class=oto", "leg_required of take_profit"),
        ("buy 1 market class=oto tp=110 sl=90", "leg_not_allowed of stop_loss"),
        ("buy 1 market tp=110", "leg_not_allowed of take_profit"),
        ("buy 1 market sl=90", "leg_not_allowed of stop_loss"),
        ("buy 1 market class=bracket tp=110.001 sl=90", "price_off_tick of take_profit"),
        ("buy 1 market class=bracket tp=110 sl=90 ioc", "time_in_force_not_allowed of time_in_force"),
    ] {
        desk.check(order, expected);
    }
}

#[test]
fn a_time_in_force_goes_with_the_order_type_and_the_session() {
    let desk = Desk::new();
    for (order, expected) in [
        ("buy 1 market ioc", "passes"),
        ("buy 1 limit at=100 fok", "passes"),
        ("buy 1 market opg", "passes"),
        ("buy 1 stop stop=110 ioc", "time_in_force_not_allowed of time_in_force"),
        ("sell 1 trailing_stop trail=5 cls", "time_in_force_not_allowed of time_in_force"),
        ("buy 1 limit at=100 day extended", "passes"),
        ("buy 1 market day extended", "extended_hours_not_allowed of extended_hours"),
        ("buy 1 limit at=100 ioc extended", "extended_hours_not_allowed of extended_hours"),
    ] {
        desk.check(order, expected);
    }
    let night = Facts { session: Session::Closed, now: now() + Duration::from_secs(40_000), ..desk.facts };
    let desk = Desk { facts: night, ..desk };
    desk.check("buy 1 market ioc", "session_closed of time_in_force");
    desk.check("buy 1 limit at=100 opg", "passes");
}

#[test]
fn what_cannot_be_priced_paid_or_delivered_is_refused() {
    let mut desk = Desk::new();
    for (order, expected) in [
        ("buy 1 limit at=10", "price_collar of limit_price"),
        ("buy 1 stop stop=101", "stop_price_side of stop_price"),
        ("sell 1 stop stop=99", "stop_price_side of stop_price"),
        ("sell 1 stop stop=98.99", "passes"),
        ("buy 9.8 market", "buying_power of quantity"),
        ("buy 60 market", "buying_power of quantity"),
        ("sell 3.001 market", "position_too_small of quantity"),
    ] {
        desk.check(order, expected);
    }
    desk.facts.buying_power = "1000000".parse().unwrap();
    desk.check("buy 60 market", "notional_too_large of quantity");
    desk.facts.book = Some(BookFacts { cash: "50".parse().unwrap(), sellable: "1".parse().unwrap() });
    desk.check("buy 1 market", "book_buying_power of quantity");
    desk.check("sell 2 market", "book_position_too_small of quantity");
    desk.facts.now = now() + Duration::from_secs(11);
    desk.check("sell 1 limit at=99", "no_quote of symbol");
    let said = desk.assess("sell 1 limit at=99").refusal().unwrap().detail();
    assert_eq!(said, "The quote may be 10 s old; it is 11 s old. (Limit of the desk, set by configuration.)");
}

#[test]
fn selling_short_needs_a_venue_that_lends_and_no_limit_that_forbids() {
    let mut desk = Desk::new();
    desk.facts.short_allowed = true;
    desk.check("sell 5 market", "passes");
    let assessment = desk.assess("sell 5 market");
    assert_eq!((assessment.short.to_string(), assessment.closing), ("2".into(), false));
    assert_eq!((assessment.reserve_price * assessment.short).to_string(), "202.16196");
    desk.check("sell 20 market", "buying_power of quantity");
    desk.limit("short_selling forbidden");
    desk.check("sell 5 market", "short_selling_forbidden of quantity");
    desk.check("sell 3 market", "passes");
}

#[test]
fn each_limit_refuses_what_is_beyond_it() {
    for (limit, passes, refused, rule) in [
        ("order_quantity 2", "buy 2 market", "buy 2.001 market", "order_quantity_limit of quantity"),
        ("order_notional 202", "buy 2 market", "buy 2.001 market", "notional_too_large of quantity"),
        ("position_quantity 5", "buy 2 market", "buy 2.001 market", "position_limit of quantity"),
        ("position_notional 505", "buy 2 market", "buy 2.001 market", "position_notional_limit of quantity"),
        ("gross_exposure 502", "buy 2 market", "buy 2.001 market", "gross_exposure_limit of quantity"),
        ("net_exposure 502", "buy 2 market", "buy 2.001 market", "net_exposure_limit of quantity"),
        ("concentration 0.4", "buy 2.148 market", "buy 2.149 market", "concentration_limit of quantity"),
        ("leverage 0.4", "buy 2.178 market", "buy 2.179 market", "leverage_limit of quantity"),
        ("price_collar 0.1", "buy 1 limit at=91", "buy 1 limit at=90", "price_collar of limit_price"),
        (
            "symbols_allowed BTC-USD",
            "buy 1 market",
            "buy 1 market symbol=DOGE",
            "symbol_not_allowed of symbol",
        ),
        ("symbols_denied DOGE", "buy 1 market", "buy 1 market symbol=DOGE", "symbol_denied of symbol"),
    ] {
        let mut desk = Desk::new();
        desk.limit(limit);
        desk.check(passes, "passes");
        desk.check(refused, rule);
        let check = desk.assess(refused).refusal().unwrap().clone();
        assert_eq!((check.scope().unwrap().kind(), check.set_by()), ("user", Some("anna")), "{limit}");
        assert!(check.limit().is_some() && check.value().is_some(), "{limit}");
    }
    for (limit, rule) in [
        ("trading_hours sat 10:00-12:00", "outside_trading_hours of symbol"),
        ("quote_age_seconds 0.5", "no_quote of symbol"),
        ("orders_per_minute 0", "orders_per_minute_limit of client_order_id"),
        ("orders_per_day 0", "orders_per_day_limit of client_order_id"),
        ("open_orders 0", "open_orders_limit of client_order_id"),
    ] {
        let mut desk = Desk::new();
        desk.limit(limit);
        desk.check("buy 1 market", rule);
    }
}

#[test]
fn open_orders_count_at_their_worst() {
    let mut desk = Desk::new();
    desk.limit("position_quantity 5");
    desk.limit("open_orders 2");
    let first = desk.place("buy 1.5 limit at=90");
    desk.place("sell 1 limit at=120");
    desk.check("buy 0.6 market", "position_limit of quantity");
    desk.check("buy 0.5 market", "open_orders_limit of client_order_id");
    assert!(desk.ledger.release(first) && !desk.ledger.release(first));
    desk.check("buy 2 market", "passes");
}

#[test]
fn what_only_closes_passes_every_limit_on_state() {
    let mut desk = Desk::new();
    for limit in
        ["position_quantity 1", "gross_exposure 1", "net_exposure 0", "concentration 0", "leverage 0"]
    {
        desk.limit(limit);
    }
    desk.limit("daily_loss 10");
    desk.limit("drawdown 10");
    desk.limit("approval_above 1");
    desk.ledger.mark(&symbol(), "90".parse().unwrap(), now());
    desk.facts.short_allowed = true;
    let closing = desk.assess("sell 3 market");
    assert!(
        closing.passed() && closing.closing && closing.needs_approval.is_none(),
        "{:?}",
        closing.refusal()
    );
    assert!(!desk.assess("sell 3.001 market").passed(), "it crosses through zero");
    assert!(!desk.assess("buy 0.001 market").passed());
    desk.place("sell 2 limit at=120");
    desk.check("sell 1 market", "passes");
    assert!(!desk.assess("sell 1.001 market").closing, "together they would cross through zero");
}

#[test]
fn a_loss_stops_what_opens_until_the_next_day_and_a_drawdown_until_a_person_lifts_it() {
    let mut desk = Desk::new();
    desk.limit("daily_loss 30");
    desk.ledger.mark(&symbol(), "90.01".parse().unwrap(), now());
    desk.check("buy 1 market", "passes");
    desk.ledger.mark(&symbol(), "90".parse().unwrap(), now());
    desk.check("buy 1 market", "daily_loss_limit of quantity");
    let tomorrow = "2026-11-21T00:00:00Z".parse().unwrap();
    (desk.facts.now, desk.facts.quoted_at) = (tomorrow, Some(tomorrow));
    desk.check("buy 1 market", "passes");
    desk.limit("drawdown 30");
    desk.check("buy 1 market", "drawdown_limit of quantity");
    for scope in &desk.scopes {
        desk.ledger.reset_peak(scope);
    }
    desk.check("buy 1 market", "passes");
}

#[test]
fn two_orders_of_one_account_do_not_trade_with_each_other() {
    let mut desk = Desk::new();
    desk.place("sell 1 limit at=102");
    desk.place("sell 1 stop stop=95");
    desk.check("buy 1 limit at=101.99", "passes");
    desk.check("buy 1 limit at=102", "self_cross of side");
    desk.check("buy 1 market", "self_cross of side");
    desk.check("buy 1 stop stop=105", "passes");
    let kind = LimitKind::SelfCross;
    let value = LimitValue::Allowed(true);
    desk.limits.set(Limit { scope: Scope::Desk, kind, value, set_by: "anna".into(), set_at: now() });
    desk.check("buy 1 market", "passes");
}

#[test]
fn above_a_value_a_second_person_is_needed_and_nothing_is_refused() {
    let mut desk = Desk::new();
    desk.limit("approval_above 101");
    assert!(desk.assess("buy 1 market").needs_approval.is_none());
    let assessment = desk.assess("buy 1.001 market");
    assert_eq!(assessment.needs_approval.as_ref().unwrap().set_by.as_ref(), "anna");
    assert!(assessment.passed());
}

#[test]
fn a_replacement_needs_only_what_is_beyond_the_order_it_replaces() {
    let mut desk = Desk::new();
    desk.limit("position_quantity 5");
    desk.limit("open_orders 1");
    let old = desk.place("buy 2 limit at=90");
    let request = request("buy 2 limit at=91");
    let mut ask = Ask { request: &request, scopes: &desk.scopes, replaces: Some(old) };
    let limits = &desk.limits;
    assert!(assess(&ask, &desk.facts, &terms(), limits, &desk.ledger).passed());
    ask.replaces = None;
    assert!(!assess(&ask, &desk.facts, &terms(), limits, &desk.ledger).passed());
}

#[test]
fn a_client_order_id_is_plain_text() {
    for good in ["my-bot:2026.11_1", "Tuesday, first try", "ü", &"x".repeat(128)] {
        assert!(check_client_order_id(good).is_none(), "{good:?} was refused");
    }
    for bad in ["", "a\n", "a\0", &"x".repeat(129)] {
        assert!(check_client_order_id(bad).is_some(), "{bad:?} was taken");
    }
}

#[test]
fn usage_tells_how_much_of_each_limit_is_used() {
    let mut desk = Desk::new();
    desk.limit("position_quantity 6");
    desk.limit("gross_exposure 500");
    desk.limit("symbols_denied DOGE");
    let id = desk.place("buy 1 limit at=90");
    let user = desk.scopes.iter().find(|scope| scope.kind() == "user").unwrap();
    let used = |ledger: &Ledger| -> Vec<String> {
        let usage = ledger.usage(&desk.limits, user, now());
        usage
            .iter()
            .map(|u| format!("{} {} {:.2}", u.limit.kind, u.used.normalize(), u.fraction.unwrap()))
            .collect()
    };
    assert_eq!(used(&desk.ledger), ["position_quantity 4 0.67", "gross_exposure 400 0.80"]);
    let request = request("buy 1 limit at=90");
    let mut order =
        Order::accepted(id, desk.scopes.account(), request, "1".parse().unwrap(), Provenance::of("u"), now());
    let fill = Fill {
        execution_id: "e".into(),
        price: "90".parse().unwrap(),
        quantity: "1".parse().unwrap(),
        fee: "1".parse().unwrap(),
        at: now(),
    };
    order.apply(&domain::OrderEvent::Filled(fill.clone()), now()).unwrap();
    desk.ledger.fill(&order, &desk.scopes, &fill);
    let figures = desk.ledger.figures(&Scope::Account(desk.scopes.account()), now());
    assert_eq!(
        (figures.profit.to_string(), figures.equity.unwrap().to_string()),
        ("9".into(), "1309".into())
    );
    assert_eq!((figures.open_orders, figures.orders_today), (0, 1));
}
