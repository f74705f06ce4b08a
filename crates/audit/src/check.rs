//! The check itself: rows, signed heads and anchors go by in order, and the first thing that is wrong is told.
//!
//! It remembers the last hash and nothing else of what went by, so a log of any length is checked in the same memory.

use std::fmt;
use std::io;

use vault::{PublicKey, crypto};

use crate::AuditError;
use crate::anchors::{Anchor, Anchors};
use crate::row::{BEFORE_ALL, Hash, Head, Row, head_message};

/// What a check of the log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rows that are as they were written, counted from the first.
    pub rows: u64,
    /// Number of the last of them; 0 when there are none.
    pub head_seq: i64,
    /// Its hash, in hexadecimal; zeros when there are none.
    pub head_hash: String,
    /// Signed heads among them.
    pub signed_heads: u64,
    /// The first thing that is wrong; `None`: the log is whole.
    pub problem: Option<Problem>,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The row it is about.
    pub seq: i64,
    /// What sort.
    pub kind: ProblemKind,
    /// A sentence for people.
    pub detail: String,
}

/// What sort of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The row is not as it was written, or is not where it was.
    Altered,
    /// The row is missing.
    Removed,
    /// The row was not written by the desk.
    Added,
    /// From the row on, nothing is signed.
    Unsigned,
    /// The signed head of the row does not fit, or is not signed with the desk's key.
    Signature,
    /// From the row on, the log is missing.
    CutOff,
    /// The log is not the one that was anchored: an old copy was put back.
    RolledBack,
    /// The file of anchors itself was altered.
    Anchor,
}

impl ProblemKind {
    /// The name in interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Removed => "removed",
            Self::Added => "added",
            Self::Unsigned => "unsigned",
            Self::Signature => "signature",
            Self::CutOff => "cut_off",
            Self::RolledBack => "rolled_back",
            Self::Anchor => "anchor",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Ends a check early: a finding, or something that could not be read.
pub(crate) enum Stop {
    Found(Problem),
    Failed(AuditError),
}

fn found<T>(seq: i64, kind: ProblemKind, detail: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Found(Problem { seq, kind, detail: detail.into() }))
}

/// A check that is under way.
pub(crate) struct Check {
    key: PublicKey,
    anchors: AnchorFile,
    seq: i64,
    hash: Hash,
    signed: i64,
    signed_heads: u64,
    problem: Option<Problem>,
}

/// The anchors, read as far as the log was.
struct AnchorFile {
    anchors: Anchors,
    lines: Box<dyn Iterator<Item = io::Result<String>> + Send>,
    line: u64,
    next: Option<(Anchor, Hash)>,
    /// Rows of the newest anchor so far.
    highest: i64,
}

impl Check {
    /// Begins. Anchors are taken as of now: read the log later, never earlier.
    pub(crate) fn new(key: PublicKey, anchors: &Anchors) -> Result<Self, AuditError> {
        let lines = Box::new(anchors.lines()?);
        let anchors = AnchorFile { anchors: anchors.clone(), lines, line: 0, next: None, highest: 0 };
        Ok(Self { key, anchors, seq: 0, hash: BEFORE_ALL, signed: 0, signed_heads: 0, problem: None })
    }

    /// Takes the next rows and the signed heads among them; `false` when something is wrong and the check is over.
    pub(crate) fn take(&mut self, rows: &[(Row, String)], heads: &[Head]) -> Result<bool, AuditError> {
        let done = self.try_take(rows, heads);
        self.ended(done)
    }

    /// Tells that the row after the last cannot even be read.
    pub(crate) fn unreadable(&mut self, seq: Option<i64>) -> Result<(), AuditError> {
        let expected = self.seq + 1;
        let done = match seq {
            Some(seq) if seq != expected => self.wrong_number(seq),
            _ => found(
                expected,
                ProblemKind::Altered,
                format!("row {expected} cannot be read: it was altered"),
            ),
        };
        self.ended(done).map(drop)
    }

    /// Ends the check of a log whose last signed head is that of row `last_head`.
    pub(crate) fn finish(mut self, last_head: i64) -> Result<Report, AuditError> {
        if self.problem.is_none() {
            let done = self.check_end(last_head);
            self.ended(done)?;
        }
        Ok(Report {
            rows: u64::try_from(self.seq).unwrap_or(0),
            head_seq: self.seq,
            head_hash: crypto::hex(&self.hash),
            signed_heads: self.signed_heads,
            problem: self.problem,
        })
    }

    fn ended(&mut self, done: Result<(), Stop>) -> Result<bool, AuditError> {
        match done {
            Ok(()) => Ok(true),
            Err(Stop::Failed(e)) => Err(e),
            Err(Stop::Found(problem)) => {
                self.problem = Some(problem);
                Ok(false)
            }
        }
    }

    fn try_take(&mut self, rows: &[(Row, String)], heads: &[Head]) -> Result<(), Stop> {
        let mut heads = heads.iter().peekable();
        for (row, stored) in rows {
            self.check_row(row, stored)?;
            while let Some(head) = heads.next_if(|head| head.seq <= row.seq) {
                self.check_head(head)?;
            }
            self.anchors.check(&self.key, self.seq, &self.hash)?;
        }
        Ok(())
    }

    fn check_row(&mut self, row: &Row, stored: &str) -> Result<(), Stop> {
        let expected = self.seq + 1;
        if row.seq != expected {
            return self.wrong_number(row.seq);
        }
        let hash = row.hash(&self.hash);
        if crypto::hex(&hash) != stored {
            let detail = format!("row {expected} is not as it was written: its hash does not fit");
            return found(expected, ProblemKind::Altered, detail);
        }
        (self.seq, self.hash) = (expected, hash);
        Ok(())
    }

    fn wrong_number(&self, seq: i64) -> Result<(), Stop> {
        let expected = self.seq + 1;
        if seq < expected {
            let detail = format!("row {seq} stands where no row can be: the first row has the number 1");
            return found(seq, ProblemKind::Added, detail);
        }
        let missing = if seq == expected + 1 {
            format!("row {expected}")
        } else {
            format!("rows {expected} to {}", seq - 1)
        };
        found(
            expected,
            ProblemKind::Removed,
            format!("missing: {missing}; the next one there is has number {seq}"),
        )
    }

    fn check_head(&mut self, head: &Head) -> Result<(), Stop> {
        let seq = head.seq;
        let since = self.signed + 1;
        if seq != self.seq || crypto::hash_from_hex(&head.hash) != Some(self.hash) {
            let detail = format!(
                "the signed head of row {seq} is of another log: the head, or one of the rows {since} to {seq}, was replaced"
            );
            return found(seq, ProblemKind::Signature, detail);
        }
        let signature = crypto::from_base64(&head.signature);
        if !signature.is_some_and(|signature| self.key.verify(&head_message(seq, &self.hash), &signature)) {
            let detail = format!("the head of row {seq} is not signed with the key of this desk");
            return found(seq, ProblemKind::Signature, detail);
        }
        self.signed = seq;
        self.signed_heads += 1;
        Ok(())
    }

    fn check_end(&mut self, last_head: i64) -> Result<(), Stop> {
        let next = self.seq + 1;
        if self.seq < last_head {
            let detail = format!("the log ends before row {next}, but row {last_head} was signed");
            return found(next, ProblemKind::CutOff, detail);
        }
        // First what the anchors know: a log that was cut within a commit group is also unsigned at its end.
        self.anchors.check_rest(&self.key, self.seq)?;
        if self.signed < self.seq {
            let first = self.signed + 1;
            let detail =
                format!("row {first} and those after it are not signed: the desk signs every commit");
            return found(first, ProblemKind::Unsigned, detail);
        }
        Ok(())
    }
}

impl AnchorFile {
    /// Compares the anchors made when the log had `seq` rows.
    fn check(&mut self, key: &PublicKey, seq: i64, hash: &Hash) -> Result<(), Stop> {
        while let Some((anchor, anchored)) = self.peek(key)? {
            if anchor.rows != seq {
                break;
            }
            if anchored != hash {
                let detail = format!(
                    "row {seq} is not the one that was there at {}: an old copy was put back and written on",
                    anchor.at
                );
                return found(seq, ProblemKind::RolledBack, detail);
            }
            self.next = None;
        }
        Ok(())
    }

    /// At the end of the log there must be no anchor left.
    fn check_rest(&mut self, key: &PublicKey, seq: i64) -> Result<(), Stop> {
        let Some((anchor, _)) = self.peek(key)? else { return Ok(()) };
        let next = seq + 1;
        let detail = format!(
            "the log ends before row {next}, but at {} it had {} rows: its end was cut off or an old copy was put back",
            anchor.at, anchor.rows
        );
        found(next, ProblemKind::CutOff, detail)
    }

    fn peek(&mut self, key: &PublicKey) -> Result<Option<&(Anchor, Hash)>, Stop> {
        if self.next.is_none() {
            let Some(line) = self.lines.next() else { return Ok(None) };
            let line = line.map_err(|e| Stop::Failed(self.anchors.failed(e)))?;
            self.line += 1;
            let number = self.line;
            let anchor: Option<Anchor> = serde_json::from_str(&line).ok();
            let Some((anchor, hash)) =
                anchor.and_then(|anchor| anchor.verified(key).map(|hash| (anchor, hash)))
            else {
                let detail =
                    format!("line {number} of the file of anchors is not signed with the key of this desk");
                return found(self.highest, ProblemKind::Anchor, detail);
            };
            if anchor.rows < self.highest {
                let detail = format!(
                    "at {} the log had {} rows, fewer than the {} before: an old copy was put back",
                    anchor.at, anchor.rows, self.highest
                );
                return found(anchor.rows + 1, ProblemKind::RolledBack, detail);
            }
            self.highest = anchor.rows;
            self.next = Some((anchor, hash));
        }
        Ok(self.next.as_ref())
    }
}
