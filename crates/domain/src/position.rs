//! How much of an instrument is held, what it cost, and what was earned on it.

use crate::{Decimal, Money, Price, Quantity, Side};

/// A holding of one instrument on one account: the fold over its fills.
///
/// Average-cost method. Fees are not part of the cost: they are taken from the realised profit when paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Units held; below zero when short.
    pub quantity: Quantity,
    /// What the units held were bought for (below zero: sold for), without fees.
    pub cost: Money,
    /// Profit of what was closed, less all fees.
    pub realised_pnl: Money,
}

impl Position {
    /// Books a fill and returns the profit it realised, less its fee.
    pub fn apply(&mut self, side: Side, price: Price, quantity: Quantity, fee: Money) -> Money {
        let signed = match side {
            Side::Buy => quantity,
            Side::Sell => -quantity,
        };
        let held = self.quantity.0;
        let closing = if held.is_sign_negative() == signed.0.is_sign_negative() || held.is_zero() {
            Decimal::ZERO
        } else {
            signed.0.abs().min(held.abs())
        };
        let mut profit = -fee;
        if !closing.is_zero() {
            // All of it goes at its whole cost, so that nothing is left by rounding. A part is rounded once, here: what
            // the profit takes and what the cost loses is the same number, and small enough for both to hold it.
            let cost_closed = match closing == held.abs() {
                true => self.cost.0,
                false => (self.cost.0 * closing / held.abs()).round_dp(12),
            };
            let direction = if held.is_sign_negative() { -Decimal::ONE } else { Decimal::ONE };
            profit += Money(direction * price.0 * closing - cost_closed);
            self.cost.0 -= cost_closed;
        }
        let opening = signed.0.abs() - closing;
        let direction = if signed.0.is_sign_negative() { -Decimal::ONE } else { Decimal::ONE };
        self.cost.0 += direction * opening * price.0;
        self.quantity += signed;
        self.realised_pnl += profit;
        profit
    }

    /// Average price of the units held; `None` when flat.
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Books fills ("buy 2 at 100 fee 1") and tells what became of the position.
    fn check(fills: &str, expected: &str) {
        let mut position = Position::default();
        for fill in fills.split("; ") {
            let words: Vec<&str> = fill.split(' ').collect();
            let fee = words.get(5).map_or(Money::ZERO, |fee| fee.parse().unwrap());
            position.apply(
                words[0].parse().unwrap(),
                words[3].parse().unwrap(),
                words[1].parse().unwrap(),
                fee,
            );
        }
        let average = position.average_price().map_or("-".to_owned(), |p| p.to_string());
        let story = format!("{} at {average}, realised {}", position.quantity, position.realised_pnl);
        assert_eq!(story, expected, "after {fills}");
    }

    #[test]
    fn buying_averages_and_selling_realises() {
        check("buy 1 at 100; buy 3 at 200", "4 at 175, realised 0");
        check("buy 1 at 100; buy 3 at 200; sell 2 at 205", "2 at 175, realised 60");
        check("buy 2 at 100; sell 2 at 90", "0 at -, realised -20");
    }

    #[test]
    fn fees_reduce_the_profit_and_not_the_price() {
        check("buy 1 at 100 fee 2", "1 at 100, realised -2");
        check("buy 1 at 100 fee 2; sell 1 at 110 fee 2", "0 at -, realised 6");
    }

    #[test]
    fn a_position_can_turn_short_and_back() {
        check("sell 2 at 100; buy 1 at 90", "-1 at 100, realised 10");
        check("buy 1 at 100; sell 3 at 110", "-2 at 110, realised 10");
        check("sell 1 at 100; buy 2 at 90", "1 at 90, realised 10");
    }

    proptest! {
        /// Cash paid and received, plus what is held at any price, is the profit at that price.
        #[test]
        fn profit_is_what_cash_and_holdings_say(
            fills in prop::collection::vec((any::<bool>(), 1u32..1_000_000, 1u32..10_000, 0u32..500), 1..40),
            mark in 1u32..1_000_000,
        ) {
            let mut position = Position::default();
            let mut cash = Decimal::ZERO;
            for (buy, price, quantity, fee) in fills {
                let (price, quantity) = (Price(Decimal::new(price.into(), 2)), Quantity(Decimal::new(quantity.into(), 4)));
                let fee = Money(Decimal::new(fee.into(), 2));
                let side = if buy { Side::Buy } else { Side::Sell };
                position.apply(side, price, quantity, fee);
                let paid = (price * quantity).0;
                cash += if buy { -paid } else { paid } - fee.0;
            }
            let mark = Price(Decimal::new(mark.into(), 2));
            let said = position.realised_pnl.0 + position.unrealised_pnl(mark).0;
            let counted = cash + position.value(mark).0;
            prop_assert!((said - counted).abs() < Decimal::new(1, 12), "{said} against {counted}");
        }
    }
}
