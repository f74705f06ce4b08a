//! One's own second factor: an authenticator app and recovery codes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use identity::{EnrolError, FactorError};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::ShownCode;
use super::words::At;
use crate::Desk;
use crate::json::Json;
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::{SignedIn, set_cookie};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(factors))
        .routes(routes!(begin, remove))
        .routes(routes!(confirm))
        .routes(routes!(renew))
}

/// What one has as second factors.
#[derive(Serialize, ToSchema)]
struct Factors {
    /// Since when signing in takes a code of an authenticator app; null: it does not.
    totp_since: Option<At>,
    /// How many recovery codes were not used yet.
    recovery_codes_left: u32,
    /// When this session last saw a factor; null: never.
    shown_at: Option<At>,
}

/// One's second factors
#[utoipa::path(get, path = "/api/v1/factors", tag = "Second factor",
    responses((status = 200, body = Factors), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn factors(State(desk): State<Desk>, who: SignedIn) -> Result<axum::Json<Factors>, Problem> {
    let ctx = who.context();
    let factors = desk.identity.factors(ctx).await?;
    Ok(axum::Json(Factors {
        totp_since: factors.totp_since.map(At),
        recovery_codes_left: factors.recovery_codes_left,
        shown_at: ctx.factor_at.map(At),
    }))
}

/// One's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OwnPassword {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// What an authenticator app needs. It is given out once.
#[derive(Serialize, ToSchema)]
struct Enrolment {
    /// The key to type in, in groups of four.
    key: String,
    /// The same as an `otpauth:` address.
    uri: String,
    /// The address as a QR code: an SVG image.
    qr_svg: String,
}

/// Begin to set up an authenticator app
///
/// It counts for nothing until it has shown one right code, within 15 minutes.
#[utoipa::path(post, path = "/api/v1/factors/totp", tag = "Second factor", request_body = OwnPassword,
    responses((status = 200, body = Enrolment), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn begin(
    State(desk): State<Desk>,
    who: SignedIn,
    Json(body): Json<OwnPassword>,
) -> Result<axum::Json<Enrolment>, Problem> {
    let enrolment = desk.identity.begin_enrolment(who.context(), &body.password).await?;
    Ok(axum::Json(Enrolment {
        key: enrolment.key.expose_secret().to_owned(),
        uri: enrolment.uri.expose_secret().to_owned(),
        qr_svg: enrolment.qr_svg.expose_secret().to_owned(),
    }))
}

/// Codes for the day when the app is lost. They are given out once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Ten, each good for one time.
    recovery_codes: Vec<String>,
}

impl RecoveryCodes {
    fn new(codes: &[SecretString]) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }
    }
}

/// Finish setting up an authenticator app
///
/// Ends one's other sessions and replaces the cookie of this one. A recovery code is not accepted.
#[utoipa::path(post, path = "/api/v1/factors/totp/confirm", tag = "Second factor", request_body = ShownCode,
    responses((status = 200, body = RecoveryCodes), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn confirm(
    State(desk): State<Desk>,
    who: SignedIn,
    Json(body): Json<ShownCode>,
) -> Result<Response, Problem> {
    let enrolled = desk.identity.confirm_enrolment(who.context(), &body.code).await?;
    let mut response = axum::Json(RecoveryCodes::new(&enrolled.recovery_codes)).into_response();
    set_cookie(&mut response, &enrolled.signed_in);
    Ok(response)
}

/// Remove one's second factor
///
/// Needs a factor of the last 5 minutes. The recovery codes go with it, and one's other sessions end.
#[utoipa::path(delete, path = "/api/v1/factors/totp", tag = "Second factor",
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove(State(desk): State<Desk>, who: SignedIn) -> Result<StatusCode, Problem> {
    desk.identity.remove_factor(who.context()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Renew one's recovery codes
///
/// Needs a factor of the last 5 minutes. The codes before are good no more.
#[utoipa::path(post, path = "/api/v1/factors/recovery-codes", tag = "Second factor",
    responses((status = 200, body = RecoveryCodes), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn renew(State(desk): State<Desk>, who: SignedIn) -> Result<axum::Json<RecoveryCodes>, Problem> {
    Ok(axum::Json(RecoveryCodes::new(&desk.identity.renew_recovery_codes(who.context()).await?)))
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::PasswordWrong => {
                Self::field(Code::PasswordWrong, "password", sentence(&error.to_string()))
            }
            EnrolError::TooMany { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::TooManyAttempts) }
            }
            EnrolError::Busy => Self::new(Code::Busy),
            EnrolError::HasFactor => Self::new(Code::FactorExists),
            EnrolError::NotSignedIn => Self::new(Code::NotSignedIn),
            EnrolError::Vault(error) => {
                Self::internal("the secret of a second factor cannot be sealed", &error)
            }
            EnrolError::Storage(error) => error.into(),
        }
    }
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::StepUp(needed) => Self::from(needed).on_record(),
            FactorError::NotSignedIn => Self::new(Code::NotSignedIn),
            FactorError::Storage(error) => error.into(),
        }
    }
}
