//! Clusters of machines in network namespaces, with the faults of real networks: the kernel loses, doubles and keeps
//! packets, links flap, processes stand still and are killed.
//!
//! What the kernel and the processes do is not repeatable to the packet: a seed gives the same steps in the same order
//! again, not the same interleaving. `node/mesh/src/sim` has a network that does.

use std::{net::UdpSocket, thread, time::Duration};

use anyhow::{Result, ensure};
use caxton_cluster_tests::{
    late::{self, Lateness},
    network::{Fault, Network, Seed},
    scenario::{
        SLOW, Scenario,
        Step::{Clock, Faults, Kill, Pause, Resume, Runs, Says, Sees, Start, StaysWhole},
    },
};
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_caxton-under-test");

const ALIVE: [&str; 3] = ["alive"; 3];

fn play(
    name: &'static str,
    machines: usize,
    steps: Vec<caxton_cluster_tests::scenario::Step>,
) -> Result<()> {
    let scenario = Scenario {
        name,
        machines,
        steps,
    };
    scenario.play(BINARY)?;
    Ok(())
}

/// What the fault itself does, so that nobody is praised for bearing one that is not there.
#[test]
fn late_packets_all_arrive_late_and_overtake_each_other() -> Result<()> {
    const PACKETS: u8 = 100;
    if !Network::can_be_late() {
        eprintln!("SKIPPED: packets are not late: `iptables` is missing");
        return Ok(());
    }
    let Some(mut network) = Network::new(2)? else {
        return Ok(());
    };
    let lateness = Lateness {
        ms: 40,
        jitter_ms: 40,
    };
    network.faults(1, &[Fault::Late(lateness)])?;
    let socket_at = |machine: usize| -> Result<UdpSocket> {
        let name = network.name(machine)?.to_owned();
        let address = (network.address(machine), 9_999);
        let opened = thread::spawn(move || -> Result<UdpSocket> {
            late::enter(&name)?;
            Ok(UdpSocket::bind(address)?)
        });
        opened.join().expect("it does not panic")
    };
    let (from, to) = (socket_at(0)?, socket_at(1)?);
    to.set_read_timeout(Some(Duration::from_secs(10)))?;
    let begun = Instant::now();
    for number in 0..PACKETS {
        from.send_to(&[number], to.local_addr()?)?;
    }
    let mut found = Vec::new();
    for _ in 0..PACKETS {
        let mut packet = [0];
        to.recv(&mut packet)?;
        ensure!(begun.elapsed() >= Duration::from_millis(lateness.ms));
        found.extend(packet);
    }
    ensure!(!found.is_sorted(), "in order: {found:?}");
    found.sort_unstable();
    ensure!(found.iter().copied().eq(0..PACKETS), "{found:?}");
    Ok(())
}

#[test]
fn machines_over_a_network_become_one_cluster_and_bad_links_accuse_nobody() -> Result<()> {
    let bad = vec![Fault::Loss(20), Fault::Doubled(10)];
    let steps = vec![
        Faults(1, bad.clone()),
        Faults(2, bad),
        StaysWhole(0, 40),
        StaysWhole(2, 40),
        Faults(1, Vec::new()),
        Faults(2, Vec::new()),
        // Packets that are late and overtake each other.
        Faults(1, vec![Fault::Late(SLOW), Fault::Loss(10)]),
        Faults(2, vec![Fault::Late(SLOW)]),
        StaysWhole(0, 40),
        StaysWhole(2, 40),
        Faults(1, Vec::new()),
        Faults(2, Vec::new()),
        // Only one direction is cut: it is reached through the third.
        Faults(1, vec![Fault::DeafTo(0)]),
        StaysWhole(0, 40),
        StaysWhole(2, 20),
        Faults(1, Vec::new()),
        Sees(0, ALIVE.into()),
        Sees(1, ALIVE.into()),
    ];
    play(
        "loss, doubled packets, late ones out of order, a one-way cut",
        3,
        steps,
    )
}

#[test]
fn what_is_dead_or_cut_off_is_seen_by_all_and_comes_back_as_itself() -> Result<()> {
    let third_down = vec!["alive", "alive", "down"];
    let steps = vec![
        Kill(2),
        Sees(0, third_down.clone()),
        Sees(1, third_down.clone()),
        Start(2),
        Sees(0, ALIVE.into()),
        Sees(2, ALIVE.into()),
        Faults(2, vec![Fault::Deaf]),
        Sees(0, third_down.clone()),
        Says(2, "isolated"),
        Says(0, "degraded"),
        Faults(2, Vec::new()),
        Sees(0, ALIVE.into()),
        Sees(1, ALIVE.into()),
        Sees(2, ALIVE.into()),
        Says(2, "healthy"),
        // Who stood still judges nobody when it goes on.
        Pause(2),
        Sees(0, third_down),
        Resume(2),
        StaysWhole(2, 1),
        Sees(0, ALIVE.into()),
        Sees(2, ALIVE.into()),
    ];
    play("a kill, a partition, a pause", 3, steps)
}

#[test]
fn an_emergency_renews_who_is_alive_and_who_was_away_comes_back_by_its_key() -> Result<()> {
    let rotate = vec![
        "security",
        "emergency-rotate",
        "--reason",
        "the test says so",
        "--yes",
    ];
    let steps = vec![
        Kill(2),
        Sees(0, vec!["alive", "alive", "down"]),
        Runs(0, rotate.clone()),
        StaysWhole(1, 0),
        Sees(1, vec!["alive", "alive", "down"]),
        Start(2),
        Sees(0, ALIVE.into()),
        Sees(2, ALIVE.into()),
        // Under bad links as well.
        Faults(1, vec![Fault::Loss(20)]),
        Runs(0, rotate),
        Faults(1, Vec::new()),
        Sees(0, ALIVE.into()),
        Sees(1, ALIVE.into()),
        Sees(2, ALIVE.into()),
        Runs(0, vec!["security", "rotate-root"]),
        Sees(2, ALIVE.into()),
        // Whose certificate was taken back does not come back by its key.
        Runs(
            0,
            vec![
                "security",
                "revoke",
                "--node-id",
                "node-3",
                "--reason",
                "key-compromise",
            ],
        ),
        Sees(0, vec!["alive", "alive", "down"]),
        Kill(2),
        Start(2),
        Says(2, "isolated"),
        Sees(0, vec!["alive", "alive", "down"]),
    ];
    play("an emergency while one is away", 3, steps)
}

#[test]
fn a_wall_clock_that_jumps_kills_nobody_and_one_before_all_certificates_believes_nobody()
-> Result<()> {
    let steps = vec![
        Clock(1, 3_600),
        StaysWhole(0, 40),
        StaysWhole(1, 20),
        Clock(1, 0),
        StaysWhole(1, 20),
        // A certificate holds from an hour before it was made: for this node they all lie ahead.
        Clock(2, -7_200),
        Sees(0, vec!["alive", "alive", "down"]),
        Clock(2, 0),
        Sees(0, ALIVE.into()),
        Sees(1, ALIVE.into()),
        Sees(2, ALIVE.into()),
    ];
    play("clocks that jump", 3, steps)
}

#[test]
fn faults_in_any_order_heal() -> Result<()> {
    let (mut seed, number) = Seed::from_environment(1)?;
    println!("CAXTON_SEED={number}");
    Scenario::random(&mut seed, 3, 4).play(BINARY)?;
    Ok(())
}
