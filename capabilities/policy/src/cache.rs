//! Decisions that were made under one set of policies, for requests that are the same in everything that
//! the deciding policies look at.
//!
//! Bounded in entries and in the size of each. A new set of policies has a new engine and with it an empty
//! cache, so the epoch is part of every key without being written there.

use std::hash::{DefaultHasher, Hash, Hasher};

use caxton_capabilities::{PolicyContext, PolicyRequest, Recent, ResourceId, Ruling};

use crate::{reads::Reads, slice::Slice};

/// Decisions that are kept. Ways of messages are remembered before this is asked, so it is for what looks at circumstances and
/// for the management API: 16,384 of some 400 bytes are 6 to 12 MiB in their tables, and the heaviest texts ([`WEIGHT_MAX`]) 8 more.
pub(crate) const DECISIONS_MAX: usize = 16_384;
/// Bytes of a request's texts that is remembered; a longer one is decided anew.
const WEIGHT_MAX: usize = 512;
/// Milliseconds between two moments at which a clock on a wall shows something new.
const MINUTE_MS: i64 = 60_000;

#[derive(Debug)]
pub(crate) struct Cache(Recent<Key, Ruling>);

/// A request without what its policies do not look at, and the minute where they look at a clock.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    request: PolicyRequest,
    minute: Option<i64>,
}

impl Key {
    /// The key of a request; `None` where its decision is not to be remembered.
    pub(crate) fn of(request: &PolicyRequest, slice: &Slice) -> Option<Self> {
        if !slice.is_memorable() || weight(request) > WEIGHT_MAX {
            return None;
        }
        let context = if slice.reads_else() {
            seen(&request.context, slice.sight.reads)
        } else {
            PolicyContext::default()
        };
        Some(Self {
            minute: slice
                .reads_clock()
                .then(|| request.context.now_ms.div_euclid(MINUTE_MS)),
            request: PolicyRequest {
                principal: request.principal.clone(),
                action: request.action,
                resource: request.resource.clone(),
                context,
            },
        })
    }

    fn hash(&self) -> u64 {
        // One key for all: who finds two requests with one hash makes them displace each other, no more.
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}

/// The context without what is not read.
fn seen(context: &PolicyContext, reads: Reads) -> PolicyContext {
    let to = ["dst_ip", "dst_port", "protocol"];
    let keep = |name: &str| reads.has(name);
    PolicyContext {
        now_ms: 0,
        device: context.device.clone().filter(|_| keep("device")),
        address: context.address.filter(|_| keep("address")),
        risk: context.risk.filter(|_| keep("risk")),
        classification: (context.classification.clone()).filter(|_| keep("classification")),
        performative: (context.performative.clone()).filter(|_| keep("performative")),
        size_bytes: context.size_bytes.filter(|_| keep("size")),
        destination: (context.destination.clone()).filter(|_| to.into_iter().any(keep)),
    }
}

/// Bytes that the request's texts hold. Names are bounded by their own type.
fn weight(request: &PolicyRequest) -> usize {
    let facts = &request.principal.facts;
    let context = &request.context;
    let groups: usize = facts.groups.iter().map(|group| group.len() + 16).sum();
    let attributes = facts.attributes.iter();
    let attributes: usize = attributes
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum();
    let id = match &request.resource.id {
        ResourceId::Token(id) | ResourceId::Certificate(id) | ResourceId::Message(_, id) => {
            id.len()
        }
        _ => 0,
    };
    let texts = [&context.classification, &context.performative];
    let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
    let device = context.device.as_ref();
    let device = device.map_or(0, |device| device.os.len() + device.posture.len());
    let protocol = context
        .destination
        .as_ref()
        .map_or(0, |to| to.protocol.len());
    groups + attributes + id + texts + device + protocol + 32 * facts.tenant_roles.len()
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self(Recent::new(DECISIONS_MAX))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Ruling> {
        self.0.get(key.hash(), |kept| kept == key)
    }

    pub(crate) fn put(&self, key: Key, ruling: Ruling) {
        self.0.put(key.hash(), key, ruling);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PolicyDocument, Source, load};
    use caxton_capabilities::{Policies, PolicyResource};
    use std::time::{Duration, SystemTime};

    fn request(at_ms: u64, id: &str) -> PolicyRequest {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms);
        let right = caxton_capabilities::Right::send(&"acme/two".parse().unwrap());
        let mut request = PolicyRequest::of(&"acme/one".parse().unwrap(), &right, now).unwrap();
        request.resource = PolicyResource::new(ResourceId::Agent(id.parse().unwrap()));
        request
    }

    #[test]
    fn a_decision_that_read_a_clock_ends_with_the_minute() {
        let text = "@id(\"late\") permit (principal is Agent, action == Action::\"send\", resource is Agent)
            when { context.clock[\"Etc/UTC\"].minute == 1 };";
        let document = PolicyDocument {
            name: "clock".parse().unwrap(),
            version: 1,
            author: "ada".parse().unwrap(),
            text: text.to_owned(),
        };
        let source = Source {
            epoch: 1,
            owner: None,
            documents: &[document],
        };
        let engine = load(&source).unwrap();
        let at = |ms| engine.decide(&request(ms, "other/two")).is_permit();
        let seen = [59_999, 60_000, 119_999, 120_000, 61_000].map(at);
        assert_eq!(seen, [false, true, true, false, true]);
    }

    #[test]
    fn what_is_too_heavy_is_not_remembered() {
        let mut heavy = request(0, "acme/one");
        heavy.context.classification = Some("x".repeat(WEIGHT_MAX + 1).into());
        assert!(weight(&heavy) > WEIGHT_MAX);
        let source = Source {
            epoch: 1,
            owner: None,
            documents: &[],
        };
        let engine = load(&source).unwrap();
        engine.decide(&heavy);
        assert_eq!(engine.cache().len(), 0);
        engine.decide(&request(0, "acme/one"));
        assert_eq!(engine.cache().len(), 1);
    }
}
