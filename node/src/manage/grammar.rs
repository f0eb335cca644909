//! What the document says of single values: the grammar of names and ids, the words that are known, the
//! bounds of numbers. The parsers decide; this repeats them for clients, and a property run of the API
//! (`.ci/api/check`) holds both against each other.
//!
//! Rules across values (`content` or `content_base64`; a key with `at-most-once`) have no place here.

use caxton_actors::envelope::{Delivery, Performative, Protocol};
use caxton_api::whole;
use caxton_sandbox::LIMITS;
use utoipa::{
    Number,
    openapi::{
        Object, ObjectBuilder, OpenApi, RefOr, Schema, Type,
        path::{Operation, ParameterIn},
        schema::{AdditionalProperties, ArrayItems},
    },
};

/// Lines from the end of a log.
const TAIL_MAX: usize = u32::MAX as usize;

const NAME: &str = "^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$";
const ADDRESS: &str = "^([a-z0-9][a-z0-9-]{1,62}[a-z0-9]/)?[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$";
const FULL_ADDRESS: &str = "^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]/[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$";
const ADDRESSES: &str = "^([a-z0-9][a-z0-9-]{1,62}[a-z0-9]/)?[a-z0-9][a-z0-9-]{1,62}[a-z0-9]\
    (,([a-z0-9][a-z0-9-]{1,62}[a-z0-9]/)?[a-z0-9][a-z0-9-]{1,62}[a-z0-9]){0,63}$";
const MESSAGE: &str = "^msg_[0-7][0-9a-hjkmnp-tv-z]{25}$";
const CONVERSATION: &str = "^cnv_[0-7][0-9a-hjkmnp-tv-z]{25}$";
const PROGRAM: &str = "^(demo:[a-z0-9-]+|sha256:[0-9a-f]{64})$";
/// The bound is one of bytes; the pattern counts characters.
const LABEL: &str = r"^[^\u0000-\u001F\u007F-\u009F]{1,128}$";
const SOURCE: &str = r"^[^\u0000-\u001F\u007F-\u009F]{0,200}$";
const MEDIA_TYPE: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+ *(;[ -~]*)?$";
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
const KEY: &str = "^[!-~]{1,128}$";
const ROLE: &str = "^(administrator|project-manager|agent-designer|operator|viewer)(@[a-z0-9][a-z0-9-]{1,62}[a-z0-9])?$";
const GROUP: &str = "^[!-~]{1,64}$";
const STATE: &str = "^(running|starting|restarting|stopped|failed)$";

/// Cursors are opaque to clients; what none of a list can look like is refused all the same.
const NUMBER_CURSOR: &str = "^[0-9]{1,19}$";
const DEAD_LETTER_CURSOR: &str = "^[0-9]{1,19}-msg_[0-7][0-9a-hjkmnp-tv-z]{25}$";
const TRACE_CURSOR: &str = "^[0-9]{1,19}-(?!0{32}$)[0-9a-f]{32}$";

/// Parameters by the operation, or all operations, and the name.
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("", "tenant", NAME),
    ("", "operator", NAME),
    ("", "policy", NAME),
    ("", "program", PROGRAM),
    ("", "message", MESSAGE),
    ("", "Idempotency-Key", KEY),
    ("", "state", STATE),
    ("stream_messages", "agents", ADDRESSES),
    ("list_traces", "agent", ADDRESS),
    ("", "agent", NAME),
    ("list_agents", "cursor", FULL_ADDRESS),
    ("list_log", "cursor", NUMBER_CURSOR),
    ("list_audit", "cursor", NUMBER_CURSOR),
    ("list_limits", "cursor", NUMBER_CURSOR),
    ("list_dead_letters", "cursor", DEAD_LETTER_CURSOR),
    ("list_traces", "cursor", TRACE_CURSOR),
];

/// Text in bodies, by shape and field.
const FIELDS: &[(&str, &str, &str)] = &[
    ("Deployment", "program", PROGRAM),
    ("NewApiKey", "name", NAME),
    ("NewApiKey", "operator", NAME),
    ("OperatorWish", "roles", ROLE),
    ("OperatorWish", "groups", GROUP),
    ("Deployment", "source", SOURCE),
    ("Deployment", "services", NAME),
    ("SendMessage", "to", ADDRESS),
    ("SendMessage", "content_base64", BASE64),
    ("SendMessage", "content_type", MEDIA_TYPE),
    ("SendMessage", "conversation", CONVERSATION),
    ("SendMessage", "reply_with", LABEL),
    ("SendMessage", "in_reply_to", LABEL),
];

/// A shape, one of its fields, and the pattern of the words it may be.
type Words = (&'static str, &'static str, fn() -> String);

/// Fields whose words are known, taken from those who parse them.
const WORDS: &[Words] = &[
    ("Deployment", "protocols", || one_of(Protocol::ALL)),
    ("SendMessage", "performative", || one_of(Performative::ALL)),
    ("SendMessage", "protocol", || one_of(Protocol::ALL)),
    ("SendMessage", "delivery", || one_of(Delivery::ALL)),
];

/// Numbers in bodies, by shape and field, with their bounds.
const NUMBERS: &[(&str, &str, u64, u64)] = &[
    ("SendMessage", "wait_ms", 1, 600_000),
    ("Deployment", "if_version", 0, whole::MAX),
    ("Rollback", "version", 0, whole::MAX),
    ("PolicyWish", "if_version", 0, whole::MAX),
];

/// Says of each parameter of an operation what it may be.
pub(super) fn parameters(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        let rule = PARAMETERS
            .iter()
            .find(|(of, name, _)| (of.is_empty() || *of == id) && *name == parameter.name);
        let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else {
            continue;
        };
        if parameter.name == "tail" {
            object.minimum = Some(Number::UInt(0));
            object.maximum = Some(Number::UInt(TAIL_MAX));
            object.format = None; // `int32` has a sign, and so another maximum.
        } else if let Some((.., pattern)) = rule {
            object.pattern = Some((*pattern).to_owned());
        } else if parameter.parameter_in == ParameterIn::Path {
            object.min_length = Some(1);
        }
    }
}

/// Says of each field of a body what it may be.
pub(super) fn bodies(document: &mut OpenApi) {
    for (shape, name, pattern) in FIELDS {
        if let Some(object) = field(document, shape, name).and_then(text) {
            object.pattern = Some((*pattern).to_owned());
        }
    }
    for (shape, name, words) in WORDS {
        if let Some(object) = field(document, shape, name).and_then(text) {
            object.pattern = Some(words());
        }
    }
    for (shape, name, minimum, maximum) in NUMBERS {
        if let Some(Schema::Object(object)) = field(document, shape, name) {
            object.minimum = Some(bound(*minimum));
            object.maximum = Some(bound(*maximum));
        }
    }
    limits(document);
}

fn one_of(words: &[impl ToString]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    format!("^({})$", words.join("|"))
}

fn field<'a>(document: &'a mut OpenApi, shape: &str, name: &str) -> Option<&'a mut Schema> {
    let shapes = &mut document.components.as_mut()?.schemas;
    let RefOr::T(Schema::Object(object)) = shapes.get_mut(shape)? else {
        return None;
    };
    match object.properties.get_mut(name)? {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(_) => None,
    }
}

/// The text itself, or that of each item.
fn text(schema: &mut Schema) -> Option<&mut Object> {
    match schema {
        Schema::Object(object) => Some(object),
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => match items.as_mut() {
                RefOr::T(Schema::Object(object)) => Some(object),
                _ => None,
            },
            ArrayItems::False => None,
        },
        _ => None,
    }
}

/// Names each limit of programs with its bounds; there are no others.
fn limits(document: &mut OpenApi) {
    let Some(Schema::Object(object)) = field(document, "Deployment", "limits") else {
        return;
    };
    for info in LIMITS {
        let one = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some(info.price))
            .minimum(Some(bound(info.min)))
            .maximum(Some(bound(info.max)));
        object.properties.insert(info.name.to_owned(), one.into());
    }
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    object.property_names = None;
}

fn bound(value: u64) -> Number {
    Number::UInt(usize::try_from(value).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manage::openapi_json;

    #[test]
    fn every_rule_is_found_in_the_document() {
        let document: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        for (shape, name, pattern) in FIELDS {
            let field = &document["components"]["schemas"][shape]["properties"][name];
            let found = [&field["pattern"], &field["items"]["pattern"]];
            assert!(
                found.iter().any(|found| *found == pattern),
                "{shape}.{name}: {field}"
            );
        }
        for (shape, name, words) in WORDS {
            let field = &document["components"]["schemas"][shape]["properties"][name];
            let found = [&field["pattern"], &field["items"]["pattern"]];
            assert!(
                found.iter().any(|found| **found == words()),
                "{shape}.{name}: {field}"
            );
        }
        for (shape, name, _, maximum) in NUMBERS {
            let field = &document["components"]["schemas"][shape]["properties"][name];
            assert_eq!(field["maximum"], *maximum, "{shape}.{name}: {field}");
        }
        let all = document["paths"].to_string();
        for (operation, name, pattern) in PARAMETERS {
            let pattern = serde_json::to_string(pattern).unwrap();
            assert!(all.contains(&pattern), "{operation} {name}");
        }
    }
}
