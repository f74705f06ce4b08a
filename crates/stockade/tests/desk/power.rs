//! A power cut: whatever was written and not synced is gone, at every moment of a desk's life.
//!
//! strace writes down what the desk writes to its files and when it syncs them. From that the files are built anew as a
//! disk would have them that keeps nothing before it must, once for each sync: with all that was synced by then and nothing
//! else; and once more with some of the rest, in any order and torn, as disks do.

mod disk;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng as _};
use sqlx::{AnyConnection, Connection as _, Row as _};

use self::disk::{Disk, recording};
use crate::running::Home;
use crate::syscalls::{strace_works, traced};
use crate::trial::{End, Ground};

const ORDERS: usize = 50;
/// Of so many cuts the audit log is verified by the program itself; of each the rows are compared.
const VERIFIED: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_power_is_cut_no_acknowledged_order_is_lost_and_none_was_sent_that_is_not_there() {
    if !strace_works().await {
        return;
    }
    let seed: u64 =
        std::env::var("STOCKADE_TEST_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("STOCKADE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let mut ground = Ground::new().await;
    let mut disk = Disk::of(ground.desks.path());
    let outside = Home::new();
    let log = outside.file("writes");
    let doomed = traced(&ground.desks, &recording(&log));
    assert_eq!(ground.live_through("power", ORDERS, doomed).await, End::Lived);

    let told = ground.acknowledged();
    let sent = sent(&ground.venues).await;
    let steps = disk::read(&log, ground.desks.path());
    let syncs: Vec<i64> = steps.iter().filter(|step| step.is_sync()).map(|step| step.at).collect();
    let (mut cuts, mut proven, mut nth) = (0, 0, 0);
    for step in &steps {
        disk.take(step);
        if !step.is_sync() {
            continue;
        }
        nth += 1;
        // The power is cut in the last moment before the next sync is done. Who was told something before then was told it
        // on the strength of what is on the disk now.
        let until = syncs.get(nth).copied().unwrap_or(i64::MAX);
        let told: Vec<&str> =
            told.iter().filter(|(_, at)| *at < until).map(|(name, _)| name.as_str()).collect();
        let sent: Vec<&str> = sent.iter().filter(|(_, at)| **at < until).map(|(id, _)| id.as_str()).collect();
        for torn in [None, Some(&mut random as &mut dyn Rng)] {
            let kind =
                if torn.is_some() { "with some of what was not synced" } else { "with what was synced" };
            let home = Home::new();
            copy(&ground.desks, &home);
            disk.write(home.path(), torn);
            let held = Held::read(&home).await;
            let whose = format!("after sync {nth} of {}, {kind}", syncs.len());
            held.check(&told, &sent, &whose);
            if nth % (syncs.len() / VERIFIED).max(1) == 0 {
                let (good, report) = home.run(&["audit", "verify"]).await;
                assert!(good, "{whose}: {report}");
            }
            cuts += 1;
            proven += told.len();
        }
    }
    println!(
        "{cuts} power cuts, {} orders acknowledged in all, {proven} times one was looked for and found",
        told.len()
    );
    assert!(told.len() > ORDERS / 2 && cuts > ORDERS, "too little happened for the test to mean anything");
}

/// What is found after a power cut.
struct Held {
    /// By client order id: the desk's id, attempts to send it, and whether the audit log has it.
    orders: BTreeMap<String, (String, i64, bool)>,
}

impl Held {
    async fn read(home: &Home) -> Self {
        let mut desk = AnyConnection::connect(&home.database()).await.unwrap();
        let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut desk).await.unwrap();
        assert_eq!(whole, "ok", "the database is damaged");
        let sql = "SELECT client_order_id, id, attempts, (SELECT COUNT(*) FROM audit_log \
                   WHERE act IN ('order.accepted', 'order.replace_requested') \
                   AND resource = 'order/' || COALESCE(parent_id, replaces, orders.id)) FROM orders";
        let rows = sqlx::query(sql).fetch_all(&mut desk).await.unwrap();
        let order =
            |row: &sqlx::any::AnyRow| (row.get(0), (row.get(1), row.get(2), row.get::<i64, _>(3) > 0));
        Self { orders: rows.iter().map(order).collect() }
    }

    fn check(&self, told: &[&str], sent: &[&str], whose: &str) {
        for name in told {
            assert!(self.orders.contains_key(*name), "{whose}: {name} was acknowledged and is lost");
        }
        for (name, (_, _, audited)) in &self.orders {
            assert!(audited, "{whose}: {name} has no audit row");
        }
        let attempted: Vec<&str> = self
            .orders
            .values()
            .filter(|(_, attempts, _)| *attempts > 0)
            .map(|(id, _, _)| id.as_str())
            .collect();
        for id in sent {
            assert!(attempted.contains(id), "{whose}: {id} was sent, and the journal does not know that");
        }
    }
}

/// The files of a home that the desk does not write while it runs: its keys and settings.
fn copy(from: &Home, to: &Home) {
    for entry in std::fs::read_dir(from.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.file(entry.file_name().to_str().unwrap())).unwrap();
        }
    }
    std::fs::set_permissions(to.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// The desk's ids of the orders that the venue has, with when it took them, in microseconds.
async fn sent(venues: &Home) -> BTreeMap<String, i64> {
    let mut venue =
        AnyConnection::connect(&format!("sqlite:{}", venues.file("paper.db").display())).await.unwrap();
    let rows = sqlx::query("SELECT client_order_id, placed_at FROM venue_orders")
        .fetch_all(&mut venue)
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
