//! What was asked of the API how often, how fast it was answered, and by whom.
//!
//! Counted in memory by endpoint, caller and minute, and written down every minute: by the minute for a look at what is
//! going on, by the hour for months. What is counted is bounded; what does not fit counts as nobody's.

pub(crate) mod latency;
pub(crate) mod store;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use domain::{Timestamp, from_micros, micros};
use storage::{Database, StorageError};

use self::latency::Latencies;

/// Most rows that are counted in memory until they are written.
const MOST: usize = 10_000;
/// Rows that are written in one job, so that an order in between does not wait.
const AT_ONCE: usize = 50;

/// Who asks: ids, empty where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Caller {
    pub user: String,
    pub key: String,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// Start of the minute, in microseconds.
    minute: i64,
    endpoint: String,
    caller: Caller,
}

/// Requests, by how they ended and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub requests: u64,
    /// 4xx without 429.
    pub client_errors: u64,
    /// 429.
    pub limited: u64,
    /// 5xx.
    pub server_errors: u64,
    /// Microseconds since 1970.
    pub last_at: i64,
    pub latencies: Latencies,
}

impl Counts {
    fn add_one(&mut self, at: Timestamp, status: StatusCode, took: Duration) {
        self.requests += 1;
        match status {
            StatusCode::TOO_MANY_REQUESTS => self.limited += 1,
            status if status.is_client_error() => self.client_errors += 1,
            status if status.is_server_error() => self.server_errors += 1,
            _ => {}
        }
        self.last_at = self.last_at.max(micros(at));
        self.latencies.add(took);
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.limited += other.limited;
        self.server_errors += other.server_errors;
        self.last_at = self.last_at.max(other.last_at);
        self.latencies.merge(&other.latencies);
    }
}

/// What was counted since it was last written down.
#[derive(Default)]
pub(crate) struct Usage(Mutex<HashMap<Row, Counts>>);

/// How far a look goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Period {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
}

impl Period {
    /// By what it is counted, and since when.
    fn reach(self, now: Timestamp) -> (Every, i64) {
        let (every, hours) = match self {
            Self::Hour => (Every::Minute, 1),
            Self::Day => (Every::Hour, 24),
            Self::Week => (Every::Hour, 7 * 24),
            Self::Month => (Every::Hour, 30 * 24),
            Self::Quarter => (Every::Hour, 90 * 24),
        };
        (every, every.start_of(micros(now) - hours * Every::Hour.micros()))
    }
}

/// In what steps rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    Minute,
    Hour,
}

impl Every {
    fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    fn micros(self) -> i64 {
        match self {
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
        }
    }

    fn start_of(self, micros: i64) -> i64 {
        micros - micros.rem_euclid(self.micros())
    }

    /// For how long: three hours of minutes, a hundred days of hours.
    fn kept_since(self, now: Timestamp) -> i64 {
        let steps = match self {
            Self::Minute => 180,
            Self::Hour => 2_400,
        };
        micros(now) - steps * self.micros()
    }
}

/// Whose requests are looked at; `None`: everybody's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whose {
    pub user: Option<String>,
    pub key: Option<String>,
}

impl Whose {
    fn has(&self, caller: &Caller) -> bool {
        self.user.as_ref().is_none_or(|user| *user == caller.user)
            && self.key.as_ref().is_none_or(|key| *key == caller.key)
    }
}

impl Usage {
    /// Counts a request.
    pub(crate) fn count(
        &self,
        endpoint: String,
        caller: Caller,
        at: Timestamp,
        status: StatusCode,
        took: Duration,
    ) {
        let minute = Every::Minute.start_of(micros(at));
        let mut rows = self.lock();
        let row = Row { minute, endpoint, caller };
        let is_full = rows.len() >= MOST && !rows.contains_key(&row);
        let row = if is_full { Row { caller: Caller::default(), ..row } } else { row };
        // The table of endpoints is short, so the rows of nobody end by themselves; minutes end when they are written.
        if rows.len() < 2 * MOST || rows.contains_key(&row) {
            rows.entry(row).or_default().add_one(at, status, took);
        }
    }

    /// Writes down what was counted, and forgets what is too old. What cannot be written is kept for the next time.
    pub(crate) async fn flush(&self, db: &Database, now: Timestamp) -> Result<(), StorageError> {
        let mut rows: Vec<_> = std::mem::take(&mut *self.lock()).into_iter().collect();
        while !rows.is_empty() {
            let some = rows.split_off(rows.len().saturating_sub(AT_ONCE));
            let written = some.clone();
            let done = db.write(move |tx| Box::pin(async move { store::add(tx, &written).await })).await;
            if let Err(error) = done {
                let mut kept = self.lock();
                for (row, counts) in rows.into_iter().chain(some) {
                    kept.entry(row).or_default().add(&counts);
                }
                return Err(error);
            }
        }
        db.write(move |tx| Box::pin(async move { store::forget(tx, now).await })).await
    }

    /// Requests of a period by endpoint, those of this minute too.
    pub(crate) async fn by_endpoint(
        &self,
        db: &Database,
        now: Timestamp,
        period: Period,
        whose: &Whose,
    ) -> Result<Vec<(String, Counts)>, StorageError> {
        let (every, since) = period.reach(now);
        let mut found = store::by_endpoint(&mut *db.read().await?, every, since, whose).await?;
        for (row, counts) in self.lock().iter() {
            if every.start_of(row.minute) >= since && whose.has(&row.caller) {
                found.entry(row.endpoint.clone()).or_default().add(counts);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The same by caller.
    pub(crate) async fn by_caller(
        &self,
        db: &Database,
        now: Timestamp,
        period: Period,
        whose: &Whose,
    ) -> Result<Vec<(Caller, Counts)>, StorageError> {
        let (every, since) = period.reach(now);
        let mut found = store::by_caller(&mut *db.read().await?, every, since, whose).await?;
        for (row, counts) in self.lock().iter() {
            if every.start_of(row.minute) >= since && whose.has(&row.caller) {
                found.entry(row.caller.clone()).or_default().add(counts);
            }
        }
        Ok(found.into_iter().collect())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Row, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// When the last of the requests came in.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        (self.requests > 0).then(|| from_micros(self.last_at))
    }
}
