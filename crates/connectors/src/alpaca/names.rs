//! Which of Alpaca's ids is which of the desk's: executions name their orders by Alpaca's id alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use alpaca::{Order, Uuid};

/// Orders whose names are kept; the oldest are forgotten and asked for again.
const MOST: usize = 20_000;

/// The client order id of each order that was heard of.
#[derive(Default)]
pub(super) struct Names(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_id: HashMap<Uuid, String>,
    oldest: VecDeque<Uuid>,
}

impl Names {
    pub(super) fn learn(&self, order: &Order) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_id.insert(order.id, order.client_order_id.clone()).is_none() {
            kept.oldest.push_back(order.id);
        }
        if kept.oldest.len() > MOST
            && let Some(id) = kept.oldest.pop_front()
        {
            kept.by_id.remove(&id);
        }
    }

    pub(super) fn of(&self, id: Uuid) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }
}
