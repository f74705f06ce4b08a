//! Between the desk and the venue: calls that are lost, late and doubled, and a stream that cannot be trusted.

use std::time::Duration;

use domain::{Order, OrderId, Timestamp};

use super::world::{Happening, World};
use crate::broker::{BrokerUnreachable, CancelFailure, SubmitFailure};
use crate::core::{Effect, Input, Snapshot};

/// The desk waits no longer for an answer.
const CALL: Duration = Duration::from_secs(5);

/// A request on its way to the venue.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most requests carry an order")]
pub(super) enum Request {
    Submit(Order),
    Cancel(Order),
    Replace {
        order: Order,
        by: Order,
    },
    Find(Order),
    /// The parts of a comparison, asked one after the other.
    Compare {
        since: Timestamp,
        known: Vec<Order>,
        events_before: u64,
        so_far: Option<Snapshot>,
    },
    Listen,
}

impl Request {
    /// What the desk reads when no answer comes.
    fn lost(&self, why: &str) -> Input {
        let why = why.to_owned();
        match self {
            Self::Submit(order) => {
                Input::Sent { order: order.id, answer: Err(SubmitFailure::Lost(why)), took: CALL }
            }
            Self::Cancel(order) => {
                Input::CancelAnswered { order: order.id, answer: Err(CancelFailure::Unreachable(why)) }
            }
            Self::Replace { order, by } => {
                Input::ReplaceAnswered { order: order.id, by: by.id, answer: Err(SubmitFailure::Lost(why)) }
            }
            Self::Find(order) => Input::Found { order: order.id, answer: Err(BrokerUnreachable(why)) },
            Self::Compare { .. } => Input::Compared(Box::new(Err(BrokerUnreachable(why)))),
            Self::Listen => Input::Deaf(why),
        }
    }

    /// What the desk reads when the connection is refused.
    fn refused(&self) -> Input {
        let why = "connection refused".to_owned();
        match self {
            Self::Submit(order) => Input::Sent {
                order: order.id,
                answer: Err(SubmitFailure::NotReached(why)),
                took: Duration::ZERO,
            },
            Self::Replace { order, by } => Input::ReplaceAnswered {
                order: order.id,
                by: by.id,
                answer: Err(SubmitFailure::NotReached(why)),
            },
            other => other.lost(&why),
        }
    }

    pub(super) fn order(&self) -> Option<OrderId> {
        match self {
            Self::Submit(order) | Self::Cancel(order) | Self::Find(order) => Some(order.id),
            Self::Replace { by, .. } => Some(by.id),
            Self::Compare { .. } | Self::Listen => None,
        }
    }
}

impl World {
    /// The desk performs an effect.
    pub(super) fn perform(&mut self, effect: Effect) -> Result<(), String> {
        self.note(format!("desk: {}", effect.id()));
        let request = match effect {
            Effect::Submit(order) => {
                self.watch_kill(&order)?;
                self.sent.entry(order.id).or_default().push(self.ground.now);
                Request::Submit(order)
            }
            Effect::Cancel(order) => Request::Cancel(order),
            Effect::Replace { order, by } => {
                self.watch_kill(&by)?;
                self.sent.entry(by.id).or_default().push(self.ground.now);
                Request::Replace { order, by }
            }
            Effect::Find { order, .. } => Request::Find(order),
            Effect::Compare { since, known, events_before } => {
                Request::Compare { since, known, events_before, so_far: None }
            }
            Effect::Listen => Request::Listen,
            Effect::Reply(ticket, reply) => {
                self.replied(ticket, reply);
                return Ok(());
            }
        };
        self.call(request);
        Ok(())
    }

    /// Sends a request on its way.
    pub(super) fn call(&mut self, request: Request) {
        self.calls += 1;
        let call = self.calls;
        self.waiting.insert(call);
        let (plan, trouble) = (self.plan.clone(), self.trouble);
        let is_question = matches!(request, Request::Find(_) | Request::Compare { .. } | Request::Listen);
        let life = self.life;
        if !self.venue.alive || (trouble && self.dice.says(plan.not_reached)) {
            self.fault();
            if let Some(order) = request.order().filter(|_| !is_question) {
                self.unsent(order);
            }
            let input = request.refused();
            let at = self.soon(20);
            self.at(at, Happening::Answer { call, life, input });
            return;
        }
        // The answer, should none come.
        let lost = request.lost("it took too long");
        self.at(self.ground.now + CALL, Happening::Answer { call, life, input: lost });
        if trouble && self.dice.says(plan.lose_request) {
            self.fault();
            if self.dice.says(0.5) {
                let input = request.lost("connection reset");
                let at = self.soon(100);
                self.at(at, Happening::Answer { call, life, input });
            }
            return;
        }
        let mut arrives = self.soon(40);
        if trouble && self.dice.says(plan.slow) {
            self.fault();
            // It must be there before the broker's promise runs out: that is what the settle window means.
            let most = u64::try_from(plan.settle_window.as_millis()).unwrap_or(0).max(2) - 1;
            arrives = self.ground.now + Duration::from_millis(self.dice.below(most as usize) as u64);
        }
        if trouble
            && self.dice.says(plan.double_request)
            && !matches!(request, Request::Listen | Request::Compare { .. })
        {
            self.fault();
            let again = arrives + Duration::from_millis(self.dice.below(1_000) as u64);
            self.at(again, Happening::AtVenue { call, life, request: request.clone() });
        }
        self.at(arrives, Happening::AtVenue { call, life, request });
    }

    /// A request reaches the venue.
    pub(super) fn arrive(&mut self, call: u64, life: u64, request: Request) {
        if !self.venue.alive {
            return;
        }
        let now = self.ground.now;
        let account = self.ground.account.id;
        let input = match request {
            Request::Submit(order) => {
                let answer = self.venue.exchange.submit(&order, now);
                if answer.is_ok() {
                    self.venue.taken.push((order.id, now));
                }
                Input::Sent { order: order.id, answer, took: Duration::from_millis(20) }
            }
            Request::Replace { order, by } => {
                let answer = self.venue.exchange.replace(&order, &by, now);
                if answer.is_ok() {
                    self.venue.taken.push((by.id, now));
                }
                Input::ReplaceAnswered { order: order.id, by: by.id, answer }
            }
            Request::Cancel(order) => {
                let answer = self.venue.exchange.cancel(account, &self.name_at_venue(&order), now);
                Input::CancelAnswered { order: order.id, answer }
            }
            Request::Find(order) => {
                let found = self.venue.exchange.find(account, &self.name_at_venue(&order));
                Input::Found {
                    order: order.id,
                    answer: Ok(found.filter(|found| self.is_listed(found.placed_at))),
                }
            }
            Request::Listen => {
                self.venue.streams += 1;
                self.venue.listener = Some(self.venue.streams);
                let stream = self.venue.streams;
                let at = self.soon(20);
                self.at(at, Happening::Stream { call, life, stream });
                return;
            }
            Request::Compare { since, known, events_before, so_far } => {
                return self.compare(call, life, since, known, events_before, so_far);
            }
        };
        self.settle_venue();
        let back = self.soon(40);
        if self.trouble && self.dice.says(self.plan.lose_answer) {
            self.fault();
            return;
        }
        self.at(back, Happening::Answer { call, life, input });
    }

    /// The parts of a comparison are not asked in one moment: things happen between them.
    fn compare(
        &mut self,
        call: u64,
        life: u64,
        since: Timestamp,
        known: Vec<Order>,
        events_before: u64,
        so_far: Option<Snapshot>,
    ) {
        let account = self.ground.account.id;
        let exchange = &self.venue.exchange;
        let Some(mut snapshot) = so_far else {
            let open =
                exchange.open_orders(account).into_iter().filter(|order| self.is_listed(order.placed_at));
            let snapshot = Snapshot {
                open: open.collect(),
                found: Vec::new(),
                executions: Vec::new(),
                balances: Default::default(),
                actions: Vec::new(),
                events_before,
            };
            let request = Request::Compare { since, known, events_before, so_far: Some(snapshot) };
            let at = self.soon(40);
            self.at(at, Happening::AtVenue { call, life, request });
            return;
        };
        let missing = known.iter().filter(|order| {
            let id = order.id.to_string();
            !snapshot.open.iter().any(|open| {
                open.client_order_id == id || order.broker_order_id.as_ref() == Some(&open.broker_order_id)
            })
        });
        let found: Vec<_> = missing
            .map(|order| {
                let found = exchange.find(account, &self.name_at_venue(order));
                (order.id, found.filter(|found| self.is_listed(found.placed_at)))
            })
            .collect();
        snapshot.found = found;
        snapshot.executions = exchange.executions(account, since);
        snapshot.balances = exchange.balances(account);
        let input = Input::Compared(Box::new(Ok(snapshot)));
        if self.trouble && self.dice.says(self.plan.lose_answer) {
            self.fault();
            return;
        }
        let at = self.soon(40);
        self.at(at, Happening::Answer { call, life, input });
    }

    /// What an order is called at the venue: somebody else's by the name that they gave it.
    pub(super) fn name_at_venue(&self, order: &Order) -> String {
        let outside = order.broker_order_id.as_ref().and_then(|id| self.outside.get(id));
        outside.cloned().unwrap_or_else(|| order.id.to_string())
    }

    /// Whether the venue lists an order already that it took at a time.
    fn is_listed(&self, taken_at: Timestamp) -> bool {
        !self.trouble || taken_at + self.plan.listing_lag <= self.ground.now
    }

    /// Stores what the venue did, and tells its stream.
    pub(super) fn settle_venue(&mut self) {
        let batch = self.venue.exchange.drain();
        self.venue.stored.apply(batch.rows);
        let Some(stream) = self.venue.listener else { return };
        for (_, event) in batch.told {
            if self.trouble && self.dice.says(self.plan.drop_event) {
                self.fault();
                continue;
            }
            let mut at = self.ground.now.max(self.venue.told_until)
                + Duration::from_millis(1 + self.dice.below(30) as u64);
            if self.trouble && self.dice.says(self.plan.late_event) {
                self.fault();
                at += Duration::from_millis(self.dice.below(8_000) as u64);
            } else {
                // A stream keeps its order.
                self.venue.told_until = at;
            }
            if self.trouble && self.dice.says(self.plan.double_event) {
                self.fault();
                let again = at + Duration::from_millis(self.dice.below(2_000) as u64);
                self.at(again, Happening::Told { stream, event: event.clone() });
            }
            self.at(at, Happening::Told { stream, event });
        }
    }

    /// A moment from now, up to so many milliseconds.
    pub(super) fn soon(&mut self, millis: usize) -> Timestamp {
        self.ground.now + Duration::from_micros(1 + self.dice.below(millis * 1_000) as u64)
    }
}
