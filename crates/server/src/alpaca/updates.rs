//! The stream of what happens to an account's orders: `trade_updates`.
//!
//! The gateway tells each change of an order with the order as it is after it, in their order; what changed is the
//! difference to the order as it was known. Executions are told by themselves. A connection that falls behind compares
//! with the orders as they are now and goes on: nothing that happened stays untold.

mod changes;

use std::collections::BTreeMap;
use std::time::Duration;

use alpaca::{
    Authorization, AuthorizationStatus, Streams, TRADE_UPDATES, TradeUpdate, TradingMessage, TradingRequest,
    msgpack,
};
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use domain::{OrderId, Permission, Resource, Timestamp};
use secrecy::SecretString;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use trading::{OrderFilter, OrderScope, TradingEvent};

use self::changes::Known;
use super::Refusal;
use super::bot::Bot;
use super::orders::plain;
use crate::Desk;
use crate::guard::Arrival;
use crate::stream::connection::Place;

/// Most bytes of a message of a client.
const LARGEST: usize = 64 << 10;
/// A client that does not say who it is for so long is cut.
pub(super) const SAYS_WHO: Duration = Duration::from_secs(10);
/// How often it is asked whether the key is still good.
pub(super) const RECHECK: Duration = Duration::from_secs(5);
pub(super) const PING: Duration = Duration::from_secs(20);
/// A client of which nothing was heard for so long, not even a pong, is gone.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// A client that takes nothing for so long is cut.
pub(super) const SEND_PATIENCE: Duration = Duration::from_secs(4);
/// Most orders that are looked at when a connection begins to listen, or has fallen behind.
const MOST: usize = 20_000;
/// Orders are heard of in another order than they were accepted in, by no more than this.
const SHUFFLED: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Desk> {
    // The older of the Python clients opens it with a slash at the end.
    Router::new().route("/stream", get(open)).route("/stream/", get(open))
}

async fn open(State(desk): State<Desk>, request: Request) -> Result<Response, Refusal> {
    let (mut parts, _) = request.into_parts();
    let arrival = Arrival::from_request_parts(&mut parts, &desk).await?;
    let packed = wants_msgpack(&parts.headers);
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &desk).await;
    let upgrade =
        upgrade.map_err(|_| Refusal::new(StatusCode::UPGRADE_REQUIRED, "this is opened as a WebSocket"))?;
    let serve = move |socket| Connection::new(desk, arrival, socket, packed).run();
    Ok(upgrade.max_message_size(LARGEST).max_frame_size(LARGEST).on_upgrade(serve).into_response())
}

/// Whether a client asks for MessagePack, as some do with a header that has no meaning for a request without a body.
pub(super) fn wants_msgpack(headers: &axum::http::HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"application/msgpack"))
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did not say who it is in time, or wrongly.
    Unauthorized,
    /// The key is good no more.
    KeyEnded,
    SlowReader,
    Silent,
    ShuttingDown,
    /// The client closed, or the network did.
    Gone,
}

impl End {
    fn words(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::KeyEnded => "the key is good no more",
            Self::SlowReader => "slow client",
            Self::Silent => "silent",
            Self::ShuttingDown => "shutting down",
            Self::Gone => "gone",
        }
    }

    /// Says goodbye.
    pub(super) async fn close(self, socket: &mut WebSocket) {
        if self != Self::Gone {
            let code = if self == Self::ShuttingDown { close_code::AWAY } else { close_code::POLICY };
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(self.words()) };
            let _ = timeout(SEND_PATIENCE, socket.send(Message::Close(Some(frame)))).await;
        }
    }
}

/// What a client that was let in listens with.
struct Listening {
    events: Receiver<TradingEvent>,
    known: Known,
    /// When what was heard last happened.
    heard_until: Timestamp,
}

struct Connection {
    desk: Desk,
    arrival: Arrival,
    socket: WebSocket,
    packed: bool,
    bot: Option<(Bot, Place)>,
    listening: Option<Listening>,
    heard_at: Instant,
}

impl Connection {
    fn new(desk: Desk, arrival: Arrival, socket: WebSocket, packed: bool) -> Self {
        Self { desk, arrival, socket, packed, bot: None, listening: None, heard_at: Instant::now() }
    }

    async fn run(mut self) {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        end.close(&mut self.socket).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let stop = self.desk.stop.clone();
        let mut revoked = self.desk.identity.key_revocations();
        let says_who = Instant::now() + SAYS_WHO;
        let (mut recheck, mut ping) = (interval(RECHECK), interval(PING));
        for timer in [&mut recheck, &mut ping] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer.reset();
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(End::ShuttingDown),
                () = sleep_until(says_who), if self.bot.is_none() => return Err(End::Unauthorized),
                _ = recheck.tick() => self.recheck().await?,
                Ok(()) = revoked.changed() => self.recheck().await?,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.receive(message).await?,
                    Some(Err(_)) | None => return Err(End::Gone),
                },
                _ = ping.tick() => {
                    if self.heard_at.elapsed() > SILENCE {
                        return Err(End::Silent);
                    }
                    self.send(Message::Ping(Default::default())).await?;
                }
                event = next(&mut self.listening) => self.tell(event).await?,
            }
        }
    }

    async fn recheck(&mut self) -> Result<(), End> {
        let Some((bot, _)) = &mut self.bot else { return Ok(()) };
        match bot.still(&self.desk).await {
            Ok(Some(still)) => *bot = still,
            Ok(None) => return Err(End::KeyEnded),
            // The database does not answer. Whoever was let in may look on: nothing new can happen meanwhile.
            Err(_) => return Ok(()),
        }
        if !may_listen(bot) {
            self.listening = None;
        }
        Ok(())
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        self.heard_at = Instant::now();
        let text = match message {
            Message::Text(text) => text.as_str().to_owned(),
            Message::Binary(bytes) => match text_of(&bytes) {
                Some(text) => text,
                None => return Ok(()),
            },
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        match serde_json::from_str(&text) {
            Ok(TradingRequest::Authenticate { data }) => self.let_in(&data.key_id, &data.secret_key).await,
            Ok(TradingRequest::Auth { key, secret }) => self.let_in(&key, &secret).await,
            Ok(TradingRequest::Listen { data }) => self.listen(data).await,
            // What Alpaca does not understand it passes over.
            Err(_) => Ok(()),
        }
    }

    async fn let_in(&mut self, id: &str, secret: &SecretString) -> Result<(), End> {
        let action = "authenticate".to_owned();
        let bot = Bot::with_key(&self.desk, id, secret, self.arrival).await;
        let place = bot.ok().and_then(|bot| Some((Place::take(&self.desk, &bot.ctx.credential)?, bot)));
        let Some((place, bot)) = place else {
            let status = AuthorizationStatus::Unauthorized;
            self.say(&TradingMessage::Authorization(Authorization { status, action })).await?;
            return Err(End::Unauthorized);
        };
        self.bot = Some((bot, place));
        let status = AuthorizationStatus::Authorized;
        self.say(&TradingMessage::Authorization(Authorization { status, action })).await
    }

    async fn listen(&mut self, to: Streams) -> Result<(), End> {
        let Some((bot, _)) = &self.bot else {
            let (status, action) = (AuthorizationStatus::Unauthorized, "listen".to_owned());
            return self.say(&TradingMessage::Authorization(Authorization { status, action })).await;
        };
        if !(to.streams.iter().any(|name| name == TRADE_UPDATES) && may_listen(bot)) {
            self.listening = None;
            return self.say(&TradingMessage::Listening(Streams::default())).await;
        }
        if self.listening.is_none() {
            // First the ear, then the look around: what happens in between is told, never missed.
            let (events, heard_until) = (self.desk.gateway.subscribe(), self.desk.clock.now());
            let mut known = Known::default();
            for order in as_they_are(&self.desk, bot, heard_until).await.into_values() {
                known.note(order.into());
            }
            self.listening = Some(Listening { events, known, heard_until });
        }
        let streams = vec![TRADE_UPDATES.to_owned()];
        self.say(&TradingMessage::Listening(Streams { streams })).await
    }

    async fn tell(&mut self, event: Result<TradingEvent, RecvError>) -> Result<(), End> {
        let (Some((bot, _)), Some(listening)) = (&self.bot, &mut self.listening) else { return Ok(()) };
        if let Ok(TradingEvent::Order(order)) = &event {
            listening.heard_until = listening.heard_until.max(order.updated_at);
        }
        let changes = match event {
            Ok(TradingEvent::Order(order)) if order.account == bot.account => {
                listening.known.changed(order).into_iter().collect()
            }
            Ok(TradingEvent::Fill(booked)) if booked.account == bot.account => {
                listening.known.executed(&booked).into_iter().collect()
            }
            Ok(_) => Vec::new(),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a stream of trade updates fell behind the gateway");
                self.catch_up().await
            }
            Err(RecvError::Closed) => return Err(End::ShuttingDown),
        };
        for change in changes {
            let Some((bot, _)) = &self.bot else { return Ok(()) };
            let update = update(&self.desk, bot, change).await;
            self.say(&TradingMessage::TradeUpdates(Box::new(update))).await?;
        }
        Ok(())
    }

    /// Compares with the orders as they are now, those among them that worked when they were heard of last.
    async fn catch_up(&mut self) -> Vec<changes::Change> {
        let (Some((bot, _)), Some(listening)) = (&self.bot, &mut self.listening) else { return Vec::new() };
        let mut now = as_they_are(&self.desk, bot, listening.heard_until).await;
        for id in listening.known.working().filter(|id| !now.contains_key(id)).collect::<Vec<_>>() {
            if let Ok(Some(order)) = self.desk.gateway.order(&bot.ctx, id).await {
                now.insert(id, order);
            }
        }
        let mut now: Vec<_> = now.into_values().collect();
        now.sort_by_key(|order| order.updated_at);
        now.into_iter().flat_map(|order| listening.known.compared(order.into())).collect()
    }

    async fn say(&mut self, what: &TradingMessage) -> Result<(), End> {
        let Ok(text) = serde_json::to_string(what) else { return Err(End::Gone) };
        let message = if self.packed {
            Message::Binary(msgpack::from_json(&text).map_err(|_| End::Gone)?.into())
        } else {
            // As Alpaca's paper service does; every client takes it, and so do those that expect text.
            Message::Binary(text.into_bytes().into())
        };
        self.send(message).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::SlowReader),
        }
    }
}

/// The orders that work, and those accepted since a moment, of which some are at their end already.
async fn as_they_are(desk: &Desk, bot: &Bot, since: Timestamp) -> BTreeMap<OrderId, domain::Order> {
    let since = since.checked_sub(SHUFFLED).unwrap_or(Timestamp::MIN);
    let mut all = BTreeMap::new();
    for (scope, after) in [(OrderScope::Open, None), (OrderScope::All, Some(since))] {
        let filter = OrderFilter { account: Some(bot.account), scope, after, ..OrderFilter::default() };
        match desk.gateway.orders(&bot.ctx, &filter, None, MOST).await {
            Ok(found) => all.extend(found.into_iter().map(|order| (order.id, order))),
            Err(error) => tracing::warn!(%error, "the orders of a stream could not be read"),
        }
    }
    all
}

/// What happened, in Alpaca's shape.
async fn update(desk: &Desk, bot: &Bot, change: changes::Change) -> TradeUpdate {
    let changes::Change { event, execution_id, order, at, execution, corrects } = change;
    let mut class = order.request.class;
    if let Some(parent) = order.provenance.parent
        && let Ok(Some(main)) = desk.gateway.order(&bot.ctx, parent).await
    {
        class = main.request.class;
    }
    let position = execution.map(|_| {
        let held = desk.gateway.positions(&bot.ctx, bot.account).unwrap_or_default();
        let held = held.into_iter().find(|holding| holding.symbol == order.request.symbol);
        held.map(|holding| holding.position.quantity).unwrap_or_default()
    });
    let (price, qty) = execution.unzip();
    TradeUpdate {
        event,
        execution_id: Some(execution_id.to_string()),
        timestamp: at,
        price: price.map(Into::into),
        qty: qty.map(Into::into),
        position_qty: position.map(Into::into),
        previous_execution_id: corrects.map(|id| id.to_string()),
        reason: order.reason.clone().filter(|_| order.status.is_terminal()),
        order: plain(&order, class),
    }
}

/// The next thing that happened; never, while nobody listens.
async fn next(listening: &mut Option<Listening>) -> Result<TradingEvent, RecvError> {
    match listening {
        Some(listening) => listening.events.recv().await,
        None => std::future::pending().await,
    }
}

fn may_listen(bot: &Bot) -> bool {
    bot.ctx.require(Permission::OrdersView, Resource::Account(bot.account)).is_ok()
}

/// A message in a binary frame: JSON, or MessagePack.
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    if is_json { String::from_utf8(bytes.to_vec()).ok() } else { msgpack::to_json(bytes).ok() }
}
