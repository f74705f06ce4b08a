//! Comparing the account with the broker: at start, after a lost stream, on a timer, and when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{AuditEntry, Money, Order, OrderEvent, OrderId, Outcome, Quantity, Symbol, Timestamp};
use serde_json::json;

use super::budget::Priority;
use super::{Core, Effect, LONGEST_WAIT, Step, View};
use crate::broker::{Balances, BrokerOrder, BrokerStatus, BrokerUnreachable, CorporateAction, Execution};
use crate::store::{Flow, FlowKind};

/// Between comparisons with the broker: even a stream that looks healthy is not trusted for long. Also while nothing is
/// open, because executions are corrected later and orders are made outside the desk.
const COMPARE: Duration = Duration::from_secs(30);
/// Executions are asked for from this long before the newest one known.
const OVERLAP: Duration = Duration::from_secs(300);

/// What the broker said when it was asked for everything.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Orders that work at the broker.
    pub(crate) open: Vec<BrokerOrder>,
    /// Orders that the desk believes to work and that are not among these.
    pub(crate) found: Vec<(OrderId, Option<BrokerOrder>)>,
    /// What was executed.
    pub(crate) executions: Vec<Execution>,
    /// Cash and holdings.
    pub(crate) balances: Balances,
    /// What changed holdings without a trade.
    pub(crate) actions: Vec<CorporateAction>,
    /// Events that had been read from the stream when the questions were asked.
    pub(crate) events_before: u64,
}

impl Snapshot {
    pub(super) fn all_orders(&self) -> impl Iterator<Item = &BrokerOrder> {
        self.open.iter().chain(self.found.iter().filter_map(|(_, found)| found.as_ref()))
    }
}

/// What a comparison found at the broker that the desk cannot explain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// What the broker has more in cash.
    cash: Money,
    /// Units that the broker has more, by symbol; zero is not listed.
    units: BTreeMap<Symbol, Quantity>,
    /// Rows that the account had booked by then. Two fills of one size that were each missed by a comparison are the same
    /// difference twice, and are no difference: where something was booked in between, a comparison proves nothing.
    booked: i64,
}

impl Difference {
    fn is_none(&self) -> bool {
        self.cash == Money::ZERO && self.units.is_empty()
    }
}

impl Core {
    /// Asks the broker for everything, when it is time.
    pub(super) fn compare_if_due(&mut self, step: &mut Step) {
        let demanded = self.compare_at.is_some_and(|at| at <= step.now);
        let timer = self.compare_timer.is_none_or(|at| at <= step.now);
        if self.comparing
            || self.fenced
            || !self.listening
            || !(demanded || timer)
            || !self.compare_wait.is_due(step.now)
            || !self.breaker.lets_question_pass(step.now)
            || !self.budget.take(Priority::History, step.now)
        {
            return;
        }
        let sent =
            self.book.open().filter(|live| live.order.attempts > 0 || live.order.broker_order_id.is_some());
        let known: Vec<Order> = sent.map(|live| live.order.clone()).collect();
        self.compare_at = None;
        self.compare_timer = Some(step.now + COMPARE);
        self.comparing = true;
        let since = self.newest_fill.map_or(Timestamp::UNIX_EPOCH, |newest| newest - OVERLAP);
        step.effects.push(Effect::Compare { since, known, events_before: self.events_seen });
    }

    /// Folds what the broker said when it was asked for everything.
    pub(super) fn fold_comparison(
        &mut self,
        step: &mut Step,
        answer: &Result<Snapshot, BrokerUnreachable>,
        view: &dyn View,
    ) {
        self.comparing = false;
        let snapshot = match answer {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.note_answer(step.now, false);
                self.go_blind(step.now, &error.to_string());
                self.compare_at = Some(step.now);
                let unit = self.config.tick;
                self.compare_wait.later(step.now, unit, LONGEST_WAIT, &mut self.jitter);
                return;
            }
        };
        self.note_answer(step.now, true);
        self.compare_wait = Default::default();
        // What does not count any more is not counted first: it could make an order look done that is not.
        let executions = last_words(&snapshot.executions);
        for execution in executions.iter().filter(|one| amended(one).is_some()) {
            if let Some(id) = self.find_told(step, &execution.client_order_id, &execution.broker_order_id) {
                self.fold_event(step, id, execution.event.clone());
            }
        }
        for order in &snapshot.open {
            let id = self.find_told(step, &order.client_order_id, &order.broker_order_id);
            let id = id.unwrap_or_else(|| self.adopt(step, order));
            self.fold_broker_order(step, id, order);
        }
        for (id, found) in &snapshot.found {
            match found {
                Some(found) => self.fold_broker_order(step, *id, found),
                None => self.miss(step, *id),
            }
        }
        for execution in executions {
            self.fold_execution(step, execution);
        }
        for (id, found) in &snapshot.found {
            if let Some(found) = found.as_ref().filter(|found| found.status == BrokerStatus::Filled) {
                let listed = snapshot.executions.iter().filter_map(amended);
                self.end_if_amended(
                    step,
                    *id,
                    listed.map(|(of, _)| of).any(|of| of == found.broker_order_id),
                );
            }
        }
        self.settle_balances(step, snapshot, view);
    }

    /// The broker is done with an order. If not all of it is executed, because an execution was corrected or taken back,
    /// it is not worked again; otherwise an execution is still to be heard of.
    fn end_if_amended(&mut self, step: &mut Step, id: OrderId, is_listed: bool) {
        let Some(live) = self.current(step, id) else { return };
        if !live.order.status.is_terminal() && (is_listed || !live.voided.is_empty()) {
            self.fold_event(step, id, OrderEvent::Canceled);
        }
    }

    fn fold_execution(&mut self, step: &mut Step, execution: &Execution) {
        let id = self.find_told(step, &execution.client_order_id, &execution.broker_order_id);
        let id = id.or_else(|| self.adopt_executed(step, execution));
        if let Some(id) = id {
            self.fold_event(step, id, execution.event.clone());
        }
    }

    /// After a comparison: cash at first, differences that nothing explains, and sight again.
    fn settle_balances(&mut self, step: &mut Step, snapshot: &Snapshot, view: &dyn View) {
        let quiet = snapshot.events_before == self.events_seen && self.sending.is_empty();
        let mut found = self.difference(step, &snapshot.balances);
        if self.opening_cash.is_none() {
            step.draft.open_with(found.cash);
            let entry = AuditEntry::by_system(step.now, "account.opening_cash_learned")
                .on("account", self.account.id)
                .with(json!({ "opening_cash": found.cash }));
            step.entries.push(entry);
            found.cash = Money::ZERO;
        } else if quiet && !found.is_none() && found == self.suspected {
            self.believe(step, found, &snapshot.actions, view);
            found = Difference::default();
        }
        if !found.is_none() {
            self.compare_at = Some(step.now);
        }
        if let Some(blind) = &self.book.blind {
            let entry = AuditEntry::by_system(step.now, "account.reconciled")
                .on("account", self.account.id)
                .with(json!({ "blind_since": blind.since, "reason": blind.reason }));
            step.entries.push(entry);
        }
        step.compared = Some(found);
    }

    /// What the broker has other than the desk.
    fn difference(&self, step: &Step, balances: &Balances) -> Difference {
        let mut units = step.draft.quantities_after(&self.book);
        for quantity in units.values_mut() {
            *quantity = -*quantity;
        }
        for (symbol, theirs) in &balances.positions {
            *units.entry(symbol.clone()).or_default() += *theirs;
        }
        units.retain(|_, quantity| !quantity.is_zero());
        let cash = balances.cash - step.draft.cash_after(&self.book);
        Difference { cash, units, booked: step.draft.fills }
    }

    /// Takes over a difference that was found twice: the broker is right, and the audit log says what was believed.
    fn believe(
        &mut self,
        step: &mut Step,
        mut found: Difference,
        actions: &[CorporateAction],
        view: &dyn View,
    ) {
        self.book_corporate_actions(step, found.cash, &mut found.units, actions);
        if found.is_none() {
            return;
        }
        let account = &self.account.name;
        tracing::warn!(account, cash = %found.cash, units = ?found.units, "the broker has what fills do not explain");
        if !found.cash.is_zero() {
            step.draft.flow(Flow {
                seq: 0,
                at: step.now,
                kind: FlowKind::Adjustment,
                book: None,
                amount: found.cash,
                detail: "cash at the broker that no fill explains".into(),
            });
        }
        for (symbol, quantity) in &found.units {
            let average =
                || self.book.whole.positions.get(symbol).and_then(|position| position.average_price());
            let price = view.price(symbol).or_else(average).unwrap_or_default();
            let reason = format!("{quantity} {symbol} at the broker that no fill explains");
            self.adopt_units(step, symbol, *quantity, price, reason);
        }
        let units: BTreeMap<&str, Quantity> =
            found.units.iter().map(|(symbol, quantity)| (symbol.as_str(), *quantity)).collect();
        let entry = AuditEntry::by_system(step.now, "account.difference_adopted")
            .on("account", self.account.id)
            .ended(Outcome::Failed)
            .with(json!({ "cash": found.cash, "units": units }));
        step.entries.push(entry);
    }
}

/// What was executed, without corrections that were corrected again under the same id: each comparison would undo and redo
/// them.
fn last_words(executions: &[Execution]) -> Vec<&Execution> {
    let is_last = |nth: usize, one: &Execution| {
        amended(one)
            .is_none_or(|about| !executions[nth + 1..].iter().any(|later| amended(later) == Some(about)))
    };
    executions.iter().enumerate().filter(|(nth, one)| is_last(*nth, one)).map(|(_, one)| one).collect()
}

/// The execution that is corrected or taken back, with the order it belongs to.
fn amended(execution: &Execution) -> Option<(&str, &str)> {
    match &execution.event {
        OrderEvent::Corrected { execution_id, .. } | OrderEvent::Busted { execution_id } => {
            Some((&execution.broker_order_id, execution_id))
        }
        _ => None,
    }
}
