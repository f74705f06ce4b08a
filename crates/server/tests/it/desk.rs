//! A desk to send requests to, and people on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use audit::{ANCHORS_FILE, Anchors, Chain};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use axum::http::{Request, StatusCode};
use domain::{
    Access, AccountId, Clock, Context, Instrument, KeyId, Money, Permission, Quote, RequestId, Role, Symbol,
    SystemClock, TakerSide, Timestamp, Trade, UserId,
};
use identity::{Hashing, Identity, IssuedKey, NewKey, NewUser, User};
use market::{Chosen, Feed, FeedState, Market};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use server::{Budgets, PerMinute};
use storage::{Database, StorageError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use trading::accounts::NewAccount;
use trading::{FourEyes, Gateway, Mode, OrderLimits, PaperSettings, PaperVenue, People};
use vault::{MASTER_KEY_FILE, MasterKey, SigningKey, Vault};
use webhooks::{NewWebhook, Resolve, Rules, Trust, Webhooks};

use crate::accounts::Locked;

pub(crate) const PASSWORD: &str = "violet kettle drums at noon";

/// A whole desk with two paper accounts.
pub(crate) struct Desk {
    pub app: Router,
    pub identity: Identity,
    pub webhooks: Webhooks,
    /// The accounts `Paper` and `Other`.
    pub paper: AccountId,
    pub other: AccountId,
    pub stop: CancellationToken,
    pub db: Database,
    pub venue: PaperVenue,
    feed: Feed,
    _home: TempDir,
}

/// An API key.
pub(crate) struct Key {
    pub id: String,
    pub secret: String,
}

/// What came back.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// A cookie that came with it, as it is sent back.
    pub(crate) fn cookie(&self, name: &str) -> String {
        let lines = self.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        let found = lines
            .filter_map(|line| line.split(';').next())
            .find(|pair| pair.split_once('=').is_some_and(|(one, value)| one == name && !value.is_empty()));
        found.unwrap_or_else(|| panic!("no cookie {name}: {}", self.text)).to_owned()
    }

    /// The problem's code, or nothing.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::set_up(SetUp::default()).await
    }

    /// The same, set up as the test says.
    pub(crate) async fn set_up(SetUp { settings, telling, limits, paper }: SetUp) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(SystemClock);
        let signing = SigningKey::open_or_create(home.path()).expect("a signing key");
        let url = format!("sqlite:{}", home.path().join("stockade.db").display());
        let db = Database::open(&url, Some(Arc::new(Chain::new(signing.clone())))).await.expect("a database");
        let master = MasterKey::open_or_create(&home.path().join(MASTER_KEY_FILE)).expect("a master key");
        let vault = Vault::open(db.clone(), master, clock.now()).await.expect("a vault");
        let identity = Identity::new(db.clone(), vault.clone(), clock.clone(), Hashing::weak_for_tests());
        let stop = CancellationToken::new();
        // One share is followed as soon as somebody asks for it.
        let chosen =
            Chosen { symbols: Vec::new(), most_more: 1, could_have: |symbol| symbol.as_str() == "AAPL" };
        let listed = market::Settings { chosen: Some(chosen), ..market::Settings::new(vec![instrument()]) };
        let market = Market::new(listed, clock.clone());
        let mut feed = market.feed("test");
        feed.state(FeedState::Live, None);
        let book = home.path().join("paper.db");
        let paper = PaperSettings { answer_within: Duration::from_millis(200), ..paper };
        let venue = PaperVenue::open(&book, &market, clock.clone(), paper, &stop);
        let venue = venue.await.expect("a paper venue");
        let mut brokers = Vec::new();
        for name in ["Paper", "Other"] {
            let new = NewAccount {
                name: name.into(),
                broker: "paper".into(),
                mode: Mode::Paper,
                currency: "USD".into(),
            };
            let account = trading::accounts::open(&db, &operator(), new).await.expect("an account");
            venue.open_account(account.id, Money(100_000.into())).await.expect("an account at the venue");
            brokers.push((account.clone(), venue.broker(account.id)));
        }
        let (paper, other) = (brokers[0].0.id, brokers[1].0.id);
        let parts = trading::Parts {
            db: db.clone(),
            market: market.clone(),
            clock: clock.clone(),
            brokers,
            custody: Some(Arc::new(Locked { venue: venue.clone(), vault: vault.clone() })),
            limits,
            tick: Duration::from_millis(50),
            jitter: 1,
            kill_file: None,
            four_eyes: FourEyes {
                people: Some(Arc::new(Everybody(identity.clone()))),
                ..FourEyes::default()
            },
        };
        let gateway = Gateway::start(parts, &stop).await.expect("a gateway");
        take_orders(&gateway, [paper, other]).await;
        let webhooks = Webhooks::new(webhooks::Parts {
            db: db.clone(),
            vault,
            identity: identity.clone(),
            gateway: gateway.clone(),
            clock: telling.clock,
            rules: telling.rules,
            resolver: telling.resolver,
            trust: telling.trust,
        });
        let app = server::app(server::Parts {
            gateway,
            market,
            identity: identity.clone(),
            webhooks: webhooks.clone(),
            db: db.clone(),
            audit_key: signing.public_key(),
            anchors: Anchors::new(home.path().join(ANCHORS_FILE)),
            clock,
            public_url: "https://desk.test".to_owned(),
            settings,
            stop: stop.clone(),
        });
        let mut desk = Self { app, identity, webhooks, paper, other, stop, db, venue, feed, _home: home };
        desk.quote("100", "101");
        desk
    }

    /// The same with an owner, `olga`, who was granted all accounts.
    pub(crate) async fn with_owner() -> (Self, String) {
        Self::with_owner_and(SetUp::default()).await
    }

    pub(crate) async fn with_owner_and(set_up: impl Into<SetUp>) -> (Self, String) {
        let desk = Self::set_up(set_up.into()).await;
        let code = desk.identity.issue_setup_code().await.expect("a code").expect("no owner yet").code;
        let password = SecretString::from(PASSWORD);
        let claimed =
            desk.identity.claim_owner(&anonymous(), code.expose_secret(), "olga", "Olga", &password).await;
        claimed.expect("the owner is made");
        let session = desk.sign_in("olga").await;
        (desk, session)
    }

    /// Whether these bytes stand in a file of the database.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        ["stockade.db", "stockade.db-wal"].iter().any(|name| {
            let file = std::fs::read(self._home.path().join(name)).unwrap_or_default();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    /// Serves it on a port of this machine.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let app = self.app.clone().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        at
    }

    /// Quotes BTC-USD, now.
    pub(crate) fn quote(&mut self, bid: &str, ask: &str) {
        let side = |price: &str| Some((price.parse().expect("a price"), "5".parse().expect("a size")));
        let at = SystemClock.now();
        let quote =
            Quote { symbol: btc(), bid: side(bid), ask: side(ask), exchange: 1, at, received_at: None };
        self.feed.put_quote(quote).expect("the quote is taken");
    }

    /// Prints a trade of BTC-USD on the tape, now, under an id of its own.
    pub(crate) fn print(&mut self, id: String) {
        let trade = Trade {
            symbol: btc(),
            price: "100".parse().expect("a price"),
            quantity: "1".parse().expect("a size"),
            side: TakerSide::Buy,
            exchange: 1,
            id: Some(id.into()),
            at: SystemClock.now(),
            received_at: None,
        };
        self.feed.put_trade(trade).expect("the trade is taken");
    }

    /// A person who chose a password, with access to the account `Paper`.
    pub(crate) async fn person(&self, username: &str, role: Role, access: Option<Access>) -> User {
        let new = NewUser { username: username.into(), display_name: username.into(), roles: vec![role] };
        let made = self.identity.create_user(&operator(), new, None).await.expect("a person");
        let code = made.invitation.expect("a link").code;
        let password = SecretString::from(PASSWORD);
        let accepted = self.identity.accept_invitation(&anonymous(), code.expose_secret(), &password).await;
        accepted.expect("the invitation is taken up");
        if let Some(access) = access {
            self.identity.grant(&operator(), made.user.id, self.paper, access).await.expect("a grant");
        }
        made.user
    }

    /// Signs in and returns the cookie.
    pub(crate) async fn sign_in(&self, username: &str) -> String {
        let body = format!(r#"{{"username":"{username}","password":"{PASSWORD}"}}"#);
        let answer = self.ask("POST", "/api/v1/session", None, Some(&body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.cookie("__Host-session")
    }

    /// A key of whoever holds the cookie, on the account `Paper`: as after a second factor.
    pub(crate) async fn key(&self, cookie: &str, scopes: &[Permission]) -> Key {
        let token = cookie.split_once('=').expect("a cookie").1;
        let now = SystemClock.now();
        let who = self.identity.authenticate(token, None, RequestId::new(now)).await.expect("a database");
        let ctx = who.expect("a session").ctx.with_factor(Some(now));
        let new = NewKey {
            account: self.paper,
            name: "bot".into(),
            scopes: scopes.to_vec(),
            networks: Vec::new(),
            expires_at: None,
        };
        let IssuedKey { key, secret } = self.identity.create_key(&ctx, new, None).await.expect("a key");
        Key { id: key.id.to_string(), secret: secret.expose_secret().to_owned() }
    }

    /// A webhook of whoever holds the cookie, to a name that leads nowhere: as after a second factor.
    pub(crate) async fn webhook(&self, cookie: &str) -> String {
        let token = cookie.split_once('=').expect("a cookie").1;
        let now = SystemClock.now();
        let who = self.identity.authenticate(token, None, RequestId::new(now)).await.expect("a database");
        let ctx = who.expect("a session").ctx.with_factor(Some(now));
        let new = NewWebhook {
            name: "Hook".into(),
            url: "https://hooks.example/".into(),
            account: None,
            kinds: Vec::new(),
        };
        self.webhooks.create(&ctx, new, None).await.expect("a webhook").webhook.id.to_string()
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        cookie: Option<&str>,
        body: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |text| Body::from(text.to_owned()));
        self.send(request.body(body).expect("a request")).await
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5000))));
        let response = self.app.clone().oneshot(request).await.expect("the router never fails");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 22).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, cookie: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.ask("GET", path, Some(cookie), None).await;
                assert_eq!(answer.status, StatusCode::OK, "GET {path}: {}", answer.text);
                if wanted(&answer.body) {
                    return answer.body;
                }
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, asking).await.unwrap_or_else(|_| panic!("{path} never was as wanted"))
    }

    /// A limit order far below the market, which stays open.
    pub(crate) async fn resting_order(&self, cookie: &str, account: AccountId) -> String {
        let body = r#"{"symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"gtc","quantity":"1","limit_price":"90"}"#;
        let path = format!("/api/v1/accounts/{account}/orders");
        let placed = self.ask("POST", &path, Some(cookie), Some(body)).await;
        assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
        placed.body["id"].as_str().expect("an id").to_owned()
    }
}

/// Waits until accounts were compared with the venue, and so take orders.
async fn take_orders(gateway: &Gateway, accounts: [AccountId; 2]) {
    let mut changes = gateway.subscribe();
    let ready = async {
        for id in accounts {
            while gateway.account(&operator(), id).expect("an account").blind.is_some() {
                let _ = changes.recv().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.expect("the accounts are compared in time");
}

/// What differs between the desks of tests.
pub(crate) struct SetUp {
    /// Of the API.
    pub settings: server::Settings,
    /// Of webhooks.
    pub telling: Telling,
    /// The desk's own terms for orders.
    pub limits: OrderLimits,
    /// Of the paper venue.
    pub paper: PaperSettings,
}

impl Default for SetUp {
    fn default() -> Self {
        // Tests ask again and again, as fast as they can.
        let all = Budgets { reads: 0, orders: 0, writes: 0 };
        Self {
            settings: server::Settings {
                per_minute: PerMinute { address: 0, user: all, key: all },
                ..server::Settings::default()
            },
            telling: Telling::default(),
            limits: OrderLimits::default(),
            paper: PaperSettings::default(),
        }
    }
}

impl From<server::Settings> for SetUp {
    fn from(settings: server::Settings) -> Self {
        Self { settings, ..Self::default() }
    }
}

impl From<Telling> for SetUp {
    fn from(telling: Telling) -> Self {
        Self { telling, ..Self::default() }
    }
}

/// How the desk's webhooks tell: by default to no name at all.
pub(crate) struct Telling {
    pub clock: Arc<dyn Clock>,
    pub rules: Rules,
    pub resolver: Arc<dyn Resolve>,
    pub trust: Trust,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            rules: Rules::default(),
            resolver: Arc::new(NoNames),
            trust: Trust::of_system(),
        }
    }
}

/// Knows no name.
struct NoNames;

#[async_trait]
impl Resolve for NoNames {
    async fn addresses(&self, _: &str, _: u16) -> std::io::Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }
}

/// Everybody who may sign in.
struct Everybody(Identity);

#[async_trait]
impl People for Everybody {
    async fn person(
        &self,
        user: UserId,
        key: Option<KeyId>,
        at: Timestamp,
    ) -> Result<Option<Context>, StorageError> {
        self.0.person(user, key, at).await
    }
}

pub(crate) fn operator() -> Context {
    Context::operator(Some("test".to_owned()), SystemClock.now())
}

fn anonymous() -> Context {
    let now = SystemClock.now();
    Context::anonymous(None, RequestId::new(now), now)
}

pub(crate) fn btc() -> Symbol {
    "BTC-USD".parse().expect("a symbol")
}

fn instrument() -> Instrument {
    Instrument {
        symbol: btc(),
        base: "BTC".into(),
        quote: "USD".into(),
        price_increment: "0.01".parse().expect("a price"),
        quantity_increment: "0.00000001".parse().expect("a quantity"),
    }
}
