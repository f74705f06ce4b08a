//! A write under an `Idempotency-Key` is done once, whatever it is.
//!
//! The key is noted, durably, before the handler begins, and with the answer when it is done. So the same request again gets
//! the first answer; while it is being done it is told to wait; and when the desk died in the middle, so that nobody can
//! say whether it was done, that is said rather than guessed. A refusal did nothing and gives the key back.
//!
//! Not kept are answers with a secret (their schema says so): what the database holds must not let anybody in.

use std::collections::HashSet;
use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{Context, Credential};
use serde_json::Value;

use super::store::{self, Found, Name};
use super::{Key, fingerprint};
use crate::Desk;
use crate::access::Rule;
use crate::json;
use crate::problem::{Code, Problem};
use crate::rates::Class;

/// Largest answer that is kept.
const LARGEST_KEPT: usize = 256 << 10;
/// Largest answer there is; the handlers have it in memory already.
const LARGEST_OF_ALL: usize = 64 << 20;

/// Writes that are done once by themselves: by the client order id, or with an answer of their own in the same
/// transaction; and those that are about a session, where another answer is due each time.
const BY_THEMSELVES: &[(&str, &str)] = &[
    ("POST", "/api/v1/accounts/{id}/orders"),
    ("POST", "/api/v1/accounts/{id}/orders/preview"),
    ("POST", "/api/v1/accounts/{id}/positions/{symbol}/close"),
    ("PATCH", "/api/v1/orders/{id}"),
    ("POST", "/api/v1/keys"),
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/webhooks"),
];

/// Whether a request is to be done once by means of its key.
pub(crate) fn applies(rule: &Rule, class: Class, request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let has_key = request.headers().contains_key("idempotency-key");
    let is_of_session = ["/api/v1/session", "/api/v1/factors"].iter().any(|one| rule.path.starts_with(one));
    let by_itself = BY_THEMSELVES.contains(&(rule.method, rule.path));
    has_key && !reads && class != Class::Free && !is_of_session && !by_itself
}

/// Does a request of `ctx`, or answers as it was answered before.
pub(crate) async fn run(desk: &Desk, ctx: &Context, rule: &Rule, request: Request, next: Next) -> Response {
    let key = match Key::read(request.headers()) {
        Ok(Some(key)) => key,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let (parts, body) = request.into_parts();
    let bytes = match json::body(body, json::LARGEST).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let route = format!("{} {}", parts.method, parts.uri.path_and_query().map_or("", |path| path.as_str()));
    // The same fields in another order are the same request.
    let fingerprint = match serde_json::from_slice::<Value>(&bytes) {
        Ok(body) => fingerprint(&route, &body),
        Err(_) => fingerprint(&route, &&*bytes),
    };
    let name = Name { principal: principal(ctx), key };
    let (wanted, epoch, now) = (name.clone(), desk.hub.epoch.to_string(), ctx.at);
    let claim = desk
        .db
        .write(move |tx| Box::pin(async move { store::claim(tx, &wanted, &fingerprint, &epoch, now).await }));
    match claim.await {
        Ok(Found::New) => {}
        Ok(found) => return repeated(found),
        Err(error) => return Problem::from(error).into_response(),
    }
    let has_secret = is_secret(rule);
    let (desk, request) = (desk.clone(), Request::from_parts(parts, Body::from(bytes)));
    // In a task of its own: who hangs up in the middle must find the answer when they ask again.
    let doing = tokio::spawn(async move {
        let response = next.run(request).await;
        settle(&desk, name, response, has_secret).await
    });
    match doing.await {
        Ok(response) => response,
        Err(error) => Problem::internal("a handler panicked", &error).into_response(),
    }
}

/// What a request is answered that was there before.
fn repeated(found: Found) -> Response {
    let problem = match found {
        Found::Done { status, answer } if !answer.is_empty() || status == 204 => {
            return again(status, answer);
        }
        Found::Done { .. } => Problem::new(Code::AnswerNotKept),
        Found::Running => Problem::new(Code::IdempotencyRunning),
        Found::InDoubt | Found::New => Problem::new(Code::IdempotencyInDoubt),
        Found::Different => Problem::new(Code::IdempotencyConflict),
        Found::Full => {
            let limit = Some(store::MOST.to_string().into());
            Problem { limit, ..Problem::new(Code::IdempotencyFull) }
        }
    };
    problem.into_response()
}

fn again(status: u16, answer: String) -> Response {
    let mut response = StatusCode::from_u16(status).unwrap_or(StatusCode::OK).into_response();
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    if !answer.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(answer);
    }
    response
}

/// Notes how a write ended.
async fn settle(desk: &Desk, name: Name, response: Response, has_secret: bool) -> Response {
    let refused = response.extensions().get::<Problem>().map(|problem| problem.code);
    let (response, kept) = match refused {
        Some(_) => (response, None),
        None => keepable(response, has_secret).await,
    };
    let status = response.status().as_u16();
    let noted = desk.db.write(move |tx| {
        Box::pin(async move {
            match (refused, kept) {
                // The write may have come through before something broke.
                (Some(Code::Internal | Code::StorageUnavailable | Code::JournalUnavailable), _) => {
                    store::doubt(tx, &name).await
                }
                (Some(_), _) => store::release(tx, &name).await,
                (None, kept) => store::keep(tx, &name, status, &kept.unwrap_or_default()).await,
            }
        })
    });
    if let Err(error) = noted.await {
        tracing::error!(%error, "the answer to a write could not be kept under its Idempotency-Key");
    }
    response
}

/// An answer, with its text where that may be kept.
async fn keepable(response: Response, has_secret: bool) -> (Response, Option<String>) {
    if has_secret {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    match to_bytes(body, LARGEST_OF_ALL).await {
        Ok(bytes) => {
            let text = String::from_utf8(bytes.to_vec()).ok().filter(|text| text.len() <= LARGEST_KEPT);
            (Response::from_parts(parts, Body::from(bytes)), text)
        }
        Err(error) => (Problem::internal("an answer cannot be read", &error).into_response(), None),
    }
}

/// Whose key it is: a person's sessions share theirs, each API key has its own.
fn principal(ctx: &Context) -> String {
    match &ctx.credential {
        Credential::Key(key) => format!("key/{key}"),
        _ => format!("{}/{}", ctx.principal.kind, ctx.principal.id.as_deref().unwrap_or_default()),
    }
}

/// Whether the answers of a route hold something that is shown once: a field whose format is `password`.
fn is_secret(rule: &Rule) -> bool {
    static SECRET: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| {
        let document: Value = serde_json::from_str(&crate::openapi()).expect("the document is JSON");
        secrets(&document)
    });
    SECRET.contains(&(rule.method.to_owned(), rule.path.to_owned()))
}

fn secrets(document: &Value) -> HashSet<(String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let routes = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, of)| (method, path, &of["responses"]))
    });
    routes
        .filter(|(_, _, answers)| has_password(document, answers, 0))
        .map(|(method, path, _)| (method.to_uppercase(), path.clone()))
        .collect()
}

fn has_password(document: &Value, part: &Value, depth: usize) -> bool {
    // Deeper than any answer; a type that has itself within ends here.
    if depth > 24 {
        return false;
    }
    match part {
        Value::Object(fields) => {
            let named = fields.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
            fields.get("format").is_some_and(|format| format == "password")
                || named
                    .and_then(|path| document.pointer(path))
                    .is_some_and(|of| has_password(document, of, depth + 1))
                || fields.values().any(|one| has_password(document, one, depth + 1))
        }
        Value::Array(items) => items.iter().any(|one| has_password(document, one, depth + 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_once_is_known_by_its_schema() {
        let document = serde_json::from_str(&crate::openapi()).unwrap();
        let secrets = secrets(&document);
        let is_secret = |method: &str, path: &str| secrets.contains(&(method.to_owned(), path.to_owned()));
        assert!(is_secret("POST", "/api/v1/keys") && is_secret("POST", "/api/v1/keys/{id}/rotate"));
        assert!(is_secret("POST", "/api/v1/users") && is_secret("POST", "/api/v1/users/{id}/invite"));
        assert!(!is_secret("POST", "/api/v1/accounts/{id}/books"));
    }
}
