//! Where frames come from, and when.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::generated::Generator;
use crate::recording::{Frame, Player};

/// What a server serves.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of frames.
    Recording(RecordingSource),
    /// A market made from a seed, now.
    Generated {
        /// The same seed and time give the same market.
        seed: u64,
    },
    /// Nothing but what [`crate::Server::say`] says.
    Quiet,
}

/// A recording and how it is played.
#[derive(Clone, Debug)]
pub struct RecordingSource {
    /// One frame a line; `.gz` is unpacked.
    pub path: PathBuf,
    /// How fast.
    pub pace: Pace,
    /// Whether it begins again at its end. Trade ids of each round differ.
    pub repeat: bool,
    /// Whether its times are shifted so that it happens now. Whole minutes are shifted, so that every window of the
    /// recording stays one; what lies between the last full minute and now comes at once.
    pub retime: bool,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many times as fast as it was recorded, to all clients at once.
    Times(f64),
    /// As fast as each client reads, each from the beginning.
    AsRead,
}

/// Frames that are ready and wait for their time.
const PREPARED: usize = 256;

impl Source {
    /// Whether each client gets its own run.
    pub(crate) fn is_own_run(&self) -> bool {
        matches!(self, Self::Recording(RecordingSource { pace: Pace::AsRead, .. }))
    }

    /// Starts to produce frames. They end when the receiver is dropped, or with the recording.
    pub(crate) fn play(&self, clock: &Arc<dyn Clock>) -> mpsc::Receiver<Arc<Frame>> {
        let (send, frames) = mpsc::channel(PREPARED);
        match self {
            Self::Quiet => {
                // Open, and never used: the receiver waits.
                tokio::spawn(async move { send.closed().await });
            }
            Self::Recording(source) => {
                let (source, now) = (source.clone(), clock.now());
                let pace = source.pace;
                let (prepare, prepared) = mpsc::channel(PREPARED);
                tokio::task::spawn_blocking(move || Player::new(source, now).run(&prepare));
                tokio::spawn(deliver(prepared, send, pace, now));
            }
            Self::Generated { seed } => {
                let (seed, now) = (*seed, clock.now());
                let (prepare, prepared) = mpsc::channel(PREPARED);
                tokio::task::spawn_blocking(move || Generator::new(seed, now).run(&prepare));
                tokio::spawn(deliver(prepared, send, Pace::Times(1.0), now));
            }
        }
        frames
    }
}

/// Hands each frame on when its time has come.
async fn deliver(
    mut prepared: mpsc::Receiver<(i64, Frame)>,
    send: mpsc::Sender<Arc<Frame>>,
    pace: Pace,
    now: Timestamp,
) {
    let begun = Instant::now();
    let mut origin_ms: Option<i64> = None;
    let mut overdue = 0_u32;
    while let Some((due_ms, frame)) = prepared.recv().await {
        if let Pace::Times(times) = pace {
            // What is shifted to now or made now is due by the clock; another recording begins at once.
            let far = (due_ms - now.as_millisecond()).abs() > 120_000;
            let origin_ms = *origin_ms.get_or_insert(if far { due_ms } else { now.as_millisecond() });
            let after_ms = u64::try_from(due_ms - origin_ms).unwrap_or(0);
            let due = begun + Duration::from_millis(after_ms).div_f64(times.max(0.001));
            // What is overdue comes at once, but not faster than any client could read it.
            overdue = if due <= Instant::now() { overdue + 1 } else { 0 };
            let due = if overdue % 16 == 15 { Instant::now() + Duration::from_millis(1) } else { due };
            tokio::select! {
                () = send.closed() => return,
                () = tokio::time::sleep_until(due) => {}
            }
        }
        if send.send(Arc::new(frame)).await.is_err() {
            return;
        }
    }
}
