//! The kill switch: it holds in memory, outlives a restart, and works when the disk does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{AuditEntry, OrderId, Role, Status, StepUpNeeded};
use storage::testing::databases;
use trading::{CancelError, KillError, Pull, Recorded, Scope, SubmitError, Switch};

use crate::desk::{Desk, Disk, Setting, limit, market, symbol};
use crate::faulty::Fault;

fn pull(reason: &str) -> Pull {
    Pull { reason: reason.into(), ..Pull::default() }
}

fn flatten(reason: &str) -> Pull {
    Pull { flatten: true, ..pull(reason) }
}

fn drill() -> Pull {
    Pull { drill: true, ..pull("practice") }
}

async fn until_recorded(desk: &Desk, scope: &Scope) -> Switch {
    let owner = desk.person(Role::SuperAdmin);
    desk.wait(async || {
        let switches = desk.gateway.kills(&owner);
        let found = switches.into_iter().find(|switch| switch.kill.scope == *scope);
        found.filter(|switch| switch.recorded == Recorded { database: true, file: true })
    })
    .await
}

#[tokio::test]
async fn a_pulled_switch_cancels_what_works_and_takes_nothing_new() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        let account = Scope::Account(desk.account.id);
        let engaged = desk.gateway.engage(&desk.ctx, account.clone(), pull("enough")).await.unwrap();
        assert_eq!((engaged.cancels, engaged.in_flight.len(), engaged.was_engaged), (1, 0, false));
        let refused = desk.submit(limit("b", "1", "90")).await;
        assert!(matches!(refused, Err(SubmitError::Killed(kill)) if kill.reason == "enough"));
        desk.until(order.id, |order| order.status == Status::Canceled).await;
        assert_eq!(desk.sent(), [order.id]);
        until_recorded(&desk, &account).await;
        assert!(desk.acts().iter().any(|act| act == "kill_switch.engaged"));
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn it_stays_engaged_until_somebody_who_may_releases_it_with_a_factor() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let owner = desk.person(Role::SuperAdmin);
        desk.gateway.engage(&owner, Scope::Desk, pull("enough")).await.unwrap();
        until_recorded(&desk, &Scope::Desk).await;
        let desk = desk.restart(&database).await;
        assert!(matches!(desk.submit(limit("a", "1", "90")).await, Err(SubmitError::Killed(_))));

        let trader = desk.gateway.rearm(&desk.ctx, &Scope::Desk).await;
        assert!(matches!(trader, Err(KillError::Denied(_))), "{trader:?}");
        let owner = desk.person(Role::SuperAdmin);
        let stale = desk.gateway.rearm(&owner.clone().with_factor(None), &Scope::Desk).await;
        assert!(matches!(stale, Err(KillError::StepUp(StepUpNeeded::Enrol))), "{stale:?}");
        assert!(matches!(desk.submit(limit("a", "1", "90")).await, Err(SubmitError::Killed(_))));
        desk.gateway.rearm(&owner, &Scope::Desk).await.unwrap();
        desk.submit(limit("a", "1", "90")).await.unwrap();
        let again = desk.gateway.rearm(&owner, &Scope::Desk).await;
        assert!(matches!(again, Err(KillError::NotEngaged(_))));

        let desk = desk.restart(&database).await;
        assert!(desk.gateway.kills(&desk.person(Role::SuperAdmin)).is_empty(), "released for good");
        assert!(desk.acts().iter().all(|act| act != "kill_switch.engaged"));
    }
}

#[tokio::test]
async fn who_may_pull_what() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let other = desk.person(Role::Trader);
        let user = |ctx: &domain::Context| Scope::User(ctx.user_id().unwrap());
        let denied = |answer: Result<_, KillError>| matches!(answer, Err(KillError::Denied(_)));
        for scope in [Scope::Desk, user(&other), Scope::Strategy("momentum".into())] {
            assert!(denied(desk.gateway.engage(&desk.ctx, scope, pull("no")).await.map(drop)));
        }
        let account = Scope::Account(desk.account.id);
        assert!(denied(desk.gateway.engage(&desk.stranger(), account.clone(), pull("no")).await.map(drop)));
        assert!(denied(desk.gateway.engage(&desk.viewer(), account, pull("no")).await.map(drop)));
        let nothing = desk.gateway.engage(&desk.ctx, user(&desk.ctx), pull(" ")).await;
        assert!(matches!(nothing, Err(KillError::Reason)));
        let manager = desk.person(Role::Manager);
        let nobody = desk.gateway.engage(&manager, user(&other), pull("typing error")).await;
        assert!(matches!(nobody, Err(KillError::NoSuchScope(_))), "{nobody:?}");
        assert!(desk.gateway.kills(&manager).is_empty());
        assert!(desk.submit(limit("a", "1", "90")).await.is_ok());
    }
}

#[tokio::test]
async fn a_switch_stops_its_scope_and_nobody_else() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let own = Scope::User(desk.ctx.user_id().unwrap());
        desk.gateway.engage(&desk.ctx, own, pull("my bad day")).await.unwrap();
        assert!(matches!(desk.submit(limit("a", "1", "90")).await, Err(SubmitError::Killed(_))));
        let other = desk.person(Role::Trader);
        desk.gateway.submit(&other, desk.account.id, limit("b", "1", "90")).await.unwrap();
    }
}

#[tokio::test]
async fn positions_are_closed_when_that_is_asked_for() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let bought = desk.submit(market("a", "2")).await.unwrap().order;
        desk.until(bought.id, |order| order.status == Status::Filled).await;
        let rests = desk.submit(limit("b", "1", "90")).await.unwrap().order;
        desk.until(rests.id, |order| order.status == Status::Working).await;
        let account = Scope::Account(desk.account.id);
        desk.gateway.engage(&desk.ctx, account, flatten("out of everything")).await.unwrap();
        desk.wait(async || desk.positions()[0].position.quantity.is_zero().then_some(())).await;
        desk.until(rests.id, |order| order.status == Status::Canceled).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn it_works_with_a_full_disk() {
    for database in databases().await.into_iter().filter(|database| database.folder().is_some()) {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        desk.disk(Disk::ReadOnly).await;
        let owner = desk.person(Role::SuperAdmin);
        let engaged = desk.gateway.engage(&owner, Scope::Desk, pull("the disk is full")).await.unwrap();
        assert_eq!(engaged.recorded, Recorded { database: false, file: true });
        desk.until_canceled_at_the_venue(&order).await;

        let desk = desk.restart(&database).await;
        let refused = desk.submit(limit("b", "1", "90")).await;
        assert!(matches!(refused, Err(SubmitError::Killed(_))), "the file kept it: {refused:?}");
        until_recorded(&desk, &Scope::Desk).await;
        assert!(desk.acts().iter().any(|act| act == "kill_switch.engaged"), "the row is made good");
    }
}

#[tokio::test]
async fn it_works_while_the_audit_log_hangs() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        let release = desk.hang().await;
        let owner = desk.person(Role::SuperAdmin);
        let begun = std::time::Instant::now();
        let engaged = desk.gateway.engage(&owner, Scope::Desk, pull("nothing is written")).await.unwrap();
        assert!(begun.elapsed().as_secs() < 2, "it does not wait for the disk");
        assert_eq!(engaged.recorded, Recorded { database: false, file: true });
        assert!(engaged.cancels_taken.is_some());
        desk.until_canceled_at_the_venue(&order).await;
        drop(release);
        until_recorded(&desk, &Scope::Desk).await;
        desk.until(order.id, |order| order.status == Status::Canceled).await;
    }
}

#[tokio::test]
async fn positions_are_closed_while_the_audit_log_hangs_and_journaled_once_it_does_not() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let bought = desk.submit(market("a", "2")).await.unwrap().order;
        desk.until(bought.id, |order| order.status == Status::Filled).await;
        let rests = desk.submit(limit("b", "1", "90")).await.unwrap().order;
        desk.until(rests.id, |order| order.status == Status::Working).await;
        let release = desk.hang().await;
        let owner = desk.person(Role::SuperAdmin);
        let engaged = desk.gateway.engage(&owner, Scope::Desk, flatten("out of everything")).await.unwrap();
        assert_eq!(engaged.recorded, Recorded { database: false, file: true });
        desk.until_canceled_at_the_venue(&rests).await;
        desk.wait(async || desk.venue_is_flat().await.then_some(())).await;
        assert!(!desk.positions()[0].position.quantity.is_zero(), "the journal does not know yet");
        drop(release);
        desk.wait(async || desk.positions()[0].position.quantity.is_zero().then_some(())).await;
        assert_eq!(desk.sent().len(), 3, "one order closes it");
        desk.agrees_with_the_venue().await;
        until_recorded(&desk, &Scope::Desk).await;
        let closing = format!("order/{}", desk.sent()[2]);
        let rows = desk.rows();
        let row = |row: &&AuditEntry| row.act == "order.accepted" && row.resource.as_ref() == Some(&closing);
        assert_eq!(rows.iter().filter(row).count(), 1, "it has its row");
    }
}

#[tokio::test]
async fn what_was_closed_without_the_journal_is_found_after_a_crash() {
    for database in databases().await.into_iter().filter(|database| database.folder().is_some()) {
        let desk = Desk::open(&database).await;
        let bought = desk.submit(market("a", "2")).await.unwrap().order;
        desk.until(bought.id, |order| order.status == Status::Filled).await;
        desk.disk(Disk::ReadOnly).await;
        let owner = desk.person(Role::SuperAdmin);
        desk.gateway.engage(&owner, Scope::Desk, flatten("out of everything")).await.unwrap();
        desk.wait(async || desk.venue_is_flat().await.then_some(())).await;
        let closing = desk.sent()[1];

        let desk = desk.restart(&database).await;
        let closing = desk.until(closing, |order| order.status == Status::Filled).await;
        assert_eq!(
            closing.provenance.done_by_desk,
            ["flatten"],
            "it is the desk's own, not one from outside"
        );
        desk.wait(async || desk.positions()[0].position.quantity.is_zero().then_some(())).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn an_order_in_flight_is_named_and_canceled_when_it_arrives() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::HangAfter]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until_the_venue_has(&order).await;
        let owner = desk.person(Role::SuperAdmin);
        let engaged = desk.gateway.engage(&owner, Scope::Desk, pull("stop")).await.unwrap();
        assert_eq!(engaged.in_flight, [order.id]);
        desk.until_canceled_at_the_venue(&order).await;
        desk.until(order.id, |order| order.status == Status::Canceled).await;
    }
}

#[tokio::test]
async fn a_command_stops_the_desk_through_the_file() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let file = desk.kill_file();
        let at = desk.ctx.at;
        let scope = Scope::Account(desk.account.id);
        let number =
            file.ask(scope.clone(), "from the shell".into(), false, Some("root".into()), at).unwrap();
        desk.submit(limit("a", "1", "90")).await.unwrap();
        desk.gateway.obey_kill_requests().await;
        assert!(matches!(desk.submit(limit("b", "1", "90")).await, Err(SubmitError::Killed(_))));
        let switch = until_recorded(&desk, &scope).await;
        assert_eq!((switch.kill.by.as_str(), file.obeyed().unwrap()), ("root", number));

        desk.gateway.rearm(&desk.person(Role::SuperAdmin), &scope).await.unwrap();
        desk.gateway.obey_kill_requests().await;
        desk.submit(limit("c", "1", "90")).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_asked_for_while_the_desk_was_down_holds_from_its_start() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let file = desk.kill_file();
        file.ask(Scope::Desk, "do not start trading".into(), false, None, desk.ctx.at).unwrap();
        let desk = desk.restart(&database).await;
        assert!(matches!(desk.submit(limit("a", "1", "90")).await, Err(SubmitError::Killed(_))));
        until_recorded(&desk, &Scope::Desk).await;
    }
}

#[tokio::test]
async fn a_drill_is_measured_recorded_and_ended_without_a_factor() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        let account = Scope::Account(desk.account.id);
        desk.gateway.engage(&desk.ctx, account.clone(), drill()).await.unwrap();
        assert!(matches!(desk.submit(limit("b", "1", "90")).await, Err(SubmitError::Killed(_))));
        let shown = desk
            .wait(async || desk.gateway.kills(&desk.ctx).into_iter().find_map(|switch| switch.drill))
            .await;
        assert_eq!((shown.cancels, shown.in_flight, shown.last_accepted.as_micros()), (1, 0, 0));
        assert!(shown.cancels_sent.as_millis() < 1_000, "{shown:?}");
        desk.wait(async || desk.acts().contains(&"kill_switch.drilled".to_owned()).then_some(())).await;
        desk.gateway.rearm(&desk.ctx, &account).await.unwrap();
        desk.submit(limit("b", "1", "90")).await.unwrap();
    }
}

#[tokio::test]
async fn real_money_is_not_drilled_with() {
    for database in databases().await {
        let desk = Desk::open_with(&database, Setting { live: true, ..Setting::default() }).await;
        let account = Scope::Account(desk.account.id);
        let refused = desk.gateway.engage(&desk.ctx, account, drill()).await;
        assert!(matches!(refused, Err(KillError::DrillOnLive(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn orders_not_yet_in_the_journal_are_not_lost_to_a_switch() {
    for database in databases().await {
        let desk = Arc::new(Desk::open(&database).await);
        let release = desk.hang().await;
        let submitting = tokio::spawn({
            let desk = desk.clone();
            async move { desk.submit(limit("a", "1", "90")).await }
        });
        // Nothing is told of it before it is in the journal.
        while desk.state().open_orders == 0 {
            tokio::task::yield_now().await;
        }
        let owner = desk.person(Role::SuperAdmin);
        desk.gateway.engage(&owner, Scope::Desk, pull("stop")).await.unwrap();
        drop(release);
        let order = submitting.await.unwrap().unwrap().order;
        desk.until(order.id, |order| order.status == Status::Canceled).await;
        assert!(desk.sent().is_empty());
        assert!(desk.state().blind.is_none());
        assert!(matches!(desk.cancel(order.id).await, Err(CancelError::NotOpen { .. })));
    }
}

/// F-20: whatever was going on, after the answer the broker gets nothing but what the answer names.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_the_answer_nothing_is_sent_but_what_was_in_flight() {
    let rounds: u64 = std::env::var("STOCKADE_TEST_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    for database in databases().await {
        let desk = Arc::new(Desk::open(&database).await);
        let owner = desk.person(Role::SuperAdmin);
        for round in 0..rounds {
            let stop = Arc::new(AtomicBool::new(false));
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let (desk, stop) = (desk.clone(), stop.clone());
                    tokio::spawn(async move {
                        let mut nth = 0;
                        while !stop.load(Ordering::Relaxed) {
                            nth += 1;
                            let _ =
                                desk.submit(limit(&format!("{round}-{client}-{nth}"), "0.001", "90")).await;
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            let before = desk.sent().len() + usize::try_from(round % 7).unwrap();
            desk.wait(async || (desk.sent().len() > before).then_some(())).await;
            let engaged = desk.gateway.engage(&desk.now(&owner), Scope::Desk, pull("race")).await.unwrap();
            let sent = desk.sent().len();
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                client.await.unwrap();
            }
            desk.wait(async || (desk.state().open_orders == 0).then_some(())).await;
            let late: Vec<OrderId> = desk.sent().split_off(sent);
            assert!(late.iter().all(|id| engaged.in_flight.contains(id)), "{late:?} in {engaged:?}");
            let open = desk.truth().open_orders().await.unwrap();
            assert!(open.is_empty(), "{open:?}");
            desk.gateway.rearm(&desk.person(Role::SuperAdmin), &Scope::Desk).await.unwrap();
        }
        assert!(
            desk.gateway.orders(&desk.ctx, &Default::default(), None, 1).await.unwrap()[0]
                .request
                .symbol
                .eq(&symbol())
        );
    }
}
