//! Hashing passwords: slow on purpose, and therefore a few at a time.

use std::sync::Arc;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, CustomizedPasswordHasher as _, Params, PasswordVerifier as _, Version,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Semaphore, TryAcquireError};
use unicode_normalization::UnicodeNormalization as _;
use vault::crypto;

/// What a password hash costs (Argon2id, one lane).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Hashing {
    /// 19 MiB and two passes: what OWASP and ASVS 5.0 ask for at least, and all that two cores that also trade
    /// should spend. Raised, every password is re-hashed at its next sign-in.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl Hashing {
    /// Next to no cost, and so next to no protection: for tests that sign in often.
    pub fn weak_for_tests() -> Self {
        Self { memory_kib: 8, passes: 1 }
    }
}

/// At most this many hashes are computed at once.
const AT_ONCE: usize = 2;
/// At most this many wait for their turn. Each has a caller that waits; more would wait for longer than people do.
const WAITING: usize = 32;

/// Hashes and verifies, a bounded number at a time. Clones share the bounds.
#[derive(Clone)]
pub(crate) struct Hasher {
    params: Params,
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// A hash of nothing anybody knows, at the present cost.
    dummy: Arc<str>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// A place in the queue.
pub(crate) struct Place {
    hasher: Hasher,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// What comparing a password with a hash gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub matches: bool,
    /// The password hashed at the present cost, when it matched a hash of another cost.
    pub rehashed: Option<String>,
}

impl Hasher {
    pub(crate) fn new(hashing: Hashing) -> Self {
        let params = Params::new(hashing.memory_kib, hashing.passes, 1, None)
            .expect("the cost of a password hash is within what Argon2 allows");
        // Not computed but put together: it only has to cost as much to compare with as a real one.
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).expect("parameters have a text"),
            salt: Some(Salt::new(&crypto::random::<16>()).expect("16 bytes are a salt")),
            hash: Some(Output::new(&crypto::random::<32>()).expect("32 bytes are a hash")),
        };
        Self {
            params,
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            workers: Arc::new(Semaphore::new(AT_ONCE)),
            dummy: hash.to_string().into(),
        }
    }

    /// Takes a place in the queue, before anything else is spent on the request.
    pub(crate) fn queue(&self) -> Result<Place, Crowded> {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok(Place { hasher: self.clone(), _place: place }),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(Crowded),
        }
    }
}

impl Place {
    /// Hashes a new password.
    pub(crate) async fn hash(self, password: &SecretString) -> String {
        let (params, password) = (self.hasher.params.clone(), password.clone());
        self.work(move || hash(&password, params)).await
    }

    /// Compares a password with a stored hash. Without one it takes as long and never matches.
    pub(crate) async fn verify(self, password: &SecretString, stored: Option<String>) -> Verified {
        let real = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.hasher.dummy.to_string());
        let (params, password) = (self.hasher.params.clone(), password.clone());
        self.work(move || {
            let matches = matches(&password, &stored) && real;
            let rehashed = (matches && !has_cost(&stored, &params)).then(|| hash(&password, params));
            Verified { matches, rehashed }
        })
        .await
    }

    async fn work<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let worker = self.hasher.workers.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let done = tokio::task::spawn_blocking(move || {
            // Both are held until the hash is done, even when the caller hung up.
            let _held = (worker, self);
            work()
        });
        done.await.expect("hashing does not panic")
    }
}

fn hash(password: &SecretString, params: Params) -> String {
    let bytes = normalised(password);
    let salt: [u8; 16] = crypto::random();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_customized(bytes.expose_secret().as_bytes(), &salt, None, None, params)
        .expect("parameters and salt are within what Argon2 allows")
        .to_string()
}

fn matches(password: &SecretString, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else {
        tracing::error!("a stored password hash is unreadable; its owner cannot sign in");
        return false;
    };
    Argon2::default().verify_password(normalised(password).expose_secret().as_bytes(), &stored).is_ok()
}

fn has_cost(stored: &str, params: &Params) -> bool {
    let stored = PasswordHash::new(stored).ok();
    stored.is_some_and(|stored| {
        stored.algorithm == ARGON2ID_IDENT
            && Params::try_from(&stored).is_ok_and(|stored| {
                (stored.m_cost(), stored.t_cost(), stored.p_cost())
                    == (params.m_cost(), params.t_cost(), params.p_cost())
            })
    })
}

/// NFC, so that the same keys on another system give the same password; nothing is trimmed or cut.
fn normalised(password: &SecretString) -> SecretString {
    // Room for the worst case, so that no half of the password is left behind in a buffer that was outgrown.
    let mut text = String::with_capacity(password.expose_secret().len() * 3);
    text.extend(password.expose_secret().nfc());
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(passes: u32) -> Hasher {
        Hasher::new(Hashing { passes, ..Hashing::weak_for_tests() })
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let hasher = hasher(1);
        let hash = hasher.queue().unwrap().hash(&"pass  word ".into()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        for (password, expected) in
            [("pass  word ", true), ("pass  word", false), ("Pass  word ", false), ("", false)]
        {
            let verified = hasher.queue().unwrap().verify(&password.into(), Some(hash.clone())).await;
            assert_eq!(verified, Verified { matches: expected, rehashed: None }, "{password:?}");
        }
    }

    #[tokio::test]
    async fn the_same_password_typed_on_another_system_matches() {
        let hasher = hasher(1);
        let hash = hasher.queue().unwrap().hash(&"caf\u{e9}".into()).await;
        assert!(hasher.queue().unwrap().verify(&"cafe\u{301}".into(), Some(hash)).await.matches);
    }

    #[tokio::test]
    async fn a_long_password_counts_to_its_last_character() {
        let hasher = hasher(1);
        let long = "x".repeat(255);
        let hash = hasher.queue().unwrap().hash(&format!("{long}y").into()).await;
        assert!(!hasher.queue().unwrap().verify(&format!("{long}z").into(), Some(hash)).await.matches);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_replaced_when_the_password_matched() {
        let old = hasher(1).queue().unwrap().hash(&"right".into()).await;
        let hasher = hasher(2);
        let wrong = hasher.queue().unwrap().verify(&"wrong".into(), Some(old.clone())).await;
        assert_eq!(wrong, Verified { matches: false, rehashed: None });
        let right = hasher.queue().unwrap().verify(&"right".into(), Some(old)).await;
        let new = right.rehashed.unwrap();
        assert!(new.starts_with("$argon2id$v=19$m=8,t=2,p=1$"), "{new}");
        assert!(hasher.queue().unwrap().verify(&"right".into(), Some(new)).await.matches);
    }

    #[tokio::test]
    async fn without_a_stored_hash_the_same_work_is_done_and_nothing_matches() {
        let hasher = hasher(1);
        let dummy = PasswordHash::new(&hasher.dummy).unwrap();
        let real = hasher.queue().unwrap().hash(&"right".into()).await;
        let real = PasswordHash::new(&real).unwrap();
        assert_eq!(
            (dummy.algorithm, dummy.version, &dummy.params),
            (real.algorithm, real.version, &real.params)
        );
        assert!(!hasher.queue().unwrap().verify(&"".into(), None).await.matches);
    }

    #[tokio::test]
    async fn whoever_finds_the_queue_full_is_told_at_once() {
        let hasher = hasher(1);
        let places: Vec<Place> = (0..AT_ONCE + WAITING).map(|_| hasher.queue().unwrap()).collect();
        assert_eq!(hasher.queue().err(), Some(Crowded));
        drop(places);
        assert!(hasher.queue().is_ok());
    }
}
