//! The bytes of a lane (docs/wire.md, section 8).
//!
//! The sender's first frame and all of the receiver's are postcard, as everywhere in the mesh. A message
//! is not: its frame is eight bytes of number and then the contents as they are, because postcard would
//! look at each byte of a megabyte by itself.

use bytes::{BufMut as _, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use super::limits::{MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use crate::transport::frame::{decode, encode, framed};

/// The first frame has at most 28 bytes; the rest is room for what later versions add.
pub(crate) const OPEN_BYTES_MAX: usize = 64;
/// A word of the receiver: a number, a code and a text of at most [`TEXT_BYTES_MAX`].
const WORD_BYTES_MAX: usize = TEXT_BYTES_MAX + 32;
/// The number before a message's contents.
const NUMBER_BYTES: usize = size_of::<u64>();
/// The length before a frame.
const LENGTH_BYTES: usize = size_of::<u32>();

/// What the sender says first on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// The lane, by a number that this start of the sender uses once.
    pub(crate) lane: u64,
    /// Grows with each stream that is opened for the lane: of two, the larger is the one in use.
    pub(crate) attempt: u32,
    /// Whether the receiver never said where this lane stands. Only then may it be one that it does not know.
    pub(crate) is_new: bool,
    /// What the lane is for, in the numbers of the layer above.
    pub(crate) kind: u16,
    /// The sender has the answers to all messages below this.
    pub(crate) answered: u64,
}

/// Why a lane is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Closed {
    /// The sender has as many lanes here as it may.
    Full,
    /// It is not known here (any more).
    Forgotten,
    /// A later stream of the same lane is in use.
    Superseded,
}

/// What the receiver says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// First: the lane is taken, and this message is the next that is expected.
    Opened(u64),
    /// First and last: it is not.
    Closed(Closed),
    /// What became of the next message that was not answered yet, by its number.
    Answer(u64, Outcome),
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The layer above has taken it over.
    Accepted,
    /// The layer above did not take it: nothing was done.
    Refused(Refused),
    /// The layer above took it and ended without saying what became of it.
    Unanswered,
}

/// The receiver's no to one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("refused: {text} (code {code})")]
pub struct Refused {
    /// Why, in the numbers of the layer above; 0 is the mesh's own: nobody serves the lane there.
    pub code: u16,
    /// The same for people: at most 256 bytes. From a peer it is bounded, and otherwise as the peer wrote it.
    pub text: String,
}

impl Refused {
    /// A refusal with a reason; what is too long of the text is cut off.
    #[must_use]
    pub fn new(code: u16, text: &str) -> Self {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            code,
            text: text.get(..end).unwrap_or_default().to_owned(),
        }
    }

    /// The mesh's own.
    pub(crate) fn unserved() -> Self {
        Self::new(0, "nobody serves this lane here")
    }
}

/// The bytes on a lane cannot be read on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The stream or its connection ended. Nobody's fault.
    #[error("the stream ended")]
    Ended,
    /// They are not what belongs here. The peer is at fault.
    #[error("a malformed or oversized frame on a lane")]
    Broken,
}

/// Puts a message into a batch that is to be written.
pub(crate) fn put_message(batch: &mut BytesMut, number: u64, contents: &[u8]) {
    let length = u32::try_from(NUMBER_BYTES + contents.len()).expect("messages are bounded");
    batch.reserve(LENGTH_BYTES + NUMBER_BYTES + contents.len());
    batch.put_u32(length);
    batch.put_u64(number);
    batch.put_slice(contents);
}

/// The frame without contents: the lane ends, and everything on it was answered.
pub(crate) fn put_end(batch: &mut BytesMut) {
    batch.put_u32(0);
}

pub(crate) fn put_word(batch: &mut BytesMut, word: &Word) {
    batch.put_slice(&framed(&encode(word)));
}

async fn read_length<R: AsyncRead + Unpin>(
    stream: &mut BufReader<R>,
    max: usize,
) -> Result<usize, ReadError> {
    let length = stream.read_u32().await.map_err(|_ended| ReadError::Ended)?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= max)
        .ok_or(ReadError::Broken)
}

/// Waits until there is something to read, and holds nothing meanwhile.
pub(crate) async fn readable<R: AsyncRead + Unpin>(
    stream: &mut BufReader<R>,
) -> Result<(), ReadError> {
    match stream.fill_buf().await {
        Ok([_, ..]) => Ok(()),
        Ok([]) | Err(_) => Err(ReadError::Ended),
    }
}

/// The next message with its number; none: the lane ends.
pub(crate) async fn read_message<R: AsyncRead + Unpin>(
    stream: &mut BufReader<R>,
) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    let length = read_length(stream, NUMBER_BYTES + MESSAGE_BYTES_MAX).await?;
    if length == 0 {
        return Ok(None);
    }
    let length = length.checked_sub(NUMBER_BYTES).ok_or(ReadError::Broken)?;
    let number = stream.read_u64().await.map_err(|_ended| ReadError::Ended)?;
    let mut contents = vec![0; length];
    stream
        .read_exact(&mut contents)
        .await
        .map_err(|_ended| ReadError::Ended)?;
    Ok(Some((number, contents)))
}

pub(crate) async fn read_word<R: AsyncRead + Unpin>(
    stream: &mut BufReader<R>,
) -> Result<Word, ReadError> {
    let length = read_length(stream, WORD_BYTES_MAX).await?;
    let mut bytes = vec![0; length];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(|_ended| ReadError::Ended)?;
    decode(&bytes).map_err(|_malformed| ReadError::Broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    proptest! {
        #[test]
        fn messages_and_words_come_out_as_they_went_in(
            number: u64,
            contents in proptest::collection::vec(any::<u8>(), 0..5_000),
            code: u16,
            text in ".{0,400}",
        ) {
            let mut batch = BytesMut::new();
            put_message(&mut batch, number, &contents);
            put_end(&mut batch);
            let mut stream = BufReader::new(&batch[..]);
            let read = block_on(read_message(&mut stream));
            prop_assert_eq!(read, Ok(Some((number, contents))));
            prop_assert_eq!(block_on(read_message(&mut stream)), Ok(None));
            prop_assert_eq!(block_on(read_message(&mut stream)), Err(ReadError::Ended));

            let refused = Refused::new(code, &text);
            prop_assert!(refused.text.len() <= TEXT_BYTES_MAX && text.starts_with(&refused.text));
            let word = Word::Answer(number, Outcome::Refused(refused));
            let mut batch = BytesMut::new();
            put_word(&mut batch, &word);
            prop_assert_eq!(block_on(read_word(&mut BufReader::new(&batch[..]))), Ok(word));
        }

        #[test]
        fn any_bytes_on_a_lane_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _read_or_refused = block_on(read_message(&mut BufReader::new(&bytes[..])));
            let _read_or_refused = block_on(read_word(&mut BufReader::new(&bytes[..])));
            let _read_or_refused = decode::<Open>(&bytes);
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused_before_its_contents_are_read() {
        let check = |length: usize, expected| {
            let bytes = u32::try_from(length).unwrap().to_be_bytes();
            let read = block_on(read_message(&mut BufReader::new(&bytes[..])));
            assert_eq!(read, Err(expected), "{length}");
        };
        check(MESSAGE_BYTES_MAX + 8, ReadError::Ended);
        check(MESSAGE_BYTES_MAX + 9, ReadError::Broken);
        check(7, ReadError::Broken);
    }
}
