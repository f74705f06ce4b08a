//! Codes of authenticator apps: RFC 6238 with SHA-1, six digits and steps of 30 seconds, which is what all apps know.

use domain::Timestamp;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use totp_rs::{Builder, Totp};
use vault::{ExposeSecret as _, SecretString};

/// Length of a secret: 160 bits, as RFC 4226 recommends.
pub(crate) const SECRET_BYTES: usize = 20;

const STEP_SECONDS: u64 = 30;
/// How far clocks may differ, in steps either way.
const DRIFT: u16 = 1;
/// What apps list the code under, beside the user name.
const ISSUER: &str = "Stockade";

/// What an app needs to make a person's codes. Shown once, to that person.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The key to type in: 32 characters of base 32 in groups of four.
    pub key: SecretString,
    /// The same as an `otpauth:` address.
    pub uri: SecretString,
    /// The address as a QR code: an SVG image, black on white.
    pub qr_svg: SecretString,
}

/// The secret that app and desk share.
pub(crate) struct Secret(totp_rs::Secret);

impl Secret {
    /// A secret of random bytes.
    pub(crate) fn new(random: [u8; SECRET_BYTES]) -> Self {
        Self(totp_rs::Secret::new_stack(random))
    }

    /// As [`Secret::text`] wrote it.
    pub(crate) fn from_text(text: &SecretString) -> Option<Self> {
        let secret = totp_rs::Secret::try_from_base32(text.expose_secret()).ok()?;
        (secret.as_bytes().len() == SECRET_BYTES).then_some(Self(secret))
    }

    /// The form in which it is sealed: base 32, 32 characters.
    pub(crate) fn text(&self) -> SecretString {
        self.0.to_base32().into()
    }

    /// The step that a code of six digits belongs to, when it is that of now or one step beside it.
    pub(crate) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let now = u64::try_from(now.as_second()).ok()?;
        i64::try_from(self.totp("").check(code, now)?).ok()
    }

    /// For the one answer to whoever enrols.
    pub(crate) fn enrolment(&self, username: &str) -> Enrolment {
        let uri = self.totp(username).to_url().expect("user names and the issuer have no colon");
        let qr = QrCode::with_error_correction_level(&uri, EcLevel::M).expect("the address fits a QR code");
        let qr_svg = qr.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
        let text = self.text();
        let mut key = String::with_capacity(40);
        for (at, letter) in text.expose_secret().chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                key.push(' ');
            }
            key.push(letter);
        }
        Enrolment { key: key.into(), uri: uri.into(), qr_svg: qr_svg.into() }
    }

    fn totp(&self, username: &str) -> Totp {
        Builder::new()
            .with_secret(self.0.clone())
            .with_step_duration(STEP_SECONDS)
            .with_skew(DRIFT)
            .with_issuer(Some(ISSUER))
            .with_account_name(username)
            .build()
            .expect("the secret is long enough and no name has a colon")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6238, appendix B.
    fn of_the_rfc() -> Secret {
        Secret::new(*b"12345678901234567890")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Appendix B gives eight digits; six are the last of them.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(of_the_rfc().step_of(code, at(second)), Some(second / 30), "{second}");
        }
    }

    #[test]
    fn a_code_counts_one_step_early_and_one_step_late() {
        let (code, step) = ("050471", 1_111_111_111 / 30);
        for (steps_off, counts) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = of_the_rfc().step_of(code, at(1_111_111_111 + 30 * steps_off));
            assert_eq!(found, counts.then_some(step), "{steps_off}");
        }
    }

    #[test]
    fn what_is_no_code_of_six_digits_is_none() {
        for bad in ["", "50471", "0050471", "05047a", "-50471", "05 471", "０５０４７１", "89005924"] {
            assert_eq!(of_the_rfc().step_of(bad, at(1_111_111_111)), None, "{bad}");
        }
        assert_eq!(of_the_rfc().step_of("287082", at(-59)), None);
    }

    #[test]
    fn an_enrolment_has_the_secret_as_key_address_and_image() {
        let enrolment = of_the_rfc().enrolment("alice@desk");
        assert_eq!(enrolment.key.expose_secret(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let uri = enrolment.uri.expose_secret();
        assert!(uri.starts_with("otpauth://totp/Stockade:alice%40desk?"), "{uri}");
        assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{uri}");
        assert!(uri.contains("issuer=Stockade"), "{uri}");
        assert!(enrolment.qr_svg.expose_secret().contains("<svg "));
        assert!(!format!("{enrolment:?}").contains("GEZD"));
    }

    #[test]
    fn the_sealed_text_gives_the_same_secret() {
        let again = Secret::from_text(&of_the_rfc().text()).unwrap();
        assert_eq!(again.step_of("287082", at(59)), Some(1));
        assert!(Secret::from_text(&"GEZDGNBV".into()).is_none());
        assert!(Secret::from_text(&"not base 32".into()).is_none());
    }
}
