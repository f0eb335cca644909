//! Documents by value. That they follow the schema is shown by `.ci/peers`, with the schema itself.

use serde_json::Value;

use super::*;
use crate::event::{EventType, Timestamp};

fn document(kind: EventType) -> (Event, Value) {
    let origin = "caxton.test/node/node-1/audit".parse().unwrap();
    let mut event = Event::new(
        Timestamp::from_millis(1_000),
        kind,
        "ada",
        "agent.stop",
        "acme/billing",
    );
    event.context.address = Some(crate::event::Text::escape("192.0.2.7:999"));
    let json = Document::new(&origin, 7, &event).to_json();
    (event, serde_json::from_str(&json).unwrap())
}

#[test]
fn a_denial_is_api_activity_under_a_control_that_denied() {
    let (event, json) = document(EventType::AuthorizationDeny);
    assert_eq!(json["class_uid"], 6_003);
    assert_eq!(json["type_uid"], 600_399);
    assert_eq!(json["action_id"], 2);
    assert_eq!(json["activity_name"], "authorization.deny");
    assert_eq!(json["src_endpoint"]["ip"], "192.0.2.7");
    assert_eq!(
        json["metadata"]["profiles"],
        serde_json::json!(["record_integrity", "security_control"])
    );
    assert_eq!(json["unmapped"]["line"], event.to_line());
    let leaf = leaf_hash(event.to_line().as_bytes()).to_string();
    assert_eq!(json["attestation_list"][0]["fingerprint"]["value"], leaf);
}

#[test]
fn the_numbers_of_each_document_agree() {
    for kind in EventType::ALL {
        let (_, json) = document(*kind);
        let number = |name: &str| json[name].as_u64().unwrap();
        assert_eq!(
            number("type_uid"),
            number("class_uid") * 100 + number("activity_id"),
            "{kind}"
        );
        assert_eq!(
            number("category_uid"),
            number("class_uid") / 1_000,
            "{kind}"
        );
        assert_eq!(
            json.get("activity_name").is_some(),
            number("activity_id") == 99,
            "{kind}"
        );
    }
}
