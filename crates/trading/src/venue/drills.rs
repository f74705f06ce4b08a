//! The venue as the desk meets it: with its file, its task, its streams and its bad side.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Clock as _, ManualClock, Order, OrderEvent, OrderRequest, Price, Quantity, Quote, Reason, Side,
    TimeInForce, Timestamp,
};
use market::{Feed, Market};
use storage::{Database, Tx, query, query_scalar};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::exchange::stories::{Stage, account, generous, instrument, order};
use super::order::VenueStatus;
use super::settings::{Misbehave, PaperSettings};
use super::{PaperVenue, store};
use crate::broker::{Broker, BrokerEvent, BrokerStatus, BrokerUnreachable, CancelFailure, SubmitFailure};

/// A venue on a file in a folder of its own, quoted 99 to 101 with 5 units each, and one account.
struct Drill {
    venue: PaperVenue,
    broker: Arc<dyn Broker>,
    clock: Arc<ManualClock>,
    feed: Feed,
    stop: CancellationToken,
    folder: Arc<tempfile::TempDir>,
    settings: PaperSettings,
}

impl Drill {
    async fn begin(settings: PaperSettings) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let drill = Self::on(folder, settings).await;
        drill.venue.open_account(account(1), "1000000".parse().unwrap()).await.unwrap();
        drill
    }

    async fn on(folder: Arc<tempfile::TempDir>, settings: PaperSettings) -> Self {
        let start: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let market = Market::new(market::Settings::new(vec![instrument("BTC-USD")]), clock.clone());
        let mut feed = market.feed("test");
        feed.put_quote(quote("99", "101", start)).unwrap();
        let stop = CancellationToken::new();
        let file: PathBuf = folder.path().join("paper.db");
        let venue = PaperVenue::open(&file, &market, clock.clone(), settings.clone(), &stop).await.unwrap();
        let broker = venue.broker(account(1));
        Self { venue, broker, clock, feed, stop, folder, settings }
    }

    async fn restart(self) -> Self {
        self.stop.cancel();
        self.venue.close().await;
        Self::on(self.folder.clone(), PaperSettings { misbehave: Misbehave::default(), ..self.settings })
            .await
    }

    async fn behave(&self, how: Misbehave) {
        self.venue.misbehave(how).await.unwrap();
    }
}

fn quote(bid: &str, ask: &str, at: Timestamp) -> Quote {
    let five: Quantity = "5".parse().unwrap();
    Quote {
        symbol: "BTC-USD".parse().unwrap(),
        bid: Some((bid.parse().unwrap(), five)),
        ask: Some((ask.parse().unwrap(), five)),
        exchange: 1,
        at,
        received_at: None,
    }
}

fn buy(number: u64, quantity: &str, limit: &str) -> Order {
    let quantity: Quantity = quantity.parse().unwrap();
    let limit: Option<Price> = limit.parse().ok();
    let symbol = "BTC-USD".parse().unwrap();
    let request = OrderRequest::simple("", symbol, Side::Buy, quantity, limit, TimeInForce::Gtc);
    order(number, account(1), request, quantity)
}

async fn next(stream: &mut mpsc::Receiver<BrokerEvent>) -> Option<OrderEvent> {
    let told = tokio::time::timeout(Duration::from_secs(10), stream.recv()).await;
    told.expect("the venue tells in time").and_then(|told| told.event)
}

fn impatient(misbehave: Misbehave) -> PaperSettings {
    PaperSettings { answer_within: Duration::from_millis(50), misbehave, ..generous() }
}

#[tokio::test]
async fn what_is_told_is_on_the_disk_and_outlives_a_restart() {
    let drill = Drill::begin(generous()).await;
    let mut stream = drill.broker.events().await.unwrap();
    let (first, second) = (buy(1, "3", "105"), buy(2, "2", "98"));
    drill.broker.submit(&first).await.unwrap();
    drill.broker.submit(&second).await.unwrap();
    assert!(matches!(next(&mut stream).await, Some(OrderEvent::Acknowledged { .. })));
    assert!(
        matches!(next(&mut stream).await, Some(OrderEvent::Filled(fill)) if fill.price.to_string() == "101")
    );

    let mut drill = drill.restart().await;
    let found = drill.broker.find(&first).await.unwrap().unwrap();
    assert_eq!((found.status, found.fills.len()), (BrokerStatus::Filled, 1));
    assert_eq!(drill.broker.open_orders().await.unwrap().len(), 1);
    assert_eq!(drill.broker.submit(&first).await, Err(SubmitFailure::Exists), "ended before the restart");
    assert_eq!(drill.broker.submit(&second).await, Err(SubmitFailure::Exists), "open at the restart");
    let balances = drill.broker.balances().await.unwrap();
    assert_eq!(balances.cash.to_string(), "999697");

    // The order works on.
    let mut stream = drill.broker.events().await.unwrap();
    drill.feed.put_quote(quote("96", "97", drill.clock.now())).unwrap();
    assert!(
        matches!(next(&mut stream).await, Some(OrderEvent::Filled(fill)) if fill.price.to_string() == "98")
    );
}

#[tokio::test]
async fn executions_are_corrected_and_taken_back_even_of_orders_long_done() {
    let drill = Drill::begin(generous()).await;
    let done = buy(1, "3", "105");
    drill.broker.submit(&done).await.unwrap();
    let drill = drill.restart().await;
    let mut stream = drill.broker.events().await.unwrap();

    drill.venue.correct(account(1), "P-1-x1", "100".parse().unwrap(), "2".parse().unwrap()).await.unwrap();
    assert!(
        matches!(next(&mut stream).await, Some(OrderEvent::Corrected { by, .. }) if by.price.to_string() == "100")
    );
    let found = drill.broker.find(&done).await.unwrap().unwrap();
    assert_eq!((found.status, found.fills[0].quantity.to_string()), (BrokerStatus::Canceled, "2".to_owned()));
    assert_eq!(drill.broker.balances().await.unwrap().cash.to_string(), "999800");

    drill.venue.bust(account(1), "P-1-x2").await.unwrap();
    assert_eq!(next(&mut stream).await, Some(OrderEvent::Busted { execution_id: "P-1-x2".to_owned() }));
    assert!(drill.venue.bust(account(1), "P-1-x2").await.is_err(), "it is taken back once");
    assert_eq!(drill.broker.find(&done).await.unwrap().unwrap().fills, []);
    let kinds: Vec<_> = drill.broker.executions(Timestamp::UNIX_EPOCH).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|execution| execution.event.kind().as_str()).collect();
    assert_eq!(kinds, ["filled", "corrected", "busted"]);
    assert_eq!(drill.broker.balances().await.unwrap().cash.to_string(), "1000000");
}

#[tokio::test]
async fn a_replacement_answers_with_the_new_order_and_tells_the_old_one() {
    let drill = Drill::begin(generous()).await;
    let mut stream = drill.broker.events().await.unwrap();
    let (old, by) = (buy(1, "3", "98"), buy(2, "2", "97"));
    drill.broker.submit(&old).await.unwrap();
    assert_eq!(drill.broker.replace(&old, &by).await, Ok("P-2".to_owned()));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(next(&mut stream).await.unwrap());
    }
    assert_eq!(told[2], OrderEvent::Replaced { by: Some(by.id) });
    let found = drill.broker.find(&old).await.unwrap().unwrap();
    assert_eq!((found.status, found.replaced_by), (BrokerStatus::Replaced, Some(by.id.to_string())));
    let open = drill.broker.open_orders().await.unwrap();
    assert_eq!(open.iter().map(|order| &order.client_order_id).collect::<Vec<_>>(), [&by.id.to_string()]);
}

#[tokio::test]
async fn a_dead_venue_refuses_connections_and_cuts_its_streams() {
    let drill = Drill::begin(generous()).await;
    let mut stream = drill.broker.events().await.unwrap();
    drill.behave(Misbehave { dead: true, ..Misbehave::default() }).await;
    assert_eq!(next(&mut stream).await, None);
    let order = buy(1, "3", "98");
    assert!(matches!(drill.broker.submit(&order).await, Err(SubmitFailure::NotReached(_))));
    assert!(matches!(drill.broker.cancel(&order).await, Err(CancelFailure::Unreachable(_))));
    assert!(matches!(drill.broker.find(&order).await, Err(BrokerUnreachable(_))));
    assert!(drill.broker.events().await.is_err());

    drill.behave(Misbehave::default()).await;
    assert_eq!(drill.broker.find(&order).await, Ok(None));
    drill.broker.submit(&order).await.unwrap();
}

#[tokio::test]
async fn a_hanging_venue_does_what_it_was_asked_when_it_wakes() {
    for hang in [
        Misbehave { hang_before: 1.0, ..Misbehave::default() },
        Misbehave { hang_after: 1.0, ..Misbehave::default() },
    ] {
        let taken_at_once = hang.hang_after > 0.0;
        let drill = Drill::begin(impatient(hang)).await;
        let order = buy(1, "3", "98");
        assert!(matches!(drill.broker.submit(&order).await, Err(SubmitFailure::Lost(_))));
        assert!(drill.broker.find(&order).await.is_err(), "questions hang as well");
        let mut connection = drill.venue.db.read().await.unwrap();
        let stored = store::exists(&mut connection, account(1), &order.id.to_string()).await.unwrap();
        assert_eq!(stored, taken_at_once);
        drill.behave(Misbehave::default()).await;
        assert_eq!(drill.broker.find(&order).await.unwrap().unwrap().status, BrokerStatus::Open);
    }
}

#[tokio::test]
async fn answers_are_lost_or_refusals_as_asked() {
    let order = buy(1, "3", "98");
    let drill = Drill::begin(impatient(Misbehave { lose_answer: 1.0, ..Misbehave::default() })).await;
    assert!(matches!(drill.broker.submit(&order).await, Err(SubmitFailure::Lost(_))));
    drill.behave(Misbehave::default()).await;
    assert!(drill.broker.find(&order).await.unwrap().is_some(), "it was taken all the same");

    let drill = Drill::begin(impatient(Misbehave { rate_limited: 1.0, ..Misbehave::default() })).await;
    let refused = drill.broker.submit(&order).await;
    assert!(matches!(refused, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::RateLimited));
    drill.behave(Misbehave { unavailable: 1.0, ..Misbehave::default() }).await;
    assert!(matches!(drill.broker.submit(&order).await, Err(SubmitFailure::Lost(_))));
    drill.behave(Misbehave::default()).await;
    assert_eq!(drill.broker.find(&order).await, Ok(None), "neither was taken");
}

#[tokio::test]
async fn a_lying_venue_acknowledges_and_then_rejects() {
    let drill = Drill::begin(impatient(Misbehave { lie: 1.0, ..Misbehave::default() })).await;
    let mut stream = drill.broker.events().await.unwrap();
    let order = buy(1, "3", "105");
    drill.broker.submit(&order).await.unwrap();
    assert!(matches!(next(&mut stream).await, Some(OrderEvent::Acknowledged { .. })));
    assert!(matches!(next(&mut stream).await, Some(OrderEvent::Refused { .. })));
    let found = drill.broker.find(&order).await.unwrap().unwrap();
    assert!(matches!(found.status, BrokerStatus::Rejected(_)));
}

#[tokio::test]
async fn an_order_just_taken_is_not_listed_yet_when_lists_lag() {
    let lag = Misbehave { listing_lag: Duration::from_secs(5), ..Misbehave::default() };
    let drill = Drill::begin(impatient(lag)).await;
    let order = buy(1, "3", "98");
    drill.broker.submit(&order).await.unwrap();
    assert_eq!(drill.broker.find(&order).await, Ok(None));
    assert_eq!(drill.broker.open_orders().await, Ok(vec![]));
    drill.clock.advance(Duration::from_secs(5));
    assert!(drill.broker.find(&order).await.unwrap().is_some());
}

#[tokio::test]
async fn the_file_gives_back_exactly_what_was_stored() {
    let lines = "quote 99 x 5 101 x 5; print 100 x 1; buy 3 at 99; sell 1 stop 95 at 94; sell 1 trail 5 %; \
                 buy 8; buy 1 at 98 day ext; bust 4-1; replace 1 buy 2 at 99; buy 3 at 97; cancel 7; \
                 buy 1 at 90 ioc; halt; sell 2 at 120 of 2";
    let mut stage = Stage::new(generous(), "2026-11-20T12:00:00Z".parse().unwrap());
    lines.split("; ").map(str::trim).for_each(|line| stage.tell(line));

    let folder = tempfile::tempdir().unwrap();
    let db = Database::open_file(&folder.path().join("paper.db"), &sqlx::migrate!("./venue")).await.unwrap();
    let rows = super::Rows {
        accounts: stage.stored.accounts.clone().into_iter().collect(),
        positions: stage
            .stored
            .positions
            .iter()
            .map(|((id, symbol), held)| (*id, symbol.clone(), *held))
            .collect(),
        orders: stage.stored.orders.values().cloned().collect(),
        reports: stage.stored.reports.clone(),
        halts: stage.stored.halted.iter().map(|symbol| (symbol.clone(), true)).collect(),
    };
    db.write(move |tx: &mut Tx| Box::pin(async move { store::write(tx, &rows).await })).await.unwrap();

    let mut connection = db.read().await.unwrap();
    for order in stage.stored.orders.values() {
        let found = store::find_by_seq(&mut connection, order.seq).await.unwrap();
        assert_eq!(found.as_ref(), Some(order));
    }
    let loaded = store::load(&mut connection).await.unwrap();
    let open = stage.stored.orders.iter().filter(|(_, order)| order.status.is_open());
    let open: std::collections::BTreeMap<_, _> = open.map(|(seq, order)| (*seq, order.clone())).collect();
    assert!(open.len() > 4, "the story leaves orders open");
    assert_eq!(loaded.orders, open);
    assert_eq!(loaded.accounts, stage.stored.accounts);
    assert_eq!(loaded.positions, stage.stored.positions);
    assert_eq!(loaded.halted, stage.stored.halted);
    assert_eq!(loaded.last_seq, stage.stored.last_seq);
}

#[tokio::test]
async fn a_book_of_the_first_schema_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paper.db");
    let all = sqlx::migrate!("./venue");
    let first = sqlx::migrate::Migrator {
        migrations: all.migrations[..1].to_vec().into(),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    let old = Database::open_file(&file, &first).await.unwrap();
    let (owner, id) = (account(1), buy(1, "3", "98").id);
    let rows = [
        format!("INSERT INTO venue_accounts VALUES ('{owner}', '1000')"),
        format!(
            "INSERT INTO venue_orders VALUES ('P-7', 7, '{owner}', '{id}', 'BTC-USD', 'buy', 'limit', 'day', '3', \
             '98', '1', '0.5', 'open', 1000000)"
        ),
        format!("INSERT INTO venue_executions VALUES ('P-7-0', 'P-7', '{owner}', '98', '1', '0.1', 2000000)"),
    ];
    old.write(move |tx: &mut Tx| {
        Box::pin(async move {
            for row in rows {
                query(sqlx::AssertSqlSafe(row)).execute(tx.sql()).await?;
            }
            Ok::<_, storage::StorageError>(())
        })
    })
    .await
    .unwrap();
    old.close().await;

    let db = Database::open_file(&file, &all).await.unwrap();
    let mut connection = db.read().await.unwrap();
    let order = store::find(&mut connection, owner, &id.to_string()).await.unwrap().unwrap();
    assert_eq!((order.status, order.priority, order.fills.len()), (VenueStatus::Open, 7, 1));
    assert_eq!(order.expires_at, Some("1970-01-02T00:00:00Z".parse().unwrap()));
    assert_eq!(store::executions(&mut connection, owner, Timestamp::UNIX_EPOCH).await.unwrap().len(), 1);
    let version: i64 =
        query_scalar("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(version, 2);
}

#[test]
fn the_support_table_says_what_the_desk_has_to_do_itself() {
    use domain::{OrderClass, OrderKind};

    use crate::broker::Way;
    let profile = PaperSettings::default().profile();
    assert!(OrderKind::ALL.iter().all(|kind| (profile.kinds)(*kind) == Way::Broker));
    assert_eq!((profile.classes)(OrderClass::Bracket), Way::Desk);
    assert_eq!(profile.notional, Way::Desk);
    assert!(
        matches!((profile.times)(TimeInForce::Opg), Way::No(_)),
        "a market that never closes has no auctions"
    );
    assert!(matches!(profile.short, Way::No(_)));
}
