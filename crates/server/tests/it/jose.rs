//! Answers that are encrypted for whoever asked, opened with an implementation that is not the desk's.

use std::path::Path;
use std::process::Stdio;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use axum::http::{Request, StatusCode};
use domain::{Permission, Role};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::desk::{Answer, Desk};

const PATH: &str = "/api/v1/encryption-keys";

/// Bob's key of RFC 7518, appendix C.
fn on_p256() -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
    })
}

/// Bob's key of RFC 7748, section 6.1.
fn on_x25519() -> Value {
    json!({
        "kty": "OKP",
        "crv": "X25519",
        "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
        "d": "XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os",
    })
}

fn public(jwk: &Value) -> Value {
    let mut public = jwk.clone();
    public.as_object_mut().unwrap().remove("d");
    public
}

/// What is in a message and its header; `None`, with a line that says so, where the page's packages are not installed.
async fn open(jwk: &Value, jwe: &str) -> Option<(Value, Value)> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    if !web.join("node_modules/jose").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "the page's packages are not installed: npm --prefix web ci"
        );
        eprintln!("SKIPPED: nothing opens what was encrypted: npm --prefix web ci");
        return None;
    }
    let mut node = Command::new("node");
    node.arg(web.join("e2e/open-jwe.mjs")).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = node.spawn().expect("node is there");
    let given = json!({ "jwk": jwk, "jwe": jwe }).to_string();
    child.stdin.take().unwrap().write_all(given.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "it does not open");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    Some((serde_json::from_str(said["text"].as_str().unwrap()).unwrap(), said["header"].clone()))
}

impl Desk {
    async fn encrypted(&self, header: (&str, &str), path: &str) -> Answer {
        let request = Request::get(path).header(ACCEPT, "application/jose, application/json;q=0.5");
        let request = request.header("accept-encoding", "gzip").header(header.0, header.1);
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn an_answer_is_encrypted_for_the_key_of_the_program_that_asks_or_of_its_owner() {
    let (desk, owner) = Desk::with_owner().await;
    let (_, _, owner) = desk.enrol(&owner).await;
    let key = desk.key(&owner, &[Permission::AccountsView]).await;
    let bearer = format!("Bearer {}.{}", key.id, key.secret);
    let with_key = ("authorization", bearer.as_str());
    let missing = desk.encrypted(with_key, "/api/v1/accounts").await;
    assert_eq!((missing.status, missing.code()), (StatusCode::NOT_ACCEPTABLE, "encryption_key_missing"));

    for (key_id, jwk) in [(None, on_x25519()), (Some(&key.id), on_p256())] {
        let body = json!({ "jwk": public(&jwk) });
        let body = key_id.map_or(body.clone(), |id| json!({ "key_id": id, "jwk": body["jwk"] }));
        let done = desk.ask("PUT", PATH, Some(&owner), Some(&body.to_string())).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text);
        let answer = desk.encrypted(with_key, "/api/v1/accounts").await;
        assert_eq!(
            (answer.status, &answer.headers[CONTENT_TYPE]),
            (StatusCode::OK, &"application/jose".parse().unwrap())
        );
        assert_eq!(answer.text.split('.').count(), 5, "{}", answer.text);
        let Some((inside, header)) = open(&jwk, &answer.text).await else { return };
        assert_eq!(inside["items"][0]["id"], json!(desk.paper.to_string()));
        assert_eq!(
            (&header["alg"], &header["enc"], &header["cty"]),
            (&json!("ECDH-ES"), &json!("A256GCM"), &json!("json"))
        );
        let again = desk.encrypted(with_key, "/api/v1/accounts").await;
        assert_ne!(again.text, answer.text, "another key for each message");
    }
    let refused = desk.encrypted(with_key, "/api/v1/audit").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, ""), "a refusal is encrypted too");
    let (inside, header) = open(&on_p256(), &refused.text).await.unwrap();
    assert_eq!((&inside["code"], &header["cty"]), (&json!("forbidden"), &json!("problem+json")));
    let plain = desk.ask_with(&key, "GET", "/api/v1/accounts", None).await;
    assert_eq!(
        plain.body["items"][0]["id"],
        json!(desk.paper.to_string()),
        "who does not ask for it reads plain JSON"
    );
    let session = desk.encrypted((COOKIE.as_str(), &owner), PATH).await;
    let (inside, _) = open(&on_x25519(), &session.text).await.unwrap();
    assert_eq!(inside["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_is_registered_by_a_person_with_a_second_factor_for_what_is_their_own() {
    let (desk, owner) = Desk::with_owner().await;
    let body = |key_id: &str, jwk: &Value| json!({ "key_id": key_id, "jwk": jwk }).to_string();
    let own = json!({ "jwk": public(&on_p256()) }).to_string();
    assert_eq!(desk.ask("PUT", PATH, Some(&owner), Some(&own)).await.code(), "factor_needed");
    desk.person("tina", Role::Trader, Some(domain::Access::Trade)).await;
    let tinas = desk.key(&desk.sign_in("tina").await, &[Permission::OrdersView]).await;
    let with_key = desk.ask_with(&tinas, "PUT", PATH, Some(&own)).await;
    assert_eq!(with_key.code(), "session_needed", "no program changes who can read its answers");
    let (_, _, owner) = desk.enrol(&owner).await;
    let foreign = desk.ask("PUT", PATH, Some(&owner), Some(&body(&tinas.id, &public(&on_p256())))).await;
    assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "not_found"));
    let private = json!({ "jwk": on_p256() }).to_string();
    let refused = desk.ask("PUT", PATH, Some(&owner), Some(&private)).await;
    assert_eq!((refused.code(), &refused.body["field"]), ("field_invalid", &json!("jwk")));
    assert!(!refused.text.contains("VEmDZ"), "what should not have been sent is not sent back");

    assert_eq!(desk.ask("PUT", PATH, Some(&owner), Some(&own)).await.status, StatusCode::NO_CONTENT);
    let log = desk.ask("GET", "/api/v1/audit?act=encryption_key", Some(&owner), None).await;
    assert_eq!(log.body["items"][0]["act"], "encryption_key.registered");
    assert!(log.body["items"][0]["detail"]["thumbprint"].is_string());
    assert_eq!(desk.ask("DELETE", PATH, Some(&owner), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask("DELETE", PATH, Some(&owner), None).await.code(), "not_found");
}
