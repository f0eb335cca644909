//! A message that is denied is told, with who sent it and to whom; one that is permitted is not.

use std::{sync::Arc, time::Duration};

use caxton_actors::{
    envelope::{Delivery, Performative},
    gateway::Passage,
    ports::{Ids as _, Reaction},
};
use tokio::sync::mpsc;

use crate::stage::{Stage, draft};

#[tokio::test(start_paused = true)]
async fn a_denied_message_is_told_with_its_sender_and_its_receiver_and_no_other_is() {
    let stage = Stage::new().await;
    let (tell, mut heard) = mpsc::channel(8);
    let world = Arc::clone(&stage.world);
    stage.play("acme/spy", move |message| {
        let mut reaction = Reaction::default();
        match message.sender.to_string().as_str() {
            "operator:admin" => {
                for receiver in ["acme/friend", "default/victim"] {
                    let act = Performative::Inform;
                    reaction.sent.push(draft(world.message(), act, receiver));
                }
            }
            // What becomes of it, and the trial.
            _ => tell.try_send(message.performative).unwrap(),
        }
        Ok(reaction)
    });
    for name in ["acme/friend", "default/victim"] {
        stage.play(name, |_| Ok(Reaction::default()));
        stage.deploy(name, &[]).await;
    }
    stage.deploy("acme/spy", &[]).await;
    while heard.try_recv().is_ok() {}

    let order = stage.order("acme/spy", "go", Delivery::AtMostOnce);
    stage.tree.gateway.send(order).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await;
    assert!(answer.unwrap().is_some(), "the spy is told");
    // A program that asks while it runs is denied before there is a message.
    let [spy, victim] = ["acme/spy", "default/victim"].map(|name| name.parse().unwrap());
    let passage = Passage {
        sender: &spy,
        receiver: &victim,
        delivery: Delivery::AtMostOnce,
        performative: Performative::Inform,
        bytes: 0,
        conversation: None,
        token: None,
        is_signed: false,
    };
    assert!(stage.tree.gateway.may_send(&passage).is_err());
    let once = ("acme/spy".to_owned(), "default/victim".to_owned());
    let denied = stage.world.denied.lock().unwrap().clone();
    assert_eq!(denied, [once.clone(), once]);
}
