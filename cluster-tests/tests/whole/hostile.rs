//! Hostile programs on a whole node: each ends in its named fault, a good agent beside it answers all
//! the while, and the node's memory stays where it was.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use caxton_api::{
    paths,
    types::{Deployment, LogLine, SendMessage},
};
use caxton_cli::client::Request;
use caxton_cluster_tests::{
    Home,
    guest::{FOREVER, NOTHING, echo, guest},
    operator::{Operator, message},
};
use futures_util::future::join;

use crate::{BINARY, node, resident_kib};

/// What the node may grow by: two instances' memory (64 MiB by default), their programs, and what the
/// allocator keeps. A bomb that got through would have taken gigabytes.
const GROWTH_KIB_MAX: u64 = 192 << 10;
/// A block that costs a compiler much more than it has bytes.
const COSTLY: &str = "(if (i32.eqz (local.get 1)) (then (local.set 1 (i32.add (local.get 2) (local.get 1)))) \
     (else (local.set 2 (i32.mul (local.get 1) (local.get 2)))))";

/// What a program is handed, and the limits it has.
struct Hostile {
    name: &'static str,
    wasm: Vec<u8>,
    limits: &'static [(&'static str, u64)],
    bytes: usize,
}

fn hostile(name: &'static str, items: &str, body: &str) -> Result<Hostile> {
    // It behaves towards the health message, which is a query, and shows itself to a request.
    let disguise = format!(
        "(if (i32.eq (i32.load8_u offset=8 (local.get $m)) (i32.const 1)) (then (return {NOTHING})))"
    );
    let wasm = guest(items, &format!("{disguise} {body}")).with_context(|| name.to_owned())?;
    let limits = &[("cpu", 100), ("wall", 30_000), ("host_calls", 1_000)];
    Ok(Hostile {
        name,
        wasm,
        limits,
        bytes: 5,
    })
}

impl Hostile {
    fn wish(&self, program: String) -> Deployment {
        let limits = self.limits.iter();
        let limits: BTreeMap<String, u64> = limits
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        Deployment {
            program,
            limits,
            ..Deployment::default()
        }
    }
}

/// Programs that start, with the fault that a message ends them in.
fn in_a_reaction() -> Result<Vec<(Hostile, &'static str)>> {
    let grow = "(loop $again (br_if $again (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable";
    let fill = "(loop $again (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br $again)) unreachable";
    let deep = "(func $deep (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))";
    let ask = "(loop $again (call $get (i32.const 2064) (i32.const 4) (i32.const 256)) (br $again)) unreachable";
    let table = "(if (i32.eq (i32.const -1) (table.grow $t (ref.null func) (i32.const 1000000))) (then unreachable))";
    let huge = "(call $reply (local.get $m) (i32.const 0) (i32.const 2000000000))";
    let large = "(drop (memory.grow (i32.const 32))) (call $reply (local.get $m) (i32.const 0) (i32.const 2000000))";
    let huge_message = Hostile {
        bytes: 300 << 10,
        ..hostile("huge-message", "", NOTHING)?
    };
    Ok(vec![
        (hostile("looping", "", FOREVER)?, "out-of-cpu-time"),
        (hostile("filling", "", fill)?, "out-of-cpu-time"),
        (hostile("growing", "", grow)?, "out-of-memory"),
        (
            hostile(
                "tables",
                "(table $t 10 funcref)",
                &format!("{table} {NOTHING}"),
            )?,
            "trap",
        ),
        (
            hostile("recursing", deep, "(call $deep (i32.const 0))")?,
            "trap",
        ),
        (hostile("asking", "", ask)?, "over-limit"),
        (hostile("huge-reply", "", huge)?, "trap"),
        (hostile("large-reply", "", large)?, "over-limit"),
        (huge_message, "over-limit"),
        (hostile("trapping", "", "unreachable")?, "trap"),
    ])
}

/// Programs that never start, with the code of the refusal and a word of its reason.
fn before_a_reaction() -> Result<Vec<(Hostile, &'static str, &'static str)>> {
    let start = |name, body: &str| hostile(name, &format!("(func $s {body}) (start $s)"), NOTHING);
    let many: String = "(core instance (instantiate 0))".repeat(200);
    let instances = format!("(component (core module (memory 1)) {many})");
    let instances = Hostile {
        wasm: wat::parse_str(&instances)?,
        ..hostile("instances", "", NOTHING)?
    };
    Ok(vec![
        (
            start("start-loop", "(loop $again (br $again))")?,
            "CX0414",
            "out-of-cpu-time",
        ),
        (start("start-trap", "unreachable")?, "CX0414", "trap"),
        (start("start-deep", "(call $s)")?, "CX0414", "stack"),
        (
            hostile("table", "(table 65537 funcref)", NOTHING)?,
            "CX0413",
            "table elements",
        ),
        (instances, "CX0413", "core instances"),
    ])
}

/// Asks the good agent again and again; answers how often.
async fn neighbour(operator: &Operator, enough: &AtomicBool) -> Result<u32> {
    let mut answers = 0;
    while !enough.load(Ordering::Acquire) {
        let answer = operator.ask(message("good", "request", "there?")).await?;
        assert_eq!(answer, "there?");
        answers += 1;
    }
    Ok(answers)
}

/// Deploys each, sends it its message, and reads the fault from the answer and the dead letter.
async fn react(operator: &Operator) -> Result<()> {
    for (one, kind) in in_a_reaction()? {
        let name = one.name;
        let program = operator.upload(one.wasm.clone()).await.context(name)?;
        operator
            .deploy(name, &one.wish(program))
            .await
            .context(name)?;
        let waiting = SendMessage {
            wait_ms: Some(60_000),
            ..message(name, "request", &"x".repeat(one.bytes))
        };
        let sent = operator.send(&waiting, None).await.context(name)?;
        let answer = sent.answer.context("no answer")?;
        let content = answer.content.unwrap_or_default();
        assert_eq!(answer.performative, "failure", "{name}: {content}");
        assert!(
            content.contains(&format!("\"{kind}\"")),
            "{name}: {content}"
        );
        let letters = operator.dead_letters().await?;
        let letter = letters.iter().find(|letter| letter.message == sent.message);
        assert_eq!(
            letter
                .with_context(|| format!("{name}: no dead letter"))?
                .fault,
            kind
        );
        let agent = operator.agent(name).await?;
        assert_eq!(
            agent.state, "running",
            "{name}: a fault of the program is not one of its actor"
        );
        assert!(
            agent.last_error.unwrap_or_default().contains(kind),
            "{name}"
        );
    }
    Ok(())
}

/// Deploys what must not even start.
async fn refuse(operator: &Operator) -> Result<()> {
    for (one, code, why) in before_a_reaction()? {
        let refused = match operator.upload(one.wasm.clone()).await {
            Ok(program) => operator
                .deploy(one.name, &one.wish(program))
                .await
                .map(|_| ()),
            Err(refused) => Err(refused),
        };
        let refused = refused.expect_err(one.name);
        assert_eq!(refused.code, code, "{}: {refused:?}", one.name);
        assert!(
            format!("{refused:?}").contains(why),
            "{}: {refused:?}",
            one.name
        );
        assert_eq!(
            operator.agent(one.name).await.unwrap_err().status,
            Some(404)
        );
    }
    Ok(())
}

/// A log without end is cut to its rate, and the agent goes on.
async fn flood_the_log(operator: &Operator) -> Result<()> {
    let flood = "(loop $again (call $log (i32.const 1) (i32.const 2064) (i32.const 10))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 900))))
        (call $reply (local.get $m) (i32.const 2064) (i32.const 4))";
    let flood = hostile("flooding", "", flood)?;
    let program = operator.upload(flood.wasm.clone()).await?;
    operator.deploy("flooding", &flood.wish(program)).await?;
    assert_eq!(
        operator.ask(message("flooding", "request", "")).await?,
        "text"
    );
    let path = paths::fill(paths::AGENT_LOGS, &["default", "flooding"]);
    let lines: Vec<LogLine> = operator.client.list(Request::get(path), 1_000).await?;
    assert!(
        (1..100).contains(&lines.len()),
        "{} lines of 900",
        lines.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_programs_end_in_their_faults_while_a_good_agent_answers() -> Result<()> {
    let (_home, node, operator) = node()?;
    operator
        .run("good", &operator.upload(echo()?).await?)
        .await?;
    operator.ask(message("good", "request", "warm")).await?;
    let before = resident_kib(&node)?;
    let enough = AtomicBool::new(false);
    let harm = async {
        let harm = async {
            react(&operator).await?;
            refuse(&operator).await?;
            flood_the_log(&operator).await
        };
        let done = harm.await;
        enough.store(true, Ordering::Release);
        done
    };
    let (answers, harm) = join(neighbour(&operator, &enough), harm).await;
    harm?;
    let (answers, after) = (answers?, resident_kib(&node)?);
    println!("{answers} answers beside it; resident {before} KiB before, {after} KiB after");
    assert!(answers > 50, "{answers}");
    assert!(
        after < before + GROWTH_KIB_MAX,
        "{before} KiB before, {after} KiB after"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_bomb_is_refused_while_the_node_serves() -> Result<()> {
    let home = Home::new(BINARY)?;
    let config = home.path().join("node.yaml");
    std::fs::write(&config, "compile:\n  cpu_max: 2s\n")?;
    let _node = home.start_node(&["--ephemeral", "--config", config.to_str().unwrap()])?;
    let operator = Operator {
        client: home.client()?,
    };
    operator
        .run("good", &operator.upload(echo()?).await?)
        .await?;
    let function = format!(
        "(func (export \"bomb\") (param i32 i32 i32) (result i32) {} (local.get 2))",
        COSTLY.repeat(60_000)
    );
    let bomb = guest(&function, NOTHING)?;
    let enough = AtomicBool::new(false);
    let upload = async {
        let refused = operator.upload(bomb).await;
        enough.store(true, Ordering::Release);
        refused
    };
    let (answers, refused) = join(neighbour(&operator, &enough), upload).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.status, Some(422), "{refused:?}");
    assert_eq!(refused.code, "CX0413", "{refused:?}");
    assert!(format!("{refused:?}").contains("cpu"), "{refused:?}");
    assert!(answers? > 10);
    Ok(())
}
