//! Times that keep the offset they are written with, and the short forms of the calendar.

use domain::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{Offset, TimeZone};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

static PARSER: DateTimeParser = DateTimeParser::new();

/// A moment, written with the offset of New York as `2026-02-03T09:45:00-05:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetTime {
    /// When.
    pub at: Timestamp,
    /// What the clocks there were ahead of UTC.
    pub offset: Offset,
}

impl OffsetTime {
    /// A moment as clocks in `zone` showed it.
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        Self { at, offset: zone.to_offset(at) }
    }
}

impl Serialize for OffsetTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.at.display_with_offset(self.offset))
    }
}

impl<'de> Deserialize<'de> for OffsetTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let at = PARSER.parse_timestamp(text.as_bytes()).map_err(D::Error::custom)?;
        let pieces = PARSER.parse_pieces(text.as_bytes()).map_err(D::Error::custom)?;
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        Ok(Self { at, offset })
    }
}

macro_rules! civil_time {
    ($(#[$doc:meta])* $name:ident, $form:literal) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use jiff::civil::Time;
            use serde::de::{Deserialize, Deserializer, Error as _};
            use serde::ser::Serializer;

            pub(crate) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&time.strftime($form))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Time::strptime($form, text.as_bytes()).map_err(D::Error::custom)
            }
        }
    };
}

civil_time!(
    /// `09:30`. The SDK fails on seconds.
    with_colon,
    "%H:%M"
);
civil_time!(
    /// `0930`
    without_colon,
    "%H%M"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_offset() {
        for text in ["\"2026-02-03T09:45:00.123456789-05:00\"", "\"2026-07-03T09:45:00-04:00\""] {
            let time: OffsetTime = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&time).unwrap(), text);
        }
        assert!(serde_json::from_str::<OffsetTime>("\"2026-02-03T09:45:00\"").is_err());
    }
}
