//! The one door for orders: page, API and command line all come through here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Clock, Context, Denied, Money, Order, OrderId, OrderRequest, Outcome, Permission,
    Price, Quote, Resource, Side, Status, Timestamp,
};
use market::Market;
use serde_json::json;
use storage::{Database, StorageError, Tx};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Account, AccountState, Blind, Holding, Mode};
use crate::book::{Book, Live};
use crate::broker::Broker;
use crate::risk::{self, Assessment, Check, Facts, OrderLimits};
use crate::router::{self, Command};
use crate::store::{self, BookedFill, FillFilter, Inserted, Intent, JournalError, JournalRow, OrderFilter};

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
    /// What an order may be.
    pub limits: OrderLimits,
    /// How often the router looks after what is unresolved; the unit of its back-off.
    pub tick: Duration,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
}

impl Preview {
    /// Whether every check was passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// Why an order was not accepted. Nothing was journaled but the audit of the refusal.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A rule forbids it.
    #[error("{}", .0.detail)]
    Refused(Check),
    /// Another order has this client order id.
    #[error("the client order id is taken by a different order, {existing}")]
    ClientOrderIdConflict {
        /// Which.
        existing: OrderId,
    },
    /// The desk does not see the account clearly at the moment.
    #[error("the account takes no new risk: {}", .0.reason)]
    Blind(Blind),
    /// It could not be made durable.
    #[error("the order was refused because it could not be journaled: {0}")]
    Journal(#[source] StorageError),
}

/// Why an order is not being canceled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such order, or none that may be seen.
    #[error("there is no such order")]
    NotFound,
    /// The principal may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is at its end.
    #[error("the order is {status}: there is nothing to cancel")]
    NotOpen {
        /// Where it stands.
        status: Status,
    },
    /// The cancel could not be journaled. It was passed on to the broker all the same.
    #[error("the cancel was passed on to the broker, but could not be journaled: {0}")]
    Journal(#[source] StorageError),
    /// The desk is shutting down.
    #[error("the desk is shutting down")]
    Stopping,
}

/// One account in trading: its book, its broker, and the way to its router.
pub(crate) struct Desk {
    pub(crate) account: Account,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) epoch: i64,
    pub(crate) commands: mpsc::Sender<Command>,
    /// Rings when an order was accepted.
    pub(crate) accepted: Notify,
    book: Mutex<Book>,
    line: Mutex<Line>,
}

impl Desk {
    /// The book, locked. Never held over a wait.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that the routers share.
pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) market: Market,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: OrderLimits,
    pub(crate) tick: Duration,
    pub(crate) events: broadcast::Sender<TradingEvent>,
}

/// The one door for orders. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    desks: Arc<BTreeMap<AccountId, Arc<Desk>>>,
}

/// Orders on their way to the disk.
#[derive(Default)]
struct Line {
    waiting: Vec<(Intent, oneshot::Sender<Result<Inserted, JournalError>>)>,
    /// Somebody is writing, and looks here again afterwards.
    writing: bool,
}

impl Desk {
    /// Makes an order durable, together with those that come in at the same time.
    ///
    /// What was begun is finished even when the caller goes away in the middle: an order that is in the journal is sent.
    async fn line_up(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        intent: Intent,
    ) -> Result<Inserted, JournalError> {
        let (caller, answer) = oneshot::channel();
        let first = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.waiting.len() >= WAITING {
                drop(line);
                self.book().remove(intent.order.id);
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
        loop {
            let waiting = {
                let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
                line.writing = !line.waiting.is_empty();
                let count = line.waiting.len().min(TOGETHER);
                line.waiting.drain(..count).collect::<Vec<_>>()
            };
            if waiting.is_empty() {
                return;
            }
            let (intents, callers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let orders: Vec<Order> = intents.iter().map(|intent| intent.order.clone()).collect();
            let (account, epoch) = (self.account.id, self.epoch);
            let written = shared
                .db
                .write(move |tx: &mut Tx| {
                    Box::pin(async move { store::insert(tx, account, &intents, epoch).await })
                })
                .await;
            self.settle(&shared, &orders, &written);
            answer_all(callers, written);
        }
    }

    /// Lines the orders that are durable up for sending, and gives back the head-room of the others.
    fn settle(&self, shared: &Shared, orders: &[Order], written: &Result<Vec<Inserted>, JournalError>) {
        let is_new = |nth: usize| matches!(written, Ok(outcomes) if matches!(outcomes[nth], Inserted::Yes));
        {
            let mut book = self.book();
            for (nth, order) in orders.iter().enumerate() {
                if is_new(nth) { book.queue(order.id) } else { book.remove(order.id) }
            }
        }
        self.accepted.notify_one();
        for (nth, order) in orders.iter().enumerate() {
            if is_new(nth) {
                let _ = shared.events.send(TradingEvent::Order(Arc::new(order.clone())));
            }
        }
        let _ = shared.events.send(TradingEvent::Account(self.account.id));
    }
}

/// Tells each caller what became of its order. One that went away is not told.
fn answer_all(
    callers: Vec<oneshot::Sender<Result<Inserted, JournalError>>>,
    written: Result<Vec<Inserted>, JournalError>,
) {
    match written {
        Ok(outcomes) => {
            for (caller, outcome) in callers.into_iter().zip(outcomes) {
                let _ = caller.send(Ok(outcome));
            }
        }
        Err(error) => {
            for caller in callers {
                let _ = caller.send(Err(match &error {
                    JournalError::Fenced => JournalError::Fenced,
                    JournalError::Storage(error) => StorageError::NotCommitted(error.to_string()).into(),
                }));
            }
        }
    }
}

/// Orders of one account that may wait for the disk. More are refused.
const WAITING: usize = 4_096;
/// Orders of one account that are written with one statement at most.
const TOGETHER: usize = 64;
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
        let Parts { db, market, clock, brokers, limits, tick } = parts;
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Arc::new(Shared { db, market, clock, limits, tick, events });
        let mut desks = BTreeMap::new();
        for (account, broker) in brokers {
            let (id, name) = (account.id, account.name.clone());
            let desk = open_desk(&shared, account, broker, stop)
                .await
                .map_err(|source| StartError::Account { account: name, source })?;
            desks.insert(id, desk);
        }
        Ok(Self { shared, desks: Arc::new(desks) })
    }

    /// Accounts that the principal may see.
    pub fn accounts(&self, ctx: &Context) -> Vec<Account> {
        self.visible(ctx, Permission::AccountsView).map(|desk| desk.account.clone()).collect()
    }

    /// An account's money now.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn account(&self, ctx: &Context, id: AccountId) -> Result<AccountState, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        let book = desk.book();
        let (mut equity, mut realised, mut unrealised) = (book.cash, Money::ZERO, Money::ZERO);
        for (symbol, position) in &book.positions {
            realised += position.realised_pnl;
            match self.shared.market.last_price(symbol) {
                Some(price) => {
                    equity += position.value(price);
                    unrealised += position.unrealised_pnl(price);
                }
                None => equity += position.cost,
            }
        }
        Ok(AccountState {
            account: desk.account.clone(),
            cash: book.cash,
            equity,
            buying_power: book.buying_power(),
            reserved: book.reserved(),
            realised_pnl: realised,
            unrealised_pnl: unrealised,
            blind: book.blind.clone(),
            broker_latency: book.latency,
            open_orders: book.open_orders(),
            at: self.shared.clock.now(),
        })
    }

    /// An account's positions now; those that are flat only where something was earned or lost.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn positions(&self, ctx: &Context, id: AccountId) -> Result<Vec<Holding>, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        let at = self.shared.clock.now();
        let book = desk.book();
        Ok(book
            .positions
            .iter()
            .map(|(symbol, position)| Holding {
                account: id,
                symbol: symbol.clone(),
                position: position.clone(),
                market_price: self.shared.market.last_price(symbol),
                at,
            })
            .collect())
    }

    /// What an order would cost, and every check with its numbers. Nothing is reserved or journaled.
    ///
    /// # Errors
    /// The principal may not place orders on the account, or there is none.
    pub fn preview(&self, ctx: &Context, id: AccountId, request: &OrderRequest) -> Result<Preview, Denied> {
        let desk = self.desk(ctx, Permission::OrdersPlace, id)?;
        let book = desk.book();
        let (assessment, quote) = self.assess(&book, request, ctx.at);
        let before = book.buying_power();
        let (total, after) = match request.side {
            Side::Buy => {
                (assessment.notional + assessment.fee, before - assessment.reserve_price * request.quantity)
            }
            Side::Sell => (assessment.notional - assessment.fee, before),
        };
        Ok(Preview {
            estimated_price: assessment.price,
            notional: assessment.notional,
            fee: assessment.fee,
            total,
            buying_power_before: before,
            buying_power_after: after,
            checks: assessment.checks,
            quote,
            mode: desk.account.mode,
        })
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
        let desk = match self.desk(ctx, Permission::OrdersPlace, id) {
            Ok(desk) => desk,
            Err(denied) => {
                return Err(self
                    .refuse(ctx, id, &request, denied.to_string(), "forbidden", denied.into())
                    .await);
            }
        };
        if let Some(check) = risk::check_client_order_id(&request.client_order_id) {
            return self.refuse_by(ctx, desk, request, check).await;
        }
        // Two orders must not pass on the same head-room: from here on it is held.
        let (order, reserve_price) = match self.reserve(ctx, desk, &request) {
            Ok(reserved) => reserved,
            Err(refusal) => return self.refuse_unless_repeated(ctx, desk, request, refusal).await,
        };
        let entry = self.accepted(ctx, desk, &order, reserve_price);
        let intent = Intent { order: order.clone(), reserve_price, entry };
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
        let account = Resource::Account(desk.account.id);
        ctx.require(Permission::OrdersView, account).map_err(|_| CancelError::NotFound)?;
        ctx.require(Permission::OrdersCancel, account)?;
        let entry = AuditEntry::by(ctx, "order.cancel_requested").on("order", id);
        let (reply, answer) = oneshot::channel();
        let command = Command::Cancel { order: id, entry: Box::new(entry), reply };
        desk.commands.send(command).await.map_err(|_| CancelError::Stopping)?;
        answer.await.unwrap_or(Err(CancelError::Stopping))
    }

    /// One order; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn order(&self, ctx: &Context, id: OrderId) -> Result<Option<Order>, StorageError> {
        let Some(desk) = self.desk_of(id).await? else { return Ok(None) };
        if ctx.require(Permission::OrdersView, Resource::Account(desk.account.id)).is_err() {
            return Ok(None);
        }
        if let Some(live) = desk.book().get(id) {
            return Ok(Some(live.order.clone()));
        }
        Ok(store::load(&mut *self.shared.db.read().await?, id).await?.map(|live| live.order))
    }

    /// Orders that may be seen, newest first, older than `before`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn orders(
        &self,
        ctx: &Context,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Order>, StorageError> {
        let mut orders = Vec::new();
        for desk in self.visible(ctx, Permission::OrdersView) {
            if filter.account.is_none_or(|wanted| wanted == desk.account.id) {
                let mut connection = self.shared.db.read().await?;
                orders.extend(store::list(&mut connection, desk.account.id, filter, before, limit).await?);
            }
        }
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
        orders.truncate(limit);
        Ok(orders)
    }

    /// What happened to an order, oldest first; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn order_events(
        &self,
        ctx: &Context,
        id: OrderId,
    ) -> Result<Option<Vec<JournalRow>>, StorageError> {
        if self.order(ctx, id).await?.is_none() {
            return Ok(None);
        }
        store::events(&mut *self.shared.db.read().await?, id).await.map(Some)
    }

    /// Fills that may be seen, newest first, before a time and number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fills(
        &self,
        ctx: &Context,
        filter: &FillFilter,
        before: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<Vec<BookedFill>, StorageError> {
        let mut fills = Vec::new();
        for desk in self.visible(ctx, Permission::OrdersView) {
            if filter.account.is_none_or(|wanted| wanted == desk.account.id) {
                let mut connection = self.shared.db.read().await?;
                fills.extend(store::fills(&mut connection, desk.account.id, filter, before, limit).await?);
            }
        }
        fills.sort_unstable_by_key(|booked| std::cmp::Reverse((booked.fill.at, booked.seq)));
        fills.truncate(limit);
        Ok(fills)
    }

    /// What changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TradingEvent> {
        self.shared.events.subscribe()
    }

    /// Accounts that are blind, by name, with the reason: for the desk's health.
    pub fn blind(&self) -> Vec<(String, Blind)> {
        let state = |desk: &Arc<Desk>| Some((desk.account.name.clone(), desk.book().blind.clone()?));
        self.desks.values().filter_map(state).collect()
    }

    /// An account that exists and on which the principal may do this.
    fn desk(&self, ctx: &Context, permission: Permission, id: AccountId) -> Result<&Arc<Desk>, Denied> {
        let desk = self.desks.get(&id).ok_or(Denied::NoGrant { account: id })?;
        ctx.require(permission, Resource::Account(id))?;
        Ok(desk)
    }

    fn visible(&self, ctx: &Context, permission: Permission) -> impl Iterator<Item = &Arc<Desk>> {
        self.desks
            .values()
            .filter(move |desk| ctx.require(permission, Resource::Account(desk.account.id)).is_ok())
    }

    async fn desk_of(&self, order: OrderId) -> Result<Option<&Arc<Desk>>, StorageError> {
        if let Some(desk) = self.desks.values().find(|desk| desk.book().get(order).is_some()) {
            return Ok(Some(desk));
        }
        let account = store::account_of(&mut *self.shared.db.read().await?, order).await?;
        Ok(account.and_then(|account| self.desks.get(&account)))
    }

    fn assess(&self, book: &Book, request: &OrderRequest, now: Timestamp) -> (Assessment, Option<Quote>) {
        let market = &self.shared.market;
        let instrument = market.instrument(&request.symbol);
        let (quote, quoted_at) = market.last_quote(&request.symbol).unzip();
        let facts = Facts {
            instrument: instrument.as_ref(),
            quote: quote.as_ref(),
            quoted_at,
            buying_power: book.buying_power(),
            sellable: book.sellable(&request.symbol),
            now,
        };
        let assessment = risk::assess(request, facts, &self.shared.limits);
        (assessment, quote)
    }

    /// Checks an order and holds its head-room, in one step.
    fn reserve(
        &self,
        ctx: &Context,
        desk: &Desk,
        request: &OrderRequest,
    ) -> Result<(Order, Price), SubmitError> {
        let mut book = desk.book();
        let (assessment, _) = self.assess(&book, request, ctx.at);
        if let Some(check) = assessment.refusal() {
            return Err(SubmitError::Refused(check.clone()));
        }
        // Selling what is held closes risk, and passes while the account is blind.
        if let (Side::Buy, Some(blind)) = (request.side, &book.blind) {
            return Err(SubmitError::Blind(blind.clone()));
        }
        let id = OrderId::new(ctx.at);
        let by = ctx.principal.id.clone().unwrap_or_else(|| ctx.principal.kind.to_string());
        let order = Order::accepted(id, desk.account.id, request.clone(), by, ctx.at);
        book.put(Live::new(order.clone(), assessment.reserve_price));
        Ok((order, assessment.reserve_price))
    }

    /// The audit row of an accepted order, with the limits that were applied.
    fn accepted(&self, ctx: &Context, desk: &Desk, order: &Order, reserve_price: Price) -> AuditEntry {
        let limits = &self.shared.limits;
        let mut detail = describe(&order.request);
        detail["account"] = json!(desk.account.id);
        detail["mode"] = json!(desk.account.mode.as_str());
        detail["reserved_per_unit"] = json!(reserve_price);
        detail["limits"] = json!({
            "max_notional": limits.max_notional,
            "price_collar": limits.price_collar,
            "max_quote_age_s": limits.max_quote_age.as_secs(),
        });
        AuditEntry::by(ctx, "order.accepted").on("order", order.id).with(detail)
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
        let used = store::used(&mut connection, desk.account.id, &request.client_order_id).await;
        drop(connection);
        match used {
            Ok(Some(existing)) => return repeated(existing, &request),
            Ok(None) => {}
            Err(error) => return Err(SubmitError::Journal(error)),
        }
        match refusal {
            SubmitError::Refused(check) => self.refuse_by(ctx, desk, request, check).await,
            other => {
                let reason = other.to_string();
                Err(self.refuse(ctx, desk.account.id, &request, reason, "account_blind", other).await)
            }
        }
    }

    async fn refuse_by(
        &self,
        ctx: &Context,
        desk: &Desk,
        request: OrderRequest,
        check: Check,
    ) -> Result<Submitted, SubmitError> {
        let (reason, rule) = (check.detail.clone(), check.rule.as_str());
        Err(self.refuse(ctx, desk.account.id, &request, reason, rule, SubmitError::Refused(check)).await)
    }

    /// Records a refusal. If not even that can be kept, the caller is told so instead.
    async fn refuse(
        &self,
        ctx: &Context,
        account: AccountId,
        request: &OrderRequest,
        reason: String,
        rule: &'static str,
        refusal: SubmitError,
    ) -> SubmitError {
        let mut detail = describe(request);
        detail["reason"] = json!(reason);
        detail["rule"] = json!(rule);
        let entry =
            AuditEntry::by(ctx, "order.refused").on("account", account).ended(Outcome::Refused).with(detail);
        let recorded = self
            .shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    tx.record(entry);
                    Ok::<_, StorageError>(())
                })
            })
            .await;
        match recorded {
            Ok(()) => refusal,
            Err(error) => SubmitError::Journal(error),
        }
    }

    fn fenced(&self) -> Blind {
        Blind { since: self.shared.clock.now(), reason: "another desk has taken over the account".into() }
    }
}

fn repeated(existing: Order, request: &OrderRequest) -> Result<Submitted, SubmitError> {
    if existing.request == *request {
        Ok(Submitted { order: existing, repeated: true })
    } else {
        Err(SubmitError::ClientOrderIdConflict { existing: existing.id })
    }
}

fn describe(request: &OrderRequest) -> serde_json::Value {
    json!({
        "client_order_id": request.client_order_id.chars().take(64).collect::<String>(),
        "symbol": request.symbol,
        "side": request.side,
        "type": request.kind,
        "time_in_force": request.time_in_force,
        "quantity": request.quantity,
        "limit_price": request.limit_price,
    })
}

async fn open_desk(
    shared: &Arc<Shared>,
    account: Account,
    broker: Arc<dyn Broker>,
    stop: &CancellationToken,
) -> Result<Arc<Desk>, StorageError> {
    let id = account.id;
    let epoch =
        shared.db.write(move |tx: &mut Tx| Box::pin(async move { store::next_epoch(tx, id).await })).await?;
    let mut connection = shared.db.read().await?;
    let (positions, fills, newest_fill) = store::fold_fills(&mut connection, id).await?;
    let open = store::load_open(&mut connection, id).await?;
    let opening_cash = store::opening_cash(&mut connection, id).await?;
    drop(connection);

    // Cash is what there was at first, less what positions cost, plus what they earned.
    let cash =
        positions.values().fold(opening_cash.unwrap_or_default(), |cash, p| cash + p.realised_pnl - p.cost);
    let blind = Blind { since: shared.clock.now(), reason: "the desk is starting".into() };
    let mut book = Book::new(cash, positions, fills, blind);
    for live in open {
        let (id, unsent) = (live.order.id, live.order.status == Status::Accepted);
        book.put(live);
        if unsent {
            book.queue(id);
        }
    }
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let desk = Arc::new(Desk {
        account,
        broker,
        epoch,
        commands,
        accepted: Notify::new(),
        line: Mutex::default(),
        book: Mutex::new(book),
    });
    let start = router::Start { opening_cash, newest_fill };
    tokio::spawn(router::run(shared.clone(), desk.clone(), inbox, start, stop.clone()));
    Ok(desk)
}
