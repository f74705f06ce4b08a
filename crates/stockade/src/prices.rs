//! Where the desk's prices come from: the sandbox (a generated market or a recording), Alpaca, or both.
//!
//! With both, nothing that the generated market has is asked of Alpaca: two prices of one symbol are none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use connectors::alpaca::{self, Class, Credentials, FeedSettings, MarketData, PastSettings};
use connectors::polygon;
use domain::{AuditEntry, Clock, Context, Every, Permission, Symbol};
use market::{Chosen, Market};
use sandbox::{Pace, RecordingSource, ServerSettings, Source};
use serde::{Deserialize, Serialize};
use storage::{Database, StorageError, Tx};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trading::{Gateway, TradingEvent};
use vault::{ExposeSecret as _, SecretString, Vault};

use crate::home::Opened;
use crate::settings::{AlpacaFeed, Encoding, Settings, Stocks};

/// Where the sandbox feed's key is kept, sealed.
const SANDBOX_KEY: &str = "feed/sandbox/key";
/// Where what opens Alpaca's market data is kept, sealed.
const ALPACA_KEY: &str = "feed/alpaca/key";
/// A share that everybody has, to try credentials on.
const KNOWN_SHARE: &str = "AAPL";
/// How much of the generated market's past a new desk knows.
const PAST_MINUTES: u32 = 24 * 60;
const DAY: Duration = Duration::from_secs(86_400);

/// The sources that run.
pub(crate) struct Prices {
    sandbox: Option<sandbox::Server>,
    tasks: Vec<JoinHandle<()>>,
}

impl Prices {
    /// Starts the market's sources.
    ///
    /// # Errors
    /// The sandbox cannot be started, or nobody said what opens Alpaca's market data.
    pub(crate) async fn start(
        settings: &Settings,
        opened: &Opened,
        vault: &Vault,
        market: &Market,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut prices = Self { sandbox: None, tasks: Vec::new() };
        let clock = &opened.clock;
        if settings.feeds.has_sandbox() {
            let key = sandbox_key(vault, opened).await?;
            let server = start_sandbox(settings, &key, clock, stop).await;
            let server = server.context("the sandbox cannot be started")?;
            if settings.feed.is_none() {
                remember_the_past(market, settings.market_seed, clock.as_ref(), stop.clone());
            }
            let feed = polygon::Settings::new(server.url(), key);
            let feed =
                polygon::start(feed, market.feed("sandbox"), Arc::clone(clock), jitter(), stop.clone());
            prices.tasks.push(feed);
            prices.sandbox = Some(server);
        }
        if let Some(wanted) = &settings.feeds.alpaca {
            follow_watchlists(&opened.db, market).await?;
            let access = Access::of(vault).await?;
            prices.tasks.extend(access.start(wanted, market, clock, stop)?);
        }
        Ok(prices)
    }

    /// Waits for their end, after the token that they were started with.
    pub(crate) async fn closed(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a feed did not end well");
            }
        }
        if let Some(sandbox) = self.sandbox {
            sandbox.closed().await;
        }
    }
}

/// What the market lists. A recording may hold any symbol; the generated market has its own.
pub(crate) fn market_settings(settings: &Settings) -> anyhow::Result<market::Settings> {
    let has_sandbox = settings.feeds.has_sandbox();
    let instruments = if has_sandbox { sandbox::instruments() } else { Vec::new() };
    let mut wanted = market::Settings::new(instruments);
    wanted.learn = has_sandbox && settings.feed.is_some();
    wanted.conditions = settings.conditions.clone();
    if let Some(alpaca) = &settings.feeds.alpaca {
        ensure!(!wanted.learn, "a recording may hold any symbol: it cannot be played beside [feeds.alpaca]");
        ensure!(
            settings.paper.venue.is_none(),
            "a paper venue by itself makes a market of its own: with [feeds.alpaca] it has to be a part of the desk"
        );
        let generated = |symbol: &&Symbol| wanted.instruments.iter().any(|one| one.symbol == **symbol);
        if let Some(symbol) = alpaca.symbols.iter().find(generated) {
            anyhow::bail!("{symbol} is in the generated market: it cannot be followed at Alpaca too");
        }
        let could_have = could_have(alpaca);
        if let Some(symbol) = alpaca.symbols.iter().find(|symbol| !could_have(symbol)) {
            anyhow::bail!("{symbol} is nothing that [feeds.alpaca] has, as it is set");
        }
        wanted.chosen =
            Some(Chosen { symbols: alpaca.symbols.clone(), most_more: alpaca.most_more, could_have });
    }
    Ok(wanted)
}

/// Whether a feed could have a symbol, by its form and by what is switched on.
fn could_have(feed: &AlpacaFeed) -> fn(&Symbol) -> bool {
    match (feed.stocks.source().is_some(), feed.crypto) {
        (true, true) => alpaca::could_be,
        (true, false) => |symbol| !symbol.is_pair() && alpaca::could_be(symbol),
        (false, true) => |symbol| symbol.is_pair() && alpaca::could_be(symbol),
        (false, false) => |_| false,
    }
}

/// What people watch is followed, as far as there is room.
async fn follow_watchlists(db: &Database, market: &Market) -> Result<(), StorageError> {
    for symbol in market::watchlists::all_symbols(db).await? {
        if !market.follow(&symbol) {
            tracing::warn!(%symbol, "it is on a watchlist and not followed: no feed has it, or there is no room");
        }
    }
    Ok(())
}

/// What is held, ordered or traded is followed too: whoever has something has to see what it is worth.
pub(crate) fn follow_what_is_traded(
    gateway: &Gateway,
    market: &Market,
    ctx: &Context,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let mut events = gateway.subscribe();
    for account in gateway.accounts(ctx) {
        let held = gateway.positions(ctx, account.id).unwrap_or_default();
        for holding in held.iter().filter(|holding| !holding.position.quantity.is_zero()) {
            market.follow(&holding.symbol);
        }
    }
    let market = market.clone();
    let following = async move {
        loop {
            match events.recv().await {
                Ok(TradingEvent::Order(order)) => drop(market.follow(&order.request.symbol)),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(following).await.unwrap_or_default() })
}

fn jitter() -> u64 {
    u64::from_le_bytes(vault::crypto::random())
}

/// What opens Alpaca's market data, and where that is.
pub(crate) struct Access {
    /// Another server that speaks the same, as a desk's `/alpaca`; else Alpaca's own.
    pub(crate) url: Option<String>,
    pub(crate) key_id: String,
    pub(crate) secret: SecretString,
}

/// The same as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    url: Option<String>,
    key_id: String,
    secret: String,
}

impl Access {
    async fn of(vault: &Vault) -> anyhow::Result<Self> {
        let sealed = vault.reveal(ALPACA_KEY).await.context("what opens Alpaca's prices does not open")?;
        let sealed =
            sealed.context("[feeds.alpaca] has no credentials: `stockade feed add alpaca` sets them")?;
        // What is wrong with the text is not said: it would quote it.
        let Sealed { url, key_id, secret } = serde_json::from_str(sealed.expose_secret())
            .map_err(|_| anyhow::anyhow!("what opens Alpaca's prices cannot be read"))?;
        Ok(Self { url, key_id, secret: secret.into() })
    }

    /// Seals it, in place of what was there.
    pub(crate) async fn keep(self, vault: &Vault, ctx: &Context) -> anyhow::Result<()> {
        let Self { url, key_id, secret } = self;
        let sealed = Sealed { url, key_id, secret: secret.expose_secret().to_owned() };
        let sealed = SecretString::from(serde_json::to_string(&sealed)?);
        Ok(vault.set(ctx, Permission::FeedsManage, ALPACA_KEY, sealed).await?)
    }

    /// Throws it away; `false` when there was none.
    pub(crate) async fn forget(opened: &Opened, vault: &Vault) -> anyhow::Result<bool> {
        if vault.reveal(ALPACA_KEY).await.ok().flatten().is_none() {
            return Ok(false);
        }
        let (vault, ctx) = (vault.clone(), opened.operator());
        let forgotten = opened.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                vault.forget_in(tx, ALPACA_KEY).await?;
                tx.record(AuditEntry::by(&ctx, "secret.forgotten").on("secret", ALPACA_KEY));
                Ok::<_, StorageError>(())
            })
        });
        forgotten.await?;
        Ok(true)
    }

    fn credentials(&self) -> Credentials {
        Credentials { key_id: self.key_id.clone(), secret: self.secret.clone() }
    }

    fn data(&self, stocks: Stocks) -> anyhow::Result<MarketData> {
        let url = self.url.as_deref().unwrap_or(alpaca::DATA);
        Ok(MarketData::new(url, self.credentials(), stocks.source().unwrap_or("iex"))?)
    }

    /// Asks for a price, to see whether that works.
    pub(crate) async fn try_out(&self, stocks: Stocks) -> anyhow::Result<()> {
        Ok(self.data(stocks)?.try_out(&KNOWN_SHARE.parse()?).await?)
    }

    /// Starts the streams that are wanted, and asks for the past of what they follow.
    fn start(
        &self,
        wanted: &AlpacaFeed,
        market: &Market,
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let base = match &self.url {
            Some(url) => url.trim_end_matches('/').replacen("http", "ws", 1),
            None => alpaca::DATA_STREAM.to_owned(),
        };
        let shares =
            wanted.stocks.source().map(|source| (Class::Shares, "alpaca stocks", format!("/v2/{source}")));
        let coins = wanted.crypto.then(|| (Class::Coins, "alpaca crypto", "/v1beta3/crypto/us".to_owned()));
        let mut tasks = Vec::new();
        for (class, name, path) in shares.into_iter().chain(coins) {
            let mut feed =
                FeedSettings::new(format!("{base}{path}"), self.credentials(), class, market.followed());
            feed.encoding = match wanted.encoding {
                Encoding::Json => alpaca::Encoding::Json,
                Encoding::Msgpack => alpaca::Encoding::Msgpack,
            };
            let past = PastSettings {
                class,
                symbols: market.followed(),
                confirmed: feed.confirmed.subscribe(),
                reach: DAY * wanted.past_days,
            };
            let data = self.data(wanted.stocks)?;
            tasks.push(alpaca::keep_past(past, data, market.clone(), Arc::clone(clock), stop.clone()));
            let feed = alpaca::start(feed, market.feed(name), Arc::clone(clock), jitter(), stop.clone());
            tasks.push(feed);
        }
        Ok(tasks)
    }
}

/// The sandbox feed's key: made at the first start, sealed, and shown to nobody but the feed's two ends.
async fn sandbox_key(vault: &Vault, opened: &Opened) -> anyhow::Result<SecretString> {
    if let Some(key) = vault.reveal(SANDBOX_KEY).await.context("the feed's key does not open")? {
        return Ok(key);
    }
    let key = vault::crypto::new_token();
    let ctx = opened.operator();
    vault
        .set(&ctx, Permission::FeedsManage, SANDBOX_KEY, key.clone())
        .await
        .context("the feed's key cannot be sealed")?;
    Ok(key)
}

pub(crate) async fn start_sandbox(
    settings: &Settings,
    key: &SecretString,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> std::io::Result<sandbox::Server> {
    let source = match &settings.feed {
        Some(path) => Source::Recording(RecordingSource {
            path: path.clone(),
            pace: Pace::Times(1.0),
            repeat: true,
            retime: true,
        }),
        None => Source::Generated { seed: settings.market_seed },
    };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = ServerSettings { listen, key: key.expose_secret().to_owned(), max_connections: 4 };
    sandbox::Server::start(source, server, Arc::clone(clock), stop.clone()).await
}

/// Gives a new desk's charts a past. In the background: nobody waits for it.
fn remember_the_past(market: &Market, seed: u64, clock: &dyn Clock, stop: CancellationToken) {
    let (market, now) = (market.clone(), clock.now());
    tokio::task::spawn_blocking(move || {
        for symbol in market.symbols() {
            let mut past: Vec<(Every, Vec<domain::Bar>)> = Every::ALL.map(|every| (every, Vec::new())).into();
            if stop.is_cancelled() {
                return;
            }
            for (every, bar) in sandbox::history(seed, &symbol, now, PAST_MINUTES) {
                if let Some((_, bars)) = past.iter_mut().find(|(one, _)| *one == every) {
                    bars.push(bar);
                }
            }
            for (every, bars) in past {
                market.seed(&symbol, every, bars);
            }
        }
    });
}
