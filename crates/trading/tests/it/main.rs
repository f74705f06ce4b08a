//! The order path against a real database, a real market and the paper venue, with a broker connection that misbehaves
//! on request. Every story runs on every engine there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod desk;
mod faulty;

mod approvals;
mod books;
mod corporate;
mod kill;
mod limits;
mod live;
mod portfolio;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Status;
use storage::StorageError;
use storage::testing::databases;
use trading::{CancelError, OrderFilter, Rule, SubmitError};

use desk::{Desk, Disk, Settled as _, limit, market, sell};
use faulty::Fault;

#[tokio::test]
async fn a_market_order_is_journaled_sent_filled_and_booked() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(market("a", "2")).await.unwrap().order;
        assert_eq!(order.status, Status::Accepted);
        let order = desk.until(order.id, |order| order.status == Status::Filled).await;
        assert_eq!(order.average_fill_price().unwrap().to_string(), "101");

        let story: Vec<&str> =
            desk.journal(order.id).await.iter().map(|event| event.kind().as_str()).collect();
        assert_eq!(story, ["submitting", "acknowledged", "filled"]);
        let acts = desk.acts();
        let orders: Vec<&str> =
            acts.iter().filter(|act| act.starts_with("order.")).map(String::as_str).collect();
        assert_eq!(orders, ["order.accepted", "order.submitting", "order.acknowledged", "order.filled"]);

        let state = desk.state();
        assert_eq!(state.cash.to_string(), "99797.798", "two at 101, and 10 basis points");
        assert_eq!(state.reserved.to_string(), "0");
        let [position] = &desk.positions()[..] else { panic!("one position") };
        assert_eq!(position.position.quantity.to_string(), "2");
        assert_eq!(position.position.average_price().unwrap().to_string(), "101");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn a_limit_order_waits_and_is_canceled() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        let order = desk.until(order.id, |order| order.status == Status::Working).await;
        assert_eq!(desk.state().reserved.to_string(), "90.09");
        desk.cancel(order.id).await.unwrap();
        let order = desk.until(order.id, |order| order.status == Status::Canceled).await;
        assert_eq!(desk.state().reserved.to_string(), "0");
        let again = desk.cancel(order.id).await;
        assert!(matches!(again, Err(CancelError::NotOpen { status: Status::Canceled })), "{again:?}");
    }
}

#[tokio::test]
async fn a_partial_fill_that_crosses_the_cancel_stays() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        // Five are displayed; the rest of a market order waits for the next quote.
        let order = desk.submit(market("a", "8")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::PartiallyFilled).await;
        desk.cancel(order.id).await.unwrap();
        let order = desk.until(order.id, |order| order.status == Status::Canceled).await;
        assert_eq!(order.filled.to_string(), "5");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn the_same_client_order_id_is_the_same_order_for_ever() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let first = desk.submit(limit("a", "900", "90")).await.unwrap();
        let again = desk.submit(limit("a", "900", "90")).await.unwrap();
        assert!(
            !first.repeated && again.repeated,
            "though its price is reserved, and a second one could not be paid"
        );
        assert_eq!(first.order.id, again.order.id);
        let other = desk.submit(limit("a", "1", "90")).await;
        assert!(
            matches!(other, Err(SubmitError::ClientOrderIdConflict { existing }) if existing == first.order.id)
        );
        let desk = desk.restart(&database).await;
        let again = desk.submit(limit("a", "900", "90")).await.unwrap();
        assert!(again.repeated && again.order.id == first.order.id);
    }
}

#[tokio::test]
async fn orders_at_the_same_moment_do_not_pass_on_the_same_head_room() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let names: Vec<String> = (0..40).map(|nth| format!("o{nth}")).collect();
        let orders = names.iter().map(|name| desk.submit(limit(name, "100", "90")));
        let results = futures_util::future::join_all(orders).await;
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(accepted, 11, "each reserves 9,009 of 100,000");
        for refused in results.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, SubmitError::Refused(check) if check.rule == Rule::BuyingPower));
        }
        assert_eq!(desk.state().buying_power.to_string(), "901");
    }
}

#[tokio::test]
async fn a_refused_order_leaves_only_the_audit_of_the_refusal() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let refused = desk.submit(sell("a", "1")).await;
        assert!(matches!(refused, Err(SubmitError::Refused(check)) if check.rule == Rule::Position));
        assert_eq!(desk.acts().last().unwrap(), "order.refused");
        let orders = desk.gateway.orders(&desk.ctx, &OrderFilter::default(), None, 10).await.unwrap();
        assert!(orders.is_empty() && desk.sent().is_empty());
    }
}

#[tokio::test]
async fn whoever_was_not_granted_the_account_may_do_nothing_and_learns_nothing() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        let stranger = desk.stranger();
        let refused = desk.gateway.submit(&stranger, desk.account.id, limit("b", "1", "90")).await;
        assert!(matches!(refused, Err(SubmitError::Denied(_))), "{refused:?}");
        assert!(desk.acts().iter().any(|act| act == "order.refused"));
        assert!(matches!(desk.gateway.cancel(&stranger, order.id).await, Err(CancelError::NotFound)));
        assert!(desk.gateway.order(&stranger, order.id).await.unwrap().is_none());
        assert!(desk.gateway.order_events(&stranger, order.id).await.unwrap().is_none());
        assert!(desk.gateway.account(&stranger, desk.account.id).is_err());
        assert!(desk.gateway.orders(&stranger, &OrderFilter::default(), None, 10).await.unwrap().is_empty());
        let viewer = desk.viewer();
        assert!(desk.gateway.order(&viewer, order.id).await.unwrap().is_some());
        assert!(matches!(desk.gateway.cancel(&viewer, order.id).await, Err(CancelError::Denied(_))));
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_at_the_broker_and_never_sent_twice() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::LoseAnswer, Fault::SwallowEvents]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Unknown).await;
        assert_eq!(desk.state().reserved.to_string(), "90.09", "it may be there: its head-room is held");
        desk.until(order.id, |order| order.status == Status::Working).await;
        assert_eq!(desk.sent(), [order.id]);
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn a_stream_that_tells_the_outcome_first_ends_the_doubt() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::LoseAnswer]);
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        assert_eq!(desk.sent(), [order.id]);
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn an_order_that_never_arrived_expires_and_is_not_sent_again() {
    for database in databases().await {
        let desk = Desk::open_where_doubles_are_taken(&database).await;
        desk.faults([Fault::LoseRequest]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Unknown).await;
        let order = desk.until(order.id, |order| order.status.is_terminal()).await;
        assert_eq!(order.status, Status::Expired);
        assert_eq!(desk.sent(), [order.id]);
        assert_eq!(desk.state().reserved.to_string(), "0");
    }
}

#[tokio::test]
async fn an_order_that_never_arrived_is_sent_again_under_the_same_id_where_doubles_are_refused() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::LoseRequest]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        let order = desk.until(order.id, |order| order.status == Status::Working).await;
        assert_eq!((order.attempts, desk.sent()), (2, vec![order.id, order.id]));
        let story: Vec<&str> =
            desk.journal(order.id).await.iter().map(|event| event.kind().as_str()).collect();
        assert_eq!(story, ["submitting", "lost", "absent", "submitting", "acknowledged"]);
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn an_order_that_arrives_after_it_was_given_up_is_canceled_there() {
    for database in databases().await {
        let desk = Desk::open_where_doubles_are_taken(&database).await;
        desk.faults([Fault::LoseRequest]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        let order = desk.until(order.id, |order| order.status == Status::Expired).await;
        desk.arrive_late(&order).await;
        desk.until_canceled_at_the_venue(&order).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn only_what_certainly_did_not_reach_the_broker_is_sent_again() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::NotReached, Fault::NotReached]);
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        let order = desk.until(order.id, |order| order.status == Status::Filled).await;
        assert_eq!((order.attempts, desk.sent().len()), (3, 3));
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn a_cancel_while_the_answer_is_out_is_carried_out_once_the_order_is_found() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::LoseAnswer, Fault::SwallowEvents]);
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Unknown).await;
        desk.cancel(order.id).await.unwrap();
        desk.until(order.id, |order| order.broker_order_id.is_some()).await;
        desk.cut_stream();
        desk.until(order.id, |order| order.status == Status::Canceled).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn fills_that_the_stream_did_not_tell_are_found_by_asking() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::SwallowEvents]);
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        desk.cut_stream();
        desk.until(order.id, |order| order.status == Status::Filled).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn executions_that_are_told_twice_count_once() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.faults([Fault::RepeatEvents]);
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        desk.cut_stream();
        desk.until_reconciled().await;
        assert_eq!(desk.positions()[0].position.quantity.to_string(), "1");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn a_stop_while_the_order_is_being_sent_loses_nothing_and_sends_nothing_twice() {
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        for database in databases().await {
            let desk = Desk::open_where_doubles_are_taken(&database).await;
            desk.faults([fault, Fault::SwallowEvents]);
            let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
            desk.until(order.id, |order| order.status == Status::Submitting).await;
            if fault == Fault::HangAfter {
                desk.until_the_venue_has(&order).await;
            }
            let desk = desk.restart(&database).await;
            let order = desk.until(order.id, |order| order.is_settled()).await;
            let expected = if fault == Fault::HangAfter { Status::Working } else { Status::Expired };
            assert_eq!(order.status, expected, "with {fault:?}: {:?}", order.reason);
            assert!(desk.sent().is_empty(), "it is looked up, not sent again");
            desk.agrees_with_the_venue().await;
        }
    }
}

#[tokio::test]
async fn an_order_accepted_just_before_a_stop_is_sent_after_it() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        // So many are on their way and get no answer that the last one waits.
        let slow = 32;
        desk.faults([Fault::HangBefore; 32]);
        for nth in 0..slow {
            let order = desk.submit(limit(&format!("slow-{nth}"), "0.001", "90")).await.unwrap().order;
            desk.until(order.id, |order| order.status == Status::Submitting).await;
        }
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        let desk = desk.restart(&database).await;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        // Those that nobody answered are not at the venue, and may go out again too: each once.
        let sent = desk.sent();
        assert!(sent.contains(&order.id));
        assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), sent.len(), "{sent:?}");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn an_order_whose_client_hung_up_is_carried_out_or_was_never_there() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        {
            let mut submitting = Box::pin(desk.submit(market("a", "1")));
            assert!(futures_util::poll!(submitting.as_mut()).is_pending(), "it waits for the disk");
        }
        let again = desk.submit(market("a", "1")).await.unwrap();
        desk.until(again.order.id, |order| order.status == Status::Filled).await;
        assert_eq!(desk.sent(), [again.order.id]);
        assert_eq!(desk.state().reserved.to_string(), "0");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn an_order_that_lay_too_long_expires_instead_of_surprising_anybody() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.broker_down(true);
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.attempts > 0 && order.status == Status::Accepted).await;
        desk.clock.advance(std::time::Duration::from_secs(31));
        let order = desk.until(order.id, |order| order.status.is_terminal()).await;
        assert_eq!(order.status, Status::Expired);
        assert!(order.reason.unwrap().contains("30 s"));
    }
}

#[tokio::test]
async fn a_desk_that_was_taken_over_cannot_write_or_send() {
    for database in databases().await {
        let old = Desk::open(&database).await;
        let new = old.second(&database).await;
        let refused = old.submit(market("a", "1")).await;
        assert!(matches!(refused, Err(SubmitError::Blind(_))), "{refused:?}");
        assert!(old.sent().is_empty());
        let order = new.submit(market("a", "1")).await.unwrap().order;
        new.until(order.id, |order| order.status == Status::Filled).await;
    }
}

#[tokio::test]
async fn while_the_broker_is_out_of_sight_nothing_new_is_bought_and_what_is_held_can_be_sold() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let order = desk.submit(market("a", "1")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Filled).await;
        desk.broker_down(true);
        desk.cut_stream();
        desk.until_blind().await;
        let refused = desk.submit(market("b", "1")).await;
        assert!(matches!(refused, Err(SubmitError::Blind(_))), "{refused:?}");
        let sale = desk.submit(sell("c", "1")).await.unwrap().order;
        desk.broker_down(false);
        desk.until(sale.id, |order| order.status == Status::Filled).await;
        desk.until_reconciled().await;
        desk.submit(market("d", "1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_or_read_only_disk_refuses_orders_clearly_and_reads_go_on() {
    for disk in [Disk::Full, Disk::ReadOnly] {
        let database = &databases().await[0];
        let desk = Desk::open(database).await;
        let before = desk.submit(limit("before", "0.001", "90")).await.unwrap().order;
        desk.until(before.id, |order| order.status == Status::Working).await;
        desk.disk(disk).await;
        let (mut accepted, mut refused) = (1, None);
        for nth in 0..500 {
            match desk.submit(limit(&format!("o{nth}"), "0.001", "90")).await {
                Ok(_) => accepted += 1,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        assert!(matches!(refused, Some(SubmitError::Journal(_))), "{disk:?}: {refused:?}");
        let orders = desk.gateway.orders(&desk.ctx, &OrderFilter::default(), None, 1000).await.unwrap();
        assert_eq!(orders.len(), accepted, "{disk:?}: reads go on, and what was refused is not there");
        let reserved = desk.state().reserved;
        let desk = match disk {
            // SQLite's stand-in for a read-only disk cannot be lifted from inside.
            Disk::ReadOnly => desk.restart(database).await,
            _ => {
                desk.disk(Disk::Good).await;
                desk
            }
        };
        desk.until_reconciled().await;
        let after = desk.submit(limit("after", "0.001", "90")).await.unwrap().order;
        desk.until(after.id, |order| order.status == Status::Working).await;
        assert!(desk.state().reserved > reserved, "{disk:?}: what was refused reserves nothing");
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn many_orders_at_once_end_as_the_venue_has_them() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.deep_market();
        let names: Vec<String> = (0..200).map(|nth| format!("o{nth}")).collect();
        let submitted = names.iter().enumerate().map(|(nth, name)| {
            desk.submit(if nth % 3 == 0 { limit(name, "0.5", "90") } else { market(name, "0.5") })
        });
        for result in futures_util::future::join_all(submitted).await {
            let order = result.unwrap().order;
            desk.until(order.id, |order| order.is_settled()).await;
        }
        assert_eq!(desk.sent().len(), 200);
        desk.agrees_with_the_venue().await;
        let desk = desk.restart(&database).await;
        desk.agrees_with_the_venue().await;
    }
}

#[tokio::test]
async fn every_row_about_an_order_says_whether_the_money_is_real() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.submit(limit("refused", "100000", "90")).await.unwrap_err();
        let order = desk.submit(limit("a", "1", "90")).await.unwrap().order;
        desk.until(order.id, |order| order.status == Status::Working).await;
        desk.cancel(order.id).await.unwrap();
        let other = desk.submit(limit("b", "1", "90")).await.unwrap().order;
        desk.gateway.cancel_all(&desk.ctx, desk.account.id, None).await.unwrap();
        for id in [order.id, other.id] {
            desk.until(id, |order| order.status == Status::Canceled).await;
        }
        let rows = desk.rows();
        let of_orders = || rows.iter().filter(|row| row.act.starts_with("order"));
        for act in ["order.refused", "order.accepted", "order.cancel_requested", "orders.cancel_requested"] {
            assert!(of_orders().any(|row| row.act == act), "{act}");
        }
        for row in of_orders() {
            assert_eq!(row.detail["mode"], "paper", "{row:?}");
            assert_eq!(row.detail["account"], desk.account.id.to_string(), "{row:?}");
        }
    }
}

/// While the journal hangs, so many orders wait for it and no more; the rest is told so, and holds nothing back.
#[tokio::test]
async fn an_order_that_finds_too_many_waiting_is_refused_and_holds_nothing_back() {
    // Those that wait, and those that are being written.
    const MOST: usize = 4_096 + 64;
    for database in databases().await {
        let desk = Arc::new(Desk::open(&database).await);
        let release = desk.hang().await;
        let submit = |nth: usize| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.submit(limit(&format!("o{nth}"), "0.001", "90")).await })
        };
        let mut waiting: Vec<_> = (0..=MOST).map(submit).collect();
        let refused = loop {
            tokio::task::yield_now().await;
            if let Some(place) = waiting.iter().position(|one| one.is_finished()) {
                break waiting.swap_remove(place).await.unwrap();
            }
        };
        assert!(matches!(refused, Err(SubmitError::Journal(StorageError::Busy))), "{refused:?}");
        drop(release);
        let mut accepted = 0;
        for one in waiting {
            accepted += usize::from(one.await.unwrap().is_ok());
        }
        assert!((4_096..=MOST).contains(&accepted), "{accepted}");
        assert_eq!(desk.state().open_orders, accepted);
    }
}

#[tokio::test]
async fn more_executions_at_once_than_orders_are_kept_at_hand_count_once_each() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        desk.deep_market();
        // Of those at their end about 2,000 are kept at hand; a comparison after a start is about all of the last minutes.
        let names: Vec<String> = (0..2_300).map(|nth| format!("o{nth}")).collect();
        let submitted = names.iter().map(|name| desk.submit(market(name, "0.01")));
        for result in futures_util::future::join_all(submitted).await {
            let order = result.unwrap().order;
            desk.until(order.id, |order| order.status == Status::Filled).await;
        }
        let desk = desk.restart(&database).await;
        desk.until_reconciled().await;
        assert_eq!(desk.positions()[0].position.quantity.to_string(), "23");
        desk.agrees_with_the_venue().await;
    }
}
