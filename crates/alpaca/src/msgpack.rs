//! MessagePack, which streams speak with clients that ask for it: the same messages, packed otherwise.
//!
//! Messages are made and read as JSON; this turns the one form into the other. Times are strings in JSON and extensions
//! of type -1 in MessagePack (its specification, "Timestamp extension type"): the SDK fails on a string there.

use std::io::Cursor;

use domain::Timestamp;
use rmpv::Value;
use serde_json::value::Value as Json;

/// Bytes that are no MessagePack that can be JSON.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMsgpack {
    /// They are no MessagePack.
    #[error("this is no MessagePack: {0}")]
    Malformed(#[from] rmpv::decode::Error),
    /// They hold something for which JSON has no form, or end too late.
    #[error("this MessagePack holds {0}")]
    Foreign(&'static str),
}

/// Deeper nesting is no message.
const DEEPEST: usize = 16;
/// The type of the extension that is a time.
const TIME: i8 = -1;

/// The same message as JSON.
///
/// # Errors
/// It is no MessagePack, or holds what JSON cannot.
pub fn to_json(bytes: &[u8]) -> Result<String, InvalidMsgpack> {
    let mut cursor = Cursor::new(bytes);
    let value = rmpv::decode::read_value_with_max_depth(&mut cursor, DEEPEST)?;
    if cursor.position() != bytes.len() as u64 {
        return Err(InvalidMsgpack::Foreign("more than one message"));
    }
    unpack(value).map(|json| json.to_string())
}

fn unpack(value: Value) -> Result<Json, InvalidMsgpack> {
    let word =
        |text: rmpv::Utf8String| text.into_str().ok_or(InvalidMsgpack::Foreign("text that is not UTF-8"));
    let fraction = |number: f64| {
        serde_json::Number::from_f64(number)
            .map(Json::Number)
            .ok_or(InvalidMsgpack::Foreign("a number that is none"))
    };
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Boolean(yes) => Json::Bool(yes),
        Value::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => return Err(InvalidMsgpack::Foreign("a number that is none")),
        },
        // The shortest text of a single-precision number is what was meant by it.
        Value::F32(number) => fraction(number.to_string().parse().unwrap_or(f64::NAN))?,
        Value::F64(number) => fraction(number)?,
        Value::String(text) => Json::String(word(text)?),
        Value::Binary(_) => return Err(InvalidMsgpack::Foreign("bytes")),
        Value::Array(items) => Json::Array(items.into_iter().map(unpack).collect::<Result<_, _>>()?),
        Value::Map(members) => {
            let member = |(name, value)| match name {
                Value::String(name) => Ok((word(name)?, unpack(value)?)),
                _ => Err(InvalidMsgpack::Foreign("a name that is no text")),
            };
            Json::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        Value::Ext(TIME, bytes) => {
            let time = time_of(&bytes).ok_or(InvalidMsgpack::Foreign("a time that is none"))?;
            Json::String(time.to_string())
        }
        Value::Ext(..) => return Err(InvalidMsgpack::Foreign("an extension that is no time")),
    })
}

/// A time in the 4, 8 or 12 bytes of the extension.
fn time_of(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = match bytes.len() {
        4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanos, seconds) = bytes.split_at(4);
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(nanos.try_into().ok()?))
        }
        _ => return None,
    };
    let nanos = i32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Timestamp::new(seconds, nanos).ok()
}

/// The 12 bytes of a time, which fit every time.
fn bytes_of(at: Timestamp) -> Vec<u8> {
    let nanos = at.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0);
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    match u64::try_from(seconds) {
        // The form that fits is the form that is written, as the specification asks for.
        Ok(seconds) if rest == 0 && seconds < 1 << 32 => (seconds as u32).to_be_bytes().to_vec(),
        Ok(seconds) if seconds < 1 << 34 => ((u64::from(rest) << 34) | seconds).to_be_bytes().to_vec(),
        _ => [&rest.to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    }
}

/// The same message as MessagePack.
///
/// # Errors
/// The text is no JSON.
pub fn from_json(text: &str) -> Result<Vec<u8>, serde_json::Error> {
    let value = pack(serde_json::from_str(text)?, "");
    let mut bytes = Vec::with_capacity(text.len());
    rmpv::encode::write_value(&mut bytes, &value).map_err(|error| serde_json::Error::io(error.into()))?;
    Ok(bytes)
}

/// The members that are times wherever they are.
fn is_time(name: &str) -> bool {
    matches!(name, "t" | "created_at" | "updated_at")
}

fn pack(json: Json, name: &str) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(yes) => yes.into(),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap_or_default().into(),
        },
        Json::String(text) => match text.parse::<Timestamp>() {
            Ok(at) if is_time(name) => Value::Ext(TIME, bytes_of(at)),
            _ => text.into(),
        },
        Json::Array(items) => items.into_iter().map(|item| pack(item, name)).collect(),
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = pack(value, &name);
                (name.into(), value)
            });
            Value::Map(members.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_in_both_forms() {
        for text in [
            r#"[{"T":"t","S":"BTC/USD","p":38852.1,"s":0.0025,"t":"2022-04-27T13:20:39.5Z","i":1,"tks":"B"}]"#,
            r#"[{"T":"b","S":"SPY","o":388.985,"v":49378,"t":"2021-02-22T19:15:00Z"}]"#,
            r#"[{"T":"n","created_at":"1969-12-31T23:59:59.25Z","symbols":["A"],"id":9007199254740993}]"#,
            r#"{"action":"subscribe","trades":["AAPL"],"none":null,"yes":true,"below":-3}"#,
            r#"[{"T":"q","t":"2262-04-11T23:47:16.854775807Z"}]"#,
        ] {
            let packed = from_json(text).unwrap();
            let back: Json = serde_json::from_str(&to_json(&packed).unwrap()).unwrap();
            assert_eq!(back, serde_json::from_str::<Json>(text).unwrap());
        }
    }

    #[test]
    fn a_time_is_the_extension() {
        // fixext 8, type -1: 500,000,000 ns and 1,651,065,639 s
        let packed = from_json(r#"{"t":"2022-04-27T13:20:39.5Z"}"#).unwrap();
        let seconds = 1_651_065_639_u64;
        let expected =
            [&[0x81, 0xa1, b't', 0xd7, 0xff][..], &((500_000_000 << 34) | seconds).to_be_bytes()].concat();
        assert_eq!(packed, expected);
        // The other forms are read as well.
        let short = [&[0xd6, 0xff][..], &1_651_065_639_u32.to_be_bytes()].concat();
        assert_eq!(to_json(&short).unwrap(), "\"2022-04-27T13:20:39Z\"");
        let long = [&[0xc7, 12, 0xff, 0, 0, 0, 7][..], &(-1_i64).to_be_bytes()].concat();
        assert_eq!(to_json(&long).unwrap(), "\"1969-12-31T23:59:59.000000007Z\"");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let deep = [vec![0x91; 40], vec![0xc0]].concat();
        for bytes in
            [&[][..], &[0x92, 1], &[0xc0, 0xc0], &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], &[0x81, 1, 1], &deep]
        {
            assert!(to_json(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(
            to_json(&[0xca, 0x43, 0x3e, 0x19, 0x9a]).unwrap(),
            "190.1",
            "single precision means its shortest text"
        );
    }
}
