//! The log as JSON lines, and the check of it without any database.
//!
//! Each line is `{"row": {…, "hash": …}}` or `{"head": {…}}`; a head follows the row it signs. All that is needed to
//! check an export is the public key; the anchors show in addition that nothing is missing at its end.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use storage::Database;
use vault::PublicKey;

use crate::anchors::Anchors;
use crate::check::{Check, Report};
use crate::row::{Head, Row};
use crate::{AuditError, store};

const PAGE: i64 = 1000;
/// The longest line that is read: a row's detail has no more.
const LINE: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Row(Row, String),
    Head(Head),
}

/// Writes the whole log; returns the number of rows.
///
/// # Errors
/// The database cannot be read, or `out` not be written.
pub async fn export(db: &Database, out: &mut (impl Write + Send)) -> Result<u64, AuditError> {
    let mut connection = db.read().await?;
    let (last_row, _) = store::bounds(&mut connection).await?;
    let (mut after, mut count) = (i64::MIN, 0);
    loop {
        let rows = store::rows(&mut connection, after, last_row, PAGE).await?;
        let Some(last) = rows.last().map(|(row, _)| row.seq) else { break };
        let mut heads = store::heads(&mut connection, after, last).await?.into_iter().peekable();
        for (row, hash) in rows {
            let seq = row.seq;
            write_line(out, &Line::Row(row, hash))?;
            count += 1;
            while let Some(head) = heads.next_if(|head| head.seq <= seq) {
                write_line(out, &Line::Head(head))?;
            }
        }
        after = last;
    }
    out.flush()?;
    Ok(count)
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Checks an export as [`crate::verify`] checks the database.
///
/// # Errors
/// A line is not one that [`export`] writes, or something cannot be read.
pub fn verify_export(
    mut export: impl BufRead,
    key: &PublicKey,
    anchors: &Anchors,
) -> Result<Report, AuditError> {
    let mut check = Check::new(*key, anchors)?;
    let mut waiting: Option<(Row, String)> = None;
    let mut heads = Vec::new();
    let mut last_head = 0;
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        io::Read::take(&mut export, LINE).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            break;
        }
        match serde_json::from_slice(&text).map_err(|_| AuditError::Malformed { line: number })? {
            Line::Head(head) => {
                last_head = head.seq;
                heads.push(head);
            }
            Line::Row(row, hash) => {
                // A row is checked when its heads have come too, that is, with the row after it.
                if let Some(before) = waiting.replace((row, hash))
                    && !check.take(&[before], &heads)?
                {
                    return check.finish(last_head);
                }
                heads.clear();
            }
        }
    }
    if let Some(last) = waiting {
        check.take(&[last], &heads)?;
    }
    check.finish(last_head)
}
