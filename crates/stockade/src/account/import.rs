//! `stockade account import`: the accounts that a YAML file lists.
//!
//! The file is read as a whole before anything is done. Then each account is tried and kept, or refused, by itself. What is
//! wrong with the file is said by line and never by quoting it: it holds secrets.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_saphyr::Error;
use trading::{Credentials, Mode, Opening};
use vault::SecretString;

use super::{TAKEN_UP, Visit};

/// Most bytes of a file.
const LARGEST: u64 = 1 << 20;

/// An account as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    broker: String,
    mode: ListedMode,
    key_id: Option<String>,
    secret: Option<SecretString>,
    /// The environment variable that holds the secret, in place of the secret itself.
    secret_env: Option<String>,
    url: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ListedMode {
    Paper,
    Live,
}

impl Listed {
    fn opening(self, environment: impl Fn(&str) -> Option<String>) -> anyhow::Result<Opening> {
        let secret = match (self.secret, self.secret_env) {
            (Some(_), Some(_)) => {
                anyhow::bail!("it has both a secret and a secret_env: which is meant is not known")
            }
            (Some(secret), None) => Some(secret),
            (None, Some(variable)) => {
                let secret = environment(&variable).filter(|secret| !secret.is_empty());
                Some(secret.with_context(|| format!("the environment has no {variable}"))?.into())
            }
            (None, None) => None,
        };
        let credentials = match (self.key_id, secret) {
            (Some(key_id), Some(secret)) => Some(Credentials { key_id, secret }),
            (None, None) => None,
            (Some(_), None) => anyhow::bail!("it has a key_id and neither a secret nor a secret_env"),
            (None, Some(_)) => anyhow::bail!("it has a secret and no key_id"),
        };
        let mode = match self.mode {
            ListedMode::Paper => Mode::Paper,
            ListedMode::Live => Mode::Live,
        };
        Ok(Opening { name: self.name, broker: self.broker, mode, url: self.url, credentials })
    }
}

pub(super) async fn run(visit: &Visit, file: &Path) -> anyhow::Result<()> {
    let listed = read(file)?;
    let (all, mut refused) = (listed.len(), 0);
    for one in listed {
        let name = one.name.clone();
        let added = match one.opening(|variable| std::env::var(variable).ok()) {
            Ok(opening) => visit.add(opening).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match added {
            Ok(account) => println!("{:?} is added, {} at {}.", account.name, account.mode, account.broker),
            Err(error) => {
                refused += 1;
                println!("{name:?} is not added: {error:#}.");
            }
        }
    }
    println!("{} of {all} accounts are added.", all - refused);
    if refused < all {
        println!("{TAKEN_UP} Nobody may see them yet: `stockade user grant` changes that.");
    }
    ensure!(refused == 0, "{refused} of {all} accounts were refused");
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<Listed>> {
    let cannot = || format!("{} cannot be read", file.display());
    let size = std::fs::metadata(file).with_context(cannot)?.len();
    ensure!(size <= LARGEST, "{} has more than {LARGEST} bytes", file.display());
    let text = SecretString::from(std::fs::read_to_string(file).with_context(cannot)?);
    parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

fn parse(text: &SecretString) -> Result<Vec<Listed>, String> {
    serde_saphyr::from_str(vault::ExposeSecret::expose_secret(text)).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        format!("line {line}: {}", describe(error.without_snippet()))
    })
}

/// What is wrong, without a word of what stands there.
fn describe(error: &Error) -> String {
    match error {
        Error::SerdeUnknownField { field, .. } if is_plain(field) => {
            format!(
                "there is no field {field}; there are: name, broker, mode, key_id, secret, secret_env, url"
            )
        }
        Error::SerdeUnknownField { .. } => "there is no such field".to_owned(),
        Error::SerdeMissingField { field, .. } => format!("the field {field} is missing"),
        Error::SerdeUnknownVariant { .. } => "the mode is paper or live".to_owned(),
        Error::DuplicateMappingKey { .. } => "a field is there twice".to_owned(),
        _ => "this is no list of accounts in YAML".to_owned(),
    }
}

/// Whether it is a name that somebody chose for a field, and not something that slipped.
fn is_plain(field: &str) -> bool {
    field.len() <= 24 && field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = parse(&text.to_owned().into());
        let said = match parsed {
            Ok(listed) => {
                let each = listed.into_iter().map(|one| {
                    let opening =
                        one.opening(|variable| (variable == "HERE").then(|| "from-there".to_owned()));
                    match opening {
                        Ok(opening) => {
                            format!("{} {} {}", opening.name, opening.mode, opening.credentials.is_some())
                        }
                        Err(error) => error.to_string(),
                    }
                });
                each.collect::<Vec<_>>().join("; ")
            }
            Err(error) => error,
        };
        assert_eq!(said, expected, "of {text}");
        assert!(!said.contains("hush"), "a secret is quoted: {said}");
    }

    #[test]
    fn a_file_lists_accounts() {
        check(
            "- {name: A, broker: alpaca, mode: live, key_id: K, secret: hush}\n\
             - name: B\n  broker: alpaca\n  mode: paper\n  key_id: K\n  secret_env: HERE\n\
             - {name: C, broker: paper, mode: paper}\n\
             - {name: 7, broker: alpaca, mode: paper, key_id: 5, secret: 1234}\n",
            "A live true; B paper true; C paper false; 7 paper true",
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_by_line_and_never_quoted() {
        let known = "there are: name, broker, mode, key_id, secret, secret_env, url";
        check(
            "- name: A\n  broker: alpaca\n  mode: paper\n  kye_id: K\n  secret: hush\n",
            &format!("line 4: there is no field kye_id; {known}"),
        );
        check("- name: A\n  broker: alpaca\n  key_id: hush\n", "line 3: the field mode is missing");
        check("- name: A\n  broker: alpaca\n  mode: hush\n", "line 3: the mode is paper or live");
        check("- hush-1\n", "line 1: this is no list of accounts in YAML");
        check("- name: A\n  secret: [hush]\n", "line 2: this is no list of accounts in YAML");
        check("- name: A\n  secret: hush\n  secret: hush\n", "line 3: a field is there twice");
        check("- name: A\n  Hush-hush: 1\n", "line 2: there is no such field");
    }

    #[test]
    fn half_of_the_credentials_is_none() {
        let start = "{name: A, broker: alpaca, mode: paper";
        check(&format!("- {start}, key_id: K}}"), "it has a key_id and neither a secret nor a secret_env");
        check(&format!("- {start}, secret: hush}}"), "it has a secret and no key_id");
        check(&format!("- {start}, key_id: K, secret_env: GONE}}"), "the environment has no GONE");
        check(
            &format!("- {start}, key_id: K, secret: hush, secret_env: HERE}}"),
            "it has both a secret and a secret_env: which is meant is not known",
        );
    }
}
