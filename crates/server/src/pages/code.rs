//! The second step of signing in: a code of the authenticator app, or a recovery code.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use identity::CodeError;
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::forms::{self, Line};
use super::session::Next;
use crate::Desk;
use crate::json::{Form, Query};
use crate::problem::Problem;
use crate::session::{Anonymous, agent, challenge, clear_challenge, set_cookie};

/// Where the code is asked for, and where to go from there.
pub(super) fn with_next(next: &str) -> String {
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("/sign-in/code?next={next}")
}

/// `GET /sign-in/code`. Who owes no code begins with the password.
pub(super) async fn form(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(query): Query<Next>,
) -> Result<Response, Problem> {
    let waited_for = match challenge(&headers) {
        Some(token) => desk.identity.is_challenged(token).await?,
        None => false,
    };
    if !waited_for {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    Ok(show(&headers, StatusCode::OK, forms::local(query.next.as_deref()), None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownCode {
    csrf: String,
    code: SecretString,
    next: Option<String>,
}

/// `POST /sign-in/code`.
pub(super) async fn finish(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Form(form): Form<ShownCode>,
) -> Result<Response, Problem> {
    forms::check(&headers, &form.csrf)?;
    let next = forms::local(form.next.as_deref());
    let token = challenge(&headers).unwrap_or_default();
    match desk.identity.finish_sign_in(&ctx, token, &form.code, agent(&headers)).await {
        Ok(signed_in) => {
            let mut response = Redirect::to(next).into_response();
            set_cookie(&mut response, &signed_in);
            clear_challenge(&mut response);
            Ok(response)
        }
        Err(error @ CodeError::Over) => {
            let problem = Problem::from(error);
            let status = problem.code.status();
            let mut response = super::session::show(&headers, status, next, "", Some(&problem));
            clear_challenge(&mut response);
            Ok(response)
        }
        Err(error) => {
            let problem = Problem::from(error);
            Ok(show(&headers, problem.code.status(), next, Some(&problem)))
        }
    }
}

fn show(headers: &HeaderMap, status: StatusCode, next: &str, problem: Option<&Problem>) -> Response {
    let code = Line {
        name: "code",
        label: "Code",
        hint: "Six digits from your authenticator app, or one of your recovery codes.",
        kind: "text",
        autocomplete: "one-time-code",
        value: "",
    };
    forms::show(headers, status, |token| {
        super::card(
            "Second factor",
            &html! {
                form method="post" action="/sign-in/code" {
                    (forms::notice(problem))
                    (token)
                    input type="hidden" name="next" value=(next);
                    (code.show(problem, true))
                    button { "Sign in" }
                }
                p class="foot" {
                    "Lost both? Whoever runs the desk can remove your second factor. "
                    a href="/sign-in" { "Back to the password" }
                }
            },
        )
    })
}
