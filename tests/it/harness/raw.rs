//! Sockets without a client library, for what no library would send.

use std::{net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout, timeout_at},
};

/// Far longer than any deadline that the tests configure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Raw(pub TcpStream);

impl Raw {
    /// To the address of a URL.
    pub async fn open(url: &str) -> Self {
        Self(TcpStream::connect(url.trim_start_matches("http://")).await.unwrap())
    }

    /// The same from another address of this machine.
    pub async fn open_from(address: IpAddr, url: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let to = url.trim_start_matches("http://").parse().unwrap();
        Self(socket.connect(to).await.unwrap())
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All until the server ends the connection.
    pub async fn until_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let read = timeout(PATIENCE, self.0.read(&mut buffer)).await;
            match read.expect("the server ends the connection") {
                Ok(0) | Err(_) => return all,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// All HTTP/2 frames until the server ends the connection, while its pings are answered.
    pub async fn until_end_answering_pings(&mut self) -> Vec<Frame> {
        let (mut all, mut answered) = (Vec::new(), 0);
        let mut buffer = [0; 4_096];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = timeout_at(deadline, self.0.read(&mut buffer)).await;
            match read.expect("the server ends the connection") {
                Ok(0) | Err(_) => return frames(&all),
                Ok(n) => all.extend_from_slice(&buffer[..n]),
            }
            let pings: Vec<Frame> = frames(&all).into_iter().filter(|(kind, ..)| *kind == 6).collect();
            for (_, _, payload) in &pings[answered..] {
                let _ended = self.0.write_all(&frame(6, 1, 0, payload)).await;
            }
            answered = pings.len();
        }
    }

    pub async fn text_until_end(&mut self) -> String {
        String::from_utf8_lossy(&self.until_end().await).into_owned()
    }

    /// Until what came contains this.
    pub async fn until(&mut self, needle: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        while !all.windows(needle.len()).any(|part| part == needle) {
            let mut byte = [0; 1];
            let read = timeout(PATIENCE, self.0.read(&mut byte)).await;
            let read = read.expect("it comes in time").unwrap();
            assert_eq!(read, 1, "ended before: {}", String::from_utf8_lossy(&all));
            all.push(byte[0]);
        }
        all
    }
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An HTTP/2 frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Headers as HPACK literals that nobody remembers.
pub fn headers(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let text = |block: &mut Vec<u8>, text: &str| {
        // Lengths from 127 on take more bytes than one.
        if text.len() < 127 {
            block.push(text.len() as u8);
        } else {
            let mut rest = text.len() - 127;
            block.push(127);
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
        block.extend(text.as_bytes());
    };
    for (name, value) in pairs {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// Kind, stream, payload.
pub type Frame = (u8, u32, Vec<u8>);

pub fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 9 {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let stream = u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]);
        let Some(payload) = rest.get(9..9 + length) else { break };
        all.push((rest[3], stream, payload.to_vec()));
        rest = &rest[9 + length..];
    }
    all
}
