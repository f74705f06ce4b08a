//! Comparing the code that somebody shows with what they have: an app's code, or a recovery code.
//!
//! In three steps, each a line of whoever asks: the guess is counted ([`Identity::count_code`]), in a commit of its own;
//! the code is compared with the secret ([`Identity::proof`]); and what it proved is used up ([`spend`]) in the very
//! transaction that does what it was shown for. So nothing can be done twice with one code, however many ask at once.

use domain::{AuditEntry, Context, Outcome, Timestamp, UserId};
use serde_json::json;
use storage::{StorageError, Tx};
use vault::{ExposeSecret as _, SecretString};

use crate::error::CodeError;
use crate::store::factors;
use crate::throttle::{self, Guess};
use crate::totp::Secret;
use crate::{Identity, recovery};

/// What somebody typed as a code, by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Six digits.
    Totp,
    /// Anything else.
    Recovery,
}

impl Kind {
    pub(crate) fn of(code: &SecretString) -> Self {
        let code = squeezed(code.expose_secret());
        if code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) { Self::Totp } else { Self::Recovery }
    }

    /// As in audit rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Recovery => "recovery_code",
        }
    }

    /// Under what its wrong guesses are counted.
    pub(crate) fn counted_as(self, user: UserId) -> String {
        throttle::codes(user, self.as_str())
    }
}

/// What a code proves, if it was not used before.
pub(crate) enum Proof {
    /// The app begun at `begun_at` shows it in `step`.
    Step { begun_at: Timestamp, step: i64 },
    /// It has the form of a recovery code, with this hash.
    Recovery { hash: String },
}

/// Where a person's app secret is sealed.
pub(crate) fn secret_name(user: UserId) -> String {
    format!("user/{user}/totp")
}

impl Identity {
    /// Counts a guess beforehand, or refuses it and records the first refusal under `act`.
    pub(crate) async fn count_code(
        &self,
        ctx: &Context,
        user: UserId,
        kind: Kind,
        act: &'static str,
    ) -> Result<(), CodeError> {
        let ctx = ctx.clone();
        let guess = self.db.write(move |tx| Box::pin(async move { count(tx, &ctx, user, kind, act).await }));
        allowed(guess.await?)
    }

    /// Compares a code with the active app of a person, or with the one being enrolled. `None`: it is wrong.
    pub(crate) async fn proof(
        &self,
        user: UserId,
        code: &SecretString,
        now: Timestamp,
    ) -> Result<Option<Proof>, CodeError> {
        match Kind::of(code) {
            Kind::Totp => self.step(user, code, now).await,
            Kind::Recovery => {
                Ok(recovery::hash(user, code.expose_secret()).map(|hash| Proof::Recovery { hash }))
            }
        }
    }

    async fn step(
        &self,
        user: UserId,
        code: &SecretString,
        now: Timestamp,
    ) -> Result<Option<Proof>, CodeError> {
        let Some(totp) = factors::totp(&mut *self.db.read().await?, user).await? else { return Ok(None) };
        let Some(sealed) = self.vault.reveal(&secret_name(user)).await? else { return Ok(None) };
        let secret = Secret::from_text(&sealed).ok_or_else(|| StorageError::Unreadable {
            what: "secrets",
            why: "what is sealed as the secret of an app is none".to_owned(),
        })?;
        let step = secret.step_of(&squeezed(code.expose_secret()), now);
        Ok(step.map(|step| Proof::Step { begun_at: totp.begun_at, step }))
    }
}

/// Counts a guess, in whose transaction it may be.
pub(crate) async fn count(
    tx: &mut Tx,
    ctx: &Context,
    user: UserId,
    kind: Kind,
    act: &'static str,
) -> Result<Guess, StorageError> {
    let (name, source) = (kind.counted_as(user), throttle::source(ctx.address));
    let guess = match kind {
        Kind::Totp => throttle::count_code(tx.sql(), &name, &source, ctx.at).await?,
        Kind::Recovery => throttle::count(tx.sql(), &name, &source, ctx.at).await?,
    };
    if let Guess::Refused { first: true, .. } = guess {
        let entry = AuditEntry::by(ctx, act).on("user", user).ended(Outcome::Refused);
        tx.record(entry.with(json!({ "reason": "too many wrong codes" })));
    }
    Ok(guess)
}

/// Whether a counted guess may go on.
pub(crate) fn allowed(guess: Guess) -> Result<(), CodeError> {
    match guess {
        Guess::Counted => Ok(()),
        Guess::Refused { retry_after, .. } => Err(CodeError::TooMany { retry_after }),
    }
}

/// Uses up what was proved, and takes the counted guess back. Otherwise says why not, for the audit log alone.
pub(crate) async fn spend(
    tx: &mut Tx,
    ctx: &Context,
    user: UserId,
    proof: Option<&Proof>,
) -> Result<Result<Kind, &'static str>, StorageError> {
    let spent = match proof {
        None => Err("wrong code"),
        Some(Proof::Step { begun_at, step }) => {
            let used = factors::use_step(tx.sql(), user, *begun_at, *step).await?;
            if used { Ok(Kind::Totp) } else { Err("code used before") }
        }
        Some(Proof::Recovery { hash }) => {
            let used = factors::use_recovery_code(tx.sql(), user, hash, ctx.at).await?;
            if used { Ok(Kind::Recovery) } else { Err("no such recovery code, or used before") }
        }
    };
    if let Ok(kind) = spent {
        throttle::forget(tx.sql(), &kind.counted_as(user), &throttle::source(ctx.address)).await?;
    }
    Ok(spent)
}

/// Without the blanks that apps show and people type.
fn squeezed(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_an_apps_code_and_all_else_is_a_recovery_code() {
        for code in ["123456", " 123 456 ", "000000"] {
            assert_eq!(Kind::of(&code.into()), Kind::Totp, "{code}");
        }
        for code in ["", "12345", "1234567", "12345a", "１２３４５６", "ABCD-EFGH-IJKL-MNOP"] {
            assert_eq!(Kind::of(&code.into()), Kind::Recovery, "{code}");
        }
    }
}
