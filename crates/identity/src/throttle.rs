//! Slows guessing down without giving anybody the means to lock others out.
//!
//! Counted is per name and source, and per source alone; a source is an IPv4 address or an IPv6 network of 64 bits.
//! Codes of six digits are few, so of those a person has but so many from all sources together; only somebody who knows
//! the password can use them up, and a recovery code, which nobody guesses, gets through all the same.
//! A guess is counted, durably, before the password is looked at, so that neither a burst nor a restart gives more of
//! them; a success takes back what was counted for that name and source. Failures from one source never stop anybody
//! who comes from another, and nobody who is signed in already.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use domain::{Timestamp, UserId, from_micros, micros};
use storage::{Connection, RowExt as _, StorageError, query};
use vault::crypto;

/// Failures are forgotten after this long.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Failures in a window for one name from one source.
const PER_NAME: i64 = 10;
/// Failures in a window from one source, over all names.
const PER_SOURCE: i64 = 60;
/// Wrong codes in a window for one person, from all sources.
const CODES_PER_PERSON: i64 = 15;
/// Names that one source may fail for in a window.
const NAMES_PER_SOURCE: i64 = 30;

/// Notes in the table that a refusal was recorded; no hash of a name is this.
const SOURCE_REFUSED: &str = "*";

/// Whether a guess counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// It was counted; go on.
    Counted,
    /// It was not even counted. `first`: nothing was refused to this source for the same reason in this window yet.
    Refused { retry_after: Duration, first: bool },
}

/// Where guesses come from.
pub(crate) fn source(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "local".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        // Every house has a network of its own, with more addresses than can be counted.
        Some(IpAddr::V6(address)) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
    }
}

/// What stands for a user name: a hash of its canonical form. Some people type their password there.
pub(crate) fn name(key: &str) -> String {
    crypto::hex(&crypto::sha256(key.as_bytes()))
}

/// What stands for a person's codes of a kind. No user name has a blank.
pub(crate) fn codes(user: UserId, kind: &str) -> String {
    name(&format!("{kind} of {user}"))
}

/// Counts a guess at a code of six digits beforehand, or refuses it.
pub(crate) async fn count_code(
    connection: &mut Connection,
    codes: &str,
    source: &str,
    now: Timestamp,
) -> Result<Guess, StorageError> {
    tidy(connection, now).await?;
    let sql = "SELECT COUNT(*) AS failures, MIN(at) AS oldest FROM sign_in_failures WHERE username_key = $1";
    let row = query(sql).bind(codes).fetch_one(&mut *connection).await?;
    let failures: i64 = row.try_get("failures")?;
    if CODES_PER_PERSON <= failures {
        let first = failures == CODES_PER_PERSON;
        if first {
            insert(connection, codes, source, now).await?;
        }
        return Ok(Guess::Refused { retry_after: wait(row.try_get("oldest")?, now), first });
    }
    count_tidied(connection, codes, source, now).await
}

/// Counts a guess beforehand, or refuses it.
pub(crate) async fn count(
    connection: &mut Connection,
    name: &str,
    source: &str,
    now: Timestamp,
) -> Result<Guess, StorageError> {
    tidy(connection, now).await?;
    count_tidied(connection, name, source, now).await
}

/// Forgets what is too old. A failure of the future is of now: the clock was set back since, and it must not count for as long
/// as that was.
async fn tidy(connection: &mut Connection, now: Timestamp) -> Result<(), StorageError> {
    query("DELETE FROM sign_in_failures WHERE at <= $1")
        .bind(micros(since(now)))
        .execute(&mut *connection)
        .await?;
    query("UPDATE sign_in_failures SET at = $1 WHERE at > $1")
        .bind(micros(now))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn count_tidied(
    connection: &mut Connection,
    name: &str,
    source: &str,
    now: Timestamp,
) -> Result<Guess, StorageError> {
    let sql = "SELECT COUNT(*) AS failures, MIN(at) AS oldest FROM sign_in_failures \
               WHERE username_key = $1 AND address = $2";
    let row = query(sql).bind(name).bind(source).fetch_one(&mut *connection).await?;
    let of_name: i64 = row.try_get("failures")?;
    if PER_NAME <= of_name {
        // One more row says that the refusal was recorded: a flood must not fill the audit log.
        let first = of_name == PER_NAME;
        if first {
            insert(connection, name, source, now).await?;
        }
        return Ok(Guess::Refused { retry_after: wait(row.try_get("oldest")?, now), first });
    }

    let sql = "SELECT COUNT(*) AS failures, COUNT(DISTINCT username_key) AS names, MIN(at) AS oldest \
               FROM sign_in_failures WHERE address = $1 AND username_key <> $2";
    let row = query(sql).bind(source).bind(SOURCE_REFUSED).fetch_one(&mut *connection).await?;
    let (failures, names): (i64, i64) = (row.try_get("failures")?, row.try_get("names")?);
    if PER_SOURCE <= failures || (NAMES_PER_SOURCE <= names && of_name == 0) {
        let sql = "SELECT COUNT(*) AS n FROM sign_in_failures WHERE address = $1 AND username_key = $2";
        let noted = query(sql).bind(source).bind(SOURCE_REFUSED).fetch_one(&mut *connection).await?;
        let first = noted.try_get::<i64, _>("n")? == 0;
        if first {
            insert(connection, SOURCE_REFUSED, source, now).await?;
        }
        return Ok(Guess::Refused { retry_after: wait(row.try_get("oldest")?, now), first });
    }

    insert(connection, name, source, now).await?;
    Ok(Guess::Counted)
}

/// Takes back what was counted for a name and source: the password was right.
pub(crate) async fn forget(
    connection: &mut Connection,
    name: &str,
    source: &str,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM sign_in_failures WHERE username_key = $1 AND address = $2";
    query(sql).bind(name).bind(source).execute(connection).await?;
    Ok(())
}

async fn insert(
    connection: &mut Connection,
    name: &str,
    source: &str,
    at: Timestamp,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO sign_in_failures (username_key, address, at) VALUES ($1, $2, $3)";
    query(sql).bind(name).bind(source).bind(micros(at)).execute(connection).await?;
    Ok(())
}

/// When a window began that ends now.
fn since(now: Timestamp) -> Timestamp {
    now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN)
}

/// Until the oldest failure is forgotten.
fn wait(oldest: Option<i64>, now: Timestamp) -> Duration {
    let oldest = oldest.map_or(now, from_micros);
    let until = oldest.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
    Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_the_network_of_a_house() {
        let of = |text: &str| source(Some(text.parse().unwrap()));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:ffff::"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
        assert_eq!(source(None), "local");
    }
}
