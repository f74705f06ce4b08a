//! The call auction at the open and at the close.
//!
//! All that takes part trades at one price: the one at which most can trade; of several the one that leaves the least
//! unmatched; of several the one nearest to a reference. This is the rule of Nasdaq's opening and closing crosses
//! (Nasdaq Equity 4, Rules 4752(d)(2) and 4754(b)(2)), with the middle of the quote, or else the last trade, as the
//! reference, and with the displayed quote taking part.

use domain::{Price, Quantity};

/// How much somebody would trade, and at what price at worst; `None` at any.
pub(super) type Interest = (Option<Price>, Quantity);

/// The price of the auction and how much trades at it. `None` when nobody meets, or no price is known: when all on both
/// sides take any price and there is no reference.
pub(super) fn uncross(
    buys: &[Interest],
    sells: &[Interest],
    reference: Option<Price>,
) -> Option<(Price, Quantity)> {
    let demand = Curve::of(buys);
    let supply = Curve::of(sells);
    let mut prices: Vec<Price> = buys.iter().chain(sells).filter_map(|(limit, _)| *limit).collect();
    prices.extend(reference);
    prices.sort_unstable();
    prices.dedup();
    let outcome = |price: Price| {
        let (bought, sold) = (demand.at_or_above(price), supply.at_or_below(price));
        let volume = bought.min(sold);
        let unmatched = bought.max(sold) - volume;
        let distance = reference.map_or(Price::ZERO, |reference| Price((price.0 - reference.0).abs()));
        (volume, unmatched, distance)
    };
    let best = prices.into_iter().map(|price| (price, outcome(price))).reduce(|best, next| {
        let (volume, unmatched, distance) = best.1;
        let better = (next.1.0, unmatched, distance) > (volume, next.1.1, next.1.2);
        if better { next } else { best }
    });
    best.map(|(price, (volume, ..))| (price, volume)).filter(|(_, volume)| volume.is_positive())
}

/// Interest by price, summed up so that each question is one search.
struct Curve {
    any_price: Quantity,
    /// Limits, lowest first, each with the interest at it and below.
    below: Vec<(Price, Quantity)>,
}

impl Curve {
    fn of(interests: &[Interest]) -> Self {
        let any_price =
            interests.iter().filter(|(limit, _)| limit.is_none()).map(|(_, quantity)| *quantity).sum();
        let mut below: Vec<_> =
            interests.iter().filter_map(|(limit, quantity)| limit.map(|limit| (limit, *quantity))).collect();
        below.sort_unstable();
        let mut sum = Quantity::ZERO;
        for (_, quantity) in &mut below {
            sum += *quantity;
            *quantity = sum;
        }
        Self { any_price, below }
    }

    fn up_to(&self, count: usize) -> Quantity {
        count.checked_sub(1).and_then(|last| self.below.get(last)).map_or(Quantity::ZERO, |(_, sum)| *sum)
    }

    fn at_or_below(&self, price: Price) -> Quantity {
        self.any_price + self.up_to(self.below.partition_point(|(limit, _)| *limit <= price))
    }

    fn at_or_above(&self, price: Price) -> Quantity {
        let below = self.up_to(self.below.partition_point(|(limit, _)| *limit < price));
        self.any_price + self.up_to(self.below.len()) - below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `buy 10 at 101, buy 5, sell 8 at 99; mid 100` to `8 at 100`.
    fn check(story: &str, expected: &str) {
        let (interests, reference) = story.split_once("; mid ").unwrap_or((story, ""));
        let (mut buys, mut sells) = (Vec::new(), Vec::new());
        for one in interests.split(", ") {
            let words: Vec<&str> = one.split(' ').collect();
            let side = if words[0] == "buy" { &mut buys } else { &mut sells };
            side.push((words.get(3).map(|limit| limit.parse().unwrap()), words[1].parse().unwrap()));
        }
        let found = uncross(&buys, &sells, reference.parse().ok());
        let found = found.map_or("nothing".to_owned(), |(price, volume)| format!("{volume} at {price}"));
        assert_eq!(found, expected, "in {story}");
    }

    #[test]
    fn most_volume_decides() {
        check("buy 10 at 101, buy 5 at 99, sell 8 at 99, sell 9 at 100", "10 at 100");
        check("buy 10 at 99, sell 10 at 100", "nothing");
    }

    #[test]
    fn of_equal_volumes_the_one_that_leaves_least_unmatched_decides() {
        // At 98 and 99, 5 more would buy.
        check("buy 10 at 101, buy 5 at 99, sell 10 at 98; mid 98", "10 at 101");
    }

    #[test]
    fn then_the_one_nearest_to_the_reference() {
        check("buy 10 at 105, sell 10 at 95; mid 99", "10 at 99");
        check("buy 10 at 105, sell 10 at 95; mid 110", "10 at 105");
    }

    #[test]
    fn orders_at_any_price_trade_at_the_reference_if_there_is_one() {
        check("buy 3, sell 5; mid 100", "3 at 100");
        check("buy 3, sell 5", "nothing");
        check("buy 3, sell 5 at 101", "3 at 101");
    }
}
