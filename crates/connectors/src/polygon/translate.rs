//! From the vendor's words to the desk's.

use domain::{Decimal, Timestamp};
use market::{Feed, Kind, RawQuote, RawTrade, VendorBar};

use super::wire::{self, Event, Id};

/// What the vendor says about the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The word for programs: `connected`, `auth_success`, `success`, `max_connections`, ...
    pub word: String,
    /// The words for people.
    pub message: String,
}

/// Puts what a frame says into the market, and returns what it says about the connection.
///
/// Whatever is wrong with the frame is counted by the feed.
pub fn translate(frame: &str, arrived_at: Timestamp, feed: &mut Feed) -> Vec<Status> {
    let mut statuses = Vec::new();
    feed.frame(arrived_at);
    let read = wire::read(frame, |event| {
        let taken = event.and_then(|event| take(&event, feed, &mut statuses).ok_or(Kind::MalformedEvent)?);
        if let Err(kind) = taken {
            feed.refuse(kind, || excerpt(frame));
        }
    });
    if read.is_err() {
        feed.refuse(Kind::MalformedFrame, || excerpt(frame));
    }
    statuses
}

/// `None` when the event lacks a field of its kind.
fn take(event: &Event<'_>, feed: &mut Feed, statuses: &mut Vec<Status>) -> Option<Result<(), Kind>> {
    match &*event.ev.0 {
        "XQ" => feed.quote(&quote(event)?),
        "XT" => trade(event, feed)?,
        "XA" => feed.vendor_bar(&minute(event)?),
        "status" => statuses.push(status(event)?),
        // Seconds we make ourselves; the vendor has deprecated its books.
        "XAS" | "XL2" => return Some(Err(Kind::UnusedEvent)),
        _ => return Some(Err(Kind::UnknownEvent)),
    }
    Some(Ok(()))
}

fn trade(event: &Event<'_>, feed: &mut Feed) -> Option<()> {
    let number;
    let id = match &event.i {
        Some(Id::Text(text)) => Some(&*text.0),
        Some(Id::Number(id)) => {
            number = id.to_string();
            Some(number.as_str())
        }
        None => None,
    };
    let conditions = match &event.c {
        Some(written) => written.conditions()?,
        None => Vec::new(),
    };
    feed.trade(&RawTrade {
        symbol: &event.pair.as_ref()?.0,
        price: event.p?.0,
        quantity: event.s?.0,
        side: None,
        conditions: &conditions,
        exchange: event.x.unwrap_or(0),
        id,
        at_ms: event.t?,
        received_ms: event.r,
    });
    Some(())
}

fn quote<'a>(event: &'a Event<'_>) -> Option<RawQuote<'a>> {
    let or_none = |number: Option<wire::Number>| number.map_or(Decimal::ZERO, |number| number.0);
    Some(RawQuote {
        symbol: &event.pair.as_ref()?.0,
        bid: (or_none(event.bp), or_none(event.bs)),
        ask: (or_none(event.ap), or_none(event.ask_size)),
        exchange: event.x.unwrap_or(0),
        at_ms: event.t?,
        received_ms: event.r,
    })
}

fn minute<'a>(event: &'a Event<'_>) -> Option<VendorBar<'a>> {
    Some(VendorBar {
        symbol: &event.pair.as_ref()?.0,
        start_ms: i64::try_from(event.s?.0).ok()?,
        open: event.o?.0,
        high: event.h?.0,
        low: event.l?.0,
        close: event.c.as_ref()?.price()?,
        volume: event.v?.0,
    })
}

fn status(event: &Event<'_>) -> Option<Status> {
    let message = event.message.as_ref().map_or_else(String::new, |message| message.0.to_string());
    Some(Status { word: event.status.as_ref()?.0.to_string(), message })
}

/// The beginning of a frame, for the log.
fn excerpt(frame: &str) -> String {
    frame.chars().take(200).collect()
}
