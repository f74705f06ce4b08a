//! The one door for orders: page, API and command line all come through here.

mod accounts;
mod books;
mod desk;
mod desks;
mod errors;
mod follow;
pub(crate) mod open;
mod previews;
mod reading;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Clock, Context, Denied, Money, Order, OrderId, OrderRequest, Outcome, Permission,
    Price, Quantity, Quote, Resource, Side, Symbol, TimeInForce, UserId,
};
use market::Market;
use serde_json::json;
use storage::{Database, StorageError, Tx};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub(crate) use self::desk::Desk;
use self::desks::Desks;
pub use self::errors::{AmendError, CancelError, CommandError, SubmitError};
use self::previews::Previews;
use crate::accounts::{Account, Mode};
use crate::approvals::{self, FourEyes};
use crate::book::BookKey;
use crate::books::OWN_BOOK;
use crate::broker::Broker;
use crate::core::{Accepting, Amendment, Choice, Command, Refused, Reply, describe, total};
use crate::custody::Custody;
use crate::kill::{self, KillFile, Switches};
use crate::limits;
use crate::outbox::{Event, Outbox};
use crate::risk::{self, Check, Ledger, LimitBook, OrderLimits};
use crate::router::LiveView;
use crate::store::{self, BookedFill, Inserted, JournalError};

/// What the gateway is made of.
pub struct Parts {
    /// Where orders are journaled.
    pub db: Database,
    /// What orders are priced on.
    pub market: Market,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Each account with its broker.
    pub brokers: Vec<(Account, Arc<dyn Broker>)>,
    /// Opens more of them while the desk runs; `None`: there are those with which it started, as they are.
    pub custody: Option<Arc<dyn Custody>>,
    /// What an order may be.
    pub limits: OrderLimits,
    /// How often the router looks after what is unresolved; the unit of its back-off.
    pub tick: Duration,
    /// Makes the waits of different starts differ.
    pub jitter: u64,
    /// Where kill switches survive although the database cannot be written; `None`: they survive there alone.
    pub kill_file: Option<KillFile>,
    /// What two people have to agree to.
    pub four_eyes: FourEyes,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Limits, kill switches or approvals could not be read.
    #[error("the desk's limits and kill switches could not be read: {0}")]
    Rules(#[source] StorageError),
    /// What is stored could not be read, or the account could not be taken over.
    #[error("account {account} could not be opened: {source}")]
    Account {
        /// Its name.
        account: String,
        /// Why.
        source: StorageError,
    },
}

/// Something that changed, for streams.
#[derive(Clone, Debug)]
pub enum TradingEvent {
    /// An order, as it is now.
    Order(Arc<Order>),
    /// A fill was booked.
    Fill(Arc<BookedFill>),
    /// Positions, cash or state of an account changed: ask for them.
    Account(AccountId),
    /// A kill switch was pulled or released, or was written down: ask for them.
    Kills,
    /// A risk limit changed: ask for them.
    Limits,
    /// Something waits for a second person, or does not any more: ask.
    Approvals,
}

/// An order that was accepted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The order.
    pub order: Order,
    /// It had been accepted before, under the same client order id: nothing was done now.
    pub repeated: bool,
}

/// What an order would cost and whether it would be accepted, now.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Confirms it, within five minutes: [`Gateway::confirm`].
    pub id: String,
    /// How much would be ordered: an amount of money turned into units.
    pub quantity: Quantity,
    /// The price it is likely to be filled at.
    pub estimated_price: Option<Price>,
    /// Price times quantity.
    pub notional: Money,
    /// The broker's fee.
    pub fee: Money,
    /// What a purchase costs with the fee, or a sale brings after it.
    pub total: Money,
    /// Buying power before it.
    pub buying_power_before: Money,
    /// Buying power while it is open.
    pub buying_power_after: Money,
    /// Every check with its numbers.
    pub checks: Vec<Check>,
    /// The quote it was priced on.
    pub quote: Option<Quote>,
    /// Paper or live.
    pub mode: Mode,
    /// What the desk does itself because the broker cannot.
    pub done_by_desk: Vec<String>,
    /// Somebody else has to agree, because of this limit.
    pub needs_approval: Option<Arc<risk::Limit>>,
    /// Why it would not be accepted, other than by a check: a kill switch, an account that is blind, a broker that
    /// cannot do it.
    pub refused: Option<String>,
}

impl Preview {
    /// Whether every check was passed.
    pub fn passed(&self) -> bool {
        self.refused.is_none() && self.checks.iter().all(|check| check.passed)
    }
}

/// Everything that the routers share.
pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) market: Market,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) terms: OrderLimits,
    pub(crate) tick: Duration,
    pub(crate) events: broadcast::Sender<TradingEvent>,
    pub(crate) switches: Switches,
    pub(crate) four_eyes: FourEyes,
    pub(crate) custody: Option<Arc<dyn Custody>>,
    jitter: u64,
    /// Ends every router.
    stop: CancellationToken,
    /// Accounts come, change and go one after the other. With those of which was said that they cannot be opened.
    following: tokio::sync::Mutex<BTreeSet<AccountId>>,
    pub(crate) outbox: Outbox,
    /// Limits change one after the other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    limits: RwLock<LimitBook>,
    ledger: Mutex<Ledger>,
}

impl Shared {
    /// What every scope holds. Locked after an account's core, never before.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> RwLockReadGuard<'_, LimitBook> {
        self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits in force, to change them. Only after the change is durable.
    pub(crate) fn limits_mut(&self) -> RwLockWriteGuard<'_, LimitBook> {
        self.limits.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one door for orders. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
    pub(crate) desks: Arc<Desks>,
    previews: Arc<Previews>,
}

/// Events a slow reader of [`Gateway::subscribe`] may be behind.
const EVENTS: usize = 16_384;
/// Cancels that may wait for a router.
const COMMANDS: usize = 1_024;

impl Gateway {
    /// Takes the accounts over and starts their routers, which end with `stop`.
    ///
    /// # Errors
    /// An account could not be read or taken over.
    pub async fn start(parts: Parts, stop: &CancellationToken) -> Result<Self, StartError> {
        let Parts { db, market, clock, brokers, custody, limits: terms, tick, jitter, kill_file, four_eyes } =
            parts;
        let (events, _) = broadcast::channel(EVENTS);
        let now = clock.now();
        let limits = limits::load(&db, LimitBook::new(&terms, now)).await.map_err(StartError::Rules)?;
        let switches = Switches::load(&db, kill_file, now).await.map_err(StartError::Rules)?;
        let shared = Arc::new(Shared {
            db,
            market,
            clock,
            terms,
            tick,
            events,
            switches,
            four_eyes,
            custody,
            jitter,
            stop: stop.clone(),
            following: tokio::sync::Mutex::default(),
            outbox: Outbox::default(),
            changing: tokio::sync::Mutex::default(),
            limits: RwLock::new(limits),
            ledger: Mutex::new(Ledger::new()),
        });
        let desks = Desks::default();
        for (account, broker) in brokers {
            let name = account.name.clone();
            let desk = open::open(&shared, account, broker)
                .await
                .map_err(|source| StartError::Account { account: name, source })?;
            desks.put(desk);
        }
        limits::start(&shared, stop).await.map_err(StartError::Rules)?;
        let gateway = Self { shared, desks: Arc::new(desks), previews: Arc::default() };
        kill::start(&gateway, stop);
        approvals::start(&gateway, stop);
        follow::start(&gateway);
        Ok(gateway)
    }

    /// What an order would cost, and every check with its numbers. Nothing is reserved or journaled; the desk keeps the
    /// request, so that it can be confirmed as it was shown.
    ///
    /// # Errors
    /// The principal may not place orders on the account, or there is none.
    pub fn preview(&self, ctx: &Context, id: AccountId, request: &OrderRequest) -> Result<Preview, Denied> {
        let desk = self.desk(ctx, Permission::OrdersPlace, id)?;
        let core = desk.core();
        let (market, limits, mut ledger) =
            (LiveView(&self.shared.market), self.shared.limits(), self.shared.ledger());
        let asking =
            Accepting { ctx, market: &market, limits: &limits, ledger: &mut ledger, approved_by: None };
        let (assessment, quote) = core.assess(&asking, request);
        let (done_by_desk, refused) = match core.ways(request) {
            Ok(done) => (done, core.closed_to(ctx, request, assessment.closing)),
            Err(refused) => (Vec::new(), Some(refused)),
        };
        let before = core.book.whole.buying_power();
        let held = match request.side {
            Side::Buy => assessment.reserve_price * assessment.quantity,
            Side::Sell => assessment.reserve_price * assessment.short,
        };
        let mode = core.account.mode;
        drop(core);
        let preview_id = self.previews.keep(ctx, id, request.clone());
        Ok(Preview {
            id: preview_id,
            quantity: assessment.quantity,
            estimated_price: assessment.price,
            notional: assessment.notional,
            fee: assessment.fee,
            total: total(request.side, &assessment),
            buying_power_before: before,
            buying_power_after: before - held,
            needs_approval: assessment.needs_approval.clone(),
            checks: assessment.checks,
            quote,
            mode,
            done_by_desk,
            refused: refused.map(|refused| SubmitError::from(refused).to_string()),
        })
    }

    /// Places the order that was previewed. A second time gives the order that the first time made.
    ///
    /// # Errors
    /// As [`Gateway::submit`]; also when the preview is too old.
    pub async fn confirm(
        &self,
        ctx: &Context,
        id: AccountId,
        preview: &str,
    ) -> Result<Submitted, SubmitError> {
        let desk = self.desk(ctx, Permission::OrdersPlace, id)?;
        if let Some(request) = self.previews.get(ctx, id, preview) {
            return self.submit(ctx, id, request).await;
        }
        // The desk may have been restarted since: what was placed is in the journal.
        let mut connection = self.shared.db.read().await.map_err(SubmitError::Journal)?;
        match store::used(&mut connection, desk.account_id(), preview).await {
            Ok(Some(order)) => Ok(Submitted { order, repeated: true }),
            Ok(None) => Err(SubmitError::PreviewExpired),
            Err(error) => Err(SubmitError::Journal(error)),
        }
    }

    /// Accepts an order: it is journaled, and then sent whatever happens to the caller.
    ///
    /// A request with a client order id that the account has seen before changes nothing: the same request gives the
    /// order that it made then.
    ///
    /// # Errors
    /// Says which rule forbids it. Only [`SubmitError::Journal`] is about the desk and not about the order.
    pub async fn submit(
        &self,
        ctx: &Context,
        id: AccountId,
        request: OrderRequest,
    ) -> Result<Submitted, SubmitError> {
        self.submit_approved(ctx, id, request, None).await
    }

    /// The same, with the consent of a second person where the order needs that.
    pub(crate) async fn submit_approved(
        &self,
        ctx: &Context,
        id: AccountId,
        request: OrderRequest,
        approved_by: Option<UserId>,
    ) -> Result<Submitted, SubmitError> {
        let desk = match self.desk(ctx, Permission::OrdersPlace, id) {
            Ok(desk) => desk,
            Err(denied) => {
                return Err(self.refuse(ctx, id, &request, "forbidden", denied.into()).await);
            }
        };
        if let Some(check) = risk::check_client_order_id(&request.client_order_id) {
            return Err(self.refuse_by(ctx, &desk, request, SubmitError::Refused(Box::new(check))).await);
        }
        if self.shared.db.is_short_of_space() {
            return Err(SubmitError::Journal(StorageError::ShortOfSpace));
        }
        // Two orders must not pass on the same head-room: from here on it is held.
        let accepted = {
            let mut core = desk.core();
            let (market, limits, mut ledger) =
                (LiveView(&self.shared.market), self.shared.limits(), self.shared.ledger());
            let mut asking =
                Accepting { ctx, market: &market, limits: &limits, ledger: &mut ledger, approved_by };
            let new = || OrderId::new(ctx.at);
            core.accept(&mut asking, &request, new(), [new(), new()])
        };
        let intent = match accepted {
            Ok(accepted) => accepted.intent(ctx),
            Err(Refused::NeedsApproval(limit)) => {
                return self.ask_second_person(ctx, &desk, request, limit).await;
            }
            Err(refused) => return self.refuse_unless_repeated(ctx, &desk, request, refused.into()).await,
        };
        fail::fail_point!("K1");
        let order = intent.order.clone();
        match desk.line_up(&self.shared, intent).await {
            Ok(Inserted::Yes) => Ok(Submitted { order, repeated: false }),
            Ok(Inserted::Exists(existing)) => repeated(*existing, &request),
            Err(JournalError::Fenced) => Err(SubmitError::Blind(self.fenced())),
            Err(JournalError::Storage(error)) => Err(SubmitError::Journal(error)),
        }
    }

    /// Asks to cancel an order. What is executed before the broker cancels it stays executed.
    ///
    /// # Errors
    /// Says why not.
    pub async fn cancel(&self, ctx: &Context, id: OrderId) -> Result<Order, CancelError> {
        let desk = self.desk_of(id).await.map_err(CancelError::Journal)?.ok_or(CancelError::NotFound)?;
        let account = Resource::Account(desk.account_id());
        ctx.require(Permission::OrdersView, account).map_err(|_| CancelError::NotFound)?;
        ctx.require(Permission::OrdersCancel, account)?;
        let entry = AuditEntry::by(ctx, "order.cancel_requested").on("order", id);
        let results = cancel_at(&desk, vec![id], entry).await?;
        match results.into_iter().next() {
            Some((_, Ok(order))) => Ok(order),
            Some((_, Err(status))) => Err(CancelError::NotOpen { status }),
            None => Err(CancelError::NotFound),
        }
    }

    /// Asks to cancel every open order of an account, or those of one instrument, that the principal may cancel.
    ///
    /// # Errors
    /// The principal may not, or it could not be journaled. Cancels are passed on to the broker all the same.
    pub async fn cancel_all(
        &self,
        ctx: &Context,
        id: AccountId,
        symbol: Option<&Symbol>,
    ) -> Result<Vec<Order>, CancelError> {
        let desk = self.desk(ctx, Permission::OrdersCancel, id)?;
        let open: Vec<OrderId> = {
            let core = desk.core();
            let wanted = core
                .book
                .open()
                .filter(|live| symbol.is_none_or(|symbol| live.order.request.symbol == *symbol));
            wanted.map(|live| live.order.id).collect()
        };
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let entry = AuditEntry::by(ctx, "orders.cancel_requested").on("account", id).with(json!({
            "symbol": symbol,
            "orders": open,
        }));
        let results = cancel_at(&desk, open, entry).await?;
        Ok(results.into_iter().filter_map(|(_, result)| result.ok()).collect())
    }

    /// Asks to put an order with other terms in the place of one that works.
    ///
    /// # Errors
    /// Says why not.
    pub async fn amend(
        &self,
        ctx: &Context,
        id: OrderId,
        amendment: &Amendment,
    ) -> Result<Order, AmendError> {
        let desk = self.desk_of(id).await.map_err(SubmitError::Journal)?.ok_or(AmendError::NotFound)?;
        let account = Resource::Account(desk.account_id());
        ctx.require(Permission::OrdersView, account).map_err(|_| AmendError::NotFound)?;
        ctx.require(Permission::OrdersPlace, account).map_err(SubmitError::from)?;
        if let Some(name) = &amendment.client_order_id {
            if let Some(check) = risk::check_client_order_id(name) {
                return Err(SubmitError::Refused(Box::new(check)).into());
            }
            let mut connection = self.shared.db.read().await.map_err(SubmitError::Journal)?;
            let used = store::used(&mut connection, desk.account_id(), name).await;
            if let Some(existing) = used.map_err(SubmitError::Journal)? {
                return match existing.provenance.replaces == Some(id) {
                    true => Ok(existing),
                    false => Err(SubmitError::ClientOrderIdConflict { existing: existing.id }.into()),
                };
            }
        }
        let by = OrderId::new(ctx.at);
        let prepared = {
            let mut core = desk.core();
            let (market, limits, mut ledger) =
                (LiveView(&self.shared.market), self.shared.limits(), self.shared.ledger());
            let mut asking =
                Accepting { ctx, market: &market, limits: &limits, ledger: &mut ledger, approved_by: None };
            core.amend(&mut asking, id, amendment, by)
        };
        let (new, entry) = match prepared {
            Ok(prepared) => prepared,
            Err(Refused::NotReplaceable(status)) => return Err(AmendError::NotReplaceable { status }),
            Err(refused) => return Err(SubmitError::from(refused).into()),
        };
        fail::fail_point!("K1");
        let reply = desk
            .ask(|ticket| Command::Replace { order: id, by: Box::new(new), entry: Box::new(entry), ticket })
            .await;
        let failure = match reply {
            Some(Reply::Replacing(order)) => return Ok(order),
            Some(Reply::NotReplaceable(status)) => AmendError::NotReplaceable { status },
            Some(Reply::NotJournaled(why)) => SubmitError::Journal(StorageError::NotCommitted(why)).into(),
            Some(_) => AmendError::NotFound,
            None => AmendError::Stopping,
        };
        desk.core().not_amended(&mut self.shared.ledger(), id, by);
        Err(failure)
    }

    /// Closes a position, or a part of it, with a market order: that of the principal's own book on the account, if they
    /// have one, and else that of the account's.
    ///
    /// # Errors
    /// As [`Gateway::submit`]; also when there is no such position.
    pub async fn close_position(
        &self,
        ctx: &Context,
        id: AccountId,
        symbol: &Symbol,
        part: Option<Quantity>,
        client_order_id: String,
    ) -> Result<Submitted, SubmitError> {
        let desk = self.desk(ctx, Permission::OrdersPlace, id)?;
        let book = desk.core().own_book_of(ctx);
        self.close_in_book(ctx, &desk, book, symbol, part, client_order_id).await
    }

    /// Closes what one book holds of an instrument, or a part of it.
    async fn close_in_book(
        &self,
        ctx: &Context,
        desk: &Desk,
        book: BookKey,
        symbol: &Symbol,
        part: Option<Quantity>,
        client_order_id: String,
    ) -> Result<Submitted, SubmitError> {
        let held = desk.core().book.holdings(book).quantity(symbol);
        let (side, all) = match held.is_negative() {
            true => (Side::Buy, -held),
            false => (Side::Sell, held),
        };
        let quantity = part.unwrap_or(all);
        if all.is_zero() || quantity > all {
            return Err(SubmitError::NoPosition { symbol: symbol.clone(), held: all });
        }
        let time = TimeInForce::to_close(symbol);
        let request = OrderRequest {
            book: Some(book.unwrap_or(OWN_BOOK)),
            ..OrderRequest::simple(client_order_id, symbol.clone(), side, quantity, None, time)
        };
        self.submit(ctx, desk.account_id(), request).await
    }

    /// Cancels every open order of an account and closes every position of every book once nothing stands in the way.
    ///
    /// # Errors
    /// The principal may not. What could not be closed is among the results.
    pub async fn liquidate(
        &self,
        ctx: &Context,
        id: AccountId,
    ) -> Result<Vec<(Symbol, Result<Submitted, SubmitError>)>, SubmitError> {
        let desk = self.desk(ctx, Permission::OrdersPlace, id)?;
        let mut changes = self.subscribe();
        self.cancel_all(ctx, id, None).await.map_err(|error| match error {
            CancelError::Denied(denied) => denied.into(),
            CancelError::Journal(error) => SubmitError::Journal(error),
            other => SubmitError::Journal(StorageError::NotCommitted(other.to_string())),
        })?;
        // Units that an order still sells cannot be sold again. Those whose outcome is not known are waited for no
        // longer than a call to the broker takes.
        let quiet = async {
            while desk.core().book.open_orders() > 0 {
                if changes.recv().await.is_err() {
                    changes = self.subscribe();
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), quiet).await;
        let held: Vec<(BookKey, Symbol)> = {
            let core = desk.core();
            let books = core.book.books.iter();
            let held =
                books.flat_map(|(book, holdings)| holdings.positions.iter().map(move |one| (*book, one)));
            held.filter(|(_, (_, position))| !position.quantity.is_zero())
                .map(|(book, (symbol, _))| (book, symbol.clone()))
                .collect()
        };
        let mut results = Vec::with_capacity(held.len());
        for (book, symbol) in held {
            let name = OrderId::new(ctx.at).to_string();
            let result = self.close_in_book(ctx, &desk, book, &symbol, None, name).await;
            results.push((symbol, result));
        }
        Ok(results)
    }

    /// A named person decides about an order whose outcome is not known.
    ///
    /// # Errors
    /// Says why not.
    pub async fn resolve(&self, ctx: &Context, id: OrderId, choice: Choice) -> Result<Order, CommandError> {
        let desk = self.desk_of(id).await.map_err(CommandError::Journal)?.ok_or(CommandError::NotFound)?;
        let account = Resource::Account(desk.account_id());
        ctx.require(Permission::OrdersView, account).map_err(|_| CommandError::NotFound)?;
        ctx.require(Permission::OrdersResolve, account)?;
        let detail = match &choice {
            Choice::AskAgain => json!({ "choice": "ask_again" }),
            Choice::NotThere { evidence } => json!({ "choice": "not_there", "evidence": evidence }),
        };
        let entry = AuditEntry::by(ctx, "order.resolved").on("order", id).with(detail);
        let reply =
            desk.ask(|ticket| Command::Resolve { order: id, choice, entry: Box::new(entry), ticket }).await;
        match reply {
            Some(Reply::Resolved(order)) => Ok(order),
            Some(Reply::NotUnknown(status)) => Err(CommandError::NotUnknown { status }),
            Some(Reply::NotJournaled(why)) => Err(CommandError::Journal(StorageError::NotCommitted(why))),
            Some(_) => Err(CommandError::NotFound),
            None => Err(CommandError::Stopping),
        }
    }

    /// Compares an account with its broker now.
    ///
    /// # Errors
    /// Says why not.
    pub async fn reconcile(&self, ctx: &Context, id: AccountId) -> Result<(), CommandError> {
        let desk = self.desk(ctx, Permission::OrdersResolve, id)?;
        let entry = AuditEntry::by(ctx, "account.reconciliation_requested").on("account", id);
        match desk.ask(|ticket| Command::Reconcile { entry: Box::new(entry), ticket }).await {
            Some(Reply::NotJournaled(why)) => Err(CommandError::Journal(StorageError::NotCommitted(why))),
            Some(_) => Ok(()),
            None => Err(CommandError::Stopping),
        }
    }

    /// What is kept of what happens, for whoever is told of it elsewhere.
    pub fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }

    /// What changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TradingEvent> {
        self.shared.events.subscribe()
    }

    /// An account that exists and on which the principal may do this.
    pub(crate) fn desk(
        &self,
        ctx: &Context,
        permission: Permission,
        id: AccountId,
    ) -> Result<Arc<Desk>, Denied> {
        let desk = self.desks.get(&id).ok_or(Denied::NoGrant { account: id })?;
        ctx.require(permission, Resource::Account(id))?;
        Ok(desk)
    }

    /// A repeated request is answered as before, even where a new one would be refused by now.
    async fn refuse_unless_repeated(
        &self,
        ctx: &Context,
        desk: &Desk,
        request: OrderRequest,
        refusal: SubmitError,
    ) -> Result<Submitted, SubmitError> {
        let mut connection = self.shared.db.read().await.map_err(SubmitError::Journal)?;
        let used = store::used(&mut connection, desk.account_id(), &request.client_order_id).await;
        drop(connection);
        match used {
            Ok(Some(existing)) => repeated(existing, &request),
            Ok(None) => Err(self.refuse_by(ctx, desk, request, refusal).await),
            Err(error) => Err(SubmitError::Journal(error)),
        }
    }

    async fn refuse_by(
        &self,
        ctx: &Context,
        desk: &Desk,
        request: OrderRequest,
        refusal: SubmitError,
    ) -> SubmitError {
        self.refuse(ctx, desk.account_id(), &request, refusal.code(), refusal).await
    }

    /// Records a refusal. If not even that can be kept, the caller is told so instead.
    async fn refuse(
        &self,
        ctx: &Context,
        account: AccountId,
        request: &OrderRequest,
        rule: &'static str,
        refusal: SubmitError,
    ) -> SubmitError {
        let mut detail = describe(request);
        detail["reason"] = json!(refusal.to_string());
        detail["rule"] = json!(rule);
        let entry =
            AuditEntry::by(ctx, "order.refused").on("account", account).ended(Outcome::Refused).with(detail);
        let entry = match self.desks.get(&account) {
            Some(desk) => desk.account().sign(entry),
            None => entry,
        };
        let event = Event::refusal(account, ctx, &entry.detail);
        match self.record_and_tell(entry, event).await {
            Ok(()) => refusal,
            Err(error) => SubmitError::Journal(error),
        }
    }

    /// Writes an audit row, and the event that tells the same.
    async fn record_and_tell(&self, entry: AuditEntry, event: Event) -> Result<(), StorageError> {
        let outbox = self.shared.outbox.clone();
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    tx.record(entry);
                    outbox.post(tx, || vec![event]).await
                })
            })
            .await
    }

    /// Writes an audit row by itself.
    pub(crate) async fn record(&self, entry: AuditEntry) -> Result<(), StorageError> {
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    tx.record(entry);
                    Ok::<_, StorageError>(())
                })
            })
            .await
    }
}

/// Hands cancels to an account's router.
async fn cancel_at(
    desk: &Desk,
    orders: Vec<OrderId>,
    entry: AuditEntry,
) -> Result<Vec<(OrderId, Result<Order, domain::Status>)>, CancelError> {
    fail::fail_point!("K1");
    match desk.ask(|ticket| Command::Cancel { orders, entry: Box::new(entry), ticket }).await {
        Some(Reply::Canceled(results)) => Ok(results),
        Some(Reply::NotJournaled(why)) => Err(CancelError::Journal(StorageError::NotCommitted(why))),
        Some(_) => Err(CancelError::NotFound),
        None => Err(CancelError::Stopping),
    }
}

pub(crate) fn repeated(existing: Order, request: &OrderRequest) -> Result<Submitted, SubmitError> {
    // A broker may have restated the order since; a replacement is not what was asked for by this request.
    if existing.request == *request || (existing.is_restated && existing.request.symbol == request.symbol) {
        Ok(Submitted { order: existing, repeated: true })
    } else {
        Err(SubmitError::ClientOrderIdConflict { existing: existing.id })
    }
}
