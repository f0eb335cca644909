//! Names, addresses and principals, as paths, programs and files write them.

use std::{fmt::Display, str::FromStr};

use crate::id::{Address, NAME_BYTES_MAX, Name, Principal, TenantId};

/// What was read is written as it came, and a bare name belongs to the home tenant.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let name = same::<Name>(text);
    same::<TenantId>(text);
    let address = same::<Address>(text);
    let principal = same::<Principal>(text);
    assert!(text.len() <= NAME_BYTES_MAX || name.is_none());
    assert!(text.len() <= 2 * NAME_BYTES_MAX + 1 || principal.is_none());
    if let Some(principal) = &principal {
        assert_eq!(principal.as_agent(), address.as_ref());
    }
    let home: TenantId = "home".parse().expect("a name");
    let at_home = Address::parse_in(&home, text).ok();
    match (name, address) {
        (Some(agent), _) => assert_eq!(at_home, Some(Address::new(home.clone(), agent))),
        (None, address) => assert_eq!(at_home, address),
    }
    let read = Principal::parse_in(&home, text).ok();
    assert_eq!(read.is_some(), principal.is_some() || at_home.is_some());
    read.is_some()
}

fn same<T: FromStr + Display>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}
