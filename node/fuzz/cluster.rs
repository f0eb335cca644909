//! What members and the CA say to each other, and the CA's book on the disk.

use std::time::{Duration, SystemTime};

use super::{
    book::Book,
    ca::RenewRequest,
    cosign::Wish,
    decode,
    state::{self, Rank},
};

/// A state of the cluster is read or refused; it is known by its rank, and is not newer than itself.
pub(crate) fn state(bytes: &[u8]) -> bool {
    // 2026-11-25.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_600_000);
    let Ok(held) = state::own(bytes, now) else {
        return false;
    };
    assert_eq!(held.bytes, bytes);
    assert_eq!(held.mark().parse::<Rank>(), Ok(held.rank));
    assert!(!matches!(held.next(bytes, now), Ok(Some(_))));
    true
}

/// A wish for certificates or for a cosignature, or a book, is read or refused; what is read is written so that the same is read again.
pub(crate) fn said(bytes: &[u8]) -> bool {
    let wish = decode::<RenewRequest>(bytes).is_ok_and(|wish| {
        let written = postcard::to_allocvec(&wish).expect("plain data is written");
        assert!(written.len() <= bytes.len(), "no length is made up");
        true
    });
    let book = serde_json::from_slice::<Book>(bytes).is_ok_and(|book| {
        let written = serde_json::to_vec(&book).expect("the book has string keys alone");
        assert_eq!(serde_json::from_slice::<Book>(&written).ok(), Some(book));
        true
    });
    let cosign = decode::<Wish>(bytes).is_ok_and(|wish| {
        let written = postcard::to_allocvec(&wish).expect("plain data is written");
        assert_eq!(decode::<Wish>(&written).ok(), Some(wish));
        true
    });
    wish || book || cosign
}
