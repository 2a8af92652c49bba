//! How attempts end.

use serde_json::Value;

use crate::ledger::Settled;

/// An attempt that has ended its job. It is made of the ledger's proof, so no handler can claim an end that was not fenced.
#[derive(Debug)]
pub struct Ended {
    /// What the job's final event says.
    pub data: Value,
}

impl Ended {
    pub fn new(_: Settled, data: Value) -> Self {
        Self { data }
    }
}
