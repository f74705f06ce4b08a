//! A desk that is to die at a certain place, and what became of everything once the next desk had looked after it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Decimal;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::watch;

use crate::books::Books;
use crate::pair::{Venue, pair};
use crate::running::{Home, Running, Session};
use crate::scenario::{Client, Told, at_rest};

const CLIENTS: usize = 2;
/// No scenario takes longer, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A desk and its venue, which lives through everything; one desk after the other dies.
pub(crate) struct Ground {
    pub(crate) desks: Home,
    pub(crate) venues: Home,
    pub(crate) venue: Venue,
    session: Session,
    account: String,
    ask: Decimal,
    told: Arc<Mutex<Told>>,
    /// Desks that died.
    pub(crate) kills: usize,
}

impl Ground {
    /// A desk that was set up in peace and stopped.
    pub(crate) async fn new() -> Self {
        let (venues, venue, desks) = pair().await;
        let desk = desks.start().await;
        let session = desk.set_up().await;
        let account = session.account().await;
        let ask = session.until_quoted("BTC-USD").await["ask"].as_str().unwrap().parse().unwrap();
        assert!(desk.stop().await, "SIGTERM is a good end");
        Self { desks, venues, venue, session, account, ask, told: Arc::default(), kills: 0 }
    }

    /// Runs about so many orders, whose names begin with `name`, through a desk that is to die of how it was started, and
    /// through its heir. Says whether it died.
    pub(crate) async fn live_through(&mut self, name: &str, orders: usize, doomed: Command) -> bool {
        self.live_with(name, orders, doomed, |_| {}).await
    }

    /// The same, with a look at the doomed desk before the first order.
    pub(crate) async fn live_with(
        &mut self,
        name: &str,
        orders: usize,
        doomed: Command,
        prepare: impl FnOnce(&Running),
    ) -> bool {
        let mut desk = Running::try_spawn(doomed).await;
        let died_at_start = desk.is_none();
        let first = match desk.take() {
            Some(desk) => {
                prepare(&desk);
                desk
            }
            None => self.desks.start().await,
        };
        let (desks, current) = watch::channel(self.session.at(&first));
        let mut clients = tokio::task::JoinSet::new();
        for nth in 0..CLIENTS {
            let client = Client::new(current.clone(), &self.account, &self.told);
            clients.spawn(client.trade(format!("{name}.{nth}"), orders / CLIENTS, self.ask));
        }
        let mut cleaner = Client::new(current, &self.account, &self.told);
        clients.spawn(async move { cleaner.cancel_all().await });

        let mut running = first;
        let trading = async {
            let died = tokio::select! {
                signal = running.ended() => {
                    assert_eq!(signal, Some(rustix::process::Signal::KILL.as_raw()), "{name}: the desk ended by itself");
                    true
                }
                () = all(&mut clients) => false,
            };
            if died {
                running = self.desks.start().await;
                desks.send_replace(self.session.at(&running));
                all(&mut clients).await;
            }
            (died, running)
        };
        let (died, running) =
            tokio::time::timeout(PATIENCE, trading).await.unwrap_or_else(|_| panic!("{name} never ended"));
        self.settle(name, running).await;
        let died = died || died_at_start;
        self.kills += usize::from(died);
        died
    }

    /// Lets the desk find out what became of everything, and compares.
    async fn settle(&self, name: &str, desk: Running) {
        let session = self.session.at(&desk);
        let settled = |answer: &Value| answer["items"].as_array().unwrap().iter().all(at_rest);
        session.until("/orders?status=open&limit=1000", settled).await;
        session.until(&format!("/accounts/{}", self.account), |state| state["state"] == "ready").await;
        assert!(desk.stop().await, "{name}: SIGTERM is a good end");

        let books = Books::read(&self.desks.database(), &self.venues.file("paper.db")).await;
        println!("{name}: {} orders, {} fills", books.orders.len(), books.fills());
        books.check();
        self.told.lock().unwrap().compare(&books);
        let (good, report) = self.desks.run(&["audit", "verify"]).await;
        assert!(good, "{name}: {report}");
    }

    /// Says what it was.
    pub(crate) fn summary(&self) -> String {
        let told = self.told.lock().unwrap();
        format!(
            "{} desks died; {} orders accepted, {} refused, {} requests unanswered at first; nothing lost, nothing twice",
            self.kills,
            told.accepted(),
            told.refused.len(),
            told.unanswered
        )
    }
}

async fn all(clients: &mut tokio::task::JoinSet<()>) {
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

/// So many numbers from 1 to `last`, evenly spread, the first and the last among them.
pub(crate) fn spread(count: usize, last: usize) -> impl Iterator<Item = usize> {
    let count = count.clamp(1, last);
    (0..count).map(move |nth| 1 + nth * (last - 1) / (count - 1).max(1))
}
