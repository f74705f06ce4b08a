//! How the desk says no in Alpaca's form: a status, a number, words, and the figures that clients read.
//!
//! The clients show the words to people as they are, and fail on an answer that is no JSON.

use alpaca::{Amount, Problem as Form, code};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::{Denied, OrderRequest, Quantity, Symbol};
use storage::StorageError;
use trading::{AmendError, CancelError, Check, Rule, SubmitError};

use super::symbols;
use crate::problem::{Code, Problem, sentence};

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    form: Box<Form>,
    /// What the caller was denied, if that is yet to be written to the audit log.
    denied: Option<Box<str>>,
    /// Seconds to wait.
    retry_after: Option<u64>,
}

/// Left on an answer, for the audit log: what the caller was denied.
#[derive(Clone)]
pub(crate) struct DeniedToBot(pub Box<str>);

impl Refusal {
    /// In words, with the number that goes with the status.
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        // Alpaca's numbers are the status and a detail, which is mostly this.
        let number = u32::from(status.as_u16()) * 100_000 + 10_000;
        Self::of(status, Form::new(number, words))
    }

    fn of(status: StatusCode, form: Form) -> Self {
        Self { status, form: Box::new(form), denied: None, retry_after: None }
    }

    /// A parameter that is missing or cannot be read.
    pub(super) fn parameter(words: impl Into<String>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, Form::new(code::INVALID, words))
    }

    /// Well formed, and impossible.
    pub(super) fn impossible(words: impl Into<String>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, Form::new(code::UNPROCESSABLE, words))
    }

    /// No such thing, or none that may be seen.
    pub(super) fn not_found(words: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, words)
    }

    /// The desk forbids it.
    pub(super) fn forbidden(words: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, words)
    }

    /// As an item of an answer with several: its own status, and its form.
    pub(super) fn into_item(self) -> (u16, Form) {
        (self.status.as_u16(), *self.form)
    }

    /// Why an order was not accepted.
    pub(super) fn of_order(refused: SubmitError, request: &OrderRequest, held: Holdings) -> Self {
        match refused {
            SubmitError::Refused(check) => Self::of_check(&check, &request.symbol, held),
            other => other.into(),
        }
    }

    /// There is less of an instrument than was to be sold.
    pub(super) fn too_little(symbol: &Symbol, wanted: Quantity, free: Quantity, held: Holdings) -> Self {
        let words = format!("insufficient qty available for order (requested: {wanted}, available: {free})");
        let form = Form {
            available: Some(free.into()),
            existing_qty: Some(held.existing.into()),
            held_for_orders: Some(held.held.into()),
            symbol: Some(symbols::shown(symbol)),
            ..Form::new(code::FORBIDDEN, words)
        };
        Self::of(StatusCode::FORBIDDEN, form)
    }

    /// Which rule an order breaks.
    pub(super) fn of_check(check: &Check, symbol: &Symbol, held: Holdings) -> Self {
        let amount = |text: Option<String>| text.and_then(|text| text.parse::<Amount>().ok());
        match check.rule {
            Rule::BuyingPower | Rule::BookBuyingPower => {
                let form = Form {
                    buying_power: amount(check.limit()),
                    cost_basis: amount(check.value()),
                    ..Form::new(code::FORBIDDEN, "insufficient buying power")
                };
                Self::of(StatusCode::FORBIDDEN, form)
            }
            Rule::Position | Rule::BookPosition => {
                let units = |text: Option<String>| amount(text).unwrap_or_default().quantity();
                Self::too_little(symbol, units(check.value()), units(check.limit()), held)
            }
            Rule::Symbol => Self::impossible(format!("asset \"{}\" not found", symbols::shown(symbol))),
            Rule::PriceOffTick => Self::impossible(format!(
                "invalid {} {}. sub-penny increment does not fulfill minimum pricing criteria",
                check.field.unwrap_or("limit_price"),
                check.value().unwrap_or_default(),
            )),
            // What there is of a share in steps of one.
            Rule::Quantity | Rule::QuantityTooSmall if !symbol.is_pair() && is_part(check) => {
                Self::forbidden(format!("asset \"{symbol}\" is not fractionable"))
            }
            Rule::SessionClosed => Self::impossible(format!("market is closed: {}", check.detail())),
            Rule::SelfCross => Self::forbidden(format!(
                "potential wash trade detected. use complex orders: {}",
                check.detail()
            )),
            Rule::ShortSelling => {
                Self::forbidden(format!("account is not allowed to short: {}", check.detail()))
            }
            // What is wrong with the order itself, whoever places it whenever.
            Rule::ClientOrderId
            | Rule::Strategy
            | Rule::Quantity
            | Rule::QuantityTooSmall
            | Rule::QuantityTooLarge
            | Rule::NotionalInvalid
            | Rule::PriceRequired
            | Rule::PriceNotAllowed
            | Rule::Price
            | Rule::StopRequired
            | Rule::StopNotAllowed
            | Rule::StopSide
            | Rule::TrailRequired
            | Rule::TrailNotAllowed
            | Rule::TrailInvalid
            | Rule::LegRequired
            | Rule::LegNotAllowed
            | Rule::LegSide
            | Rule::Class
            | Rule::TimeInForce
            | Rule::ExtendedHours => Self::impossible(check.detail()),
            // What the desk, or somebody on it, does not let through now.
            _ => Self::forbidden(check.detail()),
        }
    }
}

/// Whether a quantity is refused because it is no whole number.
fn is_part(check: &Check) -> bool {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<domain::Decimal>().ok());
    let is_whole = |number: Option<domain::Decimal>| number.is_some_and(|number| number.fract().is_zero());
    is_whole(number(check.limit())) && number(check.value()).is_some_and(|value| !value.fract().is_zero())
}

/// What an account holds of an instrument, for the refusal of a sale.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holdings {
    /// Units held.
    pub existing: Quantity,
    /// Of them those that open orders sell.
    pub held: Quantity,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.form)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        if let Some(denied) = self.denied {
            response.extensions_mut().insert(DeniedToBot(denied));
        }
        response
    }
}

/// What the rest of the server says no with, in Alpaca's form: status and body.
pub(crate) fn form_of(problem: &Problem) -> (StatusCode, String) {
    let Refusal { status, form, .. } = Refusal::from(problem.clone());
    (status, serde_json::to_string(&form).expect("a refusal is only text and numbers"))
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, form) = match problem.code {
            Code::NotSignedIn => (StatusCode::UNAUTHORIZED, Form::new(code::UNAUTHORIZED, "unauthorized")),
            Code::KeyRefused => (
                StatusCode::UNAUTHORIZED,
                Form::new(code::UNAUTHORIZED, format!("unauthorized: {}", problem.detail)),
            ),
            Code::FieldMissing | Code::FieldInvalid | Code::FieldUnknown => {
                (StatusCode::UNPROCESSABLE_ENTITY, Form::new(code::INVALID, &*problem.detail))
            }
            other => {
                let status = other.status();
                (status, *Self::new(status, &*problem.detail).form)
            }
        };
        let retry_after = problem.retry_after.map(|wait| wait.as_secs().max(1));
        Self { denied: problem.denied, retry_after, ..Self::of(status, form) }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Problem::from(denied).into()
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Problem::from(error).into()
    }
}

impl From<SubmitError> for Refusal {
    fn from(refused: SubmitError) -> Self {
        let words = sentence(&refused.to_string());
        match refused {
            SubmitError::Denied(denied) => denied.into(),
            SubmitError::Refused(check) => Self::forbidden(check.detail()),
            SubmitError::ClientOrderIdConflict { .. } => Self::of(
                StatusCode::UNPROCESSABLE_ENTITY,
                Form::new(code::DUPLICATE, "client_order_id must be unique"),
            ),
            SubmitError::NoPosition { .. } => Self::not_found("position does not exist"),
            SubmitError::Unsupported { .. } => Self::impossible(words),
            SubmitError::Killed(_)
            | SubmitError::Blind(_)
            | SubmitError::Paused { .. }
            | SubmitError::NotLive
            | SubmitError::AwaitsApproval { .. }
            | SubmitError::NeedsApproval(_)
            | SubmitError::Book(_)
            | SubmitError::PreviewExpired => Self::forbidden(words),
            // 503: no client repeats an order on that.
            SubmitError::Journal(error) => {
                tracing::error!(%error, "an order could not be journaled");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the order could not be journaled and was not sent",
                )
            }
        }
    }
}

impl From<CancelError> for Refusal {
    fn from(refused: CancelError) -> Self {
        match refused {
            CancelError::NotFound => Self::not_found("order not found"),
            CancelError::Denied(denied) => denied.into(),
            CancelError::NotOpen { status } => {
                Self::impossible(format!("order is already in \"{status}\" state"))
            }
            CancelError::Journal(error) => {
                tracing::error!(%error, "a cancel could not be journaled");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the cancel was passed on, but could not be journaled",
                )
            }
            CancelError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "the desk is shutting down"),
        }
    }
}

impl From<AmendError> for Refusal {
    fn from(refused: AmendError) -> Self {
        match refused {
            AmendError::NotFound => Self::not_found("order not found"),
            AmendError::NotReplaceable { status } if status.is_terminal() => {
                Self::impossible(format!("order is already in \"{status}\" state"))
            }
            AmendError::NotReplaceable { status } => {
                Self::impossible(format!("an order that is {status} cannot be replaced"))
            }
            AmendError::Submit(error) => error.into(),
            AmendError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "the desk is shutting down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_the_desk_has_a_number_that_begins_with_its_status() {
        for code in Code::all() {
            let (status, body) = form_of(&Problem::new(code));
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let number = body["code"].as_u64().unwrap();
            assert_eq!(number / 100_000, u64::from(status.as_u16()), "{}", code.as_str());
            assert!(!body["message"].as_str().unwrap().is_empty());
        }
    }
}
