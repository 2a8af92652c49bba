//! Accepts connections and serves them until told to stop.
//!
//! Ours rather than axum's `serve`, because a public server needs bounds on its clients: how many there may be ([`room`]),
//! how long one may go without a request ([`activity`]) or stall in the middle of a body ([`body`]), and how long one may
//! read nothing (by `TCP_USER_TIMEOUT`, or with HTTP/2 by what it takes of the responses).

mod activity;
mod body;
mod rest;
mod room;
mod version;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, Uri, Version, header},
    routing::get,
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rapport_common::{
    Context,
    settings::{Server, Settings},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{handlers::health, routes, state::AppState};
use activity::Activity;
use body::{Held, Paced};
use rest::Rest;
use room::{Room, Seated};

/// How long a connection without a request may take to end once it was told to.
const LEAVE: Duration = Duration::from_secs(1);
/// What a request's head may hold, in either protocol.
const HEAD_BYTES: usize = 64 * 1_024;
/// Requests that run at once on one HTTP/2 connection.
const STREAMS: u32 = 256;

/// Serves until `stopping`. From then on it is not ready, ends streams, and asks clients to connect anew, but goes on
/// accepting for `unready`, so that a load balancer can hear of it: then it lets requests finish within the grace, and
/// returns.
pub async fn serve(ctx: Context, listener: TcpListener, stopping: CancellationToken, unready: Duration) {
    let (limits, grace) = (ctx.settings.server, ctx.settings.shutdown_grace);
    let app = routes::app(AppState::new(ctx, stopping.clone()));
    let stop = Stop { closing: some_time_after(&stopping, unready), stopping };
    accept(app, limits, grace, listener, stop).await;
}

/// The two steps of stopping.
#[derive(Clone)]
struct Stop {
    /// Connections take one more request at most.
    stopping: CancellationToken,
    /// None is accepted any more, and those without a request end.
    closing: CancellationToken,
}

fn some_time_after(stopping: &CancellationToken, wait: Duration) -> CancellationToken {
    if wait.is_zero() {
        return stopping.clone();
    }
    let (stopping, closing) = (stopping.clone(), CancellationToken::new());
    let closes = closing.clone();
    tokio::spawn(async move {
        stopping.cancelled().await;
        tokio::time::sleep(wait).await;
        closes.cancel();
    });
    closing
}

async fn accept(app: Router, limits: Server, grace: Duration, listener: TcpListener, stop: Stop) {
    let builders = Builders::new(&limits);
    let room = Room::new(&limits);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.closing.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: others will be closed.
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = prepare(&stream, &limits) {
            tracing::debug!(%error, "socket options not set");
        }
        if let Some(stream) = room.admit(stream, peer.ip()) {
            let (builders, app) = (builders.clone(), app.clone());
            connections.spawn(converse(builders, app, limits, stream, peer, stop.clone()));
        }
    }
    drop(listener);
    connections.close();
    if timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!("some requests did not end within the grace");
    }
}

/// How each HTTP is spoken.
#[derive(Clone)]
struct Builders {
    one: http1::Builder,
    two: http2::Builder<TokioExecutor>,
}

impl Builders {
    fn new(limits: &Server) -> Self {
        let mut one = http1::Builder::new();
        // The first request's head has a shorter time, see `activity`.
        one.timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(HEAD_BYTES);
        let mut two = http2::Builder::new(TokioExecutor::new());
        two.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_BYTES as u32)
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(limits.ping);
        Self { one, two }
    }
}

/// One connection, from its first byte to its last, or to its upgrade.
async fn converse(
    builders: Builders,
    app: Router,
    limits: Server,
    mut stream: Seated,
    peer: SocketAddr,
    stop: Stop,
) {
    let activity = Activity::new(limits);
    let speaks = tokio::select! {
        speaks = stream.version() => speaks,
        () = activity.quiet() => return,
        () = stop.closing.cancelled() => return,
    };
    let service = service_fn(|request: Request<Incoming>| {
        let (app, busy, stopping) = (app.clone(), activity.begin(), stop.stopping.clone());
        async move {
            let is_http1 = request.version() <= Version::HTTP_11;
            let (rest, waits) = (Rest::default(), request.headers().contains_key(header::EXPECT));
            let mut response = call(app, request, peer, limits, rest.clone()).await;
            if is_http1 && (!rest.read(waits).await || stopping.is_cancelled()) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Held::new(body, busy)))
        }
    });
    match speaks {
        Ok(version::Version::One) => {
            let connection = builders.one.serve_connection(stream, service).with_upgrades();
            see_through(connection, |one| one.graceful_shutdown(), &activity, &stop).await;
        }
        // On the heap: most connections are none of these, and would have room for one.
        Ok(version::Version::Two) => {
            let connection = builders.two.serve_connection(stream, service);
            Box::pin(see_through(connection, |two| two.graceful_shutdown(), &activity, &stop)).await;
        }
        Err(error) => note(Err(error)),
    }
}

/// Until the connection has ended, or does nothing for too long, or is to end.
async fn see_through<C, E>(connection: C, end: fn(Pin<&mut C>), activity: &Activity, stop: &Stop)
where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = activity.quiet() => {}
        () = stop.closing.cancelled() => {}
    };
    // HTTP/2 hears that it is over; HTTP/1 closes after the request that runs, at once if none does. What nobody takes is
    // not waited for.
    end(connection.as_mut());
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = activity.free() => {}
    }
    if let Ok(ended) = timeout(LEAVE, connection).await {
        note(ended);
    }
}

fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Metrics and a probe on a port of their own, for a scraper that must not come in by the public one.
pub async fn serve_metrics(settings: &Settings, stopping: CancellationToken) -> Result<(), String> {
    let port = settings.metrics_port;
    if port == 0 {
        return Ok(());
    }
    let listener = TcpListener::bind((settings.host.as_str(), port)).await;
    let listener = listener.map_err(|error| format!("METRICS_PORT {port}: {error}"))?;
    let app = Router::new().route("/metrics", get(health::metrics)).route("/livez", get(health::livez));
    let stop = Stop { closing: stopping.clone(), stopping };
    tokio::spawn(accept(app, settings.server, LEAVE, listener, stop));
    Ok(())
}

fn prepare(stream: &TcpStream, limits: &Server) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_keepalive(true)?;
    socket.set_tcp_user_timeout(Some(limits.unread))
}

async fn call(
    app: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    limits: Server,
    rest: Rest,
) -> Response<Body> {
    let mut request = request.map(|body| Body::new(Paced::new(body, limits, rest)));
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Some(uri) = without_trailing_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    app.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// A trailing slash never matters, except to the documentation's relative links.
fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') || path.starts_with("/docs") {
        return None;
    }
    let trimmed = path.trim_end_matches('/');
    let path = if trimmed.is_empty() { "/" } else { trimmed };
    let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = text.parse().ok();
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_go_and_the_query_stays() {
        let trimmed =
            |uri: &'static str| without_trailing_slash(&Uri::from_static(uri)).map(|uri| uri.to_string());
        assert_eq!(trimmed("/chat/").as_deref(), Some("/chat"));
        assert_eq!(trimmed("/chat//?a=/").as_deref(), Some("/chat?a=/"));
        assert_eq!(trimmed("//").as_deref(), Some("/"));
        assert_eq!(trimmed("/chat"), None);
        assert_eq!(trimmed("/docs/"), None);
    }
}
