//! When a symbol trades.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// When a symbol trades.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// At all times. The day of a day order is the UTC day.
    #[default]
    AlwaysOpen,
    /// At the same hours every week, in UTC: a change to summer time is a change of this setting. Hours do not overlap.
    Weekly(Vec<Hours>),
}

/// The hours of one day of the week, in minutes after its midnight UTC, `pre <= open < close <= post`. What ends after
/// midnight has more than 1,440 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// 0 is Monday.
    pub weekday: u8,
    /// Orders for extended hours trade from here,
    pub pre: u16,
    /// all orders from here, after the opening auction,
    pub open: u16,
    /// until here, where the closing auction is,
    pub close: u16,
    /// and those for extended hours until here.
    pub post: u16,
}

/// What may trade at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// Nothing.
    Closed,
    /// Limit orders for extended hours.
    Extended,
    /// Everything.
    Regular,
}

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

impl Calendar {
    /// What may trade at a moment.
    pub(super) fn session(&self, at: Timestamp) -> Session {
        let Self::Weekly(hours) = self else { return Session::Regular };
        for (begin, day) in days_around(hours, at, 0) {
            let second = at.as_second() - begin;
            let within =
                |from: u16, to: u16| (i64::from(from) * MINUTE..i64::from(to) * MINUTE).contains(&second);
            if within(day.open, day.close) {
                return Session::Regular;
            }
            if within(day.pre, day.post) {
                return Session::Extended;
            }
        }
        Session::Closed
    }

    /// When that next changes; `None` is never.
    pub(super) fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        self.next(after, |day| vec![day.pre, day.open, day.close, day.post])
    }

    /// The next opening auction.
    pub(super) fn next_open(&self, after: Timestamp) -> Option<Timestamp> {
        self.next(after, |day| vec![day.open])
    }

    /// The next closing auction.
    pub(super) fn next_close(&self, after: Timestamp) -> Option<Timestamp> {
        self.next(after, |day| vec![day.close])
    }

    /// When the day of an order ends that is placed now: the regular session's end, or that of the hours after it.
    /// `None` when there is no day to come.
    pub(super) fn day_end(&self, after: Timestamp, extended: bool) -> Option<Timestamp> {
        match self {
            Self::AlwaysOpen => at_second((after.as_second().div_euclid(DAY) + 1) * DAY),
            Self::Weekly(_) if extended => self.next(after, |day| vec![day.post]),
            Self::Weekly(_) => self.next_close(after),
        }
    }

    fn next(&self, after: Timestamp, of: impl Fn(&Hours) -> Vec<u16>) -> Option<Timestamp> {
        let Self::Weekly(hours) = self else { return None };
        let times = days_around(hours, after, 7).flat_map(|(begin, day)| {
            of(day).into_iter().map(move |minute| begin + i64::from(minute) * MINUTE)
        });
        times.filter_map(at_second).filter(|at| *at > after).min()
    }
}

/// The days from yesterday, whose hours may not be over yet, until `ahead` days from now: their midnights, in seconds.
fn days_around(hours: &[Hours], at: Timestamp, ahead: i64) -> impl Iterator<Item = (i64, &Hours)> {
    let today = at.as_second().div_euclid(DAY);
    (today - 1..=today + ahead).flat_map(move |day| {
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        hours
            .iter()
            .filter(move |hours| i64::from(hours.weekday) == weekday)
            .map(move |hours| (day * DAY, hours))
    })
}

fn at_second(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// New York in winter: 4:00, 9:30, 16:00 and 20:00 are 9:00, 14:30, 21:00 and 1:00 of the next day in UTC.
    fn new_york() -> Calendar {
        let day = |weekday| Hours { weekday, pre: 540, open: 870, close: 1_260, post: 1_500 };
        Calendar::Weekly((0..5).map(day).collect())
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}:00Z").parse().unwrap()
    }

    #[test]
    fn sessions_follow_the_table_over_midnight_and_weekends() {
        for (time, expected) in [
            ("20T08:59", Session::Closed),
            ("20T09:00", Session::Extended),
            ("20T14:29", Session::Extended),
            ("20T14:30", Session::Regular),
            ("20T20:59", Session::Regular),
            ("20T21:00", Session::Extended),
            ("21T00:59", Session::Extended),
            ("21T01:00", Session::Closed),
            ("21T15:00", Session::Closed),
            ("23T15:00", Session::Regular),
        ] {
            assert_eq!(new_york().session(at(time)), expected, "{time}");
        }
        assert_eq!(Calendar::AlwaysOpen.session(at("21T15:00")), Session::Regular);
    }

    #[test]
    fn a_day_order_ends_with_its_session_or_the_next_one() {
        let end = |time, extended| new_york().day_end(at(time), extended);
        assert_eq!(end("20T15:00", false), Some(at("20T21:00")));
        assert_eq!(end("20T15:00", true), Some(at("21T01:00")));
        assert_eq!(end("20T22:00", false), Some(at("23T21:00")), "Friday evening is for Monday");
        assert_eq!(Calendar::AlwaysOpen.day_end(at("20T15:00"), false), Some(at("21T00:00")));
        assert_eq!(Calendar::Weekly(vec![]).day_end(at("20T15:00"), false), None);
    }

    #[test]
    fn changes_are_told_in_their_order() {
        let mut now = at("20T08:00");
        for expected in ["20T09:00", "20T14:30", "20T21:00", "21T01:00", "23T09:00"] {
            now = new_york().next_change(now).unwrap();
            assert_eq!(now, at(expected));
        }
        assert_eq!(Calendar::AlwaysOpen.next_change(now), None);
    }
}
