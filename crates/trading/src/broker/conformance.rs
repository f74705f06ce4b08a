//! What every broker connection has to do, whoever is at its other end. For tests; a story that fails panics.
//!
//! A connector sets a [`Stage`]: an empty account with money, and a market that shows what it is told to. Then
//! [`conforms`] plays every story on it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, EventKind, Order, OrderEvent, OrderId, OrderRequest, Price, Provenance, Quantity, Reason,
    Side, Symbol, TimeInForce, Timestamp,
};
use tokio::sync::mpsc;

use super::{Broker, BrokerEvent, BrokerStatus, CancelFailure, SubmitFailure, Way};

/// Where the stories are played.
#[async_trait]
pub trait Stage: Sync {
    /// The account: it has at least 10,000 in cash and holds nothing.
    fn broker(&self) -> Arc<dyn Broker>;

    /// Whose it is.
    fn account(&self) -> AccountId;

    /// What is traded: in steps of 0.01 in price, and of 0.01 in quantity or finer.
    fn symbol(&self) -> Symbol;

    /// The time at the broker.
    fn now(&self) -> Timestamp;

    /// Shows a bid and an ask, with room for all orders.
    async fn quote(&self, bid: Price, ask: Price);
}

/// No story waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays every story.
pub async fn conforms(stage: &dyn Stage) {
    let story = Story { stage, broker: stage.broker() };
    story.show("99", "101").await;
    story.an_order_waits_is_found_and_is_canceled().await;
    story.an_id_is_taken_once().await;
    story.what_is_told_is_what_is_listed().await;
    story.an_order_is_replaced().await;
    story.what_cannot_be_is_refused_with_its_reason().await;
    story.what_is_not_there_is_not_found().await;
}

struct Story<'a> {
    stage: &'a dyn Stage,
    broker: Arc<dyn Broker>,
}

impl Story<'_> {
    async fn show(&self, bid: &str, ask: &str) {
        self.stage.quote(price(bid), price(ask)).await;
    }

    fn order(&self, side: Side, quantity: &str, limit_price: Option<&str>) -> Order {
        let (now, symbol) = (self.stage.now(), self.stage.symbol());
        let quantity: Quantity = quantity.parse().expect("a quantity of a story");
        let limit_price = limit_price.map(price);
        let request = OrderRequest::simple("", symbol, side, quantity, limit_price, TimeInForce::Gtc);
        let by = Provenance::of("conformance");
        Order::accepted(OrderId::new(now), self.stage.account(), request, quantity, by, now)
    }

    async fn listen(&self) -> mpsc::Receiver<BrokerEvent> {
        self.broker.events().await.expect("the stream opens")
    }

    async fn an_order_waits_is_found_and_is_canceled(&self) {
        let mut stream = self.listen().await;
        let order = self.order(Side::Buy, "1", Some("90"));
        let id = self.broker.submit(&order).await.expect("an order that waits is taken");
        let found = self.broker.find(&order).await.expect("it answers").expect("it has the order");
        assert_eq!((found.broker_order_id, found.status), (id, BrokerStatus::Open));
        assert_eq!(found.client_order_id, order.id.to_string());
        assert_eq!(
            (found.terms.quantity, found.terms.limit_price),
            (order.quantity, order.request.limit_price)
        );
        let open = self.broker.open_orders().await.expect("it answers");
        assert_eq!(open.iter().filter(|one| one.client_order_id == order.id.to_string()).count(), 1);

        self.broker.cancel(&order).await.expect("an open order can be canceled");
        let told = until(&mut stream, &order, EventKind::Canceled).await;
        assert!(told.contains(&EventKind::Acknowledged), "told before it ends: {told:?}");
        let found = self.broker.find(&order).await.expect("it answers").expect("it still knows it");
        assert_eq!(found.status, BrokerStatus::Canceled);
        match self.broker.cancel(&order).await {
            Ok(()) | Err(CancelFailure::Refused(_)) => {}
            Err(error) => panic!("an order at its end is no reason to be out of reach: {error}"),
        }
    }

    async fn an_id_is_taken_once(&self) {
        if !self.broker.profile().refuses_duplicates {
            return;
        }
        let order = self.order(Side::Buy, "1", Some("90"));
        self.broker.submit(&order).await.expect("it is taken");
        assert_eq!(self.broker.submit(&order).await, Err(SubmitFailure::Exists), "while it is open");
        let mut stream = self.listen().await;
        self.broker.cancel(&order).await.expect("it can be canceled");
        until(&mut stream, &order, EventKind::Canceled).await;
        assert_eq!(self.broker.submit(&order).await, Err(SubmitFailure::Exists), "and after its end");
    }

    async fn what_is_told_is_what_is_listed(&self) {
        let begun_at = self.stage.now();
        let before = self.broker.balances().await.expect("it answers");
        let mut stream = self.listen().await;
        let order = self.order(Side::Buy, "2", None);
        self.broker.submit(&order).await.expect("a market order is taken");
        let mut told = Vec::new();
        let mut filled = Quantity::ZERO;
        while filled < order.quantity {
            if let Some(OrderEvent::Filled(fill)) = next(&mut stream, &order).await {
                filled += fill.quantity;
                told.push(fill);
            }
        }
        assert_eq!(filled, order.quantity, "no more than was ordered");
        let found = self.broker.find(&order).await.expect("it answers").expect("it has it");
        assert_eq!((found.status, &found.fills), (BrokerStatus::Filled, &told));
        let executions = self.broker.executions(begun_at).await.expect("it answers");
        let of_the_order = executions.into_iter().filter(|one| one.client_order_id == order.id.to_string());
        let listed: Vec<_> = of_the_order
            .filter_map(|one| if let OrderEvent::Filled(fill) = one.event { Some(fill) } else { None })
            .collect();
        assert_eq!(listed, told, "the list has what the stream told");
        let after = self.broker.balances().await.expect("it answers");
        let paid = told.iter().fold(before.cash, |cash, fill| cash - fill.price * fill.quantity - fill.fee);
        assert_eq!(after.cash, paid, "cash is what it was, less prices and fees");
        let held = after.positions.iter().find(|(symbol, _)| *symbol == self.stage.symbol());
        assert!(held.is_some_and(|(_, quantity)| *quantity >= order.quantity), "what was bought is held");
    }

    async fn an_order_is_replaced(&self) {
        if self.broker.profile().replace != Way::Broker {
            return;
        }
        let mut stream = self.listen().await;
        let (old, by) = (self.order(Side::Buy, "1", Some("90")), self.order(Side::Buy, "1", Some("91")));
        self.broker.submit(&old).await.expect("it is taken");
        self.broker.replace(&old, &by).await.expect("an open order can be replaced");
        until(&mut stream, &old, EventKind::Replaced).await;
        let found = self.broker.find(&old).await.expect("it answers").expect("it knows the old one");
        assert_eq!(found.status, BrokerStatus::Replaced);
        let found = self.broker.find(&by).await.expect("it answers").expect("it has the new one");
        assert_eq!((found.status, found.terms.limit_price), (BrokerStatus::Open, by.request.limit_price));
        let late = self.order(Side::Buy, "1", Some("92"));
        let refused = self.broker.replace(&old, &late).await;
        assert!(
            matches!(refused, Err(SubmitFailure::Refused(_))),
            "what was replaced is at its end: {refused:?}"
        );
        assert_eq!(self.broker.find(&late).await, Ok(None), "and nothing came of it");
        self.broker.cancel(&by).await.expect("it can be canceled");
        until(&mut stream, &by, EventKind::Canceled).await;
    }

    async fn what_cannot_be_is_refused_with_its_reason(&self) {
        for (order, reason) in [
            (self.order(Side::Buy, "1000000", Some("98")), Reason::InsufficientFunds),
            (self.order(Side::Buy, "1", Some("90.001")), Reason::Price),
        ] {
            match self.broker.submit(&order).await {
                Err(SubmitFailure::Refused(refusal)) => {
                    assert_eq!(refusal.reason, reason, "{}", refusal.text)
                }
                other => panic!("it should be refused: {reason}: {other:?}"),
            }
            let found = self.broker.find(&order).await.expect("it answers");
            assert!(
                found.is_none_or(|order| matches!(order.status, BrokerStatus::Rejected(_))),
                "what was refused does not work"
            );
        }
    }

    async fn what_is_not_there_is_not_found(&self) {
        let order = self.order(Side::Buy, "1", Some("90"));
        assert_eq!(self.broker.find(&order).await, Ok(None));
        let canceled = self.broker.cancel(&order).await;
        assert!(matches!(canceled, Err(CancelFailure::Refused(_))), "{canceled:?}");
    }
}

fn price(text: &str) -> Price {
    text.parse().expect("a price of a story")
}

/// The next thing told about an order.
async fn next(stream: &mut mpsc::Receiver<BrokerEvent>, order: &Order) -> Option<OrderEvent> {
    let wanted = order.id.to_string();
    let telling = async {
        loop {
            let told = stream.recv().await.expect("the stream goes on");
            if told.client_order_id == wanted {
                return told.event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, telling).await.expect("the broker tells in time")
}

/// Waits until something is told about an order; everything that was told until then.
async fn until(stream: &mut mpsc::Receiver<BrokerEvent>, order: &Order, wanted: EventKind) -> Vec<EventKind> {
    let mut told = Vec::new();
    while told.last() != Some(&wanted) {
        told.extend(next(stream, order).await.map(|event| event.kind()));
    }
    told
}
