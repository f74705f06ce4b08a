//! Real money on an account: switched on with a second factor, off by whoever may stop it.

use axum::extract::State;
use domain::AccountId;
use serde::Deserialize;
use trading::LiveError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AccountDetail;
use crate::Desk;
use crate::idempotency::Key;
use crate::json::{Json, LARGEST_ORDER, Path};
use crate::problem::{Code, Problem, ProblemBody, sentence};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(switch_live_on)).routes(routes!(switch_live_off))
}

/// Which account is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LiveSwitch {
    /// The account's name, repeated so that nobody switches on the wrong one.
    name: String,
}

/// Switch real money on
///
/// Needs a second factor of the last 5 minutes. Whoever trades then also needs a grant for real money.
#[utoipa::path(post, path = "/api/v1/accounts/{id}/live", tag = "Accounts", request_body = LiveSwitch,
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn switch_live_on(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
    Json(body): Json<LiveSwitch, LARGEST_ORDER>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    desk.gateway.switch_live(who.context(), account, true, &body.name).await?;
    detail(&desk, &who, account)
}

/// Switch real money off
///
/// No new orders are accepted from now on. What works at the broker goes on working: the kill switch stops it.
#[utoipa::path(delete, path = "/api/v1/accounts/{id}/live", tag = "Accounts",
    params(("id" = String, Path, description = "The account."), Key),
    responses((status = 200, body = AccountDetail), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn switch_live_off(
    State(desk): State<Desk>,
    who: SignedIn,
    Path(account): Path<AccountId>,
) -> Result<axum::Json<AccountDetail>, Problem> {
    desk.gateway.switch_live(who.context(), account, false, "").await?;
    detail(&desk, &who, account)
}

fn detail(desk: &Desk, who: &SignedIn, account: AccountId) -> Result<axum::Json<AccountDetail>, Problem> {
    let ctx = who.context();
    let detail = AccountDetail::new(ctx, desk.gateway.account(ctx, account)?);
    detail.map(axum::Json).ok_or_else(|| Problem::new(Code::NotFound))
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            LiveError::Denied(denied) => denied.into(),
            LiveError::StepUp(needed) => needed.into(),
            LiveError::WrongName => Self::field(Code::FieldInvalid, "name", text),
            LiveError::Paper => Self::with(Code::AccountOnPaper, text),
            LiveError::Journal(error) => error.into(),
        }
    }
}
