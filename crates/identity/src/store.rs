//! The SQL of `users`, `user_roles`, `grants`, `invitations` and `sessions`.

pub(crate) mod factors;
pub(crate) mod keys;

use std::collections::BTreeMap;

use domain::{Access, AccountId, Role, SessionId, Timestamp, UserId, from_micros, micros};
use storage::{Connection, Row, RowExt as _, StorageError, query};

use crate::user::{Grant, User, UserStatus};

const USER: &str = "SELECT id, username, display_name, status, created_at, last_sign_in_at FROM users";

/// A session and its person, as stored.
pub(crate) struct StoredSession {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub factor_at: Option<Timestamp>,
    pub user: User,
}

/// A session to be stored.
pub(crate) struct NewSession<'s> {
    pub id: SessionId,
    pub user: UserId,
    pub token_hash: &'s str,
    pub at: Timestamp,
    pub factor_at: Option<Timestamp>,
    pub address: Option<String>,
    pub user_agent: Option<&'s str>,
}

/// What a sign-in compares with.
pub(crate) struct Login {
    pub id: UserId,
    pub status: UserStatus,
    pub password_hash: Option<String>,
}

pub(crate) async fn user(connection: &mut Connection, id: UserId) -> Result<Option<User>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{USER} WHERE id = $1"));
    let row = query(sql).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    one(connection, row).await
}

pub(crate) async fn user_by_key(
    connection: &mut Connection,
    key: &str,
) -> Result<Option<User>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{USER} WHERE username_key = $1"));
    let row = query(sql).bind(key).fetch_optional(&mut *connection).await?;
    one(connection, row).await
}

async fn one(connection: &mut Connection, row: Option<Row>) -> Result<Option<User>, StorageError> {
    let Some(row) = row else { return Ok(None) };
    let mut users = vec![read_user(&row)?];
    fill(connection, &mut users).await?;
    Ok(users.pop())
}

/// Up to `limit` people after `after`, by id, that is, in the order in which they were made.
pub(crate) async fn users(
    connection: &mut Connection,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<User>, StorageError> {
    let sql = sqlx::AssertSqlSafe(format!("{USER} WHERE id > $1 ORDER BY id LIMIT $2"));
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let rows = query(sql).bind(after).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    let mut users = rows.iter().map(read_user).collect::<Result<Vec<User>, StorageError>>()?;
    fill(connection, &mut users).await?;
    Ok(users)
}

fn read_user(row: &Row) -> Result<User, StorageError> {
    let (id, status): (String, String) = (row.try_get("id")?, row.try_get("status")?);
    Ok(User {
        id: StorageError::parse("users.id", &id)?,
        username: row.try_get("username")?,
        display_name: row.try_get("display_name")?,
        status: StorageError::parse("users.status", &status)?,
        roles: Vec::new(),
        grants: Vec::new(),
        created_at: from_micros(row.try_get("created_at")?),
        last_sign_in_at: row.try_get::<Option<i64>, _>("last_sign_in_at")?.map(from_micros),
    })
}

/// Reads the roles and grants of people that stand in the order of their ids.
async fn fill(connection: &mut Connection, users: &mut [User]) -> Result<(), StorageError> {
    let (Some(first), Some(last)) = (users.first(), users.last()) else { return Ok(()) };
    let sql = "SELECT user_id, role, NULL AS account_id, NULL AS account_name, 0 AS live FROM user_roles \
               WHERE user_id BETWEEN $1 AND $2 \
               UNION ALL \
               SELECT g.user_id, g.access, g.account_id, a.name, g.live FROM grants g \
               JOIN accounts a ON a.id = g.account_id AND a.removed_at IS NULL \
               WHERE g.user_id BETWEEN $1 AND $2";
    let rows = query(sql).bind(first.id.to_string()).bind(last.id.to_string()).fetch_all(connection).await?;
    let mut by_id: BTreeMap<String, &mut User> =
        users.iter_mut().map(|user| (user.id.to_string(), user)).collect();
    for row in rows {
        let (user_id, name): (String, String) = (row.try_get("user_id")?, row.try_get("role")?);
        let account: Option<String> = row.try_get("account_id")?;
        // Somebody made since the first query.
        let Some(user) = by_id.get_mut(&user_id) else { continue };
        match account {
            None => user.roles.push(StorageError::parse("user_roles.role", &name)?),
            Some(account) => user.grants.push(Grant {
                account_id: StorageError::parse("grants.account_id", &account)?,
                account_name: row.try_get("account_name")?,
                access: StorageError::parse("grants.access", &name)?,
                live: row.try_get::<i64, _>("live")? != 0,
            }),
        }
    }
    for user in users {
        user.roles.sort_unstable();
        user.grants.sort_by(|one, other| one.account_name.cmp(&other.account_name));
    }
    Ok(())
}

pub(crate) async fn insert_user(
    connection: &mut Connection,
    user: &User,
    key: &str,
    password_hash: Option<&str>,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO users (id, username, username_key, display_name, password_hash, status, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    query(sql)
        .bind(user.id.to_string())
        .bind(&user.username)
        .bind(key)
        .bind(&user.display_name)
        .bind(password_hash)
        .bind(user.status.as_str())
        .bind(micros(user.created_at))
        .execute(&mut *connection)
        .await?;
    set_roles(connection, user.id, &user.roles).await
}

pub(crate) async fn set_roles(
    connection: &mut Connection,
    id: UserId,
    roles: &[Role],
) -> Result<(), StorageError> {
    query("DELETE FROM user_roles WHERE user_id = $1").bind(id.to_string()).execute(&mut *connection).await?;
    for role in roles {
        query("INSERT INTO user_roles (user_id, role) VALUES ($1, $2)")
            .bind(id.to_string())
            .bind(role.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(crate) async fn set_display_name(
    connection: &mut Connection,
    id: UserId,
    name: &str,
) -> Result<(), StorageError> {
    let sql = "UPDATE users SET display_name = $1 WHERE id = $2";
    query(sql).bind(name).bind(id.to_string()).execute(connection).await?;
    Ok(())
}

pub(crate) async fn set_status(
    connection: &mut Connection,
    id: UserId,
    status: UserStatus,
) -> Result<(), StorageError> {
    let sql = "UPDATE users SET status = $1 WHERE id = $2";
    query(sql).bind(status.as_str()).bind(id.to_string()).execute(connection).await?;
    Ok(())
}

pub(crate) async fn set_password(
    connection: &mut Connection,
    id: UserId,
    hash: &str,
) -> Result<(), StorageError> {
    let sql = "UPDATE users SET password_hash = $1 WHERE id = $2";
    query(sql).bind(hash).bind(id.to_string()).execute(connection).await?;
    Ok(())
}

pub(crate) async fn has_password(connection: &mut Connection, id: UserId) -> Result<bool, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM users WHERE id = $1 AND password_hash IS NOT NULL";
    let row = query(sql).bind(id.to_string()).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>("n")? > 0)
}

/// Active owners other than `id`.
pub(crate) async fn other_owners(
    connection: &mut Connection,
    id: Option<UserId>,
) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM users u JOIN user_roles r ON r.user_id = u.id \
               WHERE u.status = 'active' AND r.role = 'super_admin' AND u.id <> $1";
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    Ok(query(sql).bind(id).fetch_one(connection).await?.try_get("n")?)
}

// Grants --------------------------------------------------------------------------------------------------

/// All accounts with their names.
pub(crate) async fn accounts(connection: &mut Connection) -> Result<Vec<AccountId>, StorageError> {
    let rows =
        query("SELECT id FROM accounts WHERE removed_at IS NULL ORDER BY id").fetch_all(connection).await?;
    rows.iter().map(|row| StorageError::parse("accounts.id", &row.try_get::<String, _>("id")?)).collect()
}

pub(crate) async fn account_exists(
    connection: &mut Connection,
    account: AccountId,
) -> Result<bool, StorageError> {
    let sql = "SELECT COUNT(*) AS n FROM accounts WHERE id = $1 AND removed_at IS NULL";
    let row = query(sql).bind(account.to_string()).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>("n")? > 0)
}

pub(crate) async fn set_grant(
    connection: &mut Connection,
    user: UserId,
    account: AccountId,
    access: Access,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO grants (user_id, account_id, access) VALUES ($1, $2, $3) \
               ON CONFLICT (user_id, account_id) DO UPDATE SET access = excluded.access";
    query(sql)
        .bind(user.to_string())
        .bind(account.to_string())
        .bind(access.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Says whether a grant goes for real money.
pub(crate) async fn set_live(
    connection: &mut Connection,
    user: UserId,
    account: AccountId,
    live: bool,
) -> Result<(), StorageError> {
    query("UPDATE grants SET live = $3 WHERE user_id = $1 AND account_id = $2")
        .bind(user.to_string())
        .bind(account.to_string())
        .bind(i64::from(live))
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn delete_grant(
    connection: &mut Connection,
    user: UserId,
    account: AccountId,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM grants WHERE user_id = $1 AND account_id = $2";
    query(sql).bind(user.to_string()).bind(account.to_string()).execute(connection).await?;
    Ok(())
}

// Invitations ---------------------------------------------------------------------------------------------

/// Puts a new invitation in place of those before it; `None` is the first owner's.
pub(crate) async fn replace_invitation(
    connection: &mut Connection,
    user: Option<UserId>,
    code_hash: &str,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StorageError> {
    delete_invitations(connection, user).await?;
    let sql = "INSERT INTO invitations (code_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
    query(sql)
        .bind(code_hash)
        .bind(user.map(|id| id.to_string()))
        .bind(micros(at))
        .bind(micros(expires_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes the invitations of a person worthless; `None` is the first owner.
pub(crate) async fn delete_invitations(
    connection: &mut Connection,
    user: Option<UserId>,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM invitations WHERE used_at IS NULL AND (user_id = $1 OR ($1 IS NULL AND user_id IS NULL))";
    query(sql).bind(user.map(|id| id.to_string())).execute(connection).await?;
    Ok(())
}

/// Whose invitation a code is and until when; the owner's set-up has no person yet. `None`: it is not valid.
pub(crate) async fn invitation(
    connection: &mut Connection,
    code_hash: &str,
    now: Timestamp,
) -> Result<Option<(Option<UserId>, Timestamp)>, StorageError> {
    let sql = "SELECT user_id, expires_at FROM invitations \
               WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2";
    let row = query(sql).bind(code_hash).bind(micros(now)).fetch_optional(connection).await?;
    row.map(|row| {
        let user: Option<String> = row.try_get("user_id")?;
        let user = user.map(|id| StorageError::parse("invitations.user_id", &id)).transpose()?;
        Ok((user, from_micros(row.try_get("expires_at")?)))
    })
    .transpose()
}

/// Uses a code up; `false` when somebody else did or it expired.
pub(crate) async fn use_invitation(
    connection: &mut Connection,
    code_hash: &str,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let sql =
        "UPDATE invitations SET used_at = $1 WHERE code_hash = $2 AND used_at IS NULL AND expires_at > $1";
    let done = query(sql).bind(micros(now)).bind(code_hash).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

// Sessions --------------------------------------------------------------------------------------------------

pub(crate) async fn login(connection: &mut Connection, key: &str) -> Result<Option<Login>, StorageError> {
    let sql = "SELECT id, status, password_hash FROM users WHERE username_key = $1";
    let row = query(sql).bind(key).fetch_optional(connection).await?;
    row.map(|row| {
        let (id, status): (String, String) = (row.try_get("id")?, row.try_get("status")?);
        Ok(Login {
            id: StorageError::parse("users.id", &id)?,
            status: StorageError::parse("users.status", &status)?,
            password_hash: row.try_get("password_hash")?,
        })
    })
    .transpose()
}

/// What somebody compares with who is signed in and shows the password again.
pub(crate) async fn login_of(
    connection: &mut Connection,
    id: UserId,
) -> Result<Option<(String, Login)>, StorageError> {
    let sql = "SELECT username_key FROM users WHERE id = $1";
    let row = query(sql).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let key: String = row.try_get("username_key")?;
    Ok(login(connection, &key).await?.map(|login| (key, login)))
}

pub(crate) async fn insert_session(
    connection: &mut Connection,
    new: NewSession<'_>,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO sessions (id, token_hash, user_id, created_at, last_used_at, factor_at, address, user_agent) \
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7)";
    query(sql)
        .bind(new.id.to_string())
        .bind(new.token_hash)
        .bind(new.user.to_string())
        .bind(micros(new.at))
        .bind(new.factor_at.map(micros))
        .bind(new.address)
        .bind(new.user_agent)
        .execute(&mut *connection)
        .await?;
    query("UPDATE users SET last_sign_in_at = $1 WHERE id = $2")
        .bind(micros(new.at))
        .bind(new.user.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// By which of its two names a session is looked up.
pub(crate) enum SessionKey {
    Id(SessionId),
    TokenHash(String),
}

/// A session that was not ended, of somebody active; whether it is too old, the caller decides.
pub(crate) async fn session(
    connection: &mut Connection,
    key: &SessionKey,
) -> Result<Option<StoredSession>, StorageError> {
    let (column, value) = match key {
        SessionKey::Id(id) => ("id", id.to_string()),
        SessionKey::TokenHash(hash) => ("token_hash", hash.clone()),
    };
    let sql = format!(
        "SELECT u.id, u.username, u.display_name, u.status, u.created_at, u.last_sign_in_at, \
                s.id AS session_id, s.created_at AS session_created_at, s.last_used_at, s.factor_at \
         FROM sessions s JOIN users u ON u.id = s.user_id \
         WHERE s.{column} = $1 AND s.ended_at IS NULL AND u.status = 'active'"
    );
    let row = query(sqlx::AssertSqlSafe(sql)).bind(value).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let mut users = [read_user(&row)?];
    fill(connection, &mut users).await?;
    let [user] = users;
    Ok(Some(StoredSession {
        id: StorageError::parse("sessions.id", &row.try_get::<String, _>("session_id")?)?,
        created_at: from_micros(row.try_get("session_created_at")?),
        last_used_at: from_micros(row.try_get("last_used_at")?),
        factor_at: row.try_get::<Option<i64>, _>("factor_at")?.map(from_micros),
        user,
    }))
}

/// Notes a use, unless one was noted since `unless_after`.
pub(crate) async fn touch(
    connection: &mut Connection,
    id: SessionId,
    at: Timestamp,
    unless_after: Timestamp,
) -> Result<(), StorageError> {
    let sql =
        "UPDATE sessions SET last_used_at = $1 WHERE id = $2 AND last_used_at <= $3 AND ended_at IS NULL";
    query(sql).bind(micros(at)).bind(id.to_string()).bind(micros(unless_after)).execute(connection).await?;
    Ok(())
}

/// Gives a session that saw a factor another token; `false` when the session had ended.
pub(crate) async fn renew_session(
    connection: &mut Connection,
    id: SessionId,
    token_hash: &str,
    factor_at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "UPDATE sessions SET token_hash = $1, factor_at = $2 WHERE id = $3 AND ended_at IS NULL";
    let done =
        query(sql).bind(token_hash).bind(micros(factor_at)).bind(id.to_string()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets that a session saw a factor: there is none any more.
pub(crate) async fn forget_factor(connection: &mut Connection, id: SessionId) -> Result<(), StorageError> {
    query("UPDATE sessions SET factor_at = NULL WHERE id = $1")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a session; `false` when it had ended.
pub(crate) async fn end_session(
    connection: &mut Connection,
    id: SessionId,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL";
    Ok(query(sql).bind(micros(at)).bind(id.to_string()).execute(connection).await?.rows_affected() == 1)
}

/// Ends all sessions of a person but for `except`, and sign-ins that are half done; returns how many sessions.
pub(crate) async fn end_sessions(
    connection: &mut Connection,
    user: UserId,
    except: Option<SessionId>,
    at: Timestamp,
) -> Result<u64, StorageError> {
    factors::end_challenges(connection, user).await?;
    let sql = "UPDATE sessions SET ended_at = $1 WHERE user_id = $2 AND id <> $3 AND ended_at IS NULL";
    let except = except.map(|id| id.to_string()).unwrap_or_default();
    let done = query(sql).bind(micros(at)).bind(user.to_string()).bind(except).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Forgets sessions that ended or began before `before`.
pub(crate) async fn delete_old_sessions(
    connection: &mut Connection,
    user: UserId,
    before: Timestamp,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND created_at < $2";
    query(sql).bind(user.to_string()).bind(micros(before)).execute(connection).await?;
    Ok(())
}
