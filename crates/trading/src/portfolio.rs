//! What an account is worth, was worth, and earned.
//!
//! The recorder values every account and every book once a minute and keeps points that grow coarser with age. Returns
//! are reckoned from these points and from the account as it is now. Each point knows how much money had come from
//! outside by then, so what came in between two points is their difference, and a deposit never looks like profit.
//!
//! Every figure is named in [`formulas`], with how it is reckoned and from what.

mod formulas;
mod recorder;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::returns::{self, Drawdown, Flow, Return, Valuation};
use domain::{
    AccountId, BookId, Context, Denied, Money, Permission, Quantity, Symbol, Timestamp, UnknownName,
    from_micros, micros,
};
use storage::StorageError;

pub use self::formulas::{Formula, formulas};
pub(crate) use self::recorder::run;
use crate::accounts::Account;
use crate::book::Valued;
use crate::books::VirtualBook;
use crate::core::Core;
use crate::gateway::Gateway;
use crate::store;

/// How far the points of a history are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Every {
    /// A minute; kept for 7 days.
    Minute,
    /// An hour; kept for a year.
    Hour,
    /// A day (UTC); kept for ever.
    Day,
}

impl Every {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Minute, Self::Hour, Self::Day];

    /// The name in storage and interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// How long it is.
    pub fn length(self) -> Duration {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => DAY,
        }
    }

    /// How long its points are kept; `None` is for ever.
    pub fn kept(self) -> Option<Duration> {
        match self {
            Self::Minute => Some(7 * DAY),
            Self::Hour => Some(365 * DAY),
            Self::Day => None,
        }
    }

    /// Which one a moment is in, counted from 1970. Its end belongs to it, its beginning to the one before: so what was
    /// so at midnight closes the day.
    fn number(self, at: Timestamp) -> i64 {
        let length = i64::try_from(self.length().as_micros()).unwrap_or(i64::MAX);
        (micros(at) - 1).div_euclid(length)
    }

    /// When it begins.
    fn begins(self, number: i64) -> Timestamp {
        let length = i64::try_from(self.length().as_micros()).unwrap_or(i64::MAX);
        from_micros(number.saturating_mul(length))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Every {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.iter().copied().find(|every| every.as_str() == text).ok_or_else(|| UnknownName {
            what: "distance of points",
            given: text.chars().take(40).collect(),
            allowed: "1m, 1h, 1d".into(),
        })
    }
}

/// What an account or a book was worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquityPoint {
    /// When.
    pub at: Timestamp,
    /// Cash and holdings at market prices.
    pub equity: Money,
    /// Money not invested.
    pub cash: Money,
    /// Profit of what was closed, less fees, since the account was opened.
    pub realised: Money,
    /// Profit of what was held.
    pub unrealised: Money,
    /// Money that had come in without a trade by then, less what went out: from outside, and to a book from others.
    pub flows: Money,
}

impl EquityPoint {
    fn new(at: Timestamp, cash: Money, flows: Money, valued: &Valued) -> Self {
        Self {
            at,
            equity: valued.equity,
            cash,
            realised: valued.realised,
            unrealised: valued.unrealised,
            flows,
        }
    }

    /// What was earned up to then, but for a constant.
    fn earned(&self) -> Money {
        self.equity - self.flows
    }
}

/// Over which time something was earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
    /// The last 365 days.
    Year,
    /// Since the first point there is.
    All,
}

impl Period {
    /// All of them, shortest first.
    pub const ALL: &'static [Self] = &[Self::Day, Self::Week, Self::Month, Self::Year, Self::All];

    /// The name in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "1d",
            Self::Week => "1w",
            Self::Month => "1m",
            Self::Year => "1y",
            Self::All => "all",
        }
    }

    /// How long it is; `None` is as long as there is the account.
    fn length(self) -> Option<Duration> {
        match self {
            Self::Day => Some(DAY),
            Self::Week => Some(7 * DAY),
            Self::Month => Some(30 * DAY),
            Self::Year => Some(365 * DAY),
            Self::All => None,
        }
    }

    /// The finest points that are still kept for all of it and are not too many.
    fn points(self) -> Every {
        match self {
            Self::Day => Every::Minute,
            Self::Week | Self::Month => Every::Hour,
            Self::Year | Self::All => Every::Day,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An account as one looks at it: what it is worth, in what, and what that earned.
#[derive(Clone, Debug)]
pub struct Portfolio {
    /// Which account.
    pub account: Account,
    /// When this was so.
    pub at: Timestamp,
    /// Cash and holdings at market prices.
    pub value: Money,
    /// Money not invested.
    pub cash: Money,
    /// What came in from outside since the account was opened, less what went out.
    pub deposits: Money,
    /// Profit of what was closed, less fees.
    pub realised: Money,
    /// Profit of what is held.
    pub unrealised: Money,
    /// Fees paid. They are taken from the realised profit already.
    pub fees: Money,
    /// What it is in: cash first, then by symbol.
    pub allocation: Vec<Allocation>,
    /// What each book is worth and earned: the account's own first.
    pub by_book: Vec<BookProfit>,
    /// What was earned with each instrument.
    pub by_symbol: Vec<SymbolProfit>,
    /// What was earned on each of the last 90 days (UTC) that were seen, newest first.
    pub by_day: Vec<DayProfit>,
    /// What was earned over different times, shortest first.
    pub periods: Vec<PeriodReturn>,
}

/// A part of an account's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// In what; `None` is cash.
    pub symbol: Option<Symbol>,
    /// Its value; below zero where it is short.
    pub value: Money,
    /// Of the account's value, as a fraction; `None` where that is not above zero.
    pub fraction: Option<f64>,
}

/// What a book is worth and earned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookProfit {
    /// Which; `None` is the account's own.
    pub book: Option<VirtualBook>,
    /// Cash and holdings at market prices.
    pub value: Money,
    /// Profit of what it closed or handed over, less fees.
    pub realised: Money,
    /// Profit of what it holds.
    pub unrealised: Money,
    /// Fees it paid.
    pub fees: Money,
}

/// What was earned with an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolProfit {
    /// Which.
    pub symbol: Symbol,
    /// Units held; below zero when short.
    pub quantity: Quantity,
    /// What they are worth (at cost where there is no price).
    pub value: Money,
    /// Profit of what was closed, less fees.
    pub realised: Money,
    /// Profit of what is held.
    pub unrealised: Money,
}

/// What was earned on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayProfit {
    /// Its beginning: midnight, UTC. What was earned while nobody looked counts for the day on which it was seen.
    pub day: Timestamp,
    /// In all.
    pub profit: Money,
    /// Of it by closing positions, less fees.
    pub realised: Money,
    /// Of it by prices of what is held.
    pub unrealised: Money,
    /// What came in from outside meanwhile, less what went out. Not in the profit.
    pub flows: Money,
}

/// What was earned over a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodReturn {
    /// Which time.
    pub period: Period,
    /// Since when in truth: the account may be younger. `None`: it was never valued.
    pub since: Option<Timestamp>,
    /// The difference in value without what came in and went out.
    pub profit: Money,
    /// How good the decisions were.
    pub time_weighted: Option<Return>,
    /// How the money did.
    pub money_weighted: Option<Return>,
    /// How far it was below its best.
    pub drawdown: Option<Drawdown>,
}

/// Why a portfolio cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PortfolioError {
    /// The principal may not see it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database failed.
    #[error("the history could not be read: {0}")]
    Storage(#[from] StorageError),
}

/// Days of profit that are shown.
const DAYS: usize = 90;

impl Gateway {
    /// What an account or one of its books was worth, oldest first, from one moment to another (both with): points of the
    /// distance asked for, more where money came or went, and the newest there is. `None` is the whole account,
    /// [`OWN_BOOK`](crate::books::OWN_BOOK) the account's own book.
    ///
    /// # Errors
    /// The principal may not see it, or the database failed.
    pub async fn portfolio_history(
        &self,
        ctx: &Context,
        account: AccountId,
        book: Option<BookId>,
        every: Every,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<EquityPoint>, PortfolioError> {
        self.desk(ctx, Permission::AccountsView, account)?;
        let mut connection = self.shared.db.read().await?;
        let mut points = store::equity(&mut connection, (account, book), every, from, to).await?;
        let newest = store::newest_equity(&mut connection, (account, book)).await?;
        points.extend(newest.filter(|newest| {
            (from..=to).contains(&newest.at) && points.last().is_none_or(|last| last.at < newest.at)
        }));
        Ok(points)
    }

    /// What an account is worth, in what, and what it earned.
    ///
    /// # Errors
    /// The principal may not see it, or the database failed.
    pub async fn portfolio(&self, ctx: &Context, account: AccountId) -> Result<Portfolio, PortfolioError> {
        let desk = self.desk(ctx, Permission::AccountsView, account)?;
        let now = self.shared.clock.now();
        let mut portfolio = self.portfolio_now(&desk.core(), now);
        let live = EquityPoint {
            at: now,
            equity: portfolio.value,
            cash: portfolio.cash,
            realised: portfolio.realised,
            unrealised: portfolio.unrealised,
            flows: portfolio.deposits,
        };
        let mut connection = self.shared.db.read().await?;
        let series = (account, None);
        for period in Period::ALL {
            let since = period.length().map_or(Timestamp::UNIX_EPOCH, |length| now - length);
            let points = store::equity_since(&mut connection, series, period.points(), since).await?;
            portfolio.periods.push(period_return(*period, with(points, live)));
        }
        let since = now - DAY * (DAYS as u32);
        let points = store::equity_since(&mut connection, series, Every::Day, since).await?;
        portfolio.by_day = by_day(&with(points, live));
        Ok(portfolio)
    }

    fn portfolio_now(&self, core: &Core, at: Timestamp) -> Portfolio {
        let price_of = |symbol: &Symbol| self.shared.market.last_price(symbol);
        let whole = &core.book.whole;
        let valued = whole.valued(price_of);
        let part = |symbol: Option<Symbol>, value: Money| {
            let fraction = valued.equity.is_positive().then(|| value.0 / valued.equity.0);
            Allocation { symbol, value, fraction: fraction.and_then(|share| share.try_into().ok()) }
        };
        let by_symbol: Vec<SymbolProfit> = whole
            .positions
            .iter()
            .map(|(symbol, position)| {
                let price = price_of(symbol);
                SymbolProfit {
                    symbol: symbol.clone(),
                    quantity: position.quantity,
                    value: price.map_or(position.cost, |price| position.value(price)),
                    realised: position.realised_pnl,
                    unrealised: price.map_or(Money::ZERO, |price| position.unrealised_pnl(price)),
                }
            })
            .collect();
        let held = by_symbol.iter().filter(|one| !one.quantity.is_zero());
        let allocation = std::iter::once(part(None, whole.cash))
            .chain(held.map(|one| part(Some(one.symbol.clone()), one.value)))
            .collect();
        let books = std::iter::once(None).chain(core.book.virtual_books().map(Some));
        let by_book = books
            .map(|book| {
                let holdings = core.book.holdings(book.map(|book| book.id));
                let valued = holdings.valued(price_of);
                BookProfit {
                    book: book.cloned(),
                    value: valued.equity,
                    realised: valued.realised,
                    unrealised: valued.unrealised,
                    fees: holdings.fees,
                }
            })
            .collect();
        Portfolio {
            account: core.account.clone(),
            at,
            value: valued.equity,
            cash: whole.cash,
            deposits: whole.funded,
            realised: valued.realised,
            unrealised: valued.unrealised,
            fees: whole.fees,
            allocation,
            by_book,
            by_symbol,
            by_day: Vec::new(),
            periods: Vec::new(),
        }
    }
}

/// Points with how it is now.
fn with(mut points: Vec<EquityPoint>, live: EquityPoint) -> Vec<EquityPoint> {
    if !points.is_empty() {
        points.retain(|point| point.at < live.at);
        points.push(live);
    }
    points
}

fn period_return(period: Period, points: Vec<EquityPoint>) -> PeriodReturn {
    let valuations: Vec<Valuation> =
        points.iter().map(|point| Valuation { at: point.at, equity: point.equity }).collect();
    let flows = flows_between(&points);
    let profit = match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.earned() - first.earned(),
        _ => Money::ZERO,
    };
    PeriodReturn {
        period,
        since: points.first().map(|first| first.at),
        profit,
        time_weighted: returns::time_weighted(&valuations, &flows),
        money_weighted: returns::money_weighted(&valuations, &flows),
        drawdown: returns::drawdown(&valuations, &flows),
    }
}

/// Money that came or went between points: at the later of the two, in whose value it is.
fn flows_between(points: &[EquityPoint]) -> Vec<Flow> {
    let moved = |pair: &[EquityPoint]| Flow { at: pair[1].at, amount: pair[1].flows - pair[0].flows };
    points.windows(2).map(moved).filter(|flow| !flow.amount.is_zero()).collect()
}

/// What was earned from the last point of a day to the last of the next that has one, newest first.
fn by_day(points: &[EquityPoint]) -> Vec<DayProfit> {
    let mut closes: Vec<EquityPoint> = Vec::new();
    for point in points {
        let is_same = |last: &EquityPoint| Every::Day.number(last.at) == Every::Day.number(point.at);
        // The very first one is where everything begins, not the end of a day.
        match closes.len() {
            2.. if closes.last().is_some_and(is_same) => {
                closes.pop();
            }
            _ => {}
        }
        closes.push(*point);
    }
    let profit = |pair: &[EquityPoint]| DayProfit {
        day: Every::Day.begins(Every::Day.number(pair[1].at)),
        profit: pair[1].earned() - pair[0].earned(),
        realised: pair[1].realised - pair[0].realised,
        unrealised: pair[1].unrealised - pair[0].unrealised,
        flows: pair[1].flows - pair[0].flows,
    };
    let mut days: Vec<DayProfit> = closes.windows(2).map(profit).collect();
    days.reverse();
    days.truncate(DAYS);
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `20T12:00 = 100 paid 100; 21T12:00 = 160 paid 150`: worth 100 of which 100 were paid in, and so on.
    fn read(history: &str) -> Vec<EquityPoint> {
        let point = |entry: &str| {
            let words: Vec<&str> = entry.split(' ').collect();
            let at = format!("2026-11-{}:00Z", words[0]).parse().unwrap();
            let (equity, flows): (Money, Money) = (words[2].parse().unwrap(), words[4].parse().unwrap());
            EquityPoint { at, equity, cash: equity, realised: equity - flows, unrealised: Money::ZERO, flows }
        };
        history.split("; ").map(point).collect()
    }

    /// What is told of a history: profit and time-weighted return over all of it, then the days, newest first.
    fn check(history: &str, expected: &str) {
        let points = read(history);
        let days: Vec<String> =
            by_day(&points).iter().map(|day| format!("{} {}", day.day.strftime("%d"), day.profit)).collect();
        let all = period_return(Period::All, points);
        let earned = all.time_weighted.map_or("-".to_owned(), |earned| format!("{:.4}", earned.fraction));
        assert_eq!(format!("{} ({earned}): {}", all.profit, days.join(", ")), expected, "of {history}");
    }

    #[test]
    fn a_deposit_is_no_profit() {
        check("20T12:00 = 100 paid 100; 20T12:01 = 200 paid 200", "0 (0.0000): 20 0");
    }

    #[test]
    fn a_withdrawal_is_no_loss() {
        check("20T12:00 = 100 paid 100; 20T12:01 = 40 paid 40; 20T12:02 = 44 paid 40", "4 (0.1000): 20 4");
    }

    #[test]
    fn what_was_earned_before_a_deposit_is_not_diluted_by_it() {
        check(
            "20T12:00 = 100 paid 100; 20T13:00 = 110 paid 100; 20T13:01 = 1010 paid 1000; 20T14:00 = 1010 paid 1000",
            "10 (0.1000): 20 10",
        );
    }

    #[test]
    fn midnight_closes_the_day_before() {
        check(
            "20T12:00 = 100 paid 100; 21T00:00 = 103 paid 100; 21T00:01 = 105 paid 100; 21T18:00 = 101 paid 100",
            "1 (0.0100): 21 -2, 20 3",
        );
    }

    #[test]
    fn what_nobody_saw_counts_for_the_day_on_which_it_was_seen() {
        check("18T12:00 = 100 paid 100; 21T12:00 = 90 paid 100", "-10 (-0.1000): 21 -10");
    }
}
