//! Processes and servers are really killed, paused and restarted. Each test ends with the ledger check.

mod api_dies;
mod database_restarts;
mod drain;
mod memory_worker_dies;
mod poison;
mod provider_away;
mod redis_dies;
pub mod worker_dies;
mod worker_pauses;
mod worker_stops;
