//! The key that signs the audit log, and the public key that checks it.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::crypto;
use crate::key_file::{self, KeyFileError};

/// Name of the signing key's file in the home folder, mode 0600.
pub const AUDIT_SIGNING_KEY_FILE: &str = "audit-signing-key";
/// Name of the public key's file beside it. Copy it to wherever the log is to be checked.
pub const AUDIT_PUBLIC_KEY_FILE: &str = "audit-public-key";

/// An Ed25519 key pair. Never in the database: whoever can write only that must not be able to sign.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl SigningKey {
    /// Reads the key from its file in the home folder, or makes it; writes the public key beside it.
    ///
    /// # Errors
    /// A file cannot be read or made, others can read the key, or there is no good key in it.
    ///
    /// # Panics
    /// Never: any 32 bytes are an Ed25519 seed.
    pub fn open_or_create(home: &Path) -> Result<Self, KeyFileError> {
        let path = home.join(AUDIT_SIGNING_KEY_FILE);
        let seed = match key_file::read(&path) {
            Err(KeyFileError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                key_file::create(&path)?
            }
            other => other?,
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("any 32 bytes are a seed");
        let key = Self(Arc::new(pair));
        key.publish(&home.join(AUDIT_PUBLIC_KEY_FILE))?;
        Ok(key)
    }

    fn publish(&self, path: &Path) -> Result<(), KeyFileError> {
        let text = format!("{}\n", self.public_key());
        let wrong = |source| KeyFileError::File { path: path.to_owned(), source };
        match key_file::write_new(path, text.as_bytes(), 0o644) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if std::fs::read_to_string(path).map_err(wrong)? == text {
                    return Ok(());
                }
                let why =
                    "it does not belong to the signing key beside it; put the right one of the two back";
                Err(wrong(io::Error::new(io::ErrorKind::InvalidData, why)))
            }
            done => done.map_err(wrong),
        }
    }

    /// Signs `message`: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// What checks the signatures.
    ///
    /// # Panics
    /// Never: an Ed25519 public key has 32 bytes.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(… of {})", self.public_key())
    }
}

/// Checks signatures of a [`SigningKey`]. As text: `ed25519:` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is `ed25519:` and the base64 form of 32 bytes")]
pub struct InvalidPublicKey;

impl PublicKey {
    const ALGORITHM: &str = "ed25519:";

    /// Reads the key from its file.
    ///
    /// # Errors
    /// The file cannot be read, or has no public key in it.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let wrong = |source| KeyFileError::File { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(wrong)?;
        text.parse().map_err(|e: InvalidPublicKey| wrong(io::Error::new(io::ErrorKind::InvalidData, e)))
    }

    /// Whether `signature` of `message` was made by the key that this one belongs to.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::ALGORITHM, crypto::base64(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = InvalidPublicKey;

    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let base64 = text.trim_ascii().strip_prefix(Self::ALGORITHM).ok_or(InvalidPublicKey)?;
        let bytes = crypto::from_base64(base64).ok_or(InvalidPublicKey)?;
        bytes.as_slice().try_into().map(Self).map_err(|_| InvalidPublicKey)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_signature_is_good_for_its_message_and_its_key_only() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = SigningKey::open_or_create(here.path()).unwrap();
        let other = SigningKey::open_or_create(there.path()).unwrap();
        let signature = key.sign(b"message");
        assert!(key.public_key().verify(b"message", &signature));
        assert!(!key.public_key().verify(b"massage", &signature));
        assert!(!key.public_key().verify(b"message", &signature[1..]));
        assert!(!other.public_key().verify(b"message", &signature));
    }

    #[test]
    fn the_key_stays_the_same_and_its_public_half_stands_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::open_or_create(home.path()).unwrap();
        let again = SigningKey::open_or_create(home.path()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        assert_eq!(PublicKey::open(&home.path().join(AUDIT_PUBLIC_KEY_FILE)).unwrap(), key.public_key());
        let mode = std::fs::metadata(home.path().join(AUDIT_SIGNING_KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_signing_key_that_was_replaced_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        SigningKey::open_or_create(home.path()).unwrap();
        std::fs::remove_file(home.path().join(AUDIT_SIGNING_KEY_FILE)).unwrap();
        let error = SigningKey::open_or_create(home.path()).unwrap_err().to_string();
        assert!(error.contains("does not belong"), "{error}");
    }

    #[test]
    fn neither_key_is_printed() {
        let home = tempfile::tempdir().unwrap();
        let key = SigningKey::open_or_create(home.path()).unwrap();
        let seed = std::fs::read_to_string(home.path().join(AUDIT_SIGNING_KEY_FILE)).unwrap();
        assert!(!format!("{key:?}").contains(seed.trim()));
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn ed25519_gives_the_published_answer() {
        let seed = crypto::hash_from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
            .unwrap();
        let key = SigningKey(Arc::new(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()));
        let signature = key.sign(&[0x72]);
        assert_eq!(
            crypto::hex(&signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }
}
