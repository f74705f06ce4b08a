//! `[api]`: who may reach the API from where, and how many requests are taken.

use anyhow::Context as _;
use identity::Network;
use serde::Deserialize;

/// The API. What is left out is as the server would have it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// Other sites whose pages may call it with an API key, as `https://tools.example`.
    origins: Vec<String>,
    /// Networks that are let in, as `10.0.0.0/8`; all of them where there are none.
    allow: Vec<String>,
    /// Networks that are not.
    deny: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    trusted_proxies: Vec<String>,
    /// Most requests a minute; 0: without a limit.
    per_minute: PerMinute,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PerMinute {
    address: Option<u32>,
    user: Budgets,
    key: Budgets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Budgets {
    reads: Option<u32>,
    orders: Option<u32>,
    writes: Option<u32>,
}

impl Budgets {
    fn over(&self, usual: server::Budgets) -> server::Budgets {
        server::Budgets {
            reads: self.reads.unwrap_or(usual.reads),
            orders: self.orders.unwrap_or(usual.orders),
            writes: self.writes.unwrap_or(usual.writes),
        }
    }
}

impl Api {
    /// As the server is set up.
    ///
    /// # Errors
    /// A network or an origin is none.
    pub(crate) fn settings(&self) -> anyhow::Result<server::Settings> {
        let usual = server::PerMinute::default();
        let settings = server::Settings {
            origins: self.origins.clone(),
            allow: networks(&self.allow).context("api.allow")?,
            deny: networks(&self.deny).context("api.deny")?,
            trusted_proxies: networks(&self.trusted_proxies).context("api.trusted_proxies")?,
            per_minute: server::PerMinute {
                address: self.per_minute.address.unwrap_or(usual.address),
                user: self.per_minute.user.over(usual.user),
                key: self.per_minute.key.over(usual.key),
            },
        };
        settings.check().context("api.origins")?;
        Ok(settings)
    }
}

fn networks(texts: &[String]) -> anyhow::Result<Vec<Network>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    use super::*;

    fn read(toml: &str) -> anyhow::Result<server::Settings> {
        Figment::from(Toml::string(toml)).extract::<Api>()?.settings()
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        let settings = read("allow = [\"10.0.0.0/8\"]\n[per_minute.key]\nreads = 60").unwrap();
        assert_eq!((settings.per_minute.key.reads, settings.per_minute.user.reads), (60, 12_000));
        assert_eq!((settings.allow.len(), settings.origins.len()), (1, 0));
    }

    #[test]
    fn what_is_no_network_and_no_origin_is_refused() {
        for toml in
            ["allow = [\"10.0.0.0/99\"]", "deny = [\"everybody\"]", "origins = [\"*\"]", "origin = []"]
        {
            assert!(read(toml).is_err(), "{toml} was taken");
        }
    }
}
