//! The live view and what is stored of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Bar, Clock, Decimal, Every, Instrument, ManualClock, Price, Quantity, Quote, Symbol, TakerSide,
    Timestamp, Trade,
};
use market::{Feed, FeedState, Kind, Market, MarketEvent, RawQuote, Settings};
use storage::testing::databases;
use storage::{Database, StorageError, query};
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

const AT: i64 = 1_700_000_000_000;

fn symbol() -> Symbol {
    "BTC-USD".parse().unwrap()
}

fn settings() -> Settings {
    let increment = Decimal::new(1, 2);
    Settings::new(vec![Instrument {
        symbol: symbol(),
        base: "BTC".into(),
        quote: "USD".into(),
        price_increment: Price(increment),
        quantity_increment: Quantity(increment),
    }])
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(at(0)))
}

fn at(after_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(AT + after_ms).unwrap()
}

fn trade(id: &str, after_ms: i64, price: &str, side: TakerSide) -> Trade {
    Trade {
        symbol: symbol(),
        price: price.parse().unwrap(),
        quantity: "2".parse().unwrap(),
        side,
        exchange: 1,
        id: Some(id.into()),
        at: at(after_ms),
        received_at: None,
    }
}

fn buy(feed: &mut Feed, id: &str, after_ms: i64, price: &str) {
    feed.put_trade(trade(id, after_ms, price, TakerSide::Buy)).unwrap();
}

/// The updates of seconds that have been told: start in seconds, trades, final, amendment.
fn told(events: &mut Receiver<MarketEvent>) -> Vec<(i64, u64, bool, bool)> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let MarketEvent::Bar(update) = event
            && update.every == Every::Second
        {
            let start = (update.bar.start_at.as_millisecond() - AT) / 1_000;
            told.push((start, update.bar.trades, update.is_final, update.amendment));
        }
    }
    told
}

#[test]
fn bars_are_told_as_they_grow_are_amended_and_close() {
    let market = Market::new(settings(), clock());
    let mut events = market.subscribe();
    let mut feed = market.feed("test");
    buy(&mut feed, "a", 100, "10");
    buy(&mut feed, "b", 200, "11");
    market.publish_bars();
    assert_eq!(told(&mut events), [(0, 2, false, false)]);
    buy(&mut feed, "c", 1_100, "12");
    buy(&mut feed, "d", 300, "13");
    market.publish_bars();
    assert_eq!(told(&mut events), [(0, 3, false, true), (1, 1, false, false)]);
    market.publish_bars();
    assert_eq!(told(&mut events), []);
    buy(&mut feed, "e", 6_000, "12");
    market.publish_bars();
    assert_eq!(told(&mut events), [(0, 3, true, false), (6, 1, false, false)]);
}

#[test]
fn a_quote_has_its_time_of_arrival() {
    let clock = clock();
    let market = Market::new(settings(), clock.clone());
    let mut feed = market.feed("test");
    clock.advance(Duration::from_secs(3));
    let side = |price: &str| Some((price.parse().unwrap(), "1".parse().unwrap()));
    let quote = Quote {
        symbol: symbol(),
        bid: side("9"),
        ask: side("10"),
        exchange: 1,
        at: at(0),
        received_at: None,
    };
    feed.put_quote(quote.clone()).unwrap();
    clock.advance(Duration::from_secs(3));
    assert_eq!(market.last_quote(&symbol()), Some((quote, at(3_000))));
}

#[test]
fn what_is_not_listed_is_counted_and_ignored() {
    let market = Market::new(settings(), clock());
    let mut feed = market.feed("test");
    let other = Trade { symbol: "ETH-USD".parse().unwrap(), ..trade("a", 0, "1", TakerSide::Buy) };
    assert_eq!(feed.put_trade(other), Err(Kind::UnlistedSymbol));
    assert_eq!(market.symbols(), [symbol()]);
    assert_eq!(market.instrument(&"ETH-USD".parse().unwrap()), None);
}

#[test]
fn a_desk_that_is_behind_leaves_out_quotes_and_never_trades() {
    let market = Market::new(settings(), clock());
    let mut feed = market.feed("test");
    feed.frame(at(0));
    feed.busy(true);
    for step in 1..=10_i64 {
        let one = Decimal::ONE;
        let (bid, ask) = ((Decimal::from(step), one), (Decimal::from(step + 1), one));
        feed.quote(&RawQuote {
            symbol: "BTC-USD",
            bid,
            ask,
            exchange: 1,
            at_ms: AT + step,
            received_ms: None,
        });
        buy(&mut feed, &step.to_string(), step, "5");
    }
    assert_eq!(market.quote(&symbol()), None);
    feed.busy(false);
    assert_eq!(market.quote(&symbol()).unwrap().bid.unwrap().0.to_string(), "10");
    assert_eq!(feed.counters().get(Kind::QuoteDropped), 9);
    assert_eq!(feed.counters().get(Kind::Trade), 10);
}

#[test]
fn the_change_over_24_hours_needs_24_hours() {
    let clock = clock();
    let market = Market::new(settings(), clock.clone());
    let mut feed = market.feed("test");
    buy(&mut feed, "a", 0, "100");
    let day = market.day(&symbol()).unwrap();
    assert_eq!((day.change, day.volume.to_string()), (None, "2".into()));
    clock.advance(Duration::from_secs(25 * 3_600));
    buy(&mut feed, "b", 25 * 3_600_000, "110");
    let day = market.day(&symbol()).unwrap();
    assert_eq!((day.change, day.volume.to_string()), (Some(Decimal::new(1, 1)), "2".into()));
}

#[test]
fn a_feed_tells_when_its_state_changes_and_only_then() {
    let market = Market::new(settings(), clock());
    let mut events = market.subscribe();
    let mut feed = market.feed("test");
    feed.state(FeedState::Connecting, None);
    feed.state(FeedState::Live, None);
    feed.state(FeedState::Live, None);
    feed.state(FeedState::Down, Some("cut".into()));
    let mut states = Vec::new();
    while let Ok(MarketEvent::Feed(status)) = events.try_recv() {
        states.push((status.state, status.last_error.clone()));
    }
    assert_eq!(states, [(FeedState::Live, None), (FeedState::Down, Some("cut".into()))]);
}

async fn start(database: &Database) -> (Market, tokio::task::JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let (market, keeper) = Market::start(settings(), database.clone(), clock(), stop.clone()).await.unwrap();
    (market, keeper, stop)
}

async fn minutes(market: &Market) -> Vec<Bar> {
    let views = market.bars(&symbol(), Every::Minute, None, 10).await.unwrap();
    views.into_iter().map(|view| view.bar).collect()
}

#[tokio::test]
async fn after_a_restart_a_minute_goes_on_where_it_was() {
    for test in databases().await {
        let database = test.open(None).await;
        let (market, keeper, stop) = start(&database).await;
        buy(&mut market.feed("test"), "a", 0, "10");
        buy(&mut market.feed("test"), "b", 10, "14");
        let before = minutes(&market).await;
        stop.cancel();
        keeper.await.unwrap();

        let (market, keeper, stop) = start(&database).await;
        assert_eq!(minutes(&market).await, before);
        buy(&mut market.feed("test"), "c", 20, "8");
        let after = minutes(&market).await.remove(0);
        assert_eq!(
            [after.open, after.high, after.low, after.close].map(|p| p.to_string()),
            ["10", "14", "8", "8"]
        );
        assert_eq!(
            (after.trades, after.volume.to_string(), after.notional.to_string()),
            (3, "6".into(), "64".into())
        );
        stop.cancel();
        keeper.await.unwrap();
        database.close().await;
    }
}

#[tokio::test]
async fn a_database_that_fails_does_not_stop_the_market_and_gets_the_bars_later() {
    for test in databases().await {
        let database = test.open(None).await;
        let (market, keeper, stop) = start(&database).await;
        rename(&database, "bars", "away").await;
        buy(&mut market.feed("test"), "a", 0, "10");
        stop.cancel();
        keeper.await.unwrap();
        assert_eq!(market.last_trade(&symbol()).unwrap().price.to_string(), "10");
        assert_eq!(market.counters().get(Kind::StoreFailed), 1);

        rename(&database, "away", "bars").await;
        market.store_bars().await;
        let (again, keeper, stop) = start(&database).await;
        assert_eq!(minutes(&again).await.len(), 1);
        stop.cancel();
        keeper.await.unwrap();
        database.close().await;
    }
}

async fn rename(database: &Database, from: &'static str, to: &'static str) {
    let renamed: Result<(), StorageError> = database
        .write(move |tx| {
            Box::pin(async move {
                let sql = match (from, to) {
                    ("bars", "away") => "ALTER TABLE bars RENAME TO away",
                    _ => "ALTER TABLE away RENAME TO bars",
                };
                query(sql).execute(tx.sql()).await?;
                Ok(())
            })
        })
        .await;
    renamed.unwrap();
}

#[tokio::test]
async fn beyond_the_memory_bars_come_from_the_database() {
    for test in databases().await {
        let database = test.open(None).await;
        let (market, keeper, stop) = start(&database).await;
        let mut feed = market.feed("test");
        // More seconds than the memory holds, stored as they come.
        for second in 0..4_000_i64 {
            buy(&mut feed, &second.to_string(), second * 1_000, "10");
            if second % 1_000 == 999 {
                market.store_bars().await;
            }
        }
        let all = market.bars(&symbol(), Every::Second, None, 10_000).await.unwrap();
        assert_eq!(all.len(), 4_000);
        assert!(all.windows(2).all(|pair| pair[0].bar.start_at < pair[1].bar.start_at));
        let page = market.bars(&symbol(), Every::Second, Some(at(100_000)), 10).await.unwrap();
        let starts: Vec<i64> = page.iter().map(|v| (v.bar.start_at.as_millisecond() - AT) / 1_000).collect();
        assert_eq!(starts, (90..100).collect::<Vec<_>>());
        stop.cancel();
        keeper.await.unwrap();
        database.close().await;
    }
}

#[test]
fn a_clock_is_all_that_tells_the_time() {
    let clock = clock();
    let market = Market::new(settings(), clock.clone());
    let _feed = market.feed("test");
    assert_eq!(market.feeds()[0].since_at, clock.now());
}
