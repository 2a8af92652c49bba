//! Processes and servers are really killed, paused and restarted. Each test ends with the ledger check.

mod api_dies;
mod clocks;
mod database_restarts;
mod drain;
mod full_disk;
mod ingest_dies;
mod lost_requests;
mod memory_worker_dies;
mod named_servers;
mod poison;
mod pooler;
mod provider_away;
mod redis_dies;
mod reindex;
mod responses;
mod silent_links;
mod sweeper;
mod takeover;
pub mod worker_dies;
mod worker_pauses;
mod worker_stops;
