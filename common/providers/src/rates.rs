//! The rates that providers tell in their headers, kept as token buckets.

use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::clock;

/// A rate as a provider's headers tell it: how many are left of how many, and when all are there again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub limit: f64,
    pub remaining: f64,
    pub reset: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateHeaders {
    pub requests: Option<Window>,
    pub tokens: Option<Window>,
}

impl RateHeaders {
    /// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as `1s`, `6m0s` or `17ms`.
    pub fn openai(headers: &HeaderMap) -> Self {
        let window = |what: &str| {
            let text = |part: &str| headers.get(format!("x-ratelimit-{part}-{what}"))?.to_str().ok();
            Some(Window {
                limit: amount(text("limit")?)?,
                remaining: amount(text("remaining")?)?,
                reset: duration(text("reset")?)?,
            })
        };
        Self { requests: window("requests"), tokens: window("tokens") }
    }

    /// `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`, resets as RFC 3339.
    pub fn anthropic(headers: &HeaderMap) -> Self {
        let window = |what: &str| {
            let text = |part: &str| headers.get(format!("anthropic-ratelimit-{what}-{part}"))?.to_str().ok();
            let reset = chrono::DateTime::parse_from_rfc3339(text("reset")?).ok()?;
            Some(Window {
                limit: amount(text("limit")?)?,
                remaining: amount(text("remaining")?)?,
                reset: (reset.to_utc() - clock::now()).to_std().unwrap_or_default(),
            })
        };
        Self { requests: window("requests"), tokens: window("tokens") }
    }
}

/// `inf` and `nan` are numbers to Rust, and would end in a wait that is none.
fn amount(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|amount| amount.is_finite())
}

/// `6m0s`, `1.5s`, `17ms`, `2h3m`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut number, mut unit) = (0.0, String::new(), String::new());
    let mut add = |number: &mut String, unit: &mut String| -> Option<()> {
        let factor = match unit.as_str() {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" | "" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        number.clear();
        unit.clear();
        Some(())
    };
    for c in text.trim().chars() {
        if c.is_ascii_digit() || c == '.' {
            if !unit.is_empty() {
                add(&mut number, &mut unit)?;
            }
            number.push(c);
        } else {
            unit.push(c);
        }
    }
    add(&mut number, &mut unit)?;
    Duration::try_from_secs_f64(total).ok()
}

/// A token bucket that fills evenly until the provider's reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub window: Window,
    pub since: Instant,
}

impl Bucket {
    fn level(&self, now: Instant) -> f64 {
        let reset = self.window.reset.as_secs_f64();
        let passed = if reset > 0.0 { ((now - self.since).as_secs_f64() / reset).min(1.0) } else { 1.0 };
        self.window.remaining + (self.window.limit - self.window.remaining).max(0.0) * passed
    }

    /// When there will be `wanted`; at the latest when all is there.
    pub fn wait(&self, wanted: f64, now: Instant) -> Duration {
        let missing = wanted - self.level(now);
        let span = self.window.limit - self.window.remaining;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        let until_full = (self.since + self.window.reset).saturating_duration_since(now);
        if span <= 0.0 {
            return until_full;
        }
        Duration::from_secs_f64(missing / span * self.window.reset.as_secs_f64()).min(until_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_read_as_the_providers_write_them() {
        for (text, millis) in
            [("1s", 1_000), ("6m0s", 360_000), ("17ms", 17), ("1.5s", 1_500), ("1h2m3s", 3_723_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "soon", "1x"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
