//! The `trade_updates` stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alpaca::{
    Authorization, AuthorizationStatus, DataError, DataMessage, Streams, TRADE_UPDATES, TradingMessage,
    TradingRequest,
};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use domain::OrderId;
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use trading::BrokerEvent;

use super::api::known_by;
use super::{Shared, book};

/// A client says little.
const LARGEST_WORD: usize = 4 << 10;
/// A client that takes nothing for so long, or does not say who it is, is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the venue is asked for the order that an event is about.
const TRIES: usize = 5;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/stream", any(open)).route("/stream/", any(open))
}

async fn open(State(shared): State<Arc<Shared>>, socket: WebSocketUpgrade) -> Response {
    let socket = socket.max_message_size(LARGEST_WORD).max_frame_size(LARGEST_WORD);
    socket.on_upgrade(move |socket| async move {
        // How a client leaves is its own affair.
        let _ = Session { shared, socket }.run().await;
    })
}

struct Session {
    shared: Arc<Shared>,
    socket: WebSocket,
}

/// Counts a stream for as long as it is there.
struct Seat(Arc<Shared>);

impl Seat {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let seat = Self(shared.clone());
        (shared.streams.fetch_add(1, Ordering::SeqCst) < shared.settings.max_streams).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Session {
    async fn run(mut self) -> Option<()> {
        loop {
            let (is_known, action) = match self.hear().await? {
                TradingRequest::Authenticate { data } => {
                    (self.shared.opens(&data.key_id, data.secret_key.expose_secret()), "authenticate")
                }
                TradingRequest::Auth { key, secret } => {
                    (self.shared.opens(&key, secret.expose_secret()), "authenticate")
                }
                TradingRequest::Listen { .. } => (false, "listen"),
            };
            let status =
                if is_known { AuthorizationStatus::Authorized } else { AuthorizationStatus::Unauthorized };
            let answer = Authorization { status, action: action.to_owned() };
            self.say(&TradingMessage::Authorization(answer)).await?;
            if is_known {
                break;
            }
        }
        let Some(_seat) = Seat::take(&self.shared) else {
            let full = DataMessage::Error(DataError::new(DataError::CONNECTION_LIMIT));
            return self.send(DataMessage::frame(&[full]).ok()?).await;
        };
        let TradingRequest::Listen { data } = self.hear().await? else { return None };
        // Before the answer, so that nothing falls between what is asked after it and what is told on it.
        let events = self.shared.broker.events().await.ok()?;
        self.say(&TradingMessage::Listening(Streams { streams: data.streams.clone() })).await?;
        let listens = data.streams.iter().any(|stream| stream == TRADE_UPDATES);
        self.tell(events, listens).await
    }

    /// Tells events until one of the two ends is gone.
    async fn tell(&mut self, mut events: mpsc::Receiver<BrokerEvent>, mut listens: bool) -> Option<()> {
        let stop = self.shared.stop.clone();
        let mut says = self.shared.says.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                told = events.recv() => {
                    let told = told?;
                    if listens {
                        self.pass_on(told).await?;
                    }
                }
                changed = says.changed() => {
                    changed.ok()?;
                    let frame = says.borrow_and_update().clone();
                    self.send(frame?).await?;
                }
                said = self.socket.recv() => match said?.ok()? {
                    Message::Close(_) => return None,
                    Message::Text(text) => {
                        let TradingRequest::Listen { data } = serde_json::from_str(&text).ok()? else { continue };
                        listens = data.streams.iter().any(|stream| stream == TRADE_UPDATES);
                        self.say(&TradingMessage::Listening(data)).await?;
                    }
                    _ => {}
                },
            }
        }
    }

    async fn pass_on(&mut self, told: BrokerEvent) -> Option<()> {
        let id: OrderId = told.client_order_id.parse().ok()?;
        let order = known_by(&self.shared, id);
        for _ in 0..TRIES {
            let Ok(Some(found)) = self.shared.broker.find(&order).await else { continue };
            let now = self.shared.clock.now();
            let update = book::update(told.event, found, id.0, self.shared.book.named(id.0), now);
            return self.say(&TradingMessage::TradeUpdates(Box::new(update))).await;
        }
        // A venue that does not answer its own stream: the event is lost, as it may be at Alpaca.
        Some(())
    }

    async fn hear(&mut self) -> Option<TradingRequest> {
        loop {
            let said = timeout(PATIENCE, self.socket.recv()).await.ok()??.ok()?;
            match said {
                Message::Text(text) => return serde_json::from_str(&text).ok(),
                Message::Binary(bytes) => return serde_json::from_slice(&bytes).ok(),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    async fn say(&mut self, message: &TradingMessage) -> Option<()> {
        self.send(serde_json::to_string(message).ok()?).await
    }

    async fn send(&mut self, text: String) -> Option<()> {
        let frame = if self.shared.settings.binary_frames {
            Message::binary(text.into_bytes())
        } else {
            Message::text(text)
        };
        timeout(PATIENCE, self.socket.send(frame)).await.ok()?.ok()
    }
}
