//! The SQL of `totp_factors`, `recovery_codes` and `sign_in_challenges`.

use domain::{Timestamp, UserId, from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, query};

/// An authenticator app, as stored; its secret is in the vault.
pub(crate) struct StoredTotp {
    pub begun_at: Timestamp,
    /// `None`: no right code was shown yet.
    pub active_at: Option<Timestamp>,
}

pub(crate) async fn totp(
    connection: &mut Connection,
    user: UserId,
) -> Result<Option<StoredTotp>, StorageError> {
    let sql = "SELECT begun_at, active_at FROM totp_factors WHERE user_id = $1";
    let row = query(sql).bind(user.to_string()).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(StoredTotp {
            begun_at: from_micros(row.try_get("begun_at")?),
            active_at: row.try_get::<Option<i64>, _>("active_at")?.map(from_micros),
        })
    })
    .transpose()
}

/// Whether signing in takes a code.
pub(crate) async fn has_factor(connection: &mut Connection, user: UserId) -> Result<bool, StorageError> {
    Ok(totp(connection, user).await?.is_some_and(|totp| totp.active_at.is_some()))
}

/// Begins an enrolment, in place of one that did not come to its end; `false` when there is an active app.
pub(crate) async fn begin_totp(
    connection: &mut Connection,
    user: UserId,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "INSERT INTO totp_factors (user_id, begun_at, last_step) VALUES ($1, $2, 0) \
               ON CONFLICT (user_id) DO UPDATE SET begun_at = excluded.begun_at, last_step = 0 \
               WHERE totp_factors.active_at IS NULL";
    let done = query(sql).bind(user.to_string()).bind(micros(at)).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes the app that was begun at `begun_at` count; `false` when that was overtaken.
pub(crate) async fn activate_totp(
    connection: &mut Connection,
    user: UserId,
    begun_at: Timestamp,
    step: i64,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "UPDATE totp_factors SET active_at = $1, last_step = $2 \
               WHERE user_id = $3 AND begun_at = $4 AND active_at IS NULL";
    let done = query(sql)
        .bind(micros(at))
        .bind(step)
        .bind(user.to_string())
        .bind(micros(begun_at))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses the code of a step up; `false` when it, or that of a later step, was used before.
pub(crate) async fn use_step(
    connection: &mut Connection,
    user: UserId,
    begun_at: Timestamp,
    step: i64,
) -> Result<bool, StorageError> {
    let sql = "UPDATE totp_factors SET last_step = $1 \
               WHERE user_id = $2 AND begun_at = $3 AND active_at IS NOT NULL AND last_step < $1";
    let done =
        query(sql).bind(step).bind(user.to_string()).bind(micros(begun_at)).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a person's app and recovery codes; `false` when there was no active app.
pub(crate) async fn delete_factors(connection: &mut Connection, user: UserId) -> Result<bool, StorageError> {
    let had = has_factor(connection, user).await?;
    for sql in
        ["DELETE FROM recovery_codes WHERE user_id = $1", "DELETE FROM totp_factors WHERE user_id = $1"]
    {
        query(sql).bind(user.to_string()).execute(&mut *connection).await?;
    }
    Ok(had)
}

// Recovery codes -----------------------------------------------------------------------------------------

/// Puts new codes in place of all that were there.
pub(crate) async fn set_recovery_codes(
    connection: &mut Connection,
    user: UserId,
    hashes: &[String],
) -> Result<(), StorageError> {
    query("DELETE FROM recovery_codes WHERE user_id = $1")
        .bind(user.to_string())
        .execute(&mut *connection)
        .await?;
    for hash in hashes {
        query("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)")
            .bind(user.to_string())
            .bind(hash)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Uses a code up; `false` when there is none such, or not any more.
pub(crate) async fn use_recovery_code(
    connection: &mut Connection,
    user: UserId,
    hash: &str,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql =
        "UPDATE recovery_codes SET used_at = $1 WHERE user_id = $2 AND code_hash = $3 AND used_at IS NULL";
    let done = query(sql).bind(micros(at)).bind(user.to_string()).bind(hash).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// How many codes were not used yet.
pub(crate) async fn recovery_codes_left(
    connection: &mut Connection,
    user: UserId,
) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL";
    Ok(query(sql).bind(user.to_string()).fetch_one(connection).await?.try_get("n")?)
}

// Challenges -----------------------------------------------------------------------------------------------

/// Notes that somebody showed the password; forgets those who took too long.
pub(crate) async fn insert_challenge(
    connection: &mut Connection,
    token_hash: &str,
    user: UserId,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StorageError> {
    query("DELETE FROM sign_in_challenges WHERE expires_at <= $1")
        .bind(micros(at))
        .execute(&mut *connection)
        .await?;
    let sql = "INSERT INTO sign_in_challenges (token_hash, user_id, created_at, expires_at, guesses) \
               VALUES ($1, $2, $3, $4, 0)";
    query(sql)
        .bind(token_hash)
        .bind(user.to_string())
        .bind(micros(at))
        .bind(micros(expires_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// Who owes a code, while a guess is left and time too.
pub(crate) async fn challenged(
    connection: &mut Connection,
    token_hash: &str,
    now: Timestamp,
    guesses: i64,
) -> Result<Option<UserId>, StorageError> {
    let sql = "SELECT user_id FROM sign_in_challenges \
               WHERE token_hash = $1 AND created_at <= $2 AND expires_at > $2 AND guesses < $3";
    let row = query(sql).bind(token_hash).bind(micros(now)).bind(guesses).fetch_optional(connection).await?;
    row.map(|row| StorageError::parse("sign_in_challenges.user_id", &row.try_get::<String, _>("user_id")?))
        .transpose()
}

pub(crate) async fn count_guess(connection: &mut Connection, token_hash: &str) -> Result<(), StorageError> {
    let sql = "UPDATE sign_in_challenges SET guesses = guesses + 1 WHERE token_hash = $1";
    query(sql).bind(token_hash).execute(connection).await?;
    Ok(())
}

/// Ends a challenge; `false` when it had ended.
pub(crate) async fn end_challenge(
    connection: &mut Connection,
    token_hash: &str,
) -> Result<bool, StorageError> {
    let sql = "DELETE FROM sign_in_challenges WHERE token_hash = $1";
    Ok(query(sql).bind(token_hash).execute(connection).await?.rows_affected() == 1)
}

/// Ends all challenges of a person.
pub(crate) async fn end_challenges(connection: &mut Connection, user: UserId) -> Result<(), StorageError> {
    let sql = "DELETE FROM sign_in_challenges WHERE user_id = $1";
    query(sql).bind(user.to_string()).execute(connection).await?;
    Ok(())
}
