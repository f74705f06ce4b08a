//! Splits and new names: what changes holdings without a trade, and is neither profit nor loss.
//!
//! A comparison finds units that no fill explains; here those are told apart that an action explains. What is split keeps its
//! cost, what is renamed takes it along, and each is booked with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{AuditEntry, Money, Price, Quantity, Symbol};
use serde_json::json;

use super::{Core, Step};
use crate::broker::{CorporateAction, CorporateActionKind};

/// Decimals of the average price that units are handed over at.
const PRICE_DECIMALS: u32 = 12;
/// An action from before that explains nothing any more: what it did was found then.
const EXPLAINS: Duration = Duration::from_secs(7 * 86_400);

/// What an action did to what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// So many units became so many.
    Split { symbol: Symbol, before: Quantity, after: Quantity, reason: String },
    /// All units of one name are called otherwise.
    Rename { from: Symbol, to: Symbol, quantity: Quantity, reason: String },
}

impl Core {
    /// Books what actions explain of a difference, and leaves the rest of it.
    pub(super) fn book_corporate_actions(
        &mut self,
        step: &mut Step,
        cash: Money,
        units: &mut BTreeMap<Symbol, Quantity>,
        actions: &[CorporateAction],
    ) {
        let held = step.draft.quantities_after(&self.book);
        let is_fresh = |action: &&CorporateAction| action.at + EXPLAINS >= step.now;
        let actions: Vec<CorporateAction> = actions.iter().filter(is_fresh).cloned().collect();
        for change in explain(&held, units, &actions, cash.is_zero()) {
            let (name, detail) = self.book_change(step, change);
            tracing::warn!(account = %self.account.name, %detail, "a corporate action is booked");
            let entry = AuditEntry::by_system(step.now, name).on("account", self.account.id);
            step.entries.push(entry.with(detail));
        }
    }

    fn book_change(&mut self, step: &mut Step, change: Change) -> (&'static str, serde_json::Value) {
        match change {
            Change::Split { symbol, before, after, reason } => {
                let detail = json!({ "symbol": symbol, "before": before, "after": after, "reason": reason });
                let is_reverse = after.0.abs() < before.0.abs();
                if is_reverse && !self.book.is_divided() {
                    // All of it goes and less of it comes, at the same cost: nothing is realised.
                    let cost = self.book.whole.positions.get(&symbol).map(|position| position.cost);
                    let price = Price((cost.unwrap_or_default().0 / after.0).round_dp(PRICE_DECIMALS));
                    self.adopt_units(step, &symbol, -before, self.average_price(&symbol), reason.clone());
                    self.adopt_units(step, &symbol, after, price, reason);
                } else {
                    // They come for nothing: the cost stays, and each unit has less of it.
                    self.adopt_units(step, &symbol, after - before, Price::ZERO, reason);
                }
                ("account.split", detail)
            }
            Change::Rename { from, to, quantity, reason } => {
                let detail = json!({ "from": from, "to": to, "units": quantity, "reason": reason });
                let price = self.average_price(&from);
                self.adopt_units(step, &from, -quantity, price, reason.clone());
                self.adopt_units(step, &to, quantity, price, reason);
                ("account.symbol_changed", detail)
            }
        }
    }

    fn average_price(&self, symbol: &Symbol) -> Price {
        let position = self.book.whole.positions.get(symbol);
        let average = position.and_then(|position| position.average_price()).unwrap_or_default();
        Price(average.0.round_dp(PRICE_DECIMALS))
    }
}

/// What of a difference is explained; that is taken out of `units`.
fn explain(
    held: &BTreeMap<Symbol, Quantity>,
    units: &mut BTreeMap<Symbol, Quantity>,
    actions: &[CorporateAction],
    cash_fits: bool,
) -> Vec<Change> {
    let held = |symbol: &Symbol| held.get(symbol).copied().unwrap_or_default();
    let of = |kind: CorporateActionKind, symbol: &Symbol| {
        actions
            .iter()
            .filter(move |action| action.kind == kind && action.symbol == *symbol)
            .collect::<Vec<_>>()
    };
    let mut changes = Vec::new();
    let split = units.iter().filter_map(|(symbol, more)| {
        let (before, after) = (held(symbol), held(symbol) + *more);
        let is_kept = !before.is_zero() && !after.is_zero() && before.is_positive() == after.is_positive();
        let fits = |action: &&&CorporateAction| {
            action.quantity.is_none_or(|quantity| quantity == *more || quantity == after)
        };
        let actions = of(CorporateActionKind::Split, symbol);
        let action = actions.iter().find(fits).filter(|_| is_kept)?;
        Some(Change::Split { symbol: symbol.clone(), before, after, reason: action.reason.clone() })
    });
    changes.extend(split);
    let gone = units.iter().filter(|(symbol, more)| !held(symbol).is_zero() && **more == -held(symbol));
    let pairs: Vec<(&Symbol, &Symbol)> = gone
        .flat_map(|(from, less)| {
            let came = units.iter().filter(|(to, more)| held(to).is_zero() && **more == -*less);
            came.map(move |(to, _)| (from, to))
        })
        .collect();
    for (from, to) in &pairs {
        let told =
            of(CorporateActionKind::Rename, from).into_iter().chain(of(CorporateActionKind::Rename, to));
        let reason = match told.map(|action| action.reason.clone()).next() {
            Some(reason) => reason,
            // Nothing else changed: whatever was there is there under another name.
            None if pairs.len() == 1 && units.len() == 2 && cash_fits => {
                format!("{from} became {to}: as many units, and no money")
            }
            None => continue,
        };
        let quantity = held(from);
        changes.push(Change::Rename { from: (*from).clone(), to: (*to).clone(), quantity, reason });
    }
    for change in &changes {
        match change {
            Change::Split { symbol, .. } => units.remove(symbol),
            Change::Rename { from, to, .. } => units.remove(from).and(units.remove(to)),
        };
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> BTreeMap<Symbol, Quantity> {
        let one = |part: &str| {
            let (symbol, quantity) = part.split_once(' ').unwrap();
            (symbol.parse().unwrap(), quantity.parse().unwrap())
        };
        text.split(", ").filter(|part| !part.is_empty()).map(one).collect()
    }

    fn action(kind: CorporateActionKind, symbol: &str, quantity: Option<&str>) -> CorporateAction {
        let quantity = quantity.map(|quantity| quantity.parse().unwrap());
        let at = domain::Timestamp::UNIX_EPOCH;
        CorporateAction { kind, at, symbol: symbol.parse().unwrap(), quantity, reason: "told".into() }
    }

    /// What is explained, in short, and what is left.
    fn check(held: &str, found: &str, actions: &[CorporateAction], cash_fits: bool) -> (String, String) {
        let mut units = map(found);
        let changes = explain(&map(held), &mut units, actions, cash_fits);
        let short = changes.iter().map(|change| match change {
            Change::Split { symbol, before, after, .. } => format!("{symbol} {before} -> {after}"),
            Change::Rename { from, to, quantity, .. } => format!("{quantity} {from} -> {to}"),
        });
        let left = units.iter().map(|(symbol, quantity)| format!("{symbol} {quantity}"));
        (short.collect::<Vec<_>>().join(", "), left.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_split_is_what_the_broker_tells_and_the_units_show() {
        use CorporateActionKind::Split;
        for (held, found, quantity, explained) in [
            ("AAPL 10", "AAPL 30", Some("30"), "AAPL 10 -> 40"),
            ("AAPL 10", "AAPL 30", Some("40"), "AAPL 10 -> 40"),
            ("AAPL 10", "AAPL 30", None, "AAPL 10 -> 40"),
            ("AAPL 10", "AAPL -9", Some("1"), "AAPL 10 -> 1"),
            ("AAPL -10", "AAPL -10", None, "AAPL -10 -> -20"),
        ] {
            let told = [action(Split, "AAPL", quantity)];
            assert_eq!(check(held, found, &told, true), (explained.into(), String::new()), "{held} {found}");
        }
        for (held, found, told) in [
            ("AAPL 10", "AAPL 30", None),
            ("AAPL 10", "AAPL 30", Some(action(Split, "AAPL", Some("7")))),
            ("AAPL 10", "AAPL 30", Some(action(Split, "MSFT", None))),
            ("AAPL 10", "AAPL -10", Some(action(Split, "AAPL", None))),
            ("MSFT 1", "AAPL 30", Some(action(Split, "AAPL", None))),
        ] {
            let told: Vec<_> = told.into_iter().collect();
            assert_eq!(check(held, found, &told, true), (String::new(), found.into()), "{held} {found}");
        }
    }

    #[test]
    fn a_new_name_is_told_or_is_all_that_changed() {
        use CorporateActionKind::Rename;
        let told = [action(Rename, "FB", None)];
        let renamed = ("10 FB -> META".to_owned(), String::new());
        assert_eq!(check("FB 10", "FB -10, META 10", &told, false), renamed);
        assert_eq!(check("FB 10", "FB -10, META 10", &[], true), renamed);
        for (held, found, cash_fits) in [
            ("FB 10", "FB -10, META 10", false),
            ("FB 10, META 1", "FB -10, META 10", true),
            ("FB 10", "FB -5, META 5", true),
            ("FB 10", "AAPL 1, FB -10, META 10", true),
            ("FB 10", "FB -10, GOOG 10, META 10", true),
        ] {
            assert_eq!(check(held, found, &[], cash_fits), (String::new(), found.into()), "{held} {found}");
        }
    }
}
