//! Alpaca's market data: what opens it, sealed, and its streams.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use connectors::alpaca::{self, Class, Credentials, FeedSettings, MarketData, PastSettings};
use domain::{AuditEntry, Clock, Context, Permission};
use market::Market;
use serde::{Deserialize, Serialize};
use storage::{StorageError, Tx};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vault::{ExposeSecret as _, SecretString, Vault};

use super::jitter;
use crate::home::Opened;
use crate::settings::{AlpacaFeed, Encoding, Stocks};

/// Where it is kept.
const PLACE: &str = "feed/alpaca/key";
/// A share that everybody has, to try credentials on.
const KNOWN_SHARE: &str = "AAPL";
const DAY: Duration = Duration::from_secs(86_400);

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
    pub(super) async fn of(vault: &Vault) -> anyhow::Result<Self> {
        let sealed = vault.reveal(PLACE).await.context("what opens Alpaca's prices does not open")?;
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
        Ok(vault.set(ctx, Permission::FeedsManage, PLACE, sealed).await?)
    }

    /// Throws it away; `false` when there was none.
    pub(crate) async fn forget(opened: &Opened, vault: &Vault) -> anyhow::Result<bool> {
        // One that does not open is there all the same.
        if matches!(vault.reveal(PLACE).await, Ok(None)) {
            return Ok(false);
        }
        let (vault, ctx) = (vault.clone(), opened.operator());
        let forgotten = opened.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                vault.forget_in(tx, PLACE).await?;
                tx.record(AuditEntry::by(&ctx, "secret.forgotten").on("secret", PLACE));
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
    pub(super) fn start(
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
