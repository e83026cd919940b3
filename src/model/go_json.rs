//! Writes JSON as Go's encoder does: the text behind Kruise's hashes, revisions and annotations.

use serde_json::Value;
use std::fmt::Write as _;

/// Writes a value as Go's `encoding/json` does: compact, the keys in the order of the value, `<`, `>`, `&` and the
/// two line separators escaped, every other character as it is.
pub(crate) fn to_go_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, false);
    out
}

/// Writes a value as Go does for maps: like [`to_go_json`], with the keys of every object sorted bytewise.
pub(crate) fn to_sorted_go_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, true);
    out
}

fn write_value(out: &mut String, value: &Value, sort: bool) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => write_string(out, s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_value(out, item, sort);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if sort {
                entries.sort_by_key(|(k, _)| k.as_str());
            }
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_string(out, key);
                out.push(':');
                write_value(out, item, sort);
            }
            out.push('}');
        }
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn escapes_what_go_escapes() {
        let value = json!({"b": "<a & b>\u{2028}\n\u{1}é\u{7f}", "a": [1, null, true]});
        let wanted = "{\"b\":\"\\u003ca \\u0026 b\\u003e\\u2028\\n\\u0001é\u{7f}\",\"a\":[1,null,true]}";
        assert_eq!(to_go_json(&value), wanted);
        assert!(to_sorted_go_json(&value).starts_with("{\"a\":"));
    }
}
