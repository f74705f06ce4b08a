//! Everything about one account that decides: sans-I/O.
//!
//! Inputs and the time go in, a [`Step`] comes out: what is to be journaled, and what is to be done once it is. Nothing
//! here waits, reads a clock, draws a random number, or talks to anybody. The router performs the steps against the
//! database and the broker; the simulator performs the same steps against faults of its own.
//!
//! 1. [`Core::step`] folds inputs into a draft and decides what follows: send, cancel, replace, ask, compare.
//! 2. The draft is committed in one transaction.
//! 3. [`Core::committed`] makes it the account's state and gives the effects to perform; or, if the commit failed,
//!    [`Core::failed`] gives the few that are right all the same, and keeps what the broker said for another try.
//!
//! So an order is journaled as being sent before the first byte goes out, and an execution counts only once it is
//! journaled. Every effect has an id made of what it is about: the same state asks for the same effect.

mod accept;
mod backoff;
mod books;
mod breaker;
mod budget;
mod clock;
mod compare;
mod corporate;
mod external;
mod fold;
mod groups;
mod kill;
mod replace;
mod search;
mod send;

#[cfg(test)]
mod histories;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{
    AuditEntry, Money, Order, OrderEvent, OrderId, Price, Quantity, Quote, Status, Symbol, Timestamp,
};

pub use self::accept::Amendment;
pub(crate) use self::accept::{Accepting, Author, Market, Refused, author, describe, scopes_of, total};
use self::backoff::{Backoff, Jitter};
pub(crate) use self::books::{BookAct, BookDone, funded};
pub(crate) use self::breaker::Breaker;
use self::budget::Budget;
pub use self::budget::{HeadRoom, Priority};
use self::compare::Difference;
pub(crate) use self::compare::Snapshot;
pub use self::kill::Kill;
pub(crate) use self::kill::{Braked, Closing};
use self::search::Search;
pub use self::search::Unknown;
use crate::accounts::{Account, Blind};
use crate::book::{Book, Draft, History, Live};
use crate::books::BookRefusal;
use crate::broker::{BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Profile, SubmitFailure};
use crate::risk::{Ledger, OrderLimits};
use crate::scope::Scope;
use crate::store::{Batch, NewOrder};

/// What a core is told once.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What an order may be, whoever places it.
    pub(crate) limits: OrderLimits,
    /// How often the router looks after what is unresolved; the unit of its back-off.
    pub(crate) tick: Duration,
    /// Makes the waits of different accounts and starts differ.
    pub(crate) seed: u64,
}

/// Who waits for an answer: a number that the shell gave.
pub(crate) type Ticket = u64;

/// What the gateway asks of a router.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Cancel orders.
    Cancel { orders: Vec<OrderId>, entry: Box<AuditEntry>, ticket: Ticket },
    /// Put an order in the place of another; its head-room is held already.
    Replace { order: OrderId, by: Box<NewOrder>, entry: Box<AuditEntry>, ticket: Ticket },
    /// A named person ends an unknown outcome, or has it looked for again at once.
    Resolve { order: OrderId, choice: Choice, entry: Box<AuditEntry>, ticket: Ticket },
    /// Compare the account with the broker now.
    Reconcile { entry: Box<AuditEntry>, ticket: Ticket },
    /// Do something to the books of the account.
    Books { act: Box<BookAct>, entry: Box<AuditEntry>, ticket: Ticket },
}

impl Command {
    fn ticket(&self) -> Ticket {
        match self {
            Self::Cancel { ticket, .. }
            | Self::Replace { ticket, .. }
            | Self::Resolve { ticket, .. }
            | Self::Reconcile { ticket, .. }
            | Self::Books { ticket, .. } => *ticket,
        }
    }
}

/// What a person can do about an order whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Ask the broker again, now.
    AskAgain,
    /// The person knows that the broker does not have it, and says how.
    NotThere {
        /// How they know.
        evidence: String,
    },
}

/// What became of a command.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Each order that was to be canceled, or why it is not.
    Canceled(Vec<(OrderId, Result<Order, Status>)>),
    /// The order that is to take the place.
    Replacing(Order),
    /// The order is not one that can be replaced (any more).
    NotReplaceable(Status),
    /// The order after a person decided.
    Resolved(Order),
    /// Its outcome is not unknown (any more).
    NotUnknown(Status),
    /// A comparison was begun.
    Reconciling,
    /// What was done to the books, or why nothing was.
    Books(Result<BookDone, BookRefusal>),
    /// There is no such order.
    NotFound,
    /// It could not be journaled.
    NotJournaled(String),
}

/// Something that came in.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Somebody asks for something.
    Command(Command),
    /// The broker's stream says something.
    Event(BrokerEvent),
    /// The broker answered an order.
    Sent { order: OrderId, answer: Result<String, SubmitFailure>, took: Duration },
    /// A kill switch was engaged after the order was journaled as being sent, and before it was: it did not leave.
    Withheld { order: OrderId, replaces: Option<OrderId> },
    /// An order that closes a position was sent while the journal could not be written: only the file of kill switches has
    /// it.
    SentBeside(Box<Order>),
    /// The broker answered a cancel.
    CancelAnswered { order: OrderId, answer: Result<(), CancelFailure> },
    /// The broker answered a replacement.
    ReplaceAnswered { order: OrderId, by: OrderId, answer: Result<String, SubmitFailure> },
    /// The broker answered where an order is.
    Found { order: OrderId, answer: Result<Option<BrokerOrder>, BrokerUnreachable> },
    /// The broker answered everything.
    Compared(Box<Result<Snapshot, BrokerUnreachable>>),
    /// The broker's stream is open.
    Listening,
    /// The broker's stream could not be opened, or ended.
    Deaf(String),
}

/// What to do once a step is committed.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "an effect is performed at once and kept nowhere")]
pub(crate) enum Effect {
    /// Send an order.
    Submit(Order),
    /// Ask to cancel an order.
    Cancel(Order),
    /// Ask to put an order in the place of another.
    Replace { order: Order, by: Order },
    /// Ask where an order is.
    Find { order: Order, try_number: u32 },
    /// Ask for everything.
    Compare { since: Timestamp, known: Vec<Order>, events_before: u64 },
    /// Open the broker's stream.
    Listen,
    /// Answer whoever waits.
    Reply(Ticket, Reply),
}

impl Effect {
    /// What is to be folded when a change did not leave the desk; `None` for a question.
    pub(crate) fn not_reached(&self, why: &str) -> Option<Input> {
        let answer = Err(SubmitFailure::NotReached(why.to_owned()));
        match self {
            Self::Submit(order) => Some(Input::Sent { order: order.id, answer, took: Duration::ZERO }),
            Self::Replace { order, by } => {
                Some(Input::ReplaceAnswered { order: order.id, by: by.id, answer })
            }
            Self::Cancel(order) => Some(Input::CancelAnswered {
                order: order.id,
                answer: Err(CancelFailure::Unreachable(why.to_owned())),
            }),
            _ => None,
        }
    }

    /// What the effect is about, in a word: the same for the same effect of the same state.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Submit(order) => format!("submit/{}/{}", order.id, order.attempts),
            Self::Cancel(order) => format!("cancel/{}/{}", order.id, order.version),
            Self::Replace { order, by } => format!("replace/{}/{}", order.id, by.id),
            Self::Find { order, try_number } => format!("find/{}/{try_number}", order.id),
            Self::Compare { events_before, .. } => format!("compare/{events_before}"),
            Self::Listen => "listen".to_owned(),
            Self::Reply(ticket, _) => format!("reply/{ticket}"),
        }
    }
}

/// The market as it is when a step is made.
pub(crate) trait View {
    /// The latest quote, and when it came in.
    fn quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)>;
    /// The latest price.
    fn price(&self, symbol: &Symbol) -> Option<Price>;
}

/// What has to be read from the journal before an input can be folded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// An order that was forgotten since its end.
    Order(OrderId),
    /// The order that has this client order id, if one has.
    Named(String),
}

/// What came of a step: to be journaled, then to be done.
pub(crate) struct Step {
    pub(crate) now: Timestamp,
    pub(crate) draft: Draft,
    pub(crate) entries: Vec<AuditEntry>,
    effects: Vec<Effect>,
    /// Inputs to fold again, should the commit fail: what the broker said is not said twice.
    kept: Vec<Input>,
    /// The account was compared: it sees again, and its differences are these.
    compared: Option<Difference>,
    history: History,
    /// Orders from outside that are adopted with this step, by the broker's id.
    adopted: BTreeMap<String, OrderId>,
}

impl Step {
    /// What is to be committed.
    pub(crate) fn batch(&self) -> Batch {
        Batch {
            inserts: self.draft.inserts.clone(),
            changes: self.draft.changes.clone(),
            transfers: self.draft.transfers.clone(),
            flows: self.draft.flows.clone(),
            books: self.draft.books.clone(),
            opening_cash: self.draft.opening_cash,
            entries: self.entries.clone(),
        }
    }
}

/// What was known of the account before this start.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) book: Book,
    pub(crate) opening_cash: Option<Money>,
    pub(crate) newest_fill: Option<Timestamp>,
    pub(crate) kills: BTreeMap<Scope, Kill>,
}

/// One account.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) account: Account,
    pub(crate) profile: Profile,
    pub(crate) book: Book,
    config: Config,
    jitter: Jitter,
    budget: Budget,
    breaker: Breaker,
    kills: BTreeMap<Scope, Kill>,
    listening: bool,
    /// Since when the broker's stream is open.
    pub(crate) listening_since: Option<Timestamp>,
    /// When the broker last said anything.
    pub(crate) heard_at: Option<Timestamp>,
    listen_at: Option<Timestamp>,
    listen_wait: Backoff,
    /// Events read from the broker's stream since the start.
    events_seen: u64,
    /// Inputs whose commit failed.
    backlog: Vec<Input>,
    /// When an order was last accepted.
    pub(crate) accepted_at: Option<Timestamp>,
    /// Orders that are accepted and not in the journal yet.
    arriving: BTreeSet<OrderId>,
    /// Orders on their way to the broker.
    sending: BTreeSet<OrderId>,
    /// Cancels on their way.
    canceling: BTreeSet<OrderId>,
    /// Cancels that did not reach the broker, or that it has taken and not ended yet: when to ask again.
    cancel_waits: BTreeMap<OrderId, Backoff>,
    /// Orders that did not reach the broker: when to try again.
    retries: BTreeMap<OrderId, Backoff>,
    searches: BTreeMap<OrderId, Search>,
    /// Orders of which the broker said something that does not fit: it is asked how they stand.
    doubted: BTreeSet<OrderId>,
    opening_cash: Option<Money>,
    newest_fill: Option<Timestamp>,
    /// Nothing is sent before the account was compared with the broker once.
    reconciled: bool,
    comparing: bool,
    /// When to compare because there is a reason to.
    compare_at: Option<Timestamp>,
    /// When to compare although nobody asks.
    compare_timer: Option<Timestamp>,
    compare_wait: Backoff,
    /// When an order was last made to close a position.
    flattened: BTreeMap<(Scope, Symbol), Timestamp>,
    /// What the last comparison could not explain. The broker was not asked for everything in one moment, so it is
    /// believed when the next comparison finds the same.
    suspected: Difference,
    /// The last step that had something to journal could not be.
    journal_fails: bool,
    /// Another desk has taken the account over: this one does nothing any more.
    pub(crate) fenced: bool,
    /// The account is being removed: it takes no orders any more.
    pub(crate) leaving: bool,
}

/// Orders that are on their way to the broker at the same time, at most.
const SENDING: usize = 32;
/// The longest wait between two tries of anything.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

impl Core {
    /// An account as it was stored. It is blind until it was compared with the broker.
    pub(crate) fn new(
        account: Account,
        profile: Profile,
        config: Config,
        known: Known,
        now: Timestamp,
    ) -> Self {
        let Known { mut book, opening_cash, newest_fill, kills } = known;
        book.blind.get_or_insert(Blind { since: now, reason: "the desk is starting".into() });
        let budget = Budget::new(profile.requests_per_minute, profile.burst, now);
        let mut core = Self {
            jitter: Jitter::new(config.seed),
            account,
            profile,
            book,
            config,
            budget,
            breaker: Breaker::default(),
            kills,
            listening: false,
            listening_since: None,
            heard_at: None,
            listen_at: Some(now),
            listen_wait: Backoff::default(),
            events_seen: 0,
            backlog: Vec::new(),
            accepted_at: None,
            arriving: BTreeSet::new(),
            sending: BTreeSet::new(),
            canceling: BTreeSet::new(),
            cancel_waits: BTreeMap::new(),
            retries: BTreeMap::new(),
            searches: BTreeMap::new(),
            doubted: BTreeSet::new(),
            opening_cash,
            newest_fill,
            reconciled: false,
            comparing: false,
            compare_at: None,
            compare_timer: None,
            compare_wait: Backoff::default(),
            flattened: BTreeMap::new(),
            suspected: Difference::default(),
            journal_fails: false,
            fenced: false,
            leaving: false,
        };
        core.pair_replacements();
        core.declare_interrupted_sends_lost();
        core
    }

    /// What has to be read before inputs can be folded.
    pub(crate) fn needs(&self, inputs: &[Input]) -> BTreeSet<Need> {
        inputs.iter().chain(&self.backlog).flat_map(|input| self.needs_of(input)).collect()
    }

    fn needs_of(&self, input: &Input) -> Vec<Need> {
        let by_id = |id: OrderId| match self.book.get(id) {
            Some(_) => None,
            None => Some(Need::Order(id)),
        };
        // Somebody else's order may be named by a UUID too: then it is there under the broker's name, or nowhere.
        let told = |client_order_id: &str, broker_order_id: &str| -> Vec<Need> {
            if self.known(client_order_id, broker_order_id).is_some() {
                return Vec::new();
            }
            let ours = client_order_id.parse().ok().and_then(by_id);
            ours.into_iter().chain([Need::Named(external::name(broker_order_id))]).collect()
        };
        match input {
            Input::Command(Command::Cancel { orders, .. }) => {
                orders.iter().copied().filter_map(by_id).collect()
            }
            Input::Command(Command::Replace { order, .. } | Command::Resolve { order, .. }) => {
                by_id(*order).into_iter().collect()
            }
            Input::Event(event) => told(&event.client_order_id, &event.broker_order_id),
            Input::SentBeside(order) => by_id(order.id).into_iter().collect(),
            Input::Compared(answer) => match answer.as_ref() {
                Ok(snapshot) => {
                    let executed = snapshot.executions.iter();
                    let executed = executed.map(|one| (&one.client_order_id, &one.broker_order_id));
                    let open = snapshot.open.iter().map(|one| (&one.client_order_id, &one.broker_order_id));
                    executed.chain(open).flat_map(|(client, broker)| told(client, broker)).collect()
                }
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Symbols whose whole history is needed to fold inputs, because an execution is corrected.
    pub(crate) fn needs_history(&self, inputs: &[Input]) -> BTreeSet<Symbol> {
        let mut symbols = BTreeSet::new();
        for input in inputs.iter().chain(&self.backlog) {
            match input {
                Input::Event(BrokerEvent { client_order_id, broker_order_id, event: Some(event) }) => {
                    let order = self.known(client_order_id, broker_order_id).and_then(|id| self.book.get(id));
                    if let (true, Some(live)) = (corrects(event), order) {
                        symbols.insert(live.order.request.symbol.clone());
                    }
                }
                Input::Compared(answer) => {
                    let snapshots = || answer.as_ref().iter();
                    let executions = snapshots().flat_map(|snapshot| &snapshot.executions);
                    let corrections = executions.filter(|one| corrects(&one.event));
                    symbols.extend(corrections.map(|one| one.symbol.clone()));
                    for order in snapshots().flat_map(|snapshot| snapshot.all_orders()) {
                        self.differs(order, &mut symbols);
                    }
                }
                Input::Found { answer: Ok(Some(order)), .. } => self.differs(order, &mut symbols),
                Input::Command(Command::Books { act, .. }) => symbols.extend(self.reckoned_again(act)),
                _ => {}
            }
        }
        symbols
    }

    /// Whether the broker lists an execution of an order with other numbers than are booked.
    fn differs(&self, found: &BrokerOrder, symbols: &mut BTreeSet<Symbol>) {
        let id = self.known(&found.client_order_id, &found.broker_order_id);
        if let Some(live) = id.and_then(|id| self.book.get(id))
            && found
                .fills
                .iter()
                .any(|fill| live.executions.get(&fill.execution_id).is_some_and(|was| was != fill))
        {
            symbols.insert(live.order.request.symbol.clone());
        }
    }

    /// The desk's id of an order that the broker tells of, if it is at hand.
    fn known(&self, client_order_id: &str, broker_order_id: &str) -> Option<OrderId> {
        let ours = client_order_id.parse().ok().filter(|id| self.book.get(*id).is_some());
        ours.or_else(|| self.book.called(broker_order_id))
    }

    /// Brings an order back that was forgotten since its end.
    pub(crate) fn remember(&mut self, live: Live) {
        if live.order.account == self.account.id && self.book.get(live.order.id).is_none() {
            self.book.put(live);
        }
    }

    /// Folds inputs and decides what follows. `history` has the symbols of [`Core::needs_history`].
    pub(crate) fn step(
        &mut self,
        inputs: Vec<Input>,
        history: History,
        view: &dyn View,
        now: Timestamp,
    ) -> Step {
        let mut step = Step {
            now,
            draft: Draft::on(&self.book),
            entries: Vec::new(),
            effects: Vec::new(),
            kept: Vec::new(),
            compared: None,
            history,
            adopted: BTreeMap::new(),
        };
        // Whatever is logged on the way says whose order it is about, and whether its money is real.
        let (account, mode) = (&self.account.name, &self.account.mode);
        let _logged = tracing::error_span!("account", name = account, %mode).entered();
        let mut inputs = inputs;
        inputs.splice(0..0, std::mem::take(&mut self.backlog));
        // What is reckoned again is reckoned from what was read, to which this step has not added yet.
        inputs.sort_by_key(|input| !books::is_reckoning(input));
        for input in inputs {
            self.fold(&mut step, input, view);
        }
        self.follow_up(&mut step);
        self.enforce_kills(&mut step, view);
        self.watch_prices(&mut step, view);
        self.follow_up(&mut step);
        if self.reconciled {
            self.send_unsent(&mut step);
        }
        self.ask_for_cancels(&mut step);
        self.search(&mut step);
        self.listen_if_due(&mut step);
        self.compare_if_due(&mut step);
        step.entries = step.entries.into_iter().map(|entry| self.account.sign(entry)).collect();
        step
    }

    /// The step is in the journal: makes it the account's state, and gives what is to be done.
    pub(crate) fn committed(&mut self, step: Step, ledger: &mut Ledger) -> Vec<Effect> {
        let Step { now, draft, entries, effects, compared, .. } = step;
        self.journal_fails &= entries.is_empty() && draft.inserts.is_empty() && draft.changes.is_empty();
        self.account_for(&draft, ledger, now);
        for change in &draft.changes {
            self.newest_fill = self.newest_fill.max(change.booked.iter().map(|booked| booked.fill.at).max());
            if !matches!(change.event, OrderEvent::NotReached { .. } | OrderEvent::Submitting { .. }) {
                self.retries.remove(&change.order.id);
            }
            if change.order.status.is_terminal() {
                self.cancel_waits.remove(&change.order.id);
            }
        }
        if let Some(cash) = draft.opening_cash {
            self.opening_cash = Some(cash);
        }
        let unsent: Vec<OrderId> = draft
            .touched()
            .filter(|live| live.order.status == Status::Accepted)
            .map(|live| live.order.id)
            .collect();
        self.book.commit(draft);
        for id in unsent {
            self.book.queue(id);
        }
        if let Some(difference) = compared {
            self.suspected = difference;
            self.reconciled = true;
            self.book.blind = None;
        }
        self.book.forget_old();
        effects.into_iter().filter_map(|effect| self.unless_killed(effect)).collect()
    }

    /// The step could not be journaled: nothing is sent. Cancels are the exception, because they can only reduce risk.
    pub(crate) fn failed(&mut self, step: Step, why: &str) -> Vec<Effect> {
        self.journal_fails = true;
        self.go_blind(step.now, &format!("the order journal cannot be written: {why}"));
        self.compare_at = Some(step.now);
        self.backlog.extend(step.kept);
        self.keep_books_as_they_were(&step.draft);
        let mut right = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Submit(order) => {
                    self.sending.remove(&order.id);
                }
                Effect::Replace { order, by } => {
                    self.sending.remove(&by.id);
                    self.uncover(order.id);
                }
                Effect::Reply(ticket, _) => {
                    right.push(Effect::Reply(ticket, Reply::NotJournaled(why.to_owned())));
                }
                Effect::Find { .. } | Effect::Cancel(_) | Effect::Compare { .. } | Effect::Listen => {
                    right.push(effect);
                }
            }
        }
        right
    }

    /// Inputs could not be prepared because the journal cannot be read: what the broker said waits, who asked is told.
    pub(crate) fn put_off(&mut self, inputs: Vec<Input>, why: &str, now: Timestamp) -> Vec<Effect> {
        self.go_blind(now, &format!("the order journal cannot be read: {why}"));
        let mut replies = Vec::new();
        for input in inputs {
            match input {
                Input::Command(command) => {
                    if let Command::Replace { order, .. } = &command {
                        self.uncover(*order);
                    }
                    replies.push(Effect::Reply(command.ticket(), Reply::NotJournaled(why.to_owned())));
                }
                input => self.backlog.push(input),
            }
        }
        replies
    }

    /// Another desk has taken the account over.
    pub(crate) fn fence(&mut self, now: Timestamp) {
        self.fenced = true;
        self.go_blind(now, "another desk has taken over the account");
    }

    /// Whatever waits for the broker is tried again at once: it has got other credentials.
    pub(crate) fn try_again(&mut self, now: Timestamp) {
        self.breaker.answered();
        self.listen_wait = Backoff::default();
        self.compare_wait = Backoff::default();
        self.compare_at = Some(now);
    }

    pub(crate) fn go_blind(&mut self, now: Timestamp, reason: &str) {
        let since = self.book.blind.as_ref().map_or(now, |blind| blind.since);
        // Also when it was blind before for another reason.
        if self.book.blind.as_ref().is_none_or(|blind| blind.reason != reason) {
            tracing::error!(account = %self.account.name, mode = %self.account.mode, reason, "the account is blind");
        }
        self.book.blind = Some(Blind { since, reason: reason.to_owned() });
    }

    /// Requests to the broker that are still free, and whether it is being spared.
    pub(crate) fn head_room(&self, now: Timestamp) -> HeadRoom {
        self.budget.head_room(now)
    }

    /// Whether it is known what the account had at first.
    pub(crate) fn is_funded(&self) -> bool {
        self.opening_cash.is_some()
    }

    /// Since when the broker is spared because it does not answer.
    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The order as it is after what is drafted so far.
    fn current(&self, step: &Step, id: OrderId) -> Option<Live> {
        self.peek(step, id).cloned()
    }

    /// The same, to look at.
    fn peek<'a>(&'a self, step: &'a Step, id: OrderId) -> Option<&'a Live> {
        step.draft.get(id).or_else(|| self.book.get(id))
    }

    /// Moves what the draft does to orders and fills into the ledger of limits.
    fn account_for(&self, draft: &Draft, ledger: &mut Ledger, now: Timestamp) {
        for new in &draft.inserts {
            if new.order.provenance.leg.is_none() && new.order.status != Status::Held {
                let scopes = scopes_of(&new.order);
                ledger.hold(crate::risk::Hold::of(&new.order, &scopes, new.reserve_price));
            }
        }
        for change in &draft.changes {
            let (order, scopes) = (&change.order, scopes_of(&change.order));
            match &change.event {
                OrderEvent::Filled(fill) => ledger.fill(order, &scopes, fill),
                OrderEvent::Corrected { .. } | OrderEvent::Busted { .. } => {
                    let was = change.booked.first().map(|booked| domain::Fill {
                        quantity: -booked.fill.quantity,
                        fee: -booked.fill.fee,
                        ..booked.fill.clone()
                    });
                    let by = change.booked.get(1).map(|booked| &booked.fill);
                    match (was, by) {
                        (Some(was), by) if was.quantity.is_positive() => {
                            ledger.correct(order, &scopes, &was, by);
                        }
                        _ => {}
                    }
                }
                OrderEvent::Released { .. } => {
                    ledger.hold(crate::risk::Hold {
                        counts: false,
                        ..crate::risk::Hold::of(order, &scopes, reserve_price(self, draft, order))
                    });
                }
                OrderEvent::Restated { .. } => {
                    ledger.change(order.id, order.leaves(), order.request.limit_price)
                }
                _ => {}
            }
            if order.status.is_terminal() {
                ledger.release(order.id);
            }
        }
        if let Some(cash) = draft.opening_cash {
            ledger.flow(&[Scope::Desk, Scope::Account(self.account.id)], cash, now);
        }
        for flow in &draft.flows {
            ledger.flow(&books::funded(self.account.id, flow), flow.amount, now);
        }
        for booked in &draft.transfers {
            let (Some(book), symbol) = (booked.book, &booked.symbol) else { continue };
            let (quantity, cash) = booked.moved();
            ledger.carry(&[Scope::Book(book)], symbol, quantity, cash, now);
        }
    }
}

/// Whether an event changes an execution of the past.
fn corrects(event: &OrderEvent) -> bool {
    matches!(event, OrderEvent::Corrected { .. } | OrderEvent::Busted { .. })
}

/// What an order was reserved at.
fn reserve_price(core: &Core, draft: &Draft, order: &Order) -> Price {
    let live = draft.get(order.id).or_else(|| core.book.get(order.id));
    live.map_or(order.request.limit_price.unwrap_or_default(), |live| live.reserve_price)
}

/// Units of an order that its group still has to trade.
fn left_of(order: &Order, of: Quantity) -> Quantity {
    (of - order.filled).max(Quantity::ZERO)
}
