//! What can be set about the API: who may reach it from where, and how much of it.

use std::net::IpAddr;

use identity::Network;

/// Settings of the API, with their defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Origins of other sites whose pages may call the API with an API key, as `https://tools.example`.
    pub origins: Vec<String>,
    /// Networks that are let in; all of them where there are none.
    pub allow: Vec<Network>,
    /// Networks that are not, whatever `allow` says.
    pub deny: Vec<Network>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// How many requests are taken.
    pub per_minute: PerMinute,
}

/// How many requests a minute are taken; 0: as many as come.
#[derive(Clone, Copy, Debug)]
pub struct PerMinute {
    /// From one address.
    pub address: u32,
    /// Of one person, with all sessions and keys together.
    pub user: Budgets,
    /// With one API key.
    pub key: Budgets,
}

/// Budgets by what a request does: whoever reads too often can still trade.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    /// Requests that change nothing.
    pub reads: u32,
    /// Orders that are placed, replaced, previewed, and positions that are closed.
    pub orders: u32,
    /// Everything else that changes something.
    pub writes: u32,
}

impl Default for PerMinute {
    fn default() -> Self {
        Self {
            address: 24_000,
            user: Budgets { reads: 12_000, orders: 12_000, writes: 2_400 },
            key: Budgets { reads: 6_000, orders: 6_000, writes: 1_200 },
        }
    }
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no origin: it is `https://`, a name in small letters and maybe a port, as https://tools.example"
)]
pub struct InvalidOrigin {
    /// What was given.
    pub given: String,
}

impl Settings {
    /// Whether each of the origins has the form in which browsers say theirs, so that it can be compared as it is.
    ///
    /// # Errors
    /// The first that has not: `*`, a path, a capital letter, plain HTTP anywhere but on this machine.
    pub fn check(&self) -> Result<(), InvalidOrigin> {
        let wrong = self.origins.iter().find(|origin| !is_origin(origin));
        wrong.map_or(Ok(()), |given| Err(InvalidOrigin { given: given.clone() }))
    }

    /// Whether a request from there is let in at all.
    pub(crate) fn lets_in(&self, address: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }

    /// Whether pages of this origin may call the API.
    pub(crate) fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|one| one == origin)
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let is_here = matches!(host, "localhost" | "127.0.0.1");
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let is_host = !host.is_empty() && host.bytes().all(allowed);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n.to_string() == port));
    // Browsers leave the usual port out.
    let is_usual = matches!((scheme, port), ("https", Some("443")) | ("http", Some("80")));
    (scheme == "https" || (scheme == "http" && is_here)) && is_host && is_port && !is_usual
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in ["https://tools.example", "https://tools.example:8443", "http://localhost:5173"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "tools.example",
            "https://",
            "https://*.example",
            "https://tools.example/",
            "https://Tools.example",
            "https://tools.example:443",
            "https://tools.example:0443",
            "https://me@tools.example",
            "http://tools.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_denied_is_denied_even_where_it_is_allowed() {
        let networks = |list: &[&str]| list.iter().map(|one| one.parse().unwrap()).collect::<Vec<Network>>();
        let lets_in = |allow: &[&str], deny: &[&str], address: &str| {
            let settings = Settings { allow: networks(allow), deny: networks(deny), ..Settings::default() };
            settings.lets_in(address.parse().unwrap())
        };
        assert!(lets_in(&[], &[], "203.0.113.9"));
        assert!(lets_in(&["10.0.0.0/8"], &[], "10.9.9.9") && !lets_in(&["10.0.0.0/8"], &[], "11.0.0.1"));
        assert!(!lets_in(&["10.0.0.0/8"], &["10.6.0.0/16"], "10.6.0.1"));
        assert!(!lets_in(&[], &["203.0.113.0/24"], "::ffff:203.0.113.9"), "IPv4 in IPv6 clothes");
    }
}
