//! When the market is open. What the desk trades trades always; a day is a UTC day.

use std::time::Duration;

use alpaca::{CalendarDay, Clock, OffsetTime, Uuid};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use domain::Timestamp;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use super::Refusal;
use super::bot::Bot;
use super::query::Query;
use crate::Desk;

/// Most days of a calendar in one answer.
const MOST_DAYS: usize = 10_000;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/v2/clock", get(clock)).route("/v2/calendar", get(calendar))
}

/// The day that a moment is in.
pub(super) fn date_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// When that began.
pub(super) fn day_of(at: Timestamp) -> Timestamp {
    let into = at.as_second().rem_euclid(86_400);
    Timestamp::from_second(at.as_second() - into).unwrap_or(at)
}

/// When an id was made; `None` of one that does not say.
pub(super) fn made_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Timestamp::new(seconds.try_into().ok()?, nanos.try_into().ok()?).ok()
}

async fn clock(State(desk): State<Desk>, _: Bot) -> Result<Json<Clock>, Refusal> {
    let now = desk.clock.now();
    let midnight = day_of(now) + DAY;
    let shown = |at| OffsetTime::new(at, &TimeZone::UTC);
    // It never closes: the day ends and the next begins at the same moment.
    Ok(Json(Clock {
        timestamp: shown(now),
        is_open: true,
        next_open: shown(midnight),
        next_close: shown(midnight),
    }))
}

async fn calendar(State(desk): State<Desk>, _: Bot, query: Query) -> Result<Json<Vec<CalendarDay>>, Refusal> {
    let today = date_of(desk.clock.now());
    let bound = |name, otherwise: Span| -> Result<Date, Refusal> {
        let given = query.moment(name)?.map(date_of);
        Ok(given.or_else(|| today.checked_add(otherwise).ok()).unwrap_or(today))
    };
    let (start, end) = (bound("start", (-30).days())?, bound("end", 30.days())?);
    let days = start.series(1.day()).take_while(|day| *day <= end).take(MOST_DAYS);
    let shown = |date| CalendarDay {
        date,
        open: time(0, 0, 0, 0),
        close: time(23, 59, 0, 0),
        session_open: time(0, 0, 0, 0),
        session_close: time(23, 59, 0, 0),
        settlement_date: Some(date),
    };
    Ok(Json(days.map(shown).collect()))
}
