//! What a node is told to be: flags, environment and files in, one checked [`Config`] out.
//!
//! This folder alone reads config files and the environment. It starts nothing, opens no store and
//! looks into no key: whether a certificate fits its key is found out by the part that uses it.
//!
//! The one idea to know: each setting is one line of a `section!` table ([`sections`]), which makes
//! the field, the key, the default, the bounds and the name in the environment. A setting that is
//! not there cannot be read, and one that is there cannot be forgotten.
//!
//! | file | answers for |
//! |---|---|
//! | [`yaml`] | YAML text to a tree with places; the only file that knows the YAML library |
//! | [`raw`] | that tree to `key -> text`; unknown keys and wrong shapes |
//! | [`values`], [`units`] | one text to one value: numbers, sizes, durations, paths |
//! | [`sections`] | the settings |
//! | [`door`] | settings of the management API's door: rates, proxies, JSON Web Tokens |
//! | [`limits`] | the overrides of the sandbox's limits |
//! | [`resolve`] | which source wins, and where each value came from |
//! | [`check`] | sections to [`Config`], and what must hold between settings |
//! | [`load`] | the order of it all; files are found and read here |
//! | [`problem`], [`suggest`] | what the user reads when something is wrong |
//!
//! Decision: a config file is a strict subset of YAML, mappings and single values. Anchors, tags,
//! lists and several documents are refused, because no setting needs them and each is a way to
//! surprise a reader or to blow up a small file. The price: a value that occurs twice is written
//! twice. So the file is read from parser events and not through `serde`, which would stop at the
//! first problem and could not point at keys.

mod check;
mod door;
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/config.rs"]
pub(crate) mod fuzz;
mod limits;
mod load;
mod problem;
mod raw;
mod resolve;
mod sections;
mod suggest;
mod units;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

pub use check::{Api, Config, Export, ExportTo, Mesh, Node, Tls};
pub use door::{Algorithms, ApiLimits, JwksUrl, Jwt, JwtKeys, Names, Networks, RateMax};
pub use load::{ConfigError, Flags, Loaded, load, load_from_system, validate};
pub use problem::{Place, Problem};
pub use resolve::{Origin, Setting, Summary};
pub use sections::{
    Agents, AgentsMax, Compile, ExportForm, Log, LogFormat, LogLevel, Messages, Metrics, Mode,
    ParseSeedsError, Security, Seeds, Store, Trace,
};

/// The example file: every setting, explained, at its default. `caxton config example` prints it.
pub const EXAMPLE: &str = include_str!("../../../config/node.yaml");
