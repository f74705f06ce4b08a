//! The paper venue: a broker of its own, with its own durable book, filling orders against the live market.
//!
//! It is reached through [`Broker`] like any other, and knows nothing of the desk. One task owns its book: it takes
//! what came in (orders, cancels, quotes, trades), matches, commits, and only then answers and tells its streams. So
//! what it told is on its disk.
//!
//! How it fills is said in [`matching`].

mod matching;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, Clock, Decimal, Fill, Money, Order, OrderEvent, Quantity, Side, Symbol, TimeInForce, Timestamp,
};
use market::{Market, MarketEvent};
use rustc_hash::FxHashMap;
use storage::{Database, StorageError, Tx};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::matching::{Match, Matcher, Resting};
use self::store::{Rows, VenueStatus, WriteError};
use crate::broker::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Execution, SubmitFailure,
};

/// How the venue behaves.
#[derive(Clone, Debug)]
pub struct PaperSettings {
    /// What it takes of every fill, in basis points of the notional.
    pub fee_bps: Decimal,
    /// How long the desk waits before it believes that the venue does not have an order.
    pub settle_window: Duration,
}

impl Default for PaperSettings {
    fn default() -> Self {
        Self { fee_bps: Decimal::from(10), settle_window: Duration::from_secs(2) }
    }
}

/// The paper venue. Cheap to clone.
#[derive(Clone)]
pub struct PaperVenue {
    db: Database,
    settings: PaperSettings,
    requests: mpsc::Sender<Request>,
}

/// Requests that may wait.
const WAITING: usize = 4_096;
/// Inputs that share one commit at most.
const BATCH: usize = 256;
/// Events that a reader of a stream may be behind before the stream is cut.
const STREAM: usize = 4_096;
/// How often orders for the day are looked at.
const DAY_CHECK: Duration = Duration::from_secs(1);

impl PaperVenue {
    /// Opens the venue on a SQLite file of its own. It trades until `stop`.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub async fn open(
        path: &Path,
        market: &Market,
        clock: Arc<dyn Clock>,
        settings: PaperSettings,
        stop: &CancellationToken,
    ) -> Result<Self, StorageError> {
        let db = Database::open_file(path, &sqlx::migrate!("./venue")).await?;
        let state = State::load(&db, market).await?;
        let (requests, inbox) = mpsc::channel(WAITING);
        let floor = Floor {
            db: db.clone(),
            settings: settings.clone(),
            clock,
            market: market.clone(),
            state,
            streams: HashMap::new(),
        };
        tokio::spawn(floor.run(inbox, market.subscribe(), stop.clone()));
        Ok(Self { db, settings, requests })
    }

    /// Opens an account with cash. One that exists is left as it is.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn open_account(&self, account: AccountId, cash: Money) -> Result<(), StorageError> {
        self.db
            .write(move |tx: &mut Tx| Box::pin(async move { store::open_account(tx, account, cash).await }))
            .await?;
        let (done, opened) = oneshot::channel();
        self.requests
            .send(Request::Opened { account, cash, done })
            .await
            .map_err(|_| StorageError::Abandoned)?;
        opened.await.map_err(|_| StorageError::Abandoned)
    }

    /// One account of the venue, as a broker.
    pub fn broker(&self, account: AccountId) -> Arc<dyn Broker> {
        Arc::new(PaperAccount { venue: self.clone(), account })
    }

    /// Closes the venue's file, after what is waiting to be written. Stop it first.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

enum Request {
    Opened { account: AccountId, cash: Money, done: oneshot::Sender<()> },
    Submit { order: Box<Order>, reply: oneshot::Sender<Result<String, SubmitFailure>> },
    Cancel { account: AccountId, client_order_id: String, reply: oneshot::Sender<Result<(), CancelFailure>> },
    Stream { account: AccountId, events: mpsc::Sender<BrokerEvent>, opened: oneshot::Sender<()> },
}

enum Input {
    Request(Request),
    Market(MarketEvent),
    DayCheck,
}

/// What is told once the commit stands.
enum Told {
    Submitted(oneshot::Sender<Result<String, SubmitFailure>>, Result<String, SubmitFailure>),
    Canceled(oneshot::Sender<Result<(), CancelFailure>>, Result<(), CancelFailure>),
    Event(AccountId, BrokerEvent),
}

/// What the venue has in memory of its book.
struct State {
    matcher: Matcher,
    accounts: FxHashMap<AccountId, Holdings>,
    next_seq: i64,
}

#[derive(Default)]
struct Holdings {
    cash: Money,
    positions: FxHashMap<Symbol, Quantity>,
    /// What open buy orders may still cost, without fees.
    buying: Money,
    /// Units that open sell orders may still deliver.
    selling: FxHashMap<Symbol, Quantity>,
}

impl Holdings {
    /// Holds back what a quantity of an order needs.
    fn hold(&mut self, order: &Resting, quantity: Quantity) {
        match order.side {
            Side::Buy => self.buying += order.reserve_price * quantity,
            Side::Sell => *self.selling.entry(order.symbol.clone()).or_default() += quantity,
        }
    }

    /// Gives it back.
    fn release(&mut self, order: &Resting, quantity: Quantity) {
        self.hold(order, -quantity);
    }
}

impl State {
    async fn load(db: &Database, market: &Market) -> Result<Self, StorageError> {
        let mut connection = db.read().await?;
        let mut matcher = Matcher::default();
        for symbol in market.symbols() {
            if let Some(quote) = market.quote(&symbol) {
                matcher.quote(&quote);
            }
        }
        for resting in store::open_orders(&mut connection).await? {
            matcher.restore(resting);
        }
        let mut accounts: FxHashMap<AccountId, Holdings> = FxHashMap::default();
        for (account, cash) in store::accounts(&mut connection).await? {
            accounts.insert(account, Holdings { cash, ..Holdings::default() });
        }
        for (account, symbol, quantity) in store::positions(&mut connection).await? {
            accounts.entry(account).or_default().positions.insert(symbol, quantity);
        }
        for order in matcher.orders() {
            accounts.entry(order.account).or_default().hold(order, order.leaves());
        }
        let next_seq = store::last_seq(&mut connection).await? + 1;
        Ok(Self { matcher, accounts, next_seq })
    }
}

/// The task that owns the book.
struct Floor {
    db: Database,
    settings: PaperSettings,
    clock: Arc<dyn Clock>,
    market: Market,
    state: State,
    streams: HashMap<AccountId, Vec<mpsc::Sender<BrokerEvent>>>,
}

impl Floor {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Request>,
        mut tape: broadcast::Receiver<MarketEvent>,
        stop: CancellationToken,
    ) {
        let mut day_check = tokio::time::interval(DAY_CHECK);
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => return,
                Some(request) = inbox.recv() => Input::Request(request),
                event = tape.recv() => match event {
                    Ok(event) => Input::Market(event),
                    // Prints were missed; nothing can be filled against what was not seen.
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                _ = day_check.tick() => Input::DayCheck,
            };
            let mut inputs = vec![first];
            while inputs.len() < BATCH {
                if let Ok(request) = inbox.try_recv() {
                    inputs.push(Input::Request(request));
                } else if let Ok(event) = tape.try_recv() {
                    inputs.push(Input::Market(event));
                } else {
                    break;
                }
            }
            self.work(inputs).await;
        }
    }

    /// Matches what came in, commits, tells.
    async fn work(&mut self, inputs: Vec<Input>) {
        let now = self.clock.now();
        let mut rows = Rows::default();
        let mut told = Vec::new();
        for input in inputs {
            match input {
                Input::Request(request) => self.take(&mut rows, &mut told, request, now).await,
                Input::Market(MarketEvent::Quote(quote)) => {
                    let matches = self.state.matcher.quote(&quote);
                    self.book(&mut rows, &mut told, matches, now);
                }
                Input::Market(MarketEvent::Trade(trade)) => {
                    let matches = self.state.matcher.trade(&trade);
                    self.book(&mut rows, &mut told, matches, now);
                }
                Input::Market(_) => {}
                Input::DayCheck => self.end_of_day(&mut rows, &mut told, now),
            }
        }
        if rows.is_empty() {
            self.tell(told);
            return;
        }
        let written = self.db.write(move |tx: &mut Tx| Box::pin(async move { rows.write(tx).await })).await;
        match written {
            Ok(()) => self.tell(told),
            Err(error) => self.undo(told, &error).await,
        }
    }

    async fn take(&mut self, rows: &mut Rows, told: &mut Vec<Told>, request: Request, now: Timestamp) {
        match request {
            Request::Opened { account, cash, done } => {
                self.state.accounts.entry(account).or_insert(Holdings { cash, ..Holdings::default() });
                let _ = done.send(());
            }
            Request::Stream { account, events, opened } => {
                self.streams.entry(account).or_default().push(events);
                let _ = opened.send(());
            }
            Request::Submit { order, reply } => {
                let answer = self.submit(rows, told, &order, now).await;
                told.push(Told::Submitted(reply, answer));
            }
            Request::Cancel { account, client_order_id, reply } => {
                let answer = match self.state.matcher.remove(account, &client_order_id) {
                    Some(resting) => {
                        self.end(rows, told, &resting, VenueStatus::Canceled);
                        Ok(())
                    }
                    None => Err(CancelFailure::Refused("the venue has no such open order".into())),
                };
                told.push(Told::Canceled(reply, answer));
            }
        }
    }

    async fn submit(
        &mut self,
        rows: &mut Rows,
        told: &mut Vec<Told>,
        order: &Order,
        now: Timestamp,
    ) -> Result<String, SubmitFailure> {
        let client_order_id = order.id.to_string();
        match self.is_known(rows, order.account, &client_order_id).await {
            Ok(false) => {}
            Ok(true) => return Err(SubmitFailure::Refused("client_order_id must be unique".into())),
            Err(error) => return Err(SubmitFailure::NotReached(error.to_string())),
        }
        self.check(order).map_err(SubmitFailure::Refused)?;
        let seq = self.state.next_seq;
        self.state.next_seq += 1;
        let id = format!("P-{seq}");
        let request = &order.request;
        let resting = Resting {
            id: id.clone(),
            seq,
            account: order.account,
            client_order_id,
            symbol: request.symbol.clone(),
            side: request.side,
            kind: request.kind,
            time_in_force: request.time_in_force,
            quantity: request.quantity,
            limit_price: request.limit_price,
            reserve_price: request
                .limit_price
                .or(self.state.matcher.ask(&request.symbol))
                .unwrap_or_default(),
            filled: Quantity::ZERO,
            queue_ahead: Quantity::ZERO,
            placed_at: now,
        };
        let acknowledged = OrderEvent::Acknowledged { broker_order_id: id.clone() };
        told.push(event(&resting, acknowledged));
        self.state.accounts.entry(resting.account).or_default().hold(&resting, resting.quantity);
        let matches = self.state.matcher.place(resting, rows);
        self.book(rows, told, matches, now);
        Ok(id)
    }

    async fn is_known(
        &self,
        rows: &Rows,
        account: AccountId,
        client_order_id: &str,
    ) -> Result<bool, StorageError> {
        if rows.has(account, client_order_id) {
            return Ok(true);
        }
        store::exists(&mut *self.db.read().await?, account, client_order_id).await
    }

    /// Whether the venue takes an order: it trusts nobody's checks but its own.
    fn check(&self, order: &Order) -> Result<(), String> {
        let request = &order.request;
        let holdings = self.state.accounts.get(&order.account).ok_or("the venue has no such account")?;
        if self.market.instrument(&request.symbol).is_none() {
            return Err(format!("{} is not traded here", request.symbol));
        }
        if !request.quantity.is_positive() || request.limit_price.is_some_and(|price| !price.is_positive()) {
            return Err("quantity and price must be above zero".into());
        }
        match request.side {
            Side::Sell => {
                let held = holdings.positions.get(&request.symbol).copied().unwrap_or_default();
                let free = held - holdings.selling.get(&request.symbol).copied().unwrap_or_default();
                if request.quantity > free {
                    return Err(format!("insufficient quantity: {free} available"));
                }
            }
            Side::Buy => {
                let ask = self.state.matcher.ask(&request.symbol);
                let price = request.limit_price.or(ask).unwrap_or_default();
                let cost = self.with_fee(price * request.quantity);
                let free = holdings.cash - self.with_fee(holdings.buying);
                if cost > free {
                    return Err(format!("insufficient buying power: {} available", free.0.round_dp(2)));
                }
            }
        }
        Ok(())
    }

    fn with_fee(&self, notional: Money) -> Money {
        Money(notional.0 + self.fee(notional).0)
    }

    fn fee(&self, notional: Money) -> Money {
        Money((notional.0 * self.settings.fee_bps / Decimal::from(10_000)).round_dp(8))
    }

    /// Books matches into the accounts.
    fn book(&mut self, rows: &mut Rows, told: &mut Vec<Told>, matches: Vec<Match>, now: Timestamp) {
        for Match { order, price, quantity, number } in matches {
            let notional = price * quantity;
            let fill = Fill {
                execution_id: format!("{}-{number}", order.id),
                price,
                quantity,
                fee: self.fee(notional),
                at: now,
            };
            let holdings = self.state.accounts.entry(order.account).or_default();
            holdings.release(&order, quantity);
            let position = holdings.positions.entry(order.symbol.clone()).or_default();
            match order.side {
                Side::Buy => {
                    holdings.cash -= notional + fill.fee;
                    *position += quantity;
                }
                Side::Sell => {
                    holdings.cash += notional - fill.fee;
                    *position -= quantity;
                }
            }
            rows.execution(&order, &fill);
            rows.holdings(order.account, holdings.cash, &order.symbol, *position);
            let status = if order.filled == order.quantity { VenueStatus::Filled } else { VenueStatus::Open };
            rows.order(&order, status);
            told.push(event(&order, OrderEvent::Filled(fill)));
        }
    }

    fn end(&mut self, rows: &mut Rows, told: &mut Vec<Told>, resting: &Resting, status: VenueStatus) {
        self.state.accounts.entry(resting.account).or_default().release(resting, resting.leaves());
        rows.order(resting, status);
        let what = match status {
            VenueStatus::Canceled => OrderEvent::Canceled,
            _ => OrderEvent::Expired { reason: "the day ended".into() },
        };
        told.push(event(resting, what));
    }

    /// Expires orders for a day that is over. The day is the UTC day: the market never closes.
    fn end_of_day(&mut self, rows: &mut Rows, told: &mut Vec<Told>, now: Timestamp) {
        let day = |at: Timestamp| at.as_second().div_euclid(86_400);
        let over = |resting: &Resting| {
            resting.time_in_force == TimeInForce::Day && day(resting.placed_at) < day(now)
        };
        for resting in self.state.matcher.take(over) {
            self.end(rows, told, &resting, VenueStatus::Expired);
        }
    }

    fn tell(&mut self, told: Vec<Told>) {
        for one in told {
            match one {
                Told::Submitted(reply, answer) => {
                    let _ = reply.send(answer);
                }
                Told::Canceled(reply, answer) => {
                    let _ = reply.send(answer);
                }
                Told::Event(account, event) => {
                    // A reader that is too far behind loses its stream, and finds out by asking.
                    if let Some(streams) = self.streams.get_mut(&account) {
                        streams.retain(|stream| stream.try_send(event.clone()).is_ok());
                    }
                }
            }
        }
    }

    /// Nothing of the batch happened: the book is as it is on the disk.
    async fn undo(&mut self, told: Vec<Told>, error: &WriteError) {
        tracing::error!(%error, "the paper venue could not store what it did");
        for one in told {
            match one {
                Told::Submitted(reply, _) => {
                    let _ = reply.send(Err(SubmitFailure::Lost(error.to_string())));
                }
                Told::Canceled(reply, _) => {
                    let _ = reply.send(Err(CancelFailure::Unreachable(error.to_string())));
                }
                Told::Event(..) => {}
            }
        }
        match State::load(&self.db, &self.market).await {
            Ok(state) => self.state = state,
            Err(error) => tracing::error!(%error, "the paper venue cannot read its book"),
        }
    }
}

fn event(order: &Resting, event: OrderEvent) -> Told {
    Told::Event(order.account, BrokerEvent { client_order_id: order.client_order_id.clone(), event })
}

/// One account of the venue.
struct PaperAccount {
    venue: PaperVenue,
    account: AccountId,
}

#[async_trait]
impl Broker for PaperAccount {
    fn settle_window(&self) -> Duration {
        self.venue.settings.settle_window
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Submit { order: Box::new(order.clone()), reply };
        self.venue
            .requests
            .try_send(request)
            .map_err(|_| SubmitFailure::NotReached("the paper venue takes no requests".into()))?;
        answer.await.unwrap_or_else(|_| Err(SubmitFailure::Lost("the paper venue stopped".into())))
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Cancel { account: self.account, client_order_id: order.id.to_string(), reply };
        let stopped = || CancelFailure::Unreachable("the paper venue takes no requests".into());
        self.venue.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        store::find(&mut connection, self.account, &order.id.to_string()).await.map_err(unreachable)
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        store::executions(&mut connection, self.account, since).await.map_err(unreachable)
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        store::balances(&mut connection, self.account).await.map_err(unreachable)
    }

    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        let (events, stream) = mpsc::channel(STREAM);
        let (opened, open) = oneshot::channel();
        let request = Request::Stream { account: self.account, events, opened };
        let stopped = || BrokerUnreachable("the paper venue takes no requests".into());
        self.venue.requests.send(request).await.map_err(|_| stopped())?;
        // Only once it is open is everything told on it: what the caller asks for after this leaves no gap.
        open.await.map_err(|_| stopped())?;
        Ok(stream)
    }
}

fn unreachable(error: StorageError) -> BrokerUnreachable {
    BrokerUnreachable(error.to_string())
}
