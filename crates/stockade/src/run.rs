//! `stockade run`: the desk, from the first file it makes to the last one it closes.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use clap::Args;
use identity::Identity;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use trading::Gateway;

use crate::desk::Desk;
use crate::home::{Home, Opened};
use crate::{certificate, https, log, setup_link};

/// How long open requests may take after the desk was told to stop.
const GRACE: Duration = Duration::from_secs(3);
/// After so long it ends in any case; what is acknowledged is durable already.
const LONGEST_STOP: Duration = Duration::from_secs(15);
/// How often it is looked whether the certificate must be renewed.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(6 * 3600);

/// Run the desk
#[derive(Args)]
pub(crate) struct Run {
    /// Where to listen, as 127.0.0.1:8443 (port 0: a free one); 0.0.0.0:8443 for the network
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Replay a recording (.jsonl or .jsonl.gz) in place of the generated market
    #[arg(long, value_name = "RECORDING")]
    feed: Option<PathBuf>,
}

impl Run {
    pub(crate) async fn run(self, home: Home) -> anyhow::Result<()> {
        // Asked for first, so that a Ctrl-C during the start is an orderly end too.
        let mut told = Told::listen()?;
        // Before anything is sent, too: until somebody listens, these signals end the process.
        let brakes = Brakes::listen()?;
        log::start()?;
        #[cfg(feature = "failpoints")]
        crate::failpoints::arm()?;
        home.create()?;
        let lock = home.lock()?;
        let mut settings = home.settings()?;
        settings.listen = self.listen.unwrap_or(settings.listen);
        settings.feed = self.feed.or(settings.feed).filter(|path| !path.as_os_str().is_empty());
        let listener = TcpListener::bind(settings.listen)
            .with_context(|| format!("cannot listen on {} (another with --listen)", settings.listen))?;
        let address = listener.local_addr()?;
        let public_url = settings.public_url(address.port());
        lock.announce(&public_url).context("the lock file cannot be written")?;

        let opened = home.open(&settings).await?;
        let tls = RustlsConfig::from_config(certificate::config(&home, opened.clock.now())?);
        let vault = home.vault(&opened).await?;
        let identity = opened.identity(vault.clone());
        let desk = Desk::start(&home, &settings, &opened, &vault, &identity).await?;
        let braking = tokio::spawn(brakes.obey(desk.gateway.clone()));

        let streams = CancellationToken::new();
        let background = CancellationToken::new();
        let anchors = tokio::spawn(keep_anchors(&opened, background.clone()));
        let renewal =
            tokio::spawn(renew(home_of(&home), tls.clone(), Arc::clone(&opened.clock), background.clone()));
        let webhooks = webhooks::Webhooks::new(webhooks::Parts {
            db: opened.db.clone(),
            vault: vault.clone(),
            identity: identity.clone(),
            gateway: desk.gateway.clone(),
            clock: Arc::clone(&opened.clock),
            rules: webhooks::Rules::new(settings.webhooks.allow.clone()),
            resolver: Arc::new(webhooks::SystemResolver),
            trust: webhooks::Trust::of_system(),
        });
        let telling = tokio::spawn(webhooks.clone().run(background.clone()));
        let app = server::app(server::Parts {
            gateway: desk.gateway.clone(),
            market: desk.market.clone(),
            identity: identity.clone(),
            webhooks,
            db: opened.db.clone(),
            audit_key: opened.signing.public_key(),
            anchors: opened.anchors.clone(),
            clock: Arc::clone(&opened.clock),
            public_url: public_url.clone(),
            settings: settings.api.settings().context("the settings are not right")?,
            stop: streams.clone(),
        });
        let handle = Handle::new();
        let mut serving = tokio::spawn(https::serve(listener, tls, app, handle.clone()));
        greet(&home, address, &public_url, &identity, opened.clock.as_ref()).await?;

        let outcome = tokio::select! {
            signal = told.wait() => {
                tracing::info!(signal, "stopping");
                Ok(())
            }
            ended = &mut serving => Err(anyhow::anyhow!("the server ended by itself: {ended:?}")),
        };
        let stop = async {
            streams.cancel();
            handle.graceful_shutdown(Some(GRACE));
            if outcome.is_ok() {
                let _ = serving.await;
            }
            desk.stop().await;
            braking.abort();
            background.cancel();
            let _ = renewal.await;
            let _ = anchors.await;
            let _ = telling.await;
            opened.db.close().await;
        };
        if tokio::time::timeout(LONGEST_STOP, stop).await.is_err() {
            tracing::error!("the desk did not stop in time and ends as it is");
        }
        log::flush();
        outcome
    }
}

/// Both ways in which a desk is told to stop.
pub(crate) struct Told {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Told {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Both ways in which a desk is told to stop trading.
struct Brakes {
    /// Somebody wants everything to stop.
    stop: tokio::signal::unix::Signal,
    /// `stockade kill` has left a request.
    request: tokio::signal::unix::Signal,
}

impl Brakes {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { stop: signal(SignalKind::user_defined1())?, request: signal(SignalKind::user_defined2())? })
    }

    async fn obey(mut self, gateway: Gateway) {
        loop {
            tokio::select! {
                biased;
                _ = self.stop.recv() => gateway.engage_by_signal().await,
                _ = self.request.recv() => gateway.obey_kill_requests().await,
            }
        }
    }
}

/// Says where the desk is and what to do next. Standard output is for this alone; the log is on standard error.
async fn greet(
    home: &Home,
    address: SocketAddr,
    public_url: &str,
    identity: &Identity,
    clock: &dyn domain::Clock,
) -> anyhow::Result<()> {
    let mut out = String::from("Stockade is running.\n");
    out += &format!("Listening on {public_url} ({address})\n");
    out += &format!("Home folder: {}\n", home.folder().display());
    match setup_link::issue(identity, clock, public_url).await? {
        Some(link) => out += &link,
        None => out += "Sign in with your browser; it asks once about the desk's own certificate.\n",
    }
    out += "Ctrl-C stops the desk.\n";
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

fn keep_anchors(opened: &Opened, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
    let (anchors, db, key, clock) =
        (opened.anchors.clone(), opened.db.clone(), opened.signing.clone(), Arc::clone(&opened.clock));
    async move { anchors.keep(&db, &key, clock.as_ref(), stop.cancelled()).await }
}

fn home_of(home: &Home) -> Home {
    Home::new(home.folder().to_owned())
}

/// Renews the certificate of a desk that runs for a year.
async fn renew(home: Home, tls: RustlsConfig, clock: Arc<dyn domain::Clock>, stop: CancellationToken) {
    let mut check = tokio::time::interval(CERTIFICATE_CHECK);
    check.reset();
    while stop.run_until_cancelled(check.tick()).await.is_some() {
        match certificate::config(&home, clock.now()) {
            Ok(config) => tls.reload_from_config(config),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate cannot be renewed"),
        }
    }
}
