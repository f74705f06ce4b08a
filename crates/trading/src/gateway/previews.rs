//! Orders that were shown before they are placed: what is confirmed is what was seen.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::{AccountId, Context, OrderId, OrderRequest, Timestamp};

/// How long a preview can be confirmed.
const LASTS: Duration = Duration::from_secs(300);
/// Previews that are kept at the same time; the oldest makes place.
const KEPT: usize = 10_000;

#[derive(Debug)]
struct Kept {
    id: String,
    by: Option<String>,
    account: AccountId,
    request: OrderRequest,
    at: Timestamp,
}

/// The previews of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Previews(Mutex<VecDeque<Kept>>);

impl Previews {
    /// Keeps a request under a new id. Where the client has no name for the order, the id is its name: so confirming
    /// twice is one order.
    pub(super) fn keep(&self, ctx: &Context, account: AccountId, request: OrderRequest) -> String {
        let id = OrderId::new(ctx.at).to_string();
        let mut request = request;
        if request.client_order_id.is_empty() {
            request.client_order_id.clone_from(&id);
        }
        let kept = Kept { id: id.clone(), by: ctx.principal.id.clone(), account, request, at: ctx.at };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.len() >= KEPT || all.front().is_some_and(|oldest| is_over(oldest, ctx.at)) {
            all.pop_front();
        }
        all.push_back(kept);
        id
    }

    /// The request of a preview that the same person saw.
    pub(super) fn get(&self, ctx: &Context, account: AccountId, id: &str) -> Option<OrderRequest> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.iter().find(|kept| kept.id == id)?;
        let same = kept.by == ctx.principal.id && kept.account == account && !is_over(kept, ctx.at);
        same.then(|| kept.request.clone())
    }
}

fn is_over(kept: &Kept, now: Timestamp) -> bool {
    now.duration_since(kept.at).unsigned_abs() > LASTS
}
