//! Fifty orders of every kind, replaced and canceled, by clients that repeat whatever was not answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use domain::{Clock as _, Decimal, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::books::Books;
use crate::running::Session;

/// What the clients were told. Whoever repeats is told in the end: nothing stays open.
#[derive(Default)]
pub(crate) struct Told {
    /// Orders that were accepted, with the desk's ids.
    accepted: BTreeMap<String, String>,
    /// Their names, with when a client heard of it, in microseconds since 1970.
    pub(crate) heard: Vec<(String, i64)>,
    /// Orders that were refused, with the reason: nothing of them may be there.
    pub(crate) refused: BTreeMap<String, String>,
    /// The desk's ids of orders that are to be canceled.
    canceled: BTreeSet<String>,
    /// Requests that were not answered at first.
    pub(crate) unanswered: usize,
}

impl Told {
    /// What was acknowledged is there, what was refused is not, and what was to be canceled is at its end.
    pub(crate) fn compare(&self, books: &Books) {
        for (name, id) in &self.accepted {
            let order = books.orders.get(name);
            assert!(
                order.is_some_and(|order| order.id == *id),
                "{name} was acknowledged as {id}, there is {order:?}"
            );
        }
        for (name, why) in &self.refused {
            assert!(!books.orders.contains_key(name), "{name} was refused and is there: {why}");
        }
        for order in books.orders.values().filter(|order| self.canceled.contains(&order.id)) {
            assert!(
                AT_AN_END.contains(&order.status.as_str()),
                "the cancel of {} was acknowledged: {}",
                order.id,
                order.status
            );
        }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.len()
    }
}

/// What a client does.
enum Act {
    Place(Value),
    /// The order of this name gets other terms.
    Replace(String, Value),
    Cancel(String),
    /// Nothing, until the order is at its end.
    Wait(String),
}

/// What a client trades.
#[derive(Clone)]
pub(crate) struct Instrument {
    pub(crate) symbol: &'static str,
    pub(crate) quantity: &'static str,
    /// Where its market is.
    pub(crate) ask: Decimal,
}

/// So many orders are accepted in a round, those that replace others among them.
pub(crate) const ROUND: usize = 7;

/// What one client does in one round, in order.
fn round(name: &str, instrument: &Instrument) -> Vec<Act> {
    let Instrument { symbol, quantity, ask } = instrument;
    let at = |hundredths: i64| (*ask * Decimal::new(hundredths, 2)).round_dp(0).to_string();
    let order = |nth: &str, rest: Value| {
        let mut order = json!({
            "client_order_id": format!("{name}-{nth}"), "symbol": symbol, "side": "buy", "type": "market",
            "time_in_force": "gtc", "quantity": quantity,
        });
        order.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Act::Place(order)
    };
    let named = |nth: &str| format!("{name}-{nth}");
    vec![
        order("market", json!({})),
        order("taken", json!({ "type": "limit", "limit_price": at(103), "time_in_force": "ioc" })),
        order("limit", json!({ "type": "limit", "limit_price": at(90) })),
        order("stop", json!({ "type": "stop", "stop_price": at(108) })),
        order(
            "bracket",
            json!({
                "class": "bracket",
                "take_profit": { "limit_price": at(108) },
                "stop_loss": { "stop_price": at(92) },
            }),
        ),
        Act::Replace(named("limit"), json!({ "client_order_id": named("lower"), "limit_price": at(89) })),
        Act::Cancel(named("stop")),
        order("too-large", json!({ "quantity": "100000" })),
        // It would meet a purchase of ours that is on its way.
        Act::Wait(named("market")),
        Act::Wait(named("taken")),
        order("sell", json!({ "side": "sell" })),
        Act::Wait(named("sell")),
        Act::Cancel(named("lower")),
    ]
}

/// A client of the desk, whichever desk is there.
pub(crate) struct Client {
    /// The desk that runs; after one that died, the next.
    desks: watch::Receiver<Session>,
    account: String,
    told: Arc<Mutex<Told>>,
    /// Rings when a desk answers again and again that it cannot.
    of_no_use: Arc<Notify>,
    /// So often a desk is asked again that says so.
    tries: usize,
}

impl Client {
    pub(crate) fn new(
        desks: watch::Receiver<Session>,
        account: &str,
        told: &Arc<Mutex<Told>>,
        of_no_use: &Arc<Notify>,
        tries: usize,
    ) -> Self {
        let (account, told, of_no_use) = (account.to_owned(), told.clone(), of_no_use.clone());
        Self { desks, account, told, of_no_use, tries }
    }

    /// Places about so many orders, whose names begin with `name`.
    pub(crate) async fn trade(mut self, name: String, orders: usize, instrument: Instrument) {
        let rounds = (0..orders.div_ceil(ROUND)).map(|nth| round(&format!("{name}-{nth}"), &instrument));
        for act in rounds.flatten() {
            self.perform(act).await;
        }
    }

    async fn perform(&mut self, act: Act) {
        match act {
            Act::Place(order) => {
                let path = format!("/accounts/{}/orders", self.account);
                self.order(Method::POST, path, order).await;
            }
            Act::Replace(name, terms) => {
                let Some(id) = self.id_of(&name) else { return };
                self.until(&id, |status| !["accepted", "submitting", "unknown"].contains(&status)).await;
                self.order(Method::PATCH, format!("/orders/{id}"), terms).await;
            }
            Act::Cancel(name) => {
                let Some(id) = self.id_of(&name) else { return };
                let (status, _) =
                    self.ask(Method::POST, &format!("/orders/{id}/cancel"), Some(json!({}))).await;
                if status == StatusCode::ACCEPTED {
                    self.told.lock().unwrap().canceled.insert(id);
                }
            }
            Act::Wait(name) => {
                let Some(id) = self.id_of(&name) else { return };
                self.until(&id, |status| AT_AN_END.contains(&status)).await;
            }
        }
    }

    /// Cancels everything that is open.
    pub(crate) async fn cancel_all(&mut self) {
        let path = format!("/accounts/{}/orders/cancel-all", self.account);
        let (status, answer) = self.ask(Method::POST, &path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }

    async fn order(&mut self, method: Method, path: String, order: Value) {
        let name = order["client_order_id"].as_str().unwrap().to_owned();
        let (status, answer) = self.ask(method, &path, Some(order)).await;
        let mut told = self.told.lock().unwrap();
        if status.is_success() {
            told.heard.push((name.clone(), SystemClock.now().as_microsecond()));
            told.accepted.insert(name, answer["id"].as_str().unwrap().to_owned());
        } else {
            told.refused.insert(name, format!("{status} {answer}"));
        }
    }

    fn id_of(&self, name: &str) -> Option<String> {
        self.told.lock().unwrap().accepted.get(name).cloned()
    }

    /// Waits until an order stands as wished for.
    async fn until(&mut self, id: &str, wished: impl Fn(&str) -> bool) {
        loop {
            let (_, order) = self.ask(Method::GET, &format!("/orders/{id}"), None).await;
            if wished(order["status"].as_str().unwrap()) {
                return;
            }
        }
    }

    /// Waits until it is known what became of every order.
    pub(crate) async fn until_quiet(&mut self) {
        loop {
            let (_, open) = self.ask(Method::GET, "/orders?status=open&limit=1000", None).await;
            let (_, account) = self.ask(Method::GET, &format!("/accounts/{}", self.account), None).await;
            if open["items"].as_array().unwrap().iter().all(at_rest) && account["state"] == "ready" {
                return;
            }
        }
    }

    /// Asks until there is an answer. A desk that cannot see its account yet is asked again, too, and one that says that
    /// something went wrong, a few times.
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut tries = 0;
        loop {
            let desk = self.desks.borrow_and_update().clone();
            match desk.call(method.clone(), path, body.clone()).await {
                Ok((StatusCode::SERVICE_UNAVAILABLE, answer)) if answer["code"] == "account_blind" => {
                    tokio::task::yield_now().await;
                }
                Ok((_, answer)) if answer["rule"] == "no_quote" => tokio::task::yield_now().await,
                Ok((status, answer))
                    if !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT =>
                {
                    return (status, answer);
                }
                Ok(_) if tries < self.tries => {
                    tries += 1;
                    tokio::task::yield_now().await;
                    self.told.lock().unwrap().unanswered += 1;
                }
                // What became of it, nobody has said. The next desk will.
                unanswered => {
                    if unanswered.is_ok() {
                        self.of_no_use.notify_one();
                    }
                    self.told.lock().unwrap().unanswered += 1;
                    self.desks.changed().await.unwrap();
                }
            }
        }
    }
}

const AT_AN_END: [&str; 5] = ["canceled", "filled", "expired", "rejected", "replaced"];

/// Whether nothing more becomes of an open order while the market stays where it is.
fn at_rest(order: &Value) -> bool {
    // Filled at once, or as soon as there is the next quote.
    let is_due = order["type"] == "market" || order["time_in_force"] == "ioc";
    match order["status"].as_str().unwrap() {
        "working" | "partially_filled" => !is_due,
        // The take-profit of a bracket stays with the desk. The stop-loss does not, once there is something to protect.
        "held" => order["leg"] == "take_profit",
        _ => false,
    }
}
