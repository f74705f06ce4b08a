//! One client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

use super::{Fault, Order, Shared};
use crate::recording::Frame;

type Socket = WebSocketStream<TcpStream>;

/// A client has this long to say who it is.
const GREETING: Duration = Duration::from_secs(10);
/// A client that is dropped has this long to take the last word.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a client asks.
#[derive(Deserialize)]
struct Ask {
    action: String,
    #[serde(default)]
    params: String,
}

/// What a client listens to: `XT.BTC-USD`, `XQ.*`.
#[derive(Default)]
struct Topics(BTreeSet<String>);

impl Topics {
    const CHANNELS: [&str; 5] = ["XT", "XQ", "XA", "XAS", "XL2"];

    fn is_valid(topic: &str) -> bool {
        topic
            .split_once('.')
            .is_some_and(|(channel, pair)| Self::CHANNELS.contains(&channel) && !pair.is_empty())
    }

    fn has(&self, channel: &str, pair: &str) -> bool {
        self.0
            .iter()
            .any(|topic| topic.split_once('.').is_some_and(|(c, p)| c == channel && (p == "*" || p == pair)))
    }

    /// What of a frame the client wants; `None` when that is nothing.
    fn wanted(&self, frame: &Frame) -> Option<String> {
        if frame.events.is_empty() {
            return (!self.0.is_empty()).then(|| frame.text.clone());
        }
        let wanted: Vec<&str> =
            frame.events.iter().filter(|e| self.has(&e.channel, &e.pair)).map(|e| e.text.as_str()).collect();
        match wanted.len() {
            0 => None,
            all if all == frame.events.len() => Some(frame.text.clone()),
            _ => Some(format!("[{}]", wanted.join(","))),
        }
    }
}

/// Serves a client until it goes, is dropped, or the server stops.
pub(super) async fn run(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let stop = shared.stop.clone();
    let handshake = timeout(GREETING, accept_hdr_async(stream, only_crypto));
    let socket = tokio::select! {
        () = stop.cancelled() => return,
        handshake = handshake => handshake,
    };
    let Ok(Ok(mut socket)) = socket else { return };
    let served = tokio::select! {
        () = stop.cancelled() => Ok(()),
        served = serve(&shared, &mut socket) => served,
    };
    // Who has gone needs no good-bye.
    if served.is_ok() {
        let _ = timeout(LAST_WORD, socket.close(None)).await;
    }
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
fn only_crypto(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/crypto" {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("only /crypto is served here".to_owned()));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

async fn serve(shared: &Arc<Shared>, socket: &mut Socket) -> Result<(), Error> {
    say(socket, "connected", "Connected Successfully").await?;
    let Ok(known) = timeout(GREETING, authenticate(shared, socket)).await else {
        return say(socket, "auth_timeout", "no key in time").await;
    };
    if !known? {
        return say(socket, "auth_failed", "authentication failed").await;
    }
    let Some((mut orders, too_slow)) = shared.join() else {
        return say(socket, "max_connections", "Maximum number of connections exceeded.").await;
    };
    say(socket, "auth_success", "authenticated").await?;
    let mut session =
        Session { shared, topics: Topics::default(), counted: false, silent: false, to_drop: 0 };
    let served = session.run(socket, &mut orders, &too_slow).await;
    session.count(false);
    served
}

/// Waits for the key; whether it is ours.
async fn authenticate(shared: &Shared, socket: &mut Socket) -> Result<bool, Error> {
    loop {
        match ask(socket.next().await)? {
            Some(ask) if ask.action == "auth" => {
                let same: bool = ask.params.as_bytes().ct_eq(shared.settings.key.as_bytes()).into();
                return Ok(same && !shared.refuse_keys.load(Relaxed));
            }
            Some(_) => say(socket, "auth_required", "authenticate first").await?,
            None => {}
        }
    }
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    topics: Topics,
    /// Whether it is counted among those who have subscribed.
    counted: bool,
    silent: bool,
    to_drop: u32,
}

impl Session<'_> {
    async fn run(
        &mut self,
        socket: &mut Socket,
        orders: &mut mpsc::Receiver<Order>,
        too_slow: &CancellationToken,
    ) -> Result<(), Error> {
        let mut own_run: Option<mpsc::Receiver<Arc<Frame>>> = None;
        loop {
            let message = tokio::select! {
                biased;
                () = too_slow.cancelled() => return drop_slow(socket).await,
                order = orders.recv() => match order {
                    Some(order) => match self.message(order) {
                        Ok(message) => message,
                        // Without a good-bye.
                        Err(Cut) => return Err(Error::ConnectionClosed),
                    },
                    None => return drop_slow(socket).await,
                },
                next = socket.next() => match ask(next)? {
                    Some(ask) => {
                        let answer = self.answer(&ask);
                        if self.counted && own_run.is_none() && self.shared.source.is_own_run() {
                            own_run = Some(self.shared.source.play(&self.shared.clock));
                        }
                        Some(answer)
                    }
                    None => None,
                },
                Some(frame) = next_own(&mut own_run) => match self.message(Order::Frame(frame)) {
                    Ok(message) => message,
                    Err(Cut) => return Err(Error::ConnectionClosed),
                },
            };
            let Some(message) = message else { continue };
            tokio::select! {
                biased;
                sent = socket.send(Message::text(message)) => sent?,
                () = too_slow.cancelled() => return drop_slow(socket).await,
            }
        }
    }

    /// What an order makes us send.
    fn message(&mut self, order: Order) -> Result<Option<String>, Cut> {
        match order {
            Order::Frame(_) | Order::Say(_) if self.silent => Ok(None),
            Order::Frame(frame) => {
                let wanted = self.topics.wanted(&frame);
                if wanted.is_some() && self.to_drop > 0 {
                    self.to_drop -= 1;
                    return Ok(None);
                }
                Ok(wanted)
            }
            Order::Say(text) => Ok(Some(text.to_string())),
            Order::Fault(Fault::Cut) => Err(Cut),
            Order::Fault(Fault::Malformed) => Ok(Some(r#"[{"ev":"XT","pair":"BTC-USD","p":1"#.to_owned())),
            Order::Fault(Fault::Silence) => {
                self.silent = true;
                Ok(None)
            }
            Order::Fault(Fault::Speak) => {
                self.silent = false;
                Ok(None)
            }
            Order::Fault(Fault::Drop(frames)) => {
                self.to_drop += frames;
                Ok(None)
            }
            Order::Fault(Fault::RefuseKeys(_)) => Ok(None),
        }
    }

    /// One status per topic, in one frame.
    fn answer(&mut self, ask: &Ask) -> String {
        let topics = || ask.params.split(',').map(str::trim).filter(|topic| !topic.is_empty());
        let statuses: Vec<_> = match ask.action.as_str() {
            "subscribe" => topics()
                .map(|topic| {
                    if !Topics::is_valid(topic) {
                        return status("error", &format!("unknown topic: {topic}"));
                    }
                    self.topics.0.insert(topic.to_owned());
                    status("success", &format!("subscribed to: {topic}"))
                })
                .collect(),
            "unsubscribe" => topics()
                .map(|topic| {
                    self.topics.0.remove(topic);
                    status("success", &format!("unsubscribed to: {topic}"))
                })
                .collect(),
            "auth" => vec![status("success", "authenticated already")],
            other => vec![status("error", &format!("unknown action: {other}"))],
        };
        self.count(!self.topics.0.is_empty());
        serde_json::Value::from(statuses).to_string()
    }

    fn count(&mut self, subscribed: bool) {
        if subscribed != self.counted {
            self.counted = subscribed;
            self.shared.subscribed.send_modify(|count| if subscribed { *count += 1 } else { *count -= 1 });
        }
    }
}

/// The connection is to be cut.
struct Cut;

async fn next_own(own_run: &mut Option<mpsc::Receiver<Arc<Frame>>>) -> Option<Arc<Frame>> {
    match own_run {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
    }
}

async fn drop_slow(socket: &mut Socket) -> Result<(), Error> {
    let _ = timeout(LAST_WORD, say(socket, "slow_consumer", "you do not read fast enough")).await;
    Err(Error::ConnectionClosed)
}

/// Reads what a client says; `None` for what is no question, an error when it has gone.
fn ask(next: Option<Result<Message, Error>>) -> Result<Option<Ask>, Error> {
    match next {
        Some(Ok(Message::Text(text))) => Ok(Some(
            serde_json::from_str(&text)
                .unwrap_or_else(|_| Ask { action: text.to_string(), params: String::new() }),
        )),
        Some(Ok(Message::Close(_))) | None => Err(Error::ConnectionClosed),
        Some(Ok(_)) => Ok(None),
        Some(Err(e)) => Err(e),
    }
}

fn status(word: &str, message: &str) -> serde_json::Value {
    json!({ "ev": "status", "status": word, "message": message })
}

async fn say(socket: &mut Socket, word: &str, message: &str) -> Result<(), Error> {
    socket.send(Message::text(serde_json::Value::from(vec![status(word, message)]).to_string())).await
}
