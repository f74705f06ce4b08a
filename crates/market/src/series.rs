//! The bars of one symbol and one length: the windows still open, and the closed ones in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{Bar, Every, Timestamp, Trade};

use crate::events::BarView;
use crate::window::Window;

/// A bar that is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) bar: Bar,
    pub(crate) is_final: bool,
    pub(crate) amendment: bool,
}

/// What has to be done about a bar.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    publish: bool,
    store: bool,
    amended: bool,
}

#[derive(Debug)]
pub(crate) struct Series {
    every: Every,
    /// Oldest first, at most as many as fit into the lateness and one more.
    open: VecDeque<(Window, Due)>,
    /// Oldest first.
    closed: VecDeque<(Bar, Due)>,
    capacity: usize,
    /// How many of `closed` are due to be published, and to be stored. They are at its end, or nearly so.
    closed_to_publish: usize,
    closed_to_store: usize,
}

impl Series {
    pub(crate) fn new(every: Every) -> Self {
        let capacity = match every {
            Every::Second => 3_600,
            // A day and an hour, for the change over 24 hours.
            Every::Minute => 1_500,
        };
        Self {
            every,
            open: VecDeque::new(),
            closed: VecDeque::new(),
            capacity,
            closed_to_publish: 0,
            closed_to_store: 0,
        }
    }

    /// Puts a trade into its window. `true` when that window was not the newest: an amendment.
    ///
    /// The caller has made sure that the window is not closed.
    pub(crate) fn add(&mut self, at_ms: i64, trade: &Arc<Trade>) -> bool {
        let start_ms = at_ms.div_euclid(self.every.millis()) * self.every.millis();
        let position = self.open.partition_point(|(window, _)| window.start_ms < start_ms);
        let amendment = position + 1 < self.open.len();
        match self.open.get_mut(position) {
            Some((window, due)) if window.start_ms == start_ms => {
                window.add(trade);
                *due = Due { publish: true, store: true, amended: due.amended || amendment };
            }
            _ => {
                let window = match self.take_closed(start_ms) {
                    Some(stored) => Window::resume(start_ms, stored, trade),
                    None => Window::open(start_ms, trade),
                };
                let amended = position < self.open.len();
                self.open.insert(position, (window, Due { publish: true, store: true, amended }));
            }
        }
        amendment
    }

    /// Closes the windows that ended at or before `until_ms`.
    pub(crate) fn close(&mut self, until_ms: i64) {
        while let Some((window, _)) = self.open.front()
            && window.start_ms + self.every.millis() <= until_ms
        {
            let Some((window, due)) = self.open.pop_front() else { return };
            // Once more even if nothing changed: subscribers learn that it is final.
            self.insert_closed(window.bar(), Due { publish: true, ..due });
        }
    }

    /// Puts in bars that are known from elsewhere, where there is none yet.
    pub(crate) fn put(&mut self, bars: impl IntoIterator<Item = Bar>, store: bool) {
        for bar in bars {
            let start_ms = bar.start_at.as_millisecond();
            let open = self.open.iter().any(|(window, _)| window.start_ms == start_ms);
            let position = self.position(bar.start_at);
            let known = self.closed.get(position).is_some_and(|(known, _)| known.start_at == bar.start_at);
            if !open && !known {
                self.insert_closed(bar, Due { publish: false, store, amended: false });
            }
        }
    }

    /// Puts in bars as a vendor has them: where there is none, and in place of those of less volume. Windows that are open
    /// are left alone. Who bought and sold stays as far as it was heard; nobody else knows.
    pub(crate) fn fill(&mut self, bars: impl IntoIterator<Item = Bar>, publish: bool) {
        for bar in bars {
            let start_ms = bar.start_at.as_millisecond();
            if self.open.iter().any(|(window, _)| window.start_ms == start_ms) {
                continue;
            }
            let position = self.position(bar.start_at);
            let known = self.closed.get(position).map(|(known, _)| known);
            let due = Due { publish, store: true, amended: true };
            match known.filter(|known| known.start_at == bar.start_at) {
                None => self.insert_closed(bar, due),
                Some(known) if known.volume < bar.volume => {
                    let heard = known.clone();
                    let Some((_, forgotten)) = self.closed.remove(position) else { continue };
                    self.forget(forgotten);
                    let whole = Bar {
                        buy_volume: heard.buy_volume,
                        sell_volume: heard.sell_volume,
                        buy_trades: heard.buy_trades,
                        sell_trades: heard.sell_trades,
                        trades: bar.trades.max(heard.trades),
                        ..bar
                    };
                    self.insert_closed(whole, due);
                }
                Some(_) => {}
            }
        }
    }

    /// The last `limit` bars that start before `before`, oldest first.
    pub(crate) fn bars(&self, before: Option<Timestamp>, limit: usize) -> Vec<BarView> {
        let wanted = |bar: &Bar| before.is_none_or(|before| bar.start_at < before);
        let open = self.open.iter().rev().map(|(window, _)| BarView { bar: window.bar(), is_final: false });
        let end = before.map_or(self.closed.len(), |before| self.position(before));
        let closed =
            self.closed.iter().take(end).rev().map(|(bar, _)| BarView { bar: bar.clone(), is_final: true });
        let mut bars: Vec<_> = open.filter(|view| wanted(&view.bar)).chain(closed).take(limit).collect();
        bars.reverse();
        bars
    }

    /// What subscribers have not been told, oldest first.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (window, due) in self.open.iter_mut().rev().filter(|(_, due)| due.publish) {
            changes.push(Change { bar: window.bar(), is_final: false, amendment: due.amended });
            (due.publish, due.amended) = (false, false);
        }
        for (bar, due) in self.closed.iter_mut().rev() {
            if self.closed_to_publish == 0 {
                break;
            }
            if due.publish {
                changes.push(Change { bar: bar.clone(), is_final: true, amendment: due.amended });
                (due.publish, due.amended) = (false, false);
                self.closed_to_publish -= 1;
            }
        }
        changes.reverse();
        changes
    }

    /// What has not been stored. Given back with [`Self::not_stored`] if that fails.
    pub(crate) fn take_unstored(&mut self) -> Vec<Bar> {
        let mut bars = self.take_closed_unstored();
        for (window, due) in self.open.iter_mut().filter(|(_, due)| due.store) {
            due.store = false;
            bars.push(window.bar());
        }
        bars
    }

    /// The closed part of [`Self::take_unstored`], oldest first.
    pub(crate) fn take_closed_unstored(&mut self) -> Vec<Bar> {
        let mut bars = Vec::with_capacity(self.closed_to_store);
        for (bar, due) in self.closed.iter_mut().rev() {
            if self.closed_to_store == 0 {
                break;
            }
            if due.store {
                due.store = false;
                self.closed_to_store -= 1;
                bars.push(bar.clone());
            }
        }
        bars.reverse();
        bars
    }

    /// Marks bars as not stored after all.
    pub(crate) fn not_stored(&mut self, bars: &[Bar]) {
        for bar in bars {
            let start_ms = bar.start_at.as_millisecond();
            if let Some((_, due)) = self.open.iter_mut().find(|(window, _)| window.start_ms == start_ms) {
                due.store = true;
                continue;
            }
            let position = self.position(bar.start_at);
            if let Some((known, due)) = self.closed.get_mut(position)
                && known.start_at == bar.start_at
                && !due.store
            {
                due.store = true;
                self.closed_to_store += 1;
            }
        }
    }

    fn position(&self, start_at: Timestamp) -> usize {
        self.closed.partition_point(|(bar, _)| bar.start_at < start_at)
    }

    fn insert_closed(&mut self, bar: Bar, due: Due) {
        let position = self.position(bar.start_at);
        if position == 0 && self.closed.len() >= self.capacity {
            return;
        }
        self.closed_to_publish += usize::from(due.publish);
        self.closed_to_store += usize::from(due.store);
        self.closed.insert(position, (bar, due));
        if self.closed.len() > self.capacity
            && let Some((_, due)) = self.closed.pop_front()
        {
            self.forget(due);
        }
    }

    /// A window that a run before this one, or this one's own past, has left: it is carried on.
    fn take_closed(&mut self, start_ms: i64) -> Option<Bar> {
        let start_at = Timestamp::from_millisecond(start_ms).ok()?;
        let position = self.position(start_at);
        if self.closed.get(position)?.0.start_at != start_at {
            return None;
        }
        let (bar, due) = self.closed.remove(position)?;
        self.forget(due);
        Some(bar)
    }

    fn forget(&mut self, due: Due) {
        self.closed_to_publish -= usize::from(due.publish);
        self.closed_to_store -= usize::from(due.store);
    }
}

#[cfg(test)]
mod tests {
    use domain::{Decimal, Price, Quantity, TakerSide};

    use super::*;

    fn bar(minute: i64, volume: i64) -> Bar {
        let (price, volume) = (Price(Decimal::from(10)), Quantity(Decimal::from(volume)));
        Bar {
            start_at: Timestamp::from_second(minute * 60).unwrap(),
            open: price,
            high: price,
            low: price,
            close: price,
            notional: price * volume,
            volume,
            trades: 1,
            buy_volume: Quantity::ZERO,
            sell_volume: Quantity::ZERO,
            buy_trades: 0,
            sell_trades: 0,
        }
    }

    fn heard(series: &mut Series, minute: i64, quantity: i64) {
        let at = Timestamp::from_second(minute * 60).unwrap();
        let trade = Trade {
            symbol: "ZZZ".parse().unwrap(),
            price: Price(Decimal::from(10)),
            quantity: Quantity(Decimal::from(quantity)),
            side: TakerSide::Buy,
            exchange: 1,
            id: None,
            at,
            received_at: None,
        };
        series.add(at.as_millisecond(), &Arc::new(trade));
    }

    #[test]
    fn a_vendors_minutes_fill_gaps_and_take_the_place_of_those_heard_in_part() {
        let mut series = Series::new(Every::Minute);
        for (minute, quantity) in [(10, 5), (11, 5), (13, 5)] {
            heard(&mut series, minute, quantity);
        }
        series.close(13 * 60_000);
        series.take_changes();
        series.take_unstored();
        series.fill([bar(9, 3), bar(10, 8), bar(11, 4), bar(12, 2), bar(13, 99)], true);
        let volumes: Vec<String> =
            series.bars(None, 10).iter().map(|view| view.bar.volume.to_string()).collect();
        assert_eq!(volumes, ["3", "8", "5", "2", "5"], "what is whole and what is open stay");
        let mended = &series.bars(None, 4)[0].bar;
        assert_eq!(mended.buy_volume.to_string(), "5", "who bought is known of what was heard");
        let told: Vec<i64> =
            series.take_changes().iter().map(|change| change.bar.start_at.as_second() / 60).collect();
        assert_eq!(told, [9, 10, 12]);
        assert_eq!(series.take_unstored().len(), 3);
        series.fill([bar(9, 3), bar(10, 8)], true);
        assert!(series.take_changes().is_empty(), "told twice, it is no news");
    }
}
