//! From what happens on the desk to events of the hub.

use std::collections::HashMap;
use std::time::Duration;

use domain::{AccountId, Context, Quote, Status, Symbol, Timestamp};
use market::MarketEvent;
use rustc_hash::FxHashMap;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use trading::TradingEvent;

use crate::Desk;
use crate::api::words::At;
use crate::api::{AccountDetail, Bar, Feed, Fill, Order, Position, QuoteEvent, Trade, UnknownOrderList};
use crate::stream::topic::Topic;

/// Quotes of a symbol are sent at most this often: the newest one, as nobody reads faster.
const QUOTES_EVERY: Duration = Duration::from_millis(100);
/// How often worth and balances follow the market while somebody looks.
const WORTH_EVERY: Duration = Duration::from_secs(1);

/// Starts the tasks that feed the hub; they end with the desk.
pub(crate) fn start(desk: &Desk) {
    let stop = &desk.stop;
    let (market, trading) = (desk.clone(), desk.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move { follow_market(&market).await }));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move { follow_trading(&trading).await }));
}

/// A bar with what it is a bar of.
#[derive(serde::Serialize)]
struct BarEvent<'a> {
    symbol: &'a str,
    every: &'a str,
    #[serde(flatten)]
    bar: Bar,
}

async fn follow_market(desk: &Desk) {
    let hub = &desk.hub;
    let mut events = desk.market.subscribe();
    let mut newest: FxHashMap<Symbol, std::sync::Arc<Quote>> = FxHashMap::default();
    let mut quotes = interval(QUOTES_EVERY);
    quotes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = quotes.tick() => {
                let at = desk.clock.now();
                for (symbol, quote) in newest.drain() {
                    hub.publish(&Topic::Quotes(symbol), at, &QuoteEvent::from(quote.as_ref()));
                }
                continue;
            }
        };
        let at = desk.clock.now();
        match event {
            Ok(MarketEvent::Trade(trade)) => {
                hub.publish(&Topic::Trades(trade.symbol.clone()), at, &Trade::from(trade.as_ref()));
            }
            Ok(MarketEvent::Quote(quote)) => {
                newest.insert(quote.symbol.clone(), quote);
            }
            Ok(MarketEvent::Bar(update)) => {
                let topic = Topic::Bars(update.symbol.clone(), update.every);
                let bar = Bar::new(&update.bar, update.is_final);
                let event = BarEvent { symbol: update.symbol.as_str(), every: update.every.as_str(), bar };
                hub.publish(&topic, at, &event);
            }
            Ok(MarketEvent::Feed(status)) => hub.publish(&Topic::Feed, at, &Feed::new(&status, at)),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "the stream fell behind the market");
                hub.skip_market();
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn follow_trading(desk: &Desk) {
    let mut events = desk.gateway.subscribe();
    let mut worth = interval(WORTH_EVERY);
    worth.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = Shown::default();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = worth.tick() => {
                let (at, ctx) = now(desk);
                for account in desk.gateway.accounts(&ctx) {
                    shown.publish_account(desk, &ctx, account.id, at);
                    shown.publish_unknown(desk, &ctx, account.id, at).await;
                }
                for status in desk.market.feeds() {
                    desk.hub.publish(&Topic::Feed, at, &Feed::new(&status, at));
                }
                continue;
            }
        };
        let (at, ctx) = now(desk);
        match event {
            Ok(TradingEvent::Order(order)) => {
                let topic = Topic::Orders(order.account);
                if desk.hub.is_wanted(&topic, at) {
                    desk.hub.publish(&topic, at, &Order::new(desk, &order).await);
                }
                // One that is found again leaves the list with its next event.
                if order.status == Status::Unknown || shown.has_unknown(order.account) {
                    shown.publish_unknown(desk, &ctx, order.account, at).await;
                }
            }
            Ok(TradingEvent::Account(account)) => shown.publish_account(desk, &ctx, account, at),
            Ok(TradingEvent::Fill(fill)) => {
                let topic = Topic::Fills(fill.account);
                if desk.hub.is_wanted(&topic, at) {
                    desk.hub.publish(&topic, at, &Fill::from(fill.as_ref().clone()));
                }
            }
            Ok(TradingEvent::Kills) => desk.hub.ask_again(|topic| *topic == Topic::KillSwitches),
            Ok(TradingEvent::Limits) => desk.hub.ask_again(|topic| *topic == Topic::Limits),
            Ok(TradingEvent::Approvals) => {
                desk.hub.ask_again(|topic| matches!(topic, Topic::Approvals(_)));
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "the stream fell behind the gateway");
                desk.hub.skip_trading();
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// The desk itself looks at its accounts; who gets to see what is asked when they subscribe.
fn now(desk: &Desk) -> (Timestamp, Context) {
    let at = desk.clock.now();
    (at, Context::operator(Some("stream".to_owned()), at))
}

/// What was last sent of accounts, positions and unknown orders, so that only changes are sent.
#[derive(Default)]
struct Shown(HashMap<(AccountId, Option<String>), Value>);

/// The key of an account's unknown orders, which is no symbol.
const UNKNOWN: &str = "unknown orders";

impl Shown {
    fn has_unknown(&self, id: AccountId) -> bool {
        let shown = self.0.get(&(id, Some(UNKNOWN.to_owned())));
        shown.and_then(|list| list["items"].as_array()).is_some_and(|items| !items.is_empty())
    }

    async fn publish_unknown(&mut self, desk: &Desk, ctx: &Context, id: AccountId, at: Timestamp) {
        let topic = Topic::Unknown(id);
        if !desk.hub.is_wanted(&topic, at) {
            return;
        }
        let unknowns = desk.gateway.unknowns(ctx).into_iter().filter(|unknown| unknown.order.account == id);
        let list = UnknownOrderList::new(desk, unknowns).await;
        let nothing_new = list.is_empty() && !self.has_unknown(id);
        if !nothing_new {
            self.publish_if_changed(desk, &topic, (id, Some(UNKNOWN.to_owned())), at, &list);
        }
    }

    fn publish_account(&mut self, desk: &Desk, ctx: &Context, id: AccountId, at: Timestamp) {
        let (account, positions) = (Topic::Account(id), Topic::Positions(id));
        if desk.hub.is_wanted(&account, at)
            && let Ok(state) = desk.gateway.account(ctx, id)
            && let Some(detail) = AccountDetail::new(ctx, state)
        {
            self.publish_if_changed(desk, &account, (id, None), at, &detail);
        }
        if desk.hub.is_wanted(&positions, at)
            && let Ok(holdings) = desk.gateway.positions(ctx, id)
        {
            for holding in holdings {
                let key = (id, Some(holding.symbol.to_string()));
                self.publish_if_changed(desk, &positions, key, at, &Position::from(holding));
            }
        }
    }

    fn publish_if_changed(
        &mut self,
        desk: &Desk,
        topic: &Topic,
        key: (AccountId, Option<String>),
        at: Timestamp,
        data: &impl serde::Serialize,
    ) {
        let Ok(mut value) = serde_json::to_value(data) else { return };
        if let Some(fields) = value.as_object_mut() {
            // Whose access it is differs from listener to listener, and the moment is no change.
            fields.remove("access");
            fields.remove("as_of_at");
        }
        if self.0.get(&key) == Some(&value) {
            return;
        }
        let mut event = value.clone();
        if let (Some(fields), Ok(moment)) = (event.as_object_mut(), serde_json::to_value(At(at))) {
            fields.insert("as_of_at".to_owned(), moment);
        }
        desk.hub.publish(topic, at, &event);
        self.0.insert(key, value);
    }
}
