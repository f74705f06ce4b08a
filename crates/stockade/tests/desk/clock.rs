//! A machine whose clock is wrong, and is set while the desk runs: forward and back, by an hour and by days.

use std::path::PathBuf;

use domain::{Clock as _, SystemClock, Timestamp};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};

use crate::books::Books;
use crate::pair::pair;
use crate::running::{Home, PASSWORD, Running, Session};
use crate::trader::Trader;

/// What the clock is set to, one after the other, against the right time.
const SETTINGS: [SignedDuration; 5] = [
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(-1),
    SignedDuration::from_hours(72),
    SignedDuration::from_hours(-72),
    SignedDuration::ZERO,
];

/// The clock of a desk, which libfaketime reads from a file. Time that passes passes as it does.
struct FakeClock {
    library: PathBuf,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl FakeClock {
    /// One that is right. Where there is no libfaketime this is said; on a machine of the project's own there must be.
    fn new() -> Option<Self> {
        let systems = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let libraries = systems.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = libraries.into_iter().find(|library| library.exists()) else {
            assert!(std::env::var_os("CI").is_none(), "libfaketime is missing: scripts/setup faketime");
            println!("SKIPPED: libfaketime is missing");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let clock = Self { library, file: folder.path().join("clock"), _folder: folder };
        clock.set(SignedDuration::ZERO);
        Some(clock)
    }

    /// Sets it, so far from the right time.
    fn set(&self, off: SignedDuration) {
        // In one step: it may be read at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{:+}\n", off.as_secs())).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    /// Starts a desk that goes by it.
    async fn start(&self, home: &Home) -> Running {
        let mut command = home.command(&["run"]);
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        Running::spawn(command).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_come_to_their_end_however_the_clock_is_set_and_both_ledgers_agree() {
    let Some(clock) = FakeClock::new() else { return };
    let (venues, venue, desks) = pair().await;
    let desk = clock.start(&desks).await;
    let mut trader = Trader::new(desk.set_up().await).await;
    for (nth, off) in SETTINGS.into_iter().enumerate() {
        let resting = trader.place(&format!("resting-{nth}")).await;
        trader.until(&resting, "working").await;
        // An order that is being looked for when the clock is set by days.
        let hangs = off.abs() != SignedDuration::from_hours(1);
        let mut hanging = None;
        if hangs {
            venue.signal(Signal::STOP);
            let order = trader.place(&format!("hanging-{nth}")).await;
            trader.until(&order, "unknown").await;
            hanging = Some(order);
        }
        clock.set(off);
        venue.signal(Signal::CONT);
        trader.session = desk.sign_in().await;
        if let Some(order) = hanging {
            // If the venue never got it, its price is of another day by now, as far as the desk can tell: it is not sent again.
            let is_known = |order: &Value| order["status"] == "working" || order["status"] == "expired";
            trader.session.until(&format!("/orders/{order}"), is_known).await;
        }
        trader.until_ready().await;
        trader.buy(&format!("buy-{nth}")).await;
        trader.cancel(&resting).await;
    }
    assert!(desk.stop().await, "SIGTERM is a good end");
    let books = Books::read(&desks.database(), &venues.file("paper.db")).await;
    books.agree();
    assert_eq!(books.fills(), SETTINGS.len());
    let (good, report) = desks.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
    let mut desk = AnyConnection::connect(&desks.database()).await.unwrap();
    let at: Vec<i64> =
        sqlx::query_scalar("SELECT at FROM audit_log ORDER BY seq").fetch_all(&mut desk).await.unwrap();
    assert!(!at.is_sorted(), "the clock was never set back");
}

/// What a sign-in without a code, or a request of a session, is answered.
async fn signs_in(session: &Session, password: &str) -> (StatusCode, Value) {
    let credentials = json!({ "username": "owner", "password": password });
    session.call(Method::POST, "/session", Some(credentials)).await.unwrap()
}

async fn is_signed_in(session: &Session) -> bool {
    let (status, _) = session.call(Method::GET, "/session", None).await.unwrap();
    assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    status == StatusCode::OK
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clock_makes_a_session_longer_a_code_good_twice_or_a_wait_endless() {
    let Some(clock) = FakeClock::new() else { return };
    let home = Home::new();
    let desk = clock.start(&home).await;
    let session = desk.set_up().await;

    // A session ends when nobody can say any more how old it is, and for good.
    clock.set(SignedDuration::from_hours(-1));
    assert!(!is_signed_in(&session).await, "it would have lasted an hour longer");
    clock.set(SignedDuration::ZERO);
    assert!(!is_signed_in(&session).await, "it does not come to life again");
    let session = desk.sign_in().await;
    clock.set(SignedDuration::from_hours(72));
    assert!(!is_signed_in(&session).await, "half a day is over, as far as the desk can tell");
    clock.set(SignedDuration::ZERO);

    // Ten wrong passwords: the wait neither ends nor becomes longer with the clock set back.
    for _ in 0..10 {
        assert_eq!(signs_in(&session, "a wrong one").await.0, StatusCode::UNAUTHORIZED);
    }
    let back = SignedDuration::from_hours(-72);
    clock.set(back);
    assert_eq!(signs_in(&session, PASSWORD).await.0, StatusCode::TOO_MANY_REQUESTS);
    clock.set(back + SignedDuration::from_mins(16));
    let (status, answer) = signs_in(&session, PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    clock.set(SignedDuration::ZERO);

    // A code of an hour ahead is used, and the clock comes to that hour a second time.
    let session = desk.sign_in().await;
    let password = json!({ "password": PASSWORD });
    let (_, enrolment) = session.call(Method::POST, "/factors/totp", Some(password)).await.unwrap();
    let key = enrolment["key"].as_str().unwrap().replace(' ', "");
    let secret = totp_rs::Secret::try_from_base32(key).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = |at: Timestamp| totp.generate(u64::try_from(at.as_second()).unwrap()).to_string();
    let shown = async |path: &str, code: String| {
        session.call(Method::POST, path, Some(json!({ "code": code }))).await.unwrap()
    };
    let (status, codes) = shown("/factors/totp/confirm", code(SystemClock.now())).await;
    assert_eq!(status, StatusCode::OK, "{codes}");
    let ahead = SignedDuration::from_hours(1);
    clock.set(ahead);
    let used_at = SystemClock.now() + ahead;
    assert_eq!(signs_in(&session, PASSWORD).await.1["code"], "code_needed");
    let (status, answer) = shown("/session/code", code(used_at)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    clock.set(SignedDuration::ZERO);
    // Back to the very moment.
    clock.set(used_at.duration_since(SystemClock.now()));
    assert_eq!(signs_in(&session, PASSWORD).await.1["code"], "code_needed");
    let (_, answer) = shown("/session/code", code(used_at)).await;
    assert_eq!(answer["code"], "code_refused", "a code was good twice: {answer}");

    assert!(desk.stop().await, "SIGTERM is a good end");
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}
