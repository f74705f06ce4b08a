//! The first owner: whoever holds the one-time code that the desk printed.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::forms::{self, Line};
use crate::Desk;
use crate::json::{Form, Query};
use crate::problem::Problem;
use crate::session::Anonymous;

#[derive(Deserialize)]
pub(super) struct Link {
    code: Option<String>,
}

/// `GET /set-up`. The code is not looked at before the form is sent: opening a link changes nothing.
pub(super) async fn form(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Result<Response, Problem> {
    if !desk.identity.setup_required().await? {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let form = Owner { code: link.code.unwrap_or_default(), ..Owner::default() };
    Ok(show(&headers, StatusCode::OK, &form, None))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    csrf: String,
    code: String,
    username: String,
    display_name: String,
    password: SecretString,
    password_again: SecretString,
}

/// `POST /set-up`.
pub(super) async fn claim(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Form(form): Form<Owner>,
) -> Result<Response, Problem> {
    forms::check(&headers, &form.csrf)?;
    let claimed = match forms::same(&form.password, &form.password_again) {
        Err(differ) => Err(differ),
        Ok(()) => desk
            .identity
            .claim_owner(&ctx, &form.code, &form.username, &form.display_name, &form.password)
            .await
            .map_err(Problem::from),
    };
    match claimed {
        Ok(_) => Ok(Redirect::to("/sign-in").into_response()),
        Err(problem) => Ok(show(&headers, problem.code.status(), &form, Some(&problem))),
    }
}

fn show(headers: &HeaderMap, status: StatusCode, form: &Owner, problem: Option<&Problem>) -> Response {
    let line = |name, label, hint, autocomplete, value| Line {
        name,
        label,
        hint,
        kind: "text",
        autocomplete,
        value,
    };
    let code =
        line("code", "Set-up code", "The desk printed it when it started.", "one-time-code", &form.code);
    let username = line("username", "User name", "What you sign in with.", "username", &form.username);
    let name = line("display_name", "Your name", "What others on the desk see.", "name", &form.display_name);
    forms::show(headers, status, |token| {
        super::card(
            "Set up the desk",
            &html! {
                p class="soft" { "You become its owner, and may invite others later." }
                form method="post" action="/set-up" {
                    (forms::notice(problem))
                    (token)
                    (code.show(problem, form.code.is_empty()))
                    (username.show(problem, !form.code.is_empty()))
                    (name.show(problem, false))
                    (forms::new_password(problem))
                    button { "Create the owner" }
                }
            },
        )
    })
}
