//! The account as a broker.

use alpaca::{Amount, Order as AlpacaOrder, OrderRequest, Uuid};
use async_trait::async_trait;
use domain::{Order, Origin, Reason, Timestamp};
use reqwest::Method;
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use trading::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, CorporateAction, Execution,
    Profile, Refusal, SubmitFailure,
};

use super::client::Client;
use super::http::{Connection, Failure, Request, SHORT};
use super::refusal::refusal;
use super::settings::Credentials;
use super::translate::{self, Nonsense};
use super::{stream, symbol};

pub(super) struct AlpacaAccount {
    pub(super) client: Client,
}

impl Failure {
    fn submitting(self) -> SubmitFailure {
        match self {
            Self::NotReached(why) => SubmitFailure::NotReached(why),
            Self::Lost(why) => SubmitFailure::Lost(why),
            Self::Refused { status, problem } => match refusal(status, &problem) {
                Refusal { reason: Reason::Duplicate, .. } => SubmitFailure::Exists,
                refusal => SubmitFailure::Refused(refusal),
            },
        }
    }

    fn canceling(self) -> CancelFailure {
        match self {
            Self::NotReached(why) | Self::Lost(why) => CancelFailure::Unreachable(why),
            Self::Refused { status, problem } => CancelFailure::Refused(refusal(status, &problem)),
        }
    }

    pub(super) fn asking(self) -> BrokerUnreachable {
        match self {
            failure if failure.is_unauthorized() => BrokerUnreachable(
                "Alpaca no longer accepts the account's credentials: they are to be renewed".into(),
            ),
            Self::NotReached(why) | Self::Lost(why) => BrokerUnreachable(why),
            Self::Refused { status, problem } => {
                let Refusal { reason, text } = refusal(status, &problem);
                BrokerUnreachable(format!("{reason}: {text}"))
            }
        }
    }
}

fn unbelievable(error: Nonsense) -> BrokerUnreachable {
    BrokerUnreachable(error.to_string())
}

fn no_such_order() -> Refusal {
    Refusal::new(Reason::TooLate, "Alpaca has no such order")
}

impl AlpacaAccount {
    async fn change<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Failure> {
        let request = Request { method, path, connection: Connection::Kept, most: SHORT };
        let asked = self.client.shared.renewals();
        let answer = self.client.shared.http.send(request, body).await;
        self.client.noting(asked, answer)
    }

    async fn place(
        &self,
        method: Method,
        path: &str,
        order: &Order,
        body: &(impl Serialize + Sync),
    ) -> Result<String, SubmitFailure> {
        let placed: AlpacaOrder = self.change(method, path, Some(body)).await.map_err(Failure::submitting)?;
        // Something in between may have given us the answer to somebody else's question.
        if placed.client_order_id != order.id.to_string() {
            return Err(SubmitFailure::Lost("Alpaca answered for another order".to_owned()));
        }
        self.client.shared.names.learn(&placed);
        Ok(placed.id.to_string())
    }

    /// The order as Alpaca has it. One from outside the desk is known by Alpaca's id, one of ours by our own.
    async fn look_up(&self, order: &Order) -> Result<Option<AlpacaOrder>, Failure> {
        if order.provenance.origin == Origin::External {
            let Some(id) = broker_id(order) else { return Ok(None) };
            return self.client.order(id).await;
        }
        let ours = order.id.to_string();
        let found = self.client.order_called(&ours).await?;
        if found.as_ref().is_some_and(|found| found.client_order_id != ours) {
            return Err(Failure::Lost("Alpaca answered for another order".to_owned()));
        }
        Ok(found)
    }

    /// Alpaca's id of an order, asked for where it is not known yet.
    async fn id_of(&self, order: &Order) -> Result<Option<Uuid>, Failure> {
        match broker_id(order) {
            Some(id) => Ok(Some(id)),
            None => Ok(self.look_up(order).await?.map(|order| order.id)),
        }
    }
}

fn broker_id(order: &Order) -> Option<Uuid> {
    order.broker_order_id.as_deref().and_then(|id| id.parse().ok())
}

/// Whether the desk placed it: then it must be understood.
fn is_ours(order: &AlpacaOrder) -> bool {
    order.client_order_id.parse::<domain::OrderId>().is_ok()
}

#[async_trait]
impl Broker for AlpacaAccount {
    fn profile(&self) -> &Profile {
        &self.client.shared.profile
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        let body: OrderRequest = translate::request(order);
        self.place(Method::POST, "/v2/orders", order, &body).await
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        let id = self.id_of(order).await.map_err(Failure::canceling)?;
        let id = id.ok_or_else(|| CancelFailure::Refused(no_such_order()))?;
        let nothing: Option<&()> = None;
        let canceled: Result<IgnoredAny, Failure> =
            self.change(Method::DELETE, &format!("/v2/orders/{id}"), nothing).await;
        canceled.map(|_| ()).map_err(Failure::canceling)
    }

    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure> {
        let found = match self.look_up(order).await {
            Ok(found) => found.ok_or_else(|| SubmitFailure::Refused(no_such_order()))?,
            // Only a question was asked so far.
            Err(Failure::Lost(why)) => return Err(SubmitFailure::NotReached(why)),
            Err(failure) => return Err(failure.submitting()),
        };
        // Alpaca does not say whether the quantity of the new order includes what the old one has done.
        if order.filled.is_positive() || found.filled_qty.is_some_and(|filled| !filled.0.is_zero()) {
            let text = "part of it is filled: cancel it and place a new one for the rest";
            return Err(SubmitFailure::Refused(Refusal::new(Reason::TooLate, text)));
        }
        let body = translate::replacement(order, by);
        self.place(Method::PATCH, &format!("/v2/orders/{}", found.id), by, &body).await
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        let Some(found) = self.look_up(order).await.map_err(Failure::asking)? else { return Ok(None) };
        let fills = self.client.fills_of(&found).await.map_err(Failure::asking)?;
        let replaced_by = match found.replaced_by {
            Some(by) => self.client.order(by).await.map_err(Failure::asking)?.map(|by| by.client_order_id),
            None => None,
        };
        translate::order(&found, fills, replaced_by).map(Some).map_err(unbelievable)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable> {
        let orders = self.client.open_orders().await.map_err(Failure::asking)?;
        let begun = |order: &&AlpacaOrder| order.filled_qty.is_some_and(|filled| filled != Amount::ZERO);
        let oldest = orders.iter().filter(begun).map(|order| order.created_at.min(order.submitted_at)).min();
        let mut fills = match oldest {
            Some(oldest) => self.client.fills_by_order(oldest).await.map_err(Failure::asking)?,
            None => Default::default(),
        };
        let mut open = Vec::with_capacity(orders.len());
        for order in orders {
            let fills = translate::standing(fills.remove(&order.id).unwrap_or_default());
            match translate::order(&order, fills, None) {
                Ok(order) => open.push(order),
                Err(error) if is_ours(&order) => return Err(unbelievable(error)),
                Err(error) => {
                    tracing::warn!(order = %order.id, %error, "an open order at Alpaca is of a kind that the desk does not have");
                }
            }
        }
        Ok(open)
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        let activities = self.client.fills(since).await.map_err(Failure::asking)?;
        let orders = activities.iter().filter_map(|activity| activity.order_id);
        self.client.learn_names(orders).await.map_err(Failure::asking)?;
        let mut executions = Vec::with_capacity(activities.len());
        for activity in &activities {
            let Some((order, event)) = translate::activity(activity).map_err(unbelievable)? else { continue };
            let name = self.client.shared.names.of(order).unwrap_or_else(|| order.to_string());
            let is_ours = name.parse::<domain::OrderId>().is_ok();
            match translate::execution(activity, order, name, event) {
                Ok(execution) => executions.push(execution),
                Err(error) if is_ours => return Err(unbelievable(error)),
                Err(error) => {
                    tracing::warn!(activity = activity.id, %error, "an execution at Alpaca is of something the desk does not have");
                }
            }
        }
        Ok(executions)
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        let account = self.client.account().await.map_err(Failure::asking)?;
        let held = self.client.positions().await.map_err(Failure::asking)?;
        let mut positions = Vec::with_capacity(held.len());
        for position in held {
            let quantity = position.qty.quantity();
            let is_short = position.side == alpaca::PositionSide::Short && quantity.is_positive();
            match symbol::from_position(&position.symbol, &position.asset_class) {
                Ok(symbol) => positions.push((symbol, if is_short { -quantity } else { quantity })),
                Err(error) => {
                    tracing::warn!(symbol = position.symbol, %error, "a position at Alpaca is of something the desk does not have");
                }
            }
        }
        Ok(Balances { cash: account.cash.money(), positions })
    }

    async fn corporate_actions(&self) -> Result<Vec<CorporateAction>, BrokerUnreachable> {
        match self.client.corporate_actions().await {
            Ok(told) => Ok(told.iter().filter_map(translate::corporate_action).collect()),
            // Whoever does not know the question has no actions: a difference is one all the same.
            Err(Failure::Refused { status: 400 | 404 | 422, problem }) => {
                tracing::warn!(message = problem.message, "Alpaca does not tell of splits");
                Ok(Vec::new())
            }
            Err(failure) => Err(failure.asking()),
        }
    }

    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        stream::open(&self.client.shared).await
    }

    fn renew(&self, credentials: &trading::Credentials) -> Result<(), BrokerUnreachable> {
        let trading::Credentials { key_id, secret } = credentials.clone();
        self.client
            .renew(Credentials { key_id, secret })
            .map_err(|error| BrokerUnreachable(error.to_string()))
    }

    fn is_locked_out(&self) -> bool {
        self.client.is_locked_out()
    }
}
