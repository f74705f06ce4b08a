//! What it means that two messages are the same.

use std::collections::BTreeSet;

use alpaca::Amount;
use domain::Timestamp;
use serde_json::Value;

/// Where two values differ in members, types or meaning, as `/legs/0/qty: ...`.
///
/// A decimal may have other zeros at its end and a time another number of digits: both mean the same.
pub(crate) fn differences(theirs: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", theirs, ours, &mut found);
    found
}

fn compare(place: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let place = format!("{place}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => compare(&place, a, b, found),
                    (Some(a), None) => found.push(format!("{place}: {a} is not written")),
                    (None, Some(b)) => found.push(format!("{place}: {b} is written though it is not there")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (nth, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{place}/{nth}"), a, b, found);
            }
        }
        (Value::String(a), Value::String(b)) if a == b || means_the_same(a, b) => {}
        (Value::Number(a), Value::Number(b)) if decimal(&a.to_string()) == decimal(&b.to_string()) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{place}: {a} became {b}")),
    }
}

fn means_the_same(a: &str, b: &str) -> bool {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    (time(a).is_some() && time(a) == time(b)) || (decimal(a).is_some() && decimal(a) == decimal(b))
}

fn decimal(text: &str) -> Option<Amount> {
    text.parse().ok()
}

#[test]
fn only_what_means_the_same_is_the_same() {
    let found = |a: &str, b: &str| {
        differences(&serde_json::from_str(a).unwrap(), &serde_json::from_str(b).unwrap()).join("; ")
    };
    assert_eq!(
        found(r#"{"a":"1.0","t":"2026-02-03T00:00:00.000Z"}"#, r#"{"a":"1","t":"2026-02-03T00:00:00Z"}"#),
        ""
    );
    assert_eq!(found(r#"{"a":1}"#, r#"{"a":"1"}"#), r#"/a: 1 became "1""#);
    assert_eq!(found(r#"{"a":[null]}"#, r#"{"a":[]}"#), "/a: [null] became []");
    assert_eq!(found(r#"{"a":null}"#, "{}"), "/a: null is not written");
}
