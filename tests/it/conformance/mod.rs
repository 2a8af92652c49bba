//! One suite a port, run on every adapter: what is not here is not part of the port.

mod bells;
mod connections;
mod events;
mod groups;
mod kept_vectors;
mod kept_words;
mod ledger_model;
mod limits;
mod rows;
mod sql;
mod vectors;
mod wire;
mod words;

use std::sync::OnceLock;

use rapport_common::redis_link::RedisLink;

use crate::harness::{redis_cluster::RedisCluster, servers::Redis};

/// A Redis for this test alone. It lives to the end of the run.
pub fn redis() -> RedisLink {
    static ALL: OnceLock<std::sync::Mutex<Vec<Redis>>> = OnceLock::new();
    let redis = Redis::start();
    let link = RedisLink::new(&redis.url()).unwrap();
    ALL.get_or_init(Default::default).lock().unwrap().push(redis);
    link
}

/// A cluster that tests share: each uses keys of its own, or names none.
pub fn redis_cluster() -> RedisLink {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    RedisLink::new(&CLUSTER.get_or_init(RedisCluster::start).url()).unwrap()
}
