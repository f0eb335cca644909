//! What lanes may take: of memory, of places, of time.

use std::time::Duration;

/// One message: 1 MiB of contents and 64 KiB for what is written on its envelope.
pub const MESSAGE_BYTES_MAX: usize = (1024 + 64) * 1024;
/// What one lane may have under way, that is, sent and not answered. Kept by the sender to send it again,
/// and held at most once more by the receiver. With [`LANES_MAX`] lanes 16 MiB for each peer and direction.
pub const BYTES_UNDER_WAY_MAX: usize = 2 * 1024 * 1024;
/// A smaller message counts as this many bytes, so that the limit in bytes is one in messages too: 1,024.
pub const MESSAGE_COST_MIN: usize = 2 * 1024;
/// Lanes from one node to another. A handful of kinds of messages, not one for each agent.
pub const LANES_MAX: usize = 8;

/// The most messages that a lane can have under way.
pub(crate) const MESSAGES_UNDER_WAY_MAX: u64 = (BYTES_UNDER_WAY_MAX / MESSAGE_COST_MIN) as u64;
/// Messages that were read and wait for the layer above; what is behind them waits in the stream, which
/// holds the sender back.
pub(crate) const INBOX_MAX: usize = 16;
/// What is written to a stream at once: fewer, larger writes for small messages.
pub(crate) const BATCH_BYTES: usize = 32 * 1024;
/// What is read from a stream at once, for each lane and end.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Of a reason that goes with a refusal.
pub(crate) const TEXT_BYTES_MAX: usize = 256;

/// How long a lane with nothing under way is tried to be connected before it gives up.
pub(crate) const CONNECT_FOR: Duration = Duration::from_secs(5);
/// The same for one with something under way, since its last connection was lost. The receiver forgets
/// later than that ([`DETACHED_KEPT`]).
pub(crate) const RESUME_FOR: Duration = Duration::from_secs(15);
/// Between two tries.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(100);
/// The receiver must say where it stands within this.
pub(crate) const OPENED_TIMEOUT: Duration = Duration::from_secs(10);
/// A lane on which nothing was sent for this long gives up its stream and its place at the receiver.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How long the receiver may take to end a lane that the sender has closed.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a lane without a connection is remembered by the receiver. Longer than a sender tries
/// ([`RESUME_FOR`]), and the receiver may have noticed the loss an idle timeout (10 s) earlier.
pub(crate) const DETACHED_KEPT: Duration = Duration::from_secs(60);
/// How long a new lane waits for a place among [`LANES_MAX`]; one that just ended may still hold it.
pub(crate) const PLACE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a message of this length counts.
pub(crate) const fn cost(length: usize) -> usize {
    if length > MESSAGE_COST_MIN {
        length
    } else {
        MESSAGE_COST_MIN
    }
}
