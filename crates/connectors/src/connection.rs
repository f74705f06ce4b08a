//! Keeping a connection to a vendor of market data: connect, greet, listen, and again with growing pauses.
//!
//! The reader of the socket only queues; the frames are worked on behind the queue. When the work falls behind, quotes
//! are conflated first; when the queue is full all the same, the reader waits, and the vendor sees a slow consumer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{Clock, Timestamp};
use futures_util::{SinkExt as _, StreamExt as _};
use market::{Feed, FeedState, Kind};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a vendor is spoken with.
#[async_trait]
pub(crate) trait Protocol: Send + 'static {
    /// What the connection is asked for with; `Err` when it must not be made at all.
    fn request(&self) -> Result<Request<()>, String>;

    /// Says who we are and what we want to hear. Ends before the vendor has taken that in.
    async fn greet(&mut self, socket: &mut Socket, feed: &mut Feed, clock: &dyn Clock) -> Result<(), End>;

    /// Puts what a frame says into the market; an end where it ends the connection.
    fn take(&mut self, frame: &Message, arrived_at: Timestamp, feed: &mut Feed) -> Option<End>;

    /// Waits for something to say later on. Dropped while it waits, it has said nothing.
    async fn next_word(&mut self) -> Message {
        std::future::pending().await
    }

    /// What the vendor means by refusing a connection with a status.
    fn refused(&self, status: u16) -> End {
        End::Lost(format!("no connection: status {status}"))
    }
}

/// How patiently a connection is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long it may be silent.
    pub(crate) stall_after: Duration,
    /// How often it is asked whether it lives, where silence is nothing unusual. The answer counts as a word.
    pub(crate) ping_every: Option<Duration>,
    /// The first wait after a lost connection; each further one doubles.
    pub(crate) first_retry: Duration,
    /// No wait is longer,
    pub(crate) longest_retry: Duration,
    /// but for that after the vendor said that somebody else is connected.
    pub(crate) conflict_pause: Duration,
}

/// The vendor has this long to be connected with and for each of its words, and three times as long for the greeting.
const GREETING: Duration = Duration::from_secs(10);
/// Frames between the socket and the work.
const QUEUE: usize = 2_048;
/// Behind by this many frames, quotes are conflated; until the queue is nearly empty again.
const BEHIND: usize = QUEUE / 2;
const CAUGHT_UP: usize = QUEUE / 16;
/// Frames worked on before other tasks get their turn.
const BATCH: usize = 64;
/// A connection that lived this long was a good one: the next wait is the first again.
const GOOD: Duration = Duration::from_secs(60);
const LARGEST_FRAME: usize = 16 * 1024 * 1024;

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The desk shuts down.
    Shutdown,
    /// The vendor refused the key: trying again would not help.
    Refused(String),
    /// Another connection has taken the place of this one. Who fights over it loses it again.
    Conflict(String),
    /// It was connected, and silent.
    Stalled,
    /// Anything else.
    Lost(String),
}

/// Keeps `feed` supplied until `stop`, or until the vendor refuses the key.
pub(crate) fn keep(
    protocol: impl Protocol,
    patience: Patience,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter_seed: u64,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let jitter = StdRng::seed_from_u64(jitter_seed);
    tokio::spawn(Keeper { protocol, patience, feed, clock, jitter, stop }.run())
}

struct Keeper<P> {
    protocol: P,
    patience: Patience,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter: StdRng,
    stop: CancellationToken,
}

impl<P: Protocol> Keeper<P> {
    async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let request = match self.protocol.request() {
                Ok(request) => request,
                Err(why) => {
                    tracing::error!(why, "the feed is not started");
                    self.feed.state(FeedState::Stopped, Some(why));
                    return;
                }
            };
            self.feed.state(FeedState::Connecting, None);
            let begun = Instant::now();
            let mut wait = None;
            let (state, why) = match self.session(request).await {
                End::Shutdown => {
                    self.feed.state(FeedState::Stopped, None);
                    return;
                }
                End::Refused(why) => {
                    tracing::error!(why, "the vendor refused the feed's key; it is not tried again");
                    self.feed.state(FeedState::Stopped, Some(format!("the key was refused: {why}")));
                    return;
                }
                End::Conflict(why) => {
                    self.feed.refuse(Kind::Disconnected, || why.clone());
                    wait = Some(self.patience.conflict_pause);
                    (FeedState::Down, format!("another connection uses the key, and only one may: {why}"))
                }
                End::Stalled => {
                    self.feed
                        .refuse(Kind::Stalled, || format!("{:?} without a word", self.patience.stall_after));
                    (FeedState::Stalled, "connected, but silent".to_owned())
                }
                End::Lost(why) => {
                    self.feed.refuse(Kind::Disconnected, || why.clone());
                    (FeedState::Down, why)
                }
            };
            failures = if begun.elapsed() >= GOOD { 0 } else { failures };
            self.feed.state(state, Some(why));
            let wait = wait.unwrap_or_else(|| self.wait(failures));
            failures = failures.saturating_add(1);
            tokio::select! {
                () = self.stop.cancelled() => {
                    self.feed.state(FeedState::Stopped, None);
                    return;
                }
                () = tokio::time::sleep(wait) => self.feed.reconnected(),
            }
        }
    }

    /// Doubles with every failure; between half of it and the whole, so that not all come back at once.
    fn wait(&mut self, failures: u32) -> Duration {
        let doubled = self.patience.first_retry.saturating_mul(2_u32.saturating_pow(failures.min(31)));
        doubled.min(self.patience.longest_retry).mul_f64(self.jitter.random_range(0.5..=1.0))
    }

    /// One connection, from its first byte to its end.
    async fn session(&mut self, request: Request<()>) -> End {
        let stop = self.stop.clone();
        let greeted = tokio::select! {
            () = stop.cancelled() => return End::Shutdown,
            greeted = self.connect_and_greet(request) => greeted,
        };
        let socket = match greeted {
            Ok(socket) => socket,
            Err(end) => return end,
        };
        let (queue, frames) = mpsc::channel(QUEUE);
        let (outbox, words) = mpsc::channel(1);
        // The reader ends with the session: its token is dropped with the guard.
        let hang_up = self.stop.child_token();
        let guard = hang_up.clone().drop_guard();
        let reader = read(socket, queue, words, self.clock.clone(), self.patience.ping_every, hang_up);
        let reader = tokio::spawn(reader);
        let end = self.work(frames, outbox).await;
        drop(guard);
        let _ = reader.await;
        self.feed.busy(false);
        end
    }

    async fn connect_and_greet(&mut self, request: Request<()>) -> Result<Socket, End> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_FRAME))
            .max_frame_size(Some(LARGEST_FRAME));
        let connecting = connect_async_with_config(request, Some(config), true);
        let connected = timeout(GREETING, connecting).await;
        let (mut socket, _) = match connected.map_err(|_| End::Lost("no connection in time".into()))? {
            Ok(connected) => connected,
            Err(Error::Http(answer)) => return Err(self.protocol.refused(answer.status().as_u16())),
            Err(error) => return Err(End::Lost(format!("no connection: {error}"))),
        };
        let greeting = self.protocol.greet(&mut socket, &mut self.feed, &*self.clock);
        timeout(GREETING * 3, greeting).await.map_err(|_| End::Lost("no greeting in time".into()))??;
        Ok(socket)
    }

    /// Works on frames until the connection ends.
    async fn work(&mut self, mut frames: mpsc::Receiver<Read>, outbox: mpsc::Sender<Message>) -> End {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let received = tokio::select! {
                biased;
                received = timeout(self.patience.stall_after, frames.recv_many(&mut batch, BATCH)) => received,
                // One word at a time, and never waited for: the reader may be waiting for us.
                word = self.protocol.next_word(), if outbox.capacity() > 0 => {
                    // A reader that has ended tells why in its last frame.
                    let _ = outbox.try_send(word);
                    continue;
                }
            };
            match received {
                Err(_) => return End::Stalled,
                Ok(0) => return End::Lost("the reader ended".into()),
                Ok(_) => {}
            }
            match frames.len() {
                waiting if waiting > BEHIND => self.feed.busy(true),
                waiting if waiting < CAUGHT_UP => self.feed.busy(false),
                _ => {}
            }
            for read in batch.drain(..) {
                let end = match read {
                    Read::Frame(frame, arrived_at) => self.protocol.take(&frame, arrived_at, &mut self.feed),
                    Read::Alive => None,
                    Read::End(end) => Some(end),
                };
                if let Some(end) = end {
                    return end;
                }
            }
            self.feed.catch_up();
            tokio::task::consume_budget().await;
        }
    }
}

/// What the reader hands over.
enum Read {
    Frame(Message, Timestamp),
    /// It was asked whether it lives, and does.
    Alive,
    End(End),
}

/// Queues what the socket says. Waits when the queue is full: no frame is lost here.
async fn read(
    mut socket: Socket,
    queue: mpsc::Sender<Read>,
    mut words: mpsc::Receiver<Message>,
    clock: Arc<dyn Clock>,
    ping_every: Option<Duration>,
    hang_up: CancellationToken,
) {
    let end = loop {
        let asking = async {
            match ping_every {
                Some(every) => tokio::time::sleep(every).await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            () = hang_up.cancelled() => {
                // A courtesy: the vendor need not find out by itself.
                let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                break End::Shutdown;
            }
            next = socket.next() => next,
            Some(word) = words.recv() => match say(&mut socket, word).await {
                Ok(()) => continue,
                Err(end) => break end,
            },
            () = asking => {
                match timeout(GREETING, socket.send(Message::Ping(Default::default()))).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => break End::Lost(error.to_string()),
                    Err(_) => break End::Lost("it takes nothing any more".into()),
                }
            }
        };
        let read = match next {
            Some(Ok(frame @ (Message::Text(_) | Message::Binary(_)))) => Read::Frame(frame, clock.now()),
            Some(Ok(Message::Pong(_))) => Read::Alive,
            Some(Ok(Message::Close(frame))) => {
                break End::Lost(
                    frame.map_or_else(|| "closed".into(), |f| format!("closed: {} {}", f.code, f.reason)),
                );
            }
            // Pings are answered by the library.
            Some(Ok(_)) => continue,
            Some(Err(e)) => break End::Lost(e.to_string()),
            None => break End::Lost("closed".into()),
        };
        tokio::select! {
            () = hang_up.cancelled() => break End::Shutdown,
            sent = queue.send(read) => if sent.is_err() { return },
        }
    };
    let _ = queue.send(Read::End(end)).await;
}

/// The next frame of a greeting.
pub(crate) async fn next_frame(socket: &mut Socket, wanted: &str) -> Result<Message, End> {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(frame @ (Message::Text(_) | Message::Binary(_)))) => return Ok(frame),
                Some(Ok(Message::Close(_))) | None => {
                    return Err(End::Lost(format!("closed before {wanted:?}")));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(End::Lost(error.to_string())),
            }
        }
    };
    timeout(GREETING, next).await.unwrap_or_else(|_| Err(End::Lost(format!("no {wanted:?} in time"))))
}

/// Says something, within the time that a greeting has.
pub(crate) async fn say(socket: &mut Socket, frame: Message) -> Result<(), End> {
    let sent = timeout(GREETING, socket.send(frame)).await;
    sent.map_err(|_| End::Lost("nothing could be said in time".into()))?
        .map_err(|error| End::Lost(error.to_string()))
}
