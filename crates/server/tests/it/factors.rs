//! The second factor over HTTP: set up, asked for at signing in, shown again, removed.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, StatusCode};
use domain::{Clock as _, Role, SystemClock, Timestamp, micros};
use server::access::{Needs, TABLE};
use totp_rs::{Builder, Totp};

use crate::desk::{Answer, Desk, PASSWORD};

const STEP_UP: &str = "/api/v1/session/step-up";
const TOTP: &str = "/api/v1/factors/totp";

/// An authenticator app. The clock is the real one, so each use takes the code of another step within the drift.
pub(crate) struct App {
    totp: Totp,
    begun_at: Timestamp,
    used: i64,
}

impl App {
    /// The next code that was not used; there are three.
    fn code(&mut self) -> String {
        let second = self.begun_at.as_second() + 30 * (self.used - 1);
        self.used += 1;
        assert!(self.used <= 3, "the drift allows for three codes at once");
        self.totp.generate(u64::try_from(second).unwrap()).to_string()
    }
}

fn body(code: &str) -> String {
    format!(r#"{{"code":"{code}"}}"#)
}

impl Desk {
    /// Enrols whoever holds the cookie: their app, their recovery codes, their new cookie.
    pub(crate) async fn enrol(&self, cookie: &str) -> (App, Vec<String>, String) {
        let password = format!(r#"{{"password":"{PASSWORD}"}}"#);
        let begun = self.ask("POST", TOTP, Some(cookie), Some(&password)).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
        assert!(begun.body["qr_svg"].as_str().unwrap().contains("<svg"));
        let key = begun.body["key"].as_str().unwrap().replace(' ', "");
        let secret = totp_rs::Secret::try_from_base32(key).unwrap();
        let totp = Builder::new().with_secret(secret).build().unwrap();
        let mut app = App { totp, begun_at: SystemClock.now(), used: 0 };
        let path = "/api/v1/factors/totp/confirm";
        let done = self.ask("POST", path, Some(cookie), Some(&body(&app.code()))).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        let codes = done.body["recovery_codes"].as_array().unwrap();
        let codes: Vec<_> = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        assert_eq!(codes.len(), 10);
        (app, codes, done.cookie("__Host-session"))
    }

    /// Makes all factors that sessions saw six minutes older.
    async fn age_factors(&self) {
        let by = 6 * 60 * micros(Timestamp::from_second(1).unwrap());
        let done = self.db.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE sessions SET factor_at = factor_at - $1";
                storage::query(sql).bind(by).execute(tx.sql()).await?;
                Ok::<_, storage::StorageError>(())
            })
        });
        done.await.unwrap();
    }

    /// Sends a form as a browser does that has these cookies.
    async fn post_form(&self, path: &str, cookies: &str, form: String) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.header(COOKIE, cookies).body(Body::from(form)).unwrap()).await
    }

    /// The password's half of signing in, over the API: the cookie with which the code is sent.
    async fn challenge(&self, username: &str) -> String {
        let credentials = format!(r#"{{"username":"{username}","password":"{PASSWORD}"}}"#);
        let half = self.ask("POST", "/api/v1/session", None, Some(&credentials)).await;
        assert_eq!((half.status, half.code()), (StatusCode::UNAUTHORIZED, "code_needed"));
        half.cookie("__Host-sign-in")
    }
}

#[tokio::test]
async fn signing_in_over_the_api_takes_the_code_in_a_second_request() {
    let (desk, owner) = Desk::with_owner().await;
    let (mut app, _, _) = desk.enrol(&owner).await;
    let challenge = desk.challenge("olga").await;
    assert_eq!(
        desk.ask("POST", "/api/v1/session/code", None, Some(&body("000000"))).await.code(),
        "begin_again"
    );
    let wrong = desk.ask("POST", "/api/v1/session/code", Some(&challenge), Some(&body("AAAA"))).await;
    assert_eq!((wrong.code(), wrong.body["field"].as_str()), ("code_refused", Some("code")));
    let done = desk.ask("POST", "/api/v1/session/code", Some(&challenge), Some(&body(&app.code()))).await;
    assert_eq!((done.status, &done.body["user"]["username"]), (StatusCode::OK, &"olga".into()));
    let session = done.cookie("__Host-session");
    let factors = desk.ask("GET", "/api/v1/factors", Some(&session), None).await;
    assert_eq!(factors.body["recovery_codes_left"], 10);
    assert!(factors.body["shown_at"].is_string() && factors.body["totp_since"].is_string());
}

#[tokio::test]
async fn signing_in_on_the_pages_takes_the_code_on_a_second_page_without_scripts() {
    let (desk, owner) = Desk::with_owner().await;
    let (mut app, _, _) = desk.enrol(&owner).await;
    let form_cookie = desk.ask("GET", "/sign-in", None, None).await.cookie("__Host-form");
    let token = form_cookie.split_once('=').unwrap().1;
    let password = PASSWORD.replace(' ', "+");
    let credentials = format!("csrf={token}&username=olga&password={password}&next=/orders");
    let half = desk.post_form("/sign-in", &form_cookie, credentials).await;
    assert_eq!(half.status, StatusCode::SEE_OTHER);
    assert_eq!(half.headers[LOCATION], "/sign-in/code?next=%2Forders");
    assert!(
        half.headers
            .get_all(SET_COOKIE)
            .iter()
            .all(|line| !line.to_str().unwrap().starts_with("__Host-session="))
    );
    let set = half.headers[SET_COOKIE].to_str().unwrap();
    for attribute in ["Path=/", "Max-Age=300", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(set.contains(attribute), "{set}");
    }
    let cookies = format!("{form_cookie}; {}", half.cookie("__Host-sign-in"));

    let page = desk.ask("GET", "/sign-in/code?next=/orders", Some(&cookies), None).await;
    assert!(page.text.contains("autocomplete=\"one-time-code\"") && !page.text.contains("<script"));
    let form = |code: &str| format!("csrf={token}&code={code}&next=/orders");
    let forged = desk.post_form("/sign-in/code", &half.cookie("__Host-sign-in"), form("000000")).await;
    assert_eq!(forged.code(), "form_expired");
    let wrong = desk.post_form("/sign-in/code", &cookies, form("AAAA-AAAA-AAAA-AAAA")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("role=\"alert\"") && wrong.text.contains("aria-invalid"), "{}", wrong.text);
    let done = desk.post_form("/sign-in/code", &cookies, form(&app.code())).await;
    assert_eq!((done.status, &done.headers[LOCATION]), (StatusCode::SEE_OTHER, &"/orders".parse().unwrap()));
    let session = done.cookie("__Host-session");
    assert_eq!(desk.ask("GET", "/api/v1/session", Some(&session), None).await.status, StatusCode::OK);

    // Too late, or too often: back to the password, and told why.
    let late = desk.post_form("/sign-in/code", &cookies, form("000000")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text.contains("name=\"password\"") && late.text.contains("begin again"), "{}", late.text);
    let nobody = desk.ask("GET", "/sign-in/code", Some(&form_cookie), None).await;
    assert_eq!(nobody.headers[LOCATION], "/sign-in");
}

#[tokio::test]
async fn whoever_owes_a_code_is_let_in_nowhere() {
    let (desk, owner) = Desk::with_owner().await;
    desk.enrol(&owner).await;
    let challenge = desk.challenge("olga").await;
    // Not under its own name, nor passed off as a session.
    let as_session = challenge.replace("__Host-sign-in", "__Host-session");
    for rule in TABLE.iter().filter(|rule| rule.needs != Needs::Nothing && rule.path != "/api/v1/stream") {
        let path = rule.path.replace("{id}", &desk.paper.to_string()).replace("{account_id}", "x");
        for cookie in [&challenge, &as_session] {
            let refused = desk.ask(rule.method, &path, Some(cookie), None).await;
            assert_eq!(refused.code(), "not_signed_in", "{} {path}", rule.method);
        }
    }
}

#[tokio::test]
async fn a_dangerous_act_asks_for_a_recent_factor_and_passes_after_a_step_up() {
    let (desk, owner) = Desk::with_owner().await;
    let path = "/api/v1/factors/recovery-codes";
    let none = desk.ask("POST", path, Some(&owner), None).await;
    assert_eq!((none.status, none.code()), (StatusCode::FORBIDDEN, "factor_needed"));
    assert_eq!(desk.ask("POST", STEP_UP, Some(&owner), Some(&body("000000"))).await.code(), "factor_needed");

    let (mut app, codes, session) = desk.enrol(&owner).await;
    assert_eq!(desk.ask("GET", "/api/v1/session", Some(&owner), None).await.code(), "not_signed_in");
    desk.age_factors().await;
    let refused = desk.ask("POST", path, Some(&session), None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "step_up_needed"));
    let wrong = desk.ask("POST", STEP_UP, Some(&session), Some(&body("AAAA-AAAA-AAAA-AAAA"))).await;
    assert_eq!(wrong.code(), "code_refused");

    let code = app.code();
    let stepped = desk.ask("POST", STEP_UP, Some(&session), Some(&body(&code))).await;
    assert_eq!((stepped.status, &stepped.body["user"]["username"]), (StatusCode::OK, &"olga".into()));
    let renewed = stepped.cookie("__Host-session");
    assert_eq!(desk.ask("GET", "/api/v1/session", Some(&session), None).await.code(), "not_signed_in");
    let again = desk.ask("POST", STEP_UP, Some(&renewed), Some(&body(&code))).await;
    assert_eq!(again.code(), "code_refused");
    let done = desk.ask("POST", path, Some(&renewed), None).await;
    assert_eq!(done.body["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(
        desk.ask("POST", STEP_UP, Some(&renewed), Some(&body(&codes[0]))).await.code(),
        "code_refused"
    );

    // Each refusal and each code is on record, and none of what was typed.
    let log = desk.ask("GET", "/api/v1/audit", Some(&renewed), None).await;
    for act in ["recovery_codes.renewed", "session.stepped_up", "factor.enrolled", "factor.enrolment_begun"] {
        assert!(log.text.contains(act), "{act}");
    }
    assert!(!log.text.contains(&code) && !log.text.contains(&codes[0]));
}

#[tokio::test]
async fn removing_the_factor_takes_one_and_leaves_the_password_alone() {
    let (desk, owner) = Desk::with_owner().await;
    let (mut app, _, session) = desk.enrol(&owner).await;
    desk.age_factors().await;
    assert_eq!(desk.ask("DELETE", TOTP, Some(&session), None).await.code(), "step_up_needed");
    let stepped = desk.ask("POST", STEP_UP, Some(&session), Some(&body(&app.code()))).await;
    let session = stepped.cookie("__Host-session");
    assert_eq!(desk.ask("DELETE", TOTP, Some(&session), None).await.status, StatusCode::NO_CONTENT);
    let factors = desk.ask("GET", "/api/v1/factors", Some(&session), None).await;
    assert_eq!(factors.text, r#"{"totp_since":null,"recovery_codes_left":0,"shown_at":null}"#);
    desk.sign_in("olga").await;
}

#[tokio::test]
async fn setting_up_is_refused_by_name() {
    let (desk, owner) = Desk::with_owner().await;
    let wrong = desk.ask("POST", TOTP, Some(&owner), Some(r#"{"password":"guess"}"#)).await;
    assert_eq!((wrong.code(), wrong.body["field"].as_str()), ("password_wrong", Some("password")));
    let confirm = "/api/v1/factors/totp/confirm";
    assert_eq!(desk.ask("POST", confirm, Some(&owner), Some(&body("000000"))).await.code(), "begin_again");
    let (_, _, session) = desk.enrol(&owner).await;
    let password = format!(r#"{{"password":"{PASSWORD}"}}"#);
    assert_eq!(desk.ask("POST", TOTP, Some(&session), Some(&password)).await.code(), "factor_exists");
    let smuggled = r#"{"code":"000000","factor_at":"2030-01-01T00:00:00Z"}"#;
    assert_eq!(desk.ask("POST", STEP_UP, Some(&session), Some(smuggled)).await.code(), "field_unknown");
    for _ in 0..10 {
        desk.ask("POST", STEP_UP, Some(&session), Some(&body("AAAA-AAAA-AAAA-AAAA"))).await;
    }
    let slowed = desk.ask("POST", STEP_UP, Some(&session), Some(&body("AAAA-AAAA-AAAA-AAAA"))).await;
    assert_eq!((slowed.status, slowed.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"));
    assert!(slowed.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn everybody_has_only_their_own_factor() {
    let (desk, owner) = Desk::with_owner().await;
    desk.person("tina", Role::Trader, None).await;
    let tina = desk.sign_in("tina").await;
    let (mut app, codes, _) = desk.enrol(&owner).await;
    let factors = desk.ask("GET", "/api/v1/factors", Some(&tina), None).await;
    assert!(factors.body["totp_since"].is_null());
    let (_, _, tina) = desk.enrol(&tina).await;
    for foreign in [app.code(), codes[0].clone()] {
        let refused = desk.ask("POST", STEP_UP, Some(&tina), Some(&body(&foreign))).await;
        assert_eq!(refused.code(), "code_refused");
    }
}
