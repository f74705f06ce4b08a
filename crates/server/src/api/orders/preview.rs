//! An order looked at before it is placed.

use serde::Serialize;
use trading::{Check, Preview};
use utoipa::ToSchema;

use crate::Desk;
use crate::api::names::{NamedScope, Who};
use crate::api::words::{self, At, Decimal};

/// What an order would cost, and whether it would be taken.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderPreview {
    /// Place the order with it within 5 minutes: what is placed is what was shown, and a second click is no second order.
    preview_id: String,
    /// Units that would be ordered.
    quantity: Decimal,
    #[schema(required)]
    estimated_price: Option<Decimal>,
    estimated_notional: Decimal,
    estimated_fee: Decimal,
    /// What a purchase costs with the fee, or a sale brings after it.
    estimated_total: Decimal,
    buying_power_before: Decimal,
    buying_power_after: Decimal,
    checks: Vec<RiskCheck>,
    /// Whether it would be accepted.
    ok: bool,
    /// Why it would not be, other than by a check.
    #[schema(required)]
    refused: Option<String>,
    /// Somebody else has to agree to it, because of this limit.
    #[schema(required)]
    needs_approval: Option<ApprovalLimit>,
    /// What the desk would do itself because the broker cannot, as `bracket`: only while it runs.
    done_by_desk: Vec<String>,
    #[schema(required)]
    quote: Option<PreviewQuote>,
    #[schema(value_type = words::Mode)]
    mode: &'static str,
}

/// One check of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = Check)]
struct RiskCheck {
    /// Which rule, as in the list of problems.
    rule: String,
    /// The rule in a few words.
    title: &'static str,
    ok: bool,
    detail: String,
    /// What is allowed.
    #[schema(required)]
    limit: Option<String>,
    /// What the order has.
    #[schema(required)]
    value: Option<String>,
    /// Which field of the request it is about.
    #[schema(required)]
    field: Option<String>,
    /// What the limit is set on.
    #[schema(required)]
    scope: Option<NamedScope>,
    /// Who set the limit.
    #[schema(required)]
    set_by: Option<Who>,
}

/// The limit above which a second person has to agree.
#[derive(Serialize, ToSchema)]
struct ApprovalLimit {
    limit: String,
    scope: NamedScope,
    set_by: Who,
}

/// The quote an order was priced on.
#[derive(Serialize, ToSchema)]
struct PreviewQuote {
    #[schema(required)]
    bid: Option<Decimal>,
    #[schema(required)]
    ask: Option<Decimal>,
    quote_at: At,
}

impl OrderPreview {
    pub(super) async fn new(desk: &Desk, preview: Preview) -> Self {
        let mut checks = Vec::with_capacity(preview.checks.len());
        for check in &preview.checks {
            checks.push(RiskCheck::new(desk, check).await);
        }
        let needs_approval = match &preview.needs_approval {
            Some(limit) => Some(ApprovalLimit {
                limit: limit.value.to_string(),
                scope: NamedScope::of(desk, &limit.scope).await,
                set_by: Who::of(desk, &limit.set_by).await,
            }),
            None => None,
        };
        Self {
            ok: preview.passed(),
            preview_id: preview.id,
            quantity: preview.quantity.into(),
            estimated_price: preview.estimated_price.map(Decimal::from),
            estimated_notional: preview.notional.into(),
            estimated_fee: preview.fee.into(),
            estimated_total: preview.total.into(),
            buying_power_before: preview.buying_power_before.into(),
            buying_power_after: preview.buying_power_after.into(),
            checks,
            refused: preview.refused.as_deref().map(crate::problem::sentence),
            needs_approval,
            done_by_desk: preview.done_by_desk,
            quote: preview.quote.map(|quote| PreviewQuote {
                bid: quote.bid.map(|(price, _)| price.into()),
                ask: quote.ask.map(|(price, _)| price.into()),
                quote_at: At(quote.at),
            }),
            mode: preview.mode.as_str(),
        }
    }
}

impl RiskCheck {
    async fn new(desk: &Desk, check: &Check) -> Self {
        Self {
            rule: check.rule.as_str().to_owned(),
            title: check.rule.title(),
            ok: check.passed,
            detail: check.finding(),
            limit: check.limit(),
            value: check.value(),
            field: check.field.map(str::to_owned),
            scope: match check.scope() {
                Some(scope) => Some(NamedScope::of(desk, scope).await),
                None => None,
            },
            set_by: match check.set_by() {
                Some(id) => Some(Who::of(desk, id).await),
                None => None,
            },
        }
    }
}
