//! `current_time`.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::FixedOffset;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Caller, Tool, ToolError, read, spec};
use crate::{clock, providers::ToolSpec};

#[derive(Deserialize, JsonSchema)]
struct Arguments {
    /// Hours ahead of UTC, such as 6 for Dhaka or -3.5; UTC when absent.
    utc_offset: Option<f64>,
}

struct CurrentTime(ToolSpec);

pub fn all() -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(CurrentTime(spec::<Arguments>(
        "current_time",
        "The date, time and weekday now, in UTC or at an offset from it.",
    )))]
}

#[async_trait]
impl Tool for CurrentTime {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: &Caller<'_>, arguments: Value) -> Result<Value, ToolError> {
        let hours = read::<Arguments>(arguments)?.utc_offset.unwrap_or(0.0);
        let offset = (hours.is_finite() && hours.abs() <= 14.0).then_some((hours * 3_600.0) as i32);
        let offset = offset.and_then(FixedOffset::east_opt);
        let offset = offset.ok_or_else(|| ToolError("utc_offset must be from -14 to 14".to_owned()))?;
        let now = clock::now().with_timezone(&offset);
        Ok(
            json!({"time": now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), "weekday": now.format("%A").to_string()}),
        )
    }
}
