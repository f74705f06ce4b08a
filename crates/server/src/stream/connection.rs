//! One client's WebSocket, from hello to closing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use domain::{Context, Credential};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::Desk;
use crate::api::words::At;
use crate::guard;
use crate::problem::{Code, Problem};
use crate::session::SignedIn;
use crate::stream::hub::Channel;
use crate::stream::topic::Topic;

/// Largest message of a client.
const LARGEST: usize = 64 << 10;
/// Most topics of one connection.
const MOST_TOPICS: usize = 100;
/// Most connections at once, of everybody and of one session or key.
const MOST_CONNECTIONS: usize = 1_000;
const MOST_OF_A_CALLER: usize = 20;
/// Messages a client may send at once, and per second from then on.
const BURST: u32 = 60;
const MESSAGES_PER_SECOND: u32 = 20;
/// How often it is asked whether the session and its rights are still there.
const RECHECK: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long is cut.
const SEND_PATIENCE: Duration = Duration::from_secs(4);
const PING: Duration = Duration::from_secs(20);
/// A client of which nothing was heard for so long, not even a pong, is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Events of one topic that are written before the next topic has its turn.
const TURN: usize = 64;

/// How many connections there are, in all and by session or key.
#[derive(Default)]
pub(crate) struct Connections {
    all: AtomicUsize,
    of_caller: std::sync::Mutex<HashMap<Credential, usize>>,
}

/// A place among the connections, given back when dropped.
pub(crate) struct Place {
    desk: Desk,
    caller: Credential,
}

impl Place {
    pub(crate) fn take(desk: &Desk, caller: &Credential) -> Option<Self> {
        let connections = &desk.connections;
        let mut of_caller = connections.of_caller.lock().unwrap_or_else(|e| e.into_inner());
        let mine = of_caller.entry(caller.clone()).or_default();
        if *mine >= MOST_OF_A_CALLER || connections.all.load(Ordering::Relaxed) >= MOST_CONNECTIONS {
            return None;
        }
        *mine += 1;
        connections.all.fetch_add(1, Ordering::Relaxed);
        drop(of_caller);
        Some(Self { desk: desk.clone(), caller: caller.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_caller = self.desk.connections.of_caller.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(mine) = of_caller.get_mut(&self.caller) {
            *mine -= 1;
            if *mine == 0 {
                of_caller.remove(&self.caller);
            }
        }
        self.desk.connections.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `GET /api/v1/stream`: turns the request of a signed-in person into a connection.
pub(crate) async fn open(State(desk): State<Desk>, who: SignedIn, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    // A browser opens a socket to anywhere with cookies, and CORS does not stop it.
    if !guard::is_own(&desk, &parts.headers) {
        return Problem::new(Code::ForeignOrigin).into_response();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &desk).await {
        Ok(upgrade) => upgrade,
        Err(refused) => {
            let detail = "This address is opened as a WebSocket; see /api/docs#stream.";
            tracing::debug!(error = %refused, "not a WebSocket");
            return Problem::with(Code::UpgradeRequired, detail).into_response();
        }
    };
    let Some(place) = Place::take(&desk, &who.context().credential) else {
        return Problem::with(Code::Busy, "There are too many open streams.").into_response();
    };
    upgrade
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .on_upgrade(move |socket| Connection::new(desk, who, socket).run(place))
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Wish {
    Subscribe {
        topics: Vec<String>,
        #[serde(default)]
        resume: Option<Resume>,
    },
    Unsubscribe {
        topics: Vec<String>,
    },
    Ping {},
}

/// Up to where a client has seen what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {
    epoch: Uuid,
    after: HashMap<String, u64>,
}

/// What the desk sends, apart from events.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Say<'a> {
    Hello {
        epoch: Uuid,
        server_at: At,
    },
    Subscribed {
        topic: &'a str,
        seq: u64,
        resumed: bool,
    },
    Unsubscribed {
        topic: &'a str,
    },
    Gap {
        topic: &'a str,
        from_seq: u64,
        to_seq: u64,
    },
    Error {
        code: &'a str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<&'a str>,
    },
    Pong,
    Closing {
        code: &'a str,
    },
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    SessionEnded,
    SlowReader,
    TooManyMessages,
    Silent,
    ShuttingDown,
    /// The client closed, or the network did.
    Gone,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::SlowReader => "slow_reader",
            Self::TooManyMessages => "too_many_messages",
            Self::Silent => "silent",
            Self::ShuttingDown => "shutting_down",
            Self::Gone => "gone",
        }
    }
}

struct Subscription {
    name: String,
    channel: Arc<Channel>,
    /// Number of the last event written.
    seen: u64,
}

struct Connection {
    desk: Desk,
    who: SignedIn,
    socket: WebSocket,
    /// In the order in which they are written.
    subscriptions: Vec<Subscription>,
    wake: Arc<Notify>,
    heard_at: Instant,
    /// Messages the client may still send now, and when that was last counted.
    allowance: (f64, Instant),
}

impl Connection {
    fn new(desk: Desk, who: SignedIn, socket: WebSocket) -> Self {
        let now = Instant::now();
        Self {
            desk,
            who,
            socket,
            subscriptions: Vec::new(),
            wake: Arc::new(Notify::new()),
            heard_at: now,
            allowance: (f64::from(BURST), now),
        }
    }

    async fn run(mut self, _place: Place) {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        let now = self.desk.clock.now();
        for subscription in &self.subscriptions {
            subscription.channel.leave(&self.wake, now);
        }
        let goodbye = async {
            if end != End::Gone {
                self.socket.send(text(&Say::Closing { code: end.code() })).await?;
                let code = if end == End::ShuttingDown { close_code::AWAY } else { close_code::POLICY };
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static(end.code()) };
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            // Also answers the close of a client that said goodbye.
            self.socket.close().await
        };
        // Whoever takes nothing does not take this either.
        let _ = timeout(SEND_PATIENCE, goodbye).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let stop = self.desk.stop.clone();
        let wake = Arc::clone(&self.wake);
        let mut revoked = self.desk.identity.key_revocations();
        let (mut recheck, mut ping) = (interval(RECHECK), interval(PING));
        for timer in [&mut recheck, &mut ping] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer.reset();
        }
        self.say(&Say::Hello { epoch: self.desk.hub.epoch, server_at: At(self.desk.clock.now()) }).await?;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(End::ShuttingDown),
                _ = recheck.tick() => self.recheck().await?,
                Ok(()) = revoked.changed() => self.recheck().await?,
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.receive(message).await?,
                    Some(Err(_)) | None => return Err(End::Gone),
                },
                _ = ping.tick() => {
                    if self.heard_at.elapsed() > SILENCE {
                        return Err(End::Silent);
                    }
                    self.send(Message::Ping(Default::default())).await?;
                }
                () = wake.notified() => self.write_events().await?,
            }
        }
    }

    /// Ends the connection with the session, and takes away what may not be seen any more.
    async fn recheck(&mut self) -> Result<(), End> {
        match self.who.still(&self.desk).await {
            Ok(Some(who)) => self.who = who,
            Ok(None) => return Err(End::SessionEnded),
            // The database does not answer. Whoever was let in may look on: nothing new can happen meanwhile.
            Err(_) => return Ok(()),
        }
        let ctx = self.context();
        let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .partition(|one| one.channel.topic.require(&ctx).is_ok());
        self.subscriptions = kept;
        for subscription in lost {
            subscription.channel.leave(&self.wake, self.desk.clock.now());
            self.refuse("forbidden", "You may not see this any more.", Some(&subscription.name)).await?;
        }
        Ok(())
    }

    fn context(&self) -> Context {
        self.who.context().clone()
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        self.heard_at = Instant::now();
        self.spend()?;
        match message {
            Message::Text(text) => match serde_json::from_str::<Wish>(&text) {
                Ok(Wish::Ping {}) => self.say(&Say::Pong).await,
                Ok(Wish::Subscribe { topics, resume }) => self.subscribe(topics, resume).await,
                Ok(Wish::Unsubscribe { topics }) => self.unsubscribe(&topics).await,
                Err(e) => self.refuse("message_invalid", &e.to_string(), None).await,
            },
            Message::Binary(_) => self.refuse("message_invalid", "Messages are text.", None).await,
            Message::Close(_) => Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Counts a message of the client.
    fn spend(&mut self) -> Result<(), End> {
        let (left, since) = self.allowance;
        let now = Instant::now();
        let earned = now.duration_since(since).as_secs_f64() * f64::from(MESSAGES_PER_SECOND);
        let left = (left + earned).min(f64::from(BURST)) - 1.0;
        self.allowance = (left, now);
        if left < 0.0 { Err(End::TooManyMessages) } else { Ok(()) }
    }

    async fn subscribe(&mut self, topics: Vec<String>, resume: Option<Resume>) -> Result<(), End> {
        let resume = resume.filter(|resume| resume.epoch == self.desk.hub.epoch);
        for name in topics {
            if self.subscriptions.iter().any(|one| one.name == name) {
                continue;
            }
            if self.subscriptions.len() >= MOST_TOPICS {
                let detail = format!("A connection has at most {MOST_TOPICS} topics.");
                self.refuse("too_many_topics", &detail, Some(&name)).await?;
                continue;
            }
            let topic = match self.allowed(&name) {
                Ok(topic) => topic,
                Err((code, detail)) => {
                    self.refuse(code, &detail, Some(&name)).await?;
                    continue;
                }
            };
            let channel = self.desk.hub.channel(&topic);
            let after = resume.as_ref().and_then(|resume| resume.after.get(&name).copied());
            let seen = after.filter(|after| channel.can_resume(*after));
            // First the ear, then the place: an event in between is written, never missed.
            let last = channel.last();
            channel.join(&self.wake);
            let subscription = Subscription { name: name.clone(), channel, seen: seen.unwrap_or(last) };
            let at = self.subscriptions.partition_point(|one| one.channel.topic.rank() <= topic.rank());
            self.subscriptions.insert(at, subscription);
            self.say(&Say::Subscribed { topic: &name, seq: seen.unwrap_or(last), resumed: seen.is_some() })
                .await?;
        }
        self.write_events().await
    }

    fn allowed(&self, name: &str) -> Result<Topic, (&'static str, String)> {
        let topic: Topic =
            name.parse().map_err(|_| ("topic_unknown", "There is no such topic.".to_owned()))?;
        if let Err(denied) = topic.require(self.who.context()) {
            let problem = Problem::from(denied);
            return Err((problem.code.as_str(), problem.detail.into()));
        }
        if topic.symbol().is_some_and(|symbol| self.desk.market.instrument(symbol).is_none()) {
            return Err((Code::SYMBOL_UNKNOWN.as_str(), Code::SYMBOL_UNKNOWN.help().to_owned()));
        }
        Ok(topic)
    }

    async fn unsubscribe(&mut self, topics: &[String]) -> Result<(), End> {
        for name in topics {
            let Some(at) = self.subscriptions.iter().position(|one| one.name == *name) else { continue };
            let subscription = self.subscriptions.remove(at);
            subscription.channel.leave(&self.wake, self.desk.clock.now());
            self.say(&Say::Unsubscribed { topic: name }).await?;
        }
        Ok(())
    }

    /// Writes what is new in all topics, one turn each; wakes itself for the rest.
    async fn write_events(&mut self) -> Result<(), End> {
        let mut more = false;
        let mut frames = Vec::new();
        for subscription in &mut self.subscriptions {
            let since = subscription.channel.after(subscription.seen, TURN);
            if let Some((from_seq, to_seq)) = since.lost {
                frames.push(text(&Say::Gap { topic: &subscription.name, from_seq, to_seq }));
                subscription.seen = to_seq;
            }
            more |= since.events.len() == TURN;
            for event in since.events {
                subscription.seen = event.seq;
                frames.push(Message::Text(event.frame.clone()));
            }
        }
        if more {
            self.wake.notify_one();
        }
        if frames.is_empty() {
            return Ok(());
        }
        let socket = &mut self.socket;
        let write = async {
            for frame in frames {
                socket.feed(frame).await?;
            }
            socket.flush().await
        };
        finish(timeout(SEND_PATIENCE, write).await)
    }

    async fn refuse(&mut self, code: &str, detail: &str, topic: Option<&str>) -> Result<(), End> {
        self.say(&Say::Error { code, detail, topic }).await
    }

    async fn say(&mut self, what: &Say<'_>) -> Result<(), End> {
        self.send(text(what)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        finish(timeout(SEND_PATIENCE, self.socket.send(message)).await)
    }
}

fn text(what: &Say<'_>) -> Message {
    Message::Text(serde_json::to_string(what).expect("text and numbers are JSON").into())
}

fn finish(sent: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::SlowReader),
    }
}
