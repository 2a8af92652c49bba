//! Another server takes the place of one that is gone: PostgreSQL's replica, an empty Redis.

use super::{Scene, sleep};
use crate::{
    history::{Failover, now},
    servers::Redis,
};

/// The primary dies, and its asynchronous replica, half a second behind, takes its place.
pub async fn postgres(scene: &Scene) -> Result<(), String> {
    let topology = &scene.topology;
    let (Some(primary), Some(link)) = (&topology.postgres, &topology.links.postgres) else { return Ok(()) };
    let mut primary = primary.lock().await;
    let replica = primary.replica().await?;
    let safe_until = now();
    replica.catch_up(&primary).await?;
    replica.fall_behind();
    sleep(0.5).await;
    primary.die().await;
    sleep(2.0).await;
    // The old one's disk goes with it.
    *primary = replica.promote().await?;
    link.point_at(primary.port);
    scene.world.history.failed_over(Failover { safe_until, over: now() });
    Ok(())
}

/// All connections are cut, and whoever connects again finds an empty Redis: as after a Sentinel's switch.
pub async fn redis(scene: &Scene) -> Result<(), String> {
    let topology = &scene.topology;
    let (Some(redis), Some(link)) = (&topology.redis, &topology.links.redis) else { return Ok(()) };
    for _ in 0..2 {
        let other = Redis::start(&topology.folder).await?;
        link.point_at(other.port);
        *redis.lock().await = other;
        sleep(3.0).await;
    }
    Ok(())
}

/// What is connected stays with the old Redis, what connects gets the new one, until the old one goes: as when an address
/// moves and old connections are still routed to where it was.
pub async fn redis_split(scene: &Scene, seconds: f64) -> Result<(), String> {
    let topology = &scene.topology;
    let (Some(redis), Some(link)) = (&topology.redis, &topology.links.redis) else { return Ok(()) };
    let other = Redis::start(&topology.folder).await?;
    link.point_new_at(other.port);
    sleep(seconds).await;
    // Dropped, it is killed.
    *redis.lock().await = other;
    Ok(())
}
