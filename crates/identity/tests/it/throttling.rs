//! Guessing is slow, and locks nobody out.

use identity::{Hashing, SignInError};

use crate::desk::{Desk, ELSEWHERE, HOME, desks, password_of};

async fn guess(desk: &Desk, name: &str, address: &str) -> Result<(), SignInError> {
    desk.try_sign_in(name, &"not the password".into(), address).await.map(drop)
}

#[tokio::test]
async fn after_ten_wrong_guesses_not_even_the_right_password_counts() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for _ in 0..10 {
            assert!(matches!(guess(&desk, "alice", HOME).await, Err(SignInError::Failed)));
        }
        let refused = desk.try_sign_in("Alice", &password_of("alice"), HOME).await;
        let Err(SignInError::TooMany { retry_after }) = refused else { panic!("let in") };
        assert_eq!(retry_after.as_secs(), 15 * 60);
        // A restart changes nothing.
        let again = desk.restarted(Hashing::weak_for_tests());
        let refused = again.sign_in(&desk.anonymous(HOME), "alice", &password_of("alice"), None).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })));
        desk.pass(15);
        desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nobody_wait_longer_and_gives_nobody_a_guess() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for _ in 0..10 {
            guess(&desk, "alice", HOME).await.unwrap_err();
        }
        desk.clock.set(desk.now() - jiff::SignedDuration::from_hours(72));
        let refused = desk.try_sign_in("alice", &password_of("alice"), HOME).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })));
        desk.pass(15);
        desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
    }
}

#[tokio::test]
async fn the_owner_of_the_name_comes_in_from_elsewhere_all_the_while() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
        for _ in 0..20 {
            guess(&desk, "alice", ELSEWHERE).await.unwrap_err();
        }
        desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
        assert!(desk.request(&session).await.is_some());
        let refused = desk.try_sign_in("alice", &password_of("alice"), ELSEWHERE).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })));
    }
}

#[tokio::test]
async fn a_burst_gets_no_more_guesses_than_a_patient_attacker() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let guesses: Vec<_> = (0..30)
            .map(|_| {
                let (people, ctx) = (desk.people.clone(), desk.anonymous(HOME));
                tokio::spawn(async move {
                    people.sign_in(&ctx, "alice", &"wrong".into(), None).await.err().unwrap()
                })
            })
            .collect();
        let mut looked_at = 0;
        for guess in guesses {
            looked_at += usize::from(matches!(guess.await.unwrap(), SignInError::Failed));
        }
        assert_eq!(looked_at, 10);
        // And the log is not flooded: ten failures, and one refusal for all the rest.
        let acts = desk.acts().await;
        assert_eq!(acts.iter().filter(|act| *act == "session.started failed").count(), 10);
        assert_eq!(acts.iter().filter(|act| *act == "session.started refused").count(), 1);
    }
}

#[tokio::test]
async fn an_unknown_name_is_slowed_down_like_a_known_one() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let mut answers = Vec::new();
        for (name, address) in [("alice", HOME), ("nobody", ELSEWHERE)] {
            let mut mine = Vec::new();
            for _ in 0..12 {
                mine.push(guess(&desk, name, address).await.unwrap_err().to_string());
            }
            answers.push(mine);
        }
        assert_eq!(answers[0], answers[1]);
    }
}

#[tokio::test]
async fn one_source_cannot_try_many_names() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for n in 0..30 {
            assert!(
                matches!(guess(&desk, &format!("name{n}"), ELSEWHERE).await, Err(SignInError::Failed)),
                "{n}"
            );
        }
        assert!(matches!(guess(&desk, "name30", ELSEWHERE).await, Err(SignInError::TooMany { .. })));
        assert!(matches!(guess(&desk, "alice", ELSEWHERE).await, Err(SignInError::TooMany { .. })));
        assert_eq!(desk.acts().await.iter().filter(|act| *act == "session.started refused").count(), 1);
        desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
        desk.pass(15);
        desk.try_sign_in("alice", &password_of("alice"), ELSEWHERE).await.unwrap();
    }
}

#[tokio::test]
async fn a_success_takes_back_the_failures_before_it() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        for _ in 0..3 {
            for _ in 0..9 {
                guess(&desk, "alice", HOME).await.unwrap_err();
            }
            desk.try_sign_in("alice", &password_of("alice"), HOME).await.unwrap();
        }
    }
}
