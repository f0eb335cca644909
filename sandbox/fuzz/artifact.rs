//! Compiled programs in the cache on disk.

use super::{Artifact, FORMAT, MAGIC};
use crate::digest::Digest;

/// What is read is written so that the same is read again; a damaged file is not read.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let taken = whole(bytes);
    // With the hash made right, what lies behind it is reached.
    let hash = Digest::of(bytes);
    let head = [MAGIC, &FORMAT.to_le_bytes()[..], &[0, 0], hash.bytes()].concat();
    let mut sealed = [&head[..], bytes].concat();
    whole(&sealed);
    let taken = taken | whole(&sealed);
    if let Some(last) = sealed.last_mut() {
        *last ^= 1;
    }
    assert!(
        Artifact::read(&sealed).is_err(),
        "the hash is not looked at"
    );
    taken
}

fn whole(bytes: &[u8]) -> bool {
    let Ok(artifact) = Artifact::read(bytes) else {
        return false;
    };
    let written = artifact.write();
    let again = Artifact::read(&written).expect("what was written is read");
    assert_eq!((again.about, again.code), (artifact.about, artifact.code));
    true
}
