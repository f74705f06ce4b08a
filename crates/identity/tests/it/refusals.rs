//! Who may not do what to whom.

use domain::{Access, Context, Credential, Denied, Permission, PrincipalKind, Role, UserId};
use identity::{Change, NewUser, PeopleError, UserStatus, UsernameRule};
use vault::ExposeSecret as _;

use crate::desk::{Desk, HOME, desks};

fn roles(roles: &[Role]) -> Change {
    Change { roles: Some(roles.to_vec()), ..Change::default() }
}

fn status(status: UserStatus) -> Change {
    Change { status: Some(status), ..Change::default() }
}

/// Acts that need a permission, each on a person of no power.
async fn try_all(desk: &Desk, ctx: &Context, victim: UserId) -> Vec<(&'static str, Result<(), PeopleError>)> {
    let account = desk.account("Somebody's").await;
    let people = &desk.people;
    let rename = Change { display_name: Some("Mallory".to_owned()), ..Change::default() };
    vec![
        ("list", people.users(ctx, None, 10).await.map(drop)),
        ("see", people.user(ctx, victim).await.map(drop)),
        ("find", people.user_named(ctx, "victim").await.map(drop)),
        ("create", desk.create(ctx, "new", &[]).await.map(drop)),
        ("rename", people.change_user(ctx, victim, rename).await.map(drop)),
        ("disable", people.change_user(ctx, victim, status(UserStatus::Disabled)).await.map(drop)),
        ("roles", people.change_user(ctx, victim, roles(&[Role::Auditor])).await.map(drop)),
        ("invite", people.invite(ctx, victim).await.map(drop)),
        ("reset", people.reset_factor(ctx, victim).await.map(drop)),
        ("grant", people.grant(ctx, victim, account, Access::View).await.map(drop)),
        ("revoke", people.revoke(ctx, victim, account).await.map(drop)),
    ]
}

#[tokio::test]
async fn whoever_lacks_the_permission_can_do_nothing_to_people_and_the_attempt_is_recorded() {
    for desk in desks().await {
        let victim = desk.person("victim", &[Role::Viewer]).await;
        let before = desk.people.user(&desk.operator(), victim.id).await.unwrap();
        let readers = [
            ("viewer", Some(Role::Viewer)),
            ("analyst", Some(Role::Analyst)),
            ("trader", Some(Role::Trader)),
            ("manager", Some(Role::Manager)),
            ("auditor", Some(Role::Auditor)),
        ];
        for (name, role) in readers {
            let ctx = desk.acting(name, role.as_slice()).await;
            let sees = ctx.permissions().contains(Permission::UsersView);
            for (act, done) in try_all_once(&desk, &ctx, victim.id).await {
                let allowed = sees && ["list", "see", "find"].contains(&act);
                match done {
                    Ok(()) => assert!(allowed, "{name} can {act}"),
                    Err(PeopleError::Denied(Denied::Permission { .. })) => assert!(!allowed, "{name}: {act}"),
                    Err(e) => panic!("{name}: {act}: {e}"),
                }
            }
            let refused = desk.log().await;
            assert_eq!(refused[0].outcome, "refused");
            assert_eq!(refused[0].actor_id, ctx.principal.id);
        }
        for (act, done) in try_all_once(&desk, &desk.anonymous(HOME), victim.id).await {
            assert!(matches!(done, Err(PeopleError::Denied(_))), "{act}");
        }
        assert_eq!(desk.people.user(&desk.operator(), victim.id).await.unwrap(), before);
        desk.assert_clean(&[]).await;
    }
}

/// [`try_all`] on an account that is made once.
async fn try_all_once(
    desk: &Desk,
    ctx: &Context,
    victim: UserId,
) -> Vec<(&'static str, Result<(), PeopleError>)> {
    let done = try_all(desk, ctx, victim).await;
    let gone = desk.db.write(|tx| {
        Box::pin(async move {
            storage::query("DELETE FROM accounts").execute(tx.sql()).await?;
            Ok::<_, storage::StorageError>(())
        })
    });
    gone.await.unwrap();
    done
}

#[tokio::test]
async fn nobody_gives_or_takes_a_role_that_allows_more_than_they_may() {
    for desk in desks().await {
        let owner = desk.person("owner", &[Role::SuperAdmin]).await;
        let auditor = desk.person("auditor", &[Role::Auditor]).await;
        let admin = desk.acting("admin", &[Role::Admin]).await;
        let me = admin.user_id().unwrap();
        for role in [Role::SuperAdmin, Role::Auditor] {
            let refused = desk.create(&admin, "new", &[Role::Viewer, role]).await;
            assert!(matches!(refused, Err(PeopleError::MoreThanOwn { .. })), "{role}");
            let refused = desk.people.change_user(&admin, me, roles(&[Role::Admin, role])).await;
            assert!(matches!(refused, Err(PeopleError::MoreThanOwn { .. })), "{role} to oneself");
            assert_eq!(desk.acts().await[0], "user.changed refused");
        }
        let taking = desk.people.change_user(&admin, auditor.id, roles(&[])).await;
        assert!(matches!(taking, Err(PeopleError::MoreThanOwn { role: Role::Auditor })));
        let taking = desk.people.change_user(&admin, owner.id, roles(&[])).await;
        assert!(matches!(taking, Err(PeopleError::MoreThanOwn { role: Role::SuperAdmin })));
        for role in [Role::Admin, Role::Manager, Role::Trader, Role::Analyst, Role::Viewer] {
            desk.create(&admin, role.as_str(), &[role])
                .await
                .map(drop)
                .or_else(|e| match e {
                    PeopleError::UsernameTaken => Ok(()),
                    e => Err(e),
                })
                .unwrap();
        }
    }
}

#[tokio::test]
async fn nobody_takes_over_somebody_who_may_do_more() {
    for desk in desks().await {
        let owner = desk.person("owner", &[Role::SuperAdmin]).await;
        desk.person("second", &[Role::SuperAdmin]).await;
        let auditor = desk.person("auditor", &[Role::Auditor]).await;
        let admin = desk.acting("admin", &[Role::Admin]).await;
        for id in [owner.id, auditor.id] {
            assert!(matches!(desk.people.invite(&admin, id).await, Err(PeopleError::Outranked)));
        }
        let refused = desk.people.change_user(&admin, owner.id, status(UserStatus::Disabled)).await;
        assert!(matches!(refused, Err(PeopleError::Outranked)));
        let rename = Change { display_name: Some("x".to_owned()), ..Change::default() };
        assert!(matches!(
            desk.people.change_user(&admin, owner.id, rename).await,
            Err(PeopleError::Outranked)
        ));
        // Stopping somebody must be quick; letting them in again is for somebody who may do as much.
        desk.people.change_user(&admin, auditor.id, status(UserStatus::Disabled)).await.unwrap();
        let refused = desk.people.change_user(&admin, auditor.id, status(UserStatus::Active)).await;
        assert!(matches!(refused, Err(PeopleError::Outranked)));
        let enabled = desk.people.change_user(&desk.operator(), auditor.id, status(UserStatus::Active)).await;
        assert_eq!(enabled.unwrap().status, UserStatus::Active);
    }
}

#[tokio::test]
async fn the_last_active_owner_stays_one() {
    for desk in desks().await {
        let one = desk.person("one", &[Role::SuperAdmin]).await;
        // Invited is not active.
        desk.create(&desk.operator(), "invited", &[Role::SuperAdmin]).await.unwrap();
        let changes = [roles(&[]), roles(&[Role::Admin]), status(UserStatus::Disabled)];
        for change in &changes {
            let refused = desk.people.change_user(&desk.operator(), one.id, change.clone()).await;
            assert!(matches!(refused, Err(PeopleError::LastOwner)), "{change:?}");
        }
        let two = desk.person("two", &[Role::SuperAdmin]).await;
        // Each removes the other at the same moment: one of them stays.
        let ctx = desk.operator();
        let (first, second) = tokio::join!(
            desk.people.change_user(&ctx, one.id, changes[0].clone()),
            desk.people.change_user(&ctx, two.id, changes[2].clone()),
        );
        assert_eq!([&first, &second].iter().filter(|done| done.is_ok()).count(), 1);
        // Roles and status in one change do not slip past each other.
        let left = if first.is_ok() { two.id } else { one.id };
        let both = Change { roles: Some(vec![]), status: Some(UserStatus::Disabled), display_name: None };
        assert!(matches!(desk.people.change_user(&ctx, left, both).await, Err(PeopleError::LastOwner)));
        assert!(!desk.people.setup_required().await.unwrap());
    }
}

#[tokio::test]
async fn an_account_is_granted_by_its_managers_and_by_owners_alone() {
    for desk in desks().await {
        let account = desk.account("Paper").await;
        let friend = desk.person("friend", &[Role::Viewer]).await;
        let admin_user = desk.person("admin", &[Role::Admin]).await;
        for access in [None, Some(Access::View), Some(Access::Trade)] {
            if let Some(access) = access {
                desk.people.grant(&desk.operator(), admin_user.id, account, access).await.unwrap();
            }
            let ctx = desk.sign_in("admin").await.authenticated.ctx;
            for target in [friend.id, admin_user.id] {
                let refused = desk.people.grant(&ctx, target, account, Access::Manage).await;
                match access {
                    None => assert!(matches!(refused, Err(PeopleError::Denied(Denied::NoGrant { .. })))),
                    Some(_) => assert!(matches!(refused, Err(PeopleError::Denied(Denied::Access { .. })))),
                }
                assert!(desk.people.revoke(&ctx, target, account).await.is_err());
            }
        }
        desk.people.grant(&desk.operator(), admin_user.id, account, Access::Manage).await.unwrap();
        let ctx = desk.sign_in("admin").await.authenticated.ctx;
        let user = desk.people.grant(&ctx, friend.id, account, Access::Trade).await.unwrap();
        assert_eq!((user.grants[0].access, user.grants[0].account_name.as_str()), (Access::Trade, "Paper"));
        let user = desk.people.revoke(&ctx, friend.id, account).await.unwrap();
        assert!(user.grants.is_empty());
        assert_eq!(desk.acts().await[0], "grant.taken done");
        let unknown = domain::AccountId::new(desk.now());
        let gone = desk.people.grant(&desk.operator(), friend.id, unknown, Access::View).await;
        assert!(matches!(gone, Err(PeopleError::AccountNotFound)));
        let nobody = UserId::new(desk.now());
        let gone = desk.people.grant(&desk.operator(), nobody, account, Access::View).await;
        assert!(matches!(gone, Err(PeopleError::NotFound)));
    }
}

#[tokio::test]
async fn a_user_name_is_taken_in_every_spelling() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for name in ["alice", "ALICE", " Alice ", "ａlice"] {
            let refused = desk.create(&desk.operator(), name, &[]).await;
            assert!(matches!(refused, Err(PeopleError::UsernameTaken)), "{name}");
        }
        let refused = desk.create(&desk.operator(), "al\u{200b}ice", &[]).await;
        assert!(matches!(refused, Err(PeopleError::UsernameInvalid(UsernameRule::Character('\u{200b}')))));
        for name in ["", " ", "a\nb", "\u{202e}x", &"x".repeat(101)] {
            let new = NewUser { username: "bob".to_owned(), display_name: name.to_owned(), roles: vec![] };
            let refused = desk.people.create_user(&desk.operator(), new, None).await;
            assert!(matches!(refused, Err(PeopleError::DisplayNameInvalid)), "{name:?}");
        }
        let found = desk.people.user_named(&desk.operator(), "ALICE").await.unwrap().unwrap();
        assert_eq!(found.username, "alice");
    }
}

#[tokio::test]
async fn what_is_taken_away_is_gone_with_the_next_request() {
    for desk in desks().await {
        let account = desk.account("Paper").await;
        let bob = desk.person("bob", &[Role::Trader]).await;
        desk.people.grant(&desk.operator(), bob.id, account, Access::Trade).await.unwrap();
        let session = desk.sign_in("bob").await;
        let may = async || {
            let ctx = desk.request(&session).await?.ctx;
            Some(ctx.require(Permission::OrdersPlace, domain::Resource::Account(account)).is_ok())
        };
        assert_eq!(may().await, Some(true));
        desk.people.revoke(&desk.operator(), bob.id, account).await.unwrap();
        assert_eq!(may().await, Some(false));
        desk.people.grant(&desk.operator(), bob.id, account, Access::Manage).await.unwrap();
        assert_eq!(may().await, Some(true));
        desk.people.change_user(&desk.operator(), bob.id, roles(&[Role::Viewer])).await.unwrap();
        assert_eq!(may().await, Some(false));
        desk.people.change_user(&desk.operator(), bob.id, roles(&[Role::Trader])).await.unwrap();
        assert_eq!(may().await, Some(true));
        desk.people.change_user(&desk.operator(), bob.id, status(UserStatus::Disabled)).await.unwrap();
        assert_eq!(may().await, None);
        // Being let in again does not bring old sessions back.
        desk.people.change_user(&desk.operator(), bob.id, status(UserStatus::Active)).await.unwrap();
        assert_eq!(may().await, None);
    }
}

#[tokio::test]
async fn people_are_listed_in_pages_each_with_their_own_roles_and_grants() {
    for desk in desks().await {
        let account = desk.account("Paper").await;
        for n in 0..5 {
            desk.create(&desk.operator(), &format!("user{n}"), &[Role::ALL[n]]).await.unwrap();
            desk.pass(1);
        }
        let ctx = desk.operator();
        let first = desk.people.users(&ctx, None, 3).await.unwrap();
        desk.people.grant(&ctx, first[2].id, account, Access::View).await.unwrap();
        let rest = desk.people.users(&ctx, Some(first[1].id), 10).await.unwrap();
        let names: Vec<&str> = first[..2].iter().chain(&rest).map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["user0", "user1", "user2", "user3", "user4"]);
        assert_eq!(rest.iter().map(|user| user.roles[0]).collect::<Vec<_>>(), &Role::ALL[2..5]);
        assert_eq!(rest.iter().map(|user| user.grants.len()).collect::<Vec<_>>(), [1, 0, 0]);
    }
}

#[tokio::test]
async fn everybody_sees_themselves() {
    for desk in desks().await {
        let ctx = desk.acting("viewer", &[Role::Viewer]).await;
        assert_eq!(ctx.principal.kind, PrincipalKind::User);
        assert!(matches!(ctx.credential, Credential::Session(_)));
        let me = desk.people.user(&ctx, ctx.user_id().unwrap()).await.unwrap().unwrap();
        assert_eq!(me.username, "viewer");
        assert!(me.last_sign_in_at.is_some());
        let invitation = desk.people.invite(&desk.operator(), me.id).await.unwrap();
        assert_eq!(invitation.code.expose_secret().len(), 43);
    }
}
