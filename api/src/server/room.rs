//! Room for so many connections, and for so many of one address: each holds a place as long as its socket is open, also as
//! a WebSocket.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rapport_common::{Error, error::Code, limits::network, settings::Server, telemetry::metrics::METRICS};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::version::{Begun, Version};

/// How long a refused client may take to read why, and how many may do so at once.
const FAREWELL: Duration = Duration::from_secs(2);
const FAREWELLS: usize = 256;

const FULL: &str = "This server has as many connections open as it takes. Try again shortly.";
const FULL_FOR_ADDRESS: &str =
    "Your address has as many connections open here as one may have. Close some, or try again shortly.";

/// How many places each address has; one that has none is not in it.
type Addresses = Arc<Mutex<HashMap<String, usize>>>;

pub struct Room {
    places: Arc<Semaphore>,
    addresses: Addresses,
    per_address: usize,
    farewells: Arc<Semaphore>,
}

impl Room {
    pub fn new(limits: &Server) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.max_connections)),
            addresses: Addresses::default(),
            per_address: limits.connections_per_address,
            farewells: Arc::new(Semaphore::new(FAREWELLS)),
        }
    }

    /// The connection with its place, or `None`: then the client is told, and the connection ends.
    pub fn admit(&self, stream: TcpStream, peer: IpAddr) -> Option<Seated> {
        match self.place(peer) {
            Ok(place) => Some(Seated { io: Begun::new(TokioIo::new(stream)), _place: place }),
            Err(reason) => {
                METRICS.connections_refused.with_label_values::<&str>(&[]).inc();
                if let Ok(permit) = Arc::clone(&self.farewells).try_acquire_owned() {
                    tokio::spawn(async move {
                        let _told = timeout(FAREWELL, refuse(stream, reason)).await;
                        drop(permit);
                    });
                }
                None
            }
        }
    }

    fn place(&self, peer: IpAddr) -> Result<Place, &'static str> {
        let share = if self.per_address == 0 { None } else { Some(self.share(network(peer))?) };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| FULL)?;
        METRICS.connections.with_label_values(&["open"]).inc();
        Ok(Place { _place: place, _share: share })
    }

    fn share(&self, address: String) -> Result<Share, &'static str> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address.clone()).or_default();
        if *count >= self.per_address {
            return Err(FULL_FOR_ADDRESS);
        }
        *count += 1;
        Ok(Share { address, addresses: Arc::clone(&self.addresses) })
    }
}

async fn refuse(mut stream: TcpStream, reason: &'static str) -> io::Result<()> {
    let body = Error::new(Code::Unavailable, reason).problem(None).to_string();
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

struct Place {
    _place: OwnedSemaphorePermit,
    _share: Option<Share>,
}

impl Drop for Place {
    fn drop(&mut self) {
        METRICS.connections.with_label_values(&["open"]).dec();
    }
}

/// One of the places that an address may have.
struct Share {
    address: String,
    addresses: Addresses,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// A connection's socket and its place.
pub struct Seated {
    io: Begun<TokioIo<TcpStream>>,
    _place: Place,
}

impl Seated {
    /// Which HTTP is spoken. Ask before anything is read.
    pub async fn version(&mut self) -> io::Result<Version> {
        self.io.version().await
    }
}

impl Read for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.io.poll_read(cx, buffer)
    }
}

impl Write for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io.stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_others_theirs() {
        let limits = Server { connections_per_address: 2, max_connections: 5, ..Server::default() };
        let room = Room::new(&limits);
        let place = |address: &str| room.place(address.parse().unwrap());
        let first = place("10.0.0.1").unwrap();
        let _second = place("::ffff:10.0.0.1").unwrap();
        assert_eq!(place("10.0.0.1").err(), Some(FULL_FOR_ADDRESS));
        // A network of 64 bits counts as one.
        let _six = [place("2001:db8::1").unwrap(), place("2001:db8::2:3").unwrap()];
        assert_eq!(place("2001:db8::4").err(), Some(FULL_FOR_ADDRESS));
        let _other = place("2001:db8:0:1::1").unwrap();
        // All places are taken, also for who has some left; a refusal costs none.
        assert_eq!(place("10.0.0.2").err(), Some(FULL));
        drop(first);
        let again = place("10.0.0.1").unwrap();
        drop(again);
        assert!(room.addresses.lock().unwrap().len() == 3, "who has none left is forgotten");
        let unlimited = Room::new(&Server { connections_per_address: 0, ..limits });
        let all: Vec<Place> = (0..5).map(|_| unlimited.place([10, 0, 0, 1].into()).unwrap()).collect();
        assert_eq!((all.len(), unlimited.addresses.lock().unwrap().len()), (5, 0));
    }
}
