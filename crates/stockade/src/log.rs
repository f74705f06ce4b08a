//! The log, on standard error: one event, one line, whatever a stranger put into it.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts logging. `STOCKADE_LOG` says what, as `info,server=debug`.
pub(crate) fn start() -> anyhow::Result<()> {
    let wanted = std::env::var("STOCKADE_LOG").unwrap_or_else(|_| "info,sqlx=warn".to_owned());
    let filter = EnvFilter::try_new(wanted).map_err(|e| anyhow::anyhow!("STOCKADE_LOG is not right: {e}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(OneLine)
        .init();
    Ok(())
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
    /// One call is one event, with its line end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
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
