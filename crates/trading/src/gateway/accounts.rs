//! Accounts added, named, paused, renewed and removed while the desk runs.

use std::sync::Arc;

use domain::{AccountId, AuditEntry, Context, Outcome, Permission, Resource};
use serde_json::json;

use super::{Desk, Gateway};
use crate::accounts::{self, Account, AccountError, Mode};
use crate::custody::{Credentials, Custody, CustodyError, Opening};

impl Gateway {
    /// Adds an account at a broker, by whoever just showed a second factor. What opens it is tried before it is kept. The
    /// account trades at once; whoever added it has access to it, and nobody else.
    ///
    /// # Errors
    /// Says why not. Nothing is half done.
    pub async fn add_account(&self, ctx: &Context, opening: Opening) -> Result<Account, AccountError> {
        ctx.require(Permission::AccountsManage, Resource::Desk)?;
        ctx.require_recent_factor()?;
        let custody = self.custody()?;
        let detail = json!({ "name": opening.name, "broker": opening.broker, "mode": opening.mode.as_str() });
        let entry = AuditEntry::by(ctx, "account.add_refused").on("desk", "desk").with(detail);
        match accounts::add(&self.shared.db, custody, ctx, opening).await {
            Ok(account) => {
                self.keep_up(custody).await;
                Ok(account)
            }
            Err(error) => Err(self.refuse_credentials(entry, error).await),
        }
    }

    /// Calls an account otherwise.
    ///
    /// # Errors
    /// Says why not.
    pub async fn rename_account(
        &self,
        ctx: &Context,
        id: AccountId,
        name: &str,
    ) -> Result<Account, AccountError> {
        self.desk(ctx, Permission::AccountsManage, id)?;
        let custody = self.custody()?;
        let account = accounts::rename(&self.shared.db, ctx, id, name).await?;
        self.keep_up(custody).await;
        Ok(account)
    }

    /// Pauses an account: it takes no new risk until it is activated. Cancels pass, and so does what closes a position.
    ///
    /// # Errors
    /// The principal may not, or it could not be journaled: then the account is not paused.
    pub async fn pause_account(&self, ctx: &Context, id: AccountId) -> Result<Account, AccountError> {
        // Whoever may stop the account may pause it.
        let desk = self
            .desk(ctx, Permission::KillEngage, id)
            .or_else(|_| self.desk(ctx, Permission::AccountsManage, id))?;
        let following = self.shared.following.lock().await;
        // At once, and not only when the disk has it.
        let before = desk.account().paused_since;
        desk.core().account.paused_since = before.or(Some(ctx.at));
        let paused = accounts::pause(&self.shared.db, ctx, id, true).await;
        desk.core().account.paused_since = match &paused {
            Ok(account) => account.paused_since,
            Err(_) => before,
        };
        drop(following);
        self.tell_account(id);
        paused
    }

    /// Activates an account that was paused, by whoever just showed a second factor.
    ///
    /// # Errors
    /// Says why not.
    pub async fn activate_account(&self, ctx: &Context, id: AccountId) -> Result<Account, AccountError> {
        self.desk(ctx, Permission::AccountsManage, id)?;
        ctx.require_recent_factor()?;
        let custody = self.custody()?;
        let account = accounts::pause(&self.shared.db, ctx, id, false).await?;
        self.keep_up(custody).await;
        Ok(account)
    }

    /// Replaces what opens an account at its broker, by whoever just showed a second factor. It is tried before it is kept.
    /// Orders stay open, and the stream moves over.
    ///
    /// # Errors
    /// Says why not; then nothing is changed.
    pub async fn renew_account(
        &self,
        ctx: &Context,
        id: AccountId,
        credentials: &Credentials,
    ) -> Result<Account, AccountError> {
        let desk = self.desk(ctx, Permission::AccountsManage, id)?;
        ctx.require_recent_factor()?;
        let custody = self.custody()?;
        let before = desk.account();
        let entry = AuditEntry::by(ctx, "account.credentials_refused").on("account", id);
        let entry = entry.with(json!({ "name": before.name, "key_id": credentials.key_id }));
        match accounts::renew(&self.shared.db, custody, ctx, &before, credentials).await {
            Ok(account) => {
                self.keep_up(custody).await;
                Ok(account)
            }
            Err(error) => Err(self.refuse_credentials(entry, error).await),
        }
    }

    /// Removes an account, by whoever just showed a second factor, and destroys what opens it. What happened on it stays
    /// stored. `repeated` is its name, needed where it holds something.
    ///
    /// # Errors
    /// Says why not; then it goes on trading.
    pub async fn remove_account(
        &self,
        ctx: &Context,
        id: AccountId,
        repeated: Option<&str>,
    ) -> Result<(), AccountError> {
        let desk = self.desk(ctx, Permission::AccountsManage, id)?;
        ctx.require_recent_factor()?;
        let custody = self.custody()?;
        // No order slips in between what is asked now and what is written.
        let leaving = Leaving::of(&desk)?;
        accounts::remove(&self.shared.db, custody, ctx, id, repeated).await?;
        leaving.for_good();
        self.keep_up(custody).await;
        Ok(())
    }

    /// Whether an account's money is real; `None` when there is none.
    pub fn mode_of(&self, id: AccountId) -> Option<Mode> {
        self.desks.get(&id).map(|desk| desk.mode())
    }

    fn custody(&self) -> Result<&Arc<dyn Custody>, AccountError> {
        let cannot = || CustodyError::Unusable {
            field: "broker",
            detail: "this desk has no brokers at which accounts could be added".to_owned(),
        };
        self.shared.custody.as_ref().ok_or_else(|| cannot().into())
    }

    /// Writes down that credentials were tried in vain: whoever tries many should be seen.
    async fn refuse_credentials(&self, mut entry: AuditEntry, error: AccountError) -> AccountError {
        let (AccountError::Custody(_) | AccountError::AnotherAccount | AccountError::OnTheDesk { .. }) =
            error
        else {
            return error;
        };
        entry.detail["reason"] = json!(error.to_string());
        match self.record(entry.ended(Outcome::Refused)).await {
            Ok(()) => error,
            Err(error) => error.into(),
        }
    }
}

/// An account that takes no orders because it is being removed; dropped, it takes them again.
struct Leaving<'a> {
    desk: &'a Desk,
    for_good: bool,
}

impl<'a> Leaving<'a> {
    fn of(desk: &'a Desk) -> Result<Self, AccountError> {
        let mut core = desk.core();
        let open = core.book.open_orders();
        if open > 0 {
            return Err(AccountError::OpenOrders { open: i64::try_from(open).unwrap_or(i64::MAX) });
        }
        core.leaving = true;
        Ok(Self { desk, for_good: false })
    }

    fn for_good(mut self) {
        self.for_good = true;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.for_good {
            self.desk.core().leaving = false;
        }
    }
}
