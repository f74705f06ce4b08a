//! A desk and its paper venue as two processes, each with a home and a ledger of its own.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::running::Home;

const PATIENCE: Duration = Duration::from_secs(60);

/// The process.
pub(crate) struct Venue {
    child: Child,
    // Kept, so that the venue does not write into a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Venue {
    /// Starts it at an address and waits until it listens.
    pub(crate) async fn start(home: &Home, listen: &str) -> Self {
        let mut command = home.command(&["venue", "--listen", listen]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut url = None;
        let greeting = async {
            while let Some(line) = output.next_line().await.unwrap() {
                url = url.take().or(line.strip_prefix("Listening on ").map(str::to_owned));
                if line.starts_with("Ctrl-C") {
                    return;
                }
            }
            panic!("the venue ended before it listened");
        };
        tokio::time::timeout(PATIENCE, greeting).await.expect("the venue listens in time");
        Self { child, _output: output, url: url.expect("the venue says where it listens") }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }
}

/// A venue in a home of its own, and the home of a desk that is set to it.
pub(crate) async fn pair() -> (Home, Venue, Home) {
    let venues = Home::new();
    let venue = Venue::start(&venues, "127.0.0.1:0").await;
    let desks = Home::new();
    point(&desks, &venues, &venue.url);
    (venues, venue, desks)
}

/// Sets a desk to a venue at an address.
pub(crate) fn point(desk: &Home, venues: &Home, url: &str) {
    let key = venues.file("desk.key");
    let settings = format!(
        "[paper]\nvenue = \"{}\"\nvenue_key_file = \"{}\"\nsettle_window = \"1s\"\n",
        url,
        key.display()
    );
    std::fs::write(desk.file("stockade.toml"), settings).unwrap();
}
