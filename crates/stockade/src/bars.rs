//! `stockade bars`: a recording through the same pipeline as the live feed, as fast as it goes.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use domain::Every;

use crate::home::Home;

/// Turn a recording into bars
#[derive(Args)]
pub(crate) struct Bars {
    /// Frames of the feed, one a line; may be compressed (.gz)
    recording: PathBuf,
    /// Length of a bar: 1s or 1m
    #[arg(long, default_value = "1m")]
    every: Every,
}

impl Bars {
    pub(crate) fn run(self, home: &Home) -> anyhow::Result<()> {
        // The same table as the desk's, so that its bars come out.
        let conditions = home.settings()?.conditions;
        let shown = self.recording.display();
        let recording =
            sandbox::recording::open(&self.recording).with_context(|| format!("{shown} cannot be opened"))?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let counters = connectors::polygon::bars_csv(recording, self.every, &conditions, &mut out)
            .with_context(|| format!("{shown} cannot be read"))?;
        out.flush()?;
        for (kind, count) in counters.named() {
            eprintln!("{kind}: {count}");
        }
        Ok(())
    }
}
