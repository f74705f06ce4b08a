//! The kill switch: what it covers is not sent any more, what works is canceled, and positions are closed if that was
//! asked for. All of it holds in memory first, so that it works with a full disk too.

use domain::{
    AuditEntry, BookId, Order, OrderId, OrderRequest, Provenance, Quantity, Side, Status, Symbol,
    TimeInForce, Timestamp,
};
use serde_json::json;

use super::{Core, Effect, Input, Step, View, external, scopes_of};
use crate::book::Live;
use crate::broker::SubmitFailure;
use crate::scope::{Scope, Scopes};

/// What the desk does to close positions, as named in [`Provenance::done_by_desk`].
const FLATTEN: &str = "flatten";

/// A kill switch that is engaged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kill {
    /// What it stops.
    pub scope: Scope,
    /// Since when.
    pub at: Timestamp,
    /// Who pulled it: a user's id, or what the desk calls itself.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whether positions are closed too.
    pub flatten: bool,
    /// It is for practice, on paper.
    pub drill: bool,
}

impl Core {
    /// Engages a switch: from now on nothing that it covers is accepted or sent.
    pub(crate) fn engage(&mut self, kill: Kill) {
        self.kills.insert(kill.scope.clone(), kill);
    }

    /// Releases a switch.
    pub(crate) fn rearm(&mut self, scope: &Scope) -> Option<Kill> {
        self.kills.remove(scope)
    }

    /// The switch that covers an order of these scopes.
    pub(crate) fn killed(&self, scopes: &Scopes) -> Option<&Kill> {
        if self.kills.is_empty() {
            return None;
        }
        scopes.iter().find_map(|scope| self.kills.get(scope))
    }

    fn is_killed(&self, order: &Order) -> bool {
        !is_flatten(order) && self.killed(&scopes_of(order)).is_some()
    }

    /// Cancels what an engaged switch covers, and closes positions once nothing of it works any more.
    pub(super) fn enforce_kills(&mut self, step: &mut Step, view: &dyn View) {
        if self.kills.is_empty() {
            return;
        }
        let covered: Vec<OrderId> = self
            .book
            .open()
            .map(|live| live.order.id)
            .filter_map(|id| self.current(step, id))
            .filter(|live| {
                let status = live.order.status;
                !status.is_terminal() && status != Status::CancelPending && self.is_killed(&live.order)
            })
            .map(|live| live.order.id)
            .collect();
        for id in covered {
            let _ = self.request_cancel(step, id);
        }
        let flattening: Vec<Kill> = self.kills.values().filter(|kill| kill.flatten).cloned().collect();
        for kill in flattening {
            self.flatten(step, &kill, view);
        }
    }

    fn flatten(&mut self, step: &mut Step, kill: &Kill, view: &dyn View) {
        let (book, holdings) = match &kill.scope {
            Scope::Desk | Scope::Account(_) => (None, &self.book.whole),
            Scope::Book(book) => (Some(*book), self.book.holdings(Some(*book))),
            _ => return,
        };
        let open: Vec<(Symbol, Quantity)> = holdings
            .positions
            .iter()
            .filter(|(_, position)| !position.quantity.is_zero())
            .map(|(symbol, position)| (symbol.clone(), position.quantity))
            .collect();
        for (symbol, quantity) in open {
            // What still works could change the position; and one order to close it is enough.
            let busy = self.book.open().any(|live| {
                let order = self.current(step, live.order.id).map_or(live.order.clone(), |live| live.order);
                order.request.symbol == symbol && !order.status.is_terminal()
            });
            let recent = self.flattened.get(&(kill.scope.clone(), symbol.clone()));
            let waits = recent.is_some_and(|at| step.now.duration_since(*at).as_secs() < 5);
            if busy || waits || !self.reconciled {
                continue;
            }
            self.flattened.insert((kill.scope.clone(), symbol.clone()), step.now);
            self.close_out(step, kill, book, symbol, quantity, view);
        }
    }

    fn close_out(
        &mut self,
        step: &mut Step,
        kill: &Kill,
        book: Option<BookId>,
        symbol: Symbol,
        quantity: Quantity,
        view: &dyn View,
    ) {
        let (side, size) = match quantity.is_positive() {
            true => (Side::Sell, quantity),
            false => (Side::Buy, -quantity),
        };
        let name = format!("flatten {} {symbol} {}", kill.scope, step.now.as_microsecond());
        let id = external::id_of(step.now, &format!("{}/{name}", self.account.id));
        let request = OrderRequest {
            book,
            ..OrderRequest::simple(name, symbol.clone(), side, size, None, TimeInForce::Day)
        };
        let provenance =
            Provenance { book, done_by_desk: vec![FLATTEN.into()], ..Provenance::of(kill.by.clone()) };
        let order = Order::accepted(id, self.account.id, request, size, provenance, step.now);
        let entry = AuditEntry::by_system(step.now, "order.accepted").on("order", id).with(json!({
            "account": self.account.id,
            "mode": self.account.mode.as_str(),
            "symbol": symbol,
            "side": side,
            "quantity": size,
            "because": format!("the kill switch of {} closes positions", kill.scope),
            "drill": kill.drill,
        }));
        step.entries.push(entry);
        let price = view.price(&symbol).unwrap_or_default();
        step.draft.insert(Live::new(order, price));
    }

    /// An effect, unless a switch was engaged while it was being journaled: then it is as if the broker had not been
    /// reached.
    pub(super) fn unless_killed(&mut self, effect: Effect) -> Option<Effect> {
        let not_reached = || Err(SubmitFailure::NotReached("the kill switch was pulled".into()));
        match effect {
            Effect::Submit(order) if self.is_killed(&order) => {
                self.backlog.push(Input::Sent {
                    order: order.id,
                    answer: not_reached(),
                    took: std::time::Duration::ZERO,
                });
                None
            }
            Effect::Replace { order, by } if self.is_killed(&by) => {
                self.backlog.push(Input::ReplaceAnswered {
                    order: order.id,
                    by: by.id,
                    answer: not_reached(),
                });
                None
            }
            effect => Some(effect),
        }
    }

    /// Whether there is something to fold that did not come from outside.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }
}

/// Whether an order closes a position because a switch says so.
fn is_flatten(order: &Order) -> bool {
    order.provenance.done_by_desk.iter().any(|done| done == FLATTEN)
}
