//! What a client listens to.

use std::collections::BTreeMap;

use alpaca::Subscriptions;
use domain::Symbol;
use market::Market;

use crate::alpaca::symbols;

/// Symbols of all channels together.
const MOST: usize = 2_000;
const ALL: &str = "*";

/// What there is to hear. Of the others a client may ask as well; nothing ever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    Trades,
    Quotes,
    Bars,
    UpdatedBars,
    DailyBars,
    Statuses,
    Lulds,
    Orderbooks,
    News,
}

use Channel::{Bars, DailyBars, Lulds, News, Orderbooks, Quotes, Statuses, Trades, UpdatedBars};

/// The names on each channel, as the client wrote them, by how the desk calls them.
#[derive(Default)]
pub(super) struct Heard(BTreeMap<Channel, BTreeMap<String, String>>);

/// There is more to hear than a connection may.
#[derive(Debug)]
pub(super) struct TooMany;

impl Heard {
    /// Listens to more.
    pub(super) fn add(&mut self, market: &Market, to: &Subscriptions) -> Result<(), TooMany> {
        let count: usize = self.0.values().map(BTreeMap::len).sum();
        let more: usize = channels(to).iter().map(|(_, names)| names.len()).sum();
        if count + more > MOST {
            return Err(TooMany);
        }
        for (channel, names) in channels(to) {
            let heard = self.0.entry(channel).or_default();
            heard.extend(names.iter().map(|name| (own(market, name), name.clone())));
        }
        Ok(())
    }

    /// Listens to less.
    pub(super) fn remove(&mut self, market: &Market, from: &Subscriptions) {
        for (channel, names) in channels(from) {
            if let Some(heard) = self.0.get_mut(&channel) {
                heard.retain(|name, _| !names.iter().any(|gone| own(market, gone) == *name));
            }
        }
        self.0.retain(|_, names| !names.is_empty());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something of a symbol is to be told.
    pub(super) fn has(&self, channel: Channel, symbol: &Symbol) -> bool {
        let named =
            |names: &BTreeMap<String, String>| names.contains_key(ALL) || names.contains_key(symbol.as_str());
        self.0.get(&channel).is_some_and(named)
    }

    /// Every channel with its whole list.
    pub(super) fn shown(&self) -> Subscriptions {
        let of = |channel| {
            Some(self.0.get(&channel).map(|names| names.values().cloned().collect()).unwrap_or_default())
        };
        Subscriptions {
            trades: of(Trades),
            quotes: of(Quotes),
            bars: of(Bars),
            updated_bars: of(UpdatedBars),
            daily_bars: of(DailyBars),
            statuses: of(Statuses),
            lulds: of(Lulds),
            orderbooks: of(Orderbooks),
            news: of(News),
            // They come with the trades.
            corrections: of(Trades),
            cancel_errors: of(Trades),
        }
    }
}

/// A name as the desk has it; what it does not know stays as it is, and nothing ever comes of it.
fn own(market: &Market, name: &str) -> String {
    symbols::find_or_follow(market, name).map_or_else(|| name.to_owned(), |found| found.symbol.to_string())
}

fn channels(of: &Subscriptions) -> Vec<(Channel, &Vec<String>)> {
    let all = [
        (Trades, &of.trades),
        (Quotes, &of.quotes),
        (Bars, &of.bars),
        (UpdatedBars, &of.updated_bars),
        (DailyBars, &of.daily_bars),
        (Statuses, &of.statuses),
        (Lulds, &of.lulds),
        (Orderbooks, &of.orderbooks),
        (News, &of.news),
    ];
    all.into_iter().filter_map(|(channel, names)| Some((channel, names.as_ref()?))).collect()
}
