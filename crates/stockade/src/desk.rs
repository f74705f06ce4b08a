//! The desk, put together: sources of prices, bars, paper venue, gateway. The venue may be a process of its own.
//!
//! The order matters. Prices come before the venue that fills against them, the venue before the gateway that
//! reconciles with it, the gateway before anybody is let in. Stopping goes the other way round.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use connectors::paper;
use domain::{AccountId, Clock, Context, KeyId, Money, Timestamp, UserId};
use identity::Identity;
use market::Market;
use storage::StorageError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trading::accounts::NewAccount;
use trading::{Account, Broker, Custody as _, FourEyes, Gateway, Mode, OrderLimits, PaperVenue, People};
use vault::Vault;

use crate::broker::{Brokers, PAPER};
use crate::home::{Home, Opened};
use crate::prices::{Prices, follow_what_is_traded, market_settings};
use crate::settings::Settings;

/// How often a router looks after what is unresolved.
const TICK: Duration = Duration::from_millis(250);

/// A running desk, without its server.
pub(crate) struct Desk {
    pub gateway: Gateway,
    pub market: Market,
    /// Ends with `stop`, after the last bars are stored.
    market_task: JoinHandle<()>,
    prices: Prices,
    venue: Arc<Venue>,
    stop: CancellationToken,
}

impl Desk {
    /// Starts everything that works without being asked.
    ///
    /// # Errors
    /// Says which part could not be started.
    pub(crate) async fn start(
        home: &Home,
        settings: &Settings,
        opened: &Opened,
        vault: &Vault,
        identity: &Identity,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let (db, clock) = (&opened.db, &opened.clock);

        let listed = market_settings(settings).context("the settings are not right")?;
        let (market, market_task) = Market::start(listed, db.clone(), Arc::clone(clock), stop.clone())
            .await
            .context("the stored bars cannot be read")?;
        let prices = Prices::start(settings, opened, vault, &market, &stop).await?;

        let venue = Arc::new(Venue::open(home, settings, &market, clock, &stop).await?);
        let custody = Brokers::of_desk(vault.clone(), Arc::clone(&venue), Money(settings.paper.cash_usd));
        let brokers = open_accounts(opened, &custody).await.context("the accounts cannot be opened")?;
        let limits = OrderLimits {
            max_notional: Money(settings.orders.max_notional_usd),
            price_collar: settings.orders.price_collar,
            fee_bps: settings.paper.fee_bps,
            ..OrderLimits::default()
        };
        let parts = trading::Parts {
            db: db.clone(),
            market: market.clone(),
            clock: Arc::clone(clock),
            brokers,
            custody: Some(Arc::new(custody)),
            limits,
            tick: TICK,
            jitter: u64::from_le_bytes(vault::crypto::random()),
            kill_file: Some(home.kill_file()?),
            four_eyes: FourEyes {
                raises: settings.four_eyes.raises,
                lasts: Duration::from_secs(60 * u64::from(settings.four_eyes.minutes)),
                people: Some(Arc::new(Everybody(identity.clone()))),
            },
        };
        let gateway = Gateway::start(parts, &stop).await?;
        if settings.feeds.alpaca.is_some() {
            follow_what_is_traded(&gateway, &market, &opened.operator(), stop.clone());
        }
        Ok(Self { gateway, market, market_task, prices, venue, stop })
    }

    /// Stops it: no more events, the last bars stored, the venue's book closed.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.prices.closed().await;
        if let Err(error) = self.market_task.await {
            tracing::error!(%error, "the market did not end well");
        }
        if let Venue::Within(venue) = self.venue.as_ref() {
            venue.close().await;
        }
    }
}

/// The paper venue.
pub(crate) enum Venue {
    /// It is part of the desk.
    Within(PaperVenue),
    /// It is a process of its own, which may be down: then the desk starts all the same, and waits for it.
    Away(paper::Client),
}

impl Venue {
    async fn open(
        home: &Home,
        settings: &Settings,
        market: &Market,
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let wanted = settings.paper.venue_settings().context("the settings are not right")?;
        let Some(url) = &settings.paper.venue else {
            let book = home.path("paper.db");
            let venue = PaperVenue::open(&book, market, Arc::clone(clock), wanted, stop).await;
            return Ok(Self::Within(venue.context("the paper venue's book cannot be opened")?));
        };
        let key_file = settings.paper.venue_key_file.clone().unwrap_or_else(|| home.path("venue.key"));
        let key = crate::venue::read_key(&key_file).context("the key of the paper venue")?;
        let client = paper::Client::new(paper::Settings::new(url, key), wanted.profile());
        Ok(Self::Away(client.context("the paper venue cannot be used")?))
    }

    /// A desk's account there, which begins with `cash` unless the venue has its own mind about it.
    pub(crate) async fn broker(&self, account: AccountId, cash: Money) -> anyhow::Result<Arc<dyn Broker>> {
        match self {
            Self::Within(venue) => {
                // Not only when it is new: the desk may have been stopped between the two.
                venue.open_account(account, cash).await?;
                Ok(venue.broker(account))
            }
            Self::Away(client) => Ok(client.broker(account)),
        }
    }
}

/// The desk's people, as approvals ask for them.
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

/// All accounts with their brokers; a desk without any gets its first paper account.
async fn open_accounts(
    opened: &Opened,
    brokers: &Brokers,
) -> anyhow::Result<Vec<(Account, Arc<dyn Broker>)>> {
    let mut accounts = trading::accounts::list(&opened.db).await?;
    if accounts.is_empty() {
        let first = NewAccount {
            name: "Paper".into(),
            broker: PAPER.into(),
            mode: Mode::Paper,
            currency: "USD".into(),
        };
        accounts.push(trading::accounts::open(&opened.db, &opened.operator(), first).await?);
    }
    let mut opened = Vec::new();
    for account in accounts {
        let broker = brokers.open(&account).await;
        let broker = broker.with_context(|| format!("account {:?}", account.name))?;
        opened.push((account, broker));
    }
    Ok(opened)
}
