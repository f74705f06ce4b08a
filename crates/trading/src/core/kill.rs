//! The kill switch: what it covers is not sent any more, what works is canceled, and positions are closed if that was
//! asked for. All of it holds in memory first, so that it works with a full disk too.

use std::collections::BTreeMap;

use domain::{
    AccountId, AuditEntry, BookId, Order, OrderEvent, OrderId, OrderRequest, Provenance, Quantity, Side,
    Status, Symbol, TimeInForce, Timestamp,
};
use serde_json::json;

use super::budget::Priority;
use super::{Core, Effect, Input, Step, View, external, scopes_of};
use crate::book::Live;
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

/// An order that closes a position of a whole account, as the file of kill switches keeps it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Closing {
    pub(crate) id: OrderId,
    pub(crate) account: AccountId,
    client_order_id: String,
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    by: String,
    at: Timestamp,
}

impl Closing {
    pub(crate) fn of(order: &Order) -> Self {
        Self {
            id: order.id,
            account: order.account,
            client_order_id: order.request.client_order_id.clone(),
            symbol: order.request.symbol.clone(),
            side: order.request.side,
            quantity: order.quantity,
            by: order.provenance.submitted_by.clone(),
            at: order.created_at,
        }
    }

    /// The order itself.
    pub(crate) fn order(&self) -> Order {
        let (name, symbol) = (self.client_order_id.clone(), self.symbol.clone());
        closing_order(
            self.id,
            self.account,
            name,
            symbol,
            (self.side, self.quantity),
            None,
            &self.by,
            self.at,
        )
    }
}

/// What a switch finds when it is pulled.
#[derive(Debug, Default)]
pub(crate) struct Braked {
    /// Orders on their way to the broker: they may still arrive, and are canceled when they do.
    pub(crate) in_flight: Vec<OrderId>,
    /// Orders that work at the broker, to be canceled at once.
    pub(crate) cancels: Vec<Order>,
    /// Orders to be canceled as soon as the broker takes more requests.
    pub(crate) later: usize,
}

impl Core {
    /// Engages a switch: from now on nothing that it covers is accepted or sent.
    pub(crate) fn engage(&mut self, kill: Kill) {
        self.kills.insert(kill.scope.clone(), kill);
    }

    /// What the switches that are engaged cover at this moment. The cancels are as good as sent: whoever asks sends them
    /// and tells the answers, without the journal, which may be what does not work.
    pub(crate) fn brake(&mut self, now: Timestamp) -> Braked {
        let covered: Vec<Order> =
            self.book.open().map(|live| &live.order).filter(|order| self.is_killed(order)).cloned().collect();
        let mut braked = Braked::default();
        for order in covered {
            if self.sending.contains(&order.id) {
                braked.in_flight.push(order.id);
            } else if order.broker_order_id.is_some() && !self.canceling.contains(&order.id) && !self.fenced {
                match self.budget.take(Priority::Cancel, now) {
                    true => {
                        self.canceling.insert(order.id);
                        braked.cancels.push(order);
                    }
                    false => braked.later += 1,
                }
            }
        }
        braked
    }

    /// The broker took an order that a switch covers by now: it is to be canceled at once, without the journal.
    pub(crate) fn brake_late(
        &mut self,
        order: &Order,
        broker_order_id: &str,
        now: Timestamp,
    ) -> Option<Order> {
        let may = self.is_killed(order)
            && !self.canceling.contains(&order.id)
            && !self.fenced
            && self.budget.take(Priority::Cancel, now);
        may.then(|| {
            self.canceling.insert(order.id);
            Order { broker_order_id: Some(broker_order_id.to_owned()), ..order.clone() }
        })
    }

    /// Something to fold with the next step that did not come through the router.
    pub(crate) fn hear(&mut self, input: Input) {
        self.backlog.push(input);
    }

    /// Knows these switches, and no others.
    pub(crate) fn obey(&mut self, kills: BTreeMap<Scope, Kill>) {
        self.kills = kills;
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
            // What is not in the journal yet is canceled once it is.
            .filter(|id| !self.arriving.contains(id))
            .filter_map(|id| self.peek(step, id))
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
        match &kill.scope {
            Scope::Desk | Scope::Account(_) => self.flatten_book(step, kill, None, view),
            Scope::Book(book) => self.flatten_book(step, kill, Some(*book), view),
            Scope::User(user) => {
                if let Some(book) = self.book.owned_by(&user.to_string()) {
                    self.flatten_book(step, kill, Some(book), view);
                }
            }
            Scope::Strategy(owner) | Scope::Bot(owner) => {
                if let Some(book) = self.book.owned_by(owner) {
                    self.flatten_book(step, kill, Some(book), view);
                }
            }
            // Positions are in books, and these own none.
            Scope::Group(_) | Scope::Key(_) => {}
        }
    }

    /// Closes the positions of a book, or of the whole account.
    fn flatten_book(&mut self, step: &mut Step, kill: &Kill, book: Option<BookId>, view: &dyn View) {
        let holdings = match book {
            None => &self.book.whole,
            Some(_) => match self.book.books.get(&book) {
                Some(holdings) => holdings,
                None => return,
            },
        };
        let pace = |symbol: &Symbol| (book.map_or(kill.scope.clone(), Scope::Book), symbol.clone());
        let open: Vec<(Symbol, Quantity)> = holdings
            .positions
            .iter()
            .filter(|(_, position)| !position.quantity.is_zero())
            .map(|(symbol, position)| (symbol.clone(), position.quantity))
            .collect();
        for (symbol, quantity) in open {
            // What still works could change the position, and so could what this step does; one order to close it is enough.
            let busy = step.draft.touched().any(|live| live.order.request.symbol == symbol)
                || self.book.open().any(|live| {
                    let order = &live.order;
                    order.request.symbol == symbol && (book.is_none() || order.provenance.book == book)
                });
            let recent = self.flattened.get(&pace(&symbol));
            let waits = recent.is_some_and(|at| step.now.duration_since(*at).as_secs() < 5);
            if busy || waits || !self.reconciled {
                continue;
            }
            self.flattened.insert(pace(&symbol), step.now);
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
        let order = self.closing_order(kill, book, &symbol, quantity, step.now);
        let (id, side, size) = (order.id, order.request.side, order.quantity);
        let entry = AuditEntry::by_system(step.now, "order.accepted").on("order", id).with(json!({
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

    /// The order that closes a position.
    fn closing_order(
        &self,
        kill: &Kill,
        book: Option<BookId>,
        symbol: &Symbol,
        quantity: Quantity,
        now: Timestamp,
    ) -> Order {
        let (side, size) = match quantity.is_positive() {
            true => (Side::Sell, quantity),
            false => (Side::Buy, -quantity),
        };
        let name = format!("flatten {} {symbol} {}", kill.scope, now.as_microsecond());
        let id = external::id_of(now, &format!("{}/{name}", self.account.id));
        let symbol = symbol.clone();
        closing_order(id, self.account.id, name, symbol, (side, size), book, &kill.by, now)
    }

    /// Whether the account holds nothing, as far as is journaled.
    pub(crate) fn is_flat(&self) -> bool {
        self.book.whole.positions.values().all(|position| position.quantity.is_zero())
    }

    /// Whether the last thing that was to be journaled could not be.
    pub(crate) fn journal_fails(&self) -> bool {
        self.journal_fails
    }

    /// Orders of an instrument that the broker may or may not have, as far as is journaled.
    pub(crate) fn unsettled(&self, symbol: &Symbol) -> Vec<Order> {
        let open = self.book.open().map(|live| &live.order);
        let unsettled = open.filter(|order| {
            order.request.symbol == *symbol && matches!(order.status, Status::Submitting | Status::Unknown)
        });
        unsettled.cloned().collect()
    }

    /// An order that closes a position of the whole account although the journal cannot take it; `None` when the account is
    /// another desk's, or the broker takes no more requests now.
    pub(crate) fn close_beside(
        &mut self,
        kill: &Kill,
        symbol: &Symbol,
        quantity: Quantity,
        now: Timestamp,
    ) -> Option<Order> {
        let may = !self.fenced && self.budget.take(Priority::Exit, now);
        may.then(|| self.closing_order(kill, None, symbol, quantity, now))
    }

    /// Folds that an order was sent without the journal: it is journaled now, as one whose answer is not known.
    pub(super) fn fold_sent_beside(&mut self, step: &mut Step, order: &Order, view: &dyn View) {
        if self.current(step, order.id).is_some() {
            return;
        }
        let symbol = &order.request.symbol;
        // What the desk had made to close the same and had not sent.
        let unsent = self.book.open().map(|live| &live.order).filter(|other| {
            is_flatten(other) && other.request.symbol == *symbol && other.status == Status::Accepted
        });
        for id in unsent.map(|other| other.id).collect::<Vec<_>>() {
            let _ = self.request_cancel(step, id);
        }
        step.entries.push(AuditEntry::by_system(step.now, "order.accepted").on("order", order.id).with(json!({
            "symbol": symbol,
            "side": order.request.side,
            "quantity": order.quantity,
            "because": "a kill switch closes positions; the order was sent while the journal could not be written",
            "sent_at": order.created_at,
        })));
        step.draft.insert(Live::new(order.clone(), view.price(symbol).unwrap_or_default()));
        self.fold_event(step, order.id, OrderEvent::Submitting { attempt: 1 });
        let detail = "it was sent while the journal could not be written".to_owned();
        self.fold_event(step, order.id, OrderEvent::Lost { detail });
    }

    /// Whether an order closes what another one closes that was sent without the journal.
    fn is_closed_beside(&self, order: &Order) -> bool {
        let symbol = &order.request.symbol;
        let beside = |input: &Input| matches!(input, Input::SentBeside(by) if by.request.symbol == *symbol);
        is_flatten(order) && self.backlog.iter().any(beside)
    }

    /// An effect, unless a switch was engaged while it was being journaled: then the order does not leave the desk.
    pub(crate) fn unless_killed(&mut self, effect: Effect) -> Option<Effect> {
        let withheld = match &effect {
            Effect::Submit(order) if self.is_killed(order) || self.is_closed_beside(order) => {
                (order.id, None)
            }
            Effect::Replace { order, by } if self.is_killed(by) => (by.id, Some(order.id)),
            _ => return Some(effect),
        };
        self.backlog.push(Input::Withheld { order: withheld.0, replaces: withheld.1 });
        None
    }

    /// Folds that an order was kept back by a switch after it was journaled as being sent: it never left the desk.
    pub(super) fn fold_withheld(&mut self, step: &mut Step, id: OrderId, replaces: Option<OrderId>) {
        let reason = "the kill switch was pulled";
        self.sending.remove(&id);
        self.fold_event(step, id, OrderEvent::NotReached { detail: reason.into() });
        self.fold_event(step, id, OrderEvent::Canceled);
        if let Some(old) = replaces {
            self.fold_event(step, old, OrderEvent::ReplaceRefused { reason: reason.into() });
        }
    }

    /// Whether there is something to fold that did not come from outside.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }
}

#[allow(clippy::too_many_arguments, reason = "each is a column of the order")]
fn closing_order(
    id: OrderId,
    account: AccountId,
    name: String,
    symbol: Symbol,
    (side, quantity): (Side, Quantity),
    book: Option<BookId>,
    by: &str,
    at: Timestamp,
) -> Order {
    let time = TimeInForce::to_close(&symbol);
    let request = OrderRequest { book, ..OrderRequest::simple(name, symbol, side, quantity, None, time) };
    let provenance = Provenance { book, done_by_desk: vec![FLATTEN.into()], ..Provenance::of(by.to_owned()) };
    Order::accepted(id, account, request, quantity, provenance, at)
}

/// Whether an order closes a position because a switch says so.
fn is_flatten(order: &Order) -> bool {
    order.provenance.done_by_desk.iter().any(|done| done == FLATTEN)
}
