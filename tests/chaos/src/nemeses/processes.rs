//! Our processes killed, paused, and asked to stop.

use rand::{Rng, rngs::StdRng};
use tokio::sync::Mutex;

use super::sleep;
use crate::topology::{Service, Topology};

fn one<'a>(services: &'a [Mutex<Service>], rng: &mut StdRng) -> &'a Mutex<Service> {
    &services[rng.random_range(0..services.len())]
}

async fn kill(
    topology: &Topology,
    services: &[Mutex<Service>],
    rng: &mut StdRng,
    away: f64,
) -> Result<(), String> {
    let mut service = one(services, rng).lock().await;
    topology.kill(&mut service).await;
    sleep(away).await;
    topology.launch_again(&mut service, None)
}

/// SIGSTOP, and later SIGCONT.
async fn pause(services: &[Mutex<Service>], rng: &mut StdRng, seconds: f64) {
    let service = one(services, rng).lock().await;
    service.process.signal("STOP");
    sleep(seconds).await;
    service.process.signal("CONT");
}

async fn roll(topology: &Topology, services: &[Mutex<Service>]) -> Result<(), String> {
    for service in services {
        let mut service = service.lock().await;
        topology.stop(&mut service).await;
        topology.launch_again(&mut service, None)?;
        if let Some(port) = service.port {
            crate::servers::wait_for_port(port, std::time::Duration::from_secs(60)).await?;
        }
        sleep(1.0).await;
    }
    Ok(())
}

pub async fn run(name: &str, topology: &Topology, rng: &mut StdRng) -> Result<(), String> {
    let (apis, workers) = (&topology.apis, &topology.workers);
    match name {
        // Not the one on memory alone: it has no chats to lose.
        "kill_worker" => kill(topology, &workers[..2], rng, 3.0).await,
        "kill_api" | "kill_process" => kill(topology, apis, rng, 2.0).await,
        // The lease is 15 s, and is looked at every 2.
        "pause_worker" => {
            pause(&workers[..2], rng, 20.0).await;
            Ok(())
        }
        "pause_api" => {
            pause(apis, rng, 8.0).await;
            Ok(())
        }
        "pause_process" => {
            pause(apis, rng, 18.0).await;
            Ok(())
        }
        "term_worker" => roll(topology, workers).await,
        "term_api" | "term_process" => roll(topology, apis).await,
        _ => Err(format!("{name} is not known")),
    }
}
