//! The form with which a route is tried from its documentation. It works with a script, and is hidden without one.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::{all_of, kind, resolve, text};

/// The fields of a route, and a place for the answer.
pub(super) fn form(document: &Value, verb: &str, path: &str, of: &Value) -> Markup {
    let parameters = of["parameters"].as_array().into_iter().flatten();
    let body = &of["requestBody"]["content"]["application/json"]["schema"];
    html! {
        details class="try" hidden {
            summary { "Try it" }
            form data-method=(verb) data-path=(path) {
                @if verb != "GET" { p class="real" { "What is sent here is done, on this desk and in your name." } }
                @for one in parameters {
                    @let name = text(&one["name"]);
                    label {
                        span { code { (name) } small { " " (text(&one["in"])) ", " (kind(document, &one["schema"])) } }
                        @match words(document, &one["schema"]) {
                            Some(words) => select name=(name) data-in=(text(&one["in"])) {
                                @if one["required"] != true { option value="" { "–" } }
                                @for word in words { option { (text(word)) } }
                            },
                            None => input name=(name) data-in=(text(&one["in"])) required[one["required"] == true]
                                value=[one["example"].as_str()] autocomplete="off" spellcheck="false";,
                        }
                    }
                }
                @if !body.is_null() {
                    label {
                        span { "Body" small { " JSON" } }
                        textarea name="body" rows="8" spellcheck="false" { (example_text(document, body)) }
                    }
                }
                button { "Send" }
                output aria-live="polite" tabindex="0" aria-label="Answer" {}
            }
        }
    }
}

/// The words that a parameter can be, where it is one of some.
fn words<'d>(document: &'d Value, schema: &'d Value) -> Option<&'d Vec<Value>> {
    let named = resolve(document, schema);
    let either = named["oneOf"].as_array().into_iter().flatten();
    named["enum"].as_array().or_else(|| either.filter_map(|one| words(document, one)).next())
}

fn example_text(document: &Value, schema: &Value) -> String {
    serde_json::to_string_pretty(&example(document, schema, 0)).unwrap_or_default()
}

/// A value of a schema to begin with: what is required, with examples where the schema has some.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    let named = resolve(document, schema);
    for given in [&schema["example"], &schema["examples"][0], &named["example"], &named["examples"][0]] {
        if !given.is_null() {
            return given.clone();
        }
    }
    if let Some(words) = named["enum"].as_array() {
        return words.first().cloned().unwrap_or_default();
    }
    if let Some(either) = named["oneOf"].as_array() {
        let first = either.iter().find(|one| one["type"] != "null");
        return first.map_or(Value::Null, |one| example(document, one, depth));
    }
    let is = |name: &str| named["type"] == name || named["type"][0] == name;
    match () {
        // Deeper than any body; a type that has itself within ends here.
        () if depth > 6 => Value::Null,
        () if is("array") => json!([]),
        () if is("boolean") => json!(false),
        () if is("integer") || is("number") => json!(0),
        () if is("string") => json!(""),
        () => {
            let mut fields = Map::new();
            for part in all_of(document, named) {
                let required = part["required"].as_array().cloned().unwrap_or_default();
                for (name, field) in part["properties"].as_object().into_iter().flatten() {
                    if required.iter().any(|one| one == name) {
                        fields.insert(name.clone(), example(document, field, depth + 1));
                    }
                }
            }
            Value::Object(fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_begins_with_what_it_needs() {
        let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let schema = json!({ "$ref": "#/components/schemas/BookRequest" });
        assert_eq!(example(&document, &schema, 0), json!({ "name": "", "kind": "person" }));
        let schema = json!({ "$ref": "#/components/schemas/EndpointChange" });
        let change = json!({ "id": "GET /api/v1/market/bars", "on": false, "reason": "" });
        assert_eq!(example(&document, &schema, 0), change);
    }
}
