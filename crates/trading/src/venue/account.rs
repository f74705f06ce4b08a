//! An account of the venue: what it holds, what its open orders hold back, and what it may still do.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Decimal, Fill, Money, Price, Quantity, Reason, Side, Symbol};
use rustc_hash::FxHashMap;

use super::order::Report;
use super::settings::Short;
use crate::broker::{Balances, Refusal};

/// An account of the venue.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) cash: Money,
    positions: BTreeMap<Symbol, Quantity>,
    working: BTreeMap<Symbol, Working>,
    /// Its orders by client order id.
    pub(super) ids: FxHashMap<String, i64>,
    pub(super) open: BTreeSet<i64>,
    /// Executions, corrections and busts, oldest first.
    pub(super) reports: Vec<Report>,
}

/// What an open order holds back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    /// What it may still execute.
    pub(super) quantity: Quantity,
    /// What that is reckoned to cost, with fees.
    pub(super) cost: Money,
}

/// What open orders of a symbol may still do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Working {
    buying: Quantity,
    /// What `buying` is reckoned to cost, with fees.
    cost: Money,
    selling: Quantity,
}

impl Account {
    pub(super) fn new(cash: Money) -> Self {
        Self { cash, ..Self::default() }
    }

    pub(super) fn position(&self, symbol: &Symbol) -> Quantity {
        self.positions.get(symbol).copied().unwrap_or_default()
    }

    pub(super) fn hold_position(&mut self, symbol: Symbol, quantity: Quantity) {
        self.positions.insert(symbol, quantity);
    }

    pub(super) fn balances(&self) -> Balances {
        let positions = self.positions.iter().map(|(symbol, quantity)| (symbol.clone(), *quantity));
        Balances { cash: self.cash, positions: positions.collect() }
    }

    /// Holds back what an open order needs.
    pub(super) fn hold(&mut self, held: &Held) {
        let working = self.working.entry(held.symbol.clone()).or_default();
        match held.side {
            Side::Buy => {
                working.buying += held.quantity;
                working.cost += held.cost;
            }
            Side::Sell => working.selling += held.quantity,
        }
    }

    /// Gives it back.
    pub(super) fn release(&mut self, held: &Held) {
        let working = self.working.entry(held.symbol.clone()).or_default();
        match held.side {
            Side::Buy => {
                working.buying -= held.quantity;
                working.cost -= held.cost;
            }
            Side::Sell => working.selling -= held.quantity,
        }
        if *working == Working::default() {
            self.working.remove(&held.symbol);
        }
    }

    /// Books an execution, or takes one back.
    pub(super) fn book(&mut self, symbol: &Symbol, side: Side, fill: &Fill, undo: bool) {
        let buys = (side == Side::Buy) != undo;
        let notional = fill.price * fill.quantity;
        let position = self.positions.entry(symbol.clone()).or_default();
        if buys {
            self.cash -= notional;
            *position += fill.quantity;
        } else {
            self.cash += notional;
            *position -= fill.quantity;
        }
        self.cash -= if undo { -fill.fee } else { fill.fee };
    }

    /// Whether the account may place an order that is reckoned at `price` a unit and `fee` in all. `mark` is the price
    /// of a unit at the market; a position without one counts at nothing.
    pub(super) fn check(
        &self,
        ask: &Ask<'_>,
        short: &Short,
        mark: impl Fn(&Symbol) -> Option<Price>,
    ) -> Result<(), Refusal> {
        let working = self.working.get(ask.symbol).copied().unwrap_or_default();
        let held = self.position(ask.symbol);
        let needed = match ask.side {
            Side::Buy => {
                // Buying back what is short takes no new buying power: the proceeds are held back for it.
                let covers = (-held - working.buying).max(Quantity::ZERO).min(ask.quantity);
                if covers == ask.quantity {
                    return Ok(());
                }
                ask.price * (ask.quantity - covers) + ask.fee
            }
            Side::Sell => {
                let free = held - working.selling;
                if ask.quantity <= free {
                    return Ok(());
                }
                self.may_be_short(ask, ask.quantity - free, short)?;
                let opens = ask.quantity - free.max(Quantity::ZERO);
                self.margin(ask.price * opens, short)
            }
        };
        let available = self.buying_power(short, mark);
        if needed > available {
            let text = format!("insufficient buying power: {} available", available.0.round_dp(2));
            return Err(Refusal::new(Reason::InsufficientFunds, text));
        }
        Ok(())
    }

    fn may_be_short(&self, ask: &Ask<'_>, quantity: Quantity, short: &Short) -> Result<(), Refusal> {
        match short.most(ask.symbol) {
            None => Ok(()),
            Some(most) if quantity <= most => Ok(()),
            Some(_) if !short.allowed => {
                let free = (ask.quantity - quantity).max(Quantity::ZERO);
                let text = format!("insufficient quantity: {free} available");
                Err(Refusal::new(Reason::InsufficientQuantity, text))
            }
            Some(most) => {
                let text = format!("{most} of {} can be borrowed, {quantity} are needed", ask.symbol);
                Err(Refusal::new(Reason::NotShortable, text))
            }
        }
    }

    /// Cash that nothing holds back: not open orders, and not the proceeds of short sales with their margin.
    fn buying_power(&self, short: &Short, mark: impl Fn(&Symbol) -> Option<Price>) -> Money {
        let mut free = self.cash;
        for working in self.working.values() {
            free -= working.cost;
        }
        for (symbol, held) in &self.positions {
            let selling = self.working.get(symbol).map_or(Quantity::ZERO, |working| working.selling);
            let price = mark(symbol).unwrap_or_default();
            let short_now = (-*held).max(Quantity::ZERO);
            let short_later = (selling - (*held).max(Quantity::ZERO)).max(Quantity::ZERO);
            let value = price * short_now;
            free -= value + self.margin(value, short) + self.margin(price * short_later, short);
        }
        free
    }

    fn margin(&self, value: Money, short: &Short) -> Money {
        Money(value.0 * short.margin_percent / Decimal::ONE_HUNDRED)
    }
}

/// What an account is asked for.
pub(super) struct Ask<'a> {
    pub(super) symbol: &'a Symbol,
    pub(super) side: Side,
    pub(super) quantity: Quantity,
    /// What one unit is reckoned at.
    pub(super) price: Price,
    /// What the venue takes for all of it.
    pub(super) fee: Money,
}
