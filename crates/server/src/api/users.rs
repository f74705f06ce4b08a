//! People: who they are, what roles they have, which accounts they were granted.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::{AccountId, Denied, Permission, UserId};
use identity::once::Once;
use identity::{Change, NewUser as NewPerson, PeopleError};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page;
use super::words::{self, At};
use crate::Desk;
use crate::idempotency::{Key, fingerprint};
use crate::json::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(users, create_user))
        .routes(routes!(user, change_user))
        .routes(routes!(invite_user))
        .routes(routes!(grant, revoke))
        .routes(routes!(grant_live, revoke_live))
}

/// A person.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    id: String,
    username: String,
    display_name: String,
    #[schema(value_type = words::UserStatus)]
    status: String,
    #[schema(value_type = Vec<words::Role>)]
    roles: Vec<domain::Role>,
    grants: Vec<Grant>,
    created_at: At,
    #[schema(required)]
    last_sign_in_at: Option<At>,
}

/// Access to an account.
#[derive(Serialize, ToSchema)]
struct Grant {
    account_id: String,
    account_name: String,
    #[schema(value_type = words::Access)]
    access: domain::Access,
    /// Whether orders may move real money.
    live: bool,
}

impl From<identity::User> for User {
    fn from(user: identity::User) -> Self {
        let grant = |grant: identity::Grant| Grant {
            account_id: grant.account_id.to_string(),
            account_name: grant.account_name,
            access: grant.access,
            live: grant.live,
        };
        Self {
            id: user.id.to_string(),
            username: user.username,
            display_name: user.display_name,
            status: user.status.as_str().to_owned(),
            roles: user.roles,
            grants: user.grants.into_iter().map(grant).collect(),
            created_at: At(user.created_at),
            last_sign_in_at: user.last_sign_in_at.map(At),
        }
    }
}

/// A page of people.
#[derive(Serialize, ToSchema)]
struct UserList {
    items: Vec<User>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct UsersQuery {
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// People
///
/// Oldest first.
#[utoipa::path(get, path = "/api/v1/users", tag = "People", params(UsersQuery),
    responses((status = 200, body = UserList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn users(
    State(desk): State<Desk>,
    who: SignedIn,
    Query(query): Query<UsersQuery>,
) -> Result<axum::Json<UserList>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<UserId> = page::start("users", query.cursor.as_deref())?;
    let mut users = desk.identity.users(who.context(), after, limit + 1).await?;
    let next_cursor = page::cut(&mut users, limit, "users", |user| user.id);
    Ok(axum::Json(UserList { items: users.into_iter().map(User::from).collect(), next_cursor }))
}

/// A person to invite.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// What they sign in with: unique, whatever the case.
    username: String,
    display_name: String,
    /// At most one's own.
    #[schema(value_type = Vec<words::Role>)]
    roles: Vec<domain::Role>,
}

/// A person and the link that makes them a member.
#[derive(Serialize, ToSchema)]
struct InvitedUser {
    user: User,
    /// Shown this once; works once. `null` when a repeated request finds it taken up.
    #[schema(required, format = Password)]
    invite_url: Option<String>,
    #[schema(required)]
    invite_expires_at: Option<At>,
}

/// A one-time link.
#[derive(Serialize, ToSchema)]
struct Invite {
    #[schema(format = Password)]
    invite_url: String,
    invite_expires_at: At,
}

impl Invite {
    fn new(desk: &Desk, invitation: &identity::Invitation) -> Self {
        Self {
            invite_url: format!("{}/welcome?code={}", desk.public_url, invitation.code.expose_secret()),
            invite_expires_at: At(invitation.expires_at),
        }
    }
}

/// Invite somebody
///
/// With an `Idempotency-Key` a repeated request finds the person it made before, and renews the link (links are
/// not stored, so the first one cannot be shown again).
#[utoipa::path(post, path = "/api/v1/users", tag = "People", request_body = NewUser, params(Key),
    responses((status = 201, body = InvitedUser), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn create_user(
    State(desk): State<Desk>,
    who: SignedIn,
    headers: HeaderMap,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, axum::Json<InvitedUser>), Problem> {
    let fingerprint = fingerprint("POST /api/v1/users", &body);
    let once = Key::read(&headers)?.map(|key| Once { key, fingerprint });
    let new = NewPerson { username: body.username, display_name: body.display_name, roles: body.roles };
    let created = desk.identity.create_user(who.context(), new, once).await?;
    let invite = created.invitation.map(|invitation| Invite::new(&desk, &invitation));
    let (invite_url, invite_expires_at) =
        invite.map_or((None, None), |invite| (Some(invite.invite_url), Some(invite.invite_expires_at)));
    let answer = InvitedUser { user: created.user.into(), invite_url, invite_expires_at };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// A person
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "People", params(("id" = String, Path, description = "The person.")),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn user(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<UserId>,
) -> Result<axum::Json<User>, Problem> {
    let user = desk.identity.user(who.context(), id).await?;
    user.map(|user| axum::Json(user.into())).ok_or_else(|| Problem::new(Code::NotFound))
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    #[schema(nullable = false)]
    display_name: Option<String>,
    /// `disabled` ends all sessions at once.
    #[schema(value_type = Option<words::ChosenStatus>, nullable = false)]
    status: Option<ChosenStatus>,
    /// All roles from now on, at most one's own.
    #[schema(value_type = Option<Vec<words::Role>>, nullable = false)]
    roles: Option<Vec<domain::Role>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChosenStatus {
    Active,
    Disabled,
}

/// Rename, disable, enable, give roles
///
/// Repeating it changes nothing more.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "People", request_body = UserChange,
    params(("id" = String, Path, description = "The person."), Key),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn change_user(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<UserId>,
    headers: HeaderMap,
    Json(body): Json<UserChange>,
) -> Result<axum::Json<User>, Problem> {
    Key::read(&headers)?;
    let status = body.status.map(|status| match status {
        ChosenStatus::Active => identity::UserStatus::Active,
        ChosenStatus::Disabled => identity::UserStatus::Disabled,
    });
    let change = Change { display_name: body.display_name, status, roles: body.roles };
    Ok(axum::Json(desk.identity.change_user(who.context(), id, change).await?.into()))
}

/// A new link
///
/// For somebody who lost the first one or the password. Earlier links stop working.
#[utoipa::path(post, path = "/api/v1/users/{id}/invite", tag = "People",
    params(("id" = String, Path, description = "The person."), Key),
    responses((status = 200, body = Invite), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn invite_user(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(id): Path<UserId>,
    headers: HeaderMap,
) -> Result<axum::Json<Invite>, Problem> {
    Key::read(&headers)?;
    let invitation = desk.identity.invite(who.context(), id).await?;
    Ok(axum::Json(Invite::new(&desk, &invitation)))
}

/// How far the access goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantChange {
    #[schema(value_type = words::Access)]
    access: domain::Access,
}

/// Grant an account
///
/// At most one's own access. Repeating it changes nothing more.
#[utoipa::path(put, path = "/api/v1/users/{id}/grants/{account_id}", tag = "People", request_body = GrantChange,
    params(("id" = String, Path, description = "The person."), ("account_id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn grant(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((user, account)): Path<(UserId, AccountId)>,
    headers: HeaderMap,
    Json(body): Json<GrantChange>,
) -> Result<axum::Json<User>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.identity.grant(who.context(), user, account, body.access).await?.into()))
}

/// Take an account away
///
/// Repeating it changes nothing more.
#[utoipa::path(delete, path = "/api/v1/users/{id}/grants/{account_id}", tag = "People",
    params(("id" = String, Path, description = "The person."), ("account_id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn revoke(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((user, account)): Path<(UserId, AccountId)>,
    headers: HeaderMap,
) -> Result<axum::Json<User>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.identity.revoke(who.context(), user, account).await?.into()))
}

/// Let somebody trade with real money
///
/// On an account that they were granted. By owners, and by managers of the account who may themselves; needs a second
/// factor of the last 5 minutes.
#[utoipa::path(put, path = "/api/v1/users/{id}/grants/{account_id}/live", tag = "People",
    params(("id" = String, Path, description = "The person."), ("account_id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn grant_live(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((user, account)): Path<(UserId, AccountId)>,
    headers: HeaderMap,
) -> Result<axum::Json<User>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.identity.grant_live(who.context(), user, account, true).await?.into()))
}

/// Let somebody trade with real money no more
#[utoipa::path(delete, path = "/api/v1/users/{id}/grants/{account_id}/live", tag = "People",
    params(("id" = String, Path, description = "The person."), ("account_id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = User), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn revoke_live(
    State(desk): State<Desk>,
    who: SignedIn,
    Path((user, account)): Path<(UserId, AccountId)>,
    headers: HeaderMap,
) -> Result<axum::Json<User>, Problem> {
    Key::read(&headers)?;
    Ok(axum::Json(desk.identity.grant_live(who.context(), user, account, false).await?.into()))
}

impl From<PeopleError> for Problem {
    fn from(error: PeopleError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            // Acts on people are recorded with their refusal; only looking is not.
            PeopleError::Denied(denied @ Denied::Permission { permission: Permission::UsersView }) => {
                denied.into()
            }
            PeopleError::Denied(denied) => Self::from(denied).on_record(),
            PeopleError::StepUp(needed) => needed.into(),
            PeopleError::NotFound | PeopleError::AccountNotFound => Self::new(Code::NotFound),
            PeopleError::UsernameInvalid(_) => Self::field(Code::FieldInvalid, "username", text),
            PeopleError::UsernameTaken => Self::field(Code::UsernameTaken, "username", text),
            PeopleError::DisplayNameInvalid => Self::field(Code::FieldInvalid, "display_name", text),
            PeopleError::MoreThanOwn { .. } | PeopleError::Outranked => Self::with(Code::Forbidden, text),
            PeopleError::LastOwner => Self::with(Code::LastOwner, text),
            PeopleError::Disabled | PeopleError::StatusInvalid => {
                Self::field(Code::FieldInvalid, "status", text)
            }
            PeopleError::OnceConflict => Self::new(Code::IdempotencyConflict),
            PeopleError::Storage(error) => error.into(),
        }
    }
}
