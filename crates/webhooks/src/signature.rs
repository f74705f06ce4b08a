//! How a message is signed: the symmetric scheme of Standard Webhooks 1.0.0 (standardwebhooks.com, 2023).

use std::fmt;

use jiff::Timestamp;
use vault::{ExposeSecret as _, SecretString, crypto};

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";

/// The secret that the desk and one receiver share: 256 random bits.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A new one.
    pub fn new() -> Self {
        let bytes = crypto::new_key();
        Self(SecretString::from(format!("{PREFIX}{}", crypto::base64(bytes.as_slice()))))
    }

    /// One that was stored.
    pub fn stored(text: SecretString) -> Self {
        Self(text)
    }

    /// As it is shown to whoever checks signatures with it, as `whsec_MfKQ…`.
    pub fn text(&self) -> &SecretString {
        &self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The value of `webhook-signature`: one signature for each secret that is good, apart by spaces. `None`: a secret is none.
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> Option<String> {
    let signed = [id.as_bytes(), b".", at.as_second().to_string().as_bytes(), b".", body].concat();
    let each = secrets.iter().map(|secret| {
        let key = crypto::from_base64(secret.0.expose_secret().strip_prefix(PREFIX)?)?;
        Some(format!("v1,{}", crypto::base64(&crypto::hmac_sha256(&key, &signed))))
    });
    Some(each.collect::<Option<Vec<_>>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, which its libraries test too.
    #[test]
    fn a_signature_is_the_published_one() {
        let secret = Secret::stored("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into());
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signature = sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (old, new) = (Secret::new(), Secret::new());
        let at = Timestamp::from_second(1).unwrap();
        let alone = |secret: &Secret| sign(std::slice::from_ref(secret), "a", at, b"{}").unwrap();
        let both = sign(&[new.clone(), old.clone()], "a", at, b"{}").unwrap();
        assert_eq!(both, format!("{} {}", alone(&new), alone(&old)));
        assert_ne!(alone(&new), alone(&old));
    }

    #[test]
    fn a_secret_is_shown_by_nothing_but_its_text() {
        let secret = Secret::new();
        assert_eq!(format!("{secret:?}"), "Secret");
        let text = secret.text().expose_secret();
        assert_eq!(crypto::from_base64(text.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
    }
}
