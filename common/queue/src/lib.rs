//! What lies between those who ask and those who work: the wire of job ids, the events of jobs, limits, and who is there. Each
//! is a port with an embedded and a Redis adapter.

pub mod bells;
pub mod depth;
pub mod events;
pub mod isolated;
pub mod limits;
pub mod presence;
pub mod wire;

pub(crate) use rapport_core::{Error, Result, clock, domain, error, telemetry};
pub(crate) use rapport_redis as redis_link;
pub(crate) use rapport_store as store;
