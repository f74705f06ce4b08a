//! Stands between a desk and its PostgreSQL, and loses a COMMIT or the answer to it.
//!
//! What the desk sends in one write it gets in one piece, as statements are small.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A simple query, as the protocol has it: its kind, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What is lost of the next COMMIT. The connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The server never gets it.
    Commit,
    /// The server has done it.
    Answer,
    /// The same, and no other connection comes about until it is mended.
    AnswerAndServer,
}

/// What is wrong, and what is about to be.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    next: Option<Lost>,
    away: bool,
}

/// Runs until the test ends.
pub(crate) struct Relay {
    /// The address of the database as the desk is to know it.
    pub(crate) url: String,
    state: Arc<watch::Sender<State>>,
}

impl Relay {
    pub(crate) async fn start(url: &str) -> Self {
        let (start, rest) = url.split_once('@').unwrap();
        let (host, database) = rest.split_once('/').unwrap();
        let server = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{start}@{}/{database}", listener.local_addr().unwrap());
        let state = Arc::new(watch::Sender::new(State::default()));
        let states = state.clone();
        tokio::spawn(async move {
            while let Ok((desk, _)) = listener.accept().await {
                if !states.borrow().away {
                    tokio::spawn(pass(desk, server, states.clone()));
                }
            }
        });
        Self { url, state }
    }

    pub(crate) fn lose(&self, what: Lost) {
        self.state.send_modify(|state| state.next = Some(what));
    }

    pub(crate) async fn until_lost(&self) {
        self.state.subscribe().wait_for(|state| state.next.is_none()).await.unwrap();
    }

    pub(crate) fn mend(&self) {
        self.state.send_modify(|state| state.away = false);
    }
}

/// Passes on what comes on one connection, both ways, until somebody hangs up or something is lost.
async fn pass(mut desk: TcpStream, server: SocketAddr, state: Arc<watch::Sender<State>>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut question, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            Ok(length) = desk.read(&mut question) => {
                let piece = &question[..length];
                let lost = if piece == COMMIT { state.borrow().next } else { None };
                if length == 0 || lost == Some(Lost::Commit) || server.write_all(piece).await.is_err() {
                    state.send_modify(|state| state.next = state.next.filter(|_| lost.is_none()));
                    return;
                }
                if lost.is_some() {
                    // The server has done it once it says anything.
                    let _ = server.read(&mut answer).await;
                    let away = lost == Some(Lost::AnswerAndServer);
                    return state.send_modify(|state| *state = State { next: None, away });
                }
            }
            Ok(length) = server.read(&mut answer) => {
                if length == 0 || desk.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}
