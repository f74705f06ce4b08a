//! What the connector makes of a vendor on a bad day.

use std::time::Duration;

use market::{FeedState, MarketEvent};
use sandbox::{Fault, ServerSettings, Source};

use crate::{KEY, Wire, loopback_with, trade};

const AT: i64 = 1_704_164_640_000;

#[tokio::test]
async fn after_a_cut_the_feed_is_back_and_a_resend_is_not_counted_twice() {
    let mut wire = Wire::new(Source::Quiet).await;
    wire.until_state(FeedState::Live).await;
    wire.server.say(&trade(1, AT, "100.5"));
    wire.until("the trade", |wire| wire.count("trades") == 1).await;

    wire.server.misbehave(Fault::Cut);
    wire.until("the reconnect", |wire| {
        wire.status().reconnects == 1 && wire.status().state == FeedState::Live
    })
    .await;
    wire.server.say(&trade(1, AT, "100.5"));
    wire.server.say(&trade(2, AT + 1, "100.6"));
    wire.until("the second trade", |wire| wire.count("trades") == 2).await;

    assert_eq!(wire.count("duplicate"), 1);
    assert_eq!(wire.count("disconnected"), 1);
    wire.end().await;
}

#[tokio::test]
async fn a_silent_connection_is_stalled_and_made_again() {
    let mut wire = Wire::with(Source::Quiet, ServerSettings::loopback(KEY), |settings| {
        settings.stall_after = Duration::from_millis(40);
    })
    .await;
    let stalled = |event| match event {
        MarketEvent::Feed(status) if status.state == FeedState::Stalled => Some(()),
        _ => None,
    };
    wire.next("the stall", stalled).await;
    wire.until("the reconnect", |wire| wire.status().reconnects >= 1).await;
    assert!(wire.count("stalled") >= 1);
    wire.end().await;
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again() {
    let stop_by_itself = |key: &'static str| async move {
        let mut wire = Wire::with(Source::Quiet, ServerSettings::loopback("another-key"), |s| {
            s.key = key.to_owned().into()
        })
        .await;
        wire.until_state(FeedState::Stopped).await;
        let status = wire.status();
        assert_eq!(status.reconnects, 0);
        assert!(status.last_error.as_deref().is_some_and(|e| e.contains("refused")), "{status:?}");
        assert!(!format!("{status:?}").contains(key));
        wire.client.await.unwrap();
    };
    tokio::time::timeout(crate::PATIENCE, stop_by_itself("wrong-key-4711")).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_refused_later_stops_the_feed() {
    let mut wire = Wire::new(Source::Quiet).await;
    wire.until_state(FeedState::Live).await;
    wire.server.misbehave(Fault::RefuseKeys(true));
    wire.server.misbehave(Fault::Cut);
    wire.until_state(FeedState::Stopped).await;
    wire.end().await;
}

#[tokio::test]
async fn malformed_frames_are_counted_and_the_next_one_is_read() {
    let mut wire = Wire::new(Source::Quiet).await;
    wire.until_state(FeedState::Live).await;
    wire.server.misbehave(Fault::Malformed);
    wire.server.say(&"[".repeat(200_000));
    wire.server.say(r#"[{"ev":"NEW"},{"ev":"XT","pair":"BTC-USD","p":"1"}]"#);
    wire.server.say(&trade(1, AT, "100.5"));
    wire.until("the trade", |wire| wire.count("trades") == 1).await;
    assert_eq!(wire.count("malformed_frame"), 2);
    assert_eq!(wire.count("unknown_event"), 1);
    assert_eq!(wire.count("malformed_event"), 1);
    assert_eq!(wire.status().reconnects, 0);
    wire.end().await;
}

#[tokio::test]
async fn too_many_connections_are_tried_again_with_a_growing_wait() {
    let mut wire = Wire::with(Source::Quiet, loopback_with(0), |settings| {
        settings.first_retry = Duration::from_millis(10);
        settings.longest_retry = Duration::from_secs(3_600);
    })
    .await;
    wire.until("three refusals", |wire| wire.count("disconnected") == 3).await;
    let status = wire.status();
    assert_eq!(status.state, FeedState::Down);
    assert!(status.last_error.is_some_and(|e| e.contains("max_connections")));
    wire.end().await;
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_waited_for() {
    let mut wire = Wire::with(Source::Quiet, ServerSettings::loopback(KEY), |settings| {
        // A port that nobody listens on: privileged, and never given out.
        settings.url = "ws://127.0.0.1:1/crypto".to_owned();
    })
    .await;
    wire.until("two attempts", |wire| wire.count("disconnected") >= 2).await;
    wire.end().await;
}

#[tokio::test]
async fn lost_frames_are_simply_not_there() {
    let mut wire = Wire::new(Source::Quiet).await;
    wire.until_state(FeedState::Live).await;
    wire.server.misbehave(Fault::Silence);
    wire.server.say(&trade(1, AT, "1"));
    wire.server.misbehave(Fault::Speak);
    wire.server.say(&trade(2, AT, "2"));
    wire.until("the trade", |wire| wire.count("trades") == 1).await;
    let last = wire.market.last_trade(&"BTC-USD".parse().unwrap()).unwrap();
    assert_eq!(last.id.as_deref(), Some("2"));
    wire.end().await;
}

#[tokio::test]
async fn the_generated_market_arrives_live() {
    let mut wire = Wire::new(Source::Generated { seed: 7 }).await;
    let symbols: Vec<_> = sandbox::instruments().into_iter().map(|i| i.symbol).collect();
    let all = |wire: &Wire| symbols.iter().all(|s| wire.market.quote(s).is_some());
    wire.until("a quote of every symbol", all).await;
    wire.until("trades", |wire| wire.count("trades") > 5).await;
    let quote = wire.market.quote(&symbols[0]).unwrap();
    let (bid, ask) = (quote.bid.unwrap(), quote.ask.unwrap());
    assert!(bid.0 < ask.0);
    let age = domain::Clock::now(&domain::SystemClock).duration_since(quote.at);
    assert!(age.as_secs().abs() < 10, "{age:?}");
    for refused in
        ["malformed_event", "unlisted_symbol", "future", "too_late", "quote_out_of_order", "duplicate"]
    {
        assert_eq!(wire.count(refused), 0, "{refused}");
    }
    wire.end().await;
}
