//! The SQL of `webhooks`, `webhook_deliveries` and `webhook_attempts`.

use std::collections::HashSet;
use std::time::Duration;

use domain::{AccountId, Timestamp, UserId, from_micros, micros};
use sqlx::AssertSqlSafe;
use storage::{Connection, Row, RowExt as _, StorageError, Tx, query, query_scalar};
use trading::outbox::EventKind;
use uuid::Uuid;

use crate::log::{Attempt, Delivery, DeliveryStatus};
use crate::webhook::{State, Webhook};

const COLUMNS: &str = "id, user_id, name, url, account_id, kinds, state, reason, cursor, failing_since, former_until, \
                       created_at";

pub(crate) async fn insert(tx: &mut Tx, webhook: &Webhook) -> Result<(), StorageError> {
    let sql = "INSERT INTO webhooks (id, user_id, name, url, account_id, kinds, state, cursor, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    query(sql)
        .bind(webhook.id.to_string())
        .bind(webhook.owner.to_string())
        .bind(&webhook.name)
        .bind(&webhook.url)
        .bind(webhook.account.map(|account| account.to_string()))
        .bind(list(&webhook.kinds))
        .bind(webhook.state.as_str())
        .bind(webhook.cursor)
        .bind(micros(webhook.created_at))
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Writes everything that can change of a webhook, but how far it has read.
pub(crate) async fn update(tx: &mut Tx, webhook: &Webhook) -> Result<(), StorageError> {
    let sql = "UPDATE webhooks SET name = $2, url = $3, account_id = $4, kinds = $5, state = $6, reason = $7, \
               failing_since = $8, former_until = $9 WHERE id = $1";
    query(sql)
        .bind(webhook.id.to_string())
        .bind(&webhook.name)
        .bind(&webhook.url)
        .bind(webhook.account.map(|account| account.to_string()))
        .bind(list(&webhook.kinds))
        .bind(webhook.state.as_str())
        .bind(webhook.reason.as_deref())
        .bind(webhook.failing_since.map(micros))
        .bind(webhook.former_until.map(micros))
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Removes a webhook with all that was told to it.
pub(crate) async fn delete(tx: &mut Tx, id: Uuid) -> Result<(), StorageError> {
    for sql in [
        "DELETE FROM webhook_attempts WHERE webhook_id = $1",
        "DELETE FROM webhook_deliveries WHERE webhook_id = $1",
        "DELETE FROM webhooks WHERE id = $1",
    ] {
        query(sql).bind(id.to_string()).execute(tx.sql()).await?;
    }
    Ok(())
}

pub(crate) async fn find(connection: &mut Connection, id: Uuid) -> Result<Option<Webhook>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1");
    let row = query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The webhooks of a person, newest first.
pub(crate) async fn of_owner(
    connection: &mut Connection,
    owner: UserId,
) -> Result<Vec<Webhook>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE user_id = $1 ORDER BY created_at DESC, id");
    let rows = query(AssertSqlSafe(sql)).bind(owner.to_string()).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// The webhooks of everybody that are on.
pub(crate) async fn on(connection: &mut Connection) -> Result<Vec<Webhook>, StorageError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE state = $1 ORDER BY id");
    let rows = query(AssertSqlSafe(sql)).bind(State::On.as_str()).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// How many webhooks a person has.
pub(crate) async fn count(connection: &mut Connection, owner: UserId) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) FROM webhooks WHERE user_id = $1";
    Ok(query_scalar(sql).bind(owner.to_string()).fetch_one(connection).await?)
}

/// Notes that everything up to `to` was looked at; `false` when somebody else has read on meanwhile, or it is off.
pub(crate) async fn advance(tx: &mut Tx, id: Uuid, from: i64, to: i64) -> Result<bool, StorageError> {
    let sql = "UPDATE webhooks SET cursor = $3 WHERE id = $1 AND cursor = $2 AND state = $4";
    let done = query(sql)
        .bind(id.to_string())
        .bind(from)
        .bind(to)
        .bind(State::On.as_str())
        .execute(tx.sql())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Reads on from `to`, whatever was before it.
pub(crate) async fn skip_to(tx: &mut Tx, id: Uuid, to: i64) -> Result<(), StorageError> {
    let sql = "UPDATE webhooks SET cursor = $2 WHERE id = $1";
    query(sql).bind(id.to_string()).bind(to).execute(tx.sql()).await?;
    Ok(())
}

/// Lines a delivery up, and gives its number.
pub(crate) async fn line_up(tx: &mut Tx, id: Uuid, delivery: &Delivery) -> Result<i64, StorageError> {
    let newest = "SELECT COALESCE(MAX(seq), 0) FROM webhook_deliveries WHERE webhook_id = $1";
    let seq: i64 = query_scalar(newest).bind(id.to_string()).fetch_one(tx.sql()).await?;
    let seq = seq + 1;
    let sql = "INSERT INTO webhook_deliveries (webhook_id, seq, event_id, kind, account_id, scope, lane, body, status, \
               attempts, first_at, next_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12)";
    query(sql)
        .bind(id.to_string())
        .bind(seq)
        .bind(&delivery.event)
        .bind(&delivery.kind)
        .bind(delivery.account.map(|account| account.to_string()))
        .bind(delivery.scope.as_ref().map(ToString::to_string))
        .bind(delivery.account.map_or_else(String::new, |account| account.to_string()))
        .bind(&delivery.body)
        .bind(delivery.status.as_str())
        .bind(micros(delivery.first_at))
        .bind(delivery.next_at.map(micros))
        .bind(delivery.finished_at.map(micros))
        .execute(tx.sql())
        .await?;
    Ok(seq)
}

/// Writes where a delivery stands.
pub(crate) async fn settle(tx: &mut Tx, id: Uuid, delivery: &Delivery) -> Result<(), StorageError> {
    let sql = "UPDATE webhook_deliveries SET status = $3, attempts = $4, first_at = $5, next_at = $6, finished_at = $7 \
               WHERE webhook_id = $1 AND seq = $2";
    query(sql)
        .bind(id.to_string())
        .bind(delivery.seq)
        .bind(delivery.status.as_str())
        .bind(i64::from(delivery.tried))
        .bind(micros(delivery.first_at))
        .bind(delivery.next_at.map(micros))
        .bind(delivery.finished_at.map(micros))
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(crate) async fn insert_attempt(
    tx: &mut Tx,
    id: Uuid,
    delivery: i64,
    attempt: &Attempt,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO webhook_attempts (webhook_id, delivery, nth, at, duration_ms, http_status, error, answer) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    query(sql)
        .bind(id.to_string())
        .bind(delivery)
        .bind(i64::from(attempt.nth))
        .bind(micros(attempt.at))
        .bind(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))
        .bind(attempt.http_status.map(i64::from))
        .bind(attempt.error.as_deref())
        // PostgreSQL has no text with a zero in it; none is left by now.
        .bind(attempt.answer.as_deref())
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// How many deliveries wait.
pub(crate) async fn waiting(connection: &mut Connection, id: Uuid) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = $2";
    let waiting = DeliveryStatus::Waiting.as_str();
    Ok(query_scalar(sql).bind(id.to_string()).bind(waiting).fetch_one(connection).await?)
}

/// What is to be told at a moment: of each lane the first that waits, if its time has come.
pub(crate) async fn due(
    connection: &mut Connection,
    id: Uuid,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Delivery>, StorageError> {
    let sql = format!(
        "SELECT {DELIVERY} FROM webhook_deliveries WHERE webhook_id = $1 AND status = $2 AND next_at <= $3 AND seq IN \
         (SELECT MIN(seq) FROM webhook_deliveries WHERE webhook_id = $1 AND status = $2 GROUP BY lane) ORDER BY seq LIMIT $4"
    );
    let rows = query(AssertSqlSafe(sql))
        .bind(id.to_string())
        .bind(DeliveryStatus::Waiting.as_str())
        .bind(micros(now))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read_delivery).collect()
}

/// The webhooks to which something is to be told at a moment.
pub(crate) async fn any_due(
    connection: &mut Connection,
    now: Timestamp,
) -> Result<HashSet<Uuid>, StorageError> {
    let sql = "SELECT DISTINCT webhook_id FROM webhook_deliveries WHERE status = $1 AND next_at <= $2";
    let ids: Vec<String> = query_scalar(sql)
        .bind(DeliveryStatus::Waiting.as_str())
        .bind(micros(now))
        .fetch_all(connection)
        .await?;
    ids.iter().map(|id| StorageError::parse("webhook id", id)).collect()
}

/// Gives up whatever waits.
pub(crate) async fn give_up_all(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), StorageError> {
    let sql = "UPDATE webhook_deliveries SET status = $3, next_at = NULL, finished_at = $4 \
               WHERE webhook_id = $1 AND status = $2";
    query(sql)
        .bind(id.to_string())
        .bind(DeliveryStatus::Waiting.as_str())
        .bind(DeliveryStatus::Failed.as_str())
        .bind(micros(now))
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Deliveries of a webhook, newest first, before number `before`, each with its attempts.
pub(crate) async fn deliveries(
    connection: &mut Connection,
    id: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Delivery>, StorageError> {
    let before = before.unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {DELIVERY} FROM webhook_deliveries WHERE webhook_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
    );
    let rows = query(AssertSqlSafe(sql))
        .bind(id.to_string())
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let mut deliveries = rows.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
    let Some(oldest) = deliveries.last().map(|delivery| delivery.seq) else { return Ok(deliveries) };
    let sql = "SELECT delivery, nth, at, duration_ms, http_status, error, answer FROM webhook_attempts \
               WHERE webhook_id = $1 AND delivery >= $2 AND delivery < $3 ORDER BY delivery, nth";
    let rows = query(sql).bind(id.to_string()).bind(oldest).bind(before).fetch_all(connection).await?;
    for row in &rows {
        let seq: i64 = row.try_get(0)?;
        if let Some(delivery) = deliveries.iter_mut().find(|delivery| delivery.seq == seq) {
            delivery.attempts.push(read_attempt(row)?);
        }
    }
    Ok(deliveries)
}

/// Removes what came to its end before a moment, and all but the newest `most` of each webhook.
pub(crate) async fn forget(tx: &mut Tx, before: Timestamp, most: i64) -> Result<(), StorageError> {
    let waiting = DeliveryStatus::Waiting.as_str();
    let sql = "DELETE FROM webhook_deliveries WHERE finished_at < $1 AND status <> $2";
    query(sql).bind(micros(before)).bind(waiting).execute(tx.sql()).await?;
    let sql = "DELETE FROM webhook_deliveries WHERE status <> $1 AND seq <= $2 + \
               (SELECT MAX(d.seq) FROM webhook_deliveries d WHERE d.webhook_id = webhook_deliveries.webhook_id)";
    query(sql).bind(waiting).bind(-most).execute(tx.sql()).await?;
    let sql = "DELETE FROM webhook_attempts WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries d \
               WHERE d.webhook_id = webhook_attempts.webhook_id AND d.seq = webhook_attempts.delivery)";
    query(sql).execute(tx.sql()).await?;
    Ok(())
}

fn list(kinds: &[EventKind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")
}

fn read(row: &Row) -> Result<Webhook, StorageError> {
    let unreadable = |what, text: &str| StorageError::Unreadable { what, why: text.to_owned() };
    let (kinds, state): (String, String) = (row.try_get("kinds")?, row.try_get("state")?);
    let kinds = kinds.split(',').filter(|one| !one.is_empty());
    let kinds = kinds
        .map(|one| EventKind::read(one).ok_or_else(|| unreadable("kind of event", one)))
        .collect::<Result<_, _>>()?;
    let moment = |column| Ok::<_, StorageError>(row.try_get::<Option<i64>, _>(column)?.map(from_micros));
    Ok(Webhook {
        id: StorageError::parse("webhook id", &row.try_get::<String, _>("id")?)?,
        owner: StorageError::parse("user id", &row.try_get::<String, _>("user_id")?)?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        account: account(row.try_get("account_id")?)?,
        kinds,
        state: State::read(&state).ok_or_else(|| unreadable("state of a webhook", &state))?,
        reason: row.try_get("reason")?,
        failing_since: moment("failing_since")?,
        former_until: moment("former_until")?,
        created_at: from_micros(row.try_get("created_at")?),
        cursor: row.try_get("cursor")?,
    })
}

fn account(text: Option<String>) -> Result<Option<AccountId>, StorageError> {
    text.map(|text| StorageError::parse("account id", &text)).transpose()
}

const DELIVERY: &str =
    "seq, event_id, kind, account_id, scope, body, status, attempts, first_at, next_at, finished_at";

fn read_delivery(row: &Row) -> Result<Delivery, StorageError> {
    let status: String = row.try_get("status")?;
    let scope: Option<String> = row.try_get("scope")?;
    let moment = |column| Ok::<_, StorageError>(row.try_get::<Option<i64>, _>(column)?.map(from_micros));
    Ok(Delivery {
        seq: row.try_get("seq")?,
        event: row.try_get("event_id")?,
        kind: row.try_get("kind")?,
        account: account(row.try_get("account_id")?)?,
        scope: scope.map(|text| StorageError::parse("scope", &text)).transpose()?,
        body: row.try_get("body")?,
        status: DeliveryStatus::read(&status)
            .ok_or_else(|| StorageError::Unreadable { what: "status of a delivery", why: status.clone() })?,
        first_at: from_micros(row.try_get("first_at")?),
        next_at: moment("next_at")?,
        finished_at: moment("finished_at")?,
        tried: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        attempts: Vec::new(),
    })
}

fn read_attempt(row: &Row) -> Result<Attempt, StorageError> {
    let status: Option<i64> = row.try_get(4)?;
    Ok(Attempt {
        nth: u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX),
        at: from_micros(row.try_get(2)?),
        took: Duration::from_millis(row.try_get::<i64, _>(3)?.unsigned_abs()),
        http_status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.try_get(5)?,
        answer: row.try_get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use storage::Database;
    use storage::testing::databases;

    use super::*;

    fn at(second: i64) -> Timestamp {
        from_micros(second * 1_000_000)
    }

    /// Runs a job whose connection the store uses.
    macro_rules! write {
        ($db:expr, |$tx:ident| $job:expr) => {
            $db.write(move |$tx: &mut Tx| Box::pin(async move { Ok::<_, StorageError>($job) })).await.unwrap()
        };
    }

    async fn with_webhook(db: &Database) -> Webhook {
        let webhook = Webhook {
            id: Uuid::from_u128(7),
            owner: UserId::new(at(0)),
            name: "Hook".into(),
            url: "https://hooks.example/".into(),
            account: None,
            kinds: vec![EventKind::OrderChanged, EventKind::FillBooked],
            state: State::On,
            reason: None,
            failing_since: None,
            former_until: None,
            created_at: at(0),
            cursor: 3,
        };
        let (owner, new) = (webhook.owner.to_string(), webhook.clone());
        write!(db, |tx| {
            let sql = "INSERT INTO users (id, username, username_key, display_name, status, created_at) \
                       VALUES ($1, 'a', 'a', 'A', 'active', 0)";
            query(sql).bind(owner).execute(tx.sql()).await?;
            insert(tx, &new).await?;
        });
        webhook
    }

    fn delivery(account: Option<AccountId>, second: i64) -> Delivery {
        let data = serde_json::json!({});
        Delivery { account, ..Delivery::new(format!("e{second}"), "order.changed", at(second), &data) }
    }

    #[tokio::test]
    async fn within_a_lane_one_waits_for_the_one_before_it() {
        for database in databases().await {
            let db = database.open(None).await;
            let webhook = with_webhook(&db).await;
            let id = webhook.id;
            assert_eq!(on(&mut db.read().await.unwrap()).await.unwrap(), std::slice::from_ref(&webhook));
            assert!(write!(db, |tx| advance(tx, id, 3, 9).await?));
            assert!(!write!(db, |tx| advance(tx, id, 3, 10).await?), "somebody has read on");

            let (one, other) = (AccountId::new(at(1)), AccountId::new(at(1)));
            for (account, second) in [(one, 10), (one, 11), (other, 12)] {
                write!(db, |tx| line_up(tx, id, &delivery(Some(account), second)).await?);
            }
            let due_at = async |second| {
                let due = due(&mut db.read().await.unwrap(), id, at(second), 10).await.unwrap();
                due.into_iter().map(|delivery| delivery.seq).collect::<Vec<_>>()
            };
            assert_eq!((due_at(9).await, due_at(11).await, due_at(12).await), (vec![], vec![1], vec![1, 3]));
            let first = due(&mut db.read().await.unwrap(), id, at(12), 10).await.unwrap().remove(0);
            let again = Delivery { next_at: Some(at(20)), tried: 1, ..first.clone() };
            write!(db, |tx| settle(tx, id, &again).await?);
            assert_eq!((due_at(19).await, due_at(20).await), (vec![3], vec![1, 3]));
            assert_eq!(any_due(&mut db.read().await.unwrap(), at(12)).await.unwrap(), HashSet::from([id]));

            let mut told = first;
            told.end(DeliveryStatus::Delivered, at(21));
            let attempt = Attempt {
                nth: 1,
                at: at(20),
                took: Duration::from_millis(30),
                http_status: Some(200),
                error: None,
                answer: Some("ok".into()),
            };
            let kept = attempt.clone();
            write!(db, |tx| {
                settle(tx, id, &told).await?;
                insert_attempt(tx, id, 1, &attempt).await?;
            });
            assert_eq!(due_at(21).await, [2, 3]);
            let log = deliveries(&mut db.read().await.unwrap(), id, Some(3), 10).await.unwrap();
            assert_eq!(log.iter().map(|delivery| delivery.seq).collect::<Vec<_>>(), [2, 1]);
            assert_eq!(log[1].attempts, [kept]);

            // What waits stays, however old; of the rest only the newest.
            write!(db, |tx| forget(tx, at(21), 100).await?);
            assert_eq!(deliveries(&mut db.read().await.unwrap(), id, None, 10).await.unwrap().len(), 3);
            write!(db, |tx| forget(tx, at(0), 2).await?);
            let log = deliveries(&mut db.read().await.unwrap(), id, None, 10).await.unwrap();
            assert_eq!(log.iter().map(|delivery| delivery.seq).collect::<Vec<_>>(), [3, 2]);
            write!(db, |tx| give_up_all(tx, id, at(30)).await?);
            assert_eq!(waiting(&mut db.read().await.unwrap(), id).await.unwrap(), 0);
            write!(db, |tx| delete(tx, id).await?);
            assert_eq!(of_owner(&mut db.read().await.unwrap(), webhook.owner).await.unwrap(), []);
        }
    }
}
