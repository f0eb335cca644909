//! Floods of refusals: the first is written, the others are counted and told as one event a window.
//!
//! Without this, whoever can be refused can fill the disk, and with it stop everything, because what cannot be
//! audited is not done. It decides and keeps no time of its own. Only refusals are counted together: what
//! succeeded is written each time.

use std::{collections::HashMap, net::IpAddr};

use crate::event::{Ending, Event, EventType, NAME_BYTES_MAX, Severity, Text, Timestamp};

/// Sources that are counted apart: 10,000 at about 500 bytes are 5 MB. Beyond, they share one count for each type of event.
pub const SOURCES_MAX: usize = 10_000;

/// Events that are the same for this purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    kind: EventType,
    /// Actor and network; `None` for all that have no count of their own.
    who: Option<(String, String)>,
}

#[derive(Clone, Debug)]
struct Count {
    since_ms: i64,
    suppressed: u64,
}

/// Counts refusals. One for each log.
#[derive(Debug)]
pub struct Flood {
    window_ms: i64,
    counts: HashMap<Source, Count>,
    /// What [`Flood::summaries`] gave last, and that is not known to be told.
    untold: Vec<Source>,
}

impl Flood {
    /// Refusals of one source within `window_ms` are told by two events: the first, and how many followed.
    #[must_use]
    pub fn new(window_ms: i64) -> Self {
        Self {
            window_ms: window_ms.max(1),
            counts: HashMap::new(),
            untold: Vec::new(),
        }
    }

    /// Whether this event is to be written. One that is not is counted, and told by [`Flood::summaries`].
    pub fn admit(&mut self, event: &Event) -> bool {
        if event.outcome.result == Ending::Success {
            return true;
        }
        let now = event.timestamp.as_millis();
        let source = self.source(event);
        let Some(count) = self.counts.get_mut(&source) else {
            self.counts.insert(
                source,
                Count {
                    since_ms: now,
                    suppressed: 0,
                },
            );
            return true;
        };
        // A window that ended is told by `summaries`, which also forgets it; until then it goes on.
        count.suppressed += 1;
        false
    }

    /// An event that was to be written was not: it is counted with those that follow it.
    pub fn unwritten(&mut self, event: &Event) {
        let source = self.source(event);
        if event.outcome.result != Ending::Success
            && let Some(count) = self.counts.get_mut(&source)
        {
            count.suppressed += 1;
        }
    }

    /// The events that tell what was counted in windows that have ended, `most` at a time. It stays counted until it is
    /// [`told`](Flood::told). To be called each second, and with the last moment there is when the log is closed.
    pub fn summaries(&mut self, now: Timestamp, node: &str, most: usize) -> Vec<Event> {
        let window_ms = self.window_ms;
        let is_over = |count: &Count| {
            // A clock that was set back ends a window too, or it might never end.
            let passed = now.as_millis() - count.since_ms;
            passed >= window_ms || passed < 0
        };
        self.counts
            .retain(|_, count| count.suppressed > 0 || !is_over(count));
        let over = self.counts.iter().filter(|(_, count)| is_over(count));
        let over = over.map(|(source, count)| (source.clone(), count.suppressed));
        let over: Vec<(Source, u64)> = over.take(most).collect();
        let told = over
            .iter()
            .map(|(source, suppressed)| summary(source, *suppressed, now, node));
        let told = told.collect();
        self.untold = over.into_iter().map(|(source, _)| source).collect();
        told
    }

    /// What [`Flood::summaries`] gave last is in the log: those windows are over. Nothing may be admitted in between.
    pub fn told(&mut self) {
        for source in self.untold.drain(..) {
            self.counts.remove(&source);
        }
    }

    fn source(&self, event: &Event) -> Source {
        let address = event
            .context
            .address
            .as_ref()
            .map_or("", |address| address.as_str());
        let own = Source {
            kind: event.event_type,
            who: Some((event.actor.as_str().to_owned(), network(address))),
        };
        if self.counts.len() < SOURCES_MAX || self.counts.contains_key(&own) {
            own
        } else {
            Source {
                kind: event.event_type,
                who: None,
            }
        }
    }
}

fn summary(source: &Source, suppressed: u64, now: Timestamp, node: &str) -> Event {
    let (actor, network) = source
        .who
        .clone()
        .unwrap_or_else(|| ("many".to_owned(), String::new()));
    let mut event = Event::new(
        now,
        EventType::AuditSuppressed,
        &actor,
        "audit.suppress",
        source.kind.as_str(),
    )
    .ended(
        Ending::Denied,
        &format!("suppressed {suppressed} more of `{}`", source.kind),
    );
    event.severity = Severity::Medium;
    event.context.node = Some(Text::escape(node));
    event.context.address = (!network.is_empty()).then(|| Text::<NAME_BYTES_MAX>::escape(&network));
    event
}

/// The network of an address: /24 or /64, which is what one attacker has at hand. Other text is itself.
fn network(address: &str) -> String {
    let ip = address.parse().or_else(|_not_bare| {
        address
            .parse()
            .map(|socket: std::net::SocketAddr| socket.ip())
    });
    match ip.map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at: i64, actor: &str, address: &str) -> Event {
        let mut event = Event::new(
            Timestamp::from_millis(at),
            EventType::AuthenticationFailure,
            actor,
            "login",
            "api",
        )
        .ended(Ending::Failure, "wrong key");
        event.context.address = Some(Text::escape(address));
        event
    }

    #[test]
    fn a_flood_is_its_first_event_and_a_count_for_each_window() {
        let mut flood = Flood::new(1_000);
        let written = (0..500)
            .filter(|n| flood.admit(&refusal(*n, "eve", &format!("192.0.2.{}", n % 250))))
            .count();
        assert_eq!(written, 1);
        assert!(
            flood
                .summaries(Timestamp::from_millis(900), "n", 9)
                .is_empty()
        );
        let told = flood.summaries(Timestamp::from_millis(1_000), "n", 9);
        flood.told();
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].outcome.reason.as_ref().unwrap().as_str(),
            "suppressed 499 more of `authentication.failure`"
        );
        assert_eq!(
            told[0].context.address.as_ref().unwrap().as_str(),
            "192.0.2.0/24"
        );
        assert!(
            flood.admit(&refusal(1_001, "eve", "192.0.2.1")),
            "a new window begins with an event"
        );
    }

    #[test]
    fn what_succeeds_and_what_others_do_is_written() {
        let mut flood = Flood::new(1_000);
        assert!(flood.admit(&refusal(0, "eve", "192.0.2.1")));
        assert!(flood.admit(&refusal(0, "eve", "192.0.3.1")));
        assert!(flood.admit(&refusal(0, "bob", "192.0.2.1:99")));
        assert!(flood.admit(&refusal(0, "eve", "[2001:db8::1]:99")));
        assert!(!flood.admit(&refusal(0, "eve", "2001:db8::2")));
        let mut success = refusal(0, "eve", "192.0.2.1");
        success.outcome.result = Ending::Success;
        assert!(flood.admit(&success) && flood.admit(&success));
    }

    #[test]
    fn sources_without_end_share_a_count_and_the_table_stays_bounded() {
        let mut flood = Flood::new(1_000);
        let all = SOURCES_MAX as i64 + 5_000;
        let written = (0..all)
            .filter(|n| flood.admit(&refusal(0, &n.to_string(), "")))
            .count();
        assert_eq!(written, SOURCES_MAX + 1);
        assert_eq!(flood.counts.len(), SOURCES_MAX + 1);
        let told = flood.summaries(Timestamp::from_millis(5_000), "n", 9);
        flood.told();
        assert_eq!(told.len(), 1);
        assert!(
            told[0]
                .outcome
                .reason
                .as_ref()
                .unwrap()
                .as_str()
                .contains("suppressed 4999 ")
        );
        assert!(flood.counts.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_anybody() {
        let mut flood = Flood::new(1_000);
        assert!(flood.admit(&refusal(50_000, "eve", "")));
        assert!(!flood.admit(&refusal(10, "eve", "")));
        assert_eq!(flood.summaries(Timestamp::from_millis(20), "n", 9).len(), 1);
        flood.told();
        assert!(flood.admit(&refusal(30, "eve", "")));
    }

    #[test]
    fn counts_are_told_some_at_a_time_and_each_once() {
        let mut flood = Flood::new(1_000);
        for n in 0..10 {
            let actor = (n % 5).to_string();
            let _first = flood.admit(&refusal(0, &actor, ""));
        }
        let mut actors = Vec::new();
        loop {
            let some = flood.summaries(Timestamp::from_millis(1_000), "n", 2);
            if some.is_empty() {
                break;
            }
            assert!(some.len() <= 2);
            actors.extend(some.iter().map(|event| event.actor.to_string()));
            flood.told();
        }
        actors.sort();
        assert_eq!(actors, ["0", "1", "2", "3", "4"]);
    }
}
