//! The desk's process: a core, what it has in memory besides, and its way to the disk. When it is killed, all of this is
//! gone, and of what was on its way to the disk some is there and some is not.

use std::collections::VecDeque;

use domain::{Order, OrderId, OrderRequest};

use crate::core::{Config, Core, Effect, Input, Step};
use crate::risk::{Hold, Ledger, LimitBook, OrderLimits};
use crate::store::Intent;

/// What is on its way to the disk.
pub(super) enum Write {
    /// Accepted orders, with the clients that wait for them.
    Accepts(Vec<(Intent, Waiting)>),
    /// A step of the router.
    Step(Box<Step>),
}

/// A client that waits for its order to be accepted.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) client: usize,
    pub(super) request: OrderRequest,
}

/// The desk while it runs.
pub(super) struct Process {
    pub(super) core: Core,
    pub(super) ledger: Ledger,
    pub(super) limits: LimitBook,
    /// What the router has not looked at yet.
    pub(super) inbox: Vec<Input>,
    /// In the order in which it gets to the disk.
    pub(super) writes: VecDeque<Write>,
    /// Accepted orders that wait for the write before them.
    pub(super) line: Vec<(Intent, Waiting)>,
    /// A step is on its way to the disk: the router waits for it.
    pub(super) stepping: bool,
    /// A write is being made.
    pub(super) writing: bool,
    /// The stream of the venue that it reads.
    pub(super) stream: Option<u64>,
}

impl Process {
    /// Starts on what the disk holds.
    pub(super) fn start(world: &super::world::Ground, journal: &super::journal::Journal) -> Self {
        let now = world.now;
        let known = journal.known(&world.account, now);
        let terms = OrderLimits::default();
        let mut ledger = Ledger::new();
        for (symbol, price) in &world.prices {
            ledger.mark(symbol, *price, now);
        }
        for live in known.book.open().filter(|live| live.order.status != domain::Status::Held) {
            let counts = live.order.provenance.leg.is_none();
            let scopes = crate::core::scopes_of(&live.order);
            ledger.hold(Hold { counts, ..Hold::of(&live.order, &scopes, live.reserve_price) });
        }
        let config = Config { limits: terms.clone(), tick: super::world::TICK, seed: world.seed };
        Self {
            core: Core::new(world.account.clone(), world.profile.clone(), config, known, now),
            ledger,
            limits: LimitBook::new(&terms, now),
            inbox: Vec::new(),
            writes: VecDeque::new(),
            line: Vec::new(),
            stepping: false,
            writing: false,
            stream: None,
        }
    }

    /// Makes a step the account's state and gives what is to be done.
    pub(super) fn committed(&mut self, step: Step) -> Vec<Effect> {
        self.stepping = false;
        self.core.committed(step, &mut self.ledger)
    }
}

/// All orders of an intent.
pub(super) fn orders_of(intent: &Intent) -> Vec<Order> {
    std::iter::once(&intent.order).chain(intent.legs.iter().map(|leg| &leg.order)).cloned().collect()
}

/// The ids of all orders of an intent.
pub(super) fn ids_of(intent: &Intent) -> Vec<OrderId> {
    orders_of(intent).iter().map(|order| order.id).collect()
}
