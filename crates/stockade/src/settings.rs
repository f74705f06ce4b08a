//! What can be set: in `stockade.toml` in the home folder, or by environment variables with the prefix `STOCKADE_`.
//!
//! The desk never writes the file. A key that does not exist is refused: it was meant to do something.

mod api;
mod feeds;
mod paper;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use domain::Decimal;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use market::ConditionTable;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use self::api::Api;
pub(crate) use self::feeds::{AlpacaFeed, Encoding, Feeds, Stocks};
pub(crate) use self::paper::Paper;

/// Variables with the prefix that are read elsewhere, by this program or its tests.
const ELSEWHERE: &[&str] = &[
    "home",
    "master_key",
    "log",
    "sdks",
    "shared",
    "test_postgres",
    "test_seed",
    "test_rounds",
    "kills",
    "sockets",
    "fail_at",
    "seeds",
    "tell",
];

/// All settings, with their defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How browsers reach the desk, as `https://desk.example`; else `https://localhost` and the port.
    pub public_url: Option<String>,
    /// `postgres://…`; else a SQLite file in the home folder. Holds a password.
    database_url: Option<SecretString>,
    /// A recording to replay in place of the generated market.
    pub feed: Option<PathBuf>,
    /// Where prices come from otherwise.
    #[serde(default)]
    pub feeds: Feeds,
    /// Which market is generated.
    pub market_seed: u64,
    /// Which condition codes say that the taker bought or sold, by exchange.
    #[serde(default)]
    pub conditions: ConditionTable,
    /// The paper venue.
    pub paper: Paper,
    /// What one order may be.
    pub orders: Orders,
    /// What two people have to agree to.
    pub four_eyes: FourEyes,
    /// Who may reach the API from where, and how much of it.
    #[serde(default)]
    pub api: Api,
    /// Where webhooks may go.
    #[serde(default)]
    pub webhooks: Webhooks,
}

/// Where webhooks may go, beside public addresses by `https`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// Addresses and networks, as `127.0.0.1:9000`, `10.0.0.0/8`, and `http://127.0.0.1:9000` for one without TLS.
    #[serde(deserialize_with = "allowed")]
    pub allow: Vec<webhooks::Allowed>,
}

fn allowed<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<webhooks::Allowed>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Limits of a single order.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Orders {
    /// Most that one order may be worth.
    pub max_notional_usd: Decimal,
    /// How far a limit price may be from the market, as a fraction of it.
    pub price_collar: Decimal,
}

/// What two people have to agree to. Which orders do is a risk limit, `approval_above`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FourEyes {
    /// Whether a risk limit is raised or removed only with a second person.
    pub raises: bool,
    /// How long an approval is waited for.
    pub minutes: u32,
}

/// The defaults, without what has none.
#[derive(Serialize)]
struct Defaults {
    listen: &'static str,
    market_seed: u64,
    paper: PaperDefaults,
    orders: Orders,
    four_eyes: FourEyes,
}

/// The defaults of `[paper]`, without what the venue has its own of.
#[derive(Serialize)]
struct PaperDefaults {
    cash_usd: Decimal,
    fee_bps: Decimal,
}

impl Settings {
    /// Reads the file, if there is one, and the environment, which wins.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let limits = trading::OrderLimits::default();
        let defaults = Defaults {
            listen: "127.0.0.1:8443",
            market_seed: 1,
            paper: PaperDefaults { cash_usd: Decimal::from(100_000), fee_bps: limits.fee_bps },
            orders: Orders { max_notional_usd: limits.max_notional.0, price_collar: limits.price_collar },
            four_eyes: FourEyes { raises: false, minutes: 15 },
        };
        // DATABASE_URL and FEED are what other programs and `make` call them.
        let common = Env::raw().only(&["DATABASE_URL", "FEED"]);
        let own = Env::prefixed("STOCKADE_").ignore(ELSEWHERE).split("__");
        let mut all = Figment::from(Serialized::defaults(defaults));
        if file.exists() {
            all = all.merge(Toml::file_exact(file));
        }
        all.merge(common)
            .merge(own)
            .extract()
            .with_context(|| format!("the settings ({}, environment) are not right", file.display()))
    }

    /// The address of the database, when it is not a file in the home folder.
    pub(crate) fn database_url(&self) -> Option<&str> {
        // `DATABASE_URL= stockade run` says: none.
        self.database_url.as_ref().map(|url| url.expose_secret()).filter(|url| !url.is_empty())
    }

    /// How browsers reach the desk when it listens on `port`.
    pub(crate) fn public_url(&self, port: u16) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://localhost:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::TakerSide;

    use super::*;

    fn read(toml: &str) -> anyhow::Result<Settings> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("stockade.toml");
        std::fs::write(&file, toml)?;
        Settings::read(&file)
    }

    #[test]
    fn an_exchange_may_have_condition_codes_of_its_own() {
        let table =
            read("[[conditions.exchanges]]\nexchange = 23\nsell = [2]\nbuy = [1]\n").unwrap().conditions;
        assert_eq!(table.side(23, &[2]).0, TakerSide::Sell);
        assert_eq!(table.side(10, &[2]).0, TakerSide::Buy, "the others are as the vendor documents");
    }

    #[test]
    fn webhooks_go_where_the_operator_says() {
        let settings = read("[webhooks]\nallow = [\"127.0.0.1:9000\", \"10.0.0.0/8\"]").unwrap();
        assert_eq!(settings.webhooks.allow.len(), 2);
        assert_eq!(read("").unwrap().webhooks.allow, []);
        assert!(read("[webhooks]\nallow = [\"localhost\"]").is_err(), "a name may lead anywhere");
    }

    #[test]
    fn alpacas_prices_take_the_place_of_the_generated_market_unless_both_are_wanted() {
        assert!(read("").unwrap().feeds.has_sandbox());
        let feeds =
            read("[feeds.alpaca]\nsymbols = [\"AAPL\", \"BTC-USD\"]\nstocks = \"sip\"\n").unwrap().feeds;
        assert!(!feeds.has_sandbox());
        let alpaca = feeds.alpaca.unwrap();
        assert_eq!((alpaca.stocks.source(), alpaca.crypto, alpaca.symbols.len()), (Some("sip"), true, 2));
        let both = read("[feeds]\nsandbox = true\n[feeds.alpaca]\nstocks = \"off\"\n").unwrap().feeds;
        assert!(both.has_sandbox() && both.alpaca.unwrap().stocks.source().is_none());
        assert!(read("[feeds.alpaca]\nstocks = \"all\"\n").is_err());
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused() {
        for toml in ["lisen = \"127.0.0.1:1\"", "[orders]\nmax_notional = 5", "[conditions]\nexchange = []"] {
            assert!(read(toml).is_err(), "{toml} was taken");
        }
    }
}
