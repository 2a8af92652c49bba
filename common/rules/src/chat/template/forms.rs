//! What filters make of a text: capitals, a shorter one, a date.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, NaiveTime, format::Item, format::StrftimeItems};

/// Each word with a capital, the rest of it small.
pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || (inside && c == '\'');
    }
    out
}

/// At most so many characters; the last is `…` when some were cut.
pub fn truncate(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    if most == 0 { kept } else { format!("{kept}…") }
}

/// A date, or a date with a time in RFC 3339, in a form of `strftime`.
pub fn date(text: &str, form: &str) -> std::result::Result<String, String> {
    if StrftimeItems::new(form).any(|item| matches!(item, Item::Error)) {
        return Err("this is no format of a date: it needs letters such as %Y, %m, %d, %B, %H".to_owned());
    }
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time,
        Err(_) => match text.parse::<NaiveDate>() {
            Ok(day) => day.and_time(NaiveTime::MIN).and_utc().fixed_offset(),
            Err(_) => {
                let shown: String = text.chars().take(40).collect();
                return Err(format!("{shown:?} is no date such as 2026-01-31"));
            }
        },
    };
    let mut out = String::new();
    match write!(out, "{}", time.format(form)) {
        Ok(()) => Ok(out),
        Err(_) => Err("this is no format of a date".to_owned()),
    }
}
