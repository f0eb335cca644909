//! JSON and YAML documents: each names its version and kind, so that a script can refuse what it
//! does not know.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{error::CliError, exit::Exit, explain, render::Shape};

/// The version of every document.
pub const API_VERSION: &str = "caxton/v1";

/// Turns a shape of the API into a value.
///
/// # Errors
/// Something in it has no form in JSON, which no shape of the API has.
pub fn value<T: Serialize>(item: &T) -> Result<Value, CliError> {
    serde_json::to_value(item).map_err(|error| {
        CliError::new(&explain::INTERNAL, Exit::Failed, "a value cannot be shown").because(&error)
    })
}

/// One thing as a document.
#[must_use]
pub fn item(kind: &str, value: Value) -> Value {
    let mut document = Map::new();
    document.insert("apiVersion".into(), API_VERSION.into());
    document.insert("kind".into(), kind.into());
    match value {
        Value::Object(fields) => document.extend(fields),
        other => {
            document.insert("value".into(), other);
        }
    }
    Value::Object(document)
}

/// Several things as a document.
#[must_use]
pub fn list(shape: &Shape, items: Vec<Value>) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": format!("{}List", shape.kind), "items": items })
}

/// Readable JSON with a line end.
#[must_use]
pub fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// YAML.
///
/// # Errors
/// The value has no form in YAML, which no JSON value has.
pub fn yaml(value: &Value) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|error| {
        CliError::new(&explain::INTERNAL, Exit::Failed, "a value cannot be shown").because(&error)
    })
}

/// One line each.
pub fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::shapes;

    #[test]
    fn documents_say_what_they_are() {
        let one = item("Agent", json!({ "name": "billing", "handled": 3 }));
        assert_eq!(one["apiVersion"], "caxton/v1");
        assert_eq!(one["kind"], "Agent");
        assert_eq!(one["name"], "billing");
        let all = list(&shapes::AGENT, vec![json!({ "name": "billing" })]);
        assert_eq!(all["kind"], "AgentList");
        assert_eq!(all["items"][0]["name"], "billing");
    }

    #[test]
    fn yaml_reads_back_as_the_same_value() {
        let value = item(
            "Agent",
            json!({ "name": "no", "list": ["a: b", "1"], "n": 3, "nul": null }),
        );
        let back: Value = serde_saphyr::from_str(&yaml(&value).unwrap()).unwrap();
        assert_eq!(back, value);
    }
}
