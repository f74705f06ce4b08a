//! Answers that only whoever asked can read: encrypted for the public key that a person, or the owner of an API key, has
//! registered.
//!
//! Asked for with `Accept: application/jose`. TLS keeps an answer from the network; this keeps it from whatever ends the TLS,
//! and from logs of what stands between. Refusals of a caller who is known are encrypted too.

mod store;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use domain::{AuditEntry, Context, KeyId, Timestamp, UserId};
use storage::StorageError;
use vault::Recipient;

use crate::Desk;
use crate::problem::{Code, Problem};

/// What such an answer is called.
const TYPE: &str = "application/jose";
/// Largest answer there is; the handlers have it in memory already.
const LARGEST: usize = 64 << 20;

/// Left on an answer: whom it is for.
#[derive(Clone)]
pub(crate) struct For(pub Recipient);

/// A registered key.
pub(crate) struct Registered {
    /// The API key whose answers it is for; none: one's sessions, and those API keys that have none of their own.
    pub key: Option<KeyId>,
    pub recipient: Recipient,
    pub at: Timestamp,
}

/// Whether a caller wants its answers encrypted.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    let mut kinds =
        lines.flat_map(|line| line.split(',')).map(|kind| kind.split(';').next().unwrap_or_default());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case(TYPE))
}

/// Keeps an answer that is to be encrypted from being compressed: its length would tell of what is in it.
pub(crate) fn prepare(request: &mut Request) {
    if is_wanted(request.headers()) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
}

/// Whom the answers of a caller are encrypted for.
pub(crate) async fn recipient(desk: &Desk, ctx: &Context) -> Result<Recipient, Problem> {
    let user = ctx.user_id().ok_or_else(|| Problem::new(Code::NotSignedIn))?;
    let found = store::of_caller(&mut *desk.db.read().await?, user, ctx.key_id()).await?;
    found.ok_or_else(|| Problem::new(Code::EncryptionKeyMissing))
}

/// Encrypts an answer that is marked for somebody.
pub(crate) async fn seal(mut response: Response) -> Response {
    let Some(For(recipient)) = response.extensions_mut().remove::<For>() else { return response };
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return Problem::internal("an answer cannot be read", &"it broke off").into_response();
    };
    if bytes.is_empty() {
        return Response::from_parts(parts, Body::empty());
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim_start_matches("application/");
    let Some(sealed) = recipient.encrypt(&bytes, kind) else {
        return Problem::internal("an answer cannot be encrypted", &recipient.thumbprint()).into_response();
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(TYPE));
    Response::from_parts(parts, Body::from(sealed))
}

/// The keys that a person has registered.
pub(crate) async fn registered(desk: &Desk, user: UserId) -> Result<Vec<Registered>, StorageError> {
    store::of_user(&mut *desk.db.read().await?, user).await
}

/// Registers a key, in the place of the one before. Durable, with its audit row.
pub(crate) async fn register(
    desk: &Desk,
    ctx: &Context,
    user: UserId,
    key: Option<KeyId>,
    recipient: Recipient,
) -> Result<(), StorageError> {
    let entry = entry(ctx, "encryption_key.registered", user, key)
        .with(serde_json::json!({ "thumbprint": recipient.thumbprint() }));
    let at = ctx.at;
    let write = desk.db.write(move |tx| {
        tx.record(entry);
        Box::pin(async move { store::set(tx, user, key, &recipient, at).await })
    });
    write.await
}

/// Takes a key away; `false` when there was none.
pub(crate) async fn remove(
    desk: &Desk,
    ctx: &Context,
    user: UserId,
    key: Option<KeyId>,
) -> Result<bool, StorageError> {
    let entry = entry(ctx, "encryption_key.removed", user, key);
    let write = desk.db.write(move |tx| {
        Box::pin(async move {
            let was_there = store::remove(tx, user, key).await?;
            if was_there {
                tx.record(entry);
            }
            Ok(was_there)
        })
    });
    write.await
}

fn entry(ctx: &Context, act: &'static str, user: UserId, key: Option<KeyId>) -> AuditEntry {
    let entry = AuditEntry::by(ctx, act);
    match key {
        Some(key) => entry.on("key", key),
        None => entry.on("user", user),
    }
}
