//! The search for orders whose answers were lost. It ends with what the broker says, never by giving up.

use std::time::Duration;

use domain::{Order, OrderEvent, OrderId, Status, Timestamp};

use super::{Input, LONGEST_WAIT, Router, Step, within};
use crate::broker::{BrokerOrder, BrokerUnreachable, SubmitFailure};

/// Lookups on separate calls that must agree that the broker has no such order.
const MISSES: u32 = 2;

/// The search for an order whose answer was lost.
pub(super) struct Search {
    since: Timestamp,
    misses: u32,
    next: Timestamp,
    wait: Duration,
    asking: bool,
}

impl Search {
    fn new(now: Timestamp) -> Self {
        Self { since: now, misses: 0, next: now, wait: Duration::ZERO, asking: false }
    }

    fn wait_longer(&mut self, now: Timestamp, unit: Duration) {
        self.asking = false;
        self.wait = (self.wait * 2).clamp(unit, LONGEST_WAIT);
        self.next = now + self.wait;
    }
}

impl Router {
    /// Orders that were being sent when the desk last stopped: their answers are lost.
    pub(super) fn declare_interrupted_sends_lost(&mut self) {
        let interrupted: Vec<OrderId> = {
            let book = self.desk.book();
            book.open()
                .filter(|live| live.order.status == Status::Submitting)
                .map(|live| live.order.id)
                .collect()
        };
        for order in interrupted {
            let answer = Err(SubmitFailure::Lost("the desk stopped while it was being sent".into()));
            self.backlog.push(Input::Sent { order, answer, took: Duration::ZERO });
        }
    }

    /// Asks the broker for every order whose answer was lost and whose time has come.
    pub(super) fn search(&mut self) {
        let now = self.shared.clock.now();
        let unresolved: Vec<Order> = {
            let book = self.desk.book();
            book.open().filter(|live| live.is_unresolved()).map(|live| live.order.clone()).collect()
        };
        self.searches.retain(|id, _| unresolved.iter().any(|order| order.id == *id));
        for order in unresolved {
            if self.sending.contains(&order.id) {
                continue;
            }
            let search = self.searches.entry(order.id).or_insert_with(|| Search::new(now));
            if search.asking || now < search.next {
                continue;
            }
            search.asking = true;
            let (broker, answers) = (self.desk.broker.clone(), self.answers.clone());
            tokio::spawn(async move {
                let answer = within(broker.find(&order)).await;
                let _ = answers.send(Input::Found { order: order.id, answer }).await;
            });
        }
    }

    /// Folds the answer to a question for a lost order.
    pub(super) fn fold_found(
        &mut self,
        step: &mut Step,
        id: OrderId,
        answer: Result<Option<BrokerOrder>, BrokerUnreachable>,
    ) {
        match answer {
            Ok(Some(found)) => {
                self.searches.remove(&id);
                self.fold_broker_order(step, id, &found);
            }
            Ok(None) => {
                let settle = self.desk.broker.settle_window();
                let Some(search) = self.searches.get_mut(&id) else { return };
                let settled = step.now.duration_since(search.since).unsigned_abs() >= settle;
                search.misses += u32::from(settled);
                search.wait_longer(step.now, self.shared.tick);
                if search.misses >= MISSES {
                    self.searches.remove(&id);
                    let reason = "its answer was lost, and the broker does not have it".to_owned();
                    self.fold_event(step, id, OrderEvent::Expired { reason });
                }
            }
            Err(error) => {
                tracing::warn!(order = %id, %error, "the broker could not be asked for a lost order");
                if let Some(search) = self.searches.get_mut(&id) {
                    search.wait_longer(step.now, self.shared.tick);
                }
            }
        }
    }
}
