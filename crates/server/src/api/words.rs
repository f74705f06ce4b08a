//! The scalars of the API as they stand in JSON, and their schemas.
//!
//! Names that are enums in `domain` get their schema from the enum itself, so that the two cannot differ.

use std::borrow::Cow;
use std::fmt;

use domain::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A price, quantity or amount: text in plain notation, with every digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal(domain::Decimal);

impl From<domain::Price> for Decimal {
    fn from(price: domain::Price) -> Self {
        Self(price.0)
    }
}

impl From<domain::Quantity> for Decimal {
    fn from(quantity: domain::Quantity) -> Self {
        Self(quantity.0)
    }
}

impl From<domain::Money> for Decimal {
    fn from(money: domain::Money) -> Self {
        Self(money.0)
    }
}

impl From<domain::Decimal> for Decimal {
    fn from(number: domain::Decimal) -> Self {
        Self(number)
    }
}

impl Decimal {
    /// An average: more digits than any price has, fewer than the division leaves.
    pub(crate) fn average(price: domain::Price) -> Self {
        Self(price.0.round_dp(10))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("decimal".into())))
            .pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$"))
            .examples(["61837.63"])
            .into()
    }
}

impl ToSchema for Decimal {}

/// The same in a request, where it is read as text first so that the refusal can name the field.
pub(crate) enum DecimalText {}

impl PartialSchema for DecimalText {
    fn schema() -> RefOr<Schema> {
        Decimal::schema()
    }
}

impl ToSchema for DecimalText {
    fn name() -> Cow<'static, str> {
        Decimal::name()
    }
}

/// A moment: RFC 3339, UTC, always with microseconds, so that texts sort like times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-21T12:00:00.123456Z"])
            .into()
    }
}

impl ToSchema for At {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

/// Schemas of names that are enums elsewhere: `schema` type, its name in the document, all of its values.
macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $values:expr;)+) => {
        $(
            $(#[$doc])*
            pub(crate) enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().schema_type(Type::String).enum_values(Some($values)).into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

/// All texts of an enum of the domain.
macro_rules! all {
    ($type:ty) => {
        <$type>::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>()
    };
}

schemas! {
    /// A set of permissions under a name.
    Role = all!(domain::Role);
    /// One act that can be allowed.
    Permission = all!(domain::Permission);
    /// How far a grant goes.
    Access = all!(domain::Access);
    /// Paper or live.
    Mode = ["paper", "live"];
    /// Buy or sell.
    Side = all!(domain::Side);
    /// How an order is priced.
    OrderType = all!(domain::OrderKind);
    /// How long an order works.
    TimeInForce = all!(domain::TimeInForce);
    /// Whether an order stands alone or brings others with it.
    OrderClass = all!(domain::OrderClass);
    /// What an order is for in a group of orders.
    Leg = all!(domain::Leg);
    /// Who made an order.
    Origin = all!(domain::Origin);
    /// Why brokers say no.
    BrokerReasonCode = all!(domain::Reason);
    /// What sort of booking a fill is.
    BookingKind = all!(trading::BookingKind);
    /// Where an order stands.
    OrderStatus = all!(domain::Status);
    /// Who crossed the spread.
    TradeSide = ["buy", "sell", "unknown"];
    /// The length of a bar.
    BarLength = all!(domain::Every);
    /// Whether a person may sign in.
    UserStatus = ["invited", "active", "disabled"];
    /// Who does something for an order.
    SupportWay = ["broker", "desk", "no"];
    /// How the cost of what is sold is reckoned.
    CostMethod = all!(domain::CostMethod);
    /// What sort of owner a book has; `own` is the account's own.
    BookKind = ["own", "person", "bot", "strategy"];
    /// What sort of owner a book can be opened for.
    BookOwnerKind = all!(trading::books::BookKind);
    /// The time between two points of a history.
    HistoryStep = all!(trading::portfolio::Every);
    /// A length of time that ends now.
    Period = all!(trading::portfolio::Period);
    /// Where an approval stands.
    ApprovalStatus = all!(trading::ApprovalStatus);
    /// What sort of thing a webhook is told.
    EventKind = all!(trading::outbox::EventKind);
    /// Whether a webhook is told anything.
    WebhookState = all!(webhooks::State);
    /// Where a delivery stands.
    DeliveryStatus = all!(webhooks::DeliveryStatus);
    /// Which orders are listed.
    OrderScope = ["open", "closed", "all"];
    /// How far a look at the usage of the API goes back.
    UsagePeriod = ["hour", "day", "week", "month", "quarter"];
    /// What a row of usage is of.
    UsageBy = ["endpoint", "caller"];
    /// What somebody may make of a person's status.
    ChosenStatus = ["active", "disabled"];
    /// Where a feed stands.
    FeedState = ["connecting", "live", "stalled", "down", "stopped"];
    /// Whether the desk sees the account at its broker.
    AccountVisibility = ["ready", "blind"];
    /// How an act ended.
    ActOutcome = ["done", "refused", "failed"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_always_have_microseconds_and_decimals_no_trailing_zeros() {
        let whole = At(Timestamp::from_second(1_700_000_000).unwrap());
        assert_eq!(serde_json::to_string(&whole).unwrap(), "\"2023-11-14T22:13:20.000000Z\"");
        let price: domain::Price = "1.500".parse().unwrap();
        assert_eq!(serde_json::to_string(&Decimal::from(price)).unwrap(), "\"1.5\"");
    }
}
