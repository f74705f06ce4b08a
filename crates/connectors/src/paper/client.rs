//! Requests to the venue, and what is known after each that failed.
//!
//! A request is sent once. Only a connection that was never made proves that an order did not arrive; only a refusal in
//! the venue's own words proves that it was not taken. Everything else is a lost answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, Order, Reason, Timestamp};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use trading::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, Execution, Profile,
    Refusal, SubmitFailure,
};

use super::{stream, translate, wire};

/// Where the venue is, and how patiently it is waited for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://venue.example`, or `http://` on this machine.
    pub url: String,
    /// The desk's key at the venue.
    pub key: SecretString,
    /// How long a connection may take to be made.
    pub connect_within: Duration,
    /// How long an answer may take, from the connection to its last byte. Below the five seconds after which the order
    /// path gives up, so that a failure keeps its name.
    pub answer_within: Duration,
}

impl Settings {
    /// With the patience that suits a venue on this machine.
    pub fn new(url: impl Into<String>, key: SecretString) -> Self {
        Self {
            url: url.into(),
            key,
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(4),
        }
    }

    /// The key crosses a network only under TLS.
    fn check(&self) -> Result<(), UnusableSettings> {
        let scheme_and_rest = self.url.split_once("://");
        let host = |rest: &str| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
            authority.rsplit_once(':').map_or(authority.clone(), |(host, _)| host.to_owned())
        };
        match scheme_and_rest {
            Some(("https", rest)) if !host(rest).is_empty() => Ok(()),
            Some(("http", rest)) if matches!(host(rest).as_str(), "127.0.0.1" | "localhost" | "[::1]") => {
                Ok(())
            }
            _ => Err(UnusableSettings::Url),
        }
    }
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSettings {
    /// The key would cross a network for everybody to read, or there is no address at all.
    #[error("the venue's address is https://..., or http:// on this machine")]
    Url,
    /// The key cannot be put into a request.
    #[error("the venue's key has characters that cannot be sent")]
    Key,
    /// No TLS, or no more files.
    #[error("the client of the venue cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// Answers about one order are not longer.
const SHORT: usize = 256 << 10;
/// Lists are not longer: ten thousand orders with their fills.
const LONG: usize = 32 << 20;

/// The venue, as one desk reaches it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    settings: Arc<Settings>,
    profile: Arc<Profile>,
    /// Orders share connections that are kept.
    orders: reqwest::Client,
    /// Every question has a connection of its own: two that agree were not answered by the same broken one.
    questions: reqwest::Client,
}

impl Client {
    /// A client; nothing is sent yet. `profile` is what the venue was set up to do.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: Settings, profile: Profile) -> Result<Self, UnusableSettings> {
        settings.check()?;
        let builder = || {
            reqwest::Client::builder()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .tcp_nodelay(true)
                .connect_timeout(settings.connect_within)
                .timeout(settings.answer_within)
        };
        let orders = builder().build().map_err(UnusableSettings::Client)?;
        let questions = builder().pool_max_idle_per_host(0).build().map_err(UnusableSettings::Client)?;
        if !settings.key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UnusableSettings::Key);
        }
        Ok(Self { settings: Arc::new(settings), profile: Arc::new(profile), orders, questions })
    }

    /// One account of the venue, as a broker. The venue opens it when it hears of it first.
    pub fn broker(&self, account: AccountId) -> Arc<dyn Broker> {
        Arc::new(PaperAccount { client: self.clone(), account })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        client: &reqwest::Client,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
        most: usize,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        let mut request = client.request(method, url).bearer_auth(self.settings.key.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = answer.status();
        let body = read(answer, most).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Failure::Lost(format!("{status}: an answer that is not of the protocol: {error}"))
            });
        }
        match serde_json::from_slice::<wire::Problem>(&body) {
            Ok(problem) if is_the_venues_no(status, &problem) => Err(Failure::Refused(problem)),
            _ => Err(Failure::Lost(format!("{status}"))),
        }
    }
}

/// Whether it is certain that the venue refused. 408 and 5xx say nothing about what happened before, whoever sends them.
fn is_the_venues_no(status: StatusCode, problem: &wire::Problem) -> bool {
    let is_known = problem.code == INVALID || problem.code.parse::<Reason>().is_ok();
    match status {
        StatusCode::REQUEST_TIMEOUT => false,
        StatusCode::TOO_MANY_REQUESTS => problem.code == Reason::RateLimited.as_str(),
        // A code that was added to the venue after this client was written is a no as well.
        StatusCode::UNPROCESSABLE_ENTITY => !problem.code.is_empty(),
        status => status.is_client_error() && is_known,
    }
}

/// The code of a request that makes no sense.
const INVALID: &str = "invalid";

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

/// What is known after a request without a good answer.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// There was no connection: nothing was sent.
    NotReached(String),
    /// The venue said no.
    Refused(wire::Problem),
    /// It may have been done.
    Lost(String),
}

impl Failure {
    fn of(error: &reqwest::Error) -> Self {
        // Connecting ends before the first byte of the request, also when it ends by the clock.
        if error.is_connect() { Self::NotReached(describe(error)) } else { Self::Lost(describe(error)) }
    }

    fn nonsense(error: translate::Nonsense) -> Self {
        Self::Lost(error.to_string())
    }

    fn submitting(self) -> SubmitFailure {
        match self {
            Self::NotReached(why) => SubmitFailure::NotReached(why),
            Self::Refused(problem) if wire::reason(&problem.code) == Reason::Duplicate => {
                SubmitFailure::Exists
            }
            Self::Refused(problem) => SubmitFailure::Refused(translate::refusal(&problem)),
            Self::Lost(why) => SubmitFailure::Lost(why),
        }
    }

    fn canceling(self) -> CancelFailure {
        match self {
            Self::NotReached(why) | Self::Lost(why) => CancelFailure::Unreachable(why),
            Self::Refused(problem) => CancelFailure::Refused(translate::refusal(&problem)),
        }
    }

    fn asking(self) -> BrokerUnreachable {
        match self {
            Self::NotReached(why) | Self::Lost(why) => BrokerUnreachable(why),
            Self::Refused(problem) => {
                let Refusal { reason, text } = translate::refusal(&problem);
                BrokerUnreachable(format!("{reason}: {text}"))
            }
        }
    }
}

/// An error with its causes, without the address: that is known, and the log is read by more people than the settings.
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

/// One account at the venue.
struct PaperAccount {
    client: Client,
    account: AccountId,
}

impl PaperAccount {
    fn path(&self, rest: &str) -> String {
        format!("/v1/accounts/{}{rest}", self.account)
    }

    async fn change<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        self.client.send(&self.client.orders, Method::POST, &self.path(path), Some(body), SHORT).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<T, BrokerUnreachable> {
        let nothing: Option<&()> = None;
        let (questions, path) = (&self.client.questions, self.path(path));
        self.client.send(questions, Method::GET, &path, nothing, most).await.map_err(Failure::asking)
    }

    async fn place(
        &self,
        path: &str,
        order: &Order,
        body: &(impl Serialize + Sync),
    ) -> Result<String, SubmitFailure> {
        let placed: wire::Placed = self.change(path, body).await.map_err(Failure::submitting)?;
        // Something in between may have given us the answer to somebody else's question.
        if placed.client_order_id != order.id.to_string() {
            return Err(SubmitFailure::Lost("the venue answered for another order".to_owned()));
        }
        translate::id(placed.broker_order_id).map_err(|error| Failure::nonsense(error).submitting())
    }
}

fn unbelievable(error: translate::Nonsense) -> BrokerUnreachable {
    BrokerUnreachable(error.to_string())
}

#[async_trait]
impl Broker for PaperAccount {
    fn profile(&self) -> &Profile {
        &self.client.profile
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        self.place("/orders", order, &translate::terms(order)).await
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        let path = format!("/orders/{}/cancel", order.id);
        let canceling: wire::Canceling =
            self.change(&path, &serde_json::json!({})).await.map_err(Failure::canceling)?;
        if canceling.client_order_id != order.id.to_string() {
            return Err(CancelFailure::Unreachable("the venue answered for another order".to_owned()));
        }
        Ok(())
    }

    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure> {
        let body = wire::Replacement { filled: order.filled, by: translate::terms(by) };
        self.place(&format!("/orders/{}/replace", order.id), by, &body).await
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        let found: wire::Found = self.ask(&format!("/orders/{}", order.id), SHORT).await?;
        let found = found.order.map(translate::order).transpose().map_err(unbelievable)?;
        if found.as_ref().is_some_and(|found| found.client_order_id != order.id.to_string()) {
            return Err(BrokerUnreachable("the venue answered for another order".to_owned()));
        }
        Ok(found)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable> {
        let open: wire::Orders = self.ask("/orders", LONG).await?;
        open.orders.into_iter().map(translate::order).collect::<Result<_, _>>().map_err(unbelievable)
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        let executions: wire::Executions = self.ask(&format!("/executions?since={since}"), LONG).await?;
        let executions = executions.executions.into_iter().map(translate::execution);
        executions.collect::<Result<_, _>>().map_err(unbelievable)
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        let balances: wire::Balances = self.ask("/balances", LONG).await?;
        let positions = balances.positions.into_iter().map(|held| (held.symbol, held.quantity));
        Ok(Balances { cash: balances.cash, positions: positions.collect() })
    }

    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        stream::open(&self.client.settings, &self.path("/stream")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_crosses_a_network_in_the_clear() {
        let allowed = |url: &str| Settings::new(url, "k".to_owned().into()).check().is_ok();
        for url in ["https://venue.example", "http://127.0.0.1:9000", "http://localhost", "http://[::1]:80/"]
        {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "http://venue.example",
            "http://127.0.0.1.example.com",
            "ws://localhost",
            "",
            "https://",
            "http://",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn only_the_venues_own_words_are_a_refusal() {
        let no = |status: u16, code: &str| {
            let problem = wire::Problem { code: code.into(), message: String::new() };
            is_the_venues_no(StatusCode::from_u16(status).unwrap(), &problem)
        };
        assert!(no(422, "insufficient_funds") && no(422, "something_new") && no(429, "rate_limited"));
        assert!(no(401, "unauthorized") && no(400, "invalid"));
        // A middle box may answer with JSON of its own, and with these after it has passed the order on.
        assert!(!no(408, "rate_limited") && !no(429, "slow_down") && !no(503, "unavailable"));
        assert!(!no(403, "blocked_by_policy") && !no(422, "") && !no(302, "invalid"));
    }
}
