//! Identifiers: UUIDs (version 7, so that they sort by the time they were made) that cannot be mixed up.

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
id!(/** A signed-in browser or program; never the secret in its cookie. */ SessionId);
id!(/** One request to the desk, quoted in errors, logs and audit rows. */ RequestId);

fn uuid_at(now: Timestamp) -> Uuid {
    let since_epoch = now.as_duration();
    let seconds = u64::try_from(since_epoch.as_secs()).unwrap_or(0);
    let nanos = u32::try_from(since_epoch.subsec_nanos()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
