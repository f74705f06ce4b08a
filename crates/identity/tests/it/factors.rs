//! The second factor: what it takes to have one, to show one, and to lose one.

use std::time::Duration;

use domain::{Context, RequestId, Role, StepUpNeeded, Timestamp, UserId};
use identity::{
    Challenge, CodeError, EnrolError, Enrolment, FactorError, Hashing, PeopleError, SignIn, SignedIn,
};
use totp_rs::{Builder, Totp};
use vault::{ExposeSecret as _, SecretString};

use crate::desk::{Desk, ELSEWHERE, HOME, desks, password_of};

/// An authenticator app that scanned the QR code.
struct App(Totp);

impl App {
    fn scan(enrolment: &Enrolment) -> Self {
        let key = enrolment.key.expose_secret().replace(' ', "");
        let secret = totp_rs::Secret::try_from_base32(key).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    fn code_at(&self, at: Timestamp) -> SecretString {
        self.0.generate(u64::try_from(at.as_second()).unwrap()).to_string().into()
    }

    fn code(&self, desk: &Desk) -> SecretString {
        self.code_at(desk.now())
    }

    /// Six digits that are those of no step near now.
    fn wrong(&self, desk: &Desk) -> SecretString {
        let near: Vec<_> = (-3..=3)
            .map(|steps| self.code_at(desk.now() + jiff::SignedDuration::from_secs(30 * steps)))
            .collect();
        let free = |code: &String| !near.iter().any(|one| one.expose_secret() == code);
        (0..10).map(|n| format!("{n:06}")).find(free).unwrap().into()
    }
}

/// Somebody who has enrolled: their app, their recovery codes, and the session in which they did it.
struct Enrolled {
    app: App,
    recovery: Vec<SecretString>,
    session: SignedIn,
}

impl Desk {
    fn step(&self) {
        self.clock.advance(Duration::from_secs(30));
    }

    async fn ctx(&self, session: &SignedIn) -> Context {
        self.request(session).await.expect("the session stands").ctx
    }

    async fn begin(&self, session: &SignedIn, name: &str) -> App {
        let ctx = self.ctx(session).await;
        App::scan(&self.people.begin_enrolment(&ctx, &password_of(name)).await.unwrap())
    }

    /// A person with a factor. The app's code of this moment is used up.
    async fn enrolled(&self, name: &str, roles: &[Role]) -> Enrolled {
        self.person(name, roles).await;
        let session = self.sign_in(name).await;
        let app = self.begin(&session, name).await;
        let done = self.people.confirm_enrolment(&self.ctx(&session).await, &app.code(self)).await.unwrap();
        Enrolled { app, recovery: done.recovery_codes, session: done.signed_in }
    }

    async fn challenge(&self, name: &str) -> Challenge {
        self.challenge_from(name, HOME).await
    }

    async fn challenge_from(&self, name: &str, address: &str) -> Challenge {
        match self.begin_sign_in(name, &password_of(name), address).await.unwrap() {
            SignIn::CodeNeeded(challenge) => challenge,
            SignIn::Complete(_) => panic!("{name} is let in without a code"),
        }
    }

    async fn answer(&self, challenge: &Challenge, code: &SecretString) -> Result<SignedIn, CodeError> {
        self.answer_from(challenge, code, HOME).await
    }

    async fn answer_from(
        &self,
        challenge: &Challenge,
        code: &SecretString,
        address: &str,
    ) -> Result<SignedIn, CodeError> {
        let token = challenge.token.expose_secret();
        self.people.finish_sign_in(&self.anonymous(address), token, code, Some("a browser")).await
    }

    async fn step_up(&self, session: &SignedIn, code: &SecretString) -> Result<SignedIn, CodeError> {
        self.people.step_up(&self.ctx(session).await, code).await
    }
}

#[tokio::test]
async fn enrolling_takes_the_password_and_counts_only_after_a_right_code() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let ctx = desk.ctx(&session).await;
        let refused = desk.people.begin_enrolment(&ctx, &"another password".into()).await;
        assert!(matches!(refused, Err(EnrolError::PasswordWrong)));
        assert_eq!(desk.acts().await[0], "factor.enrolment_begun failed");
        assert!(matches!(desk.people.confirm_enrolment(&ctx, &"123456".into()).await, Err(CodeError::Over)));

        let app = desk.begin(&session, "alice").await;
        assert_eq!(desk.people.factors(&ctx).await.unwrap().totp_since, None);
        desk.sign_in("alice").await;
        assert!(matches!(desk.step_up(&session, &app.code(&desk)).await, Err(CodeError::NoFactor)));
        let wrong = desk.people.confirm_enrolment(&ctx, &app.wrong(&desk)).await;
        assert!(matches!(wrong, Err(CodeError::Wrong)));
        assert_eq!(desk.acts().await[0], "factor.enrolled failed");

        let done = desk.people.confirm_enrolment(&ctx, &app.code(&desk)).await.unwrap();
        assert_eq!(done.recovery_codes.len(), 10);
        let factors = desk.people.factors(&done.signed_in.authenticated.ctx).await.unwrap();
        assert_eq!((factors.totp_since, factors.recovery_codes_left), (Some(desk.now()), 10));
        desk.challenge("alice").await;
        let again =
            desk.people.begin_enrolment(&desk.ctx(&done.signed_in).await, &password_of("alice")).await;
        assert!(matches!(again, Err(EnrolError::HasFactor)));
    }
}

#[tokio::test]
async fn an_enrolment_that_was_begun_anew_or_too_long_ago_is_over() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let session = desk.sign_in("alice").await;
        let first = desk.begin(&session, "alice").await;
        desk.step();
        let second = desk.begin(&session, "alice").await;
        let ctx = desk.ctx(&session).await;
        let refused = desk.people.confirm_enrolment(&ctx, &first.code(&desk)).await;
        assert!(matches!(refused, Err(CodeError::Wrong)));
        desk.pass(15);
        let late = desk.people.confirm_enrolment(&desk.ctx(&session).await, &second.code(&desk)).await;
        assert!(matches!(late, Err(CodeError::Over)));
    }
}

#[tokio::test]
async fn a_wrong_password_at_enrolling_counts_like_one_at_signing_in() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let ctx = desk.sign_in("alice").await.authenticated.ctx;
        for _ in 0..10 {
            let refused = desk.people.begin_enrolment(&ctx, &"a guess".into()).await;
            assert!(matches!(refused, Err(EnrolError::PasswordWrong)));
        }
        let refused = desk.people.begin_enrolment(&ctx, &password_of("alice")).await;
        assert!(matches!(refused, Err(EnrolError::TooMany { .. })));
    }
}

#[tokio::test]
async fn enrolling_ends_the_other_sessions_and_renews_this_one() {
    for desk in desks().await {
        desk.person("alice", &[]).await;
        let (other, session) = (desk.sign_in("alice").await, desk.sign_in("alice").await);
        let app = desk.begin(&session, "alice").await;
        let done = desk.people.confirm_enrolment(&desk.ctx(&session).await, &app.code(&desk)).await.unwrap();
        assert!(desk.request(&other).await.is_none());
        assert!(desk.request(&session).await.is_none(), "the token of before is dead");
        let now = desk.request(&done.signed_in).await.unwrap();
        assert_eq!(now.session.id, session.authenticated.session.id);
        assert_eq!(now.ctx.require_recent_factor(), Ok(()));
    }
}

#[tokio::test]
async fn signing_in_takes_the_code_and_gives_a_session_with_a_factor() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.step();
        let challenge = desk.challenge("alice").await;
        assert_eq!(desk.acts().await[0], "session.code_asked done");
        let session = desk.answer(&challenge, &alice.app.code(&desk)).await.unwrap();
        assert_eq!(session.authenticated.ctx.factor_at, Some(desk.now()));
        assert_eq!(desk.ctx(&session).await.factor_at, Some(desk.now()));
        let log = desk.log().await;
        assert_eq!((log[0].act.as_str(), &log[0].detail["factor"]), ("session.started", &"totp".into()));
        // Used once, the challenge is gone.
        desk.step();
        assert!(matches!(desk.answer(&challenge, &alice.app.code(&desk)).await, Err(CodeError::Over)));
    }
}

#[tokio::test]
async fn half_signed_in_is_nobody() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[Role::SuperAdmin]).await;
        let challenge = desk.challenge("alice").await;
        let token = challenge.token.expose_secret();
        assert!(desk.request_with(token).await.is_none());
        assert!(desk.people.is_challenged(token).await.unwrap());
        // And the other way round: a session's token is no challenge.
        let session = alice.session.token.expose_secret();
        assert!(!desk.people.is_challenged(session).await.unwrap());
        let swapped =
            desk.people.finish_sign_in(&desk.anonymous(HOME), session, &alice.recovery[0], None).await;
        assert!(matches!(swapped, Err(CodeError::Over)));
        assert!(!desk.people.is_challenged("").await.unwrap());
        // It survives a restart, and is waited for no longer than five minutes.
        assert!(desk.restarted(Hashing::weak_for_tests()).is_challenged(token).await.unwrap());
        desk.pass(5);
        assert!(!desk.people.is_challenged(token).await.unwrap());
        assert!(matches!(desk.answer(&challenge, &alice.app.code(&desk)).await, Err(CodeError::Over)));
    }
}

#[tokio::test]
async fn a_challenge_is_for_its_own_person() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let bob = desk.enrolled("bob", &[]).await;
        desk.step();
        let challenge = desk.challenge("alice").await;
        assert!(matches!(desk.answer(&challenge, &bob.app.code(&desk)).await, Err(CodeError::Wrong)));
        assert!(matches!(desk.answer(&challenge, &bob.recovery[0]).await, Err(CodeError::Wrong)));
        let session = desk.answer(&challenge, &alice.app.code(&desk)).await.unwrap();
        assert_eq!(session.authenticated.user.username, "alice");
    }
}

#[tokio::test]
async fn what_ends_sessions_ends_a_sign_in_that_is_half_done() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let id = alice.session.authenticated.user.id;
        let challenge = desk.challenge("alice").await;
        let disabled =
            identity::Change { status: Some(identity::UserStatus::Disabled), ..identity::Change::default() };
        desk.people.change_user(&desk.operator(), id, disabled).await.unwrap();
        desk.step();
        assert!(matches!(desk.answer(&challenge, &alice.app.code(&desk)).await, Err(CodeError::Over)));
    }
}

#[tokio::test]
async fn a_new_password_does_not_get_around_the_factor() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let id = alice.session.authenticated.user.id;
        let link = desk.people.invite(&desk.operator(), id).await.unwrap().code;
        let ctx = desk.anonymous(HOME);
        desk.people.accept_invitation(&ctx, link.expose_secret(), &password_of("alice")).await.unwrap();
        desk.challenge("alice").await;
    }
}

#[tokio::test]
async fn a_code_is_good_for_one_time() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let used = alice.app.code(&desk);
        assert!(matches!(desk.step_up(&alice.session, &used).await, Err(CodeError::Wrong)));
        let challenge = desk.challenge("alice").await;
        assert!(matches!(desk.answer(&challenge, &used).await, Err(CodeError::Wrong)));
        assert_eq!(desk.log().await[0].detail["reason"], "code used before");
        desk.step();
        let code = alice.app.code(&desk);
        let session = desk.step_up(&alice.session, &code).await.unwrap();
        assert!(matches!(desk.step_up(&session, &code).await, Err(CodeError::Wrong)));
    }
}

#[tokio::test]
async fn a_code_of_before_the_last_used_one_is_used_up_too() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.pass(1);
        let (earlier, now) = (alice.app.code(&desk), desk.now());
        desk.step();
        let session = desk.step_up(&alice.session, &alice.app.code(&desk)).await.unwrap();
        assert!(matches!(desk.step_up(&session, &earlier).await, Err(CodeError::Wrong)));
        // Nor when the clock steps back to where it was right.
        desk.clock.set(now);
        assert!(matches!(desk.step_up(&session, &earlier).await, Err(CodeError::Wrong)));
    }
}

#[tokio::test]
async fn a_clock_may_be_a_step_off_and_not_two() {
    for desk in desks().await {
        let mut session = desk.enrolled("alice", &[]).await;
        for (seconds, good) in [(60, false), (30, true), (-60, false), (-30, true)] {
            desk.pass(5);
            let code = session.app.code_at(desk.now() + jiff::SignedDuration::from_secs(seconds));
            let done = desk.step_up(&session.session, &code).await;
            assert_eq!(done.is_ok(), good, "{seconds}");
            session.session = done.unwrap_or(session.session);
        }
    }
}

#[tokio::test]
async fn of_many_who_show_one_code_at_once_one_succeeds() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.step();
        for code in [alice.app.code(&desk), alice.recovery[0].clone()] {
            let mut challenges = Vec::new();
            for _ in 0..8 {
                challenges.push(desk.challenge("alice").await);
            }
            let tries: Vec<_> = challenges
                .into_iter()
                .map(|challenge| {
                    let (people, ctx, code) = (desk.people.clone(), desk.anonymous(HOME), code.clone());
                    tokio::spawn(async move {
                        people.finish_sign_in(&ctx, challenge.token.expose_secret(), &code, None).await
                    })
                })
                .collect();
            let mut let_in = 0;
            for one in tries {
                let_in += usize::from(one.await.unwrap().is_ok());
            }
            assert_eq!(let_in, 1);
        }
        let started = desk
            .log()
            .await
            .iter()
            .filter(|row| row.act == "session.started" && row.outcome == "done")
            .count();
        assert_eq!(started, 3, "the password alone before enrolling, a code, a recovery code");
    }
}

#[tokio::test]
async fn five_wrong_codes_and_signing_in_begins_anew() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.step();
        let challenge = desk.challenge("alice").await;
        for _ in 0..5 {
            let refused = desk.answer(&challenge, &alice.app.wrong(&desk)).await;
            assert!(matches!(refused, Err(CodeError::Wrong)));
        }
        let right = alice.app.code(&desk);
        assert!(matches!(desk.answer(&challenge, &right).await, Err(CodeError::Over)));
        desk.answer(&desk.challenge("alice").await, &right).await.unwrap();
    }
}

#[tokio::test]
async fn a_person_has_fifteen_wrong_codes_from_everywhere_together() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.step();
        for round in 0..3 {
            let place = format!("198.51.100.{round}");
            let challenge = desk.challenge_from("alice", &place).await;
            for _ in 0..5 {
                let refused = desk.answer_from(&challenge, &alice.app.wrong(&desk), &place).await;
                assert!(matches!(refused, Err(CodeError::Wrong)), "{round}");
            }
        }
        let challenge = desk.challenge("alice").await;
        for _ in 0..10 {
            let refused = desk.answer(&challenge, &alice.app.code(&desk)).await;
            assert!(matches!(refused, Err(CodeError::TooMany { .. })));
            assert!(matches!(
                desk.step_up(&alice.session, &alice.app.code(&desk)).await,
                Err(CodeError::TooMany { .. })
            ));
        }
        // Told once, not in a flood; nobody's session ended; and a recovery code, which nobody guesses, gets through.
        assert_eq!(desk.log().await.iter().filter(|row| row.outcome == "refused").count(), 1);
        assert!(desk.request(&alice.session).await.is_some());
        desk.answer(&challenge, &alice.recovery[3]).await.unwrap();
        desk.pass(15);
        desk.answer(&desk.challenge("alice").await, &alice.app.code(&desk)).await.unwrap();
    }
}

#[tokio::test]
async fn recovery_codes_cannot_be_guessed_for_long() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        for n in 0..10u8 {
            let guess = format!("AAAA-AAAA-AAAA-AAA{}", char::from(b'A' + n)).into();
            assert!(matches!(desk.step_up(&alice.session, &guess).await, Err(CodeError::Wrong)));
        }
        let refused = desk.step_up(&alice.session, &alice.recovery[0]).await;
        assert!(matches!(refused, Err(CodeError::TooMany { .. })));
    }
}

#[tokio::test]
async fn a_right_code_takes_back_the_wrong_ones_before_it() {
    for desk in desks().await {
        let mut alice = desk.enrolled("alice", &[]).await;
        for _ in 0..3 {
            for _ in 0..9 {
                desk.step_up(&alice.session, &alice.app.wrong(&desk)).await.unwrap_err();
            }
            desk.step();
            alice.session = desk.step_up(&alice.session, &alice.app.code(&desk)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_recovery_code_is_good_for_one_time_and_is_counted() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let challenge = desk.challenge("alice").await;
        let typed = alice.recovery[4].expose_secret().to_lowercase().replace('-', " ").into();
        let session = desk.answer(&challenge, &typed).await.unwrap();
        assert_eq!(desk.log().await[0].detail["factor"], "recovery_code");
        let left = desk.people.factors(&session.authenticated.ctx).await.unwrap().recovery_codes_left;
        assert_eq!(left, 9);
        let again = desk.challenge("alice").await;
        assert!(matches!(desk.answer(&again, &alice.recovery[4]).await, Err(CodeError::Wrong)));
        assert!(matches!(desk.step_up(&session, &alice.recovery[4]).await, Err(CodeError::Wrong)));
        desk.answer(&again, &alice.recovery[5]).await.unwrap();
    }
}

#[tokio::test]
async fn stepping_up_renews_the_token_and_keeps_the_session() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.pass(6);
        assert_eq!(desk.ctx(&alice.session).await.require_recent_factor(), Err(StepUpNeeded::Show));
        let stepped = desk.step_up(&alice.session, &alice.app.code(&desk)).await.unwrap();
        assert_eq!(desk.acts().await[0], "session.stepped_up done");
        assert!(desk.request(&alice.session).await.is_none(), "the token of before is dead");
        let now = desk.request(&stepped).await.unwrap();
        assert_eq!(now.session.id, alice.session.authenticated.session.id);
        assert_eq!(now.session.created_at, alice.session.authenticated.session.created_at);
        assert_eq!(now.ctx.require_recent_factor(), Ok(()));
        // What was open all the while, as a stream, knows it too.
        let open = desk.people.recheck(now.session.id, None, RequestId::new(desk.now())).await.unwrap();
        assert_eq!(open.unwrap().ctx.require_recent_factor(), Ok(()));
        // After five minutes it is not recent any more; a clock that stepped back makes nothing recent.
        desk.pass(5);
        assert_eq!(desk.ctx(&stepped).await.require_recent_factor(), Ok(()));
        desk.clock.advance(Duration::from_micros(1));
        assert_eq!(desk.ctx(&stepped).await.require_recent_factor(), Err(StepUpNeeded::Show));
        desk.clock.set(desk.now() - jiff::SignedDuration::from_mins(8));
        assert_eq!(desk.ctx(&stepped).await.require_recent_factor(), Err(StepUpNeeded::Show));
    }
}

#[tokio::test]
async fn renewing_and_removing_take_a_recent_factor() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.pass(6);
        let ctx = desk.ctx(&alice.session).await;
        for refused in
            [desk.people.renew_recovery_codes(&ctx).await.map(drop), desk.people.remove_factor(&ctx).await]
        {
            assert!(matches!(refused, Err(FactorError::StepUp(StepUpNeeded::Show))));
        }
        assert_eq!(desk.acts().await[..2], ["factor.removed refused", "recovery_codes.renewed refused"]);

        let session = desk.step_up(&alice.session, &alice.app.code(&desk)).await.unwrap();
        let ctx = desk.ctx(&session).await;
        let renewed = desk.people.renew_recovery_codes(&ctx).await.unwrap();
        assert!(matches!(desk.step_up(&session, &alice.recovery[0]).await, Err(CodeError::Wrong)));
        let session = desk.step_up(&session, &renewed[0]).await.unwrap();

        let other = desk.answer(&desk.challenge("alice").await, &renewed[1]).await.unwrap();
        desk.people.remove_factor(&desk.ctx(&session).await).await.unwrap();
        assert!(desk.request(&other).await.is_none());
        assert_eq!(desk.ctx(&session).await.require_recent_factor(), Err(StepUpNeeded::Enrol));
        let again = desk.people.remove_factor(&desk.ctx(&session).await).await;
        assert!(matches!(again, Err(FactorError::StepUp(StepUpNeeded::Enrol))));
        desk.sign_in("alice").await;
        assert!(desk.vault.reveal(&secret_of(&session)).await.unwrap().is_none());
        // And may begin again.
        desk.begin(&session, "alice").await;
    }
}

fn secret_of(session: &SignedIn) -> String {
    format!("user/{}/totp", session.authenticated.user.id)
}

#[tokio::test]
async fn a_context_that_outlived_its_factor_does_nothing() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let stale = desk.ctx(&alice.session).await;
        desk.people.remove_factor(&stale).await.unwrap();
        let codes = desk.people.renew_recovery_codes(&stale).await;
        assert!(matches!(codes, Err(FactorError::StepUp(StepUpNeeded::Enrol))));
        assert!(matches!(desk.people.step_up(&stale, &alice.recovery[0]).await, Err(CodeError::NoFactor)));
    }
}

#[tokio::test]
async fn a_session_that_ended_steps_up_no_more_and_uses_no_code_up() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        let stale = desk.ctx(&alice.session).await;
        desk.people.sign_out(&stale).await.unwrap();
        let refused = desk.people.step_up(&stale, &alice.recovery[0]).await;
        assert!(matches!(refused, Err(CodeError::NotSignedIn)));
        desk.answer(&desk.challenge("alice").await, &alice.recovery[0]).await.unwrap();
    }
}

#[tokio::test]
async fn the_operator_removes_a_lost_factor_and_the_sessions_with_it() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[Role::Trader]).await;
        let id = alice.session.authenticated.user.id;
        let challenge = desk.challenge("alice").await;
        assert!(desk.people.reset_factor(&desk.operator(), id).await.unwrap());
        assert_eq!(desk.acts().await[0], "factor.reset done");
        assert!(desk.request(&alice.session).await.is_none());
        assert!(matches!(desk.answer(&challenge, &alice.recovery[0]).await, Err(CodeError::Over)));
        desk.sign_in("alice").await;
        assert!(!desk.people.reset_factor(&desk.operator(), id).await.unwrap());
        let unknown = desk.people.reset_factor(&desk.operator(), UserId::new(desk.now())).await;
        assert!(matches!(unknown, Err(PeopleError::NotFound)));
    }
}

#[tokio::test]
async fn nobody_removes_the_factor_of_somebody_who_may_do_more() {
    for desk in desks().await {
        let owner = desk.enrolled("olga", &[Role::SuperAdmin]).await;
        let admin = desk.acting("adam", &[Role::Admin]).await;
        let refused = desk.people.reset_factor(&admin, owner.session.authenticated.user.id).await;
        assert!(matches!(refused, Err(PeopleError::Outranked)));
        assert_eq!(desk.acts().await[0], "factor.reset refused");
        desk.challenge("olga").await;
    }
}

#[tokio::test]
async fn only_people_in_a_session_have_factors() {
    for desk in desks().await {
        for ctx in [desk.operator(), desk.anonymous(ELSEWHERE)] {
            let (people, code) = (&desk.people, "123456".into());
            assert!(matches!(people.factors(&ctx).await, Err(FactorError::NotSignedIn)));
            assert!(matches!(people.begin_enrolment(&ctx, &code).await, Err(EnrolError::NotSignedIn)));
            assert!(matches!(people.confirm_enrolment(&ctx, &code).await, Err(CodeError::NotSignedIn)));
            assert!(matches!(people.step_up(&ctx, &code).await, Err(CodeError::NotSignedIn)));
            assert!(matches!(people.renew_recovery_codes(&ctx).await, Err(FactorError::NotSignedIn)));
            assert!(matches!(people.remove_factor(&ctx).await, Err(FactorError::NotSignedIn)));
        }
    }
}

#[tokio::test]
async fn no_secret_of_a_factor_is_in_the_database_or_the_log() {
    for desk in desks().await {
        let alice = desk.enrolled("alice", &[]).await;
        desk.step();
        let (typed, challenge) = (alice.app.code(&desk), desk.challenge("alice").await);
        let session = desk.answer(&challenge, &typed).await.unwrap();
        desk.step_up(&session, &alice.recovery[0]).await.unwrap();
        let sealed = desk.vault.reveal(&secret_of(&session)).await.unwrap().unwrap();
        let bare = alice.recovery[1].expose_secret().replace('-', "");
        let secrets = [
            sealed.expose_secret(),
            challenge.token.expose_secret(),
            session.token.expose_secret(),
            alice.recovery[0].expose_secret(),
            alice.recovery[1].expose_secret(),
            &bare,
        ];
        desk.assert_clean(&secrets).await;
    }
}
