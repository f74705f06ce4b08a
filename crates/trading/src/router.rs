//! The one who talks to the broker for an account: one task, the only writer of the account's orders after they are
//! accepted.
//!
//! It gathers what came in (orders to send, cancels, the broker's events and answers), folds all of it into a draft,
//! commits that in one transaction, and only then acts: sends, cancels, answers, tells the streams. So an order is
//! journaled as being sent before the first byte goes out, and an execution counts only once it is journaled.

mod compare;
mod fold;
mod search;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{AuditEntry, Money, Order, OrderEvent, OrderId, Timestamp};
use rustc_hash::FxHashMap;
use storage::{StorageError, Tx};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::compare::{Difference, Snapshot};
use self::search::Search;
use crate::accounts::Blind;
use crate::book::Draft;
use crate::broker::{BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, SubmitFailure};
use crate::gateway::{CancelError, Desk, Shared, TradingEvent};
use crate::store::{self, JournalError};

/// What the gateway asks of a router.
pub(crate) enum Command {
    /// Cancel an order.
    Cancel { order: OrderId, entry: Box<AuditEntry>, reply: oneshot::Sender<Result<Order, CancelError>> },
}

/// What was known of the account before this start.
pub(crate) struct Start {
    pub(crate) opening_cash: Option<Money>,
    pub(crate) newest_fill: Option<Timestamp>,
}

/// Something that came in.
enum Input {
    Command(Command),
    Event(BrokerEvent),
    Sent { order: OrderId, answer: Result<String, SubmitFailure>, took: Duration },
    CancelAnswered { order: OrderId, answer: Result<(), CancelFailure> },
    Found { order: OrderId, answer: Result<Option<BrokerOrder>, BrokerUnreachable> },
    Compared(Box<Result<Snapshot, BrokerUnreachable>>),
}

/// What to do once the draft is committed.
enum Effect {
    Send(Order),
    Cancel(Order),
    Reply(oneshot::Sender<Result<Order, CancelError>>, OrderId),
}

/// Inputs that share one commit at most.
const BATCH: usize = 128;
/// Orders that are on their way to the broker at the same time, at most.
const SENDING: usize = 32;
/// No broker call takes longer; then its answer is lost.
const CALL: Duration = Duration::from_secs(5);
/// Between two commits of one router.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest wait between two questions for a lost order.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

pub(crate) async fn run(
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    inbox: mpsc::Receiver<Command>,
    start: Start,
    stop: CancellationToken,
) {
    let (answers, answered) = mpsc::channel(BATCH);
    let router = Router {
        shared,
        desk,
        answers,
        events_seen: 0,
        backlog: Vec::new(),
        sending: HashSet::new(),
        canceling: HashSet::new(),
        searches: FxHashMap::default(),
        retries: FxHashMap::default(),
        opening_cash: start.opening_cash,
        newest_fill: start.newest_fill,
        committed_at: tokio::time::Instant::now(),
        reconciled: false,
        comparing: false,
        compare_at: None,
        suspected: Difference::default(),
        told: None,
    };
    router.run(inbox, answered, stop).await;
}

struct Router {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    answers: mpsc::Sender<Input>,
    /// Events read from the broker's stream since the start.
    events_seen: u64,
    /// Inputs whose commit failed; they are tried again, because what the broker said is not said twice.
    backlog: Vec<Input>,
    sending: HashSet<OrderId>,
    canceling: HashSet<OrderId>,
    searches: FxHashMap<OrderId, Search>,
    /// Orders that did not reach the broker: when to try again, and how long the last wait was.
    retries: FxHashMap<OrderId, (Timestamp, Duration)>,
    opening_cash: Option<Money>,
    newest_fill: Option<Timestamp>,
    /// When it last committed something.
    committed_at: tokio::time::Instant,
    /// Nothing is sent before the account was compared with the broker once.
    reconciled: bool,
    comparing: bool,
    /// When to compare next; `None` is never, on its own.
    compare_at: Option<Timestamp>,
    /// What the last comparison could not explain. The broker was not asked for everything in one moment, so it is
    /// believed when the next comparison finds the same.
    suspected: Difference,
    /// The difference in positions that was last reported, so that it is reported once.
    told: Option<String>,
}

impl Router {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut answered: mpsc::Receiver<Input>,
        stop: CancellationToken,
    ) {
        let desk = self.desk.clone();
        self.declare_interrupted_sends_lost();
        let mut stream: Option<mpsc::Receiver<BrokerEvent>> = None;
        let mut tick = tokio::time::interval(self.shared.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut inputs = Vec::new();
            tokio::select! {
                // First: when the desk stops, the broker's stream ends too, and that is no alarm.
                biased;
                () = stop.cancelled() => return,
                Some(command) = inbox.recv() => inputs.push(Input::Command(command)),
                Some(answer) = answered.recv() => inputs.push(answer),
                event = next(&mut stream) => match event {
                    Some(event) => inputs.push(Input::Event(event)),
                    None => {
                        stream = None;
                        self.go_blind("the broker's stream was lost");
                    }
                },
                () = desk.accepted.notified() => {}
                _ = tick.tick() => {
                    if stream.is_none() {
                        stream = self.open_stream().await;
                    }
                    self.compare_if_due(stream.is_some());
                    self.search();
                    inputs.append(&mut self.backlog);
                }
            }
            // Under load a short pause makes few large commits of many small ones, which leaves the disk to the orders
            // that are being accepted.
            if self.committed_at.elapsed() < PAUSE {
                tokio::time::sleep_until(self.committed_at + PAUSE).await;
            }
            while inputs.len() < BATCH {
                if let Ok(command) = inbox.try_recv() {
                    inputs.push(Input::Command(command));
                } else if let Ok(answer) = answered.try_recv() {
                    inputs.push(answer);
                } else if let Some(event) = stream.as_mut().and_then(|stream| stream.try_recv().ok()) {
                    inputs.push(Input::Event(event));
                } else {
                    break;
                }
            }
            if let Err(JournalError::Fenced) = self.work(inputs).await {
                self.go_blind("another desk has taken over the account");
                return;
            }
        }
    }

    /// Folds inputs and orders to send into a draft, commits it, acts.
    async fn work(&mut self, inputs: Vec<Input>) -> Result<(), JournalError> {
        let now = self.shared.clock.now();
        let mut step =
            Step { now, draft: Draft::on(&self.desk.book()), entries: Vec::new(), effects: Vec::new() };
        let mut kept = Vec::new();
        let mut compared = None;
        for input in inputs {
            if let Input::Compared(answer) = input {
                self.comparing = false;
                match *answer {
                    Ok(snapshot) => compared = Some(snapshot),
                    Err(error) => self.go_blind(&error.to_string()),
                }
                continue;
            }
            match self.load(&input).await {
                Ok(()) => kept.extend(self.fold(&mut step, input)),
                Err(error) => self.put_off(input, error),
            }
        }
        if let Some(snapshot) = &compared
            && let Err(error) = self.fold_snapshot(&mut step, snapshot).await
        {
            self.go_blind(&format!("the order journal cannot be read: {error}"));
            self.compare_at = Some(now);
            compared = None;
        }
        if self.reconciled {
            self.fold_unsent(&mut step);
        }
        match self.commit(step).await {
            Ok(()) => {}
            Err(JournalError::Storage(error)) => {
                self.go_blind(&format!("the order journal cannot be written: {error}"));
                self.backlog.extend(kept);
                self.compare_at = Some(now);
                return Ok(());
            }
            Err(fenced) => return Err(fenced),
        }
        match compared {
            Some(snapshot) => self.finish_comparison(snapshot).await,
            None => Ok(()),
        }
    }

    /// The database could not be read for an input: what the broker said waits, who asked is told.
    fn put_off(&mut self, input: Input, error: StorageError) {
        self.go_blind(&format!("the order journal cannot be read: {error}"));
        match input {
            Input::Command(Command::Cancel { reply, .. }) => {
                let _ = reply.send(Err(CancelError::Journal(error)));
            }
            input => self.backlog.push(input),
        }
    }

    /// Brings an order back into the book that an input is about and that was forgotten since its end.
    async fn load(&self, input: &Input) -> Result<(), StorageError> {
        let id = match input {
            Input::Command(Command::Cancel { order, .. }) => Some(*order),
            Input::Event(event) => event.client_order_id.parse().ok(),
            _ => None,
        };
        if let Some(id) = id {
            self.load_order(id).await?;
        }
        Ok(())
    }

    async fn load_order(&self, id: OrderId) -> Result<(), StorageError> {
        if self.desk.book().get(id).is_some() {
            return Ok(());
        }
        let live = store::load(&mut *self.shared.db.read().await?, id).await?;
        if let Some(live) = live.filter(|live| live.order.account == self.desk.account.id) {
            self.desk.book().put(live);
        }
        Ok(())
    }

    /// Commits the draft, then does what it asks for.
    async fn commit(&mut self, step: Step) -> Result<(), JournalError> {
        let Step { draft, entries, effects, .. } = step;
        if !draft.changes.is_empty() || !entries.is_empty() {
            let (account, epoch, changes) = (self.desk.account.id, self.desk.epoch, draft.changes.clone());
            let written = self
                .shared
                .db
                .write(move |tx: &mut Tx| {
                    Box::pin(async move {
                        store::journal(tx, account, epoch, &changes).await?;
                        for entry in entries {
                            tx.record(entry);
                        }
                        Ok::<_, JournalError>(())
                    })
                })
                .await;
            self.committed_at = tokio::time::Instant::now();
            if let Err(error) = written {
                self.abandon(effects, &error);
                return Err(error);
            }
        }
        self.publish(draft);
        for effect in effects {
            self.act(effect);
        }
        Ok(())
    }

    /// Nothing was journaled: nothing is sent. Cancels are the exception, because they can only reduce risk.
    fn abandon(&mut self, effects: Vec<Effect>, error: &JournalError) {
        for effect in effects {
            match effect {
                Effect::Send(order) => {
                    self.sending.remove(&order.id);
                }
                Effect::Cancel(order) => self.act(Effect::Cancel(order)),
                Effect::Reply(reply, _) => {
                    let error = StorageError::NotCommitted(error.to_string());
                    let _ = reply.send(Err(CancelError::Journal(error)));
                }
            }
        }
    }

    fn publish(&mut self, draft: Draft) {
        if draft.changes.is_empty() {
            return;
        }
        let events = &self.shared.events;
        let mut told = Vec::with_capacity(draft.changes.len() + 1);
        for change in &draft.changes {
            self.newest_fill = self.newest_fill.max(change.booked.as_ref().map(|booked| booked.fill.at));
            if !matches!(change.event, OrderEvent::NotReached { .. } | OrderEvent::Submitting { .. }) {
                self.retries.remove(&change.order.id);
            }
            told.push(TradingEvent::Order(Arc::new(change.order.clone())));
            told.extend(change.booked.clone().map(|booked| TradingEvent::Fill(Arc::new(booked))));
        }
        told.push(TradingEvent::Account(self.desk.account.id));
        // The book first: whoever is told must find it so.
        self.desk.book().commit(draft);
        for event in told {
            let _ = events.send(event);
        }
    }

    fn act(&mut self, effect: Effect) {
        let (broker, answers) = (self.desk.broker.clone(), self.answers.clone());
        match effect {
            Effect::Send(order) => {
                tokio::spawn(async move {
                    let begun = tokio::time::Instant::now();
                    let answer = tokio::time::timeout(CALL, broker.submit(&order)).await;
                    let answer =
                        answer.unwrap_or_else(|_| Err(SubmitFailure::Lost("it took too long".into())));
                    let _ =
                        answers.send(Input::Sent { order: order.id, answer, took: begun.elapsed() }).await;
                });
            }
            Effect::Cancel(order) => {
                self.canceling.insert(order.id);
                tokio::spawn(async move {
                    let answer = tokio::time::timeout(CALL, broker.cancel(&order)).await;
                    let answer =
                        answer.unwrap_or_else(|_| Err(CancelFailure::Unreachable("it took too long".into())));
                    let _ = answers.send(Input::CancelAnswered { order: order.id, answer }).await;
                });
            }
            Effect::Reply(reply, id) => {
                let order = self.desk.book().get(id).map(|live| live.order.clone());
                let _ = reply.send(order.ok_or(CancelError::NotFound));
            }
        }
    }

    async fn open_stream(&mut self) -> Option<mpsc::Receiver<BrokerEvent>> {
        match within(self.desk.broker.events()).await {
            Ok(stream) => {
                // Whatever was told while nobody listened is asked for.
                self.compare_at = Some(self.shared.clock.now());
                Some(stream)
            }
            Err(error) => {
                self.go_blind(&error.to_string());
                None
            }
        }
    }

    async fn record(&self, entry: AuditEntry) -> Result<(), JournalError> {
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    tx.record(entry);
                    Ok::<_, JournalError>(())
                })
            })
            .await
    }

    fn go_blind(&self, reason: &str) {
        let mut book = self.desk.book();
        let since = book.blind.as_ref().map_or_else(|| self.shared.clock.now(), |blind| blind.since);
        let news = book.blind.is_none();
        book.blind = Some(Blind { since, reason: reason.to_owned() });
        drop(book);
        if news {
            tracing::error!(account = %self.desk.account.name, reason, "the account is blind");
            let _ = self.shared.events.send(TradingEvent::Account(self.desk.account.id));
        }
    }
}

/// What is being folded.
struct Step {
    now: Timestamp,
    draft: Draft,
    entries: Vec<AuditEntry>,
    effects: Vec<Effect>,
}

async fn next(stream: &mut Option<mpsc::Receiver<BrokerEvent>>) -> Option<BrokerEvent> {
    match stream {
        Some(stream) => stream.recv().await,
        None => std::future::pending().await,
    }
}

/// A question to the broker that is given up after [`CALL`].
async fn within<T>(
    question: impl Future<Output = Result<T, BrokerUnreachable>>,
) -> Result<T, BrokerUnreachable> {
    let answer = tokio::time::timeout(CALL, question).await;
    answer.unwrap_or_else(|_| Err(BrokerUnreachable("it took too long".into())))
}
