//! The promises, checked: some after everything that happens, most when peace has lasted, the rest at the end.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Money, Origin, Quantity, Status, Symbol};

use super::clients::Told;
use super::process::Process;
use super::world::World;
use crate::book::Book;
use crate::broker::{BrokerOrder, BrokerStatus};

/// Which promise is broken, and how.
pub(crate) type Broken = (&'static str, String);

impl World {
    /// What holds at every moment.
    pub(super) fn check_always(&mut self) -> Result<(), Broken> {
        self.note_unknowns();
        let Some(process) = &self.process else { return Ok(()) };
        let book = &process.core.book;
        if book.whole.reserved < Money::ZERO {
            return Err(("I7 reservations", format!("{} is reserved", book.whole.reserved)));
        }
        Ok(())
    }

    /// What holds when peace has lasted for a while.
    pub(super) fn check_peace(&mut self) -> Result<(), Broken> {
        self.check_clients()?;
        self.check_venue()?;
        self.check_balances()?;
        self.journal.check()?;
        self.check_sums()
    }

    /// What holds when nothing is open any more.
    pub(super) fn check_end(&mut self) -> Result<(), Broken> {
        self.check_peace()?;
        self.check_replay()?;
        let Some(process) = &self.process else { return Err(("P9 restart", "the desk does not run".into())) };
        let book = &process.core.book;
        if book.open_orders() > 0 {
            let open: Vec<String> =
                book.open().map(|live| format!("{} {}", live.order.id, live.order.status)).collect();
            return Err((
                "P4 converges",
                format!("still open after everything was canceled: {}", open.join(", ")),
            ));
        }
        let selling: Quantity = book.whole.selling.values().fold(Quantity::ZERO, |all, one| all + *one);
        if !book.whole.reserved.is_zero() || !selling.is_zero() {
            let detail = format!("{} and {selling} units are reserved for nothing", book.whole.reserved);
            return Err(("I7 reservations", detail));
        }
        self.report.executions =
            self.venue.exchange.executions(self.ground.account.id, domain::Timestamp::UNIX_EPOCH).len();
        Ok(())
    }

    /// I1, I2, I3, I9: what clients were told is so.
    fn check_clients(&self) -> Result<(), Broken> {
        for (name, told) in &self.told {
            let stored = self.journal.named(name);
            match (told, stored) {
                (Told::Ok(id), Some(order)) if order.id == *id => {
                    if !self.journal.has_act("order.accepted", *id) {
                        return Err(("I9 audit", format!("{name} was accepted without an audit row")));
                    }
                }
                (Told::Ok(id), _) => {
                    return Err(("P1 no lost order", format!("{name} was accepted as {id} and is gone")));
                }
                (Told::Fail, Some(order)) => {
                    return Err(("I2 refused", format!("{name} was refused and is there as {}", order.id)));
                }
                (Told::Fail | Told::Info | Told::Invoked, _) => {}
            }
        }
        Ok(())
    }

    /// I3, I4, P2, P3, P4: the venue and the desk have the same orders, and each has only one of each.
    fn check_venue(&self) -> Result<(), Broken> {
        let Some(process) = &self.process else { return Err(("P9 restart", "the desk does not run".into())) };
        if let Some(blind) = &process.core.book.blind {
            return Err(("P4 converges", format!("the account is still blind: {}", blind.reason)));
        }
        if let Some(unknown) = process.core.book.unresolved().next() {
            return Err(("P3 no guess", format!("{} is still unknown", unknown.order.id)));
        }
        let mut taken = BTreeMap::new();
        for (id, at) in &self.venue.taken {
            if taken.insert(*id, *at).is_some() {
                return Err(("P2 no duplicate", format!("the venue took {id} twice")));
            }
            match self.journal.accepted.get(id) {
                Some((_, journaled_at)) if journaled_at <= at => {}
                _ => {
                    return Err(("I4 journaled first", format!("{id} reached the venue before the journal")));
                }
            }
        }
        if !self.plan.refuses_duplicates {
            for (id, times) in &self.sent {
                if times.len() > 1 {
                    return Err((
                        "P2 no duplicate",
                        format!("{id} was sent {} times to a broker that takes doubles", times.len()),
                    ));
                }
            }
        }
        let account = self.ground.account.id;
        for stored in self.journal.orders.values() {
            let order = &stored.order;
            let found = self.venue.exchange.find(account, &self.name_at_venue(order));
            match (order.provenance.origin, found) {
                (_, Some(found)) => same(order, &found)?,
                (Origin::Desk, None) if order.broker_order_id.is_some() => {
                    return Err((
                        "I3 agreement",
                        format!("{} is {} and not at the venue", order.id, order.status),
                    ));
                }
                // A difference that was adopted has no order at the venue.
                (_, None) if order.status.is_terminal() || order.status == Status::Held => {}
                (_, None) => {
                    return Err(("P4 converges", format!("{} is {} for ever", order.id, order.status)));
                }
            }
        }
        let adopted: BTreeSet<&str> = self
            .journal
            .orders
            .values()
            .filter_map(|stored| stored.order.broker_order_id.as_deref())
            .collect();
        for broker_id in self.outside.keys() {
            let found = self.outside.get(broker_id).and_then(|name| self.venue.exchange.find(account, name));
            let traded =
                found.is_some_and(|found| found.status == BrokerStatus::Open || !found.fills.is_empty());
            if traded && !adopted.contains(broker_id.as_str()) {
                return Err(("P4 converges", format!("{broker_id} was made outside and never adopted")));
            }
        }
        Ok(())
    }

    /// P4, I5: units and cash are the venue's.
    fn check_balances(&self) -> Result<(), Broken> {
        let Some(process) = &self.process else { return Ok(()) };
        let theirs = self.venue.exchange.balances(self.ground.account.id);
        let book = &process.core.book;
        if theirs.cash != book.whole.cash {
            return Err(("I5 cash", format!("the venue has {}, the desk {}", theirs.cash, book.whole.cash)));
        }
        let at_venue: BTreeMap<_, _> = theirs.positions.iter().cloned().collect();
        for symbol in &self.ground.symbols {
            let (ours, theirs) =
                (book.whole.quantity(symbol), at_venue.get(symbol).copied().unwrap_or_default());
            if ours != theirs {
                return Err(("I5 positions", format!("{symbol}: the venue has {theirs}, the desk {ours}")));
            }
        }
        Ok(())
    }

    /// I7: what is reserved is what the open orders need.
    fn check_sums(&self) -> Result<(), Broken> {
        let Some(process) = &self.process else { return Ok(()) };
        let book = &process.core.book;
        let held = book.books.values().fold(Money::ZERO, |all, holdings| all + holdings.reserved);
        if held != book.whole.reserved {
            return Err((
                "I7 reservations",
                format!("books reserve {held}, the account {}", book.whole.reserved),
            ));
        }
        let cash = book.books.values().fold(Money::ZERO, |all, holdings| all + holdings.cash);
        if cash != book.whole.cash {
            return Err(("I5 books", format!("books have {cash}, the account {}", book.whole.cash)));
        }
        let needed = book.open().filter(|live| live.order.status != Status::Held && !live.is_shadow);
        let (money, units) = needed
            .map(crate::book::Live::needs)
            .fold((Money::ZERO, Quantity::ZERO), |(money, units), (more, also)| (money + more, units + also));
        let selling = book.whole.selling.values().fold(Quantity::ZERO, |all, one| all + *one);
        if money > book.whole.reserved || units > selling {
            let detail = format!(
                "{money} and {units} units are needed, {} and {selling} reserved",
                book.whole.reserved
            );
            return Err(("I7 reservations", detail));
        }
        Ok(())
    }

    /// I10: a desk that starts on the journal is the desk that runs.
    fn check_replay(&self) -> Result<(), Broken> {
        let Some(process) = &self.process else { return Ok(()) };
        let again = Process::start(&self.ground, &self.journal);
        same_again(&process.core.book, &again.core.book)
    }
}

/// I10: whether an account that was read from the journal is the one that runs.
pub(crate) fn same_again(live: &Book, again: &Book) -> Result<(), Broken> {
    let figures = |book: &Book| -> BTreeMap<Symbol, (Quantity, Money, Money)> {
        let positions = book.whole.positions.iter();
        let figures =
            positions.map(|(symbol, one)| (symbol.clone(), (one.quantity, one.cost, one.realised_pnl)));
        // A position whose every execution was taken back is there in memory, and nowhere else.
        figures.filter(|(_, figures)| *figures != Default::default()).collect()
    };
    let orders = |book: &Book| book.open().map(|live| live.order.clone()).collect::<Vec<_>>();
    let whole = |book: &Book| (book.whole.cash, book.whole.fees, book.whole.reserved);
    if figures(live) != figures(again) {
        return Err((
            "I10 replay",
            format!("positions: {:?} live, {:?} from the journal", figures(live), figures(again)),
        ));
    }
    if orders(live) != orders(again) {
        return Err(("I10 replay", format!("{:?} live, {:?} from the journal", orders(live), orders(again))));
    }
    if whole(live) != whole(again) {
        let detail =
            format!("cash, fees and reserved: {:?} live, {:?} from the journal", whole(live), whole(again));
        return Err(("I10 replay", detail));
    }
    Ok(())
}

/// Whether the desk and the venue agree about an order.
fn same(order: &domain::Order, found: &BrokerOrder) -> Result<(), Broken> {
    let filled = found.fills.iter().fold(Quantity::ZERO, |all, fill| all + fill.quantity);
    if filled != order.filled {
        return Err((
            "P4 converges",
            format!("{}: the venue filled {filled}, the desk says {}", order.id, order.filled),
        ));
    }
    let agree = match &found.status {
        BrokerStatus::Open => matches!(order.status, Status::Working | Status::PartiallyFilled),
        BrokerStatus::Filled => order.status == Status::Filled,
        BrokerStatus::Replaced => order.status == Status::Replaced,
        BrokerStatus::Canceled => {
            matches!(order.status, Status::Canceled | Status::Expired | Status::Rejected)
        }
        BrokerStatus::Expired => matches!(order.status, Status::Expired | Status::Canceled),
        BrokerStatus::Rejected(_) => {
            matches!(order.status, Status::Rejected | Status::Expired | Status::Canceled)
        }
    };
    // An execution taken back of an order that was done leaves it at its end on both sides, by different names.
    let amended = order.status.is_terminal() && found.status != BrokerStatus::Open;
    if agree || amended {
        return Ok(());
    }
    Err((
        "P4 converges",
        format!("{}: the venue says {:?}, the desk {}", order.id, found.status, order.status),
    ))
}
