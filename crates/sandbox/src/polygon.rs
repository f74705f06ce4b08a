//! The Polygon/Massive crypto WebSocket, from the vendor's side.
//!
//! One frame after connecting and one after the key, arrays always, one acknowledgement per topic, wildcards, and a
//! client that does not read is dropped without making others wait.

mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use domain::Clock;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Source;
use crate::recording::Frame;

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The key that clients must have.
    pub key: String,
    /// Clients with that key at a time.
    pub max_connections: usize,
}

impl ServerSettings {
    /// A free port of this machine, for ten clients.
    pub fn loopback(key: impl Into<String>) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), key: key.into(), max_connections: 10 }
    }
}

/// Misbehaviour on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Cuts all connections without a word.
    Cut,
    /// Sends everybody half a frame of JSON.
    Malformed,
    /// Goes on without sending anything, until [`Fault::Speak`].
    Silence,
    /// Ends the silence.
    Speak,
    /// Loses the next so many frames for each client.
    Drop(u32),
    /// Refuses every key from now on, or no more.
    RefuseKeys(bool),
}

/// Frames that a client may be behind before it is dropped as too slow.
const BEHIND: usize = 2_048;

/// A server and everything that it runs.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: JoinHandle<()>,
}

/// What all sessions see.
struct Shared {
    settings: ServerSettings,
    source: Source,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    refuse_keys: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
    /// How many clients have subscribed to anything.
    subscribed: watch::Sender<usize>,
}

/// The server's end of a session that has shown its key.
struct Listener {
    queue: mpsc::Sender<Order>,
    /// Cancelled when the client is too slow.
    too_slow: CancellationToken,
}

/// What a session is told.
#[derive(Clone)]
enum Order {
    Frame(Arc<Frame>),
    /// To be sent as it is, whatever the client has subscribed to.
    Say(Arc<str>),
    Fault(Fault),
}

impl Server {
    /// Listens, and serves `source` until `stop`.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start(
        source: Source,
        settings: ServerSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            settings,
            source,
            clock,
            stop,
            refuse_keys: AtomicBool::new(false),
            listeners: Mutex::default(),
            subscribed: watch::Sender::new(0),
        });
        if !shared.source.is_own_run() {
            tokio::spawn(broadcast(shared.clone()));
        }
        let listener = tokio::spawn(accept(shared.clone(), listener));
        Ok(Self { shared, address, listener })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/crypto", self.address)
    }

    /// Misbehaves.
    pub fn misbehave(&self, fault: Fault) {
        match fault {
            Fault::RefuseKeys(refuse) => self.shared.refuse_keys.store(refuse, Relaxed),
            fault => self.shared.tell(&Order::Fault(fault)),
        }
    }

    /// Sends a frame to every client as it is.
    pub fn say(&self, frame: &str) {
        self.shared.tell(&Order::Say(frame.into()));
    }

    /// Waits for the end, after `stop`.
    pub async fn closed(self) {
        let _ = self.listener.await;
    }
}

impl Shared {
    /// Tells every session. Who has no room for it is too slow, and goes.
    fn tell(&self, order: &Order) {
        self.listeners().retain(|listener| {
            let sent = listener.queue.try_send(order.clone());
            if matches!(sent, Err(mpsc::error::TrySendError::Full(_))) {
                listener.too_slow.cancel();
            }
            sent.is_ok()
        });
    }

    /// Takes a session in, unless there are too many.
    fn join(&self) -> Option<(mpsc::Receiver<Order>, CancellationToken)> {
        let mut listeners = self.listeners();
        listeners.retain(|listener| !listener.queue.is_closed());
        if listeners.len() >= self.settings.max_connections {
            return None;
        }
        let (queue, orders) = mpsc::channel(BEHIND);
        let too_slow = CancellationToken::new();
        listeners.push(Listener { queue, too_slow: too_slow.clone() });
        Some((orders, too_slow))
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Plays the source once, for all, from the moment at which somebody listens.
async fn broadcast(shared: Arc<Shared>) {
    let mut subscribed = shared.subscribed.subscribe();
    tokio::select! {
        () = shared.stop.cancelled() => return,
        _ = subscribed.wait_for(|clients| *clients > 0) => {}
    }
    let mut frames = shared.source.play(&shared.clock);
    loop {
        let frame = tokio::select! {
            () = shared.stop.cancelled() => return,
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { return };
        shared.tell(&Order::Frame(frame));
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut sessions = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => drop(sessions.spawn(session::run(shared.clone(), stream))),
            // The client is gone already, or the machine is out of files for the moment.
            Err(e) => {
                tracing::warn!(error = %e, "a connection was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}
