//! API keys: what programs show instead of signing in.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{AccountId, KeyId, Timestamp, UserId};
use identity::once::Once;
use identity::{ApiKey, IssuedKey, KEY_LIFE, KeyError, KeyRefused};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::names::Who;
use super::page;
use super::words::{self, At};
use crate::Desk;
use crate::idempotency::{Key as IdempotencyKey, fingerprint};
use crate::json::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(keys, create_key))
        .routes(routes!(revoke_key))
        .routes(routes!(rotate_key))
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
struct Key {
    /// The public half. Limits and kill switches on what is done with the key are set on the scope `key/ID`.
    #[schema(example = "PKQ3ZJ7T2MXK5VBW4N6D")]
    id: String,
    name: String,
    /// In whose name it acts.
    owner: Who,
    /// The one account that it is for.
    account_id: String,
    /// The most that it may do; never more than its owner may at that moment.
    #[schema(value_type = Vec<words::Permission>)]
    scopes: Vec<domain::Permission>,
    /// From where it may be used; from anywhere where there are none.
    networks: Vec<String>,
    created_at: At,
    /// When it ends; `null`: never.
    #[schema(required)]
    expires_at: Option<At>,
    /// When it was last used, to the minute.
    #[schema(required)]
    last_used_at: Option<At>,
    /// From which address.
    #[schema(required)]
    last_used_from: Option<String>,
    #[schema(required)]
    revoked_at: Option<At>,
    /// Until when the secret before the last rotation is good too.
    #[schema(required)]
    former_secret_until: Option<At>,
}

impl Key {
    async fn new(desk: &Desk, key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            owner: Who::of(desk, &key.owner.to_string()).await,
            account_id: key.account.to_string(),
            scopes: key.scopes.iter().collect(),
            networks: key.networks.iter().map(ToString::to_string).collect(),
            created_at: At(key.created_at),
            expires_at: key.expires_at.map(At),
            last_used_at: key.last_used_at.map(At),
            last_used_from: key.last_used_from,
            revoked_at: key.revoked_at.map(At),
            former_secret_until: key.former_secret_until.map(At),
        }
    }
}

/// API keys.
#[derive(Serialize, ToSchema)]
struct KeyList {
    items: Vec<Key>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct KeysQuery {
    /// Of this person, which needs keys.manage; without it one's own. `all`: of everybody.
    owner: Option<String>,
    /// At most so many, 1 to 1000; 1000 without.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// API keys
///
/// One's own, newest first, with those that are good no more. No key's secret is ever shown again.
#[utoipa::path(get, path = "/api/v1/keys", tag = "Keys", params(KeysQuery),
    responses((status = 200, body = KeyList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn keys(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<KeysQuery>,
) -> Result<axum::Json<KeyList>, Problem> {
    let owner: Option<UserId> = match query.owner.as_deref() {
        None => who.context().user_id(),
        Some("all") => None,
        Some(id) => {
            let invalid = |_| Problem::field(Code::FieldInvalid, "owner", "It is a person's id, or `all`.");
            Some(id.parse().map_err(invalid)?)
        }
    };
    let limit = page::limit_of_all(query.limit)?;
    let before: Option<(Timestamp, String)> = page::start("keys", query.cursor.as_deref())?;
    let before = before.map(|(at, id)| Ok::<_, Problem>((at, key_id(&id)?))).transpose()?;
    let mut found = desk.identity.keys(who.context(), owner, before, limit + 1).await?;
    let next_cursor = page::cut(&mut found, limit, "keys", |key| (key.created_at, key.id.to_string()));
    let mut items = Vec::with_capacity(found.len());
    for key in found {
        items.push(Key::new(&desk, key).await);
    }
    Ok(axum::Json(KeyList { items, next_cursor }))
}

/// A key to be made.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What you call it, 1 to 100 characters.
    name: String,
    /// The one account that it is for: one granted to you.
    #[schema(value_type = String)]
    account_id: AccountId,
    /// What it may do: some of market.view, accounts.view, orders.view, orders.place, orders.cancel and kill.engage, none
    /// that you lack.
    #[schema(value_type = Vec<words::Permission>)]
    scopes: Vec<domain::Permission>,
    /// From where it may be used, as `192.0.2.7` or `192.0.2.0/24`; from anywhere without.
    #[serde(default)]
    #[schema(required = false)]
    networks: Vec<String>,
    /// When it ends: after 90 days where it is left out, never where it is `null`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<At>, required = false)]
    expires_at: Option<Option<Timestamp>>,
}

/// Tells a field that is `null` from one that was left out.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// A key with its secret.
#[derive(Serialize, ToSchema)]
struct NewSecret {
    key: Key,
    /// Shown this once. With the id it is sent as `Authorization: Bearer ID.SECRET`, or as `APCA-API-KEY-ID` and
    /// `APCA-API-SECRET-KEY`.
    #[schema(format = Password)]
    secret: String,
}

impl NewSecret {
    async fn new(desk: &Desk, issued: IssuedKey) -> Self {
        Self { key: Key::new(desk, issued.key).await, secret: issued.secret.expose_secret().to_owned() }
    }
}

/// Make a key
///
/// For a program that acts in your name on one account. Needs a second factor shown within the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/keys", tag = "Keys", request_body = NewKey, params(IdempotencyKey),
    responses((status = 201, body = NewSecret), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn create_key(
    State(desk): State<Desk>,
    who: SignedIn,
    headers: HeaderMap,
    Json(body): Json<NewKey>,
) -> Result<(StatusCode, axum::Json<NewSecret>), Problem> {
    let fingerprint = fingerprint("POST /api/v1/keys", &body);
    let once = IdempotencyKey::read(&headers)?.map(|key| Once { key, fingerprint });
    let ctx = who.context();
    let new = identity::NewKey {
        account: body.account_id,
        name: body.name,
        scopes: body.scopes,
        networks: body.networks,
        expires_at: body.expires_at.unwrap_or_else(|| ctx.at.checked_add(KEY_LIFE).ok()),
    };
    let issued = desk.identity.create_key(ctx, new, once).await?;
    Ok((StatusCode::CREATED, axum::Json(NewSecret::new(&desk, issued).await)))
}

/// Revoke a key
///
/// At once and for ever: its next request is refused, and streams that it opened are closed. Orders that it placed stay.
/// Repeating it changes nothing more.
#[utoipa::path(delete, path = "/api/v1/keys/{id}", tag = "Keys",
    params(("id" = String, Path, description = "The key."), IdempotencyKey),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn revoke_key(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    IdempotencyKey::read(&headers)?;
    desk.identity.revoke_key(who.context(), key_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a secret is replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// For how many hours the former secret stays good too, 0 to 168; 0 without.
    #[serde(default)]
    #[schema(required = false)]
    overlap_hours: u32,
}

/// Give a key another secret
///
/// The id stays, and with it limits, history and what it may do. Needs a second factor shown within the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", tag = "Keys", request_body = Rotation,
    params(("id" = String, Path, description = "The key."), IdempotencyKey),
    responses((status = 200, body = NewSecret), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn rotate_key(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Rotation>,
) -> Result<axum::Json<NewSecret>, Problem> {
    IdempotencyKey::read(&headers)?;
    let overlap = Duration::from_secs(u64::from(body.overlap_hours) * 3600);
    let issued = desk.identity.rotate_key(who.context(), key_id(&id)?, overlap).await?;
    Ok(axum::Json(NewSecret::new(&desk, issued).await))
}

/// What has not the form of a key's id names none.
fn key_id(text: &str) -> Result<KeyId, Problem> {
    text.parse().map_err(|_| Problem::new(Code::NotFound))
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let said = sentence(&error.to_string());
        let field = |field| Self::field(Code::FieldInvalid, field, said.clone());
        match error {
            KeyError::StepUp(needed) => Self::from(needed).on_record(),
            KeyError::NotSignedIn => Self::new(Code::SessionNeeded),
            KeyError::Denied(denied) => denied.into(),
            KeyError::NotFound => Self::new(Code::NotFound),
            KeyError::NotYours => Self::with(Code::Forbidden, said),
            KeyError::OnceConflict => Self::new(Code::IdempotencyConflict),
            KeyError::MadeBefore { key } => {
                Self { value: Some(key.into()), ..Self::with(Code::KeyMadeBefore, said) }
            }
            KeyError::NameInvalid => field("name"),
            KeyError::NotForKeys { .. } | KeyError::NoScope => field("scopes"),
            KeyError::NetworkInvalid(_) | KeyError::TooManyNetworks { .. } => field("networks"),
            KeyError::ExpiryPast => field("expires_at"),
            KeyError::OverlapTooLong { .. } => field("overlap_hours"),
            KeyError::Over => Self::new(Code::KeyOver),
            KeyError::TooMany { .. } => Self::with(Code::TooManyKeys, said),
            KeyError::Storage(error) => error.into(),
        }
    }
}

impl From<KeyRefused> for Problem {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Wrong => Self::new(Code::KeyRefused),
            KeyRefused::Unusable { why } => Self::with(Code::KeyRefused, sentence(why)),
            KeyRefused::TooMany { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::TooManyAttempts) }
            }
            KeyRefused::Storage(error) => error.into(),
        }
    }
}
