//! Who asks: from the cookie or the key of a request to the [`Context`] with which everything is asked.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::{Context, Credential, Timestamp};
use identity::{Authenticated, Challenge, CodeError, SignInError};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};

use crate::Desk;
use crate::alpaca::DeniedToBot;
use crate::credentials::{self, LetIn, Shown};
use crate::guard::Arrival;
use crate::problem::{Code, Problem, sentence};

/// The prefix makes browsers insist on `Secure`, on the path `/`, and on no domain.
const COOKIE: &str = "__Host-session";
/// Who showed the password and owes a code.
const CHALLENGE_COOKIE: &str = "__Host-sign-in";

/// A request of somebody who is signed in, or of a program with an API key. A handler that takes one cannot be reached by
/// anybody else.
#[derive(Clone)]
pub(crate) struct SignedIn(Context);

impl SignedIn {
    /// What everything is asked with.
    pub(crate) fn context(&self) -> &Context {
        &self.0
    }

    /// The same caller with the rights of this moment; `None` when the session or the key has ended. Does not count as use.
    pub(crate) async fn still(&self, desk: &Desk) -> Result<Option<Self>, Problem> {
        let Context { credential, address, request_id, .. } = &self.0;
        let ctx = match credential {
            Credential::Session(id) => {
                desk.identity.recheck(*id, *address, *request_id).await?.map(|who| who.ctx)
            }
            Credential::Key(id) => {
                desk.identity.recheck_key(*id, *address, *request_id).await?.map(|holder| holder.ctx)
            }
            Credential::Local | Credential::None => None,
        };
        Ok(ctx.map(Self))
    }
}

impl FromRequestParts<Desk> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        Ok(Self(credentials::who(parts, desk).await?.context().clone()))
    }
}

/// A request of a person in a session: for what is about sessions themselves, and nothing to a key.
pub(crate) struct InSession(pub Authenticated);

impl FromRequestParts<Desk> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        match credentials::who(parts, desk).await? {
            LetIn::Session(who) => Ok(Self(Arc::unwrap_or_clone(who))),
            LetIn::Key(_) => Err(Problem::new(Code::SessionNeeded)),
        }
    }
}

/// The value of the cookie of a session, if one was sent.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
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
    let shown = Shown::read(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let arrival = request.extensions().get::<Arrival>().copied();
    let response = next.run(request).await;
    let of_problem = response.extensions().get::<Problem>().and_then(|problem| problem.denied.clone());
    let of_bot = response.extensions().get::<DeniedToBot>().map(|denied| denied.0.clone());
    let denied = of_problem.or(of_bot);
    if let (Some(why), Ok(shown), Some(arrival)) = (denied, shown, arrival) {
        record_denied(&desk, &shown, arrival, &method, &path, why).await;
    }
    response
}

async fn record_denied(
    desk: &Desk,
    shown: &Shown,
    arrival: Arrival,
    method: &Method,
    path: &str,
    why: Box<str>,
) {
    let Ok(who) = shown.let_in(desk, arrival).await else { return };
    let entry = domain::AuditEntry::by(who.context(), "access.denied")
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
