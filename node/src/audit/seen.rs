//! What a node sees of itself and of the cluster without anybody asking for it, told to the audit log: the settings that it runs
//! with, messages that are denied, agents that stay down, members that go and come back.
//!
//! Agents and members are looked at as they are now. What came and went between two looks is not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use caxton_actors::{
    ports::Denials,
    supervision::{ChildState, ChildStatus},
};
use caxton_audit::{Ending, Event, EventType, Severity, Text};
use caxton_capabilities::{Denied, Principal, TraceId};
use caxton_mesh::{
    PeerName,
    membership::{SharedView, State},
};
use tokio::{sync::watch, time::MissedTickBehavior};

use super::Audit;
use crate::{app::App, config::Summary};

/// How often agents are looked at: their list is copied for it, 1 ms for a thousand.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The settings that the node runs with, by hash and by the names of those that are not at their defaults.
pub(crate) fn configured(audit: &Audit, summary: &Summary) -> Event {
    let changed = match summary.changed.as_slice() {
        [] => "all at their defaults".to_owned(),
        some => format!("not at their defaults: {}", some.join(", ")),
    };
    let words = format!("sha256:{}, {changed}", summary.sha256);
    let event = audit.event(EventType::ConfigurationApplied, "start", "node");
    event.ended(Ending::Success, &words)
}

impl Denials for Audit {
    fn denied(
        &self,
        sender: &Principal,
        receiver: &Principal,
        trace: Option<TraceId>,
        why: &Denied,
    ) {
        let kind = EventType::AuthorizationDeny;
        let event = self.event(kind, "message.send", &receiver.to_string());
        let mut event = event.ended(Ending::Denied, &why.told());
        event.severity = Severity::Low;
        event.actor = Text::escape(&sender.to_string());
        event.context.trace_id = trace.map(|trace| Text::escape(&trace.to_string()));
        if let Principal::Agent(address) = sender {
            event.context.tenant = Some(Text::escape(address.tenant.as_str()));
        }
        self.tell(event);
    }
}

/// Looks until the node stops.
pub(crate) async fn look(app: Arc<App>) {
    let mut view = app.cluster.as_ref().map(|cluster| cluster.mesh.view());
    let (mut agents, mut members) = (Agents::default(), Members::default());
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {
                for (agent, why) in agents.news(failed(app.tree.agents().status())) {
                    let event = app.audit.event(EventType::AgentFailed, "give-up", &agent);
                    let mut event = event.ended(Ending::Failure, &why);
                    event.severity = Severity::Medium;
                    app.audit.tell(event);
                }
            }
            seen = changed(&mut view) => {
                let others = seen.members.iter().filter(|member| !member.is_own);
                let others = others.map(|member| (Arc::clone(&member.name), member.state));
                for (kind, name, state) in members.news(others) {
                    let event = app.audit.event(kind, "see", &format!("node:{name}"));
                    app.audit.tell(event.ended(Ending::Success, state.word()));
                }
            }
        }
    }
}

/// The members, once they have changed; never on a node by itself.
///
/// # Cancel safety
/// What changed is seen by the next call.
async fn changed(view: &mut Option<watch::Receiver<SharedView>>) -> SharedView {
    if let Some(view) = view
        && view.changed().await.is_ok()
    {
        return view.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Agents that supervision has given up, and why.
fn failed(all: Vec<ChildStatus>) -> BTreeMap<String, String> {
    all.into_iter()
        .filter(|child| child.state == ChildState::Failed)
        .map(|child| (child.name, child.last_error.unwrap_or_default()))
        .collect()
}

/// Agents that are known to have failed for good.
#[derive(Debug, Default)]
struct Agents(BTreeSet<String>);

impl Agents {
    /// Those of `failed` that were not so at the last look, each with the reason.
    fn news(&mut self, failed: BTreeMap<String, String>) -> Vec<(String, String)> {
        let before = std::mem::replace(&mut self.0, failed.keys().cloned().collect());
        let mut news: Vec<(String, String)> = failed.into_iter().collect();
        news.retain(|(agent, _)| !before.contains(agent));
        news
    }
}

/// Members, and whether they were there.
#[derive(Debug, Default)]
struct Members(BTreeMap<PeerName, bool>);

impl Members {
    /// Who went and who came back since the last look. Who is seen for the first time, or is not seen any more, is no news: that
    /// is told where the CA takes them in or out.
    fn news(
        &mut self,
        others: impl Iterator<Item = (PeerName, State)>,
    ) -> Vec<(EventType, PeerName, State)> {
        let mut news = Vec::new();
        let mut now = BTreeMap::new();
        for (name, state) in others {
            let before = self.0.get(&name).copied();
            let is_there = match state {
                State::Alive => true,
                // It may refute that.
                State::Suspect => before.unwrap_or(true),
                State::Down | State::Left => false,
            };
            now.insert(Arc::clone(&name), is_there);
            let kind = match (before, is_there) {
                (Some(true), false) => EventType::MemberDown,
                (Some(false), true) => EventType::MemberReturned,
                (Some(_) | None, _) => continue,
            };
            news.push((kind, name, state));
        }
        self.0 = now;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_stays_down_is_told_once_until_it_was_up_again() {
        let failed = |names: &[&str]| -> BTreeMap<String, String> {
            let why = |name: &&str| ((*name).to_owned(), "it crashes".to_owned());
            names.iter().map(why).collect()
        };
        let mut agents = Agents::default();
        let mut told = |names: &[&str]| -> Vec<String> {
            let news = agents.news(failed(names)).into_iter();
            news.map(|(agent, _)| agent).collect()
        };
        assert_eq!(told(&["a/one"]), ["a/one"]);
        assert_eq!(told(&["a/one", "a/two"]), ["a/two"]);
        assert!(told(&["a/two"]).is_empty());
        assert_eq!(told(&["a/one", "a/two"]), ["a/one"], "it was up in between");
    }

    #[test]
    fn a_member_that_goes_and_comes_back_is_told_and_a_suspicion_or_a_first_sight_is_not() {
        let mut members = Members::default();
        let mut told = |seen: &[(&str, State)]| -> Vec<(EventType, String)> {
            let seen = seen
                .iter()
                .map(|(name, state)| (PeerName::from(*name), *state));
            let news = members.news(seen).into_iter();
            news.map(|(kind, name, _)| (kind, name.to_string()))
                .collect()
        };
        let nothing: [(EventType, String); 0] = [];
        assert_eq!(told(&[("a", State::Alive), ("b", State::Down)]), nothing);
        assert_eq!(
            told(&[("a", State::Suspect), ("b", State::Suspect)]),
            nothing
        );
        assert_eq!(
            told(&[("a", State::Down), ("b", State::Alive)]),
            [
                (EventType::MemberDown, "a".to_owned()),
                (EventType::MemberReturned, "b".to_owned())
            ]
        );
        assert_eq!(
            told(&[("a", State::Suspect), ("b", State::Left)]),
            [(EventType::MemberDown, "b".to_owned())]
        );
        assert_eq!(told(&[]), nothing, "they were taken out");
        assert_eq!(told(&[("a", State::Alive)]), nothing, "it is another");
    }
}
