//! One order checked against all limits in memory, without the lock, the journal and the answer around that.

use std::hint::black_box;
use std::time::Instant;

use domain::{
    AccountId, Clock as _, Decimal, Instrument, Money, OrderRequest, Price, Quantity, Quote, Side, Symbol,
    SystemClock, TimeInForce, Timestamp, UserId,
};

use trading::risk::{
    Ask, Assessment, Facts, Ledger, Limit, LimitBook, LimitKind, LimitValue, OrderLimits, Session, assess,
};
use trading::{Scope, Scopes};

const LIMITS: usize = 1_000;
const TIMES: u32 = 200_000;

/// The median of many, for an order of four scopes, as most are, and for one of ten that are all limited.
pub(crate) fn measure() {
    for scopes in [4, 10] {
        let sample = Sample::new(scopes);
        let rounds = (0..9).map(|_| {
            let begun = Instant::now();
            for _ in 0..TIMES / 9 {
                let assessment = black_box(&sample).check();
                assert!(assessment.passed(), "{:?}", assessment.refusal());
            }
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES / 9)
        });
        let took = crate::median(rounds.collect());
        let apply = sample.that_apply();
        println!("risk check, {LIMITS} limits, {apply:>3} apply {took:>9.1} µs         (aim 5 µs or better)");
    }
}

/// One order, and everything that it is checked against.
struct Sample {
    terms: OrderLimits,
    limits: LimitBook,
    ledger: Ledger,
    scopes: Scopes,
    instrument: Instrument,
    quote: Quote,
    request: OrderRequest,
    now: Timestamp,
}

impl Sample {
    /// A desk with [`LIMITS`] limits. The order has so many scopes: the desk, the account, then people, groups and
    /// strategies; limits that are not about these are about others.
    fn new(scopes: usize) -> Self {
        let (now, symbol) = (SystemClock.now(), "BTC-USD".parse::<Symbol>().expect("a symbol"));
        let account = AccountId::new(now);
        let other = |nth: usize| match nth % 3 {
            0 => Scope::User(UserId::new(now)),
            1 => Scope::Group(format!("group-{nth}")),
            _ => Scope::Strategy(format!("strategy-{nth}")),
        };
        let own = Scopes::new(account, (0..scopes.saturating_sub(2)).map(other));
        let terms = OrderLimits::default();
        let mut book = LimitBook::new(&terms, now);
        let harmless = |kind: &LimitKind| {
            let values = ["1000000000", "10", "1", "allowed", "mon-sun 00:00-24:00"];
            values.iter().find_map(|text| LimitValue::parse(*kind, text).ok())
        };
        let every = LimitKind::ALL.iter().filter(|kind| {
            // These would forbid the order; the last two because most of its scopes have no capital.
            !matches!(
                kind,
                LimitKind::SymbolsAllowed
                    | LimitKind::SymbolsDenied
                    | LimitKind::TradingHours
                    | LimitKind::Concentration
                    | LimitKind::Leverage
            )
        });
        let numbers: Vec<(LimitKind, LimitValue)> =
            every.filter_map(|kind| Some((*kind, harmless(kind)?))).collect();
        let strangers = (0..).map(|nth| Scope::Strategy(format!("somebody-else-{nth}")));
        let every = own.iter().cloned().chain(strangers);
        let all = every
            .flat_map(|scope| numbers.iter().map(move |(kind, value)| (scope.clone(), *kind, value.clone())));
        for (scope, kind, value) in all.take(LIMITS) {
            book.set(Limit { scope, kind, value, set_by: "benchmark".into(), set_at: now });
        }
        let price = |units: i64| Price(Decimal::from(units));
        let side = |units: i64| Some((price(units), Quantity(Decimal::from(5))));
        let mut ledger = Ledger::new();
        ledger.mark(&symbol, price(100), now);
        ledger.flow(&[Scope::Desk, Scope::Account(account)], Money(Decimal::from(1_000_000)), now);
        let quantity = Quantity(Decimal::ONE);
        let at = Some(price(100));
        Self {
            terms,
            limits: book,
            ledger,
            scopes: own,
            instrument: Instrument {
                symbol: symbol.clone(),
                base: "BTC".into(),
                quote: "USD".into(),
                price_increment: Price(Decimal::new(1, 2)),
                quantity_increment: Quantity(Decimal::new(1, 3)),
            },
            quote: Quote {
                symbol: symbol.clone(),
                bid: side(99),
                ask: side(101),
                exchange: 1,
                at: now,
                received_at: None,
            },
            request: OrderRequest::simple(
                "sample".to_owned(),
                symbol,
                Side::Buy,
                quantity,
                at,
                TimeInForce::Gtc,
            ),
            now,
        }
    }

    /// Limits that are about the order.
    fn that_apply(&self) -> usize {
        self.scopes.iter().map(|scope| self.limits.of(scope).count()).sum()
    }

    fn check(&self) -> Assessment {
        let ask = Ask { request: &self.request, scopes: &self.scopes, replaces: None };
        let facts = Facts {
            instrument: Some(&self.instrument),
            quote: Some(&self.quote),
            quoted_at: Some(self.now),
            buying_power: Money(Decimal::from(1_000_000)),
            sellable: Quantity::ZERO,
            book: None,
            short_allowed: false,
            session: Session::Open,
            now: self.now,
        };
        assess(&ask, &facts, &self.terms, &self.limits, &self.ledger)
    }
}
