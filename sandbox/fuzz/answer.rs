//! What a compile child answers. A child that a program took over may say anything.

use super::protocol::{REPORT_BYTES_MAX, read, write};

/// What is read is a whole answer: written again, the same is read.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let mut taken = false;
    // The report alone is foreign to the format; in a right frame, more of it is reached.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    for answer in [
        bytes.to_vec(),
        [super::protocol::MAGIC, &length[..], bytes].concat(),
    ] {
        let Some((report, code)) = read(&answer) else {
            continue;
        };
        taken = true;
        assert!(answer.len() - code.len() <= REPORT_BYTES_MAX + 8);
        let mut again = Vec::new();
        write(&mut again, &report, code).expect("a vector takes everything");
        assert_eq!(read(&again), Some((report, code)));
        assert_eq!(read(&[&answer[..], b"x"].concat()), None, "one byte more");
    }
    taken
}
