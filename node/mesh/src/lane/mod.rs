//! Lanes: ordered streams of messages from this node to another, with backpressure from the receiver to
//! the sender, that survive a change of connection.
//!
//! A lane has a stream of its own, so a slow one holds up nothing else. Each message is answered by the
//! layer above at the other end, in order. What was not answered is kept here and, when another connection
//! to the same process takes over, sent again from where the receiver says that it stands: so nothing is
//! lost and nothing comes twice. When the process at the other end is gone, the outcome of what was under
//! way is unknown, and the sender is told so. A lane writes nothing to a disk: durable delivery, retries
//! and what a message means are of the layer above.
//!
//! - `limits`: sizes, counts and times, with reasons
//! - `frame`: the bytes (docs/wire.md, section 8)
//! - `outflow`, `inflow`: what is under way, as the sender and the receiver hold it (pure)
//! - `sender`: a lane as the layer above holds it; `driver`: its task
//! - `receiver`: a lane as the layer above reads it; `serve`: its stream
//! - `registry`: the lanes of this node, by peer; `counts`: what went over them

mod counts;
mod driver;
pub(crate) mod frame;
mod inflow;
pub(crate) mod limits;
#[cfg(test)]
mod model;
mod outflow;
mod receiver;
pub(crate) mod registry;
mod sender;
pub(crate) mod serve;
#[cfg(test)]
mod tests;

pub(crate) use counts::Counters;
pub use counts::LaneCounts;
pub(crate) use frame::OPEN_BYTES_MAX;
pub use frame::Refused;
pub use limits::{BYTES_UNDER_WAY_MAX, LANES_MAX, MESSAGE_BYTES_MAX, MESSAGE_COST_MIN};
pub use receiver::{Arrival, Inbound};
pub use sender::{Lane, LaneEnd, OpenLaneError, SendError, Ticket};
