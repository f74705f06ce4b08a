//! Messages that only the holder of a private key can read: JSON Web Encryption (RFC 7516) in its compact form.
//!
//! One way of it, and no other: an ephemeral key agrees with the recipient's on a secret (`ECDH-ES`, RFC 7518 section 4.6, on
//! P-256 or X25519 of RFC 8037), from which the key of AES-256-GCM is derived. The desk only encrypts: it has no private key of
//! anybody's, and keeps none of its own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::crypto;

const CONTENT_ENCRYPTION: &str = "A256GCM";
/// Bytes of a coordinate, and of the key of the content.
const LEN: usize = 32;

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipient {
    /// Another type of key.
    #[error("the key is a JWK of type EC on the curve P-256, or of type OKP on X25519")]
    Kind,
    /// A coordinate is missing or malformed, or the point is not on the curve.
    #[error("the coordinates are base64url without padding, of a point on the curve")]
    Point,
    /// The private half is there too: whoever sent it has given it away.
    #[error("the key has its private half, `d`: make another pair, and send the public half alone")]
    Private,
    /// It says that it is for something else.
    #[error("the key is for another use: `use` is `enc` and `alg` is `ECDH-ES` where they are given")]
    Use,
    /// Something that is not understood.
    #[error("the key has a member that is not understood: there are kty, crv, x, y, kid, use, alg")]
    Member,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    X25519,
}

impl Curve {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::X25519 => &X25519,
        }
    }

    /// A public key as a JWK, its members in the order of their names (RFC 7638).
    fn jwk(self, public: &[u8]) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::P256 => {
                json!({ "crv": "P-256", "kty": "EC", "x": text(&public[1..=LEN]), "y": text(&public[LEN + 1..]) })
            }
            Self::X25519 => json!({ "crv": "X25519", "kty": "OKP", "x": text(public) }),
        }
    }
}

/// Whom messages are for: the public half of their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    curve: Curve,
    /// As the library reads it: the point in its long form, or the coordinate.
    public: Vec<u8>,
}

impl Recipient {
    /// Reads a JWK.
    ///
    /// # Errors
    /// It is none that the desk takes.
    pub fn read(jwk: &Value) -> Result<Self, InvalidRecipient> {
        const KNOWN: [&str; 7] = ["kty", "crv", "x", "y", "kid", "use", "alg"];
        let members = jwk.as_object().ok_or(InvalidRecipient::Kind)?;
        if members.contains_key("d") {
            return Err(InvalidRecipient::Private);
        }
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            return Err(InvalidRecipient::Member);
        }
        let is = |name: &str, word: &str| members.get(name).is_none_or(|value| value == word);
        if !is("use", "enc") || !is("alg", "ECDH-ES") {
            return Err(InvalidRecipient::Use);
        }
        let coordinate = |name: &str| {
            let text = members.get(name).and_then(Value::as_str).ok_or(InvalidRecipient::Point)?;
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidRecipient::Point)?;
            if bytes.len() == LEN { Ok(bytes) } else { Err(InvalidRecipient::Point) }
        };
        let recipient = match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
            (Some("EC"), Some("P-256")) => {
                let public = [vec![4], coordinate("x")?, coordinate("y")?].concat();
                Self { curve: Curve::P256, public }
            }
            (Some("OKP"), Some("X25519")) if !members.contains_key("y") => {
                Self { curve: Curve::X25519, public: coordinate("x")? }
            }
            _ => return Err(InvalidRecipient::Kind),
        };
        // What is no point on the curve, or one of those with which every secret is the same, agrees with nobody.
        let tried = recipient.agree().map(|_| ());
        tried.map(|()| recipient).ok_or(InvalidRecipient::Point)
    }

    /// The key as a JWK, with nothing but what it needs.
    pub fn jwk(&self) -> Value {
        self.curve.jwk(&self.public)
    }

    /// Its name: the thumbprint of RFC 7638.
    pub fn thumbprint(&self) -> String {
        // Written in the order of the names, without blanks, as the RFC wants it.
        URL_SAFE_NO_PAD.encode(crypto::sha256(self.jwk().to_string().as_bytes()))
    }

    /// Encrypts a message of a kind, as `json`. `None` when the library refuses, which it has no reason to.
    pub fn encrypt(&self, message: &[u8], kind: &str) -> Option<String> {
        let (ephemeral, key) = self.agree()?;
        let header = json!({
            "alg": "ECDH-ES",
            "enc": CONTENT_ENCRYPTION,
            "kid": self.thumbprint(),
            "cty": kind,
            "epk": self.curve.jwk(&ephemeral),
        });
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let nonce: [u8; NONCE_LEN] = crypto::random();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?);
        let mut text = message.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag =
            cipher.seal_in_place_separate_tag(unique, Aad::from(protected.as_bytes()), &mut text).ok()?;
        let parts = [nonce.as_slice(), &text, tag.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let [nonce, text, tag] = parts;
        // Between the first two dots stands an encrypted key, where there is one.
        Some(format!("{protected}..{nonce}.{text}.{tag}"))
    }

    /// A key for one message, and the public half of the ephemeral key that leads to it.
    fn agree(&self) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        let algorithm = self.curve.algorithm();
        let ephemeral = PrivateKey::generate(algorithm).ok()?;
        let public = ephemeral.compute_public_key().ok()?.as_ref().to_vec();
        let peer = UnparsedPublicKey::new(algorithm, &self.public);
        let key = agreement::agree(&ephemeral, peer, (), |secret| {
            Ok(concat_kdf(secret, CONTENT_ENCRYPTION, b"", b"", LEN))
        });
        Some((public, key.ok()?))
    }
}

/// The key derivation of RFC 7518 section 4.6.2, for keys of at most 256 bits: one round of SHA-256.
fn concat_kdf(secret: &[u8], algorithm: &str, from: &[u8], to: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut hash = Context::new(&SHA256);
    hash.update(&number(1));
    hash.update(secret);
    for part in [algorithm.as_bytes(), from, to] {
        hash.update(&number(part.len()));
        hash.update(part);
    }
    hash.update(&number(len * 8));
    Zeroizing::new(hash.finish().as_ref()[..len.min(LEN)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn bob() -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        })
    }

    #[test]
    fn the_key_is_derived_as_in_appendix_c_of_rfc_7518() {
        let alice = bytes("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let alice = PrivateKey::from_private_key(&ECDH_P256, &alice).unwrap();
        let bob = Recipient::read(&bob()).unwrap();
        let peer = UnparsedPublicKey::new(&ECDH_P256, &bob.public);
        let key = agreement::agree(&alice, peer, (), |secret| {
            Ok::<_, ()>(concat_kdf(secret, "A128GCM", b"Alice", b"Bob", 16))
        });
        assert_eq!(URL_SAFE_NO_PAD.encode(key.unwrap().as_slice()), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn a_thumbprint_is_that_of_the_members_that_count() {
        let plain = Recipient::read(&bob()).unwrap();
        let mut named = bob();
        named["kid"] = json!("mine");
        named["use"] = json!("enc");
        assert_eq!(plain.thumbprint(), Recipient::read(&named).unwrap().thumbprint());
        let written = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\",\
             \"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck\"}";
        assert_eq!(plain.jwk().to_string(), written);
    }

    #[test]
    fn what_was_encrypted_opens_with_the_private_half_alone() {
        let mine = PrivateKey::generate(&X25519).unwrap();
        let public = mine.compute_public_key().unwrap();
        let jwk = json!({ "kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode(public.as_ref()) });
        let sealed = Recipient::read(&jwk).unwrap().encrypt(b"{\"cash\":\"100\"}", "json").unwrap();
        let [header, encrypted_key, nonce, text, tag] = sealed.split('.').collect::<Vec<_>>()[..] else {
            panic!("{sealed}");
        };
        assert_eq!(encrypted_key, "");
        let said: Value = serde_json::from_slice(&bytes(header)).unwrap();
        assert_eq!(
            (&said["alg"], &said["enc"], &said["cty"]),
            (&json!("ECDH-ES"), &json!("A256GCM"), &json!("json"))
        );
        let open = |mine: &PrivateKey, header: &str| {
            let epk = bytes(said["epk"]["x"].as_str().unwrap());
            let peer = UnparsedPublicKey::new(&X25519, &epk);
            let key = agreement::agree(mine, peer, (), |secret| {
                Ok::<_, ()>(concat_kdf(secret, CONTENT_ENCRYPTION, b"", b"", LEN))
            });
            let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.unwrap()).unwrap());
            let mut body = [bytes(text), bytes(tag)].concat();
            let nonce = Nonce::try_assume_unique_for_key(&bytes(nonce)).unwrap();
            cipher
                .open_in_place(nonce, Aad::from(header.as_bytes()), &mut body)
                .map(|text| text.to_vec())
                .ok()
        };
        assert_eq!(open(&mine, header).as_deref(), Some(b"{\"cash\":\"100\"}".as_slice()));
        assert_eq!(open(&PrivateKey::generate(&X25519).unwrap(), header), None);
        assert_eq!(open(&mine, &header.replace('J', "K")), None, "another header");
    }

    #[test]
    fn a_key_that_is_none_of_these_is_refused() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut jwk = bob();
            change(&mut jwk);
            Recipient::read(&jwk).unwrap_err()
        };
        assert_eq!(refused(&|jwk| jwk["d"] = json!("AA")), InvalidRecipient::Private);
        assert_eq!(refused(&|jwk| jwk["crv"] = json!("P-384")), InvalidRecipient::Kind);
        assert_eq!(refused(&|jwk| jwk["kty"] = json!("RSA")), InvalidRecipient::Kind);
        assert_eq!(refused(&|jwk| jwk["use"] = json!("sig")), InvalidRecipient::Use);
        assert_eq!(refused(&|jwk| jwk["x5u"] = json!("https://evil.example")), InvalidRecipient::Member);
        assert_eq!(refused(&|jwk| jwk["x"] = json!("AA")), InvalidRecipient::Point);
        assert_eq!(refused(&|jwk| jwk["x"] = jwk["y"].clone()), InvalidRecipient::Point, "not on the curve");
        let zero = json!({ "kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode([0; 32]) });
        assert_eq!(Recipient::read(&zero), Err(InvalidRecipient::Point), "every secret would be the same");
        assert_eq!(Recipient::read(&json!("P-256")), Err(InvalidRecipient::Kind));
    }
}
