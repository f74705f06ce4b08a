//! What is done to accounts: each in one transaction with its audit row, by the desk or by a command beside it.
//!
//! Nothing here asks for permission or changes what a running desk has in memory: [`crate::Gateway`] does both.

use std::sync::Arc;

use domain::{AccountId, AuditEntry, Context, CostMethod};
use serde_json::json;
use storage::{Database, StorageError, Tx};

use super::{Account, AccountError, Mode, NewAccount, store};
use crate::custody::{Credentials, Custody, Opening, Tried};
use crate::store::fold_fills;

/// Opens an account on the desk that needs no credentials. Nobody may trade on it until it is granted.
///
/// # Errors
/// The name is taken, or the database failed.
pub async fn open(db: &Database, ctx: &Context, new: NewAccount) -> Result<Account, AccountError> {
    let tried = Tried { currency: new.currency, broker_account: None, to_seal: None };
    let account = new_account(ctx, &new.name, &new.broker, new.mode, &tried)?;
    let (ctx, inserted) = (ctx.clone(), account.clone());
    db.write(move |tx: &mut Tx| Box::pin(async move { insert(tx, &ctx, &inserted, None).await })).await?;
    Ok(account)
}

/// Adds an account at a broker: what opens it is tried, and sealed in the transaction that makes the account.
///
/// # Errors
/// Says why not. Nothing is half done.
pub async fn add(
    db: &Database,
    custody: &Arc<dyn Custody>,
    ctx: &Context,
    opening: Opening,
) -> Result<Account, AccountError> {
    let name = checked(&opening.name)?;
    // Asked before the broker is: the transaction asks again.
    if list_names(db).await?.contains(&name) {
        return Err(AccountError::NameTaken);
    }
    let tried = custody.try_out(ctx, &opening).await?;
    let account = new_account(ctx, &name, &opening.broker, opening.mode, &tried)?;
    let (custody, ctx, inserted) = (custody.clone(), ctx.clone(), account.clone());
    let done = db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            refuse_twice(tx, &inserted).await?;
            insert(tx, &ctx, &inserted, opening.url.as_deref()).await?;
            if let Some(to_seal) = &tried.to_seal {
                custody.keep(tx, &ctx, inserted.id, to_seal).await?;
            }
            custody.entrust(tx, &ctx, inserted.id).await?;
            Ok::<_, AccountError>(())
        })
    });
    done.await?;
    Ok(account)
}

async fn list_names(db: &Database) -> Result<Vec<String>, StorageError> {
    Ok(store::list(db).await?.into_iter().map(|account| account.name).collect())
}

fn new_account(
    ctx: &Context,
    name: &str,
    broker: &str,
    mode: Mode,
    tried: &Tried,
) -> Result<Account, AccountError> {
    Ok(Account {
        id: AccountId::new(ctx.at),
        name: checked(name)?,
        broker: broker.to_owned(),
        mode,
        currency: tried.currency.clone(),
        cost_method: CostMethod::default(),
        live_since: None,
        paused_since: None,
        credentials_since: tried.to_seal.as_ref().map(|_| ctx.at),
        broker_account: tried.broker_account.clone(),
    })
}

async fn insert(
    tx: &mut Tx,
    ctx: &Context,
    account: &Account,
    url: Option<&str>,
) -> Result<(), AccountError> {
    store::insert(tx, account, ctx.at).await.map_err(taken)?;
    let mut detail = json!({ "name": account.name, "broker": account.broker, "mode": account.mode.as_str() });
    if let Some(url) = url {
        detail["url"] = json!(url);
    }
    tx.record(AuditEntry::by(ctx, "account.opened").on("account", account.id).with(detail));
    Ok(())
}

/// An account of the broker is on the desk once: two of them would not know of each other's orders.
async fn refuse_twice(tx: &mut Tx, account: &Account) -> Result<(), AccountError> {
    let Some(broker_account) = &account.broker_account else { return Ok(()) };
    match store::at_broker(tx.sql(), &account.broker, broker_account).await? {
        Some(other) if other.id != account.id => Err(AccountError::OnTheDesk { name: other.name }),
        _ => Ok(()),
    }
}

fn checked(name: &str) -> Result<String, AccountError> {
    let name = name.trim();
    let is_visible = name.chars().all(|c| !c.is_control());
    match is_visible && (1..=64).contains(&name.chars().count()) {
        true => Ok(name.to_owned()),
        false => Err(AccountError::InvalidName),
    }
}

fn taken(error: StorageError) -> AccountError {
    if error.is_unique_violation() { AccountError::NameTaken } else { error.into() }
}

/// Calls an account otherwise.
///
/// # Errors
/// Says why not.
pub async fn rename(
    db: &Database,
    ctx: &Context,
    id: AccountId,
    name: &str,
) -> Result<Account, AccountError> {
    let (ctx, name) = (ctx.clone(), checked(name)?);
    let done = db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            let account = store::find(tx.sql(), id).await?.ok_or(AccountError::NotFound)?;
            if account.name != name {
                store::set_name(tx, id, &name).await.map_err(taken)?;
                let detail = json!({ "before": account.name, "after": name });
                tx.record(AuditEntry::by(&ctx, "account.renamed").on("account", id).with(detail));
            }
            Ok::<_, AccountError>(Account { name, ..account })
        })
    });
    done.await
}

/// Pauses an account, or activates it again. Where it is so already nothing is done.
///
/// # Errors
/// There is none, or the database failed.
pub async fn pause(
    db: &Database,
    ctx: &Context,
    id: AccountId,
    paused: bool,
) -> Result<Account, AccountError> {
    let ctx = ctx.clone();
    let done = db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            let account = store::find(tx.sql(), id).await?.ok_or(AccountError::NotFound)?;
            let since = paused.then(|| account.paused_since.unwrap_or(ctx.at));
            if since != account.paused_since {
                store::set_paused(tx, id, since).await?;
                let act = if paused { "account.paused" } else { "account.activated" };
                let detail = json!({ "name": account.name, "before": account.paused_since, "after": since });
                tx.record(AuditEntry::by(&ctx, act).on("account", id).with(detail));
            }
            Ok::<_, AccountError>(Account { paused_since: since, ..account })
        })
    });
    done.await
}

/// Replaces what opens an account at its broker, once that was tried. Its orders stay as they are.
///
/// # Errors
/// Says why not; then what was kept before is kept.
pub async fn renew(
    db: &Database,
    custody: &Arc<dyn Custody>,
    ctx: &Context,
    account: &Account,
    credentials: &Credentials,
) -> Result<Account, AccountError> {
    let tried = custody.try_renewal(account, credentials).await?;
    let (custody, ctx, id) = (custody.clone(), ctx.clone(), account.id);
    let key_id = credentials.key_id.clone();
    let done = db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            let before = store::find(tx.sql(), id).await?.ok_or(AccountError::NotFound)?;
            // What is held and open belongs to the account that was there: no other may take its place.
            if before.broker_account.is_some() && before.broker_account != tried.broker_account {
                return Err(AccountError::AnotherAccount);
            }
            let after = Account {
                credentials_since: Some(ctx.at),
                broker_account: tried.broker_account,
                ..before.clone()
            };
            refuse_twice(tx, &after).await?;
            if let Some(to_seal) = &tried.to_seal {
                custody.keep(tx, &ctx, id, to_seal).await?;
            }
            store::set_credentials(tx, id, ctx.at, after.broker_account.as_deref()).await?;
            let entry = AuditEntry::by(&ctx, "account.credentials_replaced").on("account", id);
            tx.record(entry.with(json!({
                "name": after.name,
                "key_id": key_id,
                "before": before.credentials_since,
                "after": after.credentials_since,
            })));
            Ok::<_, AccountError>(after)
        })
    });
    done.await
}

/// Removes an account from the desk and destroys what opens it. Its orders, fills and audit rows stay; what is at the
/// broker stays there.
///
/// # Errors
/// Says why not: it has open orders, or holds something and its name was not repeated.
pub async fn remove(
    db: &Database,
    custody: &Arc<dyn Custody>,
    ctx: &Context,
    id: AccountId,
    repeated: Option<&str>,
) -> Result<(), AccountError> {
    let account = store::find(&mut *db.read().await?, id).await?.ok_or(AccountError::NotFound)?;
    if repeated.is_some_and(|name| name.trim() != account.name) {
        return Err(AccountError::WrongName);
    }
    let held = holdings(db, &account).await?;
    if repeated.is_none() && !held.is_empty() {
        return Err(AccountError::Holds(held));
    }
    let (custody, ctx) = (custody.clone(), ctx.clone());
    let done = db.write(move |tx: &mut Tx| {
        Box::pin(async move {
            let account = store::find(tx.sql(), id).await?.ok_or(AccountError::NotFound)?;
            let open = store::open_orders(tx, id).await?;
            if open > 0 {
                return Err(AccountError::OpenOrders { open });
            }
            store::end(tx, &account, ctx.at).await?;
            custody.destroy(tx, id).await?;
            let detail = json!({
                "name": account.name,
                "broker": account.broker,
                "mode": account.mode.as_str(),
                "held": held,
            });
            tx.record(AuditEntry::by(&ctx, "account.removed").on("account", id).with(detail));
            Ok(())
        })
    });
    done.await
}

/// What an account holds, as `0.5 BTC-USD`.
async fn holdings(db: &Database, account: &Account) -> Result<Vec<String>, StorageError> {
    let mut connection = db.read().await?;
    let methods = Default::default();
    let folded =
        fold_fills(&mut connection, account.id, account.cost_method, &methods, &mut |_, _, _, _| ()).await?;
    let held = folded.positions.iter().filter(|(_, position)| !position.quantity.is_zero());
    Ok(held.map(|(symbol, position)| format!("{} {symbol}", position.quantity)).collect())
}
