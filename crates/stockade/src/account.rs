//! `stockade account`: the accounts of the desk.

mod import;

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use trading::{Account as Opened, Credentials, Custody, Mode, Opening, accounts};
use vault::SecretString;

use crate::broker::{ALPACA, Brokers, PAPER};
use crate::home::{self, Home};
use crate::output;

/// Accounts
#[derive(Subcommand)]
pub(crate) enum Account {
    /// List accounts
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add an account at a broker. Its secret is asked for, or read from standard input
    Add {
        /// Which broker
        #[arg(value_enum)]
        broker: Broker,
        /// Its name on the desk
        #[arg(long)]
        name: String,
        /// The id of the broker's API key; a paper account of the desk itself has none
        #[arg(long, required_if_eq("broker", "alpaca"))]
        key_id: Option<String>,
        /// It is about real money
        #[arg(long)]
        live: bool,
        /// Another address than the broker's own, as https://desk.example/alpaca
        #[arg(long)]
        url: Option<String>,
    },
    /// Replace what opens an account at its broker. The secret is asked for, or read from standard input
    Credentials {
        /// The account's name or id
        account: String,
        /// The id of the broker's API key
        #[arg(long)]
        key_id: String,
    },
    /// Call an account otherwise
    Rename {
        /// The account's name or id
        account: String,
        /// What it is to be called
        name: String,
    },
    /// Pause an account: it takes no new risk until it is activated
    Pause {
        /// The account's name or id
        account: String,
    },
    /// Activate an account that was paused
    Activate {
        /// The account's name or id
        account: String,
    },
    /// Remove an account and destroy what opens it. Its orders, fills and audit rows stay
    Remove {
        /// The account's name or id
        account: String,
        /// Its name again, needed where it holds something
        #[arg(long, value_name = "NAME")]
        confirm_name: Option<String>,
    },
    /// Add the accounts that a YAML file lists
    Import {
        /// The file
        file: PathBuf,
    },
}

/// A broker at which accounts can be added.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Broker {
    /// Alpaca, or a desk that speaks the same
    Alpaca,
    /// The desk's own paper venue
    Paper,
}

impl Broker {
    fn name(self) -> &'static str {
        match self {
            Self::Alpaca => ALPACA,
            Self::Paper => PAPER,
        }
    }
}

/// True whether a desk runs or not, here or on another machine: it looks at the table of accounts all the time.
const TAKEN_UP: &str = "A desk that runs takes that up within a few seconds.";

impl Account {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        let command = match self {
            Self::List { json } => return list(home, json).await,
            other => other,
        };
        let visit = Visit::open(home).await?;
        let done = visit.run(command).await;
        visit.opened.db.close().await;
        done
    }
}

async fn list(home: &Home, json: bool) -> anyhow::Result<()> {
    let opened = home.visit().await?;
    let accounts = accounts::list(&opened.db).await?;
    let row = |one: Opened| {
        let paused = one.paused_since.map(|since| since.to_string());
        vec![
            json!(one.id),
            json!(one.name),
            json!(one.broker),
            json!(one.mode.as_str()),
            json!(one.currency),
            json!(paused),
        ]
    };
    output::rows(
        json,
        &["id", "name", "broker", "mode", "currency", "paused_since"],
        accounts.into_iter().map(row).collect(),
    )?;
    opened.db.close().await;
    Ok(())
}

/// The desk's accounts, opened for a command.
struct Visit {
    opened: home::Opened,
    custody: Arc<dyn Custody>,
}

impl Visit {
    async fn open(home: &Home) -> anyhow::Result<Self> {
        let opened = home.visit().await?;
        let vault = home.vault(&opened).await?;
        Ok(Self { opened, custody: Brokers::of_command(vault) })
    }

    async fn run(&self, command: Account) -> anyhow::Result<()> {
        match command {
            Account::List { .. } => Ok(()),
            Account::Add { broker, name, key_id, live, url } => {
                let credentials = match key_id {
                    Some(key_id) => Some(Credentials { key_id, secret: secret()? }),
                    None => None,
                };
                let mode = if live { Mode::Live } else { Mode::Paper };
                let broker = broker.name().to_owned();
                let account = self.add(Opening { name, broker, mode, url, credentials }).await?;
                println!("Account {:?} is added. {TAKEN_UP}", account.name);
                println!(
                    "Nobody may see it yet: `stockade user grant NAME {:?} trade` changes that.",
                    account.name
                );
                Ok(())
            }
            Account::Credentials { account, key_id } => {
                let account = self.named(&account).await?;
                let credentials = Credentials { key_id, secret: secret()? };
                let (db, ctx) = (&self.opened.db, self.opened.operator());
                accounts::renew(db, &self.custody, &ctx, &account, &credentials).await?;
                println!("The credentials of {:?} are replaced. {TAKEN_UP}", account.name);
                Ok(())
            }
            Account::Rename { account, name } => {
                let account = self.named(&account).await?;
                let now =
                    accounts::rename(&self.opened.db, &self.opened.operator(), account.id, &name).await?;
                println!("{:?} is called {:?}. {TAKEN_UP}", account.name, now.name);
                Ok(())
            }
            Account::Pause { account } => self.pause(&account, true).await,
            Account::Activate { account } => self.pause(&account, false).await,
            Account::Remove { account, confirm_name } => {
                let account = self.named(&account).await?;
                let (db, ctx) = (&self.opened.db, self.opened.operator());
                accounts::remove(db, &self.custody, &ctx, account.id, confirm_name.as_deref()).await?;
                println!("{:?} is removed, and what opened it is destroyed. {TAKEN_UP}", account.name);
                Ok(())
            }
            Account::Import { file } => import::run(self, &file).await,
        }
    }

    async fn add(&self, opening: Opening) -> Result<Opened, trading::AccountError> {
        accounts::add(&self.opened.db, &self.custody, &self.opened.operator(), opening).await
    }

    async fn pause(&self, wanted: &str, paused: bool) -> anyhow::Result<()> {
        let account = self.named(wanted).await?;
        accounts::pause(&self.opened.db, &self.opened.operator(), account.id, paused).await?;
        let state = if paused { "paused: it takes no new risk" } else { "active" };
        println!("{:?} is {state}. {TAKEN_UP}", account.name);
        Ok(())
    }

    /// The account of a name or id.
    async fn named(&self, wanted: &str) -> anyhow::Result<Opened> {
        let accounts = accounts::list(&self.opened.db).await?;
        let found = accounts.into_iter().find(|one| one.name == wanted || one.id.to_string() == wanted);
        let Some(account) = found else { bail!("there is no account {wanted:?}") };
        Ok(account)
    }
}

/// The secret half of an API key: never an argument, which everybody on the machine could read.
pub(crate) fn secret() -> anyhow::Result<SecretString> {
    let secret = match std::io::stdin().is_terminal() {
        true => dialoguer::Password::new().with_prompt("Secret of the API key").interact()?,
        false => {
            let mut text = String::new();
            std::io::stdin().take(4_096).read_to_string(&mut text).context("standard input")?;
            text
        }
    };
    let secret = secret.trim().to_owned();
    ensure!(!secret.is_empty(), "the secret of the API key is empty");
    Ok(secret.into())
}
