//! How long an order of Alpaca's own client takes through the desk.
//!
//! The reference is the same order of the same client at a venue that speaks Alpaca's words itself, with the same exchange
//! and the same durable book, without a desk. The desk trades at its own venue, in a process of its own. Both get orders in
//! turn. The aims are 1 ms more in half of all cases and 5 ms more in 99 of 100.

use std::sync::Arc;

use domain::{AccountId, Clock as _, Decimal, Quote, SystemClock};
use market::Market;
use sandbox::{AlpacaServer, AlpacaSettings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use trading::{PaperSettings, PaperVenue};

use crate::pair::pair;
use crate::sdk::{Desk, environments, python};

const KEY: &str = "PKDIRECT";
const SECRET: &str = "directly";

/// A venue that is Alpaca to whoever asks. Its market stands still where the desk's is.
struct Direct {
    server: AlpacaServer,
    venue: PaperVenue,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Direct {
    async fn start(price: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, stop) = (Arc::new(SystemClock), CancellationToken::new());
        let instruments = sandbox::instruments();
        let market = Market::new(market::Settings::new(instruments.clone()), clock.clone());
        let side = Some((price.parse().unwrap(), "5".parse().unwrap()));
        let symbol = "BTC-USD".parse().unwrap();
        let at = clock.now();
        let quote = Quote { symbol, bid: side, ask: side, exchange: 1, at, received_at: None };
        market.feed("bench").put_quote(quote).unwrap();
        let file = folder.path().join("venue.db");
        let venue =
            PaperVenue::open(&file, &market, clock.clone(), PaperSettings::default(), &stop).await.unwrap();
        let settings =
            AlpacaSettings { instruments, ..AlpacaSettings::loopback(AccountId::new(at), KEY, SECRET) };
        let server = AlpacaServer::start(venue.clone(), settings, clock, stop.clone()).await.unwrap();
        Self { server, venue, stop, _folder: folder }
    }
}

pub(crate) async fn measure() {
    let Some(environments) = environments() else { return };
    let (_venues, _venue, desks) = pair().await;
    let desk = Desk::on(desks).await;
    let quote = desk.session.until_quoted("BTC-USD").await;
    let ask = quote["ask"].as_str().unwrap();
    let direct = Direct::start(ask).await;
    let mut command = python(&environments, "alpaca_py", "benches/facade/orders.py");
    desk.tell(&mut command);
    command.env("DIRECT", direct.server.url()).env("DIRECT_KEY", KEY).env("DIRECT_SECRET", SECRET);
    // Too far from the market to be taken.
    let price: Decimal = ask.parse().unwrap();
    command.env("PRICE", (price * Decimal::new(8, 1)).round_dp(0).to_string());
    let output = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(&told).unwrap();
    let ms = |who: &str, share: &str| told[who][share].as_f64().unwrap();
    for (share, aim) in [("p50", 1.0), ("p99", 5.0)] {
        let (ours, directly) = (ms("desk", share), ms("direct", share));
        println!(
            "an order of alpaca-py, {share:<26} {ours:>6.2} ms, {directly:.2} ms directly: {:+.2} ms, aim {aim} ms",
            ours - directly
        );
    }
    assert!(desk.running.stop().await);
    direct.stop.cancel();
    direct.venue.close().await;
}
