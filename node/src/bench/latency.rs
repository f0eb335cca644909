//! One request at a time: through gateway, authorization and sandbox, and back.
//!
//! *Busy*: the next request follows at once, so that no worker sleeps. *Waking*: the machine has had
//! two milliseconds to fall asleep.

use std::time::Duration;

use caxton_actors::envelope::Delivery;
use tokio::time::Instant;

use super::{
    BenchError,
    figure::{Figure, Target, Times},
    limits::{Channels, message},
    rig::{Client, Rig, content},
};

/// Requests between two looks at the limits.
const TURN: usize = 200;
/// Idle time before a waking request.
const ASLEEP: Duration = Duration::from_millis(2);
/// Sizes of the content, with what is asked for where it is.
const SIZES: [(usize, &str, Option<Target>); 2] = [
    (200, "request and reply, 200 B", Some(Target::AtMost(15.0))),
    (4_096, "request and reply, 4 KiB", None),
];

pub(super) async fn measure(rig: &Rig, time: Duration) -> Result<Vec<Figure>, BenchError> {
    let echoes = rig.echoes("bench", 1).await?;
    let Some(echo) = echoes.first() else {
        return Ok(Vec::new());
    };
    let client = rig.client();
    let channels = Channels::start(1);
    let mut figures = Vec::new();
    for (bytes, name, target) in SIZES {
        let content = content(bytes);
        let mut bare = rig.bare("echo").await?;
        let asked = message(&content);
        let (mut whole, mut engine, mut channel) =
            (Times::default(), Times::default(), Times::default());
        for _ in 0..TURN {
            client.ask(echo, &content, Delivery::AtMostOnce).await?; // Warm.
        }
        let until = Instant::now() + time;
        while Instant::now() < until {
            for _ in 0..TURN {
                whole.add(client.ask(echo, &content, Delivery::AtMostOnce).await?);
            }
            for _ in 0..TURN {
                let begun = Instant::now();
                bare.call_bare(&asked)
                    .await
                    .map_err(|fault| BenchError::Demo(fault.to_string()))?;
                engine.add(begun.elapsed());
            }
            for _ in 0..TURN {
                let begun = Instant::now();
                channels.ask(0).await;
                channel.add(begun.elapsed());
            }
        }
        let (engine, channel) = (engine.quantile(0.5), channel.quantile(0.5));
        let mut figure = Figure::of_times(format!("{name}, busy"), &mut whole).beside(
            "a bare wasmtime call and a channel's round trip",
            engine + channel,
        );
        figure.target = target;
        figures.push(figure);
        figures.push(Figure::new(
            format!("  a bare wasmtime call, {bytes} B"),
            "µs",
            engine,
        ));
        figures.push(Figure::new("  a channel's round trip, busy", "µs", channel));
    }
    figures.push(waking(&client, echo, &channels, time).await?);
    Ok(figures)
}

async fn waking(
    client: &Client,
    echo: &caxton_capabilities::Principal,
    channels: &Channels,
    time: Duration,
) -> Result<Figure, BenchError> {
    let content = content(200);
    let (mut whole, mut channel) = (Times::default(), Times::default());
    let until = Instant::now() + time;
    while Instant::now() < until {
        tokio::time::sleep(ASLEEP).await;
        whole.add(client.ask(echo, &content, Delivery::AtMostOnce).await?);
        tokio::time::sleep(ASLEEP).await;
        let begun = Instant::now();
        channels.ask(0).await;
        channel.add(begun.elapsed());
    }
    Ok(
        Figure::of_times("request and reply, 200 B, waking", &mut whole)
            .beside("a channel's round trip, waking", channel.quantile(0.5))
            .held_to(Target::AtMost(60.0)),
    )
}
