//! `Idempotency-Key`: the caller's name for a write, under which it is done once however often it is sent.
//!
//! Orders have it as their client order id, and a new person's or API key's record is made in the same transaction. What takes
//! risk away (canceling, pulling a kill switch) is the same however often it is sent, and waits for no record of a key. All
//! other writes are done by [`once`].

pub(crate) mod once;
mod store;

use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

/// The header.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Key {
    /// A name for this write, 1 to 64 characters of A-Z, a-z, 0-9 and _.:- (a UUID will do).
    #[param(rename = "Idempotency-Key")]
    #[expect(dead_code, reason = "only its documentation is used")]
    idempotency_key: Option<String>,
}

impl Key {
    /// The key of a request; `None` when it has none.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
        let mut given = headers.get_all("idempotency-key").iter();
        let (Some(key), more) = (given.next(), given.next()) else { return Ok(None) };
        let key = key.to_str().unwrap_or_default();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
        if more.is_some() || key.is_empty() || key.len() > 64 || !key.bytes().all(allowed) {
            let field = Some("Idempotency-Key".into());
            return Err(Problem { field, ..Problem::new(Code::IdempotencyKeyInvalid) });
        }
        Ok(Some(key.to_owned()))
    }
}

/// What tells two requests under the same key apart: SHA-256 of the route and the body as it was understood.
pub(crate) fn fingerprint(route: &str, body: &impl Serialize) -> String {
    let body = serde_json::to_vec(body).expect("a body that was read can be written");
    vault::crypto::hex(&vault::crypto::sha256(&[route.as_bytes(), b"\n", &body].concat()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_a_short_plain_word_given_once() {
        let read = |keys: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append("idempotency-key", HeaderValue::from_static(key));
            }
            Key::read(&headers).map_err(|problem| problem.code)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["a-B_7.:"]), Ok(Some("a-B_7.:".to_owned())));
        for bad in [&["a", "a"][..], &[""], &["a b"], &["a/b"]] {
            assert_eq!(read(bad), Err(Code::IdempotencyKeyInvalid), "{bad:?}");
        }
    }
}
