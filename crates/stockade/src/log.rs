//! The log, on standard error: one event, one line, whatever a stranger put into it.
//!
//! A thread of its own writes it. Whoever reads the log may stop reading, and then a write to it hangs: that may not hang
//! the desk, whose kill switch has to work then too. Lines that find no place are dropped and counted.

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait to be written.
const WAITING: usize = 8_192;
/// How long the end of the desk waits for the last of them.
const LAST: Duration = Duration::from_secs(1);

static LINES: OnceLock<SyncSender<Line>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Line {
    Text(String),
    /// Tells when everything before it is written.
    Mark(SyncSender<()>),
}

/// Starts logging. `STOCKADE_LOG` says what, as `info,server=debug`.
pub(crate) fn start() -> anyhow::Result<()> {
    let wanted = std::env::var("STOCKADE_LOG").unwrap_or_else(|_| "info,sqlx=warn".to_owned());
    let filter = EnvFilter::try_new(wanted).map_err(|e| anyhow::anyhow!("STOCKADE_LOG is not right: {e}"))?;
    let (lines, waiting) = sync_channel(WAITING);
    std::thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting))?;
    let _ = LINES.set(lines);
    // The library's own way writes to standard error, and would wait there for whoever does not read.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("a fault of the desk: {panic}");
        // The program ends with its first thread, and with it whoever writes the log.
        if std::thread::current().name() == Some("main") {
            flush();
        }
    }));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(OneLine)
        .init();
    Ok(())
}

/// Waits for what was logged so far to be written, if that does not take long.
pub(crate) fn flush() {
    let (mark, written) = sync_channel(1);
    if LINES.get().is_some_and(|lines| lines.try_send(Line::Mark(mark)).is_ok()) {
        let _ = written.recv_timeout(LAST);
    }
}

fn write_lines(lines: &Receiver<Line>) {
    while let Ok(line) = lines.recv() {
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        let mut stderr = io::stderr().lock();
        if dropped > 0 {
            let _ =
                writeln!(stderr, "{dropped} lines of the log were dropped, because nobody read them in time");
        }
        match line {
            // There is nowhere to tell that the log cannot be written.
            Line::Text(text) => drop(stderr.write_all(text.as_bytes())),
            Line::Mark(written) => drop(written.try_send(())),
        }
    }
}

/// Writes each event as one line: line ends and other control characters inside of it are written as `\u{a}`.
struct OneLine;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for OneLine {
    /// One call is one event, with its line end. Never waits.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = Line::Text(one_line(&String::from_utf8_lossy(event)));
        if LINES.get().is_none_or(|lines| lines.try_send(line).is_err()) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn one_line(event: &str) -> String {
    let text = event.strip_suffix('\n').unwrap_or(event);
    let mut line = String::with_capacity(event.len());
    for letter in text.chars() {
        // Escape starts the colours that the log itself puts in; in values it is escaped before it comes here.
        // The bidirectional marks make text look like other text.
        let hidden = (letter.is_control() && letter != '\u{1b}')
            || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden {
            line.extend(letter.escape_unicode());
        } else {
            line.push(letter);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_a_line_of_his_own_into_the_log() {
        assert_eq!(one_line("name=x\r\nINFO all is well\n"), "name=x\\u{d}\\u{a}INFO all is well\n");
        assert_eq!(one_line("a\u{202e}b\n"), "a\\u{202e}b\n");
    }
}
