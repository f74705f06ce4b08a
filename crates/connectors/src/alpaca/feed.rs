//! The stream of market data: trades, quotes and minutes of shares and coins, as JSON or as MessagePack.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alpaca::{DataError, DataMessage, DataRequest, Subscriptions, msgpack};
use async_trait::async_trait;
use domain::{Clock, Symbol, TakerSide, Timestamp};
use market::{Feed, FeedState, Kind, RawQuote, RawTrade, VendorBar};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header};
use tokio_util::sync::CancellationToken;

use super::settings::{Credentials, check_url};
use super::symbol::{self, Class};
use crate::connection::{End, Patience, Protocol, Socket, keep, next_frame, say};

/// Where to listen, to what, and how patiently.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// `wss://stream.data.alpaca.markets/v2/iex` (or `/v2/sip`, `/v1beta3/crypto/us`), or `ws://` on this machine.
    pub url: String,
    /// What opens the data; those of any account do.
    pub credentials: Credentials,
    /// What of it is traded there.
    pub class: Class,
    /// What to listen to: what is of another class is left out. What comes in later is listened to from then on.
    pub symbols: watch::Receiver<Vec<Symbol>>,
    /// Counts how often Alpaca confirmed what is listened to: after each connection, and when there is more.
    pub confirmed: watch::Sender<u64>,
    /// How messages are packed.
    pub encoding: Encoding,
    /// How often the stream is asked whether it lives: markets sleep, and silence proves nothing. One that does not even
    /// answer that for three times as long is dead.
    pub ping_every: Duration,
    /// The first wait after a lost connection; each further one doubles.
    pub first_retry: Duration,
    /// No wait is longer,
    pub longest_retry: Duration,
    /// but for that after Alpaca said that another connection uses the key.
    pub conflict_pause: Duration,
}

/// How messages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As text.
    Json,
    /// As MessagePack: a third shorter.
    Msgpack,
}

impl FeedSettings {
    /// As text, with the patience that suits a vendor on the internet.
    pub fn new(
        url: impl Into<String>,
        credentials: Credentials,
        class: Class,
        symbols: watch::Receiver<Vec<Symbol>>,
    ) -> Self {
        Self {
            url: url.into(),
            credentials,
            class,
            symbols,
            confirmed: watch::Sender::new(0),
            encoding: Encoding::Json,
            ping_every: Duration::from_secs(10),
            first_retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(60),
            conflict_pause: Duration::from_secs(60),
        }
    }
}

/// Keeps `feed` supplied until `stop`, or until Alpaca refuses the key.
pub fn start(
    settings: FeedSettings,
    feed: Feed,
    clock: Arc<dyn Clock>,
    jitter_seed: u64,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let patience = Patience {
        stall_after: settings.ping_every * 3,
        ping_every: Some(settings.ping_every),
        first_retry: settings.first_retry,
        longest_retry: settings.longest_retry,
        conflict_pause: settings.conflict_pause,
    };
    keep(Stream { settings, heard: BTreeSet::new() }, patience, feed, clock, jitter_seed, stop)
}

struct Stream {
    settings: FeedSettings,
    /// What was asked for on this connection.
    heard: BTreeSet<Symbol>,
}

impl Stream {
    fn pack(&self, what: &DataRequest) -> Result<Message, End> {
        let lost = |error: serde_json::Error| End::Lost(error.to_string());
        let text = serde_json::to_string(what).map_err(lost)?;
        Ok(match self.settings.encoding {
            Encoding::Json => Message::text(text),
            Encoding::Msgpack => Message::binary(msgpack::from_json(&text).map_err(lost)?),
        })
    }

    /// Asks for what was not asked for yet; `None` when there is nothing.
    fn subscribe(&mut self) -> Result<Option<Message>, End> {
        let Self { settings, heard } = self;
        let mut names = Vec::new();
        for symbol in settings.symbols.borrow_and_update().iter() {
            if Class::of(symbol) == settings.class && heard.insert(symbol.clone()) {
                names.push(symbol::to_alpaca(symbol));
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        let names = || Some(names.clone());
        let all =
            Subscriptions { trades: names(), quotes: names(), bars: names(), ..Subscriptions::default() };
        self.pack(&DataRequest::Subscribe(all)).map(Some)
    }

    /// Waits for the word `wanted`.
    async fn expect(
        &self,
        socket: &mut Socket,
        wanted: &str,
        feed: &mut Feed,
        clock: &dyn Clock,
    ) -> Result<(), End> {
        loop {
            let frame = next_frame(socket, wanted).await?;
            for said in translate(&frame, clock.now(), feed) {
                match said {
                    Said::Success(word) if word == wanted => return Ok(()),
                    Said::Error(error) => return Err(end_of(&error)),
                    Said::Success(_) | Said::Subscribed => {}
                }
            }
        }
    }
}

#[async_trait]
impl Protocol for Stream {
    fn request(&self) -> Result<Request<()>, String> {
        check_url(&self.settings.url, ["wss", "ws"]).map_err(|error| error.to_string())?;
        self.settings.credentials.check().map_err(|error| error.to_string())?;
        let mut request =
            self.settings.url.as_str().into_client_request().map_err(|error| error.to_string())?;
        if self.settings.encoding == Encoding::Msgpack {
            let packed = HeaderValue::from_static("application/msgpack");
            request.headers_mut().insert(header::CONTENT_TYPE, packed);
        }
        Ok(request)
    }

    async fn greet(&mut self, socket: &mut Socket, feed: &mut Feed, clock: &dyn Clock) -> Result<(), End> {
        self.expect(socket, "connected", feed, clock).await?;
        let Credentials { key_id, secret } = self.settings.credentials.clone();
        say(socket, self.pack(&DataRequest::Auth { key: key_id, secret })?).await?;
        self.expect(socket, "authenticated", feed, clock).await?;
        self.heard.clear();
        match self.subscribe()? {
            Some(all) => say(socket, all).await,
            None => {
                feed.state(FeedState::Live, None);
                Ok(())
            }
        }
    }

    fn take(&mut self, frame: &Message, arrived_at: Timestamp, feed: &mut Feed) -> Option<End> {
        for said in translate(frame, arrived_at, feed) {
            if said == Said::Subscribed {
                self.settings.confirmed.send_modify(|count| *count += 1);
            }
            if let Some(end) = note(said, feed) {
                return Some(end);
            }
        }
        None
    }

    async fn next_word(&mut self) -> Message {
        loop {
            if self.settings.symbols.changed().await.is_err() {
                // Nobody is left who could ask for more.
                std::future::pending::<()>().await;
            }
            match self.subscribe() {
                Ok(Some(more)) => return more,
                Ok(None) => {}
                // Names of symbols are text that can be packed.
                Err(end) => tracing::error!(?end, "a subscription could not be written"),
            }
        }
    }

    fn refused(&self, status: u16) -> End {
        match status {
            401 | 403 => End::Refused(format!("status {status}")),
            406 | 409 | 429 => End::Conflict(format!("status {status}")),
            status => End::Lost(format!("no connection: status {status}")),
        }
    }
}

/// What Alpaca says about the connection.
#[derive(Debug, PartialEq)]
enum Said {
    Success(String),
    Subscribed,
    Error(DataError),
}

fn note(said: Said, feed: &mut Feed) -> Option<End> {
    match said {
        Said::Success(_) => None,
        Said::Subscribed => {
            feed.state(FeedState::Live, None);
            None
        }
        // Some symbols are too many; the others go on.
        Said::Error(error) if error.code == DataError::SYMBOL_LIMIT => {
            tracing::warn!(message = error.message, "Alpaca refused some symbols");
            feed.state(FeedState::Live, Some(format!("{} {}", error.code, error.message)));
            None
        }
        Said::Error(error) => Some(end_of(&error)),
    }
}

/// What an error means for the connection.
fn end_of(error: &DataError) -> End {
    let why = format!("{} {}", error.code, error.message);
    match error.code {
        DataError::AUTH_FAILED | DataError::NOT_ENABLED | DataError::INSUFFICIENT_SUBSCRIPTION => {
            End::Refused(why)
        }
        DataError::CONNECTION_LIMIT => End::Conflict(why),
        _ => End::Lost(why),
    }
}

/// Puts what a frame says into the market, and returns what it says about the connection. Whatever is wrong with it is
/// counted by the feed.
fn translate(frame: &Message, arrived_at: Timestamp, feed: &mut Feed) -> Vec<Said> {
    feed.frame(arrived_at);
    let unpacked;
    let text = match frame {
        Message::Text(text) => text.as_str(),
        Message::Binary(bytes) => match msgpack::to_json(bytes) {
            Ok(text) => {
                unpacked = text;
                &unpacked
            }
            Err(error) => {
                feed.refuse(Kind::MalformedFrame, || error.to_string());
                return Vec::new();
            }
        },
        _ => return Vec::new(),
    };
    let messages = match DataMessage::parse(text) {
        Ok(messages) => messages,
        Err(_) => {
            feed.refuse(Kind::MalformedFrame, || excerpt(text));
            return Vec::new();
        }
    };
    let mut said = Vec::new();
    for message in messages {
        match message {
            Ok(message) => said.extend(take(message, feed)),
            Err(_) => feed.refuse(Kind::MalformedEvent, || excerpt(text)),
        }
    }
    said
}

fn take(message: DataMessage, feed: &mut Feed) -> Option<Said> {
    match message {
        DataMessage::Success(word) => return Some(Said::Success(word)),
        DataMessage::Error(error) => return Some(Said::Error(error)),
        DataMessage::Subscription(_) => return Some(Said::Subscribed),
        DataMessage::Trade(name, trade) => take_trade(&name, &trade, feed),
        DataMessage::Quote(name, quote) => feed.quote(&RawQuote {
            symbol: &desk_name(&name),
            bid: (quote.bid_price.0, quote.bid_size.0),
            ask: (quote.ask_price.0, quote.ask_size.0),
            exchange: number_of(quote.bid_exchange.as_deref()),
            at_ms: quote.at.as_millisecond(),
            received_ms: None,
        }),
        DataMessage::Bar(name, bar) => feed.vendor_bar(&VendorBar {
            symbol: &desk_name(&name),
            start_ms: bar.at.as_millisecond(),
            open: bar.open.0,
            high: bar.high.0,
            low: bar.low.0,
            close: bar.close.0,
            volume: bar.volume.0,
        }),
        // Nobody asked for these; corrections come with trades, which the desk keeps as they were made.
        DataMessage::UpdatedBar(..)
        | DataMessage::DailyBar(..)
        | DataMessage::Status(..)
        | DataMessage::Luld(..)
        | DataMessage::Correction(..)
        | DataMessage::Cancellation(..)
        | DataMessage::Orderbook(..)
        | DataMessage::News(_) => feed.refuse(Kind::UnusedEvent, String::new),
        DataMessage::Other(kind) => feed.refuse(Kind::UnknownEvent, || kind),
    }
    None
}

fn take_trade(name: &str, trade: &alpaca::Trade, feed: &mut Feed) {
    let side = match &trade.taker_side {
        Some(alpaca::TakerSide::Buy) => TakerSide::Buy,
        Some(alpaca::TakerSide::Sell) => TakerSide::Sell,
        // The tape of shares does not say.
        Some(alpaca::TakerSide::Other(_)) | None => TakerSide::Unknown,
    };
    let id = trade.id.map(|id| id.to_string());
    feed.trade(&RawTrade {
        symbol: &desk_name(name),
        price: trade.price.0,
        quantity: trade.size.0,
        side: Some(side),
        conditions: &[],
        exchange: number_of(trade.exchange.as_deref()),
        id: id.as_deref(),
        at_ms: trade.at.as_millisecond(),
        received_ms: None,
    });
}

/// `BTC-USD` for `BTC/USD`
fn desk_name(name: &str) -> String {
    name.replace('/', "-")
}

/// Exchanges are letters here: their number is that of the letter.
fn number_of(exchange: Option<&str>) -> u32 {
    exchange.and_then(|letters| letters.chars().next()).map_or(0, u32::from)
}

/// The beginning of a frame, for the log.
fn excerpt(frame: &str) -> String {
    frame.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::ManualClock;
    use market::{ConditionTable, Market};

    use super::*;

    fn market() -> (Market, Feed) {
        let clock = Arc::new(ManualClock::new("2026-02-03T14:30:05Z".parse().unwrap()));
        let market = Market::new(market::Settings::learning(ConditionTable::default()), clock);
        let feed = market.feed("test");
        (market, feed)
    }

    const FRAME: &str = r#"[
        {"T":"q","S":"BTC/USD","bp":61000.5,"bs":0.25,"ap":61001,"as":1.5,"t":"2026-02-03T14:30:00.5Z"},
        {"T":"t","S":"BTC/USD","p":61001,"s":0.003,"i":78,"tks":"S","t":"2026-02-03T14:30:01Z"},
        {"T":"t","S":"ZZZ","p":10.25,"s":100,"i":9,"x":"V","c":["@"],"z":"C","t":"2026-02-03T14:30:02.123456789Z"},
        {"T":"t","S":"ZZZ","p":"NaN","s":1,"t":"2026-02-03T14:30:02Z"},
        {"T":"l","S":"ZZZ","u":11,"d":9,"i":"B","z":"C","t":"2026-02-03T14:30:02Z"},
        {"T":"moon"}]"#;

    fn counted(feed: &Feed) -> BTreeMap<String, u64> {
        feed.counters().named().into_iter().map(|(name, count)| (name.to_string(), count)).collect()
    }

    #[test]
    fn both_encodings_say_the_same() {
        let packed = Message::binary(msgpack::from_json(FRAME).unwrap());
        for frame in [Message::text(FRAME), packed] {
            let (market, mut feed) = market();
            let said = translate(&frame, "2026-02-03T14:30:05Z".parse().unwrap(), &mut feed);
            assert_eq!(said, []);
            let (coin, share) = ("BTC-USD".parse().unwrap(), "ZZZ".parse().unwrap());
            let quote = market.quote(&coin).unwrap();
            assert_eq!(quote.bid.map(|(price, _)| price.to_string()).as_deref(), Some("61000.5"));
            assert_eq!(market.last_price(&share).map(|price| price.to_string()).as_deref(), Some("10.25"));
            let counted = counted(&feed);
            assert_eq!(counted.get("trades"), Some(&2), "{counted:?}");
            assert_eq!(counted.get("malformed_event"), Some(&1), "{counted:?}");
        }
    }

    #[test]
    fn errors_end_the_connection_or_do_not_as_they_mean() {
        let end = |code| end_of(&DataError::new(code));
        assert!(matches!(end(DataError::AUTH_FAILED), End::Refused(_)));
        assert!(matches!(end(DataError::CONNECTION_LIMIT), End::Conflict(_)));
        assert!(matches!(end(DataError::SLOW_CLIENT), End::Lost(_)));
        let (_market, mut feed) = market();
        assert!(note(Said::Error(DataError::new(DataError::SYMBOL_LIMIT)), &mut feed).is_none());
    }
}
