//! The live view: one handle for everybody who wants to know the market.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use domain::{Clock, Decimal, Every, Instrument, Price, Quantity, Quote, Symbol, Timestamp, Trade};
use indexmap::IndexMap;
use storage::{Database, StorageError};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::{BarView, Day, FeedStatus, MarketEvent};
use crate::feed::{Board, Feed};
use crate::tape::Tape;
use crate::{Settings, keeper, normaliser, store};

/// The market as the desk sees it now. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Market {
    pub(crate) desk: Arc<Desk>,
}

/// Events a slow listener may be behind before it loses the oldest.
const BACKLOG: usize = 8_192;
/// Symbols that may be learnt. A recording has some hundreds.
const MOST_LEARNT: usize = 4_096;
/// Bars of the past that are told one by one.
const MOST_TOLD: usize = 200;

/// What all handles and feeds share.
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) ahead_ms: i64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Option<Database>,
    tapes: RwLock<IndexMap<Symbol, SharedTape>>,
    boards: RwLock<Vec<Arc<Board>>>,
    /// What feeds that can choose are to follow. It only grows.
    followed: watch::Sender<Vec<Symbol>>,
    /// What is nobody's feed: the storing.
    pub(crate) counters: crate::Counters,
    events: broadcast::Sender<MarketEvent>,
}

/// The tape of a symbol. Held for the length of one event or one look, never across a wait.
#[derive(Clone, Debug)]
pub(crate) struct SharedTape(Arc<Mutex<Tape>>);

impl SharedTape {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Market {
    /// A market without a database: nothing is stored, and bars are published when
    /// [`Self::publish_bars`] is called.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self::build(settings, clock, None)
    }

    /// A market that continues where the database ends, publishes changed bars four times a second and stores them
    /// once a second, until `stop`. Wait for the task to be sure that the last of them are stored.
    ///
    /// # Errors
    /// The stored bars cannot be read.
    pub async fn start(
        settings: Settings,
        database: Database,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>), StorageError> {
        let market = Self::build(settings, clock, Some(database.clone()));
        for symbol in market.symbols() {
            for every in Every::ALL {
                let bars = store::load(&database, &symbol, every, None, keeper::IN_MEMORY).await?;
                market.with_tape(&symbol, |tape| tape.series_mut(every).put(bars, false));
            }
        }
        let keeper = tokio::spawn(keeper::run(market.clone(), database, stop));
        Ok((market, keeper))
    }

    fn build(settings: Settings, clock: Arc<dyn Clock>, database: Option<Database>) -> Self {
        let (events, _) = broadcast::channel(BACKLOG);
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let chosen = settings.chosen.as_ref().map_or(&[][..], |chosen| &chosen.symbols);
        let instruments = settings.instruments.iter().cloned().chain(chosen.iter().map(followed));
        let mut tapes = IndexMap::new();
        for instrument in instruments {
            let tape = |instrument: Instrument| shared(Tape::new(instrument, millis(settings.lateness)));
            tapes.entry(instrument.symbol.clone()).or_insert_with(|| tape(instrument));
        }
        let desk = Desk {
            followed: watch::Sender::new(chosen.to_vec()),
            ahead_ms: millis(settings.ahead),
            settings,
            clock,
            database,
            tapes: RwLock::new(tapes),
            boards: RwLock::default(),
            counters: crate::Counters::default(),
            events,
        };
        Self { desk: Arc::new(desk) }
    }

    /// A way in for a connector. Give each connector a name of its own.
    pub fn feed(&self, name: &str) -> Feed {
        let board = Arc::new(Board::new(name, self.desk.clock.now()));
        self.desk.boards.write().unwrap_or_else(PoisonError::into_inner).push(board.clone());
        Feed::new(self.desk.clone(), board)
    }

    /// All symbols: those configured, in their order, then those learnt.
    pub fn symbols(&self) -> Vec<Symbol> {
        self.desk.tapes.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The instrument of a symbol; `None` when the desk does not list it.
    pub fn instrument(&self, symbol: &Symbol) -> Option<Instrument> {
        self.with_tape(symbol, |tape| tape.instrument.clone())
    }

    /// The latest quote. It may be crossed, one-sided or old: see [`Self::last_quote`] for its age.
    pub fn quote(&self, symbol: &Symbol) -> Option<Quote> {
        self.last_quote(symbol).map(|(quote, _)| quote)
    }

    /// The latest quote and when it arrived, by our clock.
    pub fn last_quote(&self, symbol: &Symbol) -> Option<(Quote, Timestamp)> {
        self.with_tape(symbol, |tape| tape.last_quote().cloned())?
    }

    /// The trade that arrived last.
    pub fn last_trade(&self, symbol: &Symbol) -> Option<Arc<Trade>> {
        self.with_tape(symbol, |tape| tape.last_trade().cloned())?
    }

    /// Recent trades in order of arrival, newest first; at most 1,000 are kept.
    pub fn recent_trades(&self, symbol: &Symbol, limit: usize) -> Vec<Arc<Trade>> {
        self.with_tape(symbol, |tape| tape.recent_trades(limit)).unwrap_or_default()
    }

    /// The price that the symbol has: of the last trade, or of the last bar when there was no trade since the start.
    pub fn last_price(&self, symbol: &Symbol) -> Option<Price> {
        self.with_tape(symbol, |tape| {
            let trade = tape.last_trade().map(|trade| trade.price);
            trade.or_else(|| tape.series(Every::Minute).bars(None, 1).pop().map(|view| view.bar.close))
        })?
    }

    /// The last 24 hours; `None` when the desk does not list the symbol.
    pub fn day(&self, symbol: &Symbol) -> Option<Day> {
        let day_ago = self.desk.clock.now() - std::time::Duration::from_secs(24 * 3_600);
        let minutes = self.with_tape(symbol, |tape| tape.series(Every::Minute).bars(None, usize::MAX))?;
        let begin = minutes.partition_point(|view| view.bar.start_at < day_ago);
        let volume = minutes.iter().skip(begin).map(|view| view.bar.volume).sum();
        let before = begin.checked_sub(1).and_then(|index| minutes.get(index));
        let change = before.zip(self.last_price(symbol)).and_then(|(before, last)| {
            last.0.checked_div(before.bar.close.0).map(|ratio| (ratio - Decimal::ONE).round_dp(6))
        });
        Some(Day { change, volume })
    }

    /// The last `limit` bars that start before `before`, oldest first: from memory, and beyond it from the database.
    ///
    /// A window without a trade has no bar. Empty when the desk does not list the symbol.
    ///
    /// # Errors
    /// The database had to be asked and failed.
    pub async fn bars(
        &self,
        symbol: &Symbol,
        every: Every,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<BarView>, StorageError> {
        let Some(recent) = self.with_tape(symbol, |tape| tape.series(every).bars(before, limit)) else {
            return Ok(Vec::new());
        };
        let missing = limit - recent.len();
        let Some(database) = self.desk.database.as_ref().filter(|_| missing > 0) else { return Ok(recent) };
        let before = recent.first().map(|view| view.bar.start_at).or(before);
        let stored = store::load(database, symbol, every, before, missing).await?;
        let stored = stored.into_iter().map(|bar| BarView { bar, is_final: true });
        Ok(stored.chain(recent).collect())
    }

    /// How the feeds are doing.
    pub fn feeds(&self) -> Vec<FeedStatus> {
        let boards = self.desk.boards.read().unwrap_or_else(PoisonError::into_inner);
        boards.iter().map(|board| board.status()).collect()
    }

    /// Everything from here on. Who falls behind by some thousands of events is told so by the channel
    /// and takes a snapshot.
    pub fn subscribe(&self) -> broadcast::Receiver<MarketEvent> {
        self.desk.events.subscribe()
    }

    /// Lists a symbol, and has it followed from now on, if a feed could have it and there is room for one more. Whether the
    /// desk lists it now.
    pub fn follow(&self, symbol: &Symbol) -> bool {
        if self.desk.tape(symbol).is_some() {
            return true;
        }
        let Some(chosen) = self.desk.settings.chosen.as_ref().filter(|chosen| (chosen.could_have)(symbol))
        else {
            return false;
        };
        self.desk.followed.send_if_modified(|list| {
            let is_new = !list.contains(symbol);
            if is_new && list.len() < chosen.symbols.len() + chosen.most_more {
                self.desk.list(followed(symbol));
                list.push(symbol.clone());
                return true;
            }
            false
        });
        self.desk.tape(symbol).is_some()
    }

    /// What feeds that can choose are to follow, now and whenever it becomes more.
    pub fn followed(&self) -> watch::Receiver<Vec<Symbol>> {
        self.desk.followed.subscribe()
    }

    /// Puts in bars that a vendor tells of the past: where there is none, and in place of those for which the desk did not
    /// hear all trades. They are stored, and told if they are few: of many at once a page takes a snapshot.
    pub fn fill(&self, symbol: &Symbol, every: Every, bars: Vec<domain::Bar>) {
        let bars: Vec<_> = bars.into_iter().filter(normaliser::is_believable).collect();
        let publish = bars.len() <= MOST_TOLD;
        self.with_tape(symbol, |tape| tape.series_mut(every).fill(bars, publish));
    }

    /// Puts in bars of the past that are known from elsewhere, where there is none yet. They are stored.
    pub fn seed(&self, symbol: &Symbol, every: Every, bars: Vec<domain::Bar>) {
        self.with_tape(symbol, |tape| tape.series_mut(every).put(bars, true));
    }

    /// Tells subscribers which bars have changed since the last call.
    pub fn publish_bars(&self) {
        for (symbol, tape) in self.desk.all_tapes() {
            for every in Every::ALL {
                let changes = tape.lock().series_mut(every).take_changes();
                for change in changes {
                    let crate::series::Change { bar, is_final, amendment } = change;
                    let symbol = symbol.clone();
                    let update = crate::BarUpdate { symbol, every, bar, is_final, amendment };
                    self.desk.tell(|| MarketEvent::Bar(Arc::new(update)));
                }
            }
        }
    }

    /// Stores the bars that have changed since the last time. What cannot be stored is counted and due again.
    ///
    /// The market that [`Self::start`] has started does it by itself; without a database nothing happens.
    pub async fn store_bars(&self) {
        if let Some(database) = &self.desk.database {
            keeper::store_changes(self, database).await;
        }
    }

    /// What was counted that is no feed's doing: the storing.
    pub fn counters(&self) -> &crate::Counters {
        &self.desk.counters
    }

    fn with_tape<T>(&self, symbol: &Symbol, look: impl FnOnce(&mut Tape) -> T) -> Option<T> {
        self.desk.tape(symbol).map(|tape| look(&mut tape.lock()))
    }
}

impl Desk {
    pub(crate) fn all_tapes(&self) -> Vec<(Symbol, SharedTape)> {
        let tapes = self.tapes.read().unwrap_or_else(PoisonError::into_inner);
        tapes.iter().map(|(symbol, tape)| (symbol.clone(), tape.clone())).collect()
    }

    pub(crate) fn tape(&self, symbol: &Symbol) -> Option<SharedTape> {
        self.tapes.read().unwrap_or_else(PoisonError::into_inner).get(symbol).cloned()
    }

    /// The tape of a symbol, new if the settings allow that; `None` when the symbol is not listed.
    pub(crate) fn tape_or_learn(&self, symbol: &Symbol) -> Option<SharedTape> {
        if let Some(tape) = self.tape(symbol) {
            return Some(tape);
        }
        let mut tapes = self.tapes.write().unwrap_or_else(PoisonError::into_inner);
        if !self.settings.learn || tapes.len() >= MOST_LEARNT {
            return None;
        }
        let tape = self.new_tape(learnt(symbol));
        tapes.insert(symbol.clone(), tape.clone());
        Some(tape)
    }

    fn new_tape(&self, instrument: Instrument) -> SharedTape {
        let lateness_ms = i64::try_from(self.settings.lateness.as_millis()).unwrap_or(i64::MAX);
        shared(Tape::new(instrument, lateness_ms))
    }

    /// Lists an instrument, if it is not there.
    fn list(&self, instrument: Instrument) {
        let mut tapes = self.tapes.write().unwrap_or_else(PoisonError::into_inner);
        let symbol = instrument.symbol.clone();
        tapes.entry(symbol).or_insert_with(|| self.new_tape(instrument));
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Tells subscribers, if there are any.
    pub(crate) fn tell(&self, event: impl FnOnce() -> MarketEvent) {
        if self.has_listeners() {
            // The last listener may have left just now.
            let _ = self.events.send(event());
        }
    }
}

fn shared(tape: Tape) -> SharedTape {
    SharedTape(Arc::new(Mutex::new(tape)))
}

/// An instrument of which only the symbol is known.
fn learnt(symbol: &Symbol) -> Instrument {
    let (base, quote) = symbol.as_str().split_once('-').unwrap_or((symbol.as_str(), ""));
    let smallest = Decimal::new(1, 8);
    Instrument {
        symbol: symbol.clone(),
        base: base.to_owned(),
        quote: quote.to_owned(),
        price_increment: Price(smallest),
        quantity_increment: Quantity(smallest),
    }
}

/// An instrument that is followed: in the finest steps that anybody has, and paid in dollars where it does not say.
fn followed(symbol: &Symbol) -> Instrument {
    let finest = Decimal::new(1, 9);
    let learnt = learnt(symbol);
    let quote = if symbol.is_pair() { learnt.quote } else { "USD".to_owned() };
    Instrument { quote, price_increment: Price(finest), quantity_increment: Quantity(finest), ..learnt }
}
