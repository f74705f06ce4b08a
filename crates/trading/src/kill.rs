//! The kill switch: one call after which nothing new is sent, whatever else is broken.
//!
//! 1. **Memory first.** [`Gateway::engage`] puts the switch into the core of every account, under that account's lock.
//!    From then on nothing that it covers is accepted, and an order that was journaled as being sent is kept back when
//!    its commit returns, and looked at once more before its first byte. What had passed that last look is named in the
//!    answer as in flight; it is canceled as soon as the broker answers.
//! 2. **Cancels next**, straight to the broker and without the journal, because the journal may be what hangs. The
//!    router journals them like any other cancel when it can.
//! 3. **Then it is written down**, in the database with its audit row, and in a [file](KillFile) that needs no free
//!    space. The answer says which of the two is done; what is not is tried again until it is. At a start, what either
//!    of them holds is engaged: so a switch survives a restart though the database could not be written.
//!
//! Releasing goes the other way round: first it is durable that the switch is released, then it is. A crash in between
//! leaves it engaged.
//!
//! Closing positions needs orders, and an order goes out when it is in the journal. Where the journal does not answer, the
//! positions of whole accounts are closed all the same, with the file as journal ([`close`]).

mod close;
mod file;
mod record;
mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, BookId, Context, Denied, Order, OrderId, Permission, Resource, StepUpNeeded,
    Timestamp,
};
use futures_util::StreamExt as _;
use serde_json::json;
use storage::{Database, StorageError, Tx};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::file::State;
pub use self::file::{KillFile, KillRequest};
pub(crate) use self::store::{is_user, key_owner};
use crate::accounts::{Account, Mode};
use crate::books::VirtualBook;
use crate::broker::CancelFailure;
use crate::core::{Braked, Closing, Input, Kill, author};
use crate::gateway::{Desk, Gateway, Shared, TradingEvent};
use crate::outbox::Event;
use crate::scope::Scope;

/// How long the answer waits for the switch to be written down and for the broker to take the cancels.
const ANSWER: Duration = Duration::from_millis(400);
/// How long a question to the database may keep a switch from being pulled.
const ASKING: Duration = Duration::from_millis(150);
/// How long releasing waits for the file.
const RELEASE: Duration = Duration::from_secs(5);
/// Cancels of one account that are under way at the same time.
const AT_ONCE: usize = 32;
/// No cancel takes longer; then it is asked for again.
const CALL: Duration = Duration::from_secs(5);
/// Letters of a reason.
const REASON: usize = 500;

/// How a switch is to be pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// Why: 1 to 500 characters.
    pub reason: String,
    /// Whether positions are closed too.
    pub flatten: bool,
    /// It is for practice: only paper accounts stop.
    pub drill: bool,
}

/// A switch that was pulled: from now on nothing that it covers is accepted or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engaged {
    /// The switch.
    pub kill: Kill,
    /// It was engaged before; now perhaps with positions to be closed.
    pub was_engaged: bool,
    /// Orders that were on their way to the broker at that moment. They may still arrive, and are canceled when they do.
    pub in_flight: Vec<OrderId>,
    /// Orders that were asked to be canceled at once.
    pub cancels: usize,
    /// Orders that are canceled later, because the broker takes no more requests now.
    pub cancels_later: usize,
    /// After how long the broker had answered all cancels; `None`: it has not yet.
    pub cancels_taken: Option<Duration>,
    /// Where it is written down by now.
    pub recorded: Recorded,
}

/// Where a switch is written down. What is not yet done is tried until it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// In the database, with its audit row.
    pub database: bool,
    /// In the file of kill switches; `true` also where there is no such file.
    pub file: bool,
}

/// A switch that is engaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The switch.
    pub kill: Kill,
    /// Where it is written down.
    pub recorded: Recorded,
    /// What a drill showed, once it has.
    pub drill: Option<Drill>,
}

/// What a drill showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Drill {
    /// How long after the call an order was accepted last; zero: none was.
    pub last_accepted: Duration,
    /// How long after the call the last cancel was answered by the broker.
    pub cancels_sent: Duration,
    /// Orders that were canceled.
    pub cancels: usize,
    /// Orders that were on their way at that moment.
    pub in_flight: usize,
}

/// Why a switch was not pulled or not released.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// There is no such account, book or person.
    #[error("there is no {0} on this desk")]
    NoSuchScope(Scope),
    /// Nothing to release.
    #[error("the kill switch of {0} is not engaged")]
    NotEngaged(Scope),
    /// The reason is empty or too long.
    #[error("a reason is needed, of at most 500 characters")]
    Reason,
    /// A drill would stop real money, or nothing.
    #[error("a drill needs a paper account: there is none in {0}")]
    DrillOnLive(Scope),
    /// A drill where the switch is engaged in earnest.
    #[error("the kill switch of {0} is engaged in earnest: release it first")]
    DrillOnEngaged(Scope),
    /// It could not be made durable that the switch is released: it stays engaged.
    #[error("the switch stays engaged, because its release could not be journaled: {0}")]
    Journal(#[source] StorageError),
    /// The same, in the file.
    #[error("the switch stays engaged, because the file of kill switches could not be written")]
    File,
}

/// A switch in memory, and how far it is written down.
#[derive(Clone, Debug)]
struct Pulled {
    kill: Kill,
    /// Tells this pull from every other.
    number: u64,
    /// What is still to be written to the audit log, with the switch.
    entry: Option<AuditEntry>,
    in_database: bool,
    drill: Option<Drill>,
}

#[derive(Debug, Default)]
struct Held {
    engaged: BTreeMap<Scope, Pulled>,
    next: u64,
    obeyed: u64,
    /// Orders that were sent to close positions while the journal could not be written, and that it does not have yet.
    closings: Vec<Closing>,
    /// A switch on its way out: the file is written without it already.
    releasing: Option<Scope>,
    /// What the file should hold, as a number that grows, and what it does.
    wanted: u64,
    kept: u64,
}

impl Held {
    fn put(&mut self, kill: Kill, entry: Option<AuditEntry>) -> u64 {
        self.next += 1;
        self.wanted += 1;
        let pulled = Pulled { kill: kill.clone(), number: self.next, entry, in_database: false, drill: None };
        self.engaged.insert(kill.scope, pulled);
        self.next
    }

    /// Keeps an order in the file; gives the number by which one waits for that.
    fn keep(&mut self, closing: Closing) -> u64 {
        self.closings.push(closing);
        self.wanted += 1;
        self.wanted
    }

    /// Takes it out again: it was not sent, or the journal has it.
    fn forget(&mut self, closing: OrderId) {
        self.closings.retain(|one| one.id != closing);
        self.wanted += 1;
    }

    fn recorded(&self, pulled: &Pulled, has_file: bool) -> Recorded {
        Recorded { database: pulled.in_database, file: !has_file || self.kept >= self.wanted }
    }

    fn state(&self) -> (u64, State) {
        let kills = self.engaged.values().map(|pulled| &pulled.kill);
        let kills = kills.filter(|kill| Some(&kill.scope) != self.releasing.as_ref()).cloned().collect();
        (self.wanted, State { obeyed: self.obeyed, kills, closings: self.closings.clone() })
    }
}

/// All switches of the desk. Locked before an account's core, never after.
pub(crate) struct Switches {
    held: Mutex<Held>,
    file: Option<KillFile>,
    /// There is something to write to the database.
    to_database: Notify,
    /// There is something to write to the file.
    to_file: Notify,
    /// There may be positions to close.
    to_close: Notify,
    /// Something was written down.
    written: watch::Sender<()>,
    /// The table is written by one at a time, so that what was released is not written again.
    table: tokio::sync::Mutex<()>,
}

impl Switches {
    /// The switches that table or file hold, with those that were asked for while the desk was down.
    pub(crate) async fn load(
        db: &Database,
        file: Option<KillFile>,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let mut connection = db.read().await?;
        let mut held = Held { wanted: 1, ..Held::default() };
        for kill in store::engaged(&mut connection).await? {
            let scope = kill.scope.clone();
            held.put(kill, None);
            held.engaged.entry(scope).and_modify(|pulled| pulled.in_database = true);
        }
        drop(connection);
        if let Some(file) = file.clone() {
            let read = tokio::task::spawn_blocking(move || (file.state(), file.requests())).await;
            let (state, requests) = match read {
                Ok((Ok(state), Ok(requests))) => (state, requests),
                _ => (None, None),
            };
            match &state {
                Some(state) => {
                    held.obeyed = state.obeyed;
                    held.closings.clone_from(&state.closings);
                    for kill in &state.kills {
                        if !held.engaged.contains_key(&kill.scope) {
                            held.put(kill.clone(), Some(found(kill, now, "the file of kill switches")));
                        }
                    }
                }
                // Whoever cannot read which switch is engaged takes it that the widest is.
                None => held.distrust(now),
            }
            match requests {
                Some(requests) => drop(held.obey(requests, now)),
                None => held.distrust(now),
            }
        }
        Ok(Self {
            held: Mutex::new(held),
            file,
            to_database: Notify::new(),
            to_file: Notify::new(),
            to_close: Notify::new(),
            written: watch::Sender::new(()),
            table: tokio::sync::Mutex::default(),
        })
    }

    /// The switches that an account has to know.
    pub(crate) fn of(&self, account: &Account) -> BTreeMap<Scope, Kill> {
        let held = self.held();
        let kills = held.engaged.values().map(|pulled| &pulled.kill).filter(|kill| concerns(kill, account));
        kills.map(|kill| (kill.scope.clone(), kill.clone())).collect()
    }

    /// Lets an account in among those that are stopped: while `put` runs no switch is pulled or released, and it is given
    /// those that the account has to know.
    pub(crate) fn let_in(&self, account: &Account, put: impl FnOnce(BTreeMap<Scope, Kill>)) {
        let held = self.held();
        let kills = held.engaged.values().map(|pulled| &pulled.kill).filter(|kill| concerns(kill, account));
        put(kills.map(|kill| (kill.scope.clone(), kill.clone())).collect());
    }

    /// Orders of an account that were sent, and that the journal may not have.
    pub(crate) fn closings_of(&self, account: AccountId) -> Vec<Closing> {
        self.held().closings.iter().filter(|closing| closing.account == account).cloned().collect()
    }

    /// Waits until the file holds what it should.
    async fn until_kept(&self, wanted: u64) {
        let mut written = self.written.subscribe();
        while self.file.is_some() && self.held().kept < wanted {
            if written.changed().await.is_err() {
                return;
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn distrust(&mut self, now: Timestamp) {
        if self.engaged.contains_key(&Scope::Desk) {
            return;
        }
        tracing::error!("the file of kill switches cannot be read: the switch of the desk is engaged");
        let kill = Kill {
            scope: Scope::Desk,
            at: now,
            by: "system".into(),
            reason: "the file of kill switches cannot be read".into(),
            flatten: false,
            drill: false,
        };
        let entry = found(&kill, now, "nothing that can be read");
        self.put(kill, Some(entry));
    }

    /// Engages what commands asked for, and gives those that are new.
    fn obey(&mut self, requests: Vec<KillRequest>, now: Timestamp) -> Vec<Kill> {
        let obeyed = self.obeyed;
        let mut kills = Vec::new();
        for request in requests.into_iter().filter(|request| request.number > obeyed) {
            self.obeyed = self.obeyed.max(request.number);
            self.wanted += 1;
            let ctx = Context::operator(request.by.clone(), now);
            let before = self.engaged.get(&request.scope).map(|pulled| pulled.kill.clone());
            let before = before.filter(|before| !before.drill);
            let kill = Kill {
                at: before.as_ref().map_or(request.at, |before| before.at),
                by: author(&ctx),
                reason: cut(&request.reason),
                flatten: request.flatten || before.is_some_and(|before| before.flatten),
                drill: false,
                scope: request.scope,
            };
            let entry = engaged(&ctx, &kill, &Braked::default());
            self.put(kill.clone(), Some(entry));
            kills.push(kill);
        }
        kills
    }
}

/// Starts what writes the switches down and what closes positions, which end with `stop`.
pub(crate) fn start(gateway: &Gateway, stop: &CancellationToken) {
    record::start(&gateway.shared, stop);
    close::start(gateway, stop);
}

/// Whether a switch says anything to an account.
fn concerns(kill: &Kill, account: &Account) -> bool {
    let elsewhere = matches!(kill.scope, Scope::Account(id) if id != account.id);
    !(elsewhere || kill.drill && account.mode == Mode::Live)
}

fn cut(reason: &str) -> String {
    let reason: String = reason.chars().take(REASON).collect();
    if reason.trim().is_empty() { "no reason was given".into() } else { reason }
}

/// The audit row of a switch that was engaged before this start, and is not in the database.
fn found(kill: &Kill, now: Timestamp, place: &str) -> AuditEntry {
    AuditEntry::by_system(now, "kill_switch.engaged").on("kill_switch", &kill.scope).with(json!({
        "engaged_at": kill.at,
        "engaged_by": kill.by,
        "reason": kill.reason,
        "flatten": kill.flatten,
        "drill": kill.drill,
        "found_in": place,
    }))
}

fn engaged(ctx: &Context, kill: &Kill, braked: &Braked) -> AuditEntry {
    AuditEntry::by(ctx, "kill_switch.engaged").on("kill_switch", &kill.scope).with(json!({
        "reason": kill.reason,
        "flatten": kill.flatten,
        "drill": kill.drill,
        "in_flight": braked.in_flight,
        "cancels": braked.cancels.len(),
    }))
}

impl Gateway {
    /// Pulls a switch. It is pulled when this is called, not when it returns: the answer waits up to half a second for
    /// the switch to be written down and for the broker to take the cancels, and says how far both are.
    ///
    /// # Errors
    /// The principal may not, or there is nothing of that name. The switch is never refused because something is broken.
    pub async fn engage(&self, ctx: &Context, scope: Scope, pull: Pull) -> Result<Engaged, KillError> {
        let pull = Pull { reason: pull.reason.trim().to_owned(), ..pull };
        if pull.reason.is_empty() || pull.reason.chars().count() > REASON {
            return Err(KillError::Reason);
        }
        self.may_engage(ctx, &scope).await?;
        if pull.drill {
            self.check_drill(&scope)?;
        }
        let called_at = self.shared.clock.now();
        let (number, kill, was_engaged, braked) = self.stop(ctx, scope, pull, called_at);
        let mut engaged = Engaged {
            was_engaged,
            in_flight: braked.iter().flat_map(|(_, braked)| braked.in_flight.clone()).collect(),
            cancels: braked.iter().map(|(_, braked)| braked.cancels.len()).sum(),
            cancels_later: braked.iter().map(|(_, braked)| braked.later).sum(),
            cancels_taken: None,
            recorded: Recorded { database: false, file: false },
            kill,
        };
        tracing::warn!(scope = %engaged.kill.scope, drill = engaged.kill.drill, "a kill switch is engaged");
        let canceling = tokio::spawn(send_cancels(self.shared.clone(), braked));
        let watching = tokio::spawn({
            let (gateway, engaged) = (self.clone(), engaged.clone());
            async move {
                let _ = canceling.await;
                let took = since(called_at, gateway.shared.clock.now());
                if engaged.kill.drill {
                    gateway.note_drill(number, &engaged, called_at, took).await;
                }
                took
            }
        });
        let bound = tokio::time::Instant::now() + ANSWER;
        let (taken, recorded) = tokio::join!(
            tokio::time::timeout_at(bound, watching),
            tokio::time::timeout_at(bound, self.until_recorded(&engaged.kill.scope, number)),
        );
        engaged.cancels_taken = taken.ok().and_then(Result::ok).filter(|_| engaged.cancels_later == 0);
        engaged.recorded = recorded.unwrap_or_else(|_| self.recorded(&engaged.kill.scope));
        Ok(engaged)
    }

    /// What `SIGUSR1` says: the desk stops.
    pub async fn engage_by_signal(&self) {
        let ctx = Context::operator(None, self.shared.clock.now());
        let pull = Pull { reason: "SIGUSR1".into(), ..Pull::default() };
        if let Err(error) = self.engage(&ctx, Scope::Desk, pull).await {
            tracing::error!(%error, "the kill switch could not be pulled by a signal");
        }
    }

    /// What `SIGUSR2` says: a command has written a request into the file of kill switches. If it cannot be read, the
    /// desk stops, because somebody wanted something to stop.
    pub async fn obey_kill_requests(&self) {
        let Some(file) = self.shared.switches.file.clone() else { return };
        let reading = tokio::task::spawn_blocking(move || file.requests());
        let read = match tokio::time::timeout(Duration::from_secs(2), reading).await {
            Ok(Ok(Ok(Some(requests)))) => Some(requests),
            _ => None,
        };
        let now = self.shared.clock.now();
        let braked = {
            let mut held = self.shared.switches.held();
            let kills = match read {
                Some(requests) => held.obey(requests, now),
                None => {
                    held.distrust(now);
                    held.engaged.get(&Scope::Desk).map(|pulled| pulled.kill.clone()).into_iter().collect()
                }
            };
            kills.iter().for_each(|kill| tracing::warn!(scope = %kill.scope, "a kill switch is engaged"));
            self.put_into_cores(&kills, now)
        };
        self.tell_switches();
        tokio::spawn(send_cancels(self.shared.clone(), braked));
    }

    /// Releases a switch. It is durable that it is released before it is.
    ///
    /// # Errors
    /// Says why it stays engaged.
    pub async fn rearm(&self, ctx: &Context, scope: &Scope) -> Result<Kill, KillError> {
        let pulled = |held: &Held| held.engaged.get(scope).map(|pulled| (pulled.kill.clone(), pulled.number));
        let found = pulled(&self.shared.switches.held());
        match &found {
            Some((kill, _)) if kill.drill => self.may_engage(ctx, scope).await?,
            _ => {
                ctx.require(Permission::KillRearm, Resource::Desk)?;
                ctx.require_recent_factor()?;
            }
        }
        let switches = &self.shared.switches;
        let _one_at_a_time = switches.table.lock().await;
        let (kill, number) = pulled(&switches.held()).ok_or_else(|| KillError::NotEngaged(scope.clone()))?;
        // The file first: should the desk stop before the database is written, that still says engaged.
        let wanted = {
            let mut held = switches.held();
            held.releasing = Some(scope.clone());
            held.wanted += 1;
            held.wanted
        };
        switches.to_file.notify_one();
        let in_file = tokio::time::timeout(RELEASE, switches.until_kept(wanted)).await;
        let done = match in_file {
            Ok(()) => self.journal_release(ctx, &kill).await.map_err(KillError::Journal),
            Err(_) => Err(KillError::File),
        };
        let mut held = switches.held();
        held.releasing = None;
        held.wanted += 1;
        let same = held.engaged.get(scope).is_some_and(|pulled| pulled.number == number);
        if done.is_ok() && same {
            held.engaged.remove(scope);
            for desk in self.desks.all().values() {
                desk.core().rearm(scope);
            }
            tracing::warn!(%scope, drill = kill.drill, "a kill switch is released");
        } else if let Some(pulled) = held.engaged.get_mut(scope)
            && done.is_ok()
        {
            // Pulled again in the meantime: that counts, and is to be written down again.
            pulled.in_database = false;
        }
        drop(held);
        self.tell_switches();
        done.map(|()| kill)
    }

    /// The switches that are engaged and that concern the principal, the desk's first.
    pub fn kills(&self, ctx: &Context) -> Vec<Switch> {
        let switches = &self.shared.switches;
        let held = switches.held();
        let visible = held.engaged.values().filter(|pulled| self.sees_kill(ctx, &pulled.kill.scope));
        visible
            .map(|pulled| Switch {
                kill: pulled.kill.clone(),
                recorded: held.recorded(pulled, switches.file.is_some()),
                drill: pulled.drill,
            })
            .collect()
    }

    /// Whether a switch on `scope` concerns the principal.
    pub(crate) fn sees_kill(&self, ctx: &Context, scope: &Scope) -> bool {
        let sees = |account| ctx.require(Permission::AccountsView, Resource::Account(account)).is_ok();
        match scope {
            Scope::Account(account) => sees(*account),
            Scope::Book(book) => self.virtual_book(*book).is_some_and(|book| sees(book.account)),
            Scope::User(user) => {
                ctx.user_id() == Some(*user) || ctx.require(Permission::KillDesk, Resource::Desk).is_ok()
            }
            _ => ctx.require(Permission::MarketView, Resource::Desk).is_ok(),
        }
    }

    /// Whether the principal may pull a switch.
    async fn may_engage(&self, ctx: &Context, scope: &Scope) -> Result<(), KillError> {
        let desk = ctx.require(Permission::KillDesk, Resource::Desk);
        let own = || ctx.require(Permission::KillEngage, Resource::Desk);
        match scope {
            Scope::Account(account) => {
                let here = self.desks.get(account).is_some();
                let may = desk.or_else(|_| ctx.require(Permission::KillEngage, Resource::Account(*account)));
                match (here, may) {
                    (true, may) => Ok(may?),
                    (false, Ok(())) => Err(KillError::NoSuchScope(scope.clone())),
                    (false, Err(denied)) => Err(denied.into()),
                }
            }
            Scope::Book(book) => match self.virtual_book(*book) {
                Some(found) if found.owner.is_some() && found.owner == ctx.principal.id => Ok(own()?),
                Some(found) => {
                    let account = Resource::Account(found.account);
                    Ok(desk.or_else(|_| ctx.require(Permission::KillEngage, account))?)
                }
                // To somebody who may not see it, it looks the same.
                None => Err(KillError::NoSuchScope(scope.clone())),
            },
            Scope::User(user) if ctx.user_id() == Some(*user) => Ok(own()?),
            Scope::User(user) => {
                desk?;
                match self.ask(async |db| is_user(&mut *db.read().await?, *user).await).await {
                    Some(false) => Err(KillError::NoSuchScope(scope.clone())),
                    // Where nobody answers, the switch is pulled: it does no harm to somebody who is not there.
                    Some(true) | None => Ok(()),
                }
            }
            Scope::Key(key) => {
                let owner = self.ask(async |db| key_owner(&mut *db.read().await?, key).await).await.flatten();
                match owner {
                    Some(owner) if ctx.user_id() == Some(owner) => Ok(own()?),
                    _ => Ok(desk?),
                }
            }
            _ => Ok(desk?),
        }
    }

    fn check_drill(&self, scope: &Scope) -> Result<(), KillError> {
        let held = self.shared.switches.held();
        if held.engaged.get(scope).is_some_and(|pulled| !pulled.kill.drill) {
            return Err(KillError::DrillOnEngaged(scope.clone()));
        }
        drop(held);
        let accounts: Vec<Account> = self.desks.all().values().map(|desk| desk.account()).collect();
        let on_paper = |account: Account| match scope {
            Scope::Account(id) => account.id == *id && account.mode == Mode::Paper,
            Scope::Book(book) => {
                let there = self.virtual_book(*book).is_some_and(|book| book.account == account.id);
                there && account.mode == Mode::Paper
            }
            _ => account.mode == Mode::Paper,
        };
        match accounts.into_iter().any(on_paper) {
            true => Ok(()),
            false => Err(KillError::DrillOnLive(scope.clone())),
        }
    }

    /// Asks the database something that may not be waited for: `None` when it does not answer in time.
    async fn ask<T>(&self, question: impl AsyncFnOnce(&Database) -> Result<T, StorageError>) -> Option<T> {
        tokio::time::timeout(ASKING, question(&self.shared.db)).await.ok()?.ok()
    }

    /// A book of any account.
    pub(crate) fn virtual_book(&self, book: BookId) -> Option<VirtualBook> {
        self.desks.all().values().find_map(|desk| desk.core().book.virtual_book(book).cloned())
    }

    /// Stops everything in memory, and lines up what is to be written down. Does not wait.
    fn stop(
        &self,
        ctx: &Context,
        scope: Scope,
        pull: Pull,
        at: Timestamp,
    ) -> (u64, Kill, bool, Vec<(Arc<Desk>, Braked)>) {
        let mut held = self.shared.switches.held();
        let before = held.engaged.get(&scope).map(|pulled| pulled.kill.clone());
        let before = before.filter(|before| before.drill == pull.drill);
        let was_engaged = before.is_some();
        let kill = Kill {
            at: before.as_ref().map_or(at, |before| before.at),
            by: before.as_ref().map_or_else(|| author(ctx), |before| before.by.clone()),
            reason: before.as_ref().map_or(pull.reason, |before| before.reason.clone()),
            flatten: pull.flatten || before.is_some_and(|before| before.flatten),
            drill: pull.drill,
            scope,
        };
        let braked = self.put_into_cores(std::slice::from_ref(&kill), at);
        let mut all = Braked::default();
        for (_, one) in &braked {
            all.in_flight.extend(&one.in_flight);
            all.cancels.extend(one.cancels.iter().cloned());
        }
        let number = held.put(kill.clone(), Some(engaged(ctx, &kill, &all)));
        drop(held);
        self.tell_switches();
        (number, kill, was_engaged, braked)
    }

    /// Engages switches in every account that they concern. The switches are locked meanwhile, so that no release
    /// comes between.
    fn put_into_cores(&self, kills: &[Kill], at: Timestamp) -> Vec<(Arc<Desk>, Braked)> {
        let mut all = Vec::new();
        for desk in self.desks.all().values() {
            let mut core = desk.core();
            let mut concerned = false;
            for kill in kills.iter().filter(|kill| concerns(kill, &core.account)).cloned().collect::<Vec<_>>()
            {
                core.engage(kill);
                concerned = true;
            }
            if concerned {
                all.push((desk.clone(), core.brake(at)));
            }
            drop(core);
            desk.wake.notify_one();
        }
        all
    }

    /// Tells those who write the switches down, and the streams.
    fn tell_switches(&self) {
        self.shared.switches.to_file.notify_one();
        self.shared.switches.to_database.notify_one();
        self.shared.switches.to_close.notify_one();
        let _ = self.shared.events.send(TradingEvent::Kills);
    }

    fn recorded(&self, scope: &Scope) -> Recorded {
        let switches = &self.shared.switches;
        let held = switches.held();
        let gone = Recorded { database: true, file: true };
        held.engaged.get(scope).map_or(gone, |pulled| held.recorded(pulled, switches.file.is_some()))
    }

    async fn until_recorded(&self, scope: &Scope, number: u64) -> Recorded {
        let switches = &self.shared.switches;
        let mut written = switches.written.subscribe();
        loop {
            let still = switches.held().engaged.get(scope).is_some_and(|pulled| pulled.number == number);
            let recorded = self.recorded(scope);
            if !still || (recorded.database && recorded.file) || written.changed().await.is_err() {
                return recorded;
            }
        }
    }

    async fn journal_release(&self, ctx: &Context, kill: &Kill) -> Result<(), StorageError> {
        let entry = AuditEntry::by(ctx, "kill_switch.released").on("kill_switch", &kill.scope).with(json!({
            "engaged_at": kill.at,
            "engaged_by": kill.by,
            "reason": kill.reason,
            "drill": kill.drill,
        }));
        let (scope, outbox) = (kill.scope.clone(), self.shared.outbox.clone());
        let event = Event::released(kill, ctx.at, &author(ctx));
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    store::release(tx, &scope).await?;
                    tx.record(entry);
                    outbox.post(tx, || vec![event]).await
                })
            })
            .await
    }

    /// Keeps what a drill showed.
    async fn note_drill(&self, number: u64, engaged: &Engaged, called_at: Timestamp, took: Duration) {
        let scope = &engaged.kill.scope;
        let all = self.desks.all();
        let accepted = all.values().filter_map(|desk| {
            let core = desk.core();
            core.accepted_at.filter(|_| concerns(&engaged.kill, &core.account))
        });
        let drill = Drill {
            last_accepted: accepted.map(|at| since(called_at, at)).max().unwrap_or_default(),
            cancels_sent: took,
            cancels: engaged.cancels,
            in_flight: engaged.in_flight.len(),
        };
        if let Some(pulled) = self.shared.switches.held().engaged.get_mut(scope)
            && pulled.number == number
        {
            pulled.drill = Some(drill);
        }
        let entry = AuditEntry::by_system(self.shared.clock.now(), "kill_switch.drilled")
            .on("kill_switch", scope)
            .with(json!({
                "last_accepted_us": drill.last_accepted.as_micros(),
                "cancels_sent_us": drill.cancels_sent.as_micros(),
                "cancels": drill.cancels,
                "in_flight": drill.in_flight,
            }));
        if let Err(error) = self.record(entry).await {
            tracing::error!(%error, %scope, "a drill of the kill switch could not be recorded");
        }
        let _ = self.shared.events.send(TradingEvent::Kills);
    }
}

/// From one moment to another; zero when the clock was set back in between.
fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Sends cancels straight to the brokers, and tells the cores what they answered. What did not arrive the router asks
/// for again.
async fn send_cancels(shared: Arc<Shared>, braked: Vec<(Arc<Desk>, Braked)>) {
    let each = braked.into_iter().map(|(desk, braked)| {
        let shared = shared.clone();
        async move {
            let cancels = braked.cancels.into_iter().map(|order| cancel(shared.clone(), desk.clone(), order));
            futures_util::stream::iter(cancels).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        }
    });
    futures_util::future::join_all(each).await;
}

/// Cancels an order that the broker took while a switch was pulled; does nothing where none was.
pub(crate) fn cancel_late(shared: &Arc<Shared>, desk: &Arc<Desk>, order: &Order, broker_order_id: &str) {
    let late = desk.core().brake_late(order, broker_order_id, shared.clock.now());
    if let Some(order) = late {
        tokio::spawn(cancel(shared.clone(), desk.clone(), order));
    }
}

/// Asks the broker to cancel an order. Tried a few times here, because the router may be waiting for a disk.
async fn cancel(shared: Arc<Shared>, desk: Arc<Desk>, order: Order) {
    let mut wait = shared.tick;
    let mut answer = Err(CancelFailure::Unreachable("it was not tried".into()));
    for _ in 0..4 {
        answer = tokio::time::timeout(CALL, desk.broker.cancel(&order))
            .await
            .unwrap_or_else(|_| Err(CancelFailure::Unreachable("it took too long".into())));
        if !matches!(answer, Err(CancelFailure::Unreachable(_))) {
            break;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    desk.core().hear(Input::CancelAnswered { order: order.id, answer });
    desk.wake.notify_one();
}
