//! What happens around every request, outermost first: observe (id, trace, log, metrics, problems), panics, CORS,
//! authentication and rate limits.

pub mod cors;
pub mod guard;
pub mod observe;
