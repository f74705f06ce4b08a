//! Questions to an exchange that keeps everything in memory, as a simulator's does.
#![allow(dead_code, reason = "the venue with a file asks the file, which knows what is told to be true")]

use domain::{AccountId, Timestamp};

use super::Exchange;
use crate::broker::{Balances, BrokerOrder, Execution};
use crate::venue::account::Account;
use crate::venue::book::View;
use crate::venue::order::{Report, VenueOrder};

impl Exchange {
    /// An order by the id that it was placed with.
    pub(crate) fn find(&self, account: AccountId, client_order_id: &str) -> Option<BrokerOrder> {
        self.lookup(account, client_order_id).map(VenueOrder::as_broker_order)
    }

    /// The open orders of an account, oldest first.
    pub(crate) fn open_orders(&self, account: AccountId) -> Vec<BrokerOrder> {
        let open = self.accounts.get(&account).into_iter().flat_map(|account| &account.open);
        open.filter_map(|seq| self.orders.get(seq)).map(VenueOrder::as_broker_order).collect()
    }

    /// Executions, corrections and busts of an account since a moment, oldest first.
    pub(crate) fn executions(&self, account: AccountId, since: Timestamp) -> Vec<Execution> {
        let reports = self.accounts.get(&account).into_iter().flat_map(|account| &account.reports);
        reports.filter(|report| report.at >= since).map(Report::as_execution).collect()
    }

    /// What an account has.
    pub(crate) fn balances(&self, account: AccountId) -> Balances {
        self.accounts.get(&account).map(Account::balances).unwrap_or_default()
    }

    /// The market as the exchange sees it, by symbol.
    pub(crate) fn views(&self) -> Vec<View> {
        self.symbols.values().map(|book| self.books[*book].view.clone()).collect()
    }
}
