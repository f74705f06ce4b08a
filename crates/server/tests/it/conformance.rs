//! The desk in Alpaca's words is a broker like any other: the connector to Alpaca trades on it, by a key.

use std::sync::{Arc, Mutex};

use alpaca::AssetClass;
use async_trait::async_trait;
use connectors::alpaca::{Client, Credentials, Settings};
use domain::{AccountId, Clock as _, Money, Permission, Price, Symbol, SystemClock, Timestamp};
use trading::conformance::{Stage, conforms};
use trading::{Broker, OrderLimits, PaperSettings};

use crate::desk::{Desk, SetUp, btc};

struct Facade {
    desk: Mutex<Desk>,
    account: AccountId,
    broker: Arc<dyn Broker>,
}

#[async_trait]
impl Stage for Facade {
    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn account(&self) -> AccountId {
        self.account
    }

    fn symbol(&self) -> Symbol {
        btc()
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    async fn quote(&self, bid: Price, ask: Price) {
        self.desk.lock().unwrap().quote(&bid.to_string(), &ask.to_string());
    }
}

/// A desk with the connector to Alpaca before it.
async fn connected() -> (Desk, Client) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Alpaca takes no commission, and has no limit of its own on what an order may be worth.
    let limits = OrderLimits { max_notional: Money(1_000_000_000.into()), ..OrderLimits::default() };
    let (desk, owner) = Desk::with_owner_and(SetUp {
        limits,
        paper: PaperSettings::with_fee_bps(0.into()),
        ..SetUp::default()
    })
    .await;
    let key = desk.key(&owner, Permission::OF_KEYS).await;
    let url = format!("http://{}/alpaca", desk.listen().await);
    let credentials = Credentials { key_id: key.id, secret: key.secret.into() };
    (desk, Client::new(Settings::new(url, credentials)).unwrap())
}

#[tokio::test]
async fn a_desk_in_alpacas_words_conforms() {
    let (desk, client) = connected().await;
    let (account, broker) = (desk.paper, client.broker());
    conforms(&Facade { desk: Mutex::new(desk), account, broker }).await;
}

#[tokio::test]
async fn what_the_connector_asks_of_alpaca_a_desk_can_answer() {
    let (desk, client) = connected().await;
    let clock = client.clock().await.unwrap();
    assert!(clock.next_open.at > clock.timestamp.at && clock.next_close.at > clock.timestamp.at);
    let days = client.calendar("2026-11-25", "2026-11-28").await.unwrap();
    let days: Vec<String> = days.iter().map(|day| format!("{} {}", day.date, day.close)).collect();
    assert_eq!(days, ["2026-11-25 16:00:00", "2026-11-27 13:00:00"], "Thanksgiving, and half a day after it");
    let assets = client.assets(&AssetClass::Crypto).await.unwrap();
    assert_eq!(assets.len(), 1);
    assert_eq!(client.asset(&btc()).await.unwrap().as_ref(), assets.first());
    assert_eq!(client.asset(&"NOPE".parse().unwrap()).await, Ok(None));
    assert_eq!(client.positions().await.unwrap(), []);
    let account = client.account().await.unwrap();
    assert_eq!((account.id, account.cash), (desk.paper.0, account.equity));
    let history = client.portfolio_history("1D", "5Min").await.unwrap();
    assert_eq!((history.timeframe.as_str(), history.timestamp.len()), ("5Min", history.equity.len()));
    assert_eq!(client.broker().corporate_actions().await, Ok(Vec::new()));
}
