//! One attempt: a signed POST to an address that was checked, and what came back.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::time::Instant;

use crate::log::Attempt;
use crate::lookup::{Resolve, pinned};
use crate::signature::{Secret, sign};
use crate::target::{Rules, Target};

/// An attempt takes no longer, from the question for the address to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more of an answer is read.
const READ: usize = 64 << 10;
/// Letters of an answer that are kept.
const KEPT: usize = 1000;

/// Whose certificates are believed.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those that the system believes; on a system that believes none, nobody's: then webhooks fail, and the desk trades.
    pub fn of_system() -> Self {
        let of_system = || {
            let builder = builder()?.with_platform_verifier()?;
            Ok::<_, rustls::Error>(builder.with_no_client_auth())
        };
        let config = of_system().unwrap_or_else(|error| {
            tracing::error!(%error, "the system's certificates cannot be read; webhooks cannot be told anything");
            let nobody = builder().expect("the provider has the usual versions of TLS");
            nobody.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        });
        Self(Arc::new(config))
    }

    /// As somebody set it up.
    pub fn new(config: ClientConfig) -> Self {
        Self(Arc::new(config))
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()
}

/// What is sent.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) body: &'a str,
    pub(crate) secrets: &'a [Secret],
}

/// Sends messages.
pub(crate) struct Sender {
    pub(crate) rules: Rules,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) trust: Trust,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What an attempt came to, before it has its number.
pub(crate) struct Outcome {
    pub(crate) attempt: Attempt,
    /// The receiver says that it is gone for good.
    pub(crate) gone: bool,
}

impl Sender {
    /// Makes one attempt. It is `told` when the receiver answered with 2xx in time.
    pub(crate) async fn send(&self, url: &str, message: &Message<'_>) -> Outcome {
        let (at, begun) = (self.clock.now(), self.clock.steady());
        let until = Instant::now() + PATIENCE;
        let answer = tokio::time::timeout_at(until, self.exchange(url, message, at)).await;
        let answer = answer.unwrap_or_else(|_| Err("it did not answer within 10 seconds".into()));
        let answer = match answer {
            Ok(answer) => Ok((answer.status().as_u16(), beginning(&read(answer, until).await))),
            Err(error) => Err(error),
        };
        let took = self.clock.steady().saturating_sub(begun);
        let attempt = Attempt { nth: 0, at, took, http_status: None, error: None, answer: None };
        match answer {
            Err(error) => Outcome { attempt: Attempt { error: Some(error), ..attempt }, gone: false },
            Ok((status, beginning)) => {
                let error = match status {
                    200..=299 => None,
                    300..=399 => Some("it answered with a redirect, which is not followed".into()),
                    410 => Some("it says that it is gone".into()),
                    status => Some(format!("it answered with status {status}")),
                };
                let attempt =
                    Attempt { http_status: Some(status), error, answer: Some(beginning), ..attempt };
                Outcome { attempt, gone: status == 410 }
            }
        }
    }

    async fn exchange(
        &self,
        url: &str,
        message: &Message<'_>,
        at: Timestamp,
    ) -> Result<reqwest::Response, String> {
        // Judged again: the rules may be others than when the webhook was made.
        let target = Target::read(url, &self.rules).map_err(|refused| refused.to_string())?;
        let addresses = pinned(self.resolver.as_ref(), &self.rules, &target).await;
        let addresses = addresses.map_err(|failure| failure.to_string())?;
        let signature = sign(message.secrets, message.id, at, message.body.as_bytes());
        let signature = signature.ok_or("the secret cannot be read")?;
        // A client of its own for each attempt: a connection that is kept would go where the name led before.
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.trust.0.as_ref().clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .https_only(!target.is_plain())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("stockade/", env!("CARGO_PKG_VERSION")));
        if target.address().is_none() {
            client = client.resolve_to_addrs(target.host(), &addresses);
        }
        let client = client.build().map_err(|error| describe(&error))?;
        let header =
            |text: &str| HeaderValue::from_str(text).map_err(|_| "a header cannot be sent".to_owned());
        let request = client
            .post(target.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", header(message.id)?)
            .header("webhook-timestamp", header(&at.as_second().to_string())?)
            .header("webhook-signature", header(&signature)?)
            .body(message.body.to_owned());
        request.send().await.map_err(|error| describe(&error))
    }
}

/// What an answer holds. Its status is what counts: one that breaks off, does not end or is too long is read as far as it
/// goes.
async fn read(mut answer: reqwest::Response, until: Instant) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(until, answer.chunk()).await {
        let room = READ - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read.len() == READ {
            break;
        }
    }
    read
}

/// The first letters of an answer as text, in which nothing acts: line ends stay, other control characters and those that
/// turn the direction of writing are written out.
fn beginning(answer: &[u8]) -> String {
    let mut text = String::new();
    for letter in String::from_utf8_lossy(answer).chars().take(KEPT) {
        let hidden = (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden {
            text.extend(letter.escape_unicode());
        } else {
            text.push(letter);
        }
    }
    text
}

/// An error with its cause, without the URL: it may hold what is secret.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, error) { "the connection failed".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_shown_as_text_in_which_nothing_acts() {
        assert_eq!(beginning(b"a\nb\r\x1b[31m\0"), "a\nb\\u{d}\\u{1b}[31m\\u{0}");
        assert_eq!(beginning("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(beginning(&[0xff, b'a']), "\u{fffd}a");
        assert_eq!(beginning(&[b'a'; 5000]).len(), KEPT);
    }
}
