//! What programs narrow, hand on and do on behalf of others: no more than was handed on, for as long as the message is
//! handled, and with everybody in the trace.

use anyhow::{Context as _, Result};
use caxton_api::{
    paths,
    types::{Accepts, Deployment, Sent},
};
use caxton_cluster_tests::{
    Home,
    guest::acting::{Deed, acting},
    operator::{Operator, durable, message, until},
};

use crate::{
    BINARY, node,
    revoked::{token_of, traced},
};

const ASKER: (&str, &str) = ("asker", "default/asker");
const HELPER: (&str, &str) = ("helper", "default/helper");
const TOOL: (&str, &str) = ("tool", "default/tool");
const TO_TOOL: &str = "send default/tool";

/// An agent that does so, whose token gives `right`, and that takes messages of `from` where that is said.
async fn deploy(
    operator: &Operator,
    agent: &str,
    deeds: &[Deed<'_>],
    (right, from): (&str, Option<&str>),
) -> Result<()> {
    let wish = Deployment {
        program: operator.upload(acting(deeds)?).await?,
        rights: Some(vec![right.to_owned()]),
        accepts: from.map(|from| Accepts {
            senders: vec![from.to_owned()],
            ..Accepts::default()
        }),
        ..Deployment::default()
    };
    operator.deploy(agent, &wish).await?;
    Ok(())
}

/// The asker hands on that the helper may send to the tool, which takes messages of the asker alone. The helper, whose own
/// token does not give that, acts for the asker and sends to `to`.
async fn stage(operator: &Operator, to: &str) -> Result<()> {
    let hands_on = [Deed::HandOn("helper", TO_TOOL), Deed::Send("helper")];
    deploy(operator, ASKER.0, &hands_on, ("send default/*", None)).await?;
    let acts = [Deed::ActForSender, Deed::Send(to)];
    deploy(operator, HELPER.0, &acts, ("send default/asker", None)).await?;
    deploy(operator, TOOL.0, &[], ("send default/*", Some(ASKER.1))).await
}

async fn ask(operator: &Operator, agent: &str) -> Result<Sent> {
    Ok(operator.send(&message(agent, "inform", "x"), None).await?)
}

/// Why the message of the operator's trace between these failed.
async fn failure(operator: &Operator, sent: &Sent, ends: (&str, &str)) -> Result<String> {
    let failed = traced(operator, sent, ends, "failed").await?;
    failed.reason.context("no reason")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_sends_with_less_is_refused_beyond_it_with_the_reason() -> Result<()> {
    let (_home, _node, operator) = node()?;
    deploy(&operator, TOOL.0, &[], ("send default/*", None)).await?;
    let within = [Deed::Narrow(TO_TOOL), Deed::Send("tool")];
    deploy(&operator, ASKER.0, &within, ("send default/*", None)).await?;
    let sent = ask(&operator, ASKER.0).await?;
    let handled = traced(&operator, &sent, (ASKER.1, TOOL.1), "handled").await?;
    assert_eq!(handled.chain, ["operator:admin", ASKER.1]);
    let from_operator = ("operator:admin", ASKER.1);
    // Elsewhere, with more than it has, and with another's after it was narrowed.
    let beyond: [(&[Deed<'_>], &str); 3] = [
        (
            &[Deed::Narrow("send default/asker"), Deed::Send("tool")],
            "no right gives it",
        ),
        (&[Deed::Narrow("send *")], "widens"),
        (&[Deed::Narrow(TO_TOOL), Deed::ActForSender], "stays so"),
    ];
    for (deeds, why) in beyond {
        deploy(&operator, ASKER.0, deeds, ("send default/*", None)).await?;
        let sent = ask(&operator, ASKER.0).await?;
        let reason = failure(&operator, &sent, from_operator).await?;
        assert!(
            reason.contains("denied: ") && reason.contains(why),
            "{reason}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_acts_for_who_asked_it_within_what_was_handed_on_and_for_nobody_else() -> Result<()>
{
    let (_home, _node, operator) = node()?;
    stage(&operator, "tool").await?;
    let sent = ask(&operator, ASKER.0).await?;
    let handled = traced(&operator, &sent, (HELPER.1, TOOL.1), "handled").await?;
    assert_eq!(handled.chain, ["operator:admin", ASKER.1, HELPER.1]);
    // Nothing was handed on with this one, and nothing is left of what was with the other.
    let sent = ask(&operator, HELPER.0).await?;
    let reason = failure(&operator, &sent, ("operator:admin", HELPER.1)).await?;
    assert!(reason.contains("handed on nothing"), "{reason}");
    // Of its own it may not, and acting for the asker it may nothing else.
    let own = [Deed::Send("tool")];
    deploy(&operator, HELPER.0, &own, ("send default/asker", None)).await?;
    let sent = ask(&operator, ASKER.0).await?;
    let reason = failure(&operator, &sent, (ASKER.1, HELPER.1)).await?;
    assert!(reason.contains("no right gives it"), "{reason}");
    let elsewhere = [Deed::ActForSender, Deed::Send("asker")];
    deploy(
        &operator,
        HELPER.0,
        &elsewhere,
        ("send default/asker", None),
    )
    .await?;
    let sent = ask(&operator, ASKER.0).await?;
    let reason = failure(&operator, &sent, (ASKER.1, HELPER.1)).await?;
    assert!(reason.contains("no right gives it"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_on_behalf_of_an_agent_ends_with_the_token_of_that_agent() -> Result<()> {
    let (home, _node, operator) = node()?;
    stage(&operator, "tool").await?;
    operator.order(paths::AGENT_STOP, TOOL.0).await?;
    let sent = operator
        .send(&durable(ASKER.0, "inform", "x"), None)
        .await?;
    let ends = (HELPER.1, TOOL.1);
    traced(&operator, &sent, ends, "accepted").await?;
    let (id, _) = token_of(&home, ASKER.1)?;
    home.run(["revoke", "token", &id, "--yes"])?.expect(0)?;
    operator.order(paths::AGENT_START, TOOL.0).await?;
    let refused = traced(&operator, &sent, ends, "refused").await?;
    let reason = refused.reason.context("no reason")?;
    assert!(reason.starts_with("revoked: "), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_waits_with_its_message_across_a_restart_of_the_node() -> Result<()> {
    let home = Home::new(BINARY)?;
    let node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    stage(&operator, "tool").await?;
    operator.order(paths::AGENT_STOP, HELPER.0).await?;
    let sent = operator
        .send(&durable(ASKER.0, "inform", "x"), None)
        .await?;
    traced(&operator, &sent, (ASKER.1, HELPER.1), "accepted").await?;
    until("the asker is done", async || {
        let status = operator.status(&sent.message).await?;
        Ok((status.state == "done").then_some(()))
    })
    .await?;
    assert!(node.stop()?.success());

    let _node = home.start_node(&[])?;
    let operator = Operator {
        client: home.client()?,
    };
    operator.order(paths::AGENT_START, HELPER.0).await?;
    let handled = traced(&operator, &sent, (HELPER.1, TOOL.1), "handled").await?;
    assert_eq!(handled.chain, ["operator:admin", ASKER.1, HELPER.1]);
    Ok(())
}
