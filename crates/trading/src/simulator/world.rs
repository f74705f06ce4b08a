//! The world of a run: one queue of things that will happen, taken out in order of time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hasher as _;
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Context, Decimal, Instrument, Money, Order, OrderId, OrderRequest, Price,
    Quantity, Quote, RequestId, Role, SessionId, Side, Status, Symbol, TakerSide, TimeInForce, Timestamp,
    Trade, UserId,
};
use rustc_hash::FxHasher;
use uuid::Uuid;

use super::clients::{Act, Client, Told, request};
use super::journal::Journal;
use super::network::Request;
use super::plan::{Disk, Plan};
use super::process::{Process, Waiting, Write, ids_of};
use super::{Report, Violation};
use crate::accounts::{Account, Mode};
use crate::broker::{BrokerEvent, Profile};
use crate::core::{Accepting, Amendment, Command, Input, Kill, Market, Reply, Ticket, View};
use crate::scope::Scope;
use crate::store::Inserted;
use crate::venue::exchange::{Exchange, Stored};
use crate::venue::random::Dice;
use crate::venue::settings::PaperSettings;

/// How often the router looks after what is unresolved.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Peace after the trouble: by then everything has to be as it should.
const PEACE: Duration = Duration::from_secs(90);
/// The market stands still for so long before the check. What it did before has to be known by then even if the stream says
/// nothing: the desk asks the broker for everything each half minute.
const REST: Duration = Duration::from_secs(40);
/// Things that happened before a violation, as far as they are told.
const TAIL: usize = 60;

/// What does not fail.
pub(super) struct Ground {
    pub(super) seed: u64,
    pub(super) now: Timestamp,
    pub(super) account: Account,
    pub(super) profile: Profile,
    pub(super) symbols: Vec<Symbol>,
    pub(super) quotes: BTreeMap<Symbol, (Quote, Timestamp)>,
    pub(super) prices: BTreeMap<Symbol, Price>,
}

impl View for Ground {
    fn quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)> {
        self.quotes.get(symbol).cloned()
    }

    fn price(&self, symbol: &Symbol) -> Option<Price> {
        self.prices.get(symbol).copied()
    }
}

impl Market for Ground {
    fn instrument(&self, symbol: &Symbol) -> Option<Instrument> {
        self.symbols.contains(symbol).then(|| instrument(symbol))
    }
}

/// The venue, with its own disk.
pub(super) struct Venue {
    pub(super) exchange: Exchange,
    pub(super) stored: Stored,
    pub(super) alive: bool,
    pub(super) streams: u64,
    pub(super) listener: Option<u64>,
    pub(super) told_until: Timestamp,
    /// Orders of the desk that it took, and when.
    pub(super) taken: Vec<(OrderId, Timestamp)>,
}

/// Something that will happen.
#[allow(clippy::large_enum_variant, reason = "the large ones are the frequent ones")]
pub(super) enum Happening {
    MarketMoves,
    ClientActs(usize),
    Tick { life: u64 },
    Wake { life: u64 },
    Written { life: u64 },
    AtVenue { call: u64, life: u64, request: Request },
    Answer { call: u64, life: u64, input: Input },
    Stream { call: u64, life: u64, stream: u64 },
    Told { stream: u64, event: BrokerEvent },
    Misfortune(Misfortune),
    Restart,
    VenueBack,
    DiskGood,
    Rearm,
    MarketSpeaks,
    Peace,
    CancelEverything,
    End,
}

/// What befalls the desk or its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfortune {
    Crash,
    Outage,
    Cut,
    FullDisk,
    Outsider,
    Amendment,
    Kill,
    Silence,
}

pub(super) struct World {
    pub(super) ground: Ground,
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) venue: Venue,
    pub(super) journal: Journal,
    pub(super) process: Option<Process>,
    /// Which life of the desk it is: what was meant for an earlier one is not for this one.
    pub(super) life: u64,
    /// Whether things go wrong.
    pub(super) trouble: bool,
    pub(super) waiting: BTreeSet<u64>,
    pub(super) calls: u64,
    /// When each order was sent.
    pub(super) sent: BTreeMap<OrderId, Vec<Timestamp>>,
    /// Names of orders from outside, by the venue's id.
    pub(super) outside: BTreeMap<String, String>,
    pub(super) told: BTreeMap<String, Told>,
    /// Orders that were accepted while a switch covered them, or sent after it was pulled.
    pub(super) report: Report,
    pub(super) tell: Option<fn(&str)>,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    queued: u64,
    clients: Vec<Client>,
    requests: u64,
    tickets: Ticket,
    amending: BTreeMap<Ticket, (OrderId, OrderId)>,
    disk_full: bool,
    silent: bool,
    killed_at: Option<Timestamp>,
    unknown_since: BTreeMap<OrderId, Timestamp>,
    peace_at: Timestamp,
    trace: FxHasher,
    tail: VecDeque<String>,
}

fn instrument(symbol: &Symbol) -> Instrument {
    Instrument {
        symbol: symbol.clone(),
        base: symbol.as_str().chars().take(3).collect(),
        quote: "USD".into(),
        price_increment: Price(Decimal::new(1, 2)),
        quantity_increment: Quantity(Decimal::new(1, 3)),
    }
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let start = Timestamp::from_second(1_790_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut dice = Dice::new(seed);
        let account = AccountId(uuid_of(start, &mut dice));
        let symbols: Vec<Symbol> =
            ["AAA-USD", "BBB-USD"].iter().filter_map(|name| name.parse().ok()).collect();
        let settings = PaperSettings {
            settle_window: plan.settle_window,
            requests_per_minute: plan.requests_per_minute,
            burst: (plan.requests_per_minute / 10).max(20),
            seed,
            ..PaperSettings::with_fee_bps(Decimal::from(10))
        };
        let profile = Profile { refuses_duplicates: plan.refuses_duplicates, ..settings.profile() };
        let mut exchange = Exchange::new(settings, seed);
        symbols.iter().for_each(|symbol| exchange.list(instrument(symbol)));
        exchange.open_account(account, Money(Decimal::from(100_000)));
        let prices = symbols.iter().map(|symbol| (symbol.clone(), Price(Decimal::ONE_HUNDRED))).collect();
        let account = Account {
            id: account,
            name: "Paper".into(),
            broker: "paper".into(),
            mode: Mode::Paper,
            currency: "USD".into(),
            cost_method: Default::default(),
            live_since: None,
            paused_since: None,
            credentials_since: None,
            broker_account: None,
        };
        let ground = Ground { seed, now: start, account, profile, symbols, quotes: BTreeMap::new(), prices };
        let journal = Journal::default();
        let clients = (0..plan.clients).map(|_| Client::default()).collect();
        let venue = Venue {
            exchange,
            stored: Stored::default(),
            alive: true,
            streams: 0,
            listener: None,
            told_until: start,
            taken: Vec::new(),
        };
        let peace_at = start + plan.trouble;
        Self {
            process: None,
            ground,
            plan,
            dice,
            venue,
            journal,
            life: 0,
            trouble: true,
            waiting: BTreeSet::new(),
            calls: 0,
            sent: BTreeMap::new(),
            outside: BTreeMap::new(),
            told: BTreeMap::new(),
            report: Report { seed, ..Report::default() },
            tell: None,
            queue: BTreeMap::new(),
            queued: 0,
            clients,
            requests: 0,
            tickets: 0,
            amending: BTreeMap::new(),
            disk_full: false,
            silent: false,
            killed_at: None,
            unknown_since: BTreeMap::new(),
            peace_at,
            trace: FxHasher::default(),
            tail: VecDeque::new(),
        }
    }

    /// Lives through it all.
    pub(super) fn run(mut self) -> Result<Report, Box<Violation>> {
        let start = self.ground.now;
        self.settle_venue();
        self.at(start, Happening::MarketMoves);
        self.at(start, Happening::Restart);
        for client in 0..self.clients.len() {
            self.at(start + Duration::from_millis(500), Happening::ClientActs(client));
        }
        for (misfortune, a_minute) in [
            (Misfortune::Crash, self.plan.crashes),
            (Misfortune::Outage, self.plan.outages),
            (Misfortune::Cut, self.plan.cuts),
            (Misfortune::FullDisk, self.plan.full_disks),
            (Misfortune::Outsider, self.plan.outsiders),
            (Misfortune::Amendment, self.plan.amendments),
            (Misfortune::Kill, self.plan.kills),
            (Misfortune::Silence, self.plan.silences),
        ] {
            let minutes = self.plan.trouble.as_secs_f64() / 60.0;
            for _ in 0..(a_minute * minutes).round() as usize {
                let within = usize::try_from(self.plan.trouble.as_millis()).unwrap_or(0);
                let at = start + Duration::from_millis(self.dice.below(within) as u64);
                self.at(at, Happening::Misfortune(misfortune));
            }
        }
        self.at(self.peace_at, Happening::Peace);
        self.at(self.peace_at + PEACE, Happening::CancelEverything);
        self.at(self.peace_at + PEACE + Duration::from_secs(60), Happening::End);
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.ground.now = at;
            if matches!(happening, Happening::End) {
                self.check_end().map_err(|(promise, detail)| self.violation(promise, detail))?;
                self.report.orders = self.journal.orders.len();
                self.report.lasted = Duration::try_from(at.duration_since(start)).unwrap_or_default();
                self.report.trace = self.trace.finish();
                return Ok(self.report);
            }
            self.happen(happening).map_err(|(promise, detail)| self.violation(promise, detail))?;
        }
        Ok(self.report)
    }

    fn violation(&self, promise: &'static str, detail: String) -> Box<Violation> {
        Box::new(Violation {
            seed: self.ground.seed,
            at: self.ground.now,
            promise,
            detail,
            before: self.tail.iter().cloned().collect(),
        })
    }

    fn happen(&mut self, happening: Happening) -> Result<(), (&'static str, String)> {
        match happening {
            Happening::MarketMoves => self.move_market(),
            Happening::ClientActs(client) => self.act(client)?,
            Happening::Tick { life } if life == self.life => {
                self.at(self.ground.now + TICK, Happening::Tick { life });
                self.step()?;
            }
            Happening::Wake { life } if life == self.life => self.step()?,
            Happening::Written { life } if life == self.life => self.written()?,
            Happening::Tick { .. } | Happening::Wake { .. } | Happening::Written { .. } => {}
            Happening::AtVenue { call, life, request } => self.arrive(call, life, request),
            Happening::Answer { call, life, input } => {
                if self.waiting.remove(&call) && life == self.life {
                    self.note(format!("answer: {}", short(&input)));
                    self.brake_late(&input);
                    self.receive(input);
                }
            }
            Happening::Stream { call, life, stream } => {
                if self.waiting.remove(&call)
                    && life == self.life
                    && let Some(process) = &mut self.process
                {
                    process.stream = Some(stream);
                    self.receive(Input::Listening);
                }
            }
            Happening::Told { stream, event } => {
                if self.process.as_ref().is_some_and(|process| process.stream == Some(stream)) {
                    self.note(format!("told: {} {:?}", event.client_order_id, event.event));
                    self.receive(Input::Event(event));
                }
            }
            Happening::Misfortune(misfortune) => self.befall(misfortune),
            Happening::Restart => self.restart(),
            Happening::VenueBack => self.venue_back(),
            Happening::DiskGood => self.disk_full = false,
            Happening::Rearm => self.rearm(),
            Happening::MarketSpeaks => self.silent = false,
            Happening::Peace => self.make_peace(),
            Happening::CancelEverything => {
                self.check_peace()?;
                self.cancel_everything();
            }
            Happening::End => {}
        }
        self.check_always()
    }

    // The market ------------------------------------------------------------------------------------------

    fn move_market(&mut self) {
        let next = self.ground.now + Duration::from_millis(40 + self.dice.below(200) as u64);
        self.at(next, Happening::MarketMoves);
        let now = self.ground.now;
        let check_at = self.peace_at + PEACE;
        if self.silent || (check_at - REST..=check_at).contains(&now) {
            return;
        }
        let symbol = self.ground.symbols[self.dice.below(self.ground.symbols.len())].clone();
        let step = Decimal::new(self.dice.below(41) as i64 - 20, 2);
        let before = self.ground.prices.get(&symbol).copied().unwrap_or_default();
        let price = Price((before.0 + step).max(Decimal::from(50)).min(Decimal::from(150)));
        let size = Quantity(Decimal::from(1 + self.dice.below(50)) / Decimal::TEN);
        let half = Decimal::new(1 + self.dice.below(4) as i64, 2);
        let quote = Quote {
            symbol: symbol.clone(),
            bid: Some((Price(price.0 - half), size)),
            ask: Some((Price(price.0 + half), size)),
            exchange: 1,
            at: now,
            received_at: Some(now),
        };
        let trade = Trade {
            symbol: symbol.clone(),
            price,
            quantity: size,
            side: if self.dice.says(0.5) { TakerSide::Buy } else { TakerSide::Sell },
            exchange: 1,
            id: None,
            at: now,
            received_at: Some(now),
        };
        if self.venue.alive {
            self.venue.exchange.quote(&quote, now);
            self.venue.exchange.trade(&trade, now);
            self.settle_venue();
        }
        self.ground.quotes.insert(symbol.clone(), (quote, now));
        if let Some(process) = &mut self.process {
            process.ledger.mark(&symbol, price, now);
        }
        self.ground.prices.insert(symbol, price);
    }

    // The desk --------------------------------------------------------------------------------------------

    /// Something comes in for the router.
    pub(super) fn receive(&mut self, input: Input) {
        if let Some(process) = &mut self.process {
            process.inbox.push(input);
            self.wake();
        }
    }

    fn wake(&mut self) {
        let life = self.life;
        let at = self.ground.now + Duration::from_micros(200);
        self.at(at, Happening::Wake { life });
    }

    /// The router makes a step, if the one before is on the disk.
    fn step(&mut self) -> Result<(), (&'static str, String)> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.stepping {
            return Ok(());
        }
        let count = process.inbox.len().min(128);
        let inputs: Vec<Input> = process.inbox.drain(..count).collect();
        for need in process.core.needs(&inputs) {
            if let Some(live) = self.journal.need(&need) {
                process.core.remember(live);
            }
        }
        let history = self.journal.history(&process.core.needs_history(&inputs));
        let step = process.core.step(inputs, history, &self.ground, self.ground.now);
        process.stepping = true;
        if step.batch().is_empty() {
            let effects = process.committed(step);
            return self.perform_all(effects);
        }
        process.writes.push_back(Write::Step(Box::new(step)));
        self.write();
        Ok(())
    }

    fn perform_all(&mut self, effects: Vec<crate::core::Effect>) -> Result<(), (&'static str, String)> {
        for effect in effects {
            self.perform(effect).map_err(|detail| ("P6 the brake works", detail))?;
        }
        let busy = self.process.as_ref().is_some_and(|p| p.core.has_backlog() || !p.inbox.is_empty());
        if busy {
            self.wake();
        }
        Ok(())
    }

    /// Begins the next write, if none is being made.
    fn write(&mut self) {
        let took = Duration::from_micros(300 + self.dice.below(5_000) as u64);
        let life = self.life;
        let Some(process) = &mut self.process else { return };
        if process.writing || process.writes.is_empty() {
            return;
        }
        process.writing = true;
        self.at(self.ground.now + took, Happening::Written { life });
    }

    /// A write is on the disk, or could not be made.
    fn written(&mut self) -> Result<(), (&'static str, String)> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.writing = false;
        let Some(write) = process.writes.pop_front() else { return Ok(()) };
        let now = self.ground.now;
        let mut effects = Vec::new();
        match write {
            Write::Step(step) if self.disk_full => {
                effects = {
                    process.stepping = false;
                    process.core.failed(*step, "disk full")
                }
            }
            Write::Step(step) => {
                self.journal.write(step.batch(), now);
                effects = process.committed(*step);
            }
            Write::Accepts(accepts) => self.settle_accepts(accepts, now),
        }
        if let Some(process) = &mut self.process
            && !process.line.is_empty()
        {
            let line = std::mem::take(&mut process.line);
            process.writes.push_back(Write::Accepts(line));
        }
        self.write();
        self.perform_all(effects)?;
        self.wake();
        Ok(())
    }

    fn settle_accepts(&mut self, accepts: Vec<(crate::store::Intent, Waiting)>, now: Timestamp) {
        let (intents, waiting): (Vec<_>, Vec<_>) = accepts.into_iter().unzip();
        let outcomes = if self.disk_full { None } else { Some(self.journal.insert(&intents, now)) };
        for (nth, (intent, waiting)) in intents.iter().zip(waiting).enumerate() {
            let Some(process) = &mut self.process else { return };
            let told = match outcomes.as_ref().map(|outcomes| &outcomes[nth]) {
                Some(Inserted::Yes) => {
                    process.core.journaled(ids_of(intent).into_iter());
                    Told::Ok(intent.order.id)
                }
                Some(Inserted::Exists(existing)) => {
                    process.core.not_journaled(&mut process.ledger, ids_of(intent).into_iter());
                    if existing.request == waiting.request { Told::Ok(existing.id) } else { Told::Fail }
                }
                None => {
                    process.core.not_journaled(&mut process.ledger, ids_of(intent).into_iter());
                    Told::Fail
                }
            };
            self.answer_client(&waiting, told);
        }
    }

    // Clients ---------------------------------------------------------------------------------------------

    fn act(&mut self, client: usize) -> Result<(), (&'static str, String)> {
        if !self.trouble {
            return Ok(());
        }
        let again = self.ground.now + Duration::from_millis(50 + self.dice.below(700) as u64);
        self.at(again, Happening::ClientActs(client));
        let act = self.choose(client);
        match act {
            Act::Submit(request) => self.submit(client, request),
            Act::Cancel(order) => {
                self.command(|ticket, entry| Command::Cancel { orders: vec![order], entry, ticket })
            }
            Act::CancelAll => {
                let open =
                    self.process.as_ref().map(|p| p.core.book.open().map(|live| live.order.id).collect());
                let orders: Vec<OrderId> = open.unwrap_or_default();
                self.command(|ticket, entry| Command::Cancel { orders, entry, ticket });
            }
            Act::Amend(order, quantity, limit_price) => self.amend(order, quantity, limit_price),
        }
        Ok(())
    }

    fn choose(&mut self, client: usize) -> Act {
        if let Some(request) = self.clients[client].doubtful.pop() {
            return Act::Submit(request);
        }
        let open: Vec<(OrderId, Quantity, Option<Price>)> =
            self.process.as_ref().map_or_else(Vec::new, |process| {
                let open = process.core.book.open().map(|live| &live.order);
                open.map(|order| (order.id, order.quantity, order.request.limit_price)).collect()
            });
        let roll = self.dice.below(100);
        if roll < 15 && !open.is_empty() {
            return Act::Cancel(open[self.dice.below(open.len())].0);
        }
        if roll < 24 && !open.is_empty() {
            let (id, quantity, limit) = open[self.dice.below(open.len())];
            let cents = Decimal::new(self.dice.below(101) as i64 - 50, 2);
            let more = Quantity(quantity.0 + Decimal::new(self.dice.below(10) as i64 - 3, 1));
            return Act::Amend(
                id,
                more.is_positive().then_some(more),
                limit.map(|limit| Price(limit.0 + cents)),
            );
        }
        if roll < 25 {
            return Act::CancelAll;
        }
        self.requests += 1;
        let number = self.requests;
        Act::Submit(request(&mut self.dice, number, &self.ground.symbols, &self.ground.prices))
    }

    fn submit(&mut self, client: usize, request: OrderRequest) {
        let name = request.client_order_id.clone();
        let before = *self.told.entry(name.clone()).or_insert(Told::Invoked);
        let ids = [(); 3].map(|()| OrderId(uuid_of(self.ground.now, &mut self.dice)));
        let waiting = Waiting { client, request: request.clone() };
        let Some(process) = &mut self.process else {
            // Nobody is there: a connection refused proves that nothing was accepted by this call.
            if before == Told::Invoked {
                self.told.insert(name, Told::Info);
            }
            self.clients[client].doubtful.push(request);
            return;
        };
        if let Some(existing) = self.journal.named(&name) {
            let told = if existing.request == request { Told::Ok(existing.id) } else { Told::Fail };
            self.answer_client(&waiting, told);
            return;
        }
        let ctx = context(self.ground.now);
        let mut asking = Accepting {
            ctx: &ctx,
            market: &self.ground,
            limits: &process.limits,
            ledger: &mut process.ledger,
            approved_by: None,
        };
        match process.core.accept(&mut asking, &request, ids[0], [ids[1], ids[2]]) {
            Ok(accepted) => {
                let intent = accepted.intent(&ctx);
                if process.writing {
                    process.line.push((intent, waiting));
                } else {
                    process.writes.push_back(Write::Accepts(vec![(intent, waiting)]));
                }
                self.write();
            }
            // A repeated request may have been accepted in the answer that was lost.
            Err(_) if before == Told::Info => self.answer_client(&waiting, Told::Info),
            Err(refused) => {
                self.note(format!("refused {name}: {}", crate::gateway::SubmitError::from(refused).code()));
                self.answer_client(&waiting, Told::Fail);
            }
        }
    }

    /// The answer to a client, which may be lost too.
    fn answer_client(&mut self, waiting: &Waiting, told: Told) {
        let name = waiting.request.client_order_id.clone();
        self.note(format!("client {}: {name} {told:?}", waiting.client));
        if self.trouble && self.dice.says(0.02) {
            self.told.insert(name, Told::Info);
            self.clients[waiting.client].doubtful.push(waiting.request.clone());
            return;
        }
        self.told.insert(name, told);
    }

    fn command(&mut self, command: impl FnOnce(Ticket, Box<AuditEntry>) -> Command) {
        self.tickets += 1;
        let entry = AuditEntry::by_system(self.ground.now, "order.cancel_requested");
        let command = command(self.tickets, Box::new(entry));
        self.receive(Input::Command(command));
    }

    fn amend(&mut self, order: OrderId, quantity: Option<Quantity>, limit_price: Option<Price>) {
        let by = OrderId(uuid_of(self.ground.now, &mut self.dice));
        let ctx = context(self.ground.now);
        let Some(process) = &mut self.process else { return };
        let mut asking = Accepting {
            ctx: &ctx,
            market: &self.ground,
            limits: &process.limits,
            ledger: &mut process.ledger,
            approved_by: None,
        };
        let amendment = Amendment { quantity, limit_price, ..Amendment::default() };
        if let Ok((new, entry)) = process.core.amend(&mut asking, order, &amendment, by) {
            self.tickets += 1;
            let ticket = self.tickets;
            self.amending.insert(ticket, (order, by));
            self.receive(Input::Command(Command::Replace {
                order,
                by: Box::new(new),
                entry: Box::new(entry),
                ticket,
            }));
        }
    }

    /// A command was answered. A replacement that came to nothing gives its head-room back, as the gateway does.
    pub(super) fn replied(&mut self, ticket: Ticket, reply: Reply) {
        let Some((old, by)) = self.amending.remove(&ticket) else { return };
        if let (false, Some(process)) = (matches!(reply, Reply::Replacing(_)), &mut self.process) {
            process.core.not_amended(&mut process.ledger, old, by);
        }
    }

    // Misfortune ------------------------------------------------------------------------------------------

    fn befall(&mut self, misfortune: Misfortune) {
        self.note(format!("misfortune: {misfortune:?}"));
        let a_while = Duration::from_millis(200 + self.dice.below(15_000) as u64);
        match misfortune {
            Misfortune::Crash => self.crash(),
            Misfortune::Outage => {
                self.report.outages += 1;
                self.venue.alive = false;
                self.cut();
                self.at(self.ground.now + a_while, Happening::VenueBack);
            }
            Misfortune::Cut => self.cut(),
            Misfortune::FullDisk => {
                self.disk_full = true;
                self.at(self.ground.now + a_while, Happening::DiskGood);
            }
            Misfortune::Outsider => self.trade_outside(),
            Misfortune::Amendment => self.amend_execution(),
            Misfortune::Kill => self.pull(),
            Misfortune::Silence => {
                self.silent = true;
                self.at(self.ground.now + a_while, Happening::MarketSpeaks);
            }
        }
    }

    /// The desk is killed: of what was on its way to the disk, some is there and some is not.
    fn crash(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        self.report.crashes += 1;
        let now = self.ground.now;
        let whole = self.dice.says(0.5) && !self.disk_full && self.plan.disk == Disk::Unsure;
        let first = process.writes.pop_front().filter(|_| process.writing);
        let mut lost: Vec<Waiting> = process.line.drain(..).map(|(_, waiting)| waiting).collect();
        match first {
            Some(Write::Step(step)) if whole => self.journal.write(step.batch(), now),
            Some(Write::Accepts(accepts)) => {
                let (intents, waiting): (Vec<_>, Vec<_>) = accepts.into_iter().unzip();
                if whole {
                    self.journal.insert(&intents, now);
                }
                lost.extend(waiting);
            }
            _ => {}
        }
        for write in process.writes {
            if let Write::Accepts(accepts) = write {
                lost.extend(accepts.into_iter().map(|(_, waiting)| waiting));
            }
        }
        for waiting in lost {
            let name = waiting.request.client_order_id.clone();
            self.told.insert(name, Told::Info);
            self.clients[waiting.client].doubtful.push(waiting.request);
        }
        self.venue.listener = None;
        if self.plan.disk == Disk::Lies {
            self.journal.forget_newest();
        }
        let back = now + Duration::from_millis(50 + self.dice.below(3_000) as u64);
        self.at(back, Happening::Restart);
    }

    fn restart(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.life += 1;
        self.waiting.clear();
        self.amending.clear();
        self.note(format!("the desk starts, life {}", self.life));
        let process = Process::start(&self.ground, &self.journal);
        self.killed_at = (!self.journal.kills.is_empty()).then_some(self.ground.now);
        self.process = Some(process);
        let life = self.life;
        self.at(self.ground.now, Happening::Tick { life });
    }

    fn cut(&mut self) {
        self.venue.listener = None;
        if let Some(process) = &mut self.process
            && process.stream.take().is_some()
        {
            self.receive(Input::Deaf("connection reset".into()));
        }
    }

    fn venue_back(&mut self) {
        if self.venue.alive {
            return;
        }
        self.venue.alive = true;
        let now = self.ground.now;
        let settings = self.venue.exchange.settings().clone();
        // What it knew is on its disk; the market it sees anew.
        let mut exchange = Exchange::restore(settings, self.ground.seed, &self.venue.stored, now);
        self.ground.symbols.iter().for_each(|symbol| exchange.list(instrument(symbol)));
        self.venue.exchange = exchange;
    }

    fn trade_outside(&mut self) {
        if !self.venue.alive {
            return;
        }
        let symbol = self.ground.symbols[self.dice.below(self.ground.symbols.len())].clone();
        let price = self.ground.prices.get(&symbol).copied();
        let id = OrderId(uuid_of(self.ground.now, &mut self.dice));
        let limit = if self.dice.says(0.5) { price.map(|price| Price(price.0 - Decimal::ONE)) } else { None };
        let request = OrderRequest::simple(
            id.to_string(),
            symbol,
            Side::Buy,
            Quantity(Decimal::new(5, 1)),
            limit,
            TimeInForce::Gtc,
        );
        let provenance = domain::Provenance::of("outsider");
        let account = self.ground.account.id;
        let order =
            Order::accepted(id, account, request, Quantity(Decimal::new(5, 1)), provenance, self.ground.now);
        if let Ok(broker_id) = self.venue.exchange.submit(&order, self.ground.now) {
            self.outside.insert(broker_id, id.to_string());
        }
        self.settle_venue();
    }

    fn amend_execution(&mut self) {
        if !self.venue.alive {
            return;
        }
        let account = self.ground.account.id;
        let since = Timestamp::UNIX_EPOCH;
        let executions: Vec<(String, Price, Quantity)> = self
            .venue
            .exchange
            .executions(account, since)
            .into_iter()
            .filter_map(|execution| match execution.event {
                domain::OrderEvent::Filled(fill) => Some((fill.execution_id, fill.price, fill.quantity)),
                _ => None,
            })
            .collect();
        if executions.is_empty() {
            return;
        }
        let (id, price, quantity) = executions[self.dice.below(executions.len())].clone();
        let now = self.ground.now;
        let _ = if self.dice.says(0.5) {
            self.venue.exchange.bust(account, &id, now)
        } else {
            let less = Quantity((quantity.0 / Decimal::TWO).round_dp(3).max(Decimal::new(1, 3)));
            self.venue.exchange.correct(account, &id, Price(price.0 + Decimal::new(3, 2)), less, now)
        };
        self.settle_venue();
    }

    // The kill switch -------------------------------------------------------------------------------------

    fn pull(&mut self) {
        let Some(process) = &mut self.process else { return };
        let scope = Scope::Account(self.ground.account.id);
        let kill = Kill {
            scope: scope.clone(),
            at: self.ground.now,
            by: "somebody".into(),
            reason: "practice".into(),
            flatten: self.dice.says(0.3),
            drill: true,
        };
        process.core.engage(kill.clone());
        let braked = process.core.brake(self.ground.now);
        self.killed_at = Some(self.ground.now);
        self.journal.kills.insert(scope, kill);
        for order in braked.cancels {
            self.note(format!("desk: brake {}", order.id));
            self.call(Request::Cancel(order));
        }
        self.wake();
        let later = self.ground.now + Duration::from_millis(500 + self.dice.below(20_000) as u64);
        self.at(later, Happening::Rearm);
    }

    /// An order that was in flight when the switch was pulled, and arrived: it is canceled at once.
    fn brake_late(&mut self, input: &Input) {
        let (id, taken) = match input {
            Input::Sent { order, answer: Ok(taken), .. } => (order, taken),
            Input::ReplaceAnswered { by, answer: Ok(taken), .. } => (by, taken),
            _ => return,
        };
        let now = self.ground.now;
        let late = self.process.as_mut().and_then(|process| {
            let order = process.core.book.get(*id)?.order.clone();
            process.core.brake_late(&order, taken, now)
        });
        if let Some(order) = late {
            self.call(Request::Cancel(order));
        }
    }

    fn rearm(&mut self) {
        let scope = Scope::Account(self.ground.account.id);
        self.journal.kills.remove(&scope);
        self.killed_at = None;
        if let Some(process) = &mut self.process {
            process.core.rearm(&scope);
        }
    }

    /// Nothing is sent while the switch is pulled, but what closes positions because of it.
    pub(super) fn watch_kill(&self, order: &Order) -> Result<(), String> {
        let closes = order.provenance.done_by_desk.iter().any(|done| done == "flatten");
        if self.killed_at.is_some() && !closes {
            return Err(format!("order {} was sent after the kill switch was pulled", order.id));
        }
        Ok(())
    }

    // Peace -----------------------------------------------------------------------------------------------

    fn make_peace(&mut self) {
        self.note("peace".to_owned());
        self.trouble = false;
        self.silent = false;
        self.disk_full = false;
        self.rearm();
        self.venue_back();
        self.restart();
    }

    fn cancel_everything(&mut self) {
        let open =
            self.process.as_ref().map(|p| p.core.book.open().map(|live| live.order.id).collect::<Vec<_>>());
        if let Some(orders) = open.filter(|orders| !orders.is_empty()) {
            self.command(|ticket, entry| Command::Cancel { orders, entry, ticket });
        }
    }

    /// Since when an order's outcome has been unknown, of those that are.
    pub(super) fn note_unknowns(&mut self) {
        let now = self.ground.now;
        let unknown: Vec<OrderId> = self.process.as_ref().map_or_else(Vec::new, |process| {
            let unresolved =
                process.core.book.unresolved().filter(|live| live.order.status != Status::Submitting);
            unresolved.map(|live| live.order.id).collect()
        });
        for id in &unknown {
            if !self.unknown_since.contains_key(id) {
                self.report.unknowns += 1;
                self.unknown_since.insert(*id, now);
            }
        }
        self.unknown_since.retain(|id, _| unknown.contains(id));
    }

    /// An order did not get out: it may be sent again without doubling anything.
    pub(super) fn unsent(&mut self, order: OrderId) {
        if let Some(times) = self.sent.get_mut(&order) {
            times.pop();
        }
    }

    pub(super) fn fault(&mut self) {
        if self.trouble {
            self.report.faults += 1;
        }
    }

    // The queue -------------------------------------------------------------------------------------------

    pub(super) fn at(&mut self, at: Timestamp, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at.max(self.ground.now), self.queued), happening);
    }

    pub(super) fn note(&mut self, line: String) {
        self.trace.write(line.as_bytes());
        self.trace.write_i128(self.ground.now.as_nanosecond());
        let line = format!("{} {line}", self.ground.now);
        if let Some(tell) = self.tell {
            tell(&line);
        }
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }
}

/// What came in, in few words.
fn short(input: &Input) -> String {
    match input {
        Input::Sent { order, answer, .. } => format!("sent {order} {answer:?}"),
        Input::CancelAnswered { order, answer } => format!("cancel {order} {answer:?}"),
        Input::ReplaceAnswered { order, by, answer } => format!("replace {order} by {by} {answer:?}"),
        Input::Found { order, answer } => {
            format!(
                "found {order} {:?}",
                answer.as_ref().map(|found| found.as_ref().map(|order| &order.status))
            )
        }
        Input::Withheld { order, .. } => format!("withheld {order}"),
        Input::SentBeside(order) => format!("sent beside the journal {}", order.id),
        Input::Compared(answer) => format!("compared {}", answer.is_ok()),
        Input::Listening => "listening".to_owned(),
        Input::Deaf(why) => format!("deaf: {why}"),
        Input::Command(_) => "command".to_owned(),
        Input::Event(_) => "event".to_owned(),
    }
}

/// A trader on the account.
fn context(now: Timestamp) -> Context {
    let user = UserId(Uuid::from_u128(7));
    let (session, request) = (SessionId(Uuid::from_u128(8)), RequestId(Uuid::from_u128(9)));
    Context::user(user, session, Role::Trader.permissions(), BTreeMap::new(), None, request, now)
}

fn uuid_of(now: Timestamp, dice: &mut Dice) -> Uuid {
    let mut random = [0_u8; 10];
    random.iter_mut().for_each(|byte| *byte = u8::try_from(dice.below(256)).unwrap_or(0));
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
