//! Signed heads kept outside of the database, in a file of one JSON object per line.
//!
//! A database whose tail was cut, or that was replaced by an older copy, is in itself flawless. Only something
//! outside of it remembers that there was more: copy this file elsewhere, and nobody who has the desk's disk can
//! hide it either.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use domain::{Clock, Timestamp, micros};
use serde::{Deserialize, Serialize};
use storage::Database;
use vault::{PublicKey, SigningKey, crypto};

use crate::AuditError;
use crate::row::Hash;
use crate::store;

/// Name of the file in the home folder.
pub const ANCHORS_FILE: &str = "audit-anchors.jsonl";

/// At most this much of the log's end can be cut off unseen.
const EVERY: Duration = Duration::from_secs(60);

/// The file of anchors.
#[derive(Clone, Debug)]
pub struct Anchors {
    path: PathBuf,
}

/// At a moment, the log had this many rows and this head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Anchor {
    pub rows: i64,
    pub hash: String,
    pub at: Timestamp,
    pub signature: String,
}

impl Anchor {
    fn new(rows: i64, hash: &Hash, at: Timestamp, key: &SigningKey) -> Self {
        let signature = key.sign(&message(rows, hash, at));
        Self { rows, hash: crypto::hex(hash), at, signature: crypto::base64(&signature) }
    }

    /// The hash, when the signature is good.
    pub(crate) fn verified(&self, key: &PublicKey) -> Option<Hash> {
        let hash = crypto::hash_from_hex(&self.hash)?;
        let signature = crypto::from_base64(&self.signature)?;
        key.verify(&message(self.rows, &hash, self.at), &signature).then_some(hash)
    }
}

fn message(rows: i64, hash: &Hash, at: Timestamp) -> Vec<u8> {
    crypto::joined(&[b"stockade audit anchor 1", &rows.to_be_bytes(), hash, &micros(at).to_be_bytes()])
}

impl Anchors {
    /// The anchors in the file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the head of the log, durably; `false` when it is the same as at the last time.
    ///
    /// # Errors
    /// The file or the database failed.
    pub async fn append(&self, db: &Database, key: &SigningKey, at: Timestamp) -> Result<bool, AuditError> {
        // The head is read under the file's lock, so that of two processes none writes an older one after a newer.
        let this = self.clone();
        let (mut file, last) = blocking(move || this.lock().map_err(|e| this.failed(e))).await?;
        let (rows, hash) = store::end(&mut *db.read().await?).await?;
        let anchor = Anchor::new(rows, &hash, at, key);
        match last {
            None if rows == 0 => return Ok(false),
            Some(last) if last.rows == rows && last.hash == anchor.hash => return Ok(false),
            Some(last) if rows <= last.rows => {
                tracing::error!(
                    rows,
                    anchored = last.rows,
                    "the audit log is not the one that was anchored: rows were cut off or an old copy was put back"
                );
            }
            _ => {}
        }
        let mut line = serde_json::to_string(&anchor).map_err(|e| self.failed(e.into()))?;
        line.push('\n');
        let this = self.clone();
        blocking(move || {
            file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| this.failed(e))
        })
        .await?;
        Ok(true)
    }

    /// Appends the head now, every minute in which it changed, and once more when `stop` is done.
    ///
    /// A failure is logged and the next minute tries again.
    pub async fn keep(
        &self,
        db: &Database,
        key: &SigningKey,
        clock: &dyn Clock,
        stop: impl Future<Output = ()> + Send,
    ) {
        let mut stop = pin!(stop);
        let mut stopping = false;
        loop {
            if let Err(e) = self.append(db, key, clock.now()).await {
                tracing::error!(error = %e, "the audit log could not be anchored");
            }
            if stopping {
                return;
            }
            stopping = tokio::time::timeout(EVERY, &mut stop).await.is_ok();
        }
    }

    /// The complete lines of the file, oldest first; none when there is no file.
    ///
    /// What is appended after the call is not among them: an anchor read later could be ahead of a log read earlier.
    pub(crate) fn lines(
        &self,
    ) -> Result<impl Iterator<Item = io::Result<String>> + Send + use<>, AuditError> {
        let file = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(self.failed(e)),
        };
        let length = file.as_ref().map(File::metadata).transpose().map_err(|e| self.failed(e))?;
        let length = length.map_or(0, |metadata| metadata.len());
        let mut reader = file.map(|file| io::BufReader::new(file.take(length)));
        Ok(std::iter::from_fn(move || read_line(reader.as_mut()?).transpose()))
    }

    /// Opens the file for one process alone, and reads its last anchor. A line that a crash cut is removed.
    fn lock(&self) -> io::Result<(File, Option<Anchor>)> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        file.lock()?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let complete = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if complete < tail.len() {
            file.set_len(length - (tail.len() - complete) as u64)?;
        }
        let last = tail[..complete].trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        Ok((file, last.and_then(|line| serde_json::from_slice(line).ok())))
    }

    pub(crate) fn failed(&self, source: io::Error) -> AuditError {
        AuditError::Anchors { path: self.path.clone(), source }
    }
}

/// The longest line that can be one of ours.
const LINE: u64 = 1024;

fn read_line(reader: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut reader.take(LINE), b'\n', &mut line)?;
    match line.pop() {
        // The rest of a line without its end was not written before a crash, and is not missed.
        None => Ok(None),
        Some(b'\n') => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
        Some(_) if line.len() as u64 + 1 < LINE => Ok(None),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(AuditError::Abandoned))
}
