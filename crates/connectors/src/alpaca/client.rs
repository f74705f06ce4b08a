//! One account at Alpaca: questions, and what the broker is made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alpaca::{
    Account, Activity, Asset, AssetClass, CalendarDay, Clock, Order, PortfolioHistory, Position, Uuid,
};
use domain::{OrderClass, OrderEvent, OrderKind, Symbol, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trading::{Broker, Profile, Way};

use super::broker::AlpacaAccount;
use super::http::{Connection, Failure, Http, LONG, SHORT, with_query};
use super::names::Names;
use super::settings::{Credentials, Settings, UnusableSettings};
use super::symbol;
use super::translate;

/// One account at Alpaca, by its credentials. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) profile: Profile,
    pub(super) http: Http,
    pub(super) names: Names,
    pub(super) standing: Mutex<Standing>,
}

/// What is known of the connection as a whole.
#[derive(Default)]
pub(super) struct Standing {
    /// Ends the stream that is open.
    pub(super) hang_up: CancellationToken,
    /// Moves the stream that is open over to other credentials.
    pub(super) renewed: CancellationToken,
    /// How often the credentials were renewed: what Alpaca says about earlier ones proves nothing about those of now.
    pub(super) renewals: u64,
    /// Alpaca does not accept the credentials of now.
    pub(super) locked_out: bool,
    /// Somebody else has the stream: it is left alone until then.
    pub(super) conflict_until: Option<Instant>,
}

/// Orders of a page; Alpaca gives no more.
const ORDERS: usize = 500;
/// Activities of a page; Alpaca gives no more.
const ACTIVITIES: usize = 100;
/// Pages that are asked for in a row. More does not fit into the time that the order path waits.
const PAGES: usize = 50;
/// Pages of orders that are read to learn their names, newest first.
const NAME_PAGES: usize = 4;
/// Orders that are asked for one by one, for the same.
const ONE_BY_ONE: usize = 20;

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, UnusableSettings> {
        let Settings { connect_within, answer_within, .. } = settings;
        let http = Http::new(&settings.url, settings.credentials.clone(), connect_within, answer_within)?;
        let profile = profile(&settings);
        let shared = Shared { settings, profile, http, names: Names::default(), standing: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The account, as a broker.
    pub fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(AlpacaAccount { client: self.clone() })
    }

    /// Other credentials for the same account, from the next request on. What is open stays open; the stream is opened
    /// anew before the old one is left.
    ///
    /// # Errors
    /// They cannot be sent; the old ones stay.
    pub fn renew(&self, credentials: Credentials) -> Result<(), UnusableSettings> {
        let mut standing = self.shared.standing();
        self.shared.http.renew(credentials)?;
        standing.renewals += 1;
        standing.locked_out = false;
        standing.conflict_until = None;
        std::mem::take(&mut standing.renewed).cancel();
        Ok(())
    }

    /// Whether Alpaca has said that it does not accept the credentials.
    pub(super) fn is_locked_out(&self) -> bool {
        self.shared.standing().locked_out
    }

    /// What the account has and may do. Also the way to try credentials.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn account(&self) -> Result<Account, Failure> {
        self.get("/v2/account", SHORT).await
    }

    /// Whether the regular session runs.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn clock(&self) -> Result<Clock, Failure> {
        self.get("/v2/clock", SHORT).await
    }

    /// The days of trading between two days, both included, as `2026-11-25`.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn calendar(&self, from: &str, to: &str) -> Result<Vec<CalendarDay>, Failure> {
        let query = [("start", from.to_owned()), ("end", to.to_owned())];
        self.get(&with_query("/v2/calendar", query), LONG).await
    }

    /// Everything of a class that can be traded.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn assets(&self, class: &AssetClass) -> Result<Vec<Asset>, Failure> {
        let query = [("status", "active".to_owned()), ("asset_class", class.to_string())];
        self.get(&with_query("/v2/assets", query), LONG).await
    }

    /// One thing that can be traded; `None` when Alpaca does not have it.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn asset(&self, symbol: &Symbol) -> Result<Option<Asset>, Failure> {
        let name = symbol::to_alpaca(symbol).replace('/', "%2F");
        there_or_not(self.get(&format!("/v2/assets/{name}"), SHORT).await)
    }

    /// What is held.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn positions(&self) -> Result<Vec<Position>, Failure> {
        self.get("/v2/positions", LONG).await
    }

    /// What the account was worth, over a period as `1M`, in steps as `1D`.
    ///
    /// # Errors
    /// Alpaca refused, or did not answer.
    pub async fn portfolio_history(&self, period: &str, step: &str) -> Result<PortfolioHistory, Failure> {
        let query = [("period", period.to_owned()), ("timeframe", step.to_owned())];
        self.get(&with_query("/v2/account/portfolio/history", query), LONG).await
    }

    /// Asks on a connection of its own, and hangs the stream up when the credentials are no longer accepted: an account
    /// that cannot ask must not be taken for one that sees.
    pub(super) async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        most: usize,
    ) -> Result<T, Failure> {
        let asked = self.shared.renewals();
        let answer = self.shared.http.get(path, Connection::Fresh, most).await;
        self.noting(asked, answer)
    }

    /// Notes what an answer says about the credentials that were asked with.
    pub(super) fn noting<T>(&self, asked: u64, answer: Result<T, Failure>) -> Result<T, Failure> {
        let mut standing = self.shared.standing();
        if standing.renewals == asked {
            match &answer {
                Ok(_) => standing.locked_out = false,
                Err(failure) if failure.is_unauthorized() => {
                    standing.locked_out = true;
                    std::mem::take(&mut standing.hang_up).cancel();
                }
                Err(_) => {}
            }
        }
        drop(standing);
        answer
    }

    /// An order, by a path that names it; `None` when Alpaca does not have it.
    pub(super) async fn order_at(&self, path: &str) -> Result<Option<Order>, Failure> {
        let found: Option<Order> = there_or_not(self.get(path, SHORT).await)?;
        if let Some(order) = &found {
            self.shared.names.learn(order);
        }
        Ok(found)
    }

    pub(super) async fn order(&self, id: Uuid) -> Result<Option<Order>, Failure> {
        self.order_at(&format!("/v2/orders/{id}")).await
    }

    pub(super) async fn order_called(&self, client_order_id: &str) -> Result<Option<Order>, Failure> {
        let query = [("client_order_id", client_order_id.to_owned())];
        self.order_at(&with_query("/v2/orders:by_client_order_id", query)).await
    }

    /// Every order that works, oldest first, legs among them.
    pub(super) async fn open_orders(&self) -> Result<Vec<Order>, Failure> {
        let mut orders: BTreeMap<(Timestamp, Uuid), Order> = BTreeMap::new();
        let mut after: Option<Timestamp> = None;
        for _ in 0..PAGES {
            let mut query = vec![
                ("status", "open".to_owned()),
                ("limit", ORDERS.to_string()),
                ("direction", "asc".to_owned()),
                ("nested", "false".to_owned()),
            ];
            // Orders of a group have the same time: the last one of the page is asked for again.
            query.extend(after.map(|after| ("after", (after - Duration::from_micros(1)).to_string())));
            let page: Vec<Box<RawValue>> = self.get(&with_query("/v2/orders", query), LONG).await?;
            let (length, known) = (page.len(), orders.len());
            let page = readable(&page)?;
            after = page.iter().map(|order| order.submitted_at).max().or(after);
            for order in page.into_iter().flat_map(flatten) {
                self.shared.names.learn(&order);
                if !order.status.is_terminal() {
                    orders.insert((order.submitted_at, order.id), order);
                }
            }
            if length < ORDERS {
                return Ok(orders.into_values().collect());
            }
            if orders.len() == known {
                break;
            }
        }
        Err(Failure::Lost("there are more open orders than can be listed".to_owned()))
    }

    /// Executions since a moment, oldest first.
    pub(super) async fn fills(&self, since: Timestamp) -> Result<Vec<Activity>, Failure> {
        let since = since.max(self.shared.settings.history_from);
        // The moment itself is not excluded, whichever way the bound is meant.
        let after = since.checked_sub(Duration::from_millis(1)).unwrap_or(since);
        let mut activities: Vec<Activity> = Vec::new();
        for _ in 0..PAGES {
            let mut query = vec![
                ("after", after.to_string()),
                ("direction", "asc".to_owned()),
                ("page_size", ACTIVITIES.to_string()),
            ];
            query.extend(activities.last().map(|last| ("page_token", last.id.clone())));
            let page: Vec<Activity> =
                self.get(&with_query("/v2/account/activities/FILL", query), LONG).await?;
            let length = page.len();
            activities.extend(page);
            if length < ACTIVITIES {
                return Ok(activities);
            }
        }
        Err(Failure::Lost(format!("there were more than {} executions since {since}", PAGES * ACTIVITIES)))
    }

    /// The newest splits and changes of names.
    pub(super) async fn corporate_actions(&self) -> Result<Vec<Activity>, Failure> {
        let query = [
            ("activity_types", "SPLIT,SC,NC".to_owned()),
            ("direction", "desc".to_owned()),
            ("page_size", ACTIVITIES.to_string()),
        ];
        self.get(&with_query("/v2/account/activities", query), LONG).await
    }

    /// What was executed of an order, as it stands after corrections.
    pub(super) async fn fills_of(&self, order: &Order) -> Result<Vec<domain::Fill>, Failure> {
        if order.filled_qty.is_none_or(|filled| filled.0.is_zero()) {
            return Ok(Vec::new());
        }
        let mut fills = self.fills_by_order(order.created_at.min(order.submitted_at)).await?;
        Ok(translate::standing(fills.remove(&order.id).unwrap_or_default()))
    }

    /// What was executed since a moment, by order.
    pub(super) async fn fills_by_order(
        &self,
        since: Timestamp,
    ) -> Result<BTreeMap<Uuid, Vec<OrderEvent>>, Failure> {
        let mut by_order: BTreeMap<Uuid, Vec<OrderEvent>> = BTreeMap::new();
        for activity in self.fills(since).await? {
            let understood =
                translate::activity(&activity).map_err(|error| Failure::Lost(error.to_string()))?;
            if let Some((order, event)) = understood {
                by_order.entry(order).or_default().push(event);
            }
        }
        Ok(by_order)
    }

    /// Learns what orders are called by their clients. Few are asked for one by one, many at once.
    pub(super) async fn learn_names(&self, of: impl IntoIterator<Item = Uuid>) -> Result<(), Failure> {
        let names = &self.shared.names;
        let mut unknown: Vec<Uuid> = of.into_iter().filter(|id| names.of(*id).is_none()).collect();
        unknown.sort();
        unknown.dedup();
        let mut until: Option<Timestamp> = None;
        for _ in 0..NAME_PAGES {
            if unknown.len() <= ONE_BY_ONE {
                break;
            }
            let mut query = vec![("status", "all".to_owned()), ("limit", ORDERS.to_string())];
            // Orders of a group have the same time: the last one of the page is asked for again.
            query.extend(until.map(|until| ("until", (until + Duration::from_micros(1)).to_string())));
            let page: Vec<Box<RawValue>> = self.get(&with_query("/v2/orders", query), LONG).await?;
            let is_last = page.len() < ORDERS;
            let page = readable(&page)?;
            until = page.iter().map(|order| order.submitted_at).min().or(until);
            page.into_iter().flat_map(flatten).for_each(|order| names.learn(&order));
            unknown.retain(|id| names.of(*id).is_none());
            if is_last {
                break;
            }
        }
        let rest = unknown.len().saturating_sub(ONE_BY_ONE);
        for id in unknown.into_iter().take(ONE_BY_ONE) {
            self.order(id).await?;
        }
        match rest {
            0 => Ok(()),
            // Those that were learned stay learned: the next time there are fewer.
            rest => Err(Failure::Lost(format!("the names of {rest} orders are still to be asked for"))),
        }
    }
}

impl Shared {
    /// How often the credentials were renewed.
    pub(super) fn renewals(&self) -> u64 {
        self.standing().renewals
    }

    pub(super) fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The orders of a list that have the desk's shape. Others than the desk may place orders for several options at once, which
/// have neither symbol nor side; they hide nothing else of the list.
fn readable(list: &[Box<RawValue>]) -> Result<Vec<Order>, Failure> {
    #[derive(Deserialize)]
    struct Called {
        client_order_id: String,
    }
    let mut orders = Vec::with_capacity(list.len());
    for raw in list {
        match (serde_json::from_str(raw.get()), serde_json::from_str::<Called>(raw.get())) {
            (Ok(order), _) => orders.push(order),
            (Err(error), Ok(called)) if called.client_order_id.parse::<domain::OrderId>().is_err() => {
                tracing::warn!(order = called.client_order_id, %error, "an order at Alpaca is of a kind that the desk does not have");
            }
            (Err(error), _) => return Err(Failure::Lost(format!("an order that makes no sense: {error}"))),
        }
    }
    Ok(orders)
}

/// An order and those it brought with it.
fn flatten(mut order: Order) -> Vec<Order> {
    let legs = order.legs.take().unwrap_or_default();
    std::iter::once(order).chain(legs.into_iter().flat_map(flatten)).collect()
}

fn there_or_not<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Refused { status: 404, problem }) if problem.code == alpaca::code::NOT_FOUND => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn profile(settings: &Settings) -> Profile {
    Profile {
        name: "alpaca",
        kinds: |kind| match kind {
            OrderKind::Market
            | OrderKind::Limit
            | OrderKind::Stop
            | OrderKind::StopLimit
            | OrderKind::TrailingStop => Way::Broker,
        },
        times: |_| Way::Broker,
        classes: |class| match class {
            OrderClass::Simple => Way::Broker,
            // Alpaca names the legs itself, so an answer that is lost could not be found again.
            OrderClass::Bracket | OrderClass::Oco | OrderClass::Oto => Way::Desk,
        },
        lacks: super::lacks::lacks,
        notional: Way::Desk,
        extended_hours: Way::Broker,
        replace: Way::Broker,
        short: Way::Broker,
        refuses_duplicates: true,
        settle_window: settings.settle_window,
        requests_per_minute: settings.requests_per_minute,
        // A quarter at once: the rest of the minute must not be without a cancel.
        burst: (settings.requests_per_minute / 4).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_the_desk_cannot_have_hides_no_other() {
        let good = |name: &str| {
            format!(
                r#"{{"id":"0e0f7c1e-5f0c-4b53-8d0a-4f3f2e6f0a01","client_order_id":"{name}","created_at":"2026-03-02T15:00:00Z",
                "updated_at":"2026-03-02T15:00:00Z","submitted_at":"2026-03-02T15:00:00Z","symbol":"AAPL","qty":"3",
                "order_type":"limit","type":"limit","side":"buy","time_in_force":"gtc","status":"new"}}"#
            )
        };
        let odd =
            |name: &str| format!(r#"{{"id":"","client_order_id":"{name}","asset_class":"","legs":[]}}"#);
        let read = |items: &[String]| {
            let list: Vec<Box<RawValue>> = serde_json::from_str(&format!("[{}]", items.join(","))).unwrap();
            readable(&list).map(|orders| orders.len())
        };
        let ours = domain::OrderId::new(Timestamp::UNIX_EPOCH).to_string();
        assert_eq!(read(&[good("a"), odd("somebody's"), good("b")]), Ok(2));
        assert!(read(&[good("a"), odd(&ours)]).is_err(), "one of the desk's own must be understood");
        assert!(read(&["{}".to_owned()]).is_err());
    }
}
