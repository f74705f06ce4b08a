//! Somebody loses their second factor, and the operator helps with the command line beside the running desk.

use domain::{Clock as _, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::running::{Home, PASSWORD};

#[tokio::test]
async fn a_lost_factor_is_reset_beside_the_running_desk_and_the_password_alone_lets_in_again() {
    let home = Home::new();
    let desk = home.start().await;
    let session = desk.set_up().await;
    let password = json!({ "password": PASSWORD });
    let (_, enrolment) = session.call(Method::POST, "/factors/totp", Some(password)).await.unwrap();
    let key = enrolment["key"].as_str().unwrap().replace(' ', "");
    let secret = totp_rs::Secret::try_from_base32(key).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let code = totp.generate(u64::try_from(SystemClock.now().as_second()).unwrap()).to_string();
    let confirm = json!({ "code": code });
    let (status, codes) = session.call(Method::POST, "/factors/totp/confirm", Some(confirm)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{codes}");

    let credentials = json!({ "username": "owner", "password": PASSWORD });
    let (_, half) = session.call(Method::POST, "/session", Some(credentials.clone())).await.unwrap();
    assert_eq!(half["code"], "code_needed");

    let (good, said) = home.run(&["user", "reset-factor", "Owner"]).await;
    assert!(good && said.contains("no second factor any more"), "{said}");
    let (status, _) = session.call(Method::GET, "/session", None).await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the sessions have ended");
    let (status, _) = session.call(Method::POST, "/session", Some(credentials)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let trail = session.all("/audit?act=factor.reset").await;
    assert_eq!((trail.len(), &trail[0]["actor"]["kind"]), (1, &json!("operator")), "{trail:?}");

    let (good, said) = home.run(&["user", "reset-factor", "owner"]).await;
    assert!(good && said.contains("Nothing was done"), "{said}");
    let (good, said) = home.run(&["user", "reset-factor", "nobody"]).await;
    assert!(!good && said.contains("there is nobody called"), "{said}");
    assert!(desk.stop().await);
    let (good, report) = home.run(&["audit", "verify"]).await;
    assert!(good, "{report}");
}
