//! Processes whose wall clock is wrong, by libfaketime. What measures durations stays right, as on a real machine.

use rand::{Rng, rngs::StdRng};
use tokio::sync::Mutex;

use super::sleep;
use crate::topology::{Service, Topology, set_clock};

/// Starts it again with each of these clocks in turn, without a restart between them, and then with the right one.
async fn with(
    topology: &Topology,
    service: &Mutex<Service>,
    offsets: &[i64],
    seconds: f64,
) -> Result<(), String> {
    let mut service = service.lock().await;
    topology.stop(&mut service).await;
    topology.launch_again(&mut service, offsets.first().copied())?;
    for off in offsets {
        set_clock(&service, *off)?;
        sleep(seconds / offsets.len() as f64).await;
    }
    topology.stop(&mut service).await;
    topology.launch_again(&mut service, None)
}

pub async fn run(name: &str, topology: &Topology, seconds: f64, rng: &mut StdRng) -> Result<(), String> {
    let (apis, workers) = (&topology.apis, &topology.workers);
    match name {
        "clock_fast_worker" => with(topology, &workers[2], &[30, 600], seconds).await,
        "clock_slow_worker" => with(topology, &workers[2], &[-30, -600], seconds).await,
        "clock_fast_api" => with(topology, &apis[rng.random_range(0..apis.len())], &[30, 600], seconds).await,
        // Of one that takes chats, while it runs them.
        "clock_backwards" => with(topology, &workers[rng.random_range(0..2)], &[0, -120, 0], seconds).await,
        "clock_jumps" => with(topology, &apis[0], &[0, 60, -60], seconds).await,
        _ => Err(format!("{name} is not known")),
    }
}
