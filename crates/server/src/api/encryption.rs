//! Public keys for which answers are encrypted.

use axum::extract::State;
use axum::http::StatusCode;
use domain::{Context, KeyId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vault::Recipient;

use super::words::At;
use crate::Desk;
use crate::idempotency::Key;
use crate::jose;
use crate::json::{Json, LARGEST_ORDER, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::{InSession, SignedIn};

/// Most API keys that are looked through.
const MOST_KEYS: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(encryption_keys, register, remove))
}

/// A public key for which answers are encrypted.
#[derive(Serialize, ToSchema)]
struct EncryptionKey {
    /// The API key whose answers it is for; `null`: those of one's sessions, and of API keys that have none of their own.
    #[schema(required)]
    key_id: Option<String>,
    /// The public key as a JWK (RFC 7517).
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    jwk: serde_json::Value,
    /// Its thumbprint (RFC 7638): the `kid` of what is encrypted for it.
    thumbprint: String,
    registered_at: At,
}

/// One's public keys.
#[derive(Serialize, ToSchema)]
struct EncryptionKeyList {
    items: Vec<EncryptionKey>,
}

/// Public keys for which answers are encrypted
///
/// One's own. A request with `Accept: application/jose` is answered as a compact JWE (RFC 7516; `ECDH-ES`, `A256GCM`).
#[utoipa::path(get, path = "/api/v1/encryption-keys", tag = "Keys",
    responses((status = 200, body = EncryptionKeyList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn encryption_keys(
    State(desk): State<Desk>,
    who: SignedIn,
) -> Result<axum::Json<EncryptionKeyList>, Problem> {
    let registered = jose::registered(&desk, user(who.context())?).await?;
    let items = registered.into_iter().map(|one| EncryptionKey {
        key_id: one.key.map(|key| key.to_string()),
        jwk: one.recipient.jwk(),
        thumbprint: one.recipient.thumbprint(),
        registered_at: At(one.at),
    });
    Ok(axum::Json(EncryptionKeyList { items: items.collect() }))
}

/// A public key to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEncryptionKey {
    /// The API key, one's own, whose answers it is for; without one those of one's sessions, and of API keys that have none of
    /// their own.
    #[schema(nullable = false)]
    key_id: Option<String>,
    /// The public key as a JWK: EC on P-256, or OKP on X25519. Never the private half.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    jwk: serde_json::Value,
}

/// Register a public key
///
/// In the place of the one before. Needs a second factor shown within the last 5 minutes. Repeating it changes nothing more.
#[utoipa::path(put, path = "/api/v1/encryption-keys", tag = "Keys", request_body = NewEncryptionKey, params(Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn register(
    State(desk): State<Desk>,
    InSession(who): InSession,
    Json(body): Json<NewEncryptionKey, LARGEST_ORDER>,
) -> Result<StatusCode, Problem> {
    let ctx = &who.ctx;
    let recipient = Recipient::read(&body.jwk)
        .map_err(|why| Problem::field(Code::FieldInvalid, "jwk", sentence(&why.to_string())))?;
    let key = own_key(&desk, ctx, body.key_id.as_deref()).await?;
    ctx.require_recent_factor()?;
    jose::register(&desk, ctx, user(ctx)?, key, recipient).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct RemoveQuery {
    /// The API key whose it is; without one that of one's sessions.
    key_id: Option<String>,
}

/// Take a public key away
///
/// Needs a second factor shown within the last 5 minutes.
#[utoipa::path(delete, path = "/api/v1/encryption-keys", tag = "Keys", params(RemoveQuery, Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove(
    State(desk): State<Desk>,
    InSession(who): InSession,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode, Problem> {
    let ctx = &who.ctx;
    let key = own_key(&desk, ctx, query.key_id.as_deref()).await?;
    ctx.require_recent_factor()?;
    match jose::remove(&desk, ctx, user(ctx)?, key).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Code::NotFound)),
    }
}

fn user(ctx: &Context) -> Result<UserId, Problem> {
    ctx.user_id().ok_or_else(|| Problem::new(Code::NotSignedIn))
}

/// An API key of the caller's own; another's does not exist.
async fn own_key(desk: &Desk, ctx: &Context, id: Option<&str>) -> Result<Option<KeyId>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let missing = || Problem { field: Some("key_id".into()), ..Problem::new(Code::NotFound) };
    let id: KeyId = id.parse().map_err(|_| missing())?;
    let own = desk.identity.keys(ctx, ctx.user_id(), None, MOST_KEYS).await?;
    own.iter().any(|key| key.id == id).then_some(Some(id)).ok_or_else(missing)
}
