//! A TCP proxy that can behave like a bad network.
//!
//! What it swallowed is lost: a connection that was silent once stays silent, also after the network has healed, until one
//! side closes it. While it is silent the other side does not even learn that: as behind a firewall that forgot it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU16, Ordering},
    },
    time::Duration,
};

use rand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    Pass,
    /// Every piece is late by this much.
    Delay(Duration),
    /// Nobody listens, and what was open is closed.
    Refuse,
    /// New connections are taken and closed; what was open goes on.
    Drop,
    /// Now and then half of a piece is passed on, and the connection closed.
    Truncate,
    /// Old connections and new ones: bytes are taken and nothing is passed on.
    Swallow,
    /// Old connections are silent both ways; new ones work.
    HalfOpen,
}

/// The mode, and how often everything was cut: a connection ends when this goes up.
#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    cuts: u64,
    /// Grows with each change: a connection of an earlier one is old.
    epoch: u64,
}

pub struct Link {
    pub port: u16,
    target: Arc<AtomicU16>,
    state: watch::Sender<State>,
    swallowed: Arc<AtomicI64>,
}

impl Link {
    pub async fn start(port: u16, target: u16) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let (state, watching) = watch::channel(State { mode: Mode::Pass, cuts: 0, epoch: 0 });
        let (target, swallowed) = (Arc::new(AtomicU16::new(target)), Arc::default());
        tokio::spawn(accept(listener, port, Arc::clone(&target), watching, Arc::clone(&swallowed)));
        Ok(Self { port, target, state, swallowed })
    }

    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.epoch += 1;
            if mode == Mode::Refuse {
                state.cuts += 1;
            }
        });
    }

    /// Connections on which something was sent that nobody got: over HTTP, so many requests.
    pub fn swallowed(&self) -> i64 {
        self.swallowed.load(Ordering::SeqCst)
    }

    /// Closes every connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Everything is cut, and new connections go there from now on.
    pub fn point_at(&self, port: u16) {
        self.point_new_at(port);
        self.cut();
    }

    /// New connections go there from now on; what is open stays where it is.
    pub fn point_new_at(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    target: Arc<AtomicU16>,
    mut state: watch::Receiver<State>,
    swallowed: Arc<AtomicI64>,
) {
    let mut listener = Some(listener);
    loop {
        let mode = state.borrow_and_update().mode;
        if mode == Mode::Refuse {
            listener = None;
        } else if listener.is_none() {
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(bound) => listener = Some(bound),
                // An outgoing connection may have taken the port for a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            continue;
        }
        let next = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = next => match taken {
                Ok((client, _)) if mode != Mode::Drop => {
                    let target = target.load(Ordering::SeqCst);
                    tokio::spawn(carry(client, target, state.clone(), Arc::clone(&swallowed)));
                }
                Ok(_) | Err(_) => {}
            },
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}

async fn carry(client: TcpStream, target: u16, state: watch::Receiver<State>, swallowed: Arc<AtomicI64>) {
    let born = *state.borrow();
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _late = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Each direction ends the other: a half-closed connection is of use to none of our protocols.
    let (gone, _) = watch::channel(false);
    let up = pump(from_client, to_server, born, state.clone(), gone.clone(), Some(&swallowed));
    let down = pump(from_server, to_client, born, state, gone, None);
    tokio::join!(up, down);
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    born: State,
    mut state: watch::Receiver<State>,
    gone: watch::Sender<bool>,
    swallowed: Option<&AtomicI64>,
) {
    let mut other = gone.subscribe();
    let mut buffer = vec![0_u8; 64 * 1_024];
    let (mut is_lost, mut is_swallowed) = (false, false);
    loop {
        let now = *state.borrow_and_update();
        if now.cuts != born.cuts || *other.borrow_and_update() {
            break;
        }
        is_lost |= now.mode == Mode::Swallow || now.mode == Mode::HalfOpen && born.epoch != now.epoch;
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = state.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
            changed = other.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        let count = match read {
            Ok(count) if count > 0 => count,
            Ok(_) | Err(_) => {
                if is_lost {
                    healed(&mut state, born).await;
                }
                break;
            }
        };
        if is_lost {
            if let Some(swallowed) = swallowed.filter(|_| !is_swallowed) {
                swallowed.fetch_add(1, Ordering::SeqCst);
            }
            is_swallowed = true;
            continue;
        }
        let mode = state.borrow().mode;
        if let Mode::Delay(by) = mode {
            tokio::time::sleep(by).await;
        }
        let is_cut = mode == Mode::Truncate && rand::rng().random_bool(0.1);
        let piece = if is_cut { &buffer[..count / 2] } else { &buffer[..count] };
        if to.write_all(piece).await.is_err() || is_cut {
            break;
        }
    }
    gone.send_replace(true);
}

/// The other side learns that this one closed when the network works again.
async fn healed(state: &mut watch::Receiver<State>, born: State) {
    let is_over =
        |state: &State| !matches!(state.mode, Mode::Swallow | Mode::HalfOpen) || state.cuts != born.cuts;
    let _ended = state.wait_for(is_over).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link to a server that gives back what it gets.
    async fn echo() -> Link {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let target = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        Link::start(crate::servers::free_port().unwrap(), target).await.unwrap()
    }

    /// What comes back: `Some(true)` the same, `Some(false)` the end, `None` nothing.
    async fn says(stream: &mut TcpStream) -> Option<bool> {
        let mut answer = [0; 4];
        if stream.write_all(b"ping").await.is_err() {
            return Some(false);
        }
        let read = stream.read_exact(&mut answer);
        match tokio::time::timeout(Duration::from_millis(500), read).await {
            Ok(Ok(_)) => Some(answer == *b"ping"),
            Ok(Err(_)) => Some(false),
            Err(_) => None,
        }
    }

    async fn connect(link: &Link) -> TcpStream {
        TcpStream::connect(("127.0.0.1", link.port)).await.unwrap()
    }

    #[tokio::test]
    async fn half_open_silences_the_old_for_ever_and_lets_new_ones_through() {
        let link = echo().await;
        let mut old = connect(&link).await;
        assert_eq!(says(&mut old).await, Some(true));
        link.set(Mode::HalfOpen);
        assert_eq!(says(&mut old).await, None);
        let mut new = connect(&link).await;
        assert_eq!(says(&mut new).await, Some(true));
        link.set(Mode::Pass);
        assert_eq!(says(&mut old).await, None);
        assert_eq!(says(&mut new).await, Some(true));
    }

    #[tokio::test]
    async fn swallow_silences_all_and_counts_what_was_lost() {
        let link = echo().await;
        let mut old = connect(&link).await;
        assert_eq!(says(&mut old).await, Some(true));
        link.set(Mode::Swallow);
        let mut new = connect(&link).await;
        assert_eq!((says(&mut old).await, says(&mut new).await), (None, None));
        link.set(Mode::Pass);
        assert_eq!(says(&mut new).await, None);
        assert_eq!(link.swallowed(), 2);
    }

    #[tokio::test]
    async fn refused_means_nobody_listens_and_then_somebody_does_again() {
        let link = echo().await;
        let mut old = connect(&link).await;
        assert_eq!(says(&mut old).await, Some(true));
        link.set(Mode::Refuse);
        assert_eq!(says(&mut old).await, Some(false));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", link.port)).await.is_ok() {
            assert!(std::time::Instant::now() < deadline, "it still listens");
        }
        link.set(Mode::Pass);
        loop {
            if let Ok(mut new) = TcpStream::connect(("127.0.0.1", link.port)).await {
                assert_eq!(says(&mut new).await, Some(true));
                return;
            }
            assert!(std::time::Instant::now() < deadline, "it does not listen again");
        }
    }

    #[tokio::test]
    async fn a_cut_closes_what_is_open_and_nothing_else() {
        let link = echo().await;
        let mut old = connect(&link).await;
        assert_eq!(says(&mut old).await, Some(true));
        link.cut();
        assert_eq!(says(&mut old).await, Some(false));
        assert_eq!(says(&mut connect(&link).await).await, Some(true));
    }
}
