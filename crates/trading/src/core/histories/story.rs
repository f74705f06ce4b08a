//! A desk, a broker, and what is on its way between them.

use std::fmt::Write as _;
use std::time::Duration;

use domain::{Decimal, Money, OrderEvent, OrderId, Price, Quantity, Reason, Side, Timestamp};

use super::desk::{Desk, opening_cash, symbol};
use super::truth::{Truth, pick};
use crate::broker::{BrokerEvent, BrokerUnreachable, CancelFailure, SubmitFailure};
use crate::core::{Effect, Input};
use crate::simulator::checker::Broken;
use crate::simulator::journal::Journal;

/// The desk waits no longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so much peace, the desk and the broker agree.
const PEACE: u32 = 60;

/// Something that happens. Orders, executions and what is on its way are named by numbers: modulo how many there are.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// Somebody places an order.
    Place { side: Side, units: u32 },
    /// Somebody asks to cancel one.
    AskCancel { order: usize },
    /// Somebody asks to replace one.
    AskReplace { order: usize, units: u32 },
    /// The broker fills some of an order.
    Fill { order: usize, units: u32, cents: u32 },
    /// The broker cancels an order, whether somebody asked for it or not.
    Cancel { order: usize },
    /// Its time is over.
    Expire { order: usize },
    /// The broker refuses it after all.
    Reject { order: usize },
    /// The broker corrects an execution.
    Correct { execution: usize, units: u32, cents: u32, keeps_id: bool },
    /// The broker takes an execution back.
    Bust { execution: usize },
    /// The broker tells something of a kind that nobody has heard of.
    Mumble { order: usize },
    /// Something arrives.
    Arrive { which: usize },
    /// An event arrives, and will do so again.
    ArriveTwice { which: usize },
    /// Something gets lost: of an answer, the desk learns that it did.
    Lose { which: usize },
    /// Time passes.
    Wait { seconds: u32 },
    /// The stream breaks, with whatever was on it.
    Cut,
    /// The desk dies, and starts again.
    Restart,
}

/// What is on its way to the desk.
#[derive(Clone, Debug)]
enum Letter {
    /// An event of the stream.
    Event(BrokerEvent),
    /// The answer to something that was asked to be done, and what the desk reads if it gets lost.
    Answer { said: Input, lost: Input, asked_at: Timestamp },
    /// The answer to a question. Nobody waits long for these.
    Reply { said: Input, lost: Input },
}

pub(super) struct Story {
    pub(super) desk: Desk,
    pub(super) truth: Truth,
    letters: Vec<Letter>,
    /// No answer is lost any more, and no event arrives: what remains is comparing.
    is_peace: bool,
    /// Whether the stream is open.
    hears: bool,
}

impl Story {
    /// A desk that has just started and knows its account.
    pub(super) fn begin(refuses_duplicates: bool) -> Self {
        let mut story = Self {
            desk: Desk::new(refuses_duplicates),
            truth: Truth::new(symbol(), opening_cash(), refuses_duplicates),
            letters: Vec::new(),
            is_peace: true,
            hears: false,
        };
        story.wait(3);
        story.is_peace = false;
        story
    }

    pub(super) fn happen(&mut self, happening: &Happening) -> Result<(), Broken> {
        let now = self.desk.now;
        match *happening {
            Happening::Place { side, units } => {
                self.desk.place(side, quantity(units), price(10_000));
                self.step(vec![]);
            }
            Happening::AskCancel { order } => {
                if let Some(id) = self.nth_order(order) {
                    let command = self.desk.cancel(id);
                    self.step(vec![command]);
                }
            }
            Happening::AskReplace { order, units } => {
                if let Some(id) = self.nth_order(order)
                    && let Some(command) = self.desk.replace(id, quantity(units), price(10_050))
                {
                    self.step(vec![command]);
                }
            }
            Happening::Fill { order, units, cents } => {
                self.truth.fill(order, quantity(units), price(9_950 + cents), now);
            }
            Happening::Cancel { order } => self.truth.end(order, OrderEvent::Canceled),
            Happening::Expire { order } => {
                self.truth.end(order, OrderEvent::Expired { reason: "the day is over".into() });
            }
            Happening::Reject { order } => {
                let (reason, code) = ("not today".into(), Reason::Other);
                self.truth.end(order, OrderEvent::Refused { reason, code });
            }
            Happening::Correct { execution, units, cents, keeps_id } => {
                self.truth.correct(execution, quantity(units), price(9_950 + cents), keeps_id, now);
            }
            Happening::Bust { execution } => self.truth.bust(execution, now),
            Happening::Mumble { order } => self.truth.mumble(order),
            Happening::Arrive { which } => self.arrive(which, false),
            Happening::ArriveTwice { which } => self.arrive(which, true),
            Happening::Lose { which } => self.lose(which),
            Happening::Wait { seconds } => self.wait(seconds),
            Happening::Cut => self.cut(),
            Happening::Restart => {
                self.desk.restart();
                self.letters.clear();
                self.hears = false;
                self.step(vec![]);
            }
        }
        self.collect();
        self.check_always()
    }

    /// Time passes. Questions are answered within a second; who asked for something to be done waits a little longer.
    pub(super) fn wait(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.desk.now += Duration::from_secs(1);
            let (now, is_peace) = (self.desk.now, self.is_peace);
            let mut arrived = Vec::new();
            self.letters.retain(|letter| {
                match letter {
                    Letter::Reply { said, .. } => arrived.push(said.clone()),
                    Letter::Answer { said, .. } if is_peace => arrived.push(said.clone()),
                    Letter::Answer { lost, asked_at, .. } if *asked_at + PATIENCE <= now => {
                        arrived.push(lost.clone());
                    }
                    Letter::Answer { .. } => return true,
                    Letter::Event(_) => return !is_peace,
                }
                false
            });
            self.hears |= arrived.iter().any(|input| matches!(input, Input::Listening));
            self.step(arrived);
            if self.is_peace {
                self.truth.do_cancels();
            }
            self.collect();
        }
    }

    /// Sends what is accepted, and gives the broker's answer without telling it.
    pub(super) fn send_unheard(&mut self) -> Input {
        for effect in self.desk.step(vec![]) {
            self.perform(effect);
        }
        match self.letters.pop() {
            Some(Letter::Answer { said, .. }) => said,
            other => panic!("nothing was sent: {other:?}"),
        }
    }

    /// Time passes in which everything but the stream works.
    pub(super) fn wait_at_peace(&mut self, seconds: u32) {
        self.is_peace = true;
        self.wait(seconds);
        self.is_peace = false;
    }

    /// From now on the stream is silent, and everything else works.
    pub(super) fn make_peace(&mut self) {
        self.is_peace = true;
        self.truth.lists = true;
        self.wait(PEACE);
    }

    /// The desk's part: a step on what came in, and the broker does what follows.
    pub(super) fn step(&mut self, inputs: Vec<Input>) {
        for effect in self.desk.step(inputs) {
            self.perform(effect);
        }
        self.collect();
    }

    fn perform(&mut self, effect: Effect) {
        let now = self.desk.now;
        let late = || "it took too long".to_owned();
        let letter = match effect {
            Effect::Submit(order) => {
                let sent = |answer| Input::Sent { order: order.id, answer, took: Duration::ZERO };
                let said = sent(self.truth.submit(&order, now));
                Letter::Answer { said, lost: sent(Err(SubmitFailure::Lost(late()))), asked_at: now }
            }
            Effect::Cancel(order) => {
                let answered = |answer| Input::CancelAnswered { order: order.id, answer };
                let said = answered(self.truth.cancel(&order));
                let lost = answered(Err(CancelFailure::Unreachable(late())));
                Letter::Answer { said, lost, asked_at: now }
            }
            Effect::Replace { order, by } => {
                let answered = |answer| Input::ReplaceAnswered { order: order.id, by: by.id, answer };
                let said = answered(self.truth.replace(&order, &by, now));
                Letter::Answer { said, lost: answered(Err(SubmitFailure::Lost(late()))), asked_at: now }
            }
            Effect::Find { order, .. } => {
                let found = |answer| Input::Found { order: order.id, answer };
                let said = found(Ok(self.truth.find(&order)));
                Letter::Reply { said, lost: found(Err(BrokerUnreachable(late()))) }
            }
            Effect::Compare { since, known, events_before } => {
                let snapshot = self.truth.everything(since, &known, events_before);
                let lost = Input::Compared(Box::new(Err(BrokerUnreachable(late()))));
                Letter::Reply { said: Input::Compared(Box::new(Ok(snapshot))), lost }
            }
            Effect::Listen => Letter::Reply { said: Input::Listening, lost: Input::Deaf(late()) },
            Effect::Reply(..) => return,
        };
        self.letters.push(letter);
    }

    /// Puts what the broker tells on its way, if anybody listens.
    fn collect(&mut self) {
        let news = self.truth.news();
        if self.hears && !self.is_peace {
            self.letters.extend(news.into_iter().map(Letter::Event));
        }
    }

    fn arrive(&mut self, which: usize, again: bool) {
        let Some(place) = self.nth_letter(which) else { return };
        let letter = match &self.letters[place] {
            Letter::Event(event) if again => Letter::Event(event.clone()),
            _ => self.letters.remove(place),
        };
        let input = match letter {
            Letter::Event(event) => Input::Event(event),
            Letter::Answer { said, .. } | Letter::Reply { said, .. } => said,
        };
        self.hears |= matches!(input, Input::Listening);
        self.step(vec![input]);
    }

    fn lose(&mut self, which: usize) {
        let Some(place) = self.nth_letter(which) else { return };
        if let Letter::Answer { lost, .. } | Letter::Reply { lost, .. } = self.letters.remove(place) {
            self.step(vec![lost]);
        }
    }

    fn cut(&mut self) {
        self.letters.retain(|letter| !matches!(letter, Letter::Event(_)));
        if self.hears {
            self.hears = false;
            self.step(vec![Input::Deaf("connection reset".into())]);
        }
    }

    fn nth_letter(&self, which: usize) -> Option<usize> {
        (!self.letters.is_empty()).then(|| which % self.letters.len())
    }

    fn nth_order(&self, which: usize) -> Option<OrderId> {
        let ids: Vec<OrderId> = self.desk.journal.orders.keys().copied().collect();
        pick(&ids, which).copied()
    }

    // What has to hold ------------------------------------------------------------------------------------

    /// I7, at every moment: nothing is given back twice.
    pub(super) fn check_always(&self) -> Result<(), Broken> {
        let (reserved, reach) = (self.desk.core.book.whole.reserved, self.desk.reach());
        if reserved < Money::ZERO || reach.buys < Quantity::ZERO || reach.sells < Quantity::ZERO {
            return Err((
                "I7 reservations",
                format!("{reserved} is reserved, and the limits hold {reach:?}"),
            ));
        }
        Ok(())
    }

    /// What has to hold after peace: the desk is as the broker's ledger says, and its journal says the same.
    pub(super) fn check_peace(&self) -> Result<(), Broken> {
        self.check_orders()?;
        self.check_account()?;
        self.check_reservations()?;
        self.desk.journal.check()?;
        self.desk.check_replay()
    }

    fn check_orders(&self) -> Result<(), Broken> {
        for taken in &self.truth.orders {
            let same = self.truth.orders.iter().filter(|one| one.client_order_id == taken.client_order_id);
            if same.count() > 1 {
                return Err(("P2 no duplicate", format!("the broker has {} twice", taken.client_order_id)));
            }
            let id = taken.client_order_id.parse().ok();
            let Some(stored) = id.and_then(|id: OrderId| self.desk.journal.orders.get(&id)) else {
                return Err(("I4 journaled first", format!("{} is not journaled", taken.client_order_id)));
            };
            let order = &stored.order;
            let theirs = (taken.status(), taken.filled(), taken.notional());
            let ours = (order.status, order.filled, order.filled_notional);
            if theirs != ours {
                return Err((
                    "P4 converges",
                    format!("{id:?}: the broker has {theirs:?}, the desk {ours:?}"),
                ));
            }
        }
        let orders = self.desk.journal.orders.values().map(|stored| &stored.order);
        for order in orders {
            let id = order.id.to_string();
            let is_there = self.truth.orders.iter().any(|taken| taken.client_order_id == id);
            if !is_there && (!order.status.is_terminal() || order.filled.is_positive()) {
                return Err(("P3 no guess", format!("{id} is {} and not at the broker", order.status)));
            }
        }
        Ok(())
    }

    /// I5: cash and units, without anything that had to be taken over unexplained.
    fn check_account(&self) -> Result<(), Broken> {
        let book = &self.desk.core.book;
        let (ours, theirs) =
            ((book.whole.cash, book.whole.quantity(&symbol())), (self.truth.cash, self.truth.units));
        if ours != theirs {
            return Err(("I5 balances", format!("the broker has {theirs:?}, the desk {ours:?}")));
        }
        if let Some(blind) = &book.blind {
            return Err(("P4 converges", format!("the account is blind: {}", blind.reason)));
        }
        let unexplained = self
            .desk
            .journal
            .acts
            .iter()
            .find(|(act, _)| matches!(*act, "account.difference_adopted" | "order.adopted"));
        match unexplained {
            Some(act) => Err(("P4 converges", format!("{act:?}, though everything can be explained"))),
            None => Ok(()),
        }
    }

    /// I7: what open orders may still cost is held back, and nothing else.
    fn check_reservations(&self) -> Result<(), Broken> {
        let book = &self.desk.core.book;
        let open = || self.truth.orders.iter().filter(|taken| taken.is_open());
        let left = |side| open().filter(|taken| taken.side() == side).map(|taken| taken.left()).sum();
        let (buys, sells): (Quantity, Quantity) = (left(Side::Buy), left(Side::Sell));
        let needed: Money = book.open().map(|live| live.needs().0).sum();
        let selling: Quantity = book.whole.selling.values().copied().sum();
        let reach = self.desk.reach();
        let count = u64::try_from(open().count()).unwrap_or(u64::MAX);
        let mut wrong = String::new();
        if (book.whole.reserved, selling) != (needed, sells) {
            let _ = write!(wrong, "the account reserves {} and {selling} units. ", book.whole.reserved);
        }
        if (reach.buys, reach.sells, reach.net) != (buys, sells, self.truth.units) {
            let _ = write!(wrong, "the limits hold {reach:?}. ");
        }
        if self.desk.open_orders() != count {
            let _ = write!(wrong, "the limits count {} orders. ", self.desk.open_orders());
        }
        match wrong.as_str() {
            "" => Ok(()),
            wrong => {
                let needed = format!("{count} open orders need {needed}; {buys} to buy, {sells} to sell");
                Err(("I7 reservations", format!("{wrong}{needed}")))
            }
        }
    }

    /// What agrees stays as it is: comparing again finds nothing new.
    pub(super) fn check_quiet(&mut self) -> Result<(), Broken> {
        let rows = |journal: &Journal| journal.events.values().map(Vec::len).sum::<usize>();
        let before = rows(&self.desk.journal);
        self.wait(PEACE);
        match rows(&self.desk.journal) - before {
            0 => Ok(()),
            more => Err(("P4 converges", format!("{more} more events, though nothing happens"))),
        }
    }

    /// Whatever is open ends, unheard; and peace again.
    pub(super) fn end(&mut self) {
        while self.truth.orders.iter().any(|taken| taken.is_open()) {
            self.truth.end(0, OrderEvent::Expired { reason: "the day is over".into() });
        }
        self.make_peace();
    }
}

pub(super) fn quantity(units: u32) -> Quantity {
    Quantity(Decimal::from(units))
}

pub(super) fn price(cents: u32) -> Price {
    Price(Decimal::new(i64::from(cents), 2))
}
