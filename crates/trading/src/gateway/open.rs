//! Taking an account over at start: what it was comes out of the journal, and what limits reckon with comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{CostMethod, Money, OrderClass, OrderId, Quantity, Side, Status, Timestamp};
use storage::{StorageError, Tx};
use tokio::sync::mpsc;

use super::{COMMANDS, Desk, Shared};
use crate::accounts::{Account, Blind};
use crate::book::{Book, BookChange, BookKey, Holdings, Live, Moved};
use crate::books::VirtualBook;
use crate::broker::Broker;
use crate::core::{Config, Core, Input, Kill, Known, funded, scopes_of};
use crate::portfolio;
use crate::risk::Hold;
use crate::router;
use crate::scope::Scope;
use crate::store::{self, Flow, Folded};

/// Takes an account over and starts its router, which ends when the desk lets the account go.
pub(super) async fn open(
    shared: &Arc<Shared>,
    account: Account,
    broker: Arc<dyn Broker>,
) -> Result<Arc<Desk>, StorageError> {
    let id = account.id;
    let epoch =
        shared.db.write(move |tx: &mut Tx| Box::pin(async move { store::next_epoch(tx, id).await })).await?;
    let now = shared.clock.now();
    let known = read(shared, &account).await?;
    {
        let mut ledger = shared.ledger();
        for live in known.book.open().filter(|live| live.order.status != Status::Held) {
            let (order, price) = (&live.order, live.reserve_price);
            let counts = order.provenance.leg.is_none();
            ledger.hold(Hold { counts, ..Hold::of(order, &scopes_of(order), price) });
        }
    }
    let seed = shared.jitter ^ id.0.as_u64_pair().1;
    let config = Config { limits: shared.terms.clone(), tick: shared.tick, seed };
    let mut core = Core::new(account, broker.profile().clone(), config, known, now);
    for closing in shared.switches.closings_of(id) {
        core.hear(Input::SentBeside(Box::new(closing.order())));
    }
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let stop = shared.stop.child_token();
    let desk = Arc::new(Desk::new(core, broker, epoch, commands, stop.clone()));
    tokio::spawn(router::run(shared.clone(), desk.clone(), inbox, stop.clone()));
    tokio::spawn(portfolio::run(shared.clone(), desk.clone(), stop));
    Ok(desk)
}

/// Reads what is stored of an account.
async fn read(shared: &Shared, account: &Account) -> Result<Known, StorageError> {
    let id = account.id;
    let mut connection = shared.db.read().await?;
    let books = store::books(&mut connection, id).await?;
    let methods: BTreeMap<BookKey, CostMethod> =
        books.iter().map(|book| (Some(book.id), book.cost_method)).collect();
    let folded = {
        let mut carry = |book: BookKey,
                         doer: Option<&store::Doer>,
                         symbol: &domain::Symbol,
                         fill: &domain::PositionFill| {
            // What one book hands to another is nothing to anybody else.
            let account = doer.map(|_| [Scope::Desk, Scope::Account(id)]);
            let author = doer.map(|doer| doer.author.scopes());
            let strategy = doer.and_then(|doer| doer.strategy.clone());
            let scopes: Vec<Scope> = account
                .into_iter()
                .flatten()
                .chain(book.map(Scope::Book))
                .chain(author.into_iter().flatten())
                .chain(strategy.map(Scope::Strategy))
                .collect();
            let signed: Quantity = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
            shared.ledger().carry(&scopes, symbol, signed, fill.cash(), fill.at);
        };
        store::fold_fills(&mut connection, id, account.cost_method, &methods, &mut carry).await?
    };
    let open = store::load_open(&mut connection, id).await?;
    let mut groups = Vec::new();
    for main in groups_of(&open) {
        groups.extend(store::load_group(&mut connection, main).await?);
    }
    let stored = Stored {
        opening_cash: store::opening_cash(&mut connection, id).await?,
        flows: store::flows(&mut connection, id).await?,
        kills: shared.switches.of(account),
        books,
        folded,
        open,
        groups,
    };
    let now = shared.clock.now();
    {
        let mut ledger = shared.ledger();
        let cash = stored.opening_cash.unwrap_or_default();
        ledger.flow(&[Scope::Desk, Scope::Account(id)], cash, now);
        for flow in &stored.flows {
            ledger.flow(&funded(id, flow), flow.amount, now);
        }
    }
    Ok(assemble(account, stored, now))
}

/// What is stored of an account.
pub(crate) struct Stored {
    pub(crate) opening_cash: Option<Money>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) books: Vec<VirtualBook>,
    pub(crate) folded: Folded,
    /// Orders that are not at their end.
    pub(crate) open: Vec<Live>,
    /// The groups that these belong to, and the orders they replace.
    pub(crate) groups: Vec<Live>,
    pub(crate) kills: BTreeMap<Scope, Kill>,
}

/// Orders that have to be at hand together with those that are open.
pub(crate) fn groups_of(open: &[Live]) -> BTreeSet<OrderId> {
    let of = |live: &Live| {
        let (provenance, class) = (&live.order.provenance, live.order.request.class);
        let main = provenance.parent.or((class != OrderClass::Simple).then_some(live.order.id));
        [main, provenance.replaces]
    };
    open.iter().flat_map(of).flatten().collect()
}

/// An account as what is stored of it says.
pub(crate) fn assemble(account: &Account, stored: Stored, now: Timestamp) -> Known {
    let Stored { opening_cash, flows, books, folded, open, groups, kills } = stored;
    // Cash is what there was at first, what came and went, and what fills did to it.
    let mut own: BTreeMap<BookKey, Holdings> = books
        .iter()
        .map(|book| (Some(book.id), Holdings::new(book.cost_method, Money::ZERO)))
        .chain([(None, Holdings::new(account.cost_method, opening_cash.unwrap_or_default()))])
        .collect();
    let mut whole = Holdings::new(account.cost_method, opening_cash.unwrap_or_default());
    whole.positions = folded.positions;
    for (key, (positions, moved)) in folded.books {
        whole.add(moved);
        if let Some(holdings) = own.get_mut(&key) {
            holdings.add(moved);
            holdings.positions.extend(positions);
        }
    }
    for flow in &flows {
        let moved = Moved { cash: flow.amount, funded: flow.amount, fees: Money::ZERO };
        if flow.kind.is_external() {
            whole.add(moved);
        }
        if let Some(holdings) = own.get_mut(&flow.book) {
            holdings.add(moved);
        }
    }

    let mut book = Book::new(whole, own);
    for one in books {
        book.keep(BookChange::Opened(one));
    }
    book.fills = folded.last_seq;
    book.flows = flows.last().map_or(0, |flow| flow.seq);
    book.blind = Some(Blind { since: now, reason: "the desk is starting".into() });
    for live in open {
        let (id, unsent) = (live.order.id, live.order.status == Status::Accepted);
        book.put(live);
        if unsent {
            book.queue(id);
        }
    }
    // Those of a group that are at their end.
    for live in groups {
        if book.get(live.order.id).is_none() {
            book.put(live);
        }
    }
    Known { book, opening_cash, newest_fill: folded.newest, kills }
}
