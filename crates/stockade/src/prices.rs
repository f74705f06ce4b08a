//! Where the desk's prices come from: the sandbox (a generated market or a recording), Alpaca, or both.
//!
//! With both, nothing that the generated market has is asked of Alpaca: two prices of one symbol are none. Alpaca's part
//! is in `alpaca`.

mod alpaca;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use connectors::alpaca::could_be;
use connectors::polygon;
use domain::{Clock, Context, Every, Permission, Symbol};
use market::{Chosen, Market};
use sandbox::{Pace, RecordingSource, ServerSettings, Source};
use storage::{Database, StorageError};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trading::{Gateway, TradingEvent};
use vault::{ExposeSecret as _, SecretString, Vault};

pub(crate) use self::alpaca::Access;
use crate::home::Opened;
use crate::settings::{AlpacaFeed, Settings};

/// Where the sandbox feed's key is kept, sealed.
const SANDBOX_KEY: &str = "feed/sandbox/key";
/// How much of the generated market's past a new desk knows.
const PAST_MINUTES: u32 = 24 * 60;

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
        (true, true) => could_be,
        (true, false) => |symbol| !symbol.is_pair() && could_be(symbol),
        (false, true) => |symbol| symbol.is_pair() && could_be(symbol),
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
