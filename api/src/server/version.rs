//! Which HTTP a client speaks: its first bytes say so, and are given again before the rest. In place of hyper-util's `auto`, which gives
//! them again alone: hyper then reads a request's head in two pieces, and makes a buffer of 16 KiB of its one of 8, which each
//! connection keeps.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor};

/// What a client of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// A stream whose first bytes were looked at.
pub struct Begun<R> {
    pub stream: R,
    first: [u8; PREFACE.len()],
    /// How many were read, and how many of them were given again.
    read: usize,
    given: usize,
}

impl<R: Read + Unpin> Begun<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, first: [0; PREFACE.len()], read: 0, given: 0 }
    }

    /// Reads until it is clear. Who ends the stream before that spoke no HTTP/2.
    pub async fn version(&mut self) -> io::Result<Version> {
        loop {
            let before = self.read;
            poll_fn(|cx| {
                let mut buffer = ReadBuf::new(&mut self.first[before..]);
                ready!(Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()))?;
                self.read = before + buffer.filled().len();
                Poll::Ready(Ok::<_, io::Error>(()))
            })
            .await?;
            if self.read == before || self.first[..self.read] != PREFACE[..self.read] {
                return Ok(Version::One);
            }
            if self.read == PREFACE.len() {
                return Ok(Version::Two);
            }
        }
    }

    /// With the first bytes comes what else is there.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let left = &self.first[self.given..self.read];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.given += count;
        if buffer.remaining() > 0 {
            // After an error the stream is at its end, which the next read says.
            let _more = Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn version_of(pieces: &[&[u8]]) -> (Version, Begun<TokioIo<DuplexStream>>) {
        let (mut client, server) = duplex(1_024);
        let mut begun = Begun::new(TokioIo::new(server));
        let (mut telling, mut pieces) = (Box::pin(begun.version()), pieces.iter());
        let version = loop {
            match futures::poll!(&mut telling) {
                Poll::Ready(version) => break version.unwrap(),
                Poll::Pending => match pieces.next() {
                    Some(piece) => client.write_all(piece).await.unwrap(),
                    None => client.shutdown().await.unwrap(),
                },
            }
        };
        drop(telling);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
        }
        (version, begun)
    }

    /// What one read gives that has room for so many.
    async fn read(begun: &mut Begun<TokioIo<DuplexStream>>, room: usize) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| begun.poll_read(cx, buffer.unfilled())).await.unwrap();
        buffer.filled().to_vec()
    }

    #[tokio::test]
    async fn a_head_comes_in_one_piece() {
        let head = b"GET /api/v1/jobs/job_1/events HTTP/1.1\r\nhost: x\r\n\r\n";
        let (version, mut begun) = version_of(&[head]).await;
        assert_eq!((version, read(&mut begun, 1_024).await), (Version::One, head.to_vec()));
    }

    #[tokio::test]
    async fn nothing_is_lost_however_it_comes_and_is_taken() {
        for (pieces, expected) in [
            (vec![&PREFACE[..], b"more"], Version::Two),
            (vec![&PREFACE[..5], &PREFACE[5..23], &PREFACE[23..], b"more"], Version::Two),
            (vec![b"PRI * HTTP/1.1\r\n"], Version::One),
            (vec![b"P", b"OST / HTTP/1.1\r\n"], Version::One),
            (vec![b"PRI *"], Version::One),
            (vec![], Version::One),
        ] {
            let (version, mut begun) = version_of(&pieces).await;
            assert_eq!(version, expected, "{pieces:?}");
            let (all, mut taken) = (pieces.concat(), Vec::new());
            while taken.len() < all.len() {
                taken.extend(read(&mut begun, 7).await);
            }
            assert_eq!(taken, all);
        }
    }
}
