//! No room on the disk the database is on.

use super::{Scene, sleep};

pub async fn full(scene: &Scene) -> Result<(), String> {
    let topology = &scene.topology;
    let Some(disk) = &topology.disk else { return Ok(()) };
    for _ in 0..4 {
        disk.fill();
        sleep(2.0).await;
    }
    disk.free();
    match &topology.postgres {
        Some(postgres) => postgres.lock().await.revive().await,
        None => Ok(()),
    }
}
