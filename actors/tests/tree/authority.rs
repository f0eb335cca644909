//! What agents narrow, hand on and do on behalf of others, from reaction to hop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use caxton_actors::{
    envelope::{Delivery, Envelope, Performative, Step},
    gateway::Gateway,
    ports::{Accepts, Authorship, Desired, Draft, Ids as _, Ledger as _, Reaction},
    registry::Deployment,
};
use caxton_capabilities::{
    Address, Caveats, Narrowing, Principal, Refusal, Revoked, Rights, Token, Verified,
};

use crate::stage::{Stage, World, draft};

const ASKER: &str = "acme/asker";
const HELPER: &str = "acme/helper";
const TOOL: &str = "acme/tool";
const OTHER: &str = "acme/other";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn only(right: &str) -> Narrowing {
    Narrowing {
        rights: Some(Rights::try_new([right.parse().unwrap()]).unwrap()),
        caveats: Caveats::default(),
    }
}

fn send(world: &World, to: &str, authority: Authorship) -> Draft {
    Draft {
        authority,
        ..draft(world.message(), Performative::Inform, to)
    }
}

fn with(token: Verified) -> Authorship {
    Authorship {
        token: Some(token),
        handed_on: None,
    }
}

/// What the helper holds for the asker: what came with the message.
fn taken_up(gateway: &Gateway, handled: &Envelope) -> Result<Verified, Refusal> {
    let part = handled.handed_on.as_ref().unwrap();
    gateway.seal(&address(HELPER), &gateway.handed_on(part)?)
}

/// The asker hands on the right to send to the tool, and nothing else; the tool takes messages from the asker alone; the
/// helper's own token does not give it. The helper sends what `sends` says.
async fn stage(
    sends: impl Fn(&World, Verified) -> Vec<Draft> + Send + Sync + 'static,
) -> (Stage, Arc<Mutex<Vec<Arc<Envelope>>>>) {
    let stage = Stage::new().await;
    let (gateway, world) = (stage.tree.gateway.clone(), Arc::clone(&stage.world));
    stage.play(ASKER, move |handled| {
        // The health message is no task.
        if handled.sender == Principal::Node {
            return Ok(Reaction::default());
        }
        let (asker, helper) = (address(ASKER), address(HELPER));
        let own = gateway.own(&asker).unwrap();
        let part = gateway.hand_on(&asker, &own, (&helper, only("send acme/tool")));
        let authority = Authorship {
            token: None,
            handed_on: Some(part.unwrap()),
        };
        Ok(Reaction {
            sent: vec![send(&world, HELPER, authority)],
            ..Reaction::default()
        })
    });
    let (gateway, world) = (stage.tree.gateway.clone(), Arc::clone(&stage.world));
    stage.play(HELPER, move |handled| {
        let sent = match &handled.handed_on {
            Some(_) => sends(&world, taken_up(&gateway, handled).unwrap()),
            None => Vec::new(),
        };
        Ok(Reaction {
            sent,
            ..Reaction::default()
        })
    });
    let taken: Arc<Mutex<Vec<_>>> = Arc::default();
    for name in [TOOL, OTHER] {
        let taken = Arc::clone(&taken);
        stage.play(name, move |handled| {
            if handled.sender != Principal::Node {
                taken.lock().unwrap().push(Arc::new(handled.clone()));
            }
            Ok(Reaction::default())
        });
    }
    for (name, right) in [
        (ASKER, "send acme/*"),
        (HELPER, "send acme/asker"),
        (TOOL, "send acme/*"),
        (OTHER, "send acme/*"),
    ] {
        let wish = Deployment {
            rights: vec![right.to_owned()],
            accepts: Accepts {
                senders: match name {
                    TOOL => vec![ASKER.to_owned()],
                    _ => Vec::new(),
                },
                ..Accepts::default()
            },
            ..Stage::wish(name, 1, &[])
        };
        stage.tree.registry.deploy(wish, false).await.unwrap();
    }
    (stage, taken)
}

async fn ask(stage: &Stage, delivery: Delivery) {
    let order = stage.order(ASKER, "x", delivery);
    stage.tree.gateway.send(order).await.unwrap();
}

/// The hops of messages from `sender` to `receiver`, once there is one that ends one of them.
async fn hops(stage: &Stage, sender: &str, receiver: &str) -> Vec<Step> {
    let (sender, receiver): (Principal, Principal) =
        (sender.parse().unwrap(), receiver.parse().unwrap());
    let found = || {
        let all = stage.world.hops.lock().unwrap();
        let is_between = |step: &Step| matches!(step, Step::Accepted { sender: from, receiver: to, .. } if *from == sender && *to == receiver);
        let messages: Vec<_> = all
            .iter()
            .filter(|hop| is_between(&hop.step))
            .map(|hop| hop.message)
            .collect();
        let of_them = all.iter().filter(|hop| messages.contains(&hop.message));
        of_them.map(|hop| hop.step.clone()).collect::<Vec<_>>()
    };
    let is_over = |step: &Step| matches!(step, Step::Handled { .. } | Step::Refused { .. });
    until(|| found().iter().any(is_over)).await;
    found()
}

/// Returns once it is so. Time stands still but for this.
async fn until(is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(10), look).await;
    looked.expect("it never was so");
}

/// Reasons for which something was refused.
fn refused(stage: &Stage) -> Vec<String> {
    let all = stage.world.hops.lock().unwrap();
    let reasons = all.iter().filter_map(|hop| match &hop.step {
        Step::Refused { reason, .. } | Step::Unsent { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    reasons.collect()
}

fn chain(steps: &[Step]) -> Vec<String> {
    let accepted = steps.iter().find_map(|step| match step {
        Step::Accepted { chain, .. } => Some(chain),
        _ => None,
    });
    accepted.unwrap().iter().map(ToString::to_string).collect()
}

/// Takes back the token of an agent.
async fn take_back(stage: &Stage, agent: &str) {
    let record = stage.tree.registry.get(address(agent)).await.unwrap();
    let token = Token::from_bytes(&record.current_version().unwrap().token).unwrap();
    let revoked = Revoked::try_new(2, token.ids().last().copied(), []).unwrap();
    stage
        .change_standing(|standing| standing.revoked = revoked)
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_was_handed_a_part_reaches_the_tool_on_behalf_of_the_asker_and_nobody_else() {
    let (stage, taken) = stage(|world, part| {
        vec![
            send(world, OTHER, with(part.clone())),
            send(world, TOOL, Authorship::default()),
            send(world, TOOL, with(part)),
        ]
    })
    .await;
    ask(&stage, Delivery::AtMostOnce).await;
    let steps = hops(&stage, HELPER, TOOL).await;
    assert_eq!(chain(&steps), ["operator:admin", ASKER, HELPER]);
    let first = hops(&stage, ASKER, HELPER).await;
    assert_eq!(chain(&first), ["operator:admin", ASKER]);
    let taken = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0].sender, HELPER.parse().unwrap());
    assert_eq!(*taken[0].behalf, [ASKER.parse().unwrap()]);
    assert_eq!(taken[0].handed_on, None, "it ends with who it was for");
    let refused = refused(&stage);
    let expected = ["acme/other: the sender", "acme/tool: the sender"];
    for start in
        expected.map(|end| format!("not permitted to send {end}'s capability token: block"))
    {
        assert_eq!(
            refused.iter().filter(|why| why.starts_with(&start)).count(),
            1,
            "{start}: {refused:?}"
        );
    }
    assert!(refused.iter().all(|why| why.ends_with("no right gives it")));
}

#[tokio::test(start_paused = true)]
async fn what_waits_on_behalf_of_another_ends_with_the_token_of_either() {
    for whose in [ASKER, HELPER] {
        let (stage, taken) = stage(|world, part| vec![send(world, TOOL, with(part))]).await;
        let registry = &stage.tree.registry;
        let order = |desired| registry.set_desired(address(TOOL), desired);
        let tool = order(Desired::Stopped).await.unwrap().id;
        ask(&stage, Delivery::AtLeastOnce).await;
        until(|| stage.ledger.pending(tool, 0, 10).unwrap().len() == 1).await;
        take_back(&stage, whose).await;
        order(Desired::Running).await.unwrap();
        let steps = hops(&stage, HELPER, TOOL).await;
        let ends = steps.iter().any(
            |step| matches!(step, Step::Refused { kind: "revoked", reason } if reason.contains("revoked")),
        );
        assert!(ends, "{whose}: {steps:?}");
        assert!(taken.lock().unwrap().is_empty(), "{whose}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_meanwhile_is_not_taken_up() {
    let (stage, _) = stage(|_, _| Vec::new()).await;
    let gateway = &stage.tree.gateway;
    let own = gateway.own(&address(ASKER)).unwrap();
    let helper = address(HELPER);
    let part = gateway.hand_on(&address(ASKER), &own, (&helper, Narrowing::default()));
    let part = part.unwrap();
    assert!(gateway.handed_on(&part).is_ok());
    // It is the helper's: the tool's runtime has another key.
    let held = gateway.handed_on(&part).unwrap();
    let by_another = gateway.seal(&address(TOOL), &held).unwrap_err();
    assert!(by_another.to_string().contains("holder"), "{by_another}");
    take_back(&stage, ASKER).await;
    let refused = gateway.handed_on(&part).unwrap_err();
    assert!(refused.to_string().contains("revoked"), "{refused}");
    assert!(gateway.own(&address(HELPER)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_with_less_is_refused_beyond_it_and_its_sender_hears_why() {
    let stage = Stage::new().await;
    let (gateway, world) = (stage.tree.gateway.clone(), Arc::clone(&stage.world));
    stage.play(ASKER, move |handled| {
        if !matches!(handled.sender, Principal::Operator(_)) {
            return Ok(Reaction::default());
        }
        let asker = address(ASKER);
        let own = gateway.own(&asker).unwrap();
        let less = gateway
            .narrow(&asker, &own, only("send acme/tool"))
            .unwrap();
        let more = gateway.narrow(&asker, &less, only("send acme/other"));
        assert!(matches!(more, Err(Refusal::Extend(_))), "{more:?}");
        let sealed = gateway.seal(&asker, &less).unwrap();
        let to = |name| send(&world, name, with(sealed.clone()));
        Ok(Reaction {
            sent: vec![to(OTHER), to(TOOL)],
            ..Reaction::default()
        })
    });
    for name in [TOOL, OTHER] {
        stage.play(name, |_| Ok(Reaction::default()));
    }
    for name in [ASKER, TOOL, OTHER] {
        stage.deploy(name, &[]).await;
    }
    ask(&stage, Delivery::AtMostOnce).await;
    let steps = hops(&stage, ASKER, TOOL).await;
    assert_eq!(chain(&steps), ["operator:admin", ASKER]);
    let told = hops(&stage, "node", ASKER).await;
    assert!(!told.is_empty());
    let refused = refused(&stage);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("send acme/other"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn who_acts_for_another_needs_a_token_of_its_own_that_counts() {
    let (stage, taken) = stage(|world, part| vec![send(world, TOOL, with(part))]).await;
    take_back(&stage, HELPER).await;
    ask(&stage, Delivery::AtMostOnce).await;
    hops(&stage, ASKER, HELPER).await;
    let is_told = || {
        refused(&stage)
            .iter()
            .any(|why| why.contains("was revoked"))
    };
    until(is_told).await;
    assert!(taken.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_chosen_before_it_was_taken_back_does_not_count_after() {
    let (stage, taken) = stage(|_, _| Vec::new()).await;
    let gateway = stage.tree.gateway.clone();
    let (asker, helper) = (address(ASKER), address(HELPER));
    let own = gateway.own(&asker).unwrap();
    let part = gateway.hand_on(&asker, &own, (&helper, only("send acme/tool")));
    let held = gateway.handed_on(&part.unwrap()).unwrap();
    let chosen = gateway.seal(&helper, &held).unwrap();
    let world = Arc::clone(&stage.world);
    stage.play(HELPER, move |handled| {
        // What the node says is not answered: that would not end.
        let sent = match handled.sender {
            Principal::Operator(_) => vec![send(&world, TOOL, with(chosen.clone()))],
            Principal::Agent(_) | Principal::Node => Vec::new(),
        };
        Ok(Reaction {
            sent,
            ..Reaction::default()
        })
    });
    let again = Stage::wish(HELPER, 2, &[]);
    stage.tree.registry.deploy(again, false).await.unwrap();
    let order = || stage.order(HELPER, "x", Delivery::AtMostOnce);
    stage.tree.gateway.send(order()).await.unwrap();
    hops(&stage, HELPER, TOOL).await;
    assert_eq!(taken.lock().unwrap().len(), 1);
    take_back(&stage, ASKER).await;
    stage.tree.gateway.send(order()).await.unwrap();
    until(|| {
        refused(&stage)
            .iter()
            .any(|why| why.contains("was revoked"))
    })
    .await;
    assert_eq!(taken.lock().unwrap().len(), 1);
}
