//! Values accounts and books once a minute.
//!
//! A point is what was so shortly after its minute began. Of the points of an hour and of a day the last one is kept for
//! longer, and so are those before and after money came or went: then coarse returns are as exact as fine ones. What has
//! no price yet, as after a start, is not valued for a while; no point is better than a wrong one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use storage::{StorageError, Tx};
use tokio_util::sync::CancellationToken;

use super::{EquityPoint, Every};
use crate::books::OWN_BOOK;
use crate::gateway::{Desk, Shared, TradingEvent};
use crate::store::{self, Series};

/// How long after the start prices are waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Records an account until `stop`. It holds the account's lock for as long as adding up takes, and writes by itself.
pub(crate) async fn run(shared: Arc<Shared>, desk: Arc<Desk>, stop: CancellationToken) {
    let mut recorder = Recorder { since: shared.clock.now(), minute: None, newest: BTreeMap::new() };
    let mut tick = tokio::time::interval(shared.tick);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = recorder.record(&shared, &desk).await {
            let account = desk.account();
            tracing::warn!(%error, account = %account.name, mode = %account.mode, "what an account is worth could not be recorded");
        }
    }
}

struct Recorder {
    since: Timestamp,
    /// The last minute that was looked at; `None` until what is stored was read.
    minute: Option<i64>,
    newest: BTreeMap<Series, EquityPoint>,
}

/// Points to store, and which of them are the newest of their series.
#[derive(Clone, Default)]
struct Taken {
    rows: Vec<(Series, Every, EquityPoint)>,
    newest: Vec<(Series, EquityPoint)>,
}

impl Recorder {
    /// Takes the points of a minute, if a new one has begun.
    async fn record(&mut self, shared: &Shared, desk: &Desk) -> Result<(), StorageError> {
        let now = shared.clock.now();
        let Some(minute) = self.minute else {
            self.newest = store::newest_equities(&mut *shared.db.read().await?, desk.account_id()).await?;
            // The minute that the desk started in is not valued from its beginning.
            self.minute = Some(begun(now));
            return Ok(());
        };
        if begun(now) <= minute {
            return Ok(());
        }
        // A minute that could not be written is not tried again: its value would be that of a later one.
        self.minute = Some(begun(now));
        let at = Every::Minute.begins(begun(now));
        let taken = self.take(shared, desk, at, now);
        if taken.rows.is_empty() {
            return Ok(());
        }
        let is_new_hour = minute.div_euclid(60) != begun(now).div_euclid(60);
        let rows = taken.rows;
        shared
            .db
            .write(move |tx: &mut Tx| {
                Box::pin(async move {
                    store::insert_equity(tx, &rows).await?;
                    if is_new_hour {
                        store::expire_equity(tx, at).await?;
                    }
                    Ok::<_, StorageError>(())
                })
            })
            .await?;
        self.newest.extend(taken.newest);
        let _ = shared.events.send(TradingEvent::Account(desk.account_id()));
        Ok(())
    }

    /// Values the account and its books.
    fn take(&self, shared: &Shared, desk: &Desk, at: Timestamp, now: Timestamp) -> Taken {
        let mut taken = Taken::default();
        let core = desk.core();
        if !core.is_funded() {
            return taken;
        }
        let account = desk.account_id();
        let whole = std::iter::once((None, &core.book.whole));
        let own = std::iter::once((Some(OWN_BOOK), core.book.holdings(None)));
        let open = core.book.virtual_books().filter(|book| book.closed_at.is_none());
        let others = open.map(|book| (Some(book.id), core.book.holdings(Some(book.id))));
        for (book, holdings) in whole.chain(own).chain(others) {
            let valued = holdings.valued(|symbol| shared.market.last_price(symbol));
            let waits = Duration::try_from(now.duration_since(self.since)).is_ok_and(|age| age < PATIENCE);
            let series = (account, book);
            let point = EquityPoint::new(at, holdings.cash, holdings.funded, &valued);
            let newest = self.newest.get(&series);
            if newest.is_some_and(|newest| newest.at >= at) || (waits && !valued.is_priced) {
                continue;
            }
            taken.rows.extend(kept(newest, point).into_iter().map(|(every, point)| (series, every, point)));
            taken.newest.push((series, point));
        }
        taken
    }
}

/// The minute that a moment is in, counted from 1970.
fn begun(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// What is kept when a point comes after another.
fn kept(before: Option<&EquityPoint>, point: EquityPoint) -> Vec<(Every, EquityPoint)> {
    let mut kept = vec![(Every::Minute, point)];
    for every in [Every::Hour, Every::Day] {
        match before {
            // Where a history begins is kept.
            None => kept.push((every, point)),
            Some(before) if before.flows != point.flows => kept.extend([(every, *before), (every, point)]),
            Some(before) if every.number(before.at) != every.number(point.at) => kept.push((every, *before)),
            Some(_) => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use domain::Money;

    use super::*;

    fn point(at: &str, flows: &str) -> EquityPoint {
        let at = format!("2026-11-{at}Z").parse().unwrap();
        let flows: Money = flows.parse().unwrap();
        let money = Money::ZERO;
        EquityPoint { at, equity: flows, cash: flows, realised: money, unrealised: money, flows }
    }

    /// Which points are kept for longer than a week, when points are taken one after the other.
    fn check(points: &[(&str, &str)], expected: &[&str]) {
        let mut before: Option<EquityPoint> = None;
        let mut seen = Vec::new();
        for (at, flows) in points {
            let taken = point(at, flows);
            for (every, kept) in kept(before.as_ref(), taken) {
                let row = format!("{every} {}", kept.at.strftime("%dT%H:%M"));
                if every != Every::Minute && !seen.contains(&row) {
                    seen.push(row);
                }
            }
            before = Some(taken);
        }
        assert_eq!(seen, expected, "of {points:?}");
    }

    #[test]
    fn the_first_point_begins_every_history() {
        check(&[("21T10:17:00", "0")], &["1h 21T10:17", "1d 21T10:17"]);
    }

    #[test]
    fn the_last_point_of_an_hour_and_of_a_day_is_kept() {
        check(
            &[
                ("21T22:59:00", "0"),
                ("21T23:00:00", "0"),
                ("21T23:01:00", "0"),
                ("22T00:00:00", "0"),
                ("22T00:01:00", "0"),
            ],
            &["1h 21T22:59", "1d 21T22:59", "1h 21T23:00", "1h 22T00:00", "1d 22T00:00"],
        );
    }

    #[test]
    fn after_a_time_without_the_desk_the_last_that_was_known_is_kept() {
        check(
            &[("20T09:00:00", "0"), ("20T09:30:00", "0"), ("22T15:00:00", "0")],
            &["1h 20T09:00", "1d 20T09:00", "1h 20T09:30", "1d 20T09:30"],
        );
    }

    #[test]
    fn around_a_deposit_both_points_are_kept() {
        check(
            &[("21T10:00:00", "0"), ("21T10:05:00", "0"), ("21T10:06:00", "50")],
            &["1h 21T10:00", "1d 21T10:00", "1h 21T10:05", "1h 21T10:06", "1d 21T10:05", "1d 21T10:06"],
        );
    }
}
