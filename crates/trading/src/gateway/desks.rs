//! The accounts in trading. They come and go while the desk runs; whoever looks has them as they are at that moment.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::AccountId;

use super::Desk;

type All = BTreeMap<AccountId, Arc<Desk>>;

/// Every account in trading, by its id.
#[derive(Default)]
pub(crate) struct Desks(RwLock<Arc<All>>);

impl Desks {
    /// All of them, as they are now.
    pub(crate) fn all(&self) -> Arc<All> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn get(&self, id: &AccountId) -> Option<Arc<Desk>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn put(&self, desk: Arc<Desk>) {
        self.change(|all| all.insert(desk.account_id(), desk));
    }

    pub(super) fn take(&self, id: &AccountId) -> Option<Arc<Desk>> {
        self.change(|all| all.remove(id))
    }

    fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> T {
        let mut desks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut desks))
    }
}
