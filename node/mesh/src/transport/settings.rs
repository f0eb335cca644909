//! How QUIC is set: sizes, times and their reasons.

use std::{sync::Arc, time::Duration};

use quinn::{IdleTimeout, TransportConfig, VarInt, congestion::CubicConfig};

use crate::lane::LANES_MAX;

/// An ML-DSA-87 flight has 21 KB; quinn's 16 KiB ends one handshake in eight at 2 % loss
/// (CRYPTO_BUFFER_EXCEEDED). 128 KiB a handshake; with [`HANDSHAKES_MAX`] under way 16 MiB.
const CRYPTO_BUFFER_BYTES: usize = 128 * 1024;
/// The first flight goes out at once, not over three round trips.
const INITIAL_WINDOW_BYTES: u64 = 64 * 1024;
/// A silent connection ends after this; whether its node is down, membership decides.
const IDLE: Duration = Duration::from_secs(10);
/// Well below [`IDLE`], so that three lost in a row end nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Requests and lanes that one peer may have open; of lanes a few, of requests the rest.
const STREAMS_MAX: u32 = 128;
/// Messages of gossip that one peer may have under way: 64 KiB each, 2 MiB in all.
const GOSSIP_STREAMS_MAX: u32 = 32;
/// What one stream may hold unread: a receiver that does not read holds its sender back here. At a round
/// trip of 1 ms a gigabyte a second, at 50 ms 20 MB a second for each stream.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// What is left of a connection's window when every lane stands still: for requests, answers and gossip,
/// all of which are read as they come.
const WINDOW_RESERVE_BYTES: u32 = 8 * 1024 * 1024;
/// What one connection may hold unread, 16 MiB: more than all of its lanes together can.
#[expect(clippy::cast_possible_truncation, reason = "a handful of lanes")]
const WINDOW_BYTES: u32 = LANES_MAX as u32 * STREAM_WINDOW_BYTES + WINDOW_RESERVE_BYTES;
/// Handshakes at the same time; who comes above that is refused before any public-key work.
pub(super) const HANDSHAKES_MAX: usize = 128;
/// Strangers that may ask to join at the same time, each for 15 s and with 256 KiB of request: 8 MiB.
pub(super) const JOINS_MAX: usize = 32;
/// From the first packet to the greeting's end.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the handshake's end to the greeting.
pub(super) const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// A live process answers on its old connection within this; else its successor takes the name.
pub(super) const CLONE_PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a dial of the peer that crossed ours is waited for, and how often it is looked for.
pub(super) const CROSSED_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const CROSSED_LOOK: Duration = Duration::from_millis(50);
/// How long a connection that another one followed is kept for what is still on it.
pub(super) const SUPERSEDED_GRACE: Duration = Duration::from_secs(10);

pub(super) fn transport() -> Arc<TransportConfig> {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut config = TransportConfig::default();
    config
        .crypto_buffer_size(CRYPTO_BUFFER_BYTES)
        .congestion_controller_factory(Arc::new(congestion))
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(GOSSIP_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}
