//! The domain of Rapport and its ports: everything `api` and `worker` share.

pub mod clock;
pub mod domain;
pub mod secret;
