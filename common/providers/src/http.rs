//! HTTP as model providers speak it: a pooled client without proxies or redirects, errors by class, bodies as events.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{
    Request, RequestBuilder, Response,
    header::{CONTENT_LENGTH, HeaderMap, HeaderValue},
    redirect,
};

use super::{ChatEvent, ChatRequest, ChatStream, ErrorClass, Meter, ProviderError, sse::SseParser};
use crate::{
    clock,
    secret::Secret,
    settings::{Ai, Endpoint, Timeouts},
};

/// How long a silent connection is believed, and how long its answer is waited for.
const LINK: Duration = Duration::from_secs(10);
/// A whole answer is not longer than this.
const BODY_MAX: usize = 16 << 20;

/// Connections to providers. When one of them fell silent, the others of its kind may have too: requests that begin after
/// [`Pool::renew`] take new ones, those that are under way keep theirs.
#[derive(Clone)]
pub struct Pool {
    connect_timeout: Duration,
    /// And when it was made.
    current: Arc<Mutex<(reqwest::Client, Instant)>>,
}

/// Where many requests are lost at once, one new pool serves them all.
const RENEWED_LATELY: Duration = Duration::from_secs(1);

impl Pool {
    /// `Err` when the HTTP client can't be made (no TLS roots, say).
    pub fn new(settings: &Ai) -> Result<Self, reqwest::Error> {
        let connect_timeout = settings.connect_timeout;
        let current = Arc::new(Mutex::new((client(connect_timeout)?, Instant::now())));
        Ok(Self { connect_timeout, current })
    }

    pub fn post(&self, url: String) -> RequestBuilder {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).0.post(url)
    }

    pub fn renew(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.elapsed() < RENEWED_LATELY {
            return;
        }
        match client(self.connect_timeout) {
            Ok(new) => *current = (new, Instant::now()),
            Err(error) => tracing::warn!(%error, "no new connections to providers can be made"),
        }
    }
}

/// What the adapter of a provider stands on: its connections, and where and how it is asked.
pub struct Upstream {
    pub pool: Pool,
    pub endpoint: Endpoint,
    pub timeouts: Timeouts,
}

impl Upstream {
    /// The caller's own key, or ours of this number. Some need none.
    pub fn key<'a>(&'a self, request: &'a ChatRequest, number: usize) -> Option<&'a Secret> {
        request.own_key(self.endpoint.name).or_else(|| self.endpoint.keys.get(number))
    }
}

pub fn client(connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(512)
        .tcp_nodelay(true)
        // A link that broke without a word: HTTP/2 asks whether the other end is there, for HTTP/1.1 the kernel does.
        .http2_keep_alive_interval(LINK)
        .http2_keep_alive_timeout(LINK)
        .tcp_keepalive(LINK)
        .tcp_user_timeout(LINK * 2)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("rapport/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends a request and waits for the head of its answer; one that is no success is an error of its class. `judge` may
/// know better from the body.
pub async fn send(
    name: &str,
    request: RequestBuilder,
    meter: &Meter,
    timeouts: Timeouts,
    judge: fn(u16, &str) -> Option<ErrorClass>,
) -> Result<Response, ProviderError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(|error| connection_error(name, &error))?;
    watch(&mut request, meter.clone());
    let sent = tokio::time::timeout(timeouts.first_byte, client.execute(request)).await;
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let mut failed = connection_error(name, &error);
            // Broken before a byte of an answer. A provider that has the request and says nothing may be at work on it.
            failed.away = !meter.was_handed_over() || failed.class == ErrorClass::Network;
            return Err(failed);
        }
        Err(_) => {
            let late = "no answer within the first-byte timeout";
            let mut failed = ProviderError::new(name, ErrorClass::Timeout, late);
            failed.away = !meter.was_handed_over();
            return Err(failed);
        }
    };
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = tokio::time::timeout(timeouts.idle, whole_body(name, response)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let class = judge(status, &text).unwrap_or_else(|| ErrorClass::of_status(status));
    let mut error = ProviderError::new(name, class, format!("status {status}"));
    error.retry_after = retry_after(&headers).or_else(|| retry_delay(&text));
    Err(error)
}

/// Notes when the request is handed over: the body is asked for when there is a connection to write it to.
fn watch(request: &mut Request, meter: Meter) {
    let Some(bytes) = request.body().and_then(reqwest::Body::as_bytes).map(Bytes::copy_from_slice) else {
        return;
    };
    // A stream has no length of its own, and not every server takes a body in chunks.
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let body = futures::stream::once(async move {
        meter.hand_over();
        Ok::<_, Infallible>(bytes)
    });
    *request.body_mut() = Some(reqwest::Body::wrap_stream(body));
}

/// An answer that is no success, where no adapter knows better.
pub fn status_error(name: &str, status: u16, headers: &HeaderMap) -> ProviderError {
    let mut error = ProviderError::new(name, ErrorClass::of_status(status), format!("status {status}"));
    error.retry_after = retry_after(headers);
    error
}

async fn whole_body(name: &str, mut response: Response) -> Result<Vec<u8>, ProviderError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| connection_error(name, &error))? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(ProviderError::new(name, ErrorClass::Malformed, "an endless answer"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Turns what a provider sends into events: one for a whole JSON answer, and for each event of a stream.
pub trait Decoder: Send + 'static {
    /// One event of a stream, or the whole answer.
    fn read(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ProviderError>;
    /// Whether all has been said: whatever follows is not waited for.
    fn is_done(&self) -> bool;
    /// The stream has ended: was it whole?
    fn end(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ProviderError>;
}

/// Reads an answer through a decoder, as a stream of events or as one JSON body, whichever came.
pub fn read(name: &'static str, response: Response, timeouts: Timeouts, decoder: impl Decoder) -> ChatStream {
    let plain = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    if plain {
        let body = async move {
            let late = || ProviderError::new(name, ErrorClass::Timeout, "no whole answer in time");
            tokio::time::timeout(timeouts.first_byte, whole_body(name, response)).await.map_err(|_| late())?
        };
        return whole(body, decoder);
    }
    streamed(name, response.bytes_stream().boxed(), timeouts.idle, decoder)
}

fn whole(
    body: impl Future<Output = Result<Vec<u8>, ProviderError>> + Send + 'static,
    mut decoder: impl Decoder,
) -> ChatStream {
    Box::pin(try_stream! {
        let body = body.await?;
        let mut events = Vec::new();
        decoder.read(&body, &mut events)?;
        decoder.end(&mut events)?;
        for event in events {
            yield event;
        }
    })
}

type ByteStream = BoxStream<'static, reqwest::Result<bytes::Bytes>>;

pub(super) fn streamed(
    name: &'static str,
    mut bytes: ByteStream,
    idle: Duration,
    mut decoder: impl Decoder,
) -> ChatStream {
    let fail = move |class, message: &str| ProviderError::new(name, class, message);
    Box::pin(try_stream! {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        'answer: loop {
            let read = tokio::time::timeout(idle, bytes.next()).await;
            let read = read.map_err(|_| fail(ErrorClass::Timeout, "silent for longer than the idle timeout"))?;
            let Some(chunk) = read else { break };
            let chunk = chunk.map_err(|error| connection_error(name, &error))?;
            let parts = parser.push(&chunk).map_err(|_| fail(ErrorClass::Malformed, "an endless line"))?;
            for data in parts {
                // What was readable before an error counts before it.
                let read = decoder.read(&data, &mut events);
                for event in events.drain(..) {
                    yield event;
                }
                read?;
                if decoder.is_done() {
                    break 'answer;
                }
            }
        }
        decoder.end(&mut events)?;
        for event in events {
            yield event;
        }
    })
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

/// Google says when in the body: `"retryDelay": "34s"`.
fn retry_delay(body: &str) -> Option<Duration> {
    let (_, rest) = body.split_once("\"retryDelay\"")?;
    let value = rest.split('"').nth(1)?;
    Duration::try_from_secs_f64(value.strip_suffix('s')?.parse().ok()?).ok()
}

pub fn connection_error(provider: &str, error: &reqwest::Error) -> ProviderError {
    let class = if error.is_timeout() { ErrorClass::Timeout } else { ErrorClass::Network };
    // Without the URL: it may hold a key.
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    ProviderError::new(provider, class, format!("connection failed: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_its_forms() {
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
        let google = r#"{"error":{"details":[{"@type":"…RetryInfo","retryDelay": "34.5s"}]}}"#;
        assert_eq!(retry_delay(google), Some(Duration::from_millis(34_500)));
        assert_eq!(retry_delay("{}"), None);
    }
}
