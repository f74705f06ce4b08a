//! One-time links, and the first owner.

use domain::{Access, Role};
use identity::once::Once;
use identity::{
    Change, INVITATION_LIFE, Identity, NewUser, PasswordRule, PeopleError, SET_UP_LIFE, SetUpError,
    UserStatus,
};
use vault::ExposeSecret as _;

use crate::desk::{ELSEWHERE, HOME, desks, password_of};

#[tokio::test]
async fn a_code_that_is_wrong_used_replaced_or_old_lets_nobody_in() {
    for desk in desks().await {
        let created = desk.create(&desk.operator(), "bob", &[Role::Trader]).await.unwrap();
        let first = created.invitation.unwrap().code;
        let ctx = desk.anonymous(HOME);
        let accept = async |code: &str| {
            desk.people.accept_invitation(&ctx, code, &password_of("bob")).await.map(|user| user.status)
        };
        for wrong in
            ["", "x", &first.expose_secret()[1..], &first.expose_secret().to_uppercase(), "' OR 1=1 --"]
        {
            assert!(matches!(accept(wrong).await, Err(SetUpError::CodeInvalid)), "{wrong}");
        }
        let second = desk.people.invite(&desk.operator(), created.user.id).await.unwrap().code;
        assert!(matches!(accept(first.expose_secret()).await, Err(SetUpError::CodeInvalid)), "replaced");
        desk.pass(INVITATION_LIFE.as_secs() / 60);
        assert!(matches!(accept(second.expose_secret()).await, Err(SetUpError::CodeInvalid)), "old");
        let third = desk.people.invite(&desk.operator(), created.user.id).await.unwrap().code;
        desk.pass(INVITATION_LIFE.as_secs() / 60 - 1);
        assert_eq!(accept(third.expose_secret()).await.unwrap(), UserStatus::Active);
        assert!(matches!(accept(third.expose_secret()).await, Err(SetUpError::CodeInvalid)), "used");
        desk.assert_clean(&[
            first.expose_secret(),
            third.expose_secret(),
            password_of("bob").expose_secret(),
        ])
        .await;
    }
}

#[tokio::test]
async fn of_many_who_use_a_link_at_once_one_succeeds() {
    for desk in desks().await {
        let code = desk.create(&desk.operator(), "bob", &[]).await.unwrap().invitation.unwrap().code;
        let attempts = (0..8).map(|n| {
            let (people, ctx, code) = (desk.people.clone(), desk.anonymous(HOME), code.clone());
            tokio::spawn(async move {
                people
                    .accept_invitation(&ctx, code.expose_secret(), &password_of(&n.to_string()))
                    .await
                    .is_ok()
            })
        });
        let mut winners = Vec::new();
        for (n, attempt) in attempts.collect::<Vec<_>>().into_iter().enumerate() {
            if attempt.await.unwrap() {
                winners.push(n);
            }
        }
        assert_eq!(winners.len(), 1);
        let password = password_of(&winners[0].to_string());
        desk.try_sign_in("bob", &password, HOME).await.unwrap();
        assert_eq!(desk.acts().await.iter().filter(|act| *act == "invitation.accepted done").count(), 1);
    }
}

#[tokio::test]
async fn a_bad_password_does_not_use_the_link_up() {
    for desk in desks().await {
        let code = desk.create(&desk.operator(), "bob.baxter", &[]).await.unwrap().invitation.unwrap().code;
        let ctx = desk.anonymous(HOME);
        let refusals = [
            ("short", PasswordRule::TooShort),
            ("passwordpassword", PasswordRule::Common),
            ("Baxter-Baxter-Bob", PasswordRule::Context),
            ("stockade stockade", PasswordRule::Context),
            (&"long ".repeat(60), PasswordRule::TooLong),
        ];
        for (password, rule) in refusals {
            let refused = desk.people.accept_invitation(&ctx, code.expose_secret(), &password.into()).await;
            assert!(matches!(refused, Err(SetUpError::Password(broken)) if broken == rule), "{password}");
        }
        let invited = desk.people.invited(code.expose_secret()).await.unwrap().unwrap();
        assert_eq!(
            (invited.username.as_str(), invited.display_name.as_str()),
            ("bob.baxter", "The bob.baxter")
        );
        desk.people.accept_invitation(&ctx, code.expose_secret(), &password_of("bob.baxter")).await.unwrap();
        assert_eq!(desk.people.invited(code.expose_secret()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_disabled_cannot_be_invited_and_their_link_is_dead() {
    for desk in desks().await {
        let created = desk.create(&desk.operator(), "bob", &[]).await.unwrap();
        let code = created.invitation.unwrap().code;
        let change = |status| Change { status: Some(status), ..Change::default() };
        let id = created.user.id;
        desk.people.change_user(&desk.operator(), id, change(UserStatus::Disabled)).await.unwrap();
        let ctx = desk.anonymous(HOME);
        let accepted = desk.people.accept_invitation(&ctx, code.expose_secret(), &password_of("bob")).await;
        assert!(matches!(accepted, Err(SetUpError::CodeInvalid)));
        assert!(matches!(desk.people.invite(&desk.operator(), id).await, Err(PeopleError::Disabled)));
        let enabled =
            desk.people.change_user(&desk.operator(), id, change(UserStatus::Active)).await.unwrap();
        assert_eq!(enabled.status, UserStatus::Invited, "there is no password yet");
        let accepted = desk.people.accept_invitation(&ctx, code.expose_secret(), &password_of("bob")).await;
        assert!(matches!(accepted, Err(SetUpError::CodeInvalid)), "the old link stays dead");
    }
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_that_the_old_one_began() {
    for desk in desks().await {
        let bob = desk.person("bob", &[]).await;
        let session = desk.sign_in("bob").await;
        let code = desk.people.invite(&desk.operator(), bob.id).await.unwrap().code;
        assert!(desk.request(&session).await.is_some(), "until the link is used nothing changes");
        desk.sign_in("bob").await;
        let ctx = desk.anonymous(ELSEWHERE);
        desk.people.accept_invitation(&ctx, code.expose_secret(), &password_of("new")).await.unwrap();
        assert!(desk.request(&session).await.is_none());
        assert!(desk.try_sign_in("bob", &password_of("bob"), HOME).await.is_err());
        desk.try_sign_in("bob", &password_of("new"), HOME).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_owner_comes_in_with_the_newest_code_and_nobody_does_after() {
    for desk in desks().await {
        let account = desk.account("Paper").await;
        assert!(desk.people.setup_required().await.unwrap());
        let old = desk.people.issue_setup_code().await.unwrap().unwrap();
        let new = desk.people.issue_setup_code().await.unwrap().unwrap();
        let ctx = desk.anonymous(HOME);
        let claim = async |code: &str, name: &str, password: &str| {
            desk.people.claim_owner(&ctx, code, name, "Olivia Owner", &password.into()).await
        };
        let good = password_of("owner");
        let good = good.expose_secret();
        assert!(matches!(claim("", "owner", good).await, Err(SetUpError::CodeInvalid)));
        assert!(matches!(claim(old.code.expose_secret(), "owner", good).await, Err(SetUpError::CodeInvalid)));
        let code = new.code.expose_secret();
        assert!(matches!(claim(code, "o w", good).await, Err(SetUpError::UsernameInvalid(_))));
        assert!(matches!(
            claim(code, "owner", "olivia olivia olivia").await,
            Err(SetUpError::Password(PasswordRule::Context))
        ));
        // An invitation is no set-up code, nor the other way round.
        let invitation = desk.create(&desk.operator(), "bob", &[]).await.unwrap().invitation.unwrap().code;
        assert!(matches!(
            claim(invitation.expose_secret(), "owner", good).await,
            Err(SetUpError::CodeInvalid)
        ));
        assert!(desk.people.invited(code).await.unwrap().is_none());
        assert!(matches!(claim(code, "BOB", good).await, Err(SetUpError::UsernameTaken)));

        let owner = claim(code, "owner", good).await.unwrap();
        assert_eq!((owner.status, owner.roles.as_slice()), (UserStatus::Active, &[Role::SuperAdmin][..]));
        assert_eq!((owner.grants[0].account_id, owner.grants[0].access), (account, Access::Manage));
        assert!(matches!(claim(code, "second", good).await, Err(SetUpError::CodeInvalid)));
        assert!(!desk.people.setup_required().await.unwrap());
        assert!(desk.people.issue_setup_code().await.unwrap().is_none());
        desk.sign_in("owner").await;
        desk.assert_clean(&[code, good]).await;
    }
}

#[tokio::test]
async fn the_set_up_code_is_good_for_a_quarter_of_an_hour_and_for_one() {
    for desk in desks().await {
        let ctx = desk.anonymous(HOME);
        let old = desk.people.issue_setup_code().await.unwrap().unwrap();
        desk.pass(SET_UP_LIFE.as_secs() / 60);
        let late =
            desk.people.claim_owner(&ctx, old.code.expose_secret(), "owner", "O", &password_of("o")).await;
        assert!(matches!(late, Err(SetUpError::CodeInvalid)));
        let code = desk.people.issue_setup_code().await.unwrap().unwrap().code;
        let attempts: Vec<_> = (0..4)
            .map(|n| {
                let (people, ctx, code): (Identity, _, _) = (desk.people.clone(), ctx.clone(), code.clone());
                tokio::spawn(async move {
                    let name = format!("owner{n}");
                    people
                        .claim_owner(&ctx, code.expose_secret(), &name, "O", &password_of("o"))
                        .await
                        .is_ok()
                })
            })
            .collect();
        let mut owners = 0;
        for attempt in attempts {
            owners += usize::from(attempt.await.unwrap());
        }
        assert_eq!(owners, 1);
        assert_eq!(desk.people.users(&desk.operator(), None, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_repeated_request_makes_one_person() {
    for desk in desks().await {
        let ctx = desk.operator();
        let once =
            |fingerprint: &str| Some(Once { key: "k1".to_owned(), fingerprint: fingerprint.to_owned() });
        let new = || NewUser { username: "bob".to_owned(), display_name: "Bob".to_owned(), roles: vec![] };
        let first = desk.people.create_user(&ctx, new(), once("a")).await.unwrap();
        let again = desk.people.create_user(&ctx, new(), once("a")).await.unwrap();
        assert_eq!((first.user.id, false, true), (again.user.id, first.repeated, again.repeated));
        let other = desk.people.create_user(&ctx, new(), once("b")).await;
        assert!(matches!(other, Err(PeopleError::OnceConflict)));
        // The first link was lost with its answer; the second is good, the first no more.
        let (old, code) = (first.invitation.unwrap().code, again.invitation.unwrap().code);
        assert!(desk.people.invited(old.expose_secret()).await.unwrap().is_none());
        let anonymous = desk.anonymous(HOME);
        desk.people.accept_invitation(&anonymous, code.expose_secret(), &password_of("bob")).await.unwrap();
        let late = desk.people.create_user(&ctx, new(), once("a")).await.unwrap();
        assert!(late.invitation.is_none() && late.repeated);
        // A key is one principal's own, and is forgotten after a day.
        let owner = desk.acting("owner", &[Role::SuperAdmin]).await;
        let taken = desk.people.create_user(&owner, new(), once("a")).await;
        assert!(matches!(taken, Err(PeopleError::UsernameTaken)));
        desk.pass(24 * 60);
        let taken = desk.people.create_user(&desk.operator(), new(), once("a")).await;
        assert!(matches!(taken, Err(PeopleError::UsernameTaken)));
        desk.assert_clean(&[old.expose_secret(), code.expose_secret()]).await;
    }
}
