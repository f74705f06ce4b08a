//! Somebody who places orders on the one account there is.

use domain::Decimal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::running::{PATIENCE, Running, Session};

/// Places orders on the one account there is.
pub(crate) struct Trader {
    pub(crate) session: Session,
    pub(crate) account: String,
    /// Far enough below the market to rest, near enough to be allowed.
    resting: String,
}

impl Trader {
    pub(crate) async fn new(session: Session) -> Self {
        let account = session.account().await;
        let quote = session.until_quoted("BTC-USD").await;
        let ask: Decimal = quote["ask"].as_str().unwrap().parse().unwrap();
        let resting = (ask * Decimal::new(8, 1)).round_dp(0).to_string();
        let trader = Self { session, account, resting };
        trader.until_ready().await;
        trader
    }

    pub(crate) fn at(&self, desk: &Running) -> Self {
        let (account, resting) = (self.account.clone(), self.resting.clone());
        Self { session: self.session.at(desk), account, resting }
    }

    pub(crate) fn wish(&self, name: &str) -> Value {
        json!({
            "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "type": "limit", "time_in_force": "gtc",
            "quantity": "0.0001", "limit_price": self.resting,
        })
    }

    pub(crate) async fn place(&self, name: &str) -> String {
        let (status, order) = self.try_place(self.wish(name)).await;
        assert_eq!(status, StatusCode::CREATED, "{order}");
        order["id"].as_str().unwrap().to_owned()
    }

    /// What the desk says to an order.
    pub(crate) async fn try_place(&self, order: Value) -> (StatusCode, Value) {
        let path = format!("/accounts/{}/orders", self.account);
        self.session.call(Method::POST, &path, Some(order)).await.unwrap()
    }

    /// A purchase that is filled at once.
    pub(crate) async fn buy(&self, name: &str) {
        let mut order = self.wish(name);
        order["type"] = "market".into();
        order.as_object_mut().unwrap().remove("limit_price");
        let asked = async {
            loop {
                match self.try_place(order.clone()).await {
                    (StatusCode::CREATED | StatusCode::OK, order) => return order,
                    // The next quote is on its way.
                    (_, answer) if answer["rule"] == "no_quote" => {}
                    (status, answer) => panic!("{name}: {status} {answer}"),
                }
            }
        };
        let order = tokio::time::timeout(PATIENCE, asked).await.expect("the order is taken");
        self.until(order["id"].as_str().unwrap(), "filled").await;
    }

    pub(crate) async fn cancel(&self, order: &str) {
        let path = format!("/orders/{order}/cancel");
        let (status, answer) = self.session.call(Method::POST, &path, Some(json!({}))).await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        self.until(order, "canceled").await;
    }

    pub(crate) async fn until(&self, order: &str, status: &str) {
        self.session.until(&format!("/orders/{order}"), |answer| answer["status"] == status).await;
    }

    pub(crate) async fn until_ready(&self) {
        let path = format!("/accounts/{}", self.account);
        self.session.until(&path, |state| state["state"] == "ready").await;
    }
}
