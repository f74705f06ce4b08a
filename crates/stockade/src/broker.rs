//! Accounts at brokers: how one is reached, and what opens it. That is sealed, and leaves the vault only for the connector.

use std::sync::Arc;

use async_trait::async_trait;
use connectors::alpaca::{self, Client, Failure, UnusableSettings};
use domain::{AccountId, Context, Money, Timestamp};
use serde::{Deserialize, Serialize};
use storage::{StorageError, Tx};
use trading::{Account, Broker, Credentials, Custody, CustodyError, Mode, Opening, Tried};
use vault::{ExposeSecret as _, SecretString, Vault, VaultError};

use crate::desk::Venue;

/// What Alpaca is called among the brokers.
pub(crate) const ALPACA: &str = "alpaca";
/// What the paper accounts' broker is called.
pub(crate) const PAPER: &str = "paper";

/// How an account at Alpaca is reached, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Alpaca, or another server that speaks the same, without `/v2`.
    url: String,
    key_id: String,
    secret: String,
    /// When the desk took the account over: what was executed before is none of its orders'.
    since: Timestamp,
}

/// What opens the accounts of the desk.
pub(crate) struct Brokers {
    vault: Vault,
    /// The paper venue of a desk that runs; a command beside it has none, and opens nothing.
    venue: Option<(Arc<Venue>, Money)>,
}

impl Brokers {
    /// For a desk that runs; paper accounts begin with `cash`.
    pub(crate) fn of_desk(vault: Vault, venue: Arc<Venue>, cash: Money) -> Self {
        Self { vault, venue: Some((venue, cash)) }
    }

    /// For a command.
    pub(crate) fn of_command(vault: Vault) -> Arc<dyn Custody> {
        Arc::new(Self { vault, venue: None })
    }

    /// How a stored account is reached.
    async fn reveal(&self, account: AccountId) -> Result<Sealed, CustodyError> {
        let sealed = self.vault.reveal(&place(account)).await.map_err(|error| match error {
            VaultError::Storage(error) => CustodyError::Storage(error),
            error => {
                tracing::error!(%error, %account, "what opens an account does not open itself");
                CustodyError::NotKept
            }
        })?;
        let sealed = sealed.ok_or(CustodyError::NotKept)?;
        // What is wrong with the text is not said: it would quote it.
        serde_json::from_str(sealed.expose_secret()).map_err(|_| CustodyError::NotKept)
    }
}

impl Sealed {
    fn client(&self) -> Result<Client, CustodyError> {
        let credentials =
            alpaca::Credentials { key_id: self.key_id.clone(), secret: self.secret.clone().into() };
        let mut settings = alpaca::Settings::new(self.url.clone(), credentials);
        settings.history_from = self.since;
        Client::new(settings).map_err(|error| {
            let field = match error {
                UnusableSettings::Url => "url",
                UnusableSettings::Credentials | UnusableSettings::Client(_) => "key_id",
            };
            CustodyError::Unusable { field, detail: error.to_string() }
        })
    }

    /// Opens the account at the broker, to see whether that works.
    async fn try_out(self) -> Result<Tried, CustodyError> {
        let account = self.client()?.account().await.map_err(|failure| match failure {
            Failure::Refused { status: 401 | 403, .. } => CustodyError::Refused,
            // Whatever else answered is not told: the address may be that of anything.
            failure => {
                tracing::warn!(error = %failure, "credentials could not be tried");
                CustodyError::Unreachable
            }
        })?;
        let text = serde_json::to_string(&self).map_err(|_| CustodyError::NotKept)?;
        Ok(Tried {
            currency: account.currency,
            broker_account: Some(account.id.to_string()),
            to_seal: Some(text.into()),
        })
    }
}

/// The address of accounts of a mode. Nothing but `live` goes where real money is, and `live` goes nowhere else.
fn url_for(mode: Mode, url: Option<&str>) -> Result<String, CustodyError> {
    let own = match mode {
        Mode::Paper => alpaca::PAPER,
        Mode::Live => alpaca::LIVE,
    };
    let url = url.unwrap_or(own).trim_end_matches('/');
    match alpaca::is_real_money(url) {
        Some(real) if real != (mode == Mode::Live) => Err(CustodyError::Unusable {
            field: "url",
            detail: format!("this is not the address of a {mode} account"),
        }),
        _ => Ok(url.to_owned()),
    }
}

fn place(account: AccountId) -> String {
    format!("account/{account}/broker")
}

fn unusable<T>(field: &'static str, detail: &str) -> Result<T, CustodyError> {
    Err(CustodyError::Unusable { field, detail: detail.to_owned() })
}

#[async_trait]
impl Custody for Brokers {
    async fn try_out(&self, ctx: &Context, opening: &Opening) -> Result<Tried, CustodyError> {
        match (opening.broker.as_str(), &opening.credentials) {
            (ALPACA, Some(credentials)) => {
                let sealed = Sealed {
                    url: url_for(opening.mode, opening.url.as_deref())?,
                    key_id: credentials.key_id.clone(),
                    secret: credentials.secret.expose_secret().to_owned(),
                    since: ctx.at,
                };
                sealed.try_out().await
            }
            (ALPACA, None) => {
                unusable("key_id", "an account at Alpaca is opened with a key id and its secret")
            }
            (PAPER, Some(_)) => unusable("key_id", "a paper account of this desk is opened with nothing"),
            (PAPER, None) if opening.mode == Mode::Live => {
                unusable("mode", "there is no real money at the paper venue")
            }
            (PAPER, None) if opening.url.is_some() => {
                unusable("url", "the paper venue is this desk's own: it has no other address")
            }
            (PAPER, None) => Ok(Tried { currency: "USD".to_owned(), broker_account: None, to_seal: None }),
            _ => unusable("broker", "an account is at one of these brokers: alpaca, paper"),
        }
    }

    async fn try_renewal(&self, account: &Account, credentials: &Credentials) -> Result<Tried, CustodyError> {
        if account.broker != ALPACA {
            return unusable("key_id", "the account is opened with nothing: there is nothing to renew");
        }
        let before = self.reveal(account.id).await?;
        let sealed = Sealed {
            key_id: credentials.key_id.clone(),
            secret: credentials.secret.expose_secret().to_owned(),
            ..before
        };
        sealed.try_out().await
    }

    async fn keep(
        &self,
        tx: &mut Tx,
        ctx: &Context,
        account: AccountId,
        to_seal: &SecretString,
    ) -> Result<(), StorageError> {
        self.vault.seal_into(tx, &place(account), to_seal, ctx.at).await.map_err(|error| match error {
            VaultError::Storage(error) => error,
            error => StorageError::NotCommitted(error.to_string()),
        })
    }

    async fn entrust(&self, tx: &mut Tx, ctx: &Context, account: AccountId) -> Result<(), StorageError> {
        identity::entrust(tx, ctx, account).await
    }

    async fn destroy(&self, tx: &mut Tx, account: AccountId) -> Result<(), StorageError> {
        self.vault.forget_in(tx, &place(account)).await
    }

    async fn open(&self, account: &Account) -> Result<Arc<dyn Broker>, CustodyError> {
        match (account.broker.as_str(), &self.venue) {
            (ALPACA, _) => Ok(self.reveal(account.id).await?.client()?.broker()),
            (PAPER, Some((venue, cash))) => venue.broker(account.id, *cash).await.map_err(|error| {
                tracing::error!(%error, "an account cannot be opened at the paper venue");
                CustodyError::Unreachable
            }),
            _ => unusable("broker", "there is no such broker"),
        }
    }

    async fn kept(&self, account: &Account) -> Result<Option<Credentials>, CustodyError> {
        if account.broker != ALPACA {
            return Ok(None);
        }
        let Sealed { key_id, secret, .. } = self.reveal(account.id).await?;
        Ok(Some(Credentials { key_id, secret: secret.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_money_is_meant_or_not_reached() {
        let check = |mode, url: Option<&str>| url_for(mode, url).ok();
        assert_eq!(check(Mode::Paper, None).as_deref(), Some(alpaca::PAPER));
        assert_eq!(check(Mode::Live, None).as_deref(), Some(alpaca::LIVE));
        assert_eq!(check(Mode::Paper, Some(alpaca::LIVE)), None);
        assert_eq!(check(Mode::Live, Some(alpaca::PAPER)), None);
        let other = Some("https://desk.example/alpaca/");
        assert_eq!(check(Mode::Paper, other).as_deref(), Some("https://desk.example/alpaca"));
    }
}
