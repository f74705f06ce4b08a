//! One check of an order. Its texts are made when somebody asks for them: formatting costs more than checking.

use std::sync::Arc;

use domain::{Decimal, Money, Price, Quantity};

use super::limits::Limit;
use super::rules::Rule;
use crate::scope::Scope;

/// One check of an order, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which rule.
    pub rule: Rule,
    /// Whether the order passed.
    pub passed: bool,
    /// The field of the request that the rule is about.
    pub field: Option<&'static str>,
    limit: Option<Figure>,
    value: Option<Figure>,
    in_force: Option<Arc<Limit>>,
    said: Option<Box<str>>,
}

/// A number of a check, in its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Plain(Decimal),
    Money(Decimal),
    Fraction(Decimal),
    Seconds(Decimal),
    Times(Decimal),
    Text(Arc<str>),
    /// What the limit in force says.
    InForce,
}

impl From<Price> for Figure {
    fn from(price: Price) -> Self {
        Self::Plain(price.0)
    }
}

impl From<Quantity> for Figure {
    fn from(quantity: Quantity) -> Self {
        Self::Plain(quantity.0)
    }
}

impl From<Money> for Figure {
    fn from(money: Money) -> Self {
        Self::Money(money.0)
    }
}

impl From<&str> for Figure {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Check {
    pub(super) fn new(rule: Rule, field: &'static str, passed: bool) -> Self {
        Self { rule, passed, field: Some(field), limit: None, value: None, in_force: None, said: None }
    }

    /// A check that was not passed, in words.
    pub(super) fn refused(rule: Rule, field: &'static str, said: impl Into<Box<str>>) -> Self {
        Self { said: Some(said.into()), ..Self::new(rule, field, false) }
    }

    pub(super) fn with_limit(mut self, limit: impl Into<Figure>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    pub(super) fn with_value(mut self, value: impl Into<Figure>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(super) fn under(mut self, limit: &Arc<Limit>) -> Self {
        self.in_force = Some(limit.clone());
        if self.limit.is_none() {
            self.limit = Some(Figure::InForce);
        }
        self
    }

    /// What was found, for people: with the limit, the value, and whose limit it is.
    pub fn detail(&self) -> String {
        let mut text = self.finding();
        if let Some(limit) = &self.in_force {
            let by = if &*limit.set_by == "configuration" { ", set by configuration" } else { "" };
            text += &format!(" (Limit of {}{by}.)", limit.scope.in_words());
        }
        text
    }

    /// The same without whose limit it is.
    pub fn finding(&self) -> String {
        match &self.said {
            Some(said) => said.to_string(),
            None => {
                let number = |number: Option<String>| number.unwrap_or_else(|| "none".into());
                let sentence = self.rule.sentence();
                sentence.replace("{limit}", &number(self.limit())).replace("{value}", &number(self.value()))
            }
        }
    }

    /// What is allowed.
    pub fn limit(&self) -> Option<String> {
        self.limit.as_ref().map(|figure| self.text(figure))
    }

    /// What the order has.
    pub fn value(&self) -> Option<String> {
        self.value.as_ref().map(|figure| self.text(figure))
    }

    /// The limit that it was compared with, if somebody set one: the strictest of all scopes, or the one that refuses.
    pub fn limit_in_force(&self) -> Option<&Arc<Limit>> {
        self.in_force.as_ref()
    }

    /// Whose limit that is.
    pub fn scope(&self) -> Option<&Scope> {
        self.in_force.as_ref().map(|limit| &limit.scope)
    }

    /// Who set it.
    pub fn set_by(&self) -> Option<&str> {
        self.in_force.as_ref().map(|limit| &*limit.set_by)
    }

    fn text(&self, figure: &Figure) -> String {
        let plain = |number: &Decimal, places: u32| number.round_dp(places).normalize().to_string();
        match figure {
            Figure::Plain(number) => number.normalize().to_string(),
            Figure::Money(amount) => plain(amount, 2),
            Figure::Fraction(fraction) => format!("{} %", plain(&(fraction * Decimal::ONE_HUNDRED), 2)),
            Figure::Seconds(seconds) => format!("{} s", plain(seconds, 1)),
            Figure::Times(times) => format!("{} times", plain(times, 2)),
            Figure::Text(text) => text.to_string(),
            Figure::InForce => {
                let Some(limit) = &self.in_force else { return String::new() };
                match (limit.value.number(), &self.value) {
                    (Some(most), Some(Figure::Fraction(_))) => self.text(&Figure::Fraction(most)),
                    (Some(most), Some(Figure::Seconds(_))) => self.text(&Figure::Seconds(most)),
                    (Some(most), Some(Figure::Times(_))) => self.text(&Figure::Times(most)),
                    _ => limit.value.to_string(),
                }
            }
        }
    }
}
