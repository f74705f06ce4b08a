//! A desk to measure: database, market, paper venue, gateway, and one account on which one trader may trade.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    Access, Clock as _, Context, Instrument, Order, OrderId, OrderRequest, Quote, RequestId, Role, SessionId,
    Side, Status, SystemClock, TimeInForce, Timestamp, UserId,
};
use market::{Market, Settings};
use storage::Database;
use tokio_util::sync::CancellationToken;
use trading::accounts::NewAccount;
use trading::{
    Account, Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Execution,
    Gateway, Mode, OrderLimits, PaperSettings, PaperVenue, Parts, Profile, SubmitError, SubmitFailure,
};

pub(crate) const CLIENTS: usize = 64;
const DAY: Duration = Duration::from_secs(86_400);

/// What outlives a desk beside its files.
pub(crate) struct Kept {
    account: Option<Account>,
    slow: bool,
}

#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) gateway: Gateway,
    pub(crate) ctx: Context,
    account: Account,
    db: Database,
    venue: Arc<PaperVenue>,
    slow: bool,
    stop: CancellationToken,
}

impl Desk {
    /// A desk with one account; with `slow` its broker takes its time for each order.
    pub(crate) async fn open(home: &Path, slow: bool) -> Self {
        std::fs::create_dir(home).expect("a folder");
        let desk = Self::start(home, Kept { account: None, slow }).await;
        desk.until_reconciled().await;
        desk
    }

    /// The same on a home folder that may have been used before. Returns as soon as orders can be canceled.
    pub(crate) async fn start(home: &Path, kept: Kept) -> Self {
        let key = vault::SigningKey::open_or_create(home).expect("a key");
        let chain = Arc::new(audit::Chain::new(key));
        let url = format!("sqlite:{}", home.join("stockade.db").display());
        let db = Database::open(&url, Some(chain)).await.expect("a database");
        let (clock, stop) = (Arc::new(SystemClock), CancellationToken::new());
        let now = clock.now();
        let market = Market::new(Settings::new(vec![instrument()]), clock.clone());
        let side = |price: &str| Some((price.parse().expect("a price"), "5".parse().expect("a quantity")));
        let quote = Quote {
            symbol: instrument().symbol,
            bid: side("99"),
            ask: side("101"),
            exchange: 1,
            at: now,
            received_at: None,
        };
        market.feed("bench").put_quote(quote).expect("a good quote");
        let venue = home.join("paper.db");
        let venue = PaperVenue::open(&venue, &market, clock.clone(), PaperSettings::default(), &stop).await;
        let venue = Arc::new(venue.expect("a venue"));
        let account = match kept.account {
            Some(account) => account,
            None => {
                let new = NewAccount {
                    name: "Paper".into(),
                    broker: "paper".into(),
                    mode: Mode::Paper,
                    currency: "USD".into(),
                };
                let operator = Context::operator(None, now);
                let account = trading::accounts::open(&db, &operator, new).await.expect("an account");
                let cash = "1000000000".parse().expect("money");
                venue.open_account(account.id, cash).await.expect("an account");
                account
            }
        };
        let broker = venue.broker(account.id);
        let parts = Parts {
            db: db.clone(),
            market,
            clock,
            brokers: vec![(account.clone(), if kept.slow { Arc::new(Slow(broker)) } else { broker })],
            custody: None,
            // The quote above is the only one there will be, and the slow broker gets far behind.
            limits: OrderLimits { max_quote_age: DAY, max_unsent_age: DAY, ..OrderLimits::default() },
            tick: Duration::from_millis(250),
            jitter: 1,
            kill_file: None,
            four_eyes: trading::FourEyes::default(),
        };
        let gateway = Gateway::start(parts, &stop).await.expect("a gateway");
        gateway.outbox().want(false);
        let ctx = person(Role::Trader, &account);
        Self { gateway, ctx, account, db, venue, slow: kept.slow, stop }
    }

    /// Ends it, and gives what a next start needs.
    pub(crate) async fn stop(self) -> Kept {
        let kept = Kept { account: Some(self.account.clone()), slow: self.slow };
        self.close().await;
        kept
    }

    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.db.close().await;
        self.venue.close().await;
    }

    /// Somebody of a role who may do everything on the account that the role may.
    pub(crate) fn person(&self, role: Role) -> Context {
        person(role, &self.account)
    }

    pub(crate) async fn until_reconciled(&self) {
        self.wait(|| self.state_is(|state| state.blind.is_none())).await;
    }

    pub(crate) async fn until_none_is_open(&self) {
        self.wait(|| self.state_is(|state| state.open_orders == 0)).await;
    }

    pub(crate) async fn open_orders(&self) -> Vec<Order> {
        let filter = trading::OrderFilter { scope: trading::OrderScope::Open, ..Default::default() };
        self.gateway.orders(&self.ctx, &filter, None, 100_000).await.expect("orders")
    }

    /// Waits until the broker has everything.
    pub(crate) async fn until_all_work(&self) {
        for order in self.open_orders().await {
            self.until_working(order.id).await;
        }
    }

    fn state_is(&self, wanted: impl Fn(&trading::AccountState) -> bool) -> bool {
        wanted(&self.gateway.account(&self.ctx, self.account.id).expect("a granted account"))
    }

    async fn wait(&self, done: impl Fn() -> bool) {
        let mut events = self.gateway.subscribe();
        while !done() {
            let _ = events.recv().await;
        }
    }

    async fn submit(&self, nth: usize) -> Order {
        self.try_submit(nth).await.expect("an accepted order")
    }

    pub(crate) async fn try_submit(&self, nth: usize) -> Result<Order, SubmitError> {
        let (quantity, price) = ("0.001".parse().expect("a quantity"), "90".parse().expect("a price"));
        let name = format!("bench-{nth}");
        let request = OrderRequest::simple(
            name,
            instrument().symbol,
            Side::Buy,
            quantity,
            Some(price),
            TimeInForce::Gtc,
        );
        let mut ctx = self.ctx.clone();
        ctx.at = SystemClock.now();
        Ok(self.gateway.submit(&ctx, self.account.id, request).await?.order)
    }

    /// Accepts `count` orders from many clients at once; each client waits for its answer before its next order.
    pub(crate) async fn many(&self, next: &mut usize, count: usize) -> Duration {
        let first = *next;
        *next += count;
        let begun = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let desk = self.clone();
                tokio::spawn(async move {
                    for nth in (first + client..first + count).step_by(CLIENTS) {
                        desk.submit(nth).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.expect("a client that ends");
        }
        begun.elapsed()
    }

    /// Accepts one order while nothing else goes on.
    pub(crate) async fn one(&self, next: &mut usize) -> Duration {
        *next += 1;
        let begun = Instant::now();
        let order = self.submit(*next - 1).await;
        let took = begun.elapsed();
        self.until_working(order.id).await;
        took
    }

    /// Waits until the broker has everything and cancels it, so that each round finds the desk at rest.
    pub(crate) async fn settle(&self) {
        self.until_all_work().await;
        for order in self.open_orders().await {
            self.gateway.cancel(&self.ctx, order.id).await.expect("a cancel");
        }
        self.until_none_is_open().await;
    }

    async fn until_working(&self, id: OrderId) {
        let mut events = self.gateway.subscribe();
        loop {
            let order = self.gateway.order(&self.ctx, id).await.expect("a readable order").expect("an order");
            if order.status == Status::Working {
                return;
            }
            let _ = events.recv().await;
        }
    }
}

fn person(role: Role, account: &Account) -> Context {
    let now = SystemClock.now();
    Context::user(
        UserId::new(now),
        SessionId::new(now),
        role.permissions(),
        [(account.id, Access::Manage)].into(),
        None,
        RequestId::new(now),
        now,
    )
}

/// A broker that takes its time for each order, as long as it may without being taken for one that does not answer.
struct Slow(Arc<dyn Broker>);

#[async_trait::async_trait]
impl Broker for Slow {
    fn profile(&self) -> &Profile {
        self.0.profile()
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        tokio::time::sleep(Duration::from_secs(4)).await;
        self.0.submit(order).await
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        self.0.cancel(order).await
    }

    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure> {
        self.0.replace(order, by).await
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable> {
        self.0.open_orders().await
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        self.0.find(order).await
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        self.0.executions(since).await
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        self.0.balances().await
    }

    async fn events(&self) -> Result<tokio::sync::mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        self.0.events().await
    }
}

fn instrument() -> Instrument {
    Instrument {
        symbol: "BTC-USD".parse().expect("a symbol"),
        base: "BTC".into(),
        quote: "USD".into(),
        price_increment: "0.01".parse().expect("a price"),
        quantity_increment: "0.001".parse().expect("a quantity"),
    }
}
