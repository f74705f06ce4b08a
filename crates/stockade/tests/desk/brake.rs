//! The kill switch from outside: by command, by signal, and asked for while the desk is down.

use domain::Decimal;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::running::{Home, Running, Session};

/// A desk with one order that works.
struct Trading {
    session: Session,
    account: String,
    /// Far enough below the market to rest, near enough to be allowed.
    resting: String,
}

impl Trading {
    async fn on(desk: &Running) -> Self {
        let session = desk.set_up().await;
        let account = session.account().await;
        let quote = session.until_quoted("BTC-USD").await;
        let ask: Decimal = quote["ask"].as_str().unwrap().parse().unwrap();
        let resting = (ask * Decimal::new(8, 1)).round_dp(0).to_string();
        session.until(&format!("/accounts/{account}"), |state| state["state"] == "ready").await;
        Self { session, account, resting }
    }

    async fn place(&self, name: &str) -> (StatusCode, Value) {
        let order = json!({
            "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "type": "limit", "time_in_force": "gtc",
            "quantity": "0.0001", "limit_price": self.resting,
        });
        let orders = format!("/accounts/{}/orders", self.account);
        self.session.call(Method::POST, &orders, Some(order)).await.unwrap()
    }

    async fn until_working(&self, order: &Value) {
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        self.session.until(&path, |order| order["status"] == "working").await;
    }

    /// Nothing works any more, and nothing new is taken.
    async fn is_stopped(&self, by: &str) {
        let empty = |answer: &Value| answer["items"].as_array().unwrap().is_empty();
        self.session.until("/orders?status=open", empty).await;
        let (status, problem) = self.place("after").await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("kill_switch")), "{problem}");
        let switches = self.session.get("/kill-switches").await;
        let scopes: Vec<String> =
            switches["items"].as_array().unwrap().iter().map(|one| one["scope"].to_string()).collect();
        assert!(scopes.iter().any(|scope| scope.contains(by)), "{scopes:?}");
    }
}

#[tokio::test]
async fn a_command_stops_one_person_by_name() {
    let home = Home::new();
    let desk = home.start().await;
    let trading = Trading::on(&desk).await;
    let (status, order) = trading.place("works").await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    trading.until_working(&order).await;
    let (good, said) = home.run(&["kill", "user/nobody"]).await;
    assert!(!good && said.contains("there is no user \"nobody\""), "{said}");
    let (good, said) = home.run(&["kill", "user/owner", "--reason", "lost laptop"]).await;
    assert!(good && said.contains("is engaged"), "{said}");
    trading.is_stopped("user").await;
    let rows = trading.session.all("/audit?search=lost%20laptop").await;
    assert!(!rows.is_empty(), "the reason is in the audit log");
    assert!(desk.stop().await);
}

#[tokio::test]
async fn a_signal_stops_the_desk_and_a_restart_does_not_release_it() {
    let home = Home::new();
    let desk = home.start().await;
    let trading = Trading::on(&desk).await;
    let (_, order) = trading.place("works").await;
    trading.until_working(&order).await;
    desk.signal(Signal::USR1);
    let pulled = |answer: &Value| !answer["items"].as_array().unwrap().is_empty();
    trading.session.until("/kill-switches", pulled).await;
    trading.is_stopped("desk").await;
    desk.kill().await;
    let desk = home.start().await;
    let trading = Trading { session: trading.session.at(&desk), ..trading };
    trading.is_stopped("desk").await;
    assert!(desk.stop().await);
}

#[tokio::test]
async fn what_is_asked_for_while_the_desk_is_down_holds_from_its_start() {
    let home = Home::new();
    let desk = home.start().await;
    let trading = Trading::on(&desk).await;
    let (_, order) = trading.place("works").await;
    trading.until_working(&order).await;
    desk.kill().await;
    let (good, said) = home.run(&["kill", "account/Paper"]).await;
    assert!(good && said.contains("when it starts"), "{said}");
    let desk = home.start().await;
    let trading = Trading { session: trading.session.at(&desk), ..trading };
    trading.is_stopped("account").await;
    assert!(desk.stop().await);
}
