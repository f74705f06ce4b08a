//! Requests, and what is known after each that failed.
//!
//! A request is sent once. Only a connection that was never made proves that it did not arrive; only a refusal in Alpaca's
//! own form proves that it was not carried out. Everything else is a lost answer.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use alpaca::{Problem, code};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::settings::{Credentials, UnusableSettings};

/// Answers about one thing are not longer.
pub(super) const SHORT: usize = 256 << 10;
/// Lists are not longer.
pub(super) const LONG: usize = 32 << 20;

/// What is known after a request without a good answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There was no connection: nothing was sent.
    #[error("Alpaca was not reached: {0}")]
    NotReached(String),
    /// Alpaca said no.
    #[error("Alpaca refused: {} ({status})", problem.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Alpaca's words.
        problem: Box<Problem>,
    },
    /// It may have been done.
    #[error("Alpaca's answer was lost: {0}")]
    Lost(String),
}

impl Failure {
    fn of(error: &reqwest::Error) -> Self {
        // Connecting ends before the first byte of the request, also when it ends by the clock.
        if error.is_connect() { Self::NotReached(describe(error)) } else { Self::Lost(describe(error)) }
    }

    /// Whether Alpaca does not accept the credentials. Answers with a 403 in its own form are about the account.
    pub(super) fn is_unauthorized(&self) -> bool {
        match self {
            Self::Refused { status: 401, .. } => true,
            Self::Refused { status: 403, problem } => problem.code == 0,
            _ => false,
        }
    }
}

/// A server that is asked with credentials.
pub(super) struct Http {
    url: String,
    credentials: RwLock<Credentials>,
    /// Connections that are kept.
    kept: reqwest::Client,
    /// Every question has a connection of its own: two that agree were not answered by the same broken one.
    fresh: reqwest::Client,
}

/// Which connection a request takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// One that is there.
    Kept,
    /// A new one.
    Fresh,
}

/// A request: how, where and how long its answer may be.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) connection: Connection,
    pub(super) most: usize,
}

impl Http {
    pub(super) fn new(
        url: &str,
        credentials: Credentials,
        connect_within: Duration,
        answer_within: Duration,
    ) -> Result<Self, UnusableSettings> {
        super::settings::check_url(url, ["https", "http"])?;
        credentials.check()?;
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .tcp_nodelay(true)
                .user_agent(concat!("stockade/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(connect_within)
                .timeout(answer_within)
        };
        let kept = builder().build().map_err(UnusableSettings::Client)?;
        let fresh = builder().pool_max_idle_per_host(0).build().map_err(UnusableSettings::Client)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, credentials: RwLock::new(credentials), kept, fresh })
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn renew(&self, credentials: Credentials) -> Result<(), UnusableSettings> {
        credentials.check()?;
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials;
        Ok(())
    }

    /// `wss://...` where REST is `https://...`.
    pub(super) fn stream_url(&self, path: &str) -> String {
        self.url.replacen("http", "ws", 1) + path
    }

    /// Asks, once. An empty answer is read as `null`.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Failure> {
        let Credentials { key_id, secret } = self.credentials();
        let client = if request.connection == Connection::Kept { &self.kept } else { &self.fresh };
        let mut sending = client
            .request(request.method, format!("{}{}", self.url, request.path))
            .header("APCA-API-KEY-ID", sensitive(&key_id)?)
            .header("APCA-API-SECRET-KEY", sensitive(secret.expose_secret())?);
        if let Some(body) = body {
            sending = sending.json(body);
        }
        let answer = sending.send().await.map_err(|error| Failure::of(&error))?;
        let status = answer.status();
        let body = read(answer, request.most).await?;
        if status.is_success() {
            let body = if body.is_empty() { b"null".as_slice() } else { &body };
            return serde_json::from_slice(body).map_err(|error| {
                Failure::Lost(format!("{status}: an answer that is not of the protocol: {error}"))
            });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_alpacas_no(status, &problem) => {
                Err(Failure::Refused { status: status.as_u16(), problem: Box::new(problem) })
            }
            // Whoever says 401 without a word of the protocol has not carried anything out either.
            _ if status == StatusCode::UNAUTHORIZED => Err(Failure::Refused {
                status: status.as_u16(),
                problem: Box::new(Problem::new(code::UNAUTHORIZED, "unauthorized")),
            }),
            _ => Err(Failure::Lost(format!("{status}"))),
        }
    }

    /// Asks a question.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        connection: Connection,
        most: usize,
    ) -> Result<T, Failure> {
        let nothing: Option<&()> = None;
        self.send(Request { method: Method::GET, path, connection, most }, nothing).await
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let cannot = |_| Failure::NotReached("the credentials cannot be sent".to_owned());
    let mut value = HeaderValue::from_str(text).map_err(cannot)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether it is certain that Alpaca refused. 408 and 5xx say nothing about what happened before, whoever sends them; 429
/// may come from something in between.
fn is_alpacas_no(status: StatusCode, problem: &Problem) -> bool {
    let is_its_code = problem.code != 0 && problem.status() == status.as_u16();
    match status {
        StatusCode::REQUEST_TIMEOUT => false,
        // Alpaca's gateway leaves the code out when it does not know the key.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => is_its_code || !problem.message.is_empty(),
        status => status.is_client_error() && is_its_code,
    }
}

/// Reads a body, and no more of it than there may be.
async fn read(mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Failure::Lost(format!("an answer of more than {most} bytes"))),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Failure::Lost(describe(&error))),
        }
    }
}

/// An error with its cause, without the address: that is known, and the log is read by more people than the settings.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, error) { "the connection failed".to_owned() } else { cause.to_string() }
}

/// `path?name=value&...`, encoded.
pub(super) fn with_query<'a>(path: &str, query: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        encoded.append_pair(name, &value);
    }
    match encoded.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alpacas_own_words_are_a_no() {
        let no = |status: u16, code: u32, message: &str| {
            is_alpacas_no(StatusCode::from_u16(status).unwrap(), &Problem::new(code, message))
        };
        assert!(no(403, code::FORBIDDEN, "insufficient buying power"));
        assert!(no(422, code::DUPLICATE, "client_order_id must be unique"));
        assert!(no(429, code::RATE_LIMITED, "rate limit exceeded"));
        assert!(no(403, 0, "forbidden."), "the gateway's words about a key");
        for (status, code, message) in [
            (404, 0, "no such page"),
            (408, 40_810_000, "timeout"),
            (429, 0, "slow down"),
            (500, code::INTERNAL, "internal"),
            (504, 0, "gateway"),
            (403, 0, ""),
            (422, code::FORBIDDEN, "somebody else's"),
        ] {
            assert!(!no(status, code, message), "{status} {code} {message}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let query = [("symbols", "BTC/USD,ETH/USD".to_owned()), ("start", "2026-02-03T00:00:00Z".to_owned())];
        assert_eq!(
            with_query("/v", query),
            "/v?symbols=BTC%2FUSD%2CETH%2FUSD&start=2026-02-03T00%3A00%3A00Z"
        );
        assert_eq!(with_query("/v", []), "/v");
    }
}
