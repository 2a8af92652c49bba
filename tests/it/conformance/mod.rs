//! One suite a port, run on every adapter: what is not here is not part of the port.

mod bells;
mod connections;
mod events;
mod groups;
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

use crate::harness::servers::Redis;

/// A Redis for this test alone. It lives to the end of the run.
pub fn redis() -> RedisLink {
    static ALL: OnceLock<std::sync::Mutex<Vec<Redis>>> = OnceLock::new();
    let redis = Redis::start();
    let link = RedisLink::new(&redis.url()).unwrap();
    ALL.get_or_init(Default::default).lock().unwrap().push(redis);
    link
}
