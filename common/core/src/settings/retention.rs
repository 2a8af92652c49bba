//! How long is kept what nobody may ask for any more.

use chrono::TimeDelta;

use super::Env;

/// `None`: for ever. What users said and what is remembered of them is not among these: that goes when they delete it.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Jobs that have ended, with their results and the transcript of their tools. Messages and stored responses stay.
    pub jobs: Option<TimeDelta>,
    /// Sign-ins that were ended or have run out, and their tokens.
    pub logins: Option<TimeDelta>,
    pub audit: Option<TimeDelta>,
    /// What webhooks were told.
    pub deliveries: Option<TimeDelta>,
}

pub fn retention(env: &mut Env) -> Retention {
    let mut days = |key: &str, default: u64| {
        let days = env.number(key, default, 0..=36_500);
        (days > 0).then(|| TimeDelta::days(days as i64))
    };
    Retention {
        jobs: days("RETENTION__JOBS_DAYS", 90),
        logins: days("RETENTION__LOGINS_DAYS", 90),
        audit: days("RETENTION__AUDIT_DAYS", 365),
        deliveries: days("RETENTION__DELIVERIES_DAYS", 30),
    }
}
