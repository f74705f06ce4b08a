//! Lets the desk die, fail or dawdle where a test says: `STOCKADE_FAIL_AT=K3:7=kill` is `kill -9` when the point `K3` is passed
//! for the seventh time. `error` in place of `kill` lets what happens there fail, and `delay` holds it up.
//!
//! The points stand in the code of an order's path; `docs/reliability.md` names them, and says at which of them something can
//! fail. A desk that is built without the feature `failpoints` has none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Signal, getpid, kill_process};

const FAIL_AT: &str = "STOCKADE_FAIL_AT";
/// Longer than the desk may stand still before it sends, shorter than it waits for an answer.
const DELAY: Duration = Duration::from_millis(1_500);

/// Sets the point, if one is wished for.
pub(crate) fn arm() -> anyhow::Result<()> {
    let Ok(wish) = std::env::var(FAIL_AT) else { return Ok(()) };
    let set = || {
        let (place, what) = wish.split_once('=')?;
        let (point, nth) = place.split_once(':')?;
        let nth: usize = nth.parse().ok().filter(|nth| *nth > 0)?;
        match what {
            "kill" => Some(fail::cfg_callback(point, at(nth, end))),
            "delay" => Some(fail::cfg_callback(point, at(nth, hold_up))),
            "error" if nth == 1 => Some(fail::cfg(point, "1*return->off")),
            "error" => Some(fail::cfg(point, &format!("{}*off->1*return->off", nth - 1))),
            _ => None,
        }
    };
    let set =
        set().with_context(|| format!("{FAIL_AT} is like K3:7=kill, with error or delay, not {wish}"))?;
    set.map_err(anyhow::Error::msg).with_context(|| format!("{FAIL_AT}={wish}"))
}

/// Does something when it is passed for the `nth` time.
fn at(nth: usize, what: fn()) -> impl Fn() + Send + Sync + 'static {
    let passed = AtomicUsize::new(0);
    move || {
        if passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            what();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the point is that the thread does nothing else")]
fn hold_up() {
    std::thread::sleep(DELAY);
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
