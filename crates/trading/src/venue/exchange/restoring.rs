//! What is stored of an exchange, and how it is built again from it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{AccountId, Money, Quantity, Symbol, Timestamp};

use super::{Exchange, due_of};
use crate::venue::book::View;
use crate::venue::order::{Report, VenueOrder, VenueStatus};
use crate::venue::settings::PaperSettings;

/// What a batch changed: as it is after the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) accounts: Vec<(AccountId, Money)>,
    pub(crate) positions: Vec<(AccountId, Symbol, Quantity)>,
    pub(crate) orders: Vec<VenueOrder>,
    /// New ones, oldest first.
    pub(crate) reports: Vec<Report>,
    pub(crate) halts: Vec<(Symbol, bool)>,
}

impl Rows {
    /// Whether there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { accounts, positions, orders, reports, halts } = self;
        accounts.is_empty()
            && positions.is_empty()
            && orders.is_empty()
            && reports.is_empty()
            && halts.is_empty()
    }
}

/// All that is stored of an exchange. The venue keeps it in its file; ended orders may be left out there, as it asks the
/// file for them. A simulator keeps it in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stored {
    pub(crate) accounts: BTreeMap<AccountId, Money>,
    pub(crate) positions: BTreeMap<(AccountId, Symbol), Quantity>,
    pub(crate) orders: BTreeMap<i64, VenueOrder>,
    pub(crate) reports: Vec<Report>,
    pub(crate) halted: BTreeSet<Symbol>,
    /// The number of the last order, whether it is among `orders` or not.
    pub(crate) last_seq: i64,
}

impl Stored {
    /// Stores a batch.
    #[allow(dead_code, reason = "for who has no file")]
    pub(crate) fn apply(&mut self, rows: Rows) {
        self.accounts.extend(rows.accounts);
        self.positions.extend(rows.positions.into_iter().map(|(id, symbol, held)| ((id, symbol), held)));
        for order in rows.orders {
            self.last_seq = self.last_seq.max(order.seq);
            self.orders.insert(order.seq, order);
        }
        self.reports.extend(rows.reports);
        for (symbol, halted) in rows.halts {
            if halted {
                self.halted.insert(symbol);
            } else {
                self.halted.remove(&symbol);
            }
        }
    }
}

impl Exchange {
    /// An exchange that goes on where another stopped. Instruments are listed and markets seen anew; what was missed
    /// since is done when the time is told: orders arrive and expire, but an auction that was missed is over.
    pub(crate) fn restore(settings: PaperSettings, seed: u64, stored: &Stored, now: Timestamp) -> Self {
        let mut exchange = Self::new(settings, seed);
        exchange.begin(now);
        exchange.next_seq = stored.last_seq + 1;
        for (account, cash) in &stored.accounts {
            exchange.open_account(*account, *cash);
        }
        for ((account, symbol), held) in &stored.positions {
            exchange.accounts.entry(*account).or_default().hold_position(symbol.clone(), *held);
        }
        for symbol in &stored.halted {
            let book = exchange.book_of(symbol);
            exchange.books[book].halted = true;
        }
        for order in stored.orders.values() {
            exchange.put_back(order.clone());
        }
        for report in &stored.reports {
            exchange.accounts.entry(report.account).or_default().reports.push(report.clone());
        }
        exchange.changes = super::Changes::default();
        exchange
    }

    /// The market of a symbol as it is known from elsewhere. Nothing is filled against it yet.
    pub(crate) fn see(&mut self, view: View) {
        let book = self.book_of(&view.symbol);
        self.books[book].view = view;
    }

    fn put_back(&mut self, order: VenueOrder) {
        let seq = order.seq;
        let book = self.book_of(&order.terms.symbol);
        let account = self.accounts.entry(order.account).or_default();
        account.ids.insert(order.client_order_id.clone(), seq);
        if !order.status.is_open() {
            self.orders.insert(seq, order);
            return;
        }
        account.open.insert(seq);
        self.due.extend(due_of(&order).map(|(at, due)| (at, seq, due)));
        match order.status {
            VenueStatus::Open => self.books[book].join(&order),
            VenueStatus::Waiting => self.books[book].wait(&order),
            _ => {}
        }
        self.orders.insert(seq, order);
        self.hold(seq);
    }
}
