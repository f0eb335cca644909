//! Lanes as a node uses them: with membership, renewed certificates and fresh keys.

use super::{handing, name, within};
use crate::{
    lane::{LaneEnd, SendError},
    membership::{
        State,
        tests::{mesh, mesh_serving, until},
    },
    testing::Ca,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_drops_no_message_and_a_member_that_goes_down_is_no_silence() {
    let ca = Ca::new();
    let (service, mut reads) = handing();
    let a = mesh(ca.credentials("a"), ca.trust(), 1, Vec::new());
    let seeds = vec![a.advertised()];
    let b = mesh_serving(ca.credentials("b"), ca.trust(), 1, seeds, service);
    for node in [&a, &b] {
        until(node, "both alive", |view| {
            view.of(State::Alive).count() == 2
        })
        .await;
    }
    let lane = a.lane(&name("b"), 1).unwrap();
    let first = lane.queue(vec![1]).await.unwrap();
    let mut read = within(reads.recv()).await.unwrap();
    let held = read.next().await;

    // Renewed on both ends; whichever of them has dialled dials anew.
    let before = a.certificate_of("b").unwrap().serial;
    a.replace_credentials(ca.credentials("a"));
    b.replace_credentials(ca.credentials("b"));
    a.rekey();
    b.rekey();
    let resumed = async {
        while a.watch().lanes().resumed == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within(resumed).await;
    assert_ne!(a.certificate_of("b").unwrap().serial, before);
    held.accept();
    assert_eq!(within(first).await, Ok(()));
    let second = lane.queue(vec![2]).await.unwrap();
    let unanswered = read.next().await;
    assert_eq!(unanswered.contents, [2]);

    b.stop().await;
    assert_eq!(within(second).await, Err(SendError::Unknown(LaneEnd::Gone)));
    let late = lane.send(vec![3]).await;
    assert_eq!(late, Err(SendError::NotSent(LaneEnd::Gone)));
    a.stop().await;
}
