//! Accepts connections and serves them until told to stop.
//!
//! Ours rather than axum's `serve`, because a public server needs bounds on slow clients: a time to send the request's
//! head, and (by `TCP_USER_TIMEOUT`) a time after which a client that reads nothing is dropped by the kernel.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Uri},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use rapport_common::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{routes, state::AppState};

const HEAD: Duration = Duration::from_secs(15);
const UNREAD: Duration = Duration::from_secs(60);

/// Serves until `stopping`, then stops accepting, lets requests finish within the grace, and returns.
pub async fn serve(ctx: Context, listener: TcpListener, stopping: CancellationToken) {
    let grace = ctx.settings.shutdown_grace;
    let app = routes::app(AppState { ctx, stopping: stopping.clone() });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1_024);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
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
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "socket options not set");
        }
        let app = app.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(call(app, request, peer).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end within the grace");
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_keepalive(true)?;
    socket.set_tcp_user_timeout(Some(UNREAD))
}

async fn call(app: Router, request: Request<Incoming>, peer: SocketAddr) -> axum::response::Response {
    let mut request = request.map(Body::new);
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
