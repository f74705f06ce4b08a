//! What the server does every minute: usage is written down, changed endpoints are read again, full budgets and
//! old events of the stream are forgotten.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::Desk;

const EVERY: Duration = Duration::from_secs(60);

/// Starts the task; it ends with the desk, with a last writing down.
pub(crate) fn start(desk: &Desk) {
    let desk = desk.clone();
    tokio::spawn(async move {
        let mut minute = interval(EVERY);
        minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
        minute.reset();
        while desk.stop.run_until_cancelled(minute.tick()).await.is_some() {
            desk.rates.tidy();
            desk.hub.tidy(desk.clock.now());
            write_down(&desk).await;
            if let Err(error) = desk.endpoints.load(&desk.db).await {
                tracing::warn!(%error, "the endpoints that were switched off cannot be read again");
            }
        }
        write_down(&desk).await;
    });
}

async fn write_down(desk: &Desk) {
    if let Err(error) = desk.usage.flush(&desk.db, desk.clock.now()).await {
        tracing::warn!(%error, "the usage of the API cannot be written down; it is kept until it can");
    }
}
