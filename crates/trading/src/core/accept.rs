//! Accepting an order: every check, and the head-room it needs, held in one step.

use std::sync::Arc;

use domain::{
    AuditEntry, BookId, Context, Denied, Instrument, KeyId, Leg, Money, Order, OrderClass, OrderId,
    OrderKind, OrderRequest, Price, Provenance, Quantity, Quote, Side, Size, Status, Symbol, TimeInForce,
    Timestamp, Trail, UserId,
};
use serde_json::{Value, json};

use super::{Core, Kill, View};
use crate::accounts::{Blind, Mode, signed};
use crate::book::{BookKey, Live};
use crate::books::BookRefusal;
use crate::broker::Way;
use crate::risk::{self, Ask, Assessment, BookFacts, Facts, Hold, Ledger, Limit, LimitBook, Session};
use crate::scope::{Scope, Scopes};
use crate::store::{Intent, NewOrder};

/// The market with what is needed to accept an order.
pub(crate) trait Market: View {
    /// An instrument, if the desk knows it.
    fn instrument(&self, symbol: &Symbol) -> Option<Instrument>;
}

/// Everything besides the account that decides about an order.
pub(crate) struct Accepting<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) market: &'a dyn Market,
    pub(crate) limits: &'a LimitBook,
    pub(crate) ledger: &'a mut Ledger,
    /// Somebody else has agreed to it already: what needs an approval has it.
    pub(crate) approved_by: Option<UserId>,
}

/// Why an order is not accepted.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// A rule forbids it.
    Check(Box<risk::Check>),
    /// A switch is engaged that covers it.
    Killed(Kill),
    /// The account takes no new risk.
    Blind(Blind),
    /// Somebody has paused the account.
    Paused { since: Timestamp },
    /// Real money is not switched on.
    NotLive,
    /// It is switched on, and not granted to whoever asks.
    Denied(Denied),
    /// Neither the broker nor the desk can do it.
    Unsupported { field: &'static str, reason: String },
    /// Somebody else has to agree first.
    NeedsApproval(Arc<Limit>),
    /// It is not for the book that it names.
    Book(BookRefusal),
    /// The order that is to be replaced stands so that it cannot be.
    NotReplaceable(Status),
}

/// What is to be changed of an order; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// One's own name for the order that takes the place; made up if there is none.
    pub client_order_id: Option<String>,
    /// How much in all, with what is filled already.
    pub quantity: Option<Quantity>,
    /// The new limit price.
    pub limit_price: Option<Price>,
    /// The new stop price.
    pub stop_price: Option<Price>,
    /// The new distance of a trailing stop.
    pub trail: Option<Trail>,
    /// The new time in force.
    pub time_in_force: Option<TimeInForce>,
}

/// An order whose head-room is held.
pub(crate) struct Accepted {
    order: Order,
    assessment: Assessment,
    /// The orders it brings with it.
    legs: Vec<NewOrder>,
    approved_by: Option<UserId>,
    mode: Mode,
}

impl Accepted {
    /// What is to be journaled: the order with its audit row, which names the limits that were applied. Needs no lock.
    pub(crate) fn intent(self, ctx: &Context) -> Intent {
        let Self { order, assessment, legs, approved_by, mode } = self;
        let mut detail = describe(&order.request);
        detail["units"] = json!(order.quantity);
        detail["reserved_per_unit"] = json!(assessment.reserve_price);
        if !order.provenance.done_by_desk.is_empty() {
            detail["done_by_desk"] = json!(order.provenance.done_by_desk);
        }
        if let Some(by) = approved_by {
            detail["approved_by"] = json!(by);
        }
        let applied: serde_json::Map<String, Value> = assessment
            .checks
            .iter()
            .filter_map(|check| Some((check.rule.as_str().to_owned(), json!(check.limit()?))))
            .collect();
        detail["limits"] = Value::Object(applied);
        let entry = AuditEntry::by(ctx, "order.accepted").on("order", order.id).with(detail);
        let entry = signed(order.account, mode, entry);
        Intent { order, reserve_price: assessment.reserve_price, legs, entry }
    }
}

/// What limits and switches apply to an order by what it belongs to.
pub(crate) fn scopes_of(order: &Order) -> Scopes {
    let (provenance, request) = (&order.provenance, &order.request);
    let author = Author { submitted_by: provenance.submitted_by.clone(), key: provenance.key };
    scopes(order.account, provenance.book, &author, request.strategy.as_deref())
}

fn scopes(
    account: domain::AccountId,
    book: Option<BookId>,
    author: &Author,
    strategy: Option<&str>,
) -> Scopes {
    let strategy = strategy.map(|name| Scope::Strategy(name.to_owned()));
    Scopes::new(account, book.map(Scope::Book).into_iter().chain(author.scopes()).chain(strategy))
}

/// Who asks, as an order keeps it.
pub(crate) fn author(ctx: &Context) -> String {
    ctx.principal.id.clone().unwrap_or_else(|| ctx.principal.kind.to_string())
}

/// Whose order it is: the person, and the API key if a program asked with one.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) submitted_by: String,
    pub(crate) key: Option<KeyId>,
}

impl Author {
    fn of(ctx: &Context) -> Self {
        Self { submitted_by: author(ctx), key: ctx.key_id() }
    }

    /// The scopes that a limit or a switch on either is set on.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> + use<> {
        let user = self.submitted_by.parse::<UserId>().ok().map(Scope::User);
        user.into_iter().chain(self.key.map(|key| Scope::Key(key.to_string())))
    }
}

impl Core {
    /// What an order would cost and every check of it. Changes nothing.
    pub(crate) fn assess(
        &self,
        asking: &Accepting<'_>,
        request: &OrderRequest,
    ) -> (Assessment, Option<Quote>) {
        let book = self.book_for(asking.ctx, request).unwrap_or_default();
        self.assess_in_place_of(asking, request, book, None)
    }

    fn assess_in_place_of(
        &self,
        asking: &Accepting<'_>,
        request: &OrderRequest,
        key: BookKey,
        old: Option<&Live>,
    ) -> (Assessment, Option<Quote>) {
        let symbol = &request.symbol;
        let (quote, quoted_at) = asking.market.quote(symbol).unzip();
        let instrument = asking.market.instrument(symbol);
        let (money, units) = old.map_or_else(Default::default, Live::needs);
        let book = (key.is_some() || self.book.is_divided()).then(|| self.book.holdings(key));
        let facts = Facts {
            instrument: instrument.as_ref(),
            quote: quote.as_ref(),
            quoted_at,
            buying_power: self.book.whole.buying_power() + money,
            sellable: self.book.whole.sellable(symbol) + units,
            book: book.map(|own| BookFacts {
                cash: own.buying_power() + money,
                sellable: own.sellable(symbol) + units,
            }),
            short_allowed: self.profile.short == Way::Broker,
            session: Session::Open,
            now: asking.ctx.at,
        };
        let scopes = scopes(self.account.id, key, &Author::of(asking.ctx), request.strategy.as_deref());
        let ask = Ask { request, scopes: &scopes, replaces: old.map(|live| live.order.id) };
        let terms = &self.config.limits;
        (risk::assess(&ask, &facts, terms, asking.limits, asking.ledger), quote)
    }

    /// Checks an order and holds its head-room, in one step. It is the account's once it is journaled: until then
    /// [`Core::not_journaled`] takes it back.
    pub(crate) fn accept(
        &mut self,
        asking: &mut Accepting<'_>,
        request: &OrderRequest,
        id: OrderId,
        leg_ids: [OrderId; 2],
    ) -> Result<Accepted, Refused> {
        let book = self.check_open(asking.ctx, request)?;
        let done_by_desk = self.ways(request)?;
        let (assessment, _) = self.assess(asking, request);
        self.check(asking, &assessment)?;
        // What closes risk passes while the account is blind.
        self.check_risk_is_taken(assessment.closing)?;
        let (ctx, account) = (asking.ctx, self.account.id);
        let provenance = Provenance { book, done_by_desk, key: ctx.key_id(), ..Provenance::of(author(ctx)) };
        let order = Order::accepted(id, account, request.clone(), assessment.quantity, provenance, ctx.at);
        let order = match request.class {
            // The take-profit of the two: it is kept here, and the stop-loss works.
            OrderClass::Oco => order.held(),
            _ => order,
        };
        let legs = legs(&order, &assessment, leg_ids);
        for (order, price) in [(&order, assessment.reserve_price)]
            .into_iter()
            .chain(legs.iter().map(|leg| (&leg.order, leg.reserve_price)))
        {
            self.book.put(Live::new(order.clone(), price));
            self.arriving.insert(order.id);
            if order.status != Status::Held {
                let counts = order.id == id;
                let worst = if counts { assessment.worst_price } else { price };
                asking.ledger.hold(Hold { counts, ..Hold::of(order, &scopes_of(order), worst) });
            }
        }
        Ok(Accepted { order, assessment, legs, approved_by: asking.approved_by, mode: self.account.mode })
    }

    /// An accepted order could not be journaled: it never was.
    pub(crate) fn not_journaled(&mut self, ledger: &mut Ledger, orders: impl Iterator<Item = OrderId>) {
        for id in orders {
            self.arriving.remove(&id);
            self.book.remove(id);
            ledger.forget(id);
        }
    }

    /// An accepted order is in the journal: it is lined up for sending.
    pub(crate) fn journaled(&mut self, orders: impl Iterator<Item = OrderId>) {
        for id in orders {
            self.arriving.remove(&id);
            if self.book.get(id).is_some_and(|live| live.order.status == Status::Accepted) {
                self.book.queue(id);
            }
        }
    }

    /// Checks an order that is to take the place of another, and holds the head-room of the larger of the two.
    pub(crate) fn amend(
        &mut self,
        asking: &mut Accepting<'_>,
        old: OrderId,
        amendment: &Amendment,
        id: OrderId,
    ) -> Result<(NewOrder, AuditEntry), Refused> {
        let live = self.book.get(old).cloned().ok_or(Refused::NotReplaceable(Status::Canceled))?;
        let order = &live.order;
        if !matches!(order.status, Status::Working | Status::PartiallyFilled) {
            return Err(Refused::NotReplaceable(order.status));
        }
        if live.cover != Default::default() {
            // It holds head-room for an order that may take its place yet, though a cancel of it was refused meanwhile:
            // most often because that has happened.
            return Err(Refused::NotReplaceable(Status::ReplacePending));
        }
        if let Way::No(reason) = self.profile.replace {
            return Err(Refused::Unsupported { field: "replace", reason: reason.to_owned() });
        }
        let quantity = amendment.quantity.unwrap_or(order.quantity) - order.filled;
        let was = &order.request;
        let request = OrderRequest {
            client_order_id: amendment.client_order_id.clone().unwrap_or_else(|| id.to_string()),
            size: Size::Quantity(quantity),
            limit_price: amendment.limit_price.or(was.limit_price),
            stop_price: amendment.stop_price.or(was.stop_price),
            trail: amendment.trail.or(was.trail),
            time_in_force: amendment.time_in_force.unwrap_or(was.time_in_force),
            // A leg stays one by its provenance; its group is not asked for again.
            class: OrderClass::Simple,
            take_profit: None,
            stop_loss: None,
            ..was.clone()
        };
        let book = order.provenance.book;
        if book.is_some() {
            self.check_author(asking.ctx, book).map_err(Refused::Book)?;
        }
        self.check_switches(asking.ctx, &request, book)?;
        self.ways(&request)?;
        let (assessment, _) = self.assess_in_place_of(asking, &request, book, Some(&live));
        self.check(asking, &assessment)?;
        self.check_risk_is_taken(assessment.closing)?;
        let provenance = Provenance {
            replaces: Some(old),
            submitted_by: author(asking.ctx),
            key: asking.ctx.key_id(),
            ..order.provenance.clone()
        };
        let by =
            Order::accepted(id, self.account.id, request, assessment.quantity, provenance, asking.ctx.at);
        let mut detail = describe(&by.request);
        detail["by"] = json!(id);
        let entry = AuditEntry::by(asking.ctx, "order.replace_requested").on("order", old).with(detail);
        asking.ledger.hold(Hold::of(&by, &scopes_of(&by), assessment.worst_price));
        self.cover(old, &Live::new(by.clone(), assessment.reserve_price));
        Ok((NewOrder { order: by, reserve_price: assessment.reserve_price }, entry))
    }

    /// A replacement came to nothing before it was journaled.
    pub(crate) fn not_amended(&mut self, ledger: &mut Ledger, old: OrderId, by: OrderId) {
        self.uncover(old);
        ledger.forget(by);
    }

    /// The book that an order is for, if that and the account take orders at all.
    fn check_open(&self, ctx: &Context, request: &OrderRequest) -> Result<BookKey, Refused> {
        let book = self.book_for(ctx, request).map_err(Refused::Book)?;
        self.check_switches(ctx, request, book).map(|()| book)
    }

    fn check_switches(&self, ctx: &Context, request: &OrderRequest, book: BookKey) -> Result<(), Refused> {
        if self.leaving {
            // It is as good as gone.
            return Err(Refused::Denied(Denied::NoGrant { account: self.account.id }));
        }
        let scopes = scopes(self.account.id, book, &Author::of(ctx), request.strategy.as_deref());
        if let Some(kill) = self.killed(&scopes) {
            return Err(Refused::Killed(kill.clone()));
        }
        if self.account.mode == Mode::Live {
            if self.account.live_since.is_none() {
                return Err(Refused::NotLive);
            }
            ctx.require_live(self.account.id).map_err(Refused::Denied)?;
        }
        Ok(())
    }

    /// Why an order would not be accepted, other than by a check.
    pub(crate) fn closed_to(&self, ctx: &Context, request: &OrderRequest, closing: bool) -> Option<Refused> {
        if let Err(refused) = self.check_open(ctx, request) {
            return Some(refused);
        }
        self.check_risk_is_taken(closing).err()
    }

    /// Whether the account takes on risk at the moment. What closes some passes in any case.
    fn check_risk_is_taken(&self, closing: bool) -> Result<(), Refused> {
        if closing {
            return Ok(());
        }
        if let Some(since) = self.account.paused_since {
            return Err(Refused::Paused { since });
        }
        self.book.blind.clone().map_or(Ok(()), |blind| Err(Refused::Blind(blind)))
    }

    /// Every check, and the approval of a second person where that is needed.
    fn check(&self, asking: &Accepting<'_>, assessment: &Assessment) -> Result<(), Refused> {
        if let Some(check) = assessment.refusal() {
            return Err(Refused::Check(Box::new(check.clone())));
        }
        match &assessment.needs_approval {
            Some(limit) if asking.approved_by.is_none() => Err(Refused::NeedsApproval(limit.clone())),
            _ => Ok(()),
        }
    }

    /// What the desk has to do itself, by what the broker can.
    pub(crate) fn ways(&self, request: &OrderRequest) -> Result<Vec<String>, Refused> {
        let profile = &self.profile;
        let (kind, time, class) = (request.kind, request.time_in_force, request.class);
        let notional = matches!(request.size, Size::Notional(_));
        let wanted = [
            ("type", kind.as_str(), (profile.kinds)(kind)),
            ("time_in_force", time.as_str(), (profile.times)(time)),
            ("class", class.as_str(), (profile.classes)(class)),
            ("notional", "notional", if notional { profile.notional } else { Way::Broker }),
            (
                "extended_hours",
                "extended_hours",
                if request.extended_hours { profile.extended_hours } else { Way::Broker },
            ),
        ];
        let mut done_by_desk = Vec::new();
        for (field, what, way) in wanted {
            match way {
                Way::Broker => {}
                Way::Desk => done_by_desk.push(what.to_owned()),
                Way::No(reason) => return Err(Refused::Unsupported { field, reason: reason.to_owned() }),
            }
        }
        match (profile.lacks)(request) {
            Some((field, reason)) => Err(Refused::Unsupported { field, reason: reason.to_owned() }),
            None => Ok(done_by_desk),
        }
    }
}

/// The orders that an order brings with it, where the desk does its class.
fn legs(main: &Order, assessment: &Assessment, ids: [OrderId; 2]) -> Vec<NewOrder> {
    let request = &main.request;
    if !main.provenance.done_by_desk.iter().any(|done| done == request.class.as_str()) {
        return Vec::new();
    }
    let is_oco = request.class == OrderClass::Oco;
    let side = if is_oco { request.side } else { request.side.opposite() };
    let mut legs = Vec::new();
    let mut add =
        |leg: Leg, id: OrderId, kind: OrderKind, limit_price: Option<Price>, stop_price: Option<Price>| {
            let quantity = assessment.quantity;
            let time_in_force = match request.time_in_force {
                TimeInForce::Day => TimeInForce::Day,
                _ => TimeInForce::Gtc,
            };
            let request = OrderRequest {
                client_order_id: id.to_string(),
                side,
                kind,
                time_in_force,
                size: Size::Quantity(quantity),
                limit_price,
                stop_price,
                trail: None,
                extended_hours: false,
                class: OrderClass::Simple,
                take_profit: None,
                stop_loss: None,
                ..request.clone()
            };
            let provenance = Provenance {
                parent: Some(main.id),
                leg: Some(leg),
                done_by_desk: Vec::new(),
                ..main.provenance.clone()
            };
            let order = Order::accepted(id, main.account, request, quantity, provenance, main.created_at);
            let order = if is_oco { order } else { order.held() };
            let reserve_price = match side {
                Side::Buy => limit_price.or(stop_price).unwrap_or(assessment.reserve_price),
                Side::Sell => Price::ZERO,
            };
            legs.push(NewOrder { order, reserve_price });
        };
    if let (Some(limit), false) = (request.take_profit, is_oco) {
        add(Leg::TakeProfit, ids[0], OrderKind::Limit, Some(limit), None);
    }
    if let Some(stop) = request.stop_loss {
        let kind = if stop.limit_price.is_some() { OrderKind::StopLimit } else { OrderKind::Stop };
        add(Leg::StopLoss, ids[1], kind, stop.limit_price, Some(stop.stop_price));
    }
    legs
}

/// A request as the audit log keeps it.
pub(crate) fn describe(request: &OrderRequest) -> Value {
    let mut detail = json!(request);
    if let Value::Object(fields) = &mut detail {
        fields.retain(|_, value| !value.is_null());
        let name = request.client_order_id.chars().take(128).collect::<String>();
        fields.insert("client_order_id".into(), json!(name));
        if let Some(kind) = fields.remove("kind") {
            fields.insert("type".into(), kind);
        }
    }
    detail
}

/// What a purchase costs with the fee, or a sale brings after it.
pub(crate) fn total(side: Side, assessment: &Assessment) -> Money {
    match side {
        Side::Buy => assessment.notional + assessment.fee,
        Side::Sell => assessment.notional - assessment.fee,
    }
}
