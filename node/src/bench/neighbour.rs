//! A good tenant's requests while another tenant takes all the processor it gets.
//!
//! The bad one counts words in large texts, several at once, without pause: each reaction runs for
//! milliseconds, which is what a program does that loops until it is cut off.

use std::{sync::Arc, time::Duration};

use caxton_actors::envelope::Delivery;
use caxton_capabilities::Principal;
use tokio::{task::JoinSet, time::Instant};

use super::{
    BenchError,
    figure::{Figure, Target, Times},
    rig::{Client, Rig, address, content},
};

/// Programs of the bad tenant: four for each processor of the machine measured on.
const HOGS: usize = 8;
/// What each is given to count: as much as one message takes.
const TEXT_BYTES: usize = 900_000;
/// Between two requests of the good tenant.
const PAUSE: Duration = Duration::from_micros(500);
/// How much slower the good tenant's slowest requests may be.
const SLOWER_MAX: f64 = 2.0;

pub(super) async fn measure(rig: &Rig, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let echoes = rig.echoes("good", 1).await?;
    let Some(echo) = echoes.first() else {
        return Ok(Vec::new());
    };
    let client = rig.client();
    let mut quiet = requests(&client, echo, time).await?;
    let hogs = Hogs::start(rig).await?;
    let mut beside = requests(&client, echo, time).await?;
    let handled = hogs.handled(rig);
    drop(hogs);
    let (quiet_p50, quiet_p99) = (quiet.quantile(0.5), quiet.quantile(0.99));
    let slow = beside.quantile(0.99);
    Ok(vec![
        Figure::of_times("a good tenant, quiet", &mut quiet),
        Figure::of_times("a good tenant beside 8 hogs", &mut beside)
            .beside("the same, quiet", quiet_p50),
        Figure::new("  its p99", "µs", slow)
            .beside("its p99, quiet", quiet_p99)
            .held_to(Target::AtMost(SLOWER_MAX * quiet_p99)),
        Figure::new("  reactions of the hogs meanwhile", "reactions", handled),
    ])
}

async fn requests(client: &Client, echo: &Principal, time: Duration) -> Result<Times, BenchError> {
    let content = content(200);
    let mut times = Times::default();
    let until = Instant::now() + time;
    while Instant::now() < until {
        times.add(client.ask(echo, &content, Delivery::AtMostOnce).await?);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(times)
}

/// The bad tenant. It ends when dropped.
struct Hogs {
    agents: Vec<Principal>,
    _tasks: JoinSet<Result<(), BenchError>>,
}

impl Hogs {
    async fn start(rig: &Rig) -> Result<Self, BenchError> {
        let text: Arc<[u8]> = content(TEXT_BYTES);
        let (mut agents, mut tasks) = (Vec::new(), JoinSet::new());
        for number in 0..HOGS {
            let address = address("greedy", &format!("hog-{number}"))?;
            rig.deploy(&address, "counter-rust").await?;
            let hog = Principal::Agent(address);
            let (client, hog_again, text) = (rig.client(), hog.clone(), Arc::clone(&text));
            client.ask(&hog, &text, Delivery::AtMostOnce).await?; // It does count.
            tasks.spawn(async move {
                loop {
                    client.ask(&hog_again, &text, Delivery::AtMostOnce).await?;
                }
            });
            agents.push(hog);
        }
        Ok(Self {
            agents,
            _tasks: tasks,
        })
    }

    /// Messages they have handled.
    fn handled(&self, rig: &Rig) -> f64 {
        let routes = rig.node().app.tree.gateway.routes();
        let handled = |hog: &Principal| match hog {
            Principal::Agent(address) => routes.get(address).map_or(0, |port| {
                port.status
                    .handled
                    .load(std::sync::atomic::Ordering::Relaxed)
            }),
            Principal::Operator(_) | Principal::Node => 0,
        };
        self.agents.iter().map(handled).sum::<u64>() as f64
    }
}
