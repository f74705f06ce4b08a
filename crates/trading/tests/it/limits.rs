//! Risk limits as people set them.

use std::time::Duration;

use domain::{AccountId, Role, StepUpNeeded, UserId};
use storage::testing::databases;
use trading::risk::{LimitKind, Rule};
use trading::{ApprovalStatus, LimitChange, LimitError, Scope, SubmitError};

use crate::desk::{Desk, Setting, limit};

fn is_done(change: &Result<LimitChange, LimitError>) -> bool {
    matches!(change, Ok(LimitChange::Done { .. }))
}

#[tokio::test]
async fn a_limit_holds_at_once_and_after_a_restart() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let manager = desk.person(Role::Manager).with_factor(None);
        let account = Scope::Account(desk.account.id);
        let set = desk.gateway.set_limit(&manager, account.clone(), LimitKind::OrderQuantity, "2").await;
        assert!(is_done(&set), "{set:?}");
        let refused =
            |answer| matches!(answer, Err(SubmitError::Refused(check)) if check.rule == Rule::OrderQuantity);
        assert!(refused(desk.submit(limit("a", "3", "90")).await));
        let desk = desk.restart(&database).await;
        assert!(refused(desk.submit(limit("a", "3", "90")).await));
        desk.submit(limit("b", "2", "90")).await.unwrap();
        let shown = desk.gateway.limits(&desk.ctx);
        let shown = shown.iter().find(|shown| shown.limit.scope == account).unwrap();
        assert_eq!(*shown.limit.set_by, *manager.user_id().unwrap().to_string());
    }
}

#[tokio::test]
async fn letting_more_through_needs_a_factor_and_less_does_not() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let fresh = desk.person(Role::Manager);
        let plain = fresh.clone().with_factor(None);
        let kind = LimitKind::OpenOrders;
        assert!(is_done(&desk.gateway.set_limit(&plain, Scope::Desk, kind, "10").await));
        assert!(is_done(&desk.gateway.set_limit(&plain, Scope::Desk, kind, "5").await));
        for raise in ["6", "10"] {
            let refused = desk.gateway.set_limit(&plain, Scope::Desk, kind, raise).await;
            assert!(matches!(refused, Err(LimitError::StepUp(StepUpNeeded::Enrol))), "{refused:?}");
        }
        let removed = desk.gateway.remove_limit(&plain, &Scope::Desk, kind).await;
        assert!(matches!(removed, Err(LimitError::StepUp(_))), "{removed:?}");
        assert!(is_done(&desk.gateway.set_limit(&fresh, Scope::Desk, kind, "6").await));
        assert!(is_done(&desk.gateway.remove_limit(&fresh, &Scope::Desk, kind).await));
        let again = desk.gateway.remove_limit(&fresh, &Scope::Desk, kind).await;
        assert!(matches!(again, Err(LimitError::NotSet { .. })), "{again:?}");
        let acts = desk.acts();
        let count = |act: &str| acts.iter().filter(|one| *one == act).count();
        assert_eq!((count("limit.set"), count("limit.removed")), (3, 1));
    }
}

#[tokio::test]
async fn what_is_not_on_the_desk_has_no_limits() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let manager = desk.person(Role::Manager);
        let nowhere = [
            Scope::Account(AccountId::new(desk.ctx.at)),
            Scope::User(UserId::new(desk.ctx.at)),
            Scope::Group("quants".into()),
            Scope::Bot("grid".into()),
        ];
        for scope in nowhere {
            let refused = desk.gateway.set_limit(&manager, scope.clone(), LimitKind::OpenOrders, "1").await;
            assert!(matches!(refused, Err(LimitError::NoSuchScope(_))), "{scope}: {refused:?}");
        }
        for bad in ["NaN", "-1", "1e5", "inf", ""] {
            let refused = desk.gateway.set_limit(&manager, Scope::Desk, LimitKind::OrderNotional, bad).await;
            assert!(matches!(refused, Err(LimitError::Invalid(_))), "{bad}: {refused:?}");
        }
        let configured = desk.gateway.remove_limit(&manager, &Scope::Desk, LimitKind::OrderNotional).await;
        assert!(matches!(configured, Err(LimitError::Configured { .. })), "{configured:?}");
        let trader = desk.gateway.set_limit(&desk.ctx, Scope::Desk, LimitKind::OpenOrders, "1").await;
        assert!(matches!(trader, Err(LimitError::Denied(_))), "{trader:?}");
    }
}

#[tokio::test]
async fn who_may_not_manage_limits_sees_what_concerns_them() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let manager = desk.person(Role::Manager);
        let strategy = Scope::Strategy("momentum".into());
        for scope in [Scope::Account(desk.account.id), strategy.clone()] {
            desk.gateway.set_limit(&manager, scope, LimitKind::OpenOrders, "9").await.unwrap();
        }
        desk.submit(limit("a", "1", "90")).await.unwrap();
        let all = desk.gateway.limits(&manager);
        let own = desk.gateway.limits(&desk.ctx);
        let stranger = desk.gateway.limits(&desk.stranger());
        assert!(all.iter().any(|shown| shown.limit.scope == strategy));
        assert!(own.iter().all(|shown| shown.limit.scope != strategy));
        assert!(stranger.iter().all(|shown| shown.limit.scope == Scope::Desk));
        let used = own.iter().find(|shown| shown.limit.kind == LimitKind::OpenOrders).unwrap();
        assert_eq!(used.used.unwrap().to_string(), "1");
    }
}

#[tokio::test]
async fn a_raise_waits_for_a_second_person_where_the_desk_is_set_so() {
    for database in databases().await {
        let desk = Desk::open_with(&database, Setting { raises: true, ..Setting::default() }).await;
        let (one, other) = (desk.person(Role::Manager), desk.person(Role::Manager));
        let (scope, kind) = (Scope::Account(desk.account.id), LimitKind::OrderQuantity);
        assert!(
            is_done(&desk.gateway.set_limit(&one, scope.clone(), kind, "1").await),
            "lowering needs nobody"
        );
        let asked = desk.gateway.set_limit(&one, scope.clone(), kind, "5").await.unwrap();
        let LimitChange::AwaitsApproval { id } = asked else { panic!("{asked:?}") };
        assert!(desk.submit(limit("a", "3", "90")).await.is_err(), "nothing has changed yet");
        assert!(desk.gateway.approve(&one, id, "").await.is_err(), "not by oneself");
        assert!(desk.gateway.approve(&other.clone().with_factor(None), id, "").await.is_err());
        let done = desk.gateway.approve(&other, id, "fine").await.unwrap();
        assert_eq!(done.result.as_deref(), Some("changed"));
        desk.submit(limit("a", "3", "90")).await.unwrap();

        let asked = desk.gateway.remove_limit(&one, &scope, kind).await.unwrap();
        let LimitChange::AwaitsApproval { id } = asked else { panic!("{asked:?}") };
        desk.gateway.set_limit(&one, scope, kind, "4").await.unwrap();
        let done = desk.gateway.approve(&other, id, "").await.unwrap();
        assert_eq!(done.result.unwrap(), "refused: the limit was changed since it was asked for");
    }
}

#[tokio::test]
async fn a_raise_that_nobody_decides_about_is_over_after_a_while() {
    for database in databases().await {
        let desk = Desk::open_with(&database, Setting { raises: true, ..Setting::default() }).await;
        let (one, other) = (desk.person(Role::Manager), desk.person(Role::Manager));
        desk.gateway.set_limit(&one, Scope::Desk, LimitKind::OpenOrders, "1").await.unwrap();
        let asked = desk.gateway.set_limit(&one, Scope::Desk, LimitKind::OpenOrders, "5").await.unwrap();
        let LimitChange::AwaitsApproval { id } = asked else { panic!("{asked:?}") };
        desk.clock.advance(Duration::from_secs(15 * 60));
        let late = desk.now(&other).with_factor(Some(desk.now(&other).at));
        assert!(desk.gateway.approve(&late, id, "").await.is_err());
        desk.wait(async || {
            let found = desk.gateway.approval(&late, id).await.unwrap().unwrap();
            (found.status == ApprovalStatus::Expired).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_highest_profit_can_be_begun_again() {
    for database in databases().await {
        let desk = Desk::open(&database).await;
        let manager = desk.person(Role::Manager);
        let plain = desk.gateway.reset_drawdown(&manager.clone().with_factor(None), &Scope::Desk).await;
        assert!(matches!(plain, Err(LimitError::StepUp(_))));
        desk.gateway.reset_drawdown(&manager, &Scope::Desk).await.unwrap();
        assert!(desk.acts().contains(&"limit.drawdown_reset".to_owned()));
    }
}
