//! OCSF 1.9.0 documents, for collectors that want one vocabulary for all their sources.
//!
//! The stored line is the record and stands, byte for byte, in `unmapped.line`. The attestation (profile
//! `record_integrity`) is a fingerprint over that line: the leaf of the Merkle tree, whose `serialization` is
//! therefore `Other` and not that of this document. Signatures are on the log's checkpoints and not repeated.
//! What of an event has no place in its class is in the line alone.

mod class;

use serde::Serialize;

use crate::{
    checkpoint::Origin,
    event::{Ending, Event, Severity},
    merkle::{Hash, leaf_hash},
};
use class::Class;

/// The version of the schema that the documents follow.
pub const OCSF_VERSION: &str = "1.9.0";

/// An event as an OCSF document.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    activity_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_name: Option<String>,
    category_uid: u32,
    class_uid: u32,
    type_uid: u32,
    time: i64,
    severity_id: u32,
    status_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<String>,
    message: String,
    metadata: Metadata,
    attestation_list: [Attestation; 1],
    unmapped: Unmapped,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Named>,
    #[serde(flatten)]
    subject: Subject,
}

/// What a class needs beside what all have.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Subject {
    Authentication {
        user: Named,
        service: Named,
    },
    Api {
        api: Api,
        resources: [Named; 1],
        #[serde(skip_serializing_if = "Option::is_none")]
        action_id: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        policy: Option<Named>,
    },
    Application {
        app: Named,
    },
    Entity {
        entity: Named,
    },
    Access {
        user: Named,
        privileges: [String; 1],
    },
    Finding {
        finding_info: FindingInfo,
    },
    Tunnel {
        tunnel_type_id: u32,
        user: Named,
    },
}

#[derive(Clone, Debug, Serialize)]
struct Metadata {
    version: &'static str,
    product: Product,
    profiles: Vec<&'static str>,
    uid: String,
    sequence: u64,
    log_name: String,
    event_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_uid: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Attestation {
    uid: String,
    authority_uid: String,
    chain_uid: String,
    fingerprint: Fingerprint,
}

#[derive(Clone, Debug, Serialize)]
struct Fingerprint {
    algorithm_id: u32,
    encoding_id: u32,
    serialization_id: u32,
    serialization: &'static str,
    value: Hash,
}

#[derive(Clone, Debug, Serialize)]
struct Unmapped {
    line: String,
}

/// Whatever OCSF wants a name of.
#[derive(Clone, Debug, Serialize)]
struct Named {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
}

impl Named {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ip: None,
        }
    }

    /// Where somebody connected from: with an `ip`, when it is one.
    fn endpoint(address: &str) -> Self {
        let bare = address.parse().or_else(|_not_bare| {
            address
                .parse()
                .map(|socket: std::net::SocketAddr| socket.ip())
        });
        Self {
            name: address.to_owned(),
            ip: bare.ok().map(|ip: std::net::IpAddr| ip.to_string()),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Actor {
    user: Named,
}

#[derive(Clone, Debug, Serialize)]
struct Api {
    operation: String,
}

#[derive(Clone, Debug, Serialize)]
struct FindingInfo {
    uid: String,
    title: String,
}

fn severity_id(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

impl Document {
    /// The document for an event at its place in a log.
    #[must_use]
    pub fn new(origin: &Origin, sequence: u64, event: &Event) -> Self {
        let class = Class::of(event.event_type);
        let line = event.to_line();
        let context = &event.context;
        let subject = subject(class, event, origin, sequence);
        let control = matches!(
            subject,
            Subject::Api {
                action_id: Some(_),
                ..
            }
        );
        let ours = ["record_integrity"];
        let profiles = ours
            .into_iter()
            .chain(control.then_some("security_control"))
            .collect();
        Self {
            activity_id: class.activity,
            activity_name: (class.activity == class::OTHER).then(|| event.event_type.to_string()),
            category_uid: class.uid / 1_000,
            class_uid: class.uid,
            type_uid: class.uid * 100 + class.activity,
            time: event.timestamp.as_millis(),
            severity_id: severity_id(event.severity),
            status_id: if event.outcome.result == Ending::Success {
                1
            } else {
                2
            },
            status_detail: event.outcome.reason.as_ref().map(ToString::to_string),
            message: format!("{} {} {}", event.actor, event.action, event.resource),
            metadata: Metadata {
                version: OCSF_VERSION,
                product: Product {
                    name: "Caxton",
                    vendor_name: "Caxton",
                },
                profiles,
                uid: format!("{origin}#{sequence}"),
                sequence,
                log_name: origin.to_string(),
                event_code: event.event_type.as_str(),
                correlation_uid: context.trace_id.as_ref().map(ToString::to_string),
                tenant_uid: context.tenant.as_ref().map(ToString::to_string),
            },
            attestation_list: [Attestation {
                uid: sequence.to_string(),
                authority_uid: origin.to_string(),
                chain_uid: origin.to_string(),
                fingerprint: Fingerprint {
                    algorithm_id: 3, // SHA-256
                    encoding_id: 1,  // hexadecimal
                    serialization_id: class::OTHER,
                    serialization: "RFC 6962 leaf of unmapped.line",
                    value: leaf_hash(line.as_bytes()),
                },
            }],
            unmapped: Unmapped { line },
            // Some classes say who by `user` and know no actor.
            actor: class.has_actor().then(|| Actor {
                user: Named::new(event.actor.as_str()),
            }),
            src_endpoint: class.has_source().then(|| source(event, origin)),
            subject,
        }
    }

    /// The JSON, without an end of line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// API Activity demands a source; what began in the node itself has the node.
fn source(event: &Event, origin: &Origin) -> Named {
    let address = event
        .context
        .address
        .as_ref()
        .map_or(origin.node(), |address| address.as_str());
    Named::endpoint(address)
}

fn subject(class: Class, event: &Event, origin: &Origin, sequence: u64) -> Subject {
    let resource = Named::new(event.resource.as_str());
    let user = Named::new(event.actor.as_str());
    match class.uid {
        class::AUTHENTICATION => Subject::Authentication {
            user,
            service: Named::new("caxton"),
        },
        class::APPLICATION => Subject::Application { app: resource },
        class::ENTITY => Subject::Entity { entity: resource },
        class::ACCESS => Subject::Access {
            user: resource,
            privileges: [event.action.to_string()],
        },
        class::FINDING => Subject::Finding {
            finding_info: FindingInfo {
                uid: format!("{origin}#{sequence}"),
                title: event.event_type.to_string(),
            },
        },
        class::TUNNEL => Subject::Tunnel {
            tunnel_type_id: 1,
            user,
        },
        _ => Subject::Api {
            api: Api {
                operation: event.action.to_string(),
            },
            resources: [resource],
            action_id: class.action,
            policy: event
                .context
                .rule
                .as_ref()
                .filter(|_| class.action.is_some())
                .map(|rule| Named::new(rule.as_str())),
        },
    }
}

#[cfg(test)]
mod tests;
