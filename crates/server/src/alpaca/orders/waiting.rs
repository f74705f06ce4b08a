//! Orders that wait for a second person: to a client they are orders under review, by the id of what is asked.

use alpaca::OrderStatus;
use domain::{Order, OrderId, Provenance, Quantity, Size};
use trading::{Approval, ApprovalId, ApprovalStatus, Asked};

use super::plain;
use crate::Desk;
use crate::alpaca::Refusal;
use crate::alpaca::bot::Bot;

/// How many are looked through.
const MOST: usize = 500;

/// Those of the key that wait.
pub(super) async fn all(desk: &Desk, bot: &Bot) -> Result<Vec<Approval>, Refusal> {
    let waiting = desk.gateway.approvals(&bot.ctx, Some(ApprovalStatus::Waiting), None, MOST).await?;
    Ok(waiting.into_iter().filter(|one| is_ours(one, bot)).collect())
}

/// One of the key's, whatever became of it.
pub(super) async fn found(desk: &Desk, bot: &Bot, id: ApprovalId) -> Result<Option<Approval>, Refusal> {
    Ok(desk.gateway.approval(&bot.ctx, id).await?.filter(|one| is_ours(one, bot)))
}

pub(super) async fn withdraw(desk: &Desk, bot: &Bot, approval: &Approval) -> Result<(), Refusal> {
    let withdrawn = desk.gateway.withdraw_approval(&bot.ctx, approval.id).await;
    withdrawn.map(|_| ()).map_err(|error| Refusal::impossible(error.to_string()))
}

fn is_ours(approval: &Approval, bot: &Bot) -> bool {
    let on_account = matches!(&approval.what, Asked::Order { account, .. } if *account == bot.account);
    on_account && approval.key == bot.ctx.key_id()
}

/// The order that there would be.
pub(super) fn as_order(approval: &Approval) -> Order {
    let Asked::Order { account, request } = &approval.what else {
        unreachable!("only orders are asked for through this API, and others are filtered out");
    };
    let quantity = match request.size {
        Size::Quantity(quantity) => quantity,
        Size::Notional(_) => Quantity::ZERO,
    };
    let id = OrderId(approval.id.uuid());
    let provenance = Provenance { key: approval.key, ..Provenance::of(approval.asked_by.clone()) };
    let order = Order::accepted(id, *account, (**request).clone(), quantity, provenance, approval.asked_at);
    Order { updated_at: approval.decided_at.unwrap_or(approval.asked_at), ..order }
}

/// The same in Alpaca's shape.
pub(super) fn shown(approval: &Approval) -> alpaca::Order {
    let order = as_order(approval);
    let (status, ended) = match approval.status {
        // One that was agreed to and is not there yet is being placed.
        ApprovalStatus::Waiting => (OrderStatus::PendingReview, false),
        ApprovalStatus::Approved if approval.result.is_none() => (OrderStatus::PendingReview, false),
        ApprovalStatus::Approved | ApprovalStatus::Refused => (OrderStatus::Rejected, true),
        ApprovalStatus::Expired => (OrderStatus::Expired, true),
        ApprovalStatus::Withdrawn => (OrderStatus::Canceled, true),
    };
    let at = |which: &OrderStatus| (ended && status == *which).then_some(order.updated_at);
    let times = (at(&OrderStatus::Rejected), at(&OrderStatus::Expired), at(&OrderStatus::Canceled));
    let (failed_at, expired_at, canceled_at) = times;
    let shown = plain(&order, order.request.class);
    alpaca::Order { failed_at, expired_at, canceled_at, status, ..shown }
}
