//! `stockade kill`: the kill switch by hand, beside the desk or without it.
//!
//! The request goes into the file of kill switches, which has its space already, and the desk is told to look with a
//! signal: so it works with a full disk, with a database that does not answer, and with a desk that takes no more
//! connections. A desk that does not run looks when it starts.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::{Clock as _, SystemClock};
use rustix::process::{Signal, kill_process};
use trading::Scope;

use crate::home::{self, Home};

/// How long the desk may take to confirm.
const CONFIRMED: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Pull the kill switch: nothing new is sent, and what works is canceled
#[derive(Args)]
pub(crate) struct Kill {
    /// What to stop: desk, account/NAME, user/NAME, book/ID, strategy/NAME; ids do as well as names
    #[arg(default_value = "desk")]
    scope: String,
    /// Why, for the audit log
    #[arg(long, default_value = "pulled on the command line")]
    reason: String,
    /// Close positions too
    #[arg(long)]
    flatten: bool,
}

impl Kill {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        home.require()?;
        let scope = self.scope(home).await?;
        let file = home.kill_file()?;
        let number = file
            .ask(scope.clone(), self.reason, self.flatten, home::user_name(), SystemClock.now())
            .context("the request cannot be written")?;
        // Asked first and looked for then: a desk that starts in between finds the request by itself.
        let mut told = false;
        let confirmed = async {
            loop {
                if file.obeyed()? >= number {
                    return anyhow::Ok(true);
                }
                match home.running()? {
                    None => return Ok(false),
                    Some(Some(desk)) if !told => {
                        kill_process(desk, Signal::USR2).context("the desk cannot be told")?;
                        told = true;
                    }
                    Some(_) => {}
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(CONFIRMED, confirmed).await {
            Ok(Ok(true)) => println!("The kill switch of {scope} is engaged."),
            Ok(Ok(false)) => {
                println!("The desk is not running. The kill switch of {scope} is engaged when it starts.");
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => bail!("the desk was told, and has not confirmed it yet; kill -USR1 stops all of it"),
        }
        Ok(())
    }

    /// What to stop. Only names of accounts and people need the database.
    async fn scope(&self, home: &Home) -> anyhow::Result<Scope> {
        let unknown = match self.scope.parse() {
            Ok(scope) => return Ok(scope),
            Err(unknown) => unknown,
        };
        let named = match self.scope.split_once('/') {
            Some((kind @ ("account" | "user"), name)) => (kind, name),
            _ => return Err(unknown.into()),
        };
        let found = tokio::time::timeout(CONFIRMED, look_up(home, named))
            .await
            .context("the database does not answer; give the id, or stop the whole desk")??;
        found.with_context(|| format!("there is no {} {:?}", named.0, named.1))
    }
}

/// The account or the person that has a name.
async fn look_up(home: &Home, (kind, name): (&str, &str)) -> anyhow::Result<Option<Scope>> {
    let opened = home.visit().await?;
    let found = if kind == "account" {
        let accounts = trading::accounts::list(&opened.db).await?;
        accounts.into_iter().find(|account| account.name == name).map(|account| Scope::Account(account.id))
    } else {
        let identity = opened.identity(home.vault(&opened).await?);
        identity.user_named(&opened.operator(), name).await?.map(|user| Scope::User(user.id))
    };
    opened.db.close().await;
    Ok(found)
}
