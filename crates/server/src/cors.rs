//! Pages of other sites: none may read what the desk answers, but those that the settings name.
//!
//! Such a page shows an API key in a header. The cookie of a session is of no use to it: the browser does not send it to
//! another site, it is not asked to, and a request that has one is refused as foreign.

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem};
use crate::session;
use crate::settings::Settings;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str =
    "Accept, Authorization, Content-Type, Idempotency-Key, APCA-API-KEY-ID, APCA-API-SECRET-KEY";
/// What a page may read of an answer beside its body.
const EXPOSED: &str = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, Deprecation, Sunset, \
     Link, Allow";
/// How long a browser remembers that it may, in seconds.
const REMEMBERED: &str = "600";

/// The origin of a request when it is one that the settings name, letter by letter.
pub(crate) fn listed<'h>(settings: &Settings, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let mut given = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (given.next(), given.next()) else { return None };
    origin.to_str().ok().filter(|origin| settings.has_origin(origin)).map(|_| origin)
}

/// Whether a page of another site sent the request, and may: it is listed, and brings no cookie.
pub(crate) fn may(settings: &Settings, headers: &HeaderMap) -> bool {
    listed(settings, headers).is_some() && session::session_cookie(headers).is_none()
}

/// What a browser is told that asks before it sends a page's request.
pub(crate) fn answer_preflight(settings: &Settings, headers: &HeaderMap) -> Response {
    let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || listed(settings, headers).is_none() {
        return Problem::new(Code::MethodNotAllowed).into_response();
    }
    let told: [(HeaderName, &str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    (StatusCode::NO_CONTENT, told).into_response()
}

/// Lets the page read the answer, where it may. Says to caches that others may not.
pub(crate) fn tell(settings: &Settings, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    if settings.origins.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}
