//! The desk's page: a bundle made by `web/`, carried in the binary.
//!
//! `index.html` is written anew for each request, with a nonce for the one style tag that dialogs add; everything
//! else has a name that changes with its content, and may be kept for ever.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;
use rust_embed::RustEmbed;

use crate::Desk;
use crate::guard::Nonce;
use crate::pages;
use crate::problem::{Code, Problem};
use crate::session::SignedIn;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Bundle;

/// Everything that is neither the API nor a page of the desk's own.
pub(crate) async fn serve(
    State(desk): State<Desk>,
    method: Method,
    uri: Uri,
    who: Result<SignedIn, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    drop(request);
    if uri.path().starts_with("/api/") {
        return Err(Problem::new(Code::NotFound));
    }
    if method != Method::GET && method != Method::HEAD {
        return Err(Problem::new(Code::MethodNotAllowed));
    }
    let path = uri.path().trim_start_matches('/');
    // Icons, style and scripts hold nothing private: the bundle is the same for everybody.
    if path != "index.html"
        && let Some(file) = Bundle::get(path)
    {
        return Ok(asset(path, file));
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("assets/") || last.contains('.') {
        return Err(Problem::new(Code::NotFound));
    }
    if desk.identity.setup_required().await? {
        return Ok(Redirect::to("/set-up").into_response());
    }
    match who {
        Ok(_) => Ok(index()),
        Err(problem) if problem.code == Code::NotSignedIn => {
            let here = uri.path_and_query().map_or("/", |here| here.as_str());
            let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
            let to = if here == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={next}") };
            Ok(Redirect::to(&to).into_response())
        }
        Err(problem) => Err(problem),
    }
}

fn asset(path: &str, file: rust_embed::EmbeddedFile) -> Response {
    let kind =
        HeaderValue::from_str(file.metadata.mimetype()).unwrap_or(HeaderValue::from_static("text/plain"));
    let keep = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=300"
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static(keep))];
    (headers, file.data).into_response()
}

fn index() -> Response {
    let Some(file) = Bundle::get("index.html") else { return not_built() };
    let nonce = Nonce::random();
    let text = String::from_utf8_lossy(&file.data).replace("__CSP_NONCE__", &nonce.0);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{}'; connect-src 'self'; img-src 'self' data:; \
         font-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        nonce.0
    );
    let mut response = Html(text).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn not_built() -> Response {
    let page = pages::page(
        "Not built",
        "single",
        &html! {
            div {
                (pages::brand())
                main class="card" {
                    h1 { "The page was not built" }
                    p { "This program was compiled without its page. Build both with " code { "make run" } "." }
                    p { "The API works: see " a href="/api/docs" { "its documentation" } "." }
                }
            }
        },
    );
    (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
}
