//! A start with 10,000 open orders: when the first cancel is taken, and when the account is reconciled with the broker.

use std::time::Instant;

use crate::desk::Desk;

const OPEN: usize = 10_000;

pub(crate) async fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("desk");
    let desk = Desk::open(&home, false).await;
    desk.many(&mut 0, OPEN).await;
    desk.until_all_work().await;
    let parts = desk.stop().await;

    let begun = Instant::now();
    let desk = Desk::start(&home, parts).await;
    let order = desk.open_orders().await.pop().expect("an open order");
    desk.gateway.cancel(&desk.ctx, order.id).await.expect("a cancel");
    let cancelable = begun.elapsed().as_secs_f64();
    desk.until_reconciled().await;
    let reconciled = begun.elapsed().as_secs_f64();
    println!("start with {OPEN} open orders");
    println!("  the first cancel is taken      {cancelable:>9.2} s          (aim 2 s or better)");
    println!("  reconciled with the broker     {reconciled:>9.2} s          (aim 15 s or better)");
    desk.close().await;
}
