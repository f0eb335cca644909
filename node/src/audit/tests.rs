//! The audit log of a node, running.

use caxton_audit::{Ending, EventType, Terms, verify};

use std::fs;

use super::*;

const OWNER: Owner<'static> = Owner {
    id: "spiffe://acme.example/node/node-1",
};

fn event(environment: &Environment) -> Event {
    let kind = EventType::AuthorizationAllow;
    Event::new(now(environment), kind, "operator:ada", "deploy", "acme/one")
}

#[tokio::test]
async fn what_is_recorded_is_verified_and_goes_on_after_a_restart() {
    let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let audit = Audit::start(data.path(), &OWNER, &environment)
            .await
            .unwrap();
        let all = (0..50).map(|_| audit.record(event(&environment)));
        for recorded in futures_util::future::join_all(all).await {
            assert_eq!(recorded, Ok(()));
        }
        sizes.push(audit.checkpoint().checkpoint().size);
        let report = verify(audit.folder(), &Terms::new(audit.verifier())).unwrap();
        assert_eq!(
            (report.lines, report.findings.len()),
            (sizes.last().copied().unwrap(), 0)
        );
        audit.close().await;
        assert_eq!(
            audit.record(event(&environment)).await,
            Err(Unaudited::Closed)
        );
    }
    assert_eq!(sizes, [51, 102], "each start is an event");
}

#[tokio::test]
async fn a_flood_of_refusals_is_two_events() {
    let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
    let audit = Audit::start(data.path(), &OWNER, &environment)
        .await
        .unwrap();
    for _ in 0..100 {
        let refused = event(&environment).ended(Ending::Denied, "no rule permits it");
        assert_eq!(audit.record(refused).await, Ok(()));
    }
    assert_eq!(
        audit.checkpoint().checkpoint().size,
        2,
        "its start, and one of the flood"
    );
    audit.close().await;
    assert_eq!(
        audit.checkpoint().checkpoint().size,
        3,
        "and how many there were"
    );
}

#[tokio::test]
async fn another_nodes_log_is_not_gone_on_with() {
    let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
    let audit = Audit::start(data.path(), &OWNER, &environment)
        .await
        .unwrap();
    audit.close().await;
    let other = Owner {
        id: "spiffe://acme.example/node/node-2",
    };
    assert!(
        Audit::start(data.path(), &other, &environment)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_has_no_room_is_told_by_its_number_and_takes_no_room_from_who_waits() {
    let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
    let audit = Audit::start(data.path(), &OWNER, &environment)
        .await
        .unwrap();
    let telling = &audit.telling;
    let down = || audit.event(EventType::MemberDown, "see", "node-2");
    let refused = || event(&environment).ended(Ending::Denied, "no rule permits it");
    while telling.enter(&refused()) {}
    assert!(telling.enter(&down()), "refusals have half of the room");
    while telling.enter(&down()) {}
    audit.tell(down());
    assert_eq!(audit.record(event(&environment)).await, Ok(()));
    audit.close().await;
    let text = fs::read_to_string(audit.folder().join(format!("segment-{:020}.log", 0))).unwrap();
    let missing = text.lines().filter_map(|line| {
        let (before, _) = line.split_once(" events are missing")?;
        before.rsplit_once('"')?.1.parse::<u64>().ok()
    });
    assert_eq!(
        missing.sum::<u64>(),
        3,
        "each loop ended with one, and one was told: {text}"
    );
    assert!(!text.contains("member_down"), "{text}");
}

#[tokio::test]
async fn what_happened_is_told_in_its_order_and_before_the_log_is_closed() {
    let (data, environment) = (tempfile::tempdir().unwrap(), Arc::new(Environment::new()));
    let audit = Audit::start(data.path(), &OWNER, &environment)
        .await
        .unwrap();
    for member in 0..300 {
        audit.tell(audit.event(EventType::MemberDown, "see", &format!("node-{member}")));
    }
    audit.close().await;
    let text = fs::read_to_string(audit.folder().join(format!("segment-{:020}.log", 0))).unwrap();
    let told = text.lines().filter(|line| line.contains("member_down"));
    let named = |(at, line): (usize, &str)| line.contains(&format!("\"node-{at}\""));
    assert_eq!(told.clone().count(), 300);
    assert!(told.enumerate().all(named), "{text}");
}
