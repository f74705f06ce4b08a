//! Where Alpaca is, and how patiently it is waited for.

use std::time::Duration;

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

/// Where real money is.
pub const LIVE: &str = "https://api.alpaca.markets";
/// Where it is played.
pub const PAPER: &str = "https://paper-api.alpaca.markets";

/// Where market data is.
pub const DATA: &str = "https://data.alpaca.markets";
/// Where its streams are.
pub const DATA_STREAM: &str = "wss://stream.data.alpaca.markets";

/// What opens an account.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's id. No secret, but nobody's business either.
    pub key_id: String,
    /// The secret.
    pub secret: SecretString,
}

impl Credentials {
    pub(super) fn check(&self) -> Result<(), UnusableSettings> {
        let can_be_sent = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if can_be_sent(&self.key_id) && can_be_sent(self.secret.expose_secret()) {
            Ok(())
        } else {
            Err(UnusableSettings::Credentials)
        }
    }
}

/// How an account is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// [`PAPER`], [`LIVE`], or another server that speaks the same, without `/v2`.
    pub url: String,
    /// What opens the account.
    pub credentials: Credentials,
    /// How long a connection may take to be made.
    pub connect_within: Duration,
    /// How long an answer may take, from the connection to its last byte. Below the five seconds after which the order
    /// path gives up, so that a failure keeps its name.
    pub answer_within: Duration,
    /// How often a stream is asked whether it lives. One that is silent for three times as long is dead.
    pub ping_every: Duration,
    /// How long a stream is left alone after Alpaca said that somebody else has it.
    pub conflict_pause: Duration,
    /// How long after a lost answer "no such order" proves nothing.
    pub settle_window: Duration,
    /// Requests allowed in a minute: 200, unless another number was agreed on.
    pub requests_per_minute: u32,
    /// Executions before this are none of the desk's: what they led to is taken over as it stands.
    pub history_from: Timestamp,
}

impl Settings {
    /// With the patience that suits a broker on the internet, and the whole history.
    pub fn new(url: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            url: url.into(),
            credentials,
            connect_within: Duration::from_secs(3),
            answer_within: Duration::from_millis(4_500),
            ping_every: Duration::from_secs(10),
            conflict_pause: Duration::from_secs(60),
            settle_window: Duration::from_secs(30),
            requests_per_minute: 200,
            history_from: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSettings {
    /// The secret would cross a network for everybody to read, or there is no address at all.
    #[error("Alpaca's address is https://... or wss://..., or without TLS on this machine")]
    Url,
    /// The credentials cannot be put into a request.
    #[error("Alpaca's credentials are empty or have characters that cannot be sent")]
    Credentials,
    /// No TLS, or no more files.
    #[error("the client of Alpaca cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// Whether an address is that of real money; `None` for a server that is not Alpaca's own, of which nobody can know.
pub fn is_real_money(url: &str) -> Option<bool> {
    // Read as it is read when it is asked: what looks like another host may not be one.
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.');
    // Whatever else is there is taken for the worse.
    let is_alpacas = host == "alpaca.markets" || host.ends_with(".alpaca.markets");
    is_alpacas.then(|| host != "paper-api.alpaca.markets")
}

/// Secrets cross a network only under TLS. `schemes` is the one with TLS and the one without.
pub(super) fn check_url(url: &str, [secure, open]: [&str; 2]) -> Result<(), UnusableSettings> {
    let Some((scheme, rest)) = url.split_once("://") else { return Err(UnusableSettings::Url) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Whatever is before an @ is not the host that is asked.
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_here = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    if !host.is_empty() && !authority.contains('@') && (scheme == secure || (scheme == open && is_here)) {
        Ok(())
    } else {
        Err(UnusableSettings::Url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_crosses_a_network_in_the_clear() {
        let allowed = |url: &str| check_url(url, ["https", "http"]).is_ok();
        for url in [LIVE, PAPER, "http://127.0.0.1:9000/alpaca", "http://localhost", "http://[::1]:80/"] {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "http://api.alpaca.markets",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "ws://localhost",
            "https://",
            "",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn real_money_is_known_by_its_address() {
        for (url, expected) in [
            (LIVE, Some(true)),
            ("https://API.Alpaca.Markets.:443/", Some(true)),
            ("https://something-new.alpaca.markets", Some(true)),
            ("https://%61pi.alpaca.markets", Some(true)),
            (r"https://api.alpaca.markets\x.example", Some(true)),
            (PAPER, Some(false)),
            ("https://desk.example/alpaca", None),
            ("https://paper-api.alpaca.markets.example", None),
        ] {
            assert_eq!(is_real_money(url), expected, "{url}");
        }
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        let credentials = Credentials { key_id: "key".into(), secret: "very-secret".to_owned().into() };
        credentials.check().unwrap();
        assert!(!format!("{:?}", Settings::new(PAPER, credentials)).contains("very-secret"));
        let odd = Credentials { key_id: "key".into(), secret: "a\nb".to_owned().into() };
        assert!(odd.check().is_err());
    }
}
