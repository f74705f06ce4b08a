//! What all forms have: a token against forged ones, fields, and a notice of what was wrong.

use axum::http::header::{HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::problem::{Code, Problem};
use crate::session::cookie;

const COOKIE_NAME: &str = "__Host-form";

/// Refuses a form whose token is not that of the browser's cookie.
pub(crate) fn check(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let given = cookie(headers, COOKIE_NAME).unwrap_or_default();
    if given.is_empty() || !bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
        return Err(Problem::new(Code::FormExpired));
    }
    Ok(())
}

/// A page with a form, and the cookie that its token must match.
///
/// A browser that has a token keeps it, so that two open forms do not spoil each other.
pub(crate) fn show(
    headers: &HeaderMap,
    status: StatusCode,
    form: impl FnOnce(&Markup) -> Markup,
) -> Response {
    let known = cookie(headers, COOKIE_NAME).filter(|token| token.len() == 43);
    let token = known.map_or_else(|| vault::crypto::new_token().expose_secret().to_owned(), str::to_owned);
    let field = html! { input type="hidden" name="csrf" value=(token); };
    let mut response = (status, form(&field)).into_response();
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// What was wrong with the form that was sent.
pub(crate) fn notice(problem: Option<&Problem>) -> Markup {
    html! { @if let Some(problem) = problem { p class="notice" role="alert" { (problem.detail) } } }
}

/// One line to fill in.
pub(crate) struct Line<'a> {
    pub name: &'a str,
    pub label: &'a str,
    pub hint: &'a str,
    pub kind: &'a str,
    pub autocomplete: &'a str,
    pub value: &'a str,
}

impl Line<'_> {
    /// The field; marked when `problem` is about it.
    pub(crate) fn show(&self, problem: Option<&Problem>, first: bool) -> Markup {
        let wrong = problem.is_some_and(|problem| problem.field.as_deref() == Some(self.name));
        html! {
            label {
                (self.label)
                input name=(self.name) type=(self.kind) autocomplete=(self.autocomplete) value=(self.value)
                    autofocus[first] required aria-invalid=[wrong.then_some("true")]
                    autocapitalize="none" spellcheck="false";
                @if !self.hint.is_empty() { small { (self.hint) } }
            }
        }
    }
}

/// The two lines for a new password.
pub(crate) fn new_password(problem: Option<&Problem>) -> Markup {
    let line = |name, label, hint| {
        Line { name, label, hint, kind: "password", autocomplete: "new-password", value: "" }
            .show(problem, false)
    };
    html! {
        (line("password", "Password", "At least 15 characters; a few words are easy to remember."))
        (line("password_again", "Password again", ""))
    }
}

/// Refuses two passwords that differ.
pub(crate) fn same(password: &SecretString, again: &SecretString) -> Result<(), Problem> {
    if password.expose_secret() == again.expose_secret() {
        return Ok(());
    }
    Err(Problem::field(Code::PasswordRefused, "password_again", "The two passwords are not the same."))
}

/// A path on this desk to go to after signing in; anything else leads to the front.
pub(crate) fn local(next: Option<&str>) -> &str {
    let next = next.unwrap_or("/");
    let printable = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    // `//host` and `/\host` are other sites to a browser.
    if next.starts_with('/') && !next.starts_with("//") && printable { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;

    #[test]
    fn only_paths_of_the_desk_are_gone_to() {
        for good in ["/", "/orders?symbol=BTC-USD", "/a//b"] {
            assert_eq!(local(Some(good)), good);
        }
        for bad in
            ["//evil.example", "https://evil.example", "/\\evil", "evil", "", "/a\r\nSet-Cookie: x", "/é"]
        {
            assert_eq!(local(Some(bad)), "/");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn a_form_needs_the_token_of_the_cookie() {
        let mut headers = HeaderMap::new();
        assert!(check(&headers, "").is_err());
        headers.insert(COOKIE, HeaderValue::from_static("a=b; __Host-form=secret"));
        assert!(check(&headers, "secret").is_ok());
        assert!(check(&headers, "other").is_err() && check(&headers, "").is_err());
    }
}
