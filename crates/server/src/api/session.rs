//! Signing in and out, and who one is.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use identity::{Authenticated, SignIn};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::AccountSummary;
use super::words::{self, At};
use crate::Desk;
use crate::json::Json;
use crate::problem::{Code, Problem, ProblemBody};
use crate::session::{
    Anonymous, InSession, agent, challenge, clear_challenge, clear_cookie, set_challenge, set_cookie,
};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(session, sign_in, sign_out))
        .routes(routes!(finish_sign_in))
        .routes(routes!(step_up))
}

/// Who is signed in, and what they may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    user: SessionUser,
    /// Everything the roles allow. On an account only as far as the access to it goes.
    #[schema(value_type = Vec<words::Permission>)]
    permissions: Vec<domain::Permission>,
    /// The accounts that may be seen.
    accounts: Vec<AccountSummary>,
    session: SessionTimes,
}

/// The person of a session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionUser {
    id: String,
    username: String,
    display_name: String,
    #[schema(value_type = Vec<words::Role>)]
    roles: Vec<domain::Role>,
    #[schema(value_type = words::UserStatus)]
    status: String,
}

/// How long a session lasts.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionTimes {
    created_at: At,
    /// When it ends if nothing is asked for until then.
    idle_expires_at: At,
    /// When it ends in any case.
    expires_at: At,
}

impl Session {
    fn new(desk: &Desk, who: &Authenticated) -> Self {
        let user = &who.user;
        Self {
            user: SessionUser {
                id: user.id.to_string(),
                username: user.username.clone(),
                display_name: user.display_name.clone(),
                roles: user.roles.clone(),
                status: user.status.as_str().to_owned(),
            },
            permissions: who.ctx.permissions().iter().collect(),
            accounts: desk
                .gateway
                .accounts(&who.ctx)
                .into_iter()
                .filter_map(|account| AccountSummary::new(&who.ctx, account))
                .collect(),
            session: SessionTimes {
                created_at: At(who.session.created_at),
                idle_expires_at: At(who.session.idle_expires_at),
                expires_at: At(who.session.expires_at),
            },
        }
    }
}

/// Who one is
#[utoipa::path(get, path = "/api/v1/session", tag = "Session",
    responses((status = 200, body = Session), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn session(State(desk): State<Desk>, InSession(who): InSession) -> axum::Json<Session> {
    axum::Json(Session::new(&desk, &who))
}

/// User name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A code of a second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownCode {
    /// Six digits of the authenticator app, or a recovery code.
    #[schema(value_type = String, format = Password)]
    pub(super) code: SecretString,
}

/// Sign in
///
/// The answer sets the cookie of the session. Wrong name, wrong password and disabled people look alike. Who has a second
/// factor gets the problem `code_needed` and a cookie with which to send the code.
#[utoipa::path(post, path = "/api/v1/session", tag = "Session", request_body = Credentials, security(()),
    responses((status = 200, body = Session), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn sign_in(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Json(body): Json<Credentials>,
) -> Result<Response, Problem> {
    match desk.identity.sign_in(&ctx, &body.username, &body.password, agent(&headers)).await? {
        SignIn::Complete(signed_in) => Ok(answer(&desk, &signed_in)),
        SignIn::CodeNeeded(challenge) => {
            let mut response = Problem::new(Code::CodeNeeded).into_response();
            set_challenge(&mut response, &challenge, ctx.at);
            Ok(response)
        }
    }
}

/// Sign in: the second factor
///
/// Needs the cookie that came with `code_needed`. The answer sets the cookie of the session.
#[utoipa::path(post, path = "/api/v1/session/code", tag = "Session", request_body = ShownCode, security(()),
    responses((status = 200, body = Session), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn finish_sign_in(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Json(body): Json<ShownCode>,
) -> Result<Response, Problem> {
    let challenge = challenge(&headers).ok_or_else(|| Problem::new(Code::BeginAgain))?;
    let signed_in = desk.identity.finish_sign_in(&ctx, challenge, &body.code, agent(&headers)).await?;
    let mut response = answer(&desk, &signed_in);
    clear_challenge(&mut response);
    Ok(response)
}

/// Show the second factor again
///
/// Dangerous acts need a factor of the last 5 minutes, and answer `step_up_needed` without. The answer replaces the cookie
/// of the session: the one before is good no more.
#[utoipa::path(post, path = "/api/v1/session/step-up", tag = "Session", request_body = ShownCode,
    responses((status = 200, body = Session), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn step_up(
    State(desk): State<Desk>,
    InSession(who): InSession,
    Json(body): Json<ShownCode>,
) -> Result<Response, Problem> {
    Ok(answer(&desk, &desk.identity.step_up(&who.ctx, &body.code).await?))
}

/// The session, with its new cookie.
fn answer(desk: &Desk, signed_in: &identity::SignedIn) -> Response {
    let mut response = axum::Json(Session::new(desk, &signed_in.authenticated)).into_response();
    set_cookie(&mut response, signed_in);
    response
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/session", tag = "Session",
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn sign_out(State(desk): State<Desk>, InSession(who): InSession) -> Result<Response, Problem> {
    desk.identity.sign_out(&who.ctx).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    clear_cookie(&mut response);
    Ok(response)
}
