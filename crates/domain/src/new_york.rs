//! When shares are traded in New York: days, hours and settlement, reckoned from the rules and not from a table.
//!
//! Sources: NYSE Rule 7.2 (holidays) and the exchange's "Holidays and Trading Hours" (half days, the closing of 2025-01-09);
//! SEC Rule 15c6-1 (settlement: two days from 2017-09-05, one day from 2024-05-28); the Energy Policy Act of 2005 (when clocks
//! change). The days of 2020 to 2030 are those of the Python package `holidays` too. What is decided on short notice, as a
//! day of mourning, is a line in [`CLOSED`].

use std::sync::LazyLock;

use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::tz::TimeZone;

use crate::Timestamp;

/// Clocks in New York. Their rule is short enough to be written here: the system's tables may be missing.
static CLOCKS: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("it is a rule of POSIX"));

/// Days on which the exchange was closed although no rule says so.
const CLOSED: [Date; 1] = [
    // National day of mourning for President Carter.
    date(2025, 1, 9),
];

/// No break between two sessions is longer, in days.
const LONGEST_BREAK: usize = 14;

/// Clocks in New York.
pub fn clocks() -> TimeZone {
    CLOCKS.clone()
}

/// Which day it is in New York at a moment.
pub fn date_at(at: Timestamp) -> Date {
    at.to_zoned(clocks()).date()
}

/// When a day begins in New York.
pub fn midnight(date: Date) -> Timestamp {
    moment(date, time(0, 0, 0, 0))
}

fn moment(date: Date, time: Time) -> Timestamp {
    let zoned = date.to_datetime(time).to_zoned(clocks());
    zoned.map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

/// A day on which shares are traded. Times are New York's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradingDay {
    /// Which day.
    pub date: Date,
    is_half: bool,
}

impl TradingDay {
    /// The session of a day; `None` on weekends and holidays.
    pub fn on(date: Date) -> Option<Self> {
        let is_closed = is_weekend(date) || is_holiday(date) || CLOSED.contains(&date);
        (!is_closed).then(|| Self { date, is_half: is_half_day(date) })
    }

    /// When the regular session begins.
    pub fn open(self) -> Time {
        time(9, 30, 0, 0)
    }

    /// When it ends.
    pub fn close(self) -> Time {
        time(if self.is_half { 13 } else { 16 }, 0, 0, 0)
    }

    /// When trading before it begins.
    pub fn early_open(self) -> Time {
        time(4, 0, 0, 0)
    }

    /// When trading after it ends.
    pub fn late_close(self) -> Time {
        time(if self.is_half { 17 } else { 20 }, 0, 0, 0)
    }

    /// The beginning of the regular session as a moment.
    pub fn opens_at(self) -> Timestamp {
        moment(self.date, self.open())
    }

    /// The end of the regular session as a moment.
    pub fn closes_at(self) -> Timestamp {
        moment(self.date, self.close())
    }

    /// When what is traded on it is paid and delivered.
    pub fn settles_on(self) -> Date {
        let days = if self.date < date(2024, 5, 28) { 2 } else { 1 };
        days_after(self.date).filter(|date| settles(*date)).nth(days - 1).unwrap_or(self.date)
    }
}

/// Whether the regular session runs.
pub fn is_open(at: Timestamp) -> bool {
    TradingDay::on(date_at(at)).is_some_and(|day| day.opens_at() <= at && at < day.closes_at())
}

/// When the regular session begins next: after this moment.
pub fn next_open(at: Timestamp) -> Timestamp {
    next(at, TradingDay::opens_at)
}

/// When the regular session ends next: after this moment.
pub fn next_close(at: Timestamp) -> Timestamp {
    next(at, TradingDay::closes_at)
}

fn next(at: Timestamp, when: impl Fn(TradingDay) -> Timestamp) -> Timestamp {
    let today = date_at(at);
    let days = std::iter::once(today).chain(days_after(today)).take(LONGEST_BREAK);
    days.filter_map(TradingDay::on).map(when).find(|moment| *moment > at).unwrap_or(at)
}

fn days_after(date: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(date.tomorrow().ok(), |date| date.tomorrow().ok())
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Which of the days of its name a day is in its month: the first, the second, …
fn nth(date: Date) -> i8 {
    (date.day() - 1) / 7 + 1
}

fn is_last_of_its_name(date: Date) -> bool {
    date.day() + 7 > date.days_in_month()
}

/// Whether a holiday with a date is kept on a day: on its date, the Monday after a Sunday, the Friday before a Saturday.
fn keeps(on: Date, month: i8, day: i8) -> bool {
    let is_it = |date: Date| (date.month(), date.day()) == (month, day);
    match on.weekday() {
        Weekday::Monday if on.yesterday().is_ok_and(is_it) => true,
        Weekday::Friday if on.tomorrow().is_ok_and(is_it) => true,
        _ => is_it(on),
    }
}

fn is_holiday(on: Date) -> bool {
    let is = |month: i8, weekday: Weekday| on.month() == month && on.weekday() == weekday;
    // A New Year on a Saturday is not kept on the Friday, which ends the year before.
    let new_year = keeps(on, 1, 1) && on.month() == 1;
    let martin_luther_king = is(1, Weekday::Monday) && nth(on) == 3;
    let washington = is(2, Weekday::Monday) && nth(on) == 3;
    let good_friday = on.tomorrow().and_then(Date::tomorrow).is_ok_and(|sunday| sunday == easter(on.year()));
    let memorial = is(5, Weekday::Monday) && is_last_of_its_name(on);
    let juneteenth = keeps(on, 6, 19) && on.year() >= 2022;
    let independence = keeps(on, 7, 4);
    let labor = is(9, Weekday::Monday) && nth(on) == 1;
    let christmas = keeps(on, 12, 25);
    new_year
        || martin_luther_king
        || washington
        || good_friday
        || memorial
        || juneteenth
        || independence
        || labor
        || is_thanksgiving(on)
        || christmas
}

fn is_thanksgiving(on: Date) -> bool {
    on.month() == 11 && on.weekday() == Weekday::Thursday && nth(on) == 4
}

/// Whether the session of a trading day ends at 13:00: before Independence Day, after Thanksgiving, on Christmas Eve.
fn is_half_day(on: Date) -> bool {
    let after_thanksgiving = on.weekday() == Weekday::Friday && on.yesterday().is_ok_and(is_thanksgiving);
    after_thanksgiving || matches!((on.month(), on.day()), (7, 3) | (12, 24))
}

/// Whether shares are paid and delivered on a day: shares are traded on two days on which banks are closed.
fn settles(on: Date) -> bool {
    let columbus = on.month() == 10 && on.weekday() == Weekday::Monday && nth(on) == 2;
    // The banks keep no Friday for a holiday on a Saturday.
    let veterans = keeps(on, 11, 11) && on.weekday() != Weekday::Friday
        || (on.month(), on.day()) == (11, 11) && on.weekday() == Weekday::Friday;
    TradingDay::on(on).is_some() && !columbus && !veterans
}

/// Easter Sunday of a year, by the Gregorian computus of Meeus, Jones and Butcher.
fn easter(year: i16) -> Date {
    let year = i32::from(year);
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    let small = |number: i32| i8::try_from(number).unwrap_or(1);
    Date::new(i16::try_from(year).unwrap_or(1), small(month), small(day)).unwrap_or(Date::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weekdays on which the exchange is closed, by year.
    const HOLIDAYS: [(i16, &str); 11] = [
        (2020, "01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25"),
        (2021, "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24"),
        (2022, "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26"),
        (2023, "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25"),
        (2024, "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25"),
        (2025, "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25"),
        (2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25"),
        (2027, "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24"),
        (2028, "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25"),
        (2029, "01-01 01-15 02-19 03-30 05-28 06-19 07-04 09-03 11-22 12-25"),
        (2030, "01-01 01-21 02-18 04-19 05-27 06-19 07-04 09-02 11-28 12-25"),
    ];

    const HALF_DAYS: [(i16, &str); 11] = [
        (2020, "11-27 12-24"),
        (2021, "11-26"),
        (2022, "11-25"),
        (2023, "07-03 11-24"),
        (2024, "07-03 11-29 12-24"),
        (2025, "07-03 11-28 12-24"),
        (2026, "11-27 12-24"),
        (2027, "11-26"),
        (2028, "07-03 11-24"),
        (2029, "07-03 11-23 12-24"),
        (2030, "07-03 11-29 12-24"),
    ];

    fn days_of(year: i16, wanted: impl Fn(Date) -> bool) -> String {
        let days = std::iter::once(date(year, 1, 1)).chain(days_after(date(year, 1, 1)));
        let days = days.take_while(|day| day.year() == year).filter(|day| wanted(*day));
        days.map(|day| day.strftime("%m-%d").to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_rules_make_the_exchanges_calendars() {
        for (year, holidays) in HOLIDAYS {
            let is_closed = |day: Date| TradingDay::on(day).is_none() && !is_weekend(day);
            assert_eq!(days_of(year, is_closed), holidays, "{year}");
        }
        for (year, half_days) in HALF_DAYS {
            let is_half = |day: Date| TradingDay::on(day).is_some_and(|day| day.is_half);
            assert_eq!(days_of(year, is_half), half_days, "{year}");
        }
    }

    #[test]
    fn a_session_is_open_from_its_first_moment_until_before_its_last_summer_and_winter() {
        for (at, open) in [
            ("2026-02-03T14:29:59.999Z", false),
            ("2026-02-03T14:30:00Z", true),
            ("2026-02-03T20:59:59Z", true),
            ("2026-02-03T21:00:00Z", false),
            ("2026-07-06T13:30:00Z", true),
            ("2026-07-06T20:00:00Z", false),
            ("2026-11-27T17:59:59Z", true),
            ("2026-11-27T18:00:00Z", false),
            ("2026-11-26T16:00:00Z", false),
            ("2026-11-28T16:00:00Z", false),
        ] {
            assert_eq!(is_open(at.parse().unwrap()), open, "{at}");
        }
    }

    #[test]
    fn the_next_session_comes_after_nights_weekends_and_holidays() {
        for (at, opens, closes) in [
            ("2026-02-03T14:45:00Z", "2026-02-04T14:30:00Z", "2026-02-03T21:00:00Z"),
            ("2026-02-03T14:30:00Z", "2026-02-04T14:30:00Z", "2026-02-03T21:00:00Z"),
            ("2026-11-25T22:00:00Z", "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"),
            // Over the night in which clocks go forward.
            ("2026-03-06T22:00:00Z", "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z"),
            ("2026-07-02T21:00:00Z", "2026-07-06T13:30:00Z", "2026-07-06T20:00:00Z"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(
                (next_open(at).to_string(), next_close(at).to_string()),
                (opens.into(), closes.into())
            );
        }
    }

    #[test]
    fn trades_settle_on_days_on_which_banks_are_open() {
        for (traded, settled) in [
            ("2026-11-25", "2026-11-27"),
            ("2026-11-27", "2026-11-30"),
            ("2024-05-24", "2024-05-29"),
            ("2024-05-28", "2024-05-29"),
            ("2025-10-10", "2025-10-14"),
            ("2025-10-13", "2025-10-14"),
            ("2025-11-10", "2025-11-12"),
        ] {
            let day = TradingDay::on(traded.parse().unwrap()).unwrap();
            assert_eq!(day.settles_on().to_string(), settled, "{traded}");
        }
    }
}
