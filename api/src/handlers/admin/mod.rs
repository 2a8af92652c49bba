//! Operating the service over HTTP, for admins.

pub mod audit;
pub mod dead;
pub mod providers;
pub mod queues;
pub mod users;

use rapport_common::{auth::Caller, usecase::admin::Actor};

fn actor(caller: &Caller, address: String) -> Actor {
    Actor { name: caller.user.to_string(), address: Some(address) }
}
