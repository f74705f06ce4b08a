//! Whoever and whatever the API names beside its id: people, and what limits and switches are set on.

use serde::Serialize;
use utoipa::ToSchema;

use crate::Desk;
use crate::problem::{Code, Problem, sentence};

/// Who did something.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Who {
    /// A user's id; a word for whoever is no user, as `configuration` or `external`.
    id: String,
    name: String,
}

impl Who {
    pub(crate) async fn of(desk: &Desk, id: &str) -> Self {
        Self { name: desk.names.of(desk, id).await, id: id.to_owned() }
    }
}

/// What a limit or a kill switch is set on.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct NamedScope {
    /// As it is written in requests: `desk`, `user/ID`, `strategy/NAME`.
    #[schema(example = "strategy/momentum")]
    scope: String,
    /// What sort of thing it is.
    kind: &'static str,
    /// Which one; empty for the desk.
    id: String,
    /// What people call it.
    name: String,
}

impl NamedScope {
    pub(crate) async fn of(desk: &Desk, scope: &trading::Scope) -> Self {
        let name = match scope {
            trading::Scope::Desk => "the whole desk".to_owned(),
            trading::Scope::User(user) => desk.names.of(desk, &user.to_string()).await,
            // Whoever may see what is set on it may see what it is called.
            other => desk.gateway.name_of(other).unwrap_or_else(|| other.id()),
        };
        Self { scope: scope.to_string(), kind: scope.kind(), id: scope.id(), name }
    }
}

/// A scope in a field of that name.
pub(crate) fn scope(text: &str) -> Result<trading::Scope, Problem> {
    let scope = text.parse::<trading::Scope>();
    scope.map_err(|why| Problem::field(Code::FieldInvalid, "scope", sentence(&why.to_string())))
}
