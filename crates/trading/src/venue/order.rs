//! An order as the venue has it.

use domain::{AccountId, Fill, Money, OrderEvent, OrderKind, Price, Quantity, Side, Symbol, Timestamp};

use crate::broker::{BrokerOrder, BrokerStatus, Execution, Refusal, Terms};

/// An order as the venue has it: one row of its book.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VenueOrder {
    /// Counts from 1 over the whole venue, and makes the order's id.
    pub(super) seq: i64,
    pub(super) account: AccountId,
    pub(super) client_order_id: String,
    /// What is ordered. The stop price of a trailing stop is where it is now.
    pub(super) terms: Terms,
    pub(super) status: VenueStatus,
    pub(super) filled: Quantity,
    /// The time in price-time priority: the order's number, or that of the order whose place it kept.
    pub(super) priority: i64,
    /// Size displayed at its limit before it, that must trade first.
    pub(super) queue_ahead: Quantity,
    /// Whether it has stood against a quote of the open market. Until then it takes prices as they come.
    pub(super) met: bool,
    /// On trailing stops: the best price that the market has had since.
    pub(super) best: Option<Price>,
    /// What one unit is reckoned at until it trades.
    pub(super) reserve_price: Price,
    /// Fees of its fills by the table, before the least and the most of an order.
    pub(super) raw_fees: Money,
    /// When its request reaches the book.
    pub(super) arrives_at: Timestamp,
    /// When a cancel reaches the book that is on its way.
    pub(super) cancel_at: Option<Timestamp>,
    /// When its time is over.
    pub(super) expires_at: Option<Timestamp>,
    /// The order whose place it takes when it arrives, and what that had filled when this was asked for.
    pub(super) replaces: Option<(i64, Quantity)>,
    /// The client order id of the order that took its place.
    pub(super) replaced_by: Option<String>,
    /// Why it was rejected.
    pub(super) refusal: Option<Refusal>,
    pub(super) placed_at: Timestamp,
    /// Its executions as they stand; busted ones are not among them.
    pub(super) fills: Vec<Fill>,
    /// Executions, corrections and busts so far.
    pub(super) reports: u32,
}

/// Where an order stands at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VenueStatus {
    /// On its way to the book.
    Arriving,
    /// In no queue yet: it waits for its stop price or its auction.
    Waiting,
    /// In the queue.
    Open,
    Filled,
    Canceled,
    Expired,
    Replaced,
    Rejected,
}

impl VenueStatus {
    pub(super) const ALL: [Self; 8] = [
        Self::Arriving,
        Self::Waiting,
        Self::Open,
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Replaced,
        Self::Rejected,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Rejected => "rejected",
        }
    }

    /// Whether something may still become of it.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Arriving | Self::Waiting | Self::Open)
    }
}

/// One line of an account's list of executions: an execution, a correction or a bust.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(super) account: AccountId,
    pub(super) seq: i64,
    pub(super) client_order_id: String,
    pub(super) symbol: Symbol,
    pub(super) side: Side,
    pub(super) event: OrderEvent,
    pub(super) at: Timestamp,
}

/// The id of the order with a number.
pub(super) fn order_id(seq: i64) -> String {
    format!("P-{seq}")
}

/// The number of the order that an execution id belongs to.
pub(super) fn order_of(execution_id: &str) -> Option<i64> {
    execution_id.strip_prefix("P-")?.split('-').next()?.parse().ok()
}

impl Report {
    pub(super) fn as_execution(&self) -> Execution {
        Execution {
            client_order_id: self.client_order_id.clone(),
            broker_order_id: order_id(self.seq),
            symbol: self.symbol.clone(),
            side: self.side,
            event: self.event.clone(),
        }
    }
}

impl VenueOrder {
    /// What it may still execute.
    pub(super) fn leaves(&self) -> Quantity {
        (self.terms.quantity - self.filled).max(Quantity::ZERO)
    }

    /// The worst price that it takes now; `None` takes any.
    pub(super) fn limit(&self) -> Option<Price> {
        self.terms.limit_price.filter(|_| self.terms.kind.has_limit())
    }

    /// Whether it would trade at a price.
    pub(super) fn takes(&self, price: Price) -> bool {
        self.limit().is_none_or(|limit| match self.terms.side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        })
    }

    /// Whether it holds back money or units. A replacement on its way does not: what it is to replace still does.
    pub(super) fn holds(&self) -> bool {
        self.status.is_open() && self.replaces.is_none()
    }

    /// The id of its next execution: the same after a restart.
    pub(super) fn next_execution_id(&self) -> String {
        format!("{}-x{}", order_id(self.seq), self.reports + 1)
    }

    /// Whether it has a stop price to wait for.
    pub(super) fn has_trigger(&self) -> bool {
        self.terms.kind.has_stop() || self.terms.kind == OrderKind::TrailingStop
    }

    /// Whether a trade at a price makes it active.
    pub(super) fn is_triggered_by(&self, price: Price) -> bool {
        self.terms.stop_price.is_some_and(|stop| match self.terms.side {
            Side::Buy => price >= stop,
            Side::Sell => price <= stop,
        })
    }

    /// Lets a trailing stop follow a trade. Whether it moved.
    pub(super) fn follow(&mut self, price: Price) -> bool {
        let Some(trail) = self.terms.trail else { return false };
        let is_better = self.best.is_none_or(|best| match self.terms.side {
            Side::Sell => price > best,
            Side::Buy => price < best,
        });
        if is_better {
            self.best = Some(price);
            self.terms.stop_price = Some(trail.stop_price(price, self.terms.side));
        }
        is_better
    }

    /// Folds an execution, a correction or a bust into its fills.
    pub(super) fn count(&mut self, event: &OrderEvent) {
        self.reports += 1;
        match event {
            OrderEvent::Filled(fill) => self.fills.push(fill.clone()),
            OrderEvent::Corrected { execution_id, by } => {
                if let Some(fill) = self.fills.iter_mut().find(|fill| fill.execution_id == *execution_id) {
                    *fill = by.clone();
                }
            }
            OrderEvent::Busted { execution_id } => {
                self.fills.retain(|fill| fill.execution_id != *execution_id);
            }
            _ => {}
        }
    }

    pub(super) fn as_broker_order(&self) -> BrokerOrder {
        let status = match self.status {
            VenueStatus::Arriving | VenueStatus::Waiting | VenueStatus::Open => BrokerStatus::Open,
            VenueStatus::Filled => BrokerStatus::Filled,
            VenueStatus::Canceled => BrokerStatus::Canceled,
            VenueStatus::Expired => BrokerStatus::Expired,
            VenueStatus::Replaced => BrokerStatus::Replaced,
            VenueStatus::Rejected => BrokerStatus::Rejected(
                self.refusal.clone().unwrap_or_else(|| Refusal::new(domain::Reason::Other, "rejected")),
            ),
        };
        BrokerOrder {
            broker_order_id: order_id(self.seq),
            client_order_id: self.client_order_id.clone(),
            terms: self.terms.clone(),
            status,
            fills: self.fills.clone(),
            replaced_by: self.replaced_by.clone(),
            placed_at: self.placed_at,
        }
    }
}
