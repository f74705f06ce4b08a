//! The stream of market data, over the desk's own feeds: JSON, or MessagePack for those who ask for it.

mod subscriptions;

use alpaca::{DataError, DataMessage, DataRequest, msgpack};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use domain::{Every, Permission, Resource};
use market::MarketEvent;
use secrecy::SecretString;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use self::subscriptions::{Channel, Heard};
use super::bot::Bot;
use super::updates::{End, PING, RECHECK, SAYS_WHO, SEND_PATIENCE, SILENCE, text_of, wants_msgpack};
use super::{Refusal, hours, prices, symbols};
use crate::Desk;
use crate::guard::Arrival;
use crate::stream::connection::Place;

/// Most bytes of a message of a client, put together from all its frames.
const LARGEST: usize = 256 << 10;

/// Whatever feed is asked for, it is the desk's.
const FEEDS: [&str; 7] = ["iex", "sip", "delayed_sip", "otc", "boats", "overnight", "test"];

pub(super) fn routes() -> Router<Desk> {
    let stocks =
        FEEDS.iter().fold(Router::new(), |routes, feed| routes.route(&format!("/v2/{feed}"), get(open)));
    stocks.route("/v1beta3/crypto/{place}", get(open))
}

/// Whether a route is one of them.
pub(super) fn is_feed(route: &str) -> bool {
    route.strip_prefix("/v2/").is_some_and(|feed| FEEDS.contains(&feed))
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

struct Connection {
    desk: Desk,
    arrival: Arrival,
    socket: WebSocket,
    packed: bool,
    bot: Option<(Bot, Place)>,
    heard: Heard,
    events: Option<Receiver<MarketEvent>>,
    heard_at: Instant,
}

impl Connection {
    fn new(desk: Desk, arrival: Arrival, socket: WebSocket, packed: bool) -> Self {
        let heard = Heard::default();
        Self { desk, arrival, socket, packed, bot: None, heard, events: None, heard_at: Instant::now() }
    }

    async fn run(mut self) {
        let end = match self.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        if end == End::Unauthorized && self.bot.is_none() {
            let _ = self.refuse(DataError::AUTH_TIMEOUT).await;
        }
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
        self.say(&[DataMessage::Success("connected".to_owned())]).await?;
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
                event = next(&mut self.events) => self.tell(event).await?,
            }
        }
    }

    async fn recheck(&mut self) -> Result<(), End> {
        let Some((bot, _)) = &mut self.bot else { return Ok(()) };
        match bot.still(&self.desk).await {
            Ok(Some(still)) => *bot = still,
            Ok(None) => return Err(End::KeyEnded),
            // The database does not answer. Whoever was let in may look on.
            Err(_) => return Ok(()),
        }
        if may_look(bot) { Ok(()) } else { Err(End::KeyEnded) }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        self.heard_at = Instant::now();
        let text = match message {
            Message::Text(text) => Some(text.as_str().to_owned()),
            Message::Binary(bytes) => text_of(&bytes),
            Message::Close(_) => return Err(End::Gone),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        let request = text.and_then(|text| serde_json::from_str(&text).ok());
        match (request, self.bot.is_some()) {
            (None, _) => self.refuse(DataError::SYNTAX).await,
            (Some(DataRequest::Auth { .. }), true) => self.refuse(DataError::ALREADY_AUTHENTICATED).await,
            (Some(DataRequest::Auth { key, secret }), false) => self.let_in(&key, &secret).await,
            (Some(_), false) => self.refuse(DataError::NOT_AUTHENTICATED).await,
            (Some(DataRequest::Subscribe(to)), true) => {
                if self.heard.add(&self.desk.market, &to).is_err() {
                    return self.refuse(DataError::SYMBOL_LIMIT).await;
                }
                self.subscribed().await
            }
            (Some(DataRequest::Unsubscribe(from)), true) => {
                self.heard.remove(&self.desk.market, &from);
                self.subscribed().await
            }
        }
    }

    async fn subscribed(&mut self) -> Result<(), End> {
        match self.heard.is_empty() {
            true => self.events = None,
            false if self.events.is_none() => self.events = Some(self.desk.market.subscribe()),
            false => {}
        }
        self.say(&[DataMessage::Subscription(self.heard.shown())]).await
    }

    async fn let_in(&mut self, id: &str, secret: &SecretString) -> Result<(), End> {
        let Ok(bot) = Bot::with_key(&self.desk, id, secret, self.arrival).await else {
            self.refuse(DataError::AUTH_FAILED).await?;
            return Ok(());
        };
        if !may_look(&bot) {
            return self.refuse(DataError::INSUFFICIENT_SUBSCRIPTION).await;
        }
        let Some(place) = Place::take(&self.desk, &bot.ctx.credential) else {
            return self.refuse(DataError::CONNECTION_LIMIT).await;
        };
        self.bot = Some((bot, place));
        self.say(&[DataMessage::Success("authenticated".to_owned())]).await
    }

    async fn tell(&mut self, event: Result<MarketEvent, RecvError>) -> Result<(), End> {
        let mut messages = Vec::new();
        match event {
            Ok(MarketEvent::Trade(trade)) if self.heard.has(Channel::Trades, &trade.symbol) => {
                messages.push(DataMessage::Trade(symbols::shown(&trade.symbol), prices::trade(&trade)));
            }
            Ok(MarketEvent::Quote(quote)) => {
                let symbol = &quote.symbol;
                if self.heard.has(Channel::Quotes, symbol) {
                    messages.push(DataMessage::Quote(symbols::shown(symbol), prices::quote(&quote)));
                }
                if self.heard.has(Channel::Orderbooks, symbol) {
                    let book = alpaca::Orderbook { reset: Some(true), ..prices::orderbook(&quote) };
                    messages.push(DataMessage::Orderbook(symbols::shown(symbol), book));
                }
            }
            Ok(MarketEvent::Bar(update)) if update.every == Every::Minute && update.is_final => {
                let (symbol, bar) = (&update.symbol, prices::bar(&update.bar));
                let shown = symbols::shown(symbol);
                match update.amendment {
                    true if self.heard.has(Channel::UpdatedBars, symbol) => {
                        messages.push(DataMessage::UpdatedBar(shown.clone(), bar));
                    }
                    false if self.heard.has(Channel::Bars, symbol) => {
                        messages.push(DataMessage::Bar(shown.clone(), bar));
                    }
                    _ => {}
                }
                if self.heard.has(Channel::DailyBars, symbol) {
                    let day = hours::day_at(symbol, update.bar.start_at);
                    if let Ok(Some(day)) = prices::day(&self.desk, symbol, &day).await {
                        messages.push(DataMessage::DailyBar(shown, day));
                    }
                }
            }
            Ok(_) => {}
            // What was missed of the market is not made up for: the next price counts.
            Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "a stream of prices fell behind"),
            Err(RecvError::Closed) => return Err(End::ShuttingDown),
        }
        if messages.is_empty() { Ok(()) } else { self.say(&messages).await }
    }

    async fn refuse(&mut self, code: u16) -> Result<(), End> {
        self.say(&[DataMessage::Error(DataError::new(code))]).await
    }

    async fn say(&mut self, messages: &[DataMessage]) -> Result<(), End> {
        let Ok(text) = DataMessage::frame(messages) else { return Err(End::Gone) };
        let message = match self.packed {
            true => Message::Binary(msgpack::from_json(&text).map_err(|_| End::Gone)?.into()),
            false => Message::Text(text.into()),
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

async fn next(events: &mut Option<Receiver<MarketEvent>>) -> Result<MarketEvent, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

fn may_look(bot: &Bot) -> bool {
    bot.ctx.require(Permission::MarketView, Resource::Desk).is_ok()
}
