//! Writing the switches down, for as long as it takes: one task for the file, one for the database, so that neither
//! waits for the other.

use std::sync::Arc;
use std::time::Duration;

use domain::AuditEntry;
use storage::{StorageError, Tx};
use tokio_util::sync::CancellationToken;

use super::store;
use crate::core::Kill;
use crate::gateway::Shared;
use crate::outbox::Event;

/// The wait before something is tried again: from the first to the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// Starts both tasks, which end with `stop`.
pub(super) fn start(shared: &Arc<Shared>, stop: &CancellationToken) {
    tokio::spawn(stop.clone().run_until_cancelled_owned(keep_in_file(shared.clone())));
    tokio::spawn(stop.clone().run_until_cancelled_owned(keep_in_database(shared.clone())));
}

async fn keep_in_file(shared: Arc<Shared>) {
    let switches = &shared.switches;
    let Some(file) = switches.file.clone() else { return };
    let mut wait = WAITS[0];
    loop {
        let (number, state, is_kept) = {
            let held = switches.held();
            let (number, state) = held.state();
            (number, state, number == held.kept)
        };
        if is_kept {
            switches.to_file.notified().await;
            continue;
        }
        let file = file.clone();
        let written = tokio::task::spawn_blocking(move || file.keep(&state)).await;
        match written {
            Ok(Ok(())) => {
                wait = WAITS[0];
                switches.held().kept = number;
                switches.written.send_replace(());
            }
            failed => {
                let why = failed
                    .map_or_else(|e| e.to_string(), |e| e.err().map_or_else(String::new, |e| e.to_string()));
                tracing::error!(why, "the file of kill switches cannot be written; it is tried again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAITS[1]);
            }
        }
    }
}

async fn keep_in_database(shared: Arc<Shared>) {
    let switches = &shared.switches;
    let mut wait = WAITS[0];
    loop {
        let table = switches.table.lock().await;
        let pending: Vec<(u64, Kill, Option<AuditEntry>)> = {
            let held = switches.held();
            let waiting = held.engaged.values().filter(|pulled| !pulled.in_database);
            waiting.map(|pulled| (pulled.number, pulled.kill.clone(), pulled.entry.clone())).collect()
        };
        if pending.is_empty() {
            drop(table);
            switches.to_database.notified().await;
            continue;
        }
        let outbox = shared.outbox.clone();
        let numbers: Vec<u64> = pending.iter().map(|(number, ..)| *number).collect();
        let written = shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    for (_, kill, entry) in pending {
                        store::engage(tx, &kill).await?;
                        // Without one it was told when it was pulled: it is written down once more.
                        if let Some(entry) = entry {
                            tx.record(entry);
                            outbox.post(tx, || vec![Event::engaged(&kill)]).await?;
                        }
                    }
                    Ok::<_, StorageError>(())
                })
            })
            .await;
        drop(table);
        match written {
            Ok(()) => {
                wait = WAITS[0];
                let mut held = switches.held();
                for pulled in held.engaged.values_mut().filter(|pulled| numbers.contains(&pulled.number)) {
                    pulled.in_database = true;
                    pulled.entry = None;
                }
                drop(held);
                switches.written.send_replace(());
            }
            Err(error) => {
                tracing::error!(%error, "a kill switch cannot be written down; it is tried again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAITS[1]);
            }
        }
    }
}
