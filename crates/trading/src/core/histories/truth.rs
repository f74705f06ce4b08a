//! What truly happened at the broker: a list of orders and of executions, and what they come to.

use domain::{
    Decimal, Fill, Money, Order, OrderEvent, PositionFill, Price, Quantity, Reason, Side, Status, Symbol,
    Timestamp,
};

use crate::broker::{
    Balances, BrokerEvent, BrokerOrder, BrokerStatus, CancelFailure, Execution, Refusal, SubmitFailure, Terms,
};
use crate::core::Snapshot;

/// An order that the broker took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    broker_order_id: String,
    pub(super) client_order_id: String,
    terms: Terms,
    status: BrokerStatus,
    /// As they stand.
    fills: Vec<Fill>,
    replaced_by: Option<String>,
    placed_at: Timestamp,
    is_cancel_wanted: bool,
}

impl Taken {
    pub(super) fn filled(&self) -> Quantity {
        self.fills.iter().map(|fill| fill.quantity).sum()
    }

    pub(super) fn notional(&self) -> Money {
        self.fills.iter().map(|fill| fill.price * fill.quantity).sum()
    }

    pub(super) fn is_open(&self) -> bool {
        self.status == BrokerStatus::Open
    }

    pub(super) fn side(&self) -> Side {
        self.terms.side
    }

    /// What may still be executed.
    pub(super) fn left(&self) -> Quantity {
        if self.is_open() { self.terms.quantity - self.filled() } else { Quantity::ZERO }
    }

    /// Where the desk has to see it.
    pub(super) fn status(&self) -> Status {
        match self.status {
            _ if self.filled() >= self.terms.quantity => Status::Filled,
            BrokerStatus::Open if self.filled().is_zero() => Status::Working,
            BrokerStatus::Open => Status::PartiallyFilled,
            // An execution of it was taken back, and the broker does not work it again.
            BrokerStatus::Filled | BrokerStatus::Canceled => Status::Canceled,
            BrokerStatus::Replaced => Status::Replaced,
            BrokerStatus::Expired => Status::Expired,
            BrokerStatus::Rejected(_) => Status::Rejected,
        }
    }

    fn as_broker_order(&self) -> BrokerOrder {
        BrokerOrder {
            broker_order_id: self.broker_order_id.clone(),
            client_order_id: self.client_order_id.clone(),
            terms: self.terms.clone(),
            status: self.status.clone(),
            fills: self.fills.clone(),
            replaced_by: self.replaced_by.clone(),
            placed_at: self.placed_at,
        }
    }
}

/// The broker.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) orders: Vec<Taken>,
    executions: Vec<(Timestamp, Execution)>,
    pub(super) cash: Money,
    pub(super) units: Quantity,
    symbol: Symbol,
    refuses_duplicates: bool,
    /// What the stream has not been given yet.
    news: Vec<BrokerEvent>,
    names: u32,
    /// Before it lists anything, it answers as if nothing had arrived.
    pub(super) lists: bool,
    /// Why it refuses every order.
    pub(super) refuses: Option<Reason>,
    opening_cash: Money,
}

impl Truth {
    pub(super) fn new(symbol: Symbol, cash: Money, refuses_duplicates: bool) -> Self {
        Self {
            orders: Vec::new(),
            executions: Vec::new(),
            cash,
            units: Quantity::ZERO,
            symbol,
            refuses_duplicates,
            news: Vec::new(),
            names: 0,
            lists: true,
            refuses: None,
            opening_cash: cash,
        }
    }

    /// What the stream tells now.
    pub(super) fn news(&mut self) -> Vec<BrokerEvent> {
        std::mem::take(&mut self.news)
    }

    // What the desk asks ----------------------------------------------------------------------------------

    pub(super) fn submit(&mut self, order: &Order, now: Timestamp) -> Result<String, SubmitFailure> {
        if let Some(reason) = self.refuses {
            return Err(SubmitFailure::Refused(Refusal::new(reason, "403 Forbidden")));
        }
        if self.refuses_duplicates && self.place_of(order).is_some() {
            return Err(SubmitFailure::Exists);
        }
        Ok(self.take(order, now))
    }

    pub(super) fn cancel(&mut self, order: &Order) -> Result<(), CancelFailure> {
        match self.place_of(order).map(|place| &mut self.orders[place]) {
            Some(taken) if taken.is_open() => {
                taken.is_cancel_wanted = true;
                Ok(())
            }
            _ => Err(CancelFailure::Refused(Refusal::new(Reason::TooLate, "it is not open"))),
        }
    }

    pub(super) fn replace(
        &mut self,
        order: &Order,
        by: &Order,
        now: Timestamp,
    ) -> Result<String, SubmitFailure> {
        let place = self.place_of(order);
        let Some(place) = place.filter(|place| {
            let taken = &self.orders[*place];
            taken.is_open() && taken.filled() == order.filled
        }) else {
            return Err(SubmitFailure::Refused(Refusal::new(Reason::TooLate, "it changed meanwhile")));
        };
        let (old, id) = (&mut self.orders[place], by.id);
        old.status = BrokerStatus::Replaced;
        old.replaced_by = Some(id.to_string());
        self.tell(place, OrderEvent::Replaced { by: Some(id) });
        Ok(self.take(by, now))
    }

    pub(super) fn find(&self, order: &Order) -> Option<BrokerOrder> {
        let place = self.place_of(order).filter(|_| self.lists)?;
        Some(self.orders[place].as_broker_order())
    }

    pub(super) fn everything(&self, since: Timestamp, known: &[Order], events_before: u64) -> Snapshot {
        if !self.lists {
            let balances = Balances { cash: self.opening_cash, positions: Vec::new() };
            let found = known.iter().map(|order| (order.id, None)).collect();
            return Snapshot {
                open: Vec::new(),
                found,
                executions: Vec::new(),
                balances,
                actions: Vec::new(),
                events_before,
            };
        }
        let open = self.orders.iter().filter(|taken| taken.is_open());
        let missing = known.iter().filter(|order| self.find(order).is_none_or(|found| !is_open(&found)));
        let executions = self.executions.iter().filter(|(at, _)| *at >= since);
        Snapshot {
            open: open.map(Taken::as_broker_order).collect(),
            found: missing.map(|order| (order.id, self.find(order))).collect(),
            executions: executions.map(|(_, execution)| execution.clone()).collect(),
            balances: Balances { cash: self.cash, positions: vec![(self.symbol.clone(), self.units)] },
            actions: Vec::new(),
            events_before,
        }
    }

    // What happens by itself ------------------------------------------------------------------------------

    /// Fills a part of an open order, or what is left of it.
    pub(super) fn fill(&mut self, which: usize, quantity: Quantity, price: Price, now: Timestamp) {
        let Some(place) = self.nth_open(which) else { return };
        let quantity = quantity.min(self.orders[place].left());
        let fill = Fill { execution_id: self.name("e"), price, quantity, fee: fee(quantity), at: now };
        self.orders[place].fills.push(fill.clone());
        self.book(place, &fill, Decimal::ONE);
        self.execute(place, OrderEvent::Filled(fill), now);
    }

    /// Ends an open order.
    pub(super) fn end(&mut self, which: usize, event: OrderEvent) {
        if let Some(place) = self.nth_open(which) {
            self.end_at(place, event);
        }
    }

    /// Does the cancels that were asked for.
    pub(super) fn do_cancels(&mut self) {
        for place in 0..self.orders.len() {
            if self.orders[place].is_open() && self.orders[place].is_cancel_wanted {
                self.end_at(place, OrderEvent::Canceled);
            }
        }
    }

    /// Corrects an execution, under its own id or a new one. What is at its end does not become whole by it.
    pub(super) fn correct(
        &mut self,
        which: usize,
        quantity: Quantity,
        price: Price,
        keeps_id: bool,
        now: Timestamp,
    ) {
        let Some((place, nth)) = self.nth_fill(which) else { return };
        let was = self.orders[place].fills[nth].clone();
        let quantity = quantity.min(was.quantity + self.orders[place].left());
        let id = if keeps_id { was.execution_id.clone() } else { self.name("e") };
        let by = Fill { execution_id: id, price, quantity, ..was.clone() };
        self.orders[place].fills[nth] = by.clone();
        self.book(place, &was, -Decimal::ONE);
        self.book(place, &by, Decimal::ONE);
        self.execute(place, OrderEvent::Corrected { execution_id: was.execution_id, by }, now);
    }

    /// Takes an execution back.
    pub(super) fn bust(&mut self, which: usize, now: Timestamp) {
        let Some((place, nth)) = self.nth_fill(which) else { return };
        let was = self.orders[place].fills.remove(nth);
        self.book(place, &was, -Decimal::ONE);
        self.execute(place, OrderEvent::Busted { execution_id: was.execution_id }, now);
    }

    /// Tells something of a kind that nobody has heard of.
    pub(super) fn mumble(&mut self, which: usize) {
        if let Some(taken) = pick(&self.orders, which) {
            let (client_order_id, broker_order_id) =
                (taken.client_order_id.clone(), taken.broker_order_id.clone());
            self.news.push(BrokerEvent { client_order_id, broker_order_id, event: None });
        }
    }

    // -----------------------------------------------------------------------------------------------------

    fn take(&mut self, order: &Order, now: Timestamp) -> String {
        let broker_order_id = self.name("b");
        let request = &order.request;
        self.orders.push(Taken {
            broker_order_id: broker_order_id.clone(),
            client_order_id: order.id.to_string(),
            terms: Terms {
                symbol: request.symbol.clone(),
                side: request.side,
                kind: request.kind,
                time_in_force: request.time_in_force,
                quantity: order.quantity,
                limit_price: request.limit_price,
                stop_price: None,
                trail: None,
                extended_hours: false,
            },
            status: BrokerStatus::Open,
            fills: Vec::new(),
            replaced_by: None,
            placed_at: now,
            is_cancel_wanted: false,
        });
        let acknowledged = OrderEvent::Acknowledged { broker_order_id: broker_order_id.clone() };
        self.tell(self.orders.len() - 1, acknowledged);
        broker_order_id
    }

    fn end_at(&mut self, place: usize, event: OrderEvent) {
        self.orders[place].status = match &event {
            OrderEvent::Canceled => BrokerStatus::Canceled,
            OrderEvent::Expired { .. } => BrokerStatus::Expired,
            OrderEvent::Refused { reason, code } => BrokerStatus::Rejected(Refusal::new(*code, reason)),
            other => unreachable!("{other:?} ends nothing"),
        };
        self.tell(place, event);
    }

    /// Something happened to an execution: it is listed and told, and an order of which all is executed is done.
    fn execute(&mut self, place: usize, event: OrderEvent, now: Timestamp) {
        let taken = &mut self.orders[place];
        if taken.is_open() && !taken.left().is_positive() {
            taken.status = BrokerStatus::Filled;
        }
        let execution = Execution {
            client_order_id: taken.client_order_id.clone(),
            broker_order_id: taken.broker_order_id.clone(),
            symbol: self.symbol.clone(),
            side: taken.terms.side,
            event: event.clone(),
        };
        self.executions.push((now, execution));
        self.tell(place, event);
    }

    fn tell(&mut self, place: usize, event: OrderEvent) {
        let taken = &self.orders[place];
        self.news.push(BrokerEvent {
            client_order_id: taken.client_order_id.clone(),
            broker_order_id: taken.broker_order_id.clone(),
            event: Some(event),
        });
    }

    fn book(&mut self, place: usize, fill: &Fill, sign: Decimal) {
        let side = self.orders[place].terms.side;
        let units = if side == Side::Buy { fill.quantity.0 } else { -fill.quantity.0 };
        self.cash += Money(PositionFill::of(side, fill).cash().0 * sign);
        self.units += Quantity(units * sign);
    }

    fn place_of(&self, order: &Order) -> Option<usize> {
        let id = order.id.to_string();
        self.orders.iter().position(|taken| taken.client_order_id == id)
    }

    fn nth_open(&self, which: usize) -> Option<usize> {
        let open: Vec<usize> = (0..self.orders.len()).filter(|place| self.orders[*place].is_open()).collect();
        pick(&open, which).copied()
    }

    fn nth_fill(&self, which: usize) -> Option<(usize, usize)> {
        let of = |(place, taken): (usize, &Taken)| (0..taken.fills.len()).map(move |nth| (place, nth));
        let all: Vec<(usize, usize)> = self.orders.iter().enumerate().flat_map(of).collect();
        pick(&all, which).copied()
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }
}

fn is_open(order: &BrokerOrder) -> bool {
    order.status == BrokerStatus::Open
}

/// A cent a unit.
fn fee(quantity: Quantity) -> Money {
    Money(quantity.0 * Decimal::new(1, 2))
}

pub(super) fn pick<T>(of: &[T], which: usize) -> Option<&T> {
    (!of.is_empty()).then(|| &of[which % of.len()])
}
