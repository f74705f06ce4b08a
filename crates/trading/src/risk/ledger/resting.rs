//! Resting orders of one account in one symbol: what an order of the same account would trade with.

use std::collections::BTreeMap;

use domain::{Price, Side};

/// Where other orders could trade with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rests {
    /// Nowhere: it waits for its stop price.
    No,
    /// At its limit price.
    At(Price),
    /// At any price: a market order on its way.
    Anywhere,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Resting {
    buys: Queue,
    sells: Queue,
}

/// Orders of one side by price.
#[derive(Clone, Debug, Default)]
struct Queue {
    prices: BTreeMap<Price, u32>,
    anywhere: u32,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.prices.is_empty() && self.anywhere == 0
    }
}

impl Resting {
    pub(super) fn is_empty(&self) -> bool {
        self.buys.is_empty() && self.sells.is_empty()
    }

    pub(super) fn add(&mut self, side: Side, rests: Rests) {
        let queue = self.queue(side);
        match rests {
            Rests::No => {}
            Rests::At(price) => *queue.prices.entry(price).or_default() += 1,
            Rests::Anywhere => queue.anywhere += 1,
        }
    }

    pub(super) fn remove(&mut self, side: Side, rests: Rests) {
        let queue = self.queue(side);
        match rests {
            Rests::No => {}
            Rests::At(price) => {
                if let Some(count) = queue.prices.get_mut(&price) {
                    *count -= 1;
                    if *count == 0 {
                        queue.prices.remove(&price);
                    }
                }
            }
            Rests::Anywhere => queue.anywhere = queue.anywhere.saturating_sub(1),
        }
    }

    /// The best price on the other side, if an order that takes `worst` would trade there; zero if any price would do.
    pub(super) fn crossed(&self, side: Side, worst: Price) -> Option<Price> {
        let (against, best) = match side {
            Side::Buy => (&self.sells, self.sells.prices.keys().next()),
            Side::Sell => (&self.buys, self.buys.prices.keys().next_back()),
        };
        let reached = best.copied().filter(|best| match side {
            Side::Buy => *best <= worst,
            Side::Sell => *best >= worst,
        });
        reached.or((against.anywhere > 0).then_some(Price::ZERO))
    }

    fn queue(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_trade_with_each_other_crosses() {
        let price = |text: &str| text.parse::<Price>().unwrap();
        let mut resting = Resting::default();
        for at in ["101", "102", "101"] {
            resting.add(Side::Sell, Rests::At(price(at)));
        }
        resting.add(Side::Buy, Rests::No);
        assert_eq!(resting.crossed(Side::Buy, price("100.99")), None);
        assert_eq!(resting.crossed(Side::Buy, price("101")), Some(price("101")));
        assert_eq!(resting.crossed(Side::Sell, price("1")), None);
        for at in ["101", "101"] {
            resting.remove(Side::Sell, Rests::At(price(at)));
        }
        assert_eq!(resting.crossed(Side::Buy, price("101")), None, "the best of them are gone");
        resting.add(Side::Sell, Rests::Anywhere);
        assert_eq!(resting.crossed(Side::Buy, price("1")), Some(Price::ZERO));
        resting.remove(Side::Sell, Rests::Anywhere);
        resting.remove(Side::Sell, Rests::At(price("102")));
        assert!(resting.is_empty());
    }
}
