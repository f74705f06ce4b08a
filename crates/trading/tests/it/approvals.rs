//! Orders that a second person has to agree to.

use std::time::Duration;

use domain::{Context, Role, Status};
use storage::testing::databases;
use trading::risk::LimitKind;
use trading::{ApprovalError, ApprovalId, ApprovalStatus, OrderFilter, Pull, Scope, SubmitError};

use crate::desk::{Desk, limit};

/// A desk where orders above 100 need a second person.
async fn careful(desk: &Desk) -> (Context, Context) {
    let (one, other) = (desk.person(Role::Trader), desk.person(Role::Manager));
    desk.introduce(&one);
    desk.introduce(&other);
    let account = Scope::Account(desk.account.id);
    desk.gateway.set_limit(&other, account, LimitKind::ApprovalAbove, "100").await.unwrap();
    (one, other)
}

async fn ask(desk: &Desk, ctx: &Context, name: &str) -> ApprovalId {
    let answer = desk.gateway.submit(ctx, desk.account.id, limit(name, "2", "90")).await;
    let Err(SubmitError::AwaitsApproval { id, .. }) = answer else { panic!("{answer:?}") };
    id
}

async fn orders(desk: &Desk) -> usize {
    desk.gateway.orders(&desk.ctx, &OrderFilter::default(), None, 100).await.unwrap().len()
}

#[tokio::test]
async fn a_large_order_waits_and_is_placed_in_the_name_of_whoever_asked() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (one, other) = careful(&desk).await;
        desk.gateway.submit(&one, desk.account.id, limit("small", "1", "90")).await.unwrap();
        let id = ask(&desk, &one, "a").await;
        assert_eq!(ask(&desk, &one, "a").await, id, "it is asked for once");
        assert_eq!(orders(&desk).await, 1);
        let own = desk.gateway.approve(&one, id, "").await;
        assert!(matches!(own, Err(ApprovalError::Denied(_))), "{own:?}");
        let done = desk.gateway.approve(&other, id, "go on").await.unwrap();
        let order = desk.gateway.order(&desk.ctx, done.order().unwrap()).await.unwrap().unwrap();
        assert_eq!(order.provenance.submitted_by, one.user_id().unwrap().to_string());
        assert_eq!(order.request.client_order_id, "a");
        desk.until(order.id, |order| order.status == Status::Working).await;
        let again = desk.gateway.submit(&one, desk.account.id, limit("a", "2", "90")).await.unwrap();
        assert!(again.repeated && again.order.id == order.id);
        let twice = desk.gateway.approve(&other, id, "").await;
        assert!(matches!(twice, Err(ApprovalError::NotWaiting { status: ApprovalStatus::Approved })));
        let acts = desk.acts();
        for act in ["approval.asked", "approval.approved"] {
            assert_eq!(acts.iter().filter(|one| *one == act).count(), 1, "{act}");
        }
    }
}

#[tokio::test]
async fn nobody_agrees_to_their_own_order() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (_, manager) = careful(&desk).await;
        let id = ask(&desk, &manager, "a").await;
        let own = desk.gateway.approve(&manager, id, "").await;
        assert!(matches!(own, Err(ApprovalError::AnotherPerson)), "{own:?}");
        let stranger = desk.gateway.approve(&desk.stranger(), id, "").await;
        assert!(matches!(stranger, Err(ApprovalError::NotFound)), "{stranger:?}");
        let withdrawn = desk.gateway.withdraw_approval(&manager, id).await.unwrap();
        assert_eq!(withdrawn.status, ApprovalStatus::Withdrawn);
        let second = ask(&desk, &manager, "a").await;
        assert_ne!(second, id, "what was withdrawn can be asked for again");
    }
}

#[tokio::test]
async fn everything_is_checked_again_when_it_is_agreed_to() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (one, other) = careful(&desk).await;
        let (killed, gone) = (ask(&desk, &one, "a").await, ask(&desk, &one, "b").await);
        let account = Scope::Account(desk.account.id);
        let pull = Pull { reason: "wait".into(), ..Pull::default() };
        desk.gateway.engage(&other, account.clone(), pull).await.unwrap();
        let done = desk.gateway.approve(&other, killed, "").await.unwrap();
        assert!(done.result.unwrap().starts_with("refused: the kill switch"));
        desk.gateway.rearm(&desk.person(Role::SuperAdmin), &account).await.unwrap();
        // Whoever asked has lost the account since.
        let mut lost = desk.stranger();
        lost.principal = one.principal.clone();
        desk.introduce(&lost);
        let done = desk.gateway.approve(&other, gone, "").await.unwrap();
        assert!(done.result.unwrap().starts_with("refused: there is no such account"));
        assert_eq!(orders(&desk).await, 0);
    }
}

#[tokio::test]
async fn of_many_decisions_at_the_same_moment_one_counts_and_one_order_is_placed() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (one, _) = careful(&desk).await;
        let others: Vec<Context> = (0..8).map(|_| desk.person(Role::Manager)).collect();
        let id = ask(&desk, &one, "a").await;
        let decisions = others.iter().enumerate().map(|(nth, other)| {
            let gateway = &desk.gateway;
            async move {
                match nth % 4 {
                    3 => gateway.refuse_approval(other, id, "").await,
                    _ => gateway.approve(other, id, "").await,
                }
            }
        });
        let results = futures_util::future::join_all(decisions).await;
        let first: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(first.len(), 1, "{first:?}");
        let placed = usize::from(first[0].status == ApprovalStatus::Approved);
        assert_eq!(orders(&desk).await, placed);
    }
}

#[tokio::test]
async fn what_waits_too_long_is_over() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (one, other) = careful(&desk).await;
        let id = ask(&desk, &one, "a").await;
        desk.clock.advance(Duration::from_secs(15 * 60));
        let late = desk.gateway.approve(&desk.now(&other), id, "").await;
        assert!(
            matches!(late, Err(ApprovalError::NotWaiting { status: ApprovalStatus::Expired })),
            "{late:?}"
        );
        desk.wait(async || {
            let found = desk.gateway.approval(&one, id).await.unwrap().unwrap();
            (found.status == ApprovalStatus::Expired).then_some(())
        })
        .await;
        assert!(desk.acts().contains(&"approval.expired".to_owned()));
    }
}

#[tokio::test]
async fn what_was_agreed_to_is_done_after_a_restart() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let (one, other) = careful(&desk).await;
        let id = ask(&desk, &one, "a").await;
        desk.introduce(&one);
        desk.agreed_and_stopped(id, &other).await;
        let desk = desk.restart(&database).await;
        let order = desk
            .wait(async || {
                let found = desk.gateway.approval(&one, id).await.unwrap().unwrap();
                found.order().or_else(|| {
                    assert_eq!(found.result, None);
                    None
                })
            })
            .await;
        desk.until(order, |order| order.status == Status::Working).await;
        assert_eq!((orders(&desk).await, desk.sent()), (1, vec![order]));
    }
}
