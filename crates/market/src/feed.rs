//! Where a connector puts what its vendor says.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Decimal, Quote, Symbol, Timestamp, Trade};
use rustc_hash::FxHashMap;

use crate::events::{FeedState, FeedStatus, MarketEvent};
use crate::live::{Desk, SharedTape};
use crate::normaliser::{self, RawQuote, RawTrade, VendorBar};
use crate::{Counters, Kind};

/// One connector's way into the market. Not shared: a feed has one writer.
pub struct Feed {
    desk: Arc<Desk>,
    board: Arc<Board>,
    /// What each symbol of the vendor leads to; `Err` for those that are refused.
    tapes: FxHashMap<Box<str>, Result<(Symbol, SharedTape), Kind>>,
    /// While the desk is behind: the newest quote of each symbol, instead of all of them.
    held: Option<FxHashMap<Symbol, (Quote, i64)>>,
    arrived_at: Timestamp,
}

/// Names that a feed remembers. A vendor with more symbols than this is answered more slowly, not at all wrongly.
const MOST_SYMBOLS: usize = 16_384;

/// What the feed reports of itself, readable while it works.
#[derive(Debug)]
pub(crate) struct Board {
    name: String,
    standing: Mutex<Standing>,
    last_event_us: AtomicI64,
    latency_us: AtomicI64,
    reconnects: AtomicU64,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Standing {
    state: FeedState,
    since_at: Timestamp,
    last_error: Option<String>,
}

const NEVER: i64 = i64::MIN;

impl Board {
    pub(crate) fn new(name: &str, since_at: Timestamp) -> Self {
        let standing = Standing { state: FeedState::Connecting, since_at, last_error: None };
        Self {
            name: name.to_owned(),
            standing: Mutex::new(standing),
            last_event_us: AtomicI64::new(NEVER),
            latency_us: AtomicI64::new(NEVER),
            reconnects: AtomicU64::new(0),
            counters: Arc::default(),
        }
    }

    pub(crate) fn status(&self) -> FeedStatus {
        let known = |value: i64| (value != NEVER).then_some(value);
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        FeedStatus {
            name: self.name.clone(),
            state: standing.state,
            since_at: standing.since_at,
            last_event_at: known(self.last_event_us.load(Relaxed)).map(domain::from_micros),
            latency: known(self.latency_us.load(Relaxed))
                .map(|us| Duration::from_micros(us.max(0).unsigned_abs())),
            reconnects: self.reconnects.load(Relaxed),
            counters: self.counters.named(),
            last_error: standing.last_error.clone(),
        }
    }
}

impl Feed {
    pub(crate) fn new(desk: Arc<Desk>, board: Arc<Board>) -> Self {
        let arrived_at = desk.clock.now();
        Self { desk, board, tapes: FxHashMap::default(), held: None, arrived_at }
    }

    /// What this feed has counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.board.counters.clone()
    }

    /// Where the feed stands now, and what went wrong if anything did. Told to subscribers when it changes.
    pub fn state(&mut self, state: FeedState, error: Option<String>) {
        {
            let mut standing = self.board.standing.lock().unwrap_or_else(PoisonError::into_inner);
            if standing.state == state && error.is_none() {
                return;
            }
            if standing.state != state {
                standing.since_at = self.desk.clock.now();
                standing.state = state;
            }
            if error.is_some() {
                standing.last_error = error;
            }
        }
        self.desk.tell(|| MarketEvent::Feed(Arc::new(self.board.status())));
    }

    /// The connection was made again after it had been lost.
    pub fn reconnected(&mut self) {
        self.board.reconnects.fetch_add(1, Relaxed);
    }

    /// A frame has arrived; what follows came in it.
    pub fn frame(&mut self, arrived_at: Timestamp) {
        self.arrived_at = arrived_at;
        self.board.counters.tally(Kind::Frame);
        self.board.last_event_us.store(domain::micros(arrived_at), Relaxed);
    }

    /// Whether the desk is behind. Then only the newest quote of each symbol is kept until [`Self::catch_up`];
    /// trades are never left out.
    pub fn busy(&mut self, busy: bool) {
        if busy {
            self.held.get_or_insert_default();
        } else {
            self.catch_up();
            self.held = None;
        }
    }

    /// Puts the quotes that were held back on the tape.
    pub fn catch_up(&mut self) {
        let Some(held) = &mut self.held else { return };
        for (symbol, (quote, at_ms)) in std::mem::take(held) {
            self.accept_quote(&symbol, quote, at_ms);
        }
    }

    /// Counts something that the connector refuses by itself.
    pub fn refuse(&mut self, kind: Kind, example: impl FnOnce() -> String) {
        self.board.counters.count(kind, example);
    }

    /// Takes a trade in, or counts why not.
    pub fn trade(&mut self, raw: &RawTrade<'_>) {
        if let Err(kind) = self.try_trade(raw) {
            self.board.counters.count(kind, || format!("{raw:?}"));
        }
    }

    fn try_trade(&mut self, raw: &RawTrade<'_>) -> Result<(), Kind> {
        let (price, quantity) = normaliser::price_and_quantity(raw.price, raw.quantity)?;
        normaliser::notional(price, quantity)?;
        let arrived_ms = self.arrived_at.as_millisecond();
        let times = normaliser::times(raw.at_ms, raw.received_ms, arrived_ms, self.desk.ahead_ms)?;
        let (symbol, tape) = self.tape(raw.symbol)?;
        let (side, odd) = match raw.side {
            Some(side) => (side, None),
            None => self.desk.settings.conditions.side(raw.exchange, raw.conditions),
        };
        if let Some(odd) = odd {
            self.board.counters.count(odd, || format!("{raw:?}"));
        }
        let trade = Arc::new(Trade {
            symbol,
            price,
            quantity,
            side,
            exchange: raw.exchange,
            id: raw.id.map(Box::from),
            at: times.at,
            received_at: times.received_at,
        });
        self.put(&tape, times.at_ms, trade)
    }

    fn put(&mut self, tape: &SharedTape, at_ms: i64, trade: Arc<Trade>) -> Result<(), Kind> {
        let amendment = tape.lock().trade(at_ms, &trade)?;
        self.board.counters.tally(Kind::Trade);
        if amendment {
            self.board.counters.tally(Kind::Amendment);
        }
        self.note_latency(at_ms);
        self.desk.tell(|| MarketEvent::Trade(trade));
        Ok(())
    }

    /// Takes a quote in, or counts why not.
    pub fn quote(&mut self, raw: &RawQuote<'_>) {
        if let Err(kind) = self.try_quote(raw) {
            self.board.counters.count(kind, || format!("{raw:?}"));
        }
    }

    fn try_quote(&mut self, raw: &RawQuote<'_>) -> Result<(), Kind> {
        let (bid, ask) = (normaliser::quote_side(raw.bid)?, normaliser::quote_side(raw.ask)?);
        if bid.is_none() && ask.is_none() {
            return Err(Kind::QuoteEmpty);
        }
        let arrived_ms = self.arrived_at.as_millisecond();
        let times = normaliser::times(raw.at_ms, raw.received_ms, arrived_ms, self.desk.ahead_ms)?;
        let (symbol, tape) = self.tape(raw.symbol)?;
        let quote =
            Quote { symbol, bid, ask, exchange: raw.exchange, at: times.at, received_at: times.received_at };
        if let Some(held) = &mut self.held {
            if held.insert(quote.symbol.clone(), (quote, times.at_ms)).is_some() {
                self.board.counters.tally(Kind::QuoteDropped);
            }
            return Ok(());
        }
        self.put_on_tape(&tape, quote, times.at_ms)
    }

    fn accept_quote(&mut self, symbol: &Symbol, quote: Quote, at_ms: i64) {
        let put = self.tape(symbol.as_str()).and_then(|(_, tape)| self.put_on_tape(&tape, quote, at_ms));
        if let Err(kind) = put {
            self.board.counters.tally(kind);
        }
    }

    fn put_on_tape(&mut self, tape: &SharedTape, quote: Quote, at_ms: i64) -> Result<(), Kind> {
        let crossed = quote.is_crossed();
        let one_sided = quote.bid.is_none() || quote.ask.is_none();
        let told = self.desk.has_listeners().then(|| Arc::new(quote.clone()));
        tape.lock().quote(at_ms, quote, self.arrived_at)?;
        let counters = &self.board.counters;
        counters.tally(Kind::Quote);
        if crossed {
            counters.tally(Kind::QuoteCrossed);
        }
        if one_sided {
            counters.tally(Kind::QuoteOneSided);
        }
        self.note_latency(at_ms);
        if let Some(quote) = told {
            self.desk.tell(|| MarketEvent::Quote(quote));
        }
        Ok(())
    }

    /// Compares the vendor's minute with ours.
    ///
    /// Where the desk did not listen to the whole minute they differ, and so they may while late trades come in:
    /// it is a hint for whoever looks for lost trades, not a correction.
    pub fn vendor_bar(&mut self, bar: &VendorBar<'_>) {
        self.board.counters.tally(Kind::VendorBar);
        let tape = match self.tape(bar.symbol) {
            Ok((_, tape)) => tape,
            Err(kind) => return self.board.counters.count(kind, || format!("{bar:?}")),
        };
        let end = bar.start_ms.checked_add(1).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(end) = end else { return self.board.counters.tally(Kind::TimeOutOfRange) };
        let ours = tape.lock().series(domain::Every::Minute).bars(Some(end), 1).pop();
        let near = |ours: Decimal, theirs: Decimal| (ours - theirs).abs() <= Decimal::new(1, 9);
        let same = ours.is_some_and(|ours| {
            let ours = ours.bar;
            ours.start_at.as_millisecond() == bar.start_ms
                && (ours.open.0, ours.high.0, ours.low.0, ours.close.0)
                    == (bar.open, bar.high, bar.low, bar.close)
                && near(ours.volume.0, bar.volume)
        });
        if !same {
            // No alarm: the minute in which the desk began to listen always differs.
            self.board.counters.tally(Kind::VendorBarDiffers);
        }
    }

    /// Takes in a trade that is made of our own words already. Its side stays as it is.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn put_trade(&mut self, trade: Trade) -> Result<(), Kind> {
        normaliser::price_and_quantity(trade.price.0, trade.quantity.0)?;
        normaliser::notional(trade.price, trade.quantity)?;
        let (_, tape) = self.tape(trade.symbol.as_str())?;
        self.put(&tape, trade.at.as_millisecond(), Arc::new(trade))
    }

    /// Takes in a quote that is made of our own words already; it arrives now.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn put_quote(&mut self, quote: Quote) -> Result<(), Kind> {
        self.arrived_at = self.desk.clock.now();
        let (_, tape) = self.tape(quote.symbol.as_str())?;
        let at_ms = quote.at.as_millisecond();
        self.put_on_tape(&tape, quote, at_ms)
    }

    fn tape(&mut self, name: &str) -> Result<(Symbol, SharedTape), Kind> {
        if let Some(known) = self.tapes.get(name) {
            return known.clone();
        }
        let found = match name.parse::<Symbol>() {
            Ok(symbol) => {
                self.desk.tape_or_learn(&symbol).map(|tape| (symbol, tape)).ok_or(Kind::UnlistedSymbol)
            }
            Err(_) => Err(Kind::InvalidSymbol),
        };
        // What is not listed may be followed later.
        let may_change = found.is_err() && self.desk.settings.chosen.is_some();
        if self.tapes.len() < MOST_SYMBOLS && !may_change {
            self.tapes.insert(name.into(), found.clone());
        }
        found
    }

    /// A moving average over some fifty events.
    fn note_latency(&self, at_ms: i64) {
        let latency = domain::micros(self.arrived_at).saturating_sub(at_ms.saturating_mul(1_000));
        let average = match self.board.latency_us.load(Relaxed) {
            NEVER => latency,
            before => before + (latency - before) / 50,
        };
        self.board.latency_us.store(average, Relaxed);
    }
}
