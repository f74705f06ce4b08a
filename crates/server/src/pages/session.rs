//! Signing in and out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use identity::SignIn as Step;
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::code;
use super::forms::{self, Line};
use crate::Desk;
use crate::json::{Form, Query};
use crate::problem::Problem;
use crate::session::{Anonymous, SignedIn, agent, clear_cookie, set_challenge, set_cookie};

#[derive(Deserialize)]
pub(super) struct Next {
    pub(super) next: Option<String>,
}

/// `GET /sign-in`.
pub(super) async fn form(
    State(desk): State<Desk>,
    headers: HeaderMap,
    who: Result<SignedIn, Problem>,
    Query(query): Query<Next>,
) -> Result<Response, Problem> {
    if desk.identity.setup_required().await? {
        return Ok(Redirect::to("/set-up").into_response());
    }
    let next = forms::local(query.next.as_deref());
    if who.is_ok() {
        return Ok(Redirect::to(next).into_response());
    }
    Ok(show(&headers, StatusCode::OK, next, "", None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    csrf: String,
    username: String,
    password: SecretString,
    next: Option<String>,
}

/// `POST /sign-in`.
pub(super) async fn sign_in(
    State(desk): State<Desk>,
    Anonymous(ctx): Anonymous,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    forms::check(&headers, &form.csrf)?;
    let next = forms::local(form.next.as_deref());
    match desk.identity.sign_in(&ctx, &form.username, &form.password, agent(&headers)).await {
        Ok(Step::Complete(signed_in)) => {
            let mut response = Redirect::to(next).into_response();
            set_cookie(&mut response, &signed_in);
            Ok(response)
        }
        Ok(Step::CodeNeeded(challenge)) => {
            let mut response = Redirect::to(&code::with_next(next)).into_response();
            set_challenge(&mut response, &challenge, ctx.at);
            Ok(response)
        }
        Err(error) => {
            let problem = Problem::from(error);
            Ok(show(&headers, problem.code.status(), next, &form.username, Some(&problem)))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignOut {
    csrf: String,
}

/// `POST /sign-out`, for pages without scripts; the desk's page asks the API.
pub(super) async fn sign_out(
    State(desk): State<Desk>,
    headers: HeaderMap,
    who: Result<SignedIn, Problem>,
    Form(form): Form<SignOut>,
) -> Result<Response, Problem> {
    forms::check(&headers, &form.csrf)?;
    if let Ok(who) = who {
        desk.identity.sign_out(who.context()).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    clear_cookie(&mut response);
    Ok(response)
}

/// The form; `pages/code.rs` sends people back here when it waited for too long.
pub(super) fn show(
    headers: &HeaderMap,
    status: StatusCode,
    next: &str,
    username: &str,
    problem: Option<&Problem>,
) -> Response {
    let name = Line {
        name: "username",
        label: "User name",
        hint: "",
        kind: "text",
        autocomplete: "username",
        value: username,
    };
    let password = Line {
        name: "password",
        label: "Password",
        hint: "",
        kind: "password",
        autocomplete: "current-password",
        value: "",
    };
    forms::show(headers, status, |token| {
        super::card(
            "Sign in",
            &html! {
                form method="post" action="/sign-in" {
                    (forms::notice(problem))
                    (token)
                    input type="hidden" name="next" value=(next);
                    (name.show(problem, username.is_empty()))
                    (password.show(problem, !username.is_empty()))
                    button { "Sign in" }
                }
                p class="foot" { "Forgotten the password? Whoever runs the desk can send you a new link." }
            },
        )
    })
}
