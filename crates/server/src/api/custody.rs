//! Accounts at brokers, managed while the desk runs: added, named, paused, renewed, removed.
//!
//! What opens an account comes in here and never goes out again: no answer has a field for it.

use axum::extract::State;
use axum::http::StatusCode;
use domain::{AccountId, Context};
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use trading::{AccountError, Credentials, CustodyError, Mode, Opening};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AccountDetail;
use super::words;
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(add_account))
        .routes(routes!(rename_account, remove_account))
        .routes(routes!(replace_credentials))
        .routes(routes!(pause_account, activate_account))
}

/// An account to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    /// What it is to be called on the desk.
    name: String,
    /// At which broker, as `alpaca` or `paper`.
    broker: String,
    /// Whether its money is real. Never guessed.
    #[schema(value_type = words::Mode)]
    mode: String,
    /// The id of the broker's API key. Not for `paper`, which needs none.
    key_id: Option<String>,
    /// Its secret. It is sealed and shown to nobody again.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, format = Password)]
    secret: Option<SecretString>,
    /// Another address than the broker's own, as that of a desk that speaks the same.
    url: Option<String>,
}

/// What opens an account from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredentials {
    /// The id of the broker's API key.
    key_id: String,
    /// Its secret. It is sealed and shown to nobody again.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = String, format = Password, required)]
    secret: Option<SecretString>,
}

/// What is to be changed of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    /// What it is to be called.
    name: String,
}

/// Which account is meant.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RemoveQuery {
    /// The account's name, repeated: needed where it holds something, so that nobody removes the wrong one.
    confirm_name: Option<String>,
}

/// Reads a secret. What is wrong with it is said without quoting it.
fn secret<'de, D: Deserializer<'de>>(given: D) -> Result<Option<SecretString>, D::Error> {
    match serde_json::Value::deserialize(given) {
        Ok(serde_json::Value::String(text)) => Ok(Some(text.into())),
        Ok(serde_json::Value::Null) => Ok(None),
        _ => Err(D::Error::custom("a secret is text")),
    }
}

impl NewAccount {
    fn opening(self) -> Result<Opening, Problem> {
        let mode: Mode = self.mode.parse().map_err(|error: domain::UnknownName| {
            Problem::field(Code::FieldInvalid, "mode", sentence(&error.to_string()))
        })?;
        let credentials = match (self.key_id, self.secret) {
            (Some(key_id), Some(secret)) => Some(Credentials { key_id, secret }),
            (None, None) => None,
            (Some(_), None) => return Err(missing("secret")),
            (None, Some(_)) => return Err(missing("key_id")),
        };
        Ok(Opening { name: self.name, broker: self.broker, mode, url: self.url, credentials })
    }
}

fn missing(field: &str) -> Problem {
    Problem::field(Code::FieldMissing, field, format!("The field {field} is missing."))
}

/// Add an account at a broker
///
/// What opens it is tried first, then sealed. The account trades at once; you manage it, and nobody else has access yet.
/// Needs a second factor of the last 5 minutes.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "Accounts", request_body = NewAccount, params(Key),
    responses((status = 201, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn add_account(
    State(desk): State<Desk>,
    who: SignedIn,
    Json(body): Json<NewAccount, LARGEST_ORDER>,
) -> Result<(StatusCode, axum::Json<AccountDetail>), Problem> {
    let ctx = who.context();
    let account = desk.gateway.add_account(ctx, body.opening()?).await?;
    let ctx = with_new_grant(&desk, ctx).await?;
    Ok((StatusCode::CREATED, detail(&desk, &ctx, account.id)?))
}

/// Whoever added an account has access to it since.
async fn with_new_grant(desk: &Desk, ctx: &Context) -> Result<Context, Problem> {
    let person = match ctx.user_id() {
        Some(user) => desk.identity.person(user, None, ctx.at).await?,
        None => None,
    };
    person.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Rename an account
#[utoipa::path(patch, path = "/api/v1/accounts/{id}", tag = "Accounts", request_body = AccountChange,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn rename_account(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
    Json(body): Json<AccountChange, LARGEST_ORDER>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    desk.gateway.rename_account(who.context(), id, &body.name).await?;
    detail(&desk, who.context(), id)
}

/// Remove an account
///
/// What opens it is destroyed. Orders and fills stay stored, the audit log stays readable. Refused while an order of it is
/// open or unknown. What it holds stays at the broker. Needs a second factor of the last 5 minutes.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), RemoveQuery, Key),
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove_account(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode, Problem> {
    desk.gateway.remove_account(who.context(), id, query.confirm_name.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace what opens an account
///
/// It is tried first. Open orders stay, and nothing is restarted. Needs a second factor of the last 5 minutes.
#[utoipa::path(put, path = "/api/v1/accounts/{id}/credentials", tag = "Accounts", request_body = NewCredentials,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn replace_credentials(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
    Json(body): Json<NewCredentials, LARGEST_ORDER>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    let secret = body.secret.ok_or_else(|| missing("secret"))?;
    let credentials = Credentials { key_id: body.key_id, secret };
    desk.gateway.renew_account(who.context(), id, &credentials).await?;
    detail(&desk, who.context(), id)
}

/// Pause an account
///
/// It takes no new risk until it is activated, also after a restart. Cancels pass, and orders that close a position.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/pause", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn pause_account(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    desk.gateway.pause_account(who.context(), id).await?;
    detail(&desk, who.context(), id)
}

/// Activate an account that was paused
///
/// Needs a second factor of the last 5 minutes.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}/pause", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn activate_account(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    desk.gateway.activate_account(who.context(), id).await?;
    detail(&desk, who.context(), id)
}

fn detail(desk: &Desk, ctx: &Context, account: AccountId) -> Result<axum::Json<AccountDetail>, Problem> {
    let detail = AccountDetail::new(ctx, desk.gateway.account(ctx, account)?);
    detail.map(axum::Json).ok_or_else(|| Problem::new(Code::NotFound))
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            AccountError::Denied(denied) => denied.into(),
            AccountError::StepUp(needed) => needed.into(),
            AccountError::NotFound => Self::new(Code::NotFound),
            AccountError::InvalidName => Self::field(Code::AccountNameInvalid, "name", text),
            AccountError::NameTaken => Self::field(Code::AccountNameTaken, "name", text),
            AccountError::OnTheDesk { name } => {
                Self { value: Some(name.into()), ..Self::with(Code::AccountOnDesk, text) }
            }
            AccountError::AnotherAccount => Self::field(Code::CredentialsOfAnother, "key_id", text),
            AccountError::OpenOrders { open } => {
                Self { value: Some(open.to_string().into()), ..Self::with(Code::AccountOpenOrders, text) }
            }
            AccountError::Holds(held) => Self {
                value: Some(held.join(", ").into()),
                ..Self::field(Code::AccountHolds, "confirm_name", text)
            },
            AccountError::WrongName => Self::field(Code::FieldInvalid, "confirm_name", text),
            AccountError::Custody(error) => error.into(),
            AccountError::Journal(error) => error.into(),
        }
    }
}

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        match error {
            CustodyError::Unusable { field, detail } => {
                Self::field(Code::FieldInvalid, field, sentence(&detail))
            }
            CustodyError::Refused => Self::new(Code::CredentialsRefused),
            CustodyError::Unreachable => Self::new(Code::BrokerUnreachable),
            CustodyError::NotKept => Self::internal("what opens an account cannot be read", &error),
            CustodyError::Storage(error) => error.into(),
        }
    }
}
