//! The stream of what happens to orders: opened, watched, and given up when it falls silent.
//!
//! Alpaca has no heartbeat of its own, so it is pinged: a connection on which nothing comes back is dead. That one lives
//! proves nothing about what is told on it; the desk asks all the same.

use std::sync::Arc;
use std::time::Duration;

use alpaca::{
    AuthorizationStatus, DataError, DataMessage, Keys, Streams, TRADE_UPDATES, TradingMessage, TradingRequest,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;
use trading::{BrokerEvent, BrokerUnreachable};

use super::client::Shared;
use super::translate;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Events that the order path may be behind. Then the socket is not read, and Alpaca cuts it in the end.
const BEHIND: usize = 4_096;
/// A frame tells one event.
const LARGEST_FRAME: usize = 256 << 10;
/// A stream is dead after so many pings that nothing answered.
const MISSED: u32 = 3;
/// A stream that was left for another one is closed after so much silence.
const LEFT: Duration = Duration::from_secs(2);

/// Why a stream ended, or was never there.
#[derive(Debug)]
enum End {
    /// Alpaca does not accept the credentials.
    Unauthorized,
    /// Somebody else has the stream.
    Conflict(String),
    /// Anything else.
    Lost(String),
}

/// Opens the stream. Whatever happens after this has returned is told on it.
pub(super) async fn open(shared: &Arc<Shared>) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
    let now = Instant::now();
    if let Some(until) = shared.standing().conflict_until.filter(|until| *until > now) {
        let wait = until - now;
        return Err(BrokerUnreachable(format!(
            "the stream: another connection has it. Only one is allowed for each account; it is tried again in {} s",
            wait.as_secs() + 1
        )));
    }
    let (renewed, renewals) = {
        let standing = shared.standing();
        (standing.renewed.clone(), standing.renewals)
    };
    match connect(shared).await {
        Ok(socket) => {
            let (events, stream) = mpsc::channel(BEHIND);
            let hang_up = {
                let mut standing = shared.standing();
                standing.conflict_until = None;
                standing.locked_out &= standing.renewals != renewals;
                standing.hang_up.clone()
            };
            tokio::spawn(pass_on(shared.clone(), socket, events, hang_up, renewed));
            Ok(stream)
        }
        Err(end) => {
            let mut standing = shared.standing();
            standing.locked_out |= matches!(end, End::Unauthorized) && standing.renewals == renewals;
            drop(standing);
            Err(BrokerUnreachable(shared.note(end)))
        }
    }
}

async fn connect(shared: &Shared) -> Result<Socket, End> {
    let opened = timeout(shared.settings.answer_within, connect_and_greet(shared)).await;
    opened.unwrap_or_else(|_| Err(End::Lost("it did not open in time".to_owned())))
}

impl Shared {
    /// What an end means for the next try, in words.
    fn note(&self, end: End) -> String {
        match end {
            End::Unauthorized => {
                "the stream: Alpaca no longer accepts the account's credentials: they are to be renewed"
                    .to_owned()
            }
            End::Conflict(why) => {
                let pause = self.settings.conflict_pause;
                self.standing().conflict_until = Some(Instant::now() + pause);
                format!(
                    "the stream: another connection has it ({why}). Only one is allowed for each account; it is left alone for {} s",
                    pause.as_secs()
                )
            }
            End::Lost(why) => format!("the stream: {why}"),
        }
    }
}

async fn connect_and_greet(shared: &Shared) -> Result<Socket, End> {
    let config =
        WebSocketConfig::default().max_message_size(Some(LARGEST_FRAME)).max_frame_size(Some(LARGEST_FRAME));
    let url = shared.http.stream_url("/stream");
    let (mut socket, _) = connect_async_with_config(url, Some(config), true).await.map_err(refused)?;
    let credentials = shared.http.credentials();
    let keys = Keys { key_id: credentials.key_id, secret_key: credentials.secret };
    say(&mut socket, &TradingRequest::Authenticate { data: keys }).await?;
    loop {
        match hear(&mut socket).await? {
            Heard::Message(TradingMessage::Authorization(answer)) => match answer.status {
                AuthorizationStatus::Authorized => break,
                AuthorizationStatus::Unauthorized => return Err(End::Unauthorized),
            },
            Heard::Message(TradingMessage::Listening(_) | TradingMessage::TradeUpdates(_)) => {
                return Err(End::Lost("it told something before it knew who listens".to_owned()));
            }
            _ => {}
        }
    }
    let streams = Streams { streams: vec![TRADE_UPDATES.to_owned()] };
    say(&mut socket, &TradingRequest::Listen { data: streams }).await?;
    loop {
        match hear(&mut socket).await? {
            Heard::Message(TradingMessage::Listening(to))
                if to.streams.iter().any(|one| one == TRADE_UPDATES) =>
            {
                return Ok(socket);
            }
            Heard::Message(TradingMessage::Listening(_)) => {
                return Err(End::Lost(
                    "Alpaca does not tell this account what happens to its orders".to_owned(),
                ));
            }
            Heard::Message(TradingMessage::Authorization(_)) => return Err(End::Unauthorized),
            _ => {}
        }
    }
}

/// Why there is no connection. What Alpaca's gateway says with a status is told apart.
fn refused(error: Error) -> End {
    match error {
        Error::Http(answer) => match answer.status().as_u16() {
            401 | 403 => End::Unauthorized,
            status @ (406 | 409 | 429) => End::Conflict(status.to_string()),
            status => End::Lost(format!("status {status}")),
        },
        error => End::Lost(error.to_string()),
    }
}

/// Hands events over until the stream ends, falls silent, or nobody listens any more.
async fn pass_on(
    shared: Arc<Shared>,
    mut socket: Socket,
    events: mpsc::Sender<BrokerEvent>,
    hang_up: CancellationToken,
    mut renewed: CancellationToken,
) {
    // The stream that was left for the one with other credentials, until it is silent.
    let mut left: Option<Socket> = None;
    let end = loop {
        let heard = tokio::select! {
            () = events.closed() => return,
            () = hang_up.cancelled() => break End::Unauthorized,
            () = renewed.cancelled() => {
                renewed = shared.standing().renewed.clone();
                match connect(&shared).await {
                    Ok(new) => left = Some(std::mem::replace(&mut socket, new)),
                    // Perhaps there may be only one: the desk opens it again at once, when this one is gone.
                    Err(_) => break End::Lost("the credentials were replaced".to_owned()),
                }
                continue;
            }
            heard = hear_left(&mut left) => heard,
            heard = hear_within(&mut socket, shared.settings.ping_every) => heard,
        };
        let event = match heard {
            Ok(Heard::Message(TradingMessage::TradeUpdates(update))) => {
                shared.names.learn(&update.order);
                translate::update(&update, &shared.names)
            }
            Ok(Heard::Riddle(event)) => Some(event),
            Ok(_) => None,
            Err(end) => break end,
        };
        if let Some(event) = event
            && events.send(event).await.is_err()
        {
            return;
        }
    };
    let why = shared.note(end);
    tracing::warn!(why, "the stream of an account at Alpaca is lost");
}

/// What came.
enum Heard {
    /// A message.
    Message(TradingMessage),
    /// Something happened to an order, and it is not clear what.
    Riddle(BrokerEvent),
    /// It lives.
    Pong,
}

/// The next thing said. While there is nothing, the other end is asked whether it lives.
async fn hear_within(socket: &mut Socket, ping_every: Duration) -> Result<Heard, End> {
    for _ in 0..MISSED {
        match timeout(ping_every, hear(socket)).await {
            Ok(heard) => return heard,
            Err(_) => {
                let ping = timeout(ping_every, socket.send(Message::Ping(Default::default()))).await;
                ping.map_err(|_| End::Lost("it takes nothing any more".to_owned()))?
                    .map_err(|error| End::Lost(error.to_string()))?;
            }
        }
    }
    Err(End::Lost(format!("connected, but silent for {:?}", ping_every * MISSED)))
}

/// The next thing said on a stream that was left: it may still have something that was told before the other one was open.
/// What both tell counts once.
async fn hear_left(left: &mut Option<Socket>) -> Result<Heard, End> {
    let Some(socket) = left else { return std::future::pending().await };
    match timeout(LEFT, hear(socket)).await {
        Ok(Ok(heard)) => Ok(heard),
        Ok(Err(_)) | Err(_) => {
            *left = None;
            Ok(Heard::Pong)
        }
    }
}

async fn hear(socket: &mut Socket) -> Result<Heard, End> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return understand(text.as_bytes()),
            // Paper says the same in binary frames.
            Some(Ok(Message::Binary(bytes))) => return understand(&bytes),
            Some(Ok(Message::Pong(_))) => return Ok(Heard::Pong),
            Some(Ok(Message::Close(frame))) => {
                return Err(match frame {
                    Some(frame) if is_conflict(&frame.reason) => End::Conflict(frame.reason.to_string()),
                    Some(frame) => End::Lost(format!("closed: {} {}", frame.code, frame.reason)),
                    None => End::Lost("closed".to_owned()),
                });
            }
            None => return Err(End::Lost("closed".to_owned())),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(End::Lost(error.to_string())),
        }
    }
}

fn is_conflict(reason: &str) -> bool {
    reason.contains("connection limit") || reason.contains("406") || reason.contains("409")
}

fn understand(frame: &[u8]) -> Result<Heard, End> {
    let error = match TradingMessage::parse(frame) {
        Ok(message) => return Ok(Heard::Message(message)),
        Err(error) => error,
    };
    if let Some(event) = riddle(frame) {
        tracing::warn!(%error, order = event.client_order_id, "Alpaca told something that is not understood");
        return Ok(Heard::Riddle(event));
    }
    Err(match complaint(frame) {
        Some(error) => match error.code {
            DataError::NOT_AUTHENTICATED | DataError::AUTH_FAILED => End::Unauthorized,
            DataError::CONNECTION_LIMIT | DataError::INSUFFICIENT_SUBSCRIPTION => {
                End::Conflict(format!("{} {}", error.code, error.message))
            }
            code => End::Lost(format!("{code} {}", error.message)),
        },
        None => End::Lost(format!("a frame that is not of the protocol: {error}")),
    })
}

/// An update of which only the order is understood: it is asked for.
fn riddle(frame: &[u8]) -> Option<BrokerEvent> {
    #[derive(Deserialize)]
    struct Envelope {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        order: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        id: alpaca::Uuid,
        client_order_id: String,
    }
    let Envelope { data: Data { order } } = serde_json::from_slice(frame).ok()?;
    let Named { id, client_order_id } = order;
    Some(BrokerEvent { client_order_id, broker_order_id: id.to_string(), event: None })
}

/// An error in the form of the other stream, which Alpaca's gateway uses for both.
fn complaint(frame: &[u8]) -> Option<DataError> {
    let messages = DataMessage::parse(std::str::from_utf8(frame).ok()?).ok()?;
    messages.into_iter().find_map(|message| match message {
        Ok(DataMessage::Error(error)) => Some(error),
        _ => None,
    })
}

async fn say(socket: &mut Socket, what: &TradingRequest) -> Result<(), End> {
    let text = serde_json::to_string(what).map_err(|error| End::Lost(error.to_string()))?;
    socket.send(Message::text(text)).await.map_err(|error| End::Lost(error.to_string()))
}
