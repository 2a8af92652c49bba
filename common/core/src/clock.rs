//! The one clock of the service: the database's.
//!
//! Times are compared across processes (leases, when a job is due, expiry, days of budgets), and the clocks of two machines
//! may be minutes apart. So no process goes by its own: each asks the database what time it is, every few seconds
//! ([`crate::presence`]), and counts on from there by its monotonic clock. Embedded, the machine's clock takes the database's place.
//!
//! Time never runs backwards. When the clock behind it jumps back, time goes on at half its speed until both agree; when it
//! jumps forward, time follows at once.
//!
//! It goes on by Tokio's clock, and so do all deadlines and pauses of the service. A test that holds a whole service in its own
//! runtime moves both at once (`tests/time`).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What is known of the time.
struct Reading {
    at: Instant,
    time: DateTime<Utc>,
    /// How much `time` was ahead of the clock behind it: to be lost again, at half speed.
    ahead: TimeDelta,
}

impl Reading {
    fn now(&self, at: Instant) -> DateTime<Utc> {
        let elapsed = delta(at.saturating_duration_since(self.at));
        self.time + elapsed - (elapsed / 2).min(self.ahead)
    }

    fn ahead_at(&self, at: Instant) -> TimeDelta {
        self.ahead - (delta(at.saturating_duration_since(self.at)) / 2).min(self.ahead)
    }

    /// Learns that it was between `earliest` and `latest` at `at`. A time between them is left as it is: a slow answer must
    /// not make it tremble.
    fn learn(&mut self, at: Instant, earliest: DateTime<Utc>, latest: DateTime<Utc>) {
        let now = self.now(at);
        let (time, ahead) = if now < earliest {
            (earliest, TimeDelta::zero())
        } else if now > latest {
            (now, now - latest)
        } else {
            (now, TimeDelta::zero())
        };
        *self = Self { at, time, ahead };
    }
}

static READING: Mutex<Option<Reading>> = Mutex::new(None);

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// This machine's own clock: for the difference to the common one, and until that is known.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn of_this_machine() -> DateTime<Utc> {
    Utc::now()
}

/// The time now, cut to microseconds: PostgreSQL stores no finer, and a time must read back as it was written.
pub fn now() -> DateTime<Utc> {
    let at = Instant::now();
    let mut reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    let first = || Reading { at, time: of_this_machine(), ahead: TimeDelta::zero() };
    reading.get_or_insert_with(first).now(at).trunc_subsecs(6)
}

/// Learns that the database's clock showed `time` at some moment between `asked` and now.
pub fn learn(asked: Instant, time: DateTime<Utc>) {
    let at = Instant::now();
    let taken = delta(at.saturating_duration_since(asked));
    let mut reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    match reading.as_mut() {
        Some(reading) => reading.learn(at, time, time + taken),
        None => *reading = Some(Reading { at, time: time + taken / 2, ahead: TimeDelta::zero() }),
    }
}

/// This process' clock, for another one that must not go by its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    time: DateTime<Utc>,
    /// Microseconds that it is ahead of the clock behind it, and will lose again.
    ahead: i64,
}

impl Clock {
    pub fn of_this_process() -> Self {
        let time = now();
        let at = Instant::now();
        let reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = reading.as_ref().map_or_else(TimeDelta::zero, |reading| reading.ahead_at(at));
        Self { time, ahead: ahead.num_microseconds().unwrap_or(i64::MAX) }
    }

    /// From now on this process goes by it. What it took to come here, it is behind.
    pub fn adopt(self) {
        let reading =
            Reading { at: Instant::now(), time: self.time, ahead: TimeDelta::microseconds(self.ahead) };
        *READING.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }
}

/// How far this machine's clock is ahead of the common one; negative when it is behind.
pub fn skew() -> TimeDelta {
    of_this_machine() - now()
}

/// How times are read from requests: RFC 3339, or without a zone (then UTC), or a date alone (its first moment, UTC).
pub mod moment {
    use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
    use serde::{Deserialize, Deserializer, de::Error};

    pub fn parse(text: &str) -> Option<DateTime<Utc>> {
        let text = text.trim();
        let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        let date = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
        let naive = || Some(text.parse::<NaiveDateTime>().ok()?.and_utc());
        zoned().or_else(naive).or_else(date)
    }

    /// For a field that may be absent or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let expected = || D::Error::custom("expected a time (2026-01-31T09:00:00Z) or a date (2026-01-31)");
        parse(&text).map(Some).ok_or_else(expected)
    }
}

/// How times are written in JSON: RFC 3339, UTC, milliseconds (`2026-11-20T22:34:00.123Z`).
pub mod rfc3339_millis {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).map_err(D::Error::custom)
    }

    /// The same for a time that may be absent.
    pub mod option {
        use super::*;

        pub fn serialize<S: Serializer>(
            time: &Option<DateTime<Utc>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, moment::parse};
    use chrono::{DateTime, TimeDelta};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn time_follows_forward_jumps_at_once_and_backward_jumps_slowly() {
        let (start, zero) = (Instant::now(), DateTime::UNIX_EPOCH);
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let time = |seconds: i64| zero + TimeDelta::seconds(seconds);
        let mut reading = Reading { at: start, time: zero, ahead: TimeDelta::zero() };
        assert_eq!(reading.now(after(5)), time(5));
        // What a slow answer leaves open changes nothing.
        reading.learn(after(5), time(4), time(7));
        assert_eq!(reading.now(after(5)), time(5));
        reading.learn(after(10), time(610), time(611));
        assert_eq!(reading.now(after(10)), time(610), "ten minutes forward");
        reading.learn(after(20), time(20), time(20));
        assert_eq!(reading.now(after(20)), time(620), "never back");
        assert_eq!(reading.now(after(30)), time(625), "but slower");
        assert_eq!(reading.now(after(20 + 1_200)), time(1_220), "until both agree");
        assert_eq!(reading.now(after(20 + 1_300)), time(1_320));
        assert_eq!(reading.ahead_at(after(30)), TimeDelta::seconds(595));
        // It may be asked again meanwhile.
        reading.learn(after(30), time(30), time(31));
        assert!(reading.now(after(30)) >= time(625));
    }

    #[test]
    fn moments_are_times_or_dates() {
        let same = ["2026-01-31", "2026-01-31T00:00:00", "2026-01-31T00:00:00Z", "2026-01-31T06:00:00+06:00"];
        for text in same {
            assert_eq!(parse(text).map(|time| time.timestamp()), Some(1_769_817_600), "{text}");
        }
        for text in ["", "2026", "2026-02-30", "31.01.2026", "now", "2026-01-31T25:00:00Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
