//! The vendor's frames, as they are.
//!
//! A server frame is a JSON array of events of any kind. One flat struct holds them all: a tagged enum costs almost
//! twice the time. Fields mean different things in different events (`s` is a size in a trade and a start in a
//! minute); what they mean is for `translate` to know.

use std::borrow::Cow;
use std::fmt;

use market::Kind;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use sonic_rs::LazyValue;

use domain::Decimal;

/// An event of whatever kind.
#[derive(Debug, serde::Deserialize)]
pub struct Event<'a> {
    /// The kind: `XT`, `XQ`, `XA`, `status`, ...
    #[serde(borrow)]
    pub ev: Text<'a>,
    /// The pair, as `BTC-USD`.
    #[serde(borrow)]
    pub pair: Option<Text<'a>>,

    /// Price of a trade.
    pub p: Option<Number>,
    /// Size of a trade, or start of a minute in milliseconds.
    pub s: Option<Number>,
    /// Conditions of a trade, or last price of a minute.
    #[serde(borrow)]
    pub c: Option<Close<'a>>,
    /// Id of a trade: text in the vendor's own client, a number in its specification.
    #[serde(borrow)]
    pub i: Option<Id<'a>>,
    /// Exchange.
    pub x: Option<u32>,
    /// Time of the exchange in milliseconds.
    pub t: Option<i64>,
    /// Time of reception by the vendor in milliseconds.
    pub r: Option<i64>,

    /// Bid price.
    pub bp: Option<Number>,
    /// Bid size.
    pub bs: Option<Number>,
    /// Ask price.
    pub ap: Option<Number>,
    /// Ask size.
    #[serde(rename = "as")]
    pub ask_size: Option<Number>,

    /// First price of a minute.
    pub o: Option<Number>,
    /// Highest price of a minute.
    pub h: Option<Number>,
    /// Lowest price of a minute.
    pub l: Option<Number>,
    /// Units traded in a minute.
    pub v: Option<Number>,

    /// What a status says, for programs.
    #[serde(borrow)]
    pub status: Option<Text<'a>>,
    /// What a status says, for people.
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
}

/// Text, borrowed from the frame unless it has escapes.
#[derive(Debug, PartialEq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// A number with every digit it was written with. Text that looks like a number is not one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub Decimal);

/// The id of a trade.
#[derive(Debug, PartialEq)]
pub enum Id<'a> {
    /// As the vendor's client has it.
    Text(Text<'a>),
    /// As the vendor's specification has it.
    Number(u64),
}

/// The field `c`: a list of conditions in a trade, a price in a minute. Kept as written until the kind is known.
#[derive(Debug)]
pub struct Close<'a>(LazyValue<'a>);

impl Close<'_> {
    /// As the conditions of a trade.
    pub fn conditions(&self) -> Option<Vec<i64>> {
        match self.0.as_raw_str() {
            // Nearly all there are.
            "[1]" => Some(vec![1]),
            "[2]" => Some(vec![2]),
            "[]" | "[0]" => Some(Vec::new()),
            other => sonic_rs::from_str(other).ok(),
        }
    }

    /// As a price.
    pub fn price(&self) -> Option<Decimal> {
        number(self.0.as_raw_str())
    }
}

/// The frame is not a JSON array, or one that is nested absurdly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is not a JSON array")]
pub struct MalformedFrame;

/// Reads a frame; each event is given to `take`, or why that one is none.
///
/// # Errors
/// The frame is no JSON array. Then nothing was given.
pub fn read(frame: &str, mut take: impl FnMut(Result<Event<'_>, Kind>)) -> Result<(), MalformedFrame> {
    if is_deep(frame.as_bytes()) {
        return Err(MalformedFrame);
    }
    if let Ok(events) = sonic_rs::from_str::<Vec<Event<'_>>>(frame) {
        events.into_iter().for_each(|event| take(Ok(event)));
        return Ok(());
    }
    // Something in it is wrong: one event, or all of it.
    let parts: Vec<LazyValue<'_>> = sonic_rs::from_str(frame).map_err(|_| MalformedFrame)?;
    for part in &parts {
        let text = part.as_raw_str();
        take(sonic_rs::from_str::<Event<'_>>(text).map_err(|_| why_not(text)));
    }
    Ok(())
}

/// Whether brackets are nested so deeply that the parser, which recurses, would overflow the stack.
///
/// Counts by the chunk, which the compiler makes into a few instructions, and so overestimates by up to a chunk.
/// Brackets inside of text count too: the vendor has none there.
fn is_deep(frame: &[u8]) -> bool {
    const DEEPEST: usize = 256;
    let mut depth = 0_usize;
    frame.chunks(128).any(|chunk| {
        let opened = chunk.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        let closed = chunk.iter().filter(|byte| matches!(byte, b']' | b'}')).count();
        let deepest = depth + opened;
        depth = deepest.saturating_sub(closed);
        deepest > DEEPEST
    })
}

/// Whether a broken event is at least of a kind that we know.
fn why_not(text: &str) -> Kind {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        ev: Text<'a>,
    }
    match sonic_rs::from_str::<Head<'_>>(text) {
        Ok(Head { ev }) => match &*ev.0 {
            "XT" | "XQ" | "XA" | "status" => Kind::MalformedEvent,
            "XAS" | "XL2" => Kind::UnusedEvent,
            _ => Kind::UnknownEvent,
        },
        Err(_) => Kind::MalformedEvent,
    }
}

/// Reads a JSON number exactly; `None` when it has more digits than a decimal keeps.
fn number(text: &str) -> Option<Decimal> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let (mut mantissa, mut scale, mut point) = (0_u64, 0_u32, false);
    // Eighteen digits always fit; what the market sends is shorter than that.
    if digits.len() > 19 {
        return long_number(text);
    }
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                scale += u32::from(point);
            }
            b'.' if !point => point = true,
            _ => return long_number(text),
        }
    }
    if !point && digits.len() == 19 {
        return long_number(text);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
    let (low, high) = (mantissa as u32, (mantissa >> 32) as u32);
    Some(Decimal::from_parts(low, high, 0, negative, scale))
}

/// The same for long numbers and for those with an exponent, as `4.522e-05`.
fn long_number(text: &str) -> Option<Decimal> {
    let (base, exponent) = match text.split_once(['e', 'E']) {
        Some((base, exponent)) => (base, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = base.split_once('.').unwrap_or((base, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut mantissa = format!("{whole}{fraction}").parse::<i128>().ok()?;
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if mantissa == 0 {
        return Some(Decimal::ZERO);
    }
    if scale < 0 {
        mantissa = mantissa.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
        scale = 0;
    }
    Decimal::try_from_i128_with_scale(mantissa, scale.unsigned_abs()).ok()
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = LazyValue::deserialize(deserializer)?;
        number(raw.as_raw_str())
            .map(Self)
            .ok_or_else(|| de::Error::custom("not a number, or one with too many digits"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Close<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LazyValue::deserialize(deserializer).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdVisitor).and_then(|id| match id {
            Id::Text(text) => Ok(text),
            Id::Number(_) => Err(de::Error::custom("expected text")),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a whole number")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id<'de>, E> {
        Ok(Id::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit() {
        for (text, value) in [
            ("61837.63", "61837.63"),
            ("100", "100"),
            ("0", "0"),
            ("-5", "-5"),
            ("-0.5", "-0.5"),
            ("4.522e-05", "0.00004522"),
            ("1E3", "1000"),
            ("1.5e+2", "150"),
            ("0.1234567890123456789", "0.1234567890123456789"),
            ("1234567890123456789", "1234567890123456789"),
            ("9999999999999999999", "9999999999999999999"),
            ("99999999999999999999", "99999999999999999999"),
            ("0e99", "0"),
        ] {
            assert_eq!(number(text), Some(value.parse().unwrap()), "{text}");
        }
        for text in ["\"1\"", "null", "", "-", "1e99", "1e-99", "1e9999999999", "[1]", "1.0.0"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    fn kinds(frame: &str) -> Result<Vec<Result<String, Kind>>, MalformedFrame> {
        let mut kinds = Vec::new();
        read(frame, |event| kinds.push(event.map(|e| e.ev.0.into_owned())))?;
        Ok(kinds)
    }

    #[test]
    fn a_broken_event_does_not_take_its_neighbours_along() {
        let good = || Ok("XT".to_owned());
        assert_eq!(
            kinds(
                r#"[{"ev":"XT","p":1},{"ev":"XT","p":"1"},{"pair":"BTC-USD"},7,{"ev":"ZZ","p":[]},{"ev":"XT","p":2}]"#
            ),
            Ok(vec![
                good(),
                Err(Kind::MalformedEvent),
                Err(Kind::MalformedEvent),
                Err(Kind::MalformedEvent),
                Err(Kind::UnknownEvent),
                good()
            ])
        );
        assert_eq!(kinds(r#"[{"ev":"XT","p":1,"p":2}]"#), Ok(vec![Err(Kind::MalformedEvent)]));
        assert_eq!(kinds("[]"), Ok(vec![]));
    }

    #[test]
    fn a_frame_that_is_no_array_gives_nothing() {
        for frame in
            ["", "{}", r#"{"ev":"XT"}"#, r#"[{"ev":"XT"}"#, r#"[{"ev":"XT","p":NaN}]"#, "[1] 2", "\u{0}"]
        {
            assert_eq!(kinds(frame), Err(MalformedFrame), "{frame}");
        }
        for nested in ["[", r#"[{"ev":"#, r#"{"a":["#] {
            assert_eq!(kinds(&nested.repeat(100_000)), Err(MalformedFrame));
            assert_eq!(
                kinds(&format!(r#"[{{"ev":"XT","z":{}"#, nested.repeat(100_000))),
                Err(MalformedFrame)
            );
        }
    }

    #[test]
    fn a_frame_of_many_events_is_not_a_deep_one() {
        let frame = format!("[{}]", [r#"{"ev":"XT","c":[1,2]}"#; 10_000].join(","));
        assert_eq!(kinds(&frame).map(|events| events.len()), Ok(10_000));
    }

    #[test]
    fn ids_are_text_or_whole_numbers() {
        let id = |json: &str| {
            let mut id = None;
            read(&format!(r#"[{{"ev":"XT","i":{json}}}]"#), |e| {
                id = e.ok().and_then(|e| e.i).map(|i| format!("{i:?}"))
            })
            .unwrap();
            id
        };
        assert_eq!(id("\"a1\"").as_deref(), Some("Text(Text(\"a1\"))"));
        assert_eq!(id("\"a\\u0031\"").as_deref(), Some("Text(Text(\"a1\"))"));
        assert_eq!(id("14272084").as_deref(), Some("Number(14272084)"));
        assert_eq!(id("1.5"), None);
        assert_eq!(id("-1"), None);
    }
}
