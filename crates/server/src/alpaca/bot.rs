//! Who asks: a program with a key, on the one account that the key is for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{AccountId, Context, UserId};
use identity::KeyHolder;
use secrecy::SecretString;

use super::Refusal;
use crate::Desk;
use crate::credentials::{self, LetIn};
use crate::guard::Arrival;
use crate::problem::{Code, Problem};

/// A request of a program with a key. A handler that takes one cannot be reached by anybody else.
#[derive(Clone)]
pub(crate) struct Bot {
    /// What everything is asked with.
    pub ctx: Context,
    /// The account of the key.
    pub account: AccountId,
    /// In whose name.
    pub owner: UserId,
}

impl From<KeyHolder> for Bot {
    fn from(holder: KeyHolder) -> Self {
        Self { account: holder.key.account, owner: holder.owner.id, ctx: holder.ctx }
    }
}

impl Bot {
    /// Whoever has the two halves of a key, as a stream's first message says them.
    pub(super) async fn with_key(
        desk: &Desk,
        id: &str,
        secret: &SecretString,
        arrival: Arrival,
    ) -> Result<Self, Problem> {
        Ok(desk.identity.authenticate_key(id, secret, arrival.address, arrival.id).await?.into())
    }

    /// The same with the rights of this moment; `None` when the key is good no more. Does not count as use.
    pub(super) async fn still(&self, desk: &Desk) -> Result<Option<Self>, Problem> {
        let Some(key) = self.ctx.key_id() else { return Ok(None) };
        let found = desk.identity.recheck_key(key, self.ctx.address, self.ctx.request_id).await?;
        Ok(found.map(Self::from))
    }
}

impl FromRequestParts<Desk> for Bot {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Refusal> {
        match credentials::who(parts, desk).await? {
            LetIn::Key(holder) => Ok(Arc::unwrap_or_clone(holder).into()),
            // A session is for no account in particular.
            LetIn::Session(_) => Err(Problem::new(Code::KeyRefused).into()),
        }
    }
}
