//! Keeping up with the accounts that are stored: those that came are taken over, those that changed are taken as they are
//! now, those that were removed are let go.
//!
//! Whatever is done to accounts is done to their table first, by this desk or by a command beside it. So there is one way
//! from the table into the running desk, and it does not matter who changed it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{AccountId, AuditEntry};
use serde_json::json;
use storage::StorageError;

use super::{Desk, Gateway, TradingEvent, open};
use crate::accounts::{self, Account};
use crate::custody::Custody;

/// The table is looked at once in so many ticks of the routers.
const TICKS: u32 = 8;

/// Looks after the table until the desk ends.
pub(super) fn start(gateway: &Gateway) {
    let Some(custody) = gateway.shared.custody.clone() else { return };
    let (gateway, stop) = (gateway.clone(), gateway.shared.stop.clone());
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut every = tokio::time::interval(gateway.shared.tick * TICKS);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            gateway.keep_up(&custody).await;
            gateway.note_lock_outs().await;
        }
    }));
}

impl Gateway {
    /// Brings the running desk in line with the table. Where that is not possible now, the next look does it.
    pub(super) async fn keep_up(&self, custody: &Arc<dyn Custody>) {
        let mut unopened = self.shared.following.lock().await;
        if let Err(error) = self.follow(custody, &mut unopened).await {
            tracing::warn!(%error, "the accounts cannot be looked at");
        }
    }

    /// `unopened` has those of which was said that they cannot be opened.
    async fn follow(
        &self,
        custody: &Arc<dyn Custody>,
        unopened: &mut BTreeSet<AccountId>,
    ) -> Result<(), StorageError> {
        let stored = accounts::list(&self.shared.db).await?;
        let running = self.desks.all();
        for id in running.keys().filter(|id| !stored.iter().any(|account| account.id == **id)) {
            self.let_go(id);
        }
        // A desk from which another one has taken accounts is on its way out: what is new is the other one's.
        let mut kept = stored.iter().filter_map(|account| running.get(&account.id));
        let is_last = kept.all(|desk| !desk.core().fenced);
        for account in stored {
            match running.get(&account.id) {
                Some(desk) => self.take_as_it_is(custody, desk, account).await,
                None if is_last => {
                    let (id, name) = (account.id, account.name.clone());
                    match self.take_over(custody, account).await {
                        Ok(()) => drop(unopened.remove(&id)),
                        Err(error) if unopened.insert(id) => {
                            tracing::error!(error, account = name, "an account cannot be taken over");
                        }
                        Err(_) => {}
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Takes an account over that came while the desk ran.
    async fn take_over(&self, custody: &Arc<dyn Custody>, account: Account) -> Result<(), String> {
        let broker = custody.open(&account).await.map_err(|error| error.to_string())?;
        let opened = open::open(&self.shared, account, broker).await;
        let desk = opened.map_err(|error| error.to_string())?;
        let account = desk.account();
        // What was pulled since the account was read is not missed, nor what was released.
        self.shared.switches.let_in(&account, |kills| {
            desk.core().obey(kills);
            self.desks.put(desk.clone());
        });
        tracing::info!(account = account.name, mode = %account.mode, "an account is taken over");
        self.tell_account(account.id);
        Ok(())
    }

    /// Takes an account as it is stored now. Real money is not among what is taken: who switches it is this desk.
    async fn take_as_it_is(&self, custody: &Arc<dyn Custody>, desk: &Desk, stored: Account) {
        let before = desk.account();
        if before.credentials_since != stored.credentials_since {
            let renewed = match custody.kept(&stored).await {
                Ok(Some(credentials)) => desk.broker.renew(&credentials).map_err(|error| error.to_string()),
                Ok(None) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            match renewed {
                Ok(()) => {
                    tracing::info!(account = before.name, mode = %before.mode, "an account has other credentials");
                }
                // The old ones go on being used; they are not tried again before the next ones are kept.
                Err(error) => tracing::error!(error, account = before.name, "an account cannot be renewed"),
            }
        }
        let after = Account { cost_method: before.cost_method, live_since: before.live_since, ..stored };
        if after == before {
            return;
        }
        {
            let mut core = desk.core();
            if after.credentials_since != before.credentials_since {
                core.try_again(self.shared.clock.now());
            }
            core.account.name = after.name;
            core.account.paused_since = after.paused_since;
            core.account.credentials_since = after.credentials_since;
            core.account.broker_account = after.broker_account;
        }
        desk.wake.notify_one();
        self.tell_account(desk.account_id());
    }

    /// Lets an account go that was removed. Its router was fenced off with the row that says so.
    fn let_go(&self, id: &AccountId) {
        let Some(desk) = self.desks.take(id) else { return };
        desk.core().leaving = true;
        desk.stop.cancel();
        let account = desk.account();
        tracing::warn!(account = account.name, mode = %account.mode, "an account is removed");
        self.tell_account(*id);
    }

    /// Writes down which accounts their brokers do not let in any more, once each time.
    async fn note_lock_outs(&self) {
        for desk in self.desks.all().values() {
            let is_locked_out = desk.broker.is_locked_out();
            if is_locked_out == desk.locked_out.load(Ordering::Relaxed) {
                continue;
            }
            let account = desk.account();
            if is_locked_out {
                let entry = AuditEntry::by_system(self.shared.clock.now(), "account.locked_out");
                let entry = entry.on("account", account.id).with(json!({
                    "name": account.name,
                    "credentials_since": account.credentials_since,
                }));
                if let Err(error) = self.record(account.sign(entry)).await {
                    // Tried again with the next look.
                    tracing::warn!(%error, "that an account is locked out could not be recorded");
                    continue;
                }
                tracing::error!(account = account.name, mode = %account.mode, "the broker does not accept the credentials of an account: they are to be renewed");
            }
            desk.locked_out.store(is_locked_out, Ordering::Relaxed);
            self.tell_account(account.id);
        }
    }

    pub(super) fn tell_account(&self, id: AccountId) {
        let _ = self.shared.events.send(TradingEvent::Account(id));
    }
}
