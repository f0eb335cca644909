//! Frames over QUIC streams, with their limits.

use quinn::{ReadExactError, RecvStream, SendStream, WriteError};
use serde::{Serialize, de::DeserializeOwned};

use super::frame::{StreamKind, TooLong, decode, encode, framed, length};

/// A frame could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFrameError {
    /// The stream or its connection ended first.
    #[error("the stream ended")]
    Ended(#[source] ReadExactError),
    /// The peer announced more than is taken here.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The bytes are not what belongs here.
    #[error("a malformed frame")]
    Malformed,
}

impl ReadFrameError {
    /// Whether the peer broke the protocol, and not only the connection.
    pub(crate) const fn is_violation(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::Malformed)
    }
}

pub(crate) async fn read_bytes(
    stream: &mut RecvStream,
    max: usize,
) -> Result<Vec<u8>, ReadFrameError> {
    let mut head = [0; 4];
    stream
        .read_exact(&mut head)
        .await
        .map_err(ReadFrameError::Ended)?;
    let mut bytes = vec![0; length(head, max)?];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(ReadFrameError::Ended)?;
    Ok(bytes)
}

pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut RecvStream,
    max: usize,
) -> Result<T, ReadFrameError> {
    let bytes = read_bytes(stream, max).await?;
    decode(&bytes).map_err(|_malformed| ReadFrameError::Malformed)
}

/// Says what a stream is for and the first frame of it, at once: each write may go out as a packet of its own.
pub(crate) async fn begin(
    stream: &mut SendStream,
    kind: StreamKind,
    value: &impl Serialize,
) -> Result<(), WriteError> {
    let first = [&[kind.byte()], &*framed(&encode(value))].concat();
    stream.write_all(&first).await
}

pub(crate) async fn write(
    stream: &mut SendStream,
    value: &impl Serialize,
) -> Result<(), WriteError> {
    stream.write_all(&framed(&encode(value))).await
}
