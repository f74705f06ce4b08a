//! Getting in, staying in, getting out.

use domain::{RequestId, Role};
use identity::{Change, Hashing, SignInError, UserStatus};
use storage::RowExt as _;
use vault::ExposeSecret as _;

use crate::desk::{Desk, HOME, desks, password_of};

#[tokio::test]
async fn nobody_is_let_in_without_the_right_password_and_nobody_learns_why() {
    for desk in desks().await {
        desk.person("alice", &[Role::Viewer]).await;
        let bob = desk.person("bob", &[]).await;
        let disabled = Change { status: Some(UserStatus::Disabled), ..Change::default() };
        desk.people.change_user(&desk.operator(), bob.id, disabled).await.unwrap();
        desk.create(&desk.operator(), "invited", &[]).await.unwrap();
        let right = password_of("alice");
        let trimmed = right.expose_secret()[1..].to_owned();
        let of_bob = password_of("bob");
        let attempts = [
            ("alice", "wrong", "wrong password"),
            ("alice", &trimmed, "wrong password"),
            ("alice", "", "wrong password"),
            ("bob", of_bob.expose_secret(), "disabled"),
            ("invited", right.expose_secret(), "invitation not taken up"),
            ("nobody", right.expose_secret(), "unknown name"),
            ("al ice", right.expose_secret(), "unknown name"),
            ("", "", "unknown name"),
            ("?", right.expose_secret(), "unknown name"),
        ];
        let mut answers = Vec::new();
        for (name, password, reason) in attempts {
            let refused = desk.try_sign_in(name, &password.into(), HOME).await.err().unwrap();
            assert!(matches!(refused, SignInError::Failed), "{name}");
            answers.push(refused.to_string());
            let row = desk.log().await.remove(0);
            assert_eq!((row.act.as_str(), row.outcome.as_str()), ("session.started", "failed"));
            assert_eq!(row.detail["reason"], reason, "{name}");
            assert_eq!((row.actor_kind.as_str(), row.address.as_deref()), ("anonymous", Some(HOME)));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        desk.try_sign_in(" ALICE ", &right, HOME).await.unwrap();
        desk.assert_clean(&[right.expose_secret(), "nobody"]).await;
    }
}

#[tokio::test]
async fn a_token_that_was_not_given_out_is_nobody() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let token = session.token.expose_secret();
        assert_eq!(token.len(), 43);
        let id = session.authenticated.session.id.to_string();
        let mut connection = desk.db.read().await.unwrap();
        let row = storage::query("SELECT token_hash FROM sessions").fetch_one(&mut *connection);
        let stored: String = row.await.unwrap().get(0);
        drop(connection);
        for wrong in ["", &token[1..], &token.to_uppercase(), &id, &stored, "' OR 1=1 --"] {
            assert!(desk.request_with(wrong).await.is_none(), "{wrong}");
        }
        assert!(desk.request_with(token).await.is_some());
        let again = desk.sign_in("alice").await;
        assert_ne!(again.token.expose_secret(), token, "a new one each time");
        let token = token.to_owned();
        desk.assert_clean(&[&token]).await;
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_after_half_a_day_in_any_case() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let idle = desk.sign_in("alice").await;
        desk.pass(59);
        assert!(desk.request(&idle).await.is_some());
        desk.pass(59);
        assert!(desk.request(&idle).await.is_some(), "use keeps it alive");
        desk.pass(60);
        assert!(desk.request(&idle).await.is_none());
        let busy = desk.sign_in("alice").await;
        let begun = desk.request(&busy).await.unwrap().session;
        assert_eq!(begun.expires_at, begun.created_at + identity::ABSOLUTE);
        for _ in 0..23 {
            desk.pass(30);
            let session = desk.request(&busy).await.unwrap().session;
            assert!(session.idle_expires_at <= session.expires_at);
        }
        desk.pass(30);
        assert!(desk.request(&busy).await.is_none());
    }
}

#[tokio::test]
async fn looking_whether_a_session_stands_does_not_keep_it_alive() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let id = session.authenticated.session.id;
        let recheck = async || desk.people.recheck(id, None, RequestId::new(desk.now())).await.unwrap();
        desk.pass(59);
        assert!(recheck().await.is_some());
        desk.pass(1);
        assert!(recheck().await.is_none());
    }
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let begun = session.authenticated.session.last_used_at;
        let used = async || {
            desk.people
                .recheck(session.authenticated.session.id, None, RequestId::new(desk.now()))
                .await
                .unwrap()
                .unwrap()
                .session
                .last_used_at
        };
        desk.clock.advance(std::time::Duration::from_secs(59));
        desk.request(&session).await.unwrap();
        assert_eq!(used().await, begun);
        desk.clock.advance(std::time::Duration::from_secs(1));
        desk.request(&session).await.unwrap();
        assert_eq!(used().await, desk.now());
    }
}

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let (one, other) = (desk.sign_in("alice").await, desk.sign_in("alice").await);
        desk.people.sign_out(&one.authenticated.ctx).await.unwrap();
        assert!(desk.request(&one).await.is_none());
        assert!(desk.request(&other).await.is_some());
        assert_eq!(desk.acts().await[0], "session.ended done");
        desk.people.sign_out(&one.authenticated.ctx).await.unwrap();
        desk.people.sign_out(&desk.anonymous(HOME)).await.unwrap();
        assert_eq!(desk.acts().await.iter().filter(|act| *act == "session.ended done").count(), 1);
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_clock_that_is_corrected() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let again = desk.restarted(Hashing::weak_for_tests());
        let token = session.token.expose_secret();
        assert!(again.authenticate(token, None, RequestId::new(desk.now())).await.unwrap().is_some());
        desk.clock.set(desk.now() - std::time::Duration::from_secs(600));
        assert!(desk.request(&session).await.is_some());
    }
}

#[tokio::test]
async fn no_session_lasts_longer_because_the_clock_went_back_and_forth() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for hours in [1, 72] {
            let (session, begun) = (desk.sign_in("alice").await, desk.now());
            desk.clock.set(begun - jiff::SignedDuration::from_hours(hours));
            assert!(desk.request(&session).await.is_none(), "nobody can say how old it is");
            desk.clock.set(begun);
            assert!(desk.request(&session).await.is_none(), "and it does not come to life again");
            assert_eq!(desk.acts().await[0], "session.ended done");
        }
    }
}

#[tokio::test]
async fn a_password_hashed_at_another_cost_is_hashed_again_at_sign_in() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let stored = async |desk: &Desk| -> String {
            let row = storage::query("SELECT password_hash FROM users")
                .fetch_one(&mut *desk.db.read().await.unwrap())
                .await;
            row.unwrap().get(0)
        };
        let before = stored(&desk).await;
        desk.sign_in("alice").await;
        assert_eq!(stored(&desk).await, before);
        let dearer = Hashing { passes: 2, ..Hashing::weak_for_tests() };
        let people = desk.restarted(dearer);
        let wrong = people.sign_in(&desk.anonymous(HOME), "alice", &"wrong".into(), None).await;
        assert!(wrong.is_err() && stored(&desk).await == before);
        people.sign_in(&desk.anonymous(HOME), "alice", &password_of("alice"), None).await.unwrap();
        assert!(stored(&desk).await.contains("t=2"));
        desk.sign_in("alice").await;
        assert!(stored(&desk).await.contains("t=1"));
    }
}
