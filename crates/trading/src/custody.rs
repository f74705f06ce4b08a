//! What opens accounts at brokers, and who keeps it.
//!
//! The desk knows no broker's protocol and no secret store. What it needs of both to add an account, to renew what opens
//! it and to remove it, it says here; whoever puts the desk together provides it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AccountId, Context};
use secrecy::SecretString;
use storage::{StorageError, Tx};

use crate::accounts::{Account, Mode};
use crate::broker::Broker;

/// What opens an account at its broker, as a person gives it.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The id of the broker's API key.
    pub key_id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// An account that is to be opened at a broker.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What it is to be called on the desk.
    pub name: String,
    /// At which broker, as `alpaca`.
    pub broker: String,
    /// Whether its money is real.
    pub mode: Mode,
    /// Another address than the broker's own.
    pub url: Option<String>,
    /// What opens it; `None` for a broker that needs nothing.
    pub credentials: Option<Credentials>,
}

/// What came of trying credentials: they work.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What the account's money is, as `USD`.
    pub currency: String,
    /// What the broker calls the account.
    pub broker_account: Option<String>,
    /// Everything that is needed to open it again, to be sealed; `None` where nothing is.
    pub to_seal: Option<SecretString>,
}

/// Why an account cannot be opened at its broker.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// What was given cannot be right, whatever the broker says.
    #[error("{detail}")]
    Unusable {
        /// Which part of it.
        field: &'static str,
        /// Why not. Never holds a secret.
        detail: String,
    },
    /// The broker does not accept the credentials.
    #[error("the broker does not accept them")]
    Refused,
    /// The broker did not answer, or not as this broker does.
    #[error("the broker was not reached")]
    Unreachable,
    /// Nothing is kept that opens it, or it does not open.
    #[error("what opens the account cannot be read: it is to be renewed")]
    NotKept,
    /// The database failed.
    #[error("the database failed: {0}")]
    Storage(#[from] StorageError),
}

/// Tries, keeps and destroys what opens accounts. It is told to nobody but the broker's connector.
#[async_trait]
pub trait Custody: Send + Sync {
    /// Opens an account at its broker, to see whether that works. No order is sent, and nothing is kept.
    async fn try_out(&self, ctx: &Context, opening: &Opening) -> Result<Tried, CustodyError>;

    /// The same for an account that the desk has, with other credentials.
    async fn try_renewal(&self, account: &Account, credentials: &Credentials) -> Result<Tried, CustodyError>;

    /// Seals what opens an account, in place of what was kept for it, inside a write job.
    async fn keep(
        &self,
        tx: &mut Tx,
        ctx: &Context,
        account: AccountId,
        to_seal: &SecretString,
    ) -> Result<(), StorageError>;

    /// Gives whoever adds an account access to it, inside the write job that adds it: who else is to have it they say
    /// afterwards.
    async fn entrust(&self, tx: &mut Tx, ctx: &Context, account: AccountId) -> Result<(), StorageError>;

    /// Destroys what opens an account, inside a write job.
    async fn destroy(&self, tx: &mut Tx, account: AccountId) -> Result<(), StorageError>;

    /// The account as a broker, with what is kept.
    async fn open(&self, account: &Account) -> Result<Arc<dyn Broker>, CustodyError>;

    /// What is kept that opens the account, for a broker that [`Custody::open`] gave earlier; `None` where nothing is
    /// needed.
    async fn kept(&self, account: &Account) -> Result<Option<Credentials>, CustodyError>;
}
