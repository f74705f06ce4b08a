//! Signing in and out, and who one is.

use axum::extract::State;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use identity::Authenticated;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::AccountSummary;
use super::words::{self, At};
use crate::Desk;
use crate::json::Json;
use crate::problem::{Problem, ProblemBody};
use crate::session::{Anonymous, SignedIn, clear_cookie, set_cookie};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(session, sign_in, sign_out))
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
async fn session(State(desk): State<Desk>, who: SignedIn) -> axum::Json<Session> {
    axum::Json(Session::new(&desk, &who.0))
}

/// User name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Sign in
///
/// The answer sets the cookie of the session. Wrong name, wrong password and disabled people look alike.
#[utoipa::path(post, path = "/api/v1/session", tag = "Session", request_body = Credentials, security(()),
    responses((status = 200, body = Session), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn sign_in(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Json(body): Json<Credentials>,
) -> Result<Response, Problem> {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let signed_in = desk.identity.sign_in(&ctx, &body.username, &body.password, agent).await?;
    let mut response = axum::Json(Session::new(&desk, &signed_in.authenticated)).into_response();
    set_cookie(&mut response, &signed_in);
    Ok(response)
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/session", tag = "Session",
    responses((status = 204), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn sign_out(State(desk): State<Desk>, who: SignedIn) -> Result<Response, Problem> {
    desk.identity.sign_out(who.context()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    clear_cookie(&mut response);
    Ok(response)
}
