//! What happens to orders, as it happens.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use connectors::paper::wire::Frame;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trading::BrokerEvent;

use super::api::{event, parse_account};
use super::{No, Shared};

/// A desk says nothing on the stream.
const LARGEST_WORD: usize = 1 << 10;
/// A desk that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/accounts/{account}/stream", any(open))
}

async fn open(
    State(shared): State<Arc<Shared>>,
    Path(account): Path<String>,
    socket: WebSocketUpgrade,
) -> Result<Response, No> {
    // Before the first frame, so that nothing falls between what is asked after it and what is told on it.
    let events = shared.broker(parse_account(&account)?).await?.events().await.map_err(|_| No::HangUp)?;
    let (heartbeat, stop) = (shared.settings.heartbeat, shared.stop.clone());
    let socket = socket.max_message_size(LARGEST_WORD).max_frame_size(LARGEST_WORD);
    Ok(socket.on_upgrade(move |socket| tell(socket, events, heartbeat, stop)))
}

/// Tells events until one of the two ends is gone.
async fn tell(
    mut socket: WebSocket,
    mut events: mpsc::Receiver<BrokerEvent>,
    heartbeat: Duration,
    stop: CancellationToken,
) {
    let heartbeat_ms = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX);
    let mut next: Frame = Frame::Hello { heartbeat_ms };
    let mut beat = tokio::time::interval(heartbeat);
    loop {
        let text = serde_json::to_string(&next).unwrap_or_default();
        if !matches!(timeout(PATIENCE, socket.send(Message::text(text))).await, Ok(Ok(()))) {
            return;
        }
        next = loop {
            tokio::select! {
                () = stop.cancelled() => return,
                told = events.recv() => match told {
                    Some(told) => break frame(told),
                    None => return,
                },
                _ = beat.tick() => break Frame::Heartbeat,
                said = socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        };
    }
}

fn frame(told: BrokerEvent) -> Frame {
    let BrokerEvent { client_order_id, broker_order_id, event: happened } = told;
    let event = happened.map_or(connectors::paper::wire::Event::Unknown, event);
    Frame::Order { client_order_id, broker_order_id, event }
}
