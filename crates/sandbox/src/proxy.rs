//! A proxy that does to requests what networks and middle boxes do: it loses, doubles, delays and spoils them.
//!
//! It stands between a client and a server of plain HTTP/1.1, and knows just enough of it to tell where a request ends,
//! where an answer ends, and where a WebSocket frame ends. What it does wrong is set from outside; what it lets through
//! it does not change.

mod http;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::http::{Message, read_request, read_response};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens.
    Refuse,
    /// It is read and thrown away, and the connection closed.
    DropRequest,
    /// It is read and thrown away, and the connection stays open without a word until the trouble is over.
    Blackhole,
    /// It arrives, and the connection is closed in place of an answer.
    DropResponse,
    /// It arrives, and the answer never comes; the connection stays open until the trouble is over.
    HangResponse,
    /// It arrives, and our end of the connection ends, as if there were no answer; the other end stays open.
    HalfOpen,
    /// It arrives, and somebody in between answers that the gateway took too long.
    Gateway504,
    /// It arrives, and the connection is reset in the middle of the answer.
    ResetMid,
    /// It arrives twice, and one of the two answers comes back.
    DupRequest,
    /// The answer comes by drops, so many milliseconds apart.
    Slow(u64),
    /// Request and answer each take so many milliseconds longer.
    Lag(u64),
    /// The answer is cut off in the middle of its JSON, which its length does not show.
    Garbage,
    /// The answer is good JSON of somebody else's making.
    OtherSchema,
    /// Every price in the answer is `NaN`.
    NotANumber,
    /// The answer is 5 MiB long.
    Oversized,
}

impl Trouble {
    /// The server did what it was asked, or may have done.
    pub const AFTER: [Self; 5] =
        [Self::DropResponse, Self::HangResponse, Self::Gateway504, Self::HalfOpen, Self::ResetMid];
    /// The server never heard of it.
    pub const BEFORE: [Self; 3] = [Self::DropRequest, Self::Blackhole, Self::Refuse];
    /// The answer cannot be used.
    pub const SPOILT: [Self; 4] = [Self::Garbage, Self::OtherSchema, Self::NotANumber, Self::Oversized];
}

/// Which requests are in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that change something.
    Changes,
    /// All, and those that open a stream too.
    Everything,
}

/// What becomes of the frames that a server sends on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamTrouble {
    /// They are swallowed, and the connection stays open.
    Mute,
    /// The next one is cut off in the middle of its JSON.
    Garbage,
    /// The next one is 5 MiB long.
    Oversized,
    /// Each comes twice.
    Twice,
}

/// The longest anything may be that is read whole.
const LARGEST: usize = 64 << 20;
/// As long as no honest answer is.
const OVERSIZED: usize = 5 << 20;

/// A proxy that runs until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: JoinHandle<()>,
}

struct Shared {
    upstream: SocketAddr,
    trouble: watch::Sender<Option<Set>>,
    streams: watch::Sender<Option<StreamTrouble>>,
    /// Replaced when all streams are cut.
    cut: Mutex<CancellationToken>,
    /// Requests that were in trouble so far.
    hits: watch::Sender<u64>,
    /// How often everything that hangs was let go.
    let_go: watch::Sender<u64>,
    dice: Mutex<StdRng>,
    stop: CancellationToken,
}

/// The trouble there is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Set {
    trouble: Trouble,
    reach: Reach,
    /// It is over with the first request that it befalls.
    once: bool,
}

impl Proxy {
    /// Listens on a free port of this machine, and passes on to `upstream`.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        // Bound and never listening, this one keeps the port while nobody listens on it.
        let placeholder = bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = placeholder.local_addr()?;
        let listener = bind(address)?.listen(BACKLOG)?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            upstream,
            trouble: watch::Sender::new(None),
            streams: watch::Sender::new(None),
            cut: Mutex::new(stop.child_token()),
            hits: watch::Sender::new(0),
            let_go: watch::Sender::new(0),
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
            stop,
        });
        let listening = tokio::spawn(listen(shared.clone(), listener, placeholder));
        Ok(Self { shared, address, listening })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests are in trouble.
    pub fn trouble(&self, trouble: Trouble, reach: Reach) {
        self.shared.trouble.send_replace(Some(Set { trouble, reach, once: false }));
    }

    /// The next request is in trouble, and no other.
    pub fn trouble_once(&self, trouble: Trouble, reach: Reach) {
        self.shared.trouble.send_replace(Some(Set { trouble, reach, once: true }));
    }

    /// All is well again. What was lost stays lost.
    pub fn heal(&self) {
        self.shared.trouble.send_replace(None);
        self.shared.streams.send_replace(None);
    }

    /// Closes the connections that hang, of requests that were in trouble so far: for clients that wait for ever.
    pub fn let_go(&self) {
        self.shared.let_go.send_modify(|times| *times += 1);
    }

    /// From now on streams are in trouble.
    pub fn trouble_streams(&self, trouble: StreamTrouble) {
        self.shared.streams.send_replace(Some(trouble));
    }

    /// Resets every stream there is.
    pub fn cut_streams(&self) {
        let mut cut = self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *cut, self.shared.stop.child_token()).cancel();
    }

    /// Requests that were in trouble so far.
    pub fn hits(&self) -> u64 {
        *self.shared.hits.borrow()
    }

    /// Waits until so many requests were in trouble.
    pub async fn until_hits(&self, count: u64) {
        // The sender is held by ourselves.
        let _ = self.shared.hits.subscribe().wait_for(|hits| *hits >= count).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.listening.abort();
    }
}

impl Shared {
    /// The trouble that a request is in.
    fn befalls(&self, request: &Message) -> Option<Trouble> {
        let set = (*self.trouble.borrow())?;
        if set.reach == Reach::Changes && !request.is_change() {
            return None;
        }
        if set.once {
            self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        }
        self.hits.send_modify(|hits| *hits += 1);
        Some(set.trouble)
    }

    fn dice(&self, below: usize) -> usize {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below.max(1))
    }

    fn cut(&self) -> CancellationToken {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const BACKLOG: u32 = 128;

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn refuses(set: &Option<Set>) -> bool {
    set.is_some_and(|set| set.trouble == Trouble::Refuse)
}

/// Accepts connections, and does not even listen while they are refused.
async fn listen(shared: Arc<Shared>, listener: TcpListener, placeholder: TcpSocket) {
    let mut trouble = shared.trouble.subscribe();
    let mut listener = Some(listener);
    let Ok(address) = placeholder.local_addr() else { return };
    loop {
        if refuses(&trouble.borrow_and_update()) {
            drop(listener.take());
        } else if listener.is_none() {
            listener = bind(address).and_then(|socket| socket.listen(BACKLOG)).ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            changed = trouble.changed() => if changed.is_err() { return },
            accepted = accepted => if let Ok((client, _)) = accepted {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let stop = shared.stop.clone();
                    // A connection that breaks is what this program is for.
                    let _ = stop.run_until_cancelled(carry(&shared, client)).await;
                });
            },
        }
    }
}

/// One client's connection, request by request.
async fn carry(shared: &Shared, mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut trouble = shared.trouble.subscribe();
    loop {
        let request = tokio::select! {
            request = read_request(&mut client, LARGEST) => request?,
            // Who refuses connections has none.
            _ = trouble.wait_for(refuses) => return client.set_zero_linger(),
        };
        let Some(request) = request else { return Ok(()) };
        let let_go = shared.let_go.subscribe();
        let Some(trouble) = shared.befalls(&request) else {
            let mut upstream = TcpStream::connect(shared.upstream).await?;
            let answer = exchange(&mut upstream, &request).await?;
            client.write_all(&answer.bytes).await?;
            if answer.is_upgrade() {
                return stream::carry(shared, client, upstream, answer.rest).await;
            }
            continue;
        };
        match trouble {
            Trouble::Refuse => return client.set_zero_linger(),
            Trouble::DropRequest => return Ok(()),
            Trouble::Blackhole => return hang(shared, client, let_go).await,
            Trouble::Lag(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            _ => {}
        }
        let mut upstream = TcpStream::connect(shared.upstream).await?;
        let mut answer = exchange(&mut upstream, &request).await?;
        match trouble {
            Trouble::DropResponse => return Ok(()),
            Trouble::HangResponse => return hang(shared, client, let_go).await,
            Trouble::HalfOpen => {
                client.shutdown().await?;
                return hang(shared, client, let_go).await;
            }
            Trouble::ResetMid => {
                let some = 1 + shared.dice(answer.bytes.len() - 1);
                client.write_all(&answer.bytes[..some]).await?;
                return client.set_zero_linger();
            }
            Trouble::DupRequest => {
                let mut again = TcpStream::connect(shared.upstream).await?;
                let second = exchange(&mut again, &request).await?;
                if shared.dice(2) == 1 {
                    answer = second;
                }
            }
            Trouble::Gateway504 => answer = Message::answer("504 Gateway Timeout", "text/html", GATEWAY),
            Trouble::Garbage => {
                let half = answer.body().len() / 2;
                answer = Message::answer("200 OK", "application/json", &answer.body()[..half]);
            }
            Trouble::OtherSchema => answer = Message::answer("200 OK", "application/json", OTHER),
            Trouble::NotANumber => {
                let spoilt = http::without_prices(answer.body());
                answer = Message::answer("200 OK", "application/json", &spoilt);
            }
            Trouble::Oversized => {
                answer = Message::answer("200 OK", "application/json", &vec![b' '; OVERSIZED]);
            }
            Trouble::Lag(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Trouble::Slow(ms) => {
                for byte in answer.bytes.chunks(DROP) {
                    client.write_all(byte).await?;
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                continue;
            }
            Trouble::Refuse | Trouble::DropRequest | Trouble::Blackhole => {}
        }
        client.write_all(&answer.bytes).await?;
    }
}

/// Bytes of a slow answer that come at a time.
const DROP: usize = 8;
const GATEWAY: &[u8] = b"<html><head><title>504 Gateway Time-out</title></head></html>";
const OTHER: &[u8] = br#"{"data":{"id":7,"state":"OK"},"errors":[],"price":1e999}"#;

/// Asks the server, on a connection for this request alone.
async fn exchange(upstream: &mut TcpStream, request: &Message) -> io::Result<Message> {
    upstream.set_nodelay(true)?;
    upstream.write_all(&request.bytes).await?;
    let answer = read_response(upstream, LARGEST).await?;
    answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// Says nothing until the trouble is over, everything is let go or the client has gone.
async fn hang(shared: &Shared, mut client: TcpStream, mut let_go: watch::Receiver<u64>) -> io::Result<()> {
    let mut trouble = shared.trouble.subscribe();
    let begun_with = *trouble.borrow_and_update();
    let mut ignored = [0; 1_024];
    loop {
        tokio::select! {
            changed = trouble.wait_for(|now| *now != begun_with) => {
                let _ = changed;
                return Ok(());
            }
            _ = let_go.changed() => return Ok(()),
            read = client.read(&mut ignored) => if read? == 0 { return Ok(()) },
        }
    }
}
