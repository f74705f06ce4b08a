//! Every route by everybody: what happens is what the table says.

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use domain::{Access, Permission, Role};
use serde_json::Value;
use server::access::{Needs, Rule, TABLE};

use crate::desk::{Answer, Desk, operator};

#[test]
fn the_table_and_the_document_have_the_same_routes() {
    let document: Value = serde_json::from_str(&server::openapi()).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("paths");
    let documented: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().into_iter().flatten().map(move |(m, _)| (m.to_uppercase(), path))
        })
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    // Not resources but the documentation itself, and the stream, which OpenAPI has no words for.
    let besides = ["/api/docs", "/api/docs/problems", "/api/v1/openapi.json", "/api/v1/stream"];
    let listed: BTreeSet<_> = TABLE
        .iter()
        .filter(|rule| !besides.contains(&rule.path))
        .map(|rule| format!("{} {}", rule.method, rule.path))
        .collect();
    assert_eq!(documented, listed);
}

/// Who calls.
struct Caller {
    name: String,
    /// `None`: nobody is signed in.
    signed_in: Option<(Role, String, String)>,
}

/// What a route is called with.
struct Things {
    victim: String,
    /// An approval that waits for a second person.
    approval: String,
    /// A key of each person, by the person's id.
    keys: HashMap<String, String>,
    /// A webhook of each person, by the person's id.
    webhooks: HashMap<String, String>,
    /// Account, an order on it, and whether the callers were granted it.
    accounts: [(String, String, bool); 2],
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let (desk, owner) = Desk::with_owner().await;
    let victim = desk.person("victim", Role::Viewer, None).await.id.to_string();
    let granted = (desk.paper.to_string(), desk.resting_order(&owner, desk.paper).await, true);
    let foreign = (desk.other.to_string(), desk.resting_order(&owner, desk.other).await, false);
    let approval = desk.waiting_approval(&owner).await;
    let (keys, webhooks) = (HashMap::new(), HashMap::new());
    let mut things = Things { victim, approval, keys, webhooks, accounts: [granted, foreign] };
    desk.identity.grant(&operator(), things.victim.parse().unwrap(), desk.paper, Access::View).await.unwrap();
    let cookie = desk.sign_in("victim").await;
    let key = desk.key(&cookie, &[Permission::MarketView]).await.id;
    things.keys.insert(things.victim.clone(), key);
    things.webhooks.insert(things.victim.clone(), desk.webhook(&cookie).await);

    let mut callers = vec![Caller { name: "anonymous".into(), signed_in: None }];
    for role in Role::ALL {
        let id = desk.person(role.as_str(), *role, Some(Access::Manage)).await.id.to_string();
        let cookie = desk.sign_in(role.as_str()).await;
        things.keys.insert(id.clone(), desk.key(&cookie, &[Permission::MarketView]).await.id);
        things.webhooks.insert(id.clone(), desk.webhook(&cookie).await);
        callers.push(Caller { name: role.to_string(), signed_in: Some((*role, id, cookie)) });
    }
    let mut wrong = Vec::new();
    for rule in TABLE {
        // Signing out ends the session that the next rows need.
        let order = rule.method == "DELETE" && rule.path == "/api/v1/session";
        for caller in callers.iter().filter(|_| !order) {
            wrong.extend(check(&desk, rule, caller, &things).await);
        }
    }
    let out = desk.sign_in("victim").await;
    let signed_out = desk.ask("DELETE", "/api/v1/session", Some(&out), None).await;
    assert_eq!(signed_out.status, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask("DELETE", "/api/v1/session", Some(&out), None).await.code(), "not_signed_in");
    assert!(wrong.is_empty(), "{} of the answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Calls a route on the granted and on the foreign account, on somebody else and on oneself.
async fn check(desk: &Desk, rule: &Rule, caller: &Caller, things: &Things) -> Vec<String> {
    let mut wrong = Vec::new();
    for (account, order, granted) in &things.accounts {
        let own = caller.signed_in.as_ref().map(|(_, id, _)| id.as_str());
        for user in [Some(things.victim.as_str()), own].into_iter().flatten() {
            let about_account = rule.path.contains("/accounts/") || rule.path.contains("/orders/{id}");
            let id = match rule.path {
                path if path.contains("/orders/{id}") => order,
                path if path.contains("/users/") => user,
                path if path.contains("/keys/") => &things.keys[user],
                path if path.contains("/webhooks/") => &things.webhooks[user],
                path if path.contains("/approvals/") => &things.approval,
                _ => account,
            };
            let oneself = Some(user) == own
                && ["/users/", "/keys/", "/webhooks/"].iter().any(|part| rule.path.contains(part));
            // Whoever changes what they may themselves is another caller from then on.
            let changes_oneself = oneself && rule.path.contains("/users/") && rule.method != "GET";
            if (!about_account && !granted) || changes_oneself {
                continue;
            }
            let path =
                rule.path.replace("{id}", id).replace("{account_id}", account).replace("{symbol}", "BTC-USD");
            let path = path.replace("{book_id}", &things.victim).replace("{seq}", "1");
            let cookie = caller.signed_in.as_ref().map(|(_, _, cookie)| cookie.as_str());
            let body = body(rule, own.unwrap_or(user));
            let answer = desk.ask(rule.method, &with_query(rule, &path), cookie, body.as_deref()).await;
            let role = caller.signed_in.as_ref().map(|(role, _, _)| *role);
            let (expected, got) = (expected(rule.needs, role, *granted, oneself), outcome(&answer));
            if expected != got {
                wrong.push(format!(
                    "{} {path} by {}: {got}, not {expected}: {}",
                    rule.method, caller.name, answer.text
                ));
            }
        }
    }
    wrong
}

fn expected(needs: Needs, role: Option<Role>, granted: bool, oneself: bool) -> &'static str {
    let Some(role) = role else { return if needs == Needs::Nothing { "let in" } else { "not signed in" } };
    let may = |permission| role.permissions().contains(permission);
    match needs {
        Needs::Nothing | Needs::SignIn => "let in",
        Needs::Permission(permission) if may(permission) => "let in",
        Needs::OrOneself(permission) if may(permission) || oneself => "let in",
        Needs::Oneself | Needs::Own if oneself => "let in",
        Needs::Own => "not found",
        Needs::Permission(_) | Needs::OrOneself(_) | Needs::Oneself => "forbidden",
        Needs::OnAccount(permission) => {
            let everywhere = may(Permission::AccountsViewAll).then_some(Access::View);
            match granted.then_some(Access::Manage).max(everywhere) {
                None => "not found",
                Some(access) if may(permission) && Some(access) >= permission.needs_access() => "let in",
                Some(_) => "forbidden",
            }
        }
    }
}

fn outcome(answer: &Answer) -> &'static str {
    match (answer.status, answer.code()) {
        (_, "not_signed_in") => "not signed in",
        (_, "forbidden") => "forbidden",
        (_, "not_found") => "not found",
        (status, code) if status.is_server_error() || status == StatusCode::METHOD_NOT_ALLOWED => {
            if code == "set_up_required" { "not set up" } else { "broken" }
        }
        _ => "let in",
    }
}

/// A body that passes the form, so that the answer is about who asks; `user` is the caller.
fn body(rule: &Rule, user: &str) -> Option<String> {
    let body = match (rule.method, rule.path) {
        ("POST", "/api/v1/session") => r#"{"username":"nobody","password":"x"}"#,
        ("POST", "/api/v1/session/code" | "/api/v1/session/step-up" | "/api/v1/factors/totp/confirm") => {
            r#"{"code":"000000"}"#
        }
        ("POST", "/api/v1/factors/totp") => r#"{"password":"x"}"#,
        ("POST", "/api/v1/users") => r#"{"username":"victim","display_name":"V","roles":["viewer"]}"#,
        ("POST", "/api/v1/kill-switches") => {
            return Some(format!(r#"{{"scope":"user/{user}","reason":"practice","drill":true}}"#));
        }
        ("PUT", "/api/v1/limits") => r#"{"scope":"desk","kind":"open_orders","value":"many"}"#,
        ("POST", "/api/v1/limits/drawdown-reset") => r#"{"scope":"desk"}"#,
        ("POST", "/api/v1/accounts") => r#"{"name":"","broker":"paper","mode":"paper"}"#,
        ("PATCH", "/api/v1/accounts/{id}") => r#"{"name":""}"#,
        ("PUT", path) if path.ends_with("/credentials") => r#"{"key_id":"x","secret":"x"}"#,
        ("POST", path) if path.ends_with("/approve") || path.ends_with("/refuse") => "{}",
        ("POST", path) if path.ends_with("/live") => r#"{"name":"x"}"#,
        ("PUT", path) if path.ends_with("/live") => return None,
        ("POST", "/api/v1/webhooks") => r#"{"name":"x","url":"x"}"#,
        ("PATCH", "/api/v1/webhooks/{id}") => r#"{"name":"x"}"#,
        ("POST", "/api/v1/keys") => r#"{"name":"x","account_id":"","scopes":[]}"#,
        ("POST", path) if path.ends_with("/rotate") => "{}",
        ("PATCH", "/api/v1/orders/{id}") => r#"{"limit_price":"0"}"#,
        ("POST", "/api/v1/orders/{id}/resolve") => r#"{"choice":"ask_again"}"#,
        ("POST", path) if path.ends_with("/books") => r#"{"name":"","kind":"strategy"}"#,
        ("POST", path) if path.ends_with("/transfers") => r#"{"amount":"0","note":""}"#,
        ("PUT", path) if path.ends_with("/cost-method") => r#"{"cost_method":"average"}"#,
        ("POST", path) if path.ends_with("/close") => "{}",
        ("POST", path) if path.ends_with("/cancel-all") => return None,
        ("PUT", "/api/v1/encryption-keys") => r#"{"jwk":{}}"#,
        ("PUT", "/api/v1/endpoints") => r#"{"id":"GET /api/v1/fills","on":true,"reason":"x"}"#,
        ("PATCH", _) => r#"{"display_name":"Victim"}"#,
        ("PUT", _) => r#"{"access":"view"}"#,
        ("POST", path) if path.contains("/accounts/") && path.contains("/orders") => {
            r#"{"symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"day","quantity":"0","limit_price":"1"}"#
        }
        _ => return None,
    };
    Some(body.to_owned())
}

fn with_query(rule: &Rule, path: &str) -> String {
    match path {
        "/api/v1/kill-switches" if rule.method == "DELETE" => format!("{path}?scope=desk"),
        "/api/v1/limits" if rule.method == "DELETE" => format!("{path}?scope=desk&kind=open_orders"),
        "/api/v1/market/bars" => format!("{path}?symbol=BTC-USD&every=1m"),
        "/api/v1/market/trades" => format!("{path}?symbol=BTC-USD"),
        path if path.ends_with("/history") => format!("{path}?every=1m"),
        _ => path.to_owned(),
    }
}
