//! When shares are traded: in New York. Coins always are; their day, and that of an account, is a UTC day.

use std::ops::Range;
use std::time::Duration;

use alpaca::{CalendarDay, Clock, OffsetTime, Uuid};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use domain::new_york::{self, TradingDay};
use domain::{Symbol, Timestamp};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use super::Refusal;
use super::bot::Bot;
use super::query::Query;
use crate::Desk;

/// Most days of a calendar in one answer.
const MOST_DAYS: usize = 10_000;
/// No break of trading is longer, in days.
const LONGEST_BREAK: usize = 14;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/v2/clock", get(clock)).route("/v2/calendar", get(calendar))
}

/// The UTC day that a moment is in.
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

/// The day of an instrument that a moment is in, from its first moment to that of the next: shares have New York's days,
/// coins those of UTC.
pub(super) fn day_at(symbol: &Symbol, at: Timestamp) -> Range<Timestamp> {
    if symbol.is_pair() {
        return day_of(at)..day_of(at) + DAY;
    }
    let date = new_york::date_at(at);
    new_york::midnight(date)..new_york::midnight(date.tomorrow().unwrap_or(date))
}

/// The trading day before a day of an instrument.
pub(super) fn day_before(symbol: &Symbol, day: &Range<Timestamp>) -> Range<Timestamp> {
    let mut before = day.clone();
    for _ in 0..LONGEST_BREAK {
        before = day_at(symbol, before.start - Duration::from_secs(1));
        if symbol.is_pair() || TradingDay::on(new_york::date_at(before.start)).is_some() {
            break;
        }
    }
    before
}

/// The zone whose days an instrument has.
pub(super) fn zone_of(symbol: &Symbol) -> TimeZone {
    if symbol.is_pair() { TimeZone::UTC } else { new_york::clocks() }
}

async fn clock(State(desk): State<Desk>, _: Bot) -> Json<Clock> {
    let (now, zone) = (desk.clock.now(), new_york::clocks());
    let shown = |at| OffsetTime::new(at, &zone);
    Json(Clock {
        timestamp: shown(now),
        is_open: new_york::is_open(now),
        next_open: shown(new_york::next_open(now)),
        next_close: shown(new_york::next_close(now)),
    })
}

async fn calendar(State(desk): State<Desk>, _: Bot, query: Query) -> Result<Json<Vec<CalendarDay>>, Refusal> {
    let today = new_york::date_at(desk.clock.now());
    let bound = |name, otherwise: Span| -> Result<Date, Refusal> {
        let given = query.moment(name)?.map(date_of);
        Ok(given.or_else(|| today.checked_add(otherwise).ok()).unwrap_or(today))
    };
    let (start, end) = (bound("start", (-30).days())?, bound("end", 30.days())?);
    let days = start.series(1.day()).take_while(|day| *day <= end).take(MOST_DAYS);
    let shown = |day: TradingDay| CalendarDay {
        date: day.date,
        open: day.open(),
        close: day.close(),
        session_open: day.early_open(),
        session_close: day.late_close(),
        settlement_date: Some(day.settles_on()),
    };
    Ok(Json(days.filter_map(TradingDay::on).map(shown).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_new_yorks_days_and_coins_those_of_utc() {
        for (symbol, at, day, before) in [
            ("BTC-USD", "2026-11-30T02:00:00Z", "2026-11-30T00:00:00Z", "2026-11-29T00:00:00Z"),
            ("AAPL", "2026-11-30T02:00:00Z", "2026-11-29T05:00:00Z", "2026-11-27T05:00:00Z"),
            ("AAPL", "2026-11-27T15:00:00Z", "2026-11-27T05:00:00Z", "2026-11-25T05:00:00Z"),
            ("AAPL", "2026-07-06T15:00:00Z", "2026-07-06T04:00:00Z", "2026-07-02T04:00:00Z"),
        ] {
            let symbol: Symbol = symbol.parse().unwrap();
            let found = day_at(&symbol, at.parse().unwrap());
            let earlier = day_before(&symbol, &found);
            assert_eq!(
                (found.start.to_string().as_str(), earlier.start.to_string().as_str()),
                (day, before),
                "{symbol} {at}"
            );
        }
    }
}
