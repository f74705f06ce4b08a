//! Comparing the account with the broker: at start, after a lost stream, and on a timer while orders are open.

use std::time::Duration;

use domain::{AuditEntry, Money, Order, OrderEvent, OrderId, Outcome, Symbol, Timestamp};
use rustc_hash::FxHashMap;
use serde_json::json;
use storage::{StorageError, Tx};

use super::{Input, Router, Step, within};
use crate::broker::{Balances, BrokerOrder, Execution};
use crate::gateway::TradingEvent;
use crate::store::{self, JournalError};

/// Between comparisons with the broker while orders are open.
const COMPARE: Duration = Duration::from_secs(30);
/// Executions are asked for from this long before the newest one known.
const OVERLAP: Duration = Duration::from_secs(300);

/// What the broker said when it was asked for everything.
pub(super) struct Snapshot {
    executions: Vec<Execution>,
    orders: Vec<(OrderId, Option<BrokerOrder>)>,
    balances: Balances,
    /// Events that had been read from the stream when the questions were asked.
    events_before: u64,
}

/// What a comparison found at the broker that the desk cannot explain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// What the broker has more in cash.
    cash: Money,
    /// In words, for positions.
    positions: Option<String>,
}

impl Router {
    /// Asks the broker for everything: after a (re)connect, and now and then while orders are open.
    pub(super) fn compare_if_due(&mut self, listening: bool) {
        let now = self.shared.clock.now();
        if self.comparing || !listening || self.compare_at.is_none_or(|at| now < at) {
            return;
        }
        let explained = self.suspected == Difference::default();
        if self.reconciled && explained && self.desk.book().is_at_rest() {
            return;
        }
        let sent: Vec<Order> = {
            let book = self.desk.book();
            book.open().filter(|live| live.order.attempts > 0).map(|live| live.order.clone()).collect()
        };
        // While orders are open even a stream that looks healthy is not trusted for long.
        self.compare_at = Some(now + COMPARE);
        self.comparing = true;
        let since = self.newest_fill.map_or(Timestamp::UNIX_EPOCH, |newest| newest - OVERLAP);
        let (broker, answers, events_before) =
            (self.desk.broker.clone(), self.answers.clone(), self.events_seen);
        tokio::spawn(async move {
            let ask = async {
                let executions = within(broker.executions(since)).await?;
                let mut orders = Vec::with_capacity(sent.len());
                for order in sent {
                    orders.push((order.id, within(broker.find(&order)).await?));
                }
                let balances = within(broker.balances()).await?;
                Ok(Snapshot { executions, orders, balances, events_before })
            };
            let _ = answers.send(Input::Compared(Box::new(ask.await))).await;
        });
    }

    pub(super) async fn fold_snapshot(
        &mut self,
        step: &mut Step,
        snapshot: &Snapshot,
    ) -> Result<(), StorageError> {
        for execution in &snapshot.executions {
            let Ok(id) = execution.client_order_id.parse() else { continue };
            self.load_order(id).await?;
            self.fold_event(step, id, OrderEvent::Filled(execution.fill.clone()));
        }
        for (id, found) in &snapshot.orders {
            match found {
                Some(found) => self.fold_broker_order(step, *id, found),
                None => {
                    let known =
                        self.current(step, *id).is_some_and(|live| live.order.broker_order_id.is_some());
                    if known {
                        tracing::error!(order = %id, "the broker does not have an order that it acknowledged");
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a comparison; one whose findings could not be kept is made again.
    pub(super) async fn finish_comparison(&mut self, snapshot: Snapshot) -> Result<(), JournalError> {
        match self.settle_balances(snapshot).await {
            Err(JournalError::Storage(error)) => {
                self.go_blind(&format!("the order journal cannot be written: {error}"));
                self.compare_at = Some(self.shared.clock.now());
                Ok(())
            }
            done => done,
        }
    }

    /// After a comparison: cash at first, differences that nothing explains, and sight again.
    async fn settle_balances(&mut self, snapshot: Snapshot) -> Result<(), JournalError> {
        let quiet = snapshot.events_before == self.events_seen && self.sending.is_empty();
        let found = self.difference(&snapshot.balances);
        if self.opening_cash.is_none() {
            self.adopt_cash(found.cash, "account.opening_cash_learned").await?;
        } else if quiet && found == self.suspected {
            self.believe(found).await?;
        } else {
            self.suspected = found;
            if self.suspected != Difference::default() {
                self.compare_at = Some(self.shared.clock.now());
            }
        }
        self.see_again().await?;
        // Orders accepted before the account was compared can go now.
        self.reconciled = true;
        self.desk.accepted.notify_one();
        Ok(())
    }

    /// Ends blindness, once that is in the audit log: which also proves that the log can be written.
    async fn see_again(&self) -> Result<(), JournalError> {
        let Some(blind) = self.desk.book().blind.clone() else { return Ok(()) };
        let entry = AuditEntry::by_system(self.shared.clock.now(), "account.reconciled")
            .on("account", self.desk.account.id)
            .with(json!({ "blind_since": blind.since, "reason": blind.reason }));
        self.record(entry).await?;
        self.desk.book().blind = None;
        let _ = self.shared.events.send(TradingEvent::Account(self.desk.account.id));
        Ok(())
    }

    /// A difference that was found twice: cash is adopted, positions are reported.
    async fn believe(&mut self, found: Difference) -> Result<(), JournalError> {
        if !found.cash.is_zero() {
            let account = &self.desk.account.name;
            tracing::warn!(account, difference = %found.cash, "cash at the broker is not what fills explain");
            self.adopt_cash(found.cash, "account.cash_adjusted").await?;
        }
        if found.positions != self.told {
            if let Some(positions) = &found.positions {
                self.report(positions).await?;
            }
            self.told = found.positions;
        }
        self.suspected = Difference::default();
        Ok(())
    }

    /// What the broker has other than the desk.
    fn difference(&self, balances: &Balances) -> Difference {
        let book = self.desk.book();
        let at_broker: FxHashMap<&Symbol, _> = balances.positions.iter().map(|(s, q)| (s, *q)).collect();
        let mut differences = Vec::new();
        for (symbol, position) in &book.positions {
            let theirs = at_broker.get(symbol).copied().unwrap_or_default();
            if theirs != position.quantity {
                differences.push(format!("{symbol}: desk {}, broker {theirs}", position.quantity));
            }
        }
        for (symbol, theirs) in &balances.positions {
            if !theirs.is_zero() && !book.positions.contains_key(symbol) {
                differences.push(format!("{symbol}: desk 0, broker {theirs}"));
            }
        }
        let positions = (!differences.is_empty()).then(|| differences.join("; "));
        Difference { cash: balances.cash - book.cash, positions }
    }

    async fn adopt_cash(&mut self, difference: Money, act: &'static str) -> Result<(), JournalError> {
        let account = self.desk.account.id;
        let opening = self.opening_cash.unwrap_or_default() + difference;
        let entry = AuditEntry::by_system(self.shared.clock.now(), act)
            .on("account", account)
            .with(json!({ "difference": difference, "opening_cash": opening }));
        self.shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    store::set_opening_cash(tx, account, opening).await?;
                    tx.record(entry);
                    Ok::<_, JournalError>(())
                })
            })
            .await?;
        self.opening_cash = Some(opening);
        self.desk.book().cash += difference;
        Ok(())
    }

    async fn report(&self, difference: &str) -> Result<(), JournalError> {
        tracing::error!(account = %self.desk.account.name, difference, "positions at the broker are not those of the desk");
        let entry = AuditEntry::by_system(self.shared.clock.now(), "account.positions_differ")
            .on("account", self.desk.account.id)
            .ended(Outcome::Failed)
            .with(json!({ "difference": difference }));
        self.record(entry).await
    }
}
