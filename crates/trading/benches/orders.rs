//! How fast orders are made durable.
//!
//! - Durable accepts a second with 64 clients, beside raw group-committed inserts of the same rows; once with a broker
//!   that is slower than the clients, as real ones are, and once while the paper venue takes every order at once, so that
//!   sending, acknowledgements and the venue's own book share the two ends of the disk.
//! - The median of one order at a time, beside one raw durable commit of the same rows.
//!
//! The references use one SQLite connection with the desk's settings and nothing else: no checks, no queue, no hash, no
//! signature. Rounds of the two take turns, so that a machine that changes its speed changes both.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    Access, Clock as _, Context, Instrument, Order, OrderRequest, Quote, RequestId, Role, SessionId, Side,
    Status, SystemClock, TimeInForce, Timestamp, UserId,
};
use market::{Market, Settings};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use storage::Database;
use tokio_util::sync::CancellationToken;
use trading::accounts::NewAccount;
use trading::{
    Account, Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Execution,
    Gateway, Mode, OrderLimits, PaperSettings, PaperVenue, Parts, Profile, SubmitFailure,
};

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const ORDERS: usize = 2_048;
const SINGLE: usize = 300;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = Desk::open(&folder.path().join("paper"), false).await;
    let slow = Desk::open(&folder.path().join("slow"), true).await;
    let mut raw = raw_connection(&folder.path().join("raw.db")).await;

    // One of each first: statements are prepared, files are grown.
    let mut next = 0;
    desk.many(&mut next, 256).await;
    slow.many(&mut next, 256).await;
    raw_groups(&mut raw, 256, &mut 0).await;

    let (mut ours, mut routed, mut reference, mut raw_id) = (Vec::new(), Vec::new(), Vec::new(), 1_000_000);
    for _ in 0..ROUNDS {
        ours.push(rate(ORDERS, slow.many(&mut next, ORDERS).await));
        routed.push(rate(ORDERS, desk.many(&mut next, ORDERS).await));
        desk.settle().await;
        reference.push(rate(ORDERS, raw_groups(&mut raw, ORDERS, &mut raw_id).await));
    }
    let (ours, routed, reference) = (median(ours), median(routed), median(reference));
    let ratio = ours / reference;
    println!(
        "durable accepts, {CLIENTS} clients       {ours:>9.0} orders/s   ratio {ratio:.2} (aim 0.5 or better)"
    );
    let ratio = routed / reference;
    println!("the same, each sent at once      {routed:>9.0} orders/s   ratio {ratio:.2}");
    println!("raw group commits, same rows     {reference:>9.0} orders/s");

    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..SINGLE {
        ours.push(desk.one(&mut next).await.as_secs_f64() * 1e6);
        reference.push(raw_groups(&mut raw, 1, &mut raw_id).await.as_secs_f64() * 1e6);
    }
    let (ours, reference) = (median(ours), median(reference));
    println!("one order, median                {ours:>9.0} µs");
    println!(
        "one raw durable commit, median   {reference:>9.0} µs         ratio {:.2} (aim 1.5 or better)",
        ours / reference
    );
    desk.stop.cancel();
    slow.stop.cancel();
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[derive(Clone)]
struct Desk {
    gateway: Gateway,
    account: Account,
    ctx: Context,
    stop: CancellationToken,
}

impl Desk {
    /// A desk with one account; with `slow` its broker takes its time for each order.
    async fn open(home: &Path, slow: bool) -> Self {
        std::fs::create_dir(home).expect("a folder");
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
        let new = NewAccount {
            name: "Paper".into(),
            broker: "paper".into(),
            mode: Mode::Paper,
            currency: "USD".into(),
        };
        let account =
            trading::accounts::open(&db, &Context::operator(None, now), new).await.expect("an account");
        let venue =
            PaperVenue::open(&home.join("paper.db"), &market, clock.clone(), PaperSettings::default(), &stop)
                .await
                .expect("a venue");
        venue.open_account(account.id, "1000000000".parse().expect("money")).await.expect("an account");
        let parts = Parts {
            db,
            market,
            clock,
            brokers: vec![(
                account.clone(),
                if slow { slow_broker(venue.broker(account.id)) } else { venue.broker(account.id) },
            )],
            // The quote above is the only one there will be.
            limits: OrderLimits { max_quote_age: Duration::from_secs(86_400), ..OrderLimits::default() },
            tick: Duration::from_millis(250),
            jitter: 1,
            kill_file: None,
            four_eyes: trading::FourEyes::default(),
        };
        let gateway = Gateway::start(parts, &stop).await.expect("a gateway");
        let ctx = Context::user(
            UserId::new(now),
            SessionId::new(now),
            Role::Trader.permissions(),
            [(account.id, Access::Trade)].into(),
            None,
            RequestId::new(now),
            now,
        );
        let desk = Self { gateway, account, ctx, stop };
        desk.wait(|| desk.state_is(|state| state.blind.is_none())).await;
        desk
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
        self.gateway.submit(&ctx, self.account.id, request).await.expect("an accepted order").order
    }

    /// Accepts `count` orders from many clients at once; each client waits for its answer before its next order.
    async fn many(&self, next: &mut usize, count: usize) -> Duration {
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
    async fn one(&self, next: &mut usize) -> Duration {
        *next += 1;
        let begun = Instant::now();
        let order = self.submit(*next - 1).await;
        let took = begun.elapsed();
        self.until_working(order.id).await;
        took
    }

    /// Waits until the broker has everything and cancels it, so that each round finds the desk at rest.
    async fn settle(&self) {
        let filter = trading::OrderFilter { scope: trading::OrderScope::Open, ..Default::default() };
        let open = self.gateway.orders(&self.ctx, &filter, None, 10_000).await.expect("orders");
        for order in &open {
            self.until_working(order.id).await;
        }
        for order in open {
            self.gateway.cancel(&self.ctx, order.id).await.expect("a cancel");
        }
        self.wait(|| self.state_is(|state| state.open_orders == 0)).await;
    }

    async fn until_working(&self, id: domain::OrderId) {
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

/// A broker that takes longer for an order than a round of the benchmark lasts.
struct Slow(Arc<dyn Broker>, Profile);

fn slow_broker(inner: Arc<dyn Broker>) -> Arc<dyn Broker> {
    let profile = Profile { settle_window: Duration::from_secs(86_400), ..inner.profile().clone() };
    Arc::new(Slow(inner, profile))
}

#[async_trait::async_trait]
impl Broker for Slow {
    fn profile(&self) -> &Profile {
        &self.1
    }

    async fn submit(&self, _: &Order) -> Result<String, SubmitFailure> {
        std::future::pending().await
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

async fn raw_connection(path: &Path) -> SqliteConnection {
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("a database");
    connection
        .execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;")
        .await
        .expect("settings");
    connection
        .execute(
            "CREATE TABLE orders (id TEXT PRIMARY KEY, account_id TEXT, client_order_id TEXT, symbol TEXT, side TEXT, \
             kind TEXT, time_in_force TEXT, quantity TEXT, limit_price TEXT, reserve_price TEXT, submitted_by TEXT, \
             created_at BIGINT, updated_at BIGINT, status TEXT, is_open BIGINT, attempts BIGINT, filled TEXT, \
             filled_notional TEXT, fees TEXT, version BIGINT, UNIQUE (account_id, client_order_id)); \
             CREATE INDEX orders_open ON orders (account_id, is_open); \
             CREATE TABLE audit_log (seq BIGINT PRIMARY KEY, at BIGINT, actor_kind TEXT, actor_id TEXT, act TEXT, \
             resource TEXT, outcome TEXT, address TEXT, request_id TEXT, detail TEXT, hash TEXT); \
             CREATE INDEX audit_log_by_actor ON audit_log (actor_id, seq); \
             CREATE INDEX audit_log_by_act ON audit_log (act, seq);",
        )
        .await
        .expect("tables");
    connection
}

/// Inserts the rows of `count` orders, as many clients' worth in each transaction.
async fn raw_groups(connection: &mut SqliteConnection, count: usize, next: &mut i64) -> Duration {
    let detail = "x".repeat(430);
    let uuid = "0199f3b2-7c1e-7d7a-9a55-3f0c5e1d2b4a";
    let begun = Instant::now();
    let mut left = count;
    while left > 0 {
        let group = left.min(CLIENTS);
        left -= group;
        connection.execute("BEGIN IMMEDIATE").await.expect("a transaction");
        for _ in 0..group {
            *next += 1;
            sqlx::query(
                "INSERT INTO orders VALUES ($1, $2, $3, 'BTC-USD', 'buy', 'limit', 'gtc', '0.001', '90', '90.09', $2, $4, \
                 $4, 'accepted', 1, 0, '0', '0', '0', 0)",
            )
            .bind(format!("{uuid}-{next}"))
            .bind(uuid)
            .bind(format!("bench-{next}"))
            .bind(1_763_726_400_000_000_i64)
            .execute(&mut *connection)
            .await
            .expect("a row");
            sqlx::query(
                "INSERT INTO audit_log VALUES ($1, $2, 'user', $3, 'order.accepted', $4, 'done', NULL, $3, $5, $6)",
            )
            .bind(*next)
            .bind(1_763_726_400_000_000_i64)
            .bind(uuid)
            .bind(format!("order/{uuid}"))
            .bind(detail.as_str())
            .bind("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00")
            .execute(&mut *connection)
            .await
            .expect("a row");
        }
        connection.execute("COMMIT").await.expect("a commit");
    }
    begun.elapsed()
}
