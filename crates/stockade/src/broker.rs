//! Accounts at brokers: how one is reached, and what opens it. That is sealed, and leaves the vault only for the connector.

use std::sync::Arc;

use anyhow::Context as _;
use connectors::alpaca::{self, Client, Credentials};
use domain::{AccountId, AuditEntry, Context, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::Tx;
use trading::accounts::{self, NewAccount};
use trading::{Account, Broker, Mode};
use vault::{ExposeSecret as _, SecretString, Vault, VaultError};

use crate::home::Opened;

/// What Alpaca is called among the brokers.
pub(crate) const ALPACA: &str = "alpaca";

/// How an account at Alpaca is reached.
pub(crate) struct Access {
    /// Alpaca, or another server that speaks the same, without `/v2`.
    pub(crate) url: String,
    pub(crate) key_id: String,
    pub(crate) secret: SecretString,
    /// When the desk took the account over: what was executed before is none of its orders'.
    pub(crate) since: Timestamp,
}

/// The same as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    url: String,
    key_id: String,
    secret: String,
    since: Timestamp,
}

impl Access {
    /// Where accounts of a mode are, unless it is said.
    pub(crate) fn default_url(mode: Mode) -> &'static str {
        match mode {
            Mode::Paper => alpaca::PAPER,
            Mode::Live => alpaca::LIVE,
        }
    }

    fn client(&self) -> anyhow::Result<Client> {
        let credentials = Credentials { key_id: self.key_id.clone(), secret: self.secret.clone() };
        let mut settings = alpaca::Settings::new(self.url.clone(), credentials);
        settings.history_from = self.since;
        Ok(Client::new(settings)?)
    }

    /// Opens the account at the broker, to see whether that works, and gives its currency.
    pub(crate) async fn try_out(&self) -> anyhow::Result<String> {
        let account = self.client()?.account().await?;
        Ok(account.currency)
    }

    fn sealed(&self) -> SecretString {
        let sealed = Sealed {
            url: self.url.clone(),
            key_id: self.key_id.clone(),
            secret: self.secret.expose_secret().to_owned(),
            since: self.since,
        };
        serde_json::to_string(&sealed).unwrap_or_default().into()
    }

    /// How a stored account is reached.
    pub(crate) async fn of(vault: &Vault, account: AccountId) -> anyhow::Result<Self> {
        let sealed = vault.reveal(&place(account)).await.context("its credentials do not open")?;
        let sealed = sealed.context("it has no credentials: `stockade account credentials` sets them")?;
        // What is wrong with the text is not said: it would quote it.
        let Sealed { url, key_id, secret, since } = serde_json::from_str(sealed.expose_secret())
            .map_err(|_| anyhow::anyhow!("its credentials cannot be read"))?;
        Ok(Self { url, key_id, secret: secret.into(), since })
    }

    /// The account as a broker.
    pub(crate) fn broker(&self) -> anyhow::Result<Arc<dyn Broker>> {
        Ok(self.client()?.broker())
    }
}

fn place(account: AccountId) -> String {
    format!("account/{account}/broker")
}

/// Opens an account on the desk and seals what opens it at the broker: both or neither.
pub(crate) async fn add(
    opened: &Opened,
    vault: &Vault,
    ctx: &Context,
    new: NewAccount,
    access: Access,
) -> anyhow::Result<Account> {
    let (vault, ctx) = (vault.clone(), ctx.clone());
    let added = opened.db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            let account = accounts::open_in(tx, &ctx, new).await?;
            vault.seal_into(tx, &place(account.id), &access.sealed(), ctx.at).await?;
            Ok::<_, VaultError>(account)
        })
    });
    Ok(added.await?)
}

/// Seals other credentials for an account.
pub(crate) async fn renew(
    opened: &Opened,
    vault: &Vault,
    ctx: &Context,
    account: AccountId,
    access: Access,
) -> anyhow::Result<()> {
    let (vault, ctx) = (vault.clone(), ctx.clone());
    let renewed = opened.db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            vault.seal_into(tx, &place(account), &access.sealed(), ctx.at).await?;
            let entry = AuditEntry::by(&ctx, "account.credentials_replaced").on("account", account);
            tx.record(entry.with(json!({ "url": access.url, "key_id": access.key_id })));
            Ok::<_, VaultError>(())
        })
    });
    Ok(renewed.await?)
}
