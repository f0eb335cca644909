//! The one form of an event.

use super::*;

fn event() -> Event {
    let mut event = Event::new(
        Timestamp::from_millis(1_790_000_000_123),
        EventType::AuthorizationDeny,
        "spiffe://caxton.test/operator/ada",
        "agent.stop",
        "acme/billing",
    )
    .ended(Ending::Denied, "no rule allows it");
    event.context.node = Some(Text::escape("node-1"));
    event
}

const LINE: &str = r#"{"timestamp":"2026-09-21T14:13:20.123Z","event_type":"authorization.deny","severity":"info","actor":"spiffe://caxton.test/operator/ada","action":"agent.stop","resource":"acme/billing","outcome":{"result":"denied","reason":"no rule allows it"},"context":{"node":"node-1"}}"#;

#[test]
fn an_event_has_one_line_and_the_line_one_event() {
    assert_eq!(event().to_line(), LINE);
    assert_eq!(Event::from_line(LINE.as_bytes()).unwrap(), event());
}

#[test]
fn a_line_that_is_written_otherwise_is_refused() {
    let others = [
        LINE.replace(":\"info\"", ": \"info\""),
        LINE.replace("node-1", "node\\u002d1"),
        LINE.replace(".123Z", ".123000Z"),
        LINE.replace(".123Z", ".123+00:00"),
        LINE.replace("\"severity\":\"info\",", "")
            .replace("\"actor\"", "\"severity\":\"info\",\"actor\"")
            .replace("\"event_type\":\"authorization.deny\",", ""),
        format!("{LINE} "),
        format!("{LINE}\n"),
    ];
    for other in others {
        assert!(Event::from_line(other.as_bytes()).is_err(), "{other}");
    }
}

#[test]
fn a_field_that_is_unknown_doubled_missing_or_out_of_bounds_is_refused() {
    let long = "a".repeat(ACTION_BYTES_MAX + 1);
    let others = [
        LINE.replace("{\"node\"", "{\"mood\":\"good\",\"node\""),
        LINE.replace("\"severity\"", "\"extra\":1,\"severity\""),
        LINE.replace("\"reason\"", "\"because\":\"\",\"reason\""),
        LINE.replace(
            "\"severity\":\"info\"",
            "\"severity\":\"info\",\"severity\":\"info\"",
        ),
        LINE.replace("\"severity\":\"info\",", ""),
        LINE.replace("authorization.deny", "authorization.maybe"),
        LINE.replace("agent.stop", &long),
        LINE.replace("agent.stop", "agent\\u001b"),
    ];
    for other in others {
        assert!(
            matches!(
                Event::from_line(other.as_bytes()),
                Err(ReadEventError::Malformed(_))
            ),
            "{other}"
        );
    }
}

#[test]
fn the_largest_event_fits_its_line() {
    let quotes = |n: usize| "\"".repeat(n);
    let mut event = Event::new(
        Timestamp::from_millis(i64::MAX),
        EventType::PrivilegeEscalation,
        &quotes(ACTOR_BYTES_MAX),
        &quotes(ACTION_BYTES_MAX),
        &quotes(RESOURCE_BYTES_MAX),
    )
    .ended(Ending::Failure, &quotes(REASON_BYTES_MAX));
    event.severity = Severity::Critical;
    event.context = Context {
        node: Some(Text::escape(&quotes(NAME_BYTES_MAX))),
        address: Some(Text::escape(&quotes(NAME_BYTES_MAX))),
        credential_id: Some(Text::escape(&quotes(NAME_BYTES_MAX))),
        trace_id: Some(Text::escape(&quotes(ID_BYTES_MAX))),
        tenant: Some(Text::escape(&quotes(ID_BYTES_MAX))),
        rule: Some(Text::escape(&quotes(RULE_BYTES_MAX))),
        chain: vec![Text::escape(&quotes(ACTOR_BYTES_MAX)); CHAIN_MAX]
            .try_into()
            .unwrap(),
    };
    let line = event.to_line();
    assert!(
        line.len() > 12_000 && line.len() <= LINE_BYTES_MAX,
        "{}",
        line.len()
    );
    assert_eq!(Event::from_line(line.as_bytes()).unwrap(), event);
    let more: Result<Chain, _> = vec![Text::escape("a"); CHAIN_MAX + 1].try_into();
    assert_eq!(more, Err(ChainTooLong));
}

#[test]
fn a_clock_that_is_badly_wrong_still_gives_a_time() {
    assert_eq!(
        Timestamp::from_millis(-5).to_string(),
        "1970-01-01T00:00:00.000Z"
    );
    let last = Timestamp::from_millis(i64::MAX);
    assert_eq!(
        Timestamp::try_from(std::borrow::Cow::from(last.to_string())),
        Ok(last)
    );
}
