//! What can be seen: accounts, positions, orders, fills.

use std::sync::Arc;

use domain::{AccountId, Context, Denied, Order, OrderId, Permission, Resource, Timestamp};
use storage::StorageError;

use super::{Desk, Gateway};
use crate::accounts::{Account, AccountState, Blind, Holding};
use crate::broker::Profile;
use crate::core::{HeadRoom, Unknown};
use crate::scope::Scope;
use crate::store::{self, BookedFill, FillFilter, Flow, JournalRow, OrderFilter};

impl Gateway {
    /// Accounts that the principal may see.
    pub fn accounts(&self, ctx: &Context) -> Vec<Account> {
        self.visible(ctx, Permission::AccountsView).iter().map(|desk| desk.account()).collect()
    }

    /// An account's money now.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn account(&self, ctx: &Context, id: AccountId) -> Result<AccountState, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        let core = desk.core();
        let book = &core.book;
        let whole = &book.whole;
        let valued = whole.valued(|symbol| self.shared.market.last_price(symbol));
        Ok(AccountState {
            account: core.account.clone(),
            cash: whole.cash,
            equity: valued.equity,
            buying_power: whole.buying_power(),
            reserved: whole.reserved,
            realised_pnl: valued.realised,
            unrealised_pnl: valued.unrealised,
            blind: book.blind.clone(),
            broker_latency: book.latency,
            open_orders: book.open_orders(),
            deposits: whole.funded,
            sparing_since: core.breaker().opened_at(),
            head_room: core.head_room(self.shared.clock.now()),
            listening_since: core.listening_since,
            heard_at: core.heard_at,
            is_locked_out: desk.broker.is_locked_out(),
            at: self.shared.clock.now(),
        })
    }

    /// An account's positions now; those that are flat only where something was earned or lost.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn positions(&self, ctx: &Context, id: AccountId) -> Result<Vec<Holding>, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        let at = self.shared.clock.now();
        let core = desk.core();
        Ok(core
            .book
            .whole
            .positions
            .iter()
            .map(|(symbol, position)| Holding {
                account: id,
                symbol: symbol.clone(),
                position: position.clone(),
                market_price: self.shared.market.last_price(symbol),
                at,
            })
            .collect())
    }

    /// One order; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn order(&self, ctx: &Context, id: OrderId) -> Result<Option<Order>, StorageError> {
        let Some(desk) = self.desk_of(id).await? else { return Ok(None) };
        if ctx.require(Permission::OrdersView, Resource::Account(desk.account_id())).is_err() {
            return Ok(None);
        }
        if let Some(live) = desk.core().book.get(id) {
            return Ok(Some(live.order.clone()));
        }
        Ok(store::load(&mut *self.shared.db.read().await?, id).await?.map(|live| live.order))
    }

    /// The order of an account that has a client order id; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn order_named(
        &self,
        ctx: &Context,
        account: AccountId,
        client_order_id: &str,
    ) -> Result<Option<Order>, StorageError> {
        let Ok(desk) = self.desk(ctx, Permission::OrdersView, account) else { return Ok(None) };
        store::used(&mut *self.shared.db.read().await?, desk.account_id(), client_order_id).await
    }

    /// The orders that some orders of an account brought with them, as a bracket its exits, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn legs(
        &self,
        ctx: &Context,
        account: AccountId,
        mains: &[OrderId],
    ) -> Result<Vec<Order>, StorageError> {
        let Ok(desk) = self.desk(ctx, Permission::OrdersView, account) else { return Ok(Vec::new()) };
        store::legs_of(&mut *self.shared.db.read().await?, desk.account_id(), mains).await
    }

    /// Money that came and went on an account without a trade, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn flows(&self, ctx: &Context, account: AccountId) -> Result<Vec<Flow>, StorageError> {
        let Ok(desk) = self.desk(ctx, Permission::AccountsView, account) else { return Ok(Vec::new()) };
        store::flows(&mut *self.shared.db.read().await?, desk.account_id()).await
    }

    /// Orders that may be seen, in the filter's order, beyond `start`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn orders(
        &self,
        ctx: &Context,
        filter: &OrderFilter,
        start: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Order>, StorageError> {
        let mut orders = Vec::new();
        for desk in self.visible(ctx, Permission::OrdersView) {
            if filter.account.is_none_or(|wanted| wanted == desk.account_id()) {
                let mut connection = self.shared.db.read().await?;
                orders.extend(store::list(&mut connection, desk.account_id(), filter, start, limit).await?);
            }
        }
        orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
        if filter.oldest_first {
            orders.reverse();
        }
        orders.truncate(limit);
        Ok(orders)
    }

    /// What happened to an order, oldest first; `None` also when it may not be seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn order_events(
        &self,
        ctx: &Context,
        id: OrderId,
    ) -> Result<Option<Vec<JournalRow>>, StorageError> {
        if self.order(ctx, id).await?.is_none() {
            return Ok(None);
        }
        store::events(&mut *self.shared.db.read().await?, id).await.map(Some)
    }

    /// Fills that may be seen, newest first, before a time and number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fills(
        &self,
        ctx: &Context,
        filter: &FillFilter,
        before: Option<(Timestamp, i64)>,
        limit: usize,
    ) -> Result<Vec<BookedFill>, StorageError> {
        let mut fills = Vec::new();
        for desk in self.visible(ctx, Permission::OrdersView) {
            if filter.account.is_none_or(|wanted| wanted == desk.account_id()) {
                let mut connection = self.shared.db.read().await?;
                fills.extend(store::fills(&mut connection, desk.account_id(), filter, before, limit).await?);
            }
        }
        fills.sort_unstable_by_key(|booked| std::cmp::Reverse((booked.fill.at, booked.seq)));
        fills.truncate(limit);
        Ok(fills)
    }

    /// Accounts that are blind, by name, with the reason: for the desk's health.
    pub fn blind(&self) -> Vec<(String, Blind)> {
        let state = |desk: &Arc<Desk>| {
            let core = desk.core();
            Some((core.account.name.clone(), core.book.blind.clone()?))
        };
        self.desks.all().values().filter_map(state).collect()
    }

    /// Orders whose outcome is not known and that may be seen, oldest first.
    pub fn unknowns(&self, ctx: &Context) -> Vec<Unknown> {
        let now = self.shared.clock.now();
        let visible = self.visible(ctx, Permission::OrdersView);
        let mut unknowns: Vec<Unknown> = visible.iter().flat_map(|desk| desk.core().unknowns(now)).collect();
        unknowns.sort_by_key(|unknown| unknown.order.id);
        unknowns
    }

    /// What is left of an account's budget of requests at its broker.
    ///
    /// # Errors
    /// The principal may not see it, or there is none.
    pub fn head_room(&self, ctx: &Context, id: AccountId) -> Result<HeadRoom, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        Ok(desk.core().head_room(self.shared.clock.now()))
    }

    /// What an account or a book is called, for whoever was told its id.
    pub fn name_of(&self, scope: &Scope) -> Option<String> {
        match scope {
            Scope::Account(id) => self.desks.get(id).map(|desk| desk.account().name),
            Scope::Book(id) => self.virtual_book(*id).map(|book| book.name),
            _ => None,
        }
    }

    /// What an account's broker can do, and what the desk does in its place.
    ///
    /// # Errors
    /// The principal may not see the account, or there is none.
    pub fn profile(&self, ctx: &Context, id: AccountId) -> Result<Profile, Denied> {
        let desk = self.desk(ctx, Permission::AccountsView, id)?;
        Ok(desk.core().profile.clone())
    }

    pub(super) fn visible(&self, ctx: &Context, permission: Permission) -> Vec<Arc<Desk>> {
        let all = self.desks.all();
        let may = |desk: &&Arc<Desk>| ctx.require(permission, Resource::Account(desk.account_id())).is_ok();
        all.values().filter(may).cloned().collect()
    }

    pub(super) async fn desk_of(&self, order: OrderId) -> Result<Option<Arc<Desk>>, StorageError> {
        if let Some(desk) = self.desks.all().values().find(|desk| desk.core().book.get(order).is_some()) {
            return Ok(Some(desk.clone()));
        }
        let account = store::account_of(&mut *self.shared.db.read().await?, order).await?;
        Ok(account.and_then(|account| self.desks.get(&account)))
    }

    pub(super) fn fenced(&self) -> Blind {
        Blind { since: self.shared.clock.now(), reason: "another desk has taken over the account".into() }
    }
}
