//! The kill switch, pulled while 64 clients place orders as fast as they can and 1,000 orders work: how long after the
//! call an order was still accepted, and when the paper venue had answered all cancels.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::Role;
use trading::{Pull, Scope, SubmitError};

use crate::desk::{CLIENTS, Desk};

const WORKING: usize = 1_000;

pub(crate) async fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = Desk::open(&folder.path().join("desk"), false).await;
    desk.many(&mut 0, WORKING).await;
    desk.until_all_work().await;

    let next = Arc::new(AtomicUsize::new(WORKING));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (desk, next) = (desk.clone(), next.clone());
            tokio::spawn(async move {
                let mut last = Instant::now();
                loop {
                    match desk.try_submit(next.fetch_add(1, Ordering::Relaxed)).await {
                        Ok(_) => last = Instant::now(),
                        Err(SubmitError::Killed(_)) => return last,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    while next.load(Ordering::Relaxed) < WORKING + 20 * CLIENTS {
        tokio::task::yield_now().await;
    }

    let owner = desk.person(Role::SuperAdmin);
    let pull = Pull { reason: "benchmark".into(), flatten: false, drill: false };
    let begun = Instant::now();
    let engaged = desk.gateway.engage(&owner, Scope::Desk, pull).await.expect("a switch");
    let answered = begun.elapsed();
    let mut last = Duration::ZERO;
    for client in clients {
        last = last.max(client.await.expect("a client that ends").saturating_duration_since(begun));
    }
    desk.until_none_is_open().await;
    let quiet = begun.elapsed();
    println!("kill switch, {CLIENTS} clients, {} orders to cancel", engaged.cancels + engaged.cancels_later);
    println!("  the call is answered           {:>9.1} ms", answered.as_secs_f64() * 1e3);
    println!(
        "  the last order accepted        {:>9.1} ms         (aim 100 ms or better)",
        last.as_secs_f64() * 1e3
    );
    let cancels = engaged.cancels_taken.unwrap_or(quiet);
    println!(
        "  all cancels answered           {:>9.1} ms         (aim 1000 ms or better)",
        cancels.as_secs_f64() * 1e3
    );
    desk.close().await;
}
