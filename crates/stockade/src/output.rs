//! What commands print: a table for people, JSON for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Prints rows under their headings, or the same as a JSON list of objects.
pub(crate) fn rows(json: bool, headings: &[&str], rows: Vec<Vec<Value>>) -> anyhow::Result<()> {
    if json {
        let object = |row: Vec<Value>| -> Value {
            headings
                .iter()
                .map(|heading| (*heading).to_owned())
                .zip(row)
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        println!("{}", serde_json::to_string_pretty(&rows.into_iter().map(object).collect::<Vec<_>>())?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| heading.replace('_', " ")));
    for row in rows {
        table.add_row(row.iter().map(cell));
    }
    println!("{table}");
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    }
}
