//! The one who talks to the broker for an account: one task, the only writer of the account's orders after they are
//! accepted.
//!
//! It gathers what came in (commands, the broker's events and answers), reads from the journal what the core needs to
//! judge it, lets the core make a step, commits the step in one transaction, and only then performs its effects. What is
//! decided is decided in [`crate::core`]; this is the shell around it that waits.

use std::sync::Arc;
use std::time::Duration;

use domain::{Order, OrderId, Price, Quote, Symbol, Timestamp};
use futures_util::StreamExt as _;
use jiff::SignedDuration;
use rustc_hash::FxHashSet;
use storage::{StorageError, Tx};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::book::History;
use crate::broker::{Broker, BrokerEvent, BrokerUnreachable, CancelFailure, SubmitFailure};
use crate::core::{Command, Effect, Input, Market, Need, Snapshot, View};
use crate::gateway::{Desk, Shared, TradingEvent};
use crate::kill;
use crate::outbox;
use crate::store::{self, Batch, JournalError};

/// Inputs that share one commit at most.
const BATCH: usize = 128;
/// No broker call takes longer; then its answer is lost.
const CALL: Duration = Duration::from_secs(5);
/// Between two commits of one router.
const PAUSE: Duration = Duration::from_millis(2);
/// An order is not sent when more time than this has passed since it was journaled as being sent: the process stood
/// still, and another desk may have taken the account over meanwhile.
const STOOD_STILL: Duration = Duration::from_millis(500);
/// A clock that went wrong by more than this since it was last read was set. Less is what it is corrected by all the time.
const SET: SignedDuration = SignedDuration::from_secs(1);
/// Questions for single orders that are under way at the same time during a comparison.
const ASKING: usize = 8;

/// What comes back from what was started.
#[allow(clippy::large_enum_variant, reason = "an answer is taken at once and kept nowhere")]
enum Answer {
    Input(Input),
    Stream(mpsc::Receiver<BrokerEvent>),
}

impl Answer {
    /// The broker's id of an order that it took.
    fn taken(&self) -> Option<&str> {
        match self {
            Self::Input(
                Input::Sent { answer: Ok(taken), .. } | Input::ReplaceAnswered { answer: Ok(taken), .. },
            ) => Some(taken),
            _ => None,
        }
    }
}

pub(crate) async fn run(
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    inbox: mpsc::Receiver<Command>,
    stop: CancellationToken,
) {
    let (answers, answered) = mpsc::channel(BATCH);
    let (committed_at, stepped_at) =
        (tokio::time::Instant::now(), (shared.clock.now(), shared.clock.steady()));
    let router = Router { shared, desk: desk.clone(), answers, committed_at, stepped_at };
    router.run(inbox, answered, stop).await;
    // The inbox is gone: who has put something into it waits for nobody.
    desk.hang_up();
}

struct Router {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    answers: mpsc::Sender<Answer>,
    /// When it last committed something.
    committed_at: tokio::time::Instant,
    /// When it last made a step, on the clock that may be set and on the one that is not.
    stepped_at: (Timestamp, Duration),
}

/// Another desk has taken the account over.
struct Fenced;

impl Router {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut answered: mpsc::Receiver<Answer>,
        stop: CancellationToken,
    ) {
        let desk = self.desk.clone();
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
                Some(answer) = answered.recv() => take(answer, &mut inputs, &mut stream),
                event = next(&mut stream) => match event {
                    Some(event) => inputs.push(Input::Event(event)),
                    None => {
                        stream = None;
                        inputs.push(Input::Deaf("the broker's stream was lost".into()));
                    }
                },
                () = desk.wake.notified() => {}
                _ = tick.tick() => {}
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
                    take(answer, &mut inputs, &mut stream);
                } else if let Some(event) = stream.as_mut().and_then(|stream| stream.try_recv().ok()) {
                    inputs.push(Input::Event(event));
                } else {
                    break;
                }
            }
            if let Err(Fenced) = self.work(inputs).await {
                desk.core().fence(self.shared.clock.now());
                let _ = self.shared.events.send(TradingEvent::Account(desk.account_id()));
                return;
            }
        }
    }

    /// Makes one step: prepares, decides, commits, acts.
    async fn work(&mut self, inputs: Vec<Input>) -> Result<(), Fenced> {
        let now = self.shared.clock.now();
        self.notice_a_clock_that_was_set(now);
        let blind_before = self.desk.core().book.blind.clone();
        let effects = match self.prepare(&inputs).await {
            Ok(history) => {
                let view = LiveView(&self.shared.market);
                let step = self.desk.core().step(inputs, history, &view, now);
                let batch = step.batch();
                match self.commit(&batch, now).await {
                    Ok(()) => {
                        let effects = {
                            let mut core = self.desk.core();
                            core.committed(step, &mut self.shared.ledger())
                        };
                        self.publish(batch);
                        effects
                    }
                    Err(JournalError::Fenced) => return Err(Fenced),
                    Err(JournalError::Storage(error)) => self.desk.core().failed(step, &error.to_string()),
                }
            }
            Err(error) => self.desk.core().put_off(inputs, &error.to_string(), now),
        };
        for effect in effects {
            self.act(effect);
        }
        let core = self.desk.core();
        if core.has_backlog() && core.book.blind == blind_before {
            self.desk.wake.notify_one();
        }
        if core.book.blind != blind_before {
            let _ = self.shared.events.send(TradingEvent::Account(self.desk.account_id()));
        }
        Ok(())
    }

    fn notice_a_clock_that_was_set(&mut self, now: Timestamp) {
        let steady = self.shared.clock.steady();
        let (was, steady_was) = std::mem::replace(&mut self.stepped_at, (now, steady));
        let by = now.duration_since(was + steady.saturating_sub(steady_was));
        if by.abs() > SET {
            tracing::warn!(seconds = by.as_secs(), "the clock of this machine was set");
            self.desk.core().clock_was_set(by);
        }
    }

    /// Reads from the journal what the core needs to fold inputs.
    async fn prepare(&self, inputs: &[Input]) -> Result<History, StorageError> {
        let needs = self.desk.core().needs(inputs);
        if !needs.is_empty() {
            let mut connection = self.shared.db.read().await?;
            for need in needs {
                let live = match need {
                    Need::Order(id) => store::load(&mut connection, id).await?,
                    Need::Named(name) => {
                        store::load_named(&mut connection, self.desk.account_id(), &name).await?
                    }
                };
                if let Some(live) = live {
                    self.desk.core().remember(live);
                }
            }
        }
        let symbols = self.desk.core().needs_history(inputs);
        let mut history = History::default();
        for symbol in symbols {
            let mut connection = self.shared.db.read().await?;
            history.extend(store::history(&mut connection, self.desk.account_id(), &symbol).await?);
        }
        Ok(history)
    }

    async fn commit(&mut self, batch: &Batch, now: Timestamp) -> Result<(), JournalError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (outbox, mode) = (self.shared.outbox.clone(), self.desk.account().mode);
        let (account, epoch, batch) = (self.desk.account_id(), self.desk.epoch, batch.clone());
        let written = self
            .shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    store::journal(tx, account, epoch, &batch).await?;
                    outbox.post(tx, || outbox::of_step(&batch, mode, now)).await?;
                    fail::fail_point!("K2", |_| Err(StorageError::Abandoned.into()));
                    Ok(())
                })
            })
            .await;
        self.committed_at = tokio::time::Instant::now();
        written
    }

    /// Tells the streams what changed.
    fn publish(&self, batch: Batch) {
        if !batch.changes_the_account() {
            return;
        }
        fail::fail_point!(if batch.changes.iter().all(|change| change.booked.is_empty()) {
            "K9"
        } else {
            "K11"
        });
        let events = &self.shared.events;
        let changed: FxHashSet<OrderId> = batch.changes.iter().map(|change| change.order.id).collect();
        for new in batch.inserts.into_iter().filter(|new| !changed.contains(&new.order.id)) {
            let _ = events.send(TradingEvent::Order(Arc::new(new.order)));
        }
        for change in batch.changes {
            let _ = events.send(TradingEvent::Order(Arc::new(change.order)));
            for booked in change.booked {
                let _ = events.send(TradingEvent::Fill(Arc::new(booked)));
                fail::fail_point!("K12");
            }
        }
        for transfer in batch.transfers {
            let _ = events.send(TradingEvent::Fill(Arc::new(transfer)));
        }
        let _ = events.send(TradingEvent::Account(self.desk.account_id()));
    }

    /// Performs an effect. Whatever waits does so in a task of its own.
    fn act(&self, effect: Effect) {
        if let Effect::Reply(ticket, reply) = effect {
            self.desk.reply(ticket, reply);
            return;
        }
        tracing::trace!(effect = effect.id(), "performing");
        let (shared, desk, answers) = (self.shared.clone(), self.desk.clone(), self.answers.clone());
        let journaled_at = self.committed_at;
        tokio::spawn(async move {
            let order = match &effect {
                Effect::Submit(order) | Effect::Replace { by: order, .. } => Some(order.clone()),
                _ => None,
            };
            // The last look before the first byte: what passes it is in flight when a switch is pulled.
            let effect = match order {
                Some(_) => desk.core().unless_killed(effect),
                None => Some(effect),
            };
            let Some(effect) = effect else { return desk.wake.notify_one() };
            // A cancel may go out at any time.
            if order.is_some()
                && journaled_at.elapsed() > STOOD_STILL
                && let Some(input) = effect.not_reached("the desk stood still before it could be sent")
            {
                let _ = answers.send(Answer::Input(input)).await;
                return;
            }
            let Some(answer) = perform(desk.broker.as_ref(), effect).await else { return };
            fail::fail_point!(
                "K7",
                matches!(
                    answer,
                    Answer::Input(
                        Input::Sent { .. } | Input::CancelAnswered { .. } | Input::ReplaceAnswered { .. }
                    )
                ),
                |_| ()
            );
            if let (Some(order), Some(taken)) = (order, answer.taken()) {
                kill::cancel_late(&shared, &desk, &order, taken);
            }
            let _ = answers.send(answer).await;
        });
    }
}

/// Talks to the broker. Every call is bounded: after [`CALL`] its answer is lost.
async fn perform(broker: &dyn Broker, effect: Effect) -> Option<Answer> {
    fail::fail_point!(
        "K4",
        matches!(effect, Effect::Submit(_) | Effect::Cancel(_) | Effect::Replace { .. }),
        |_| effect.not_reached("a test wishes so").map(Answer::Input)
    );
    let too_long = || "it took too long".to_owned();
    let begun = tokio::time::Instant::now();
    let input = match effect {
        Effect::Submit(order) => {
            let answer = tokio::time::timeout(CALL, broker.submit(&order)).await;
            let answer = answer.unwrap_or_else(|_| Err(SubmitFailure::Lost(too_long())));
            Input::Sent { order: order.id, answer, took: begun.elapsed() }
        }
        Effect::Cancel(order) => {
            let answer = tokio::time::timeout(CALL, broker.cancel(&order)).await;
            let answer = answer.unwrap_or_else(|_| Err(CancelFailure::Unreachable(too_long())));
            Input::CancelAnswered { order: order.id, answer }
        }
        Effect::Replace { order, by } => {
            let answer = tokio::time::timeout(CALL, broker.replace(&order, &by)).await;
            let answer = answer.unwrap_or_else(|_| Err(SubmitFailure::Lost(too_long())));
            Input::ReplaceAnswered { order: order.id, by: by.id, answer }
        }
        Effect::Find { order, .. } => {
            Input::Found { order: order.id, answer: within(broker.find(&order)).await }
        }
        Effect::Compare { since, known, events_before } => {
            Input::Compared(Box::new(compare(broker, since, known, events_before).await))
        }
        Effect::Listen => match within(broker.events()).await {
            Ok(stream) => return Some(Answer::Stream(stream)),
            Err(error) => Input::Deaf(error.to_string()),
        },
        Effect::Reply(..) => return None,
    };
    Some(Answer::Input(input))
}

/// Asks the broker for everything. Orders first: what is executed while the questions are asked is in the answers to
/// those that follow.
async fn compare(
    broker: &dyn Broker,
    since: Timestamp,
    known: Vec<Order>,
    events_before: u64,
) -> Result<Snapshot, BrokerUnreachable> {
    let open = within(broker.open_orders()).await?;
    let listed: FxHashSet<&str> = open.iter().map(|order| order.broker_order_id.as_str()).collect();
    let named: FxHashSet<&str> = open.iter().map(|order| order.client_order_id.as_str()).collect();
    let missing = known.into_iter().filter(|order| {
        !named.contains(order.id.to_string().as_str())
            && !order.broker_order_id.as_deref().is_some_and(|id| listed.contains(id))
    });
    let missing: Vec<Order> = missing.collect();
    let mut asked = futures_util::stream::iter(missing)
        .map(|order| async move { (order.id, within(broker.find(&order)).await) })
        .buffered(ASKING);
    let mut found = Vec::new();
    while let Some((id, answer)) = asked.next().await {
        found.push((id, answer?));
    }
    drop(asked);
    let executions = within(broker.executions(since)).await?;
    let balances = within(broker.balances()).await?;
    let actions = within(broker.corporate_actions()).await?;
    Ok(Snapshot { open, found, executions, balances, actions, events_before })
}

fn take(answer: Answer, inputs: &mut Vec<Input>, stream: &mut Option<mpsc::Receiver<BrokerEvent>>) {
    match answer {
        Answer::Input(input) => inputs.push(input),
        Answer::Stream(opened) => {
            *stream = Some(opened);
            inputs.push(Input::Listening);
        }
    }
}

async fn next(stream: &mut Option<mpsc::Receiver<BrokerEvent>>) -> Option<BrokerEvent> {
    let Some(stream) = stream else { return std::future::pending().await };
    let event = stream.recv().await;
    fail::fail_point!("K10", event.is_some(), |_| None);
    event
}

/// A question to the broker that is given up after [`CALL`].
pub(crate) async fn within<T>(
    question: impl Future<Output = Result<T, BrokerUnreachable>>,
) -> Result<T, BrokerUnreachable> {
    let answer = tokio::time::timeout(CALL, question).await;
    answer.unwrap_or_else(|_| Err(BrokerUnreachable("it took too long".into())))
}

/// The market as it is now.
pub(crate) struct LiveView<'a>(pub(crate) &'a market::Market);

impl View for LiveView<'_> {
    fn quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)> {
        self.0.last_quote(symbol)
    }

    fn price(&self, symbol: &Symbol) -> Option<Price> {
        self.0.last_price(symbol)
    }
}

impl Market for LiveView<'_> {
    fn instrument(&self, symbol: &Symbol) -> Option<domain::Instrument> {
        self.0.instrument(symbol)
    }
}
