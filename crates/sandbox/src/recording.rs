//! Recordings: one frame a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use domain::Timestamp;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::source::RecordingSource;

/// Opens a recording, packed or not.
///
/// # Errors
/// It cannot be opened.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let file = BufReader::new(File::open(path)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// A frame, taken apart so that each client gets what it has subscribed to.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The whole of it.
    pub(crate) text: String,
    pub(crate) events: Vec<Event>,
}

#[derive(Debug)]
pub(crate) struct Event {
    /// `XT`, `XQ`, ...
    pub(crate) channel: String,
    pub(crate) pair: String,
    /// The event's own JSON.
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct Head {
    ev: String,
    #[serde(default)]
    pair: String,
    r: Option<i64>,
    e: Option<i64>,
}

impl Frame {
    /// A frame of events.
    pub(crate) fn of(events: Vec<Event>) -> Self {
        let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
        Self { text: format!("[{}]", texts.join(",")), events }
    }

    /// Reads a line, and when the vendor sent it. A line that is no frame goes to everybody as it is; `None` for
    /// what the server says itself.
    fn read(line: &str) -> Option<(Option<i64>, Self)> {
        let broken = || Some((None, Self { text: line.to_owned(), events: Vec::new() }));
        let Ok(raw) = serde_json::from_str::<Vec<&RawValue>>(line) else { return broken() };
        let heads: Result<Vec<Head>, _> = raw.iter().map(|event| serde_json::from_str(event.get())).collect();
        let Ok(heads) = heads else { return broken() };
        if heads.iter().any(|head| head.ev == "status") {
            return None;
        }
        // The vendor's bars have no time of reception; they are sent shortly after their end.
        let sent_ms = heads.iter().find_map(|head| head.r.or(head.e.map(|end| end + 150)));
        let event = |(head, raw): (Head, &&RawValue)| Event {
            channel: head.ev,
            pair: head.pair,
            text: raw.get().to_owned(),
        };
        let events = heads.into_iter().zip(&raw).map(event).collect();
        Some((sent_ms, Self { text: line.to_owned(), events }))
    }

    /// Moves all its times, and makes its trade ids those of another round.
    fn retime(&mut self, by_ms: i64, round: u64) {
        for event in &mut self.events {
            let Ok(mut value) = serde_json::from_str::<Value>(&event.text) else { continue };
            // `s` is a time in bars, and a size in trades.
            let times: &[&str] = if event.channel.starts_with("XA") { &["s", "e"] } else { &["t", "r"] };
            for name in times {
                if let Some(at_ms) = value.get(name).and_then(Value::as_i64) {
                    value[*name] = (at_ms + by_ms).into();
                }
            }
            if round > 0
                && let Some(id) =
                    value.get("i").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
            {
                // Numbers stay numbers: they order the trades of a millisecond.
                let id = match id.parse::<u64>() {
                    Ok(number) => (number.saturating_add(round * 1_000_000_000_000)).to_string(),
                    Err(_) => format!("{id}-{round}"),
                };
                value["i"] = id.into();
            }
            event.text = value.to_string();
        }
        if !self.events.is_empty() {
            let texts: Vec<&str> = self.events.iter().map(|event| event.text.as_str()).collect();
            self.text = format!("[{}]", texts.join(","));
        }
    }
}

/// Reads a recording, round after round, on a thread of its own.
pub(crate) struct Player {
    source: RecordingSource,
    now: Timestamp,
}

impl Player {
    pub(crate) fn new(source: RecordingSource, now: Timestamp) -> Self {
        Self { source, now }
    }

    /// Prepares frames with their times until nobody listens or the recording ends.
    pub(crate) fn run(self, frames: &mpsc::Sender<(i64, Frame)>) {
        let mut last_ms = self.now.as_millisecond();
        for round in 0.. {
            match self.round(round, last_ms, frames) {
                Ok(Some(ended_ms)) if self.source.repeat => last_ms = ended_ms,
                Ok(_) => return,
                Err(e) => {
                    tracing::error!(error = %e, path = %self.source.path.display(), "the recording cannot be read");
                    return;
                }
            }
        }
    }

    /// One run through the recording; when it ended, or `None` when nobody listens or nothing was in it.
    fn round(
        &self,
        round: u64,
        from_ms: i64,
        frames: &mpsc::Sender<(i64, Frame)>,
    ) -> io::Result<Option<i64>> {
        const MINUTE_MS: i64 = 60_000;
        let mut shift_ms: Option<i64> = None;
        let mut last: Option<i64> = None;
        for line in open(&self.source.path)?.lines() {
            let Some((sent_ms, mut frame)) = Frame::read(&line?) else { continue };
            // A line without a time comes with the one before it.
            let Some(sent_ms) = sent_ms.or(last.zip(shift_ms).map(|(last, shift)| last - shift)).or(Some(0))
            else {
                continue;
            };
            let shift = if self.source.retime || round > 0 {
                *shift_ms.get_or_insert((from_ms - sent_ms).div_euclid(MINUTE_MS) * MINUTE_MS)
            } else {
                *shift_ms.get_or_insert(0)
            };
            let due_ms = sent_ms + shift;
            if round > 0 && due_ms <= from_ms {
                // The rest of the minute in which the last round ended.
                continue;
            }
            if shift != 0 || round > 0 {
                frame.retime(shift, round);
            }
            last = Some(due_ms);
            if frames.blocking_send((due_ms, frame)).is_err() {
                return Ok(None);
            }
        }
        Ok(last)
    }
}
