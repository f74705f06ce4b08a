//! Those who trade: what they ask for, what they were told, and what they do when nobody answers.

use std::collections::BTreeMap;

use domain::{
    Decimal, OrderClass, OrderId, OrderKind, OrderRequest, Price, Quantity, Side, Size, StopLoss, Symbol,
    TimeInForce, Trail,
};

use crate::venue::random::Dice;

/// What a client knows of one of its requests, in the words of Jepsen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Asked, not answered yet.
    Invoked,
    /// Accepted.
    Ok(OrderId),
    /// Refused.
    Fail,
    /// Not answered, and it may have been accepted or not.
    Info,
}

/// One client.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Requests without an answer, which it repeats.
    pub(super) doubtful: Vec<OrderRequest>,
}

/// What a client does next.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Submit(OrderRequest),
    Cancel(OrderId),
    Amend(OrderId, Option<Quantity>, Option<Price>),
    CancelAll,
}

/// The request with this number.
pub(super) fn request(
    dice: &mut Dice,
    number: u64,
    symbols: &[Symbol],
    prices: &BTreeMap<Symbol, Price>,
) -> OrderRequest {
    let symbol = symbols[dice.below(symbols.len())].clone();
    let price = prices.get(&symbol).copied().unwrap_or(Price(Decimal::ONE_HUNDRED));
    let side = if dice.says(0.55) { Side::Buy } else { Side::Sell };
    let quantity = Quantity(Decimal::from(1 + dice.below(20)) / Decimal::TEN);
    let near =
        |dice: &mut Dice, cents: usize| Decimal::new(dice.below(2 * cents + 1) as i64 - cents as i64, 2);
    let limit = Price(price.0 + near(dice, 200));
    let base = OrderRequest::simple(format!("c-{number}"), symbol, side, quantity, None, TimeInForce::Gtc);
    let away = Decimal::new(50 + dice.below(300) as i64, 2);
    let (above, below) = (Price(price.0 + away), Price(price.0 - away));
    match dice.below(20) {
        0..=6 => OrderRequest { time_in_force: TimeInForce::Day, ..base },
        7..=12 => OrderRequest { kind: OrderKind::Limit, limit_price: Some(limit), ..base },
        13 => OrderRequest {
            kind: OrderKind::Limit,
            limit_price: Some(limit),
            time_in_force: if dice.says(0.5) { TimeInForce::Ioc } else { TimeInForce::Fok },
            ..base
        },
        14 => {
            let stop_price = Some(if side == Side::Buy { above } else { below });
            OrderRequest { kind: OrderKind::Stop, stop_price, ..base }
        }
        15 => OrderRequest {
            kind: OrderKind::TrailingStop,
            trail: Some(if dice.says(0.5) {
                Trail::Percent(Decimal::ONE)
            } else {
                Trail::Price(Price(Decimal::ONE))
            }),
            ..base
        },
        16 => OrderRequest {
            size: Size::Notional(domain::Money(Decimal::from(50))),
            time_in_force: TimeInForce::Day,
            ..base
        },
        17 | 18 => OrderRequest {
            class: OrderClass::Bracket,
            side: Side::Buy,
            take_profit: Some(above),
            stop_loss: Some(StopLoss { stop_price: below, limit_price: None }),
            ..base
        },
        _ => OrderRequest {
            class: OrderClass::Oco,
            side: Side::Sell,
            kind: OrderKind::Limit,
            limit_price: Some(above),
            stop_loss: Some(StopLoss { stop_price: below, limit_price: None }),
            ..base
        },
    }
}
