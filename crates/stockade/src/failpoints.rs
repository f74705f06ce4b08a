//! Ends the desk where a test says: `STOCKADE_KILL_AT=K3:7` is `kill -9` when the point `K3` is passed for the seventh time.
//!
//! The points stand in the code of an order's path; `docs/reliability.md` names them. A desk that is built without the
//! feature `failpoints` has none.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use rustix::process::{Signal, getpid, kill_process};

const KILL_AT: &str = "STOCKADE_KILL_AT";

/// Sets the point, if one is wished for.
pub(crate) fn arm() -> anyhow::Result<()> {
    let Ok(wish) = std::env::var(KILL_AT) else { return Ok(()) };
    let (point, nth) =
        wish.split_once(':').with_context(|| format!("{KILL_AT} is a point and a number: K3:7"))?;
    let nth: usize = nth.parse().with_context(|| format!("{KILL_AT}={wish}"))?;
    let passed = AtomicUsize::new(0);
    let pass = move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            end();
        }
    };
    fail::cfg_callback(point, pass).map_err(anyhow::Error::msg).with_context(|| format!("{KILL_AT}={wish}"))
}

/// Nothing is flushed, closed or answered after this.
fn end() {
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        tracing::error!(%error, "the desk cannot end itself as a test wishes");
    }
    // The signal may take a moment to reach this thread, and not one instruction more is to be executed.
    loop {
        std::thread::park();
    }
}
