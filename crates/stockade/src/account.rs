//! `stockade account`: the accounts of the desk.

use clap::Subcommand;
use serde_json::json;

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
}

impl Account {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        let Self::List { json } = self;
        let opened = home.visit().await?;
        let accounts = trading::accounts::list(&opened.db).await?;
        let row = |one: trading::Account| {
            vec![
                json!(one.id),
                json!(one.name),
                json!(one.broker),
                json!(one.mode.as_str()),
                json!(one.currency),
            ]
        };
        output::rows(
            json,
            &["id", "name", "broker", "mode", "currency"],
            accounts.into_iter().map(row).collect(),
        )?;
        opened.db.close().await;
        Ok(())
    }
}
