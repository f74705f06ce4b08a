//! What an account earned, when money came in and went out meanwhile.
//!
//! A deposit is not a profit and a withdrawal is not a loss. Two questions have two answers. How good were the
//! decisions? The [time-weighted](time_weighted) return: what became of one unit that stayed in all the time. How
//! did the money do? The [money-weighted](money_weighted) return: the rate at which every amount, for as long as
//! it was there, gives what there is now.
//!
//! Amounts are decimals up to the division; shares and rates are `f64`, as fractions (0.01 is 1 %).
//!
//! Sources: CFA Institute, Global Investment Performance Standards (GIPS) for Firms, 2020, section 2; C. R. Bacon,
//! Practical Portfolio Performance Measurement and Attribution, 2nd edition, 2008, chapter 2.

use rust_decimal::prelude::ToPrimitive;

use crate::{Decimal, Money, Timestamp};

/// What an account was worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valuation {
    /// When.
    pub at: Timestamp,
    /// Cash and holdings. What was deposited or withdrawn at this very moment is in it.
    pub equity: Money,
}

/// Money that came from outside or went there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// When.
    pub at: Timestamp,
    /// Above zero: a deposit. Below: a withdrawal.
    pub amount: Money,
}

/// What was earned over a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Return {
    /// Over the whole time, as a fraction; -1 when everything is lost.
    pub fraction: f64,
    /// The same per year of 365 days, compounded. `None` under a year: GIPS forbids to project a short time on a year.
    pub per_year: Option<f64>,
}

/// How far an account is below its best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawdown {
    /// From the best so far to now: 0 at the best, 1 when all is lost.
    pub now: f64,
    /// The deepest there was, on the same scale.
    pub maximum: f64,
}

/// What was earned since a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The difference of the equities, without deposits and withdrawals.
    pub amount: Money,
    /// The time-weighted return. `None` where that has none.
    pub fraction: Option<f64>,
}

/// What became of one unit of money that was there at the first valuation, at each valuation: 1 first.
///
/// From one valuation to the next it grows by
///
/// > (equity then - flows of that very moment + withdrawals) / (equity before + deposits)
///
/// with the deposits and withdrawals in between. So deposits count from the start of a period and withdrawals to its
/// end, which keeps the divisor from being small by accident; where the account is valued at each flow, as GIPS asks
/// for large ones, it is the exact time-weighted return. An account without money stays where it is.
///
/// Both lists are oldest first, valuations at different times. `None` when they are not, when an equity is below zero, or
/// when money appears without a flow: there is no rate for these.
pub fn growth(valuations: &[Valuation], flows: &[Flow]) -> Option<Vec<f64>> {
    let in_order = valuations.is_sorted_by(|a, b| a.at < b.at) && flows.is_sorted_by_key(|flow| flow.at);
    if !in_order || valuations.iter().any(|valuation| valuation.equity < Money::ZERO) {
        return None;
    }
    let mut unit = 1.0;
    let mut units = Vec::with_capacity(valuations.len());
    units.extend(valuations.first().map(|_| unit));
    for period in valuations.windows(2) {
        unit *= growth_between(period[0], period[1], flows)?;
        units.push(unit);
    }
    Some(units)
}

fn growth_between(before: Valuation, after: Valuation, flows: &[Flow]) -> Option<f64> {
    let (mut invested, mut obtained) = (before.equity, after.equity);
    for flow in within(flows, before.at, after.at) {
        if flow.at < after.at && flow.amount.is_positive() {
            invested += flow.amount;
        } else {
            obtained -= flow.amount;
        }
    }
    if invested.is_zero() && obtained.is_zero() {
        return Some(1.0);
    }
    (invested.is_positive() && obtained >= Money::ZERO).then(|| ratio(obtained.0, invested.0))?
}

/// Time-weighted return: chained returns of the periods between valuations (see [`growth`]).
///
/// > product of (1 + return of the period) - 1
///
/// The time of which the year is made begins with the first money. `None` with fewer than two valuations, when there
/// was no money before the last, and where growth has none.
pub fn time_weighted(valuations: &[Valuation], flows: &[Flow]) -> Option<Return> {
    let fraction = growth(valuations, flows)?.last()? - 1.0;
    over(fraction, invested_since(valuations, flows)?, valuations.last()?.at)
}

/// Money-weighted return: the internal rate of return.
///
/// > equity at the start * (1 + r) + sum of (flow * (1 + r) ^ (its share of the time that was left)) = equity at the end
///
/// The time begins with the first money: an account that lay empty earned nothing, neither well nor badly. Flows of the
/// first moment are in the first equity, those of the last are taken out of the last. All lost is -1.
///
/// `None` when no rate fulfils this, or several do (100, 230 taken out, 132 put in, nothing left: 10 % and 20 % a period);
/// for an equity below zero at either end, fewer than two valuations, or lists out of order; for rates outside of
/// -99.9999999 % to 10^11 % (1 + r from 10^-9 to 10^9); and when deposits and withdrawals took turns more than
/// [`MOST_TURNS`] times, where looking for several rates would take long.
///
/// Found by bisection of ln(1 + r) down to neighbouring `f64`s; the rounding of the sum leaves about 12 digits of 1 + r.
pub fn money_weighted(valuations: &[Valuation], flows: &[Flow]) -> Option<Return> {
    let (first, last) = (valuations.first()?, valuations.last()?);
    let since = invested_since(valuations, flows)?;
    if !flows.is_sorted_by_key(|flow| flow.at) || last.at <= since {
        return None;
    }
    let whole = seconds(since, last.at);
    let mut terms = vec![Term { amount: amount(first.equity)?, share: 1.0 }];
    let mut end = last.equity;
    for flow in within(flows, first.at, last.at) {
        if flow.at < last.at {
            terms.push(Term { amount: amount(flow.amount)?, share: seconds(flow.at, last.at) / whole });
        } else {
            end -= flow.amount;
        }
    }
    if first.equity < Money::ZERO || end < Money::ZERO {
        return None;
    }
    if end.is_zero() && terms.iter().all(|term| term.amount >= 0.0) {
        return over(-1.0, since, last.at);
    }
    terms.push(Term { amount: -amount(end)?, share: 0.0 });
    terms.retain(|term| term.amount != 0.0);
    if turns(&terms).count() > MOST_TURNS {
        return None;
    }
    match zeros(&terms)[..] {
        [log] => over(log.exp_m1(), since, last.at),
        _ => None,
    }
}

/// How often deposits and withdrawals may take turns for a [`money_weighted`].
pub const MOST_TURNS: usize = 100;

/// `amount * e ^ (share * u)`, where u is ln(1 + r).
struct Term {
    amount: f64,
    share: f64,
}

/// Neighbouring terms of different sign. No amount is zero.
fn turns(terms: &[Term]) -> impl Iterator<Item = &[Term]> {
    terms.windows(2).filter(|pair| (pair[0].amount < 0.0) != (pair[1].amount < 0.0))
}

/// Where a sum of terms is zero, ascending; a zero that only touches counts twice or not at all.
///
/// Divided by `e ^ (cut * u)`, the sum keeps its zeros. With the cut in a turn, the derivative has a turn less, and
/// between two neighbouring zeros of the derivative there is at most one of the sum. (So Descartes' rule of signs is
/// proven, which this follows: without a turn there is no zero.)
fn zeros(terms: &[Term]) -> Vec<f64> {
    const FAR: f64 = 1e9;
    let Some(cut) = turns(terms).map(|pair| f64::midpoint(pair[0].share, pair[1].share)).next() else {
        return Vec::new();
    };
    let derivative: Vec<Term> = terms
        .iter()
        .map(|term| Term { amount: term.amount * (term.share - cut), share: term.share })
        .filter(|term| term.amount != 0.0)
        .collect();
    let mut edges = vec![-FAR.ln()];
    edges.extend(zeros(&derivative));
    edges.push(FAR.ln());
    edges.windows(2).filter_map(|edges| bisect(terms, edges[0], edges[1])).collect()
}

/// The zero of a sum that changes its sign once between two points; `None` when it does not.
fn bisect(terms: &[Term], mut low: f64, mut high: f64) -> Option<f64> {
    let below = |u: f64| terms.iter().map(|term| term.amount * (term.share * u).exp()).sum::<f64>() < 0.0;
    let below_at_low = below(low);
    if below_at_low == below(high) {
        return None;
    }
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || high <= middle {
            return Some(middle);
        }
        if below(middle) == below_at_low { low = middle } else { high = middle }
    }
}

/// The drawdown of what the account earned: of its [`growth`], so that a deposit does not end it, nor a withdrawal begin
/// one.
///
/// > 1 - growth / greatest growth so far
///
/// `None` without valuations, and where growth has none.
pub fn drawdown(valuations: &[Valuation], flows: &[Flow]) -> Option<Drawdown> {
    let units = growth(valuations, flows)?;
    let mut peak = *units.first()?;
    let mut drawdown = Drawdown { now: 0.0, maximum: 0.0 };
    for unit in units {
        peak = peak.max(unit);
        drawdown.now = 1.0 - unit / peak;
        drawdown.maximum = drawdown.maximum.max(drawdown.now);
    }
    Some(drawdown)
}

/// What was earned since a moment, as that at which the trading day began.
///
/// > equity now - equity then - flows since
///
/// Then is the last valuation up to that moment; for an account that is younger, its first. Both lists are oldest
/// first. `None` when nothing was valued since.
pub fn change(valuations: &[Valuation], flows: &[Flow], since: Timestamp) -> Option<Change> {
    let base = valuations.partition_point(|valuation| valuation.at <= since).saturating_sub(1);
    let [before, .., now] = &valuations[base..] else { return None };
    let moved: Money = within(flows, before.at, now.at).iter().map(|flow| flow.amount).sum();
    let fraction = growth(&valuations[base..], flows).and_then(|units| Some(units.last()? - 1.0));
    Some(Change { amount: now.equity - before.equity - moved, fraction })
}

/// The flows after one moment, up to and with another. What flowed at the first is in its valuation.
fn within(flows: &[Flow], after: Timestamp, until: Timestamp) -> &[Flow] {
    let upto = |moment| flows.partition_point(|flow| flow.at <= moment);
    flows.get(upto(after)..upto(until)).unwrap_or_default()
}

/// When money was first there to earn something.
fn invested_since(valuations: &[Valuation], flows: &[Flow]) -> Option<Timestamp> {
    let (first, last) = (valuations.first()?, valuations.last()?);
    if first.equity.is_zero() {
        return within(flows, first.at, last.at).first().map(|flow| flow.at);
    }
    Some(first.at)
}

/// A fraction earned over a time, and what it is in a year.
fn over(fraction: f64, from: Timestamp, until: Timestamp) -> Option<Return> {
    const YEAR: f64 = 365.0 * 86_400.0;
    let elapsed = seconds(from, until);
    if elapsed <= 0.0 {
        return None;
    }
    let per_year = (elapsed >= YEAR).then(|| (1.0 + fraction).powf(YEAR / elapsed) - 1.0);
    Some(Return { fraction, per_year })
}

fn seconds(from: Timestamp, until: Timestamp) -> f64 {
    until.duration_since(from).as_secs_f64()
}

/// Where money becomes a statistic: the nearest `f64`.
fn amount(money: Money) -> Option<f64> {
    money.0.to_f64()
}

fn ratio(part: Decimal, whole: Decimal) -> Option<f64> {
    part.checked_div(whole)?.to_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Timestamp {
        let seconds = text.parse::<f64>().unwrap() * 86_400.0;
        Timestamp::from_second(seconds as i64).unwrap()
    }

    /// Reads an account's history, `0 = 100; 3 + 50; 5 = 160; 7 - 20; 9 = 150`, where each entry begins with its day:
    /// worth 100, 50 put in, worth 160, 20 taken out. Tells what is asked about it, to nine decimals; `-` for none.
    fn check(asked: &str, history: &str, expected: &str) {
        let (mut valuations, mut flows) = (Vec::new(), Vec::new());
        for entry in history.split("; ").filter(|entry| !entry.is_empty()) {
            let words: Vec<&str> = entry.split(' ').collect();
            let (at, amount) = (day(words[0]), words[2].parse().unwrap());
            match words[1] {
                "=" => valuations.push(Valuation { at, equity: amount }),
                "+" => flows.push(Flow { at, amount }),
                _ => flows.push(Flow { at, amount: -amount }),
            }
        }
        // Adding zero makes a zero of minus zero.
        let number = |number: f64| format!("{:.9}", (number * 1e9).round() / 1e9 + 0.0);
        let told = |earned: Option<Return>| {
            let Return { fraction, per_year } = earned?;
            let per_year = per_year.map_or(String::new(), |rate| format!(", {} a year", number(rate)));
            Some(number(fraction) + &per_year)
        };
        let answer = match asked.split_once(' ') {
            Some(("since", moment)) => change(&valuations, &flows, day(moment)).map(|change| {
                format!("{}, {}", change.amount, change.fraction.map_or("-".to_owned(), number))
            }),
            _ if asked == "time-weighted" => told(time_weighted(&valuations, &flows)),
            _ if asked == "money-weighted" => told(money_weighted(&valuations, &flows)),
            _ if asked == "drawdown" => drawdown(&valuations, &flows)
                .map(|drawdown| format!("{} of {}", number(drawdown.now), number(drawdown.maximum))),
            _ => panic!("nothing is known of {asked}"),
        };
        assert_eq!(answer.as_deref().unwrap_or("-"), expected, "{asked} of {history}");
    }

    /// Without flows both are (end - start) / start.
    #[test]
    fn without_flows_both_returns_are_the_growth_of_the_equity() {
        for asked in ["time-weighted", "money-weighted"] {
            check(asked, "0 = 100; 10 = 110", "0.100000000");
            check(asked, "0 = 100; 5 = 10; 10 = 80", "-0.200000000");
            check(asked, "0 = 100; 730 = 121", "0.210000000, 0.100000000 a year");
            check(asked, "0 = 100; 10 = 0", "-1.000000000");
        }
    }

    #[test]
    fn deposits_and_withdrawals_are_neither_profit_nor_loss() {
        for asked in ["time-weighted", "money-weighted"] {
            check(asked, "0 = 100; 3 + 50; 10 = 150", "0.000000000");
            check(asked, "0 = 100; 3 - 50; 10 = 50", "0.000000000");
            check(asked, "0 = 100; 3 + 50; 4 - 20; 4 + 7; 10 = 137", "0.000000000");
        }
    }

    /// By hand: 67 / 74.2 * 104.4 / (67 + 37.1) - 1 with the account valued at the flow; without,
    /// 104.4 / (74.2 + 37.1) - 1.
    #[test]
    fn periods_between_flows_are_chained() {
        check("time-weighted", "0 = 74.2; 14 + 37.1; 14 = 104.1; 31 = 104.4", "-0.094432836");
        check("time-weighted", "0 = 74.2; 14 + 37.1; 31 = 104.4", "-0.061994609");
        check("time-weighted", "0 = 100; 5 - 55; 5 = 55; 10 = 66", "0.320000000");
    }

    /// The first is the example of the spreadsheet function XIRR (2008-01-01 to 2009-04-01: 0.373362535 a year), the
    /// second that of numpy_financial.irr ([-100, 39, 59, 55, 20]: 0.28095). These digits, and the others, are from
    /// 70-digit decimals and the sum of present values: amount * (1 + r) ^ (-days / 365), halved 400 times.
    #[test]
    fn the_money_weighted_is_the_internal_rate() {
        let xirr = "0 = 10000; 60 - 2750; 303 - 4250; 411 - 3250; 456 = 2750";
        check("money-weighted", xirr, "0.486404874, 0.373362534 a year");
        let irr = "0 = 100; 365 - 39; 730 - 59; 1095 - 55; 1460 = 20";
        check("money-weighted", irr, "1.692319340, 0.280948421 a year");
        check("money-weighted", "0 = 100; 5 + 100; 10 = 220", "0.134752416");
        check("money-weighted", "0 = 74.2; 14 + 37.1; 31 = 104.4", "-0.072714610");
        check("money-weighted", "0 = 100; 9 + 900; 10 = 900", "-0.460846017");
        check("money-weighted", "0 = 100; 5 - 50; 10 = 0", "-0.750000000");
        check("money-weighted", "0 = 100; 2 + 50; 6 - 80; 8 + 30; 10 = 120", "0.174669010");
    }

    /// 100 x^2 - 230 x + 132 has the zeros 1.1 and 1.2; with 133 for 132 it has none; 100 (x - 1.1) (x - 1.2) (x - 1.3)
    /// has three. An account that was emptied and filled again has one, though its flows take turns.
    #[test]
    fn a_rate_that_is_not_the_only_one_is_no_answer() {
        check("money-weighted", "0 = 100; 10 - 230; 20 + 132; 30 = 0", "-");
        check("money-weighted", "0 = 100; 10 - 230; 20 + 133; 30 = 0", "-");
        check("money-weighted", "0 = 100; 10 - 360; 20 + 431; 30 = 171.6", "-");
        check("money-weighted", "0 = 100; 5 - 110; 7 + 50; 10 = 45", "0.082406016");
    }

    #[test]
    fn what_flows_first_is_in_the_first_equity_and_what_flows_last_is_taken_out_of_the_last() {
        for asked in ["time-weighted", "money-weighted"] {
            check(asked, "0 + 100; 0 = 100; 10 = 110", "0.100000000");
            check(asked, "0 = 100; 10 + 50; 10 = 160", "0.100000000");
            check(asked, "0 = 100; 10 - 60; 10 = 50", "0.100000000");
            check(asked, "0 = 100; 10 + 50; 10 = 50", "-1.000000000");
            check(asked, "-5 + 30; 0 = 100; 10 = 110; 15 - 30", "0.100000000");
        }
    }

    #[test]
    fn time_without_money_is_no_time() {
        for asked in ["time-weighted", "money-weighted"] {
            check(asked, "0 = 0; 365 + 100; 1095 = 121", "0.210000000, 0.100000000 a year");
            check(asked, "0 = 0; 5 = 0; 5.5 + 100; 10 = 110", "0.100000000");
            check(asked, "0 = 0; 10 = 0", "-");
        }
        check("time-weighted", "0 = 100; 5 - 110; 5 = 0; 7 = 0; 8 + 50; 10 = 60", "0.320000000");
    }

    #[test]
    fn money_that_goes_in_and_out_for_long_still_has_a_rate() {
        let turns = |turns: usize| {
            let flow = |nth| format!("; {} {} 10", nth + 1, if nth % 2 == 0 { '+' } else { '-' });
            let flows: String = (0..turns).map(flow).collect();
            format!("0 = 100{flows}; {} = 100", turns + 1)
        };
        check("money-weighted", &turns(98), "0.000000000");
        check("money-weighted", &turns(102), "-");
    }

    #[test]
    fn debts_and_money_from_nowhere_have_no_rate() {
        for asked in ["time-weighted", "money-weighted"] {
            check(asked, "", "-");
            check(asked, "0 = 100", "-");
            check(asked, "0 = 0; 10 = 5", "-");
            check(asked, "0 = -100; 10 = 50", "-");
            check(asked, "0 = 100; 10 = -50", "-");
            check(asked, "0 = 100; 10 + 50; 10 = 40", "-");
            check(asked, "0 = 100; 5 + 1; 4 + 1; 10 = 100", "-");
        }
        check("time-weighted", "0 = 100; 5 = -1; 10 = 100", "-");
        check("time-weighted", "0 = 100; 10 = 100; 10 = 101", "-");
    }

    /// The best is 1.5 on day 2; then 1.5 * 90 / 150 = 0.9 and 1.5 * 120 / 150 = 1.2.
    #[test]
    fn the_drawdown_is_from_the_best_so_far() {
        check("drawdown", "0 = 100", "0.000000000 of 0.000000000");
        check("drawdown", "0 = 100; 1 = 90; 2 = 150; 3 = 90; 4 = 120", "0.200000000 of 0.400000000");
        check("drawdown", "0 = 100; 1 = 0; 2 + 100; 3 = 110", "1.000000000 of 1.000000000");
        check("drawdown", "", "-");
    }

    #[test]
    fn a_deposit_does_not_end_a_drawdown_and_a_withdrawal_does_not_begin_one() {
        check("drawdown", "0 = 100; 1 = 80; 2 + 100; 2 = 180", "0.200000000 of 0.200000000");
        check("drawdown", "0 = 100; 1 = 110; 2 - 100; 2 = 10", "0.000000000 of 0.000000000");
    }

    #[test]
    fn a_day_is_measured_from_the_last_valuation_before_it() {
        check("since 1", "0 = 90; 0.9 = 100; 1.5 = 120; 1.6 = 105", "5, 0.050000000");
        check("since 1", "0 = 90; 1 = 100; 1.5 + 50; 1.6 = 165", "15, 0.100000000");
        check("since 1", "1.5 + 50; 1.5 = 50; 1.6 = 60", "10, 0.200000000");
        check("since 1", "0 = 100; 1 = 100", "-");
        check("since 1", "0 = -100; 2 = -110", "-10, -");
    }

    fn money(amount: f64) -> Money {
        format!("{amount:.15}").parse().unwrap()
    }

    proptest! {
        /// Where money grows evenly, when it came and went makes no difference: both returns are that growth, and the
        /// rate is the only one, as the account never runs below zero.
        #[test]
        fn even_growth_is_found_whatever_flows(
            daily in -0.01_f64..0.01,
            steps in prop::collection::vec((1u32..30, -0.9_f64..1.0), 1..40),
        ) {
            let (mut days, mut equity) = (0, 1.0);
            let mut valuations = vec![Valuation { at: day("0"), equity: money(equity) }];
            let mut flows = Vec::new();
            for (gap, share) in steps {
                days += gap;
                equity *= (1.0 + daily).powf(f64::from(gap));
                let at = day(&days.to_string());
                flows.push(Flow { at, amount: money(equity * share) });
                equity += equity * share;
                valuations.push(Valuation { at, equity: money(equity) });
            }
            // After many withdrawals of most of it, less is left than the decimals can tell.
            prop_assume!(equity > 1e-3);
            let expected = (1.0 + daily).powf(f64::from(days));
            for earned in [time_weighted(&valuations, &flows), money_weighted(&valuations, &flows)] {
                let seen = 1.0 + earned.unwrap().fraction;
                prop_assert!((seen / expected - 1.0).abs() < 1e-6, "{seen} is not {expected}");
            }
        }
    }
}
