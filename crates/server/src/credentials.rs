//! What a request shows to be let in: the cookie of a session, or an API key.
//!
//! A key comes in one of three forms, on every path: `Authorization: Bearer ID.SECRET`, which is ours;
//! `APCA-API-KEY-ID` and `APCA-API-SECRET-KEY`, which programs made for Alpaca send; and `Authorization: Basic` with the id
//! as the name and the secret as the password, which their data clients can. Two credentials in one request are none: which
//! one is meant cannot be known. A key is never read from an address.

use std::sync::Arc;

use axum::extract::FromRequestParts as _;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Context;
use identity::{Authenticated, KeyHolder};
use secrecy::SecretString;

use crate::Desk;
use crate::guard::Arrival;
use crate::problem::{Code, Problem};
use crate::session::session_cookie;

const KEY_ID: HeaderName = HeaderName::from_static("apca-api-key-id");
const KEY_SECRET: HeaderName = HeaderName::from_static("apca-api-secret-key");

/// The two halves of an API key as they were given.
pub(crate) struct ShownKey {
    pub id: String,
    pub secret: SecretString,
}

/// What was shown.
pub(crate) enum Shown {
    Nothing,
    Session(String),
    Key(ShownKey),
}

/// Whoever was let in.
#[derive(Clone)]
pub(crate) enum LetIn {
    Session(Arc<Authenticated>),
    Key(Arc<KeyHolder>),
}

/// Who a request is of, or why nobody: asked once, and left on the request for whoever wants to know.
#[derive(Clone)]
pub(crate) struct Known(pub Result<LetIn, Problem>);

/// Who a request is of.
pub(crate) async fn who(parts: &mut Parts, desk: &Desk) -> Result<LetIn, Problem> {
    if let Some(Known(known)) = parts.extensions.get() {
        return known.clone();
    }
    let arrival = Arrival::from_request_parts(parts, desk).await?;
    Shown::read(&parts.headers)?.let_in(desk, arrival).await
}

impl LetIn {
    pub(crate) fn context(&self) -> &Context {
        match self {
            Self::Session(who) => &who.ctx,
            Self::Key(holder) => &holder.ctx,
        }
    }
}

impl Shown {
    /// What a request shows.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let cookie = session_cookie(headers).map(str::to_owned);
        match (cookie, shown_key(headers)?) {
            (None, None) => Ok(Self::Nothing),
            (Some(cookie), None) => Ok(Self::Session(cookie)),
            (None, Some(key)) => Ok(Self::Key(key)),
            (Some(_), Some(_)) => Err(Problem::new(Code::TwoCredentials)),
        }
    }

    /// Who that is.
    pub(crate) async fn let_in(&self, desk: &Desk, arrival: Arrival) -> Result<LetIn, Problem> {
        match self {
            Self::Nothing => Err(Problem::new(Code::NotSignedIn)),
            Self::Session(token) => {
                let found = desk.identity.authenticate(token, arrival.address, arrival.id).await?;
                let found = found.ok_or_else(|| Problem::new(Code::NotSignedIn))?;
                Ok(LetIn::Session(Arc::new(found)))
            }
            Self::Key(key) => {
                let ShownKey { id, secret } = key;
                let holder = desk.identity.authenticate_key(id, secret, arrival.address, arrival.id).await?;
                Ok(LetIn::Key(Arc::new(holder)))
            }
        }
    }
}

/// The key of a request, in one of its forms.
fn shown_key(headers: &HeaderMap) -> Result<Option<ShownKey>, Problem> {
    let pair = match (only(headers, &KEY_ID)?, only(headers, &KEY_SECRET)?) {
        // Alpaca's own clients send both headers empty where they have no key.
        (None | Some(""), None | Some("")) => None,
        (Some(id), Some(secret)) => Some(ShownKey { id: id.to_owned(), secret: secret.into() }),
        (Some(_), None) | (None, Some(_)) => return Err(incomplete()),
    };
    let authorization = match only(headers, &AUTHORIZATION)? {
        Some(text) => Some(authorization(text).ok_or_else(incomplete)?),
        None => None,
    };
    match (pair, authorization) {
        (Some(_), Some(_)) => Err(Problem::new(Code::TwoCredentials)),
        (pair, authorization) => Ok(pair.or(authorization)),
    }
}

fn incomplete() -> Problem {
    let detail = "An API key has two halves: APCA-API-KEY-ID and APCA-API-SECRET-KEY, or Authorization: Bearer ID.SECRET.";
    Problem::with(Code::KeyRefused, detail)
}

fn authorization(text: &str) -> Option<ShownKey> {
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let (id, secret) = rest.split_once('.')?;
        Some(ShownKey { id: id.to_owned(), secret: secret.into() })
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some(ShownKey { id: id.to_owned(), secret: secret.into() })
    } else {
        None
    }
}

/// A header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut given = headers.get_all(name).iter();
    let (first, more) = (given.next(), given.next());
    if more.is_some() {
        return Err(Problem::new(Code::TwoCredentials));
    }
    first.map(HeaderValue::to_str).transpose().map_err(|_| incomplete())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(lines: &[(&'static str, &'static str)]) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match Shown::read(&headers).map_err(|problem| problem.code)? {
            Shown::Nothing => Ok("nothing".to_owned()),
            Shown::Session(token) => Ok(format!("session {token}")),
            Shown::Key(key) => Ok(format!("key {} {}", key.id, key.secret.expose_secret())),
        }
    }

    #[test]
    fn a_key_is_read_in_each_of_its_forms() {
        assert_eq!(read(&[]).as_deref(), Ok("nothing"));
        assert_eq!(read(&[("cookie", "__Host-session=t")]).as_deref(), Ok("session t"));
        assert_eq!(read(&[("authorization", "Bearer PK1.stk_s.x")]).as_deref(), Ok("key PK1 stk_s.x"));
        assert_eq!(read(&[("authorization", "Basic UEsxOnN0a19z")]).as_deref(), Ok("key PK1 stk_s"));
        let pair = [("apca-api-key-id", "PK1"), ("apca-api-secret-key", "stk_s")];
        assert_eq!(read(&pair).as_deref(), Ok("key PK1 stk_s"));
    }

    #[test]
    fn half_a_key_is_none_and_two_credentials_are_none() {
        for half in [
            [("apca-api-key-id", "PK1")],
            [("apca-api-secret-key", "s")],
            [("authorization", "Bearer PK1")],
            [("authorization", "Basic !")],
            [("authorization", "Digest PK1.s")],
        ] {
            assert_eq!(read(&half), Err(Code::KeyRefused), "{half:?}");
        }
        let two: [&[_]; 3] = [
            &[("cookie", "__Host-session=t"), ("authorization", "Bearer PK1.s")],
            &[("authorization", "Bearer PK1.s"), ("authorization", "Bearer PK1.s")],
            &[("apca-api-key-id", "PK1"), ("apca-api-secret-key", "s"), ("authorization", "Bearer PK1.s")],
        ];
        for two in two {
            assert_eq!(read(two), Err(Code::TwoCredentials), "{two:?}");
        }
    }
}
