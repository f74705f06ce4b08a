//! How fast orders are made durable.
//!
//! - Durable accepts a second with 64 clients, beside raw group-committed inserts of the same rows; once with a broker
//!   that is slower than the clients, as real ones are, and once while the paper venue takes every order at once, so that
//!   sending, acknowledgements and the venue's own book share the two ends of the disk.
//! - The median of one order at a time, beside one raw durable commit of the same rows.
//!
//! The references use one SQLite connection with the desk's settings and nothing else: no checks, no queue, no hash, no
//! signature. Rounds of the two take turns, so that a machine that changes its speed changes both.

use crate::desk::{CLIENTS, Desk};
use crate::{median, rate, raw};

const ROUNDS: usize = 9;
const ORDERS: usize = 2_048;
const SINGLE: usize = 300;

pub(crate) async fn measure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let desk = Desk::open(&folder.path().join("paper"), false).await;
    let slow = Desk::open(&folder.path().join("slow"), true).await;
    let mut reference = raw::connection(&folder.path().join("raw.db")).await;

    // One of each first: statements are prepared, files are grown.
    let mut next = 0;
    desk.many(&mut next, 256).await;
    slow.many(&mut next, 256).await;
    raw::groups(&mut reference, 256, &mut 0).await;

    let (mut ours, mut routed, mut theirs, mut raw_id) = (Vec::new(), Vec::new(), Vec::new(), 1_000_000);
    for _ in 0..ROUNDS {
        ours.push(rate(ORDERS, slow.many(&mut next, ORDERS).await));
        routed.push(rate(ORDERS, desk.many(&mut next, ORDERS).await));
        desk.settle().await;
        theirs.push(rate(ORDERS, raw::groups(&mut reference, ORDERS, &mut raw_id).await));
    }
    let (ours, routed, theirs) = (median(ours), median(routed), median(theirs));
    let ratio = ours / theirs;
    println!(
        "durable accepts, {CLIENTS} clients       {ours:>9.0} orders/s   ratio {ratio:.2} (aim 0.5 or better)"
    );
    let ratio = routed / theirs;
    println!("the same, each sent at once      {routed:>9.0} orders/s   ratio {ratio:.2}");
    println!("raw group commits, same rows     {theirs:>9.0} orders/s");

    // In a task, as the requests of a server are.
    let one = desk.clone();
    let singles = tokio::spawn(async move {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..SINGLE {
            ours.push(one.one(&mut next).await.as_secs_f64() * 1e6);
            theirs.push(raw::groups(&mut reference, 1, &mut raw_id).await.as_secs_f64() * 1e6);
        }
        (ours, theirs)
    });
    let (ours, theirs) = singles.await.expect("a task that ends");
    let (ours, theirs) = (median(ours), median(theirs));
    println!("one order, median                {ours:>9.0} µs");
    let ratio = ours / theirs;
    println!(
        "one raw durable commit, median   {theirs:>9.0} µs         ratio {ratio:.2} (aim 1.5 or better)"
    );
    desk.close().await;
    slow.close().await;
}
