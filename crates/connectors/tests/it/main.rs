//! Recordings through the parser and the market.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod edge_cases;
mod recorded;

use std::path::PathBuf;

/// A file of the shared specification beside the checkout; `None`, said aloud, where there is none.
///
/// With `CI` set its absence is a failure.
fn shared(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("STOCKADE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI is set", path.display());
    eprintln!("skipped: {} is not there", path.display());
    None
}
