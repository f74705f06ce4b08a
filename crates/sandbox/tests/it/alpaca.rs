//! What is particular about Alpaca: credentials that die, one stream for each account, lists by pages, words it does not
//! explain.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    AccountId, Clock as _, Order, OrderEvent, OrderId, Price, Provenance, Quantity, Reason, Symbol, Timestamp,
};
use sandbox::{AlpacaServer, AlpacaSettings};
use tokio::sync::mpsc;
use trading::{Broker, BrokerEvent, BrokerStatus, CancelFailure, PaperSettings, SubmitFailure};

use crate::PATIENCE;
use crate::desk::{ALPACA_KEY, ALPACA_SECRET, Venue, buy, instrument, symbol};

/// An account at the venue that speaks Alpaca's words.
struct Stage {
    venue: Venue,
    server: AlpacaServer,
    account: AccountId,
    client: connectors::alpaca::Client,
    broker: Arc<dyn Broker>,
}

impl Stage {
    async fn open() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(change: impl FnOnce(AlpacaSettings) -> AlpacaSettings) -> Self {
        let venue = Venue::open(PaperSettings::with_fee_bps(0.into())).await;
        let account = AccountId::new(venue.clock.now());
        let settings = AlpacaSettings {
            instruments: vec![instrument()],
            ..AlpacaSettings::loopback(account, ALPACA_KEY, ALPACA_SECRET)
        };
        let server = venue.alpaca(change(settings)).await;
        let client = Venue::alpaca_client(server.url());
        let broker = client.broker();
        Self { venue, server, account, client, broker }
    }

    fn order(&self, quantity: &str, limit: Option<&str>) -> Order {
        let (now, quantity_ordered) = (self.venue.clock.now(), quantity.parse().unwrap());
        let wish = buy("", quantity, limit);
        Order::accepted(OrderId::new(now), self.account, wish, quantity_ordered, Provenance::of("test"), now)
    }

    /// Places orders at the venue itself, past Alpaca.
    async fn place_many(&self, count: usize, quantity: &str, limit: Option<&str>) {
        let venue = self.venue.venue.broker(self.account);
        for _ in 0..count {
            venue.submit(&self.order(quantity, limit)).await.unwrap();
        }
    }
}

async fn next(stream: &mut mpsc::Receiver<BrokerEvent>) -> Option<BrokerEvent> {
    tokio::time::timeout(PATIENCE, stream.recv()).await.unwrap()
}

#[tokio::test]
async fn credentials_that_die_blind_the_account_and_renewed_ones_open_its_eyes() {
    let stage = Stage::open().await;
    let mut stream = stage.broker.events().await.unwrap();
    stage.server.accept_key(false);
    let order = stage.order("1", Some("90"));
    let refused = stage.broker.submit(&order).await;
    assert!(
        matches!(&refused, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::Unauthorized),
        "{refused:?}"
    );
    // An account that cannot ask must not be taken for one that sees.
    assert_eq!(next(&mut stream).await, None, "the stream is hung up");
    for why in [stage.broker.events().await.err(), stage.broker.balances().await.err()] {
        let why = why.unwrap().to_string();
        assert!(why.contains("credentials") && why.contains("renewed"), "{why}");
        assert!(!why.contains(ALPACA_SECRET), "{why}");
    }
    stage.server.accept_key(true);
    let secret = ALPACA_SECRET.to_owned().into();
    let renewed = connectors::alpaca::Credentials { key_id: ALPACA_KEY.into(), secret };
    stage.client.renew(renewed).unwrap();
    let mut stream = stage.broker.events().await.unwrap();
    stage.broker.submit(&order).await.unwrap();
    assert!(matches!(next(&mut stream).await.unwrap().event, Some(OrderEvent::Acknowledged { .. })));
}

#[tokio::test]
async fn a_second_connection_is_told_apart_and_not_fought_over() {
    let stage = Stage::with(|settings| AlpacaSettings { max_streams: 1, ..settings }).await;
    let mut stream = stage.broker.events().await.unwrap();
    let other = Venue::alpaca_client(stage.server.url()).broker();
    let why = other.events().await.unwrap_err().to_string();
    assert!(why.contains("another connection"), "{why}");
    let begun = std::time::Instant::now();
    let again = other.events().await.unwrap_err().to_string();
    assert!(again.contains("tried again in"), "it is left alone: {again}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    // The first one hears all the same.
    stage.broker.submit(&stage.order("1", Some("90"))).await.unwrap();
    assert!(next(&mut stream).await.is_some());
}

#[tokio::test]
async fn what_is_not_understood_is_asked_for_and_what_is_no_message_ends_the_stream() {
    let stage = Stage::open().await;
    let mut stream = stage.broker.events().await.unwrap();
    let order = stage.order("1", Some("90"));
    let id = stage.broker.submit(&order).await.unwrap();
    next(&mut stream).await.unwrap();
    for told in [
        format!(r#"{{"event":"moon_phase","order":{{"id":"{id}","client_order_id":"{}"}}}}"#, order.id),
        format!(
            r#"{{"event":"fill","price":"NaN","qty":"1","order":{{"id":"{id}","client_order_id":"{}"}}}}"#,
            order.id
        ),
    ] {
        stage.server.say(format!(r#"{{"stream":"trade_updates","data":{told}}}"#));
        let event = next(&mut stream).await.unwrap();
        assert_eq!((event.client_order_id, event.event), (order.id.to_string(), None));
    }
    stage.server.say(r#"{"stream":"weather","data":{}}"#);
    stage.server.say("<html>");
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn corrections_and_busts_are_told_and_listed() {
    let stage = Stage::open().await;
    let begun_at = stage.venue.clock.now();
    let mut stream = stage.broker.events().await.unwrap();
    let order = stage.order("2", None);
    stage.broker.submit(&order).await.unwrap();
    let venue = stage.venue.venue.clone();
    let execution = loop {
        let found = venue.broker(stage.account).executions(begun_at).await.unwrap();
        if let Some(OrderEvent::Filled(fill)) = found.into_iter().next().map(|one| one.event) {
            break fill.execution_id;
        }
    };
    let (price, quantity): (Price, Quantity) = ("100".parse().unwrap(), "2".parse().unwrap());
    venue.correct(stage.account, &execution, price, quantity).await.unwrap();
    let found = stage.broker.find(&order).await.unwrap().unwrap();
    assert_eq!(found.fills.iter().map(|fill| fill.price).collect::<Vec<_>>(), [price]);
    venue.bust(stage.account, &found_id(&venue, &stage, begun_at).await).await.unwrap();
    let found = stage.broker.find(&order).await.unwrap().unwrap();
    assert_eq!(found.fills, []);
    let mut told = Vec::new();
    while told.last() != Some(&"busted") {
        told.push(next(&mut stream).await.unwrap().event.unwrap().kind().as_str());
    }
    assert_eq!(told, ["acknowledged", "filled", "corrected", "busted"]);
    let listed = stage.broker.executions(begun_at).await.unwrap();
    let kinds: Vec<_> = listed.iter().map(|one| one.event.kind().as_str()).collect();
    assert_eq!(kinds, ["filled", "corrected", "busted"]);
}

/// The id under which the venue knows the execution that stands.
async fn found_id(venue: &trading::PaperVenue, stage: &Stage, since: Timestamp) -> String {
    let executions = venue.broker(stage.account).executions(since).await.unwrap();
    let last = executions.into_iter().rev().find_map(|one| match one.event {
        OrderEvent::Corrected { by, .. } => Some(by.execution_id),
        _ => None,
    });
    last.unwrap()
}

#[tokio::test]
async fn lists_longer_than_a_page_are_read_to_their_end() {
    let stage = Stage::open().await;
    let begun_at = stage.venue.clock.now();
    stage.place_many(120, "0.001", None).await;
    stage.place_many(510, "0.001", Some("90")).await;
    let executions = stage.broker.executions(begun_at).await.unwrap();
    assert_eq!(executions.len(), 120);
    let open = stage.broker.open_orders().await.unwrap();
    assert_eq!(open.len(), 510);
    assert!(open.iter().all(|order| order.status == BrokerStatus::Open));
}

#[tokio::test]
async fn refusals_arrive_with_their_reason() {
    let stage = Stage::open().await;
    let broker = &stage.broker;
    let reason = |answer: Result<String, SubmitFailure>| match answer {
        Err(SubmitFailure::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(broker.submit(&stage.order("100000", Some("98"))).await), Reason::InsufficientFunds);
    assert_eq!(reason(broker.submit(&stage.order("1", Some("90.001"))).await), Reason::Price);
    let mut sale = stage.order("1", Some("110"));
    sale.request.side = domain::Side::Sell;
    let sold = reason(broker.submit(&sale).await);
    assert!(matches!(sold, Reason::NotShortable | Reason::InsufficientQuantity), "{sold}");
    let mut foreign = stage.order("1", Some("90"));
    foreign.request.symbol = "NOPE".parse::<Symbol>().unwrap();
    assert_eq!(reason(broker.submit(&foreign).await), Reason::NotTradable);

    let filled = stage.order("1", None);
    broker.submit(&filled).await.unwrap();
    let late = stage.order("1", Some("91"));
    assert_eq!(reason(broker.replace(&filled, &late).await), Reason::TooLate, "replace on filled");
    assert_eq!(broker.find(&late).await, Ok(None));
    for gone in [&filled, &late] {
        let canceled = broker.cancel(gone).await;
        assert!(
            matches!(&canceled, Err(CancelFailure::Refused(refusal)) if refusal.reason == Reason::TooLate),
            "{canceled:?}"
        );
    }
}

#[tokio::test]
async fn the_account_the_clock_and_the_assets_are_read() {
    let stage = Stage::open().await;
    let account = stage.client.account().await.unwrap();
    assert_eq!((account.cash.to_string(), account.id), ("100000".to_owned(), stage.account.0));
    assert!(stage.client.clock().await.unwrap().is_open);
    let assets = stage.client.assets(&alpaca::AssetClass::Crypto).await.unwrap();
    assert_eq!(assets.iter().map(|asset| asset.symbol.as_str()).collect::<Vec<_>>(), ["BTC/USD"]);
    stage.broker.submit(&stage.order("0.5", None)).await.unwrap();
    let balances = stage.broker.balances().await.unwrap();
    assert_eq!(balances.positions, [(symbol(), "0.5".parse().unwrap())]);
    assert_eq!(stage.client.positions().await.unwrap()[0].avg_entry_price.to_string(), "101");
    let wrong = Venue::alpaca_client(stage.server.url());
    let secret = "another".to_owned().into();
    wrong.renew(connectors::alpaca::Credentials { key_id: ALPACA_KEY.into(), secret }).unwrap();
    let refused = wrong.account().await.unwrap_err();
    assert!(matches!(refused, connectors::alpaca::Failure::Refused { status: 401, .. }), "{refused}");
}

#[tokio::test]
async fn a_connection_that_was_refused_is_the_only_proof_that_nothing_arrived() {
    let stage = Stage::open().await;
    let wanted = stage.order("1", Some("90"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    // Accepted by the kernel, and never by anybody.
    let silent = Venue::alpaca_client(format!("http://{address}")).broker();
    assert!(matches!(silent.submit(&wanted).await, Err(SubmitFailure::Lost(_))));
    drop(nobody);
    assert!(matches!(silent.submit(&wanted).await, Err(SubmitFailure::NotReached(_))));
    assert_eq!(stage.broker.find(&wanted).await, Ok(None));
}
