//! The stream of what happens to orders: opened, watched, and given up when it falls silent.

use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use trading::{BrokerEvent, BrokerUnreachable};

use super::client::Settings;
use super::translate::{Said, frame};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Events that the order path may be behind. Then the socket is not read, and the venue cuts it in the end.
const BEHIND: usize = 4_096;
/// A frame tells one event.
const LARGEST_FRAME: usize = 64 << 10;
/// A stream is dead after so many heartbeats that did not come.
const MISSED: u32 = 3;
/// What a venue may promise as its longest silence.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(10);

/// Opens the stream. Whatever happens after this has returned is told on it.
pub(super) async fn open(
    settings: &Settings,
    path: &str,
) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
    let lost = |why: String| BrokerUnreachable(format!("the stream: {why}"));
    let request = request(settings, path).map_err(&lost)?;
    let opening = async {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_FRAME))
            .max_frame_size(Some(LARGEST_FRAME));
        let (mut socket, _) =
            connect_async_with_config(request, Some(config), true).await.map_err(|e| e.to_string())?;
        match hear(&mut socket).await? {
            Said::Hello(heartbeat) => Ok((socket, heartbeat)),
            other => Err(format!("it began with {other:?}")),
        }
    };
    let opened = timeout(settings.answer_within, opening).await;
    let (socket, heartbeat) = opened.map_err(|_| lost("it did not open in time".into()))?.map_err(lost)?;
    let heartbeat = heartbeat.clamp(Duration::from_millis(1), LONGEST_HEARTBEAT);
    let (events, stream) = mpsc::channel(BEHIND);
    tokio::spawn(pass_on(socket, heartbeat * MISSED, events));
    Ok(stream)
}

fn request(settings: &Settings, path: &str) -> Result<Request<()>, String> {
    // `http` becomes `ws`, `https` becomes `wss`.
    let url = settings.url.trim_end_matches('/').replacen("http", "ws", 1) + path;
    let mut request = url.into_client_request().map_err(|e| e.to_string())?;
    let key = format!("Bearer {}", settings.key.expose_secret());
    let mut key = HeaderValue::from_str(&key).map_err(|_| "the key cannot be sent".to_owned())?;
    key.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, key);
    Ok(request)
}

/// Hands events over until the stream ends, falls silent, or nobody listens any more.
async fn pass_on(mut socket: Socket, patience: Duration, events: mpsc::Sender<BrokerEvent>) {
    let why = loop {
        let said = tokio::select! {
            () = events.closed() => return,
            said = timeout(patience, hear(&mut socket)) => said,
        };
        match said {
            Err(_) => break format!("connected, but silent for {patience:?}"),
            Ok(Err(why)) => break why,
            Ok(Ok(Said::Event(event))) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Said::Hello(_) | Said::Nothing)) => {}
        }
    };
    tracing::warn!(why, "the venue's stream is lost");
}

/// The next frame that says something.
async fn hear(socket: &mut Socket) -> Result<Said, String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return frame(&text).map_err(|nonsense| nonsense.to_string()),
            Some(Ok(Message::Close(_))) | None => return Err("closed".to_owned()),
            // Pings are answered by the library, and are no sign of life of what is behind it.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}
