//! Trades, quotes and bars in Alpaca's shape.

use alpaca::{Bar, Number, Quote, TakerSide, Trade};

pub(in crate::alpaca) fn trade(trade: &domain::Trade) -> Trade {
    Trade {
        at: trade.at,
        price: trade.price.into(),
        size: trade.quantity.into(),
        // A number there; venues that have letters in theirs are told apart by price and time.
        id: trade.id.as_deref().and_then(|id| id.parse().ok()),
        taker_side: match trade.side {
            domain::TakerSide::Buy => Some(TakerSide::Buy),
            domain::TakerSide::Sell => Some(TakerSide::Sell),
            domain::TakerSide::Unknown => None,
        },
        ..Trade::default()
    }
}

/// A side that is not quoted has price and size zero.
pub(in crate::alpaca) fn quote(quote: &domain::Quote) -> Quote {
    let (bid_price, bid_size) = quote.bid.unwrap_or_default();
    let (ask_price, ask_size) = quote.ask.unwrap_or_default();
    Quote {
        at: quote.at,
        bid_price: bid_price.into(),
        bid_size: bid_size.into(),
        ask_price: ask_price.into(),
        ask_size: ask_size.into(),
        ..Quote::default()
    }
}

pub(in crate::alpaca) fn bar(bar: &domain::Bar) -> Bar {
    Bar {
        at: bar.start_at,
        open: bar.open.into(),
        high: bar.high.into(),
        low: bar.low.into(),
        close: bar.close.into(),
        volume: bar.volume.into(),
        trades: bar.trades,
        vwap: Number(bar.vwap().0.round_dp(9)),
    }
}
