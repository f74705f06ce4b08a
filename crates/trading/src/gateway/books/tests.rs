//! Whatever happens to an account, its books add up: orders filled in parts, corrected and taken back, made outside the
//! desk, differences at the broker, transfers, another way to reckon cost, restarts. The core is driven as its router
//! drives it, on a real journal, against a broker that is a list of executions; a ledger of additions and subtractions
//! knows what there must be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Access, AccountId, AuditEntry, BookId, Context, CostMethod, Decimal, Fill, Instrument, Money, Order,
    OrderClass, OrderEvent, OrderId, OrderKind, OrderRequest, Position, PositionFill, Price, Quantity, Quote,
    RequestId, Role, SessionId, Side, Symbol, TimeInForce, Timestamp, UserId,
};
use proptest::prelude::*;
use storage::testing::{TestDatabase, databases};
use storage::{AuditChain, BoxFuture, Connection, Database, StorageError, Tx};

use super::super::open::{Stored, assemble, groups_of};
use crate::accounts::{Account, Mode, NewAccount};
use crate::book::{BookKey, History, Holdings};
use crate::books::{BookKind, BookRefusal, CashTransfer, OWN_BOOK, UnitTransfer, VirtualBook};
use crate::broker::{Balances, BrokerEvent, BrokerOrder, BrokerStatus, Execution, Profile, Terms, Way};
use crate::core::{
    Accepting, BookAct, BookDone, Command, Config, Core, Effect, Input, Market, Need, Reply, Snapshot, View,
};
use crate::risk::{Ledger, LimitBook, OrderLimits};
use crate::store::{self, Inserted, JournalError};

/// Something that happens. Books, symbols and executions are named by numbers: modulo how many there are.
#[derive(Clone, Debug)]
enum Happening {
    /// An order for a book, of which so many percent are filled now, and the rest later.
    Order {
        book: usize,
        symbol: usize,
        side: Side,
        quantity: i64,
        price: i64,
        percent: i64,
    },
    /// What is left of an order is filled.
    Finish {
        order: usize,
        price: i64,
    },
    /// The broker corrects an execution.
    Correct {
        execution: usize,
        quantity: i64,
        price: i64,
    },
    /// The broker takes an execution back.
    Bust {
        execution: usize,
    },
    /// Somebody trades at the broker without the desk.
    External {
        symbol: usize,
        side: Side,
        quantity: i64,
        price: i64,
    },
    /// The broker has other cash and units than everything explains.
    Differ {
        cash: i64,
        symbol: usize,
        units: i64,
    },
    Cash {
        from: usize,
        to: usize,
        amount: i64,
    },
    Units {
        from: usize,
        to: usize,
        symbol: usize,
        quantity: i64,
        price: Option<i64>,
    },
    Reckon {
        book: usize,
        fifo: bool,
    },
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let (book, symbol, which) = (0..4usize, 0..2usize, 0..100usize);
    let (quantity, price) = (1..5_000i64, 5_000..15_000i64);
    prop_oneof![
        8 => (book.clone(), symbol.clone(), side.clone(), quantity.clone(), price.clone(), 0..=100i64).prop_map(
            |(book, symbol, side, quantity, price, percent)| {
                Happening::Order { book, symbol, side, quantity, price, percent }
            }
        ),
        3 => (which.clone(), price.clone()).prop_map(|(order, price)| Happening::Finish { order, price }),
        2 => (which.clone(), quantity.clone(), price.clone())
            .prop_map(|(execution, quantity, price)| Happening::Correct { execution, quantity, price }),
        2 => which.prop_map(|execution| Happening::Bust { execution }),
        1 => (symbol.clone(), side, quantity.clone(), price.clone())
            .prop_map(|(symbol, side, quantity, price)| Happening::External { symbol, side, quantity, price }),
        1 => (-10_000..10_000i64, symbol.clone(), -500..500i64)
            .prop_map(|(cash, symbol, units)| Happening::Differ { cash, symbol, units }),
        2 => (book.clone(), book.clone(), 1..500_000i64)
            .prop_map(|(from, to, amount)| Happening::Cash { from, to, amount }),
        4 => (book.clone(), book.clone(), symbol, -2_000..3_000i64, proptest::option::of(price)).prop_map(
            |(from, to, symbol, quantity, price)| Happening::Units { from, to, symbol, quantity, price }
        ),
        1 => (book, any::<bool>()).prop_map(|(book, fifo)| Happening::Reckon { book, fifo }),
        1 => Just(Happening::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_add_up_to_the_account_and_to_the_broker(story in proptest::collection::vec(happening(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for database in databases().await {
                let mut desk = Desk::open(&database).await;
                for happening in &story {
                    desk.happen(happening).await;
                    desk.check(happening);
                }
                desk.restart().await;
                desk.check(&Happening::Restart);
            }
        });
    }
}

#[tokio::test]
async fn what_open_orders_hold_back_cannot_be_moved() {
    for database in databases().await {
        let mut desk = Desk::open(&database).await;
        desk.happen(&buy(1, 1_000, 100)).await;
        desk.happen(&Happening::Order {
            book: 1,
            symbol: 0,
            side: Side::Sell,
            quantity: 600,
            price: 10_000,
            percent: 0,
        })
        .await;
        let moved = desk.act(desk.units(500)).await;
        assert!(matches!(moved, Err(BookRefusal::NotEnoughUnits { .. })), "{moved:?}");
        assert!(desk.act(desk.units(400)).await.is_ok());

        let order = desk.request(2, 1, Side::Buy, units_of(10_000));
        desk.place(order).await.unwrap();
        let free = desk.core.book.holdings(desk.books[2]).buying_power();
        let all = desk.core.book.holdings(desk.books[2]).cash;
        let refused = desk.act(cash(desk.books[2], None, all)).await;
        assert_eq!(refused.unwrap_err(), BookRefusal::NotEnoughCash { needed: all, free });
        assert!(desk.act(cash(desk.books[2], None, free)).await.is_ok());
    }
}

#[tokio::test]
async fn between_the_decision_and_the_commit_of_a_transfer_no_order_takes_what_leaves() {
    for database in databases().await {
        let mut desk = Desk::open(&database).await;
        let book = desk.books[1];
        let all = desk.core.book.holdings(book).cash;
        let act = cash(book, None, all);
        let command = Command::Books { act: Box::new(act), entry: Box::new(desk.entry()), ticket: 7 };
        let step =
            desk.core.step(vec![Input::Command(command)], History::default(), &Tape(desk.now), desk.now);
        assert!(desk.core.book.holdings(book).buying_power().is_zero(), "it is held back");
        let order = desk.request(1, 0, Side::Buy, units_of(1));
        assert!(desk.place(order.clone()).await.is_err(), "an order finds nothing");
        desk.core.failed(step, "the disk is full");
        assert_eq!(desk.core.book.holdings(book).buying_power(), all, "nothing was moved");
        desk.drive(vec![]).await;
        assert!(desk.place(order).await.is_ok());
    }
}

#[tokio::test]
async fn an_order_needs_the_cash_of_its_book_and_the_right_to_it() {
    for database in databases().await {
        let mut desk = Desk::open(&database).await;
        // 10,000 in the book, 80,000 in the account's own.
        let too_much = desk.request(1, 0, Side::Buy, units_of(200_000));
        assert_eq!(desk.place(too_much).await.unwrap_err(), "book_buying_power");
        let from_own = desk.request(0, 0, Side::Buy, units_of(200_000));
        assert!(desk.place(from_own).await.is_ok());

        let theirs = desk.request(1, 0, Side::Buy, units_of(1));
        desk.ctx = trader(desk.account.id, UserId::new(desk.now), Role::Trader, desk.now);
        assert_eq!(desk.place(theirs).await.unwrap_err(), "book_forbidden");
        let unknown =
            OrderRequest { book: Some(BookId::new(desk.now)), ..desk.request(1, 0, Side::Buy, units_of(1)) };
        assert_eq!(desk.place(unknown).await.unwrap_err(), "book_unknown");
    }
}

#[tokio::test]
async fn an_order_that_names_no_book_goes_to_the_one_of_its_author() {
    for database in databases().await {
        let mut desk = Desk::open(&database).await;
        let user = UserId::new(desk.now);
        let own = desk.open_book("Ann", Some(user.to_string()), None).await.unwrap();
        desk.ctx = trader(desk.account.id, user, Role::Trader, desk.now);
        let plain = OrderRequest { book: None, ..desk.request(0, 0, Side::Buy, units_of(1)) };
        assert_eq!(desk.place(plain.clone()).await.unwrap_err(), "book_buying_power", "it has no cash yet");
        let own_of_account = OrderRequest { book: Some(OWN_BOOK), ..plain.clone() };
        assert_eq!(desk.place(own_of_account).await.unwrap_err(), "book_forbidden");
        desk.act(cash(None, Some(own), Money(100.into()))).await.unwrap();
        let order = desk.place(plain).await.unwrap();
        assert_eq!(order.provenance.book, Some(own));
    }
}

#[tokio::test]
async fn a_book_is_opened_once_and_closed_only_when_it_is_empty() {
    for database in databases().await {
        let mut desk = Desk::open(&database).await;
        let user = Some(UserId::new(desk.now).to_string());
        let ann = desk.open_book("Ann", user.clone(), Some(Money(500.into()))).await.unwrap();
        let refused = |refusal: Result<BookId, BookRefusal>| refusal.unwrap_err().code();
        assert_eq!(refused(desk.open_book("Ann", None, None).await), "book_name_taken");
        assert_eq!(refused(desk.open_book("Bob", user.clone(), None).await), "book_owner_has_one");
        assert_eq!(refused(desk.open_book(" ", None, None).await), "book_name_invalid");
        assert_eq!(refused(desk.open_book("Bob", Some("?".into()), None).await), "book_owner_invalid");
        assert_eq!(
            refused(desk.open_book("Bob", None, Some(Money(1_000_000.into()))).await),
            "book_buying_power"
        );

        desk.books.push(Some(ann));
        desk.ledger.insert(Some(ann), Default::default());
        desk.happen(&buy(3, 1_000, 50)).await;
        let close = |desk: &Desk| desk.core.book.virtual_book(ann).unwrap().closed_at;
        assert_eq!(desk.act(BookAct::Close(ann)).await.unwrap_err().code(), "book_open_orders");
        desk.happen(&Happening::Finish { order: 0, price: 10_000 }).await;
        assert_eq!(desk.act(BookAct::Close(ann)).await.unwrap_err().code(), "book_not_flat");
        desk.happen(&Happening::Order {
            book: 3,
            symbol: 0,
            side: Side::Sell,
            quantity: 1_000,
            price: 11_000,
            percent: 100,
        })
        .await;
        assert_eq!(close(&desk), None);
        desk.act(BookAct::Close(ann)).await.unwrap();
        assert!(close(&desk).is_some() && desk.core.book.holdings(Some(ann)).cash.is_zero());

        desk.restart().await;
        assert!(close(&desk).is_some(), "it stays closed");
        let order = desk.request(3, 0, Side::Buy, units_of(1));
        assert_eq!(desk.place(order).await.unwrap_err(), "book_closed");
        assert!(desk.open_book("Ann 2", user, None).await.is_ok(), "the owner may have another");
    }
}

/// An account with three books: its own, with 80,000, and two with 10,000.
struct Desk {
    db: Database,
    account: Account,
    epoch: i64,
    core: Core,
    limits: LimitBook,
    holds: Ledger,
    ctx: Context,
    books: Vec<BookKey>,
    broker: Teller,
    /// What there must be in each book: cash, and units by symbol.
    ledger: BTreeMap<BookKey, (Money, BTreeMap<Symbol, Quantity>)>,
    now: Timestamp,
    names: u32,
}

impl Desk {
    async fn open(database: &TestDatabase) -> Self {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let db = database.open(Some(Arc::new(Unread))).await;
        let new =
            NewAccount { name: "A".into(), broker: "test".into(), mode: Mode::Paper, currency: "USD".into() };
        let account = crate::accounts::open(&db, &Context::operator(None, now), new).await.unwrap();
        let id = account.id;
        let epoch = db
            .write(move |tx: &mut Tx| Box::pin(async move { store::next_epoch(tx, id).await }))
            .await
            .unwrap();
        let core = read(&db, &account, now).await;
        let broker = Teller { cash: Money(100_000.into()), ..Teller::default() };
        let ctx = trader(id, UserId::new(now), Role::Manager, now);
        let limits = LimitBook::new(&OrderLimits::default(), now);
        let ledger = BTreeMap::from([(None, (broker.cash, BTreeMap::new()))]);
        let (holds, books, names) = (Ledger::new(), vec![None], 0);
        let mut desk =
            Self { db, account, epoch, core, limits, holds, ctx, books, broker, ledger, now, names };
        desk.drive(vec![]).await;
        for name in ["first", "second"] {
            let book = desk.open_book(name, None, Some(Money(10_000.into()))).await.unwrap();
            desk.books.push(Some(book));
        }
        desk
    }

    /// A new start on the same journal: everything is as it was.
    async fn restart(&mut self) {
        let (id, now) = (self.account.id, self.now);
        let accounts = crate::accounts::list(&self.db).await.unwrap();
        self.account = accounts.into_iter().find(|account| account.id == id).unwrap();
        self.epoch = self
            .db
            .write(move |tx: &mut Tx| Box::pin(async move { store::next_epoch(tx, id).await }))
            .await
            .unwrap();
        let core = read(&self.db, &self.account, now).await;
        same("the account", &self.core.book.whole, &core.book.whole);
        for (key, holdings) in &self.core.book.books {
            same(&format!("book {key:?}"), holdings, core.book.holdings(*key));
        }
        assert_eq!(
            self.core.book.virtual_books().collect::<Vec<_>>(),
            core.book.virtual_books().collect::<Vec<_>>()
        );
        self.core = core;
        self.drive(vec![]).await;
    }

    async fn happen(&mut self, happening: &Happening) {
        match happening.clone() {
            Happening::Order { book, symbol, side, quantity, price, percent } => {
                let quantity = units_of(quantity);
                let request = self.request(book, symbol, side, quantity);
                let Ok(order) = self.place(request).await else { return };
                self.drive(vec![]).await;
                let part = Quantity((quantity.0 * Decimal::new(percent, 2)).round_dp(3));
                self.fill(&order.id.to_string(), part, price_of(price)).await;
            }
            Happening::Finish { order, price } => {
                let open: Vec<(String, Quantity)> = self
                    .broker
                    .orders
                    .values()
                    .filter(|order| order.left.is_positive())
                    .map(|order| (order.client_order_id.clone(), order.left))
                    .collect();
                if let Some((id, left)) = pick(&open, order) {
                    self.fill(id, *left, price_of(price)).await;
                }
            }
            Happening::Correct { execution, quantity, price } => {
                let Some((id, was)) = self.broker.pick(execution) else { return };
                let quantity = units_of(quantity).min(was.quantity);
                let new = format!("{}c", was.execution_id);
                let by = Fill { execution_id: new, price: price_of(price), quantity, ..was.clone() };
                self.change(&id, OrderEvent::Corrected { execution_id: was.execution_id.clone(), by }).await;
            }
            Happening::Bust { execution } => {
                let Some((id, was)) = self.broker.pick(execution) else { return };
                self.change(&id, OrderEvent::Busted { execution_id: was.execution_id }).await;
            }
            Happening::External { symbol, side, quantity, price } => {
                self.names += 1;
                let id = format!("x{}", self.names);
                let order =
                    TellerOrder::new(&id, symbol_of(symbol), side, units_of(quantity), None, self.now);
                self.broker.orders.insert(id.clone(), order);
                self.fill(&id, units_of(quantity), price_of(price)).await;
            }
            Happening::Differ { cash, symbol, units } => {
                let (cash, units, symbol) =
                    (Money(Decimal::new(cash, 2)), units_of(units), symbol_of(symbol));
                self.broker.cash += cash;
                *self.broker.units.entry(symbol.clone()).or_default() += units;
                let own = self.ledger.get_mut(&None).unwrap();
                own.0 += cash;
                *own.1.entry(symbol).or_default() += units;
                let entry = Box::new(self.entry());
                self.drive(vec![Input::Command(Command::Reconcile { entry, ticket: 0 })]).await;
            }
            Happening::Cash { from, to, amount } => {
                let (from, to) = (self.book(from), self.book(to));
                let amount = Money(Decimal::new(amount, 2));
                let _ = self.act(cash(from, to, amount)).await;
            }
            Happening::Units { from, to, symbol, quantity, price } => {
                let price = price.map(price_of);
                let (from, to) = (self.book(from), self.book(to));
                let (symbol, quantity) = (symbol_of(symbol), units_of(quantity));
                let transfer = UnitTransfer { from, to, symbol, quantity, price, note: String::new() };
                self.names += 1;
                let _ = self.act(BookAct::MoveUnits { id: format!("t{}", self.names), transfer }).await;
            }
            Happening::Reckon { book, fifo } => {
                let method = if fifo { CostMethod::Fifo } else { CostMethod::Average };
                let book = self.book(book);
                self.act(BookAct::Reckon { book, method }).await.unwrap();
            }
            Happening::Restart => self.restart().await,
        }
    }

    /// Does something to the books, and to the ledger if it was done.
    async fn act(&mut self, act: BookAct) -> Result<BookDone, BookRefusal> {
        let command = Command::Books { act: Box::new(act.clone()), entry: Box::new(self.entry()), ticket: 7 };
        let done = self.drive(vec![Input::Command(command)]).await.expect("an answer")?;
        let mut give = |book: BookKey, cash: Money, units: Option<(&Symbol, Quantity)>| {
            let entry = self.ledger.entry(book).or_default();
            entry.0 += cash;
            if let Some((symbol, units)) = units {
                *entry.1.entry(symbol.clone()).or_default() += units;
            }
        };
        match &act {
            BookAct::Open { book, cash } => {
                give(None, -cash.unwrap_or_default(), None);
                give(Some(book.id), cash.unwrap_or_default(), None);
            }
            BookAct::MoveCash(moved) => {
                give(moved.from, -moved.amount, None);
                give(moved.to, moved.amount, None);
            }
            BookAct::MoveUnits { transfer, .. } => {
                let BookDone::MovedUnits(moved) = &done else { panic!("{done:?}") };
                let cash = moved.price * moved.quantity;
                give(transfer.from, cash, Some((&transfer.symbol, -moved.quantity)));
                give(transfer.to, -cash, Some((&transfer.symbol, moved.quantity)));
            }
            BookAct::Close(_) | BookAct::Reckon { .. } => {}
        }
        Ok(done)
    }

    async fn open_book(
        &mut self,
        name: &str,
        owner: Option<String>,
        cash: Option<Money>,
    ) -> Result<BookId, BookRefusal> {
        let book = VirtualBook {
            id: BookId::new(self.now),
            account: self.account.id,
            name: name.into(),
            kind: BookKind::Person,
            owner,
            cost_method: CostMethod::Fifo,
            opened_at: self.now,
            closed_at: None,
        };
        let id = book.id;
        self.act(BookAct::Open { book, cash }).await.map(|_| id)
    }

    /// Units to move from the first book to the second.
    fn units(&self, thousandths: i64) -> BookAct {
        let (from, to, quantity) = (self.books[1], self.books[2], units_of(thousandths));
        let transfer =
            UnitTransfer { from, to, symbol: symbol_of(0), quantity, price: None, note: String::new() };
        BookAct::MoveUnits { id: format!("moved {thousandths}"), transfer }
    }

    fn book(&self, number: usize) -> BookKey {
        self.books[number % self.books.len()]
    }

    fn entry(&self) -> AuditEntry {
        AuditEntry::by(&self.ctx, "test")
    }

    fn request(&mut self, book: usize, symbol: usize, side: Side, quantity: Quantity) -> OrderRequest {
        self.names += 1;
        let book = Some(self.book(book).unwrap_or(OWN_BOOK));
        let name = format!("o{}", self.names);
        let symbol = symbol_of(symbol);
        OrderRequest { book, ..OrderRequest::simple(name, symbol, side, quantity, None, TimeInForce::Gtc) }
    }

    /// Has an order accepted and journaled; or gives the code of the refusal.
    async fn place(&mut self, request: OrderRequest) -> Result<Order, &'static str> {
        self.ctx.at = self.now;
        let mut asking = Accepting {
            ctx: &self.ctx,
            market: &Tape(self.now),
            limits: &self.limits,
            ledger: &mut self.holds,
            approved_by: None,
        };
        let new = || OrderId::new(self.now);
        let accepted = self.core.accept(&mut asking, &request, new(), [new(), new()]);
        let accepted = accepted.map_err(|refused| crate::SubmitError::from(refused).code())?;
        let intent = accepted.intent(&self.ctx);
        let (account, epoch, order) = (self.account.id, self.epoch, intent.order.clone());
        let intents = vec![intent];
        let inserted: Result<Vec<Inserted>, JournalError> = self
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move { store::insert(tx, account, &intents, epoch).await })
            })
            .await;
        assert!(matches!(inserted.unwrap()[..], [Inserted::Yes]));
        self.core.journaled([order.id].into_iter());
        Ok(order)
    }

    /// The broker fills a part of an order.
    async fn fill(&mut self, client_order_id: &str, quantity: Quantity, price: Price) {
        if !quantity.is_positive() {
            return;
        }
        self.names += 1;
        let fee = Money((price.0 * quantity.0 * Decimal::new(1, 3)).round_dp(8));
        let execution_id = format!("e{}", self.names);
        let fill = Fill { execution_id, price, quantity, fee, at: self.now };
        self.change(client_order_id, OrderEvent::Filled(fill)).await;
    }

    /// Something happens to an execution: at the broker, in the ledger, and then the desk is told.
    async fn change(&mut self, client_order_id: &str, event: OrderEvent) {
        let order = self.broker.orders.get_mut(client_order_id).unwrap();
        let (symbol, side) = (order.symbol.clone(), order.side);
        let book = order.book;
        let (was, by) = match &event {
            OrderEvent::Filled(fill) => (None, Some(fill.clone())),
            OrderEvent::Corrected { execution_id, by } => (Some(execution_id.clone()), Some(by.clone())),
            OrderEvent::Busted { execution_id } => (Some(execution_id.clone()), None),
            _ => unreachable!("no such event is made"),
        };
        let mut moved = |fill: &Fill, sign: i64| {
            let sign = Decimal::from(sign);
            let cash = Money(PositionFill::of(side, fill).cash().0 * sign);
            let units = Quantity(
                fill.quantity.0 * sign * if side == Side::Buy { Decimal::ONE } else { -Decimal::ONE },
            );
            self.broker.cash += cash;
            *self.broker.units.entry(symbol.clone()).or_default() += units;
            let entry = self.ledger.entry(book).or_default();
            entry.0 += cash;
            *entry.1.entry(symbol.clone()).or_default() += units;
        };
        if let Some(was) = was {
            let place = order.fills.iter().position(|fill| fill.execution_id == was).unwrap();
            moved(&order.fills.remove(place), -1);
        }
        if let Some(by) = by {
            moved(&by, 1);
            if matches!(event, OrderEvent::Filled(_)) {
                order.left -= by.quantity;
            }
            order.fills.push(by);
        }
        let event_of = |event| BrokerEvent {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: order.broker_order_id.clone(),
            event: Some(event),
        };
        let told = event_of(event.clone());
        self.broker.executions.push(Execution {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: order.broker_order_id.clone(),
            symbol: symbol.clone(),
            side,
            event,
        });
        self.drive(vec![Input::Event(told)]).await;
    }

    /// Makes steps as the router does until nothing is left to do; what became of a command on books.
    async fn drive(&mut self, inputs: Vec<Input>) -> Option<Result<BookDone, BookRefusal>> {
        let mut inputs = inputs;
        let mut reply = None;
        loop {
            self.now += Duration::from_millis(100);
            let history = self.prepare(&inputs).await;
            let step = self.core.step(inputs, history, &Tape(self.now), self.now);
            let (batch, account, epoch) = (step.batch(), self.account.id, self.epoch);
            let written: Result<(), JournalError> = self
                .db
                .write(move |tx: &mut Tx| {
                    Box::pin(async move { store::journal(tx, account, epoch, &batch).await })
                })
                .await;
            written.unwrap();
            let effects = self.core.committed(step, &mut self.holds);
            inputs = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Reply(_, Reply::Books(done)) => reply = Some(done),
                    Effect::Reply(..) => {}
                    effect => inputs.extend(self.broker.perform(effect, self.now)),
                }
            }
            if inputs.is_empty() && self.core.book.blind.is_none() {
                return reply;
            }
        }
    }

    async fn prepare(&mut self, inputs: &[Input]) -> History {
        let mut connection = self.db.read().await.unwrap();
        for need in self.core.needs(inputs) {
            let live = match need {
                Need::Order(id) => store::load(&mut connection, id).await.unwrap(),
                Need::Named(name) => {
                    store::load_named(&mut connection, self.account.id, &name).await.unwrap()
                }
            };
            if let Some(live) = live {
                self.core.remember(live);
            }
        }
        let mut history = History::default();
        for symbol in self.core.needs_history(inputs) {
            history.extend(store::history(&mut connection, self.account.id, &symbol).await.unwrap());
        }
        history
    }

    fn check(&self, after: &Happening) {
        let book = &self.core.book;
        let sum = |of: &dyn Fn(&Holdings) -> Money| book.books.values().map(of).sum::<Money>();
        assert_eq!(book.whole.cash, self.broker.cash, "cash of the account after {after:?}");
        assert_eq!(sum(&|book| book.cash), book.whole.cash, "cash of the books after {after:?}");
        assert_eq!(sum(&|book| book.reserved), book.whole.reserved, "reserved after {after:?}");
        assert_eq!(sum(&|book| book.fees), book.whole.fees, "fees after {after:?}");
        assert_eq!(sum(&|book| book.funded), book.whole.funded, "paid in after {after:?}");
        for (key, (cash, units)) in &self.ledger {
            let own = &book.books[key];
            assert_eq!(own.cash, *cash, "cash of {key:?} after {after:?}");
            for symbol in symbols() {
                let expected = units.get(&symbol).copied().unwrap_or_default();
                assert_eq!(own.quantity(&symbol), expected, "{symbol} of {key:?} after {after:?}");
            }
        }
        for symbol in symbols() {
            let units = book.books.values().map(|own| own.quantity(&symbol)).sum::<Quantity>();
            let theirs = self.broker.units.get(&symbol).copied().unwrap_or_default();
            assert_eq!((book.whole.quantity(&symbol), units), (theirs, theirs), "{symbol} after {after:?}");
        }
        for price in [price_of(1), price_of(7_331), price_of(1_000_000)] {
            let profit = |holdings: &Holdings| {
                let valued = holdings.valued(|_| Some(price));
                valued.realised + valued.unrealised
            };
            assert_eq!(sum(&profit), profit(&book.whole), "profit at {price} after {after:?}");
            // What there is, is what was there at first, what came, and what was earned.
            let whole = book.whole.valued(|_| Some(price)).equity;
            let earned = whole - book.whole.funded - Money(100_000.into());
            assert_eq!(earned, profit(&book.whole), "equity at {price} after {after:?}");
        }
    }
}

/// The account as its journal says.
async fn read(db: &Database, account: &Account, now: Timestamp) -> Core {
    let id = account.id;
    let mut connection = db.read().await.unwrap();
    let books = store::books(&mut connection, id).await.unwrap();
    let methods = books.iter().map(|book| (Some(book.id), book.cost_method)).collect();
    let folded =
        store::fold_fills(&mut connection, id, account.cost_method, &methods, &mut |_, _, _, _| {}).await;
    let open = store::load_open(&mut connection, id).await.unwrap();
    let mut groups = Vec::new();
    for main in groups_of(&open) {
        groups.extend(store::load_group(&mut connection, main).await.unwrap());
    }
    let stored = Stored {
        opening_cash: store::opening_cash(&mut connection, id).await.unwrap(),
        flows: store::flows(&mut connection, id).await.unwrap(),
        kills: BTreeMap::new(),
        books,
        folded: folded.unwrap(),
        open,
        groups,
    };
    let config = Config { limits: OrderLimits::default(), tick: Duration::from_millis(10), seed: 1 };
    Core::new(account.clone(), profile(), config, assemble(account, stored, now), now)
}

fn same(what: &str, before: &Holdings, after: &Holdings) {
    let money = |of: &Holdings| (of.method, of.cash, of.funded, of.fees, of.reserved);
    assert_eq!(money(before), money(after), "money of {what} after a restart");
    let positions = |of: &Holdings| -> BTreeMap<Symbol, Position> {
        let untouched = Position::new(of.method);
        of.positions
            .iter()
            .filter(|(_, one)| **one != untouched)
            .map(|(s, p)| (s.clone(), p.clone()))
            .collect()
    };
    assert_eq!(positions(before), positions(after), "positions of {what} after a restart");
}

/// A broker: what was ordered and executed, and what that comes to.
#[derive(Default)]
struct Teller {
    cash: Money,
    units: BTreeMap<Symbol, Quantity>,
    /// By client order id.
    orders: BTreeMap<String, TellerOrder>,
    executions: Vec<Execution>,
}

struct TellerOrder {
    client_order_id: String,
    broker_order_id: String,
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    left: Quantity,
    /// As they stand.
    fills: Vec<Fill>,
    /// What comes from outside is for nobody in particular.
    book: BookKey,
    placed_at: Timestamp,
}

impl TellerOrder {
    fn new(
        id: &str,
        symbol: Symbol,
        side: Side,
        quantity: Quantity,
        book: BookKey,
        placed_at: Timestamp,
    ) -> Self {
        let broker_order_id = format!("b-{id}");
        let client_order_id = id.to_owned();
        let (left, fills) = (quantity, Vec::new());
        Self { client_order_id, broker_order_id, symbol, side, quantity, left, fills, book, placed_at }
    }

    fn as_broker_order(&self) -> BrokerOrder {
        BrokerOrder {
            broker_order_id: self.broker_order_id.clone(),
            client_order_id: self.client_order_id.clone(),
            terms: Terms {
                symbol: self.symbol.clone(),
                side: self.side,
                kind: OrderKind::Market,
                time_in_force: TimeInForce::Gtc,
                quantity: self.quantity,
                limit_price: None,
                stop_price: None,
                trail: None,
                extended_hours: false,
            },
            status: if self.left.is_positive() { BrokerStatus::Open } else { BrokerStatus::Filled },
            fills: self.fills.clone(),
            replaced_by: None,
            placed_at: self.placed_at,
        }
    }
}

impl Teller {
    /// One of the executions that stand, with its order.
    fn pick(&self, number: usize) -> Option<(String, Fill)> {
        let standing: Vec<(String, Fill)> = self
            .orders
            .values()
            .flat_map(|order| order.fills.iter().map(|fill| (order.client_order_id.clone(), fill.clone())))
            .collect();
        pick(&standing, number).cloned()
    }

    fn perform(&mut self, effect: Effect, now: Timestamp) -> Option<Input> {
        match effect {
            Effect::Submit(order) => {
                let id = order.id.to_string();
                let (symbol, side) = (order.request.symbol.clone(), order.request.side);
                let book = order.provenance.book;
                let placed = TellerOrder::new(&id, symbol, side, order.quantity, book, now);
                let answer = Ok(placed.broker_order_id.clone());
                self.orders.insert(id, placed);
                Some(Input::Sent { order: order.id, answer, took: Duration::ZERO })
            }
            Effect::Find { order, .. } => {
                let found = self.orders.get(&order.id.to_string()).map(TellerOrder::as_broker_order);
                Some(Input::Found { order: order.id, answer: Ok(found) })
            }
            Effect::Compare { known, events_before, .. } => {
                let open: Vec<BrokerOrder> = self
                    .orders
                    .values()
                    .filter(|order| order.left.is_positive())
                    .map(TellerOrder::as_broker_order)
                    .collect();
                let listed: BTreeSet<String> =
                    open.iter().map(|order| order.broker_order_id.clone()).collect();
                let missing = known.into_iter().filter(|order| {
                    order.broker_order_id.as_ref().is_none_or(|called| !listed.contains(called))
                });
                let find = |order: &Order| {
                    let called = order.broker_order_id.as_ref();
                    self.orders.values().find(|one| Some(&one.broker_order_id) == called)
                };
                let found =
                    missing.map(|order| (order.id, find(&order).map(TellerOrder::as_broker_order))).collect();
                let positions = self.units.iter().map(|(symbol, units)| (symbol.clone(), *units)).collect();
                let balances = Balances { cash: self.cash, positions };
                let executions = self.executions.clone();
                let snapshot =
                    Snapshot { open, found, executions, balances, actions: Vec::new(), events_before };
                Some(Input::Compared(Box::new(Ok(snapshot))))
            }
            Effect::Listen => Some(Input::Listening),
            Effect::Cancel(_) | Effect::Replace { .. } | Effect::Reply(..) => None,
        }
    }
}

/// An audit log that nobody reads.
struct Unread;

impl AuditChain for Unread {
    fn append<'t>(
        &'t self,
        _: &'t mut Connection,
        _: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A market that never moves and has room for everybody.
struct Tape(Timestamp);

impl View for Tape {
    fn quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)> {
        let side = |price: i64| Some((price_of(price), units_of(1_000_000_000)));
        let at = self.0;
        let quote = Quote {
            symbol: symbol.clone(),
            bid: side(9_990),
            ask: side(10_010),
            exchange: 1,
            at,
            received_at: None,
        };
        Some((quote, at))
    }

    fn price(&self, _: &Symbol) -> Option<Price> {
        Some(price_of(10_000))
    }
}

impl Market for Tape {
    fn instrument(&self, symbol: &Symbol) -> Option<Instrument> {
        Some(Instrument {
            symbol: symbol.clone(),
            base: "A".into(),
            quote: "USD".into(),
            price_increment: price_of(1),
            quantity_increment: units_of(1),
        })
    }
}

fn profile() -> Profile {
    Profile {
        name: "test",
        kinds: |_: OrderKind| Way::Broker,
        times: |_: TimeInForce| Way::Broker,
        classes: |_: OrderClass| Way::Broker,
        lacks: |_| None,
        notional: Way::Desk,
        extended_hours: Way::Broker,
        replace: Way::Broker,
        short: Way::No("nothing is lent here"),
        refuses_duplicates: true,
        settle_window: Duration::ZERO,
        requests_per_minute: 1_000_000,
        burst: 1_000_000,
    }
}

fn trader(account: AccountId, user: UserId, role: Role, at: Timestamp) -> Context {
    let grants = BTreeMap::from([(account, Access::Trade)]);
    Context::user(user, SessionId::new(at), role.permissions(), grants, None, RequestId::new(at), at)
}

fn buy(book: usize, quantity: i64, percent: i64) -> Happening {
    Happening::Order { book, symbol: 0, side: Side::Buy, quantity, price: 10_000, percent }
}

fn cash(from: BookKey, to: BookKey, amount: Money) -> BookAct {
    BookAct::MoveCash(CashTransfer { from, to, amount, note: "test".into() })
}

fn pick<T>(of: &[T], number: usize) -> Option<&T> {
    (!of.is_empty()).then(|| &of[number % of.len()])
}

fn symbols() -> [Symbol; 2] {
    [symbol_of(0), symbol_of(1)]
}

fn symbol_of(number: usize) -> Symbol {
    ["BTC-USD", "ETH-USD"][number % 2].parse().unwrap()
}

/// Thousandths of a unit.
fn units_of(thousandths: i64) -> Quantity {
    Quantity(Decimal::new(thousandths, 3))
}

/// Hundredths.
fn price_of(cents: i64) -> Price {
    Price(Decimal::new(cents, 2))
}
