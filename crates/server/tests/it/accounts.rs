//! Accounts added, renewed, paused and removed over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use domain::{Access, AccountId, Context, Money, Role};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use storage::{StorageError, Tx};
use trading::{Account, Broker, Credentials, Custody, CustodyError, Opening, PaperVenue, Tried};
use vault::Vault;

use crate::desk::{Answer, Desk};

/// What every secret of these tests begins with.
const HUSH: &str = "hush-";

/// Accounts at the paper venue, each opened by a key: whatever begins with `hush-` is good.
pub(crate) struct Locked {
    pub venue: PaperVenue,
    pub vault: Vault,
}

fn tried(credentials: Option<&Credentials>) -> Result<Tried, CustodyError> {
    let Some(Credentials { key_id, secret }) = credentials else {
        return Err(CustodyError::Unusable { field: "key_id", detail: "a key is needed".into() });
    };
    if !secret.expose_secret().starts_with(HUSH) {
        return Err(CustodyError::Refused);
    }
    let (currency, broker_account) = ("USD".to_owned(), Some(key_id.clone()));
    Ok(Tried { currency, broker_account, to_seal: Some(secret.clone()) })
}

fn place(account: AccountId) -> String {
    format!("account/{account}/broker")
}

#[async_trait]
impl Custody for Locked {
    async fn try_out(&self, _: &Context, opening: &Opening) -> Result<Tried, CustodyError> {
        tried(opening.credentials.as_ref())
    }

    async fn try_renewal(&self, _: &Account, credentials: &Credentials) -> Result<Tried, CustodyError> {
        tried(Some(credentials))
    }

    async fn keep(
        &self,
        tx: &mut Tx,
        ctx: &Context,
        account: AccountId,
        to_seal: &SecretString,
    ) -> Result<(), StorageError> {
        self.vault.seal_into(tx, &place(account), to_seal, ctx.at).await.expect("it is sealed");
        Ok(())
    }

    async fn entrust(&self, tx: &mut Tx, ctx: &Context, account: AccountId) -> Result<(), StorageError> {
        identity::entrust(tx, ctx, account).await
    }

    async fn destroy(&self, tx: &mut Tx, account: AccountId) -> Result<(), StorageError> {
        self.vault.forget_in(tx, &place(account)).await
    }

    async fn open(&self, account: &Account) -> Result<Arc<dyn Broker>, CustodyError> {
        let opened = self.venue.open_account(account.id, Money(100_000.into())).await;
        opened.map_err(|_| CustodyError::Unreachable)?;
        Ok(self.venue.broker(account.id))
    }

    async fn kept(&self, account: &Account) -> Result<Option<Credentials>, CustodyError> {
        let secret = self.vault.reveal(&place(account.id)).await.map_err(|_| CustodyError::NotKept)?;
        Ok(secret.map(|secret| Credentials { key_id: "key".into(), secret }))
    }
}

const WISH: &str = r#"{"name":"New","broker":"locked","mode":"paper","key_id":"one","secret":"hush-1"}"#;

impl Desk {
    async fn add(&self, cookie: &str, wish: &str) -> Answer {
        self.ask("POST", "/api/v1/accounts", Some(cookie), Some(wish)).await
    }

    /// An owner who has just shown a second factor, and a new account.
    async fn with_new_account() -> (Self, String, String) {
        let (desk, owner) = Self::with_owner().await;
        let (_, _, owner) = desk.enrol(&owner).await;
        let added = desk.add(&owner, WISH).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
        assert_eq!((&added.body["access"], &added.body["mode"]), (&"manage".into(), &"paper".into()));
        let path = format!("/api/v1/accounts/{}", added.body["id"].as_str().expect("an id"));
        desk.until(&owner, &path, |state| state["state"] == "ready").await;
        (desk, owner, path)
    }
}

#[tokio::test]
async fn an_account_is_added_with_a_second_factor_alone_and_its_secret_is_never_told() {
    let (desk, owner) = Desk::with_owner().await;
    assert_eq!(desk.add(&owner, WISH).await.code(), "factor_needed");
    let (_, _, owner) = desk.enrol(&owner).await;
    for (wish, code, field) in [
        (WISH.replace("hush-1", "wrong"), "credentials_refused", Value::Null),
        (WISH.replace("\"hush-1\"", "987654321"), "field_invalid", "secret".into()),
        (WISH.replace("\"hush-1\"", "[\"hush-1\"]"), "field_invalid", "secret".into()),
        (WISH.replace("\"paper\"", "\"LIVE\""), "field_invalid", "mode".into()),
        (WISH.replace(r#""mode":"paper","#, ""), "field_missing", "mode".into()),
        (WISH.replace(r#","secret":"hush-1""#, ""), "field_missing", "secret".into()),
        (WISH.replace("New", " "), "account_name_invalid", "name".into()),
        (WISH.replace("New", "Other"), "account_name_taken", "name".into()),
        (WISH.replace("mode", "live"), "field_unknown", "live".into()),
    ] {
        let answer = desk.add(&owner, &wish).await;
        assert_eq!((answer.code(), &answer.body["field"]), (code, &field), "of {wish}: {}", answer.text);
        assert!(!answer.text.contains("hush") && !answer.text.contains("987654321"), "{}", answer.text);
    }
    let added = desk.add(&owner, WISH).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    assert!(!added.text.contains(HUSH) && added.body["credentials_since_at"].is_string(), "{}", added.text);
    let twice = desk.add(&owner, &WISH.replace("New", "Again")).await;
    assert_eq!((twice.code(), &twice.body["value"]), ("account_on_desk", &"New".into()));

    // Nobody else has access, and whoever manages it can give some.
    let viewer = desk.person("vera", Role::Viewer, None).await;
    let vera = desk.sign_in("vera").await;
    let path = format!("/api/v1/accounts/{}", added.body["id"].as_str().expect("an id"));
    assert_eq!(desk.ask("GET", &path, Some(&vera), None).await.code(), "not_found");
    let grant = format!("/api/v1/users/{}/grants/{}", viewer.id, added.body["id"].as_str().expect("an id"));
    let granted = desk.ask("PUT", &grant, Some(&owner), Some(r#"{"access":"view"}"#)).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.text);
    let seen = desk.ask("GET", &path, Some(&vera), None).await;
    assert!(seen.status == StatusCode::OK && !seen.text.contains(HUSH), "{}", seen.text);
    let audit = desk.ask("GET", "/api/v1/audit", Some(&owner), None).await;
    assert!(audit.text.contains("account.add_refused") && !audit.text.contains(HUSH), "{}", audit.text);
    assert!(!audit.text.contains("\"wrong\""), "nor is one told that does not work");
}

#[tokio::test]
async fn an_account_is_renewed_renamed_paused_and_removed_without_a_restart() {
    let (desk, owner, path) = Desk::with_new_account().await;
    let ask = async |method: &str, at: &str, body: Option<&str>| {
        desk.ask(method, &format!("{path}{at}"), Some(&owner), body).await
    };
    let other = ask("PUT", "/credentials", Some(r#"{"key_id":"two","secret":"hush-2"}"#)).await;
    assert_eq!(other.code(), "credentials_of_another", "{}", other.text);
    let refused = ask("PUT", "/credentials", Some(r#"{"key_id":"one","secret":"bad"}"#)).await;
    assert_eq!(refused.code(), "credentials_refused");
    let before = ask("GET", "", None).await.body["credentials_since_at"].clone();
    let renewed = ask("PUT", "/credentials", Some(r#"{"key_id":"one","secret":"hush-2"}"#)).await;
    assert!(renewed.status == StatusCode::OK && !renewed.text.contains(HUSH), "{}", renewed.text);
    assert_ne!(renewed.body["credentials_since_at"], before);

    assert_eq!(ask("PATCH", "", Some(r#"{"name":"Paper"}"#)).await.code(), "account_name_taken");
    let renamed = ask("PATCH", "", Some(r#"{"name":"Renamed"}"#)).await;
    assert_eq!(renamed.body["name"], "Renamed", "{}", renamed.text);

    let account: AccountId = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
    let order = desk.resting_order(&owner, account).await;
    assert_eq!(ask("DELETE", "?confirm_name=Renamed", None).await.code(), "account_open_orders");
    let paused = ask("POST", "/pause", None).await;
    assert!(paused.body["paused_since_at"].is_string(), "{}", paused.text);
    let buy = r#"{"symbol":"BTC-USD","side":"buy","type":"limit","time_in_force":"gtc","quantity":"1","limit_price":"90"}"#;
    let refused = ask("POST", "/orders", Some(buy)).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "account_paused"));
    let canceled = desk.ask("POST", &format!("/api/v1/orders/{order}/cancel"), Some(&owner), None).await;
    assert_eq!(canceled.status, StatusCode::ACCEPTED, "{}", canceled.text);
    desk.until(&owner, &format!("/api/v1/orders/{order}"), |order| order["status"] == "canceled").await;
    let active = ask("DELETE", "/pause", None).await;
    assert!(active.body["paused_since_at"].is_null(), "{}", active.text);

    assert_eq!(ask("DELETE", "?confirm_name=Paper", None).await.code(), "field_invalid");
    assert_eq!(ask("DELETE", "", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask("GET", "", None).await.code(), "not_found");
    assert_eq!(ask("POST", "/orders", Some(buy)).await.code(), "not_found");
    let left: i64 = storage::query_scalar("SELECT COUNT(*) FROM secrets WHERE name = $1")
        .bind(place(account))
        .fetch_one(&mut *desk.db.read().await.expect("a database"))
        .await
        .expect("a count");
    assert_eq!(left, 0, "what opened it is destroyed");
    let fills = desk.ask("GET", "/api/v1/audit?act=account.removed", Some(&owner), None).await;
    assert_eq!(fills.body["items"][0]["detail"]["name"], "Renamed", "{}", fills.text);
    // The name and the broker's account are free again.
    assert_eq!(desk.add(&owner, &WISH.replace("New", "Renamed")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn whoever_may_stop_an_account_pauses_it_and_only_its_manager_activates_it() {
    let (desk, _) = Desk::with_owner().await;
    desk.person("tom", Role::Trader, Some(Access::Trade)).await;
    let tom = desk.sign_in("tom").await;
    let path = format!("/api/v1/accounts/{}/pause", desk.paper);
    assert_eq!(desk.ask("POST", &path, Some(&tom), None).await.status, StatusCode::OK);
    assert_eq!(desk.ask("DELETE", &path, Some(&tom), None).await.code(), "forbidden");
    desk.person("ada", Role::Admin, Some(Access::Manage)).await;
    let ada = desk.sign_in("ada").await;
    assert_eq!(desk.ask("DELETE", &path, Some(&ada), None).await.code(), "factor_needed");
}
