//! Hours of the week in which trading is allowed.

use std::fmt;
use std::str::FromStr;

use domain::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

/// Windows of the week, UTC, as `mon-fri 13:30-20:00, sat 10:00-12:00`.
///
/// A window begins with its first minute and ends before its last; one that goes over midnight is written as two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradingHours(Vec<Window>);

/// The same hours on some days in a row. Days count from Monday, minutes from midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    first_day: usize,
    last_day: usize,
    from: u16,
    to: u16,
}

impl Window {
    fn covers(self, day: usize, minute: u16) -> bool {
        (self.first_day..=self.last_day).contains(&day) && (self.from..self.to).contains(&minute)
    }

    fn parse(text: &str) -> Option<Self> {
        let (days, hours) = text.split_once(' ')?;
        let day = |name: &str| DAYS.iter().position(|day| *day == name);
        let (first_day, last_day) = match days.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(days)?, day(days)?),
        };
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (minute_of_day(from)?, minute_of_day(to)?);
        (first_day <= last_day && from < to).then_some(Self { first_day, last_day, from, to })
    }
}

/// Reads `00:00` to `24:00`.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}

impl TradingHours {
    /// Whether a moment is in one of the windows.
    pub fn contains(&self, at: Timestamp) -> bool {
        let minutes = at.as_second().div_euclid(60);
        let day_minutes = i64::from(DAY_MINUTES);
        // 1970-01-01 was a Thursday.
        let day = (minutes.div_euclid(day_minutes) + 3).rem_euclid(7);
        let minute = minutes.rem_euclid(day_minutes);
        self.covers(usize::try_from(day).unwrap_or(0), u16::try_from(minute).unwrap_or(0))
    }

    /// Whether every minute of these hours is in the others too.
    pub fn within(&self, others: &Self) -> bool {
        self.minutes().all(|(day, minute)| others.covers(day, minute))
    }

    /// Minutes of the week that they cover.
    pub fn total_minutes(&self) -> usize {
        self.minutes().count()
    }

    fn covers(&self, day: usize, minute: u16) -> bool {
        self.0.iter().any(|window| window.covers(day, minute))
    }

    fn minutes(&self) -> impl Iterator<Item = (usize, u16)> {
        (0..DAYS.len())
            .flat_map(|day| (0..DAY_MINUTES).map(move |minute| (day, minute)))
            .filter(|(day, minute)| self.covers(*day, *minute))
    }
}

impl fmt::Display for TradingHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, window) in self.0.iter().enumerate() {
            let separator = if nth == 0 { "" } else { ", " };
            write!(f, "{separator}{}", DAYS[window.first_day])?;
            if window.last_day != window.first_day {
                write!(f, "-{}", DAYS[window.last_day])?;
            }
            let (from, to) = (window.from, window.to);
            write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

/// Text that is not a list of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHours;

impl FromStr for TradingHours {
    type Err = InvalidHours;

    fn from_str(text: &str) -> Result<Self, InvalidHours> {
        let windows: Option<Vec<Window>> = text.split(',').map(|part| Window::parse(part.trim())).collect();
        windows.filter(|windows| windows.len() <= 64).map(Self).ok_or(InvalidHours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> TradingHours {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_has_its_first_minute_and_not_its_last() {
        let week = hours("mon-fri 13:30-20:00, sat 10:00-12:00");
        for (at, inside) in [
            ("2026-11-20T13:29:59Z", false),
            ("2026-11-20T13:30:00Z", true),
            ("2026-11-20T19:59:59Z", true),
            ("2026-11-20T20:00:00Z", false),
            ("2026-11-21T11:00:00Z", true),
            ("2026-11-21T13:30:00Z", false),
            ("2026-11-22T11:00:00Z", false),
            ("1969-12-31T14:00:00Z", true),
        ] {
            assert_eq!(week.contains(at.parse().unwrap()), inside, "{at}");
        }
    }

    #[test]
    fn hours_are_written_as_they_are_read() {
        for text in ["mon-sun 00:00-24:00", "mon-fri 13:30-20:00, sat 10:00-12:00", "wed 09:00-09:01"] {
            assert_eq!(hours(text).to_string(), text);
        }
        for bad in [
            "",
            "mon",
            "fri-mon 10:00-11:00",
            "mon 11:00-10:00",
            "mon 9:00-10:00",
            "mon 10:00-24:01",
            "mon 10:60-11:00",
        ] {
            assert!(bad.parse::<TradingHours>().is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn hours_are_compared_by_the_minute() {
        assert!(hours("tue 10:00-11:00").within(&hours("mon-fri 09:00-10:30, mon-fri 10:30-12:00")));
        assert!(!hours("tue 10:00-11:01").within(&hours("tue 10:00-11:00")));
    }
}
