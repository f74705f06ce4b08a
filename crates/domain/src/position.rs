//! How much of an instrument is held, what it cost, and what was earned on it.
//!
//! Fills fold into a [`Position`]. A fill that the broker corrects or takes back is never undone: the list of fills is
//! [`corrected`] and folded again, so that a position has one history only. Units that change the [book](transfer) are
//! a pair of fills like any other.
//!
//! **Nothing is lost by rounding.** What a position paid and received, its cost and its profit hang together exactly:
//! `realised_pnl - cost` is the sum of [`PositionFill::cash`], to the last digit, so the positions of the books on an
//! account add up to the account's own at any price. This holds while amounts have at most 28 significant digits, which
//! is what a [`Decimal`](crate::Decimal) keeps.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{Fill, Money, Price, Quantity, Side, Timestamp};

/// Decimals kept of an average cost when a part of a position is closed.
///
/// A bound is needed: a cost of 28 digits could not take up another fill exactly. Twelve leave room for amounts of
/// 10^16 and are far below what any currency can pay.
const COST_DECIMALS: u32 = 12;

words! {
    /// Which cost leaves a position when a part of it is closed.
    #[derive(Default)]
    CostMethod, "cost method";
    /// First in, first out: that of the oldest units.
    Fifo = "fifo";
    /// The average of all units held.
    #[default]
    Average = "average";
}

/// Units bought (or sold short) with one fill and still held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// What is left of them; below zero when short. Never zero.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// When.
    pub opened_at: Timestamp,
    /// With which execution. Shared, because positions are copied more often than lots are made.
    pub execution_id: Arc<str>,
}

/// A holding of one instrument in one book: the fold over its fills.
///
/// Fees are not part of the cost: they are taken from the realised profit when paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    method: CostMethod,
    /// Units held; below zero when short. Invariant: the sum of the lots.
    pub quantity: Quantity,
    /// What the units held were bought for (below zero: sold for), without fees. Exactly zero when flat.
    pub cost: Money,
    /// Profit of what was closed, less all fees.
    pub realised_pnl: Money,
    /// Oldest first; all long or all short.
    lots: VecDeque<Lot>,
}

impl Position {
    /// Nothing held, nothing earned.
    pub fn new(method: CostMethod) -> Self {
        Self { method, ..Self::default() }
    }

    /// What a list of fills, oldest first, comes to.
    pub fn fold<'a>(method: CostMethod, fills: impl IntoIterator<Item = &'a PositionFill>) -> Self {
        let mut position = Self::new(method);
        for fill in fills {
            position.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id);
        }
        position
    }

    /// Books a fill and returns the profit it realised, less its fee.
    ///
    /// What goes against the position closes it, oldest units first; what is left after that opens a lot.
    /// The quantity is above zero. A fill that is applied twice counts twice: its id is kept, not compared.
    pub fn apply(
        &mut self,
        side: Side,
        price: Price,
        quantity: Quantity,
        fee: Money,
        at: Timestamp,
        execution_id: &str,
    ) -> Money {
        let signed = signed(side, quantity);
        let closed = self.closed_by(signed);
        // The cost that leaves the position is the cost that the profit is reckoned with, however it was rounded.
        let cost_closed = self.cost_of(closed);
        let profit = price * closed - cost_closed - fee;
        self.cost -= cost_closed;
        self.realised_pnl += profit;

        let opened = signed + closed;
        self.cost += price * opened;
        self.quantity += signed;
        self.consume(closed);
        if !opened.is_zero() {
            self.lots.push_back(Lot {
                quantity: opened,
                price,
                opened_at: at,
                execution_id: execution_id.into(),
            });
        }
        profit
    }

    /// Which cost leaves the position when a part of it is closed.
    pub fn method(&self) -> CostMethod {
        self.method
    }

    /// The units held by the fill that brought them, oldest first.
    ///
    /// With the average method they tell how long units are held; their own prices do not make up the cost.
    pub fn lots(&self) -> impl ExactSizeIterator<Item = &Lot> {
        self.lots.iter()
    }

    /// Average price of the units held, as the cost method sees it; `None` when flat.
    pub fn average_price(&self) -> Option<Price> {
        self.cost.0.checked_div(self.quantity.0).map(Price)
    }

    /// What the units held are worth at a price.
    pub fn value(&self, price: Price) -> Money {
        price * self.quantity
    }

    /// What selling (or buying back) everything at a price would earn, before fees.
    pub fn unrealised_pnl(&self, price: Price) -> Money {
        self.value(price) - self.cost
    }

    /// How many of the units held (below zero: held short) are closed by as many bought (below zero: sold).
    fn closed_by(&self, signed: Quantity) -> Quantity {
        let held = self.quantity;
        match (held.is_positive(), signed.is_positive()) {
            (true, false) => held.min(-signed),
            (false, true) => -signed.min(-held),
            _ => Quantity::ZERO,
        }
    }

    /// The cost of units held, with their sign.
    fn cost_of(&self, units: Quantity) -> Money {
        match self.method {
            // All of it goes at its whole cost, so that a flat position has none left.
            _ if units == self.quantity => self.cost,
            CostMethod::Fifo => self.oldest(units).map(|(lot, quantity)| lot.price * quantity).sum(),
            CostMethod::Average => {
                let share = units.0 / self.quantity.0;
                // With fewer decimals than the cost itself, a part could come out above the whole.
                Money((self.cost.0 * share).round_dp(COST_DECIMALS.max(self.cost.0.scale())))
            }
        }
    }

    /// The oldest lots that make up so many units, with how much of each.
    fn oldest(&self, units: Quantity) -> impl Iterator<Item = (&Lot, Quantity)> {
        let mut left = units;
        self.lots.iter().map_while(move |lot| {
            let taken = if left.0.abs() < lot.quantity.0.abs() { left } else { lot.quantity };
            left -= taken;
            (!taken.is_zero()).then_some((lot, taken))
        })
    }

    /// Takes units from the lots, oldest first.
    fn consume(&mut self, units: Quantity) {
        let mut left = units;
        while !left.is_zero()
            && let Some(lot) = self.lots.front_mut()
        {
            if left.0.abs() < lot.quantity.0.abs() {
                lot.quantity -= left;
                return;
            }
            left -= lot.quantity;
            self.lots.pop_front();
        }
    }
}

/// Units with the sign of what they do to a position.
fn signed(side: Side, quantity: Quantity) -> Quantity {
    match side {
        Side::Buy => quantity,
        Side::Sell => -quantity,
    }
}

/// What a position needs to know of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionFill {
    /// The broker's id of the execution: unique on the account.
    pub execution_id: String,
    /// Bought or sold.
    pub side: Side,
    /// For one unit.
    pub price: Price,
    /// Above zero.
    pub quantity: Quantity,
    /// What the broker takes for it. Below zero is a rebate.
    pub fee: Money,
    /// When the broker executed it.
    pub at: Timestamp,
}

impl PositionFill {
    /// A fill of an order that buys or sells.
    pub fn of(side: Side, fill: &Fill) -> Self {
        Self {
            execution_id: fill.execution_id.clone(),
            side,
            price: fill.price,
            quantity: fill.quantity,
            fee: fill.fee,
            at: fill.at,
        }
    }

    /// What it does to the cash: below zero when more is paid than received.
    pub fn cash(&self) -> Money {
        -(self.price * signed(self.side, self.quantity)) - self.fee
    }
}

/// A broker's second word on an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Correction {
    /// It never happened (FIX calls it a trade cancel).
    Bust {
        /// Which execution.
        execution_id: String,
    },
    /// It happened differently (a trade correct).
    Correct {
        /// Which execution.
        execution_id: String,
        /// What happened instead, under the same id or, with brokers that give corrections their own, a new one.
        by: PositionFill,
    },
}

/// A correction that does not fit the fills it is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCorrection {
    /// No such execution, or it was taken back already.
    #[error("there is no execution {execution_id} to correct")]
    Unknown {
        /// The id given.
        execution_id: String,
    },
    /// The id of the new execution belongs to another one. Both would count.
    #[error("execution {execution_id} cannot stand for another one: it is booked itself")]
    Taken {
        /// The id given.
        execution_id: String,
    },
}

/// The list of fills as it is after a correction.
///
/// What is corrected keeps its place, so that lots are consumed in the order in which they were opened. A correction
/// that is there already changes nothing. A bust that is repeated is [`InvalidCorrection::Unknown`]: nothing is left
/// to tell it by.
pub fn corrected(
    fills: &[PositionFill],
    change: &Correction,
) -> Result<Vec<PositionFill>, InvalidCorrection> {
    let (Correction::Bust { execution_id } | Correction::Correct { execution_id, .. }) = change;
    let place = |id: &str| fills.iter().position(|fill| fill.execution_id == id);
    let mut list = fills.to_vec();
    match (place(execution_id), change) {
        (Some(nth), Correction::Bust { .. }) => {
            list.remove(nth);
        }
        (Some(nth), Correction::Correct { by, .. }) => {
            if place(&by.execution_id).is_some_and(|other| other != nth) {
                return Err(InvalidCorrection::Taken { execution_id: by.execution_id.clone() });
            }
            list[nth] = by.clone();
        }
        (None, Correction::Correct { by, .. }) if fills.contains(by) => {}
        (None, _) => return Err(InvalidCorrection::Unknown { execution_id: execution_id.clone() }),
    }
    Ok(list)
}

/// Units that one book of an account hands to another, at a price. The broker sees nothing of it.
///
/// The giver sells and the receiver buys, without a fee: the giver realises its profit up to the price, and the
/// receiver's begins there. Cash goes the other way; cash alone is taken from one book and added to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Stands for an execution id in both books.
    pub id: String,
    /// Units handed over; below zero moves a short position.
    pub quantity: Quantity,
    /// For one unit.
    pub price: Price,
    /// When.
    pub at: Timestamp,
}

impl Transfer {
    /// The giver's fill and the receiver's. Their effects on cash cancel each other.
    pub fn fills(&self) -> (PositionFill, PositionFill) {
        let fill = |side| PositionFill {
            execution_id: self.id.clone(),
            side,
            price: self.price,
            quantity: Quantity(self.quantity.0.abs()),
            fee: Money::ZERO,
            at: self.at,
        };
        let giver = if self.quantity < Quantity::ZERO { Side::Buy } else { Side::Sell };
        (fill(giver), fill(giver.opposite()))
    }
}

/// Books a transfer on both sides; returns the profit that the giver and the receiver realised by it.
pub fn transfer(from: &mut Position, to: &mut Position, moved: &Transfer) -> (Money, Money) {
    let (given, received) = moved.fills();
    let apply = |position: &mut Position, fill: PositionFill| {
        position.apply(fill.side, fill.price, fill.quantity, fill.fee, fill.at, &fill.execution_id)
    };
    (apply(from, given), apply(to, received))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Decimal;

    /// Reads "buy 2 at 100" with "fee 1" perhaps after it.
    fn fill(id: &str, words: &[&str]) -> PositionFill {
        PositionFill {
            execution_id: id.into(),
            side: words[0].parse().unwrap(),
            price: words[3].parse().unwrap(),
            quantity: words[1].parse().unwrap(),
            fee: words.get(5).map_or(Money::ZERO, |fee| fee.parse().unwrap()),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Tells what becomes of fills: `fifo: buy 2 at 100 fee 1; sell 1 at 110; bust 1; correct 2 as 3 to sell 1 at 111`.
    ///
    /// The first fill has the id 1, the second 2, and so on. Impossible corrections are part of the story.
    fn check(story: &str, expected: &str) {
        let (method, steps) = story.split_once(": ").unwrap();
        let (mut fills, mut booked, mut errors) = (Vec::new(), 0, String::new());
        for step in steps.split("; ") {
            let words: Vec<&str> = step.split(' ').collect();
            let change = match words[0] {
                "bust" => Correction::Bust { execution_id: words[1].into() },
                "correct" => {
                    Correction::Correct { execution_id: words[1].into(), by: fill(words[3], &words[5..]) }
                }
                _ => {
                    booked += 1;
                    fills.push(fill(&booked.to_string(), &words));
                    continue;
                }
            };
            match corrected(&fills, &change) {
                Ok(list) => fills = list,
                Err(error) => errors += &format!("; {error}"),
            }
        }
        let position = Position::fold(method.parse().unwrap(), &fills);
        let average = position.average_price().map_or("-".to_owned(), |price| price.to_string());
        let lots: Vec<String> =
            position.lots().map(|lot| format!("{} at {}", lot.quantity, lot.price)).collect();
        let seen = format!(
            "{} at {average} ({}), realised {}{errors}",
            position.quantity,
            lots.join(", "),
            position.realised_pnl
        );
        assert_eq!(seen, expected, "after {story}");
    }

    #[test]
    fn buying_averages_and_selling_realises() {
        check("average: buy 1 at 100; buy 3 at 200", "4 at 175 (1 at 100, 3 at 200), realised 0");
        check("average: buy 1 at 100; buy 3 at 200; sell 2 at 205", "2 at 175 (2 at 200), realised 60");
        check("average: buy 2 at 100; sell 2 at 90", "0 at - (), realised -20");
    }

    #[test]
    fn the_first_in_is_the_first_out() {
        check("fifo: buy 1 at 100; buy 3 at 200; sell 2 at 205", "2 at 200 (2 at 200), realised 110");
        check(
            "fifo: buy 2 at 100; buy 2 at 200; sell 1 at 150",
            "3 at 166.66666666666666666666666667 (1 at 100, 2 at 200), realised 50",
        );
        check(
            "fifo: sell 1 at 200; sell 1 at 100; buy 1.5 at 100",
            "-0.5 at 100 (-0.5 at 100), realised 100",
        );
    }

    #[test]
    fn fees_reduce_the_profit_and_not_the_price() {
        check("average: buy 1 at 100 fee 2", "1 at 100 (1 at 100), realised -2");
        check("average: buy 1 at 100 fee 2; sell 1 at 110 fee 2", "0 at - (), realised 6");
        check("fifo: buy 1 at 100 fee -0.1", "1 at 100 (1 at 100), realised 0.1");
    }

    #[test]
    fn a_position_can_turn_short_and_back() {
        for method in CostMethod::ALL {
            let check = |story: &str, expected| check(&format!("{method}: {story}"), expected);
            check("sell 2 at 100; buy 1 at 90", "-1 at 100 (-1 at 100), realised 10");
            check("buy 1 at 100; sell 3 at 110", "-2 at 110 (-2 at 110), realised 10");
            check("sell 1 at 100; buy 2 at 90", "1 at 90 (1 at 90), realised 10");
            check("buy 1 at 100; buy 1 at 120; sell 3 at 130; buy 1 at 120", "0 at - (), realised 50");
        }
    }

    #[test]
    fn a_third_sold_three_times_leaves_no_cost() {
        check(
            "average: buy 0.3 at 0.01; buy 0.6 at 0.02; sell 0.3 at 0; sell 0.3 at 0; sell 0.3 at 0",
            "0 at - (), realised -0.015",
        );
        check(
            "average: buy 1 at 1; buy 2 at 2; sell 1 at 0",
            "2 at 1.6666666666665 (2 at 2), realised -1.666666666667",
        );
        check("average: buy 1 at 1; buy 2 at 2; sell 1 at 0; sell 2 at 0", "0 at - (), realised -5");
    }

    #[test]
    fn a_part_of_dust_costs_no_more_than_the_whole() {
        check(
            "average: buy 0.00000001 at 0.00009; sell 0.000000009 at 0",
            "0.000000001 at 0.0001 (0.000000001 at 0.00009), realised -0.0000000000008",
        );
    }

    #[test]
    fn what_is_taken_back_never_happened() {
        check("fifo: buy 1 at 100; buy 1 at 110; bust 1; sell 1 at 120", "0 at - (), realised 10");
        check("fifo: buy 1 at 100 fee 1; bust 1", "0 at - (), realised 0");
        check("fifo: buy 1 at 100; sell 1 at 120; bust 1", "-1 at 120 (-1 at 120), realised 0");
        check(
            "fifo: buy 1 at 100; bust 2",
            "1 at 100 (1 at 100), realised 0; there is no execution 2 to correct",
        );
        check(
            "fifo: buy 1 at 100; bust 1; bust 1",
            "0 at - (), realised 0; there is no execution 1 to correct",
        );
    }

    #[test]
    fn a_corrected_fill_keeps_its_place() {
        let bought = "fifo: buy 1 at 100; buy 1 at 110";
        let booked = "2 at 107.5 (1 at 105, 1 at 110), realised 0";
        check(&format!("{bought}; correct 1 as 1 to buy 1 at 105"), booked);
        check(&format!("{bought}; correct 1 as 3 to buy 1 at 105"), booked);
        check(
            &format!("{bought}; correct 1 as 3 to buy 1 at 105; sell 1 at 110"),
            "1 at 110 (1 at 110), realised 5",
        );
    }

    #[test]
    fn a_correction_that_comes_twice_counts_once() {
        let once = "2 at 107.5 (1 at 105, 1 at 110), realised 0";
        let bought = "fifo: buy 1 at 100; buy 1 at 110";
        check(&format!("{bought}; correct 1 as 1 to buy 1 at 105; correct 1 as 1 to buy 1 at 105"), once);
        check(&format!("{bought}; correct 1 as 9 to buy 1 at 105; correct 1 as 9 to buy 1 at 105"), once);
        check(
            &format!("{bought}; correct 1 as 9 to buy 1 at 105; correct 1 as 9 to buy 1 at 104"),
            &format!("{once}; there is no execution 1 to correct"),
        );
    }

    #[test]
    fn a_correction_cannot_use_the_id_of_another_fill() {
        check(
            "fifo: buy 1 at 100; buy 1 at 110; correct 1 as 2 to buy 1 at 105",
            "2 at 105 (1 at 100, 1 at 110), realised 0; \
             execution 2 cannot stand for another one: it is booked itself",
        );
    }

    #[test]
    fn a_transfer_realises_for_the_giver_and_begins_for_the_receiver() {
        let moved = |quantity: &str| Transfer {
            id: "t".into(),
            quantity: quantity.parse().unwrap(),
            price: "120".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
        };
        let money = |text: &str| text.parse::<Money>().unwrap();
        let bought = [fill("1", &["buy", "3", "at", "100"])];
        let (mut giver, mut receiver) = (Position::fold(CostMethod::Fifo, &bought), Position::default());
        assert_eq!(transfer(&mut giver, &mut receiver, &moved("1")), (money("20"), Money::ZERO));
        assert_eq!((giver.quantity, receiver.quantity), ("2".parse().unwrap(), "1".parse().unwrap()));
        assert_eq!((giver.cost, receiver.cost), (money("200"), money("120")));

        let sold = [fill("1", &["sell", "1", "at", "100"])];
        let (mut giver, mut receiver) = (Position::fold(CostMethod::Fifo, &sold), Position::default());
        assert_eq!(transfer(&mut giver, &mut receiver, &moved("-1")), (money("-20"), Money::ZERO));
        assert_eq!((giver.cost, receiver.cost), (Money::ZERO, money("-120")));
    }

    /// Something that happens on an account with several books. Books and fills are counted round.
    #[derive(Clone, Debug)]
    enum Step {
        Fill(usize, PositionFill),
        Bust(usize),
        Correct(usize, bool, PositionFill),
        Units(usize, usize, Transfer),
        Cash(usize, usize, Money),
    }

    const BOOKS: usize = 3;

    /// Prices to eight decimals and quantities to nine, as crypto and fractional shares have them.
    fn fills() -> impl Strategy<Value = PositionFill> {
        (any::<bool>(), 1i64..10_000_000_000_000, 0u32..9, 1i64..1_000_000_000_000, 0u32..10, -200i64..500)
            .prop_map(|(buy, price, price_scale, quantity, quantity_scale, fee)| PositionFill {
                execution_id: String::new(),
                side: if buy { Side::Buy } else { Side::Sell },
                price: Price(Decimal::new(price % 10i64.pow(price_scale + 5) + 1, price_scale)),
                quantity: Quantity(Decimal::new(
                    quantity % 10i64.pow(quantity_scale + 3) + 1,
                    quantity_scale,
                )),
                fee: Money(Decimal::new(fee, 2)),
                at: Timestamp::UNIX_EPOCH,
            })
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let book = 0..BOOKS;
        let step = prop_oneof![
            6 => (book.clone(), fills()).prop_map(|(book, fill)| Step::Fill(book, fill)),
            1 => any::<u16>().prop_map(|nth| Step::Bust(nth.into())),
            2 => (any::<u16>(), any::<bool>(), fills()).prop_map(|(nth, renamed, by)| Step::Correct(nth.into(), renamed, by)),
            2 => (book.clone(), book.clone(), fills(), any::<bool>()).prop_map(|(from, to, fill, short)| {
                let quantity = if short { -fill.quantity } else { fill.quantity };
                Step::Units(from, to, Transfer { id: String::new(), quantity, price: fill.price, at: fill.at })
            }),
            1 => (book.clone(), book, any::<i32>())
                .prop_map(|(from, to, cents)| Step::Cash(from, to, Money(Decimal::new(cents.into(), 2)))),
        ];
        prop::collection::vec(step, 1..60)
    }

    /// An account's fills, and its books' fills and cash that came from elsewhere, after some steps.
    #[derive(Default)]
    struct Desk {
        account: Vec<PositionFill>,
        books: [Vec<PositionFill>; BOOKS],
        moved: [Money; BOOKS],
    }

    impl Desk {
        fn take(&mut self, nth: usize, step: Step) {
            let id = format!("e-{nth}");
            match step {
                Step::Fill(book, fill) => {
                    let fill = PositionFill { execution_id: id, ..fill };
                    self.books[book].push(fill.clone());
                    self.account.push(fill);
                }
                Step::Bust(nth) => {
                    if let Some(execution_id) = self.execution(nth) {
                        self.correct(&Correction::Bust { execution_id });
                    }
                }
                Step::Correct(nth, renamed, by) => {
                    if let Some(execution_id) = self.execution(nth) {
                        let by = PositionFill {
                            execution_id: if renamed { id } else { execution_id.clone() },
                            ..by
                        };
                        self.correct(&Correction::Correct { execution_id, by });
                    }
                }
                Step::Units(from, to, moved) => {
                    let (given, received) = Transfer { id, ..moved }.fills();
                    self.books[from].push(given);
                    self.books[to].push(received);
                }
                Step::Cash(from, to, amount) => {
                    self.moved[from] -= amount;
                    self.moved[to] += amount;
                }
            }
        }

        fn execution(&self, nth: usize) -> Option<String> {
            let nth = nth.checked_rem(self.account.len())?;
            Some(self.account[nth].execution_id.clone())
        }

        /// The broker corrects the account; the desk finds the book that it was for.
        fn correct(&mut self, change: &Correction) {
            self.account = corrected(&self.account, change).unwrap();
            let books: Vec<_> = self
                .books
                .iter_mut()
                .filter_map(|book| Some((corrected(book, change).ok()?, book)))
                .collect();
            assert_eq!(books.len(), 1, "{change:?} is for one book");
            for (after, book) in books {
                *book = after;
            }
        }
    }

    /// The sums that hang together in a single position.
    fn check_position(position: &Position, cash: Money) {
        assert_eq!(position.realised_pnl - position.cost, cash, "profit and cost are the cash: {position:?}");
        assert_eq!(position.lots().map(|lot| lot.quantity).sum::<Quantity>(), position.quantity);
        assert!(position.lots().all(|lot| lot.quantity.is_positive() == position.quantity.is_positive()));
        if position.quantity.is_zero() {
            assert_eq!((position.cost, position.lots().len()), (Money::ZERO, 0));
        }
        assert!(
            position.cost.0 * position.quantity.0 >= Decimal::ZERO,
            "what is held was paid for: {position:?}"
        );
        if position.method() == CostMethod::Fifo {
            assert_eq!(position.lots().map(|lot| lot.price * lot.quantity).sum::<Money>(), position.cost);
        }
    }

    proptest! {
        /// Cash paid and received, plus what is held at any price, is the profit at that price. To the last digit.
        #[test]
        fn profit_is_what_cash_and_holdings_say(
            fills in prop::collection::vec(fills(), 1..60),
            method in prop::sample::select(CostMethod::ALL),
            mark in fills(),
        ) {
            let position = Position::fold(method, &fills);
            let cash: Money = fills.iter().map(PositionFill::cash).sum();
            check_position(&position, cash);
            let said = position.realised_pnl + position.unrealised_pnl(mark.price);
            prop_assert_eq!(said, cash + position.value(mark.price));
        }

        /// However orders are spread over books, corrected, and handed from one to another: the books are the account.
        #[test]
        fn books_add_up_to_the_account(
            steps in steps(),
            method in prop::sample::select(CostMethod::ALL),
            mark in fills(),
        ) {
            let mut desk = Desk::default();
            for (nth, step) in steps.into_iter().enumerate() {
                desk.take(nth, step);
            }
            let cash = |fills: &[PositionFill]| fills.iter().map(PositionFill::cash).sum::<Money>();
            let account = Position::fold(method, &desk.account);
            check_position(&account, cash(&desk.account));

            let books = desk.books.each_ref().map(|fills| Position::fold(method, fills));
            for (book, fills) in books.iter().zip(&desk.books) {
                check_position(book, cash(fills));
            }
            let profit = |position: &Position| position.realised_pnl + position.unrealised_pnl(mark.price);
            prop_assert_eq!(books.iter().map(|book| book.quantity).sum::<Quantity>(), account.quantity);
            prop_assert_eq!(books.iter().map(profit).sum::<Money>(), profit(&account));
            let in_books = desk.books.iter().map(|fills| cash(fills)).sum::<Money>() + desk.moved.into_iter().sum();
            prop_assert_eq!(in_books, cash(&desk.account));
        }
    }
}
