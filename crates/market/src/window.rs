//! One window of time, folded from its trades in whatever order they come.

use std::cmp::Ordering;
use std::sync::Arc;

use domain::{Bar, Decimal, Money, Price, Quantity, TakerSide, Timestamp, Trade};

use crate::sum::Sum;

/// A bar in the making.
///
/// The result depends on the set of trades alone, not on their order of arrival; only trades of one millisecond
/// that have no id keep the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    /// What a run before this one stored of the same window. Its trades came before ours.
    stored: Option<Bar>,
    first: Arc<Trade>,
    last: Arc<Trade>,
    high: Decimal,
    low: Decimal,
    volume: Sum,
    notional: Sum,
    trades: u64,
    buy_volume: Sum,
    sell_volume: Sum,
    buy_trades: u64,
    sell_trades: u64,
}

impl Window {
    /// The window that `trade` opens.
    pub(crate) fn open(start_ms: i64, trade: &Arc<Trade>) -> Self {
        let mut window = Self {
            start_ms,
            stored: None,
            first: trade.clone(),
            last: trade.clone(),
            high: trade.price.0,
            low: trade.price.0,
            volume: Sum::default(),
            notional: Sum::default(),
            trades: 0,
            buy_volume: Sum::default(),
            sell_volume: Sum::default(),
            buy_trades: 0,
            sell_trades: 0,
        };
        window.sum_up(trade);
        window
    }

    /// The window that `trade` carries on after a restart.
    pub(crate) fn resume(start_ms: i64, stored: Bar, trade: &Arc<Trade>) -> Self {
        Self {
            high: stored.high.0.max(trade.price.0),
            low: stored.low.0.min(trade.price.0),
            stored: Some(stored),
            ..Self::open(start_ms, trade)
        }
    }

    pub(crate) fn add(&mut self, trade: &Arc<Trade>) {
        let price = trade.price.0;
        if price > self.high {
            self.high = price;
        }
        if price < self.low {
            self.low = price;
        }
        if tape_order(trade, &self.last) != Ordering::Less {
            self.last = trade.clone();
        } else if tape_order(trade, &self.first) == Ordering::Less {
            self.first = trade.clone();
        }
        self.sum_up(trade);
    }

    fn sum_up(&mut self, trade: &Trade) {
        let quantity = trade.quantity.0;
        self.volume.add(quantity);
        self.notional.add_product(trade.price.0, quantity);
        self.trades += 1;
        match trade.side {
            TakerSide::Buy => {
                self.buy_volume.add(quantity);
                self.buy_trades += 1;
            }
            TakerSide::Sell => {
                self.sell_volume.add(quantity);
                self.sell_trades += 1;
            }
            TakerSide::Unknown => {}
        }
    }

    /// The bar as it stands.
    pub(crate) fn bar(&self) -> Bar {
        let own = Bar {
            start_at: Timestamp::from_millisecond(self.start_ms).unwrap_or_default(),
            open: self.first.price,
            high: Price(self.high),
            low: Price(self.low),
            close: self.last.price,
            volume: Quantity(self.volume.value()),
            notional: Money(self.notional.value()),
            trades: self.trades,
            buy_volume: Quantity(self.buy_volume.value()),
            sell_volume: Quantity(self.sell_volume.value()),
            buy_trades: self.buy_trades,
            sell_trades: self.sell_trades,
        };
        let Some(stored) = &self.stored else { return own };
        Bar {
            open: stored.open,
            volume: Quantity(stored.volume.0.saturating_add(own.volume.0)),
            notional: Money(stored.notional.0.saturating_add(own.notional.0)),
            trades: stored.trades + own.trades,
            buy_volume: Quantity(stored.buy_volume.0.saturating_add(own.buy_volume.0)),
            sell_volume: Quantity(stored.sell_volume.0.saturating_add(own.sell_volume.0)),
            buy_trades: stored.buy_trades + own.buy_trades,
            sell_trades: stored.sell_trades + own.sell_trades,
            ..own
        }
    }
}

/// The order on the tape: event time, then id, numbers as numbers, then exchange.
fn tape_order(a: &Trade, b: &Trade) -> Ordering {
    a.at.cmp(&b.at).then_with(|| {
        let ids = match (a.id.as_deref(), b.id.as_deref()) {
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        ids.then(a.exchange.cmp(&b.exchange))
    })
}
