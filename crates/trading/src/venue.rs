//! The paper venue: a broker of its own, with its own durable book, filling orders against the live market.
//!
//! It is reached through [`Broker`] like any other, and knows nothing of the desk. What it does with orders, market and
//! time is in [`exchange`], which is pure. One task gives it what came in, commits the rows that come out, and only then
//! answers and tells its streams. So what it told is on its disk. What it does wrong on request is in [`misbehave`].

mod account;
mod auction;
mod book;
mod calendar;
pub(crate) mod exchange;
mod misbehave;
mod order;
pub(crate) mod random;
pub(crate) mod settings;
mod store;

#[cfg(test)]
mod drills;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, Clock, Money, Order, Origin, Price, Quantity, Reason, Symbol, Timestamp};
use market::{Market, MarketEvent};
use storage::{Database, StorageError, Tx};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) use self::book::View;
pub use self::calendar::{Calendar, Hours};
pub use self::exchange::NoSuchExecution;
#[allow(unused_imports, reason = "who has no file stores the rows elsewhere")]
pub(crate) use self::exchange::{Batch, Exchange, Rows, Stored};
pub(crate) use self::misbehave::{Asked, Fate, Mischief};
pub use self::settings::{Class, Fees, Latency, Misbehave, PaperSettings, Rules, Short, Slippage};
use crate::broker::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Execution, Profile,
    Refusal, SubmitFailure,
};

/// The paper venue. Cheap to clone.
#[derive(Clone)]
pub struct PaperVenue {
    db: Database,
    profile: Arc<Profile>,
    answer_within: Duration,
    requests: mpsc::Sender<Request>,
}

/// Requests that may wait.
const WAITING: usize = 4_096;
/// Inputs that share one commit at most.
const BATCH: usize = 256;
/// Events that a reader of a stream may be behind before the stream is cut.
const STREAM: usize = 4_096;
/// How long the venue goes without looking at the clock.
const TICK: Duration = Duration::from_secs(1);

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
        let profile = Arc::new(settings.profile());
        let answer_within = settings.answer_within;
        let (requests, inbox) = mpsc::channel(WAITING);
        let mut floor = Floor {
            db: db.clone(),
            clock,
            market: market.clone(),
            exchange: Exchange::new(settings.clone(), settings.seed),
            mischief: Mischief::new(settings.misbehave.clone(), settings.seed),
            settings,
            streams: BTreeMap::new(),
            hanging: Hanging::default(),
        };
        floor.load().await?;
        tokio::spawn(floor.run(inbox, market.subscribe(), stop.clone()));
        Ok(Self { db, profile, answer_within, requests })
    }

    /// Opens an account with cash. One that exists is left as it is.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn open_account(&self, account: AccountId, cash: Money) -> Result<(), StorageError> {
        self.have_done(|done| Request::Open { account, cash, done }).await
    }

    /// Money comes into an account from nowhere; below zero it leaves. Without effect on an account that is not open.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn deposit(&self, account: AccountId, amount: Money) -> Result<(), StorageError> {
        self.have_done(|done| Request::Deposit { account, amount, done }).await
    }

    /// One account of the venue, as a broker.
    pub fn broker(&self, account: AccountId) -> Arc<dyn Broker> {
        Arc::new(PaperAccount { venue: self.clone(), account })
    }

    /// From now on the venue behaves like this. What hung is done when it no longer hangs.
    ///
    /// # Errors
    /// The venue has stopped.
    pub async fn misbehave(&self, how: Misbehave) -> Result<(), StorageError> {
        self.have_done(|done| Request::Misbehave { how, done }).await
    }

    /// Halts trading in a symbol, or lets it go on. A halt outlives a restart.
    ///
    /// # Errors
    /// It could not be stored.
    pub async fn halt(&self, symbol: Symbol, halted: bool) -> Result<(), StorageError> {
        self.have_done(|done| Request::Halt { symbol, halted, done }).await
    }

    /// Takes an execution back, as an exchange does with an obvious error.
    ///
    /// # Errors
    /// There is none with this id, or it could not be stored.
    pub async fn bust(&self, account: AccountId, execution_id: &str) -> Result<(), AmendFailure> {
        self.amend(account, execution_id, None).await
    }

    /// Corrects price and quantity of an execution.
    ///
    /// # Errors
    /// There is none with this id, or it could not be stored.
    pub async fn correct(
        &self,
        account: AccountId,
        execution_id: &str,
        price: Price,
        quantity: Quantity,
    ) -> Result<(), AmendFailure> {
        self.amend(account, execution_id, Some((price, quantity))).await
    }

    /// Closes the venue's file, after what is waiting to be written. Stop it first.
    pub async fn close(&self) {
        self.db.close().await;
    }

    async fn amend(
        &self,
        account: AccountId,
        execution_id: &str,
        by: Option<(Price, Quantity)>,
    ) -> Result<(), AmendFailure> {
        let execution_id = execution_id.to_owned();
        let (done, answer) = oneshot::channel();
        let request = Request::Amend { account, execution_id, by, done };
        self.requests.send(request).await.map_err(|_| StorageError::Abandoned)?;
        answer.await.unwrap_or(Err(AmendFailure::Storage(StorageError::Abandoned)))
    }

    /// Has something done by the venue that nothing can come in the way of.
    async fn have_done(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), StorageError>>) -> Request,
    ) -> Result<(), StorageError> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| StorageError::Abandoned)?;
        answer.await.unwrap_or(Err(StorageError::Abandoned))
    }
}

/// Why an execution was not corrected or taken back.
#[derive(Debug, thiserror::Error)]
pub enum AmendFailure {
    /// There is none with this id, or it was taken back before.
    #[error(transparent)]
    NoSuchExecution(#[from] NoSuchExecution),
    /// The venue's file failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What the venue is asked for. Those of the first kind come from the desk, and misbehaviour befalls them.
enum Request {
    Submit {
        order: Box<Order>,
        reply: Reply<SubmitFailure, String>,
    },
    Replace {
        order: Box<Order>,
        by: Box<Order>,
        reply: Reply<SubmitFailure, String>,
    },
    Cancel {
        account: AccountId,
        client_order_id: String,
        reply: Reply<CancelFailure, ()>,
    },
    /// May a question be asked now? The answer is the moment before which an order must be placed to be seen.
    Ask {
        reply: Reply<BrokerUnreachable, Timestamp>,
    },
    Stream {
        account: AccountId,
        events: mpsc::Sender<BrokerEvent>,
        reply: Reply<BrokerUnreachable, ()>,
    },

    Open {
        account: AccountId,
        cash: Money,
        done: Reply<StorageError, ()>,
    },
    Deposit {
        account: AccountId,
        amount: Money,
        done: Reply<StorageError, ()>,
    },
    Halt {
        symbol: Symbol,
        halted: bool,
        done: Reply<StorageError, ()>,
    },
    Misbehave {
        how: Misbehave,
        done: Reply<StorageError, ()>,
    },
    Amend {
        account: AccountId,
        execution_id: String,
        by: Option<(Price, Quantity)>,
        done: Reply<AmendFailure, ()>,
    },
}

type Reply<E, T> = oneshot::Sender<Result<T, E>>;

impl Request {
    /// What of the desk's requests it is; `None` is not from the desk.
    fn asked(&self) -> Option<Asked> {
        match self {
            Self::Submit { .. } => Some(Asked::Submit),
            Self::Replace { .. } | Self::Cancel { .. } => Some(Asked::Change),
            Self::Ask { .. } | Self::Stream { .. } => Some(Asked::Question),
            Self::Open { .. }
            | Self::Deposit { .. }
            | Self::Halt { .. }
            | Self::Misbehave { .. }
            | Self::Amend { .. } => None,
        }
    }

    /// Answers that nobody is there.
    fn refuse_dead(self) {
        let text = || "the paper venue is down: connection refused".to_owned();
        match self {
            Self::Submit { reply, .. } | Self::Replace { reply, .. } => {
                let _ = reply.send(Err(SubmitFailure::NotReached(text())));
            }
            Self::Cancel { reply, .. } => {
                let _ = reply.send(Err(CancelFailure::Unreachable(text())));
            }
            Self::Ask { reply } => {
                let _ = reply.send(Err(BrokerUnreachable(text())));
            }
            Self::Stream { reply, .. } => {
                let _ = reply.send(Err(BrokerUnreachable(text())));
            }
            _ => {}
        }
    }

    /// Answers that it is not done: too many requests, or the venue is out of order.
    fn refuse(self, reason: Reason) {
        let text = if reason == Reason::RateLimited { "429 too many requests" } else { "503 unavailable" };
        match self {
            Self::Submit { reply, .. } | Self::Replace { reply, .. } => {
                let failure = match reason {
                    Reason::RateLimited => SubmitFailure::Refused(Refusal::new(reason, text)),
                    // Whoever gets such an answer cannot know whether the order was taken.
                    _ => SubmitFailure::Lost(text.to_owned()),
                };
                let _ = reply.send(Err(failure));
            }
            Self::Cancel { reply, .. } => {
                let failure = match reason {
                    Reason::RateLimited => CancelFailure::Refused(Refusal::new(reason, text)),
                    _ => CancelFailure::Unreachable(text.to_owned()),
                };
                let _ = reply.send(Err(failure));
            }
            Self::Ask { reply } => {
                let _ = reply.send(Err(BrokerUnreachable(text.to_owned())));
            }
            Self::Stream { reply, .. } => {
                let _ = reply.send(Err(BrokerUnreachable(text.to_owned())));
            }
            _ => {}
        }
    }
}

enum Input {
    Request(Request),
    Market(MarketEvent),
    Tick,
}

/// An answer that is given once the commit stands.
enum Answer {
    Submitted(Reply<SubmitFailure, String>, Result<String, SubmitFailure>),
    Canceled(Reply<CancelFailure, ()>, Result<(), CancelFailure>),
    Asked(Reply<BrokerUnreachable, Timestamp>, Timestamp),
    Streaming(Reply<BrokerUnreachable, ()>),
    Done(Reply<StorageError, ()>),
    Amended(Reply<AmendFailure, ()>, Result<(), AmendFailure>),
}

impl Answer {
    fn give(self) {
        // Who asked may have given up by now.
        match self {
            Self::Submitted(reply, answer) => drop(reply.send(answer)),
            Self::Canceled(reply, answer) => drop(reply.send(answer)),
            Self::Asked(reply, at) => drop(reply.send(Ok(at))),
            Self::Streaming(reply) => drop(reply.send(Ok(()))),
            Self::Done(reply) => drop(reply.send(Ok(()))),
            Self::Amended(reply, answer) => drop(reply.send(answer)),
        }
    }

    /// Says that nothing of it was stored.
    fn fail(self, why: &str) {
        match self {
            Self::Submitted(reply, _) => drop(reply.send(Err(SubmitFailure::Lost(why.to_owned())))),
            Self::Canceled(reply, _) => drop(reply.send(Err(CancelFailure::Unreachable(why.to_owned())))),
            Self::Asked(reply, _) => drop(reply.send(Err(BrokerUnreachable(why.to_owned())))),
            Self::Streaming(reply) => drop(reply.send(Err(BrokerUnreachable(why.to_owned())))),
            Self::Done(reply) => drop(reply.send(Err(StorageError::Abandoned))),
            Self::Amended(reply, _) => drop(reply.send(Err(StorageError::Abandoned.into()))),
        }
    }
}

/// What waits until the venue no longer hangs.
#[derive(Default)]
struct Hanging {
    requests: Vec<Request>,
    answers: Vec<Answer>,
}

/// The task that owns the exchange.
struct Floor {
    db: Database,
    settings: PaperSettings,
    clock: Arc<dyn Clock>,
    market: Market,
    exchange: Exchange,
    mischief: Mischief,
    streams: BTreeMap<AccountId, Vec<mpsc::Sender<BrokerEvent>>>,
    hanging: Hanging,
}

impl Floor {
    /// Takes up the book as it is on the disk, and the market as it is now.
    async fn load(&mut self) -> Result<(), StorageError> {
        let stored = store::load(&mut *self.db.read().await?).await?;
        let now = self.clock.now();
        self.exchange = Exchange::restore(self.settings.clone(), self.settings.seed, &stored, now);
        for symbol in self.market.symbols() {
            let mut view = View::blank(symbol.clone());
            if let Some(quote) = self.market.quote(&symbol) {
                view.show(&quote);
            }
            view.last = self.market.last_price(&symbol);
            self.exchange.see(view);
            self.exchange.extend_listing(self.market.instrument(&symbol));
        }
        Ok(())
    }

    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Request>,
        mut tape: broadcast::Receiver<MarketEvent>,
        stop: CancellationToken,
    ) {
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
                () = tokio::time::sleep(self.wait()) => Input::Tick,
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

    /// How long nothing happens by itself.
    fn wait(&self) -> Duration {
        let next = self.exchange.next_at().into_iter().chain(self.mischief.next_at()).min();
        let wait = next.map(|next| next.duration_since(self.clock.now()));
        let wait = wait.map_or(TICK, |wait| Duration::try_from(wait).unwrap_or_default());
        wait.clamp(Duration::from_millis(1), TICK)
    }

    /// Does what came in, commits, answers and tells.
    async fn work(&mut self, inputs: Vec<Input>) {
        // The disk keeps microseconds: what is told is to be what is listed.
        let now = domain::from_micros(domain::micros(self.clock.now()));
        let mut answers = Vec::new();
        for input in inputs {
            match input {
                Input::Request(request) => self.meet(&mut answers, request, now).await,
                Input::Market(MarketEvent::Quote(quote)) => self.exchange.quote(&quote, now),
                Input::Market(MarketEvent::Trade(trade)) => self.exchange.trade(&trade, now),
                Input::Market(_) => {}
                Input::Tick => self.exchange.clock(now),
            }
        }
        let Batch { rows, told } = self.exchange.drain();
        if !rows.is_empty() {
            let stored =
                self.db.write(move |tx: &mut Tx| Box::pin(async move { store::write(tx, &rows).await }));
            if let Err(error) = stored.await {
                self.undo(answers, &error).await;
                return;
            }
            self.exchange.forget_ended();
        }
        for (account, event) in told {
            self.mischief.tell(account, event, now);
        }
        answers.into_iter().for_each(Answer::give);
        self.tell(now);
    }

    /// A request comes in: what becomes of it depends on how the venue behaves.
    async fn meet(&mut self, answers: &mut Vec<Answer>, request: Request, now: Timestamp) {
        let fate = request.asked().map_or(Fate::Answer, |asked| self.mischief.fate(asked));
        match fate {
            Fate::Dead => request.refuse_dead(),
            Fate::RateLimited => request.refuse(Reason::RateLimited),
            Fate::Unavailable => request.refuse(Reason::Unavailable),
            Fate::HangBefore => self.hanging.requests.push(request),
            Fate::HangAfter => {
                let mut hanging = Vec::new();
                self.act(&mut hanging, request, false, now).await;
                self.hanging.answers.append(&mut hanging);
            }
            // Dropped, the answer is lost.
            Fate::LoseAnswer => self.act(&mut Vec::new(), request, false, now).await,
            Fate::Lie => self.act(answers, request, true, now).await,
            Fate::Answer => self.act(answers, request, false, now).await,
        }
    }

    async fn act(&mut self, answers: &mut Vec<Answer>, request: Request, lie: bool, now: Timestamp) {
        let answer = match request {
            Request::Submit { order, reply } => {
                let answer = match self.is_new(&order).await {
                    Ok(()) if lie => self.exchange.pretend(&order, now),
                    Ok(()) => self.exchange.submit(&order, now),
                    Err(failure) => Err(failure),
                };
                Answer::Submitted(reply, answer)
            }
            Request::Replace { order, by, reply } => {
                let answer = match self.is_new(&by).await {
                    Ok(()) => self.exchange.replace(&order, &by, now),
                    Err(failure) => Err(failure),
                };
                Answer::Submitted(reply, answer)
            }
            Request::Cancel { account, client_order_id, reply } => {
                Answer::Canceled(reply, self.exchange.cancel(account, &client_order_id, now))
            }
            Request::Ask { reply } => {
                // Without a lag nothing is hidden, not even what was placed before the clock was set back.
                let lag = self.mischief.settings().listing_lag;
                Answer::Asked(reply, if lag.is_zero() { Timestamp::MAX } else { now - lag })
            }
            Request::Stream { account, events, reply } => {
                self.streams.entry(account).or_default().push(events);
                Answer::Streaming(reply)
            }
            Request::Open { account, cash, done } => {
                self.exchange.open_account(account, cash);
                Answer::Done(done)
            }
            Request::Deposit { account, amount, done } => {
                self.exchange.deposit(account, amount);
                Answer::Done(done)
            }
            Request::Halt { symbol, halted, done } => {
                self.exchange.halt(&symbol, halted, now);
                Answer::Done(done)
            }
            Request::Misbehave { how, done } => {
                Box::pin(self.behave(answers, how, now)).await;
                Answer::Done(done)
            }
            Request::Amend { account, execution_id, by, done } => {
                Answer::Amended(done, self.amend(account, &execution_id, by, now).await)
            }
        };
        answers.push(answer);
    }

    /// The exchange knows open orders only; the disk knows them all.
    async fn is_new(&mut self, order: &Order) -> Result<(), SubmitFailure> {
        let symbol = &order.request.symbol;
        if !self.exchange.is_listed(symbol) {
            self.exchange.extend_listing(self.market.instrument(symbol));
        }
        let client_order_id = order.id.to_string();
        if self.exchange.remembers(order.account, &client_order_id) {
            return Err(SubmitFailure::Exists);
        }
        let lost = |error: StorageError| SubmitFailure::NotReached(error.to_string());
        let mut connection = self.db.read().await.map_err(lost)?;
        match store::exists(&mut connection, order.account, &client_order_id).await.map_err(lost)? {
            true => Err(SubmitFailure::Exists),
            false => Ok(()),
        }
    }

    async fn amend(
        &mut self,
        account: AccountId,
        execution_id: &str,
        by: Option<(Price, Quantity)>,
        now: Timestamp,
    ) -> Result<(), AmendFailure> {
        let seq = order::order_of(execution_id).ok_or(NoSuchExecution)?;
        let stored = store::find_by_seq(&mut *self.db.read().await?, seq).await?;
        // Without effect when the exchange has it, and knows it better.
        stored.into_iter().for_each(|order| self.exchange.recall(order));
        match by {
            Some((price, quantity)) => self.exchange.correct(account, execution_id, price, quantity, now)?,
            None => self.exchange.bust(account, execution_id, now)?,
        }
        Ok(())
    }

    /// Changes its behaviour, and does what hung if it does not hang any more.
    async fn behave(&mut self, answers: &mut Vec<Answer>, how: Misbehave, now: Timestamp) {
        if how.dead {
            self.streams.clear();
        }
        let (before, after) = (how.hang_before > 0.0, how.hang_after > 0.0);
        self.mischief.set(how);
        if !after {
            answers.append(&mut self.hanging.answers);
        }
        if !before {
            for request in std::mem::take(&mut self.hanging.requests) {
                self.meet(answers, request, now).await;
            }
        }
    }

    /// Tells what has come to its time.
    fn tell(&mut self, now: Timestamp) {
        for (account, event) in self.mischief.due(now) {
            // A reader that is too far behind loses its stream, and finds out by asking.
            if let Some(streams) = self.streams.get_mut(&account) {
                streams.retain(|stream| stream.try_send(event.clone()).is_ok());
            }
        }
    }

    /// Nothing of the batch happened: the book is as it is on the disk.
    async fn undo(&mut self, answers: Vec<Answer>, error: &StorageError) {
        tracing::error!(%error, "the paper venue could not store what it did");
        let why = error.to_string();
        answers.into_iter().for_each(|answer| answer.fail(&why));
        if let Err(error) = self.load().await {
            tracing::error!(%error, "the paper venue cannot read its book");
        }
    }
}

/// One account of the venue.
struct PaperAccount {
    venue: PaperVenue,
    account: AccountId,
}

impl PaperAccount {
    /// Sends a request and waits for its answer, each as long as the venue may take.
    async fn ask<E, T>(
        &self,
        request: impl FnOnce(Reply<E, T>) -> Request,
        not_reached: fn(String) -> E,
        lost: fn(String) -> E,
    ) -> Result<T, E> {
        let within = self.venue.answer_within;
        let (reply, answer) = oneshot::channel();
        let closed = || not_reached("the paper venue takes no requests".to_owned());
        let place = tokio::time::timeout(within, self.venue.requests.reserve()).await;
        place.map_err(|_| closed())?.map_err(|_| closed())?.send(request(reply));
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(lost("the connection to the paper venue was lost".to_owned())),
            Err(_) => Err(lost("the paper venue did not answer in time".to_owned())),
        }
    }

    /// What an order is called here: by the desk's id, or as somebody else called it who placed it.
    async fn name_of(&self, order: &Order) -> Result<String, StorageError> {
        let outside =
            order.broker_order_id.as_deref().filter(|_| order.provenance.origin == Origin::External);
        let Some(seq) = outside.and_then(order::order_of) else { return Ok(order.id.to_string()) };
        let found = store::find_by_seq(&mut *self.venue.db.read().await?, seq).await?;
        let ours = found.filter(|found| found.account == self.account);
        Ok(ours.map_or_else(|| order.id.to_string(), |found| found.client_order_id))
    }

    /// Asks whether questions are answered: orders placed after the moment are not seen yet.
    async fn may_ask(&self) -> Result<Timestamp, BrokerUnreachable> {
        self.ask(|reply| Request::Ask { reply }, BrokerUnreachable, BrokerUnreachable).await
    }
}

#[async_trait]
impl Broker for PaperAccount {
    fn profile(&self) -> &Profile {
        &self.venue.profile
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        let order = Box::new(order.clone());
        let request = |reply| Request::Submit { order, reply };
        self.ask(request, SubmitFailure::NotReached, SubmitFailure::Lost).await
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        let name =
            self.name_of(order).await.map_err(|error| CancelFailure::Unreachable(error.to_string()))?;
        let (account, client_order_id) = (self.account, name);
        let request = |reply| Request::Cancel { account, client_order_id, reply };
        self.ask(request, CancelFailure::Unreachable, CancelFailure::Unreachable).await
    }

    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure> {
        let (order, by) = (Box::new(order.clone()), Box::new(by.clone()));
        let request = |reply| Request::Replace { order, by, reply };
        self.ask(request, SubmitFailure::NotReached, SubmitFailure::Lost).await
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        let seen_until = self.may_ask().await?;
        let name = self.name_of(order).await.map_err(unreachable)?;
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        let found = store::find(&mut connection, self.account, &name).await;
        let found = found.map_err(unreachable)?.filter(|order| order.placed_at <= seen_until);
        Ok(found.map(|order| order.as_broker_order()))
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable> {
        let seen_until = self.may_ask().await?;
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        let mut open = store::open_orders(&mut connection, self.account).await.map_err(unreachable)?;
        open.retain(|order| order.placed_at <= seen_until);
        Ok(open)
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        self.may_ask().await?;
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        store::executions(&mut connection, self.account, since).await.map_err(unreachable)
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        self.may_ask().await?;
        let mut connection = self.venue.db.read().await.map_err(unreachable)?;
        store::balances(&mut connection, self.account).await.map_err(unreachable)
    }

    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        let (events, stream) = mpsc::channel(STREAM);
        let account = self.account;
        let request = |reply| Request::Stream { account, events, reply };
        // Only once it is open is everything told on it: what the caller asks for after this leaves no gap.
        self.ask(request, BrokerUnreachable, BrokerUnreachable).await?;
        Ok(stream)
    }
}

fn unreachable(error: StorageError) -> BrokerUnreachable {
    BrokerUnreachable(error.to_string())
}
