//! The one place that reads the wall clock.

use chrono::{DateTime, SubsecRound, Utc};

/// The time now, cut to microseconds: PostgreSQL stores no finer, and a time must read back as it was written.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
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
    use super::moment::parse;

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
