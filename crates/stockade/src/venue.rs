//! `stockade venue`: the paper venue as a process of its own, with a home folder, a book and keys of its own.
//!
//! It makes the same market as the desk: the generated one depends on the seed and the time alone. So a desk can lose
//! it, find it hanging, and meet it again, as it would a broker.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Args;
use connectors::paper::wire::MisbehaveDrill;
use connectors::polygon;
use domain::{Clock, Money, SystemClock};
use figment::Figment;
use figment::providers::{Format as _, Toml};
use market::Market;
use sandbox::{VenueServer, VenueSettings};
use tokio_util::sync::CancellationToken;
use trading::PaperVenue;
use vault::{ExposeSecret as _, SecretString};

use crate::home::Home;
use crate::log;
use crate::prices::{market_settings, start_sandbox};
use crate::run::Told;

/// Run the paper venue as a process of its own
#[derive(Args)]
pub(crate) struct Venue {
    /// Where to listen on this machine (port 0: a free one)
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Replay a recording (.jsonl or .jsonl.gz) in place of the generated market
    #[arg(long, value_name = "RECORDING")]
    feed: Option<PathBuf>,
    /// What it does wrong from the start, as hang_after=1,drop_events=0.8
    #[arg(long, value_name = "NAME=VALUE,...", value_parser = misbehave)]
    misbehave: Option<MisbehaveDrill>,
}

/// The desk's key, and the key for drills, in the venue's home folder.
const DESK_KEY: &str = "desk.key";
const DRILL_KEY: &str = "drill.key";

impl Venue {
    pub(crate) async fn run(self, home: Home) -> anyhow::Result<()> {
        let mut told = Told::listen()?;
        log::start()?;
        ensure!(
            self.listen.ip().is_loopback(),
            "the venue speaks plain HTTP: it listens on this machine only"
        );
        home.create()?;
        let _lock = home.lock()?;
        let mut settings = home.settings()?;
        settings.feed = self.feed.or(settings.feed).filter(|path| !path.as_os_str().is_empty());
        ensure!(settings.feeds.alpaca.is_none(), "the venue makes its own market: it has no [feeds.alpaca]");
        let mut paper = settings.paper.venue_settings().context("the settings are not right")?;
        if let Some(drill) = self.misbehave {
            paper.misbehave = drill.behaviour()?;
        }
        // A desk that hangs up first is a venue that hangs: requests wait here for as long as they like.
        paper.answer_within = paper.answer_within.max(LONGEST_HANG);

        let stop = CancellationToken::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key = vault::crypto::new_token();
        let sandbox =
            start_sandbox(&settings, &key, &clock, &stop).await.context("the market cannot be started")?;
        let market = Market::new(market_settings(&settings)?, Arc::clone(&clock));
        let jitter = u64::from_le_bytes(vault::crypto::random());
        let feed = polygon::Settings::new(sandbox.url(), key);
        let feed = polygon::start(feed, market.feed("sandbox"), Arc::clone(&clock), jitter, stop.clone());
        let venue = PaperVenue::open(&home.path("paper.db"), &market, Arc::clone(&clock), paper, &stop)
            .await
            .context("the venue's book cannot be opened")?;
        let listening = VenueSettings {
            listen: self.listen,
            opening_cash: Money(settings.paper.cash_usd),
            ..VenueSettings::loopback(
                key_in(&home.path(DESK_KEY))?.expose_secret(),
                key_in(&home.path(DRILL_KEY))?.expose_secret(),
            )
        };
        let server = VenueServer::start(venue.clone(), listening, clock, stop.clone())
            .await
            .with_context(|| format!("cannot listen on {} (another with --listen)", self.listen))?;
        greet(&home, &server.url())?;

        let signal = told.wait().await;
        tracing::info!(signal, "stopping");
        stop.cancel();
        server.closed().await;
        let _ = feed.await;
        sandbox.closed().await;
        venue.close().await;
        Ok(())
    }
}

/// Longer than any desk waits.
const LONGEST_HANG: std::time::Duration = std::time::Duration::from_secs(600);

/// Says where the venue is and how a desk finds it.
fn greet(home: &Home, url: &str) -> anyhow::Result<()> {
    let key = std::path::absolute(home.path(DESK_KEY))?;
    let mut out = String::from("The paper venue is running.\n");
    out += &format!("Listening on {url}\n");
    out += "In the desk's stockade.toml:\n";
    out += &format!("  [paper]\n  venue = \"{url}\"\n  venue_key_file = \"{}\"\n", key.display());
    out += "Ctrl-C stops the venue.\n";
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A key in a file of its own, made when it is not there.
fn key_in(path: &Path) -> anyhow::Result<SecretString> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let key = vault::crypto::new_token();
            let written = file.write_all(key.expose_secret().as_bytes()).and_then(|()| file.sync_all());
            written.with_context(|| format!("{} cannot be written", path.display()))?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read_key(path),
        Err(error) => Err(error).with_context(|| format!("{} cannot be made", path.display())),
    }
}

/// Reads a key that nobody else can read.
///
/// # Errors
/// There is none, or others can read it.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<SecretString> {
    let shown = path.display();
    let mode = std::fs::metadata(path)
        .with_context(|| format!("the key {shown} cannot be read"))?
        .permissions()
        .mode();
    ensure!(
        mode & 0o077 == 0,
        "the key {shown} is open to other users (mode {:o}): chmod 600 {shown}",
        mode & 0o777
    );
    let text = std::fs::read_to_string(path).with_context(|| format!("the key {shown} cannot be read"))?;
    let text = text.trim();
    ensure!(!text.is_empty(), "the key {shown} is empty: remove it, and the venue makes another");
    Ok(text.to_owned().into())
}

/// Reads `hang_after=1,drop_events=0.8`.
fn misbehave(text: &str) -> Result<MisbehaveDrill, String> {
    let toml: String = text.split(',').map(|setting| format!("{setting}\n")).collect();
    let drill: MisbehaveDrill =
        Figment::from(Toml::string(&toml)).extract().map_err(|error| error.to_string())?;
    drill.behaviour().map_err(|error| error.to_string())?;
    Ok(drill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misbehaviour_is_written_as_a_list_and_mistakes_are_told() {
        let drill = misbehave("hang_after=1,drop_events=0.8,dead=true").unwrap();
        assert_eq!((drill.hang_after, drill.drop_events, drill.dead), (1.0, 0.8, true));
        for bad in ["hang=1", "lie=2", "lie", "dead=1.5"] {
            assert!(misbehave(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_refused_when_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DESK_KEY);
        let key = key_in(&path).unwrap();
        assert_eq!(key_in(&path).unwrap().expose_secret(), key.expose_secret());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(key_in(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
