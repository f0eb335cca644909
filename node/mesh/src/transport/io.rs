//! Frames over QUIC streams, with their limits.

use quinn::{ReadExactError, RecvStream, SendStream, WriteError};
use serde::{Serialize, de::DeserializeOwned};

use super::frame::{decode, encode, framed};

/// A frame could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFrameError {
    /// The stream or its connection ended first.
    #[error("the stream ended")]
    Ended(#[source] ReadExactError),
    /// The peer announced more than is taken here.
    #[error("a frame of {length} bytes where {max} are taken")]
    TooLong {
        /// What it announced.
        length: usize,
        /// What is taken.
        max: usize,
    },
    /// The bytes are not what belongs here.
    #[error("a malformed frame")]
    Malformed,
}

impl ReadFrameError {
    /// Whether the peer broke the protocol, and not only the connection.
    pub(crate) const fn is_violation(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Malformed)
    }
}

pub(crate) async fn read_bytes(
    stream: &mut RecvStream,
    max: usize,
) -> Result<Vec<u8>, ReadFrameError> {
    let mut length = [0; 4];
    stream
        .read_exact(&mut length)
        .await
        .map_err(ReadFrameError::Ended)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(ReadFrameError::TooLong { length, max });
    }
    let mut bytes = vec![0; length];
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

pub(crate) async fn write(
    stream: &mut SendStream,
    value: &impl Serialize,
) -> Result<(), WriteError> {
    stream.write_all(&framed(&encode(value))).await
}
