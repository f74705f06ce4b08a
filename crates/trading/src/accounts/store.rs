//! The SQL of `accounts`, but for what routers do to it.

use domain::{AccountId, Timestamp, from_micros, micros};
use storage::{Connection, Database, Row, RowExt as _, StorageError, Tx, query, query_scalar};

use super::Account;

const ACCOUNT: &str = "SELECT id, name, broker, mode, currency, cost_method, live_since, paused_since, \
                       credentials_since, broker_account FROM accounts WHERE removed_at IS NULL";

/// All accounts of the desk, oldest first. Those that were removed are not among them.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Database) -> Result<Vec<Account>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{ACCOUNT} ORDER BY created_at, id"));
    let rows = query(sql).fetch_all(&mut *db.read().await?).await?;
    rows.iter().map(read).collect()
}

/// One account; `None` also when it was removed.
pub(super) async fn find(
    connection: &mut Connection,
    id: AccountId,
) -> Result<Option<Account>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{ACCOUNT} AND id = $1"));
    let row = query(sql).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The account of a broker that it calls so.
pub(super) async fn at_broker(
    connection: &mut Connection,
    broker: &str,
    broker_account: &str,
) -> Result<Option<Account>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{ACCOUNT} AND broker = $1 AND broker_account = $2"));
    let row = query(sql).bind(broker).bind(broker_account).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Account, StorageError> {
    let time = |column: usize| Ok::<_, StorageError>(row.try_get::<Option<i64>, _>(column)?.map(from_micros));
    Ok(Account {
        id: StorageError::parse("account id", row.try_get(0)?)?,
        name: row.try_get(1)?,
        broker: row.try_get(2)?,
        mode: StorageError::parse("account mode", row.try_get(3)?)?,
        currency: row.try_get(4)?,
        cost_method: StorageError::parse("cost method", row.try_get(5)?)?,
        live_since: time(6)?,
        paused_since: time(7)?,
        credentials_since: time(8)?,
        broker_account: row.try_get(9)?,
    })
}

/// Inserts an account. A name that is taken is a violation of a unique index.
pub(super) async fn insert(tx: &mut Tx, account: &Account, at: Timestamp) -> Result<(), StorageError> {
    let sql = "INSERT INTO accounts (id, name, broker, mode, currency, router_epoch, created_at, \
               credentials_since, broker_account) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8)";
    query(sql)
        .bind(account.id.to_string())
        .bind(account.name.as_str())
        .bind(account.broker.as_str())
        .bind(account.mode.as_str())
        .bind(account.currency.as_str())
        .bind(micros(at))
        .bind(account.credentials_since.map(micros))
        .bind(account.broker_account.as_deref())
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn set_name(tx: &mut Tx, id: AccountId, name: &str) -> Result<(), StorageError> {
    query("UPDATE accounts SET name = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(name)
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn set_paused(
    tx: &mut Tx,
    id: AccountId,
    since: Option<Timestamp>,
) -> Result<(), StorageError> {
    query("UPDATE accounts SET paused_since = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(since.map(micros))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn set_credentials(
    tx: &mut Tx,
    id: AccountId,
    since: Timestamp,
    broker_account: Option<&str>,
) -> Result<(), StorageError> {
    query("UPDATE accounts SET credentials_since = $2, broker_account = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(micros(since))
        .bind(broker_account)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// How many orders of an account are not at their end, those whose outcome is unknown among them.
pub(super) async fn open_orders(tx: &mut Tx, id: AccountId) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) FROM orders WHERE account_id = $1 AND is_open = 1";
    Ok(query_scalar(sql).bind(id.to_string()).fetch_one(tx.sql()).await?)
}

/// Ends an account: no router writes for it any more, and its name is free for another. Its orders, fills and audit rows
/// stay.
pub(super) async fn end(tx: &mut Tx, account: &Account, at: Timestamp) -> Result<(), StorageError> {
    let id = account.id.to_string();
    query(
        "UPDATE accounts SET removed_at = $2, name = $3, credentials_since = NULL, live_since = NULL, \
         router_epoch = router_epoch + 1 WHERE id = $1",
    )
    .bind(id.as_str())
    .bind(micros(at))
    .bind(format!("{} (removed, {id})", account.name))
    .execute(tx.sql())
    .await?;
    Ok(())
}
