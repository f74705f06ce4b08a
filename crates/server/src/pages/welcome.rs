//! An invited person chooses a password.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use identity::{Invited, SetUpError};
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::forms;
use crate::Desk;
use crate::json::{Form, Query};
use crate::problem::{Code, Problem, sentence};
use crate::session::Anonymous;

#[derive(Deserialize)]
pub(super) struct Link {
    code: Option<String>,
}

/// `GET /welcome`.
pub(super) async fn form(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Result<Response, Problem> {
    let code = link.code.unwrap_or_default();
    let invited = desk.identity.invited(&code).await?.ok_or_else(|| Problem::new(Code::CodeInvalid))?;
    Ok(show(&headers, StatusCode::OK, &code, &invited, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Welcome {
    csrf: String,
    code: String,
    /// Sent for password managers; the code says who it is.
    #[serde(rename = "username")]
    _username: String,
    password: SecretString,
    password_again: SecretString,
}

/// `POST /welcome`.
pub(super) async fn accept(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Form(form): Form<Welcome>,
) -> Result<Response, Problem> {
    forms::check(&headers, &form.csrf)?;
    let accepted = match forms::same(&form.password, &form.password_again) {
        Err(differ) => Err(differ),
        Ok(()) => {
            desk.identity.accept_invitation(&ctx, &form.code, &form.password).await.map_err(Problem::from)
        }
    };
    match accepted {
        Ok(_) => Ok(Redirect::to("/sign-in").into_response()),
        Err(problem) => {
            let invited = desk.identity.invited(&form.code).await?.ok_or(problem.clone())?;
            Ok(show(&headers, problem.code.status(), &form.code, &invited, Some(&problem)))
        }
    }
}

fn show(
    headers: &HeaderMap,
    status: StatusCode,
    code: &str,
    invited: &Invited,
    problem: Option<&Problem>,
) -> Response {
    forms::show(headers, status, |token| {
        super::card(
            &format!("Welcome, {}", invited.display_name),
            &html! {
                p class="soft" { "Choose a password. You sign in as " strong { (invited.username) } "." }
                form method="post" action="/welcome" {
                    (forms::notice(problem))
                    (token)
                    input type="hidden" name="code" value=(code);
                    // Lets password managers save the name together with the password.
                    input type="text" name="username" value=(invited.username) autocomplete="username" readonly hidden;
                    (forms::new_password(problem))
                    button { "Save the password" }
                }
            },
        )
    })
}

impl From<SetUpError> for Problem {
    fn from(error: SetUpError) -> Self {
        let text = sentence(&error.to_string());
        match error {
            SetUpError::CodeInvalid => Self { field: Some("code".into()), ..Self::new(Code::CodeInvalid) },
            SetUpError::UsernameInvalid(_) => Self::field(Code::FieldInvalid, "username", text),
            SetUpError::UsernameTaken => Self::field(Code::UsernameTaken, "username", text),
            SetUpError::DisplayNameInvalid => Self::field(Code::FieldInvalid, "display_name", text),
            SetUpError::Password(rule) => Self {
                rule: Some(rule.as_str().into()),
                ..Self::field(Code::PasswordRefused, "password", sentence(&rule.to_string()))
            },
            SetUpError::Busy => Self::new(Code::Busy),
            SetUpError::Storage(error) => error.into(),
        }
    }
}
