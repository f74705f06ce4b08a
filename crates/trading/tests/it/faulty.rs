//! A broker connection that loses, delays and repeats on request, in front of a real venue. It keeps a ledger of what
//! it was asked to send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::{Order, OrderId, Quantity, Timestamp};
use tokio::sync::{Notify, mpsc};
use trading::{
    Balances, Broker, BrokerEvent, BrokerOrder, BrokerUnreachable, CancelFailure, CorporateAction, Execution,
    Profile, SubmitFailure,
};

/// What goes wrong with the next submission (or, from then on, with the stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The venue gets the order, the desk no answer.
    LoseAnswer,
    /// The venue does not get the order, and the desk cannot know.
    LoseRequest,
    /// The connection is refused before a byte was written.
    NotReached,
    /// The call does not return, and the order has not arrived.
    HangBefore,
    /// The call does not return, and the order has arrived.
    HangAfter,
    /// From now on the stream looks healthy and tells nothing, until it is cut.
    SwallowEvents,
    /// From now on the stream tells everything twice.
    RepeatEvents,
}

#[derive(Default)]
struct Script {
    faults: VecDeque<Fault>,
    sent: Vec<OrderId>,
    down: bool,
    swallow: bool,
    repeat: bool,
    /// What the venue holds more than it traded, and why.
    more: Quantity,
    actions: Vec<CorporateAction>,
}

/// The connection.
pub(crate) struct Faulty {
    inner: Arc<dyn Broker>,
    profile: Profile,
    script: Arc<Mutex<Script>>,
    cut: Arc<Notify>,
}

impl Faulty {
    /// `takes_doubles`: as a broker without an idempotency key, to which nothing may be sent a second time.
    pub(crate) fn new(inner: Arc<dyn Broker>, takes_doubles: bool) -> Self {
        let profile = Profile { refuses_duplicates: !takes_doubles, ..inner.profile().clone() };
        Self { inner, profile, script: Arc::default(), cut: Arc::default() }
    }

    pub(crate) fn expect(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut script = self.script.lock().unwrap();
        for fault in faults {
            match fault {
                Fault::SwallowEvents => script.swallow = true,
                Fault::RepeatEvents => script.repeat = true,
                fault => script.faults.push_back(fault),
            }
        }
    }

    pub(crate) fn sent(&self) -> Vec<OrderId> {
        self.script.lock().unwrap().sent.clone()
    }

    pub(crate) fn down(&self, down: bool) {
        self.script.lock().unwrap().down = down;
    }

    /// From now on so many units more than were traded are held, and this is why.
    pub(crate) fn hold_more(&self, more: Quantity, actions: Vec<CorporateAction>) {
        let mut script = self.script.lock().unwrap();
        (script.more, script.actions) = (more, actions);
    }

    pub(crate) fn cut_stream(&self) {
        self.script.lock().unwrap().swallow = false;
        self.cut.notify_waiters();
    }

    fn reachable(&self) -> Result<(), BrokerUnreachable> {
        match self.script.lock().unwrap().down {
            true => Err(BrokerUnreachable("connection refused".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Broker for Faulty {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    async fn submit(&self, order: &Order) -> Result<String, SubmitFailure> {
        let (fault, down) = {
            let mut script = self.script.lock().unwrap();
            if !script.down {
                script.sent.push(order.id);
            }
            (script.faults.pop_front(), script.down)
        };
        if down {
            return Err(SubmitFailure::NotReached("connection refused".into()));
        }
        match fault {
            Some(Fault::NotReached) => return Err(SubmitFailure::NotReached("connection refused".into())),
            Some(Fault::LoseRequest) => return Err(SubmitFailure::Lost("connection reset".into())),
            Some(Fault::HangBefore) => return std::future::pending().await,
            _ => {}
        }
        let answer = self.inner.submit(order).await;
        match fault {
            Some(Fault::LoseAnswer) => Err(SubmitFailure::Lost("connection reset".into())),
            Some(Fault::HangAfter) => std::future::pending().await,
            _ => answer,
        }
    }

    async fn cancel(&self, order: &Order) -> Result<(), CancelFailure> {
        self.reachable().map_err(|error| CancelFailure::Unreachable(error.to_string()))?;
        self.inner.cancel(order).await
    }

    async fn replace(&self, order: &Order, by: &Order) -> Result<String, SubmitFailure> {
        self.reachable().map_err(|error| SubmitFailure::NotReached(error.to_string()))?;
        let fault = self.script.lock().unwrap().faults.pop_front();
        if fault == Some(Fault::LoseRequest) {
            return Err(SubmitFailure::Lost("connection reset".into()));
        }
        let answer = self.inner.replace(order, by).await;
        if fault == Some(Fault::LoseAnswer) {
            return Err(SubmitFailure::Lost("connection reset".into()));
        }
        answer
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerUnreachable> {
        self.reachable()?;
        self.inner.open_orders().await
    }

    async fn find(&self, order: &Order) -> Result<Option<BrokerOrder>, BrokerUnreachable> {
        self.reachable()?;
        self.inner.find(order).await
    }

    async fn executions(&self, since: Timestamp) -> Result<Vec<Execution>, BrokerUnreachable> {
        self.reachable()?;
        self.inner.executions(since).await
    }

    async fn balances(&self) -> Result<Balances, BrokerUnreachable> {
        self.reachable()?;
        let mut balances = self.inner.balances().await?;
        let more = self.script.lock().unwrap().more;
        for (_, quantity) in &mut balances.positions {
            *quantity += more;
        }
        Ok(balances)
    }

    async fn corporate_actions(&self) -> Result<Vec<CorporateAction>, BrokerUnreachable> {
        Ok(self.script.lock().unwrap().actions.clone())
    }

    async fn events(&self) -> Result<mpsc::Receiver<BrokerEvent>, BrokerUnreachable> {
        self.reachable()?;
        let mut upstream = self.inner.events().await?;
        let (events, stream) = mpsc::channel(1024);
        let (script, cut) = (self.script.clone(), self.cut.clone());
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    () = cut.notified() => return,
                    event = upstream.recv() => event,
                };
                let Some(event) = event else { return };
                let (swallow, repeat) = {
                    let script = script.lock().unwrap();
                    (script.swallow, script.repeat)
                };
                for _ in 0..(if swallow { 0 } else { 1 + usize::from(repeat) }) {
                    if events.send(event.clone()).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(stream)
    }
}
