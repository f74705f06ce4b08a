//! A desk that is to die at a certain place, and what became of everything once the next desk had looked after it.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::books::Books;
use crate::pair::{Venue, pair};
use crate::running::{Home, Running, Session};
use crate::scenario::{Client, Instrument, ROUND, Told};

/// No scenario takes longer, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A desk that has not done in this time what takes seconds waits for something that it does not get.
const HOPELESS: Duration = Duration::from_secs(15);
/// So often a desk is asked again that says that something went wrong.
const TRIES: usize = 3;

/// How a doomed desk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Died,
    /// It answered that it cannot, or not at all, and was killed for that.
    WasOfNoUse,
    /// It had no reason to die, and was stopped.
    Lived,
}

/// A desk and its venue, which lives through everything; one desk after the other dies.
pub(crate) struct Ground {
    pub(crate) desks: Home,
    pub(crate) venues: Home,
    pub(crate) venue: Venue,
    session: Session,
    account: String,
    /// What is traded: each by a client of its own, as orders of one account must not meet.
    instruments: Vec<Instrument>,
    told: Arc<Mutex<Told>>,
    /// A desk that says that something is wrong, or takes long, is waited for: it is not the one to blame.
    pub(crate) is_patient: bool,
    /// Desks that died.
    pub(crate) kills: usize,
    /// How long each desk after one that died took until it listened.
    restarts: Vec<Duration>,
}

impl Ground {
    /// A desk that was set up in peace and stopped.
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    /// The same with its database at an address; `None`: in its home.
    pub(crate) async fn on(database_url: Option<String>) -> Self {
        let (venues, venue, mut desks) = pair().await;
        desks.database_url = database_url;
        let desk = desks.start().await;
        let session = desk.set_up().await;
        let account = session.account().await;
        let mut instruments = Vec::new();
        for (symbol, quantity) in [("BTC-USD", "0.0002"), ("ETH-USD", "0.01")] {
            let quote = session.until_quoted(symbol).await;
            let ask = quote["ask"].as_str().unwrap().parse().unwrap();
            instruments.push(Instrument { symbol, quantity, ask });
        }
        assert!(desk.stop().await, "SIGTERM is a good end");
        let told = Arc::default();
        let (is_patient, kills, restarts) = (false, 0, Vec::new());
        Self { desks, venues, venue, session, account, instruments, told, is_patient, kills, restarts }
    }

    /// Runs about so many orders, whose names begin with `name`, through a desk that is to die of how it was started, and
    /// through its heir. Says how it ended.
    pub(crate) async fn live_through(&mut self, name: &str, orders: usize, doomed: Command) -> End {
        self.live_with(name, orders, doomed, |_| {}).await
    }

    /// The same, with a look at the doomed desk before the first order.
    pub(crate) async fn live_with(
        &mut self,
        name: &str,
        orders: usize,
        doomed: Command,
        prepare: impl FnOnce(&Running),
    ) -> End {
        let desk = Running::try_spawn(doomed).await;
        let died_at_start = desk.is_none();
        let mut running = match desk {
            Some(desk) => {
                prepare(&desk);
                desk
            }
            None => self.desks.start().await,
        };
        let (desks, current) = watch::channel(self.session.at(&running));
        let of_no_use = Arc::default();
        let (tries, hopeless) = if self.is_patient { (usize::MAX, PATIENCE) } else { (TRIES, HOPELESS) };
        let client = || Client::new(current.clone(), &self.account, &self.told, &of_no_use, tries);
        let mut clients = JoinSet::new();
        let instruments = self.instruments.iter().take(orders.div_ceil(ROUND));
        let share = orders / instruments.len();
        for (nth, instrument) in instruments.enumerate() {
            clients.spawn(client().trade(format!("{name}.{nth}"), share, instrument.clone()));
        }
        let mut cleaner = client();
        clients.spawn(async move { cleaner.cancel_all().await });
        let mut watcher = client();

        let trading = async {
            let mut work = pin!(async {
                while let Some(client) = clients.join_next().await {
                    client.unwrap();
                }
                watcher.until_quiet().await;
            });
            let end = tokio::select! {
                signal = running.ended() => {
                    assert_eq!(signal, Some(Signal::KILL.as_raw()), "{name}: the desk ended by itself");
                    End::Died
                }
                () = of_no_use.notified() => End::WasOfNoUse,
                () = tokio::time::sleep(hopeless) => End::WasOfNoUse,
                () = &mut work => End::Lived,
            };
            if end != End::Lived {
                if end == End::WasOfNoUse {
                    running.signal(Signal::KILL);
                    running.ended().await;
                }
                let begun = Instant::now();
                running = self.desks.start().await;
                self.restarts.push(begun.elapsed());
                desks.send_replace(self.session.at(&running));
                work.await;
            }
            // It may also die of its orderly end, with everything done and the last of it on the way to the disk.
            if running.stop().await {
                return end;
            }
            assert!(end == End::Lived, "{name}: SIGTERM is a good end");
            running = self.desks.start().await;
            desks.send_replace(self.session.at(&running));
            client().until_quiet().await;
            assert!(running.stop().await, "{name}: SIGTERM is a good end");
            End::Died
        };
        let in_time = tokio::time::timeout(PATIENCE, trading).await;
        let end = in_time.unwrap_or_else(|_| panic!("{name} never ended"));
        self.check(name).await;
        let end = if died_at_start { End::Died } else { end };
        self.kills += usize::from(end != End::Lived);
        end
    }

    /// Compares what clients were told, the journal, the venue's ledger and the audit log.
    async fn check(&self, name: &str) {
        let books = Books::read(&self.desks.database(), &self.venues.file("paper.db")).await;
        println!("{name}: {} orders, {} fills", books.orders.len(), books.fills());
        books.check();
        self.told.lock().unwrap().compare(&books);
        let (good, report) = self.desks.run(&["audit", "verify"]).await;
        assert!(good, "{name}: {report}");
    }

    /// The orders that were acknowledged, with when a client heard of it, in microseconds since 1970.
    pub(crate) fn acknowledged(&self) -> Vec<(String, i64)> {
        self.told.lock().unwrap().heard.clone()
    }

    /// Says what it was.
    pub(crate) fn summary(&mut self) -> String {
        self.restarts.sort();
        let restart = self.restarts.get(self.restarts.len() / 2).copied().unwrap_or_default();
        let told = self.told.lock().unwrap();
        format!(
            "{} desks died, half of the next ones listened within {restart:?}; {} orders accepted, {} refused, {} requests \
             unanswered at first; nothing lost, nothing twice",
            self.kills,
            told.accepted(),
            told.refused.len(),
            told.unanswered
        )
    }
}

/// How often a desk is killed: as often as `STOCKADE_KILLS` says, if it does.
pub(crate) fn kills(otherwise: usize) -> usize {
    std::env::var("STOCKADE_KILLS").map_or(otherwise, |text| text.parse().unwrap())
}

/// So many numbers from 1 to `last`, evenly spread, the first and the last among them.
pub(crate) fn spread(count: usize, last: usize) -> impl Iterator<Item = usize> {
    let count = count.clamp(1, last);
    (0..count).map(move |nth| 1 + nth * (last - 1) / (count - 1).max(1))
}
