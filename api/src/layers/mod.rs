//! What happens around every request, outermost first: shield (headers for browsers), observe (id, trace, log, metrics, problems), panics, CORS,
//! authentication and rate limits.

pub mod cors;
pub mod guard;
pub mod observe;
pub mod shield;
