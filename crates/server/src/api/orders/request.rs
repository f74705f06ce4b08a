//! An order as it is wished for, read into the words of the desk.

use axum::extract::{FromRequest, Request};
use domain::{BookId, OrderClass, OrderKind, Price, Side, Size, StopLoss, Symbol, TimeInForce, Trail};
use serde::Deserialize;
use trading::Rule;
use utoipa::ToSchema;

use crate::api::words;
use crate::json::{self, LARGEST_ORDER};
use crate::problem::{Code, Problem, sentence};

/// An order that is wished for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest {
    #[schema(example = "BTC-USD")]
    symbol: String,
    #[schema(value_type = words::Side)]
    side: Side,
    #[schema(value_type = words::OrderType)]
    r#type: OrderKind,
    #[schema(value_type = words::TimeInForce)]
    time_in_force: TimeInForce,
    /// Above zero, in steps of the symbol's `quantity_increment`. Either this or `notional`.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    quantity: Option<String>,
    /// As many units as this much money buys or sells.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    notional: Option<String>,
    /// The worst price allowed. For limit and stop-limit orders only.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    limit_price: Option<String>,
    /// Where it becomes active. For stop and stop-limit orders only.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    stop_price: Option<String>,
    /// How far behind the market a trailing stop stays, in price. Either this or `trail_percent`.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    trail_price: Option<String>,
    /// The same in per cent of the best price since: 5 is 5 %.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    trail_percent: Option<String>,
    /// Whether it may also be filled before and after the regular session.
    #[serde(default)]
    extended_hours: bool,
    /// Whether it stands alone or brings others with it; `simple` if it is not said.
    #[schema(value_type = Option<words::OrderClass>, nullable = false)]
    class: Option<OrderClass>,
    /// The leg that takes the profit, of brackets and OTOs. An OCO is its own.
    #[schema(nullable = false)]
    take_profit: Option<TakeProfitRequest>,
    /// The leg that ends the loss, of brackets, OCOs and OTOs.
    #[schema(nullable = false)]
    stop_loss: Option<StopLossRequest>,
    /// The book that it is for; without one the desk chooses.
    #[schema(nullable = false)]
    book_id: Option<String>,
    /// The strategy that asks for it, for limits and reports: 1 to 64 characters of A-Z, a-z, 0-9 and _.:-
    #[schema(nullable = false)]
    strategy: Option<String>,
    /// One's own name for the order: 1 to 128 characters, unique on the account for ever.
    /// Without one the `Idempotency-Key` is used, and without that a new one is made.
    #[schema(nullable = false)]
    client_order_id: Option<String>,
}

/// The leg of an order that takes the profit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeProfitRequest {
    #[schema(value_type = words::DecimalText)]
    limit_price: String,
}

/// The leg of an order that ends the loss.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StopLossRequest {
    /// Where it becomes active.
    #[schema(value_type = words::DecimalText)]
    stop_price: String,
    /// The worst price allowed then; without one any.
    #[schema(value_type = Option<words::DecimalText>, nullable = false)]
    limit_price: Option<String>,
}

impl OrderRequest {
    /// The name that it was given, if it was given one.
    pub(super) fn client_order_id(&self) -> Option<&str> {
        self.client_order_id.as_deref()
    }

    /// Checks the form. What the numbers may be is for the desk to say, not for the interface.
    pub(super) fn read(self, client_order_id: String) -> Result<domain::OrderRequest, Problem> {
        let size = match (self.quantity, self.notional) {
            (Some(quantity), None) => Size::Quantity(number(&quantity, "quantity")?),
            (None, Some(notional)) => Size::Notional(number(&notional, "notional")?),
            (None, None) => {
                let detail = "An order has a `quantity`, or a `notional`.";
                return Err(Problem::field(Code::FieldMissing, "quantity", detail));
            }
            (Some(_), Some(_)) => {
                let detail = "An order has a `quantity` or a `notional`, not both.";
                return Err(Problem::field(Code::FieldInvalid, "notional", detail));
            }
        };
        let stop_loss = match self.stop_loss {
            Some(leg) => Some(StopLoss {
                stop_price: number(&leg.stop_price, "stop_loss.stop_price")?,
                limit_price: maybe(leg.limit_price.as_deref(), "stop_loss.limit_price")?,
            }),
            None => None,
        };
        let take_profit = self.take_profit.map(|leg| leg.limit_price);
        Ok(domain::OrderRequest {
            client_order_id,
            symbol: number(&self.symbol, "symbol")?,
            side: self.side,
            kind: self.r#type,
            time_in_force: self.time_in_force,
            size,
            limit_price: maybe(self.limit_price.as_deref(), "limit_price")?,
            stop_price: maybe(self.stop_price.as_deref(), "stop_price")?,
            trail: trail(self.trail_price.as_deref(), self.trail_percent.as_deref())?,
            extended_hours: self.extended_hours,
            class: self.class.unwrap_or(OrderClass::Simple),
            take_profit: maybe(take_profit.as_deref(), "take_profit.limit_price")?,
            stop_loss,
            book: book(self.book_id.as_deref())?,
            strategy: self.strategy,
        })
    }
}

/// Consent to an order that was previewed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderConfirmation {
    /// From the preview, made by oneself in the last 5 minutes.
    pub(super) preview_id: String,
}

/// What an order is placed with: all that it is, or the preview that showed it.
#[derive(ToSchema)]
#[schema(as = OrderPlacement)]
#[serde(untagged)]
pub(super) enum Placement {
    Order(Box<OrderRequest>),
    Confirmation(OrderConfirmation),
}

impl<S: Send + Sync> FromRequest<S> for Placement {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = json::bytes::<LARGEST_ORDER>(request).await?;
        // Read as one or the other, so that what is wrong is named by its field.
        if json::has_field(&body, "preview_id")? {
            return json::read(&body).map(Self::Confirmation);
        }
        json::read(&body).map(|order| Self::Order(Box::new(order))).map_err(in_words_of_orders)
    }
}

/// A number where text is needed, or `null`, is still about the quantity or the price.
pub(super) fn in_words_of_orders(problem: Problem) -> Problem {
    match problem.field.as_deref().and_then(rule_of) {
        Some(rule) if problem.code == Code::FieldInvalid => {
            Problem { rule: Some(rule.as_str().into()), code: Code::Order(rule), ..problem }
        }
        _ => problem,
    }
}

/// The rule about the form of a field.
fn rule_of(field: &str) -> Option<Rule> {
    Some(match field {
        "symbol" => Rule::Symbol,
        "quantity" => Rule::Quantity,
        "notional" => Rule::NotionalInvalid,
        "limit_price"
        | "stop_price"
        | "take_profit.limit_price"
        | "stop_loss.stop_price"
        | "stop_loss.limit_price" => Rule::Price,
        "trail_price" | "trail_percent" => Rule::TrailInvalid,
        "client_order_id" => Rule::ClientOrderId,
        "strategy" => Rule::Strategy,
        _ => return None,
    })
}

/// Text as the value of a field.
pub(in crate::api) fn number<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|why: T::Err| {
        in_words_of_orders(Problem::field(Code::FieldInvalid, field, sentence(&why.to_string())))
    })
}

/// The same where there may be none.
pub(in crate::api) fn maybe<T: std::str::FromStr>(
    text: Option<&str>,
    field: &str,
) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| number(text, field)).transpose()
}

/// How far a trailing stop stays behind, said in one of two ways.
pub(super) fn trail(price: Option<&str>, percent: Option<&str>) -> Result<Option<Trail>, Problem> {
    let price: Option<Price> = maybe(price, "trail_price")?;
    let percent: Option<Price> = maybe(percent, "trail_percent")?;
    match (price, percent) {
        (Some(_), Some(_)) => {
            let detail = "A trail is a `trail_price` or a `trail_percent`, not both.";
            Err(Problem::field(Code::FieldInvalid, "trail_percent", detail))
        }
        (price, percent) => Ok(price.map(Trail::Price).or(percent.map(|percent| Trail::Percent(percent.0)))),
    }
}

/// A book by its id; what is none names no book.
pub(super) fn book(id: Option<&str>) -> Result<Option<BookId>, Problem> {
    let book = id.map(str::parse::<BookId>).transpose();
    book.map_err(|_| Problem::field(Code::FieldInvalid, "book_id", "There is no such book."))
}

/// A symbol in a query.
pub(in crate::api) fn symbol(given: Option<&str>) -> Result<Option<Symbol>, Problem> {
    maybe(given, "symbol")
}
