//! The gateway: admission, authorization and routing of each message.
//!
//! Decision: the data path is a function on a shared handle ([`Gateway`]), called on the sender's
//! task; the actor beside it owns what must happen without a sender (nudging agents that fell
//! behind, forgetting waiters). A mailbox hop through one actor would cost a wake-up of about 9 µs
//! each way and put every message of the node in one queue. The price: the tables are shared and
//! locked, for nanoseconds and never across an await.

mod accepts;
mod actor;
mod admission;
mod answer;
mod authority;
mod core;
mod deliver;
mod handle;
mod meter;
mod order;
mod rates;
mod routes;
mod waiting;

pub use accepts::SENDERS_MAX;
pub(crate) use actor::{GatewayActor, GatewayMessage};
pub use admission::{AdmissionLimits, BusyWith};

pub use self::core::Passage;
pub use handle::{Gateway, GatewayParts};
pub use order::{Accepted, Order, Refusal, RequestError};
pub use routes::{AgentPort, Handover, PortStatus, Routes};
