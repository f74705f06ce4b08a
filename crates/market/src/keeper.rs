//! The task that publishes and stores what has changed.

use std::time::Duration;

use domain::{Bar, Every, Symbol};
use storage::Database;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{Kind, Market, store};

/// Bars of each length that are loaded at the start: what the memory holds.
pub(crate) const IN_MEMORY: usize = 3_600;

const PUBLISH: Duration = Duration::from_millis(250);
const STORE: Duration = Duration::from_secs(1);
const PRUNE: Duration = Duration::from_secs(3_600);
/// Bars of one transaction, so that other writers need not wait long.
const BATCH: usize = 500;

/// Publishes and stores until `stop`, then stores once more.
pub(crate) async fn run(market: Market, database: Database, stop: CancellationToken) {
    let mut publish = tokio::time::interval(PUBLISH);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stored_at = Instant::now();
    let mut pruned_at: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = publish.tick() => {}
        }
        market.publish_bars();
        if stored_at.elapsed() >= STORE {
            store_changes(&market, &database).await;
            stored_at = Instant::now();
        }
        if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE) {
            pruned_at = Some(Instant::now());
            if let Err(e) = store::prune(&database, market.desk.clock.now()).await {
                tracing::warn!(error = %e, "old bars could not be removed; tried again in an hour");
            }
        }
    }
    market.publish_bars();
    store_changes(&market, &database).await;
}

/// Stores the bars that changed. What cannot be stored is due again the next time.
pub(crate) async fn store_changes(market: &Market, database: &Database) {
    let mut changes: Vec<(Symbol, Every, Bar)> = Vec::new();
    for (symbol, tape) in market.desk.all_tapes() {
        for every in Every::ALL {
            let bars = tape.lock().series_mut(every).take_unstored();
            changes.extend(bars.into_iter().map(|bar| (symbol.clone(), every, bar)));
        }
    }
    for batch in changes.chunks(BATCH) {
        let Err(e) = store::upsert(database, batch.to_vec()).await else { continue };
        market.desk.counters.count(Kind::StoreFailed, || e.to_string());
        for (symbol, every, bar) in batch {
            if let Some(tape) = market.desk.tape(symbol) {
                tape.lock().series_mut(*every).not_stored(std::slice::from_ref(bar));
            }
        }
    }
}
