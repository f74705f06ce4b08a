//! The figures of the desk in Alpaca's words.
//!
//! - [`orders`]: an order of Alpaca's own client through the desk, beside the same order placed at a venue directly.
//! - [`reads`]: what a program with a key reads, beside a bare handler that answers the same bytes.
//! - [`bots`]: fifty bots with open streams and an order a second each.
//!
//! Their names as arguments choose among them: `cargo bench -p stockade --bench facade -- reads`. `STOCKADE_SDKS` says where
//! Alpaca's clients are (`scripts/sdks` makes them), `BENCH_BOTS_SECONDS` how long the bots trade (60).

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

mod bare;
mod bots;
mod orders;
mod process;
mod reads;

// The desk is started and set up as in its tests.
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/desk/pair.rs"]
mod pair;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/desk/running.rs"]
mod running;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/desk/sdk.rs"]
mod sdk;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/desk/secret.rs"]
mod secret;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/desk/socket.rs"]
mod socket;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("no other provider is installed");
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [mode, bodies] = &named[..]
        && mode == bare::MODE
    {
        return bare::serve(bodies.as_ref()).await;
    }
    let wanted = |section: &str| named.is_empty() || named.iter().any(|name| name == section);
    if wanted("orders") {
        orders::measure().await;
    }
    if wanted("reads") {
        reads::measure().await;
    }
    if wanted("bots") {
        bots::measure().await;
    }
}
