//! The desk's side of a story: a core driven as its router drives it, on a journal in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    AccountId, AuditEntry, Context, Decimal, Instrument, Money, OrderId, OrderRequest, Price, Quantity,
    Quote, RequestId, Role, SessionId, Side, Status, Symbol, TimeInForce, Timestamp, UserId,
};
use uuid::Uuid;

use crate::accounts::{Account, Mode};
use crate::broker::{Profile, Way};
use crate::core::{
    Accepting, Amendment, Command, Config, Core, Effect, Input, Market, Reply, Ticket, View, external,
    scopes_of,
};
use crate::risk::{Hold, Ledger, LimitBook, OrderLimits, Reach};
use crate::scope::Scope;
use crate::simulator::checker::{Broken, same_again};
use crate::simulator::journal::Journal;

pub(super) struct Desk {
    pub(super) core: Core,
    pub(super) journal: Journal,
    pub(super) now: Timestamp,
    account: Account,
    profile: Profile,
    holds: Ledger,
    limits: LimitBook,
    /// How often each order was sent.
    pub(super) sent: BTreeMap<OrderId, u32>,
    tickets: Ticket,
    amending: BTreeMap<Ticket, (OrderId, OrderId)>,
    names: u32,
}

impl Desk {
    /// A desk that starts with nothing in its journal.
    pub(super) fn new(refuses_duplicates: bool) -> Self {
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        let account = Account {
            id: AccountId(Uuid::from_u128(1)),
            name: "Paper".into(),
            broker: "test".into(),
            mode: Mode::Paper,
            currency: "USD".into(),
            cost_method: Default::default(),
            live_since: None,
            paused_since: None,
            credentials_since: None,
            broker_account: None,
        };
        let (profile, journal) = (profile(refuses_duplicates), Journal::default());
        let core = start(&journal, &account, &profile, now);
        Self {
            core,
            journal,
            now,
            account,
            profile,
            holds: Ledger::new(),
            limits: LimitBook::new(&terms(), now),
            sent: BTreeMap::new(),
            tickets: 0,
            amending: BTreeMap::new(),
            names: 0,
        }
    }

    /// The process ends, and starts again on its journal.
    pub(super) fn restart(&mut self) {
        self.core = start(&self.journal, &self.account, &self.profile, self.now);
        self.amending.clear();
        self.holds = Ledger::new();
        for live in self.core.book.open().filter(|live| live.order.status != Status::Held) {
            self.holds.hold(Hold::of(&live.order, &scopes_of(&live.order), live.reserve_price));
        }
        let scopes = [Scope::Desk, Scope::Account(self.account.id)];
        for (booked, fill) in self.journal.standing(None) {
            let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
            self.holds.carry(&scopes, &booked.symbol, signed, fill.cash(), fill.at);
        }
    }

    /// Has an order accepted and journaled.
    pub(super) fn place(&mut self, side: Side, quantity: Quantity, limit: Price) -> Option<OrderId> {
        let name = self.name();
        let id = external::id_of(self.now, &name);
        let request = OrderRequest::simple(name, symbol(), side, quantity, Some(limit), TimeInForce::Gtc);
        let (ctx, market) = (context(self.now), Tape(self.now));
        let mut asking = Accepting {
            ctx: &ctx,
            market: &market,
            limits: &self.limits,
            ledger: &mut self.holds,
            approved_by: None,
        };
        let accepted = self.core.accept(&mut asking, &request, id, [id, id]).ok()?;
        self.journal.insert(&[accepted.intent(&ctx)], self.now);
        self.core.journaled([id].into_iter());
        Some(id)
    }

    /// Somebody asks to cancel an order.
    pub(super) fn cancel(&mut self, order: OrderId) -> Input {
        self.tickets += 1;
        let entry = Box::new(AuditEntry::by_system(self.now, "order.cancel_requested"));
        Input::Command(Command::Cancel { orders: vec![order], entry, ticket: self.tickets })
    }

    /// Somebody asks to replace an order; `None` if that is refused at once.
    pub(super) fn replace(&mut self, order: OrderId, quantity: Quantity, limit: Price) -> Option<Input> {
        let by = external::id_of(self.now, &self.name());
        let (ctx, market) = (context(self.now), Tape(self.now));
        let mut asking = Accepting {
            ctx: &ctx,
            market: &market,
            limits: &self.limits,
            ledger: &mut self.holds,
            approved_by: None,
        };
        let amendment =
            Amendment { quantity: Some(quantity), limit_price: Some(limit), ..Amendment::default() };
        let (new, entry) = self.core.amend(&mut asking, order, &amendment, by).ok()?;
        self.tickets += 1;
        self.amending.insert(self.tickets, (order, by));
        let (by, entry) = (Box::new(new), Box::new(entry));
        Some(Input::Command(Command::Replace { order, by, entry, ticket: self.tickets }))
    }

    /// Makes a step, journals it, and gives what is to be done.
    pub(super) fn step(&mut self, inputs: Vec<Input>) -> Vec<Effect> {
        for need in self.core.needs(&inputs) {
            if let Some(live) = self.journal.need(&need) {
                self.core.remember(live);
            }
        }
        let history = self.journal.history(&self.core.needs_history(&inputs));
        let step = self.core.step(inputs, history, &Tape(self.now), self.now);
        let batch = step.batch();
        let signed =
            |entry: &AuditEntry| entry.detail["mode"] == "paper" && !entry.detail["account"].is_null();
        assert!(
            batch.entries.iter().all(signed),
            "a row does not say whether the money is real: {:?}",
            batch.entries
        );
        self.journal.write(batch, self.now);
        let mut effects = Vec::new();
        for effect in self.core.committed(step, &mut self.holds) {
            match effect {
                Effect::Reply(ticket, reply) => self.replied(ticket, &reply),
                effect => {
                    if let Effect::Submit(order) | Effect::Replace { by: order, .. } = &effect {
                        *self.sent.entry(order.id).or_default() += 1;
                    }
                    effects.push(effect);
                }
            }
        }
        effects
    }

    /// A replacement that came to nothing gives its head-room back, as the gateway does.
    fn replied(&mut self, ticket: Ticket, reply: &Reply) {
        let Some((old, by)) = self.amending.remove(&ticket) else { return };
        if !matches!(reply, Reply::Replacing(_)) {
            self.core.not_amended(&mut self.holds, old, by);
        }
    }

    /// What the limits reckon with.
    pub(super) fn reach(&self) -> Reach {
        self.holds.position(&Scope::Account(self.account.id), &symbol())
    }

    /// Orders that count as open for the limits.
    pub(super) fn open_orders(&self) -> u64 {
        u64::from(self.holds.figures(&Scope::Account(self.account.id), self.now).open_orders)
    }

    /// I10: a desk that starts now on the journal is the desk that runs.
    pub(super) fn check_replay(&self) -> Result<(), Broken> {
        let again = start(&self.journal, &self.account, &self.profile, self.now);
        same_again(&self.core.book, &again.book)
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("o{}", self.names)
    }
}

fn start(journal: &Journal, account: &Account, profile: &Profile, now: Timestamp) -> Core {
    let config = Config { limits: terms(), tick: Duration::from_millis(250), seed: 7 };
    Core::new(account.clone(), profile.clone(), config, journal.known(account, now), now)
}

/// An order may be sent again for longer than it takes to find out that it is not there.
fn terms() -> OrderLimits {
    OrderLimits { max_unsent_age: Duration::from_secs(60), ..OrderLimits::default() }
}

fn profile(refuses_duplicates: bool) -> Profile {
    Profile {
        name: "test",
        kinds: |_| Way::Broker,
        times: |_| Way::Broker,
        classes: |_| Way::Broker,
        lacks: |_| None,
        notional: Way::Desk,
        extended_hours: Way::Broker,
        replace: Way::Broker,
        short: Way::Broker,
        refuses_duplicates,
        settle_window: Duration::from_secs(10),
        requests_per_minute: 60_000,
        burst: 6_000,
    }
}

/// A trader on the account.
fn context(now: Timestamp) -> Context {
    let user = UserId(Uuid::from_u128(7));
    let (session, request) = (SessionId(Uuid::from_u128(8)), RequestId(Uuid::from_u128(9)));
    Context::user(user, session, Role::Trader.permissions(), BTreeMap::new(), None, request, now)
}

pub(super) fn symbol() -> Symbol {
    "BTC-USD".parse().expect("a symbol")
}

/// A market that never moves and has room for everybody.
struct Tape(Timestamp);

impl View for Tape {
    fn quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)> {
        let (bid, ask) = (Price(Decimal::from(99)), Price(Decimal::from(101)));
        let size = Quantity(Decimal::from(1_000_000));
        let (bid, ask) = (Some((bid, size)), Some((ask, size)));
        Some((Quote { symbol: symbol.clone(), bid, ask, exchange: 1, at: self.0, received_at: None }, self.0))
    }

    fn price(&self, _: &Symbol) -> Option<Price> {
        Some(Price(Decimal::ONE_HUNDRED))
    }
}

impl Market for Tape {
    fn instrument(&self, symbol: &Symbol) -> Option<Instrument> {
        Some(Instrument {
            symbol: symbol.clone(),
            base: "BTC".into(),
            quote: "USD".into(),
            price_increment: Price(Decimal::new(1, 2)),
            quantity_increment: Quantity(Decimal::ONE),
        })
    }
}

/// What every account has at first.
pub(super) fn opening_cash() -> Money {
    Money(Decimal::from(1_000_000))
}
