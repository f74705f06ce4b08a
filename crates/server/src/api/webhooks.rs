//! Webhooks: addresses that are told what happens.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::AccountId;
use identity::once::Once;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Deserializer, Serialize};
use trading::outbox::EventKind;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use webhooks::{Attempt, Change, Delivery, Issued, WebhookError};

use super::words::{self, At};
use super::{millis, page};
use crate::Desk;
use crate::idempotency::{Key, fingerprint};
use crate::json::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(webhook, change_webhook, delete_webhook))
        .routes(routes!(test_webhook))
        .routes(routes!(rotate_webhook))
        .routes(routes!(webhook_deliveries))
        .routes(routes!(redeliver))
}

/// An address that is told what happens, without its secret.
#[derive(Serialize, ToSchema)]
struct Webhook {
    id: String,
    name: String,
    /// Where it goes.
    #[schema(example = "https://hooks.example/stockade")]
    url: String,
    /// The one account that it is about; `null`: every one that you may see at the moment.
    #[schema(required)]
    account_id: Option<String>,
    /// What it is told; everything where there are none.
    #[schema(value_type = Vec<words::EventKind>)]
    kinds: Vec<&'static str>,
    /// `failed`: the desk switched it off, as `reason` says.
    #[schema(value_type = words::WebhookState)]
    state: &'static str,
    #[schema(required)]
    reason: Option<String>,
    /// Since when every attempt failed; `null`: the last one succeeded.
    #[schema(required)]
    failing_since: Option<At>,
    /// Until when messages are signed with the secret before the last rotation too.
    #[schema(required)]
    former_secret_until: Option<At>,
    created_at: At,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(webhook: webhooks::Webhook) -> Self {
        Self {
            id: webhook.id.to_string(),
            name: webhook.name,
            url: webhook.url,
            account_id: webhook.account.map(|account| account.to_string()),
            kinds: webhook.kinds.into_iter().map(EventKind::as_str).collect(),
            state: webhook.state.as_str(),
            reason: webhook.reason,
            failing_since: webhook.failing_since.map(At),
            former_secret_until: webhook.former_until.map(At),
            created_at: At(webhook.created_at),
        }
    }
}

/// Webhooks.
#[derive(Serialize, ToSchema)]
struct WebhookList {
    items: Vec<Webhook>,
}

/// Your webhooks
///
/// Newest first. Nobody else sees them.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "Webhooks",
    responses((status = 200, body = WebhookList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list_webhooks(State(desk): State<Desk>, who: SignedIn) -> Result<axum::Json<WebhookList>, Problem> {
    let items = desk.webhooks.list(who.context()).await?;
    Ok(axum::Json(WebhookList { items: items.into_iter().map(Webhook::from).collect() }))
}

/// A webhook to be made.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// What you call it, 1 to 100 characters.
    name: String,
    /// Where it goes: `https` to a public address, port 443 or 8443, or what the operator allows.
    #[schema(example = "https://hooks.example/stockade")]
    url: String,
    /// The account that it is about; without one every account that you may see at the moment.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    account_id: Option<AccountId>,
    /// What it is told; everything without.
    #[serde(default)]
    #[schema(value_type = Vec<words::EventKind>, required = false)]
    kinds: Vec<String>,
}

/// A webhook with its secret.
#[derive(Serialize, ToSchema)]
struct WebhookSecret {
    webhook: Webhook,
    /// Shown this once. Messages are signed with it as Standard Webhooks says.
    #[schema(format = Password)]
    secret: String,
}

impl From<Issued> for WebhookSecret {
    fn from(Issued { webhook, secret }: Issued) -> Self {
        Self { webhook: webhook.into(), secret: secret.text().expose_secret().to_owned() }
    }
}

/// Make a webhook
///
/// It is told what happens from now on, as far as you may see it at that moment. Needs a second factor shown within the
/// last 5 minutes.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "Webhooks", request_body = NewWebhook, params(Key),
    responses((status = 201, body = WebhookSecret), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn create_webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    headers: HeaderMap,
    Json(body): Json<NewWebhook>,
) -> Result<(StatusCode, axum::Json<WebhookSecret>), Problem> {
    let fingerprint = fingerprint("POST /api/v1/webhooks", &body);
    let once = Key::read(&headers)?.map(|key| Once { key, fingerprint });
    let NewWebhook { name, url, account_id: account, kinds } = body;
    let new = webhooks::NewWebhook { name, url, account, kinds };
    let issued = desk.webhooks.create(who.context(), new, once).await?;
    Ok((StatusCode::CREATED, axum::Json(issued.into())))
}

/// A webhook
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 200, body = Webhook), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<Webhook>, Problem> {
    Ok(axum::Json(desk.webhooks.get(who.context(), id).await?.into()))
}

/// What is to be other about a webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    name: Option<String>,
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    url: Option<String>,
    /// `null`: every account that you may see at the moment.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, required = false)]
    account_id: Option<Option<AccountId>>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<words::EventKind>>, required = false, nullable = false)]
    kinds: Option<Vec<String>>,
    /// Whether it is told anything. What happened while it was off is not told afterwards.
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    on: Option<bool>,
}

/// Tells a field that is `null` from one that was left out.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<AccountId>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Change a webhook
///
/// What is left out stays. Where it goes and what it is told are changed only with a second factor shown within the last 5
/// minutes; its name and whether it is on without.
#[utoipa::path(patch, path = "/api/v1/webhooks/{id}", tag = "Webhooks", request_body = WebhookChange,
    params(("id" = String, Path, description = "The webhook."), Key),
    responses((status = 200, body = Webhook), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn change_webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<WebhookChange>,
) -> Result<axum::Json<Webhook>, Problem> {
    Key::read(&headers)?;
    let WebhookChange { name, url, account_id: account, kinds, on } = body;
    let change = Change { name, url, account, kinds, on };
    Ok(axum::Json(desk.webhooks.change(who.context(), id, change).await?.into()))
}

/// Delete a webhook
///
/// With its secret and with what was told to it. Nothing more is sent.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook."), Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn delete_webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    Key::read(&headers)?;
    desk.webhooks.delete(who.context(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An event on its way to a webhook.
#[derive(Serialize, ToSchema)]
struct WebhookDelivery {
    /// 1, 2, … within the webhook.
    seq: i64,
    /// The event's id, as the receiver reads it in `webhook-id`: the same in every attempt.
    event_id: String,
    /// A kind of event, `ping` or `events.missed`.
    #[schema(example = "order.changed")]
    kind: String,
    #[schema(required)]
    account_id: Option<String>,
    /// `withheld`: you might not see it any more when it was to be told.
    #[schema(value_type = words::DeliveryStatus)]
    status: &'static str,
    /// What is sent.
    body: String,
    /// How often it was tried.
    tried: u32,
    /// When it is tried next, while it waits.
    #[schema(required)]
    next_at: Option<At>,
    #[schema(required)]
    finished_at: Option<At>,
    /// Every attempt, oldest first.
    attempts: Vec<WebhookAttempt>,
}

/// One attempt to tell.
#[derive(Serialize, ToSchema)]
struct WebhookAttempt {
    at: At,
    duration_ms: u64,
    /// The status of the answer; `null`: there was none.
    #[schema(required)]
    http_status: Option<u16>,
    /// Why it does not count as told; `null`: it does.
    #[schema(required)]
    error: Option<String>,
    /// The beginning of the answer. Characters that could act are written out, as `\u{1b}`.
    #[schema(required)]
    answer: Option<String>,
}

impl From<Attempt> for WebhookAttempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: At(attempt.at),
            duration_ms: millis(attempt.took),
            http_status: attempt.http_status,
            error: attempt.error.as_deref().map(sentence),
            answer: attempt.answer,
        }
    }
}

impl From<Delivery> for WebhookDelivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            seq: delivery.seq,
            event_id: delivery.event,
            kind: delivery.kind,
            account_id: delivery.account.map(|account| account.to_string()),
            status: delivery.status.as_str(),
            body: delivery.body,
            tried: delivery.tried,
            next_at: delivery.next_at.map(At),
            finished_at: delivery.finished_at.map(At),
            attempts: delivery.attempts.into_iter().map(WebhookAttempt::from).collect(),
        }
    }
}

/// Test a webhook
///
/// Sends a `ping`, once, and says what came back. Also while it is off.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook."), Key),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn test_webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<axum::Json<WebhookDelivery>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.webhooks.test(who.context(), id).await?.into()))
}

/// How the secret of a webhook is replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRotation {
    /// For how many hours messages are signed with the former secret too, 0 to 168; 0 without.
    #[serde(default)]
    #[schema(required = false)]
    overlap_hours: u32,
}

/// Give a webhook another secret
///
/// Needs a second factor shown within the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate", tag = "Webhooks", request_body = WebhookRotation,
    params(("id" = String, Path, description = "The webhook."), Key),
    responses((status = 200, body = WebhookSecret), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn rotate_webhook(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<WebhookRotation>,
) -> Result<axum::Json<WebhookSecret>, Problem> {
    Key::read(&headers)?;
    let overlap = Duration::from_secs(u64::from(body.overlap_hours) * 3600);
    Ok(axum::Json(desk.webhooks.rotate(who.context(), id, overlap).await?.into()))
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
struct WebhookDeliveryList {
    items: Vec<WebhookDelivery>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    /// How many, 1 to 1000; 100 without.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What was told to a webhook
///
/// Newest first, with every attempt and the beginning of its answer: of the last 30 days, at most 10 000.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook."), DeliveriesQuery),
    responses((status = 200, body = WebhookDeliveryList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn webhook_deliveries(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<Uuid>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<axum::Json<WebhookDeliveryList>, Problem> {
    let limit = page::limit(query.limit)?;
    let before = page::start("webhook deliveries", query.cursor.as_deref())?;
    let mut items = desk.webhooks.deliveries(who.context(), id, before, limit + 1).await?;
    let next_cursor = page::cut(&mut items, limit, "webhook deliveries", |delivery| delivery.seq);
    Ok(axum::Json(WebhookDeliveryList { items: items.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Tell an event again
///
/// One that came to its end, in whatever way. It has the same id as before.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/deliveries/{seq}/redeliver", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook."), ("seq" = i64, Path, description = "The delivery."), Key),
    responses((status = 200, body = WebhookDelivery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn redeliver(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((id, seq)): Path<(Uuid, i64)>,
    headers: HeaderMap,
) -> Result<axum::Json<WebhookDelivery>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.webhooks.redeliver(who.context(), id, seq).await?.into()))
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        let said = sentence(&error.to_string());
        let field = |field| Self::field(Code::FieldInvalid, field, said.clone());
        match error {
            WebhookError::StepUp(needed) => Self::from(needed).on_record(),
            WebhookError::NotSignedIn => Self::new(Code::SessionNeeded),
            WebhookError::Denied(denied) => denied.into(),
            WebhookError::NotFound => Self::new(Code::NotFound),
            WebhookError::NameInvalid => field("name"),
            WebhookError::Url(_) => field("url"),
            WebhookError::KindUnknown { .. } => field("kinds"),
            WebhookError::OverlapTooLong { .. } => field("overlap_hours"),
            WebhookError::OnceConflict => Self::new(Code::IdempotencyConflict),
            WebhookError::MadeBefore { id } => {
                Self { value: Some(id.into()), ..Self::with(Code::WebhookMadeBefore, said) }
            }
            WebhookError::TooMany { .. } => Self::with(Code::TooManyWebhooks, said),
            WebhookError::TooSoon { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::TestedTooSoon) }
            }
            WebhookError::StillWaiting => Self::new(Code::DeliveryWaiting),
            WebhookError::Off => Self::new(Code::WebhookOff),
            WebhookError::Vault(error) => Self::internal("the secret of a webhook failed", &error),
            WebhookError::Storage(error) => error.into(),
        }
    }
}
