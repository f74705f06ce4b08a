//! The search for orders whose answers were lost. It ends with what the broker says, or with what a named person does;
//! never by giving up.

use std::collections::BTreeSet;

use domain::{Order, OrderEvent, OrderId, Status, Timestamp};
use jiff::SignedDuration;

use super::backoff::Backoff;
use super::budget::Priority;
use super::{Core, Effect, Input, Step};
use crate::book::Live;
use crate::broker::{BrokerOrder, BrokerStatus, BrokerUnreachable, SubmitFailure};

/// Lookups on separate calls that must agree that the broker has no such order.
const MISSES: u32 = 2;

/// The search for an order whose answer was lost.
#[derive(Clone, Debug)]
pub(super) struct Search {
    since: Timestamp,
    tries: u32,
    misses: u32,
    wait: Backoff,
    asking: bool,
    last: Option<String>,
}

impl Search {
    fn new(now: Timestamp) -> Self {
        Self { since: now, tries: 0, misses: 0, wait: Backoff::default(), asking: false, last: None }
    }

    /// Is as old as before.
    pub(super) fn clock_was_set(&mut self, by: SignedDuration) {
        self.since += by;
        self.wait.clock_was_set(by);
    }
}

/// An order whose outcome is not known, and what was tried.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// The order.
    pub order: Order,
    /// Since when it has been looked for.
    pub since: Timestamp,
    /// How often the broker was asked for it.
    pub tries: u32,
    /// How often the broker said that it does not have it, when that counts.
    pub misses: u32,
    /// What the broker answered last.
    pub last_answer: Option<String>,
}

impl Core {
    /// Orders that were being sent when the desk last stopped: their answers are lost.
    pub(super) fn declare_interrupted_sends_lost(&mut self) {
        let interrupted = self.book.open().filter(|live| live.order.status == Status::Submitting);
        let interrupted: Vec<Order> = interrupted.map(|live| live.order.clone()).collect();
        for order in interrupted {
            let answer = Err(SubmitFailure::Lost("the desk stopped while it was being sent".into()));
            self.backlog.push(match order.provenance.replaces {
                Some(old) => Input::ReplaceAnswered { order: old, by: order.id, answer },
                None => Input::Sent { order: order.id, answer, took: std::time::Duration::ZERO },
            });
        }
    }

    /// Asks the broker for every order whose answer was lost and whose time has come, and for those in doubt.
    pub(super) fn search(&mut self, step: &mut Step) {
        let drafted: Vec<OrderId> =
            step.draft.touched().filter(|live| live.is_unresolved()).map(|live| live.order.id).collect();
        let unresolved: BTreeSet<OrderId> = self
            .book
            .unresolved()
            .map(|live| live.order.id)
            .chain(drafted)
            .filter(|id| self.peek(step, *id).is_some_and(Live::is_unresolved))
            .filter(|id| !self.sending.contains(id))
            .collect();
        self.searches.retain(|id, search| search.asking || unresolved.contains(id));
        let doubted = std::mem::take(&mut self.doubted);
        for id in unresolved.iter().chain(doubted.difference(&unresolved)).copied() {
            let Some(order) = self.current(step, id).map(|live| live.order) else { continue };
            let search = self.searches.entry(id).or_insert_with(|| Search::new(step.now));
            let urgent = doubted.contains(&id);
            if search.asking || !(urgent || search.wait.is_due(step.now)) {
                continue;
            }
            if self.fenced
                || !self.breaker.lets_question_pass(step.now)
                || !self.budget.take(Priority::Query, step.now)
            {
                if urgent {
                    self.doubted.insert(id);
                }
                continue;
            }
            search.asking = true;
            search.tries += 1;
            step.effects.push(Effect::Find { order, try_number: search.tries });
        }
    }

    /// Folds the answer to a question for an order.
    pub(super) fn fold_found(
        &mut self,
        step: &mut Step,
        id: OrderId,
        answer: Result<Option<BrokerOrder>, BrokerUnreachable>,
    ) {
        self.note_answer(step.now, answer.is_ok());
        let (unit, longest) = (self.config.tick, Self::longest_wait());
        let Some(search) = self.searches.get_mut(&id) else { return };
        search.asking = false;
        search.wait.later(step.now, unit, longest, &mut self.jitter);
        match answer {
            Ok(Some(found)) => {
                self.searches.remove(&id);
                self.fold_broker_order(step, id, &found);
                let is_open = self.current(step, id).is_some_and(|live| !live.order.status.is_terminal());
                if is_open && found.status == BrokerStatus::Filled {
                    // An execution is missing, or was taken back: the list of executions says which.
                    self.compare_at = Some(step.now);
                }
            }
            Ok(None) => {
                search.last = Some("the broker does not have it".into());
                let settled =
                    step.now.duration_since(search.since).unsigned_abs() >= self.profile.settle_window;
                search.misses += u32::from(settled);
                let given_up = search.misses >= MISSES;
                let is_unresolved = self.peek(step, id).is_some_and(Live::is_unresolved);
                if is_unresolved && given_up {
                    self.searches.remove(&id);
                    self.end_search(step, id);
                } else if !is_unresolved {
                    self.searches.remove(&id);
                    self.miss(step, id);
                }
            }
            Err(error) => {
                tracing::warn!(order = %id, %error, "the broker could not be asked for an order");
                search.last = Some(error.to_string());
            }
        }
    }

    /// The broker does not have an order, as far as can be told: it may be sent again, or it is over.
    fn end_search(&mut self, step: &mut Step, id: OrderId) {
        let Some(live) = self.current(step, id) else { return };
        let age = step.now.duration_since(live.order.created_at).unsigned_abs();
        let may_go_again = live.order.status == Status::Unknown
            && live.order.provenance.replaces.is_none()
            && self.profile.refuses_duplicates
            && age <= self.config.limits.max_unsent_age;
        if may_go_again {
            let detail = "its answer was lost, and the broker does not have it: it is sent again".to_owned();
            self.fold_event(step, id, OrderEvent::Absent { detail });
        } else if live.order.status == Status::CancelPending {
            self.fold_event(step, id, OrderEvent::Canceled);
        } else {
            let reason =
                "its answer was lost, and the broker does not have it: it was not sent again".to_owned();
            self.fold_event(step, id, OrderEvent::Expired { reason });
        }
    }

    /// The broker does not have an order that it acknowledged. Nothing is concluded from that but an alarm.
    pub(super) fn miss(&self, step: &Step, id: OrderId) {
        if let Some(live) = self.current(step, id)
            && live.order.broker_order_id.is_some()
            && !live.order.status.is_terminal()
        {
            tracing::error!(order = %id, "the broker does not have an order that it acknowledged");
        }
    }

    /// Orders whose outcome is not known, oldest first.
    pub(crate) fn unknowns(&self, now: Timestamp) -> Vec<Unknown> {
        let lost = self.book.unresolved().filter(|live| !self.sending.contains(&live.order.id));
        lost.map(|live| {
            let search = self.searches.get(&live.order.id).cloned().unwrap_or_else(|| Search::new(now));
            Unknown {
                order: live.order.clone(),
                since: search.since,
                tries: search.tries,
                misses: search.misses,
                last_answer: search.last,
            }
        })
        .collect()
    }
}
