//! A desk to test: database, market, paper venue, gateway, and one trader.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Access, AccountId, AuditEntry, Clock, Context, Decimal, Instrument, KeyId, Order, OrderEvent, OrderId,
    OrderRequest, Quote, RequestId, Role, SessionId, Side, Status, Symbol, TimeInForce, Timestamp, UserId,
};
use market::{Feed, Market, Settings};
use storage::testing::TestDatabase;
use storage::{AuditChain, BoxFuture, Connection, Database, StorageError, Tx, query};
use tokio_util::sync::CancellationToken;
use trading::accounts::NewAccount;
use trading::{
    Account, AccountState, ApprovalId, BookingKind, Broker, BrokerOrder, BrokerStatus, CancelError,
    CorporateAction, FourEyes, Gateway, Holding, KillFile, Mode, OrderLimits, PaperSettings, PaperVenue,
    Parts, People, SubmitError, Submitted,
};

use crate::faulty::{Fault, Faulty};

/// Keeps the rows of every committed group.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Vec<AuditEntry>>);

impl AuditChain for Witness {
    fn append<'t>(
        &'t self,
        _: &'t mut Connection,
        entries: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        self.0.lock().unwrap().extend_from_slice(entries);
        Box::pin(async { Ok(()) })
    }
}

/// A clock that runs, and can be moved forward.
pub(crate) struct MovableClock {
    begun: std::time::Instant,
    ahead: Mutex<Duration>,
}

impl MovableClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        noon + self.begun.elapsed() + *self.ahead.lock().unwrap()
    }
}

/// What a desk to test is like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting {
    /// The broker would take an order twice.
    pub(crate) takes_doubles: bool,
    /// The account is for real money.
    pub(crate) live: bool,
    /// A second person has to agree to a raised limit.
    pub(crate) raises: bool,
}

/// People that the desk knows.
#[derive(Default)]
pub(crate) struct Known(Mutex<Vec<Context>>);

#[async_trait]
impl People for Known {
    async fn person(
        &self,
        user: UserId,
        _: Option<KeyId>,
        at: Timestamp,
    ) -> Result<Option<Context>, StorageError> {
        let known = self.0.lock().unwrap();
        let person = known.iter().rev().find(|ctx| ctx.user_id() == Some(user));
        Ok(person.map(|ctx| later(ctx, at)))
    }
}

/// A desk with one account, on which `ctx` may trade.
pub(crate) struct Desk {
    pub(crate) gateway: Gateway,
    pub(crate) ctx: Context,
    pub(crate) account: Account,
    pub(crate) clock: Arc<MovableClock>,
    db: Database,
    witness: Arc<Witness>,
    broker: Arc<Faulty>,
    venue: PaperVenue,
    venue_file: PathBuf,
    _venue_folder: Option<Arc<tempfile::TempDir>>,
    market: Market,
    feed: Mutex<Feed>,
    people: Arc<Known>,
    setting: Setting,
    stop: CancellationToken,
}

const TICK: Duration = Duration::from_millis(10);
/// A story that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn symbol() -> Symbol {
    "BTC-USD".parse().unwrap()
}

fn request(name: &str, side: Side, quantity: &str, limit_price: Option<&str>) -> OrderRequest {
    let limit_price = limit_price.map(|price| price.parse().unwrap());
    OrderRequest::simple(name, symbol(), side, quantity.parse().unwrap(), limit_price, TimeInForce::Gtc)
}

pub(crate) fn market(name: &str, quantity: &str) -> OrderRequest {
    request(name, Side::Buy, quantity, None)
}

pub(crate) fn limit(name: &str, quantity: &str, price: &str) -> OrderRequest {
    request(name, Side::Buy, quantity, Some(price))
}

pub(crate) fn sell(name: &str, quantity: &str) -> OrderRequest {
    request(name, Side::Sell, quantity, None)
}

/// Nothing about the order is in doubt.
pub(crate) trait Settled {
    fn is_settled(&self) -> bool;
}

impl Settled for Order {
    fn is_settled(&self) -> bool {
        self.status == Status::Working || self.status.is_terminal()
    }
}

impl Desk {
    pub(crate) async fn open(database: &TestDatabase) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let file = folder.path().join("paper.db");
        Self::start(database, file, Some(folder), None, Arc::default(), Setting::default()).await
    }

    /// The same at a broker that would take an order twice.
    pub(crate) async fn open_where_doubles_are_taken(database: &TestDatabase) -> Self {
        Self::open_with(database, Setting { takes_doubles: true, ..Setting::default() }).await
    }

    /// The same with other settings.
    pub(crate) async fn open_with(database: &TestDatabase, setting: Setting) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let file = folder.path().join("paper.db");
        Self::start(database, file, Some(folder), None, Arc::default(), setting).await
    }

    /// The same desk after a stop: new tasks, the same databases.
    pub(crate) async fn restart(self, database: &TestDatabase) -> Self {
        self.stop.cancel();
        self.db.close().await;
        self.venue.close().await;
        let (file, folder) = (self.venue_file.clone(), self._venue_folder.clone());
        let (account, people) = (Some(self.account.clone()), self.people.clone());
        Self::start(database, file, folder, account, people, self.setting).await
    }

    /// A second desk on the same databases, while this one runs.
    pub(crate) async fn second(&self, database: &TestDatabase) -> Self {
        let folder = self._venue_folder.clone();
        let account = Some(self.account.clone());
        let people = self.people.clone();
        Self::start(database, self.venue_file.clone(), folder, account, people, self.setting).await
    }

    async fn start(
        database: &TestDatabase,
        venue_file: PathBuf,
        folder: Option<Arc<tempfile::TempDir>>,
        account: Option<Account>,
        people: Arc<Known>,
        setting: Setting,
    ) -> Self {
        let clock = Arc::new(MovableClock { begun: std::time::Instant::now(), ahead: Mutex::default() });
        let now = clock.now();
        let witness = Arc::new(Witness::default());
        let db = database.open(Some(witness.clone())).await;
        let market = Market::new(Settings::new(vec![instrument()]), clock.clone());
        let mut feed = market.feed("test");
        feed.put_quote(quote(now, "5")).unwrap();
        let stop = CancellationToken::new();
        let settings =
            PaperSettings { settle_window: Duration::ZERO, ..PaperSettings::with_fee_bps(Decimal::from(10)) };
        let venue = PaperVenue::open(&venue_file, &market, clock.clone(), settings, &stop).await.unwrap();
        let account = match account {
            Some(account) => account,
            None => {
                let new = NewAccount {
                    name: "Paper".into(),
                    broker: "paper".into(),
                    mode: if setting.live { Mode::Live } else { Mode::Paper },
                    currency: "USD".into(),
                };
                let account = trading::accounts::open(&db, &Context::operator(None, now), new).await.unwrap();
                venue.open_account(account.id, "100000".parse().unwrap()).await.unwrap();
                account
            }
        };
        let broker = Arc::new(Faulty::new(venue.broker(account.id), setting.takes_doubles));
        let parts = Parts {
            db: db.clone(),
            market: market.clone(),
            clock: clock.clone(),
            brokers: vec![(account.clone(), broker.clone())],
            custody: None,
            limits: OrderLimits::default(),
            tick: TICK,
            jitter: 1,
            kill_file: Some(KillFile::open(&venue_file.with_file_name("kill-switch")).unwrap()),
            four_eyes: FourEyes {
                raises: setting.raises,
                people: Some(people.clone()),
                ..FourEyes::default()
            },
        };
        let gateway = Gateway::start(parts, &stop).await.unwrap();
        let desk = Self {
            gateway,
            ctx: context(Role::Trader, Some((account.id, Access::Trade)), now),
            account,
            clock,
            db,
            witness,
            broker,
            venue,
            venue_file,
            _venue_folder: folder,
            market,
            feed: Mutex::new(feed),
            people,
            setting,
            stop,
        };
        desk.until_reconciled().await;
        desk
    }

    pub(crate) async fn submit(&self, request: OrderRequest) -> Result<Submitted, SubmitError> {
        let mut ctx = self.ctx.clone();
        ctx.at = self.clock.now();
        self.gateway.submit(&ctx, self.account.id, request).await
    }

    pub(crate) async fn cancel(&self, order: OrderId) -> Result<Order, CancelError> {
        self.gateway.cancel(&self.ctx, order).await
    }

    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.broker.expect(faults);
    }

    pub(crate) fn broker_down(&self, down: bool) {
        self.broker.down(down);
    }

    /// The broker holds so many units more than were traded, and says why.
    pub(crate) fn hold_more(&self, more: &str, actions: Vec<CorporateAction>) {
        self.broker.hold_more(more.parse().unwrap(), actions);
    }

    pub(crate) fn cut_stream(&self) {
        self.broker.cut_stream();
    }

    /// Orders that the connection was asked to send, once for each time.
    pub(crate) fn sent(&self) -> Vec<OrderId> {
        self.broker.sent()
    }

    pub(crate) fn acts(&self) -> Vec<String> {
        self.rows().iter().map(|entry| entry.act.to_owned()).collect()
    }

    pub(crate) fn rows(&self) -> Vec<AuditEntry> {
        self.witness.0.lock().unwrap().clone()
    }

    pub(crate) fn state(&self) -> AccountState {
        self.gateway.account(&self.ctx, self.account.id).unwrap()
    }

    pub(crate) fn positions(&self) -> Vec<Holding> {
        self.gateway.positions(&self.ctx, self.account.id).unwrap()
    }

    pub(crate) async fn journal(&self, order: OrderId) -> Vec<OrderEvent> {
        let rows = self.gateway.order_events(&self.ctx, order).await.unwrap().unwrap();
        rows.into_iter().map(|row| row.event).collect()
    }

    /// Waits for an order to become something.
    pub(crate) async fn until(&self, id: OrderId, wanted: impl Fn(&Order) -> bool) -> Order {
        self.wait(async || {
            let order = self.gateway.order(&self.ctx, id).await.unwrap().unwrap();
            wanted(&order).then_some(order)
        })
        .await
    }

    pub(crate) async fn until_reconciled(&self) {
        self.wait(async || self.state().blind.is_none().then_some(())).await;
    }

    pub(crate) async fn until_blind(&self) {
        self.wait(async || self.state().blind.is_some().then_some(())).await;
    }

    /// Asks again whenever something changed.
    pub(crate) async fn wait<T>(&self, ask: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            let mut events = self.gateway.subscribe();
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                let _ = events.recv().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("it did not happen in time; acts: {:?}", self.acts()))
    }

    /// Waits for the venue to have an order, whatever the desk knows.
    pub(crate) async fn until_the_venue_has(&self, order: &Order) {
        let truth = self.venue.broker(self.account.id);
        let waiting = async {
            while truth.find(order).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the venue gets the order in time");
    }

    /// An order reaches the venue that the desk has given up.
    pub(crate) async fn arrive_late(&self, order: &Order) {
        self.venue.broker(self.account.id).submit(order).await.unwrap();
    }

    /// Waits for an order to be canceled at the venue, whatever the desk knows.
    pub(crate) async fn until_canceled_at_the_venue(&self, order: &Order) {
        let truth = self.venue.broker(self.account.id);
        let canceled = |found: Option<BrokerOrder>| found.is_some_and(|o| o.status == BrokerStatus::Canceled);
        let waiting = async {
            while !canceled(truth.find(order).await.unwrap()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the order is canceled in time");
    }

    /// Cash, positions and executions are the same on both sides.
    pub(crate) async fn venue_is_flat(&self) -> bool {
        let balances = self.venue.broker(self.account.id).balances().await.unwrap();
        balances.positions.iter().all(|(_, quantity)| quantity.is_zero())
    }

    pub(crate) async fn agrees_with_the_venue(&self) {
        let truth = self.venue.broker(self.account.id);
        let balances = truth.balances().await.unwrap();
        let state = self.state();
        assert_eq!(state.cash, balances.cash, "cash");
        for holding in self.positions() {
            let theirs = balances.positions.iter().find(|(symbol, _)| *symbol == holding.symbol);
            assert_eq!(Some(holding.position.quantity), theirs.map(|(_, quantity)| *quantity), "position");
        }
        let executions = truth.executions(Timestamp::UNIX_EPOCH).await.unwrap();
        let fills =
            self.gateway.fills(&self.ctx, &trading::FillFilter::default(), None, 10_000).await.unwrap();
        let mut theirs: Vec<_> = executions
            .into_iter()
            .filter_map(|execution| match execution.event {
                OrderEvent::Filled(fill) => Some(fill.execution_id),
                _ => None,
            })
            .collect();
        let ours = fills.into_iter().filter(|booked| booked.kind == BookingKind::Fill);
        let mut ours: Vec<_> = ours.map(|booked| booked.fill.execution_id).collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "executions");
    }

    /// Somebody else of a role, who may do everything on the account that the role may, and has just shown a factor.
    pub(crate) fn person(&self, role: Role) -> Context {
        let now = self.clock.now();
        context(role, Some((self.account.id, Access::Manage)), now).with_factor(Some(now))
    }

    /// The same person at this moment.
    pub(crate) fn now(&self, ctx: &Context) -> Context {
        later(ctx, self.clock.now())
    }

    /// From now on the desk knows what this person may do.
    pub(crate) fn introduce(&self, ctx: &Context) {
        self.people.0.lock().unwrap().push(ctx.clone());
    }

    /// Somebody agrees to an approval, and the desk stops before it does anything about it.
    pub(crate) async fn agreed_and_stopped(&self, id: ApprovalId, by: &Context) {
        self.stop.cancel();
        let (id, by) = (id.to_string(), by.user_id().unwrap().to_string());
        let at = domain::micros(self.clock.now());
        self.db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    let sql = "UPDATE approvals SET status = 'approved', decided_by = $2, decided_at = $3 WHERE id = $1";
                    query(sql).bind(id).bind(by).bind(at).execute(tx.sql()).await?;
                    Ok::<_, StorageError>(())
                })
            })
            .await
            .unwrap();
    }

    /// The file of kill switches, as a command opens it.
    pub(crate) fn kill_file(&self) -> KillFile {
        KillFile::open(&self.venue_file.with_file_name("kill-switch")).unwrap()
    }

    /// The venue, whatever the connection does.
    pub(crate) fn truth(&self) -> Arc<dyn Broker> {
        self.venue.broker(self.account.id)
    }

    /// Keeps the writer of the database busy until the guard is dropped, as a disk does that hangs.
    pub(crate) async fn hang(&self) -> tokio::sync::oneshot::Sender<()> {
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let db = self.db.clone();
        tokio::spawn(async move {
            db.write(move |_: &mut Tx| {
                Box::pin(async move {
                    let _ = begin.send(());
                    let _ = released.await;
                    Ok::<_, StorageError>(())
                })
            })
            .await
        });
        begun.await.unwrap();
        release
    }

    pub(crate) fn stranger(&self) -> Context {
        context(Role::Trader, None, self.clock.now())
    }

    pub(crate) fn viewer(&self) -> Context {
        context(Role::Trader, Some((self.account.id, Access::View)), self.clock.now())
    }

    /// Shows a market with room for everybody.
    pub(crate) fn deep_market(&self) {
        self.show("100000");
    }

    /// Shows the market of the start once more, as it is now.
    pub(crate) fn same_market(&self) {
        self.show("5");
    }

    fn show(&self, size: &str) {
        self.feed.lock().unwrap().put_quote(quote(self.clock.now(), size)).unwrap();
        assert!(self.market.quote(&symbol()).is_some());
    }

    /// Sets SQLite so that it answers as it does on a bad disk, and back.
    pub(crate) async fn disk(&self, disk: Disk) {
        let settings: [&'static str; 2] = match disk {
            Disk::Good => ["PRAGMA max_page_count = 1073741823", "PRAGMA query_only = OFF"],
            Disk::Full => ["PRAGMA max_page_count = 1", "PRAGMA query_only = OFF"],
            Disk::ReadOnly => ["PRAGMA max_page_count = 1073741823", "PRAGMA query_only = ON"],
        };
        self.db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    for setting in settings {
                        query(setting).fetch_optional(tx.sql()).await?;
                    }
                    Ok::<_, StorageError>(())
                })
            })
            .await
            .unwrap();
    }
}

/// What the desk's disk is like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    Good,
    Full,
    ReadOnly,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn instrument() -> Instrument {
    Instrument {
        symbol: symbol(),
        base: "BTC".into(),
        quote: "USD".into(),
        price_increment: "0.01".parse().unwrap(),
        quantity_increment: "0.001".parse().unwrap(),
    }
}

fn quote(at: Timestamp, size: &str) -> Quote {
    let side = |price: &str| Some((price.parse().unwrap(), size.parse().unwrap()));
    Quote { symbol: symbol(), bid: side("99"), ask: side("101"), exchange: 1, at, received_at: None }
}

fn later(ctx: &Context, at: Timestamp) -> Context {
    let mut ctx = ctx.clone();
    ctx.at = at;
    ctx
}

fn context(role: Role, grant: Option<(AccountId, Access)>, at: Timestamp) -> Context {
    Context::user(
        UserId::new(at),
        SessionId::new(at),
        role.permissions(),
        grant.into_iter().collect(),
        None,
        RequestId::new(at),
        at,
    )
}
