//! `stockade account`: the accounts of the desk.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use trading::accounts::NewAccount;
use trading::{Account as Opened, Mode};
use vault::SecretString;

use crate::broker::{self, ALPACA, Access};
use crate::home::Home;
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
        /// The id of the broker's API key
        #[arg(long)]
        key_id: String,
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
}

/// A broker at which accounts can be added.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Broker {
    /// Alpaca
    Alpaca,
}

impl Account {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        match self {
            Self::List { json } => list(home, json).await,
            Self::Add { broker: Broker::Alpaca, name, key_id, live, url } => {
                let mode = if live { Mode::Live } else { Mode::Paper };
                add(home, name, key_id, mode, url).await
            }
            Self::Credentials { account, key_id } => replace(home, &account, key_id).await,
        }
    }
}

async fn list(home: &Home, json: bool) -> anyhow::Result<()> {
    let opened = home.visit().await?;
    let accounts = trading::accounts::list(&opened.db).await?;
    let row = |one: Opened| {
        vec![json!(one.id), json!(one.name), json!(one.broker), json!(one.mode.as_str()), json!(one.currency)]
    };
    output::rows(
        json,
        &["id", "name", "broker", "mode", "currency"],
        accounts.into_iter().map(row).collect(),
    )?;
    opened.db.close().await;
    Ok(())
}

async fn add(
    home: &Home,
    name: String,
    key_id: String,
    mode: Mode,
    url: Option<String>,
) -> anyhow::Result<()> {
    let name = name.trim().to_owned();
    ensure!((1..=64).contains(&name.chars().count()), "a name has 1 to 64 characters");
    let opened = home.visit().await?;
    let vault = home.vault(&opened).await?;
    let taken = trading::accounts::list(&opened.db).await?;
    ensure!(taken.iter().all(|account| account.name != name), "there is an account {name:?} already");
    let ctx = opened.operator();
    let url = url.unwrap_or_else(|| Access::default_url(mode).to_owned());
    let access = Access { url, key_id, secret: secret()?, since: ctx.at };
    let currency = access.try_out().await.context("the credentials were tried and not kept")?;
    let new = NewAccount { name: name.clone(), broker: ALPACA.into(), mode, currency };
    broker::add(&opened, &vault, &ctx, new, access).await?;
    opened.db.close().await;
    println!("Account {name:?} is added. A desk that runs has it after its next start.");
    println!("Nobody may see it yet: `stockade user grant NAME {name:?} trade` changes that.");
    Ok(())
}

async fn replace(home: &Home, wanted: &str, key_id: String) -> anyhow::Result<()> {
    let opened = home.visit().await?;
    let vault = home.vault(&opened).await?;
    let accounts = trading::accounts::list(&opened.db).await?;
    let account = accounts.iter().find(|one| one.name == wanted || one.id.to_string() == wanted);
    let Some(account) = account else { bail!("there is no account {wanted:?}") };
    ensure!(account.broker == ALPACA, "an account at broker {:?} has no credentials", account.broker);
    let before = Access::of(&vault, account.id).await?;
    let access = Access { key_id, secret: secret()?, ..before };
    access.try_out().await.context("the credentials were tried and not kept")?;
    broker::renew(&opened, &vault, &opened.operator(), account.id, access).await?;
    opened.db.close().await;
    println!(
        "The credentials of {:?} are replaced. A desk that runs uses them after its next start.",
        account.name
    );
    Ok(())
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
