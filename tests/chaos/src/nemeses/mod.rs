//! What is broken, how, and for how long.

mod clocks;
mod disk;
mod erasure;
mod links;
mod processes;

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};

use crate::{clients::World, settings::Stack, topology::Topology};

/// Two faults of one group cannot be there at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Worker,
    Api,
    Redis,
    Postgres,
    Provider,
    Users,
}

#[derive(Debug, Clone, Copy)]
pub struct Nemesis {
    pub name: &'static str,
    pub group: Group,
    /// `None`: on both stacks.
    pub stack: Option<Stack>,
    /// About how long it takes.
    pub seconds: u64,
    /// Processes die in it: a job may be blamed for that.
    pub kills: bool,
}

const fn of(name: &'static str, group: Group, stack: Option<Stack>, seconds: u64, kills: bool) -> Nemesis {
    Nemesis { name, group, stack, seconds, kills }
}

const P: Option<Stack> = Some(Stack::Production);
const E: Option<Stack> = Some(Stack::Embedded);

pub const ALL: &[Nemesis] = &[
    of("kill_worker", Group::Worker, P, 6, true),
    of("kill_api", Group::Api, P, 5, true),
    of("pause_worker", Group::Worker, P, 20, false),
    of("pause_api", Group::Api, P, 8, false),
    of("term_worker", Group::Worker, P, 10, false),
    of("term_api", Group::Api, P, 10, false),
    of("redis_kill", Group::Redis, P, 6, false),
    of("redis_flush", Group::Redis, P, 5, false),
    of("redis_silent", Group::Redis, P, 35, false),
    of("redis_swallow_all", Group::Redis, P, 15, false),
    of("redis_delay", Group::Redis, P, 10, false),
    of("redis_cut", Group::Redis, P, 6, false),
    of("redis_truncate", Group::Redis, P, 8, false),
    of("pg_cut", Group::Postgres, P, 6, false),
    of("pg_silent", Group::Postgres, P, 45, false),
    of("pg_swallow_all", Group::Postgres, P, 15, false),
    of("pg_delay", Group::Postgres, P, 10, false),
    of("pg_restart", Group::Postgres, P, 6, false),
    of("pg_truncate", Group::Postgres, P, 8, false),
    of("provider_refuse", Group::Provider, None, 8, false),
    of("provider_silent", Group::Provider, None, 12, false),
    of("provider_cut", Group::Provider, None, 6, false),
    of("provider_500", Group::Provider, None, 8, false),
    of("clock_fast_worker", Group::Worker, P, 20, false),
    of("clock_slow_worker", Group::Worker, P, 20, false),
    of("clock_fast_api", Group::Api, P, 20, false),
    of("clock_backwards", Group::Worker, P, 20, false),
    of("clock_jumps", Group::Api, E, 20, false),
    of("disk_full", Group::Postgres, None, 10, false),
    of("erasure_under_load", Group::Users, None, 6, false),
    of("webhook_hangs", Group::Users, None, 10, false),
    of("kill_process", Group::Api, E, 5, true),
    of("term_process", Group::Api, E, 10, false),
    of("pause_process", Group::Api, E, 18, false),
];

impl Nemesis {
    pub fn is_of_provider(&self) -> bool {
        self.group == Group::Provider
    }

    pub fn is_of_clocks(&self) -> bool {
        self.name.starts_with("clock_")
    }
}

/// What a fault may touch.
pub struct Scene {
    pub topology: Arc<Topology>,
    pub world: Arc<World>,
}

pub async fn sleep(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Breaks something, keeps it broken for a while, and heals it.
pub async fn run(nemesis: Nemesis, scene: &Scene, seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let topology = &scene.topology;
    let name = nemesis.name;
    match name {
        "disk_full" => disk::full(scene).await,
        "erasure_under_load" => erasure::under_load(scene, &mut rng).await,
        "webhook_hangs" => erasure::webhook_hangs(scene).await,
        _ if nemesis.is_of_clocks() => clocks::run(name, topology, &mut rng).await,
        _ if name.starts_with("redis_") || name.starts_with("pg_") || nemesis.is_of_provider() => {
            links::run(name, topology).await
        }
        _ => processes::run(name, topology, &mut rng).await,
    }
}
