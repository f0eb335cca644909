//! From one authority of the cluster to the next, while it runs.

use std::{
    collections::BTreeSet,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use caxton_audit::EventType;
use caxton_mesh::membership::State as Liveness;
use tokio::time::Instant;

use super::{Ca, CaServiceError};
use crate::security::CaReport;

/// What the audit log calls the authority.
const AUTHORITY: &str = "authority";
/// After every member has a leaf by the new authority, connections made with the old ones still close by
/// themselves for this long.
const SETTLE: Duration = Duration::from_secs(60);
/// The same in an emergency.
const SETTLE_IN_EMERGENCY: Duration = Duration::from_secs(5);
/// Members that are alive and do not renew hold an emergency up for this long.
const EMERGENCY_MAX: Duration = Duration::from_secs(30);

/// From one authority to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// A new intermediate; the old one is retired when every member has a leaf by the new one.
    Intermediate,
    /// The same with a new root.
    Root,
    /// A new intermediate; the old one is taken back as soon as every member that is alive has a leaf by the new
    /// one, and after [`EMERGENCY_MAX`] at the latest.
    Emergency(String),
    /// The older authorities are trusted no more, whoever still hangs on them.
    Retire,
}

/// How long the cluster has been on its way to a new authority, as far as this process has seen it.
#[derive(Debug, Default)]
pub(super) struct Passage {
    since: Option<Instant>,
    /// Since when nobody has to be waited for.
    complete: Option<Instant>,
}

impl Ca {
    /// Begins the way to another authority, and says so to the cluster.
    pub(crate) async fn rotate(&self, rotation: Rotation) -> Result<CaReport, CaServiceError> {
        let book = self.book.lock().await;
        let shown = format!("{rotation:?}");
        let kind = match &rotation {
            Rotation::Intermediate | Rotation::Root | Rotation::Emergency(_) => {
                EventType::CertificateRotated
            }
            Rotation::Retire => EventType::CertificateRevoked,
        };
        let report = self
            .work(move |folder, now| {
                match rotation {
                    Rotation::Intermediate => drop(folder.rotate_intermediate(now)?),
                    Rotation::Root => drop(folder.rotate_root(now)?),
                    Rotation::Emergency(reason) => folder.begin_emergency(&reason, now)?,
                    Rotation::Retire => drop(folder.retire(now)?),
                }
                Ok(folder.report_of_cluster(now)?)
            })
            .await?;
        *self.passage() = Passage::default();
        self.say(&book).await?;
        self.tell(kind, "rotate", AUTHORITY, &shown);
        tracing::warn!(rotation = shown, "the cluster's authority was changed");
        Ok(report)
    }

    fn passage(&self) -> MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due: new lists, the yearly intermediate, the end of an older authority.
    pub(crate) async fn tend(&self) -> Result<(), CaServiceError> {
        let book = self.book.lock().await;
        let tended = self
            .work(|folder, now| {
                let (mut changed, mut rotated) = (folder.renew_lists(now)?, false);
                if folder.is_intermediate_due(now) {
                    folder.rotate_intermediate(now)?;
                    tracing::warn!("half of the intermediate's life is over: a new one was made");
                    (changed, rotated) = (true, true);
                }
                Ok(Tended {
                    changed,
                    rotated,
                    is_emergency: folder.is_emergency(),
                    behind: folder.is_between().then(|| folder.behind(now)),
                })
            })
            .await?;
        if tended.rotated {
            let words = "half of the intermediate's life is over";
            self.tell(EventType::CertificateRotated, "rotate", AUTHORITY, words);
        }
        let ended = match tended.behind {
            Some(behind) => self.end_passage(behind, tended.is_emergency).await?,
            None => {
                *self.passage() = Passage::default();
                false
            }
        };
        if tended.changed || ended {
            self.say(&book).await?;
        }
        Ok(())
    }

    /// Ends the time in which several authorities are believed, once nobody has to be waited for.
    async fn end_passage(
        &self,
        mut behind: BTreeSet<String>,
        is_emergency: bool,
    ) -> Result<bool, CaServiceError> {
        if is_emergency {
            let alive = self.alive();
            behind.retain(|id| alive.contains(id));
        }
        let is_over = {
            let (mut passage, now) = (self.passage(), Instant::now());
            let since = *passage.since.get_or_insert(now);
            let complete = match behind.is_empty() {
                true => Some(*passage.complete.get_or_insert(now)),
                false => {
                    passage.complete = None;
                    None
                }
            };
            let settle = if is_emergency {
                SETTLE_IN_EMERGENCY
            } else {
                SETTLE
            };
            let is_late = is_emergency && since.elapsed() >= EMERGENCY_MAX;
            is_late || complete.is_some_and(|complete| complete.elapsed() >= settle)
        };
        if !is_over {
            return Ok(false);
        }
        self.work(move |folder, now| {
            match is_emergency {
                true => folder.disown_former(now)?,
                false => drop(folder.retire(now)?),
            }
            Ok(())
        })
        .await?;
        *self.passage() = Passage::default();
        let words = format!("older authorities, {} left behind", behind.len());
        self.tell(EventType::CertificateRevoked, "retire", AUTHORITY, &words);
        tracing::warn!(
            is_emergency,
            left_behind = behind.len(),
            "the older authorities are trusted no more"
        );
        Ok(true)
    }

    /// The identities of members that answer.
    fn alive(&self) -> BTreeSet<String> {
        let view = self.mesh().map(|mesh| mesh.view().borrow().clone());
        let members = view.map(|view| view.members.clone()).unwrap_or_default();
        let answers = members
            .iter()
            .filter(|member| matches!(member.state, Liveness::Alive | Liveness::Suspect));
        answers
            .filter_map(|member| self.id(&member.name).ok())
            .map(|id| id.to_string())
            .collect()
    }
}

/// What a look at the authority found.
struct Tended {
    changed: bool,
    /// A new intermediate was made.
    rotated: bool,
    is_emergency: bool,
    /// Who hangs on an older authority, where there is one.
    behind: Option<BTreeSet<String>>,
}
