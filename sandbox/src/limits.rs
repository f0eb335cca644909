//! How much a program may use: every limit with its default, its largest value, its unit and its price.
//!
//! Pure: numbers in, numbers out. Enforcing them is the business of [`crate::instance`], `state` and
//! `draft`. The table [`LIMITS`] is made from the same lines as the struct, so that the documentation, the
//! command line and the check cannot disagree.

use std::time::Duration;

/// One limit as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitInfo {
    /// Its name in configuration, manifests and errors.
    pub name: &'static str,
    /// What the number counts; `ms` for durations.
    pub unit: &'static str,
    /// What a program gets that asks for nothing.
    pub default: u64,
    /// The smallest value that makes sense.
    pub min: u64,
    /// The most that can be asked for.
    pub max: u64,
    /// What a larger value costs the node.
    pub price: &'static str,
}

/// A limit was asked for that a node does not grant. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The caller named a limit that does not exist.
    #[error("there is no limit `{name}`")]
    Unknown {
        /// The name as it was given.
        name: String,
    },
    /// The caller asked for less than makes sense or for more than there is.
    #[error("limit `{name}` is `{value}` {unit}, and may be `{min}` to `{max}`")]
    OutOfRange {
        /// The limit's name.
        name: &'static str,
        /// The value that was asked for.
        value: u64,
        /// The smallest value that makes sense.
        min: u64,
        /// The most that can be asked for.
        max: u64,
        /// What the numbers count.
        unit: &'static str,
    },
    /// Two values contradict each other.
    #[error("limit `{smaller}` must not be above limit `{larger}`")]
    Order {
        /// The limit that has to be the smaller one.
        smaller: &'static str,
        /// The limit that has to be the larger one.
        larger: &'static str,
    },
}

/// A limit's value as a plain number and back.
trait Quantity: Copy {
    fn from_number(number: u64) -> Self;
    fn number(self) -> u64;
}

impl Quantity for u64 {
    fn from_number(number: u64) -> Self {
        number
    }
    fn number(self) -> u64 {
        self
    }
}

impl Quantity for usize {
    fn from_number(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
    fn number(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}

impl Quantity for Duration {
    fn from_number(number: u64) -> Self {
        Self::from_millis(number)
    }
    fn number(self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Writes the struct, its defaults and the table from one list.
macro_rules! limits {
    ($( $(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $min:expr => $max:expr, $unit:literal, $price:literal; )*) => {
        /// What one agent's program may use. Made by [`Limits::default`] or [`Limits::checked`].
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $( $(#[$doc])* pub $name: $type, )*
        }

        /// All limits, in the order of the documentation.
        pub const LIMITS: &[LimitInfo] = &[
            $( LimitInfo { name: stringify!($name), unit: $unit, default: $default, min: $min, max: $max, price: $price }, )*
        ];

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $name: Quantity::from_number($default), )* }
            }
        }

        impl Limits {
            /// The value of the limit `name` in its unit.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $( stringify!($name) => Some(self.$name.number()), )*
                    _ => None,
                }
            }

            /// Writes a value that was found to be in range.
            fn put(&mut self, name: &str, value: u64) {
                match name {
                    $( stringify!($name) => self.$name = Quantity::from_number(value), )*
                    _ => {}
                }
            }
        }
    };
}

limits! {
    /// Linear memory of the instance, all its memories together.
    memory_bytes: usize = 64 * MIB, 64 * KIB => 256 * MIB, "bytes",
        "resident memory of the node, as far as the program touches it";
    /// Elements of one table.
    table_elements: usize = 20_000, 16 => 65_536, "elements",
        "8 bytes an element and table of reserved address space, resident once touched";
    /// Core instances inside the component.
    instances: usize = 64, 1 => 64, "instances",
        "start time, and up to 2 MiB of the node's heap each";
    /// Linear memories inside the component.
    memories: usize = 8, 1 => 8, "memories",
        "4 GiB of address space and 4 of the kernel's mappings each";
    /// Tables inside the component.
    tables: usize = 64, 1 => 64, "tables",
        "`table_elements` x 8 bytes of address space each";
    /// Time from a message's hand-over to the end of its reaction.
    wall: Duration = 5_000, 1 => 60_000, "ms",
        "how long a mailbox can stand still behind one message";
    /// Processor time of one reaction.
    cpu: Duration = 1_000, 1 => 30_000, "ms",
        "a core's time; after 2 ms the reaction continues at idle priority";
    /// Calls of one reaction to the node.
    host_calls: u64 = 10_000, 1 => 1_000_000, "calls",
        "0.2 to 1 microsecond of processor time a call, plus what the call itself does";
    /// Bytes that one call, or a reaction's result, may make the node copy.
    copy_bytes: usize = MIB, KIB => 64 * MIB, "bytes",
        "memory of the node for the time of the call";
    /// One message: its content and its texts.
    message_bytes: usize = 256 * KIB, KIB => 16 * MIB, "bytes",
        "x mailbox length = memory an agent's queue can hold";
    /// Messages that one reaction may send.
    outgoing_messages: usize = 100, 1 => 1_000, "messages",
        "x `message_bytes`, as far as `outgoing_bytes` lets it; routing work after the reaction";
    /// Bytes of all messages that one reaction sends.
    outgoing_bytes: usize = MIB, KIB => 64 * MIB, "bytes",
        "memory of the node until the reaction ends";
    /// One key of the agent's store.
    kv_key_bytes: usize = 256, 1 => KIB, "bytes",
        "space in the store and its index";
    /// One value of the agent's store.
    kv_value_bytes: usize = 64 * KIB, 1 => MIB, "bytes",
        "space in the store; a read copies it into the program";
    /// Keys and values that one reaction may write.
    kv_write_bytes: usize = MIB, 1 => 64 * MIB, "bytes",
        "memory until the reaction ends, then one transaction of that size";
    /// Log lines a second, and as many at once.
    log_lines_per_s: u64 = 20, 1 => 1_000, "lines/s",
        "space in the node's log";
    /// One log line; the rest is cut off.
    log_line_bytes: usize = KIB, 16 => 8 * KIB, "bytes",
        "space in the node's log";
    /// Messages after which the instance is replaced by a fresh one.
    recycle_after_messages: u64 = 1_000_000, 1 => 1_000_000_000, "messages",
        "small values cost a start (3 to 600 microseconds) more often; large ones let leaks grow";
    /// Share of `memory_bytes` in use after which the instance is replaced by a fresh one.
    recycle_at_memory_percent: u64 = 75, 1 => 100, "percent",
        "a language runtime that leaks is replaced before it traps; small values replace more often";
}

/// Pairs of which the first must not be above the second: a message that is allowed must be possible.
const ORDER: &[(&str, &str)] = &[
    ("message_bytes", "copy_bytes"),
    ("message_bytes", "outgoing_bytes"),
    ("kv_value_bytes", "copy_bytes"),
    ("kv_value_bytes", "kv_write_bytes"),
    ("cpu", "wall"),
];

impl Limits {
    /// The defaults with `overrides` (name and number in the limit's unit) in their place.
    ///
    /// # Errors
    /// An unknown name, a value out of range, or two values that contradict each other.
    pub fn checked<'a>(
        overrides: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Result<Self, LimitError> {
        let mut limits = Self::default();
        for (name, value) in overrides {
            let Some(info) = LIMITS.iter().find(|info| info.name == name) else {
                return Err(LimitError::Unknown {
                    name: name.chars().take(64).collect(),
                });
            };
            if !(info.min..=info.max).contains(&value) {
                return Err(LimitError::OutOfRange {
                    name: info.name,
                    value,
                    min: info.min,
                    max: info.max,
                    unit: info.unit,
                });
            }
            limits.put(name, value);
        }
        for (smaller, larger) in ORDER {
            if limits.get(smaller) > limits.get(larger) {
                return Err(LimitError::Order { smaller, larger });
            }
        }
        Ok(limits)
    }

    /// The largest value of each limit; what the pool is built for.
    #[must_use]
    pub fn largest() -> Self {
        let mut limits = Self::default();
        for info in LIMITS {
            limits.put(info.name, info.max);
        }
        limits
    }

    /// The memory at which an instance is replaced.
    #[must_use]
    pub fn recycle_at_memory_bytes(&self) -> usize {
        let percent = usize::try_from(self.recycle_at_memory_percent).unwrap_or(100);
        (self.memory_bytes / 100).saturating_mul(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_largest_values_are_within_the_table_and_in_order() {
        let default = LIMITS.iter().map(|info| (info.name, info.default));
        assert_eq!(Limits::checked(default), Ok(Limits::default()));
        let largest = LIMITS.iter().map(|info| (info.name, info.max));
        assert_eq!(Limits::checked(largest), Ok(Limits::largest()));
        for info in LIMITS {
            assert!(!info.price.is_empty() && info.min <= info.max, "{info:?}");
        }
    }

    #[test]
    fn an_override_is_taken_and_the_rest_stays() {
        let limits = Limits::checked([("cpu", 50), ("memory_bytes", 1 << 20)]).unwrap();
        assert_eq!(limits.cpu, Duration::from_millis(50));
        assert_eq!(limits.memory_bytes, 1 << 20);
        assert_eq!(limits.wall, Limits::default().wall);
    }

    #[test]
    fn one_more_than_the_largest_value_names_the_limit_the_value_and_the_maximum() {
        for info in LIMITS {
            let error = Limits::checked([(info.name, info.max + 1)]).unwrap_err();
            let text = error.to_string();
            for part in [
                info.name.to_owned(),
                (info.max + 1).to_string(),
                info.max.to_string(),
            ] {
                assert!(text.contains(&part), "{text} lacks {part}");
            }
        }
    }

    #[test]
    fn an_unknown_name_and_a_contradiction_are_refused() {
        assert!(matches!(
            Limits::checked([("memory", 1)]),
            Err(LimitError::Unknown { .. })
        ));
        assert_eq!(
            Limits::checked([("message_bytes", 2 << 20)]),
            Err(LimitError::Order {
                smaller: "message_bytes",
                larger: "copy_bytes"
            })
        );
    }
}
