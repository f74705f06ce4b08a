//! What every request passes, whoever answers it: an id, a check of where it comes from, headers on the way out.
//!
//! Outside in: [`finish`] gives the request its id, catches panics, writes problems out and sets the security
//! headers; [`refuse_foreign`] stops what a page of another site sends.

mod address;

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{RequestId, Timestamp};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;

use crate::Desk;
use crate::alpaca;
use crate::cors;
use crate::jose;
use crate::pages;
use crate::problem::{Code, Problem, ProblemBody};

/// What is known of a request before anybody asks who sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Its id: in the answer, in errors, in the log and in audit rows.
    pub id: RequestId,
    /// When it came in.
    pub at: Timestamp,
    /// The other end of the connection. Headers that claim another address are not believed, but those of a proxy that the
    /// settings name.
    pub address: Option<IpAddr>,
}

impl<S: Send + Sync> FromRequestParts<S> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Self>().copied();
        arrival.ok_or_else(|| Problem::internal("a route stands outside of the guard", &parts.uri.path()))
    }
}

/// The `nonce` that allows one page's own inline style.
#[derive(Clone)]
pub(crate) struct Nonce(pub Arc<str>);

impl Nonce {
    /// A new one, 256 random bits.
    pub(crate) fn random() -> Self {
        Self(vault::crypto::new_token().expose_secret().into())
    }
}

/// Gives a request its id, and its answer the form and the headers that all answers have.
pub(crate) async fn finish(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    let at = desk.clock.now();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let trusted = &desk.settings.trusted_proxies;
    let address = peer.map(|peer| address::of(peer, request.headers(), trusted));
    let arrival = Arrival { id: RequestId::new(at), at, address };
    request.extensions_mut().insert(arrival);
    jose::prepare(&mut request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let api = path.starts_with("/api/");
    let alpaca = path.strip_prefix(alpaca::PREFIX).is_some_and(|rest| rest.starts_with('/'));
    let form = match () {
        () if alpaca => Form::Alpaca,
        () if !api && accepts_html(request.headers()) => Form::Page,
        () => Form::Problem,
    };

    let origin = if api || alpaca { cors::listed(&desk.settings, request.headers()).cloned() } else { None };
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let mut response = if let Err(problem) = check_head(&desk, address, &request) {
        problem.into_response()
    } else if (api || alpaca) && method == Method::OPTIONS {
        cors::answer_preflight(&desk.settings, request.headers())
    } else if known.contains(&method) {
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                tracing::error!(request_id = %arrival.id, %method, ?path, "a handler panicked");
                Problem::new(Code::Internal).into_response()
            }
        }
    } else {
        Problem::new(Code::MethodNotAllowed).into_response()
    };
    if response.status() == axum::http::StatusCode::METHOD_NOT_ALLOWED
        && response.extensions().get::<Problem>().is_none()
    {
        // The router's own answer: it knows which methods there are, and says nothing else.
        response.extensions_mut().insert(Problem::new(Code::MethodNotAllowed));
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if problem.code.status().is_server_error() && problem.code != Code::SetUpRequired {
            tracing::warn!(request_id = %arrival.id, %method, ?path, code = problem.code.as_str(), "failed");
        }
        write_out(&mut response, &problem, &arrival, form);
    }
    tracing::debug!(request_id = %arrival.id, %method, ?path, status = response.status().as_u16(), "answered");
    let mut response = jose::seal(response).await;
    set_headers(response.headers_mut(), &arrival, api);
    if api || alpaca {
        cors::tell(&desk.settings, origin, response.headers_mut());
    }
    response
}

/// Longest address of a request, most header fields and most bytes of them.
const LONGEST_URI: usize = 8 << 10;
const MOST_FIELDS: usize = 100;
const LARGEST_FIELDS: usize = 32 << 10;

/// Refuses what comes from where nobody is let in, and heads that no client of the desk has a reason for.
fn check_head(desk: &Desk, address: Option<IpAddr>, request: &Request) -> Result<(), Problem> {
    if address.is_some_and(|address| !desk.settings.lets_in(address)) {
        return Err(Problem::new(Code::AddressRefused));
    }
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > LONGEST_URI {
        return Err(Problem::new(Code::UriTooLong));
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MOST_FIELDS || bytes > LARGEST_FIELDS {
        return Err(Problem::new(Code::HeadersTooLarge));
    }
    Ok(())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"))
}

/// How a problem is written out: as those read it who asked.
#[derive(Clone, Copy)]
enum Form {
    Page,
    Problem,
    Alpaca,
}

fn write_out(response: &mut Response, problem: &Problem, arrival: &Arrival, form: Form) {
    let id = arrival.id.to_string();
    let (kind, body) = match form {
        Form::Page => ("text/html; charset=utf-8", pages::problem(problem, &id).into_string()),
        Form::Problem => {
            let body = serde_json::to_string(&ProblemBody::new(problem, &id));
            ("application/problem+json", body.expect("a problem is only text and numbers"))
        }
        Form::Alpaca => {
            let (status, body) = alpaca::form_of(problem);
            *response.status_mut() = status;
            ("application/json", body)
        }
    };
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    for of_the_empty_body in [header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        headers.remove(of_the_empty_body);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = problem.retry_after {
        // Rounded up, so that whoever waits exactly that long is not early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
}

/// For answers that are not pages: nothing in them is ever run or shown as one.
const POLICY_OF_DATA: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// For pages that the server writes: our style sheet and our forms, no scripts at all.
pub(crate) const POLICY_OF_PAGES: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
     base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn set_headers(headers: &mut HeaderMap, arrival: &Arrival, api: bool) {
    const ALWAYS: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    );
    let id = arrival.id.to_string();
    headers.insert(X_REQUEST_ID, HeaderValue::from_str(&id).expect("an id is letters and digits"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let html =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let policy = if html { POLICY_OF_PAGES } else { POLICY_OF_DATA };
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    if api || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Refuses requests that change something and were sent by a page of another site.
///
/// Browsers say where such a request comes from (`Origin`, `Sec-Fetch-Site`) and pages cannot make them lie;
/// programs say nothing, and have no cookies of anybody else's.
pub(crate) async fn refuse_foreign(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_api = ["/api/", "/alpaca/"].iter().any(|one| request.uri().path().starts_with(one));
    let may = is_own(&desk, request.headers()) || (is_api && cors::may(&desk.settings, request.headers()));
    if !reads && !may {
        return Problem::new(Code::ForeignOrigin).into_response();
    }
    next.run(request).await
}

/// Whether a request comes from a page of the desk itself, or from no page at all.
pub(crate) fn is_own(desk: &Desk, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    match text(header::ORIGIN) {
        None => true,
        // A form on a page that sends no referrer calls its origin null; the browser's other word counts then.
        Some("null") => site == Some("same-origin"),
        Some(origin) if origin == desk.public_url.as_ref() => true,
        // The same desk under another of its names, such as 127.0.0.1 for localhost.
        Some(origin) => text(header::HOST).is_some_and(|host| origin.strip_prefix("https://") == Some(host)),
    }
}
