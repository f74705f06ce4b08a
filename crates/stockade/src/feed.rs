//! `stockade feed`: what opens the feeds of prices.

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};

use crate::account::secret;
use crate::home::Home;
use crate::prices::Access;

/// Feeds of prices
#[derive(Subcommand)]
pub(crate) enum Feed {
    /// Keep what opens a feed, in place of what did. Its secret is asked for, or read from standard input
    Add {
        /// Which vendor
        #[arg(value_enum)]
        vendor: Vendor,
        /// The id of the vendor's API key
        #[arg(long)]
        key_id: String,
        /// Another address than the vendor's own, as https://desk.example/alpaca
        #[arg(long)]
        url: Option<String>,
    },
    /// Forget what opens a feed
    Remove {
        /// Which vendor
        #[arg(value_enum)]
        vendor: Vendor,
    },
}

/// A vendor of prices with credentials of its own.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Vendor {
    /// Alpaca
    Alpaca,
}

impl Feed {
    pub(crate) async fn run(self, home: &Home) -> anyhow::Result<()> {
        let opened = home.visit().await?;
        let vault = home.vault(&opened).await?;
        match self {
            Self::Add { vendor: Vendor::Alpaca, key_id, url } => {
                let stocks = home.settings()?.feeds.alpaca.unwrap_or_default().stocks;
                let access = Access { url, key_id, secret: secret()? };
                access.try_out(stocks).await.context("the credentials were tried and not kept")?;
                access.keep(&vault, &opened.operator()).await?;
                println!(
                    "What opens Alpaca's prices is kept. A desk that runs uses it after its next start."
                );
                println!("The section [feeds.alpaca] of stockade.toml says what is followed.");
            }
            Self::Remove { vendor: Vendor::Alpaca } => {
                let had = Access::forget(&opened, &vault).await?;
                println!("{}", if had { "It is forgotten." } else { "There was nothing to forget." });
            }
        }
        opened.db.close().await;
        Ok(())
    }
}
