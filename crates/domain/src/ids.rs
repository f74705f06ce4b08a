//! Identifiers that cannot be mixed up: UUIDs (version 7, so that they sort by the time they were made), and the names of
//! API keys, which are no UUIDs because programs made for another vendor carry them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. Its first 48 bits are `now` in milliseconds, the rest is random.
            pub fn new(now: Timestamp) -> Self {
                Self(uuid_at(now))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(/** A person with a log-in. */ UserId);
id!(/** An account at a broker. */ AccountId);
id!(/** An order of the desk; not the client's nor the broker's id of it. */ OrderId);
id!(/** A virtual book on an account: what belongs to one person, bot or strategy. */ BookId);
id!(/** A list of instruments that somebody keeps. */ WatchlistId);
id!(/** A signed-in browser or program; never the secret in its cookie. */ SessionId);
id!(/** One request to the desk, quoted in errors, logs and audit rows. */ RequestId);

/// The public half of an API key: `PK` and 18 of `A-Z` and `2-7`, 20 characters as Alpaca's key ids have.
///
/// It says which key, and opens nothing without the secret that belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 20]);

/// Text that is the name of no API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an API key is PK and 18 of A-Z and 2-7")]
pub struct InvalidKeyId;

impl KeyId {
    const ALPHABET: &'static [u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    /// A new id, of 90 random bits.
    pub fn new(random: [u8; 18]) -> Self {
        let mut text = *b"PK..................";
        for (letter, byte) in text[2..].iter_mut().zip(random) {
            *letter = Self::ALPHABET[usize::from(byte % 32)];
        }
        Self(text)
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is letters and digits")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let bytes: [u8; 20] = text.as_bytes().try_into().map_err(|_| InvalidKeyId)?;
        let valid = bytes.starts_with(b"PK") && bytes[2..].iter().all(|byte| Self::ALPHABET.contains(byte));
        if valid { Ok(Self(bytes)) } else { Err(InvalidKeyId) }
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn uuid_at(now: Timestamp) -> Uuid {
    let since_epoch = now.as_duration();
    let seconds = u64::try_from(since_epoch.as_secs()).unwrap_or(0);
    let nanos = u32::try_from(since_epoch.subsec_nanos()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_key_is_written_as_it_is_read() {
        let id = KeyId::new(std::array::from_fn(|n| u8::try_from(n * 13).unwrap()));
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "PK",
            "AKABCDEFGHIJKLMNOPQR",
            "PKABCDEFGHIJKLMNOPQ1",
            "PKABCDEFGHIJKLMNOPQRS",
            "PKabcdefghijklmnopqr",
        ] {
            assert_eq!(bad.parse::<KeyId>(), Err(InvalidKeyId), "{bad:?}");
        }
    }
}
