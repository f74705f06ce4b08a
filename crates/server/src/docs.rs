//! The API's documentation for people, written from the OpenAPI document. Nothing is from elsewhere; a script of the desk's own
//! lets a route be tried ([`trying`]), and all but that works without it.

mod trying;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::Value;

use crate::problem::Code;
use crate::session::SignedIn;
use crate::{Desk, access, pages};

pub(crate) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/docs", get(overview))
        .route("/api/docs/problems", get(problems))
        .route("/api/v1/openapi.json", get(document))
}

async fn document(_: SignedIn) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi())
}

/// Lets the page send what is tried, to this desk alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; frame-ancestors 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What the page runs.
pub(crate) async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("docs/try.js"))
}

async fn overview(State(_): State<Desk>, _: SignedIn) -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], page())
}

fn page() -> Markup {
    let document: Value = serde_json::from_str(&crate::openapi()).expect("the document is JSON");
    let operations = operations(&document);
    let mut tags: Vec<&str> = Vec::new();
    for operation in &operations {
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
    }
    let of = |tag: &str| operations.iter().filter(|operation| operation.tag == tag).collect::<Vec<_>>();
    pages::page(
        "API",
        "docs",
        &html! {
            nav aria-label="Contents" {
                (pages::brand())
                ul { li { a href="/" { "Desk" } } li { a href="/api/docs/problems" { "Problems" } } li { a href="/api/v1/openapi.json" { "OpenAPI 3.1" } } }
                @for tag in &tags {
                    h2 { (tag) }
                    ul { @for one in of(tag) { li { a href={ "#" (one.id) } { (one.summary) } } } }
                }
                h2 { "Stream" }
                ul { li { a href="#stream" { "Live events" } } }
            }
            main {
                h1 { "The desk's API" }
                @for paragraph in text(&document["info"]["description"]).split("\n\n") { p { (paragraph) } }
                (signing_in())
                @for tag in &tags {
                    section { h2 { (tag) } @for one in of(tag) { (one.show(&document)) } }
                }
                (stream())
            }
            script src="/docs.js" type="module" {}
        },
    )
}

fn signing_in() -> Markup {
    html! {
        section {
            h2 { "Signing in from a program" }
            pre { code {
                "curl -c jar https://localhost:8443/api/v1/session \\\n"
                "  -H 'Content-Type: application/json' -d '{\"username\":\"…\",\"password\":\"…\"}'\n"
                "curl -b jar https://localhost:8443/api/v1/accounts"
            } }
            p { "A refusal is " code { "application/problem+json" } " (RFC 9457) with a stable " code { "code" } "; see "
                a href="/api/docs/problems" { "all of them" } "." }
        }
    }
}

/// One route, as the document has it.
struct Operation<'d> {
    id: &'d str,
    tag: &'d str,
    verb: String,
    path: &'d str,
    summary: &'d str,
    of: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let routes = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(verb, of)| Operation {
            id: text(&of["operationId"]),
            tag: text(&of["tags"][0]),
            verb: verb.to_uppercase(),
            path,
            summary: text(&of["summary"]),
            of,
        })
    });
    routes.collect()
}

impl Operation<'_> {
    fn show(&self, document: &Value) -> Markup {
        let body = &self.of["requestBody"]["content"]["application/json"]["schema"];
        let answers = self.of["responses"].as_object().into_iter().flatten();
        html! {
            article id=(self.id) {
                h3 { span class="verb" { (self.verb) } (self.path) }
                @if self.of["deprecated"] == true { p class="old" { "Deprecated: it will not be there for ever." } }
                p { strong { (self.summary) ". " } (text(&self.of["description"])) }
                @if let Some(needs) = access::of(&self.verb, self.path) {
                    p class="who" { "For: " (needs.words()) }
                }
                @if let Some(parameters) = self.of["parameters"].as_array().filter(|all| !all.is_empty()) {
                    h4 { "Parameters" }
                    div class="scroll" { table {
                        @for one in parameters {
                            tr {
                                th scope="row" { code { (text(&one["name"])) } }
                                td { (text(&one["in"])) @if one["required"] == true { ", required" } }
                                td { (kind(document, &one["schema"])) }
                                td { (text(&one["description"])) }
                            }
                        }
                    } }
                }
                @if !body.is_null() { h4 { "Body" } (fields(document, body)) }
                @for (status, answer) in answers.filter(|(status, _)| *status != "default") {
                    @let schema = &answer["content"]["application/json"]["schema"];
                    h4 { "Answer " (status) }
                    @if schema.is_null() { p { "Nothing." } } @else { (fields(document, schema)) }
                }
                (trying::form(document, &self.verb, self.path, self.of))
            }
        }
    }
}

/// The fields of an object, with what they refer to one level down.
fn fields(document: &Value, schema: &Value) -> Markup {
    let parts = all_of(document, schema);
    html! {
        div class="scroll" { table {
            @for part in parts {
                @let required = part["required"].as_array().cloned().unwrap_or_default();
                @for (name, field) in part["properties"].as_object().into_iter().flatten() {
                    tr {
                        th scope="row" { code { (name) } }
                        td { (kind(document, field)) @if !required.iter().any(|one| one == name) { ", optional" } }
                        td { (about(document, field)) }
                    }
                }
            }
        } }
    }
}

/// The objects that a schema is put together from, or is one of.
fn all_of<'d>(document: &'d Value, schema: &'d Value) -> Vec<&'d Value> {
    let schema = resolve(document, schema);
    match schema["allOf"].as_array().or(schema["oneOf"].as_array()) {
        Some(parts) => parts.iter().flat_map(|part| all_of(document, part)).collect(),
        None => vec![schema],
    }
}

fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(path) => document.pointer(path).unwrap_or(schema),
        None => schema,
    }
}

/// What a field is, in words: `decimal or null`, `list of Order`.
fn kind(document: &Value, schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let named = resolve(document, schema);
        return if named["enum"].is_array() { kind(document, named) } else { name.to_lowercase() };
    }
    if let Some(either) = schema["oneOf"].as_array() {
        return either.iter().map(|one| kind(document, one)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(text).collect::<Vec<_>>().join(" | ");
    }
    match &schema["type"] {
        Value::Array(either) => either.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(name) if name == "array" => format!("list of {}", kind(document, &schema["items"])),
        Value::String(name) => schema["format"].as_str().unwrap_or(name).to_owned(),
        _ => "object".to_owned(),
    }
}

fn about<'d>(document: &'d Value, field: &'d Value) -> &'d str {
    let own = text(&field["description"]);
    if own.is_empty() { text(&resolve(document, field)["description"]) } else { own }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn stream() -> Markup {
    let topics = [
        ("trades:SYMBOL", "Prints on the tape."),
        ("quotes:SYMBOL", "Best bid and ask, the newest at most ten times a second."),
        (
            "bars:SYMBOL:1s, bars:SYMBOL:1m",
            "Bars while they grow, when they are final, and when a late trade amends them.",
        ),
        ("orders:ACCOUNT", "Orders as they change."),
        ("fills:ACCOUNT", "Executions as they are booked."),
        ("unknown:ACCOUNT", "Orders whose outcome is not known: all of them, whenever that changes."),
        ("positions:ACCOUNT", "Positions as they change, in quantity or worth."),
        ("account:ACCOUNT", "Balances and state of an account."),
        (
            "kill-switches, limits, approvals:ACCOUNT",
            "Only gaps: something changed, of which everybody may see a different part. Take a snapshot.",
        ),
        ("feed", "State of the market data feeds."),
    ];
    let answers = [
        ("hello", "First. `epoch` names this run of the desk; numbers of another run mean nothing."),
        (
            "subscribed",
            "`seq` is the number of the last event before. With `resumed: true` the missed events follow; otherwise take a snapshot from the REST API now.",
        ),
        ("unsubscribed", "Nothing more comes of the topic."),
        ("event", "`seq` grows by one within a topic; `data` is what the REST API would show."),
        ("gap", "Events `from_seq` to `to_seq` are lost to you. Take a snapshot."),
        ("error", "A topic or message was refused, with `code` and `detail`."),
        (
            "closing",
            "Last, with `code`: session_ended, slow_reader, too_many_messages, silent or shutting_down.",
        ),
    ];
    html! {
        section id="stream" {
            h2 { "Live events" }
            p { code { "GET /api/v1/stream" } " opens a WebSocket, with the cookie of the session. Messages are JSON texts of at most 64 KiB." }
            p class="who" { "For: whoever is signed in; each topic asks for its own permission." }
            pre { code {
                "{\"action\":\"subscribe\",\"topics\":[\"trades:BTC-USD\",\"bars:BTC-USD:1m\"]}\n"
                "{\"action\":\"subscribe\",\"topics\":[\"orders:ID\"],\"resume\":{\"epoch\":\"…\",\"after\":{\"orders:ID\":123}}}\n"
                "{\"action\":\"unsubscribe\",\"topics\":[\"trades:BTC-USD\"]}\n"
                "{\"action\":\"ping\"}"
            } }
            p { "After a break say up to where each topic was seen. Everything is kept for ten minutes; of what was more than fits into memory the oldest goes first, and a `gap` says so. After a restart of the desk `epoch` is another one, and nothing is resumed." }
            h4 { "Topics" }
            table { @for (topic, what) in topics { tr { th scope="row" { code { (topic) } } td { (what) } } } }
            h4 { "What the desk sends" }
            table { @for (kind, what) in answers { tr { th scope="row" { code { (kind) } } td { (what) } } } }
        }
    }
}

async fn problems(_: SignedIn) -> Markup {
    pages::page(
        "Problems",
        "docs",
        &html! {
            nav aria-label="Contents" {
                (pages::brand())
                ul { li { a href="/" { "Desk" } } li { a href="/api/docs" { "API" } } }
            }
            main {
                h1 { "Problems" }
                p { "Every refusal has one of these codes. They never change their meaning; the words of " code { "detail" } " may." }
                div class="scroll" { table {
                    tr { th scope="col" { "Code" } th scope="col" { "Status" } th scope="col" { "Meaning" } }
                    @for code in Code::all() {
                        tr id=(code.as_str()) {
                            th scope="row" { code { (code.as_str()) } }
                            td { (code.status().as_u16()) }
                            td { (code.help()) }
                        }
                    }
                } }
            }
        },
    )
}
