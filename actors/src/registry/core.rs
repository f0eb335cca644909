//! What a deployment or a rollback would change. Pure: the record and the wish come in, the plan goes out.

use std::collections::BTreeMap;

use caxton_capabilities::{Address, AgentId, Name, Principal};

use crate::{
    envelope::Protocol,
    ports::{Accepts, AgentRecord, Desired, Digest, Version},
};

/// What somebody wants an agent to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deployment {
    /// Which agent.
    pub address: Address,
    /// Who wants it.
    pub by: Principal,
    /// The program.
    pub program: Digest,
    /// Where it came from, in the deployer's words.
    pub source: String,
    /// Limits that differ from the defaults.
    pub limits: BTreeMap<String, u64>,
    /// Protocols to enforce.
    pub protocols: Vec<Protocol>,
    /// Services to offer.
    pub services: Vec<Name>,
    /// What its token is to give it, each as `ACTION PATTERN`.
    pub rights: Vec<String>,
    /// From whom it takes what.
    pub accepts: Accepts,
    /// The bytes of what was signed; empty where nothing was.
    pub manifest: Vec<u8>,
    /// The version that must be current; 0 for "must not exist".
    pub if_version: Option<u64>,
}

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What differs.
    pub field: String,
    /// The value before.
    pub from: Option<String>,
    /// The value after.
    pub to: Option<String>,
}

/// What a plan comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A new agent.
    Created,
    /// Another version of it.
    Updated,
    /// It is so already.
    Unchanged,
}

impl Outcome {
    /// The word that answers show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What it comes to.
    pub outcome: Outcome,
    /// The record as it is to be.
    pub record: AgentRecord,
    /// What differs.
    pub changes: Vec<Change>,
}

/// A plan could not be made. Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Another version is current.
    #[error("the current version is {current}, not {wanted}")]
    VersionMismatch {
        /// The version in use; 0 where there is no agent.
        current: u64,
        /// The version that the caller expected.
        wanted: u64,
    },
    /// There is no such version.
    #[error("there is no version {0} to go back to")]
    NoSuchVersion(u64),
}

impl Deployment {
    /// Compares the wish with what is there. Of the versions, the newest `kept` stay.
    ///
    /// # Errors
    /// `if_version` names another version.
    pub fn plan(
        &self,
        record: Option<&AgentRecord>,
        now_ms: u64,
        kept: usize,
        new_id: impl FnOnce() -> AgentId,
    ) -> Result<Plan, PlanError> {
        let current = record.map_or(0, |record| record.current);
        if let Some(wanted) = self.if_version.filter(|wanted| *wanted != current) {
            return Err(PlanError::VersionMismatch { current, wanted });
        }
        let Some(record) = record else {
            let version = self.version(1, now_ms);
            return Ok(Plan {
                outcome: Outcome::Created,
                changes: changes(None, &version),
                record: AgentRecord {
                    id: new_id(),
                    address: self.address.clone(),
                    created_ms: now_ms,
                    owner: self.by.clone(),
                    desired: Desired::Running,
                    current: 1,
                    versions: vec![version],
                    sequence: 0,
                },
            });
        };
        let number = record.versions.last().map_or(0, |version| version.number) + 1;
        let version = self.version(number, now_ms);
        let changes = changes(record.current_version(), &version);
        let mut planned = record.clone();
        if changes.is_empty() {
            return Ok(Plan {
                outcome: Outcome::Unchanged,
                record: planned,
                changes,
            });
        }
        planned.current = number;
        planned.desired = Desired::Running;
        planned.versions.push(version);
        let surplus = planned.versions.len().saturating_sub(kept.max(1));
        planned.versions.drain(..surplus);
        Ok(Plan {
            outcome: Outcome::Updated,
            record: planned,
            changes,
        })
    }

    fn version(&self, number: u64, now_ms: u64) -> Version {
        Version {
            number,
            program: self.program,
            source: self.source.clone(),
            deployed_ms: now_ms,
            deployed_by: self.by.clone(),
            limits: self.limits.clone(),
            protocols: self.protocols.clone(),
            services: self.services.clone(),
            rights: self.rights.clone(),
            accepts: self.accepts.clone(),
            token: Vec::new(),
            manifest: self.manifest.clone(),
        }
    }
}

/// Plans the way back to `wanted`, or to the version before the current one.
///
/// # Errors
/// That version is not kept.
pub(super) fn plan_rollback(record: &AgentRecord, wanted: Option<u64>) -> Result<Plan, PlanError> {
    let before = || {
        let earlier = record
            .versions
            .iter()
            .filter(|version| version.number < record.current);
        earlier.map(|version| version.number).max()
    };
    let number = wanted
        .or_else(before)
        .ok_or(PlanError::NoSuchVersion(record.current.saturating_sub(1)))?;
    let target = record
        .versions
        .iter()
        .find(|version| version.number == number);
    let target = target.ok_or(PlanError::NoSuchVersion(number))?;
    let changes = changes(record.current_version(), target);
    let outcome = if number == record.current {
        Outcome::Unchanged
    } else {
        Outcome::Updated
    };
    let mut planned = record.clone();
    planned.current = number;
    Ok(Plan {
        outcome,
        record: planned,
        changes,
    })
}

impl AgentRecord {
    /// The version in use.
    #[must_use]
    pub fn current_version(&self) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == self.current)
    }
}

/// What differs between two versions; the source's name alone is no difference.
fn changes(before: Option<&Version>, after: &Version) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |field: &str, from: Option<String>, to: Option<String>| {
        if from != to {
            changes.push(Change {
                field: field.to_owned(),
                from,
                to,
            });
        }
    };
    compare(
        "program",
        before.map(|version| version.program.to_string()),
        Some(after.program.to_string()),
    );
    let nothing = BTreeMap::new();
    let limits = before.map_or(&nothing, |version| &version.limits);
    let names: std::collections::BTreeSet<_> = limits.keys().chain(after.limits.keys()).collect();
    for name in names {
        let shown = |limits: &BTreeMap<String, u64>| limits.get(name).map(u64::to_string);
        compare(
            &format!("limits.{name}"),
            shown(limits),
            shown(&after.limits),
        );
    }
    let list = |words: Vec<String>| (!words.is_empty()).then(|| words.join(", "));
    let protocols =
        |version: &Version| list(version.protocols.iter().map(ToString::to_string).collect());
    let services =
        |version: &Version| list(version.services.iter().map(ToString::to_string).collect());
    compare("protocols", before.and_then(protocols), protocols(after));
    compare("services", before.and_then(services), services(after));
    let rights = |version: &Version| list(version.rights.clone());
    compare("rights", before.and_then(rights), rights(after));
    let accepts = |version: &Version| version.accepts.told();
    compare("accepts", before.and_then(accepts), accepts(after));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const KEPT: usize = 20;

    fn wish(program: u8) -> Deployment {
        Deployment {
            address: "acme/one".parse().unwrap(),
            by: "operator:admin".parse().unwrap(),
            program: Digest([program; 32]),
            source: "one.wasm".into(),
            limits: BTreeMap::new(),
            protocols: vec![],
            services: vec![],
            rights: vec!["send acme/*".into()],
            accepts: Accepts::default(),
            manifest: vec![],
            if_version: None,
        }
    }

    fn id() -> AgentId {
        AgentId::from_uuid(Uuid::from_u128(1))
    }

    #[test]
    fn the_same_wish_twice_changes_nothing() {
        let first = wish(1).plan(None, 5, KEPT, id).unwrap();
        assert_eq!(first.outcome, Outcome::Created);
        let mut again = wish(1);
        again.source = "renamed.wasm".into();
        let second = again.plan(Some(&first.record), 9, KEPT, id).unwrap();
        assert_eq!(
            (second.outcome, second.changes),
            (Outcome::Unchanged, vec![])
        );
        assert_eq!(second.record, first.record);
    }

    #[test]
    fn a_changed_limit_is_a_new_version_and_is_named() {
        let first = wish(1).plan(None, 5, KEPT, id).unwrap().record;
        let mut more = wish(1);
        more.limits.insert("memory_bytes".into(), 1);
        let plan = more.plan(Some(&first), 9, KEPT, id).unwrap();
        assert_eq!(plan.record.current, 2);
        let change = Change {
            field: "limits.memory_bytes".into(),
            from: None,
            to: Some("1".into()),
        };
        assert_eq!(plan.changes, vec![change]);
    }

    #[test]
    fn if_version_guards_against_somebody_else() {
        let first = wish(1).plan(None, 5, KEPT, id).unwrap().record;
        let guarded = |wanted| Deployment {
            if_version: Some(wanted),
            ..wish(2)
        };
        let mismatch = Err(PlanError::VersionMismatch {
            current: 1,
            wanted: 0,
        });
        assert_eq!(guarded(0).plan(Some(&first), 9, KEPT, id), mismatch);
        assert!(guarded(1).plan(Some(&first), 9, KEPT, id).is_ok());
        assert!(guarded(0).plan(None, 9, KEPT, id).is_ok());
    }

    #[test]
    fn one_version_is_kept_where_one_is_wanted() {
        let first = wish(1).plan(None, 0, 1, id).unwrap().record;
        let second = wish(2).plan(Some(&first), 1, 1, id).unwrap().record;
        assert_eq!((second.versions.len(), second.current), (1, 2));
        assert!(second.current_version().is_some());
        assert!(plan_rollback(&second, None).is_err());
    }

    #[test]
    fn old_versions_fall_out_and_rollback_finds_only_what_is_kept() {
        let mut record = wish(0).plan(None, 0, KEPT, id).unwrap().record;
        for program in 1..=30 {
            record = wish(program)
                .plan(Some(&record), u64::from(program), KEPT, id)
                .unwrap()
                .record;
        }
        assert_eq!((record.versions.len(), record.current), (KEPT, 31));
        assert_eq!(
            plan_rollback(&record, Some(1)),
            Err(PlanError::NoSuchVersion(1))
        );
        let back = plan_rollback(&record, None).unwrap();
        assert_eq!((back.record.current, back.outcome), (30, Outcome::Updated));
        let next = wish(99).plan(Some(&back.record), 99, KEPT, id).unwrap();
        assert_eq!(next.record.current, 32, "numbers are not used twice");
    }
}
