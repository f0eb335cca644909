//! What a reaction may ask for, bound by bound.

use super::*;
use crate::bindings::{Level, Performative};

/// A store with the committed keys it is given; refuses receivers that start with `no`.
struct Committed(BTreeMap<String, Vec<u8>>);

impl Committed {
    fn of(keys: &[&str]) -> Self {
        Self(
            keys.iter()
                .map(|key| ((*key).to_owned(), b"old".to_vec()))
                .collect(),
        )
    }
}

impl Host for Committed {
    fn log(&self, _: Level, _: String) {}
    fn admit(&self, message: &Outgoing) -> Result<String, AgentError> {
        if message.receiver.starts_with("no") {
            return Err(AgentError::Denied("send".to_owned()));
        }
        Ok(format!("msg_{}", message.receiver))
    }
    fn find(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, AgentError> {
        Ok(self.0.get(key).cloned())
    }
    fn kv_keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError> {
        let keys = self.0.keys().filter(|key| key.starts_with(prefix));
        let after = keys.filter(|key| after.is_none_or(|a| key.as_str() > a));
        Ok(after.take(limit).cloned().collect())
    }
    fn secret(&self, _: &str) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::NotFound("secret".to_owned()))
    }
    fn tool(&self, _: &str, _: &str) -> Result<String, AgentError> {
        Err(AgentError::NotFound("tool".to_owned()))
    }
}

fn to(receiver: &str, content: usize) -> Outgoing {
    Outgoing {
        performative: Performative::Inform,
        receiver: receiver.to_owned(),
        conversation_id: None,
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: String::new(),
        content: vec![0; content],
        delivery: None,
    }
}

fn small() -> Limits {
    Limits {
        message_bytes: 100,
        outgoing_messages: 3,
        outgoing_bytes: 150,
        kv_key_bytes: 8,
        kv_value_bytes: 10,
        kv_write_bytes: 30,
        host_calls: 2,
        ..Limits::default()
    }
}

#[test]
fn a_reaction_reads_what_it_wrote_and_deleted() {
    let (limits, host) = (small(), Committed::of(&["a", "b"]));
    let mut draft = Draft::default();
    draft
        .write(&limits, "a".into(), Some(b"new".to_vec()))
        .unwrap();
    draft.write(&limits, "b".into(), None).unwrap();
    let get = |key| draft.get(&limits, &host, key).unwrap();
    assert_eq!(get("a").as_deref(), Some(b"new".as_slice()));
    assert_eq!(get("b"), None);
    assert_eq!(get("c"), None);
    assert_eq!(
        host.kv_get("a").unwrap().as_deref(),
        Some(b"old".as_slice())
    );
}

#[test]
fn a_listing_merges_written_keys_and_leaves_out_deleted_ones() {
    let limits = Limits::default();
    let host = Committed::of(&["k/a", "k/c", "k/e", "other"]);
    let mut draft = Draft::default();
    for key in ["k/0", "k/b", "k/c", "k/z", "j"] {
        draft.write(&limits, key.into(), Some(vec![])).unwrap();
    }
    draft.write(&limits, "k/e".into(), None).unwrap();
    draft.write(&limits, "k/none".into(), None).unwrap();
    let keys = |after, limit| draft.keys(&host, "k/", after, limit).unwrap();
    assert_eq!(keys(None, 100), ["k/0", "k/a", "k/b", "k/c", "k/z"]);
    assert_eq!(keys(None, 3), ["k/0", "k/a", "k/b"]);
    assert_eq!(keys(Some("k/b"), 100), ["k/c", "k/z"]);
    assert_eq!(keys(Some("k/a"), 1), ["k/b"]);
    assert!(keys(None, 0).is_empty());
}

#[test]
fn a_listing_pages_over_many_deleted_keys_and_agrees_with_a_plain_map() {
    let limits = Limits::largest();
    let names: Vec<String> = (0..2_500).map(|n| format!("{n:05}")).collect();
    let host = Committed::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut draft = Draft::default();
    for name in names.iter().take(2_400) {
        draft.write(&limits, name.clone(), None).unwrap();
    }
    let keys = draft.keys(&host, "", None, 50).unwrap();
    assert_eq!(keys, names.get(2_400..2_450).unwrap());
    assert_eq!(draft.keys(&host, "", None, 5_000).unwrap().len(), 100);
}

#[test]
fn messages_over_a_limit_are_named_and_not_kept() {
    let (limits, host) = (small(), Committed::of(&[]));
    let mut draft = Draft::default();
    let over = |result| match result {
        Err(QueueError::Over(over)) => over,
        other => panic!("{other:?}"),
    };
    let huge = over(draft.queue(&limits, &host, to("x", 100)));
    assert_eq!(
        (huge.limit, huge.value, huge.max),
        ("message_bytes", 101, 100)
    );
    assert_eq!(draft.queue(&limits, &host, to("a", 80)), Ok("msg_a".into()));
    let total = over(draft.queue(&limits, &host, to("b", 80)));
    assert_eq!((total.limit, total.value), ("outgoing_bytes", 162));
    assert_eq!(
        draft.queue(&limits, &host, to("no", 1)),
        Err(QueueError::Refused(AgentError::Denied("send".into())))
    );
    draft.queue(&limits, &host, to("c", 1)).unwrap();
    draft.queue(&limits, &host, to("d", 1)).unwrap();
    let many = over(draft.queue(&limits, &host, to("e", 1)));
    assert_eq!((many.limit, many.value), ("outgoing_messages", 4));
    let ids: Vec<_> = draft.finish().sent.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["msg_a", "msg_c", "msg_d"]);
}

#[test]
fn written_bytes_count_the_last_value_of_each_key() {
    let limits = small();
    let mut draft = Draft::default();
    for _ in 0..100 {
        draft
            .write(&limits, "key".into(), Some(vec![0; 10]))
            .unwrap();
    }
    draft
        .write(&limits, "key2".into(), Some(vec![0; 10]))
        .unwrap();
    assert!(matches!(
        draft.write(&limits, "key3".into(), Some(vec![0; 1])),
        Err(AgentError::Quota(text)) if text.contains("kv_write_bytes")
    ));
    assert!(matches!(
        draft.write(&limits, "key".into(), Some(vec![0; 11])),
        Err(AgentError::Quota(text)) if text.contains("kv_value_bytes")
    ));
    assert!(matches!(
        draft.write(&limits, "123456789".into(), None),
        Err(AgentError::Quota(text)) if text.contains("kv_key_bytes")
    ));
    assert!(matches!(
        draft.write(&limits, String::new(), None),
        Err(AgentError::Invalid(_))
    ));
    assert_eq!(draft.finish().writes.len(), 2);
}

#[test]
fn the_call_after_the_last_allowed_one_is_over_the_limit() {
    let limits = small();
    assert!(Over::calls(2, &limits).is_ok());
    let over = Over::calls(3, &limits).unwrap_err();
    assert_eq!((over.limit, over.value, over.max), ("host_calls", 3, 2));
}
