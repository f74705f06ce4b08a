//! Pages that the desk writes itself, without scripts: they work when the page's bundle does not.
//!
//! Signing in, in one step or two, and out, the first owner's set-up, an invited person's welcome, and problems that a browser meets.
//! A form carries the token of a cookie that only the same browser on the same site has; its `Origin` is checked
//! like that of every request ([`crate::guard`]).

mod code;
mod forms;
mod session;
mod set_up;
mod welcome;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::Desk;
use crate::docs;
use crate::problem::{Code, Problem};

/// The pages and their style sheet.
pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/sign-in", get(session::form).post(session::sign_in))
        .route("/sign-in/code", get(code::form).post(code::finish))
        .route("/sign-out", axum::routing::post(session::sign_out))
        .route("/set-up", get(set_up::form).post(set_up::claim))
        .route("/welcome", get(welcome::form).post(welcome::accept))
        .route("/desk.css", get(style))
        .route("/docs.js", get(docs::script))
}

async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("pages/style.css"))
}

/// A stockade: pointed posts side by side.
const MARK: &str = "<svg viewBox='0 0 24 24' fill='currentColor' aria-hidden='true'>\
    <path d='M2 7l2.5-4L7 7v14H2zM9.5 7L12 3l2.5 4v14h-5zM17 7l2.5-4L22 7v14h-5z'/></svg>";

/// The frame that all pages have.
pub(crate) fn page(title: &str, class: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="dark light";
                title { (title) " · Stockade" }
                link rel="stylesheet" href="/desk.css";
                link rel="icon" href="data:,";
            }
            body class=(class) { (body) }
        }
    }
}

/// The product's name and sign.
pub(crate) fn brand() -> Markup {
    html! { div class="brand" { (PreEscaped(MARK)) "Stockade" } }
}

/// A page with one card in its middle.
fn card(title: &str, content: &Markup) -> Markup {
    page(title, "single", &html! { div { (brand()) main class="card" { h1 { (title) } (content) } } })
}

/// What a browser shows when a page could not be had.
pub(crate) fn problem(problem: &Problem, request_id: &str) -> Markup {
    let way_out = match problem.code {
        Code::SetUpRequired => None,
        Code::FormExpired | Code::SignInFailed | Code::NotSignedIn => Some(("/sign-in", "Sign in")),
        _ => Some(("/", "To the desk")),
    };
    card(
        problem.code.title(),
        &html! {
            p { (problem.detail) }
            @if let Some((href, label)) = way_out { p { a href=(href) { (label) } } }
            p class="foot" { "Request " (request_id) }
        },
    )
}
