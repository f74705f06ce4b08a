//! A row as it is stored, and what its hash covers.
//!
//! `hash = SHA-256(tag, previous hash, seq, at, actor_kind, actor_id, act, resource, outcome, address, request_id,
//! detail)`. The tag is `stockade audit row 1`. Each part is one byte (0: NULL, 1: there), and when there, its length
//! as eight bytes, big end first, and its bytes; numbers are eight bytes, big end first; texts are UTF-8. So two
//! different rows never give the same bytes. Before the first row stands a hash of 32 zero bytes.

use domain::{AuditEntry, micros};
use serde::{Deserialize, Serialize};
use vault::crypto;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What stands before the first row.
pub(crate) const BEFORE_ALL: Hash = [0; 32];

/// All columns but the hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub seq: i64,
    pub at: i64,
    pub actor_kind: String,
    pub actor_id: Option<String>,
    pub act: String,
    pub resource: Option<String>,
    pub outcome: String,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub detail: String,
}

impl Row {
    pub(crate) fn new(seq: i64, entry: &AuditEntry) -> Self {
        Self {
            seq,
            at: micros(entry.at),
            actor_kind: entry.actor_kind.as_str().to_owned(),
            actor_id: entry.actor_id.clone(),
            act: entry.act.to_owned(),
            resource: entry.resource.clone(),
            outcome: entry.outcome.as_str().to_owned(),
            address: entry.address.map(|address| address.to_string()),
            request_id: entry.request_id.map(|id| id.to_string()),
            detail: detail(entry),
        }
    }

    pub(crate) fn hash(&self, previous: &Hash) -> Hash {
        let (seq, at) = (self.seq.to_be_bytes(), self.at.to_be_bytes());
        let parts: [Option<&[u8]>; 12] = [
            Some(b"stockade audit row 1"),
            Some(previous),
            Some(&seq),
            Some(&at),
            Some(self.actor_kind.as_bytes()),
            self.actor_id.as_deref().map(str::as_bytes),
            Some(self.act.as_bytes()),
            self.resource.as_deref().map(str::as_bytes),
            Some(self.outcome.as_bytes()),
            self.address.as_deref().map(str::as_bytes),
            self.request_id.as_deref().map(str::as_bytes),
            Some(self.detail.as_bytes()),
        ];
        let mut bytes = Vec::with_capacity(512);
        for part in parts {
            bytes.push(u8::from(part.is_some()));
            if let Some(part) = part {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part);
            }
        }
        crypto::sha256(&bytes)
    }
}

/// The details as JSON, with the API key that acted among them.
fn detail(entry: &AuditEntry) -> String {
    let Some(key) = entry.key else { return entry.detail.to_string() };
    let mut detail = entry.detail.clone();
    if let Some(fields) = detail.as_object_mut() {
        fields.insert("key".to_owned(), key.to_string().into());
    }
    detail.to_string()
}

/// The end of a commit group, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub seq: i64,
    pub hash: String,
    pub signature: String,
}

/// What the signature of a head covers.
pub(crate) fn head_message(seq: i64, hash: &Hash) -> Vec<u8> {
    crypto::joined(&[b"stockade audit head 1", &seq.to_be_bytes(), hash])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            seq: 1,
            at: 2,
            actor_kind: "user".to_owned(),
            actor_id: Some("u".to_owned()),
            act: "order.accepted".to_owned(),
            resource: None,
            outcome: "done".to_owned(),
            address: Some("127.0.0.1".to_owned()),
            request_id: None,
            detail: "{}".to_owned(),
        }
    }

    /// Computed with Python's hashlib after the description above, so that the form is never changed by accident.
    #[test]
    fn the_hash_is_the_documented_one() {
        let hash = row().hash(&BEFORE_ALL);
        assert_eq!(crypto::hex(&hash), "6687a5b9b62d820adb97d0e80850835a4d1baf5ce53e42920c5cc95aabf6e2b8");
    }

    #[test]
    fn every_column_counts_and_none_runs_into_the_next() {
        let base = row();
        let text = |text: &str| Some(text.to_owned());
        let changed = [
            Row { seq: 2, ..base.clone() },
            Row { at: 3, ..base.clone() },
            Row { actor_kind: "usera".to_owned(), actor_id: None, ..base.clone() },
            Row { actor_id: text("v"), ..base.clone() },
            Row { actor_id: None, ..base.clone() },
            Row { act: "order.accepte".to_owned(), resource: text("d"), ..base.clone() },
            Row { resource: text(""), ..base.clone() },
            Row { outcome: "failed".to_owned(), ..base.clone() },
            Row { address: None, request_id: text("127.0.0.1"), ..base.clone() },
            Row { request_id: text(""), ..base.clone() },
            Row { detail: "{ }".to_owned(), ..base.clone() },
        ];
        for row in changed {
            assert_ne!(row.hash(&BEFORE_ALL), base.hash(&BEFORE_ALL), "{row:?}");
        }
        assert_ne!(base.hash(&[1; 32]), base.hash(&BEFORE_ALL));
    }
}
