//! An open conversation as it lies in an agent's store: the key, a line feed, the value.

use caxton_capabilities::ConversationId;

use super::{
    super::kept::{Kept, key_of, read, value_of},
    Conversations, Open,
};

/// What is read is written so that the same is read again, and the table that takes it stays bounded.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let mut table = Conversations::new(Vec::new(), 2);
    let mut taken = false;
    let mut parts = bytes.split(|byte| *byte == b'\n');
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        let Ok(key) = std::str::from_utf8(key) else {
            return false;
        };
        if let Some(line) = read(key, value) {
            taken = true;
            same_again(line);
        }
        table.restore(key, value);
        assert!(table.open.len() <= 2 && table.age.len() <= 4);
    }
    taken
}

fn same_again(line: Kept) {
    let (id, peer): (ConversationId, _) = line.key.clone();
    let open = Open {
        protocol: line.protocol,
        state: line.state,
        role: line.role,
        label: line.label.clone(),
        awaited: line.awaited,
        order: 0,
        kept: true,
    };
    let again = read(&key_of(&line.key), &value_of(&open)).expect("what was written is read");
    assert_eq!(again.key, (id, peer));
    assert_eq!(
        (again.protocol, again.state, again.role),
        (line.protocol, line.state, line.role)
    );
    assert_eq!((again.label, again.awaited), (line.label, line.awaited));
}
