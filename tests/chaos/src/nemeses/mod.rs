//! What is broken, how, and for how long.

mod clocks;
mod disk;
mod failover;
mod links;
mod processes;
mod users;

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
    Qdrant,
    Users,
}

#[derive(Debug, Clone, Copy)]
pub struct Nemesis {
    pub name: &'static str,
    pub group: Group,
    /// `None`: on both stacks.
    pub stack: Option<Stack>,
    /// How long it is broken; about that, where it takes as long as it takes.
    pub seconds: u64,
    /// Processes die in it: a job may be blamed for that.
    pub kills: bool,
}

const fn of(name: &'static str, group: Group, stack: Option<Stack>, seconds: u64, kills: bool) -> Nemesis {
    Nemesis { name, group, stack, seconds, kills }
}

const P: Option<Stack> = Some(Stack::Production);
const E: Option<Stack> = Some(Stack::Embedded);

const LINKS: [&str; 4] = ["redis_", "pg_", "provider_", "qdrant_"];

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
    of("redis_failover", Group::Redis, P, 6, false),
    of("redis_split", Group::Redis, P, 10, false),
    of("pg_cut", Group::Postgres, P, 6, false),
    of("pg_silent", Group::Postgres, P, 90, false),
    of("pg_swallow_all", Group::Postgres, P, 15, false),
    of("pg_delay", Group::Postgres, P, 10, false),
    of("pg_restart", Group::Postgres, P, 6, false),
    of("pg_truncate", Group::Postgres, P, 8, false),
    of("pg_failover", Group::Postgres, P, 8, false),
    of("qdrant_away", Group::Qdrant, P, 8, false),
    of("qdrant_silent", Group::Qdrant, P, 12, false),
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
    of("smtp_hangs", Group::Users, None, 12, false),
    of("kill_process", Group::Api, E, 5, true),
    of("term_process", Group::Api, E, 10, false),
    of("pause_process", Group::Api, E, 18, false),
];

/// The few that together touch every process and every link, and for how long: what every change has to stand.
const QUICK: &[(&str, u64)] = &[
    ("kill_worker", 6),
    ("redis_silent", 8),
    ("pg_silent", 20),
    ("pg_cut", 6),
    ("provider_refuse", 8),
    ("clock_fast_worker", 10),
    ("term_api", 10),
    ("redis_kill", 6),
    ("kill_process", 5),
    ("disk_full", 10),
    ("term_process", 10),
];

pub fn quick(stack: Stack) -> Vec<Nemesis> {
    // A full disk is for the stack that has one writer; PostgreSQL minds it in longer runs.
    let fits = |nemesis: &&Nemesis| match nemesis.name {
        "disk_full" => stack == Stack::Embedded,
        _ => nemesis.stack.is_none_or(|of| of == stack),
    };
    let named = |&(name, seconds): &(&str, u64)| {
        let nemesis = ALL.iter().filter(fits).find(|nemesis| nemesis.name == name)?;
        Some(Nemesis { seconds, ..*nemesis })
    };
    QUICK.iter().filter_map(named).collect()
}

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
    let (name, seconds) = (nemesis.name, nemesis.seconds as f64);
    match name {
        "disk_full" => disk::full(scene).await,
        "erasure_under_load" => users::leave_under_load(scene, &mut rng).await,
        "webhook_hangs" => users::webhook_hangs(scene, seconds).await,
        "smtp_hangs" => users::smtp_hangs(scene, seconds, &mut rng).await,
        "pg_failover" => failover::postgres(scene).await,
        "redis_failover" => failover::redis(scene).await,
        "redis_split" => failover::redis_split(scene, seconds).await,
        _ if nemesis.is_of_clocks() => clocks::run(name, topology, seconds, &mut rng).await,
        _ if LINKS.iter().any(|link| name.starts_with(link)) => links::run(name, topology, seconds).await,
        _ => processes::run(name, topology, &mut rng).await,
    }
}
