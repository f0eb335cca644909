//! What a tenant's program can do: compiled apart, run within limits, cut off on time.
//!
//! A program is a WebAssembly component of the world `caxton:agent/agent` (`wit/agent.wit`). It gets one
//! message at a time and answers with messages; beyond [`Host`] there is nothing for it.
//!
//! ```text
//! bytes -> Compiler::compile -> Compiled -> Engine::load -> Program::start -> Instance::deliver -> Reaction
//!          a child process      a file       shared code     3 to 600 µs      1.5 µs and up
//! ```
//!
//! | file | answers for |
//! |---|---|
//! | `limits` | every limit with default, maximum and price |
//! | `compile/` | the compile child, its confinement, the cache of machine code |
//! | `artifact`, `digest` | the cache's file format; a program's name |
//! | `engine`, `capacity` | the shared pool: how many instances fit |
//! | `program`, `instance` | loading, starting, delivering |
//! | `state`, `link`, `draft` | one reaction: what it used, what it asked, what it led to |
//! | `lane`, `ticker`, `clock` | who runs when, and for how long |
//!
//! Decisions. **One long-lived instance an agent**, not one a message: 1.5 µs instead of 13, and starting
//! one for each message gets slower with more threads; the price is that a program's memory outlives a
//! message, so it is replaced after a number of messages and at a share of its memory. **Epochs, not
//! fuel**: a tick each millisecond costs programs less and bounds real time; the price is that two runs of
//! one program are not cut off at the same instruction. **The same process**, for now: a bug in the
//! compiler that lets a program out lets it into the node; the seam for worker processes is this crate's
//! interface.
#![deny(unsafe_code)] // `forbid` would not let the two marked places through: program.rs and lane.rs.

mod artifact;
mod bindings;
mod capacity;
mod clock;
mod compile;
mod digest;
mod draft;
mod engine;
mod fault;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod host;
mod instance;
mod lane;
mod limits;
mod link;
mod log_budget;
mod program;
mod state;
mod ticker;

pub use bindings::{AgentError, Delivery, Level, Message, Narrowing, Outgoing, Performative};
pub use capacity::{Capacity, Needs, Room, agents_by_map_count};
pub use compile::{
    CompileError, CompileLimits, Compiled, Compiler, CompilerConfig, Confined, OpenCompilerError,
    Refusal, compile_child,
};
pub use digest::{Digest, ParseDigestError};
pub use draft::Reaction;
pub use engine::{Engine, EngineConfig, EngineError};
pub use fault::Fault;
pub use host::Host;
pub use instance::{Delivered, Instance, Usage};
pub use limits::{LIMITS, LimitError, LimitInfo, Limits};
pub use program::{LoadError, Program};
