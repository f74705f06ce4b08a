//! Stands between a desk and its venue, and does harm when a request is out, or when its answer is on the way: kills the desk,
//! breaks the connection, or holds everything up.
//!
//! It passes bytes on as they are. What the desk sends in one write it gets in one piece, as orders are small: a piece that
//! begins with `POST` and ends with the end of a JSON object is a whole request that changes something.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longer than a desk waits for an answer.
const DELAY: Duration = Duration::from_secs(6);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The desk is killed.
    Kill(Pid),
    /// Both connections end.
    HangUp,
    /// What is on the way arrives when nobody waits for it any more.
    Delay,
}

/// Where a request is when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its last byte is out, and the venue does not have it.
    Out,
    /// The venue has done it, and the desk does not have the answer.
    Answered,
}

/// What to do, and when.
#[derive(Clone, Copy, Debug)]
struct Aim {
    harm: Harm,
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

    /// Does harm at the `nth` request from now.
    pub(crate) fn aim(&self, harm: Harm, place: Place, nth: usize) {
        *self.aim.lock().unwrap() = Some(Aim { harm, place, after: nth - 1 });
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
                if length == 0 || meets(&mut hit, Place::Out).await || venue.write_all(piece).await.is_err() {
                    return;
                }
            }
            Ok(length) = venue.read(&mut answer) => {
                let piece = &answer[..length];
                if length == 0 || meets(&mut hit, Place::Answered).await || desk.write_all(piece).await.is_err() {
                    return;
                }
            }
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

/// Does the harm, if its place is here; whether the connection ends with it.
async fn meets(hit: &mut Option<Aim>, here: Place) -> bool {
    match hit.take_if(|aim| aim.place == here).map(|aim| aim.harm) {
        Some(Harm::Kill(desk)) => {
            // It may have ended by itself in the same moment.
            let _ = kill_process(desk, Signal::KILL);
            true
        }
        Some(Harm::HangUp) => true,
        Some(Harm::Delay) => {
            tokio::time::sleep(DELAY).await;
            false
        }
        None => false,
    }
}
