//! Stands between a desk and its venue, and kills the desk when a request is out, or when its answer is on the way.
//!
//! It passes bytes on as they are. What the desk sends in one write it gets in one piece, as orders are small: a piece that
//! begins with `POST` and ends with the end of a JSON object is a whole request that changes something.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where a request is when the desk dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its last byte is out, and the venue never gets it.
    Out,
    /// The venue has done it, and the desk never gets the answer.
    Answered,
}

/// Whom to kill, and when.
#[derive(Clone, Copy, Debug)]
struct Aim {
    desk: Pid,
    place: Place,
    /// Requests that are let through first.
    after: usize,
}

/// Runs until the test ends.
pub(crate) struct Relay {
    address: SocketAddr,
    aim: Arc<Mutex<Option<Aim>>>,
}

impl Relay {
    pub(crate) async fn start(venue: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let aim = Arc::new(Mutex::new(None));
        let aims = aim.clone();
        tokio::spawn(async move {
            while let Ok((desk, _)) = listener.accept().await {
                tokio::spawn(pass(desk, venue, aims.clone()));
            }
        });
        Self { address, aim }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills a desk at its `nth` request from now.
    pub(crate) fn aim(&self, desk: Pid, place: Place, nth: usize) {
        *self.aim.lock().unwrap() = Some(Aim { desk, place, after: nth - 1 });
    }
}

/// Passes on what comes on one connection, both ways, until somebody hangs up.
async fn pass(mut desk: TcpStream, venue: SocketAddr, aim: Arc<Mutex<Option<Aim>>>) {
    let Ok(mut venue) = TcpStream::connect(venue).await else { return };
    let (mut request, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut hit = None;
    loop {
        tokio::select! {
            Ok(length) = desk.read(&mut request) => {
                let piece = &request[..length];
                hit = hit.or(is_a_change(piece).then(|| shoot(&aim)).flatten());
                match hit {
                    _ if length == 0 => return,
                    Some(Aim { place: Place::Out, desk, .. }) => return kill(desk),
                    _ => if venue.write_all(piece).await.is_err() { return },
                }
            }
            Ok(length) = venue.read(&mut answer) => match hit {
                _ if length == 0 => return,
                Some(Aim { desk, .. }) => return kill(desk),
                None => if desk.write_all(&answer[..length]).await.is_err() { return },
            },
            else => return,
        }
    }
}

fn is_a_change(piece: &[u8]) -> bool {
    let is_change = piece.starts_with(b"POST ");
    assert!(!is_change || piece.ends_with(b"}"), "a request came in pieces");
    is_change
}

/// Counts a request; the aim, when it is the one.
fn shoot(aim: &Mutex<Option<Aim>>) -> Option<Aim> {
    let mut aim = aim.lock().unwrap();
    match aim.as_mut()? {
        Aim { after: 0, .. } => aim.take(),
        waiting => {
            waiting.after -= 1;
            None
        }
    }
}

fn kill(desk: Pid) {
    // It may have ended by itself in the same moment.
    let _ = kill_process(desk, Signal::KILL);
}
