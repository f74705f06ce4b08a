//! Bodies and queries, read strictly: what is not understood is refused, never ignored.
//!
//! A body is JSON of a known type and size; a key that comes twice, a field that does not exist, a value of the
//! wrong kind each get a [`Problem`] that names the field.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::problem::{Code, Problem};

/// Most bytes of a body.
pub(crate) const LARGEST: usize = 1 << 20;
/// Most bytes of the body of an order.
pub(crate) const LARGEST_ORDER: usize = 16 << 10;
/// Longest time for a body to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
const DEEPEST: usize = 64;
const MOST_KEYS: usize = 1000;

/// A body of type `T`, of at most `MOST` bytes.
pub(crate) struct Json<T, const MOST: usize = LARGEST>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const MOST: usize> FromRequest<S> for Json<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(&bytes::<MOST>(request).await?).map(Self)
    }
}

/// A body that is said to be JSON, of at most `MOST` bytes, for [`read`].
pub(crate) async fn bytes<const MOST: usize>(request: Request) -> Result<axum::body::Bytes, Problem> {
    if !is(&request, "application/json") {
        return Err(Problem::with(Code::ContentType, "The body must be sent as application/json."));
    }
    body(request.into_body(), MOST).await
}

/// A body of at most `MOST` bytes, whatever it is said to be, for [`read`].
pub(crate) async fn any_bytes<const MOST: usize>(request: Request) -> Result<axum::body::Bytes, Problem> {
    body(request.into_body(), MOST).await
}

/// A form that a page sent.
pub(crate) struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is(&request, "application/x-www-form-urlencoded") {
            return Err(Problem::with(
                Code::ContentType,
                "A form is sent as application/x-www-form-urlencoded.",
            ));
        }
        read_pairs(&body(request.into_body(), LARGEST_ORDER).await?).map(Self)
    }
}

/// The part of the address after the question mark.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_pairs(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// The ids in a path. One that is malformed names nothing, so the answer is that there is no such thing.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Problem::new(Code::NotFound))
    }
}

fn is(request: &Request, wanted: &str) -> bool {
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// All of a body of at most `most` bytes.
pub(crate) async fn body(body: Body, most: usize) -> Result<axum::body::Bytes, Problem> {
    match tokio::time::timeout(PATIENCE, to_bytes(body, most)).await {
        Err(_) => Err(Problem::new(Code::BodyTooSlow)),
        // Too long, or the connection broke: then nobody reads the answer.
        Ok(Err(_)) => {
            Err(Problem { limit: Some(most.to_string().into()), ..Problem::new(Code::BodyTooLarge) })
        }
        Ok(Ok(bytes)) => {
            fail::fail_point!("K0", |_| Err(Problem::new(Code::BodyTooSlow)));
            Ok(bytes)
        }
    }
}

/// Whether an object has a field; where two types of body are told apart by one.
pub(crate) fn has_field(bytes: &[u8], field: &str) -> Result<bool, Problem> {
    check(bytes)?;
    let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(bytes).ok();
    Ok(object.is_some_and(|fields| fields.contains_key(field)))
}

/// A body as a type.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check(bytes)?;
    // Serde would also take a list of the fields' values, in order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::field(Code::FieldInvalid, "body", "The body must be a JSON object."));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        wrong_field(&path, &without_position(&e.into_inner().to_string()))
    })
}

fn read_pairs<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(bytes));
    serde_path_to_error::deserialize(pairs).map_err(|e| {
        let path = e.path().to_string();
        wrong_field(&path, &e.into_inner().to_string())
    })
}

/// Turns what serde says into a problem with a code.
fn wrong_field(path: &str, message: &str) -> Problem {
    let path = if path == "." { "" } else { path };
    let named =
        |prefix| message.strip_prefix(prefix).and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    if let Some(name) = named("unknown field `") {
        let allowed = message.split_once("expected").map_or("", |(_, allowed)| allowed.trim());
        let allowed = allowed.trim_start_matches("one of").trim().replace('`', "");
        return Problem::field(
            Code::FieldUnknown,
            name,
            if allowed.is_empty() {
                format!("There is no field {name}.")
            } else {
                format!("There is no field {name}; there are: {allowed}.")
            },
        );
    }
    if let Some(name) = named("missing field `") {
        let field = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        return Problem::field(Code::FieldMissing, &field, format!("The field {field} is missing."));
    }
    if let Some(name) = named("duplicate field `") {
        return Problem::field(Code::FieldInvalid, name, format!("The field {name} is given twice."));
    }
    let field = if path.is_empty() { "body" } else { path };
    Problem::field(Code::FieldInvalid, field, crate::problem::sentence(message))
}

/// `... at line 1 column 17` is of no use to somebody who generated the body.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(before, _)| before).to_owned()
}

/// Well-formed, no key twice, not too deep, not too many keys. Builds nothing.
fn check(bytes: &[u8]) -> Result<(), Problem> {
    let mut keys = 0;
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let walk = Walk { depth: 0, keys: &mut keys, found: &mut found };
    let done = walk.deserialize(&mut json).and_then(|()| json.end());
    match (done, found) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(problem)) => Err(problem),
        (Err(e), None) => Err(Problem::with(Code::JsonInvalid, crate::problem::sentence(&e.to_string()))),
    }
}

struct Walk<'w> {
    depth: usize,
    keys: &'w mut usize,
    found: &'w mut Option<Problem>,
}

impl Walk<'_> {
    fn inner(&mut self) -> Walk<'_> {
        Walk { depth: self.depth + 1, keys: self.keys, found: self.found }
    }

    fn refuse<E: de::Error>(&mut self, problem: Problem) -> E {
        *self.found = Some(problem);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<(), D::Error> {
        if self.depth > DEEPEST {
            return Err(self.refuse(Problem::new(Code::JsonTooComplex)));
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            *self.keys += 1;
            if *self.keys > MOST_KEYS {
                return Err(self.refuse(Problem::new(Code::JsonTooComplex)));
            }
            if seen.contains(&key) {
                let detail = format!("The key {key} is there twice.");
                return Err(self.refuse(Problem::field(Code::JsonDuplicateKey, &key, detail)));
            }
            seen.insert(key);
            entries.next_value_seed(self.inner())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Ticket {
        quantity: domain::Quantity,
        #[serde(default)]
        tags: Vec<Tag>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Tag {
        name: String,
    }

    fn refused(body: &str, code: &str, field: &str) {
        let problem = read::<Ticket>(body.as_bytes()).expect_err(body);
        assert_eq!((problem.code.as_str(), problem.field.as_deref().unwrap_or("")), (code, field), "{body}");
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert!(read::<Ticket>(br#"{"quantity":"1.5","tags":[{"name":"x"}]}"#).is_ok());
        refused(r#"{"quantity":"1","size":2}"#, "field_unknown", "size");
        refused(r#"{"quantity":"1","tags":[{"name":"x","colour":1}]}"#, "field_unknown", "colour");
        refused("{}", "field_missing", "quantity");
        refused(r#"{"quantity":"1","tags":[{}]}"#, "field_missing", "tags[0].name");
        refused(r#"{"quantity":1.5}"#, "field_invalid", "quantity");
        refused(r#"{"quantity":"1e5"}"#, "field_invalid", "quantity");
        refused(r#"{"quantity":null}"#, "field_invalid", "quantity");
        refused(r#"["1"]"#, "field_invalid", "body");
        refused("7", "field_invalid", "body");
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_at_any_depth() {
        refused(r#"{"quantity":"1","quantity":"2"}"#, "json_duplicate_key", "quantity");
        refused(r#"{"quantity":"1","tags":[{"name":"a","n\u0061me":"b"}]}"#, "json_duplicate_key", "name");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in ["", "{", "{]", "{\"a\":1}}", "nul", "\"\u{0}\"", "{'a':1}", "NaN"] {
            refused(body, "json_invalid", "");
        }
        let problem = read::<Ticket>(b"{\"quantity\":\"\xff\"}").expect_err("not UTF-8");
        assert_eq!(problem.code, Code::JsonInvalid);
    }

    #[test]
    fn depth_and_number_of_keys_have_a_limit() {
        let deep = format!("{}{}", "[".repeat(66), "]".repeat(66));
        refused(&deep, "json_too_complex", "");
        let wide: Vec<_> = (0..1001).map(|n| format!("\"k{n}\":0")).collect();
        refused(&format!("{{{}}}", wide.join(",")), "json_too_complex", "");
    }
}
