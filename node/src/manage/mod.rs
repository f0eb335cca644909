//! The management plane: HTTPS with JSON on one port, for operators and their tools.
//!
//! ```text
//! server ...... sockets, TLS, connections      activity, patience .. what ends a slow connection
//! kept ........ a body that outlives its handler
//! observe ..... trace id, time limit, panics, the log line, the figures; renders problems
//! authenticate  who is it                      plane .............. may it: only a permit leads to the node
//! credentials  who shows which
//! forwarded ... whose request it is behind proxies
//! limits ...... how often somebody may ask
//! extract ..... paths, queries, bodies         page ............... limits and cursors of lists
//! order ....... a message to send, checked      fold ............... hops -> traces
//! signatures .. messages over their sender's own signature
//! rights ...... what an agent's token may give it
//! owners ...... whose a thing is, for policies to ask
//! problem ..... the form of an error           refusals ........... which error is which code
//! convert ..... inner values -> `caxton_api`   openapi ............ the document, made from the handlers
//! grammar ..... what the document says of single values
//! audited ..... what the audit log is told of requests
//! deeds ....... what was done, told to it beside the decision
//! access ...... operators, keys, tenants, policies, revocations, the emergency stop
//! agents, audit, programs, messages, traces, dead_letters, nodes, actors, logs, health, metrics: the routes
//! ```
//!
//! Nothing is decided here that a core decides: a handler parses, asks for a permit, hands the work on
//! and translates the outcome. An `Accept` header is not looked at: there is one form of each answer
//! (RFC 9110, section 12.5.1 leaves that to the server).

mod access;
mod activity;
mod actors;
mod agents;
mod audit;
mod audited;
mod authenticate;
mod authority;
mod cluster;
mod convert;
mod credentials;
mod dead_letters;
mod deeds;
mod deploy;
mod extract;
mod fold;
mod forwarded;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/manage.rs"]
pub(crate) mod fuzz;
mod grammar;
mod health;
mod join_tokens;
mod kept;
mod limits;
mod logs;
mod messages;
mod metrics;
mod nodes;
mod observe;
mod openapi;
mod order;
mod owners;
mod page;
mod patience;
mod plane;
mod problem;
mod programs;
mod refusals;
mod rights;
mod server;
mod signatures;
mod streams;
mod traces;

pub(crate) use nodes::resident_bytes;
pub use openapi::openapi_json;
pub(crate) use server::serve;
