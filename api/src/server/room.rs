//! Room for so many connections: each holds a place as long as its socket is open, also as a WebSocket.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rapport_common::{Error, error::Code, telemetry::metrics::METRICS};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a refused client may take to read why, and how many may do so at once.
const FAREWELL: Duration = Duration::from_secs(2);
const FAREWELLS: usize = 256;

#[derive(Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
}

impl Room {
    pub fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), farewells: Arc::new(Semaphore::new(FAREWELLS)) }
    }

    /// The connection with its place, or `None`: then the client is told, and the connection ends.
    pub fn admit(&self, stream: TcpStream) -> Option<Seated> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                METRICS.connections.with_label_values(&["open"]).inc();
                Some(Seated { io: TokioIo::new(stream), _place: Place(place) })
            }
            Err(_) => {
                METRICS.connections_refused.with_label_values::<&str>(&[]).inc();
                if let Ok(permit) = Arc::clone(&self.farewells).try_acquire_owned() {
                    tokio::spawn(async move {
                        let _told = timeout(FAREWELL, refuse(stream)).await;
                        drop(permit);
                    });
                }
                None
            }
        }
    }
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let error = Error::new(
        Code::Unavailable,
        "This server has as many connections open as it takes. Try again shortly.",
    );
    let body = error.problem(None).to_string();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         retry-after: 2\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await?;
    // A socket that closes with unread bytes takes its answer back.
    let mut unread = [0; 1_024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

struct Place(#[expect(dead_code, reason = "held until dropped")] OwnedSemaphorePermit);

impl Drop for Place {
    fn drop(&mut self) {
        METRICS.connections.with_label_values(&["open"]).dec();
    }
}

/// A connection's socket and its place.
pub struct Seated {
    io: TokioIo<TcpStream>,
    _place: Place,
}

impl Read for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
