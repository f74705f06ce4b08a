//! One account in trading: its core, its broker, the way to its router, and the line of orders that wait for the disk.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{AccountId, Order, OrderId};
use rustc_hash::FxHashMap;
use storage::{StorageError, Tx};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Shared, TradingEvent};
use crate::accounts::{Account, Mode};
use crate::broker::Broker;
use crate::core::{Command, Core, Reply, Ticket};
use crate::outbox;
use crate::store::{self, Inserted, Intent, JournalError};

/// Orders of one account that may wait for the disk. More are refused.
pub(crate) const WAITING: usize = 4_096;
/// Orders of one account that are written with one statement at most.
const TOGETHER: usize = 64;
/// How long a write waits for the next who lines up, at most: in turns of the tasks that can run.
const TURNS: usize = 8;

/// One account in trading.
pub(crate) struct Desk {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) epoch: i64,
    /// Rings when there is something to do that no message says.
    pub(crate) wake: Notify,
    /// Ends its router and whatever else looks after the account.
    pub(crate) stop: CancellationToken,
    /// The broker was found not to accept its credentials, and that was written down.
    pub(crate) locked_out: AtomicBool,
    id: AccountId,
    mode: Mode,
    commands: mpsc::Sender<Command>,
    core: Mutex<Core>,
    line: Mutex<Line>,
    waiting: Mutex<Replies>,
}

/// Orders on their way to the disk.
#[derive(Default)]
struct Line {
    waiting: Vec<(Intent, oneshot::Sender<Result<Inserted, JournalError>>)>,
    /// Somebody is writing, and looks here again afterwards.
    writing: bool,
}

/// Orders that are written with one statement: of each caller its own and those that it brings with it.
#[derive(Default)]
struct Together {
    orders: Vec<Vec<Order>>,
    callers: Vec<oneshot::Sender<Result<Inserted, JournalError>>>,
}

/// Those who wait for what becomes of a command.
#[derive(Default)]
struct Replies {
    next: Ticket,
    callers: FxHashMap<Ticket, oneshot::Sender<Reply>>,
}

impl Desk {
    pub(crate) fn new(
        core: Core,
        broker: Arc<dyn Broker>,
        epoch: i64,
        commands: mpsc::Sender<Command>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            id: core.account.id,
            mode: core.account.mode,
            stop,
            locked_out: AtomicBool::new(false),
            broker,
            epoch,
            wake: Notify::new(),
            commands,
            core: Mutex::new(core),
            line: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// The core, locked. Never held over a wait.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn account_id(&self) -> AccountId {
        self.id
    }

    /// Whether its money is real. That never changes.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// The account as it stands.
    pub(crate) fn account(&self) -> Account {
        self.core().account.clone()
    }

    /// Hands a command to the router and waits for what becomes of it; `None` when the desk is shutting down, or another one has
    /// taken the account over.
    pub(crate) async fn ask(&self, command: impl FnOnce(Ticket) -> Command) -> Option<Reply> {
        let (caller, answer) = oneshot::channel();
        let ticket = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.next += 1;
            let ticket = waiting.next;
            waiting.callers.insert(ticket, caller);
            ticket
        };
        if self.commands.send(command(ticket)).await.is_err() {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&ticket);
            return None;
        }
        answer.await.ok()
    }

    /// Tells whoever waits. Those who went away are not told.
    pub(crate) fn reply(&self, ticket: Ticket, reply: Reply) {
        let caller = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&ticket);
        if let Some(caller) = caller {
            let _ = caller.send(reply);
        }
    }

    /// Nobody answers any more: whoever still waits is told so.
    pub(crate) fn hang_up(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.clear();
    }

    /// Makes an order durable, together with those that come in at the same time.
    ///
    /// What was begun is finished even when the caller goes away in the middle: an order that is in the journal is sent.
    pub(super) async fn line_up(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        intent: Intent,
    ) -> Result<Inserted, JournalError> {
        let (caller, answer) = oneshot::channel();
        let first = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.waiting.len() >= WAITING {
                drop(line);
                self.core().not_journaled(&mut shared.ledger(), ids(&intent));
                return Err(StorageError::Busy.into());
            }
            line.waiting.push((intent, caller));
            !std::mem::replace(&mut line.writing, true)
        };
        if first {
            tokio::spawn(self.clone().write_line(shared.clone()));
        }
        answer.await.unwrap_or(Err(JournalError::Storage(StorageError::Abandoned)))
    }

    /// Writes what waits until nothing does.
    async fn write_line(self: Arc<Self>, shared: Arc<Shared>) {
        let mut answered = 0;
        loop {
            {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                line.writing = !line.waiting.is_empty();
                if !line.writing {
                    return;
                }
            }
            let together = Arc::new(Mutex::new(Together::default()));
            let (desk, taken) = (self.clone(), together.clone());
            let (outbox, mode) = (shared.outbox.clone(), self.account().mode);
            let written = shared
                .db
                .write(move |tx: &mut Tx| {
                    Box::pin(async move {
                        // The transaction has begun: who lined up meanwhile goes with it.
                        desk.let_them_line_up(answered).await;
                        let intents = desk.take(&taken);
                        let mut inserted = store::insert(tx, desk.id, &intents, desk.epoch).await;
                        if let Ok(each) = &inserted
                            && let Err(error) =
                                outbox.post(tx, || outbox::of_accepted(&intents, each, mode)).await
                        {
                            inserted = Err(error.into());
                        }
                        fail::fail_point!("K2", |_| Err(StorageError::Abandoned.into()));
                        inserted
                    })
                })
                .await;
            fail::fail_point!("K3");
            if written.is_err() {
                // Perhaps nothing was begun: then it is these whom that befell.
                self.take(&together);
            }
            let Together { orders, callers } =
                std::mem::take(&mut *together.lock().unwrap_or_else(PoisonError::into_inner));
            answered = callers.len();
            self.settle(&shared, &orders, &written);
            answer_all(callers, &written);
            self.publish(&shared, orders, &written);
        }
    }

    /// Takes the first of the line into an empty group, and gives what is to be written of them.
    fn take(&self, together: &Mutex<Together>) -> Vec<Intent> {
        let mut together = together.lock().unwrap_or_else(PoisonError::into_inner);
        if !together.callers.is_empty() {
            return Vec::new();
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let count = line.waiting.len().min(TOGETHER);
        let (intents, callers): (Vec<Intent>, _) = line.waiting.drain(..count).unzip();
        drop(line);
        together.callers = callers;
        together.orders = intents.iter().map(orders_of).collect();
        intents
    }

    /// Waits a little for those who were just answered and may have the next order at hand, for as long as some come: so
    /// they go with one write. Without that they would come to be spread over many small ones.
    async fn let_them_line_up(&self, answered: usize) {
        let waiting = || self.line.lock().unwrap_or_else(PoisonError::into_inner).waiting.len();
        let (mut seen, mut idle) = (waiting(), 0);
        let all = (seen + answered).min(TOGETHER);
        while seen < all && idle < TURNS {
            tokio::task::yield_now().await;
            let now = waiting();
            idle = if now > seen { 0 } else { idle + 1 };
            seen = now;
        }
    }

    /// Lines the orders that are durable up for sending, and gives back the head-room of the others.
    fn settle(&self, shared: &Shared, orders: &[Vec<Order>], written: &Result<Vec<Inserted>, JournalError>) {
        {
            let mut core = self.core();
            for (nth, orders) in orders.iter().enumerate() {
                let ids = orders.iter().map(|order| order.id);
                match is_new(written, nth) {
                    true => {
                        core.accepted_at = Some(shared.clock.now());
                        core.journaled(ids);
                    }
                    false => core.not_journaled(&mut shared.ledger(), ids),
                }
            }
        }
        self.wake.notify_one();
    }

    /// Tells the streams which orders there are now.
    fn publish(
        &self,
        shared: &Shared,
        orders: Vec<Vec<Order>>,
        written: &Result<Vec<Inserted>, JournalError>,
    ) {
        for (nth, orders) in orders.into_iter().enumerate() {
            if is_new(written, nth) {
                for order in orders {
                    let _ = shared.events.send(TradingEvent::Order(Arc::new(order)));
                }
            }
        }
        let _ = shared.events.send(TradingEvent::Account(self.id));
    }
}

/// Whether an order of a group is in the journal now, and was not there before.
fn is_new(written: &Result<Vec<Inserted>, JournalError>, nth: usize) -> bool {
    matches!(written, Ok(outcomes) if matches!(outcomes.get(nth), Some(Inserted::Yes)))
}

fn ids(intent: &Intent) -> impl Iterator<Item = OrderId> {
    std::iter::once(intent.order.id).chain(intent.legs.iter().map(|leg| leg.order.id))
}

fn orders_of(intent: &Intent) -> Vec<Order> {
    std::iter::once(&intent.order).chain(intent.legs.iter().map(|leg| &leg.order)).cloned().collect()
}

/// Tells each caller what became of its order. One that went away is not told.
fn answer_all(
    callers: Vec<oneshot::Sender<Result<Inserted, JournalError>>>,
    written: &Result<Vec<Inserted>, JournalError>,
) {
    match written {
        Ok(outcomes) => {
            for (caller, outcome) in callers.into_iter().zip(outcomes) {
                let _ = caller.send(Ok(outcome.clone()));
            }
        }
        Err(error) => {
            for caller in callers {
                let _ = caller.send(Err(match error {
                    JournalError::Fenced => JournalError::Fenced,
                    JournalError::Storage(error) => StorageError::NotCommitted(error.to_string()).into(),
                }));
            }
        }
    }
}
