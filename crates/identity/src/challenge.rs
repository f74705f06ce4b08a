//! The second half of signing in: the password was right, a code is owed.
//!
//! Whoever is half signed in has a token of their own kind, in a table of its own. It opens nothing; it says whose code
//! is waited for, for five minutes and five guesses.

use std::time::Duration;

use domain::{Context, Timestamp, UserId};
use storage::StorageError;
use vault::{ExposeSecret as _, SecretString, crypto};

use crate::Identity;
use crate::code::{self, Kind};
use crate::error::CodeError;
use crate::factor::failed;
use crate::session::{self, Opening, STARTED, SignedIn, authenticated, hash_of};
use crate::store::factors;
use crate::throttle::Guess;

/// How long a code is waited for.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(5 * 60);
/// Wrong codes after which signing in begins anew.
const GUESSES: i64 = 5;

/// A sign-in that waits for a code.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// What the code is to be sent with. It is stored nowhere, and no session.
    pub token: SecretString,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Whether a code is still waited for under a challenge's token; for the page that asks for it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_challenged(&self, token: &str) -> Result<bool, StorageError> {
        let (hash, now) = (hash_of(token), self.clock.now());
        Ok(factors::challenged(&mut *self.db.read().await?, &hash, now, GUESSES).await?.is_some())
    }

    /// Signs in whoever showed the password before and shows a code now; a new session, which has a recent factor.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub async fn finish_sign_in(
        &self,
        ctx: &Context,
        challenge: &str,
        code: &SecretString,
        user_agent: Option<&str>,
    ) -> Result<SignedIn, CodeError> {
        let challenge = hash_of(challenge);
        let user = self.owed_by(ctx, &challenge, Kind::of(code)).await?;
        let proof = self.proof(user, code, ctx.at).await?;

        let token = crypto::new_token();
        let (asked, ctx) = (ctx, ctx.clone());
        let mut opening = Opening {
            user,
            token_hash: hash_of(token.expose_secret()),
            user_agent: user_agent.map(session::cut),
            factor: None,
            password_rehashed: false,
        };
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                match code::spend(tx, &ctx, user, proof.as_ref()).await? {
                    Ok(kind) => {
                        // Ended meanwhile: by a new password, by being disabled, or by another code.
                        if !factors::end_challenge(tx.sql(), &challenge).await? {
                            return Err(CodeError::Over);
                        }
                        opening.factor = Some(kind);
                        Ok(Some(session::open(tx, &ctx, &opening).await?))
                    }
                    Err(reason) => {
                        tx.record(failed(&ctx, STARTED, user, reason));
                        Ok(None)
                    }
                }
            })
        });
        let session = done.await?.ok_or(CodeError::Wrong)?;
        Ok(SignedIn {
            token,
            authenticated: authenticated(session, asked.address, asked.request_id, asked.at),
        })
    }

    /// Who owes the code. The guess is counted, in a commit of its own, before anything is compared.
    async fn owed_by(&self, ctx: &Context, challenge: &str, kind: Kind) -> Result<UserId, CodeError> {
        let (ctx, challenge) = (ctx.clone(), challenge.to_owned());
        let counted = self.db.write(move |tx| {
            Box::pin(async move {
                let user = factors::challenged(tx.sql(), &challenge, ctx.at, GUESSES).await?;
                let user = user.ok_or(CodeError::Over)?;
                let guess = code::count(tx, &ctx, user, kind, STARTED).await?;
                if guess == Guess::Counted {
                    factors::count_guess(tx.sql(), &challenge).await?;
                }
                Ok::<_, CodeError>((user, guess))
            })
        });
        let (user, guess) = counted.await?;
        code::allowed(guess)?;
        Ok(user)
    }
}
