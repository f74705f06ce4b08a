//! A desk whose paper venue is reached over the network: gateway, client, proxy, server, venue. Nothing is played.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use connectors::{alpaca, paper};
use domain::{
    Access, AuditEntry, Clock, Context, Instrument, Order, OrderEvent, OrderId, OrderRequest, Quote,
    RequestId, Role, SessionId, Side, Status, Symbol, TimeInForce, Timestamp, UserId,
};
use market::{Feed, Market};
use sandbox::{AlpacaServer, AlpacaSettings, Proxy, VenueServer, VenueSettings};
use storage::testing::TestDatabase;
use storage::{AuditChain, BoxFuture, Connection, Database, StorageError};
use tokio_util::sync::CancellationToken;
use trading::accounts::NewAccount;
use trading::{
    Account, BookingKind, Broker, Gateway, Misbehave, Mode, OrderLimits, PaperSettings, PaperVenue, Parts,
    SubmitError, Submitted,
};

use crate::PATIENCE;

pub(crate) const DESK_KEY: &str = "desk-key";
pub(crate) const DRILL_KEY: &str = "drill-key";
pub(crate) const ALPACA_KEY: &str = "key-id";
pub(crate) const ALPACA_SECRET: &str = "alpaca-secret";
const TICK: Duration = Duration::from_millis(10);
/// How long the desk waits for an answer: short, as hanging is rehearsed often.
const ANSWER: Duration = Duration::from_millis(300);

/// Takes what is recorded; the chain itself is tested where it is.
struct NoChain;

impl AuditChain for NoChain {
    fn append<'t>(
        &'t self,
        _: &'t mut Connection,
        _: &'t [AuditEntry],
    ) -> BoxFuture<'t, Result<(), StorageError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A clock that runs, and can be moved forward.
pub(crate) struct MovableClock {
    begun: std::time::Instant,
    ahead: Mutex<Duration>,
}

impl MovableClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: std::time::Instant::now(), ahead: Mutex::default() })
    }

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

/// In which words a desk speaks with its venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The venue's own.
    Paper,
    /// Alpaca's.
    Alpaca,
}

/// A venue on a port of its own, quoted 99 to 101 with room for everybody.
pub(crate) struct Venue {
    pub(crate) venue: PaperVenue,
    pub(crate) server: VenueServer,
    pub(crate) clock: Arc<MovableClock>,
    market: Market,
    feed: Mutex<Feed>,
    pub(crate) stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Venue {
    pub(crate) async fn open(settings: PaperSettings) -> Self {
        // Whoever was first has installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let clock = MovableClock::new();
        let market = Market::new(market::Settings::new(vec![instrument()]), clock.clone());
        let feed = Mutex::new(market.feed("test"));
        let stop = CancellationToken::new();
        let file = folder.path().join("venue.db");
        let venue = PaperVenue::open(&file, &market, clock.clone(), settings, &stop).await.unwrap();
        let listening = VenueSettings {
            heartbeat: Duration::from_millis(100),
            ..VenueSettings::loopback(DESK_KEY, DRILL_KEY)
        };
        let server = VenueServer::start(venue.clone(), listening, clock.clone(), stop.clone()).await.unwrap();
        let venue = Self { venue, server, clock, market, feed, stop, _folder: folder };
        venue.quote("99", "101");
        venue
    }

    pub(crate) fn quote(&self, bid: &str, ask: &str) {
        let side = |price: &str| Some((price.parse().unwrap(), "1000000".parse().unwrap()));
        let at = self.clock.now();
        let (bid, ask) = (side(bid), side(ask));
        let quote = Quote { symbol: symbol(), bid, ask, exchange: 1, at, received_at: None };
        self.feed.lock().unwrap().put_quote(quote).unwrap();
    }

    /// The venue once more, for one of its accounts, in Alpaca's words.
    pub(crate) async fn alpaca(&self, settings: AlpacaSettings) -> AlpacaServer {
        let (venue, clock, stop) = (self.venue.clone(), self.clock.clone(), self.stop.clone());
        AlpacaServer::start(venue, settings, clock, stop).await.unwrap()
    }

    /// A client of Alpaca at any address, that does not wait long.
    pub(crate) fn alpaca_client(url: String) -> alpaca::Client {
        let secret = ALPACA_SECRET.to_owned().into();
        let credentials = alpaca::Credentials { key_id: ALPACA_KEY.to_owned(), secret };
        let settings = alpaca::Settings {
            answer_within: ANSWER,
            ping_every: Duration::from_millis(100),
            settle_window: Duration::ZERO,
            requests_per_minute: 1_000_000,
            ..alpaca::Settings::new(url, credentials)
        };
        alpaca::Client::new(settings).unwrap()
    }

    /// A client at any address.
    pub(crate) fn client(url: String, key: &str) -> paper::Client {
        let settings = paper::Settings::new(url, key.to_owned().into());
        paper::Client::new(settings, PaperSettings::default().profile()).unwrap()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A desk with one account, at a venue behind a proxy.
pub(crate) struct Desk {
    pub(crate) gateway: Gateway,
    pub(crate) venue: Venue,
    pub(crate) proxy: Proxy,
    /// The venue, past the proxy.
    truth: Arc<dyn Broker>,
    account: Account,
    ctx: Context,
    _db: Database,
    /// Its folder is there for as long as the desk is.
    _database: TestDatabase,
    stop: CancellationToken,
}

impl Desk {
    pub(crate) async fn open(database: TestDatabase, seed: u64, wire: Wire) -> Self {
        let fees = match wire {
            Wire::Paper => PaperSettings::default(),
            Wire::Alpaca => PaperSettings::with_fee_bps(0.into()),
        };
        let settle = PaperSettings { settle_window: Duration::ZERO, ..fees };
        let venue = Venue::open(settle.clone()).await;
        let now = venue.clock.now();
        let db = database.open(Some(Arc::new(NoChain))).await;
        let new = NewAccount {
            name: "Paper".into(),
            broker: "paper".into(),
            mode: Mode::Paper,
            currency: "USD".into(),
        };
        let account = trading::accounts::open(&db, &Context::operator(None, now), new).await.unwrap();
        let (proxy, broker, truth) = match wire {
            Wire::Paper => {
                let proxy = Proxy::start(venue.server.address(), seed).unwrap();
                let settings = paper::Settings {
                    answer_within: ANSWER,
                    ..paper::Settings::new(proxy.url(), DESK_KEY.to_owned().into())
                };
                let client = paper::Client::new(settings, settle.profile()).unwrap();
                (proxy, client.broker(account.id), venue.venue.broker(account.id))
            }
            Wire::Alpaca => {
                let settings = AlpacaSettings::loopback(account.id, ALPACA_KEY, ALPACA_SECRET);
                let server = venue.alpaca(settings).await;
                let proxy = Proxy::start(server.address(), seed).unwrap();
                let client = Venue::alpaca_client(proxy.url());
                (proxy, client.broker(), Venue::alpaca_client(server.url()).broker())
            }
        };
        let stop = CancellationToken::new();
        let parts = Parts {
            db: db.clone(),
            market: venue.market.clone(),
            clock: venue.clock.clone(),
            brokers: vec![(account.clone(), broker)],
            custody: None,
            limits: OrderLimits::default(),
            tick: TICK,
            jitter: seed,
            kill_file: None,
            four_eyes: trading::FourEyes::default(),
        };
        let gateway = Gateway::start(parts, &stop).await.unwrap();
        let ctx = Context::user(
            UserId::new(now),
            SessionId::new(now),
            Role::Trader.permissions(),
            [(account.id, Access::Trade)].into_iter().collect(),
            None,
            RequestId::new(now),
            now,
        );
        let desk = Self { gateway, venue, proxy, truth, account, ctx, _db: db, _database: database, stop };
        desk.until_ready().await;
        desk
    }

    /// The venue itself, past the proxy. In Alpaca's words, where the desk uses them: names are Alpaca's there.
    pub(crate) fn truth(&self) -> Arc<dyn Broker> {
        self.truth.clone()
    }

    pub(crate) async fn misbehave(&self, how: Misbehave) {
        self.venue.venue.misbehave(how).await.unwrap();
    }

    pub(crate) async fn submit(&self, request: OrderRequest) -> Result<Submitted, SubmitError> {
        self.venue.quote("99", "101");
        let ctx = self.context();
        self.gateway.submit(&ctx, self.account.id, request).await
    }

    /// Submits, once the account takes orders again: after trouble it is out of sight of its broker for a while.
    pub(crate) async fn place(&self, request: OrderRequest) -> Order {
        let placing = async {
            let mut events = self.gateway.subscribe();
            loop {
                match self.submit(request.clone()).await {
                    Ok(submitted) => return submitted.order,
                    Err(SubmitError::Blind(_)) => drop(events.recv().await),
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, placing).await.expect("the account is taken up again in time")
    }

    pub(crate) fn context(&self) -> Context {
        let mut ctx = self.ctx.clone();
        ctx.at = self.venue.clock.now();
        ctx
    }

    pub(crate) async fn journal(&self, order: OrderId) -> Vec<OrderEvent> {
        let rows = self.gateway.order_events(&self.ctx, order).await.unwrap().unwrap();
        rows.into_iter().map(|row| row.event).collect()
    }

    pub(crate) async fn until(&self, id: OrderId, what: &str, wanted: impl Fn(&Order) -> bool) -> Order {
        self.wait(what, async || {
            let order = self.gateway.order(&self.ctx, id).await.unwrap().unwrap();
            wanted(&order).then_some(order)
        })
        .await
    }

    pub(crate) async fn until_ready(&self) {
        self.wait("the account is ready", async || {
            let state = self.gateway.account(&self.ctx, self.account.id).unwrap();
            state.blind.is_none().then_some(())
        })
        .await;
    }

    /// Asks again whenever something changed.
    async fn wait<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            let mut events = self.gateway.subscribe();
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                let _ = events.recv().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"))
    }

    /// Cash, positions, open orders and executions are the same on both sides, and nothing is at the venue twice.
    pub(crate) async fn agrees(&self) {
        let truth = self.truth();
        let balances = truth.balances().await.unwrap();
        let state = self.gateway.account(&self.ctx, self.account.id).unwrap();
        assert_eq!(state.cash, balances.cash, "cash");
        for holding in self.gateway.positions(&self.ctx, self.account.id).unwrap() {
            let theirs = balances.positions.iter().find(|(symbol, _)| *symbol == holding.symbol);
            let theirs = theirs.map_or(domain::Quantity::ZERO, |(_, quantity)| *quantity);
            assert_eq!(holding.position.quantity, theirs, "position");
        }
        let executions = truth.executions(Timestamp::UNIX_EPOCH).await.unwrap();
        let mut theirs: Vec<_> = executions
            .into_iter()
            .filter_map(|execution| match execution.event {
                OrderEvent::Filled(fill) => Some(fill.execution_id),
                _ => None,
            })
            .collect();
        let fills =
            self.gateway.fills(&self.ctx, &trading::FillFilter::default(), None, 10_000).await.unwrap();
        let ours = fills.into_iter().filter(|booked| booked.kind == BookingKind::Fill);
        let mut ours: Vec<_> = ours.map(|booked| booked.fill.execution_id).collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "executions");
        let filter = trading::OrderFilter::default();
        let orders = self.gateway.orders(&self.ctx, &filter, None, 10_000).await.unwrap();
        let working = orders.iter().filter(|order| !order.status.is_terminal());
        let mut ours: Vec<String> = working.map(|order| order.id.to_string()).collect();
        let open = truth.open_orders().await.unwrap();
        let mut theirs: Vec<String> = open.into_iter().map(|order| order.client_order_id).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "open orders: each once, and none that is not ours");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn symbol() -> Symbol {
    "BTC-USD".parse().unwrap()
}

pub(crate) fn buy(name: &str, quantity: &str, limit_price: Option<&str>) -> OrderRequest {
    let limit_price = limit_price.map(|price| price.parse().unwrap());
    let quantity = quantity.parse().unwrap();
    OrderRequest::simple(name, symbol(), Side::Buy, quantity, limit_price, TimeInForce::Gtc)
}

/// Nothing becomes of an order any more. One for the market works for a moment first.
pub(crate) fn is_over(order: &Order) -> bool {
    order.status.is_terminal()
}

/// Nothing about an order is in doubt.
pub(crate) fn is_settled(order: &Order) -> bool {
    order.status == Status::Working || order.status.is_terminal()
}

pub(crate) fn instrument() -> Instrument {
    Instrument {
        symbol: symbol(),
        base: "BTC".into(),
        quote: "USD".into(),
        price_increment: "0.01".parse().unwrap(),
        quantity_increment: "0.001".parse().unwrap(),
    }
}
