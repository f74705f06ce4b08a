//! Who asks: from the cookie of a request to the [`Context`] with which everything is asked.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::{Context, SessionId, Timestamp};
use identity::{Authenticated, Challenge, CodeError, SignInError};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};

use crate::Desk;
use crate::guard::Arrival;
use crate::problem::{Code, Problem, sentence};

/// The prefix makes browsers insist on `Secure`, on the path `/`, and on no domain.
const COOKIE: &str = "__Host-session";
/// Who showed the password and owes a code.
const CHALLENGE_COOKIE: &str = "__Host-sign-in";

/// A request of somebody who is signed in. A handler that takes one cannot be reached by anybody else.
#[derive(Clone)]
pub(crate) struct SignedIn(pub Authenticated);

impl SignedIn {
    /// What everything is asked with.
    pub(crate) fn context(&self) -> &Context {
        &self.0.ctx
    }

    pub(crate) fn session_id(&self) -> SessionId {
        self.0.session.id
    }

    /// The same person with the rights of this moment; `None` when the session has ended. Does not prolong it.
    pub(crate) async fn still(&self, desk: &Desk) -> Result<Option<Self>, Problem> {
        let ctx = self.context();
        let found = desk.identity.recheck(self.session_id(), ctx.address, ctx.request_id).await?;
        Ok(found.map(Self))
    }
}

impl FromRequestParts<Desk> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let arrival = Arrival::from_request_parts(parts, desk).await?;
        let token = cookie(&parts.headers, COOKIE).ok_or_else(|| Problem::new(Code::NotSignedIn))?;
        let found = desk.identity.authenticate(token, arrival.address, arrival.id).await?;
        found.map(Self).ok_or_else(|| Problem::new(Code::NotSignedIn))
    }
}

/// A request of somebody who need not be signed in, and of whom nothing is known.
pub(crate) struct Anonymous(pub Context);

impl<S: Send + Sync> FromRequestParts<S> for Anonymous {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let arrival = Arrival::from_request_parts(parts, state).await?;
        Ok(Self(Context::anonymous(arrival.address, arrival.id, arrival.at)))
    }
}

/// The value of a cookie that was sent.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(axum::http::header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// What a browser calls itself.
pub(crate) fn agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok())
}

/// Hands the session to the browser. Scripts cannot read it, other sites cannot send it.
pub(crate) fn set_cookie(response: &mut Response, signed_in: &identity::SignedIn) {
    let Authenticated { session, ctx, .. } = &signed_in.authenticated;
    give(response, COOKIE, &signed_in.token, session.expires_at.duration_since(ctx.at));
}

/// Hands a browser that showed the password what its code is waited for under. It is no session.
pub(crate) fn set_challenge(response: &mut Response, challenge: &Challenge, now: Timestamp) {
    give(response, CHALLENGE_COOKIE, &challenge.token, challenge.expires_at.duration_since(now));
}

/// What a code is waited for under, if the browser has it.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, CHALLENGE_COOKIE)
}

/// Takes it away again.
pub(crate) fn clear_challenge(response: &mut Response) {
    take(response, CHALLENGE_COOKIE);
}

/// Takes the session from the browser, and what it may have kept of private pages.
pub(crate) fn clear_cookie(response: &mut Response) {
    take(response, COOKIE);
    let name = HeaderName::from_static("clear-site-data");
    response.headers_mut().insert(name, HeaderValue::from_static("\"cache\", \"storage\""));
}

fn give(response: &mut Response, name: &str, token: &SecretString, lasts: SignedDuration) {
    let (token, lasts) = (token.expose_secret(), lasts.as_secs());
    append(response, &format!("{name}={token}; Path=/; Max-Age={lasts}; Secure; HttpOnly; SameSite=Strict"));
}

fn take(response: &mut Response, name: &str) {
    append(response, &format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict"));
}

fn append(response: &mut Response, cookie: &str) {
    match HeaderValue::from_str(cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            response.headers_mut().append(SET_COOKIE, value);
        }
        // A token is letters and digits.
        Err(error) => tracing::error!(%error, "a cookie cannot be written"),
    }
}

/// Before the desk has an owner it does nothing but be set up.
pub(crate) async fn require_owner(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    match desk.identity.setup_required().await {
        Ok(false) => next.run(request).await,
        Ok(true) => Problem::new(Code::SetUpRequired).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Writes to the audit log that somebody was denied something, where nobody has done so yet.
pub(crate) async fn note_denied(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let cookie = cookie(request.headers(), COOKIE).map(str::to_owned);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let arrival = request.extensions().get::<Arrival>().copied();
    let response = next.run(request).await;
    let denied = response.extensions().get::<Problem>().and_then(|problem| problem.denied.clone());
    if let (Some(why), Some(cookie), Some(arrival)) = (denied, cookie, arrival) {
        record_denied(&desk, &cookie, arrival, &method, &path, why).await;
    }
    response
}

async fn record_denied(
    desk: &Desk,
    token: &str,
    arrival: Arrival,
    method: &Method,
    path: &str,
    why: Box<str>,
) {
    let Ok(Some(who)) = desk.identity.authenticate(token, arrival.address, arrival.id).await else { return };
    let entry = domain::AuditEntry::by(&who.ctx, "access.denied")
        .ended(domain::Outcome::Refused)
        .with(serde_json::json!({ "method": method.as_str(), "path": path, "reason": why }));
    if let Err(error) = desk.record(entry).await {
        tracing::warn!(%error, request_id = %arrival.id, "a refusal could not be written to the audit log");
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Failed => Self::new(Code::SignInFailed),
            SignInError::TooMany { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::TooManyAttempts) }
            }
            SignInError::Busy => Self::new(Code::Busy),
            SignInError::Storage(error) => error.into(),
        }
    }
}

impl From<CodeError> for Problem {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Wrong => Self::field(Code::CodeRefused, "code", sentence(&error.to_string())),
            CodeError::TooMany { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::with(Code::TooManyAttempts, sentence(&error.to_string()))
            },
            CodeError::Over => Self::with(Code::BeginAgain, sentence(&error.to_string())),
            CodeError::NoFactor => Self::new(Code::FactorNeeded),
            CodeError::NotSignedIn => Self::new(Code::NotSignedIn),
            CodeError::Vault(error) => Self::internal("the secret of a second factor does not open", &error),
            CodeError::Storage(error) => error.into(),
        }
    }
}
