//! When something was, from how people say it, reckoned from when they said it. Code does this, not the model.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeZone, Utc, Weekday};

/// Reads `2026-05-01`, `2026-05`, `2026`, `today`, `yesterday`, `last week`, `3 days ago`, `since 2019`, `next month`, …
/// `None` for what it does not know.
pub fn resolve(text: &str, said: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.to_lowercase();
    let text = text.trim_matches(|c: char| c.is_whitespace() || ".,!;?".contains(c));
    let text = text
        .trim_start_matches("since ")
        .trim_start_matches("on ")
        .trim_start_matches("in ")
        .trim_start_matches("from ");
    let day = said.date_naive();
    let date = match text {
        "now" | "today" | "currently" | "this week" => Some(day),
        "yesterday" => day.checked_sub_days(Days::new(1)),
        "tomorrow" => day.checked_add_days(Days::new(1)),
        "last week" => day.checked_sub_days(Days::new(7)),
        "next week" => day.checked_add_days(Days::new(7)),
        "last month" => day.checked_sub_months(Months::new(1)),
        "next month" => day.checked_add_months(Months::new(1)),
        "last year" => day.checked_sub_months(Months::new(12)),
        "next year" => day.checked_add_months(Months::new(12)),
        _ => ago(text, day).or_else(|| weekday(text, day)).or_else(|| written(text)),
    }?;
    // On the day it was said, the very moment counts: it orders facts of one day.
    if date == day { Some(said) } else { Some(Utc.from_utc_datetime(&date.and_hms_opt(0, 0, 0)?)) }
}

fn ago(text: &str, day: NaiveDate) -> Option<NaiveDate> {
    let mut words = text.strip_suffix(" ago")?.split_whitespace();
    let count: u64 = match words.next()? {
        "a" | "an" | "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        number => number.parse().ok().filter(|n| *n <= 10_000)?,
    };
    match words.next()?.trim_end_matches('s') {
        "day" => day.checked_sub_days(Days::new(count)),
        "week" => day.checked_sub_days(Days::new(7 * count)),
        "month" => day.checked_sub_months(Months::new(u32::try_from(count).ok()?)),
        "year" => day.checked_sub_months(Months::new(12 * u32::try_from(count).ok()?)),
        _ => None,
    }
}

/// `last friday`, `next monday`.
fn weekday(text: &str, day: NaiveDate) -> Option<NaiveDate> {
    let (direction, name) = text.split_once(' ')?;
    let wanted: Weekday = name.parse().ok()?;
    let from = i64::from(day.weekday().num_days_from_monday());
    let to = i64::from(wanted.num_days_from_monday());
    match direction {
        "last" => day.checked_sub_days(Days::new((from - to + 6).rem_euclid(7) as u64 + 1)),
        "next" | "this" => day.checked_add_days(Days::new((to - from + 6).rem_euclid(7) as u64 + 1)),
        _ => None,
    }
}

fn written(text: &str) -> Option<NaiveDate> {
    if let Ok(time) = DateTime::parse_from_rfc3339(&text.to_uppercase()) {
        return Some(time.date_naive());
    }
    let parts: Vec<&str> = text.split('-').collect();
    let year: i32 = parts.first()?.parse().ok().filter(|year| (1_000..=9_999).contains(year))?;
    let month = parts.get(1).map_or(Some(1), |month| month.parse().ok())?;
    let day = parts.get(2).map_or(Some(1), |day| day.parse().ok())?;
    NaiveDate::from_ymd_opt(year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_say_becomes_a_date() {
        let said = Utc.with_ymd_and_hms(2026, 11, 20, 15, 0, 0).unwrap(); // a Friday
        let date = |text: &str| resolve(text, said).map(|at| at.date_naive().to_string());
        for (text, expected) in [
            ("yesterday", "2026-11-19"),
            ("last week", "2026-11-13"),
            ("3 days ago", "2026-11-17"),
            ("two months ago", "2026-09-20"),
            ("last friday", "2026-11-13"),
            ("last monday", "2026-11-16"),
            ("next friday", "2026-11-27"),
            ("since 2019", "2019-01-01"),
            ("2026-05-03", "2026-05-03"),
            ("2026-05", "2026-05-01"),
            ("today", "2026-11-20"),
        ] {
            assert_eq!(date(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(date("when pigs fly"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "((last|next|in|since) )?\\PC{0,16}|[0-9]{1,12} (days|months|years) ago|[0-9]{1,5}-[0-9]{1,3}-[0-9]{1,3}") {
            let _ = resolve(&text, Utc.with_ymd_and_hms(2026, 11, 20, 15, 0, 0).unwrap());
        }
    }
}
