//! What the disk of the desk holds: what was committed, and nothing else. It outlives the desk. The stories of single
//! orders beside the core are told on it too.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AuditEntry, Fill, Order, OrderEvent, OrderId, Position, PositionFill, Quantity, Symbol, Timestamp,
};

use super::checker::Broken;
use crate::accounts::Account;
use crate::book::{History, Live, PastFill};
use crate::core::{Kill, Known, Need};
use crate::gateway::open::{Stored, assemble, groups_of};
use crate::scope::Scope;
use crate::store::{Batch, BookedFill, BookingKind, Flow, Folded, Inserted, Intent, NewOrder};

/// The committed state.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) orders: BTreeMap<OrderId, NewOrder>,
    names: BTreeMap<String, OrderId>,
    /// Orders as they were inserted, with when: the start of each replay.
    pub(crate) accepted: BTreeMap<OrderId, (Order, Timestamp)>,
    pub(crate) events: BTreeMap<OrderId, Vec<(OrderEvent, Timestamp)>>,
    pub(crate) fills: Vec<BookedFill>,
    pub(crate) flows: Vec<Flow>,
    opening_cash: Option<domain::Money>,
    /// Acts of the audit log, with what they were on.
    pub(crate) acts: BTreeSet<(&'static str, String)>,
    pub(crate) kills: BTreeMap<Scope, Kill>,
}

impl Journal {
    /// Inserts accepted orders, each if its client order id is new.
    pub(crate) fn insert(&mut self, intents: &[Intent], now: Timestamp) -> Vec<Inserted> {
        let mut outcomes = Vec::new();
        for Intent { order, reserve_price, legs, entry } in intents {
            if let Some(existing) = self.names.get(&order.request.client_order_id) {
                outcomes.push(Inserted::Exists(Box::new(self.orders[existing].order.clone())));
                continue;
            }
            self.add(NewOrder { order: order.clone(), reserve_price: *reserve_price }, now);
            for leg in legs {
                self.add(leg.clone(), now);
            }
            self.note(entry);
            outcomes.push(Inserted::Yes);
        }
        outcomes
    }

    /// Writes one step of the router.
    pub(crate) fn write(&mut self, batch: Batch, now: Timestamp) {
        for new in batch.inserts {
            self.add(new, now);
        }
        for change in batch.changes {
            let id = change.order.id;
            if let Some(stored) = self.orders.get_mut(&id) {
                stored.order = change.order;
            }
            self.events.entry(id).or_default().push((change.event, change.at));
            self.fills.extend(change.booked);
        }
        self.flows.extend(batch.flows);
        self.opening_cash = batch.opening_cash.or(self.opening_cash);
        batch.entries.iter().for_each(|entry| self.note(entry));
    }

    fn add(&mut self, new: NewOrder, now: Timestamp) {
        let (id, name) = (new.order.id, new.order.request.client_order_id.clone());
        self.accepted.insert(id, (new.order.clone(), now));
        self.names.insert(name, id);
        self.orders.insert(id, new);
    }

    /// Loses the newest order, as a disk that confirmed it and did not keep it.
    pub(super) fn forget_newest(&mut self) {
        let Some((id, stored)) = self.orders.pop_last() else { return };
        self.names.remove(&stored.order.request.client_order_id);
        self.accepted.remove(&id);
        self.events.remove(&id);
        self.fills.retain(|booked| booked.order != Some(id));
    }

    fn note(&mut self, entry: &AuditEntry) {
        self.acts.insert((entry.act, entry.resource.clone().unwrap_or_default()));
    }

    /// The order that a client order id belongs to.
    pub(crate) fn named(&self, name: &str) -> Option<&Order> {
        self.names.get(name).and_then(|id| self.orders.get(id)).map(|stored| &stored.order)
    }

    /// An order with its executions as they stand.
    pub(crate) fn live(&self, id: OrderId) -> Option<Live> {
        let stored = self.orders.get(&id)?;
        let mut live = Live::new(stored.order.clone(), stored.reserve_price);
        for booked in self.fills.iter().filter(|booked| booked.order == Some(id)) {
            if let Some(corrected) = &booked.corrects {
                live.executions.remove(corrected);
                live.voided.push(corrected.clone());
            }
            if matches!(booked.kind, BookingKind::Fill | BookingKind::Correction) {
                live.voided.retain(|voided| *voided != booked.fill.execution_id);
                live.executions.insert(booked.fill.execution_id.clone(), booked.fill.clone());
            }
        }
        Some(live)
    }

    pub(crate) fn need(&self, need: &Need) -> Option<Live> {
        match need {
            Need::Order(id) => self.live(*id),
            Need::Named(name) => self.names.get(name).and_then(|id| self.live(*id)),
        }
    }

    /// Every fill of a symbol as it stands, in the place of the first of its line of corrections.
    pub(crate) fn standing(&self, symbol: Option<&Symbol>) -> Vec<(&BookedFill, PositionFill)> {
        let mut standing: Vec<(&BookedFill, Option<PositionFill>)> = Vec::new();
        for booked in self.fills.iter().filter(|booked| symbol.is_none_or(|symbol| booked.symbol == *symbol))
        {
            let place = booked.corrects.as_ref().and_then(|corrects| {
                standing
                    .iter()
                    .position(|(_, fill)| fill.as_ref().is_some_and(|fill| fill.execution_id == *corrects))
            });
            match (booked.kind, place) {
                (BookingKind::Fill | BookingKind::Transfer, _) => {
                    standing.push((booked, Some(PositionFill::of(booked.side, &booked.fill))));
                }
                // A correction follows the bust of what it corrects at once: the place is kept until then.
                (BookingKind::Bust, Some(place)) => {
                    let follows = self.fills.iter().any(|next| {
                        next.seq == booked.seq + 1
                            && next.kind == BookingKind::Correction
                            && next.corrects == booked.corrects
                    });
                    if !follows {
                        standing[place].1 = None;
                    }
                }
                (BookingKind::Correction, Some(place)) => {
                    standing[place].1 = Some(PositionFill::of(booked.side, &booked.fill));
                }
                (BookingKind::Bust | BookingKind::Correction, None) => {}
            }
        }
        standing.into_iter().filter_map(|(booked, fill)| Some((booked, fill?))).collect()
    }

    pub(crate) fn history(&self, symbols: &BTreeSet<Symbol>) -> History {
        let mut history = History::default();
        for symbol in symbols {
            let fills = self.standing(Some(symbol));
            history.insert(
                symbol.clone(),
                fills
                    .into_iter()
                    .map(|(booked, fill)| {
                        let is_transfer = booked.kind == BookingKind::Transfer;
                        PastFill { book: booked.book, fill, is_transfer }
                    })
                    .collect(),
            );
        }
        history
    }

    /// What a desk finds that starts now.
    pub(crate) fn known(&self, account: &Account, now: Timestamp) -> Known {
        let mut folded =
            Folded { positions: BTreeMap::new(), books: BTreeMap::new(), last_seq: 0, newest: None };
        folded.last_seq = self.fills.last().map_or(0, |booked| booked.seq);
        folded.newest = self.fills.iter().map(|booked| booked.fill.at).max();
        for (booked, fill) in self.standing(None) {
            let apply = |position: &mut Position| {
                position.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
            };
            let method = account.cost_method;
            apply(folded.positions.entry(booked.symbol.clone()).or_insert_with(|| Position::new(method)));
            let (positions, moved) = folded.books.entry(booked.book).or_default();
            apply(positions.entry(booked.symbol.clone()).or_insert_with(|| Position::new(method)));
            moved.cash += fill.cash();
            moved.fees += fill.fee;
        }
        let open: Vec<Live> = self
            .orders
            .values()
            .filter(|stored| !stored.order.status.is_terminal())
            .filter_map(|stored| self.live(stored.order.id))
            .collect();
        let mains = groups_of(&open);
        let of_group = |order: &Order| {
            mains.contains(&order.id) || order.provenance.parent.is_some_and(|main| mains.contains(&main))
        };
        let groups = self
            .orders
            .values()
            .filter(|stored| of_group(&stored.order))
            .filter_map(|stored| self.live(stored.order.id));
        let stored = Stored {
            opening_cash: self.opening_cash,
            flows: self.flows.clone(),
            books: Vec::new(),
            folded,
            groups: groups.collect(),
            open,
            kills: self.kills.clone(),
        };
        assemble(account, stored, now)
    }

    /// Whether the audit log has an act on an order.
    pub(crate) fn has_act(&self, act: &'static str, id: OrderId) -> bool {
        self.acts.contains(&(act, format!("order/{id}")))
    }

    /// I5, I6, I10: every order is a history that can be, and its fills are what the history says.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        let mut ids = BTreeSet::new();
        for booked in self.fills.iter().filter(|booked| booked.corrects.is_none()) {
            if !ids.insert(&booked.fill.execution_id) {
                return Err(("I5 executions", format!("{} is booked twice", booked.fill.execution_id)));
            }
        }
        self.accepted.keys().try_for_each(|id| self.check_order(*id))
    }

    fn check_order(&self, id: OrderId) -> Result<(), Broken> {
        let mut order = self.accepted[&id].0.clone();
        let mut executions: BTreeMap<String, Fill> = BTreeMap::new();
        for (event, at) in self.events.get(&id).into_iter().flatten() {
            let was = match event {
                OrderEvent::Corrected { execution_id, by } => {
                    let was = executions.remove(execution_id);
                    executions.insert(by.execution_id.clone(), by.clone());
                    was
                }
                OrderEvent::Busted { execution_id } => executions.remove(execution_id),
                OrderEvent::Filled(fill) => {
                    executions.insert(fill.execution_id.clone(), fill.clone());
                    None
                }
                _ => None,
            };
            order.amend(event, was.as_ref(), *at).map_err(|error| ("I6 transitions", error.to_string()))?;
        }
        let stored = &self.orders[&id].order;
        if order != *stored {
            return Err(("I10 replay", format!("the fold of {id} is {order:?}, stored is {stored:?}")));
        }
        let filled = executions.values().fold(Quantity::ZERO, |all, fill| all + fill.quantity);
        if filled != stored.filled {
            return Err((
                "I5 executions",
                format!("{id} has filled {}, its executions {filled}", stored.filled),
            ));
        }
        Ok(())
    }
}
