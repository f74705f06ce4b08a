//! Alpaca's market data: the stream and the questions, against a server that plays its part.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alpaca::{
    Bar, BarsPage, DataError, DataMessage, DataRequest, LatestQuotes, Number, Quote, Snapshot, Subscriptions,
    Trade, msgpack,
};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{Json, Response};
use axum::routing::{any, get};
use connectors::alpaca::{
    Class, Credentials, Encoding, FeedSettings, MarketData, PastSettings, Range, could_be, keep_past, start,
};
use domain::{Clock as _, Every, Symbol, SystemClock, Timestamp};
use market::{Chosen, ConditionTable, FeedState, Market, MarketEvent, Settings};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::PATIENCE;

const SECRET: &str = "data-secret";

fn credentials() -> Credentials {
    Credentials { key_id: "key".into(), secret: SECRET.to_owned().into() }
}

/// What the server does with one connection after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    /// Says that another connection is there.
    Conflict,
    /// Serves, and hangs up.
    Serve,
    /// Serves, and says nothing more, not even that it lives.
    Freeze,
    /// Serves, and goes on: more can be asked for.
    Stay,
}

struct Vendor {
    acts: Mutex<Vec<Act>>,
    asked: Mutex<Vec<HashMap<String, String>>>,
}

async fn vendor(acts: &[Act]) -> (SocketAddr, Arc<Vendor>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let vendor =
        Arc::new(Vendor { acts: Mutex::new(acts.iter().rev().copied().collect()), asked: Mutex::default() });
    let app = Router::new()
        .route("/v2/iex", any(stream))
        .route("/v2/stocks/bars", get(bars))
        .route("/v1beta3/crypto/us/bars", get(bars))
        .route("/v2/stocks/quotes/latest", get(latest_quotes))
        .route("/v2/stocks/snapshots", get(snapshots))
        .with_state(vendor.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, vendor)
}

async fn stream(State(vendor): State<Arc<Vendor>>, headers: HeaderMap, socket: WebSocketUpgrade) -> Response {
    let packed = headers.get("content-type").is_some_and(|value| value == "application/msgpack");
    let act = vendor.acts.lock().unwrap().pop().unwrap_or(Act::Serve);
    socket.on_upgrade(move |socket| async move {
        let _ = play(Played { socket, packed }, act).await;
    })
}

struct Played {
    socket: WebSocket,
    packed: bool,
}

impl Played {
    async fn say(&mut self, messages: &[DataMessage]) -> Option<()> {
        let text = DataMessage::frame(messages).unwrap();
        let frame = if self.packed {
            Message::binary(msgpack::from_json(&text).unwrap())
        } else {
            Message::text(text)
        };
        self.socket.send(frame).await.ok()
    }

    async fn hear(&mut self) -> Option<DataRequest> {
        match self.socket.recv().await?.ok()? {
            Message::Text(text) => serde_json::from_str(&text).ok(),
            Message::Binary(bytes) => serde_json::from_str(&msgpack::to_json(&bytes).ok()?).ok(),
            _ => None,
        }
    }
}

async fn play(mut client: Played, act: Act) -> Option<()> {
    client.say(&[DataMessage::Success("connected".into())]).await?;
    let DataRequest::Auth { secret, .. } = client.hear().await? else { return None };
    if secret.expose_secret() != SECRET {
        return client.say(&[DataMessage::Error(DataError::new(DataError::AUTH_FAILED))]).await;
    }
    if act == Act::Conflict {
        return client.say(&[DataMessage::Error(DataError::new(DataError::CONNECTION_LIMIT))]).await;
    }
    client.say(&[DataMessage::Success("authenticated".into())]).await?;
    client.serve("ZZZ").await?;
    match act {
        Act::Freeze => std::future::pending().await,
        Act::Stay => {
            client.serve("YYY").await?;
            std::future::pending().await
        }
        _ => Some(()),
    }
}

impl Played {
    /// Waits until something is subscribed to, which has to be this share and nothing else, and prints it.
    async fn serve(&mut self, share: &str) -> Option<()> {
        let DataRequest::Subscribe(to) = self.hear().await? else { return None };
        assert_eq!(to.trades.as_deref(), Some(&[share.to_owned()][..]), "no coins on the stream of shares");
        self.say(&[DataMessage::Subscription(Subscriptions {
            trades: to.trades,
            ..Subscriptions::default()
        })])
        .await?;
        let at = SystemClock.now();
        let trade =
            Trade { at, price: number("10.25"), size: number("100"), id: Some(9), ..Trade::default() };
        let quote = Quote { at, bid_price: number("10.2"), bid_size: number("1"), ..Quote::default() };
        self.say(&[DataMessage::Quote(share.into(), quote), DataMessage::Trade(share.into(), trade)]).await
    }
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

/// Two pages of two bars, then one; for pairs one page.
async fn bars(
    State(vendor): State<Arc<Vendor>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Json<BarsPage> {
    let page: usize = asked.get("page_token").map_or(0, |token| token.parse().unwrap());
    let is_pair = asked["symbols"].contains('/');
    let limit: usize = asked["limit"].parse().unwrap();
    vendor.asked.lock().unwrap().push(asked.clone());
    let bar = |nth: usize| Bar {
        at: Timestamp::from_second(1_770_000_000 + 60 * i64::try_from(nth).unwrap()).unwrap(),
        open: number("10"),
        high: number("11.5"),
        low: number("9"),
        close: number("10.25"),
        volume: number("1200"),
        trades: 7,
        vwap: number("10.1"),
    };
    let rows = (2 * page..(2 * page + 2).min(5)).take(limit).map(bar).collect();
    let next_page_token = (page < 2 && !is_pair).then(|| (page + 1).to_string());
    Json(BarsPage { bars: [(asked["symbols"].clone(), rows)].into_iter().collect(), next_page_token })
}

async fn latest_quotes() -> Json<LatestQuotes> {
    let quote = Quote { bid_price: number("10.2"), bid_size: number("1"), ..Quote::default() };
    Json(LatestQuotes { quotes: [("ZZZ".to_owned(), quote)].into_iter().collect() })
}

async fn snapshots() -> Json<HashMap<String, Snapshot>> {
    Json([("ZZZ".to_owned(), Snapshot::default())].into_iter().collect())
}

fn symbols() -> Vec<Symbol> {
    ["ZZZ", "BTC-USD"].iter().map(|name| name.parse().unwrap()).collect()
}

/// A feed of the vendor's, with pauses short enough for a test.
fn listen(address: SocketAddr, credentials: Credentials, encoding: Encoding) -> (Market, CancellationToken) {
    let market = Market::new(Settings::learning(ConditionTable::default()), Arc::new(SystemClock));
    let settings = FeedSettings {
        encoding,
        ping_every: Duration::from_millis(50),
        first_retry: Duration::from_millis(1),
        longest_retry: Duration::from_millis(10),
        conflict_pause: Duration::from_millis(20),
        ..FeedSettings::new(
            format!("ws://{address}/v2/iex"),
            credentials,
            Class::Shares,
            watch::channel(symbols()).1,
        )
    };
    let stop = CancellationToken::new();
    start(settings, market.feed("alpaca"), Arc::new(SystemClock), 1, stop.clone());
    (market, stop)
}

/// Waits until the feed says what is wanted.
async fn until(market: &Market, what: &str, wanted: impl Fn(&Market) -> bool) {
    let waiting = async {
        let mut events = market.subscribe();
        while !wanted(market) {
            let _: Result<MarketEvent, _> = events.recv().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}: {:?}", market.feeds()));
}

#[tokio::test]
async fn a_feed_is_taken_up_again_after_a_conflict_a_hang_up_and_a_freeze_in_both_encodings() {
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let (address, _) = vendor(&[Act::Conflict, Act::Serve, Act::Freeze, Act::Serve]).await;
        let (market, stop) = listen(address, credentials(), encoding);
        let conflict = |market: &Market| {
            let error = market.feeds()[0].last_error.clone().unwrap_or_default();
            error.contains("another connection")
        };
        until(&market, "the conflict is named", conflict).await;
        until(&market, "it comes back three times", |market| market.feeds()[0].reconnects >= 3).await;
        let zed: Symbol = "ZZZ".parse().unwrap();
        assert_eq!(market.last_price(&zed).map(|price| price.to_string()).as_deref(), Some("10.25"));
        assert_eq!(market.quote(&zed).unwrap().ask, None, "a side without a price is not quoted");
        stop.cancel();
    }
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again() {
    let (address, _) = vendor(&[]).await;
    let wrong = Credentials { key_id: "key".into(), secret: "wrong".to_owned().into() };
    let (market, _stop) = listen(address, wrong, Encoding::Json);
    until(&market, "it stops", |market| market.feeds()[0].state == FeedState::Stopped).await;
    let error = market.feeds()[0].last_error.clone().unwrap();
    assert!(error.contains("auth failed") && !error.contains("wrong"), "{error}");
}

#[tokio::test]
async fn history_is_read_page_by_page_up_to_its_limit() {
    let (address, vendor) = vendor(&[]).await;
    let data = MarketData::new(&format!("http://{address}"), credentials(), "iex").unwrap();
    let start = Timestamp::from_second(1_770_000_000).unwrap();
    let all = Range { start, end: None, most: 100 };
    let bars = data.bars(&symbols(), "1Min", &all).await.unwrap();
    let lengths: Vec<_> = bars.iter().map(|(symbol, rows)| (symbol.as_str(), rows.len())).collect();
    assert_eq!(lengths, [("BTC-USD", 2), ("ZZZ", 5)]);
    let asked = vendor.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 4, "three pages of shares, one of pairs");
    assert!(
        asked.iter().all(|asked| asked["timeframe"] == "1Min" && asked["start"].starts_with("2026-02-02"))
    );
    assert_eq!(asked.iter().filter(|asked| asked.get("feed").is_some_and(|feed| feed == "iex")).count(), 3);
    let few = Range { most: 3, ..all };
    let bars = data.bars(&symbols()[..1], "1Min", &few).await.unwrap();
    assert_eq!(bars.values().map(Vec::len).sum::<usize>(), 3);

    let quotes = data.latest_quotes(&symbols()[..1]).await.unwrap();
    assert_eq!(quotes[&symbols()[0]].bid_price.to_string(), "10.2");
    assert_eq!(data.snapshots(&symbols()[..1]).await.unwrap().len(), 1);
    assert!(data.latest_trades(&symbols()).await.is_err(), "what is not there is no empty answer");
}

#[tokio::test]
async fn what_is_followed_later_is_heard_on_the_same_connection_and_has_a_past() {
    let (address, _) = vendor(&[Act::Stay]).await;
    let [first, second, third] = ["ZZZ", "YYY", "XXX"].map(|name| name.parse::<Symbol>().unwrap());
    let chosen = Chosen { symbols: vec![first.clone()], most_more: 1, could_have: could_be };
    let settings = Settings { chosen: Some(chosen), ..Settings::new(Vec::new()) };
    let clock = Arc::new(SystemClock);
    let market = Market::new(settings, clock.clone());
    let feed =
        FeedSettings::new(format!("ws://{address}/v2/iex"), credentials(), Class::Shares, market.followed());
    let past = PastSettings {
        class: Class::Shares,
        symbols: market.followed(),
        confirmed: feed.confirmed.subscribe(),
        reach: Duration::from_secs(86_400),
    };
    let data = MarketData::new(&format!("http://{address}"), credentials(), "iex").unwrap();
    let stop = CancellationToken::new();
    keep_past(past, data, market.clone(), clock.clone(), stop.clone());
    start(feed, market.feed("alpaca"), clock, 1, stop.clone());
    let has_all = async |symbol: &Symbol| {
        until(&market, "a quote", |market| market.quote(symbol).is_some()).await;
        while market.bars(symbol, Every::Minute, None, 10).await.unwrap().len() < 5 {
            tokio::task::yield_now().await;
        }
        let bars = market.bars(symbol, Every::Minute, None, 10).await.unwrap();
        assert_eq!((bars[0].bar.vwap().to_string(), bars[0].bar.trades), ("10.1".to_owned(), 7));
    };
    has_all(&first).await;
    assert_eq!(market.quote(&second), None);
    assert!(market.follow(&second) && !market.follow(&third), "there is room for one");
    assert!(!market.follow(&"MUCH.TOO.LONG".parse().unwrap()));
    has_all(&second).await;
    assert_eq!(market.feeds()[0].reconnects, 0);
    stop.cancel();
}
