//! How each figure is reckoned, in words, for whoever asks where it comes from.

/// A figure and how it is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formula {
    /// Its name in interfaces; never changes.
    pub id: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// How it is reckoned.
    pub formula: &'static str,
    /// Where what it is reckoned from comes from.
    pub inputs: &'static str,
}

/// Every figure of accounts, books and portfolios.
pub fn formulas() -> &'static [Formula] {
    FORMULAS
}

const FILLS: &str =
    "The fills as they stand after the broker's corrections, in the order in which they were booked.";
const POINTS: &str = "The values that the desk records each minute (kept 7 days), of which it keeps the last of each hour (a \
     year) and of each day (for ever), and those before and after money came or went; and the value now.";

const FORMULAS: &[Formula] = &[
    Formula {
        id: "value",
        title: "Value",
        formula: "cash + sum over instruments of (units held x latest price). What has no price counts at its cost.",
        inputs: "Cash and units: the desk's books, compared with the broker. Prices: the last trade of the feed.",
    },
    Formula {
        id: "cash",
        title: "Cash",
        formula: "cash when the account was first compared with its broker + flows + sum over fills of (sales - purchases - \
                  fees)",
        inputs: "The broker's balance at the first comparison, flows and fills of the journal.",
    },
    Formula {
        id: "reserved",
        title: "Reserved",
        formula: "sum over open buy orders of (units not filled yet x the highest price expected, with its fee)",
        inputs: "Open orders of the journal; the price and the margin at which each was accepted.",
    },
    Formula {
        id: "buying_power",
        title: "Buying power",
        formula: "cash - reserved",
        inputs: "Cash and open orders of the account or of the book.",
    },
    Formula {
        id: "deposits",
        title: "Paid in",
        formula: "sum of deposits and adjustments - withdrawals, without what the account had when the desk first saw it",
        inputs: "The flows of the journal. What one book gives to another is none for the account.",
    },
    Formula {
        id: "funded",
        title: "Given to the book",
        formula: "sum of the cash that came from other books or from outside - cash that went there",
        inputs: "The flows of the journal that name the book. Units that were handed over are fills at their price, no flows.",
    },
    Formula {
        id: "average_price",
        title: "Average price",
        formula: "cost of the units held / units held. With FIFO the oldest units are sold first; with the average method \
                  each sale takes its share of the cost. Fees are no part of the cost.",
        inputs: FILLS,
    },
    Formula {
        id: "realised",
        title: "Realised profit",
        formula: "sum over what was closed of (price x units - cost of these units) - all fees",
        inputs: FILLS,
    },
    Formula {
        id: "unrealised",
        title: "Unrealised profit",
        formula: "sum over instruments of (units held x latest price - cost of these units); nothing for what has no price",
        inputs: "Positions: the fills. Prices: the last trade of the feed.",
    },
    Formula {
        id: "fees",
        title: "Fees",
        formula: "sum of the fees of all fills. They are taken from the realised profit already.",
        inputs: FILLS,
    },
    Formula {
        id: "allocation",
        title: "Allocation",
        formula: "value of the part / value of the account. Parts that are short are below zero; all add up to 1.",
        inputs: "Cash and positions of the account; prices: the last trade of the feed.",
    },
    Formula {
        id: "by_book",
        title: "Profit by book",
        formula: "realised and unrealised profit of the book's own fills. Units handed over are a sale of the giver and a \
                  purchase of the receiver: so realised + unrealised add up over the books, each by itself need not.",
        inputs: "The fills and transfers of the book.",
    },
    Formula {
        id: "by_symbol",
        title: "Profit by instrument",
        formula: "realised and unrealised profit of the account's fills of the instrument",
        inputs: FILLS,
    },
    Formula {
        id: "by_day",
        title: "Profit by day",
        formula: "(value - paid in) at the end of the day - the same at the end of the day before. Days are UTC; time without \
                  a value counts for the day on which the next one was taken.",
        inputs: POINTS,
    },
    Formula {
        id: "profit",
        title: "Profit",
        formula: "value now - value then - what was paid in since + what was taken out since",
        inputs: POINTS,
    },
    Formula {
        id: "time_weighted",
        title: "Time-weighted return",
        formula: "product over the times between two values of ((value after - paid in meanwhile) / value before) - 1; per \
                  year of 365 days only over a year or more",
        inputs: POINTS,
    },
    Formula {
        id: "money_weighted",
        title: "Money-weighted return",
        formula: "the rate r with which value then x (1 + r) + sum of (each amount paid in x (1 + r) ^ its share of the time \
                  that was left) = value now; none where no or several rates fit",
        inputs: POINTS,
    },
    Formula {
        id: "drawdown",
        title: "Drawdown",
        formula: "1 - growth / greatest growth so far, of the time-weighted growth; so a deposit does not end one",
        inputs: POINTS,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_figure_is_explained_once_and_in_full() {
        let ids: BTreeSet<&str> = formulas().iter().map(|formula| formula.id).collect();
        assert_eq!(ids.len(), formulas().len());
        for formula in formulas() {
            assert!(!formula.title.is_empty() && formula.formula.len() > 10 && formula.inputs.len() > 10);
        }
    }
}
