//! Bars of every length, put together from minutes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use alpaca::{BarsOf, BarsPage};
use axum::Json;
use axum::extract::{Path, State};
use domain::{Bar, Every, Symbol, Timestamp};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Page, one, shapes, wanted};
use crate::Desk;
use crate::alpaca::bot::Bot;
use crate::alpaca::query::Query;
use crate::alpaca::{Refusal, hours, symbols};

/// Minutes that are read at once.
const PIECE: usize = 20_000;
/// Minutes that are read for one answer: what is left is on the next page.
const MOST_MINUTES: usize = 600_000;
/// Minutes of a day on which clocks go back.
const LONGEST_DAY: usize = 25 * 60;
const MINUTE: Duration = Duration::from_secs(60);

/// How long a bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Minutes(i64),
    Weeks,
    Months(i16),
}

impl Length {
    /// `5Min`, `1Hour`, `1D`, `1Week`, `3M`.
    fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(at);
        let number: i64 = if number.is_empty() { 1 } else { number.parse().ok()? };
        match unit {
            "Min" | "T" if (1..=59).contains(&number) => Some(Self::Minutes(number)),
            "Hour" | "H" if (1..=23).contains(&number) => Some(Self::Minutes(number * 60)),
            "Day" | "D" if number == 1 => Some(Self::Minutes(24 * 60)),
            "Week" | "W" if number == 1 => Some(Self::Weeks),
            "Month" | "M" if [1, 2, 3, 4, 6, 12].contains(&number) => {
                Some(Self::Months(number.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// When the bar begins that a moment is in: counted from midnight, from Monday, from January, by the clocks of `zone`.
    fn begins(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let date = at.to_zoned(zone.clone()).date();
        let of = |date: Date| date.to_zoned(zone.clone()).map_or(at, |zoned| zoned.timestamp());
        let midnight = of(date);
        match self {
            Self::Minutes(minutes) => {
                let length = minutes * 60;
                let into = at.as_second() - midnight.as_second();
                Timestamp::from_second(midnight.as_second() + into.div_euclid(length) * length).unwrap_or(at)
            }
            Self::Weeks => {
                let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                of(date.checked_sub(since_monday.days()).unwrap_or(date))
            }
            Self::Months(months) => {
                let month = i16::from(date.month()) - 1;
                let first = month - month.rem_euclid(months) + 1;
                of(Date::new(date.year(), first.try_into().unwrap_or(1), 1).unwrap_or(date))
            }
        }
    }
}

/// The sum of bars that follow each other.
fn add(whole: &mut Bar, part: &Bar) {
    whole.high = whole.high.max(part.high);
    whole.low = whole.low.min(part.low);
    whole.close = part.close;
    whole.volume += part.volume;
    whole.notional += part.notional;
    whole.trades += part.trades;
    whole.buy_volume += part.buy_volume;
    whole.sell_volume += part.sell_volume;
    whole.buy_trades += part.buy_trades;
    whole.sell_trades += part.sell_trades;
}

/// The bar of a day; `None` when nothing traded.
pub(in crate::alpaca) async fn day(
    desk: &Desk,
    symbol: &Symbol,
    day: &Range<Timestamp>,
) -> Result<Option<alpaca::Bar>, Refusal> {
    let minutes = desk.market.bars(symbol, Every::Minute, Some(day.end), LONGEST_DAY).await?;
    let mut within = minutes.into_iter().map(|view| view.bar).filter(|bar| bar.start_at >= day.start);
    let Some(first) = within.next() else { return Ok(None) };
    let mut whole = Bar { start_at: day.start, ..first };
    within.for_each(|minute| add(&mut whole, &minute));
    Ok(Some(shapes::bar(&whole)))
}

/// Where a page goes on: the instrument, and the beginning of its next bar.
struct Start(Symbol, Timestamp);

impl Start {
    fn read(text: &str) -> Option<Self> {
        let (symbol, at) = text.split_once('@')?;
        Some(Self(symbol.parse().ok()?, Timestamp::from_second(at.parse().ok()?).ok()?))
    }

    fn text(symbol: &Symbol, at: Timestamp) -> String {
        format!("{symbol}@{}", at.as_second())
    }
}

/// The bars of one instrument, from `from` to the end of the range, at most `limit`; and where to go on.
async fn read(
    desk: &Desk,
    symbol: &Symbol,
    length: Length,
    from: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<(Vec<Bar>, Option<Timestamp>), Refusal> {
    let zone = hours::zone_of(symbol);
    let mut bars: Vec<Bar> = Vec::new();
    let mut at = from;
    let mut read = 0;
    let piece = MINUTE * u32::try_from(PIECE).unwrap_or(u32::MAX);
    while at <= end {
        let until = at.checked_add(piece).unwrap_or(Timestamp::MAX).min(end + MINUTE);
        let minutes = desk.market.bars(symbol, Every::Minute, Some(until), PIECE).await?;
        for view in minutes.into_iter().filter(|view| view.bar.start_at >= at && view.bar.start_at <= end) {
            let begins = length.begins(view.bar.start_at, &zone);
            if let Some(last) = bars.last_mut().filter(|last| last.start_at == begins) {
                add(last, &view.bar);
            } else if bars.len() == limit {
                return Ok((bars, Some(begins)));
            } else {
                bars.push(Bar { start_at: begins, ..view.bar });
            }
        }
        read += PIECE;
        at = until;
        if read >= MOST_MINUTES && at <= end {
            // The last one may have more to come: it is made again on the next page.
            let again = bars.pop().map_or(at, |last| last.start_at);
            return Ok((bars, Some(again)));
        }
    }
    Ok((bars, None))
}

async fn page(desk: &Desk, query: &Query, list: Vec<Symbol>) -> Result<Page<alpaca::Bar>, Refusal> {
    let range = super::Range::read(desk, query)?;
    let invalid = |name: &str| Refusal::parameter(format!("invalid value for {name}"));
    let length = Length::read(query.needed("timeframe")?).ok_or_else(|| invalid("timeframe"))?;
    let start = match query.text("page_token") {
        Some(token) => Some(Start::read(token).ok_or_else(|| invalid("page_token"))?),
        None => None,
    };
    let mut page = BTreeMap::new();
    let mut room = range.limit;
    for symbol in list {
        let from = match &start {
            Some(Start(first, _)) if symbol < *first => continue,
            Some(Start(first, at)) if symbol == *first => *at,
            _ => range.start,
        };
        if room == 0 {
            return Ok((page, Some(Start::text(&symbol, from))));
        }
        if range.newest_first {
            // Read whole and turned round: the newest are wanted, of one page.
            let (mut bars, _) = read(desk, &symbol, length, from, range.end, usize::MAX).await?;
            bars.reverse();
            bars.truncate(room);
            room -= bars.len();
            page.insert(symbols::shown(&symbol), bars.iter().map(shapes::bar).collect());
            continue;
        }
        let (bars, next) = read(desk, &symbol, length, from, range.end, room).await?;
        room -= bars.len();
        if !bars.is_empty() {
            page.insert(symbols::shown(&symbol), bars.iter().map(shapes::bar).collect());
        }
        if let Some(next) = next {
            return Ok((page, Some(Start::text(&symbol, next))));
        }
    }
    Ok((page, None))
}

pub(super) async fn of_many(
    State(desk): State<Desk>,
    bot: Bot,
    query: Query,
) -> Result<Json<BarsPage>, Refusal> {
    let list = wanted(&desk, &bot, &query)?;
    let (bars, next_page_token) = page(&desk, &query, list).await?;
    Ok(Json(BarsPage { bars, next_page_token }))
}

pub(super) async fn of_one(
    State(desk): State<Desk>,
    bot: Bot,
    Path(symbol): Path<String>,
    query: Query,
) -> Result<Json<BarsOf>, Refusal> {
    let symbol = one(&desk, &bot, &symbol)?;
    let (mut bars, next_page_token) = page(&desk, &query, vec![symbol.clone()]).await?;
    let shown = symbols::shown(&symbol);
    Ok(Json(BarsOf { bars: bars.remove(&shown), symbol: shown, next_page_token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_begins_at_midnight_on_monday_or_in_january() {
        let begins = |length: &str, at: &str| {
            Length::read(length).unwrap().begins(at.parse().unwrap(), &TimeZone::UTC).to_string()
        };
        assert_eq!(begins("5Min", "2026-11-21T14:33:10Z"), "2026-11-21T14:30:00Z");
        assert_eq!(begins("1Hour", "2026-11-21T14:33:10Z"), "2026-11-21T14:00:00Z");
        assert_eq!(begins("1Day", "2026-11-21T14:33:10Z"), "2026-11-21T00:00:00Z");
        assert_eq!(begins("1Week", "2026-11-21T14:33:10Z"), "2026-11-16T00:00:00Z");
        assert_eq!(begins("3Month", "2026-11-21T14:33:10Z"), "2026-10-01T00:00:00Z");
        let in_new_york = |length: &str, at: &str| {
            let zone = domain::new_york::clocks();
            Length::read(length).unwrap().begins(at.parse().unwrap(), &zone).to_string()
        };
        assert_eq!(in_new_york("1Hour", "2026-11-21T14:33:10Z"), "2026-11-21T14:00:00Z");
        assert_eq!(in_new_york("1Day", "2026-11-21T02:33:10Z"), "2026-11-20T05:00:00Z");
        assert_eq!(in_new_york("1Month", "2026-07-21T14:33:10Z"), "2026-07-01T04:00:00Z");
        for bad in ["", "0Min", "60Min", "2Day", "5Month", "1Year", "Min5", "-1Min"] {
            assert_eq!(Length::read(bad), None, "{bad}");
        }
    }
}
