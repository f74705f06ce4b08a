//! The one who talks to the broker for an account: one task, the only writer of the account's orders after they are
//! accepted.
//!
//! It gathers what came in (orders to send, cancels, the broker's events and answers), folds all of it into a draft,
//! commits that in one transaction, and only then acts: sends, cancels, answers, tells the streams. So an order is
//! journaled as being sent before the first byte goes out, and an execution counts only once it is journaled.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Applied, AuditEntry, Money, Order, OrderEvent, OrderId, Outcome, Status, Symbol, Timestamp};
use rustc_hash::FxHashMap;
use serde_json::json;
use storage::{StorageError, Tx};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::accounts::Blind;
use crate::book::{Draft, Live};
use crate::broker::{
    Balances, BrokerEvent, BrokerOrder, BrokerStatus, BrokerUnreachable, CancelFailure, Execution,
    SubmitFailure,
};
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

/// What the broker said when it was asked for everything.
struct Snapshot {
    executions: Vec<Execution>,
    orders: Vec<(OrderId, Option<BrokerOrder>)>,
    balances: Balances,
    /// Events that had been read from the stream when the questions were asked.
    events_before: u64,
}

/// What to do once the draft is committed.
enum Effect {
    Send(Order),
    Cancel(Order),
    Reply(oneshot::Sender<Result<Order, CancelError>>, OrderId),
}

/// The search for an order whose answer was lost.
struct Search {
    since: Timestamp,
    misses: u32,
    next: Timestamp,
    wait: Duration,
    asking: bool,
}

/// Inputs that share one commit at most.
const BATCH: usize = 128;
/// Orders that are on their way to the broker at the same time, at most.
const SENDING: usize = 8;
/// No broker call takes longer; then its answer is lost.
const CALL: Duration = Duration::from_secs(5);
/// Between comparisons with the broker while orders are open.
const COMPARE: Duration = Duration::from_secs(30);
/// The longest wait between two questions for a lost order.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Executions are asked for from this long before the newest one known.
const OVERLAP: Duration = Duration::from_secs(300);
/// Lookups on separate calls that must agree that the broker has no such order.
const MISSES: u32 = 2;

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

    /// Ends a comparison; one whose findings could not be kept is made again.
    async fn finish_comparison(&mut self, snapshot: Snapshot) -> Result<(), JournalError> {
        match self.settle_balances(snapshot).await {
            Err(JournalError::Storage(error)) => {
                self.go_blind(&format!("the order journal cannot be written: {error}"));
                self.compare_at = Some(self.shared.clock.now());
                Ok(())
            }
            done => done,
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

    /// Folds one input; gives it back in a form that can be folded again, should the commit fail.
    fn fold(&mut self, step: &mut Step, input: Input) -> Option<Input> {
        match input {
            Input::Command(Command::Cancel { order, entry, reply }) => {
                self.fold_cancel(step, order, *entry, reply);
                // Told to the caller as failed; not tried again behind their back.
                None
            }
            Input::Event(event) => {
                self.events_seen += 1;
                match event.client_order_id.parse() {
                    Ok(id) => self.fold_event(step, id, event.event.clone()),
                    Err(_) => {
                        tracing::warn!(order = %event.client_order_id, "the broker tells of a foreign order")
                    }
                }
                Some(Input::Event(event))
            }
            Input::Sent { order, answer, took } => {
                self.sending.remove(&order);
                self.desk.book().latency = Some(took);
                self.fold_sent(step, order, answer.clone());
                Some(Input::Sent { order, answer, took })
            }
            Input::CancelAnswered { order, answer } => {
                self.canceling.remove(&order);
                match &answer {
                    Ok(()) => {}
                    Err(CancelFailure::Refused(reason)) => {
                        self.fold_event(step, order, OrderEvent::CancelRefused { reason: reason.clone() });
                    }
                    // The next comparison finds the order still open and asks again.
                    Err(CancelFailure::Unreachable(_)) => self.compare_at = Some(step.now),
                }
                Some(Input::CancelAnswered { order, answer })
            }
            Input::Found { order, answer } => {
                self.fold_found(step, order, answer);
                // The search goes on by itself.
                None
            }
            Input::Compared(_) => None,
        }
    }

    /// Folds the broker's answer to an order.
    fn fold_sent(&mut self, step: &mut Step, id: OrderId, answer: Result<String, SubmitFailure>) {
        let not_reached = matches!(answer, Err(SubmitFailure::NotReached(_)));
        let event = match answer {
            Ok(broker_order_id) => OrderEvent::Acknowledged { broker_order_id },
            Err(SubmitFailure::Refused(reason)) => OrderEvent::Refused { reason },
            Err(SubmitFailure::NotReached(detail)) => OrderEvent::NotReached { detail },
            Err(SubmitFailure::Lost(detail)) => OrderEvent::Lost { detail },
        };
        self.fold_event(step, id, event);
        let Some(live) = self.current(step, id) else { return };
        match live.order.status {
            // Somebody asked to cancel it while it was on its way.
            Status::CancelPending if not_reached => self.fold_event(step, id, OrderEvent::Canceled),
            Status::CancelPending => self.cancel_at_broker(step, id),
            Status::Accepted => self.retry_later(step.now, id),
            _ => {}
        }
    }

    /// Asks the broker to cancel an order that it is known to have.
    fn cancel_at_broker(&self, step: &mut Step, id: OrderId) {
        if let Some(live) = self.current(step, id)
            && live.order.broker_order_id.is_some()
            && live.order.status == Status::CancelPending
            && !self.canceling.contains(&id)
        {
            step.effects.push(Effect::Cancel(live.order));
        }
    }

    /// The broker was not reached: the order waits, longer each time.
    fn retry_later(&mut self, now: Timestamp, id: OrderId) {
        let unit = self.shared.tick;
        let (at, wait) = self.retries.entry(id).or_insert((now, Duration::ZERO));
        *wait = (*wait * 2).clamp(unit, LONGEST_WAIT);
        *at = now + *wait;
        self.desk.book().queue(id);
    }

    fn fold_cancel(
        &mut self,
        step: &mut Step,
        id: OrderId,
        entry: AuditEntry,
        reply: oneshot::Sender<Result<Order, CancelError>>,
    ) {
        let Some(live) = self.current(step, id) else {
            let _ = reply.send(Err(CancelError::NotFound));
            return;
        };
        if live.order.status.is_terminal() {
            let _ = reply.send(Err(CancelError::NotOpen { status: live.order.status }));
            return;
        }
        step.entries.push(entry);
        let sent = live.order.attempts > 0;
        self.fold_event(step, id, OrderEvent::CancelRequested);
        if !sent {
            // It never left the desk, and now it never will.
            self.fold_event(step, id, OrderEvent::Canceled);
        }
        // An order whose answer is not known yet is canceled once it is.
        self.cancel_at_broker(step, id);
        step.effects.push(Effect::Reply(reply, id));
    }

    /// Folds an event into an order and records it.
    fn fold_event(&self, step: &mut Step, id: OrderId, event: OrderEvent) {
        let Some(live) = self.current(step, id) else {
            tracing::warn!(order = %id, event = event.kind(), "the broker tells of an order that the desk does not have");
            return;
        };
        let before = live.order.status;
        match step.draft.fold(&self.desk.book(), live, event.clone(), step.now) {
            Ok(Applied::Nothing) => {}
            Ok(Applied::Changed) => {
                let after = step.draft.get(id).map_or(before, |live| live.order.status);
                // A request to cancel has a row of its own, with the person who asked.
                if event != OrderEvent::CancelRequested {
                    step.entries.push(self.entry(step.now, id, &event, before, after));
                }
            }
            Err(error) => {
                tracing::error!(%error, "the broker reports what cannot be");
                let entry = AuditEntry::by_system(step.now, "order.contradicted")
                    .on("order", id)
                    .ended(Outcome::Failed)
                    .with(json!({ "account": self.desk.account.id, "event": event, "error": error.to_string() }));
                step.entries.push(entry);
            }
        }
    }

    fn entry(
        &self,
        at: Timestamp,
        id: OrderId,
        event: &OrderEvent,
        before: Status,
        after: Status,
    ) -> AuditEntry {
        let act = match event {
            OrderEvent::Submitting { .. } => "order.submitting",
            OrderEvent::NotReached { .. } => "order.not_reached",
            OrderEvent::Lost { .. } => "order.answer_lost",
            OrderEvent::Acknowledged { .. } => "order.acknowledged",
            OrderEvent::Refused { .. } => "order.rejected",
            OrderEvent::Filled(_) => "order.filled",
            OrderEvent::CancelRequested => "order.cancel_requested",
            OrderEvent::CancelRefused { .. } => "order.cancel_refused",
            OrderEvent::Canceled => "order.canceled",
            OrderEvent::Expired { .. } => "order.expired",
        };
        let detail = json!({
            "account": self.desk.account.id,
            "mode": self.desk.account.mode.as_str(),
            "before": before,
            "after": after,
            "event": event,
        });
        AuditEntry::by_system(at, act).on("order", id).with(detail)
    }

    /// The order as it is after what is drafted so far.
    fn current(&self, step: &Step, id: OrderId) -> Option<Live> {
        step.draft.get(id).cloned().or_else(|| self.desk.book().get(id).cloned())
    }

    /// Orders that were accepted and not sent: sent now, in the order in which they were accepted, or expired.
    fn fold_unsent(&mut self, step: &mut Step) {
        let unsent: Vec<Order> = {
            let book = self.desk.book();
            let due = |id| self.retries.get(&id).is_none_or(|(at, _)| *at <= step.now);
            let untouched = |id| step.draft.get(id).is_none();
            let ready =
                book.unsent().map(|live| &live.order).filter(|order| due(order.id) && untouched(order.id));
            ready.take(SENDING.saturating_sub(self.sending.len())).cloned().collect()
        };
        for order in unsent {
            let age = step.now.duration_since(order.created_at).unsigned_abs();
            if age > self.shared.limits.max_unsent_age {
                let reason =
                    format!("it could not be sent within {} s", self.shared.limits.max_unsent_age.as_secs());
                self.fold_event(step, order.id, OrderEvent::Expired { reason });
            } else {
                self.fold_event(step, order.id, OrderEvent::Submitting { attempt: order.attempts + 1 });
                if let Some(live) = step.draft.get(order.id)
                    && live.order.status == Status::Submitting
                {
                    self.sending.insert(order.id);
                    step.effects.push(Effect::Send(live.order.clone()));
                }
            }
        }
    }

    /// Folds the answer to a question for a lost order.
    fn fold_found(
        &mut self,
        step: &mut Step,
        id: OrderId,
        answer: Result<Option<BrokerOrder>, BrokerUnreachable>,
    ) {
        match answer {
            Ok(Some(found)) => {
                self.searches.remove(&id);
                self.fold_broker_order(step, id, &found);
            }
            Ok(None) => {
                let settle = self.desk.broker.settle_window();
                let Some(search) = self.searches.get_mut(&id) else { return };
                let settled = step.now.duration_since(search.since).unsigned_abs() >= settle;
                search.misses += u32::from(settled);
                search.wait_longer(step.now, self.shared.tick);
                if search.misses >= MISSES {
                    self.searches.remove(&id);
                    let reason = "its answer was lost, and the broker does not have it".to_owned();
                    self.fold_event(step, id, OrderEvent::Expired { reason });
                }
            }
            Err(error) => {
                tracing::warn!(order = %id, %error, "the broker could not be asked for a lost order");
                if let Some(search) = self.searches.get_mut(&id) {
                    search.wait_longer(step.now, self.shared.tick);
                }
            }
        }
    }

    /// Folds an order as the broker has it.
    fn fold_broker_order(&mut self, step: &mut Step, id: OrderId, found: &BrokerOrder) {
        let broker_order_id = found.broker_order_id.clone();
        self.fold_event(step, id, OrderEvent::Acknowledged { broker_order_id });
        for fill in &found.fills {
            self.fold_event(step, id, OrderEvent::Filled(fill.clone()));
        }
        match &found.status {
            // Whoever asked to cancel it while nobody knew where it was still wants that.
            BrokerStatus::Open => self.cancel_at_broker(step, id),
            BrokerStatus::Filled => {}
            BrokerStatus::Canceled => self.fold_event(step, id, OrderEvent::Canceled),
            BrokerStatus::Expired => {
                self.fold_event(step, id, OrderEvent::Expired { reason: "its time in force ended".into() });
            }
            BrokerStatus::Rejected(reason) => {
                self.fold_event(step, id, OrderEvent::Refused { reason: reason.clone() });
            }
        }
    }

    async fn fold_snapshot(&mut self, step: &mut Step, snapshot: &Snapshot) -> Result<(), StorageError> {
        for execution in &snapshot.executions {
            let Ok(id) = execution.client_order_id.parse() else { continue };
            self.load_order(id).await?;
            self.fold_event(step, id, OrderEvent::Filled(execution.fill.clone()));
        }
        for (id, found) in &snapshot.orders {
            match found {
                Some(found) => self.fold_broker_order(step, *id, found),
                None => {
                    let known =
                        self.current(step, *id).is_some_and(|live| live.order.broker_order_id.is_some());
                    if known {
                        tracing::error!(order = %id, "the broker does not have an order that it acknowledged");
                    }
                }
            }
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

    /// Orders that were being sent when the desk last stopped: their answers are lost.
    fn declare_interrupted_sends_lost(&mut self) {
        let interrupted: Vec<OrderId> = {
            let book = self.desk.book();
            book.open()
                .filter(|live| live.order.status == Status::Submitting)
                .map(|live| live.order.id)
                .collect()
        };
        for order in interrupted {
            let answer = Err(SubmitFailure::Lost("the desk stopped while it was being sent".into()));
            self.backlog.push(Input::Sent { order, answer, took: Duration::ZERO });
        }
    }

    /// Asks the broker for every order whose answer was lost and whose time has come.
    fn search(&mut self) {
        let now = self.shared.clock.now();
        let unresolved: Vec<Order> = {
            let book = self.desk.book();
            book.open().filter(|live| live.is_unresolved()).map(|live| live.order.clone()).collect()
        };
        self.searches.retain(|id, _| unresolved.iter().any(|order| order.id == *id));
        for order in unresolved {
            if self.sending.contains(&order.id) {
                continue;
            }
            let search = self.searches.entry(order.id).or_insert_with(|| Search::new(now));
            if search.asking || now < search.next {
                continue;
            }
            search.asking = true;
            let (broker, answers) = (self.desk.broker.clone(), self.answers.clone());
            tokio::spawn(async move {
                let answer = tokio::time::timeout(CALL, broker.find(&order)).await;
                let answer = answer.unwrap_or_else(|_| Err(BrokerUnreachable("it took too long".into())));
                let _ = answers.send(Input::Found { order: order.id, answer }).await;
            });
        }
    }

    async fn open_stream(&mut self) -> Option<mpsc::Receiver<BrokerEvent>> {
        match tokio::time::timeout(CALL, self.desk.broker.events()).await {
            Ok(Ok(stream)) => {
                // Whatever was told while nobody listened is asked for.
                self.compare_at = Some(self.shared.clock.now());
                Some(stream)
            }
            Ok(Err(error)) => {
                self.go_blind(&error.to_string());
                None
            }
            Err(_) => {
                self.go_blind("the broker's stream did not open in time");
                None
            }
        }
    }

    /// Asks the broker for everything: after a (re)connect, and now and then while orders are open.
    fn compare_if_due(&mut self, listening: bool) {
        let now = self.shared.clock.now();
        if self.comparing || !listening || self.compare_at.is_none_or(|at| now < at) {
            return;
        }
        let explained = self.suspected == Difference::default();
        if self.reconciled && explained && self.desk.book().is_at_rest() {
            return;
        }
        let sent: Vec<Order> = {
            let book = self.desk.book();
            book.open().filter(|live| live.order.attempts > 0).map(|live| live.order.clone()).collect()
        };
        // While orders are open even a stream that looks healthy is not trusted for long.
        self.compare_at = Some(now + COMPARE);
        self.comparing = true;
        let since = self.newest_fill.map_or(Timestamp::UNIX_EPOCH, |newest| newest - OVERLAP);
        let (broker, answers, events_before) =
            (self.desk.broker.clone(), self.answers.clone(), self.events_seen);
        tokio::spawn(async move {
            let ask = async {
                let executions = broker.executions(since).await?;
                let mut orders = Vec::with_capacity(sent.len());
                for order in sent {
                    let found = tokio::time::timeout(CALL, broker.find(&order)).await;
                    let found =
                        found.unwrap_or_else(|_| Err(BrokerUnreachable("it took too long".into())))?;
                    orders.push((order.id, found));
                }
                let balances = broker.balances().await?;
                Ok(Snapshot { executions, orders, balances, events_before })
            };
            let _ = answers.send(Input::Compared(Box::new(ask.await))).await;
        });
    }

    /// After a comparison: cash at first, differences that nothing explains, and sight again.
    async fn settle_balances(&mut self, snapshot: Snapshot) -> Result<(), JournalError> {
        let quiet = snapshot.events_before == self.events_seen && self.sending.is_empty();
        let found = self.difference(&snapshot.balances);
        if self.opening_cash.is_none() {
            self.adopt_cash(found.cash, "account.opening_cash_learned").await?;
        } else if quiet && found == self.suspected {
            self.believe(found).await?;
        } else {
            self.suspected = found;
            if self.suspected != Difference::default() {
                self.compare_at = Some(self.shared.clock.now());
            }
        }
        self.see_again().await?;
        // Orders accepted before the account was compared can go now.
        self.reconciled = true;
        self.desk.accepted.notify_one();
        Ok(())
    }

    /// Ends blindness, once that is in the audit log: which also proves that the log can be written.
    async fn see_again(&self) -> Result<(), JournalError> {
        let Some(blind) = self.desk.book().blind.clone() else { return Ok(()) };
        let entry = AuditEntry::by_system(self.shared.clock.now(), "account.reconciled")
            .on("account", self.desk.account.id)
            .with(json!({ "blind_since": blind.since, "reason": blind.reason }));
        self.record(entry).await?;
        self.desk.book().blind = None;
        let _ = self.shared.events.send(TradingEvent::Account(self.desk.account.id));
        Ok(())
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

    /// A difference that was found twice: cash is adopted, positions are reported.
    async fn believe(&mut self, found: Difference) -> Result<(), JournalError> {
        if !found.cash.is_zero() {
            let account = &self.desk.account.name;
            tracing::warn!(account, difference = %found.cash, "cash at the broker is not what fills explain");
            self.adopt_cash(found.cash, "account.cash_adjusted").await?;
        }
        if found.positions != self.told {
            if let Some(positions) = &found.positions {
                self.report(positions).await?;
            }
            self.told = found.positions;
        }
        self.suspected = Difference::default();
        Ok(())
    }

    /// What the broker has other than the desk.
    fn difference(&self, balances: &Balances) -> Difference {
        let book = self.desk.book();
        let at_broker: FxHashMap<&Symbol, _> = balances.positions.iter().map(|(s, q)| (s, *q)).collect();
        let mut differences = Vec::new();
        for (symbol, position) in &book.positions {
            let theirs = at_broker.get(symbol).copied().unwrap_or_default();
            if theirs != position.quantity {
                differences.push(format!("{symbol}: desk {}, broker {theirs}", position.quantity));
            }
        }
        for (symbol, theirs) in &balances.positions {
            if !theirs.is_zero() && !book.positions.contains_key(symbol) {
                differences.push(format!("{symbol}: desk 0, broker {theirs}"));
            }
        }
        let positions = (!differences.is_empty()).then(|| differences.join("; "));
        Difference { cash: balances.cash - book.cash, positions }
    }

    async fn adopt_cash(&mut self, difference: Money, act: &'static str) -> Result<(), JournalError> {
        let account = self.desk.account.id;
        let opening = self.opening_cash.unwrap_or_default() + difference;
        let entry = AuditEntry::by_system(self.shared.clock.now(), act)
            .on("account", account)
            .with(json!({ "difference": difference, "opening_cash": opening }));
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    store::set_opening_cash(tx, account, opening).await?;
                    tx.record(entry);
                    Ok::<_, JournalError>(())
                })
            })
            .await?;
        self.opening_cash = Some(opening);
        self.desk.book().cash += difference;
        Ok(())
    }

    async fn report(&self, difference: &str) -> Result<(), JournalError> {
        tracing::error!(account = %self.desk.account.name, difference, "positions at the broker are not those of the desk");
        let entry = AuditEntry::by_system(self.shared.clock.now(), "account.positions_differ")
            .on("account", self.desk.account.id)
            .ended(Outcome::Failed)
            .with(json!({ "difference": difference }));
        self.record(entry).await
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

/// What a comparison found at the broker that the desk cannot explain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Difference {
    /// What the broker has more in cash.
    cash: Money,
    /// In words, for positions.
    positions: Option<String>,
}

/// What is being folded.
struct Step {
    now: Timestamp,
    draft: Draft,
    entries: Vec<AuditEntry>,
    effects: Vec<Effect>,
}

impl Search {
    fn new(now: Timestamp) -> Self {
        Self { since: now, misses: 0, next: now, wait: Duration::ZERO, asking: false }
    }

    fn wait_longer(&mut self, now: Timestamp, unit: Duration) {
        self.asking = false;
        self.wait = (self.wait * 2).clamp(unit, LONGEST_WAIT);
        self.next = now + self.wait;
    }
}

async fn next(stream: &mut Option<mpsc::Receiver<BrokerEvent>>) -> Option<BrokerEvent> {
    match stream {
        Some(stream) => stream.recv().await,
        None => std::future::pending().await,
    }
}
