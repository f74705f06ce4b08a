//! The roles there are, and what each allows.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::words;
use crate::Desk;
use crate::problem::ProblemBody;
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(roles))
}

/// All roles and all permissions.
#[derive(Serialize, ToSchema)]
struct RoleList {
    items: Vec<RoleEntry>,
    permissions: Vec<PermissionEntry>,
}

/// A role and what it allows.
#[derive(Serialize, ToSchema)]
struct RoleEntry {
    #[schema(value_type = words::Role)]
    role: domain::Role,
    /// Its name for people.
    title: String,
    /// What it is for.
    description: String,
    #[schema(value_type = Vec<words::Permission>)]
    permissions: Vec<domain::Permission>,
}

/// A permission in words.
#[derive(Serialize, ToSchema)]
struct PermissionEntry {
    #[schema(value_type = words::Permission)]
    permission: domain::Permission,
    title: String,
}

/// Roles and permissions
///
/// The same for everybody who is signed in: what a role means is no secret.
#[utoipa::path(get, path = "/api/v1/roles", tag = "People",
    responses((status = 200, body = RoleList), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn roles(_: SignedIn) -> axum::Json<RoleList> {
    let role = |role: &domain::Role| RoleEntry {
        role: *role,
        title: words_of(role.as_str()),
        description: role.title().to_owned(),
        permissions: role.permissions().iter().collect(),
    };
    let permission = |permission: &domain::Permission| PermissionEntry {
        permission: *permission,
        title: permission.title().to_owned(),
    };
    axum::Json(RoleList {
        items: domain::Role::ALL.iter().map(role).collect(),
        permissions: domain::Permission::ALL.iter().map(permission).collect(),
    })
}

/// `super_admin` as `Super admin`.
fn words_of(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}
