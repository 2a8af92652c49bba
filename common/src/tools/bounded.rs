//! How much an MCP server that a request names may say in one answer.
//!
//! The SDK bounds one message, not how many there are, and starts a task for every request of a server: one that sends pings
//! without end would have us answer without end. A server also needs no stream of its own here: what it says belongs to a call.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use futures::{StreamExt, stream::BoxStream};
use http::{HeaderName, HeaderValue};
use rmcp::{
    model::ClientJsonRpcMessage,
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;

/// Bytes of one event.
pub(super) const EVENT_MAX: usize = 1 << 20;
/// Events of all streams, and their bytes.
const EVENTS_MAX: usize = 2_000;
const BYTES_MAX: usize = 16 << 20;
/// Requests of the server that are answered, and times that it has a broken stream continued.
const ANSWERS_MAX: usize = 64;
const STREAMS_MAX: usize = 64;

type Headers = HashMap<HeaderName, HeaderValue>;
type Events = BoxStream<'static, Result<Sse, SseError>>;
type Failed = StreamableHttpError<reqwest::Error>;

/// The client of one session. Its clones count together.
#[derive(Clone)]
pub(super) struct Bounded {
    client: reqwest::Client,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    events: AtomicUsize,
    bytes: AtomicUsize,
    answers: AtomicUsize,
    streams: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
#[error("the server says more than is read")]
struct TooMuch;

impl Said {
    fn is_too_much(&self) -> bool {
        self.events.load(Relaxed) > EVENTS_MAX
            || self.bytes.load(Relaxed) > BYTES_MAX
            || self.answers.load(Relaxed) > ANSWERS_MAX
            || self.streams.load(Relaxed) > STREAMS_MAX
    }
}

impl Bounded {
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self { client, said: Arc::default() }
    }

    /// Ends the session by an error of every later request.
    fn check(&self) -> Result<(), Failed> {
        if self.said.is_too_much() {
            return Err(StreamableHttpError::UnexpectedServerResponse(TooMuch.to_string().into()));
        }
        Ok(())
    }

    fn counted(&self, events: Events) -> Events {
        let said = Arc::clone(&self.said);
        events
            .map(move |event| {
                let event = event?;
                said.events.fetch_add(1, Relaxed);
                said.bytes.fetch_add(event.data.as_ref().map_or(0, String::len), Relaxed);
                if said.is_too_much() { Err(SseError::Body(Box::new(TooMuch))) } else { Ok(event) }
            })
            .boxed()
    }
}

impl StreamableHttpClient for Bounded {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        if matches!(message, ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_)) {
            self.said.answers.fetch_add(1, Relaxed);
        }
        self.check()?;
        let posted = self.client.post_message_with_max_sse_event_size(
            uri,
            message,
            session_id,
            auth_header,
            headers,
            EVENT_MAX,
        );
        Ok(match posted.await? {
            StreamableHttpPostResponse::Sse(events, session) => {
                StreamableHttpPostResponse::Sse(self.counted(events), session)
            }
            whole => whole,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Result<(), Failed> {
        self.client.delete_session(uri, session_id, auth_header, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        headers: Headers,
    ) -> Result<Events, Failed> {
        // Without an id it is a stream of the server's own. With one it goes on with what a call began to say.
        if last_event_id.is_none() || self.said.is_too_much() {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        self.said.streams.fetch_add(1, Relaxed);
        let opened = self.client.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            headers,
            EVENT_MAX,
        );
        Ok(self.counted(opened.await?))
    }
}
