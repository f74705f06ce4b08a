//! Who may call what: the whole API in one table.
//!
//! The documentation shows it, and a test calls every route as everybody and compares. A route that is not in it
//! does not answer.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::http::header::ALLOW;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::Permission;

use crate::problem::{Code, Problem};
use crate::rates::Class;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// To be signed in.
    SignIn,
    /// A permission.
    Permission(Permission),
    /// A permission, and enough access to the account that it is about.
    OnAccount(Permission),
    /// A permission, or to ask about oneself.
    OrOneself(Permission),
    /// To ask about what is one's own.
    Oneself,
    /// To ask about what is one's own; what is another's does not exist.
    Own,
}

impl Needs {
    /// In words, for the documentation.
    pub fn words(self) -> String {
        match self {
            Self::Nothing => "anybody".to_owned(),
            Self::SignIn => "whoever is signed in".to_owned(),
            Self::Permission(permission) => format!("{permission}"),
            Self::OnAccount(permission) => match permission.needs_access() {
                Some(access) => format!("{permission}, and {access} access to the account"),
                None => format!("{permission}"),
            },
            Self::OrOneself(permission) => format!("{permission}, or oneself"),
            Self::Oneself => "whoever owns it".to_owned(),
            Self::Own => "whoever owns it, and nobody else sees that it exists".to_owned(),
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, as in the OpenAPI document.
    pub path: &'static str,
    /// What its caller needs.
    pub needs: Needs,
}

const fn rule(method: &'static str, path: &'static str, needs: Needs) -> Rule {
    Rule { method, path, needs }
}

/// Every route of the API.
pub const TABLE: &[Rule] = {
    use Needs::{Nothing, OnAccount, Oneself, OrOneself, Own, Permission as Needed, SignIn};
    use Permission::*;
    &[
        rule("GET", "/api/health", Nothing),
        rule("GET", "/api/ready", Nothing),
        rule("GET", "/api/docs", SignIn),
        rule("GET", "/api/docs/problems", SignIn),
        rule("GET", "/api/v1/openapi.json", SignIn),
        rule("GET", "/api/v1/stream", SignIn),
        rule("POST", "/api/v1/session", Nothing),
        rule("GET", "/api/v1/session", SignIn),
        rule("DELETE", "/api/v1/session", SignIn),
        rule("POST", "/api/v1/session/code", Nothing),
        rule("POST", "/api/v1/session/step-up", SignIn),
        rule("GET", "/api/v1/factors", SignIn),
        rule("POST", "/api/v1/factors/totp", SignIn),
        rule("POST", "/api/v1/factors/totp/confirm", SignIn),
        rule("DELETE", "/api/v1/factors/totp", SignIn),
        rule("POST", "/api/v1/factors/recovery-codes", SignIn),
        rule("GET", "/api/v1/keys", SignIn),
        rule("POST", "/api/v1/keys", SignIn),
        rule("DELETE", "/api/v1/keys/{id}", OrOneself(KeysManage)),
        rule("POST", "/api/v1/keys/{id}/rotate", Oneself),
        rule("GET", "/api/v1/webhooks", SignIn),
        rule("POST", "/api/v1/webhooks", SignIn),
        rule("GET", "/api/v1/webhooks/{id}", Own),
        rule("PATCH", "/api/v1/webhooks/{id}", Own),
        rule("POST", "/api/v1/webhooks/{id}/test", Own),
        rule("POST", "/api/v1/webhooks/{id}/rotate", Own),
        rule("GET", "/api/v1/webhooks/{id}/deliveries", Own),
        rule("POST", "/api/v1/webhooks/{id}/deliveries/{seq}/redeliver", Own),
        rule("DELETE", "/api/v1/webhooks/{id}", Own),
        rule("GET", "/api/v1/encryption-keys", SignIn),
        rule("PUT", "/api/v1/encryption-keys", SignIn),
        rule("DELETE", "/api/v1/encryption-keys", SignIn),
        rule("GET", "/api/v1/roles", SignIn),
        rule("GET", "/api/v1/users", Needed(UsersView)),
        rule("POST", "/api/v1/users", Needed(UsersManage)),
        rule("GET", "/api/v1/users/{id}", OrOneself(UsersView)),
        rule("PATCH", "/api/v1/users/{id}", Needed(UsersManage)),
        rule("POST", "/api/v1/users/{id}/invite", Needed(UsersManage)),
        rule("PUT", "/api/v1/users/{id}/grants/{account_id}", Needed(GrantsManage)),
        rule("PUT", "/api/v1/users/{id}/grants/{account_id}/live", Needed(GrantsManage)),
        rule("DELETE", "/api/v1/users/{id}/grants/{account_id}/live", Needed(GrantsManage)),
        rule("DELETE", "/api/v1/users/{id}/grants/{account_id}", Needed(GrantsManage)),
        rule("GET", "/api/v1/market/symbols", Needed(MarketView)),
        rule("GET", "/api/v1/market/bars", Needed(MarketView)),
        rule("GET", "/api/v1/market/trades", Needed(MarketView)),
        rule("GET", "/api/v1/market/feed", Needed(MarketView)),
        rule("GET", "/api/v1/accounts", SignIn),
        rule("POST", "/api/v1/accounts", Needed(AccountsManage)),
        rule("GET", "/api/v1/accounts/{id}", OnAccount(AccountsView)),
        rule("PATCH", "/api/v1/accounts/{id}", OnAccount(AccountsManage)),
        rule("DELETE", "/api/v1/accounts/{id}", OnAccount(AccountsManage)),
        rule("PUT", "/api/v1/accounts/{id}/credentials", OnAccount(AccountsManage)),
        rule("POST", "/api/v1/accounts/{id}/pause", OnAccount(KillEngage)),
        rule("DELETE", "/api/v1/accounts/{id}/pause", OnAccount(AccountsManage)),
        rule("GET", "/api/v1/accounts/{id}/positions", OnAccount(AccountsView)),
        rule("GET", "/api/v1/accounts/{id}/venue", OnAccount(AccountsView)),
        rule("POST", "/api/v1/accounts/{id}/live", OnAccount(LiveSwitch)),
        rule("DELETE", "/api/v1/accounts/{id}/live", OnAccount(KillEngage)),
        rule("GET", "/api/v1/accounts/{id}/portfolio", OnAccount(AccountsView)),
        rule("GET", "/api/v1/accounts/{id}/history", OnAccount(AccountsView)),
        rule("GET", "/api/v1/accounts/{id}/positions/{symbol}/lots", OnAccount(AccountsView)),
        rule("GET", "/api/v1/accounts/{id}/books", OnAccount(AccountsView)),
        rule("POST", "/api/v1/accounts/{id}/books", OnAccount(BooksManage)),
        rule("DELETE", "/api/v1/accounts/{id}/books/{book_id}", OnAccount(BooksManage)),
        rule("POST", "/api/v1/accounts/{id}/books/transfers", OnAccount(BooksManage)),
        rule("PUT", "/api/v1/accounts/{id}/cost-method", OnAccount(BooksManage)),
        rule("POST", "/api/v1/accounts/{id}/reconcile", OnAccount(OrdersResolve)),
        rule("POST", "/api/v1/accounts/{id}/liquidate", OnAccount(OrdersPlace)),
        rule("POST", "/api/v1/accounts/{id}/positions/{symbol}/close", OnAccount(OrdersPlace)),
        rule("POST", "/api/v1/accounts/{id}/orders/cancel-all", OnAccount(OrdersCancel)),
        rule("POST", "/api/v1/accounts/{id}/orders/preview", OnAccount(OrdersPlace)),
        rule("POST", "/api/v1/accounts/{id}/orders", OnAccount(OrdersPlace)),
        rule("GET", "/api/v1/orders", Needed(OrdersView)),
        rule("GET", "/api/v1/orders/unknown", Needed(OrdersView)),
        rule("GET", "/api/v1/orders/{id}", OnAccount(OrdersView)),
        rule("PATCH", "/api/v1/orders/{id}", OnAccount(OrdersPlace)),
        rule("GET", "/api/v1/orders/{id}/events", OnAccount(OrdersView)),
        rule("POST", "/api/v1/orders/{id}/cancel", OnAccount(OrdersCancel)),
        rule("POST", "/api/v1/orders/{id}/resolve", OnAccount(OrdersResolve)),
        rule("GET", "/api/v1/refusals", SignIn),
        rule("GET", "/api/v1/kill-switches", SignIn),
        rule("POST", "/api/v1/kill-switches", Needed(KillEngage)),
        rule("DELETE", "/api/v1/kill-switches", Needed(KillRearm)),
        rule("GET", "/api/v1/limits", SignIn),
        rule("PUT", "/api/v1/limits", Needed(LimitsManage)),
        rule("DELETE", "/api/v1/limits", Needed(LimitsManage)),
        rule("POST", "/api/v1/limits/drawdown-reset", Needed(LimitsManage)),
        rule("GET", "/api/v1/approvals", SignIn),
        rule("GET", "/api/v1/approvals/{id}", SignIn),
        rule("POST", "/api/v1/approvals/{id}/approve", Needed(OrdersApprove)),
        rule("POST", "/api/v1/approvals/{id}/refuse", Needed(OrdersApprove)),
        rule("POST", "/api/v1/approvals/{id}/withdraw", SignIn),
        rule("GET", "/api/v1/fills", Needed(OrdersView)),
        rule("GET", "/api/v1/usage", SignIn),
        rule("GET", "/api/v1/endpoints", Needed(SystemView)),
        rule("PUT", "/api/v1/endpoints", Needed(ApiManage)),
        rule("GET", "/api/v1/audit", Needed(AuditView)),
        rule("POST", "/api/v1/audit/verify", Needed(AuditVerify)),
    ]
};

/// What the caller of a route needs.
pub(crate) fn of(method: &str, path: &str) -> Option<Needs> {
    TABLE.iter().find(|rule| rule.method == method && rule.path == path).map(|rule| rule.needs)
}

/// What takes risk away or says that the desk lives: neither limited nor switched off.
const FREE: &[(&str, &str)] = &[
    ("GET", "/api/health"),
    ("GET", "/api/ready"),
    ("POST", "/api/v1/kill-switches"),
    ("DELETE", "/api/v1/accounts/{id}/live"),
    ("POST", "/api/v1/accounts/{id}/pause"),
    ("POST", "/api/v1/accounts/{id}/orders/cancel-all"),
    ("POST", "/api/v1/orders/{id}/cancel"),
];

/// Orders placed, replaced, looked at beforehand, and positions that are closed.
const ORDERS: &[(&str, &str)] = &[
    ("POST", "/api/v1/accounts/{id}/orders"),
    ("POST", "/api/v1/accounts/{id}/orders/preview"),
    ("POST", "/api/v1/accounts/{id}/liquidate"),
    ("POST", "/api/v1/accounts/{id}/positions/{symbol}/close"),
    ("PATCH", "/api/v1/orders/{id}"),
];

/// What cannot be switched off beside [`FREE`]: signing in and out, seeing what is stopped and releasing it, and switching
/// endpoints on again.
const ESSENTIAL: &[&str] = &["/api/v1/session", "/api/v1/kill-switches", "/api/v1/endpoints"];

/// Which budget a request on a route is taken from.
pub(crate) fn class(rule: &Rule) -> Class {
    let route = (rule.method, rule.path);
    match rule.method {
        _ if FREE.contains(&route) => Class::Free,
        _ if ORDERS.contains(&route) => Class::Order,
        "GET" => Class::Read,
        _ => Class::Write,
    }
}

/// Whether a route answers whatever an admin says.
pub(crate) fn is_essential(rule: &Rule) -> bool {
    class(rule) == Class::Free || ESSENTIAL.iter().any(|one| rule.path.starts_with(one))
}

/// Lets nobody through to a route that is not in the table: somebody forgot to say who may call it.
pub(crate) async fn refuse_unlisted(path: MatchedPath, request: Request, next: Next) -> Response {
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    if of(method, path.as_str()).is_some() {
        return next.run(request).await;
    }
    let allowed: Vec<_> =
        TABLE.iter().filter(|rule| rule.path == path.as_str()).map(|rule| rule.method).collect();
    if allowed.is_empty() {
        return Problem::internal("a route is not in the table of who may call it", &path.as_str())
            .into_response();
    }
    ([(ALLOW, allowed.join(", "))], Problem::new(Code::MethodNotAllowed)).into_response()
}
