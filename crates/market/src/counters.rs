//! What was refused or remarkable, by kind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal),* $(,)?) => {
        /// A kind of thing that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name in interfaces and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Frames received.
    Frame = "frames",
    /// Trades accepted.
    Trade = "trades",
    /// Quotes accepted.
    Quote = "quotes",
    /// Bars of the vendor received.
    VendorBar = "vendor_bars",

    // Refused.
    /// A frame that is not a JSON array.
    MalformedFrame = "malformed_frame",
    /// An event that lacks a field, or has one of the wrong type, or twice.
    MalformedEvent = "malformed_event",
    /// An event of a kind that we do not know.
    UnknownEvent = "unknown_event",
    /// An event of a kind that we know and have no use for.
    UnusedEvent = "unused_event",
    /// Text that cannot be a symbol.
    InvalidSymbol = "invalid_symbol",
    /// A symbol that the desk does not list.
    UnlistedSymbol = "unlisted_symbol",
    /// A price of zero or below.
    PriceNotPositive = "price_not_positive",
    /// A size of zero or below.
    SizeNotPositive = "size_not_positive",
    /// A price, a size or their product that no market has.
    NumberOutOfRange = "number_out_of_range",
    /// A time that is not in milliseconds, or not of this age.
    TimeOutOfRange = "time_out_of_range",
    /// A trade seen before: a resend.
    Duplicate = "duplicate",
    /// A trade of a window that is closed.
    TooLate = "too_late",
    /// An event from the future: kept out of the tape.
    Future = "future",
    /// A quote older than the one in force on its exchange.
    QuoteOutOfOrder = "quote_out_of_order",
    /// A quote without a bid and without an ask.
    QuoteEmpty = "quote_empty",
    /// A quote that was overtaken by a newer one of its symbol while the desk was too busy to look at it.
    QuoteDropped = "quote_dropped",

    // Accepted, with a remark.
    /// A condition code that the table does not list.
    UnknownCondition = "unknown_condition",
    /// Condition codes of both sides.
    ContradictoryConditions = "contradictory_conditions",
    /// A trade that amended a bar after a newer one had begun.
    Amendment = "amendment",
    /// A bid above the ask.
    QuoteCrossed = "quote_crossed",
    /// A quote without a bid, or without an ask.
    QuoteOneSided = "quote_one_sided",
    /// A bar of the vendor that is not equal to ours.
    VendorBarDiffers = "vendor_bar_differs",

    // The connection.
    /// The connection was lost or refused.
    Disconnected = "disconnected",
    /// The connection was silent for too long.
    Stalled = "stalled",
    /// Bars that could not be stored at the first try.
    StoreFailed = "store_failed",
}

impl Kind {
    /// Whether it is the normal course of things, and not worth a line in the log.
    fn is_routine(self) -> bool {
        matches!(
            self,
            Self::Frame | Self::Trade | Self::Quote | Self::VendorBar | Self::UnusedEvent | Self::Amendment
        )
    }
}

/// How often each [`Kind`] happened.
#[derive(Debug)]
pub struct Counters([AtomicU64; Kind::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Counts one. The first of a kind that is not routine is logged, and only that.
    pub fn count(&self, kind: Kind, example: impl FnOnce() -> String) {
        let before = self.0[kind as usize].fetch_add(1, Relaxed);
        if before == 0 && !kind.is_routine() {
            tracing::warn!(
                kind = kind.as_str(),
                example = example(),
                "first of its kind; counted from here on"
            );
        }
    }

    /// Counts without an example.
    pub fn tally(&self, kind: Kind) {
        self.count(kind, String::new);
    }

    /// How often it happened.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize].load(Relaxed)
    }

    /// Those that happened at all, by name.
    pub fn named(&self) -> BTreeMap<&'static str, u64> {
        Kind::ALL.iter().map(|k| (k.as_str(), self.get(*k))).filter(|(_, n)| *n > 0).collect()
    }
}
