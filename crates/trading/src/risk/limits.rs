//! Risk limits: what kinds there are, what they say, and those in force.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use domain::{Decimal, Money, Symbol, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use super::OrderLimits;
use super::hours::TradingHours;
use super::named::named;
use crate::scope::{Scope, Scopes};

named! {
    /// What a limit is about. Amounts are of the account's currency, quantities are units of the instrument.
    LimitKind, "kind of limit";
    /// The most units that one order may have.
    OrderQuantity = "order_quantity", "Order size";
    /// The most that one order may be worth.
    OrderNotional = "order_notional", "Order value";
    /// The most units held of one symbol, long or short, if all open orders of one side were filled.
    PositionQuantity = "position_quantity", "Position";
    /// The most that the position in one symbol may be worth, if all open orders of one side were filled.
    PositionNotional = "position_notional", "Position value";
    /// The most that all positions, long and short, may be worth together, if the worse side of the open orders of each
    /// symbol were filled.
    GrossExposure = "gross_exposure", "Gross exposure";
    /// The most by which long positions may be worth more than short ones, or the reverse, if all open orders of one
    /// side were filled.
    NetExposure = "net_exposure", "Net exposure";
    /// The largest share of the equity in one symbol, as a fraction: 0.25 is 25 %. What has no money of its own is
    /// measured against the account of the order.
    Concentration = "concentration", "Concentration";
    /// The most that may be lost since 00:00 UTC, realised and unrealised. At the limit only closing orders pass.
    DailyLoss = "daily_loss", "Daily loss";
    /// The most that the profit may be below its highest. At the limit only closing orders pass, until a person resets
    /// the highest.
    Drawdown = "drawdown", "Drawdown stop";
    /// The most orders in 60 seconds.
    OrdersPerMinute = "orders_per_minute", "Orders per minute";
    /// The most orders since 00:00 UTC.
    OrdersPerDay = "orders_per_day", "Orders per day";
    /// The most orders open at a time.
    OpenOrders = "open_orders", "Open orders";
    /// How far a price may be from the market, as a fraction of it: 0.05 is 5 %.
    PriceCollar = "price_collar", "Price collar";
    /// The age in seconds beyond which a quote prices no order.
    QuoteAge = "quote_age_seconds", "Age of quotes";
    /// The only symbols that may be traded.
    SymbolsAllowed = "symbols_allowed", "Symbols allowed";
    /// Symbols that may not be traded.
    SymbolsDenied = "symbols_denied", "Symbols denied";
    /// The hours of the week, UTC, in which orders are taken.
    TradingHours = "trading_hours", "Trading hours";
    /// Whether more may be sold than is held.
    ShortSelling = "short_selling", "Short selling";
    /// The most that gross exposure may be, as a multiple of the equity. What has no money of its own is measured
    /// against the account of the order.
    Leverage = "leverage", "Leverage";
    /// Whether an order may trade with a resting order of the same account, whoever placed it.
    SelfCross = "self_cross", "Self-crossing";
    /// The value above which an order needs the approval of a second person.
    ApprovalAbove = "approval_above", "Approval needed above";
}

/// The form of a limit's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A decimal from zero to the number here.
    Amount(u64),
    Count,
    Switch,
    Symbols,
    Hours,
}

/// Above what any desk trades, and far below what a decimal can hold, so that sums and products stay exact.
const MOST: u64 = 1_000_000_000_000_000;
/// Decimals of a limit.
const PLACES: u32 = 9;
/// Symbols in one list.
const MOST_SYMBOLS: usize = 1_000;

impl LimitKind {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    fn form(self) -> Form {
        match self {
            Self::OrderQuantity | Self::OrderNotional | Self::PositionQuantity | Self::PositionNotional => {
                Form::Amount(MOST)
            }
            Self::GrossExposure
            | Self::NetExposure
            | Self::DailyLoss
            | Self::Drawdown
            | Self::ApprovalAbove => Form::Amount(MOST),
            Self::Concentration => Form::Amount(1),
            Self::PriceCollar => Form::Amount(10),
            Self::Leverage => Form::Amount(1_000),
            Self::QuoteAge => Form::Amount(86_400),
            Self::OrdersPerMinute | Self::OrdersPerDay | Self::OpenOrders => Form::Count,
            Self::SymbolsAllowed | Self::SymbolsDenied => Form::Symbols,
            Self::TradingHours => Form::Hours,
            Self::ShortSelling | Self::SelfCross => Form::Switch,
        }
    }

    /// What a value may look like, for people.
    pub fn allowed(self) -> String {
        match self.form() {
            Form::Amount(most) => format!(
                "a plain decimal from 0 to {most} with at most {PLACES} decimals, as \"12.50\": no sign, no exponent"
            ),
            Form::Count => format!("a whole number from 0 to {}", u32::MAX),
            Form::Switch => "\"allowed\" or \"forbidden\"".into(),
            Form::Symbols => format!("1 to {MOST_SYMBOLS} symbols with commas, as \"BTC-USD, ETH-USD\""),
            Form::Hours => {
                "windows of the week in UTC with commas, as \"mon-fri 13:30-20:00, sat 10:00-12:00\"; one over midnight \
                 is written as two"
                    .into()
            }
        }
    }
}

/// What a limit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitValue {
    /// Units, money, a fraction, a multiple, or seconds: whatever the kind counts. Zero or more.
    Amount(Decimal),
    /// A number of orders.
    Count(u32),
    /// Whether it may be done at all.
    Allowed(bool),
    /// A list of symbols.
    Symbols(BTreeSet<Symbol>),
    /// Hours of the week.
    Hours(TradingHours),
}

/// Text that is not a value of a kind of limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no value of the limit {kind}: it is {allowed}")]
pub struct InvalidLimit {
    /// Which kind.
    pub kind: LimitKind,
    /// What was given, cut to 80 characters.
    pub given: String,
    /// What is allowed.
    pub allowed: String,
}

impl LimitValue {
    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// The text has not the form of the kind. Numbers are plain decimals: no sign, exponent, `NaN` or infinity.
    pub fn parse(kind: LimitKind, text: &str) -> Result<Self, InvalidLimit> {
        let value = match kind.form() {
            Form::Amount(most) => amount(text, most).map(Self::Amount),
            Form::Count => {
                let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                text.parse().ok().filter(|_| plain).map(Self::Count)
            }
            Form::Switch => match text {
                "allowed" => Some(Self::Allowed(true)),
                "forbidden" => Some(Self::Allowed(false)),
                _ => None,
            },
            Form::Symbols => {
                let symbols: Option<BTreeSet<Symbol>> =
                    text.split(',').map(|symbol| symbol.trim().parse().ok()).collect();
                symbols.filter(|symbols| symbols.len() <= MOST_SYMBOLS).map(Self::Symbols)
            }
            Form::Hours => text.parse().ok().map(Self::Hours),
        };
        value.ok_or_else(|| InvalidLimit {
            kind,
            given: text.chars().take(80).collect(),
            allowed: kind.allowed(),
        })
    }

    /// The number it is, where it is one.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Self::Amount(amount) => Some(*amount),
            Self::Count(count) => Some(Decimal::from(*count)),
            Self::Allowed(_) | Self::Symbols(_) | Self::Hours(_) => None,
        }
    }
}

fn amount(text: &str, most: u64) -> Option<Decimal> {
    let amount = text.parse::<Money>().ok()?.0;
    let good =
        !text.starts_with('-') && amount <= Decimal::from(most) && amount.normalize().scale() <= PLACES;
    good.then_some(amount)
}

impl fmt::Display for LimitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => amount.normalize().fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Allowed(allowed) => f.write_str(if *allowed { "allowed" } else { "forbidden" }),
            Self::Symbols(symbols) => {
                let texts: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
                f.write_str(&texts.join(", "))
            }
            Self::Hours(hours) => hours.fmt(f),
        }
    }
}

impl Serialize for LimitValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a change lets more through than before. `None` is no limit, so taking one away is a raise.
pub fn is_raise(kind: LimitKind, before: Option<&LimitValue>, after: Option<&LimitValue>) -> bool {
    match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => match (before, after) {
            (LimitValue::Allowed(before), LimitValue::Allowed(after)) => *after && !before,
            (LimitValue::Symbols(before), LimitValue::Symbols(after)) if kind == LimitKind::SymbolsDenied => {
                !before.is_subset(after)
            }
            (LimitValue::Symbols(before), LimitValue::Symbols(after)) => !after.is_subset(before),
            (LimitValue::Hours(before), LimitValue::Hours(after)) => !after.within(before),
            // A value of another form than before is a raise until somebody proves the opposite.
            _ => match (before.number(), after.number()) {
                (Some(before), Some(after)) => after > before,
                _ => true,
            },
        },
    }
}

/// A limit of one kind on one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Whom it is about.
    pub scope: Scope,
    /// What it is about.
    pub kind: LimitKind,
    /// What it says.
    pub value: LimitValue,
    /// Who set it: a user's id, or `configuration`.
    pub set_by: Arc<str>,
    /// When.
    pub set_at: Timestamp,
}

/// Limits of one scope, by kind.
type Slots = [Option<Arc<Limit>>; LimitKind::COUNT];

/// All limits in force. Finding those of an order takes one look-up for each of its scopes, however many there are.
#[derive(Clone, Debug, Default)]
pub struct LimitBook {
    /// What the configuration says. Counts for the whole desk beside whatever people set.
    configured: Slots,
    scopes: FxHashMap<Scope, Box<Slots>>,
}

impl LimitBook {
    /// The limits of the configuration alone, which nobody can raise while the desk runs; and that orders of an account
    /// do not trade with each other, which a limit set on the desk can.
    pub fn new(terms: &OrderLimits, at: Timestamp) -> Self {
        let mut book = Self::default();
        let age = i64::try_from(terms.max_quote_age.as_millis()).unwrap_or(i64::MAX);
        let configured = [
            (LimitKind::OrderNotional, LimitValue::Amount(terms.max_notional.0)),
            (LimitKind::PriceCollar, LimitValue::Amount(terms.price_collar)),
            (LimitKind::QuoteAge, LimitValue::Amount(Decimal::new(age, 3))),
        ];
        let limit = |kind, value| Limit {
            scope: Scope::Desk,
            kind,
            value,
            set_by: "configuration".into(),
            set_at: at,
        };
        for (kind, value) in configured {
            book.configured[kind as usize] = Some(Arc::new(limit(kind, value)));
        }
        book.set(limit(LimitKind::SelfCross, LimitValue::Allowed(false)));
        book
    }

    /// Sets a limit and returns the one that it replaces.
    pub fn set(&mut self, limit: Limit) -> Option<Arc<Limit>> {
        let slots = self.scopes.entry(limit.scope.clone()).or_default();
        slots[limit.kind as usize].replace(Arc::new(limit))
    }

    /// Takes a limit away and returns it. Those of the configuration stay.
    pub fn remove(&mut self, scope: &Scope, kind: LimitKind) -> Option<Arc<Limit>> {
        let slots = self.scopes.get_mut(scope)?;
        let removed = slots[kind as usize].take();
        if slots.iter().all(Option::is_none) {
            self.scopes.remove(scope);
        }
        removed
    }

    /// The limit that was set for a scope. Those of the configuration are not among these.
    pub fn get(&self, scope: &Scope, kind: LimitKind) -> Option<&Arc<Limit>> {
        self.scopes.get(scope)?[kind as usize].as_ref()
    }

    /// All of them: those of the configuration, then by scope and kind.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Limit>> {
        let mut scopes: Vec<_> = self.scopes.iter().collect();
        scopes.sort_by_key(|(scope, _)| *scope);
        let set = scopes.into_iter().flat_map(|(_, slots)| slots.iter());
        self.configured.iter().chain(set).flatten()
    }

    /// Every limit on one scope; on the desk with those of the configuration.
    pub fn of(&self, scope: &Scope) -> impl Iterator<Item = &Arc<Limit>> {
        let configured = (*scope == Scope::Desk).then_some(&self.configured);
        let set = self.scopes.get(scope).map(|slots| &**slots);
        configured.into_iter().chain(set).flat_map(|slots| slots.iter().flatten())
    }

    /// The limit that counts among all scopes of an order: the strictest. Of two that say the same, the widest scope's.
    pub fn strictest(&self, scopes: &Scopes, kind: LimitKind) -> Option<&Arc<Limit>> {
        self.in_force(scopes).strictest(kind)
    }

    /// Everything that an order must keep.
    pub(super) fn in_force(&self, scopes: &Scopes) -> InForce<'_> {
        let mut slots: Vec<(usize, &Slots)> = Vec::with_capacity(scopes.as_slice().len() + 1);
        slots.push((0, &self.configured));
        if !self.scopes.is_empty() {
            let set = scopes.iter().enumerate();
            slots.extend(set.filter_map(|(nth, scope)| Some((nth, &**self.scopes.get(scope)?))));
        }
        InForce { slots }
    }
}

/// The limits on one order: those of each of its scopes, with the scope's place in the list of them.
pub(super) struct InForce<'a> {
    slots: Vec<(usize, &'a Slots)>,
}

impl<'a> InForce<'a> {
    /// The limits of a kind, each with the place of its scope.
    pub(super) fn of(&self, kind: LimitKind) -> impl Iterator<Item = (usize, &'a Arc<Limit>)> {
        self.slots.iter().filter_map(move |(nth, slots)| Some((*nth, slots[kind as usize].as_ref()?)))
    }

    pub(super) fn strictest(&self, kind: LimitKind) -> Option<&'a Arc<Limit>> {
        self.of(kind).map(|(_, limit)| limit).min_by(|a, b| strictness(&a.value).cmp(&strictness(&b.value)))
    }
}

/// Sorts values of one kind, strictest first. Lists, which are all asked one by one, by how much they leave.
fn strictness(value: &LimitValue) -> Decimal {
    let count = |count: usize| Decimal::from(u64::try_from(count).unwrap_or(u64::MAX));
    match value {
        LimitValue::Amount(amount) => *amount,
        LimitValue::Count(number) => Decimal::from(*number),
        LimitValue::Allowed(allowed) => Decimal::from(u8::from(*allowed)),
        LimitValue::Symbols(symbols) => count(symbols.len()),
        LimitValue::Hours(hours) => count(hours.total_minutes()),
    }
}

/// All kinds of limits in Markdown, for the documentation.
pub fn limit_table() -> String {
    let mut text = String::from("| limit | name | what it means | its value |\n|---|---|---|---|\n");
    for kind in LimitKind::ALL {
        let row = format!("| {} | `{kind}` | {} | {} |\n", kind.title(), kind.explanation(), kind.allowed());
        text.push_str(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, UserId};

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn value(kind: LimitKind, text: &str) -> LimitValue {
        LimitValue::parse(kind, text).unwrap()
    }

    #[test]
    fn a_value_is_written_as_it_is_read() {
        use LimitKind::*;
        for (kind, text) in [
            (OrderNotional, "2500.5"),
            (Concentration, "0.25"),
            (OrdersPerMinute, "60"),
            (ShortSelling, "forbidden"),
            (SymbolsAllowed, "BTC-USD, ETH-USD"),
            (TradingHours, "mon-fri 13:30-20:00"),
        ] {
            assert_eq!(value(kind, text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_plain_number_is_refused_and_told_what_is() {
        for kind in LimitKind::ALL.iter().filter(|kind| kind.form() != Form::Symbols) {
            for bad in
                ["", "NaN", "inf", "Infinity", "-1", "-0", "+1", "1e3", "1,5", " 1", "٣", "1.0000000001"]
            {
                let error = LimitValue::parse(*kind, bad).unwrap_err();
                assert!(error.to_string().contains(&kind.allowed()), "{error}");
            }
        }
        for (kind, bad) in [
            (LimitKind::Concentration, "1.01"),
            (LimitKind::OrderNotional, "1000000000000001"),
            (LimitKind::OpenOrders, "4294967296"),
            (LimitKind::OpenOrders, "1.5"),
        ] {
            assert!(LimitValue::parse(kind, bad).is_err(), "{bad} was read");
        }
    }

    #[test]
    fn the_strictest_of_all_scopes_counts_and_says_who_set_it() {
        let user = Scope::User(UserId::new(AT));
        let scopes = Scopes::new(AccountId::new(AT), [user.clone()]);
        let kind = LimitKind::OrderNotional;
        let mut book = LimitBook::new(&OrderLimits::default(), AT);
        assert_eq!(book.strictest(&scopes, kind).unwrap().set_by.as_ref(), "configuration");
        for (scope, text, by) in [
            (Scope::Desk, "5000000", "anna"),
            (user.clone(), "900", "ben"),
            (Scope::Bot("x".into()), "1", "carl"),
        ] {
            book.set(Limit { scope, kind, value: value(kind, text), set_by: by.into(), set_at: AT });
        }
        let winner = book.strictest(&scopes, kind).unwrap();
        assert_eq!(
            (&winner.scope, winner.set_by.as_ref(), winner.value.to_string().as_str()),
            (&user, "ben", "900")
        );
        book.remove(&user, kind);
        assert_eq!(book.strictest(&scopes, kind).unwrap().set_by.as_ref(), "configuration");
        assert_eq!(book.iter().count(), 3 + 1 + 2);
    }

    #[test]
    fn a_raise_is_whatever_lets_more_through() {
        use LimitKind::*;
        let raises = |kind: LimitKind, before: &str, after: &str| {
            let read = |text: &str| (text != "none").then(|| value(kind, text));
            is_raise(kind, read(before).as_ref(), read(after).as_ref())
        };
        for (kind, low, high) in [
            (OrderNotional, "1", "1.01"),
            (OpenOrders, "5", "6"),
            (QuoteAge, "5", "none"),
            (ShortSelling, "forbidden", "allowed"),
            (SymbolsAllowed, "A, B", "A, B, C"),
            (SymbolsDenied, "A, B", "A"),
            (TradingHours, "mon 10:00-11:00", "mon-tue 10:00-11:00"),
        ] {
            assert!(raises(kind, low, high), "{kind} from {low} to {high}");
            assert!(!raises(kind, high, low), "{kind} from {high} to {low}");
            assert!(!raises(kind, low, low), "{kind} stays {low}");
        }
        assert!(raises(SymbolsAllowed, "A, B", "A, C"), "one that was not there");
    }
}
