//! The HTTP client for model providers: pooled, with timeouts, no proxies from the environment, no redirects.

use std::time::Duration;

use reqwest::{StatusCode, header::HeaderMap, redirect};

use super::{ErrorClass, ProviderError};
use crate::{clock, settings::Ai};

pub fn client(settings: &Ai) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(512)
        .tcp_nodelay(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("rapport/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Reads `retry-after-ms`, then `Retry-After` as seconds or as a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1_000.0).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    (date.to_utc() - clock::now()).to_std().ok()
}

pub fn connection_error(provider: &str, error: &reqwest::Error) -> ProviderError {
    let class = if error.is_timeout() { ErrorClass::Timeout } else { ErrorClass::Network };
    // Without the URL: it may hold a key.
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    ProviderError::new(provider, class, format!("connection failed: {cause}"))
}

pub fn status_error(provider: &str, status: StatusCode, headers: &HeaderMap, body: &str) -> ProviderError {
    let mut class = ErrorClass::of_status(status.as_u16());
    let hint = body.to_lowercase();
    if class == ErrorClass::BadRequest && (hint.contains("content_policy") || hint.contains("content_filter"))
    {
        class = ErrorClass::Refused;
    }
    let excerpt: String = body.chars().take(300).collect();
    let mut error = ProviderError::new(provider, class, format!("status {}: {excerpt}", status.as_u16()));
    error.retry_after = retry_after(headers);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_its_three_forms() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("retry-after-ms", "1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(read("retry-after", "-1"), None);
        assert_eq!(read("retry-after", "soon"), None);
        assert!(read("retry-after", "Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(1_000));
    }
}
