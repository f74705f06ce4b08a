//! Real money: a state of an account that a person switches on, and that is off until then.
//!
//! An order moves real money only when three things come together: the account is switched on, whoever places it has a
//! grant that goes for real money, and so has their role. Switching on takes the permission, the second factor and the
//! account's name, so that nobody does it to the wrong one. Switching off takes none of these, and holds at once.

use domain::{AccountId, AuditEntry, Context, Denied, Permission, StepUpNeeded, Timestamp, micros};
use serde_json::json;
use storage::{StorageError, Tx, query};

use crate::accounts::{Account, Mode};
use crate::gateway::{Gateway, TradingEvent};

/// Why real money was not switched on or off.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The principal may not, or there is no such account.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The second factor has to be shown first.
    #[error(transparent)]
    StepUp(#[from] StepUpNeeded),
    /// The account was called otherwise than it is.
    #[error("that is not the account's name: it is repeated so that nobody switches on the wrong one")]
    WrongName,
    /// There is no real money on it.
    #[error("this is a paper account: there is nothing to switch")]
    Paper,
    /// It could not be journaled. It is not switched on; if it was to be switched off, it is off until the desk is
    /// restarted.
    #[error("that could not be journaled: {0}")]
    Journal(#[source] StorageError),
}

impl Gateway {
    /// Switches real money on an account on or off. What works at the broker goes on working: the kill switch stops it.
    ///
    /// # Errors
    /// Says why not.
    pub async fn switch_live(
        &self,
        ctx: &Context,
        id: AccountId,
        on: bool,
        name: &str,
    ) -> Result<Account, LiveError> {
        let desk = if on {
            self.desk(ctx, Permission::LiveSwitch, id)?
        } else {
            // Whoever may stop the account may stop real money on it.
            self.desk(ctx, Permission::KillEngage, id)
                .or_else(|_| self.desk(ctx, Permission::LiveSwitch, id))?
        };
        let account = desk.account();
        if account.mode == Mode::Paper {
            return Err(LiveError::Paper);
        }
        if on {
            ctx.require_recent_factor()?;
            if name.trim() != account.name {
                return Err(LiveError::WrongName);
            }
        } else {
            desk.core().account.live_since = None;
        }
        let since = on.then(|| account.live_since.unwrap_or(ctx.at));
        self.write_live(ctx, &account, since).await.map_err(LiveError::Journal)?;
        let account = {
            let mut core = desk.core();
            core.account.live_since = since;
            core.account.clone()
        };
        tracing::warn!(account = %account.name, mode = %account.mode, on, "real money was switched");
        let _ = self.shared.events.send(TradingEvent::Account(id));
        Ok(account)
    }

    async fn write_live(
        &self,
        ctx: &Context,
        account: &Account,
        since: Option<Timestamp>,
    ) -> Result<(), StorageError> {
        let act = if since.is_some() { "account.live_on" } else { "account.live_off" };
        let entry = AuditEntry::by(ctx, act).on("account", account.id).with(json!({
            "name": account.name,
            "mode": account.mode.as_str(),
            "before": account.live_since,
            "after": since,
        }));
        let id = account.id.to_string();
        let written = self.shared.db.write(move |tx: &mut Tx| {
            Box::pin(async move {
                query("UPDATE accounts SET live_since = $2 WHERE id = $1")
                    .bind(id)
                    .bind(since.map(micros))
                    .execute(tx.sql())
                    .await?;
                tx.record(entry);
                Ok::<_, StorageError>(())
            })
        });
        written.await
    }
}
