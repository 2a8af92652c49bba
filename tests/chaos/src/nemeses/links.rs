//! The network and the servers behind it: Redis, PostgreSQL, Qdrant, the model provider.

use std::time::Duration;

use super::sleep;
use crate::{
    proxy::{Link, Mode},
    topology::Topology,
};

/// Cuts everything every so often.
async fn cut(link: &Link, times: u32, every: f64) {
    for _ in 0..times {
        link.cut();
        sleep(every).await;
    }
}

async fn with(link: &Link, mode: Mode, seconds: f64) {
    link.set(mode);
    sleep(seconds).await;
    link.set(Mode::Pass);
}

pub async fn run(name: &str, topology: &Topology, seconds: f64) -> Result<(), String> {
    let (system, how) = name.split_once('_').unwrap_or_default();
    let link = match system {
        "redis" => topology.links.redis.as_ref(),
        "pg" => topology.links.postgres.as_ref(),
        "qdrant" => topology.links.qdrant.as_ref(),
        _ => Some(&topology.links.provider),
    };
    let Some(link) = link else { return Err(format!("{name}: there is no such server")) };
    match (system, how) {
        ("redis", "kill") => {
            let Some(redis) = &topology.redis else { return Ok(()) };
            let mut redis = redis.lock().await;
            redis.kill();
            sleep(4.0).await;
            redis.start_again().await?;
        }
        ("redis", "flush") => {
            let Some(redis) = &topology.redis else { return Ok(()) };
            for _ in 0..3 {
                redis.lock().await.flush().await?;
                sleep(1.5).await;
            }
        }
        ("pg", "restart") => {
            let Some(postgres) = &topology.postgres else { return Ok(()) };
            let mut postgres = postgres.lock().await;
            postgres.stop().await;
            sleep(3.0).await;
            postgres.start_again().await?;
        }
        ("provider", "500") => {
            link.point_at(topology.broken_mock_port);
            sleep(seconds).await;
            link.point_at(topology.mock_port);
        }
        ("provider" | "qdrant", "silent") | (_, "swallow_all") => with(link, Mode::Swallow, seconds).await,
        (_, "refuse" | "away") => with(link, Mode::Refuse, seconds).await,
        (_, "silent") => with(link, Mode::HalfOpen, seconds).await,
        ("pg", "delay") => with(link, Mode::Delay(Duration::from_millis(100)), seconds).await,
        (_, "delay") => with(link, Mode::Delay(Duration::from_millis(200)), seconds).await,
        (_, "cut") => cut(link, 4, 1.5).await,
        (_, "truncate") => with(link, Mode::Truncate, seconds).await,
        _ => return Err(format!("{name} is not known")),
    }
    Ok(())
}
