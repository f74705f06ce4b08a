//! The venue's protocol over a real socket: its server at one end, the desk's client at the other.

use std::sync::Arc;
use std::time::Duration;

use domain::{AccountId, Clock as _, Order, OrderEvent, OrderId, Provenance, Reason, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use trading::{Broker, BrokerStatus, CancelFailure, PaperSettings, SubmitFailure};

use crate::PATIENCE;
use crate::desk::{DESK_KEY, DRILL_KEY, Venue, buy};

fn order(account: AccountId, quantity: &str, limit: Option<&str>, at: Timestamp) -> Order {
    let quantity_ordered = quantity.parse().unwrap();
    let id = OrderId::new(at);
    Order::accepted(id, account, buy("", quantity, limit), quantity_ordered, Provenance::of("test"), at)
}

async fn open() -> (Venue, AccountId, Arc<dyn Broker>) {
    let venue = Venue::open(PaperSettings::default()).await;
    let account = AccountId::new(venue.clock.now());
    let broker = Venue::client(venue.server.url(), DESK_KEY).broker(account);
    (venue, account, broker)
}

/// Asks without the client.
async fn raw(venue: &Venue, key: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let url = format!("{}{path}", venue.server.url());
    let request = match &body {
        Some(body) => client.post(url).json(body),
        None => client.get(url),
    };
    let answer = request.bearer_auth(key).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn refusals_arrive_with_their_reason() {
    let (venue, account, broker) = open().await;
    let now = venue.clock.now();
    let rich = order(account, "100000", Some("100"), now);
    let refused = broker.submit(&rich).await;
    assert!(
        matches!(&refused, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::InsufficientFunds),
        "{refused:?}"
    );
    let odd = order(account, "1", Some("90.001"), now);
    assert!(
        matches!(broker.submit(&odd).await, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::Price)
    );
    let good = order(account, "1", Some("90"), now);
    broker.submit(&good).await.unwrap();
    assert_eq!(broker.submit(&good).await, Err(SubmitFailure::Exists));
    let gone = broker.cancel(&order(account, "1", Some("90"), now)).await;
    assert!(matches!(gone, Err(CancelFailure::Refused(refusal)) if refusal.reason == Reason::TooLate));
    let stranger = Venue::client(venue.server.url(), "another-key").broker(account);
    let unknown = stranger.submit(&order(account, "1", Some("90"), now)).await;
    assert!(
        matches!(unknown, Err(SubmitFailure::Refused(refusal)) if refusal.reason == Reason::Unauthorized)
    );
    assert!(stranger.balances().await.is_err() && stranger.events().await.is_err());
}

#[tokio::test]
async fn a_connection_that_was_refused_is_the_only_proof_that_nothing_arrived() {
    let (venue, account, broker) = open().await;
    let wanted = order(account, "1", Some("90"), venue.clock.now());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    // Accepted by the kernel, and never by anybody.
    let silent = Venue::client(format!("http://{address}"), DESK_KEY).broker(account);
    assert!(matches!(silent.submit(&wanted).await, Err(SubmitFailure::Lost(_))));
    drop(nobody);
    assert!(matches!(silent.submit(&wanted).await, Err(SubmitFailure::NotReached(_))));
    assert_eq!(broker.find(&wanted).await, Ok(None));
}

#[tokio::test]
async fn the_stream_lives_on_heartbeats_and_ends_with_the_venue() {
    let (venue, account, broker) = open().await;
    let mut stream = broker.events().await.unwrap();
    // Longer than the watchdog's patience without an event: it is the heartbeats that keep it.
    let quiet = tokio::time::timeout(Duration::from_millis(500), stream.recv()).await;
    assert!(quiet.is_err(), "nothing is told, and nothing ends: {quiet:?}");
    broker.submit(&order(account, "1", None, venue.clock.now())).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let told = tokio::time::timeout(PATIENCE, stream.recv()).await.unwrap().unwrap();
        kinds.push(told.event.unwrap().kind().as_str());
    }
    assert_eq!(kinds, ["acknowledged", "filled"]);
    venue.stop.cancel();
    assert_eq!(tokio::time::timeout(PATIENCE, stream.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn drills_need_a_key_of_their_own_and_do_what_they_say() {
    let (venue, account, broker) = open().await;
    let mut stream = broker.events().await.unwrap();
    let bought = order(account, "2", None, venue.clock.now());
    broker.submit(&bought).await.unwrap();

    let deposit = json!({ "account": account, "amount": "500" });
    let (status, problem) = raw(&venue, DESK_KEY, "/v1/drills/deposit", Some(deposit.clone())).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthorized")));
    let before = broker.balances().await.unwrap().cash;
    assert_eq!(raw(&venue, DRILL_KEY, "/v1/drills/deposit", Some(deposit)).await.0, StatusCode::NO_CONTENT);
    assert_eq!((broker.balances().await.unwrap().cash - before).to_string(), "500");

    let fill = broker.find(&bought).await.unwrap().unwrap().fills.remove(0);
    let correct =
        json!({ "account": account, "execution_id": fill.execution_id, "price": "100", "quantity": "2" });
    assert_eq!(raw(&venue, DRILL_KEY, "/v1/drills/correct", Some(correct)).await.0, StatusCode::NO_CONTENT);
    let fill = broker.find(&bought).await.unwrap().unwrap().fills.remove(0);
    assert_eq!(fill.price.to_string(), "100");
    let bust = json!({ "account": account, "execution_id": fill.execution_id });
    assert_eq!(raw(&venue, DRILL_KEY, "/v1/drills/bust", Some(bust.clone())).await.0, StatusCode::NO_CONTENT);
    assert_eq!(
        raw(&venue, DRILL_KEY, "/v1/drills/bust", Some(bust)).await.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "once"
    );
    let mut told = Vec::new();
    while told.last() != Some(&"busted") {
        let event = tokio::time::timeout(PATIENCE, stream.recv()).await.unwrap().unwrap().event.unwrap();
        told.push(event.kind().as_str());
    }
    assert_eq!(told, ["acknowledged", "filled", "corrected", "busted"]);

    let halt = json!({ "symbol": "BTC-USD", "halted": true });
    assert_eq!(raw(&venue, DRILL_KEY, "/v1/drills/halt", Some(halt)).await.0, StatusCode::NO_CONTENT);
    let waiting = order(account, "1", None, venue.clock.now());
    broker.submit(&waiting).await.unwrap();
    assert_eq!(broker.find(&waiting).await.unwrap().unwrap().status, BrokerStatus::Open);

    let dead = json!({ "dead": true });
    assert_eq!(raw(&venue, DRILL_KEY, "/v1/drills/misbehave", Some(dead)).await.0, StatusCode::NO_CONTENT);
    assert!(matches!(broker.submit(&waiting).await, Err(SubmitFailure::Lost(_))), "not a byte is said");
    for senseless in [json!({ "hang": 1 }), json!({ "lie": 1.5 }), json!({ "lie": -0.1 })] {
        let (status, problem) = raw(&venue, DRILL_KEY, "/v1/drills/misbehave", Some(senseless.clone())).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid")),
            "{senseless}"
        );
    }
    assert_eq!(
        raw(&venue, DRILL_KEY, "/v1/drills/misbehave", Some(json!({}))).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(broker.submit(&waiting).await, Err(SubmitFailure::Exists));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_reason_and_change_nothing() {
    let (venue, account, broker) = open().await;
    let path = format!("/v1/accounts/{account}/orders");
    let good = json!({
        "client_order_id": OrderId::new(venue.clock.now()), "symbol": "BTC-USD", "side": "buy", "type": "limit",
        "time_in_force": "gtc", "quantity": "1", "limit_price": "90",
    });
    for (field, value) in [
        ("client_order_id", json!("mine")),
        ("symbol", json!("btc usd")),
        ("quantity", json!("NaN")),
        ("quantity", json!(1)),
        ("quantity", json!("1e3")),
        ("limit_price", json!("Infinity")),
        ("side", json!("hold")),
        ("type", json!(null)),
        ("trail_percent", json!("-")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let (status, problem) = raw(&venue, DESK_KEY, &path, Some(body)).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid")),
            "{field}: {value}"
        );
    }
    let mut huge = good.clone();
    huge["note"] = json!("x".repeat(100_000));
    assert_eq!(raw(&venue, DESK_KEY, &path, Some(huge)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(raw(&venue, DESK_KEY, "/v1/accounts/me/balances", None).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(raw(&venue, DESK_KEY, "/v2", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(broker.open_orders().await, Ok(vec![]));
    let (status, placed) = raw(&venue, DESK_KEY, &path, Some(good)).await;
    assert_eq!((status, placed["broker_order_id"].as_str()), (StatusCode::CREATED, Some("P-1")));
}

#[tokio::test]
async fn everything_that_is_asked_says_what_the_venue_itself_says() {
    let (venue, account, broker) = open().await;
    let truth = venue.venue.broker(account);
    for (quantity, limit) in [("1", None), ("2", Some("90")), ("0.5", Some("105"))] {
        broker.submit(&order(account, quantity, limit, venue.clock.now())).await.unwrap();
    }
    let epoch = Timestamp::UNIX_EPOCH;
    assert_eq!(broker.open_orders().await, truth.open_orders().await);
    assert_eq!(broker.balances().await, truth.balances().await);
    let executions = broker.executions(epoch).await.unwrap();
    assert_eq!(executions, truth.executions(epoch).await.unwrap());
    assert!(executions.iter().all(|execution| matches!(execution.event, OrderEvent::Filled(_))));
    assert_eq!(executions.len(), 2);
    let profile = broker.profile();
    assert_eq!((profile.name, profile.refuses_duplicates), ("paper", true));
}
