use super::{
    checkers::Outcome,
    network::Rule,
    scenario::{Forgery, SETTLED, Scenario, Step},
    world::World,
};

#[track_caller]
fn check(scenario: &Scenario) -> Outcome {
    let outcome = World::run(scenario);
    let violations = outcome.violations.join("\n  ");
    assert!(outcome.violations.is_empty(), "{scenario}\n  {violations}");
    outcome
}

/// Seeds to run: many, or the one that is asked for.
fn seeds(count: u64) -> Vec<u64> {
    let asked = std::env::var_os("CAXTON_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    asked.map_or_else(|| (1..=count).collect(), |seed| vec![seed])
}

/// Runs what `scenario` makes of many seeds and adds up what they showed.
#[track_caller]
fn check_all(count: u64, scenario: impl Fn(u64) -> Scenario) -> Outcome {
    let mut sum = Outcome::default();
    for seed in seeds(count) {
        let outcome = check(&scenario(seed));
        sum.noticed.extend(outcome.noticed);
        sum.false_suspicions += outcome.false_suspicions;
        sum.refuted += outcome.refuted;
        sum.stale += outcome.stale;
        sum.relayed += outcome.relayed;
    }
    sum.noticed.sort_unstable();
    sum
}

/// Where in a sorted list.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// A cluster in which one node is killed, at an odd moment.
fn kill(seed: u64, nodes: usize) -> Scenario {
    let at = SETTLED + seed * 37 % 1_000;
    Scenario::quiet(seed, nodes, at + 6_000).at(at, Step::Crash(1))
}

#[test]
fn random_faults_leave_true_views() {
    let mut wrong = Vec::new();
    for seed in seeds(150) {
        let scenario = Scenario::random(seed);
        let outcome = World::run(&scenario);
        if !outcome.violations.is_empty() {
            wrong.push(format!("{scenario}\n  {}", outcome.violations.join("\n  ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} runs went wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn one_seed_gives_one_run() {
    let traces: Vec<u64> = [3, 3, 4]
        .map(|seed| World::run(&Scenario::random(seed)).trace)
        .to_vec();
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}

/// Within 3 s at the median and 5 s at the 99th percentile, gossip's own second or two included.
#[test]
fn a_kill_is_noticed_by_all_in_time() {
    for (nodes, loss, runs) in [
        (3, 0, 20),
        (5, 0, 20),
        (20, 0, 20),
        (5, 20, 20),
        (20, 20, 10),
    ] {
        let sum = check_all(runs, |seed| kill(seed, nodes).loss(loss));
        let (p50, p99) = (percentile(&sum.noticed, 50), percentile(&sum.noticed, 99));
        println!(
            "{nodes} nodes, {loss} % loss: {p50} ms p50, {p99} ms p99, {} false suspicions",
            sum.false_suspicions
        );
        assert!(
            p50 <= 3_000 && p99 <= 5_000,
            "{nodes} nodes, {loss} % loss: {:?}",
            sum.noticed
        );
    }
}

/// A fault of ten nodes in turn, one each five seconds, for a minute.
fn in_turn(seed: u64, fault: impl Fn(usize) -> Step) -> Scenario {
    let quiet = Scenario::quiet(seed, 10, 63_000);
    (0..10).fold(quiet, |scenario, node| {
        scenario.at(5_000 + 5_000 * node as u64 + seed * 7, fault(node))
    })
}

#[test]
fn loss_and_pauses_make_nobody_down() {
    let all_starve = |seed| {
        let quiet = Scenario::quiet(seed, 10, 43_000);
        (0..10).fold(quiet, |scenario, node| {
            scenario.at(3_000 + seed, Step::Starve(node, 25_000))
        })
    };
    let conditions: [(&str, &dyn Fn(u64) -> Scenario); 7] = [
        ("quiet", &|seed| Scenario::quiet(seed, 10, 33_000)),
        ("20 % loss", &|seed| {
            Scenario::quiet(seed, 10, 33_000).loss(20)
        }),
        ("30 % loss", &|seed| {
            Scenario::quiet(seed, 10, 33_000).loss(30)
        }),
        ("pauses of 0.5 s", &|seed| {
            in_turn(seed, |node| Step::Pause(node, 500))
        }),
        ("pauses of 1 s", &|seed| {
            in_turn(seed, |node| Step::Pause(node, 1_000))
        }),
        ("pauses of 1 s, 20 % loss", &|seed| {
            in_turn(seed, |node| Step::Pause(node, 1_000)).loss(20)
        }),
        ("all starved", &all_starve),
    ];
    for (name, scenario) in conditions {
        let sum = check_all(2, scenario); // The checkers refuse any that is declared down.
        println!(
            "{name}: {} false suspicions, {} refutations",
            sum.false_suspicions, sum.refuted
        );
        if name.ends_with("% loss") && !name.starts_with("pauses") || name == "quiet" {
            assert_eq!(sum.false_suspicions, 0, "{name}");
        }
    }
}

#[test]
fn a_pause_is_a_suspicion_that_is_refuted() {
    let sum = check_all(20, |seed| {
        Scenario::quiet(seed, 5, 9_000).at(4_000, Step::Pause(2, 1_900))
    });
    assert!(sum.false_suspicions >= 20 && sum.refuted >= 20, "{sum:?}");
}

#[test]
fn a_cut_heals_into_one_view() {
    for seed in seeds(20) {
        let (a, b): (Vec<usize>, Vec<usize>) =
            (0..7).partition(|node| (*node as u64) < 1 + seed % 6);
        let scenario = Scenario::quiet(seed, 7, SETTLED + 18_000)
            .at(SETTLED, Step::Cut(a, b))
            .at(SETTLED + 8_000, Step::Heal);
        check(&scenario);
    }
}

#[test]
fn where_only_one_way_is_cut_others_vouch() {
    let sum = check_all(20, |seed| {
        Scenario::quiet(seed, 5, 30_000).at(SETTLED, Step::Link(vec![1], vec![2], Rule::Drop))
    });
    assert!(sum.relayed > 0, "{sum:?}");
}

#[test]
fn who_restarts_is_known_by_its_new_life() {
    check_all(20, |seed| {
        Scenario::quiet(seed, 5, SETTLED + 10_000)
            .at(SETTLED, Step::Restart(1))
            .at(SETTLED + 300, Step::Restart(1))
            .at(SETTLED + 400, Step::Crash(2))
            .at(SETTLED + 6_000, Step::Restart(2))
    });
}

#[test]
fn who_leaves_is_gone_at_once_and_may_come_back() {
    check_all(20, |seed| {
        Scenario::quiet(seed, 5, SETTLED + 16_000)
            .at(SETTLED, Step::Leave(1))
            .at(SETTLED + 1_000, Step::Leave(2))
            .at(SETTLED + 6_000, Step::Restart(1))
    });
}

#[test]
fn a_forger_neither_kills_nor_revives() {
    for forgery in Forgery::ALL {
        let sum = check_all(8, |seed| {
            Scenario::quiet(seed, 5, SETTLED + 30_000)
                .loss(seed % 2 * 10)
                .at(SETTLED, Step::Forge(0, forgery))
                .at(SETTLED + 2_000, Step::Crash(1))
        });
        let last = sum.noticed.last().copied().unwrap_or(0);
        println!(
            "{forgery:?}: noticed within {last} ms, {} held alive by their answers",
            sum.stale
        );
        let bites = match forgery {
            Forgery::Freshen => last > 5_000, // It hides a death from gossip; the patrol finds it.
            Forgery::RunAhead => sum.stale > 0,
            Forgery::Accuse => sum.refuted > 100,
            Forgery::Vouch | Forgery::Invent => true,
        };
        assert!(bites, "{forgery:?} does nothing: {sum:?}");
    }
}
