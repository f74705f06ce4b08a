//! What the API will not have for ever: said in the answers, in the document, and on the documentation's page.
//!
//! A route or a field never changes its meaning within `/api/v1`. What is to go gets a line here first, with a day before
//! which it will not be gone; `docs/api.md` says how a version ends.

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use utoipa::openapi::path::HttpMethod;
use utoipa::openapi::{Deprecated, OpenApi};

/// A route that is not to be used any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deprecation {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, as in the table of routes.
    pub path: &'static str,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Until when it answers at least, in seconds since 1970; `None`: that is not decided.
    pub sunset: Option<i64>,
    /// What to use in its place: an address in the documentation.
    pub link: &'static str,
}

/// All of them. None yet.
pub(crate) const DEPRECATED: &[Deprecation] = &[];

/// The line of a route, if it has one.
pub(crate) fn of(all: &'static [Deprecation], method: &str, path: &str) -> Option<&'static Deprecation> {
    all.iter().find(|one| one.method == method && one.path == path)
}

/// Says it on an answer: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and where to read on.
pub(crate) fn tell(headers: &mut HeaderMap, deprecation: &Deprecation) {
    let since = HeaderValue::from_str(&format!("@{}", deprecation.since));
    let sunset = deprecation.sunset.and_then(|at| Timestamp::from_second(at).ok());
    let sunset = sunset.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
    let link = HeaderValue::from_str(&format!("<{}>; rel=\"deprecation\"", deprecation.link));
    if let Ok(since) = since {
        headers.insert(HeaderName::from_static("deprecation"), since);
    }
    if let Some(Ok(sunset)) = sunset.map(|text| HeaderValue::from_str(&text)) {
        headers.insert(HeaderName::from_static("sunset"), sunset);
    }
    if let Ok(link) = link {
        headers.append(LINK, link);
    }
}

/// Marks them in the document.
pub(crate) fn mark(document: &mut OpenApi, all: &[Deprecation]) {
    for one in all {
        let Some(path) = document.paths.paths.get_mut(one.path) else { continue };
        let operation = match method(one.method) {
            Some(HttpMethod::Get) => path.get.as_mut(),
            Some(HttpMethod::Post) => path.post.as_mut(),
            Some(HttpMethod::Put) => path.put.as_mut(),
            Some(HttpMethod::Patch) => path.patch.as_mut(),
            Some(HttpMethod::Delete) => path.delete.as_mut(),
            _ => None,
        };
        if let Some(operation) = operation {
            operation.deprecated = Some(Deprecated::True);
        }
    }
}

fn method(name: &str) -> Option<HttpMethod> {
    Some(match name {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[Deprecation] = &[Deprecation {
        method: "GET",
        path: "/api/v1/fills",
        since: 1_767_225_600,
        sunset: Some(1_798_761_600),
        link: "/api/docs#fills",
    }];

    #[test]
    fn a_route_that_is_to_go_says_since_when_until_when_and_what_to_use() {
        let old = of(OLD, "GET", "/api/v1/fills").unwrap();
        assert!(of(OLD, "POST", "/api/v1/fills").is_none() && of(OLD, "GET", "/api/v1/orders").is_none());
        let mut headers = HeaderMap::new();
        tell(&mut headers, old);
        assert_eq!(headers["deprecation"], "@1767225600");
        assert_eq!(headers["sunset"], "Fri, 01 Jan 2027 00:00:00 GMT");
        assert_eq!(headers["link"], "</api/docs#fills>; rel=\"deprecation\"");
    }

    #[test]
    fn a_route_that_is_to_go_is_marked_in_the_document_and_no_other_is() {
        let mut document = crate::document();
        mark(&mut document, OLD);
        let document: serde_json::Value = serde_json::to_value(&document).unwrap();
        assert_eq!(document["paths"]["/api/v1/fills"]["get"]["deprecated"], true);
        assert!(document["paths"]["/api/v1/orders"]["get"]["deprecated"].is_null());
    }

    #[test]
    fn what_is_said_to_go_is_there() {
        for one in DEPRECATED {
            assert!(crate::access::of(one.method, one.path).is_some(), "{} {}", one.method, one.path);
            assert!(one.sunset.is_none_or(|sunset| one.since < sunset), "{} {}", one.method, one.path);
        }
    }
}
