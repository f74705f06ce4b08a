//! Closing positions while the journal cannot be written: the one case in which an order is sent that the journal does
//! not have yet.
//!
//! Everything else waits for the journal; closing what a switch wants closed does not, because the journal may hang for
//! as long as the market falls. What is closed this way is what the *broker* says is held, with nothing open, as the desk
//! cannot know what became of its orders meanwhile. Each order is written into the [file](super::KillFile) of kill switches
//! first, which is its journal until the database takes it: after a crash it is found there, and looked up at the broker
//! like any other order whose answer was lost.
//!
//! Only whole accounts are closed so. What one book holds, the broker does not know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{AccountId, Order, Quantity, Symbol};
use storage::{StorageError, Tx};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CALL, Kill, RELEASE, concerns, since};
use crate::broker::{BrokerStatus, BrokerUnreachable, SubmitFailure};
use crate::core::{Closing, Input};
use crate::gateway::{Desk, Gateway, Shared};
use crate::router::within;
use crate::scope::Scope;
use crate::store;

/// No position is closed again before this time is over: a broker may list what was sold for a moment longer.
const AGAIN: Duration = Duration::from_secs(5);
/// How old the broker's word may be when an order is sent on it: enough for a broker that is slow. A process that stood still
/// for longer does not send, because another desk may have the account by now.
const FRESH: Duration = Duration::from_secs(5);

/// Looks after closing until `stop`: whenever a switch is pulled that closes positions, and at the start.
pub(super) fn start(gateway: &Gateway, stop: &CancellationToken) {
    let gateway = gateway.clone();
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        let shared = gateway.shared.clone();
        let mut sent = BTreeMap::new();
        loop {
            while is_something_left(&gateway) {
                let journal = journal_answers(&shared).await;
                for desk in gateway.desks.all().values() {
                    match journal {
                        Some(true) if !desk.core().journal_fails() => forget_journaled(&shared, desk).await,
                        Some(_) => close(&gateway, desk, &mut sent).await,
                        None => {}
                    }
                }
                tokio::time::sleep(shared.tick * 5).await;
            }
            sent.clear();
            shared.switches.to_close.notified().await;
        }
    }));
}

/// Whether the journal takes writes. `None` when the process stood still meanwhile: then nobody knows, and perhaps another
/// desk has the accounts by now.
async fn journal_answers(shared: &Shared) -> Option<bool> {
    let patience = shared.tick * 20;
    let begun = Instant::now();
    let nothing = shared.db.write(|_: &mut Tx| Box::pin(async { Ok::<_, StorageError>(()) }));
    let answered = tokio::time::timeout(patience, nothing).await;
    match answered {
        Ok(written) => Some(written.is_ok()),
        Err(_) if begun.elapsed() > patience * 2 => None,
        Err(_) => Some(false),
    }
}

fn is_something_left(gateway: &Gateway) -> bool {
    let waits = !gateway.shared.switches.held().closings.is_empty();
    waits
        || gateway.desks.all().values().any(|desk| !desk.core().is_flat() && closing(gateway, desk).is_some())
}

/// The switch that wants all positions of an account closed.
fn closing(gateway: &Gateway, desk: &Desk) -> Option<Kill> {
    let account = desk.account();
    let held = gateway.shared.switches.held();
    let kills = held.engaged.values().map(|pulled| &pulled.kill);
    let mut whole = kills.filter(|kill| {
        kill.flatten && matches!(kill.scope, Scope::Desk | Scope::Account(_)) && concerns(kill, &account)
    });
    whole.next().cloned()
}

/// What is in the journal by now need not be in the file.
async fn forget_journaled(shared: &Shared, desk: &Desk) {
    for closing in shared.switches.closings_of(desk.account_id()) {
        let found = async { store::load(&mut *shared.db.read().await?, closing.id).await };
        if matches!(found.await, Ok(Some(_))) {
            shared.switches.held().forget(closing.id);
            shared.switches.to_file.notify_one();
        }
    }
}

/// Closes what the broker says is held, where nothing of it is open.
async fn close(
    gateway: &Gateway,
    desk: &Arc<Desk>,
    sent: &mut BTreeMap<(AccountId, Symbol), (Instant, Order)>,
) {
    let Some(kill) = closing(gateway, desk) else { return };
    // Open orders first: what is executed between the two questions is in the answer to the second.
    let asked = async {
        let open = within(desk.broker.open_orders()).await?;
        let asked_at = Instant::now();
        Ok::<_, BrokerUnreachable>((open, within(desk.broker.balances()).await?, asked_at))
    };
    let (open, balances, asked_at) = match asked.await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::warn!(%error, "positions cannot be closed: neither the journal nor the broker answers");
            return;
        }
    };
    for (symbol, quantity) in balances.positions.into_iter().filter(|(_, quantity)| !quantity.is_zero()) {
        let place = (desk.account_id(), symbol);
        let is_open = open.iter().any(|order| order.terms.symbol == place.1);
        if is_open || !is_settled(&gateway.shared, desk, &place.1, sent.get(&place)).await {
            continue;
        }
        if let Some(order) = send(gateway, desk, &kill, (&place.1, quantity), asked_at).await {
            sent.insert(place, (Instant::now(), order));
        }
    }
}

/// Whether nothing is on its way that could still change a position.
async fn is_settled(shared: &Shared, desk: &Desk, symbol: &Symbol, last: Option<&(Instant, Order)>) -> bool {
    if last.is_some_and(|(at, _)| at.elapsed() < AGAIN) {
        return false;
    }
    let (unsettled, settle_window) = {
        let core = desk.core();
        (core.unsettled(symbol), core.profile.settle_window)
    };
    for order in unsettled.iter().chain(last.map(|(_, order)| order)) {
        let over = match within(desk.broker.find(order)).await {
            Ok(Some(found)) => found.status != BrokerStatus::Open,
            Ok(None) => since(order.updated_at, shared.clock.now()) > settle_window,
            Err(_) => false,
        };
        if !over {
            return false;
        }
    }
    true
}

/// Writes an order into the file and sends it. `None`: it was not sent.
async fn send(
    gateway: &Gateway,
    desk: &Arc<Desk>,
    kill: &Kill,
    (symbol, quantity): (&Symbol, Quantity),
    asked_at: Instant,
) -> Option<Order> {
    let (shared, switches) = (&gateway.shared, &gateway.shared.switches);
    switches.file.as_ref()?;
    let order = desk.core().close_beside(kill, symbol, quantity, shared.clock.now())?;
    let wanted = switches.held().keep(Closing::of(&order));
    switches.to_file.notify_one();
    let kept = tokio::time::timeout(RELEASE, switches.until_kept(wanted)).await.is_ok();
    // The last look before the first byte.
    let is_wanted = closing(gateway, desk).is_some() && asked_at.elapsed() < FRESH;
    if !kept || !is_wanted {
        switches.held().forget(order.id);
        switches.to_file.notify_one();
        tracing::warn!(%symbol, kept, is_wanted, "a position is not closed now");
        return None;
    }
    tracing::warn!(order = %order.id, %symbol, %quantity, "a position is closed without the journal");
    // The broker's stream may tell of it sooner than its answer does.
    desk.core().hear(Input::SentBeside(Box::new(order.clone())));
    let begun = Instant::now();
    let answer = tokio::time::timeout(CALL, desk.broker.submit(&order)).await;
    let answer = answer.unwrap_or_else(|_| Err(SubmitFailure::Lost("it took too long".into())));
    desk.core().hear(Input::Sent { order: order.id, answer, took: begun.elapsed() });
    desk.wake.notify_one();
    Some(order)
}
