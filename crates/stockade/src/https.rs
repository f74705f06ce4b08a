//! The listener: TLS, patience with slow clients, and how many connections there may be.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a client may take to send the head of a request, and to send nothing on an open connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Most connections in all, and from one address.
const MOST: usize = 2_000;
const MOST_FROM_ONE: usize = 200;
/// Open files that are not for clients: those of the journal and its readers, of the venue, the feed and the log.
const FOR_THE_DESK: usize = 128;
const LARGEST_HEAD: usize = 64 << 10;

/// Serves `app` until `handle` says stop.
///
/// # Errors
/// The listener broke.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: RustlsConfig,
    app: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let door = Door::new(places());
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE_PATIENCE).acceptor(door);
    let mut server = axum_server::from_tcp(listener)?.acceptor(acceptor).handle(handle);
    let http = server.http_builder();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(LARGEST_HEAD);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(64)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX));
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// How many connections there may be: not so many that the desk has no open file left for an order's way. Raises what the
/// system lets it open, if it may.
fn places() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(MOST + FOR_THE_DESK).unwrap_or(u64::MAX);
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let mut allowed = limit.current.unwrap_or(u64::MAX);
    if allowed < most {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
            Ok(()) => allowed = most,
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    let places = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(FOR_THE_DESK).clamp(1, MOST);
    if places < MOST {
        tracing::warn!(places, "the limit of open files allows fewer connections than the desk would take");
    }
    places
}

/// Lets in so many, and no more; the others are hung up on before they cost a handshake.
#[derive(Clone)]
struct Door(Arc<Mutex<Inside>>);

struct Inside {
    places: usize,
    all: usize,
    from: HashMap<IpAddr, usize>,
}

impl Door {
    fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Inside { places, all: 0, from: HashMap::new() })))
    }

    fn enter(&self, from: IpAddr) -> Option<Seat> {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One address never has them all.
        let most_from_one = MOST_FROM_ONE.min(inside.places.div_ceil(2));
        let is_crowded = inside.from.get(&from).is_some_and(|count| *count >= most_from_one);
        if inside.all >= inside.places || is_crowded {
            return None;
        }
        inside.all += 1;
        *inside.from.entry(from).or_default() += 1;
        Some(Seat { door: self.clone(), from })
    }
}

/// A place inside, given back when dropped.
struct Seat {
    door: Door,
    from: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Some(count) = inside.from.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                inside.from.remove(&self.from);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Connection;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let connection = || {
            let from = stream.peer_addr()?.ip().to_canonical();
            let seat = self.enter(from).ok_or_else(|| io::Error::other("too many connections"))?;
            stream.set_nodelay(true)?;
            Ok(Connection { stream, _seat: seat })
        };
        std::future::ready(connection().map(|connection| (connection, service)))
    }
}

/// A connection with its place.
struct Connection {
    stream: TcpStream,
    _seat: Seat,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_gives_them_back() {
        let door = Door::new(MOST);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut seats: Vec<_> = (0..MOST_FROM_ONE).filter_map(|_| door.enter(one)).collect();
        assert_eq!(seats.len(), MOST_FROM_ONE);
        assert!(door.enter(one).is_none() && door.enter(other).is_some());
        seats.pop();
        assert!(door.enter(one).is_some());
    }

    #[test]
    fn there_are_no_more_places_than_the_system_has_open_files_for() {
        let door = Door::new(2);
        let seats = [1, 2].map(|last| door.enter(IpAddr::from([10, 0, 0, last])));
        assert!(seats.iter().all(Option::is_some) && door.enter(IpAddr::from([10, 0, 0, 3])).is_none());
    }
}
