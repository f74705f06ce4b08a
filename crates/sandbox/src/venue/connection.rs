//! Connections: how many, how patiently, and how one ends without an answer.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 16 << 10;
/// How long it is waited after a connection that could not be accepted.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// Marks a response that is not sent: the connection is closed in its place.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

#[derive(Debug, thiserror::Error)]
#[error("the venue hangs up")]
struct HungUp;

/// Serves until `stop`; whoever comes when the house is full finds the door shut.
pub(crate) async fn accept(listener: TcpListener, app: Router, most: usize, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < most => {
                let serving = serve(stream, app.clone());
                connections.spawn(stop.clone().run_until_cancelled_owned(serving));
            }
            Ok(_) => tracing::warn!(most, "a connection to the paper venue was refused: there are too many"),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(OUT_OF_FILES).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, app: Router) {
    let _ = stream.set_nodelay(true);
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move {
            let response: Response<Body> = match app.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
        }
    });
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(LARGEST_HEAD);
    // How a client leaves is its own affair.
    let _ =
        http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).await;
}
